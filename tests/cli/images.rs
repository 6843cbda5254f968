//! `resolve` and `inspect`: every option, every exit code, and what a registry may put into their output.

use super::*;
use plimsoll::digest::Digest;
use registry::{Listing, OCI_IMAGE, OCI_INDEX, Reply, descriptor};

const IMAGE: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

/// The images of the quick start, by a config of the machine.
fn quickstart() -> Repository {
    let repository = Repository::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    copy(&fixtures.join("registry"), &repository.path("registry"));
    repository.write("registry.yaml", fs::read(fixtures.join("registry.yaml")).expect("read"));
    repository
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A folder whose `machine.conf` sends every image to the server.
pub(super) fn at(server: &Server) -> Repository {
    let repository = Repository::new();
    let config = format!(
        "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '*', mirrors: ['http://{}'], only-mirrors: true}}]}}\n",
        server.host()
    );
    repository.write("machine.conf", config);
    repository
}

fn run(repository: &Repository, command: &str, more: &[&str]) -> Answer {
    repository.run(&[&[command, "--config", "machine.conf"], more].concat())
}

/// Pushes an image of one platform with this config and layers of these sizes; returns its descriptor.
pub(super) fn push(server: &Server, config: &Value, sizes: &[u64], more: &Value) -> Value {
    let config = config.to_string();
    let digest = server.push_blob("library/app", config.clone());
    let layers: Vec<Value> = sizes
        .iter()
        .map(|size| {
            serde_json::json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": Digest::sha256(&size.to_be_bytes()), "size": size})
        })
        .collect();
    let mut manifest = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": layers,
        "config": {"mediaType": CONFIG_TYPE, "digest": digest, "size": config.len()}});
    for (key, value) in more.as_object().into_iter().flatten() {
        manifest[key] = value.clone();
    }
    let bytes = manifest.to_string();
    let digest = server.push_digest("library/app", bytes.clone(), OCI_IMAGE);
    serde_json::json!({"mediaType": OCI_IMAGE, "digest": digest, "size": bytes.len()})
}

/// Names a manifest that was pushed.
fn tag(server: &Server, tag: &str, media_type: &str, body: &Value) {
    server.push("library/app", tag, body.to_string(), media_type);
}

fn index(children: &[(&Value, &str, &str)]) -> Value {
    let children: Vec<Value> = children
        .iter()
        .map(|(child, os, architecture)| {
            let mut child = (*child).clone();
            child["platform"] = serde_json::json!({"os": os, "architecture": architecture});
            child
        })
        .collect();
    serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
}

fn config(architecture: &str) -> Value {
    serde_json::json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}})
}

/// A server with the index `app:1` of two platforms, and the image `app:single`.
fn two_platforms(behaviour: Behaviour) -> (Repository, Server) {
    let server = Server::start(behaviour);
    let amd64 = push(&server, &config("amd64"), &[10, 20], &Value::Null);
    let arm64 = push(&server, &config("arm64"), &[10, 30], &Value::Null);
    tag(&server, "1", OCI_INDEX, &index(&[(&amd64, "linux", "amd64"), (&arm64, "linux", "arm64")]));
    let single = config("s390x").to_string();
    let digest = server.push_blob("library/app", single.clone());
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": [],
        "config": {"mediaType": CONFIG_TYPE, "digest": digest, "size": single.len()}});
    tag(&server, "single", OCI_IMAGE, &manifest);
    (at(&server), server)
}

// ---- resolve

