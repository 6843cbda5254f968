//! Which source answers for a repository: the layout of its longest prefix, else the cache and HTTP; offline, layouts
//! and, for digests, the cache. It opens a layout only when an image of it is asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::digest::Digest;
use crate::limits;
use crate::reference::Repository;
use crate::registry::cache::{Cache, Origin};
use crate::registry::credentials::Credentials;
use crate::registry::http::quota::Quota;
use crate::registry::http::registry::Http;
use crate::registry::http::{Deadlines, Proxies};
use crate::registry::layout::Layout;
use crate::registry::memo::Memo;
use crate::registry::settings::{Entry, Settings};
use crate::registry::{
    Answer, KnownBy, Manifest, Named, Packed, Referrers, Registry, RegistryError, Target, Unpacked, Want, referrers,
};

/// All registries of a run behind one seam; nothing of the same repository and digest is read twice.
pub struct Router {
    settings: Arc<Settings>,
    http: Http,
    layouts: HashMap<PathBuf, OnceLock<Result<Layout, RegistryError>>>,
    memo: Memo,
    cache: Option<Cache>,
    /// Of layers that are unpacked.
    unpacking: Semaphore,
}

impl Router {
    /// Reads and connects nothing yet. Without a cache, nothing that earlier runs read is used or kept.
    pub fn new(
        settings: Settings,
        credentials: Credentials,
        deadlines: Deadlines,
        proxies: Proxies,
        cache: Option<Cache>,
    ) -> Self {
        let settings = Arc::new(settings);
        let layouts = settings.layouts().map(|path| (path.to_owned(), OnceLock::new())).collect();
        let http = Http::new(Arc::clone(&settings), credentials, deadlines, proxies);
        let unpacking = Semaphore::new(limits::UNPACKING);
        Self { settings, http, layouts, memo: Memo::default(), cache, unpacking }
    }

    /// What the hosts that were asked said that they still grant.
    pub fn quotas(&self) -> Vec<Quota> {
        self.http.quotas()
    }

    /// With at most `jobs` requests to registries under way at once.
    #[must_use]
    pub fn at_once(self, jobs: usize) -> Self {
        Self { http: self.http.at_once(jobs), ..self }
    }

    /// The layout that answers for `repository`, in place of everything else; a blocked one is not answered for at all.
    fn layout_of(&self, repository: &Repository) -> Result<Option<&Layout>, RegistryError> {
        let entry = self.settings.entry(repository);
        if entry.is_some_and(Entry::blocked) {
            let reason = format!("{repository} is blocked by the settings of registries on this machine");
            return Err(RegistryError::Refused { reason });
        }
        entry.and_then(Entry::layout).map(|path| self.layout(path)).transpose()
    }

    /// The network, unless it must not be asked.
    fn network(&self, repository: &Repository) -> Result<&Http, RegistryError> {
        if self.settings.offline() {
            return Err(RegistryError::Offline { name: repository.to_string() });
        }
        Ok(&self.http)
    }

    /// Who answers besides the cache.
    fn source(&self, repository: &Repository) -> Result<&dyn Registry, RegistryError> {
        Ok(match self.layout_of(repository)? {
            Some(layout) => layout,
            None => self.network(repository)?,
        })
    }

    fn layout(&self, path: &Path) -> Result<&Layout, RegistryError> {
        let cell = self.layouts.get(path).expect("each layout of the settings has its cell");
        cell.get_or_init(|| Layout::open(path)).as_ref().map_err(Clone::clone)
    }

    /// The cache, where it may speak of `repository`: a layout answers alone.
    fn cached<'a>(&'a self, repository: &'a Repository) -> Result<Option<Cached<'a>>, RegistryError> {
        let layout = self.layout_of(repository)?;
        let cache = self.cache.as_ref().filter(|_| layout.is_none());
        Ok(cache.map(|cache| Cached { cache, repository, way: self.http.way(repository) }))
    }

    async fn named(&self, repository: &Repository, target: Target<'_>, want: Want) -> Result<Named, RegistryError> {
        let cached = self.cached(repository)?;
        let cached = cached.as_ref();
        match target {
            Target::Tag(tag) => {
                let named = match cached {
                    Some(cached) if want == Want::Content => cached.tag(self.network(repository)?, tag).await?,
                    _ => self.source(repository)?.name(repository, target, want).await?,
                };
                if let Some(manifest) = &named.manifest {
                    self.memo.keep(repository, manifest);
                }
                Ok(named)
            }
            Target::Digest(digest) if want == Want::Content => {
                let read = || async {
                    if let Some(manifest) = cached.and_then(|cached| cached.manifest(digest)) {
                        return Ok(manifest);
                    }
                    let named = self.source(repository)?.name(repository, target, want).await?;
                    let manifest = named.manifest.expect("a registry brings the content that was asked for");
                    cached.inspect(|cached| cached.keep(&manifest));
                    Ok(manifest)
                };
                self.memo.manifest(repository, digest, read).await.map(by_bytes)
            }
            Target::Digest(digest) => {
                if let Some(manifest) = self.memo.known(repository, digest) {
                    return Ok(by_bytes(manifest));
                }
                if let Some(manifest) = cached.and_then(|cached| cached.manifest(digest)) {
                    self.memo.keep(repository, &manifest);
                    return Ok(by_bytes(manifest));
                }
                let named = self.source(repository)?.name(repository, target, want).await?;
                if let Some(manifest) = &named.manifest {
                    self.memo.keep(repository, manifest);
                    cached.inspect(|cached| cached.keep(manifest));
                }
                Ok(named)
            }
        }
    }
}

