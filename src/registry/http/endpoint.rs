//! Where a repository is asked for: the mirrors of its settings in their order, then the registry itself.
//! A host whose text and address disagree (`0x7f.1`, a port beyond 65535) is refused, never guessed at.

use url::Url;

use crate::digest::Digest;
use crate::reference::{HUB, Repository};
use crate::registry::http::tls::Tls;
use crate::registry::settings::{Entry, Mirror, Pull, Scheme, Settings, is_loopback};
use crate::registry::{RegistryError, Target};

/// The host that serves the Hub's API.
const HUB_API: &str = "registry-1.docker.io";

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
    /// Token servers elsewhere that are declared for it, each with how its TLS is verified.
    pub(crate) realms: Vec<(Url, Tls)>,
    /// For which references it is asked.
    pub(crate) pull: Pull,
    /// Whether another place may be asked after it.
    pub(crate) mirror: bool,
}

impl Endpoint {
    /// The places that may answer for `repository`, in order; each is asked only for what it serves.
    pub(crate) fn all(settings: &Settings, repository: &Repository) -> Vec<Self> {
        let (host, path) = (repository.host(), repository.path());
        let Some(entry) = settings.entry(repository) else {
            return vec![Self::at(settings, None, host, path, false)];
        };
        let below = entry.below(path);
        let mut all: Vec<Self> =
            entry.mirrors().iter().filter_map(|mirror| Self::of_mirror(settings, entry, mirror, below)).collect();
        if !entry.only_mirrors() {
            all.extend(match entry.location() {
                None => Some(Self::at(settings, Some(entry), host, path, false)),
                Some(location) => joined(location.path(), below)
                    .map(|path| Self::at(settings, Some(entry), location.host(), &path, false)),
            });
        }
        all
    }

    /// The place `host`, by the settings of `entry` and by its own: it may be a registry with settings of its own.
    fn at(settings: &Settings, entry: Option<&Entry>, host: &str, path: &str, mirror: bool) -> Self {
        let own = settings.find(host, path);
        let insecure = (!mirror && entry.is_some_and(Entry::insecure)) || own.is_some_and(Entry::insecure);
        let ca = own.and_then(Entry::ca).or(entry.and_then(Entry::ca));
        let tls = Tls::of(settings, host, ca, insecure);
        // A mirror has token servers of its own, as it has credentials of its own.
        let declared = if mirror { own } else { entry.or(own) };
        let realm = |url: &Url| {
            let place = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
            (url.clone(), Tls::of(settings, &place, settings.find(&place, "").and_then(Entry::ca), false))
        };
        let realms = declared.into_iter().flat_map(Entry::token_realms).map(realm).collect();
        let address = if host == HUB { HUB_API } else { host };
        let (address, path) = (address.to_owned(), path.to_owned());
        Self { speech: speech(host, &tls), host: host.to_owned(), address, path, tls, realms, pull: Pull::All, mirror }
    }

    fn of_mirror(settings: &Settings, entry: &Entry, mirror: &Mirror, below: &str) -> Option<Self> {
        let path = joined(mirror.path(), below)?;
        let mut place = Self::at(settings, Some(entry), mirror.host(), &path, true);
        place.pull = mirror.pull();
        if mirror.insecure() {
            place.tls = place.tls.unverified();
            place.speech = Speech::Either;
        }
        match mirror.scheme() {
            Some(Scheme::Http) => place.speech = Speech::Http,
            Some(Scheme::Https) => place.speech = Speech::Https,
            None => {}
        }
        Some(place)
    }

    /// Whether it is asked for `target`.
    pub(crate) fn serves(&self, target: Target<'_>) -> bool {
        match target {
            Target::Tag(_) => self.pull != Pull::DigestOnly,
            Target::Digest(_) => self.pull != Pull::TagOnly,
        }
    }

    /// Whether this is a registry on this machine.
    pub(crate) fn loopback(&self) -> bool {
        is_loopback(&self.address)
    }

