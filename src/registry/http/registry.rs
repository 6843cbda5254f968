//! The registry over HTTP: what an answer must be to be believed, and which place is asked after which.
//! Bytes are hashed before anything else is done with them; a mirror never changes an image's identity.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode};

use crate::digest::{Algorithm, Digest};
use crate::limits;
use crate::reference::Repository;
use crate::registry::content::{ACCEPT, check_body, check_media_type, malformed};
use crate::registry::credentials::Credentials;
use crate::registry::http::address::Filter;
use crate::registry::http::auth::{Auth, Read};
use crate::registry::http::client::{Client, Failure, Response};
use crate::registry::http::endpoint::Endpoint;
use crate::registry::http::quota::Quota;
use crate::registry::http::{Deadlines, Proxies, layers, referrers};
use crate::registry::settings::Settings;
use crate::registry::{
    Answer, KnownBy, Manifest, Named, Packed, Referrers, Registry, RegistryError, Target, Unpacked, Want,
};

const DIGEST_HEADER: &str = "docker-content-digest";

/// Registries over HTTP, with their mirrors.
pub struct Http {
    pub(super) settings: Arc<Settings>,
    pub(super) auth: Auth,
    deadlines: Deadlines,
}

impl Http {
    /// Nothing is connected or read before the first request.
    pub fn new(settings: Arc<Settings>, credentials: Credentials, deadlines: Deadlines, proxies: Proxies) -> Self {
        let client = Client::new(deadlines, proxies, Filter::new(settings.hosts()));
        Self { auth: Auth::new(client, credentials), deadlines, settings }
    }

    /// What the hosts said so far that they still grant.
    pub fn quotas(&self) -> Vec<Quota> {
        self.auth.quotas()
    }

    /// Where `repository` is asked for and how, in a text that differs wherever that does.
    pub(crate) fn way(&self, repository: &Repository) -> String {
        // Written out by derivation, so that what is added to an endpoint later is in it.
        format!("{:?}", Endpoint::all(&self.settings, repository))
    }

    /// With at most `jobs` requests under way at once, over all hosts.
    #[must_use]
    pub fn at_once(self, jobs: usize) -> Self {
        Self { auth: self.auth.at_once(jobs), ..self }
    }

    async fn named(
        &self,
        endpoint: &Endpoint,
        target: Target<'_>,
        want: Want,
        last: bool,
    ) -> Result<Named, RegistryError> {
        if want == Want::Digest {
            match self.again(move || self.head(endpoint, target)).await {
                Ok(Some(digest)) => return Ok(Named { digest, known_by: KnownBy::Header, manifest: None }),
                Ok(None) => {}
                Err(RegistryError::NotFound { .. }) if last => return Err(self.absent(endpoint, target).await),
                Err(error) => return Err(error),
            }
        }
        let manifest = self.again(move || self.get(endpoint, target)).await?;
        Ok(Named { digest: manifest.digest().clone(), known_by: KnownBy::Bytes, manifest: Some(manifest) })
    }

    /// What a 404 to a HEAD comes to: some registries and caches know no HEAD and say 404 to every one, so a GET has
    /// to say it too. Where it brings a manifest the two contradict each other, and neither is believed.
    async fn absent(&self, endpoint: &Endpoint, target: Target<'_>) -> RegistryError {
        match self.again(move || self.get(endpoint, target)).await {
            Ok(_) => malformed(&endpoint.host, "404 to a HEAD, and a manifest to a GET of the same name"),
            Err(error) => error,
        }
    }

