//! The cache's folder: whether it may be used at all, and reading one entry of it.
//! It follows no link inside the folder and believes no file that somebody else could have written.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::limits;
use crate::registry::blobs::{self, BLOBS, MARKER, Reach, UNFINISHED};

/// Records of what was served for which repository.
pub(super) const SERVED: &str = "served";
/// Hints of what a tag last named.
pub(super) const TAGS: &str = "tags";
/// The folders of a cache.
pub(super) const FOLDERS: [&str; 6] = [BLOBS, "blobs/sha256", "blobs/sha384", "blobs/sha512", SERVED, TAGS];

/// Marks a folder as a cache of this program; backups know the file and pass the folder over (bford.info/cachedir).
const TAG: (&str, &str) =
    ("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of plimsoll.\n");

/// What reading an entry came to.
pub(super) enum Read {
    /// Its bytes, to be verified.
    Bytes(Vec<u8>),
    Absent,
    /// It is there, and can't be what was written.
    Damaged,
}

/// The folder without links, checked; `None` where there is none yet. Inside of one of `judged` there must be none.
pub(super) fn find(root: &Path, judged: &[PathBuf]) -> Result<Option<PathBuf>, String> {
    let near = root.ancestors().find_map(|folder| folder.canonicalize().ok());
    // By its name too: a link on the way could be the change's own.
    let places = [Some(root), near.as_deref()];
    if places.into_iter().flatten().any(|place| judged.iter().any(|judged| place.starts_with(judged))) {
        return Err("it lies in the work tree or folder that is judged, where a change could write to it".to_owned());
    }
    let root = match root.canonicalize() {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.kind().to_string()),
    };
    let seen = fs::symlink_metadata(&root).map_err(|error| error.kind().to_string())?;
    check(&seen)?;
    let tag = root.join(TAG.0);
    if !is_marked(&tag) {
        let mut entries = fs::read_dir(&root).map_err(|error| error.kind().to_string())?;
        let unfinished = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(UNFINISHED);
        // Another process may be about to mark it.
        let foreign = entries.any(|entry| entry.is_ok_and(|entry| !unfinished(&entry.file_name())));
        if foreign && !is_marked(&tag) {
            return Err("it holds something else than a cache; name an empty folder or a new one".to_owned());
        }
    }
    for name in FOLDERS {
        match fs::symlink_metadata(root.join(name)) {
            Ok(seen) => check(&seen).map_err(|why| format!("{name}: {why}"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{name}: {}", error.kind())),
        }
    }
    Ok(Some(root))
}

/// The folder, made where it is missing.
pub(super) fn make(root: &Path, judged: &[PathBuf]) -> Result<PathBuf, String> {
    let wrong = |error: io::Error| error.kind().to_string();
    if find(root, judged)?.is_none() {
        blobs::make_folder(root, Reach::Private).map_err(wrong)?;
    }
    let root = find(root, judged)?.ok_or("it went away")?;
    if !is_marked(&root.join(TAG.0)) {
        private(&root).map_err(wrong)?;
        // First of all, so that no other process takes the folder for somebody else's.
        blobs::write_whole(&root.join(TAG.0), TAG.1.as_bytes(), Reach::Private, false).map_err(wrong)?;
    }
    if fs::symlink_metadata(root.join(MARKER.0)).is_err() {
        blobs::write_whole(&root.join(MARKER.0), MARKER.1.as_bytes(), Reach::Private, false).map_err(wrong)?;
    }
    for name in FOLDERS {
        blobs::make_folder(&root.join(name), Reach::Private).map_err(wrong)?;
    }
    Ok(root)
}

/// A regular file of this user's own, at most `limit` bytes long.
pub(super) fn read(path: &Path, limit: usize) -> Read {
    let seen = match fs::symlink_metadata(path) {
        Ok(seen) => seen,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Read::Absent,
        Err(_) => return Read::Damaged,
    };
    if !seen.is_file() || !is_own(&seen) || is_linked(&seen) || seen.len() > limit as u64 {
        return Read::Damaged;
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        (&file).take(limit as u64 + 1).read_to_end(&mut bytes)?;
        touch(&file, &seen);
        Ok(())
    });
    match read {
        Ok(()) => Read::Bytes(bytes),
        // Another process took it away in between.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Read::Absent,
        Err(_) => Read::Damaged,
    }
}

/// Takes an entry away, whatever stands in its place.
pub(super) fn remove(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|seen| seen.is_dir()) {
        let _ = fs::remove_dir_all(path);
    } else {
        let _ = fs::remove_file(path);
    }
}

/// Notes that a file was used, so that it is among the last to go; where that fails it goes sooner.
pub(super) fn touch(file: &File, seen: &Metadata) {
    let now = SystemTime::now();
    let age = seen.modified().ok().and_then(|used| now.duration_since(used).ok());
    if age.is_none_or(|age| age >= limits::CACHE_TOUCH) {
        let _ = file.set_modified(now);
    }
}

fn is_marked(tag: &Path) -> bool {
    matches!(read(tag, TAG.1.len()), Read::Bytes(bytes) if bytes == TAG.1.as_bytes())
}

/// Refuses what is no folder, or what somebody else could write into.
fn check(seen: &Metadata) -> Result<(), String> {
    if !seen.is_dir() {
        return Err("it is not a folder".to_owned());
    }
    if !is_own(seen) {
        return Err("another user owns it or may write there".to_owned());
    }
    Ok(())
}

/// Whether it belongs to this user, and nobody else may write there.
#[cfg(unix)]
fn is_own(seen: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    seen.uid() == rustix::process::geteuid().as_raw() && seen.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    true
}

/// Whether the file has another name somewhere, by which it may be written.
#[cfg(unix)]
fn is_linked(seen: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    seen.nlink() != 1
}

#[cfg(not(unix))]
fn is_linked(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private(_: &Path) -> io::Result<()> {
    Ok(())
}
