//! From nodes of one document to occurrences: place, text, subject, whether it may be edited, and the ignores beside it.
//! Shared by the formats that are YAML or JSON.

use std::collections::BTreeMap;

use crate::source::place::{Hit, Shape};
use crate::source::template::Masked;
use crate::source::{Ignore, Occurrence, Part, Role, RunAs, Subject, run_as, subject};
use crate::span::{LineIndex, Span};
use crate::yaml::{NodeId, Style, Tree};

/// One document of a file, as occurrences need to know it.
#[derive(Debug)]
pub(crate) struct Page<'p, 'a> {
    format: &'static str,
    document: usize,
    bytes: &'p [u8],
    lines: &'p LineIndex<'p>,
    tree: &'p Tree<'a>,
    /// The template that the document is, with the offset of its text in the file.
    template: Option<(&'p Masked, usize)>,
    fixed: Option<&'static str>,
    ignores: BTreeMap<usize, Vec<Ignore>>,
}

impl<'p, 'a> Page<'p, 'a> {
    /// The page of a document that was read as `tree`.
    pub(crate) fn new(
        format: &'static str,
        document: usize,
        bytes: &'p [u8],
        lines: &'p LineIndex<'p>,
        tree: &'p Tree<'a>,
    ) -> Self {
        let ignores = ignores(bytes, lines, tree);
        Self { format, document, bytes, lines, tree, template: None, fixed: None, ignores }
    }

    /// The same page, of a template whose text stands at `base`; nothing in it is edited unless it parses with its
    /// actions too, for only then can an edit be proved by reading it again.
    pub(crate) fn of_template(self, masked: &'p Masked, base: usize, parses: bool) -> Self {
        let fixed = (!parses).then_some("it stands in a template");
        Self { template: Some((masked, base)), fixed, ..self }
    }

    /// The page of a text inside this one: other bytes, lines and nodes, the same document of the same format.
    pub(crate) fn within<'q, 'b>(&self, bytes: &'q [u8], lines: &'q LineIndex<'q>, tree: &'q Tree<'b>) -> Page<'q, 'b> {
        Page::new(self.format, self.document, bytes, lines, tree)
    }

    /// The bytes that the nodes' spans are of.
    pub(crate) fn bytes(&self) -> &'p [u8] {
        self.bytes
    }

    /// The lines of these bytes.
    pub(crate) fn lines(&self) -> &'p LineIndex<'p> {
        self.lines
    }

    /// Whether an action of the template stands in a node.
    pub(crate) fn is_masked(&self, node: NodeId) -> bool {
        let span = self.tree.node(node).span;
        self.template.is_some_and(|(masked, base)| {
            let span = Span::new(span.start - base, span.end - base);
            masked.touches(span) || span.is_empty() && masked.follows(span.start)
        })
    }

    /// What stands at a place.
    pub(crate) fn occurrence(&self, hit: &Hit) -> Occurrence {
        let node = self.tree.node(hit.node);
        let mut span = node.span;
        let mut uneditable = self.fixed.map(str::to_owned);
        let (text, subject) = match self.tree.scalar(hit.node) {
            None => {
                uneditable = Some("it is no scalar".to_owned());
                span = Span::new(span.start, span.start);
                let reason = "a map or a list, not a string".to_owned();
                let subject = match hit.shape {
                    _ if self.is_masked(hit.node) => {
                        unresolvable("a template; what it becomes is not known from this file")
                    }
                    Shape::Wrong(reason) => unresolvable(reason),
                    Shape::Right | Shape::Url => Subject::NotAnImage { reason },
                };
                (String::new(), subject)
            }
            Some(_) if self.is_masked(hit.node) => {
                let raw = span.of(self.bytes).unwrap_or_default();
                let text = String::from_utf8_lossy(raw).into_owned();
                (text, unresolvable("a template; what it becomes is not known from this file"))
            }
            Some(scalar) => {
                let mut text = scalar.value.as_ref();
                if !scalar.exact {
                    let reason = "its value is written with escapes or over several lines";
                    uneditable.get_or_insert_with(|| reason.to_owned());
                }
                if hit.shape == Shape::Url
                    && let Some(rest) = text.strip_prefix("docker://")
                {
                    span.start += if scalar.exact { text.len() - rest.len() } else { 0 };
                    text = rest;
                }
                let subject = match (&hit.shape, node.tag.as_deref()) {
                    (_, Some(tag)) if !matches!(tag, "!" | "tag:yaml.org,2002:str") => {
                        unresolvable("an explicit tag, which may make another text of it")
                    }
                    (_, None) if scalar.style == Style::Plain => subject::plain(text),
                    _ => subject::string(text),
                };
                (text.to_owned(), subject)
            }
        };
        let subject = match (&hit.shape, subject) {
            (Shape::Wrong(reason), Subject::Image(_)) => unresolvable(reason),
            (_, subject) => subject,
        };
        let place = self.lines.place(span.start);
        Occurrence {
            format: self.format,
            place,
            span: Some(span),
            parts: None,
            slot: None,
            document: self.document,
            path: hit.path.clone(),
            role: hit.role,
            text,
            subject,
            assumes: None,
            uneditable,
            run_as: self.run_as(hit),
            ignores: self.ignores_at(place.line),
        }
    }

