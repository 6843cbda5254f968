//! What the value of an environment variable looks like: nothing, a secret of a known shape, or something else.
//! It looks once and keeps nothing of the value; each look takes as long as the value, however it was made.

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Empty, or a word that only switches something, such as `yes`.
    Blank,
    /// A secret, by its shape: `a GitHub token`.
    Secret(&'static str),
    /// It begins with `/`, as the path of a file does.
    Path,
    /// Something else, which may be a secret all the same.
    Other,
}

/// Words that hold no secret.
const SWITCHES: [&str; 6] = ["true", "false", "yes", "no", "on", "off"];

/// Tokens that begin in a way of their own: what they are, how they begin, and how many letters, digits, `_` or `-`
/// follow at least.
const TOKENS: [(&str, &str, usize); 30] = [
    ("an AWS access key", "AKIA", 16),
    ("an AWS access key", "ASIA", 16),
    ("a GitHub token", "ghp_", 36),
    ("a GitHub token", "gho_", 36),
    ("a GitHub token", "ghu_", 36),
    ("a GitHub token", "ghs_", 36),
    ("a GitHub token", "ghr_", 36),
    ("a GitHub token", "github_pat_", 22),
    ("a GitLab token", "glpat-", 20),
    ("a GitLab token", "glrt-", 20),
    ("a GitLab token", "gldt-", 20),
    ("a Docker Hub token", "dckr_pat_", 20),
    ("a Slack token", "xoxb-", 20),
    ("a Slack token", "xoxp-", 20),
    ("a Slack token", "xoxa-", 20),
    ("a Slack token", "xapp-", 20),
    ("a Stripe key", "sk_live_", 16),
    ("a Stripe key", "rk_live_", 16),
    ("a Google API key", "AIza", 35),
    ("a Google OAuth secret", "GOCSPX-", 24),
    ("an npm token", "npm_", 36),
    ("a PyPI token", "pypi-AgE", 40),
    ("a Hugging Face token", "hf_", 30),
    ("an Anthropic key", "sk-ant-", 24),
    ("an OpenAI key", "sk-proj-", 24),
    ("an API key", "sk-", 32),
    ("a Vault token", "hvs.", 24),
    ("a DigitalOcean token", "dop_v1_", 64),
    ("a Shopify token", "shpat_", 32),
    ("an age key", "AGE-SECRET-KEY-1", 50),
];

impl Value {
    /// What `value` looks like.
    pub(super) fn of(value: &str) -> Self {
        let word = value.trim();
        if word.is_empty() || SWITCHES.iter().any(|switch| word.eq_ignore_ascii_case(switch)) {
            return Self::Blank;
        }
        match shape(value) {
            Some(secret) => Self::Secret(secret),
            None if value.starts_with('/') => Self::Path,
            None => Self::Other,
        }
    }
}

fn shape(value: &str) -> Option<&'static str> {
    if private_key(value) {
        return Some("a private key");
    }
    if let Some((what, ..)) = TOKENS.iter().find(|(_, start, least)| token(value, start, *least)) {
        return Some(what);
    }
    if value.split(|letter: char| !is_word(letter) && letter != '.').any(json_web_token) {
        return Some("a JSON web token");
    }
    if url_with_password(value) {
        return Some("a URL with a password");
    }
    connection_with_password(value).then_some("a connection string with a password")
}

/// `-----BEGIN … PRIVATE KEY …-----`, of any kind.
fn private_key(value: &str) -> bool {
    value.split("-----BEGIN ").skip(1).any(|rest| {
        let title = rest.split_once("-----").map_or("", |(title, _)| title);
        title.contains("PRIVATE KEY")
    })
}

fn token(value: &str, start: &str, least: usize) -> bool {
    value.match_indices(start).any(|(at, _)| {
        let begins = !value[..at].ends_with(|letter: char| letter.is_ascii_alphanumeric());
        // No further than asked: beginnings that follow each other densely must not make it slow.
        begins && value[at + start.len()..].chars().take(least).filter(|letter| is_word(*letter)).count() == least
    })
}

/// Three parts of base64 for URLs, of which the first two hold JSON objects (RFC 7519); the third may be empty.
fn json_web_token(word: &str) -> bool {
    let mut parts = word.trim_matches('.').split('.');
    let object = |part: Option<&str>| part.is_some_and(|part| part.starts_with("eyJ") && part.len() >= 8);
    object(parts.next()) && object(parts.next())
}

