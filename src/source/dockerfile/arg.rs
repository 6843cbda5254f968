//! ARGs before the first FROM: what each name stands for in a FROM, and where a default is written.
//! An ARG inside a stage gives no FROM a value; what it takes over from here is noted, for an edit would reach it.

use std::collections::HashMap;

use crate::source::dockerfile::line;
use crate::source::dockerfile::shell::{self, Expansion, Glyph, Names, Origin, Value};
use crate::span::Span;

/// Names that the build itself sets, by the platforms it builds on and for.
const OF_THE_BUILD: [&str; 11] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// Longest default that is put in anywhere, in bytes: any image is shorter, and defaults may hold each other.
const DEFAULT: usize = 4_096;

/// Most assumptions that are spelled out.
const SPELLED: usize = 8;

/// One default.
#[derive(Debug)]
pub(super) struct Declaration {
    /// The ARG's name.
    pub(super) name: String,
    /// What it is, or why it is not known.
    pub(super) value: Result<String, String>,
    /// Its bytes in the file, where they are the value itself.
    pub(super) span: Option<Span>,
    /// Where the value stands, quotes included.
    pub(super) written: Span,
    /// Why an edit of it would reach more than images, where it would.
    pub(super) spread: Option<Spread>,
    assumes: Vec<String>,
}

/// What else a default reaches.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    /// Where.
    pub(super) at: usize,
    /// What: "a stage takes it over".
    pub(super) what: &'static str,
}

/// The ARGs so far.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Every default, in order.
    pub(super) defaults: Vec<Declaration>,
    /// The default that a name stands for now; `None` where it has none.
    names: HashMap<String, Option<usize>>,
}

impl Names for Scope {
    fn value(&self, name: &str) -> Value<'_> {
        const PLATFORM: &str = "the platform of the build decides; it is not known from this file";
        match self.names.get(name) {
            Some(Some(number)) => match &self.defaults[*number].value {
                Ok(text) => Value::Default(*number, text),
                Err(reason) => Value::Unknown(reason),
            },
            _ if OF_THE_BUILD.contains(&name) => Value::Unknown(PLATFORM),
            Some(None) => Value::NotGiven,
            None => Value::Unset,
        }
    }
}

impl Scope {
    /// Takes up an ARG that stands before the first FROM.
    pub(super) fn declare(&mut self, arguments: &[Glyph], escape: char) {
        for word in line::words(arguments, escape) {
            let Some(at) = word.iter().position(|glyph| glyph.letter == '=') else {
                self.names.entry(shell::text(&word)).or_insert(None);
                continue;
            };
            let name = shell::text(&word[..at]);
            let value = &word[at + 1..];
            let begin = word[at].end;
            let written = Span::new(begin, value.last().map_or(begin, |last| last.end.max(begin)));
            let default = match shell::expand(value, escape, self) {
                Ok(expansion) => self.default(name.clone(), written, &expansion),
                Err(reason) => {
                    let reason = format!("the default of ARG `{name}` can't be read: {reason}");
                    Declaration {
                        name: name.clone(),
                        value: Err(reason),
                        span: None,
                        written,
                        spread: None,
                        assumes: Vec::new(),
                    }
                }
            };
            self.names.insert(name, Some(self.defaults.len()));
            self.defaults.push(default);
        }
    }

    fn default(&mut self, name: String, written: Span, expansion: &Expansion) -> Declaration {
        for number in expansion.reads.iter().filter_map(|read| read.default) {
            self.spread(number, written.start, "the default of another ARG holds it");
        }
        let text: String = expansion.letters.iter().map(|(letter, _)| letter).collect();
        let value = match &expansion.unknown {
            Some(reason) => Err(reason.clone()),
            None if text.len() > DEFAULT => Err(format!("the default of ARG `{name}` is too long for an image")),
            None => Ok(text),
        };
        let span = if expansion.reads.is_empty() { contiguous(&expansion.letters) } else { None };
        // no quotes: what is written is the value, and nothing may be written too
        let span = span.or_else(|| (written.is_empty() && expansion.reads.is_empty()).then_some(written));
        let assumes = if expansion.unknown.is_some() { Vec::new() } else { self.fragments(expansion) };
        Declaration { name, value, span, written, spread: None, assumes }
    }

    /// Takes up an ARG inside a stage, or one that an ONBUILD holds: without a default it takes over what stands here.
    pub(super) fn redeclare(&mut self, arguments: &[Glyph], escape: char) {
        for word in line::words(arguments, escape) {
            let number = self.names.get(&shell::text(&word)).copied().flatten();
            if let (Some(number), Some(first)) = (number, word.first()) {
                self.spread(number, first.at, "a stage takes it over");
            }
        }
    }

    /// Notes that a default reaches more than the text of an image.
    pub(super) fn spread(&mut self, number: usize, at: usize, what: &'static str) {
        self.defaults[number].spread.get_or_insert(Spread { at, what });
    }

    /// Notes all that a text asks for which is no image's own.
    pub(super) fn spread_reads(&mut self, expansion: &Expansion, at: usize, what: &'static str) {
        for number in expansion.reads.iter().filter_map(|read| read.default) {
            self.spread(number, at, what);
        }
    }

    fn fragments(&self, expansion: &Expansion) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for read in expansion.reads.iter().filter(|read| read.counts) {
            let own = match read.default.map(|number| &self.defaults[number]) {
                Some(default) => {
                    found.extend(default.assumes.iter().cloned());
                    format!("{}={}", read.name, default.value.as_deref().unwrap_or_default())
                }
                None if read.open => format!("{} not given", read.name),
                None => format!("{} empty, for no ARG before the first FROM declares it", read.name),
            };
            if !found.contains(&own) {
                found.push(own);
            }
        }
        found.dedup();
        found.truncate(SPELLED);
        found
    }

    /// What an expansion takes for granted, in words.
    pub(super) fn assumes(&self, expansion: &Expansion) -> Option<String> {
        let fragments = self.fragments(expansion);
        let defaults = fragments.iter().filter(|fragment| fragment.contains('=')).count();
        let note = match defaults {
            0 => "",
            1 => " (its default)",
            _ => " (their defaults)",
        };
        (!fragments.is_empty()).then(|| format!("{}{note}", fragments.join(", ")))
    }
}

/// The bytes of letters that stand in the file one behind the other.
pub(super) fn contiguous(letters: &[(char, Origin)]) -> Option<Span> {
    let mut found: Option<Span> = None;
    for (letter, origin) in letters {
        let Origin::Here(at, end) = *origin else { return None };
        let follows = found.is_none_or(|span| span.end == at) && end - at == letter.len_utf8();
        if !follows {
            return None;
        }
        found = Some(Span::new(found.map_or(at, |span| span.start), end));
    }
    found
}
