//! The settings of transport, checked once: which registry has which mirrors, TLS and layout.
//! Plain values; it reads no file, no environment and no policy, and refuses what contradicts itself.
//!
//! Longer than most files: every contradiction has its error, and every error its row in the tests.

mod place;
mod prefix;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use url::Url;

use crate::reference::{self, Repository};

pub use place::{Mirror, Pull, RawMirror, Scheme, is_loopback};
pub use prefix::EVERY;
use prefix::Prefix;

/// The settings of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    entries: Vec<Entry>,
    /// Layouts that the judged repository declares.
    beside: Vec<Entry>,
    offline: bool,
    certificates: HashMap<String, Certificates>,
}

/// The certificates of one host: what its folder below `certs.d` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// PEM files of authorities that are trusted besides the system's, in the order of their names.
    pub authorities: Vec<PathBuf>,
    /// What this machine can show the host, and no other.
    pub identities: Vec<Identity>,
}

/// A client's certificate with its key, two PEM files; a file that is missing is an error once the host is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What holds for the repositories below one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    prefix: Prefix,
    location: Option<Mirror>,
    mirrors: Vec<Mirror>,
    only_mirrors: bool,
    insecure: bool,
    blocked: bool,
    ca: Option<PathBuf>,
    token_realms: Vec<Url>,
    layout: Option<PathBuf>,
}

/// The raw form of an [`Entry`], as a config document says it; paths already made absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawEntry {
    /// `HOST[/PATH]`, `*.DOMAIN` or `*`.
    pub prefix: String,
    /// Where the registry itself is asked, in place of what lies below the prefix: `HOST[/PATH]`.
    pub location: Option<String>,
    /// In the order they are tried.
    pub mirrors: Vec<RawMirror>,
    /// Never ask the registry itself.
    pub only_mirrors: bool,
    /// Plain http or unverified TLS is accepted.
    pub insecure: bool,
    /// Nothing below the prefix is ever asked for.
    pub blocked: bool,
    /// A PEM file with certificates that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// URLs of token servers on other hosts or ports that the registry may send us to.
    pub token_realms: Vec<String>,
    /// An OCI image layout that answers in place of the registry.
    pub layout: Option<PathBuf>,
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The prefix is neither `*` nor `HOST[/PATH]`.
    #[error(
        "prefix `{0}` is not `HOST[/PATH]`, `*.DOMAIN` or `*`; write the registry's host, such as `docker.io/acme`, \
         without tag or digest"
    )]
    Prefix(String),
    /// The same prefix in two entries.
    #[error("prefix `{0}` stands twice; put what belongs to it in one entry")]
    Duplicate(String),
    /// A mirror that is no address.
    #[error("mirror `{0}` is not `[http[s]://]HOST[:PORT][/PATH]`")]
    Mirror(String),
    /// Another location that is no address.
    #[error("location `{0}` is not `HOST[:PORT][/PATH]`")]
    Location(String),
    /// A token server that is no address.
    #[error("token server `{0}` is not `https://HOST[:PORT]/PATH`, without user, query and fragment")]
    Realm(String),
    /// A plain http token server, not on this machine, of an entry that is not declared insecure.
    #[error("token server `{0}` is plain http; add `insecure: true` to accept that")]
    PlainRealm(String),
    /// A token server for every registry.
    #[error("`{0}` is every registry, and a token server belongs to one; name the registry's host")]
    RealmOfAll(String),
    /// A plain http mirror, not on this machine, of an entry that is not declared insecure.
    #[error("mirror `{0}` is plain http; add `insecure: true` to accept that")]
    PlainMirror(String),
    /// `only-mirrors` without a mirror.
    #[error("`{0}` has `only-mirrors` and no mirror; name one or take it out")]
    NoMirror(String),
    /// A layout beside settings of the network.
    #[error(
        "`{0}` is served from a layout, so `mirrors`, `only-mirrors`, `insecure`, `ca` and `token-realm` mean nothing there"
    )]
    Layout(String),
}

/// The one spelling of a prefix; `None` when it is none.
pub fn canonical(prefix: &str) -> Option<String> {
    Prefix::parse(prefix).map(|prefix| prefix.to_string())
}

