//! Where images are asked for: configs, layouts, `--offline`, `--no-resolve`, `--platform`.

use super::*;

#[test]
fn config_leads_to_the_registry_and_ignores_files() {
    let (repository, server) = served(Duration::ZERO);
    let answer = repository.run(&["check", "--config", "machine.conf", "--format", "json"]);
    assert_eq!((answer.code, answer.verdict("good:1")), (0, "allow".to_owned()), "{}", answer.stderr);
    assert_eq!(server.lines(), ["HEAD /v2/library/good/manifests/1"]);
    repository.write("b.yaml", pod("image: evil.example/x:1"));
    let ignoring =
        format!("{}\n", repository.read("machine.conf").trim_end().replace("spec: {", "spec: {ignore: [b.yaml], "));
    repository.write("machine.conf", ignoring);
    let answer = repository.run(&["check", "--config", "machine.conf", "--format", "json"]);
    assert_eq!((answer.code, answer.json()["summary"]["ignored"].as_u64()), (0, Some(1)), "{}", answer.stderr);
    let found = |command: &str| {
        let answer = repository.run(&[command, "--config", "machine.conf"]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        answer.stdout
    };
    assert!(!found("list").contains("evil"));
    found("pin");
    let pinned = format!("image: evil.example/x:1@sha256:{}", "a".repeat(64));
    repository.write("b.yaml", pod(&pinned));
    found("unpin");
    assert_eq!(repository.read("b.yaml"), pod(&pinned));
    assert_eq!(repository.read("a.yaml"), pod("image: good:1"));
    for command in ["check", "pin", "unpin", "list"] {
        assert_eq!(code(&repository, &[command, "--config", "missing.conf"]), 2, "{command}");
        assert_eq!(code(&repository, &[command, "--config", "plimsoll.yaml"]), 2, "{command}: a policy is none");
    }
}

#[test]
fn offline_asks_nothing_and_layouts_still_answer() {
    let (repository, server) = served(Duration::ZERO);
    for command in ["check", "pin"] {
        let answer = repository.run(&[command, "--offline", "--config", "machine.conf", "--format", "json"]);
        assert_eq!((answer.code, answer.verdict("good:1")), (3, "undecided".to_owned()), "{}", answer.stdout);
    }
    assert_eq!(server.lines(), Vec::<String>::new());
    assert_eq!(code(&good(), &["check", "--offline"]), 0);
    assert_eq!(code(&good(), &["pin", "--offline"]), 0);
}

#[test]
fn no_resolve_asks_nothing_and_says_what_was_left_out() {
    let (repository, server) = served(Duration::ZERO);
    let run = || repository.run(&["check", "--no-resolve", "--config", "machine.conf", "--format", "json"]);
    let answer = run();
    assert_eq!((answer.code, answer.verdict("good:1")), (0, "allow".to_owned()));
    assert_eq!(answer.json()["run"]["not_evaluated"], json(r#"["exists"]"#));
    let text = repository.run(&["check", "--no-resolve", "--config", "machine.conf"]).stdout;
    assert!(text.contains("not evaluated without asking a registry: exists"), "{text}");
    repository.write(
        "plimsoll.yaml",
        LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", "image-size: {max: 1}"),
    );
    let answer = run();
    assert_eq!((answer.code, answer.verdict("good:1")), (3, "undecided".to_owned()));
    assert_eq!(answer.json()["run"]["not_evaluated"], json(r#"["exists", "image-size"]"#));
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[test]
fn platform_chooses_what_is_judged_and_what_is_pinned() {
    let policy =
        LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", "image-size: {max: 10KiB}");
    let repository = Repository::with(&policy, &[], &[("a.yaml", &pod("image: good:1"))]);
    let mut layout = Layout::new(&repository.path("registry"));
    let small = layout.image(("linux", "amd64"), 10, "small");
    let large = layout.image(("linux", "arm64"), 20_000, "large");
    let index = layout.index(&[(&small, ("linux", "amd64")), (&large, ("linux", "arm64"))]);
    layout.name(GOOD, &index);
    layout.finish();
    for (platforms, expected) in [
        (&[][..], 1),
        (&["--platform", "linux/amd64"], 0),
        (&["--platform", "linux/arm64"], 1),
        (&["--platform", "linux/amd64", "--platform", "linux/arm64"], 1),
        (&["--platform", "linux/s390x"], 3),
        (&["--platform", "linux"], 2),
    ] {
        assert_eq!(code(&repository, &[&["check"], platforms].concat()), expected, "{platforms:?}");
    }
    assert_eq!(code(&repository, &["pin"]), 1);
    assert_eq!(code(&repository, &["pin", "--platform", "linux/amd64"]), 0);
    assert_eq!(repository.read("a.yaml"), pod(&format!("image: good:1@{}", small.digest())));
    assert_eq!(code(&repository, &["check"]), 0);
}
