//! What layers unpack to, from registries and layouts that break off, stall, lie and swell: the exact answer each time,
//! and never more memory than a window.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[allow(dead_code, unreachable_pub, missing_docs, clippy::must_use_candidate, reason = "a part of a test's support")]
#[path = "support/layout.rs"]
mod layout;
#[path = "support/registry.rs"]
mod support;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use plimsoll::digest::{Algorithm, Digest, Hashing};
use plimsoll::limits;
use plimsoll::reference::{Reference, Repository};
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::http::Deadlines;
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{RawEntry, Settings};
use plimsoll::registry::{Packed, Registry as _, RegistryError as E, Unpacked};
use serde_json::json;

use asking::*;
use support::*;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const MIB: usize = 1 << 20;

/// What every small layer here unpacks to.
fn tar() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn truth() -> Unpacked {
    Unpacked { diff_id: Digest::sha256(&tar()), size: tar().len() as u64 }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// The digest of `piece` so many times over, and its size.
fn repeated(piece: &[u8], times: usize) -> (Digest, u64) {
    let mut hashing = Hashing::new(Algorithm::Sha256);
    for _ in 0..times {
        hashing.add(piece);
    }
    (hashing.digest(), (piece.len() * times) as u64)
}

fn app(host: &str) -> Repository {
    Reference::parse(&format!("{host}/app")).unwrap().repository().clone()
}

async fn unpack(router: &Router, host: &str, layer: Packed<'_>) -> Result<Unpacked, E> {
    router.unpacked(&app(host), layer).await
}

/// A registry that has the layer `stored` and serves it as `lie` says.
fn serving(stored: &[u8], lie: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let server = Server::start(Behaviour::lying(move |request, _| lie(request)));
    server.push_blob("app", stored);
    server
}

fn body(body: Body) -> Reply {
    Reply::status(200).body(body)
}

fn with(deadlines: Deadlines) -> Router {
    router_with(settings(vec![]), Sources::default(), deadlines)
}

// ---- over HTTP

#[tokio::test]
async fn a_layer_is_read_once_a_run() {
    for (media_type, stored) in [(TAR, tar()), (GZIP, gzip(&tar())), (ZSTD, zstd(&tar()))] {
        let server = serving(&stored, |_| None);
        let digest = Digest::sha256(&stored);
        let layer = Packed { digest: &digest, size: stored.len() as u64, media_type };
        let (router, host) = (router(), server.host());
        let (first, second) = tokio::join!(unpack(&router, &host, layer), unpack(&router, &host, layer));
        assert_eq!((first, second), (Ok(truth()), Ok(truth())), "{media_type}");
        assert_eq!(server.lines(), [format!("GET /v2/app/blobs/{digest}")]);
        // What another manifest says of the same blob is another question.
        let other = unpack(&router, &host, Packed { size: layer.size + 1, ..layer }).await;
        assert!(matches!(other, Err(E::Malformed { .. })), "{other:?}");
    }
}

#[tokio::test]
async fn every_algorithm_is_hashed_by_itself_and_the_tar_by_sha256() {
    let stored = gzip(&tar());
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let digest = Digest::hash(algorithm, &stored);
        let server = serving(&stored, |_| None);
        server.put(format!("/v2/app/blobs/{digest}"), "", stored.clone());
        let layer = Packed { digest: &digest, size: stored.len() as u64, media_type: GZIP };
        assert_eq!(unpack(&router(), &server.host(), layer).await, Ok(truth()));
    }
}

/// Whether an error is the right one.
type Is = Box<dyn Fn(&E) -> bool>;

