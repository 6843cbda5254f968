//! Dockerfiles and Containerfiles as `BuildKit` reads them: FROM, `COPY --from`, mounts, `# syntax`, ONBUILD, and the
//! ARGs that compose images. It runs no build and knows no build argument: a default is taken, and said to be one.

mod arg;
mod edit;
mod line;
mod mount;
mod pattern;
mod shell;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use crate::source::dockerfile::arg::Scope;
use crate::source::dockerfile::edit::Composed;
use crate::source::dockerfile::line::{Instruction, Reader};
use crate::source::dockerfile::shell::{Expansion, Glyph};
use crate::source::{Format, Found, Ignore, Input, Occurrence, Role, Subject, Unread, page, subject};
use crate::span::{LineIndex, Span};

/// The format.
pub(crate) struct Dockerfile;

const ID: &str = "dockerfile";

impl Format for Dockerfile {
    fn id(&self) -> &'static str {
        ID
    }

    /// `Dockerfile`, `Dockerfile.dev`, `Dockerfile-dev`, `api.Dockerfile`, and the same of Containerfiles.
    fn claims(&self, path: &str) -> bool {
        let name = file_name(path);
        let between = |rest: &str| rest.is_empty() || rest.starts_with(['.', '-', '_']);
        let named = |stem: &str| {
            name.strip_prefix(stem).is_some_and(between)
                || name.strip_suffix(stem).is_some_and(|rest| rest.ends_with(['.', '-', '_']))
        };
        !name.ends_with(".dockerignore")
            && !name.ends_with(".containerignore")
            && (named("dockerfile") || named("containerfile") || name.starts_with("containerfile"))
    }

    fn find(&self, input: &Input<'_>) -> Found {
        let bytes = input.bytes;
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            let place = LineIndex::new(bytes).place(0);
            let reason = "UTF-16, which builders do not read; save it as UTF-8".to_owned();
            return Found { unread: vec![Unread { place, reason, could_hold_reference: true }], ..Found::default() };
        }
        let mut search = Search::new(bytes);
        search.read();
        if search.refused && search.is_plain && self.claims(input.path) && is_named_otherwise(input.path) {
            return Found::default();
        }
        search.finish()
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase()
}

/// Whether a file's name ends like that of a program's source, of prose or of data: such a file counts as a Dockerfile
/// only where builders would take it for one.
fn is_named_otherwise(path: &str) -> bool {
    const ENDINGS: [&str; 58] = [
        "adoc", "bash", "bat", "bazel", "bzl", "c", "cc", "cfg", "cjs", "conf", "cpp", "cs", "css", "csv", "gif", "go",
        "h", "hcl", "hpp", "html", "ini", "java", "jpg", "js", "json", "jsx", "kt", "lock", "lua", "md", "mdx", "mjs",
        "nix", "pdf", "php", "pl", "png", "proto", "ps1", "py", "rb", "rs", "rst", "scala", "sh", "snap", "sql", "svg",
        "swift", "tf", "toml", "ts", "tsx", "txt", "vim", "xml", "yaml", "yml",
    ];
    file_name(path).rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Where an image is asked for besides FROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Copy,
    Mount,
}

/// A name that is an image unless a stage has it; known once every stage is.
#[derive(Debug)]
struct Pending {
    instruction: usize,
    path: String,
    name: Vec<Glyph>,
    asked: Asked,
    stage: Option<usize>,
    triggered: bool,
}

#[derive(Debug)]
struct Stage {
    /// The stage that it starts from.
    base: Option<usize>,
    /// Its FROM among the occurrences.
    occurrence: Option<usize>,
}

struct Search<'a> {
    bytes: &'a [u8],
    lines: LineIndex<'a>,
    reader: Reader<'a>,
    scope: Scope,
    stages: Vec<Stage>,
    names: HashMap<String, usize>,
    pending: Vec<Pending>,
    composed: Vec<Composed>,
    occurrences: Vec<Occurrence>,
    /// The instruction that each occurrence belongs to.
    instructions: Vec<usize>,
    /// Whether builders refuse the file.
    refused: bool,
    /// Whether the file names no frontend of its own.
    is_plain: bool,
}

