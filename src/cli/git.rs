//! Reads files from a git commit, for `--policy-from`. It runs `git` with nothing of the environment's own git settings.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// A commit of a work tree.
#[derive(Debug)]
pub(crate) struct Commit {
    root: PathBuf,
    hash: String,
    /// As the user named it.
    pub(crate) name: String,
}

impl Commit {
    /// Finds the commit that `name` means in the work tree at `root`.
    pub(crate) fn find(root: &Path, name: &str) -> anyhow::Result<Self> {
        let wanted = format!("{name}^{{commit}}");
        let hash = git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])
            .with_context(|| format!("git knows no commit `{name}`; fetch it first (CI clones are often shallow)"))?;
        let hash = String::from_utf8(hash).context("git printed a commit that is not text")?.trim().to_owned();
        Ok(Self { root: root.to_owned(), hash, name: name.to_owned() })
    }

    /// The bytes of the file at `path` (relative to the root, `/` between components) in this commit.
    pub(crate) fn read(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        git(&self.root, &["cat-file", "blob", &format!("{}:{path}", self.hash)])
            .with_context(|| format!("commit `{}` holds no file {path}", self.name))
    }
}

fn git(root: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0");
    command.arg("-C").arg(root).args(["-c", "core.fsmonitor=false", "-c", "safe.directory=*"]).args(arguments);
    let output = command.output().context("git can't be run")?;
    if !output.status.success() {
        bail!("git: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
