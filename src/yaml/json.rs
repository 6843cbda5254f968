//! JSON, one value or several one after the other, with tabs wherever JSON allows them: kubectl reads those, YAML 1.2
//! readers do not. Strict, so that a text which is no JSON is left to the YAML parser and its reasons.

use std::borrow::Cow;

use crate::limits;
use crate::span::Span;
use crate::yaml::tree::{Kind, Node, NodeId, Scalar, Style, Tree};

/// The values of a text that starts as an object or array and is JSON to its end; `None` for every other text.
pub(super) fn parse(text: &str, base: usize) -> Option<Vec<(Span, Tree<'_>)>> {
    let text = text.strip_prefix('\u{feff}').map_or((text, base), |rest| (rest, base + 3));
    let mut reader = Reader { text: text.0, base: text.1, at: 0 };
    let mut values = Vec::new();
    reader.skip_white();
    while reader.at < reader.text.len() {
        if !matches!(reader.peek(), Some(b'{' | b'[')) || values.len() >= limits::YAML_DOCUMENTS {
            return None;
        }
        let start = reader.base + reader.at;
        let tree = reader.value()?;
        values.push((Span::new(start, reader.base + reader.at), tree));
        reader.skip_white();
    }
    (!values.is_empty()).then_some(values)
}

struct Reader<'a> {
    text: &'a str,
    base: usize,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_white();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// One value with all that it holds; nesting is kept on a stack of our own.
    fn value(&mut self) -> Option<Tree<'a>> {
        let mut tree = Tree::default();
        let mut open: Vec<(NodeId, Option<NodeId>)> = Vec::new();
        loop {
            // here a value must stand
            self.skip_white();
            let start = self.at;
            let id = match self.peek()? {
                byte @ (b'{' | b'[') => {
                    self.at += 1;
                    let kind = if byte == b'{' { Kind::Mapping(Vec::new()) } else { Kind::Sequence(Vec::new()) };
                    let id = self.add(&mut tree, start, kind)?;
                    if open.len() >= limits::YAML_DEPTH {
                        return None;
                    }
                    attach(&mut tree, &mut open, id);
                    self.skip_white();
                    if self.peek()? != byte + 2 {
                        let key = if byte == b'{' { Some(self.key(&mut tree)?) } else { None };
                        open.push((id, key));
                        continue;
                    }
                    self.at += 1;
                    id
                }
                b'"' => {
                    let id = self.string(&mut tree)?;
                    attach(&mut tree, &mut open, id);
                    id
                }
                _ => {
                    let id = self.word(&mut tree)?;
                    attach(&mut tree, &mut open, id);
                    id
                }
            };
            tree.nodes[id.0 as usize].span.end = tree.nodes[id.0 as usize].span.end.max(self.end_of(&tree, id));
            // after a value: close what ends here
            loop {
                let Some((parent, _)) = open.last().copied() else { return Some(tree) };
                self.skip_white();
                let mapping = matches!(tree.nodes[parent.0 as usize].kind, Kind::Mapping(_));
                match (self.peek()?, mapping) {
                    (b',', true) => {
                        self.at += 1;
                        let key = self.key(&mut tree)?;
                        open.last_mut()?.1 = Some(key);
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        tree.nodes[parent.0 as usize].span.end = self.base + self.at;
                        open.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// A collection closed at once ends here; a scalar's span is right already.
    fn end_of(&self, tree: &Tree<'_>, id: NodeId) -> usize {
        match tree.nodes[id.0 as usize].kind {
            Kind::Mapping(_) | Kind::Sequence(_) => self.base + self.at,
            Kind::Scalar(_) | Kind::Alias(_) => 0,
        }
    }

    fn add(&self, tree: &mut Tree<'a>, start: usize, kind: Kind<'a>) -> Option<NodeId> {
        let id = NodeId(u32::try_from(tree.nodes.len()).ok()?);
        tree.nodes.push(Node { span: Span::new(self.base + start, self.base + start), tag: None, kind });
        if tree.root.is_none() {
            tree.root = Some(id);
        }
        Some(id)
    }

    fn key(&mut self, tree: &mut Tree<'a>) -> Option<NodeId> {
        self.skip_white();
        let id = self.string(tree)?;
        self.take(b':')?;
        Some(id)
    }

    fn string(&mut self, tree: &mut Tree<'a>) -> Option<NodeId> {
        self.take(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        let raw = self.text.get(start..self.at)?;
        let value = if escaped { Cow::Owned(unescape(raw)?) } else { Cow::Borrowed(raw) };
        let scalar = Scalar { value, style: Style::Double, exact: !escaped };
        let id = self.add(tree, start, Kind::Scalar(scalar))?;
        tree.nodes[id.0 as usize].span.end = self.base + self.at;
        self.at += 1;
        Some(id)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self, tree: &mut Tree<'a>) -> Option<NodeId> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')) {
            self.at += 1;
        }
        let raw = &self.text[start..self.at];
        if !matches!(raw, "true" | "false" | "null") && serde_json::from_str::<serde_json::Number>(raw).is_err() {
            return None;
        }
        let scalar = Scalar { value: Cow::Borrowed(raw), style: Style::Plain, exact: true };
        let id = self.add(tree, start, Kind::Scalar(scalar))?;
        tree.nodes[id.0 as usize].span.end = self.base + self.at;
        Some(id)
    }
}

fn attach(tree: &mut Tree<'_>, open: &mut [(NodeId, Option<NodeId>)], id: NodeId) {
    let Some((parent, key)) = open.last_mut() else { return };
    match (&mut tree.nodes[parent.0 as usize].kind, key.take()) {
        (Kind::Sequence(items), _) => items.push(id),
        (Kind::Mapping(pairs), Some(key)) => pairs.push((key, id)),
        _ => {}
    }
}

/// JSON's escapes (RFC 8259, section 7); half of a surrogate pair becomes U+FFFD, as Go's reader has it.
fn unescape(raw: &str) -> Option<String> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        value.push(match after.next()? {
            found @ ('"' | '\\' | '/') => found,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (found, left) = unicode(after.as_str())?;
                rest = left;
                value.push(found);
                continue;
            }
            _ => return None,
        });
        rest = after.as_str();
    }
    value.push_str(rest);
    Some(value)
}

