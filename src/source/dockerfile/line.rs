//! From bytes to instructions, line by line as BuildKit's parser reads them: directives, comments, continuations,
//! heredocs, the keyword and its flags. It never gives up on a file: what builders refuse is noted, and read on.
//!
//! Our own and not `parse-dockerfile`: that crate refuses whole files (an unknown instruction, a stage named twice),
//! drops `# syntax` where a directive stands twice, and knows no `//syntax`, no shebang, no split names and no quotes in
//! flags as builders read them; each of these could hide an image.
//!
//! Longer than most files: one reader. Source: moby/buildkit, `frontend/dockerfile/parser`.

use crate::source::dockerfile::shell::{self, Glyph};
use crate::span::Span;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Longest line whose words are read, in bytes, continuations included: builders refuse lines above 64 KiB.
const LINE: usize = 1 << 20;

/// The instructions that there are.
const INSTRUCTIONS: [&str; 18] = [
    "add",
    "arg",
    "cmd",
    "copy",
    "entrypoint",
    "env",
    "expose",
    "from",
    "healthcheck",
    "label",
    "maintainer",
    "onbuild",
    "run",
    "shell",
    "stopsignal",
    "user",
    "volume",
    "workdir",
];

/// A line with its continuations put together.
#[derive(Debug, Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    /// Where its pieces begin: in `bytes`, and in the file.
    pieces: Vec<(usize, usize)>,
}

impl Line {
    fn push(&mut self, piece: &[u8], at: usize) {
        self.pieces.push((self.bytes.len(), at));
        self.bytes.extend_from_slice(piece);
    }

    /// Where a byte of the line stands in the file.
    fn place(&self, offset: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= offset);
        piece.checked_sub(1).map_or(0, |piece| self.pieces[piece].1 + offset - self.pieces[piece].0)
    }

    /// The characters of a range of its bytes.
    fn glyphs(&self, range: Span) -> Vec<Glyph> {
        let mut found = Vec::with_capacity(range.len());
        let mut at = range.start;
        while at < range.end {
            let (letter, length) = decode(&self.bytes[at..range.end]);
            found.push(Glyph { letter, at: self.place(at), end: self.place(at + length - 1) + 1 });
            at += length;
        }
        found
    }
}

/// One instruction, or what stands in the place of one.
#[derive(Debug)]
pub(super) struct Instruction {
    /// Its keyword in lower case.
    pub(super) keyword: String,
    /// Where the keyword stands.
    pub(super) at: usize,
    /// Its flags, without quotes and escapes.
    pub(super) flags: Vec<Vec<Glyph>>,
    line: Line,
    arguments: Span,
}

impl Instruction {
    /// What stands behind the flags, without white space around it.
    pub(super) fn arguments(&self) -> Vec<Glyph> {
        self.line.glyphs(self.arguments)
    }

    /// Whether it is one that builders know.
    pub(super) fn is_known(&self) -> bool {
        INSTRUCTIONS.contains(&self.keyword.as_str())
    }

    /// The text of the whole line.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.line.bytes).into_owned()
    }

    /// The instruction that an ONBUILD holds; it is read when it is triggered, and then `\` escapes.
    pub(super) fn inner(self) -> Option<Self> {
        (!self.arguments.is_empty()).then(|| split(self.line, self.arguments, '\\'))
    }
}

/// The image that a `syntax` directive names.
#[derive(Debug)]
pub(super) struct Syntax {
    /// Its text.
    pub(super) text: String,
    /// Its bytes.
    pub(super) span: Span,
    /// Whether they are its text.
    pub(super) exact: bool,
    /// Whether the file is in another language than Dockerfiles: a comment of C, JSON.
    pub(super) foreign: bool,
}

