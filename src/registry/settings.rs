//! The settings of transport, checked once: which registry has which mirrors, TLS and layout.
//! Plain values; it reads no file, no environment and no policy, and refuses what contradicts itself.

use std::path::{Path, PathBuf};

use crate::reference::{self, Repository};

/// The prefix that every registry fits.
pub const EVERY: &str = "*";

/// The settings of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    entries: Vec<Entry>,
    offline: bool,
}

/// What holds for the repositories below one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    prefix: Prefix,
    mirrors: Vec<Mirror>,
    only_mirrors: bool,
    insecure: bool,
    ca: Option<PathBuf>,
    layout: Option<PathBuf>,
}

/// The raw form of an [`Entry`], as a config document says it; paths already made absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawEntry {
    /// `HOST[/PATH]`, or `*`.
    pub prefix: String,
    /// `host[:port][/path]` or a URL of that shape, in the order they are tried.
    pub mirrors: Vec<String>,
    /// Never ask the registry itself.
    pub only_mirrors: bool,
    /// Plain http or unverified TLS is accepted.
    pub insecure: bool,
    /// A PEM file with certificates that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// An OCI image layout that answers in place of the registry.
    pub layout: Option<PathBuf>,
}

/// A parsed prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Prefix {
    Every,
    Host { host: String, path: String },
}

/// A place that may answer for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    scheme: Option<Scheme>,
    host: String,
    path: String,
}

/// How a registry is spoken to, where that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain http.
    Http,
    /// TLS.
    Https,
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The prefix is neither `*` nor `HOST[/PATH]`.
    #[error("prefix `{0}` is not `HOST[/PATH]`; write the registry's host, such as `docker.io/acme`, or `*`")]
    Prefix(String),
    /// The same prefix in two entries.
    #[error("prefix `{0}` stands twice; put what belongs to it in one entry")]
    Duplicate(String),
    /// A mirror that is no address.
    #[error("mirror `{0}` is not `[http[s]://]HOST[:PORT][/PATH]`")]
    Mirror(String),
    /// A plain http mirror, not on this machine, of an entry that is not declared insecure.
    #[error("mirror `{0}` is plain http; add `insecure: true` to accept that")]
    PlainMirror(String),
    /// `only-mirrors` without a mirror.
    #[error("`{0}` has `only-mirrors` and no mirror; name one or take it out")]
    NoMirror(String),
    /// A layout beside settings of the network.
    #[error("`{0}` is served from a layout, so `mirrors`, `only-mirrors`, `insecure` and `ca` mean nothing there")]
    Layout(String),
}

impl SettingsError {
    /// The text in the settings that is at fault, for a position in the document.
    pub fn subject(&self) -> &str {
        match self {
            Self::Prefix(text)
            | Self::Duplicate(text)
            | Self::Mirror(text)
            | Self::PlainMirror(text)
            | Self::NoMirror(text)
            | Self::Layout(text) => text,
        }
    }
}

impl Settings {
    /// Checks the entries, alone and against each other.
    pub fn new(entries: Vec<RawEntry>, offline: bool) -> Result<Self, SettingsError> {
        let mut checked: Vec<Entry> = Vec::with_capacity(entries.len());
        for raw in entries {
            let text = raw.prefix.clone();
            let entry = Entry::new(raw)?;
            if checked.iter().any(|other| other.prefix == entry.prefix) {
                return Err(SettingsError::Duplicate(text));
            }
            checked.push(entry);
        }
        Ok(Self { entries: checked, offline })
    }

    /// Whether only layouts may answer.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// The entry with the longest prefix that `repository` fits, component by component.
    pub fn entry(&self, repository: &Repository) -> Option<&Entry> {
        self.find(repository.host(), repository.path())
    }

    /// As [`Settings::entry`], for a host and path that are no repository of a reference (a mirror).
    pub fn find(&self, host: &str, path: &str) -> Option<&Entry> {
        self.entries.iter().filter(|entry| entry.prefix.fits(host, path)).max_by_key(|entry| entry.prefix.length())
    }

    /// The layouts in use, in the order of the settings, for the report.
    pub fn layouts(&self) -> impl Iterator<Item = &Path> {
        self.entries.iter().filter_map(Entry::layout)
    }

    /// The hosts that the settings name, with their ports.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flat_map(|entry| {
            let own = match &entry.prefix {
                Prefix::Every => None,
                Prefix::Host { host, .. } => Some(host.as_str()),
            };
            own.into_iter().chain(entry.mirrors.iter().map(Mirror::host))
        })
    }
}

