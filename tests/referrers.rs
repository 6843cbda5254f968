//! Lists of referrers: each answer of the API and of the fallback tag comes to one of three, "these", "none" or an error.
//! The table is written as a registry that lies, limits or breaks would; no lie may come to "none".
//!
//! Longer than most files: one function a way to lie, and they share the helpers at the top.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/layout.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, clippy::must_use_candidate, reason = "shared with other tests")]
mod layout;
#[path = "support/registry.rs"]
mod support;

use std::sync::Arc;

use plimsoll::digest::{Algorithm, Digest};
use plimsoll::limits;
use plimsoll::reference::Reference;
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{RawEntry, Settings};
use plimsoll::registry::{Referrers, ReferrersFrom, Registry as _, RegistryError as E};
use serde_json::{Value, json};

use asking::*;
use support::*;

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom";

fn subject() -> Digest {
    Digest::sha256(IMAGE.as_bytes())
}

/// The path of the list.
fn api() -> String {
    format!("/v2/app/referrers/{}", subject())
}

/// The path of the fallback tag.
fn tag() -> String {
    format!("/v2/app/manifests/sha256-{}", subject().hex())
}

async fn list(router: &Router, host: &str, kind: Option<&str>) -> Result<Referrers, E> {
    let reference = Reference::parse(&format!("{host}/app")).unwrap();
    router.referrers(reference.repository(), &subject(), kind).await
}

/// What the server's list comes to, asked for by a new router.
async fn listed(server: &Server) -> Result<Referrers, E> {
    list(&router(), &server.host(), None).await
}

/// A registry with the API and one signature, which lies as told.
fn lister(lie: impl Fn(&Request, &Reply) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let server = Server::start(Behaviour { referrers: Listing::Pages(10), ..Behaviour::lying(lie) });
    server.refer("app", &subject(), Some(SIGNATURE), "1");
    server
}

fn marks(referrers: &Referrers) -> Vec<&str> {
    referrers.found.iter().map(|one| one.annotations["mark"].as_str()).collect()
}

/// An index with one descriptor.
fn one() -> String {
    index_of(&[descriptor(&Digest::sha256(b"one"), "one")])
}

// ---- three answers

/// What one of the two places answers.
#[derive(Clone, Copy, Debug)]
enum Says {
    One,
    None,
    Status(u16),
    Html,
    Silent,
}

impl Says {
    fn reply(self) -> Reply {
        match self {
            Self::One => Reply::ok(OCI_INDEX, one()),
            Self::None => Reply::ok(OCI_INDEX, index_of(&[])),
            Self::Status(status) => Reply::status(status),
            Self::Html => Reply::ok("text/html", "<html>a portal</html>"),
            Self::Silent => Reply::status(200).body(Body::Silence),
        }
    }
}

/// How an error is called in the table.
fn name_of(error: &E) -> &'static str {
    match error {
        E::Unauthorized { .. } => "unauthorized",
        E::Forbidden { .. } => "forbidden",
        E::RateLimited { .. } => "limited",
        E::Status { .. } => "status",
        E::TimedOut { .. } => "timed out",
        E::Malformed { .. } => "malformed",
        E::NotFound { .. } => "not found",
        _ => "another",
    }
}

