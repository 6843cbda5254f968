//! Which repositories an entry of the settings holds for: all, those below a host or a path, or a domain's hosts.
//! Component by component; a prefix never fits half a name.

use std::fmt;

use crate::reference;

/// The prefix that every registry fits.
pub const EVERY: &str = "*";

/// A parsed prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    Every,
    /// Every host below a domain, in lower case, any number of labels deep; never the domain itself.
    Below(String),
    Host {
        host: String,
        path: String,
    },
}

impl Prefix {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == EVERY {
            return Some(Self::Every);
        }
        if let Some(domain) = text.strip_prefix("*.") {
            let plain = !domain.contains([':', '/', '[']) && reference::is_host(domain);
            return plain.then(|| Self::Below(domain.to_ascii_lowercase()));
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        // A single label can't be the host of a reference, so it would never fit: most likely a forgotten `docker.io/`.
        let named = host.contains(['.', ':']) || host.eq_ignore_ascii_case("localhost");
        if !named || !reference::is_host(host) || (path.is_empty() && text.contains('/')) {
            return None;
        }
        if !(path.is_empty() || reference::is_path(path)) {
            return None;
        }
        Some(Self::Host { host: reference::canonical_host(host), path: path.to_owned() })
    }

    pub(super) fn fits(&self, host: &str, path: &str) -> bool {
        match self {
            Self::Every => true,
            // Whatever its port: a wildcard says nothing of one (containers-registries.conf.5).
            Self::Below(domain) => {
                let (name, _) = parts(host);
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            Self::Host { host: own, path: prefix } => own == host && below(path, prefix).is_some(),
        }
    }

    /// The longer wins, as it is written; a host before a wildcard of the same length.
    pub(super) fn length(&self) -> (usize, bool) {
        match self {
            Self::Every => (0, false),
            Self::Below(domain) => ("*.".len() + domain.len(), false),
            Self::Host { host, path } => (host.len() + path.len() + usize::from(!path.is_empty()), true),
        }
    }

    /// What of `path` lies below this prefix.
    pub(super) fn rest<'a>(&self, path: &'a str) -> &'a str {
        match self {
            Self::Host { path: prefix, .. } => below(path, prefix).unwrap_or(path),
            Self::Every | Self::Below(_) => path,
        }
    }

    /// The one host that it names.
    pub(super) fn host(&self) -> Option<&str> {
        match self {
            Self::Host { host, .. } => Some(host),
            Self::Every | Self::Below(_) => None,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str(EVERY),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Host { host, path } if path.is_empty() => f.write_str(host),
            Self::Host { host, path } => write!(f, "{host}/{path}"),
        }
    }
}

/// A host's name, and its port where one is written.
pub(super) fn parts(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// `path` without `prefix`, when it lies below it or is it.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        rest if prefix.is_empty() || rest.is_empty() => Some(rest),
        rest => rest.strip_prefix('/'),
    }
}