impl Entry {
    fn new(raw: RawEntry) -> Result<Self, SettingsError> {
        let prefix = Prefix::parse(&raw.prefix).ok_or_else(|| SettingsError::Prefix(raw.prefix.clone()))?;
        if raw.layout.is_some() && (!raw.mirrors.is_empty() || raw.only_mirrors || raw.insecure || raw.ca.is_some()) {
            return Err(SettingsError::Layout(raw.prefix));
        }
        if raw.only_mirrors && raw.mirrors.is_empty() {
            return Err(SettingsError::NoMirror(raw.prefix));
        }
        let mut mirrors = Vec::with_capacity(raw.mirrors.len());
        for text in raw.mirrors {
            let Some(mirror) = Mirror::parse(&text) else { return Err(SettingsError::Mirror(text)) };
            if mirror.scheme == Some(Scheme::Http) && !raw.insecure && !is_loopback(&mirror.host) {
                return Err(SettingsError::PlainMirror(text));
            }
            mirrors.push(mirror);
        }
        let RawEntry { only_mirrors, insecure, ca, layout, .. } = raw;
        Ok(Self { prefix, mirrors, only_mirrors, insecure, ca, layout })
    }

    /// The mirrors, in the order they are tried.
    pub fn mirrors(&self) -> &[Mirror] {
        &self.mirrors
    }

    /// Whether the registry itself is never asked.
    pub fn only_mirrors(&self) -> bool {
        self.only_mirrors
    }

    /// Whether plain http and unverified TLS are accepted.
    pub fn insecure(&self) -> bool {
        self.insecure
    }

    /// A PEM file of further trusted certificates.
    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// The layout that answers in place of the registry.
    pub fn layout(&self) -> Option<&Path> {
        self.layout.as_deref()
    }

    /// What of `path` lies below this prefix: the part that a mirror's own path goes in front of.
    pub fn below<'a>(&self, path: &'a str) -> &'a str {
        match &self.prefix {
            Prefix::Host { path: prefix, .. } if !prefix.is_empty() => {
                path.strip_prefix(prefix.as_str()).map_or(path, |rest| rest.trim_start_matches('/'))
            }
            _ => path,
        }
    }
}

impl Mirror {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(_) => return None,
            None => (None, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !reference::is_host(host) || !(path.is_empty() || reference::is_path(path)) {
            return None;
        }
        Some(Self { scheme, host: reference::canonical_host(host), path: path.to_owned() })
    }

    /// The scheme, where it is written.
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// Host in lower case, with its port where one is written.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path in front of every repository; empty for none.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        if text == EVERY {
            return Some(Self::Every);
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        // A single label can't be the host of a reference, so it would never fit: most likely a forgotten `docker.io/`.
        let named = host.contains(['.', ':']) || host.eq_ignore_ascii_case("localhost");
        if !named || !reference::is_host(host) || !(path.is_empty() || reference::is_path(path)) {
            return None;
        }
        Some(Self::Host { host: reference::canonical_host(host), path: path.to_owned() })
    }

    fn fits(&self, host: &str, path: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Host { host: own, path: prefix } => {
                own == host
                    && path
                        .strip_prefix(prefix.as_str())
                        .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
            }
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Every => 0,
            Self::Host { host, path } => 1 + host.len() + path.len(),
        }
    }
}

