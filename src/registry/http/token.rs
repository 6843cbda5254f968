//! One token, for one repository or several: which realm may be asked for it, with what, and how long it serves.
//! A failed token endpoint is an error, never "anonymous"; what is not plainly the registry's own realm is not asked.

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
use crate::registry::content::plain;
use crate::registry::credentials::{Credential, Credentials, Secret};
use crate::registry::http::challenge::{self, Challenge, Owner};
use crate::registry::http::claim;
use crate::registry::http::client::{Ask, Client, Failure, Response};
use crate::registry::http::endpoint::Endpoint;
use crate::registry::http::tls::Tls;
use crate::registry::settings::Scheme;

/// How long a token lives that does not say so (distribution, `docs/content/spec/auth/token.md`).
const LIFE: Duration = Duration::from_secs(60);
/// The longest life that is believed; beyond it a 401 renews the token anyway.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A header that is good for a while.
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    pub(crate) until: Instant,
    /// The repositories that it claims to be for.
    claims: Vec<String>,
}

impl Token {
    /// Whether it says that it is good for the repository at `path`; a hint and no more.
    pub(crate) fn lists(&self, path: &str) -> bool {
        self.claims.iter().any(|claimed| claimed == path)
    }
}

/// What a token endpoint answers.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    /// A number by the specification; some services send it as a text, and what is neither counts as not said.
    #[serde(default)]
    expires_in: serde_json::Value,
}

/// Where tokens are asked for, and with what. Repositories with an equal one may share a request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Counter {
    /// The registry, in messages.
    host: String,
    realm: Url,
    service: Option<String>,
    tls: Tls,
    loopback: bool,
    credential: Option<Credential>,
}

impl Counter {
    /// The counter that a bearer `challenge` of the endpoint sends us to, unless it may not be asked.
    pub(crate) async fn of(
        credentials: &Credentials,
        endpoint: &Endpoint,
        scheme: Scheme,
        challenge: &Challenge,
    ) -> Result<Self, Failure> {
        let Challenge::Bearer { realm, service } = challenge else {
            let detail = "it wants a password in place of a token".to_owned();
            return Err(RegistryError::Unauthorized { host: endpoint.host.clone(), detail }.into());
        };
        let registry = endpoint.url(scheme, "/v2/")?;
        let declared = endpoint.realms.iter().map(|(url, _)| url);
        let (realm, owner) = challenge::realm(realm, &registry, endpoint.plain(), declared).map_err(|error| {
            // Without a user name that may stand in it, and without its query.
            let asked = Url::parse(realm).ok().filter(Url::has_host);
            let asked =
                asked.map(|url| format!("{}{}", url.origin().ascii_serialization(), url.path())).unwrap_or_default();
            RegistryError::Refused { reason: plain(&format!("{}: {error}{}", endpoint.host, error.advice(&asked))) }
        })?;
        let tls = match owner {
            Owner::Registry => endpoint.tls.clone(),
            Owner::Known => endpoint.tls.elsewhere(),
            Owner::Declared(at) => endpoint.realms.get(at).map(|(_, tls)| tls.clone()).unwrap_or_default(),
        };
        // A declared one on this machine is let through by its declaration.
        let loopback = matches!(owner, Owner::Registry | Owner::Known) && endpoint.loopback();
        let credential = credentials.find(&endpoint.host, &endpoint.path).await?;
        let (host, service) = (endpoint.host.clone(), service.clone());
        Ok(Self { host, realm, service, tls, loopback, credential })
    }

    /// The registry, in messages.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Where it is and what it calls itself.
    pub(crate) fn place(&self) -> (&str, Option<&str>) {
        (self.realm.as_str(), self.service.as_deref())
    }