impl<'a> Search<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            lines: LineIndex::new(bytes),
            reader: Reader::new(bytes),
            scope: Scope::default(),
            stages: Vec::new(),
            names: HashMap::new(),
            pending: Vec::new(),
            composed: Vec::new(),
            occurrences: Vec::new(),
            instructions: Vec::new(),
            refused: false,
            is_plain: true,
        }
    }

    fn read(&mut self) {
        self.syntax();
        while let Some(instruction) = self.reader.next() {
            self.instruction(instruction, false);
        }
        self.refused |= self.reader.refused.is_some() || self.stages.is_empty();
    }

    fn syntax(&mut self) {
        let Some(syntax) = line::syntax(self.bytes) else { return };
        self.is_plain = false;
        if syntax.foreign {
            self.reader
                .refuse(0, "a file in the language of the frontend that it names; what else it names can't be known");
        }
        let mut occurrence = self.occurrence(syntax.span.start, "syntax".to_owned(), syntax.text);
        occurrence.subject = image(&occurrence.text);
        occurrence.span = Some(syntax.span);
        occurrence.uneditable = (!syntax.exact).then(|| SCATTERED.to_owned());
        self.push(occurrence, syntax.span.start);
    }

    fn instruction(&mut self, instruction: Instruction, triggered: bool) {
        let before = self.stages.is_empty() && !matches!(instruction.keyword.as_str(), "from" | "arg");
        self.refused |= before;
        let escape = if triggered { '\\' } else { self.reader.escape };
        match instruction.keyword.as_str() {
            "from" => self.from(&instruction, triggered, escape),
            "arg" if self.stages.is_empty() && !triggered => self.scope.declare(&instruction.arguments(), escape),
            "arg" => self.scope.redeclare(&instruction.arguments(), escape),
            "copy" | "add" => self.flags(&instruction, Asked::Copy, triggered),
            "run" => self.flags(&instruction, Asked::Mount, triggered),
            // triggers do not trigger each other, but who wrote one meant the image in it
            "onbuild" => {
                let mut inner = instruction.inner();
                while let Some(next) = inner.take_if(|inner| inner.keyword == "onbuild") {
                    inner = next.inner();
                }
                if let Some(inner) = inner {
                    self.instruction(inner, true);
                }
            }
            // a trigger that nothing knows harms who builds on this image, and names none
            _ if instruction.is_known() || triggered => {}
            _ => self.unknown(&instruction),
        }
    }

    fn unknown(&mut self, instruction: &Instruction) {
        self.refused = true;
        let text = instruction.text();
        if writes_nothing(&text) {
            return;
        }
        let reason = if ["{{", "{%", "{#", "<%"].iter().any(|open| text.contains(open)) {
            "a template: what an action in it writes is not known from this file; render it first".to_owned()
        } else {
            let shown: String = instruction.keyword.chars().take(40).collect();
            format!("`{}` is no instruction of a Dockerfile; builders refuse the file", shown.escape_debug())
        };
        self.reader.refuse(instruction.at, reason);
    }

    fn from(&mut self, instruction: &Instruction, triggered: bool, escape: char) {
        for flag in &instruction.flags {
            let is_platform = shell::text(flag).starts_with("--platform=");
            self.refused |= !is_platform;
            if let Ok(platform) = shell::expand(flag, escape, &self.scope) {
                self.scope.spread_reads(&platform, instruction.at, "a flag of FROM holds it");
            }
        }
        let arguments = instruction.arguments();
        let words = line::plain_words(&arguments);
        let stage = self.stages.len();
        let path = if triggered { self.path(Some("ONBUILD"), "FROM") } else { format!("stages[{stage}].FROM") };
        let mut own = Stage { base: None, occurrence: None };
        let mut name = None;
        match words[..] {
            [] => self.reader.refuse(instruction.at, "a FROM that names no image"),
            [word] => own = self.base(instruction.at, path, word, escape),
            [word, r#as, alias] if is_as(r#as) => {
                own = self.base(instruction.at, path, word, escape);
                name = Some(line::lower(&shell::text(alias)));
            }
            [ref image @ .., r#as, alias] if is_as(r#as) && !image.is_empty() => {
                own.occurrence = Some(self.many_words(instruction.at, path, image, &arguments));
                name = Some(line::lower(&shell::text(alias)));
            }
            ref words => own.occurrence = Some(self.many_words(instruction.at, path, words, &arguments)),
        }
        if !triggered {
            self.stages.push(own);
            if let Some(name) = name {
                self.names.insert(name, stage);
            }
        }
    }

    /// A FROM with other than one word for its image.
    fn many_words(&mut self, at: usize, path: String, words: &[&[Glyph]], all: &[Glyph]) -> usize {
        self.refused = true;
        let glyphs = words.iter().flat_map(|word| word.iter());
        let start = glyphs.clone().next().map_or(at, |glyph| glyph.at);
        let end = glyphs.last().map_or(at, |glyph| glyph.end);
        let text =
            shell::text(all.iter().filter(|g| (start..end).contains(&g.at)).copied().collect::<Vec<_>>().as_slice());
        for word in words {
            if let Ok(expansion) = shell::expand(word, self.reader.escape, &self.scope) {
                self.scope.spread_reads(&expansion, start, UNREADABLE);
            }
        }
        let template = match subject::string(&text) {
            Subject::Unresolvable { reason } if !reason.starts_with("not a reference") => Some(reason),
            _ => None,
        };
        let reason = template.unwrap_or_else(|| "FROM takes one image and, after AS, a name".to_owned());
        let mut occurrence = self.occurrence(start, path, text);
        occurrence.subject = Subject::Unresolvable { reason };
        occurrence.span = Some(Span::new(start, end));
        self.push(occurrence, at)
    }

    /// A FROM of one word: the stage that it makes.
    fn base(&mut self, at: usize, path: String, word: &[Glyph], escape: char) -> Stage {
        let token = unquoted(word);
        let start = token.first().map_or(at, |glyph| glyph.at);
        let span = Span::new(start, token.last().map_or(start, |glyph| glyph.end));
        let written = shell::text(token);
        let mut occurrence = self.occurrence(start, path, written);
        occurrence.span = Some(span);
        let mut base = None;
        match shell::expand(word, escape, &self.scope) {
            Err(reason) => {
                let reason = match subject::string(&occurrence.text) {
                    Subject::Unresolvable { reason } if reason.starts_with("a template") => reason,
                    _ => format!("builders refuse it: {reason}"),
                };
                occurrence.subject = Subject::Unresolvable { reason };
            }
            Ok(expansion) => {
                let text: String = expansion.letters.iter().map(|(letter, _)| letter).collect();
                let stage = self.names.get(&line::lower(&text)).copied().filter(|_| expansion.unknown.is_none());
                let known = self.known(&expansion, &text, stage);
                occurrence.assumes = self.scope.assumes(&expansion).filter(|_| expansion.unknown.is_none());
                match &known {
                    Subject::Image(_) => {
                        occurrence.text = text;
                        let composed = Composed { occurrence: self.occurrences.len(), span, at, expansion };
                        self.composed.push(composed);
                    }
                    Subject::NotAnImage { .. } => {
                        self.scope.spread_reads(&expansion, start, "it names a stage");
                        occurrence.text = text;
                        base = stage;
                    }
                    Subject::Unresolvable { .. } => self.scope.spread_reads(&expansion, start, UNREADABLE),
                }
                occurrence.subject = known;
            }
        }
        Stage { base, occurrence: Some(self.push(occurrence, at)) }
    }

    /// What the text of a FROM is.
    fn known(&self, expansion: &Expansion, text: &str, stage: Option<usize>) -> Subject {
        if let Some(reason) = &expansion.unknown {
            return Subject::Unresolvable { reason: reason.clone() };
        }
        if stage.is_some() {
            return Subject::NotAnImage { reason: format!("the stage `{}`", line::lower(text)) };
        }
        if text == "scratch" {
            return Subject::NotAnImage { reason: "the empty image".to_owned() };
        }
        match (image(text), self.scope.assumes(expansion)) {
            (Subject::Unresolvable { reason }, Some(assumes)) => {
                Subject::Unresolvable { reason: format!("{reason} (with {assumes})") }
            }
            (subject, _) => subject,
        }
    }

    fn flags(&mut self, instruction: &Instruction, asked: Asked, triggered: bool) {
        let keyword = instruction.keyword.to_ascii_uppercase();
        let path = self.path(triggered.then_some("ONBUILD"), &keyword);
        let stage = self.stages.len().checked_sub(1);
        let mut names = Vec::new();
        for flag in &instruction.flags {
            let text = shell::text(flag);
            if asked == Asked::Copy && text.starts_with("--from=") {
                names.push(flag["--from=".len()..].to_vec());
            } else if asked == Asked::Mount && text.starts_with("--mount=") {
                match mount::sources(&flag["--mount=".len()..]) {
                    Ok(sources) => names.extend(sources),
                    Err(reason) => self.reader.refuse(instruction.at, reason),
                }
            }
        }
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            if let Ok(expansion) = shell::expand(&name, self.reader.escape, &self.scope) {
                self.scope.spread_reads(&expansion, instruction.at, "a COPY or a mount holds it");
            }
            let (instruction, path) = (instruction.at, path.clone());
            self.pending.push(Pending { instruction, path, name, asked, stage, triggered });
        }
    }

    fn path(&self, outer: Option<&str>, keyword: &str) -> String {
        let stage = self.stages.len().checked_sub(1).map(|stage| format!("stages[{stage}]"));
        let outer = outer.map(str::to_owned);
        let steps: Vec<String> = stage.into_iter().chain(outer).chain([keyword.to_owned()]).collect();
        steps.join(".")
    }

    /// Whether a `COPY --from` or a mount names an image, now that every stage is known.
    fn source(&self, pending: &Pending, text: &str) -> Subject {
        let unresolvable = |reason: String| Subject::Unresolvable { reason };
        let skipped = |reason: &str| Subject::NotAnImage { reason: reason.to_owned() };
        let is_same = |word: &Expansion| word.letters.iter().map(|(letter, _)| *letter).eq(text.chars());
        if !shell::expand(&pending.name, self.reader.escape, &shell::Nobody).is_ok_and(|word| is_same(&word)) {
            return match subject::string(text) {
                Subject::Unresolvable { reason } if !reason.starts_with("not a reference") => unresolvable(format!(
                    "{reason}; BuildKit puts no variables in here: name a stage with FROM, and that stage here"
                )),
                _ => unresolvable("quotes or escapes, which BuildKit refuses here".to_owned()),
            };
        }
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if !digits.is_empty() && digits.len() < 19 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match pending.asked {
                Asked::Copy => skipped("the number of a stage"),
                Asked::Mount => {
                    unresolvable("a number: BuildKit takes it for an image, other builders for a stage".to_owned())
                }
            };
        }
        let name = line::lower(text);
        if pending.triggered && text != "scratch" && is_stage_name(&name) {
            let reason = format!("a trigger runs in another build, where `{text}` may be a stage or an image");
            return unresolvable(reason);
        }
        match self.names.get(&name) {
            Some(stage) if pending.stage.is_some_and(|own| *stage < own) => {
                Subject::NotAnImage { reason: format!("the stage `{name}`") }
            }
            Some(_) => unresolvable(format!(
                "the stage `{name}` is not built yet here: BuildKit refuses it, other builders take it for an image"
            )),
            None if text == "scratch" => skipped("the empty image"),
            None => image(text),
        }
    }

    fn finish(mut self) -> Found {
        for pending in std::mem::take(&mut self.pending) {
            let text = shell::text(&pending.name);
            let subject = self.source(&pending, &text);
            let (first, last) = (pending.name.first(), pending.name.last());
            let start = first.map_or(pending.instruction, |glyph| glyph.at);
            let mut occurrence = self.occurrence(start, pending.path, text);
            let whole = is_whole(&pending.name);
            occurrence.uneditable = (!whole).then(|| SCATTERED.to_owned());
            occurrence.span = Some(Span::new(start, last.map_or(start, |glyph| glyph.end)));
            occurrence.subject = subject;
            self.push(occurrence, pending.instruction);
        }
        edit::place(&mut self.occurrences, &mut self.scope, &self.composed, &self.lines);
        let mut stage = self.stages.len().checked_sub(1);
        while let Some(at) = stage {
            if let Some(occurrence) = self.stages[at].occurrence {
                self.occurrences[occurrence].role = Role::Base;
            }
            stage = self.stages[at].base;
        }
        self.ignores();
        let unread = self.reader.refused.map(|(at, reason)| {
            let place = self.lines.place(at);
            Unread { place, reason, could_hold_reference: true }
        });
        self.occurrences.sort_by_key(|occurrence| occurrence.place);
        Found { occurrences: self.occurrences, unread: unread.into_iter().collect(), pointers: Vec::new() }
    }

    /// Gives each occurrence the ignores of the line above it, and of the line above its instruction.
    fn ignores(&mut self) {
        let mut by_line: BTreeMap<usize, Vec<Ignore>> = BTreeMap::new();
        for (at, text) in &self.reader.comments {
            let ignores = page::parse_ignore(&String::from_utf8_lossy(text));
            if !ignores.is_empty() {
                by_line.entry(self.lines.line_at(*at) + 1).or_default().extend(ignores);
            }
        }
        for (occurrence, instruction) in self.occurrences.iter_mut().zip(&self.instructions) {
            let own = occurrence.place.line;
            let first = self.lines.line_at(*instruction);
            let lines = if own == first { vec![own] } else { vec![first, own] };
            occurrence.ignores = lines.iter().filter_map(|line| by_line.get(line)).flatten().cloned().collect();
        }
    }

    fn occurrence(&self, at: usize, path: String, text: String) -> Occurrence {
        Occurrence {
            format: ID,
            place: self.lines.place(at),
            span: None,
            parts: None,
            slot: None,
            document: 0,
            path,
            role: Role::Build,
            text,
            subject: Subject::NotAnImage { reason: String::new() },
            assumes: None,
            uneditable: None,
            run_as: None,
            ignores: Vec::new(),
        }
    }

    fn push(&mut self, occurrence: Occurrence, instruction: usize) -> usize {
        self.occurrences.push(occurrence);
        self.instructions.push(instruction);
        self.occurrences.len() - 1
    }
}