impl SettingsError {
    /// The text in the settings that is at fault, for a position in the document.
    pub fn subject(&self) -> &str {
        match self {
            Self::Prefix(text)
            | Self::Duplicate(text)
            | Self::Mirror(text)
            | Self::Location(text)
            | Self::Realm(text)
            | Self::PlainRealm(text)
            | Self::RealmOfAll(text)
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
        Ok(Self { entries: checked, beside: Vec::new(), offline, certificates: HashMap::new() })
    }

    /// With layouts by prefix that the judged repository declares: they give way to this machine's own entries.
    pub fn with_layouts_beside(
        mut self,
        layouts: impl IntoIterator<Item = (String, PathBuf)>,
    ) -> Result<Self, SettingsError> {
        let raw = layouts.into_iter().map(|(prefix, layout)| RawEntry {
            prefix,
            layout: Some(layout),
            ..RawEntry::default()
        });
        self.beside = Self::new(raw.collect(), self.offline)?.entries;
        Ok(self)
    }

    /// With the certificates of each `HOST[:PORT]`, as it stands in a reference.
    #[must_use]
    pub fn with_certificates(mut self, certificates: HashMap<String, Certificates>) -> Self {
        self.certificates = certificates;
        self
    }

    /// What belongs to this `HOST[:PORT]` and no other.
    pub fn certificates(&self, host: &str) -> Option<&Certificates> {
        self.certificates.get(host)
    }

    /// Whether only what is on disk may answer: layouts, and for digests the cache.
    pub fn offline(&self) -> bool {
        self.offline
    }

    /// The entry with the longest prefix that `repository` fits, component by component. A layout of the judged
    /// repository holds only where no entry of this machine is as long, and never where one blocks.
    pub fn entry(&self, repository: &Repository) -> Option<&Entry> {
        let (host, path) = (repository.host(), repository.path());
        match (self.find(host, path), longest(&self.beside, host, path)) {
            (Some(own), Some(beside)) if own.blocked || own.prefix.length() >= beside.prefix.length() => Some(own),
            (own, beside) => beside.or(own),
        }
    }

    /// The entry of this machine, for any host and path: they may be no repository of a reference (a mirror).
    pub fn find(&self, host: &str, path: &str) -> Option<&Entry> {
        longest(&self.entries, host, path)
    }

    /// The layouts in use, in the order of the settings.
    pub fn layouts(&self) -> impl Iterator<Item = &Path> {
        self.entries.iter().chain(&self.beside).filter_map(Entry::layout)
    }

    /// The hosts that this machine's settings name to be asked, with their ports.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let asked = self.entries.iter().filter(|entry| !entry.blocked && entry.layout.is_none());
        asked.flat_map(|entry| {
            let realms = entry.token_realms.iter().map(|url| &url[url::Position::BeforeHost..url::Position::AfterPort]);
            let places = entry.location.iter().chain(&entry.mirrors).map(Mirror::host);
            entry.prefix.host().into_iter().chain(places).chain(realms)
        })
    }
}

fn longest<'a>(entries: &'a [Entry], host: &str, path: &str) -> Option<&'a Entry> {
    entries.iter().filter(|entry| entry.fits(host, path)).max_by_key(|entry| entry.prefix.length())
}

impl Entry {
    /// What shuts a registry out holds for it in every spelling: with a port written, and by the names of the Hub.
    fn fits(&self, host: &str, path: &str) -> bool {
        if self.prefix.fits(host, path) {
            return true;
        }
        let (name, port) = prefix::parts(host);
        // Another port may be another registry, which only `blocked` means too.
        let default = port.is_none_or(|port| matches!(port.parse(), Ok(443_u16 | 80)));
        if !(self.blocked || (self.only_mirrors && default)) {
            return false;
        }
        let name = reference::canonical_host(name);
        let aliases = reference::HUB_ALIASES.iter().copied().filter(|_| name == reference::HUB);
        aliases.chain([name.as_str()]).any(|name| self.prefix.fits(name, path))
    }

