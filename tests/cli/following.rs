//! Files that other files name: they are found, judged and edited as what they are named, wherever that is asked.

use super::*;

const EVIL: &str = "FROM evil.example/x:1\n";

/// A compose file that builds from `dockerfile`, beside one good image.
fn compose(dockerfile: &str) -> String {
    format!(
        "services:\n  db:\n    image: good:1\n  app:\n    build:\n      context: .\n      dockerfile: {dockerfile}\n"
    )
}

fn with(files: &[(&str, &str)]) -> Repository {
    Repository::with(LIBRARY_ONLY, &[GOOD], files)
}

/// `file:line  text` of each reference that `list` finds, and each reason that is unread.
fn listed(repository: &Repository, paths: &[&str]) -> (Vec<String>, Vec<String>) {
    let answer = repository.run(&[&["list", "--format", "json"], paths].concat());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let report = answer.json();
    let rows = |name: &str| report[name].as_array().expect("rows").clone();
    let text = |row: &Value, what: &str| {
        format!("{}:{} {}", row["file"].as_str().expect("a file"), row["line"], row[what].as_str().expect("text"))
    };
    (
        rows("references").iter().map(|row| text(row, "text")).collect(),
        rows("unread").iter().map(|row| text(row, "reason")).collect(),
    )
}

#[test]
fn a_file_of_any_name_is_read_as_what_it_is_named() {
    let repository = with(&[("compose.yaml", &compose("build/app.txt")), ("build/app.txt", EVIL)]);
    for paths in [&[][..], &["."], &["compose.yaml"], &["compose.yaml", "."]] {
        let (found, unread) = listed(&repository, paths);
        assert_eq!(
            (found.as_slice(), unread.len()),
            (&["build/app.txt:1 evil.example/x:1".to_owned(), "compose.yaml:3 good:1".to_owned()][..], 0),
            "{paths:?}"
        );
        assert_eq!(code(&repository, &[&["check"], paths].concat()), 1, "{paths:?}");
    }
    assert_eq!(listed(&repository, &["build", "--allow-empty"]).0.len(), 0, "nobody names it there");
}

#[test]
fn pin_and_unpin_write_to_what_is_named() {
    let repository = with(&[("compose.yaml", &compose("build/app.txt")), ("build/app.txt", "FROM good:1\n")]);
    let answer = repository.run(&["pin", "compose.yaml"]);
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    for file in ["compose.yaml", "build/app.txt"] {
        assert!(repository.read(file).contains("good:1@sha256:"), "{file}");
    }
    assert_eq!(code(&repository, &["unpin", "compose.yaml"]), 0);
    assert_eq!(repository.read("compose.yaml"), compose("build/app.txt"));
    assert_eq!(repository.read("build/app.txt"), "FROM good:1\n");
}

#[test]
fn a_file_that_several_name_is_edited_once() {
    let repository = with(&[
        ("compose.yaml", &compose("./Dockerfile")),
        ("other/compose.yaml", &compose("x").replace("context: .", "context: ..").replace(": x", ": link")),
        ("Dockerfile", "FROM good:1\n"),
    ]);
    #[cfg(unix)]
    std::os::unix::fs::symlink("Dockerfile", repository.path("link")).expect("linked");
    #[cfg(not(unix))]
    repository.write("link", "FROM good:1\n");
    let (found, unread) = listed(&repository, &[]);
    assert_eq!((found.len(), unread.len()), (if cfg!(unix) { 3 } else { 4 }, 0), "{found:?} {unread:?}");
    assert_eq!(code(&repository, &["pin"]), 0);
    assert_eq!(repository.read("Dockerfile").matches("@sha256:").count(), 1);
    let answer = repository.run(&["check", "compose.yaml", "other/compose.yaml", "--format", "json"]);
    assert_eq!((answer.code, answer.json()["summary"]["files"].clone()), (0, Value::from(3)));
}