#[tokio::test]
async fn rule_17_every_pair_of_answers_comes_to_these_none_or_an_error() {
    use Says::{Html, None, One, Silent, Status};
    let rows = [
        (One, One, "these by the API"),
        (One, Status(403), "these by the API"),
        (None, One, "none by the API"),
        (None, Status(500), "none by the API"),
        (Status(404), One, "these by the tag"),
        (Status(404), None, "none by the tag"),
        (Status(404), Status(404), "none by the tag"),
        (Status(404), Status(401), "unauthorized"),
        (Status(404), Status(403), "forbidden"),
        (Status(404), Status(429), "limited"),
        (Status(404), Status(500), "status"),
        (Status(404), Status(503), "status"),
        (Status(404), Status(400), "status"),
        (Status(404), Html, "malformed"),
        (Status(404), Silent, "timed out"),
        // other ways to say that there is no such API
        (Status(400), One, "these by the tag"),
        (Status(405), One, "these by the tag"),
        (Status(406), One, "these by the tag"),
        (Status(501), Status(404), "none by the tag"),
        (Status(501), Status(429), "limited"),
        // what says nothing about the API is an error, whatever stands under the tag
        (Status(401), One, "unauthorized"),
        (Status(403), One, "forbidden"),
        (Status(403), Status(404), "forbidden"),
        (Status(429), Status(404), "limited"),
        (Status(500), Status(404), "status"),
        (Status(502), Status(404), "status"),
        (Status(410), Status(404), "status"),
        (Status(204), Status(404), "status"),
        (Html, Status(404), "malformed"),
        (Silent, Status(404), "timed out"),
    ];
    for (by_api, by_tag, expected) in rows {
        let (api, tag) = (api(), tag());
        let server = Server::start(Behaviour::lying(move |request, _| match &request.path {
            path if *path == api => Some(by_api.reply()),
            path if *path == tag => Some(by_tag.reply()),
            _ => panic!("asked for {}", request.path),
        }));
        let deadlines = if expected == "timed out" { HASTY } else { FAST };
        let router = router_with(settings(vec![]), Sources::default(), deadlines);
        let found = match &list(&router, &server.host(), Option::None).await {
            Ok(Referrers { found, from: ReferrersFrom::Api }) if found.is_empty() => "none by the API",
            Ok(Referrers { found, from: ReferrersFrom::FallbackTag }) if found.is_empty() => "none by the tag",
            Ok(Referrers { from: ReferrersFrom::Api, .. }) => "these by the API",
            Ok(Referrers { from: ReferrersFrom::FallbackTag, .. }) => "these by the tag",
            Ok(Referrers { from: ReferrersFrom::Layout, .. }) => "these by a layout",
            Err(error) => name_of(error),
        };
        assert_eq!(found, expected, "{by_api:?}, {by_tag:?}");
    }
}

