//! Credentials from the files and helpers of Docker and podman, looked up only when a registry asks.
//! It reads no environment, and no secret, nor a helper's words, leaves it in a message.

mod file;
mod helper;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::limits;
use crate::reference::{self, HUB};
use crate::registry::RegistryError;

use file::AuthFile;
use helper::Helpers;

/// The key under which Docker stores what belongs to the Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// The name in `credential-helpers` that stands for the files (containers-registries.conf.5).
pub const FILES: &str = "containers-auth.json";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for a header or a form and nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is stored for one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, for the token endpoint alone.
    IdentityToken(Secret),
    /// A bearer token, for the registry itself.
    RegistryToken(Secret),
}

/// Where credentials are looked for, as the binary found it in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// One that was handed over for this run, with the `HOST[:PORT]` that alone it belongs to.
    pub given: Option<(String, Credential)>,
    /// Docker's `config.json` and podman's `auth.json`, in the order they are searched.
    pub files: Vec<Stored>,
    /// `credential-helpers` of `registries.conf`: helpers, and [`FILES`]; empty for the files alone.
    pub helpers: Vec<String>,
    /// The value of `PATH`, where helpers are looked for; entries that are not absolute are passed over,
    /// because a helper must not come out of the tree that is judged.
    pub search: Option<OsString>,
    /// The trees that are judged; helpers in them are passed over, too.
    pub judged: Vec<PathBuf>,
}

/// A file of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was asked for by name: then it must be there. Any other that is not there holds nothing.
    pub named: bool,
}

impl<T: Into<PathBuf>> From<T> for Stored {
    fn from(path: T) -> Self {
        Self { path: path.into(), named: false }
    }
}

/// The credentials of a run.
#[derive(Debug)]
pub struct Credentials {
    given: Option<(String, Credential)>,
    order: Vec<String>,
    files: Vec<(Stored, OnceCell<Result<AuthFile, RegistryError>>)>,
    helpers: Helpers,
    known: Mutex<HashMap<(String, String), Cell>>,
}

/// What a helper had for one key, asked by the first that wanted it.
type Cell = Arc<OnceCell<Result<Option<Credential>, RegistryError>>>;

impl Credential {
    /// What was handed over for one run: `USER:PASSWORD`, or a bearer token, which never holds a colon (RFC 6750, 2.1).
    pub fn given(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                Some(Self::Basic { user: user.to_owned(), password: Secret::new(password) })
            }
            None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Some(Self::RegistryToken(Secret::new(text)))
            }
            _ => None,
        }
    }
}

impl Credentials {
    /// Nothing is read before the first registry asks.
    pub fn new(sources: Sources) -> Self {
        Self::with_deadline(sources, limits::HELPER)
    }

    /// As [`Credentials::new`], with another deadline for a helper.
    pub fn with_deadline(sources: Sources, deadline: Duration) -> Self {
        let Sources { given, files, helpers, search, judged } = sources;
        let order = if helpers.is_empty() { vec![FILES.to_owned()] } else { helpers };
        let files = files.into_iter().map(|stored| (stored, OnceCell::new())).collect();
        let given = given.map(|(host, credential)| (reference::canonical_host(&host), credential));
        Self { given, order, files, helpers: Helpers { search, judged, deadline }, known: Mutex::default() }
    }

    /// What is stored for the repository `path` at `host` (as in a reference: `docker.io`, `reg.corp:5000`); `None`
    /// when nothing is.
    ///
    /// A file that can't be read and a helper that fails are errors, never "nothing is stored".
    pub async fn find(&self, host: &str, path: &str) -> Result<Option<Credential>, RegistryError> {
        if let Some((_, credential)) = self.given.as_ref().filter(|(own, _)| own == host) {
            return Ok(Some(credential.clone()));
        }
        let mut failed = None;
        for source in &self.order {
            let found = if source == FILES { self.in_files(host, path).await } else { self.helped(source, host).await };
            match found {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => {}
                // Another source may have it; if none has, this is the answer.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    async fn in_files(&self, host: &str, path: &str) -> Result<Option<Credential>, RegistryError> {
        for (stored, cell) in &self.files {
            let file = cell.get_or_init(|| async { AuthFile::read(stored) }).await.as_ref().map_err(Clone::clone)?;
            // As containers/image has it: a helper of the host, then the longest key; Docker's own `credsStore`, which
            // has it all, after what is said of a namespace.
            if let Some(helper) = file.helper(host)
                && let Some(credential) = self.helped(helper, host).await?
            {
                return Ok(Some(credential));
            }
            if let Some(credential) = file.below(host, path) {
                return Ok(Some(credential.clone()));
            }
            if let Some(store) = file.store().filter(|_| file.helper(host).is_none())
                && let Some(credential) = self.helped(store, host).await?
            {
                return Ok(Some(credential));
            }
            if let Some(credential) = file.of(host) {
                return Ok(Some(credential.clone()));
            }
        }
        Ok(None)
    }

    /// What a helper has for the host: under Docker's key for the Hub, and under its name, as podman stores it.
    async fn helped(&self, helper: &str, host: &str) -> Result<Option<Credential>, RegistryError> {
        let keys = if host == HUB { [HUB_KEY, HUB].as_slice() } else { &[host] };
        for key in keys {
            let cell = {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(known.entry((helper.to_owned(), (*key).to_owned())).or_default())
            };
            if let Some(credential) = cell.get_or_init(|| self.helpers.ask(helper, key)).await.clone()? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let credential = Credential::given("bob:hunter2").unwrap();
        assert_eq!(format!("{credential:?}"), "Basic { user: \"bob\", password: *** }");
        assert_eq!(Secret::new("hunter2").to_string(), "***");
        let sources = Sources { given: Some(("x.io".into(), credential)), ..Sources::default() };
        assert!(!format!("{sources:?} {:?}", Credentials::new(sources.clone())).contains("hunter2"));
    }

    #[test]
    fn what_is_handed_over_is_a_token_or_a_password() {
        assert_eq!(Credential::given("abc.d-_~+/="), Some(Credential::RegistryToken(Secret::new("abc.d-_~+/="))));
        let basic = Credential::Basic { user: "bob".into(), password: Secret::new("a:b c") };
        assert_eq!(Credential::given("bob:a:b c"), Some(basic));
        for text in ["", ":", "bob:", ":x", "two words", "two\nlines", "ü"] {
            assert_eq!(Credential::given(text), None, "{text:?}");
        }
    }
}
