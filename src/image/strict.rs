//! JSON that no two readers take differently: no doubled key, and no known key in other letters.
//! Readers that fold case (Go's among them) take `Layers` or `ſize` for the key itself, others do not.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::limits;

/// The known keys of one object, and the shapes of the objects below it; a list has the shape of its key.
pub(super) struct Shape {
    /// Keys that have a meaning here.
    pub(super) known: &'static [&'static str],
    /// The shape below a key.
    pub(super) below: &'static [(&'static str, &'static Shape)],
    /// The shape below every other key.
    pub(super) rest: &'static Shape,
}

/// Keys of anybody's choice.
pub(super) static FREE: Shape = Shape { known: &[], below: &[], rest: &FREE };

impl Shape {
    fn below(&'static self, key: &str) -> &'static Self {
        self.below.iter().find(|(own, _)| *own == key).map_or(self.rest, |(_, shape)| shape)
    }
}

/// The keys of the top mapping; refuses doubled keys at any depth, and known ones in other letters.
pub(super) fn top_keys(bytes: &[u8], shape: &'static Shape) -> Result<Vec<String>, serde_json::Error> {
    let mut keys = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict { shape, keys: Some(&mut keys) }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(keys)
}

struct Strict<'a> {
    shape: &'static Shape,
    keys: Option<&'a mut Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without doubled keys")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let folded = fold(&key);
            if self.shape.known.iter().any(|known| *known != key && fold(known) == folded) {
                return Err(de::Error::custom(format!("key `{}` is a known key in other letters", shown(&key))));
            }
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom(format!("key `{}` stands twice", shown(&key))));
            }
            map.next_value_seed(Strict { shape: self.shape.below(&key), keys: None })?;
            if let Some(keys) = self.keys.as_deref_mut() {
                keys.push(key);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Strict { shape: self.shape, keys: None })?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key as an error names it: a long one cut, and without what stands behind a `=`, which may be a secret.
fn shown(key: &str) -> String {
    let name = key.split_once('=').map_or(key, |(name, _)| name);
    let short: String = name.chars().take(100).collect();
    if short.len() == key.len() { short } else { format!("{short}…") }
}

/// What is wrong with `what`, without a word of its values: serde's own message repeats the one that it did not expect.
pub(super) fn fault(what: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    // Our own words, and names of our own fields.
    if ["missing field `", MORE_THAN].iter().any(|known| message.starts_with(known)) {
        return message;
    }
    let why = match error.classify() {
        serde_json::error::Category::Data => "a value there has another type than it should",
        _ => "it is not JSON",
    };
    format!("{what} can't be read at line {} column {}: {why}", error.line(), error.column())
}

/// Simple case folding as far as it reaches ASCII: the long s and the Kelvin sign fold to letters.
fn fold(key: &str) -> String {
    key.chars()
        .map(|letter| match letter {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// How the message about a list or a mapping begins that is too long.
const MORE_THAN: &str = "more than ";

fn too_many<E: de::Error>(most: usize) -> E {
    E::custom(format!("{MORE_THAN}{most} entries in one list or mapping"))
}

/// A mapping of texts; `null` is an empty one.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    deserializer.deserialize_any(Mapping::<String>(PhantomData))
}

/// A list of texts; `null` is an empty one.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    at_most::<{ limits::CONFIG_ENTRIES }, _, _>(deserializer)
}

/// The keys of a mapping that is used as a set; `null` is an empty one.
pub(super) fn set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(deserializer.deserialize_any(Mapping::<IgnoredAny>(PhantomData))?.into_keys().collect())
}

/// A mapping that is refused as soon as it is too long.
struct Mapping<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Mapping<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mapping of at most {} entries", limits::CONFIG_ENTRIES)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            if found.len() == limits::CONFIG_ENTRIES {
                return Err(too_many(limits::CONFIG_ENTRIES));
            }
            found.insert(key, value);
        }
        Ok(found)
    }
}

/// A text; anything else is none, and is not kept while it is read.
pub(super) fn text_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Text;

    impl<'de> Visitor<'de> for Text {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Text)
}

/// A list that is refused as soon as it is longer than `MOST`; `null` is an empty one.
pub(super) fn at_most<'de, const MOST: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Counted<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Counted<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST} entries")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = seq.next_element()? {
                if list.len() == MOST {
                    return Err(too_many(MOST));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(Counted::<T, MOST>(PhantomData))
}
