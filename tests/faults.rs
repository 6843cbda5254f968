//! Every fault of a registry, a mirror or the network, one row each: what the program says, and what it asks for.
//! `docs/faults.md` is held to this table; `PLIMSOLL_BLESS=1 cargo test --test faults` writes its rows anew.
//!
//! Longer than most files, because it is one table.

#![allow(clippy::format_push_string, clippy::format_collect, reason = "a page is built line by line")]
#![allow(clippy::unnecessary_wraps, reason = "a lie is an answer or none")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/mod.rs"]
mod program;
#[path = "support/registry.rs"]
mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use asking::{FAST, OTHER, ask, router_with, settings};
use plimsoll::digest::{Algorithm, Digest};
use plimsoll::finding::Status;
use plimsoll::judge;
use plimsoll::registry::Want;
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::http::Deadlines;
use program::{Answer, Repository, pod};
use serde_json::json;
use support::{Behaviour, Body, Certificate, Login, OCI_IMAGE, OCI_INDEX, Reply, Request, Server};

const DIGEST: &str = "Docker-Content-Digest";
const HTML: &str = "<html>log in to the wireless network</html>";
/// The name of the registry in the docs.
const HOST: &str = "registry.example";
const LIMITED: Deadlines = Deadlines { request: Duration::from_secs(1), ..FAST };

/// What a registry does with a request in place of the truth.
type Lie = fn(&Request, &Reply) -> Option<Reply>;

struct Row {
    id: &'static str,
    /// The fault, for the docs.
    fault: &'static str,
    setup: Setup,
    lie: Lie,
    verdict: &'static str,
    /// The message as printed, `registry.example` for the registry; `""`: nothing is said.
    said: &'static str,
    /// Requests that it took, those for a token included.
    requests: usize,
}

/// What is asked of which kind of registry.
#[derive(Clone, Copy, PartialEq)]
enum Setup {
    /// Only the digest of a tag: a HEAD.
    Head,
    /// The same, from a registry that first asks for the user's password.
    HeadLater,
    /// The content of a tag: a GET.
    Get,
    /// Content, from a registry that knows the user's password.
    LoggedIn,
    /// The content and its config, with tokens.
    Tokens,
    /// A digest that is pinned.
    Pinned,
    /// An index of two images, and their contents.
    Index,
    /// Over TLS.
    Tls,
    /// By a mirror that lies, and then by the registry itself.
    Mirror,
    /// At the library with a short deadline: the program's own would take half a minute.
    Slow,
    /// A port where nobody listens.
    Nobody,
}

fn always(reply: Reply) -> Option<Reply> {
    Some(reply)
}

fn once(request: &Request, reply: Reply) -> Option<Reply> {
    (request.before == 0).then_some(reply)
}

fn manifest(request: &Request) -> bool {
    request.path.contains("/manifests/")
}

fn bytes(truth: &Reply) -> &[u8] {
    match &truth.body {
        Body::Bytes(bytes) => bytes,
        _ => &[],
    }
}

/// The true answer with this in front, and this in place of its body.
fn raw(truth: &Reply, front: &str, body: &[u8]) -> Option<Reply> {
    let headers: String = truth.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{front}{headers}\r\n");
    Some(Reply::status(200).body(Body::Raw([head.as_bytes(), body].concat())))
}

fn token(text: &'static str) -> Option<Reply> {
    Some(Reply::json(200, text))
}

fn doubled(truth: &Reply, name: &str, value: &str) -> Option<Reply> {
    let mut lie = truth.clone();
    lie.headers.push((name.to_owned(), value.to_owned()));
    Some(lie)
}

fn body(truth: &Reply, body: impl Into<Vec<u8>>) -> Option<Reply> {
    Some(truth.clone().without(DIGEST).bytes(body))
}