    /// The header of a stored token, for which nobody has to be asked.
    pub(crate) fn stored(&self, client: &Client) -> Result<Option<HeaderValue>, RegistryError> {
        match &self.credential {
            Some(Credential::RegistryToken(token)) => {
                client.keep(&self.host, token);
                bearer(token).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether several repositories may stand in one request: a form has no settled way to name them.
    pub(crate) fn may_combine(&self) -> bool {
        !matches!(self.credential, Some(Credential::IdentityToken(_)))
    }

    /// How many of `paths`, from the first on, go into one request, and whether no further one would.
    pub(crate) fn fitting<'a>(&self, paths: impl Iterator<Item = &'a str>) -> (usize, bool) {
        let (mut length, mut count) = (self.realm.as_str().len(), 0);
        for path in paths {
            // `&scope=repository%3A…%3Apull`; in a path only a slash is written longer.
            length += 32 + path.len() + 2 * path.matches('/').count();
            if count > 0 && length > limits::TOKEN_URL_BYTES {
                return (count, true);
            }
            count += 1;
            if count == limits::TOKEN_SCOPES {
                return (count, true);
            }
        }
        (count, false)
    }

    /// A token that reads the repositories at `paths`.
    pub(crate) async fn issue(&self, client: &Client, paths: &[String]) -> Result<Token, Failure> {
        let place = self.realm.host_str().unwrap_or_default().to_owned();
        let asked = Instant::now();
        let response = client.send_first(self.ask(&place, paths)?).await?;
        if response.status() != StatusCode::OK {
            return Err(token_failure(&self.host, &place, response).await);
        }
        let bytes = response.read(limits::TOKEN_BYTES).await?;
        let malformed = |detail: &str| RegistryError::Malformed { place: place.clone(), detail: detail.to_owned() };
        // The parser's message could quote the token.
        let answer: TokenAnswer =
            serde_json::from_slice(&bytes).map_err(|_| malformed("the token endpoint's answer is not one"))?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token = token.ok_or_else(|| malformed("the token endpoint's answer holds no token"))?;
        if token.len() > limits::BEARER_BYTES {
            return Err(RegistryError::TooLarge { place, limit: limits::BEARER_BYTES }.into());
        }
        let claims = claim::pulls(&token).unwrap_or_default();
        let claims = claims.into_iter().filter(|claimed| paths.contains(claimed)).collect();
        let header = bearer(&Secret::new(token)).map_err(|_| malformed("its token can't stand in a header"))?;
        Ok(Token { header, until: asked + usable(seconds(&answer.expires_in)), claims })
    }

    /// The request: GET, or POST with a refresh token (distribution, `spec/auth/token.md` and `oauth.md`).
    fn ask(&self, place: &str, paths: &[String]) -> Result<Ask, RegistryError> {
        let (mut method, mut url, mut authorization, mut form) = (Method::GET, self.realm.clone(), None, None);
        let scopes: Vec<String> = paths.iter().map(|path| format!("repository:{path}:pull")).collect();
        let service = self.service.as_deref().map(|service| ("service", service));
        let common = service.into_iter().chain(scopes.iter().map(|scope| ("scope", scope.as_str())));
        match &self.credential {
            Some(Credential::IdentityToken(token)) => {
                let mut pairs = url::form_urlencoded::Serializer::new(String::new());
                pairs.extend_pairs(common).append_pair("client_id", "plimsoll");
                pairs.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose());
                (method, form) = (Method::POST, Some(pairs.finish()));
            }
            credential => {
                url.query_pairs_mut().extend_pairs(common);
                if let Some(Credential::Basic { user, password }) = credential {
                    authorization = Some(basic(user, password)?);
                }
            }
        }
        let (place, owner, tls, loopback) = (place.to_owned(), self.host.clone(), self.tls.clone(), self.loopback);
        // No redirects: what a token endpoint answers elsewhere, without the credentials, would be an anonymous token.
        let accept = "application/json";
        Ok(Ask { place, owner, method, url, tls, loopback, authorization, accept, form, redirects: 0 })
    }
}

async fn token_failure(host: &str, place: &str, response: Response) -> Failure {
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
    Failure { error: RegistryError::Unauthorized { host: host.to_owned(), detail }, ..failure }
}

fn seconds(told: &serde_json::Value) -> Option<f64> {
    told.as_f64().or_else(|| told.as_str()?.parse().ok())
}

/// How long a token is used: a tenth of its life, at most ten seconds, is kept for the way.
fn usable(expires_in: Option<f64>) -> Duration {
    let life = expires_in.filter(|seconds| *seconds > 0.0);
    let life = life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(LIFE).min(LONGEST_LIFE);
    life.saturating_sub((life / 10).min(Duration::from_secs(10)))
}

/// The header of a user name and a password.
pub(crate) fn basic(user: &str, password: &Secret) -> Result<HeaderValue, RegistryError> {
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