#[test]
fn a_named_file_keeps_the_formats_of_its_own_name() {
    let jobs = format!("j: {{image: \"good:1\", script: [x]}}\n---\n{}", pod("image: good:1"));
    let repository = with(&[(".gitlab-ci.yml", "include: [{local: /ci/jobs.yml}]\n"), ("ci/jobs.yml", &jobs)]);
    assert_eq!(listed(&repository, &["ci"]).0, ["ci/jobs.yml:10 good:1"], "a pod alone, while nobody names it");
    for paths in [&[][..], &[".gitlab-ci.yml"], &["ci", ".gitlab-ci.yml"]] {
        let (found, unread) = listed(&repository, paths);
        assert_eq!((found.len(), unread.len()), (2, 0), "{paths:?}: {found:?} {unread:?}");
    }
    assert_eq!(code(&repository, &["pin"]), 0);
    assert_eq!(repository.read("ci/jobs.yml").matches("good:1@sha256:").count(), 2);
    assert_eq!(code(&repository, &["unpin"]), 0);
    assert_eq!(repository.read("ci/jobs.yml"), jobs);
}

#[test]
fn names_are_followed_from_file_to_file_and_in_circles() {
    let include =
        |path: &str, image: &str| format!("include: [{{local: {path}}}]\nj: {{image: \"{image}\", script: [x]}}\n");
    let repository = with(&[
        (".gitlab-ci.yml", &include("/ci/a.inc", "good:1")),
        ("ci/a.inc", &include("ci/b.inc", "good:2")),
        ("ci/b.inc", &include("/.gitlab-ci.yml", "evil.example/x:1")),
    ]);
    let (found, unread) = listed(&repository, &[".gitlab-ci.yml"]);
    assert_eq!(found, [".gitlab-ci.yml:2 good:1", "ci/a.inc:2 good:2", "ci/b.inc:2 evil.example/x:1"]);
    assert_eq!(unread, Vec::<String>::new());
    assert_eq!(code(&repository, &["check"]), 1);
}

#[test]
fn wildcards_stand_for_files_that_git_lists() {
    let repository = with(&[
        (".gitlab-ci.yml", "include: [{local: 'ci/**.inc'}]\n"),
        ("ci/x/a.inc", "j: {image: \"evil.example/x:1\", script: [x]}\n"),
        ("ci/x/hidden.inc", "j: {image: \"evil.example/y:1\", script: [x]}\n"),
        (".gitignore", "hidden.inc\n"),
    ]);
    let all = ["ci/x/a.inc:1 evil.example/x:1", "ci/x/hidden.inc:1 evil.example/y:1"];
    assert_eq!(listed(&repository, &[]).0, all, "no git, every file");
    repository.git(&["init", "-q"]);
    assert_eq!(listed(&repository, &[]).0, all[..1]);
    let answer = repository.run(&["check", "-v", ".gitlab-ci.yml"]);
    assert!(answer.code == 1 && !answer.stderr.contains("names no image"), "{}{}", answer.stdout, answer.stderr);
    repository.write(".gitlab-ci.yml", "include: [{local: 'none/*.inc'}]\n");
    let reason = ".gitlab-ci.yml:1 `/none/*.inc`, which is named here as gitlab: no file of the repository fits it";
    assert_eq!(listed(&repository, &[]).1, [reason]);
}

