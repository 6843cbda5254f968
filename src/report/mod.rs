//! An outcome as people and programs read it. A report prints nothing and decides nothing.
//! The same outcome and the same clock give the same bytes.

mod bases;
mod bases_text;
pub mod inspect;
pub mod inspect_text;
pub mod inspect_tree;
pub mod json;
mod layers_text;
pub mod list;
mod page;
pub mod resolve;
mod sizes;
pub mod text;

use std::fmt::Write as _;

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

/// JSON that may be shown on a terminal: one value, ending in a newline, with everything a terminal obeys as `\u….`
fn json_of<T: serde::Serialize>(value: &T) -> String {
    let json = serde_json::to_string_pretty(value).expect("a report of strings and numbers serialises");
    let mut text = String::with_capacity(json.len() + 1);
    for letter in json.chars() {
        // Outside of strings there is nothing of the kind but line ends, and inside there are none.
        if letter != '\n' && text::hidden(letter) {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(letter);
        }
    }
    text.push('\n');
    text
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

#[cfg(test)]
mod tests {
    #[test]
    fn json_speaks_to_no_terminal_and_says_the_same() {
        let values = ["a\u{9b}2Jb", "\u{7f}", "\u{202e}x", "\u{ad}\u{61c}\u{180e}", "\u{e0041}", "\n\t\u{1b}", "ä€😀"];
        let text = super::json_of(&values);
        assert!(!text.chars().any(|letter| letter != '\n' && super::text::hidden(letter)), "{text:?}");
        assert!(text.contains(r"\u009b") && text.contains(r"\udb40\udc41") && text.contains("ä€😀"), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).expect("JSON"), values);
    }
}