#[tokio::test]
async fn lies_about_a_layer_are_told_apart() {
    let stored = gzip(&tar());
    let digest = Digest::sha256(&stored);
    let size = stored.len();
    let wrong = |found: &[u8]| {
        let found = Digest::sha256(found);
        Box::new(move |error: &E| matches!(error, E::WrongBytes { found: own, .. } if *own == found))
    };
    let malformed = |part: &'static str| {
        Box::new(move |error: &E| matches!(error, E::Malformed { detail, .. } if detail.contains(part)))
    };
    let half = stored[..size / 2].to_vec();
    let longer = [&stored[..], &stored].concat();
    let other = gzip(b"another layer");
    let rows: [(&str, Body, Is); 7] = [
        ("another layer", Body::Bytes(other.clone()), wrong(&other)),
        ("half of it, as if that were all", Body::Bytes(half.clone()), wrong(&half)),
        ("nothing", Body::Bytes(Vec::new()), wrong(b"")),
        ("twice", Body::Bytes(longer), malformed("has more than the")),
        ("without end", Body::Endless, malformed("has more than the")),
        ("a page", Body::Bytes(b"<html>".to_vec()), wrong(b"<html>")),
        (
            "broken off, each time",
            Body::Announced(half, size),
            Box::new(|error| matches!(error, E::Unreachable { .. })),
        ),
    ];
    for (what, lie, is) in rows {
        let server = serving(&stored, move |_| Some(body(lie.clone())));
        let layer = Packed { digest: &digest, size: size as u64, media_type: GZIP };
        let error = unpack(&router(), &server.host(), layer).await.unwrap_err();
        assert!(is(&error), "{what}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_refused_is_never_asked_for() {
    let server = Server::start(Behaviour::default());
    let digest = Digest::sha256(b"");
    let layer = Packed { digest: &digest, size: limits::LAYER_BYTES as u64 + 1, media_type: GZIP };
    let error = unpack(&router(), &server.host(), layer).await.unwrap_err();
    assert_eq!(error, E::TooLarge { place: server.host(), limit: limits::LAYER_BYTES });
    let layer = Packed { digest: &digest, size: 0, media_type: "application/vnd.in-toto+json" };
    let error = unpack(&router(), &server.host(), layer).await.unwrap_err();
    assert!(matches!(error, E::Malformed { .. }), "{error:?}");
    assert_eq!(server.lines(), [""; 0]);
    let layer = Packed { digest: &digest, size: 0, media_type: TAR };
    let error = unpack(&router(), &server.host(), layer).await.unwrap_err();
    assert_eq!(error, E::NotFound { place: server.host() });
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again_from_its_beginning() {
    let stored = gzip(&tar());
    let digest = Digest::sha256(&stored);
    let layer = Packed { digest: &digest, size: stored.len() as u64, media_type: GZIP };
    let (half, size) = (stored[..stored.len() / 2].to_vec(), stored.len());
    let server = serving(&stored, move |request| match request.before {
        0 => Some(body(Body::Announced(half.clone(), size))),
        1 => Some(Reply::status(503)),
        _ => None,
    });
    assert_eq!(unpack(&router(), &server.host(), layer).await, Ok(truth()));
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn who_makes_no_headway_is_not_waited_for() {
    let size = 10 * MIB;
    let digest = Digest::sha256(b"nobody sends it");
    let layer = Packed { digest: &digest, size: size as u64, media_type: TAR };
    let stall = HASTY.request;
    let whole = Duration::from_millis(120);
    let slow = Deadlines { request: Duration::from_secs(20), layer: whole, ..FAST };
    let pieces = Body::Repeated(vec![0; 10], MIB, Duration::from_millis(10));
    let rows = [
        ("a head and no more", HASTY, Body::Stuck(Vec::new(), size), stall),
        ("a part and no more", HASTY, Body::Stuck(vec![0; 3 * MIB], size), stall),
        ("ten bytes now and then", HASTY, pieces.clone(), stall),
        ("a byte now and then", HASTY, Body::Drip(Duration::from_millis(10)), stall),
        ("longer than a layer may take", slow, pieces, whole),
    ];
    for (what, deadlines, lie, after) in rows {
        let server = serving(b"", move |_| Some(body(lie.clone())));
        server.put(format!("/v2/app/blobs/{digest}"), "", Vec::new());
        let error = unpack(&with(deadlines), &server.host(), layer).await.unwrap_err();
        assert_eq!(error, E::TimedOut { host: server.host(), after }, "{what}");
        assert_eq!(server.lines().len(), 1, "{what}: whoever was silent for so long is not asked again");
    }
}

#[tokio::test]
async fn who_makes_headway_may_take_longer_than_a_request() {
    let piece = vec![7; limits::LAYER_PROGRESS + MIB / 2];
    let (digest, size) = repeated(&piece, 5);
    let layer = Packed { digest: &digest, size, media_type: TAR };
    let pause = FAST.request / 3;
    let server = serving(b"", move |_| Some(body(Body::Repeated(piece.clone(), 5, pause))));
    assert_eq!(unpack(&with(FAST), &server.host(), layer).await, Ok(Unpacked { diff_id: digest.clone(), size }));
}

#[tokio::test]
async fn few_layers_are_unpacked_at_once() {
    let server = Server::start(Behaviour { delay: Duration::from_millis(60), ..Behaviour::default() });
    let (router, host) = (router(), server.host());
    let layers: Vec<_> = (0..10_u8).map(|mark| (server.push_blob("app", vec![mark; 100]), mark)).collect();
    let all = layers.iter().map(|(digest, mark)| {
        let (router, host) = (&router, &host);
        let expected = Unpacked { diff_id: Digest::sha256(&[*mark; 100]), size: 100 };
        async move {
            let layer = Packed { digest, size: 100, media_type: TAR };
            assert_eq!(unpack(router, host, layer).await, Ok(expected));
        }
    });
    futures_util::future::join_all(all).await;
    assert!(server.most_at_once() <= limits::UNPACKING, "{}", server.most_at_once());
}

#[tokio::test]
async fn no_credential_follows_a_layer_to_its_storage() {
    let folder = tempfile::tempdir().unwrap();
    let stored = zstd(&tar());
    let storage = Server::start(Behaviour::default());
    storage.put("/bucket/layer".to_owned(), "", stored.clone());
    let location = format!("http://{}/bucket/layer", storage.host());
    let login = Login::Basic { user: "bob".into(), password: "hunter2".into() };
    let script = move |request: &Request, _: &Reply| request.authorization().map(|_| Reply::redirect(&location));
    let server = Server::start(Behaviour { login, ..Behaviour::lying(script) });
    let sources = logged_in(folder.path(), &server.host(), "bob", "hunter2");
    let router = router_with(settings(vec![entry(&storage.host())]), sources, FAST);
    let digest = Digest::sha256(&stored);
    let layer = Packed { digest: &digest, size: stored.len() as u64, media_type: ZSTD };
    assert_eq!(unpack(&router, &server.host(), layer).await, Ok(truth()));
    assert_eq!(storage.lines(), ["GET /bucket/layer"]);
}

#[tokio::test]
async fn a_mirror_that_has_no_such_layer_is_passed_and_one_that_lies_is_not() {
    let stored = gzip(&tar());
    let digest = Digest::sha256(&stored);
    let layer = Packed { digest: &digest, size: stored.len() as u64, media_type: GZIP };
    let server = serving(&stored, |_| None);
    let empty = Server::start(Behaviour::default());
    let lying = serving(&stored, |_| Some(body(Body::Bytes(b"lies".to_vec()))));
    for (mirror, is) in [(&empty, true), (&lying, false)] {
        let mirrors = vec![format!("http://{}", mirror.host()).into()];
        let settings = settings(vec![RawEntry { mirrors, ..entry(&server.host()) }]);
        let answer = unpack(&router_with(settings, Sources::default(), FAST), &server.host(), layer).await;
        match answer {
            Ok(answer) => assert!(is && answer == truth()),
            Err(error) => assert!(!is && matches!(error, E::WrongBytes { .. }), "{error:?}"),
        }
        assert_eq!(mirror.lines().len(), 1);
    }
}

// ---- from a layout

/// A layout with `app:1`, an image of the one layer `stored`.
fn layout_of(folder: &Path, stored: &[u8], media_type: &str) {
    let mut layout = layout::Layout::new(folder);
    let layer = layout.blob(stored);
    let config = layout.blob(b"{}");
    let written = layout.manifest(
        OCI_IMAGE,
        &json!({"schemaVersion": 2, "mediaType": OCI_IMAGE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": media_type, "digest": layer, "size": stored.len()}]}),
    );
    layout.name("r.example/app:1", &written);
    layout.finish();
}

fn layout_router(folder: &Path) -> Router {
    let raw = RawEntry { layout: Some(folder.into()), ..entry("r.example") };
    router_with(Settings::new(vec![raw], true).unwrap(), Sources::default(), FAST)
}

#[tokio::test]
async fn a_layout_unpacks_what_its_images_reach() {
    for (media_type, stored) in [(TAR, tar()), (GZIP, gzip(&tar())), (ZSTD, zstd(&tar()))] {
        let folder = tempfile::tempdir().unwrap();
        layout_of(folder.path(), &stored, media_type);
        let digest = Digest::sha256(&stored);
        let layer = Packed { digest: &digest, size: stored.len() as u64, media_type };
        assert_eq!(unpack(&layout_router(folder.path()), "r.example", layer).await, Ok(truth()));
        let other = Digest::sha256(b"of no image");
        std::fs::write(folder.path().join("blobs/sha256").join(other.hex()), "of no image").unwrap();
        let layer = Packed { digest: &other, size: 11, media_type: TAR };
        let error = unpack(&layout_router(folder.path()), "r.example", layer).await.unwrap_err();
        assert!(matches!(error, E::NotFound { .. }), "{error:?}");
        let error = unpack(&layout_router(folder.path()), "elsewhere.example", layer).await.unwrap_err();
        assert!(matches!(error, E::Offline { .. }), "{error:?}");
    }
}

/// What it is, how it is done to the blob, and whether the error is the right one.
type Breakage = (&'static str, fn(&Path), fn(&E) -> bool);

#[tokio::test]
async fn a_broken_layout_says_what_is_broken() {
    let stored = gzip(&tar());
    let digest = Digest::sha256(&stored);
    let layer = Packed { digest: &digest, size: stored.len() as u64, media_type: GZIP };
    let rows: [Breakage; 4] = [
        ("gone", |blob| std::fs::remove_file(blob).unwrap(), |error| matches!(error, E::Local { .. })),
        (
            "cut short",
            |blob| std::fs::File::options().write(true).open(blob).unwrap().set_len(100).unwrap(),
            |error| matches!(error, E::WrongBytes { .. }),
        ),
        (
            "grown",
            |blob| std::fs::File::options().append(true).open(blob).unwrap().write_all(b"x").unwrap(),
            |error| matches!(error, E::Malformed { .. }),
        ),
        (
            "a folder",
            |blob| {
                std::fs::remove_file(blob).unwrap();
                std::fs::create_dir(blob).unwrap();
            },
            |error| matches!(error, E::Local { .. }),
        ),
    ];
    for (what, breaks, is) in rows {
        let folder = tempfile::tempdir().unwrap();
        layout_of(folder.path(), &stored, GZIP);
        breaks(&folder.path().join("blobs/sha256").join(digest.hex()));
        let error = unpack(&layout_router(folder.path()), "r.example", layer).await.unwrap_err();
        assert!(is(&error), "{what}: {error:?}");
    }
}

// ---- memory

/// Set in the process that reads large layers, and nothing else.
#[cfg(target_os = "linux")]
const ALONE: &str = "PLIMSOLL_TEST_UNPACKS_ALONE";

/// The most memory that this process held at once, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let held = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    held.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[cfg(target_os = "linux")]
#[test]
fn memory_holds_no_layer_however_large() {
    if std::env::var_os(ALONE).is_none() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let status = command.args(["--exact", "memory_holds_no_layer_however_large", "--nocapture"]).env(ALONE, "1");
        assert!(status.status().unwrap().success());
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(large_layers());
}

/// After a small layer, 64 MiB as stored by HTTP and from a layout, and ten gigabytes of zeros in ten megabytes.
#[cfg(target_os = "linux")]
async fn large_layers() {
    let zeros = vec![0; MIB];
    let member = gzip(&zeros);
    let layers = [(TAR, &zeros, 1), (GZIP, &member, 1), (TAR, &zeros, 64), (GZIP, &member, 10 << 10)];
    let layers = layers.map(|(media_type, piece, times)| (media_type, piece.clone(), times, repeated(piece, times)));
    let known = layers.clone();
    let server = Server::start(Behaviour::lying(move |request, _| {
        let (_, piece, times, _) = known.iter().find(|(.., (digest, _))| request.path.ends_with(digest.hex()))?;
        Some(body(Body::Repeated(piece.clone(), *times, Duration::ZERO)))
    }));
    let folder = tempfile::tempdir().unwrap();
    let (_, _, _, (large, size)) = &layers[2];
    let mut layout = layout::Layout::new(folder.path());
    let blob = folder.path().join("blobs/sha256").join(large.hex());
    std::fs::File::create(blob).unwrap().set_len(*size).unwrap();
    let named = layout.manifest(
        OCI_IMAGE,
        &json!({"schemaVersion": 2, "mediaType": OCI_IMAGE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": large, "size": size},
            "layers": []}),
    );
    layout.name("r.example/app:1", &named);
    layout.finish();
    let (router, from_layout, host) = (with(Deadlines::STANDARD), layout_router(folder.path()), server.host());
    let mut answers = Vec::new();
    let mut before = 0;
    for (at, (media_type, _, _, (digest, size))) in layers.iter().enumerate() {
        if at == 2 {
            before = peak();
        }
        answers.push(unpack(&router, &host, Packed { digest, size: *size, media_type }).await);
    }
    answers.push(unpack(&from_layout, "r.example", Packed { digest: large, size: *size, media_type: TAR }).await);
    let grown = peak() - before;
    let of = |times| repeated(&zeros, times);
    let one = Ok(Unpacked { diff_id: of(1).0, size: of(1).1 });
    let many = Ok(Unpacked { diff_id: large.clone(), size: *size });
    let bomb = Err(E::TooLarge { place: host, limit: limits::UNPACKED_BYTES });
    assert_eq!(answers, [one.clone(), one, many.clone(), bomb, many]);
    assert!(grown < 16 * MIB, "{grown} bytes more than the {before} before");
}
