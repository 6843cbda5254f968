//! JSON that no two readers take differently: no doubled key, and no known key in other letters.
//! Readers that fold case (Go's among them) take `Layers` or `ſize` for the key itself, others do not.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

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
                return Err(de::Error::custom(format!("key `{key}` is a known key in other letters")));
            }
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom(format!("key `{key}` stands twice")));
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

/// A mapping of texts; `null` is an empty one.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list of texts; `null` is an empty one.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The keys of a mapping that is used as a set; `null` is an empty one.
pub(super) fn set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let map: Option<BTreeMap<String, serde_json::Value>> = Option::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
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
                    return Err(de::Error::custom(format!("a list of more than {MOST} entries")));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(Counted::<T, MOST>(PhantomData))
}
