//! Reads files from a git commit, and says whether the work tree still holds them as they are there, for
//! `--policy-from`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};
use plimsoll::source::{git, walk};

/// How many files one `git` is given, so that no command line is too long.
const AT_ONCE: usize = 200;

/// A commit of a work tree.
#[derive(Clone, Debug)]
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

    /// Refuses what lies at `path` (absolute) in the work tree and is not, byte by byte, what this commit has there.
    /// What lies outside the work tree belongs to the machine.
    pub(crate) fn unchanged(&self, path: &Path) -> anyhow::Result<()> {
        let Some(inside) = self.inside(path)? else { return Ok(()) };
        let name = inside.display();
        let wrong = |what: &str, file: &str| {
            anyhow!(
                "{name} decides what images are, and {file} {what} commit `{}`, which the policy is read from: a \
                 change can't judge itself; commit {name} there first, or keep it outside the work tree and name it \
                 in the file of `--config`",
                self.name
            )
        };
        let mut committed = self.listed(&inside)?;
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(self.root.join(&inside)).follow_links(false) {
            let entry = entry.with_context(|| format!("{name} can't be looked through"))?;
            if entry.file_type().is_dir() {
                continue;
            }
            let file = entry.path().strip_prefix(&self.root).expect("it is below the root");
            let shown = file.display().to_string();
            let hash = committed.remove(file).ok_or_else(|| wrong("is not in", &shown))?;
            if !entry.file_type().is_file() {
                return Err(wrong("is no longer the file of", &shown));
            }
            files.push((entry.into_path(), hash, shown));
        }
        if let Some(file) = committed.keys().next() {
            return Err(wrong("is missing, unlike in", &file.display().to_string()));
        }
        for some in files.chunks(AT_ONCE) {
            // As the bytes stand: no attribute of the tree may change what is compared.
            let mut command = git::command(&self.root).context("git can't be run")?;
            command.args(["hash-object", "--no-filters", "--"]).args(some.iter().map(|(path, ..)| path));
            let said = String::from_utf8(answer(command)?).context("git printed a hash that is not text")?;
            let hashes: Vec<&str> = said.lines().collect();
            if hashes.len() != some.len() {
                bail!("git hashed {} files of {}", hashes.len(), some.len());
            }
            if let Some((_, (.., shown))) = hashes.iter().zip(some).find(|(now, (_, then, _))| *now != then) {
                return Err(wrong("differs from", shown));
            }
        }
        Ok(())
    }

    /// `path` from the root, where it lies in the work tree. No link in the tree may be on the way: it could lead
    /// elsewhere than in the commit.
    fn inside(&self, path: &Path) -> anyhow::Result<Option<PathBuf>> {
        let mut way = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    way.pop();
                }
                part => way.push(part),
            }
            if way.starts_with(&self.root) && fs::symlink_metadata(&way).is_ok_and(|seen| seen.is_symlink()) {
                bail!(
                    "{} leads through the link {}, which a change could turn elsewhere; name the place itself, or one \
                     outside the work tree",
                    path.display(),
                    way.display()
                );
            }
        }
        if let Ok(inside) = way.strip_prefix(&self.root) {
            return Ok(Some(inside.to_owned()));
        }
        let real = fs::canonicalize(path).with_context(|| format!("{} can't be found", path.display()))?;
        if real.starts_with(&self.root) {
            bail!("{} leads into the work tree by a way around it; name the place itself", path.display());
        }
        Ok(None)
    }

    /// The files of the commit at `inside` or below it, by their paths from the root, with their hashes.
    fn listed(&self, inside: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
        let mut command = git::command(&self.root).context("git can't be run")?;
        command.args(["ls-tree", "-r", "-z", "--full-tree", &self.hash]);
        if !inside.as_os_str().is_empty() {
            command.arg("--").arg(inside);
        }
        let mut files = BTreeMap::new();
        for line in answer(command)?.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            // MODE TYPE HASH, a tab, the path
            let at = line.iter().position(|byte| *byte == b'\t').context("a line of git's list has no path")?;
            let hash = String::from_utf8_lossy(&line[..at]).split(' ').nth(2).unwrap_or_default().to_owned();
            files.insert(walk::os_path(&line[at + 1..]), hash);
        }
        Ok(files)
    }
}

fn git(root: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = git::command(root).context("git can't be run")?;
    command.args(arguments);
    answer(command)
}

fn answer(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output().context("git can't be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("git: {}", if said.is_empty() { "it knows no such thing" } else { said.as_str() });
    }
    Ok(output.stdout)
}
