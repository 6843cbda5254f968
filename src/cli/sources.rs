//! The files of a run, read and searched: discovery, `ignore:`, standard input, and what must not be replaced.
//! Only files that hold something are kept, so memory follows the references and not the tree.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use plimsoll::gate::Scanned;
use plimsoll::limits;
use plimsoll::report::visible_lines;
use plimsoll::source::beside::{Astray, Surroundings};
use plimsoll::source::walk::{self, Discovered, File, Ignored, Link};
use plimsoll::source::{Format, Found, Input, Kinds, Pointer, Unread, table};
use plimsoll::span::Place;

use super::args::Paths;
use super::following::{self, Trail};
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
    /// Files that could not be read at all, and names of files in others that lead to none.
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
    let only_own = discovered.files.iter().all(|file| !file.named && Some(file.real()) == own);
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
    let folder = governing.and_then(|governing| fs::canonicalize(&governing.folder).ok());
    let run = Run { folder, kinds };
    let mut gathered = scan(&run, &discovered, &mut Trail::new(&discovered, &ignore, &current))?;
    if governing.is_some() {
        let is_policy = |file: &&File| file.path().file_name().is_some_and(|name| name == FILE);
        let nested = discovered.files.iter().filter(is_policy).filter(|file| Some(file.real()) != own);
        gathered.nested = nested.map(File::shown).collect();
    }
    Ok(gathered)
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
    let mut found = target.read(&bytes);
    let pointers = std::mem::take(&mut found.pointers);
    let unread = pointers.iter().map(|pointer| following::astray(STREAM, pointer, &Astray::Stream)).collect();
    if found.occurrences.is_empty() && found.unread.is_empty() && pointers.is_empty() {
        say_barren("standard input");
    }
    let scanned = Scanned { path: STREAM.to_owned(), policy_path: STREAM.to_owned(), bytes, found };
    let (files, targets) = (vec![scanned], vec![target]);
    Ok(Gathered { files, unread, read: 1, targets, stream: true, ..Gathered::default() })
}

/// What was named and names no image is said aloud: the wrong file looks just like a clean one.
fn say_barren(shown: &str) {
    print::err(&format!("note: {} names no image\n", visible_lines(shown)));
}

/// What every file of a run is read with.
struct Run {
    /// The policy's folder, links resolved.
    folder: Option<PathBuf>,
    kinds: Arc<Kinds>,
}

/// One reading of one file.
struct Job<'a> {
    file: &'a File,
    formats: Vec<&'static dyn Format>,
    /// The repository of the files that name it, for one that is read because they do.
    within: Option<&'a Path>,
}

/// What became of it.
enum Read {
    Done {
        /// What it holds, where it holds something.
        kept: Option<Box<(Scanned, Target)>>,
        pointers: Vec<Pointer>,
        surroundings: Surroundings,
    },
    Failed(String),
}

/// Reads and searches the files of a run, then those that they name, until nothing new is named.
fn scan(run: &Run, discovered: &Discovered, trail: &mut Trail<'_>) -> Result<Gathered, Failure> {
    let files = &discovered.files;
    let mut gathered = Gathered { read: files.len(), ..Gathered::default() };
    let mut kept: HashMap<PathBuf, Box<(Scanned, Target)>> = HashMap::new();
    let job = |at: usize| Job { file: &files[at], formats: files[at].formats(), within: None };
    for (at, read) in read_all(run, files.len(), &job) {
        let file = &files[at];
        match read {
            Read::Done { kept: None, pointers, .. } if pointers.is_empty() => say_barren(&file.shown()),
            Read::Done { kept: found, pointers, surroundings } => {
                trail.note(file, &surroundings, pointers);
                kept.extend(found.map(|found| (file.real(), found)));
            }
            Read::Failed(reason) if file.named => {
                return Err(anyhow!("{} can't be read: {reason}", file.shown()).into());
            }
            Read::Failed(reason) => {
                gathered.read -= 1;
                gathered.unread.push((file.shown(), unread(reason)));
            }
        }
    }
    loop {
        let named = trail.next().map_err(anyhow::Error::from)?;
        if named.is_empty() {
            break;
        }
        let job = |at: usize| Job {
            file: &named[at].file,
            formats: named[at].formats.clone(),
            within: Some(&named[at].within),
        };
        for (at, read) in read_all(run, named.len(), &job) {
            let named = &named[at];
            match read {
                Read::Done { kept: found, pointers, surroundings } => {
                    gathered.read += usize::from(named.is_new);
                    trail.note(&named.file, &surroundings, pointers);
                    let real = named.file.real();
                    match found {
                        Some(found) => drop(kept.insert(real, found)),
                        None => drop(kept.remove(&real)),
                    }
                }
                Read::Failed(reason) => trail.unread(named, &reason),
            }
        }
    }
    let mut kept: Vec<Box<(Scanned, Target)>> = kept.into_values().collect();
    kept.sort_by(|a, b| (&a.0.path, &a.1.path).cmp(&(&b.0.path, &b.1.path)));
    (gathered.files, gathered.targets) = kept.into_iter().map(|found| *found).unzip();
    gathered.ignored = discovered.ignored + trail.ignored();
    gathered.unread.extend(trail.take_unread());
    let unseen = discovered.unseen.iter();
    gathered.unread.extend(unseen.map(|unseen| (unseen.shown.clone(), unread(unseen.reason.clone()))));
    gathered.unread.sort_by(|a, b| (&a.0, a.1.place).cmp(&(&b.0, b.1.place)));
    Ok(gathered)
}

