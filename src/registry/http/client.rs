//! One request with its redirects, deadline and limit; the only place where a connection is made.
//! It follows redirects by hand, so that no credential and no address slips through one.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::limits;
use crate::registry::RegistryError;
use crate::registry::content::{malformed, plain};
use crate::registry::credentials::Secret;
use crate::registry::http::address::{Filter, Forbidden, admit};
use crate::registry::http::pace::{Outcome, Why};
use crate::registry::http::permit::{Permit, Permits, Place};
use crate::registry::http::pool::Pools;
use crate::registry::http::quota::{Quota, Quotas};
use crate::registry::http::secrets::Secrets;
use crate::registry::http::tls::Tls;
use crate::registry::http::{Deadlines, Proxies};
use crate::registry::settings::is_loopback;

/// The requests of a run, over one pool of connections for each way to verify TLS.
pub(crate) struct Client {
    deadlines: Deadlines,
    filter: Filter,
    pools: Pools,
    quotas: Quotas,
    permits: Arc<Permits>,
    secrets: Arc<Secrets>,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Ask {
    /// Who is asked, in messages.
    pub(crate) place: String,
    /// The registry whose credentials it carries.
    pub(crate) owner: String,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) tls: Tls,
    /// Whether the place is on this machine.
    pub(crate) loopback: bool,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) accept: &'static str,
    /// The body of a form.
    pub(crate) form: Option<String>,
    /// Redirects that may be followed; with none, a redirect is an answer like any other.
    pub(crate) redirects: usize,
}

/// A failed attempt, and whether another one may help.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: RegistryError,
    pub(crate) again: bool,
    /// The wait that the other side asked for.
    pub(crate) wait: Option<Duration>,
    /// Nothing at all was spoken with the place itself: no connection, or no TLS.
    pub(crate) unconnected: bool,
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self { error, again: false, wait: None, unconnected: false }
    }
}

/// The head of an answer; its body is still on the wire.
pub(crate) struct Response {
    inner: reqwest::Response,
    place: String,
    deadline: Instant,
    after: Duration,
    /// Time for the body of a layer.
    layer: Duration,
    /// Held until the body is read or let go.
    permit: Permit,
    /// Whether a redirect led to another origin.
    pub(crate) left: bool,
    /// Whether nothing is stored for the place that one could log in with.
    pub(crate) anonymous: bool,
    /// Whether a credential came along.
    pub(crate) authorized: bool,
    secrets: Arc<Secrets>,
}

impl Client {
    pub(crate) fn new(deadlines: Deadlines, proxies: Proxies, filter: Filter) -> Self {
        let filter = filter.and(proxies.places());
        let pools = Pools::new(deadlines.connect, proxies, filter.clone());
        let permits = Permits::new(limits::CONCURRENCY);
        Self { deadlines, filter, pools, quotas: Quotas::default(), permits, secrets: Arc::default() }
    }

    /// What the hosts said so far that they still grant.
    pub(crate) fn quotas(&self) -> Vec<Quota> {
        self.quotas.all()
    }

    /// The error without anything that was sent in confidence.
    pub(crate) fn cleanse(&self, error: RegistryError) -> RegistryError {
        self.secrets.cleanse(error)
    }

    /// Takes note of a stored token of the registry `owner`.
    pub(crate) fn keep(&self, owner: &str, token: &Secret) {
        self.secrets.keep(owner, token);
    }

    /// An error where `content` repeats a secret that the registry `owner` was sent.
    pub(crate) fn check_echo(&self, owner: &str, content: &[u8]) -> Result<(), RegistryError> {
        if self.secrets.repeats(owner, content) {
            return Err(malformed(owner, "it holds the password or token that was sent to it"));
        }
        Ok(())
    }

    /// With at most `jobs` requests under way at once.
    pub(crate) fn at_once(&self, jobs: usize) {
        self.permits.bound(jobs);
    }

