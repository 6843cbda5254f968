//! `init`, `explain` and `policy`.

use super::*;

#[test]
fn init_writes_a_policy_once_and_prints_it_on_request() {
    let repository = Repository::new();
    repository.write("sub/a.yaml", pod("image: ghcr.io/acme/app:1"));
    let printed = repository.run(&["init", "--print", "sub"]);
    assert_eq!((printed.code, repository.path("sub/plimsoll.yaml").exists()), (0, false));
    assert!(printed.stdout.contains("ghcr.io/acme"), "{}", printed.stdout);
    assert_eq!(code(&repository, &["init", "sub"]), 0);
    assert_eq!(repository.read("sub/plimsoll.yaml"), printed.stdout);
    assert_eq!(code(&repository, &["policy", "check", "sub/plimsoll.yaml"]), 0);
    repository.write("sub/plimsoll.yaml", "mine");
    assert_eq!((code(&repository, &["init", "sub"]), repository.read("sub/plimsoll.yaml")), (2, "mine".to_owned()));
    assert_eq!(code(&repository, &["init", "missing"]), 2);
    assert_eq!((code(&repository, &["init"]), repository.path("plimsoll.yaml").exists()), (0, true));
}

#[test]
fn explain_knows_every_rule_it_names() {
    let repository = Repository::new();
    let all = repository.run(&["explain"]);
    assert_eq!(all.code, 0);
    let ids = all.stdout.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let ids: Vec<&str> = ids.collect();
    assert!(ids.contains(&"image-size") && ids.contains(&"unmatched"), "{ids:?}");
    for id in ids {
        let page = repository.run(&["explain", id]);
        assert!(page.code == 0 && page.stdout.starts_with(&format!("# {id}\n")), "{id}: {}", page.stdout);
    }
    let answer = repository.run(&["explain", "image-sise"]);
    assert!(answer.code == 2 && answer.stderr.contains("`image-size`"), "{}", answer.stderr);
}

#[test]
fn policy_check_and_schema() {
    let repository = good();
    let answer = repository.run(&["policy", "check"]);
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (0, "plimsoll.yaml: a policy with 1 statement and 0 exceptions\n")
    );
    repository.write("other.yaml", "kind: Pod\n");
    assert_eq!(code(&repository, &["policy", "check", "other.yaml"]), 2);
    assert_eq!(code(&repository, &["policy", "check", "missing.yaml"]), 2);
    let schema = repository.run(&["policy", "schema"]);
    assert_eq!(schema.code, 0);
    let schema = json(&schema.stdout);
    let policy = |rule: &str| {
        json(&format!(
            r#"{{"apiVersion":"plimsoll.dev/v1","kind":"ImagePolicy","spec":{{"statements":[{{"name":"a","match":["**"],"rules":{{"{rule}":{{}}}}}}]}}}}"#
        ))
    };
    assert!(jsonschema::is_valid(&schema, &policy("pinned-digest")));
    assert!(!jsonschema::is_valid(&schema, &policy("pinned-digst")));
}
