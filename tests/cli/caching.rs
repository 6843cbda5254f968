//! The disk cache from outside: requests saved, `--no-cache`, `--offline`, where it is, and folders that can't be used.

use super::*;
use std::path::PathBuf;

const SIZED: &str = r#"
apiVersion: plimsoll.dev/v1
kind: ImagePolicy
spec:
  statements: [{name: all, match: ["**"], rules: {image-size: {max: 1MiB}, platforms: {require: [linux/amd64]}}}]
"#;

/// A registry with content, and a repository whose machine's config leads there.
pub(super) struct Stocked {
    pub(super) repository: Repository,
    pub(super) server: Server,
    pub(super) cache: tempfile::TempDir,
    seen: std::cell::Cell<usize>,
}

impl Stocked {
    pub(super) fn new() -> Self {
        Self::with(Behaviour::default())
    }

    pub(super) fn with(behaviour: Behaviour) -> Self {
        let (repository, server) = (Repository::new(), Server::start(behaviour));
        repository.write("plimsoll.yaml", SIZED);
        let host = server.host();
        let config = format!(
            "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '*', mirrors: ['http://{host}'], only-mirrors: true}}]}}\n"
        );
        repository.write("machine.conf", config);
        let cache = tempfile::tempdir().expect("a folder");
        Self { repository, server, cache, seen: std::cell::Cell::new(0) }
    }

    /// Pushes an image of one platform and gives its digest.
    pub(super) fn push(&self, tag: &str) -> String {
        let config = format!(r#"{{"os":"linux","architecture":"amd64","mark":"{tag}"}}"#);
        let (size, config) = (config.len(), self.server.push_blob("library/good", config));
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{size}}},"layers":[]}}"#
        );
        self.server.push("library/good", tag, manifest, registry::OCI_IMAGE).to_string()
    }

    /// One image, by its tag or by its digest.
    pub(super) fn one(by_digest: bool) -> Self {
        let stocked = Self::new();
        let digest = stocked.push("1");
        let image = if by_digest { format!("image: good@{digest}") } else { "image: good:1".to_owned() };
        stocked.repository.write("a.yaml", pod(&image));
        stocked
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.cache.path().join("cache")
    }

    pub(super) fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = self.repository.command(arguments);
        command.args(["--config", "machine.conf", "--now", NOW]).env("PLIMSOLL_CACHE", self.folder());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Answer {
        support::answer(&self.command(arguments).output().expect("runs"))
    }

    /// What has been asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        let lines = self.server.lines();
        lines[self.seen.replace(lines.len())..].to_vec()
    }
}

#[test]
fn a_second_check_asks_a_head_for_each_tag_and_nothing_for_digests() {
    for by_digest in [false, true] {
        let stocked = Stocked::new();
        for tag in 0..100 {
            let digest = stocked.push(&format!("t{tag}"));
            let image = if by_digest { format!("image: good@{digest}") } else { format!("image: good:t{tag}") };
            stocked.repository.write(&format!("{tag}.yaml"), pod(&image));
        }
        let first = stocked.run(&["check", "--format", "json"]);
        assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
        let asked = stocked.asked();
        assert!(asked.len() == 200 && asked.iter().all(|line| line.starts_with("GET ")), "{asked:?}");
        let second = stocked.run(&["check", "--format", "json"]);
        assert_eq!((second.code, &second.stderr), (0, &first.stderr));
        assert_eq!(second.stdout, first.stdout, "the same report, from whatever it is known");
        let asked = stocked.asked();
        let expected = if by_digest { 0 } else { 100 };
        assert!(asked.len() == expected && asked.iter().all(|line| line.starts_with("HEAD ")), "{asked:?}");
    }
}

#[test]
fn no_cache_neither_uses_nor_keeps_anything() {
    for arguments in [&["check"][..], &["pin", "--diff"]] {
        let stocked = Stocked::one(false);
        let without = [arguments, &["--no-cache"]].concat();
        assert_eq!(stocked.run(&without).code, 0);
        assert!(!stocked.folder().exists(), "{without:?} kept something");
        let cold = stocked.asked();
        assert_eq!(stocked.run(arguments).code, 0);
        assert_eq!(stocked.asked(), cold);
        assert_eq!(stocked.run(arguments).code, 0);
        assert_eq!(stocked.asked(), ["HEAD /v2/library/good/manifests/1"], "{arguments:?}");
        assert_eq!(stocked.run(&without).code, 0);
        assert_eq!(stocked.asked(), cold, "{without:?} used what was kept");
    }
}

#[test]
fn offline_the_cache_answers_for_digests_alone() {
    for by_digest in [false, true] {
        let stocked = Stocked::one(by_digest);
        let offline = || stocked.run(&["check", "--offline"]).code;
        assert_eq!(offline(), 3);
        assert_eq!(stocked.run(&["check"]).code, 0);
        stocked.asked();
        assert_eq!(offline(), if by_digest { 0 } else { 3 });
        assert_eq!(stocked.run(&["check", "--offline", "--no-cache"]).code, 3);
        assert_eq!(stocked.asked(), Vec::<String>::new());
    }
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let stocked = Stocked::one(true);
    let root = stocked.cache.path();
    let places: [(&[(&str, PathBuf)], &str); 4] = [
        (&[("PLIMSOLL_CACHE", root.join("own")), ("XDG_CACHE_HOME", root.join("xdg"))], "own"),
        (&[("PLIMSOLL_CACHE", PathBuf::new()), ("XDG_CACHE_HOME", root.join("xdg"))], "xdg/plimsoll"),
        (&[("XDG_CACHE_HOME", PathBuf::from("relative")), ("HOME", root.join("home"))], "home/.cache/plimsoll"),
        (&[("HOME", root.join("other"))], "other/.cache/plimsoll"),
    ];
    for (variables, place) in places {
        let mut command = stocked.command(&["check"]);
        command.env_remove("PLIMSOLL_CACHE").envs(variables.iter().map(|(name, value)| (name, value)));
        assert_eq!(support::answer(&command.output().expect("runs")).code, 0);
        assert_eq!(stocked.asked().len(), 2, "{place}: a new one each time");
        assert!(root.join(place).join("CACHEDIR.TAG").is_file(), "{place}");
    }
}