    fn new(raw: RawEntry) -> Result<Self, SettingsError> {
        let prefix = Prefix::parse(&raw.prefix).ok_or_else(|| SettingsError::Prefix(raw.prefix.clone()))?;
        let transport = !raw.mirrors.is_empty() || raw.only_mirrors || raw.insecure || raw.ca.is_some();
        if raw.layout.is_some() && (transport || !raw.token_realms.is_empty() || raw.location.is_some()) {
            return Err(SettingsError::Layout(raw.prefix));
        }
        if raw.only_mirrors && raw.mirrors.is_empty() {
            return Err(SettingsError::NoMirror(raw.prefix));
        }
        if prefix == Prefix::Every && !raw.token_realms.is_empty() {
            return Err(SettingsError::RealmOfAll(raw.prefix));
        }
        let location = raw.location.map(|text| match Mirror::parse(&text).filter(|place| place.scheme().is_none()) {
            Some(place) => Ok(place),
            None => Err(SettingsError::Location(text)),
        });
        let mut mirrors = Vec::with_capacity(raw.mirrors.len());
        for RawMirror { location, insecure, pull } in raw.mirrors {
            let Some(mut mirror) = Mirror::parse(&location) else { return Err(SettingsError::Mirror(location)) };
            let insecure = insecure.unwrap_or(raw.insecure);
            if mirror.scheme() == Some(Scheme::Http) && !insecure && !is_loopback(mirror.host()) {
                return Err(SettingsError::PlainMirror(location));
            }
            (mirror.insecure, mirror.pull) = (insecure, pull);
            mirrors.push(mirror);
        }
        let mut token_realms = Vec::with_capacity(raw.token_realms.len());
        for text in raw.token_realms {
            let Some(url) = place::realm(&text) else { return Err(SettingsError::Realm(text)) };
            if url.scheme() == "http" && !raw.insecure && !url.host_str().is_some_and(is_loopback) {
                return Err(SettingsError::PlainRealm(text));
            }
            token_realms.push(url);
        }
        let RawEntry { only_mirrors, insecure, blocked, ca, layout, .. } = raw;
        let location = location.transpose()?;
        Ok(Self { prefix, location, mirrors, only_mirrors, insecure, blocked, ca, token_realms, layout })
    }

    /// Where the registry itself is asked, in place of what lies below the prefix.
    pub fn location(&self) -> Option<&Mirror> {
        self.location.as_ref()
    }

    /// Whether nothing below the prefix is ever asked for.
    pub fn blocked(&self) -> bool {
        self.blocked
    }

