//! Credentials from Docker's config file and its helpers, looked up once per host and only when a registry asks.
//! It reads no environment, and no secret, nor a helper's words, leaves it in a message.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::limits;
use crate::reference::HUB;
use crate::registry::RegistryError;

/// The key under which Docker stores what belongs to the Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// The other names of the Hub, in the order they are tried.
const HUB_KEYS: [&str; 4] = [HUB_KEY, HUB, "index.docker.io", "registry-1.docker.io"];
/// What a helper says, on either stream, when it simply has nothing for the host (docker-credential-helpers, `credentials/error.go`).
const NOTHING_STORED: &str = "credentials not found in native keychain";
/// The user name that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";

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
    /// Docker's `config.json`; a file that is not there holds nothing.
    pub docker_config: Option<PathBuf>,
    /// The value of `PATH`, where helpers are looked for; entries that are not absolute are passed over,
    /// because a helper must not come out of the tree that is judged.
    pub search: Option<OsString>,
}

/// The credentials of a run.
#[derive(Debug)]
pub struct Credentials {
    sources: Sources,
    deadline: Duration,
    config: OnceCell<Result<Config, RegistryError>>,
    known: Mutex<HashMap<String, Cell>>,
}

/// What was found for one host, by the first that asked.
type Cell = Arc<OnceCell<Result<Option<Credential>, RegistryError>>>;

/// The part of Docker's config file that matters here.
#[derive(Clone, Debug, Default)]
struct Config {
    auths: BTreeMap<String, Credential>,
    helpers: HashMap<String, String>,
    store: Option<String>,
}

impl Credentials {
    /// Nothing is read before the first registry asks.
    pub fn new(sources: Sources) -> Self {
        Self::with_deadline(sources, limits::HELPER)
    }

    /// As [`Credentials::new`], with another deadline for a helper.
    pub fn with_deadline(sources: Sources, deadline: Duration) -> Self {
        Self { sources, deadline, config: OnceCell::new(), known: Mutex::default() }
    }

    /// What is stored for the repository `path` at `host` (as in a reference: `docker.io`, `reg.corp:5000`); `None`
    /// when nothing is.
    ///
    /// A file that can't be read and a helper that fails are errors, never "nothing is stored".
    pub async fn find(&self, host: &str, _path: &str) -> Result<Option<Credential>, RegistryError> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(host.to_owned()).or_default())
        };
        cell.get_or_init(|| self.look_up(host)).await.clone()
    }

    async fn look_up(&self, host: &str) -> Result<Option<Credential>, RegistryError> {
        let config = self.config.get_or_init(|| async { self.read() }).await.as_ref().map_err(Clone::clone)?;
        let helper = keys(host).into_iter().find_map(|key| config.helpers.get(key)).or(config.store.as_ref());
        if let Some(helper) = helper {
            let stored_as = if host == HUB { HUB_KEY } else { host };
            if let Some(credential) = self.ask_helper(helper, stored_as).await? {
                return Ok(Some(credential));
            }
        }
        Ok(config.find(host).cloned())
    }

    fn read(&self) -> Result<Config, RegistryError> {
        let Some(path) = &self.sources.docker_config else { return Ok(Config::default()) };
        let local = |detail: String| RegistryError::Local { path: path.display().to_string(), detail };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => return Err(local(error.kind().to_string())),
        };
        // The parser's own message can quote a value, so only the place is told.
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| local(format!("not JSON at line {}, column {}", error.line(), error.column())))?;
        Config::parse(&value).map_err(local)
    }

    async fn ask_helper(&self, name: &str, host: &str) -> Result<Option<Credential>, RegistryError> {
        let program = format!("docker-credential-{name}");
        let local = |detail: &str| RegistryError::Local { path: program.clone(), detail: detail.to_owned() };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            let detail = "a credential helper's name has only letters, digits, `.`, `_` and `-`";
            return Err(RegistryError::Local { path: "docker config".to_owned(), detail: detail.to_owned() });
        }
        let path = self.search(&program).ok_or_else(|| local("this credential helper is not in PATH"))?;
        let run = tokio::time::timeout(self.deadline, run_helper(&path, host)).await;
        let (success, output) = match run {
            Err(_) => return Err(local(&format!("no answer in {} seconds", self.deadline.as_secs()))),
            Ok(Err(error)) => return Err(local(&format!("can't be run: {}", error.kind()))),
            Ok(Ok(output)) => output,
        };
        if !success {
            let nothing = String::from_utf8_lossy(&output).trim() == NOTHING_STORED;
            return if nothing { Ok(None) } else { Err(local("the credential helper failed")) };
        }
        let value: Value =
            serde_json::from_slice(&output).map_err(|_| local("the credential helper's answer is not JSON"))?;
        let field = |name| value.get(name).and_then(Value::as_str);
        match (field("Username"), field("Secret")) {
            (Some(""), Some("")) => Ok(None),
            (Some(TOKEN_USER), Some(secret)) => Ok(Some(Credential::IdentityToken(Secret::new(secret)))),
            (Some(user), Some(secret)) => {
                Ok(Some(Credential::Basic { user: user.to_owned(), password: Secret::new(secret) }))
            }
            _ => Err(local("the credential helper's answer lacks `Username` or `Secret`")),
        }
    }

    fn search(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(self.sources.search.as_ref()?)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
    }
}

