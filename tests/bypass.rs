//! Ways to get past the gate, one function each: every one must fail closed.
//! In each, `evil.example/x` exists in the registry, so only the rules stand between it and `allow`.

#[path = "support/registry.rs"]
mod registry;
#[path = "support/stacked.rs"]
mod stacked;
mod support;

use plimsoll::digest::Digest;
use registry::OCI_IMAGE;
use serde_json::{Value, json};
use stacked::{Layer, base_annotations, index, indexed, layer, name, packed, stack};
use support::{FROM_LAYOUT, LIBRARY_ONLY, Layout, Repository, pod};

const GOOD: &str = "docker.io/library/good:1";
const EVIL: &str = "evil.example/x:latest";

fn repository(files: &[(&str, &str)]) -> Repository {
    Repository::with(LIBRARY_ONLY, &[GOOD, EVIL], files)
}

/// The run fails closed: denied or undecided, and nothing that names the evil image is allowed.
fn fails_closed(repository: &Repository) {
    let answer = repository.check();
    assert!(matches!(answer.code, 1 | 3), "exit {}:\n{}\n{}", answer.code, answer.stdout, answer.stderr);
    for row in answer.json()["references"].as_array().expect("references") {
        let evil = row["text"].as_str().is_some_and(|text| text.contains("evil"));
        assert!(!(evil && row["verdict"] == "allow"), "allowed: {row}");
    }
}

/// The evil image is found and denied by name.
fn denied(files: &[(&str, &str)]) {
    let repository = repository(files);
    let answer = repository.check();
    assert_eq!(answer.code, 1, "{}\n{}", answer.stdout, answer.stderr);
    let report = answer.json();
    let rows = report["references"].as_array().expect("references");
    assert!(
        rows.iter().any(|row| row["image"] == EVIL && row["verdict"] == "deny"),
        "the evil image was not found: {report:#}"
    );
}

fn hidden(files: &[(&str, &str)]) {
    fails_closed(&repository(files));
}

#[test]
fn the_harness_allows_what_is_good() {
    let repository = repository(&[("a.yaml", &pod("image: good:1"))]);
    let answer = repository.check();
    assert_eq!(answer.code, 0, "{}\n{}", answer.stdout, answer.stderr);
    assert_eq!(answer.verdict("good:1"), "allow");
    denied(&[("a.yaml", &pod("image: evil.example/x"))]);
}

#[test]
fn as_a_shell_variable() {
    hidden(&[("a.yaml", &pod("image: ${X}"))]);
    hidden(&[("a.yaml", &pod("image: evil.example/${X}"))]);
    hidden(&[("a.yaml", &pod("image: $X"))]);
}

#[test]
fn as_a_kubernetes_variable() {
    hidden(&[("a.yaml", &pod("image: $(X)"))]);
}

#[test]
fn as_a_template() {
    hidden(&[("a.yaml", &pod("image: {{ .Values.image }}"))]);
    hidden(&[("a.yaml", &pod("image: \"{{ .Values.image }}\""))]);
    hidden(&[("a.yaml", &pod("image: evil.example/x:{{ .tag }}"))]);
    hidden(&[("a.yaml", "kind: Pod\nspec:\n  {{- include \"containers\" . | nindent 2 }}\n")]);
}

