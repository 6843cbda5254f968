//! The JSON report, version 1; its schema is `docs/report.schema.json` and a test holds every output to it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Run;
use crate::digest::Digest;
use crate::finding::{Level, PolicyLine, Status};
use crate::outcome::{Counts, Judged, Outcome, Verdict};
use crate::registry::KnownBy;
use crate::source::{Part, Role, Subject};
use crate::span::Span;

#[derive(Serialize)]
struct Report<'a> {
    version: u8,
    run: RunJson<'a>,
    summary: Summary,
    references: Vec<ReferenceJson<'a>>,
    findings: Vec<FindingJson<'a>>,
    unread: Vec<UnreadJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edits: Option<Vec<EditJson<'a>>>,
}

#[derive(Serialize)]
struct RunJson<'a> {
    policy: Option<&'a str>,
    layouts: &'a [String],
    now: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    not_evaluated: &'a [&'static str],
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    unread: usize,
    ignored: usize,
    references: usize,
    images: usize,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct ReferenceJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    span: Option<Span>,
    document: usize,
    path: &'a str,
    format: &'a str,
    role: Role,
    text: &'a str,
    parts: Option<&'a [Part]>,
    editable: bool,
    image: Option<String>,
    digest: Option<&'a Digest>,
    known_by: Option<KnownBy>,
    verdict: Verdict,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    rule: &'a str,
    level: Level,
    status: Status,
    reference: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<PlaceJson<'a>>,
    message: &'a str,
    help: &'a str,
    policy: Option<&'a PolicyLine>,
}

#[derive(Serialize)]
struct PlaceJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
pub(super) struct UnreadJson<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) reason: &'a str,
}

#[derive(Serialize)]
struct EditJson<'a> {
    file: &'a str,
    span: Span,
    old: &'a str,
    new: &'a str,
}

/// One object, indented, ending in a newline.
pub(super) fn render(run: &Run, outcome: &Outcome) -> String {
    let report = Report {
        version: 1,
        run: RunJson {
            policy: run.policy.as_deref(),
            layouts: &run.layouts,
            now: run.now.to_string(),
            not_evaluated: &outcome.not_evaluated,
        },
        summary: summary(outcome),
        references: outcome.references.iter().map(|judged| reference(outcome, judged)).collect(),
        findings: outcome.findings.iter().map(finding).collect(),
        unread: outcome.unread.iter().map(|(file, unread)| super::json::unread(file, unread)).collect(),
        edits: (run.command == "pin").then(|| edits(outcome)),
    };
    super::json_of(&report)
}

fn summary(outcome: &Outcome) -> Summary {
    let images: BTreeSet<String> =
        outcome.references.iter().filter_map(|judged| image(&judged.occurrence.subject)).collect();
    Summary {
        files: outcome.files_read,
        unread: outcome.unread.len(),
        ignored: outcome.files_ignored,
        references: outcome.references.len(),
        images: images.len(),
        counts: outcome.counts(),
    }
}

/// The normalised name of an image; `None` where there is none.
pub(super) fn image(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Image(reference) => Some(reference.to_string()),
        Subject::Unresolvable { .. } | Subject::NotAnImage { .. } => None,
    }
}

pub(super) fn unread<'a>(file: &'a str, unread: &'a crate::source::Unread) -> UnreadJson<'a> {
    UnreadJson { file, line: unread.place.line, column: unread.place.column, reason: &unread.reason }
}

fn reference<'a>(outcome: &'a Outcome, judged: &'a Judged) -> ReferenceJson<'a> {
    let occurrence = &judged.occurrence;
    ReferenceJson {
        file: &outcome.files[judged.file].path,
        line: occurrence.place.line,
        column: occurrence.place.column,
        span: occurrence.span,
        document: occurrence.document,
        path: &occurrence.path,
        format: occurrence.format,
        role: occurrence.role,
        text: &occurrence.text,
        parts: occurrence.parts.as_deref(),
        editable: occurrence.uneditable.is_none() && matches!(occurrence.subject, Subject::Image(_)),
        image: image(&occurrence.subject),
        digest: judged.digest.as_ref(),
        known_by: judged.known_by,
        verdict: judged.verdict,
        reason: judged.reason.as_deref(),
    }
}

fn finding(finding: &crate::finding::Finding) -> FindingJson<'_> {
    FindingJson {
        rule: finding.rule,
        level: finding.level,
        status: finding.status,
        reference: finding.reference,
        place: finding.place.as_ref().map(|(file, place)| PlaceJson { file, line: place.line, column: place.column }),
        message: &finding.message,
        help: &finding.help,
        policy: finding.policy.as_ref(),
    }
}

fn edits(outcome: &Outcome) -> Vec<EditJson<'_>> {
    outcome
        .edits
        .iter()
        .map(|(file, edit)| EditJson {
            file: &outcome.files[*file].path,
            span: edit.span,
            old: &edit.old,
            new: &edit.new,
        })
        .collect()
}
