//! `platforms`: the image runs on every platform that the policy names, and on those that it ran on before it moved.
//! Needs the configs, where no index says.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{content, known, lacking, list, named_but_lacking};
use super::setting::{self, At, LevelSetting, SettingError, present};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::image::{Depth, Platform};
use crate::span::Span;

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "platforms",
    summary: "images exist for every platform that the policy names, and lose none when a pin moves",
    explain: "\
Checks the platforms of the whole image, whatever `--platform` names: those of its index, or the one in its config. \
`linux/arm64` is `linux/arm64/v8`; a variant counts only where one is asked for.

With `not-shrunk: true`, `pin --update` moves a pin only to an image that has every platform of the one that was pinned \
before; of a pin to one child of an index, only that child's. Where it lacks one the old pin stays. Without `--update`, and \
in `check`, nothing moves, and nothing is compared.

Why: a workload that lands on another kind of node fails there, and a pin to one platform hides it until then.

To satisfy it, use a tag that was built for all of them, or build and push the missing ones.",
    settings: &[
        ("require", "platforms as `os/arch` or `os/arch/variant`; this or `not-shrunk` is required"),
        ("not-shrunk", "`true`: a pin that moves keeps every platform that it had"),
    ],
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
        Example {
            settings: "{not-shrunk: true}",
            reference: "nginx:1.25",
            facts: Facts {
                platforms: &[("linux/amd64", 70_000_000), ("linux/arm64", 68_000_000)],
                previous: &[("linux/amd64", 70_000_000), ("linux/arm64", 68_000_000)],
                ..Facts::NONE
            },
            says: None,
        },
        Example {
            settings: "{not-shrunk: true}",
            reference: "nginx:1.25",
            facts: Facts {
                platforms: &[("linux/amd64", 70_000_000)],
                previous: &[("linux/amd64", 70_000_000), ("linux/arm64", 68_000_000)],
                ..Facts::NONE
            },
            says: Some("what would be pinned now lacks linux/arm64, which the old pin has; it has linux/amd64"),
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
    require: Option<At<Vec<At<String>>>>,
    #[serde(default)]
    not_shrunk: bool,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError> {
        let help = "write `require: [linux/amd64, linux/arm64]`, or `not-shrunk: true`";
        if self.require.is_none() && !self.not_shrunk {
            return Err(SettingError::new(at, "neither `require` nor `not-shrunk: true`: nothing is asked for", help));
        }
        let mut require: Vec<Platform> = Vec::new();
        for text in self.require.iter().flat_map(|require| &require.value) {
            let platform: Platform =
                text.value.parse().map_err(|error| SettingError::new(text.span, format!("{error}"), help))?;
            if require.contains(&platform) {
                return Err(SettingError::new(text.span, format!("{platform} stands twice"), "leave one away"));
            }
            require.push(platform);
        }
        if let Some(named) = self.require.filter(|_| require.is_empty()) {
            return Err(SettingError::new(named.span, "`require` names no platform", help));
        }
        Ok(Box::new(Platforms { require, not_shrunk: self.not_shrunk }))
    }
}

#[derive(Debug)]
struct Platforms {
    require: Vec<Platform>,
    not_shrunk: bool,
}

impl Rule for Platforms {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs { content: Some(Depth::Configs), ..Needs::NOTHING }
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let both = [self.required(case), self.kept(case)];
        let is_violated = |found: &Judgement| matches!(found, Judgement::Violated(_));
        let first = both.iter().position(is_violated);
        let first = first.or_else(|| both.iter().position(|found| *found != Judgement::Satisfied));
        first.map_or(Judgement::Satisfied, |at| both[at].clone())
    }
}

