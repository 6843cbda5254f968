//! References to digests and facts: each distinct question is asked once a run, many at a time.
//! What it answers never changes in a run, so a tag that moves in between changes nothing.
//!
//! Each repository goes its way from names to images to children without waiting for another one; hosts run side by
//! side, and how many requests are under way at once is the registry's business, not this file's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, StreamExt};
use tokio::sync::Semaphore;

use crate::digest::Digest;
use crate::image::{self, Content, Depth, Image, ImageError};
use crate::limits;
use crate::reference::{Reference, Repository};
use crate::registry::{KnownBy, Manifest, Named, Registry, RegistryError, Target, Want};

/// A digest and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest.
    pub digest: Digest,
    /// By bytes or by header.
    pub known_by: KnownBy,
    /// Media type, where content was read.
    pub media_type: Option<String>,
}

/// What a rule has to know before it can say anything; the gate sends only the requests that some rule needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The digest that the reference names.
    pub digest: bool,
    /// What the tag names now, also where a digest stands beside it.
    pub tag: bool,
    /// The image's content.
    pub content: Option<Depth>,
}

impl Needs {
    /// Needs nothing from a registry.
    pub const NOTHING: Self = Self { digest: false, tag: false, content: None };

    /// What either of the two needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            digest: self.digest || other.digest,
            tag: self.tag || other.tag,
            content: self.content.max(other.content),
        }
    }

    /// Whether it asks for nothing at all.
    pub fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }
}

/// What is to be known of references, collected before anything is asked.
#[derive(Debug, Default)]
pub struct Questions {
    repositories: BTreeMap<Repository, Asked>,
    more_follow: bool,
}

/// What is asked of one repository; a depth where content is wanted.
#[derive(Debug, Default)]
struct Asked {
    tags: BTreeMap<String, TagAsked>,
    digests: BTreeMap<Digest, Option<Depth>>,
}

#[derive(Debug, Default)]
struct TagAsked {
    depth: Option<Depth>,
    /// The digests that stand beside it, where what it names now is asked for too.
    pinned: BTreeSet<Digest>,
}

impl Questions {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks what `reference` names, and what `needs` says beyond that.
    pub fn ask(&mut self, reference: &Reference, needs: Needs) {
        if !self.repositories.contains_key(reference.repository()) {
            self.repositories.insert(reference.repository().clone(), Asked::default());
        }
        let asked = self.repositories.get_mut(reference.repository()).expect("it was put there above");
        match (reference.digest(), reference.tag()) {
            (Some(digest), tag) => {
                let depth = asked.digests.entry(digest.clone()).or_default();
                *depth = (*depth).max(needs.content);
                if let (true, Some(tag)) = (needs.tag, tag) {
                    asked.tags.entry(tag.to_owned()).or_default().pinned.insert(digest.clone());
                }
            }
            (None, tag) => {
                let tag = tag.unwrap_or(crate::reference::LATEST).to_owned();
                let tag = asked.tags.entry(tag).or_default();
                tag.depth = tag.depth.max(needs.content);
            }
        }
    }

    /// Says that more will be asked of the same repositories, so that what was read of them is kept.
    #[must_use]
    pub fn more_follow(self, more_follow: bool) -> Self {
        Self { more_follow, ..self }
    }

    /// How many distinct names are asked for.
    pub fn len(&self) -> usize {
        self.repositories.values().map(|asked| asked.tags.len() + asked.digests.len()).sum()
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.repositories.is_empty()
    }
}

/// All that was answered.
#[derive(Debug, Default)]
pub struct Answers {
    repositories: BTreeMap<Repository, Answered>,
}

/// What was answered of one repository.
#[derive(Debug, Default)]
struct Answered {
    tags: BTreeMap<String, Result<Resolved, RegistryError>>,
    digests: BTreeMap<Digest, Result<Resolved, RegistryError>>,
    images: BTreeMap<Digest, Result<Image, ImageError>>,
    /// For a pinned reference whose tag names an index: the index's children.
    children: BTreeMap<Digest, Result<Vec<Digest>, ImageError>>,
}

impl Answers {
    /// What `reference` names: its digest's existence where it has one, else what its tag names. `None`: not asked.
    pub fn named(&self, reference: &Reference) -> Option<Result<&Resolved, &RegistryError>> {
        match reference.digest() {
            Some(digest) => self.of(reference.repository())?.digests.get(digest).map(Result::as_ref),
            None => self.tag(reference),
        }
    }

