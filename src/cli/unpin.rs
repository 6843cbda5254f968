//! `plimsoll unpin`: takes the digest off where a tag stands beside it. Exit 0 or 2, no network, no policy.

use jiff::Timestamp;
use plimsoll::edit::{self, Edit};
use plimsoll::outcome::Exit;
use plimsoll::report::plural;

use super::args::{PolicyArgs, Unpin};
use super::replace::{Replacement, replace};
use super::sources;
use super::{Failure, diff, governing, print};

/// Unpins the references of the paths.
pub(crate) fn unpin(arguments: &Unpin) -> Result<Exit, Failure> {
    let none = PolicyArgs { policy: None, policy_from: None, now: None };
    let governing = governing::find(&none, Timestamp::now())?;
    let named = governing::config(arguments.paths.config.as_deref(), None)?;
    let gathered = sources::gather(&arguments.paths, named.as_ref(), governing.as_ref())?;
    let (mut replacements, mut changed, mut stream) = (Vec::new(), 0, None);
    for (file, target) in gathered.files.iter().zip(&gathered.targets) {
        let mut edits: Vec<Edit> = if file.found.unread.is_empty() && target.refused.is_none() {
            file.found.occurrences.iter().filter_map(edit::unpin).collect()
        } else {
            Vec::new()
        };
        edits.sort();
        edits.dedup();
        let new = if edits.is_empty() {
            file.bytes.clone()
        } else {
            edit::apply(&|bytes| target.read(bytes), &file.bytes, &edits).map_err(anyhow::Error::from)?
        };
        changed += edits.len();
        if arguments.diff {
            if !edits.is_empty() {
                print::out(diff::unified(&file.path, &file.bytes, &new).as_bytes())?;
            }
        } else if gathered.stream {
            stream = Some(new);
        } else if !edits.is_empty() {
            let (path, shown) = (target.path.clone(), file.path.clone());
            replacements.push(Replacement { path, shown, old: file.bytes.clone(), new });
        }
    }
    replace(&replacements).map_err(anyhow::Error::from)?;
    if let Some(bytes) = stream {
        print::out(&bytes)?;
    }
    if !arguments.quiet {
        let verb = if arguments.diff { "would unpin" } else { "unpinned" };
        print::err(&format!("{verb} {}\n", plural(changed, "reference")));
    }
    Ok(Exit::Clean)
}
