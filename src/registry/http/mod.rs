//! The only sockets of the program: a client for the read half of the distribution API.
//! What leaves here was hashed, or is a tag's digest by a strict header; credentials never leave here.
//!
//! `registry` judges answers; `auth` gets them, with tokens from `desk` and `token`; `client` sends one request, when
//! `permit` and `pace` let it, over the connections of `pool`.
//!
//! Source: OCI distribution-spec 1.1 (pulling), distribution `docs/content/spec/auth` (tokens), RFC 9110.

mod address;
mod auth;
mod challenge;
mod claim;
mod client;
mod desk;
mod endpoint;
mod layers;
mod pace;
mod permit;
mod pool;
mod proxy;
pub mod quota;
mod referrers;
pub mod registry;
mod secrets;
mod tls;
mod token;

use std::time::Duration;

use crate::limits;

pub use proxy::{Proxies, ProxyError, RawProxies};

/// How long a request may take and how often it is tried; a test takes shorter ones than `limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Time to connect.
    pub connect: Duration,
    /// One request, from the name look-up to the last byte of its body, redirects included. Of a layer: up to its first
    /// byte, and then for each `limits::LAYER_PROGRESS` bytes.
    pub request: Duration,
    /// The body of one layer.
    pub layer: Duration,
    /// Attempts of one request, the first included.
    pub attempts: u32,
    /// The wait before the second attempt, where the registry names none; doubled for each later one.
    pub backoff: Duration,
    /// The longest wait that a registry may ask for.
    pub retry_after: Duration,
}

impl Deadlines {
    /// Those of `limits`.
    pub const STANDARD: Self = Self {
        connect: limits::CONNECT,
        request: limits::REQUEST,
        layer: limits::LAYER,
        attempts: limits::ATTEMPTS,
        backoff: limits::BACKOFF,
        retry_after: limits::RETRY_AFTER,
    };
}
