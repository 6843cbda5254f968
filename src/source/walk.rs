//! The files of a run: what git tracks or would track, else every file of a folder.
//! It reads no policy and no content; a file that can't be read is an error of that file, never one file fewer.
//! Names are looked at as they are listed, and only those that a format claims are kept.
//!
//! Longer than most files: a third of it is tests against real git work trees.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::limits;
use crate::source::{Format, SourceFile, git, table};

/// Which files are asked for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Files and folders as the user named them; none means the current folder. `-` is not for this module.
    pub paths: &'a [PathBuf],
    /// The current folder: paths are relative to it, and shown so.
    pub current: &'a Path,
    /// The format that named files have whatever they are called (`--as`).
    pub format: Option<&'static dyn Format>,
    /// What the configs leave out.
    pub ignore: &'a [Ignored],
}

/// A folder that files are named from.
#[derive(Debug)]
struct Base {
    /// Where it is; links resolved, but for the current folder.
    path: PathBuf,
    /// In front of what is shown of its files; empty for the current folder.
    shown: String,
    /// What its files must not lead out of, links resolved.
    root: PathBuf,
}

/// One file of a run, in few bytes: there may be as many as the tree has files.
#[derive(Clone)]
pub struct File {
    base: Arc<Base>,
    relative: Box<Path>,
    /// The file itself, where a link or a folder that is one leads elsewhere.
    real: Option<Box<Path>>,
    /// The one format that it is told to have.
    format: Option<&'static dyn Format>,
    /// Whether the user named this very file.
    pub named: bool,
    /// Whether it is a symbolic link.
    pub link: Link,
}

/// Whether a file is a symbolic link, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A file of its own.
    No,
    /// A link to somewhere inside the work tree or the named folder.
    Inside,
    /// A link out of it: read, never written.
    Outside,
}

/// Something that could not even be looked at: an unreadable folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// As it is shown.
    pub shown: String,
    /// Why.
    pub reason: String,
}

/// What was found.
#[derive(Clone, Default)]
pub struct Discovered {
    /// The files, by shown path; each real file once.
    pub files: Vec<File>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
    /// How many files that a format claims the config left out.
    pub ignored: usize,
    /// The folders that were looked through.
    bases: Vec<Arc<Base>>,
}

/// Why no list of files could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// A named path that is not there or can't be looked at.
    #[error("{shown} can't be read")]
    Path {
        /// As the user named it.
        shown: String,
        /// What the system says.
        source: io::Error,
    },
    /// A named file of no known kind.
    #[error("no format claims {0}; name one with --as")]
    NoFormat(String),
    /// git is not there.
    #[error("{} is a git work tree, but git can't be run: {source}", root.display())]
    GitMissing {
        /// The work tree.
        root: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// git refuses.
    #[error("git can't list the files of {}: {message}", root.display())]
    Git {
        /// The work tree.
        root: PathBuf,
        /// What git says.
        message: String,
    },
    /// A glob of the config.
    #[error("`{glob}` is not a glob: {reason}")]
    Glob {
        /// As written.
        glob: String,
        /// Why not.
        reason: String,
    },
}

/// Why a file can't be read; it is unread then, and could hold a reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A folder, pipe, socket or device.
    #[error("it is not a regular file")]
    NotRegular,
    /// Larger than the limit.
    #[error("it is larger than {} bytes", limits::SOURCE_BYTES)]
    TooLarge,
    /// The system refuses.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
}

impl File {
    /// As it is shown: relative to the current folder or as its folder was named, with `/`.
    pub fn shown(&self) -> String {
        self.base.show(&self.relative)
    }

    /// Where it is, as it was found.
    pub fn path(&self) -> PathBuf {
        self.base.path.join(&self.relative)
    }

    /// The file itself, links resolved.
    pub fn real(&self) -> PathBuf {
        self.real.as_ref().map_or_else(|| self.path(), |real| real.to_path_buf())
    }