    /// The digest in the header; `None` where only a GET can tell.
    async fn head(&self, endpoint: &Endpoint, target: Target<'_>) -> Result<Option<Digest>, Failure> {
        let path = endpoint.manifest(target);
        let response = self.auth.send(endpoint, &Read { method: Method::HEAD, path: &path, accept: ACCEPT }).await?;
        if matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            return Ok(None);
        }
        let response = success(response).await?;
        media_type(endpoint, &response)?;
        let claimed = claimed(endpoint, &response)?;
        Ok(match target {
            Target::Tag(_) => claimed,
            // Another algorithm may name the same bytes; only a GET can tell.
            Target::Digest(asked) => match claimed {
                Some(claimed) if claimed.algorithm() != asked.algorithm() => None,
                Some(claimed) if claimed != *asked => {
                    let detail = format!("asked for {asked}, its header names {claimed}");
                    return Err(malformed(&endpoint.host, &detail).into());
                }
                claimed => claimed,
            },
        })
    }

    pub(super) async fn get(&self, endpoint: &Endpoint, target: Target<'_>) -> Result<Manifest, Failure> {
        let path = endpoint.manifest(target);
        let response = self.auth.send(endpoint, &Read { method: Method::GET, path: &path, accept: ACCEPT }).await?;
        let response = success(response).await?;
        let media_type = media_type(endpoint, &response)?;
        if let Some(encoding) = response.header("content-encoding")?.filter(|value| *value != "identity") {
            return Err(malformed(&endpoint.host, &format!("a manifest in the encoding {encoding:?}")).into());
        }
        let claimed = claimed(endpoint, &response)?;
        let bytes = response.read(limits::MANIFEST_BYTES).await?;
        let asked = match target {
            Target::Digest(digest) => Some(digest),
            Target::Tag(_) => None,
        };
        for expected in asked.into_iter().chain(&claimed) {
            check_bytes(endpoint, expected, &bytes)?;
        }
        self.auth.check_echo(endpoint, &bytes)?;
        check_body(&endpoint.host, &media_type, &bytes)?;
        let algorithm = asked.or(claimed.as_ref()).map_or(Algorithm::Sha256, Digest::algorithm);
        Ok(Manifest::hashed(algorithm, media_type, bytes))
    }

    async fn read(&self, endpoint: &Endpoint, digest: &Digest, limit: usize) -> Result<Bytes, RegistryError> {
        self.again(move || self.read_blob(endpoint, digest, limit)).await
    }

    async fn read_blob(&self, endpoint: &Endpoint, digest: &Digest, limit: usize) -> Result<Bytes, Failure> {
        let path = endpoint.blob(digest);
        let response = self.auth.send(endpoint, &Read { method: Method::GET, path: &path, accept: "*/*" }).await?;
        let bytes = success(response).await?.read(limit).await?;
        check_bytes(endpoint, digest, &bytes)?;
        self.auth.check_echo(endpoint, &bytes)?;
        Ok(bytes)
    }

    /// Tries what may get better, a bounded number of times, no sooner than the registry says.
    pub(super) async fn again<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut tried = 1;
        loop {
            let failure = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = failure.wait.unwrap_or_else(|| self.deadlines.backoff * (1 << (tried - 1).min(8)));
            if !failure.again || tried >= self.deadlines.attempts || wait > self.deadlines.retry_after {
                return Err(self.auth.cleanse(failure.error));
            }
            tried += 1;
            tokio::time::sleep(jittered(wait, failure.wait.is_some())).await;
        }
    }
}

impl Registry for Http {
    fn name<'a>(&'a self, repository: &'a Repository, target: Target<'a>, want: Want) -> Answer<'a, Named> {
        Box::pin(async move {
            let mut passed = Passed::default();
            let mut endpoints = Endpoint::all(&self.settings, repository);
            endpoints.retain(|endpoint| endpoint.serves(target));
            // Where the registry itself is asked last, a mirror's "not found" need not be sure.
            let only_mirrors = endpoints.iter().all(|endpoint| endpoint.mirror);
            for endpoint in endpoints {
                match self.named(&endpoint, target, want, only_mirrors || !endpoint.mirror).await {
                    Err(error) if endpoint.mirror => passed.by(error)?,
                    answer => return answer,
                }
            }
            Err(passed.last_word(repository))
        })
    }

    fn blob<'a>(&'a self, repository: &'a Repository, digest: &'a Digest, limit: usize) -> Answer<'a, Bytes> {
        Box::pin(async move {
            let mut passed = Passed::default();
            for endpoint in Endpoint::all(&self.settings, repository) {
                if !endpoint.serves(Target::Digest(digest)) {
                    continue;
                }
                match self.read(&endpoint, digest, limit).await {
                    Err(error) if endpoint.mirror => passed.by(error)?,
                    answer => return answer,
                }
            }
            Err(passed.last_word(repository))
        })
    }

    fn unpacked<'a>(&'a self, repository: &'a Repository, layer: Packed<'a>) -> Answer<'a, Unpacked> {
        Box::pin(layers::unpacked(self, repository, layer))
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
        kind: Option<&'a str>,
    ) -> Answer<'a, Referrers> {
        Box::pin(referrers::list(self, repository, subject, kind))
    }

    fn done_with(&self, repository: &Repository) {
        for endpoint in Endpoint::all(&self.settings, repository) {
            self.auth.forget(&endpoint);
        }
    }
}

