//! Which addresses a request may reach, before and after DNS.
//! Link-local and metadata addresses are never asked; this machine only where its name says so.
//!
//! Longer than most files, because the attacks stand beside what stops each of them.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Public or private unicast.
    Ordinary,
    /// This machine.
    Loopback,
    /// Never asked; in words.
    Forbidden(&'static str),
}

/// A request that may not be sent, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {what}")]
pub(crate) struct Forbidden {
    /// The host, with the address where it is not the same.
    pub(crate) host: String,
    /// What it is.
    pub(crate) what: &'static str,
}

const METADATA: Kind = Kind::Forbidden("a metadata address of a cloud");
const LINK_LOCAL: Kind = Kind::Forbidden("a link-local address");
const NO_UNICAST: Kind = Kind::Forbidden("no address of one machine");
const THIS_MACHINE: &str = "an address of this machine, which was not named as such";

/// Metadata services outside the link-local range: Alibaba, Oracle, Azure's wire server.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
/// Metadata services on IPv6: AWS, Google.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
/// Names of metadata services, for a proxy that would resolve them itself.
const METADATA_NAMES: [&str; 3] = ["metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"];

/// The kind of `address`; an IPv4 address in any IPv6 clothing is judged as what it is.
pub(crate) fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    if METADATA_V4.contains(&address) || address == Ipv4Addr::new(169, 254, 169, 254) {
        METADATA
    } else if address.is_link_local() {
        LINK_LOCAL
    } else if address.octets()[0] == 0 || address.octets()[0] >= 224 {
        NO_UNICAST
    } else if address.is_loopback() {
        Kind::Loopback
    } else {
        Kind::Ordinary
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    if METADATA_V6.contains(&address) {
        METADATA
    } else if address.is_unicast_link_local() {
        LINK_LOCAL
    } else if address.is_unspecified() || address.is_multicast() {
        NO_UNICAST
    } else if address.is_loopback() {
        Kind::Loopback
    } else {
        let readings = embedded(address);
        // Where there is more than one, the worst holds, and a reading that makes no sense is none.
        let several = readings.len() > 1;
        let kinds = readings.into_iter().map(kind_v4).filter(|kind| !several || *kind != NO_UNICAST);
        let worst = kinds.max_by_key(|kind| match kind {
            Kind::Ordinary => 0,
            Kind::Loopback => 1,
            Kind::Forbidden(_) => 2,
        });
        worst.unwrap_or(Kind::Ordinary)
    }
}

/// The IPv4 addresses that this one stands for: mapped, compatible, translated (RFC 2765), by NAT64 (RFC 6052, and
/// RFC 8215 with its local prefixes of any length), 6to4 (RFC 3056), Teredo (RFC 4380) or ISATAP (RFC 5214).
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let octets = address.octets();
    // In RFC 6052 the eighth octet is always left out.
    let around = |from: usize| {
        let mut picked = octets.iter().enumerate().skip(from).filter(|(at, _)| *at != 8).map(|(_, octet)| *octet);
        Ipv4Addr::from([(); 4].map(|()| picked.next().unwrap_or_default()))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            vec![v4(high, low)]
        }
        [0x64, 0xff9b, 1, ..] => vec![around(6), around(7), around(12)],
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            vec![v4(high, low), v4(!client_high, !client_low)]
        }
        [0x2002, high, low, ..] | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => vec![v4(high, low)],
        _ => Vec::new(),
    }
}

/// What may be reached besides ordinary addresses: the places that the settings declare.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Hosts with their ports.
    places: Arc<HashSet<(String, u16)>>,
    /// Host names alone, as DNS knows no ports.
    names: Arc<HashSet<String>>,
    lookup: Lookup,
}

/// Where names are looked up; a test has its own.
#[derive(Clone, Debug, Default)]
pub(crate) enum Lookup {
    /// The machine's resolver.
    #[default]
    System,
    #[cfg(test)]
    Scripted(Arc<std::sync::Mutex<Script>>),
}

/// What each name leads to, one answer after the other, and the names that were asked for.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) answers: std::collections::HashMap<String, Vec<Vec<IpAddr>>>,
    pub(crate) asked: Vec<String>,
}

impl Lookup {
    async fn find(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(script) => {
                let mut script = script.lock().expect("no test panics with it");
                script.asked.push(name.to_owned());
                let answers = script.answers.get_mut(name).filter(|answers| !answers.is_empty());
                let found = answers.map(|answers| answers.remove(0)).unwrap_or_default();
                Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
            }
        }
    }
}

