//! Which source answers for a repository: the layout of its longest prefix, else HTTP; offline, layouts alone.
//! It opens a layout only when an image of it is asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::digest::Digest;
use crate::reference::Repository;
use crate::registry::credentials::Credentials;
use crate::registry::http::registry::Http;
use crate::registry::http::{Deadlines, Proxies};
use crate::registry::layout::Layout;
use crate::registry::memo::Memo;
use crate::registry::settings::{Entry, Settings};
use crate::registry::{Answer, KnownBy, Manifest, Named, Referrers, Registry, RegistryError, Target, Want, referrers};

/// All registries of a run behind one seam; nothing of the same repository and digest is read twice.
pub struct Router {
    settings: Arc<Settings>,
    http: Http,
    layouts: HashMap<PathBuf, OnceLock<Result<Layout, RegistryError>>>,
    memo: Memo,
}

impl Router {
    /// Reads and connects nothing yet.
    pub fn new(settings: Settings, credentials: Credentials, deadlines: Deadlines, proxies: Proxies) -> Self {
        let settings = Arc::new(settings);
        let layouts = settings.layouts().map(|path| (path.to_owned(), OnceLock::new())).collect();
        let http = Http::new(Arc::clone(&settings), credentials, deadlines, proxies);
        Self { settings, http, layouts, memo: Memo::default() }
    }

    /// With at most `jobs` requests to registries under way at once.
    #[must_use]
    pub fn at_once(self, jobs: usize) -> Self {
        Self { http: self.http.at_once(jobs), ..self }
    }

    fn source(&self, repository: &Repository) -> Result<&dyn Registry, RegistryError> {
        let entry = self.settings.entry(repository);
        if entry.is_some_and(Entry::blocked) {
            let reason = format!("{repository} is blocked by the settings of registries on this machine");
            return Err(RegistryError::Refused { reason });
        }
        if let Some(path) = entry.and_then(Entry::layout) {
            return Ok(self.layout(path)?);
        }
        if self.settings.offline() {
            return Err(RegistryError::Offline { name: repository.to_string() });
        }
        Ok(&self.http)
    }

    fn layout(&self, path: &Path) -> Result<&Layout, RegistryError> {
        let cell = self.layouts.get(path).expect("each layout of the settings has its cell");
        cell.get_or_init(|| Layout::open(path)).as_ref().map_err(Clone::clone)
    }

    async fn named(&self, repository: &Repository, target: Target<'_>, want: Want) -> Result<Named, RegistryError> {
        let source = self.source(repository)?;
        if let (Target::Digest(digest), Want::Content) = (target, want) {
            let read = || async {
                let named = source.name(repository, target, want).await?;
                Ok(named.manifest.expect("a registry brings the content that was asked for"))
            };
            return self.memo.manifest(repository, digest, read).await.map(by_bytes);
        }
        if let Target::Digest(digest) = target
            && let Some(manifest) = self.memo.known(repository, digest)
        {
            return Ok(by_bytes(manifest));
        }
        let named = source.name(repository, target, want).await?;
        if let Some(manifest) = &named.manifest {
            self.memo.keep(repository, manifest);
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
            let source = self.source(repository)?;
            self.memo.blob(repository, digest, limit, || source.blob(repository, digest, limit)).await
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
