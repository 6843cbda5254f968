//! Who asks: challenges, tokens, realms, credentials and helpers (rules 21 and 23 of what keeps a verdict sound).
//! Registries that ask for too much, for the wrong thing, or without end.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plimsoll::digest::Digest;
use plimsoll::reference::Reference;
use plimsoll::registry::Registry as _;
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::http::Deadlines;
use plimsoll::registry::settings::RawEntry;
use plimsoll::registry::{RegistryError as E, Want};

use asking::*;
use support::*;

fn bearer(expires_in: u64) -> Behaviour {
    Behaviour { login: Login::Bearer { user: None, expires_in }, answer_everything: true, ..Behaviour::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_first_requests_cost_one_challenge_and_one_token() {
    let behaviour = Behaviour { delay: Duration::from_millis(5), ..bearer(300) };
    let server = Server::start(behaviour);
    let router = Arc::new(router());
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (router, name) = (Arc::clone(&router), format!("{}/app:{number}", server.host()));
            tokio::spawn(async move { ask(&router, &name, Want::Digest).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let lines = server.lines();
    assert_eq!(lines.len(), 1 + 1 + 64, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "GET /token").count(), 1);
    assert_eq!(lines.iter().filter(|line| line.ends_with("+auth")).count(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_registry_costs_one_request_each() {
    let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::default() });
    let router = Arc::new(router());
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (router, name) = (Arc::clone(&router), format!("{}/app:{number}", server.host()));
            tokio::spawn(async move { ask(&router, &name, Want::Digest).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(server.requests().len(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_registry_is_asked_once_by_each_and_at_once() {
    let server = Server::start(Behaviour::lying(|_, truth| Some(truth.clone().body(Body::Silence))));
    let router = Arc::new(router_with(settings(vec![]), Sources::default(), HASTY));
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let (router, name) = (Arc::clone(&router), format!("{}/app:{number}", server.host()));
            tokio::spawn(async move { ask(&router, &name, Want::Digest).await.unwrap_err() })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), E::TimedOut { .. }));
    }
    assert!(server.requests().len() <= 32, "{}", server.requests().len());
}

#[tokio::test]
async fn tokens_are_for_one_repository_and_renewed_when_they_end() {
    let server = Server::start(bearer(2));
    let router = router();
    let tokens = || server.lines().iter().filter(|line| *line == "GET /token").count();
    for (name, expected) in [("a:1", 1), ("a:2", 1), ("b:1", 2)] {
        ask(&router, &format!("{}/{name}", server.host()), Want::Digest).await.unwrap();
        assert_eq!(tokens(), expected, "{name}");
    }
    let query = &server.requests().into_iter().find(|request| request.path == "/token").unwrap().query;
    assert_eq!(query, "service=test&scope=repository%3Aa%3Apull");
    tokio::time::sleep(Duration::from_millis(1_900)).await;
    ask(&router, &format!("{}/a:3", server.host()), Want::Digest).await.unwrap();
    assert_eq!(tokens(), 3);
    let challenges = server.requests().iter().filter(|r| r.path != "/token" && r.authorization().is_none()).count();
    assert_eq!(challenges, 1, "renewed before it ended");
}

#[tokio::test]
async fn a_token_revoked_in_mid_life_is_renewed_once() {
    let server = Server::start(bearer(300));
    let (router, name) = (router(), format!("{}/app:1", server.host()));
    ask(&router, &name, Want::Digest).await.unwrap();
    server.revoke_tokens();
    let before = server.requests().len();
    ask(&router, &name, Want::Digest).await.unwrap();
    let after = &server.lines()[before..];
    assert_eq!(after, ["HEAD /v2/app/manifests/1 +auth", "GET /token", "HEAD /v2/app/manifests/1 +auth"]);
}

#[tokio::test]
async fn a_registry_that_is_never_satisfied_is_left() {
    let script = |request: &support::Request, _: &Reply| {
        let challenge = format!("Bearer realm=\"http://{}/token\"", request.headers["host"]);
        (request.path != "/token").then(|| Reply::status(401).header("WWW-Authenticate", &challenge))
    };
    let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..bearer(300) });
    let answer = ask(&router(), &format!("{}/app:1", server.host()), Want::Digest).await;
    assert!(matches!(answer, Err(E::Unauthorized { .. })), "{answer:?}");
    assert_eq!(server.lines(), ["HEAD /v2/app/manifests/1", "GET /token", "HEAD /v2/app/manifests/1 +auth"]);
}

#[tokio::test]
async fn rule_21_foreign_realms_are_refused_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let thief = Server::start(bearer(300));
    let port = thief.port();
    let realms = [
        format!("http://localhost:{port}/token"),
        "https://evil.example/token".to_owned(),
        "http://169.254.169.254/token".to_owned(),
        format!("http://bob:x@127.0.0.1:{port}/token"),
        "file:///token".to_owned(),
        "/token".to_owned(),
    ];
    for realm in realms {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
        let server = liar(move |_, _| Some(Reply::status(401).header("WWW-Authenticate", &challenge)));
        let router = router_with(settings(vec![]), logged_in(folder.path(), &server.host(), "bob", "hunter2"), FAST);
        let error = ask(&router, &format!("{}/app:1", server.host()), Want::Digest).await.unwrap_err();
        assert!(matches!(error, E::Refused { .. }), "{realm}: {error:?}");
        assert!(!error.to_string().contains("hunter2"));
        assert!(server.requests().iter().all(|request| request.authorization().is_none()));
    }
    assert!(thief.requests().is_empty(), "{:?}", thief.lines());
}

#[tokio::test]
async fn rule_21_a_plain_http_realm_is_refused_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &certificate.pem).unwrap();
    let plain = Server::start(bearer(300));
    let challenge = format!("Bearer realm=\"http://{}/token\"", plain.host());
    let script = move |_: &support::Request, _: &Reply| Some(Reply::status(401).header("WWW-Authenticate", &challenge));
    let server = Server::start(Behaviour { tls: Some(certificate), ..Behaviour::lying(script) });
    let entries = vec![RawEntry { ca: Some(ca), ..entry(&server.host()) }];
    let router = router_with(settings(entries), Sources::default(), FAST);
    let answer = ask(&router, &format!("{}/app:1", server.host()), Want::Digest).await;
    assert!(matches!(answer, Err(E::Refused { .. })), "{answer:?}");
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn a_failed_token_endpoint_is_never_anonymous() {
    let replies = [
        (Reply::status(500), 3),
        (Reply::status(404), 1),
        (Reply::redirect("http://127.0.0.1:1/token"), 1),
        (Reply::json(200, "{}"), 1),
        (Reply::json(200, r#"{"token":""}"#), 1),
        (Reply::json(200, "hunter2"), 1),
        (Reply::json(200, "{\"token\":\"a\\nb\"}"), 1),
    ];
    for (reply, tries) in replies {
        let lie = reply.clone();
        let script = move |request: &support::Request, _: &Reply| (request.path == "/token").then(|| lie.clone());
        let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..bearer(300) });
        let error = ask(&router(), &format!("{}/app:1", server.host()), Want::Digest).await.unwrap_err();
        let expected = match reply.status {
            200 => matches!(error, E::Malformed { .. }),
            _ => matches!(error, E::Unauthorized { .. }),
        };
        assert!(expected, "{reply:?}: {error:?}");
        assert!(!error.to_string().contains("hunter2"));
        let lines = server.lines();
        assert_eq!(lines.iter().filter(|line| *line == "GET /token").count(), tries, "{lines:?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("HEAD")).count(), 1, "{lines:?}");
    }
}

#[tokio::test]
async fn access_token_is_a_token_too() {
    let script = |request: &support::Request, _: &Reply| {
        (request.path == "/token").then(|| Reply::json(200, r#"{"access_token":"token-7"}"#))
    };
    let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..bearer(300) });
    assert!(ask(&router(), &format!("{}/app:1", server.host()), Want::Digest).await.is_ok());
}

#[tokio::test]
async fn basic_right_wrong_and_none() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login::Basic { user: "bob".into(), password: "hunter2".into() };
    let rows = [(Some("hunter2"), true, 2), (Some("wrong-one"), false, 2), (None, false, 1)];
    for (password, right, requests) in rows {
        let server = Server::start(Behaviour { login: login.clone(), answer_everything: true, ..Behaviour::default() });
        let sources = password.map_or_else(Sources::default, |p| logged_in(folder.path(), &server.host(), "bob", p));
        let router = router_with(settings(vec![]), sources, FAST);
        let answer = ask(&router, &format!("{}/app:1", server.host()), Want::Digest).await;
        assert_eq!(answer.is_ok(), right, "{answer:?}");
        assert!(right || matches!(answer, Err(E::Unauthorized { .. })), "{answer:?}");
        let refused =
            answer.is_err_and(|error| error.to_string().contains("those that are stored for it were refused"));
        assert_eq!(refused, password == Some("wrong-one"));
        assert_eq!(server.requests().len(), requests, "{:?}", server.lines());
    }
}

#[tokio::test]
async fn tokens_are_asked_for_with_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login::Bearer { user: Some(("bob".into(), "hunter2".into())), expires_in: 300 };
    let server = Server::start(Behaviour { login, answer_everything: true, ..Behaviour::default() });
    let name = format!("{}/app:1", server.host());
    let sources = logged_in(folder.path(), &server.host(), "bob", "hunter2");
    assert!(ask(&router_with(settings(vec![]), sources, FAST), &name, Want::Digest).await.is_ok());
    let text = format!(r#"{{"auths":{{"{}":{{"identitytoken":"hunter2"}}}}}}"#, server.host());
    let sources = docker_config(folder.path(), &text);
    assert!(ask(&router_with(settings(vec![]), sources, FAST), &name, Want::Digest).await.is_ok());
    let post = server.requests().into_iter().find(|request| request.method == "POST").unwrap();
    assert!(post.body.contains("grant_type=refresh_token") && post.query.is_empty());
    let sources = logged_in(folder.path(), &server.host(), "bob", "wrong");
    let answer = ask(&router_with(settings(vec![]), sources, FAST), &name, Want::Digest).await;
    assert!(matches!(answer, Err(E::Unauthorized { .. })), "{answer:?}");
}

#[tokio::test]
async fn rule_23_an_echoed_secret_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login::Basic { user: "bob".into(), password: "hunter2".into() };
    let script = |request: &support::Request, _: &Reply| {
        let given = request.authorization()?.to_owned();
        Some(Reply::json(403, &format!(r#"{{"errors":[{{"message":"you sent {given} and hunter2"}}]}}"#)))
    };
    let server = Server::start(Behaviour { login, ..Behaviour::lying(script) });
    let sources = logged_in(folder.path(), &server.host(), "bob", "hunter2");
    let error = ask(&router_with(settings(vec![]), sources, FAST), &format!("{}/app:1", server.host()), Want::Content)
        .await
        .unwrap_err();
    assert_eq!(error, E::Forbidden { host: server.host(), detail: "you sent Basic *** and ***".into() });
}

#[tokio::test]
async fn rule_23_a_content_that_repeats_the_password_is_none() {
    const PASSWORD: &str = "hunter2hunter2";
    let folder = tempfile::tempdir().unwrap();
    let escaped: String = PASSWORD.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let subject = Digest::sha256(b"subject");
    for echo in [PASSWORD.to_owned(), escaped, STANDARD.encode(format!("bob:{PASSWORD}"))] {
        let blob = format!(r#"{{"os":"{echo}"}}"#);
        let blob_digest = Digest::sha256(blob.as_bytes());
        let script = move |request: &support::Request, _: &Reply| {
            request.authorization()?;
            let manifest = format!(r#"{{"schemaVersion":2,"config":{{"size":"{echo}"}},"layers":[]}}"#);
            let list =
                format!(r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"x","digest":"x","size":"{echo}"}}]}}"#);
            Some(match &request.path {
                path if path.contains("/blobs/") => Reply::ok("application/octet-stream", blob.clone()),
                path if path.contains("/referrers/") => Reply::ok(OCI_INDEX, list),
                _ => Reply::ok(OCI_IMAGE, manifest),
            })
        };
        let login = Login::Basic { user: "bob".into(), password: PASSWORD.into() };
        let server = Server::start(Behaviour { login, ..Behaviour::lying(script) });
        let router = router_with(settings(vec![]), logged_in(folder.path(), &server.host(), "bob", PASSWORD), FAST);
        let reference = Reference::parse(&format!("{}/app:1", server.host())).unwrap();
        let answers = [
            ask(&router, &format!("{}/app:1", server.host()), Want::Content).await.map(drop),
            read_blob(&router, &server.host(), &blob_digest, 1 << 20).await.map(drop),
            router.referrers(reference.repository(), &subject, None).await.map(drop),
        ];
        for answer in answers {
            assert!(matches!(&answer, Err(E::Malformed { .. })), "{answer:?}");
            assert!(!format!("{answer:?}").contains(PASSWORD), "{answer:?}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn credential_helpers_work_hang_and_fail() {
    use std::os::unix::fs::PermissionsExt as _;
    let login = Login::Basic { user: "bob".into(), password: "hunter2".into() };
    let server = Server::start(Behaviour { login, answer_everything: true, ..Behaviour::default() });
    let name = format!("{}/app:1", server.host());
    let works = format!(
        r#"read host; [ "$1 $host" = "get {}" ] && echo '{{"Username":"bob","Secret":"hunter2"}}' || exit 1"#,
        server.host()
    );
    let nothing = "echo 'credentials not found in native keychain'; exit 1";
    let (ok, local, unauthorized) = ("ok", "local", "unauthorized");
    let rows = [
        ("works", works.as_str(), ok),
        ("hangs", "exec sleep 30", local),
        ("garbage", "echo hunter2", local),
        ("fails", "echo hunter2 >&2; exit 2", local),
        ("lacks", "echo '{\"Username\":\"bob\"}'", local),
        ("nothing", nothing, unauthorized),
        ("../works", works.as_str(), local),
        ("missing", "", local),
    ];
    for (helper, script, expected) in rows {
        let folder = tempfile::tempdir().unwrap();
        if !script.is_empty() && !helper.contains('/') {
            let path = folder.path().join(format!("docker-credential-{helper}"));
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for key in
            [format!(r#""credsStore":"{helper}""#), format!(r#""credHelpers":{{"{}":"{helper}"}}"#, server.host())]
        {
            let sources = docker_config(folder.path(), &format!("{{{key}}}"));
            let answer = ask(&router_with(settings(vec![]), sources, FAST), &name, Want::Digest).await;
            let found = match &answer {
                Ok(_) => ok,
                Err(E::Local { .. }) => local,
                Err(E::Unauthorized { .. }) => unauthorized,
                Err(other) => panic!("{helper}: {other:?}"),
            };
            assert_eq!(found, expected, "{helper}: {answer:?}");
            assert!(!format!("{answer:?}").contains("hunter2"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_broken_docker_config_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(bearer(300));
    let sources = docker_config(folder.path(), r#"{"auths": {"hunter2": "#);
    let answer =
        ask(&router_with(settings(vec![]), sources, FAST), &format!("{}/a:1", server.host()), Want::Digest).await;
    assert!(matches!(answer, Err(E::Local { .. })), "{answer:?}");
    assert!(!format!("{answer:?}").contains("hunter2"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hanging_helper_is_killed() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let login = Login::Basic { user: "bob".into(), password: "hunter2".into() };
    let server = Server::start(Behaviour { login, ..Behaviour::default() });
    let (helper, id) = (folder.path().join("docker-credential-hangs"), folder.path().join("id"));
    std::fs::write(&helper, format!("#!/bin/sh\necho $$ >'{}'\nexec sleep 60\n", id.display())).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let sources = docker_config(folder.path(), r#"{"credsStore":"hangs"}"#);
    let answer =
        ask(&router_with(settings(vec![]), sources, FAST), &format!("{}/a:1", server.host()), Want::Digest).await;
    assert!(matches!(answer, Err(E::Local { .. })), "{answer:?}");
    let stat = format!("/proc/{}/stat", std::fs::read_to_string(&id).unwrap().trim());
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z "));
    for _ in 0..100 {
        if !lives() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the helper is still running");
}

#[tokio::test]
async fn a_registry_may_ask_for_some_repositories_only() {
    let script = |request: &support::Request, truth: &Reply| {
        let open = request.path.starts_with("/v2/open/");
        let digest = plimsoll::digest::Digest::sha256(b"x");
        let answer = Reply::ok(OCI_IMAGE, "").header("Docker-Content-Digest", digest.as_str());
        Some(if open { answer } else { truth.clone() })
    };
    let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..bearer(300) });
    let router = router();
    for name in ["open/a:1", "closed/a:1", "open/a:2", "closed/a:2"] {
        assert!(ask(&router, &format!("{}/{name}", server.host()), Want::Digest).await.is_ok(), "{name}");
    }
    let expected = [
        "HEAD /v2/open/a/manifests/1",
        "HEAD /v2/closed/a/manifests/1",
        "GET /token",
        "HEAD /v2/closed/a/manifests/1 +auth",
        "GET /token",
        "HEAD /v2/open/a/manifests/2 +auth",
        "HEAD /v2/closed/a/manifests/2 +auth",
    ];
    assert_eq!(server.lines(), expected);
}

#[tokio::test]
async fn a_password_asked_for_after_a_token_is_no_panic() {
    let script = |request: &support::Request, _: &Reply| {
        let asks = (request.path != "/token" && request.authorization().is_some())
            .then(|| Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\""));
        asks
    };
    let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..bearer(300) });
    let router = router();
    for tag in ["1", "2", "3"] {
        let answer = ask(&router, &format!("{}/app:{tag}", server.host()), Want::Digest).await;
        assert!(matches!(answer, Err(E::Unauthorized { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_token_longer_than_a_header_is_none() {
    let script = |request: &support::Request, _: &Reply| {
        let long = "x".repeat(plimsoll::limits::BEARER_BYTES + 1);
        (request.path == "/token").then(|| Reply::json(200, &format!(r#"{{"token":"{long}"}}"#)))
    };
    let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..bearer(300) });
    let answer = ask(&router(), &format!("{}/app:1", server.host()), Want::Digest).await;
    assert!(matches!(answer, Err(E::TooLarge { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_registry_that_invents_token_services_is_left() {
    let script = |request: &support::Request, _: &Reply| {
        let number = request.path.strip_prefix("/v2/r")?.split('/').next()?.parse::<usize>().ok()?;
        let challenge = format!(
            "Bearer realm=\"http://{}/token\",service=\"{number}-{}\"",
            request.headers["host"], request.before
        );
        Some(Reply::status(401).header("WWW-Authenticate", &challenge))
    };
    let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..bearer(300) });
    let router = router();
    let mut last = None;
    for number in 0..60 {
        last = ask(&router, &format!("{}/r{number}:1", server.host()), Want::Digest).await.err();
    }
    assert!(matches!(last, Some(E::TooMany { .. })), "{last:?}");
    let requests = server.requests();
    let services: std::collections::BTreeSet<&str> = requests
        .iter()
        .filter(|request| request.path == "/token")
        .map(|request| request.query.split('&').next().unwrap())
        .collect();
    assert_eq!(services.len(), plimsoll::limits::COUNTERS);
}

/// The names of nineteen good repositories and, first, of a bad one; what each came to.
async fn beside_a_bad_one(
    lie: impl Fn(&support::Request) -> Reply + Send + Sync + 'static,
) -> (Server, Vec<Result<(), E>>) {
    let script =
        move |request: &support::Request, _: &Reply| request.path.starts_with("/v2/bad/").then(|| lie(request));
    let behaviour = Behaviour { answer_everything: true, delay: Duration::from_millis(50), ..Behaviour::lying(script) };
    let server = Server::start(behaviour);
    let router = Arc::new(router_with(settings(vec![]), Sources::default(), Deadlines { attempts: 1, ..FAST }));
    let mut tasks = Vec::new();
    for number in 0..20 {
        let name = if number == 0 { "bad".to_owned() } else { format!("good{number}") };
        let (router, name) = (Arc::clone(&router), format!("{}/{name}:1", server.host()));
        tasks.push(tokio::spawn(async move { ask(&router, &name, Want::Digest).await.map(drop) }));
        // The bad one is asked first, and the others while it is.
        tokio::time::sleep(Duration::from_millis(if number == 0 { 20 } else { 0 })).await;
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    (server, answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_is_asked_first_does_not_speak_for_its_neighbours() {
    let lies = [
        Reply::status(401),
        Reply::status(401).header("WWW-Authenticate", "Bearer realm=\"https://evil.example/token\""),
        Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\""),
        Reply::status(401).header("WWW-Authenticate", "Negotiate"),
        Reply::status(500),
        Reply::redirect("http://169.254.169.254/"),
        Reply::status(200).body(Body::Silence),
        Reply::status(200).body(Body::Reset),
    ];
    for lie in lies {
        let told = lie.clone();
        let (server, answers) = beside_a_bad_one(move |_| told.clone()).await;
        assert!(answers[0].is_err(), "{lie:?}");
        assert!(answers[1..].iter().all(Result::is_ok), "{lie:?}: {answers:?}");
        assert_eq!(server.requests().len(), 20, "{lie:?}: each is asked once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_foreign_challenge_does_not_speak_for_its_neighbours() {
    for challenge in ["Bearer realm=\"https://evil.example/token\"", "Basic realm=\"x\""] {
        let script = move |request: &support::Request, _: &Reply| {
            request.path.starts_with("/v2/bad/").then(|| Reply::status(401).header("WWW-Authenticate", challenge))
        };
        let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::lying(script) });
        let router = router();
        for (name, good) in [("good:1", true), ("bad:1", false), ("good:2", true), ("other:1", true)] {
            let answer = ask(&router, &format!("{}/{name}", server.host()), Want::Digest).await;
            assert_eq!(answer.is_ok(), good, "{challenge}, {name}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_fails_slowly_is_not_asked_by_one_after_another() {
    let script = |_: &support::Request, _: &Reply| Some(Reply::status(500));
    let server = Server::start(Behaviour { delay: Duration::from_millis(500), ..Behaviour::lying(script) });
    let router = Arc::new(router());
    let tasks: Vec<_> = (0..30)
        .map(|number| {
            let (router, name) = (Arc::clone(&router), format!("{}/r{number}:1", server.host()));
            tokio::spawn(async move { ask(&router, &name, Want::Digest).await.unwrap_err() })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), E::Status { status: 500, .. }));
    }
    assert!(server.most_at_once() > 10, "{}", server.most_at_once());
}