/// Reads instructions one after another.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What escapes, and continues a line.
    pub(super) escape: char,
    /// Comments so far: where their `#` stands, and the text behind it.
    pub(super) comments: Vec<(usize, &'a [u8])>,
    /// Where builders refuse the file, and why; the first such place only.
    pub(super) refused: Option<(usize, String)>,
    heredocs: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the first line.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        let mut reader = Self { bytes, at, escape: '\\', comments: Vec::new(), refused: None, heredocs: true };
        reader.escape = reader.escape_directive();
        reader.at = at;
        reader
    }

    fn escape_directive(&mut self) -> char {
        let mut directives = Directives::new(b"#");
        while let Some((at, line)) = self.physical() {
            let line = trim_start(trim_newline(line));
            let Some((name, value)) = directives.next(line) else { break };
            match (name.as_str(), value) {
                ("escape", b"`") => return '`',
                ("escape", b"\\") => return '\\',
                ("escape", _) => {
                    self.refused = Some((at, "the escape character must be ` or \\".to_owned()));
                    break;
                }
                _ => {}
            }
        }
        '\\'
    }

    /// The next line of the file with its end.
    fn physical(&mut self) -> Option<(usize, &'a [u8])> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let at = self.at;
        self.at += length;
        (length > 0).then(|| (at, &rest[..length]))
    }

    fn comment(&mut self, at: usize, line: &'a [u8]) -> bool {
        let text = trim_start(line);
        let is_comment = text.first() == Some(&b'#');
        if is_comment {
            self.comments.push((at + line.len() - text.len(), trim_newline(&text[1..])));
        }
        is_comment
    }

    /// The next instruction, its heredocs skipped.
    pub(super) fn next(&mut self) -> Option<Instruction> {
        loop {
            let (at, whole) = self.physical()?;
            if self.comment(at, whole) {
                continue;
            }
            let unended = trim_newline(whole);
            let trimmed = trim_start(unended);
            let (piece, mut ended) = self.continued(trimmed);
            if ended && piece.is_empty() {
                continue;
            }
            let mut line = Line::default();
            line.push(piece, at + unended.len() - trimmed.len());
            while !ended {
                let Some((at, whole)) = self.physical() else { break };
                let unended = trim_newline(whole);
                if self.comment(at, whole) || trim_start(unended).is_empty() {
                    continue;
                }
                let piece;
                (piece, ended) = self.continued(unended);
                line.push(piece, at);
            }
            if line.bytes.len() > LINE {
                self.refuse(at, "a line longer than builders take");
                continue;
            }
            let all = Span::new(0, line.bytes.len());
            let instruction = split(line, all, self.escape);
            self.skip_heredocs(&instruction);
            return Some(instruction);
        }
    }

    /// A line without its continuation character, and whether it ends there: where the character is escaped, or there
    /// is none.
    fn continued<'l>(&self, line: &'l [u8]) -> (&'l [u8], bool) {
        let end = line.len() - line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match line[..end] {
            [.., before, last] if char::from(last) == self.escape && char::from(before) != self.escape => {
                (&line[..end - 1], false)
            }
            [last] if char::from(last) == self.escape => (&[], false),
            _ => (line, true),
        }
    }

    /// Notes why builders refuse the file.
    pub(super) fn refuse(&mut self, at: usize, reason: impl Into<String>) {
        if self.refused.is_none() {
            self.refused = Some((at, reason.into()));
        }
    }

    fn skip_heredocs(&mut self, instruction: &Instruction) {
        let line = &instruction.line.bytes;
        if !self.heredocs || !line.windows(2).any(|two| two == b"<<") || !opens_heredocs(instruction, self.escape) {
            return;
        }
        let found = match shell::heredocs(&instruction.line.glyphs(Span::new(0, line.len()))) {
            Ok(found) => found,
            Err(reason) => return self.refuse(instruction.at, reason),
        };
        let behind = self.at;
        for heredoc in found {
            let ends = |line: &[u8]| {
                let mut line = trim_newline(line);
                while let [b'\t', rest @ ..] = line
                    && heredoc.chomp
                {
                    line = rest;
                }
                line == heredoc.name.as_bytes()
            };
            loop {
                let Some((_, line)) = self.physical() else {
                    // a builder without heredocs reads on in the next line, and so it is done here
                    (self.at, self.heredocs) = (behind, false);
                    let reason = format!("the heredoc has no end `{}`", heredoc.name);
                    return self.refuse(instruction.at, reason);
                };
                if ends(line) {
                    break;
                }
            }
        }
    }
}