    /// Where it stands, links of its folder resolved but not its own: where the repository names it.
    pub fn place(&self) -> PathBuf {
        let path = self.path();
        match (&self.real, path.parent().map(fs::canonicalize), path.file_name()) {
            (Some(_), Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => self.real(),
        }
    }

    /// What its files must not lead out of: the work tree, else the folder that was named.
    pub fn root(&self) -> &Path {
        &self.base.root
    }

    /// What it is read as, by its name or because it was told; empty only for a file that another one names.
    pub fn formats(&self) -> Vec<&'static dyn Format> {
        self.format.map_or_else(|| table::claiming(&self.shown()), |format| vec![format])
    }

    /// Reads the whole file, up to [`limits::SOURCE_BYTES`]; a pipe is refused before it could block.
    pub fn read(&self) -> Result<SourceFile, ReadError> {
        let path = self.path();
        let kind = fs::metadata(&path)?;
        if !kind.is_file() {
            return Err(ReadError::NotRegular);
        }
        if kind.len() > limits::SOURCE_BYTES {
            return Err(ReadError::TooLarge);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or_default() + 1);
        fs::File::open(&path)?.take(limits::SOURCE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limits::SOURCE_BYTES {
            return Err(ReadError::TooLarge);
        }
        Ok(SourceFile { path: self.shown(), bytes })
    }

    /// What files are ordered by: the bytes of what is shown, before those that are no text are replaced.
    fn order(&self) -> impl Iterator<Item = &u8> {
        let shown = self.base.shown.as_bytes();
        let slash: &[u8] = if shown.is_empty() { b"" } else { b"/" };
        shown.iter().chain(slash).chain(self.relative.as_os_str().as_encoded_bytes())
    }
}

impl Base {
    fn show(&self, relative: &Path) -> String {
        if self.shown.is_empty() {
            return show(relative);
        }
        format!("{}/{}", self.shown.trim_end_matches('/'), show(relative))
    }
}

impl Discovered {
    /// Whether a file (links resolved) lies in a folder that was looked through.
    pub fn covers(&self, real: &Path) -> bool {
        self.bases.iter().any(|base| real.starts_with(&base.path))
    }

    /// A file that another one names: `place` is where it stands, `real` the file itself, `root` what it may not lead
    /// out of. It is shown like its neighbours in a folder that was looked through, else from the current folder.
    pub fn pointed(&self, place: &Path, real: &Path, root: &Path, current: &Path) -> File {
        let around = self.bases.iter().find(|base| place.starts_with(&base.path));
        let (base, relative) = if let Some(base) = around {
            (Arc::clone(base), place.strip_prefix(&base.path).unwrap_or(place).to_owned())
        } else {
            let base = Base { path: current.to_owned(), shown: String::new(), root: root.to_owned() };
            (Arc::new(base), from(current, place, root))
        };
        let real = (real != place).then(|| real.into());
        let link = if real.is_some() { Link::Inside } else { Link::No };
        File { base, relative: relative.into(), real, format: None, named: false, link }
    }
}

/// A path from one folder to a file; absolute where they do not share the repository.
fn from(current: &Path, to: &Path, root: &Path) -> PathBuf {
    if let Ok(below) = to.strip_prefix(current) {
        return below.to_owned();
    }
    if !current.starts_with(root) {
        return to.to_owned();
    }
    let shared = current.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = current.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

/// The globs of `ignore:`, relative to the folder of the config that holds them.
#[derive(Clone, Debug, Default)]
pub struct Ignored {
    root: PathBuf,
    globs: GlobSet,
}

impl Ignored {
    /// Reads the globs: `*` stays inside a component, `**` spans them.
    pub fn new(root: &Path, globs: &[String]) -> Result<Self, WalkError> {
        let wrong = |glob: &str, error: &globset::Error| WalkError::Glob {
            glob: glob.to_owned(),
            reason: error.kind().to_string(),
        };
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| wrong(glob, &error))?);
        }
        let globs = set.build().map_err(|error| wrong("", &error))?;
        Ok(Self { root: fs::canonicalize(root).unwrap_or_else(|_| root.to_owned()), globs })
    }

    /// Whether it leaves out a path whose folder has its links resolved.
    pub fn holds(&self, path: &Path) -> bool {
        path.strip_prefix(&self.root).is_ok_and(|path| self.globs.is_match(path))
    }
}

