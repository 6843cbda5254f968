//! Lines for people, made of what a registry said: everything a terminal obeys is written out first, and what is too long
//! is cut, but for reasons and digests, which are of no use in part.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Style;
use super::text::visible;

/// Columns of a name in front of its value.
pub(super) const NAMES: usize = 13;

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Something is to be done.
    Warning,
    /// Something is not as it is said to be.
    Alarm,
}

/// A text that grows line by line.
pub(super) struct Page {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Page {
    pub(super) fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    pub(super) fn title(&mut self, text: &str) {
        let shown = self.style.bold(&self.cut(text, 0));
        let _ = writeln!(self.text, "{shown}");
    }

    pub(super) fn line(&mut self, text: &str) {
        let shown = self.cut(text, 0);
        let _ = writeln!(self.text, "{shown}");
    }

    pub(super) fn row(&mut self, name: &str, value: &str) {
        let shown = self.cut(value, NAMES + 3);
        self.shown(name, &shown, Tone::Plain);
    }

    /// A digest, or a reason, which often stands at the end: of no use in part.
    pub(super) fn whole(&mut self, name: &str, value: &str) {
        self.toned(name, value, Tone::Plain);
    }

    /// Whole, and as loud as it is told.
    pub(super) fn toned(&mut self, name: &str, value: &str, tone: Tone) {
        self.shown(name, &visible(value), tone);
    }

    /// Why something can't be known.
    pub(super) fn unknown(&mut self, name: &str, why: &str) {
        self.whole(name, &format!("can't be known: {why}"));
    }

    pub(super) fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.row(name, value);
        }
    }

    pub(super) fn list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            self.row(name, &values.join(", "));
        }
    }

    /// Words as a list, so that one with a space in it does not look like two.
    pub(super) fn words(&mut self, name: &str, words: &[String]) {
        if !words.is_empty() {
            self.row(name, &serde_json::to_string(words).expect("texts serialise"));
        }
    }

    pub(super) fn texts(&mut self, name: &str, texts: &BTreeMap<String, String>) {
        for (at, (key, value)) in texts.iter().enumerate() {
            self.row(if at == 0 { name } else { "" }, &format!("{key} = {value}"));
        }
    }

    fn shown(&mut self, name: &str, shown: &str, tone: Tone) {
        let name = format!("{name:<NAMES$}");
        let (name, shown) = match tone {
            Tone::Plain => (self.style.dim(&name), shown.to_owned()),
            _ => (self.style.loud(tone, &name), self.style.loud(tone, shown)),
        };
        let _ = writeln!(self.text, "  {name} {shown}");
    }

    /// Visible, on one line, and no longer than the line has room for; whole with `-v`.
    pub(super) fn cut(&self, text: &str, used: usize) -> String {
        let text = visible(text);
        let room = self.style.width.saturating_sub(used).max(20);
        if self.style.verbose || text.chars().count() <= room {
            return text;
        }
        let cut: String = text.chars().take(room - 1).collect();
        format!("{cut}…")
    }
}

impl Style {
    pub(super) fn loud(self, tone: Tone, text: &str) -> String {
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Warning => self.painted("33", text),
            Tone::Alarm => self.painted("1;31", text),
        }
    }
}
