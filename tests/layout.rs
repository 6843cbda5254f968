//! OCI image layouts on disk: what they serve, and what breaks in them is an error at its place.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod support;

use plimsoll::digest::Digest;
use plimsoll::reference::Reference;
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{RawEntry, Settings};
use plimsoll::registry::{KnownBy, Registry as _, RegistryError as E, Want};

use asking::*;
use support::*;

/// A layout in a folder, made of what is added to it.
struct Made {
    folder: tempfile::TempDir,
    index: Vec<serde_json::Value>,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { folder, index: Vec::new() }
    }

    fn blob(&self, bytes: &str) -> Digest {
        let digest = Digest::sha256(bytes.as_bytes());
        std::fs::write(self.path(&digest), bytes).unwrap();
        digest
    }

    fn path(&self, digest: &Digest) -> std::path::PathBuf {
        self.folder.path().join("blobs/sha256").join(digest.hex())
    }

    /// Writes a manifest and names it.
    fn image(&mut self, name: &str, bytes: &str, media_type: &str) -> Digest {
        let digest = self.blob(bytes);
        let mut descriptor = descriptor(media_type, bytes);
        descriptor["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": name});
        self.index.push(descriptor);
        digest
    }

    fn router(&self, prefix: &str, offline: bool) -> Router {
        let index = serde_json::json!({"schemaVersion": 2, "manifests": self.index});
        std::fs::write(self.folder.path().join("index.json"), index.to_string()).unwrap();
        let raw = RawEntry { layout: Some(self.folder.path().into()), ..entry(prefix) };
        router_with(Settings::new(vec![raw], offline).unwrap(), Sources::default(), FAST)
    }
}

/// What it is, how it is done, and whether the error is the right one.
type Breakage<'a> = (&'a str, &'a dyn Fn(&mut Made), fn(&E) -> bool);

fn descriptor(media_type: &str, bytes: &str) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": Digest::sha256(bytes.as_bytes()), "size": bytes.len()})
}

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux"}"#;

fn image_of(config: &str) -> String {
    let config = descriptor("application/vnd.oci.image.config.v1+json", config);
    serde_json::json!({"schemaVersion": 2, "config": config, "layers": []}).to_string()
}

fn index_of(child: &str) -> String {
    serde_json::json!({"schemaVersion": 2, "manifests": [descriptor(OCI_IMAGE, child)]}).to_string()
}

#[tokio::test]
async fn a_layout_serves_names_and_what_they_reach() {
    let mut made = Made::new();
    let child = image_of(CONFIG);
    let (config, child_digest) = (made.blob(CONFIG), made.blob(&child));
    let index = made.image("docker.io/library/app:1", &index_of(&child), OCI_INDEX);
    let other = made.image("docker.io/library/other:1", &image_of("{}"), OCI_IMAGE);
    let router = made.router("docker.io", true);
    let named = ask(&router, "app:1", Want::Digest).await.unwrap();
    assert_eq!((&named.digest, named.known_by), (&index, KnownBy::Bytes));
    for digest in [&index, &child_digest] {
        let named = ask(&router, &format!("app@{digest}"), Want::Content).await.unwrap();
        assert_eq!(named.digest, *digest);
    }
    let repository = Reference::parse("app").unwrap().repository().clone();
    assert_eq!(router.blob(&repository, &config, 100).await.unwrap(), CONFIG);
    assert!(matches!(router.blob(&repository, &config, 5).await, Err(E::TooLarge { limit: 5, .. })));
    for missing in ["app:2", "nothing:1", &format!("app@{other}"), &format!("other@{child_digest}")] {
        let answer = ask(&router, missing, Want::Content).await;
        assert!(matches!(answer, Err(E::NotFound { .. })), "{missing}: {answer:?}");
    }
    assert!(matches!(router.blob(&repository, &other, 100).await, Err(E::NotFound { .. })));
    let answer = ask(&router, "ghcr.io/a/b:1", Want::Digest).await;
    assert_eq!(answer.unwrap_err(), E::Offline { name: "ghcr.io/a/b".into() });
}

