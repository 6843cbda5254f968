//! An OCI image layout on disk that answers for registries: by whole name, or by a digest that its repository reaches.
//! It follows no link out of its folder, and what is broken in it is an error, never "not found".
//!
//! Source: OCI image-spec 1.1, image-layout.md.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use serde::Deserialize;

use crate::digest::Digest;
use crate::limits;
use crate::reference::{Reference, Repository};
use crate::registry::blobs;
use crate::registry::content::{MEDIA_TYPES, check_body, check_media_type, plain};
use crate::registry::referrers::{List, fallback_tag};
use crate::registry::unpack::Unpacking;
use crate::registry::{
    Answer, KnownBy, Manifest, Named, Packed, Referrer, Referrers, ReferrersFrom, Registry, RegistryError, Target,
    Unpacked, Want, in_words,
};

/// Docker and containerd write the whole name here, and only the tag into the other one.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The specification's place for a name.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A layout whose index has been read.
pub struct Layout {
    root: PathBuf,
    tags: HashMap<(Repository, String), Descriptor>,
    roots: HashMap<Repository, Vec<Descriptor>>,
    /// Manifests of `index.json` that no image is named by: tools put the referrers of images there.
    nameless: Vec<Result<Descriptor, RegistryError>>,
    nobodys: OnceLock<Nobodys>,
    reached: Mutex<HashMap<Repository, Arc<Reach>>>,
}

/// What the nameless manifests say they belong to; the repository that reaches the subject reaches them.
#[derive(Default)]
struct Nobodys {
    by_subject: HashMap<Digest, Vec<Descriptor>>,
    /// The first one that could not be read: it may refer to anything.
    broken: Option<RegistryError>,
}

/// What a descriptor promises of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Descriptor {
    digest: Digest,
    size: u64,
    media_type: String,
}

/// All that one repository reaches.
#[derive(Default)]
struct Reach {
    found: HashMap<Digest, Descriptor>,
    /// By the subject that they name.
    referrers: HashMap<Digest, Vec<Referrer>>,
    /// The first manifest that could not be followed: below it may be anything.
    broken: Option<RegistryError>,
}

/// What a manifest leads to, and its subject with itself as the subject's referrer.
type Below = (Vec<Descriptor>, Option<(Digest, Referrer)>);

/// The parts of an index or a manifest that lead on.
#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    manifests: Vec<RawDescriptor>,
    config: Option<RawDescriptor>,
    #[serde(default)]
    layers: Vec<RawDescriptor>,
    subject: Option<RawDescriptor>,
}

