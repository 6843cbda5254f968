//! `plimsoll inspect`: one image, and all that can be known of it. Exit 0, 1 (not found), 2 or 3 (not all is known, or what
//! the image says of its base or its layers is not so).

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use plimsoll::inspect::{self, Asked};
use plimsoll::outcome::Exit;
use plimsoll::reference::Reference;
use plimsoll::report::Style;
use plimsoll::report::inspect::{Inspection, json};
use plimsoll::report::inspect_text::text;
use plimsoll::report::inspect_tree::tree;

use super::args::{Inspect, ReportFormat};
use super::quota::Watch;
use super::{Failure, asking, named, print};

/// Inspects the image.
pub(crate) fn inspect(arguments: &Inspect) -> Result<Exit, Failure> {
    if arguments.tree && arguments.output.reports.format == ReportFormat::Json {
        let text = "--tree is text; --format json has the same, and more, as one object, so leave one of them out";
        return Err(anyhow!(text).into());
    }
    let image = &arguments.image;
    let reference = Reference::parse(image).with_context(|| format!("`{image}` names no image"))?;
    let network = named::network(&arguments.machine, &arguments.asking)?;
    let watch = Watch::new(&network.router, std::iter::once(&reference), arguments.output.quiet);
    let bar = print::progress(arguments.output.quiet);
    let asked = Asked {
        platforms: &arguments.asking.platform,
        jobs: arguments.asking.reaching.jobs,
        candidates: &arguments.base,
        unpack: arguments.unpack,
    };
    let found = asking::wait(inspect::inspect(&network.router, &reference, asked))?;
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
        looked_for: arguments.base.iter().map(ToString::to_string).collect(),
        layouts: network.layouts.clone(),
        now: arguments.now.unwrap_or_else(Timestamp::now),
    };
    print::written(&arguments.output, |format, style| match format {
        ReportFormat::Text if arguments.tree => tree(&inspection, Style { width: print::width(), ..style }),
        ReportFormat::Text => text(&inspection, Style { width: print::width(), ..style }),
        ReportFormat::Json => json(&inspection),
    })?;
    if arguments.output.verbose {
        watch.all();
    }
    network.say(arguments.output.quiet, arguments.output.verbose);
    if exit == Exit::Undecided && !arguments.output.quiet {
        print::err(if inspection.found.lies() {
            "plimsoll: what its config says of its layers is not so; do not run this image\n"
        } else if inspection.found.contradicts_its_base() {
            "plimsoll: what it says of its base or layers is not so; the report says what and why\n"
        } else {
            "plimsoll: not all of it can be known; the report says what and why\n"
        });
    }
    Ok(exit)
}
