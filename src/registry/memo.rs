//! What a run has already read, by repository and digest, so that nothing is fetched twice.
//! Never by digest alone: what one repository serves says nothing about another.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::digest::Digest;
use crate::reference::Repository;
use crate::registry::{Manifest, Referrers, RegistryError};

/// The memory of one run; errors are remembered too, so that a run does not contradict itself.
#[derive(Default)]
pub(crate) struct Memo {
    manifests: Table<(Repository, Digest), Manifest>,
    /// The limit is part of the key: what is too long for one reader may not be for another.
    blobs: Table<(Repository, Digest, usize), Bytes>,
    /// The artifact type is that which the list was asked for; `None` is the whole list.
    referrers: Table<(Repository, Digest, Option<String>), Referrers>,
}

struct Table<K, V>(Mutex<HashMap<K, Cell<V>>>);

type Cell<V> = Arc<OnceCell<Result<V, RegistryError>>>;

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Table<K, V> {
    fn cell(&self, key: K) -> Cell<V> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(key).or_default())
    }

    async fn once<F>(&self, key: K, read: impl FnOnce() -> F) -> Result<V, RegistryError>
    where
        F: Future<Output = Result<V, RegistryError>>,
    {
        self.cell(key).get_or_init(read).await.clone()
    }
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
        self.manifests.once((repository.clone(), digest.clone()), read).await
    }

    /// A manifest that came with a tag's digest.
    pub(crate) fn keep(&self, repository: &Repository, manifest: &Manifest) {
        let cell = self.manifests.cell((repository.clone(), manifest.digest().clone()));
        // Whoever is reading it right now will find the same bytes.
        let _ = cell.set(Ok(manifest.clone()));
    }

    /// The manifest, if it has been read.
    pub(crate) fn known(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        let cell = self.manifests.cell((repository.clone(), digest.clone()));
        cell.get().and_then(|read| read.clone().ok())
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
        self.blobs.once((repository.clone(), digest.clone(), limit), read).await
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
        self.referrers.once((repository.clone(), subject.clone(), kind.map(str::to_owned)), read).await
    }
}
