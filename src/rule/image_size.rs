//! `image-size`: compressed bytes and number of the layers, on every platform. Needs the manifests.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{BaseFact, Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{chosen, content, name, named_but_lacking};
use super::setting::{
    self, At, LevelSetting, SettingError, Size, SizeText, candidates, no_tag_taken_out, patterns, present, size,
    size_text,
};
use super::wording::{cut, list};
use super::{BaseSearch, Case, Judgement, Needs, Problem, Rule};
use crate::image::base::{Doubt, Evidence, Known, Now, split};
use crate::image::{Depth, ImageError, PlatformImage};
use crate::reference::Reference;
use crate::registry::RegistryError;
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

`max-added` is for the layers above the nearest base that the layers prove (`plimsoll explain base-image` says how); a \
layer that is in both parts is the base's. Where no base is proved, all of the image counts as added, and no image is its own base. An image may name a \
large base of its own: say with `base` which ones count.

Why: large images pull slowly, fill nodes, and carry what nobody needs. One large layer can't be pulled in parts, and \
is pulled anew whenever a byte of it changes.

To satisfy it, use a smaller base, build in stages, and leave out caches and tools; split a layer that is too large, \
or join steps where there are too many.",
    settings: &[
        ("max", "largest size of all layers, such as `500MiB`, `80MB`, `1GiB` or a number of bytes"),
        ("max-added", "largest size of what is added to the base, written as `max` is"),
        ("base", "patterns of the bases that `max-added` counts from; without it, any base that is proved"),
        ("max-layers", "most layers"),
        ("largest-layer", "largest size of one layer, written as `max` is; one of the four limits is required"),
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
            settings: "{max-added: 20MB, base: [docker.io/library/debian]}",
            reference: "ghcr.io/acme/app:1.2",
            facts: Facts {
                platforms: &[("linux/amd64", 30_000_000)],
                more_layers: &[25_000_000],
                base: Some(BaseFact {
                    name: "docker.io/library/debian:12-slim",
                    proved: true,
                    layers: 1,
                    created: "2026-11-03T00:00:00Z",
                    moved: None,
                }),
                ..Facts::NONE
            },
            says: Some(
                "linux/amd64 has 23.8 MiB (25000000 bytes) on top of docker.io/library/debian:12-slim; more than the \
                 maximum of 20MB to be added",
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
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<SizeText>")]
    max_added: Option<At<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    base: Option<At<Vec<At<String>>>>,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError> {
        let limited = [&self.max, &self.largest_layer, &self.max_added].into_iter().any(Option::is_some);
        if !limited && self.max_layers.is_none() {
            let message = "image-size needs `max`, `max-added`, `max-layers` or `largest-layer`";
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
        let max_added = self.max_added.as_ref().map(size).transpose()?;
        if let (Some(max), Some(added), Some(written)) = (&max, &max_added, &self.max_added)
            && added.bytes > max.bytes
        {
            let message = format!("{added} of added layers do not fit into a `max` of {max}");
            return Err(SettingError::new(written.span, message, "make `max-added` smaller, or leave it out"));
        }
        if let Some(base) = self.base.as_ref().filter(|_| max_added.is_none()) {
            let message = "`base` says what `max-added` counts from, and that is not there";
            return Err(SettingError::new(base.span, message, "write `max-added: 100MiB` beside it"));
        }
        let allow = self.base.as_ref().map(|list| patterns(&list.value, list.span)).transpose()?;
        let help = "take out the whole repository, such as `!docker.io/library/debian`";
        no_tag_taken_out(self.base.as_ref(), help)?;
        let candidates = candidates(&self.base)?;
        let added = max_added.map(|max| Added { max, search: BaseSearch { allow, candidates, thorough: false } });
        Ok(Box::new(ImageSize { max, max_layers: self.max_layers.map(|most| most.value), largest_layer, added }))
    }
}

#[derive(Debug)]
struct ImageSize {
    max: Option<Size>,
    max_layers: Option<u32>,
    largest_layer: Option<Size>,
    added: Option<Added>,
}

/// How much may be added, and to what.
#[derive(Debug)]
struct Added {
    max: Size,
    search: BaseSearch,
}

impl Rule for ImageSize {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        match self.added {
            Some(_) => Needs { content: Some(Depth::Details), base: true, ..Needs::NOTHING },
            None => Needs { content: Some(Depth::Manifests), ..Needs::NOTHING },
        }
    }

    fn search(&self) -> Option<&BaseSearch> {
        self.added.as_ref().map(|added| &added.search)
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let image = match content(case) {
            Ok(image) => image,
            Err(problem) => return Judgement::Undecided(problem),
        };
        let chosen = chosen(image, case.platforms);
        let (added, open) = match self.added.as_ref().map(|added| added.judge(case, &chosen)) {
            None => (None, None),
            Some((broken, open)) => (broken, open),
        };
        let judged = [
            ("`max-added`", added),
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
        if let Some(message) = open {
            let help = "make the base readable and run again; `plimsoll inspect` shows what is known of it";
            return Judgement::Undecided(Problem::new(message, help));
        }
        // An image without an index has no platform name at this depth, and was judged above.
        match named_but_lacking(image, case.platforms).filter(|_| image.is_index()) {
            Some(problem) => Judgement::Undecided(problem),
            None => Judgement::Satisfied,
        }
    }
}

impl Added {
    fn fits(&self, name: &Reference) -> bool {
        self.search.allow.as_ref().is_none_or(|allow| allow.fits(name))
    }

    /// Other rules look for bases, too, which do not count here.
    fn may_fit(&self, name: &str) -> bool {
        Reference::parse(name).map_or(true, |name| self.fits(&name))
    }

    /// Why a base that is proved does not count, where its claimed tag would.
    fn outdated(&self, known: &Known) -> Option<String> {
        let (proved, _) = (known.proved()?, known.reference().filter(|name| self.fits(name))?);
        let why = match known.now {
            Some(Now::Moved { .. }) => "the tag has moved; rebuild".to_owned(),
            _ => format!("that it is {} is only claimed", known.name()),
        };
        Some(format!("since its base {proved} is proved, but `base` does not fit it: {why}"))
    }

    /// What is broken, and what is open. Where no base is known, all of an image counts as added.
    fn judge(&self, case: &Case<'_>, chosen: &[&PlatformImage]) -> (Option<String>, Option<String>) {
        let (mut broken, mut open) = (Vec::new(), Vec::new());
        for found in chosen {
            let whole = found.manifest.layers_size();
            if whole.is_some_and(|whole| whole <= self.max.bytes) {
                continue;
            }
            let bases = case.bases.and_then(|all| all.iter().find(|bases| bases.digest == found.digest));
            let Some(bases) = bases else {
                open.push(format!("what {} is built on was not looked for", name(found)));
                continue;
            };
            // Nobody adds nothing by naming the image itself.
            let below = || bases.known.iter().filter(|known| !known.by.contains(&Evidence::Itself));
            let fits = |known: &&Known| known.proved().is_some_and(|name| self.fits(&name));
            let base = below().find(fits);
            let added = base.and_then(|base| Some((base, split(found, base.ground.as_ref()?.layers)?.added)));
            match added {
                Some((_, added)) if added <= self.max.bytes => {}
                Some((base, added)) => {
                    broken.push(format!("{} has {} on top of {}", name(found), bytes(added), base.name()));
                }
                None => {
                    let unread = bases.unread.iter().map(|(name, error)| (name.clone(), error));
                    let mut unread = unread.chain(below().filter_map(|known| Some((known.name(), may_be(known)?))));
                    if let Some((base, error)) = unread.find(|(name, _)| self.may_fit(name)) {
                        open.push(format!(
                            "what is added to the base of {} can't be known, which may be {base}: {error}",
                            name(found)
                        ));
                        continue;
                    }
                    let whole = whole.map_or_else(|| "more bytes than can be counted".to_owned(), bytes);
                    let why = below().find_map(|known| self.outdated(known));
                    let why = why.unwrap_or_else(|| "since no base of it is proved".to_owned());
                    broken.push(format!("{} has {whole}, all of it added, {why}", name(found)));
                }
            }
        }
        let broken = offenders(broken.into_iter());
        let broken = broken.map(|found| format!("{found}; more than the maximum of {} to be added", self.max));
        (broken, offenders(open.into_iter()))
    }
}

/// Why nobody could read it, where it could be the base.
fn may_be(known: &Known) -> Option<&ImageError> {
    match &known.doubt {
        Some(Doubt::Unread(ImageError::Registry(RegistryError::NotFound { .. }))) => None,
        Some(Doubt::Unread(error)) => Some(error),
        _ => None,
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
    use crate::digest::Digest;
    use crate::image::Image;
    use crate::image::base::{Bases, Confidence, Ground};

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

    fn bases(image: &Image, known: Vec<Known>, unread: Vec<(String, ImageError)>) -> [Bases; 1] {
        let digest = image.platforms()[0].digest.clone();
        let (itself, contradicted, doubtful) = (None, Vec::new(), Vec::new());
        [Bases {
            digest,
            platform: None,
            itself,
            known,
            contradicted,
            unread,
            doubtful,
            muddle: None,
            hidden: None,
            searched: 0,
        }]
    }

    fn proved(name: &str, layers: usize) -> Known {
        let (reference, digest) = (reference(name), Digest::sha256(name.as_bytes()));
        let ground = Ground { manifest: digest.clone(), layers, size: None, created: None, history: true };
        Known {
            repository: Some(reference.repository().clone()),
            tag: reference.written_tag().map(str::to_owned),
            digest: Some(digest.clone()),
            confidence: Confidence::Proved,
            by: vec![Evidence::Layers],
            ground: Some(ground),
            doubt: None,
            now: Some(Now::Same(digest)),
        }
    }

    #[test]
    fn what_is_added_counts_from_the_nearest_base_that_counts() {
        let image = index_of(&[Made { layers: &[10, 20, 30], ..Made::PLAIN }], "{}");
        let chain = || vec![proved("ghcr.io/acme/base:1", 2), proved("debian:12", 1)];
        let error = || vec![("debian:12".to_owned(), RegistryError::NotFound { place: String::new() }.into())];
        let rows = [
            ("{max-added: 30}", chain(), vec![], "satisfied"),
            ("{max-added: 29}", chain(), vec![], "violated"),
            ("{max-added: 49, base: [docker.io/library/debian]}", chain(), vec![], "violated"),
            ("{max-added: 50, base: [\"docker.io/library/debian:12\"]}", chain(), vec![], "satisfied"),
            ("{max-added: 59}", vec![], vec![], "violated"),
            ("{max-added: 60}", vec![], vec![], "satisfied"),
            ("{max-added: 59}", vec![], error(), "undecided"),
            ("{max-added: 29}", chain(), error(), "violated"),
        ];
        let reference = reference("nginx:1");
        for (settings, known, unread, expected) in rows {
            let bases = bases(&image, known, unread);
            let case = Case { image: Some(Ok(&image)), bases: Some(&bases), ..case(&reference) };
            let found = match rule::<Settings>(settings).check(&case) {
                Judgement::Satisfied => "satisfied",
                Judgement::Violated(_) => "violated",
                Judgement::Undecided(_) => "undecided",
            };
            assert_eq!(found, expected, "{settings}");
        }
        let case = Case { image: Some(Ok(&image)), ..case(&reference) };
        assert!(matches!(rule::<Settings>("{max-added: 1}").check(&case), Judgement::Undecided(_)));
    }

    #[test]
    fn what_does_not_count_as_a_base_is_said() {
        let image = index_of(&[Made { layers: &[10, 20, 30], ..Made::PLAIN }], "{}");
        let app = reference("nginx:1");
        let judged = |settings: &str, known, unread| {
            let bases = bases(&image, known, unread);
            let case = Case { image: Some(Ok(&image)), bases: Some(&bases), ..case(&app) };
            match rule::<Settings>(settings).check(&case) {
                Judgement::Satisfied => ("satisfied", String::new()),
                Judgement::Violated(problem) => ("violated", problem.message),
                Judgement::Undecided(problem) => ("undecided", problem.message),
            }
        };
        let debian = "{max-added: 59, base: [\"docker.io/library/debian:12\"]}";
        let slow = |name: &str| {
            let error = RegistryError::TimedOut { host: "docker.io".to_owned(), after: crate::limits::REQUEST };
            vec![(name.to_owned(), ImageError::from(error))]
        };
        let own = Known { by: vec![Evidence::Layers, Evidence::Itself], ..proved("debian:12", 3) };
        assert_eq!(judged(debian, vec![own], vec![]).0, "violated");
        let to = Digest::sha256(b"x");
        let moved = Known { now: Some(Now::Moved { to, created: None }), ..proved("debian:12", 1) };
        let (verdict, said) = judged(debian, vec![moved], vec![]);
        let expected = "is proved, but `base` does not fit it: the tag has moved; rebuild";
        assert!(verdict == "violated" && said.contains(expected), "{verdict} {said}");
        let (verdict, said) = judged(debian, vec![], slow("docker.io/library/debian:12"));
        let expected = "which may be docker.io/library/debian:12: docker.io";
        assert!(verdict == "undecided" && said.contains(expected), "{verdict} {said}");
        assert_eq!(judged(debian, vec![], slow("r.io/other:1")).0, "violated");
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
            ("{max-added: 1, base: [debian, \"!debian:7\"]}", "takes out a tag"),
            ("{base: [debian], max: 1}", "what `max-added` counts from"),
            ("{max-added: 2, max: 1}", "do not fit"),
            ("{max-added: 0}", "lets no image"),
            ("{max: 0}", "lets no image"),
            ("{max: 0MiB}", "lets no image"),
            ("{max: big}", "not a size"),
            ("{max: -5}", "not a size"),
            ("{}", "needs `max`, `max-added`, `max-layers` or `largest-layer`"),
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