/// The cache as one repository sees it.
struct Cached<'a> {
    cache: &'a Cache,
    repository: &'a Repository,
    way: String,
}

impl Cached<'_> {
    fn origin(&self) -> Origin<'_> {
        Origin { repository: self.repository, way: &self.way }
    }

    fn manifest(&self, digest: &Digest) -> Option<Manifest> {
        self.cache.manifest(self.origin(), digest)
    }

    fn keep(&self, manifest: &Manifest) {
        self.cache.keep_manifest(self.origin(), manifest);
    }

    fn blob(&self, digest: &Digest, limit: usize) -> Option<Bytes> {
        self.cache.blob(self.origin(), digest, limit)
    }

    fn keep_blob(&self, digest: &Digest, bytes: &Bytes) {
        self.cache.keep_blob(self.origin(), digest, bytes);
    }

    /// What the registry says that a tag names, and its content. Where the content is likely to be here a HEAD is
    /// asked first, and if it names that content, nothing more.
    async fn tag(&self, http: &Http, tag: &str) -> Result<Named, RegistryError> {
        let target = Target::Tag(tag);
        let hint = self.cache.hint(self.origin(), tag);
        let held = hint.and_then(|digest| self.manifest(&digest));
        let mut named = None;
        if let Some(held) = held {
            match http.name(self.repository, target, Want::Digest).await {
                Ok(answer) if answer.manifest.is_some() => named = Some(answer),
                Ok(answer) if answer.digest == *held.digest() => return Ok(by_bytes(held)),
                // A tag may move back to what is held, too.
                Ok(answer) => named = self.manifest(&answer.digest).map(by_bytes),
                // A registry whose HEAD is broken is asked as if there were no cache.
                Err(RegistryError::Malformed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let named = match named {
            Some(named) => named,
            None => http.name(self.repository, target, Want::Content).await?,
        };
        if let Some(manifest) = &named.manifest {
            self.keep(manifest);
            self.cache.keep_hint(self.origin(), tag, manifest.digest());
        }
        Ok(named)
    }
}

fn by_bytes(manifest: Manifest) -> Named {
    Named { digest: manifest.digest().clone(), known_by: KnownBy::Bytes, manifest: Some(manifest) }
}

impl Registry for Router {
    fn name<'a>(&'a self, repository: &'a Repository, target: Target<'a>, want: Want) -> Answer<'a, Named> {
        Box::pin(self.named(repository, target, want))
    }

    fn blob<'a>(&'a self, repository: &'a Repository, digest: &'a Digest, limit: usize) -> Answer<'a, Bytes> {
        Box::pin(async move {
            let cached = self.cached(repository)?;
            let read = || async {
                if let Some(bytes) = cached.as_ref().and_then(|cached| cached.blob(digest, limit)) {
                    return Ok(bytes);
                }
                let bytes = self.source(repository)?.blob(repository, digest, limit).await?;
                cached.as_ref().inspect(|cached| cached.keep_blob(digest, &bytes));
                Ok(bytes)
            };
            self.memo.blob(repository, digest, limit, read).await
        })
    }

    fn unpacked<'a>(&'a self, repository: &'a Repository, layer: Packed<'a>) -> Answer<'a, Unpacked> {
        Box::pin(async move {
            let read = || async {
                let source = self.source(repository)?;
                let _turn = self.unpacking.acquire().await.expect("it is never closed");
                source.unpacked(repository, layer).await
            };
            self.memo.unpacked(repository, layer, read).await
        })
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
        kind: Option<&'a str>,
    ) -> Answer<'a, Referrers> {
        Box::pin(async move {
            let source = self.source(repository)?;
            let ask = |kind| {
                self.memo.referrers(repository, subject, kind, move || source.referrers(repository, subject, kind))
            };
            match (ask(None).await, kind) {
                (Ok(all), Some(kind)) => Ok(referrers::only(all, kind)),
                // Of one kind there may be few enough.
                (Err(RegistryError::TooMany { .. }), Some(_)) => ask(kind).await,
                (answer, _) => answer,
            }
        })
    }

    fn done_with(&self, repository: &Repository) {
        self.memo.forget(repository);
        self.http.done_with(repository);
    }
}
