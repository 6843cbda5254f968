//! `image-size`: compressed bytes of the layers, on every platform. Needs the manifests.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{chosen, content, named_but_lacking};
use super::setting::{self, At, LevelSetting, SettingError, Size, size_text};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::image::Depth;
use crate::span::Span;

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "image-size",
    summary: "images are no larger than the policy says, on every platform",
    explain: "\
Checks the sum of the compressed layers, as the manifest states them: what a node pulls, not what it unpacks. \
A layer that stands twice counts once. Every platform of the image is held to it, or those named with `--platform`.

Why: large images pull slowly, fill nodes, and carry what nobody needs.

To satisfy it, use a smaller base, build in stages, and leave out caches and tools.",
    settings: &[("max", "largest size, such as `500MiB`, `80MB`, `1GiB` or a number of bytes; required")],
    examples: &[
        Example {
            settings: "{max: 500MiB}",
            reference: "nginx:1.25",
            facts: Facts { platforms: &[("linux/amd64", 70_000_000), ("linux/arm64", 68_000_000)], ..Facts::NONE },
            says: None,
        },
        Example {
            settings: "{max: 65MiB}",
            reference: "nginx:1.25",
            facts: Facts { platforms: &[("linux/amd64", 70_000_000), ("linux/arm64", 68_000_000)], ..Facts::NONE },
            says: Some(
                "linux/amd64 has 66.7 MiB (70000000 bytes) of compressed layers, more than the maximum of 65MiB",
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
    #[schemars(with = "SizeText")]
    max: At<String>,
}

/// A size in the schema: a number, or a number with its unit.
struct SizeText;

impl JsonSchema for SizeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "minimum": 1,
            "pattern": "^[0-9]+ ?(B|kB|KB|KiB|MB|MiB|GB|GiB|TiB)?$"
        })
    }
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, _: Span) -> Result<Box<dyn Rule>, SettingError> {
        let At { value, span } = self.max;
        let help = "write a whole number with a unit, such as `500MiB`, `80MB` or `1GiB`";
        let Some(max) = Size::parse(&value) else {
            return Err(SettingError::new(span, format!("`{value}` is not a size"), help));
        };
        if max.bytes == 0 {
            return Err(SettingError::new(span, "a maximum of 0 lets no image pass", help));
        }
        Ok(Box::new(ImageSize { max }))
    }
}

#[derive(Debug)]
struct ImageSize {
    max: Size,
}

impl Rule for ImageSize {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs { content: Some(Depth::Manifests), ..Needs::NOTHING }
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let image = match content(case) {
            Ok(image) => image,
            Err(problem) => return Judgement::Undecided(problem),
        };
        let too_large = |found: &crate::image::PlatformImage| {
            let size = found.manifest.layers_size();
            if size.is_some_and(|size| size <= self.max.bytes) {
                return None;
            }
            let name = found.platform.as_ref().map_or_else(|| "the image".to_owned(), ToString::to_string);
            let size = size.map_or_else(
                || "more bytes than can be counted".to_owned(),
                |size| format!("{} ({size} bytes)", size_text(size)),
            );
            Some(format!("{name} has {size}"))
        };
        let offenders: Vec<String> = chosen(image, case.platforms).into_iter().filter_map(too_large).collect();
        if !offenders.is_empty() {
            let message =
                format!("{} of compressed layers, more than the maximum of {}", offenders.join(", "), self.max);
            return Judgement::Violated(Problem::new(message, "use a smaller image, or raise `max`"));
        }
        // An image without an index has no platform name at this depth, and was judged above.
        match named_but_lacking(image, case.platforms).filter(|_| image.is_index()) {
            Some(problem) => Judgement::Undecided(problem),
            None => Judgement::Satisfied,
        }
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
    fn every_platform_is_held_to_it() {
        let image = index(&[("linux/amd64", 10), ("linux/arm64", 30), ("linux/arm/v7", 31)]);
        let Judgement::Violated(problem) = judge("{max: 20}", &image, &[]) else { panic!("not violated") };
        assert!(problem.message.contains("linux/arm64 has 30 bytes (30 bytes), linux/arm/v7"), "{}", problem.message);
        assert_eq!(judge("{max: 31}", &image, &[]), Judgement::Satisfied);
        assert!(matches!(judge("{max: 30}", &image, &[]), Judgement::Violated(_)));
        assert_eq!(judge("{max: 20}", &image, &["linux/amd64"]), Judgement::Satisfied);
        assert!(matches!(judge("{max: 20}", &image, &["linux/amd64", "linux/arm64"]), Judgement::Violated(_)));
        let Judgement::Undecided(problem) = judge("{max: 50}", &image, &["linux/s390x"]) else { panic!("decided") };
        assert!(problem.message.contains("no linux/s390x"), "{}", problem.message);
        assert!(matches!(judge("{max: 20}", &image, &["linux/s390x", "linux/arm64"]), Judgement::Violated(_)));
    }

    #[test]
    fn an_image_without_an_index_is_judged_whatever_was_named() {
        let unnamed = single("linux/amd64", 30, Depth::Manifests);
        assert!(matches!(judge("{max: 20}", &unnamed, &["linux/arm64"]), Judgement::Violated(_)));
        assert!(matches!(judge("{max: 20}", &unnamed, &[]), Judgement::Violated(_)));
        assert_eq!(judge("{max: 30}", &unnamed, &[]), Judgement::Satisfied);
    }

    #[test]
    fn content_that_was_not_read_is_undecided() {
        let rule = rule::<Settings>("{max: 1GiB}");
        assert!(matches!(says(&*rule, "nginx"), Judgement::Undecided(_)));
        let reference = reference("nginx");
        let error = ImageError::Registry(RegistryError::NotFound { place: "r.io".to_owned() });
        let found = rule.check(&Case { image: Some(Err(&error)), ..case(&reference) });
        let Judgement::Undecided(problem) = found else { panic!("{found:?}") };
        assert!(problem.message.contains("r.io says"), "{}", problem.message);
    }

    #[test]
    fn impossible_settings_are_refused() {
        let rows = [
            ("{max: 0}", "lets no image"),
            ("{max: 0MiB}", "lets no image"),
            ("{max: big}", "not a size"),
            ("{max: -5}", "not a size"),
            ("{}", "max"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
