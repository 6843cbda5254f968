//! Text templates of Go around YAML: actions are blotted out byte for byte, so that what is left parses and keeps its
//! places. It runs no template and knows no values; what an action writes is not known.

use crate::span::Span;

/// A text with its actions blotted out.
#[derive(Debug)]
pub(crate) struct Masked {
    /// As long as the original, byte for byte.
    pub(crate) text: String,
    /// Where actions stood, in order.
    pub(crate) masks: Vec<Span>,
    /// The actions that may write whole lines: outputs alone on their line, and those that indent.
    pub(crate) emits: Vec<Span>,
}

impl Masked {
    /// Whether an action stood inside `span` (of the text).
    pub(crate) fn touches(&self, span: Span) -> bool {
        let at = self.masks.partition_point(|mask| mask.end <= span.start);
        self.masks.get(at).is_some_and(|mask| mask.start < span.end)
    }

    /// Whether an action stood behind `offset` on its line.
    pub(crate) fn follows(&self, offset: usize) -> bool {
        let at = self.masks.partition_point(|mask| mask.start < offset);
        let Some(between) = self.masks.get(at).map(|mask| &self.text.as_bytes()[offset..mask.start]) else {
            return false;
        };
        !between.iter().take(LINE).any(|byte| *byte == b'\n')
    }
}

/// How far [`Masked::follows`] looks for the end of a line; a longer line counts as one with an action behind.
const LINE: usize = 4_096;

/// Blots out every `{{ … }}`; `None` where there is none.
///
/// An action that writes nothing (`if`, `end`, a comment …) and one alone on its line become white space, one inside a
/// line becomes letters, which read as a scalar or a part of one.
pub(crate) fn mask(text: &str) -> Option<Masked> {
    let actions = actions(text);
    if actions.is_empty() {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    for action in &actions {
        blank(&mut bytes[action.start..action.end]);
    }
    // with every action blank, a line that held nothing else is blank too
    let lines = Lines::new(&bytes);
    let alone: Vec<bool> =
        actions.iter().map(|action| lines.blank(action.start) && lines.blank(action.end - 1)).collect();
    let mut emits = Vec::new();
    for (action, alone) in actions.iter().zip(alone) {
        let body = body(&text[action.start..action.end]);
        if is_silent(body) {
            continue;
        }
        if alone || writes_lines(body) || (writes_much(body) && in_comment(&bytes, action.start)) {
            emits.push(*action);
        }
        if !alone {
            bytes[action.start..action.end].fill(b'x');
        }
    }
    lines.empty(&mut bytes, &actions);
    let text = String::from_utf8(bytes).expect("whole actions were replaced by as many ASCII bytes");
    Some(Masked { text, masks: actions, emits })
}

/// Whether a comment may have begun before `offset` on its line; on a very long line that is believed.
fn in_comment(bytes: &[u8], offset: usize) -> bool {
    let before = &bytes[offset.saturating_sub(LINE)..offset];
    let start = before.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map(|at| at + 1);
    let Some(line) = start.or((offset <= LINE).then_some(0)).map(|start| &before[start..]) else { return true };
    line.first() == Some(&b'#') || line.windows(2).any(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'#')
}

/// Keeps line ends, so that what follows stays where it stands.
fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// Which lines are blank, once all actions are; all at once, for a file of one line with many actions.
struct Lines {
    /// Where each line starts, and whether it is blank.
    lines: Vec<(usize, bool)>,
}

impl Lines {
    fn new(bytes: &[u8]) -> Self {
        let mut lines = Vec::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            lines.push((start, line.iter().all(u8::is_ascii_whitespace)));
            start += line.len();
        }
        Self { lines }
    }

    fn at(&self, offset: usize) -> usize {
        self.lines.partition_point(|(start, _)| *start <= offset).saturating_sub(1)
    }

    fn blank(&self, offset: usize) -> bool {
        self.lines.get(self.at(offset)).is_some_and(|(_, blank)| *blank)
    }

    /// Makes the blank lines of actions empty ones: white space alone would count as a block scalar's indentation.
    fn empty(&self, bytes: &mut [u8], actions: &[Span]) {
        let mut next = 0;
        for action in actions {
            for line in self.at(action.start).max(next)..=self.at(action.end - 1) {
                let end = self.lines.get(line + 1).map_or(bytes.len(), |(start, _)| *start);
                let (start, blank) = self.lines[line];
                if blank {
                    bytes[start..end].iter_mut().filter(|byte| **byte != b'\r').for_each(|byte| *byte = b'\n');
                }
                next = line + 1;
            }
        }
    }
}

