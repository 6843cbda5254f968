//! What a run asks for to know bases, counted at the registry: the number is a promise, so it is an equality. And bases
//! that can't be read, lie, swell or move, and images that name places that nobody may ask.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/stacked.rs"]
mod stacked;
#[path = "support/registry.rs"]
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use plimsoll::digest::{Algorithm, Digest};
use plimsoll::gate::{self, Judge, Mode, Request as Run, Scanned};
use plimsoll::limits;
use plimsoll::policy;
use plimsoll::registry::credentials::Sources;
use plimsoll::registry::http::Deadlines;
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::RawEntry;
use plimsoll::source::{Input, table};
use serde_json::{Value, json};

use asking::*;
use stacked::*;
use support as registry;
use support::*;

const NOW: &str = "2026-11-20T00:00:00Z";

/// The verdict of each image, in order, with its messages.
type Said = Vec<(&'static str, String)>;

/// One run over `images` under `base-image` with these settings.
async fn run(router: &Router, settings: &str, images: &[String]) -> Said {
    let now = NOW.parse().unwrap();
    let text = format!(
        "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n  statements: [{{name: all, match: ['**'], rules: {{base-image: {settings}}}}}]\n"
    );
    let loaded = policy::load(&text, "plimsoll.yaml", now, &["kubernetes"]);
    let policy = loaded.unwrap_or_else(|error| panic!("{}\n{text}", error.message)).policy;
    let pods = images.iter().fold(String::new(), |mut pods, image| {
        write!(pods, "---\napiVersion: v1\nkind: Pod\nspec: {{containers: [{{name: c, image: \"{image}\"}}]}}\n")
            .unwrap();
        pods
    });
    let found = table::by_id("kubernetes").unwrap().find(&Input::alone("a.yaml", pods.as_bytes()));
    let file = Scanned { path: "a.yaml".into(), policy_path: "a.yaml".into(), bytes: pods.into_bytes(), found };
    let run = Run {
        files: vec![file],
        unread: Vec::new(),
        files_read: 1,
        files_ignored: 0,
        judge: Judge::Policy(&policy),
        mode: Mode::Check,
        platforms: &[],
        resolve: true,
        whole: true,
        jobs: 32,
        now,
    };
    let outcome = gate::run(run, router, &|_, _| {}).await;
    assert_eq!(outcome.references.len(), images.len());
    let said = outcome.references.iter().enumerate().map(|(at, judged)| {
        let messages: Vec<&str> = outcome.findings_of(at).map(|finding| finding.message.as_str()).collect();
        (judged.verdict.word(), messages.join("\n"))
    });
    said.collect()
}

async fn one(router: &Router, settings: &str, image: &str) -> (&'static str, String) {
    run(router, settings, &[image.to_owned()]).await.remove(0)
}

fn all_allowed(said: &Said) {
    let not: Vec<_> = said.iter().filter(|(verdict, _)| *verdict != "allow").collect();
    assert!(not.is_empty(), "{not:#?}");
}

/// How often a request was made, by its line; none is made twice but for those of `paths`.
fn lines(server: &Server) -> Vec<String> {
    let lines = server.lines();
    let distinct: BTreeSet<&String> = lines.iter().collect();
    assert_eq!(distinct.len(), lines.len(), "something was asked for twice: {lines:#?}");
    lines
}

fn count(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

/// `count` images `rN:1`, each on the base `N % bases` with a layer of its own; `claim` gives what each says.
fn images(
    server: &Server,
    count: usize,
    bases: usize,
    claim: impl Fn(usize) -> Option<(String, Option<String>)>,
) -> Vec<String> {
    let image = |number: usize| {
        let layers = [layer(&format!("base {}", number % bases)), layer(&format!("app {number}"))];
        let image = match claim(number % bases) {
            Some((name, digest)) => stack(&layers).claiming(&name, digest.as_deref()),
            None => stack(&layers),
        };
        image.tag(server, &format!("r{number}"), "1");
        format!("{}/r{number}:1", server.host())
    };
    (0..count).map(image).collect()
}

/// Bases `bN:1`; their digests.
fn bases(server: &Server, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| stack(&[layer(&format!("base {number}"))]).tag(server, &format!("b{number}"), "1"))
        .collect()
}

/// `allow: [HOST/b0:1, …]`
fn allow(server: &Server, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|number| format!("'{}/b{number}:1'", server.host())).collect();
    format!("allow: [{}]", names.join(", "))
}

