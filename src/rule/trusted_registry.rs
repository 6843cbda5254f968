//! `trusted-registry`: where images may come from, by pattern. Needs nothing from a registry.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::setting::{self, At, LevelSetting, SettingError, patterns, present};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::pattern::Patterns;
use crate::span::Span;

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "trusted-registry",
    summary: "images come only from the registries and repositories that the policy names",
    explain: "\
Checks the name of the image, as it is meant, against patterns: short names mean Docker Hub \
(`nginx` is `docker.io/library/nginx`), hosts are compared whole and with their port, so `myreg.io/**` never fits \
`myreg.io.evil.com/x` nor `myreg.io:5000/x`.

Why: whoever can push to a registry decides what runs from it. A misspelt name or an unknown registry is the \
shortest way into a cluster.

To satisfy it, use an image from a place that the policy allows, copy the image there, or add the place to `allow`.",
    settings: &[
        ("allow", "patterns of the places that are trusted; `!` in front takes out"),
        ("deny", "patterns of places that are refused, also where `allow` fits; one of the two is required"),
    ],
    examples: &[
        Example {
            settings: "{allow: [\"docker.io/library/*\", \"ghcr.io/acme/**\"]}",
            reference: "ghcr.io/acme/team/app:1.2",
            facts: Facts::NONE,
            says: None,
        },
        Example {
            settings: "{allow: [\"docker.io/library/*\", \"ghcr.io/acme/**\"]}",
            reference: "ghcr.io.evil.example/acme/app:1.2",
            facts: Facts::NONE,
            says: Some(
                "ghcr.io.evil.example/acme/app is in none of the trusted places: docker.io/library/*, ghcr.io/acme/**",
            ),
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
    allow: Option<At<Vec<At<String>>>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    deny: Option<At<Vec<At<String>>>>,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError> {
        if self.allow.is_none() && self.deny.is_none() {
            return Err(SettingError::new(
                at,
                "trusted-registry needs `allow` or `deny`",
                "write `allow: [\"docker.io/library/*\"]`",
            ));
        }
        let parsed =
            |list: &Option<At<Vec<At<String>>>>| list.as_ref().map(|list| patterns(&list.value, list.span)).transpose();
        let (allow, deny) = (parsed(&self.allow)?, parsed(&self.deny)?);
        if let (Some(allow), Some(deny)) = (&allow, &deny)
            && let Some(both) = deny.shared(allow)
        {
            let written = self.deny.iter().flat_map(|list| &list.value).find(|found| found.value == both.to_string());
            let message = format!("`{both}` stands in both `allow` and `deny`");
            let span = written.map_or(at, |found| found.span);
            return Err(SettingError::new(span, message, "leave it in one of the two"));
        }
        Ok(Box::new(TrustedRegistry { allow, deny }))
    }
}

#[derive(Debug)]
struct TrustedRegistry {
    allow: Option<Patterns>,
    deny: Option<Patterns>,
}

impl Rule for TrustedRegistry {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let name = case.reference.repository();
        let help = "use an image from a trusted place, or change this rule";
        if let Some(deny) = self.deny.as_ref().filter(|deny| deny.fits(case.reference)) {
            return Judgement::Violated(Problem::new(format!("{name} is in a refused place: {deny}"), help));
        }
        match &self.allow {
            Some(allow) if !allow.fits(case.reference) => {
                Judgement::Violated(Problem::new(format!("{name} is in none of the trusted places: {allow}"), help))
            }
            _ => Judgement::Satisfied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{refused, rule, says};
    use super::*;

    #[test]
    fn names_are_held_to_allow_and_deny() {
        let rows = [
            ("{allow: [\"myreg.io/**\"]}", "myreg.io/a/b", true),
            ("{allow: [\"myreg.io/**\"]}", "MYREG.io/a", true),
            ("{allow: [\"myreg.io/**\"]}", "myreg.io.evil.com/a", false),
            ("{allow: [\"myreg.io/**\"]}", "myreg.io:5000/a", false),
            ("{allow: [\"myreg.io/**\"]}", "nginx", false),
            ("{allow: [nginx]}", "index.docker.io/library/nginx:1", true),
            ("{deny: [\"docker.io/**\"]}", "nginx", false),
            ("{deny: [\"docker.io/**\"]}", "quay.io/x/y", true),
            ("{allow: [\"**\"], deny: [busybox]}", "busybox:1", false),
            ("{allow: [\"**\"], deny: [busybox]}", "nginx", true),
            ("{allow: [\"quay.io/**\"], deny: [busybox]}", "nginx", false),
        ];
        for (settings, text, expected) in rows {
            let found = says(&*rule::<Settings>(settings), text);
            assert_eq!(found == Judgement::Satisfied, expected, "{settings} {text}: {found:?}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let rows = [
            ("{}", "needs `allow` or `deny`"),
            ("{allow: []}", "list of patterns is empty"),
            ("{deny: []}", "list of patterns is empty"),
            ("{allow: [\"!nginx\"]}", "takes out"),
            ("{allow: [nginx], deny: [nginx]}", "both"),
            ("{allow: [docker.io/library/nginx], deny: [quay.io/x, nginx]}", "`nginx` stands in both"),
            ("{allow: [\"*/x\"]}", "names no registry"),
            ("{allow: nginx}", "sequence"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
