//! References to digests and facts: each distinct question is asked once a run, many at a time.
//! What it answers never changes in a run, so a tag that moves in between changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt};

use crate::digest::Digest;
use crate::image::{self, Content, Depth, Image, ImageError};
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
    tags: BTreeMap<(Repository, String), Want>,
    digests: BTreeMap<(Repository, Digest), Want>,
    /// Content wanted of what a tag names, or of a digest.
    tag_images: BTreeMap<(Repository, String), Depth>,
    digest_images: BTreeMap<(Repository, Digest), Depth>,
    /// Pinned references whose tag is asked for too.
    pairs: BTreeSet<(Repository, String, Digest)>,
}

impl Questions {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks what `reference` names, and what `needs` says beyond that.
    pub fn ask(&mut self, reference: &Reference, needs: Needs) {
        let repository = reference.repository();
        let want = if needs.content.is_some() { Want::Content } else { Want::Digest };
        match (reference.digest(), reference.tag()) {
            (Some(digest), tag) => {
                raise(&mut self.digests, (repository.clone(), digest.clone()), want);
                if let Some(depth) = needs.content {
                    raise(&mut self.digest_images, (repository.clone(), digest.clone()), depth);
                }
                if let (true, Some(tag)) = (needs.tag, tag) {
                    raise(&mut self.tags, (repository.clone(), tag.to_owned()), Want::Digest);
                    self.pairs.insert((repository.clone(), tag.to_owned(), digest.clone()));
                }
            }
            (None, tag) => {
                let tag = tag.unwrap_or(crate::reference::LATEST).to_owned();
                raise(&mut self.tags, (repository.clone(), tag.clone()), want);
                if let Some(depth) = needs.content {
                    raise(&mut self.tag_images, (repository.clone(), tag), depth);
                }
            }
        }
    }

    /// How many distinct names are asked for.
    pub fn len(&self) -> usize {
        self.tags.len() + self.digests.len()
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }
}

/// Keeps the larger of what was asked before and now.
fn raise<K: Ord, V: Ord + Copy>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    let entry = map.entry(key).or_insert(value);
    *entry = (*entry).max(value);
}

type TagAnswers = BTreeMap<(Repository, String), Result<Resolved, RegistryError>>;
type DigestAnswers = BTreeMap<(Repository, Digest), Result<Resolved, RegistryError>>;

/// All that was answered.
#[derive(Debug, Default)]
pub struct Answers {
    tags: TagAnswers,
    digests: DigestAnswers,
    images: BTreeMap<(Repository, Digest), Result<Image, ImageError>>,
    /// For a pinned reference whose tag names an index: the index's children.
    children: BTreeMap<(Repository, Digest), Result<Vec<Digest>, ImageError>>,
}

impl Answers {
    /// What `reference` names: its digest's existence where it has one, else what its tag names. `None`: not asked.
    pub fn named(&self, reference: &Reference) -> Option<Result<&Resolved, &RegistryError>> {
        match reference.digest() {
            Some(digest) => self.digests.get(&(reference.repository().clone(), digest.clone())).map(Result::as_ref),
            None => self.tag(reference),
        }
    }

    /// What the tag of `reference` names now. `None`: not asked, or no tag.
    pub fn tag(&self, reference: &Reference) -> Option<Result<&Resolved, &RegistryError>> {
        self.tags.get(&(reference.repository().clone(), reference.tag()?.to_owned())).map(Result::as_ref)
    }

    /// The image of a digest. `None`: not asked.
    pub fn image(&self, repository: &Repository, digest: &Digest) -> Option<Result<&Image, &ImageError>> {
        self.images.get(&(repository.clone(), digest.clone())).map(Result::as_ref)
    }

    /// The children of the index that a moved tag names. `None`: not asked.
    pub fn children(&self, repository: &Repository, index: &Digest) -> Option<Result<&[Digest], &ImageError>> {
        self.children.get(&(repository.clone(), index.clone())).map(|found| found.as_deref())
    }
}

