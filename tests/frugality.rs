//! How many requests a run costs, counted at the registry: the number is a promise, so it is an equality.
//! Registries that give a token for several repositories, for one, for some, or take it back.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::digest::Digest;
use plimsoll::image::Depth;
use plimsoll::limits;
use plimsoll::reference::Reference;
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::router::Router;
use plimsoll::registry::{KnownBy, RegistryError as E};
use plimsoll::resolve::{self, Answers, Needs, Questions};

use asking::*;
use support::*;

/// The digest alone.
const DIGEST_ONLY: Needs = Needs { digest: true, ..Needs::NOTHING };
/// What the tag names now, too.
const TAG: Needs = Needs { tag: true, ..DIGEST_ONLY };
/// Every manifest and config.
const CONTENT: Needs = Needs { content: Some(Depth::Configs), ..DIGEST_ONLY };

/// Long enough for all tasks to be under way before the first answer is there.
const DELAY: Duration = Duration::from_millis(100);

fn bearer(expires_in: u64) -> Behaviour {
    Behaviour {
        login: Login::Bearer { user: None, expires_in },
        answer_everything: true,
        delay: DELAY,
        ..Behaviour::default()
    }
}

/// Tokens are JWTs, which list what `grants` says.
fn granting(grants: impl Fn(&[String], usize) -> Option<Vec<String>> + Send + Sync + 'static) -> Behaviour {
    Behaviour { grants: Some(Arc::new(grants)), ..bearer(300) }
}

/// Asks as the gate does.
async fn all(router: &Router, names: &[String], needs: Needs) -> Answers {
    let mut questions = Questions::new();
    for name in names {
        questions.ask(&Reference::parse(name).unwrap(), needs);
    }
    resolve::resolve(router, &questions, 64, &|_| {}).await
}

fn errors(answers: &Answers, names: &[String]) -> Vec<String> {
    let error = |name: &String| answers.named(&Reference::parse(name).unwrap()).unwrap().err().map(ToString::to_string);
    names.iter().filter_map(error).collect()
}

/// `HOST/r0:1`, `HOST/r1:1` …
fn repositories(server: &Server, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{}/r{number}:1", server.host())).collect()
}

/// How many requests of each kind.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    challenges: usize,
    tokens: usize,
    heads: usize,
    gets: usize,
}

/// Counts, and holds what is never done: a ping, or the same twice.
fn count(server: &Server) -> Count {
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.path != "/v2/"), "no ping");
    let of = |method: &str, token: bool, auth: Option<bool>| {
        let fits = |request: &&Request| {
            (request.method == method || (token && request.method == "POST"))
                && (request.path == "/token") == token
                && auth.is_none_or(|auth| request.authorization().is_some() == auth)
        };
        requests.iter().filter(fits).count()
    };
    let open = requests.iter().all(|request| request.path != "/token");
    let challenges = if open { 0 } else { of("HEAD", false, Some(false)) + of("GET", false, Some(false)) };
    let auth = if open { None } else { Some(true) };
    Count { challenges, tokens: of("GET", true, None), heads: of("HEAD", false, auth), gets: of("GET", false, auth) }
}

fn batches(server: &Server) -> Vec<usize> {
    let requests = server.requests();
    requests.iter().filter(|request| request.path == "/token").map(|request| request.scopes().len()).collect()
}

// ---- how many requests a run costs

#[tokio::test]
async fn a_hundred_repositories_with_a_token_each() {
    let server = Server::start(bearer(300));
    let names = repositories(&server, 100);
    assert_eq!(errors(&all(&router(), &names, DIGEST_ONLY).await, &names), [""; 0]);
    assert_eq!(count(&server), Count { challenges: 1, tokens: 100, heads: 100, gets: 0 });
    assert_eq!(server.requests().len(), 201);
}

