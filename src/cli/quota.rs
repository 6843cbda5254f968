//! What registries still grant, on standard error: all of it with `-v`, what is scarce also without.
//! A warning comes while the run is under way, once for each host; nothing of it is in a report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;
use plimsoll::reference::Reference;
use plimsoll::registry::http::quota::Quota;
use plimsoll::registry::router::Router;
use plimsoll::report::visible_lines;

use super::print;

/// Looks at the quotas of one run.
pub(crate) struct Watch<'a> {
    router: &'a Router,
    /// Distinct references of each host: about what the run takes.
    needs: BTreeMap<String, u64>,
    warned: Mutex<BTreeSet<String>>,
    quiet: bool,
}

impl<'a> Watch<'a> {
    /// For a run that asks for these references.
    pub(crate) fn new<'b>(router: &'a Router, asked: impl Iterator<Item = &'b Reference>, quiet: bool) -> Self {
        let distinct: BTreeSet<(&str, String)> =
            asked.map(|reference| (reference.repository().host(), reference.to_string())).collect();
        let mut needs = BTreeMap::new();
        for (host, _) in distinct {
            *needs.entry(host.to_owned()).or_default() += 1;
        }
        Self { router, needs, warned: Mutex::default(), quiet }
    }

    /// Prints the warnings that are new since the last look, above the bar.
    pub(crate) fn look(&self, bar: &ProgressBar) {
        let warnings = self.warnings();
        if !warnings.is_empty() {
            bar.suspend(|| print::err(&warnings));
        }
    }

    fn warnings(&self) -> String {
        if self.quiet {
            return String::new();
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        for quota in self.router.quotas() {
            let rest = self.needs.get(&quota.host).copied().unwrap_or_default().saturating_sub(quota.answers);
            let short = quota.counted && quota.remaining < rest;
            if (quota.is_low() || short) && warned.insert(quota.host.clone()) {
                let need = if short { format!(", and this run may take {rest}") } else { String::new() };
                let out = if quota.by_address { "log in (`docker login`)" } else { "log in" };
                lines.push(format!("warning: {}{need}; {out} or use a mirror before none is left\n", said(&quota)));
            }
        }
        lines.concat()
    }

    /// All quotas, a line each.
    pub(crate) fn all(&self) {
        for quota in self.router.quotas() {
            print::err(&format!("{}\n", said(&quota)));
        }
    }
}

fn said(quota: &Quota) -> String {
    let Quota { host, remaining, limit, .. } = quota;
    let window = quota.window.map_or_else(String::new, |window| format!(" in {}", words(window)));
    let whose = if quota.by_address { ", counted for this machine's address: the requests are anonymous" } else { "" };
    visible_lines(&format!("{host}: {remaining} of {limit} requests left{window}{whose}"))
}

/// `6 hours`, `90 seconds`.
fn words(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds")];
    let (unit, name) =
        units.into_iter().find(|(unit, _)| seconds > *unit && seconds.is_multiple_of(*unit)).unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / unit)
}
