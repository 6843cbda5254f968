//! Reads an image's children by digest, all of them, and no more than was asked for.
//! A child that can't be read fails the whole image: nothing that was not judged counts as judged.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::config::Config;
use super::document::{Child, Claims, Content, ImageManifest};
use super::{Details, Image, ImageError, Platform, PlatformImage};
use crate::digest::Digest;
use crate::limits;
use crate::reference::Repository;
use crate::registry::{Manifest, Registry, Target, Want};

/// How deep to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// Every manifest of every platform.
    Manifests,
    /// Also the config of a manifest whose platform no index names.
    Configs,
    /// Also the config of every platform, and all annotations.
    Details,
}

const CHILDREN_AT_ONCE: usize = 8;

/// How many bytes of one image may still be read. What leads to a manifest or config says its size, which is counted
/// before it is fetched and which its bytes are then held to.
#[derive(Debug)]
pub struct Room(AtomicU64);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicU64::new(limits::IMAGE_BYTES as u64))
    }
}

impl Room {
    /// Counts `size` bytes that `digest` takes.
    pub fn take(&self, digest: &Digest, size: u64) -> Result<(), ImageError> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size));
        taken.map(drop).map_err(|_| Self::full(digest))
    }

    /// Whether all that an index names has room, before any of it is fetched.
    fn holds(&self, index: &Digest, children: &[Child]) -> Result<(), ImageError> {
        let size = children.iter().fold(0, |sum: u64, child| sum.saturating_add(child.size));
        if size <= self.0.load(Ordering::Relaxed) { Ok(()) } else { Err(Self::full(index)) }
    }

    fn full(digest: &Digest) -> ImageError {
        let limit = limits::IMAGE_BYTES;
        let reason =
            format!("with it the manifests and configs of the image come to more than the limit of {limit} bytes");
        ImageError::Unsound { digest: digest.clone(), reason }
    }
}

/// Reads the whole image that `manifest` (hashed bytes) is the top of.
pub async fn load(
    registry: &dyn Registry,
    repository: &Repository,
    manifest: &Manifest,
    depth: Depth,
) -> Result<Image, ImageError> {
    let mut platforms = Vec::new();
    let mut attestations = Vec::new();
    let content = Content::parse(manifest)?;
    let index = matches!(content, Content::Index(_));
    let top = Source { registry, repository, depth, children: AtomicUsize::new(0), room: Room::default() };
    top.room.take(manifest.digest(), manifest.bytes().len() as u64)?;
    let read = top.read(manifest, content).await?;
    let annotations =
        if index && depth >= Depth::Details { Claims::parse(manifest)?.annotations } else { BTreeMap::new() };
    let origin = Origin {
        digest: manifest.digest().clone(),
        media_type: manifest.media_type().to_owned(),
        claimed: None,
        annotations: BTreeMap::new(),
    };
    top.gather(origin, read, 0, &mut platforms, &mut attestations).await?;
    if platforms.is_empty() {
        let reason = "the index names no image that could run".to_owned();
        return Err(ImageError::Unsound { digest: manifest.digest().clone(), reason });
    }
    let media_type = manifest.media_type().to_owned();
    Ok(Image { digest: manifest.digest().clone(), media_type, platforms, attestations, annotations, index })
}

struct Source<'a> {
    registry: &'a dyn Registry,
    repository: &'a Repository,
    depth: Depth,
    /// Children named so far, over all nested indexes: an index of indexes must not multiply.
    children: AtomicUsize,
    room: Room,
}

/// What led to a manifest.
struct Origin {
    digest: Digest,
    media_type: String,
    claimed: Option<Platform>,
    annotations: BTreeMap<String, String>,
}

/// A manifest with what else the depth asks for.
struct Read {
    content: Content,
    /// Of an image at [`Depth::Details`]: its config, and the annotations of its manifest.
    details: Option<(Config, BTreeMap<String, String>)>,
}

type Gathering<'a> = Pin<Box<dyn Future<Output = Result<(), ImageError>> + Send + 'a>>;

