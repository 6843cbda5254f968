//! What earlier runs have read, on disk: by repository and digest alone, never by tag, and hashed whenever it is read.
//! Nothing that is wrong with it ends a run: a damaged entry is taken away and asked for again, a folder that can't be
//! used is done without. No error, header or secret gets in.

mod bound;
mod folder;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::limits;
use crate::reference::Repository;
use crate::registry::Manifest;
use crate::registry::blobs::{self, Reach};
use crate::registry::content::{check_body, check_media_type};

use folder::Read;

/// The cache of this machine's user; clones are the same one.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

/// For whom something was served: the repository as it was asked for, and the way that led to it.
///
/// What came over one way (a mirror, an unverified connection) says nothing once another is set.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The places that were asked and how, in a text that differs wherever they do.
    pub way: &'a str,
}

/// What a run had from its cache, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Entries that answered in place of a registry.
    pub hits: usize,
    /// Entries written.
    pub stored: usize,
    /// Entries taken away because they were not what they should be.
    pub damaged: usize,
    /// Why the cache was not used, or not to the end.
    pub trouble: Option<String>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    limit: u64,
    judged: Vec<PathBuf>,
    state: Mutex<State>,
    hits: AtomicUsize,
    stored: AtomicUsize,
    damaged: AtomicUsize,
    /// Bytes written and not yet in the tally.
    written: AtomicU64,
    /// Set once a write has failed: a full disk does not get better by trying.
    read_only: AtomicBool,
    trouble: Mutex<Option<String>>,
}

#[derive(Clone, Debug)]
enum State {
    /// Not looked at yet.
    Unknown,
    /// There is no folder; whoever writes first makes it.
    Absent,
    /// Fit to be read.
    Found(PathBuf),
    /// Fit to be written, too.
    Made(PathBuf),
    Unusable,
}

/// That a digest was served for a repository. The file's name is the hash of what it says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    repository: String,
    way: String,
    digest: String,
    /// Of a manifest; a blob has none.
    media_type: Option<String>,
    size: u64,
}

/// What a tag last named: a reason to ask by HEAD, never an answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hint {
    repository: String,
    way: String,
    tag: String,
    digest: String,
}

impl Cache {
    /// The cache in the folder `root`, at most about `limit` bytes large; nothing is read or made yet. It is not used
    /// where it lies inside one of `judged`, the trees that are judged: a change could bring its own entries.
    pub fn new(root: impl Into<PathBuf>, limit: u64, judged: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(Arc::new(Inner {
            root: root.into(),
            limit,
            judged: judged.into_iter().collect(),
            state: Mutex::new(State::Unknown),
            hits: AtomicUsize::new(0),
            stored: AtomicUsize::new(0),
            damaged: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            read_only: AtomicBool::new(false),
            trouble: Mutex::default(),
        }))
    }

    /// Its folder, as it was named.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// What happened so far.
    pub fn account(&self) -> Account {
        let trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Account { hits: count(&self.0.hits), stored: count(&self.0.stored), damaged: count(&self.0.damaged), trouble }
    }

    /// The manifest that was served for `origin` under `digest`, hashed just now.
    pub fn manifest(&self, origin: Origin<'_>, digest: &Digest) -> Option<Manifest> {
        self.0.read(origin, digest, true, limits::MANIFEST_BYTES, |record, bytes| {
            let media_type = record.media_type?;
            let sound = check_media_type("", &media_type).and_then(|()| check_body("", &media_type, &bytes));
            sound.is_ok().then(|| Manifest::hashed(digest.algorithm(), media_type, bytes.into()))
        })
    }

    /// The blob that was served for `origin` under `digest`, hashed just now; one longer than `limit` is none.
    pub fn blob(&self, origin: Origin<'_>, digest: &Digest, limit: usize) -> Option<Bytes> {
        let found = self.0.read(origin, digest, false, limits::CONFIG_BYTES, |record, bytes| {
            record.media_type.is_none().then(|| Bytes::from(bytes))
        });
        found.filter(|bytes| bytes.len() <= limit)
    }

