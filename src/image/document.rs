//! One manifest or index, parsed by its media type from bytes that were hashed.
//! Keys that another reader would take differently (doubled, or alike but for case) are refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor, OciImageIndex, OciImageManifest,
};
use serde::Deserialize;

use super::strict::{self, Shape};
use super::{ImageError, Platform};
use crate::digest::Digest;
use crate::limits;
use crate::registry::Manifest;

/// Keys whose meaning decides a verdict, at any depth.
static SHAPE: Shape = Shape {
    known: &[
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "digest",
        "size",
        "platform",
        "os",
        "architecture",
        "variant",
        "artifactType",
        "subject",
        "fsLayers",
    ],
    below: &[],
    rest: &SHAPE,
};

/// A blob that a manifest names; its size is the manifest's word, which the digest covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the blob as stored (compressed).
    pub digest: Digest,
    /// Size of the blob as stored, in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: Cow<'static, str>,
}

/// An image manifest of one platform (image-spec, manifest.md; Docker's schema 2 is the same shape).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageManifest {
    /// The config blob.
    pub config: Layer,
    /// The layers, base first.
    pub layers: Vec<Layer>,
}

impl ImageManifest {
    /// Compressed bytes of its layers, each distinct layer once; `None` where the sum does not fit, or where one layer
    /// is given two sizes.
    pub fn layers_size(&self) -> Option<u64> {
        let mut seen = HashMap::new();
        self.layers.iter().try_fold(0_u64, |sum, layer| match seen.insert(&layer.digest, layer.size) {
            None => sum.checked_add(layer.size),
            Some(size) => (size == layer.size).then_some(sum),
        })
    }
}

/// One entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Size of the manifest in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// The platform that the index claims for it.
    pub platform: Option<Platform>,
    /// An attestation manifest that no runtime picks: platform `unknown/unknown` and BuildKit's annotation.
    pub attestation: bool,
    /// What the index says of it; a claim.
    pub annotations: BTreeMap<String, String>,
}

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An image of one platform.
    Image(ImageManifest),
    /// An index (or Docker manifest list).
    Index(Vec<Child>),
}

impl Content {
    /// Parses by media type. `manifest` carries bytes that hash to its digest.
    pub fn parse(manifest: &Manifest) -> Result<Self, ImageError> {
        let unsound = |reason: String| ImageError::Unsound { digest: manifest.digest().clone(), reason };
        if manifest.bytes().len() > limits::MANIFEST_BYTES {
            return Err(unsound(format!("longer than {} bytes", limits::MANIFEST_BYTES)));
        }
        let keys = strict::top_keys(manifest.bytes(), &SHAPE).map_err(|error| unsound(error.to_string()))?;
        let has = |key: &str| keys.iter().any(|found| found == key);
        if has("layers") && has("manifests") {
            return Err(unsound("it has both layers and manifests".to_owned()));
        }
        if has("fsLayers") {
            return Err(unsound("schema 1 manifests are not supported".to_owned()));
        }
        let written = match manifest.media_type() {
            OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE => {
                let parsed: OciImageManifest = parse(manifest.bytes()).map_err(unsound)?;
                check_head(parsed.schema_version, parsed.media_type.as_deref(), manifest.media_type())
                    .map_err(unsound)?;
                let config = layer(&parsed.config).map_err(unsound)?;
                let layers = parsed.layers.iter().map(layer).collect::<Result<_, _>>().map_err(unsound)?;
                Self::Image(ImageManifest { config, layers })
            }
            OCI_IMAGE_INDEX_MEDIA_TYPE | IMAGE_MANIFEST_LIST_MEDIA_TYPE => {
                let parsed: OciImageIndex = parse(manifest.bytes()).map_err(unsound)?;
                check_head(parsed.schema_version, parsed.media_type.as_deref(), manifest.media_type())
                    .map_err(unsound)?;
                if parsed.manifests.len() > limits::INDEX_CHILDREN {
                    return Err(unsound(format!("it has more than {} children", limits::INDEX_CHILDREN)));
                }
                Self::Index(children(parsed).map_err(unsound)?)
            }
            other => return Err(unsound(format!("media type `{other}` is neither an image nor an index"))),
        };
        Ok(written)
    }
}

