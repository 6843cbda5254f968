//! YAML and JSON with exact byte spans: every scalar knows which bytes of the file it stands on.
//! The one place that knows the parser crate. It resolves no types and expands no aliases by itself; a document that
//! does not parse is a [`Broken`] beside its neighbours, never a shorter stream.

mod build;
mod json;
mod split;
mod tree;

use std::collections::VecDeque;

use crate::limits;
use crate::span::Span;

pub use build::parse_text;
pub use tree::{Budget, Comment, Entry, Exhausted, Kind, Node, NodeId, Scalar, Style, Tree};

/// One document of a stream.
#[derive(Debug)]
pub struct Document<'a> {
    /// Which one, from 0; an empty document between two `---` counts, comments alone do not.
    pub index: usize,
    /// Its bytes in the file, with the directives and comments in front of it.
    pub span: Span,
    /// What it says, or why it could not be read.
    pub tree: Result<Tree<'a>, Broken>,
}

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The byte of the file where reading failed.
    pub offset: usize,
    /// Why, in lower case.
    pub reason: String,
}

/// Why a whole file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Another encoding than UTF-8.
    #[error("the file is {0}; only UTF-8 is read")]
    Encoding(&'static str),
    /// A stream of too many documents.
    #[error("more than {} documents in one stream", limits::YAML_DOCUMENTS)]
    Documents,
}

/// The documents of a stream, read one after the other as they are asked for.
pub struct Documents<'a> {
    bytes: &'a [u8],
    /// Whether a document with these bytes is wanted at all; the others are counted, not parsed.
    wanted: &'a dyn Fn(&[u8]) -> bool,
    chunks: std::vec::IntoIter<Span>,
    ready: VecDeque<(Span, Result<Tree<'a>, Broken>)>,
    next: usize,
}

/// Splits `bytes` into documents: YAML streams, JSON, and JSON values one after the other.
///
/// A line that starts with `---` or `...` and white space ends a document wherever it stands (YAML 1.2.2, 9.1.2), so
/// each document is parsed alone and a broken one can't hide the next.
pub fn documents(bytes: &[u8]) -> Result<Documents<'_>, StreamError> {
    documents_where(bytes, &|_| true)
}

/// The documents whose bytes are `wanted`, with the indices that they have in the whole stream; the others are not parsed,
/// so whether they could be is not known.
///
/// # Errors
/// Another encoding than UTF-8, and too many documents.
pub fn documents_where<'a>(bytes: &'a [u8], wanted: &'a dyn Fn(&[u8]) -> bool) -> Result<Documents<'a>, StreamError> {
    if let Some(name) = foreign_encoding(bytes) {
        return Err(StreamError::Encoding(name));
    }
    let chunks = split::split(bytes);
    if chunks.len() > limits::YAML_DOCUMENTS {
        return Err(StreamError::Documents);
    }
    Ok(Documents { bytes, wanted, chunks: chunks.into_iter(), ready: VecDeque::new(), next: 0 })
}

impl<'a> Iterator for Documents<'a> {
    type Item = Document<'a>;

    fn next(&mut self) -> Option<Document<'a>> {
        while self.ready.is_empty() {
            let span = self.chunks.next()?;
            let chunk = &self.bytes[span.start..span.end];
            if (self.wanted)(chunk) {
                self.ready.extend(read(self.bytes, span));
            } else {
                self.next += str::from_utf8(chunk).map_or(1, json::count);
            }
        }
        let (span, tree) = self.ready.pop_front()?;
        let index = self.next;
        self.next += 1;
        Some(Document { index, span, tree })
    }
}

/// One document, or the several values of concatenated JSON.
fn read(bytes: &[u8], span: Span) -> Vec<(Span, Result<Tree<'_>, Broken>)> {
    let text = match str::from_utf8(&bytes[span.start..span.end]) {
        Ok(text) => text,
        Err(error) => {
            let offset = span.start + error.valid_up_to();
            return vec![(span, Err(Broken { offset, reason: "the text is not UTF-8".to_owned() }))];
        }
    };
    if let Some(values) = json::parse(text, span.start) {
        return values.into_iter().map(|(span, tree)| (span, Ok(tree))).collect();
    }
    vec![(span, parse_text(text, span.start))]
}

