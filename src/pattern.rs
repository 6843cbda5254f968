//! Patterns over the parsed parts of a reference: host, path components, tag; anchored at both ends.
//! Nothing is ever matched on the raw string, so a name that only looks alike never fits.
//!
//! Longer than most files: half of it is the table of what fits and what does not.

use std::fmt;

use crate::limits;
use crate::reference::{HUB, Reference, canonical_host, is_component, is_host, is_tag, split_host};

/// One pattern, such as `ghcr.io/acme/**`, `*.pkg.dev/acme/*` or `nginx:1.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    host: Host,
    path: Vec<Piece>,
    tag: Option<Glob>,
}

/// A list of patterns; those with `!` in front take out, whatever the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    into: Vec<Pattern>,
    out: Vec<Pattern>,
}

/// A text with `*` for any run of characters, none included; matched whole and by letter case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

/// Which part is no pattern, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing at all.
    #[error("the pattern is empty; write `**` for every image")]
    Empty,
    /// Longer than any reference.
    #[error("the pattern is longer than {} bytes, and so is no reference", limits::REFERENCE_BYTES)]
    TooLong,
    /// A digest.
    #[error("a pattern names no digest; leave out `@{0}`, or name one image in an exception")]
    Digest(String),
    /// A host that is none, or with a `*` where none may stand.
    #[error(
        "`{0}` is not a registry host; one is literal, or `*.` (for one label) before at least two labels, as in `*.pkg.dev`"
    )]
    Host(String),
    /// `*.docker.io`, whose names are all one registry.
    #[error("`{0}` would never fit: every name of Docker Hub is read as `docker.io`; write `docker.io`")]
    HubHost(String),
    /// A wildcard where the registry should stand.
    #[error("`{0}` names no registry; write the host in front, as in `docker.io/{0}`, or `**` alone for every image")]
    NoHost(String),
    /// One component that looks like a host.
    #[error(
        "`{0}` alone is a name on Docker Hub; write `{0}/**` for the registry or `docker.io/library/{0}` for the name"
    )]
    BareHost(String),
    /// An upper-case letter in the path.
    #[error("`{0}` has an upper-case letter; repositories are lower case")]
    Uppercase(String),
    /// An empty component.
    #[error("an empty path component in `{0}`; end with `/*` or `/**` to name what stands below")]
    EmptyComponent(String),
    /// `**` beside other characters.
    #[error("`**` in `{0}` must be a whole path component; use one `*` inside a component")]
    DoubleStar(String),
    /// A path component that no reference can have.
    #[error("`{0}` is not a path component; use a-z, 0-9, `.`, `_`, `-` and the wildcard `*`")]
    Component(String),
    /// A tag that no reference can have.
    #[error("`{0}` is not a tag; use letters, digits, `.`, `_`, `-` and the wildcard `*`")]
    Tag(String),
}