#[test]
fn a_key_with_escapes() {
    denied(&[("a.yaml", &pod("\"\\u0069mage\": evil.example/x"))]);
    denied(&[("a.yaml", &pod("\"\\x69mage\": evil.example/x"))]);
    denied(&[("a.json", r#"{"spec":{"c\u006fntainers":[{"im\u0061ge":"evil.example\/x"}]}}"#)]);
}

#[test]
fn a_key_or_value_in_base64() {
    hidden(&[("a.yaml", &pod("!!binary aW1hZ2U=: evil.example/x"))]);
    hidden(&[("a.yaml", &pod("image: !!binary ZXZpbC5leGFtcGxlL3g="))]);
}

#[test]
fn a_key_that_is_an_alias() {
    hidden(&[("a.yaml", &format!("k: &k image\n{}", pod("*k : evil.example/x")))]);
}

#[test]
fn a_complex_key() {
    hidden(&[("a.yaml", &pod("? image\n      : evil.example/x"))]);
    hidden(&[("a.yaml", &pod("? !!str image\n      : evil.example/x"))]);
}

#[test]
fn a_folded_or_literal_scalar() {
    denied(&[("a.yaml", &pod("image: >-\n        evil.example/x"))]);
    denied(&[("a.yaml", &pod("image: |-\n        evil.example/x"))]);
    hidden(&[("a.yaml", &pod("image: >\n        evil.example/x"))]);
    denied(&[("a.yaml", &pod("image: \"evil.exam\\\n        ple/x\""))]);
    denied(&[("a.yaml", &pod("image:\n        evil.example/x"))]);
}

#[test]
fn an_alias() {
    denied(&[("a.yaml", &format!("x: &e evil.example/x\n{}", pod("image: *e")))]);
    denied(&[("a.yaml", "x: &c [{name: c, image: evil.example/x}]\nspec: {containers: *c}\n")]);
}

#[test]
fn a_merge_key() {
    denied(&[("a.yaml", "x: &c {image: evil.example/x}\nspec: {containers: [{name: c, <<: *c}]}\n")]);
    denied(&[("a.yaml", "x: &s {containers: [{image: evil.example/x}]}\nspec: {<<: [*s]}\n")]);
}

#[test]
fn an_anchor_on_another_document() {
    hidden(&[("a.yaml", &format!("x: &e good:1\n---\n{}", pod("image: *e")))]);
}

#[test]
fn a_duplicate_key() {
    denied(&[("a.yaml", &pod("image: evil.example/x\n      image: good:1"))]);
    denied(&[("a.yaml", &pod("image: good:1\n      image: evil.example/x"))]);
    denied(&[("a.yaml", "spec: {containers: [{image: evil.example/x}], containers: [{image: 'good:1'}]}\n")]);
    denied(&[("a.yaml", "spec: {containers: [{image: evil.example/x}]}\nspec: {containers: [{image: 'good:1'}]}\n")]);
}

#[test]
fn a_list_in_place_of_a_map_and_a_map_in_place_of_a_list() {
    hidden(&[("a.yaml", "kind: Pod\nspec: {containers: {image: evil.example/x}}\n")]);
    hidden(&[("a.yaml", "kind: Pod\nspec: {containers: [[{image: evil.example/x}]]}\n")]);
    hidden(&[("a.yaml", "kind: Pod\nspec: {containers: [{image: [evil.example/x]}, {image: evil.example/x}]}\n")]);
    denied(&[("a.yaml", "- kind: Pod\n  spec: {containers: [{image: evil.example/x}]}\n")]);
}

#[test]
fn utf_16() {
    let repository = repository(&[]);
    let text = pod("image: evil.example/x");
    let little: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    repository.write("a.yaml", &little);
    fails_closed(&repository);
    repository.write("a.yaml", &little[2..]);
    fails_closed(&repository);
    let big: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    repository.write("a.yaml", &big);
    fails_closed(&repository);
}

#[test]
fn a_byte_order_mark_in_the_middle() {
    hidden(&[("a.yaml", &format!("{}---\n\u{feff}{}", pod("image: good:1"), pod("image: evil.example/x")))]);
    hidden(&[("a.yaml", &pod("\u{feff}image: evil.example/x"))]);
}

#[test]
fn bytes_that_are_not_utf_8() {
    let repository = repository(&[]);
    let mut bytes = pod("image: evil.example/x").into_bytes();
    bytes.extend(b"# \xff\xfe\n");
    repository.write("a.yaml", bytes);
    fails_closed(&repository);
}

#[test]
fn a_yaml_1_1_reading() {
    hidden(&[("a.yaml", &pod("image: yes"))]);
    hidden(&[("a.yaml", &format!("{}\u{85}# x", pod("image: evil.example/x")))]);
    hidden(&[("a.yaml", &format!("# comment\u{2028}{}", pod("image: evil.example/x")))]);
}

#[test]
fn a_broken_document_beside_a_good_one() {
    denied(&[("a.yaml", &format!("a: [\n---\n{}", pod("image: evil.example/x")))]);
    hidden(&[("a.yaml", &format!("{}---\nimage: [\n", pod("image: good:1")))]);
}

#[test]
fn a_document_end_inside_a_scalar() {
    denied(&[("a.yaml", &format!("a: \"\n---\n{}", pod("image: evil.example/x")))]);
    hidden(&[("a.yaml", &format!("a: \"\n---\n{}\"", pod("image: evil.example/x")))]);
    denied(&[("a.yaml", &format!("a: |\n  x\n---\n{}", pod("image: evil.example/x")))]);
}

#[test]
fn under_an_invented_chart() {
    denied(&[("c/Chart.yaml", "name: c\n"), ("c/templates/a.yaml", &pod("image: evil.example/x"))]);
}

#[test]
fn every_kind_of_container_and_object() {
    for text in [
        "kind: Pod\nspec: {initContainers: [{image: evil.example/x}]}\n",
        "kind: Pod\nspec: {ephemeralContainers: [{image: evil.example/x}]}\n",
        "kind: Pod\nspec: {volumes: [{name: v, image: {reference: evil.example/x}}]}\n",
        "kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{image: evil.example/x}]}}}}}\n",
        "kind: List\nitems: [{kind: List, items: [{kind: Pod, spec: {containers: [{image: evil.example/x}]}}]}]\n",
        "kind: AdmissionReview\nrequest: {object: {kind: Pod, spec: {containers: [{image: evil.example/x}]}}}\n",
        "kind: PodTemplate\ntemplate: {spec: {containers: [{image: evil.example/x}]}}\n",
        "apiVersion: made.up/v9\nkind: Whatever\nspec: {a: [{b: {containers: [{image: evil.example/x}]}}]}\n",
        "spec: {containers: [{image: evil.example/x}]}\n",
        "apiVersion: v1\nkind: ConfigMap\nspec: {containers: [{image: evil.example/x}]}\n",
        "apiVersion: v1\nkind: CustomResourceDefinition\nspec: {containers: [{image: evil.example/x}]}\n",
    ] {
        denied(&[("a.yaml", text)]);
    }
}

#[test]
fn a_name_that_looks_like_a_trusted_one() {
    let policy = LIBRARY_ONLY.replace("docker.io/library/*", "myreg.io/**");
    let names = [
        "myreg.io/x:1",
        "myreg.io.evil.com/x:1",
        "myreg.io:5000/x:1",
        "evil.com/myreg.io/x:1",
        "docker.io/myreg.io-x/x:1",
    ];
    for (text, verdict) in [
        ("myreg.io/x:1", "allow"),
        ("MYREG.io/x:1", "allow"), // the same host, in lower case
        ("myreg.io.evil.com/x:1", "deny"),
        ("myreg.io:5000/x:1", "deny"),
        ("evil.com/myreg.io/x:1", "deny"),
        ("myreg.io-x/x:1", "deny"),
        ("myreg.io./x:1", "undecided"),
        ("myreg.iо/x:1", "undecided"), // a Cyrillic letter
        ("myreg.io/Foo:1", "undecided"),
        ("myreg.io@evil.com/x:1", "undecided"),
    ] {
        let repository = Repository::with(&policy, &names, &[("a.yaml", &pod(&format!("image: \"{text}\"")))]);
        let answer = repository.check();
        assert_eq!(answer.verdict(text), verdict, "{text}\n{}", answer.stdout);
        assert_ne!(answer.code == 0, verdict != "allow");
    }
}

#[test]
fn aliases_of_docker_hub_are_docker_hub() {
    let policy = LIBRARY_ONLY.replace("allow: [\"docker.io/library/*\"]", "deny: [\"docker.io/evil/*\"]");
    for text in [
        "evil/x:1",
        "docker.io/evil/x:1",
        "index.docker.io/evil/x:1",
        "registry-1.docker.io/evil/x:1",
        "DOCKER.io/evil/x:1",
    ] {
        let repository =
            Repository::with(&policy, &["docker.io/evil/x:1"], &[("a.yaml", &pod(&format!("image: {text}")))]);
        assert_eq!(repository.check().verdict(text), "deny", "{text}");
    }
}

#[test]
fn an_upper_case_first_part_is_a_host_and_not_docker_hub() {
    let policy = LIBRARY_ONLY.replace("docker.io/library/*", "docker.io/**");
    let repository = Repository::with(&policy, &["foo/bar:latest"], &[("a.yaml", &pod("image: Foo/bar"))]);
    assert_eq!(repository.check().verdict("Foo/bar"), "deny");
}

const PINNED: &str = r#"
apiVersion: plimsoll.dev/v1
kind: ImagePolicy
metadata: {name: test}
spec:
  statements:
    - name: all
      match: ["**"]
      rules: {mutable-tag: {}, pinned-digest: {}, tag-digest-match: {}}
"#;

#[test]
fn latest_beside_a_digest_is_still_latest() {
    let repository = Repository::with(PINNED, &[], &[]);
    let mut layout = Layout::new(&repository.path("registry"));
    let digest = layout.add("docker.io/library/good:latest").digest();
    layout.finish();
    repository.write("a.yaml", pod(&format!("image: good:latest@{digest}")));
    let answer = repository.check();
    assert_eq!((answer.code, answer.rules("violated")), (1, vec!["mutable-tag".to_owned()]));
}

#[test]
fn an_old_digest_behind_a_good_tag() {
    let repository = Repository::with(PINNED, &[], &[]);
    let mut layout = Layout::new(&repository.path("registry"));
    let old = layout.image(("linux", "amd64"), 1, "old");
    layout.name("docker.io/library/good:old", &old);
    layout.add("docker.io/library/good:1");
    layout.finish();
    repository.write("a.yaml", pod(&format!("image: good:1@{}", old.digest())));
    let answer = repository.check();
    assert_eq!((answer.code, answer.rules("violated")), (1, vec!["tag-digest-match".to_owned()]));
}

#[test]
fn digests_that_are_none() {
    let hex = "a".repeat(64);
    for text in [
        format!("good:1@sha256:{}", &hex[1..]),
        format!("good:1@sha256:{}", hex.to_uppercase()),
        format!("good:1@sha512:{hex}"),
        format!("good:1@md5:{}", &hex[..32]),
        "good:1@".to_owned(),
        "good@1".to_owned(),
    ] {
        let repository =
            Repository::with(PINNED, &["docker.io/library/good:1"], &[("a.yaml", &pod(&format!("image: {text}")))]);
        let answer = repository.check();
        assert_eq!((answer.code, answer.verdict(&text)), (3, "undecided".to_owned()), "{text}");
    }
    // Well formed, and nothing has it.
    for text in [format!("good:1@sha256:{hex}"), format!("good:1@sha512:{hex}{hex}")] {
        let repository =
            Repository::with(PINNED, &["docker.io/library/good:1"], &[("a.yaml", &pod(&format!("image: {text}")))]);
        let answer = repository.check();
        assert_eq!((answer.code, answer.rules("violated")), (1, vec!["exists".to_owned()]), "{text}");
    }
}

const SMALL: &str = r#"
apiVersion: plimsoll.dev/v1
kind: ImagePolicy
metadata: {name: test}
spec:
  statements:
    - name: all
      match: ["**"]
      rules: {image-size: {max: 10KiB}}
"#;

#[test]
fn an_index_with_one_bad_child() {
    let repository = Repository::with(SMALL, &[], &[("a.yaml", &pod("image: good:1"))]);
    let build = |big: u64| {
        let mut layout = Layout::new(&repository.path("registry"));
        let small = layout.image(("linux", "amd64"), 10, "small");
        let other = layout.image(("linux", "arm64"), big, "other");
        let index = layout.index(&[(&small, ("linux", "amd64")), (&other, ("linux", "arm64"))]);
        layout.name("docker.io/library/good:1", &index);
        layout.finish();
    };
    build(20);
    assert_eq!(repository.check().code, 0);
    build(20_000);
    let answer = repository.check();
    assert_eq!((answer.code, answer.rules("violated")), (1, vec!["image-size".to_owned()]));
}

#[test]
fn a_real_image_in_the_guise_of_an_attestation() {
    let repository = Repository::with(SMALL, &[], &[("a.yaml", &pod("image: good:1"))]);
    let mut layout = Layout::new(&repository.path("registry"));
    let small = layout.image(("linux", "amd64"), 10, "small");
    let mut big = layout.image(("linux", "arm64"), 20_000, "big");
    big.descriptor["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    let index = layout.index(&[(&small, ("linux", "amd64")), (&big, ("linux", "arm64"))]);
    layout.name("docker.io/library/good:1", &index);
    layout.finish();
    let answer = repository.check();
    assert_eq!((answer.code, answer.rules("violated")), (1, vec!["image-size".to_owned()]));
}

#[test]
fn an_index_without_anything_to_run() {
    let repository = Repository::with(SMALL, &[], &[("a.yaml", &pod("image: good:1"))]);
    let mut layout = Layout::new(&repository.path("registry"));
    let index = layout.index(&[]);
    layout.name("docker.io/library/good:1", &index);
    layout.finish();
    assert_eq!(repository.check().code, 3);
}

#[test]
fn a_layout_that_answers_with_another_repositorys_content() {
    let repository = Repository::with(PINNED, &[], &[]);
    let mut layout = Layout::new(&repository.path("registry"));
    let evil = layout.add("evil.example/x:1").digest();
    layout.add("docker.io/library/good:1");
    layout.finish();
    repository.write("a.yaml", pod(&format!("image: good@{evil}")));
    let answer = repository.check();
    assert_eq!((answer.code, answer.rules("violated")), (1, vec!["exists".to_owned()]), "{}", answer.stdout);
}

#[test]
fn a_layout_with_the_same_name_twice_or_with_wrong_bytes() {
    let repository = repository(&[("a.yaml", &pod("image: good:1"))]);
    let mut layout = Layout::new(&repository.path("registry"));
    let first = layout.image(("linux", "amd64"), 1, "first");
    let second = layout.image(("linux", "amd64"), 1, "second");
    layout.name("docker.io/library/good:1", &first);
    layout.name("docker.io/library/good:1", &second);
    layout.finish();
    assert_eq!(repository.check().code, 3);

    let mut layout = Layout::new(&repository.path("registry"));
    layout.name("docker.io/library/good:1", &first);
    layout.finish();
    assert_eq!(repository.check().code, 0);
    let digest = first.digest();
    repository.write(&format!("registry/blobs/sha256/{}", &digest[7..]), "{}");
    assert_eq!(repository.check().code, 3);
}

#[test]
fn a_nested_policy_is_reported_and_not_used() {
    let repository = repository(&[("sub/a.yaml", &pod("image: evil.example/x"))]);
    repository.write("sub/plimsoll.yaml", LIBRARY_ONLY.replace("docker.io/library/*", "evil.example/**"));
    let answer = repository.check();
    assert_eq!(answer.code, 1);
    assert!(answer.stdout.contains("sub/plimsoll.yaml"), "{}", answer.stdout);
    repository.git(&["init", "-q"]);
    let inside = support::answer(
        &repository.command(&["check", "--format", "json"]).current_dir(repository.path("sub")).output().expect("runs"),
    );
    assert_eq!(inside.code, 1, "{}{}", inside.stdout, inside.stderr);
}

#[test]
fn a_policy_changed_in_the_same_commit() {
    let repository = repository(&[("a.yaml", &pod("image: good:1"))]);
    repository.git(&["init", "-q"]);
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "base"]);
    repository.write("plimsoll.yaml", format!("{}{FROM_LAYOUT}", LIBRARY_ONLY.replace("docker.io/library/*", "**")));
    repository.write("a.yaml", pod("image: evil.example/x"));
    repository.git(&["commit", "-qam", "change"]);
    assert_eq!(repository.check().code, 0, "the change lets itself through");
    let answer = repository.run(&["check", "--format", "json", "--policy-from", "HEAD~1"]);
    assert_eq!(answer.code, 1, "{}{}", answer.stdout, answer.stderr);
    assert_eq!(repository.run(&["check", "--policy-from", "no-such-commit"]).code, 2);
    assert_eq!(repository.run(&["check", "--policy-from", "--help"]).code, 2);
}

#[test]
fn a_tracked_file_that_an_ignore_file_names() {
    let repository = repository(&[("a.yaml", &pod("image: evil.example/x")), ("good.yaml", &pod("image: good:1"))]);
    repository.git(&["init", "-q"]);
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "base"]);
    for name in [".gitignore", ".ignore", ".git/info/exclude", ".rgignore", ".plimsollignore"] {
        repository.write(name, "a.yaml\n");
    }
    fails_closed(&repository);
    repository.git(&["update-index", "--assume-unchanged", "a.yaml"]);
    fails_closed(&repository);
    repository.git(&["update-index", "--skip-worktree", "a.yaml"]);
    fails_closed(&repository);
}

