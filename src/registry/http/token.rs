//! One token: which realm may be asked for it, with what, and how long it serves.
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
use crate::registry::credentials::{Credential, Credentials, Secret};
use crate::registry::http::challenge::{self, Challenge};
use crate::registry::http::client::{Ask, Client, Failure, Response};
use crate::registry::http::endpoint::{Endpoint, Tls};
use crate::registry::settings::Scheme;

/// How long a token lives that does not say so (distribution, `docs/content/spec/auth/token.md`).
const LIFE: Duration = Duration::from_secs(60);
/// The longest life that is believed; beyond it a 401 renews the token anyway.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A header that is good for a while.
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    pub(crate) until: Instant,
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

/// A token that reads the endpoint's repository.
pub(crate) async fn issue(
    client: &Client,
    credentials: &Credentials,
    endpoint: &Endpoint,
    scheme: Scheme,
    challenge: &Challenge,
) -> Result<Token, Failure> {
    let Challenge::Bearer { realm, service } = challenge else {
        unreachable!("only a bearer challenge leads to a token")
    };
    let registry = endpoint.url(scheme, "/v2/")?;
    let realm = challenge::realm(realm, &registry, endpoint.plain()).map_err(|error| {
        let host = Url::parse(realm).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        RegistryError::Refused { reason: format!("{}: {error} ({host})", endpoint.host) }
    })?;
    let credential = credentials.find(&endpoint.host, &endpoint.path).await?;
    if let Some(Credential::RegistryToken(token)) = &credential {
        return Ok(Token { header: bearer(token)?, until: Instant::now() + LONGEST_LIFE });
    }
    let place = realm.host_str().unwrap_or_default().to_owned();
    let asked = Instant::now();
    let response = client.send(token_ask(endpoint, &registry, realm, service.as_deref(), credential)?).await?;
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
    Ok(Token { header, until: asked + usable(seconds(&answer.expires_in)) })
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