/// UTF-16 and UTF-32 by their byte order marks, and by the zero bytes that ASCII has in them (YAML 1.2.2, 5.2).
fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0, 0, 0xfe, 0xff, ..] | [0xff, 0xfe, 0, 0, ..] | [0, 0, 0, 1..=255, ..] | [1..=255, 0, 0, 0, ..] => {
            Some("UTF-32")
        }
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, 1..=255, ..] | [1..=255, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Vec<Document<'_>> {
        documents(text.as_bytes()).expect("UTF-8").collect()
    }

    #[test]
    fn scalars_know_their_bytes() {
        let rows = [
            ("a: x", "x", Style::Plain, "x", true),
            ("a: 'x'", "x", Style::Single, "x", true),
            ("a: \"x\" # c", "x", Style::Double, "x", true),
            ("a: &b !!str \"x\"", "x", Style::Double, "x", true),
            ("a: &b x  ", "x", Style::Plain, "x", true),
            ("a: \"\\x78\"", "x", Style::Double, "\\x78", false),
            ("a: 'it''s'", "it's", Style::Single, "it''s", false),
            ("a:\n  x\n  y", "x y", Style::Plain, "x\n  y", false),
            ("a: >-\n  x\n", "x", Style::Folded, "x", true),
            ("a: |-\r\n  x\r\n", "x", Style::Literal, "x", true),
            ("a: |\n  x\n", "x\n", Style::Literal, "x", false),
            ("a: |+\n  x\n\n", "x\n\n", Style::Literal, "x", false),
            ("a: >2-\n    x\n", "  x", Style::Folded, "  x", true),
            ("a: |-\n  x\n  y\n", "x\ny", Style::Literal, "x\n  y", false),
            ("a:", "", Style::Plain, "", true),
            ("a: ''", "", Style::Single, "", true),
            ("\u{feff}a: é", "é", Style::Plain, "é", true),
            ("{\"a\":\"x\\/y\"}", "x/y", Style::Double, "x\\/y", false),
            ("{\n\t\"a\": \"x\"}", "x", Style::Double, "x", true),
            ("{\"a\":\"\\ud83d\\ude00\"}", "\u{1f600}", Style::Double, "\\ud83d\\ude00", false),
        ];
        for (text, value, style, raw, exact) in rows {
            let found = read_all(text);
            assert_eq!(found.len(), 1, "{text}");
            let tree = found[0].tree.as_ref().unwrap_or_else(|broken| panic!("{text}: {broken:?}"));
            let entries = tree.entries(tree.root().expect("a root"), &mut Budget::new()).expect("small");
            assert_eq!(entries[0].key, "a", "{text}");
            let scalar = tree.scalar(entries[0].value).expect("a scalar");
            let span = tree.node(entries[0].value).span;
            assert_eq!(
                (scalar.value.as_ref(), scalar.style, &text[span.start..span.end], scalar.exact),
                (value, style, raw, exact),
                "{text}"
            );
        }
    }

    #[test]
    fn a_broken_document_does_not_hide_its_neighbours() {
        let found = read_all(
            "a: 1\n---\nb: [\n---\nc: 3\n--- \"\nx\n---\nd: *none\n...\n# end\n---\n\u{feff}e: 5\n---\nf: 6\n",
        );
        let fine: Vec<bool> = found.iter().map(|document| document.tree.is_ok()).collect();
        assert_eq!(fine, [true, false, true, false, false, false, true]);
        let latin = documents(b"a: 1\n---\nb: \xe9\n---\nc: 1\n").expect("no foreign encoding");
        assert_eq!(latin.map(|document| document.tree.is_ok()).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn other_encodings_are_refused_by_name() {
        for (bytes, name) in [
            (&b"\xff\xfea\0"[..], "UTF-16"),
            (b"\xfe\xff\0a", "UTF-16"),
            (b"a\0:\0", "UTF-16"),
            (b"\0a\0:", "UTF-16"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
            (b"a\0\0\0", "UTF-32"),
            (b"\0\0\0a", "UTF-32"),
        ] {
            assert_eq!(documents(bytes).map(|_| ()), Err(StreamError::Encoding(name)), "{bytes:?}");
        }
        let zero = documents(b"a: 1\0").expect("UTF-8").next().expect("a document");
        assert!(zero.tree.is_err());
    }

    #[test]
    fn concatenated_json_is_a_stream() {
        let found = read_all("{\"a\":1}\n{\"b\":2}{\"c\":[]}");
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|document| document.tree.is_ok()));
        assert_eq!(found[2].index, 2);
    }

    #[test]
    fn depth_is_bounded_and_says_so() {
        for text in ["[".repeat(100_000), "? ".repeat(20_000), "- ".repeat(20_000), "{\"a\":".repeat(20_000)] {
            let found = read_all(&text);
            assert!(found[0].tree.is_err(), "{}", &text[..8]);
        }
        let deep = format!("{}1{}", "[".repeat(150), "]".repeat(150));
        assert!(read_all(&deep)[0].tree.is_ok());
    }

    #[test]
    fn a_hole_is_not_a_document() {
        assert_eq!(read_all("").len(), 0);
        assert_eq!(read_all("# only\n\n").len(), 0);
        assert_eq!(read_all("---\n---\n").len(), 2);
    }
}

#[cfg(test)]
mod soup {
    use proptest::prelude::*;

    use super::*;

    fn walk_all(bytes: &[u8]) {
        let Ok(documents) = documents(bytes) else { return };
        for document in documents {
            let Ok(tree) = document.tree else { continue };
            let mut budget = Budget::new();
            for id in tree.ids() {
                let span = tree.node(id).span;
                let raw = span.of(bytes).expect("a span inside the file");
                if let Some(scalar) = tree.scalar(id)
                    && scalar.exact
                    && !matches!(tree.node(id).kind, Kind::Alias(_))
                {
                    assert_eq!(raw, scalar.value.as_bytes());
                }
                let _ = tree.entries(id, &mut budget);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            walk_all(&bytes);
        }

        #[test]
        fn yaml_like(tokens in prop::collection::vec(prop::sample::select(vec![
            "a", "b: ", ": ", "- ", "? ", "\n", "\n  ", "\r\n", "\r", "\t", "---", "\n---\n", "\n...\n", "&x ", "*x", "<<: ",
            "|", ">-", "|2+", "'", "\"", "\\", "\\u00e9", "{", "}", "[", "]", ",", "#", " # c", "%YAML 1.2\n", "!!str ", "!", "é",
            "\u{feff}", "\u{2028}", "\u{85}", "@", "`", "~", "1", "{{ x }}",
        ]), 0..60)) {
            walk_all(tokens.concat().as_bytes());
        }
    }
}
