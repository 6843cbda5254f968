//! The files of a run, read and searched: discovery, `ignore:`, standard input, and what must not be replaced.
//! Only files that hold something are kept, so memory follows the references and not the tree.

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use plimsoll::gate::Scanned;
use plimsoll::limits;
use plimsoll::report::visible_lines;
use plimsoll::source::beside::Surroundings;
use plimsoll::source::walk::{self, Discovered, File, Ignored, Link};
use plimsoll::source::{Format, Found, Input, Kinds, Unread, table};
use plimsoll::span::Place;

use super::args::Paths;
use super::governing::{Config, FILE, Governing};
use super::{Failure, print};

/// How standard input is named and shown.
const STREAM: &str = "-";
/// What standard input is, unless `--as` says.
const STREAM_FORMAT: &str = "kubernetes";

/// Where the bytes of a scanned file go back to, and how they are read.
#[derive(Clone)]
pub(crate) struct Target {
    /// The file itself, links resolved.
    pub(crate) path: PathBuf,
    /// As it is shown.
    pub(crate) shown: String,
    pub(crate) formats: Vec<&'static dyn Format>,
    pub(crate) surroundings: Surroundings,
    pub(crate) kinds: Arc<Kinds>,
    /// Why it must not be replaced.
    pub(crate) refused: Option<String>,
}

impl Target {
    /// Reads bytes as this file's.
    pub(crate) fn read(&self, bytes: &[u8]) -> Found {
        let input = Input { path: &self.shown, bytes, beside: &self.surroundings, kinds: &self.kinds };
        table::read(&self.formats, &input)
    }
}

/// All that the paths of a run hold.
#[derive(Default)]
pub(crate) struct Gathered {
    /// Files with references or with something unread, by shown path; a stream always.
    pub(crate) files: Vec<Scanned>,
    /// Files that could not be read at all.
    pub(crate) unread: Vec<(String, Unread)>,
    /// How many files were read.
    pub(crate) read: usize,
    /// How many `ignore:` left out.
    pub(crate) ignored: usize,
    /// Where each of `files` goes back to, in their order: names that are not UTF-8 can be shown alike.
    pub(crate) targets: Vec<Target>,
    /// Policies that are not the run's.
    pub(crate) nested: Vec<String>,
    /// Whether it came from standard input.
    pub(crate) stream: bool,
}