    /// As whom the image at a place is run. What a template's actions leave of it, or write there, is not known.
    fn run_as(&self, hit: &Hit) -> Option<Box<RunAs>> {
        let said = hit.run_as.as_ref()?;
        match self.template {
            Some(_) => Some(Box::new(run_as::unknown("what a template makes of it"))),
            None => Some(said.clone()).filter(|said| **said != RunAs::default()),
        }
    }

    /// An image that is composed of several nodes, `at` the one that holds its name; the text is what they compose.
    pub(crate) fn composed(&self, path: String, role: Role, at: NodeId, text: String, parts: Vec<Part>) -> Occurrence {
        let place = self.lines.place(self.tree.node(self.tree.resolve(at)).span.start);
        Occurrence {
            format: self.format,
            place,
            span: None,
            parts: Some(parts),
            slot: None,
            document: self.document,
            path,
            role,
            subject: subject::string(&text),
            text,
            assumes: None,
            uneditable: None,
            run_as: None,
            ignores: self.ignores_at(place.line),
        }
    }

    /// The bytes under a span, as they stand in the file.
    pub(crate) fn bytes_of(&self, span: Span) -> Option<&'p [u8]> {
        span.of(self.bytes)
    }

    /// The ignores that speak of a line.
    pub(crate) fn ignores_at(&self, line: usize) -> Vec<Ignore> {
        self.ignores.get(&line).cloned().unwrap_or_default()
    }
}

fn unresolvable(reason: &str) -> Subject {
    Subject::Unresolvable { reason: reason.to_owned() }
}

/// The ignores by the line that they speak of: their own, and the next where the comment stands alone.
fn ignores(bytes: &[u8], lines: &LineIndex<'_>, tree: &Tree<'_>) -> BTreeMap<usize, Vec<Ignore>> {
    let mut found: BTreeMap<usize, Vec<Ignore>> = BTreeMap::new();
    for comment in tree.comments() {
        let line = lines.place(comment.span.start).line;
        let before = lines.line(line);
        let alone = before.trim_ascii_start().starts_with(b"#");
        let rules = parse_ignore(&comment.text);
        debug_assert!(comment.span.of(bytes).is_some(), "a comment stands in the file");
        if !rules.is_empty() {
            found.entry(if alone { line + 1 } else { line }).or_default().extend(rules);
        }
    }
    found
}

/// `plimsoll: ignore[rule, rule] reason`, after the `#`.
pub(crate) fn parse_ignore(comment: &str) -> Vec<Ignore> {
    let inner =
        comment.trim_start().strip_prefix("plimsoll:").and_then(|rest| rest.trim_start().strip_prefix("ignore["));
    let Some((rules, reason)) = inner.and_then(|inner| inner.split_once(']')) else { return Vec::new() };
    let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
    rules.map(|rule| Ignore { rule: rule.to_owned(), reason: reason.trim().to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignore_comments() {
        let row = |rule: &str, reason: &str| Ignore { rule: rule.to_owned(), reason: reason.to_owned() };
        let rows = [
            (" plimsoll: ignore[pinned-digest] moves daily", vec![row("pinned-digest", "moves daily")]),
            ("plimsoll:ignore[a, b]", vec![row("a", ""), row("b", "")]),
            (" plimsoll: ignore[]", vec![]),
            (" plimsoll: ignore[a", vec![]),
            (" ignore[a] x", vec![]),
            (" see plimsoll: ignore[a] x", vec![]),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_ignore(text), expected, "{text}");
        }
    }
}