/// Asks `registry` all of `questions`, at most `jobs` at once; `progress` is told how many have been answered.
pub async fn resolve(
    registry: &dyn Registry,
    questions: &Questions,
    jobs: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Answers {
    let done = AtomicUsize::new(0);
    let counted = || progress(done.fetch_add(1, Ordering::Relaxed) + 1);
    let mut manifests = BTreeMap::new();

    let asked = questions.tags.iter().map(|(key, want)| {
        let counted = &counted;
        async move {
            let answer = registry.name(&key.0, Target::Tag(&key.1), *want).await;
            counted();
            (key.clone(), answer)
        }
    });
    let tags: TagAnswers =
        gathered(jobs, asked).await.into_iter().map(|(key, named)| keep(&mut manifests, key, named)).collect();

    let asked = questions.digests.iter().map(|(key, want)| {
        let (counted, read) = (&counted, manifests.contains_key(key));
        async move {
            let answer = if read { None } else { Some(registry.name(&key.0, Target::Digest(&key.1), *want).await) };
            counted();
            (key.clone(), answer)
        }
    });
    let asked = gathered(jobs, asked).await;
    let mut digests = DigestAnswers::new();
    for (key, answer) in asked {
        let resolved = match answer {
            Some(named) => {
                let named = named.and_then(|named| same_digest(named, &key.1));
                keep(&mut manifests, key.clone(), named).1
            }
            None => Ok(Resolved {
                digest: key.1.clone(),
                known_by: KnownBy::Bytes,
                media_type: manifests.get(&key).map(|manifest: &Manifest| manifest.media_type().to_owned()),
            }),
        };
        digests.insert(key, resolved);
    }

    let images = images(registry, questions, jobs, &tags, &digests, &manifests).await;
    let children = children(registry, questions, jobs, &tags, &manifests).await;
    Answers { tags, digests, images, children }
}

/// Runs all of `asked`, at most `jobs` at once.
async fn gathered<F: Future>(jobs: usize, asked: impl Iterator<Item = F>) -> Vec<F::Output> {
    stream::iter(asked).buffer_unordered(jobs.max(1)).collect().await
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

/// Puts content aside by digest and keeps the rest of the answer.
fn keep<N>(
    manifests: &mut BTreeMap<(Repository, Digest), Manifest>,
    key: (Repository, N),
    named: Result<Named, RegistryError>,
) -> ((Repository, N), Result<Resolved, RegistryError>) {
    let resolved = named.and_then(sound).map(|named| {
        let media_type = named.manifest.as_ref().map(|manifest| manifest.media_type().to_owned());
        if let Some(manifest) = named.manifest {
            manifests.insert((key.0.clone(), named.digest.clone()), manifest);
        }
        Resolved { digest: named.digest, known_by: named.known_by, media_type }
    });
    (key, resolved)
}

async fn images(
    registry: &dyn Registry,
    questions: &Questions,
    jobs: usize,
    tags: &TagAnswers,
    digests: &DigestAnswers,
    manifests: &BTreeMap<(Repository, Digest), Manifest>,
) -> BTreeMap<(Repository, Digest), Result<Image, ImageError>> {
    let mut wanted = BTreeMap::new();
    for (key, depth) in &questions.tag_images {
        if let Some(Ok(resolved)) = tags.get(key) {
            raise(&mut wanted, (key.0.clone(), resolved.digest.clone()), *depth);
        }
    }
    for (key, depth) in &questions.digest_images {
        if let Some(Ok(_)) = digests.get(key) {
            raise(&mut wanted, key.clone(), *depth);
        }
    }
    let asked = wanted.into_iter().map(|(key, depth)| async move {
        let image = match manifests.get(&key) {
            Some(manifest) => image::load(registry, &key.0, manifest, depth).await,
            None => Err(ImageError::Unsound {
                digest: key.1.clone(),
                reason: "the registry named it but gave no content".to_owned(),
            }),
        };
        (key, image)
    });
    gathered(jobs, asked).await.into_iter().collect()
}

/// For each pinned reference whose tag names another digest now: is it an index that holds the pinned one?
async fn children(
    registry: &dyn Registry,
    questions: &Questions,
    jobs: usize,
    tags: &TagAnswers,
    manifests: &BTreeMap<(Repository, Digest), Manifest>,
) -> BTreeMap<(Repository, Digest), Result<Vec<Digest>, ImageError>> {
    let moved: BTreeSet<(Repository, Digest)> = questions
        .pairs
        .iter()
        .filter_map(|(repository, tag, pinned)| match tags.get(&(repository.clone(), tag.clone())) {
            Some(Ok(resolved)) if resolved.digest != *pinned => Some((repository.clone(), resolved.digest.clone())),
            _ => None,
        })
        .collect();
    let asked = moved.into_iter().map(|key| async move {
        let content = match manifests.get(&key) {
            Some(manifest) => Content::parse(manifest),
            None => fetched(registry, &key.0, &key.1).await,
        };
        let children = content.map(|content| match content {
            Content::Image(_) => Vec::new(),
            Content::Index(children) => children.into_iter().map(|child| child.digest).collect(),
        });
        (key, children)
    });
    gathered(jobs, asked).await.into_iter().collect()
}

async fn fetched(registry: &dyn Registry, repository: &Repository, digest: &Digest) -> Result<Content, ImageError> {
    let named = registry.name(repository, Target::Digest(digest), Want::Content).await?;
    let manifest = named.manifest.filter(|manifest| digest.fits(manifest.bytes())).ok_or_else(|| {
        ImageError::Unsound { digest: digest.clone(), reason: "its bytes do not hash to it".to_owned() }
    })?;
    Content::parse(&manifest)
}
