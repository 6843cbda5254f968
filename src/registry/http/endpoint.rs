//! Where a repository is asked for: the mirrors of its settings in their order, then the registry itself.
//! A host whose text and address disagree (`0x7f.1`, a port beyond 65535) is refused, never guessed at.

use std::path::PathBuf;

use url::Url;

use crate::digest::Digest;
use crate::reference::{HUB, Repository};
use crate::registry::settings::{Entry, Mirror, Scheme, Settings, is_loopback};
use crate::registry::{RegistryError, Target};

/// The host that serves the Hub's API.
const HUB_API: &str = "registry-1.docker.io";

/// How TLS is verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tls {
    /// By the system's roots.
    System,
    /// By the system's roots and those of a PEM file.
    Also(PathBuf),
    /// Not at all, as declared.
    Unverified,
}

/// Which scheme an endpoint is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Speech {
    /// TLS and nothing else.
    Https,
    /// Plain http: by Docker's convention for this machine, or as a declared mirror's URL says.
    Http,
    /// Declared insecure without a scheme: TLS, and where none is spoken, plain http.
    Either,
}

/// One place that may answer for a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// The host as the user knows it: the key of its credentials, and the name in messages.
    pub(crate) host: String,
    /// The host that is dialled.
    pub(crate) address: String,
    /// The repository's path there.
    pub(crate) path: String,
    pub(crate) tls: Tls,
    pub(crate) speech: Speech,
    /// Whether another place may be asked after it.
    pub(crate) mirror: bool,
}

impl Endpoint {
    /// The places to ask for `repository`, in order.
    pub(crate) fn all(settings: &Settings, repository: &Repository) -> Vec<Self> {
        let entry = settings.entry(repository);
        let mirrors = entry.into_iter().flat_map(|entry| {
            let below = entry.below(repository.path());
            entry.mirrors().iter().filter_map(|mirror| Self::of_mirror(settings, entry, mirror, below))
        });
        let mut all: Vec<Self> = mirrors.collect();
        if !entry.is_some_and(Entry::only_mirrors) {
            all.push(Self::of_registry(entry, repository.host(), repository.path()));
        }
        all
    }

    fn of_registry(entry: Option<&Entry>, host: &str, path: &str) -> Self {
        let insecure = entry.is_some_and(Entry::insecure);
        let tls = tls(insecure, entry.and_then(Entry::ca).map(Into::into));
        let address = if host == HUB { HUB_API } else { host };
        let (host, path, address) = (host.to_owned(), path.to_owned(), address.to_owned());
        Self { speech: speech(&host, &tls), host, address, path, tls, mirror: false }
    }

    /// The mirror's own entry counts too: it may be a registry with settings of its own.
    fn of_mirror(settings: &Settings, entry: &Entry, mirror: &Mirror, below: &str) -> Option<Self> {
        let path = match (mirror.path(), below) {
            ("", "") => return None,
            ("", path) | (path, "") => path.to_owned(),
            (front, path) => format!("{front}/{path}"),
        };
        let own = settings.find(mirror.host(), &path);
        let insecure = entry.insecure() || own.is_some_and(Entry::insecure);
        let tls = tls(insecure, own.and_then(Entry::ca).or(entry.ca()).map(Into::into));
        let speech = match mirror.scheme() {
            Some(Scheme::Http) => Speech::Http,
            Some(Scheme::Https) => Speech::Https,
            None => speech(mirror.host(), &tls),
        };
        let address = if mirror.host() == HUB { HUB_API } else { mirror.host() };
        Some(Self { host: mirror.host().to_owned(), address: address.to_owned(), path, tls, speech, mirror: true })
    }

    /// Whether this is a registry on this machine.
    pub(crate) fn loopback(&self) -> bool {
        is_loopback(&self.address)
    }

    /// Whether a credential may travel in plain http: never beyond this machine unless declared.
    pub(crate) fn plain(&self) -> bool {
        self.speech != Speech::Https || self.tls == Tls::Unverified
    }

    /// The scope of a token that reads this repository.
    pub(crate) fn scope(&self) -> String {
        format!("repository:{}:pull", self.path)
    }

    /// The address of a manifest.
    pub(crate) fn manifest(&self, target: Target<'_>) -> String {
        let name = match target {
            Target::Tag(tag) => tag,
            Target::Digest(digest) => digest.as_str(),
        };
        format!("/v2/{}/manifests/{name}", self.path)
    }

