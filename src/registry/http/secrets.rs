//! What was sent in confidence, so that no message repeats it when the other side does.
//! Known in the spellings that an echo would have: as it is, in base64, in a URL, quoted, in any case of letters.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use reqwest::header::HeaderValue;

use crate::limits;
use crate::registry::RegistryError;
use crate::registry::credentials::Secret;

/// What stands in a secret's place.
const HIDDEN: &str = "***";
/// The shortest beginning of a secret that is hidden where a text was cut off.
const CUT: usize = 4;
/// How much of a content is looked through at a time once its escapes are undone.
const WINDOW: usize = 64 << 10;

/// The secrets of a run: passwords, refresh tokens and stored tokens to its end, issued ones as long as they are in use.
#[derive(Default)]
pub(crate) struct Secrets {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By the registry that they are for, each in every spelling.
    kept: HashMap<String, BTreeSet<String>>,
    /// The beginnings of the last ones, newest at the end.
    bearers: VecDeque<String>,
    beginnings: Beginnings,
}

/// The beginnings of all spellings in lower case, as far as a message goes, and how many secrets have each.
#[derive(Default)]
struct Beginnings {
    /// By their first bytes, so that a message is gone through once, however many there are.
    all: HashMap<[u8; CUT], BTreeMap<String, usize>>,
}

impl Secrets {
    /// Takes note of what a request is about to carry for the registry `owner`.
    pub(crate) fn note(&self, owner: &str, authorization: Option<&HeaderValue>, form: Option<&str>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let header = authorization.and_then(|value| value.to_str().ok()?.split_once(' '));
        match header {
            Some(("Basic", encoded)) if !known.keeps(owner, encoded) => {
                let decoded = STANDARD.decode(encoded).unwrap_or_default();
                let decoded = String::from_utf8(decoded).unwrap_or_default();
                let password = decoded.split_once(':').map_or("", |(_, password)| password);
                if !password.is_empty() {
                    known.keep(owner, &decoded);
                    known.keep(owner, password);
                }
                known.keep(owner, encoded);
            }
            Some((scheme, token)) if scheme != "Basic" => known.note_bearer(token),
            _ => {}
        }
        for (name, value) in url::form_urlencoded::parse(form.unwrap_or_default().as_bytes()) {
            if name == "refresh_token" || name == "password" {
                known.keep(owner, &value);
            }
        }
    }

    /// Takes note of a stored token, which is good for longer than this run.
    pub(crate) fn keep(&self, owner: &str, token: &Secret) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keep(owner, token.expose());
    }

    /// Whether a content of the registry `owner` repeats what it was sent to keep, written out or in JSON's escapes.
    ///
    /// Only its own secrets: whether a content is refused can be seen, and must tell nobody about another's.
    pub(crate) fn repeats(&self, owner: &str, content: &[u8]) -> bool {
        let needles: Vec<String> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = known.kept.get(owner).into_iter().flatten();
            kept.filter(|one| one.len() >= limits::SECRET_BYTES).cloned().collect()
        };
        let Some(longest) = needles.iter().map(String::len).max() else { return false };
        let finders: Vec<memmem::Finder<'_>> = needles.iter().map(memmem::Finder::new).collect();
        let found = |text: &[u8]| finders.iter().any(|finder| finder.find(text).is_some());
        if found(content) {
            return true;
        }
        let Some(first) = memchr::memchr(b'\\', content) else { return false };
        let (mut window, mut rest) = (Vec::new(), &content[first.saturating_sub(longest)..]);
        while !rest.is_empty() {
            rest = unescape_one(rest, &mut window);
            if window.len() >= WINDOW + longest {
                if found(&window) {
                    return true;
                }
                window.drain(..window.len() - longest);
            }
        }
        found(&window)
    }

    /// The text without them, as far as a message goes.
    pub(crate) fn hide(&self, text: &str) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.beginnings.all.is_empty() {
            return text.to_owned();
        }
        let text = beginning(text, limits::MESSAGE_BYTES);
        let hidden = known.beginnings.mark(text.to_ascii_lowercase().as_bytes());
        drop(known);
        let mut shown = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            match (hidden[at], at > 0 && hidden[at - 1]) {
                (false, _) => shown.push(c),
                (true, false) => shown.push_str(HIDDEN),
                (true, true) => {}
            }
        }
        shown
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

impl Known {
    fn keeps(&self, owner: &str, secret: &str) -> bool {
        self.kept.get(owner).is_some_and(|kept| kept.contains(secret))
    }

