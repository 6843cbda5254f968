//! Each format against its fixtures: what is found where, and which bytes a pin may change.
//! The golden files were written by hand before the code; the code follows them, not the other way round.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::source::table;
use plimsoll::source::{Format, Found, Occurrence, Subject};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    line: usize,
    column: usize,
    document: usize,
    path: String,
    text: String,
    state: String,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn rows(found: &Found) -> Vec<Row> {
    let row = |occurrence: &Occurrence| Row {
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
        let found = kubernetes.find(&fs::read(&path).expect("the file"));
        let lines = difference(expected, &rows(&found));
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

fn check(format: &dyn Format, case: &Path) -> Vec<String> {
    let of = |stem: &str| sorted(case).into_iter().find(|path| path.file_stem().is_some_and(|found| found == stem));
    let input = fs::read(of("input").expect("an input")).expect("the input");
    let expected = of("found")
        .map_or_else(Vec::new, |path| serde_json::from_slice(&fs::read(path).expect("the rows")).expect("rows"));
    let found = format.find(&input);
    let mut lines = difference(&expected, &rows(&found));
    if let Some(pinned) = of("pinned").map(|path| fs::read(path).expect("the pinned file")) {
        lines.extend(pins_only_the_spans(&input, &pinned, &found));
    }
    lines
}

/// Bytes outside the spans of editable images are the same; inside, a tag and a digest may follow the text.
fn pins_only_the_spans(input: &[u8], pinned: &[u8], found: &Found) -> Option<String> {
    let editable = |occurrence: &&Occurrence| {
        matches!(occurrence.subject, Subject::Image(_)) && occurrence.uneditable.is_none() && found.unread.is_empty()
    };
    let mut spans: Vec<_> =
        found.occurrences.iter().filter(editable).filter_map(|occurrence| occurrence.span).collect();
    spans.sort();
    spans.dedup();
    let (mut before, mut after) = (0, 0);
    for span in spans {
        let kept = &input[before..span.end];
        if pinned.get(after..after + kept.len()) != Some(kept) {
            return Some(format!("bytes differ before offset {}", span.end));
        }
        (before, after) = (span.end, after + kept.len());
        let rest = &pinned[after..];
        let tag = if rest.starts_with(b":latest@") { ":latest".len() } else { 0 };
        let digest = b"@sha256:";
        if rest[tag..].starts_with(digest) && !input[before..].starts_with(digest) {
            after += tag + digest.len() + 64;
        }
    }
    (pinned[after..] != input[before..]).then(|| format!("bytes differ behind offset {before}"))
}
