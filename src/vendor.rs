//! What a check asked for, copied whole: manifests, all children of an index, configs and evidence, but no image's layers.
//! It notes what the gate asks and asks nothing twice; where the copies go is the caller's matter. What is more than
//! `limits` allow is not copied, and said to be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::digest::Digest;
use crate::image::{Content, ImageManifest, Layer};
use crate::limits;
use crate::outcome::Outcome;
use crate::reference::{LATEST, Repository};
use crate::registry::layout_writer::Descriptor;
use crate::registry::{Answer, Manifest, Named, Packed, Referrers, Registry, RegistryError, Target, Unpacked, Want};
use crate::source::Subject;

/// What a reference may ask a registry for; shown as a layout names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `docker.io/library/nginx:1.25`
    Tag(Repository, String),
    /// `docker.io/library/nginx@sha256:…`
    Digest(Repository, Digest),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(repository, tag) => write!(f, "{repository}:{tag}"),
            Self::Digest(repository, digest) => write!(f, "{repository}@{digest}"),
        }
    }
}

impl Name {
    fn repository(&self) -> &Repository {
        match self {
            Self::Tag(repository, _) | Self::Digest(repository, _) => repository,
        }
    }
}

/// A registry that notes what it is asked for, and reads the content of all of it.
pub struct Noting<'a> {
    registry: &'a dyn Registry,
    asked: Mutex<BTreeMap<Name, Result<Digest, RegistryError>>>,
    unpacked: Mutex<BTreeMap<(Repository, Digest), Layer>>,
}

impl<'a> Noting<'a> {
    /// Notes what `registry` is asked for.
    pub fn new(registry: &'a dyn Registry) -> Self {
        Self { registry, asked: Mutex::default(), unpacked: Mutex::default() }
    }

    /// The layers that were unpacked, with the repository of each.
    pub fn layers(&self) -> Vec<(Repository, Layer)> {
        let unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        unpacked.iter().map(|((repository, _), layer)| (repository.clone(), layer.clone())).collect()
    }

    /// The names that references of `outcome` go by and that were asked for, with what came of it.
    pub fn names(&self, outcome: &Outcome) -> BTreeMap<Name, Result<Digest, RegistryError>> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let references = outcome.references.iter().filter_map(|judged| match &judged.occurrence.subject {
            Subject::Image(reference) => Some(reference),
            Subject::Unresolvable { .. } | Subject::NotAnImage { .. } => None,
        });
        let named = references.chain(&outcome.bases).flat_map(|reference| {
            let repository = reference.repository();
            let tag = reference.tag().or_else(|| reference.digest().is_none().then_some(LATEST));
            let by_tag = tag.map(|tag| Name::Tag(repository.clone(), tag.to_owned()));
            let by_digest = reference.digest().map(|digest| Name::Digest(repository.clone(), digest.clone()));
            by_tag.into_iter().chain(by_digest)
        });
        named.filter_map(|name| asked.get(&name).cloned().map(|answer| (name, answer))).collect()
    }
}

impl Registry for Noting<'_> {
    fn name<'a>(&'a self, repository: &'a Repository, target: Target<'a>, _: Want) -> Answer<'a, Named> {
        Box::pin(async move {
            // The content is copied in any case, so one GET serves.
            let answer = self.registry.name(repository, target, Want::Content).await;
            let name = match target {
                Target::Tag(tag) => Name::Tag(repository.clone(), tag.to_owned()),
                Target::Digest(digest) => Name::Digest(repository.clone(), digest.clone()),
            };
            let digest = answer.as_ref().map(|named| named.digest.clone()).map_err(Clone::clone);
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(digest);
            answer
        })
    }

    fn blob<'a>(&'a self, repository: &'a Repository, digest: &'a Digest, limit: usize) -> Answer<'a, Bytes> {
        self.registry.blob(repository, digest, limit)
    }

    fn unpacked<'a>(&'a self, repository: &'a Repository, layer: Packed<'a>) -> Answer<'a, Unpacked> {
        let (digest, media_type) = (layer.digest.clone(), layer.media_type.to_owned().into());
        let noted = Layer { digest: digest.clone(), size: layer.size, media_type };
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        unpacked.insert((repository.clone(), digest), noted);
        drop(unpacked);
        self.registry.unpacked(repository, layer)
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
        kind: Option<&'a str>,
    ) -> Answer<'a, Referrers> {
        self.registry.referrers(repository, subject, kind)
    }
}

/// What has been copied, and what could not be.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// The names, each with the manifest that it leads to; those of evidence by its digest are among them.
    pub names: BTreeMap<Name, Descriptor>,
    /// By what was asked for. Only `NotFound` is an answer; after all others the copy lacks what may be there.
    pub missing: BTreeMap<String, RegistryError>,
    /// Manifests, configs and evidence, each counted once a repository.
    pub parts: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Where copies go, the digest with the bytes that hash to it.
pub type Keep<'a, E> = &'a (dyn Fn(&Digest, &[u8]) -> Result<(), E> + Sync);