/// What the mirrors said that could not answer.
#[derive(Default)]
pub(super) struct Passed {
    not_found: Option<RegistryError>,
    failed: Option<RegistryError>,
}

impl Passed {
    /// Takes note of an error that the next place may not have; one that tells of a lie ends the matter.
    pub(super) fn by(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        match error {
            RegistryError::NotFound { .. } => self.not_found = Some(error),
            RegistryError::Unreachable { .. }
            | RegistryError::TimedOut { .. }
            | RegistryError::RateLimited { .. }
            | RegistryError::Unauthorized { .. }
            | RegistryError::Forbidden { .. }
            // A token server that may not be asked lets nobody in, either.
            | RegistryError::Refused { .. }
            | RegistryError::Status { .. } => self.failed = Some(error),
            error => return Err(error),
        }
        Ok(())
    }

    /// "Not found" only where every place said so.
    pub(super) fn last_word(self, repository: &Repository) -> RegistryError {
        let nobody = || RegistryError::Refused { reason: format!("no mirror can hold {repository}") };
        self.failed.or(self.not_found).unwrap_or_else(nobody)
    }
}

pub(super) async fn success(response: Response) -> Result<Response, Failure> {
    if response.status() == StatusCode::OK { Ok(response) } else { Err(response.failure().await) }
}

/// One of the four media types of a manifest, without parameters.
fn media_type(endpoint: &Endpoint, response: &Response) -> Result<String, RegistryError> {
    let text = response.header("content-type")?.ok_or_else(|| malformed(&endpoint.host, "no Content-Type"))?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    check_media_type(&endpoint.host, &essence)?;
    Ok(essence)
}

/// The digest that the header names; one that is not a digest is no answer.
fn claimed(endpoint: &Endpoint, response: &Response) -> Result<Option<Digest>, RegistryError> {
    let Some(text) = response.header(DIGEST_HEADER)? else { return Ok(None) };
    Digest::parse(text)
        .map(Some)
        .map_err(|error| malformed(&endpoint.host, &format!("its digest header is not one: {error}")))
}

fn check_bytes(endpoint: &Endpoint, expected: &Digest, bytes: &[u8]) -> Result<(), RegistryError> {
    let found = Digest::hash(expected.algorithm(), bytes);
    if found == *expected {
        return Ok(());
    }
    Err(RegistryError::WrongBytes { place: endpoint.host.clone(), expected: expected.clone(), found })
}

/// Up to a quarter longer, so that many who wait don't return at once; a quarter shorter only where no wait was named.
fn jittered(wait: Duration, named: bool) -> Duration {
    let random = u32::try_from(RandomState::new().hash_one(0) % 1_000).expect("below a thousand");
    let quarter = wait / 4;
    let shortest = if named { wait } else { quarter * 3 };
    shortest + (wait + quarter).saturating_sub(shortest) * random / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_wait_is_never_shortened() {
        let wait = Duration::from_secs(4);
        for _ in 0..200 {
            assert!((wait..=wait * 5 / 4).contains(&jittered(wait, true)));
            assert!((wait * 3 / 4..=wait * 5 / 4).contains(&jittered(wait, false)));
        }
    }
}