/// Why the bytes of an image are not its text.
const SCATTERED: &str =
    "its text is written with quotes or escapes inside, or over several lines; write it in one piece";

/// What else a default reaches where it is part of what can't be known.
const UNREADABLE: &str = "an image that can't be known from the file holds it";

/// A text in an image's place; nothing here is a pattern.
fn image(text: &str) -> Subject {
    match subject::string(text) {
        Subject::NotAnImage { reason } => Subject::Unresolvable { reason: format!("not a reference: {reason}") },
        subject => subject,
    }
}

/// `AS` in any case; `ſ` folds to `s`.
fn is_as(word: &[Glyph]) -> bool {
    matches!(word, [Glyph { letter: 'a' | 'A', .. }, Glyph { letter: 's' | 'S' | 'ſ', .. }])
}

fn is_stage_name(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    name.starts_with(|letter: char| letter.is_ascii_lowercase()) && name.bytes().all(rest)
}

/// A word without the quotes around all of it, and without the byte order mark that builders skip.
fn unquoted(word: &[Glyph]) -> &[Glyph] {
    match word {
        [Glyph { letter: '\u{feff}', .. }, rest @ ..] if !rest.is_empty() => unquoted(rest),
        [first, inner @ .., last]
            if matches!(first.letter, '"' | '\'')
                && first.letter == last.letter
                && inner.iter().all(|glyph| glyph.letter != first.letter) =>
        {
            inner
        }
        _ => word,
    }
}