/// Copies all that `names` reach in `registry` to `keep`, `jobs` names at once, and those `layers`, which the check had to
/// read; fails only where `keep` does.
pub async fn copy<E: Send>(
    registry: &dyn Registry,
    names: &BTreeMap<Name, Result<Digest, RegistryError>>,
    layers: &[(Repository, Layer)],
    jobs: usize,
    keep: Keep<'_, E>,
) -> Result<Copied, E> {
    let copying = Copying { registry, keep, seen: Mutex::default(), copied: Mutex::default() };
    // One after the other, since each is held whole.
    for (repository, layer) in layers {
        let limit = usize::try_from(layer.size).unwrap_or(usize::MAX).min(limits::VENDORED_LAYER_BYTES);
        copying.blob(repository, layer, limit).await?;
    }
    let mut to_come: BTreeMap<&Repository, AtomicUsize> = BTreeMap::new();
    for name in names.keys() {
        *to_come.entry(name.repository()).or_default().get_mut() += 1;
    }
    // One repository after the other, so that little has to be remembered of each.
    let mut names: Vec<_> = names.iter().collect();
    names.sort_by_key(|(name, _)| name.repository());
    stream::iter(names)
        .map(Ok)
        .try_for_each_concurrent(jobs.max(1), |(name, answer)| {
            let (copying, to_come) = (&copying, &to_come[name.repository()]);
            async move {
                copying.name(name, answer).await?;
                if to_come.fetch_sub(1, Ordering::Relaxed) == 1 {
                    registry.done_with(name.repository());
                }
                Ok(())
            }
        })
        .await?;
    Ok(copying.copied.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What a manifest is to the image that led to it, and so how much of it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Its config, its children and its evidence.
    Image,
    /// Inside an index: its config, its layers and its own evidence.
    Attestation,
    /// Its config and its layers.
    Referrer,
}

struct Copying<'a, E> {
    registry: &'a dyn Registry,
    keep: Keep<'a, E>,
    seen: Mutex<BTreeSet<(Repository, Digest, Part)>>,
    copied: Mutex<Copied>,
}

/// What one name has led to so far.
#[derive(Default)]
struct Reached {
    /// Children of its indexes, those of nested ones too, without attestations.
    children: AtomicUsize,
    /// Manifests of evidence.
    evidence: AtomicUsize,
    /// Their bytes and those of their blobs.
    bytes: AtomicU64,
}

impl Reached {
    /// Counts bytes of evidence.
    fn bytes(&self, repository: &Repository, size: u64) -> Result<(), RegistryError> {
        let limit = limits::ATTESTATIONS_BYTES;
        let reached = self.bytes.fetch_add(size.min(limit as u64 + 1), Ordering::Relaxed).saturating_add(size);
        let too_large = RegistryError::TooLarge { place: repository.host().to_owned(), limit };
        if reached > limit as u64 { Err(too_large) } else { Ok(()) }
    }
}

/// Counts `more`, up to `limit`.
fn counted(count: &AtomicUsize, more: usize, limit: usize, what: &'static str) -> Result<(), RegistryError> {
    let reached = count.fetch_add(more, Ordering::Relaxed).saturating_add(more);
    if reached > limit { Err(too_many(what, limit)) } else { Ok(()) }
}

fn too_many(what: &'static str, limit: usize) -> RegistryError {
    RegistryError::TooMany { place: "the image".to_owned(), what, limit }
}

type Step<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

const CHILDREN_AT_ONCE: usize = 8;

