//! What tests of the whole program share: a folder with files, a layout, the program's answer.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(unreachable_pub, missing_docs, reason = "a test program has no outside")]
#![allow(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "a test's support")]

pub mod layout;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

pub use layout::Layout;

/// A folder that stands for a repository, outside any git work tree unless a test makes it one.
pub struct Repository {
    folder: TempDir,
}

/// What the program answered.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Standard output as JSON; it must be valid by the schema.
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}):\n{}\n{}", self.stdout, self.stderr));
        let schema = match &value {
            Value::Array(_) => "docs/resolve.schema.json",
            report if report.get("run").is_some() => "docs/report.schema.json",
            report if report.get("platforms").is_some() => "docs/inspect.schema.json",
            _ => "docs/list.schema.json",
        };
        let schema = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(schema)).expect("a schema");
        let schema: Value = serde_json::from_str(&schema).expect("JSON");
        if let Err(error) = jsonschema::validate(&schema, &value) {
            panic!("not by the schema: {error}\n{}", self.stdout);
        }
        value
    }

    /// The verdict of the reference whose text is `text`.
    pub fn verdict(&self, text: &str) -> String {
        let report = self.json();
        let rows: Vec<&Value> =
            report["references"].as_array().expect("references").iter().filter(|row| row["text"] == text).collect();
        assert!(!rows.is_empty(), "`{text}` was not found:\n{}", self.stdout);
        rows[0]["verdict"].as_str().expect("a verdict").to_owned()
    }

    /// The ids of all findings with this status.
    pub fn rules(&self, status: &str) -> Vec<String> {
        let report = self.json();
        let findings = report["findings"].as_array().expect("findings").iter();
        findings
            .filter(|row| row["status"] == status)
            .map(|row| row["rule"].as_str().expect("an id").to_owned())
            .collect()
    }
}

/// A policy that trusts `docker.io/library/*` and nothing else.
pub const LIBRARY_ONLY: &str = r#"
apiVersion: plimsoll.dev/v1
kind: ImagePolicy
metadata: {name: test}
spec:
  statements:
    - name: all
      match: ["**"]
      rules:
        trusted-registry: {allow: ["docker.io/library/*"]}
"#;

/// The part of `plimsoll.yaml` that serves every name from the folder `registry`.
pub const FROM_LAYOUT: &str = r#"
---
apiVersion: plimsoll.dev/v1
kind: GateConfig
spec:
  registries:
    - {prefix: "*", layout: registry}
"#;

impl Repository {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// One with a policy, a layout that holds `names`, and these files.
    pub fn with(policy: &str, names: &[&str], files: &[(&str, &str)]) -> Self {
        let repository = Self::new();
        let mut layout = Layout::new(&repository.path("registry"));
        for name in names {
            layout.add(name);
        }
        layout.finish();
        repository.write("plimsoll.yaml", format!("{policy}{FROM_LAYOUT}"));
        for (name, text) in files {
            repository.write(name, text);
        }
        repository
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("read")
    }

    /// Runs the program here, its environment scrubbed.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with(arguments, b"")
    }

    /// Runs the program here with standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Answer {
        answer(&self.command(arguments).write_stdin(input).output().expect("the program runs"))
    }

    /// The command, its environment scrubbed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("plimsoll").expect("the program is built");
        command.current_dir(self.root()).env_clear().args(arguments);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        // What the machine that runs the tests has in `/etc` and `/run` is not looked at.
        command.env("HOME", self.root()).env("PLIMSOLL_ETC", self.root()).env("XDG_RUNTIME_DIR", self.root());
        command
    }

    /// `check` of the whole folder, as JSON.
    pub fn check(&self) -> Answer {
        self.run(&["check", "--format", "json"])
    }

    /// Runs git here.
    pub fn git(&self, arguments: &[&str]) {
        let output = std::process::Command::new("git")
            .current_dir(self.root())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .output()
            .expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

pub fn answer(output: &Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A pod whose first container has this image line.
pub fn pod(image_line: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n    - name: c\n      {image_line}\n"
    )
}
