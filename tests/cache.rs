//! The disk cache: what it saves, counted in requests, and what it must never do, whoever wrote into its folder.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll::digest::Digest;
use plimsoll::limits;
use plimsoll::reference::Reference;
use plimsoll::registry::cache::{Cache, Origin};
use plimsoll::registry::credentials::{Credentials, Sources};
use plimsoll::registry::http::Proxies;
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{RawEntry, Settings};
use plimsoll::registry::{KnownBy, Manifest, RegistryError as E, Want};

use asking::*;
use support::*;

/// A folder for a cache, and a registry with `app:1`.
struct Scene {
    folder: tempfile::TempDir,
    server: Server,
    digest: Digest,
}

impl Scene {
    fn new() -> Self {
        Self::of(Server::start(Behaviour::default()))
    }

    fn of(server: Server) -> Self {
        let digest = server.push("app", "1", IMAGE, OCI_IMAGE);
        Self { folder: tempfile::tempdir().unwrap(), server, digest }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn cache(&self) -> Cache {
        Cache::new(self.root(), limits::CACHE_BYTES, None)
    }

    /// A new run with the same cache.
    fn run(&self) -> Router {
        router_of(settings(vec![]), Some(self.cache()))
    }

    fn offline(&self) -> Router {
        router_of(Settings::new(vec![], true).unwrap(), Some(self.cache()))
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.server.host())
    }

    fn by_digest(&self) -> String {
        self.name(&format!("app@{}", self.digest))
    }

    /// What has been asked since the last time.
    fn asked(&self, seen: &mut usize) -> Vec<String> {
        let lines = self.server.lines();
        let new = lines[*seen..].to_vec();
        *seen = lines.len();
        new
    }

    fn blob(&self) -> PathBuf {
        self.root().join("blobs/sha256").join(self.digest.hex())
    }

    fn record(&self) -> PathBuf {
        let records = files(&self.root().join("served"));
        assert_eq!(records.len(), 1, "{records:?}");
        records[0].clone()
    }
}

