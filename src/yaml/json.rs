//! JSON, one value or several one after the other, with tabs wherever JSON allows them: kubectl reads those, YAML 1.2
//! readers do not. `serde_json` says where each value ends and that it is JSON; the YAML parser reads it, as all else.

use serde::de::IgnoredAny;

use crate::limits;
use crate::span::Span;
use crate::yaml::build::parse_json;
use crate::yaml::tree::Tree;

/// The values of a text that starts as an object or array and is JSON to its end; `None` for every other text, and
/// where the YAML parser refuses a value.
pub(super) fn parse(text: &str, base: usize) -> Option<Vec<(Span, Tree<'_>)>> {
    let (text, base) = text.strip_prefix('\u{feff}').map_or((text, base), |rest| (rest, base + 3));
    if !text.trim_start_matches(WHITE).starts_with(['{', '[']) {
        return None;
    }
    let mut values = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut from = 0;
    while let Some(value) = stream.next() {
        value.ok()?;
        let to = stream.byte_offset();
        let piece = text.get(from..to)?;
        let start = from + (piece.len() - piece.trim_start_matches(WHITE).len());
        from = to;
        let piece = text.get(start..to).filter(|piece| piece.starts_with(['{', '[']))?;
        if values.len() >= limits::YAML_DOCUMENTS {
            return None;
        }
        // JSON has no bare tab inside a string, so every tab is white space here.
        let tree = if piece.contains('\t') {
            parse_json(&piece.replace('\t', " "), base + start).ok()?.into_owned()
        } else {
            parse_json(piece, base + start).ok()?
        };
        values.push((Span::new(base + start, base + to), tree));
    }
    (!values.is_empty()).then_some(values)
}

/// How many documents a text is that [`parse`] would be asked for: 1 for whatever is no JSON.
pub(super) fn count(text: &str) -> usize {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start_matches(WHITE).starts_with(['{', '[']) {
        return 1;
    }
    let values: Result<Vec<_>, _> = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>().collect();
    values.map_or(1, |values| values.len().max(1))
}

/// White space of JSON (RFC 8259, 2).
const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::tree::{Kind, NodeId, Style};

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
    fn long_keys_are_json_too() {
        let text = format!("{{\"{}\": 1, \"b\": 2}}", "k".repeat(5_000));
        assert!(parse(&text, 0).is_some());
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