/// Whether glyphs stand one behind the other in the file, as they read.
fn is_whole(glyphs: &[Glyph]) -> bool {
    glyphs.iter().all(|glyph| glyph.end - glyph.at == glyph.letter.len_utf8())
        && glyphs.windows(2).all(|two| two[0].end == two[1].at)
}

/// Whether a line is one action of a template that writes no text: a condition, a loop, a comment.
fn writes_nothing(line: &str) -> bool {
    const SILENT: [&str; 22] = [
        "if", "else", "elif", "elseif", "end", "endif", "for", "endfor", "range", "with", "endwith", "set", "endset",
        "define", "macro", "endmacro", "block", "endblock", "raw", "endraw", "do", "/*",
    ];
    let line = line.trim();
    let action = [("{{", "}}"), ("{%", "%}"), ("<%", "%>"), ("{#", "#}")].iter().find_map(|(open, close)| {
        let body = line.strip_prefix(open)?.strip_suffix(close)?;
        (!body.contains(close)).then_some((*open, body))
    });
    let Some((open, body)) = action else { return false };
    let body = body.trim_start_matches(['-', '~', '+']).trim_start();
    match open {
        "{#" => true,
        "<%" => !body.starts_with(['=', '-']),
        _ => {
            let word = body.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
            SILENT.contains(&word) || body.starts_with("/*")
        }
    }
}
