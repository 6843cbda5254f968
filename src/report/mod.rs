//! An outcome as people and programs read it. A report prints nothing and decides nothing.
//! The same outcome and the same clock give the same bytes.

pub mod json;
pub mod list;
pub mod text;

use jiff::Timestamp;

use crate::outcome::Outcome;

/// What a report says of the run itself.
#[derive(Clone, Debug)]
pub struct Run {
    /// The policy file as it was named; `None` under `--no-policy`.
    pub policy: Option<String>,
    /// Layouts in use, as they were named.
    pub layouts: Vec<String>,
    /// The run's clock.
    pub now: Timestamp,
    /// `check`, `pin`.
    pub command: &'static str,
}

/// How text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// Every reference, the allowed ones too.
    pub verbose: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// The JSON report, one object, ending in a newline.
pub fn json(run: &Run, outcome: &Outcome) -> String {
    json::render(run, outcome)
}

/// The report for people.
pub fn text(run: &Run, outcome: &Outcome, style: Style) -> String {
    text::render(run, outcome, style)
}

/// A count with its noun.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Text with everything a terminal obeys written out, its line ends kept.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(text::visible).collect::<Vec<_>>().join("\n")
}