    /// The digest that a tag last named, where its content may be here; the registry has to be asked in any case.
    pub fn hint(&self, origin: Origin<'_>, tag: &str) -> Option<Digest> {
        let root = self.0.readable()?;
        let path = hint_path(&root, origin, tag);
        let hint: Hint = self.0.parse(&path)?;
        let fits = hint.repository == origin.repository.to_string() && hint.way == way(origin) && hint.tag == tag;
        let digest = Digest::parse(&hint.digest).ok().filter(|_| fits);
        if digest.is_none() {
            self.0.damaged(&[&path]);
        }
        digest
    }

    /// Keeps a manifest that `origin` served.
    pub fn keep_manifest(&self, origin: Origin<'_>, manifest: &Manifest) {
        if manifest.bytes().len() <= limits::MANIFEST_BYTES {
            let media_type = Some(manifest.media_type().to_owned());
            self.0.keep(origin, manifest.digest(), media_type, manifest.bytes());
        }
    }

    /// Keeps a blob that `origin` served; `bytes` have been hashed to `digest`.
    pub fn keep_blob(&self, origin: Origin<'_>, digest: &Digest, bytes: &Bytes) {
        if bytes.len() <= limits::CONFIG_BYTES {
            self.0.keep(origin, digest, None, bytes);
        }
    }

    /// Remembers what a tag named, for the next time it is asked for.
    pub fn keep_hint(&self, origin: Origin<'_>, tag: &str, digest: &Digest) {
        let (repository, way) = (origin.repository.to_string(), way(origin));
        let hint = Hint { repository, way, tag: tag.to_owned(), digest: digest.to_string() };
        let Some(root) = self.0.writable() else { return };
        let path = hint_path(&root, origin, tag);
        if self.0.parse::<Hint>(&path).is_none_or(|known| known != hint) {
            self.0.write_json(&root, &path, &hint);
        }
    }
}

impl Inner {
    fn read<T>(
        &self,
        origin: Origin<'_>,
        digest: &Digest,
        manifest: bool,
        limit: usize,
        made: impl FnOnce(Record, Vec<u8>) -> Option<T>,
    ) -> Option<T> {
        let root = self.readable()?;
        let (record_path, blob_path) = (record_path(&root, origin, digest, manifest), blobs::place(&root, digest));
        let record: Record = self.parse(&record_path)?;
        let fits = record.repository == origin.repository.to_string()
            && record.way == way(origin)
            && record.digest == digest.as_str();
        if !fits {
            self.damaged(&[&record_path]);
            return None;
        }
        let bytes = match folder::read(&blob_path, limit) {
            Read::Bytes(bytes) => bytes,
            // The blob went first; without it the record is of no use.
            Read::Absent => {
                folder::remove(&record_path);
                return None;
            }
            Read::Damaged => {
                self.damaged(&[&record_path, &blob_path]);
                return None;
            }
        };
        if bytes.len() as u64 != record.size || !digest.fits(&bytes) {
            self.damaged(&[&record_path, &blob_path]);
            return None;
        }
        let found = made(record, bytes);
        if found.is_some() {
            self.hits.fetch_add(1, Ordering::Relaxed);
        } else {
            self.damaged(&[&record_path]);
        }
        found
    }

