//! What the settings of every rule share: values that know their place, levels, sizes, and errors at a place.
//! Knows no policy file; the policy refuses nulls and doubled keys before any of this is read.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::Rule;
use crate::finding::Level;
use crate::limits;
use crate::pattern::{Patterns, PatternsError};
use crate::reference::Reference;
use crate::span::Span;

/// A value of the policy and the bytes it stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the policy file; a collection's span is its first byte.
    pub span: Span,
}

/// The bytes of a location; an empty span at the start where it is unknown.
pub fn span_of(location: &Location) -> Span {
    let bytes = location.span();
    let number = |found: Option<u64>| found.and_then(|found| usize::try_from(found).ok()).unwrap_or_default();
    let start = number(bytes.byte_offset());
    Span::new(start, start + number(bytes.byte_len()))
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, span: span_of(&spanned.referenced) })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// For `Option` fields: a key that stands there has a value.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The `level` of a rule in the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LevelSetting {
    /// A violation denies.
    #[default]
    Deny,
    /// A violation is reported and decides nothing.
    Warn,
    /// The rule does not run.
    Off,
}

impl LevelSetting {
    /// The level of its findings; `None` where the rule is off.
    pub fn level(self) -> Option<Level> {
        match self {
            Self::Deny => Some(Level::Deny),
            Self::Warn => Some(Level::Warn),
            Self::Off => None,
        }
    }
}

/// A setting that no rule can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingError {
    /// Where, in bytes of the policy file.
    pub span: Span,
    /// What is wrong; lower case.
    pub message: String,
    /// The way out.
    pub help: String,
}

impl SettingError {
    /// An error at a place, with its way out.
    pub fn new(span: Span, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: help.into() }
    }
}

/// The settings of one kind of rule, as the policy writes them.
pub trait Settings: DeserializeOwned + JsonSchema {
    /// How much a violation weighs.
    fn level(&self) -> LevelSetting;

    /// The rule; `at` is where the settings stand, for what concerns them all.
    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError>;
}

/// A list of patterns from the policy; `at` is where the list stands.
pub fn patterns(list: &[At<String>], at: Span) -> Result<Patterns, SettingError> {
    Patterns::parse(list.iter().map(|pattern| pattern.value.as_str())).map_err(|error| {
        let span = match &error {
            PatternsError::Pattern { index, .. } | PatternsError::TakesOutAll { index } => list[*index].span,
            PatternsError::Empty | PatternsError::OnlyNegative => at,
        };
        SettingError::new(span, error.to_string(), "patterns look like `ghcr.io/acme/**` or `nginx:1.*`")
    })
}

/// Refuses bases that are taken out by their tag: one that is proved by a digest alone has no tag that could fit.
pub fn no_tag_taken_out(list: Option<&At<Vec<At<String>>>>, help: &str) -> Result<(), SettingError> {
    let takes_out = |text: &&At<String>| {
        let name = text.value.strip_prefix('!').and_then(|name| name.rsplit('/').next());
        name.is_some_and(|last| last.contains(':'))
    };
    match list.into_iter().flat_map(|list| &list.value).find(takes_out) {
        Some(text) => {
            let message = format!("`{}` takes out a tag, which nobody can prove that a base does not have", text.value);
            Err(SettingError::new(text.span, message, help))
        }
        None => Ok(()),
    }
}

/// Those patterns of bases that are names with a tag, so that they can be asked for; an error where they are too many.
pub fn candidates<'a>(
    lists: impl IntoIterator<Item = &'a At<Vec<At<String>>>>,
) -> Result<Vec<Reference>, SettingError> {
    let mut found: Vec<Reference> = Vec::new();
    for text in lists.into_iter().flat_map(|list| &list.value) {
        let literal = !text.value.contains('*') && !text.value.starts_with('!');
        let named = literal.then(|| Reference::parse(&text.value).ok()).flatten();
        if let Some(reference) = named.filter(|reference| reference.written_tag().is_some()) {
            found.push(reference);
            if found.len() > limits::BASE_CANDIDATES {
                let message =
                    format!("more than {} bases with a tag, each of which is compared", limits::BASE_CANDIDATES);
                return Err(SettingError::new(
                    text.span,
                    message,
                    "leave tags out, and let the images name their bases",
                ));
            }
        }
    }
    Ok(found)
}