#[test]
fn a_run_that_needs_no_registry_makes_no_cache() {
    let stocked = Stocked::one(true);
    for arguments in [&["check", "--no-resolve"][..], &["check", "--offline"]] {
        stocked.run(arguments);
    }
    assert!(!stocked.folder().exists());
}

/// What the program says beside the report, and whether the answer is as without a cache.
fn warned(stocked: &Stocked, arguments: &[&str]) -> String {
    let answer = stocked.run(&[&["check", "--format", "json"], arguments].concat());
    assert_eq!(
        (answer.code, answer.json()["references"][0]["verdict"].as_str()),
        (0, Some("allow")),
        "{}",
        answer.stderr
    );
    answer.stderr
}

#[test]
fn a_folder_that_cannot_be_used_is_one_warning() {
    let stocked = Stocked::one(false);
    fs::write(stocked.folder(), "mine").expect("written");
    for _ in 0..2 {
        let said = warned(&stocked, &[]);
        assert!(said.starts_with("warning: the cache ") && said.contains("is not used: it is not a folder"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(stocked.asked().len(), 2);
    }
    assert_eq!(warned(&stocked, &["-q"]), "");
    assert_eq!(warned(&stocked, &["--no-cache"]), "");
    assert_eq!(fs::read(stocked.folder()).expect("read"), b"mine");
}

#[test]
fn a_cache_in_the_work_tree_that_is_judged_is_not_used() {
    let stocked = Stocked::one(true);
    stocked.repository.git(&["init", "-q"]);
    for _ in 0..2 {
        let mut command = stocked.command(&["check"]);
        command.env("PLIMSOLL_CACHE", ".cache");
        let answer = support::answer(&command.output().expect("runs"));
        assert_eq!((answer.code, stocked.asked().len()), (0, 2));
        assert!(answer.stderr.contains("work tree"), "{}", answer.stderr);
    }
    assert!(!stocked.repository.path(".cache").exists());
}

#[test]
fn verbose_says_what_the_cache_was_good_for() {
    let stocked = Stocked::one(true);
    assert!(warned(&stocked, &["-v"]).contains("0 used, 2 kept"));
    assert!(warned(&stocked, &["-v"]).contains("2 used, 0 kept"));
    for entry in fs::read_dir(stocked.folder().join("blobs/sha256")).expect("a folder") {
        fs::write(entry.expect("an entry").path(), "damaged").expect("written");
    }
    assert!(warned(&stocked, &["-v"]).contains("0 used, 2 kept, 2 damaged and asked for again"));
    assert_eq!(warned(&stocked, &[]), "");
}

/// A limit of the process stands for a full disk: a write fails in its middle, for root, too.
#[cfg(unix)]
#[test]
fn a_full_disk_is_done_without() {
    for blocks in ["0", "1"] {
        let stocked = Stocked::one(false);
        for asked in [2, 2] {
            let mut command = std::process::Command::new("/bin/sh");
            command.current_dir(stocked.repository.root()).env_clear().env("PLIMSOLL_CACHE", stocked.folder());
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            command.args(["-c", &script, env!("CARGO_BIN_EXE_plimsoll"), "check", "--config", "machine.conf"]);
            // A manifest that needs more than one block of 512 bytes (or of 1,024 elsewhere).
            let long = format!(
                r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":37}},"layers":[]{}}}"#,
                registry::OCI_IMAGE,
                stocked.server.push_blob("library/good", r#"{"os":"linux","architecture":"amd64"}"#),
                " ".repeat(5_000)
            );
            stocked.server.push("library/good", "1", long, registry::OCI_IMAGE);
            let answer = support::answer(&command.output().expect("runs"));
            assert_eq!(answer.code, 0, "{}", answer.stderr);
            assert!(answer.stderr.starts_with("warning: the cache "), "{}", answer.stderr);
            assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
            assert_eq!(stocked.asked().len(), asked);
        }
        assert_eq!(warned(&stocked, &[]), "", "with room again it is used");
        assert_eq!(stocked.asked().len(), 2);
        assert_eq!(warned(&stocked, &[]), "");
        assert_eq!(stocked.asked().len(), 1);
    }
}

#[test]
fn several_at_once_share_a_cache() {
    let stocked = Stocked::new();
    for tag in 0..30 {
        let digest = stocked.push(&format!("t{tag}"));
        let image = if tag % 2 == 0 { format!("image: good@{digest}") } else { format!("image: good:t{tag}") };
        stocked.repository.write(&format!("{tag}.yaml"), pod(&image));
    }
    let expected = stocked.run(&["check", "--format", "json", "--no-cache"]);
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..8)
                .map(|_| {
                    let mut command = stocked.command(&["check", "--format", "json"]);
                    scope.spawn(move || support::answer(&command.output().expect("runs")))
                })
                .collect();
            for run in runs {
                let answer = run.join().expect("no panic");
                assert_eq!((answer.code, answer.stderr), (0, String::new()));
                assert_eq!(answer.stdout, expected.stdout);
            }
        });
    }
    stocked.asked();
    assert_eq!(stocked.run(&["check"]).code, 0);
    assert_eq!(stocked.asked().len(), 15, "a HEAD for each tag");
}
