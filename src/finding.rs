//! What a rule has to say: level, status, message and help, each with the policy line that asked.
//! A finding is a value; it neither decides a verdict nor prints itself.

use serde::{Deserialize, Serialize};

use crate::span::Place;

/// How much a rule's violation weighs. `off` is a setting, never a finding's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Decides the verdict.
    Deny,
    /// Is reported and decides nothing.
    Warn,
}

/// What a rule found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The rule is broken.
    Violated,
    /// The rule could not be decided: absent, invalid and unreachable are told apart in the message.
    Undecided,
    /// Broken, and an exception of the policy covers it.
    Excepted,
}

/// A line of the policy that asked for something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PolicyLine {
    /// The policy file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

/// One thing that is to be said about a reference, a file or the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's or the built-in's id.
    pub rule: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// What was found out.
    pub status: Status,
    /// Index into the references of the run; `None` for a finding about a file or the policy.
    pub reference: Option<usize>,
    /// The file and place, where the finding is about a file and no reference.
    pub place: Option<(String, Place)>,
    /// What was looked for, where, and what was found; lower case, one sentence.
    pub message: String,
    /// What to do next.
    pub help: String,
    /// The policy line that asked for it; `None` for a built-in that no line mentions.
    pub policy: Option<PolicyLine>,
}