fn router_of(settings: Settings, cache: Option<Cache>) -> Router {
    Router::new(settings, Credentials::new(Sources::default()), FAST, Proxies::default(), cache)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

// ---- what it saves

#[tokio::test]
async fn a_second_run_asks_head_for_a_tag_and_nothing_for_a_digest() {
    let scene = Scene::new();
    let blob = scene.server.push_blob("app", "config");
    let mut seen = 0;
    let expected: [&[&str]; 2] = [&["GET /v2/app/manifests/1", "GET"], &["HEAD /v2/app/manifests/1"]];
    for lines in expected {
        let router = scene.run();
        let named = ask(&router, &scene.name("app:1"), Want::Content).await.unwrap();
        assert_eq!((&named.digest, named.known_by), (&scene.digest, KnownBy::Bytes));
        assert_eq!(named.manifest.unwrap().bytes(), IMAGE.as_bytes());
        let named = ask(&router, &scene.by_digest(), Want::Content).await.unwrap();
        assert_eq!(named.manifest.unwrap().media_type(), OCI_IMAGE);
        let named = ask(&router, &scene.by_digest(), Want::Digest).await.unwrap();
        assert_eq!(named.known_by, KnownBy::Bytes);
        assert_eq!(read_blob(&router, &scene.server.host(), &blob, 100).await.unwrap(), "config");
        let asked = scene.asked(&mut seen);
        assert_eq!(asked.len(), lines.len(), "{asked:?}");
        assert!(asked.iter().zip(lines).all(|(line, start)| line.starts_with(start)), "{asked:?}");
    }
    let router = scene.run();
    assert_eq!(ask(&router, &scene.by_digest(), Want::Digest).await.unwrap().known_by, KnownBy::Bytes);
    assert_eq!(ask(&router, &scene.by_digest(), Want::Content).await.unwrap().digest, scene.digest);
    assert_eq!(scene.asked(&mut seen), Vec::<String>::new());
}

#[tokio::test]
async fn a_hundred_tags_are_a_hundred_heads_the_second_time() {
    let scene = Scene::new();
    for tag in 0..100 {
        scene.server.push("app", &format!("t{tag}"), format!("{IMAGE}{}", " ".repeat(tag)), OCI_IMAGE);
    }
    let mut seen = 0;
    for method in ["GET ", "HEAD "] {
        let router = scene.run();
        for tag in 0..100 {
            ask(&router, &scene.name(&format!("app:t{tag}")), Want::Content).await.unwrap();
        }
        let asked = scene.asked(&mut seen);
        assert!(asked.len() == 100 && asked.iter().all(|line| line.starts_with(method)), "{asked:?}");
    }
}

#[tokio::test]
async fn a_digest_alone_is_asked_by_head_and_leaves_nothing_behind() {
    let scene = Scene::new();
    assert_eq!(ask(&scene.run(), &scene.name("app:1"), Want::Digest).await.unwrap().known_by, KnownBy::Header);
    assert_eq!(ask(&scene.run(), &scene.by_digest(), Want::Digest).await.unwrap().known_by, KnownBy::Header);
    assert!(!scene.root().exists());
}

#[tokio::test]
async fn the_folder_is_an_oci_layouts_and_nobody_elses() {
    let scene = Scene::new();
    ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
    assert_eq!(fs::read_to_string(scene.root().join("oci-layout")).unwrap(), r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert_eq!(fs::read(scene.blob()).unwrap(), IMAGE.as_bytes());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for folder in ["", "blobs", "blobs/sha256", "served", "tags"] {
            assert_eq!(mode(&scene.root().join(folder)), 0o700, "{folder}");
        }
        for file in all_files(&scene.root()) {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
    }
}

#[tokio::test]
async fn offline_the_cache_answers_for_digests_and_never_for_tags() {
    let scene = Scene::new();
    let blob = scene.server.push_blob("app", "config");
    let router = scene.run();
    ask(&router, &scene.name("app:1"), Want::Content).await.unwrap();
    read_blob(&router, &scene.server.host(), &blob, 100).await.unwrap();
    let (mut seen, router) = (scene.server.lines().len(), scene.offline());
    for want in [Want::Digest, Want::Content] {
        assert_eq!(ask(&router, &scene.by_digest(), want).await.unwrap().known_by, KnownBy::Bytes);
        let answer = ask(&router, &scene.name("app:1"), want).await;
        assert!(matches!(answer, Err(E::Offline { .. })), "{answer:?}");
        let other = Digest::sha256(b"other");
        let answer = ask(&router, &scene.name(&format!("app@{other}")), want).await;
        assert!(matches!(answer, Err(E::Offline { .. })), "{answer:?}");
    }
    assert_eq!(read_blob(&router, &scene.server.host(), &blob, 100).await.unwrap(), "config");
    let answer = read_blob(&router, &scene.server.host(), &Digest::sha256(b"other"), 100).await;
    assert!(matches!(answer, Err(E::Offline { .. })), "{answer:?}");
    assert_eq!(scene.asked(&mut seen), Vec::<String>::new());
}

#[tokio::test]
async fn a_blob_past_a_readers_limit_is_no_answer() {
    let scene = Scene::new();
    let blob = scene.server.push_blob("app", "config");
    read_blob(&scene.run(), &scene.server.host(), &blob, 100).await.unwrap();
    let answer = read_blob(&scene.run(), &scene.server.host(), &blob, 3).await;
    assert!(matches!(answer, Err(E::TooLarge { limit: 3, .. })), "{answer:?}");
}

// ---- tags are the registry's word

#[tokio::test]
async fn a_tag_that_moved_is_told_as_it_stands() {
    let scene = Scene::new();
    ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
    let second = scene.server.push("app", "1", OTHER, OCI_IMAGE);
    let mut seen = scene.server.lines().len();
    for lines in [&["HEAD /v2/app/manifests/1", "GET /v2/app/manifests/1"][..], &["HEAD /v2/app/manifests/1"]] {
        let named = ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
        assert_eq!((&named.digest, named.manifest.unwrap().bytes().as_ref()), (&second, OTHER.as_bytes()));
        assert_eq!(scene.asked(&mut seen), lines);
    }
    scene.server.push("app", "1", IMAGE, OCI_IMAGE);
    let named = ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
    assert_eq!((&named.digest, named.manifest.unwrap().bytes().as_ref()), (&scene.digest, IMAGE.as_bytes()));
    assert_eq!(scene.asked(&mut seen), ["HEAD /v2/app/manifests/1"], "it moved back to what is held");
}

/// A registry whose answers change once the first run is over.
fn changing(second: impl Fn(&support::Request) -> Option<Reply> + Send + Sync + 'static) -> Scene {
    let get = std::sync::atomic::AtomicBool::new(false);
    Scene::of(liar(move |request, _| {
        if get.load(std::sync::atomic::Ordering::SeqCst) {
            return second(request);
        }
        get.store(true, std::sync::atomic::Ordering::SeqCst);
        None
    }))
}

#[tokio::test]
async fn a_tag_that_was_deleted_is_gone() {
    let scene = changing(|_| Some(Reply::status(404)));
    ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
    for want in [Want::Content, Want::Digest] {
        let answer = ask(&scene.run(), &scene.name("app:1"), want).await;
        assert!(matches!(answer, Err(E::NotFound { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_tag_that_cannot_be_asked_for_is_not_answered_from_the_cache() {
    for (status, expected) in [(429, "limiting"), (401, "credentials"), (403, "denies"), (500, "answered 500")] {
        let scene = changing(move |_| Some(Reply::status(status)));
        ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
        let error = ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let gets = scene.server.lines().iter().filter(|line| line.starts_with("GET /v2/app/")).count();
        assert_eq!(gets, 1, "a HEAD that failed is not answered by a GET: {:?}", scene.server.lines());
    }
}

#[tokio::test]
async fn a_registry_without_a_sound_head_is_asked_as_without_a_cache() {
    for broken in [Reply::status(405), Reply::status(200), Reply::ok(OCI_IMAGE, ""), Reply::status(404)] {
        let scene = Scene::of(liar(move |request, _| (request.method == "HEAD").then(|| broken.clone())));
        for _ in 0..2 {
            let named = ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
            assert_eq!((&named.digest, named.known_by), (&scene.digest, KnownBy::Bytes));
        }
    }
}

#[tokio::test]
async fn a_forged_hint_changes_no_answer() {
    let scene = Scene::new();
    let other = scene.server.push("app", "2", OTHER, OCI_IMAGE);
    let router = scene.run();
    for tag in ["app:1", "app:2"] {
        ask(&router, &scene.name(tag), Want::Content).await.unwrap();
    }
    for hint in files(&scene.root().join("tags")) {
        let forged = fs::read_to_string(&hint).unwrap().replace(scene.digest.hex(), other.hex());
        fs::write(&hint, forged).unwrap();
    }
    for (tag, digest) in [("app:1", &scene.digest), ("app:2", &other)] {
        let named = ask(&scene.run(), &scene.name(tag), Want::Content).await.unwrap();
        assert_eq!((&named.digest, named.manifest.unwrap().digest()), (digest, digest));
    }
    for hint in files(&scene.root().join("tags")) {
        fs::write(&hint, "{}").unwrap();
    }
    assert_eq!(ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap().digest, scene.digest);
}

// ---- whose content it is

#[tokio::test]
async fn what_one_repository_served_says_nothing_about_another() {
    let scene = Scene::new();
    let blob = scene.server.push_blob("app", "config");
    let router = scene.run();
    ask(&router, &scene.name("app:1"), Want::Content).await.unwrap();
    read_blob(&router, &scene.server.host(), &blob, 100).await.unwrap();
    for router in [scene.run(), scene.offline()] {
        for want in [Want::Digest, Want::Content] {
            let answer = ask(&router, &scene.name(&format!("trusted/app@{}", scene.digest)), want).await;
            assert!(matches!(answer, Err(E::NotFound { .. } | E::Offline { .. })), "{answer:?}");
        }
        let trusted = Reference::parse(&scene.name("trusted/app")).unwrap().repository().clone();
        let answer = plimsoll::registry::Registry::blob(&router, &trusted, &blob, 100).await;
        assert!(matches!(answer, Err(E::NotFound { .. } | E::Offline { .. })), "{answer:?}");
    }
    // A manifest is no blob, and a blob no manifest.
    let router = scene.offline();
    let answer = ask(&router, &scene.name(&format!("app@{blob}")), Want::Content).await;
    assert!(matches!(answer, Err(E::Offline { .. })), "{answer:?}");
    let answer = read_blob(&router, &scene.server.host(), &scene.digest, 100).await;
    assert!(matches!(answer, Err(E::Offline { .. })), "{answer:?}");
}

#[test]
fn the_key_is_the_repository_the_way_and_the_digest() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    let cache = Cache::new(&root, limits::CACHE_BYTES, None);
    let other = Reference::parse("registry.example/trusted/app").unwrap().repository().clone();
    let own = repository();
    let origin = Origin { repository: &own, way: "direct" };
    let (manifest, blob) = (manifest(0), Digest::sha256(b"config"));
    cache.keep_manifest(origin, &manifest);
    cache.keep_blob(origin, &blob, &"config".into());
    cache.keep_hint(origin, "1", manifest.digest());
    let held = |origin| {
        let (found, config) = (cache.manifest(origin, manifest.digest()), cache.blob(origin, &blob, 100));
        (found.is_some(), config.is_some(), cache.hint(origin, "1").is_some())
    };
    let others = [Origin { repository: &other, way: "direct" }, Origin { repository: &own, way: "mirror" }];
    assert_eq!(held(origin), (true, true, true));
    assert_eq!(others.map(held), [(false, false, false); 2]);
    assert_eq!(cache.hint(origin, "2"), None);
    // A record put under another name does not help, either.
    for foreign in others {
        let before = all_files(&root);
        cache.keep_manifest(foreign, &manifest);
        cache.keep_hint(foreign, "1", manifest.digest());
        assert!(cache.manifest(foreign, manifest.digest()).is_some() && cache.hint(foreign, "1").is_some());
        let new: Vec<_> = all_files(&root).into_iter().filter(|file| !before.contains(file)).collect();
        assert_eq!(new.len(), 2);
        for file in &new {
            let kind = file.parent().unwrap();
            let records = before.iter().filter(|old| old.parent() == Some(kind));
            for record in records {
                fs::copy(record, file).unwrap();
                let found = if kind.ends_with("tags") {
                    cache.hint(foreign, "1").is_some()
                } else {
                    cache.manifest(foreign, manifest.digest()).is_some()
                };
                assert!(!found, "{record:?} as {file:?}");
            }
        }
        for file in &new {
            // The cache may have taken it away as damaged.
            let _ = fs::remove_file(file);
        }
    }
}

#[tokio::test]
async fn what_came_over_one_way_is_not_believed_over_another() {
    let scene = Scene::new();
    let registry = Server::start(Behaviour::default());
    let name = format!("{}/app@{}", registry.host(), scene.digest);
    let by_mirror =
        RawEntry { mirrors: vec![format!("http://{}", scene.server.host()).into()], ..entry(&registry.host()) };
    let ask_by = async |entries: Vec<RawEntry>| {
        ask(&router_of(settings(entries), Some(scene.cache())), &name, Want::Content).await
    };
    assert!(ask_by(vec![by_mirror.clone()]).await.is_ok());
    assert!(matches!(ask_by(vec![]).await, Err(E::NotFound { .. })), "a mirror's word is not the registry's");
    let insecure = RawEntry { insecure: true, ..by_mirror.clone() };
    let asked = scene.server.lines().len();
    assert!(ask_by(vec![by_mirror]).await.is_ok());
    assert_eq!(scene.server.lines().len(), asked);
    assert!(ask_by(vec![insecure]).await.is_ok());
    assert_eq!(scene.server.lines().len(), asked + 1);
}

#[tokio::test]
async fn a_layout_neither_uses_nor_fills_the_cache() {
    let scene = Scene::new();
    ask(&scene.run(), &scene.name("app:1"), Want::Content).await.unwrap();
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(empty.path().join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    let raw = RawEntry { layout: Some(empty.path().into()), ..entry("*") };
    let router = router_of(settings(vec![raw]), Some(scene.cache()));
    let answer = ask(&router, &scene.by_digest(), Want::Content).await;
    assert!(matches!(answer, Err(E::NotFound { .. })), "{answer:?}");
}

// ---- entries that are not what was written

type Poison = (&'static str, fn(&Scene));

fn outside(scene: &Scene) -> PathBuf {
    let path = scene.folder.path().join("outside");
    fs::write(&path, IMAGE).unwrap();
    path
}

fn rewrite(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

const POISONS: [Poison; 13] = [
    ("other bytes of the same length", |scene| fs::write(scene.blob(), IMAGE.replace('2', "3")).unwrap()),
    ("cut off", |scene| fs::write(scene.blob(), &IMAGE[1..]).unwrap()),
    ("empty", |scene| fs::write(scene.blob(), "").unwrap()),
    ("longer", |scene| fs::write(scene.blob(), format!("{IMAGE} ")).unwrap()),
    ("endless", |scene| {
        fs::File::options().write(true).open(scene.blob()).unwrap().set_len(1 << 40).unwrap();
    }),
    ("no blob", |scene| fs::remove_file(scene.blob()).unwrap()),
    ("a folder in the blob's place", |scene| {
        fs::remove_file(scene.blob()).unwrap();
        fs::create_dir_all(scene.blob().join("deep")).unwrap();
    }),
    ("a folder in the record's place", |scene| {
        let record = scene.record();
        fs::remove_file(&record).unwrap();
        fs::create_dir_all(record.join("deep")).unwrap();
    }),
    ("a record that is none", |scene| fs::write(scene.record(), "{\"repository\":").unwrap()),
    ("an endless record", |scene| fs::write(scene.record(), " ".repeat(1 << 20)).unwrap()),
    ("a record for another repository", |scene| rewrite(&scene.record(), "/app\"", "/other\"")),
    ("a record with another size", |scene| rewrite(&scene.record(), "\"size\":", "\"size\":1")),
    ("a record with another media type", |scene| rewrite(&scene.record(), "image.manifest", "image.index")),
];

#[cfg(unix)]
const LINKS: [Poison; 4] = [
    ("a symbolic link to the right bytes", |scene| {
        fs::remove_file(scene.blob()).unwrap();
        std::os::unix::fs::symlink(outside(scene), scene.blob()).unwrap();
    }),
    ("a hard link to the right bytes", |scene| {
        fs::remove_file(scene.blob()).unwrap();
        fs::hard_link(outside(scene), scene.blob()).unwrap();
    }),
    ("a symbolic link in the record's place", |scene| {
        let (record, outside) = (scene.record(), scene.folder.path().join("outside"));
        fs::rename(&record, &outside).unwrap();
        std::os::unix::fs::symlink(outside, record).unwrap();
    }),
    ("a record that anybody may write", |scene| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(scene.record(), fs::Permissions::from_mode(0o666)).unwrap();
    }),
];
#[cfg(not(unix))]
const LINKS: [Poison; 0] = [];

#[tokio::test]
async fn a_damaged_entry_is_asked_for_again_and_mended() {
    for (what, poison) in POISONS.into_iter().chain(LINKS) {
        let scene = Scene::new();
        ask(&scene.run(), &scene.by_digest(), Want::Content).await.unwrap();
        poison(&scene);
        let answer = ask(&scene.offline(), &scene.by_digest(), Want::Content).await;
        assert!(matches!(answer, Err(E::Offline { .. })), "{what}: {answer:?}");
        poison_again(&scene, poison).await;
        let mut seen = scene.server.lines().len();
        for asked in [1, 0] {
            let cache = scene.cache();
            let router = router_of(settings(vec![]), Some(cache.clone()));
            let named = ask(&router, &scene.by_digest(), Want::Content).await.unwrap();
            assert_eq!(named.manifest.unwrap().bytes(), IMAGE.as_bytes(), "{what}");
            assert_eq!(scene.asked(&mut seen).len(), asked, "{what}");
            let account = cache.account();
            assert_eq!((account.trouble, account.stored), (None, asked), "{what}");
        }
        if let Ok(outside) = fs::read_to_string(scene.folder.path().join("outside")) {
            assert!(outside == IMAGE || outside.contains("mediaType"), "{what}: written through a link");
        }
    }
}

/// The first poisoning was taken away by who came upon it.
async fn poison_again(scene: &Scene, poison: fn(&Scene)) {
    ask(&scene.run(), &scene.by_digest(), Want::Content).await.unwrap();
    poison(scene);
}

#[tokio::test]
async fn rule_23_no_secret_and_no_answer_that_is_an_error_is_kept() {
    let user = Some(("user".to_owned(), "swordfish".to_owned()));
    let login = Login::Bearer { user, expires_in: 300 };
    let lie = |request: &support::Request, _: &Reply| {
        request.path.contains("/secret/").then(|| Reply::json(500, r#"{"errors":[{"message":"token-of-mine"}]}"#))
    };
    let script: support::Script = Arc::new(lie);
    let scene = Scene::of(Server::start(Behaviour { login, script: Some(script), ..Behaviour::default() }));
    let sources = logged_in(scene.folder.path(), &scene.server.host(), "user", "swordfish");
    let cache = scene.cache();
    let router = Router::new(settings(vec![]), Credentials::new(sources), FAST, Proxies::default(), Some(cache));
    ask(&router, &scene.name("app:1"), Want::Content).await.unwrap();
    for name in ["app:2", "secret/app:1", "missing/app:1"] {
        ask(&router, &scene.name(name), Want::Content).await.unwrap_err();
    }
    drop(router);
    let kept = all_files(&scene.root());
    assert_eq!(files(&scene.root().join("blobs/sha256")), [scene.blob()]);
    for file in kept {
        let text = String::from_utf8(fs::read(&file).unwrap()).unwrap();
        for secret in ["swordfish", "token-", "dXNlc", "Bearer", "authorization"] {
            assert!(!text.contains(secret), "{file:?} holds {secret}: {text}");
        }
    }
}

// ---- folders that can't be used

fn unusable(root: PathBuf, judged: Option<PathBuf>) -> (String, Scene) {
    let scene = Scene::new();
    let cache = Cache::new(root, limits::CACHE_BYTES, judged);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        let router = router_of(settings(vec![]), Some(cache.clone()));
        let named = runtime.block_on(ask(&router, &scene.name("app:1"), Want::Content)).unwrap();
        assert_eq!(named.digest, scene.digest);
    }
    assert_eq!(scene.server.lines(), ["GET /v2/app/manifests/1"; 2], "asked as without a cache");
    (cache.account().trouble.expect("a reason"), scene)
}

#[test]
fn a_folder_that_is_no_cache_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "mine").unwrap();
    fs::create_dir_all(path("layout/blobs/sha256")).unwrap();
    fs::write(path("layout/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(path("layout/blobs/sha256/mine"), "mine").unwrap();
    for name in ["file", "file/below", "layout", ""] {
        unusable(path(name), None);
    }
    assert_eq!(all_files(folder.path()), [path("file"), path("layout/blobs/sha256/mine"), path("layout/oci-layout")]);
    assert_eq!(fs::read(path("file")).unwrap(), b"mine");
}

#[test]
fn a_cache_inside_the_work_tree_that_is_judged_is_not_used() {
    let tree = tempfile::tempdir().unwrap();
    let judged = tree.path().canonicalize().unwrap();
    let (why, _) = unusable(tree.path().join("deep/cache"), Some(judged));
    assert!(why.contains("work tree"), "{why}");
    assert_eq!(all_files(tree.path()), Vec::<PathBuf>::new());
    assert!(!tree.path().join("deep").exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_somebody_else_may_write_is_not_used() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    let made = |name: &str| {
        let scene = Scene::new();
        let root = folder.path().join(name);
        let cache = Cache::new(&root, limits::CACHE_BYTES, None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let router = router_of(settings(vec![]), Some(cache));
        runtime.block_on(ask(&router, &scene.name("app:1"), Want::Content)).unwrap();
        assert!(root.join("CACHEDIR.TAG").exists());
        root
    };
    let root = made("open");
    open(&root);
    unusable(root, None);
    for part in ["blobs", "blobs/sha256", "served", "tags"] {
        let root = made(&format!("open-{}", part.replace('/', "-")));
        open(&root.join(part));
        unusable(root, None);
    }
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for part in ["blobs", "blobs/sha256", "served", "tags"] {
        let root = made(&format!("link-{}", part.replace('/', "-")));
        fs::remove_dir_all(root.join(part)).unwrap();
        symlink(&elsewhere, root.join(part)).unwrap();
        unusable(root, None);
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "nothing was written through a link");
    let root = made("file");
    fs::remove_dir_all(root.join("served")).unwrap();
    fs::write(root.join("served"), "").unwrap();
    unusable(root, None);
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    unusable(dangling, None);
    // Only root may give a folder away; for everybody else root's own folder is another user's.
    let root = made("foreign");
    let root = if chown(&root, Some(12_345), None).is_ok() { root } else { PathBuf::from("/") };
    unusable(root, None);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_folder_itself_is_the_users_choice() {
    let scene = Scene::new();
    fs::create_dir(scene.folder.path().join("disk")).unwrap();
    std::os::unix::fs::symlink(scene.folder.path().join("disk"), scene.root()).unwrap();
    for _ in 0..2 {
        ask(&scene.run(), &scene.by_digest(), Want::Content).await.unwrap();
    }
    assert_eq!(scene.server.lines().len(), 1);
}

#[test]
fn many_that_make_the_folder_at_once_all_may_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let repository = repository();
    for round in 0..25 {
        let root = folder.path().join(round.to_string());
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (root, repository) = (&root, &repository);
                scope.spawn(move || {
                    let cache = Cache::new(root, limits::CACHE_BYTES, None);
                    cache.keep_manifest(Origin { repository, way: "" }, &manifest(thread));
                    assert_eq!((cache.account().trouble, cache.account().stored), (None, 1));
                });
            }
        });
    }
}

// ---- the bound

/// What the files of a cache take, in whole blocks.
fn taken(root: &Path) -> u64 {
    let blocks = |path: &PathBuf| fs::metadata(path).map_or(0, |seen| seen.len().div_ceil(4_096).max(1) * 4_096);
    ["blobs", "served", "tags"].iter().flat_map(|name| all_files(&root.join(name))).map(|path| blocks(&path)).sum()
}

fn manifest(number: usize) -> Manifest {
    let bytes = format!("{IMAGE}{}", " ".repeat(number));
    Manifest::hashed(plimsoll::digest::Algorithm::Sha256, OCI_IMAGE, bytes.into())
}

fn repository() -> plimsoll::reference::Repository {
    Reference::parse("registry.example/app").unwrap().repository().clone()
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let (root, repository) = (folder.path().join("cache"), repository());
    let origin = Origin { repository: &repository, way: "" };
    let limit = 40 * 4_096;
    let mut before = Vec::new();
    for number in 0..16 {
        Cache::new(&root, limit, None).keep_manifest(origin, &manifest(number));
        // An entry is two files; each is older than the next one.
        let when = SystemTime::now() - Duration::from_secs(10_000 - 100 * number as u64);
        for file in all_files(&root).iter().filter(|file| !before.contains(*file)) {
            fs::File::options().read(true).open(file).unwrap().set_modified(when).unwrap();
        }
        before = all_files(&root);
    }
    let cache = Cache::new(&root, limit, None);
    assert!(cache.manifest(origin, manifest(0).digest()).is_some(), "used, so that it is the youngest");
    for number in 16..22 {
        cache.keep_manifest(origin, &manifest(number));
    }
    drop(cache);
    assert!(taken(&root) <= limit, "{} of {limit}", taken(&root));
    let blob = |number| root.join("blobs/sha256").join(manifest(number).digest().hex()).exists();
    assert!(blob(0) && (16..22).all(blob), "the youngest stay");
    assert!(!blob(1) && !blob(2), "the oldest go");
    let cache = Cache::new(&root, limit, None);
    for number in 0..22 {
        let found = cache.manifest(origin, manifest(number).digest());
        assert!(found.is_none_or(|found| found == manifest(number)));
    }
}

#[test]
fn the_bound_holds_in_one_run_and_over_many() {
    let folder = tempfile::tempdir().unwrap();
    let (one, many, repository) = (folder.path().join("one"), folder.path().join("many"), repository());
    let origin = Origin { repository: &repository, way: "" };
    let limit = 50 * 4_096;
    let cache = Cache::new(&one, limit, None);
    for number in 0..120 {
        cache.keep_manifest(origin, &manifest(number));
        assert!(taken(&one) <= limit + limit / 5, "{}", taken(&one));
        Cache::new(&many, limit, None).keep_manifest(origin, &manifest(number));
        assert!(taken(&many) <= limit + 2 * 4_096, "{}", taken(&many));
    }
    // Without its tally, or with one that is no such thing, it is counted anew.
    for spoil in ["", "x", "99999999999999999999", "18446744073709551615\n1\n"] {
        fs::write(many.join("tally"), spoil).unwrap();
        for number in 300..315 {
            Cache::new(&many, limit, None).keep_manifest(origin, &manifest(number));
        }
        fs::remove_file(many.join("tally")).unwrap();
        Cache::new(&many, limit, None).keep_manifest(origin, &manifest(400));
        assert!(taken(&many) <= limit, "{}", taken(&many));
    }
}

#[test]
fn what_a_killed_run_left_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let (root, repository) = (folder.path().join("cache"), repository());
    let origin = Origin { repository: &repository, way: "" };
    Cache::new(&root, 1 << 20, None).keep_manifest(origin, &manifest(0));
    let left = root.join("blobs/sha256/.tmp-abc");
    let fresh = root.join("served/.tmp-def");
    fs::write(&left, "x").unwrap();
    fs::write(&fresh, "x").unwrap();
    let when = SystemTime::now() - Duration::from_secs(7_200);
    fs::File::options().read(true).open(&left).unwrap().set_modified(when).unwrap();
    fs::remove_file(root.join("tally")).unwrap();
    Cache::new(&root, 1 << 20, None).keep_manifest(origin, &manifest(1));
    assert!(!left.exists() && fresh.exists(), "only what nobody can be writing any more");
}

#[test]
fn many_at_once_get_the_right_bytes_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let (root, repository) = (folder.path().join("cache"), repository());
    // A bound so small that entries go while others read them.
    let limit = 12 * 4_096;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (root, repository) = (&root, &repository);
            scope.spawn(move || {
                let origin = Origin { repository, way: "" };
                for round in 0..25 {
                    let cache = Cache::new(root, limit, None);
                    for number in 0..10 {
                        let manifest = manifest((thread + round + number) % 20);
                        match cache.manifest(origin, manifest.digest()) {
                            Some(found) => assert_eq!(found, manifest),
                            None => cache.keep_manifest(origin, &manifest),
                        }
                    }
                    assert_eq!(cache.account().trouble, None);
                }
            });
        }
    });
    assert!(taken(&root) <= limit + 8 * limit / 5, "{}", taken(&root));
}
