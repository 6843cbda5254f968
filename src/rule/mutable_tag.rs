//! `mutable-tag`: tags that move by design are not used, beside a digest neither. Needs nothing from a registry.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::setting::{self, At, LevelSetting, SettingError, present};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::pattern::Glob;
use crate::reference::LATEST;
use crate::span::Span;

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "mutable-tag",
    summary: "images are not named by a tag that moves, such as latest",
    explain: "\
Checks the tag, as it is meant: `nginx` alone has the tag `latest`, and so has `nginx:latest@sha256:…`. \
`nginx@sha256:…` has no tag and satisfies the rule, unless `require-tag` asks for one.

Why: a tag that moves says nothing about what runs, and the next pin of it can be anything.

To satisfy it, name the version that is meant: `nginx:1.25`.",
    settings: &[
        ("deny", "tags that are refused, with `*` for any run of characters; default `[latest]`"),
        ("require-tag", "`true` also asks for a tag beside a digest; default `false`"),
    ],
    examples: &[
        Example {
            settings: "{deny: [latest, \"*-SNAPSHOT\"]}",
            reference: "nginx:1.25",
            facts: Facts::NONE,
            says: None,
        },
        Example {
            settings: "{deny: [latest, \"*-SNAPSHOT\"]}",
            reference: "ghcr.io/acme/app:2-SNAPSHOT",
            facts: Facts::NONE,
            says: Some("tag `2-SNAPSHOT` is refused by `*-SNAPSHOT`"),
        },
        Example {
            settings: "{}",
            reference: "nginx",
            facts: Facts::NONE,
            says: Some("a name without a tag has the tag `latest`, which is refused by `latest`"),
        },
    ],
    schema: schema_of::<Settings>,
};

/// Its settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    #[serde(default)]
    level: LevelSetting,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    deny: Option<At<Vec<At<String>>>>,
    #[serde(default)]
    require_tag: bool,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, _: Span) -> Result<Box<dyn Rule>, SettingError> {
        let glob = |tag: &At<String>| {
            let help = "write a tag such as `latest`, or one with `*`, such as `*-SNAPSHOT`";
            Glob::tag(&tag.value).map_err(|error| SettingError::new(tag.span, error.to_string(), help))
        };
        let deny = match &self.deny {
            Some(deny) if deny.value.is_empty() && !self.require_tag => {
                return Err(SettingError::new(
                    deny.span,
                    "an empty `deny` refuses nothing",
                    "leave `deny` away for `[latest]`, or set `level: off`",
                ));
            }
            Some(deny) => deny.value.iter().map(glob).collect::<Result<_, _>>()?,
            None => vec![Glob::tag(LATEST).expect("latest is a tag")],
        };
        Ok(Box::new(MutableTag { deny, require_tag: self.require_tag }))
    }
}

#[derive(Debug)]
struct MutableTag {
    deny: Vec<Glob>,
    require_tag: bool,
}

impl Rule for MutableTag {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let violated = |message: String| {
            let help = format!("name the version that is meant, such as {}:1.2.3", case.reference.repository());
            Judgement::Violated(Problem::new(message, help))
        };
        let Some(tag) = case.reference.tag() else {
            return if self.require_tag {
                violated("a digest without a tag: nobody can tell which version was meant".to_owned())
            } else {
                Judgement::Satisfied
            };
        };
        match self.deny.iter().find(|glob| glob.fits(tag)) {
            Some(glob) if case.reference.written_tag().is_none() => {
                violated(format!("a name without a tag has the tag `{tag}`, which is refused by `{glob}`"))
            }
            Some(glob) => violated(format!("tag `{tag}` is refused by `{glob}`")),
            None => Judgement::Satisfied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{refused, rule, says};
    use super::*;

    #[test]
    fn the_tag_counts_as_it_is_meant() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        let rows = [
            ("{}", "nginx", false),
            ("{}", "nginx:latest", false),
            ("{}", "nginx:latest@", false),
            ("{}", "nginx@", true),
            ("{}", "nginx:1@", true),
            ("{}", "nginx:latest-alpine", true),
            ("{deny: [\"latest*\"]}", "nginx:latest-alpine", false),
            ("{deny: [main]}", "nginx", true),
            ("{require-tag: true}", "nginx@", false),
            ("{require-tag: true}", "nginx:1@", true),
            ("{require-tag: true}", "nginx:latest@", false),
            ("{require-tag: true, deny: []}", "nginx:latest@", true),
            ("{deny: [1.0]}", "nginx:1.0", false),
        ];
        for (settings, text, expected) in rows {
            let found = says(&*rule::<Settings>(settings), &text.replace('@', &digest));
            assert_eq!(found == Judgement::Satisfied, expected, "{settings} {text}: {found:?}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let rows = [
            ("{deny: []}", "refuses nothing"),
            ("{deny: [\"a b\"]}", "is not a tag"),
            ("{deny: [\"\"]}", "is not a tag"),
            ("{require-tag: 1}", "bool"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
