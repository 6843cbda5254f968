//! How the TLS of one place is verified, and what this machine shows of itself there.
//! What is declared for a place ends with it: neither a client's certificate nor "unverified" goes anywhere else.

use std::path::{Path, PathBuf};

use crate::registry::settings::{Identity, Settings};

/// How TLS is spoken to one place; the default verifies by the system's roots and shows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tls {
    unverified: bool,
    authorities: Vec<PathBuf>,
    identities: Vec<Identity>,
}

impl Tls {
    /// What the settings say of `host`, with the authorities of `ca` too.
    pub(crate) fn of(settings: &Settings, host: &str, ca: Option<&Path>, unverified: bool) -> Self {
        let own = settings.certificates(host);
        let authorities =
            ca.map(Path::to_owned).into_iter().chain(own.into_iter().flat_map(|own| own.authorities.clone()));
        let identities = own.map(|own| own.identities.clone()).unwrap_or_default();
        Self { unverified, authorities: if unverified { Vec::new() } else { authorities.collect() }, identities }
    }

    /// The same without a look at the other side's certificate.
    pub(crate) fn unverified(self) -> Self {
        Self { unverified: true, authorities: Vec::new(), ..self }
    }

    /// What holds where this place sends us to: the authorities may have signed that place too.
    pub(crate) fn elsewhere(&self) -> Self {
        Self { authorities: self.authorities.clone(), ..Self::default() }
    }

    /// Whether the other side's certificate is looked at.
    pub(crate) fn verified(&self) -> bool {
        !self.unverified
    }

    /// Whether nothing is configured.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// PEM files of authorities besides the system's.
    pub(crate) fn authorities(&self) -> &[PathBuf] {
        &self.authorities
    }

    /// What could be shown to the other side.
    pub(crate) fn identities(&self) -> &[Identity] {
        &self.identities
    }
}