    /// Sends `ask`, when it is its turn, and follows its redirects, until the head of an answer is there.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Response, Failure> {
        self.send_at(Place::Last, ask).await
    }

    /// As [`Client::send`], before all others that wait for the same host.
    pub(crate) async fn send_first(&self, ask: Ask) -> Result<Response, Failure> {
        self.send_at(Place::First, ask).await
    }

    async fn send_at(&self, turn: Place, ask: Ask) -> Result<Response, Failure> {
        let after = self.deadlines.request;
        let place = ask.place.clone();
        let origin = ask.url.origin().ascii_serialization();
        let authorized = ask.authorization.is_some();
        let mut permit = self.permits.take(&origin, turn).await.map_err(|why| given_up(&place, why))?;
        let deadline = Instant::now() + after;
        let answer = timeout_at(deadline, self.follow(ask)).await;
        let (inner, left) = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => {
                permit.says(outcome_of(&failure.error));
                return Err(failure);
            }
            Err(_) => {
                permit.says(Outcome::Failed);
                return Err(timed_out(place, after));
            }
        };
        permit.says(outcome_of_status(inner.status()));
        if matches!(inner.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            && let Some(wait) = retry_after(inner.headers(), SystemTime::now())
            && wait <= self.deadlines.retry_after
        {
            permit.rest(wait);
        }
        let secrets = Arc::clone(&self.secrets);
        let layer = self.deadlines.layer;
        Ok(Response { inner, place, deadline, after, layer, permit, left, anonymous: false, authorized, secrets })
    }

    /// The answer at the end of all redirects, and whether another origin gave it.
    async fn follow(&self, ask: Ask) -> Result<(reqwest::Response, bool), Failure> {
        let Ask { place, owner, method, mut url, mut tls, loopback, mut authorization, accept, form, redirects } = ask;
        self.secrets.note(&owner, authorization.as_ref(), form.as_deref());
        let mut left = false;
        let first = url.origin();
        for hop in 0..=redirects {
            // Where a redirect leads is the other side's choice: it opens nothing of this machine, except that a
            // registry of this machine may send us to what the settings declare.
            let own = url.origin() == first;
            let declared = (hop == 0 || loopback) && self.filter.declares(&url);
            admit(&url, (own && loopback) || declared).map_err(|forbidden| match hop {
                0 => refused(&forbidden),
                _ => RegistryError::Refused { reason: format!("{place} redirects to another place, and {forbidden}") },
            })?;
            let pool = self.pools.get(&tls, &url, own || declared)?;
            let mut request = pool
                .request(method.clone(), url.clone())
                .header(header::ACCEPT, accept)
                .header(header::ACCEPT_ENCODING, "identity");
            if let Some(value) = &authorization {
                request = request.header(header::AUTHORIZATION, value.clone());
            }
            if let Some(form) = &form {
                request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
            }
            let inner = request.send().await.map_err(|error| {
                let failure = failed(&place, error, self.deadlines);
                // Where a redirect leads says nothing about how the registry itself speaks.
                Failure { unconnected: failure.unconnected && hop == 0, ..failure }
            })?;
            if !left {
                self.quotas.note(&place, &method, inner.headers());
            }
            if redirects == 0 || !is_redirect(inner.status()) {
                return Ok((inner, left));
            }
            let next = next(&place, &url, inner.headers())?;
            if next.origin() != url.origin() {
                authorization = None;
                left = true;
                tls = tls.elsewhere();
            }
            url = next;
        }
        Err(malformed(&place, &format!("more than {redirects} redirects")).into())
    }
}

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// Where the answer came from, redirects followed.
    pub(crate) fn url(&self) -> &Url {
        self.inner.url()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The one value of a header; two that differ, or bytes that are no text, are no answer.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, RegistryError> {
        let mut values = self.headers().get_all(name).iter();
        let Some(first) = values.next() else { return Ok(None) };
        if values.any(|value| value != first) {
            return Err(malformed(&self.place, &format!("two different `{name}` headers")));
        }
        let text = first.to_str().map_err(|_| malformed(&self.place, &format!("its `{name}` header is no text")))?;
        Ok(Some(text))
    }

    /// The body, read in pieces against `limit`, whatever its announced length.
    pub(crate) async fn read(mut self, limit: usize) -> Result<Bytes, Failure> {
        let too_large = || RegistryError::TooLarge { place: self.place.clone(), limit };
        if self.inner.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large().into());
        }
        let too_large = too_large();
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > limit {
                return Err(too_large.into());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The body of a layer, sent on piece by piece for as long as it makes headway, or until nobody wants more of it.
    /// The time that the receiver takes is not the registry's.
    pub(crate) async fn pour(mut self, to: &mpsc::Sender<Bytes>) -> Result<(), Failure> {
        let (end, whole, stall) = (Instant::now() + self.layer, self.layer, self.after);
        let (mut patience, mut wanted) = (stall, limits::LAYER_PROGRESS);
        loop {
            let since = Instant::now();
            (self.deadline, self.after) = match since + patience {
                headway if headway < end => (headway, stall),
                _ => (end, whole),
            };
            let Some(piece) = self.piece().await? else { return Ok(()) };
            patience = patience.saturating_sub(since.elapsed());
            wanted = wanted.saturating_sub(piece.len());
            if wanted == 0 {
                (patience, wanted) = (stall, limits::LAYER_PROGRESS);
            }
            if to.send(piece).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        match timeout_at(self.deadline, self.inner.chunk()).await {
            Err(_) => {
                self.permit.says(Outcome::Failed);
                Err(timed_out(self.place.clone(), self.after))
            }
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => {
                self.permit.says(Outcome::Failed);
                let detail = format!("its answer breaks off: {}", chain(&error.without_url()));
                let error = RegistryError::Unreachable { host: self.place.clone(), detail };
                Err(Failure { again: true, ..error.into() })
            }
        }
    }

    /// Reads a short body to its end, because an unread one costs an HTTP/1.1 connection; a long one is let go.
    pub(crate) async fn drain(mut self) {
        let mut left = limits::ERROR_BYTES;
        let end = Instant::now() + limits::DRAIN;
        while let Ok(Ok(Some(piece))) = timeout_at(end, self.inner.chunk()).await {
            if piece.len() > left {
                break;
            }
            left -= piece.len();
        }
    }

    /// What an answer without success means, with the registry's own words.
    pub(crate) async fn failure(mut self) -> Failure {
        let (status, place) = (self.status(), self.place.clone());
        let wait = retry_after(self.headers(), SystemTime::now());
        let detail = self.message().await;
        let host = place.clone();
        let again = matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504);
        let error = match status {
            StatusCode::UNAUTHORIZED if self.authorized && !self.anonymous => RegistryError::Unauthorized {
                host,
                detail: format!("{detail}; those that are stored for it were refused"),
            },
            StatusCode::UNAUTHORIZED => RegistryError::Unauthorized { host, detail },
            StatusCode::BAD_REQUEST if self.is_plain_here() => {
                let detail = format!("{detail}, in plain http, as it is this machine; for TLS name a `ca` for it");
                RegistryError::Status { host, status: status.as_u16(), detail }
            }
            StatusCode::FORBIDDEN => RegistryError::Forbidden { host, detail },
            // Elsewhere, nobody speaks for the registry: a login page or a storage that lacks a file.
            StatusCode::NOT_FOUND if self.left => {
                let detail = format!("{detail}, from where it redirects to");
                RegistryError::Status { host, status: status.as_u16(), detail }
            }
            StatusCode::NOT_FOUND => RegistryError::NotFound { place },
            StatusCode::TOO_MANY_REQUESTS => {
                RegistryError::RateLimited { host, retry_after: wait, anonymous: self.anonymous }
            }
            status => RegistryError::Status { host, status: status.as_u16(), detail },
        };
        Failure { error, again, wait, unconnected: false }
    }

    /// Whether this machine answered, spoken to in plain http.
    fn is_plain_here(&self) -> bool {
        let url = self.url();
        let host = url.host_str().unwrap_or_default();
        url.scheme() == "http" && is_loopback(host)
    }

    /// The first message of an error envelope (distribution-spec, "Error Codes"), else the status in words.
    async fn message(&mut self) -> String {
        let mut body = Vec::new();
        while body.len() < limits::ERROR_BYTES {
            match self.piece().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                _ => break,
            }
        }
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let first = &value["errors"][0];
        let said = ["message", "code"].iter().find_map(|key| first[key].as_str().filter(|text| !text.is_empty()));
        let said = said.or_else(|| self.status().canonical_reason()).unwrap_or("no reason given");
        plain(&self.secrets.hide(said))
    }
}

