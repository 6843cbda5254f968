//! Registries that lie, stall, limit and redirect, each lie with the exact error that it must end in.
//! Tests of identity, limits, network and credentials; a number in a name groups those of one promise.
//!
//! Longer than most files: one function a lie, and they share the few helpers at the top.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use plimsoll::digest::Algorithm;
use plimsoll::digest::Digest;
use plimsoll::limits;
use plimsoll::registry::credentials::{Credentials, Sources};
use plimsoll::registry::http::{Proxies, RawProxies};
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::RawEntry;
use plimsoll::registry::{KnownBy, RegistryError as E, Want};

use asking::*;
use support::*;

// ---- what is true

#[tokio::test]
async fn a_tag_is_known_by_header_or_by_bytes() {
    for (body, media_type) in [(IMAGE, OCI_IMAGE), (IMAGE, DOCKER_IMAGE), (INDEX, OCI_INDEX), (INDEX, DOCKER_LIST)] {
        let server = Server::start(Behaviour::default());
        let digest = server.push("app", "1", body, media_type);
        let [by_header, by_bytes] = both(&server).await;
        let (by_header, by_bytes) = (by_header.unwrap(), by_bytes.unwrap());
        assert_eq!((&by_header.digest, by_header.known_by), (&digest, KnownBy::Header));
        assert!(by_header.manifest.is_none());
        assert_eq!((&by_bytes.digest, by_bytes.known_by), (&digest, KnownBy::Bytes));
        let manifest = by_bytes.manifest.unwrap();
        assert_eq!((&manifest.bytes()[..], manifest.media_type()), (body.as_bytes(), media_type));
        assert_eq!(server.lines(), ["HEAD /v2/app/manifests/1", "GET /v2/app/manifests/1"]);
        let accept = &server.requests()[0].headers["accept"];
        assert!([OCI_IMAGE, DOCKER_IMAGE, OCI_INDEX, DOCKER_LIST].iter().all(|one| accept.contains(one)));
    }
}

#[tokio::test]
async fn every_algorithm_is_hashed_by_itself() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let digest = Digest::hash(algorithm, IMAGE.as_bytes());
        let server = Server::start(Behaviour::default());
        server.put(format!("/v2/app/manifests/{digest}"), OCI_IMAGE, IMAGE.into());
        let name = format!("{}/app@{digest}", server.host());
        assert_eq!(ask(&router(), &name, Want::Content).await.unwrap().digest, digest);
        server.put(format!("/v2/app/manifests/{digest}"), OCI_IMAGE, OTHER.into());
        let error = ask(&router(), &name, Want::Content).await.unwrap_err();
        assert!(matches!(error, E::WrongBytes { expected, .. } if expected == digest));
    }
}

#[tokio::test]
async fn rule_4_no_digest_header_means_get_and_hash() {
    let server = liar(|_, truth| Some(truth.clone().without(DIGEST)));
    for answer in both(&server).await {
        let named = answer.unwrap();
        assert_eq!((named.digest, named.known_by), (Digest::sha256(IMAGE.as_bytes()), KnownBy::Bytes));
    }
}

#[tokio::test]
async fn a_head_that_is_not_served_is_answered_by_a_get() {
    for status in [405, 501] {
        let server = liar(move |request, _| (request.method == "HEAD").then(|| Reply::status(status)));
        let [named, _] = both(&server).await;
        assert_eq!(named.unwrap().known_by, KnownBy::Bytes);
    }
}