/// What a manifest with a subject says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referring {
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// A descriptor as written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Reads `index.json` in the folder `root`; a name that stands there twice is an error.
    pub fn open(root: &Path) -> Result<Self, RegistryError> {
        let root = root.canonicalize().map_err(|error| local(root, in_words(&error)))?;
        let mut layout = Self {
            root,
            tags: HashMap::new(),
            roots: HashMap::new(),
            nameless: Vec::new(),
            nobodys: OnceLock::new(),
            reached: Mutex::default(),
        };
        let marker: Marker = layout.parse_file("oci-layout")?;
        if !marker.image_layout_version.starts_with("1.") {
            let detail = format!("layout version {:?} is not 1", marker.image_layout_version);
            return Err(local(&layout.root.join("oci-layout"), detail));
        }
        let links: Links = layout.parse_file("index.json")?;
        for raw in links.manifests {
            layout.add(&raw)?;
        }
        Ok(layout)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn add(&mut self, raw: &RawDescriptor) -> Result<(), RegistryError> {
        let wrong = |detail: String| local(&self.root.join("index.json"), detail);
        let annotation = |key| raw.annotations.as_ref().and_then(|map| map.get(key));
        let name = annotation(CONTAINERD_NAME).or_else(|| annotation(REF_NAME));
        // A name that is none names nothing; the content may still be part of another image.
        let Some((name, reference)) = name.and_then(|name| Some((name, Reference::parse(name).ok()?))) else {
            self.nameless.push(Descriptor::parse(raw).map_err(wrong));
            return Ok(());
        };
        let descriptor = Descriptor::parse(raw).map_err(wrong)?;
        if reference.digest().is_some_and(|digest| *digest != descriptor.digest) {
            return Err(wrong(format!("`{name}` is the name of {}", descriptor.digest)));
        }
        let repository = reference.repository().clone();
        if let Some(tag) = reference.tag() {
            match self.tags.entry((repository.clone(), tag.to_owned())) {
                Slot::Occupied(_) => return Err(wrong(format!("the name `{reference}` stands there twice"))),
                Slot::Vacant(slot) => slot.insert(descriptor.clone()),
            };
        }
        self.roots.entry(repository).or_default().push(descriptor);
        Ok(())
    }

    fn find(&self, repository: &Repository, target: Target<'_>) -> Result<Descriptor, RegistryError> {
        let not_found = || RegistryError::NotFound { place: self.root.display().to_string() };
        match target {
            Target::Tag(tag) => {
                // The key owns its parts, so a look-up has to as well.
                self.tags.get(&(repository.clone(), tag.to_owned())).cloned().ok_or_else(not_found)
            }
            Target::Digest(digest) => {
                let reach = self.reach(repository);
                match reach.found.get(digest) {
                    Some(descriptor) => Ok(descriptor.clone()),
                    None => Err(reach.broken.clone().unwrap_or_else(not_found)),
                }
            }
        }
    }

    fn reach(&self, repository: &Repository) -> Arc<Reach> {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let walk = || Arc::new(self.walk(self.roots.get(repository).map_or(&[], Vec::as_slice)));
        Arc::clone(reached.entry(repository.clone()).or_insert_with(walk))
    }

    /// Everything below `roots`, and below what refers to that.
    fn walk(&self, roots: &[Descriptor]) -> Reach {
        let mut reach = Reach::default();
        let mut walked: HashSet<Digest> = HashSet::new();
        let mut next: Vec<Descriptor> = roots.to_vec();
        while !next.is_empty() {
            let fresh = self.below(next, &mut walked, &mut reach);
            let referring = fresh.iter().filter_map(|digest| self.nobodys().by_subject.get(digest)).flatten();
            next = referring.filter(|descriptor| !walked.contains(&descriptor.digest)).cloned().collect();
        }
        reach
    }

    /// Everything below `roots`, each index's children bounded, no deeper than an index in an index may be; returns
    /// what had not been found before.
    fn below(&self, roots: Vec<Descriptor>, walked: &mut HashSet<Digest>, reach: &mut Reach) -> Vec<Digest> {
        let mut fresh = Vec::new();
        let mut next = roots;
        for depth in 0..=limits::INDEX_DEPTH + 1 {
            let mut below = Vec::new();
            for descriptor in std::mem::take(&mut next) {
                let first = walked.insert(descriptor.digest.clone());
                if first && descriptor.is_manifest() && depth <= limits::INDEX_DEPTH {
                    match self.links(&descriptor) {
                        Ok((links, referring)) => {
                            below.extend(links);
                            if let Some((subject, referrer)) = referring {
                                reach.referrers.entry(subject).or_default().push(referrer);
                            }
                        }
                        Err(error) => reach.broken = reach.broken.take().or(Some(error)),
                    }
                }
                if let Slot::Vacant(slot) = reach.found.entry(descriptor.digest.clone()) {
                    fresh.push(slot.insert(descriptor).digest.clone());
                }
            }
            next = below;
        }
        fresh
    }

    fn nobodys(&self) -> &Nobodys {
        self.nobodys.get_or_init(|| {
            let mut nobodys = Nobodys::default();
            let mut seen = HashSet::new();
            for nameless in &self.nameless {
                let referring = nameless.clone().and_then(|descriptor| {
                    let first = descriptor.is_manifest() && seen.insert(descriptor.digest.clone());
                    let links = if first { Some(self.links(&descriptor)?) } else { None };
                    Ok(links.and_then(|(_, referring)| Some((referring?.0, descriptor))))
                });
                match referring {
                    Ok(Some((subject, descriptor))) => nobodys.by_subject.entry(subject).or_default().push(descriptor),
                    Ok(None) => {}
                    Err(error) => nobodys.broken = nobodys.broken.take().or(Some(error)),
                }
            }
            nobodys
        })
    }

    /// What a manifest leads to, and itself as a referrer of its subject.
    fn links(&self, descriptor: &Descriptor) -> Result<Below, RegistryError> {
        let manifest = self.manifest(descriptor)?;
        let wrong = |detail: String| local(&self.path(&descriptor.digest), detail);
        let links: Links = serde_json::from_slice(manifest.bytes()).map_err(|error| wrong(error.to_string()))?;
        if links.manifests.len() > limits::INDEX_CHILDREN {
            return Err(wrong(format!("an index of more than {} children", limits::INDEX_CHILDREN)));
        }
        let all = links.manifests.iter().chain(&links.config).chain(&links.layers);
        let below = all.map(|raw| Descriptor::parse(raw).map_err(wrong)).collect::<Result<_, _>>()?;
        let Some(subject) = &links.subject else { return Ok((below, None)) };
        let subject = Descriptor::parse(subject).map_err(wrong)?.digest;
        let own: Referring = serde_json::from_slice(manifest.bytes()).map_err(|error| wrong(error.to_string()))?;
        let referrer = Referrer {
            digest: descriptor.digest.clone(),
            media_type: descriptor.media_type.clone(),
            size: descriptor.size,
            artifact_type: own.artifact_type.or(links.config.map(|config| config.media_type)),
            annotations: own.annotations.unwrap_or_default(),
        };
        Ok((below, Some((subject, referrer))))
    }

    /// What names `subject` as its own, and what the index under its fallback tag lists.
    fn list(&self, repository: &Repository, subject: &Digest, kind: Option<&str>) -> Result<Referrers, RegistryError> {
        self.find(repository, Target::Digest(subject))?;
        if let Some(error) = &self.nobodys().broken {
            return Err(error.clone());
        }
        let place = self.root.display().to_string();
        let mut list = List::new(&place, kind);
        let reach = self.reach(repository);
        reach.referrers.get(subject).into_iter().flatten().try_for_each(|referrer| list.add(referrer.clone()))?;
        if let Some(descriptor) = self.tags.get(&(repository.clone(), fallback_tag(subject))) {
            let manifest = self.manifest(descriptor)?;
            let mut listed = List::new(&place, kind);
            listed.add_index(manifest.bytes())?;
            let new = |referrer: &Referrer| !list.found.iter().any(|known| known.digest == referrer.digest);
            let new: Vec<Referrer> = listed.found.into_iter().filter(new).collect();
            new.into_iter().try_for_each(|referrer| list.add(referrer))?;
        }
        Ok(Referrers { found: list.found, from: ReferrersFrom::Layout })
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, RegistryError> {
        let place = self.path(&descriptor.digest).display().to_string();
        check_media_type(&place, &descriptor.media_type)?;
        let bytes = self.read_blob(descriptor, limits::MANIFEST_BYTES)?;
        check_body(&place, &descriptor.media_type, &bytes)?;
        Ok(Manifest::hashed(descriptor.digest.algorithm(), descriptor.media_type.as_str(), bytes))
    }

    /// The bytes of a blob, hashed and of the size that was promised.
    fn read_blob(&self, descriptor: &Descriptor, limit: usize) -> Result<Bytes, RegistryError> {
        let path = self.path(&descriptor.digest);
        let bytes = self.read_file(&path, limit)?;
        let (place, expected) = (path.display().to_string(), descriptor.digest.clone());
        let found = Digest::hash(expected.algorithm(), &bytes);
        if found != expected {
            return Err(RegistryError::WrongBytes { place, expected, found });
        }
        if bytes.len() as u64 != descriptor.size {
            let detail = format!("it has {} bytes, its descriptor says {}", bytes.len(), descriptor.size);
            return Err(RegistryError::Malformed { place, detail });
        }
        Ok(bytes)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        blobs::place(&self.root, digest)
    }

    fn parse_file<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, RegistryError> {
        let path = self.root.join(name);
        let bytes = self.read_file(&path, limits::LAYOUT_INDEX_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| local(&path, error.to_string()))
    }

    fn read_file(&self, path: &Path, limit: usize) -> Result<Bytes, RegistryError> {
        let mut bytes = Vec::new();
        let read = self.open_file(path)?.take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| local(path, in_words(&error)))?;
        if bytes.len() > limit {
            return Err(RegistryError::TooLarge { place: path.display().to_string(), limit });
        }
        Ok(bytes.into())
    }

    /// A regular file inside the layout; neither it nor a folder on the way may lead out.
    fn open_file(&self, path: &Path) -> Result<File, RegistryError> {
        let wrong = |error: std::io::Error| local(path, in_words(&error));
        let inside = path.canonicalize().map_err(wrong)?.starts_with(&self.root);
        if !inside || !fs::symlink_metadata(path).map_err(wrong)?.is_file() {
            return Err(local(path, "not a regular file of the layout"));
        }
        File::open(path).map_err(wrong)
    }

    async fn unpack(&self, repository: &Repository, layer: Packed<'_>) -> Result<Unpacked, RegistryError> {
        self.find(repository, Target::Digest(layer.digest))?;
        let path = self.path(layer.digest);
        let unpacking = Unpacking::new(&path.display().to_string(), layer)?;
        let file = self.open_file(&path)?;
        let reading = tokio::task::spawn_blocking(move || unpacking.read(file));
        reading.await.map_err(|_| local(&path, "it can't be unpacked"))?
    }

    fn named(&self, repository: &Repository, target: Target<'_>) -> Result<Named, RegistryError> {
        let manifest = self.manifest(&self.find(repository, target)?)?;
        Ok(Named { digest: manifest.digest().clone(), known_by: KnownBy::Bytes, manifest: Some(manifest) })
    }
}

