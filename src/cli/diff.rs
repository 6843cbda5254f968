//! A unified diff of what `pin` and `unpin` would write, as `git apply` and reviewers read it.

use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;

/// The diff of one file; bytes that are not UTF-8 do not occur, as no format reads them.
pub(crate) fn unified(path: &str, old: &[u8], new: &[u8]) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let diff = TextDiff::from_lines(old.as_ref(), new.as_ref());
    let path = path.trim_start_matches('/');
    let (from, to) = (quoted(&format!("a/{path}")), quoted(&format!("b/{path}")));
    let mut text = format!("--- {from}\n+++ {to}\n");
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        let _ = writeln!(text, "{}", hunk.header());
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            text.push(sign);
            text.push_str(change.value());
            if change.missing_newline() {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    text
}

/// The path as git quotes it (git-config, core.quotePath), where a byte of it would end the name or the line.
fn quoted(path: &str) -> String {
    if !path.contains(|letter: char| letter.is_ascii_control() || matches!(letter, '"' | '\\')) {
        return path.to_owned();
    }
    let mut text = String::from("\"");
    for letter in path.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            _ if letter.is_ascii_control() => {
                let _ = write!(text, "\\{:03o}", u32::from(letter));
            }
            _ => text.push(letter),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_a_missing_one_stay_in_the_diff() {
        let diff = unified("a.yaml", b"x: 1\r\nimage: a", b"x: 1\r\nimage: b");
        let expected = "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,2 +1,2 @@\n x: 1\r\n-image: a\n\\ No newline at end of file\n+image: b\n\\ No newline at end of file\n";
        assert_eq!(diff, expected);
    }
}
