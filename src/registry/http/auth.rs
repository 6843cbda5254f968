//! Who asks: the challenge of a host, learnt once from its first answer, and one token for each repository.
//! A failed token endpoint is an error, never "anonymous"; what is not plainly the registry's own realm is not asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::limits;
use crate::registry::RegistryError;
use crate::registry::credentials::{Credential, Credentials, Secret};
use crate::registry::http::challenge::{self, Challenge};
use crate::registry::http::client::{Ask, Client, Failure, Response};
use crate::registry::http::endpoint::{Endpoint, Speech, Tls};
use crate::registry::settings::Scheme;

/// How long a token lives that does not say so (distribution, `docs/content/spec/auth/token.md`).
const LIFE: Duration = Duration::from_secs(60);
/// The longest life that is believed; beyond it a 401 renews the token anyway.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Requests with the right credentials.
pub(crate) struct Auth {
    client: Client,
    credentials: Credentials,
    hosts: Mutex<HashMap<Door, Arc<Host>>>,
}

/// What is one host: the same address with other settings is another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Door {
    address: String,
    tls: Tls,
    speech: Speech,
}

/// What has been learnt of one host in this run.
#[derive(Default)]
struct Host {
    known: Mutex<Option<Known>>,
    first: tokio::sync::Mutex<Option<Failed>>,
    tokens: Mutex<HashMap<String, Arc<Desk>>>,
}

/// How a host wants to be asked.
#[derive(Clone)]
struct Known {
    scheme: Scheme,
    asks: Asks,
}

#[derive(Clone)]
enum Asks {
    Nothing,
    For(Challenge),
}

/// Where the tokens of one repository are handed out, one at a time.
#[derive(Default)]
struct Desk {
    slot: tokio::sync::Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    failed: Option<Failed>,
    /// The challenge of this repository, where it differs from its host's.
    challenge: Option<Challenge>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

/// A failure, for all who were waiting when it happened.
struct Failed {
    at: Instant,
    failure: Failure,
}

/// One read of a repository.
#[derive(Clone)]
pub(crate) struct Read<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) accept: &'static str,
}

/// What a token endpoint answers.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

/// A header to send, and whether it was made for this request.
struct Pass {
    header: HeaderValue,
    new: bool,
}

impl Auth {
    pub(crate) fn new(client: Client, credentials: Credentials) -> Self {
        Self { client, credentials, hosts: Mutex::default() }
    }

    /// Sends `read` to `endpoint`, with what it asks for. A 401 that comes back is the last word.
    pub(crate) async fn send(&self, endpoint: &Endpoint, read: &Read<'_>) -> Result<Response, Failure> {
        let host = self.host(endpoint);
        let known = match host.known() {
            Some(known) => known,
            None => match self.meet(endpoint, &host, read).await? {
                Met::Answer(response) => return Ok(*response),
                Met::Known(known) => known,
            },
        };
        let mut pass = match &known.asks {
            Asks::Nothing => None,
            Asks::For(challenge) => Some(self.pass(endpoint, &host, known.scheme, challenge).await?),
        };
        let header = pass.as_ref().map(|pass| pass.header.clone());
        let response = self.client.send(ask(endpoint, known.scheme, read, header)?).await?;
        if response.status() != StatusCode::UNAUTHORIZED || response.left {
            return Ok(response);
        }
        let Some(asked) = challenge_of(&response) else { return Ok(response) };
        if let (Some(pass), Asks::For(used)) = (&pass, &known.asks) {
            // What was made for this very request would be made no better a second time.
            if *used == Challenge::Basic || (pass.new && host.challenge(endpoint, used).await == asked) {
                return Ok(response);
            }
            host.revoke(endpoint, &pass.header, &asked).await;
        } else {
            host.learn(Known { scheme: known.scheme, asks: Asks::For(asked.clone()) });
        }
        drop(response);
        pass = Some(self.pass(endpoint, &host, known.scheme, &asked).await?);
        let header = pass.map(|pass| pass.header);
        self.client.send(ask(endpoint, known.scheme, read, header)?).await
    }