#[test]
fn a_name_that_leads_nowhere_is_undecided_at_its_place() {
    let outside = Repository::new();
    outside.write("Dockerfile", EVIL);
    for (name, why) in [
        ("gone.txt", "there is no such file"),
        ("build", "it is not a regular file"),
        ("out.txt", "it lies outside the repository, where nothing is read"),
    ] {
        let repository = with(&[("compose.yaml", &compose(name)), ("build/x", "")]);
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path("Dockerfile"), repository.path("out.txt")).expect("linked");
        let (found, unread) = listed(&repository, &[]);
        assert_eq!(found, ["compose.yaml:3 good:1"]);
        assert_eq!(unread, [format!("compose.yaml:7 `{name}`, which is named here as dockerfile: {why}")]);
        let answer = repository.run(&["check", "--format", "json"]);
        assert_eq!((answer.code, answer.rules("undecided")), (3, vec!["unreadable-source".to_owned()]), "{name}");
        // the file that names it was read whole, so it can be edited
        assert_eq!(code(&repository, &["pin"]), 3);
        assert!(repository.read("compose.yaml").contains("good:1@sha256:"), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_no_text_file_or_too_large_is_undecided_where_it_is_named() {
    let repository = with(&[("compose.yaml", &compose("large.txt"))]);
    let large = fs::File::create(repository.path("large.txt")).expect("made");
    large.set_len(plimsoll::limits::SOURCE_BYTES + 1).expect("a sparse file");
    let (_, unread) = listed(&repository, &[]);
    assert!(unread.len() == 1 && unread[0].starts_with("compose.yaml:7 `large.txt`"), "{unread:?}");
    assert!(unread[0].contains("larger than"), "{unread:?}");
    let status = std::process::Command::new("mkfifo").arg(repository.path("pipe.txt")).status().expect("mkfifo");
    assert!(status.success());
    repository.write("compose.yaml", compose("pipe.txt"));
    assert!(listed(&repository, &[]).1[0].contains("not a regular file"));
}

#[test]
fn nothing_is_followed_from_standard_input() {
    let repository = with(&[("build/app.txt", EVIL)]);
    let input = compose("build/app.txt");
    let answer = repository.run_with(&["check", "-", "--as", "compose", "--format", "json"], input.as_bytes());
    assert_eq!(
        (answer.code, answer.rules("undecided")),
        (3, vec!["unreadable-source".to_owned()]),
        "{}",
        answer.stdout
    );
    let unread = &answer.json()["unread"][0];
    assert_eq!((&unread["file"], &unread["line"]), (&Value::from("-"), &Value::from(7)));
    assert!(unread["reason"].as_str().is_some_and(|reason| reason.contains("name the file itself")), "{unread}");
}

#[test]
fn ignored_files_are_left_out_and_counted_also_where_they_are_named() {
    let repository = with(&[("compose.yaml", &compose("vendor/app.txt")), ("vendor/app.txt", EVIL)]);
    let policy = repository.read("plimsoll.yaml").replace("  registries:", "  ignore: ['vendor/**']\n  registries:");
    repository.write("plimsoll.yaml", &policy);
    let answer = repository.run(&["check", "--format", "json"]);
    assert_eq!((answer.code, answer.json()["summary"]["ignored"].clone()), (0, Value::from(1)), "{}", answer.stdout);
    // one that is found by its name as well is counted once, and one that is made later is no complaint
    repository.write("vendor/Dockerfile", EVIL);
    repository.write("compose.yaml", compose("vendor/Dockerfile"));
    repository.write("b/compose.yaml", compose("x").replace("context: .", "context: ../vendor"));
    let answer = repository.run(&["check", "--format", "json"]);
    assert_eq!((answer.code, answer.json()["summary"]["ignored"].clone()), (0, Value::from(2)), "{}", answer.stdout);
}

#[test]
fn where_paths_sees_the_named_file_at_its_own_place() {
    let policy = LIBRARY_ONLY
        .replace("      match: [\"**\"]\n", "      match: [\"**\"]\n      where: {paths: [\"build/**\"]}\n");
    let others = "    - name: others\n      match: [\"**\"]\n      where: {paths: [\"*.yaml\"]}\n      rules: {trusted-registry: {allow: [\"**\"]}}\n";
    let files = [("compose.yaml", compose("build/app.txt")), ("build/app.txt", EVIL.to_owned())];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let repository = Repository::with(&format!("{policy}{others}"), &[GOOD], &files);
    let answer = repository.run(&["check", "compose.yaml", "--format", "json"]);
    assert_eq!(answer.code, 1, "{}{}", answer.stdout, answer.stderr);
    assert_eq!((answer.verdict("evil.example/x:1").as_str(), answer.verdict("good:1").as_str()), ("deny", "allow"));
}

#[test]
fn a_repository_inside_is_read_and_left_as_it_is() {
    let repository = with(&[("compose.yaml", &compose("module/app.txt")), ("module/app.txt", "FROM good:1\n")]);
    repository.git(&["init", "-q"]);
    repository.git(&["init", "-q", "module"]);
    repository.git(&["add", "compose.yaml"]);
    assert_eq!(listed(&repository, &["compose.yaml"]).0.len(), 2);
    assert_eq!(code(&repository, &["pin", "compose.yaml"]), 0);
    assert!(repository.read("compose.yaml").contains("@sha256:"));
    assert_eq!(repository.read("module/app.txt"), "FROM good:1\n");
    repository.write("compose.yaml", compose(".git/config"));
    assert!(listed(&repository, &["compose.yaml"]).1[0].contains("outside the repository"));
}
