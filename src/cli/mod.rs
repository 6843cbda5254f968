//! Commands of the binary: what a request means, what is printed, what is written.

pub(crate) mod args;
mod asking;
mod diff;
mod explain;
mod following;
mod gating;
mod git;
mod governing;
mod init;
mod inspect;
mod list;
mod machine;
mod named;
mod network;
mod print;
mod quota;
mod replace;
mod resolve;
mod sources;
mod unpin;
mod vendor;

use std::process::ExitCode;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use plimsoll::outcome::Exit;
use plimsoll::policy::PolicyError;

use args::{Cli, Command};

/// Why a command could not do what it was asked: always exit 2.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A policy or config that can't be used.
    Policy(Box<PolicyError>),
    /// Everything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::Policy(Box::new(error))
    }
}

/// Runs the command; the exit code comes from its outcome alone.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let result = match &cli.command {
        Command::Check(arguments) => gating::check(arguments),
        Command::Pin(arguments) => gating::pin(arguments),
        Command::Unpin(arguments) => unpin::unpin(arguments),
        Command::List(arguments) => list::list(arguments),
        Command::Resolve(arguments) => resolve::resolve(arguments),
        Command::Inspect(arguments) => inspect::inspect(arguments),
        Command::Vendor(arguments) => vendor::vendor(arguments),
        Command::Init(arguments) => init::init(arguments),
        Command::Explain { rule } => explain::explain(rule.as_deref()),
        Command::Policy(command) => explain::policy(command),
    };
    let exit = result.unwrap_or_else(|failure| {
        print::err(&shown(&failure));
        Exit::Usage
    });
    ExitCode::from(exit.code())
}

fn shown(failure: &Failure) -> String {
    match failure {
        Failure::Policy(error) => policy_error(error),
        Failure::Other(error) => format!("plimsoll: {}\n", plimsoll::report::visible_lines(&format!("{error:#}"))),
    }
}

/// A policy's fault with its line and a caret.
fn policy_error(error: &PolicyError) -> String {
    let line = plimsoll::span::LineIndex::new(error.source.as_bytes());
    let text = String::from_utf8_lossy(line.line(error.place.line)).into_owned();
    let at = text.char_indices().nth(error.place.column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    let mut end = (at + error.span.len().max(1)).min(text.len()).max(at);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let snippet = Snippet::source(text)
        .line_start(error.place.line)
        .path(error.file.as_str())
        .annotation(AnnotationKind::Primary.span(at..end));
    let mut group = Level::ERROR.primary_title(error.message.as_str()).element(snippet);
    if !error.help.is_empty() {
        group = group.element(Level::HELP.message(error.help.as_str()));
    }
    format!("{}\n", Renderer::plain().render(&[group]))
}