    fn host(&self, endpoint: &Endpoint) -> Arc<Host> {
        let Endpoint { address, tls, speech, .. } = endpoint.clone();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(Door { address, tls, speech }).or_default())
    }

    /// The first request to a host stands for the question what it asks for; the others wait for its answer.
    async fn meet(&self, endpoint: &Endpoint, host: &Host, read: &Read<'_>) -> Result<Met, Failure> {
        let since = Instant::now();
        let mut failed = host.first.lock().await;
        if let Some(known) = host.known() {
            return Ok(Met::Known(known));
        }
        if let Some(failed) = failed.as_ref().filter(|failed| failed.at >= since) {
            return Err(failed.failure.clone());
        }
        let met = self.first(endpoint, host, read).await;
        if let Err(failure) = &met {
            *failed = Some(Failed { at: Instant::now(), failure: failure.clone() });
        }
        met
    }

    async fn first(&self, endpoint: &Endpoint, host: &Host, read: &Read<'_>) -> Result<Met, Failure> {
        let (scheme, response) = match endpoint.speech {
            Speech::Http => (Scheme::Http, self.client.send(ask(endpoint, Scheme::Http, read, None)?).await?),
            Speech::Https => (Scheme::Https, self.client.send(ask(endpoint, Scheme::Https, read, None)?).await?),
            Speech::Either => match self.client.send(ask(endpoint, Scheme::Https, read, None)?).await {
                Err(failure) if failure.unconnected => {
                    (Scheme::Http, self.client.send(ask(endpoint, Scheme::Http, read, None)?).await?)
                }
                answer => (Scheme::Https, answer?),
            },
        };
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED && !response.left {
            let Some(challenge) = challenge_of(&response) else { return Err(response.failure().await) };
            let known = Known { scheme, asks: Asks::For(challenge) };
            host.learn(known.clone());
            return Ok(Met::Known(known));
        }
        if status == StatusCode::TOO_MANY_REQUESTS || (status.is_server_error() && status.as_u16() != 501) {
            return Err(response.failure().await);
        }
        host.learn(Known { scheme, asks: Asks::Nothing });
        Ok(Met::Answer(Box::new(response)))
    }

    async fn pass(
        &self,
        endpoint: &Endpoint,
        host: &Host,
        scheme: Scheme,
        challenge: &Challenge,
    ) -> Result<Pass, Failure> {
        let unauthorized = |detail: &str| {
            Failure::from(RegistryError::Unauthorized { host: endpoint.host.clone(), detail: detail.to_owned() })
        };
        if *challenge != Challenge::Basic {
            return self.token(endpoint, host, scheme, challenge).await;
        }
        match self.credentials.find(&endpoint.host).await? {
            None => Err(unauthorized("no credentials are stored for it")),
            Some(Credential::Basic { user, password }) => Ok(Pass { header: basic(&user, &password)?, new: true }),
            Some(_) => Err(unauthorized("it wants a password, and a token is stored")),
        }
    }

    /// The token of the repository: the one at hand, or a new one, asked for by one task while the others wait.
    async fn token(
        &self,
        endpoint: &Endpoint,
        host: &Host,
        scheme: Scheme,
        challenge: &Challenge,
    ) -> Result<Pass, Failure> {
        let since = Instant::now();
        let desk = host.desk(endpoint);
        let mut slot = desk.slot.lock().await;
        if let Some(token) = slot.token.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(Pass { header: token.header.clone(), new: false });
        }
        if let Some(failed) = slot.failed.as_ref().filter(|failed| failed.at >= since) {
            return Err(failed.failure.clone());
        }
        let challenge = slot.challenge.clone().unwrap_or_else(|| challenge.clone());
        match self.issue(endpoint, scheme, &challenge).await {
            Ok(token) => {
                let header = token.header.clone();
                slot.token = Some(token);
                Ok(Pass { header, new: true })
            }
            Err(failure) => {
                slot.failed = Some(Failed { at: Instant::now(), failure: failure.clone() });
                Err(failure)
            }
        }
    }

    async fn issue(&self, endpoint: &Endpoint, scheme: Scheme, challenge: &Challenge) -> Result<Token, Failure> {
        let Challenge::Bearer { realm, service } = challenge else {
            unreachable!("only a bearer challenge leads to a token")
        };
        let registry = endpoint.url(scheme, "/v2/")?;
        let realm = challenge::realm(realm, &registry, endpoint.plain()).map_err(|error| {
            let host = Url::parse(realm).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
            RegistryError::Refused { reason: format!("{}: {error} ({host})", endpoint.host) }
        })?;
        let credential = self.credentials.find(&endpoint.host).await?;
        if let Some(Credential::RegistryToken(token)) = &credential {
            return Ok(Token { header: bearer(token)?, until: Instant::now() + LONGEST_LIFE });
        }
        let place = realm.host_str().unwrap_or_default().to_owned();
        let asked = Instant::now();
        let response = self.client.send(token_ask(endpoint, &registry, realm, service.as_deref(), credential)?).await?;
        if response.status() != StatusCode::OK {
            return Err(token_failure(endpoint, &place, response).await);
        }
        let bytes = response.read(limits::TOKEN_BYTES).await?;
        let malformed = |detail: &str| RegistryError::Malformed { place: place.clone(), detail: detail.to_owned() };
        // The parser's message could quote the token.
        let answer: TokenAnswer =
            serde_json::from_slice(&bytes).map_err(|_| malformed("the token endpoint's answer is not one"))?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token = token.ok_or_else(|| malformed("the token endpoint's answer holds no token"))?;
        let header = bearer(&Secret::new(token)).map_err(|_| malformed("its token can't stand in a header"))?;
        Ok(Token { header, until: asked + usable(answer.expires_in) })
    }
}

/// What came of a first contact.
enum Met {
    /// The answer to the request, which needed nothing.
    Answer(Box<Response>),
    /// What the host asks for; the request is still to be sent.
    Known(Known),
}

