//! `vendor`: the same check out of the copy, what is copied and what never is, and what becomes of a folder.

use super::caching::Stocked;
use super::*;
use plimsoll::digest::Digest;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Where the copy goes, and the config that serves every name from it.
fn served_from_copy(stocked: &Stocked) {
    stocked.repository.write(
        "copy.conf",
        "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {registries: [{prefix: '*', layout: out}]}\n",
    );
}

fn vendor(stocked: &Stocked, arguments: &[&str]) -> Answer {
    stocked.run(&[&["vendor", "out"], arguments].concat())
}

fn descriptor(media_type: &str, bytes: &str) -> Value {
    serde_json::json!({"mediaType": media_type, "digest": Digest::sha256(bytes.as_bytes()), "size": bytes.len()})
}

/// Pushes an image with one layer, which nobody has, and gives its manifest.
fn image(stocked: &Stocked, config: &str, more: &Value) -> String {
    stocked.server.push_blob("library/good", config);
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "a layer that nobody asks for");
    let mut manifest = serde_json::json!({"schemaVersion": 2, "mediaType": registry::OCI_IMAGE,
        "config": descriptor(CONFIG, config), "layers": [layer]});
    manifest.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let text = manifest.to_string();
    stocked.server.push_digest("library/good", text.clone(), registry::OCI_IMAGE);
    text
}

