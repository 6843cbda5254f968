//! Who asks: the challenge of a host, learnt once from its first answer, and one token for each repository.
//! A request is sent again only after an answer that taught something, and never more often than there is to learn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use crate::limits;
use crate::registry::RegistryError;
use crate::registry::credentials::{Credential, Credentials};
use crate::registry::http::challenge::{self, Challenge};
use crate::registry::http::client::{Ask, Client, Failure, Response};
use crate::registry::http::desk::{Desk, Pass};
use crate::registry::http::endpoint::{Endpoint, Speech};
use crate::registry::http::quota::Quota;
use crate::registry::http::tls::Tls;
use crate::registry::http::token;
use crate::registry::settings::Scheme;

/// How often one request is sent at most: without a token, with one that is no longer good or that others share, and
/// with one of its own.
const TRIES: u32 = 3;

/// Requests with the right credentials.
pub(crate) struct Auth {
    client: Arc<Client>,
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
struct Host {
    known: Mutex<Option<Known>>,
    first: tokio::sync::Mutex<First>,
    desk: Arc<Desk>,
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

/// What came of the first contact with a host that taught nothing about it.
#[derive(Default)]
enum First {
    #[default]
    Open,
    /// No connection, for all who were waiting when it failed.
    Unconnected { at: Instant, failure: Failure },
    /// Something that may be one repository's own: nobody speaks for the others any more.
    Astray,
}

/// One read of a repository.
#[derive(Clone)]
pub(crate) struct Read<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) accept: &'static str,
}

impl Auth {
    pub(crate) fn new(client: Client, credentials: Credentials) -> Self {
        Self { client: Arc::new(client), credentials, hosts: Mutex::default() }
    }

    /// With at most `jobs` requests under way at once.
    pub(crate) fn at_once(self, jobs: usize) -> Self {
        self.client.at_once(jobs);
        self
    }

    /// The error without anything that was sent in confidence.
    pub(crate) fn cleanse(&self, error: RegistryError) -> RegistryError {
        self.client.cleanse(error)
    }

    /// An error where `content` repeats a secret that the endpoint was sent: neither a report nor the cache may hold it.
    pub(crate) fn check_echo(&self, endpoint: &Endpoint, content: &[u8]) -> Result<(), RegistryError> {
        self.client.check_echo(&endpoint.host, content)
    }

    /// What the hosts said so far that they still grant.
    pub(crate) fn quotas(&self) -> Vec<Quota> {
        self.client.quotas()
    }

