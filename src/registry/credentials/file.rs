//! One file of credentials: Docker's `config.json`, or podman's `auth.json` with its keys for namespaces.
//! What is no entry is an error that repeats no value.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::Value;

use crate::reference::HUB;
use crate::registry::{RegistryError, in_words};

use super::{Credential, HUB_KEY, Secret, Stored};

/// The names of the Hub, in the order they are tried.
const HUB_KEYS: [&str; 4] = [HUB_KEY, HUB, "index.docker.io", "registry-1.docker.io"];

/// The part of such a file that matters here.
#[derive(Clone, Debug, Default)]
pub(super) struct AuthFile {
    auths: BTreeMap<String, Credential>,
    helpers: HashMap<String, String>,
    store: Option<String>,
}

impl AuthFile {
    pub(super) fn read(stored: &Stored) -> Result<Self, RegistryError> {
        let local = |detail: String| RegistryError::Local { path: stored.path.display().to_string(), detail };
        let bytes = match std::fs::read(&stored.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !stored.named => return Ok(Self::default()),
            Err(error) => return Err(local(in_words(&error))),
        };
        // The parser's own message can quote a value, so only the place is told.
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| local(format!("not JSON at line {}, column {}", error.line(), error.column())))?;
        Self::parse(&value).map_err(local)
    }

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

    /// The helper of this host.
    pub(super) fn helper(&self, host: &str) -> Option<&str> {
        keys(host).into_iter().find_map(|key| self.helpers.get(key)).map(String::as_str)
    }

    /// The helper of all hosts.
    pub(super) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// What is stored for `path` at `host`, or for the longest namespace that it lies in.
    pub(super) fn below(&self, host: &str, path: &str) -> Option<&Credential> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut keys: Vec<String> = ends.map(|end| format!("{host}/{}", &path[..end])).collect();
        keys.reverse();
        keys.iter().find_map(|key| self.auths.get(key))
    }

    /// What is stored for the whole of `host`.
    pub(super) fn of(&self, host: &str) -> Option<&Credential> {
        let exact = keys(host).into_iter().find_map(|key| self.auths.get(key));
        exact.or_else(|| self.auths.iter().find(|(key, _)| bare(key) == Some(host)).map(|(_, credential)| credential))
    }
}

/// The keys under which what belongs to `host` may be stored.
fn keys(host: &str) -> Vec<&str> {
    if host == HUB { HUB_KEYS.to_vec() } else { vec![host] }
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

    fn file(text: &str) -> AuthFile {
        AuthFile::parse(&serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn auths_in_every_spelling() {
        let file = file(
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
            assert_eq!(file.of(host), expected.as_ref(), "{host}");
        }
    }

    #[test]
    fn the_longest_namespace_wins_on_component_boundaries() {
        let file = file(
            r#"{"auths": {
                "reg.corp:5000/team/app/deep": {"auth": "ZDpwdw=="},
                "reg.corp:5000/team": {"auth": "dDpwdw=="},
                "reg.corp:5000": {"auth": "aDpwdw=="},
                "docker.io/acme": {"auth": "YTpwdw=="}
            }}"#,
        );
        let rows = [
            ("reg.corp:5000", "team/app/deep", Some("d")),
            ("reg.corp:5000", "team/app/deep/er", Some("d")),
            ("reg.corp:5000", "team/app", Some("t")),
            ("reg.corp:5000", "team", Some("t")),
            ("reg.corp:5000", "teams/app", None),
            ("reg.corp:5000", "x/team", None),
            ("reg.corp", "team/app", None),
            ("docker.io", "acme/app", Some("a")),
            ("docker.io", "library/acme", None),
            ("evil.io", "reg.corp:5000/team", None),
        ];
        for (host, path, user) in rows {
            assert_eq!(file.below(host, path).cloned(), user.map(|user| basic(user, "pw")), "{host}/{path}");
        }
        assert_eq!(file.of("reg.corp:5000"), Some(&basic("h", "pw")));
        assert_eq!(file.of("docker.io"), None, "a namespace's key is no host's");
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
            let error = AuthFile::parse(&serde_json::from_str(text).unwrap()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
