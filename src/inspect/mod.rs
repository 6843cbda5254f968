//! Gathers what can be known of one image: its platforms, their configs, and who refers to them.
//! What can't be read is kept as an error in its place; it neither hides the rest nor counts as absent.

mod unpack;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future;
use futures_util::stream;

use crate::bases::{self, Book, Candidate, Looking};
use crate::digest::Digest;
use crate::image::base::{Bases, Evidence};
use crate::image::{
    self, Child, Claims, Config, Content, Details, ImageError, ImageManifest, Platform, PlatformImage, Room,
};
use crate::limits;
pub use crate::outline::Nested;
use crate::outline::{Found, OutlineError, Tree, content, fits, is_config, named_platforms, settled, tree};
use crate::reference::{LATEST, Reference, Repository};
use crate::registry::{Manifest, Referrers, Registry, RegistryError};

pub use unpack::{Contents, Total};

/// What is asked of an image.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Only these platforms of it; empty means all.
    pub platforms: &'a [Platform],
    /// How many platforms and layers are read at once.
    pub jobs: usize,
    /// What it may be built on, to be compared with it.
    pub candidates: &'a [Reference],
    /// Whether its layers are read, to learn what they unpack to.
    pub unpack: bool,
}

/// All that is known of one image.
#[derive(Debug)]
pub struct Inspected {
    /// Digest of the index or manifest; its bytes were hashed.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is an index.
    pub index: bool,
    /// What it says of itself.
    pub claims: Claims,
    /// Attestation manifests of the index.
    pub attestations: Vec<Child>,
    /// The indexes in the index, in the order in which they stand, each before what is in it.
    pub nested: Vec<Nested>,
    /// Platforms that were not asked for.
    pub left_out: usize,
    /// Every platform, or those asked for, in the index's order.
    pub platforms: Vec<Inside>,
    /// Who refers to the digest. For an image without an index, these are its platform's.
    pub referrers: Result<Referrers, RegistryError>,
}

/// What one platform of an image is.
#[derive(Debug)]
pub struct Inside {
    /// Its place among all images of the index, those that were not asked for included.
    pub place: usize,
    /// The index's word, else the config's.
    pub platform: Option<Platform>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Length of its manifest in bytes.
    pub size: u64,
    /// Its manifest and config.
    pub content: Result<Opened, ImageError>,
    /// Who refers to it; `None` for an image without an index, where they stand with the image.
    pub referrers: Option<Result<Referrers, RegistryError>>,
    /// What it is built on; `None` for an artifact, and where its config could not be read.
    pub bases: Option<Bases>,
    /// Annotations of its entry in the index.
    entry: BTreeMap<String, String>,
}

impl Inside {
    /// As rules see it; `None` without a config.
    pub fn image(&self) -> Option<PlatformImage> {
        let opened = self.content.as_ref().ok()?;
        let config = opened.config.as_ref()?.as_ref().ok()?.clone();
        let (manifest, entry) = (opened.claims.annotations.clone(), self.entry.clone());
        Some(PlatformImage {
            platform: self.platform.clone(),
            digest: self.digest.clone(),
            media_type: self.media_type.clone(),
            manifest: opened.manifest.clone(),
            details: Some(Arc::new(Details { config, manifest, entry })),
        })
    }
}

/// The manifest of a platform with what it leads to.
#[derive(Debug)]
pub struct Opened {
    /// The manifest.
    pub manifest: ImageManifest,
    /// What it says of itself.
    pub claims: Claims,
    /// Its config; `None` for an artifact, whose config is not an image's.
    pub config: Option<Result<Config, ImageError>>,
    /// What its layers unpack to.
    pub contents: Contents,
}

impl Opened {
    /// The command that made each layer, base first; see [`Config::commands`].
    pub fn commands(&self) -> Vec<Option<String>> {
        let layers = self.manifest.layers.len();
        match &self.config {
            Some(Ok(config)) => config.commands(layers),
            _ => vec![None; layers],
        }
    }
}