/// The root of the git work tree that a folder is in: the nearest folder upward that holds `.git`, a folder or a file.
pub fn work_tree(from: &Path) -> Option<PathBuf> {
    let from = fs::canonicalize(from).ok()?;
    from.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok()).map(Path::to_path_buf)
}

/// The files of a run.
pub fn discover(request: &Request<'_>) -> Result<Discovered, WalkError> {
    let mut found = Discovered::default();
    let here = [PathBuf::from(".")];
    let paths = if request.paths.is_empty() { &here[..] } else { request.paths };
    for named in paths {
        let path = request.current.join(named);
        let shown = show(named);
        let kind = fs::metadata(&path).map_err(|source| WalkError::Path { shown: shown.clone(), source })?;
        if kind.is_dir() {
            folder(request, &path, shown, &mut found)?;
            continue;
        }
        if request.format.is_none() && !table::claims(&shown) {
            return Err(WalkError::NoFormat(shown));
        }
        let link = link(&path, &root_of(&path, request.current));
        let root = surrounding(&path, request.current);
        let base = Arc::new(Base { path: request.current.to_owned(), shown: String::new(), root });
        let relative: PathBuf = named.components().filter(|part| *part != Component::CurDir).collect();
        let real = fs::canonicalize(&path).ok().map(PathBuf::into_boxed_path);
        found.files.push(File { base, relative: relative.into(), real, format: request.format, named: true, link });
    }
    once(&mut found.files, paths.len() > 1);
    Ok(found)
}

/// Every file of the tree at `root` whatever it is called: as git lists them, or all of a folder that is no work tree.
pub fn every(root: &Path, each: &mut dyn FnMut(&Path)) -> Result<Vec<Unseen>, WalkError> {
    let mut unseen = Vec::new();
    let mut take = |seen: Seen<'_>| match seen {
        Seen::File(path) => each(path),
        Seen::Failed(path, reason) => {
            unseen.push(Unseen { shown: show(path.strip_prefix(root).unwrap_or(path)), reason });
        }
    };
    if root.join(".git").symlink_metadata().is_ok() {
        tracked(root, root, &mut take)?;
    } else {
        walked(root, &mut take);
    }
    Ok(unseen)
}

/// A named path as it is shown: `/` between components, no `./` in front and no `/` behind.
pub fn show(path: &Path) -> String {
    let parts = path.components().filter(|part| !matches!(part, std::path::Component::CurDir));
    let shown = parts.collect::<PathBuf>().to_string_lossy().into_owned();
    if std::path::MAIN_SEPARATOR == '/' { shown } else { shown.replace(std::path::MAIN_SEPARATOR, "/") }
}

/// What a listing comes upon.
enum Seen<'a> {
    File(&'a Path),
    /// A folder, or the listing as a whole, and why it can't be looked at.
    Failed(&'a Path, String),
}

fn folder(request: &Request<'_>, path: &Path, shown: String, found: &mut Discovered) -> Result<(), WalkError> {
    let path = fs::canonicalize(path).map_err(|source| WalkError::Path { shown: shown.clone(), source })?;
    let tree = work_tree(&path);
    let root = tree.clone().unwrap_or_else(|| path.clone());
    let base = Arc::new(Base { path, shown, root });
    found.bases.push(Arc::clone(&base));
    let mut sieve = Sieve { request, base: Arc::clone(&base), found, folder: (PathBuf::new(), false) };
    let mut take = |seen: Seen<'_>| match seen {
        Seen::File(path) => sieve.file(path),
        Seen::Failed(path, reason) => sieve.failed(path, reason),
    };
    match tree {
        Some(tree) => tracked(&tree, &base.path, &mut take)?,
        None => walked(&base.path, &mut take),
    }
    Ok(())
}

/// Keeps the listed files of one folder that a format claims.
struct Sieve<'a> {
    request: &'a Request<'a>,
    base: Arc<Base>,
    found: &'a mut Discovered,
    /// The folder of the last file, and whether no link is on the way to it.
    folder: (PathBuf, bool),
}