#[tokio::test]
async fn a_hundred_repositories_share_tokens_where_they_may() {
    let server = Server::start(granting(|asked, _| Some(asked.to_vec())));
    let names = repositories(&server, 100);
    assert_eq!(errors(&all(&router(), &names, DIGEST_ONLY).await, &names), [""; 0]);
    assert_eq!(count(&server), Count { challenges: 1, tokens: 5, heads: 100, gets: 0 });
    let mut batches = batches(&server);
    batches[1..].sort_unstable();
    assert_eq!(batches, [1, 3, limits::TOKEN_SCOPES, limits::TOKEN_SCOPES, limits::TOKEN_SCOPES]);
}

#[tokio::test]
async fn a_hundred_tags_of_one_repository() {
    for behaviour in [bearer(300), granting(|asked, _| Some(asked.to_vec()))] {
        let server = Server::start(behaviour);
        let names: Vec<String> = (0..100).map(|number| format!("{}/app:{number}", server.host())).collect();
        assert_eq!(errors(&all(&router(), &names, DIGEST_ONLY).await, &names), [""; 0]);
        assert_eq!(count(&server), Count { challenges: 1, tokens: 1, heads: 100, gets: 0 });
    }
}

#[tokio::test]
async fn an_open_registry_costs_one_request_for_each_name() {
    let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::default() });
    let mut names = repositories(&server, 50);
    names.extend((0..50).map(|number| format!("{}/app:{number}", server.host())));
    let doubled: Vec<String> = names.iter().chain(&names).cloned().collect();
    assert_eq!(errors(&all(&router(), &doubled, DIGEST_ONLY).await, &names), [""; 0]);
    assert_eq!(count(&server), Count { challenges: 0, tokens: 0, heads: 100, gets: 0 });
}

#[tokio::test]
async fn a_name_with_a_digest_costs_one_request() {
    let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::default() });
    let name = |number: usize, digest: &Digest| format!("{}/r{number}:1@{digest}", server.host());
    let pinned: Vec<String> =
        (0..50).map(|number| name(number, &Digest::sha256(format!("r{number}:1").as_bytes()))).collect();
    for needs in [DIGEST_ONLY, TAG] {
        let before = server.requests().len();
        let answers = all(&router(), &pinned, needs).await;
        // By the digest it is asked whether it is there; where the tag is asked for, its answer tells both.
        if needs == TAG {
            assert_eq!(errors(&answers, &pinned), [""; 0]);
        }
        assert_eq!(server.requests().len() - before, 50, "{needs:?}");
    }
    assert_eq!(count(&server).gets, 0);
}

// ---- content

/// An image whose config is the same for all of one architecture; manifests differ by `mark`.
fn image(server: &Server, repository: &str, architecture: &str, mark: &str) -> (Digest, usize) {
    let config = format!(r#"{{"os":"linux","architecture":"{architecture}"}}"#);
    let size = config.len();
    let config = server.push_blob(repository, config);
    let layer = Digest::sha256(mark.as_bytes());
    let body = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer}","size":7}}]}}"#
    );
    let length = body.len();
    (server.push_digest(repository, body, OCI_IMAGE), length)
}