impl Filter {
    /// Loopback is also let through for these places, `HOST[:PORT]`.
    pub(crate) fn new<'a>(declared: impl IntoIterator<Item = &'a str>) -> Self {
        Self::default().and(declared)
    }

    /// With these places too.
    #[must_use]
    pub(crate) fn and<'a>(mut self, declared: impl IntoIterator<Item = &'a str>) -> Self {
        let (places, names) = (Arc::make_mut(&mut self.places), Arc::make_mut(&mut self.names));
        for place in declared {
            let urls = ["http", "https"].map(|scheme| Url::parse(&format!("{scheme}://{place}")));
            for url in urls.into_iter().flatten() {
                if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) {
                    places.insert((host.to_owned(), port));
                    names.insert(host.to_owned());
                }
            }
        }
        self
    }

    /// With a resolver of a test's own.
    #[cfg(test)]
    pub(crate) fn scripted(self, script: &Arc<std::sync::Mutex<Script>>) -> Self {
        Self { lookup: Lookup::Scripted(Arc::clone(script)), ..self }
    }

    /// The same for places that nobody declared: where a stranger sends us.
    pub(crate) fn strict(&self) -> Self {
        Self { places: Arc::default(), names: Arc::default(), lookup: self.lookup.clone() }
    }

    /// Whether the settings name this very place, its port too.
    pub(crate) fn declares(&self, url: &Url) -> bool {
        let place = url.host_str().map(str::to_owned).zip(url.port_or_known_default());
        place.is_some_and(|place| self.places.contains(&place))
    }

    /// The addresses of `host` that may be reached, or why none may.
    fn keep(&self, host: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        let loopback = is_localhost(host) || self.names.contains(host);
        let (mut kept, mut refused) = (Vec::new(), None);
        for address in found {
            match kind(address.ip()) {
                Kind::Ordinary => kept.push(address),
                Kind::Loopback if loopback => kept.push(address),
                Kind::Loopback => refused = Some((address.ip(), THIS_MACHINE)),
                Kind::Forbidden(what) => refused = Some((address.ip(), what)),
            }
        }
        match refused {
            Some((address, what)) if kept.is_empty() => Err(Forbidden { host: format!("{host} ({address})"), what }),
            _ => Ok(kept),
        }
    }
}

