//! Verdicts, counts and the one exit code. Everything that a report says and a caller acts on comes from here.
//! The exit code follows from the outcome, never from how it is printed.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::digest::Digest;
use crate::edit::Edit;
use crate::finding::{Finding, Level, Status};
use crate::reference::Reference;
use crate::registry::KnownBy;
use crate::source::{Occurrence, Unread};

/// What became of one reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every rule that applies holds.
    Allow,
    /// A deny-level rule is broken.
    Deny,
    /// A deny-level rule could not be decided, and none is broken.
    Undecided,
    /// Not an image, or left unjudged by the policy's own word; the reason stands beside it.
    Skipped,
}

impl Verdict {
    /// The verdict of these findings about one image: broken beats undecided beats allowed, and only `deny` counts.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut verdict = Self::Allow;
        for finding in findings {
            match (finding.level, finding.status) {
                (Level::Deny, Status::Violated) => return Self::Deny,
                (Level::Deny, Status::Undecided) => verdict = Self::Undecided,
                (Level::Warn, _) | (Level::Deny, Status::Excepted) => {}
            }
        }
        verdict
    }

    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Undecided => "undecided",
            Self::Skipped => "skipped",
        }
    }
}

/// One reference with its verdict.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Index of its file in [`Outcome::files`].
    pub file: usize,
    /// What was found.
    pub occurrence: Occurrence,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it was skipped, is undecided, or can't be edited.
    pub reason: Option<String>,
    /// The digest that was judged.
    pub digest: Option<Digest>,
    /// How the digest is known.
    pub known_by: Option<KnownBy>,
}

/// One file of the run that holds something to say.
#[derive(Clone, Debug)]
pub struct File {
    /// As it is shown.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// All that came out of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Files with references or with something unread, in the order of their paths.
    pub files: Vec<File>,
    /// How many files were read.
    pub files_read: usize,
    /// How many files `ignore:` left out.
    pub files_ignored: usize,
    /// Every reference, by file and offset.
    pub references: Vec<Judged>,
    /// Every finding, by reference; those about files and the policy last.
    pub findings: Vec<Finding>,
    /// What could not be read: file path and place.
    pub unread: Vec<(String, Unread)>,
    /// Edits by index of the file; only of allowed references.
    pub edits: Vec<(usize, Edit)>,
    /// Rules that `--no-resolve` left out, by id.
    pub not_evaluated: Vec<&'static str>,
    /// The bases that were asked for, by tag and by digest.
    pub bases: BTreeSet<Reference>,
}

/// The four counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Allowed.
    pub allow: usize,
    /// Denied.
    pub deny: usize,
    /// Undecided.
    pub undecided: usize,
    /// Skipped.
    pub skipped: usize,
}

/// The exit codes of every command, as the README lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every reference allowed or skipped.
    Clean,
    /// At least one denied, or something would change under `pin --check`.
    Denied,
    /// Wrong usage, no policy, an unreadable named file, nothing to look at, a failed write.
    Usage,
    /// At least one undecided.
    Undecided,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Denied => 1,
            Self::Usage => 2,
            Self::Undecided => 3,
        }
    }

    /// The one that takes precedence: 2, 1, 3, 0.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |exit| match exit {
            Self::Usage => 3,
            Self::Denied => 2,
            Self::Undecided => 1,
            Self::Clean => 0,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl Outcome {
    /// The four counts; they add up to the number of references.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for judged in &self.references {
            match judged.verdict {
                Verdict::Allow => counts.allow += 1,
                Verdict::Deny => counts.deny += 1,
                Verdict::Undecided => counts.undecided += 1,
                Verdict::Skipped => counts.skipped += 1,
            }
        }
        counts
    }

    /// The exit code that follows: by verdicts, and by deny-level findings about files.
    pub fn exit(&self) -> Exit {
        let by_reference = self.references.iter().map(|judged| match judged.verdict {
            Verdict::Deny => Exit::Denied,
            Verdict::Undecided => Exit::Undecided,
            Verdict::Allow | Verdict::Skipped => Exit::Clean,
        });
        let by_finding = self.findings.iter().filter(|finding| finding.reference.is_none()).map(|finding| {
            match (finding.level, finding.status) {
                (Level::Deny, Status::Violated) => Exit::Denied,
                (Level::Deny, Status::Undecided) => Exit::Undecided,
                _ => Exit::Clean,
            }
        });
        by_reference.chain(by_finding).fold(Exit::Clean, Exit::and)
    }

    /// The findings about one reference.
    pub fn findings_of(&self, reference: usize) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.reference == Some(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Level, status: Status) -> Finding {
        Finding {
            rule: "x",
            level,
            status,
            reference: None,
            place: None,
            message: String::new(),
            help: String::new(),
            policy: None,
        }
    }

    #[test]
    fn broken_beats_undecided_beats_allowed_and_only_deny_counts() {
        use Level::{Deny, Warn};
        use Status::{Excepted, Undecided, Violated};
        let rows: [(&[(Level, Status)], Verdict); 9] = [
            (&[], Verdict::Allow),
            (&[(Warn, Violated)], Verdict::Allow),
            (&[(Warn, Undecided)], Verdict::Allow),
            (&[(Deny, Excepted)], Verdict::Allow),
            (&[(Deny, Undecided)], Verdict::Undecided),
            (&[(Deny, Violated)], Verdict::Deny),
            (&[(Deny, Undecided), (Deny, Violated)], Verdict::Deny),
            (&[(Deny, Violated), (Deny, Undecided)], Verdict::Deny),
            (&[(Deny, Excepted), (Warn, Violated), (Deny, Undecided)], Verdict::Undecided),
        ];
        for (findings, verdict) in rows {
            let findings: Vec<Finding> = findings.iter().map(|(level, status)| finding(*level, *status)).collect();
            assert_eq!(Verdict::of(&findings), verdict);
        }
    }

    #[test]
    fn exit_codes_take_precedence_as_the_contract_says() {
        use Exit::{Clean, Denied, Undecided, Usage};
        for (a, b, both) in [
            (Clean, Clean, Clean),
            (Clean, Undecided, Undecided),
            (Denied, Undecided, Denied),
            (Undecided, Denied, Denied),
            (Denied, Usage, Usage),
            (Usage, Undecided, Usage),
        ] {
            assert_eq!(a.and(b), both);
        }
        assert_eq!([Clean, Denied, Usage, Undecided].map(Exit::code), [0, 1, 2, 3]);
    }

    #[test]
    fn a_deny_level_finding_about_a_file_decides_the_exit_code() {
        let mut outcome = Outcome::default();
        assert_eq!(outcome.exit(), Exit::Clean);
        outcome.findings.push(finding(Level::Warn, Status::Undecided));
        assert_eq!(outcome.exit(), Exit::Clean);
        outcome.findings.push(finding(Level::Deny, Status::Undecided));
        assert_eq!(outcome.exit(), Exit::Undecided);
    }
}