#[tokio::test]
async fn a_layout_reads_containerds_whole_name() {
    let mut made = Made::new();
    let digest = made.image("1", IMAGE, OCI_IMAGE);
    made.index[0]["annotations"]["io.containerd.image.name"] = "docker.io/library/app:1".into();
    assert_eq!(ask(&made.router("docker.io", true), "app:1", Want::Digest).await.unwrap().digest, digest);
    let answer = ask(&made.router("docker.io", true), "1", Want::Digest).await;
    assert!(matches!(answer, Err(E::NotFound { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_name_that_stands_twice_is_an_error() {
    let mut made = Made::new();
    made.image("docker.io/library/app:1", IMAGE, OCI_IMAGE);
    made.image("app:1", OTHER, OCI_IMAGE);
    let answer = ask(&made.router("docker.io", true), "app:1", Want::Digest).await;
    assert!(matches!(answer, Err(E::Local { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_broken_layout_is_an_error_never_not_found() {
    let name = "docker.io/library/app:1";
    let child = image_of(CONFIG);
    let missing = |made: &mut Made| {
        let digest = made.image(name, IMAGE, OCI_IMAGE);
        std::fs::remove_file(made.path(&digest)).unwrap();
    };
    let corrupt = |made: &mut Made| {
        let digest = made.image(name, IMAGE, OCI_IMAGE);
        std::fs::write(made.path(&digest), OTHER).unwrap();
    };
    let size = |made: &mut Made| {
        made.image(name, IMAGE, OCI_IMAGE);
        made.index[0]["size"] = 7.into();
    };
    let media_type = |made: &mut Made| drop(made.image(name, INDEX, OCI_IMAGE));
    let html = |made: &mut Made| drop(made.image(name, IMAGE, "text/html"));
    let no_index = |made: &mut Made| {
        std::fs::remove_file(made.folder.path().join("oci-layout")).unwrap();
    };
    let digest = |made: &mut Made| {
        made.image(name, IMAGE, OCI_IMAGE);
        made.index[0]["digest"] = "sha256:../../../etc/passwd".into();
    };
    let other_digest = |made: &mut Made| {
        let digest = Digest::sha256(b"other");
        made.image(&format!("{name}@{digest}"), IMAGE, OCI_IMAGE);
    };
    let rows: [Breakage<'_>; 8] = [
        ("missing", &missing, |error| matches!(error, E::Local { .. })),
        ("corrupt", &corrupt, |error| matches!(error, E::WrongBytes { .. })),
        ("size", &size, |error| matches!(error, E::Malformed { .. })),
        ("media type", &media_type, |error| matches!(error, E::Malformed { .. })),
        ("html", &html, |error| matches!(error, E::Malformed { .. })),
        ("no marker", &no_index, |error| matches!(error, E::Local { .. })),
        ("digest", &digest, |error| matches!(error, E::Local { .. })),
        ("other digest", &other_digest, |error| matches!(error, E::Local { .. })),
    ];
    for (what, break_it, expected) in rows {
        let mut made = Made::new();
        break_it(&mut made);
        let error = ask(&made.router("docker.io", true), "app:1", Want::Digest).await.unwrap_err();
        assert!(expected(&error), "{what}: {error:?}");
    }
    // Below a child that can't be read may be anything, so what is not found elsewhere is not "not found".
    let mut made = Made::new();
    made.image(name, &index_of(&child), OCI_INDEX);
    let config = Digest::sha256(CONFIG.as_bytes());
    let answer = ask(&made.router("docker.io", true), &format!("app@{config}"), Want::Content).await;
    assert!(matches!(answer, Err(E::Local { .. })), "{answer:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn links_out_of_a_layout_are_refused() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), IMAGE).unwrap();
    let mut by_file = Made::new();
    let digest = by_file.image("docker.io/library/app:1", IMAGE, OCI_IMAGE);
    std::fs::remove_file(by_file.path(&digest)).unwrap();
    symlink(outside.path().join("file"), by_file.path(&digest)).unwrap();
    let mut by_folder = Made::new();
    let digest = by_folder.image("docker.io/library/app:1", IMAGE, OCI_IMAGE);
    std::fs::create_dir(outside.path().join("sha256")).unwrap();
    std::fs::rename(by_folder.path(&digest), outside.path().join("sha256").join(digest.hex())).unwrap();
    std::fs::remove_dir(by_folder.folder.path().join("blobs/sha256")).unwrap();
    symlink(outside.path().join("sha256"), by_folder.folder.path().join("blobs/sha256")).unwrap();
    let mut inside = Made::new();
    let digest = inside.image("docker.io/library/app:1", IMAGE, OCI_IMAGE);
    std::fs::rename(inside.path(&digest), inside.folder.path().join("moved")).unwrap();
    symlink(inside.folder.path().join("moved"), inside.path(&digest)).unwrap();
    for made in [by_file, by_folder, inside] {
        let answer = ask(&made.router("docker.io", true), "app:1", Want::Digest).await;
        assert!(matches!(answer, Err(E::Local { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn the_longest_prefix_chooses_layout_or_network() {
    let mut made = Made::new();
    let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::default() });
    let (host, digest) = (server.host(), Digest::sha256(b"team/app:1"));
    let held = made.image(&format!("{host}/held/app:1"), IMAGE, OCI_IMAGE);
    let router = made.router(&format!("{host}/held"), false);
    assert_eq!(ask(&router, &format!("{host}/held/app:1"), Want::Digest).await.unwrap().digest, held);
    assert!(server.requests().is_empty());
    assert_eq!(ask(&router, &format!("{host}/team/app:1"), Want::Digest).await.unwrap().digest, digest);
    let answer = ask(&router, &format!("{host}/held/app:2"), Want::Digest).await;
    assert!(matches!(answer, Err(E::NotFound { .. })), "{answer:?}");
    assert!(ask(&router, &format!("{host}/heldx/app:2"), Want::Digest).await.is_ok());
}
