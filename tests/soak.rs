//! Seeded random faults over 1,000 references: whatever a registry does, a verdict is the right one or `undecided`.
//!
//! `PLIMSOLL_SOAK_SECONDS` is how long it goes on (a few seconds by default), `PLIMSOLL_SOAK_SEED` the seed of the
//! first run, each later run has the next one. A run that fails names its seed.

#![allow(clippy::format_push_string, reason = "a file is built line by line")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/chaos.rs"]
mod chaos;
#[path = "support/registry.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use asking::{entry, settings};
use chaos::Chaos;
use plimsoll::digest::Digest;
use plimsoll::finding::{Level, Status};
use plimsoll::gate::{self, Judge, Mode, Request, Scanned};
use plimsoll::outcome::{Outcome, Verdict};
use plimsoll::policy::{self, Policy};
use plimsoll::registry::cache::Cache;
use plimsoll::registry::credentials::{Credentials, Sources};
use plimsoll::registry::http::{Deadlines, Proxies};
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::RawEntry;
use plimsoll::source::{Input, table};
use serde_json::json;
use support::{Behaviour, Login, OCI_IMAGE, OCI_INDEX, Server};

const REFERENCES: usize = 1_000;
const SEED: u64 = 20_261_121;
const NOW: &str = "2026-11-20T00:00:00Z";
/// What nobody waits for; a pass takes seconds, or minutes where it is struck hard on a busy machine.
const HANGS: Duration = Duration::from_secs(900);
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(2),
    request: Duration::from_millis(600),
    layer: Duration::from_secs(20),
    attempts: 3,
    backoff: Duration::from_millis(2),
    retry_after: Duration::from_millis(1_100),
};

/// What is true of one reference: its digest, and the rule that denies it.
struct Truth {
    digest: Option<Digest>,
    denied_by: Option<&'static str>,
}

/// The content of a run.
struct World {
    text: String,
    policy: String,
    truths: HashMap<String, Truth>,
    /// Small images whose tag names a large one after a while: reference, repository, tag.
    moving: Vec<(String, String, usize)>,
}

