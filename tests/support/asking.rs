//! How the tests of registries ask: with short deadlines, and for one image `app:1`.
//! Include it beside `support/registry.rs`.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a test program has no outside")]
#![allow(missing_docs, reason = "a test's support; what needs a word has one")]
#![allow(clippy::unwrap_used, reason = "a test's support")]

use std::path::Path;
use std::time::Duration;

use plimsoll::digest::Digest;
use plimsoll::reference::Reference;
use plimsoll::registry::credentials::{Credentials, Sources};
use plimsoll::registry::http::{Deadlines, Proxies};
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{RawEntry, Settings};
use plimsoll::registry::{Named, Registry as _, RegistryError as E, Target, Want};

use super::support::{self, Behaviour, OCI_IMAGE, Reply, Server};

pub const IMAGE: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
pub const OTHER: &str = r#"{"schemaVersion":2,"config":{},"layers":[ ]}"#;
pub const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;
pub const DIGEST: &str = "Docker-Content-Digest";
pub const FAST: Deadlines = Deadlines {
    connect: Duration::from_secs(2),
    request: Duration::from_millis(1_500),
    layer: Duration::from_secs(20),
    attempts: 3,
    backoff: Duration::from_millis(5),
    retry_after: Duration::from_secs(3),
};
pub const HASTY: Deadlines = Deadlines { request: Duration::from_millis(150), attempts: 2, ..FAST };

pub fn settings(entries: Vec<RawEntry>) -> Settings {
    Settings::new(entries, false).unwrap()
}

pub fn entry(prefix: &str) -> RawEntry {
    RawEntry { prefix: prefix.into(), ..RawEntry::default() }
}

pub fn router_with(settings: Settings, sources: Sources, deadlines: Deadlines) -> Router {
    let credentials = Credentials::with_deadline(sources, Duration::from_millis(400));
    Router::new(settings, credentials, deadlines, Proxies::default(), None)
}

pub fn router() -> Router {
    router_with(settings(vec![]), Sources::default(), FAST)
}

/// Asks for what `name` says, by its digest where it has one.
pub async fn ask(router: &Router, name: &str, want: Want) -> Result<Named, E> {
    let reference = Reference::parse(name).unwrap();
    let target = reference.digest().map_or_else(|| Target::Tag(reference.tag().unwrap()), Target::Digest);
    router.name(reference.repository(), target, want).await
}

pub async fn read_blob(router: &Router, host: &str, digest: &Digest, limit: usize) -> Result<bytes::Bytes, E> {
    let reference = Reference::parse(&format!("{host}/app")).unwrap();
    router.blob(reference.repository(), digest, limit).await
}

/// A registry with `app:1`, which lies as told about its manifests.
pub fn liar(lie: impl Fn(&support::Request, &Reply) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let server = Server::start(Behaviour::lying(lie));
    server.push("app", "1", IMAGE, OCI_IMAGE);
    server
}

/// What `app:1` comes to by HEAD and by GET.
pub async fn both(server: &Server) -> [Result<Named, E>; 2] {
    let name = format!("{}/app:1", server.host());
    [ask(&router(), &name, Want::Digest).await, ask(&router(), &name, Want::Content).await]
}

pub fn docker_config(folder: &Path, text: &str) -> Sources {
    let path = folder.join("config.json");
    std::fs::write(&path, text).unwrap();
    Sources { files: vec![path.into()], search: Some(folder.into()), ..Sources::default() }
}

pub fn logged_in(folder: &Path, host: &str, user: &str, password: &str) -> Sources {
    docker_config(folder, &format!(r#"{{"auths":{{"{host}":{{"username":"{user}","password":"{password}"}}}}}}"#))
}