/// ADD, COPY and RUN take heredocs where they are no JSON, also behind one ONBUILD.
fn opens_heredocs(instruction: &Instruction, escape: char) -> bool {
    const TAKE: [&str; 3] = ["add", "copy", "run"];
    let line = &instruction.line;
    let arguments = &line.bytes[instruction.arguments.start..instruction.arguments.end];
    if instruction.keyword != "onbuild" {
        return TAKE.contains(&instruction.keyword.as_str()) && !is_json(arguments);
    }
    let copy = Line { bytes: line.bytes.clone(), pieces: line.pieces.clone() };
    let inner = split(copy, instruction.arguments, escape);
    let arguments = &line.bytes[inner.arguments.start..inner.arguments.end];
    TAKE.contains(&inner.keyword.as_str()) && !is_json(arguments)
}

/// The keyword, the flags and the rest of a range of a line.
fn split(line: Line, range: Span, escape: char) -> Instruction {
    let range = trim(&line.bytes, range);
    let text = &line.bytes[range.start..range.end];
    let length = text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len());
    let blanks = text[length..].iter().take_while(|byte| is_blank(**byte)).count();
    let keyword = lower(&String::from_utf8_lossy(&text[..length]));
    let (flags, start) = flags(&line, Span::new(range.start + length + blanks, range.end), escape);
    let arguments = trim(&line.bytes, Span::new(start, range.end));
    Instruction { keyword, at: line.place(range.start), flags, arguments, line }
}

/// The words that begin with `--`, and where what stands behind them begins. Builders read bytes here, so that a byte of
/// a longer character may be white space.
fn flags(line: &Line, range: Span, escape: char) -> (Vec<Vec<Glyph>>, usize) {
    let mut words = Vec::new();
    let mut at = range.start;
    let glyph = |at: usize| Glyph { letter: char::from(line.bytes[at]), at: line.place(at), end: line.place(at) + 1 };
    let is_escape = |at: usize| char::from(line.bytes[at]) == escape;
    loop {
        while at < range.end && glyph(at).letter.is_whitespace() {
            at += 1;
        }
        if !line.bytes[at..range.end].starts_with(b"--") {
            return (words, at);
        }
        let (mut word, mut quote, mut quoted) = (Vec::new(), None, false);
        while at < range.end {
            let letter = glyph(at).letter;
            if quote.is_none() && letter.is_whitespace() {
                break;
            }
            if quote == Some(letter) {
                quote = None;
            } else if quote.is_none() && matches!(letter, '\'' | '"') {
                (quote, quoted) = (Some(letter), true);
            } else if is_escape(at) && at + 1 == range.end {
                // an escape at the end is nothing
            } else {
                at += usize::from(is_escape(at));
                word.push(glyph(at));
            }
            at += 1;
        }
        let is_end = matches!(word[..], [Glyph { letter: '-', .. }, Glyph { letter: '-', .. }]);
        if is_end {
            return (words, at);
        }
        if quoted || !word.is_empty() {
            words.push(word);
        }
    }
}