    /// What the tag of `reference` names now. `None`: not asked, or no tag.
    pub fn tag(&self, reference: &Reference) -> Option<Result<&Resolved, &RegistryError>> {
        self.of(reference.repository())?.tags.get(reference.tag()?).map(Result::as_ref)
    }

    /// The image of a digest. `None`: not asked.
    pub fn image(&self, repository: &Repository, digest: &Digest) -> Option<Result<&Image, &ImageError>> {
        self.of(repository)?.images.get(digest).map(Result::as_ref)
    }

    /// The children of the index that a moved tag names. `None`: not asked.
    pub fn children(&self, repository: &Repository, index: &Digest) -> Option<Result<&[Digest], &ImageError>> {
        self.of(repository)?.children.get(index).map(|found| found.as_deref())
    }

    fn of(&self, repository: &Repository) -> Option<&Answered> {
        self.repositories.get(repository)
    }
}

/// Asks `registry` all of `questions`; `progress` is told how many have been answered.
///
/// `jobs` is how many requests the registry sends at once: no host has fewer names under way than that.
pub async fn resolve(
    registry: &dyn Registry,
    questions: &Questions,
    jobs: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Answers {
    let done = AtomicUsize::new(0);
    let counted = || progress(done.fetch_add(1, Ordering::Relaxed) + 1);
    let mut hosts: BTreeMap<&str, Vec<(&Repository, &Asked)>> = BTreeMap::new();
    for (repository, asked) in &questions.repositories {
        hosts.entry(repository.host()).or_default().push((repository, asked));
    }
    let lanes = (limits::NAMES_AT_ONCE / hosts.len().max(1)).max(jobs).max(1);
    let count = hosts.len().max(1);
    let counted = &counted;
    let hosts = hosts.into_values().map(|repositories| async move {
        let free = Semaphore::new(lanes);
        let free = &free;
        let each = repositories.into_iter().map(|(repository, asked)| async move {
            let facts = Mutex::default();
            let asking = Asking { registry, repository, asked, free, lanes, facts: &facts, counted };
            asking.all().await;
            if !questions.more_follow {
                registry.done_with(repository);
            }
            let facts: Facts = facts.into_inner().unwrap_or_else(PoisonError::into_inner);
            (repository.clone(), facts.answered)
        });
        stream::iter(each).buffer_unordered(lanes).collect::<Vec<_>>().await
    });
    let answered: Vec<Vec<_>> = stream::iter(hosts).buffer_unordered(count).collect().await;
    Answers { repositories: answered.into_iter().flatten().collect() }
}

/// What is known of one repository so far.
#[derive(Default)]
struct Facts {
    answered: Answered,
    /// Content that a tag brought and that is asked for by digest too.
    manifests: BTreeMap<Digest, Manifest>,
    /// Images that somebody reads or has read, each with the greatest depth.
    reading: BTreeMap<Digest, Depth>,
}

/// The questions to one repository.
#[derive(Clone, Copy)]
struct Asking<'a> {
    registry: &'a dyn Registry,
    repository: &'a Repository,
    asked: &'a Asked,
    /// Names that may be under way at its host.
    free: &'a Semaphore,
    lanes: usize,
    facts: &'a Mutex<Facts>,
    counted: &'a (dyn Fn() + Sync),
}

