//! From the parser crate's events to a tree, and from its spans to ours.
//! The crate's span of a quoted scalar holds the quotes and that of a block scalar its line ends; ours hold neither.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use crate::limits;
use crate::span::Span;
use crate::yaml::Broken;
use crate::yaml::tree::{Comment, Kind, Node, NodeId, Scalar, Style, Tree};

/// What a comment must hold to be kept: comments are for this tool's own words only.
const OUR_COMMENT: &str = "plimsoll:";
/// Consecutive comments that the parser may hold back; a file of a hundred thousand comment lines is still a file.
const COMMENTS: usize = 100_000;
/// Longest key without `?` in YAML, in characters, and in JSON.
const KEY: usize = 1_024;
const JSON_KEY: usize = 64 << 10;

/// Parses the text of one document; `base` is where it stands in the file and is added to every offset.
pub fn parse_text(text: &str, base: usize) -> Result<Tree<'_>, Broken> {
    parse(text, base, KEY)
}

/// As [`parse_text`], for a text that is known to be JSON, whose keys may be long (YAML 1.2.2, 7.4.2, has the limit).
pub(super) fn parse_json(text: &str, base: usize) -> Result<Tree<'_>, Broken> {
    parse(text, base, JSON_KEY)
}

fn parse(text: &str, base: usize, key: usize) -> Result<Tree<'_>, Broken> {
    let options = granit_parser::options! {
        emit_comments: text.contains(OUR_COMMENT),
        max_buffered_comment_events: COMMENTS,
        simple_key_max_lookahead: key,
        flow_nesting_limit: limits::YAML_DEPTH,
        block_nesting_limit: limits::YAML_DEPTH,
    };
    let mut builder = Builder { text, base, tree: Tree::default(), open: Vec::new(), anchors: HashMap::new() };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| Broken {
            offset: base + error.marker().byte_offset().unwrap_or_default().min(text.len()),
            reason: error.info(),
        })?;
        let start = span.start.byte_offset().unwrap_or_default().min(text.len());
        let end = span.end.byte_offset().unwrap_or_default().clamp(start, text.len());
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                let reason = "a second document without `---` in front of it".to_owned();
                return Err(Broken { offset: base + start, reason });
            }
        }
        builder.event(event, start, end)?;
    }
    Ok(builder.tree)
}

/// A collection that is being read.
struct Open {
    id: NodeId,
    key: Option<NodeId>,
}

struct Builder<'a> {
    text: &'a str,
    base: usize,
    tree: Tree<'a>,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, event: Event<'a>, start: usize, end: usize) -> Result<(), Broken> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let (span, scalar) = self.scalar(value, style, start, end);
                self.add(span, tag, Kind::Scalar(scalar), anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                let id = self.add((start, start), tag, Kind::Sequence(Vec::new()), anchor)?;
                self.enter(id, start)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                let id = self.add((start, start), tag, Kind::Mapping(Vec::new()), anchor)?;
                self.enter(id, start)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let node = &mut self.tree.nodes[open.id.0 as usize];
                    node.span.end = node.span.end.max(self.base + end);
                }
            }
            Event::Alias(anchor) => {
                let Some(target) = self.anchors.get(&anchor).copied() else {
                    return Err(self.broken(start, "an alias without its anchor"));
                };
                self.add((start, end), None, Kind::Alias(target), 0)?;
            }
            Event::UnresolvedAlias(_) => return Err(self.broken(start, "an alias without its anchor")),
            Event::Comment(text, _) => {
                let span = Span::new(self.base + start, self.base + end);
                self.tree.comments.push(Comment { span, text });
            }
            _ => {}
        }
        Ok(())
    }

    fn broken(&self, at: usize, reason: &str) -> Broken {
        Broken { offset: self.base + at, reason: reason.to_owned() }
    }

    fn enter(&mut self, id: NodeId, at: usize) -> Result<(), Broken> {
        if self.open.len() >= limits::YAML_DEPTH {
            return Err(self.broken(at, &format!("nested deeper than {} levels", limits::YAML_DEPTH)));
        }
        self.open.push(Open { id, key: None });
        Ok(())
    }

    fn add(
        &mut self,
        span: (usize, usize),
        tag: Option<Cow<'a, Tag>>,
        kind: Kind<'a>,
        anchor: usize,
    ) -> Result<NodeId, Broken> {
        let Ok(number) = u32::try_from(self.tree.nodes.len()) else {
            return Err(self.broken(span.0, "too many nodes"));
        };
        let id = NodeId(number);
        let tag = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into_boxed_str());
        self.tree.nodes.push(Node { span: Span::new(self.base + span.0, self.base + span.1), tag, kind });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(parent) = self.open.last_mut() else {
            self.tree.root.get_or_insert(id);
            return Ok(id);
        };
        match (&mut self.tree.nodes[parent.id.0 as usize].kind, parent.key.take()) {
            (Kind::Sequence(items), _) => items.push(id),
            (Kind::Mapping(pairs), Some(key)) => pairs.push((key, id)),
            (Kind::Mapping(_), None) => parent.key = Some(id),
            (Kind::Scalar(_) | Kind::Alias(_), _) => {}
        }
        Ok(id)
    }

    /// The span of the content alone, and whether its bytes are the value.
    fn scalar(
        &self,
        value: Cow<'a, str>,
        style: ScalarStyle,
        start: usize,
        end: usize,
    ) -> ((usize, usize), Scalar<'a>) {
        let raw = self.text.get(start..end).unwrap_or_default();
        let (style, (start, end)) = match style {
            ScalarStyle::Plain => (Style::Plain, (start, end)),
            ScalarStyle::SingleQuoted => (Style::Single, inside_quotes(raw, start)),
            ScalarStyle::DoubleQuoted => (Style::Double, inside_quotes(raw, start)),
            ScalarStyle::Literal => (Style::Literal, (start, start + raw.trim_end_matches(['\n', '\r', ' ']).len())),
            ScalarStyle::Folded => (Style::Folded, (start, start + raw.trim_end_matches(['\n', '\r', ' ']).len())),
        };
        // the parser writes `~` for a plain scalar of which nothing is written
        let value = if style == Style::Plain && start == end { Cow::Borrowed("") } else { value };
        let exact = self.text.get(start..end) == Some(value.as_ref());
        ((start, end), Scalar { value, style, exact })
    }
}

fn inside_quotes(raw: &str, start: usize) -> (usize, usize) {
    if raw.len() >= 2 { (start + 1, start + raw.len() - 1) } else { (start, start + raw.len()) }
}
