//! What `inspect` prints in JSON, version 1; its schema is `docs/inspect.schema.json`.
//! Values of environment variables and of build arguments stand in no report: images are built with secrets in them.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::bases::days_between;
use super::bases_text::nearest;
use super::resolve::Known;
use crate::digest::Digest;
use crate::image::{Child, Claims, Config};
use crate::inspect::{Inside, Inspected, Opened};
use crate::reference::Reference;
use crate::registry::{KnownBy, Referrers, ReferrersFrom, RegistryError};

/// One inspected image with what a report says of the run.
#[derive(Debug)]
pub struct Inspection {
    /// What was asked for.
    pub reference: Reference,
    /// What was found.
    pub found: Inspected,
    /// The images that it may be built on, as whoever runs us named them.
    pub looked_for: Vec<String>,
    /// Layouts in use, as they were named.
    pub layouts: Vec<String>,
    /// The run's clock.
    pub now: Timestamp,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Report<'a> {
    #[schemars(range(min = 1, max = 1))]
    version: u8,
    /// The run's clock, which ages are counted to.
    now: String,
    /// Layouts on disk that images come from.
    layouts: &'a [String],
    /// Normalised, with tag and digest as far as written.
    image: String,
    digest: &'a str,
    #[schemars(with = "Known")]
    known_by: KnownBy,
    media_type: &'a str,
    /// Bytes of the index or manifest.
    size: u64,
    index: bool,
    /// What it is said to be, where it is no image that runs.
    artifact_type: Option<&'a str>,
    /// The digest of the manifest that it refers to.
    subject: Option<&'a str>,
    annotations: &'a BTreeMap<String, String>,
    /// Indexes in the index, in the order in which they stand, each before what is in it.
    nested: Vec<NestedIndex<'a>>,
    /// Attestation manifests of the index; not verified.
    attestations: Vec<Attestation<'a>>,
    referrers: List<'a>,
    /// All layers of all platforms of this report, each distinct one once; null where one of the platforms can't be read.
    total: Option<super::bases::Part>,
    /// Platforms of the index that `--platform` left out.
    platforms_left_out: usize,
    platforms: Vec<Platform<'a>>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct NestedIndex<'a> {
    digest: &'a str,
    media_type: &'a str,
    size: u64,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Attestation<'a> {
    digest: &'a str,
    size: u64,
    /// The manifest that the index says it is of.
    of: Option<&'a str>,
}

/// Who refers to a manifest: `found` and `from` where it is known (an empty list: nobody), else `error`.
#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct List<'a> {
    #[schemars(with = "Option<From>")]
    from: Option<ReferrersFrom>,
    found: Option<Vec<Referrer<'a>>>,
    error: Option<String>,
}

/// The registry's API, the tag that stands in for it, or a layout on disk.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[allow(dead_code, reason = "only its schema is used")]
enum From {
    Api,
    FallbackTag,
    Layout,
}