#[test]
fn an_untracked_file_that_only_other_ignore_files_name() {
    let repository = repository(&[("good.yaml", &pod("image: good:1"))]);
    repository.git(&["init", "-q"]);
    repository.write("a.yaml", pod("image: evil.example/x"));
    for name in [".ignore", ".git/info/exclude"] {
        repository.write(name, "a.yaml\n");
    }
    fails_closed(&repository);
}

#[test]
fn a_hidden_folder_and_an_odd_file_name() {
    denied(&[(".hidden/a.yaml", &pod("image: evil.example/x"))]);
    denied(&[("A.YAML", &pod("image: evil.example/x"))]);
    denied(&[("a b\n.yml", &pod("image: evil.example/x"))]);
}

#[test]
fn exceptions_that_reach_too_far() {
    let with = |exception: &str| format!("{LIBRARY_ONLY}  exceptions:\n    - {exception}\n");
    let base = "reason: r, owner: o";
    for exception in [
        format!("{{image: 'evil.example/*', rules: [trusted-registry], {base}, expires: 2027-01-01}}"),
        format!("{{image: '**', rules: [trusted-registry], {base}, expires: 2027-01-01}}"),
        format!("{{image: x, rules: [trusted-registry], {base}, expires: 2027-01-01}}"),
        format!("{{image: evil.example/x, rules: [unmatched], {base}, expires: 2027-01-01}}"),
        format!("{{image: evil.example/x, rules: [exists], {base}, expires: 2027-01-01}}"),
        format!("{{image: evil.example/x, rules: ['*'], {base}, expires: 2027-01-01}}"),
        format!("{{image: evil.example/x, rules: [], {base}, expires: 2027-01-01}}"),
        format!("{{image: evil.example/x, rules: [trusted-registry], {base}, expires: 2037-01-01}}"),
        format!("{{image: evil.example/x, rules: [trusted-registry], {base}}}"),
        "{image: evil.example/x, rules: [trusted-registry], owner: o, expires: 2027-01-01}".to_owned(),
    ] {
        let repository = Repository::with(&with(&exception), &[EVIL], &[("a.yaml", &pod("image: evil.example/x"))]);
        let answer = repository.run(&["check", "--now", "2026-11-20T00:00:00Z"]);
        assert_eq!(answer.code, 2, "{exception}\n{}{}", answer.stdout, answer.stderr);
    }
}

#[test]
fn an_exception_past_its_day() {
    let policy = format!(
        "{LIBRARY_ONLY}  exceptions:\n    - {{image: evil.example/x, rules: [trusted-registry], reason: r, owner: o, expires: 2026-11-20}}\n"
    );
    let repository = Repository::with(&policy, &[EVIL], &[("a.yaml", &pod("image: evil.example/x"))]);
    let at = |now: &str| repository.run(&["check", "--format", "json", "--now", now]);
    assert_eq!(at("2026-11-20T23:59:59Z").code, 0);
    assert_eq!(at("2026-11-21T00:00:00Z").code, 1);
    assert_eq!(at("2026-11-20T23:59:59Z").rules("excepted"), ["trusted-registry"]);
}

#[test]
fn a_statement_without_a_deny_level_rule() {
    for rules in ["trusted-registry: {allow: ['evil.example/**'], level: warn}", "pinned-digest: {level: off}"] {
        let policy = LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", rules);
        let repository = Repository::with(&policy, &[EVIL], &[("a.yaml", &pod("image: evil.example/x"))]);
        let answer = repository.check();
        assert_eq!((answer.code, answer.rules("violated").contains(&"unmatched".to_owned())), (1, true), "{rules}");
    }
}

#[test]
fn an_empty_policy_allows_nothing() {
    let policy = "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nmetadata: {name: x}\nspec: {statements: []}\n";
    let repository = Repository::with(policy, &[GOOD], &[("a.yaml", &pod("image: good:1"))]);
    assert_eq!(repository.check().code, 1);
}

#[test]
fn a_built_in_that_may_not_be_lowered() {
    for line in ["unmatched: {level: warn}", "exists: {level: warn}", "unreadable-source: {level: off}"] {
        let policy = LIBRARY_ONLY.replace("spec:\n", &format!("spec:\n  built-in: {{{line}}}\n"));
        let repository = Repository::with(&policy, &[GOOD], &[("a.yaml", &pod("image: good:1"))]);
        assert_eq!(repository.check().code, 2, "{line}");
    }
}

#[test]
fn a_repository_that_chooses_its_own_transport() {
    let settings = ["insecure: true", "mirrors: ['http://127.0.0.1:1']", "only-mirrors: true", "ca: ca.pem"];
    for setting in settings.into_iter().chain(["token-realm: 'https://evil.example/token'"]) {
        let repository = Repository::new();
        let config = format!(
            "---\napiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: docker.io, {setting}}}]}}\n"
        );
        repository.write("plimsoll.yaml", format!("{LIBRARY_ONLY}{config}"));
        repository.write("a.yaml", pod("image: good:1"));
        assert_eq!(repository.check().code, 2, "{setting}");
    }
}