/// Whether `host` (a port may follow) names this machine: `localhost`, `127.0.0.0/8` or `[::1]`, as Docker has it.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => &host[..at],
        _ => host,
    };
    name == "localhost"
        || name == "[::1]"
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn prefix(text: &str) -> RawEntry {
        RawEntry { prefix: text.into(), ..RawEntry::default() }
    }

    #[test]
    fn the_longest_prefix_wins_on_component_boundaries() {
        let entries = ["*", "docker.io", "docker.io/acme", "docker.io/acme/deep", "ghcr.io/a", "m.io:5000"];
        let raw = entries.iter().map(|text| RawEntry { ca: Some(text.into()), ..prefix(text) }).collect();
        let settings = Settings::new(raw, false).unwrap();
        let rows = [
            ("docker.io/acme/x", "docker.io/acme"),
            ("docker.io/acme/deep", "docker.io/acme/deep"),
            ("docker.io/acme/deep/x", "docker.io/acme/deep"),
            ("docker.io/acme/deeper", "docker.io/acme"),
            ("docker.io/acmex/y", "docker.io"),
            ("nginx", "docker.io"),
            ("index.docker.io/acme/x", "docker.io/acme"),
            ("ghcr.io/a/b", "ghcr.io/a"),
            ("ghcr.io/a", "ghcr.io/a"),
            ("ghcr.io/ab", "*"),
            ("docker.io.evil.com/acme/x", "*"),
            ("m.io:5000/x", "m.io:5000"),
            ("m.io/x", "*"),
        ];
        for (name, fits) in rows {
            let repository = Reference::parse(name).unwrap().repository().clone();
            assert_eq!(settings.entry(&repository).unwrap().ca(), Some(Path::new(fits)), "{name}");
        }
    }

    #[test]
    fn no_entry_fits_by_accident() {
        let settings = Settings::new(vec![prefix("docker.io/acme")], true).unwrap();
        assert!(settings.offline());
        assert!(settings.find("docker.io", "acmex/y").is_none());
        assert!(settings.find("ghcr.io", "acme/y").is_none());
    }

    #[test]
    fn mirrors_parse_and_keep_their_scheme() {
        let raw = RawEntry {
            mirrors: vec!["M.corp:5000/hub".into(), "http://127.0.0.1:5000".into(), "https://m.io/a/b/".into()],
            ..prefix("DOCKER.IO")
        };
        let settings = Settings::new(vec![raw], false).unwrap();
        let entry = settings.find("docker.io", "library/nginx").unwrap();
        let seen: Vec<_> = entry.mirrors().iter().map(|m| (m.scheme(), m.host(), m.path())).collect();
        let expected = [
            (None, "m.corp:5000", "hub"),
            (Some(Scheme::Http), "127.0.0.1:5000", ""),
            (Some(Scheme::Https), "m.io", "a/b"),
        ];
        assert_eq!(seen, expected);
        let hosts: Vec<_> = settings.hosts().collect();
        assert_eq!(hosts, ["docker.io", "m.corp:5000", "127.0.0.1:5000", "m.io"]);
    }

    #[test]
    fn a_prefix_path_is_what_a_mirror_replaces() {
        let settings = Settings::new(vec![prefix("docker.io/acme"), prefix("ghcr.io")], false).unwrap();
        assert_eq!(settings.find("docker.io", "acme/x/y").unwrap().below("acme/x/y"), "x/y");
        assert_eq!(settings.find("ghcr.io", "acme/x").unwrap().below("acme/x"), "acme/x");
    }

    #[test]
    fn contradictions_are_refused() {
        use SettingsError as E;
        let mirror = |text: &str| RawEntry { mirrors: vec![text.into()], ..prefix("docker.io") };
        let rows = [
            (prefix(""), E::Prefix(String::new())),
            (prefix("nginx"), E::Prefix("nginx".into())),
            (prefix("https://x.io"), E::Prefix("https://x.io".into())),
            (prefix("x.io/Acme"), E::Prefix("x.io/Acme".into())),
            (prefix("x.io/a/"), E::Prefix("x.io/a/".into())),
            (prefix("x.io/*"), E::Prefix("x.io/*".into())),
            (prefix("*.x.io"), E::Prefix("*.x.io".into())),
            (mirror("ftp://m.io"), E::Mirror("ftp://m.io".into())),
            (mirror("https://user@m.io"), E::Mirror("https://user@m.io".into())),
            (mirror("m.io/a?b"), E::Mirror("m.io/a?b".into())),
            (mirror("m.io/../a"), E::Mirror("m.io/../a".into())),
            (mirror(""), E::Mirror(String::new())),
            (mirror("http://m.io"), E::PlainMirror("http://m.io".into())),
            (RawEntry { only_mirrors: true, ..prefix("x.io") }, E::NoMirror("x.io".into())),
            (RawEntry { layout: Some("l".into()), insecure: true, ..prefix("x.io") }, E::Layout("x.io".into())),
            (RawEntry { layout: Some("l".into()), ..mirror("m.io") }, E::Layout("docker.io".into())),
        ];
        for (raw, error) in rows {
            assert_eq!(Settings::new(vec![raw.clone()], false), Err(error), "{raw:?}");
        }
        let twice = vec![prefix("docker.io"), prefix("index.docker.io")];
        assert_eq!(Settings::new(twice, false), Err(E::Duplicate("index.docker.io".into())));
    }
}
