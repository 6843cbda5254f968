//! The files around a file on disk, as formats may look at them: regular files inside the repository, up to a limit.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::limits;
use crate::source::Beside;

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

    /// Where a path relative to the file leads, links resolved; `None` outside the repository or where nothing is.
    pub fn locate(&self, path: &str) -> Option<PathBuf> {
        let (folder, root) = self.folders.as_ref()?;
        let path = match path.strip_prefix('/') {
            Some(path) => root.join(path.trim_start_matches('/')),
            None => folder.join(path),
        };
        fs::canonicalize(path).ok().filter(|real| real.starts_with(root))
    }
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
