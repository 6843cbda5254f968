//! Words as BuildKit's shell lexer reads them: quotes, escapes, `$V` and `${V:-x}`, with the place that each letter
//! came from. It knows no instruction, and where it can't be sure to read as BuildKit does it says so.
//!
//! Longer than most files: one lexer, whose quirks decide what is a heredoc, and its tests.
//!
//! Source: moby/buildkit, `frontend/dockerfile/shell/lex.go`.

use crate::source::dockerfile::pattern::Pattern;

/// One character of a line and where it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    /// The character; one of Latin-1 for a byte where builders read bytes.
    pub(super) letter: char,
    /// Its first byte.
    pub(super) at: usize,
    /// One past its last byte.
    pub(super) end: usize,
}

/// The text of glyphs.
pub(super) fn text(glyphs: &[Glyph]) -> String {
    glyphs.iter().map(|glyph| glyph.letter).collect()
}

/// Where a letter of a word came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It stands in the word itself, at these bytes.
    Here(usize, usize),
    /// It is one of a default's; the expression that asked for it ends before that byte.
    Default(usize, usize),
    /// An operator made it.
    Made,
}

/// A letter of a word and its origin.
pub(super) type Letter = (char, Origin);

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Value<'v> {
    /// Nobody can give it a value: it is empty.
    Unset,
    /// It has no default, and the build may give it a value.
    NotGiven,
    /// Not known from the file, and why.
    Unknown(&'v str),
    /// The default of the declaration of that number.
    Default(usize, &'v str),
}

/// The names that words may ask for.
pub(super) trait Names {
    /// What `name` stands for.
    fn value(&self, name: &str) -> Value<'_>;
}

/// No names at all.
pub(super) struct Nobody;

impl Names for Nobody {
    fn value(&self, _: &str) -> Value<'_> {
        Value::Unset
    }
}

/// That a word asked for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// The name.
    pub(super) name: String,
    /// The declaration whose default answered.
    pub(super) default: Option<usize>,
    /// Whether the text depends on the answer.
    pub(super) counts: bool,
    /// Whether the build can give the name another value.
    pub(super) open: bool,
    /// Whether its value stands in the text as it is, at that place.
    pub(super) whole: bool,
}

/// What a word comes to.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    /// Its letters.
    pub(super) letters: Vec<Letter>,
    /// The names that it asked for, in order.
    pub(super) reads: Vec<Read>,
    /// Why it is not known, where it is not.
    pub(super) unknown: Option<String>,
}

/// Expands one word. An error where builders refuse it.
pub(super) fn expand(word: &[Glyph], escape: char, names: &dyn Names) -> Result<Expansion, String> {
    let mut lexer = Lexer::new(word, escape, Mode::Value, names);
    let (letters, _) = lexer.until(None, false)?;
    if lexer.doubtful {
        lexer.unknown.get_or_insert_with(|| "a name that is not plain ASCII; its value can't be told".to_owned());
    }
    Ok(Expansion { letters, reads: lexer.reads, unknown: lexer.unknown })
}

/// A heredoc that a line opens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heredoc {
    /// The line that ends it.
    pub(super) name: String,
    /// Whether tabs before the name do no harm.
    pub(super) chomp: bool,
}

/// The heredocs that a line opens; an error where builders refuse the line, or where it can't be told.
pub(super) fn heredocs(line: &[Glyph]) -> Result<Vec<Heredoc>, String> {
    let mut lexer = Lexer::new(line, '\\', Mode::RawWords, &Nobody);
    let words = lexer.until(None, true).map(|(_, words)| words).unwrap_or_default();
    if lexer.doubtful {
        return Err("whether a heredoc begins here can't be told".to_owned());
    }
    words.iter().filter_map(|word| heredoc(word).transpose()).collect()
}

