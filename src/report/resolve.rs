//! What `resolve` prints: a line `name:tag@digest` for each image that was found, in the order of the arguments.
//! A failed one has no line; in JSON it has its row, with the error in the digest's place.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::Style;
use super::text::visible;
use crate::outline::Outline;
use crate::reference::Reference;
use crate::registry::KnownBy;

/// One argument and what came of it.
#[derive(Debug)]
pub struct Resolution {
    /// As it was given.
    pub text: String,
    /// What it means; `None` where it is no reference.
    pub reference: Option<Reference>,
    /// What it names; an error where that is not known.
    pub answer: Result<Outline, String>,
}

/// An image with its digest, or with the error that stands in its place.
#[derive(JsonSchema, Serialize)]
#[schemars(deny_unknown_fields)]
struct Row<'a> {
    /// Normalised, with tag and digest as far as written; as it was given where it is no reference.
    image: String,
    /// `sha256:…`; null where it failed.
    digest: Option<&'a str>,
    /// Whether bytes were hashed, or a header was believed.
    #[schemars(with = "Option<Known>")]
    known_by: Option<KnownBy>,
    media_type: Option<&'a str>,
    /// `linux/amd64`; null for one that neither index nor config names.
    platforms: Option<Vec<Option<String>>>,
    /// Why there is no digest; only where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// By bytes that were hashed, or by the registry's header.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum Known {
    Bytes,
    Header,
}

/// One JSON array, ending in a newline.
pub fn json(rows: &[Resolution]) -> String {
    let rows: Vec<Row<'_>> = rows.iter().map(row).collect();
    super::json_of(&rows)
}

/// The JSON Schema of [`json`].
pub fn schema() -> serde_json::Value {
    super::schema_of::<Vec<Row<'_>>>("plimsoll resolution", "What `resolve --format json` prints.")
}

fn row(resolution: &Resolution) -> Row<'_> {
    let image = resolution.reference.as_ref().map_or_else(|| resolution.text.clone(), ToString::to_string);
    match &resolution.answer {
        Ok(outline) => {
            let content = outline.content.as_ref();
            let platforms = content.map(|content| content.platforms.iter().map(|one| Some(one.as_ref()?.to_string())));
            Row {
                image,
                digest: Some(outline.digest.as_str()),
                known_by: Some(outline.known_by),
                media_type: content.map(|content| content.media_type.as_str()),
                platforms: platforms.map(Iterator::collect),
                error: None,
            }
        }
        Err(error) => {
            Row { image, digest: None, known_by: None, media_type: None, platforms: None, error: Some(error) }
        }
    }
}

/// A line an image: a reference that can stand in any manifest.
pub fn text(rows: &[Resolution], style: Style) -> String {
    let mut text = String::new();
    for (reference, outline) in rows.iter().filter_map(|row| row.reference.as_ref().zip(row.answer.as_ref().ok())) {
        let tag = reference.tag().map_or_else(String::new, |tag| format!(":{tag}"));
        let name = visible(&format!("{}{tag}", reference.repository()));
        let _ = write!(text, "{}@{}", style.bold(&name), outline.digest);
        if style.verbose {
            let known = match outline.known_by {
                KnownBy::Bytes => "bytes",
                KnownBy::Header => "header",
            };
            let _ = write!(text, "  {}", style.dim(&format!("known by {known}")));
        }
        text.push('\n');
    }
    text
}