/// What the HTTP library says around a cause that says it better.
const AROUND: [&str; 5] = [
    "error sending request",
    "client error (Connect)",
    "client error (SendRequest)",
    "error decoding response body",
    "error reading a body from connection",
];

/// An error with its causes, without a URL.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        cause = error.source();
        let said = error.to_string();
        if text.contains(&said) || (cause.is_some() && AROUND.contains(&said.as_str())) {
            continue;
        }
        let between = if text.is_empty() { "" } else { ": " };
        text = format!("{text}{between}{said}");
    }
    plain(&text)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, unless it may not be followed.
fn next(place: &str, url: &Url, headers: &HeaderMap) -> Result<Url, RegistryError> {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    let next = next.ok_or_else(|| malformed(place, "a redirect to nowhere"))?;
    let refuse = |what: &str| Err(RegistryError::Refused { reason: format!("{place} redirects to {what}") });
    match (url.scheme(), next.scheme()) {
        ("https", "http") => return refuse("plain http"),
        (_, "http" | "https") => {}
        _ => return refuse("what is neither http nor https"),
    }
    if !next.username().is_empty() || next.password().is_some() {
        return refuse("an address with a user name in it");
    }
    Ok(next)
}

fn refused(forbidden: &Forbidden) -> RegistryError {
    RegistryError::Refused { reason: forbidden.to_string() }
}