    fn keep(&self, origin: Origin<'_>, digest: &Digest, media_type: Option<String>, bytes: &Bytes) {
        let Some(root) = self.writable() else { return };
        let (blob, record_path) =
            (blobs::place(&root, digest), record_path(&root, origin, digest, media_type.is_some()));
        let there = fs::symlink_metadata(&blob).is_ok_and(|seen| seen.is_file() && seen.len() == bytes.len() as u64);
        if there {
            bound::used(&blob);
        } else if !self.write(&root, &blob, bytes) {
            return;
        }
        let (repository, way, size) = (origin.repository.to_string(), way(origin), bytes.len() as u64);
        let record = Record { repository, way, digest: digest.to_string(), media_type, size };
        if self.write_json(&root, &record_path, &record) {
            self.stored.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The small file at `path`; one that can't be read as such is taken away.
    fn parse<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        let parsed = match folder::read(path, limits::CACHE_RECORD_BYTES) {
            Read::Absent => return None,
            Read::Damaged => None,
            Read::Bytes(bytes) => serde_json::from_slice(&bytes).ok(),
        };
        if parsed.is_none() {
            self.damaged(&[path]);
        }
        parsed
    }

    fn write_json(&self, root: &Path, path: &Path, value: &impl Serialize) -> bool {
        let text = serde_json::to_vec(value).expect("strings and numbers are JSON");
        text.len() <= limits::CACHE_RECORD_BYTES && self.write(root, path, &text)
    }

    fn write(&self, root: &Path, path: &Path, bytes: &[u8]) -> bool {
        if let Err(error) = blobs::write_whole(path, bytes, Reach::Private, false) {
            self.give_up_writing(error.kind().to_string());
            return false;
        }
        let size = bound::on_disk(bytes.len() as u64);
        let before = self.written.fetch_add(size, Ordering::Relaxed);
        if before + size >= limits::CACHE_PART.min(self.limit / 5) {
            self.settle(root);
        }
        true
    }

    /// Enters what was written into the tally, which keeps the cache below its bound.
    fn settle(&self, root: &Path) {
        let written = self.written.swap(0, Ordering::Relaxed);
        if written > 0
            && let Err(error) = bound::tally(root, written, self.limit)
        {
            self.give_up_writing(error.kind().to_string());
        }
    }

    fn damaged(&self, paths: &[&Path]) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
        for path in paths {
            folder::remove(path);
        }
    }

    fn give_up_writing(&self, why: String) {
        self.read_only.store(true, Ordering::Relaxed);
        self.note(why);
    }

    /// The first trouble is the one that is told.
    fn note(&self, why: String) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    fn readable(&self) -> Option<PathBuf> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Unknown) {
            *state = match folder::find(&self.root, &self.judged) {
                Ok(Some(root)) => State::Found(root),
                Ok(None) => State::Absent,
                Err(why) => {
                    self.note(why);
                    State::Unusable
                }
            };
        }
        match &*state {
            State::Found(root) | State::Made(root) => Some(root.clone()),
            State::Unknown | State::Absent | State::Unusable => None,
        }
    }

    fn writable(&self) -> Option<PathBuf> {
        if self.read_only.load(Ordering::Relaxed) {
            return None;
        }
        self.readable();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Absent | State::Found(_)) {
            match folder::make(&self.root, &self.judged) {
                Ok(root) => *state = State::Made(root),
                // What can be read still is.
                Err(why) => self.give_up_writing(why),
            }
        }
        match &*state {
            State::Made(root) => Some(root.clone()),
            _ => None,
        }
    }
}

impl Drop for Inner {
    /// The end of a run: what it wrote counts against the bound.
    fn drop(&mut self) {
        if let State::Made(root) = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            self.settle(&root);
        }
    }
}

/// The way in few letters; what it says in full is of no use to a reader of the cache.
fn way(origin: Origin<'_>) -> String {
    Digest::sha256(origin.way.as_bytes()).hex().to_owned()
}

fn record_path(root: &Path, origin: Origin<'_>, digest: &Digest, manifest: bool) -> PathBuf {
    let kind = if manifest { "manifest" } else { "blob" };
    let key = format!("{kind}\n{}\n{}@{digest}", origin.way, origin.repository);
    root.join(folder::SERVED).join(Digest::sha256(key.as_bytes()).hex())
}

fn hint_path(root: &Path, origin: Origin<'_>, tag: &str) -> PathBuf {
    let key = format!("{}\n{}:{tag}", origin.way, origin.repository);
    root.join(folder::TAGS).join(Digest::sha256(key.as_bytes()).hex())
}
