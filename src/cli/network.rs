//! The registries of a run: settings of the config documents, then those of this machine.

use anyhow::{Context as _, bail};
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
pub(crate) fn network(named: Option<&Config>, beside: Option<&Config>, reaching: &Reaching) -> anyhow::Result<Network> {
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
    let settings = Settings::new(entries, reaching.offline).context("the registry settings contradict themselves")?;
    let settings = settings.with_certificates(machine.certificates()?);
    let given = machine::given(reaching.registry_token_stdin.as_deref())?;
    let credentials = Credentials::new(machine.sources(own.credential_helpers, given));
    let cache = if reaching.no_cache { None } else { machine::cache() };
    let router = Router::new(settings, credentials, Deadlines::STANDARD, machine::proxies()?, cache.clone());
    Ok(Network { router: router.at_once(reaching.jobs), layouts, cache })
}