impl Sieve<'_> {
    fn file(&mut self, path: &Path) {
        let Ok(relative) = path.strip_prefix(&self.base.path) else { return };
        if !table::claims(&self.base.show(relative)) {
            return;
        }
        let kind = path.symlink_metadata();
        // gone since git listed it, or a folder now (a link to one is not followed)
        let gone = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        if kind.as_ref().is_err_and(gone) || fs::metadata(path).is_ok_and(|kind| kind.is_dir()) {
            return;
        }
        if self.request.ignore.iter().any(|ignored| ignored.holds(path)) {
            self.found.ignored += 1;
            return;
        }
        let is_plain = kind.is_ok_and(|kind| !kind.is_symlink()) && self.is_straight(path);
        let link = if is_plain { Link::No } else { link(path, &self.base.root) };
        let real = if is_plain { None } else { fs::canonicalize(path).ok().filter(|real| real != path) };
        let (base, relative, real) = (Arc::clone(&self.base), relative.into(), real.map(PathBuf::into_boxed_path));
        self.found.files.push(File { base, relative, real, format: None, named: false, link });
    }

    /// Whether the folder of a file is where its path says; asked once for files that follow each other.
    fn is_straight(&mut self, path: &Path) -> bool {
        let folder = path.parent().unwrap_or(path);
        if self.folder.0 != folder {
            self.folder = (folder.to_owned(), fs::canonicalize(folder).is_ok_and(|real| real == folder));
        }
        self.folder.1
    }

    fn failed(&mut self, path: &Path, reason: String) {
        let relative = path.strip_prefix(&self.base.path).unwrap_or(Path::new(""));
        let shown = if relative.as_os_str().is_empty() { self.base.shown.clone() } else { self.base.show(relative) };
        let shown = if shown.is_empty() { ".".to_owned() } else { shown };
        self.found.unseen.push(Unseen { shown, reason });
    }
}

/// Whether a file, or a folder on the way to it, is a link, and where to.
fn link(path: &Path, root: &Path) -> Link {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    match fs::canonicalize(path) {
        Ok(target) if !target.starts_with(root) => Link::Outside,
        Err(_) if path.is_symlink() => Link::Outside,
        _ if path.is_symlink() => Link::Inside,
        _ => Link::No,
    }
}

/// The folder that a named file must not lead out of: the work tree that its path stands in as it is written, else the
/// one that its folder is in, else that folder.
fn root_of(path: &Path, current: &Path) -> PathBuf {
    let written = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let own = work_tree(current).filter(|root| written.starts_with(root));
    let folder = path.parent().unwrap_or(current);
    own.or_else(|| work_tree(folder)).unwrap_or_else(|| folder.to_owned())
}

/// What the files that a named file names must not lead out of: the work tree that it is in, else the current folder,
/// else its own.
fn surrounding(path: &Path, current: &Path) -> PathBuf {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = real.parent().unwrap_or(&real);
    work_tree(folder)
        .or_else(|| fs::canonicalize(current).ok().filter(|current| folder.starts_with(current)))
        .unwrap_or_else(|| folder.to_owned())
}

/// By shown path, each real file once: a named one before a walked one, a file before a link to it.
fn once(files: &mut Vec<File>, several: bool) {
    let rank = |file: &File| (!file.named, file.link != Link::No);
    files.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.order().cmp(b.order())));
    files.dedup_by(|a, b| Arc::ptr_eq(&a.base, &b.base) && a.relative == b.relative);
    // within one folder only what links lead to can be there twice
    let contested: HashSet<PathBuf> =
        files.iter().filter(|file| several || file.real.is_some()).map(File::real).collect();
    if !contested.is_empty() {
        let mut seen = HashSet::new();
        files.retain(|file| {
            let real = file.real();
            !contested.contains(&real) || seen.insert(real)
        });
    }
    files.sort_by(|a, b| a.order().cmp(b.order()));
    files.shrink_to_fit();
}

