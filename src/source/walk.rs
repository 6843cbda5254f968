//! The files of a run: what git tracks or would track, else every file of a folder.
//! It reads no policy and no content; a file that can't be read is an error of that file, never one file fewer.
//!
//! Longer than most files: a third of it is tests against real git work trees.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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

/// One file of a run.
#[derive(Clone)]
pub struct File {
    /// As it is shown: relative to the current folder or as its folder was named, with `/`.
    pub shown: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it is read as; never empty.
    pub formats: Vec<&'static dyn Format>,
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
    /// Reads the whole file, up to [`limits::SOURCE_BYTES`]; a pipe is refused before it could block.
    pub fn read(&self) -> Result<SourceFile, ReadError> {
        let kind = fs::metadata(&self.path)?;
        if !kind.is_file() {
            return Err(ReadError::NotRegular);
        }
        if kind.len() > limits::SOURCE_BYTES {
            return Err(ReadError::TooLarge);
        }
        let mut bytes = Vec::new();
        fs::File::open(&self.path)?.take(limits::SOURCE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limits::SOURCE_BYTES {
            return Err(ReadError::TooLarge);
        }
        Ok(SourceFile { path: self.shown.clone(), bytes })
    }
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

    fn holds(&self, path: &Path) -> bool {
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
            folder(request, &path, &shown, &mut found)?;
            continue;
        }
        let formats = request.format.map_or_else(|| table::claiming(&shown), |format| vec![format]);
        if formats.is_empty() {
            return Err(WalkError::NoFormat(shown));
        }
        let link = link(&path, &root_of(&path, request.current));
        found.files.push(File { shown, path, formats, named: true, link });
    }
    once(&mut found.files);
    Ok(found)
}

/// A named path as it is shown: `/` between components, no `./` in front and no `/` behind.
pub fn show(path: &Path) -> String {
    let parts = path.components().filter(|part| !matches!(part, std::path::Component::CurDir));
    let shown = parts.collect::<PathBuf>().to_string_lossy().into_owned();
    if std::path::MAIN_SEPARATOR == '/' { shown } else { shown.replace(std::path::MAIN_SEPARATOR, "/") }
}

fn folder(request: &Request<'_>, path: &Path, shown: &str, found: &mut Discovered) -> Result<(), WalkError> {
    let real = fs::canonicalize(path).map_err(|source| WalkError::Path { shown: shown.to_owned(), source })?;
    let root = work_tree(&real);
    let files = match &root {
        Some(root) => tracked(root, &real, shown, &mut found.unseen)?,
        None => walked(&real, shown, &mut found.unseen),
    };
    let root = root.as_deref().unwrap_or(&real);
    for path in files {
        let Ok(relative) = path.strip_prefix(&real) else { continue };
        let shown = if shown.is_empty() {
            show(relative)
        } else {
            format!("{}/{}", shown.trim_end_matches('/'), show(relative))
        };
        let formats = table::claiming(&shown);
        if formats.is_empty() {
            continue;
        }
        // gone since git listed it, or a folder now (a link to one is not followed)
        let gone = path
            .symlink_metadata()
            .is_err_and(|error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory));
        if gone || fs::metadata(&path).is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if request.ignore.iter().any(|ignored| ignored.holds(&path)) {
            found.ignored += 1;
            continue;
        }
        let link = link(&path, root);
        found.files.push(File { shown, path, formats, named: false, link });
    }
    Ok(())
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

/// By shown path, each real file once: a named one before a walked one, a file before a link to it.
fn once(files: &mut Vec<File>) {
    files.sort_by(|a, b| (!a.named, a.link != Link::No, &a.shown).cmp(&(!b.named, b.link != Link::No, &b.shown)));
    let mut seen = HashSet::new();
    files.retain(|file| {
        let real = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
        seen.insert(real)
    });
    files.sort_by(|a, b| a.shown.cmp(&b.shown));
}

/// Every file below a folder; `.git` folders are not entered, links to folders not followed.
fn walked(folder: &Path, shown: &str, unseen: &mut Vec<Unseen>) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).follow_links(false).into_iter();
    let mut files = Vec::new();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git") {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => files.push(entry.into_path()),
            Err(error) => {
                let place = error.path().and_then(|path| path.strip_prefix(folder).ok()).map(show).unwrap_or_default();
                let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                unseen.push(Unseen { shown: [shown, &place].join("/").trim_matches('/').to_owned(), reason });
            }
        }
    }
    files
}

/// The files that git tracks, and the untracked ones that no `.gitignore` of the tree excludes; submodules not.
fn tracked(root: &Path, folder: &Path, shown: &str, unseen: &mut Vec<Unseen>) -> Result<Vec<PathBuf>, WalkError> {
    const SUBMODULE: &[u8] = b"160000 ";
    let mut files = Vec::new();
    let (listed, _) = git(root, &["--cached", "--stage"])?;
    for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty() && !line.starts_with(SUBMODULE)) {
        let Some(at) = line.iter().position(|byte| *byte == b'\t') else {
            let message = "a line of its index has no path".to_owned();
            return Err(WalkError::Git { root: root.to_owned(), message });
        };
        files.push(root.join(os_path(&line[at + 1..])));
    }
    let (listed, warnings) = git(root, &["--others", "--exclude-per-directory=.gitignore"])?;
    for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let path = root.join(os_path(line));
        if line.ends_with(b"/") {
            // a repository inside this one that is no submodule: git does not look into it, we do
            files.extend(walked(&path, shown, unseen));
        } else {
            files.push(path);
        }
    }
    if !warnings.is_empty() {
        unseen.push(Unseen { shown: if shown.is_empty() { "." } else { shown }.to_owned(), reason: warnings });
    }
    files.retain(|path| path.starts_with(folder));
    files.sort();
    files.dedup();
    Ok(files)
}

/// Runs `git ls-files`; what it prints, and what it warns of.
fn git(root: &Path, arguments: &[&str]) -> Result<(Vec<u8>, String), WalkError> {
    let missing = |source| WalkError::GitMissing { root: root.to_owned(), source };
    let mut command = git::command(root).map_err(missing)?;
    command.args(["ls-files", "-z", "--full-name"]).args(arguments);
    let output = command.output().map_err(missing)?;
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        let message = if message.is_empty() { output.status.to_string() } else { message };
        return Err(WalkError::Git { root: root.to_owned(), message });
    }
    Ok((output.stdout, message))
}

#[cfg(unix)]
fn os_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn os_path(bytes: &[u8]) -> PathBuf {
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

    fn names(found: &Discovered) -> Vec<&str> {
        found.files.iter().map(|file| file.shown.as_str()).collect()
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
        assert_eq!((names(&found), found.ignored), (vec!["a.yaml"], 2));
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
        assert_eq!((names(&found), found.files[0].named), (vec!["notes.txt"], true));
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
