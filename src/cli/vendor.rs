//! `vendor`: runs the gate once, and copies all that it asked for into an OCI layout.
//! The verdicts are a check's matter; what counts here is whether everything could be copied.

use std::collections::BTreeSet;

use jiff::Timestamp;
use plimsoll::gate::{self, Judge, Mode, Request};
use plimsoll::outcome::{Exit, Outcome};
use plimsoll::registry::RegistryError;
use plimsoll::registry::layout_writer::{LayoutWriter, LayoutWriterError};
use plimsoll::report::{plural, visible_lines};
use plimsoll::source::Unread;
use plimsoll::vendor::{self, Copied, Name, Noting};

use super::args::Vendor;
use super::quota::Watch;
use super::{Failure, asking, governing, machine, network, print, sources};

/// `plimsoll vendor`.
pub(crate) fn vendor(arguments: &Vendor) -> Result<Exit, Failure> {
    machine::one_use_of_input(arguments.reaching.registry_token_stdin.as_deref(), &arguments.paths.paths)?;
    let now = arguments.policy.now.unwrap_or_else(Timestamp::now);
    let governing = governing::find(&arguments.policy, now)?.ok_or_else(governing::none_found)?;
    let named = governing::config(arguments.paths.config.as_deref(), arguments.policy.policy_from.as_deref())?;
    let gathered = sources::gather(&arguments.paths, named.as_ref(), Some(&governing))?;
    let jobs = arguments.reaching.jobs;
    let request = Request {
        files: gathered.files,
        unread: gathered.unread,
        files_read: gathered.read,
        files_ignored: gathered.ignored,
        judge: Judge::Policy(&governing.policy),
        mode: Mode::Check,
        platforms: &[],
        resolve: true,
        whole: false,
        jobs,
        now,
    };
    let judged = machine::judged(&arguments.paths.paths, Some(&governing.folder));
    let network = network::network(named.as_ref(), governing.config.as_ref(), &arguments.reaching, &judged)?;
    let writer = LayoutWriter::open(&arguments.out).map_err(anyhow::Error::from)?;
    let noting = Noting::new(&network.router);
    let watch = Watch::new(&network.router, asking::references(&request), arguments.quiet);
    let (unread, copied) = asking::watched(&watch, arguments.quiet, arguments.verbose, async |progress| {
        let outcome = gate::run(request, &noting, progress).await;
        let keep = |digest: &_, bytes: &[u8]| writer.keep(digest, bytes).map(drop);
        let copied =
            vendor::copy::<LayoutWriterError>(&network.router, &noting.names(&outcome), &noting.layers(), jobs, &keep)
                .await;
        (unread(&outcome), copied)
    })?;
    network.say(arguments.quiet, arguments.verbose);
    let copied = copied.map_err(anyhow::Error::from)?;
    let is_gone = |error: &RegistryError| matches!(error, RegistryError::NotFound { .. });
    let gone: BTreeSet<String> =
        copied.missing.iter().filter(|(_, error)| is_gone(error)).map(|(name, _)| name.clone()).collect();
    let whole = copied.names.iter().map(|(name, found)| (name.to_string(), found.clone())).collect();
    writer.finish(&whole, &gone).map_err(anyhow::Error::from)?;
    print::out(said(&copied, arguments).as_bytes())?;
    // What such a file names is not in the copy, and nobody can tell what that is.
    print::err(&unread.concat());
    let exit = if unread.is_empty() { Exit::Clean } else { Exit::Undecided };
    if copied.missing.values().any(|error| !is_gone(error)) && !arguments.quiet {
        print::err("warning: a check out of this layout says \"no such image\" of what could not be copied\n");
    }
    let missing = copied.missing.values();
    Ok(missing.fold(exit, |exit, error| exit.and(if is_gone(error) { Exit::Denied } else { Exit::Undecided })))
}

/// A line for each file that could name an image and can't be read.
fn unread(outcome: &Outcome) -> Vec<String> {
    let could = outcome.unread.iter().filter(|(_, unread)| unread.could_hold_reference);
    let line = |(file, unread): &(String, Unread)| {
        let at = format!("{file}:{}:{}", unread.place.line, unread.place.column);
        visible_lines(&format!("undecided: {at}: could hold an image and can't be read: {}", unread.reason)) + "\n"
    };
    could.map(line).collect()
}

/// What was copied and what was not, for people.
fn said(copied: &Copied, arguments: &Vendor) -> String {
    let mut lines = Vec::new();
    if arguments.verbose {
        for (name, found) in &copied.names {
            let digest = match name {
                Name::Tag(..) => format!(" {}", found.digest),
                Name::Digest(..) => String::new(),
            };
            lines.push(format!("{name}{digest}\n"));
        }
    }
    for (name, error) in &copied.missing {
        let verdict = if matches!(error, RegistryError::NotFound { .. }) { "not found" } else { "undecided" };
        lines.push(format!("{verdict}: {}: {}\n", visible_lines(name), visible_lines(&error.to_string())));
    }
    if !arguments.quiet {
        let (names, parts) = (plural(copied.names.len(), "name"), plural(copied.parts, "part"));
        let missing = match copied.missing.len() {
            0 => String::new(),
            missing => format!("; {missing} could not be copied"),
        };
        let out = arguments.out.display().to_string();
        lines.push(format!("{names} in {}: {parts}, {} bytes{missing}\n", visible_lines(&out), copied.bytes));
    }
    lines.concat()
}
