//! The patterns of `${V#p}`, `${V%p}` and `${V/p/r}`: `*`, `?` and escaped characters, as BuildKit turns them into
//! regular expressions. Brackets are no classes.

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Star,
    Any,
    Letter(char),
}

impl Pattern {
    /// Parses it; an error where builders refuse it.
    pub(super) fn parse(text: &[char]) -> Result<Self, String> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut letters = text.iter().copied().peekable();
        while let Some(letter) = letters.next() {
            tokens.push(match letter {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' if matches!(letters.peek(), Some('}' | '/')) => continue,
                '\\' => match letters.next() {
                    Some(escaped @ ('*' | '?' | '\\')) => Token::Letter(escaped),
                    _ => return Err("an invalid escape in a pattern".to_owned()),
                },
                letter => Token::Letter(letter),
            });
        }
        Ok(Self(tokens))
    }

    /// The text without the shortest or the longest beginning that fits.
    pub(super) fn cut_prefix(&self, text: &str, longest: bool) -> String {
        let letters: Vec<char> = text.chars().collect();
        let end = end(&self.0, &letters, longest).unwrap_or(0);
        letters[end..].iter().collect()
    }

    /// The text without the shortest or the longest end that fits.
    pub(super) fn cut_suffix(&self, text: &str, longest: bool) -> String {
        let tokens: Vec<Token> = self.0.iter().rev().copied().collect();
        let letters: Vec<char> = text.chars().rev().collect();
        let end = end(&tokens, &letters, longest).unwrap_or(0);
        letters[end..].iter().rev().collect()
    }

    /// The text with the first, or every, longest fit replaced.
    pub(super) fn replace(&self, text: &str, replacement: &str, all: bool) -> String {
        let letters: Vec<char> = text.chars().collect();
        let (mut result, mut at, mut last) = (String::new(), 0, None);
        while at <= letters.len() {
            match end(&self.0, &letters[at..], true) {
                // an empty fit right behind another one is none
                Some(length) if length > 0 || last != Some(at) => {
                    result.push_str(replacement);
                    last = Some(at + length);
                    if !all {
                        result.extend(&letters[at + length..]);
                        return result;
                    }
                    result.extend(letters.get(at).filter(|_| length == 0));
                    at += length.max(1);
                }
                _ => {
                    result.extend(letters.get(at));
                    at += 1;
                }
            }
        }
        result
    }
}

/// Where the shortest or the longest beginning of `text` that fits ends.
fn end(tokens: &[Token], text: &[char], longest: bool) -> Option<usize> {
    // states[i]: the first i tokens fit what was read
    let mut states = vec![false; tokens.len() + 1];
    states[0] = true;
    skip_stars(tokens, &mut states);
    let mut found = states[tokens.len()].then_some(0);
    for (at, letter) in text.iter().enumerate() {
        if found.is_some() && !longest || !states.contains(&true) {
            break;
        }
        let mut next = vec![false; tokens.len() + 1];
        for (state, token) in tokens.iter().enumerate().filter(|(state, _)| states[*state]) {
            match token {
                Token::Star if *letter != '\n' => next[state] = true,
                Token::Any if *letter != '\n' => next[state + 1] = true,
                Token::Letter(own) if own == letter => next[state + 1] = true,
                _ => {}
            }
        }
        states = next;
        skip_stars(tokens, &mut states);
        if states[tokens.len()] {
            found = Some(at + 1);
        }
    }
    found
}

fn skip_stars(tokens: &[Token], states: &mut [bool]) {
    for (state, token) in tokens.iter().enumerate() {
        if states[state] && *token == Token::Star {
            states[state + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(&text.chars().collect::<Vec<_>>()).expect("a pattern")
    }

    #[test]
    fn cuts_and_replacements() {
        let rows = [
            (".*", "18.2.1", "18.2.1", "18.2.1", "18.2", "18"),
            ("*.", "18.2.1", "2.1", "1", "18.2.1", "18.2.1"),
            ("1?", "18.2.1", ".2.1", ".2.1", "18.2.1", "18.2.1"),
            ("", "abc", "abc", "abc", "abc", "abc"),
            ("*", "abc", "abc", "", "abc", ""),
            ("a*b", "axbxb", "xb", "", "", ""),
        ];
        for (text, value, short, long, end_short, end_long) in rows {
            let pattern = pattern(text);
            assert_eq!(pattern.cut_prefix(value, false), short, "{text}");
            assert_eq!(pattern.cut_prefix(value, true), long, "{text}");
            assert_eq!(pattern.cut_suffix(value, false), end_short, "{text}");
            assert_eq!(pattern.cut_suffix(value, true), end_long, "{text}");
        }
        assert_eq!(pattern(".").replace("1.2.3", "-", false), "1-2.3");
        assert_eq!(pattern(".").replace("1.2.3", "-", true), "1-2-3");
        assert_eq!(pattern("").replace("ab", "-", true), "-a-b-");
        assert_eq!(pattern("*").replace("ab", "-", true), "-");
        assert_eq!(pattern("\\*").replace("a*b*", "", true), "ab");
        assert!(Pattern::parse(&['\\', 'x']).is_err());
    }
}
