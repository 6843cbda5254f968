//! `plimsoll resolve`: the digest that each name stands for. Exit 0, 1 (not found), 2 or 3 (can't be known).
//! One image that fails hides no other.

use std::collections::BTreeMap;

use anyhow::anyhow;
use futures_util::StreamExt as _;
use futures_util::stream;
use plimsoll::outcome::Exit;
use plimsoll::outline::{Outline, OutlineError, outline};
use plimsoll::reference::Reference;
use plimsoll::registry::Want;
use plimsoll::report::resolve::{Resolution, json, text};
use plimsoll::report::{plural, visible_lines};

use super::args::{ReportFormat, Resolve};
use super::quota::Watch;
use super::{Failure, asking, named, print};

/// Resolves the images, each distinct one once.
pub(crate) fn resolve(arguments: &Resolve) -> Result<Exit, Failure> {
    if arguments.asking.platform.len() > 1 {
        return Err(anyhow!("resolve takes one --platform: a name has room for one digest").into());
    }
    let platform = arguments.asking.platform.first();
    let output = &arguments.output;
    let formats = [output.reports.format].into_iter().chain(output.reports.report.iter().map(|(format, _)| *format));
    // The digest alone needs no content; its media type and platforms do.
    let want =
        if formats.into_iter().any(|format| format == ReportFormat::Json) { Want::Content } else { Want::Digest };
    let network = named::network(&arguments.machine, &arguments.asking)?;
    let (router, layouts) = (&network.router, &network.layouts);
    let parsed: Vec<(&String, Result<Reference, _>)> =
        arguments.images.iter().map(|image| (image, Reference::parse(image))).collect();
    let distinct: BTreeMap<String, &Reference> =
        parsed.iter().filter_map(|(_, reference)| reference.as_ref().ok()).map(|one| (one.to_string(), one)).collect();
    let watch = Watch::new(router, distinct.values().copied(), output.quiet);
    let bar = print::progress(output.quiet);
    bar.set_length(distinct.len() as u64);
    // By host, so that the names of a slow one do not stand before those of the others.
    let mut hosts: BTreeMap<&str, Vec<(String, &Reference)>> = BTreeMap::new();
    for (name, reference) in distinct {
        hosts.entry(reference.repository().host()).or_default().push((name, reference));
    }
    let jobs = arguments.asking.reaching.jobs;
    let streams = hosts.into_values().map(|names| {
        let (router, bar, watch) = (router, &bar, &watch);
        let each = names.into_iter().map(move |(name, reference)| async move {
            let answer = outline(router, reference, want, platform).await;
            bar.inc(1);
            watch.look(bar);
            (name, answer)
        });
        stream::iter(each).buffer_unordered(jobs)
    });
    let answers: BTreeMap<String, Result<Outline, OutlineError>> = asking::wait(stream::select_all(streams).collect())?;
    bar.finish_and_clear();

    let mut exit = Exit::Clean;
    let mut failed = 0;
    let mut rows = Vec::with_capacity(parsed.len());
    for (image, reference) in parsed {
        let answer = match &reference {
            Ok(reference) => answers[&reference.to_string()].clone().map_err(|error| {
                let (help, code) = named::weigh(&error);
                (error.to_string(), help, code)
            }),
            Err(error) => Err((error.to_string(), "write it as a manifest would, such as nginx:1.25", Exit::Usage)),
        };
        let answer = answer.map_err(|(error, help, code)| {
            named::say(image, &error, help);
            exit = exit.and(code);
            failed += 1;
            error
        });
        rows.push(Resolution { text: image.clone(), reference: reference.ok(), answer });
    }
    print::written(output, |format, style| match format {
        ReportFormat::Text => text(&rows, style),
        ReportFormat::Json => json(&rows),
    })?;
    if output.verbose {
        watch.all();
    }
    network.say(output.quiet, output.verbose);
    if !output.quiet && !layouts.is_empty() {
        print::err(&format!("images from layouts on disk: {}\n", visible_lines(&layouts.join(", "))));
    }
    if failed > 0 && rows.len() > 1 && !output.quiet {
        print::err(&format!("{failed} of {} could not be resolved\n", plural(rows.len(), "image")));
    }
    Ok(exit)
}
