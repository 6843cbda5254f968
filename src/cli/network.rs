//! The registries of a run: settings of the config documents, then those of this machine.

use anyhow::{Context as _, bail};
use plimsoll::registry::credentials::Credentials;
use plimsoll::registry::http::Deadlines;
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{self, RawEntry, Settings};

use super::args::Asking;
use super::governing::Config;
use super::machine::{self, Machine};

/// The router, and the layouts in use as they are named in reports.
pub(crate) fn router(
    named: Option<&Config>,
    beside: Option<&Config>,
    asking: &Asking,
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
                token_realms: entry.token_realm.iter().cloned().collect(),
                layout: entry.layout.as_ref().map(place),
                ..RawEntry::default()
            });
        }
    }
    let machine = Machine::found();
    let own = machine.registries()?;
    // What the documents say of a prefix holds; podman's file speaks of the others.
    let said: Vec<Option<String>> = entries.iter().map(|entry| settings::canonical(&entry.prefix)).collect();
    entries.extend(own.entries.into_iter().filter(|entry| !said.contains(&Some(entry.prefix.clone()))));
    let settings = Settings::new(entries, asking.offline).context("the registry settings contradict themselves")?;
    let settings = settings.with_certificates(machine.certificates()?);
    let given = machine::given(asking.registry_token_stdin.as_deref())?;
    let credentials = Credentials::new(machine.sources(own.credential_helpers, given));
    let router = Router::new(settings, credentials, Deadlines::STANDARD, machine::proxies()?);
    Ok((router, layouts))
}
