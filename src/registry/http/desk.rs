//! Where the tokens of one host are handed out: one request for each, whoever asks, and renewed before its end.
//! Repositories share a request where a token of this host has shown that it may name several; where that goes wrong,
//! each asks alone, so that no repository pays for its neighbour.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderValue;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits;
use crate::registry::RegistryError;
use crate::registry::credentials::Credentials;
use crate::registry::http::challenge::Challenge;
use crate::registry::http::client::{Client, Failure};
use crate::registry::http::endpoint::Endpoint;
use crate::registry::http::token::{Counter, Token};
use crate::registry::settings::Scheme;

/// A header to send.
#[derive(Clone)]
pub(crate) struct Pass {
    pub(crate) header: HeaderValue,
    /// Whether it was made for this request; what was made just now would be made no better a second time.
    pub(crate) new: bool,
    /// Whether its token is for other repositories too.
    pub(crate) shared: bool,
}

/// The tokens of one host.
pub(crate) struct Desk {
    client: Arc<Client>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// By path of the repository.
    rows: HashMap<String, Row>,
    lines: Vec<Line>,
}

/// One repository.
#[derive(Default)]
struct Row {
    token: Option<Arc<Token>>,
    shared: bool,
    /// Never asked for together with others again.
    alone: bool,
    /// Its challenge, where it differs from the host's.
    challenge: Option<Challenge>,
    waiting: Vec<oneshot::Sender<Result<Pass, Failure>>>,
}

/// Who waits for tokens that are asked for at the same place with the same credential.
struct Line {
    counter: Arc<Counter>,
    manner: Manner,
    together: VecDeque<String>,
    alone: VecDeque<String>,
    under_way: usize,
}

/// How tokens are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Nothing is known yet: the first one tells.
    First,
    /// The first one failed, which tells nothing: each alone, until one tells.
    Unclear,
    /// Several in one request.
    Together,
    /// One a request.
    Alone,
}

impl Desk {
    pub(crate) fn new(client: Arc<Client>) -> Arc<Self> {
        Arc::new(Self { client, book: Mutex::default() })
    }

    /// The token of the endpoint's repository: the one at hand, or a new one.
    pub(crate) async fn pass(
        self: &Arc<Self>,
        credentials: &Credentials,
        endpoint: &Endpoint,
        scheme: Scheme,
        challenge: &Challenge,
    ) -> Result<Pass, Failure> {
        let challenge = {
            let mut book = self.book();
            let row = book.row(&endpoint.path);
            if let Some(pass) = row.pass() {
                return Ok(pass);
            }
            row.challenge.clone().unwrap_or_else(|| challenge.clone())
        };
        let counter = Counter::of(credentials, endpoint, scheme, &challenge).await?;
        if let Some(header) = counter.stored(&self.client)? {
            return Ok(Pass { header, new: true, shared: false });
        }
        let (answer, flights) = {
            let mut book = self.book();
            let row = book.row(&endpoint.path);
            if let Some(pass) = row.pass() {
                return Ok(pass);
            }
            let (sender, answer) = oneshot::channel();
            row.waiting.push(sender);
            let mut flights = Vec::new();
            if row.waiting.len() == 1 {
                let alone = row.alone;
                let at = match book.line(counter) {
                    Ok(at) => at,
                    Err(failure) => {
                        book.row(&endpoint.path).waiting.clear();
                        return Err(failure);
                    }
                };
                let line = &mut book.lines[at];
                if alone { &mut line.alone } else { &mut line.together }.push_back(endpoint.path.clone());
                flights = self.flights(&mut book, at);
            }
            (answer, flights)
        };
        send_off(flights);
        let lost = || {
            let detail = "the request for its token was broken off".to_owned();
            Failure::from(RegistryError::Unreachable { host: endpoint.host.clone(), detail })
        };
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    /// The challenge of the repository, where it differs from its host's.
    pub(crate) fn challenge(&self, endpoint: &Endpoint) -> Option<Challenge> {
        self.book().row(&endpoint.path).challenge.clone()
    }

    /// Takes a token out of use that the host refused, unless it has been replaced.
    ///
    /// An old one is worth nothing to anybody any more; a new one that others share may be as good as it says for them.
    pub(crate) fn refused(&self, endpoint: &Endpoint, pass: &Pass, challenge: Option<&Challenge>) {
        let mut book = self.book();
        let row = book.row(&endpoint.path);
        // A password is not asked for here; the request that was told so goes on with it by itself.
        if let Some(challenge @ Challenge::Bearer { .. }) = challenge {
            row.challenge = Some(challenge.clone());
        }
        let same = |row: &Row| row.token.as_ref().is_some_and(|token| token.header == pass.header);
        if !same(row) {
            return;
        }
        if pass.new && pass.shared {
            row.token = None;
            row.alone = true;
        } else {
            book.rows.values_mut().filter(|row| same(row)).for_each(|row| row.token = None);
        }
    }

    /// Lets go of what is kept for the endpoint's repository.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        let mut book = self.book();
        if book.rows.get(&endpoint.path).is_some_and(|row| row.waiting.is_empty()) {
            book.rows.remove(&endpoint.path);
        }
    }

    /// Every request that may start now.
    fn flights(self: &Arc<Self>, book: &mut Book, at: usize) -> Vec<Flight> {
        let line = &mut book.lines[at];
        let batches: Vec<Vec<String>> = std::iter::from_fn(|| line.next()).collect();
        let flight = |paths| Flight { desk: Arc::clone(self), counter: Arc::clone(&line.counter), at, paths };
        batches.into_iter().map(flight).collect()
    }

