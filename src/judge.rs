//! Rules applied to one reference: which apply, what they say, what an exception takes back.
//! Pure: everything it knows is in its arguments.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::finding::{Finding, Level, PolicyLine, Status};
use crate::image::base::Bases;
use crate::image::{Image, ImageError, Platform};
use crate::policy::{Configured, Policy, State, Statement};
use crate::reference::Reference;
use crate::registry::RegistryError;
use crate::resolve::Answers;
use crate::rule::{Case, Judgement, Problem};
use crate::source::Occurrence;

/// A rule of a statement that fits a reference.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// The rule with its level and line.
    pub configured: &'a Configured,
    /// The statement it stands in.
    pub statement: &'a Statement,
}

/// What is known of a reference once a registry has answered.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The digest that is judged.
    pub digest: &'a Digest,
    /// What the tag names now.
    pub tag: Option<Result<&'a Digest, &'a RegistryError>>,
    /// The one child of the index that is pinned, where it is one.
    pub child: Option<&'a Image>,
    /// The first round of answers.
    pub answers: &'a Answers,
    /// The second round.
    pub more: &'a Answers,
    /// What each platform is built on, where some rule asks for it.
    pub bases: Option<&'a [Bases]>,
    /// What was pinned before, where the reference moves.
    pub previous: Option<Result<&'a Image, &'a ImageError>>,
}

/// What a case holds besides what registries answer.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Where the reference was found.
    pub occurrence: &'a Occurrence,
    /// The platforms that the user named.
    pub platforms: &'a [Platform],
    /// The run's clock.
    pub now: Timestamp,
}

/// Every rule of every statement that fits.
pub fn applied<'a>(policy: &'a Policy, reference: &Reference, path: &str, occurrence: &Occurrence) -> Vec<Applied<'a>> {
    let fits = |statement: &&Statement| statement.fits(reference, path, occurrence.format, occurrence.role);
    policy
        .statements()
        .iter()
        .filter(fits)
        .flat_map(|statement| statement.rules().iter().map(move |configured| Applied { configured, statement }))
        .collect()
}

/// A case for rules that need nothing from a registry.
pub fn text_case<'a>(reference: &'a Reference, setting: Setting<'a>) -> Case<'a> {
    let Setting { occurrence, platforms, now } = setting;
    let run_as = occurrence.run_as.as_deref();
    Case {
        reference,
        digest: None,
        tag: None,
        tag_children: None,
        image: None,
        bases: None,
        previous: None,
        run_as,
        now,
        platforms,
    }
}

/// A case with all that was asked.
pub fn full_case<'a>(reference: &'a Reference, facts: &Facts<'a>, setting: Setting<'a>) -> Case<'a> {
    let repository = reference.repository();
    let read = |answers: &'a Answers| answers.image(repository, facts.digest);
    let image = read(facts.answers).or_else(|| read(facts.more)).or_else(|| facts.child.map(Ok));
    let tag_children = match (facts.tag, facts.child) {
        // The child that will be pinned was found in the index that the tag names.
        (Some(Ok(_)), Some(child)) => Some(Ok(std::slice::from_ref(child.digest()))),
        (Some(Ok(tag)), None) => facts.answers.children(repository, tag),
        _ => None,
    };
    Case {
        digest: Some(facts.digest),
        tag: facts.tag,
        tag_children,
        image,
        bases: facts.bases,
        previous: facts.previous,
        ..text_case(reference, setting)
    }
}

/// By what a run judges, and which of its exceptions have covered something so far.
#[derive(Debug)]
pub struct Judging<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The run's clock.
    pub now: Timestamp,
    /// Exceptions that covered something, by index.
    pub used: BTreeSet<usize>,
}

/// What `rules` say of `case`; exceptions and inline ignores that cover a finding are noted in it.
pub fn check(
    judging: &mut Judging<'_>,
    rules: &[Applied<'_>],
    case: &Case<'_>,
    occurrence: &Occurrence,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for applied in rules {
        let (status, problem) = match applied.configured.rule.check(case) {
            Judgement::Satisfied => continue,
            Judgement::Violated(problem) => (Status::Violated, problem),
            Judgement::Undecided(problem) => (Status::Undecided, problem),
        };
        let rule = applied.configured.rule.id();
        let (status, problem) = excepted(judging, rule, case, occurrence, status, problem);
        findings.push(Finding {
            rule,
            level: applied.configured.level,
            status,
            reference: None,
            place: None,
            message: problem.message,
            help: problem.help,
            policy: Some(judging.line(applied.configured.line)),
        });
    }
    findings
}

impl Judging<'_> {
    fn line(&self, line: usize) -> PolicyLine {
        PolicyLine { file: self.policy.file().to_owned(), line }
    }
}

