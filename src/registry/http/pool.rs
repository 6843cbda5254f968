//! The connections of a run: one pool for each way to verify TLS, made when it is first needed.
//! Redirects, retries and the environment are switched off here, so that nothing happens behind the client's back.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::registry::RegistryError;
use crate::registry::http::Proxies;
use crate::registry::http::address::Filter;
use crate::registry::http::client::chain;
use crate::registry::http::endpoint::Tls;

/// All pools of a run.
pub(crate) struct Pools {
    connect: Duration,
    proxies: Proxies,
    filter: Filter,
    made: Mutex<HashMap<Tls, reqwest::Client>>,
}

impl Pools {
    pub(crate) fn new(connect: Duration, proxies: Proxies, filter: Filter) -> Self {
        Self { connect, proxies, filter, made: Mutex::default() }
    }

    /// The pool whose connections are verified as `tls` says.
    pub(crate) fn get(&self, tls: &Tls) -> Result<reqwest::Client, RegistryError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = made.get(tls) {
            return Ok(pool.clone());
        }
        let pool = self.build(tls)?;
        made.insert(tls.clone(), pool.clone());
        Ok(pool)
    }

    fn build(&self, tls: &Tls) -> Result<reqwest::Client, RegistryError> {
        // Two providers in one program panic, so it is chosen here; a second call is harmless.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let local =
            |path: &str, error: &dyn Error| RegistryError::Local { path: path.to_owned(), detail: chain(error) };
        let mut builder = reqwest::Client::builder()
            .tls_backend_rustls()
            .dns_resolver(self.filter.clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        let except = self.proxies.except.as_deref().and_then(reqwest::NoProxy::from_string);
        if let Some(url) = &self.proxies.http {
            let proxy = reqwest::Proxy::http(url).map_err(|error| local("HTTP_PROXY", &error.without_url()))?;
            builder = builder.proxy(proxy.no_proxy(except.clone()));
        }
        if let Some(url) = &self.proxies.https {
            let proxy = reqwest::Proxy::https(url).map_err(|error| local("HTTPS_PROXY", &error.without_url()))?;
            builder = builder.proxy(proxy.no_proxy(except));
        }
        match tls {
            Tls::System => {}
            Tls::Unverified => builder = builder.tls_danger_accept_invalid_certs(true),
            Tls::Also(path) => {
                let name = path.display().to_string();
                let pem = std::fs::read(path).map_err(|error| local(&name, &error))?;
                let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| local(&name, &error))?;
                if found.is_empty() {
                    return Err(RegistryError::Local { path: name, detail: "no certificate in it".to_owned() });
                }
                builder = builder.tls_certs_merge(found);
            }
        }
        builder.build().map_err(|error| local("TLS", &error))
    }
}
