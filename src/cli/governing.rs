//! Which policy and config hold for a run, and where they were read from.
//! One policy a run: `--policy`, else `plimsoll.yaml` at the root of the git work tree, else in the current folder.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use plimsoll::limits;
use plimsoll::policy::{self, GateConfig, Policy};
use plimsoll::source::table;
use plimsoll::source::walk;

use super::Failure;
use super::args::PolicyArgs;
use super::git::Commit;

/// The name that is looked for.
pub(crate) const FILE: &str = "plimsoll.yaml";

/// A config with the folder that its paths are relative to.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file, as it is shown.
    pub(crate) shown: String,
    pub(crate) settings: GateConfig,
    pub(crate) folder: PathBuf,
    /// The folder that `ignore:` is relative to: the policy's, or for the machine's own file the work tree.
    pub(crate) ignore_from: PathBuf,
    /// The commit that it was read from; what it names in the work tree must be as it is there.
    pub(crate) from: Option<Commit>,
}

/// The policy of a run, and the config that stands beside it.
#[derive(Debug)]
pub(crate) struct Governing {
    pub(crate) policy: Policy,
    pub(crate) config: Option<Config>,
    /// The policy's folder, absolute; `where.paths` are relative to it.
    pub(crate) folder: PathBuf,
    /// The policy file itself, absolute.
    pub(crate) path: PathBuf,
}

/// The policy of the run; `None` where there is none.
pub(crate) fn find(arguments: &PolicyArgs, now: Timestamp) -> Result<Option<Governing>, Failure> {
    let here = std::env::current_dir().context("the current folder can't be found")?;
    let root = walk::work_tree(&here);
    let named = arguments.policy.is_some();
    let path = match &arguments.policy {
        Some(path) => here.join(path),
        None => root.as_deref().unwrap_or(&here).join(FILE),
    };
    let shown = match &arguments.policy {
        Some(path) => path.display().to_string(),
        None => shown(&path, &here),
    };
    let (bytes, shown, from) = match &arguments.policy_from {
        Some(name) => {
            let root = root.ok_or_else(|| anyhow!("--policy-from needs a git work tree, and this is none"))?;
            let commit = Commit::find(&root, name)?;
            let absolute = std::path::absolute(&path).context("the policy's path can't be made absolute")?;
            let inside = absolute
                .strip_prefix(&root)
                .map_err(|_| anyhow!("{shown} lies outside the git work tree, so no commit holds it"))?;
            let inside =
                inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            (commit.read(&inside)?, format!("{name}:{inside}"), Some(commit))
        }
        None if !named && !path.exists() => return Ok(None),
        None => (read(&path, &shown)?, shown, None),
    };
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{shown} is not UTF-8 text"))?;
    let formats: Vec<&str> = table::formats().iter().map(|format| format.id()).collect();
    let loaded = policy::load(&text, &shown, now, &formats)?;
    let folder = path.parent().map_or_else(|| here.clone(), Path::to_owned);
    let config = loaded.config.map(|settings| {
        let (folder, ignore_from) = (folder.clone(), folder.clone());
        Config { shown: shown.clone(), settings, folder, ignore_from, from }
    });
    Ok(Some(Governing { policy: loaded.policy, config, folder, path }))
}

/// The config that `--config` names; one inside the work tree is read from the commit `from`, where one is named.
pub(crate) fn config(path: Option<&Path>, from: Option<&str>) -> Result<Option<Config>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let shown = path.display().to_string();
    let absolute = std::path::absolute(path).context("the config's path can't be made absolute")?;
    let (bytes, shown, from, place) = match from.map(|name| committed(path, &absolute, name)).transpose()?.flatten() {
        Some((bytes, shown, commit, place)) => (bytes, shown, Some(commit), place),
        None => (read(path, &shown)?, shown, None, absolute),
    };
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{shown} is not UTF-8 text"))?;
    let settings = policy::load_config(&text, &shown)?;
    let folder = place.parent().map_or_else(PathBuf::new, Path::to_owned);
    let here = std::env::current_dir().context("the current folder can't be found")?;
    let ignore_from = walk::work_tree(&here).unwrap_or(here);
    Ok(Some(Config { shown, settings, folder, ignore_from, from }))
}

/// A config in the commit, how it is shown, and where it lies in the work tree.
type Committed = (Vec<u8>, String, Commit, PathBuf);

/// The config in the commit; `None` for one outside the work tree, which is the machine's.
fn committed(path: &Path, absolute: &Path, name: &str) -> anyhow::Result<Option<Committed>> {
    let here = std::env::current_dir().context("the current folder can't be found")?;
    let root =
        walk::work_tree(&here).ok_or_else(|| anyhow!("--policy-from needs a git work tree, and this is none"))?;
    // by its own place and by where links and `..` lead: what a change could have written is never the machine's
    let real = fs::canonicalize(path).unwrap_or_else(|_| absolute.to_owned());
    let Some(inside) = absolute.strip_prefix(&root).ok().or_else(|| real.strip_prefix(&root).ok()) else {
        return Ok(None);
    };
    let place = root.join(inside);
    let inside = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
    let commit = Commit::find(&root, name)?;
    Ok(Some((commit.read(&inside)?, format!("{name}:{inside}"), commit, place)))
}

/// The contract's way out where no policy was found.
pub(crate) fn none_found() -> Failure {
    let here = std::env::current_dir().is_ok_and(|here| here.join(FILE).is_file());
    let near = if here {
        format!("; the one in this folder is used only when it is named: `--policy {FILE}`")
    } else {
        String::new()
    };
    Failure::Other(anyhow!(
        "no policy: there is no {FILE} at the root of the git work tree (outside git: in the current folder){near}\n\
         write one with `plimsoll init`, name one with `--policy`, or pin without judging: `plimsoll pin --no-policy`"
    ))
}

fn read(path: &Path, shown: &str) -> anyhow::Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| format!("can't read {shown}"))?;
    let mut bytes = Vec::new();
    file.take(limits::POLICY_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("can't read {shown}"))?;
    if bytes.len() as u64 > limits::POLICY_BYTES {
        return Err(anyhow!("{shown} is longer than {} bytes", limits::POLICY_BYTES));
    }
    Ok(bytes)
}

fn shown(path: &Path, here: &Path) -> String {
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
