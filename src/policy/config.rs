//! The `GateConfig` document: how registries are reached and which files are left out. Plain data, nothing is opened.
//! Beside a policy it may not choose its own transport: there only layouts, `ignore` and `kinds` are read.

use super::checks::not_empty;
use super::document::{ConfigDocument, RawKind, RawRegistry};
use super::error::{PolicyError, Text};
use super::globs::Globs;
use super::reader::Document;
use crate::reference::{canonical_host, is_component, is_host};
use crate::registry::settings::{RawEntry, Settings};
use crate::rule::setting::{At, SettingError};
use crate::source::Kinds;
use crate::span::Span;

/// Settings of a config document.
#[derive(Clone, Debug, Default)]
pub struct GateConfig {
    /// How registries are reached, in the order of the file.
    pub registries: Vec<RegistrySettings>,
    /// Files that a run leaves out, by paths relative to the config's folder.
    pub ignore: Option<Globs>,
    /// Custom resources and where their images stand.
    pub kinds: Kinds,
}

/// How the registries of one prefix are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// `HOST[/PATH]`, host in lower case and the Hub by its one name; `*` is every registry.
    pub prefix: String,
    /// Tried in order: `HOST[/PATH]`, or a URL with `http://` or `https://`.
    pub mirrors: Vec<String>,
    /// Never ask the registry itself.
    pub only_mirrors: bool,
    /// http or unverified TLS, for this prefix alone.
    pub insecure: bool,
    /// A file of certificates, relative to the config's folder.
    pub ca: Option<String>,
    /// A token server on another host or port that the registry may send us to.
    pub token_realm: Option<String>,
    /// An OCI image layout, relative to the config's folder.
    pub layout: Option<String>,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// Where a config stands, which decides what it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The file that `--config` names.
    Named,
    /// Beside a policy, in the repository that is judged.
    BesidePolicy,
}

pub(super) fn read(text: &Text<'_>, document: &Document, standing: Standing) -> Result<GateConfig, PolicyError> {
    let raw: ConfigDocument = document.read(text)?;
    if let Some(name) = raw.metadata.map(|metadata| metadata.name) {
        not_empty(&name, "metadata.name").map_err(|error| text.error(error))?;
    }
    let mut kinds = Kinds::none();
    for raw in raw.spec.kinds {
        add_kind(&mut kinds, &raw.value).map_err(|error| text.error(error))?;
    }
    let mut registries: Vec<RegistrySettings> = Vec::new();
    for raw in raw.spec.registries {
        let line = text.line(raw.span);
        let at = raw.value.prefix.span;
        let settings = registry(raw, line, standing).map_err(|error| text.error(error))?;
        if registries.iter().any(|other| other.prefix == settings.prefix) {
            let message = format!("prefix `{}` stands twice", settings.prefix);
            return Err(text.error(SettingError::new(at, message, "put its settings under one entry")));
        }
        registries.push(settings);
    }
    let ignore = raw.spec.ignore.map(|list| Globs::parse(&list.value, list.span)).transpose();
    Ok(GateConfig { registries, ignore: ignore.map_err(|error| text.error(error))?, kinds })
}

fn add_kind(kinds: &mut Kinds, raw: &RawKind) -> Result<(), SettingError> {
    not_empty(&raw.kind, "kind")?;
    if raw.group.value.contains('/') {
        let message = format!("`{}` is no API group", raw.group.value);
        return Err(SettingError::new(raw.group.span, message, "write it without a version, such as `example.org`"));
    }
    if raw.images.value.is_empty() {
        return Err(SettingError::new(raw.images.span, "`images` names no path", "add one, such as `{.spec.image}`"));
    }
    for path in &raw.images.value {
        let added = kinds.add(&raw.group.value, &raw.kind.value, &path.value);
        added.map_err(|message| SettingError::new(path.span, message, "correct the path"))?;
    }
    Ok(())
}

