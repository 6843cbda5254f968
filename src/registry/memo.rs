//! What a run has already read, by repository and digest, so that nothing is fetched twice.
//! Never by digest alone: what one repository serves says nothing about another. Nothing is kept of a repository that
//! nobody asks any more, and no more than `limits` allow of one that sends a lot: that is fetched again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::digest::Digest;
use crate::limits;
use crate::reference::Repository;
use crate::registry::{Manifest, Packed, Referrers, RegistryError, Unpacked};

/// The memory of one run; errors are remembered too, so that a run does not contradict itself.
#[derive(Default)]
pub(crate) struct Memo {
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    all: HashMap<Repository, Shelf>,
    /// Bytes on all of them.
    bytes: usize,
}

/// What was read of one repository.
#[derive(Default)]
struct Shelf {
    manifests: Table<Digest, Manifest>,
    /// The limit is part of the key: what is too long for one reader may not be for another.
    blobs: Table<(Digest, usize), Bytes>,
    /// The artifact type is that which the list was asked for; `None` is the whole list.
    referrers: Table<(Digest, Option<String>), Referrers>,
    /// All that the manifest says is part of the key: another one may say another size, or compression.
    unpacked: Table<(Digest, u64, String), Unpacked>,
    bytes: usize,
}

type Table<K, V> = HashMap<K, Cell<V>>;

type Cell<V> = Arc<OnceCell<Result<V, RegistryError>>>;

/// Where a kind of content stands, and how heavy it is.
struct Kind<K, V> {
    table: fn(&mut Shelf) -> &mut Table<K, V>,
    weight: fn(&V) -> usize,
}

const MANIFESTS: Kind<Digest, Manifest> =
    Kind { table: |shelf| &mut shelf.manifests, weight: |manifest| manifest.bytes().len() };
const BLOBS: Kind<(Digest, usize), Bytes> = Kind { table: |shelf| &mut shelf.blobs, weight: Bytes::len };
const REFERRERS: Kind<(Digest, Option<String>), Referrers> =
    Kind { table: |shelf| &mut shelf.referrers, weight: Referrers::weight };