// ---- how many requests a run costs

#[tokio::test]
async fn fifty_images_on_three_bases_ask_for_each_base_once() {
    let delays = [Duration::ZERO, Duration::from_millis(30)];
    for delay in delays {
        let server = Server::start(Behaviour { delay, ..Behaviour::default() });
        bases(&server, 3);
        let images = images(&server, 50, 3, |_| None);
        all_allowed(&run(&router(), &format!("{{{}, up-to-date: true}}", allow(&server, 3)), &images).await);
        let lines = lines(&server);
        // A manifest and a config of each image and of each base, and no layer.
        assert_eq!(lines.len(), 2 * 50 + 2 * 3, "{lines:#?}");
        for number in 0..3 {
            assert_eq!(count(&lines, &format!("GET /v2/b{number}/manifests/1")), 1);
            assert_eq!(count(&lines, &format!("/v2/b{number}/blobs/")), 1);
        }
    }
}

#[tokio::test]
async fn bases_that_are_claimed_with_a_digest_cost_one_request_more_for_the_tag() {
    let server = Server::start(Behaviour { delay: Duration::from_millis(30), ..Behaviour::default() });
    let (digests, host) = (bases(&server, 3), server.host());
    let claim = |number: usize| Some((format!("{host}/b{number}:1"), Some(digests[number].clone())));
    let images = images(&server, 50, 3, claim);
    let settings = format!("{{allow: ['{host}/b0', '{host}/b1', '{host}/b2'], up-to-date: true}}");
    all_allowed(&run(&router(), &settings, &images).await);
    let lines = lines(&server);
    // A digest, a tag and a config of each base.
    assert_eq!(lines.len(), 2 * 50 + 3 * 3, "{lines:#?}");
    for (number, digest) in digests.iter().enumerate() {
        assert_eq!(count(&lines, &format!("/v2/b{number}/manifests/1")), 1);
        assert_eq!(count(&lines, &format!("/v2/b{number}/manifests/{digest}")), 1);
    }
}

#[tokio::test]
async fn candidates_are_asked_for_once_whoever_is_not_on_them() {
    let server = Server::start(Behaviour::default());
    bases(&server, 7);
    let images = images(&server, 10, 2, |_| None);
    all_allowed(&run(&router(), &format!("{{{}}}", allow(&server, 7)), &images).await);
    assert_eq!(lines(&server).len(), 2 * 10 + 2 * 7);
}

