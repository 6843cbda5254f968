//! What a document must hold to be worth parsing: one of the keys that a format's places end in, as plain text, or bytes
//! that could hide one. Exact in one direction: what it turns away can hold no place; it says nothing of the rest.

use aho_corasick::{AhoCorasick, MatchKind};

/// What can make a key of other bytes: escapes, tags, aliases need the text somewhere; another encoding hides all.
const HIDING: [&str; 5] = ["\\", "\0", "!!", "!<", "%TAG"];

/// A set of texts to look for in one pass.
#[derive(Debug)]
pub(crate) struct Filter {
    texts: Option<AhoCorasick>,
}

impl Filter {
    /// Documents pass that hold one of `keys`, or what could hide one.
    pub(crate) fn of<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        let texts = keys.into_iter().chain(HIDING);
        // without a searcher everything passes
        Self { texts: AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(texts).ok() }
    }

    /// Whether a document with these bytes could hold a place.
    pub(crate) fn passes(&self, bytes: &[u8]) -> bool {
        self.texts.as_ref().is_none_or(|texts| texts.is_match(bytes)) || str::from_utf8(bytes).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hide_a_key_passes() {
        let filter = Filter::of(["image", "reference"]);
        for text in [
            &b"image: a"[..],
            b"x: {reference: a}",
            b"\"\\u0069mage\": a",
            b"\"\\x69mage\": a",
            b"!!binary aW1hZ2U=: a",
            b"!<tag:yaml.org,2002:binary> aW1hZ2U=: a",
            b"%TAG ! tag:yaml.org,2002:\n---\n!binary aW1hZ2U=: a",
            b"i\0m\0a\0g\0e\0",
            b"caf\xe9",
        ] {
            assert!(filter.passes(text), "{}", String::from_utf8_lossy(text));
        }
        for text in [&b""[..], b"kind: Service", b"Image: a", "é: b".as_bytes()] {
            assert!(!filter.passes(text), "{}", String::from_utf8_lossy(text));
        }
    }
}
