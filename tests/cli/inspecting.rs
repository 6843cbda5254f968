//! `inspect` of bases, `--tree` and `--unpack`: what people see, what programs read, and how it ends.

use super::*;
use plimsoll::digest::Digest;
use registry::{Listing, OCI_IMAGE, OCI_INDEX, Reply};
use serde_json::json as object;

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// Inspects one of the fixtures whose base is known.
fn bases(arguments: &[&str]) -> Answer {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bases.yaml");
    let config = config.to_str().expect("a path");
    Repository::new().run(&[&["inspect", "--config", config, "--no-cache", "--now", NOW], arguments].concat())
}

fn of(server: &Server, arguments: &[&str]) -> Answer {
    let run = ["inspect", "--config", "machine.conf", "--no-cache", "--now", NOW];
    images::at(server).run(&[&run[..], arguments].concat())
}

/// A layer as a manifest has it, with what it unpacks to.
fn layer(server: &Server, bytes: &[u8]) -> (Value, Digest) {
    let digest = server.push_blob("library/app", bytes);
    (object!({"mediaType": TAR, "digest": digest, "size": bytes.len()}), digest)
}

/// Pushes an image of these layers, by its digest; its descriptor.
fn push(server: &Server, architecture: &str, layers: &[Value], diff_ids: &[Digest], annotations: &Value) -> Value {
    let diff_ids: Vec<&str> = diff_ids.iter().map(Digest::as_str).collect();
    let config = object!({"os": "linux", "architecture": architecture,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = config.to_string();
    let digest = server.push_blob("library/app", config.clone());
    let manifest = object!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": layers, "annotations": annotations,
        "config": {"mediaType": CONFIG_TYPE, "digest": digest, "size": config.len()}});
    let bytes = manifest.to_string();
    let digest = server.push_digest("library/app", bytes.clone(), OCI_IMAGE);
    object!({"mediaType": OCI_IMAGE, "digest": digest, "size": bytes.len(),
        "platform": {"os": "linux", "architecture": architecture}})
}

fn index(server: &Server, tag: &str, children: &[Value]) -> Digest {
    let body = object!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).to_string();
    server.push("library/app", tag, body, OCI_INDEX)
}

fn digest_of(descriptor: &Value) -> Digest {
    Digest::parse(descriptor["digest"].as_str().expect("a digest")).expect("a digest")
}

// ---- bases

/// How it ends for a row of this name: what an image says and its layers contradict is not passed over.
fn ending(name: &str) -> (i32, &'static str) {
    match name {
        "contradicted" => (3, "plimsoll: what it says of its base or layers is not so; the report says what and why\n"),
        _ => (0, ""),
    }
}

#[test]
fn what_people_see_of_a_base() {
    let debian = ["--base", "debian:12-slim"];
    let amd64 = ["--platform", "linux/amd64"];
    let rows: [(&str, &str, &[&str]); 13] = [
        ("proved", "on-debian-annotated", &amd64),
        ("proved_by_search", "on-debian-silent", &[amd64, debian].concat()),
        ("claimed", "on-distroless", &amd64),
        ("stale", "stale", &amd64),
        ("contradicted", "lying", &amd64),
        ("two_level", "two-level", &[amd64, debian].concat()),
        ("scratch", "on-scratch-said", &[]),
        (
            "unknown",
            "on-debian-silent",
            &["--base", "alpine:3.20", "--base", "node:20-slim", "--platform", "linux/amd64"],
        ),
        ("itself", "is-a-base", &[amd64, debian].concat()),
        ("history", "history-differs-annotated", &debian),
        ("doubtful", "history-differs", &[amd64, debian].concat()),
        ("mixed", "mixed", &[]),
        ("unpacked", "recompressed", &["--unpack"]),
    ];
    for (name, image, more) in rows {
        let image = format!("ghcr.io/acme/{image}:1");
        let answer = bases(&[more, &[&image]].concat());
        assert_eq!((answer.code, answer.stderr.as_str()), ending(name), "{name}");
        insta::assert_snapshot!(format!("base_{name}"), answer.stdout);
    }
}

