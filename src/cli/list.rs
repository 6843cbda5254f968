//! `plimsoll list`: what was found, without a network and without a judgement. Exit 0 or 2.

use anyhow::Context as _;
use jiff::Timestamp;
use plimsoll::outcome::Exit;
use plimsoll::report::Style;
use plimsoll::report::list::{self, Listed};

use super::args::{List, PolicyArgs, ReportFormat};
use super::sources;
use super::{Failure, governing, print};

/// Lists the references of the paths.
pub(crate) fn list(arguments: &List) -> Result<Exit, Failure> {
    let none = PolicyArgs { policy: None, policy_from: None, now: None };
    let governing = governing::find(&none, Timestamp::now())?;
    let named = governing::config(arguments.paths.config.as_deref(), None)?;
    let gathered = sources::gather(&arguments.paths, named.as_ref(), governing.as_ref())?;
    let files: Vec<Listed> =
        gathered.files.into_iter().map(|file| Listed { path: file.path, found: file.found }).collect();
    let render = |format: ReportFormat, style| match format {
        ReportFormat::Text => list::text(&files, &gathered.unread, style),
        ReportFormat::Json => list::json(&files, &gathered.unread),
    };
    let style = Style { color: false, verbose: arguments.verbose, width: print::WIDTH };
    for (format, path) in &arguments.reports.report {
        print::file(path, &render(*format, style)).context("the listing")?;
    }
    let text = render(arguments.reports.format, style);
    match &arguments.reports.output {
        Some(path) => print::file(path, &text)?,
        None => print::out(text.as_bytes())?,
    }
    Ok(Exit::Clean)
}
