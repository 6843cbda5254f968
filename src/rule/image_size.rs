//! `image-size`: compressed bytes and number of the layers, on every platform. Needs the manifests.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{chosen, content, name, named_but_lacking};
use super::setting::{self, At, LevelSetting, SettingError, Size, SizeText, present, size, size_text};
use super::wording::{cut, list};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::image::{Depth, PlatformImage};
use crate::span::Span;

const FACTS: Facts = Facts { platforms: &[("linux/amd64", 70_000_000), ("linux/arm64", 68_000_000)], ..Facts::NONE };

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "image-size",
    summary: "images are no larger than the policy says, on every platform",
    explain: "\
Checks the compressed layers, as the manifest states them: what a node pulls, not what it unpacks. `max` is for their \
sum, where a layer that stands twice counts once; `max-layers` for how many the manifest lists; `largest-layer` for \
each one. Every platform of the image is held to it, or those named with `--platform`.

Why: large images pull slowly, fill nodes, and carry what nobody needs. One large layer can't be pulled in parts, and \
is pulled anew whenever a byte of it changes.

To satisfy it, use a smaller base, build in stages, and leave out caches and tools; split a layer that is too large, \
or join steps where there are too many.",
    settings: &[
        ("max", "largest size of all layers, such as `500MiB`, `80MB`, `1GiB` or a number of bytes"),
        ("max-layers", "most layers"),
        ("largest-layer", "largest size of one layer, written as `max` is; one of the three is required"),
    ],
    examples: &[
        Example { settings: "{max: 500MiB}", reference: "nginx:1.25", facts: FACTS, says: None },
        Example {
            settings: "{max: 65MiB}",
            reference: "nginx:1.25",
            facts: FACTS,
            says: Some(
                "linux/amd64 has 66.7 MiB (70000000 bytes) of compressed layers, more than the maximum of 65MiB",
            ),
        },
        Example {
            settings: "{max-layers: 2, largest-layer: 50MB}",
            reference: "ghcr.io/acme/app:1.2",
            facts: Facts { platforms: &[("linux/amd64", 30_000_000)], more_layers: &[20_000_000], ..Facts::NONE },
            says: None,
        },
        Example {
            settings: "{max-layers: 2, largest-layer: 50MB}",
            reference: "ghcr.io/acme/app:1.2",
            facts: Facts {
                platforms: &[("linux/amd64", 30_000_000)],
                more_layers: &[60_000_000, 5],
                config: Some(r#"{"history": [{}, {"created_by": "COPY . /app"}, {}]}"#),
                ..Facts::NONE
            },
            says: Some(
                "linux/amd64 has 3 layers, more than the maximum of 2; linux/amd64 has 57.2 MiB (60000000 bytes) in \
                 layer sha256:b9a448f978b9 (`COPY . /app`), more than the maximum of 50MB for one layer",
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
    #[schemars(with = "Option<SizeText>")]
    max: Option<At<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>", range(min = 1))]
    max_layers: Option<At<u32>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<SizeText>")]
    largest_layer: Option<At<String>>,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError> {
        if self.max.is_none() && self.max_layers.is_none() && self.largest_layer.is_none() {
            let message = "image-size needs `max`, `max-layers` or `largest-layer`";
            return Err(SettingError::new(at, message, "write `max: 500MiB`"));
        }
        let max = self.max.as_ref().map(size).transpose()?;
        let largest_layer = self.largest_layer.as_ref().map(size).transpose()?;
        if let (Some(max), Some(layer), Some(written)) = (&max, &largest_layer, &self.largest_layer)
            && layer.bytes > max.bytes
        {
            let message = format!("no layer of {layer} fits into a `max` of {max}");
            return Err(SettingError::new(written.span, message, "make `largest-layer` smaller, or leave it out"));
        }
        if let Some(most) = self.max_layers.filter(|most| most.value == 0) {
            let help = "write how many layers an image may have, such as 20";
            return Err(SettingError::new(most.span, "a maximum of 0 layers lets no image pass", help));
        }
        Ok(Box::new(ImageSize { max, max_layers: self.max_layers.map(|most| most.value), largest_layer }))
    }
}

#[derive(Debug)]
struct ImageSize {
    max: Option<Size>,
    max_layers: Option<u32>,
    largest_layer: Option<Size>,
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
        let chosen = chosen(image, case.platforms);
        let judged = [
            ("`max`", self.whole(&chosen)),
            ("`max-layers`", self.layers(&chosen)),
            ("`largest-layer`", self.one_layer(&chosen)),
        ];
        let broken = judged.into_iter().filter_map(|(setting, message)| Some((setting, message?)));
        let (settings, messages): (Vec<&str>, Vec<String>) = broken.unzip();
        if !messages.is_empty() {
            let help = format!("use a smaller image, or raise {}", settings.join(" and "));
            return Judgement::Violated(Problem::new(messages.join("; "), help));
        }
        // An image without an index has no platform name at this depth, and was judged above.
        match named_but_lacking(image, case.platforms).filter(|_| image.is_index()) {
            Some(problem) => Judgement::Undecided(problem),
            None => Judgement::Satisfied,
        }
    }
}

impl ImageSize {
    fn whole(&self, chosen: &[&PlatformImage]) -> Option<String> {
        let max = self.max.as_ref()?;
        let too_large = |found: &&PlatformImage| {
            let size = found.manifest.layers_size();
            if size.is_some_and(|size| size <= max.bytes) {
                return None;
            }
            let size = size.map_or_else(|| "more bytes than can be counted".to_owned(), bytes);
            Some(format!("{} has {size}", name(found)))
        };
        let found = offenders(chosen.iter().filter_map(too_large))?;
        Some(format!("{found} of compressed layers, more than the maximum of {max}"))
    }

    fn layers(&self, chosen: &[&PlatformImage]) -> Option<String> {
        let most = self.max_layers?;
        let too_many = chosen.iter().filter(|found| found.manifest.layers.len() > most as usize);
        let found =
            offenders(too_many.map(|found| format!("{} has {} layers", name(found), found.manifest.layers.len())))?;
        Some(format!("{found}, more than the maximum of {most}"))
    }

    fn one_layer(&self, chosen: &[&PlatformImage]) -> Option<String> {
        let max = self.largest_layer.as_ref()?;
        let too_large = |found: &&PlatformImage| {
            let layers = &found.manifest.layers;
            let (at, layer) = layers.iter().enumerate().max_by_key(|(_, layer)| layer.size)?;
            if layer.size <= max.bytes {
                return None;
            }
            // A command makes the message kinder, and is there only where another rule asked for the config.
            let command =
                found.details.as_ref().and_then(|details| details.config.commands(layers.len()).swap_remove(at));
            let command = command.map_or_else(String::new, |command| format!(" (`{}`)", cut(&command)));
            let digest: String = layer.digest.to_string().chars().take(SHORT_DIGEST).collect();
            Some(format!("{} has {} in layer {digest}{command}", name(found), bytes(layer.size)))
        };
        let found = offenders(chosen.iter().filter_map(too_large))?;
        Some(format!("{found}, more than the maximum of {max} for one layer"))
    }
}

/// Letters of a digest with its algorithm that tell one layer of an image from another.
const SHORT_DIGEST: usize = "sha256:".len() + 12;

fn bytes(size: u64) -> String {
    format!("{} ({size} bytes)", size_text(size))
}

fn offenders(found: impl Iterator<Item = String>) -> Option<String> {
    Some(list(found)).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{
        Made, case, index, index_of, reference, refused, rule, says, single, single_of,
    };
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
    fn layers_are_counted_as_the_manifest_lists_them() {
        let made = |platform, layers| Made { platform, layers, ..Made::PLAIN };
        let image = index_of(&[made("linux/amd64", &[5, 6, 7]), made("linux/arm64", &[8, 8])], "{}");
        assert_eq!(judge("{max-layers: 3}", &image, &[]), Judgement::Satisfied);
        assert_eq!(judge("{max-layers: 2}", &image, &["linux/arm64"]), Judgement::Satisfied);
        let Judgement::Violated(problem) = judge("{max-layers: 2}", &image, &[]) else { panic!("not violated") };
        assert_eq!(problem.message, "linux/amd64 has 3 layers, more than the maximum of 2");
        assert!(matches!(judge("{max-layers: 3}", &image, &["linux/s390x"]), Judgement::Undecided(_)));
    }

    #[test]
    fn the_largest_layer_of_every_platform_is_held_to_its_maximum() {
        let made = |platform, layers| Made { platform, layers, ..Made::PLAIN };
        let image = index_of(&[made("linux/amd64", &[5, 9, 7]), made("linux/arm64", &[8, 3])], "{}");
        assert_eq!(judge("{largest-layer: 9}", &image, &[]), Judgement::Satisfied);
        assert_eq!(judge("{largest-layer: 8}", &image, &["linux/arm64"]), Judgement::Satisfied);
        let Judgement::Violated(problem) = judge("{largest-layer: 8}", &image, &[]) else { panic!("not violated") };
        let second = image.platforms()[0].manifest.layers[1].digest.to_string();
        assert_eq!(
            problem.message,
            format!(
                "linux/amd64 has 9 bytes (9 bytes) in layer {}, more than the maximum of 8 for one layer",
                &second[..19]
            )
        );
        // Each setting counts for itself.
        let Judgement::Violated(problem) = judge("{max: 20, max-layers: 2, largest-layer: 7}", &image, &[]) else {
            panic!("not violated")
        };
        assert_eq!(problem.message.matches("more than the maximum").count(), 3, "{}", problem.message);
        assert_eq!(problem.help, "use a smaller image, or raise `max` and `max-layers` and `largest-layer`");
    }

    #[test]
    fn a_command_is_named_where_it_is_known_and_cut_where_it_is_long() {
        let command = "x".repeat(10_000);
        let config = format!(r#"{{"history":[{{}},{{"created_by":"{command}"}}]}}"#);
        let long = Made { layers: &[1, 9], config: &config, ..Made::PLAIN };
        let judged = |made: &Made, depth| match judge("{largest-layer: 8}", &single_of(made, depth), &[]) {
            Judgement::Violated(problem) => problem.message,
            found => panic!("{found:?}"),
        };
        let message = judged(&long, Depth::Details);
        assert!(message.contains("(`xxx") && message.contains("x…`)") && message.len() < 300, "{message}");
        assert!(!judged(&long, Depth::Manifests).contains('`'));
        // A history of another length does not say which step is whose.
        assert!(!judged(&Made { layers: &[1, 9, 2], ..long }, Depth::Details).contains('`'));
        // Two platforms by the same name in a thousand: the message stays short.
        let many = vec![Made { layers: &[9], ..Made::PLAIN }; 900];
        let Judgement::Violated(problem) = judge("{max: 8}", &index_of(&many, "{}"), &[]) else { panic!("held") };
        assert!(problem.message.contains(" and 895 more of compressed layers"), "{}", problem.message);
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
            ("{}", "needs `max`, `max-layers` or `largest-layer`"),
            ("{level: warn}", "needs `max`"),
            ("{max-layers: 0}", "0 layers lets no image"),
            ("{max-layers: -1}", "-1"),
            ("{max-layers: 1.5}", "1.5"),
            ("{max-layers: many}", "many"),
            ("{largest-layer: 0}", "lets no image"),
            ("{largest-layer: 3q}", "not a size"),
            ("{max: 1MiB, largest-layer: 2MiB}", "no layer of 2MiB fits into a `max` of 1MiB"),
            ("{max-layer: 3}", "max-layer"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
