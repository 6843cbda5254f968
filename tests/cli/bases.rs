//! `base-image` and `max-added` from outside, over `fixtures/bases`: who is allowed, what is said, and that each setting
//! and each option counts.

use super::*;

const DEBIAN: &str = "docker.io/library/debian:12-slim";

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bases")
}

/// The digest of a name of the layout.
fn digest(name: &str) -> String {
    let index = json(&fs::read_to_string(fixtures().join("index.json")).expect("a layout"));
    let rows = index["manifests"].as_array().expect("descriptors").iter();
    let named = |row: &&Value| row["annotations"]["org.opencontainers.image.ref.name"] == name;
    rows.clone().find(named).expect("a name")["digest"].as_str().expect("a digest").to_owned()
}

/// What `debian:12-slim` named before it moved.
fn old_debian() -> String {
    let truth = json(&fs::read_to_string(fixtures().with_extension("json")).expect("the truth"));
    let name =
        truth.as_object().expect("names").keys().find(|name| name.contains("debian@")).expect("by digest").clone();
    name.split_once('@').expect("a digest").1.to_owned()
}

/// A repository of images of the fixtures under one policy, whose only statement is `statement`.
fn under(statement: &str, images: &[&str]) -> Repository {
    let repository = Repository::new();
    let layout = fixtures().display().to_string();
    repository.write(
        "plimsoll.yaml",
        format!(
            "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nmetadata: {{name: test}}\nspec:\n  statements:\n    - {statement}\n---\n\
             apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '*', layout: '{layout}'}}]}}\n"
        ),
    );
    for (at, image) in images.iter().enumerate() {
        repository.write(&format!("{at}.yaml"), pod(&format!("image: {}", whole(image))));
    }
    repository
}

/// `base-image` with these settings for every image.
fn ruled(settings: &str, images: &[&str]) -> Repository {
    under(&format!("{{name: all, match: ['**'], rules: {{base-image: {settings}}}}}"), images)
}

/// `name` is `ghcr.io/acme/name:1`; what has a colon or a slash is what it is.
fn whole(name: &str) -> String {
    if name.contains([':', '/', '@']) { name.to_owned() } else { format!("ghcr.io/acme/{name}:1") }
}

fn check(repository: &Repository, arguments: &[&str]) -> Answer {
    repository.run(&[&["check", "--format", "json", "--now", NOW], arguments].concat())
}

/// The messages of an image's findings of `base-image`, or of `rule`.
fn said_by(answer: &Answer, image: &str, rule: &str) -> String {
    let report = answer.json();
    let rows = report["references"].as_array().expect("references");
    let at = rows.iter().position(|row| row["text"] == image).expect("the image is there");
    let findings = report["findings"].as_array().expect("findings").iter();
    let own = findings.filter(|row| row["reference"] == at && row["rule"] == rule);
    own.map(|row| row["message"].as_str().expect("a message")).collect::<Vec<_>>().join("\n")
}

fn said(answer: &Answer, image: &str) -> String {
    said_by(answer, image, "base-image")
}

/// Each image under `settings` has that verdict, and its message has that part.
fn holds(settings: &str, rows: &[(&str, &str, &str)]) {
    holds_with(settings, &[], rows);
}

