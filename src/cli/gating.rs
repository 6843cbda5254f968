//! `check` and `pin`: the same gate, then a report, then for `pin` the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use plimsoll::edit::{self, Edit};
use plimsoll::finding::{Finding, Level, Status};
use plimsoll::gate::{self, Judge, Mode, Request};
use plimsoll::outcome::{Exit, Outcome, Verdict};
use plimsoll::report::{Run, plural};
use plimsoll::rule::built_in::NESTED_POLICY;
use plimsoll::source::Subject;
use plimsoll::span::Place;

use super::args::{Asking, Check, Output, Pin, ReportFormat};
use super::governing::{self, Config, Governing};
use super::quota::Watch;
use super::replace::{Replacement, replace};
use super::sources::{self, Gathered};
use super::{Failure, asking, diff, machine, network, print};

/// `plimsoll check`.
pub(crate) fn check(arguments: &Check) -> Result<Exit, Failure> {
    machine::one_use_of_input(arguments.asking.reaching.registry_token_stdin.as_deref(), &arguments.paths.paths)?;
    let now = arguments.policy.now.unwrap_or_else(Timestamp::now);
    let governing = governing::find(&arguments.policy, now)?.ok_or_else(governing::none_found)?;
    let named = governing::config(arguments.paths.config.as_deref(), arguments.policy.policy_from.as_deref())?;
    let gathered = sources::gather(&arguments.paths, named.as_ref(), Some(&governing))?;
    let gate = Gate {
        governing: Some(&governing),
        beside: governing.config.as_ref(),
        named: named.as_ref(),
        asking: &arguments.asking,
        judged: machine::judged(&arguments.paths.paths, Some(&governing.folder)),
        mode: Mode::Check,
        resolve: !arguments.no_resolve,
        whole: arguments.paths.paths.is_empty(),
        now,
        command: "check",
        output: &arguments.output,
    };
    let (run, outcome, _) = gate.run(gathered)?;
    print::reports(&run, &outcome, &arguments.output, false)?;
    Ok(outcome.exit())
}

/// `plimsoll pin`.
pub(crate) fn pin(arguments: &Pin) -> Result<Exit, Failure> {
    if arguments.asking.platform.len() > 1 {
        return Err(anyhow!("pin takes one --platform: a reference has room for one digest").into());
    }
    machine::one_use_of_input(arguments.asking.reaching.registry_token_stdin.as_deref(), &arguments.paths.paths)?;
    let now = arguments.policy.now.unwrap_or_else(Timestamp::now);
    let governing = governing::find(&arguments.policy, now)?;
    if governing.is_none() && !arguments.no_policy {
        return Err(governing::none_found());
    }
    let named = governing::config(arguments.paths.config.as_deref(), arguments.policy.policy_from.as_deref())?;
    let gathered = sources::gather(&arguments.paths, named.as_ref(), governing.as_ref())?;
    let stream = gathered.stream;
    let gate = Gate {
        governing: governing.as_ref().filter(|_| !arguments.no_policy),
        beside: governing.as_ref().and_then(|governing| governing.config.as_ref()),
        named: named.as_ref(),
        asking: &arguments.asking,
        judged: machine::judged(&arguments.paths.paths, governing.as_ref().map(|governing| governing.folder.as_path())),
        mode: Mode::Pin { update: arguments.update },
        resolve: true,
        whole: false,
        now,
        command: "pin",
        output: &arguments.output,
    };
    let (run, outcome, targets) = gate.run(gathered)?;
    let spliced = splice(&outcome, &targets)?;
    let mut exit = outcome.exit();
    if arguments.check && !outcome.edits.is_empty() {
        exit = exit.and(Exit::Denied);
    }
    if stream && !arguments.diff && !arguments.check {
        print::reports(&run, &outcome, &arguments.output, true)?;
        if exit == Exit::Clean {
            stream_out(&outcome, &spliced)?;
        }
        return Ok(exit);
    }
    if arguments.diff {
        for (file, new) in &spliced {
            print::out(diff::unified(&outcome.files[*file].path, &outcome.files[*file].bytes, new).as_bytes())?;
        }
        print::reports(&run, &outcome, &arguments.output, true)?;
        say_pinned(&outcome, arguments);
        return Ok(exit);
    }
    if !arguments.check {
        print::writable(&arguments.output.reports)?;
        replace(&replacements(&outcome, &targets, &spliced)?).map_err(anyhow::Error::from)?;
    }
    print::reports(&run, &outcome, &arguments.output, false)?;
    say_pinned(&outcome, arguments);
    Ok(exit)
}

