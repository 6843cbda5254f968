//! Broken pipes, full disks, read-only files and links.

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
        for to in [&["-o", "/dev/full"][..], &["--report", "json=/dev/full"], &["-o", "missing/o.txt"], &["-o", "."]] {
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
    assert_eq!([repository.read("a.yaml"), repository.read("b.yaml")], [pod("image: good:1"), pod("image: good:1")]);
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

#[test]
fn more_files_are_pinned_than_may_be_open_at_once() {
    let repository = good();
    for at in 0..300 {
        repository.write(&format!("many/{at}.yaml"), pod("image: good:1"));
    }
    let program = env!("CARGO_BIN_EXE_plimsoll");
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" pin many", program])
        .current_dir(repository.root())
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for at in 0..300 {
        assert!(repository.read(&format!("many/{at}.yaml")).contains("good:1@sha256:"), "{at}");
    }
}