#[test]
fn denied_references_are_not_written_to_standard_output() {
    let repository = repository(&[]);
    let input = format!("{}---\n{}", pod("image: good:1"), pod("image: evil.example/x"));
    let answer = repository.run_with(&["pin", "-", "--as", "kubernetes"], input.as_bytes());
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{}", answer.stderr);
    let input = format!("{}---\n{}", pod("image: good:1"), pod("image: ${X}"));
    let answer = repository.run_with(&["pin", "-", "--as", "kubernetes"], input.as_bytes());
    assert_eq!((answer.code, answer.stdout.as_str()), (3, ""), "{}", answer.stderr);
    let answer = repository.run_with(&["pin", "-", "--as", "kubernetes"], pod("image: good:1").as_bytes());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("image: good:1@sha256:"), "{}", answer.stdout);
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_tree() {
    let outside = Repository::new();
    outside.write("a.yaml", pod("image: good:1"));
    let repository = repository(&[("b.yaml", &pod("image: good:1"))]);
    std::os::unix::fs::symlink(outside.path("a.yaml"), repository.path("a.yaml")).expect("linked");
    let answer = repository.run(&["pin"]);
    assert_eq!(outside.read("a.yaml"), pod("image: good:1"), "the file outside is as it was: {}", answer.stderr);
    assert!(std::fs::symlink_metadata(repository.path("a.yaml")).expect("there").is_symlink());
    // Still judged.
    outside.write("a.yaml", pod("image: evil.example/x"));
    fails_closed(&repository);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_never_no_images() {
    let repository = repository(&[("good.yaml", &pod("image: good:1"))]);
    std::os::unix::fs::symlink("nowhere.yaml", repository.path("a.yaml")).expect("linked");
    fails_closed(&repository);
}

#[test]
fn nothing_to_look_at_is_said_aloud() {
    let repository = repository(&[("readme.txt", "no images")]);
    std::fs::remove_file(repository.path("readme.txt")).expect("removed");
    std::fs::create_dir(repository.path("empty")).expect("made");
    assert_eq!(repository.run(&["check", "empty"]).code, 2);
    assert_eq!(repository.run(&["check", "empty", "--allow-empty"]).code, 0);
    assert_eq!(repository.run(&["check", "missing.yaml"]).code, 2);
    assert_eq!(repository.run(&["check", "missing.yaml", "--allow-empty"]).code, 2);
}

#[test]
fn bombs_end() {
    let mut laughs = String::from("a0: &a0 [x]\n");
    for level in 1..40 {
        let inner = format!("*a{}", level - 1);
        let row = [inner.as_str(); 10].join(", ");
        laughs.extend([format!("a{level}: &a{level} [{row}]\n")]);
    }
    laughs.push_str("spec: {containers: *a39}\n");
    hidden(&[("a.yaml", &laughs)]);
    hidden(&[("a.yaml", &format!("image: {}", "[".repeat(100_000)))]);
    hidden(&[("a.yaml", &format!("image:\n{}", "? ".repeat(20_000)))]);
    hidden(&[("a.json", &format!("{{\"image\":{}", "{\"a\":".repeat(100_000)))]);
}

#[test]
fn a_definition_that_is_a_list_or_a_part_of_a_pod() {
    // kubectl applies the items of any object that has some
    denied(&[(
        "a.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nitems: [{apiVersion: v1, kind: Pod, spec: {containers: [{image: evil.example/x}]}}]\n",
    )]);
    // fields that a Pod does not have
    denied(&[(
        "a.yaml",
        "apiVersion: v1\nkind: Pod\nspec: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, containers: [{image: evil.example/x}]}\n",
    )]);
    denied(&[(
        "a.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {containers: [{image: evil.example/x}]}}}\n",
    )]);
}

#[test]
fn inside_what_looks_like_an_action() {
    // valid YAML as it stands, for those who render nothing
    denied(&[("a.yaml", &format!("a: x{{{{\n{}# }}}}\n", pod("image: evil.example/x")))]);
    denied(&[("a.yaml", &format!("a: x{{{{ \"\n{}b: x\" }}}}\n", pod("image: evil.example/x")))]);
    denied(&[("a.yaml", &format!("# {{{{/*\n{}# */}}}}\n", pod("image: evil.example/x")))]);
    denied(&[(
        "a.yaml",
        "spec:\n  containers: [{args: [\"{{\"], image: evil.example/x, command: [\"}}\"]}]\n  x: a{{ b }}\n",
    )]);
    // no YAML to a strict reader, and to kubectl's some
    hidden(&[("a.yaml", &format!("# {{{{\na: \"x\ny\"\n{}# }}}}\n", pod("image: evil.example/x")))]);
    hidden(&[("a.yaml", &format!("# {{{{\na: \"x\ny\"\n{}# }}}}\n", pod("\"im\\x61ge\": evil.example/x")))]);
}

#[test]
fn an_action_in_a_comment() {
    hidden(&[("a.yaml", "kind: Pod\n# {{ include \"evil\" . | nindent 0 }}\n")]);
    hidden(&[("a.yaml", "kind: Pod\n# {{ include \"evil\" . }}\n")]);
    hidden(&[("a.yaml", "kind: Pod # {{ \"\\nspec: {containers: [{image: evil.example/x}]}\" }}\n")]);
    hidden(&[("a.yaml", "kind: Pod\n# {{ `\nspec: {}` }}\n")]);
    hidden(&[("a.yaml", &format!("x: {{{{ y }}}}\n# \u{85}{}", pod("image: evil.example/x").replace('\n', "\u{85}")))]);
}

#[test]
fn a_document_that_ends_at_another_line_end() {
    // of several documents kubectl takes the first, by lines of YAML 1.1
    let evil = "kind: Pod\u{85}spec: {containers: [{image: evil.example/x}]}\u{85}";
    hidden(&[("a.yaml", &format!("# c\u{85}{evil}---\u{85}b: 1\na: 1\n"))]);
    hidden(&[("a.yaml", &format!("# c\u{85}{evil}---\u{85}[\na: 1\n"))]);
    hidden(&[("a.yaml", &format!("# c\u{85}{evil}x: \"\u{85}y\"\u{85}#\na: 1\n"))]);
}

#[test]
fn a_marker_that_is_one_to_kubectl_alone() {
    for mark in ["\u{a0}", "\u{b}", "\u{2003}", "\u{3000}", "#", "# c", "x"] {
        let text = format!("!!null |\n---{mark}\n{}", pod("image: evil.example/x"));
        hidden(&[("a.yaml", &text)]);
        hidden(&[("a.yaml", &format!("x{{{{ y }}}}: 1\n---\n{text}"))]);
    }
}

#[test]
fn a_key_in_base64_where_only_a_lenient_reader_reads_on() {
    let keys = "spec: {!!bin%61ry Y29udGFpbmVycw==: [{!!bin%61ry aW1hZ2U=: evil.example/x}]}\n";
    hidden(&[("a.yaml", &format!("kind: Pod\na: \"x\ny\"\n{keys}"))]);
}

#[test]
fn a_name_too_long_for_a_digest_behind_it() {
    let host = ["a".repeat(60).as_str(); 16].join(".");
    let repository = repository(&[("a.yaml", &pod(&format!("image: {host}.io/x:1")))]);
    for arguments in [&["check"][..], &["pin"], &["pin", "--diff"]] {
        assert_eq!(repository.run(arguments).code, 3, "{arguments:?}");
    }
    let answer = repository.run(&["pin", "--no-policy"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
}

#[cfg(unix)]
#[test]
fn a_file_name_that_reads_as_a_folder_elsewhere() {
    let policy = LIBRARY_ONLY.replace("match: [\"**\"]", "match: [\"**\"]\n      where: {paths: [\"*.yaml\"]}")
        + "    - name: playground\n      match: [\"**\"]\n      where: {paths: [\"play/**\"]}\n      rules: {mutable-tag: {deny: [none]}}\n";
    let evil = pod("image: evil.example/x");
    let repository = Repository::with(&policy, &[EVIL], &[("play/a.yaml", &evil)]);
    assert_eq!(repository.check().code, 0);
    repository.write("play\\a.yaml", &evil);
    fails_closed_by_any(&repository);
}

/// As [`fails_closed`], where the same name is allowed elsewhere.
fn fails_closed_by_any(repository: &Repository) {
    let answer = repository.check();
    assert!(matches!(answer.code, 1 | 3), "exit {}:\n{}\n{}", answer.code, answer.stdout, answer.stderr);
}

#[test]
fn an_anchor_that_is_not_only_an_image_is_not_pinned() {
    let names = ["docker.io/library/good:latest"];
    for text in [
        "kind: Pod\nspec: {containers: [{name: &n good, image: *n}]}\n",
        "kind: Pod\nspec: {containers: [{image: &n good, name: *n}]}\n",
        "kind: Pod\nspec: {containers: [{image: &n good, name: *n}, {image: *n}]}\n",
    ] {
        let repository = Repository::with(LIBRARY_ONLY, &names, &[("a.yaml", text)]);
        let answer = repository.run(&["pin"]);
        assert_eq!((answer.code, repository.read("a.yaml").as_str()), (0, text), "{}{}", answer.stdout, answer.stderr);
    }
    for text in [
        "kind: Pod\nspec: {containers: [{image: &n good}, {image: *n}]}\n",
        "x-image: &n good\nkind: Pod\nspec: {containers: [{image: *n}]}\n",
    ] {
        let repository = Repository::with(LIBRARY_ONLY, &names, &[("a.yaml", text)]);
        assert_eq!(repository.run(&["pin"]).code, 0);
        assert!(repository.read("a.yaml").contains("&n good:latest@sha256:"), "{text}");
    }
}

#[test]
fn a_config_changed_in_the_same_commit() {
    let repository = Repository::new();
    let mut layout = Layout::new(&repository.path("registry"));
    layout.add(GOOD);
    layout.add(EVIL);
    layout.finish();
    let config = |ignore: &str| {
        format!(
            "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{ignore: [{ignore}], registries: [{{prefix: '*', layout: registry}}]}}\n"
        )
    };
    repository.write("plimsoll.yaml", LIBRARY_ONLY);
    repository.write("gate.yaml", config("none.yaml"));
    repository.write("b.yaml", pod("image: good:1"));
    repository.git(&["init", "-q"]);
    repository.git(&["add", "."]);
    repository.git(&["commit", "-qm", "x"]);
    repository.write("a.yaml", pod("image: evil.example/x"));
    repository.write("gate.yaml", config("a.yaml"));
    let run = |config: &str| repository.run(&["check", "--policy-from", "HEAD", "--config", config]).code;
    assert_eq!(repository.run(&["check", "--config", "gate.yaml"]).code, 0);
    assert_eq!(run("gate.yaml"), 1);
    // a file that the commit does not have is no config
    repository.write("other.yaml", config("a.yaml"));
    assert_eq!(run("other.yaml"), 2);
    assert_eq!(run("registry/../gate.yaml"), 2);
    // what lies outside the work tree is the machine's own
    let machine = Repository::new();
    machine.write("gate.yaml", "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {ignore: [x]}\n");
    assert_ne!(run(machine.path("gate.yaml").to_str().expect("text")), 2);
}

#[cfg(unix)]
#[test]
fn names_that_are_shown_alike_are_files_of_their_own() {
    use std::os::unix::ffi::OsStrExt as _;
    let repository = Repository::with(LIBRARY_ONLY, &[GOOD], &[]);
    let names =
        [&b"a\xfe.yaml"[..], b"a\xff.yaml"].map(|name| repository.root().join(std::ffi::OsStr::from_bytes(name)));
    for name in &names {
        std::fs::write(name, pod("image: good:1")).expect("written");
    }
    assert_eq!(repository.run(&["pin"]).code, 0);
    for name in &names {
        assert!(std::fs::read_to_string(name).expect("read").contains("@sha256:"), "{name:?}");
    }
}

#[test]
fn a_small_file_that_costs_much_ends() {
    let keys = (0..60_000).map(|key| format!("k{key}: 1")).collect::<Vec<_>>().join(",");
    hidden(&[("a.yaml", &format!("b: &b {{{keys}}}\nspec:\n  containers: [{}]\n", "*b,".repeat(90_000)))]);
    // one line, and each image of it in the report for people
    let images = (0..5_000).map(|tag| format!("{{\"image\":\"evil.example/x:{tag}\"}}")).collect::<Vec<_>>();
    let line = images.join(",");
    let text = format!("{{\"pad\":\"{}\",\"containers\":[{line}]}}", "é".repeat(1 << 20));
    let repository = repository(&[("a.json", &text)]);
    let began = std::time::Instant::now();
    let answer = repository.run(&["check"]);
    assert_eq!(answer.code, 1);
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    assert!(answer.stdout.contains("evil.example/x:4999"));
}

#[cfg(unix)]
#[test]
fn a_name_with_a_line_end_writes_no_line_of_a_diff() {
    let name = "a\n+++ b\\other.yaml";
    let repository = Repository::with(LIBRARY_ONLY, &[GOOD], &[(name, &pod("image: good:1"))]);
    let answer = repository.run(&["pin", "--diff"]);
    assert_eq!(answer.stdout.lines().filter(|line| line.starts_with("+++")).count(), 1, "{}", answer.stdout);
    assert!(answer.stdout.starts_with("--- \"a/a\\012+++ b\\\\other.yaml\"\n"), "{}", answer.stdout);
}

#[test]
fn a_comment_that_silences_a_rule() {
    let files = [
        ("on-the-line.yaml", pod("image: evil.example/x # plimsoll: ignore[trusted-registry] because")),
        ("above.yaml", pod("# plimsoll: ignore[trusted-registry] because\n      image: evil.example/x")),
    ];
    for (name, text) in &files {
        denied(&[(name, text)]);
        let other = LIBRARY_ONLY.replace("spec:\n", "spec:\n  inline-ignores: [mutable-tag]\n");
        let repository = Repository::with(&other, &[EVIL], &[(name, text)]);
        assert_eq!(repository.check().code, 1, "{name}: another rule may be silenced");
        let allowed = LIBRARY_ONLY.replace("spec:\n", "spec:\n  inline-ignores: [trusted-registry]\n");
        let repository = Repository::with(&allowed, &[EVIL], &[(name, text)]);
        let answer = repository.check();
        assert_eq!(answer.code, 0, "{name}: {}", answer.stdout);
        assert_eq!(answer.rules("excepted"), ["trusted-registry"], "{name}: each use is shown");
    }
    let built_in = LIBRARY_ONLY.replace("spec:\n", "spec:\n  inline-ignores: [exists]\n");
    assert_eq!(Repository::with(&built_in, &[], &[]).check().code, 2);
}

#[test]
fn a_cache_filled_by_another_repository() {
    let server = registry::Server::start(registry::Behaviour::default());
    let manifest = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
    let digest = server.push("x", "latest", manifest, registry::OCI_IMAGE);
    let repository = Repository::new();
    let policy = |rules: &str| {
        let head = LIBRARY_ONLY.split("      rules:").next().expect("a head");
        repository.write("plimsoll.yaml", format!("{head}      rules: {rules}\n"));
    };
    let host = server.host();
    repository.write(
        "machine.conf",
        format!("apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '*', mirrors: ['http://{host}'], only-mirrors: true}}]}}\n"),
    );
    let run = |arguments: &[&str], verdict: &str, code: i32| {
        let answer = repository.run(&[&["check", "--format", "json", "--config", "machine.conf"], arguments].concat());
        let report = answer.json();
        assert_eq!((report["references"][0]["verdict"].as_str(), answer.code), (Some(verdict), code), "{report:#}");
    };
    // A permissive run over the evil image fills the cache with its content.
    policy("{trusted-registry: {allow: [\"**\"]}, image-size: {max: 1MiB}}");
    repository.write("a.yaml", pod(&format!("image: evil.example/x@{digest}")));
    run(&[], "allow", 0);
    run(&["--offline"], "allow", 0);
    // Then the same digest goes by a trusted name, which has no such image.
    policy("{trusted-registry: {allow: [\"docker.io/library/*\"]}, image-size: {max: 1MiB}}");
    repository.write("a.yaml", pod(&format!("image: good@{digest}")));
    run(&[], "deny", 1);
    run(&["--offline"], "undecided", 3);
    // Nor does a record help that was written for the evil image and lies under the trusted one's name.
    let folder = repository.path(".cache/plimsoll/served");
    let records = || std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let before: Vec<_> = records().collect();
    server.push("library/good", "latest", manifest, registry::OCI_IMAGE);
    run(&[], "allow", 0);
    let new = records().find(|path| !before.contains(path)).expect("the trusted one's record");
    let evil = before.iter().find(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("evil.example")));
    std::fs::copy(evil.expect("the evil one's record"), new).expect("copied");
    run(&["--offline"], "undecided", 3);
}

/// The registries that the machine's own file blocks, and the environment that leads to it.
fn blocked(prefix: &str) -> (Repository, String) {
    let machine = Repository::new();
    machine.write("registries.conf", format!("[[registry]]\nprefix = '{prefix}'\nblocked = true\n"));
    let path = machine.path("registries.conf").display().to_string();
    (machine, path)
}

#[test]
fn a_repository_that_lifts_what_the_machine_blocks() {
    let policy = LIBRARY_ONLY.replace("docker.io/library/*", "**");
    for (prefix, own) in [
        ("evil.example", "evil.example"),
        ("evil.example", "evil.example/x"),
        ("evil.example", "'*'"),
        ("*.example", "evil.example/x"),
    ] {
        let repository = Repository::with(&policy, &[EVIL], &[("a.yaml", &pod("image: evil.example/x"))]);
        repository.write("plimsoll.yaml", format!("{policy}{}", FROM_LAYOUT.replace("\"*\"", own)));
        assert_eq!(repository.check().code, 0);
        let (_machine, conf) = blocked(prefix);
        let command = &mut repository.command(&["check", "--format", "json"]);
        let answer = support::answer(&command.env("CONTAINERS_REGISTRIES_CONF", &conf).output().expect("runs"));
        let why = format!("{prefix} {own}: {}{}", answer.stdout, answer.stderr);
        assert_eq!(answer.code, 3, "{why}");
        assert!(why.contains("is blocked by the settings"), "{why}");
    }
}

#[test]
fn a_repository_whose_layout_takes_the_place_of_the_machines_mirror() {
    let policy = LIBRARY_ONLY.replace("docker.io/library/*", "**");
    let repository = Repository::with(&policy, &[EVIL], &[("a.yaml", &pod("image: evil.example/x"))]);
    let machine = Repository::new();
    let mirror = "spec: {registries: [{prefix: evil.example, mirrors: ['http://127.0.0.1:1'], only-mirrors: true}]}";
    machine.write("gate.yaml", format!("apiVersion: plimsoll.dev/v1\nkind: GateConfig\n{mirror}\n"));
    let config = machine.path("gate.yaml").display().to_string();
    for (own, code) in [("evil.example", 3), ("'*'", 3), ("evil.example/x", 0)] {
        repository.write("plimsoll.yaml", format!("{policy}{}", FROM_LAYOUT.replace("\"*\"", own)));
        let answer = repository.run(&["check", "--config", &config]);
        assert_eq!(answer.code, code, "{own}: {}{}", answer.stdout, answer.stderr);
    }
}

/// A repository in git whose committed policy takes its images from the committed folder `registry`.
fn committed() -> Repository {
    let policy =
        LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", "image-size: {max: 10KiB}");
    let repository = Repository::with(&policy, &[], &[("a.yaml", &pod("image: good:1"))]);
    let build = |folder: &str, size: u64| {
        let mut layout = Layout::new(&repository.path(folder));
        let image = layout.image(("linux", "amd64"), size, "an image");
        layout.name(GOOD, &image);
        layout.finish();
    };
    build("registry", 20_000);
    build("other", 10);
    repository.git(&["init", "-q"]);
    repository.git(&["add", "."]);
    repository.git(&["commit", "-qm", "base"]);
    repository.git(&["tag", "base"]);
    repository
}

fn from_base(repository: &Repository, arguments: &[&str]) -> support::Answer {
    repository.run(&[&["check", "--format", "json", "--policy-from", "base"], arguments].concat())
}

#[test]
fn a_layout_changed_in_the_same_commit() {
    let swap = |repository: &Repository, name: &str| {
        std::fs::copy(repository.path(&format!("other/{name}")), repository.path(&format!("registry/{name}")))
            .expect("copied");
    };
    let blobs = |repository: &Repository| {
        for entry in std::fs::read_dir(repository.path("other/blobs/sha256")).expect("a folder") {
            swap(repository, &format!("blobs/sha256/{}", entry.expect("an entry").file_name().to_string_lossy()));
        }
    };
    let change = |what: &dyn Fn(&Repository), commit: bool| {
        let repository = committed();
        assert_eq!(from_base(&repository, &[]).code, 1, "as it is in the commit");
        what(&repository);
        if commit {
            repository.git(&["add", "-A"]);
            repository.git(&["commit", "-qm", "change", "--allow-empty"]);
        }
        let answer = from_base(&repository, &[]);
        assert_eq!(answer.code, 2, "{}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains("registry") && answer.stdout.is_empty(), "{}", answer.stderr);
        answer.stderr
    };
    for commit in [false, true] {
        let said = change(
            &|repository| {
                blobs(repository);
                swap(repository, "index.json");
            },
            commit,
        );
        assert!(said.contains("outside the work tree"), "says a way out: {said}");
        change(&|repository| swap(repository, "index.json"), commit);
        // untracked ones, and ones that git is told not to see
        change(&blobs, commit);
        change(
            &|repository| {
                repository.write(".git/info/exclude", "*\n");
                repository.write("registry/.gitignore", "*\n");
                blobs(repository);
            },
            commit,
        );
        change(&|repository| std::fs::remove_file(repository.path("registry/oci-layout")).expect("removed"), commit);
    }
    // a filter of the tree's own, by which git would find nothing changed
    change(
        &|repository| {
            repository.write(".gitattributes", "registry/** text=auto eol=crlf\n");
            let text = repository.read("registry/index.json");
            repository.write("registry/index.json", format!("{text}\r\n"));
        },
        true,
    );
    change(
        &|repository| {
            swap(repository, "index.json");
            repository.git(&["update-index", "--assume-unchanged", "registry/index.json"]);
        },
        false,
    );
}

#[cfg(unix)]
#[test]
fn a_layout_that_a_change_puts_in_anothers_place() {
    use std::os::unix::fs::symlink;
    let repository = committed();
    std::fs::rename(repository.path("registry"), repository.path("aside")).expect("moved");
    symlink("other", repository.path("registry")).expect("linked");
    let answer = from_base(&repository, &[]);
    assert_eq!(answer.code, 2, "{}{}", answer.stdout, answer.stderr);
    // out of the tree
    let outside = committed();
    std::fs::remove_file(repository.path("registry")).expect("removed");
    symlink(outside.path("other"), repository.path("registry")).expect("linked");
    assert_eq!(from_base(&repository, &[]).code, 2);
}

#[test]
fn a_layout_outside_the_tree_is_the_machines() {
    let (repository, machine) = (committed(), Repository::new());
    let mut layout = Layout::new(&machine.path("registry"));
    layout.add(GOOD);
    layout.finish();
    machine.write("gate.yaml", FROM_LAYOUT.trim_start().trim_start_matches("---\n"));
    repository.write("registry/new", "x");
    let config = machine.path("gate.yaml").display().to_string();
    let answer = from_base(&repository, &["--config", &config]);
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
}

#[cfg(unix)]
#[test]
fn a_cache_that_comes_with_what_is_judged() {
    let server = registry::Server::start(registry::Behaviour::default());
    let config = server.push_blob("x", r#"{"os":"linux","architecture":"amd64"}"#);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":37}},"layers":[]}}"#
    );
    let digest = server.push("x", "1", manifest, registry::OCI_IMAGE);
    let policy =
        LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", "image-size: {max: 1MiB}");
    let (scene, home) = (Repository::new(), Repository::new());
    scene.write("tree/plimsoll.yaml", &policy);
    scene.write("tree/a.yaml", pod(&format!("image: {}/x@{digest}", server.host())));
    scene.write("outside/plimsoll.yaml", &policy);
    let cache = scene.path("tree/.cache").display().to_string();
    let run = |from: &str, arguments: &[&str], variable: &str| {
        let mut command = scene.command(arguments);
        command.current_dir(scene.path(from)).env("HOME", home.root()).env(variable, &cache);
        support::answer(&command.output().expect("runs"))
    };
    // From a place that judges nothing of the tree the cache may be used, and so it is filled.
    let text = pod(&format!("image: {}/x@{digest}", server.host()));
    scene.write("outside/a.yaml", text);
    for variable in ["PLIMSOLL_CACHE", "XDG_CACHE_HOME"] {
        let filled = run("outside", &["check"], variable);
        assert_eq!((filled.code, filled.stderr.as_str()), (0, ""), "{}", filled.stdout);
        let offline = run("outside", &["check", "--offline"], variable);
        assert_eq!(offline.code, 0, "{}{}", offline.stdout, offline.stderr);
        for (from, paths) in [
            ("tree", &[][..]),
            ("outside", &["../tree"]),
            ("outside", &["../tree/a.yaml"]),
            ("outside", &["--policy", "../tree/plimsoll.yaml"]),
            ("tree", &["../outside"]),
        ] {
            let answer = run(from, &[&["check", "--offline"], paths].concat(), variable);
            assert_eq!(answer.code, 3, "{from} {paths:?}: {}{}", answer.stdout, answer.stderr);
            assert_eq!(answer.stderr.matches("warning: the cache").count(), 1, "{}", answer.stderr);
            assert!(answer.stderr.contains("that is judged"), "{}", answer.stderr);
        }
    }
}

/// A repository whose policy is `run-as-user` alone, with one image for each of these users: `u0`, `u1`, …
fn running_as(users: &[&str], files: &[(&str, &str)]) -> Repository {
    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    let policy = LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", "run-as-user: {}");
    let repository = Repository::with(&policy, &[], files);
    let mut layout = Layout::new(&repository.path("registry"));
    for (at, user) in users.iter().enumerate() {
        let config = serde_json::json!({"os": "linux", "architecture": "amd64", "config": {"User": user}}).to_string();
        let digest = layout.blob(config.as_bytes()).to_string();
        let descriptor = serde_json::json!({"mediaType": "x/y", "digest": digest, "size": config.len()});
        let body = serde_json::json!({"schemaVersion": 2, "mediaType": IMAGE, "config": descriptor, "layers": []});
        let written = layout.manifest(IMAGE, &body);
        layout.name(&format!("docker.io/library/u{at}:1"), &written);
    }
    layout.finish();
    repository
}

/// CVE-2026-46680: a user that is no uid to the runtime is looked up in the image's own files, where it may be root.
#[test]
fn rule_30_a_users_name_is_never_taken_for_a_user_other_than_root() {
    let rows = [
        ("1000", "allow", "allow"),
        ("1000:1000", "allow", "allow"),
        ("", "deny", "deny"),
        ("0", "deny", "deny"),
        ("root", "deny", "deny"),
        // the kubelet refuses a name where root is refused, and takes a number for what it is not
        ("web", "undecided", "allow"),
        ("nonroot:nonroot", "undecided", "allow"),
        ("4294967296", "undecided", "undecided"),
        ("2147483648", "undecided", "undecided"),
        ("99999999999999999999", "undecided", "undecided"),
        ("-1", "undecided", "undecided"),
        ("01000", "undecided", "undecided"),
        ("1000 ", "undecided", "undecided"),
    ];
    let users: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let both = |at| {
        let refuses = format!("image: u{at}:1\n      securityContext: {{runAsNonRoot: true}}");
        ["---\n".to_owned(), pod(&format!("image: u{at}:1")), "---\n".to_owned(), pod(&refuses)].concat()
    };
    let text: String = (0..rows.len()).map(both).collect();
    let answer = running_as(&users, &[("a.yaml", &text)]).check();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let report = answer.json();
    let references = report["references"].as_array().expect("references");
    assert_eq!(references.len(), rows.len() * 2);
    for (at, (user, plain, refused)) in rows.iter().enumerate() {
        assert_eq!(references[at * 2]["verdict"], *plain, "{user:?}");
        assert_eq!(references[at * 2 + 1]["verdict"], *refused, "{user:?} where root is refused");
    }
}

#[test]
fn a_user_that_a_cluster_would_not_run_it_as() {
    let good = "runAsUser: 1000";
    for (pod_says, container_says) in [
        (good, "runAsUser: 0"),
        ("", "runAsUser: \"1000\""),
        ("", "runAsUser: 1000.0"),
        ("", "runAsUser: 1e3"),
        ("", "runAsUser: 0x0"),
        ("", "runAsUser: 0o0"),
        ("", "runAsUser: 0000"),
        ("", "runAsUser: 01750"),
        ("", "runAsUser: null"),
        ("", "runAsUser: -1"),
        ("", "runAsUser: 4294967296"),
        ("", "runAsUser: 99999999999999999999"),
        ("", "runAsUser: 1000, runAsUser: 0"),
        ("", "runAsUser: 0, runAsUser: 1000"),
        (good, "runAsUser: !!int 0"),
        (good, "runAsUser: $UID"),
        (good, "runAsUser: '{{ .Values.uid }}'"),
        (good, "<<: {runAsUser: 0}"),
        (good, "\"\\x72unAsUser\": 0"),
        ("", "runAsUserName: 1000"),
        ("", "windowsOptions: {runAsUserName: ContainerUser}"),
        ("", "RunAsUser: 1000"),
    ] {
        let text = format!(
            "{}      securityContext: {{{container_says}}}\n  securityContext: {{{pod_says}}}\n",
            pod("image: u0:1")
        );
        let answer = running_as(&[""], &[("a.yaml", &text)]).check();
        assert!(matches!(answer.code, 1 | 3), "exit {}: {pod_says} | {container_says}", answer.code);
        assert_ne!(answer.verdict("u0:1"), "allow", "{pod_says} | {container_says}");
    }
    let fine = format!("{}  securityContext: {{{good}}}\n", pod("image: u0:1"));
    assert_eq!(running_as(&[""], &[("a.yaml", &fine)]).check().code, 0, "and the one that it would");
}

#[test]
fn a_user_that_others_decide() {
    for (name, text) in [
        ("values.yaml", "image: {repository: u0, tag: '1'}\nsecurityContext: {runAsUser: 0}\n"),
        ("kustomization.yaml", "images: [{name: a, newName: u0, newTag: '1'}]\n"),
        ("compose.yaml", "services: {a: {image: 'u0:1', user: '${UID:-1000}'}}\n"),
        ("compose.yaml", "services: {a: {image: 'u0:1', extends: {service: b}}, b: {user: '0'}}\n"),
        ("compose.yaml", "services: {a: {image: 'u0:1', user: root}}\n"),
        ("t.yaml", "{{ if .a }}\nsecurityContext: {runAsUser: 0}\n{{ end }}\ncontainers: [{image: 'u0:1'}]\n"),
        (
            "w.yaml",
            "apiVersion: tekton.dev/v1\nkind: Task\nspec: {stepTemplate: {securityContext: {runAsUser: 0}}, steps: [{image: 'u0:1'}]}\n",
        ),
    ] {
        let answer = running_as(&["1000"], &[(name, text)]).check();
        assert!(matches!(answer.code, 1 | 3), "exit {}: {text}\n{}", answer.code, answer.stderr);
        assert_ne!(answer.verdict("u0:1"), "allow", "{text}");
    }
    let fine =
        running_as(&["1000"], &[("compose.yaml", "services: {a: {image: 'u0:1'}, b: {image: 'u0:1', user: '5'}}\n")]);
    assert_eq!(fine.check().code, 0);
}

// ---- bases

/// A registry with debian 7 and debian 12, whose tags name what they say.
fn debians() -> registry::Server {
    let server = registry::Server::start(registry::Behaviour::default());
    for tag in ["7", "12"] {
        stack(&[layer(&format!("debian {tag}"))]).tag(&server, "library/debian", tag);
    }
    server
}

/// What `base-image` with these settings says of `ghcr.io/acme/app:1`: the verdict and all messages.
fn based(server: &registry::Server, settings: &str) -> (String, String) {
    let repository = Repository::new();
    let policy = format!(
        "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n  statements: [{{name: all, match: ['**'], rules: {{base-image: {settings}}}}}]\n"
    );
    let config = format!(
        "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '*', mirrors: ['http://{}'], only-mirrors: true}}]}}\n",
        server.host()
    );
    repository.write("plimsoll.yaml", policy);
    repository.write("machine.conf", config);
    repository.write("a.yaml", pod("image: ghcr.io/acme/app:1"));
    let answer = repository.run(&["check", "--format", "json", "--config", "machine.conf"]);
    let verdict = answer.verdict("ghcr.io/acme/app:1");
    assert_eq!(answer.code == 0, verdict == "allow", "{}{}", answer.stdout, answer.stderr);
    let report = answer.json();
    let messages = report["findings"].as_array().expect("findings").iter().map(|row| row["message"].to_string());
    (verdict, messages.collect::<Vec<_>>().join("\n"))
}

/// Every way to ask for debian 12 denies the image and says this; `evidence: claimed` is none of them.
fn not_on_debian(server: &registry::Server, part: &str) {
    for settings in [
        "{allow: ['docker.io/library/debian:12']}",
        "{allow: ['docker.io/library/debian:12', 'docker.io/library/alpine:3'], up-to-date: true}",
    ] {
        let (verdict, said) = based(server, settings);
        assert_eq!(verdict, "deny", "{settings}: {said}");
        assert!(said.contains(part), "{settings}: {said}");
    }
}

#[test]
fn the_harness_allows_what_is_on_debian() {
    let server = debians();
    for base in [layer("debian 12"), packed("debian 12")] {
        stack(&[base, layer("app")]).tag(&server, "acme/app", "1");
        assert_eq!(based(&server, "{allow: ['docker.io/library/debian:12'], up-to-date: true}").0, "allow");
        assert_eq!(based(&server, "{allow: ['docker.io/library/debian:7']}").0, "deny");
    }
}

#[test]
fn a_base_claimed_by_annotation_that_the_layers_contradict() {
    let server = debians();
    let twelve = stack(&[layer("debian 12")]).push(&server, "library/debian");
    let digest = twelve["digest"].as_str().expect("a digest");
    stack(&[layer("evil"), layer("app")]).claiming("debian:12", Some(digest)).tag(&server, "acme/app", "1");
    not_on_debian(&server, "that is not so: layer 1 of the image is not that of");
    // A lie is not believed where claims are.
    let (verdict, said) = based(&server, "{allow: [docker.io/library/debian], evidence: claimed}");
    assert_eq!(verdict, "deny", "{said}");
    stack(&[layer("evil"), layer("app")]).claiming("debian:12", None).tag(&server, "acme/app", "1");
    not_on_debian(&server, "and what the tag names now has other layers");
    // Its layers further up are not its base.
    stack(&[layer("evil"), layer("debian 12")]).claiming("debian:12", None).tag(&server, "acme/app", "1");
    not_on_debian(&server, "and what the tag names now has other layers");
}

#[test]
fn a_tag_claimed_beside_a_proved_digest() {
    let server = debians();
    let seven = stack(&[layer("debian 7")]).push(&server, "library/debian");
    let digest = seven["digest"].as_str().expect("a digest");
    for (name, pinned) in [("debian:12".to_owned(), Some(digest)), (format!("debian:12@{digest}"), None)] {
        stack(&[layer("debian 7"), layer("app")]).claiming(&name, pinned).tag(&server, "acme/app", "1");
        not_on_debian(&server, "which is said to be docker.io/library/debian:12; that names sha256:");
        // Of debian it is, and whoever wants the current one is told.
        assert_eq!(based(&server, "{allow: [docker.io/library/debian]}").0, "allow");
        let (verdict, said) = based(&server, "{allow: [docker.io/library/debian], up-to-date: true}");
        assert!(verdict == "deny" && said.contains("rebuild: base docker.io/library/debian:12 moved"), "{said}");
    }
}

#[test]
fn diff_ids_that_lie() {
    let server = debians();
    // Stored is something else, and the config says that it unpacks to debian.
    let lie = |stored: Layer| Layer { diff_id: layer("debian 12").diff_id, ..stored };
    for stored in [layer("evil"), packed("evil"), packed("debian 7")] {
        stack(&[lie(stored), layer("app")]).tag(&server, "acme/app", "1");
        not_on_debian(&server, "the config says that layer 1 unpacks to");
    }
    // More diff_ids than layers, so that they are those of other layers.
    let config = |diff_ids: &[Layer]| {
        let ids: Vec<&str> = diff_ids.iter().map(|layer| layer.diff_id.as_str()).collect();
        json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}}).to_string()
    };
    for diff_ids in [vec![], vec![layer("debian 12")], vec![layer("debian 12"), layer("app"), layer("app")]] {
        let image = stack(&[packed("debian 12"), layer("app")]).push_with(&server, "acme/app", &config(&diff_ids));
        name(&server, "acme/app", "1", &image);
        not_on_debian(&server, "the config accounts for");
    }
}

