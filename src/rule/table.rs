//! Every rule, named once: from these lines come the policy's keys, the schema, `explain` and the example tests.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::built_in::{BUILT_INS, BuiltIn, built_in};
use super::kind::RuleKind;
use super::setting::{At, LevelSetting, SettingError, Settings as _, nearest};
use super::{
    Rule, base_image, image_age, image_config, image_size, mutable_tag, pinned_digest, platforms, run_as_user,
    tag_digest_match, trusted_registry,
};
use crate::span::Span;

macro_rules! table {
    ($($module:ident),+ $(,)?) => {
        /// Every kind of rule.
        pub const RULES: &[RuleKind] = &[$($module::KIND),+];
        const IDS: &[&str] = &[$($module::KIND.id),+];

        fn entry<'de, A: MapAccess<'de>>(key: &At<String>, map: &mut A) -> Result<Entry, A::Error> {
            $(if key.value == $module::KIND.id {
                let At { value, span } = map.next_value::<At<$module::Settings>>()?;
                let level = value.level();
                return Ok(Entry { id: $module::KIND.id, span: key.span, level, rule: value.rule(span) });
            })+
            Err(A::Error::unknown_field(&key.value, IDS))
        }
    };
}

table!(
    trusted_registry,
    mutable_tag,
    pinned_digest,
    tag_digest_match,
    base_image,
    image_size,
    image_age,
    image_config,
    run_as_user,
    platforms
);

/// The kind of that id.
pub fn kind(id: &str) -> Option<&'static RuleKind> {
    RULES.iter().find(|kind| kind.id == id)
}

/// The page of a rule or a built-in, as Markdown; what `explain ID` prints.
pub fn page(id: &str) -> Option<String> {
    kind(id).map(RuleKind::page).or_else(|| built_in(id).map(BuiltIn::page))
}

/// The nearest id to one that is not known, of rules and built-ins.
pub fn nearest_id(id: &str) -> Option<&'static str> {
    nearest(id, RULES.iter().map(|kind| kind.id).chain(BUILT_INS.iter().map(|built_in| built_in.id)))
}

/// One rule of a statement, read from its settings.
#[derive(Debug)]
pub struct Entry {
    /// The rule's id.
    pub id: &'static str,
    /// Where its key stands.
    pub span: Span,
    /// How much it weighs.
    pub level: LevelSetting,
    /// The rule, or why its settings make none.
    pub rule: Result<Box<dyn Rule>, SettingError>,
}

/// The `rules` of a statement, in the order of the file.
#[derive(Debug)]
pub struct Entries(pub Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rules by their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<At<String>>()? {
                    entries.push(entry(&key, &mut map)?);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

impl JsonSchema for Entries {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rules".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let properties: serde_json::Map<_, _> = RULES
            .iter()
            .map(|kind| {
                let mut schema = (kind.schema)(generator);
                schema.insert("description".to_owned(), kind.summary.into());
                (kind.id.to_owned(), schema.into())
            })
            .collect();
        json_schema!({
            "type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::example::testing::run;
    use super::*;

    /// Files of the folder that are no rule.
    const SHARED: [&str; 9] =
        ["mod", "setting", "example", "kind", "wording", "platform_choice", "port", "built_in", "table"];

    #[test]
    fn the_folder_holds_what_the_table_names() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rule");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
            .filter(|name| !SHARED.contains(&name.as_str()))
            .collect();
        let table: BTreeSet<String> = RULES.iter().map(|kind| kind.id.replace('-', "_")).collect();
        assert_eq!(files, table);
    }

    #[test]
    fn every_example_is_true() {
        for kind in RULES {
            assert!(kind.examples.iter().any(|example| example.says.is_none()), "{} shows no pass", kind.id);
            assert!(kind.examples.iter().any(|example| example.says.is_some()), "{} shows no failure", kind.id);
            for example in kind.examples {
                let text = format!("{}: {}", kind.id, example.settings);
                let Entries(entries) = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                run(&**entries[0].rule.as_ref().expect("a rule"), example);
            }
            let page = kind.page();
            assert!(kind.settings.iter().all(|(name, _)| page.contains(name)) && page.contains("## Fails"), "{page}");
        }
    }

    #[test]
    fn every_id_has_one_page() {
        let ids: Vec<&str> = RULES.iter().map(|kind| kind.id).chain(BUILT_INS.iter().map(|b| b.id)).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        for id in ids {
            assert!(page(id).is_some_and(|page| page.starts_with(&format!("# {id}\n"))), "{id}");
        }
        assert_eq!((page("image-sise"), nearest_id("image-sise")), (None, Some("image-size")));
        assert_eq!(nearest_id("unmached"), Some("unmatched"));
    }

    #[test]
    fn settings_on_the_page_are_the_settings_of_the_schema() {
        for kind in RULES {
            let schema = (kind.schema)(&mut SchemaGenerator::default());
            let properties = schema.get("properties").and_then(|found| found.as_object()).expect("properties");
            let mut found: Vec<&str> = properties.keys().map(String::as_str).filter(|key| *key != "level").collect();
            let mut named: Vec<&str> = kind.settings.iter().map(|(name, _)| *name).collect();
            found.sort_unstable();
            named.sort_unstable();
            assert_eq!(found, named, "{}", kind.id);
            assert_eq!(schema.get("additionalProperties"), Some(&false.into()), "{}", kind.id);
        }
    }

    #[test]
    fn keys_keep_their_order_and_place_and_unknown_ones_are_refused() {
        let text = "pinned-digest: {level: warn}\nimage-size:\n  max: 0\n";
        let Entries(entries) = serde_saphyr::from_str(text).expect("rules");
        assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), ["pinned-digest", "image-size"]);
        assert_eq!(entries[1].span.of(text.as_bytes()), Some(&b"image-size"[..]));
        assert_eq!(entries[0].level, LevelSetting::Warn);
        let error = entries[1].rule.as_ref().expect_err("a maximum of 0");
        assert_eq!(error.span.of(text.as_bytes()), Some(&b"0"[..]));
        for broken in ["signature: {}", "pinned-digest: x", "pinned-digest: {}\npinned-digest: {}"] {
            assert!(serde_saphyr::from_str::<Entries>(broken).is_err(), "{broken}");
        }
    }
}
