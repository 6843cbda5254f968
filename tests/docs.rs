//! Docs that the code writes: rules, schemas, the README's transcript. A difference fails;
//! `PLIMSOLL_BLESS=1 cargo test --test docs` writes them anew.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use plimsoll::registry::registries_conf;
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
fn the_page_of_registries_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/registries.md")).expect("the page").replace("\r\n", "\n");
    let blocks = |language: &str| -> Vec<&str> {
        let start = format!("```{language}\n");
        let starts = page.split(start.as_str()).skip(1);
        starts.map(|rest| rest.split("```").next().expect("an end")).collect()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let named = folder.path().join("registries.conf");
    for example in blocks("toml") {
        fs::write(&named, example).expect("written");
        let places = registries_conf::Places { named: Some(named.clone()), ..registries_conf::Places::default() };
        assert_eq!(registries_conf::read(&places).expect("the example is read").entries.len(), 3);
    }
    // The second one is an entry of the first.
    let [whole, entry] = blocks("yaml")[..] else { panic!("two examples") };
    for example in [whole.to_owned(), format!("{whole}{entry}")] {
        plimsoll::policy::load_config(&example, "gate.conf").unwrap_or_else(|error| panic!("{error}"));
    }
    let code = fs::read_to_string(root.join("src/cli/machine.rs")).expect("the code");
    for variable in ["CONTAINERS_REGISTRIES_CONF", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"]
        .into_iter()
        .chain(["DOCKER_CONFIG", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "PLIMSOLL_ETC"])
    {
        assert!(page.contains(variable) && code.contains(&format!("\"{variable}\"")), "{variable}");
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
    assert_eq!(count, 3);
    held("README.md", &expected);
    assert!(
        readme
            .contains("cargo run --release -- check --policy fixtures/quickstart/plimsoll.yaml fixtures/quickstart\n")
    );
}
