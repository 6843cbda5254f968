//! `pinned-digest`: the reference names a digest, so that what was judged is what runs. Needs nothing from a registry.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::setting::{self, LevelSetting, SettingError};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::span::Span;

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "pinned-digest",
    summary: "images are named by digest",
    explain: "\
Checks that the reference carries a digest of full length, such as `nginx:1.25@sha256:…`.

Why: a tag can be moved after the check. A digest names the bytes that were judged, and nothing else.

To satisfy it, run `plimsoll pin`, which writes the digest beside the tag.",
    settings: &[],
    examples: &[
        Example {
            settings: "{}",
            reference: "nginx:1.25@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            facts: Facts::NONE,
            says: None,
        },
        Example {
            settings: "{}",
            reference: "nginx:1.25",
            facts: Facts::NONE,
            says: Some("docker.io/library/nginx:1.25 is not pinned by digest"),
        },
    ],
    schema: schema_of::<Settings>,
};

/// Its settings: none but the level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    #[serde(default)]
    level: LevelSetting,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, _: Span) -> Result<Box<dyn Rule>, SettingError> {
        Ok(Box::new(PinnedDigest))
    }
}

#[derive(Debug)]
struct PinnedDigest;

impl Rule for PinnedDigest {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        if case.reference.digest().is_some() {
            return Judgement::Satisfied;
        }
        let message = format!("{} is not pinned by digest", case.reference);
        Judgement::Violated(Problem::new(message, "run `plimsoll pin` to write the digest beside the tag"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{refused, rule, says};
    use super::*;

    #[test]
    fn only_a_written_digest_satisfies() {
        let rule = rule::<Settings>("{}");
        let digest = "b".repeat(64);
        assert_eq!(says(&*rule, &format!("nginx@sha256:{digest}")), Judgement::Satisfied);
        for text in ["nginx", "nginx:1", "ghcr.io/a/b:sha256-abc"] {
            assert!(matches!(says(&*rule, text), Judgement::Violated(_)), "{text}");
        }
        assert!(refused::<Settings>("{deny: [x]}").contains("unknown field"));
    }
}