#[test]
fn every_fixture_reads_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let truth = json(&fs::read_to_string(root.join("fixtures/bases.json")).expect("read"));
    let names = truth.as_object().expect("names");
    assert!(names.len() > 40, "{}", names.len());
    for (name, platforms) in names {
        let answer =
            bases(&[name, "--unpack", "--format", "json", "--base", "debian:12-slim", "--base", "alpine:3.20"]);
        let report = answer.json();
        let lies = platforms.as_object().expect("platforms").values().any(|row| row["diff_ids_true"] == false);
        let mut rows = report["platforms"].as_array().expect("platforms").iter();
        let lies = lies || rows.any(|row| row["bases"]["contradicted"] != object!([]));
        assert_eq!(answer.code, if lies { 3 } else { 0 }, "{name}: {}", answer.stderr);
        for row in report["platforms"].as_array().expect("platforms") {
            let truth = &platforms[row["platform"].as_str().expect("a platform")];
            assert_eq!(row["layers_size"], truth["bytes"], "{name}");
            assert_eq!(row["unpacked_size"], truth["unpacked_bytes"], "{name}");
            let layers = row["layers"].as_array().expect("layers").len() as u64;
            assert_eq!(Some(layers), truth["layers"].as_u64(), "{name}");
            assert_eq!(row["contradicted_layers"] == object!([]), truth["diff_ids_true"] == true, "{name}");
        }
    }
}

#[test]
fn programs_read_both_parts_of_an_image() {
    let answer = bases(&["ghcr.io/acme/two-level:1", "--format", "json", "--base", "debian:12-slim", "--unpack"]);
    let report = answer.json();
    let row = &report["platforms"][0];
    let known = &row["bases"]["known"];
    assert_eq!(known[0]["name"], "ghcr.io/acme/base:1");
    assert_eq!(known[0]["holds"]["base"], object!({"layers": 3, "size": 7749, "unpacked": 7680}));
    assert_eq!(known[0]["holds"]["added"], object!({"layers": 1, "size": 2071, "unpacked": 2048}));
    assert_eq!(known[0]["holds"]["whole"], object!({"layers": 4, "size": 9820, "unpacked": 9728}));
    assert_eq!((&known[0]["age_days"], &known[0]["now"]["state"]), (&14.into(), &"same".into()));
    assert_eq!(known[1]["holds"]["base"]["layers"], 1);
    let parts: Vec<&Value> = row["layers"].as_array().expect("layers").iter().map(|layer| &layer["part"]).collect();
    assert_eq!(parts, ["base", "base", "base", "added"]);
    // three layers are in both platforms
    assert_eq!(report["total"]["layers"], 5);
    assert_eq!(report["total"]["size"], 9820 + 10_332 - 3 * 2071);
    // a tag that has moved counts for nothing, and what is proved is the digest
    let stale = bases(&["ghcr.io/acme/stale:1", "--format", "json"]).json();
    let known = &stale["platforms"][0]["bases"]["known"][0];
    assert_eq!((&known["confidence"], &known["now"]["state"]), (&"proved".into(), &"moved".into()));
    assert!(known["digest"].is_string() && known["digest"] != known["now"]["digest"], "{known}");
    let unread = bases(&["ghcr.io/acme/two-level:1", "--format", "json"]).json();
    assert_eq!((&unread["platforms"][0]["unpacked_size"], &unread["total"]["unpacked"]), (&Value::Null, &Value::Null));
}

#[test]
fn base_and_added_differ_in_colour_and_without() {
    let run = |more: &[&str]| {
        let all = [&["ghcr.io/acme/two-level:1", "--platform", "linux/amd64"], more].concat();
        bases(&all).stdout
    };
    let painted = run(&["--color", "always"]);
    let bar = |number: usize| {
        let line = painted.lines().find(|line| line.starts_with(&format!("  {number}  "))).expect("the layer");
        line.split("\u{1b}[").nth(1).expect("a colour").chars().take_while(|letter| *letter != 'm').collect::<String>()
    };
    assert_eq!(bar(1), bar(3));
    assert_ne!(bar(1), bar(4), "{painted}");
    for plain in [run(&["--color", "never"]), run(&[])] {
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert!(plain.contains("  3  base  sha256:") && plain.contains("  4  added sha256:"), "{plain}");
    }
    let loud = bases(&["--color", "always", "ghcr.io/acme/lying:1"]).stdout;
    assert!(loud.contains("\u{1b}[1;31mnot so"), "{loud}");
    let stale = bases(&["--color", "always", "ghcr.io/acme/stale:1"]).stdout;
    assert!(stale.contains("\u{1b}[33mrebuild:"), "{stale}");
}

