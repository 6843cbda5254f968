//! The fields of `RUN --mount=…`: a line of CSV, as BuildKit reads it.

use crate::source::dockerfile::line;
use crate::source::dockerfile::shell::{self, Glyph};

/// The values of every `from=` of a mount, in order; an error where builders refuse the mount.
pub(super) fn sources(mount: &[Glyph]) -> Result<Vec<Vec<Glyph>>, String> {
    let fields = fields(mount)?;
    let from = |field: Vec<Glyph>| {
        let at = field.iter().position(|glyph| glyph.letter == '=')?;
        (line::lower(&shell::text(&field[..at])) == "from").then(|| field[at + 1..].to_vec())
    };
    Ok(fields.into_iter().filter_map(from).collect())
}

fn fields(text: &[Glyph]) -> Result<Vec<Vec<Glyph>>, String> {
    const BARE: &str = "a quote in the middle of a field of a mount";
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let mut field = Vec::new();
        if text.get(at).is_some_and(|glyph| glyph.letter == '"') {
            at += 1;
            loop {
                let glyph = text.get(at).ok_or("a quote in a mount is not closed")?;
                at += 1;
                if glyph.letter != '"' {
                    field.push(*glyph);
                } else if text.get(at).is_some_and(|next| next.letter == '"') {
                    field.push(text[at]);
                    at += 1;
                } else {
                    break;
                }
            }
        } else {
            while let Some(glyph) = text.get(at).filter(|glyph| glyph.letter != ',') {
                if glyph.letter == '"' {
                    return Err(BARE.to_owned());
                }
                field.push(*glyph);
                at += 1;
            }
        }
        fields.push(field);
        match text.get(at).map(|glyph| glyph.letter) {
            None => return Ok(fields),
            Some(',') => at += 1,
            Some(_) => return Err(BARE.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let glyphs: Vec<Glyph> =
            text.chars().enumerate().map(|(at, letter)| Glyph { letter, at, end: at + 1 }).collect();
        sources(&glyphs).map(|found| found.iter().map(|from| shell::text(from)).collect())
    }

    #[test]
    fn sources_of_a_mount() {
        let rows: [(&str, &[&str]); 7] = [
            ("type=bind,from=a:1,target=/x", &["a:1"]),
            ("FROM=a,from=b", &["a", "b"]),
            ("\"from=a,b\",x", &["a,b"]),
            ("\"from=a\"\"b\"", &["a\"b"]),
            ("from,id=from=x", &[]),
            ("from==x", &["=x"]),
            ("", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text).expect("a mount"), expected, "{text}");
        }
        for text in ["from=a\"b", "\"from=a", "\"from=a\"b"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