impl World {
    /// Pushes what the references name. The second server mirrors a part of what the first one has.
    fn new(servers: &[Server; 2]) -> Self {
        let [first, second] = servers;
        let host = first.host();
        let (mut truths, mut moving) = (HashMap::new(), Vec::new());
        let mut text = String::from("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n");
        for at in 0..REFERENCES {
            let (repository, tag) = (at / 11 % 9, at);
            let kind = at % 11;
            let name = |folder: &str| format!("{folder}{repository}");
            let (name, digest, denied_by) = match kind {
                0 => {
                    let name = name("head/plain");
                    let digest = image(first, &name, &tag.to_string(), at, 10, "amd64");
                    (format!("{host}/{name}:{tag}"), Some(digest), None)
                }
                1 => (format!("{host}/{}:{tag}", name("head/plain")), None, Some("exists")),
                2 => {
                    let name = name("head/pinned");
                    let digest = image(first, &name, &tag.to_string(), at, 10, "amd64");
                    (format!("{host}/{name}:{tag}@{digest}"), Some(digest), None)
                }
                3 => {
                    let name = name("head/pinned");
                    let old = image(first, &name, &tag.to_string(), at, 10, "amd64");
                    image(first, &name, &tag.to_string(), at + REFERENCES, 10, "amd64");
                    (format!("{host}/{name}:{tag}@{old}"), Some(old), Some("tag-digest-match"))
                }
                4 => {
                    let name = name("body/small");
                    let digest = image(first, &name, &tag.to_string(), at, 10, "amd64");
                    let text = format!("{host}/{name}:{tag}");
                    if at % 3 == 0 {
                        moving.push((text.clone(), name, tag));
                    }
                    (text, Some(digest), None)
                }
                5 => {
                    let name = name("body/large");
                    let digest = image(first, &name, &tag.to_string(), at, 5_000, "amd64");
                    (format!("{host}/{name}:{tag}"), Some(digest), Some("image-size"))
                }
                6 => {
                    let name = name("body/other");
                    let digest = image(first, &name, &tag.to_string(), at, 10, "s390x");
                    (format!("{host}/{name}:{tag}"), Some(digest), Some("platforms"))
                }
                7 | 8 => {
                    let name = name("body/many");
                    let size = if kind == 7 { 10 } else { 5_000 };
                    let digest = index(first, &name, &tag.to_string(), at, size);
                    (format!("{host}/{name}:{tag}"), Some(digest), (kind == 8).then_some("image-size"))
                }
                9 => (format!("{host}/{}:{tag}", name("evil/app")), None, Some("trusted-registry")),
                _ if at % 5 == 0 => (format!("mirrored.test/{}:{tag}", name("app")), None, Some("exists")),
                _ => {
                    let name = name("app");
                    let digest = image(second, &format!("hub/{name}"), &tag.to_string(), at, 10, "amd64");
                    if at % 2 == 0 {
                        image(first, &format!("hub/{name}"), &tag.to_string(), at, 10, "amd64");
                    }
                    (format!("mirrored.test/{name}:{tag}"), Some(digest), None)
                }
            };
            text += &format!("    - {{name: c{at}, image: \"{name}\"}}\n");
            truths.insert(name, Truth { digest, denied_by });
        }
        let trusted = format!("trusted-registry: {{allow: ['{host}/head/*', '{host}/body/*', 'mirrored.test/*']}}");
        let policy = format!(
            "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n  statements:\n    \
             - {{name: all, match: ['**'], rules: {{{trusted}}}}}\n    \
             - {{name: pinned, match: ['{host}/head/*'], rules: {{tag-digest-match: {{}}}}}}\n    \
             - {{name: read, match: ['{host}/body/*'], rules: {{image-size: {{max: 1000}}, platforms: {{require: [linux/amd64]}}}}}}\n"
        );
        Self { text, policy, truths, moving }
    }

    /// Moves the tags that move.
    fn go_on(&mut self, server: &Server) {
        for (text, name, tag) in &self.moving {
            let digest = image(server, name, &tag.to_string(), tag + REFERENCES, 5_000, "amd64");
            self.truths.insert(text.clone(), Truth { digest: Some(digest), denied_by: Some("image-size") });
        }
    }
}

/// Pushes an image of one layer that claims `size` bytes; `salt` makes it another one.
fn image(server: &Server, name: &str, tag: &str, salt: usize, size: usize, architecture: &str) -> Digest {
    let bytes = manifest(server, name, salt, size, architecture);
    server.push(name, tag, bytes, OCI_IMAGE)
}

fn manifest(server: &Server, name: &str, salt: usize, size: usize, architecture: &str) -> String {
    let config = json!({"os": "linux", "architecture": architecture, "salt": salt}).to_string();
    let length = config.len();
    let config = server.push_blob(name, config);
    let layer = Digest::sha256(format!("{salt} {size}").as_bytes());
    json!({"schemaVersion": 2, "mediaType": OCI_IMAGE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": length},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": size}]})
    .to_string()
}

/// Pushes an index of two images, the second of which claims `size` bytes.
fn index(server: &Server, name: &str, tag: &str, salt: usize, size: usize) -> Digest {
    let rows = [("amd64", 10), ("arm64", size)].map(|(architecture, size)| {
        let bytes = manifest(server, name, salt, size, architecture);
        let length = bytes.len();
        let digest = server.push_digest(name, bytes, OCI_IMAGE);
        json!({"mediaType": OCI_IMAGE, "digest": digest, "size": length,
            "platform": {"os": "linux", "architecture": architecture}})
    });
    let bytes = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).to_string();
    server.push(name, tag, bytes, OCI_INDEX)
}

