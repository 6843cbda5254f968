//! A stream of YAML or JSON documents, read for a format that knows its places: broken documents are kept beside the
//! others, doubled keys, shared anchors and bombs are dealt with in one way for every such format.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::source::filter::Filter;
use crate::source::page::Page;
use crate::source::place::{self, Hit, Places};
use crate::source::select::{self, Selector};
use crate::source::{Found, Input, Occurrence, Pointer, RunAs, Unread};
use crate::span::{LineIndex, Span};
use crate::yaml::{self, Kind, NodeId, Tree};

/// One document that a format looks through, and what it says it found.
pub(crate) struct Sheet<'s, 'a> {
    /// The document.
    pub(crate) tree: &'s Tree<'a>,
    /// Makes occurrences of its nodes.
    pub(crate) page: &'s Page<'s, 'a>,
    /// Lines of the file.
    pub(crate) lines: &'s LineIndex<'s>,
    /// Where a walk was given up, and tagged keys; hits in it count as pushed.
    pub(crate) places: Places,
    /// What can't be read of it.
    pub(crate) unread: Vec<Unread>,
    /// Files that it names.
    pub(crate) pointers: Vec<Pointer>,
    pushed: Vec<(Occurrence, Vec<(NodeId, NodeId)>)>,
}

impl Sheet<'_, '_> {
    /// Selects by a table; see [`Selector`].
    pub(crate) fn select(&mut self, selectors: &[Selector]) {
        select::select(self.tree, selectors, &mut self.places);
    }

    /// Takes the hits so far out, for a format that makes occurrences of them by itself.
    pub(crate) fn take(&mut self) -> Vec<Hit> {
        std::mem::take(&mut self.places.hits)
    }

    /// Adds the occurrence that was made of a hit.
    pub(crate) fn push(&mut self, hit: &Hit, occurrence: Occurrence) {
        self.pushed.push((occurrence, vec![(hit.node, hit.at)]));
    }

    /// Adds an occurrence that is composed of several nodes, as they stand at their places (an alias, where one does).
    pub(crate) fn push_composed(&mut self, at: &[NodeId], occurrence: Occurrence) {
        self.pushed.push((occurrence, at.iter().map(|at| (self.tree.resolve(*at), *at)).collect()));
    }

    /// Notes something that can't be read at a node.
    pub(crate) fn unread_at(&mut self, node: NodeId, reason: impl Into<String>) {
        let place = self.lines.place(self.tree.node(node).span.start);
        self.unread.push(Unread { place, reason: reason.into(), could_hold_reference: true });
    }

    /// Hands a file over to a format.
    pub(crate) fn point(&mut self, node: NodeId, path: impl Into<String>, glob: bool, format: &'static str) {
        let place = self.lines.place(self.tree.node(node).span.start);
        self.pointers.push(Pointer { path: path.into(), glob, format, place });
    }
}

/// Reads a file for the format `id`. `keys` are the last keys of all its places: a document whose bytes hold none of
/// them, nor what could hide one, is not parsed. `each` looks through one document.
pub(crate) fn read(
    input: &Input<'_>,
    id: &'static str,
    keys: &[&str],
    each: &mut dyn FnMut(&mut Sheet<'_, '_>),
) -> Found {
    let lines = LineIndex::new(input.bytes);
    let mut found = Found::default();
    let unread = |found: &mut Found, offset: usize, reason: String, could_hold_reference: bool| {
        found.unread.push(Unread { place: lines.place(offset), reason, could_hold_reference });
    };
    let filter = Filter::of(keys.iter().copied());
    let wanted = |bytes: &[u8]| filter.passes(bytes);
    let documents = match yaml::documents_where(input.bytes, &wanted) {
        Ok(documents) => documents,
        Err(error) => {
            unread(&mut found, 0, error.to_string(), true);
            return found;
        }
    };
    for document in documents {
        let bytes = document.span.of(input.bytes).unwrap_or_default();
        let tree = match &document.tree {
            Ok(tree) => tree,
            Err(broken) => {
                unread(&mut found, broken.offset, broken.reason.clone(), true);
                continue;
            }
        };
        let page = Page::new(id, document.index, input.bytes, &lines, tree);
        let sheet = look(tree, &page, &lines, each);
        if let Some(first) = other_line_end(bytes) {
            let texts = |sheet: &Sheet<'_, '_>| -> BTreeSet<(String, String, Option<Box<RunAs>>)> {
                let text = |found: &Occurrence| (found.path.clone(), found.text.clone(), found.run_as.clone());
                sheet.pushed.iter().map(|(found, _)| text(found)).collect()
            };
            let other = with_other_line_ends(str::from_utf8(bytes).unwrap_or_default());
            let differs = match yaml::parse_text(&other, 0) {
                Ok(tree) => {
                    let lines = LineIndex::new(other.as_bytes());
                    let page = Page::new(id, document.index, other.as_bytes(), &lines, &tree);
                    texts(&look(&tree, &page, &lines, each)) != texts(&sheet)
                }
                Err(_) => true,
            };
            if differs {
                let reason =
                    "a line end that readers of YAML 1.1 and 1.2 do not agree on: they see different images here";
                unread(&mut found, document.span.start + first, reason.to_owned(), true);
            }
        }
        finish(sheet, &mut found, &lines);
    }
    found
}

/// Lets the format look through one document; what it left among the hits becomes occurrences.
fn look<'s, 'a>(
    tree: &'s Tree<'a>,
    page: &'s Page<'s, 'a>,
    lines: &'s LineIndex<'s>,
    each: &mut dyn FnMut(&mut Sheet<'_, '_>),
) -> Sheet<'s, 'a> {
    let (places, unread, pointers, pushed) = (Places::default(), Vec::new(), Vec::new(), Vec::new());
    let mut sheet = Sheet { tree, page, lines, places, unread, pointers, pushed };
    each(&mut sheet);
    for hit in sheet.take() {
        let occurrence = sheet.page.occurrence(&hit);
        sheet.push(&hit, occurrence);
    }
    sheet
}

