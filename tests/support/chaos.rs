//! Seeded faults of a registry: which request is struck by which one follows from the seed and the request alone, so
//! that a run can be repeated whatever the order of its tasks.
//!
//! It never makes up an answer that only the registry's word could refute: what a tag names is not changed, and what is
//! there is denied to no GET that decides about it.

#![allow(clippy::format_push_string, reason = "a head is built line by line")]
#![allow(dead_code, reason = "a test's support")]
#![allow(unreachable_pub, missing_docs, clippy::unwrap_used, reason = "a test's support")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use plimsoll::digest::{Algorithm, Digest};

use super::support::{Body, DOCKER_LIST, OCI_IMAGE, Reply, Request};

const DIGEST: &str = "Docker-Content-Digest";
/// Another image, whole and sound.
const EVIL: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":1},"layers":[]}"#;

/// Strikes requests, and counts how.
pub struct Chaos {
    seed: u64,
    per_mille: u64,
    counts: Mutex<BTreeMap<&'static str, usize>>,
}

/// What the struck request was.
struct Struck<'a> {
    request: &'a Request,
    truth: &'a Reply,
    bytes: &'a [u8],
    random: u64,
}

type Fault = (&'static str, fn(&Struck<'_>) -> Option<Reply>);

impl Chaos {
    pub fn new(seed: u64, per_mille: u64) -> Self {
        Self { seed, per_mille, counts: Mutex::default() }
    }

    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.counts.lock().unwrap().clone()
    }

    /// The lie in place of `truth`, if this request is struck.
    pub fn strike(&self, request: &Request, truth: &Reply) -> Option<Reply> {
        if request.path == "/loop" {
            return Some(Reply::redirect("/loop"));
        }
        let mut random = Random::of(self.seed, request);
        if random.next() % 1_000 >= self.per_mille {
            return None;
        }
        let Body::Bytes(bytes) = &truth.body else { return None };
        // Waiting costs time and shows little: one in a hundred.
        let faults = if random.next().is_multiple_of(100) { SLOW } else { FAULTS };
        let at = usize::try_from(random.next() % faults.len() as u64).unwrap();
        let (name, fault) = faults[at];
        let reply = fault(&Struck { request, truth, bytes, random: random.next() })?;
        *self.counts.lock().unwrap().entry(name).or_default() += 1;
        Some(reply)
    }
}

impl Struck<'_> {
    fn head(&self) -> bool {
        self.request.method == "HEAD"
    }

    /// Whether the registry asks for a token at all.
    fn asks(&self) -> bool {
        self.truth.status == 401 || self.request.authorization().is_some()
    }

    fn found(&self) -> bool {
        self.truth.status == 200 && self.request.path.starts_with("/v2/")
    }

    /// A manifest of which the bytes are told: what is said of them can be refuted.
    fn told(&self) -> bool {
        self.found() && !self.head() && self.request.path.contains("/manifests/")
    }

    fn by_digest(&self) -> bool {
        self.found() && self.request.path.contains("/sha256:")
    }

    /// Something further that an image is made of; it says nothing about whether the image itself is there.
    fn part(&self) -> bool {
        self.found() && self.request.path.starts_with("/v2/body/") && self.by_digest()
    }

    /// The true answer as bytes, with this head after the status line.
    fn raw(&self, head: &str, body: &[u8]) -> Reply {
        let mut head = format!("HTTP/1.1 200 OK\r\n{head}");
        for (name, value) in &self.truth.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = if self.head() { &[] } else { body };
        Reply::status(200).body(Body::Raw([head.as_bytes(), b"\r\n", body].concat()))
    }
}