/// What came of one run.
struct Run {
    outcomes: Vec<Outcome>,
    requests: usize,
    faults: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

/// One run with faults in about `per_mille` of a thousand requests; every other one has a cache, and is then done a
/// second time, after some tags have moved.
fn run(seed: u64, per_mille: u64) -> Run {
    let chaos = Arc::new(Chaos::new(seed, per_mille));
    let login = |which: u64| match which {
        0 => Login::Open,
        1 => Login::Bearer { user: None, expires_in: 300 },
        _ => Login::Bearer { user: None, expires_in: 1 },
    };
    let servers = [seed % 3, seed / 3 % 3].map(|which| {
        let chaos = Arc::clone(&chaos);
        let script = move |request: &support::Request, truth: &support::Reply| chaos.strike(request, truth);
        Server::start(Behaviour { login: login(which), ..Behaviour::lying(script) })
    });
    let mut world = World::new(&servers);
    let now = NOW.parse().expect("a time");
    let policy = policy::load(&world.policy, "plimsoll.yaml", now, &["kubernetes"]);
    let policy = policy.unwrap_or_else(|error| panic!("{}\n{}", error.message, world.policy)).policy;
    let folder = tempfile::tempdir().expect("a folder");
    let passes = if seed.is_multiple_of(2) { 1 } else { 2 };
    let (mut outcomes, mut wrong) = (Vec::new(), Vec::new());
    for pass in 0..passes {
        if pass > 0 {
            world.go_on(&servers[0]);
        }
        let cache = (passes > 1).then(|| Cache::new(folder.path(), 1 << 30, None));
        let mode = if seed % 4 == 3 { Mode::Pin { update: false } } else { Mode::Check };
        let outcome =
            judged(&world, &policy, &servers, cache, mode).unwrap_or_else(|| panic!("a run hangs; {}", again(seed)));
        wrong.extend(mistakes(&outcome, &world));
        outcomes.push(outcome);
    }
    let requests = servers.iter().map(|server| server.requests().len()).sum();
    Run { outcomes, requests, faults: chaos.counts(), wrong }
}

/// What the gate says of the whole file; `None` if it never ends.
fn judged(world: &World, policy: &Policy, servers: &[Server; 2], cache: Option<Cache>, mode: Mode) -> Option<Outcome> {
    let format = table::by_id("kubernetes").expect("the format");
    let found = format.find(&Input::alone("pod.yaml", world.text.as_bytes()));
    let request = Request {
        files: vec![Scanned {
            path: "pod.yaml".to_owned(),
            policy_path: "pod.yaml".to_owned(),
            bytes: world.text.clone().into_bytes(),
            found,
        }],
        unread: Vec::new(),
        files_read: 1,
        files_ignored: 0,
        judge: Judge::Policy(policy),
        mode,
        platforms: &[],
        resolve: true,
        whole: true,
        jobs: 32,
        now: NOW.parse().expect("a time"),
    };
    let mirrors = servers.iter().map(|server| format!("{}/hub", server.host()).as_str().into()).collect();
    let settings = settings(vec![RawEntry { mirrors, only_mirrors: true, ..entry("mirrored.test") }]);
    let credentials = Credentials::new(Sources::default());
    let router = Router::new(settings, credentials, DEADLINES, Proxies::default(), cache);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(HANGS, gate::run(request, &router, &|_, _| {})).await }).ok()
}