#[test]
fn layers_that_no_runtime_would_unpack() {
    let server = debians();
    let ids = |layers: &[Layer]| {
        let ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}}).to_string()
    };
    // Debian's bytes under a type that is left out, and below them what runs.
    let skipped = Layer { media_type: "application/vnd.acme.thing.v1", ..layer("debian 12") };
    let image = stack(&[skipped, layer("evil")]).push_with(&server, "acme/app", &ids(&[layer("evil")]));
    name(&server, "acme/app", "1", &image);
    not_on_debian(&server, "number 1 is no layer");
    // Debian's bytes, of which the config says that they unpack to something else, or that they are fewer.
    let image =
        stack(&[layer("debian 12"), layer("app")]).push_with(&server, "acme/app", &ids(&[layer("app"), layer("app")]));
    name(&server, "acme/app", "1", &image);
    not_on_debian(&server, "by the base, the same bytes unpack to");
    let small = Layer { size: 1, ..layer("debian 12") };
    stack(&[small, layer("app")]).tag(&server, "acme/app", "1");
    not_on_debian(&server, "the base has the same layer with");
}

#[test]
fn a_denied_base_below_an_image_of_another_platform_or_with_something_else_in_it() {
    let server = debians();
    let own = |layers: &[Layer], config: &str| {
        let image = stack(layers).claiming("ghcr.io/acme/base:1", None).push_with(&server, "acme/app", config);
        name(&server, "acme/base", "1", &stack(layers).push_with(&server, "acme/base", config));
        image
    };
    let layers = [layer("debian 7"), layer("app")];
    let ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let config = |more: &Value| {
        let mut config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}});
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        config.to_string()
    };
    let settings = "{allow: ['**'], deny: ['docker.io/library/debian:7'], evidence: claimed}";
    for more in [json!({"variant": "v2"}), json!({"architecture": "mips64le"})] {
        let image = own(&layers, &config(&more));
        let index = index(&server, "acme/app", &[(image, "amd64")], &json!({}));
        name(&server, "acme/app", "1", &index);
        let (verdict, said) = based(&server, settings);
        assert_eq!(verdict, "deny", "{more}: {said}");
    }
    let junk = Layer { media_type: "application/vnd.acme.note.v1+json", ..layer("note") };
    let packed = [packed("debian 7"), layer("app"), junk];
    name(&server, "acme/app", "1", &own(&packed, &config(&json!({}))));
    let (verdict, said) = based(&server, settings);
    assert_eq!(verdict, "deny", "{said}");
}