/// Judges `url` by its text; with `loopback` it may be on this machine.
pub(crate) fn admit(url: &Url, loopback: bool) -> Result<(), Forbidden> {
    let refuse = |what| Err(Forbidden { host: url.host_str().unwrap_or_default().to_owned(), what });
    let found = match url.host() {
        None => return refuse("no host"),
        Some(Host::Ipv4(address)) => kind_v4(address),
        Some(Host::Ipv6(address)) => kind_v6(address),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            if METADATA_NAMES.contains(&name) {
                METADATA
            } else if is_localhost(name) {
                Kind::Loopback
            } else {
                Kind::Ordinary
            }
        }
    };
    match found {
        Kind::Ordinary => Ok(()),
        Kind::Loopback if loopback => Ok(()),
        Kind::Loopback => refuse(THIS_MACHINE),
        Kind::Forbidden(what) => refuse(what),
    }
}

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = self.clone();
        Box::pin(async move {
            let found = filter.lookup.find(name.as_str()).await?;
            // What is kept here is what is dialled: nobody looks the name up a second time.
            let kept = filter.keep(name.as_str(), found.into_iter())?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// RFC 6761: the name and all below it are this machine.
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::registry::http::client::{Ask, Client};
    use crate::registry::http::tls::Tls;
    use crate::registry::http::{Deadlines, Proxies};

    #[test]
    fn addresses_are_judged_in_every_clothing() {
        let rows = [
            ("1.1.1.1", Kind::Ordinary),
            ("10.0.0.1", Kind::Ordinary),
            ("192.168.1.1", Kind::Ordinary),
            ("169.253.255.255", Kind::Ordinary),
            ("169.254.0.1", LINK_LOCAL),
            ("169.254.169.254", METADATA),
            ("100.100.100.200", METADATA),
            ("192.0.0.192", METADATA),
            ("168.63.129.16", METADATA),
            ("0.0.0.0", NO_UNICAST),
            ("0.1.2.3", NO_UNICAST),
            ("224.0.0.1", NO_UNICAST),
            ("255.255.255.255", NO_UNICAST),
            ("127.0.0.1", Kind::Loopback),
            ("127.9.9.9", Kind::Loopback),
            ("::1", Kind::Loopback),
            ("::", NO_UNICAST),
            ("ff02::1", NO_UNICAST),
            ("fe80::1", LINK_LOCAL),
            ("febf::1", LINK_LOCAL),
            ("fec0::1", Kind::Ordinary),
            ("fd00:ec2::254", METADATA),
            ("fd20:ce::254", METADATA),
            ("fd00:ec2::253", Kind::Ordinary),
            ("2001:db8::1", Kind::Ordinary),
            ("::ffff:169.254.169.254", METADATA),
            ("::ffff:127.0.0.1", Kind::Loopback),
            ("::ffff:0.0.0.0", NO_UNICAST),
            ("::ffff:10.0.0.1", Kind::Ordinary),
            ("::169.254.169.254", METADATA),
            ("::ffff:0:169.254.169.254", METADATA),
            ("64:ff9b::169.254.169.254", METADATA),
            ("64:ff9b::127.0.0.1", Kind::Loopback),
            ("64:ff9b::10.0.0.1", Kind::Ordinary),
            ("64:ff9b:1::169.254.169.254", METADATA),
            ("64:ff9b:1:a9fe:a9:fe00::", METADATA),
            ("64:ff9b:1:7f00:0:100::", Kind::Loopback),
            ("64:ff9b:1:a00:0:100::", Kind::Ordinary),
            ("2001:0:a9fe:a9fe::1", METADATA),
            ("2001:0:101:101:0:0:5601:5601", METADATA),
            ("2001:db8::5efe:169.254.169.254", METADATA),
            ("2001:db8::200:5efe:127.0.0.1", Kind::Loopback),
            ("2002:a9fe:a9fe::1", METADATA),
            ("2002:7f00:1::1", Kind::Loopback),
        ];
        for (text, expected) in rows {
            assert_eq!(kind(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn urls_are_judged_by_their_host() {
        let filter = Filter::new(["declared.localhost", "127.0.0.1:7000"]);
        let rows = [
            ("https://ghcr.io/v2/", false, true),
            ("http://127.0.0.1:5000/", false, false),
            ("http://127.0.0.1:5000/", true, true),
            ("http://2130706433/", false, false),
            ("http://0x7f.1/", false, false),
            ("http://localhost/", false, false),
            ("http://localhost./", false, false),
            ("http://a.localhost/", false, false),
            ("http://declared.localhost/", false, true),
            ("https://declared.localhost/", false, true),
            ("http://declared.localhost:81/", false, false),
            ("http://127.0.0.1:7000/", false, true),
            ("http://127.0.0.1:7001/", false, false),
            ("http://[::1]/", false, false),
            ("http://169.254.169.254/", true, false),
            ("http://2852039166/", true, false),
            ("http://[::ffff:a9fe:a9fe]/", true, false),
            ("http://metadata.google.internal/", true, false),
            ("http://0/", true, false),
        ];
        for (text, loopback, admitted) in rows {
            let url = Url::parse(text).unwrap();
            assert_eq!(admit(&url, loopback || filter.declares(&url)).is_ok(), admitted, "{text}");
        }
    }

    #[test]
    fn names_that_lead_to_forbidden_addresses_are_refused() {
        let filter = Filter::new(["mirror.corp:5000"]);
        let keep = |host: &str, addresses: &[&str]| {
            let found = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0));
            filter.keep(host, found).map(|kept| kept.len())
        };
        assert_eq!(keep("a.io", &["1.1.1.1", "169.254.169.254"]), Ok(1));
        assert_eq!(keep("a.io", &[]), Ok(0));
        assert_eq!(keep("localhost", &["127.0.0.1", "::1"]), Ok(2));
        assert_eq!(keep("mirror.corp", &["127.0.0.1"]), Ok(1));
        let error = keep("a.io", &["127.0.0.1"]).unwrap_err();
        assert_eq!(error, Forbidden { host: "a.io (127.0.0.1)".into(), what: THIS_MACHINE });
        assert!(keep("mirror.corp", &["fe80::1"]).is_err());
    }

    /// A client whose names lead where the script says, and a port of this machine that counts its visitors.
    async fn scripted(
        declared: &[&str],
        answers: &[(&str, &[&[&str]])],
    ) -> (Client, Arc<Mutex<Script>>, tokio::net::TcpListener) {
        let addresses = |round: &&[&str]| round.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let answers =
            answers.iter().map(|(name, rounds)| ((*name).to_owned(), rounds.iter().map(addresses).collect())).collect();
        let script = Arc::new(Mutex::new(Script { answers, asked: Vec::new() }));
        let filter = Filter::new(declared.iter().copied()).scripted(&script);
        let client = Client::new(Deadlines::STANDARD, Proxies::default(), filter);
        (client, script, tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    fn visit(url: &str) -> Ask {
        Ask {
            owner: String::new(),
            place: "test".into(),
            method: reqwest::Method::GET,
            url: Url::parse(url).unwrap(),
            tls: Tls::default(),
            loopback: false,
            authorization: None,
            accept: "*/*",
            form: None,
            redirects: 5,
        }
    }

    /// Answers every visitor the same; the number of visitors.
    fn serve(listener: tokio::net::TcpListener, answer: String) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let visitors = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                visitors.fetch_add(1, Ordering::SeqCst);
                let mut bytes = [0; 4096];
                let _ = socket.read(&mut bytes).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        count
    }

    #[tokio::test]
    async fn rule_21_names_that_resolve_to_forbidden_addresses_are_not_dialled() {
        for address in
            ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "127.0.0.1"]
        {
            let (client, script, listener) = scripted(&[], &[("reg.corp", &[&[address]])]).await;
            let port = listener.local_addr().unwrap().port();
            let visitors = serve(listener, String::new());
            let failure = client.send(visit(&format!("http://reg.corp:{port}/"))).await.err().unwrap();
            assert!(failure.error.to_string().contains("reg.corp ("), "{address}: {}", failure.error);
            assert_eq!(script.lock().unwrap().asked, ["reg.corp"]);
            assert_eq!(visitors.load(Ordering::SeqCst), 0);
        }
    }

    #[tokio::test]
    async fn rule_21_the_address_that_was_judged_is_the_one_that_is_dialled() {
        // The second answer is the attacker's: it must never be asked for within one connection, and is judged by itself.
        let rounds: [&[&str]; 2] = [&["127.0.0.1"], &["169.254.169.254"]];
        let (client, script, listener) = scripted(&["reg.corp:1"], &[("reg.corp", &rounds)]).await;
        let port = listener.local_addr().unwrap().port();
        let visitors = serve(listener, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".into());
        let url = format!("http://reg.corp:{port}/");
        assert!(client.send(visit(&url)).await.is_ok());
        assert_eq!((script.lock().unwrap().asked.len(), visitors.load(Ordering::SeqCst)), (1, 1));
        let failure = client.send(visit(&url)).await.err().unwrap();
        assert!(failure.error.to_string().contains("metadata"), "{}", failure.error);
        assert_eq!((script.lock().unwrap().asked.len(), visitors.load(Ordering::SeqCst)), (2, 1));
    }

    #[tokio::test]
    async fn rule_21_a_redirect_to_a_name_of_this_machine_is_not_followed() {
        let answers: [(&str, &[&[&str]]); 2] = [("reg.corp", &[&["127.0.0.1"]]), ("cdn.corp", &[&["127.0.0.1"]])];
        let (client, script, listener) = scripted(&["reg.corp:1"], &answers).await;
        let port = listener.local_addr().unwrap().port();
        let location = format!("http://cdn.corp:{port}/");
        let answer = format!("HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let visitors = serve(listener, answer);
        let failure = client.send(visit(&format!("http://reg.corp:{port}/"))).await.err().unwrap();
        assert!(failure.error.to_string().contains("cdn.corp (127.0.0.1)"), "{}", failure.error);
        assert_eq!(script.lock().unwrap().asked, ["reg.corp", "cdn.corp"]);
        assert_eq!(visitors.load(Ordering::SeqCst), 1);
    }

    /// A port that answers everything with a redirect.
    async fn sending(location: &str) -> (String, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let place = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let head = "HTTP/1.1 307 Go\r\nConnection: close\r\nContent-Length: 0\r\n";
        (place, serve(listener, format!("{head}Location: {location}\r\n\r\n")))
    }

    #[tokio::test]
    async fn rule_21_a_redirect_does_not_profit_from_what_is_declared() {
        // A stranger sends us to a place of this machine that the settings declare, by its address and by its name.
        let (inner, visitors) = sending("/").await;
        let port = inner.rsplit(':').next().unwrap();
        for target in [format!("http://{inner}/secret"), format!("http://mirror.corp:{port}/secret")] {
            let (place, _) = sending(&target).await;
            let declared = ["reg.corp:1", inner.as_str(), &format!("mirror.corp:{port}")];
            let answers: [(&str, &[&[&str]]); 2] =
                [("reg.corp", &[&["127.0.0.1"]]), ("mirror.corp", &[&["127.0.0.1"]])];
            let (client, ..) = scripted(&declared, &answers).await;
            let url = format!("http://reg.corp:{}/", place.rsplit(':').next().unwrap());
            let failure = client.send(visit(&url)).await.err().unwrap();
            assert!(failure.error.to_string().contains("this machine"), "{target}: {}", failure.error);
            assert_eq!(visitors.load(Ordering::SeqCst), 0, "{target}");
        }
    }

    #[tokio::test]
    async fn rule_21_a_registry_of_this_machine_does_not_open_its_other_ports() {
        let (inner, visitors) = sending("/").await;
        let (place, _) = sending(&format!("http://{inner}/secret")).await;
        for (declared, visits) in [(vec![], 0), (vec![place.as_str()], 0), (vec![inner.as_str()], 5)] {
            let (client, ..) = scripted(&declared, &[]).await;
            let local = Ask { loopback: true, ..visit(&format!("http://{place}/")) };
            let failure = client.send(local).await.err().unwrap();
            let refused = failure.error.to_string().contains("redirects to another place");
            assert_eq!((refused, visitors.load(Ordering::SeqCst)), (visits == 0, visits), "{}", failure.error);
        }
    }
}
