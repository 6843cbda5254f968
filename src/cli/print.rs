//! Where output goes: standard output, files, a progress line on a terminal.
//! A reader that went away is no error; a disk that is full is one.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{Color, Output, ReportFormat};
use plimsoll::outcome::Outcome;
use plimsoll::report::{self, Run, Style};

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

/// How text for standard output is written.
pub(crate) fn style(output: &Output, stderr: bool) -> Style {
    let to_file = output.output.is_some() && !stderr;
    let terminal = if stderr { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let color = match output.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => !to_file && terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    Style { color, verbose: output.verbose, width: 140 }
}

/// Writes the report of the run and the further ones. `aside` sends the report itself to standard error.
pub(crate) fn reports(run: &Run, outcome: &Outcome, output: &Output, aside: bool) -> anyhow::Result<()> {
    let rendered = |format: ReportFormat, style: Style| match format {
        ReportFormat::Text => report::text(run, outcome, style),
        ReportFormat::Json => report::json(run, outcome),
    };
    for (format, path) in &output.report {
        file(path, &rendered(*format, Style { color: false, ..style(output, false) }))?;
    }
    let text = rendered(output.format, style(output, aside));
    match &output.output {
        Some(path) => file(path, &text),
        None if aside => {
            err(&text);
            Ok(())
        }
        None => out(text.as_bytes()),
    }
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