/// The words of an ARG: split at white space outside of quotes, quotes and escapes kept.
pub(super) fn words(text: &[Glyph], escape: char) -> Vec<Vec<Glyph>> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut at): (Vec<Glyph>, Option<char>, usize) = (Vec::new(), None, 0);
    while at < text.len() {
        let letter = text[at].letter;
        if quote.is_none() && letter.is_whitespace() {
            words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            at += 1;
            continue;
        }
        let escapes = letter == escape && quote != Some('\'');
        if quote == Some(letter) {
            quote = None;
        } else if quote.is_none() && matches!(letter, '\'' | '"') {
            quote = Some(letter);
        }
        if escapes {
            if at + 1 == text.len() {
                break;
            }
            word.push(text[at]);
            at += 1;
        }
        word.push(text[at]);
        at += 1;
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// The words of a FROM: split at white space, whatever the quotes.
pub(super) fn plain_words(text: &[Glyph]) -> Vec<&[Glyph]> {
    let is_blank = |glyph: &Glyph| u8::try_from(glyph.letter).is_ok_and(is_blank);
    text.split(is_blank).filter(|word| !word.is_empty()).collect()
}

/// The image of the `syntax` directive: `# syntax=`, else `// syntax=`, else a JSON object; behind a shebang too.
pub(super) fn syntax(bytes: &[u8]) -> Option<Syntax> {
    let mut start = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    if bytes[start..].starts_with(b"#!") {
        start = bytes[start..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| start + at + 1);
    }
    for comment in [&b"#"[..], b"//"] {
        let mut directives = Directives::new(comment);
        let mut at = start;
        for whole in bytes[start..].split_inclusive(|byte| *byte == b'\n') {
            let line = whole.strip_suffix(b"\n").unwrap_or(whole);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some((name, value)) = directives.next(line) else { break };
            if name == "syntax" {
                let text = value.split(|byte| *byte == b' ').next().unwrap_or(value);
                let begin = at + offset(line, value);
                let span = Span::new(begin, begin + text.len());
                let text = String::from_utf8_lossy(text).into_owned();
                let exact = text.as_bytes() == &bytes[span.start..span.end];
                return Some(Syntax { text, span, exact, foreign: comment != b"#" });
            }
            at += whole.len();
        }
    }
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes[start..]).ok()?;
    let text = json.get("syntax")?.as_str()?.to_owned();
    let quoted = format!("\"{text}\"");
    let mut places = bytes.windows(quoted.len()).enumerate().filter(|(_, found)| *found == quoted.as_bytes());
    let (first, more) = (places.next(), places.next());
    let begin = first.map_or(start, |(at, _)| at + 1);
    let span = Span::new(begin, begin + if first.is_some() { text.len() } else { 0 });
    Some(Syntax { text, span, exact: first.is_some() && more.is_none(), foreign: true })
}

/// Where `part`, which lies in `whole`, begins there.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Directives at the top of a file, up to the first line that is none, or one that stands twice.
struct Directives<'c> {
    comment: &'c [u8],
    seen: Vec<String>,
}

impl<'c> Directives<'c> {
    fn new(comment: &'c [u8]) -> Self {
        Self { comment, seen: Vec::new() }
    }

    fn next<'l>(&mut self, line: &'l [u8]) -> Option<(String, &'l [u8])> {
        let line = trim_start(line.strip_prefix(self.comment)?);
        let length = line.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(line.len());
        let name = str::from_utf8(&line[..length]).ok()?.to_ascii_lowercase();
        if !["syntax", "escape", "check"].contains(&name.as_str()) || self.seen.contains(&name) {
            return None;
        }
        // Go's `\s`
        let is_space = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ');
        let skip = |text: &'l [u8]| &text[text.iter().take_while(|byte| is_space(byte)).count()..];
        let value = skip(skip(&line[length..]).strip_prefix(b"=")?);
        let end = value.len() - value.iter().rev().take_while(|byte| is_space(byte)).count();
        if end == 0 {
            return None;
        }
        self.seen.push(name.clone());
        Some((name, &value[..end]))
    }
}

/// Whether a text is a JSON array of strings, as Go reads them; any other JSON is refused by builders.
fn is_json(text: &[u8]) -> bool {
    let skip = |text: &[u8]| text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
    let mut rest = trim_start(text);
    let Some(inner) = rest.strip_prefix(b"[") else { return false };
    rest = &inner[skip(inner)..];
    if let Some(behind) = rest.strip_prefix(b"]") {
        return skip(behind) == behind.len();
    }
    loop {
        let Some(length) = json_string(rest) else { return false };
        rest = &rest[length..];
        rest = &rest[skip(rest)..];
        match rest {
            [b',', behind @ ..] => rest = &behind[skip(behind)..],
            [b']', behind @ ..] => return skip(behind) == behind.len(),
            _ => return false,
        }
    }
}

