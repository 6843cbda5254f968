//! The program from outside: every option and command does what it says (soundness rule 29), every exit code follows
//! the contract, and output that can't be written is never a success.

#[path = "support/registry.rs"]
mod registry;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use registry::{Behaviour, Server};
use serde_json::Value;
use support::{Answer, FROM_LAYOUT, LIBRARY_ONLY, Layout, Repository, pod};

const GOOD: &str = "docker.io/library/good:1";
const NOW: &str = "2026-11-20T00:00:00Z";
const EXAMPLE_ONLY: &str = r#"
apiVersion: plimsoll.dev/v1
kind: ImagePolicy
spec:
  statements: [{name: all, match: ["**"], rules: {trusted-registry: {allow: ["good.example/**"]}}}]
"#;

fn good() -> Repository {
    Repository::with(LIBRARY_ONLY, &[GOOD, "good.example/x:1"], &[("a.yaml", &pod("image: good:1"))])
}

/// With a file that is denied beside the good one.
fn bad() -> Repository {
    let repository = good();
    repository.write("b.yaml", pod("image: evil.example/x:1"));
    repository
}

fn code(repository: &Repository, arguments: &[&str]) -> i32 {
    repository.run(arguments).code
}

/// The program with streams of one's own.
fn raw(repository: &Repository, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.current_dir(repository.root()).env_clear().env("HOME", repository.root()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { drop(fs::copy(entry.path(), target)) }
    }
}

/// A registry that has every name, and a repository whose `machine.conf` leads there.
fn served(delay: Duration) -> (Repository, Server) {
    let server = Server::start(Behaviour { answer_everything: true, delay, ..Behaviour::default() });
    let repository = Repository::new();
    repository.write("plimsoll.yaml", LIBRARY_ONLY);
    repository.write("a.yaml", pod("image: good:1"));
    let config = format!(
        "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '*', mirrors: ['http://{}'], only-mirrors: true}}]}}\n",
        server.host()
    );
    repository.write("machine.conf", config);
    (repository, server)
}

mod policy_options {
    use super::*;

    #[test]
    fn policy_names_another_policy() {
        let repository = good();
        repository
            .write("other/policy.txt", format!("{EXAMPLE_ONLY}{}", FROM_LAYOUT.replace("registry}", "../registry}")));
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
}

mod asking {
    use super::*;

    #[test]
    fn config_leads_to_the_registry_and_ignores_files() {
        let (repository, server) = served(Duration::ZERO);
        let answer = repository.run(&["check", "--config", "machine.conf", "--format", "json"]);
        assert_eq!((answer.code, answer.verdict("good:1")), (0, "allow".to_owned()), "{}", answer.stderr);
        assert_eq!(server.lines(), ["HEAD /v2/library/good/manifests/1"]);
        repository.write("b.yaml", pod("image: evil.example/x:1"));
        let ignoring =
            format!("{}\n", repository.read("machine.conf").trim_end().replace("spec: {", "spec: {ignore: [b.yaml], "));
        repository.write("machine.conf", ignoring);
        let answer = repository.run(&["check", "--config", "machine.conf", "--format", "json"]);
        assert_eq!((answer.code, answer.json()["summary"]["ignored"].as_u64()), (0, Some(1)), "{}", answer.stderr);
        let found = |command: &str| {
            let answer = repository.run(&[command, "--config", "machine.conf"]);
            assert_eq!(answer.code, 0, "{}", answer.stderr);
            answer.stdout
        };
        assert!(!found("list").contains("evil"));
        found("pin");
        let pinned = format!("image: evil.example/x:1@sha256:{}", "a".repeat(64));
        repository.write("b.yaml", pod(&pinned));
        found("unpin");
        assert_eq!(repository.read("b.yaml"), pod(&pinned));
        assert_eq!(repository.read("a.yaml"), pod("image: good:1"));
        for command in ["check", "pin", "unpin", "list"] {
            assert_eq!(code(&repository, &[command, "--config", "missing.conf"]), 2, "{command}");
            assert_eq!(code(&repository, &[command, "--config", "plimsoll.yaml"]), 2, "{command}: a policy is none");
        }
    }