fn heredoc(word: &str) -> Result<Option<Heredoc>, String> {
    let digits = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let Some(rest) = digits.strip_prefix("<<") else { return Ok(None) };
    let (rest, chomp) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    let rest = rest.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let glyphs: Vec<Glyph> = rest.chars().map(|letter| Glyph { letter, at: 0, end: 0 }).collect();
    let mut lexer = Lexer::new(&glyphs, '\\', Mode::Words, &Nobody);
    let (_, mut words) = lexer.until(None, false)?;
    if lexer.doubtful {
        return Err("whether a heredoc begins here can't be told".to_owned());
    }
    let one = words.len() == 1;
    Ok(words.pop().filter(|_| one).map(|name| Heredoc { name, chomp }))
}

/// Deepest nesting of `${…}` that is read; people write two.
const DEPTH: usize = 64;

/// What a text is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Its value.
    Value,
    /// Its words; what is not set stays as it is written.
    Words,
    /// The same, quotes kept.
    RawWords,
}

struct Lexer<'g> {
    input: &'g [Glyph],
    at: usize,
    escape: char,
    mode: Mode,
    raw_escapes: bool,
    names: &'g dyn Names,
    /// The word being put together; a nested text empties it, which is BuildKit's own doing.
    buffer: String,
    reads: Vec<Read>,
    unknown: Option<String>,
    /// Whether BuildKit may read on from here in another way.
    doubtful: bool,
    depth: usize,
}

impl<'g> Lexer<'g> {
    fn new(input: &'g [Glyph], escape: char, mode: Mode, names: &'g dyn Names) -> Self {
        // the scanner of Go skips a byte order mark in front of what it reads
        let at = usize::from(input.first().is_some_and(|glyph| glyph.letter == '\u{feff}'));
        Self {
            input,
            at,
            escape,
            mode,
            raw_escapes: false,
            names,
            buffer: String::new(),
            reads: Vec::new(),
            unknown: None,
            doubtful: false,
            depth: 0,
        }
    }

    fn peek(&self) -> Option<char> {
        self.input.get(self.at).map(|glyph| glyph.letter)
    }

    fn next(&mut self) -> Option<Glyph> {
        let glyph = self.input.get(self.at).copied()?;
        self.at += 1;
        Some(glyph)
    }

    /// Reads up to `stop` and over it, or up to the end: the text, and its words where those count.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<(Vec<Letter>, Vec<String>), String> {
        if self.depth == DEPTH {
            self.doubtful = true;
            return Err("nested too deeply".to_owned());
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let read = self.read_until(stop);
        self.raw_escapes = outer;
        self.depth -= 1;
        read
    }

    fn read_until(&mut self, stop: Option<char>) -> Result<(Vec<Letter>, Vec<String>), String> {
        let mut result = Vec::new();
        self.buffer.clear();
        let mut words = Words::default();
        while let Some(letter) = self.peek() {
            if stop == Some(letter) {
                self.at += 1;
                words.close(&mut self.buffer);
                return Ok((result, words.words));
            }
            let special = match letter {
                '$' => Some(self.dollar()?),
                '<' => Some(self.angles()),
                '\'' => Some(self.single_quote()?),
                '"' => Some(self.double_quote()?),
                _ => None,
            };
            if let Some(text) = special {
                if letter == '$' {
                    for (letter, _) in &text {
                        words.add(&mut self.buffer, *letter);
                    }
                } else {
                    self.buffer.extend(text.iter().map(|(letter, _)| letter));
                    words.inside = true;
                }
                result.extend(text);
                continue;
            }
            let Some(mut glyph) = self.next() else { break };
            if glyph.letter == self.escape {
                if self.raw_escapes {
                    words.add_raw(&mut self.buffer, glyph.letter);
                    result.push(here(glyph));
                }
                let Some(escaped) = self.next() else { break };
                glyph = escaped;
                words.add_raw(&mut self.buffer, glyph.letter);
            } else {
                words.add(&mut self.buffer, glyph.letter);
            }
            result.push(here(glyph));
        }
        if let Some(stop) = stop {
            return Err(format!("`{stop}` is missing"));
        }
        words.close(&mut self.buffer);
        Ok((result, words.words))
    }

