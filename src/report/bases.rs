//! What a report in JSON says of the bases of one platform of an image.
//! A confidence stands beside everything; what is only claimed is never mixed with what is proved.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::image::base::{self, Doubt, Evidence, Now};
use crate::image::base_claim::Place;
use crate::inspect::{Opened, Total};

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
    /// Images that nobody names, whose layers the image begins with, and why they are not taken for the base.
    doubtful: Vec<String>,
    /// The images of `--base`, there or not.
    looked_for: Vec<String>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Known {
    /// Normalised, with the tag that somebody named; `scratch` for none; null where only a digest is known. Of a proved
    /// base the tag counts only where `now.state` is `same`; else what is proved is the repository with `digest`.
    name: Option<String>,
    /// Of an index or a manifest: as claimed, or what the tag names.
    digest: Option<String>,
    /// How sure it is.
    confidence: Confidence,
    /// Why: what shows it (`itself`, `layers`, `unpacked-layers`), and who names it (all others).
    by: Vec<By>,
    /// Of the Dockerfiles that name it: file and line.
    dockerfiles: Vec<String>,
    /// Digest of the manifest of the same platform that was compared; null unless it is proved by layers.
    manifest: Option<String>,
    /// What the image holds of it; null unless it is proved.
    holds: Option<Holds>,
    /// When the base was built, by its own word; null where it is not proved, or says no time at which it can have been.
    created: Option<String>,
    /// Whole days from `created` to the run's clock; negative for a time to come.
    age_days: Option<i64>,
    /// Why it is not proved.
    doubt: Option<String>,
    /// What its tag names now; null where there is no tag or nobody asked.
    now: Option<Current>,
}

/// What an image is made of: the layers of a base, those that it adds, and both.
#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Holds {
    base: Part,
    added: Part,
    whole: Part,
}

/// Some of an image's layers. A layer that stands in base and added counts in the base.
#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
pub(super) struct Part {
    /// How many, as the manifest lists them: base first.
    layers: usize,
    /// Compressed bytes, each distinct layer once; null where a layer is given two sizes, or the sum does not fit.
    size: Option<u64>,
    /// Bytes that they unpack to, each distinct layer once; null where that is not known of every one.
    unpacked: Option<u64>,
}

impl Part {
    pub(super) fn new(layers: usize, total: Total) -> Self {
        Self { layers, size: total.stored, unpacked: total.unpacked }
    }
}

/// By the image's layers, by a builder's verified signature, or by somebody's word alone.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum Confidence {
    Proved,
    Verified,
    Claimed,
}

/// What shows a base, or names it.
#[derive(JsonSchema, Serialize, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum By {
    /// It is the image that was asked for.
    Itself,
    /// The image's layers begin with the base's, by digest.
    Layers,
    /// They do, some of them recompressed: these were read, and unpack to the same.
    UnpackedLayers,
    /// An annotation of the index.
    IndexAnnotation,
    /// An annotation of the platform's entry in the index.
    EntryAnnotation,
    /// An annotation of the platform's manifest.
    ManifestAnnotation,
    /// A label of the config; labels of a base are inherited.
    Label,
    /// The label of Cloud Native Buildpacks.
    Buildpacks,
    /// BuildKit's record of sources in the config.
    BuildInfo,
    /// Provenance in the index that nobody signed.
    UnsignedProvenance,
    /// An image of `--base`.
    Search,
    /// A Dockerfile of the run.
    Dockerfile,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Current {
    /// Whether it is what the image is built on.
    state: State,
    /// What the tag names now.
    digest: Option<String>,
    /// When that was built, by its own word.
    created: Option<String>,
    /// Why it is not known.
    error: Option<String>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is the current one.
    Same,
    /// There is a newer one: build again.
    Moved,
    /// Nobody can tell.
    Unknown,
}

/// Something that an image says of itself, and that is not so.
#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
pub(super) struct Contradiction {
    /// What is said, and where.
    claimed: String,
    /// What shows that it is not so.
    shown: String,
}

impl Contradiction {
    pub(super) fn of(found: &base::Contradiction) -> Self {
        Self { claimed: found.claimed.clone(), shown: found.shown.clone() }
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Unread {
    name: String,
    error: String,
}

/// Of the platform `opened`, at the run's clock.
pub(super) fn of(bases: &base::Bases, opened: &Opened, looked_for: &[String], now: Timestamp) -> Bases {
    Bases {
        known: bases.known.iter().map(|one| known(one, opened, now)).collect(),
        contradicted: bases.contradicted.iter().map(Contradiction::of).collect(),
        unread: bases
            .unread
            .iter()
            .map(|(name, error)| Unread { name: name.clone(), error: error.to_string() })
            .collect(),
        doubtful: bases.doubtful.iter().map(|(_, why)| why.clone()).collect(),
        looked_for: looked_for.to_vec(),
    }
}

fn known(known: &base::Known, opened: &Opened, now: Timestamp) -> Known {
    let ground = known.ground.as_ref();
    let created = ground.and_then(|ground| ground.created);
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
        holds: ground.map(|ground| holds(opened, ground.layers)),
        created: created.map(|created| created.to_string()),
        age_days: created.map(|created| days_between(created, now)),
        doubt: known.doubt.as_ref().map(doubt),
        now: known.now.as_ref().map(current),
    }
}

fn holds(opened: &Opened, base: usize) -> Holds {
    let count = opened.manifest.layers.len();
    let (whole, below, above) = (opened.total(count), opened.total(base), opened.added(base));
    // Where layers contradict each other, no part of them weighs anything sure.
    let sure = |total: Total| Total { stored: whole.stored.and(total.stored), ..total };
    Holds {
        base: Part::new(base, sure(below)),
        added: Part::new(count - base, sure(above)),
        whole: Part::new(count, whole),
    }
}

/// Whole days from a time to the run's clock; negative for a time to come.
pub(super) fn days_between(created: Timestamp, now: Timestamp) -> i64 {
    (now.as_second() - created.as_second()).div_euclid(86_400)
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
        Doubt::NoPlatform(platform) => format!("it has no image for {platform}"),
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
