//! Files that other files name: a Dockerfile that compose builds, a file that a pipeline includes.
//! A name that leads to no file is unread at its place, never passed over; each real file is read once for each format.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use plimsoll::limits;
use plimsoll::source::beside::{Astray, Followed, Surroundings};
use plimsoll::source::walk::{self, Discovered, File, Ignored, WalkError};
use plimsoll::source::wildcard::Wildcard;
use plimsoll::source::{Format, Pointer, Unread, table};

/// What is known of the names that files of a run hold.
pub(crate) struct Trail<'a> {
    discovered: &'a Discovered,
    ignore: &'a [Ignored],
    current: &'a Path,
    /// Names that nobody has followed yet.
    pending: Vec<Pending>,
    /// Every name so far: by the file that holds it, its path, whether it is a glob, the format and the place.
    noted: HashSet<(PathBuf, Pointer)>,
    /// What was read because it is named, and as what.
    read: HashMap<PathBuf, (File, Vec<&'static dyn Format>)>,
    wildcards: HashSet<(PathBuf, Wildcard)>,
    ignored: HashSet<PathBuf>,
    unread: Vec<(String, Unread)>,
}

/// A name in a file.
struct Pending {
    shown: String,
    surroundings: Surroundings,
    pointer: Pointer,
}

/// A file to read, because others name it.
pub(crate) struct Named {
    pub(crate) file: File,
    /// What it is read as: all that it is by its name, and all that it was named as.
    pub(crate) formats: Vec<&'static dyn Format>,
    /// The repository of the first file that names it.
    pub(crate) within: PathBuf,
    /// Whether it was not read before.
    pub(crate) is_new: bool,
    by: Vec<(String, Pointer)>,
}

/// What is asked of one real file in one round.
struct Wanted {
    place: PathBuf,
    within: PathBuf,
    /// Indices of names, for each format.
    by: BTreeMap<&'static str, Vec<usize>>,
}

impl<'a> Trail<'a> {
    /// Nothing is named yet.
    pub(crate) fn new(discovered: &'a Discovered, ignore: &'a [Ignored], current: &'a Path) -> Self {
        Self {
            discovered,
            ignore,
            current,
            pending: Vec::new(),
            noted: HashSet::new(),
            read: HashMap::new(),
            wildcards: HashSet::new(),
            ignored: HashSet::new(),
            unread: Vec::new(),
        }
    }

    /// Notes the names that a file holds.
    pub(crate) fn note(&mut self, file: &File, surroundings: &Surroundings, pointers: Vec<Pointer>) {
        for pointer in pointers {
            if self.noted.insert((file.real(), pointer.clone())) {
                self.pending.push(Pending { shown: file.shown(), surroundings: surroundings.clone(), pointer });
            }
        }
    }

    /// Follows all names that were noted since: the files that are to be read, or read again as more than before.
    pub(crate) fn next(&mut self) -> Result<Vec<Named>, WalkError> {
        let pending = std::mem::take(&mut self.pending);
        let mut wanted = BTreeMap::new();
        let mut globs: BTreeMap<PathBuf, BTreeMap<Wildcard, Vec<usize>>> = BTreeMap::new();
        for (at, name) in pending.iter().enumerate() {
            if name.pointer.glob {
                match (name.surroundings.wildcard(&name.pointer.path), name.surroundings.root()) {
                    (Ok(wildcard), Some(root)) => {
                        globs.entry(root.to_owned()).or_default().entry(wildcard).or_default().push(at);
                    }
                    (Err(error), _) => self.lost(name, &error),
                    (Ok(_), None) => self.lost(name, &Astray::Stream),
                }
                continue;
            }
            match name.surroundings.follow(&name.pointer.path) {
                Ok(found) => want(&mut wanted, found, &pending, &[at], false),
                Err(error) => {
                    // what is made only later can be left out as well
                    let place = name.surroundings.written(&name.pointer.path);
                    match place.filter(|place| self.ignore.iter().any(|ignored| ignored.holds(place))) {
                        Some(place) => drop(self.ignored.insert(place)),
                        None => self.lost(name, &error),
                    }
                }
            }
        }
        for (root, wildcards) in globs {
            self.look(&root, wildcards, &pending, &mut wanted)?;
        }
        let known: HashMap<PathBuf, &File> = match wanted.is_empty() {
            true => HashMap::new(),
            false => {
                let files = self.discovered.files.iter().map(|file| (file.real(), file));
                files.filter(|(real, _)| wanted.contains_key(real)).collect()
            }
        };
        let mut files = Vec::new();
        for (real, wanted) in wanted {
            files.extend(self.name(&real, wanted, known.get(&real).copied(), &pending));
        }
        Ok(files)
    }

