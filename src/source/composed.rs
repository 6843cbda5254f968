//! Images that are composed of several fields of a map: what each field holds, what they make together, and which one
//! of them an edit writes to. Which keys are fields, and what their order is, is each format's business.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::source::page::Page;
use crate::source::stream::Sheet;
use crate::source::{Holds, Occurrence, Part, Role, Slot, Subject};
use crate::yaml::{NodeId, Style, Tree};

/// One field as it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its name in `parts`.
    pub(crate) name: Cow<'static, str>,
    /// The node at its place; an alias, where one stands there.
    pub(crate) at: NodeId,
    /// What it says.
    pub(crate) value: Value,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text, not empty.
    Text(String),
    /// Null or an empty text.
    Nothing,
    /// Something that is no text to the tool, with its bytes as text, and why.
    Odd(String, &'static str),
}

const NUMBER: &str = "a number or a boolean, not a text: readers write it in other ways (1.10 becomes 1.1); quote it";

impl Field {
    /// The field at a node.
    pub(crate) fn new(tree: &Tree<'_>, name: impl Into<Cow<'static, str>>, at: NodeId) -> Self {
        let value = match tree.scalar(at) {
            None => Value::Odd(String::new(), "a map or a list in place of a text"),
            Some(scalar) => {
                let text = scalar.value.to_string();
                match tree.node(tree.resolve(at)).tag.as_deref() {
                    Some("!" | "tag:yaml.org,2002:str") if text.is_empty() => Value::Nothing,
                    Some("!" | "tag:yaml.org,2002:str") => Value::Text(text),
                    Some(_) => Value::Odd(text, "an explicit tag, which may make another text of it"),
                    None if scalar.style != Style::Plain && text.is_empty() => Value::Nothing,
                    None if scalar.style != Style::Plain => Value::Text(text),
                    None => match plain(&text) {
                        Plain::Null => Value::Nothing,
                        Plain::Text => Value::Text(text),
                        Plain::Other => Value::Odd(text, NUMBER),
                    },
                }
            }
        };
        Self { name: name.into(), at, value }
    }

    /// Its text, also where it is an odd one; empty for nothing.
    pub(crate) fn text(&self) -> &str {
        match &self.value {
            Value::Text(text) | Value::Odd(text, _) => text,
            Value::Nothing => "",
        }
    }

    /// Whether it holds a text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.value, Value::Text(_))
    }
}

/// What Go's YAML, which kustomize and Helm read with, makes of a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Null.
    Null,
    /// A text; dates too, which both tools keep as they are written.
    Text,
    /// A number or a boolean, by YAML 1.1 or 1.2.
    Other,
}

/// Sorts a plain scalar.
pub(crate) fn plain(text: &str) -> Plain {
    const WORDS: [&str; 11] = ["y", "yes", "true", "on", "n", "no", "false", "off", ".inf", "-.inf", ".nan"];
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Plain::Null;
    }
    let lower = text.to_ascii_lowercase();
    let bare = lower.replace('_', "");
    let digits = bare.strip_prefix(['+', '-']).unwrap_or(&bare);
    let based = |prefix: &str, base: u32| {
        digits.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    let other = WORDS.contains(&lower.as_str())
        || lower == "+.inf"
        || based("0x", 16)
        || based("0o", 8)
        || based("0b", 2)
        || is_float(digits);
    if other { Plain::Other } else { Plain::Text }
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let (number, exponent) = text.split_once('e').map_or((text, None), |(number, rest)| (number, Some(rest)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let whole = match number.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(number),
    };
    whole && exponent.is_none_or(|rest| digits(rest.strip_prefix(['+', '-']).unwrap_or(rest)))
}

/// An image in the making: an occurrence, and the nodes that it stands on.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The occurrence.
    pub(crate) occurrence: Occurrence,
    nodes: Vec<NodeId>,
    written: Option<NodeId>,
}

/// Composes an image: each field with what stands in front of its text. `name` is the field that holds the repository.
/// An odd field makes the image one that can't be known.
pub(crate) fn compose(
    tree: &Tree<'_>,
    page: &Page<'_, '_>,
    path: String,
    name: &Field,
    pieces: &[(&str, &Field)],
) -> Draft {
    let mut text = String::new();
    let mut parts = Vec::new();
    let mut odd = None;
    for (front, field) in pieces.iter().filter(|(_, field)| !field.text().is_empty() || is_odd(field)) {
        if let Value::Odd(_, reason) = &field.value {
            odd.get_or_insert_with(|| format!("`{}` is {reason}", field.name));
        }
        if field.text().is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push_str(front);
        }
        text.push_str(field.text());
        parts.push(Part { field: field.name.clone(), span: tree.node(tree.resolve(field.at)).span });
    }
    let mut occurrence = page.composed(path, Role::Run, name.at, text, parts);
    if let Some(reason) = odd {
        occurrence.subject = Subject::Unresolvable { reason };
    }
    Draft { occurrence, nodes: pieces.iter().map(|(_, field)| field.at).collect(), written: None }
}

fn is_odd(field: &Field) -> bool {
    matches!(field.value, Value::Odd(..))
}

impl Draft {
    /// An image that stands whole in the text at a node, an alias where one stands there.
    pub(crate) fn whole(tree: &Tree<'_>, occurrence: Occurrence, at: NodeId) -> Self {
        Self { occurrence, nodes: vec![at], written: Some(tree.resolve(at)) }
    }

    /// An image that can't be known; a reason found earlier stays.
    pub(crate) fn undecided(&mut self, reason: &str) {
        if !matches!(self.occurrence.subject, Subject::Unresolvable { .. }) {
            self.occurrence.subject = Subject::Unresolvable { reason: reason.to_owned() };
        }
    }

