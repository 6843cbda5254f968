//! `plimsoll inspect`: one image, and all that can be known of it. Exit 0, 1 (not found), 2 or 3 (not all is known).

use anyhow::Context as _;
use jiff::Timestamp;
use plimsoll::inspect;
use plimsoll::outcome::Exit;
use plimsoll::reference::Reference;
use plimsoll::report::Style;
use plimsoll::report::inspect::{Inspection, json};
use plimsoll::report::inspect_text::text;

use super::args::{Inspect, ReportFormat};
use super::quota::Watch;
use super::{Failure, asking, named, print};

/// Inspects the image.
pub(crate) fn inspect(arguments: &Inspect) -> Result<Exit, Failure> {
    let image = &arguments.image;
    let reference = Reference::parse(image).with_context(|| format!("`{image}` names no image"))?;
    let network = named::network(&arguments.machine, &arguments.asking)?;
    let watch = Watch::new(&network.router, std::iter::once(&reference), arguments.output.quiet);
    let bar = print::progress(arguments.output.quiet);
    let (platforms, jobs) = (&arguments.asking.platform, arguments.asking.reaching.jobs);
    let asked = inspect::inspect(&network.router, &reference, platforms, jobs, &arguments.base);
    let found = asking::wait(asked)?;
    watch.look(&bar);
    bar.finish_and_clear();
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let (help, exit) = named::weigh(&error);
            named::say(image, &error.to_string(), help);
            return Ok(exit);
        }
    };
    let exit = if found.is_whole() { Exit::Clean } else { Exit::Undecided };
    let inspection = Inspection {
        reference,
        found,
        layouts: network.layouts.clone(),
        now: arguments.now.unwrap_or_else(Timestamp::now),
    };
    print::written(&arguments.output, |format, style| match format {
        ReportFormat::Text => text(&inspection, Style { width: print::width(), ..style }),
        ReportFormat::Json => json(&inspection),
    })?;
    if arguments.output.verbose {
        watch.all();
    }
    network.say(arguments.output.quiet, arguments.output.verbose);
    if exit == Exit::Undecided && !arguments.output.quiet {
        print::err("plimsoll: not all of it can be known; the report says what and why\n");
    }
    Ok(exit)
}
