//! The registries of a run: settings of the config documents, then those of this machine.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use plimsoll::policy::RegistrySettings;
use plimsoll::registry::cache::Cache;
use plimsoll::registry::credentials::Credentials;
use plimsoll::registry::http::Deadlines;
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::{self, RawEntry, Settings};
use plimsoll::report::visible_lines;

use super::args::Reaching;
use super::governing::Config;
use super::machine::{self, Machine};
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
    pub(crate) fn say(&self, quiet: bool, verbose: bool) {
        let Some(cache) = self.cache.as_ref().filter(|_| !quiet) else { return };
        let (account, root) = (cache.account(), cache.root().display().to_string());
        let root = visible_lines(&root);
        if let Some(why) = account.trouble {
            let way = if account.hits + account.stored > 0 { "can't be used further" } else { "is not used" };
            print::err(&format!("warning: the cache {root} {way}: {}\n", visible_lines(&why)));
        }
        if verbose && account.hits + account.stored + account.damaged > 0 {
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
///
/// Nothing inside of `judged` is taken for the machine's own.
pub(crate) fn network(
    named: Option<&Config>,
    beside: Option<&Config>,
    reaching: &Reaching,
    judged: &[PathBuf],
) -> anyhow::Result<Network> {
    let mut entries: Vec<RawEntry> = Vec::new();
    let mut layouts = Vec::new();
    for (entry, config) in each(named) {
        let (layout, ca) = (place(config, entry, entry.layout.as_ref())?, place(config, entry, entry.ca.as_ref())?);
        layouts.extend(entry.layout.iter().map(|layout| format!("{} from {layout}", entry.prefix)));
        entries.push(RawEntry {
            prefix: entry.prefix.clone(),
            mirrors: entry.mirrors.iter().map(|mirror| mirror.as_str().into()).collect(),
            only_mirrors: entry.only_mirrors,
            insecure: entry.insecure,
            ca,
            token_realms: entry.token_realm.iter().cloned().collect(),
            layout,
            ..RawEntry::default()
        });
    }
    let machine = Machine::found();
    let own = machine.registries()?;
    // What `--config` says of a prefix holds; podman's file speaks of the others.
    let said: Vec<Option<String>> = entries.iter().map(|entry| settings::canonical(&entry.prefix)).collect();
    entries.extend(own.entries.into_iter().filter(|entry| !said.contains(&Some(entry.prefix.clone()))));
    let said: Vec<Option<String>> = entries.iter().map(|entry| settings::canonical(&entry.prefix)).collect();
    let mut of_repository = Vec::new();
    for (entry, config) in each(beside) {
        let Some(text) = &entry.layout else { continue };
        if said.contains(&settings::canonical(&entry.prefix)) {
            continue;
        }
        of_repository.extend(place(config, entry, Some(text))?.map(|layout| (entry.prefix.clone(), layout)));
        layouts.push(format!("{} from {text}", entry.prefix));
    }
    let settings = Settings::new(entries, reaching.offline)
        .and_then(|settings| settings.with_layouts_beside(of_repository))
        .context("the registry settings contradict themselves")?;
    let settings = settings.with_certificates(machine.certificates()?);
    let given = machine::given(reaching.registry_token_stdin.as_deref())?;
    let credentials = Credentials::new(machine.sources(own.credential_helpers, given, judged));
    let cache = if reaching.no_cache { None } else { machine::cache(judged) };
    let router = Router::new(settings, credentials, Deadlines::STANDARD, machine::proxies()?, cache.clone());
    Ok(Network { router: router.at_once(reaching.jobs), layouts, cache })
}

fn each(config: Option<&Config>) -> impl Iterator<Item = (&RegistrySettings, &Config)> {
    config.into_iter().flat_map(|config| config.settings.registries.iter().map(move |entry| (entry, config)))
}

/// Where the layout or the certificates of an entry are, which must be there.
fn place(config: &Config, entry: &RegistrySettings, text: Option<&String>) -> anyhow::Result<Option<PathBuf>> {
    let Some(text) = text else { return Ok(None) };
    let path = config.folder.join(text);
    if entry.layout.is_some() && !path.join("oci-layout").is_file() {
        let (file, path) = (&config.shown, path.display());
        let line = entry.line;
        bail!(
            "{file}:{line}: {path} is no OCI image layout: name the folder that holds `oci-layout`, relative to this file"
        );
    }
    if entry.layout.is_none() && !path.is_file() {
        bail!("{}:{}: there is no file {} (relative to this file)", config.shown, entry.line, path.display());
    }
    if let Some(commit) = &config.from {
        commit.unchanged(&path)?;
    }
    Ok(Some(path))
}
