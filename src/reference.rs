//! An image reference as written and as meant, by the distribution grammar and nothing looser.
//! It never guesses: what the grammar refuses is an error that names the part at fault.
//!
//! Longer than most files: half of it is the table of what the grammar takes and refuses.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::digest::{Digest, DigestError};
use crate::limits;

/// The host that short names mean.
pub const HUB: &str = "docker.io";
/// The tag that a name without tag and digest means.
pub const LATEST: &str = "latest";

/// The longest name in DNS with a port: any longer text is no host, and a digest fits behind every reference.
const MAX_HOST: usize = 253 + ":65535".len();
const MAX_PATH: usize = 255;
const MAX_TAG: usize = 128;

/// A repository: registry host (lower case, with its port) and path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// Registry host, with its port where one is written: `docker.io`, `localhost:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Path inside the registry: `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// A parsed and normalised reference; the text as written stands beside it.
///
/// Source: distribution/reference, `reference.go` (grammar) and `normalize.go` (short names mean Docker Hub).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    text: String,
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Which part the grammar refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Nothing at all.
    #[error("the reference is empty")]
    Empty,
    /// Longer than any reference can be.
    #[error("the reference is longer than {} bytes", limits::REFERENCE_BYTES)]
    TooLong,
    /// 64 hex digits, which tools take for an image id.
    #[error("64 hex digits are an image id, not a name")]
    Identifier,
    /// White space or a control character.
    #[error("a reference holds no white space or control characters")]
    Space,
    /// The registry host.
    #[error("`{0}` is not a registry host")]
    Host(String),
    /// Upper case in the repository.
    #[error("repository `{0}` must be lower case")]
    Uppercase(String),
    /// The repository.
    #[error("`{0}` is not a repository name")]
    Repository(String),
    /// The repository's length.
    #[error("the repository name is longer than {MAX_PATH} characters")]
    RepositoryTooLong,
    /// The tag.
    #[error("`{0}` is not a tag")]
    Tag(String),
    /// The digest.
    #[error("the digest is not one: {0}")]
    Digest(#[from] DigestError),
}

impl Reference {
    /// Parses and normalises `text`; white space around it is not trimmed.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > limits::REFERENCE_BYTES {
            return Err(ReferenceError::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(ReferenceError::Space);
        }
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::Identifier);
        }
        let (host, rest) = split_host(text);
        if host.is_some_and(|host| !is_host(host)) {
            return Err(ReferenceError::Host(host.unwrap_or_default().to_owned()));
        }
        let host = host.map_or_else(|| HUB.to_owned(), canonical_host);
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest)?)),
            None => (rest, None),
        };
        let (path, tag) = match name.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (name, None),
        };
        check_path(path)?;
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(tag.to_owned()));
        }
        let path = if host == HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if path.len() > MAX_PATH {
            return Err(ReferenceError::RepositoryTooLong);
        }
        let repository = Repository { host, path };
        Ok(Self { text: text.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Host and path.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag as written; `None` also where `latest` is meant.
    pub fn written_tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The tag as meant: the written one, `latest` for a name alone, none for `name@digest`.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref().or(if self.digest.is_none() { Some(LATEST) } else { None })
    }

    /// The digest, where one is written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The name and tag as written, without the digest.
    pub fn text_without_digest(&self) -> &str {
        self.text.split_once('@').map_or(self.text.as_str(), |(name, _)| name)
    }
}

/// Normalised, with tag and digest as far as written; `:latest` where neither is.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The host part, when the first component is one: it has a dot, a colon or an upper-case letter, or is `localhost`.
pub(crate) fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase) =>
        {
            (Some(first), rest)
        }
        _ => (None, text),
    }
}

/// The other hosts that are Docker Hub.
pub(crate) const HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// Lower case, and one name for Docker Hub.
pub(crate) fn canonical_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if HUB_ALIASES.contains(&host.as_str()) { HUB.to_owned() } else { host }
}