/// Adds what a sheet holds to what was found: in order, each once, and marked where it must not be edited.
fn finish(sheet: Sheet<'_, '_>, found: &mut Found, lines: &LineIndex<'_>) {
    let Sheet { tree, places, unread, pointers, pushed, .. } = sheet;
    let nodes: Vec<(NodeId, NodeId)> = pushed.iter().flat_map(|(_, nodes)| nodes.iter().copied()).collect();
    let shared = place::shared(tree, &nodes);
    let doubled = doubled(tree);
    let mut occurrences: Vec<Occurrence> = Vec::with_capacity(pushed.len());
    for (mut occurrence, nodes) in pushed {
        if nodes.iter().any(|(node, _)| shared.contains(node)) {
            let reason = "an alias of it stands where no image does";
            occurrence.uneditable.get_or_insert_with(|| reason.to_owned());
        }
        if spans(&occurrence).any(|span| is_within(&doubled, span)) {
            occurrence.uneditable.get_or_insert_with(|| DOUBLED.to_owned());
        }
        occurrences.push(occurrence);
    }
    sort(&mut occurrences);
    found.occurrences.extend(occurrences);
    found.pointers.extend(pointers);
    let start = |node: NodeId| lines.place(tree.node(node).span.start);
    if let Some(key) = places.tagged_key.or_else(|| tagged_key(tree)) {
        let reason = "a key with an explicit tag, which may make another key of it".to_owned();
        found.unread.push(Unread { place: start(key), reason, could_hold_reference: true });
    }
    if let Some((node, exhausted)) = places.spent {
        let reason = exhausted.to_string();
        found.unread.push(Unread { place: start(node), reason, could_hold_reference: true });
    }
    found.unread.extend(unread);
}

/// The first key whose tag makes something else of it than its text.
fn tagged_key(tree: &Tree<'_>) -> Option<NodeId> {
    let is_odd = |key: &NodeId| {
        let tag = tree.node(tree.resolve(*key)).tag.as_deref();
        !matches!(tag, None | Some("!" | "tag:yaml.org,2002:str" | "tag:yaml.org,2002:merge"))
    };
    let keys = tree.ids().filter_map(|id| match &tree.node(id).kind {
        Kind::Mapping(pairs) => pairs.iter().map(|(key, _)| *key).find(is_odd),
        _ => None,
    });
    keys.min()
}

/// Why nothing below a doubled key is edited.
pub(crate) const DOUBLED: &str = "its key, or one above it, stands twice in its map; readers disagree on which counts";

/// Every span that an occurrence stands on.
pub(crate) fn spans(occurrence: &Occurrence) -> impl Iterator<Item = Span> {
    let parts = occurrence.parts.iter().flatten().map(|part| part.span);
    occurrence.span.into_iter().chain(parts)
}

/// In the order of the file, the same place under the same path once; a variable may write several texts there.
pub(crate) fn sort(occurrences: &mut Vec<Occurrence>) {
    fn key(of: &Occurrence) -> impl Ord + '_ {
        (of.place, of.span, &of.path, &of.text, &of.run_as)
    }
    occurrences.sort_by(|a, b| key(a).cmp(&key(b)));
    occurrences.dedup_by(|a, b| key(a) == key(b));
}

/// The line ends of YAML 1.1 that are none in 1.2.
const OTHER_ENDS: [(&str, &str); 3] = [("\u{85}", "\n\n"), ("\u{2028}", "\n\n\n"), ("\u{2029}", "\n\n\n")];

/// Where the first line end stands that only readers of YAML 1.1, Go's among them, take for one: what one takes for a
/// comment is content to the other.
pub(crate) fn other_line_end(bytes: &[u8]) -> Option<usize> {
    OTHER_ENDS.iter().filter_map(|(end, _)| memchr::memmem::find(bytes, end.as_bytes())).min()
}

/// The text as those readers see it, as long as it was.
pub(crate) fn with_other_line_ends(text: &str) -> String {
    OTHER_ENDS.iter().fold(text.to_owned(), |text, (end, line)| text.replace(end, line))
}

/// The spans of values whose key stands twice in its map, in order and none inside another.
pub(crate) fn doubled(tree: &Tree<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    for id in tree.ids() {
        let Kind::Mapping(pairs) = &tree.node(id).kind else { continue };
        let mut counts: HashMap<&str, usize> = HashMap::with_capacity(pairs.len());
        let key = |node| tree.scalar(node).map(|scalar| scalar.value.as_ref());
        for name in pairs.iter().filter_map(|(node, _)| key(*node)) {
            *counts.entry(name).or_default() += 1;
        }
        if counts.len() < pairs.len() {
            let twice = pairs.iter().filter(|(node, _)| key(*node).is_some_and(|name| counts[name] > 1));
            spans.extend(twice.map(|(_, value)| tree.node(*value).span));
        }
    }
    spans.sort_by_key(|span| (span.start, Reverse(span.end)));
    let mut end = 0;
    spans.retain(|span| {
        let outermost = span.end > end;
        end = end.max(span.end);
        outermost
    });
    spans
}

/// Whether `span` lies in one of `spans`, which are in order.
pub(crate) fn is_within(spans: &[Span], span: Span) -> bool {
    let at = spans.partition_point(|outer| outer.end < span.end);
    spans.get(at).is_some_and(|outer| outer.start <= span.start)
}