/// An index of two platforms with an attestation manifest, under `tag`; its digest and that of its first child.
fn index(stocked: &Stocked, tag: &str) -> (String, String) {
    let child = |architecture: &str| {
        let config = format!(r#"{{"os":"linux","architecture":"{architecture}","tag":"{tag}"}}"#);
        let text = image(stocked, &config, &serde_json::json!({}));
        let mut row = descriptor(registry::OCI_IMAGE, &text);
        row["platform"] = serde_json::json!({"os": "linux", "architecture": architecture});
        row
    };
    let statement = format!(r#"{{"predicateType":"https://slsa.dev/provenance/v1","tag":"{tag}"}}"#);
    stocked.server.push_blob("library/good", statement.clone());
    let attestation =
        image(stocked, "{}", &serde_json::json!({"layers": [descriptor("application/vnd.in-toto+json", &statement)]}));
    let mut attestation = descriptor(registry::OCI_IMAGE, &attestation);
    attestation["platform"] = serde_json::json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    let children = [child("amd64"), child("arm64"), attestation];
    let first = children[0]["digest"].as_str().expect("a digest").to_owned();
    let text =
        serde_json::json!({"schemaVersion": 2, "mediaType": registry::OCI_INDEX, "manifests": children}).to_string();
    (stocked.server.push("library/good", tag, text, registry::OCI_INDEX).to_string(), first)
}

fn index_json(stocked: &Stocked) -> Value {
    json(&stocked.repository.read("out/index.json"))
}

fn names(stocked: &Stocked) -> Vec<String> {
    let index = index_json(stocked);
    let rows = index["manifests"].as_array().expect("descriptors").iter();
    rows.map(|row| row["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A repository that asks for one of each.
fn one_of_each() -> Stocked {
    let stocked = Stocked::new();
    let (_, child) = index(&stocked, "1");
    let (pinned, _) = index(&stocked, "2");
    stocked.push("single");
    let images = [
        "good:1".to_owned(),
        "good:single".to_owned(),
        format!("good:old@{pinned}"),
        format!("good@{child}"),
        "good:missing".to_owned(),
        format!("good@sha256:{}", "0".repeat(64)),
        "${UNKNOWN}".to_owned(),
    ];
    for (at, image) in images.iter().enumerate() {
        stocked.repository.write(&format!("{at}.yaml"), pod(&format!("image: {image}")));
    }
    served_from_copy(&stocked);
    stocked
}

#[test]
fn the_same_check_out_of_the_copy_says_the_same() {
    let stocked = one_of_each();
    // Outside the tree, where its index.json is no file of the check.
    let out = stocked.cache.path().join("out").display().to_string();
    stocked
        .repository
        .write("copy.conf", stocked.repository.read("copy.conf").replace("layout: out", &format!("layout: '{out}'")));
    let copy = |arguments: &[&str]| {
        let all = [&["check", "--format", "json", "--config", "copy.conf", "--now", NOW], arguments].concat();
        stocked.repository.run(&all)
    };
    let live = stocked.run(&["check", "--format", "json", "--no-cache"]);
    let answer = stocked.run(&["vendor", &out]);
    assert_eq!(answer.code, 1, "a tag and a digest are not there: {}{}", answer.stdout, answer.stderr);
    assert!(answer.stdout.contains("not found: docker.io/library/good:missing: 127.0.0.1"), "{}", answer.stdout);
    let asked = stocked.asked();
    assert!(
        !asked.iter().any(|line| line.contains(Digest::sha256(b"a layer that nobody asks for").as_str())),
        "{asked:?}"
    );
    let offline = copy(&["--offline"]);
    let online = copy(&[]);
    assert_eq!((offline.code, &offline.stdout), (online.code, &online.stdout), "the same bytes");
    assert_eq!(stocked.asked(), Vec::<String>::new());
    // All that differs from the live report: the layouts in use, and who says that something is not there.
    let (mut live, mut copied) = (live.json(), offline.json());
    assert_eq!(copied["run"]["layouts"], serde_json::json!([format!("* from {out}")]));
    copied["run"]["layouts"] = live["run"]["layouts"].clone();
    let host = stocked.server.host();
    let out = fs::canonicalize(&out).expect("there").display().to_string();
    for finding in live["findings"].as_array_mut().expect("findings") {
        let message = finding["message"].as_str().expect("a message").replace(&host, &out);
        finding["message"] = message.into();
    }
    assert_eq!(copied, live);
    assert_eq!(live["summary"]["allow"], 4, "{live:#}");
}

#[test]
fn where_only_a_header_was_read_the_copy_has_bytes() {
    let stocked = Stocked::new();
    stocked.repository.write("plimsoll.yaml", LIBRARY_ONLY);
    index(&stocked, "1");
    stocked.repository.write("a.yaml", pod("image: good:1"));
    served_from_copy(&stocked);
    let live = stocked.run(&["check", "--format", "json"]).json();
    assert_eq!(vendor(&stocked, &[]).code, 0);
    let copied = stocked.repository.run(&["check", "--format", "json", "--config", "copy.conf", "--now", NOW]).json();
    let (before, after) = (&live["references"][0], &copied["references"][0]);
    assert_eq!((before["known_by"].as_str(), after["known_by"].as_str()), (Some("header"), Some("bytes")));
    assert_eq!((&before["digest"], &before["verdict"]), (&after["digest"], &after["verdict"]));
}

#[test]
fn the_copy_is_the_same_bytes_each_time() {
    let stocked = one_of_each();
    vendor(&stocked, &[]);
    let first = stocked.repository.read("out/index.json");
    vendor(&stocked, &["--jobs", "1"]);
    assert_eq!(stocked.repository.read("out/index.json"), first);
    stocked.run(&["vendor", "again", "--no-cache"]);
    assert_eq!(stocked.repository.read("again/index.json"), first);
    let mut sorted = names(&stocked);
    sorted.sort();
    assert_eq!(names(&stocked), sorted);
    assert_eq!(stocked.repository.read("out/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    for entry in fs::read_dir(stocked.repository.path("out/blobs/sha256")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let digest = Digest::sha256(&fs::read(&path).expect("read"));
        assert_eq!(path.file_name().expect("a name").to_string_lossy(), digest.hex());
    }
}

#[test]
fn a_second_run_adds_to_the_copy() {
    let stocked = Stocked::one(false);
    stocked.push("2");
    vendor(&stocked, &[]);
    // Somebody else's descriptors, without a whole name and with one.
    let mut index = index_json(&stocked);
    let mut foreign = index["manifests"][0].clone();
    foreign["annotations"] = json(r#"{"org.opencontainers.image.ref.name": "1", "x": "y"}"#);
    let mut other = index["manifests"][0].clone();
    other["annotations"]["org.opencontainers.image.ref.name"] = "zot.example/app:1".into();
    index["manifests"].as_array_mut().expect("descriptors").extend([other.clone(), foreign.clone()]);
    index["annotations"] = json(r#"{"kept": "yes"}"#);
    stocked.repository.write("out/index.json", index.to_string());
    stocked.repository.write("a.yaml", pod("image: good:2"));
    assert_eq!(vendor(&stocked, &[]).code, 0);
    let good = |tag: &str| format!("docker.io/library/good:{tag}");
    assert_eq!(names(&stocked), ["1", &good("1"), &good("2"), "zot.example/app:1"]);
    let index = index_json(&stocked);
    assert_eq!((&index["manifests"][0], &index["manifests"][3]), (&foreign, &other));
    assert_eq!(index["annotations"]["kept"], "yes");
    // A tag that moved leads to what it names now.
    let moved = self::index(&stocked, "2").0;
    assert_eq!(vendor(&stocked, &[]).code, 0);
    assert_eq!(index_json(&stocked)["manifests"][2]["digest"], moved);
    assert_eq!(names(&stocked).len(), 4);
}

#[test]
fn what_could_not_be_copied_decides_the_exit_code() {
    let status = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(200));
    let says = std::sync::Arc::clone(&status);
    let behaviour = Behaviour::lying(move |request, _| {
        let status = says.load(std::sync::atomic::Ordering::SeqCst);
        (status != 200 && request.path.contains("/manifests/1")).then(|| registry::Reply::status(status))
    });
    let stocked = Stocked::with(behaviour);
    for tag in ["1", "2"] {
        stocked.push(tag);
        stocked.repository.write(&format!("{tag}.yaml"), pod(&format!("image: good:{tag}")));
    }
    assert_eq!(vendor(&stocked, &["-q"]).stdout, "");
    let both = ["docker.io/library/good:1", "docker.io/library/good:2"];
    assert_eq!(names(&stocked), both);
    for (says, code, word, left) in [(403, 3, "undecided: ", &both[..]), (404, 1, "not found: ", &both[1..])] {
        status.store(says, std::sync::atomic::Ordering::SeqCst);
        let answer = vendor(&stocked, &["-q"]);
        assert_eq!(answer.code, code, "{}", answer.stderr);
        assert!(answer.stdout.starts_with(&format!("{word}docker.io/library/good:1: ")), "{}", answer.stdout);
        assert_eq!(answer.stdout.lines().count(), 1);
        assert_eq!(names(&stocked), left, "{says}: what is gone is taken out, what can't be known stays as it was");
    }
    let verbose = vendor(&stocked, &["-v"]).stdout;
    assert!(verbose.starts_with("docker.io/library/good:2 sha256:"), "{verbose}");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let stocked = Stocked::new();
    stocked.push("1");
    stocked.repository.write("1.yaml", pod("image: good:1"));
    stocked.repository.write("broken.yaml", pod("image: [good:2\n"));
    let answer = vendor(&stocked, &[]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("undecided: broken.yaml:"), "{}", answer.stderr);
    assert_eq!(names(&stocked), ["docker.io/library/good:1"]);
}

#[test]
fn a_child_that_is_missing_is_told() {
    let stocked = Stocked::new();
    let text = image(&stocked, "{}", &serde_json::json!({}));
    let mut row = descriptor(registry::OCI_IMAGE, &format!("{text} "));
    row["platform"] = json(r#"{"os": "linux", "architecture": "amd64"}"#);
    let text =
        serde_json::json!({"schemaVersion": 2, "mediaType": registry::OCI_INDEX, "manifests": [row]}).to_string();
    stocked.server.push("library/good", "1", text, registry::OCI_INDEX);
    stocked.repository.write("a.yaml", pod("image: good:1"));
    served_from_copy(&stocked);
    let answer = vendor(&stocked, &[]);
    assert_eq!(answer.code, 1, "{}", answer.stdout);
    let child = row["digest"].as_str().expect("a digest");
    assert!(answer.stdout.starts_with(&format!("not found: docker.io/library/good@{child}: ")), "{}", answer.stdout);
    let code = |config: &str| stocked.repository.run(&["check", "--config", config, "--no-cache"]).code;
    assert_eq!((code("machine.conf"), code("copy.conf")), (3, 3));
}

#[test]
fn evidence_comes_along_with_its_layers() {
    let stocked = Stocked::new();
    let subject = image(&stocked, r#"{"os":"linux","architecture":"amd64"}"#, &serde_json::json!({}));
    let digest = stocked.server.push("library/good", "1", subject.clone(), registry::OCI_IMAGE);
    let bundle = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#;
    stocked.server.push_blob("library/good", bundle);
    let referrer = image(
        &stocked,
        "{}",
        &serde_json::json!({
        "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "subject": descriptor(registry::OCI_IMAGE, &subject),
        "layers": [descriptor("application/vnd.dev.sigstore.bundle.v0.3+json", bundle)]}),
    );
    let list = serde_json::json!({"schemaVersion": 2, "mediaType": registry::OCI_INDEX,
        "manifests": [descriptor(registry::OCI_IMAGE, &referrer)]});
    let path = format!("/v2/library/good/referrers/{digest}");
    stocked.server.put(path, registry::OCI_INDEX, list.to_string().into_bytes());
    stocked.repository.write("a.yaml", pod("image: good:1"));
    assert_eq!(vendor(&stocked, &[]).code, 0);
    let referrer = Digest::sha256(referrer.as_bytes());
    assert_eq!(names(&stocked), ["docker.io/library/good:1".to_owned(), format!("docker.io/library/good@{referrer}")]);
    let blob = |digest: &Digest| stocked.repository.path(&format!("out/blobs/sha256/{}", digest.hex()));
    assert_eq!(fs::read(blob(&Digest::sha256(bundle.as_bytes()))).expect("the bundle"), bundle.as_bytes());
    assert!(!blob(&Digest::sha256(b"a layer that nobody asks for")).exists());
    // A reader of the copy finds it again.
    let entry = plimsoll::registry::settings::RawEntry {
        prefix: "*".into(),
        layout: Some(stocked.repository.path("out")),
        ..Default::default()
    };
    let settings = plimsoll::registry::settings::Settings::new(vec![entry], true).expect("settings");
    let credentials =
        plimsoll::registry::credentials::Credentials::new(plimsoll::registry::credentials::Sources::default());
    let router = plimsoll::registry::router::Router::new(
        settings,
        credentials,
        plimsoll::registry::http::Deadlines::STANDARD,
        plimsoll::registry::http::Proxies::default(),
        None,
    );
    let good = plimsoll::reference::Reference::parse("good").expect("a name").repository().clone();
    let listing = plimsoll::registry::Registry::referrers(&router, &good, &digest, None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let found = runtime.block_on(listing).expect("a list").found;
    assert_eq!(found.iter().map(|referrer| &referrer.digest).collect::<Vec<_>>(), [&referrer]);
}

/// A referrer of the image `good:1` with these layers; the digest of its manifest.
fn referred(stocked: &Stocked, layers: &[Value]) -> Digest {
    let subject = image(stocked, r#"{"os":"linux","architecture":"amd64"}"#, &serde_json::json!({}));
    let digest = stocked.server.push("library/good", "1", subject.clone(), registry::OCI_IMAGE);
    let more = serde_json::json!({"artifactType": "application/vnd.example.signature",
        "subject": descriptor(registry::OCI_IMAGE, &subject), "layers": layers});
    let referrer = image(stocked, "{}", &more);
    let list = serde_json::json!({"schemaVersion": 2, "mediaType": registry::OCI_INDEX,
        "manifests": [descriptor(registry::OCI_IMAGE, &referrer)]});
    let path = format!("/v2/library/good/referrers/{digest}");
    stocked.server.put(path, registry::OCI_INDEX, list.to_string().into_bytes());
    stocked.repository.write("a.yaml", pod("image: good:1"));
    Digest::sha256(referrer.as_bytes())
}

#[test]
fn rule_19_evidence_without_bound_is_not_copied_and_said_to_be_missing() {
    let long = |size: u64| {
        let mut row = descriptor("application/vnd.example.signature", &format!("long {size}"));
        row["size"] = size.into();
        row
    };
    let many = (0..201).map(|mark| descriptor("application/vnd.example.signature", &format!("blob {mark}"))).collect();
    let rows: [(Vec<Value>, &str, usize); 3] = [
        (many, "the limit of 200 blobs of one attestation or signature", 0),
        (vec![long(300 << 20), long(301 << 20)], "the limit of 536870912 bytes", 0),
        (vec![long(3)], "the limit of 3 bytes", 1),
    ];
    for (layers, expected, asked) in rows {
        let stocked = Stocked::new();
        stocked.server.push_blob("library/good", "long 3");
        let referrer = referred(&stocked, &layers);
        let answer = vendor(&stocked, &[]);
        assert_eq!(answer.code, 3, "{expected}: {}{}", answer.stdout, answer.stderr);
        let told = answer.stdout.lines().next().expect("a line");
        let place = if asked == 0 { referrer } else { Digest::sha256(b"long 3") };
        assert!(told.starts_with(&format!("undecided: docker.io/library/good@{place}: ")), "{told}");
        assert!(told.contains(expected), "{told}");
        let names_layer = |line: &String| layers.iter().any(|row| line.contains(row["digest"].as_str().unwrap_or("?")));
        assert_eq!(stocked.asked().iter().filter(|line| names_layer(line)).count(), asked, "{expected}");
        assert!(names(&stocked).contains(&"docker.io/library/good:1".to_owned()), "the image itself is there");
    }
}

#[test]
fn what_lies_deeper_than_a_check_reads_is_said_to_be_missing() {
    let stocked = Stocked::new();
    let mut row = descriptor(registry::OCI_IMAGE, &image(&stocked, "{}", &serde_json::json!({})));
    let mut deepest = String::new();
    for level in 0..4 {
        let text = serde_json::json!({"schemaVersion": 2, "mediaType": registry::OCI_INDEX, "manifests": [row]});
        let text = text.to_string();
        row = descriptor(registry::OCI_INDEX, &text);
        if level == 0 {
            row["digest"].as_str().expect("a digest").clone_into(&mut deepest);
        }
        stocked.server.push("library/good", "1", text, registry::OCI_INDEX);
    }
    stocked.repository.write("a.yaml", pod("image: good:1"));
    let answer = vendor(&stocked, &[]);
    assert_eq!(answer.code, 3, "{}{}", answer.stdout, answer.stderr);
    let expected = format!("undecided: docker.io/library/good@{deepest}: ");
    assert!(answer.stdout.contains(&expected) && answer.stdout.contains("limit of 3 indexes"), "{}", answer.stdout);
}

#[test]
fn nothing_is_fetched_twice_for_a_copy() {
    let stocked = one_of_each();
    vendor(&stocked, &["--no-cache"]);
    let asked = stocked.asked();
    let distinct: std::collections::BTreeSet<&String> = asked.iter().collect();
    assert_eq!(asked.len(), distinct.len(), "{asked:#?}");
}

#[cfg(unix)]
#[test]
fn a_layout_that_leads_elsewhere_or_has_no_end_is_not_read() {
    let stocked = Stocked::one(false);
    for file in ["oci-layout", "index.json"] {
        for target in ["/dev/zero", "../index-of-others.json", "pipe"] {
            let folder = format!("{file}-{}", target.replace('/', "-"));
            stocked.repository.write(&format!("{folder}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
            stocked.repository.write("index-of-others.json", r#"{"imageLayoutVersion":"1.0.0","manifests":[]}"#);
            let path = stocked.repository.path(&format!("{folder}/{file}"));
            let _ = fs::remove_file(&path);
            if target == "pipe" {
                let made = std::process::Command::new("mkfifo").arg(&path).status();
                assert!(made.is_ok_and(|status| status.success()));
            } else {
                std::os::unix::fs::symlink(target, &path).expect("linked");
            }
            let answer = stocked.run(&["vendor", &folder]);
            assert_eq!(answer.code, 2, "{folder}: {}{}", answer.stdout, answer.stderr);
            assert!(
                answer.stderr.contains(&folder) && answer.stderr.contains("name a new folder"),
                "{}",
                answer.stderr
            );
        }
    }
    stocked.repository.write("long/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    stocked.repository.write("long/index.json", "");
    let index = fs::OpenOptions::new().write(true).open(stocked.repository.path("long/index.json")).expect("opened");
    index.set_len(1 << 40).expect("a sparse file");
    let answer = stocked.run(&["vendor", "long"]);
    assert_eq!(answer.code, 2, "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stderr.contains("longer than 16777216 bytes"), "{}", answer.stderr);
    assert_eq!(stocked.asked(), Vec::<String>::new(), "before anything is asked");
}

#[test]
fn a_folder_that_is_no_layout_is_left_alone() {
    let stocked = Stocked::one(false);
    stocked.repository.write("full/mine.txt", "mine");
    stocked.repository.write("file", "mine");
    stocked.repository.write("old/oci-layout", r#"{"imageLayoutVersion":"0.9"}"#);
    stocked.repository.write("broken/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    stocked.repository.write("broken/index.json", "{");
    for out in ["full", "file", "file/below", "old", "broken"] {
        let answer = stocked.run(&["vendor", out]);
        assert_eq!(answer.code, 2, "{out}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(out), "{}", answer.stderr);
    }
    assert_eq!(stocked.asked(), Vec::<String>::new(), "before anything is asked");
    for folder in ["full", "old"] {
        assert_eq!(fs::read_dir(stocked.repository.path(folder)).expect("a folder").count(), 1);
    }
    fs::create_dir(stocked.repository.path("empty")).expect("made");
    assert_eq!(stocked.run(&["vendor", "empty"]).code, 0);
    #[cfg(unix)]
    {
        fs::create_dir(stocked.repository.path("elsewhere")).expect("made");
        stocked.repository.write("linked/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        std::os::unix::fs::symlink("../elsewhere", stocked.repository.path("linked/blobs")).expect("linked");
        assert_eq!(stocked.run(&["vendor", "linked"]).code, 2);
        assert_eq!(fs::read_dir(stocked.repository.path("elsewhere")).expect("a folder").count(), 0);
    }
}

#[test]
fn a_kill_leaves_no_copy_that_looks_whole() {
    let stocked = Stocked::with(Behaviour { delay: Duration::from_millis(100), ..Behaviour::default() });
    for tag in 0..40 {
        let digest = stocked.push(&format!("t{tag}"));
        stocked.repository.write(&format!("{tag}.yaml"), pod(&format!("image: good@{digest}")));
    }
    served_from_copy(&stocked);
    let mut run = raw(&stocked.repository, &["vendor", "out", "--config", "machine.conf", "--jobs", "1", "--no-cache"])
        .spawn()
        .expect("runs");
    let blobs = stocked.repository.path("out/blobs/sha256");
    while fs::read_dir(&blobs).map_or(0, Iterator::count) < 3 {
        assert_eq!(run.try_wait().expect("waits"), None, "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill().expect("killed");
    run.wait().expect("gone");
    assert!(!stocked.repository.path("out/index.json").exists());
    let code = || stocked.repository.run(&["check", "--config", "copy.conf"]).code;
    assert_eq!(code(), 3);
    assert_eq!(vendor(&stocked, &[]).code, 0);
    assert_eq!(code(), 0);
    let files = fs::read_dir(&blobs).expect("a folder").count();
    assert!((80..=82).contains(&files), "{files}: a killed run may leave what it had not finished");
}

#[test]
fn vendor_takes_the_options_of_a_check() {
    let stocked = Stocked::one(false);
    assert_eq!(vendor(&stocked, &["--offline"]).code, 3);
    assert_eq!(stocked.asked(), Vec::<String>::new());
    assert_eq!(vendor(&stocked, &["--no-cache"]).code, 0);
    assert!(!stocked.folder().exists());
    assert_eq!(vendor(&stocked, &["--policy", "missing.yaml"]).code, 2);
    stocked.repository.write("strict.yaml", EXAMPLE_ONLY);
    assert_eq!(stocked.run(&["vendor", "strict", "--policy", "strict.yaml"]).code, 0);
    assert_eq!(json(&stocked.repository.read("strict/index.json"))["manifests"], json("[]"), "denied by its name");
    assert_eq!(stocked.run(&["vendor", "some", "missing.yaml"]).code, 2);
    stocked.repository.write("b.yaml", pod("image: good:2"));
    assert_eq!(stocked.run(&["vendor", "some", "a.yaml"]).code, 0);
    assert_eq!(vendor(&stocked, &[]).code, 1);
    fs::remove_file(stocked.repository.path("plimsoll.yaml")).expect("removed");
    let answer = vendor(&stocked, &[]);
    assert_eq!(answer.code, 2);
    assert!(answer.stderr.contains("no policy"), "{}", answer.stderr);
}

#[test]
fn vendor_takes_a_credential_from_standard_input() {
    let login = registry::Login::Basic { user: "user".to_owned(), password: "word".to_owned() };
    let stocked = Stocked::with(Behaviour { login, ..Behaviour::default() });
    stocked.push("1");
    stocked.repository.write("a.yaml", pod("image: good:1"));
    assert_eq!(vendor(&stocked, &[]).code, 3);
    let host = stocked.server.host();
    let mut command = stocked.command(&["vendor", "out", "--registry-token-stdin", &host]);
    let answer = support::answer(&command.write_stdin("user:word").output().expect("runs"));
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    assert_eq!(stocked.run(&["vendor", "out", "-", "--registry-token-stdin", &host]).code, 2);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_no_copy() {
    let stocked = Stocked::one(false);
    let mut command = std::process::Command::new("/bin/sh");
    command.current_dir(stocked.repository.root()).env_clear().env("HOME", stocked.repository.root());
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    command.args([
        "-c",
        script,
        env!("CARGO_BIN_EXE_plimsoll"),
        "vendor",
        "out",
        "--config",
        "machine.conf",
        "--no-cache",
    ]);
    let answer = support::answer(&command.output().expect("runs"));
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("can't be written"), "{}", answer.stderr);
    assert!(!stocked.repository.path("out/index.json").exists());
    assert_eq!(vendor(&stocked, &[]).code, 0);
}