/// `domain-name / "[" IPv6 "]"`, with an optional port.
pub(crate) fn is_host(host: &str) -> bool {
    if host.len() > MAX_HOST {
        return false;
    }
    let (name, port) = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => (&host[..at], Some(&host[at + 1..])),
        _ => (host, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => name.split('.').all(is_label),
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.chars().any(char::is_uppercase) {
        return Err(ReferenceError::Uppercase(path.to_owned()));
    }
    if !is_path(path) {
        return Err(ReferenceError::Repository(path.to_owned()));
    }
    Ok(())
}

/// Components joined by `/`, without a check of the length.
pub(crate) fn is_path(path: &str) -> bool {
    path.split('/').all(is_component)
}

/// `[a-z0-9]+` runs joined by `.`, `_`, `__` or any number of `-`.
pub(crate) fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    bytes
        .split(|byte| alphanumeric(*byte))
        .all(|separator| matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-'))
}

/// `[\w][\w.-]{0,127}`, ASCII.
pub(crate) fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn accepted_references_normalise() {
        let long_tag = "t".repeat(128);
        let rows = [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.25", "docker.io/library/nginx:1.25"),
            ("nginx:latest", "docker.io/library/nginx:latest"),
            ("library/nginx", "docker.io/library/nginx:latest"),
            ("acme/app:1", "docker.io/acme/app:1"),
            ("a/b/c:1", "docker.io/a/b/c:1"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("docker.io/library/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/nginx:1", "docker.io/library/nginx:1"),
            ("registry-1.docker.io/nginx:1", "docker.io/library/nginx:1"),
            ("index.docker.io/acme/app", "docker.io/acme/app:latest"),
            ("DOCKER.IO/nginx:1", "docker.io/library/nginx:1"),
            ("Index.Docker.io/nginx:1", "docker.io/library/nginx:1"),
            ("ghcr.io/acme/app:v1", "ghcr.io/acme/app:v1"),
            ("GHCR.io/acme/app:v1", "ghcr.io/acme/app:v1"),
            ("MYREG.io/x", "myreg.io/x:latest"),
            ("Foo/bar", "foo/bar:latest"),
            ("LOCALHOST/x", "localhost/x:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000", "docker.io/library/localhost:5000"),
            ("localhost:5000/u:t", "localhost:5000/u:t"),
            ("localhost:5000/u", "localhost:5000/u:latest"),
            ("test.com:5000", "docker.io/library/test.com:5000"),
            ("myreg:5000/x:1", "myreg:5000/x:1"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"),
            ("[::1]:5000/x:1", "[::1]:5000/x:1"),
            ("[2001:DB8::1]/x", "[2001:db8::1]/x:latest"),
            ("a.b/c", "a.b/c:latest"),
            ("xn--n3h.com/myimage", "xn--n3h.com/myimage:latest"),
            ("foo_bar/baz", "docker.io/foo_bar/baz:latest"),
            ("foo__bar:1", "docker.io/library/foo__bar:1"),
            ("foo---bar", "docker.io/library/foo---bar:latest"),
            ("foo.bar-baz_x", "docker.io/library/foo.bar-baz_x:latest"),
            ("0", "docker.io/library/0:latest"),
            ("x:_t", "docker.io/library/x:_t"),
            ("x:T.t-t_t", "docker.io/library/x:T.t-t_t"),
            ("quay.io/a/b/c/d/e:1", "quay.io/a/b/c/d/e:1"),
            ("myreg.io:0443/x", "myreg.io:0443/x:latest"),
            ("gcr.io/distroless/static", "gcr.io/distroless/static:latest"),
            ("a-b.c/d", "a-b.c/d:latest"),
        ];
        for (text, normalised) in rows {
            let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.to_string(), normalised, "{text}");
            assert_eq!(reference.text(), text);
        }
        assert!(Reference::parse(&format!("x:{long_tag}")).is_ok());
    }

    #[test]
    fn digests_stand_beside_tags() {
        let rows = [
            (format!("nginx@sha256:{A}"), None, None),
            (format!("nginx:1@sha256:{A}"), Some("1"), Some("1")),
            (format!("nginx:latest@sha256:{A}"), Some("latest"), Some("latest")),
            (format!("localhost:5000/u:t@sha256:{A}"), Some("t"), Some("t")),
            (format!("ghcr.io/a/b@sha512:{A}{A}"), None, None),
        ];
        for (text, written, meant) in rows {
            let reference = Reference::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((reference.written_tag(), reference.tag()), (written, meant), "{text}");
            assert!(reference.digest().is_some());
            assert_eq!(reference.text_without_digest(), text.split('@').next().expect("a name"));
        }
        let bare = Reference::parse("nginx").expect("a reference");
        assert_eq!((bare.written_tag(), bare.tag()), (None, Some("latest")));
    }

    #[test]
    fn refused_references_name_the_part() {
        use ReferenceError as E;
        let s = str::to_owned;
        let rows = [
            (s(""), E::Empty),
            (s(" "), E::Space),
            (s(" nginx"), E::Space),
            (s("nginx "), E::Space),
            (s("nginx\n"), E::Space),
            (s("ngi\u{a0}nx"), E::Space),
            (s("nginx\0"), E::Space),
            (s(A), E::Identifier),
            (s("Nginx"), E::Uppercase(s("Nginx"))),
            (s("foo/Bar"), E::Uppercase(s("foo/Bar"))),
            (s("ghcr.io/Acme/app"), E::Uppercase(s("Acme/app"))),
            (s("Foo/Bar"), E::Uppercase(s("Bar"))),
            (s("nginx:"), E::Tag(s(""))),
            (s("nginx:-a"), E::Tag(s("-a"))),
            (s("nginx:.a"), E::Tag(s(".a"))),
            (s("nginx:a:b"), E::Tag(s("a:b"))),
            (s("nginx:a/b"), E::Host(s("nginx:a"))),
            (s("nginx:ü"), E::Tag(s("ü"))),
            (s("x:ta+g"), E::Tag(s("ta+g"))),
            (format!("x:{}", "t".repeat(129)), E::Tag("t".repeat(129))),
            (s(":1"), E::Repository(s(""))),
            (s("/nginx"), E::Repository(s("/nginx"))),
            (s("nginx/"), E::Repository(s("nginx/"))),
            (s("a//b"), E::Repository(s("a//b"))),
            (s("-nginx"), E::Repository(s("-nginx"))),
            (s("nginx-"), E::Repository(s("nginx-"))),
            (s("a..b"), E::Repository(s("a..b"))),
            (s("a.-b"), E::Repository(s("a.-b"))),
            (s("a___b"), E::Repository(s("a___b"))),
            (s("_a"), E::Repository(s("_a"))),
            (s("a/_b"), E::Repository(s("a/_b"))),
            (s("аpp"), E::Repository(s("аpp"))), // a Cyrillic letter
            (s("ghcr.io/аcme/app"), E::Repository(s("аcme/app"))),
            (s("ghсr.io/acme/app"), E::Host(s("ghсr.io"))), // a Cyrillic letter
            (s("myreg.io./x"), E::Host(s("myreg.io."))),
            (s(".myreg.io/x"), E::Host(s(".myreg.io"))),
            (s("-a.io/x"), E::Host(s("-a.io"))),
            (s("a_b.io/x"), E::Host(s("a_b.io"))),
            (s("myreg.io:/x"), E::Host(s("myreg.io:"))),
            (s("myreg.io:80a/x"), E::Host(s("myreg.io:80a"))),
            (s("http://x/y"), E::Host(s("http:"))),
            (s("user@host.io/x"), E::Host(s("user@host.io"))),
            (s("[::1/x"), E::Host(s("[::1"))),
            (s("[::g]/x"), E::Host(s("[::g]"))),
            (s("::1/x"), E::Host(s("::1"))),
            (s("nginx@"), E::Digest(DigestError::Form(s("")))),
            (s("nginx@latest"), E::Digest(DigestError::Form(s("latest")))),
            (format!("nginx@sha256:{}", &A[1..]), length(63)),
            (format!("nginx@sha256:{A}a"), length(65)),
            (format!("nginx@sha256:{}", A.to_uppercase()), E::Digest(DigestError::Hex)),
            (format!("nginx@md5:{}", &A[..32]), E::Digest(DigestError::Algorithm(s("md5")))),
            (format!("nginx@sha256:{A}@sha256:{A}"), length(136)),
            (format!("@sha256:{A}"), E::Repository(s(""))),
            (format!("nginx@sha256:{A}:1"), length(66)),
            ("a".repeat(256), E::RepositoryTooLong),
            (format!("x.io/{}", "a".repeat(256)), E::RepositoryTooLong),
            ("a".repeat(2_000), E::TooLong),
            (s("${X}"), E::Uppercase(s("${X}"))),
            (s("$(X)/y"), E::Host(s("$(X)"))),
            (s("{{ .Values.image }}"), E::Space),
            (s("reg.io/*"), E::Repository(s("*"))),
        ];
        for (text, error) in rows {
            assert_eq!(Reference::parse(&text), Err(error), "{text}");
        }
    }

    fn length(found: usize) -> ReferenceError {
        ReferenceError::Digest(DigestError::Length { algorithm: "sha256", expected: 64, found })
    }
}
