//! Who asks: the challenge of a host, learnt once from its first answer, and one token for each repository.
//! A request is sent twice only after a 401 that taught something; a second 401 is the last word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use crate::limits;
use crate::registry::RegistryError;
use crate::registry::credentials::{Credential, Credentials};
use crate::registry::http::challenge::Challenge;
use crate::registry::http::client::{Ask, Client, Failure, Response};
use crate::registry::http::endpoint::{Endpoint, Speech, Tls};
use crate::registry::http::quota::Quota;
use crate::registry::http::token::{self, Token};
use crate::registry::settings::Scheme;

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

/// A header to send, and whether it was made for this request.
struct Pass {
    header: HeaderValue,
    new: bool,
}

impl Auth {
    pub(crate) fn new(client: Client, credentials: Credentials) -> Self {
        Self { client, credentials, hosts: Mutex::default() }
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
        match self.credentials.find(&endpoint.host, &endpoint.path).await? {
            None => Err(unauthorized("no credentials are stored for it")),
            Some(Credential::Basic { user, password }) => {
                Ok(Pass { header: token::basic(&user, &password)?, new: true })
            }
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
        match token::issue(&self.client, &self.credentials, endpoint, scheme, &challenge).await {
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