const UNPACKED: Kind<(Digest, u64, String), Unpacked> = Kind {
    table: |shelf| &mut shelf.unpacked,
    weight: |unpacked| size_of::<Unpacked>() + unpacked.diff_id.as_str().len(),
};

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
        self.once(repository, &MANIFESTS, digest.clone(), read).await
    }

    /// A manifest that came with a tag's digest.
    pub(crate) fn keep(&self, repository: &Repository, manifest: &Manifest) {
        let cell = self.cell(repository, &MANIFESTS, manifest.digest().clone());
        // Whoever is reading it right now will find the same bytes.
        if cell.set(Ok(manifest.clone())).is_ok() {
            self.weigh(repository, &MANIFESTS, manifest.digest(), &cell);
        }
    }

    /// The manifest, if it is remembered.
    pub(crate) fn known(&self, repository: &Repository, digest: &Digest) -> Option<Manifest> {
        self.shelves().all.get(repository)?.manifests.get(digest)?.get()?.clone().ok()
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
        self.once(repository, &BLOBS, (digest.clone(), limit), read).await
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
        self.once(repository, &REFERRERS, (subject.clone(), kind.map(str::to_owned)), read).await
    }

    /// What a layer unpacks to, read by the first that asks.
    pub(crate) async fn unpacked<F>(
        &self,
        repository: &Repository,
        layer: Packed<'_>,
        read: impl FnOnce() -> F,
    ) -> Result<Unpacked, RegistryError>
    where
        F: Future<Output = Result<Unpacked, RegistryError>>,
    {
        let key = (layer.digest.clone(), layer.size, layer.media_type.to_owned());
        self.once(repository, &UNPACKED, key, read).await
    }

    /// Lets go of everything of `repository`.
    pub(crate) fn forget(&self, repository: &Repository) {
        let mut shelves = self.shelves();
        if let Some(shelf) = shelves.all.remove(repository) {
            shelves.bytes -= shelf.bytes;
        }
    }

    async fn once<K: Clone + Eq + Hash, V: Clone, F>(
        &self,
        repository: &Repository,
        kind: &Kind<K, V>,
        key: K,
        read: impl FnOnce() -> F,
    ) -> Result<V, RegistryError>
    where
        F: Future<Output = Result<V, RegistryError>>,
    {
        let cell = self.cell(repository, kind, key.clone());
        let mut first = false;
        let read = || {
            first = true;
            read()
        };
        let answer = cell.get_or_init(read).await.clone();
        if first {
            self.weigh(repository, kind, &key, &cell);
        }
        answer
    }

    fn cell<K: Eq + Hash, V>(&self, repository: &Repository, kind: &Kind<K, V>, key: K) -> Cell<V> {
        let mut shelves = self.shelves();
        if !shelves.all.contains_key(repository) {
            shelves.all.insert(repository.clone(), Shelf::default());
        }
        let own = shelves.all.get_mut(repository).expect("it was put there above");
        Arc::clone((kind.table)(own).entry(key).or_default())
    }

    /// Counts what has just been read, or lets go of it where there is no room. Errors weigh nothing, and stay.
    fn weigh<K: Eq + Hash, V>(&self, repository: &Repository, kind: &Kind<K, V>, key: &K, cell: &Cell<V>) {
        let Some(Ok(content)) = cell.get() else { return };
        let weight = (kind.weight)(content);
        let mut shelves = self.shelves();
        let in_all = shelves.bytes + weight;
        let Some(own) = shelves.all.get_mut(repository) else { return };
        if !(kind.table)(own).get(key).is_some_and(|kept| Arc::ptr_eq(kept, cell)) {
            return;
        }
        if own.bytes + weight > limits::REMEMBERED_BYTES || in_all > limits::REMEMBERED_BYTES_IN_ALL {
            (kind.table)(own).remove(key);
            return;
        }
        own.bytes += weight;
        shelves.bytes = in_all;
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn repository(name: &str) -> Repository {
        Reference::parse(name).expect("a name").repository().clone()
    }

    async fn read(memo: &Memo, repository: &Repository, mark: usize, size: usize) -> bool {
        let mut fetched = false;
        let digest = Digest::sha256(&mark.to_le_bytes());
        let blob = memo.blob(repository, &digest, usize::MAX, || {
            fetched = true;
            async move { Ok(Bytes::from(vec![0; size])) }
        });
        assert_eq!(blob.await.expect("a blob").len(), size);
        fetched
    }

    #[tokio::test]
    async fn a_repository_that_sends_gigabytes_is_not_remembered_whole() {
        let (memo, greedy, other) = (Memo::default(), repository("r.example/greedy"), repository("r.example/other"));
        for mark in 0..20 {
            assert!(read(&memo, &greedy, mark, 4 << 20).await);
        }
        assert_eq!(memo.shelves().bytes, limits::REMEMBERED_BYTES);
        assert!(!read(&memo, &greedy, 0, 4 << 20).await, "what has room is fetched once");
        assert!(read(&memo, &greedy, 19, 4 << 20).await, "and what has none again");
        assert!(read(&memo, &other, 0, 1).await && !read(&memo, &other, 0, 1).await, "its neighbour keeps its own");
        memo.forget(&greedy);
        assert_eq!(memo.shelves().bytes, 1);
        assert!(read(&memo, &greedy, 19, 4 << 20).await && !read(&memo, &greedy, 19, 4 << 20).await);
    }

    #[tokio::test]
    async fn many_repositories_are_remembered_up_to_one_bound() {
        let memo = Memo::default();
        for number in 0..40 {
            assert!(read(&memo, &repository(&format!("r.example/r{number}")), 0, 4 << 20).await);
        }
        assert_eq!(memo.shelves().bytes, limits::REMEMBERED_BYTES_IN_ALL);
    }
}