/// The disk answers at once, so its futures are ready when they are made, but for the one that takes work; a digest always comes with its content.
impl Registry for Layout {
    fn name<'a>(&'a self, repository: &'a Repository, target: Target<'a>, _: Want) -> Answer<'a, Named> {
        Box::pin(async move { self.named(repository, target) })
    }

    fn blob<'a>(&'a self, repository: &'a Repository, digest: &'a Digest, limit: usize) -> Answer<'a, Bytes> {
        Box::pin(async move { self.read_blob(&self.find(repository, Target::Digest(digest))?, limit) })
    }

    fn unpacked<'a>(&'a self, repository: &'a Repository, layer: Packed<'a>) -> Answer<'a, Unpacked> {
        Box::pin(self.unpack(repository, layer))
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
        kind: Option<&'a str>,
    ) -> Answer<'a, Referrers> {
        Box::pin(async move { self.list(repository, subject, kind) })
    }
}

impl Descriptor {
    fn parse(raw: &RawDescriptor) -> Result<Self, String> {
        let digest = Digest::parse(&raw.digest).map_err(|error| error.to_string())?;
        Ok(Self { digest, size: raw.size, media_type: raw.media_type.clone() })
    }

    fn is_manifest(&self) -> bool {
        MEDIA_TYPES.contains(&self.media_type.as_str())
    }
}

fn local(path: &Path, detail: impl AsRef<str>) -> RegistryError {
    RegistryError::Local { path: path.display().to_string(), detail: plain(detail.as_ref()) }
}