fn registry(raw: At<RawRegistry>, line: usize, standing: Standing) -> Result<RegistrySettings, SettingError> {
    let At { value: raw, span } = raw;
    let refused = |span: Span, message: &str, help: &str| Err(SettingError::new(span, message, help));
    let transport = [
        ("mirrors", raw.mirrors.as_ref().map(|found| found.span)),
        ("only-mirrors", raw.only_mirrors.as_ref().map(|found| found.span)),
        ("insecure", raw.insecure.as_ref().map(|found| found.span)),
        ("ca", raw.ca.as_ref().map(|found| found.span)),
        ("token-realm", raw.token_realm.as_ref().map(|found| found.span)),
    ];
    let set = transport.iter().find_map(|(key, span)| span.map(|span| (*key, span)));
    if let Some((key, span)) = set.filter(|_| standing == Standing::BesidePolicy) {
        let message = format!("`{key}` may not stand beside a policy: a repository does not choose its own transport");
        return refused(span, &message, "put it into the file that `--config` names");
    }
    if let (Some((key, span)), Some(_)) = (set, &raw.layout) {
        let message = format!("`{key}` and `layout` exclude each other: a layout is read from disk");
        return refused(span, &message, "leave one of them away");
    }
    if set.is_none() && raw.layout.is_none() {
        return refused(
            span,
            "the entry sets nothing",
            "add `layout`, or `mirrors`, `insecure`, `ca` or `token-realm`",
        );
    }
    let only_mirrors = raw.only_mirrors.as_ref().is_some_and(|found| found.value);
    if let Some(only) = raw.only_mirrors.as_ref().filter(|only| only.value && raw.mirrors.is_none()) {
        return refused(only.span, "`only-mirrors` without `mirrors` reaches nothing", "add `mirrors`");
    }
    let mirrors = match raw.mirrors {
        Some(list) if list.value.is_empty() => {
            return refused(list.span, "`mirrors` names none", "name one, or leave it away");
        }
        Some(list) => list.value.into_iter().map(mirror).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    for (key, path) in [("ca", &raw.ca), ("layout", &raw.layout)] {
        if let Some(path) = path {
            not_empty(path, key)?;
        }
    }
    let prefix = prefix(&raw.prefix)?;
    let insecure = raw.insecure.is_some_and(|found| found.value);
    if let Some(realm) = &raw.token_realm {
        let token_realms = vec![realm.value.clone()];
        let alone = RawEntry { prefix: prefix.clone(), insecure, token_realms, ..RawEntry::default() };
        let help = "write it as the registry does in its challenge, such as `https://auth.corp/token`";
        Settings::new(vec![alone], false).map_err(|error| SettingError::new(realm.span, error.to_string(), help))?;
    }
    Ok(RegistrySettings {
        prefix,
        mirrors,
        only_mirrors,
        insecure,
        ca: raw.ca.map(|found| found.value),
        token_realm: raw.token_realm.map(|found| found.value),
        layout: raw.layout.map(|found| found.value),
        line,
    })
}

fn prefix(text: &At<String>) -> Result<String, SettingError> {
    if text.value == "*" {
        return Ok("*".to_owned());
    }
    place(&text.value).ok_or_else(|| {
        let message = format!("`{}` is not a prefix", text.value);
        SettingError::new(text.span, message, "write a host, a host with a path, or `*`, such as `docker.io/library`")
    })
}

fn mirror(text: At<String>) -> Result<String, SettingError> {
    let bare = ["http://", "https://"].iter().find_map(|scheme| text.value.strip_prefix(scheme)).unwrap_or(&text.value);
    if place(bare).is_none() {
        let message = format!("`{}` is not a mirror", text.value);
        let help = "write `mirror.example:5000/path` or `http://127.0.0.1:5000`, without credentials";
        return Err(SettingError::new(text.span, message, help));
    }
    Ok(text.value)
}

/// `HOST[/PATH]`, normalised; here the first component is always a host.
fn place(text: &str) -> Option<String> {
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let named = host == "localhost" || host.contains(['.', ':']) || host.chars().any(char::is_uppercase);
    if !named || !is_host(host) || !path.is_none_or(|path| path.split('/').all(is_component)) {
        return None;
    }
    let host = canonical_host(host);
    Some(match path {
        Some(path) => format!("{host}/{path}"),
        None => host,
    })
}