/// `scheme://user:password@host`; a password that another variable is put in for is none.
fn url_with_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(|letter: char| matches!(letter, '/' | '?' | '#') || letter.is_whitespace()).next();
        let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
        let password = user.and_then(|user| user.split_once(':')).map(|(_, password)| password);
        password.is_some_and(|password| !password.is_empty() && !is_variable(password))
    })
}

/// `Server=db;Password=…;` or `host=db password=…`; a password that another variable is put in for is none.
fn connection_with_password(value: &str) -> bool {
    const KEYS: [&str; 4] = ["password", "pwd", "accountkey", "sharedaccesskey"];
    let is_password = |part: &str| {
        let (key, password) = part.split_once('=').unwrap_or_default();
        let password = password.trim();
        KEYS.iter().any(|known| key.trim().eq_ignore_ascii_case(known))
            && !password.is_empty()
            && !is_variable(password)
    };
    let has_two = || value.split_whitespace().filter(|word| word.contains('=')).nth(1).is_some();
    value.contains(';') && value.split(';').any(is_password) || has_two() && value.split_whitespace().any(is_password)
}

/// Whether all of it is `$NAME` or `${NAME}`.
fn is_variable(text: &str) -> bool {
    let Some(name) = text.strip_prefix('$') else { return false };
    let name = name.strip_prefix('{').map_or(Some(name), |name| name.strip_suffix('}'));
    name.is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_shape() {
        let long = "aB3".repeat(30);
        for (what, start, least) in TOKENS {
            let whole = format!("{start}{}", &long[..least]);
            for value in [whole.clone(), format!("x={whole}"), format!("Bearer {whole}\n"), format!("'{whole}',")] {
                assert_eq!(Value::of(&value), Value::Secret(what), "{value}");
            }
            for value in [format!("{start}{}", &long[..least - 1]), format!("x{whole}"), start.to_owned()] {
                assert_eq!(Value::of(&value), Value::Other, "{value}");
            }
        }
        let rows = [
            ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", Value::Secret("a private key")),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3", Value::Secret("a private key")),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----", Value::Secret("a private key")),
            ("-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----", Value::Other),
            ("-----BEGIN CERTIFICATE-----", Value::Other),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", Value::Secret("a JSON web token")),
            ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", Value::Secret("a JSON web token")),
            ("eyJhbGciOiJIUzI1NiJ9", Value::Other),
            ("eyJ.eyJ.x", Value::Other),
            ("postgres://app:hunter2@db:5432/app", Value::Secret("a URL with a password")),
            ("a,redis://:hunter2@cache", Value::Secret("a URL with a password")),
            ("http://user:p@ss@host/", Value::Secret("a URL with a password")),
            ("postgres://app@db/app", Value::Other),
            ("postgres://app:@db/app", Value::Other),
            ("postgres://app:${PASSWORD}@db/app", Value::Other),
            ("postgres://app:$PASSWORD@db/app", Value::Other),
            ("postgres://app:$ecret!@db/app", Value::Secret("a URL with a password")),
            ("postgres://app:$1ecret@db/app", Value::Secret("a URL with a password")),
            ("postgres://app:${PASSWORD:-hunter2}@db/app", Value::Secret("a URL with a password")),
            ("postgres://app:${PASSWORD}x@db/app", Value::Secret("a URL with a password")),
            ("Server=db;User=a;Password=hunter2;", Value::Secret("a connection string with a password")),
            ("Server=db;pwd = hunter2", Value::Secret("a connection string with a password")),
            ("host=db password=hunter2", Value::Secret("a connection string with a password")),
            ("Server=db;Password=;", Value::Other),
            ("Server=db;Password=${PASSWORD};", Value::Other),
            ("Server=db;User=a", Value::Other),
            ("https://example.com:8080/a:b@c", Value::Other),
            ("", Value::Blank),
            (" ", Value::Blank),
            ("Yes", Value::Blank),
            ("FALSE", Value::Blank),
            ("1", Value::Other),
            ("/usr/bin:/bin", Value::Path),
        ];
        for (value, expected) in rows {
            assert_eq!(Value::of(value), expected, "{value}");
        }
    }

    /// Each of these is met with no more work than its length; one that goes back over it would take hours.
    #[test]
    fn no_value_makes_it_slow() {
        for part in [
            "ghp_",
            "AKIA",
            "glpat-",
            "github_pat_",
            "eyJ",
            "eyJ.",
            "://",
            "://:",
            "-----BEGIN ",
            "a:b@",
            "--",
            ";",
            "pwd=;",
            "a= ",
        ] {
            assert_ne!(Value::of(&part.repeat(300_000 / part.len())), Value::Blank, "{part}");
        }
    }
}
