//! The connections of a run: one pool for each way to verify TLS and to look up names, made when it is first needed.
//! Redirects, retries and the environment are switched off here, so that nothing happens behind the client's back.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use crate::registry::http::Proxies;
use crate::registry::http::address::Filter;
use crate::registry::http::client::chain;
use crate::registry::http::tls::Tls;
use crate::registry::settings::Identity;
use crate::registry::{RegistryError, in_words};

/// All pools of a run.
pub(crate) struct Pools {
    connect: Duration,
    proxies: Proxies,
    filter: Filter,
    /// For where strangers send us.
    strict: Filter,
    /// Where no TLS is spoken; made without a look at the system's roots, which takes time.
    plain: Tls,
    made: Mutex<HashMap<(Tls, bool), reqwest::Client>>,
}

impl Pools {
    pub(crate) fn new(connect: Duration, proxies: Proxies, filter: Filter) -> Self {
        // A proxy that is spoken to over TLS is verified also on the way to plain http.
        let plain = if proxies.over_tls() { Tls::default() } else { Tls::default().unverified() };
        let strict = filter.strict().and(proxies.places());
        Self { connect, proxies, filter, strict, plain, made: Mutex::default() }
    }

    /// The pool for requests to `url`, whose TLS is spoken as `tls` says; whether it is a place of our own choice
    /// decides if a declared name may lead to this machine.
    pub(crate) fn get(&self, tls: &Tls, url: &Url, own: bool) -> Result<reqwest::Client, RegistryError> {
        let tls = if url.scheme() == "http" { &self.plain } else { tls };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = made.get(&(tls.clone(), own)) {
            return Ok(pool.clone());
        }
        let pool = self.build(tls, if own { &self.filter } else { &self.strict })?;
        made.insert((tls.clone(), own), pool.clone());
        Ok(pool)
    }

    fn build(&self, tls: &Tls, filter: &Filter) -> Result<reqwest::Client, RegistryError> {
        // Two providers in one program panic, so it is chosen here; a second call is harmless.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .tls_backend_rustls()
            .dns_resolver(filter.clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if self.proxies.any() {
            // One configuration of TLS serves both the proxy and what lies behind it.
            if self.proxies.over_tls() && (!tls.identities().is_empty() || !tls.verified()) {
                let detail = "an https proxy would share the client certificate, or the missing verification, that is \
                              declared for one registry; use an http proxy, or name the registry in NO_PROXY";
                return Err(RegistryError::Local { path: "HTTPS_PROXY".to_owned(), detail: detail.to_owned() });
            }
            let proxies = self.proxies.clone();
            builder = builder.proxy(reqwest::Proxy::custom(move |url| proxies.of(url).cloned()));
        }
        if !tls.verified() {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        for path in tls.authorities() {
            let found = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|_| local(path, NO_PEM))?;
            if found.is_empty() {
                return Err(local(path, "no certificate in it"));
            }
            builder = builder.tls_certs_merge(found);
        }
        if let [first, others @ ..] = tls.identities() {
            if let [other, ..] = others {
                return Err(local(&other.certificate, "a second client certificate; leave one for this host"));
            }
            builder = builder.identity(shown(first)?);
        }
        builder.build().map_err(|error| {
            let path = tls.identities().first().map_or_else(|| "TLS".to_owned(), |pair| pair.key.display().to_string());
            RegistryError::Local { path, detail: chain(&error) }
        })
    }
}

const NO_PEM: &str = "not a PEM file of certificates";

/// A certificate and its key as one; no word of theirs gets into a message.
fn shown(identity: &Identity) -> Result<reqwest::Identity, RegistryError> {
    let Identity { certificate, key } = identity;
    for (path, other) in [(certificate, key), (key, certificate)] {
        if !path.is_file() {
            let detail = format!("there is no such file, and {} is of no use without it", other.display());
            return Err(local(path, &detail));
        }
    }
    if reqwest::Certificate::from_pem_bundle(&read(certificate)?).map_or(true, |found| found.is_empty()) {
        return Err(local(certificate, NO_PEM));
    }
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    reqwest::Identity::from_pem(&pem).map_err(|_| local(key, "not a PEM file with one private key, unencrypted"))
}

fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    std::fs::read(path).map_err(|error| local(path, &in_words(&error)))
}

fn local(path: &Path, detail: &str) -> RegistryError {
    RegistryError::Local { path: path.display().to_string(), detail: detail.to_owned() }
}