/// A size in bytes, written `500MiB`, `80MB`, `1GiB` or as a plain number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// As it was written.
    pub text: String,
    /// Bytes.
    pub bytes: u64,
}

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Size {
    /// Parses a whole number and a unit; `None` for anything else, and for what does not fit.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
        Some(Self { text: text.to_owned(), bytes })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Bytes as people read them, to a tenth of the unit: `584.0 MiB`.
pub fn size_text(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

/// A size in the schema: a number, or a number with its unit.
pub struct SizeText;

impl JsonSchema for SizeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 1,
            "pattern": "^[0-9]+ ?(B|kB|KB|KiB|MB|MiB|GB|GiB|TiB)?$"
        })
    }
}

/// A size of the policy that is no zero.
pub fn size(written: &At<String>) -> Result<Size, SettingError> {
    let At { value, span } = written;
    let help = "write a whole number with a unit, such as `500MiB`, `80MB` or `1GiB`";
    match Size::parse(value) {
        None => Err(SettingError::new(*span, format!("`{value}` is not a size"), help)),
        Some(size) if size.bytes == 0 => Err(SettingError::new(*span, "a maximum of 0 lets no image pass", help)),
        Some(size) => Ok(size),
    }
}

/// A length of time, written `48h`, `90d` or `2w`; a day has 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    /// As it was written.
    pub text: String,
    /// Seconds.
    pub seconds: i64,
}

impl Duration {
    /// Parses a whole number and one of the units `h`, `d` and `w`; `None` for anything else, and for what does not
    /// fit.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, hours) = [("h", 1), ("d", 24), ("w", 7 * 24)]
            .into_iter()
            .find_map(|(unit, hours)| Some((text.strip_suffix(unit)?, hours)))?;
        if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let seconds = number.parse::<i64>().ok()?.checked_mul(hours * 3_600)?;
        Some(Self { text: text.to_owned(), seconds })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name in `known` that is nearest to `found`, where one is near enough to be meant.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found: String = found.chars().take(64).collect::<String>().to_lowercase();
    let near = known.into_iter().map(|name| (distance(&found, &name.to_lowercase()), name)).min()?;
    (near.0 <= (near.1.len() / 3).max(1)).then_some(near.1)
}

/// Edit distance where two neighbours may change places (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let swap = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        let rows = [
            ("500MiB", Some(524_288_000)),
            ("80MB", Some(80_000_000)),
            ("1GiB", Some(1_073_741_824)),
            ("1 GiB", Some(1_073_741_824)),
            ("12", Some(12)),
            ("12B", Some(12)),
            ("3kB", Some(3_000)),
            ("3KiB", Some(3_072)),
            ("0", Some(0)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("+1", None),
            ("1.5GiB", None),
            ("1mib", None),
            ("1Mi", None),
            ("1_000", None),
            ("0x10", None),
            ("18446744073709551616", None),
            ("18446744073709551615GiB", None),
            ("1MiB ", None),
        ];
        for (text, bytes) in rows {
            assert_eq!(Size::parse(text).map(|size| size.bytes), bytes, "{text}");
        }
    }

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        let rows = [
            ("48h", Some(172_800)),
            ("90d", Some(7_776_000)),
            ("2w", Some(1_209_600)),
            ("0d", Some(0)),
            ("", None),
            ("d", None),
            ("90", None),
            ("90 d", None),
            (" 90d", None),
            ("90d ", None),
            ("90D", None),
            ("-1d", None),
            ("+1d", None),
            ("1.5d", None),
            ("1m", None),
            ("1y", None),
            ("1w2d", None),
            ("1_000d", None),
            ("\u{662}d", None),
            ("9223372036854775807h", None),
            ("9223372036854775808h", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(Duration::parse(text).map(|duration| duration.seconds), seconds, "{text}");
        }
    }

    #[test]
    fn sizes_read_well() {
        let rows =
            [(12, "12 bytes"), (1 << 20, "1.0 MiB"), (642_123_456, "612.3 MiB"), (u64::MAX, "17179869183.9 GiB")];
        for (bytes, text) in rows {
            assert_eq!(size_text(bytes), text);
        }
    }

    #[test]
    fn a_near_name_is_meant_and_a_far_one_is_not() {
        let known = ["match", "rules", "mutable-tag", "name"];
        let rows =
            [("rule", Some("rules")), ("mathc", Some("match")), ("mutable_tag", Some("mutable-tag")), ("zzz", None)];
        for (found, expected) in rows {
            assert_eq!(nearest(found, known), expected, "{found}");
        }
    }
}
