//! Reads files from a git commit, for `--policy-from`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use plimsoll::source::git;

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
    let mut command = git::command(root).context("git can't be run")?;
    let output = command.args(arguments).output().context("git can't be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("git: {}", if said.is_empty() { "it knows no such thing" } else { said.as_str() });
    }
    Ok(output.stdout)
}
