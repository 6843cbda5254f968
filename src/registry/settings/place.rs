//! Places that answer for a registry, as settings write them: mirrors, other locations, token servers.

use url::Url;

use crate::reference;

/// How a registry is spoken to, where that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain http.
    Http,
    /// TLS.
    Https,
}

/// For which references a mirror is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pull {
    /// All.
    #[default]
    All,
    /// Those by digest.
    DigestOnly,
    /// Those by tag.
    TagOnly,
}

/// The raw form of a [`Mirror`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawMirror {
    /// `host[:port][/path]` or a URL of that shape.
    pub location: String,
    /// Whether plain http or unverified TLS is accepted; where it is not said, as its entry says.
    pub insecure: Option<bool>,
    /// For which references it is asked.
    pub pull: Pull,
}

impl<T: Into<String>> From<T> for RawMirror {
    fn from(location: T) -> Self {
        Self { location: location.into(), ..Self::default() }
    }
}

/// A place that may answer for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    scheme: Option<Scheme>,
    host: String,
    path: String,
    pub(super) insecure: bool,
    pub(super) pull: Pull,
}

impl Mirror {
    pub(super) fn parse(text: &str) -> Option<Self> {
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
        let host = reference::canonical_host(host);
        Some(Self { scheme, host, path: path.to_owned(), insecure: false, pull: Pull::All })
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

    /// Whether plain http and unverified TLS are accepted.
    pub fn insecure(&self) -> bool {
        self.insecure
    }

    /// For which references it is asked.
    pub fn pull(&self) -> Pull {
        self.pull
    }
}

/// A token server's address, without user, query and fragment.
pub(super) fn realm(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.host_str().is_some_and(|host| !host.is_empty());
    bare.then_some(url)
}

/// Whether `host` (a port may follow) names this machine: `localhost`, `127.0.0.0/8` or `::1`, as Docker has it.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => &host[..at],
        _ => host,
    };
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
}