    /// Finds what fits the wildcards among all files of the tree.
    fn look(
        &mut self,
        root: &Path,
        wildcards: BTreeMap<Wildcard, Vec<usize>>,
        pending: &[Pending],
        wanted: &mut BTreeMap<PathBuf, Wanted>,
    ) -> Result<(), WalkError> {
        let mut open = Vec::new();
        for (wildcard, by) in wildcards {
            if self.wildcards.len() < limits::WILDCARDS || self.wildcards.contains(&(root.to_owned(), wildcard.clone()))
            {
                self.wildcards.insert((root.to_owned(), wildcard.clone()));
                open.push((wildcard, by, false));
            } else {
                let why = format!("this run names files by more than {} wildcards", limits::WILDCARDS);
                by.iter().for_each(|at| self.lost(&pending[*at], &why));
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let mut lost = Vec::new();
        let unseen = walk::every(root, &mut |path| {
            let relative = path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes();
            for (_, by, fits) in open.iter_mut().filter(|(wildcard, ..)| wildcard.fits(relative)) {
                match pending[by[0]].surroundings.at(path) {
                    Ok(found) => {
                        *fits = true;
                        want(wanted, found, pending, by, true);
                    }
                    // gone since it was listed, or a link to a folder
                    Err(Astray::Missing | Astray::NotRegular) => {}
                    Err(error) => {
                        *fits = true;
                        lost.push((by[0], format!("{} fits, and {error}", String::from_utf8_lossy(relative))));
                    }
                }
            }
        })?;
        for unseen in unseen {
            lost.push((open[0].1[0], format!("{}: {}", unseen.shown, unseen.reason)));
        }
        for (at, why) in lost {
            self.lost(&pending[at], &why);
        }
        for (_, by, _) in open.iter().filter(|(.., fits)| !fits) {
            by.iter().for_each(|at| self.lost(&pending[*at], &"no file of the repository fits it"));
        }
        Ok(())
    }

    /// The reading of one file that was named; `None` where it is read so already, or left out.
    fn name(&mut self, real: &Path, wanted: Wanted, known: Option<&File>, pending: &[Pending]) -> Option<Named> {
        let before = self.read.get(real).cloned().or_else(|| known.map(|file| (file.clone(), file.formats())));
        let is_new = before.is_none();
        let (file, mut formats) = match before {
            Some(before) => before,
            None if self.ignore.iter().any(|ignored| ignored.holds(&wanted.place)) => {
                let file = self.discovered.pointed(&wanted.place, real, &wanted.within, self.current);
                // one that was listed with the others is counted already
                if !(self.discovered.covers(&wanted.place) && table::claims(&file.shown())) {
                    self.ignored.insert(wanted.place);
                }
                return None;
            }
            None => {
                let file = self.discovered.pointed(&wanted.place, real, &wanted.within, self.current);
                let formats = file.formats();
                (file, formats)
            }
        };
        let mut by = Vec::new();
        let mut grew = is_new;
        for (id, names) in wanted.by {
            let names = names.into_iter().map(|at| &pending[at]);
            let Some(format) = table::by_id(id) else {
                names.for_each(|name| self.lost(name, &"this version knows no such format"));
                continue;
            };
            if formats.iter().all(|known| known.id() != id) {
                formats.push(format);
                grew = true;
            }
            by.extend(names.map(|name| (name.shown.clone(), name.pointer.clone())));
        }
        self.read.insert(real.to_owned(), (file.clone(), formats.clone()));
        grew.then_some(Named { file, formats, within: wanted.within, is_new, by })
    }

    /// A file that is named can't be read.
    pub(crate) fn unread(&mut self, named: &Named, reason: &str) {
        self.unread.extend(named.by.iter().map(|(shown, pointer)| astray(shown, pointer, &reason)));
    }

    fn lost(&mut self, name: &Pending, why: &dyn std::fmt::Display) {
        self.unread.push(astray(&name.shown, &name.pointer, why));
    }

    /// How many files that others name `ignore:` left out, beside those that were listed.
    pub(crate) fn ignored(&self) -> usize {
        self.ignored.len()
    }

    /// What could not be followed, by the file that names it.
    pub(crate) fn take_unread(&mut self) -> Vec<(String, Unread)> {
        std::mem::take(&mut self.unread)
    }
}

/// Adds names of a file; of many that one wildcard stands for, the first of each format tells enough.
fn want(wanted: &mut BTreeMap<PathBuf, Wanted>, found: Followed, pending: &[Pending], by: &[usize], glob: bool) {
    let Followed { place, real } = found;
    let root = pending[by[0]].surroundings.root().unwrap_or(&real).to_owned();
    let entry = wanted.entry(real).or_insert_with(|| Wanted { place, within: root, by: BTreeMap::new() });
    for at in by {
        let names = entry.by.entry(pending[*at].pointer.format).or_default();
        if !glob || names.is_empty() {
            names.push(*at);
        }
    }
}

/// A name that leads to no file that could be read.
pub(crate) fn astray(shown: &str, pointer: &Pointer, why: &dyn std::fmt::Display) -> (String, Unread) {
    let reason = format!("`{}`, which is named here as {}: {why}", pointer.path, pointer.format);
    (shown.to_owned(), Unread { place: pointer.place, reason, could_hold_reference: true })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use plimsoll::source::walk::Request;
    use plimsoll::span::Place;

    use super::*;

    fn pointer(path: &str, glob: bool) -> Pointer {
        Pointer { path: path.to_owned(), glob, format: "kubernetes", place: Place { line: 2, column: 3 } }
    }

    /// What `from` leads to by these names, in a folder with these files: shown paths, what is unread, what is ignored.
    fn follow(
        files: &[&str],
        from: &str,
        pointers: Vec<Pointer>,
        ignore: &[&str],
    ) -> (Vec<String>, Vec<String>, usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(folder.path()).expect("real").join("r");
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "x: 1").expect("written");
        }
        let ignore: Vec<String> = ignore.iter().map(|glob| (*glob).to_owned()).collect();
        let ignore = [Ignored::new(&root, &ignore).expect("globs")];
        let request = Request { paths: &[], current: &root, format: None, ignore: &ignore };
        let discovered = walk::discover(&request).expect("a list");
        let file = discovered.files.iter().find(|file| file.shown() == from).expect("the first file");
        let mut trail = Trail::new(&discovered, &ignore, &root);
        trail.note(file, &Surroundings::of(&file.real(), Some(&root)), pointers);
        let named = trail.next().expect("followed").iter().map(|named| named.file.shown()).collect();
        assert!(trail.next().expect("followed").is_empty(), "nothing new is named");
        let unread = trail.take_unread().into_iter().map(|(shown, unread)| {
            assert_eq!((shown.as_str(), unread.place.line, unread.could_hold_reference), (from, 2, true));
            unread.reason
        });
        (named, unread.collect(), trail.ignored() + discovered.ignored)
    }