/// All that is neither right nor `undecided`.
fn mistakes(outcome: &Outcome, world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    if outcome.references.len() != REFERENCES {
        wrong.push(format!("{} references were judged", outcome.references.len()));
    }
    for (at, judged) in outcome.references.iter().enumerate() {
        let text = &judged.occurrence.text;
        let truth = &world.truths[text];
        let violated: BTreeSet<&str> = outcome
            .findings
            .iter()
            .filter(|finding| finding.reference == Some(at) && finding.level == Level::Deny)
            .filter(|finding| finding.status == Status::Violated)
            .map(|finding| finding.rule)
            .collect();
        let right = match judged.verdict {
            Verdict::Allow => truth.denied_by.is_none(),
            Verdict::Deny => truth.denied_by.is_some(),
            Verdict::Undecided => true,
            Verdict::Skipped => false,
        };
        let rules_right = violated.iter().all(|rule| truth.denied_by == Some(rule));
        let digest_right = judged.digest.is_none() || judged.digest == truth.digest;
        let named = judged.verdict != Verdict::Allow || judged.digest.is_some();
        if !(right && rules_right && digest_right && named) {
            let messages: Vec<&String> =
                outcome.findings.iter().filter(|f| f.reference == Some(at)).map(|finding| &finding.message).collect();
            let (verdict, digest) = (judged.verdict, &judged.digest);
            wrong.push(format!(
                "{text}: {verdict:?} {violated:?} as {digest:?}, in truth {:?} as {:?}; {messages:?}",
                truth.denied_by, truth.digest
            ));
        }
    }
    for (_, edit) in &outcome.edits {
        let truth = world.truths.get(&edit.old);
        let pinned = truth.and_then(|truth| truth.digest.as_ref()).is_some_and(|digest| {
            edit.new == format!("{}@{digest}", edit.old) && truth.is_some_and(|truth| truth.denied_by.is_none())
        });
        if !pinned {
            wrong.push(format!("an edit of {} to {}", edit.old, edit.new));
        }
    }
    wrong
}

fn again(seed: u64) -> String {
    format!("PLIMSOLL_SOAK_SEED={seed} PLIMSOLL_SOAK_SECONDS=0 cargo test --test soak -- --nocapture repeats it")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

#[test]
fn without_faults_every_verdict_is_right() {
    for seed in [0, 4, 7] {
        let run = run(seed, 0);
        assert_eq!(run.wrong, Vec::<String>::new());
        for counts in run.outcomes.iter().map(Outcome::counts) {
            assert_eq!((counts.undecided, counts.skipped), (0, 0), "{counts:?}");
            assert!(counts.allow > 400 && counts.deny > 400, "{counts:?}");
        }
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "the figures of a long run")]
fn with_faults_a_verdict_is_right_or_undecided() {
    let (start, length) = (Instant::now(), Duration::from_secs(number("PLIMSOLL_SOAK_SECONDS").unwrap_or(3)));
    let first = number("PLIMSOLL_SOAK_SEED").unwrap_or(SEED);
    let (mut runs, mut requests, mut verdicts) = (0, 0, BTreeMap::<&str, usize>::new());
    let mut faults = BTreeMap::<&'static str, usize>::new();
    for seed in first.. {
        // Some runs are struck hard, most so that much can still be decided.
        let run = run(seed, [30, 120, 300, 700][usize::try_from(seed % 4).expect("below four")]);
        assert!(run.wrong.is_empty(), "{}\n{}", run.wrong.join("\n"), again(seed));
        runs += 1;
        requests += run.requests;
        for judged in run.outcomes.iter().flat_map(|outcome| &outcome.references) {
            *verdicts.entry(judged.verdict.word()).or_default() += 1;
        }
        for (fault, count) in run.faults {
            *faults.entry(fault).or_default() += count;
        }
        for counts in run.outcomes.iter().map(Outcome::counts) {
            eprintln!("seed {seed}: {} allow, {} deny, {} undecided", counts.allow, counts.deny, counts.undecided);
        }
        eprintln!("seed {seed}: {} requests, {:.0} s so far", run.requests, start.elapsed().as_secs_f64());
        if start.elapsed() >= length {
            break;
        }
    }
    eprintln!("{runs} runs over {REFERENCES} references, {requests} requests, verdicts {verdicts:?}");
    eprintln!("{} faults: {faults:?}", faults.values().sum::<usize>());
    assert!(verdicts["allow"] > 0 && verdicts["deny"] > 0, "a soak in which nothing is decided shows nothing");
}
