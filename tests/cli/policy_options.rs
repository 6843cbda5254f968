//! Which policy judges, from where, and by what clock; and what a policy that can't be read says.

use super::*;

#[test]
fn policy_names_another_policy() {
    let repository = good();
    repository.write("other/policy.txt", format!("{EXAMPLE_ONLY}{}", FROM_LAYOUT.replace("registry}", "../registry}")));
    assert_eq!(code(&repository, &["check"]), 0);
    let answer = repository.run(&["check", "--policy", "other/policy.txt", "--format", "json"]);
    assert_eq!((answer.code, answer.verdict("good:1")), (1, "deny".to_owned()));
    assert_eq!(answer.json()["run"]["policy"], "other/policy.txt");
    assert_eq!(code(&repository, &["pin", "--policy", "other/policy.txt"]), 1);
    for command in ["check", "pin"] {
        assert_eq!(code(&repository, &[command, "--policy", "missing.yaml"]), 2);
    }
}

#[test]
fn policy_from_reads_a_commit_also_beside_policy() {
    let repository = good();
    repository.git(&["init", "-q"]);
    let example = format!("{EXAMPLE_ONLY}{}", FROM_LAYOUT.replace("registry}", "../registry}"));
    repository.write("other/policy.txt", &example);
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "base"]);
    // The work tree says the opposite of the commit, in both files.
    repository.write("plimsoll.yaml", format!("{EXAMPLE_ONLY}{FROM_LAYOUT}"));
    repository.write("other/policy.txt", example.replace("good.example/**", "docker.io/**"));
    assert_eq!(code(&repository, &["check"]), 1);
    let answer = repository.run(&["check", "--policy-from", "HEAD", "--format", "json"]);
    assert_eq!((answer.code, answer.json()["run"]["policy"].as_str()), (0, Some("HEAD:plimsoll.yaml")));
    assert_eq!(code(&repository, &["check", "--policy", "other/policy.txt"]), 0);
    let both = ["check", "--policy", "other/policy.txt", "--policy-from", "HEAD"];
    assert_eq!(code(&repository, &both), 1);
    assert_eq!(code(&repository, &["pin", "--policy-from", "HEAD"]), 0);
    assert!(repository.read("a.yaml").contains("good:1@sha256:"));
    assert_eq!(code(&repository, &["check", "--policy", "new.txt", "--policy-from", "HEAD"]), 2);
    assert_eq!(code(&good(), &["check", "--policy-from", "HEAD"]), 2, "outside of git");
}

#[test]
fn no_policy_is_exit_2_and_names_the_ways_out() {
    let repository = Repository::new();
    repository.write("a.yaml", pod("image: good:1"));
    for command in ["check", "pin"] {
        let answer = repository.run(&[command]);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""));
        assert!(answer.stderr.contains("plimsoll init") && answer.stderr.contains("pin --no-policy"));
    }
}

#[test]
fn a_policy_error_shows_place_text_and_the_nearest_name() {
    let repository = Repository::with(&LIBRARY_ONLY.replace("trusted-registry", "trusted-registy"), &[GOOD], &[]);
    for arguments in [&["check"][..], &["pin"], &["list"], &["policy", "check"]] {
        let answer = repository.run(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{arguments:?}");
        for part in ["plimsoll.yaml:10:9", "trusted-registy: {allow: [", "^^^^", "`trusted-registry`"] {
            assert!(answer.stderr.contains(part), "{arguments:?}: {part}\n{}", answer.stderr);
        }
    }
}

#[test]
fn now_is_the_clock_of_the_run() {
    let repository = good();
    repository.write(
        "plimsoll.yaml",
        format!("{EXAMPLE_ONLY}  exceptions: [{{image: docker.io/library/good, rules: [trusted-registry], reason: r, owner: o, expires: 2026-11-20}}]\n{FROM_LAYOUT}"),
    );
    for command in ["check", "pin"] {
        let answer = repository.run(&[command, "--now", "2026-11-20T23:59:59Z", "--format", "json", "a.yaml"]);
        assert_eq!((answer.code, answer.json()["run"]["now"].as_str()), (0, Some("2026-11-20T23:59:59Z")));
        assert_eq!(code(&repository, &[command, "--now", "2026-11-21T00:00:00Z"]), 1);
        for wrong in ["", "yesterday", "2026-11-20", "2026-13-01T00:00:00Z", "1700000000"] {
            assert_eq!(code(&repository, &[command, "--now", wrong]), 2, "{wrong}");
        }
    }
}