impl<E: Send> Copying<'_, E> {
    async fn name(&self, name: &Name, answer: &Result<Digest, RegistryError>) -> Result<(), E> {
        match answer {
            Err(error) => self.missing(name.to_string(), error.clone()),
            Ok(digest) => {
                let reached = Reached::default();
                if let Some(found) = self.manifest(name.repository(), digest, Part::Image, 0, &reached).await? {
                    self.note(|copied| drop(copied.names.insert(name.clone(), found)));
                }
            }
        }
        Ok(())
    }

    /// Copies the manifest and what belongs to it; `None` where it can't be had.
    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        part: Part,
        level: usize,
        reached: &'a Reached,
    ) -> Step<'a, Option<Descriptor>, E> {
        Box::pin(async move {
            if part != Part::Image {
                let room = counted(&reached.evidence, 1, limits::ATTESTATIONS, "attestations and signatures");
                if self.had(repository, digest, room).is_none() {
                    return Ok(None);
                }
            }
            let answer = self.registry.name(repository, Target::Digest(digest), Want::Content).await;
            let Some(manifest) = self.had(repository, digest, answer).and_then(|named| named.manifest) else {
                return Ok(None);
            };
            let size = manifest.bytes().len() as u64;
            let found = Descriptor { media_type: manifest.media_type().to_owned(), digest: digest.clone(), size };
            if !self.first(repository, digest, part) {
                return Ok(Some(found));
            }
            if part != Part::Image && self.had(repository, digest, reached.bytes(repository, size)).is_none() {
                return Ok(None);
            }
            self.keep(digest, manifest.bytes())?;
            self.below(repository, manifest, part, level, reached).await?;
            if part != Part::Referrer {
                self.evidence(repository, digest, reached).await?;
            }
            Ok(Some(found))
        })
    }

    async fn below(
        &self,
        repository: &Repository,
        manifest: Manifest,
        part: Part,
        level: usize,
        reached: &Reached,
    ) -> Result<(), E> {
        let (digest, content) = (manifest.digest().clone(), Content::parse(&manifest));
        drop(manifest);
        match content {
            // A check says the same of the copy.
            Err(_) => Ok(()),
            Ok(Content::Image(image)) if part == Part::Image => {
                self.blob(repository, &image.config, limits::CONFIG_BYTES).await
            }
            Ok(Content::Image(image)) => self.piece(repository, &digest, &image, reached).await,
            // What refers to an image may be an index of anything; its children are no evidence by themselves.
            Ok(Content::Index(_)) if part == Part::Referrer => Ok(()),
            Ok(Content::Index(entries)) => {
                // Past these limits a check reads no further, either.
                let images = entries.iter().filter(|child| !child.attestation).count();
                let room = if level >= limits::INDEX_DEPTH {
                    Err(too_many("indexes in each other", limits::INDEX_DEPTH))
                } else {
                    counted(&reached.children, images, limits::INDEX_CHILDREN, "children")
                };
                if self.had(repository, &digest, room).is_none() {
                    return Ok(());
                }
                let copies = stream::iter(&entries).map(Ok).try_for_each_concurrent(CHILDREN_AT_ONCE, |child| async {
                    let part = if child.attestation { Part::Attestation } else { part };
                    self.manifest(repository, &child.digest, part, level + 1, reached).await.map(drop)
                });
                copies.await
            }
        }
    }

    /// The config and the layers of one piece of evidence; all of them, or none where they are too many or too long.
    async fn piece(
        &self,
        repository: &Repository,
        digest: &Digest,
        image: &ImageManifest,
        reached: &Reached,
    ) -> Result<(), E> {
        let size = image.layers.iter().fold(image.config.size, |sum, layer| sum.saturating_add(layer.size));
        let room = if image.layers.len() > limits::ATTESTATION_BLOBS {
            Err(too_many("blobs of one attestation or signature", limits::ATTESTATION_BLOBS))
        } else {
            reached.bytes(repository, size)
        };
        if self.had(repository, digest, room).is_none() {
            return Ok(());
        }
        // What the manifest says is what was counted.
        let limit = |blob: &Layer, limit| usize::try_from(blob.size).unwrap_or(limit).min(limit);
        self.blob(repository, &image.config, limit(&image.config, limits::CONFIG_BYTES)).await?;
        for layer in &image.layers {
            self.blob(repository, layer, limit(layer, limits::ATTESTATION_BYTES)).await?;
        }
        Ok(())
    }

    /// What refers to the manifest; each is named by its digest, so that a reader of the copy finds it.
    async fn evidence(&self, repository: &Repository, subject: &Digest, reached: &Reached) -> Result<(), E> {
        let answer = self.registry.referrers(repository, subject, None).await;
        let Some(referrers) = self.had(repository, subject, answer) else { return Ok(()) };
        for referrer in referrers.found {
            let level = limits::INDEX_DEPTH;
            if let Some(found) = self.manifest(repository, &referrer.digest, Part::Referrer, level, reached).await? {
                let name = Name::Digest(repository.clone(), referrer.digest);
                self.note(|copied| drop(copied.names.insert(name, found)));
            }
        }
        Ok(())
    }

    async fn blob(&self, repository: &Repository, blob: &Layer, limit: usize) -> Result<(), E> {
        if !self.first(repository, &blob.digest, Part::Referrer) {
            return Ok(());
        }
        let answer = self.registry.blob(repository, &blob.digest, limit).await;
        match self.had(repository, &blob.digest, answer) {
            Some(bytes) => self.keep(&blob.digest, &bytes),
            None => Ok(()),
        }
    }

    fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), E> {
        (self.keep)(digest, bytes)?;
        self.note(|copied| {
            copied.parts += 1;
            copied.bytes += bytes.len() as u64;
        });
        Ok(())
    }

    /// The answer, or a note that there was none.
    fn had<T>(&self, repository: &Repository, digest: &Digest, answer: Result<T, RegistryError>) -> Option<T> {
        answer.map_err(|error| self.missing(format!("{repository}@{digest}"), error)).ok()
    }

    fn missing(&self, what: String, error: RegistryError) {
        self.note(|copied| {
            copied.missing.entry(what).or_insert(error);
        });
    }

    fn note(&self, change: impl FnOnce(&mut Copied)) {
        change(&mut self.copied.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn first(&self, repository: &Repository, digest: &Digest, part: Part) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert((repository.clone(), digest.clone(), part))
    }
}
