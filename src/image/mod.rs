//! What an image is made of: index, manifests per platform, layers, sizes. Read from hashed bytes only.
//! It refuses what two readers could read differently: both `layers` and `manifests`, doubled keys, schema 1.

pub mod base;
pub mod base_claim;
mod config;
mod document;
mod load;
pub mod materials;
mod secret;
mod strict;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::digest::Digest;
use crate::registry::RegistryError;

pub use config::{Config, History, Variable};
pub use document::{Child, Claims, Content, ImageManifest, Layer, Subject};
pub use load::{Depth, Room, load, read_child, read_config};
pub use secret::Value;

/// `os/architecture[/variant]`, as `--platform` and the `platforms` rule write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// Operating system: `linux`.
    pub os: String,
    /// Architecture in Go's words: `amd64`.
    pub architecture: String,
    /// CPU variant: `v8`.
    pub variant: Option<String>,
}

/// A text that is not `os/architecture[/variant]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform; one is written linux/amd64 or linux/arm/v7")]
pub struct PlatformError(String);

impl Platform {
    /// Whether it says anything.
    pub fn is_told(&self) -> bool {
        !self.os.is_empty() || !self.architecture.is_empty()
    }

    /// Whether this platform is what `wanted` asks for; a variant counts only where one is asked for. Names that mean
    /// the same to a runtime (`x86_64` and `amd64`, `arm64` and `arm64/v8`) are the same.
    pub fn is(&self, wanted: &Self) -> bool {
        let (own, asked) = (self.settled(), wanted.settled());
        own.0 == asked.0 && own.1 == asked.1 && (wanted.variant.is_none() || own.2 == asked.2)
    }

    /// Operating system, architecture and variant as runtimes settle them (containerd, `platforms/database.go`).
    fn settled(&self) -> (String, String, String) {
        let lower = |text: &str| text.to_ascii_lowercase();
        let (os, variant) = (lower(&self.os), lower(self.variant.as_deref().unwrap_or_default()));
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        let variant =
            if variant.starts_with(|first: char| first.is_ascii_digit()) { format!("v{variant}") } else { variant };
        let (architecture, variant) = match (lower(&self.architecture).as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
            ("i386", other) => ("386", other),
            ("aarch64" | "arm64", "" | "v8") => ("arm64", "v8"),
            ("aarch64" | "arm64", other) => ("arm64", other),
            ("armhf", _) | ("arm", "") => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            (other, variant) => return (os, other.to_owned(), variant.to_owned()),
        };
        (os, architecture.to_owned(), variant.to_owned())
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let word = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [os, architecture] if word(os) && word(architecture) => {
                Ok(Self { os: (*os).to_owned(), architecture: (*architecture).to_owned(), variant: None })
            }
            [os, architecture, variant] if word(os) && word(architecture) && word(variant) => Ok(Self {
                os: (*os).to_owned(),
                architecture: (*architecture).to_owned(),
                variant: Some((*variant).to_owned()),
            }),
            _ => Err(PlatformError(text.to_owned())),
        }
    }
}

/// What one platform of an image runs.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// The platform: the index's word, or the config's where no index says; `None` where the config was not read.
    pub platform: Option<Platform>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Media type of its manifest.
    pub media_type: String,
    /// Its manifest.
    pub manifest: ImageManifest,
    /// What stands in its config and around its manifest; `None` unless it was read as deep as [`Depth::Details`].
    pub details: Option<Arc<Details>>,
}

/// What is said of one platform of an image, beside the layers: by its config, and by annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Its config.
    pub config: Config,
    /// Annotations of its manifest.
    pub manifest: BTreeMap<String, String>,
    /// Annotations of its entry in the index.
    pub entry: BTreeMap<String, String>,
}

/// A whole image, every platform of it; made by [`load`] alone, from bytes that were hashed.
#[derive(Clone, Debug)]
pub struct Image {
    digest: Digest,
    media_type: String,
    platforms: Vec<PlatformImage>,
    attestations: Vec<Child>,
    annotations: BTreeMap<String, String>,
    index: bool,
}

impl Image {
    /// The digest it goes by: the index's, or the manifest's where there is no index.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Media type of the index or manifest.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Every platform, in the index's order.
    pub fn platforms(&self) -> &[PlatformImage] {
        &self.platforms
    }

    /// Attestation manifests of the index, set apart before any platform logic.
    pub fn attestations(&self) -> &[Child] {
        &self.attestations
    }

    /// Annotations of the index; none unless it was read as deep as [`Depth::Details`].
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The image that is one child of this index, for who pins that child; `None` where it is none.
    #[must_use]
    pub fn only(&self, child: &Digest) -> Option<Self> {
        let platform = self.platforms.iter().find(|platform| platform.digest == *child).filter(|_| self.index)?;
        Some(Self {
            digest: platform.digest.clone(),
            media_type: platform.media_type.clone(),
            platforms: vec![platform.clone()],
            attestations: Vec::new(),
            annotations: BTreeMap::new(),
            index: false,
        })
    }

    /// Whether it is an index.
    pub fn is_index(&self) -> bool {
        self.index
    }
}

/// Why an image's content could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Content that is not what its media type says, or that two readers could read differently.
    #[error("{digest} is not a sound manifest: {reason}")]
    Unsound {
        /// The manifest, index or config.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_match_by_what_is_asked_for() {
        let platform = |text: &str| text.parse::<Platform>().expect("a platform");
        let rows = [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("windows/amd64", "linux/amd64", false),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm", "linux/arm/v6", false),
            ("linux/x86_64", "linux/amd64", true),
            ("linux/aarch64", "linux/arm64", true),
            ("linux/amd64", "linux/386", false),
            ("linux/amd64/v3", "linux/amd64", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/arm/v6", "linux/arm/v7", false),
        ];
        for (found, wanted, expected) in rows {
            assert_eq!(platform(found).is(&platform(wanted)), expected, "{found} for {wanted}");
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/amd64/", "Linux/amd64", "linux/amd64/v1/x", "linux /amd64"]
        {
            assert_eq!(text.parse::<Platform>(), Err(PlatformError(text.to_owned())));
        }
    }
}
