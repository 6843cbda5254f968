//! What an image says of its own base: annotations, labels, and what builders leave in configs and provenance.
//! All of it is written by whoever built or copied the image; nothing here is believed, only read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::Details;
use crate::digest::Digest;
use crate::limits;
use crate::reference::Reference;

/// image-spec, annotations.md.
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// Cloud Native Buildpacks, platform specification.
const BUILDPACKS: &str = "io.buildpacks.lifecycle.metadata";
/// What builders write for an image without a base.
const SCRATCH: &str = "scratch";

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// An annotation of the index.
    Index,
    /// An annotation of the platform's entry in the index.
    Entry,
    /// An annotation of the platform's manifest.
    Manifest,
    /// A label of the config; those of a base are inherited.
    Label,
    /// The label of Cloud Native Buildpacks.
    Buildpacks,
    /// The record of sources that BuildKit 0.10 and 0.11 left in the config.
    BuildInfo,
    /// Provenance in the index that nobody signed.
    Provenance,
}

impl Place {
    /// As a sentence has it: "claimed by …".
    pub fn words(self) -> &'static str {
        match self {
            Self::Index => "an annotation of the index",
            Self::Entry => "an annotation of its entry in the index",
            Self::Manifest => "an annotation of the manifest",
            Self::Label => "a label of the config",
            Self::Buildpacks => "the label of its buildpacks",
            Self::BuildInfo => "the build info in its config",
            Self::Provenance => "its unsigned provenance",
        }
    }
}

/// One claim of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseClaim {
    /// Where it stands.
    pub by: Place,
    /// The name, as written.
    pub name: Option<String>,
    /// The name as meant, without a digest; `None` where there is none, or the text is no reference.
    pub reference: Option<Reference>,
    /// The digest: of an index, or of a platform's manifest.
    pub digest: Option<Digest>,
    /// Whether it is the only image that this place names. A builder lists the images of all stages.
    pub alone: bool,
}

impl BaseClaim {
    /// A claim from the texts of its name and digest; `None` where neither says anything.
    pub fn new(by: Place, name: Option<&str>, digest: Option<&str>) -> Option<Self> {
        let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let (name, digest) = (filled(name), filled(digest));
        if name.is_none() && digest.is_none() {
            return None;
        }
        let reference = name.as_deref().and_then(|name| Reference::parse(name).ok());
        let inside = reference.as_ref().and_then(Reference::digest).cloned();
        let reference = match reference {
            Some(reference) if inside.is_some() => Reference::parse(reference.text_without_digest()).ok(),
            other => other,
        };
        let digest = digest.and_then(|digest| Digest::parse(&digest).ok()).or(inside);
        Some(Self { by, name, reference, digest, alone: true })
    }

    /// Whether it says that there is no base.
    pub fn is_scratch(&self) -> bool {
        self.name.as_deref() == Some(SCRATCH)
    }
}

/// Every claim in the annotations of the index and in what stands in and around a platform's manifest.
pub fn claims(index: &BTreeMap<String, String>, details: &Details) -> Vec<BaseClaim> {
    let annotated = |by: Place, texts: &BTreeMap<String, String>| {
        let text = |key: &str| texts.get(key).map(String::as_str);
        BaseClaim::new(by, text(BASE_NAME), text(BASE_DIGEST))
    };
    let config = &details.config;
    let mut claims: Vec<BaseClaim> = [
        annotated(Place::Entry, &details.entry),
        annotated(Place::Manifest, &details.manifest),
        annotated(Place::Index, index),
        annotated(Place::Label, &config.labels),
        config.labels.get(BUILDPACKS).and_then(|text| buildpacks(text)),
    ]
    .into_iter()
    .flatten()
    .collect();
    claims.extend(config.build_info.as_deref().map(build_info).unwrap_or_default());
    claims
}

/// `sources` are all images of one place: alone where there is one, and no more than the limit.
pub fn several(by: Place, sources: impl IntoIterator<Item = (String, Option<String>)>) -> Vec<BaseClaim> {
    let mut claims: Vec<BaseClaim> = Vec::new();
    for (name, digest) in sources {
        let claim = BaseClaim::new(by, Some(&name), digest.as_deref());
        claims.extend(claim.filter(|claim| !claims.contains(claim)));
    }
    let alone = claims.len() == 1;
    claims.truncate(limits::BASE_CLAIMS);
    for claim in &mut claims {
        claim.alone = alone;
    }
    claims
}