fn unread(reason: String) -> Unread {
    Unread { place: Place { line: 1, column: 1 }, reason, could_hold_reference: true }
}

/// Reads and searches on every core; in the order of the jobs, without those that hold nothing and that nobody named.
fn read_all<'a>(run: &Run, count: usize, job: &(dyn Fn(usize) -> Job<'a> + Sync)) -> Vec<(usize, Read)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let (mut own, mut trees) = (Vec::new(), Trees::default());
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    let job = job(at);
                    let read = read(run, &job, &mut trees);
                    let is_empty = matches!(&read, Read::Done { kept: None, pointers, .. } if pointers.is_empty());
                    if !is_empty || job.file.named || job.within.is_some() {
                        own.push((at, read));
                    }
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results
}

/// The work tree of a folder, looked up once for files that follow each other.
#[derive(Default)]
struct Trees {
    last: Option<(PathBuf, Option<PathBuf>)>,
}

impl Trees {
    fn of(&mut self, folder: &Path) -> Option<&Path> {
        if self.last.as_ref().is_none_or(|(known, _)| known != folder) {
            self.last = Some((folder.to_owned(), walk::work_tree(folder)));
        }
        self.last.as_ref().and_then(|(_, tree)| tree.as_deref())
    }
}

fn read(run: &Run, job: &Job<'_>, trees: &mut Trees) -> Read {
    let file = job.file;
    let source = match file.read() {
        Ok(source) => source,
        Err(error) => return Read::Failed(error.to_string()),
    };
    let real = file.real();
    let tree = trees.of(real.parent().unwrap_or(&real));
    let surroundings = Surroundings::of(&real, tree.or_else(|| Some(file.root())));
    let refused = match file.link {
        Link::Outside => Some("it is a link that leads outside the tree".to_owned()),
        // a submodule's files are read where something names them, and changed in their own repository
        _ if job.within.is_some_and(|within| tree.is_some_and(|tree| tree != within)) => {
            Some("it belongs to a repository of its own".to_owned())
        }
        Link::No | Link::Inside => None,
    };
    let target = Target {
        path: real,
        shown: source.path,
        formats: job.formats.clone(),
        surroundings: surroundings.clone(),
        kinds: Arc::clone(&run.kinds),
        refused,
    };
    let mut found = target.read(&source.bytes);
    let pointers = std::mem::take(&mut found.pointers);
    let kept = (!found.occurrences.is_empty() || !found.unread.is_empty()).then(|| {
        // A link's place counts, not its target's: that is where the repository names it.
        let place = file.place();
        let below = run.folder.as_ref().and_then(|folder| place.strip_prefix(folder).ok());
        let policy_path = below.map_or_else(|| target.shown.clone(), walk::show);
        Box::new((Scanned { path: target.shown.clone(), policy_path, bytes: source.bytes, found }, target))
    });
    Read::Done { kept, pointers, surroundings }
}