impl Inspected {
    /// Whether everything that was asked for is known, and nothing that the image says of its bases or layers is not so.
    pub fn is_whole(&self) -> bool {
        let known = |inside: &Inside| {
            let whole = |opened: &Opened| !matches!(opened.config, Some(Err(_))) && opened.contents.is_whole();
            let content = inside.content.as_ref().is_ok_and(whole);
            let bases = inside.bases.as_ref();
            let bases = bases.is_none_or(|bases| bases.contradicted.is_empty() && bases.unread.is_empty());
            content && bases && !matches!(inside.referrers, Some(Err(_)))
        };
        self.referrers.is_ok() && self.platforms.iter().all(known)
    }

    /// Whether layers that were read are not what a config says.
    pub fn lies(&self) -> bool {
        let mut opened = self.platforms.iter().filter_map(|inside| inside.content.as_ref().ok());
        opened.any(|opened| !opened.contents.lies.is_empty())
    }

    /// Whether the layers contradict what the image says of its base.
    pub fn contradicts_its_base(&self) -> bool {
        let mut bases = self.platforms.iter().filter_map(|inside| inside.bases.as_ref());
        bases.any(|bases| !bases.contradicted.is_empty())
    }
}

/// Reads the image that `reference` names, as far as it is asked for.
pub async fn inspect(
    registry: &dyn Registry,
    reference: &Reference,
    asked: Asked<'_>,
) -> Result<Inspected, OutlineError> {
    let Asked { platforms, jobs, candidates, unpack } = asked;
    let repository = reference.repository();
    let top = content(registry, reference).await?;
    let claims = Claims::parse(&top)?;
    let room = Room::default();
    let (referrers, read) = future::join(
        registry.referrers(repository, top.digest(), None),
        insides(registry, repository, &top, platforms, jobs, &room),
    )
    .await;
    let Insides { index, attestations, nested, left_out, mut platforms } = read?;
    if unpack {
        unpack::unpack(registry, repository, &mut platforms, jobs).await;
    }
    let annotations = if index { claims.annotations.clone() } else { BTreeMap::new() };
    let own = |asked: &Repository, tag: &str| {
        let named = reference.digest().is_none() && asked == repository && reference.tag().unwrap_or(LATEST) == tag;
        named.then(|| Ok(top.digest().clone()))
    };
    let book = Book::new(registry, &own);
    let candidates: Vec<Candidate> =
        candidates.iter().map(|reference| Candidate { reference: reference.clone(), by: Evidence::Search }).collect();
    let may_ask = |base: &Reference| bases::near(repository, base.repository());
    let looking = Looking { candidates: &candidates, may_ask: &may_ask, thorough: true, platforms: &[] };
    let found = platforms.iter().map(|inside| {
        let (book, annotations, attestations) = (&book, &annotations, &attestations);
        async move {
            let image = inside.image()?;
            Some(book.of_platform(repository, annotations, attestations, &image, looking).await)
        }
    });
    let found: Vec<Option<Bases>> = stream::iter(found.collect::<Vec<_>>()).buffered(jobs.max(1)).collect().await;
    platforms.iter_mut().zip(found).for_each(|(inside, bases)| inside.bases = bases);
    Ok(Inspected {
        digest: top.digest().clone(),
        media_type: top.media_type().to_owned(),
        size: top.bytes().len() as u64,
        index,
        claims,
        attestations,
        nested,
        left_out,
        platforms,
        referrers,
    })
}

struct Insides {
    index: bool,
    attestations: Vec<Child>,
    nested: Vec<Nested>,
    left_out: usize,
    platforms: Vec<Inside>,
}

