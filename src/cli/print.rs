//! Where output goes: standard output, files, a progress line on a terminal.
//! A reader that went away is no error; a disk that is full is one.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{Color, Output, ReportFormat, Reports};
use plimsoll::outcome::Outcome;
use plimsoll::report::{self, Run, Style};

/// Columns of a report; a longer source line is cut around its image.
pub(crate) const WIDTH: usize = 140;

/// Writes to standard output, whole; a broken pipe is the reader's choice and no error.
pub(crate) fn out(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("can't write standard output"),
        _ => Ok(()),
    }
}

/// Writes to standard error; there is nowhere to say that it failed.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a report to a file.
pub(crate) fn file(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(text.as_bytes())?;
        file.flush()
    };
    write().with_context(|| format!("can't write the report to {}", path.display()))
}

/// Fails where a report could not be written, before anything else is: `pin` must not change files and then fail.
pub(crate) fn writable(output: &Reports) -> anyhow::Result<()> {
    for path in output.output.iter().chain(output.report.iter().map(|(_, path)| path)) {
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("can't write the report to {}", path.display()))?;
    }
    Ok(())
}

/// How text for standard output is written.
pub(crate) fn style(output: &Output, stderr: bool) -> Style {
    let to_file = output.reports.output.is_some() && !stderr;
    let terminal = if stderr { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let color = match output.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => !to_file && terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    Style { color, verbose: output.verbose, width: WIDTH }
}

/// Writes the report of the run and the further ones. `aside` sends the report itself to standard error.
pub(crate) fn reports(run: &Run, outcome: &Outcome, output: &Output, aside: bool) -> anyhow::Result<()> {
    let rendered = |format: ReportFormat, style: Style| match format {
        ReportFormat::Text => report::text(run, outcome, style),
        ReportFormat::Json => report::json(run, outcome),
    };
    for (format, path) in &output.reports.report {
        file(path, &rendered(*format, Style { color: false, ..style(output, false) }))?;
    }
    let text = rendered(output.reports.format, style(output, aside));
    match &output.reports.output {
        Some(path) => file(path, &text),
        None if aside => {
            err(&text);
            Ok(())
        }
        None => out(text.as_bytes()),
    }
}

/// Writes what `render` makes for the format of the run, and for the further reports.
pub(crate) fn written(output: &Output, render: impl Fn(ReportFormat, Style) -> String) -> anyhow::Result<()> {
    let style = style(output, false);
    for (format, path) in &output.reports.report {
        file(path, &render(*format, Style { color: false, ..style }))?;
    }
    let text = render(output.reports.format, style);
    match &output.reports.output {
        Some(path) => file(path, &text),
        None => out(text.as_bytes()),
    }
}

/// Columns of the terminal that standard output is, else those of every report.
pub(crate) fn width() -> usize {
    let columns = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    columns.filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

/// A progress line on a terminal, shown only once a run is long; nothing elsewhere.
pub(crate) fn progress(quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
    let style = ProgressStyle::with_template("asking registries: {pos} of {len}");
    style.map_or_else(|_| ProgressBar::hidden(), |style| bar.with_style(style))
}
