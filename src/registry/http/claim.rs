//! What a token says of itself that it is good for: the `access` claim of a JWT (distribution, `spec/auth/jwt.md`).
//! A hint, never a proof: it decides which repositories share a token request, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

#[derive(Deserialize)]
struct Claims {
    access: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// The repositories that `token` claims to pull from; `None` where it is no JWT or claims nothing in this form.
pub(crate) fn pulls(token: &str) -> Option<Vec<String>> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let pulls = |access: &Access| {
        access.kind == "repository" && access.actions.iter().any(|action| matches!(action.as_str(), "pull" | "*"))
    };
    Some(claims.access.into_iter().filter(pulls).map(|access| access.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_claim_is_read() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let entry = |kind: &str, name: &str, actions: &str| {
            format!(r#"{{"type":"{kind}","name":"{name}","actions":[{actions}]}}"#)
        };
        let three = [
            entry("repository", "a/b", r#""pull""#),
            entry("repository", "c", r#""push""#),
            entry("registry", "d", r#""*""#),
            entry("repository", "e", r#""delete","*""#),
        ];
        let rows = [
            (jwt(&format!(r#"{{"access":[{}]}}"#, three.join(","))), Some(vec!["a/b", "e"])),
            (jwt(r#"{"access":[]}"#), Some(vec![])),
            (jwt(r#"{"access":null}"#), None),
            (jwt("{}"), None),
            (jwt("[]"), None),
            (jwt(r#"{"access":[{"type":"repository"}]}"#), None),
            ("token-7".to_owned(), None),
            ("a.b".to_owned(), None),
            ("a.b.c.d".to_owned(), None),
            ("e30.%%%.c2ln".to_owned(), None),
            (String::new(), None),
        ];
        for (token, expected) in rows {
            let expected = expected.map(|names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(pulls(&token), expected, "{token}");
        }
    }
}