#[test]
fn a_base_that_cannot_be_asked_for_is_said_whole() {
    let deny = |request: &registry::Request, _: &Reply| {
        request.path.contains("/denied/").then(|| Reply::json(403, r#"{"errors":[{"message":"no such luck"}]}"#))
    };
    let server = Server::start(Behaviour::lying(deny));
    let (one, diff_id) = layer(&server, b"one");
    let image = push(&server, "amd64", &[one], &[diff_id], &Value::Null);
    let name = format!("app@{}", digest_of(&image));
    let denied = ["--base", "docker.io/x/denied/y:1"];
    for more in [&[][..], &["--unpack"], &["--tree"], &["--format", "json"]] {
        let answer = of(&server, &[&[name.as_str()], &denied[..], more].concat());
        assert_eq!(answer.code, 3, "{more:?}: {}", answer.stdout);
        assert!(answer.stderr.contains("not all of it can be known"), "{}", answer.stderr);
    }
    let tree = of(&server, &[&[name.as_str(), "--tree"], &denied[..]].concat()).stdout;
    let node = tree.lines().find(|line| line.contains("└─ not compared: ")).unwrap_or_else(|| panic!("{tree}"));
    assert!(node.contains("docker.io/x/denied/y:1, which may be the base: ") && !node.contains('…'), "{node}");
    let denied = of(&server, &[&[name.as_str()], &denied[..]].concat()).stdout;
    let line = denied.lines().find(|line| line.contains("not compared")).unwrap_or_else(|| panic!("{denied}"));
    assert!(
        line.contains("docker.io/x/denied/y:1, which may be the base: ") && line.contains("denies access"),
        "{line}"
    );
    assert!(!line.contains('…') && denied.contains("base          not known: "), "{denied}");
    // one that is not there is none
    let gone = of(&server, &[&name, "--base", "gone:1"]);
    assert_eq!((gone.code, gone.stderr.as_str()), (0, ""));
    let line = "base          not known: the image names none; looked for: docker.io/library/gone:1\n";
    assert!(gone.stdout.contains(line), "{}", gone.stdout);
    let report = of(&server, &[&name, "--base", "gone:1", "--format", "json"]).json();
    assert_eq!(report["platforms"][0]["bases"]["looked_for"], object!(["docker.io/library/gone:1"]));
    let alone = of(&server, &[&name]).stdout;
    assert!(alone.contains("the image names none; name what it may be built on: --base NAME:TAG"), "{alone}");
}

// ---- the tree

#[test]
fn the_trees_of_the_fixtures() {
    let rows: [(&str, &str, &[&str]); 6] = [
        ("two_level", "two-level", &["--base", "debian:12-slim"]),
        ("attested", "buildkit-provenance", &["--unpack"]),
        ("single", "single", &[]),
        ("contradicted", "lying", &["--platform", "linux/amd64"]),
        ("stale", "stale", &["--platform", "linux/amd64"]),
        ("doubtful", "history-differs", &["--base", "debian:12-slim"]),
    ];
    for (name, image, more) in rows {
        let image = format!("ghcr.io/acme/{image}:1");
        let answer = bases(&[&["--tree", &image], more].concat());
        assert_eq!((answer.code, answer.stderr.as_str()), ending(name), "{name}");
        insta::assert_snapshot!(format!("tree_{name}"), answer.stdout);
    }
}

/// The lines of a tree, without its digests.
fn shape(text: &str) -> Vec<String> {
    let word = |word: &str| match word.strip_prefix("sha256:") {
        Some(_) => "sha256:…".to_owned(),
        None => word.to_owned(),
    };
    text.lines().map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn indexes_in_indexes_attestations_and_referrers_stand_under_what_they_are_of() {
    let server = Server::start(Behaviour { referrers: Listing::Pages(9), ..Behaviour::default() });
    let (shared, shared_id) = layer(&server, b"shared");
    let (own, own_id) = layer(&server, b"own");
    let none = Value::Null;
    let amd64 = push(&server, "amd64", std::slice::from_ref(&shared), std::slice::from_ref(&shared_id), &none);
    let arm64 = push(&server, "arm64", &[shared, own], &[shared_id, own_id], &none);
    let s390x = push(&server, "s390x", &[], &[], &none);
    let attestation = |of: &str, mark: &str| {
        object!({"mediaType": OCI_IMAGE, "size": 7, "digest": Digest::sha256(mark.as_bytes()),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of}})
    };
    let ours = attestation(digest_of(&arm64).as_str(), "ours");
    let stray = attestation("sha256:\u{1b}[2Jgone", "stray");
    let inner = object!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [arm64, ours]}).to_string();
    let inner_digest = server.push_digest("library/app", inner.clone(), OCI_INDEX);
    let inner = object!({"mediaType": OCI_INDEX, "digest": inner_digest, "size": inner.len()});
    let top = index(&server, "1", &[amd64.clone(), inner, s390x.clone(), stray]);
    server.refer("library/app", &digest_of(&amd64), Some("evil/\u{1b}[2J"), "m");
    server.refer("library/app", &top, Some("example/sbom"), "n");
    let answer = of(&server, &["--tree", "app:1"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    insta::assert_snapshot!("tree_nested", shape(&answer.stdout).join("\n"));
    let report = of(&server, &["app:1", "--format", "json"]).json();
    let within = |at: usize| &report["platforms"][at]["within"];
    assert_eq!((within(0), within(1), within(2)), (&object!([]), &object!([inner_digest]), &object!([])));
    assert_eq!(report["nested"][0]["digest"], inner_digest.as_str());
    assert_eq!(report["attestations"][0]["of"], report["platforms"][1]["digest"]);
    // with some platforms left out, the others stand where they stood
    let narrow = of(&server, &["--tree", "app:1", "--platform", "linux/arm64"]).stdout;
    insta::assert_snapshot!("tree_narrow", shape(&narrow).join("\n"));
    let single = of(&server, &["--tree", &format!("app@{}", digest_of(&amd64))]).stdout;
    insta::assert_snapshot!("tree_of_one_manifest", shape(&single).join("\n"));
}

#[test]
fn a_tree_is_text_and_says_what_it_does_not_know() {
    let both = bases(&["--tree", "--format", "json", "ghcr.io/acme/single:1"]);
    assert_eq!((both.code, both.stdout.as_str()), (2, ""));
    assert!(both.stderr.contains("--tree is text; --format json has the same"), "{}", both.stderr);
    let repository = Repository::new();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bases.yaml");
    let arguments = ["inspect", "--tree", "--report", "json=r.json", "--no-cache", "--config"];
    let answer =
        repository.run(&[&arguments[..], &[config.to_str().expect("a path"), "ghcr.io/acme/single:1"]].concat());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("└─ ") && json(&repository.read("r.json"))["platforms"].is_array());

    let deny = |request: &registry::Request, _: &Reply| {
        (request.path.contains("/referrers/") || request.path.contains("/blobs/")).then(|| Reply::status(403))
    };
    let server = Server::start(Behaviour { referrers: Listing::Pages(9), ..Behaviour::lying(deny) });
    let image = push(&server, "amd64", &[], &[], &Value::Null);
    let gone = object!({"mediaType": OCI_IMAGE, "digest": Digest::sha256(b"gone"), "size": 7,
        "platform": {"os": "linux", "architecture": "arm64"}});
    index(&server, "1", &[image, gone]);
    let answer = of(&server, &["--tree", "app:1"]);
    assert_eq!(answer.code, 3);
    for expected in
        ["config can't be known: ", "content can't be known: ", "referrers can't be known: ", "is unknown: not every"]
    {
        assert!(answer.stdout.contains(expected), "{expected}: {}", answer.stdout);
    }
}

// ---- unpacking

#[test]
fn each_layer_is_read_once_and_only_when_it_is_asked_for() {
    let server = Server::start(Behaviour::default());
    let (shared, shared_id) = layer(&server, &[b's'; 1000]);
    let (own, own_id) = layer(&server, &[b'o'; 300]);
    let amd64 = push(&server, "amd64", std::slice::from_ref(&shared), std::slice::from_ref(&shared_id), &Value::Null);
    let layers = [shared.clone(), own, shared];
    let arm64 = push(&server, "arm64", &layers, &[shared_id.clone(), own_id.clone(), shared_id.clone()], &Value::Null);
    index(&server, "1", &[amd64, arm64]);
    let reads = |digest: &Digest| server.lines().iter().filter(|line| line.contains(digest.as_str())).count();
    // stored as they unpack: known without reading
    let report = of(&server, &["app:1", "--format", "json"]).json();
    assert_eq!(report["platforms"][1]["unpacked_size"], 1300);
    assert_eq!(report["total"], object!({"layers": 2, "size": 1300, "unpacked": 1300}));
    assert_eq!((reads(&shared_id), reads(&own_id)), (0, 0));
    let text = of(&server, &["app:1"]).stdout;
    assert!(text.contains("1.2 KiB (1300 bytes), as every layer is stored"), "{text}");
    assert_eq!((reads(&shared_id), reads(&own_id)), (0, 0));
    let read = of(&server, &["app:1", "--unpack"]);
    assert_eq!(read.code, 0, "{}", read.stderr);
    assert!(read.stdout.contains("1.2 KiB (1300 bytes), every layer read"), "{}", read.stdout);
    assert_eq!((reads(&shared_id), reads(&own_id)), (1, 1));
}

#[test]
fn a_few_layers_are_read_at_a_time() {
    let most = |more: &[&str]| {
        let server = Server::start(Behaviour { delay: Duration::from_millis(40), ..Behaviour::default() });
        let (layers, diff_ids): (Vec<_>, Vec<_>) = (1..=12_u8).map(|at| layer(&server, &[at; 9])).unzip();
        let image = push(&server, "amd64", &layers, &diff_ids, &Value::Null);
        let name = format!("app@{}", digest_of(&image));
        assert_eq!(of(&server, &[&[name.as_str(), "--unpack"], more].concat()).code, 0);
        server.most_at_once()
    };
    assert!(most(&["--jobs", "1"]) <= 2);
    let free = most(&[]);
    assert!((3..=4).contains(&free), "{free}");
}

/// Name, layers, what the config says of them, a line of the page, and whether somebody lies.
type Row<'a> = (&'a str, Vec<Value>, Vec<Digest>, &'a str, bool);

#[test]
fn layers_that_are_not_what_the_config_says_are_loud() {
    let deny = |request: &registry::Request, truth: &Reply| {
        let denied = matches!(&truth.body, registry::Body::Bytes(bytes) if bytes.starts_with(b"denied"));
        (request.path.contains("/blobs/") && denied).then(|| Reply::status(403))
    };
    let server = Server::start(Behaviour::lying(deny));
    let (good, good_id) = layer(&server, b"good");
    let (denied, denied_id) = layer(&server, b"denied");
    let mut gzip = good.clone();
    gzip["mediaType"] = format!("{TAR}+gzip").into();
    let mut short = good.clone();
    short["size"] = 3.into();
    let long = Digest::parse(&format!("sha512:{}", "a".repeat(128))).expect("a digest");
    let other = Digest::sha256(b"other");
    let rows: [Row<'_>; 6] = [
        ("lying", vec![good.clone()], vec![other], "not so        the config says that layer 1 unpacks to", true),
        ("uncounted", vec![good.clone()], vec![], "not so        the config says that the number of layers is 0", true),
        (
            "denied",
            vec![good.clone(), denied],
            vec![good_id.clone(), denied_id],
            "not read      layer 2: 127.0.0.1",
            false,
        ),
        ("not gzip", vec![gzip], vec![good_id.clone()], "not read      layer 1: 127.0.0.1", false),
        ("short", vec![short], vec![good_id], "not read      layer 1: 127.0.0.1", false),
        ("sha512", vec![good], vec![long], "not read      layer 1: it unpacks, but is compared by sha256 alone", false),
    ];
    for (name, layers, diff_ids, expected, lies) in rows {
        let image = push(&server, "amd64", &layers, &diff_ids, &Value::Null);
        let image = format!("app@{}", digest_of(&image));
        let answer = of(&server, &[&image, "--unpack"]);
        assert_eq!(answer.code, 3, "{name}: {}", answer.stdout);
        assert!(answer.stdout.contains(expected), "{name}: {}", answer.stdout);
        assert_eq!(answer.stderr.contains("do not run this image"), lies, "{name}: {}", answer.stderr);
        let tree = of(&server, &[&image, "--unpack", "--tree"]);
        assert_eq!((tree.code, tree.stdout.contains("not so: ")), (3, lies), "{name}: {}", tree.stdout);
        let row = &of(&server, &[&image, "--unpack", "--format", "json"]).json()["platforms"][0];
        assert_eq!(row["contradicted_layers"] != object!([]), lies, "{name}");
        assert_eq!(row["unread_layers"] == object!([]), lies, "{name}");
        assert_eq!(of(&server, &[&image]).code, 0, "{name}: nobody asked");
    }
}

// ---- hostile images

#[test]
fn what_an_image_says_of_its_base_cannot_speak_to_the_terminal() {
    let server = Server::start(Behaviour { referrers: Listing::Pages(9), ..Behaviour::default() });
    let (one, diff_id) = layer(&server, b"one");
    let names =
        ["evil\u{1b}[2J/x:1", "debian:\u{202e}21", "a\nbase          docker.io/library/debian:12, proved", "x\u{9b}1m"];
    for name in names {
        let annotations = object!({"org.opencontainers.image.base.name": name,
            "org.opencontainers.image.base.digest": format!("sha256:{}", "0".repeat(64))});
        let image = push(&server, "amd64", std::slice::from_ref(&one), std::slice::from_ref(&diff_id), &annotations);
        server.refer("library/app", &digest_of(&image), Some(name), "m");
        let image = format!("app@{}", digest_of(&image));
        for more in [&[][..], &["-v"], &["--tree"]] {
            let answer = of(&server, &[&[image.as_str()], more].concat());
            assert_eq!(answer.code, 0, "{}", answer.stderr);
            let clean = |letter: char| letter == '\n' || !letter.is_control() && letter != '\u{202e}';
            assert!(answer.stdout.chars().all(clean), "{:?}", answer.stdout);
            assert!(!answer.stdout.lines().any(|line| line.starts_with("base ")), "{}", answer.stdout);
            assert!(!answer.stdout.contains("proved by"), "{}", answer.stdout);
        }
    }
}

#[test]
fn a_platform_with_a_name_without_end_hides_no_digest() {
    let server = Server::start(Behaviour::default());
    let image = push(&server, &"x\u{9b}".repeat(10_000), &[], &[], &Value::Null);
    let digest = digest_of(&image);
    let tree = of(&server, &["--tree", &format!("app@{digest}")]).stdout;
    let line = tree.lines().nth(1).expect("a line");
    assert!(line.contains(digest.as_str()) && line.chars().count() < 200, "{line}");
}

#[test]
fn a_thousand_layers_and_sizes_beyond_counting() {
    let server = Server::start(Behaviour::default());
    let described = |mark: usize, size: u64| object!({"mediaType": format!("{TAR}+gzip"), "digest": Digest::sha256(&mark.to_ne_bytes()), "size": size});
    let many: Vec<Value> = (0..1000).map(|at| described(at, at as u64 * 1000)).collect();
    let huge = [described(1, i64::MAX as u64), described(2, i64::MAX as u64), described(3, i64::MAX as u64)];
    let two_sizes = [described(1, 7), described(1, 8)];
    for (layers, size, lines) in [(&many[..], Some(499_500_000), 1000), (&huge, None, 3), (&two_sizes, None, 2)] {
        let image = push(&server, "amd64", layers, &[], &Value::Null);
        let image = format!("app@{}", digest_of(&image));
        let report = of(&server, &[&image, "--format", "json"]).json();
        assert_eq!((report["platforms"][0]["layers_size"].as_u64(), report["total"]["size"].as_u64()), (size, size));
        let text = of(&server, &[&image]).stdout;
        assert_eq!(text.matches("unknown command").count(), lines);
        assert_eq!(text.contains("unknown: the layers contradict each other"), size.is_none(), "{text}");
        let tree = of(&server, &["--tree", &image]).stdout;
        assert_eq!(tree.matches("─ layer sha256:").count(), lines);
        assert_eq!(
            text.contains("largest       layer 1000 (975.5 KiB), layer 999 (974.6 KiB)"),
            lines == 1000,
            "{text}"
        );
    }
}
