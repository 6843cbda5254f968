//! Where the documents of a stream begin and end, by lines alone.
//! It reads no YAML: a marker at the start of a line ends a document even inside a scalar, so lines are enough.

use crate::span::Span;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a line is for the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    End,
    Directive,
    Hole,
    Content,
}

/// The spans of the documents: directives and comments in front of a document belong to it, `...` to the one it ends.
pub(super) fn split(bytes: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let mut start = at;
    let mut inside = false;
    let mut directives = false;
    while at < bytes.len() {
        let end = line_end(bytes, at);
        // a byte order mark may stand in front of any document, not only the first
        let line = &bytes[at..end];
        let line = if inside { line } else { line.strip_prefix(BOM).unwrap_or(line) };
        match kind(line) {
            Line::Start if inside => {
                found.push(Span::new(start, at));
                start = at;
                directives = false;
            }
            Line::End if inside => {
                found.push(Span::new(start, end));
                (start, inside, directives) = (end, false, false);
            }
            Line::Directive if !inside => directives = true,
            Line::End | Line::Hole => {}
            Line::Start | Line::Directive | Line::Content => inside = true,
        }
        at = end;
    }
    if inside || directives {
        found.push(Span::new(start, bytes.len()));
    }
    found
}

/// One past the line's end (LF, CRLF, or CR alone).
fn line_end(bytes: &[u8], at: usize) -> usize {
    match bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        None => bytes.len(),
        Some(length) => {
            let end = at + length;
            if bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n') { end + 2 } else { end + 1 }
        }
    }
}

fn kind(line: &[u8]) -> Line {
    let hole = |rest: &[u8]| {
        let rest = rest.trim_ascii_start();
        rest.is_empty() || rest[0] == b'#'
    };
    match line {
        [b'-', b'-', b'-', rest @ ..] if starts_white(rest) => Line::Start,
        // what follows an end marker on its line is an error, which the parser must see
        [b'.', b'.', b'.', rest @ ..] if starts_white(rest) && hole(rest) => Line::End,
        [b'%', ..] => Line::Directive,
        _ if hole(line) => Line::Hole,
        _ => Line::Content,
    }
}

fn starts_white(rest: &[u8]) -> bool {
    matches!(rest, [] | [b' ' | b'\t' | b'\n' | b'\r', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_by_lines() {
        let rows: [(&str, &[&str]); 17] = [
            ("", &[]),
            ("# c\n\n", &[]),
            ("a", &["a"]),
            ("a\n---\nb\n", &["a\n", "---\nb\n"]),
            ("a\r---\rb\r", &["a\r", "---\rb\r"]),
            ("a\r\n---\r\nb", &["a\r\n", "---\r\nb"]),
            ("---\n---\n---", &["---\n", "---\n", "---"]),
            ("# c\n---\na\n# d\n", &["# c\n---\na\n# d\n"]),
            (
                "%YAML 1.2\n---\na\n...\n# x\n%TAG ! x\n---\nb\n",
                &["%YAML 1.2\n---\na\n...\n", "# x\n%TAG ! x\n---\nb\n"],
            ),
            ("a\n...\n...\n# x\n", &["a\n...\n"]),
            ("a: |\n  x\n ---\n---x\n----\n", &["a: |\n  x\n ---\n---x\n----\n"]),
            ("a: \"\n--- b\n\"", &["a: \"\n", "--- b\n\""]),
            ("--- a\n--- |\n x\n", &["--- a\n", "--- |\n x\n"]),
            ("%YAML 1.2\n", &["%YAML 1.2\n"]),
            ("... x\na: 1\n", &["... x\na: 1\n"]),
            ("\u{feff}a\n...\n\u{feff}---\nb\n", &["a\n...\n", "\u{feff}---\nb\n"]),
            ("a\n%x\n", &["a\n%x\n"]),
        ];
        for (text, expected) in rows {
            let found: Vec<&str> = split(text.as_bytes()).iter().map(|span| &text[span.start..span.end]).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
