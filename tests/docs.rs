//! Docs that the code writes: rules, schemas, the README's transcript. A difference fails;
//! `PLIMSOLL_BLESS=1 cargo test --test docs` writes them anew.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use plimsoll::rule::built_in::{BUILT_INS, BuiltIn};
use plimsoll::rule::kind::RuleKind;
use plimsoll::rule::table::RULES;

fn held(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("PLIMSOLL_BLESS").is_some() {
        fs::write(&path, expected).expect("written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{name} is not what the code says; PLIMSOLL_BLESS=1 cargo test --test docs writes it");
}

#[test]
fn rules() {
    let mut text = String::from(
        "<!-- Written by `PLIMSOLL_BLESS=1 cargo test --test docs` from src/rule/; edit it there. -->\n\n",
    );
    let pages = RULES.iter().map(RuleKind::page).chain(BUILT_INS.iter().map(BuiltIn::page));
    text += &pages.collect::<Vec<_>>().join("\n");
    held("docs/rules.md", &text);
}

#[test]
fn every_format_has_its_row() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md")).expect("the page");
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let ids: Vec<&str> = plimsoll::source::table::formats().iter().map(|format| format.id()).collect();
    for id in &ids {
        assert!(rows.contains(id), "docs/formats.md has no row for {id}");
    }
    for row in rows {
        assert!(ids.contains(&row), "docs/formats.md has a row for {row}, which is no format");
    }
}

#[test]
fn policy_schema() {
    let text = serde_json::to_string_pretty(&plimsoll::policy::schema()).expect("JSON");
    held("docs/policy.schema.json", &format!("{text}\n"));
}

#[test]
fn config_schema() {
    let text = serde_json::to_string_pretty(&plimsoll::policy::config_schema()).expect("JSON");
    held("docs/config.schema.json", &format!("{text}\n"));
}

#[test]
fn resolve_and_inspect_schemas() {
    for (name, schema) in
        [("resolve", plimsoll::report::resolve::schema()), ("inspect", plimsoll::report::inspect::schema())]
    {
        let text = serde_json::to_string_pretty(&schema).expect("JSON");
        held(&format!("docs/{name}.schema.json"), &format!("{text}\n"));
    }
}

#[test]
fn the_readmes_transcripts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("a README").replace("\r\n", "\n");
    let mut parts = readme.split("<!-- transcript: ");
    let mut expected = parts.next().expect("a beginning").to_owned();
    let mut count = 0;
    for part in parts {
        let (command, rest) = part.split_once(" -->\n```\n").expect("a command");
        // what the program said may be nothing yet
        let after = match rest.strip_prefix("```\n") {
            Some(after) => after,
            None => rest.split_once("\n```\n").expect("an end").1,
        };
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.extend(["--now", "2026-11-20T00:00:00Z"]);
        let repository = support::Repository::new();
        let output = repository.command(&arguments).current_dir(root).output().expect("runs");
        let answer = support::answer(&output);
        // the shop breaks its policy on purpose
        assert_eq!(answer.code, i32::from(command.starts_with("check ")), "{command}: {}", answer.stderr);
        let _ = write!(expected, "<!-- transcript: {command} -->\n```\n{}```\n{after}", answer.stdout);
        count += 1;
    }
    assert_eq!(count, 2);
    held("README.md", &expected);
    assert!(
        readme
            .contains("cargo run --release -- check --policy fixtures/quickstart/plimsoll.yaml fixtures/quickstart\n")
    );
}