impl Platforms {
    fn required(&self, case: &Case<'_>) -> Judgement {
        if self.require.is_empty() {
            return Judgement::Satisfied;
        }
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

    /// Whether the image has every platform of the one that was pinned before; where nothing moves, it has.
    fn kept(&self, case: &Case<'_>) -> Judgement {
        const HELP: &str = "the old pin stays: wait until the tag has them again, pin another tag, or leave `not-shrunk` away to let them go";
        let previous = match case.previous.filter(|_| self.not_shrunk) {
            None => return Judgement::Satisfied,
            Some(Ok(previous)) => previous,
            Some(Err(error)) => {
                let message = format!("the platforms of the old pin could not be read: {error}");
                return Judgement::Undecided(Problem::new(message, "make the registry reachable and run again"));
            }
        };
        let image = match content(case) {
            Ok(image) => image,
            Err(problem) => return Judgement::Undecided(problem),
        };
        let before: Vec<Platform> = known(previous).into_iter().cloned().collect();
        if before.len() < previous.platforms().len() {
            let message = "not every platform of the old pin is known".to_owned();
            return Judgement::Undecided(Problem::new(message, HELP));
        }
        let missing = lacking(image, &before);
        if missing.is_empty() {
            return Judgement::Satisfied;
        }
        let (missing, has) = (list(missing), list(known(image)));
        let message = format!("what would be pinned now lacks {missing}, which the old pin has; it has {has}");
        if image.platforms().iter().any(|found| found.platform.is_none()) {
            return Judgement::Undecided(Problem::new(message, HELP));
        }
        Judgement::Violated(Problem::new(message, HELP))
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{case, index, reference, refused, rule, says, single};
    use super::*;
    use crate::image::{Image, ImageError};
    use crate::registry::RegistryError;

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
    fn a_pin_that_moves_keeps_its_platforms() {
        let amd64 = [("linux/amd64", 1)];
        let both = [("linux/amd64", 1), ("linux/arm64", 1)];
        let three = [("linux/amd64", 1), ("linux/arm64/v8", 1), ("linux/s390x", 1)];
        let error = ImageError::Registry(RegistryError::NotFound { place: "r.io".to_owned() });
        let (amd64, both, three) = (index(&amd64), index(&both), index(&three));
        let (child, unnamed) = (single("linux/amd64", 1, Depth::Configs), single("linux/amd64", 1, Depth::Manifests));
        let reference = reference("nginx:1");
        let kept = "{not-shrunk: true}";
        for (settings, previous, image, expected) in [
            (kept, None, Some(Ok(&amd64)), '+'),
            (kept, None, None, '+'),
            (kept, Some(Ok(&both)), Some(Ok(&both)), '+'),
            (kept, Some(Ok(&both)), Some(Ok(&three)), '+'),
            (kept, Some(Ok(&both)), Some(Ok(&amd64)), '-'),
            (kept, Some(Ok(&three)), Some(Ok(&both)), '-'),
            (kept, Some(Ok(&child)), Some(Ok(&amd64)), '+'),
            (kept, Some(Ok(&both)), Some(Ok(&child)), '-'),
            (kept, Some(Ok(&both)), Some(Ok(&unnamed)), '?'),
            (kept, Some(Ok(&unnamed)), Some(Ok(&both)), '?'),
            (kept, Some(Err(&error)), Some(Ok(&both)), '?'),
            (kept, Some(Ok(&both)), Some(Err(&error)), '?'),
            (kept, Some(Ok(&both)), None, '?'),
            ("{require: [linux/amd64]}", Some(Ok(&both)), Some(Ok(&amd64)), '+'),
            ("{require: [linux/amd64], not-shrunk: true}", Some(Ok(&both)), Some(Ok(&amd64)), '-'),
            ("{require: [linux/s390x], not-shrunk: true}", Some(Ok(&both)), Some(Ok(&both)), '-'),
            ("{require: [linux/s390x], not-shrunk: true}", Some(Err(&error)), Some(Ok(&both)), '-'),
            ("{require: [linux/amd64], not-shrunk: true}", Some(Err(&error)), Some(Ok(&both)), '?'),
        ] {
            let found = rule::<Settings>(settings).check(&Case { image, previous, ..case(&reference) });
            let verdict = match &found {
                Judgement::Satisfied => '+',
                Judgement::Violated(_) => '-',
                Judgement::Undecided(_) => '?',
            };
            assert_eq!(verdict, expected, "{settings}: {found:?}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let rows = [
            ("{}", "nothing is asked for"),
            ("{not-shrunk: false}", "nothing is asked for"),
            ("{not-shrunk: true, require: []}", "names no platform"),
            ("{not-shrunk: 1}", "bool"),
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