/// Every file below a folder; `.git` folders are not entered, links to folders not followed.
fn walked(folder: &Path, take: &mut dyn FnMut(Seen<'_>)) {
    let entries = walkdir::WalkDir::new(folder).follow_links(false).into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git") {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => take(Seen::File(entry.path())),
            Err(error) => {
                let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                take(Seen::Failed(error.path().unwrap_or(folder), reason));
            }
        }
    }
}

/// The files that git tracks, and the untracked ones that no `.gitignore` of the tree excludes; submodules not.
fn tracked(root: &Path, folder: &Path, take: &mut dyn FnMut(Seen<'_>)) -> Result<(), WalkError> {
    const SUBMODULE: &[u8] = b"160000 ";
    // side by side: one reads the index while the other looks through the folders
    let tracked = Listing::start(root, &["--cached", "--stage"])?;
    let others = Listing::start(root, &["--others", "--exclude-per-directory=.gitignore"])?;
    let mut last = Vec::new();
    tracked.each(&mut |line| {
        let Some(at) = line.iter().position(|byte| *byte == b'\t') else {
            let message = "a line of its index has no path".to_owned();
            return Err(WalkError::Git { root: root.to_owned(), message });
        };
        let path = &line[at + 1..];
        // an unmerged file is listed once for each side
        if !line.starts_with(SUBMODULE) && path != last {
            last.clear();
            last.extend_from_slice(path);
            let path = root.join(os_path(path));
            if path.starts_with(folder) {
                take(Seen::File(&path));
            }
        }
        Ok(())
    })?;
    let warnings = others.each(&mut |line| {
        let path = root.join(os_path(line));
        if line.ends_with(b"/") {
            // a repository inside this one that is no submodule: git does not look into it, we do
            walked(&path, &mut |seen| match seen {
                Seen::File(path) | Seen::Failed(path, _) if !path.starts_with(folder) => {}
                seen => take(seen),
            });
        } else if path.starts_with(folder) {
            take(Seen::File(&path));
        }
        Ok(())
    })?;
    if !warnings.is_empty() {
        take(Seen::Failed(folder, warnings));
    }
    Ok(())
}

/// A `git ls-files` that is running; it ends with the value.
struct Listing {
    root: PathBuf,
    child: Child,
    /// What it says on standard error, read beside so that it never waits for us.
    said: Option<JoinHandle<String>>,
}

impl Listing {
    fn start(root: &Path, arguments: &[&str]) -> Result<Self, WalkError> {
        let missing = |source| WalkError::GitMissing { root: root.to_owned(), source };
        let mut command = git::command(root).map_err(missing)?;
        command.args(["ls-files", "-z", "--full-name"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(missing)?;
        let said = child.stderr.take().map(|mut stream| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).trim().to_owned()
            })
        });
        Ok(Self { root: root.to_owned(), child, said })
    }

    /// Hands over each name as it comes; what git warned of, once it is done.
    fn each(mut self, take: &mut dyn FnMut(&[u8]) -> Result<(), WalkError>) -> Result<String, WalkError> {
        let failed = |source| WalkError::GitMissing { root: self.root.clone(), source };
        let mut lines = BufReader::new(self.child.stdout.take().expect("its output is piped"));
        let mut line = Vec::new();
        while lines.read_until(0, &mut line).map_err(failed)? > 0 {
            // a line without its end is cut off; git's status tells
            if line.pop() == Some(0) {
                take(&line)?;
            }
            line.clear();
        }
        let status = self.child.wait().map_err(failed)?;
        let message = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(message);
        }
        let message = if message.is_empty() { status.to_string() } else { message };
        Err(WalkError::Git { root: self.root.clone(), message })
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as git writes it.
#[cfg(unix)]
pub fn os_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// A path as git writes it.
#[cfg(not(unix))]
pub fn os_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use std::process::Command;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(path, text).expect("the file");
    }

    fn run_git(root: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"];
        let output = command.current_dir(root).args(identity).args(arguments).output().expect("git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn shown(root: &Path, paths: &[&str], ignore: &[&str]) -> Discovered {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let globs: Vec<String> = ignore.iter().map(|glob| (*glob).to_owned()).collect();
        let ignore = Ignored::new(root, &globs).expect("globs");
        discover(&Request { paths: &paths, current: root, format: None, ignore: std::slice::from_ref(&ignore) })
            .expect("a list")
    }

    fn names(found: &Discovered) -> Vec<String> {
        found.files.iter().map(File::shown).collect()
    }

    #[test]
    fn a_folder_without_git_is_walked_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for path in ["a.yaml", "b/.hidden/c.yml", "b/d.txt", "b/.gitignore", ".git2/e.json"] {
            write(root, path, "x: 1");
        }
        symlink(root.join("b"), root.join("l")).expect("a link");
        symlink(root.join("a.yaml"), root.join("b/again.yaml")).expect("a link");
        symlink("/nowhere", root.join("dangling.yaml")).expect("a link");
        let found = shown(root, &[], &[]);
        assert_eq!(names(&found), [".git2/e.json", "a.yaml", "b/.hidden/c.yml", "dangling.yaml"]);
        assert_eq!(found.files[3].link, Link::Outside);
        assert!(matches!(found.files[3].read(), Err(ReadError::Io(_))));
        let found = shown(root, &["./b/", "a.yaml"], &["b/**"]);
        assert_eq!((names(&found), found.ignored), (vec!["a.yaml".to_owned()], 2));
        let found = shown(root, &["b"], &[]);
        assert_eq!(names(&found), ["b/.hidden/c.yml", "b/again.yaml"]);
        assert_eq!(found.files[1].link, Link::Outside);
    }

    #[test]
    fn git_says_which_files_there_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = &folder.path().join("r");
        write(root, "tracked.yaml", "x: 1");
        write(root, "sub/forced.yaml", "x: 1");
        write(root, "sub/gone.yaml", "x: 1");
        write(root, ".gitignore", "*.yaml\n");
        run_git(root, &["init", "-q"]);
        run_git(root, &["add", "-f", "."]);
        run_git(root, &["commit", "-qm", "x"]);
        fs::remove_file(root.join("sub/gone.yaml")).expect("removed");
        write(root, "ignored.yaml", "x: 1");
        write(root, "new.json", "{}");
        write(root, ".ignore", "new.json\n");
        write(root, ".git/info/exclude", "new.json\n");
        write(root, "nested/inside.json", "{}");
        run_git(&root.join("nested"), &["init", "-q"]);
        assert_eq!(
            names(&shown(root, &[], &[])),
            ["nested/inside.json", "new.json", "sub/forced.yaml", "tracked.yaml"]
        );
        assert_eq!(names(&shown(root, &["sub"], &[])), ["sub/forced.yaml"]);
        assert_eq!(names(&shown(root, &["ignored.yaml"], &[])), ["ignored.yaml"]);
        assert_eq!(names(&shown(&root.join("sub"), &["..", "."], &[]))[..2], ["../nested/inside.json", "../new.json"]);
        assert_eq!(work_tree(&root.join("sub")), fs::canonicalize(root).ok());
    }

    #[test]
    fn submodules_are_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inner, outer) = (folder.path().join("inner"), folder.path().join("outer"));
        for root in [&inner, &outer] {
            write(root, "a.yaml", "x: 1");
            run_git(root, &["init", "-q"]);
            run_git(root, &["add", "."]);
            run_git(root, &["commit", "-qm", "x"]);
        }
        run_git(&outer, &["submodule", "--quiet", "add", "../inner", "module"]);
        assert_eq!(names(&shown(&outer, &[], &[])), ["a.yaml"]);
        assert_eq!(names(&shown(&outer, &["module"], &[])), ["module/a.yaml"]);
    }

    #[test]
    fn a_repository_runs_no_program_and_hides_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "a.yaml", "x: 1");
        run_git(root, &["init", "-q"]);
        write(root, "monitor.sh", &format!("#!/bin/sh\ntouch {}/ran\n", root.display()));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.join("monitor.sh"), mode).expect("a mode");
        let monitor = root.join("monitor.sh").display().to_string();
        run_git(root, &["config", "core.fsmonitor", &monitor]);
        run_git(root, &["config", "core.worktree", "/tmp"]);
        run_git(root, &["config", "core.bare", "true"]);
        assert_eq!(names(&shown(root, &[], &[])), ["a.yaml"]);
        assert!(!root.join("ran").exists());
    }

    #[test]
    fn a_real_file_that_is_listed_twice_is_kept_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(root, "a/x.yaml", "x: 1");
        write(root, "b/x.yaml", "x: 1");
        run_git(root, &["init", "-q", "-b", "main"]);
        run_git(root, &["add", "."]);
        run_git(root, &["commit", "-qm", "x"]);
        // a tracked folder that became a link: git still lists its files
        fs::remove_dir_all(root.join("b")).expect("removed");
        symlink("a", root.join("b")).expect("a link");
        let found = shown(root, &[], &[]);
        assert_eq!(names(&found), ["a/x.yaml"]);
        assert_eq!(found.files[0].real(), fs::canonicalize(root).expect("real").join("a/x.yaml"));
        let found = shown(root, &["b/x.yaml", "a", "."], &[]);
        assert_eq!((names(&found), found.files[0].named), (vec!["b/x.yaml".to_owned()], true));
        assert!(found.files[0].place().ends_with("a/x.yaml"), "{:?}", found.files[0].place());
        fs::remove_file(root.join("b")).expect("removed");
        run_git(root, &["checkout", "-q", "."]);
        // an unmerged file is listed once for each side
        for (branch, text) in [("one", "x: 2"), ("two", "x: 3")] {
            run_git(root, &["checkout", "-q", "main", "-b", branch]);
            write(root, "a/x.yaml", text);
            run_git(root, &["commit", "-qam", "x"]);
        }
        let merge = Command::new("git").current_dir(root).args(["merge", "-q", "one"]).output().expect("git");
        assert!(!merge.status.success(), "the sides do not agree");
        assert_eq!(names(&shown(root, &[], &[])), ["a/x.yaml", "b/x.yaml"]);
    }

    #[test]
    fn a_broken_repository_is_an_error_not_an_empty_list() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "a.yaml", "x: 1");
        fs::create_dir(folder.path().join(".git")).expect("a folder");
        let ignore = Ignored::default();
        let request =
            Request { paths: &[], current: folder.path(), format: None, ignore: std::slice::from_ref(&ignore) };
        assert!(matches!(discover(&request), Err(WalkError::Git { .. })));
    }

    #[test]
    fn named_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "notes.txt", "x: 1");
        let ignore = Ignored::default();
        let with = |path: &str, format| {
            let paths = [PathBuf::from(path)];
            discover(&Request { paths: &paths, current: folder.path(), format, ignore: std::slice::from_ref(&ignore) })
        };
        assert!(matches!(with("none.yaml", None), Err(WalkError::Path { .. })));
        assert!(matches!(with("notes.txt", None), Err(WalkError::NoFormat(name)) if name == "notes.txt"));
        let found = with("notes.txt", table::by_id("kubernetes")).expect("a list");
        assert_eq!((names(&found), found.files[0].named), (vec!["notes.txt".to_owned()], true));
        assert!(matches!(Ignored::new(folder.path(), &["[".to_owned()]), Err(WalkError::Glob { .. })));
    }

    #[test]
    fn what_is_no_file_is_refused_without_blocking() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe.yaml");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        let found = shown(folder.path(), &[], &[]);
        assert!(matches!(found.files[0].read(), Err(ReadError::NotRegular)));
        let large = folder.path().join("large.yaml");
        fs::File::create(&large).and_then(|file| file.set_len(limits::SOURCE_BYTES + 1)).expect("a sparse file");
        let found = shown(folder.path(), &["large.yaml"], &[]);
        assert!(matches!(found.files[0].read(), Err(ReadError::TooLarge)));
    }

    #[test]
    fn names_that_are_not_utf_8_survive() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(os_path(b"caf\xe9.yaml")), "x: 1").expect("the file");
        run_git(folder.path(), &["init", "-q"]);
        let found = shown(folder.path(), &[], &[]);
        assert_eq!(names(&found), ["caf\u{fffd}.yaml"]);
        assert!(found.files[0].read().is_ok());
    }
}
