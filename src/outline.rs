//! What a name comes to: its digest, and where content is wanted its platforms. Digests and platforms are all that
//! `resolve` needs, and where `inspect` begins.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::digest::Digest;
use crate::image::{self, Child, Content, ImageError, ImageManifest, Platform, Room};
use crate::limits;
use crate::reference::{LATEST, Reference, Repository};
use crate::registry::{KnownBy, Manifest, Named, Registry, RegistryError, Target, Want};

/// Media types of the config of an image that runs; what has another is an artifact.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What a name comes to, without a look at the platforms' own content.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Digest of the index or manifest; of a platform's manifest, where one was asked for.
    pub digest: Digest,
    /// How it is known.
    pub known_by: KnownBy,
    /// Where content was read.
    pub content: Option<Described>,
}

/// What content says that was read for an [`Outline`].
#[derive(Clone, Debug)]
pub struct Described {
    /// Media type of what the digest names.
    pub media_type: String,
    /// Its platforms; `None` stands for one that nobody names.
    pub platforms: Vec<Option<Platform>>,
}

/// Why a name came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutlineError {
    /// The registry, or content that is not sound.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image is there, without this platform.
    #[error("it has no {wanted}; it has {has}")]
    NoPlatform {
        /// Those that were asked for.
        wanted: String,
        /// Those that it has.
        has: String,
    },
    /// Several platforms are what was asked for.
    #[error("{wanted} fits {count} platforms of it: {has}")]
    SeveralPlatforms {
        /// What was asked for.
        wanted: Platform,
        /// How many fit.
        count: usize,
        /// Those that it has.
        has: String,
    },
}

impl From<RegistryError> for OutlineError {
    fn from(error: RegistryError) -> Self {
        Self::Image(error.into())
    }
}

impl OutlineError {
    /// The registry's error, where it was one.
    pub fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::Image(ImageError::Registry(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether it is an answer: no such image, or none for the platform.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoPlatform { .. }) || matches!(self.registry(), Some(RegistryError::NotFound { .. }))
    }
}

/// What `reference` names: its digest alone by one HEAD, or its platforms too. With `platform`, the one child for it.
pub async fn outline(
    registry: &dyn Registry,
    reference: &Reference,
    want: Want,
    platform: Option<&Platform>,
) -> Result<Outline, OutlineError> {
    let repository = reference.repository();
    if (want, platform) == (Want::Digest, None) {
        let Named { digest, known_by, .. } = named(registry, reference, Want::Digest).await?;
        return Ok(Outline { digest, known_by, content: None });
    }
    let top = content(registry, reference).await?;
    let found = children(registry, repository, &top).await?;
    let Some(wanted) = platform else {
        let platforms = found.into_iter().map(|found| found.platform).collect();
        let content = Described { media_type: top.media_type().to_owned(), platforms };
        return Ok(Outline { digest: top.digest().clone(), known_by: KnownBy::Bytes, content: Some(content) });
    };
    let has = named_platforms(&found);
    let mut fitting: Vec<Found> = found.into_iter().filter(|found| fits(found, wanted)).collect();
    let found = match (fitting.pop(), fitting.len()) {
        (None, _) => return Err(OutlineError::NoPlatform { wanted: wanted.to_string(), has }),
        (Some(found), 0) => found,
        (Some(_), more) => return Err(OutlineError::SeveralPlatforms { wanted: wanted.clone(), count: more + 1, has }),
    };
    // The index names it; only its bytes show that it is there.
    let manifest = match found.child {
        Some(child) => image::read_child(registry, repository, &child, &Room::default()).await?,
        None => top,
    };
    Content::parse(&manifest)?;
    let content = Described { media_type: manifest.media_type().to_owned(), platforms: vec![found.platform] };
    Ok(Outline { digest: manifest.digest().clone(), known_by: KnownBy::Bytes, content: Some(content) })
}

/// One manifest of an image, before its own content is read.
pub(crate) struct Found {
    pub(crate) platform: Option<Platform>,
    /// `None` for the image itself, where there is no index.
    pub(crate) child: Option<Child>,
}

pub(crate) fn fits(found: &Found, wanted: &Platform) -> bool {
    found.platform.as_ref().is_some_and(|platform| platform.is(wanted))
}

pub(crate) fn named_platforms(found: &[Found]) -> String {
    let known: Vec<String> = found.iter().filter_map(|found| Some(found.platform.as_ref()?.to_string())).collect();
    if known.is_empty() { "none that is known".to_owned() } else { known.join(", ") }
}

/// The manifests of an image, those of nested indexes too, attestations left out.
async fn children(registry: &dyn Registry, repository: &Repository, top: &Manifest) -> Result<Vec<Found>, ImageError> {
    let room = Room::default();
    match Content::parse(top)? {
        Content::Image(manifest) => {
            let platform = platform_of(registry, repository, &manifest, &room).await?;
            Ok(vec![Found { platform, child: None }])
        }
        Content::Index(children) => {
            let (_, images) = leaves(registry, repository, top.digest(), children, &room).await?;
            settled(registry, repository, images, &room).await
        }
    }
}

/// The platform by the config's word; `None` for an artifact.
async fn platform_of(
    registry: &dyn Registry,
    repository: &Repository,
    manifest: &ImageManifest,
    room: &Room,
) -> Result<Option<Platform>, ImageError> {
    if !is_config(manifest) {
        return Ok(None);
    }
    Ok(Some(image::read_config(registry, repository, manifest, room).await?.platform))
}

