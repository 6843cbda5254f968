//! The program from outside: every option and command does what it says, every exit code is
//! the documented one, and output that can't be written is never a success.

mod asking;
mod caching;
mod configs;
mod following;
#[cfg(unix)]
mod hard_places;
mod images;
mod inspecting;
mod other_commands;
mod output;
mod pinning;
mod policy_options;
mod quickstart;
#[path = "../support/registry.rs"]
mod registry;
#[path = "../support/mod.rs"]
mod support;
mod vendoring;
mod what_is_read;

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
    command.env("PLIMSOLL_ETC", repository.root()).env("XDG_RUNTIME_DIR", repository.root());
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