/// The run image that the lifecycle exported onto (or rebased to).
fn buildpacks(text: &str) -> Option<BaseClaim> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        run_image: Option<RunImage>,
        stack: Option<Stack>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stack {
        run_image: Option<RunImage>,
    }
    #[derive(Deserialize)]
    struct RunImage {
        image: Option<String>,
        reference: Option<String>,
    }
    let metadata: Metadata = serde_json::from_str(text).ok()?;
    let (own, stack) = (metadata.run_image, metadata.stack.and_then(|stack| stack.run_image));
    let reference = own.as_ref().and_then(|image| image.reference.clone());
    let digest = reference.as_deref().and_then(|text| Some(text.split_once('@')?.1.to_owned()));
    let image = own.and_then(|image| image.image).or_else(|| stack?.image).or(reference);
    BaseClaim::new(Place::Buildpacks, image.as_deref(), digest.as_deref())
}

/// The sources that BuildKit recorded: base64 of JSON.
fn build_info(text: &str) -> Vec<BaseClaim> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(default)]
        sources: Vec<Source>,
    }
    #[derive(Deserialize)]
    struct Source {
        #[serde(rename = "type")]
        kind: String,
        #[serde(rename = "ref")]
        name: String,
        pin: Option<String>,
    }
    let info = BASE64_STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice::<Info>(&bytes).ok());
    let sources = info.map(|info| info.sources).unwrap_or_default();
    let images = sources.into_iter().filter(|source| source.kind == "docker-image");
    several(Place::BuildInfo, images.map(|source| (source.name, source.pin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn shown(claim: &BaseClaim) -> (Option<String>, bool) {
        (claim.reference.as_ref().map(ToString::to_string), claim.digest.is_some())
    }

    #[test]
    fn names_and_digests_as_builders_write_them() {
        let digest = format!("sha256:{HEX}");
        let both = format!("debian:12@{digest}");
        let rows = [
            (Some("debian:12"), Some(digest.as_str()), Some("docker.io/library/debian:12"), true),
            (Some(both.as_str()), None, Some("docker.io/library/debian:12"), true),
            (Some(" ghcr.io/acme/base:1\n"), None, Some("ghcr.io/acme/base:1"), false),
            (Some("scratch"), None, Some("docker.io/library/scratch:latest"), false),
            (Some("not a name"), Some("sha256:12"), None, false),
            (None, Some(digest.as_str()), None, true),
        ];
        for (name, digest, reference, pinned) in rows {
            let claim = BaseClaim::new(Place::Label, name, digest).expect("a claim");
            assert_eq!(shown(&claim), (reference.map(str::to_owned), pinned), "{name:?}");
            assert_eq!(claim.is_scratch(), name == Some("scratch"));
        }
        assert_eq!(BaseClaim::new(Place::Label, Some(" "), Some("")), None);
    }

    #[test]
    fn buildpacks_name_the_run_image() {
        let digest = format!("sha256:{HEX}");
        let old = format!(
            r#"{{"runImage":{{"topLayer":"{digest}","reference":"index.docker.io/paketo/run@{digest}"}},"stack":{{"runImage":{{"image":"paketo/run:base"}}}}}}"#
        );
        let new = format!(r#"{{"runImage":{{"image":"paketo/run:base","reference":"paketo/run@{digest}"}}}}"#);
        let bare = format!(r#"{{"runImage":{{"reference":"paketo/run@{digest}"}}}}"#);
        for (text, name) in [(old, "docker.io/paketo/run:base"), (new, "docker.io/paketo/run:base")] {
            let claim = buildpacks(&text).expect("a claim");
            assert_eq!(shown(&claim), (Some(name.to_owned()), true), "{text}");
        }
        assert_eq!(shown(&buildpacks(&bare).expect("a claim")).0.as_deref(), Some("docker.io/paketo/run:latest"));
        for text in ["", "[]", "{}", r#"{"runImage":7}"#, r#"{"runImage":{"reference":"0123"}}"#] {
            assert!(buildpacks(text).is_none_or(|claim| claim.digest.is_none()), "{text}");
        }
    }

    #[test]
    fn of_many_sources_none_is_the_base_for_sure() {
        let info = |sources: &str| BASE64_STANDARD.encode(format!(r#"{{"frontend":"x","sources":[{sources}]}}"#));
        let one = r#"{"type":"docker-image","ref":"docker.io/library/alpine:3.13","pin":"sha256:1"}"#;
        let other = r#"{"type":"docker-image","ref":"golang:1.24"}"#;
        let git = r#"{"type":"git","ref":"https://x.test/y"}"#;
        let alone = build_info(&info(&format!("{one},{git},{one}")));
        assert_eq!(alone.iter().map(|claim| claim.alone).collect::<Vec<_>>(), [true]);
        let two = build_info(&info(&format!("{one},{other}")));
        assert_eq!(two.iter().map(|claim| claim.alone).collect::<Vec<_>>(), [false, false]);
        let many: Vec<(String, Option<String>)> = (0..1_000).map(|n| (format!("r.io/x{n}"), None)).collect();
        assert_eq!(several(Place::Provenance, many).len(), limits::BASE_CLAIMS);
        assert!(build_info("%%%").is_empty() && build_info("").is_empty());
    }
}