/// The length of the JSON string that a text begins with.
fn json_string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    text.strip_prefix(b"\"")?;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match text.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            },
            0..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// In lower case as Go has it, where that gives ASCII.
pub(super) fn lower(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\u{130}' => 'i',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    text.chars().map(letter).collect()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\x0b' | b'\x0c' | b'\r' | b' ')
}

fn trim_newline(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r'] = line {
        line = rest;
    }
    line
}

fn trim_start(text: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < text.len() {
        let (letter, length) = decode(&text[at..]);
        if !letter.is_whitespace() {
            break;
        }
        at += length;
    }
    &text[at..]
}

/// A range without the white space around it.
fn trim(bytes: &[u8], range: Span) -> Span {
    let text = &bytes[range.start..range.end];
    let rest = trim_start(text);
    let start = range.end - rest.len();
    let mut end = range.end;
    while end > start {
        let from = (start.max(end.saturating_sub(4))..end).find(|at| {
            let (_, length) = decode(&bytes[*at..end]);
            at + length == end
        });
        let from = from.unwrap_or(end - 1);
        if !decode(&bytes[from..end]).0.is_whitespace() {
            break;
        }
        end = from;
    }
    Span::new(start, end)
}

/// The first character of a text that is not empty and its length; U+FFFD for a byte that is none.
fn decode(text: &[u8]) -> (char, usize) {
    let length = match text[0] {
        0..=0x7f => return (char::from(text[0]), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return ('\u{fffd}', 1),
    };
    let letter = text.get(..length).and_then(|bytes| str::from_utf8(bytes).ok()).and_then(|text| text.chars().next());
    letter.map_or(('\u{fffd}', 1), |letter| (letter, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, Vec<String>, String)> {
        let mut reader = Reader::new(text.as_bytes());
        std::iter::from_fn(|| reader.next())
            .map(|found| {
                let flags = found.flags.iter().map(|flag| shell::text(flag)).collect();
                (found.keyword.clone(), flags, shell::text(&found.arguments()))
            })
            .collect()
    }

    #[test]
    fn instructions_of_a_file() {
        let found = all("FR\\\nom --a=\"x y\" --b=\\c'd' \u{a0}z \\\n# no\n\n  w\\\\\n \\\nRUN --\\");
        let row = |keyword: &str, flags: &[&str], rest: &str| {
            (keyword.to_owned(), flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>(), rest.to_owned())
        };
        assert_eq!(found, [row("from", &["--a=x y", "--b=cd"], "z   w\\\\"), row("run", &[], "")]);
    }

    #[test]
    fn json_arrays_of_strings() {
        for text in ["[]", " [ \"a\" , \"\\ud800\\n\" ] ", "[\"<<X\"]"] {
            assert!(is_json(text.as_bytes()), "{text}");
        }
        for text in ["", "[", "[1]", "[\"a\",]", "[\"a\"] x", "['a']", "[\"\t\"]", "[\"\\x\"]", "[\"\\u12\"]", "[null]"]
        {
            assert!(!is_json(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn words_of_an_arg() {
        let glyphs: Vec<Glyph> = "A=1 B=\"x y\"z\\ q 'C=\\' D\\"
            .chars()
            .enumerate()
            .map(|(at, letter)| Glyph { letter, at, end: at + 1 })
            .collect();
        let found: Vec<String> = words(&glyphs, '\\').iter().map(|word| shell::text(word)).collect();
        assert_eq!(found, ["A=1", "B=\"x y\"z\\ q", "'C=\\'", "D"]);
    }

    #[test]
    fn unended_heredocs_are_looked_for_once() {
        let text = "RUN <<X\n".repeat(200_000);
        assert_eq!(all(&text).len(), 200_000);
    }
}
