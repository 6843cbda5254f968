//! Replaces files: all prepared beside their targets first, then renamed one after the other, undone on an error.
//! It refuses what is not what was read: a changed file, a read-only one, a link out of the tree.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

/// One file to replace.
#[derive(Debug)]
pub(crate) struct Replacement {
    /// The file itself, links resolved.
    pub(crate) path: PathBuf,
    /// As it is shown.
    pub(crate) shown: String,
    /// What it must still hold.
    pub(crate) old: Vec<u8>,
    /// What it will hold.
    pub(crate) new: Vec<u8>,
}

/// Why nothing was replaced, or what had been was put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplaceError {
    #[error("{0} changed while the run went on; nothing was written, run again")]
    Changed(String),
    #[error("{0} is read-only; nothing was written")]
    ReadOnly(String),
    #[error("{0} is not a regular file; nothing was written")]
    NotAFile(String),
    #[error("{shown} can't be written: {error}; {undone}")]
    Io { shown: String, error: io::Error, undone: String },
}

/// Replaces all or none; after a kill every file is whole, old or new.
pub(crate) fn replace(replacements: &[Replacement]) -> Result<(), ReplaceError> {
    let mut prepared = Vec::with_capacity(replacements.len());
    for replacement in replacements {
        let failed = |error| io_error(replacement, error, "nothing was written");
        let metadata = fs::symlink_metadata(&replacement.path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(ReplaceError::NotAFile(replacement.shown.clone()));
        }
        if metadata.permissions().readonly() {
            return Err(ReplaceError::ReadOnly(replacement.shown.clone()));
        }
        prepared.push(prepare(&replacement.path, &replacement.new).map_err(failed)?);
    }
    // The last look before the first rename: what was judged must be what is replaced.
    for replacement in replacements {
        let now = fs::read(&replacement.path).map_err(|error| io_error(replacement, error, "nothing was written"))?;
        if now != replacement.old {
            return Err(ReplaceError::Changed(replacement.shown.clone()));
        }
    }
    for (at, (file, replacement)) in prepared.into_iter().zip(replacements).enumerate() {
        if let Err(error) = commit(file, &replacement.path) {
            return Err(io_error(replacement, error, &undo(&replacements[..at])));
        }
    }
    Ok(())
}

/// Writes the new text beside the file, with its mode and owner, synced and closed: a run over thousands of files must
/// not hold thousands of descriptors. It is gone again when it is dropped.
fn prepare(path: &Path, bytes: &[u8]) -> io::Result<TempPath> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let metadata = fs::metadata(path)?;
    let mut file = tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".tmp").tempfile_in(folder(path))?;
    file.write_all(bytes)?;
    keep_owner(file.as_file(), &metadata)?;
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    Ok(file.into_temp_path())
}

/// Renames over the file, and syncs the folder that holds both.
fn commit(prepared: TempPath, path: &Path) -> io::Result<()> {
    prepared.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    fs::File::open(folder(path))?.sync_all()?;
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The owner and group stay, as far as this user may say so: root keeps another user's file theirs.
#[cfg(unix)]
fn keep_owner(file: &fs::File, metadata: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (metadata.uid(), metadata.gid()) {
        return Ok(());
    }
    match std::os::unix::fs::fchown(file, Some(metadata.uid()), Some(metadata.gid())) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// Puts back what had been renamed, and says what became of it.
fn undo(renamed: &[Replacement]) -> String {
    let kept: Vec<&str> = renamed
        .iter()
        .filter(|replacement| {
            let prepared = prepare(&replacement.path, &replacement.old);
            prepared.and_then(|prepared| commit(prepared, &replacement.path)).is_err()
        })
        .map(|replacement| replacement.shown.as_str())
        .collect();
    if kept.is_empty() {
        "every file is as it was".to_owned()
    } else {
        format!("these files hold the new text and could not be put back: {}", kept.join(", "))
    }
}

fn io_error(replacement: &Replacement, error: io::Error, undone: &str) -> ReplaceError {
    ReplaceError::Io { shown: replacement.shown.clone(), error, undone: undone.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacement(path: &Path, old: &str, new: &str) -> Replacement {
        Replacement {
            path: path.to_owned(),
            shown: path.display().to_string(),
            old: old.as_bytes().to_vec(),
            new: new.as_bytes().to_vec(),
        }
    }

    #[test]
    fn one_changed_file_stops_them_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "old").expect("written");
        fs::write(&b, "changed").expect("written");
        let result = replace(&[replacement(&a, "old", "new"), replacement(&b, "old", "new")]);
        assert!(matches!(result, Err(ReplaceError::Changed(_))));
        assert_eq!(fs::read_to_string(&a).expect("read"), "old");
        assert_eq!(fs::read_to_string(&b).expect("read"), "changed");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 2, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_stays_and_read_only_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a");
        fs::write(&file, "old").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        replace(&[replacement(&file, "old", "new")]).expect("replaced");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&file).expect("read"), "new");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).expect("set");
        let result = replace(&[replacement(&file, "new", "newer")]);
        assert!(matches!(result, Err(ReplaceError::ReadOnly(_))));
    }

    #[test]
    fn a_failed_rename_puts_back_what_was_renamed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "new").expect("written");
        fs::write(&b, "new").expect("written");
        let renamed = [replacement(&a, "old a", "new"), replacement(&b, "old b", "new")];
        assert_eq!(undo(&renamed), "every file is as it was");
        assert_eq!(fs::read_to_string(&a).expect("read"), "old a");
        assert_eq!(fs::read_to_string(&b).expect("read"), "old b");
    }
}