    fn single_quote(&mut self) -> Result<Vec<Letter>, String> {
        let mut result = Vec::new();
        let open = self.next().map(here);
        result.extend(open.filter(|_| self.mode == Mode::RawWords));
        loop {
            let glyph = self.next().ok_or("a quote is not closed")?;
            if glyph.letter == '\'' {
                result.extend(Some(here(glyph)).filter(|_| self.mode == Mode::RawWords));
                return Ok(result);
            }
            result.push(here(glyph));
        }
    }

    fn double_quote(&mut self) -> Result<Vec<Letter>, String> {
        let mut result = Vec::new();
        let open = self.next().map(here);
        result.extend(open.filter(|_| self.mode == Mode::RawWords));
        loop {
            match self.peek().ok_or("a quote is not closed")? {
                '"' => {
                    let close = self.next().map(here);
                    result.extend(close.filter(|_| self.mode == Mode::RawWords));
                    return Ok(result);
                }
                '$' => result.extend(self.dollar()?),
                _ => {
                    let Some(mut glyph) = self.next() else { continue };
                    if glyph.letter == self.escape {
                        if self.raw_escapes {
                            result.push(here(glyph));
                        }
                        match self.peek() {
                            None => continue,
                            Some(letter) if matches!(letter, '"' | '$') || letter == self.escape => {
                                glyph = self.next().unwrap_or(glyph);
                            }
                            Some(_) => {}
                        }
                    }
                    result.push(here(glyph));
                }
            }
        }
    }

    fn angles(&mut self) -> Vec<Letter> {
        let mut result: Vec<Letter> = self.next().map(here).into_iter().collect();
        if self.peek() == Some('<') {
            result.extend(self.next().map(here));
            while matches!(self.peek(), Some('\t' | '\r' | ' ')) {
                result.extend(self.next().map(here));
            }
        }
        result
    }

