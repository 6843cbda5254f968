//! Whole policies: one that is sound and many that are broken, each with its place and words. Long, for it is tables.

use jiff::Timestamp;

use super::*;
use crate::digest::Digest;
use crate::finding::Level;
use crate::span::Place;

const FORMATS: [&str; 3] = ["kubernetes", "compose", "dockerfile"];

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

fn read(text: &str) -> Result<Loaded, PolicyError> {
    load(text, "plimsoll.yaml", now(), &FORMATS)
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

const HEAD: &str = "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\n";

/// A policy whose `spec` is `body`, indented already; the first line of `body` is line 4.
fn policy(body: &str) -> String {
    format!("{HEAD}spec:\n{body}")
}

/// A policy with one statement and an exception, of which `body` gives the keys; `body` begins on line 5.
fn exception(body: &str) -> String {
    policy(&format!("  statements: []\n  exceptions: [{{{body}}}]\n"))
}

const STATEMENT: &str = "  statements:\n    - name: all\n      match: [\"**\"]\n";

const SOUND: &str = r#"# our policy
apiVersion: plimsoll.dev/v1
kind: ImagePolicy
metadata: {name: production}
spec:
  built-in: {unresolvable-reference: {level: warn}}
  statements:
    - name: everything we run
      match: ["**", "!docker.io/library/busybox"]
      where: {roles: [run], paths: ["deploy/**"], formats: [kubernetes]}
      rules:
        trusted-registry: {allow: ["registry.k8s.io/**", "docker.io/library/*", "ghcr.io/acme/**"]}
        mutable-tag: {deny: [latest, "*-SNAPSHOT"]}
        pinned-digest: {}
        image-size:
          max: 500MiB
          level: warn
        platforms: {require: [linux/amd64], level: off}
    - name: pins
      match: ["**"]
      rules:
        tag-digest-match: {level: warn}
  exceptions:
    - image: docker.io/library/postgres:15
      rules: [pinned-digest, image-size]
      reason: "migration to 16 in progress, OPS-411"
      owner: data-platform
      expires: 2027-03-01
  inline-ignores: [image-size]
---
apiVersion: plimsoll.dev/v1
kind: GateConfig
spec:
  registries:
    - prefix: Registry.example
      layout: ../registry
  ignore: ["vendor/**"]
"#;

#[test]
fn a_sound_policy_is_read_whole() {
    let Loaded { policy, config } = read(SOUND).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((policy.name(), policy.file()), (Some("production"), "plimsoll.yaml"));
    let built_ins = policy.built_ins();
    assert_eq!(built_ins.unresolvable_reference, BuiltInSetting { level: Level::Warn, line: Some(6) });
    assert_eq!(built_ins.unreadable_source, BuiltInSetting { level: Level::Deny, line: None });
    let [run, pins] = policy.statements() else { panic!("two statements") };
    assert_eq!((run.name(), run.line(), run.can_deny()), ("everything we run", 8, true));
    assert_eq!((pins.name(), pins.line(), pins.can_deny()), ("pins", 19, false));
    let rules: Vec<_> = run.rules().iter().map(|found| (found.rule.id(), found.level, found.line)).collect();
    let expected = [
        ("trusted-registry", Level::Deny, 12),
        ("mutable-tag", Level::Deny, 13),
        ("pinned-digest", Level::Deny, 14),
        ("image-size", Level::Warn, 15),
    ];
    assert_eq!(rules, expected);
    assert!(run.needs().content.is_some() && !run.needs().tag && pins.needs().tag);
    assert_eq!(policy.inline_ignores(), ["image-size"]);

    let config = config.expect("a config");
    assert_eq!((config.registries[0].prefix.as_str(), config.registries[0].line), ("registry.example", 35));
    assert_eq!(config.registries[0].layout.as_deref(), Some("../registry"));
    assert!(config.ignore.expect("globs").fit("vendor/a/b.yaml"));
}

#[test]
fn a_statement_fits_by_pattern_path_format_and_role() {
    let loaded = read(SOUND).expect("a policy");
    let run = &loaded.policy.statements()[0];
    let rows = [
        ("nginx", "deploy/a.yaml", "kubernetes", Role::Run, true),
        ("busybox:1", "deploy/a.yaml", "kubernetes", Role::Run, false),
        ("nginx", "other/a.yaml", "kubernetes", Role::Run, false),
        ("nginx", "a/deploy/a.yaml", "kubernetes", Role::Run, false),
        ("nginx", "deploy/a.yaml", "compose", Role::Run, false),
        ("nginx", "deploy/a.yaml", "kubernetes", Role::Ci, false),
    ];
    for (text, path, format, role, expected) in rows {
        assert_eq!(run.fits(&reference(text), path, format, role), expected, "{text} {path} {format} {role:?}");
    }
    assert_eq!(loaded.policy.fitting(&reference("nginx"), "x", "compose", Role::Ci).count(), 1);
}

#[test]
fn an_exception_names_one_image_and_ends() {
    let loaded = read(SOUND).expect("a policy");
    let exception = &loaded.policy.exceptions()[0];
    assert_eq!((exception.line(), exception.owner()), (24, "data-platform"));
    let digest = Digest::sha256(b"x");
    let rows = [
        ("postgres:15", "pinned-digest", true),
        ("docker.io/library/postgres:15", "image-size", true),
        ("postgres:15", "mutable-tag", false),
        ("postgres:16", "pinned-digest", false),
        ("postgres", "pinned-digest", false),
        ("acme/postgres:15", "pinned-digest", false),
        ("docker.io.evil.com/library/postgres:15", "pinned-digest", false),
    ];
    for (text, rule, expected) in rows {
        assert_eq!(exception.fits(&reference(text), None, rule), expected, "{text} {rule}");
    }
    let times = [
        ("2026-11-20T00:00:00Z", State::Active),
        ("2027-02-14T23:59:59Z", State::Active),
        ("2027-02-15T00:00:00Z", State::Ending { days: 14 }),
        ("2027-03-01T00:00:00Z", State::Ending { days: 0 }),
        ("2027-03-01T23:59:59Z", State::Ending { days: 0 }),
        ("2027-03-02T00:00:00Z", State::Past),
        ("2030-01-01T00:00:00Z", State::Past),
    ];
    for (time, state) in times {
        assert_eq!(exception.state(time.parse().expect("a time")), state, "{time}");
    }
    assert!(State::Ending { days: 0 }.counts() && !State::Past.counts());

    let by_digest =
        format!("image: docker.io/nginx@{digest}, rules: [image-size], reason: r, owner: o, expires: 2026-12-31");
    let loaded = read(&super::tests::exception(&by_digest)).expect("a policy");
    let exception = &loaded.policy.exceptions()[0];
    assert!(exception.fits(&reference("nginx:1"), Some(&digest), "image-size"));
    assert!(exception.fits(&reference(&format!("nginx:1@{digest}")), None, "image-size"));
    assert!(!exception.fits(&reference("nginx:1"), None, "image-size"));
    let other = Digest::sha256(b"y");
    assert!(!exception.fits(&reference(&format!("nginx:1@{digest}")), Some(&other), "image-size"));
}

#[test]
fn broken_policies_are_refused_at_their_place() {
    let rule = |rules: &str| policy(&format!("{STATEMENT}      rules: {{{rules}}}\n"));
    let with = |line: &str| policy(&format!("{STATEMENT}{line}\n      rules: {{pinned-digest: {{}}}}\n"));
    let ok = "image: docker.io/library/nginx, rules: [image-size], reason: r, owner: o, expires: 2026-12-31";
    let rows = [
        (String::new(), (1, 1), "no ImagePolicy in this file", "begin with `apiVersion: plimsoll.dev/v1`"),
        ("# nothing\n".to_owned(), (1, 1), "no ImagePolicy in this file", "begin with `apiVersion: plimsoll.dev/v1`"),
        ("just a text".to_owned(), (1, 1), "a mapping is expected here", "write `key: value`"),
        ("[1, 2]".to_owned(), (1, 1), "a mapping is expected here", "write `key: value`"),
        ("a: b: c".to_owned(), (1, 5), "mapping values are not allowed in this context", ""),
        ("apiVersion: [\n".to_owned(), (1, 13), "unclosed bracket '['", ""),
        (
            "kind: ImagePolicy\nspec: {statements: []}\n".to_owned(),
            (2, 1),
            "key `apiVersion` is missing",
            "add `apiVersion`",
        ),
        (
            "apiVersion: plimsoll.dev/v1\nspec: {statements: []}\n".to_owned(),
            (2, 1),
            "key `kind` is missing",
            "add `kind`",
        ),
        (
            "apiVersion: plimsoll.dev/v2\nkind: ImagePolicy\n".to_owned(),
            (1, 13),
            "apiVersion `plimsoll.dev/v2` is not known",
            "did you mean `plimsoll.dev/v1`?",
        ),
        (
            "apiVersion: plimsoll.dev/v1\nkind: ImagePolcy\n".to_owned(),
            (2, 7),
            "kind `ImagePolcy` is not known",
            "did you mean `ImagePolicy`?",
        ),
        (HEAD.to_owned(), (2, 1), "key `spec` is missing", "add `spec`"),
        (format!("{HEAD}spec: {{}}\n"), (3, 7), "key `statements` is missing", "add `statements`"),
        (
            format!("{HEAD}spec:\n"),
            (3, 5),
            "a key or list entry without a value",
            "write a value, or leave the key away",
        ),
        (format!("{HEAD}specs: {{statements: []}}\n"), (3, 1), "unknown key `specs`", "did you mean `spec`?"),
        (
            format!("{HEAD}metadata: {{name: \"\"}}\nspec: {{statements: []}}\n"),
            (3, 18),
            "`metadata.name` is empty",
            "write a text, or leave the key away",
        ),
        (
            format!("{HEAD}metadata: {{label: x}}\nspec: {{statements: []}}\n"),
            (3, 12),
            "unknown key `label`",
            "possible: `name`",
        ),
        (
            format!("%YAML 1.1\n---\n{HEAD}spec: {{statements: []}}\n"),
            (2, 1),
            "did not find expected <document start>",
            "",
        ),
        (
            format!("{HEAD}spec: {{statements: []}}\n---\n{HEAD}spec: {{statements: []}}\n"),
            (6, 7),
            "a second ImagePolicy in one file",
            "keep one document of each kind",
        ),
        (
            format!("{HEAD}spec: {{statements: []}}\nspec: {{statements: []}}\n"),
            (4, 1),
            "key `spec` stands twice",
            "leave it once",
        ),
        (
            "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {}\n".to_owned(),
            (1, 1),
            "no ImagePolicy in this file",
            "begin with `apiVersion: plimsoll.dev/v1`",
        ),
        (policy("  statements: {}\n"), (4, 15), "a list is expected here", "write `[one, two]`"),
        (
            policy("  statements: []\n  statement: []\n"),
            (5, 3),
            "unknown key `statement`",
            "did you mean `statements`?",
        ),
        (
            policy("  statements: []\n  built-in: {unmatched: {level: warn}}\n"),
            (5, 14),
            "unknown key `unmatched`",
            "possible: `unresolvable-reference`, `unr",
        ),
        (
            policy("  statements: []\n  built-in: {unreadable-source: {level: off}}\n"),
            (5, 41),
            "`off` is not possible here",
            "possible: `deny`, `warn`",
        ),
        (
            policy("  statements: []\n  built-in: {unreadable-source: warn}\n"),
            (5, 33),
            "a mapping is expected here",
            "write `key: value`",
        ),
        (
            policy("  statements: []\n  inline-ignores: [exists]\n"),
            (5, 20),
            "`exists` is built in; it can't be excepted or ignored",
            "mend the reference, or see `spec.built-i",
        ),
        (
            policy("  statements: []\n  inline-ignores: [image-sise]\n"),
            (5, 20),
            "no rule `image-sise`",
            "did you mean `image-size`?",
        ),
        (
            policy("  statements: []\n  inline-ignores: [image-size, image-size]\n"),
            (5, 32),
            "rule `image-size` stands twice",
            "leave it once",
        ),
        (
            policy("  statements:\n    - match: [\"**\"]\n      rules: {pinned-digest: {}}\n"),
            (6, 7),
            "key `name` is missing",
            "add `name`",
        ),
        (
            policy("  statements:\n    - name: \" \"\n      match: [\"**\"]\n      rules: {pinned-digest: {}}\n"),
            (5, 13),
            "`name` is empty",
            "write a text, or leave the key away",
        ),
        (
            policy("  statements:\n    - name: a\n      rules: {pinned-digest: {}}\n"),
            (6, 7),
            "key `match` is missing",
            "add `match`",
        ),
        (
            policy("  statements:\n    - name: a\n      match: [\"**\"]\n"),
            (6, 7),
            "key `rules` is missing",
            "add `rules`",
        ),
        (
            policy("  statements:\n    - name: a\n      match: []\n      rules: {pinned-digest: {}}\n"),
            (6, 14),
            "the list of patterns is empty; write `**` for every image",
            "patterns look like `ghcr.io/acme/**` or ",
        ),
        (
            policy("  statements:\n    - name: a\n      match: [\"!nginx\"]\n      rules: {pinned-digest: {}}\n"),
            (6, 14),
            "every pattern takes out (`!`), so nothing is left; add the pattern the",
            "patterns look like `ghcr.io/acme/**` or ",
        ),
        (
            policy("  statements:\n    - name: a\n      match: [\"**\", !nginx]\n      rules: {pinned-digest: {}}\n"),
            (6, 27),
            "unsupported tag `!nginx`",
            "put quotes around a pattern that begins ",
        ),
        (
            policy("  statements:\n    - name: a\n      match: [\"**\", \"*/x\"]\n      rules: {pinned-digest: {}}\n"),
            (6, 21),
            "`*/x` names no registry; write the host in front, as in `docker.io/*/x",
            "patterns look like `ghcr.io/acme/**` or ",
        ),
        (
            policy("  statements:\n    - name: a\n      match: \"**\"\n      rules: {pinned-digest: {}}\n"),
            (6, 14),
            "a list is expected here",
            "write `[one, two]`",
        ),
        (
            policy(
                "  statements:\n    - {name: a, match: [x], rules: {pinned-digest: {}}}\n    - {name: a, match: [y], rules: {pinned-digest: {}}}\n",
            ),
            (6, 14),
            "a second statement named `a`",
            "give each its own name",
        ),
        (rule(""), (7, 14), "the statement has no rule", "add a rule, such as `pinned-digest: {}`"),
        (rule("signature: {}"), (7, 15), "unknown key `signature`", "this version has no rule `signature` yet"),
        (rule("provenance: {}"), (7, 15), "unknown key `provenance`", "this version has no rule `provenance` yet"),
        (rule("pinned_digest: {}"), (7, 15), "unknown key `pinned_digest`", "did you mean `pinned-digest`?"),
        (
            rule("pinned-digest: "),
            (7, 28),
            "a key or list entry without a value",
            "write a value, or leave the key away",
        ),
        (
            rule("pinned-digest: ~"),
            (7, 30),
            "a key or list entry without a value",
            "write a value, or leave the key away",
        ),
        (rule("pinned-digest: true"), (7, 30), "a mapping is expected here", "write `key: value`"),
        (
            rule("pinned-digest: {level: error}"),
            (7, 38),
            "`error` is not possible here",
            "possible: `deny`, `warn`, `off`",
        ),
        (rule("pinned-digest: {levle: warn}"), (7, 31), "unknown key `levle`", "did you mean `level`?"),
        (rule("pinned-digest: {}, pinned-digest: {}"), (7, 34), "key `pinned-digest` stands twice", "leave it once"),
        (
            rule("image-size: {max: 0}"),
            (7, 33),
            "a maximum of 0 lets no image pass",
            "write a whole number with a unit, such a",
        ),
        (
            rule("image-size: {max: 5 apples}"),
            (7, 33),
            "`5 apples` is not a size",
            "write a whole number with a unit, such a",
        ),
        (rule("platforms: {}"), (7, 26), "nothing is asked for", "write `require: [linux/amd64, linux/arm6"),
        (
            rule("image-size: {}"),
            (7, 27),
            "image-size needs `max`, `max-added`, `max-layers` or `largest-layer`",
            "write `max: 500MiB`",
        ),
        (
            rule("image-size: {max: 1GiB, max-layers: 0}"),
            (7, 51),
            "a maximum of 0 layers lets no image pass",
            "write how many layers",
        ),
        (
            rule("image-size: {max: 1MiB, largest-layer: 2MiB}"),
            (7, 54),
            "no layer of 2MiB fits into a `max` of 1MiB",
            "make `largest-layer` smaller",
        ),
        (
            rule("image-age: {max: 1d, min: 2d}"),
            (7, 41),
            "no image is at least 2d and at most 1d old",
            "make `min` shorter than `max`",
        ),
        (
            rule("image-age: {max: 90 days}"),
            (7, 32),
            "`90 days` is not a length of time",
            "write a whole number of hours, days or w",
        ),
        (rule("image-config: {}"), (7, 29), "image-config needs at least one setting", "write `secrets: forbidden`"),
        (rule("image-config: {forbid-ports: [22, 0]}"), (7, 49), "`0` is not a port", "write a port from 1 to 65535"),
        (rule("image-config: {labels: [a, b, \"a=x\"]}"), (7, 45), "`a` stands twice", "leave one away"),
        (
            rule("image-config: {volumes: required}"),
            (7, 39),
            "`required` is not possible here",
            "possible: `forbidden`",
        ),
        (rule("image-size: {max: [1]}"), (7, 33), "a text is expected here", ""),
        (
            rule("trusted-registry: {}"),
            (7, 33),
            "trusted-registry needs `allow` or `deny`",
            "write `allow: [\"docker.io/library/*\"]`",
        ),
        (
            rule("trusted-registry: {allow: []}"),
            (7, 41),
            "the list of patterns is empty; write `**` for every image",
            "patterns look like `ghcr.io/acme/**` or ",
        ),
        (
            rule("trusted-registry: {allow: [\"my*.io/x\"]}"),
            (7, 42),
            "`my*.io` is not a registry host; one is literal, or `*.` (for one labe",
            "patterns look like `ghcr.io/acme/**` or ",
        ),
        (
            rule("trusted-registry: {allow: [nginx], deny: [nginx]}"),
            (7, 57),
            "`nginx` stands in both `allow` and `deny`",
            "leave it in one of the two",
        ),
        (rule("mutable-tag: {require-tag: yes}"), (7, 42), "neither true nor false", "write `true` or `false`"),
        (
            rule("mutable-tag: {deny: []}"),
            (7, 35),
            "an empty `deny` refuses nothing",
            "leave `deny` away for `[latest]`, or set",
        ),
        (
            rule("platforms: {require: [amd64]}"),
            (7, 37),
            "`amd64` is not a platform; one is written linux/amd64 or linux/arm/v7",
            "write `require: [linux/amd64, linux/arm6",
        ),
        (with("      where: {}"), (7, 14), "`where` says nothing", "add `paths`, `formats` or `roles`"),
        (
            with("      where: {roles: []}"),
            (7, 22),
            "`roles` is empty, so nothing would fit",
            "name one, or leave the key away",
        ),
        (with("      where: {roles: [runn]}"), (7, 23), "`runn` is not possible here", "did you mean `run`?"),
        (with("      where: {formats: [kubernets]}"), (7, 25), "no format `kubernets`", "did you mean `kubernetes`?"),
        (
            with("      where: {paths: [/etc]}"),
            (7, 23),
            "glob `/etc` begins at the root of the disk",
            "write paths relative to this file, with ",
        ),
        (
            with("      where: {paths: [\"[\"]}"),
            (7, 23),
            "glob `[` can't be read: unclosed character class; missing ']'",
            "write a glob such as `deploy/**` or `*.y",
        ),
        (with("      where: {path: [a]}"), (7, 15), "unknown key `path`", "did you mean `paths`?"),
        (with("      when: {}"), (7, 7), "unknown key `when`", "possible: `name`, `match`, `where`, `rul"),
        (
            exception(&ok.replace("docker.io/library/nginx", "nginx")),
            (5, 24),
            "`nginx` names no registry; an exception names its host",
            "write `docker.io/nginx`",
        ),
        (
            exception(&ok.replace("docker.io/library/nginx", "\"ghcr.io/acme/*\"")),
            (5, 24),
            "`ghcr.io/acme/*` is a pattern; an exception names one image",
            "write host and repository in full, such ",
        ),
        (
            exception(&ok.replace("docker.io/library/nginx", "ghcr.io/Acme/x")),
            (5, 24),
            "`ghcr.io/Acme/x`: repository `Acme/x` must be lower case",
            "write host and repository in full, such ",
        ),
        (
            exception(&ok.replace("image-size", "exists")),
            (5, 57),
            "`exists` is built in; it can't be excepted or ignored",
            "mend the reference, or see `spec.built-i",
        ),
        (
            exception(&ok.replace("image-size", "image-sizes")),
            (5, 57),
            "no rule `image-sizes`",
            "did you mean `image-size`?",
        ),
        (
            exception(&ok.replace("[image-size]", "[]")),
            (5, 56),
            "the exception names no rule",
            "name the rules it is for",
        ),
        (
            exception(&ok.replace("[image-size]", "[image-size, image-size]")),
            (5, 69),
            "rule `image-size` stands twice",
            "leave it once",
        ),
        (exception(&ok.replace(", reason: r", "")), (5, 80), "key `reason` is missing", "add `reason`"),
        (exception(&ok.replace("reason: r", "reason: \"\"")), (5, 78), "`reason` is empty", "say the reason"),
        (exception(&ok.replace(", owner: o", "")), (5, 81), "key `owner` is missing", "add `owner`"),
        (exception(&ok.replace(", expires: 2026-12-31", "")), (5, 81), "key `expires` is missing", "add `expires`"),
        (
            exception(&ok.replace("2026-12-31", "2026-02-30")),
            (5, 100),
            "`2026-02-30` is not a day",
            "write the last day as 2027-03-01",
        ),
        (
            exception(&ok.replace("2026-12-31", "tomorrow")),
            (5, 100),
            "`tomorrow` is not a day",
            "write the last day as 2027-03-01",
        ),
        (
            exception(&ok.replace("2026-12-31", "2026-12-31T00:00:00Z")),
            (5, 100),
            "`2026-12-31T00:00:00Z` is not a day",
            "write the last day as 2027-03-01",
        ),
        (
            exception(&ok.replace("2026-12-31", "2027-11-22")),
            (5, 100),
            "`2027-11-22` is more than 366 days ahead",
            "the last possible day is 2027-11-21",
        ),
        (
            exception(&format!("{ok}}}, {{{}", ok.replace("library/", ""))),
            (5, 121),
            "the same exception stands on line 5",
            "keep one of them",
        ),
        (
            policy(
                "  statements:\n    - &a {name: a, match: [x], rules: {pinned-digest: {}}}\n    - {<<: *a, name: b}\n",
            ),
            (6, 8),
            "merge keys (`<<`) are not read",
            "write the keys out",
        ),
        (
            policy("  statements:\n    - &a {name: a, match: [x], rules: {pinned-digest: {}}}\n    - *a\n"),
            (6, 7),
            "a second statement named `a`",
            "give each its own name",
        ),
        (
            policy("  statements: !foo []\n"),
            (4, 20),
            "unsupported tag `!foo`",
            "put quotes around a pattern that begins ",
        ),
        (policy("  statements: *nothing\n"), (4, 15), "alias references unknown anchor", ""),
        (format!("{HEAD}spec: {}{}\n", "[".repeat(5000), "]".repeat(5000)), (3, 39), "recursion limit exceeded", ""),
        (
            format!("{HEAD}spec: {{statements: []}}\nx: {}\n", "a".repeat(2 << 20)),
            (1, 1),
            "longer than 1048576 bytes",
            "a policy is a short text; split nothing ",
        ),
        (policy("  statements: []\n  é: x\n"), (5, 3), "unknown key `é`", "possible: `built-in`, `statements`, `exc"),
    ];
    for (text, (line, column), message, help) in rows {
        let shown: String = text.chars().take(400).collect();
        let error = read(&text).err().unwrap_or_else(|| panic!("accepted: {shown}"));
        assert_eq!(error.place, Place { line, column }, "{error}\n{shown}");
        assert!(error.message.contains(message) && error.help.contains(help), "{error}\n{shown}");
        assert!(error.to_string().starts_with(&format!("plimsoll.yaml:{line}:{column}: ")));
        assert!(error.span.of(error.source.as_bytes()).is_some(), "{error}");
    }
    assert!(read(&rule("pinned-digest: {}")).is_ok() && read(&exception(ok)).is_ok());
    assert!(read(&exception(&ok.replace("2026-12-31", "2027-11-21"))).is_ok(), "366 days ahead");
    assert!(read(&exception(&ok.replace("2026-12-31", "2020-01-01"))).is_ok(), "past, and kept");
}

#[test]
fn a_doubled_key_is_seen_however_it_is_written() {
    for twice in [
        "\"statements\"",
        "'statements'",
        "\"st\\x61tements\"",
        "? statements\n  ",
        "!!str statements",
        "\"spec\": 1\n  statements",
    ] {
        let text = policy(&format!("  statements: []\n  {twice}: []\n"));
        assert!(read(&text).is_err(), "{text}");
    }
}

#[test]
fn a_torn_policy_never_panics_and_keeps_its_place() {
    let mut refused = 0;
    for (at, letter) in SOUND.char_indices().step_by(3) {
        let without = [&SOUND[..at], &SOUND[at + letter.len_utf8()..]].concat();
        for text in [SOUND[..at].to_owned(), without, SOUND.replacen(letter, "\u{2028}é", 1)] {
            if let Err(error) = read(&text) {
                refused += 1;
                assert!(error.span.of(text.as_bytes()).is_some() && !error.message.is_empty(), "{error}");
                assert!(error.place.line <= text.lines().count() + 1, "{error}");
            }
        }
    }
    assert!(refused > 400, "{refused}");
}

#[test]
fn a_bomb_is_refused_and_does_not_hang() {
    let mut laughs = format!("{HEAD}spec:\n  statements:\n    - &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        laughs.push_str(&["    - &a", &level.to_string(), " [", &[before.as_str(); 9].join(", "), "]\n"].concat());
    }
    let wide = policy(&format!("  statements: [{}]\n", "[],".repeat(300_000)));
    let documents = "--- {a: 1}\n".repeat(90_000);
    let nested = policy(&format!("  statements: {}\n", "{a: ".repeat(10_000)));
    let exception = "image: docker.io/library/nginx, rules: [image-size], reason: r, owner: o, expires: 2026-12-31";
    let reused = policy(&format!("  statements: []\n  exceptions: [&e {{{exception}}}, {}]\n", "*e, ".repeat(20_000)));
    let item = |at: usize| format!("{{name: n{at}, match: [x], rules: {{pinned-digest: {{}}}}}}, ");
    let long = policy(&format!("  statements: [{}]\n", (0..12_000).map(item).collect::<String>()));
    assert_eq!(
        read(&long).map(|loaded| loaded.policy.statements().len()).map_err(|error| error.to_string()),
        Ok(12_000)
    );
    for (name, text) in
        [("laughs", laughs), ("wide", wide), ("documents", documents), ("nested", nested), ("reused", reused)]
    {
        let error = read(&text).err().unwrap_or_else(|| panic!("{name} was accepted"));
        println!("{name}: {error}");
    }
}

#[test]
fn an_empty_policy_is_one_and_crlf_and_a_byte_order_mark_do_no_harm() {
    let text = policy("  statements: []\n");
    assert!(read(&text).expect("a policy").policy.statements().is_empty());
    let odd = format!("\u{feff}{}", SOUND.replace('\n', "\r\n"));
    let loaded = read(&odd).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.policy.statements()[1].line(), 19);
    let reversed = SOUND.split_once("---\n").map(|(policy, config)| format!("{config}---\n{policy}"));
    let loaded = read(&reversed.expect("two documents")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((loaded.policy.statements()[0].line(), loaded.config.is_some()), (16, true));
}

/// A config whose entry for one registry has `body` for keys; it stands on line 5.
fn config(body: &str) -> String {
    format!("apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec:\n  registries:\n    - {{{body}}}\n")
}

#[test]
fn a_config_of_the_machine_may_say_all_and_one_beside_a_policy_may_not() {
    let text = config(
        "prefix: Index.Docker.IO/library, mirrors: [\"mirror.corp:5000/hub\", \"http://127.0.0.1:5000\"], only-mirrors: true, insecure: true, ca: certs/corp.pem, token-realm: \"https://auth.corp/token\"",
    );
    let found = load_config(&text, "gate.yaml").unwrap_or_else(|error| panic!("{error}"));
    let expected = RegistrySettings {
        prefix: "docker.io/library".to_owned(),
        mirrors: vec!["mirror.corp:5000/hub".to_owned(), "http://127.0.0.1:5000".to_owned()],
        only_mirrors: true,
        insecure: true,
        ca: Some("certs/corp.pem".to_owned()),
        token_realm: Some("https://auth.corp/token".to_owned()),
        layout: None,
        line: 5,
    };
    assert_eq!(found.registries, [expected]);
    assert!(load_config(&config("prefix: \"*\", layout: x"), "gate.yaml").is_ok());

    let beside = format!("{}---\n{text}", policy("  statements: []\n"));
    let error = read(&beside).expect_err("transport beside a policy");
    assert!(error.message.contains("may not stand beside a policy"), "{error}");
    assert_eq!(error.place.line, 10);
    for key in ["mirrors: [a.b]", "only-mirrors: false", "insecure: false", "ca: x", "token-realm: \"https://a.b/t\""] {
        let text = format!("{}---\n{}", policy("  statements: []\n"), config(&format!("prefix: a.b, {key}")));
        let error = read(&text).expect_err(key);
        assert!(error.message.contains("may not stand beside a policy"), "{error}");
    }
}

#[test]
fn broken_configs_are_refused_at_their_place() {
    let kinds = |kind: &str| format!("{}  kinds: [{kind}]\n", config("prefix: a.b, layout: x"));
    let rows = [
        (config("prefix: nginx, layout: x"), 5, "not a prefix"),
        (config("prefix: \"a.b/*\", layout: x"), 5, "not a prefix"),
        (config("prefix: a.b/, layout: x"), 5, "not a prefix"),
        (config("prefix: \"*.a.b\", layout: x"), 5, "not a prefix"),
        (config("prefix: a.b"), 5, "sets nothing"),
        (config("layout: x"), 5, "key `prefix` is missing"),
        (config("prefix: a.b, layout: \"\""), 5, "`layout` is empty"),
        (config("prefix: a.b, layout: x, insecure: true"), 5, "exclude each other"),
        (config("prefix: a.b, only-mirrors: true"), 5, "reaches nothing"),
        (config("prefix: a.b, mirrors: []"), 5, "names none"),
        (config("prefix: a.b, mirrors: [\"https://user:pass@a.b\"]"), 5, "not a mirror"),
        (config("prefix: a.b, mirrors: [\"ftp://a.b\"]"), 5, "not a mirror"),
        (config("prefix: a.b, insecure: \"yes\""), 5, "true nor false"),
        (config("prefix: a.b, token-realm: c.d/token"), 5, "is not `https://HOST"),
        (config("prefix: a.b, token-realm: \"https://user:pass@c.d/token\""), 5, "is not `https://HOST"),
        (config("prefix: a.b, token-realm: \"http://c.d/token\""), 5, "plain http"),
        (config("prefix: \"*\", token-realm: \"https://c.d/token\""), 5, "every registry"),
        (config("prefix: a.b, layout: x, token-realm: \"https://c.d/token\""), 5, "exclude each other"),
        (config("prefix: a.b, mirror: [c.d]"), 5, "unknown key `mirror`"),
        (
            format!("{}    - {{prefix: A.B, layout: y}}\n", config("prefix: a.b, layout: x")),
            6,
            "prefix `a.b` stands twice",
        ),
        (format!("{}  ignore: []\n", config("prefix: a.b, layout: x")), 6, "list of globs is empty"),
        (format!("{}  ignore: [/a]\n", config("prefix: a.b, layout: x")), 6, "root of the disk"),
        (kinds("{a: b}"), 6, "unknown key `a`"),
        (kinds("{group: a.b/v1, kind: C, images: [.spec.image]}"), 6, "no API group"),
        (kinds("{group: a.b, kind: C, images: []}"), 6, "names no path"),
        (kinds("{group: a.b, kind: C, images: [\"{.spec.image[0]}\"]}"), 6, "is no path"),
        (kinds("{group: a.b, kind: \"\", images: [.spec.image]}"), 6, "empty"),
        (policy("  statements: []\n"), 2, "a config holds no policy"),
        (String::new(), 1, "no GateConfig"),
    ];
    for (text, line, message) in rows {
        let error = load_config(&text, "gate.yaml").expect_err(&text);
        assert_eq!(error.place.line, line, "{error}\n{text}");
        assert!(error.message.contains(message), "{error}");
    }
}

/// The document as YAML 1.2 reads it: `off` is a word.
fn json(text: &str) -> serde_json::Value {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).expect("a value")
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let (text, _) = SOUND.split_once("---\n").expect("two documents");
    let value = json(text);
    assert!(
        validator.is_valid(&value),
        "{:?}",
        validator.iter_errors(&value).map(|e| e.to_string()).collect::<Vec<_>>()
    );
    for (from, to) in [
        ("pinned-digest: {}", "pinned_digest: {}"),
        ("level: warn", "level: loud"),
        ("roles: [run]", "roles: [runs]"),
        ("match:", "matches:"),
        ("name: production", "name: \"\""),
        ("ImagePolicy", "ImagePolicies"),
        ("max: 500MiB", "max: 5 apples"),
    ] {
        let value = json(&text.replacen(from, to, 1));
        assert!(!validator.is_valid(&value), "{to}");
    }
    let config = jsonschema::validator_for(&config_schema()).expect("a schema");
    let text = super::tests::config("prefix: a.b, layout: x");
    assert!(config.is_valid(&json(&text)));
}

#[test]
fn every_starter_policy_is_sound() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let loaded = read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(loaded.config.is_none() && loaded.policy.statements().iter().any(Statement::can_deny));
        assert!(loaded.policy.exceptions().is_empty() && loaded.policy.name().is_some(), "{}", path.display());
        found += 1;
    }
    assert!(found >= 2);
}