impl Source<'_> {
    fn gather<'b>(
        &'b self,
        origin: Origin,
        read: Read,
        level: usize,
        platforms: &'b mut Vec<PlatformImage>,
        attestations: &'b mut Vec<Child>,
    ) -> Gathering<'b> {
        Box::pin(async move {
            let Origin { digest, media_type, claimed, annotations: entry } = origin;
            let children = match read.content {
                Content::Image(manifest) => {
                    let details = read.details.map(|(config, manifest)| Arc::new(Details { config, manifest, entry }));
                    let platform = match (claimed, &details) {
                        (Some(platform), _) => Some(platform),
                        (None, Some(details)) => told(&details.config),
                        (None, None) if self.depth >= Depth::Configs => told(&self.config(&manifest).await?),
                        (None, None) => None,
                    };
                    platforms.push(PlatformImage { platform, digest, media_type, manifest, details });
                    return Ok(());
                }
                Content::Index(_) if level >= limits::INDEX_DEPTH => {
                    let reason = format!("indexes nest deeper than {}", limits::INDEX_DEPTH);
                    return Err(ImageError::Unsound { digest, reason });
                }
                Content::Index(children) => children,
            };
            let (apart, children): (Vec<Child>, Vec<Child>) = children.into_iter().partition(|child| child.attestation);
            attestations.extend(apart);
            let named = self.children.fetch_add(children.len(), Ordering::Relaxed) + children.len();
            if named > limits::INDEX_CHILDREN {
                let reason = format!("it has more than {} children", limits::INDEX_CHILDREN);
                return Err(ImageError::Unsound { digest, reason });
            }
            self.room.holds(&digest, &children)?;
            let read: Vec<(Child, Read)> = stream::iter(children)
                .map(|child| async move {
                    let manifest = read_child(self.registry, self.repository, &child, &self.room).await?;
                    let read = self.read(&manifest, Content::parse(&manifest)?).await?;
                    Ok::<_, ImageError>((child, read))
                })
                .buffered(CHILDREN_AT_ONCE)
                .try_collect()
                .await?;
            for (child, read) in read {
                let Child { digest, media_type, platform: claimed, annotations, .. } = child;
                let origin = Origin { digest, media_type, claimed, annotations };
                self.gather(origin, read, level + 1, platforms, attestations).await?;
            }
            Ok(())
        })
    }

    /// What else the depth asks for, of a manifest that was parsed.
    async fn read(&self, manifest: &Manifest, content: Content) -> Result<Read, ImageError> {
        let details = match &content {
            Content::Image(image) if self.depth >= Depth::Details => {
                Some((self.config(image).await?, Claims::parse(manifest)?.annotations))
            }
            _ => None,
        };
        Ok(Read { content, details })
    }

    async fn config(&self, manifest: &ImageManifest) -> Result<Config, ImageError> {
        read_config(self.registry, self.repository, manifest, &self.room).await
    }
}

/// The platform of a config; what is put together without a base often has none in it.
fn told(config: &Config) -> Option<Platform> {
    config.platform.is_told().then(|| config.platform.clone())
}

/// A child of an index, of the size and media type that the index says.
pub async fn read_child(
    registry: &dyn Registry,
    repository: &Repository,
    child: &Child,
    room: &Room,
) -> Result<Manifest, ImageError> {
    room.take(&child.digest, child.size)?;
    let unsound = |reason: String| ImageError::Unsound { digest: child.digest.clone(), reason };
    let named = registry.name(repository, Target::Digest(&child.digest), Want::Content).await?;
    let manifest = named.manifest.ok_or_else(|| unsound("the registry named it but gave no content".to_owned()))?;
    if !child.digest.fits(manifest.bytes()) {
        return Err(unsound("its bytes do not hash to it".to_owned()));
    }
    if manifest.bytes().len() as u64 != child.size {
        return Err(unsound(format!("{} bytes long, the index says {}", manifest.bytes().len(), child.size)));
    }
    if manifest.media_type() != child.media_type {
        return Err(unsound(format!("served as {}, the index says {}", manifest.media_type(), child.media_type)));
    }
    Ok(manifest)
}

/// The config of a manifest, of the size that the manifest says.
pub async fn read_config(
    registry: &dyn Registry,
    repository: &Repository,
    manifest: &ImageManifest,
    room: &Room,
) -> Result<Config, ImageError> {
    let digest = &manifest.config.digest;
    room.take(digest, manifest.config.size)?;
    let unsound = |reason: String| ImageError::Unsound { digest: digest.clone(), reason };
    let bytes = registry.blob(repository, digest, limits::CONFIG_BYTES).await?;
    if !digest.fits(&bytes) {
        return Err(unsound("its bytes do not hash to it".to_owned()));
    }
    if bytes.len() as u64 != manifest.config.size {
        return Err(unsound(format!("{} bytes long, the manifest says {}", bytes.len(), manifest.config.size)));
    }
    Config::parse(digest, &bytes)
}