    fn dollar(&mut self) -> Result<Vec<Letter>, String> {
        let start = self.at;
        self.at += 1;
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok(vec![here(self.input[start])]);
            }
            return Ok(self.plain(&name, &format!("${name}")));
        }
        self.at += 1;
        if matches!(self.peek(), None | Some('{' | '}' | ':')) {
            return Err("a bad substitution".to_owned());
        }
        let name = self.name();
        let mut operator = self.next().ok_or("`}` is missing")?.letter;
        let mut written = operator.to_string();
        let mut empty_is_unset = false;
        match operator {
            '}' => return Ok(self.plain(&name, &format!("${{{name}}}"))),
            ':' => {
                empty_is_unset = true;
                operator = self.next().ok_or("`}` is missing")?.letter;
                written.push(operator);
            }
            '+' | '-' | '?' | '#' | '%' => {}
            '/' => return self.replace(&name),
            _ => return Err(format!("`{written}` is no operator of a substitution")),
        }
        let strips = matches!(operator, '#' | '%');
        if empty_is_unset && strips {
            return Err(format!("`{written}` is no operator of a substitution"));
        }
        let (reads, unknown) = (self.reads.len(), self.unknown.clone());
        let (word, _) = self.until(Some('}'), strips)?;
        let end = self.input[self.at - 1].end;
        let value = self.names.value(&name);
        if self.mode != Mode::Value && matches!(value, Value::Unset) {
            let word: String = word.iter().map(|(letter, _)| letter).collect();
            return Ok(made(&format!("${{{name}{written}{word}}}")));
        }
        let is_set = matches!(value, Value::Default(_, text) if !(empty_is_unset && text.is_empty()));
        let must_be_given = |name: &str| format!("`{name}` must be given to the build");
        let drop_word = |lexer: &mut Self| {
            lexer.reads[reads..].iter_mut().for_each(|read| (read.counts, read.whole) = (false, false));
            lexer.unknown.clone_from(&unknown);
        };
        match (operator, value) {
            ('-' | '+' | '?' | '#' | '%', Value::Unknown(reason)) => {
                let reason = reason.to_owned();
                self.note(&name, None, true, false);
                self.unknown.get_or_insert(reason);
                Ok(Vec::new())
            }
            ('?', Value::NotGiven) => {
                self.note(&name, None, true, false);
                self.unknown.get_or_insert_with(|| must_be_given(&name));
                Ok(Vec::new())
            }
            ('-' | '?', Value::Default(number, text)) if is_set => {
                drop_word(self);
                let letters = text.chars().map(|letter| (letter, Origin::Default(number, end))).collect();
                self.note(&name, Some(number), true, true);
                Ok(letters)
            }
            ('-', value) => {
                // a name that nobody can set has no say in it
                if !matches!(value, Value::Unset) {
                    let number = if let Value::Default(number, _) = value { Some(number) } else { None };
                    self.note(&name, number, true, false);
                }
                Ok(word)
            }
            ('+', value) => {
                if let Value::Default(number, _) = value {
                    self.note(&name, Some(number), true, false);
                } else if !matches!(value, Value::Unset) {
                    self.note(&name, None, true, false);
                }
                if is_set {
                    return Ok(word);
                }
                drop_word(self);
                Ok(Vec::new())
            }
            ('?', _) => Err(must_be_given(&name)),
            ('#' | '%', value) => {
                let Some(text) = self.operand(&name, &value) else { return Ok(Vec::new()) };
                let word: Vec<char> = word.iter().map(|(letter, _)| *letter).collect();
                let greedy = word.first() == Some(&operator);
                let pattern = Pattern::parse(&word[usize::from(greedy)..])?;
                let left =
                    if operator == '#' { pattern.cut_prefix(&text, greedy) } else { pattern.cut_suffix(&text, greedy) };
                Ok(made(&left))
            }
            _ => Err(format!("`{written}` is no operator of a substitution")),
        }
    }

    /// `${V/pattern/replacement}`, behind its first stroke.
    fn replace(&mut self, name: &str) -> Result<Vec<Letter>, String> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let text = |letters: &[Letter]| letters.iter().map(|(letter, _)| *letter).collect::<String>();
        let pattern = text(&self.until(Some('/'), true)?.0);
        let replacement = text(&self.until(Some('}'), true)?.0);
        let value = self.names.value(name);
        if self.mode != Mode::Value && matches!(value, Value::Unset) {
            return Ok(made(&format!("${{{name}/{pattern}/{replacement}}}")));
        }
        let Some(value) = self.operand(name, &value) else { return Ok(Vec::new()) };
        let pattern = Pattern::parse(&pattern.chars().collect::<Vec<_>>())?;
        if all && replacement.contains('$') {
            return Err("a replacement with `$`".to_owned());
        }
        Ok(made(&pattern.replace(&value, &replacement, all)))
    }

    /// The text that an operator works on; `None` where it is not known.
    fn operand(&mut self, name: &str, value: &Value<'_>) -> Option<String> {
        let (number, text) = match value {
            Value::Default(number, text) => (Some(*number), Some((*text).to_owned())),
            Value::Unset => (None, Some(String::new())),
            Value::NotGiven | Value::Unknown(_) => (None, None),
        };
        self.note(name, number, true, false);
        if text.is_none() {
            let reason = reason(name, value);
            self.unknown.get_or_insert(reason);
        }
        text
    }

    fn plain(&mut self, name: &str, written: &str) -> Vec<Letter> {
        let end = self.input[self.at - 1].end;
        let (number, letters) = match self.names.value(name) {
            Value::Unset if self.mode != Mode::Value => return made(written),
            Value::Unset => (None, Vec::new()),
            Value::Default(number, text) => {
                (Some(number), text.chars().map(|letter| (letter, Origin::Default(number, end))).collect())
            }
            value => {
                let reason = reason(name, &value);
                self.unknown.get_or_insert(reason);
                (None, Vec::new())
            }
        };
        self.note(name, number, true, true);
        letters
    }

    fn note(&mut self, name: &str, default: Option<usize>, counts: bool, whole: bool) {
        let open = !matches!(self.names.value(name), Value::Unset);
        self.reads.push(Read { name: name.to_owned(), default, counts, open, whole });
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(letter) = self.peek() {
            // Go's classes of letters and digits are not Rust's
            self.doubtful |= !letter.is_ascii() && !letter.is_whitespace();
            if name.is_empty() && letter.is_numeric() {
                while let Some(digit) = self.peek().filter(|digit| digit.is_numeric()) {
                    self.doubtful |= !digit.is_ascii();
                    name.push(digit);
                    self.at += 1;
                }
                return name;
            }
            if name.is_empty() && matches!(letter, '@' | '*' | '#' | '?' | '-' | '$' | '!') {
                self.at += 1;
                return letter.to_string();
            }
            if !letter.is_alphanumeric() && letter != '_' {
                break;
            }
            name.push(letter);
            self.at += 1;
        }
        name
    }
}

