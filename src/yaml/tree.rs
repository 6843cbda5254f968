//! The nodes of one document, in an arena: aliases stay links, merge keys are applied when a mapping is asked for its
//! entries, duplicate keys all stay. Following links spends a budget, so that a bomb ends at its place.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::limits;
use crate::span::Span;

/// A node of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// A block after `|`.
    Literal,
    /// A block after `>`.
    Folded,
}

/// A scalar as it reads.
#[derive(Clone, Debug)]
pub struct Scalar<'a> {
    /// Its value, escapes and folds resolved; empty where nothing is written.
    pub value: Cow<'a, str>,
    /// How it is written.
    pub style: Style,
    /// Whether the bytes under the node's span are the value, byte for byte.
    pub exact: bool,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// A scalar.
    Scalar(Scalar<'a>),
    /// A sequence.
    Sequence(Vec<NodeId>),
    /// A mapping: every key with its value, in the order of the text, duplicates and merge keys included.
    Mapping(Vec<(NodeId, NodeId)>),
    /// An alias of that node; always resolved inside its document.
    Alias(NodeId),
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// A scalar's content without quotes, anchor, tag and block header; a collection from its first byte.
    pub span: Span,
    /// The explicit tag with its handle resolved: `tag:yaml.org,2002:str`, `!`, `!Ref`.
    pub tag: Option<Box<str>>,
    /// What it is.
    pub kind: Kind<'a>,
}

/// A comment.
#[derive(Clone, Debug)]
pub struct Comment<'a> {
    /// From `#` to the end of its line.
    pub span: Span,
    /// What stands after `#`.
    pub text: Cow<'a, str>,
}

/// One entry of a mapping after merge keys.
#[derive(Clone, Debug)]
pub struct Entry<'t> {
    /// The key as it reads; `?` where it is no scalar.
    pub key: Cow<'t, str>,
    /// The key's own node.
    pub key_node: NodeId,
    /// The value; may be an alias.
    pub value: NodeId,
    /// Whether it came by a merge key.
    pub merged: bool,
}

impl Entry<'_> {
    /// Whether it is the merge key itself, whose entries stand among the others.
    pub fn is_merge_key(&self) -> bool {
        self.key == "<<" && !self.merged
    }
}

/// What following aliases and merge keys may still cost in one document, and how deep a walk of it is.
#[derive(Debug)]
pub struct Budget {
    visits: usize,
    followed: usize,
    depth: usize,
}

/// The budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("aliases and merge keys make the document too large to follow")]
pub struct Exhausted;

impl Budget {
    /// That of one document.
    #[expect(clippy::new_without_default, reason = "a budget is taken on purpose, once a document")]
    pub fn new() -> Self {
        Self { visits: limits::YAML_VISITS, followed: limits::YAML_FOLLOWED, depth: 0 }
    }

    /// Spends the work of looking at so many nodes.
    fn visit(&mut self, nodes: usize) -> Result<(), Exhausted> {
        self.visits = self.visits.checked_sub(nodes).ok_or(Exhausted)?;
        Ok(())
    }

    /// Spends one node; `followed` where it was reached through an alias or a merge key.
    pub fn spend(&mut self, followed: bool) -> Result<(), Exhausted> {
        self.visits = self.visits.checked_sub(1).ok_or(Exhausted)?;
        if followed {
            self.followed = self.followed.checked_sub(1).ok_or(Exhausted)?;
        }
        Ok(())
    }

    /// As [`Budget::spend`], for a node whose inside is looked at next, no deeper than the limit.
    pub fn enter(&mut self, followed: bool) -> Result<(), Exhausted> {
        self.spend(followed)?;
        if self.depth >= limits::YAML_DEPTH {
            return Err(Exhausted);
        }
        self.depth += 1;
        Ok(())
    }

    /// Ends what [`Budget::enter`] began.
    pub fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// One document's nodes.
#[derive(Debug, Default)]
pub struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) root: Option<NodeId>,
    pub(super) comments: Vec<Comment<'a>>,
}