impl Asking<'_> {
    /// Tags first: what one of them names or brings need not be asked for by digest again.
    async fn all(self) {
        let tags = self.asked.tags.iter().map(|(tag, asked)| async move {
            let _lane = self.free.acquire().await;
            self.tag(tag, asked).await;
        });
        stream::iter(tags).buffer_unordered(self.lanes).collect::<()>().await;
        let tags = self.facts().answered.tags.values().flatten().map(|found| found.digest.clone()).collect();
        let named: &BTreeSet<Digest> = &tags;
        let digests = self.asked.digests.iter().map(|(digest, depth)| async move {
            let _lane = self.free.acquire().await;
            self.digest(digest, *depth, named.contains(digest)).await;
        });
        stream::iter(digests).buffer_unordered(self.lanes).collect::<()>().await;
    }

    async fn tag(&self, tag: &str, asked: &TagAsked) {
        let named = self.registry.name(self.repository, Target::Tag(tag), want(asked.depth)).await.and_then(sound);
        (self.counted)();
        let (resolved, manifest) = match named {
            Ok(named) => split(named),
            Err(error) => {
                self.facts().answered.tags.insert(tag.to_owned(), Err(error));
                return;
            }
        };
        let digest = resolved.digest.clone();
        {
            let mut facts = self.facts();
            facts.answered.tags.insert(tag.to_owned(), Ok(resolved));
            if let Some(manifest) = manifest.as_ref().filter(|_| self.asked.digests.contains_key(&digest)) {
                facts.manifests.insert(digest.clone(), manifest.clone());
            }
        }
        if asked.pinned.iter().any(|pinned| *pinned != digest) {
            self.children(&digest, manifest.as_ref()).await;
        }
        if let Some(depth) = asked.depth {
            self.image(&digest, manifest, depth).await;
        }
    }

    async fn digest(&self, digest: &Digest, depth: Option<Depth>, named: bool) {
        let read = self.facts().manifests.remove(digest);
        let (resolved, manifest) = match read {
            Some(manifest) => {
                let media_type = Some(manifest.media_type().to_owned());
                (Ok(Resolved { digest: digest.clone(), known_by: KnownBy::Bytes, media_type }), Some(manifest))
            }
            // The registry has just said that a tag names it: its word by digest would be no better.
            None if named && depth.is_none() => {
                let known_by = KnownBy::Header;
                (Ok(Resolved { digest: digest.clone(), known_by, media_type: None }), None)
            }
            None => {
                let named = self.registry.name(self.repository, Target::Digest(digest), want(depth)).await;
                match named.and_then(|named| same_digest(named, digest)).and_then(sound).map(split) {
                    Ok((resolved, manifest)) => (Ok(resolved), manifest),
                    Err(error) => (Err(error), None),
                }
            }
        };
        (self.counted)();
        let known = resolved.is_ok();
        self.facts().answered.digests.insert(digest.clone(), resolved);
        if let (Some(depth), true) = (depth, known) {
            self.image(digest, manifest, depth).await;
        }
    }

    /// Reads the image, unless somebody does who reads as deep; the deepest reading is the one that counts.
    async fn image(&self, digest: &Digest, manifest: Option<Manifest>, depth: Depth) {
        {
            let mut facts = self.facts();
            if facts.reading.get(digest).is_some_and(|other| *other >= depth) {
                return;
            }
            facts.reading.insert(digest.clone(), depth);
        }
        let image = match manifest {
            Some(manifest) => image::load(self.registry, self.repository, &manifest, depth).await,
            None => Err(ImageError::Unsound {
                digest: digest.clone(),
                reason: "the registry named it but gave no content".to_owned(),
            }),
        };
        let mut facts = self.facts();
        if facts.reading.get(digest) == Some(&depth) {
            facts.answered.images.insert(digest.clone(), image);
        }
    }

    /// For a pinned reference whose tag names another digest now: is that an index that holds the pinned one?
    async fn children(&self, digest: &Digest, manifest: Option<&Manifest>) {
        if self.facts().answered.children.contains_key(digest) {
            return;
        }
        let content = match manifest {
            Some(manifest) => Content::parse(manifest),
            None => fetched(self.registry, self.repository, digest).await,
        };
        let children = content.map(|content| match content {
            Content::Image(_) => Vec::new(),
            Content::Index(children) => children.into_iter().map(|child| child.digest).collect(),
        });
        self.facts().answered.children.entry(digest.clone()).or_insert(children);
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn want(depth: Option<Depth>) -> Want {
    if depth.is_some() { Want::Content } else { Want::Digest }
}

fn split(named: Named) -> (Resolved, Option<Manifest>) {
    let media_type = named.manifest.as_ref().map(|manifest| manifest.media_type().to_owned());
    (Resolved { digest: named.digest, known_by: named.known_by, media_type }, named.manifest)
}

fn same_digest(named: Named, asked: &Digest) -> Result<Named, RegistryError> {
    if named.digest == *asked {
        return Ok(named);
    }
    Err(RegistryError::WrongBytes { place: "the registry".to_owned(), expected: asked.clone(), found: named.digest })
}

/// A digest that is said to be known by bytes is the digest of bytes that came with it.
fn sound(named: Named) -> Result<Named, RegistryError> {
    match &named.manifest {
        Some(manifest) => same_digest(named.clone(), manifest.digest()),
        None => Ok(named),
    }
}

async fn fetched(registry: &dyn Registry, repository: &Repository, digest: &Digest) -> Result<Content, ImageError> {
    let named = registry.name(repository, Target::Digest(digest), Want::Content).await?;
    let manifest = named.manifest.filter(|manifest| digest.fits(manifest.bytes())).ok_or_else(|| {
        ImageError::Unsound { digest: digest.clone(), reason: "its bytes do not hash to it".to_owned() }
    })?;
    Content::parse(&manifest)
}
