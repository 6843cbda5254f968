//! Variables as Compose writes them into texts: `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:+x}`, `${V+x}`, `${V:?e}`, `${V?e}`,
//! `$$` (Compose Specification, "Interpolation"; the details as compose-go's `template` has them).
//! Only defaults and `.env` are known; what the environment sets is not, and is never guessed at.

use std::collections::BTreeMap;

/// Longest text that is looked at, in bytes: real ones are shorter than a line, inline Dockerfiles than a page.
const LONGEST: usize = 64 << 10;
/// How deep defaults may stand in defaults.
const DEEPEST: usize = 32;
/// Compose sets it by itself, from the folder's name where nobody else does: its default never counts.
const PROJECT: &str = "COMPOSE_PROJECT_NAME";

/// What is known of the variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    /// What `.env` sets: the value, or why it is not known.
    pub(super) set: BTreeMap<String, Result<String, String>>,
    /// Why `.env` can't be read, where it can't; then nothing is known.
    pub(super) broken: Option<String>,
}

/// A text with its variables put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The text.
    pub(super) text: String,
    /// What it holds only if it is so: "TAG=1.25, its default".
    pub(super) assumes: Vec<String>,
}

impl Resolved {
    /// The assumptions as one text; `None` where there are none.
    pub(super) fn assumption(&self) -> Option<String> {
        (!self.assumes.is_empty()).then(|| self.assumes.join("; "))
    }
}

impl Variables {
    /// Puts the variables into a text.
    ///
    /// # Errors
    /// Why the text is not known.
    pub(super) fn resolve(&self, text: &str) -> Result<Resolved, String> {
        self.substitute(text, false)
    }

    /// The same, but what is not known stays as it is written.
    pub(super) fn resolve_known(&self, text: &str) -> Result<Resolved, String> {
        self.substitute(text, true)
    }

    fn substitute(&self, text: &str, keep: bool) -> Result<Resolved, String> {
        if text.len() > LONGEST && text.contains('$') {
            return Err(format!("a text with variables that is longer than {LONGEST} bytes"));
        }
        let mut resolved = Resolved::default();
        self.put_in(text, keep, 0, &mut resolved)?;
        let mut seen = std::collections::BTreeSet::new();
        resolved.assumes.retain(|assumption| seen.insert(assumption.clone()));
        Ok(resolved)
    }

    fn put_in(&self, text: &str, keep: bool, depth: usize, into: &mut Resolved) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("defaults that stand in each other more than {DEEPEST} deep"));
        }
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            into.text.push_str(&rest[..at]);
            rest = &rest[at..];
            let (length, found) = match token(rest) {
                Token::Text => (1, Ok(("$".to_owned(), Vec::new()))),
                Token::Dollar => (2, Ok(("$".to_owned(), Vec::new()))),
                Token::Invalid => (2, Err("no valid variable; Compose refuses it".to_owned())),
                Token::Variable { name, form, length } => (length, self.value(name, form, keep, depth)),
            };
            match found {
                Ok((value, assumes)) => {
                    into.text.push_str(&value);
                    into.assumes.extend(assumes);
                }
                Err(_) if keep => into.text.push_str(&rest[..length]),
                Err(reason) => return Err(reason),
            }
            rest = &rest[length..];
        }
        into.text.push_str(rest);
        Ok(())
    }

    fn value(
        &self,
        name: &str,
        form: Option<(Operator, &str)>,
        keep: bool,
        depth: usize,
    ) -> Result<(String, Vec<String>), String> {
        let unknown = |what: &str| format!("the variable {name} {what}");
        if let Some(broken) = &self.broken {
            return Err(format!("a variable, and `.env` can't be read: {broken}"));
        }
        let known = match self.set.get(name) {
            Some(Ok(value)) => Some(value.as_str()),
            Some(Err(reason)) => {
                return Err(format!("the variable {name}, which `.env` sets to what is not known: {reason}"));
            }
            None if name == PROJECT => return Err(unknown("is the project's name, which is not known from this file")),
            None => None,
        };
        let inner = |text: &str| -> Result<Resolved, String> {
            let mut resolved = Resolved::default();
            self.put_in(text, keep, depth + 1, &mut resolved)?;
            Ok(resolved)
        };
        let from_file = |value: &str| vec![format!("{name}={value}, from .env")];
        let Some((operator, word)) = form else {
            return match known {
                Some(value) => Ok((value.to_owned(), from_file(value))),
                None => Err(unknown("has no default and is not set in `.env`")),
            };
        };
        let counts = known.filter(|value| !(operator.empty_is_unset && value.is_empty()));
        match (operator.kind, counts, known) {
            (Kind::Default | Kind::Required, Some(value), _) => Ok((value.to_owned(), from_file(value))),
            (Kind::Default, None, _) => {
                let mut inner = inner(word)?;
                let text = std::mem::take(&mut inner.text);
                inner.assumes.push(if text.is_empty() {
                    format!("{name} is empty, its default")
                } else {
                    format!("{name}={text}, its default")
                });
                Ok((text, inner.assumes))
            }
            (Kind::Required, None, _) => Err(unknown("must be set, and is not in `.env`")),
            (Kind::Instead, Some(value), _) => {
                let mut inner = inner(word)?;
                inner.assumes.extend(from_file(value));
                Ok((inner.text, inner.assumes))
            }
            (Kind::Instead, None, Some(value)) => Ok((String::new(), from_file(value))),
            // whoever sets it chooses between two images
            (Kind::Instead, None, None) => Err(unknown("decides, and is not set in `.env`")),
        }
    }
}