fn unreachable(place: &str, error: &dyn Error) -> RegistryError {
    let said = chain(error);
    let detail = if said.contains("UnknownIssuer") {
        format!("{said}: its authority is not known to this machine; name it by `ca`, or in certs.d")
    } else {
        said
    };
    RegistryError::Unreachable { host: place.to_owned(), detail }
}

fn timed_out(host: String, after: Duration) -> Failure {
    // Whoever was silent for the whole deadline is not asked again: three deadlines would be minutes.
    RegistryError::TimedOut { host, after }.into()
}

fn given_up(place: &str, why: Why) -> Failure {
    let host = place.to_owned();
    let detail = match why {
        Why::Limited => return RegistryError::RateLimited { host, retry_after: None, anonymous: false }.into(),
        Why::Failed => "it has failed again and again, and is asked no more in this run".to_owned(),
        Why::Slow => {
            let minutes = limits::HOST_TIME.as_secs() / 60;
            format!("it has taken {minutes} minutes of this run, which is all that one host gets")
        }
    };
    RegistryError::Unreachable { host, detail }.into()
}

/// What an answer's status says of the host's strength; an answer that nobody likes is an answer.
fn outcome_of_status(status: StatusCode) -> Outcome {
    match status.as_u16() {
        429 => Outcome::Limited,
        502..=504 => Outcome::Failed,
        // Not implemented: an answer about one kind of request.
        501 => Outcome::Unclear,
        500.. => Outcome::Broken,
        _ => Outcome::Served,
    }
}

fn outcome_of(error: &RegistryError) -> Outcome {
    match error {
        RegistryError::TimedOut { .. } | RegistryError::Unreachable { .. } => Outcome::Failed,
        _ => Outcome::Unclear,
    }
}

fn failed(place: &str, error: reqwest::Error, deadlines: Deadlines) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(forbidden) = error.downcast_ref::<Forbidden>() {
            return refused(forbidden).into();
        }
        cause = error.source();
    }
    if error.is_timeout() {
        let unconnected = error.is_connect();
        return Failure { unconnected, ..timed_out(place.to_owned(), deadlines.connect) };
    }
    // A refused connection or a bad certificate stays what it is; a reset may not.
    let unconnected = error.is_connect();
    Failure { again: !unconnected, unconnected, ..unreachable(place, &error.without_url()).into() }
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let rows = [
            ("7", Some(7)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ];
        for (text, seconds) in rows {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
