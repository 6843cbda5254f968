//! Agreement with an independent reading of thousands of real manifests (PyYAML, see the oracle beside the expectations).
//! Runs where `PLIMSOLL_CORPUS` names the corpus folder; elsewhere each test says so and passes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use plimsoll::source::table;
use plimsoll::source::{Found, Subject};
use serde_json::Value;

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("PLIMSOLL_CORPUS").map(PathBuf::from);
    if root.is_none() {
        println!("PLIMSOLL_CORPUS is not set: nothing is compared");
    }
    root
}

fn expectations(root: &std::path::Path) -> serde_json::Map<String, Value> {
    let text = fs::read(root.join("expected/k8s-images.json")).expect("the expectations");
    let mut all: Value = serde_json::from_slice(&text).expect("JSON");
    match all["files"].take() {
        Value::Object(files) => files,
        _ => panic!("a map of files"),
    }
}

/// `/spec/containers/0/image` as `spec.containers[0].image`.
fn as_path(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")) {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            path += &format!("[{step}]");
        } else if step.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            path += if path.is_empty() { "" } else { "." };
            path += &step;
        } else {
            path += &format!("[{:?}]", step);
        }
    }
    path
}

#[test]
fn agrees_with_the_oracle() {
    let Some(root) = corpus() else { return };
    let kubernetes = table::by_id("kubernetes").expect("the format");
    let mut wrong = Vec::new();
    for (file, expected) in expectations(&root) {
        let bytes = fs::read(root.join(&file)).expect("the file");
        let found = kubernetes.find(&bytes);
        if !expected["error"].is_null() {
            continue;
        }
        wrong.extend(compare(&expected, &found).into_iter().map(|line| format!("{file}: {line}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

type Key = (usize, String, String);

fn compare(expected: &Value, found: &Found) -> Vec<String> {
    let mut images: BTreeMap<Key, Option<(usize, usize)>> = BTreeMap::new();
    let mut other: BTreeSet<Key> = BTreeSet::new();
    for (document, content) in expected["docs"].as_object().expect("documents") {
        let document: usize = document.parse().expect("a number");
        let key = |row: &Value| {
            let text = |name: &str| row[name].as_str().expect("a text").to_owned();
            (document, as_path(&text("pointer")), text("image"))
        };
        for row in content["images"].as_array().expect("a list") {
            let place = |name: &str| row[name].as_u64().and_then(|number| usize::try_from(number).ok());
            images.insert(key(row), place("line").zip(place("col")));
        }
        other.extend(content["other"].as_array().into_iter().flatten().map(key));
    }
    let mut lines = Vec::new();
    for unread in &found.unread {
        lines.push(format!("unread {unread:?}"));
    }
    let mut seen = BTreeSet::new();
    for occurrence in &found.occurrences {
        let key = (occurrence.document, occurrence.path.clone(), occurrence.text.clone());
        let place = (occurrence.place.line, occurrence.place.column);
        if let Some(theirs) = images.get(&key) {
            // theirs is where the node starts: its anchor, tag, quote or block header
            if let Some(theirs) = theirs
                && (place.0 < theirs.0 || place.0 == theirs.0 && place.1 < theirs.1)
            {
                lines.push(format!("{key:?} at {place:?}, not {theirs:?}"));
            }
        } else if !other.contains(&key) {
            lines.push(format!("extra {key:?} {:?}", occurrence.subject));
        }
        seen.insert(key);
    }
    lines.extend(images.keys().filter(|key| !seen.contains(*key)).map(|key| format!("missing {key:?}")));
    lines
}

#[test]
fn nothing_vanishes() {
    let Some(root) = corpus() else { return };
    let kubernetes = table::by_id("kubernetes").expect("the format");
    for (file, expected) in expectations(&root) {
        if expected["error"].is_null() {
            continue;
        }
        let found = kubernetes.find(&fs::read(root.join(&file)).expect("the file"));
        println!("{file}");
        for unread in &found.unread {
            println!("   {unread:?}");
        }
        for occurrence in &found.occurrences {
            let state = match occurrence.subject {
                Subject::Image(_) => "image",
                _ => "other",
            };
            println!("   {} {} {} {:?}", occurrence.path, occurrence.text, state, occurrence.uneditable);
        }
    }
}