    fn keep(&mut self, owner: &str, secret: &str) {
        if self.keeps(owner, secret) {
            return;
        }
        let kept = self.kept.entry(owner.to_owned()).or_default();
        for spelling in spellings(secret) {
            self.beginnings.add(&spelling);
            kept.insert(spelling);
        }
    }

    fn note_bearer(&mut self, token: &str) {
        let start = beginning(token, limits::MESSAGE_BYTES);
        if self.beginnings.holds(start) {
            return;
        }
        if self.bearers.len() >= limits::BEARERS
            && let Some(oldest) = self.bearers.pop_front()
        {
            spellings(&oldest).iter().for_each(|spelling| self.beginnings.remove(spelling));
        }
        spellings(start).iter().for_each(|spelling| self.beginnings.add(spelling));
        self.bearers.push_back(start.to_owned());
    }
}

impl Beginnings {
    fn add(&mut self, spelling: &str) {
        let (key, start) = Self::entry(spelling);
        *self.all.entry(key).or_default().entry(start).or_default() += 1;
    }

    fn remove(&mut self, spelling: &str) {
        let (key, start) = Self::entry(spelling);
        let Some(same) = self.all.get_mut(&key) else { return };
        if let Some(holders) = same.get_mut(&start) {
            *holders -= 1;
            if *holders == 0 {
                same.remove(&start);
            }
        }
        if same.is_empty() {
            self.all.remove(&key);
        }
    }

    fn holds(&self, spelling: &str) -> bool {
        let (key, start) = Self::entry(spelling);
        self.all.get(&key).is_some_and(|same| same.contains_key(&start))
    }

    fn entry(spelling: &str) -> ([u8; CUT], String) {
        // Not shorter than a message, so that nothing of a longer one can follow its beginning there.
        let start = beginning(spelling, limits::MESSAGE_BYTES + 3).to_ascii_lowercase();
        (key(start.as_bytes()), start)
    }

    /// Which bytes of `text` (in lower case) belong to a secret, or to the beginning of one at its end.
    fn mark(&self, text: &[u8]) -> Vec<bool> {
        let mut hidden = vec![false; text.len()];
        for at in 0..text.len() {
            let rest = &text[at..];
            let same = self.all.get(&key(rest));
            let starts = same.into_iter().flat_map(BTreeMap::keys);
            if rest.len() >= CUT && starts.clone().any(|start| start.as_bytes().starts_with(rest)) {
                hidden[at..].fill(true);
                break;
            }
            // Those that are shorter than a key stand under a key of their own.
            let short = (1..CUT.min(rest.len())).filter_map(|length| self.all.get(&key(&rest[..length])));
            let all = starts.chain(short.flat_map(BTreeMap::keys));
            let longest = all.filter(|start| rest.starts_with(start.as_bytes())).map(String::len).max();
            hidden[at..at + longest.unwrap_or_default()].fill(true);
        }
        hidden
    }
}

/// The first bytes, filled up with what stands in no header.
fn key(text: &[u8]) -> [u8; CUT] {
    let mut key = [0; CUT];
    let length = text.len().min(CUT);
    key[..length].copy_from_slice(&text[..length]);
    key
}

/// At most `most` bytes from the start of `text`.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Moves one character of JSON into `window`, and tells what follows it.
fn unescape_one<'a>(text: &'a [u8], window: &mut Vec<u8>) -> &'a [u8] {
    let plain = match text {
        [b'\\', b'u', rest @ ..] => {
            let unit = |text: &[u8]| u16::from_str_radix(std::str::from_utf8(text.get(..4)?).ok()?, 16).ok();
            let first = unit(rest);
            let second = rest.get(4..).and_then(|after| unit(after.strip_prefix(b"\\u")?));
            for units in [&[first, second][..], &[first]] {
                let Some(units) = units.iter().copied().collect::<Option<Vec<u16>>>() else { continue };
                let mut characters = char::decode_utf16(units.iter().copied());
                if let (Some(Ok(c)), None) = (characters.next(), characters.next()) {
                    window.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    return &rest[6 * units.len() - 2..];
                }
            }
            b'\\'
        }
        [b'\\', escaped @ (b'"' | b'\\' | b'/'), ..] => *escaped,
        [b'\\', b'n', ..] => b'\n',
        [b'\\', b't', ..] => b'\t',
        [b'\\', b'r', ..] => b'\r',
        [b'\\', b'b', ..] => 8,
        [b'\\', b'f', ..] => 12,
        [one, ..] => {
            window.push(*one);
            return &text[1..];
        }
        [] => return text,
    };
    window.push(plain);
    &text[if plain == b'\\' && text[1] != b'\\' { 1 } else { 2 }..]
}