    /// Whether a credential may travel in plain http: never beyond this machine unless declared.
    pub(crate) fn plain(&self) -> bool {
        self.speech != Speech::Https || !self.tls.verified()
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

/// The path of a repository that lies `below` what stands at `front`; none where neither names anything.
fn joined(front: &str, below: &str) -> Option<String> {
    match (front, below) {
        ("", "") => None,
        ("", path) | (path, "") => Some(path.to_owned()),
        (front, path) => Some(format!("{front}/{path}")),
    }
}

/// One request must do, so nothing is probed: a registry on this machine speaks http, as Docker has it, unless
/// certificates are configured for it. Only what is declared insecure is tried in both.
fn speech(host: &str, tls: &Tls) -> Speech {
    if !tls.verified() {
        Speech::Either
    } else if is_loopback(host) && tls.is_plain() {
        Speech::Http
    } else {
        Speech::Https
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;
    use crate::registry::settings::{Certificates, Identity, RawEntry, RawMirror};

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// Host, dialled address and path, and how it is spoken to: `+` verified, `-` not.
    fn endpoints(entries: Vec<RawEntry>, name: &str) -> Vec<String> {
        let settings = Settings::new(entries, false).unwrap();
        let reference = Reference::parse(name).unwrap();
        let target = reference.digest().map_or(Target::Tag("1"), Target::Digest);
        let shown = |e: Endpoint| {
            let tls = if e.tls.verified() { '+' } else { '-' };
            format!("{} {}/{} {tls}{:?}", e.host, e.address, e.path, e.speech)
        };
        let all = Endpoint::all(&settings, reference.repository());
        all.into_iter().filter(|endpoint| endpoint.serves(target)).map(shown).collect()
    }

    fn entry(prefix: &str) -> RawEntry {
        RawEntry { prefix: prefix.into(), ..RawEntry::default() }
    }

    #[test]
    fn endpoints_stand_in_order() {
        let mirrors = ["m.corp:5000/hub", "http://127.0.0.1:5000"].map(Into::into).to_vec();
        let hub = RawEntry { mirrors, ..entry("docker.io") };
        let hub_itself = "docker.io registry-1.docker.io/library/nginx +Https";
        let mirrors =
            ["m.corp:5000 m.corp:5000/hub/library/nginx +Https", "127.0.0.1:5000 127.0.0.1:5000/library/nginx +Http"];
        assert_eq!(endpoints(vec![hub.clone()], "nginx"), [mirrors[0], mirrors[1], hub_itself]);
        assert_eq!(endpoints(vec![RawEntry { only_mirrors: true, ..hub.clone() }], "nginx"), mirrors);
        assert_eq!(endpoints(vec![hub], "ghcr.io/a/b"), ["ghcr.io ghcr.io/a/b +Https"]);
        assert_eq!(endpoints(vec![], "localhost:5000/a"), ["localhost:5000 localhost:5000/a +Http"]);
        assert_eq!(endpoints(vec![], "[::1]:5000/a"), ["[::1]:5000 [::1]:5000/a +Http"]);
    }

    #[test]
    fn insecure_holds_for_whom_it_was_said() {
        let said = |insecure| RawMirror { location: "m.io/a".into(), insecure, ..RawMirror::default() };
        let rows = [
            (false, None, "+Https", "+Https"),
            (true, None, "-Either", "-Either"),
            (true, Some(false), "+Https", "-Either"),
            (false, Some(true), "-Either", "+Https"),
        ];
        for (insecure, own, mirror, itself) in rows {
            let found =
                endpoints(vec![RawEntry { insecure, mirrors: vec![said(own)], ..entry("r.io:5000") }], "r.io:5000/x");
            assert_eq!(found, [format!("m.io m.io/a/x {mirror}"), format!("r.io:5000 r.io:5000/x {itself}")]);
        }
        let insecure = RawEntry { insecure: true, ..entry("m.io") };
        let found = endpoints(vec![insecure, RawEntry { mirrors: vec![said(None)], ..entry("r.io") }], "r.io/x");
        assert_eq!(found, ["m.io m.io/a/x -Either", "r.io r.io/x +Https"]);
    }

    #[test]
    fn a_location_changes_where_and_a_pull_when() {
        let at = |prefix: &str, location: &str| vec![RawEntry { location: Some(location.into()), ..entry(prefix) }];
        let rows = [
            ("a.io/team", "b.io/x", "a.io/team/app", vec!["b.io b.io/x/app +Https"]),
            ("a.io/team", "b.io", "a.io/team", vec![]),
            ("a.io/team/app", "b.io/x", "a.io/team/app", vec!["b.io b.io/x +Https"]),
            ("*.a.io", "b.io/x", "c.a.io/app", vec!["b.io b.io/x/app +Https"]),
            ("docker.io", "m.io:5000/hub", "nginx", vec!["m.io:5000 m.io:5000/hub/library/nginx +Https"]),
            ("a.io", "docker.io", "a.io/acme/app", vec!["docker.io registry-1.docker.io/acme/app +Https"]),
        ];
        for (prefix, location, name, expected) in rows {
            assert_eq!(endpoints(at(prefix, location), name), expected, "{prefix} {location}");
        }
        let pulled = |location: &str, pull| RawMirror { location: location.into(), pull, ..RawMirror::default() };
        let mirrors = vec![pulled("d.io", Pull::DigestOnly), pulled("t.io", Pull::TagOnly), pulled("m.io", Pull::All)];
        let entries = vec![RawEntry { mirrors, ..entry("r.io") }];
        let hosts = |name: &str| -> Vec<String> {
            let found = endpoints(entries.clone(), name);
            found.iter().map(|found| found.split(' ').next().unwrap().to_owned()).collect()
        };
        assert_eq!(hosts("r.io/x:1"), ["t.io", "m.io", "r.io"]);
        assert_eq!(hosts(&format!("r.io/x@{DIGEST}")), ["d.io", "m.io", "r.io"]);
    }

    #[test]
    fn certificates_belong_to_their_host_and_port() {
        let own = |host: &str| {
            (host.to_owned(), Certificates { authorities: vec!["own.crt".into()], identities: vec![pair()] })
        };
        let raw = RawEntry { ca: Some("ca.pem".into()), mirrors: vec!["m.io".into()], ..entry("r.io") };
        let settings = Settings::new(vec![raw], false).unwrap();
        let settings = settings.with_certificates([own("r.io"), own("localhost:5000")].into_iter().collect());
        let all = |name: &str| Endpoint::all(&settings, Reference::parse(name).unwrap().repository());
        let found = all("r.io/x");
        assert!(found[0].tls.identities().is_empty(), "the mirror gets no certificate of the registry");
        assert_eq!(found[0].tls.authorities(), [std::path::Path::new("ca.pem")]);
        assert_eq!(found[1].tls.identities(), [pair()]);
        assert_eq!(found[1].tls.authorities(), ["ca.pem", "own.crt"].map(std::path::Path::new));
        assert!(found[1].tls.elsewhere().identities().is_empty());
        assert!(all("r.io:5000/x")[0].tls.is_plain());
        assert_eq!(all("localhost:5000/x")[0].speech, Speech::Https);
        assert_eq!(all("localhost:5001/x")[0].speech, Speech::Http);
    }

    fn pair() -> Identity {
        Identity { certificate: "own.cert".into(), key: "own.key".into() }
    }

    #[test]
    fn token_realms_belong_to_their_registry() {
        let realms = |host: &str, mirror: bool| {
            let realm =
                |name: &str| RawEntry { token_realms: vec![format!("https://auth.{name}/token")], ..entry(name) };
            let r = RawEntry { mirrors: vec!["m.io".into(), "n.io".into()], ..realm("r.io") };
            let settings = Settings::new(vec![r, realm("m.io")], false).unwrap();
            let all = Endpoint::all(&settings, Reference::parse("r.io/x").unwrap().repository());
            let found = all.into_iter().find(|endpoint| endpoint.host == host && endpoint.mirror == mirror).unwrap();
            found.realms.into_iter().map(|(url, _)| url.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(realms("r.io", false), ["https://auth.r.io/token"]);
        assert_eq!(realms("m.io", true), ["https://auth.m.io/token"]);
        assert_eq!(realms("n.io", true), Vec::<String>::new());
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