/// What is wrong with a list of patterns, and with which of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternsError {
    /// No pattern at all.
    #[error("the list of patterns is empty; write `**` for every image")]
    Empty,
    /// Only patterns that take out.
    #[error("every pattern takes out (`!`), so nothing is left; add the pattern they take from, such as `**`")]
    OnlyNegative,
    /// `!**`.
    #[error("`!**` takes out every image; leave it away or name what it should take out")]
    TakesOutAll {
        /// Its place in the list, from 0.
        index: usize,
    },
    /// One pattern.
    #[error("{error}")]
    Pattern {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        error: PatternError,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    Literal(String),
    /// One label in front of this, which begins with a dot.
    OneLabel(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    One(Glob),
    /// Zero or more components.
    Any,
}

impl Pattern {
    /// Parses one pattern, without `!`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > limits::REFERENCE_BYTES {
            return Err(PatternError::TooLong);
        }
        if let Some((_, digest)) = text.split_once('@') {
            return Err(PatternError::Digest(digest.to_owned()));
        }
        let (host, rest) = split_host(text);
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let tag = tag.map(parse_tag).transpose()?;
        let text = text.to_owned();
        if host.is_none() {
            if path == "**" {
                return Ok(Self { text, host: Host::Any, path: vec![Piece::One(Glob::any()), Piece::Any], tag });
            }
            let first = path.split('/').next().unwrap_or_default();
            if first == "*" || first == "**" {
                return Err(PatternError::NoHost(path.to_owned()));
            }
            if !path.contains('/') && (path.contains('.') || path == "localhost") {
                return Err(PatternError::BareHost(path.to_owned()));
            }
        }
        let host = host.map_or_else(|| Ok(Host::Literal(HUB.to_owned())), parse_host)?;
        let path = parse_path(path, host == Host::Literal(HUB.to_owned()))?;
        Ok(Self { text, host, path, tag })
    }

    /// Whether the reference, as it is meant, fits.
    pub fn fits(&self, reference: &Reference) -> bool {
        let repository = reference.repository();
        let host = match &self.host {
            Host::Any => true,
            Host::Literal(host) => host == repository.host(),
            Host::OneLabel(suffix) => {
                repository.host().strip_suffix(suffix.as_str()).is_some_and(|label| !label.contains('.'))
            }
        };
        let components: Vec<&str> = repository.path().split('/').collect();
        let component = |piece: &Piece, found: &&str| matches!(piece, Piece::One(glob) if glob.fits(found));
        host && wild(&self.path, &components, |piece| *piece == Piece::Any, component)
            && self.tag.as_ref().is_none_or(|tag| reference.tag().is_some_and(|found| tag.fits(found)))
    }
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Patterns {
    /// Parses a list; at least one pattern must take in.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternsError> {
        let (mut into, mut out) = (Vec::new(), Vec::new());
        for (index, text) in list.into_iter().enumerate() {
            let (side, text) = match text.strip_prefix('!') {
                Some(text) => (&mut out, text),
                None => (&mut into, text),
            };
            side.push(Pattern::parse(text).map_err(|error| PatternsError::Pattern { index, error })?);
            if out.last().is_some_and(|pattern| pattern.text == "**") {
                return Err(PatternsError::TakesOutAll { index });
            }
        }
        match (into.is_empty(), out.is_empty()) {
            (true, true) => Err(PatternsError::Empty),
            (true, false) => Err(PatternsError::OnlyNegative),
            (false, _) => Ok(Self { into, out }),
        }
    }

    /// Whether some pattern takes the reference in and none takes it out.
    pub fn fits(&self, reference: &Reference) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.fits(reference));
        any(&self.into) && !any(&self.out)
    }

    /// A pattern of this list that means the same as one of `other`, however both are written.
    pub fn shared(&self, other: &Self) -> Option<&Pattern> {
        let same = |a: &Pattern, b: &Pattern| a.host == b.host && a.path == b.path && a.tag == b.tag;
        self.into.iter().find(|a| other.into.iter().any(|b| same(a, b)))
    }
}

/// The patterns, those that take out last, with commas between.
impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let into = self.into.iter().map(ToString::to_string);
        let out = self.out.iter().map(|pattern| format!("!{pattern}"));
        f.write_str(&into.chain(out).collect::<Vec<_>>().join(", "))
    }
}

impl Glob {
    /// A glob over tags: letters, digits, `.`, `_`, `-` and `*`; without `*` it must be a tag.
    pub fn tag(text: &str) -> Result<Self, PatternError> {
        parse_tag(text)
    }

    /// A glob over any text; every `*` of it stands for a run of characters.
    pub fn text(text: &str) -> Self {
        Self::new(text)
    }

    /// Whether the whole of `text` fits.
    pub fn fits(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        wild(&self.0, &letters, |piece| *piece == '*', |piece, letter| piece == letter)
    }

    fn any() -> Self {
        Self(vec!['*'])
    }

    fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }
}

/// As it was written.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{letter}"))
    }
}

fn parse_host(text: &str) -> Result<Host, PatternError> {
    let refused = || PatternError::Host(text.to_owned());
    let Some(suffix) = text.strip_prefix("*.") else {
        return if is_host(text) { Ok(Host::Literal(canonical_host(text))) } else { Err(refused()) };
    };
    if !is_host(suffix) || suffix.starts_with('[') || !suffix.contains('.') {
        return Err(refused());
    }
    let suffix = suffix.to_ascii_lowercase();
    if suffix == HUB {
        return Err(PatternError::HubHost(text.to_owned()));
    }
    Ok(Host::OneLabel(format!(".{suffix}")))
}

fn parse_path(path: &str, hub: bool) -> Result<Vec<Piece>, PatternError> {
    let mut pieces = path.split('/').map(|piece| parse_piece(piece, path)).collect::<Result<Vec<_>, _>>()?;
    if hub && matches!(pieces.as_slice(), [Piece::One(_)]) {
        pieces.insert(0, Piece::One(Glob::new("library")));
    }
    if pieces.last() == Some(&Piece::Any) {
        // At the end `**` spans one or more.
        pieces.insert(pieces.len() - 1, Piece::One(Glob::any()));
    }
    Ok(pieces)
}

fn parse_piece(piece: &str, path: &str) -> Result<Piece, PatternError> {
    if piece == "**" {
        return Ok(Piece::Any);
    }
    if piece.is_empty() {
        return Err(PatternError::EmptyComponent(path.to_owned()));
    }
    if piece.contains("**") {
        return Err(PatternError::DoubleStar(piece.to_owned()));
    }
    if piece.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(PatternError::Uppercase(piece.to_owned()));
    }
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-*".contains(&byte);
    if !piece.bytes().all(known) || (!piece.contains('*') && !is_component(piece)) {
        return Err(PatternError::Component(piece.to_owned()));
    }
    Ok(Piece::One(Glob::new(piece)))
}

fn parse_tag(tag: &str) -> Result<Glob, PatternError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*".contains(&byte);
    if tag.is_empty() || tag.contains("**") || !tag.bytes().all(known) || (!tag.contains('*') && !is_tag(tag)) {
        return Err(PatternError::Tag(tag.to_owned()));
    }
    Ok(Glob::new(tag))
}