impl Tree<'_> {
    /// The same tree, holding its own texts.
    pub(super) fn into_owned(self) -> Tree<'static> {
        let node = |node: Node<'_>| Node {
            span: node.span,
            tag: node.tag,
            kind: match node.kind {
                Kind::Scalar(scalar) => Kind::Scalar(Scalar {
                    value: Cow::Owned(scalar.value.into_owned()),
                    style: scalar.style,
                    exact: scalar.exact,
                }),
                Kind::Sequence(items) => Kind::Sequence(items),
                Kind::Mapping(pairs) => Kind::Mapping(pairs),
                Kind::Alias(target) => Kind::Alias(target),
            },
        };
        let comment =
            |comment: Comment<'_>| Comment { span: comment.span, text: Cow::Owned(comment.text.into_owned()) };
        Tree {
            nodes: self.nodes.into_iter().map(node).collect(),
            root: self.root,
            comments: self.comments.into_iter().map(comment).collect(),
        }
    }
}

impl<'a> Tree<'a> {
    /// The top node; `None` for a document of nothing at all.
    pub fn root(&self) -> Option<NodeId> {
        self.root
    }

    /// Every node, in the order of the text.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    /// The comments, where the text holds any that speak to this tool; other texts' comments are not kept.
    pub fn comments(&self) -> &[Comment<'a>] {
        &self.comments
    }