/// Faults that cost no time.
const FAULTS: &[Fault] = &[
    ("status 5xx", |struck| {
        let statuses = [500, 502, 503, 504, 507, 520];
        Some(Reply::json(pick(&statuses, struck.random), r#"{"errors":[{"code":"UNKNOWN","message":"it broke"}]}"#))
    }),
    ("status 429", |_| Some(Reply::status(429))),
    ("status 429 and a wait", |struck| {
        let waits =
            ["0", "3600", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2094 08:49:37 GMT", "soon", "-1", "1e9"];
        let limited = Reply::status(429).header("Retry-After", pick(&waits, struck.random));
        Some(limited.header("ratelimit-limit", "100;w=21600").header("ratelimit-remaining", "0;w=21600"))
    }),
    ("status 403", |_| Some(Reply::json(403, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#))),
    ("status 401 without a challenge", |_| Some(Reply::status(401))),
    ("status 401 with the same challenge", |struck| {
        let host = &struck.request.headers["host"];
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"test\"");
        struck.asks().then(|| Reply::status(401).header("WWW-Authenticate", &challenge))
    }),
    ("status 401 with a foreign realm", |struck| {
        // It is believed for the rest of the run, so it is rare.
        let rare = struck.random.is_multiple_of(10) && struck.asks();
        rare.then(|| Reply::status(401).header("WWW-Authenticate", "Bearer realm=\"https://evil.invalid/token\""))
    }),
    ("another status", |struck| {
        let statuses = [202, 203, 204, 205, 206, 226, 300, 304, 400, 405, 406, 408, 409, 410, 418, 451, 501, 505];
        Some(Reply::status(pick(&statuses, struck.random)))
    }),
    ("status 410", |_| Some(Reply::status(410))),
    ("another status with the content", |struck| {
        let statuses = [201, 203, 206, 404, 410, 500];
        let status = pick(&statuses, struck.random);
        (struck.found() && (status != 404 || struck.head())).then(|| Reply { status, ..struck.truth.clone() })
    }),
    ("404 to a HEAD", |struck| struck.head().then(|| Reply::status(404))),
    ("404 for a part", |struck| struck.part().then(|| Reply::status(404))),
    ("405 to a HEAD", |struck| struck.head().then(|| Reply::status(pick(&[405, 501], struck.random)))),
    ("a redirect to nowhere", |_| Some(Reply::status(302))),
    ("a redirect in a circle", |_| Some(Reply::redirect("/loop"))),
    ("a redirect to a forbidden place", |struck| {
        let places =
            ["file:///etc/passwd", "http://169.254.169.254/", "ftp://example.com/", "http://a:b@127.0.0.1/", "http://"];
        Some(Reply::redirect(pick(&places, struck.random)))
    }),
    ("a redirect to where nothing is", |struck| {
        let elsewhere = struck.request.headers["host"].replace("127.0.0.1", "localhost");
        Some(Reply::redirect(&format!("http://{elsewhere}/nothing")))
    }),
    ("a redirect that leads back", |struck| Some(Reply::redirect(&format!("{}?back", struck.request.path)))),
    ("a reset before the head", |struck| Some(struck.truth.clone().body(Body::Reset))),
    ("a reset in the head", |_| Some(Reply::status(200).body(Body::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec())))),
    ("a body cut short", |struck| {
        let whole = struck.bytes.len();
        let cut = struck.bytes[..whole / 2].to_vec();
        (struck.found() && !struck.head()).then(|| struck.truth.clone().body(Body::Announced(cut, whole)))
    }),
    ("a shorter length", |struck| {
        let whole = struck.bytes.len();
        let lie = Body::Announced(struck.bytes.to_vec(), whole.saturating_sub(1));
        (struck.found() && !struck.head()).then(|| struck.truth.clone().body(lie))
    }),
    ("chunks cut off", |struck| {
        let chunk = format!("{:x}\r\n", struck.bytes.len());
        (struck.found())
            .then(|| struck.raw("Transfer-Encoding: chunked\r\n", &[chunk.as_bytes(), struck.bytes, b"\r\n"].concat()))
    }),
    ("no length, cut off", |struck| {
        (struck.told()).then(|| struck.raw("Connection: close\r\n", &struck.bytes[..struck.bytes.len() / 2]))
    }),
    ("two lengths", |struck| {
        let (whole, other) = (struck.bytes.len(), struck.bytes.len() / 2);
        let head = format!("Content-Length: {whole}\r\nContent-Length: {other}\r\n");
        struck.found().then(|| struck.raw(&head, struck.bytes))
    }),
    ("no HTTP", |_| Some(Reply::status(200).body(Body::Raw(b"<html>hello</html>".to_vec())))),
    ("bytes of chance", |struck| {
        let bytes = (0..64).map(|at| u8::try_from((struck.random >> (at % 8 * 8)) & 0xff).unwrap() ^ at).collect();
        Some(Reply::status(200).body(Body::Raw(bytes)))
    }),
    ("100 and then the answer", |struck| {
        let head = format!("Content-Length: {}\r\n", struck.bytes.len());
        let Body::Raw(bytes) = struck.raw(&head, struck.bytes).body else { return None };
        let both = [b"HTTP/1.1 100 Continue\r\n\r\n".as_slice(), &bytes].concat();
        struck.found().then(|| Reply::status(200).body(Body::Raw(both)))
    }),
    ("a huge header", |struck| Some(struck.truth.clone().header("X-Huge", &"x".repeat(1 << 20)))),
    ("HTML", |_| Some(Reply::ok("text/html; charset=utf-8", "<html>log in to the wireless network</html>"))),
    ("HTML in a manifest's clothes", |struck| {
        struck.told().then(|| struck.truth.clone().bytes("<html>log in to the wireless network</html>"))
    }),
    ("an error envelope with 200", |_| {
        Some(Reply::json(200, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#))
    }),
    ("another Content-Type", |struck| {
        let types =
            ["application/json", "", "text/plain", DOCKER_LIST, "application/vnd.oci.image.manifest.v1+json\t;"];
        struck.told().then(|| struck.truth.clone().header("Content-Type", pick(&types, struck.random)))
    }),
    ("no Content-Type", |struck| struck.found().then(|| struck.truth.clone().without("Content-Type"))),
    ("two Content-Types", |struck| {
        let mut lie = struck.truth.clone();
        lie.headers.push(("Content-Type".to_owned(), "text/html".to_owned()));
        struck.found().then_some(lie)
    }),
    ("gzip", |struck| struck.told().then(|| struck.truth.clone().header("Content-Encoding", "gzip"))),
    ("no digest header", |struck| struck.found().then(|| struck.truth.clone().without(DIGEST))),
    ("a digest header in SHA-512", |struck| {
        let digest = Digest::hash(Algorithm::Sha512, struck.bytes);
        struck.by_digest().then(|| struck.truth.clone().header(DIGEST, digest.as_str()))
    }),
    ("a digest header that is none", |struck| {
        let texts = ["sha256:", "sha256:00", "md5:d41d8cd98f00b204e9800998ecf8427e", "x", "", "sha256:\u{e9}"];
        struck.found().then(|| struck.truth.clone().header(DIGEST, pick(&texts, struck.random)))
    }),
    ("a digest header in upper case", |struck| {
        let digest = Digest::sha256(struck.bytes).as_str().to_uppercase().replace("SHA256", "sha256");
        struck.found().then(|| struck.truth.clone().header(DIGEST, &digest))
    }),
    ("a digest header for other bytes", |struck| {
        let lie = Digest::sha256(EVIL.as_bytes());
        (struck.told() || struck.by_digest()).then(|| struck.truth.clone().header(DIGEST, lie.as_str()))
    }),
    ("two digest headers", |struck| {
        let mut lie = struck.truth.clone();
        let at = usize::try_from(struck.random % 2).unwrap() * lie.headers.len();
        lie.headers.insert(at, (DIGEST.to_owned(), Digest::sha256(EVIL.as_bytes()).to_string()));
        struck.found().then_some(lie)
    }),
    ("other bytes", |struck| {
        (struck.told()).then(|| struck.truth.clone().header("Content-Type", OCI_IMAGE).bytes(EVIL))
    }),
    ("other bytes for a digest, and their header", |struck| {
        let digest = Digest::sha256(EVIL.as_bytes());
        struck.by_digest().then(|| Reply::ok(OCI_IMAGE, EVIL).header(DIGEST, digest.as_str()))
    }),
    ("other bytes for a digest, no header", |struck| struck.by_digest().then(|| Reply::ok(OCI_IMAGE, EVIL))),
    ("other bytes for a blob", |struck| {
        let config = r#"{"os":"linux","architecture":"amd64"}"#;
        struck.request.path.contains("/blobs/").then(|| struck.truth.clone().bytes(config))
    }),
    ("one byte changed", |struck| {
        let mut bytes = struck.bytes.to_vec();
        let at = usize::try_from(struck.random).unwrap_or_default() % bytes.len().max(1);
        *bytes.get_mut(at)? ^= 1;
        (struck.found() && !struck.head()).then(|| struck.truth.clone().bytes(bytes))
    }),
    ("a key twice", |struck| {
        let text = String::from_utf8_lossy(struck.bytes).replacen('{', r#"{"layers":[],"#, 1);
        struck.told().then(|| struck.truth.clone().bytes(text))
    }),
    ("a body beyond the limit", |struck| {
        let announced = Body::Announced(struck.bytes.to_vec(), 1 << 40);
        (struck.found() && !struck.head()).then(|| struck.truth.clone().body(announced))
    }),
    ("an odd token", |struck| {
        let answers = [
            r#"{"token":""}"#,
            "{}",
            "[]",
            "no JSON",
            r#"{"token":"token-0","expires_in":-1}"#,
            r#"{"token":"token-0","expires_in":1e300}"#,
            r#"{"token":"token-0","expires_in":"60"}"#,
            r#"{"token":"wrong","expires_in":0}"#,
            r#"{"token":"line\nend"}"#,
            r#"{"access_token":"token-0","issued_at":"2999-01-01T00:00:00Z"}"#,
        ];
        (struck.request.path == "/token").then(|| Reply::json(200, pick(&answers, struck.random)))
    }),
    ("a clock far off", |struck| Some(struck.truth.clone().header("Date", "Thu, 01 Jan 1970 00:00:00 GMT"))),
];

/// Faults that a deadline ends, or a limit.
const SLOW: &[Fault] = &[
    ("silence", |_| Some(Reply::status(200).body(Body::Silence))),
    ("a stalled body", |struck| Some(struck.truth.clone().body(Body::Stall))),
    ("a slow drip", |struck| Some(struck.truth.clone().body(Body::Drip(Duration::from_millis(50))))),
    ("an endless body", |struck| (!struck.head()).then(|| struck.truth.clone().body(Body::Endless))),
];

fn pick<T: Copy>(rows: &[T], random: u64) -> T {
    rows[usize::try_from(random % rows.len() as u64).unwrap()]
}

/// A `SplitMix64` generator.
struct Random(u64);

impl Random {
    fn of(seed: u64, request: &Request) -> Self {
        // Ports differ from run to run; paths, methods and counts do not.
        let text = format!("{seed} {} {} {}", request.method, request.path, request.before);
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
