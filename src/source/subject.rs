//! What a text in an image's place is: a reference, something that can't be known from the file, or no image at all.
//! It only sorts; it never repairs a text, trims it or guesses at what it will become.

use crate::reference::Reference;
use crate::source::Subject;

/// Sorts a text that is a string to every reader.
pub(crate) fn string(text: &str) -> Subject {
    if let Some(reason) = template(text) {
        return Subject::Unresolvable { reason: reason.to_owned() };
    }
    if text.is_empty() {
        return Subject::NotAnImage { reason: "an empty text".to_owned() };
    }
    if text.contains(['*', '|', ',']) {
        return Subject::NotAnImage { reason: "a pattern, not a reference".to_owned() };
    }
    match Reference::parse(text) {
        Ok(reference) => Subject::Image(reference),
        Err(error) => Subject::Unresolvable { reason: format!("not a reference: {error}") },
    }
}

/// Sorts a plain YAML scalar: null, booleans and decimal numbers are no strings, where readers of YAML 1.1 and 1.2
/// agree on it. What only one of them takes for a number (`yes`, `0777`, `1_000`) may well run as an image: a string.
pub(crate) fn plain(text: &str) -> Subject {
    let kind = match text {
        "" | "~" | "null" | "Null" | "NULL" => "null",
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => "a boolean",
        _ if is_number(text) => "a number",
        _ => return string(text),
    };
    Subject::NotAnImage { reason: format!("{kind}, not a string") }
}

/// Decimal integers without a leading zero, and decimal fractions with digits before the point.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let decimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    match fraction {
        None => decimal(whole) && !whole.is_empty() && (whole == "0" || !whole.starts_with('0')),
        Some(rest) => !whole.is_empty() && decimal(whole) && decimal(rest),
    }
}

/// Why the text is a template, where it holds what templating tools replace; the grammar allows none of these bytes.
fn template(text: &str) -> Option<&'static str> {
    const TEMPLATE: &str = "a template; what it becomes is not known from this file";
    const VARIABLE: &str = "a variable; its value is not known from this file";
    const PLACEHOLDER: &str = "a placeholder; what replaces it is not known from this file";
    if ["{{", "<%", "{%", "[["].iter().any(|open| text.contains(open)) {
        return Some(TEMPLATE);
    }
    if text.contains('$') || text.split('%').nth(2).is_some() {
        return Some(VARIABLE);
    }
    let angle = text.find('<').is_some_and(|at| text[at..].contains('>'));
    (angle || text.starts_with('@') && text.len() > 1 && text.ends_with('@')).then_some(PLACEHOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(subject: Subject) -> String {
        match subject {
            Subject::Image(reference) => format!("image {reference}"),
            Subject::Unresolvable { reason } => format!("undecided {reason}"),
            Subject::NotAnImage { reason } => format!("skipped {reason}"),
        }
    }

    #[test]
    fn plain_scalars() {
        for text in ["", "~", "null", "NULL", "true", "False", "5", "0", "-1", "+12", "1.25", "0.5", "1.", "01.5"] {
            assert!(reason(plain(text)).starts_with("skipped"), "{text}");
        }
        for text in ["yes", "no", "on", "off", "y", "0777", "0", "1e3", "nginx", "1_000", "0x1f", "nuLL", "1.2.3"] {
            let found = reason(plain(text));
            assert_eq!(found.starts_with("skipped"), text == "0", "{text}: {found}");
        }
        assert_eq!(reason(string("5")), "image docker.io/library/5:latest");
        assert_eq!(reason(string("null")), "image docker.io/library/null:latest");
    }

    #[test]
    fn templates_patterns_and_refusals() {
        for text in [
            "{{ .Values.image }}",
            "{{ .a | default \"x\" }}",
            "a:<% tag %>",
            "${X}",
            "${X:-nginx}",
            "$(X)/y",
            "a:$X",
            "a:%V%",
            "%I%",
            "<IMAGE>",
            "x/<name>:1",
            "@IMAGE@",
            "[[image]]",
            "{% x %}",
            "a@$D",
        ] {
            assert!(reason(string(text)).contains("not known from this file"), "{text}: {}", reason(string(text)));
        }
        for text in ["reg.io/*", "a | b", "!*:latest", "a,b", ""] {
            assert!(reason(string(text)).starts_with("skipped"), "{text}");
        }
        for text in ["Nginx", "nginx 1", " nginx", "nginx\n", "docker://x/y", "a:b:c", "ko://x/y", "a%b", "a>b", "@"] {
            assert!(reason(string(text)).starts_with("undecided not a reference: "), "{text}");
        }
    }
}