/// A descriptor as it is listed; all of it a claim.
#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Referrer<'a> {
    digest: &'a str,
    media_type: &'a str,
    size: u64,
    artifact_type: Option<&'a str>,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Platform<'a> {
    /// The index's word, else the config's; null where neither says.
    #[serde(rename = "platform")]
    name: Option<String>,
    digest: &'a str,
    media_type: &'a str,
    /// Bytes of the manifest.
    size: u64,
    /// Digests of the indexes in the index that it stands in, the outermost first.
    within: Vec<&'a str>,
    /// Why its content is not known.
    error: Option<String>,
    /// Compressed bytes of the layers, each once; null where they contradict each other or are not known.
    layers_size: Option<u64>,
    /// Bytes that the layers unpack to, each once: read with `--unpack`, or stored so; null where that is not known of
    /// every one.
    unpacked_size: Option<u64>,
    layers: Vec<Layer<'a>>,
    /// With `--unpack`: layers that could not be read or compared.
    unread_layers: Vec<UnreadLayer>,
    /// With `--unpack`: what the config says of the layers, and they are not.
    contradicted_layers: Vec<super::bases::Contradiction>,
    artifact_type: Option<&'a str>,
    subject: Option<&'a str>,
    annotations: Option<&'a BTreeMap<String, String>>,
    /// What it is built on; null where it was not looked for.
    bases: Option<super::bases::Bases>,
    /// Null for an artifact, and where it could not be read.
    config: Option<Settings<'a>>,
    config_error: Option<String>,
    /// Null for an image without an index, where they stand with the image.
    referrers: Option<List<'a>>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Layer<'a> {
    digest: &'a str,
    media_type: &'a str,
    /// Compressed bytes.
    size: u64,
    /// Bytes that it unpacks to: read with `--unpack`, or as many as are stored, where its media type says that it is not
    /// compressed; else null.
    unpacked: Option<u64>,
    /// Whether it is of the nearest base that is proved, or added; null where none is proved.
    part: Option<LayerPart>,
    /// What made it, by the history, without the values of build arguments; null where the history does not account
    /// for the layers.
    command: Option<String>,
    /// How many platforms of this report have the layer, this one included.
    in_platforms: usize,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum LayerPart {
    Base,
    Added,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct UnreadLayer {
    /// Its number; the first is 1.
    layer: usize,
    error: String,
}

#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Settings<'a> {
    digest: &'a str,
    size: u64,
    /// The platform, by the config's word.
    platform: String,
    /// As written.
    created: Option<&'a str>,
    /// Whole days from `created` to the run's clock; negative for a time to come.
    age_days: Option<i64>,
    /// As written; null where it is not set.
    user: Option<&'a str>,
    entrypoint: &'a [String],
    command: &'a [String],
    working_dir: Option<&'a str>,
    /// Names alone: values may be secrets.
    environment: Vec<&'a str>,
    ports: &'a [String],
    volumes: &'a [String],
    labels: &'a BTreeMap<String, String>,
    healthcheck: &'a [String],
}

/// One JSON object, ending in a newline.
pub fn json(inspection: &Inspection) -> String {
    let (found, shares) = (&inspection.found, shares(&inspection.found));
    let report = Report {
        version: 1,
        now: inspection.now.to_string(),
        layouts: &inspection.layouts,
        image: inspection.reference.to_string(),
        digest: found.digest.as_str(),
        known_by: KnownBy::Bytes,
        media_type: &found.media_type,
        size: found.size,
        index: found.index,
        artifact_type: found.claims.artifact_type.as_deref(),
        subject: subject(&found.claims),
        annotations: &found.claims.annotations,
        nested: found
            .nested
            .iter()
            .map(|nested| NestedIndex {
                digest: nested.digest.as_str(),
                media_type: &nested.media_type,
                size: nested.size,
            })
            .collect(),
        attestations: found
            .attestations
            .iter()
            .map(|child| Attestation { digest: child.digest.as_str(), size: child.size, of: attested(child) })
            .collect(),
        referrers: list(&found.referrers),
        total: found.total().map(|total| super::bases::Part::new(total.layers, total)),
        platforms_left_out: found.left_out,
        platforms: found.platforms.iter().map(|inside| platform(inspection, inside, &shares)).collect(),
    };
    super::json_of(&report)
}

/// The JSON Schema of [`json`].
pub fn schema() -> serde_json::Value {
    super::schema_of::<Report<'_>>("plimsoll inspection, version 1", "What `inspect --format json` prints.")
}

fn platform<'a>(inspection: &'a Inspection, inside: &'a Inside, shares: &HashMap<&Digest, usize>) -> Platform<'a> {
    let opened = inside.content.as_ref().ok();
    let config = opened.and_then(|opened| opened.config.as_ref());
    let base = inside.bases.as_ref().and_then(nearest).map(|(_, ground)| ground.layers);
    Platform {
        name: inside.platform.as_ref().map(ToString::to_string),
        digest: inside.digest.as_str(),
        media_type: &inside.media_type,
        size: inside.size,
        within: inspection
            .found
            .nested
            .iter()
            .filter(|nested| nested.images.contains(&inside.place))
            .map(|nested| nested.digest.as_str())
            .collect(),
        error: inside.content.as_ref().err().map(ToString::to_string),
        layers_size: opened.and_then(|opened| opened.manifest.layers_size()),
        unpacked_size: opened.and_then(|opened| opened.total(opened.manifest.layers.len()).unpacked),
        layers: opened.map(|opened| layers(shares, opened, base)).unwrap_or_default(),
        unread_layers: opened.map(unread).unwrap_or_default(),
        contradicted_layers: opened
            .map(|opened| opened.contents.lies.iter().map(super::bases::Contradiction::of).collect())
            .unwrap_or_default(),
        artifact_type: opened.and_then(|opened| opened.claims.artifact_type.as_deref()),
        subject: opened.and_then(|opened| subject(&opened.claims)),
        annotations: opened.map(|opened| &opened.claims.annotations),
        bases: inside
            .bases
            .as_ref()
            .zip(opened)
            .map(|(bases, opened)| super::bases::of(bases, opened, &inspection.looked_for, inspection.now)),
        config: config.and_then(|config| config.as_ref().ok()).zip(opened).map(|(config, opened)| Settings {
            digest: opened.manifest.config.digest.as_str(),
            size: opened.manifest.config.size,
            platform: config.platform.to_string(),
            created: config.created.as_deref(),
            age_days: age_days(config, inspection.now),
            user: config.user.as_deref(),
            entrypoint: &config.entrypoint,
            command: &config.command,
            working_dir: config.working_dir.as_deref(),
            environment: config.environment.iter().map(|variable| variable.name.as_str()).collect(),
            ports: &config.ports,
            volumes: &config.volumes,
            labels: &config.labels,
            healthcheck: &config.healthcheck,
        }),
        config_error: config.and_then(|config| config.as_ref().err()).map(ToString::to_string),
        referrers: inside.referrers.as_ref().map(list),
    }
}

fn unread(opened: &Opened) -> Vec<UnreadLayer> {
    let unread = opened.contents.unread.iter();
    unread.map(|(at, why)| UnreadLayer { layer: at + 1, error: why.clone() }).collect()
}

fn layers<'a>(shares: &HashMap<&Digest, usize>, opened: &'a Opened, base: Option<usize>) -> Vec<Layer<'a>> {
    let layers = opened.manifest.layers.iter().zip(opened.commands()).enumerate();
    layers
        .map(|(at, (layer, command))| Layer {
            digest: layer.digest.as_str(),
            media_type: &layer.media_type,
            size: layer.size,
            unpacked: opened.contents.sizes[at],
            part: base.map(|base| if at < base { LayerPart::Base } else { LayerPart::Added }),
            command,
            in_platforms: shares[&layer.digest],
        })
        .collect()
}