#[test]
fn resolve_asks_for_the_digest_alone_and_once() {
    let (repository, server) = two_platforms(Behaviour::default());
    let index = server.push("library/app", "1", r#"{"schemaVersion":2,"manifests":[]}"#, OCI_INDEX);
    let answer = run(&repository, "resolve", &["app:1", "docker.io/library/app:1", "app:1"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
    assert_eq!(answer.stdout, format!("docker.io/library/app:1@{index}\n").repeat(3));
    assert_eq!(server.lines(), ["HEAD /v2/library/app/manifests/1"]);
    let by_digest = run(&repository, "resolve", &[&format!("app@{index}"), &format!("app:old@{index}")]);
    let lines = format!("docker.io/library/app@{index}\ndocker.io/library/app:old@{index}\n");
    assert_eq!((by_digest.code, by_digest.stdout), (0, lines));
}

#[test]
fn one_failure_hides_no_other_image() {
    let deny = |request: &registry::Request, _: &Reply| request.path.contains("/denied/").then(|| Reply::status(403));
    let server = Server::start(Behaviour::lying(deny));
    let digest = server.push("library/app", "1", IMAGE, OCI_IMAGE);
    let repository = at(&server);
    let good = format!("docker.io/library/app:1@{digest}\n");
    let rows: [(&[&str], i32, usize); 8] = [
        (&["app:1"], 0, 1),
        (&["gone:1"], 1, 0),
        (&["x/denied/y:1", "app:1"], 3, 1),
        (&["not a name"], 2, 0),
        (&["app:1", "gone:1", "app:1"], 1, 2),
        (&["x/denied/y:1", "gone:1", "app:1"], 1, 1),
        (&["NOT:a:name", "x/denied/y:1", "gone:1", "app:1"], 2, 1),
        (&["-"], 2, 0),
    ];
    for (images, code, lines) in rows {
        let answer = run(&repository, "resolve", images);
        assert_eq!((answer.code, answer.stdout), (code, good.repeat(lines)), "{images:?}: {}", answer.stderr);
    }
    let answer = run(&repository, "resolve", &["app:1", "gone:1"]);
    assert!(
        answer.stderr.contains("plimsoll: gone:1: 127.0.0.1") && answer.stderr.contains("  help: correct the name")
    );
    assert!(answer.stderr.ends_with("1 of 2 images could not be resolved\n"), "{}", answer.stderr);
    let quiet = run(&repository, "resolve", &["-q", "app:1", "gone:1"]);
    assert!(quiet.stderr.contains("gone:1") && !quiet.stderr.contains("1 of 2"), "{}", quiet.stderr);
    assert_eq!(run(&repository, "resolve", &[]).code, 2);
}

#[test]
fn resolve_in_json_names_media_type_and_platforms() {
    let (repository, server) = two_platforms(Behaviour::default());
    let answer = run(&repository, "resolve", &["--format", "json", "app:1", "gone:1", "app:single", "a b"]);
    assert_eq!(answer.code, 2);
    let rows = answer.json();
    assert_eq!(rows[0]["image"], "docker.io/library/app:1");
    assert_eq!((&rows[0]["known_by"], &rows[0]["media_type"]), (&"bytes".into(), &OCI_INDEX.into()));
    assert_eq!(rows[0]["platforms"], json(r#"["linux/amd64", "linux/arm64"]"#));
    assert!(rows[0]["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")));
    assert!(rows[0].get("error").is_none());
    assert_eq!(rows[1]["image"], "docker.io/library/gone:1");
    assert!(
        rows[1]["digest"].is_null() && rows[1]["error"].as_str().is_some_and(|text| text.contains("no such image"))
    );
    assert_eq!(rows[2]["platforms"], json(r#"["linux/s390x"]"#));
    assert_eq!((&rows[3]["image"], rows[3]["digest"].is_null()), (&"a b".into(), true));
    // the index alone names its platforms
    let mut lines: Vec<String> = server.lines();
    lines.retain(|line| !line.contains("single") && !line.contains("gone") && !line.contains("/blobs/"));
    assert_eq!(lines, ["GET /v2/library/app/manifests/1"]);
    // and the same rows by --report
    let text = run(&repository, "resolve", &["app:1", "--report", "json=r.json", "-o", "o.txt"]);
    assert_eq!((text.code, text.stdout.as_str()), (0, ""));
    assert!(repository.read("o.txt").starts_with("docker.io/library/app:1@sha256:"));
    assert_eq!(json(&repository.read("r.json"))[0]["platforms"], rows[0]["platforms"]);
}

#[test]
fn resolve_takes_the_child_for_one_platform() {
    let (repository, _server) = two_platforms(Behaviour::default());
    let arm64 = |more: &[&str]| run(&repository, "resolve", &[&["--platform", "linux/arm64"], more].concat());
    let all = run(&repository, "inspect", &["app:1", "--format", "json"]).json();
    let child = all["platforms"][1]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(arm64(&["app:1"]).stdout, format!("docker.io/library/app:1@{child}\n"));
    let row = arm64(&["app:1", "--format", "json"]).json();
    assert_eq!((&row[0]["media_type"], &row[0]["platforms"]), (&OCI_IMAGE.into(), &json(r#"["linux/arm64"]"#)));
    // what is not there is an answer
    let lacking = arm64(&["app:single"]);
    assert_eq!((lacking.code, lacking.stdout.as_str()), (1, ""));
    assert!(lacking.stderr.contains("it has no linux/arm64; it has linux/s390x"), "{}", lacking.stderr);
    assert_eq!(run(&repository, "resolve", &["app:single", "--platform", "linux/s390x"]).code, 0);
    let two = ["app:1", "--platform", "linux/amd64", "--platform", "linux/arm64"];
    assert_eq!(run(&repository, "resolve", &two).code, 2);
    assert_eq!(run(&repository, "resolve", &["app:1", "--platform", "linux"]).code, 2);
}

#[test]
fn a_platform_that_fits_twice_or_is_not_there_is_no_digest() {
    let server = Server::start(Behaviour::default());
    let one = push(&server, &config("amd64"), &[1], &Value::Null);
    let two = push(&server, &config("amd64"), &[2], &Value::Null);
    tag(&server, "twice", OCI_INDEX, &index(&[(&one, "linux", "amd64"), (&two, "linux", "amd64")]));
    let gone = descriptor(&Digest::sha256(b"gone"), "x");
    tag(&server, "gone", OCI_INDEX, &index(&[(&gone, "linux", "amd64")]));
    // the index does not say, and the config does
    let silent = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [one]});
    tag(&server, "silent", OCI_INDEX, &silent);
    let repository = at(&server);
    for (image, code) in [("app:twice", 3), ("app:gone", 1), ("app:silent", 0)] {
        let answer = run(&repository, "resolve", &[image, "--platform", "linux/amd64"]);
        assert_eq!(answer.code, code, "{image}: {}", answer.stderr);
        let answer = run(&repository, "inspect", &[image, "--platform", "linux/arm64"]);
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{image}");
    }
}

#[test]
fn resolve_and_inspect_ask_where_they_are_told_and_only_there() {
    let (repository, server) = two_platforms(Behaviour::default());
    for command in ["resolve", "inspect"] {
        let offline = run(&repository, command, &["app:1", "--offline"]);
        assert_eq!((offline.code, offline.stdout.as_str()), (3, ""), "{command}");
        assert!(offline.stderr.contains("offline"), "{}", offline.stderr);
        assert_eq!(server.lines(), Vec::<String>::new());
        for config in ["missing.conf", "a.yaml"] {
            repository.write("a.yaml", pod("image: app:1"));
            assert_eq!(repository.run(&[command, "app:1", "--config", config]).code, 2, "{command} {config}");
        }
        // the layout beside the policy answers too, and offline
        let with_layout = good();
        assert_eq!(with_layout.run(&[command, GOOD, "--offline"]).code, 0, "{command}");
        assert_eq!(with_layout.run(&[command, "docker.io/library/gone:1"]).code, 1, "{command}");
    }
    let verbose = good().run(&["resolve", "-v", GOOD]);
    assert!(verbose.stdout.ends_with("  known by bytes\n"), "{}", verbose.stdout);
    assert_eq!(verbose.stderr, "images from layouts on disk: * from registry\n");
    assert!(run(&repository, "resolve", &["-v", "app:1"]).stdout.ends_with("  known by header\n"));
}

#[test]
fn jobs_bound_what_is_under_way() {
    let most = |more: &[&str]| {
        let (repository, server) = two_platforms(Behaviour {
            delay: Duration::from_millis(40),
            answer_everything: true,
            ..Behaviour::default()
        });
        let answer = run(&repository, "resolve", more);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        server.most_at_once()
    };
    let images = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"];
    assert_eq!(most(&[&["--jobs", "1"][..], &images].concat()), 1);
    // the first of all goes alone, since it asks what the registry wants
    assert!(most(&images) > 2);
    // a platform's manifest, and the list of its referrers beside it
    let of_six = |more: &[&str]| {
        let server = Server::start(Behaviour { delay: Duration::from_millis(40), ..Behaviour::default() });
        let names = ["a", "b", "c", "d", "e", "f"];
        let pushed: Vec<Value> = names.iter().map(|name| push(&server, &config(name), &[], &Value::Null)).collect();
        let children: Vec<(&Value, &str, &str)> =
            pushed.iter().zip(names).map(|(child, name)| (child, "linux", name)).collect();
        tag(&server, "six", OCI_INDEX, &index(&children));
        assert_eq!(run(&at(&server), "inspect", &[&["app:six"], more].concat()).code, 0);
        server.most_at_once()
    };
    assert!(of_six(&["--jobs", "1"]) <= 3);
    assert!(of_six(&[]) > 3);
    for wrong in ["0", "x", "100000"] {
        for command in ["resolve", "inspect"] {
            assert_eq!(good().run(&[command, "--jobs", wrong, GOOD]).code, 2, "{command} {wrong}");
        }
    }
}

#[test]
fn colour_is_as_it_is_told() {
    let repository = good();
    for command in ["resolve", "inspect"] {
        let run = |more: &[&str]| repository.run(&[&[command, GOOD], more].concat());
        assert!(run(&["--color", "always"]).stdout.contains("\u{1b}["), "{command}");
        for arguments in [&["--color", "never"][..], &["--color", "auto"], &[]] {
            assert!(!run(arguments).stdout.contains('\u{1b}'), "{command} {arguments:?}");
        }
        run(&["--color", "always", "-o", "o.txt", "--report", "text=r.txt"]);
        assert!(repository.read("o.txt").contains("\u{1b}[") && !repository.read("r.txt").contains('\u{1b}'));
        assert_eq!(run(&["--color", "blue"]).code, 2);
        assert_eq!(run(&["-q", "-v"]).code, 2);
        for wrong in ["yaml", ""] {
            assert_eq!(run(&["--format", wrong]).code, 2);
        }
        assert_eq!(run(&["--report", "json"]).code, 2);
        assert_eq!(run(&["-o", "missing/folder/o.txt"]).code, 2);
    }
}

// ---- inspect

#[test]
fn the_pages_of_the_fixtures_are_the_golden_ones() {
    let repository = quickstart();
    let run = |more: &[&str]| repository.run(&[&["inspect", "--config", "registry.yaml", "--now", NOW], more].concat());
    for (name, image) in [("index", "nginx:1.25"), ("single", "ghcr.io/acme/shop-legacy:0.9"), ("list", "redis:7.2")] {
        let text = run(&[image]);
        assert_eq!((text.code, text.stderr.as_str()), (0, ""));
        insta::assert_snapshot!(format!("inspect_{name}"), text.stdout);
    }
    let object = run(&["nginx:1.25", "--format", "json"]);
    object.json();
    insta::assert_snapshot!("inspect_json", object.stdout);
    assert_eq!(run(&["nginx:1.25", "--format", "json"]).stdout, object.stdout, "byte for byte");
    let rows = repository.run(&["resolve", "--config", "registry.yaml", "nginx:1.25", "redis:7.2", "--format", "json"]);
    rows.json();
    insta::assert_snapshot!("resolve_json", rows.stdout);
}

#[test]
fn inspect_narrows_to_platforms() {
    let (repository, _server) = two_platforms(Behaviour::default());
    let object = |more: &[&str]| {
        let answer = run(&repository, "inspect", &[&["app:1", "--format", "json"], more].concat());
        let names = |report: &Value| -> Vec<String> {
            let rows = report["platforms"].as_array().expect("platforms");
            rows.iter().map(|row| row["platform"].as_str().expect("a name").to_owned()).collect()
        };
        let report = answer.json();
        (names(&report), report["platforms_left_out"].as_u64().expect("a count"))
    };
    assert_eq!(object(&[]), (vec!["linux/amd64".into(), "linux/arm64".into()], 0));
    assert_eq!(object(&["--platform", "linux/arm64"]), (vec!["linux/arm64".into()], 1));
    let both = ["--platform", "linux/arm64", "--platform", "linux/amd64"];
    assert_eq!(object(&both), (vec!["linux/amd64".into(), "linux/arm64".into()], 0));
    let answer = run(&repository, "inspect", &["app:1", "--platform", "linux/arm64", "--platform", "linux/s390x"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
    assert!(answer.stderr.contains("it has no linux/s390x; it has linux/amd64, linux/arm64"), "{}", answer.stderr);
    assert!(run(&repository, "inspect", &["app:1", "--platform", "linux/arm64"]).stdout.contains("; 1 other left out"));
    assert_eq!(run(&repository, "inspect", &["app:1", "--platform", "linux"]).code, 2);
}

#[test]
fn inspect_counts_ages_to_its_clock() {
    let server = Server::start(Behaviour::default());
    let rows = [
        ("2026-11-10T00:00:00Z", "(10 days ago)", Some(10)),
        ("2026-11-19T00:00:00Z", "(1 day ago)", Some(1)),
        ("2026-11-19T00:00:01+00:00", "(today)", Some(0)),
        ("2026-11-21T00:00:00Z", "(in the future)", Some(-1)),
        ("1970-01-01T00:00:00Z", "(not a time of building)", Some(20_777)),
        ("yesterday", "yesterday (no time in RFC 3339)", None),
    ];
    let repository = at(&server);
    for (created, expected, days) in rows {
        let mut config = config("amd64");
        config["created"] = created.into();
        let image = push(&server, &config, &[], &Value::Null);
        let name = format!("app@{}", image["digest"].as_str().expect("a digest"));
        let text = run(&repository, "inspect", &[&name, "--now", NOW]).stdout;
        assert!(text.contains(expected), "{created}: {text}");
        let report = run(&repository, "inspect", &[&name, "--now", NOW, "--format", "json"]).json();
        assert_eq!(report["platforms"][0]["config"]["age_days"].as_i64(), days, "{created}");
        assert_eq!(report["now"], NOW);
    }
    assert_eq!(run(&repository, "inspect", &["app:1", "--now", "noon"]).code, 2);
}

#[test]
fn inspect_asks_no_more_than_it_shows() {
    let (repository, server) = two_platforms(Behaviour { referrers: Listing::Pages(9), ..Behaviour::default() });
    assert_eq!(run(&repository, "inspect", &["app:1"]).code, 0);
    let lines = server.lines();
    assert_eq!(lines[0], "GET /v2/library/app/manifests/1");
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!((count("/manifests/"), count("/blobs/"), count("/referrers/"), lines.len()), (3, 2, 3, 8), "{lines:?}");
}

#[test]
fn what_an_image_says_cannot_speak_to_the_terminal_nor_leak() {
    let server = Server::start(Behaviour { referrers: Listing::Pages(9), ..Behaviour::default() });
    let config = serde_json::json!({"os": "linux", "architecture": "amd64\u{1b}[2J", "created": "2026-11-10T00:00:00Z",
        "config": {"User": "ro\u{202e}ot", "Env": ["TOKEN=s3cret", "\u{1b}]0;x\u{7}=s3cret"], "Cmd": ["sh", "-c", "a b\nc"],
            "Entrypoint": ["\u{1b}[31m"], "Labels": {"a\u{1b}[1m": "b\r\nc", "org.opencontainers.image.base.name": "debian:12"},
            "ExposedPorts": {"80/tcp\u{1b}": {}}, "Volumes": {"/v\u{9b}": {}}, "WorkingDir": "/w\u{1b}",
            "Healthcheck": {"Test": ["CMD", "\u{1b}"]}},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created_by": format!("RUN |1 TOKEN=s3cret /bin/sh -c echo \u{1b}[2J {}", "long ".repeat(2_000))},
            {"created_by": "ENV TOKEN=s3cret", "empty_layer": true}]});
    let more = serde_json::json!({"annotations": {"k\u{1b}": "v\u{1b}", "org.opencontainers.image.base.digest": "sha256:x\u{1b}"}});
    let image = push(&server, &config, &[7], &more);
    let digest = Digest::parse(image["digest"].as_str().expect("a digest")).expect("a digest");
    server.refer("library/app", &digest, Some("evil/\u{1b}[2J"), "m");
    let repository = at(&server);
    let name = format!("app@{digest}");
    for more in [&[][..], &["-v"]] {
        let text = run(&repository, "inspect", &[&[name.as_str(), "--now", NOW], more].concat());
        assert_eq!(text.code, 0, "{}", text.stderr);
        assert!(text.stdout.chars().all(|letter| letter == '\n' || !letter.is_control()), "{:?}", text.stdout);
        assert!(!text.stdout.contains('\u{202e}') && !text.stdout.contains("s3cret"), "{}", text.stdout);
        assert!(text.stdout.contains("TOKEN, \\u{1b}") && text.stdout.contains("(values are not shown)"));
        assert!(text.stdout.contains("debian:12, claimed by a label of the config, not verified"), "{}", text.stdout);
        assert!(text.stdout.contains("claimed by an annotation of the manifest, not verified"));
        assert!(text.stdout.contains("1 by the registry's referrers API, not verified: 1 evil/\\u{1b}[2J"));
        // why a claim is not verified is never cut
        let lines = text.stdout.lines().filter(|line| !line.contains("claimed by"));
        let longest = lines.map(|line| line.chars().count()).max().expect("lines");
        assert_eq!(longest > 140, !more.is_empty(), "{longest}");
    }
    let object = run(&repository, "inspect", &[&name, "--format", "json"]);
    assert!(!object.stdout.contains("s3cret"));
    let report = object.json();
    assert_eq!(report["platforms"][0]["layers"][0]["size"], 7);
    let command = report["platforms"][0]["layers"][0]["command"].as_str().expect("a command");
    assert!(command.starts_with("RUN |1 … /bin/sh -c echo"), "{command}");
}

#[test]
fn a_history_that_lies_gives_no_command() {
    let server = Server::start(Behaviour::default());
    let repository = at(&server);
    let made = serde_json::json!({"created_by": "ADD x"});
    let rows = [
        (serde_json::json!([made, made]), Some("ADD x"), 0),
        (serde_json::json!([made]), None, 0),
        (serde_json::json!([made, made, made]), None, 0),
        (serde_json::json!([made, {"created_by": "ADD y", "empty_layer": true}]), None, 0),
        (Value::Null, None, 0),
        (Value::Array(vec![serde_json::json!({}); 1_000_000]), None, 3),
    ];
    for (history, command, code) in rows {
        let mut config = config("amd64");
        config["history"] = history;
        let image = push(&server, &config, &[1, 2], &Value::Null);
        let name = format!("app@{}", image["digest"].as_str().expect("a digest"));
        let answer = run(&repository, "inspect", &[&name, "--format", "json"]);
        assert_eq!(answer.code, code, "{}", answer.stderr);
        let report = answer.json();
        assert_eq!(report["platforms"][0]["layers"][0]["command"].as_str(), command);
        let text = run(&repository, "inspect", &[&name]).stdout;
        assert_eq!(text.matches("unknown command").count(), if command.is_some() { 0 } else { 2 }, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_said_and_hides_nothing_else() {
    // one of two configs is denied, and one of three lists
    let deny = |request: &registry::Request, truth: &Reply| {
        let arm64 =
            matches!(&truth.body, registry::Body::Bytes(bytes) if bytes.windows(5).any(|part| part == b"arm64"));
        (request.path.contains("/blobs/") && arm64).then(|| Reply::status(403))
    };
    let (repository, _server) = two_platforms(Behaviour { referrers: Listing::Pages(9), ..Behaviour::lying(deny) });
    let text = run(&repository, "inspect", &["app:1"]);
    assert_eq!(text.code, 3);
    assert!(text.stdout.contains("config        can't be known: 127.0.0.1"), "{}", text.stdout);
    assert!(text.stdout.contains("\nlinux/arm64\n") && text.stdout.contains("user          not set"));
    assert!(text.stderr.contains("not all of it can be known"), "{}", text.stderr);
    assert_eq!(run(&repository, "inspect", &["-q", "app:1"]).stderr, "");
    let report = run(&repository, "inspect", &["app:1", "--format", "json"]).json();
    assert!(report["platforms"][1]["config"].is_null() && report["platforms"][1]["config_error"].is_string());
    assert!(report["platforms"][0]["config"].is_object() && report["platforms"][0]["config_error"].is_null());
}

#[test]
fn referrers_have_three_answers() {
    for (status, code, expected) in [
        (200, 0, "referrers     none, by the registry's referrers API"),
        (404, 0, "referrers     none, by the fallback tag"),
        (403, 3, "referrers     can't be known: 127.0.0.1"),
    ] {
        let lie = move |request: &registry::Request, _: &Reply| {
            (request.path.contains("/referrers/") && status != 200).then(|| Reply::status(status))
        };
        let (repository, _server) = two_platforms(Behaviour { referrers: Listing::Pages(9), ..Behaviour::lying(lie) });
        let answer = run(&repository, "inspect", &["app:single"]);
        assert_eq!(answer.code, code, "{status}: {}", answer.stderr);
        assert!(answer.stdout.contains(expected), "{status}: {}", answer.stdout);
        let list = &run(&repository, "inspect", &["app:single", "--format", "json"]).json()["referrers"];
        assert_eq!((list["found"].is_array(), list["error"].is_string()), (code == 0, code == 3), "{status}: {list}");
    }
}

#[test]
fn inspect_ends_as_the_contract_says() {
    let deny = |request: &registry::Request, _: &Reply| request.path.contains("denied").then(|| Reply::status(403));
    let server = Server::start(Behaviour::lying(deny));
    let repository = at(&server);
    for (image, code) in [("gone:1", 1), ("denied:1", 3), ("a b", 2), ("Not/Lower", 2)] {
        for format in ["text", "json"] {
            let answer = run(&repository, "inspect", &[image, "--format", format]);
            assert_eq!((answer.code, answer.stdout.as_str()), (code, ""), "{image}: {}", answer.stderr);
            assert!(answer.stderr.starts_with("plimsoll: "), "{}", answer.stderr);
        }
    }
    assert_eq!(repository.run(&["inspect"]).code, 2);
    assert_eq!(repository.run(&["inspect", "a", "b"]).code, 2);
}

#[test]
fn an_artifact_is_shown_as_one() {
    let server = Server::start(Behaviour::default());
    let digest = server.push_blob("library/app", "{}");
    let subject = descriptor(&Digest::sha256(b"subject"), "x");
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "artifactType": "application/x.sbom",
        "layers": [], "subject": subject, "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 2}});
    tag(&server, "sbom", OCI_IMAGE, &manifest);
    let answer = run(&at(&server), "inspect", &["app:sbom"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("artifact type application/x.sbom"), "{}", answer.stdout);
    assert!(answer.stdout.contains("none of an image: application/vnd.oci.empty.v1+json"));
    assert!(server.lines().iter().all(|line| !line.contains("/blobs/")), "{:?}", server.lines());
}

#[test]
fn rule_3_a_config_or_child_of_another_size_or_type_is_not_believed() {
    let server = Server::start(Behaviour::default());
    let body = config("amd64").to_string();
    let digest = server.push_blob("library/app", body.clone());
    let image = |size: usize| {
        serde_json::json!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": [],
            "config": {"mediaType": CONFIG_TYPE, "digest": digest, "size": size}})
    };
    tag(&server, "whole", OCI_IMAGE, &image(body.len()));
    tag(&server, "short", OCI_IMAGE, &image(body.len() - 1));
    let good = push(&server, &config("amd64"), &[1], &Value::Null);
    let (mut size, mut kind) = (good.clone(), good.clone());
    size["size"] = 5.into();
    kind["mediaType"] = registry::DOCKER_IMAGE.into();
    tag(&server, "size", OCI_INDEX, &index(&[(&good, "linux", "amd64"), (&size, "linux", "arm64")]));
    tag(&server, "kind", OCI_INDEX, &index(&[(&good, "linux", "amd64"), (&kind, "linux", "arm64")]));
    let repository = at(&server);
    for (name, code, why) in [
        ("whole", 0, ""),
        ("short", 3, "the manifest says"),
        ("size", 3, "the index says 5"),
        ("kind", 3, "the index says application/vnd.docker"),
    ] {
        let answer = run(&repository, "inspect", &[&format!("app:{name}")]);
        assert_eq!(answer.code, code, "{name}: {}", answer.stderr);
        assert!(answer.stdout.contains(why), "{name}: {}", answer.stdout);
    }
    let short = run(&repository, "resolve", &["app:short", "--format", "json"]);
    assert_eq!((short.code, short.json()[0]["digest"].is_null()), (3, true));
    assert_eq!(run(&repository, "resolve", &["app:size", "--platform", "linux/arm64"]).code, 3);
    assert_eq!(run(&repository, "resolve", &["app:size", "--platform", "linux/amd64"]).code, 0);
}

#[test]
fn rule_19_indexes_in_indexes_are_followed_and_end() {
    let server = Server::start(Behaviour::default());
    let image = push(&server, &config("amd64"), &[1], &Value::Null);
    let mut top = index(&[(&image, "linux", "amd64")]);
    for depth in 1..=4 {
        tag(&server, &depth.to_string(), OCI_INDEX, &top);
        let bytes = top.to_string();
        let digest = server.push_digest("library/app", bytes.clone(), OCI_INDEX);
        let child = serde_json::json!({"mediaType": OCI_INDEX, "digest": digest, "size": bytes.len()});
        top = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]});
    }
    let many: Vec<Value> = (0..600)
        .map(|at: u32| {
            let mut child = descriptor(&Digest::sha256(&at.to_ne_bytes()), "x");
            child["platform"] = serde_json::json!({"os": "linux", "architecture": "amd64"});
            child
        })
        .collect();
    let half = |mark: &str| {
        let body = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": many, "annotations": {"mark": mark}});
        let bytes = body.to_string();
        let digest = server.push_digest("library/app", bytes.clone(), OCI_INDEX);
        serde_json::json!({"mediaType": OCI_INDEX, "digest": digest, "size": bytes.len()})
    };
    let halves = [half("one"), half("two")];
    tag(
        &server,
        "one",
        OCI_INDEX,
        &serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": halves[..1]}),
    );
    tag(
        &server,
        "many",
        OCI_INDEX,
        &serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": halves}),
    );
    let repository = at(&server);
    for (name, code) in [("1", 0), ("2", 0), ("3", 0), ("4", 3), ("one", 0), ("many", 3)] {
        let answer = run(&repository, "resolve", &[&format!("app:{name}"), "--format", "json"]);
        assert_eq!(answer.code, code, "{name}: {}", answer.stderr);
        if name.len() == 1 && code == 0 {
            assert_eq!(answer.json()[0]["platforms"], json(r#"["linux/amd64"]"#), "{name}");
        }
    }
    assert_eq!(run(&repository, "inspect", &["app:3"]).code, 0);
    assert_eq!(run(&repository, "inspect", &["app:4"]).code, 3);
}

// ---- more than an image may be

/// An index of `count` attestations that nobody reads, pushed by its digest; its descriptor.
fn attestations(server: &Server, count: usize, mark: &str) -> Value {
    let row = |number: usize| {
        serde_json::json!({"mediaType": OCI_IMAGE, "size": 7,
            "digest": Digest::sha256(format!("{mark} {number}").as_bytes()),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"}})
    };
    let rows: Vec<Value> = (0..count).map(row).collect();
    let text = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).to_string();
    let digest = server.push_digest("library/app", text.clone(), OCI_INDEX);
    serde_json::json!({"mediaType": OCI_INDEX, "digest": digest, "size": text.len()})
}

#[test]
fn nested_indexes_of_nothing_but_attestations_are_an_error_that_names_the_image() {
    let server = Server::start(Behaviour::default());
    let rows = [attestations(&server, 600, "a"), attestations(&server, 600, "b")];
    let text = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}).to_string();
    let digest = server.push("library/app", "1", text, OCI_INDEX);
    let repository = at(&server);
    for arguments in [&["inspect"][..], &["resolve", "--format", "json"], &["resolve", "--platform", "linux/amd64"]] {
        let answer = run(&repository, arguments[0], &[&arguments[1..], &["app:1"]].concat());
        assert_eq!(answer.code, 3, "{arguments:?}: {}", answer.stderr);
        let expected = format!("{digest} is not a sound manifest: it names more than 1000 children");
        assert!(answer.stderr.contains(&expected), "{arguments:?}: {}", answer.stderr);
    }
}

#[test]
fn indexes_of_empty_indexes_do_not_multiply() {
    let server = Server::start(Behaviour::default());
    let empty = attestations(&server, 0, "");
    let nest = |child: &Value, mark: usize| {
        let rows = vec![child.clone(); 900];
        let text = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows, "annotations": {"mark": mark.to_string()}});
        let text = text.to_string();
        let digest = server.push_digest("library/app", text.clone(), OCI_INDEX);
        serde_json::json!({"mediaType": OCI_INDEX, "digest": digest, "size": text.len()})
    };
    let rows: Vec<Value> = (0..30).map(|mark| nest(&empty, mark)).collect();
    tag(&server, "1", OCI_INDEX, &serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}));
    let answer = run(&at(&server), "inspect", &["app:1"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("more than 1000 children"), "{}", answer.stderr);
    assert!(server.requests().len() < 10, "{} requests", server.requests().len());
}

#[test]
fn what_an_image_may_weigh_bounds_inspect_and_resolve() {
    let server = Server::start(Behaviour::default());
    let child = |mark: usize| {
        let mut row = push(&server, &config("amd64"), &[mark as u64], &Value::Null);
        row["size"] = (4 << 20).into();
        row
    };
    let rows: Vec<Value> = (0..20).map(child).collect();
    tag(&server, "1", OCI_INDEX, &serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}));
    let answer = run(&at(&server), "inspect", &["app:1", "--format", "json"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(answer.stdout.contains("the limit of 33554432 bytes"), "{}", answer.stdout);
}