impl Host {
    fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    fn desk(&self, endpoint: &Endpoint) -> Arc<Desk> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tokens.entry(endpoint.scope()).or_default())
    }

    async fn challenge(&self, endpoint: &Endpoint, host: &Challenge) -> Challenge {
        self.desk(endpoint).slot.lock().await.challenge.clone().unwrap_or_else(|| host.clone())
    }

    /// Takes the token out of use, unless another task has already replaced it.
    async fn revoke(&self, endpoint: &Endpoint, header: &HeaderValue, challenge: &Challenge) {
        let desk = self.desk(endpoint);
        let mut slot = desk.slot.lock().await;
        if slot.token.as_ref().is_some_and(|token| token.header == *header) {
            slot.token = None;
        }
        slot.challenge = Some(challenge.clone());
    }
}

fn challenge_of(response: &Response) -> Option<Challenge> {
    let values = response.headers().get_all(reqwest::header::WWW_AUTHENTICATE);
    Challenge::parse(values.iter().filter_map(|value| value.to_str().ok()))
}

fn ask(endpoint: &Endpoint, scheme: Scheme, read: &Read<'_>, pass: Option<HeaderValue>) -> Result<Ask, RegistryError> {
    Ok(Ask {
        place: endpoint.host.clone(),
        method: read.method.clone(),
        url: endpoint.url(scheme, read.path)?,
        tls: endpoint.tls.clone(),
        loopback: endpoint.loopback(),
        authorization: pass,
        accept: read.accept,
        form: None,
        redirects: limits::REDIRECTS,
    })
}

/// The request for a token: GET, or POST with a refresh token (distribution, `spec/auth/token.md` and `oauth.md`).
fn token_ask(
    endpoint: &Endpoint,
    registry: &Url,
    mut realm: Url,
    service: Option<&str>,
    credential: Option<Credential>,
) -> Result<Ask, RegistryError> {
    let own = realm.host_str() == registry.host_str();
    let tls = if endpoint.tls == Tls::Unverified && !own { Tls::System } else { endpoint.tls.clone() };
    let (mut method, mut authorization, mut form) = (Method::GET, None, None);
    let scope = endpoint.scope();
    let common = service.map(|service| ("service", service)).into_iter().chain([("scope", scope.as_str())]);
    match credential {
        Some(Credential::IdentityToken(token)) => {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            pairs.extend_pairs(common).append_pair("client_id", "plimsoll");
            pairs.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose());
            (method, form) = (Method::POST, Some(pairs.finish()));
        }
        credential => {
            realm.query_pairs_mut().extend_pairs(common);
            if let Some(Credential::Basic { user, password }) = credential {
                authorization = Some(basic(&user, &password)?);
            }
        }
    }
    let place = realm.host_str().unwrap_or_default().to_owned();
    let loopback = own && endpoint.loopback();
    // No redirects: what a token endpoint answers elsewhere, without the credentials, would be an anonymous token.
    Ok(Ask { place, method, url: realm, tls, loopback, authorization, accept: "application/json", form, redirects: 0 })
}

async fn token_failure(endpoint: &Endpoint, place: &str, response: Response) -> Failure {
    let status = response.status();
    let failure = response.failure().await;
    if matches!(failure.error, RegistryError::RateLimited { .. }) {
        return failure;
    }
    let said = match &failure.error {
        RegistryError::Unauthorized { detail, .. }
        | RegistryError::Forbidden { detail, .. }
        | RegistryError::Status { detail, .. } => detail.as_str(),
        _ => "",
    };
    let detail = format!("the token endpoint {place} answered {}: {said}", status.as_u16());
    Failure { error: RegistryError::Unauthorized { host: endpoint.host.clone(), detail }, ..failure }
}

/// How long a token is used: a tenth of its life, at most ten seconds, is kept for the way.
fn usable(expires_in: Option<f64>) -> Duration {
    let life = expires_in.filter(|seconds| *seconds > 0.0);
    let life = life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(LIFE).min(LONGEST_LIFE);
    life.saturating_sub((life / 10).min(Duration::from_secs(10)))
}

fn basic(user: &str, password: &Secret) -> Result<HeaderValue, RegistryError> {
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose()))))
}

fn bearer(token: &Secret) -> Result<HeaderValue, RegistryError> {
    sensitive(&format!("Bearer {}", token.expose()))
}

fn sensitive(text: &str) -> Result<HeaderValue, RegistryError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| RegistryError::Local {
        path: "docker config".to_owned(),
        detail: "a stored credential can't stand in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_before_they_end() {
        let rows = [
            (None, 54_000),
            (Some(300.0), 290_000),
            (Some(60.0), 54_000),
            (Some(1.0), 900),
            (Some(0.0), 54_000),
            (Some(-5.0), 54_000),
            (Some(f64::NAN), 54_000),
            (Some(1e300), 54_000),
        ];
        for (expires_in, milliseconds) in rows {
            assert_eq!(usable(expires_in).as_millis(), milliseconds, "{expires_in:?}");
        }
    }
}
