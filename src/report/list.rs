//! What `list` prints: the references found, without any network and without a judgement.

use std::fmt::Write as _;

use serde::Serialize;

use super::json::{UnreadJson, image, unread};
use super::{Style, plural};
use crate::outcome::Verdict;
use crate::source::{Found, Occurrence, Part, Role, Subject, Unread};
use crate::span::Span;

/// One file of a listing.
#[derive(Debug)]
pub struct Listed {
    /// As it is shown.
    pub path: String,
    /// What was found in it.
    pub found: Found,
}

#[derive(Serialize)]
struct Report<'a> {
    version: u8,
    references: Vec<Row<'a>>,
    unread: Vec<UnreadJson<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// One JSON object, ending in a newline. `failed` are files that could not be read at all.
pub fn json(files: &[Listed], failed: &[(String, Unread)]) -> String {
    let rows = files.iter().flat_map(|file| file.found.occurrences.iter().map(move |found| row(&file.path, found)));
    let inside = files.iter().flat_map(|file| file.found.unread.iter().map(move |found| (file.path.as_str(), found)));
    let whole = failed.iter().map(|(path, found)| (path.as_str(), found));
    let mut unread_rows: Vec<_> = inside.chain(whole).collect();
    unread_rows.sort_by_key(|(path, found)| (*path, found.place));
    let report = Report {
        version: 1,
        references: rows.collect(),
        unread: unread_rows.into_iter().map(|(path, found)| unread(path, found)).collect(),
    };
    super::json_of(&report)
}

fn row<'a>(file: &'a str, found: &'a Occurrence) -> Row<'a> {
    let (verdict, reason) = verdict(found);
    Row {
        file,
        line: found.place.line,
        column: found.place.column,
        span: found.span,
        document: found.document,
        path: &found.path,
        format: found.format,
        role: found.role,
        text: &found.text,
        parts: found.parts.as_deref(),
        editable: found.uneditable.is_none() && matches!(found.subject, Subject::Image(_)),
        image: image(&found.subject),
        verdict,
        reason,
    }
}

fn verdict(found: &Occurrence) -> (Option<Verdict>, Option<&str>) {
    match &found.subject {
        Subject::Image(_) => (None, None),
        Subject::Unresolvable { reason } => (Some(Verdict::Undecided), Some(reason)),
        Subject::NotAnImage { reason } => (Some(Verdict::Skipped), Some(reason)),
    }
}

/// A line a reference: `file:line:column`, image, and what stands in the way of knowing it.
pub fn text(files: &[Listed], failed: &[(String, Unread)], style: Style) -> String {
    let mut text = String::new();
    let mut count = 0_usize;
    for file in files {
        for found in &file.found.occurrences {
            count += 1;
            let place = format!("{}:{}:{}", file.path, found.place.line, found.place.column);
            let shown = image(&found.subject).unwrap_or_else(|| found.text.clone());
            let note = match verdict(found) {
                (Some(verdict), reason) => format!("  [{}: {}]", verdict.word(), reason.unwrap_or_default()),
                (None, _) => found.assumes.as_ref().map_or_else(String::new, |what| format!("  [assumes {what}]")),
            };
            let place = super::text::visible(&place);
            let _ = writeln!(text, "{place}  {}{}", super::text::visible(&shown), super::text::visible(&note));
        }
    }
    for (path, found) in files
        .iter()
        .flat_map(|file| file.found.unread.iter().map(move |found| (&file.path, found)))
        .chain(failed.iter().map(|(path, found)| (path, found)))
    {
        let place = format!("{path}:{}:{}", found.place.line, found.place.column);
        let _ = writeln!(text, "{}  [unread: {}]", super::text::visible(&place), super::text::visible(&found.reason));
    }
    if style.verbose {
        let _ = writeln!(text, "{}, found in {}", plural(count, "reference"), plural(files.len(), "file"));
    }
    text
}
