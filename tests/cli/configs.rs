//! Rules that judge configs, from outside: what is asked of a registry, and what of a config reaches a report.

use super::images::{at, push};
use super::*;
use plimsoll::digest::Digest;

const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

fn policy(rules: &str) -> String {
    format!(
        "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n  statements: [{{name: all, match: ['**'], rules: {{{rules}}}}}]\n"
    )
}

/// Judges an image with this config by these rules.
fn judged(rules: &str, config: &Value, format: &str) -> (Answer, Vec<String>) {
    let server = Server::start(Behaviour::default());
    let image = push(&server, config, &[10, 20], &Value::Null);
    let digest = image["digest"].as_str().expect("a digest");
    assert!(Digest::parse(digest).is_ok());
    let repository = at(&server);
    repository.write("plimsoll.yaml", policy(rules));
    repository.write("a.yaml", pod(&format!("image: app@{digest}")));
    let answer = repository.run(&["check", "--config", "machine.conf", "--format", format, "--now", NOW]);
    (answer, server.lines())
}

#[test]
fn no_value_of_a_variable_reaches_any_output() {
    let config = serde_json::json!({"os": "linux", "architecture": "amd64", "config": {
        "Env": [format!("A={TOKEN}"), format!("B=x {TOKEN}"), "DB_PASSWORD=hunter2", TOKEN, format!("={TOKEN}")]}});
    for format in ["text", "json"] {
        let (answer, _) = judged("image-config: {secrets: forbidden, forbid-environment: ['*']}", &config, format);
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        let shown = format!("{}{}", answer.stdout, answer.stderr);
        assert!(shown.contains("`A` looks like a GitHub token") && shown.contains("`DB_PASSWORD`"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains(&TOKEN[..12]), "{shown}");
    }
}

#[test]
fn what_a_config_holds_reaches_no_terminal_as_a_command() {
    let evil = "x\u{1b}[2J\u{202e}\nplimsoll: allowed\r";
    let config = serde_json::json!({"os": "linux", "architecture": "amd64", "created": evil,
        "config": {"Labels": {"a": evil}, "Volumes": {evil: {}}, "ExposedPorts": {evil: {}}, "Env": [format!("{evil}_TOKEN=x")]}});
    let rules = "image-config: {labels: ['a=b'], volumes: forbidden, secrets: forbidden}, image-age: {max: 9d}";
    let (answer, _) = judged(rules, &config, "text");
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stdout.contains("label `a` is `x\\u{1b}[2J\\u{202e}\\u{a}plimsoll: allowed"), "{}", answer.stdout);
    assert!(answer.stdout.contains("which is no time"), "{}", answer.stdout);
    assert!(!answer.stdout.contains(['\u{1b}', '\u{202e}', '\r']) && !answer.stdout.contains("\nplimsoll: allowed"));
    let (answer, _) = judged(rules, &config, "json");
    assert!(answer.json().to_string().contains("\\u001b[2J"), "{}", answer.stdout);
    let (answer, _) = judged("image-config: {forbid-ports: [22]}", &config, "text");
    assert_eq!(answer.code, 3, "{}", answer.stdout);
}

#[test]
fn configs_are_asked_for_only_where_a_rule_judges_them() {
    let config = serde_json::json!({"os": "linux", "architecture": "amd64", "created": "2026-11-10T00:00:00Z"});
    let blobs = |lines: &[String]| lines.iter().filter(|line| line.contains("/blobs/")).count();
    let rows = [
        ("image-size: {max: 1MiB, max-layers: 2, largest-layer: 20}", 0, 0),
        ("image-size: {max-layers: 1}", 1, 0),
        ("image-size: {largest-layer: 19}", 1, 0),
        ("image-age: {max: 10d, min: 1d}", 0, 1),
        ("image-age: {max: 9d}", 1, 1),
        ("image-age: {min: 11d}, image-config: {volumes: forbidden}", 1, 1),
        ("image-config: {entrypoint: required}, image-size: {max-layers: 2}", 1, 1),
    ];
    for (rules, code, expected) in rows {
        let (answer, lines) = judged(rules, &config, "text");
        assert_eq!((answer.code, blobs(&lines)), (code, expected), "{rules}: {}{}", answer.stdout, answer.stderr);
    }
}
