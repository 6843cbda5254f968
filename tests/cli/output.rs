//! How reports are written: formats, files, colour, progress, `-q` and `-v`.

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
    assert_eq!(verbose, format!("{}3 references, found in 3 files\n", text.stdout));
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
    assert!(repository.run(&["pin", "--check"]).stderr.contains("would pin 1 reference in 1 file"));
    assert_eq!(repository.run(&["pin", "-q"]).stderr, "");
    assert_eq!(repository.run(&["unpin", "-q"]).stderr, "");
    assert!(repository.run(&["pin"]).stderr.contains("pinned 1 reference in 1 file"));
    assert_eq!(repository.run(&["unpin"]).stderr, "unpinned 1 reference\n");
}