    fn land(self: &Arc<Self>, at: usize, paths: Vec<String>, answer: Result<Token, Failure>) {
        let mut book = self.book();
        let Book { rows, lines } = &mut *book;
        let line = &mut lines[at];
        line.under_way -= 1;
        match (answer, paths.as_slice()) {
            (Ok(token), [path]) => {
                if matches!(line.manner, Manner::First | Manner::Unclear) {
                    let may = line.counter.may_combine() && token.lists(path);
                    line.manner = if may { Manner::Together } else { Manner::Alone };
                }
                let token = Arc::new(token);
                row(rows, path).serve(&token, false);
            }
            (Ok(token), _) => {
                let token = Arc::new(token);
                let short = token.header.len() <= limits::TOKEN_HEADER_BYTES;
                let (served, left): (Vec<String>, Vec<String>) =
                    paths.into_iter().partition(|path| short && token.lists(path));
                // One of many: the further scopes are ignored here.
                if served.len() < 2 {
                    line.manner = Manner::Alone;
                }
                for path in &served {
                    row(rows, path).serve(&token, true);
                }
                for path in left {
                    row(rows, &path).alone = true;
                    line.alone.push_back(path);
                }
            }
            (Err(failure), [path]) => {
                if line.manner == Manner::First {
                    line.manner = Manner::Unclear;
                }
                row(rows, path).fail(&failure);
            }
            (Err(failure), _) => {
                let limited = matches!(failure.error, RegistryError::RateLimited { .. });
                if !limited {
                    line.manner = Manner::Alone;
                }
                if limited || failure.again {
                    for path in &paths {
                        row(rows, path).fail(&failure);
                    }
                } else {
                    line.alone.extend(paths);
                }
            }
        }
        let flights = self.flights(&mut book, at);
        drop(book);
        send_off(flights);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One token request; dropped in mid-air, it leaves nobody waiting.
struct Flight {
    desk: Arc<Desk>,
    counter: Arc<Counter>,
    at: usize,
    paths: Vec<String>,
}

/// Each in a task of its own: whoever asked first may be gone before the answer is there.
fn send_off(flights: Vec<Flight>) {
    for flight in flights {
        tokio::spawn(flight.fly());
    }
}

impl Flight {
    async fn fly(mut self) {
        let answer = self.counter.issue(&self.desk.client, &self.paths).await;
        self.desk.land(self.at, std::mem::take(&mut self.paths), answer);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.paths.is_empty() {
            return;
        }
        let mut book = self.desk.book();
        let Book { rows, lines } = &mut *book;
        let line = &mut lines[self.at];
        line.under_way -= 1;
        let stranded = self.paths.drain(..).chain(line.together.drain(..)).chain(line.alone.drain(..));
        stranded.for_each(|path| row(rows, &path).waiting.clear());
    }
}

fn row<'a>(rows: &'a mut HashMap<String, Row>, path: &str) -> &'a mut Row {
    if !rows.contains_key(path) {
        rows.insert(path.to_owned(), Row::default());
    }
    rows.get_mut(path).expect("it was put there above")
}

impl Book {
    fn row(&mut self, path: &str) -> &mut Row {
        row(&mut self.rows, path)
    }

    /// The place of the line for an equal counter; a new one only where few are known.
    fn line(&mut self, counter: Counter) -> Result<usize, Failure> {
        if let Some(at) = self.lines.iter().position(|line| *line.counter == counter) {
            return Ok(at);
        }
        // With another credential at the same place, a line is our own doing.
        let mut places: Vec<_> = self.lines.iter().map(|line| line.counter.place()).collect();
        places.sort_unstable();
        places.dedup();
        if places.len() >= limits::COUNTERS && !places.contains(&counter.place()) {
            let what = "places and services that issue its tokens";
            return Err(
                RegistryError::TooMany { place: counter.host().to_owned(), what, limit: limits::COUNTERS }.into()
            );
        }
        self.lines.push(Line {
            manner: if counter.may_combine() { Manner::First } else { Manner::Alone },
            counter: Arc::new(counter),
            together: VecDeque::new(),
            alone: VecDeque::new(),
            under_way: 0,
        });
        Ok(self.lines.len() - 1)
    }
}

impl Row {
    fn pass(&self) -> Option<Pass> {
        let token = self.token.as_ref().filter(|token| token.until > Instant::now())?;
        Some(Pass { header: token.header.clone(), new: false, shared: self.shared })
    }

    fn serve(&mut self, token: &Arc<Token>, shared: bool) {
        self.token = Some(Arc::clone(token));
        self.shared = shared;
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Ok(Pass { header: token.header.clone(), new: true, shared }));
        }
    }

    fn fail(&mut self, failure: &Failure) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(Err(failure.clone()));
        }
    }
}

impl Line {
    /// The repositories of the next request, if one may start now.
    ///
    /// What waits while a request is under way goes together into the next one; a full one waits for nothing.
    fn next(&mut self) -> Option<Vec<String>> {
        let batch: Vec<String> = if let Some(path) = self.alone.pop_front() {
            vec![path]
        } else {
            let count = self.ready();
            self.together.drain(..count).collect()
        };
        if batch.is_empty() {
            return None;
        }
        self.under_way += 1;
        Some(batch)
    }

    fn ready(&self) -> usize {
        let count = match self.manner {
            Manner::First => usize::from(self.under_way == 0),
            Manner::Unclear | Manner::Alone => 1,
            Manner::Together => {
                let (count, full) = self.counter.fitting(self.together.iter().map(String::as_str));
                if full || self.under_way == 0 { count } else { 0 }
            }
        };
        count.min(self.together.len())
    }
}