/// Finds, reads and searches the files of a run.
pub(crate) fn gather(
    arguments: &Paths,
    named: Option<&Config>,
    governing: Option<&Governing>,
) -> Result<Gathered, Failure> {
    let format = arguments.format.as_deref().map(format).transpose()?;
    let configs = [named, governing.and_then(|governing| governing.config.as_ref())];
    let mut kinds = Kinds::none();
    configs.iter().flatten().for_each(|config| kinds.extend(&config.settings.kinds));
    let kinds = Arc::new(kinds);
    if arguments.paths.iter().any(|path| path.as_os_str() == STREAM) {
        if arguments.paths.len() > 1 {
            return Err(anyhow!("`-` stands alone: other paths can't be mixed with standard input").into());
        }
        return Ok(stream(format, arguments.allow_empty, kinds)?);
    }
    let current = std::env::current_dir().context("the current folder can't be found")?;
    let ignore = configs
        .into_iter()
        .flatten()
        .filter_map(|config| Some((config, config.settings.ignore.as_ref()?)))
        .map(|(config, globs)| Ignored::new(&config.ignore_from, globs.texts()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(anyhow::Error::from)?;
    let request = walk::Request { paths: &arguments.paths, current: &current, format, ignore: &ignore };
    let discovered = walk::discover(&request).map_err(anyhow::Error::from)?;
    // The run's own policy is read like every file, and is no reason to believe that something was looked at.
    let own = governing.and_then(|governing| fs::canonicalize(&governing.path).ok());
    let only_own = discovered.files.iter().all(|file| !file.named && fs::canonicalize(&file.path).ok() == own);
    if only_own && discovered.unseen.is_empty() && !arguments.allow_empty {
        let ignored = if discovered.ignored > 0 { " beside what `ignore:` leaves out" } else { "" };
        let what = match arguments.paths.as_slice() {
            [] => "the current folder holds".to_owned(),
            [path] => format!("{} holds", path.display()),
            _ => "these paths hold".to_owned(),
        };
        return Err(
            anyhow!("{what} no file that could name an image{ignored}; say --allow-empty if that is meant").into()
        );
    }
    scan(&discovered, governing, &kinds)
}

fn format(id: &str) -> anyhow::Result<&'static dyn Format> {
    table::by_id(id).ok_or_else(|| {
        let known: Vec<&str> = table::formats().iter().map(|format| format.id()).collect();
        anyhow!("no format `{id}`; --as takes one of: {}", known.join(", "))
    })
}

fn stream(format: Option<&'static dyn Format>, allow_empty: bool, kinds: Arc<Kinds>) -> anyhow::Result<Gathered> {
    let format = format.map_or_else(|| self::format(STREAM_FORMAT), Ok)?;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(limits::SOURCE_BYTES + 1)
        .read_to_end(&mut bytes)
        .context("can't read standard input")?;
    if bytes.len() as u64 > limits::SOURCE_BYTES {
        return Err(anyhow!("standard input is longer than {} bytes", limits::SOURCE_BYTES));
    }
    let says_something = |line: &[u8]| !matches!(line.trim_ascii(), [] | [b'#', ..] | b"---" | b"...");
    if !allow_empty && !bytes.split(|byte| *byte == b'\n').any(says_something) {
        return Err(anyhow!(
            "standard input is empty; did the command before it fail? say --allow-empty if that is meant"
        ));
    }
    let target = Target {
        path: PathBuf::from(STREAM),
        shown: STREAM.to_owned(),
        formats: vec![format],
        surroundings: Surroundings::none(),
        kinds,
        refused: None,
    };
    let found = target.read(&bytes);
    let scanned = Scanned { path: STREAM.to_owned(), policy_path: STREAM.to_owned(), bytes, found };
    if scanned.found.occurrences.is_empty() && scanned.found.unread.is_empty() {
        say_barren("standard input");
    }
    Ok(Gathered { files: vec![scanned], read: 1, targets: vec![target], stream: true, ..Gathered::default() })
}

/// What was named and names no image is said aloud (soundness rule 25): the wrong file looks just like a clean one.
fn say_barren(shown: &str) {
    print::err(&format!("note: {} names no image\n", visible_lines(shown)));
}

/// What became of one file.
enum Read {
    Scanned(Scanned, Target),
    Nothing,
    Failed(String, Unread),
}

/// Reads and searches on every core; the result is in the order of the shown paths.
fn scan(discovered: &Discovered, governing: Option<&Governing>, kinds: &Arc<Kinds>) -> Result<Gathered, Failure> {
    let folder = governing.and_then(|governing| fs::canonicalize(&governing.folder).ok());
    let own = governing.and_then(|governing| fs::canonicalize(&governing.path).ok());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(discovered.files.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut own = Vec::new();
                while let Some(file) = discovered.files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    own.push((file.shown.clone(), read(file, folder.as_deref(), kinds)));
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by(|a, b| a.0.cmp(&b.0));

    let named: HashSet<&str> =
        discovered.files.iter().filter(|file| file.named).map(|file| file.shown.as_str()).collect();
    let mut gathered = Gathered { ignored: discovered.ignored, ..Gathered::default() };
    for file in &discovered.files {
        let is_policy = file.shown.rsplit('/').next() == Some(FILE);
        if is_policy && governing.is_some() && fs::canonicalize(&file.path).ok() != own {
            gathered.nested.push(file.shown.clone());
        }
    }
    for (shown, read) in results {
        match read {
            Read::Scanned(scanned, target) => {
                gathered.read += 1;
                gathered.targets.push(target);
                gathered.files.push(scanned);
            }
            Read::Nothing => {
                gathered.read += 1;
                if named.contains(shown.as_str()) {
                    say_barren(&shown);
                }
            }
            Read::Failed(reason, unread) => {
                if named.contains(shown.as_str()) {
                    return Err(anyhow!("{shown} can't be read: {reason}").into());
                }
                gathered.unread.push((shown, unread));
            }
        }
    }
    for unseen in &discovered.unseen {
        gathered.unread.push((unseen.shown.clone(), unread(unseen.reason.clone())));
    }
    Ok(gathered)
}

fn unread(reason: String) -> Unread {
    Unread { place: Place { line: 1, column: 1 }, reason, could_hold_reference: true }
}

fn read(file: &File, folder: Option<&Path>, kinds: &Arc<Kinds>) -> Read {
    let source = match file.read() {
        Ok(source) => source,
        Err(error) => return Read::Failed(error.to_string(), unread(error.to_string())),
    };
    let real = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
    // A link's place counts, not its target's: that is where the repository names it.
    let place = match (file.path.parent().and_then(|parent| fs::canonicalize(parent).ok()), file.path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => real.clone(),
    };
    let policy_path =
        folder.and_then(|folder| place.strip_prefix(folder).ok()).map_or_else(|| source.path.clone(), walk::show);
    let refused = match file.link {
        Link::No | Link::Inside => None,
        Link::Outside => Some("it is a link that leads outside the tree".to_owned()),
    };
    let target = Target {
        surroundings: Surroundings::of(&real, walk::work_tree(real.parent().unwrap_or(&real)).as_deref()),
        path: real,
        shown: source.path.clone(),
        formats: file.formats.clone(),
        kinds: Arc::clone(kinds),
        refused,
    };
    let found = target.read(&source.bytes);
    if found.occurrences.is_empty() && found.unread.is_empty() && found.pointers.is_empty() {
        return Read::Nothing;
    }
    Read::Scanned(Scanned { path: source.path, policy_path, bytes: source.bytes, found }, target)
}