/// Whether it ended well, and its standard output; it is killed when this future is dropped.
async fn run_helper(path: &Path, host: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // A helper that does not read its input may still answer.
    let _ = stdin.write_all(host.as_bytes()).await;
    drop(stdin);
    let mut output = Vec::new();
    let stdout = child.stdout.take().expect("standard output is piped");
    stdout.take(limits::TOKEN_BYTES as u64).read_to_end(&mut output).await?;
    Ok((child.wait().await?.success(), output))
}

/// The keys under which what belongs to `host` may be stored.
fn keys(host: &str) -> Vec<&str> {
    if host == HUB { HUB_KEYS.to_vec() } else { vec![host] }
}

impl Config {
    fn parse(value: &Value) -> Result<Self, String> {
        let map = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(format!("`{name}` is not a map")),
        };
        let mut config = Self::default();
        for (key, entry) in map("auths")?.into_iter().flatten() {
            if let Some(credential) =
                auth(entry).map_err(|BadEntry| format!("the entry `{key}` of `auths` is not one"))?
            {
                config.auths.insert(key.clone(), credential);
            }
        }
        for (key, helper) in map("credHelpers")?.into_iter().flatten() {
            let helper = helper.as_str().ok_or_else(|| format!("the entry `{key}` of `credHelpers` is not a name"))?;
            config.helpers.insert(key.clone(), helper.to_owned());
        }
        config.store = match value.get("credsStore") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.clone()).filter(|name| !name.is_empty()),
            Some(_) => return Err("`credsStore` is not a name".to_owned()),
        };
        Ok(config)
    }

    fn find(&self, host: &str) -> Option<&Credential> {
        let exact = keys(host).into_iter().find_map(|key| self.auths.get(key));
        exact.or_else(|| self.auths.iter().find(|(key, _)| bare(key) == Some(host)).map(|(_, credential)| credential))
    }
}

/// The host of a key like `https://reg.corp/v2/`; a key with another path belongs to a part of the registry only.
fn bare(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    matches!(path.trim_end_matches('/'), "" | "v1" | "v2").then_some(host)
}

/// An entry that is neither empty nor a credential.
struct BadEntry;

/// One entry of `auths`; `None` for an empty one, as Docker leaves it beside a helper.
fn auth(entry: &Value) -> Result<Option<Credential>, BadEntry> {
    let entry = entry.as_object().ok_or(BadEntry)?;
    let field = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(BadEntry),
    };
    if let Some(token) = field("identitytoken")? {
        return Ok(Some(Credential::IdentityToken(Secret::new(token))));
    }
    if let Some(token) = field("registrytoken")? {
        return Ok(Some(Credential::RegistryToken(Secret::new(token))));
    }
    if let Some(auth) = field("auth")? {
        let bytes = STANDARD.decode(auth).or_else(|_| STANDARD_NO_PAD.decode(auth)).map_err(|_| BadEntry)?;
        let text = String::from_utf8(bytes).map_err(|_| BadEntry)?;
        let (user, password) = text.split_once(':').ok_or(BadEntry)?;
        let password = Secret::new(password.trim_matches('\0'));
        return Ok(Some(Credential::Basic { user: user.to_owned(), password }));
    }
    Ok(match (field("username")?, field("password")?) {
        (Some(user), Some(password)) => {
            Some(Credential::Basic { user: user.to_owned(), password: Secret::new(password) })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Credential {
        Credential::Basic { user: user.into(), password: Secret::new(password) }
    }

    fn config(text: &str) -> Config {
        Config::parse(&serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn secrets_are_never_shown() {
        let credential = basic("bob", "hunter2");
        assert_eq!(format!("{credential:?}"), "Basic { user: \"bob\", password: *** }");
        assert_eq!(Secret::new("hunter2").to_string(), "***");
    }

    #[test]
    fn helpers_never_come_out_of_the_working_folder() {
        // A test runs in the folder of the crate, where this file is.
        let search = |path: &str| {
            let sources = Sources { docker_config: None, search: Some(path.into()) };
            Credentials::new(sources).search("Cargo.toml").is_some()
        };
        assert!(search(env!("CARGO_MANIFEST_DIR")));
        assert!(!search(".") && !search("") && !search("src/.."));
    }

    #[test]
    fn auths_in_every_spelling() {
        let config = config(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
                "reg.corp:5000": {"auth": "YTpiOmM="},
                "https://old.corp/v2/": {"username": "u", "password": "p"},
                "ghcr.io/acme": {"auth": "aHViOnB3"},
                "quay.io": {"identitytoken": "t"},
                "empty.io": {}
            }}"#,
        );
        let rows = [
            ("docker.io", Some(basic("hub", "pw"))),
            ("reg.corp:5000", Some(basic("a", "b:c"))),
            ("reg.corp", None),
            ("old.corp", Some(basic("u", "p"))),
            ("ghcr.io", None),
            ("quay.io", Some(Credential::IdentityToken(Secret::new("t")))),
            ("empty.io", None),
            ("evil.io", None),
        ];
        for (host, expected) in rows {
            assert_eq!(config.find(host), expected.as_ref(), "{host}");
        }
    }

    #[test]
    fn a_malformed_file_is_an_error_without_its_values() {
        let rows = [
            r#"{"auths": "hunter2"}"#,
            r#"{"auths": {"x.io": {"auth": "hunter2!"}}}"#,
            r#"{"auths": {"x.io": {"auth": 7}}}"#,
            r#"{"auths": {"x.io": "hunter2"}}"#,
            r#"{"credHelpers": {"x.io": ["hunter2"]}}"#,
            r#"{"credsStore": ["hunter2"]}"#,
        ];
        for text in rows {
            let error = Config::parse(&serde_json::from_str(text).unwrap()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
