//! What this machine says of registries: podman's and Docker's files, the proxies, a token on standard input.
//! The only place that reads the environment for them; a policy never does.

use std::collections::HashMap;
use std::env;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use plimsoll::limits;
use plimsoll::registry::cache::Cache;
use plimsoll::registry::certificates;
use plimsoll::registry::credentials::{Credential, Sources, Stored};
use plimsoll::registry::http::{Proxies, RawProxies};
use plimsoll::registry::registries_conf::{self, Places, Registries};
use plimsoll::registry::settings::{self, Certificates};
use plimsoll::source::walk;

/// Where this machine keeps its files.
pub(crate) struct Machine {
    home: Option<PathBuf>,
    /// `/etc`, or what stands for it.
    etc: PathBuf,
}

impl Machine {
    /// As the environment says.
    pub(crate) fn found() -> Self {
        Self { home: env::home_dir(), etc: folder("PLIMSOLL_ETC").unwrap_or_else(|| PathBuf::from("/etc")) }
    }

    /// Mirrors, other locations and blocked registries, and the order of credential helpers.
    pub(crate) fn registries(&self) -> anyhow::Result<Registries> {
        Ok(registries_conf::read(&Places {
            named: folder("CONTAINERS_REGISTRIES_CONF"),
            user: self.home.as_ref().map(|home| home.join(".config/containers")),
            system: Some(self.etc.join("containers")),
        })?)
    }

    /// The certificates of each host.
    pub(crate) fn certificates(&self) -> anyhow::Result<HashMap<String, Certificates>> {
        let home = self.home.as_ref().map(|home| home.join(".config/containers/certs.d"));
        let machine = ["containers/certs.d", "docker/certs.d"].map(|name| self.etc.join(name));
        let roots: Vec<PathBuf> = home.into_iter().chain(machine).collect();
        certificates::read(&roots).context("the certificates of registries can't be listed")
    }

    /// Where credentials are looked for.
    pub(crate) fn sources(
        &self,
        helpers: Vec<String>,
        given: Option<(String, Credential)>,
        judged: &[PathBuf],
    ) -> Sources {
        Sources { given, files: self.files(), helpers, search: env::var_os("PATH"), judged: judged.to_vec() }
    }

    /// The files in the order of containers-auth.json.5; one that is named is the only one.
    fn files(&self) -> Vec<Stored> {
        if let Some(path) = folder("REGISTRY_AUTH_FILE") {
            return vec![Stored { path, named: true }];
        }
        let session = folder("XDG_RUNTIME_DIR")
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("containers"))
            .or_else(without_session);
        let in_home = |name: &str| self.home.as_ref().map(|home| home.join(name));
        let config = folder("XDG_CONFIG_HOME")
            .filter(|folder| folder.is_absolute())
            .or_else(|| in_home(".config"))
            .map(|folder| folder.join("containers"));
        let docker = folder("DOCKER_CONFIG").or_else(|| in_home(".docker")).map(|folder| folder.join("config.json"));
        let podman = [session, config].into_iter().flatten().map(|folder| folder.join("auth.json"));
        podman.chain(docker).map(Stored::from).collect()
    }
}

/// A path in a variable; an empty one is none.
fn folder(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where podman keeps a user's credentials without a session: below `/run`, by the user's number.
#[cfg(target_os = "linux")]
fn without_session() -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let user = std::fs::metadata("/proc/self").ok()?.uid();
    Some(PathBuf::from(format!("/run/containers/{user}")))
}

/// Elsewhere podman has no such place.
#[cfg(not(target_os = "linux"))]
fn without_session() -> Option<PathBuf> {
    None
}

