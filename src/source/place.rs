//! Places in a document: the path to a node, how a node stands in an image's place, and anchors that others use too.
//! It knows no format.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::source::{Role, RunAs};
use crate::span::Span;
use crate::yaml::{Exhausted, Kind, NodeId, Tree};

/// A node in an image's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Path in the document.
    pub(crate) path: String,
    /// The node; never an alias.
    pub(crate) node: NodeId,
    /// The node at the place itself: the alias, where one stands there.
    pub(crate) at: NodeId,
    /// How it stands there.
    pub(crate) shape: Shape,
    /// What the image is used for.
    pub(crate) role: Role,
    /// As whom it is run; says nothing where only the place for it is there, which a template may fill.
    pub(crate) run_as: Option<Box<RunAs>>,
}

/// How a node stands in an image's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As the API has it.
    Right,
    /// As a URL, `docker://` and a reference.
    Url,
    /// Not as the API has it, and why; whether it runs can't be known.
    Wrong(&'static str),
}

/// All that was found in one document.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The nodes, in the order of the walk.
    pub(crate) hits: Vec<Hit>,
    /// The first key whose tag makes something else of it than its text (`!!binary aW1hZ2U=` is `image`).
    pub(crate) tagged_key: Option<NodeId>,
    /// Where the walk was given up, and why.
    pub(crate) spent: Option<(NodeId, Exhausted)>,
}

/// The anchored nodes among `hits` (each with the node at its place, which may be an alias) that are also used where no image stands: what is written to them is written there.
/// An anchor right below the top under a key that no object has (`x-image: &i a`) is read by nobody.
pub(crate) fn shared(tree: &Tree<'_>, hits: &[(NodeId, NodeId)]) -> HashSet<NodeId> {
    let aliases = tree.ids().filter(|id| tree.is_alias(*id)).map(|id| tree.resolve(id));
    let nodes: HashSet<NodeId> = hits.iter().map(|hit| hit.0).collect();
    let many: HashSet<NodeId> = aliases.filter(|node| nodes.contains(node)).collect();
    if many.is_empty() {
        return HashSet::new();
    }
    let mut images: HashSet<NodeId> = hits.iter().map(|hit| hit.1).collect();
    if let Some(Kind::Mapping(pairs)) = tree.root().map(|root| &tree.node(root).kind) {
        let known =
            |key: NodeId| tree.scalar(key).is_none_or(|key| ["kind", "apiVersion"].contains(&key.value.as_ref()));
        images.extend(pairs.iter().filter(|(key, _)| !known(*key)).map(|(_, value)| *value));
    }
    images.extend(unused(tree));
    let uses = tree.ids().filter(|id| !images.contains(id));
    uses.map(|id| tree.resolve(id)).filter(|node| many.contains(node)).collect()
}

/// The nodes below the top-level keys `x-…` that nobody reads: those that stand in no anchored map or list, which could be
/// merged into something.
fn unused(tree: &Tree<'_>) -> Vec<NodeId> {
    let Some(Kind::Mapping(pairs)) = tree.root().map(|root| &tree.node(root).kind) else { return Vec::new() };
    let is_extension = |key: NodeId| tree.scalar(key).is_some_and(|key| key.value.starts_with("x-"));
    let inside = |spans: &[Span], span: Span| {
        let at = spans.partition_point(|outer| outer.end < span.end);
        spans.get(at).is_some_and(|outer| outer.start <= span.start)
    };
    let extensions: Vec<Span> =
        pairs.iter().filter(|(key, _)| is_extension(*key)).map(|(_, value)| tree.node(*value).span).collect();
    if extensions.is_empty() {
        return Vec::new();
    }
    let is_collection = |id: &NodeId| tree.scalar(*id).is_none();
    let aliases = tree.ids().filter(|id| tree.is_alias(*id)).map(|id| tree.resolve(id)).filter(is_collection);
    let mut anchored: Vec<Span> = aliases.map(|id| tree.node(id).span).collect();
    anchored.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut end = 0;
    anchored.retain(|span| {
        let is_outermost = span.end > end;
        end = end.max(span.end);
        is_outermost
    });
    let is_unused = |id: &NodeId| {
        let span = tree.node(*id).span;
        !tree.is_alias(*id) && inside(&extensions, span) && !inside(&anchored, span)
    };
    tree.ids().filter(is_unused).collect()
}

/// Where the walk stands.
#[derive(Debug, Default)]
pub(crate) struct Path<'t>(Vec<Step<'t>>);

#[derive(Debug)]
pub(crate) enum Step<'t> {
    /// The value under a key.
    Key(Cow<'t, str>),
    /// An item of a list, from 0.
    Index(usize),
}

impl<'t> Path<'t> {
    /// Goes into a value.
    pub(crate) fn within(&mut self, step: Step<'t>) {
        self.0.push(step);
    }

    /// Goes out again.
    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// Whether a whole object may stand here: at the top, or as an item of lists. Inside another object the fields
    /// `kind` and `apiVersion` can be anybody's words, which a cluster may drop.
    pub(crate) fn is_object(&self) -> bool {
        self.0.iter().all(|step| match step {
            Step::Key(key) => key == "items",
            Step::Index(_) => true,
        })
    }
}

/// The path of the value under `key`, from the written path of its map.
pub(crate) fn under(path: &str, key: &str) -> String {
    let step = Path(vec![Step::Key(Cow::Borrowed(key))]).to_string();
    let dot = if path.is_empty() || step.starts_with('[') { "" } else { "." };
    format!("{path}{dot}{step}")
}

/// `spec.containers[0].image`; a key of other than letters, digits, `_` and `-` as `["a.b/c"]`.
impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if is_plain(key) && at == 0 => f.write_str(key)?,
                Step::Key(key) if is_plain(key) => write!(f, ".{key}")?,
                Step::Key(key) => {
                    f.write_str("[\"")?;
                    for found in key.chars() {
                        match found {
                            '"' | '\\' => write!(f, "\\{found}")?,
                            _ if found.is_control() => write!(f, "\\u{:04x}", u32::from(found))?,
                            _ => f.write_char(found)?,
                        }
                    }
                    f.write_str("\"]")?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
