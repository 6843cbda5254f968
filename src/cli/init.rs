//! `plimsoll init`: a policy that fits what a folder already uses; never over an existing one.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use plimsoll::init;
use plimsoll::outcome::Exit;
use plimsoll::reference::Reference;
use plimsoll::source::{Subject, walk};

use super::args::{Init, Paths};
use super::governing::FILE;
use super::sources;
use super::{Failure, print};

/// Writes `plimsoll.yaml` into the folder.
pub(crate) fn init(arguments: &Init) -> Result<Exit, Failure> {
    let here = std::env::current_dir().context("the current folder can't be found")?;
    let folder = match &arguments.path {
        Some(path) => path.clone(),
        None => walk::work_tree(&here).unwrap_or(here),
    };
    if !folder.is_dir() {
        return Err(anyhow!("{} is not a folder; a policy stands at the root of a repository", folder.display()).into());
    }
    let paths = Paths { paths: vec![folder.clone()], format: None, config: None, allow_empty: true };
    let gathered = sources::gather(&paths, None, None)?;
    let found = gathered.files.iter().flat_map(|file| &file.found.occurrences);
    let references: Vec<&Reference> = found
        .filter_map(|found| match &found.subject {
            Subject::Image(reference) => Some(reference),
            _ => None,
        })
        .collect();
    let absolute = std::path::absolute(&folder).context("the folder's path can't be made absolute")?;
    let name = absolute.file_name().map_or("policy".into(), |name| name.to_string_lossy().into_owned());
    let text = init::policy(&name, references);
    if arguments.print {
        print::out(text.as_bytes())?;
        return Ok(Exit::Clean);
    }
    let path = folder.join(FILE);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("{} is not written (an existing policy is never replaced)", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("can't write {}", path.display()))?;
    let elsewhere = walk::work_tree(&folder).is_some_and(|root| fs::canonicalize(&folder).is_ok_and(|own| own != root));
    let how =
        if elsewhere { format!("plimsoll check --policy {}", path.display()) } else { "plimsoll check".to_owned() };
    print::err(&format!("wrote {}; look at it, then run `{how}`\n", path.display()));
    Ok(Exit::Clean)
}