    /// Token servers on other hosts or ports that the registry may send us to.
    pub fn token_realms(&self) -> &[Url] {
        &self.token_realms
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
        self.prefix.rest(path)
    }
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
    fn wildcards_stand_for_the_hosts_below_a_domain() {
        let entries = ["*", "*.corp.io", "*.a.corp.io", "x.corp.io", "x.corp.io/team"];
        let raw = entries.iter().map(|text| RawEntry { ca: Some(text.into()), ..prefix(text) }).collect();
        let settings = Settings::new(raw, false).unwrap();
        let rows = [
            ("corp.io/x", "*"),
            ("b.corp.io/x", "*.corp.io"),
            ("c.b.corp.io/x", "*.corp.io"),
            ("b.corp.io:5000/x", "*.corp.io"),
            ("b.a.corp.io/x", "*.a.corp.io"),
            ("a.corp.io/x", "*.corp.io"),
            ("x.corp.io/x", "x.corp.io"),
            ("x.corp.io/team/x", "x.corp.io/team"),
            ("evilcorp.io/x", "*"),
            ("b.corp.io.evil.com/x", "*"),
        ];
        for (name, fits) in rows {
            let repository = Reference::parse(name).unwrap().repository().clone();
            assert_eq!(settings.entry(&repository).unwrap().ca(), Some(Path::new(fits)), "{name}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        let here =
            ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]", "[::1]:5000", "[0:0::0:1]:80"];
        let elsewhere = ["localhost.io", "a.localhost", "128.0.0.1", "[::2]:80", "[::ffff:7f00:1]", "0.0.0.0", "127.1"];
        assert!(here.iter().all(|host| is_loopback(host)));
        assert!(!elsewhere.iter().any(|host| is_loopback(host)));
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
            mirrors: ["M.corp:5000/hub", "http://127.0.0.1:5000", "https://m.io/a/b/"].map(Into::into).to_vec(),
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
        let realm = |name: &str, text: &str| RawEntry { token_realms: vec![text.into()], ..prefix(name) };
        let mirror = |text: &str| RawEntry { mirrors: vec![text.into()], ..prefix("docker.io") };
        let rows = [
            (prefix(""), E::Prefix(String::new())),
            (prefix("nginx"), E::Prefix("nginx".into())),
            (prefix("https://x.io"), E::Prefix("https://x.io".into())),
            (prefix("x.io/Acme"), E::Prefix("x.io/Acme".into())),
            (prefix("x.io/a/"), E::Prefix("x.io/a/".into())),
            (prefix("x.io/*"), E::Prefix("x.io/*".into())),
            (prefix("x.*.io"), E::Prefix("x.*.io".into())),
            (prefix("*.x.io/a"), E::Prefix("*.x.io/a".into())),
            (prefix("*.x.io:5000"), E::Prefix("*.x.io:5000".into())),
            (prefix("*.*.io"), E::Prefix("*.*.io".into())),
            (prefix("x.io/a:1"), E::Prefix("x.io/a:1".into())),
            (RawEntry { location: Some("https://y.io".into()), ..prefix("x.io") }, E::Location("https://y.io".into())),
            (RawEntry { location: Some("u@y.io".into()), ..prefix("x.io") }, E::Location("u@y.io".into())),
            (
                RawEntry { location: Some("y.io".into()), layout: Some("l".into()), ..prefix("x.io") },
                E::Layout("x.io".into()),
            ),
            (realm("x.io", "auth.io/token"), E::Realm("auth.io/token".into())),
            (realm("x.io", "https://u:p@auth.io/token"), E::Realm("https://u:p@auth.io/token".into())),
            (realm("x.io", "https://auth.io/token?x=1"), E::Realm("https://auth.io/token?x=1".into())),
            (realm("x.io", "http://auth.io/token"), E::PlainRealm("http://auth.io/token".into())),
            (realm("*", "https://auth.io/token"), E::RealmOfAll("*".into())),
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

    #[test]
    fn what_is_never_asked_is_no_host_to_be_reached() {
        let raw = vec![
            prefix("localhost:1"),
            RawEntry { layout: Some("l".into()), ..prefix("localhost:2") },
            RawEntry { blocked: true, mirrors: vec!["localhost:3".into()], ..prefix("localhost:4") },
        ];
        let beside = [("localhost:5".to_owned(), PathBuf::from("l"))];
        let settings = Settings::new(raw, false).unwrap().with_layouts_beside(beside).unwrap();
        assert_eq!(settings.hosts().collect::<Vec<_>>(), ["localhost:1"]);
    }

    #[test]
    fn what_is_shut_is_shut_in_every_spelling() {
        let blocked = |text: &str| RawEntry { blocked: true, ..prefix(text) };
        let rows = [
            ("evil.io", "evil.io/app", true),
            ("evil.io", "evil.io:443/app", true),
            ("evil.io", "evil.io:5000/app", true),
            ("evil.io/app", "evil.io:443/app/x", true),
            ("evil.io/app", "evil.io:443/apps", false),
            ("evil.io:5000", "evil.io/app", false),
            ("evil.io:5000", "evil.io:5001/app", false),
            ("[::1]", "[::1]:5000/app", true),
            ("docker.io", "docker.io:443/acme/app", true),
            ("docker.io", "registry-1.docker.io:443/acme/app", true),
            ("docker.io", "index.docker.io/acme/app", true),
            ("*.docker.io", "acme/app", true),
            ("*.docker.io", "index.docker.io:443/acme/app", true),
            ("*.io", "evil.io:443/app", true),
            ("evil.io", "a.evil.io:443/app", false),
        ];
        for (entry, name, shut) in rows {
            let every = RawEntry { mirrors: vec!["m.io".into()], ..prefix("*") };
            let settings = Settings::new(vec![every, blocked(entry)], false).unwrap();
            let repository = Reference::parse(name).unwrap().repository().clone();
            assert_eq!(settings.entry(&repository).unwrap().blocked(), shut, "{entry} {name}");
        }
        let only = RawEntry { mirrors: vec!["m.io".into()], only_mirrors: true, ..prefix("evil.io") };
        let settings = Settings::new(vec![only, prefix("evil.io:8443")], false).unwrap();
        for (host, held) in [
            ("evil.io:443", true),
            ("evil.io:80", true),
            ("evil.io:00443", true),
            ("evil.io:5000", false),
            ("evil.io:8443", false),
        ] {
            assert_eq!(settings.find(host, "app").is_some_and(Entry::only_mirrors), held, "{host}");
        }
        // An entry that shuts nothing is for its own spelling.
        let settings = Settings::new(vec![prefix("evil.io")], false).unwrap();
        assert_eq!(settings.find("evil.io:443", "app"), None);
    }
}