/// The proxies, by the variables that every tool knows; a lower-case one is read first, as curl does.
pub(crate) fn proxies() -> anyhow::Result<Proxies> {
    let variable =
        |names: [&str; 2]| names.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    Ok(Proxies::new(&RawProxies {
        http: variable(["http_proxy", "HTTP_PROXY"]),
        https: variable(["https_proxy", "HTTPS_PROXY"]),
        all: variable(["all_proxy", "ALL_PROXY"]),
        except: variable(["no_proxy", "NO_PROXY"]),
    })?)
}

/// Refuses standard input for two things at once.
pub(crate) fn one_use_of_input(host: Option<&str>, paths: &[PathBuf]) -> anyhow::Result<()> {
    if host.is_some() && paths.iter().any(|path| path == Path::new("-")) {
        bail!("standard input can't be both a file (`-`) and the token of `--registry-token-stdin`");
    }
    Ok(())
}

/// The credential on standard input, and the host it belongs to. Its text is in no message.
pub(crate) fn given(host: Option<&str>) -> anyhow::Result<Option<(String, Credential)>> {
    let Some(text) = host else { return Ok(None) };
    let host = settings::canonical(text).filter(|host| !host.contains(['/', '*']));
    let host = host.ok_or_else(|| {
        // What stands there may be the secret itself.
        anyhow!("--registry-token-stdin takes HOST[:PORT], such as ghcr.io; the secret goes to standard input")
    })?;
    let mut input = std::io::stdin();
    if input.is_terminal() {
        bail!("--registry-token-stdin: pipe the token in; what is typed at a terminal would be seen");
    }
    let mut bytes = Vec::new();
    let limit = limits::TOKEN_BYTES as u64;
    (&mut input).take(limit + 1).read_to_end(&mut bytes).context("standard input can't be read")?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= limit);
    let credential = text.as_deref().map(|text| text.trim_end_matches(['\n', '\r']));
    let credential = credential.filter(|text| !text.contains(['\n', '\r'])).and_then(Credential::given);
    let credential = credential.ok_or_else(|| {
        anyhow!("--registry-token-stdin: standard input holds neither a bearer token nor USER:PASSWORD, on one line")
    })?;
    Ok(Some((host, credential)))
}

/// The trees whose content a change could have written: of the named paths, the policy and the current folder each the
/// work tree, or where there is none the folder itself. Nothing in them is the machine's own.
///
/// A folder without git that holds the home is left out: who writes there writes the machine's settings.
pub(crate) fn judged(paths: &[PathBuf], policy: Option<&Path>) -> Vec<PathBuf> {
    let Ok(here) = env::current_dir() else { return Vec::new() };
    let home = env::home_dir().and_then(|home| home.canonicalize().ok());
    let mut places = vec![here.clone()];
    places.extend(policy.map(Path::to_owned));
    for path in paths.iter().filter(|path| path.as_os_str() != "-").map(|path| here.join(path)) {
        let real = path.canonicalize().ok().filter(|real| !real.is_dir());
        places.extend(real.and_then(|real| Some(real.parent()?.to_owned())));
        places.push(if path.is_dir() { path } else { path.parent().map_or_else(|| here.clone(), Path::to_owned) });
    }
    let mut trees: Vec<PathBuf> = Vec::new();
    for place in places {
        let tree = walk::work_tree(&place).or_else(|| {
            let folder = place.canonicalize().ok()?;
            let holds_home = home.as_ref().is_some_and(|home| home.starts_with(&folder));
            (!holds_home).then_some(folder)
        });
        trees.extend(tree.filter(|tree| !trees.contains(tree)));
    }
    trees
}

/// The user's cache, where there is a place for one.
pub(crate) fn cache(judged: &[PathBuf]) -> Option<Cache> {
    let place = folder("PLIMSOLL_CACHE").or_else(|| {
        let general = folder("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        Some(general.or_else(|| Some(env::home_dir()?.join(".cache")))?.join("plimsoll"))
    })?;
    let place = std::path::absolute(place).ok()?;
    Some(Cache::new(place, limits::CACHE_BYTES, judged.iter().cloned()))
}
