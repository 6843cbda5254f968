//! What a report in JSON says of the bases of one platform of an image.
//! A confidence stands beside everything; what is only claimed is never mixed with what is proved.

use schemars::JsonSchema;
use serde::Serialize;

use crate::image::PlatformImage;
use crate::image::base::{self, Doubt, Evidence, Now};
use crate::image::base_claim::Place;

/// What one platform is built on.
#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
pub(super) struct Bases {
    /// The best first: what is proved before what is claimed, and the nearest first.
    known: Vec<Known>,
    /// What the image says and its layers contradict.
    contradicted: Vec<Contradiction>,
    /// Images that might be the base and could not be compared.
    unread: Vec<Unread>,
    /// How many images were compared that the image does not name.
    searched: usize,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Known {
    /// Normalised, with its tag; `scratch` for none; null where only a digest is known.
    name: Option<String>,
    /// Of an index or a manifest: as claimed, or what the tag names.
    digest: Option<String>,
    confidence: Confidence,
    by: Vec<By>,
    /// Of the Dockerfiles that name it: file and line.
    dockerfiles: Vec<String>,
    /// Digest of the manifest of the same platform that was compared; null unless it is proved.
    manifest: Option<String>,
    /// How many of the image's layers, from the first, are the base's.
    layers: Option<usize>,
    /// Compressed bytes of those, each once.
    size: Option<u64>,
    /// Compressed bytes of the others that are not among them, each once.
    added: Option<u64>,
    /// When the base was built, by its own word.
    created: Option<String>,
    /// Why it is not proved.
    doubt: Option<String>,
    /// What its tag names now; null where there is no tag or nobody asked.
    now: Option<Current>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum Confidence {
    Proved,
    Verified,
    Claimed,
}

#[derive(JsonSchema, Serialize, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum By {
    Itself,
    Layers,
    UnpackedLayers,
    IndexAnnotation,
    EntryAnnotation,
    ManifestAnnotation,
    Label,
    Buildpacks,
    BuildInfo,
    UnsignedProvenance,
    Search,
    Dockerfile,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Current {
    state: State,
    /// What the tag names now.
    digest: Option<String>,
    /// When that was built, by its own word.
    created: Option<String>,
    error: Option<String>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Same,
    Moved,
    Unknown,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Contradiction {
    claimed: String,
    shown: String,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Unread {
    name: String,
    error: String,
}

/// Of the platform `image`.
pub(super) fn of(bases: &base::Bases, image: Option<&PlatformImage>) -> Bases {
    Bases {
        known: bases.known.iter().map(|one| known(one, image)).collect(),
        contradicted: bases
            .contradicted
            .iter()
            .map(|found| Contradiction { claimed: found.claimed.clone(), shown: found.shown.clone() })
            .collect(),
        unread: bases
            .unread
            .iter()
            .map(|(name, error)| Unread { name: name.clone(), error: error.to_string() })
            .collect(),
        searched: bases.searched,
    }
}

fn known(known: &base::Known, image: Option<&PlatformImage>) -> Known {
    let ground = known.ground.as_ref();
    let split = ground.and_then(|ground| base::split(image?, ground.layers));
    let named = known.repository.is_some();
    Known {
        name: named.then(|| known.name()),
        digest: known.digest.as_ref().map(ToString::to_string),
        confidence: match known.confidence {
            base::Confidence::Proved => Confidence::Proved,
            base::Confidence::Verified => Confidence::Verified,
            base::Confidence::Claimed => Confidence::Claimed,
        },
        by: known.by.iter().map(by).fold(Vec::new(), |mut all, by| {
            if !all.contains(&by) {
                all.push(by);
            }
            all
        }),
        dockerfiles: known
            .by
            .iter()
            .filter_map(|by| match by {
                Evidence::Dockerfile(place) => Some(place.clone()),
                _ => None,
            })
            .collect(),
        manifest: ground.map(|ground| ground.manifest.to_string()),
        layers: ground.map(|ground| ground.layers),
        size: split.map(|split| split.base),
        added: split.map(|split| split.added),
        created: ground.and_then(|ground| ground.created).map(|created| created.to_string()),
        doubt: known.doubt.as_ref().map(doubt),
        now: known.now.as_ref().map(current),
    }
}

fn by(evidence: &Evidence) -> By {
    match evidence {
        Evidence::Itself => By::Itself,
        Evidence::Layers => By::Layers,
        Evidence::Unpacked => By::UnpackedLayers,
        Evidence::Claim(Place::Index) => By::IndexAnnotation,
        Evidence::Claim(Place::Entry) => By::EntryAnnotation,
        Evidence::Claim(Place::Manifest) => By::ManifestAnnotation,
        Evidence::Claim(Place::Label) => By::Label,
        Evidence::Claim(Place::Buildpacks) => By::Buildpacks,
        Evidence::Claim(Place::BuildInfo) => By::BuildInfo,
        Evidence::Claim(Place::Provenance) => By::UnsignedProvenance,
        Evidence::Search => By::Search,
        Evidence::Dockerfile(_) => By::Dockerfile,
    }
}

/// Why a base is not proved, as a clause.
pub(super) fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::NotAsked => "it was not asked for: it is on another registry, and only the image names it".to_owned(),
        Doubt::Unread(error) => format!("it can't be compared: {error}"),
        Doubt::Differs => "what its tag names now has other layers".to_owned(),
        Doubt::History(at) => {
            format!("the layers agree, but the history says that layer {} was made otherwise", at + 1)
        }
        Doubt::Nothing => "there is nothing to compare".to_owned(),
    }
}

fn current(now: &Now) -> Current {
    match now {
        Now::Same(digest) => {
            Current { state: State::Same, digest: Some(digest.to_string()), created: None, error: None }
        }
        Now::Moved { to, created } => Current {
            state: State::Moved,
            digest: Some(to.to_string()),
            created: created.map(|created| created.to_string()),
            error: None,
        },
        Now::Unknown(error) => {
            Current { state: State::Unknown, digest: None, created: None, error: Some(error.to_string()) }
        }
    }
}