    /// The node as it stands there.
    pub fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0 as usize]
    }

    /// The node behind an alias, or the node itself.
    pub fn resolve(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            // an alias always names an anchored node, which is never an alias itself
            Kind::Alias(target) => target,
            _ => id,
        }
    }

    /// Whether it is an alias.
    pub fn is_alias(&self, id: NodeId) -> bool {
        matches!(self.node(id).kind, Kind::Alias(_))
    }

    /// The scalar at a node or behind its alias.
    pub fn scalar(&self, id: NodeId) -> Option<&Scalar<'a>> {
        match &self.node(self.resolve(id)).kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The items of a sequence at a node or behind its alias.
    pub fn items(&self, id: NodeId) -> Option<&[NodeId]> {
        match &self.node(self.resolve(id)).kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Whether a mapping stands at a node or behind its alias.
    pub fn is_mapping(&self, id: NodeId) -> bool {
        matches!(self.node(self.resolve(id)).kind, Kind::Mapping(_))
    }

    /// The entries of a mapping with merge keys applied; empty for another node.
    ///
    /// A merged entry is left out only where the mapping itself sets the key *after* the merge key: readers of YAML
    /// 1.1 disagree on a key in front of it (Go's yaml.v2, which kubectl uses, lets the later merge win), so both are
    /// given. Of several sources in one list the first wins in every reader.
    pub fn entries(&self, id: NodeId, budget: &mut Budget) -> Result<Vec<Entry<'_>>, Exhausted> {
        let mut open = Vec::new();
        self.entries_within(self.resolve(id), budget, &mut open)
    }

    /// As [`Tree::entries`], without the merge keys themselves.
    pub fn fields(&self, id: NodeId, budget: &mut Budget) -> Result<Vec<Entry<'_>>, Exhausted> {
        let mut entries = self.entries(id, budget)?;
        entries.retain(|entry| !entry.is_merge_key());
        Ok(entries)
    }

    fn entries_within(
        &self,
        id: NodeId,
        budget: &mut Budget,
        open: &mut Vec<NodeId>,
    ) -> Result<Vec<Entry<'_>>, Exhausted> {
        let Kind::Mapping(pairs) = &self.node(id).kind else { return Ok(Vec::new()) };
        if open.len() > limits::YAML_DEPTH {
            return Err(Exhausted);
        }
        if open.contains(&id) {
            return Ok(Vec::new());
        }
        // a mapping behind many aliases costs its size each time
        budget.visit(pairs.len())?;
        open.push(id);
        let mut entries: Vec<Entry<'_>> = Vec::with_capacity(pairs.len());
        let mut merges = Vec::new();
        for (key_node, value) in pairs {
            let key = self.scalar(*key_node).map_or(Cow::Borrowed("?"), |scalar| Cow::Borrowed(scalar.value.as_ref()));
            if key == "<<" {
                merges.push((entries.len(), *value));
            }
            entries.push(Entry { key, key_node: *key_node, value: *value, merged: false });
        }
        let mut last: HashMap<Cow<'_, str>, usize> = HashMap::new();
        if !merges.is_empty() {
            last.extend(entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)));
        }
        for (at, value) in merges {
            let set_later = |key: &str| last.get(key).is_some_and(|last| *last > at);
            let mut seen: HashSet<Cow<'_, str>> = HashSet::new();
            let value = self.resolve(value);
            let sources = self.items(value).unwrap_or(std::slice::from_ref(&value));
            for source in sources {
                budget.spend(true)?;
                let theirs = self.entries_within(self.resolve(*source), budget, open)?;
                let fresh: Vec<_> = theirs
                    .into_iter()
                    .filter(|entry| entry.key != "<<" && !set_later(&entry.key) && !seen.contains(&entry.key))
                    .collect();
                for entry in fresh {
                    budget.spend(true)?;
                    seen.insert(entry.key.clone());
                    entries.push(Entry { merged: true, ..entry });
                }
            }
        }
        open.pop();
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::yaml::parse_text;

    fn pairs(text: &str, key: &str) -> Vec<(String, String)> {
        let tree = parse_text(text, 0).expect("a document");
        let mut budget = Budget::new();
        let root = tree.entries(tree.root().expect("a root"), &mut budget).expect("small");
        let value = root.iter().find(|entry| entry.key == key).expect("the key").value;
        tree.entries(value, &mut budget)
            .expect("small")
            .into_iter()
            .filter(|entry| entry.key != "<<")
            .map(|entry| (entry.key.into_owned(), tree.scalar(entry.value).expect("a scalar").value.to_string()))
            .collect()
    }

    fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn merge_keys() {
        let base = "b: &b {i: base, j: 1}\nc: &c {i: other, k: 2}\n";
        for (mapping, expected) in [
            ("{<<: *b}", text(&[("i", "base"), ("j", "1")])),
            ("{\"<<\": *b}", text(&[("i", "base"), ("j", "1")])),
            ("{<<: *b, i: own}", text(&[("i", "own"), ("j", "1")])),
            ("{i: own, <<: *b}", text(&[("i", "own"), ("i", "base"), ("j", "1")])),
            ("{<<: [*b, *c]}", text(&[("i", "base"), ("j", "1"), ("k", "2")])),
            ("{<<: [{<<: *c}, *b]}", text(&[("i", "other"), ("k", "2"), ("j", "1")])),
            ("{i: 1, i: 2}", text(&[("i", "1"), ("i", "2")])),
        ] {
            assert_eq!(pairs(&format!("{base}x: {mapping}\n"), "x"), expected, "{mapping}");
        }
    }

    #[test]
    fn a_merge_bomb_is_spent_not_followed() {
        let mut bomb = "a0: &a0 {k: v}\n".to_owned();
        for level in 1..40 {
            let source = format!("*a{}", level - 1);
            writeln!(bomb, "a{level}: &a{level} {{<<: [{source}, {source}, {source}]}}").expect("a string takes it");
        }
        let tree = parse_text(&bomb, 0).expect("a document");
        let mut budget = Budget::new();
        let root = tree.entries(tree.root().expect("a root"), &mut budget).expect("small");
        assert_eq!(tree.entries(root[39].value, &mut budget).map(|_| ()), Err(Exhausted));
        let tree = parse_text("a: &a {<<: *a, k: v}\n", 0).expect("a document");
        let root = tree.entries(tree.root().expect("a root"), &mut Budget::new()).expect("small");
        assert_eq!(tree.entries(root[0].value, &mut Budget::new()).expect("no loop").len(), 2);
    }
}