/// The last line of `pin`, for people.
fn say_pinned(outcome: &Outcome, arguments: &Pin) {
    if arguments.output.quiet || arguments.output.reports.format != ReportFormat::Text {
        return;
    }
    let only_show = arguments.check || arguments.diff;
    let files: BTreeSet<usize> = outcome.edits.iter().map(|(file, _)| *file).collect();
    let left = outcome
        .references
        .iter()
        .filter(|judged| {
            judged.verdict == Verdict::Allow
                && judged.occurrence.uneditable.is_some()
                && matches!(&judged.occurrence.subject, Subject::Image(reference) if reference.digest().is_none())
        })
        .count();
    let verb = if only_show { "would pin" } else { "pinned" };
    let left = if left > 0 { format!("; {left} allowed but not editable, left as they are") } else { String::new() };
    let (edits, files) = (plural(outcome.edits.len(), "reference"), plural(files.len(), "file"));
    print::err(&format!("{verb} {edits} in {files}{left}\n"));
}

/// What `check` and `pin` share.
struct Gate<'a> {
    governing: Option<&'a Governing>,
    beside: Option<&'a Config>,
    named: Option<&'a Config>,
    asking: &'a Asking,
    judged: Vec<PathBuf>,
    mode: Mode,
    resolve: bool,
    whole: bool,
    now: Timestamp,
    command: &'static str,
    output: &'a Output,
}

impl Gate<'_> {
    fn run(&self, gathered: Gathered) -> Result<(Run, Outcome, Vec<sources::Target>), Failure> {
        let network = network::network(self.named, self.beside, &self.asking.reaching, &self.judged)?;
        let Gathered { mut files, unread, read, ignored, targets, nested, .. } = gathered;
        // `pin` leaves a file alone that must not be replaced, and judges its references as they stand.
        if self.mode != Mode::Check {
            for (file, target) in files.iter_mut().zip(&targets) {
                if let Some(why) = &target.refused {
                    for occurrence in &mut file.found.occurrences {
                        occurrence.uneditable.get_or_insert_with(|| why.clone());
                    }
                }
            }
        }
        let request = Request {
            files,
            unread,
            files_read: read,
            files_ignored: ignored,
            judge: self.governing.map_or(Judge::Nothing, |governing| Judge::Policy(&governing.policy)),
            mode: self.mode,
            platforms: &self.asking.platform,
            resolve: self.resolve,
            whole: self.whole,
            jobs: self.asking.reaching.jobs,
            now: self.now,
        };
        let watch = Watch::new(&network.router, asking::references(&request), self.output.quiet);
        let mut outcome = asking::watched(&watch, self.output.quiet, self.output.verbose, async |progress| {
            gate::run(request, &network.router, progress).await
        })?;
        network.say(self.output.quiet, self.output.verbose);
        outcome.findings.extend(nested.into_iter().map(nested_policy));
        let run = Run {
            policy: self.governing.map(|governing| governing.policy.file().to_owned()),
            layouts: network.layouts,
            now: self.now,
            command: self.command,
        };
        Ok((run, outcome, targets))
    }
}

fn nested_policy(path: String) -> Finding {
    Finding {
        rule: NESTED_POLICY.id,
        level: Level::Warn,
        status: Status::Violated,
        reference: None,
        message: format!("{path} is not used; one policy holds for a run"),
        place: Some((path, Place { line: 1, column: 1 })),
        help: "move its statements into the policy at the root, with `where: {paths: […]}`".to_owned(),
        policy: None,
    }
}

/// Splices and proves every file that has edits, before anything is written.
fn splice(outcome: &Outcome, targets: &[sources::Target]) -> Result<BTreeMap<usize, Vec<u8>>, Failure> {
    let mut by_file: BTreeMap<usize, Vec<Edit>> = BTreeMap::new();
    for (file, edit) in &outcome.edits {
        by_file.entry(*file).or_default().push(edit.clone());
    }
    let mut spliced = BTreeMap::new();
    for (file, edits) in by_file {
        let source = &outcome.files[file];
        let target = targets.get(file).context("an edited file has a format")?;
        let new = edit::apply(&|bytes| target.read(bytes), &source.bytes, &edits)
            .with_context(|| format!("{} is left alone, and so is every other file", source.path))?;
        spliced.insert(file, new);
    }
    Ok(spliced)
}

fn replacements(
    outcome: &Outcome,
    targets: &[sources::Target],
    spliced: &BTreeMap<usize, Vec<u8>>,
) -> anyhow::Result<Vec<Replacement>> {
    spliced
        .iter()
        .map(|(file, new)| {
            let source = &outcome.files[*file];
            let target = targets.get(*file).context("an edited file has a path")?;
            Ok(Replacement {
                path: target.path.clone(),
                shown: source.path.clone(),
                old: source.bytes.clone(),
                new: new.clone(),
            })
        })
        .collect()
}

fn stream_out(outcome: &Outcome, spliced: &BTreeMap<usize, Vec<u8>>) -> anyhow::Result<()> {
    match (spliced.values().next(), outcome.files.first()) {
        (Some(new), _) => print::out(new),
        (None, Some(file)) => print::out(&file.bytes),
        (None, None) => Ok(()),
    }
}
