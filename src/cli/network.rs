//! The registries of a run: settings of the config documents, credentials and proxies of this machine.
//! The only place that reads the environment for them; a policy never does.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use plimsoll::limits;
use plimsoll::registry::cache::Cache;
use plimsoll::registry::credentials::{Credentials, Sources};
use plimsoll::registry::http::{Deadlines, Proxies, RawProxies};
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{RawEntry, Settings};
use plimsoll::report::visible_lines;
use plimsoll::source::walk;

use super::args::{Asking, Output};
use super::governing::Config;
use super::print;

/// What a run asks for images.
pub(crate) struct Network {
    pub(crate) router: Router,
    /// The layouts in use, as they are named in reports.
    pub(crate) layouts: Vec<String>,
    cache: Option<Cache>,
}

impl Network {
    /// Says what was wrong with the cache: one line, or with `-v` also what it was good for.
    pub(crate) fn say(&self, output: &Output) {
        let Some(cache) = self.cache.as_ref().filter(|_| !output.quiet) else { return };
        let (account, root) = (cache.account(), cache.root().display().to_string());
        let root = visible_lines(&root);
        if let Some(why) = account.trouble {
            let way = if account.hits + account.stored > 0 { "can't be used further" } else { "is not used" };
            print::err(&format!("warning: the cache {root} {way}: {}\n", visible_lines(&why)));
        }
        if output.verbose && account.hits + account.stored + account.damaged > 0 {
            let (hits, stored) = (account.hits, account.stored);
            let damaged = match account.damaged {
                0 => String::new(),
                damaged => format!(", {damaged} damaged and asked for again"),
            };
            print::err(&format!("cache {root}: {hits} used, {stored} kept{damaged}\n"));
        }
    }
}

/// The registries as the config documents and this machine say.
pub(crate) fn network(named: Option<&Config>, beside: Option<&Config>, asking: &Asking) -> anyhow::Result<Network> {
    let mut entries: Vec<RawEntry> = Vec::new();
    let mut layouts = Vec::new();
    // The machine's own file goes first: what it says of a prefix holds.
    for config in [named, beside].into_iter().flatten() {
        for entry in &config.settings.registries {
            if entries.iter().any(|other| other.prefix == entry.prefix) {
                continue;
            }
            let place = |path: &String| config.folder.join(path);
            if let Some(layout) = entry.layout.as_ref().map(place).filter(|path| !path.join("oci-layout").is_file()) {
                bail!(
                    "line {} of the config: {} is no OCI image layout: it holds no oci-layout",
                    entry.line,
                    layout.display()
                );
            }
            if let Some(ca) = entry.ca.as_ref().map(place).filter(|path| !path.is_file()) {
                bail!("line {} of the config: there is no file {}", entry.line, ca.display());
            }
            layouts.extend(entry.layout.iter().map(|layout| format!("{} from {layout}", entry.prefix)));
            entries.push(RawEntry {
                prefix: entry.prefix.clone(),
                mirrors: entry.mirrors.iter().map(|mirror| mirror.as_str().into()).collect(),
                only_mirrors: entry.only_mirrors,
                insecure: entry.insecure,
                ca: entry.ca.as_ref().map(place),
                layout: entry.layout.as_ref().map(place),
                ..RawEntry::default()
            });
        }
    }
    let settings = Settings::new(entries, asking.offline).context("the registry settings contradict themselves")?;
    let cache = if asking.no_cache { None } else { cache() };
    let credentials = Credentials::new(sources());
    let router =
        Router::new(settings, credentials, Deadlines::STANDARD, proxies()?, cache.clone()).at_once(asking.jobs);
    Ok(Network { router, layouts, cache })
}

/// The user's cache, where there is a place for one.
fn cache() -> Option<Cache> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("PLIMSOLL_CACHE").or_else(|| {
        let general = variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        Some(general.or_else(|| Some(env::home_dir()?.join(".cache")))?.join("plimsoll"))
    })?;
    let folder = std::path::absolute(folder).ok()?;
    let judged =
        env::current_dir().ok().and_then(|here| walk::work_tree(&here)).and_then(|tree| tree.canonicalize().ok());
    Some(Cache::new(folder, limits::CACHE_BYTES, judged))
}

fn sources() -> Sources {
    let folder = env::var_os("DOCKER_CONFIG")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".docker")));
    Sources { docker_config: folder.map(|folder| folder.join("config.json")), search: env::var_os("PATH") }
}

fn proxies() -> anyhow::Result<Proxies> {
    let variable =
        |names: [&str; 2]| names.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    Ok(Proxies::new(&RawProxies {
        http: variable(["http_proxy", "HTTP_PROXY"]),
        https: variable(["https_proxy", "HTTPS_PROXY"]),
        all: variable(["all_proxy", "ALL_PROXY"]),
        except: variable(["no_proxy", "NO_PROXY"]),
    })?)
}
