//! Which proxy a request goes through, by the variables that every tool knows.
//! Its credentials are never shown; this machine itself is always reached directly.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

/// The values of the proxy variables, as the binary found them in the environment.
#[derive(Clone, Default)]
pub struct RawProxies {
    /// `HTTP_PROXY`, for plain http.
    pub http: Option<String>,
    /// `HTTPS_PROXY`, for TLS.
    pub https: Option<String>,
    /// `ALL_PROXY`, where the one above it is not set.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts that are reached without one.
    pub except: Option<String>,
}

/// The proxies of the machine. A proxy resolves names itself, so behind one the filter of addresses sees literal
/// addresses only.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    except: Arc<[Exception]>,
}

/// A variable that can't be used; its value may hold a password and is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// No address.
    #[error("{0} is not the address of a proxy; write it like `http://proxy.corp:3128`")]
    Address(&'static str),
    /// SOCKS or another scheme.
    #[error("{0} names a proxy of the scheme `{1}`; only `http` and `https` proxies are spoken to")]
    Scheme(&'static str, String),
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A domain with all below it, or only what lies below; and only at this port where one is written.
    Domain {
        name: String,
        below: bool,
        port: Option<u16>,
    },
    /// The addresses whose first bits are these, and only at this port where one is written.
    Addresses(IpAddr, u8, Option<u16>),
}

impl Proxies {
    /// Checks the values; an empty one is as good as none.
    pub fn new(raw: &RawProxies) -> Result<Self, ProxyError> {
        let all = address("ALL_PROXY", raw.all.as_deref())?;
        let except = raw.except.as_deref().unwrap_or_default();
        Ok(Self {
            http: address("HTTP_PROXY", raw.http.as_deref())?.or_else(|| all.clone()),
            https: address("HTTPS_PROXY", raw.https.as_deref())?.or(all),
            except: except.split([',', ' ']).filter_map(|text| Exception::parse(text.trim())).collect(),
        })
    }

    /// The proxy for a request to `url`.
    pub(crate) fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "http" { self.http.as_ref() } else { self.https.as_ref() }?;
        let direct = is_this_machine(url) || self.except.iter().any(|exception| exception.fits(url));
        (!direct).then_some(proxy)
    }

    /// Whether there is any.
    pub(crate) fn any(&self) -> bool {
        self.http.is_some() || self.https.is_some()
    }

    /// Whether one is spoken to over TLS.
    pub(crate) fn over_tls(&self) -> bool {
        [&self.http, &self.https].into_iter().flatten().any(|url| url.scheme() == "https")
    }

    /// The proxies' own places, `HOST:PORT`.
    pub(crate) fn places(&self) -> impl Iterator<Item = &str> {
        [&self.http, &self.https]
            .into_iter()
            .flatten()
            .map(|url| &url[url::Position::BeforeHost..url::Position::AfterPort])
    }
}

impl fmt::Debug for RawProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawProxies(***)")
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.places()).finish()
    }
}

fn address(variable: &'static str, text: Option<&str>) -> Result<Option<Url>, ProxyError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).map_err(|_| ProxyError::Address(variable))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(Some(url)),
        "http" | "https" => Err(ProxyError::Address(variable)),
        scheme => Err(ProxyError::Scheme(variable, scheme.to_owned())),
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            return bits.parse().ok().filter(|bits| *bits <= most).map(|bits| Self::Addresses(address, bits, None));
        }
        let whole = |address: IpAddr, port| Self::Addresses(address, if address.is_ipv4() { 32 } else { 128 }, port);
        if let Ok(address) = text.parse() {
            return Some(whole(address, None));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(whole(address, port));
        }
        // As Go's tools have it: behind a dot only what lies below.
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        let (name, below) = name.strip_prefix('.').map_or((name, false), |name| (name, true));
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Domain { name, below, port })
    }

    fn fits(&self, url: &Url) -> bool {
        let at = |port: &Option<u16>| port.is_none() || *port == url.port_or_known_default();
        match (self, url.host()) {
            (Self::Everything, _) => true,
            (Self::Domain { name: domain, below, port }, Some(Host::Domain(name))) => {
                let rest = name.trim_end_matches('.').strip_suffix(domain.as_str());
                at(port) && rest.is_some_and(|rest| (rest.is_empty() && !below) || rest.ends_with('.'))
            }
            (Self::Addresses(first, bits, port), Some(Host::Ipv4(address))) => {
                at(port) && same_bits(*first, address.into(), *bits)
            }
            (Self::Addresses(first, bits, port), Some(Host::Ipv6(address))) => {
                at(port) && same_bits(*first, address.into(), *bits)
            }
            _ => false,
        }
    }
}

