//! How fast a run asks: never more at once than `--jobs`, slower where a host strains, not at all where it asks for a
//! rest, and over as few connections as will do. No host pays for another.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plimsoll::digest::Digest;
use plimsoll::reference::Reference;
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::router::Router;
use plimsoll::resolve::{self, Answers, Needs, Questions};

use asking::*;
use support::*;

const DIGEST_ONLY: Needs = Needs { digest: true, ..Needs::NOTHING };

fn bounded(jobs: usize) -> Router {
    router_with(settings(vec![]), Sources::default(), FAST).at_once(jobs)
}

async fn all(router: &Router, names: &[String], jobs: usize) -> Answers {
    let mut questions = Questions::new();
    for name in names {
        questions.ask(&Reference::parse(name).unwrap(), DIGEST_ONLY);
    }
    resolve::resolve(router, &questions, jobs, &|_| {}).await
}

fn errors(answers: &Answers, names: &[String]) -> Vec<String> {
    let error = |name: &String| answers.named(&Reference::parse(name).unwrap()).unwrap().err().map(ToString::to_string);
    names.iter().filter_map(error).collect()
}

fn repositories(server: &Server, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{}/r{number}:1", server.host())).collect()
}

fn open() -> Behaviour {
    Behaviour { answer_everything: true, delay: Duration::from_millis(20), ..Behaviour::default() }
}

#[tokio::test]
async fn no_more_than_jobs_are_under_way_at_once() {
    let bearer = Behaviour { login: Login::Bearer { user: None, expires_in: 300 }, ..open() };
    for behaviour in [open(), bearer] {
        let server = Server::start(behaviour);
        let names = repositories(&server, 60);
        assert_eq!(errors(&all(&bounded(5), &names, 5).await, &names), [""; 0]);
        assert_eq!(server.most_at_once(), 5, "all of them, and not one more");
    }
    let servers = [Server::start(open()), Server::start(open()), Server::start(open())];
    let names: Vec<String> = servers.iter().flat_map(|server| repositories(server, 20)).collect();
    assert_eq!(errors(&all(&bounded(2), &names, 2).await, &names), [""; 0]);
    assert!(servers.iter().all(|server| server.most_at_once() <= 2));
}

#[tokio::test]
async fn rule_22_a_rest_is_for_the_whole_host_and_for_no_other() {
    let told: Arc<Mutex<Vec<(&str, Instant)>>> = Arc::default();
    let (own, other) = (Arc::clone(&told), Arc::clone(&told));
    let limited = Server::start(Behaviour {
        script: Some(Arc::new(move |request: &Request, _: &Reply| {
            own.lock().unwrap().push(("limited", Instant::now()));
            let rest = request.path == "/v2/r1/manifests/1" && request.before == 0;
            rest.then(|| Reply::status(429).header("Retry-After", "2"))
        })),
        ..open()
    });
    let quick = Server::start(Behaviour {
        script: Some(Arc::new(move |_: &Request, _: &Reply| {
            other.lock().unwrap().push(("quick", Instant::now()));
            None
        })),
        ..open()
    });
    let names = [repositories(&limited, 10), repositories(&quick, 10)].concat();
    // One at a time, so that nothing else is under way when the rest is asked for.
    assert_eq!(errors(&all(&bounded(1), &names, 1).await, &names), [""; 0]);
    assert_eq!((limited.requests().len(), quick.requests().len()), (11, 10), "nobody asked during the rest");
    let told = told.lock().unwrap();
    let own: Vec<Instant> = told.iter().filter(|(host, _)| *host == "limited").map(|(_, at)| *at).collect();
    let longest = own.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest >= Duration::from_secs(2), "{longest:?}");
    let rest = own.windows(2).find(|pair| pair[1] - pair[0] >= Duration::from_secs(2)).unwrap();
    let after = told.iter().filter(|(host, at)| *host == "quick" && *at > rest[1]).count();
    assert_eq!(after, 0, "the other host was asked during the rest");
}

#[tokio::test]
async fn a_host_that_strains_loses_no_answer() {
    for lie in [Reply::status(429), Reply::status(503), Reply::status(200).body(Body::Reset)] {
        let script = move |request: &Request, _: &Reply| (request.before == 0).then(|| lie.clone());
        let server = Server::start(Behaviour { script: Some(Arc::new(script)), ..open() });
        let names = repositories(&server, 40);
        assert_eq!(errors(&all(&bounded(16), &names, 16).await, &names), [""; 0]);
        assert_eq!(server.requests().len(), 80);
    }
}

#[tokio::test]
async fn a_connection_serves_again_after_every_kind_of_answer() {
    let login = Login::Bearer { user: None, expires_in: 300 };
    let script = |request: &Request, _: &Reply| {
        let number = request.path.strip_prefix("/v2/r")?.split('/').next()?.parse::<usize>().ok()?;
        request.authorization()?;
        [None, Some(404), Some(403), Some(500)][number % 4].map(|status| Reply::json(status, r#"{"errors":[]}"#))
    };
    let server = Server::start(Behaviour { login, script: Some(Arc::new(script)), ..Behaviour::default() });
    let mut questions = Questions::new();
    for name in repositories(&server, 12) {
        let content = Needs { content: Some(plimsoll::image::Depth::Manifests), ..DIGEST_ONLY };
        questions.ask(&Reference::parse(&name).unwrap(), content);
    }
    resolve::resolve(&bounded(1), &questions, 1, &|_| {}).await;
    assert!(server.requests().len() > 24);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn many_requests_share_one_connection_where_http_2_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &certificate.pem).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let acceptor = tokio_rustls::TlsAcceptor::from(certificate.offering(&[b"h2", b"http/1.1"]));
    let log = Arc::clone(&told);
    let serving = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let socket = acceptor.accept(socket).await.unwrap();
            let protocol = String::from_utf8_lossy(socket.get_ref().1.alpn_protocol().unwrap_or_default()).into_owned();
            log.lock().unwrap().push(format!("connection {protocol}"));
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    log.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
                    let digest = Digest::sha256(request.uri().path().as_bytes());
                    let head = http::Response::builder()
                        .header("content-type", OCI_IMAGE)
                        .header("docker-content-digest", digest.as_str());
                    respond.send_response(head.body(()).unwrap(), true).unwrap();
                }
            });
        }
    });
    let entries = vec![plimsoll::registry::settings::RawEntry { ca: Some(ca), ..entry(&host) }];
    let router = router_with(settings(entries), Sources::default(), FAST).at_once(32);
    let names: Vec<String> = (0..64).map(|number| format!("{host}/r{number}:1")).collect();
    assert_eq!(errors(&all(&router, &names, 32).await, &names), [""; 0]);
    serving.abort();
    let told = told.lock().unwrap();
    assert_eq!(told.iter().filter(|line| line.starts_with("connection")).collect::<Vec<_>>(), ["connection h2"]);
    assert_eq!(told.iter().filter(|line| line.starts_with("HEAD")).count(), 64);
}
