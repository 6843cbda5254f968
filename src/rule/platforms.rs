//! `platforms`: the image runs on every platform that the policy names. Needs the configs, where no index says.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{content, known, lacking, list, named_but_lacking};
use super::setting::{self, At, LevelSetting, SettingError};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::image::{Depth, Platform};
use crate::span::Span;

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "platforms",
    summary: "images exist for every platform that the policy names",
    explain: "\
Checks the platforms of the whole image, whatever `--platform` names: those of its index, or the one in its config. \
`linux/arm64` is `linux/arm64/v8`; a variant counts only where one is asked for.

Why: a workload that lands on another kind of node fails there, and a pin to one platform hides it until then.

To satisfy it, use a tag that was built for all of them, or build and push the missing ones.",
    settings: &[("require", "platforms as `os/arch` or `os/arch/variant`; required")],
    examples: &[
        Example {
            settings: "{require: [linux/amd64, linux/arm64]}",
            reference: "nginx:1.25",
            facts: Facts { platforms: &[("linux/amd64", 70_000_000), ("linux/arm64/v8", 68_000_000)], ..Facts::NONE },
            says: None,
        },
        Example {
            settings: "{require: [linux/amd64, linux/arm64]}",
            reference: "nginx:1.25",
            facts: Facts { platforms: &[("linux/amd64", 70_000_000)], ..Facts::NONE },
            says: Some("the image lacks linux/arm64; it has linux/amd64"),
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
    #[schemars(with = "Vec<String>")]
    require: At<Vec<At<String>>>,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, _: Span) -> Result<Box<dyn Rule>, SettingError> {
        let help = "write `require: [linux/amd64, linux/arm64]`";
        let mut require: Vec<Platform> = Vec::new();
        for text in &self.require.value {
            let platform: Platform =
                text.value.parse().map_err(|error| SettingError::new(text.span, format!("{error}"), help))?;
            if require.contains(&platform) {
                return Err(SettingError::new(text.span, format!("{platform} stands twice"), "leave one away"));
            }
            require.push(platform);
        }
        if require.is_empty() {
            return Err(SettingError::new(self.require.span, "`require` names no platform", help));
        }
        Ok(Box::new(Platforms { require }))
    }
}

#[derive(Debug)]
struct Platforms {
    require: Vec<Platform>,
}

impl Rule for Platforms {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs { content: Some(Depth::Configs), ..Needs::NOTHING }
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let image = match content(case) {
            Ok(image) => image,
            Err(problem) => return Judgement::Undecided(problem),
        };
        let missing = lacking(image, &self.require);
        if missing.is_empty() {
            return named_but_lacking(image, case.platforms).map_or(Judgement::Satisfied, Judgement::Undecided);
        }
        let message = format!("the image lacks {}; it has {}", list(missing), list(known(image)));
        // A platform that nobody named could be the one that is asked for.
        if image.platforms().iter().any(|found| found.platform.is_none()) {
            return Judgement::Undecided(Problem::new(message, "read the configs, or use an image with an index"));
        }
        Judgement::Violated(Problem::new(message, "use a tag that was built for all of them"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{case, index, reference, refused, rule, says, single};
    use super::*;
    use crate::image::Image;

    fn judge(settings: &str, image: &Image, platforms: &[&str]) -> Judgement {
        let reference = reference("nginx:1");
        let platforms: Vec<_> = platforms.iter().map(|text| text.parse().expect("a platform")).collect();
        rule::<Settings>(settings).check(&Case { image: Some(Ok(image)), platforms: &platforms, ..case(&reference) })
    }

    #[test]
    fn every_required_platform_is_there() {
        let image = index(&[("linux/amd64", 1), ("linux/arm64", 1), ("linux/arm/v7", 1)]);
        let both = "{require: [linux/amd64, linux/arm64]}";
        assert_eq!(judge(both, &image, &[]), Judgement::Satisfied);
        assert_eq!(judge("{require: [linux/arm64/v8, linux/arm]}", &image, &[]), Judgement::Satisfied);
        assert!(matches!(judge("{require: [linux/arm/v6]}", &image, &[]), Judgement::Violated(_)));
        assert!(matches!(judge("{require: [linux/s390x]}", &image, &["linux/amd64"]), Judgement::Violated(_)));
        assert!(matches!(judge(both, &image, &["linux/s390x"]), Judgement::Undecided(_)));
        let config = single("linux/amd64", 1, Depth::Configs);
        assert_eq!(judge("{require: [linux/amd64]}", &config, &[]), Judgement::Satisfied);
        assert!(matches!(judge(both, &config, &[]), Judgement::Violated(_)));
        let unnamed = single("linux/amd64", 1, Depth::Manifests);
        assert!(matches!(judge(both, &unnamed, &[]), Judgement::Undecided(_)));
        assert!(matches!(says(&*rule::<Settings>(both), "nginx"), Judgement::Undecided(_)));
    }

    #[test]
    fn impossible_settings_are_refused() {
        let rows = [
            ("{}", "require"),
            ("{require: []}", "names no platform"),
            ("{require: [linux]}", "not a platform"),
            ("{require: [linux/amd64, linux/amd64]}", "stands twice"),
            ("{require: linux/amd64}", "sequence"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
