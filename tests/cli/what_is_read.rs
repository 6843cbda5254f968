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