/// The actions of a text (text/template, "Actions"): strings and comments in them may hold `}}`.
fn actions(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find("{{")) {
        let start = at + open;
        let Some(end) = action_end(bytes, start + 2) else { break };
        found.push(Span::new(start, end));
        at = end;
    }
    found
}

fn action_end(bytes: &[u8], inner: usize) -> Option<usize> {
    let mut at = inner;
    if let Some(skip) = comment_start(&bytes[inner..]) {
        at = inner + skip;
        at += bytes[at..].windows(2).position(|pair| pair == b"*/")? + 2;
    }
    while at < bytes.len() {
        match bytes[at] {
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at + 2),
            quote @ (b'"' | b'\'' | b'`') => {
                at += 1;
                while *bytes.get(at)? != quote {
                    at += if quote != b'`' && bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    None
}

fn comment_start(inner: &[u8]) -> Option<usize> {
    let trimmed = inner.strip_prefix(b"-").unwrap_or(inner).trim_ascii_start();
    trimmed.starts_with(b"/*").then(|| inner.len() - trimmed.len() + 2)
}

/// What stands between the braces and the trim markers.
fn body(action: &str) -> &str {
    let inner = action.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(action);
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    inner.strip_suffix('-').unwrap_or(inner).trim()
}

/// Control, comments and assignments write nothing.
fn is_silent(body: &str) -> bool {
    let word = body.split(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let assigns = || {
        let name = body.trim_start_matches(|c: char| c == '$' || c == '_' || c.is_alphanumeric()).trim_start();
        body.starts_with('$') && (name.starts_with(":=") || name.starts_with('=') && !name.starts_with("=="))
    };
    body.is_empty()
        || body.starts_with("/*")
        || ["if", "else", "end", "range", "with", "define", "break", "continue"].contains(&word)
        || assigns()
}

/// What writes as much as its author likes, and texts with a line end in them: behind a comment that is content.
fn writes_much(body: &str) -> bool {
    body.contains(['\\', '\n', '\r'])
        || body.split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "include" | "template" | "tpl"))
}

/// Functions that are there to write lines or whole collections.
fn writes_lines(body: &str) -> bool {
    body.split(|c: char| !c.is_alphanumeric()).any(|word| {
        matches!(word, "indent" | "nindent" | "toYaml" | "toYamlPretty" | "toJson" | "toPrettyJson" | "toRawJson")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_blotted_out_byte_for_byte() {
        let rows = [
            ("a: {{ .x }}\n", "a: xxxxxxxx\n", false),
            ("{{- if .x }}\na: 1\n{{ end }}", "\n\n\n\n\n\n\n\n\n\n\n\n\na: 1\n\n\n\n\n\n\n\n\n\n", false),
            ("a: {{ if .x }}b{{ end }}", "a:            b         ", false),
            ("{{ $x := 1 }}\n", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n", false),
            ("{{ include \"x\" . }}\n", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", true),
            ("a: {{ toYaml .x | nindent 2 }}", "a: xxxxxxxxxxxxxxxxxxxxxxxxxxx", true),
            ("a: {{ \"}}\" }}", "a: xxxxxxxxxx", false),
            ("{{/* }} \" \n */}}\na: 1", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\na: 1", false),
            ("a: {{ `}}` }}é", "a: xxxxxxxxxxé", false),
            ("a: {{ .é }}", "a: xxxxxxxxx", false),
            ("a: b{{ .x\n }}c", "a: bxxxxxxxxxc", false),
            (
                "{{ if eq $x \"a\" }}{{ toYaml . }}{{ end }}\n",
                "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
                true,
            ),
        ];
        for (text, expected, emits) in rows {
            let masked = mask(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((masked.text.as_str(), !masked.emits.is_empty()), (expected, emits), "{text}");
            assert_eq!(masked.text.len(), text.len());
        }
        for text in ["a: b", "{{ open", "{{ \"open }}", "{{/* open }}", "{ { x } }"] {
            assert!(mask(text).is_none(), "{text}");
        }
    }

    #[test]
    fn touching_is_by_bytes() {
        let masked = mask("ab{{ x }}cd").expect("an action");
        assert!(masked.touches(Span::new(0, 3)));
        assert!(masked.touches(Span::new(8, 10)));
        assert!(!masked.touches(Span::new(0, 2)));
        assert!(!masked.touches(Span::new(9, 11)));
        assert!(masked.follows(0) && !masked.follows(9));
    }
}
