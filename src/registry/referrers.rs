//! A list of referrers in the making: read from an index, held to the limit, without doubles and other kinds.
//! It believes nothing of what the descriptors say; it only refuses what is no list.
//!
//! Source: OCI distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema".

use std::collections::BTreeMap;

use oci_distribution::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use serde::Deserialize;

use crate::digest::Digest;
use crate::limits;
use crate::registry::content::{check_body, malformed};
use crate::registry::{Referrer, Referrers, RegistryError};

/// The tag under which a registry without the API keeps the index of a manifest's referrers.
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm().name(), &hex[..hex.len().min(64)])
}

/// The whole list, without those of another kind.
pub(crate) fn only(list: Referrers, kind: &str) -> Referrers {
    let found = list.found.into_iter().filter(|referrer| may_be(referrer, kind)).collect();
    Referrers { found, ..list }
}

/// Whoever states no artifact type may be of any.
fn may_be(referrer: &Referrer, kind: &str) -> bool {
    referrer.artifact_type.as_deref().is_none_or(|own| own == kind)
}

/// What has been listed so far.
pub(crate) struct List<'a> {
    /// Who lists, in messages.
    place: &'a str,
    kind: Option<&'a str>,
    pub(crate) found: Vec<Referrer>,
}

impl<'a> List<'a> {
    pub(crate) fn new(place: &'a str, kind: Option<&'a str>) -> Self {
        Self { place, kind, found: Vec::new() }
    }

    /// Adds one, unless it stands there already or is of another kind.
    pub(crate) fn add(&mut self, referrer: Referrer) -> Result<(), RegistryError> {
        if self.kind.is_some_and(|kind| !may_be(&referrer, kind)) || self.found.contains(&referrer) {
            return Ok(());
        }
        if self.found.len() == limits::REFERRERS {
            let place = self.place.to_owned();
            return Err(RegistryError::TooMany { place, what: "referrers of an image", limit: limits::REFERRERS });
        }
        self.found.push(referrer);
        Ok(())
    }

    /// Adds all that the OCI index in `bytes` names.
    pub(crate) fn add_index(&mut self, bytes: &[u8]) -> Result<(), RegistryError> {
        check_body(self.place, OCI_IMAGE_INDEX_MEDIA_TYPE, bytes)?;
        let wrong = |what: &str| malformed(self.place, &format!("a list of referrers that is none: {what}"));
        let index: Index = serde_json::from_slice(bytes).map_err(|error| wrong(&error.to_string()))?;
        let read = index.manifests.into_iter().map(|raw| raw.checked().map_err(|what| wrong(&what)));
        let read: Vec<Referrer> = read.collect::<Result<_, _>>()?;
        read.into_iter().try_for_each(|referrer| self.add(referrer))
    }
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Raw>,
}

/// A descriptor as written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    media_type: String,
    digest: String,
    size: u64,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Raw {
    fn checked(self) -> Result<Referrer, String> {
        Ok(Referrer {
            digest: Digest::parse(&self.digest).map_err(|error| error.to_string())?,
            media_type: self.media_type,
            size: self.size,
            // One large registry writes the empty text where it does not know.
            artifact_type: self.artifact_type.filter(|kind| !kind.is_empty()),
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}