    /// The address of a blob.
    pub(crate) fn blob(&self, digest: &Digest) -> String {
        format!("/v2/{}/blobs/{digest}", self.path)
    }

    /// The address of the list of a manifest's referrers.
    pub(crate) fn referrers(&self, subject: &Digest) -> String {
        format!("/v2/{}/referrers/{subject}", self.path)
    }

    /// The whole URL of `path` (made of grammar-checked parts, with a query or without) in `scheme`.
    pub(crate) fn url(&self, scheme: Scheme, path: &str) -> Result<Url, RegistryError> {
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let refused = || RegistryError::Refused { reason: format!("`{}` is not the address of a registry", self.host) };
        let url = Url::parse(&format!("{scheme}://{}{path}", self.address)).map_err(|_| refused())?;
        let name = match self.address.rfind(':') {
            Some(at) if !self.address.ends_with(']') => &self.address[..at],
            _ => &self.address,
        };
        // `2130706433` and `0x7f.1` are other spellings of an address; IPv6 has harmless ones.
        let same = url.host_str() == Some(name) || name.starts_with('[');
        let whole = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        if same && whole == path { Ok(url) } else { Err(refused()) }
    }
}

fn tls(insecure: bool, ca: Option<PathBuf>) -> Tls {
    match ca {
        _ if insecure => Tls::Unverified,
        Some(ca) => Tls::Also(ca),
        None => Tls::System,
    }
}

/// One request must do, so nothing is probed: a registry on this machine speaks http, as Docker has it, unless a
/// `ca` is configured for it. Only what is declared insecure is tried in both.
fn speech(host: &str, tls: &Tls) -> Speech {
    match tls {
        Tls::Unverified => Speech::Either,
        Tls::System if is_loopback(host) => Speech::Http,
        Tls::System | Tls::Also(_) => Speech::Https,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;
    use crate::registry::settings::RawEntry;

    fn endpoints(entries: Vec<RawEntry>, name: &str) -> Vec<String> {
        let settings = Settings::new(entries, false).unwrap();
        let all = Endpoint::all(&settings, Reference::parse(name).unwrap().repository());
        all.iter().map(|e| format!("{} {}/{} {:?} {:?}", e.host, e.address, e.path, e.tls, e.speech)).collect()
    }

    #[test]
    fn endpoints_stand_in_order() {
        let hub = RawEntry {
            prefix: "docker.io".into(),
            mirrors: vec!["m.corp:5000/hub".into(), "http://127.0.0.1:5000".into()],
            ..RawEntry::default()
        };
        let hub_itself = "docker.io registry-1.docker.io/library/nginx System Https";
        let mirrors = [
            "m.corp:5000 m.corp:5000/hub/library/nginx System Https",
            "127.0.0.1:5000 127.0.0.1:5000/library/nginx System Http",
        ];
        assert_eq!(endpoints(vec![hub.clone()], "nginx"), [mirrors[0], mirrors[1], hub_itself]);
        assert_eq!(endpoints(vec![RawEntry { only_mirrors: true, ..hub.clone() }], "nginx"), mirrors);
        assert_eq!(endpoints(vec![hub], "ghcr.io/a/b"), ["ghcr.io ghcr.io/a/b System Https"]);
        assert_eq!(endpoints(vec![], "localhost:5000/a"), ["localhost:5000 localhost:5000/a System Http"]);
    }

    #[test]
    fn tls_follows_the_entry() {
        let entry = |insecure, ca: Option<&str>| {
            let ca = ca.map(Into::into);
            vec![RawEntry { prefix: "r.io:5000".into(), insecure, ca, ..RawEntry::default() }]
        };
        let rows = [
            (entry(false, None), "System Https"),
            (entry(false, Some("c.pem")), "Also(\"c.pem\") Https"),
            (entry(true, None), "Unverified Either"),
        ];
        for (entries, expected) in rows {
            assert_eq!(endpoints(entries, "r.io:5000/a"), [format!("r.io:5000 r.io:5000/a {expected}")]);
        }
    }

    #[test]
    fn odd_hosts_are_refused() {
        let rows = ["a.io:70000/x", "2130706433:80/x", "0x7f.1/x", "127.1/x", "a.io:99999999999/x"];
        for name in rows {
            let settings = Settings::default();
            let all = Endpoint::all(&settings, Reference::parse(name).unwrap().repository());
            let error = all[0].url(Scheme::Https, "/v2/x/manifests/1").unwrap_err();
            assert!(matches!(error, RegistryError::Refused { .. }), "{name}: {error}");
        }
    }
}
