//! References to digests and facts: each distinct question is asked once a run, many at a time.
//! What it answers never changes in a run, so a tag that moves in between changes nothing.
//!
//! Each repository goes its way from names to images to children without waiting for another one; hosts run side by
//! side, and how many requests are under way at once is the registry's business, not this file's.
//!
//! Longer than most files: questions, answers and the way between them are one idea, and share their shapes.

use std::borrow::Borrow;
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
    /// The image that it is built on; asked for once the content is known.
    pub base: bool,
}

impl Needs {
    /// Needs nothing from a registry.
    pub const NOTHING: Self = Self { digest: false, tag: false, content: None, base: false };

    /// What either of the two needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            digest: self.digest || other.digest,
            tag: self.tag || other.tag,
            content: self.content.max(other.content),
            base: self.base || other.base,
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
    tags: Few<String, TagAsked>,
    digests: Few<Digest, Option<Depth>>,
}

#[derive(Debug, Default)]
struct TagAsked {
    depth: Option<Depth>,
    /// The digests that stand beside it, where what it names now is asked for too.
    pinned: Vec<Digest>,
}

/// A map in one piece of memory, in the order of its keys: most repositories are asked one question, and a tree for
/// each of ten thousand would hold little but room for more.
#[derive(Debug)]
struct Few<K, V>(Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.0.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    /// The value of `key`, made where there is none.
    fn of(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = match self.0.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => at,
            Err(at) => {
                self.0.reserve_exact(usize::from(self.0.is_empty()));
                self.0.insert(at, (key, V::default()));
                at
            }
        };
        &mut self.0[at].1
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Few<K, V> {
    /// From what is in the order of its keys.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(sorted: I) -> Self {
        Self(sorted.into_iter().collect::<Vec<_>>().into_boxed_slice().into_vec())
    }
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
                let depth = asked.digests.of(digest.clone());
                *depth = (*depth).max(needs.content);
                if let (true, Some(tag)) = (needs.tag, tag) {
                    let pinned = &mut asked.tags.of(tag.to_owned()).pinned;
                    if !pinned.contains(digest) {
                        pinned.push(digest.clone());
                    }
                }
            }
            (None, tag) => {
                let tag = tag.unwrap_or(crate::reference::LATEST).to_owned();
                let tag = asked.tags.of(tag);
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
        self.repositories.values().map(|asked| asked.tags.0.len() + asked.digests.0.len()).sum()
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
#[derive(Debug)]
struct Answered {
    tags: Few<String, Result<Resolved, RegistryError>>,
    digests: Few<Digest, Result<Resolved, RegistryError>>,
    images: Few<Digest, Result<Image, ImageError>>,
    /// For a pinned reference whose tag names an index: the index's children.
    children: Few<Digest, Result<Vec<Digest>, ImageError>>,
}

impl Answers {
    /// What `reference` names: its digest's existence where it has one, else what its tag names. `None`: not asked.
    pub fn named(&self, reference: &Reference) -> Option<Result<&Resolved, &RegistryError>> {
        match reference.digest() {
            Some(digest) => self.of(reference.repository())?.digests.find(digest).map(Result::as_ref),
            None => self.tag(reference),
        }
    }

    /// What the tag of `reference` names now. `None`: not asked, or no tag.
    pub fn tag(&self, reference: &Reference) -> Option<Result<&Resolved, &RegistryError>> {
        self.tag_of(reference.repository(), reference.tag()?)
    }

    /// What a tag names now. `None`: not asked.
    pub fn tag_of(&self, repository: &Repository, tag: &str) -> Option<Result<&Resolved, &RegistryError>> {
        self.of(repository)?.tags.find(tag).map(Result::as_ref)
    }

    /// The image of a digest. `None`: not asked.
    pub fn image(&self, repository: &Repository, digest: &Digest) -> Option<Result<&Image, &ImageError>> {
        self.of(repository)?.images.find(digest).map(Result::as_ref)
    }

    /// The children of the index that a moved tag names. `None`: not asked.
    pub fn children(&self, repository: &Repository, index: &Digest) -> Option<Result<&[Digest], &ImageError>> {
        self.of(repository)?.children.find(index).map(|found| found.as_deref())
    }

    /// Adds what was answered of other repositories.
    pub fn extend(&mut self, other: Self) {
        self.repositories.extend(other.repositories);
    }

    /// What names came to, without any content.
    #[must_use]
    pub fn names_only(mut self) -> Self {
        for answered in self.repositories.values_mut() {
            answered.images = Few::default();
            answered.children = Few::default();
        }
        self
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
    let mut all = Answers::default();
    each(registry, questions, jobs, progress, &mut |_, answers| all.extend(answers)).await;
    all
}

/// As [`resolve`], but hands over the answers of each repository when they are complete, in whatever order that is,
/// so that nobody has to hold them all.
pub async fn each(
    registry: &dyn Registry,
    questions: &Questions,
    jobs: usize,
    progress: &(dyn Fn(usize) + Sync),
    hand_over: &mut (dyn FnMut(&Repository, Answers) + Send),
) {
    let done = AtomicUsize::new(0);
    let counted = || progress(done.fetch_add(1, Ordering::Relaxed) + 1);
    let mut hosts: BTreeMap<&str, Vec<(&Repository, &Asked)>> = BTreeMap::new();
    for (repository, asked) in &questions.repositories {
        hosts.entry(repository.host()).or_default().push((repository, asked));
    }
    let lanes = (limits::NAMES_AT_ONCE / hosts.len().max(1)).max(jobs).max(1);
    let free: Vec<Semaphore> = hosts.iter().map(|_| Semaphore::new(lanes)).collect();
    let counted = &counted;
    let hosts = hosts.into_values().zip(&free).map(|(repositories, free)| {
        let repositories = repositories.into_iter().map(move |(repository, asked)| async move {
            let facts = Mutex::default();
            let asking = Asking { registry, repository, asked, free, lanes, facts: &facts, counted };
            asking.all().await;
            if !questions.more_follow {
                registry.done_with(repository);
            }
            let facts: Facts = facts.into_inner().unwrap_or_else(PoisonError::into_inner);
            (repository, facts.answered())
        });
        stream::iter(repositories).buffer_unordered(lanes).boxed()
    });
    let mut answered = stream::select_all(hosts);
    while let Some((repository, answered)) = answered.next().await {
        hand_over(repository, Answers { repositories: BTreeMap::from([(repository.clone(), answered)]) });
    }
}

/// What is known of one repository so far.
#[derive(Default)]
struct Facts {
    tags: BTreeMap<String, Result<Resolved, RegistryError>>,
    digests: BTreeMap<Digest, Result<Resolved, RegistryError>>,
    images: BTreeMap<Digest, Result<Image, ImageError>>,
    children: BTreeMap<Digest, Result<Vec<Digest>, ImageError>>,
    /// Content that a tag brought and that is asked for by digest too.
    manifests: BTreeMap<Digest, Manifest>,
    /// Images that somebody reads or has read, each with the greatest depth.
    reading: BTreeMap<Digest, Depth>,
}

impl Facts {
    fn answered(self) -> Answered {
        Answered {
            tags: self.tags.into_iter().collect(),
            digests: self.digests.into_iter().collect(),
            images: self.images.into_iter().collect(),
            children: self.children.into_iter().collect(),
        }
    }
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
        // By number, because a closure over references makes a future that can't move between threads.
        let tags = (0..self.asked.tags.0.len()).map(|at| async move {
            let (tag, asked) = &self.asked.tags.0[at];
            let _lane = self.free.acquire().await;
            self.tag(tag, asked).await;
        });
        stream::iter(tags).buffer_unordered(self.lanes).collect::<()>().await;
        let tags = self.facts().tags.values().flatten().map(|found| found.digest.clone()).collect();
        let named: &BTreeSet<Digest> = &tags;
        let digests = (0..self.asked.digests.0.len()).map(|at| async move {
            let (digest, depth) = &self.asked.digests.0[at];
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
                self.facts().tags.insert(tag.to_owned(), Err(error));
                return;
            }
        };
        let digest = resolved.digest.clone();
        {
            let mut facts = self.facts();
            facts.tags.insert(tag.to_owned(), Ok(resolved));
            if let Some(manifest) = manifest.as_ref().filter(|_| self.asked.digests.find(&digest).is_some()) {
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
        self.facts().digests.insert(digest.clone(), resolved);
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
            facts.images.insert(digest.clone(), image);
        }
    }

    /// For a pinned reference whose tag names another digest now: is that an index that holds the pinned one?
    async fn children(&self, digest: &Digest, manifest: Option<&Manifest>) {
        if self.facts().children.contains_key(digest) {
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
        self.facts().children.entry(digest.clone()).or_insert(children);
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
