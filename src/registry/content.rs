//! What a manifest must be before anybody reads it: one of four media types, and a body that agrees.
//! It looks at no field beyond those that tell an image from an index.

use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::registry::RegistryError;

/// The media types of a manifest or an index.
pub const MEDIA_TYPES: [&str; 4] =
    [OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];

/// All four at once; a registry that misses one converts, or denies that the image is there.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Most characters of a foreign text in a message: a registry's reason fits, a screenful does not.
const QUOTED: usize = 300;

const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// The fields that tell what a body is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<serde_json::Value>,
    media_type: Option<String>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
}

/// Refuses a media type that is not one of the four, schema 1 by its name.
pub(crate) fn check_media_type(place: &str, media_type: &str) -> Result<(), RegistryError> {
    if MEDIA_TYPES.contains(&media_type) {
        return Ok(());
    }
    let detail = if SCHEMA_1.contains(&media_type) {
        "a manifest of schema 1, which names no content; the image must be pushed again".to_owned()
    } else {
        format!("{media_type:?} is not the media type of a manifest")
    };
    Err(malformed(place, &detail))
}

/// Refuses a body that does not agree with `media_type`, or that is an image and an index at once.
pub(crate) fn check_body(place: &str, media_type: &str, bytes: &[u8]) -> Result<(), RegistryError> {
    let shape: Shape = serde_json::from_slice(bytes)
        .map_err(|error| malformed(place, &format!("a manifest that is not one: {error}")))?;
    if shape.schema_version.as_ref().is_some_and(|version| *version != 2) {
        return Err(malformed(place, "a manifest that is not of schema 2"));
    }
    if let Some(own) = shape.media_type.filter(|own| own != media_type) {
        return Err(malformed(place, &format!("a manifest that says {own:?} was served as {media_type:?}")));
    }
    let index = matches!(media_type, OCI_IMAGE_INDEX_MEDIA_TYPE | IMAGE_MANIFEST_LIST_MEDIA_TYPE);
    let (image_fields, index_fields) = (shape.layers.is_some() || shape.config.is_some(), shape.manifests.is_some());
    if (index && image_fields) || (!index && index_fields) {
        let detail = "a manifest with the fields of an image and of an index";
        return Err(malformed(place, detail));
    }
    Ok(())
}

/// An answer that is none, in words that may quote it.
pub(crate) fn malformed(place: &str, detail: &str) -> RegistryError {
    RegistryError::Malformed { place: place.to_owned(), detail: plain(detail) }
}

/// What another side said, on one line and not endless.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_names_all_four() {
        assert_eq!(ACCEPT.split(", ").collect::<Vec<_>>(), MEDIA_TYPES);
    }

    #[test]
    fn quoted_texts_hold_no_control_characters_and_end() {
        assert_eq!(plain("a\u{1b}[31m\nb"), "a [31m b");
        let body = format!(r#"{{"mediaType":"{}"}}"#, "x".repeat(10_000));
        let RegistryError::Malformed { detail, .. } =
            check_body("x", OCI_IMAGE_MEDIA_TYPE, body.as_bytes()).unwrap_err()
        else {
            panic!("another error")
        };
        assert_eq!(detail.len(), QUOTED);
    }

    #[test]
    fn bodies_agree_with_their_media_type() {
        let (image, index) = (OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE);
        let rows = [
            (image, r#"{"schemaVersion":2,"config":{},"layers":[]}"#, true),
            (index, r#"{"schemaVersion":2,"manifests":[]}"#, true),
            (image, r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#, true),
            (index, r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#, false),
            (image, r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#, false),
            (index, r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#, false),
            (image, r#"{"schemaVersion":2,"manifests":[]}"#, false),
            (index, r#"{"schemaVersion":2,"config":{}}"#, false),
            (image, r#"{"schemaVersion":1,"fsLayers":[]}"#, false),
            (image, r#"{"schemaVersion":2,"layers":[],"layers":[]}"#, false),
            (image, "<html></html>", false),
            (image, "", false),
        ];
        for (media_type, body, agrees) in rows {
            assert_eq!(check_body("x", media_type, body.as_bytes()).is_ok(), agrees, "{media_type} {body}");
        }
        assert!(check_media_type("x", "text/html").is_err());
        let error = check_media_type("x", SCHEMA_1[1]).unwrap_err();
        assert!(error.to_string().contains("schema 1"));
    }
}