    #[test]
    fn names_lead_to_files_of_the_tree_and_nowhere_else() {
        let files = ["a/x.yaml", "a/Dockerfile.txt", "b/one.txt", "b/c/two.txt", ".git2/three.txt"];
        let one = |path: &str, glob| follow(&files, "a/x.yaml", vec![pointer(path, glob)], &[]);
        let rows = [
            ("Dockerfile.txt", false, vec!["a/Dockerfile.txt"]),
            ("./../b/one.txt", false, vec!["b/one.txt"]),
            ("/b/c/two.txt", false, vec!["b/c/two.txt"]),
            // read as that already
            ("x.yaml", false, vec![]),
            ("../b/*.txt", true, vec!["b/one.txt"]),
            ("/b/**/*.txt", true, vec!["b/c/two.txt", "b/one.txt"]),
            ("/**.txt", true, vec![".git2/three.txt", "a/Dockerfile.txt", "b/c/two.txt", "b/one.txt"]),
        ];
        for (path, glob, expected) in rows {
            let (named, unread, _) = one(path, glob);
            assert_eq!((named, unread), (expected.iter().map(|path| (*path).to_owned()).collect(), vec![]), "{path}");
        }
        let rows = [
            ("gone.txt", false, "there is no such file"),
            ("", false, "it is not a regular file"),
            ("../b", false, "it is not a regular file"),
            ("../..", false, "it lies outside the repository, where nothing is read"),
            ("../../../../../../../etc/passwd", false, "it lies outside the repository, where nothing is read"),
            ("b\0", false, "there is no such file"),
            ("*.none", true, "no file of the repository fits it"),
            ("../../*", true, "it lies outside the repository, where nothing is read"),
        ];
        for (path, glob, why) in rows {
            let (named, unread, _) = one(path, glob);
            let reason = format!("`{path}`, which is named here as kubernetes: {why}");
            assert_eq!((named, unread), (vec![], vec![reason]), "{path}");
        }
    }

    #[test]
    fn what_is_ignored_is_counted_once_and_said_of_nobody() {
        let files = ["x.yaml", "out/a.yaml", "out/b.txt"];
        let pointers =
            || vec![pointer("out/a.yaml", false), pointer("out/b.txt", false), pointer("./out/b.txt", false)];
        assert_eq!(follow(&files, "x.yaml", pointers(), &["out/**"]), (vec![], vec![], 2));
        let pointers = vec![pointer("out/*", true), pointer("out/made-later", false)];
        assert_eq!(follow(&files, "x.yaml", pointers, &["out/**"]), (vec![], vec![], 3));
    }

    #[test]
    fn wildcards_have_a_limit() {
        let pointers = (0..=limits::WILDCARDS).map(|at| pointer(&format!("{at}*.txt"), true)).collect();
        let (_, unread, _) = follow(&["x.yaml"], "x.yaml", pointers, &[]);
        assert_eq!(unread.iter().filter(|reason| reason.ends_with("200 wildcards")).count(), 1, "{unread:?}");
    }
}