macro_rules! row {
    ($id:literal, $fault:literal, $setup:ident, $lie:expr, $verdict:ident $requests:literal, $said:literal) => {
        Row {
            id: $id,
            fault: $fault,
            setup: Setup::$setup,
            lie: $lie,
            verdict: stringify!($verdict),
            said: $said,
            requests: $requests,
        }
    };
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // ---- limits
    row!("429-seconds", "429 with `Retry-After: 1`, then the answer", Get,
        |q, _| once(q, Reply::status(429).header("Retry-After", "1")), allow 2, ""),
    row!("429-date", "429 with `Retry-After` as a date, then the answer", Get,
        |q, _| once(q, Reply::status(429).header("Retry-After", &soon())), allow 2, ""),
    row!("429-past", "429 with a date that is past, then the answer", Get,
        |q, _| once(q, Reply::status(429).header("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")), allow 2, ""),
    row!("429-senseless", "429 with a `Retry-After` that is none, then the answer", Get,
        |q, _| once(q, Reply::status(429).header("Retry-After", "-5 soon")), allow 2, ""),
    row!("429-head", "429 without `Retry-After`, each time, to a HEAD; no GET is sent in its place", Head,
        |q, _| (q.method == "HEAD").then(|| Reply::status(429)), undecided 3, "registry.example is limiting requests; these were anonymous"),
    row!("429-head-later", "the same from a registry that has answered before", HeadLater,
        |q, _| (q.method == "HEAD" && q.authorization().is_some()).then(|| Reply::status(429)), undecided 4,
        "registry.example is limiting requests"),
    row!("429-get", "429 without `Retry-After`, each time, to a GET", Get,
        |_, _| always(Reply::status(429)), undecided 3, "registry.example is limiting requests; these were anonymous"),
    row!("429-logged-in", "429 although a login is stored", LoggedIn,
        |q, _| q.authorization().map(|_| Reply::status(429)), undecided 4, "registry.example is limiting requests"),
    row!("429-long", "429 with a wait beyond 60 seconds", Get,
        |_, _| always(Reply::status(429).header("Retry-After", "3600")), undecided 1, "registry.example is limiting requests (try again in 3600 seconds); these were anonymous"),
    row!("429-forever", "429 with the longest wait that a number can hold", Get,
        |_, _| always(Reply::status(429).header("Retry-After", "18446744073709551615")), undecided 1,
        "registry.example is limiting requests (try again in 18446744073709551615 seconds); these were anonymous"),
    row!("429-spent", "429 of a registry that says how much is left: nothing", Get,
        |_, _| always(Reply::status(429).header("RateLimit-Limit", "100;w=21600").header("RateLimit-Remaining", "0;w=21600")),
        undecided 3, "registry.example is limiting requests; these were anonymous"),
    // ---- errors
    row!("500", "500, each time", Get, |_, _| always(Reply::status(500)), undecided 3, "registry.example answered 500: Internal Server Error"),
    row!("500-message", "500 with a reason, each time", Get,
        |_, _| always(Reply::json(500, r#"{"errors":[{"code":"UNKNOWN","message":"the disk is full"}]}"#)), undecided 3, "registry.example answered 500: the disk is full"),
    row!("502", "502, each time", Get, |_, _| always(Reply::status(502)), undecided 3, "registry.example answered 502: Bad Gateway"),
    row!("503", "503, each time", Head, |_, _| always(Reply::status(503)), undecided 3, "registry.example answered 503: Service Unavailable"),
    row!("503-once", "503 with `Retry-After: 1`, then the answer", Get,
        |q, _| once(q, Reply::status(503).header("Retry-After", "1")), allow 2, ""),
    row!("504", "504, each time", Get, |_, _| always(Reply::status(504)), undecided 3, "registry.example answered 504: Gateway Timeout"),
    row!("507", "another 5xx", Get, |_, _| always(Reply::status(507)), undecided 1, "registry.example answered 507: Insufficient Storage"),
    row!("401", "401 without a challenge", Get, |_, _| always(Reply::status(401)), undecided 1, "registry.example asks for credentials: Unauthorized"),
    row!("403", "403", Get, |_, _| always(Reply::json(403, r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#)),
        undecided 1, "registry.example denies access: not yours"),
    row!("404", "404, to a HEAD and to the GET that makes sure", Head, |_, _| always(Reply::status(404)), deny 2, "registry.example says it has no such image"),
    row!("404-get", "404 to a GET", Get, |_, _| always(Reply::status(404)), deny 1, "registry.example says it has no such image"),
    row!("410", "410", Get, |_, _| always(Reply::status(410)), undecided 1, "registry.example answered 410: Gone"),
    row!("204", "204, without content", Get, |_, _| always(Reply::status(204)), undecided 1, "registry.example answered 204: No Content"),
    row!("206", "206, a part of the content", Get, |_, truth| always(Reply { status: 206, ..truth.clone() }), undecided 1, "registry.example answered 206: Partial Content"),
    row!("304", "304, not asked for", Get, |_, _| always(Reply::status(304)), undecided 1, "registry.example answered 304: Not Modified"),
    row!("100", "100 and 103 before the answer", Get,
        |_, truth| raw(truth, &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {}\r\n", bytes(truth).len()), bytes(truth)),
        allow 1, ""),
    row!("101", "101, another protocol", Get,
        |_, _| Some(Reply::status(200).body(Body::Raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec()))),
        undecided 1, "registry.example answered 101: Switching Protocols"),
    row!("envelope-200", "200 with an error in place of a manifest", Get,
        |_, _| always(Reply::json(200, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)), undecided 1, "registry.example gave an answer that can't be used: \"application/json\" is not the media type of a manifest"),
    // ---- the connection
    row!("refused", "nobody listens", Nobody, |_, _| None, undecided 0, "registry.example can't be reached: tcp connect error: Connection refused (os error 111)"),
    row!("reset", "the connection ends before the head, once", Get,
        |q, truth| once(q, truth.clone().body(Body::Reset)), allow 2, ""),
    row!("reset-always", "the connection ends before the head, each time", Get,
        |_, truth| always(truth.clone().body(Body::Reset)), undecided 3, "registry.example can't be reached: connection closed before message completed"),
    row!("reset-in-head", "the connection ends in the head, each time", Get,
        |_, _| always(Reply::status(200).body(Body::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()))), undecided 3, "registry.example can't be reached: connection closed before message completed"),
    row!("truncated", "the body ends short of its Content-Length, each time", Get,
        |_, truth| always(truth.clone().body(Body::Announced(bytes(truth)[..9].to_vec(), bytes(truth).len()))), undecided 3, "registry.example can't be reached: its answer breaks off: end of file before message length reached"),
    row!("truncated-once", "the body ends short of its Content-Length, once", Get,
        |q, truth| once(q, truth.clone().body(Body::Announced(bytes(truth)[..9].to_vec(), bytes(truth).len()))), allow 2, ""),
    row!("chunked-cut", "a chunked body is cut off, each time", Get,
        |_, truth| raw(truth, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", b"9\r\n{\"schemaV\r\n"), undecided 3, "registry.example can't be reached: its answer breaks off: unexpected EOF during chunk size line"),
    row!("unannounced-cut", "a body without a length is cut off", Get,
        |_, truth| raw(truth, "HTTP/1.1 200 OK\r\nConnection: close\r\n", &bytes(truth)[..9]), undecided 1, "registry.example served bytes that hash to sha256:… in place of sha256:…"),
    row!("length-short", "Content-Length says less than is sent", Get,
        |_, truth| always(truth.clone().body(Body::Announced(bytes(truth).to_vec(), bytes(truth).len() - 1))), undecided 1, "registry.example served bytes that hash to sha256:… in place of sha256:…"),
    row!("length-doubled", "two different lengths", Get,
        |_, truth| raw(truth, &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Length: 1\r\n", bytes(truth).len()), bytes(truth)),
        undecided 3, "registry.example can't be reached: invalid content-length parsed"),
    row!("silence", "no answer at all", Slow, |_, _| always(Reply::status(200).body(Body::Silence)), undecided 1, "registry.example did not answer in 30 seconds"),
    row!("stall", "a head, and then nothing", Slow, |_, truth| always(truth.clone().body(Body::Stall)), undecided 1, "registry.example did not answer in 30 seconds"),
    row!("drip", "a byte now and then, without end", Slow,
        |_, truth| always(truth.clone().body(Body::Drip(Duration::from_millis(200)))), undecided 1, "registry.example did not answer in 30 seconds"),
    row!("endless", "an endless body without a length", Get,
        |_, truth| always(truth.clone().body(Body::Endless)), undecided 1, "registry.example sent more than the limit of 4194304 bytes"),
    row!("endless-announced", "a body whose announced length is beyond the limit", Get,
        |_, truth| always(truth.clone().body(Body::Announced(bytes(truth).to_vec(), 1_500_000_000))), undecided 1, "registry.example sent more than the limit of 4194304 bytes"),
    row!("huge-header", "a header of a megabyte, each time", Get,
        |_, truth| always(truth.clone().header("X-Huge", &"x".repeat(1 << 20))), undecided 3, "registry.example can't be reached: message head is too large"),
    row!("many-headers", "a thousand headers, each time", Get,
        |_, truth| raw(truth, &format!("HTTP/1.1 200 OK\r\n{}", "X-Many: x\r\n".repeat(1_000)), bytes(truth)), undecided 3, "registry.example can't be reached: message head is too large"),
    row!("http-0.9", "no HTTP at all, each time", Get,
        |_, _| always(Reply::status(200).body(Body::Raw(HTML.into()))), undecided 3, "registry.example can't be reached: invalid HTTP version parsed"),
    row!("tls-left", "a redirect from TLS to plain http", Tls,
        |_, _| always(Reply::redirect("http://registry.example/")), undecided 1, "not asked: registry.example redirects to plain http"),
    // ---- redirects
    row!("redirect", "a redirect within the registry", Get,
        |q, _| once(q, Reply::redirect(&format!("{}?again", q.path))), allow 2, ""),
    row!("redirect-loop", "redirects in a circle", Get,
        |q, _| always(Reply::redirect(&q.path)), undecided 6, "registry.example gave an answer that can't be used: more than 5 redirects"),
    row!("redirect-nowhere", "a redirect without `Location`", Get, |_, _| always(Reply::status(302)), undecided 1, "registry.example gave an answer that can't be used: a redirect to nowhere"),
    row!("redirect-file", "a redirect to a file", Get, |_, _| always(Reply::redirect("file:///etc/passwd")), undecided 1, "not asked: registry.example redirects to what is neither http nor https"),
    row!("redirect-metadata", "a redirect to the metadata address of a cloud", Get,
        |_, _| always(Reply::redirect("http://169.254.169.254/latest/meta-data")), undecided 1, "not asked: registry.example redirects to another place, and 169.254.169.254 is a metadata address of a cloud"),
    row!("redirect-user", "a redirect to an address with a password in it", Get,
        |_, _| always(Reply::redirect("http://user:secret@127.0.0.1/")), undecided 1, "not asked: registry.example redirects to an address with a user name in it"),
    row!("portal", "a portal: a redirect to another host's page", Get,
        |q, _| Some(if q.path == "/login" { Reply::ok("text/html", HTML) } else { Reply::redirect(&elsewhere(q)) }), undecided 2, "registry.example gave an answer that can't be used: \"text/html\" is not the media type of a manifest"),
    row!("portal-404", "a redirect to another host, which answers 404", Head,
        |q, _| (q.path != "/login").then(|| Reply::redirect(&elsewhere(q))), undecided 2, "registry.example answered 404: Not Found, from where it redirects to"),
    // ---- what the answer claims to be
    row!("html", "200 with a page in place of a manifest", Get, |_, _| always(Reply::ok("text/html; charset=utf-8", HTML)), undecided 1, "registry.example gave an answer that can't be used: \"text/html\" is not the media type of a manifest"),
    row!("html-head", "200 with the head of a page", Head, |_, _| always(Reply::ok("text/html", HTML)), undecided 1, "registry.example gave an answer that can't be used: \"text/html\" is not the media type of a manifest"),
    row!("html-disguised", "a page under the media type of a manifest", Get, |_, truth| body(truth, HTML), undecided 1, "registry.example gave an answer that can't be used: a manifest that is not one: expected value at line 1 column 1"),
    row!("type-wrong", "`Content-Type: application/json`", Get,
        |_, truth| always(truth.clone().header("Content-Type", "application/json")), undecided 1, "registry.example gave an answer that can't be used: \"application/json\" is not the media type of a manifest"),
    row!("type-absent", "no Content-Type", Get, |_, truth| always(truth.clone().without("Content-Type")), undecided 1, "registry.example gave an answer that can't be used: no Content-Type"),
    row!("type-doubled", "two different Content-Types", Get, |_, truth| doubled(truth, "Content-Type", "text/html"), undecided 1, "registry.example gave an answer that can't be used: two different `content-type` headers"),
    row!("type-twice", "the same Content-Type twice", Get, |_, truth| doubled(truth, "Content-Type", OCI_IMAGE), allow 1, ""),
    row!("type-disagrees", "the body says that it is another media type", Get,
        |_, truth| always(truth.clone().header("Content-Type", OCI_INDEX)), undecided 1, "registry.example gave an answer that can't be used: a manifest that says \"application/vnd.oci.image.manifest.v1+json\" was served as \"application/vnd.oci.image.index.v1+json\""),
    row!("schema-1", "a manifest of schema 1", Get,
        |_, truth| always(truth.clone().header("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")), undecided 1, "registry.example gave an answer that can't be used: a manifest of schema 1, which names no content; the image must be pushed again"),
    row!("gzip", "an encoding that was not asked for", Get,
        |_, truth| always(truth.clone().header("Content-Encoding", "gzip")), undecided 1, "registry.example gave an answer that can't be used: a manifest in the encoding \"gzip\""),
    row!("key-doubled", "a key that stands twice in the manifest", Get,
        |_, truth| body(truth, String::from_utf8_lossy(bytes(truth)).replacen('{', r#"{"layers":[],"#, 1)), undecided 1, "registry.example gave an answer that can't be used: a manifest that is not one: duplicate field `layers` at line 1 column 255"),
    row!("key-alike", "a key that differs by its case alone", Get,
        |_, truth| body(truth, String::from_utf8_lossy(bytes(truth)).replacen('{', r#"{"Layers":[],"#, 1)), undecided 1, "the content of registry.example/app:1 could not be read: sha256:… is not a sound manifest: key `Layers` is a known key in other letters at line 1 column 9"),
    row!("image-and-index", "layers and manifests in one document", Get,
        |_, truth| body(truth, String::from_utf8_lossy(bytes(truth)).replacen('{', r#"{"manifests":[],"#, 1)), undecided 1, "registry.example gave an answer that can't be used: a manifest with the fields of an image and of an index"),
    // ---- digests
    row!("no-head", "405 to a HEAD, the manifest to a GET", Head, |q, _| (q.method == "HEAD").then(|| Reply::status(405)), allow 2, ""),
    row!("no-head-501", "501 to a HEAD, the manifest to a GET", Head, |q, _| (q.method == "HEAD").then(|| Reply::status(501)), allow 2, ""),
    row!("no-head-404", "404 to a HEAD, the manifest to a GET", Head, |q, _| (q.method == "HEAD").then(|| Reply::status(404)), undecided 2, "registry.example gave an answer that can't be used: 404 to a HEAD, and a manifest to a GET of the same name"),
    row!("digest-absent", "no digest header: a GET, hashed", Head, |_, truth| always(truth.clone().without(DIGEST)), allow 2, ""),
    row!("digest-sha512", "a digest header in SHA-512", Get,
        |_, truth| always(truth.clone().header(DIGEST, Digest::hash(Algorithm::Sha512, bytes(truth)).as_str())), allow 1, ""),
    row!("digest-sha512-pinned", "a pinned SHA-256 that is named in SHA-512: a GET, hashed", Pinned,
        |_, truth| always(truth.clone().header(DIGEST, Digest::hash(Algorithm::Sha512, bytes(truth)).as_str())), allow 2, ""),
    row!("digest-upper-case", "a digest header in upper case", Head,
        |_, truth| always(truth.clone().header(DIGEST, &format!("sha256:{}", "A".repeat(64)))), undecided 1, "registry.example gave an answer that can't be used: its digest header is not one: a digest is written in lower-case hex"),
    row!("digest-malformed", "a digest header that is none", Head, |_, truth| always(truth.clone().header(DIGEST, "sha256:00")), undecided 1, "registry.example gave an answer that can't be used: its digest header is not one: a sha256 digest has 64 hex digits, this one has 2"),
    row!("digest-doubled", "two different digest headers", Head,
        |_, truth| doubled(truth, DIGEST, Digest::sha256(b"other").as_str()), undecided 1, "registry.example gave an answer that can't be used: two different `docker-content-digest` headers"),
    row!("digest-of-others", "a digest header for other bytes", Get,
        |_, truth| always(truth.clone().header(DIGEST, Digest::sha256(b"other").as_str())), undecided 1, "registry.example served bytes that hash to sha256:… in place of sha256:…"),
    row!("pinned-others", "a pinned digest, and a header that names another", Pinned,
        |_, truth| always(truth.clone().header(DIGEST, Digest::sha256(b"other").as_str())), undecided 1, "registry.example gave an answer that can't be used: asked for sha256:…, its header names sha256:…"),
    row!("part-missing", "an index of which one image is missing", Index,
        |q, truth| second(q, truth).then(|| Reply::status(404)), undecided 3, "the content of registry.example/app:1 could not be read: registry.example says it has no such image"),
    row!("part-others", "an index of which one image is other bytes", Index,
        |q, truth| second(q, truth).then(|| Reply::ok(OCI_IMAGE, OTHER)), undecided 3, "the content of registry.example/app:1 could not be read: registry.example served bytes that hash to sha256:… in place of sha256:…"),
    row!("part-fails", "an index of which one image is not served", Index,
        |q, truth| second(q, truth).then(|| Reply::status(500)), undecided 5, "the content of registry.example/app:1 could not be read: registry.example answered 500: Internal Server Error"),
    // ---- tokens and clocks
    row!("token-expired", "a token that ends in the middle of the run", Tokens,
        |q, _| (q.authorization() == Some("Bearer token-0") && q.path.contains("/blobs/")).then(|| challenge(q)), allow 6, ""),
    row!("token-refused", "a new token that is refused", Tokens,
        |q, _| (manifest(q) && q.authorization().is_some()).then(|| challenge(q)), undecided 3, "registry.example asks for credentials: Unauthorized"),
    row!("token-500", "500 of the token service", Tokens, |q, _| (q.path == "/token").then(|| Reply::status(500)), undecided 4, "registry.example asks for credentials: the token endpoint registry.example answered 500: Internal Server Error"),
    row!("token-429", "429 of the token service", Tokens,
        |q, _| (q.path == "/token").then(|| Reply::status(429).header("Retry-After", "3600")), undecided 2, "registry.example is limiting requests (try again in 3600 seconds); these were anonymous"),
    row!("token-html", "a page of the token service", Tokens, |q, _| (q.path == "/token").then(|| Reply::ok("text/html", HTML)), undecided 2, "registry.example gave an answer that can't be used: the token endpoint's answer is not one"),
    row!("token-empty", "an answer of the token service without a token", Tokens,
        |q, _| if q.path == "/token" { token(r#"{"token":""}"#) } else { None }, undecided 2, "registry.example gave an answer that can't be used: the token endpoint's answer holds no token"),
    row!("token-life-0", "`expires_in: 0`: a minute, as where nothing is said", Tokens,
        |q, _| if q.path == "/token" { token(r#"{"token":"token-0","expires_in":0}"#) } else { None }, allow 4, ""),
    row!("token-life-negative", "`expires_in: -1`: a minute", Tokens,
        |q, _| if q.path == "/token" { token(r#"{"token":"token-0","expires_in":-1}"#) } else { None }, allow 4, ""),
    row!("token-life-huge", "`expires_in: 1e300`: a minute", Tokens,
        |q, _| if q.path == "/token" { token(r#"{"token":"token-0","expires_in":1e300}"#) } else { None }, allow 4, ""),
    row!("token-life-text", "`expires_in: \"300\"`: believed", Tokens,
        |q, _| if q.path == "/token" { token(r#"{"token":"token-0","expires_in":"300"}"#) } else { None }, allow 4, ""),
    row!("token-life-float", "`expires_in: 299.5`: believed", Tokens,
        |q, _| if q.path == "/token" { token(r#"{"token":"token-0","expires_in":299.5}"#) } else { None }, allow 4, ""),
    row!("token-issued-later", "`issued_at` in the year 2999: a token's life is counted from when it was asked for", Tokens,
        |q, _| if q.path == "/token" { token(r#"{"token":"token-0","issued_at":"2999-01-01T00:00:00Z"}"#) } else { None }, allow 4, ""),
    row!("clock", "`Date` years off: it is not read", Get,
        |_, truth| always(truth.clone().header("Date", "Thu, 01 Jan 1970 00:00:00 GMT")), allow 1, ""),
    // ---- mirrors
    row!("mirror-500", "a mirror that answers 500; then the registry itself", Mirror, |_, _| always(Reply::status(500)), allow 3, ""),
    row!("mirror-404", "a mirror that has no such image; then the registry itself", Mirror, |_, _| always(Reply::status(404)), allow 1, ""),
    row!("mirror-401", "a mirror that lets nobody in; then the registry itself", Mirror, |_, _| always(Reply::status(401)), allow 1, ""),
    row!("mirror-lies", "a mirror that serves other bytes; nobody is asked after it", Mirror,
        |_, truth| always(truth.clone().bytes(OTHER)), undecided 1, "registry.example served bytes that hash to sha256:… in place of sha256:…"),
    row!("mirror-html", "a mirror that serves a page; nobody is asked after it", Mirror, |_, _| always(Reply::ok("text/html", HTML)), undecided 1, "registry.example gave an answer that can't be used: \"text/html\" is not the media type of a manifest"),
];

/// Whether this is the second image of [`Setup::Index`].
fn second(request: &Request, truth: &Reply) -> bool {
    request.path.contains("/manifests/sha256:") && String::from_utf8_lossy(bytes(truth)).contains("the second")
}

fn soon() -> String {
    httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2))
}

/// Another host: the same machine by its other name.
fn elsewhere(request: &Request) -> String {
    format!("http://{}/login", request.headers["host"].replace("127.0.0.1", "localhost"))
}

fn challenge(request: &Request) -> Reply {
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"test\"", request.headers["host"]);
    Reply::status(401).header("WWW-Authenticate", &realm)
}

/// What a row came to.
#[derive(Debug, PartialEq)]
struct Seen {
    verdict: String,
    said: String,
    requests: usize,
}

/// An image of one small layer, its config pushed.
fn image(server: &Server, architecture: &str, note: &str) -> String {
    let config = json!({"os": "linux", "architecture": architecture}).to_string();
    let size = config.len();
    let config = server.push_blob("app", config);
    json!({"schemaVersion": 2, "mediaType": OCI_IMAGE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": Digest::sha256(b"layer"), "size": 10}],
        "annotations": {"note": note}})
    .to_string()
}

fn index(server: &Server) -> String {
    let rows = [("amd64", "the first"), ("arm64", "the second")].map(|(architecture, note)| {
        let bytes = image(server, architecture, note);
        let size = bytes.len();
        let digest = server.push_digest("app", bytes, OCI_IMAGE);
        json!({"mediaType": OCI_IMAGE, "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture}})
    });
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).to_string()
}

impl Row {
    fn server(&self) -> Server {
        let login = match self.setup {
            Setup::LoggedIn | Setup::HeadLater => Login::Basic { user: "bob".into(), password: "hunter2".into() },
            Setup::Tokens => Login::Bearer { user: None, expires_in: 300 },
            _ => Login::Open,
        };
        let tls = (self.setup == Setup::Tls).then(Certificate::new);
        Server::start(Behaviour { login, tls, ..Behaviour::lying(self.lie) })
    }

    fn seen(&self) -> Seen {
        let server = self.server();
        let digest = if self.setup == Setup::Index {
            let index = index(&server);
            server.push("app", "1", index, OCI_INDEX)
        } else {
            let image = image(&server, "amd64", "the only one");
            server.push("app", "1", image, OCI_IMAGE)
        };
        if self.setup == Setup::Slow {
            return slow(&server);
        }
        let (host, itself) = (server.host(), Server::start(Behaviour::default()));
        // Where the portals' redirects lead: undeclared, no redirect may lead to this machine at all.
        let mut settings = format!("{{prefix: '{}', insecure: true}}", host.replace("127.0.0.1", "localhost"));
        let repository = Repository::new();
        let name = match self.setup {
            Setup::Pinned => format!("{host}/app:1@{digest}"),
            Setup::Mirror => {
                let image = image(&itself, "amd64", "the only one");
                itself.push("app", "1", image, OCI_IMAGE);
                settings = format!("{{prefix: '{}', mirrors: ['http://{host}']}}", itself.host());
                format!("{}/app:1", itself.host())
            }
            Setup::Nobody => format!("127.0.0.1:{}/app:1", Server::start(Behaviour::default()).port()),
            _ => format!("{host}/app:1"),
        };
        if self.setup == Setup::Tls {
            let tls = server.certificate().expect("a certificate");
            repository.write("ca.pem", tls);
            settings = format!("{{prefix: '{host}', ca: ca.pem}}");
        }
        if matches!(self.setup, Setup::LoggedIn | Setup::HeadLater) {
            let stored = json!({"auths": {host.clone(): {"username": "bob", "password": "hunter2"}}});
            repository.write(".docker/config.json", stored.to_string());
        }
        let rule = match self.setup {
            Setup::Head | Setup::HeadLater | Setup::Pinned => "pinned-digest: {level: warn}",
            Setup::Tokens => "platforms: {require: [linux/amd64]}",
            _ => "image-size: {max: 1MiB}",
        };
        repository.write(
            "plimsoll.yaml",
            format!(
                "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nmetadata: {{name: faults}}\nspec:\n  statements:\n    \
                 - {{name: all, match: ['**'], rules: {{mutable-tag: {{}}, {rule}}}}}\n"
            ),
        );
        repository.write(
            "machine.conf",
            format!("apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{settings}]}}\n"),
        );
        repository.write("a.yaml", pod(&format!("image: \"{name}\"")));
        let answer = repository.run(&["check", "--config", "machine.conf", "--format", "json", "a.yaml"]);
        let (verdict, said) = spoken(&answer, &name);
        let code = match verdict.as_str() {
            "allow" => 0,
            "deny" => 1,
            _ => 3,
        };
        assert_eq!(answer.code, code, "{}: the exit code follows from the verdict", self.id);
        let said =
            said.replace(&name, &format!("{HOST}/app:1")).replace(&host, HOST).replace(&digest.to_string(), "sha256:…");
        Seen { verdict, said: plain(&said), requests: server.requests().len() }
    }
}

/// The verdict, and what the deny-level findings say.
fn spoken(answer: &Answer, name: &str) -> (String, String) {
    let report = answer.json();
    let verdict = report["references"][0]["verdict"].as_str().expect("a verdict").to_owned();
    let findings = report["findings"].as_array().expect("findings").iter().filter(|row| row["level"] == "deny");
    let said: Vec<String> = findings
        .map(|row| {
            let message = row["message"].as_str().expect("a message");
            message.strip_prefix(&format!("{name}: ")).unwrap_or(message).to_owned()
        })
        .collect();
    (verdict, said.join("; "))
}

/// Ports and digests that differ from run to run, made alike.
fn plain(said: &str) -> String {
    let mut text = String::new();
    let mut rest = said;
    while let Some(at) = rest.find("sha256:") {
        text += &rest[..at];
        text += "sha256:…";
        rest = rest[at + 7..].trim_start_matches(|letter: char| letter.is_ascii_hexdigit() || letter == '…');
    }
    text += rest;
    let ports: Vec<String> = text
        .match_indices("127.0.0.1:")
        .map(|(at, found)| text[at + found.len()..].chars().take_while(char::is_ascii_digit).collect())
        .collect();
    for port in ports {
        text = text.replace(&format!("127.0.0.1:{port}"), HOST);
    }
    text.replace("127.0.0.1 ", &format!("{HOST} "))
}

/// The same at the library, with a deadline of one second in place of thirty.
fn slow(server: &Server) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let router = router_with(settings(vec![]), Sources::default(), LIMITED);
    let answer = runtime.block_on(ask(&router, &format!("{}/app:1", server.host()), Want::Content));
    let error = answer.expect_err("no answer");
    assert_eq!(judge::absence(&error).0, Status::Undecided);
    let said = error.to_string().replace(&server.host(), HOST).replace(" 1 seconds", " 30 seconds");
    Seen { verdict: "undecided".to_owned(), said, requests: server.requests().len() }
}

#[test]
fn every_fault_ends_as_its_row_says() {
    let next = AtomicUsize::new(0);
    let mut wrong: Vec<String> = std::thread::scope(|scope| {
        let worker = || {
            let mut wrong = Vec::new();
            while let Some(row) = ROWS.get(next.fetch_add(1, Ordering::Relaxed)) {
                let expected = Seen { verdict: row.verdict.into(), said: row.said.into(), requests: row.requests };
                let seen = std::panic::catch_unwind(|| row.seen());
                if seen.as_ref().ok() != Some(&expected) {
                    wrong.push(format!("{}:\n  expected {expected:?}\n  seen     {seen:?}", row.id));
                }
            }
            wrong
        };
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic gets here")).collect()
    });
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_docs_hold_the_same_rows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = std::fs::read_to_string(&path).expect("the page").replace("\r\n", "\n");
    let (before, rest) = page.split_once("<!-- rows -->\n").expect("where the rows begin");
    let (_, after) = rest.split_once("<!-- end -->\n").expect("where they end");
    let mut rows =
        String::from("| Id | Fault | Verdict, exit code | What is said | Requests |\n|---|---|---|---|---|\n");
    for Row { id, fault, verdict, said, requests, .. } in ROWS {
        let code = match *verdict {
            "allow" => 0,
            "deny" => 1,
            _ => 3,
        };
        let said = if said.is_empty() { String::new() } else { format!("`{}`", said.replace('|', "\\|")) };
        rows += &format!("| `{id}` | {fault} | `{verdict}`, {code} | {said} | {requests} |\n");
    }
    let expected = format!("{before}<!-- rows -->\n{rows}<!-- end -->\n{after}");
    if std::env::var_os("PLIMSOLL_BLESS").is_some() {
        std::fs::write(&path, &expected).expect("written");
    }
    let found = std::fs::read_to_string(&path).expect("the page").replace("\r\n", "\n");
    assert!(
        found == expected,
        "docs/faults.md is not what the rows say; PLIMSOLL_BLESS=1 cargo test --test faults writes it"
    );
}

#[test]
fn ids_are_distinct() {
    let mut ids: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ROWS.len());
}