fn excepted(
    judging: &mut Judging<'_>,
    rule: &'static str,
    case: &Case<'_>,
    occurrence: &Occurrence,
    status: Status,
    problem: Problem,
) -> (Status, Problem) {
    let policy = judging.policy;
    for (at, exception) in policy.exceptions().iter().enumerate() {
        if exception.fits(case.reference, case.digest, rule) && exception.state(judging.now).counts() {
            judging.used.insert(at);
            let (until, owner, reason) = (exception.expires(), exception.owner(), exception.reason());
            let message = format!("{}; excepted until {until} by {owner}: {reason}", problem.message);
            return (Status::Excepted, Problem { message, ..problem });
        }
    }
    let ignored =
        occurrence.ignores.iter().find(|ignore| ignore.rule == rule && policy.inline_ignores().contains(&rule));
    match ignored {
        Some(ignore) => {
            let reason = if ignore.reason.is_empty() { "no reason given" } else { ignore.reason.as_str() };
            let message = format!("{}; ignored by a comment in the file: {reason}", problem.message);
            (Status::Excepted, Problem { message, ..problem })
        }
        None => (status, problem),
    }
}

/// The built-in finding of a reference that no statement with a deny-level rule fits.
pub fn unmatched(policy: &Policy, reference: &Reference) -> Finding {
    Finding {
        rule: "unmatched",
        level: Level::Deny,
        status: Status::Violated,
        reference: None,
        place: None,
        message: format!("no statement with a deny-level rule fits {reference}, and what nothing judges is denied"),
        help: format!("add a statement to {} that matches it, with a rule at level deny", policy.file()),
        policy: None,
    }
}

/// The built-in finding of a reference that a registry doesn't have, or doesn't speak of.
pub fn exists(status: Status, message: String, help: &str) -> Finding {
    Finding {
        rule: "exists",
        level: Level::Deny,
        status,
        reference: None,
        place: None,
        message,
        help: help.to_owned(),
        policy: None,
    }
}

/// Whether an error is an answer about the image, and what to do about it.
pub fn absence(error: &RegistryError) -> (Status, &'static str) {
    match error {
        RegistryError::NotFound { .. } => (Status::Violated, "correct the name, tag or digest, or push the image"),
        RegistryError::Unauthorized { .. } | RegistryError::Forbidden { .. } => {
            (Status::Undecided, "log in to the registry (`docker login`), or check that the repository exists")
        }
        RegistryError::RateLimited { anonymous: true, .. } => {
            (Status::Undecided, "log in to the registry (`docker login`), use a mirror, or try again later")
        }
        RegistryError::RateLimited { anonymous: false, .. } => (Status::Undecided, "use a mirror, or try again later"),
        RegistryError::Offline { .. } => {
            (Status::Undecided, "run without --offline, or add the image to a layout (`plimsoll vendor`)")
        }
        RegistryError::Refused { .. } => (
            Status::Undecided,
            "look at the registry settings of this machine, and at where the registry sends its clients",
        ),
        RegistryError::Local { .. } => (Status::Undecided, "mend the registry settings of this machine"),
        RegistryError::WrongBytes { .. } | RegistryError::Malformed { .. } | RegistryError::TooLarge { .. } => {
            (Status::Undecided, "do not run this image; the registry, or something before it, is not sound")
        }
        RegistryError::TooMany { .. } => (Status::Undecided, "remove what is no longer needed from the registry"),
        RegistryError::Status { .. } | RegistryError::TimedOut { .. } | RegistryError::Unreachable { .. } => {
            (Status::Undecided, "try again; if it stays, look at the registry and the network")
        }
    }
}

/// Exceptions that are past their day, soon will be, or (where the run was over the whole) covered nothing.
pub fn policy_findings(judging: &Judging<'_>, whole: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, exception) in judging.policy.exceptions().iter().enumerate() {
        let (image, expires, owner) = (exception.image().text(), exception.expires(), exception.owner());
        let (rule, message, help) = match exception.state(judging.now) {
            State::Past => (
                "exception-expired",
                format!("the exception for {image} ended on {expires} and counts no more"),
                format!("take it out, or ask {owner} for a new day"),
            ),
            _ if whole && !judging.used.contains(&at) => (
                "exception-unused",
                format!("the exception for {image} covered nothing in this run"),
                "take it out once no file needs it".to_owned(),
            ),
            State::Ending { days } => (
                "exception-expiring",
                format!("the exception for {image} ends on {expires}, in {days} days"),
                format!("ask {owner} to mend the image, or for a new day"),
            ),
            State::Active => continue,
        };
        findings.push(Finding {
            rule,
            level: Level::Warn,
            status: Status::Violated,
            reference: None,
            place: None,
            message,
            help,
            policy: Some(judging.line(exception.line())),
        });
    }
    findings
}