    /// An image that must not be edited; a reason found earlier stays.
    pub(crate) fn fix(&mut self, reason: &str) {
        self.occurrence.uneditable.get_or_insert_with(|| reason.to_owned());
    }

    /// Lets edits write to the end of a field, which is the end of the image's text.
    pub(crate) fn write_behind(&mut self, tree: &Tree<'_>, field: &Field) {
        self.write(tree, field, Holds::Tail);
    }

    /// Lets edits write to a digest's own field; `hex` where it holds the digits alone.
    pub(crate) fn write_digest(&mut self, tree: &Tree<'_>, field: &Field, hex: bool) {
        let node = tree.node(tree.resolve(field.at));
        let quoted = tree.scalar(field.at).is_some_and(|scalar| matches!(scalar.style, Style::Single | Style::Double));
        if !field.is_text() && (!quoted || node.tag.is_some()) {
            let key = &field.name;
            self.fix(&format!("`{key}` is empty without quotes: write `{key}: \"\"`, or leave it out"));
        }
        let empty = if quoted { "" } else { "\"\"" };
        self.write(tree, field, if hex { Holds::Hex { empty } } else { Holds::Digest { empty } });
    }

    fn write(&mut self, tree: &Tree<'_>, field: &Field, holds: Holds) {
        let node = tree.resolve(field.at);
        let Some(scalar) = tree.scalar(node) else { return };
        if !scalar.exact {
            self.fix("its value is written with escapes or over several lines");
        }
        self.written = Some(node);
        self.occurrence.slot = Some(Slot { span: tree.node(node).span, text: scalar.value.to_string(), holds });
        if !self.nodes.contains(&field.at) {
            self.nodes.push(field.at);
        }
    }
}

/// Adds the drafts of a document. Where several images share the text that an edit would write to, or something else
/// uses it too, it is not written.
pub(crate) fn settle(sheet: &mut Sheet<'_, '_>, drafts: Vec<Draft>) {
    let tree = sheet.tree;
    let written: HashSet<NodeId> = drafts.iter().filter_map(|draft| draft.written).collect();
    // how each of them is used: by images of which text, and whether an edit of these would write to it as well
    let mut uses: HashMap<NodeId, HashSet<(String, bool)>> = HashMap::new();
    let mut fields: HashSet<NodeId> = HashSet::new();
    for draft in &drafts {
        fields.extend(&draft.nodes);
        for node in draft.nodes.iter().map(|at| tree.resolve(*at)).filter(|node| written.contains(node)) {
            let same = draft.written == Some(node) && draft.occurrence.seat().is_some();
            uses.entry(node).or_default().insert((draft.occurrence.text.clone(), same));
        }
    }
    let targets = tree.ids().filter(|id| tree.is_alias(*id)).map(|id| tree.resolve(id));
    let aliased: HashSet<NodeId> = targets.filter(|id| written.contains(id)).collect();
    let mut elsewhere: HashSet<NodeId> = HashSet::new();
    if !aliased.is_empty() {
        let others = tree.ids().filter(|id| !fields.contains(id)).map(|id| tree.resolve(id));
        elsewhere.extend(others.filter(|node| aliased.contains(node)));
    }
    for mut draft in drafts {
        if let Some(node) = draft.written {
            let alone = uses[&node].len() == 1 && uses[&node].iter().all(|(_, same)| *same);
            if draft.occurrence.seat().is_some() && !alone {
                draft.fix("another image shares the text that would be written to; give each its own");
            }
            if elsewhere.contains(&node) {
                draft.fix("an alias of it stands where no image does");
            }
        }
        sheet.push_composed(&draft.nodes, draft.occurrence);
    }
}

/// Every choice of one of each list, `None` where a list is empty; nothing where there are too many.
pub(crate) fn choices(lists: &[Vec<NodeId>]) -> Option<Vec<Vec<Option<NodeId>>>> {
    const MOST: usize = 64;
    let mut found: Vec<Vec<Option<NodeId>>> = vec![Vec::new()];
    for list in lists {
        let options: Vec<Option<NodeId>> =
            if list.is_empty() { vec![None] } else { list.iter().copied().map(Some).collect() };
        found = found
            .into_iter()
            .flat_map(|choice| {
                options.iter().map(move |option| choice.iter().copied().chain([*option]).collect::<Vec<_>>())
            })
            .collect();
        if found.len() > MOST {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_as_go_reads_them() {
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(plain(text), Plain::Null, "{text}");
        }
        for text in [
            "1.10",
            "7",
            "0777",
            "089",
            "1_000",
            "0x1F",
            "0o17",
            "0b11",
            "12e45",
            "1e+5",
            "+1",
            "-1",
            "1.",
            ".5",
            "yes",
            "on",
            "N",
            "True",
            ".inf",
            "1_0.5",
            "99999999999999999999",
            "20240101",
        ] {
            assert_eq!(plain(text), Plain::Other, "{text}");
        }
        for text in ["1.2.3", "v1", "2024-01-01", "1.25-alpine", "nuLL", "latest", "1e", "e5", "0xg", "-", "1:30", "."]
        {
            assert_eq!(plain(text), Plain::Text, "{text}");
        }
    }

    #[test]
    fn choices_are_bounded() {
        let tree = crate::yaml::parse_text("[a, b]", 0).expect("YAML");
        let nodes = tree.items(tree.root().expect("a root")).expect("a list").to_vec();
        assert_eq!(choices(&[nodes.clone(), Vec::new(), nodes.clone()]).expect("few").len(), 4);
        assert!(choices(&vec![nodes; 7]).is_none());
    }
}