#[tokio::test]
async fn the_same_digest_is_fetched_once() {
    let server = Server::start(Behaviour::default());
    let digest = server.push("app", "1", IMAGE, OCI_IMAGE);
    let blob = server.push_blob("app", "config");
    let router = Arc::new(router());
    let name = format!("{}/app@{digest}", server.host());
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (router, name, host, blob) = (Arc::clone(&router), name.clone(), server.host(), blob.clone());
            tokio::spawn(async move {
                ask(&router, &name, Want::Content).await.unwrap();
                read_blob(&router, &host, &blob, 100).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(ask(&router, &name, Want::Digest).await.unwrap().known_by, KnownBy::Bytes);
    assert_eq!(server.requests().len(), 2, "{:?}", server.lines());
}

#[tokio::test]
async fn a_tag_that_moves_is_told_as_it_stands() {
    let server = Server::start(Behaviour::default());
    let (router, name) = (router(), format!("{}/app:1", server.host()));
    let first = server.push("app", "1", IMAGE, OCI_IMAGE);
    assert_eq!(ask(&router, &name, Want::Digest).await.unwrap().digest, first);
    let second = server.push("app", "1", OTHER, OCI_IMAGE);
    let named = ask(&router, &name, Want::Content).await.unwrap();
    assert_eq!((&named.digest, named.manifest.unwrap().digest()), (&second, &second));
}

#[tokio::test]
async fn answer_everything_serves_every_name() {
    let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::default() });
    let named = ask(&router(), &format!("{}/any/name:7", server.host()), Want::Digest).await.unwrap();
    assert_eq!(named.digest, Digest::sha256(b"any/name:7"));
}

// ---- identity and bytes (rules 2, 3)