/// What stands at a `$`.
enum Token<'t> {
    /// A `$` that begins nothing.
    Text,
    /// `$$`.
    Dollar,
    /// `${` that begins no variable.
    Invalid,
    /// A variable: its name, what follows it, and its length in bytes.
    Variable { name: &'t str, form: Option<(Operator, &'t str)>, length: usize },
}

#[derive(Clone, Copy, Debug)]
struct Operator {
    kind: Kind,
    /// With a colon: an empty value counts as none.
    empty_is_unset: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Default,
    Required,
    Instead,
}

fn token(text: &str) -> Token<'_> {
    let after = &text[1..];
    if after.starts_with('$') {
        return Token::Dollar;
    }
    let Some(inside) = after.strip_prefix('{') else {
        let name = name(after);
        return if name.is_empty() {
            Token::Text
        } else {
            Token::Variable { name, form: None, length: 1 + name.len() }
        };
    };
    let name = name(inside);
    let rest = &inside[name.len()..];
    if name.is_empty() {
        return Token::Invalid;
    }
    if rest.starts_with('}') {
        return Token::Variable { name, form: None, length: 2 + name.len() + 1 };
    }
    let (empty_is_unset, word) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    let kind = match word.as_bytes().first() {
        Some(b'-') => Kind::Default,
        Some(b'?') => Kind::Required,
        Some(b'+') => Kind::Instead,
        _ => return Token::Invalid,
    };
    let word = &word[1..];
    let line = word.split('\n').next().unwrap_or_default();
    let Some(end) = closing(line) else { return Token::Invalid };
    let length = text.len() - word.len() + end + 1;
    Token::Variable { name, form: Some((Operator { kind, empty_is_unset }, &word[..end])), length }
}

fn name(text: &str) -> &str {
    let letter = |byte: u8| byte == b'_' || byte.is_ascii_alphabetic();
    let end = text.bytes().position(|byte| !(letter(byte) || byte.is_ascii_digit())).unwrap_or(text.len());
    if text.bytes().next().is_some_and(letter) { &text[..end] } else { "" }
}

/// Where the brace stands that closes a variable whose word begins here: braces in it are counted; where they don't come
/// out even it is the last one of the line.
fn closing(word: &str) -> Option<usize> {
    let bytes = word.as_bytes();
    let (mut open, mut at) = (1_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            b'{' => {
                open += 1;
                // what follows an opening brace is never looked at
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    word.rfind('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let known = |(name, value): (&str, &str)| (name.to_owned(), Ok(value.to_owned()));
        let mut set: BTreeMap<String, Result<String, String>> =
            [("A", "a"), ("E", ""), ("T", "1.25")].into_iter().map(known).collect();
        set.insert("U".to_owned(), Err("why".to_owned()));
        Variables { set, broken: None }
    }

    #[test]
    fn what_a_text_becomes() {
        let rows = [
            ("x", Some("x")),
            ("$A", Some("a")),
            ("$A-b", Some("a-b")),
            ("$Ab", None),
            ("${A}b", Some("ab")),
            ("${E}b", Some("b")),
            ("${N}", None),
            ("${U}", None),
            ("${U:-d}", None),
            ("${A:-d}${E:-d}${N:-d}", Some("add")),
            ("${A-d}${E-d}${N-d}", Some("ad")),
            ("${A:+x}", Some("x")),
            ("${E:+x}", Some("")),
            ("${N:+x}", None),
            ("${A+x}${E+x}", Some("xx")),
            ("${N+x}", None),
            ("${A:?e}${A?e}", Some("aa")),
            ("${E?e}", Some("")),
            ("${E:?e}", None),
            ("${N?e}", None),
            ("${N:-${M:-$A}}:$T", Some("a:1.25")),
            ("${N:-a-${M-b}}}", Some("a-b}")),
            ("${N:-{x}y}", Some("{x}y")),
            ("${N:-{x}", Some("{x")),
            ("${N:-}", Some("")),
            ("${N:-a:-b}", Some("a:-b")),
            ("$$A $${A} $", Some("$A ${A} $")),
            ("$1 $- ${A}", Some("$1 $- a")),
            ("${", None),
            ("${}", None),
            ("${1}", None),
            ("${A", None),
            ("${A/b}", None),
            ("${A:b}", None),
            ("${N:-a\n}", None),
            ("${COMPOSE_PROJECT_NAME:-x}", None),
        ];
        for (text, expected) in rows {
            let found = variables().resolve(text);
            assert_eq!(found.as_ref().ok().map(|found| found.text.as_str()), expected, "{text}: {found:?}");
        }
        assert!(variables().resolve(&"${N:-".repeat(100)).is_err());
        assert!(variables().resolve(&format!("{}{}", "${N:-".repeat(100), "}".repeat(100))).is_err());
        let broken = Variables { broken: Some("why".to_owned()), ..variables() };
        assert!(broken.resolve("x$$").is_ok() && broken.resolve("$A").is_err() && broken.resolve("${N:-d}").is_err());
        assert_eq!(variables().resolve_known("$N ${N:-d} ${} $A").expect("known").text, "$N d ${} a");
    }

    #[test]
    fn assumptions_are_told() {
        let told = |text: &str| variables().resolve(text).expect("known").assumption();
        assert_eq!(told("x:$$1"), None);
        assert_eq!(told("${N:-d}:$T").as_deref(), Some("N=d, its default; T=1.25, from .env"));
        assert_eq!(told("${N:-}").as_deref(), Some("N is empty, its default"));
        assert_eq!(told("${A:+x}$A").as_deref(), Some("A=a, from .env"));
    }
}
