//! An in-process registry for tests: it serves what is pushed to it, keeps a log, and lies as it is told.
//! Include it with `#[path = "support/registry.rs"] mod support;`; it runs on a thread of its own, so that
//! tests without an async runtime (the command line) can use it too.
//!
//! Longer than most files, because a hostile HTTP/1.1 server must be written by hand: a library would mend the lies.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a test program has no outside")]
#![allow(clippy::unwrap_used, reason = "a test's support")]
#![allow(missing_docs, reason = "a test's support; what needs a word has one")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use plimsoll::digest::Digest;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::oneshot;

pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// One request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: String,
    /// How many requests of this method and path came before it.
    pub before: usize,
}

impl Request {
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }

    /// The repositories that a token is asked for.
    pub fn scopes(&self) -> Vec<String> {
        let text = if self.method == "POST" { &self.body } else { &self.query };
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        let scopes = pairs.filter(|(key, _)| key == "scope").map(|(_, value)| value.into_owned());
        let path = |scope: String| scope.strip_prefix("repository:")?.strip_suffix(":pull").map(str::to_owned);
        scopes.filter_map(path).collect()
    }

    /// `METHOD PATH`, and ` +auth` where a credential came along.
    pub fn line(&self) -> String {
        let auth = if self.authorization().is_some() { " +auth" } else { "" };
        format!("{} {}{auth}", self.method, self.path)
    }
}

/// What goes over the wire after the head.
#[derive(Clone, Debug)]
pub enum Body {
    /// These bytes, with their length.
    Bytes(Vec<u8>),
    /// These bytes, announced as of another length; the connection is closed after them.
    Announced(Vec<u8>, usize),
    /// These bytes so many times over, with their length, and a pause after each.
    Repeated(Vec<u8>, usize, Duration),
    /// These bytes, announced as of another length, and then nothing.
    Stuck(Vec<u8>, usize),
    /// Zeros without end and without a length.
    Endless,
    /// A byte each `Duration`, without end.
    Drip(Duration),
    /// The head, and then nothing.
    Stall,
    /// Not even a head.
    Silence,
    /// The connection is closed without a word.
    Reset,
    /// These bytes in place of head and body, and then the connection is closed.
    Raw(Vec<u8>),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Bytes(Vec::new()) }
    }

    pub fn ok(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::status(200).header("Content-Type", media_type).bytes(bytes)
    }

    pub fn json(status: u16, text: &str) -> Self {
        Self::status(status).header("Content-Type", "application/json").bytes(text)
    }

    pub fn redirect(location: &str) -> Self {
        Self::status(307).header("Location", location)
    }

    /// Adds a header; one of the same name is replaced.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self
    }

    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }

    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

/// How a request is let in.
#[derive(Clone, Debug, Default)]
pub enum Login {
    /// Everybody.
    #[default]
    Open,
    /// This user and password.
    Basic { user: String, password: String },
    /// A token from this server's `/token`, handed out to everybody, or to this user and password alone.
    Bearer { user: Option<(String, String)>, expires_in: u64 },
}

/// How it lists referrers.
#[derive(Clone, Copy, Debug, Default)]
pub enum Listing {
    /// Not at all: the API is a 404.
    #[default]
    None,
    /// By the API, so many a page.
    Pages(usize),
    /// By the API, on one page, of the artifact type that is asked for.
    Filtered,
}

/// A lie: what to do with a request in place of the truth, which it is given (`None`: tell the truth).
pub type Script = Arc<dyn Fn(&Request, &Reply) -> Option<Reply> + Send + Sync>;

/// Which of the repositories that a token is asked for its claim lists, by the number of token requests before;
/// `None` denies them all.
pub type Grants = Arc<dyn Fn(&[String], usize) -> Option<Vec<String>> + Send + Sync>;

