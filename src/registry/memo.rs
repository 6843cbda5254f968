//! What a run has already read, by repository and digest, so that nothing is fetched twice.
//! Never by digest alone: what one repository serves says nothing about another. Nothing is kept of a repository that
//! nobody asks any more.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::digest::Digest;
use crate::reference::Repository;
use crate::registry::{Manifest, Referrers, RegistryError};

/// The memory of one run; errors are remembered too, so that a run does not contradict itself.
#[derive(Default)]
pub(crate) struct Memo {
    shelves: Mutex<HashMap<Repository, Shelf>>,
}

/// What was read of one repository.
#[derive(Default)]
struct Shelf {
    manifests: Table<Digest, Manifest>,
    /// The limit is part of the key: what is too long for one reader may not be for another.
    blobs: Table<(Digest, usize), Bytes>,
    /// The artifact type is that which the list was asked for; `None` is the whole list.
    referrers: Table<(Digest, Option<String>), Referrers>,
}

type Table<K, V> = HashMap<K, Cell<V>>;

type Cell<V> = Arc<OnceCell<Result<V, RegistryError>>>;

fn cell<K: Eq + Hash, V>(table: &mut Table<K, V>, key: K) -> Cell<V> {
    Arc::clone(table.entry(key).or_default())
}

impl Memo {
    /// The manifest, read by the first that asks.
    pub(crate) async fn manifest<F>(
        &self,
        repository: &Repository,
        digest: &Digest,
        read: impl FnOnce() -> F,
    ) -> Result<Manifest, RegistryError>
    where
        F: Future<Output = Result<Manifest, RegistryError>>,
    {
        let cell = self.on_shelf(repository, |shelf| cell(&mut shelf.manifests, digest.clone()));
        cell.get_or_init(read).await.clone()
    }

    /// A manifest that came with a tag's digest.
    pub(crate) fn keep(&self, repository: &Repository, manifest: &Manifest) {
        let cell = self.on_shelf(repository, |shelf| cell(&mut shelf.manifests, manifest.digest().clone()));
        // Whoever is reading it right now will find the same bytes.
        let _ = cell.set(Ok(manifest.clone()));
    }

    /// The manifest, if it has been read.
    pub(crate) fn known(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        self.shelves().get(repository)?.manifests.get(digest)?.get()?.clone().ok()
    }

    /// The blob, read by the first that asks.
    pub(crate) async fn blob<F>(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: usize,
        read: impl FnOnce() -> F,
    ) -> Result<Bytes, RegistryError>
    where
        F: Future<Output = Result<Bytes, RegistryError>>,
    {
        let cell = self.on_shelf(repository, |shelf| cell(&mut shelf.blobs, (digest.clone(), limit)));
        cell.get_or_init(read).await.clone()
    }

    /// Lets go of everything of `repository`.
    pub(crate) fn forget(&self, repository: &Repository) {
        self.shelves().remove(repository);
    }

    fn on_shelf<T>(&self, repository: &Repository, find: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelves = self.shelves();
        if !shelves.contains_key(repository) {
            shelves.insert(repository.clone(), Shelf::default());
        }
        find(shelves.get_mut(repository).expect("it was put there above"))
    }

    fn shelves(&self) -> MutexGuard<'_, HashMap<Repository, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list of referrers, asked for by the first that needs it.
    pub(crate) async fn referrers<F>(
        &self,
        repository: &Repository,
        subject: &Digest,
        kind: Option<&str>,
        read: impl FnOnce() -> F,
    ) -> Result<Referrers, RegistryError>
    where
        F: Future<Output = Result<Referrers, RegistryError>>,
    {
        let key = (subject.clone(), kind.map(str::to_owned));
        let cell = self.on_shelf(repository, |shelf| cell(&mut shelf.referrers, key));
        cell.get_or_init(read).await.clone()
    }
}