fn reason(name: &str, value: &Value<'_>) -> String {
    match value {
        Value::Unknown(reason) => (*reason).to_owned(),
        _ => format!("ARG `{name}` has no default; the build gives its value"),
    }
}

fn here(glyph: Glyph) -> Letter {
    (glyph.letter, Origin::Here(glyph.at, glyph.end))
}

fn made(text: &str) -> Vec<Letter> {
    text.chars().map(|letter| (letter, Origin::Made)).collect()
}

/// The words of a text, split at white space that is neither quoted nor escaped.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    inside: bool,
}

impl Words {
    fn add(&mut self, buffer: &mut String, letter: char) {
        if !letter.is_whitespace() {
            self.add_raw(buffer, letter);
        } else if self.inside && !buffer.is_empty() {
            self.words.push(std::mem::take(buffer));
            self.inside = false;
        }
    }

    fn add_raw(&mut self, buffer: &mut String, letter: char) {
        buffer.push(letter);
        self.inside = true;
    }

    fn close(&mut self, buffer: &mut String) {
        if !buffer.is_empty() {
            self.words.push(std::mem::take(buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glyphs(text: &str) -> Vec<Glyph> {
        text.char_indices().map(|(at, letter)| Glyph { letter, at, end: at + letter.len_utf8() }).collect()
    }

    #[test]
    fn heredocs_of_a_line() {
        let rows: [(&str, &[(&str, bool)]); 14] = [
            ("RUN <<EOF", &[("EOF", false)]),
            ("RUN <<-'A B' cat", &[("A B", true)]),
            ("COPY 3<<\"A\" <<B /x", &[("A", false), ("B", false)]),
            ("RUN << EOF", &[("EOF", false)]),
            ("RUN <<<EOF", &[]),
            ("RUN x<<EOF", &[]),
            ("RUN '<<EOF'", &[]),
            ("RUN $((1<<3))", &[]),
            ("RUN ${x[0]} <<EOF", &[]),
            ("RUN ${x:0:1} <<EOF", &[("EOF", false)]),
            ("RUN ${x <<EOF", &[]),
            ("RUN ' <<EOF", &[]),
            ("RUN <<", &[]),
            ("RUN \\<<EOF", &[]),
        ];
        for (line, expected) in rows {
            let found = heredocs(&glyphs(line)).expect("readable");
            let found: Vec<_> = found.iter().map(|heredoc| (heredoc.name.as_str(), heredoc.chomp)).collect();
            assert_eq!(found, expected, "{line}");
        }
        for line in ["RUN ${Ⅷ} <<EOF", "RUN ${ⓐ} <<EOF", "RUN ${x\u{301}} <<EOF"] {
            assert!(heredocs(&glyphs(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn nesting_ends() {
        let deep = "${a:-".repeat(100_000);
        assert!(expand(&glyphs(&deep), '\\', &Nobody).is_err());
        assert!(heredocs(&glyphs(&deep)).is_err());
    }
}
