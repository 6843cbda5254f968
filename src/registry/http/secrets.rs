//! What was sent in confidence, so that no message repeats it when the other side does.
//! Known in the spellings that an echo would have: as it is, in base64, in a URL, quoted, in any case of letters.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::header::HeaderValue;

use crate::limits;
use crate::registry::RegistryError;

/// What stands in a secret's place.
const HIDDEN: &str = "***";
/// The shortest beginning of a secret that is hidden where a text was cut off.
const CUT: usize = 4;

/// The secrets of a run: passwords and refresh tokens to its end, bearer tokens as long as they are in use.
#[derive(Default)]
pub(crate) struct Secrets {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Each in every spelling.
    kept: BTreeSet<String>,
    /// The last ones, newest at the end.
    bearers: VecDeque<String>,
}

impl Secrets {
    /// Takes note of what a request is about to carry.
    pub(crate) fn note(&self, authorization: Option<&HeaderValue>, form: Option<&str>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let header = authorization.and_then(|value| value.to_str().ok()?.split_once(' '));
        match header {
            Some(("Basic", encoded)) if !known.kept.contains(encoded) => {
                let decoded = STANDARD.decode(encoded).unwrap_or_default();
                let decoded = String::from_utf8(decoded).unwrap_or_default();
                let password = decoded.split_once(':').map_or("", |(_, password)| password);
                known.kept.extend([encoded, &decoded, password].into_iter().flat_map(spellings));
                known.kept.insert(encoded.to_owned());
            }
            Some(("Basic", _)) | None => {}
            Some((_, token)) if !known.bearers.iter().any(|other| other == token) => {
                if known.bearers.len() >= limits::BEARERS {
                    known.bearers.pop_front();
                }
                known.bearers.push_back(token.to_owned());
            }
            Some(_) => {}
        }
        for (name, value) in url::form_urlencoded::parse(form.unwrap_or_default().as_bytes()) {
            if name == "refresh_token" || name == "password" {
                known.kept.extend(spellings(&value));
            }
        }
    }

    /// The text without them.
    pub(crate) fn hide(&self, text: &str) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bearers = known.bearers.iter().flat_map(|token| spellings(token));
        let mut all: Vec<String> = known.kept.iter().cloned().chain(bearers).filter(|one| !one.is_empty()).collect();
        drop(known);
        // The longest first, so that no rest of it is left.
        all.sort_by_key(|one| std::cmp::Reverse(one.len()));
        all.into_iter().fold(text.to_owned(), |text, secret| without(&text, &secret.to_ascii_lowercase()))
    }

    /// The error without them, whichever of its texts the other side had a hand in.
    pub(crate) fn cleanse(&self, error: RegistryError) -> RegistryError {
        use RegistryError as E;
        match error {
            E::Unauthorized { host, detail } => E::Unauthorized { host, detail: self.hide(&detail) },
            E::Forbidden { host, detail } => E::Forbidden { host, detail: self.hide(&detail) },
            E::Status { host, status, detail } => E::Status { host, status, detail: self.hide(&detail) },
            E::Malformed { place, detail } => E::Malformed { place, detail: self.hide(&detail) },
            E::Unreachable { host, detail } => E::Unreachable { host, detail: self.hide(&detail) },
            E::Refused { reason } => E::Refused { reason: self.hide(&reason) },
            E::Local { path, detail } => E::Local { path, detail: self.hide(&detail) },
            error => error,
        }
    }
}

/// The forms that an echo of `secret` may have.
fn spellings(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    let in_url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let quoted = format!("{secret:?}");
    vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        in_url.replace('+', "%20"),
        in_url,
        quoted.trim_matches('"').to_owned(),
    ]
}

/// `text` without `secret` (in lower case), and without the beginning of it where the text ends in the middle of one.
fn without(text: &str, secret: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower[from..].find(secret) {
        shown.push_str(&text[from..from + at]);
        shown.push_str(HIDDEN);
        from += at + secret.len();
    }
    let rest = &lower[from..];
    let cut =
        (CUT..secret.len()).rev().find(|length| secret.is_char_boundary(*length) && rest.ends_with(&secret[..*length]));
    match cut {
        Some(length) => {
            shown.push_str(&text[from..text.len() - length]);
            shown.push_str(HIDDEN);
        }
        None => shown.push_str(&text[from..]),
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).unwrap()
    }

    #[test]
    fn rule_23_every_spelling_of_a_secret_is_hidden() {
        let secrets = Secrets::default();
        secrets.note(Some(&basic("bob", "Hunter 2/ü")), None);
        secrets.note(Some(&HeaderValue::from_static("Bearer abc.DEF-_")), None);
        secrets.note(None, Some("grant_type=refresh_token&refresh_token=r%2Ft+1&service=x"));
        let rows = [
            ("you sent Hunter 2/ü", "you sent ***"),
            ("you sent HUNTER 2/ü!", "you sent ***!"),
            ("bob:Hunter 2/ü", "***"),
            ("Hunter+2%2F%C3%BC", "***"),
            ("hunter%202%2f%c3%bc", "***"),
            ("x r/t 1 y", "x *** y"),
            ("r%2Ft+1", "***"),
            ("Bearer abc.def-_ and more", "Bearer *** and more"),
            ("service x, nothing of bob's", "service x, nothing of bob's"),
            ("cut off in the middle: Hunter", "cut off in the middle: ***"),
            ("cut: abc.DE", "cut: ***"),
        ];
        for (said, shown) in rows {
            assert_eq!(secrets.hide(said), shown, "{said}");
        }
        for encoded in
            [STANDARD.encode("bob:Hunter 2/ü"), STANDARD.encode("Hunter 2/ü"), URL_SAFE_NO_PAD.encode("r/t 1")]
        {
            assert_eq!(secrets.hide(&format!("<{encoded}>")), "<***>");
        }
        let error = RegistryError::Malformed { place: "x.io".into(), detail: "in \"abc.DEF-_\"".into() };
        let expected = RegistryError::Malformed { place: "x.io".into(), detail: "in \"***\"".into() };
        assert_eq!(secrets.cleanse(error), expected);
    }

    #[test]
    fn the_last_bearer_tokens_are_kept_and_no_more() {
        let secrets = Secrets::default();
        for number in 0..limits::BEARERS + 2 {
            let header = HeaderValue::from_str(&format!("Bearer token-{number:05}")).unwrap();
            secrets.note(Some(&header), None);
        }
        assert_eq!(secrets.hide("token-00005"), HIDDEN);
        assert_eq!(secrets.known.lock().unwrap().bearers.len(), limits::BEARERS);
    }

    #[test]
    fn a_run_without_secrets_changes_no_text() {
        assert_eq!(Secrets::default().hide("any text"), "any text");
    }
}
