//! podman's `registries.conf`, version 2, with its drop-ins: mirrors, other locations, `insecure`, blocked registries.
//! What it says of short names is left out on purpose: here a short name always means the Hub.
//!
//! Longer than most files: half of it is the table of what is refused, and where.
//!
//! Source: containers-registries.conf.5, containers-registries.conf.d.5.

use std::fs;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::limits;
use crate::registry::in_words;
use crate::registry::settings::{self, Pull, RawEntry, RawMirror, Settings};

/// Where the files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The file that the environment names; it must be there.
    pub named: Option<PathBuf>,
    /// The user's folder, `~/.config/containers`.
    pub user: Option<PathBuf>,
    /// The machine's folder, `/etc/containers`.
    pub system: Option<PathBuf>,
}

/// What all files say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// One for each prefix; checked, alone and against each other.
    pub entries: Vec<RawEntry>,
    /// `credential-helpers`, in order; empty where no file says so.
    pub credential_helpers: Vec<String>,
}

/// A file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), at(*.place))]
pub struct ConfError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// What is wrong with it, and what to do.
    pub message: String,
}

fn at(place: Option<(usize, usize)>) -> String {
    place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawFile {
    #[serde(default)]
    registry: Vec<Spanned<RawRegistry>>,
    credential_helpers: Option<Vec<String>>,
    /// The whole of version 1.
    registries: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawRegistry {
    prefix: Option<Spanned<String>>,
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    pull_from_mirror: Option<Spanned<String>>,
    #[serde(default)]
    mirror: Vec<Spanned<RawPlace>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawPlace {
    location: Option<Spanned<String>>,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Spanned<String>>,
}

/// Reads the main file (the named one, else the user's, else the machine's), then the drop-ins in the order of their
/// names: the machine's, unless the user has a main file, and the user's. The later wins, prefix by prefix.
pub fn read(places: &Places) -> Result<Registries, ConfError> {
    let inside = |folder: &Option<PathBuf>, name: &str| folder.as_ref().map(|folder| folder.join(name));
    let (user, system) = (inside(&places.user, "registries.conf"), inside(&places.system, "registries.conf"));
    let user = user.filter(|path| places.named.is_none() && path.exists());
    let mut merged = Registries::default();
    let main = places.named.as_ref().or(user.as_ref()).or(system.as_ref());
    if let Some(path) = main {
        add(&mut merged, path, places.named.is_some())?;
    }
    let drop_ins = "registries.conf.d";
    let machine = inside(&places.system, drop_ins).filter(|_| user.is_none());
    for folder in machine.into_iter().chain(inside(&places.user, drop_ins)) {
        for path in listed(&folder)? {
            add(&mut merged, &path, false)?;
        }
    }
    Ok(merged)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, ConfError> {
    let failed = |error: &io::Error| unreadable(folder, error);
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(error) => return Err(failed(&error)),
    };
    let paths: io::Result<Vec<PathBuf>> = found.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(|error| failed(&error))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf") && !path.is_dir());
    paths.sort();
    Ok(paths)
}

fn unreadable(file: &Path, error: &io::Error) -> ConfError {
    ConfError { file: file.to_owned(), place: None, message: format!("can't be read: {}", in_words(error)) }
}

fn add(merged: &mut Registries, path: &Path, must_exist: bool) -> Result<(), ConfError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(limits::POLICY_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return Ok(()),
        Err(error) => return Err(unreadable(path, &error)),
    }
    let wrong = |message: &str| ConfError { file: path.to_owned(), place: None, message: message.to_owned() };
    if bytes.len() as u64 > limits::POLICY_BYTES {
        return Err(wrong(&format!("longer than {} bytes", limits::POLICY_BYTES)));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text"))?;
    let Registries { entries, credential_helpers } = parse(&text).map_err(|Fault { span, message }| ConfError {
        file: path.to_owned(),
        place: span.map(|span| position(&text, span.start)),
        message,
    })?;
    for entry in entries {
        match merged.entries.iter_mut().find(|other| other.prefix == entry.prefix) {
            Some(other) => *other = entry,
            None => merged.entries.push(entry),
        }
    }
    if !credential_helpers.is_empty() {
        merged.credential_helpers = credential_helpers;
    }
    Ok(())
}

/// What is wrong, and where in the text.
struct Fault {
    span: Option<Range<usize>>,
    message: String,
}

impl Fault {
    fn at<T>(spanned: &Spanned<T>, message: impl Into<String>) -> Self {
        Self { span: Some(spanned.span()), message: message.into() }
    }
}

fn parse(text: &str) -> Result<Registries, Fault> {
    let raw: RawFile = toml::from_str(text).map_err(|error| Fault {
        span: error.span(),
        message: format!("not a registries.conf: {}", error.message()),
    })?;
    if let Some(version_1) = &raw.registries {
        let message = "this is version 1 of the format; write version 2, with one `[[registry]]` for each registry, or \
                       name another file in CONTAINERS_REGISTRIES_CONF";
        return Err(Fault::at(version_1, message));
    }
    let mut entries: Vec<RawEntry> = Vec::new();
    for registry in raw.registry {
        let span = registry.span();
        let fault = |message: String| Fault { span: Some(span.clone()), message };
        let entry = entry(registry)?;
        if entries.iter().any(|other| other.prefix == entry.prefix) {
            return Err(fault(format!("prefix `{}` stands twice; put what belongs to it in one table", entry.prefix)));
        }
        // The same place can't be trusted and not trusted.
        let place = |entry: &RawEntry| entry.location.clone().unwrap_or_else(|| entry.prefix.clone());
        let same = entries.iter().find(|other| place(other) == place(&entry));
        if same.is_some_and(|other| (other.insecure, other.blocked) != (entry.insecure, entry.blocked)) {
            let place = place(&entry);
            return Err(fault(format!(
                "`{place}` stands twice, with `insecure` or `blocked` once so and once otherwise"
            )));
        }
        entries.push(entry);
    }
    Ok(Registries { entries, credential_helpers: raw.credential_helpers.unwrap_or_default() })
}

fn entry(registry: Spanned<RawRegistry>) -> Result<RawEntry, Fault> {
    let span = registry.span();
    let raw = registry.into_inner();
    let fault = |message: &str| Fault { span: Some(span.clone()), message: message.to_owned() };
    if let Some(pull) = &raw.pull_from_mirror {
        return Err(Fault::at(pull, "`pull-from-mirror` belongs into a `[[registry.mirror]]`"));
    }
    let written = |text: &Option<Spanned<String>>| {
        text.as_ref().map(|text| text.get_ref().trim_end_matches('/').to_owned()).filter(|text| !text.is_empty())
    };
    let location = written(&raw.location);
    let Some(prefix) = written(&raw.prefix).or_else(|| location.clone()) else {
        return Err(fault("a `[[registry]]` needs a `prefix` or a `location`"));
    };
    let named = raw.prefix.as_ref().or(raw.location.as_ref()).map_or(span.clone(), Spanned::span);
    let Some(prefix) = settings::canonical(&prefix).filter(|prefix| prefix != settings::EVERY) else {
        let message = format!(
            "prefix `{prefix}` is not `HOST[:PORT][/PATH]` or `*.DOMAIN`; a tag, a digest and a URL have no place in it"
        );
        return Err(Fault { span: Some(named), message });
    };
    let mut mirrors = Vec::with_capacity(raw.mirror.len());
    for mirror in raw.mirror {
        mirrors.push(place(mirror, raw.mirror_by_digest_only)?);
    }
    let location = location.filter(|location| settings::canonical(location).as_ref() != Some(&prefix));
    let entry =
        RawEntry { prefix, location, mirrors, insecure: raw.insecure, blocked: raw.blocked, ..RawEntry::default() };
    Settings::new(vec![entry.clone()], false).map_err(|error| Fault {
        span: Some(raw.location.map_or(named, |location| location.span())),
        message: error.to_string(),
    })?;
    Ok(entry)
}

fn place(mirror: Spanned<RawPlace>, by_digest_only: bool) -> Result<RawMirror, Fault> {
    let span = mirror.span();
    let raw = mirror.into_inner();
    let Some(location) = raw.location else {
        let message = "a `[[registry.mirror]]` needs a `location`".to_owned();
        return Err(Fault { span: Some(span), message });
    };
    if location.get_ref().contains("://") {
        return Err(Fault::at(&location, "a location is `HOST[:PORT][/PATH]`, without a scheme"));
    }
    let pull = match raw.pull_from_mirror.as_ref().map(|pull| (pull, pull.get_ref().as_str())) {
        Some((pull, _)) if by_digest_only => {
            let message = "`pull-from-mirror` and the registry's `mirror-by-digest-only` exclude each other";
            return Err(Fault::at(pull, message));
        }
        None if by_digest_only => Pull::DigestOnly,
        None | Some((_, "" | "all")) => Pull::All,
        Some((_, "digest-only")) => Pull::DigestOnly,
        Some((_, "tag-only")) => Pull::TagOnly,
        Some((pull, other)) => {
            let message = format!("`{other}` is not `all`, `digest-only` or `tag-only`");
            return Err(Fault::at(pull, message));
        }
    };
    let mirror = RawMirror { location: location.get_ref().clone(), insecure: Some(raw.insecure), pull };
    let alone = RawEntry { prefix: settings::EVERY.to_owned(), mirrors: vec![mirror.clone()], ..RawEntry::default() };
    Settings::new(vec![alone], false).map_err(|error| Fault::at(&location, error.to_string()))?;
    Ok(mirror)
}

/// Line and column of a byte, from 1, columns in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Registries {
        parse(text).unwrap_or_else(|fault| panic!("{}", fault.message))
    }

    fn mirror(location: &str, insecure: bool, pull: Pull) -> RawMirror {
        RawMirror { location: location.into(), insecure: Some(insecure), pull }
    }

    fn prefix(text: &str) -> RawEntry {
        RawEntry { prefix: text.into(), ..RawEntry::default() }
    }

    #[test]
    fn every_key_of_version_2_is_read() {
        let found = parsed(
            r#"
            unqualified-search-registries = ["evil.example"]
            short-name-mode = "enforcing"
            credential-helpers = ["containers-auth.json", "pass"]
            additional-layer-store-auth-helper = "x"
            [[registry]]
            prefix = "Example.com/foo"
            location = "internal.example.net/bar/"
            insecure = true
            [[registry.mirror]]
            location = "m0.local/for-foo"
            [[registry.mirror]]
            location = "m1.local:5000"
            insecure = true
            pull-from-mirror = "tag-only"
            [[registry]]
            location = "index.docker.io"
            mirror-by-digest-only = true
            [[registry.mirror]]
            location = "hub.local"
            [[registry]]
            prefix = "*.Evil.example"
            blocked = true
            [aliases]
            "nginx" = "evil.example/nginx"
            "#,
        );
        let foo = RawEntry {
            location: Some("internal.example.net/bar".into()),
            insecure: true,
            mirrors: vec![mirror("m0.local/for-foo", false, Pull::All), mirror("m1.local:5000", true, Pull::TagOnly)],
            ..prefix("example.com/foo")
        };
        let hub = RawEntry { mirrors: vec![mirror("hub.local", false, Pull::DigestOnly)], ..prefix("docker.io") };
        let entries = vec![foo, hub, RawEntry { blocked: true, ..prefix("*.evil.example") }];
        let credential_helpers = vec!["containers-auth.json".to_owned(), "pass".to_owned()];
        assert_eq!(found, Registries { entries, credential_helpers });
    }

    #[test]
    fn what_can_not_be_meant_is_refused_at_its_place() {
        let rows = [
            ("[registries.search]\nregistries = ['a.io']", (1, 2), "version 1"),
            ("[registries.block]\nregistries = []\n", (1, 2), "version 1"),
            ("[[registry]]\nprefix = 'a.io", (2, 15), "not a registries.conf"),
            ("[[registry]]\nprefix = 'a.io'\nblocked = 'yes'", (3, 11), "not a registries.conf"),
            ("[registry]\nprefix = 'a.io'", (1, 1), "not a registries.conf"),
            ("\n[[registry]]\nblocked = true", (2, 1), "needs a `prefix`"),
            ("[[registry]]\nprefix = 'https://a.io'", (2, 10), "is not `HOST"),
            ("[[registry]]\nprefix = 'a.io/b:1'", (2, 10), "a tag"),
            ("[[registry]]\nprefix = '*.a.io/b'", (2, 10), "is not `HOST"),
            ("[[registry]]\nprefix = '*'", (2, 10), "is not `HOST"),
            ("[[registry]]\nprefix = 'a.io'\nlocation = 'https://b.io'", (3, 12), "location"),
            ("[[registry]]\nprefix = 'a.io'\nlocation = 'u:p@b.io'", (3, 12), "location"),
            ("[[registry]]\nprefix = 'a.io'\npull-from-mirror = 'all'", (3, 20), "[[registry.mirror]]"),
            ("[[registry]]\nprefix = 'a.io'\n[[registry.mirror]]\ninsecure = true", (3, 1), "needs a `location`"),
            ("[[registry]]\nprefix = 'a.io'\n[[registry.mirror]]\nlocation = 'http://b.io'", (4, 12), "scheme"),
            ("[[registry]]\nprefix = 'a.io'\n[[registry.mirror]]\nlocation = 'b.io/B'", (4, 12), "mirror"),
            (
                "[[registry]]\nprefix = 'a.io'\n[[registry.mirror]]\nlocation = 'b.io'\npull-from-mirror = 'never'",
                (5, 20),
                "is not `all`",
            ),
            (
                "[[registry]]\nprefix = 'a.io'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = 'b.io'\n\
                 pull-from-mirror = 'all'",
                (6, 20),
                "exclude each other",
            ),
            ("[[registry]]\nprefix = 'a.io'\n[[registry]]\nlocation = 'A.io'", (3, 1), "stands twice"),
            (
                "[[registry]]\nlocation = 'a.io'\n[[registry]]\nprefix = 'b.io'\nlocation = 'a.io'\ninsecure = true",
                (3, 1),
                "once otherwise",
            ),
        ];
        for (text, place, said) in rows {
            let Err(Fault { span, message }) = parse(text) else { panic!("{text} is accepted") };
            assert!(message.contains(said), "{text}: {message}");
            assert_eq!(span.map(|span| position(text, span.start)), Some(place), "{text}: {message}");
        }
    }

    #[test]
    fn files_are_merged_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let blocked = |name: &str| format!("[[registry]]\nprefix = '{name}'\nblocked = true\n");
        write("etc/registries.conf", &format!("credential-helpers = ['a']\n{}", blocked("etc.io")));
        write("etc/registries.conf.d/10.conf", &blocked("etc-drop.io"));
        write("etc/registries.conf.d/20.conf", "credential-helpers = ['b']\n[[registry]]\nprefix = 'etc-drop.io'\n");
        write("etc/registries.conf.d/30.conf.bak", "broken");
        write("home/registries.conf.d/10.conf", &blocked("home-drop.io"));
        write("named.conf", &blocked("named.io"));
        let mut places =
            Places { named: None, user: Some(folder.path().join("home")), system: Some(folder.path().join("etc")) };
        let names = |found: &Registries| -> Vec<String> {
            let name = |entry: &RawEntry| format!("{}{}", entry.prefix, if entry.blocked { " blocked" } else { "" });
            found.entries.iter().map(name).collect()
        };
        let found = read(&places).unwrap();
        assert_eq!(names(&found), ["etc.io blocked", "etc-drop.io", "home-drop.io blocked"]);
        assert_eq!(found.credential_helpers, ["b"]);
        places.named = Some(folder.path().join("named.conf"));
        assert_eq!(names(&read(&places).unwrap()), ["named.io blocked", "etc-drop.io", "home-drop.io blocked"]);
        places.named = Some(folder.path().join("missing.conf"));
        assert!(
            read(&places)
                .unwrap_err()
                .to_string()
                .ends_with("missing.conf: can't be read: there is no such file or folder")
        );
        places.named = None;
        write("home/registries.conf", &blocked("home.io"));
        assert_eq!(names(&read(&places).unwrap()), ["home.io blocked", "home-drop.io blocked"]);
        write("home/registries.conf.d/20.conf", "x");
        let error = read(&places).unwrap_err();
        assert!(error.to_string().contains("20.conf:1:"), "{error}");
        assert_eq!(read(&Places::default()), Ok(Registries::default()));
    }
}