/// How many platforms have each layer; counted once, since a hostile image has many of both.
pub(super) fn shares(found: &Inspected) -> HashMap<&Digest, usize> {
    let mut shares = HashMap::new();
    for opened in found.platforms.iter().filter_map(|inside| inside.content.as_ref().ok()) {
        let distinct: HashSet<&Digest> = opened.manifest.layers.iter().map(|layer| &layer.digest).collect();
        for layer in distinct {
            *shares.entry(layer).or_default() += 1;
        }
    }
    shares
}

/// The platform's name, else its digest.
pub(super) fn named(inside: &Inside) -> String {
    inside.platform.as_ref().map_or_else(|| inside.digest.to_string(), ToString::to_string)
}

/// Whole days since the image says it was built.
pub(super) fn age_days(config: &Config, now: Timestamp) -> Option<i64> {
    Some(days_between(config.created_at()?, now))
}

/// By BuildKit's annotation: what an attestation manifest of an index is of; a claim.
pub(super) fn attested(child: &Child) -> Option<&str> {
    child.annotations.get("vnd.docker.reference.digest").map(String::as_str)
}

fn subject(claims: &Claims) -> Option<&str> {
    claims.subject.as_ref().map(|subject| subject.digest.as_str())
}

fn list(referrers: &Result<Referrers, RegistryError>) -> List<'_> {
    match referrers {
        Ok(known) => {
            let found = known.found.iter().map(|referrer| Referrer {
                digest: referrer.digest.as_str(),
                media_type: &referrer.media_type,
                size: referrer.size,
                artifact_type: referrer.artifact_type.as_deref(),
                annotations: &referrer.annotations,
            });
            List { from: Some(known.from), found: Some(found.collect()), error: None }
        }
        Err(error) => List { from: None, found: None, error: Some(error.to_string()) },
    }
}