fn holds_with(settings: &str, arguments: &[&str], rows: &[(&str, &str, &str)]) {
    let images: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let answer = check(&ruled(settings, &images), arguments);
    let mut wrong = Vec::new();
    for (image, verdict, part) in rows {
        let image = whole(image);
        let (found, message) = (answer.verdict(&image), said(&answer, &image));
        if found != *verdict || !message.contains(part) || (*verdict == "allow") != message.is_empty() {
            wrong.push(format!("{image}: {found}, expected {verdict} with {part:?}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{settings} {arguments:?}\n{}\n{}", wrong.join("\n"), answer.stderr);
    let worst = |verdict: &str| rows.iter().any(|row| row.1 == verdict);
    let code = if worst("deny") {
        1
    } else if worst("undecided") {
        3
    } else {
        0
    };
    assert_eq!(answer.code, code, "{settings} {arguments:?}");
}

#[test]
fn a_base_with_a_tag_is_found_though_nobody_names_it() {
    let other = "its base is not known: it names none, and none of docker.io/library/debian:12-slim begins it as their tags stand now; if";
    holds(
        "{allow: ['docker.io/library/debian:12-slim']}",
        &[
            ("on-debian-annotated", "allow", ""),
            ("on-debian-annotated-child", "allow", ""),
            ("on-debian-silent", "allow", ""),
            ("on-node-silent", "allow", ""),
            ("on-node", "allow", ""),
            ("buildpacks", "allow", ""),
            ("buildkit-provenance", "allow", ""),
            ("buildinfo", "allow", ""),
            ("rebased", "allow", ""),
            ("history-missing", "allow", ""),
            ("recompressed", "allow", ""),
            ("recompressed-silent", "allow", ""),
            ("shared-layer-twice", "allow", ""),
            ("config-only", "allow", ""),
            ("is-a-base", "allow", ""),
            (DEBIAN, "allow", ""),
            ("on-scratch", "deny", other),
            (
                "on-alpine-label",
                "deny",
                "its base is said to be docker.io/library/alpine:3.20, by a label of the config, which was not compared",
            ),
            (
                "history-differs",
                "deny",
                "its layers begin with those of docker.io/library/debian:12-slim, but its history says that layer 1 was made otherwise",
            ),
            (
                "history-differs-annotated",
                "deny",
                "by an annotation of the manifest, and its history says that layer 1 was made otherwise",
            ),
            (
                "lying-name",
                "deny",
                "its base is said to be docker.io/library/debian:12-slim, by an annotation of the manifest, and what the tag names now has other layers",
            ),
            ("stale", "deny", "rebuild: its base is docker.io/library/debian@sha256:"),
            ("squashed", "deny", "claims the base docker.io/library/debian:12-slim@sha256:"),
            ("recompressed-lying", "deny", "the config says that layer 1 unpacks to sha256:"),
            ("rebased-stale-annotation", "deny", "and that is not so: layer 1 of the image is not that of sha256:"),
            ("lying", "deny", "and that is not so: layer 1 of the image is not that of sha256:"),
            ("lying-digest", "deny", "its base is said to be docker.io/library/debian:12-slim, by an annotation"),
        ],
    );
    // Without a tag there is nothing to look for: the image has to name its base.
    holds(
        "{allow: [docker.io/library/debian]}",
        &[
            ("on-debian-annotated", "allow", ""),
            ("buildkit-provenance", "allow", ""),
            ("stale", "allow", ""),
            ("on-debian-silent", "deny", "its base is not known: it names none"),
            ("stale-unnamed-digest", "deny", "is said to be"),
        ],
    );
}

#[test]
fn claims_count_only_where_the_policy_says_so() {
    let rows = |verdict| {
        [("lying-name", verdict, ""), ("history-differs-annotated", verdict, ""), ("stale-unnamed-digest", verdict, "")]
    };
    for evidence in ["", ", evidence: proved", ", evidence: verified"] {
        holds(&format!("{{allow: ['{DEBIAN}']{evidence}}}"), &rows("deny"));
    }
    holds(&format!("{{allow: ['{DEBIAN}'], evidence: claimed}}"), &rows("allow"));
    // What is said against oneself counts whatever the policy says.
    let rows = [
        ("squashed", "deny", "that is not so"),
        ("lying", "deny", "that is not so"),
        ("recompressed-lying", "deny", "it unpacks to sha256:"),
        ("on-alpine-label", "deny", "its base is docker.io/library/alpine:3.20 (claimed), which is not allowed"),
    ];
    holds(&format!("{{allow: ['{DEBIAN}'], evidence: claimed}}"), &rows);
}

#[test]
fn nothing_below_can_only_be_claimed() {
    let all =
        [("on-scratch-said", "deny", "said to be scratch"), ("on-scratch-provenance", "deny", "said to be scratch")];
    holds("{allow: [scratch]}", &all);
    holds(
        "{allow: [scratch], evidence: claimed}",
        &[
            ("on-scratch-said", "allow", ""),
            ("on-scratch-provenance", "allow", ""),
            ("on-scratch", "deny", "its base is not known: it names none"),
            ("on-scratch-buildah", "deny", "it names none"),
            ("on-debian-annotated", "deny", "docker.io/library/debian:12-slim (claimed), which is not allowed"),
        ],
    );
}

#[test]
fn of_two_bases_the_nearest_that_is_allowed_is_judged() {
    let both = ["two-level", "two-level-silent", "two-level-inherited"];
    let rows = |verdict, part| both.map(|name| (name, verdict, part));
    // A denied name with a tag is looked for, so that whoever is silent about it hides nothing.
    holds(
        "{allow: ['ghcr.io/acme/base:1'], deny: ['docker.io/library/debian:12-slim']}",
        &rows("deny", "which is denied"),
    );
    holds(
        "{allow: ['docker.io/library/alpine:3.20', 'docker.io/library/debian:12-slim'], deny: ['ghcr.io/acme/base:1']}",
        &rows("deny", "which is denied"),
    );
    holds(&format!("{{allow: ['{DEBIAN}']}}"), &rows("allow", ""));
    holds("{allow: ['ghcr.io/acme/base:1']}", &rows("allow", ""));
    holds("{allow: ['ghcr.io/acme/base:2']}", &rows("deny", ""));
    // Three layers of the nearer one, one of the other.
    holds("{allow: ['ghcr.io/acme/base:1'], max-layers: 3}", &rows("allow", ""));
    holds(
        "{allow: ['ghcr.io/acme/base:1'], max-layers: 2}",
        &rows("deny", "base ghcr.io/acme/base:1 has 3 layers, more than the maximum of 2"),
    );
    holds(
        &format!("{{allow: ['{DEBIAN}', 'ghcr.io/acme/base:1'], max-layers: 2}}"),
        &rows("deny", "base ghcr.io/acme/base:1 has 3 layers"),
    );
    holds(&format!("{{allow: ['{DEBIAN}'], max-layers: 1}}"), &rows("allow", ""));
    // What is known to be below is denied, by whatever evidence, and also where something nearer is allowed.
    holds(
        "{allow: ['ghcr.io/acme/base:1'], deny: [docker.io/library/debian]}",
        &[
            ("two-level", "allow", ""),
            ("two-level-inherited", "deny", "its base is docker.io/library/debian:12-slim (claimed), which is denied"),
            ("on-debian-annotated", "deny", "(claimed), which is denied: docker.io/library/debian"),
            ("docker.io/library/debian:12-slim", "deny", "it is itself a denied base"),
        ],
    );
}

#[test]
fn limits_of_the_base_from_outside() {
    let one = [("on-debian-annotated", "allow", "")];
    let not = |part| [("on-debian-annotated", "deny", part)];
    let allow = format!("allow: ['{DEBIAN}']");
    // arm64 has 4119 bytes in one layer; the tag's image was built on 2026-11-03.
    holds(&format!("{{{allow}, max-size: 4119}}"), &one);
    holds(
        &format!("{{{allow}, max-size: 4118}}"),
        &not(
            "linux/arm64: base docker.io/library/debian:12-slim has 4.0 KiB (4119 bytes) of compressed layers, more than the maximum of 4118",
        ),
    );
    holds_with(&format!("{{{allow}, max-size: 4118}}"), &["--platform", "linux/amd64"], &one);
    holds(&format!("{{{allow}, max-layers: 1}}"), &one);
    holds(&format!("{{{allow}, max-age: 17d}}"), &one);
    holds(&format!("{{{allow}, max-age: 16d}}"), &not("was built 17 days ago, on 2026-11-03; at most 16d is allowed"));
    let late = ruled(&format!("{{{allow}, max-age: 17d}}"), &["on-debian-annotated"]);
    assert_eq!(late.run(&["check", "--now", NOW]).code, 0);
    assert_eq!(late.run(&["check", "--now", "2026-11-20T00:00:01Z"]).code, 1);
    // Without `allow`, limits are of whatever it is built on.
    holds("{max-layers: 3}", &[("two-level", "allow", ""), ("on-node", "allow", "")]);
    holds(
        "{max-layers: 2}",
        &[("two-level", "deny", "base ghcr.io/acme/base:1 has 3 layers"), ("on-debian-annotated", "allow", "")],
    );
    // A base that was made in 1970 by its own word has no age.
    holds(
        "{allow: ['gcr.io/distroless/static:nonroot'], max-age: 9000d}",
        &[("on-distroless", "undecided", "base gcr.io/distroless/static:nonroot does not say when it was built")],
    );
}

#[test]
fn a_stale_base_is_said_with_both_digests_and_the_day() {
    let (old, new) = (old_debian(), digest(DEBIAN));
    let message = format!(
        "linux/amd64, linux/arm64: rebuild: base {DEBIAN} moved on 2026-11-03; the image is on {old}, the tag names {new} now"
    );
    let rows = [("on-debian-annotated", "allow", ""), ("rebased", "allow", ""), ("stale", "deny", message.as_str())];
    let settings = "{allow: [docker.io/library/debian], up-to-date: true}";
    holds(settings, &rows);
    holds("{allow: [docker.io/library/debian], up-to-date: false}", &[("stale", "allow", "")]);
    holds("{allow: [docker.io/library/debian]}", &[("stale", "allow", "")]);
    let answer = ruled(settings, &["stale"]).run(&["check", "--now", NOW]);
    assert_eq!(answer.code, 1);
    assert!(answer.stdout.contains(&message), "{}", answer.stdout);
    assert!(answer.stdout.contains("build the image again on what the tag names now"), "{}", answer.stdout);
}

#[test]
fn an_image_that_is_allowed_as_a_base_is_one() {
    let (old, new) = (old_debian(), digest(DEBIAN));
    let (pinned, stale) = (format!("{DEBIAN}@{new}"), format!("{DEBIAN}@{old}"));
    let (by_digest, old_alone) = (format!("docker.io/library/debian@{new}"), format!("docker.io/library/debian@{old}"));
    holds(
        "{allow: [docker.io/library/debian]}",
        &[(DEBIAN, "allow", ""), (&pinned, "allow", ""), (&stale, "allow", ""), (&by_digest, "allow", "")],
    );
    let moved = format!("rebuild: base {DEBIAN} moved on 2026-11-03; the image is on {old}, the tag names {new} now");
    holds(
        "{allow: [docker.io/library/debian], up-to-date: true}",
        &[
            (DEBIAN, "allow", ""),
            (&pinned, "allow", ""),
            (&stale, "deny", &moved),
            (&old_alone, "undecided", "can't be known without its tag"),
        ],
    );
    // With a tag in `allow`, an old digest behind it is not what was allowed.
    holds(&format!("{{allow: ['{DEBIAN}']}}"), &[(DEBIAN, "allow", ""), (&pinned, "allow", ""), (&stale, "deny", "")]);
}

#[test]
fn each_platform_is_on_its_own_base() {
    let debian = format!("{{allow: ['{DEBIAN}']}}");
    let both = format!("{{allow: ['{DEBIAN}', 'docker.io/library/alpine:3.20']}}");
    holds(&debian, &[("mixed", "deny", "linux/arm64: "), ("mixed-half", "deny", "linux/arm64: ")]);
    holds(&both, &[("mixed", "allow", ""), ("mixed-half", "deny", "linux/arm64: ")]);
    let amd64 = ["--platform", "linux/amd64"];
    holds_with(&debian, &amd64, &[("mixed", "allow", ""), ("mixed-half", "allow", "")]);
    let arm64 = ["--platform", "linux/arm64"];
    holds_with(&debian, &arm64, &[("mixed", "deny", "alpine:3.20"), ("mixed-half", "deny", "that is not so")]);
    let s390x = ["--platform", "linux/s390x"];
    holds_with(&debian, &s390x, &[("on-debian-silent", "undecided", "linux/s390x")]);
}

#[test]
fn a_dockerfile_of_the_same_run_names_a_candidate() {
    let settings = "{allow: [docker.io/library/debian]}";
    let silent = whole("on-debian-silent");
    for (dockerfile, verdict) in [
        (None, "deny"),
        (Some(format!("FROM {DEBIAN}\n")), "allow"),
        (
            Some(format!("FROM docker.io/library/alpine:3.20 AS build\nFROM {DEBIAN}\nCOPY --from=build /a /b\n")),
            "allow",
        ),
        // Not what the image is built on, but what it was built with.
        (Some(format!("FROM {DEBIAN} AS build\nFROM docker.io/library/alpine:3.20\n")), "deny"),
        (Some("FROM docker.io/library/alpine:3.20\n".to_owned()), "deny"),
    ] {
        let repository = ruled(settings, &["on-debian-silent"]);
        if let Some(text) = &dockerfile {
            repository.write("Dockerfile", text);
        }
        let answer = check(&repository, &[]);
        assert_eq!(answer.verdict(&silent), verdict, "{dockerfile:?}: {}", said(&answer, &silent));
    }
    // One outside `allow` doesn't count, also where it is the truth.
    let repository = ruled("{allow: [docker.io/library/alpine]}", &["on-debian-silent"]);
    repository.write("Dockerfile", format!("FROM {DEBIAN}\n"));
    let answer = check(&repository, &[]);
    assert_eq!(answer.verdict(&silent), "deny");
    assert!(said(&answer, &silent).contains("its base is not known: it names none"), "{}", said(&answer, &silent));
}

#[test]
fn an_exception_a_level_and_no_resolve() {
    let repository = ruled(&format!("{{allow: ['{DEBIAN}']}}"), &["stale", "on-debian-silent"]);
    let policy = repository.read("plimsoll.yaml");
    let exceptions = "spec:\n  exceptions:\n    - {image: ghcr.io/acme/stale, rules: [base-image], reason: rebuilt next week, owner: o, expires: 2026-12-01}\n  statements:";
    repository.write("plimsoll.yaml", policy.replace("spec:\n  statements:", exceptions));
    let answer = check(&repository, &[]);
    assert_eq!(
        (answer.code, answer.verdict(&whole("stale"))),
        (0, "allow".to_owned()),
        "{}{}",
        answer.stdout,
        answer.stderr
    );
    assert_eq!(repository.run(&["check", "--now", "2026-12-02T00:00:00Z"]).code, 1);

    let warned = under(
        &format!(
            "{{name: all, match: ['**'], rules: {{trusted-registry: {{allow: ['ghcr.io/**']}}, base-image: {{allow: ['{DEBIAN}'], level: warn}}}}}}"
        ),
        &["stale"],
    );
    let answer = check(&warned, &[]);
    assert_eq!((answer.code, answer.rules("violated")), (0, vec!["base-image".to_owned()]));

    let answer = check(&ruled(&format!("{{allow: ['{DEBIAN}']}}"), &["on-debian-silent"]), &["--no-resolve"]);
    let report = answer.json();
    assert_eq!(answer.code, 3, "{report:#}");
    assert!(report["run"]["not_evaluated"].as_array().expect("a list").contains(&"base-image".into()), "{report:#}");
}

#[test]
fn a_finding_is_whole_in_json() {
    let answer = check(&ruled("{allow: [docker.io/library/debian], up-to-date: true}", &["stale"]), &[]);
    let report = answer.json();
    let finding = &report["findings"][0];
    let seen = ["rule", "status", "level"].map(|key| finding[key].as_str().unwrap_or_default());
    assert_eq!(seen, ["base-image", "violated", "deny"], "{finding:#}");
    assert_eq!(finding["help"], "build the image again on what the tag names now, push it, and use that");
    assert_eq!(report["findings"].as_array().expect("findings").len(), 1);
}

#[test]
fn pin_moves_only_what_is_built_on_an_allowed_base() {
    let settings = "{allow: [docker.io/library/debian], up-to-date: true}";
    let repository = ruled(settings, &["on-debian-annotated", "stale"]);
    let answer = repository.run(&["pin", "--now", NOW]);
    assert_eq!(answer.code, 1, "{}{}", answer.stdout, answer.stderr);
    let pinned = format!("{}@{}", whole("on-debian-annotated"), digest(&whole("on-debian-annotated")));
    assert!(repository.read("0.yaml").contains(&pinned));
    assert!(!repository.read("1.yaml").contains('@'));
    assert_eq!(repository.run(&["pin", "--now", NOW]).code, 1, "and again the same");
    // What is pinned to an image on an old base moves to the one that the tag names now.
    let updated = ruled(settings, &[&format!("{DEBIAN}@{}", old_debian())]);
    assert_eq!(check(&updated, &[]).code, 1);
    assert_eq!(updated.run(&["pin", "--now", NOW]).code, 1);
    assert!(updated.read("0.yaml").contains(&old_debian()));
    let answer = updated.run(&["pin", "--update", "--now", NOW]);
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    assert!(updated.read("0.yaml").contains(&digest(DEBIAN)));
}

#[test]
fn added_bytes_are_those_above_an_allowed_base() {
    let sized = |settings: &str, image: &str| {
        let statement = format!("{{name: all, match: ['**'], rules: {{image-size: {settings}}}}}");
        let answer = check(&under(&statement, &[image]), &[]);
        (answer.verdict(&whole(image)), said_by(&answer, &whole(image), "image-size"))
    };
    let base = format!("base: ['{DEBIAN}']");
    assert_eq!(sized(&format!("{{max-added: 2071, {base}}}"), "on-debian-silent"), ("allow".to_owned(), String::new()));
    let (verdict, said) = sized(&format!("{{max-added: 2070, {base}}}"), "on-debian-silent");
    assert!(verdict == "deny" && said.contains("2071 bytes"), "{verdict} {said}");
    // 2071 bytes on acme's base, and 4142 of that on debian.
    assert_eq!(sized(&format!("{{max-added: 6213, {base}}}"), "two-level-silent").0, "allow");
    assert_eq!(sized(&format!("{{max-added: 6212, {base}}}"), "two-level-silent").0, "deny");
    assert_eq!(sized("{max-added: 2071, base: ['ghcr.io/acme/base:1']}", "two-level-silent").0, "allow");
    // What lies about its base has none, and what has none adds all of itself.
    for image in ["recompressed-lying", "squashed", "lying", "on-alpine-label"] {
        assert_ne!(sized(&format!("{{max-added: 2071, {base}}}"), image).0, "allow", "{image}");
    }
}

#[test]
fn the_same_check_out_of_a_copy_says_the_same() {
    let settings = format!("{{allow: ['{DEBIAN}'], up-to-date: true}}");
    let images = [
        "on-debian-annotated",
        "on-debian-silent",
        "recompressed",
        "recompressed-lying",
        "stale",
        "two-level",
        "buildkit-provenance",
        "lying",
        "mixed",
        "squashed",
    ];
    let repository = ruled(&settings, &images);
    let live = check(&repository, &[]).json();
    let out = tempfile::tempdir().expect("a folder");
    let out = out.path().join("copy").display().to_string();
    let answer = repository.run(&["vendor", &out, "--now", NOW]);
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    let policy = repository.read("plimsoll.yaml").replace(&fixtures().display().to_string(), &out);
    repository.write("plimsoll.yaml", policy);
    let copied = check(&repository, &["--offline"]).json();
    assert_eq!(copied["references"], live["references"]);
    assert_eq!(copied["findings"], live["findings"]);
}

#[test]
fn explain_tells_how_a_base_is_known() {
    let answer = Repository::new().run(&["explain", "base-image"]);
    assert_eq!(answer.code, 0);
    for part in [
        "proved",
        "claimed",
        "org.opencontainers.image.base.name",
        "at most 50",
        "FROM scratch",
        "up-to-date",
        "evidence",
    ] {
        assert!(answer.stdout.contains(part), "{part}\n{}", answer.stdout);
    }
}
