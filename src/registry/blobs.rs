//! Content-addressed files in the shape of an OCI layout: `blobs/<algorithm>/<hex>` below a folder.
//! A file is there whole or not at all; what is read is for the reader to hash.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::digest::Digest;

/// The folder of all blobs.
pub(crate) const BLOBS: &str = "blobs";
/// The file that marks a layout, and what stands in it.
pub(crate) const MARKER: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
/// How the name of a file begins that is being written.
pub(crate) const UNFINISHED: &str = ".tmp-";

/// Who may read what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This user alone.
    Private,
    /// Whoever the machine's mask lets.
    Shared,
}

/// Where the blob of `digest` is, below `root`.
pub(crate) fn place(root: &Path, digest: &Digest) -> PathBuf {
    root.join(BLOBS).join(digest.algorithm().name()).join(digest.hex())
}

/// Makes `folder` and what leads to it, where they are missing.
pub(crate) fn make_folder(folder: &Path, reach: Reach) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    if reach == Reach::Private {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    #[cfg(not(unix))]
    let _ = reach;
    builder.create(folder)
}

/// Puts `bytes` at `path` by a file beside it and a rename; a reader sees all of them or none, a kill leaves the old.
/// `durable` also survives a power cut; without it a torn file may stand there, which who verifies will notice.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], reach: Reach, durable: bool) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    let shared = {
        use std::os::unix::fs::PermissionsExt as _;
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    if reach == Reach::Shared {
        builder.permissions(shared);
    }
    #[cfg(not(unix))]
    let _ = reach;
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    if durable {
        file.as_file().sync_all()?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)?;
    #[cfg(unix)]
    if durable {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_goes_where_a_layout_has_it() {
        let digest = Digest::sha256(b"");
        let expected = format!("x/blobs/sha256/{}", digest.hex());
        assert_eq!(place(Path::new("x"), &digest), Path::new(&expected));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_private_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("a/b");
        make_folder(&own, Reach::Private).expect("made");
        write_whole(&own.join("file"), b"x", Reach::Private, false).expect("written");
        assert_eq!((mode(&own), mode(&folder.path().join("a")), mode(&own.join("file"))), (0o700, 0o700, 0o600));
        write_whole(&own.join("file"), b"y", Reach::Shared, true).expect("written");
        assert_eq!(fs::read(own.join("file")).expect("read"), b"y");
        assert_ne!(mode(&own.join("file")) & 0o044, 0);
        assert_eq!(fs::read_dir(&own).expect("a folder").count(), 1);
    }
}