#[tokio::test]
async fn a_tag_is_resolved_once_though_it_is_an_image_of_the_run_and_a_base_of_others() {
    for moves in [false, true] {
        let other = Server::start(Behaviour::default());
        let moved = stack(&[layer("base that has moved")]).tag(&other, "b0", "1");
        let bytes = other.content(&format!("/v2/b0/manifests/{moved}")).unwrap();
        let server = Server::start(Behaviour::lying(move |request, _| {
            (moves && request.path == "/v2/b0/manifests/1" && request.before > 0)
                .then(|| Reply::ok(OCI_IMAGE, bytes.clone()))
        }));
        let digests = bases(&server, 1);
        let host = server.host();
        let mut names = images(&server, 5, 1, |_| None);
        names.push(format!("{host}/b0:1"));
        names.push(format!("{host}/b0:1@{}", digests[0]));
        let settings = format!("{{{}, up-to-date: true}}", allow(&server, 1));
        all_allowed(&run(&router(), &settings, &names).await);
        let lines = server.lines();
        assert_eq!(count(&lines, "/v2/b0/manifests/1"), 1, "{lines:#?}");
        assert_eq!(count(&lines, "/v2/b0/blobs/"), 1, "{lines:#?}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_in_the_middle_of_a_run_is_what_it_was_at_first() {
    let other = Server::start(Behaviour::default());
    let moved = stack(&[layer("base that has moved")]).tag(&other, "b0", "1");
    let bytes = other.content(&format!("/v2/b0/manifests/{moved}")).unwrap();
    let server = Server::start(Behaviour::lying(move |request, _| {
        (request.path == "/v2/b0/manifests/1" && request.before > 0).then(|| Reply::ok(OCI_IMAGE, bytes.clone()))
    }));
    let (digests, host) = (bases(&server, 1), server.host());
    // Some claim the digest, some only the tag, some nothing.
    let mut names = Vec::new();
    for (at, digest) in [Some(digests[0].as_str()), None].into_iter().enumerate() {
        let image = stack(&[layer("base 0"), layer(&format!("{at}"))]).claiming(&format!("{host}/b0:1"), digest);
        image.tag(&server, &format!("c{at}"), "1");
        names.push(format!("{host}/c{at}:1"));
    }
    names.extend(images(&server, 20, 1, |_| None));
    all_allowed(&run(&router(), &format!("{{{}, up-to-date: true}}", allow(&server, 1)), &names).await);
    assert_eq!(count(&server.lines(), "/v2/b0/manifests/1"), 1);
}

/// A router for which these hosts are all served by that server.
fn leading(hosts: &[&str], to: &Server) -> Router {
    let entries = hosts.iter().map(|host| RawEntry {
        mirrors: vec![format!("http://{}", to.host()).as_str().into()],
        only_mirrors: true,
        ..entry(host)
    });
    router_with(settings(entries.collect()), Sources::default(), FAST)
}

#[tokio::test]
async fn no_place_is_asked_on_the_word_of_an_image() {
    let (server, evil) = (Server::start(Behaviour::default()), Server::start(Behaviour::default()));
    bases(&server, 1);
    stack(&[layer("base 0")]).tag(&evil, "x", "1");
    let host = server.host();
    let hosts = ["attacker.test", "169.254.169.254", "metadata.google.internal", "127.0.0.1.attacker.test"];
    let router = leading(&hosts, &evil);
    let own = evil.host();
    let mut claims: Vec<String> = hosts.iter().chain(&[own.as_str()]).map(|host| format!("{host}/x:1")).collect();
    // Also a name that begins as an allowed one does, and one at the same host that is not allowed.
    claims.push("127.0.0.1.attacker.test/b0:1".to_owned());
    claims.push(format!("{host}/secret:1"));
    let digest = Digest::sha256(b"x").to_string();
    let layers = [layer("another"), layer("app")];
    for settings in
        [format!("{{{}}}", allow(&server, 1)), format!("{{allow: ['{host}/b0', '!{own}/**'], up-to-date: true}}")]
    {
        for name in &claims {
            for digest in [None, Some(digest.as_str())] {
                let annotations = base_annotations(name, digest);
                let mut labelled = stack(&layers);
                labelled.labels = annotations.clone();
                labelled.tag(&server, "labelled", "1");
                stack(&layers).claiming(name, digest).tag(&server, "annotated", "1");
                let image = stack(&layers).push(&server, "indexed");
                let said = index(&server, "indexed", &[(image.clone(), "amd64")], &annotations);
                stacked::name(&server, "indexed", "1", &said);
                let mut row = image.clone();
                row["annotations"] = annotations;
                let entry = indexed(&server, "indexed", &[row], &json!({}));
                stacked::name(&server, "indexed", "entry", &entry);
                let proof = attestation(&server, "indexed", &image, &provenance(&image, std::slice::from_ref(name)));
                let built = indexed(&server, "indexed", &[image, proof], &json!({}));
                stacked::name(&server, "indexed", "built", &built);
                let names = ["labelled:1", "annotated:1", "indexed:1", "indexed:entry", "indexed:built"];
                let names = names.map(|name| format!("{host}/{name}"));
                for (verdict, said) in run(&router, &settings, &names).await {
                    assert_eq!(verdict, "deny", "{said}");
                    assert!(said.contains("which was not compared"), "{name}: {said}");
                }
            }
        }
    }
    assert_eq!((evil.lines(), evil.connections()), (Vec::<String>::new(), 0));
    assert_eq!(count(&server.lines(), "/v2/secret/"), 0);
}

#[tokio::test]
async fn without_allow_only_the_images_own_registry_and_docker_hub_are_asked() {
    let [server, evil, hub] = [(); 3].map(|()| Server::start(Behaviour::default()));
    let router = router_with(
        settings(vec![
            RawEntry {
                mirrors: vec![format!("http://{}", hub.host()).as_str().into()],
                only_mirrors: true,
                ..entry("docker.io")
            },
            RawEntry {
                mirrors: vec![format!("http://{}", evil.host()).as_str().into()],
                only_mirrors: true,
                ..entry("attacker.test")
            },
        ]),
        Sources::default(),
        FAST,
    );
    let host = server.host();
    for (server, repository) in [(&server, "b"), (&evil, "b"), (&hub, "library/b")] {
        stack(&[layer("base")]).tag(server, repository, "1");
    }
    for (name, verdict) in [
        (format!("{host}/b:1"), "allow"),
        ("b:1".to_owned(), "allow"),
        ("attacker.test/b:1".to_owned(), "deny"),
        (format!("{}/b:1", evil.host()), "deny"),
    ] {
        stack(&[layer("base"), layer("app")]).claiming(&name, None).tag(&server, "app", "1");
        let (found, said) = one(&router, "{max-layers: 5}", &format!("{host}/app:1")).await;
        assert_eq!(found, verdict, "{name}: {said}");
    }
    assert_eq!((evil.connections(), count(&hub.lines(), "/v2/library/b/manifests/1")), (0, 1));
}

#[tokio::test]
async fn of_many_sources_of_provenance_few_are_asked_for() {
    let server = Server::start(Behaviour::default());
    let host = server.host();
    let materials: Vec<String> = (0..30).map(|number| format!("{host}/m{number}:1")).collect();
    let image = stack(&[layer("base"), layer("app")]).push(&server, "app");
    let proof = attestation(&server, "app", &image, &provenance(&image, &materials));
    let index = indexed(&server, "app", &[image, proof], &json!({}));
    name(&server, "app", "1", &index);
    let (verdict, _) =
        one(&router(), &format!("{{allow: ['{host}/**', '!{host}/app']}}"), &format!("{host}/app:1")).await;
    assert_eq!(verdict, "deny");
    assert_eq!(count(&lines(&server), "/v2/m"), limits::BASE_CLAIMS);
}

// ---- bases that can't be read

/// A server whose repository `b0` is answered by `reply`, with `b1`, and images on either.
fn broken(reply: impl Fn(&Request, &Reply) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let server =
        Server::start(Behaviour::lying(
            move |request, truth| {
                if request.path.starts_with("/v2/b0/") { reply(request, truth) } else { None }
            },
        ));
    bases(&server, 2);
    stack(&[layer("base 0"), layer("app")]).tag(&server, "on0", "1");
    stack(&[layer("base 1"), layer("app")]).tag(&server, "on1", "1");
    server
}

/// A kind of answer, by its name.
type Fault = (&'static str, fn() -> Reply);

#[tokio::test]
async fn a_base_that_can_not_be_read_may_be_the_one_and_stands_in_nobody_elses_way() {
    let faults: [Fault; 10] = [
        ("html", || Reply::ok("text/html", "<html>log in to the wireless network</html>")),
        ("401", || Reply::status(401)),
        ("403", || Reply::status(403)),
        ("429", || Reply::status(429)),
        ("500", || Reply::status(500)),
        ("503", || Reply::status(503)),
        ("slow", || Reply::status(200).body(Body::Silence)),
        ("stalled", || Reply::status(200).body(Body::Stall)),
        ("reset", || Reply::status(200).body(Body::Reset)),
        ("redirected to a metadata service", || Reply::redirect("http://169.254.169.254/latest/meta-data")),
    ];
    for (what, reply) in faults {
        let server = broken(move |_, _| Some(reply()));
        let host = server.host();
        let router = router_with(settings(vec![]), Sources::default(), HASTY);
        let settings = format!("{{{}}}", allow(&server, 2));
        let names = ["on0", "on1"].map(|name| format!("{host}/{name}:1"));
        let said = run(&router, &settings, &names).await;
        assert_eq!(said[0].0, "undecided", "{what}: {}", said[0].1);
        assert!(
            said[0].1.contains(&format!("its base may be {host}/b0:1, which could not be compared")),
            "{}",
            said[0].1
        );
        assert_eq!(said[1], ("allow", String::new()), "{what}");
        // The same where the image names it.
        for digest in [None, Some(Digest::sha256(b"x").to_string())] {
            let claimed = stack(&[layer("base 0"), layer("app")]).claiming(&format!("{host}/b0:1"), digest.as_deref());
            claimed.tag(&server, "claims", "1");
            let (verdict, said) = one(&router, &format!("{{allow: ['{host}/b0']}}"), &format!("{host}/claims:1")).await;
            assert_eq!(verdict, "undecided", "{what}: {said}");
        }
    }
}

#[tokio::test]
async fn a_base_that_is_not_there_is_none() {
    let server = broken(|_, _| Some(Reply::status(404)));
    let host = server.host();
    let settings = format!("{{{}}}", allow(&server, 2));
    let (verdict, said) = one(&router(), &settings, &format!("{host}/on0:1")).await;
    assert_eq!(verdict, "deny", "{said}");
    stack(&[layer("base 0"), layer("app")]).claiming(&format!("{host}/b0:1"), None).tag(&server, "claims", "1");
    let (verdict, said) = one(&router(), &settings, &format!("{host}/claims:1")).await;
    assert_eq!(verdict, "deny", "{said}");
    assert!(said.contains("which can't be compared"), "{said}");
}

#[tokio::test]
async fn a_tag_that_is_gone_or_hidden_is_not_the_current_one() {
    for (status, verdict, part) in [(404, "deny", "is gone"), (500, "undecided", "is now is unknown")] {
        let server = broken(move |request, _| request.path.ends_with("/manifests/1").then(|| Reply::status(status)));
        let (digest, host) = (bases(&server, 1).remove(0), server.host());
        let image = stack(&[layer("base 0"), layer("app")]).claiming(&format!("{host}/b0:1"), Some(&digest));
        image.tag(&server, "app", "1");
        let settings = format!("{{allow: ['{host}/b0'], up-to-date: true}}");
        let (found, said) = one(&router(), &settings, &format!("{host}/app:1")).await;
        assert_eq!(found, verdict, "{said}");
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_base_whose_content_is_not_what_was_named_proves_nothing() {
    // The manifest, the config, and the child of an index, each in place of another.
    for part in ["/manifests/sha256", "/blobs/"] {
        let server = broken(move |request, _| {
            let lies = request.path.contains(part);
            lies.then(|| Reply::ok(OCI_IMAGE, r#"{"schemaVersion":2,"config":{},"layers":[]}"#))
        });
        let (digest, host) = (bases(&server, 1).remove(0), server.host());
        let child = stack(&[layer("base 0")]).push(&server, "b0");
        let index = index(&server, "b0", &[(child, "amd64")], &json!({}));
        name(&server, "b0", "index", &index);
        for named in [format!("{host}/b0@{digest}"), format!("{host}/b0:index")] {
            let image = stack(&[layer("base 0"), layer("app")]).claiming(&named, None);
            image.tag(&server, "app", "1");
            let (verdict, said) = one(&router(), &format!("{{allow: ['{host}/b0']}}"), &format!("{host}/app:1")).await;
            assert_eq!(verdict, "undecided", "{part} {named}: {said}");
            assert!(said.contains("could not be read"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_large_config_of_a_base_is_read_up_to_the_limit() {
    for (size, verdict) in [(limits::CONFIG_BYTES, "allow"), (limits::CONFIG_BYTES + 1, "undecided")] {
        let server = Server::start(Behaviour::default());
        let host = server.host();
        let base = stack(&[layer("base")]);
        let config = |filling: usize| {
            json!({"os": "linux", "architecture": "amd64", "filling": "x".repeat(filling),
                "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(b"base")]}})
            .to_string()
        };
        let config = config(size - config(0).len());
        assert_eq!(config.len(), size);
        let descriptor = base.push_with(&server, "b0", &config);
        name(&server, "b0", "1", &descriptor);
        stack(&[layer("base"), layer("app")]).tag(&server, "app", "1");
        let (found, said) = one(&router(), &format!("{{{}}}", allow(&server, 1)), &format!("{host}/app:1")).await;
        assert_eq!(found, verdict, "{said}");
    }
}

#[tokio::test]
async fn a_base_may_be_claimed_by_a_digest_of_another_algorithm() {
    let server = Server::start(Behaviour::default());
    let (digest, host) = (bases(&server, 1).remove(0), server.host());
    let bytes = server.content(&format!("/v2/b0/manifests/{digest}")).unwrap();
    let sha512 = Digest::hash(Algorithm::Sha512, &bytes);
    let settings = format!("{{allow: ['{host}/b0']}}");
    stack(&[layer("base 0"), layer("app")])
        .claiming(&format!("{host}/b0"), Some(sha512.as_str()))
        .tag(&server, "app", "1");
    for (stored, verdict) in [(bytes, "allow"), (b"{}".to_vec(), "undecided")] {
        server.put(format!("/v2/b0/manifests/{sha512}"), OCI_IMAGE, stored);
        let (found, said) = one(&router(), &settings, &format!("{host}/app:1")).await;
        assert_eq!(found, verdict, "{said}");
    }
}

#[tokio::test]
async fn names_that_are_none_are_said_so_that_they_can_be_read() {
    let server = Server::start(Behaviour::default());
    let host = server.host();
    let names = [
        "x".repeat(10_000),
        format!("{host}/{}", "a/".repeat(5_000)),
        "debian:12\u{1b}[2J\u{202e}\r\nplimsoll: allowed".to_owned(),
        "\u{0}".to_owned(),
        "::@".to_owned(),
    ];
    for settings in [
        format!("{{allow: ['**', '!{host}/app'], evidence: claimed}}"),
        "{deny: [docker.io/library/debian]}".to_owned(),
    ] {
        for name in &names {
            for digest in [None, Some("sha256:\u{1b}[2J"), Some("md5:1")] {
                stack(&[layer("base")]).claiming(name, digest).tag(&server, "app", "1");
                let (verdict, said) = one(&router(), &settings, &format!("{host}/app:1")).await;
                assert_eq!(verdict, "deny", "{said}");
                assert!(said.len() < 2_000 && !said.contains(['\u{1b}', '\u{202e}', '\r', '\u{0}']), "{said:?}");
            }
        }
    }
}

#[tokio::test]
async fn of_a_base_with_a_thousand_platforms_one_is_read() {
    for (children, verdict) in [(limits::INDEX_CHILDREN, "allow"), (limits::INDEX_CHILDREN + 1, "undecided")] {
        let server = Server::start(Behaviour::default());
        let host = server.host();
        let base = stack(&[layer("base")]).push(&server, "b0");
        let row = |number: usize| {
            let digest = Digest::sha256(&number.to_le_bytes());
            json!({"mediaType": OCI_IMAGE, "digest": digest, "size": 400,
                "platform": {"os": "linux", "architecture": format!("m{number}")}})
        };
        let mut rows: Vec<Value> = (1..children).map(row).collect();
        let mut last = base.clone();
        last["platform"] = json!({"os": "linux", "architecture": "amd64"});
        rows.push(last);
        let index = indexed(&server, "b0", &rows, &json!({}));
        name(&server, "b0", "1", &index);
        stack(&[layer("base"), layer("app")]).tag(&server, "app", "1");
        let (found, said) = one(&router(), &format!("{{{}}}", allow(&server, 1)), &format!("{host}/app:1")).await;
        assert_eq!(found, verdict, "{said}");
        assert!(count(&lines(&server), "/v2/b0/") <= 3);
    }
}

#[tokio::test]
async fn attestations_that_are_no_statements_claim_nothing() {
    let server = Server::start(Behaviour::default());
    bases(&server, 1);
    let host = server.host();
    let other = json!({"digest": Digest::sha256(b"another image")});
    let material = [format!("{host}/b0:1")];
    let statements = |image: &Value| {
        let text = provenance(image, &material);
        vec![
            String::new(),
            "{".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            "[".repeat(100_000),
            provenance(&other, &material),
            text.replace("https://slsa.dev/provenance/v1", "https://example.com/other"),
            text.replace("resolvedDependencies", "resolvedNothing"),
        ]
    };
    // On the base, so that a claim that is believed would be proved.
    let image = stack(&[layer("base 0"), layer("app")]).push(&server, "app");
    let settings = format!("{{allow: ['{host}/b0']}}");
    let check = |statement: String| {
        let (server, image) = (&server, &image);
        let proof = attestation(server, "app", image, &statement);
        let index = indexed(server, "app", &[image.clone(), proof], &json!({}));
        name(server, "app", "1", &index);
        let (settings, name) = (settings.clone(), format!("{host}/app:1"));
        async move { one(&router(), &settings, &name).await }
    };
    assert_eq!(check(provenance(&image, &material)).await.0, "allow", "the harness");
    for statement in statements(&image) {
        let shown: String = statement.chars().take(200).collect();
        let (verdict, said) = check(statement).await;
        assert_eq!(verdict, "deny", "{shown}: {said}");
    }
}

#[tokio::test]
async fn a_layer_that_can_not_be_unpacked_leaves_the_base_open() {
    let server = Server::start(Behaviour::lying(|request, truth| {
        let layer = packed("base 0");
        let own = format!("/v2/stalls/blobs/{}", Digest::sha256(&layer.stored));
        if request.path == own.replace("stalls", "gone") {
            return Some(Reply::status(404));
        }
        (request.path == own && truth.status == 200)
            .then(|| Reply::status(200).body(Body::Stuck(layer.stored[..5].to_vec(), layer.stored.len())))
    }));
    bases(&server, 1);
    let host = server.host();
    let image = |repository: &str, base: Layer| {
        stack(&[base, layer("app")]).tag(&server, repository, "1");
        format!("{host}/{repository}:1")
    };
    let large = Layer { size: limits::LAYER_BYTES + 1, ..packed("base 0") };
    let wrong = Layer { size: 7, ..packed("base 0") };
    let torn = Layer { stored: packed("base 0").stored[..12].to_vec(), size: 12, ..packed("base 0") };
    let odd = Layer { media_type: "application/vnd.example.layer", ..packed("base 0") };
    let names = [
        (image("honest", packed("base 0")), "allow"),
        (image("stalls", packed("base 0")), "undecided"),
        (image("gone", packed("base 0")), "undecided"),
        (image("large", large), "undecided"),
        (image("wrong", wrong), "undecided"),
        (image("torn", torn), "undecided"),
        (image("odd", odd), "deny"),
    ];
    let deadlines = Deadlines { layer: Duration::from_secs(1), ..HASTY };
    let router = router_with(settings(vec![]), Sources::default(), deadlines);
    for (name, verdict) in names {
        let (found, said) = one(&router, &format!("{{{}}}", allow(&server, 1)), &name).await;
        assert_eq!(found, verdict, "{name}: {said}");
    }
}

#[tokio::test]
async fn two_thousand_images_that_each_name_another_base_are_judged() {
    let server = Server::start(Behaviour::default());
    let host = server.host();
    let count = limits::BASES_REMEMBERED + 50;
    let name = |number: usize| {
        let (base, app) = (layer(&format!("base {number}")), layer(&format!("app {number}")));
        stack(std::slice::from_ref(&base)).tag(&server, &format!("b{number}"), "1");
        stack(&[base, app]).claiming(&format!("{host}/b{number}:1"), None).tag(&server, &format!("r{number}"), "1");
        format!("{host}/r{number}:1")
    };
    let names: Vec<String> = (0..count).map(name).collect();
    all_allowed(&run(&router(), &format!("{{allow: ['{host}/**', '!{host}/r*'], up-to-date: true}}"), &names).await);
}