#[tokio::test]
async fn what_is_no_list_is_no_answer() {
    let digest = Digest::sha256(b"x");
    let entry = |key: &str, value: Value| {
        let mut entry = descriptor(&digest, "x");
        entry[key] = value;
        index_of(&[entry])
    };
    let index = |extra: &str| format!(r#"{{"schemaVersion":2,"manifests":[]{extra}}}"#);
    let rows = [
        ("an image", IMAGE.to_owned()),
        ("no list in it", r#"{"schemaVersion":2}"#.to_owned()),
        ("null", r#"{"schemaVersion":2,"manifests":null}"#.to_owned()),
        ("an object", r#"{"schemaVersion":2,"manifests":{}}"#.to_owned()),
        ("both", index(r#","layers":[]"#)),
        ("doubled", index(r#","manifests":[]"#)),
        ("another type inside", index(&format!(r#","mediaType":"{OCI_IMAGE}""#))),
        ("schema 1", index("").replace(":2", ":1")),
        ("more after it", index("") + "{}"),
        ("cut off", one()[..60].to_owned()),
        ("empty", String::new()),
        ("html", "<html></html>".to_owned()),
        ("short digest", entry("digest", "sha256:abc".into())),
        ("a path for a digest", entry("digest", "../../other".into())),
        ("negative size", entry("size", (-1).into())),
        ("a number for a type", entry("artifactType", 7.into())),
        ("no media type", entry("mediaType", Value::Null)),
    ];
    for (name, body) in rows {
        for by_tag in [false, true] {
            let (api, body) = (api(), body.clone());
            let server = Server::start(Behaviour::lying(move |request, _| {
                Some(if request.path == api && by_tag {
                    Reply::status(404)
                } else {
                    Reply::ok(OCI_INDEX, body.clone())
                })
            }));
            let error = listed(&server).await.unwrap_err();
            assert!(matches!(error, E::Malformed { .. }), "{name}, {by_tag}: {error}");
        }
    }
    for (header, value) in
        [("Content-Type", "application/json"), ("Content-Type", OCI_IMAGE), ("Content-Encoding", "gzip")]
    {
        let server = lister(move |_, truth| Some(truth.clone().header(header, value)));
        assert!(matches!(listed(&server).await, Err(E::Malformed { .. })), "{header}: {value}");
    }
    let server = lister(|_, truth| Some(truth.clone().without("Content-Type")));
    assert!(matches!(listed(&server).await, Err(E::Malformed { .. })));
    let server = lister(|_, truth| Some(truth.clone().header("Content-Type", &format!("{OCI_INDEX}; charset=utf-8"))));
    assert_eq!(listed(&server).await.unwrap().found.len(), 1);
}

#[tokio::test]
async fn a_fallback_tag_that_is_an_image_or_a_docker_list_is_no_list() {
    for (body, media_type) in [(IMAGE, OCI_IMAGE), (IMAGE, DOCKER_IMAGE), (INDEX, DOCKER_LIST)] {
        let server = Server::start(Behaviour::default());
        server.put(tag(), media_type, body.into());
        assert!(matches!(listed(&server).await, Err(E::Malformed { .. })), "{media_type}");
    }
    // its digest header names other bytes
    let server =
        Server::start(Behaviour::lying(|_, truth| Some(truth.clone().header(DIGEST, Digest::sha256(b"x").as_str()))));
    server.put(tag(), OCI_INDEX, one().into());
    assert!(matches!(listed(&server).await, Err(E::WrongBytes { .. })));
}

#[tokio::test]
async fn the_fallback_tag_of_a_long_digest_is_cut() {
    let subject = Digest::hash(Algorithm::Sha512, IMAGE.as_bytes());
    let server = Server::start(Behaviour::default());
    server.put(format!("/v2/app/manifests/sha512-{}", &subject.hex()[..64]), OCI_INDEX, one().into());
    let reference = Reference::parse(&format!("{}/app", server.host())).unwrap();
    let found = router().referrers(reference.repository(), &subject, None).await.unwrap();
    assert_eq!((found.found.len(), found.from), (1, ReferrersFrom::FallbackTag));
}

// ---- pages

#[tokio::test]
async fn all_pages_are_read_in_order() {
    let server = Server::start(Behaviour { referrers: Listing::Pages(2), ..Behaviour::default() });
    for mark in ["1", "2", "3", "4", "5"] {
        server.refer("app", &subject(), Some(SIGNATURE), mark);
    }
    let found = listed(&server).await.unwrap();
    assert_eq!((marks(&found), found.from), (vec!["1", "2", "3", "4", "5"], ReferrersFrom::Api));
    let queries: Vec<String> = server.requests().iter().map(|request| request.query.clone()).collect();
    assert_eq!(queries, ["", "from=2", "from=4"]);
    assert_eq!(server.requests()[0].headers["accept"], OCI_INDEX);
}

#[tokio::test]
async fn a_page_that_fails_is_no_shorter_list() {
    for (status, expected) in [
        (404, "malformed"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (429, "limited"),
        (500, "status"),
        (400, "status"),
    ] {
        let server = Server::start(Behaviour {
            referrers: Listing::Pages(1),
            ..Behaviour::lying(move |request, _| (request.query == "from=1").then(|| Reply::status(status)))
        });
        server.refer("app", &subject(), Some(SIGNATURE), "1");
        server.refer("app", &subject(), Some(SIGNATURE), "2");
        assert_eq!(name_of(&listed(&server).await.unwrap_err()), expected, "{status}");
    }
}

#[tokio::test]
async fn rule_21_a_next_page_never_leads_away() {
    let other = Server::start(Behaviour { referrers: Listing::Pages(9), ..Behaviour::default() });
    let (path, digest) = (api(), subject());
    let rows = [
        format!("<http://{}{path}?x=1>; rel=next", other.host()),
        format!("<https://127.0.0.1{path}?x=1>; rel=next"),
        format!("<//{}{path}?x=1>; rel=next", other.host()),
        format!("</v2/secret/referrers/{digest}?x=1>; rel=next"),
        format!("</v2/app/referrers/{}?x=1>; rel=next", Digest::sha256(b"other")),
        "</v2/_catalog?x=1>; rel=next".to_owned(),
        "</v2/app/../secret/referrers/x>; rel=next".to_owned(),
        "<../../../token?x=1>; rel=next".to_owned(),
        "<file:///etc/passwd>; rel=next".to_owned(),
        format!("<http://user:word@HOST{path}?x=1>; rel=next"),
        format!("<{path}?x=1; rel=next"),
        format!("{path}?x=1; rel=next"),
        "rel=next".to_owned(),
        format!("<{path}?x=1>; rel=next, <{path}?x=2>; rel=next"),
        // in a circle
        format!("<{path}>; rel=next"),
        "<>; rel=next".to_owned(),
        "<?>; rel=next".to_owned(),
    ];
    for link in rows {
        let told = link.clone();
        let server = lister(move |request, truth| {
            Some(truth.clone().header("Link", &told.replace("HOST", &request.headers["host"])))
        });
        let error = listed(&server).await.unwrap_err();
        assert!(matches!(error, E::Malformed { .. }), "{link}: {error}");
        assert_eq!(server.lines(), [format!("GET {path}")], "{link}");
        assert!(other.requests().is_empty(), "{link}");
    }
    // links that are no next page, in forms that are allowed
    for link in ["</v2/_catalog>; rel=prev", "<https://docs.example>; rel=\"help\"; title=\"a, b\"", ""] {
        let server = lister(move |_, truth| Some(truth.clone().header("Link", link)));
        assert_eq!(listed(&server).await.unwrap().found.len(), 1, "{link}");
    }
}

#[tokio::test]
async fn a_next_page_may_be_relative_or_whole_and_spell_the_digest_otherwise() {
    let digest = subject();
    for link in [
        "<?from=1>; rel=\"next\"".to_owned(),
        format!("<{digest}?from=1>; rel=next").replace("<sha256:", "<./sha256:"),
        format!("<http://HOST/v2/app/referrers/{digest}?from=1>; rel=\"next\""),
        format!("</v2/app/referrers/{}?from=1>; Rel=\"NEXT\"", digest.as_str().replace(':', "%3A")),
        format!("</v2/app/referrers/{digest}?from=1#part>; rel=next"),
    ] {
        let told = link.clone();
        let server = Server::start(Behaviour {
            referrers: Listing::Pages(1),
            ..Behaviour::lying(move |request, truth| {
                let link = told.replace("HOST", &request.headers["host"]);
                request.query.is_empty().then(|| truth.clone().header("Link", &link))
            })
        });
        server.refer("app", &subject(), None, "1");
        server.refer("app", &subject(), None, "2");
        assert_eq!(marks(&listed(&server).await.unwrap()), ["1", "2"], "{link}");
    }
}

#[tokio::test]
async fn a_page_after_a_redirect_to_another_host_is_not_followed() {
    let other = lister(|_, truth| Some(truth.clone().header("Link", "<?x=1>; rel=next")));
    let target = format!("http://{}{}", other.host(), api());
    let server = Server::start(Behaviour::lying(move |_, _| Some(Reply::redirect(&target))));
    let router = router_with(settings(vec![entry(&other.host())]), Sources::default(), FAST);
    assert!(matches!(list(&router, &server.host(), None).await, Err(E::Malformed { .. })));
    assert_eq!(other.requests().len(), 1);
}

// ---- limits

#[tokio::test]
async fn rule_19_more_referrers_than_the_limit_are_an_error_that_names_it() {
    for (count, pages) in [(limits::REFERRERS, 10), (limits::REFERRERS + 1, 10), (limits::REFERRERS + 1, 1_000)] {
        let server = Server::start(Behaviour { referrers: Listing::Pages(pages), ..Behaviour::default() });
        for mark in 0..count {
            server.refer("app", &subject(), Some(SIGNATURE), &mark.to_string());
        }
        let answer = listed(&server).await;
        if count == limits::REFERRERS {
            assert_eq!(answer.unwrap().found.len(), count);
            continue;
        }
        let error = answer.unwrap_err();
        assert!(matches!(error, E::TooMany { limit: limits::REFERRERS, .. }), "{error}");
        assert!(error.to_string().contains("50 referrers"), "{error}");
        // by the tag it is the same
        let many: Vec<Value> =
            (0..count).map(|at| descriptor(&Digest::sha256(&at.to_ne_bytes()), &at.to_string())).collect();
        let server = Server::start(Behaviour::default());
        server.put(tag(), OCI_INDEX, index_of(&many).into());
        assert_eq!(
            listed(&server).await.unwrap_err(),
            E::TooMany { place: server.host(), what: "referrers of an image", limit: limits::REFERRERS }
        );
    }
}

#[tokio::test]
async fn rule_19_pages_without_end_end() {
    let server = lister(|request, truth| {
        let link = format!("<?at={}>; rel=next", request.before + 1);
        Some(truth.clone().header("Link", &link))
    });
    let error = listed(&server).await.unwrap_err();
    assert!(matches!(error, E::TooMany { limit: limits::REFERRER_PAGES, .. }), "{error}");
    assert_eq!(server.requests().len(), limits::REFERRER_PAGES);
}

#[tokio::test]
async fn rule_19_a_page_is_no_longer_than_a_manifest() {
    for body in [Body::Endless, Body::Announced(Vec::new(), limits::MANIFEST_BYTES + 1)] {
        let server = lister(move |_, truth| Some(truth.clone().body(body.clone())));
        assert!(matches!(listed(&server).await, Err(E::TooLarge { limit: limits::MANIFEST_BYTES, .. })));
    }
    let server = lister(|_, truth| Some(truth.clone().body(Body::Drip(std::time::Duration::from_millis(20)))));
    let router = router_with(settings(vec![]), Sources::default(), HASTY);
    assert!(matches!(list(&router, &server.host(), None).await, Err(E::TimedOut { .. })));
}

#[tokio::test]
async fn what_is_listed_twice_stands_once() {
    let server = Server::start(Behaviour { referrers: Listing::Pages(1), ..Behaviour::default() });
    for _ in 0..3 {
        server.refer("app", &subject(), Some(SIGNATURE), "1");
    }
    assert_eq!(marks(&listed(&server).await.unwrap()), ["1"]);
}

// ---- artifact types

#[tokio::test]
async fn a_filter_that_was_not_applied_or_lies_is_applied_here() {
    let server = Server::start(Behaviour { referrers: Listing::Pages(10), ..Behaviour::default() });
    server.refer("app", &subject(), Some(SIGNATURE), "signature");
    server.refer("app", &subject(), Some(SBOM), "sbom");
    server.refer("app", &subject(), None, "untyped");
    server.refer("app", &subject(), Some(""), "empty");
    let router = router();
    let some = list(&router, &server.host(), Some(SIGNATURE)).await.unwrap();
    assert_eq!(marks(&some), ["signature", "untyped", "empty"], "one without a type may be of any");
    assert!(some.found[2].artifact_type.is_none());
    let all = list(&router, &server.host(), None).await.unwrap();
    assert_eq!(marks(&all), ["signature", "sbom", "untyped", "empty"]);
    assert_eq!(marks(&list(&router, &server.host(), Some(SBOM)).await.unwrap()), ["sbom", "untyped", "empty"]);
    assert_eq!(server.requests().len(), 1, "one list serves every kind: {:?}", server.lines());
}

#[tokio::test]
async fn too_many_of_all_kinds_may_be_few_of_one() {
    for lying in [false, true] {
        let behaviour = Behaviour { referrers: Listing::Filtered, ..Behaviour::default() };
        // it says that it filtered, and lists them all
        let lie = move |request: &Request, _: &Reply| {
            (lying && !request.query.is_empty()).then(|| {
                let many: Vec<Value> = (0..60)
                    .map(|at| {
                        let mut one = descriptor(&Digest::sha256(&[at]), &at.to_string());
                        one["artifactType"] = if at < 3 { SIGNATURE } else { SBOM }.into();
                        one
                    })
                    .collect();
                Reply::ok(OCI_INDEX, index_of(&many)).header("OCI-Filters-Applied", "artifactType")
            })
        };
        let server = Server::start(Behaviour { script: Some(Arc::new(lie)), ..behaviour });
        for mark in 0..60 {
            let kind = if mark < 3 { SIGNATURE } else { SBOM };
            server.refer("app", &subject(), Some(kind), &mark.to_string());
        }
        let router = router();
        let some = list(&router, &server.host(), Some(SIGNATURE)).await.unwrap();
        assert_eq!(marks(&some), ["0", "1", "2"], "{lying}");
        assert_eq!(server.requests()[1].query, "artifactType=application%2Fvnd.example.signature");
        assert!(matches!(list(&router, &server.host(), Some(SBOM)).await, Err(E::TooMany { .. })));
        assert!(matches!(list(&router, &server.host(), None).await, Err(E::TooMany { .. })));
    }
}

// ---- who is asked, and how often

#[tokio::test]
async fn one_list_is_asked_for_once() {
    let server = lister(|_, _| None);
    let router = Arc::new(router());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (router, host) = (Arc::clone(&router), server.host());
            tokio::spawn(async move { list(&router, &host, None).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(marks(&task.await.unwrap()), ["1"]);
    }
    assert_eq!(server.lines(), [format!("GET {}", api())]);
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_and_a_login_holds_for_pages() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login::Basic { user: "user".into(), password: "word".into() };
    let server = Server::start(Behaviour {
        referrers: Listing::Pages(1),
        login,
        ..Behaviour::lying(|request, _| (request.before == 1).then(|| Reply::status(503)))
    });
    server.refer("app", &subject(), None, "1");
    server.refer("app", &subject(), None, "2");
    let sources = logged_in(folder.path(), &server.host(), "user", "word");
    let found = list(&router_with(settings(vec![]), sources, FAST), &server.host(), None).await.unwrap();
    assert_eq!(marks(&found), ["1", "2"]);
}

#[tokio::test]
async fn a_mirror_never_speaks_for_the_registry() {
    use Says::{Html, None, One, Status};
    // mirror, registry, only mirrors, what it comes to
    let rows = [
        (One, One, false, "1"),
        (One, None, false, "1"),
        (None, One, false, "1"),
        (None, None, false, "0"),
        (Status(404), One, false, "1"),
        (Status(403), One, false, "1"),
        (Status(500), None, false, "0"),
        (One, Status(403), false, "forbidden"),
        (None, Status(403), false, "forbidden"),
        (None, Status(429), false, "limited"),
        (Html, One, false, "malformed"),
        (One, One, true, "1"),
        (None, One, true, "0"),
        (Status(403), One, true, "forbidden"),
    ];
    for (by_mirror, by_registry, only_mirrors, expected) in rows {
        let start = |says: Says| {
            let api = api();
            Server::start(Behaviour::lying(move |request, truth| {
                Some(if request.path == api { says.reply() } else { truth.clone() })
            }))
        };
        let (mirror, registry) = (start(by_mirror), start(by_registry));
        let entry = RawEntry { mirrors: vec![mirror.host().into()], only_mirrors, ..entry(&registry.host()) };
        let router = router_with(settings(vec![entry]), Sources::default(), FAST);
        let answer = list(&router, &registry.host(), Option::None).await;
        let found = answer.map_or_else(|error| name_of(&error).to_owned(), |list| list.found.len().to_string());
        assert_eq!(found, expected, "{by_mirror:?}, {by_registry:?}, {only_mirrors}");
        assert_eq!(registry.requests().is_empty(), only_mirrors);
    }
}

#[tokio::test]
async fn one_mirror_of_several_that_fails_leaves_the_list_unknown() {
    let start = |status: Option<u16>| lister(move |_, _| status.map(Reply::status));
    let mirrors = [start(None), start(Some(403))];
    let entry = RawEntry {
        mirrors: mirrors.iter().map(|mirror| mirror.host().into()).collect(),
        only_mirrors: true,
        ..entry("registry.example")
    };
    let router = router_with(settings(vec![entry]), Sources::default(), FAST);
    assert!(matches!(list(&router, "registry.example", None).await, Err(E::Forbidden { .. })));
}

#[tokio::test]
async fn places_together_are_held_to_the_limit() {
    let start = |from: usize| {
        let server = Server::start(Behaviour { referrers: Listing::Pages(100), ..Behaviour::default() });
        for mark in from..from + 30 {
            server.refer("app", &subject(), None, &mark.to_string());
        }
        server
    };
    let (mirror, registry) = (start(0), start(30));
    let entry = RawEntry { mirrors: vec![mirror.host().into()], ..entry(&registry.host()) };
    let router = router_with(settings(vec![entry]), Sources::default(), FAST);
    assert!(matches!(list(&router, &registry.host(), None).await, Err(E::TooMany { .. })));
}

#[tokio::test]
async fn offline_nobody_is_asked() {
    let server = lister(|_, _| None);
    let router = router_with(Settings::new(vec![], true).unwrap(), Sources::default(), FAST);
    assert!(matches!(list(&router, &server.host(), None).await, Err(E::Offline { .. })));
    assert!(server.requests().is_empty());
}

// ---- a layout on disk

/// A layout with the image `docker.io/acme/app:1`, to which `more` adds.
struct Shelf {
    folder: tempfile::TempDir,
    layout: layout::Layout,
    image: layout::Written,
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut layout = layout::Layout::new(folder.path());
        let image = layout.add("docker.io/acme/app:1");
        Self { folder, layout, image }
    }

    fn artifact(&self, subject: &layout::Written, kind: Option<&str>, mark: &str) -> layout::Written {
        let config = self.layout.blob(b"{}");
        let mut body = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "artifactType": kind,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.as_str(), "size": 2},
            "layers": [], "subject": subject.descriptor, "annotations": {"mark": mark}});
        if kind.is_none() {
            body.as_object_mut().unwrap().remove("artifactType");
        }
        self.layout.manifest(OCI_IMAGE, &body)
    }

    async fn list(&self, repository: &str, subject: &str, kind: Option<&str>) -> Result<Referrers, E> {
        let router = self.router();
        let reference = Reference::parse(&format!("{repository}@{subject}")).unwrap();
        router.referrers(reference.repository(), reference.digest().unwrap(), kind).await
    }

    fn router(&self) -> Router {
        self.layout.finish();
        let raw = RawEntry { layout: Some(self.folder.path().into()), ..entry("*") };
        router_with(Settings::new(vec![raw], true).unwrap(), Sources::default(), FAST)
    }
}

#[tokio::test]
async fn a_layout_lists_what_names_the_subject() {
    let mut shelf = Shelf::new();
    let signature = shelf.artifact(&shelf.image, Some(SIGNATURE), "signature");
    let sbom = shelf.artifact(&shelf.image, None, "sbom");
    let of_sbom = shelf.artifact(&sbom, Some(SIGNATURE), "signature of the sbom");
    for written in [&of_sbom, &sbom, &signature] {
        shelf.layout.nameless(written);
    }
    let image = shelf.image.digest();
    let all = shelf.list("acme/app", &image, None).await.unwrap();
    assert_eq!((marks(&all), all.from), (vec!["sbom", "signature"], ReferrersFrom::Layout));
    assert_eq!(all.found[0].artifact_type.as_deref(), Some("application/vnd.oci.empty.v1+json"));
    assert_eq!(marks(&shelf.list("acme/app", &image, Some(SIGNATURE)).await.unwrap()), ["signature"]);
    let of = shelf.list("acme/app", &sbom.digest(), None).await.unwrap();
    assert_eq!(marks(&of), ["signature of the sbom"]);
    // and their content is there, for the repository that they refer to alone
    let router = shelf.router();
    let there = |name: String| {
        let router = &router;
        async move { ask(router, &name, plimsoll::registry::Want::Content).await }
    };
    assert!(there(format!("acme/app@{}", of_sbom.digest())).await.is_ok());
    assert!(matches!(there(format!("acme/other@{}", of_sbom.digest())).await, Err(E::NotFound { .. })));
}

#[tokio::test]
async fn a_layout_without_any_says_so_and_knows_only_its_own() {
    let mut shelf = Shelf::new();
    let other = shelf.layout.add("docker.io/acme/other:1");
    // a referrer that another repository names is that repository's
    let signature = shelf.artifact(&shelf.image, Some(SIGNATURE), "1");
    shelf.layout.name("docker.io/acme/other:signature", &signature);
    let image = shelf.image.digest();
    assert_eq!(shelf.list("acme/app", &image, None).await.unwrap().found, []);
    assert!(matches!(shelf.list("acme/app", &other.digest(), None).await, Err(E::NotFound { .. })));
    assert!(matches!(shelf.list("acme/none", &image, None).await, Err(E::NotFound { .. })));
}

#[tokio::test]
async fn a_layout_knows_the_fallback_tag_too() {
    let mut shelf = Shelf::new();
    let signature = shelf.artifact(&shelf.image, Some(SIGNATURE), "by both");
    let digest = Digest::sha256(b"elsewhere");
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [signature.descriptor, descriptor(&digest, "by the tag")]});
    let index = shelf.layout.manifest(OCI_INDEX, &index);
    let image = Digest::parse(&shelf.image.digest()).unwrap();
    shelf.layout.name(&format!("docker.io/acme/app:sha256-{}", image.hex()), &index);
    let all = shelf.list("acme/app", image.as_str(), None).await.unwrap();
    assert_eq!(marks(&all), ["by both", "by the tag"]);
}

#[tokio::test]
async fn what_is_broken_in_a_layout_is_an_error_never_none() {
    // the fallback tag is no index
    let mut shelf = Shelf::new();
    let image = Digest::parse(&shelf.image.digest()).unwrap();
    let wrong = shelf.layout.image(("linux", "arm64"), 1, "x");
    shelf.layout.name(&format!("docker.io/acme/app:sha256-{}", image.hex()), &wrong);
    assert!(matches!(shelf.list("acme/app", image.as_str(), None).await, Err(E::Malformed { .. })));

    // a manifest without a name that can't be read may have been one
    let mut shelf = Shelf::new();
    let signature = shelf.artifact(&shelf.image, Some(SIGNATURE), "1");
    shelf.layout.nameless(&signature);
    let digest = Digest::parse(&signature.digest()).unwrap();
    let path = shelf.folder.path().join("blobs/sha256").join(digest.hex());
    for bytes in [Some(&b"{}"[..]), None] {
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = shelf.list("acme/app", image.as_str(), None).await.unwrap_err();
        assert!(matches!(error, E::WrongBytes { .. } | E::Local { .. }), "{error}");
    }
    // the image itself does not suffer from it
    assert!(ask(&shelf.router(), "acme/app:1", plimsoll::registry::Want::Content).await.is_ok());
}

#[tokio::test]
async fn rule_19_a_layout_is_held_to_the_limit() {
    let mut shelf = Shelf::new();
    for mark in 0..=limits::REFERRERS {
        let written = shelf.artifact(&shelf.image, Some(SIGNATURE), &mark.to_string());
        shelf.layout.nameless(&written);
    }
    let error = shelf.list("acme/app", &shelf.image.digest(), None).await.unwrap_err();
    assert!(matches!(error, E::TooMany { limit: limits::REFERRERS, .. }), "{error}");
}
