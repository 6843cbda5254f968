//! The registries of a run: settings of the config documents, credentials and proxies of this machine.
//! The only place that reads the environment for them; a policy never does.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use plimsoll::registry::credentials::{Credentials, Sources};
use plimsoll::registry::http::{Deadlines, Proxies, RawProxies};
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{RawEntry, Settings};

use super::governing::Config;

/// The router, and the layouts in use as they are named in reports.
pub(crate) fn router(
    named: Option<&Config>,
    beside: Option<&Config>,
    offline: bool,
) -> anyhow::Result<(Router, Vec<String>)> {
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
    let settings = Settings::new(entries, offline).context("the registry settings contradict themselves")?;
    let router = Router::new(settings, Credentials::new(sources()), Deadlines::STANDARD, proxies()?);
    Ok((router, layouts))
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