#[test]
fn a_denied_base_whose_claim_can_not_be_read() {
    let server = debians();
    let image =
        stack(&[layer("evil"), layer("app")]).claiming("docker.io/library/alpine:3", None).push(&server, "acme/app");
    let gone = json!({"mediaType": OCI_IMAGE, "digest": Digest::sha256(b"gone").as_str(), "size": 7,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"]}});
    let mut row = image.clone();
    row["platform"] = json!({"os": "linux", "architecture": "amd64"});
    name(&server, "acme/app", "1", &indexed(&server, "acme/app", &[row, gone], &json!({})));
    let settings = |deny: &str| format!("{{allow: ['docker.io/library/alpine:3']{deny}, evidence: claimed}}");
    assert_eq!(based(&server, &settings("")).0, "allow");
    let (verdict, said) = based(&server, &settings(", deny: ['docker.io/library/debian']"));
    assert_eq!(verdict, "undecided", "{said}");
}

#[test]
fn a_base_of_another_repository_under_a_trusted_name() {
    let server = debians();
    let evil = stack(&[layer("evil")]).push(&server, "evil/debian");
    name(&server, "evil/debian", "12", &evil);
    let digest = evil["digest"].as_str().expect("a digest");
    // The trusted repository has no such digest.
    for name in ["debian:12", "docker.io/library/debian:12", "index.docker.io/library/debian:12"] {
        stack(&[layer("evil"), layer("app")]).claiming(name, Some(digest)).tag(&server, "acme/app", "1");
        not_on_debian(&server, "which can't be compared");
    }
    for name in
        ["docker.io/evil/debian:12", "evil.example/library/debian:12", "docker.io.evil.example/library/debian:12"]
    {
        stack(&[layer("evil"), layer("app")]).claiming(name, Some(digest)).tag(&server, "acme/app", "1");
        not_on_debian(&server, "which was not compared");
    }
}

#[test]
fn an_index_with_one_platform_on_another_base() {
    let server = debians();
    let arm = stack(&[layer("debian 12 for arm64")]).of("arm64").push(&server, "library/debian");
    let amd = stack(&[layer("debian 12")]).push(&server, "library/debian");
    let base = index(&server, "library/debian", &[(amd, "amd64"), (arm, "arm64")], &json!({}));
    name(&server, "library/debian", "12", &base);
    let app = |amd64: &str, arm64: &str, annotations: &serde_json::Value| {
        let amd = stack(&[layer(amd64), layer("app")]).push(&server, "acme/app");
        let arm = stack(&[layer(arm64), layer("app")]).of("arm64").push(&server, "acme/app");
        let both = index(&server, "acme/app", &[(amd, "amd64"), (arm, "arm64")], annotations);
        name(&server, "acme/app", "1", &both);
    };
    app("debian 12", "debian 12 for arm64", &json!({}));
    assert_eq!(based(&server, "{allow: ['docker.io/library/debian:12']}").0, "allow");
    for annotations in [json!({}), base_annotations("debian:12", None)] {
        // Also the base of the other platform is another base.
        for arm64 in ["evil", "debian 12"] {
            app("debian 12", arm64, &annotations);
            not_on_debian(&server, "linux/arm64: ");
        }
    }
}

#[test]
fn an_empty_base() {
    let server = debians();
    let empty = stack(&[]).push(&server, "library/debian");
    name(&server, "library/debian", "12", &empty);
    let digest = empty["digest"].as_str().expect("a digest");
    for image in [
        stack(&[layer("evil")]),
        stack(&[]),
        stack(&[layer("evil")]).claiming("debian:12", None),
        stack(&[]).claiming("debian:12", None),
        stack(&[layer("evil")]).claiming("debian:12", Some(digest)),
        stack(&[]).claiming("scratch", None),
    ] {
        image.tag(&server, "acme/app", "1");
        not_on_debian(&server, "linux/amd64: ");
    }
}
