//! What is wrong with a policy or config, and where: plain values, to be drawn by the binary.
//! It keeps the text, so that a report shows the line without reading the file again.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::rule::setting::{SettingError, nearest, span_of};
use crate::span::{LineIndex, Place, Span};

/// The message of a null where a value should stand.
pub(super) const NO_VALUE: &str = "a key or list entry without a value";

/// A policy or config that can't be used. Always exit 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The file, as it was named.
    pub file: String,
    /// Line and column, from 1.
    pub place: Place,
    /// Bytes in `source`; may be empty where something is missing.
    pub span: Span,
    /// What is wrong; lower case.
    pub message: String,
    /// The way out.
    pub help: String,
    /// The whole text of the file.
    pub source: Arc<str>,
}

/// `file:line:column: message; help`.
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.place.line, self.place.column, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "; {}", self.help) }
    }
}

impl std::error::Error for PolicyError {}

/// The file that is being read; turns faults into errors with their place.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) file: &'a str,
    pub(super) whole: &'a str,
    lines: LineIndex<'a>,
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str, file: &'a str) -> Self {
        Self { file, whole: text, lines: LineIndex::new(text.as_bytes()) }
    }

    /// The line of a span, from 1.
    pub(super) fn line(&self, span: Span) -> usize {
        self.lines.line_at(span.start)
    }

    pub(super) fn error(&self, fault: SettingError) -> PolicyError {
        let SettingError { span, message, help } = fault;
        let end = span.end.min(self.whole.len());
        let span = Span::new(span.start.min(end), end);
        PolicyError {
            file: self.file.to_owned(),
            place: self.lines.place(span.start),
            span,
            message,
            help,
            source: Arc::from(self.whole),
        }
    }
}

/// What the reader of YAML refused in `text`, in our words.
pub(super) fn fault(error: &serde_saphyr::Error, text: &str) -> SettingError {
    use serde_saphyr::Error as E;
    let error = error.without_snippet();
    let span = error.location().map_or(Span::new(0, 0), |location| match location.span().byte_offset() {
        Some(_) => span_of(&location),
        None => at_line(text, location.line(), location.column()),
    });
    let (message, help) = match error {
        E::SerdeUnknownField { field, expected, .. } => (format!("unknown key `{field}`"), suggestion(field, expected)),
        E::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("`{variant}` is not possible here"), suggestion(variant, expected))
        }
        E::SerdeMissingField { field, .. } => (format!("key `{field}` is missing"), format!("add `{field}`")),
        E::DuplicateMappingKey { key, .. } => (
            key.as_ref().map_or_else(|| "a key stands twice".to_owned(), |key| format!("key `{key}` stands twice")),
            "leave it once".to_owned(),
        ),
        E::SerdeInvalidType { unexpected, expected, .. } | E::SerdeInvalidValue { unexpected, expected, .. } => {
            (format!("{unexpected} where {expected} is expected"), String::new())
        }
        E::Unexpected { expected: "mapping start", .. } => {
            ("a mapping is expected here".to_owned(), "write `key: value`".to_owned())
        }
        E::Unexpected { expected: "sequence start", .. } => {
            ("a list is expected here".to_owned(), "write `[one, two]`".to_owned())
        }
        E::Unexpected { expected: "string scalar", .. } => ("a text is expected here".to_owned(), String::new()),
        E::Unexpected { expected, .. } => (format!("{expected} is expected here"), String::new()),
        E::InvalidBooleanStrict { .. } => ("neither true nor false".to_owned(), "write `true` or `false`".to_owned()),
        E::Message { msg, .. } if msg == NO_VALUE => (msg.clone(), "write a value, or leave the key away".to_owned()),
        E::MergeKeyNotAllowed { .. } => ("merge keys (`<<`) are not read".to_owned(), "write the keys out".to_owned()),
        E::Budget { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => {
            ("the document holds more than a policy can".to_owned(), "write aliases out, and nest less".to_owned())
        }
        E::AliasError { error, .. } => {
            let inner = fault(error, text);
            (inner.message, inner.help)
        }
        other => {
            let message = one_line(&other.to_string());
            let tag = message.starts_with("unsupported tag");
            (message, if tag { "put quotes around a pattern that begins with `!`".to_owned() } else { String::new() })
        }
    };
    SettingError { span, message, help }
}

/// The nearest valid name, and all of them where they are few.
pub(super) fn suggestion(found: &str, expected: &[&str]) -> String {
    let mut help = String::new();
    if matches!(found, "signature" | "provenance") {
        let _ = write!(help, "this version has no rule `{found}` yet; ");
    } else if let Some(near) = nearest(found, expected.iter().copied()) {
        let _ = write!(help, "did you mean `{near}`? ");
    }
    let names: Vec<String> = expected.iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(help, "possible: {}", names.join(", "));
    help
}

/// The first line, without the position that the reader of YAML puts at its end.
fn one_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.rfind(" at line ") {
        Some(at) => line[..at].trim_end_matches([':', ',']).to_owned(),
        None => line.to_owned(),
    }
}

/// An empty span at a line and column, both from 1, the column in Unicode scalars.
fn at_line(text: &str, line: u64, column: u64) -> Span {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(number(line)).map(str::len).sum();
    let found = text[before..].lines().next().unwrap_or_default();
    let inside = found.char_indices().nth(number(column)).map_or(found.len(), |(at, _)| at);
    Span::new(before + inside, before + inside)
}