fn same_bits(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(bits),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(bits),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "it reads better")]
    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_all_stands_in() {
        let raw = RawProxies { http: some("http://h:1"), all: some("https://a"), ..RawProxies::default() };
        let proxies = Proxies::new(&raw).unwrap();
        let of = |text: &str| proxies.of(&Url::parse(text).unwrap()).map(Url::as_str);
        assert_eq!(of("http://x.io/"), Some("http://h:1/"));
        assert_eq!(of("https://x.io/"), Some("https://a/"));
        assert!(proxies.over_tls() && proxies.any());
        let none = Proxies::new(&RawProxies { http: some(" "), ..RawProxies::default() }).unwrap();
        assert!(!none.any());
    }

    #[test]
    fn exceptions_are_what_tools_take_them_for() {
        let rows = [
            ("*", "https://x.io/", true),
            ("", "https://x.io/", false),
            ("x.io", "https://x.io/", true),
            ("X.io", "https://x.io:5000/", true),
            ("x.io", "https://a.x.io/", true),
            ("x.io", "https://ax.io/", false),
            ("x.io", "https://x.io.evil.com/", false),
            (".x.io", "https://a.b.x.io/", true),
            (".x.io", "https://x.io/", false),
            ("*.x.io", "https://x.io/", false),
            ("*.x.io:5000", "https://a.x.io:5000/", true),
            (".x.io,x.io", "https://x.io/", true),
            ("*x.io", "https://x.io/", false),
            ("*.x.io", "https://a.x.io/", true),
            ("x.io:5000", "https://x.io:5000/", true),
            ("x.io:5000", "https://x.io/", false),
            ("x.io:443", "https://x.io/", true),
            ("a.io, x.io ,b.io", "https://x.io/", true),
            ("a.io x.io", "https://x.io/", true),
            ("10.0.0.1", "https://10.0.0.1:5000/", true),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/", true),
            ("10.0.0.1:5001", "https://10.0.0.1:5000/", false),
            ("10.0.0.0/8", "https://10.9.9.9/", true),
            ("10.0.0.0/8", "https://11.0.0.1/", false),
            ("0.0.0.0/0", "https://11.0.0.1/", true),
            ("10.0.0.0/33", "https://10.0.0.1/", false),
            ("10.0.0.1", "https://10.0.0.1.evil.com/", false),
            ("fd00::/8", "https://[fd12::1]/", true),
            ("fd00::/8", "https://[2001:db8::1]/", false),
            ("2001:db8::1", "https://[2001:db8::1]:5000/", true),
            ("[2001:db8::1]:5000", "https://[2001:db8::1]:5000/", true),
            ("[2001:db8::1]:5001", "https://[2001:db8::1]:5000/", false),
        ];
        for (except, url, direct) in rows {
            let raw = RawProxies { https: some("http://p:1"), except: some(except), ..RawProxies::default() };
            let proxies = Proxies::new(&raw).unwrap();
            assert_eq!(proxies.of(&Url::parse(url).unwrap()).is_none(), direct, "{except} {url}");
        }
    }

    #[test]
    fn this_machine_needs_no_exception() {
        let raw = RawProxies { http: some("http://p:1"), https: some("http://p:1"), ..RawProxies::default() };
        let proxies = Proxies::new(&raw).unwrap();
        for (url, direct) in [
            ("http://localhost:5000/", true),
            ("https://a.localhost/", true),
            ("http://127.0.0.1:5000/", true),
            ("http://[::1]:5000/", true),
            ("http://10.0.0.1/", false),
            ("http://localhost.evil.com/", false),
        ] {
            assert_eq!(proxies.of(&Url::parse(url).unwrap()).is_none(), direct, "{url}");
        }
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_without_its_password() {
        let rows = [
            ("socks5://bob:hunter2@p:1080", ProxyError::Scheme("HTTPS_PROXY", "socks5".into())),
            ("http://bob:hunter2@:80:80", ProxyError::Address("HTTPS_PROXY")),
            ("https://", ProxyError::Address("HTTPS_PROXY")),
        ];
        for (text, expected) in rows {
            let raw = RawProxies { https: some(text), ..RawProxies::default() };
            let error = Proxies::new(&raw).unwrap_err();
            assert_eq!(error, expected);
            assert!(!format!("{error} {error:?} {raw:?}").contains("hunter2"));
        }
        let raw = RawProxies { https: some("http://bob:hunter2@p:1"), ..RawProxies::default() };
        assert_eq!(format!("{:?}", Proxies::new(&raw).unwrap()), "[\"p:1\"]");
    }
}