async fn insides(
    registry: &dyn Registry,
    repository: &Repository,
    top: &Manifest,
    wanted: &[Platform],
    jobs: usize,
    room: &Room,
) -> Result<Insides, OutlineError> {
    let children = match Content::parse(top)? {
        Content::Index(children) => children,
        Content::Image(_) => {
            let opened = open(registry, repository, top, room).await;
            let inside = Inside {
                place: 0,
                platform: configured(&opened),
                digest: top.digest().clone(),
                media_type: top.media_type().to_owned(),
                size: top.bytes().len() as u64,
                content: opened,
                referrers: None,
                bases: None,
                entry: BTreeMap::new(),
            };
            let lacks = |wanted: &Platform| !inside.platform.as_ref().is_some_and(|platform| platform.is(wanted));
            if !wanted.is_empty() && inside.platform.is_some() && wanted.iter().all(lacks) {
                let has = inside.platform.iter().map(ToString::to_string).collect();
                return Err(OutlineError::NoPlatform { wanted: listed(wanted.iter()), has });
            }
            let (attestations, nested, platforms) = (Vec::new(), Vec::new(), vec![inside]);
            return Ok(Insides { index: false, attestations, nested, left_out: 0, platforms });
        }
    };
    let Tree { leaves: (attestations, images), nested } =
        tree(registry, repository, top.digest(), children, room).await?;
    let found = match wanted {
        [] => images.into_iter().map(|child| Found { platform: child.platform.clone(), child: Some(child) }).collect(),
        // Nothing of what it reads is kept.
        _ => settled(registry, repository, images, &Room::default()).await?,
    };
    let lacking: Vec<&Platform> =
        wanted.iter().filter(|wanted| !found.iter().any(|found| fits(found, wanted))).collect();
    if !lacking.is_empty() {
        return Err(OutlineError::NoPlatform { wanted: listed(lacking.into_iter()), has: named_platforms(&found) });
    }
    let all = found.len();
    let chosen = |found: &Found| wanted.is_empty() || wanted.iter().any(|wanted| fits(found, wanted));
    let chosen = found.into_iter().enumerate().filter(|(_, found)| chosen(found));
    let chosen = chosen.filter_map(|(place, found)| Some((place, found.child?)));
    let reading = chosen.map(|(place, child)| inside(registry, repository, place, child, room));
    let platforms: Vec<Inside> = stream::iter(reading).buffered(jobs.max(1)).collect().await;
    Ok(Insides { index: true, attestations, nested, left_out: all - platforms.len(), platforms })
}

fn listed<'a>(platforms: impl Iterator<Item = &'a Platform>) -> String {
    platforms.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

async fn inside(registry: &dyn Registry, repository: &Repository, place: usize, child: Child, room: &Room) -> Inside {
    let content = async {
        let manifest = image::read_child(registry, repository, &child, room).await?;
        open(registry, repository, &manifest, room).await
    };
    let (content, referrers) = future::join(content, registry.referrers(repository, &child.digest, None)).await;
    let referrers = referrers.and_then(|list| match room.take(&child.digest, list.weight() as u64) {
        Ok(()) => Ok(list),
        Err(_) => Err(RegistryError::TooLarge { place: repository.host().to_owned(), limit: limits::IMAGE_BYTES }),
    });
    Inside {
        place,
        platform: child.platform.or_else(|| configured(&content)),
        digest: child.digest,
        media_type: child.media_type,
        size: child.size,
        content,
        referrers: Some(referrers),
        bases: None,
        entry: child.annotations,
    }
}

fn configured(content: &Result<Opened, ImageError>) -> Option<Platform> {
    let platform = &content.as_ref().ok()?.config.as_ref()?.as_ref().ok()?.platform;
    platform.is_told().then(|| platform.clone())
}

async fn open(
    registry: &dyn Registry,
    repository: &Repository,
    top: &Manifest,
    room: &Room,
) -> Result<Opened, ImageError> {
    let Content::Image(manifest) = Content::parse(top)? else {
        let reason = "an index where an image was named".to_owned();
        return Err(ImageError::Unsound { digest: top.digest().clone(), reason });
    };
    let config =
        if is_config(&manifest) { Some(image::read_config(registry, repository, &manifest, room).await) } else { None };
    let contents = Contents::stored(&manifest.layers);
    Ok(Opened { claims: Claims::parse(top)?, manifest, config, contents })
}