/// The forms that an echo of `secret` may have.
fn spellings(secret: &str) -> BTreeSet<String> {
    if secret.is_empty() {
        return BTreeSet::new();
    }
    let in_url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let quoted = format!("{secret:?}");
    BTreeSet::from([
        secret.to_owned(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        in_url.replace('+', "%20"),
        in_url,
        quoted.trim_matches('"').to_owned(),
    ])
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
        secrets.note("x.io", Some(&basic("bob", "Hunter 2/ü")), None);
        secrets.note("x.io", Some(&HeaderValue::from_static("Bearer abc.DEF-_")), None);
        secrets.note("x.io", None, Some("grant_type=refresh_token&refresh_token=r%2Ft+1&service=x"));
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
            secrets.note("x.io", Some(&header), None);
        }
        assert_eq!(secrets.hide("token-00005"), HIDDEN);
        assert_eq!(secrets.known.lock().unwrap().bearers.len(), limits::BEARERS);
    }

    #[test]
    fn rule_23_a_stored_token_outlives_all_that_were_issued() {
        let secrets = Secrets::default();
        secrets.keep("x.io", &Secret::new("stored-token".to_owned()));
        for number in 0..limits::BEARERS + 2 {
            let header = HeaderValue::from_str(&format!("Bearer token-{number:05}")).unwrap();
            secrets.note("x.io", Some(&header), None);
            secrets.note("x.io", Some(&HeaderValue::from_static("Bearer stored-token")), None);
        }
        assert_eq!(secrets.hide("you sent stored-token"), "you sent ***");
        assert_eq!(secrets.known.lock().unwrap().bearers.len(), limits::BEARERS);
    }

    #[test]
    fn rule_23_a_content_that_repeats_a_secret_is_told() {
        let secrets = Secrets::default();
        secrets.note("x.io", Some(&basic("bob", "a \"long\" hünter \u{1f600}")), None);
        secrets.note("x.io", Some(&basic("bob", "short")), None);
        secrets.note("y.io", Some(&basic("bob", "of another registry")), None);
        secrets.note("x.io", Some(&HeaderValue::from_static("Bearer issued-token")), None);
        let escaped = r#"{"a":"a \"long\" h\u00fcnter \ud83d\ude00"}"#;
        let all: String = "a \"long\" hünter \u{1f600}".encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let far = format!("{}\\n{}{all}", "x".repeat(3 * WINDOW), "y".repeat(WINDOW - 5));
        let coded = STANDARD.encode("bob:a \"long\" hünter \u{1f600}");
        for content in [escaped, &all, &far, &coded, "a+%22long%22+h%C3%BCnter+%F0%9F%98%80"] {
            assert!(secrets.repeats("x.io", content.as_bytes()), "{content}");
            assert!(!secrets.repeats("y.io", content.as_bytes()), "another's is no matter of this one");
        }
        for content in [
            "",
            "{}",
            "short",
            "issued-token",
            "\\",
            "\\u",
            "\\u00",
            "\\ud83d",
            "\\ud83d\\u",
            "\\x",
            "of another registry",
        ] {
            assert!(!secrets.repeats("x.io", content.as_bytes()), "{content}");
        }
    }

    #[test]
    fn messages_cost_little_however_many_tokens_there_are() {
        let secrets = Secrets::default();
        for number in 0..limits::BEARERS {
            let header = HeaderValue::from_str(&format!("Bearer eyJh{number:08}{}", "x".repeat(4_000))).unwrap();
            secrets.note("x.io", Some(&header), None);
        }
        let message = format!("go away, and take {} with you", "eyJheyJi".repeat(20));
        let since = std::time::Instant::now();
        for _ in 0..1_000 {
            assert_eq!(secrets.hide(&message).len(), message.len());
        }
        // By far enough for a build without optimization; it was hours.
        assert!(since.elapsed() < std::time::Duration::from_secs(60), "{:?}", since.elapsed());
        let sent = format!("eyJh{:08}{}", 7, "x".repeat(4_000));
        assert_eq!(secrets.hide(&format!("you sent {sent}, go")), "you sent ***");
    }

    #[test]
    fn a_run_without_secrets_changes_no_text() {
        assert_eq!(Secrets::default().hide("any text"), "any text");
    }
}
