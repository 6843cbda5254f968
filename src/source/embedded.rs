//! YAML inside a text of a YAML file: a patch in a block of a kustomization, containers in a block of a chart's values.
//! In a literal block the bytes are the text, so what is found has its own place and may be edited; elsewhere it is
//! found at the place of the whole text. It decides nothing about which texts are read: that is each format's business.

use crate::source::filter::Filter;
use crate::source::page::Page;
use crate::source::place::{Hit, Shape};
use crate::source::stream::{self, Sheet};
use crate::source::{Occurrence, Role, Subject};
use crate::span::{LineIndex, Span};
use crate::yaml::{self, NodeId, Style, Tree};

/// Looks through one document of a text; see [`hits`].
pub(crate) type Look<'l> = &'l mut dyn FnMut(&Tree<'_>, &Page<'_, '_>) -> Vec<Occurrence>;

/// Adds what `look` finds in the text at a node, which stands at `path`. A text that does not parse is unread where it
/// could hold one of `keys`.
pub(crate) fn find(sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str, keys: &[&str], look: Look<'_>) {
    let node = sheet.tree.resolve(at);
    let span = sheet.tree.node(node).span;
    let Some(scalar) = sheet.tree.scalar(node) else { return };
    let bytes = scalar.value.as_bytes();
    let mut found = Vec::new();
    let documents = match yaml::documents(bytes) {
        Ok(documents) => documents,
        Err(error) => return sheet.unread_at(node, format!("the text in it can't be read: {error}")),
    };
    let lines = LineIndex::new(bytes);
    for document in documents {
        match document.tree {
            Ok(tree) => found.extend(within(&tree, &sheet.page.within(bytes, &lines, &tree), path, look)),
            Err(broken) if Filter::of(keys.iter().copied()).passes(bytes) => {
                return sheet.unread_at(node, format!("the text in it can't be read: {}", broken.reason));
            }
            Err(_) => {}
        }
    }
    let in_place = if scalar.style == Style::Literal { in_place(sheet.page, span, path, look) } else { None };
    if let Some(exact) = in_place.filter(|exact| same(exact, &found)) {
        found = exact;
    } else {
        for occurrence in &mut found {
            occurrence.place = sheet.lines.place(span.start);
            occurrence.ignores = sheet.page.ignores_at(occurrence.place.line);
            occurrence.span = occurrence.span.map(|_| span);
            occurrence.parts = None;
            occurrence.slot = None;
            let reason =
                "it stands in a text inside the file: write that text as a literal block (`|-`), or edit it by hand";
            occurrence.uneditable.get_or_insert_with(|| reason.to_owned());
        }
    }
    let whole = Hit { path: path.to_owned(), node, at, shape: Shape::Right, role: Role::Run, run_as: None };
    for occurrence in found {
        sheet.push(&whole, occurrence);
    }
}

/// Occurrences of nodes in an image's place; numbers and nothing in a wrong one hide none.
pub(crate) fn hits(tree: &Tree<'_>, page: &Page<'_, '_>, hits: &[Hit]) -> Vec<Occurrence> {
    let aliases = tree.ids().any(|id| tree.is_alias(id));
    let mut found = Vec::new();
    for hit in hits {
        let mut occurrence = page.occurrence(hit);
        if matches!(hit.shape, Shape::Wrong(_)) && matches!(occurrence.subject, Subject::NotAnImage { .. }) {
            continue;
        }
        if aliases {
            occurrence.uneditable.get_or_insert_with(|| "aliases stand in the text around it".to_owned());
        }
        found.push(occurrence);
    }
    found
}

/// The same images.
fn same(exact: &[Occurrence], found: &[Occurrence]) -> bool {
    let key = |of: &Occurrence| (of.path.clone(), of.text.clone(), of.subject.clone());
    exact.len() == found.len() && exact.iter().zip(found).all(|(a, b)| key(a) == key(b))
}

/// What one document inside a text holds, with the text's path in front of its own.
fn within(tree: &Tree<'_>, page: &Page<'_, '_>, path: &str, look: Look<'_>) -> Vec<Occurrence> {
    let doubled = stream::doubled(tree);
    let mut occurrences = look(tree, page);
    for occurrence in &mut occurrences {
        if stream::spans(occurrence).any(|span| stream::is_within(&doubled, span)) {
            occurrence.uneditable.get_or_insert_with(|| stream::DOUBLED.to_owned());
        }
        let joint = if occurrence.path.is_empty() || occurrence.path.starts_with('[') { "" } else { "." };
        occurrence.path = format!("{path}{joint}{}", occurrence.path);
    }
    occurrences
}

/// Reads the bytes of a literal block where they stand: white space in front of all its lines is none to YAML.
fn in_place(page: &Page<'_, '_>, span: Span, path: &str, look: Look<'_>) -> Option<Vec<Occurrence>> {
    let bytes = page.bytes();
    let start = bytes.get(..span.start)?.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let indent = span.start - start;
    if !bytes[start..span.start].iter().all(|byte| *byte == b' ') {
        return None;
    }
    let (mut from, mut at, mut chunks) = (start, start, Vec::new());
    for line in bytes.get(start..span.end)?.split_inclusive(|byte| *byte == b'\n') {
        let marker = line.get(indent..).and_then(|inner| inner.strip_prefix(b"---"));
        if marker.is_some_and(|rest| rest.trim_ascii().is_empty()) {
            chunks.push((from, at));
            from = at + line.len();
        }
        at += line.len();
    }
    chunks.push((from, at));
    let mut found = Vec::new();
    for (from, to) in chunks {
        let tree = yaml::parse_text(str::from_utf8(&bytes[from..to]).ok()?, from).ok()?;
        found.extend(within(&tree, &page.within(bytes, page.lines(), &tree), path, look));
    }
    Some(found)
}
