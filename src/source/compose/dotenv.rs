//! The `.env` file beside a Compose file, as compose-go's `dotenv` reads it: quotes, `export`, comments, values that use
//! variables. A file that Compose would refuse is said to be broken; then no variable is known.

use std::collections::BTreeMap;

use super::interpolation::Variables;

/// What a `.env` file sets.
pub(super) fn parse(bytes: &[u8]) -> Variables {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let broken = |reason: String| Variables { set: BTreeMap::new(), broken: Some(reason) };
    let Ok(text) = str::from_utf8(bytes) else { return broken("it is not UTF-8".to_owned()) };
    let mut variables = Variables::default();
    let mut rest = text;
    loop {
        let here = text.len();
        rest = statement(rest);
        if rest.is_empty() {
            return variables;
        }
        let line = text[..here - rest.len()].matches('\n').count() + 1;
        match one(rest, &mut variables) {
            Ok(next) => rest = next,
            Err(reason) => return broken(format!("line {line}: {reason}")),
        }
    }
}

/// The next statement: white space and comments in front of it are left out.
fn statement(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if !text.starts_with('#') {
            return text;
        }
        text = text.find('\n').map_or("", |end| &text[end..]);
    }
}

/// Reads one statement; what stands behind it.
fn one<'t>(text: &'t str, variables: &mut Variables) -> Result<&'t str, String> {
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start_matches(is_space),
        _ => text,
    };
    if text.is_empty() {
        return Err("`export` of nothing".to_owned());
    }
    let allowed =
        |letter: char| is_space(letter) || matches!(letter, '_' | '.' | '-' | '[' | ']') || letter.is_alphanumeric();
    let Some(end) = text.find(|letter| !allowed(letter)) else {
        // a last line without a sign sets nothing that has a name
        return Ok("");
    };
    let sign = text[end..].chars().next().unwrap_or_default();
    if !matches!(sign, '=' | ':' | '\n') {
        return Err(format!("{sign:?} in the name of a variable"));
    }
    let key = text[..end].trim_end();
    if key.contains(' ') {
        return Err("a space in the name of a variable".to_owned());
    }
    let rest = text[end + 1..].trim_start_matches(is_space);
    if sign == '\n' {
        // the environment's own value, or none: the same as if the line were not there
        return Ok(rest);
    }
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
    let (value, rest) = match quote {
        None => {
            let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
            let line = line.split_once(" #").map_or(line, |(value, _)| value);
            (expand(line.trim_end(), variables), rest)
        }
        Some(quote) => {
            let (value, rest) = quoted(&rest[1..], quote)?;
            (if quote == '"' { expand(&unescape(&value), variables) } else { Ok(value) }, rest)
        }
    };
    variables.set.insert(key.to_owned(), value);
    Ok(rest)
}

fn expand(value: &str, variables: &Variables) -> Result<String, String> {
    variables.resolve(value).map(|resolved| resolved.text)
}

/// A quoted value up to its quote, and what stands behind it; a backslash in front of the quote goes.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == quote {
            if !escaped {
                return Ok((value, &text[at + 1..]));
            }
            value.push(letter);
        } else if !escaped && letter == '\\' {
            escaped = true;
            continue;
        } else {
            if escaped {
                value.push('\\');
            }
            value.push(letter);
        }
        escaped = false;
    }
    Err("a quoted value without its end".to_owned())
}

/// The escapes of a value in double quotes; an escaped `$` becomes `$$`, which is one when variables are put in.
fn unescape(text: &str) -> String {
    let mut value = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(letter) = rest.chars().next() else {
            value.push('\\');
            break;
        };
        let found = match letter {
            'a' => "\u{7}",
            'b' => "\u{8}",
            'f' => "\u{c}",
            'n' => "\n",
            'r' => "\r",
            't' => "\t",
            'v' => "\u{b}",
            '$' => "$$",
            '"' => "\"",
            '\\' => "\\",
            '0' => {
                let digits = rest[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
                match u8::from_str_radix(&rest[1..=digits], 8) {
                    Ok(byte) if digits == 3 => value.push(char::from(byte)),
                    _ => {
                        value.push('\\');
                        value.push_str(&rest[..=digits]);
                    }
                }
                rest = &rest[1 + digits..];
                continue;
            }
            _ => {
                value.push('\\');
                continue;
            }
        };
        value.push_str(found);
        rest = &rest[letter.len_utf8()..];
    }
    value.push_str(rest);
    value
}

/// White space but no line end.
fn is_space(letter: char) -> bool {
    matches!(letter, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let rows = [
            ("A=b", Some("b")),
            ("A = b \n", Some("b")),
            ("export  A=b", Some("b")),
            ("exported=1\nA: b", Some("b")),
            ("# A=c\n\n  A=b # c\n", Some("b")),
            ("A=b#c", Some("b#c")),
            ("A='b # c'", Some("b # c")),
            ("A=\"b # c\" # d\nC=1", Some("b # c")),
            ("A=\"b\nc\"", Some("b\nc")),
            ("A='b$C\\n\\''", Some("b$C\\n'")),
            ("A=\"b\\$C\\\"\\n\\c\"", Some("b$C\"\n\\c")),
            ("A=\"\\0101\\012\\08\"", Some("A\\012\\08")),
            ("C=1\nA=x$C-${D:-2}", Some("x1-2")),
            ("A=1\nA=2", Some("2")),
            ("A=", Some("")),
            ("A=\r\nB=1", Some("")),
            ("A\nB=1", None),
            ("B=1\nA", None),
            ("A=$HOME/x", None),
            ("A=\"b", None),
            ("A!=b", None),
            ("A=b\nexport ", None),
            ("A B=b", None),
            ("A=b\nC=\"", None),
        ];
        for (text, expected) in rows {
            let found = parse(text.as_bytes());
            let value = found.set.get("A").and_then(|value| value.as_ref().ok());
            assert_eq!(value.map(String::as_str), expected, "{text:?}: {found:?}");
        }
        assert_eq!(parse(b"A=1\nB!").broken.as_deref(), Some("line 2: '!' in the name of a variable"));
        assert!(parse(b"\xff").broken.is_some());
        assert!(parse(b"\xef\xbb\xbfA=1\r\n").set.contains_key("A"));
    }
}
