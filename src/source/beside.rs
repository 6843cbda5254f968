//! The files around a file on disk, as formats may look at them: regular files inside the repository, up to a limit.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::limits;
use crate::source::Beside;
use crate::source::wildcard::Wildcard;

/// What lies around one file.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The folder of the file, and the root of its repository, links resolved; nothing for a stream.
    folders: Option<(PathBuf, PathBuf)>,
}

impl Surroundings {
    /// Those of a stream.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those of a file (links resolved) in a repository with that root; without one its folder is the root.
    pub fn of(file: &Path, root: Option<&Path>) -> Self {
        let folder = file.parent().unwrap_or(file).to_owned();
        let root = root.filter(|root| folder.starts_with(root)).unwrap_or(&folder).to_owned();
        Self { folders: Some((folder, root)) }
    }

    /// The root of the repository, links resolved; `None` for a stream.
    pub fn root(&self) -> Option<&Path> {
        self.folders.as_ref().map(|(_, root)| root.as_path())
    }

    /// Where a path relative to the file leads, links resolved; `None` outside the repository or where nothing is.
    pub fn locate(&self, path: &str) -> Option<PathBuf> {
        let (folder, root) = self.folders.as_ref()?;
        fs::canonicalize(join(folder, root, path)).ok().filter(|real| real.starts_with(root))
    }

    /// The regular file that a path relative to the file names, or why there is none to read.
    pub fn follow(&self, path: &str) -> Result<Followed, Astray> {
        let (folder, root) = self.folders.as_ref().ok_or(Astray::Stream)?;
        self.at(&join(folder, root, path))
    }

    /// The regular file at a path on disk, or why there is none to read.
    pub fn at(&self, path: &Path) -> Result<Followed, Astray> {
        let root = self.root().ok_or(Astray::Stream)?;
        let real = fs::canonicalize(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => Astray::Missing,
            _ => Astray::Io(error),
        })?;
        // a link stands where it is written
        let place = match (path.parent().map(fs::canonicalize), path.file_name()) {
            (Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => real.clone(),
        };
        let is_inside = |path: &Path| {
            path.strip_prefix(root).is_ok_and(|inside| !inside.iter().any(|part| part.eq_ignore_ascii_case(".git")))
        };
        if !is_inside(&real) || !is_inside(&place) {
            return Err(Astray::Outside);
        }
        if !fs::metadata(&real)?.is_file() {
            return Err(Astray::NotRegular);
        }
        Ok(Followed { place, real })
    }

    /// Where a path relative to the file leads as it is written, whether something is there or not.
    pub fn written(&self, path: &str) -> Option<PathBuf> {
        let (folder, root) = self.folders.as_ref()?;
        let mut place = PathBuf::new();
        for part in join(folder, root, path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(place.pop()),
                part => place.push(part),
            }
        }
        Some(place)
    }

    /// A pattern relative to the file, as one from the root of the repository.
    pub fn wildcard(&self, pattern: &str) -> Result<Wildcard, Astray> {
        let (folder, root) = self.folders.as_ref().ok_or(Astray::Stream)?;
        let folder = match pattern.starts_with('/') {
            true => Path::new(""),
            false => folder.strip_prefix(root).map_err(|_| Astray::Outside)?,
        };
        Wildcard::new(folder.as_os_str().as_encoded_bytes(), pattern).ok_or(Astray::Outside)
    }
}

fn join(folder: &Path, root: &Path, path: &str) -> PathBuf {
    match path.strip_prefix('/') {
        Some(path) => root.join(path.trim_start_matches('/')),
        None => folder.join(path),
    }
}

/// A file that another one names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Followed {
    /// Where it stands, links of its folder resolved but not its own.
    pub place: PathBuf,
    /// The file itself, links resolved.
    pub real: PathBuf,
}

/// Why a file that is named can't be read from here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Astray {
    /// The file that names it has no folder.
    #[error("standard input has no files beside it; name the file itself in place of `-`")]
    Stream,
    /// Nothing is there.
    #[error("there is no such file")]
    Missing,
    /// It, or what it links to, is not of this repository.
    #[error("it lies outside the repository, where nothing is read")]
    Outside,
    /// A folder, pipe, socket or device.
    #[error("it is not a regular file")]
    NotRegular,
    /// The system refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Beside for Surroundings {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let real = self.locate(path)?;
        if !fs::metadata(&real).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        fs::File::open(real).ok()?.take(limits::SOURCE_BYTES + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= limits::SOURCE_BYTES).then_some(bytes)
    }
}