    /// Sends `read` to `endpoint`, with what it asks for. A 401 that comes back is the last word.
    pub(crate) async fn send(&self, endpoint: &Endpoint, read: &Read<'_>) -> Result<Response, Failure> {
        let mut answer = self.exchange(endpoint, read).await;
        // Who is limited wants to know whether logging in would help.
        match &mut answer {
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
                response.anonymous = self.anonymous(endpoint).await;
            }
            Ok(response) if response.status() == StatusCode::UNAUTHORIZED && response.authorized => {
                response.anonymous = self.anonymous(endpoint).await;
            }
            Err(Failure { error: RegistryError::RateLimited { anonymous, .. }, .. }) => {
                *anonymous = self.anonymous(endpoint).await;
            }
            _ => {}
        }
        answer
    }

    async fn anonymous(&self, endpoint: &Endpoint) -> bool {
        matches!(self.credentials.find(&endpoint.host, &endpoint.path).await, Ok(None))
    }

    async fn exchange(&self, endpoint: &Endpoint, read: &Read<'_>) -> Result<Response, Failure> {
        let host = self.host(endpoint);
        let known = match host.known() {
            Some(known) => known,
            None => match self.meet(endpoint, &host, read).await? {
                Met::Answer(response) => return Ok(*response),
                Met::Known(known) => known,
            },
        };
        let mut asks = known.asks.clone();
        let mut tried = 0;
        loop {
            let pass = match &asks {
                Asks::Nothing => None,
                Asks::For(challenge) => Some(self.pass(endpoint, &host, known.scheme, challenge).await?),
            };
            let header = pass.as_ref().map(|pass| pass.header.clone());
            let response = self.client.send(ask(endpoint, known.scheme, read, header)?).await?;
            tried += 1;
            if tried == TRIES || response.left || !host.teaches(endpoint, &response, &asks, pass.as_ref()) {
                return Ok(response);
            }
            if let Some(asked) = challenge_of(&response) {
                if matches!(asks, Asks::Nothing) && self.may_follow(endpoint, known.scheme, &asked).await {
                    host.learn(Known { scheme: known.scheme, asks: Asks::For(asked.clone()) });
                }
                asks = Asks::For(asked);
            }
            response.drain().await;
        }
    }

    /// Lets go of the token of a repository that is asked for no more.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        self.host(endpoint).desk.forget(endpoint);
    }

    fn host(&self, endpoint: &Endpoint) -> Arc<Host> {
        let Endpoint { address, tls, speech, .. } = endpoint.clone();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(Host {
                known: Mutex::default(),
                first: tokio::sync::Mutex::default(),
                desk: Desk::new(Arc::clone(&self.client)),
            })
        };
        Arc::clone(hosts.entry(Door { address, tls, speech }).or_insert_with(new))
    }

    /// The first request to a host stands for the question what it asks for; the others wait for its answer.
    async fn meet(&self, endpoint: &Endpoint, host: &Host, read: &Read<'_>) -> Result<Met, Failure> {
        let since = Instant::now();
        let mut first = host.first.lock().await;
        if let Some(known) = host.known() {
            return Ok(Met::Known(known));
        }
        match &*first {
            First::Unconnected { at, failure } if *at >= since => return Err(failure.clone()),
            First::Astray => {
                drop(first);
                return self.first(endpoint, host, read).await;
            }
            First::Open | First::Unconnected { .. } => {}
        }
        let met = self.first(endpoint, host, read).await;
        match &met {
            Err(failure) if failure.unconnected => {
                *first = First::Unconnected { at: Instant::now(), failure: failure.clone() };
            }
            // One repository's bad answer must not be everybody's, nor may the others wait for it one by one.
            _ if host.known().is_none() => *first = First::Astray,
            _ => {}
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
            let may = self.may_follow(endpoint, scheme, &challenge).await;
            let known = Known { scheme, asks: Asks::For(challenge) };
            if may {
                host.learn(known.clone());
            }
            response.drain().await;
            return Ok(Met::Known(known));
        }
        if status == StatusCode::TOO_MANY_REQUESTS || (status.is_server_error() && status.as_u16() != 501) {
            return Err(response.failure().await);
        }
        host.learn(Known { scheme, asks: Asks::Nothing });
        Ok(Met::Answer(Box::new(response)))
    }

    /// Whether a challenge can lead anywhere; one that can't is the repository's own and says nothing of the host.
    async fn may_follow(&self, endpoint: &Endpoint, scheme: Scheme, challenge: &Challenge) -> bool {
        match challenge {
            Challenge::Bearer { realm, .. } => endpoint.url(scheme, "/v2/").is_ok_and(|registry| {
                let declared = endpoint.realms.iter().map(|(url, _)| url);
                challenge::realm(realm, &registry, endpoint.plain(), declared).is_ok()
            }),
            Challenge::Basic => {
                let stored = self.credentials.find(&endpoint.host, &endpoint.path).await;
                !matches!(stored, Ok(None | Some(Credential::IdentityToken(_) | Credential::RegistryToken(_))))
            }
        }
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
            return host.desk.pass(&self.credentials, endpoint, scheme, challenge).await;
        }
        match self.credentials.find(&endpoint.host, &endpoint.path).await? {
            None => Err(unauthorized("no credentials are stored for it")),
            Some(Credential::Basic { user, password }) => {
                Ok(Pass { header: token::basic(&user, &password)?, new: true, shared: false })
            }
            Some(_) => Err(unauthorized("it wants a password, and a token is stored")),
        }
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

    /// Whether an answer tells of a better way to ask; what is no longer good is taken out of use.
    fn teaches(&self, endpoint: &Endpoint, response: &Response, asks: &Asks, pass: Option<&Pass>) -> bool {
        let asked = challenge_of(response);
        match (response.status(), asks, pass) {
            (StatusCode::UNAUTHORIZED, Asks::Nothing, _) => asked.is_some(),
            (StatusCode::UNAUTHORIZED, Asks::For(Challenge::Basic), _) => false,
            (StatusCode::UNAUTHORIZED, Asks::For(used), Some(pass)) => {
                let Some(asked) = asked else { return false };
                let used = self.desk.challenge(endpoint).unwrap_or_else(|| used.clone());
                // What was made for this very request would be made no better a second time.
                if pass.new && !pass.shared && used == asked {
                    return false;
                }
                self.desk.refused(endpoint, pass, Some(&asked));
                true
            }
            // The neighbours in its token are no reason to go without.
            (StatusCode::FORBIDDEN, Asks::For(_), Some(pass)) if pass.shared => {
                self.desk.refused(endpoint, &Pass { new: true, ..pass.clone() }, None);
                true
            }
            _ => false,
        }
    }
}

fn challenge_of(response: &Response) -> Option<Challenge> {
    let values = response.headers().get_all(reqwest::header::WWW_AUTHENTICATE);
    Challenge::parse(values.iter().filter_map(|value| value.to_str().ok()))
}

fn ask(endpoint: &Endpoint, scheme: Scheme, read: &Read<'_>, pass: Option<HeaderValue>) -> Result<Ask, RegistryError> {
    Ok(Ask {
        place: endpoint.host.clone(),
        owner: endpoint.host.clone(),
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
