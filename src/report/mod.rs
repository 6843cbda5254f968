//! An outcome as people and programs read it. A report prints nothing and decides nothing.
//! The same outcome and the same clock give the same bytes.

pub mod inspect;
pub mod inspect_text;
pub mod json;
pub mod list;
pub mod resolve;
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

impl Style {
    fn bold(self, text: &str) -> String {
        self.painted("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.painted("2", text)
    }

    fn bar(self, text: &str) -> String {
        self.painted("36", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The schema of what is written as `T`.
fn schema_of<T: schemars::JsonSchema>(title: &str, description: &str) -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.insert("description".to_owned(), description.into());
    schema.into()
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