/// Matches the whole of `found`. A star stands for any run, an empty one too; only the last star is ever widened,
/// so the work is at most the product of the two lengths.
fn wild<P, T>(pattern: &[P], found: &[T], star: impl Fn(&P) -> bool, fits: impl Fn(&P, &T) -> bool) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut last_star = None;
    while next < found.len() {
        match pattern.get(at) {
            Some(piece) if star(piece) => {
                at += 1;
                last_star = Some((at, next));
            }
            Some(piece) if fits(piece, &found[next]) => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((after, from)) = last_star else { return false };
                (at, next) = (after, from + 1);
                last_star = Some((after, next));
            }
        }
    }
    pattern[at..].iter().all(star)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn reference(text: &str) -> Reference {
        Reference::parse(&text.replace("@A", &format!("@{A}"))).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_pattern_fits_by_components() {
        let rows = [
            // every image
            ("**", "nginx", true),
            ("**", "localhost:5000/a/b/c:1@A", true),
            ("**:latest", "ghcr.io/acme/app", true),
            ("**:latest", "ghcr.io/acme/app:1", false),
            // hosts are literal, with their port
            ("myreg.io/**", "myreg.io/x", true),
            ("myreg.io/**", "myreg.io/x/y/z:1", true),
            ("myreg.io/**", "MYREG.io/x", true),
            ("MYREG.IO/**", "myreg.io/x", true),
            ("Foo/bar", "foo.io/bar", false),
            ("Foo/bar", "Foo/bar", true),
            ("myreg.io/**", "myreg.io.evil.com/x", false),
            ("myreg.io/**", "evil.com/myreg.io/x", false),
            ("myreg.io/**", "xmyreg.io/x", false),
            ("myreg.io/**", "a.myreg.io/x", false),
            ("myreg.io/**", "myreg.io:5000/x", false),
            ("myreg.io:5000/**", "myreg.io:5000/x", true),
            ("myreg.io:5000/**", "myreg.io/x", false),
            ("myreg.io:5000/**", "myreg.io:50000/x", false),
            ("myreg.io:443/**", "myreg.io/x", false),
            ("localhost/**", "localhost/x", true),
            ("localhost/**", "localhost:5000/x", false),
            ("localhost:5000/**", "localhost:5000/x", true),
            ("[::1]:5000/*", "[::1]:5000/x", true),
            ("127.0.0.1:5000/*", "127.0.0.1:5000/x", true),
            // one label
            ("*.pkg.dev/**", "eu.pkg.dev/a", true),
            ("*.pkg.dev/**", "EU.pkg.dev/a/b", true),
            ("*.pkg.dev/**", "pkg.dev/a", false),
            ("*.pkg.dev/**", "a.b.pkg.dev/a", false),
            ("*.pkg.dev/**", "eupkg.dev/a", false),
            ("*.pkg.dev/**", "eu.pkg.dev.evil.com/a", false),
            ("*.pkg.dev/**", "eu.pkg.dev:5000/a", false),
            ("*.pkg.dev:5000/**", "eu.pkg.dev:5000/a", true),
            ("*.dkr.ecr.eu-west-1.amazonaws.com/**", "1234.dkr.ecr.eu-west-1.amazonaws.com/a", true),
            // short names and the names of the Hub
            ("nginx", "nginx:1.25@A", true),
            ("nginx", "docker.io/library/nginx", true),
            ("nginx", "index.docker.io/nginx", true),
            ("nginx", "acme/nginx", false),
            ("nginx", "ghcr.io/nginx", false),
            ("nginx", "ghcr.io/library/nginx", false),
            ("nginx*", "nginx-extra", true),
            ("nginx*", "nginx/extra", false),
            ("nginx*", "acme/nginx", false),
            ("docker.io/nginx", "nginx", true),
            ("registry-1.docker.io/nginx", "nginx", true),
            ("docker.io/library/nginx", "nginx", true),
            ("docker.io/*", "nginx", true),
            ("docker.io/*", "acme/nginx", false),
            ("docker.io/library/*", "nginx", true),
            ("docker.io/library/*", "acme/nginx", false),
            ("docker.io/**", "nginx", true),
            ("docker.io/**", "acme/nginx", true),
            ("docker.io/**/nginx", "nginx", true),
            ("acme/*", "acme/app", true),
            ("acme/*", "docker.io/acme/app", true),
            ("acme/*", "ghcr.io/acme/app", false),
            ("acme/*", "acme/app/x", false),
            ("ac*/app", "acme/app", true),
            ("ac*/app", "ac/app", true),
            // stars and components
            ("ghcr.io/acme/*", "ghcr.io/acme/app", true),
            ("ghcr.io/acme/*", "ghcr.io/acme/app/x", false),
            ("ghcr.io/acme/*", "ghcr.io/acme", false),
            ("ghcr.io/acme/**", "ghcr.io/acme/app/x", true),
            ("ghcr.io/acme/**", "ghcr.io/acme", false),
            ("ghcr.io/acme/**", "ghcr.io/acme-evil/app", false),
            ("ghcr.io/acme", "ghcr.io/acme/app", false),
            ("ghcr.io/*/app", "ghcr.io/acme/app", true),
            ("ghcr.io/*/app", "ghcr.io/a/b/app", false),
            ("ghcr.io/**/app", "ghcr.io/app", true),
            ("ghcr.io/**/app", "ghcr.io/a/b/app", true),
            ("ghcr.io/**/app", "ghcr.io/a/b/app/c", false),
            ("ghcr.io/**/app/**", "ghcr.io/app/x/app", true),
            ("ghcr.io/**/app/**", "ghcr.io/x/app", false),
            ("ghcr.io/a/**/b/**/c", "ghcr.io/a/b/b/x/c", true),
            ("ghcr.io/a*b*c", "ghcr.io/abc", true),
            ("ghcr.io/a*b*c", "ghcr.io/a-b-b-c", true),
            ("ghcr.io/a*b*c", "ghcr.io/a-c-b", false),
            ("ghcr.io/*app", "ghcr.io/app", true),
            // tags, as meant
            ("nginx:1.25", "nginx:1.25", true),
            ("nginx:1.25", "nginx:1.25@A", true),
            ("nginx:1.25", "nginx:1.25.1", false),
            ("nginx:1.*", "nginx:1.25-alpine", true),
            ("nginx:1.*", "nginx:11.2", false),
            ("nginx:latest", "nginx", true),
            ("nginx:latest", "nginx@A", false),
            ("nginx:*", "nginx@A", false),
            ("nginx:*", "nginx", true),
            ("nginx", "nginx@A", true),
            ("nginx:V1", "nginx:v1", false),
            ("localhost:5000/x:*-rc*", "localhost:5000/x:1-rc2", true),
        ];
        assert!(rows.len() >= 60);
        for (pattern, text, expected) in rows {
            let parsed = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(parsed.fits(&reference(text)), expected, "{pattern} and {text}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_names_the_part() {
        use PatternError as E;
        let s = str::to_owned;
        let rows = [
            ("", E::Empty),
            ("nginx@sha256:abc", E::Digest(s("sha256:abc"))),
            ("ghcr.io/acme/**@sha256:abc", E::Digest(s("sha256:abc"))),
            ("*.io/x", E::Host(s("*.io"))),
            ("*.com:5000/x", E::Host(s("*.com:5000"))),
            ("*./x", E::Host(s("*."))),
            ("*.*.io/x", E::Host(s("*.*.io"))),
            ("my*.io/x", E::Host(s("my*.io"))),
            ("reg.*/x", E::Host(s("reg.*"))),
            ("reg.io:*/x", E::Host(s("reg.io:*"))),
            ("myreg.io./x", E::Host(s("myreg.io."))),
            (".myreg.io/x", E::Host(s(".myreg.io"))),
            ("-a.io/x", E::Host(s("-a.io"))),
            ("a_b.io/x", E::Host(s("a_b.io"))),
            ("ghсr.io/x", E::Host(s("ghсr.io"))), // a Cyrillic letter
            ("myreg.io:/x", E::Host(s("myreg.io:"))),
            ("https://myreg.io/x", E::Host(s("https:"))),
            ("nginx:a/b", E::Host(s("nginx:a"))),
            ("*.docker.io/**", E::HubHost(s("*.docker.io"))),
            ("*.Docker.io/**", E::HubHost(s("*.Docker.io"))),
            ("*", E::NoHost(s("*"))),
            ("*/x", E::NoHost(s("*/x"))),
            ("**/x", E::NoHost(s("**/x"))),
            ("**/", E::NoHost(s("**/"))),
            ("ghcr.io", E::BareHost(s("ghcr.io"))),
            ("myreg.io:5000", E::BareHost(s("myreg.io"))),
            ("localhost:5000", E::BareHost(s("localhost"))),
            ("*.pkg.dev", E::BareHost(s("*.pkg.dev"))),
            ("Nginx", E::Uppercase(s("Nginx"))),
            ("ghcr.io/Acme/**", E::Uppercase(s("Acme"))),
            ("ghcr.io/", E::EmptyComponent(s(""))),
            ("ghcr.io/acme/", E::EmptyComponent(s("acme/"))),
            ("ghcr.io//acme", E::EmptyComponent(s("/acme"))),
            ("/nginx", E::EmptyComponent(s("/nginx"))),
            (":1", E::EmptyComponent(s(""))),
            ("ghcr.io/acme**", E::DoubleStar(s("acme**"))),
            ("ghcr.io/***", E::DoubleStar(s("***"))),
            ("ghcr.io/ac?e", E::Component(s("ac?e"))),
            ("ghcr.io/[ab]", E::Component(s("[ab]"))),
            ("ghcr.io/{a,b}", E::Component(s("{a,b}"))),
            ("ghcr.io/a..b", E::Component(s("a..b"))),
            ("ghcr.io/_a", E::Component(s("_a"))),
            ("ghcr.io/аpp", E::Component(s("аpp"))), // a Cyrillic letter
            (" nginx", E::Component(s(" nginx"))),
            ("!nginx", E::Component(s("!nginx"))),
            ("nginx:", E::Tag(s(""))),
            ("nginx:-a", E::Tag(s("-a"))),
            ("nginx:a:b", E::Tag(s("a:b"))),
            ("nginx:**", E::Tag(s("**"))),
            ("nginx:1?", E::Tag(s("1?"))),
            ("nginx:ü", E::Tag(s("ü"))),
        ];
        for (text, error) in rows {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(Pattern::parse(&"a".repeat(2_000)), Err(E::TooLong));
    }

    #[test]
    fn a_list_takes_in_and_out_whatever_the_order() {
        let rows: [(&[&str], &str, bool); 8] = [
            (&["**", "!docker.io/library/busybox"], "busybox", false),
            (&["!docker.io/library/busybox", "**"], "busybox", false),
            (&["!docker.io/library/busybox", "**"], "nginx", true),
            (&["**", "!busybox"], "docker.io/library/busybox:1", false),
            (&["**", "!busybox:1"], "busybox:2", true),
            (&["ghcr.io/**", "quay.io/**"], "quay.io/a/b", true),
            (&["ghcr.io/**", "quay.io/**"], "nginx", false),
            (&["ghcr.io/**", "!ghcr.io/evil/**", "ghcr.io/evil/good"], "ghcr.io/evil/good", false),
        ];
        for (list, text, expected) in rows {
            let patterns = Patterns::parse(list.iter().copied()).expect("patterns");
            assert_eq!(patterns.fits(&reference(text)), expected, "{list:?} and {text}");
        }
        let broken: [(&[&str], PatternsError); 5] = [
            (&[], PatternsError::Empty),
            (&["!nginx"], PatternsError::OnlyNegative),
            (&["nginx", "!**"], PatternsError::TakesOutAll { index: 1 }),
            (&["nginx", "!"], PatternsError::Pattern { index: 1, error: PatternError::Empty }),
            (
                &["**", "!!nginx"],
                PatternsError::Pattern { index: 1, error: PatternError::Component("!nginx".to_owned()) },
            ),
        ];
        for (list, error) in broken {
            assert_eq!(Patterns::parse(list.iter().copied()), Err(error), "{list:?}");
        }
        let patterns = Patterns::parse(["!b", "a/**"]).expect("patterns");
        assert_eq!(patterns.to_string(), "a/**, !b");
    }

    #[test]
    fn many_stars_stay_cheap() {
        let stars = "*a".repeat(100) + "b";
        let name = "a".repeat(200);
        let pattern = Pattern::parse(&format!("ghcr.io/{stars}:{}", "*x".repeat(60))).expect("a pattern");
        assert!(!pattern.fits(&reference(&format!("ghcr.io/{name}:{}", "x".repeat(128)))));
        let deep = Pattern::parse(&format!("ghcr.io/{}z", "**/a/".repeat(100))).expect("a pattern");
        assert!(!deep.fits(&reference(&format!("ghcr.io/{}b", "a/".repeat(120)))));
    }
}
