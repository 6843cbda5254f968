//! The bound of the cache in bytes: what was used longest ago goes first, many at a time.
//! Several processes may do this at once; a file that is gone already is no matter.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::{self, FOLDERS, Read};
use crate::limits;
use crate::registry::blobs::{self, Reach, UNFINISHED};

/// Bytes written since the last sweep, a line for each part of a run: what the cache holds, without looking at it.
const TALLY: &str = "tally";

/// Notes that `written` more bytes are there, and sweeps where that may be more than `limit`.
pub(super) fn tally(root: &Path, written: u64, limit: u64) -> io::Result<()> {
    let path = root.join(TALLY);
    let Some((held, lines)) = tallied(&path) else {
        folder::remove(&path);
        return sweep(root, limit);
    };
    if lines >= limits::CACHE_TALLIES || held.saturating_add(written) > limit {
        return sweep(root, limit);
    }
    let mut file = OpenOptions::new().append(true).open(&path)?;
    file.write_all(format!("{written}\n").as_bytes())
}

/// The sum and the number of the lines; `None` where there is no telling.
fn tallied(path: &Path) -> Option<(u64, usize)> {
    let Read::Bytes(bytes) = folder::read(path, limits::CACHE_TALLIES * 64) else { return None };
    let text = String::from_utf8(bytes).ok()?;
    text.lines().try_fold((0_u64, 0), |(sum, lines), line| Some((sum.checked_add(line.parse().ok()?)?, lines + 1)))
}

/// One file of the cache.
struct Entry {
    used: SystemTime,
    size: u64,
    path: PathBuf,
}

/// Looks at every file; past `limit`, the oldest go until a fifth of it is free.
pub(super) fn sweep(root: &Path, limit: u64) -> io::Result<()> {
    let mut entries = Vec::new();
    for name in FOLDERS {
        let Ok(listed) = fs::read_dir(root.join(name)) else { continue };
        entries.extend(listed.filter_map(|entry| look(&entry.ok()?.path())));
    }
    let mut held: u64 = entries.iter().map(|entry| entry.size).sum();
    if held > limit {
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let low = limit / 5 * 4;
        for entry in entries {
            if held <= low {
                break;
            }
            folder::remove(&entry.path);
            held = held.saturating_sub(entry.size);
        }
    }
    blobs::write_whole(&root.join(TALLY), format!("{held}\n").as_bytes(), Reach::Private, false)
}

/// A file and its age; what a killed process left unfinished is taken away once nobody can be writing it any more.
fn look(path: &Path) -> Option<Entry> {
    let seen = fs::symlink_metadata(path).ok()?;
    if seen.is_dir() {
        return None;
    }
    let used = seen.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED));
    if unfinished {
        if used.elapsed().is_ok_and(|age| age > limits::CACHE_UNFINISHED) {
            folder::remove(path);
        }
        return None;
    }
    Some(Entry { used, size: on_disk(seen.len()), path: path.to_owned() })
}

/// What a file takes on the disk: whole blocks, so that many small ones are counted for what they cost.
pub(super) fn on_disk(bytes: u64) -> u64 {
    bytes.div_ceil(limits::CACHE_BLOCK).max(1) * limits::CACHE_BLOCK
}

/// Notes that an entry that is there already was used again.
pub(super) fn used(path: &Path) {
    if let (Ok(seen), Ok(file)) = (fs::symlink_metadata(path), File::open(path)) {
        folder::touch(&file, &seen);
    }
}