/// What a manifest or index says of itself; whoever built it wrote that, so it is a claim like any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// What it is, where it is no image of a runtime.
    pub artifact_type: Option<String>,
    /// The manifest that it refers to.
    pub subject: Option<Subject>,
    /// Its annotations.
    #[serde(default, deserialize_with = "strict::texts")]
    pub annotations: BTreeMap<String, String>,
}

/// The manifest that a referrer belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subject {
    /// Its digest, as it is written.
    pub digest: String,
}

impl Claims {
    /// Of a manifest that [`Content::parse`] takes.
    pub fn parse(manifest: &Manifest) -> Result<Self, ImageError> {
        let unsound = |reason| ImageError::Unsound { digest: manifest.digest().clone(), reason };
        parse(manifest.bytes()).map_err(unsound)
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

fn check_head(version: u8, inside: Option<&str>, served: &str) -> Result<(), String> {
    if version != 2 {
        return Err(format!("schemaVersion {version} is not 2"));
    }
    match inside {
        Some(inside) if inside != served => Err(format!("served as {served}, but it says {inside}")),
        _ => Ok(()),
    }
}

fn size(size: i64) -> Result<u64, String> {
    u64::try_from(size).map_err(|_| format!("a size of {size} bytes"))
}

fn layer(descriptor: &OciDescriptor) -> Result<Layer, String> {
    Ok(Layer {
        digest: Digest::parse(&descriptor.digest).map_err(|error| error.to_string())?,
        size: size(descriptor.size)?,
        media_type: common(&descriptor.media_type),
    })
}

/// Media types that nearly every image uses; a run holds them by the hundred thousand.
const COMMON: [&str; 6] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

fn common(media_type: &str) -> Cow<'static, str> {
    let known = COMMON.into_iter().find(|known| *known == media_type);
    known.map_or_else(|| Cow::Owned(media_type.to_owned()), Cow::Borrowed)
}

fn children(index: OciImageIndex) -> Result<Vec<Child>, String> {
    let child = |entry: oci_distribution::manifest::ImageIndexEntry| {
        let unknown = entry.platform.as_ref().is_some_and(|platform| {
            platform.os.to_string() == "unknown" && platform.architecture.to_string() == "unknown"
        });
        let annotated = entry.annotations.as_ref().is_some_and(|annotations| {
            annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
        });
        Ok(Child {
            digest: Digest::parse(&entry.digest).map_err(|error| error.to_string())?,
            size: size(entry.size)?,
            media_type: entry.media_type,
            platform: entry.platform.map(|platform| Platform {
                os: platform.os.to_string(),
                architecture: platform.architecture.to_string(),
                variant: platform.variant,
            }),
            attestation: unknown && annotated,
            annotations: entry.annotations.unwrap_or_default(),
        })
    };
    index.manifests.into_iter().map(child).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn served(media_type: &str, body: &str) -> Manifest {
        let bytes = bytes::Bytes::from(body.to_owned());
        Manifest::hashed(Algorithm::Sha256, media_type, bytes)
    }

    fn descriptor(extra: &str) -> String {
        format!(r#"{{"mediaType":"x/y","digest":"sha256:{HEX}","size":5{extra}}}"#)
    }

    fn image(layers: &str, extra: &str) -> String {
        format!(r#"{{"schemaVersion":2,"config":{},"layers":[{layers}]{extra}}}"#, descriptor(""))
    }

    #[test]
    fn an_image_and_an_index_are_read() {
        let content = Content::parse(&served(OCI_IMAGE_MEDIA_TYPE, &image(&descriptor(""), ""))).expect("an image");
        let Content::Image(manifest) = content else { panic!("not an image") };
        assert_eq!((manifest.layers.len(), manifest.layers_size()), (1, Some(5)));

        let entry = descriptor(r#","platform":{"os":"linux","architecture":"arm","variant":"v7"}"#);
        let attestation = descriptor(
            r#","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#,
        );
        let disguised = descriptor(
            r#","platform":{"os":"linux","architecture":"amd64"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#,
        );
        let body = format!(r#"{{"schemaVersion":2,"manifests":[{entry},{attestation},{disguised}]}}"#);
        let Content::Index(children) = Content::parse(&served(OCI_IMAGE_INDEX_MEDIA_TYPE, &body)).expect("an index")
        else {
            panic!("not an index")
        };
        assert_eq!(children.iter().map(|child| child.attestation).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(children[0].platform.as_ref().map(ToString::to_string).as_deref(), Some("linux/arm/v7"));
    }

    #[test]
    fn a_layer_that_stands_twice_weighs_once_and_a_sum_cannot_wrap() {
        let other = format!(r#"{{"mediaType":"x/y","digest":"sha256:{}","size":{}}}"#, HEX.replace('a', "b"), i64::MAX);
        let third = format!(r#"{{"mediaType":"x/y","digest":"sha256:{}","size":{}}}"#, HEX.replace('a', "c"), i64::MAX);
        let twice = image(&format!("{0},{0}", descriptor("")), "");
        let wrapping = image(&format!("{other},{third},{}", descriptor("")), "");
        let size = |body: &str| match Content::parse(&served(OCI_IMAGE_MEDIA_TYPE, body)).expect("an image") {
            Content::Image(manifest) => manifest.layers_size(),
            Content::Index(_) => panic!("not an image"),
        };
        assert_eq!(size(&twice), Some(5));
        let two_sizes = descriptor("").replace("\"size\":5", "\"size\":500");
        assert_eq!(size(&image(&format!("{},{two_sizes}", descriptor("")), "")), None);
        assert_eq!(size(&wrapping), None);
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        let d = descriptor("");
        let rows = [
            ("both", image(&d, r#","manifests":[]"#), OCI_IMAGE_MEDIA_TYPE),
            ("both as index", image(&d, r#","manifests":[]"#), OCI_IMAGE_INDEX_MEDIA_TYPE),
            ("doubled layers", image(&d, r#","layers":[]"#), OCI_IMAGE_MEDIA_TYPE),
            ("case variant", image(&d, r#","Layers":[]"#), OCI_IMAGE_MEDIA_TYPE),
            ("folded variant", image(&d, r#","layer\u017f":[]"#), OCI_IMAGE_MEDIA_TYPE),
            ("case variant inside", image(&descriptor(r#","Size":9"#), ""), OCI_IMAGE_MEDIA_TYPE),
            ("doubled size", image(&descriptor(r#","size":9"#), ""), OCI_IMAGE_MEDIA_TYPE),
            ("negative size", image(&d.replace("\"size\":5", "\"size\":-5"), ""), OCI_IMAGE_MEDIA_TYPE),
            ("short digest", image(&d.replace("aaaa", ""), ""), OCI_IMAGE_MEDIA_TYPE),
            (
                "other type inside",
                image(&d, &format!(r#","mediaType":"{OCI_IMAGE_INDEX_MEDIA_TYPE}""#)),
                OCI_IMAGE_MEDIA_TYPE,
            ),
            ("served as an index", image(&d, ""), OCI_IMAGE_INDEX_MEDIA_TYPE),
            ("unknown type", image(&d, ""), "application/json"),
            ("schema 1", r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), OCI_IMAGE_MEDIA_TYPE),
            ("version 1", image(&d, "").replace(":2", ":1"), OCI_IMAGE_MEDIA_TYPE),
            ("more after it", image(&d, "") + "{}", OCI_IMAGE_MEDIA_TYPE),
            ("html", "<html></html>".to_owned(), OCI_IMAGE_MEDIA_TYPE),
            ("nothing", String::new(), OCI_IMAGE_MEDIA_TYPE),
            ("deep", "[".repeat(100_000), OCI_IMAGE_MEDIA_TYPE),
        ];
        for (name, body, media_type) in rows {
            let result = Content::parse(&served(media_type, &body));
            assert!(matches!(result, Err(ImageError::Unsound { .. })), "{name}: {result:?}");
        }
    }
}