#[tokio::test]
async fn rule_2_malformed_digest_headers_are_not_believed() {
    let upper = format!("sha256:{}", "A".repeat(64));
    let long = format!("sha256:{}", "a".repeat(65));
    let lies = ["x\" , evil: \"true", "sha512:00", &upper, &long, "", "sha256", "md5:d41d8cd98f00b204e9800998ecf8427e"];
    for lie in lies {
        let owned = lie.to_owned();
        let server = liar(move |_, truth| Some(truth.clone().header(DIGEST, &owned)));
        for answer in both(&server).await {
            assert!(matches!(answer, Err(E::Malformed { .. })), "{lie}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn rule_2_two_digest_headers_that_differ_are_not_believed() {
    let server = liar(|_, truth| {
        let mut lie = truth.clone();
        lie.headers.push((DIGEST.into(), Digest::sha256(b"evil").to_string()));
        Some(lie)
    });
    for answer in both(&server).await {
        assert!(matches!(answer, Err(E::Malformed { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn rule_2_a_header_for_other_bytes_is_a_lie() {
    let evil = Digest::sha256(b"evil");
    let claimed = evil.clone();
    let server = liar(move |_, truth| Some(truth.clone().header(DIGEST, claimed.as_str())));
    let [_, by_bytes] = both(&server).await;
    let found = Digest::sha256(IMAGE.as_bytes());
    assert_eq!(by_bytes.unwrap_err(), E::WrongBytes { place: server.host(), expected: evil, found });
}

#[tokio::test]
async fn rule_2_wrong_bytes_for_a_digest() {
    let server = liar(|_, truth| Some(truth.clone().without(DIGEST).bytes(OTHER)));
    let (asked, found) = (Digest::sha256(IMAGE.as_bytes()), Digest::sha256(OTHER.as_bytes()));
    let error = ask(&router(), &format!("{}/app@{asked}", server.host()), Want::Content).await.unwrap_err();
    assert_eq!(error, E::WrongBytes { place: server.host(), expected: asked.clone(), found: found.clone() });
    let blob = server.push_blob("app", "true");
    let error = read_blob(&router(), &server.host(), &blob, 100).await.unwrap_err();
    assert_eq!(error, E::WrongBytes { place: server.host(), expected: blob, found });
}

#[tokio::test]
async fn rule_2_a_head_by_digest_names_no_other_digest() {
    let server = liar(|_, truth| Some(truth.clone().header(DIGEST, Digest::sha256(b"evil").as_str())));
    let name = format!("{}/app@{}", server.host(), Digest::sha256(IMAGE.as_bytes()));
    let answer = ask(&router(), &name, Want::Digest).await;
    assert!(matches!(answer, Err(E::Malformed { .. })), "{answer:?}");
}

#[tokio::test]
async fn rule_2_a_head_by_digest_in_another_algorithm_is_hashed() {
    let server =
        liar(|_, truth| Some(truth.clone().header(DIGEST, Digest::hash(Algorithm::Sha512, IMAGE.as_bytes()).as_str())));
    let digest = Digest::sha256(IMAGE.as_bytes());
    let named = ask(&router(), &format!("{}/app@{digest}", server.host()), Want::Digest).await.unwrap();
    assert_eq!((named.digest, named.known_by), (digest, KnownBy::Bytes));
}

#[tokio::test]
async fn rule_3_what_is_no_manifest_is_refused() {
    let schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for media_type in ["text/html", "text/html; charset=utf-8", "application/json", "", schema_1] {
        let server = liar(move |_, truth| Some(truth.clone().header("Content-Type", media_type)));
        for answer in both(&server).await {
            let Err(E::Malformed { detail, .. }) = answer else { panic!("{media_type}: {answer:?}") };
            assert_eq!(detail.contains("schema 1"), media_type == schema_1);
        }
    }
    let server = liar(|_, truth| Some(truth.clone().without("Content-Type")));
    for answer in both(&server).await {
        assert!(matches!(answer, Err(E::Malformed { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn rule_3_a_media_type_may_have_parameters() {
    let server = liar(|_, truth| Some(truth.clone().header("Content-Type", &format!("{OCI_IMAGE}; charset=utf-8"))));
    let [_, named] = both(&server).await;
    assert_eq!(named.unwrap().manifest.unwrap().media_type(), OCI_IMAGE);
}

#[tokio::test]
async fn rule_3_a_body_agrees_with_its_media_type() {
    let bodies = [
        "<html>log in</html>",
        r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#,
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
        r#"{"schemaVersion":1}"#,
    ];
    for body in bodies {
        let server = liar(move |_, truth| Some(truth.clone().without(DIGEST).bytes(body)));
        for answer in both(&server).await {
            assert!(matches!(answer, Err(E::Malformed { .. })), "{body}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_encoded_manifest_is_not_decoded() {
    let server = liar(|_, truth| Some(truth.clone().header("Content-Encoding", "gzip")));
    let [_, answer] = both(&server).await;
    assert!(matches!(answer, Err(E::Malformed { .. })), "{answer:?}");
    assert_eq!(server.requests()[0].headers["accept-encoding"], "identity");
}

// ---- limits (rule 19)

#[tokio::test]
async fn rule_19_an_endless_body_ends() {
    let server = liar(|_, truth| Some(truth.clone().without(DIGEST).body(Body::Endless)));
    let [_, answer] = both(&server).await;
    assert_eq!(answer.unwrap_err(), E::TooLarge { place: server.host(), limit: limits::MANIFEST_BYTES });
    let blob = server.push_blob("app", "x");
    let error = read_blob(&router(), &server.host(), &blob, 1_000).await.unwrap_err();
    assert_eq!(error, E::TooLarge { place: server.host(), limit: 1_000 });
}

#[tokio::test]
async fn rule_19_an_announced_length_beyond_the_limit_is_not_read() {
    let length = limits::MANIFEST_BYTES + 1;
    let server = liar(move |_, truth| Some(truth.clone().body(Body::Announced(IMAGE.into(), length))));
    let [_, answer] = both(&server).await;
    assert_eq!(answer.unwrap_err(), E::TooLarge { place: server.host(), limit: limits::MANIFEST_BYTES });
}

#[tokio::test]
async fn rule_19_a_lying_length_brings_no_content() {
    let longer = liar(|_, truth| Some(truth.clone().body(Body::Announced(IMAGE.into(), IMAGE.len() + 9))));
    let [_, answer] = both(&longer).await;
    assert!(matches!(answer, Err(E::Unreachable { .. })), "{answer:?}");
    assert_eq!(longer.lines().iter().filter(|line| line.starts_with("GET")).count(), 3);
    let shorter = liar(|_, truth| Some(truth.clone().body(Body::Announced(IMAGE.into(), IMAGE.len() - 1))));
    let [_, answer] = both(&shorter).await;
    assert!(matches!(answer, Err(E::WrongBytes { .. })), "{answer:?}");
}

#[tokio::test]
async fn rule_19_the_deadline_holds_over_head_and_body() {
    let bodies = [Body::Drip(Duration::from_millis(20)), Body::Stall, Body::Silence];
    for body in bodies {
        let lie = body.clone();
        let server = liar(move |_, truth| Some(truth.clone().without(DIGEST).body(lie.clone())));
        let router = router_with(settings(vec![]), Sources::default(), HASTY);
        let error = ask(&router, &format!("{}/app:1", server.host()), Want::Content).await.unwrap_err();
        assert_eq!(error, E::TimedOut { host: server.host(), after: HASTY.request }, "{body:?}");
        assert_eq!(server.requests().len(), 1, "a silent registry is not asked again: {body:?}");
    }
}

// ---- retries and limits of requests (rule 22)

#[tokio::test]
async fn rule_22_server_errors_are_tried_again_a_few_times() {
    for status in [500, 502, 503, 504] {
        let server = liar(move |request, _| (request.before < 2).then(|| Reply::status(status)));
        let named = ask(&router(), &format!("{}/app:1", server.host()), Want::Digest).await;
        assert!(named.is_ok(), "{named:?}");
        assert_eq!(server.requests().len(), 3);
    }
    let server = liar(|_, _| Some(Reply::json(500, r#"{"errors":[{"message":"it\nbroke"}]}"#)));
    let error = ask(&router(), &format!("{}/app:1", server.host()), Want::Content).await.unwrap_err();
    assert_eq!(error, E::Status { host: server.host(), status: 500, detail: "it broke".into() });
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn rule_22_a_reset_is_tried_again() {
    let server = liar(|request, truth| (request.before < 1).then(|| truth.clone().body(Body::Reset)));
    let [named, _] = both(&server).await;
    assert!(named.is_ok(), "{named:?}");
}

#[tokio::test]
async fn rule_22_retry_after_is_honoured_in_both_forms() {
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    for (form, least) in [("seconds", 1_000), ("date", 900)] {
        let server = liar(move |request, _| {
            let value = if form == "date" { date() } else { "1".to_owned() };
            (request.before < 1).then(|| Reply::status(429).header("Retry-After", &value))
        });
        let start = Instant::now();
        let named = ask(&router(), &format!("{}/app:1", server.host()), Want::Digest).await;
        assert!(named.is_ok(), "{named:?}");
        assert!(start.elapsed() >= Duration::from_millis(least), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn rule_22_a_long_retry_after_ends_the_request() {
    let server = liar(|_, _| Some(Reply::status(429).header("Retry-After", "3600")));
    let error = ask(&router(), &format!("{}/app:1", server.host()), Want::Digest).await.unwrap_err();
    let retry_after = Some(Duration::from_secs(3_600));
    assert_eq!(error, E::RateLimited { host: server.host(), retry_after, anonymous: true });
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn rule_22_a_limited_head_is_never_answered_by_a_get() {
    let server = liar(|request, _| (request.method == "HEAD").then(|| Reply::status(429)));
    let [answer, _] = both(&server).await;
    assert_eq!(answer.unwrap_err(), E::RateLimited { host: server.host(), retry_after: None, anonymous: true });
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("HEAD")).count(), 3);
    assert_eq!(lines.iter().filter(|line| line.starts_with("GET")).count(), 1, "the one that wanted content");
}

#[tokio::test]
async fn a_404_is_not_found_once_a_get_says_so_too() {
    let server = liar(|_, _| Some(Reply::status(404)));
    for answer in both(&server).await {
        assert_eq!(answer.unwrap_err(), E::NotFound { place: server.host() });
    }
    let [head, get] = ["HEAD", "GET"].map(|method| format!("{method} /v2/app/manifests/1"));
    assert_eq!(server.lines(), [head.as_str(), &get, &get]);
}

#[tokio::test]
async fn a_404_to_a_head_and_a_manifest_to_a_get_are_no_answer() {
    let server = liar(|request, _| (request.method == "HEAD").then(|| Reply::status(404)));
    let [answer, _] = both(&server).await;
    assert!(matches!(answer, Err(E::Malformed { .. })), "{answer:?}");
    for (status, mirrors) in [(403, false), (503, true)] {
        let server = liar(move |request, _| Some(Reply::status(if request.method == "HEAD" { 404 } else { status })));
        let raw = RawEntry { mirrors: vec![server.host().into()], only_mirrors: true, ..entry("reg.corp") };
        let name = if mirrors { "reg.corp/app:1".to_owned() } else { format!("{}/app:1", server.host()) };
        let router = router_with(settings(vec![raw]), Sources::default(), FAST);
        let answer = ask(&router, &name, Want::Digest).await;
        assert!(matches!(answer, Err(E::Forbidden { .. } | E::Status { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_404_behind_a_redirect_to_elsewhere_is_not_the_registrys_word() {
    let elsewhere = Server::start(Behaviour::default());
    let location = format!("http://{}/login", elsewhere.host());
    let server = liar(move |_, _| Some(Reply::redirect(&location)));
    let router = router_with(settings(vec![entry(&elsewhere.host())]), Sources::default(), FAST);
    for want in [Want::Digest, Want::Content] {
        let answer = ask(&router, &format!("{}/app:1", server.host()), want).await;
        assert!(matches!(answer, Err(E::Status { status: 404, .. })), "{answer:?}");
    }
    let server = liar(|request, _| (request.path != "/gone").then(|| Reply::redirect("/gone")));
    for answer in both(&server).await {
        assert_eq!(answer.unwrap_err(), E::NotFound { place: server.host() }, "its own redirect is its own word");
    }
}

#[tokio::test]
async fn a_403_tells_the_registrys_reason() {
    let server = liar(|_, _| Some(Reply::json(403, "{\"errors\":[{\"message\":\"no\\u001b[31m\"}]}")));
    let [_, answer] = both(&server).await;
    assert_eq!(answer.unwrap_err(), E::Forbidden { host: server.host(), detail: "no [31m".into() });
}

#[tokio::test]
async fn nobody_at_home_is_unreachable() {
    let port = Server::start(Behaviour::default()).port();
    let answer = ask(&router(), &format!("127.0.0.1:{port}/app:1"), Want::Digest).await;
    assert!(matches!(answer, Err(E::Unreachable { .. })), "{answer:?}");
}

// ---- redirects and addresses (rule 21)

#[tokio::test]
async fn rule_21_no_credential_crosses_a_redirect() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Server::start(Behaviour::default());
    elsewhere.push("app", "1", IMAGE, OCI_IMAGE);
    let location = format!("http://{}/v2/app/manifests/1", elsewhere.host());
    let login = Login::Basic { user: "bob".into(), password: "hunter2".into() };
    let script =
        move |request: &support::Request, _: &Reply| request.authorization().map(|_| Reply::redirect(&location));
    let server = Server::start(Behaviour { login, ..Behaviour::lying(script) });
    let sources = logged_in(folder.path(), &server.host(), "bob", "hunter2");
    let router = router_with(settings(vec![entry(&elsewhere.host())]), sources, FAST);
    let named = ask(&router, &format!("{}/app:1", server.host()), Want::Content).await.unwrap();
    assert_eq!(named.digest, Digest::sha256(IMAGE.as_bytes()));
    assert_eq!(elsewhere.lines(), ["GET /v2/app/manifests/1"]);
}

#[tokio::test]
async fn rule_21_a_challenge_from_elsewhere_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let thief = Server::start(Behaviour {
        login: Login::Basic { user: "x".into(), password: "x".into() },
        ..Behaviour::default()
    });
    let location = format!("http://{}/v2/app/manifests/1", thief.host());
    let lie = location.clone();
    let server = liar(move |_, _| Some(Reply::redirect(&lie)));
    let sources = logged_in(folder.path(), &server.host(), "bob", "hunter2");
    let router = router_with(settings(vec![entry(&thief.host())]), sources, FAST);
    // The first contact, and a host that is known.
    for requests in [1, 2] {
        let answer = ask(&router, &format!("{}/app:1", server.host()), Want::Content).await;
        assert!(matches!(answer, Err(E::Unauthorized { .. })), "{answer:?}");
        assert_eq!(server.lines(), vec!["GET /v2/app/manifests/1"; requests]);
    }
    assert!(thief.requests().iter().all(|request| request.authorization().is_none()));
}

#[tokio::test]
async fn redirects_are_counted() {
    let server = liar(|request, _| Some(Reply::redirect(&format!("{}?again", request.path))));
    let [_, answer] = both(&server).await;
    assert!(matches!(answer, Err(E::Malformed { .. })), "{answer:?}");
    let gets = server.lines().iter().filter(|line| line.starts_with("GET")).count();
    assert_eq!(gets, limits::REDIRECTS + 1);
}

#[tokio::test]
async fn rule_21_redirects_to_forbidden_places_are_refused() {
    let locations = [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "http://0.0.0.0/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://user:password@127.0.0.1/",
    ];
    for location in locations {
        let server = liar(move |_, _| Some(Reply::redirect(location)));
        for answer in both(&server).await {
            assert!(matches!(answer, Err(E::Refused { .. })), "{location}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn rule_21_tls_is_not_left_by_a_redirect() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &certificate.pem).unwrap();
    let plain = Server::start(Behaviour::default());
    let location = format!("http://{}/", plain.host());
    let script = move |_: &support::Request, _: &Reply| Some(Reply::redirect(&location));
    let server = Server::start(Behaviour { tls: Some(certificate), ..Behaviour::lying(script) });
    let entries = vec![RawEntry { ca: Some(ca), ..entry(&server.host()) }];
    let router = router_with(settings(entries), Sources::default(), FAST);
    let answer = ask(&router, &format!("{}/app:1", server.host()), Want::Content).await;
    assert!(matches!(answer, Err(E::Refused { .. })), "{answer:?}");
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn rule_21_link_local_registries_are_not_asked() {
    let names = ["169.254.169.254/app:1", "[fe80::1]/app:1", "[::ffff:a9fe:a9fe]:80/app:1", "0.0.0.0:5000/app:1"];
    for name in names.into_iter().chain(["metadata.google.internal/app:1", "a.io:70000/app:1", "2130706433:80/app:1"]) {
        let answer = ask(&router(), name, Want::Digest).await;
        assert!(matches!(answer, Err(E::Refused { .. })), "{name}: {answer:?}");
    }
}

// ---- TLS

#[tokio::test]
async fn tls_is_verified_unless_declared() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &certificate.pem).unwrap();
    let server = Server::start(Behaviour { tls: Some(certificate), ..Behaviour::default() });
    server.push("app", "1", IMAGE, OCI_IMAGE);
    let host = server.host();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, Certificate::new().pem).unwrap();
    let rows = [
        (RawEntry { ca: Some(ca), ..entry(&host) }, true),
        (RawEntry { insecure: true, ..entry(&host) }, true),
        (RawEntry { ca: Some(other), ..entry(&host) }, false),
    ];
    for (entry, reached) in rows {
        let router = router_with(settings(vec![entry.clone()]), Sources::default(), FAST);
        let answer = ask(&router, &format!("{host}/app:1"), Want::Digest).await;
        assert_eq!(answer.is_ok(), reached, "{entry:?} {answer:?}");
        assert!(reached || matches!(answer, Err(E::Unreachable { .. })), "{answer:?}");
    }
    let by_the_system =
        RawEntry { mirrors: vec![format!("https://{host}").into()], only_mirrors: true, ..entry("reg.corp") };
    let router = router_with(settings(vec![by_the_system]), Sources::default(), FAST);
    let answer = ask(&router, "reg.corp/app:1", Want::Digest).await;
    assert!(matches!(answer, Err(E::Unreachable { .. })), "{answer:?}");
    let missing = RawEntry { ca: Some(folder.path().join("missing.pem")), ..entry(&host) };
    let router = router_with(settings(vec![missing]), Sources::default(), FAST);
    let answer = ask(&router, &format!("{host}/app:1"), Want::Digest).await;
    assert!(matches!(answer, Err(E::Local { .. })), "{answer:?}");
}

#[tokio::test]
async fn insecure_is_not_handed_on_by_a_redirect() {
    let elsewhere = Server::start(Behaviour { tls: Some(Certificate::new()), ..Behaviour::default() });
    elsewhere.push("app", "1", IMAGE, OCI_IMAGE);
    let location = format!("https://{}/v2/app/manifests/1", elsewhere.host());
    let script = move |_: &support::Request, _: &Reply| Some(Reply::redirect(&location));
    let server = Server::start(Behaviour { tls: Some(Certificate::new()), ..Behaviour::lying(script) });
    let entries = vec![RawEntry { insecure: true, ..entry(&server.host()) }, entry(&elsewhere.host())];
    let router = router_with(settings(entries), Sources::default(), FAST);
    let answer = ask(&router, &format!("{}/app:1", server.host()), Want::Content).await;
    assert!(matches!(answer, Err(E::Unreachable { .. })), "{answer:?}");
    assert_eq!((server.requests().len(), elsewhere.requests().len()), (1, 0));
}

#[tokio::test]
async fn insecure_falls_back_to_plain_http_once() {
    let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::default() });
    let entries = vec![RawEntry { insecure: true, ..entry(&server.host()) }];
    let router = router_with(settings(entries), Sources::default(), FAST);
    for tag in ["1", "2"] {
        ask(&router, &format!("{}/app:{tag}", server.host()), Want::Digest).await.unwrap();
    }
    assert_eq!(server.lines(), ["HEAD /v2/app/manifests/1", "HEAD /v2/app/manifests/2"]);
}

// ---- proxies

#[tokio::test]
async fn proxies_are_used_unless_excepted() {
    let digest = Digest::sha256(b"x");
    let answer = Reply::ok(OCI_IMAGE, "").header(DIGEST, digest.as_str());
    let script = move |request: &support::Request, _: &Reply| {
        Some(if request.method == "CONNECT" { Reply::status(403) } else { answer.clone() })
    };
    let proxy = Server::start(Behaviour::lying(script));
    let all = Some(format!("http://{}", proxy.host()));
    let router_of = |except: Option<&str>| {
        let raw = RawProxies { all: all.clone(), except: except.map(str::to_owned), ..RawProxies::default() };
        let proxies = Proxies::new(&raw).unwrap();
        let plain = RawEntry { mirrors: vec!["http://plain.invalid:9".into()], insecure: true, ..entry("plain.corp") };
        Router::new(
            settings(vec![RawEntry { only_mirrors: true, ..plain }]),
            Credentials::new(Sources::default()),
            FAST,
            proxies,
            None,
        )
    };
    assert!(ask(&router_of(None), "plain.corp/app:1", Want::Digest).await.is_ok());
    let answer = ask(&router_of(None), "reg.invalid/app:1", Want::Digest).await;
    assert!(matches!(answer, Err(E::Unreachable { .. })), "{answer:?}");
    assert_eq!(proxy.lines(), ["HEAD http://plain.invalid:9/v2/app/manifests/1", "CONNECT reg.invalid:443"]);
    for name in ["plain.corp/app:1", "reg.invalid/app:1", "127.0.0.1:9/app:1"] {
        let answer = ask(&router_of(Some("plain.invalid:9,.invalid")), name, Want::Digest).await;
        assert!(matches!(answer, Err(E::Unreachable { .. })), "{answer:?}");
    }
    assert_eq!(proxy.requests().len(), 2);
}

// ---- mirrors (rule 7)

#[tokio::test]
async fn rule_7_mirrors_stand_in_order_before_the_registry() {
    let digest = Digest::sha256(IMAGE.as_bytes());
    let (empty, broken, full) = (
        Server::start(Behaviour::default()),
        Server::start(Behaviour::lying(|_, _| Some(Reply::status(500)))),
        Server::start(Behaviour::default()),
    );
    full.push("hub/library/app", "1", IMAGE, OCI_IMAGE);
    let dead = format!("127.0.0.1:{}", Server::start(Behaviour::default()).port());
    let mirrors = [empty.host(), dead, format!("http://{}", broken.host()), format!("{}/hub", full.host())];
    let mirrors = mirrors.map(Into::into).to_vec();
    let router = router_with(
        settings(vec![RawEntry { mirrors, only_mirrors: true, ..entry("docker.io") }]),
        Sources::default(),
        FAST,
    );
    assert_eq!(ask(&router, "app:1", Want::Content).await.unwrap().digest, digest);
    assert_eq!(empty.lines(), ["GET /v2/library/app/manifests/1"]);
    assert_eq!(broken.requests().len(), 3);
    assert_eq!(full.lines(), ["GET /v2/hub/library/app/manifests/1"]);
    let error = ask(&router, "app:2", Want::Content).await.unwrap_err();
    assert!(matches!(error, E::Status { status: 500, .. }), "not found only where all say so: {error:?}");
}

#[tokio::test]
async fn rule_7_the_registry_itself_has_the_last_word() {
    let (mirror, itself) = (Server::start(Behaviour::default()), Server::start(Behaviour::default()));
    itself.push("app", "1", IMAGE, OCI_IMAGE);
    let raw = RawEntry { mirrors: vec![mirror.host().into()], ..entry(&itself.host()) };
    let router_of = |raw: &RawEntry| router_with(settings(vec![raw.clone()]), Sources::default(), FAST);
    assert!(ask(&router_of(&raw), &format!("{}/app:1", itself.host()), Want::Digest).await.is_ok());
    let only = RawEntry { only_mirrors: true, ..raw };
    let asked = itself.requests().len();
    let error = ask(&router_of(&only), &format!("{}/app:1", itself.host()), Want::Digest).await.unwrap_err();
    assert_eq!(error, E::NotFound { place: mirror.host() });
    assert_eq!(itself.requests().len(), asked);
}

#[tokio::test]
async fn rule_7_a_mirror_that_lies_is_a_failure() {
    let mirror = liar(|_, truth| Some(truth.clone().without(DIGEST).bytes(OTHER)));
    let itself = Server::start(Behaviour::default());
    let digest = itself.push("app", "1", IMAGE, OCI_IMAGE);
    let raw = RawEntry { mirrors: vec![mirror.host().into()], ..entry(&itself.host()) };
    let router = router_with(settings(vec![raw]), Sources::default(), FAST);
    let error = ask(&router, &format!("{}/app@{digest}", itself.host()), Want::Content).await.unwrap_err();
    let found = Digest::sha256(OTHER.as_bytes());
    assert_eq!(error, E::WrongBytes { place: mirror.host(), expected: digest, found });
    assert!(itself.requests().is_empty());
}

#[tokio::test]
async fn a_mirror_gets_its_own_credentials_alone() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login::Basic { user: "bob".into(), password: "hunter2".into() };
    let mirror = Server::start(Behaviour { login, ..Behaviour::default() });
    let raw = RawEntry { mirrors: vec![mirror.host().into()], only_mirrors: true, ..entry("reg.corp") };
    let sources = logged_in(folder.path(), "reg.corp", "bob", "hunter2");
    let router = router_with(settings(vec![raw]), sources, FAST);
    let answer = ask(&router, "reg.corp/app:1", Want::Digest).await;
    assert!(matches!(answer, Err(E::Unauthorized { .. })), "{answer:?}");
    assert!(mirror.requests().iter().all(|request| request.authorization().is_none()));
}
