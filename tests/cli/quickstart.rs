//! The quick start, against its golden report and the verdicts that were written by hand.

use super::*;

fn repository() -> Repository {
    let repository = Repository::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    copy(&fixtures.join("registry"), &repository.path("registry"));
    copy(&fixtures.join("quickstart"), &repository.path("quickstart"));
    repository
}

fn run(repository: &Repository, arguments: &[&str]) -> Answer {
    let mut command = repository.command(arguments);
    support::answer(&command.current_dir(repository.path("quickstart")).output().expect("runs"))
}

#[test]
fn the_text_report_is_the_golden_one() {
    let answer = run(&repository(), &["check", "--now", NOW, "--color", "never"]);
    assert_eq!(answer.code, 1);
    insta::assert_snapshot!("quickstart", answer.stdout);
}

#[test]
fn every_verdict_is_as_it_was_written_by_hand() {
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/quickstart.expected.json");
    let expected = json(&fs::read_to_string(expected).expect("read"));
    let repository = repository();
    let answer = run(&repository, &["check", "--now", NOW, "--format", "json"]);
    assert_eq!(answer.stdout, run(&repository, &["check", "--now", NOW, "--format", "json"]).stdout);
    let report = answer.json();
    let rows = report["references"].as_array().expect("rows");
    let findings = report["findings"].as_array().expect("rows");
    let ids = |at: usize, fits: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        let own = findings.iter().filter(|finding| finding["reference"] == at && fits(finding));
        own.map(|finding| finding["rule"].clone()).collect()
    };
    let found: Vec<Value> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let mut found = serde_json::Map::new();
            for key in ["file", "line", "path", "text", "verdict"] {
                found.insert(key.to_owned(), row[key].clone());
            }
            let deny = ids(at, &|finding| finding["level"] == "deny" && finding["status"] != "excepted");
            let warns = ids(at, &|finding| finding["level"] == "warn" && finding["status"] != "excepted");
            let excepted = ids(at, &|finding| finding["status"] == "excepted");
            found.insert("rules".to_owned(), deny.into());
            found.insert("warns".to_owned(), warns.into());
            if !excepted.is_empty() {
                found.insert("excepted".to_owned(), excepted.into());
            }
            found.into()
        })
        .collect();
    for (found, expected) in found.iter().zip(expected.as_array().expect("rows")) {
        assert_eq!(found, expected);
    }
    assert_eq!(Some(found.len()), expected.as_array().map(Vec::len));
}