fn unicode(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(text)?;
    let rest = &text[4..];
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = rest.strip_prefix("\\u").and_then(unit).filter(|unit| (0xdc00..0xe000).contains(unit))
    {
        let scalar = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), &rest[6..]));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_is_and_what_it_leaves_to_yaml() {
        for text in
            ["{}", "[]", "{\"a\":[1,-2.5e3,true,null,{}],\"b\":\"\\u0041\\n\"}\n", "\t{\t}\n[[]]", "{\"a\":1,\"a\":2}"]
        {
            assert!(parse(text, 0).is_some(), "{text}");
        }
        for text in [
            "",
            "a: 1",
            "\"x\"",
            "{",
            "{a: 1}",
            "{\"a\":1,}",
            "[1,]",
            "[1 2]",
            "{\"a\" 1}",
            "{\"a\":'x'}",
            "{} x",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\n\"}",
            "[01]",
            "{\"a\":1} # c",
            "{\"a\":\"\\",
            "[}",
            "{\"a\":\"\\u12\"}",
        ] {
            assert!(parse(text, 0).is_none(), "{text}");
        }
    }

    #[test]
    fn agrees_with_serde_json() {
        let text = "{\"a\": [\"x\\t\\\"\\\\\\/\\u00e9\\ud83d\\ude00\", {\"b\": {}}, []], \"c\": {\"d\": 1}}";
        let found = parse(text, 0).expect("JSON");
        let tree = &found[0].1;
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(as_json(tree, tree.root().expect("a root")), value);
        for id in tree.ids() {
            let span = tree.node(id).span;
            let raw = &text[span.start..span.end];
            match &tree.node(id).kind {
                Kind::Mapping(_) => assert!(raw.starts_with('{') && raw.ends_with('}'), "{raw}"),
                Kind::Sequence(_) => assert!(raw.starts_with('[') && raw.ends_with(']'), "{raw}"),
                Kind::Scalar(scalar) => assert_eq!(scalar.exact, raw == scalar.value, "{raw}"),
                Kind::Alias(_) => panic!("JSON has no aliases"),
            }
        }
    }

    fn as_json(tree: &Tree<'_>, id: NodeId) -> serde_json::Value {
        match &tree.node(id).kind {
            Kind::Scalar(scalar) if scalar.style == Style::Plain => {
                serde_json::from_str(&scalar.value).expect("a JSON word")
            }
            Kind::Scalar(scalar) => scalar.value.as_ref().into(),
            Kind::Sequence(items) => items.iter().map(|item| as_json(tree, *item)).collect(),
            Kind::Mapping(pairs) => pairs
                .iter()
                .map(|(key, value)| (tree.scalar(*key).expect("a key").value.to_string(), as_json(tree, *value)))
                .collect(),
            Kind::Alias(_) => serde_json::Value::Null,
        }
    }
}