/// What kind of a registry it is.
#[derive(Clone, Default)]
pub struct Behaviour {
    pub login: Login,
    /// Tokens are JWTs for the repositories that they list, in place of opaque ones that are good for every one.
    pub grants: Option<Grants>,
    /// Every name exists; its digest is the SHA-256 of `REPOSITORY:TAG`, told in a header (there is no content).
    pub answer_everything: bool,
    /// Time before each answer.
    pub delay: Duration,
    /// Of what is pushed with [`Server::refer`].
    pub referrers: Listing,
    /// TLS with this certificate, in place of plain http.
    pub tls: Option<Certificate>,
    /// The lies.
    pub script: Option<Script>,
}

impl Behaviour {
    pub fn lying(script: impl Fn(&Request, &Reply) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self { script: Some(Arc::new(script)), ..Self::default() }
    }
}

/// A self-signed certificate for `localhost` and `127.0.0.1`.
#[derive(Clone)]
pub struct Certificate {
    pub pem: String,
    config: Arc<rustls::ServerConfig>,
}

impl Certificate {
    pub fn new() -> Self {
        Self::made(None)
    }

    /// One that speaks only to who shows the certificate `client` (PEM).
    pub fn wanting(client: &str) -> Self {
        Self::made(Some(client))
    }

    fn made(client: Option<&str>) -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("protocol versions");
        let config = match client {
            None => config.with_no_client_auth(),
            Some(pem) => {
                use rustls::pki_types::pem::PemObject as _;
                let mut roots = rustls::RootCertStore::empty();
                let certificate = rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
                roots.add(certificate).expect("a root");
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).expect("a server configuration");
        Self { pem: made.cert.pem(), config: Arc::new(config) }
    }

    /// Its configuration, with these protocols on offer.
    pub fn offering(&self, protocols: &[&[u8]]) -> Arc<rustls::ServerConfig> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

/// A certificate for a client and its key, PEM.
pub fn client_pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A running registry; it ends with the value.
pub struct Server {
    shared: Arc<Shared>,
    port: u16,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    behaviour: Behaviour,
    content: Mutex<Content>,
    log: Mutex<Vec<Request>>,
    /// How often each method and path was asked for.
    asked: Mutex<HashMap<(String, String), usize>>,
    tokens: AtomicUsize,
    connections: AtomicUsize,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
    port: u16,
}

#[derive(Default)]
struct Content {
    /// What the JWTs are for, by their number.
    granted: HashMap<usize, Vec<String>>,
    /// By path: media type, bytes.
    objects: HashMap<String, (String, Vec<u8>)>,
    /// Descriptors by the path of their list.
    referrers: HashMap<String, Vec<Value>>,
    revoked: usize,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(behaviour: Behaviour) -> Self {
        Self::start_at("127.0.0.1", behaviour).expect("a free port")
    }

