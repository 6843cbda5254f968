//! Each format against its fixtures: what is found where, and which bytes a pin may change.
//! The golden files were written by hand before the code; the code follows them, not the other way round.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::digest::Digest;
use plimsoll::edit::{self, Edit};
use plimsoll::source::beside::Surroundings;
use plimsoll::source::{Format, Found, Input, Kinds, Occurrence, Role, Subject, table};
use serde::Deserialize;

/// What a label says of one reference; what it leaves out is not compared.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
struct Row {
    line: usize,
    column: usize,
    document: usize,
    path: String,
    text: String,
    state: String,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    editable: Option<bool>,
    #[serde(default)]
    parts: Option<Vec<(String, String)>>,
}

/// A label of a whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Label {
    found: Vec<Row>,
    unread: Vec<UnreadRow>,
    pointers: Vec<PointerRow>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct UnreadRow {
    line: usize,
    column: usize,
    could: bool,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct PointerRow {
    path: String,
    format: String,
    #[serde(default)]
    glob: bool,
}

/// The rows of the Kubernetes format's first labels are a bare list, which says nothing of what is unread.
fn label(bytes: &[u8]) -> (Label, bool) {
    match serde_json::from_slice::<Vec<Row>>(bytes) {
        Ok(found) => (Label { found, ..Label::default() }, false),
        Err(_) => (serde_json::from_slice(bytes).expect("a label"), true),
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn rows(found: &Found, bytes: &[u8]) -> Vec<Row> {
    let role = |role: Role| serde_json::to_value(role).expect("a word").as_str().expect("a word").to_owned();
    let part = |part: &plimsoll::source::Part| {
        (part.field.to_string(), String::from_utf8_lossy(part.span.of(bytes).unwrap_or(b"outside")).into_owned())
    };
    let row = |occurrence: &Occurrence| Row {
        role: Some(role(occurrence.role)),
        editable: Some(occurrence.seat().is_some()),
        parts: occurrence.parts.as_ref().map(|parts| parts.iter().map(part).collect()),
        line: occurrence.place.line,
        column: occurrence.place.column,
        document: occurrence.document,
        path: occurrence.path.clone(),
        text: occurrence.text.clone(),
        state: match occurrence.subject {
            Subject::Image(_) => "image",
            Subject::Unresolvable { .. } => "undecided",
            Subject::NotAnImage { .. } => "skipped",
        }
        .to_owned(),
    };
    found.occurrences.iter().map(row).collect()
}

/// What differs, as text; empty where nothing does.
fn difference(expected: &[Row], found: &[Row]) -> Vec<String> {
    let (mut expected, mut found) = (expected.to_vec(), found.to_vec());
    // what a label leaves out is as it was found, or as it is where nothing is said: an image that may be edited
    for row in &mut expected {
        let same = |other: &&Row| {
            (other.line, other.column, &other.path, &other.text) == (row.line, row.column, &row.path, &row.text)
        };
        let other = found.iter().find(same);
        row.role = row.role.take().or_else(|| other.and_then(|other| other.role.clone()));
        row.parts = row.parts.take().or_else(|| other.and_then(|other| other.parts.clone()));
        row.editable = row.editable.or_else(|| other.and_then(|other| other.editable));
    }
    expected.sort();
    found.sort();
    let missing = expected.iter().filter(|row| !found.contains(row)).map(|row| format!("missing {row:?}"));
    let extra = found.iter().filter(|row| !expected.contains(row)).map(|row| format!("extra   {row:?}"));
    let mut lines: Vec<String> = missing.chain(extra).collect();
    if lines.is_empty() && expected.len() != found.len() {
        lines.push(format!("{} rows expected, {} found", expected.len(), found.len()));
    }
    lines
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn labelled_manifests() {
    let kubernetes = table::by_id("kubernetes").expect("the format");
    let folder = fixtures().join("kubernetes");
    let labels: std::collections::BTreeMap<String, Vec<Row>> =
        serde_json::from_slice(&fs::read(folder.join("labelled.json")).expect("the labels")).expect("rows");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in sorted(&folder.join("labelled")) {
        let expected = labels.get(&name(&path)).unwrap_or_else(|| panic!("{} has no label", path.display()));
        let bytes = fs::read(&path).expect("the file");
        let found = kubernetes.find(&Input::alone("labelled.yaml", &bytes));
        let lines = difference(expected, &rows(&found, &bytes));
        wrong.extend(lines.into_iter().map(|line| format!("{}: {line}", name(&path))));
        seen += 1;
    }
    assert_eq!(seen, labels.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn cases_of_every_format() {
    let mut wrong = Vec::new();
    for folder in sorted(&fixtures().join("formats")).iter().filter(|folder| folder.is_dir()) {
        let Some(format) = table::by_id(&name(folder)) else {
            wrong.push(format!("{} is no format", folder.display()));
            continue;
        };
        for case in sorted(folder) {
            wrong.extend(check(format, &case).into_iter().map(|line| format!("{}: {line}", name(&case))));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn check(format: &'static dyn Format, case: &Path) -> Vec<String> {
    let of = |stem: &str| {
        let is = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().split('.').next() == Some(stem))
        };
        sorted(case).into_iter().find(is)
    };
    let place = of("input").expect("an input");
    let input = fs::read(&place).expect("the input");
    let expected = fs::read(case.join("found.json")).unwrap_or_else(|_| b"[]".to_vec());
    let (expected, whole) = label(&expected);
    let path = fs::read_to_string(case.join("path")).map_or_else(|_| name(&place), |path| path.trim().to_owned());
    let around = fs::canonicalize(case).expect("a folder").join("beside");
    let beside = if around.is_dir() { Surroundings::of(&around.join("input"), None) } else { Surroundings::none() };
    let kinds = Kinds::none();
    let read = |bytes: &[u8]| table::read(&[format], &Input { path: &path, bytes, beside: &beside, kinds: &kinds });
    let found = read(&input);
    let mut lines = difference(&expected.found, &rows(&found, &input));
    if whole {
        let unread: Vec<UnreadRow> = found
            .unread
            .iter()
            .map(|row| UnreadRow { line: row.place.line, column: row.place.column, could: row.could_hold_reference })
            .collect();
        if unread != expected.unread {
            lines.push(format!("unread {:?} expected, {:?} found", expected.unread, found.unread));
        }
        let row = |row: &plimsoll::source::Pointer| PointerRow {
            path: row.path.clone(),
            format: row.format.to_owned(),
            glob: row.glob,
        };
        let pointers: Vec<PointerRow> = found.pointers.iter().map(row).collect();
        if pointers != expected.pointers {
            lines.push(format!("pointers {:?} expected, {pointers:?} found", expected.pointers));
        }
    }
    if let Some(pinned) = of("pinned").map(|path| fs::read(path).expect("the pinned file")) {
        lines.extend(pins(&read, &input, &pinned, &found));
    }
    lines
}

/// Every editable image pinned to the digest of the fixtures gives the bytes of the fixture; a second time gives them again.
fn pins(read: &dyn Fn(&[u8]) -> Found, input: &[u8], pinned: &[u8], found: &Found) -> Option<String> {
    let ones: Digest = Digest::parse(&format!("sha256:{}", "1".repeat(64))).expect("a digest");
    let edits = |found: &Found| -> Vec<Edit> {
        let is_unpinned = |occurrence: &&Occurrence| matches!(&occurrence.subject, Subject::Image(reference) if reference.digest().is_none());
        let unread = !found.unread.is_empty();
        let edits = found.occurrences.iter().filter(is_unpinned).filter_map(|occurrence| edit::pin(occurrence, &ones));
        if unread { Vec::new() } else { edits.collect() }
    };
    let after = match edit::apply(read, input, &edits(found)) {
        Ok(after) => after,
        Err(error) => return Some(format!("pin: {error}")),
    };
    if after != pinned {
        let at = after.iter().zip(pinned).take_while(|(a, b)| a == b).count();
        let near = |bytes: &[u8]| {
            String::from_utf8_lossy(&bytes[at.saturating_sub(60)..(at + 90).min(bytes.len())]).into_owned()
        };
        return Some(format!("pinned differs at byte {at}:\n  wanted {:?}\n  found  {:?}", near(pinned), near(&after)));
    }
    let again = edits(&read(&after));
    (!again.is_empty()).then(|| format!("a second pin makes {again:?}"))
}