/// The platform of each, by its config where the index does not say.
pub(crate) async fn settled(
    registry: &dyn Registry,
    repository: &Repository,
    images: Vec<Child>,
    room: &Room,
) -> Result<Vec<Found>, ImageError> {
    let mut found = Vec::with_capacity(images.len());
    for child in images {
        let mut platform = child.platform.clone();
        if platform.is_none() {
            let manifest = image::read_child(registry, repository, &child, room).await?;
            if let Content::Image(manifest) = Content::parse(&manifest)? {
                platform = platform_of(registry, repository, &manifest, room).await?;
            }
        }
        found.push(Found { platform, child: Some(child) });
    }
    Ok(found)
}

/// The attestations and the images below an index.
pub(crate) type Leaves = (Vec<Child>, Vec<Child>);

/// An index in an index. What stands below it are those leaves, by their places in the order of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// How many indexes it stands in, below the top.
    pub level: usize,
    /// The images below it.
    pub images: Range<usize>,
    /// The attestations below it.
    pub attestations: Range<usize>,
}

/// Follows the indexes in the index `top`, as deep and as many as `limits` allow.
pub(crate) async fn leaves(
    registry: &dyn Registry,
    repository: &Repository,
    top: &Digest,
    children: Vec<Child>,
    room: &Room,
) -> Result<Leaves, ImageError> {
    Ok(tree(registry, repository, top, children, room).await?.leaves)
}

/// What is below an index.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) leaves: Leaves,
    /// In the order in which they stand, each before what is in it.
    pub(crate) nested: Vec<Nested>,
}

/// The [`leaves`], and the indexes that they stand in.
pub(crate) async fn tree(
    registry: &dyn Registry,
    repository: &Repository,
    top: &Digest,
    children: Vec<Child>,
    room: &Room,
) -> Result<Tree, ImageError> {
    let following = Following { registry, repository, top, room, named: AtomicUsize::new(0) };
    let mut tree = Tree::default();
    following.down(children, 0, &mut tree).await?;
    Ok(tree)
}

struct Following<'a> {
    registry: &'a dyn Registry,
    repository: &'a Repository,
    top: &'a Digest,
    room: &'a Room,
    /// Children of every kind named so far: indexes of empty indexes must not multiply, either.
    named: AtomicUsize,
}

impl Following<'_> {
    fn down<'b>(
        &'b self,
        children: Vec<Child>,
        level: usize,
        tree: &'b mut Tree,
    ) -> BoxFuture<'b, Result<(), ImageError>> {
        async move {
            if self.named.fetch_add(children.len(), Ordering::Relaxed) + children.len() > limits::INDEX_CHILDREN {
                let reason = format!("it names more than {} children", limits::INDEX_CHILDREN);
                return Err(ImageError::Unsound { digest: self.top.clone(), reason });
            }
            for child in children {
                if child.attestation {
                    tree.leaves.0.push(child);
                } else if !child.media_type.contains("index") && !child.media_type.contains("manifest.list") {
                    tree.leaves.1.push(child);
                } else {
                    self.below(child, level, &mut *tree).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }

    async fn below(&self, child: Child, level: usize, tree: &mut Tree) -> Result<(), ImageError> {
        let unsound = |reason| ImageError::Unsound { digest: child.digest.clone(), reason };
        if level + 1 >= limits::INDEX_DEPTH {
            return Err(unsound(format!("indexes nest deeper than {}", limits::INDEX_DEPTH)));
        }
        let manifest = image::read_child(self.registry, self.repository, &child, self.room).await?;
        let Content::Index(below) = Content::parse(&manifest)? else {
            return Err(unsound("an index that is none".to_owned()));
        };
        let (at, attestations, images) = (tree.nested.len(), tree.leaves.0.len(), tree.leaves.1.len());
        tree.nested.push(Nested {
            digest: child.digest,
            media_type: child.media_type,
            size: child.size,
            level,
            images: images..images,
            attestations: attestations..attestations,
        });
        self.down(below, level + 1, &mut *tree).await?;
        let nested = &mut tree.nested[at];
        (nested.attestations.end, nested.images.end) = (tree.leaves.0.len(), tree.leaves.1.len());
        Ok(())
    }
}

pub(crate) fn is_config(manifest: &ImageManifest) -> bool {
    CONFIGS.contains(&&*manifest.config.media_type)
}

async fn named(registry: &dyn Registry, reference: &Reference, want: Want) -> Result<Named, RegistryError> {
    let target = match reference.digest() {
        Some(digest) => Target::Digest(digest),
        None => Target::Tag(reference.tag().unwrap_or(LATEST)),
    };
    let named = registry.name(reference.repository(), target, want).await?;
    match reference.digest() {
        Some(asked) if *asked != named.digest => Err(RegistryError::WrongBytes {
            place: reference.repository().host().to_owned(),
            expected: asked.clone(),
            found: named.digest,
        }),
        _ => Ok(named),
    }
}

pub(crate) async fn content(registry: &dyn Registry, reference: &Reference) -> Result<Manifest, ImageError> {
    let named = named(registry, reference, Want::Content).await?;
    let reason = "the registry named it but gave no content of that digest".to_owned();
    let unsound = ImageError::Unsound { digest: named.digest.clone(), reason };
    named.manifest.filter(|manifest| *manifest.digest() == named.digest).ok_or(unsound)
}