    /// Listens on a free port of `address`; `None` where this machine has no such address.
    pub fn start_at(address: &'static str, behaviour: Behaviour) -> Option<Self> {
        let listener = std::net::TcpListener::bind((address, 0)).ok()?;
        listener.set_nonblocking(true).expect("a socket");
        let (send_port, port) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                let port = listener.local_addr().expect("an address").port();
                let shared = Arc::new(Shared {
                    behaviour,
                    content: Mutex::default(),
                    log: Mutex::default(),
                    asked: Mutex::default(),
                    tokens: AtomicUsize::new(0),
                    connections: AtomicUsize::new(0),
                    under_way: AtomicUsize::new(0),
                    most_at_once: AtomicUsize::new(0),
                    port,
                });
                send_port.send((port, Arc::clone(&shared))).expect("the test is waiting");
                tokio::select! {
                    () = shared.accept(listener) => {}
                    _ = ended => {}
                }
            });
        });
        let (port, shared) = port.recv().expect("the server starts");
        Some(Self { shared, port, end: Some(end), thread: Some(thread) })
    }

    /// Empties the log.
    pub fn forget(&self) {
        self.shared.log.lock().unwrap().clear();
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its certificate, where it speaks TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.shared.behaviour.tls.as_ref().map(|certificate| certificate.pem.as_str())
    }

    /// Serves `bytes` under the tag and under their digest.
    pub fn push(&self, name: &str, tag: &str, bytes: impl Into<Vec<u8>>, media_type: &str) -> Digest {
        let bytes = bytes.into();
        let digest = self.push_digest(name, bytes.clone(), media_type);
        self.put(format!("/v2/{name}/manifests/{tag}"), media_type, bytes);
        digest
    }

    /// Serves a manifest under its digest alone.
    pub fn push_digest(&self, name: &str, bytes: impl Into<Vec<u8>>, media_type: &str) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.put(format!("/v2/{name}/manifests/{digest}"), media_type, bytes);
        digest
    }

    pub fn push_blob(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.put(format!("/v2/{name}/blobs/{digest}"), "application/octet-stream", bytes);
        digest
    }

    /// Lists a manifest of that artifact type as a referrer of `subject`; there is no content behind it.
    pub fn refer(&self, name: &str, subject: &Digest, artifact_type: Option<&str>, mark: &str) -> Digest {
        let digest = Digest::sha256(format!("{subject} {mark}").as_bytes());
        let mut descriptor = descriptor(&digest, mark);
        if let Some(artifact_type) = artifact_type {
            descriptor["artifactType"] = artifact_type.into();
        }
        let path = format!("/v2/{name}/referrers/{subject}");
        self.shared.content.lock().unwrap().referrers.entry(path).or_default().push(descriptor);
        digest
    }

    /// Serves `bytes` at a path, whatever they are.
    pub fn put(&self, path: String, media_type: &str, bytes: Vec<u8>) {
        self.shared.content.lock().unwrap().objects.insert(path, (media_type.to_owned(), bytes));
    }

    /// Makes every token worthless that has been handed out so far.
    pub fn revoke_tokens(&self) {
        self.shared.content.lock().unwrap().revoked = self.shared.tokens.load(Ordering::SeqCst);
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.lock().unwrap().clone()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at one time.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// [`Request::line`] of all requests.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    async fn accept(self: &Arc<Self>, listener: tokio::net::TcpListener) {
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            let shared = Arc::clone(self);
            shared.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let _ = socket.set_nodelay(true);
                match &shared.behaviour.tls {
                    None => drop(shared.talk(socket).await),
                    Some(certificate) => {
                        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&certificate.config));
                        if let Ok(socket) = acceptor.accept(socket).await {
                            drop(shared.talk(socket).await);
                        }
                    }
                }
            });
        }
    }

    /// One connection, request after request.
    async fn talk(&self, socket: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut socket = BufReader::new(socket);
        while let Some(request) = self.read(&mut socket).await? {
            let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(under_way, Ordering::SeqCst);
            tokio::time::sleep(self.behaviour.delay).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            let truth = self.answer(&request);
            let lie = self.behaviour.script.as_ref().and_then(|script| script(&request, &truth));
            if !write(&mut socket, &request, lie.unwrap_or(truth)).await? {
                break;
            }
        }
        socket.shutdown().await
    }

    async fn read(&self, socket: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Request>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if socket.read(&mut byte).await? == 0 || head.len() > 64 << 10 {
                return Ok(None);
            }
            head.push(byte[0]);
            // A TLS greeting at a plain http port.
            if head[0] == 0x16 {
                return Ok(None);
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ');
        let method = first.next().unwrap_or_default().to_owned();
        let target = first.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await?;
        let before = {
            let mut asked = self.asked.lock().unwrap();
            let count = asked.entry((method.clone(), path.to_owned())).or_default();
            *count += 1;
            *count - 1
        };
        let (path, query) = (path.to_owned(), query.to_owned());
        let body = String::from_utf8_lossy(&body).into_owned();
        let request = Request { method, path, query, headers, body, before };
        self.log.lock().unwrap().push(request.clone());
        Ok(Some(request))
    }

    fn answer(&self, request: &Request) -> Reply {
        if request.path == "/token" {
            return self.token(request);
        }
        if !self.admitted(request) {
            let scheme = if self.behaviour.tls.is_some() { "https" } else { "http" };
            let challenge = match &self.behaviour.login {
                Login::Bearer { .. } => format!(
                    "Bearer realm=\"{scheme}://127.0.0.1:{}/token\",service=\"test\",scope=\"repository:x:pull,push\"",
                    self.port
                ),
                _ => "Basic realm=\"test\"".to_owned(),
            };
            let reply = Reply::json(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"log in first"}]}"#);
            return reply.header("WWW-Authenticate", &challenge);
        }
        let content = self.content.lock().unwrap();
        if let Some((media_type, bytes)) = content.objects.get(&request.path) {
            let digest = Digest::sha256(bytes);
            return Reply::ok(media_type, bytes.clone()).header("Docker-Content-Digest", digest.as_str());
        }
        if request.path.contains("/referrers/") {
            let listed = content.referrers.get(&request.path).map_or(&[][..], Vec::as_slice);
            return list(request, self.behaviour.referrers, listed);
        }
        let name = request.path.strip_prefix("/v2/").and_then(|rest| rest.split_once("/manifests/"));
        if let (true, Some((repository, tag))) = (self.behaviour.answer_everything, name) {
            let digest = Digest::sha256(format!("{repository}:{tag}").as_bytes());
            return Reply::ok(OCI_IMAGE, "").header("Docker-Content-Digest", digest.as_str());
        }
        Reply::json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
    }

    fn admitted(&self, request: &Request) -> bool {
        let given = request.authorization().unwrap_or_default();
        match &self.behaviour.login {
            Login::Open => true,
            Login::Basic { user, password } => given == basic(user, password),
            Login::Bearer { .. } => {
                let mark = if self.behaviour.grants.is_some() { "Bearer e30." } else { "Bearer token-" };
                let text = given.strip_prefix(mark).unwrap_or_default();
                let number = text.rsplit(['.', '-']).next().and_then(|text| text.parse::<usize>().ok());
                let content = self.content.lock().unwrap();
                number.is_some_and(|number| number >= content.revoked && self.covers(&content, number, request))
            }
        }
    }

    fn covers(&self, content: &Content, number: usize, request: &Request) -> bool {
        let path = request.path.strip_prefix("/v2/").unwrap_or_default();
        let repository = path.split("/manifests/").next().and_then(|path| path.split("/blobs/").next());
        let lists = |granted: &Vec<String>| granted.iter().any(|name| Some(name.as_str()) == repository);
        self.behaviour.grants.is_none() || content.granted.get(&number).is_some_and(lists)
    }

    fn token(&self, request: &Request) -> Reply {
        let Login::Bearer { user, expires_in } = &self.behaviour.login else { return Reply::status(404) };
        let given = request.authorization();
        let admitted = match user {
            None => true,
            Some((user, password)) if request.method == "GET" => given == Some(&basic(user, password)),
            Some((_, password)) => request.body.contains(&format!("refresh_token={password}")),
        };
        if !admitted {
            return Reply::json(401, r#"{"details":"incorrect username or password"}"#);
        }
        let number = self.tokens.fetch_add(1, Ordering::SeqCst);
        if let Some(grants) = &self.behaviour.grants {
            let Some(granted) = grants(&request.scopes(), number) else {
                return Reply::json(403, r#"{"errors":[{"message":"not for you"}]}"#);
            };
            let entry = |name: &String| format!(r#"{{"type":"repository","name":"{name}","actions":["pull"]}}"#);
            let access: Vec<String> = granted.iter().map(entry).collect();
            let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"access":[{}]}}"#, access.join(",")));
            self.content.lock().unwrap().granted.insert(number, granted);
            return Reply::json(200, &format!(r#"{{"token":"e30.{claims}.{number}","expires_in":{expires_in}}}"#));
        }
        Reply::json(200, &format!(r#"{{"token":"token-{number}","expires_in":{expires_in}}}"#))
    }
}

/// A descriptor of nothing that can be fetched.
pub fn descriptor(digest: &Digest, mark: &str) -> Value {
    json!({"mediaType": OCI_IMAGE, "digest": digest.as_str(), "size": 7, "annotations": {"mark": mark}})
}

/// An OCI index of these descriptors.
pub fn index_of(descriptors: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}).to_string()
}

/// The page of the list that is asked for: `artifactType`, and `from`, which the server's own links carry.
fn list(request: &Request, listing: Listing, listed: &[Value]) -> Reply {
    let query = |key: &str| {
        url::form_urlencoded::parse(request.query.as_bytes()).find(|(own, _)| own == key).map(|(_, text)| text)
    };
    match listing {
        Listing::None => Reply::json(404, r#"{"errors":[{"code":"NOT_FOUND","message":"page not found"}]}"#),
        Listing::Filtered => {
            let Some(kind) = query("artifactType") else { return Reply::ok(OCI_INDEX, index_of(listed)) };
            let some: Vec<Value> = listed.iter().filter(|one| one["artifactType"] == *kind).cloned().collect();
            Reply::ok(OCI_INDEX, index_of(&some)).header("OCI-Filters-Applied", "artifactType")
        }
        Listing::Pages(size) => {
            let from: usize = query("from").and_then(|text| text.parse().ok()).unwrap_or(0);
            let to = (from + size).min(listed.len());
            let reply = Reply::ok(OCI_INDEX, index_of(&listed[from..to]));
            if to == listed.len() {
                return reply;
            }
            reply.header("Link", &format!("<{}?from={to}>; rel=\"next\"", request.path))
        }
    }
}

/// The header of a user and a password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Whether the connection can be used again.
async fn write(socket: &mut (impl AsyncWrite + Unpin), request: &Request, reply: Reply) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Test\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes all");
    }
    let length = match &reply.body {
        Body::Bytes(bytes) => Some(bytes.len()),
        Body::Announced(_, length) | Body::Stuck(_, length) => Some(*length),
        Body::Repeated(bytes, times, _) => Some(bytes.len() * times),
        Body::Stall => Some(1_000),
        Body::Silence => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return Ok(false);
        }
        Body::Reset => return Ok(false),
        Body::Raw(bytes) => {
            socket.write_all(bytes).await?;
            socket.flush().await?;
            return Ok(false);
        }
        Body::Endless | Body::Drip(_) => None,
    };
    match length {
        Some(length) => write!(head, "Content-Length: {length}\r\n\r\n").expect("a string takes all"),
        None => head.push_str("Connection: close\r\n\r\n"),
    }
    socket.write_all(head.as_bytes()).await?;
    socket.flush().await?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    match reply.body {
        Body::Bytes(bytes) => {
            socket.write_all(&bytes).await?;
            socket.flush().await?;
            return Ok(true);
        }
        Body::Announced(bytes, _) => socket.write_all(&bytes).await?,
        Body::Repeated(bytes, times, pause) => {
            for _ in 0..times {
                socket.write_all(&bytes).await?;
                socket.flush().await?;
                tokio::time::sleep(pause).await;
            }
            return Ok(true);
        }
        Body::Stuck(bytes, _) => {
            socket.write_all(&bytes).await?;
            socket.flush().await?;
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        Body::Endless => loop {
            socket.write_all(&[b' '; 8 << 10]).await?;
        },
        Body::Drip(pause) => loop {
            socket.write_all(b" ").await?;
            socket.flush().await?;
            tokio::time::sleep(pause).await;
        },
        Body::Stall => tokio::time::sleep(Duration::from_secs(600)).await,
        Body::Silence | Body::Reset | Body::Raw(_) => {}
    }
    socket.flush().await?;
    Ok(false)
}
