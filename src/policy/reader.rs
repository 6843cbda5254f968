//! From bytes of YAML to typed documents: strict, bounded, one document of the stream at a time.
//! Refuses nulls, doubled keys, merge keys, tags, and whatever needs more work than a policy should.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::error::{NO_VALUE, PolicyError, Text, fault};
use crate::limits;
use crate::rule::setting::{At, SettingError};
use crate::span::Span;

/// The one version of both kinds of document.
pub(super) const API_VERSION: &str = "plimsoll.dev/v1";
/// Most nodes of a policy, aliases followed: a policy of 1 MiB has fewer.
const NODES: usize = 200_000;
/// Deepest nesting that a policy could use, with room.
const DEPTH: usize = 32;

/// Which kind a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Policy,
    Config,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Policy => "ImagePolicy",
            Self::Config => "GateConfig",
        }
    }
}

/// One document of the stream: everything else is blanked, so that offsets stay those of the file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) kind: Kind,
    /// Where its kind is written.
    pub(super) span: Span,
    text: String,
}

impl Document {
    pub(super) fn read<T: DeserializeOwned>(&self, text: &Text<'_>) -> Result<T, PolicyError> {
        parse(&self.text).map_err(|error| text.error(error))
    }
}

/// The documents of the stream and their kinds, at most one of each.
pub(super) fn documents(text: &Text<'_>) -> Result<Vec<Document>, PolicyError> {
    let whole = Span::new(0, 0);
    if text.whole.len() as u64 > limits::POLICY_BYTES {
        let message = format!("longer than {} bytes", limits::POLICY_BYTES);
        return Err(text.error(SettingError::new(whole, message, "a policy is a short text; split nothing into it")));
    }
    let mut found: Vec<Document> = Vec::new();
    for range in split(text.whole) {
        let document = document(text, range)?;
        if let Some(twice) = found.iter().find(|other| other.kind == document.kind) {
            let message = format!("a second {} in one file", twice.kind.name());
            return Err(text.error(SettingError::new(document.span, message, "keep one document of each kind")));
        }
        found.push(document);
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: At<String>,
    kind: At<String>,
}

fn document(text: &Text<'_>, range: Span) -> Result<Document, PolicyError> {
    let blanked = blank(text.whole, range);
    let read = || {
        parse::<Sound>(&blanked)?;
        parse::<Head>(&blanked)
    };
    let head: Head = read().map_err(|fault| text.error(fault))?;
    let refused = |found: &At<String>, message: String, expected: &[&str]| {
        text.error(SettingError::new(found.span, message, super::error::suggestion(&found.value, expected)))
    };
    if head.api_version.value != API_VERSION {
        let message = format!("apiVersion `{}` is not known", head.api_version.value);
        return Err(refused(&head.api_version, message, &[API_VERSION]));
    }
    let known = [Kind::Policy, Kind::Config];
    let Some(kind) = known.into_iter().find(|kind| kind.name() == head.kind.value) else {
        let message = format!("kind `{}` is not known", head.kind.value);
        return Err(refused(&head.kind, message, &known.map(Kind::name)));
    };
    Ok(Document { kind, span: head.kind.span, text: blanked })
}

/// Byte ranges of the documents that hold anything. A line that begins with `---` or `...` and a space or its end
/// is a marker wherever it stands (YAML 1.2.2, 9.1.2 and production 206).
fn split(text: &str) -> Vec<Span> {
    let mut ranges = Vec::new();
    let (mut start, mut at, mut holds) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        let marker = |mark: &str| {
            content.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
        };
        if marker("---") || marker("...") {
            if holds {
                ranges.push(Span::new(start, at));
            }
            holds = marker("---") && !is_blank(&content[3..]);
            start = if marker("---") { at } else { at + line.len() };
        } else if !is_blank(content) {
            holds = true;
        }
        at += line.len();
    }
    if holds {
        ranges.push(Span::new(start, at));
    }
    ranges
}

fn is_blank(content: &str) -> bool {
    let content = content.trim_start();
    content.is_empty() || content.starts_with('#')
}

/// The text with all outside of `range` turned to spaces, lines kept.
fn blank(text: &str, range: Span) -> String {
    let spaces = |part: &str| -> String {
        part.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' }).collect()
    };
    let inside = &text[range.start..range.end];
    // A byte order mark is three bytes of nothing.
    let inside = inside.strip_prefix('\u{feff}').map_or_else(|| inside.to_owned(), |rest| format!("   {rest}"));
    spaces(&text[..range.start]) + &inside
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, SettingError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: NODES,
            max_nodes: NODES,
            max_depth: DEPTH,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: NODES,
            flow_nesting_limit: DEPTH
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| fault(&error, text))
}

/// Any value without a null in it: a key that stands there must say something.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyButNull)
    }
}

struct AnyButNull;

impl<'de> Visitor<'de> for AnyButNull {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Sound, E> {
        Err(E::custom(NO_VALUE))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Sound, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sound, D::Error> {
        Sound::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sound, A::Error> {
        while let Some(Sound) = seq.next_element()? {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key.is_empty() {
                return Err(A::Error::custom("an empty key"));
            }
            let Sound = map.next_value()?;
        }
        Ok(Sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_splits_at_its_markers_and_offsets_stay() {
        let rows: [(&str, &[&str]); 10] = [
            ("", &[]),
            ("# only a comment\n", &[]),
            ("a: 1\n", &["a: 1\n"]),
            ("---\na: 1\n---\nb: 2\n", &["---\na: 1\n", "---\nb: 2\n"]),
            ("a: 1\n---\n# nothing\n---\nb: 2\n", &["a: 1\n", "---\nb: 2\n"]),
            ("%YAML 1.1\n---\nb: 2\n", &["%YAML 1.1\n", "---\nb: 2\n"]),
            ("a: 1\n...\nb: 2\n", &["a: 1\n", "b: 2\n"]),
            ("--- {a: 1}\n--- {b: 2}", &["--- {a: 1}\n", "--- {b: 2}"]),
            ("a: |\n  ---\n  x\n", &["a: |\n  ---\n  x\n"]),
            ("a: 1\r\n---\r\nb: 2\r\n", &["a: 1\r\n", "---\r\nb: 2\r\n"]),
        ];
        for (text, expected) in rows {
            let found: Vec<&str> = split(text).into_iter().map(|span| &text[span.start..span.end]).collect();
            assert_eq!(found, expected, "{text:?}");
        }
        let text = "é: 1\r\n---\nb: 2\n";
        let blanked = blank(text, Span::new(7, text.len()));
        assert_eq!(blanked, "     \r\n---\nb: 2\n");
        assert_eq!(blank("\u{feff}a: 1", Span::new(0, 7)), "   a: 1");
    }
}
