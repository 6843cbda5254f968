//! Writes an OCI image layout that `layout.rs` reads: blobs first, and last the index that names them.
//! It touches no folder that is neither empty nor a layout, and what it finds there under other names stays.
//!
//! Source: OCI image-spec 1.1, image-layout.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use oci_distribution::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::limits;
use crate::reference::Reference;
use crate::registry::blobs::{self, BLOBS, MARKER, Reach, UNFINISHED};
use crate::registry::layout::{CONTAINERD_NAME, REF_NAME};

const INDEX: &str = "index.json";

/// A layout that is being written; until [`LayoutWriter::finish`] a reader sees the old one, or none.
#[derive(Debug)]
pub struct LayoutWriter {
    root: PathBuf,
    /// `index.json` as it was found.
    index: Value,
}

/// What a name in `index.json` leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type of the manifest.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a folder can't be written as a layout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutWriterError {
    /// The folder holds something else.
    #[error("{} {what}; name a new folder, an empty one or an OCI image layout", .path.display())]
    NotALayout {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The index would be too long to be read again.
    #[error("{} would be longer than {} bytes; vendor into several folders", .path.display(), limits::LAYOUT_INDEX_BYTES)]
    TooLong {
        /// The index.
        path: PathBuf,
    },
    /// The disk.
    #[error("{} can't be written", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
}

impl LayoutWriter {
    /// Makes the folder `root`, or takes the layout that is there for one to add to.
    pub fn open(root: &Path) -> Result<Self, LayoutWriterError> {
        let disk = |source| LayoutWriterError::Disk { path: root.to_owned(), source };
        let other = |what: &str| LayoutWriterError::NotALayout { path: root.to_owned(), what: what.to_owned() };
        if root.is_file() {
            return Err(other("is a file"));
        }
        blobs::make_folder(root, Reach::Shared).map_err(disk)?;
        let marker = root.join(MARKER.0);
        let is_layout = read(&marker).ok().and_then(Result::ok).is_some_and(|bytes| {
            let marker: Option<Value> = serde_json::from_slice(&bytes).ok();
            marker
                .is_some_and(|marker| marker["imageLayoutVersion"].as_str().is_some_and(|text| text.starts_with("1.")))
        });
        if !is_layout {
            let mut entries = fs::read_dir(root).map_err(disk)?.map(|entry| entry.map(|entry| entry.file_name()));
            // A run that was killed may have left a file that it had not finished.
            let is_foreign = |name: &std::ffi::OsString| !name.to_string_lossy().starts_with(UNFINISHED);
            if entries.any(|name| name.is_ok_and(|name| is_foreign(&name))) {
                return Err(other("holds something else than an OCI image layout"));
            }
        }
        let index = match read(&root.join(INDEX)) {
            Ok(Err(what)) => return Err(other(&format!("has an index.json that is {what}"))),
            Ok(Ok(bytes)) => serde_json::from_slice(&bytes).map_err(|_| other("has an index.json that is none"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                json!({"schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": []})
            }
            Err(error) => return Err(disk(error)),
        };
        if !index["manifests"].is_array() {
            return Err(other("has an index.json without manifests"));
        }
        for folder in
            [BLOBS.to_owned(), format!("{BLOBS}/sha256"), format!("{BLOBS}/sha384"), format!("{BLOBS}/sha512")]
        {
            if fs::symlink_metadata(root.join(&folder)).is_ok_and(|seen| !seen.is_dir()) {
                return Err(other(&format!("has a {folder} that is no folder of its own")));
            }
        }
        if !is_layout {
            let whole = blobs::write_whole(&marker, MARKER.1.as_bytes(), Reach::Shared, false);
            whole.map_err(|source| LayoutWriterError::Disk { path: marker, source })?;
        }
        Ok(Self { root: root.to_owned(), index })
    }

    /// Writes the blob of `digest`, which `bytes` hash to; whether it was new.
    pub fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, LayoutWriterError> {
        let path = blobs::place(&self.root, digest);
        if fs::symlink_metadata(&path).is_ok_and(|seen| seen.is_file() && seen.len() == bytes.len() as u64)
            && fs::read(&path).is_ok_and(|found| found == bytes)
        {
            return Ok(false);
        }
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        let written = blobs::make_folder(&folder, Reach::Shared)
            .and_then(|()| blobs::write_whole(&path, bytes, Reach::Shared, false));
        written.map(|()| true).map_err(|source| LayoutWriterError::Disk { path, source })
    }

    /// Writes the index: `names`, each leading to its descriptor, in their order behind what stands there under other
    /// names. What stands there under one of `gone` is taken out.
    pub fn finish(
        mut self,
        names: &BTreeMap<String, Descriptor>,
        gone: &BTreeSet<String>,
    ) -> Result<(), LayoutWriterError> {
        let old = self.index["manifests"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let stays = |row: &Value| name(row).is_none_or(|name| !names.contains_key(&name) && !gone.contains(&name));
        let (mut whole, mut all): (Vec<Value>, Vec<Value>) =
            old.into_iter().filter(stays).partition(|row| name(row).is_some());
        whole.extend(names.iter().map(|(name, descriptor)| {
            let Descriptor { media_type, digest, size } = descriptor;
            json!({"mediaType": media_type, "digest": digest, "size": size, "annotations": {REF_NAME: name}})
        }));
        // Whatever the order in which they came, the same names give the same bytes.
        whole.sort_by_cached_key(name);
        all.extend(whole);
        self.index["manifests"] = all.into();
        let path = self.root.join(INDEX);
        let text = format!("{:#}\n", self.index);
        if text.len() > limits::LAYOUT_INDEX_BYTES {
            return Err(LayoutWriterError::TooLong { path });
        }
        let written = blobs::write_whole(&path, text.as_bytes(), Reach::Shared, true);
        written.map_err(|source| LayoutWriterError::Disk { path, source })
    }
}

/// A regular file of the layout, or what is wrong with it: a link may lead anywhere, and a device has no end.
fn read(path: &Path) -> io::Result<Result<Vec<u8>, String>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(Err("no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limits::LAYOUT_INDEX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limits::LAYOUT_INDEX_BYTES {
        return Ok(Err(format!("longer than {} bytes", limits::LAYOUT_INDEX_BYTES)));
    }
    Ok(Ok(bytes))
}

/// The whole name of a descriptor, normalised, as a reader of layouts takes it.
fn name(row: &Value) -> Option<String> {
    let annotation = |key| row["annotations"][key].as_str();
    let reference = Reference::parse(annotation(CONTAINERD_NAME).or_else(|| annotation(REF_NAME))?).ok()?;
    let repository = reference.repository();
    Some(match (reference.tag(), reference.digest()) {
        (Some(tag), _) => format!("{repository}:{tag}"),
        (None, Some(digest)) => format!("{repository}@{digest}"),
        (None, None) => repository.to_string(),
    })
}