    #[test]
    fn offline_asks_nothing_and_layouts_still_answer() {
        let (repository, server) = served(Duration::ZERO);
        for command in ["check", "pin"] {
            let answer = repository.run(&[command, "--offline", "--config", "machine.conf", "--format", "json"]);
            assert_eq!((answer.code, answer.verdict("good:1")), (3, "undecided".to_owned()), "{}", answer.stdout);
        }
        assert_eq!(server.lines(), Vec::<String>::new());
        assert_eq!(code(&good(), &["check", "--offline"]), 0);
        assert_eq!(code(&good(), &["pin", "--offline"]), 0);
    }

    #[test]
    fn no_resolve_asks_nothing_and_says_what_was_left_out() {
        let (repository, server) = served(Duration::ZERO);
        let run = || repository.run(&["check", "--no-resolve", "--config", "machine.conf", "--format", "json"]);
        let answer = run();
        assert_eq!((answer.code, answer.verdict("good:1")), (0, "allow".to_owned()));
        assert_eq!(answer.json()["run"]["not_evaluated"], json(r#"["exists"]"#));
        let text = repository.run(&["check", "--no-resolve", "--config", "machine.conf"]).stdout;
        assert!(text.contains("not evaluated without asking a registry: exists"), "{text}");
        repository.write(
            "plimsoll.yaml",
            LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", "image-size: {max: 1}"),
        );
        let answer = run();
        assert_eq!((answer.code, answer.verdict("good:1")), (3, "undecided".to_owned()));
        assert_eq!(answer.json()["run"]["not_evaluated"], json(r#"["exists", "image-size"]"#));
        assert_eq!(server.lines(), Vec::<String>::new());
    }

    #[test]
    fn platform_chooses_what_is_judged_and_what_is_pinned() {
        let policy =
            LIBRARY_ONLY.replace("trusted-registry: {allow: [\"docker.io/library/*\"]}", "image-size: {max: 10KiB}");
        let repository = Repository::with(&policy, &[], &[("a.yaml", &pod("image: good:1"))]);
        let mut layout = Layout::new(&repository.path("registry"));
        let small = layout.image(("linux", "amd64"), 10, "small");
        let large = layout.image(("linux", "arm64"), 20_000, "large");
        let index = layout.index(&[(&small, ("linux", "amd64")), (&large, ("linux", "arm64"))]);
        layout.name(GOOD, &index);
        layout.finish();
        for (platforms, expected) in [
            (&[][..], 1),
            (&["--platform", "linux/amd64"], 0),
            (&["--platform", "linux/arm64"], 1),
            (&["--platform", "linux/amd64", "--platform", "linux/arm64"], 1),
            (&["--platform", "linux/s390x"], 3),
            (&["--platform", "linux"], 2),
        ] {
            assert_eq!(code(&repository, &[&["check"], platforms].concat()), expected, "{platforms:?}");
        }
        assert_eq!(code(&repository, &["pin"]), 1);
        assert_eq!(code(&repository, &["pin", "--platform", "linux/amd64"]), 0);
        assert_eq!(repository.read("a.yaml"), pod(&format!("image: good:1@{}", small.digest())));
        assert_eq!(code(&repository, &["check"]), 0);
    }
}

mod output {
    use super::*;

    #[test]
    fn format_output_and_reports() {
        let repository = bad();
        let plain = repository.run(&["check", "--now", NOW]);
        assert!(plain.stdout.contains("deny: evil.example/x:1"), "{}", plain.stdout);
        let object = repository.run(&["check", "--now", NOW, "--format", "json"]);
        assert_eq!(object.json()["summary"]["deny"], 1);
        assert_eq!(repository.run(&["check", "--now", NOW, "--format", "json"]).stdout, object.stdout, "byte for byte");
        let arguments = [
            "check",
            "--now",
            NOW,
            "-o",
            "o.txt",
            "--report",
            "json=r1.txt",
            "--report",
            "text=r2.txt",
            "--report",
            "json=r3.txt",
        ];
        let answer = repository.run(&arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
        assert_eq!([repository.read("o.txt"), repository.read("r2.txt")], [plain.stdout.clone(), plain.stdout]);
        assert_eq!([repository.read("r1.txt"), repository.read("r3.txt")], [object.stdout.clone(), object.stdout]);
        for wrong in ["yaml", ""] {
            assert_eq!(code(&repository, &["check", "--format", wrong]), 2);
        }
        for wrong in ["json", "json=", "yaml=x", "=x"] {
            assert_eq!(code(&repository, &["check", "--report", wrong]), 2, "{wrong}");
        }
    }

    #[test]
    fn the_exit_code_does_not_follow_the_format() {
        for (repository, expected) in [(good(), 0), (bad(), 1)] {
            for arguments in [
                &["check"][..],
                &["check", "--format", "json"],
                &["check", "-o", "o.txt"],
                &["check", "-q"],
                &["check", "-v"],
            ] {
                assert_eq!(code(&repository, arguments), expected, "{arguments:?}");
            }
        }
    }

    #[test]
    fn list_writes_as_it_is_told() {
        let repository = bad();
        repository.write("c.yaml", pod("image: ${X}"));
        let text = repository.run(&["list"]);
        assert_eq!(text.code, 0, "{}", text.stderr);
        let lines: Vec<&str> = text.stdout.lines().collect();
        assert_eq!(lines[..2], ["a.yaml:8:14  docker.io/library/good:1", "b.yaml:8:14  evil.example/x:1"]);
        assert!(lines[2].starts_with("c.yaml:8:14  ${X}  [undecided: a variable"), "{}", lines[2]);
        let object = repository.run(&["list", "--format", "json"]);
        let rows = object.json()["references"].as_array().cloned().expect("rows");
        assert_eq!(rows.len(), 3);
        assert_eq!(rows.iter().filter(|row| row.get("verdict").is_some()).count(), 1);
        let answer = repository.run(&["list", "-o", "o.txt", "--report", "json=r.txt"]);
        assert_eq!((answer.code, answer.stdout.as_str()), (0, ""));
        assert_eq!((repository.read("o.txt"), repository.read("r.txt")), (text.stdout.clone(), object.stdout));
        let verbose = repository.run(&["list", "-v"]).stdout;
        assert_eq!(verbose, format!("{}3 references in 3 files\n", text.stdout));
    }

    #[test]
    fn color_and_verbose() {
        let repository = bad();
        let run = |arguments: &[&str]| repository.run(&[&["check"], arguments].concat()).stdout;
        assert!(run(&["--color", "always"]).contains("\u{1b}["));
        for arguments in [&["--color", "never"][..], &["--color", "auto"], &[]] {
            assert!(!run(arguments).contains('\u{1b}'), "{arguments:?}");
        }
        // Always is always, also in a file; a further report is for programs.
        run(&["--color", "always", "-o", "o.txt", "--report", "text=r.txt"]);
        assert!(repository.read("o.txt").contains("\u{1b}[") && !repository.read("r.txt").contains('\u{1b}'));
        assert_eq!(code(&repository, &["check", "--color", "blue"]), 2);
        assert!(!run(&[]).contains("good:1"));
        assert!(run(&["-v"]).contains("allow: good:1"));
        assert_eq!(code(&repository, &["check", "-q", "-v"]), 2);
    }

    /// On a terminal `auto` is colour, unless `NO_COLOR` says otherwise, and a long run shows its progress, unless `-q` does.
    #[cfg(target_os = "linux")]
    #[test]
    fn on_a_terminal() {
        let (repository, _server) = served(Duration::from_millis(400));
        repository.write("b.yaml", pod("image: evil.example/x:1"));
        let run = |arguments: &str, no_color: bool| {
            let line = format!("{} check --config machine.conf {arguments}", env!("CARGO_BIN_EXE_plimsoll"));
            let mut command = Command::new("script");
            command.current_dir(repository.root()).args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
            command.env("TERM", "xterm").env_remove("NO_COLOR");
            if no_color {
                command.env("NO_COLOR", "1");
            }
            command.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let Some(text) = run("-q", false) else {
            eprintln!("`script` is not installed, so nothing can stand for a terminal here");
            return;
        };
        assert!(text.contains("\u{1b}[") && text.contains("evil.example"), "{text:?}");
        assert!(!text.contains("asking registries"), "{text:?}");
        let text = run("-q", true).expect("ran before");
        assert!(!text.contains("\u{1b}[") && text.contains("evil.example"), "{text:?}");
        assert!(!run("-q --color never", false).expect("ran before").contains("\u{1b}["));
        assert!(run("", false).expect("ran before").contains("asking registries"));
    }

    #[test]
    fn quiet_leaves_out_the_summary() {
        let repository = good();
        assert!(repository.run(&["pin", "--check"]).stderr.contains("would pin 1 references in 1 files"));
        assert_eq!(repository.run(&["pin", "-q"]).stderr, "");
        assert_eq!(repository.run(&["unpin", "-q"]).stderr, "");
        assert!(repository.run(&["pin"]).stderr.contains("pinned 1 references in 1 files"));
        assert_eq!(repository.run(&["unpin"]).stderr, "unpinned 1 references\n");
    }
}

mod what_is_read {
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
}

mod pinning {
    use super::*;

    fn digest(repository: &Repository) -> String {
        let answer = repository.run(&["check", "--format", "json", "a.yaml"]);
        answer.json()["references"][0]["digest"].as_str().expect("a digest").to_owned()
    }

    #[test]
    fn pin_writes_what_is_allowed_and_says_it() {
        let repository = bad();
        let wanted = format!("good:1@{}", digest(&repository));
        let answer = repository.run(&["pin", "--format", "json"]);
        assert_eq!(answer.code, 1);
        assert_eq!(repository.read("a.yaml"), pod(&format!("image: {wanted}")));
        assert_eq!(repository.read("b.yaml"), pod("image: evil.example/x:1"));
        let edits = &answer.json()["edits"];
        assert_eq!(edits.as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&edits[0]["file"], &edits[0]["old"], &edits[0]["new"]),
            (&"a.yaml".into(), &"good:1".into(), &wanted.into())
        );
        assert!(repository.run(&["check", "--format", "json"]).json().get("edits").is_none());
    }

    #[test]
    fn check_writes_nothing_and_tells_what_would_change() {
        let repository = good();
        assert_eq!(code(&repository, &["pin", "--check"]), 1);
        assert_eq!(repository.read("a.yaml"), pod("image: good:1"));
        assert_eq!(code(&repository, &["pin"]), 0);
        assert_eq!(code(&repository, &["pin", "--check"]), 0);
        let answer = good().run_with(&["pin", "--check", "-"], pod("image: good:1").as_bytes());
        assert_eq!(answer.code, 1);
        assert!(!answer.stdout.contains("sha256"), "{}", answer.stdout);
    }

    #[test]
    fn diff_writes_nothing_and_git_applies_it() {
        let repository = bad();
        let text = pod("image: good:1\n      x: 1");
        repository.write("deep/a b.yaml", text.replace('\n', "\r\n"));
        repository.write("deep/ü.yaml", format!("\u{feff}{}", text.trim_end()));
        repository.write("deep/two.yml", format!("{text}---\n# far\n{}---\n{text}", "#\n".repeat(20)));
        repository.git(&["init", "-q"]);
        repository.git(&["add", "-A"]);
        let files = ["a.yaml", "b.yaml", "deep/a b.yaml", "deep/ü.yaml", "deep/two.yml"];
        let read = || files.map(|name| repository.read(name));
        let before = read();
        let answer = repository.run(&["pin", "--diff"]);
        assert_eq!(answer.code, 1, "the outcome's code");
        assert_eq!(read(), before);
        assert!(answer.stderr.contains("evil.example"), "the report goes aside");
        repository.write("p.diff", &answer.stdout);
        repository.git(&["apply", "--check", "p.diff"]);
        repository.git(&["apply", "p.diff"]);
        let applied = read();
        repository.git(&["checkout", "-q", "."]);
        assert_eq!(read(), before);
        fs::remove_file(repository.path("p.diff")).expect("removed");
        repository.run(&["pin"]);
        assert_eq!(read(), applied, "the diff is what pin writes");
        // And back.
        let back = repository.run(&["unpin", "--diff"]);
        assert_eq!((back.code, read() == applied), (0, true));
        assert!(back.stderr.contains("would unpin 5 references"), "{}", back.stderr);
        repository.write("p.diff", &back.stdout);
        repository.git(&["apply", "p.diff"]);
        assert_eq!(read(), before);
    }

    #[test]
    fn update_moves_a_stale_pin_and_nothing_else_does() {
        let repository = good();
        let mut layout = Layout::new(&repository.path("registry"));
        let old = layout.image(("linux", "amd64"), 1, "old");
        layout.name("docker.io/library/good:old", &old);
        let new = layout.add(GOOD);
        layout.finish();
        let stale = pod(&format!("image: good:1@{}", old.digest()));
        repository.write("a.yaml", &stale);
        assert_eq!((code(&repository, &["pin"]), repository.read("a.yaml")), (0, stale));
        assert_eq!(code(&repository, &["pin", "--update"]), 0);
        assert_eq!(repository.read("a.yaml"), pod(&format!("image: good:1@{}", new.digest())));
    }

    #[test]
    fn no_policy_judges_nothing() {
        let repository = bad();
        let mut layout = Layout::new(&repository.path("registry"));
        layout.add(GOOD);
        let evil = layout.add("evil.example/x:1");
        layout.finish();
        repository.write("c.yaml", pod("image: ${X}"));
        repository.write("d.yaml", "image: [\n");
        let answer = repository.run(&["pin", "--no-policy"]);
        assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
        assert_eq!(repository.read("b.yaml"), pod(&format!("image: evil.example/x:1@{}", evil.digest())));
        assert!(answer.stdout.contains("no policy: nothing was judged") && answer.stdout.contains("${X}"));
        assert_eq!(code(&repository, &["pin", "--no-policy", "--policy", "plimsoll.yaml"]), 2);
        repository.write("e.yaml", pod("image: gone:1"));
        assert_eq!(code(&repository, &["pin", "--no-policy"]), 1, "not found");
        let nowhere = Repository::new();
        nowhere.write("a.yaml", pod("image: good:1"));
        assert_eq!(code(&nowhere, &["pin", "--no-policy", "--offline"]), 3);
        assert_eq!(nowhere.read("a.yaml"), pod("image: good:1"));
    }

    #[test]
    fn a_stream_is_printed_whole_or_not_at_all() {
        let repository = good();
        let pinned = pod(&format!("image: good:1@{}", digest(&repository)));
        let stream = |arguments: &[&str], input: &str| -> Answer {
            let answer = repository.run_with(&[arguments, &["-"]].concat(), input.as_bytes());
            assert!(!answer.stdout.contains("references in"), "no report among the objects: {}", answer.stdout);
            answer
        };
        let (one, two) = (pod("image: good:1"), pod("image: evil.example/x:1"));
        for (arguments, input, expected, output) in [
            (&["pin"][..], one.clone(), 0, pinned.clone()),
            (&["pin"], pinned.clone(), 0, pinned.clone()),
            (&["pin"], "kind: Service\n".to_owned(), 0, "kind: Service\n".to_owned()),
            (&["pin"], format!("{one}---\n{two}"), 1, String::new()),
            (&["pin"], format!("{one}---\n{}", pod("image: ${X}")), 3, String::new()),
            (&["pin"], format!("{one}---\nimage: [\n"), 3, String::new()),
            (&["pin", "--format", "json"], format!("{one}---\n{two}"), 1, String::new()),
            (&["pin", "--no-policy"], one.clone(), 0, pinned.clone()),
            (&["pin", "--no-policy"], format!("{one}---\n{}", pod("image: gone:1")), 1, String::new()),
            (&["pin", "--no-policy"], pod("image: ${X}"), 0, pod("image: ${X}")),
            (&["unpin"], pinned.clone(), 0, one.clone()),
            (&["unpin"], one.clone(), 0, one.clone()),
        ] {
            let answer = stream(arguments, &input);
            assert_eq!((answer.code, answer.stdout), (expected, output), "{arguments:?}\n{input}\n{}", answer.stderr);
        }
        let offline = Repository::new();
        let answer = offline.run_with(&["pin", "--no-policy", "--offline", "-"], one.as_bytes());
        assert_eq!((answer.code, answer.stdout.as_str()), (3, ""), "a look-up that fails prints nothing");
        let answer = repository.run_with(&["check", "--format", "json", "-"], two.as_bytes());
        assert_eq!((answer.code, answer.json()["references"][0]["file"].as_str()), (1, Some("-")));
        let answer = repository.run_with(&["list", "-"], two.as_bytes());
        assert_eq!((answer.code, answer.stdout.as_str()), (0, "-:8:14  evil.example/x:1\n"));
        let answer = repository.run_with(&["list", "-", "--as", "no-such-format"], two.as_bytes());
        assert_eq!(answer.code, 2);
        let answer = repository.run_with(&["pin", "--diff", "-"], one.as_bytes());
        assert!(answer.stdout.starts_with("--- a/-\n+++ b/-\n@@ "), "{}", answer.stdout);
        let answer = repository.run_with(&["unpin", "--diff", "-"], pinned.as_bytes());
        assert!(answer.stdout.starts_with("--- a/-\n+++ b/-\n@@ "), "{}", answer.stdout);
    }
}

mod other_commands {
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
            (0, "plimsoll.yaml: a policy with 1 statements and 0 exceptions\n")
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
}

#[cfg(unix)]
mod hard_places {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_reader_that_goes_away_changes_no_exit_code() {
        for (repository, expected) in [(good(), 0), (bad(), 1)] {
            for arguments in [&["check"][..], &["check", "--format", "json"], &["pin", "--diff"], &["check", "-v"]] {
                let (reader, writer) = std::io::pipe().expect("a pipe");
                drop(reader);
                let status = raw(&repository, arguments).stdout(writer).status().expect("runs");
                assert_eq!(status.code(), Some(expected), "{arguments:?}");
                let (reader, writer) = std::io::pipe().expect("a pipe");
                drop(reader);
                let status = raw(&repository, arguments).stderr(writer).status().expect("runs");
                assert_eq!(status.code(), Some(expected), "{arguments:?} with standard error gone");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_never_a_success() {
        let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let repository = good();
        repository.write("pinned.yaml", pod(&format!("image: good:1@sha256:{}", "a".repeat(64))));
        for arguments in [
            &["check", "a.yaml"][..],
            &["check", "a.yaml", "--format", "json"],
            &["list"],
            &["pin", "--diff", "a.yaml"],
            &["pin", "--check", "a.yaml"],
            &["unpin", "--diff"],
            &["explain"],
            &["policy", "check"],
            &["policy", "schema"],
            &["init", "--print"],
        ] {
            let status = raw(&repository, arguments).stdout(full()).status().expect("runs");
            assert_eq!(status.code(), Some(2), "{arguments:?}");
        }
        for command in ["pin", "unpin"] {
            let input = fs::File::open(repository.path("a.yaml")).expect("opened");
            let status = raw(&repository, &[command, "-"]).stdin(input).stdout(full()).status().expect("runs");
            assert_eq!(status.code(), Some(2), "{command} -");
        }
        for arguments in [&["check", "a.yaml"][..], &["list"], &["pin", "--check", "a.yaml"]] {
            for to in
                [&["-o", "/dev/full"][..], &["--report", "json=/dev/full"], &["-o", "missing/o.txt"], &["-o", "."]]
            {
                let answer = repository.run(&[arguments, to].concat());
                assert_eq!(answer.code, 2, "{arguments:?} {to:?}");
                assert!(answer.stderr.contains("can't write"), "{}", answer.stderr);
            }
        }
        assert_eq!(repository.read("a.yaml"), pod("image: good:1"));
    }

    #[test]
    fn a_read_only_file_stops_the_run_before_anything_is_written() {
        let repository = good();
        repository.write("b.yaml", pod("image: good:1"));
        let set = |mode: u32| {
            fs::set_permissions(repository.path("b.yaml"), fs::Permissions::from_mode(mode)).expect("set");
        };
        set(0o444);
        let answer = repository.run(&["pin"]);
        assert_eq!(answer.code, 2);
        assert!(answer.stderr.contains("b.yaml is read-only; nothing was written"), "{}", answer.stderr);
        assert_eq!(
            [repository.read("a.yaml"), repository.read("b.yaml")],
            [pod("image: good:1"), pod("image: good:1")]
        );
        set(0o640);
        assert_eq!(code(&repository, &["pin"]), 0);
        let mode = fs::metadata(repository.path("b.yaml")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "the mode stays");
        set(0o444);
        assert_eq!(code(&repository, &["unpin"]), 2);
        assert!(repository.read("a.yaml").contains("@sha256:"));
    }

    #[test]
    fn a_read_only_folder_stops_the_run_before_anything_is_written() {
        let repository = good();
        repository.write("shut/b.yaml", pod("image: good:1"));
        let set = |mode: u32| {
            fs::set_permissions(repository.path("shut"), fs::Permissions::from_mode(mode)).expect("set");
        };
        set(0o555);
        if fs::write(repository.path("shut/probe"), "").is_ok() {
            eprintln!("permission bits don't bind this user, so a folder can't be made read-only here");
            set(0o755);
            return;
        }
        let code = code(&repository, &["pin"]);
        set(0o755);
        assert_eq!((code, repository.read("a.yaml")), (2, pod("image: good:1")));
        assert_eq!(repository.read("shut/b.yaml"), pod("image: good:1"));
    }

    #[test]
    fn a_link_inside_the_tree_stays_a_link_and_its_target_is_edited() {
        for name in [".", "link.yaml"] {
            let repository = good();
            fs::remove_file(repository.path("a.yaml")).expect("removed");
            repository.write("real/a.yaml", pod("image: good:1"));
            symlink("real/a.yaml", repository.path("link.yaml")).expect("linked");
            let link = || fs::read_link(repository.path("link.yaml")).expect("still a link");
            let answer = repository.run(&["pin", name]);
            assert_eq!(answer.code, 0, "{name}: {}", answer.stderr);
            assert_eq!(link(), Path::new("real/a.yaml"));
            assert!(repository.read("real/a.yaml").contains("good:1@sha256:"), "{name}");
            let answer = repository.run(&["unpin", name]);
            assert_eq!((answer.code, link().as_path()), (0, Path::new("real/a.yaml")), "{name}: {}", answer.stderr);
            assert_eq!(repository.read("real/a.yaml"), pod("image: good:1"));
            let left = fs::read_dir(repository.path("real")).expect("a folder").count();
            assert_eq!(left, 1, "no temporary file stays");
        }
    }

    #[test]
    fn unpin_leaves_a_link_out_of_the_tree() {
        let outside = Repository::new();
        let pinned = pod(&format!("image: good:1@sha256:{}", "a".repeat(64)));
        outside.write("a.yaml", &pinned);
        let repository = good();
        symlink(outside.path("a.yaml"), repository.path("link.yaml")).expect("linked");
        assert_eq!((code(&repository, &["unpin"]), outside.read("a.yaml")), (0, pinned));
    }
}

mod quickstart {
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
}
