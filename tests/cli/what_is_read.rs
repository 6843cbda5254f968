//! Which files a run looks at, and what is wrong usage.

use super::*;

#[test]
fn as_tells_the_format_of_named_files() {
    let repository = good();
    let input = pod(&format!("image: evil.example/x:1@sha256:{}", "a".repeat(64)));
    repository.write("named.txt", &input);
    for command in ["check", "pin", "unpin", "list"] {
        assert_eq!(code(&repository, &[command, "named.txt"]), 2, "{command} without --as");
        let expected = i32::from(command == "check" || command == "pin");
        assert_eq!(code(&repository, &[command, "named.txt", "--as", "kubernetes"]), expected, "{command}");
        assert_eq!(code(&repository, &[command, "named.txt", "--as", "dockerfil"]), 2, "{command}");
    }
    assert_eq!(repository.read("named.txt"), pod("image: evil.example/x:1"));
}

#[test]
fn allow_empty_and_named_paths() {
    let repository = good();
    fs::create_dir(repository.path("empty")).expect("made");
    for command in ["check", "pin", "unpin", "list"] {
        assert_eq!(code(&repository, &[command, "empty"]), 2, "{command}");
        assert_eq!(code(&repository, &[command, "empty", "--allow-empty"]), 0, "{command}");
        assert_eq!(code(&repository, &[command, "missing.yaml", "--allow-empty"]), 2, "{command}");
        assert_eq!(code(&repository, &[command, "-", "a.yaml"]), 2, "{command}: `-` stands alone");
    }
}

#[test]
fn only_the_paths_that_are_named() {
    let repository = bad();
    assert_eq!(code(&repository, &["check", "a.yaml"]), 0);
    assert_eq!(code(&repository, &["check", "a.yaml", "b.yaml"]), 1);
    assert_eq!(code(&repository, &["pin", "b.yaml"]), 1);
    assert_eq!(repository.read("a.yaml"), pod("image: good:1"));
}

#[test]
fn a_bad_file_beside_a_good_one_goes_by_precedence() {
    let repository = good();
    repository.write("c.yaml", "image: [\n");
    assert_eq!(code(&repository, &["check"]), 3);
    repository.write("b.yaml", pod("image: evil.example/x:1"));
    assert_eq!(code(&repository, &["check"]), 1);
    assert_eq!(code(&repository, &["check", ".", "missing.yaml"]), 2);
    assert_eq!(code(&repository, &["list"]), 0);
    assert_eq!(code(&repository, &["unpin"]), 0);
}

#[test]
fn unknown_options_and_commands_are_wrong_usage() {
    let repository = good();
    for arguments in [
        &["check", "--no-such-option"][..],
        &["pin", "--no-resolve"],
        &["unpin", "--policy", "plimsoll.yaml"],
        &["list", "--offline"],
        &["no-such-command"],
        &["policy", "no-such-command"],
        &["check", "--policy"],
        &[],
    ] {
        let answer = repository.run(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(!answer.stderr.is_empty());
    }
    for arguments in [&["--help"][..], &["--version"], &["check", "--help"]] {
        assert_eq!(code(&repository, arguments), 0, "{arguments:?}");
    }
}

#[test]
fn an_empty_stream_is_not_a_clean_one() {
    let repository = good();
    for input in ["", "\n \n", "---\n# nothing\n"] {
        for command in ["check", "pin", "unpin", "list"] {
            assert_eq!(repository.run_with(&[command, "-"], input.as_bytes()).code, 2, "{command} of {input:?}");
            let allowed = repository.run_with(&[command, "-", "--allow-empty"], input.as_bytes());
            assert_eq!(allowed.code, 0, "{command} of {input:?}");
        }
    }
    let stream = repository.run_with(&["check", "-"], b"a: 1\n");
    assert_eq!((stream.code, stream.stderr.as_str()), (0, "note: standard input names no image\n"));
    repository.write("none.yaml", "a: 1\n");
    assert_eq!(repository.run(&["check", "none.yaml"]).stderr, "note: none.yaml names no image\n");
    assert_eq!(repository.run(&["check", "."]).stderr, "", "a file that nobody named is not spoken of");
}

#[test]
fn the_policy_alone_is_nothing_to_look_at() {
    let repository = Repository::new();
    repository.write("plimsoll.yaml", LIBRARY_ONLY);
    repository.write("notes.txt", "FROM evil.example/x\n");
    assert_eq!(code(&repository, &["check"]), 2);
    assert_eq!(code(&repository, &["check", "--allow-empty"]), 0);
    repository.write("a.yaml", pod("image: evil.example/x:1"));
    assert_eq!(code(&repository, &["check"]), 1);
}

#[test]
fn ignore_of_a_machines_config_is_relative_to_the_work_tree() {
    let (machine, repository) = (Repository::new(), bad());
    machine.write(
        "machine.yaml",
        "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {ignore: [b.yaml, \"registry/**\"]}\n",
    );
    let config = machine.path("machine.yaml").display().to_string();
    assert_eq!(code(&repository, &["check"]), 1);
    let answer = repository.run(&["check", "--config", &config]);
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stdout.contains("ignored"), "{}", answer.stdout);
}

#[test]
fn settings_that_lead_nowhere_are_said_at_once() {
    let repository = good();
    for setting in ["layout: nowhere", "ca: nowhere.pem"] {
        repository.write(
            "machine.yaml",
            format!(
                "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec:\n  registries: [{{prefix: ghcr.io, {setting}}}]\n"
            ),
        );
        let answer = repository.run(&["check", "--config", "machine.yaml"]);
        assert!(answer.code == 2 && answer.stderr.contains("machine.yaml:4: "), "{setting}: {}", answer.stderr);
    }
}

#[test]
fn references_that_share_a_reason_are_told_together() {
    let repository = good();
    repository.write("plimsoll.yaml", LIBRARY_ONLY);
    repository.write("b.yaml", pod("image: good:2"));
    let answer = repository.run(&["check", "--offline"]);
    assert_eq!(answer.code, 3);
    assert!(answer.stdout.contains("undecided: 2 references, for the same reason"), "{}", answer.stdout);
    assert!(answer.stdout.contains("a.yaml:8:14") && answer.stdout.contains("b.yaml:8:14"), "{}", answer.stdout);
}

#[test]
fn init_writes_to_the_root_and_says_how_another_place_is_used() {
    let repository = Repository::new();
    repository.write("sub/a.yaml", pod("image: good:1"));
    repository.git(&["init", "-q"]);
    let inside = |arguments: &[&str]| {
        let output = repository.command(arguments).current_dir(repository.path("sub")).output().expect("runs");
        support::answer(&output)
    };
    assert_eq!(inside(&["init", "."]).code, 0);
    assert!(inside(&["check"]).stderr.contains("--policy plimsoll.yaml"));
    fs::remove_file(repository.path("sub/plimsoll.yaml")).expect("removed");
    assert_eq!(inside(&["init"]).code, 0);
    assert!(repository.path("plimsoll.yaml").is_file());
}