/// An index of images that it names no platform for, so that their configs are read.
fn index(children: &[&(Digest, usize)], mark: &str) -> String {
    let row = |(digest, size): &&(Digest, usize)| {
        format!(r#"{{"mediaType":"{OCI_IMAGE}","digest":"{digest}","size":{size}}}"#)
    };
    let rows: Vec<String> = children.iter().map(row).collect();
    format!(r#"{{"schemaVersion":2,"annotations":{{"mark":"{mark}"}},"manifests":[{}]}}"#, rows.join(","))
}

#[tokio::test]
async fn nothing_of_a_repository_is_fetched_twice() {
    for delay in [Duration::ZERO, DELAY] {
        let server = Server::start(Behaviour { delay, ..Behaviour::default() });
        let host = server.host();
        let [shared, first, second] =
            [("amd64", "shared"), ("arm64", "1"), ("arm64", "2")].map(|(arch, mark)| image(&server, "app", arch, mark));
        let one = server.push("app", "1", index(&[&shared, &first], "1"), OCI_INDEX);
        server.push("app", "2", index(&[&shared, &second], "2"), OCI_INDEX);
        server.push("app", "same-as-1", index(&[&shared, &first], "1"), OCI_INDEX);
        let names = [
            format!("{host}/app:1"),
            format!("{host}/app:2"),
            format!("{host}/app@{one}"),
            format!("{host}/app@{}", shared.0),
            format!("{host}/app:1@{}", first.0),
        ];
        let answers = all(&router(), &names, CONTENT).await;
        assert_eq!(errors(&answers, &names), [""; 0]);
        for name in &names {
            let reference = Reference::parse(name).unwrap();
            let resolved = answers.named(&reference).unwrap().unwrap();
            assert_eq!(resolved.known_by, KnownBy::Bytes);
            assert!(answers.image(reference.repository(), &resolved.digest).unwrap().is_ok());
        }
        let lines = server.lines();
        let distinct: BTreeSet<&String> = lines.iter().collect();
        assert_eq!(distinct.len(), lines.len(), "{lines:#?}");
        // Two indexes by tag, three images, two configs.
        assert_eq!(lines.len(), 7, "{lines:#?}");
        assert_eq!(count(&server).heads, 0);
    }
}

#[tokio::test]
async fn a_moved_pin_costs_the_tag_the_digest_and_the_index() {
    let server = Server::start(Behaviour::default());
    let child = image(&server, "app", "amd64", "1");
    let index = server.push("app", "1", index(&[&child], "1"), OCI_INDEX);
    let name = format!("{}/app:1@{}", server.host(), child.0);
    let answers = all(&router(), std::slice::from_ref(&name), TAG).await;
    let reference = Reference::parse(&name).unwrap();
    assert_eq!(answers.children(reference.repository(), &index).unwrap().unwrap(), std::slice::from_ref(&child.0));
    let expected = [
        "HEAD /v2/app/manifests/1".to_owned(),
        format!("GET /v2/app/manifests/{index}"),
        format!("HEAD /v2/app/manifests/{}", child.0),
    ];
    assert_eq!(server.lines(), expected);
}

#[tokio::test]
async fn rule_22_a_limited_head_costs_no_pull() {
    let server = Server::start(Behaviour::lying(|request, _| (request.method == "HEAD").then(|| Reply::status(429))));
    let names: Vec<String> = (0..4).map(|number| format!("{}/app:{number}", server.host())).collect();
    let answers = all(&router(), &names, DIGEST_ONLY).await;
    assert_eq!(errors(&answers, &names).len(), 4);
    assert_eq!(count(&server).gets, 0);
}

// ---- tokens for several repositories, and registries that have their own idea of them

/// All of `names` are answered, however the registry hands out its tokens.
async fn served(behaviour: Behaviour, names: usize) -> Server {
    let server = Server::start(behaviour);
    let names = repositories(&server, names);
    assert_eq!(errors(&all(&router(), &names, DIGEST_ONLY).await, &names), [""; 0]);
    server
}

#[tokio::test]
async fn further_scopes_that_are_ignored_are_asked_for_alone() {
    let server = served(granting(|asked, _| Some(asked[..1].to_vec())), 40).await;
    // The first, one batch, and each of those that the batch's token does not list or that waited behind it.
    assert_eq!(count(&server), Count { challenges: 1, tokens: 2 + 38, heads: 40, gets: 0 });
    let mut batches = batches(&server);
    batches.sort_unstable();
    assert_eq!(batches, [vec![1; 39], vec![limits::TOKEN_SCOPES]].concat());
}

#[tokio::test]
async fn a_token_that_lists_another_repository_tells_nothing() {
    let server = served(granting(|asked, _| Some([asked, &["x".to_owned()]].concat())), 3).await;
    assert_eq!(count(&server).tokens, 2);
    let server = Server::start(granting(|_, _| Some(vec!["x".to_owned()])));
    let names = repositories(&server, 3);
    assert_eq!(errors(&all(&router(), &names, DIGEST_ONLY).await, &names).len(), 3);
    assert_eq!(batches(&server), [1, 1, 1]);
}

#[tokio::test]
async fn a_batch_that_is_denied_is_asked_for_one_by_one() {
    let server = served(granting(|asked, _| (asked.len() == 1).then(|| asked.to_vec())), 30).await;
    assert_eq!(count(&server), Count { challenges: 1, tokens: 2 + 29, heads: 30, gets: 0 });
}

#[tokio::test]
async fn one_that_is_denied_takes_no_neighbour_with_it() {
    let denied = |name: &String| name == "r7" || name == "r20";
    let granted = move |asked: &[String], _| Some(asked.iter().filter(|name| !denied(name)).cloned().collect());
    let server = Server::start(granting(granted));
    let names = repositories(&server, 30);
    let answers = all(&router(), &names, DIGEST_ONLY).await;
    assert_eq!(errors(&answers, &names).len(), 2);
    for name in [&names[7], &names[20]] {
        let answer = answers.named(&Reference::parse(name).unwrap()).unwrap();
        assert_eq!(answer.unwrap_err(), &E::Unauthorized { host: server.host(), detail: "Unauthorized".into() });
    }
    assert_eq!(count(&server), Count { challenges: 1, tokens: 2 + 2, heads: 30, gets: 0 });
}

#[tokio::test]
async fn the_first_that_is_denied_decides_for_nobody() {
    let server = Server::start(granting(|asked, _| (!asked.contains(&"r0".to_owned())).then(|| asked.to_vec())));
    let names = repositories(&server, 20);
    let answers = all(&router(), &names, DIGEST_ONLY).await;
    let errors = errors(&answers, &names);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("not for you"), "{errors:?}");
    assert_eq!(count(&server).heads, 19);
}

#[tokio::test]
async fn a_claim_that_is_not_kept_costs_one_more_token_and_no_answer() {
    // Every token lists all that was asked for, and the registry takes it for the first alone.
    for status in [401, 403] {
        let behaviour = granting(|asked, _| Some(asked.to_vec()));
        let script = move |request: &Request, truth: &Reply| {
            let token = request.authorization()?.split('.').nth(1)?.to_owned();
            let shared = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token).unwrap();
            let shared = String::from_utf8(shared).unwrap().matches("repository").count() > 1;
            let challenge = format!(r#"Bearer realm="http://{}/token",service="test""#, request.headers["host"]);
            let no = Reply::json(status, r#"{"errors":[{"message":"no"}]}"#).header("WWW-Authenticate", &challenge);
            Some(if shared { no } else { truth.clone() })
        };
        let server = served(Behaviour { script: Some(Arc::new(script)), ..behaviour }, 20).await;
        assert_eq!(count(&server), Count { challenges: 1, tokens: 2 + 19, heads: 1 + 2 * 19, gets: 0 });
    }
}

#[tokio::test]
async fn a_token_service_that_breaks_over_a_batch_is_asked_one_by_one() {
    for status in [400, 414, 500] {
        let behaviour = granting(|asked, _| Some(asked.to_vec()));
        let script = move |request: &Request, _: &Reply| {
            (request.path == "/token" && request.scopes().len() > 1).then(|| Reply::status(status))
        };
        let server = served(Behaviour { script: Some(Arc::new(script)), ..behaviour }, 20).await;
        assert_eq!(count(&server), Count { challenges: 1, tokens: 2 + 19, heads: 20, gets: 0 });
    }
}

#[tokio::test]
async fn a_batch_stays_a_short_address() {
    let server = Server::start(granting(|asked, _| Some(asked.to_vec())));
    let long = "a/".repeat(100) + "b";
    let names: Vec<String> = (0..60).map(|number| format!("{}/{long}{number}:1", server.host())).collect();
    assert_eq!(errors(&all(&router(), &names, DIGEST_ONLY).await, &names), [""; 0]);
    let tokens = server.requests().into_iter().filter(|request| request.path == "/token");
    let longest = tokens.map(|request| request.query.len()).max().unwrap();
    assert!((1_000..=limits::TOKEN_URL_BYTES).contains(&longest), "{longest}");
}

#[tokio::test]
async fn a_token_too_long_for_a_header_is_not_used() {
    let padded = |asked: &[String], _: usize| {
        let more = if asked.len() > 1 { 200 } else { 0 };
        Some(asked.iter().cloned().chain((0..more).map(|number| format!("padding/{number}"))).collect())
    };
    let server = served(granting(padded), 20).await;
    assert_eq!(count(&server), Count { challenges: 1, tokens: 2 + 19, heads: 20, gets: 0 });
}

#[tokio::test]
async fn other_credentials_are_another_token() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login::Bearer { user: Some(("bob".into(), "hunter2".into())), expires_in: 300 };
    let server = Server::start(Behaviour { login, ..granting(|asked, _| Some(asked.to_vec())) });
    let names = repositories(&server, 10);
    let sources = logged_in(folder.path(), &server.host(), "bob", "hunter2");
    let answers = all(&router_with(settings(vec![]), sources, FAST), &names, DIGEST_ONLY).await;
    assert_eq!(errors(&answers, &names), [""; 0]);
    assert_eq!(batches(&server), [1, 9]);
    // An identity token goes into a form, one repository a request.
    let text = format!(r#"{{"auths":{{"{}":{{"identitytoken":"hunter2"}}}}}}"#, server.host());
    let sources = docker_config(folder.path(), &text);
    let before = server.requests().len();
    let answers = all(&router_with(settings(vec![]), sources, FAST), &names, DIGEST_ONLY).await;
    assert_eq!(errors(&answers, &names), [""; 0]);
    assert_eq!(server.requests()[before..].iter().filter(|request| request.method == "POST").count(), 10);
}

// ---- in the middle of a run

#[tokio::test]
async fn tokens_that_are_revoked_are_renewed_together() {
    let server = Server::start(granting(|asked, _| Some(asked.to_vec())));
    let router = router();
    let names = repositories(&server, 20);
    let mut questions = Questions::new();
    for name in &names {
        questions.ask(&Reference::parse(name).unwrap(), DIGEST_ONLY);
    }
    let questions = questions.more_follow(true);
    for (round, tokens) in [(1, 2), (2, 2), (3, 4)] {
        if round == 3 {
            server.revoke_tokens();
        }
        let answers = resolve::resolve(&router, &questions, 64, &|_| {}).await;
        assert_eq!(errors(&answers, &names), [""; 0]);
        assert_eq!(count(&server).tokens, tokens, "round {round}: {:?}", batches(&server));
    }
    assert_eq!(count(&server).heads, 20 * 4, "each was refused once and asked again");
}

#[tokio::test]
async fn tokens_that_end_are_renewed_together_and_before_they_do() {
    let behaviour = Behaviour {
        login: Login::Bearer { user: None, expires_in: 2 },
        // What the registry thinks the time is says nothing.
        script: Some(Arc::new(|_: &Request, truth: &Reply| {
            Some(truth.clone().header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"))
        })),
        ..granting(|asked, _| Some(asked.to_vec()))
    };
    let server = Server::start(behaviour);
    let router = router();
    let names = repositories(&server, 20);
    let mut questions = Questions::new();
    for name in &names {
        questions.ask(&Reference::parse(name).unwrap(), DIGEST_ONLY);
    }
    let questions = questions.more_follow(true);
    for _ in 0..2 {
        let answers = resolve::resolve(&router, &questions, 64, &|_| {}).await;
        assert_eq!(errors(&answers, &names), [""; 0]);
        tokio::time::sleep(Duration::from_millis(1_900)).await;
    }
    assert_eq!(batches(&server), [1, 19, 1, 19]);
    assert_eq!(count(&server), Count { challenges: 1, tokens: 4, heads: 40, gets: 0 });
}

#[tokio::test]
async fn answers_are_the_same_in_whatever_order_they_come() {
    let behaviour = || granting(|asked, _| Some(asked.to_vec()));
    let mut told = BTreeSet::new();
    for jobs in [1, 3, 64] {
        let server = Server::start(Behaviour { delay: Duration::from_millis(2), ..behaviour() });
        let names = repositories(&server, 40);
        let router = router_with(settings(vec![]), Sources::default(), FAST).at_once(jobs);
        let answers = all(&router, &names, DIGEST_ONLY).await;
        told.insert(format!("{answers:?}").replace(&server.host(), "HOST"));
    }
    assert_eq!(told.len(), 1);
}
