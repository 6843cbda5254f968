//! `pin` and `unpin`: what they write, what they only show, and streams.

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

/// A name can't write lines of the diff.
#[cfg(unix)]
#[test]
fn odd_file_names_are_quoted_in_a_diff() {
    let repository = good();
    let files = ["a\tb.yaml", "c\"d.yaml", "e\\f.yaml", "x\n+++ b/plimsoll.yaml"];
    for name in files {
        repository.write(name, pod("image: good:1"));
    }
    repository.git(&["init", "-q"]);
    repository.git(&["add", "-A"]);
    let answer = repository.run(&["pin", "--diff"]);
    assert_eq!(answer.stdout.lines().filter(|line| line.starts_with("+++ ")).count(), 5, "{}", answer.stdout);
    repository.write("p.diff", &answer.stdout);
    repository.git(&["apply", "p.diff"]);
    for name in files {
        assert!(repository.read(name).contains("good:1@sha256:"), "{name:?}");
    }
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

#[test]
fn pin_takes_one_platform() {
    let arguments = ["pin", "--platform", "linux/amd64", "--platform", "linux/arm64"];
    assert_eq!(code(&good(), &arguments), 2);
}
