//! Agreement with an independent reading of thousands of real manifests (`PyYAML`; see the oracle beside the expectations).
//! Runs where `PLIMSOLL_CORPUS` names the corpus folder; elsewhere each test says so and passes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use plimsoll::source::table;
use plimsoll::source::{Found, Input, Subject};
use plimsoll::span::{LineIndex, Place};
use serde_json::Value;

#[expect(clippy::print_stderr, reason = "a test that compares nothing must say so")]
fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("PLIMSOLL_CORPUS").map(PathBuf::from);
    if root.is_none() {
        eprintln!("PLIMSOLL_CORPUS is not set: nothing is compared");
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
            write!(path, "[{step}]").expect("a string takes it");
        } else if step.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            path += if path.is_empty() { "" } else { "." };
            path += &step;
        } else {
            write!(path, "[{step:?}]").expect("a string takes it");
        }
    }
    path
}

/// Files where the expectations, or the reader they come from, are not what this tool promises.
const OTHERWISE: [(&str, &str); 6] = [
    ("testdata/utf-16/utf-16.yaml", "UTF-16 is refused by name: the file is unread and undecided"),
    ("yaml/synthetic/utf16be-crlf.yaml", "UTF-16 is refused by name: the file is unread and undecided"),
    ("yaml/synthetic/utf16le.yaml", "UTF-16 is refused by name: the file is unread and undecided"),
    (
        "db.atlasgo.io/AtlasSchema/testdata/healthy.yaml",
        "a quoted scalar goes on at its key's own indentation, which YAML 1.2 forbids and PyYAML lets pass: unread",
    ),
    ("yaml/synthetic/duplicate-keys.yaml", "both values of a duplicate key are reported, not the last alone"),
    ("yaml/synthetic/non-string-images.yaml", "where nothing is written after `image:`, the place is behind the colon"),
];

/// Places that the oracle's list of other keys (`image`, `*Image`) does not know.
const OTHER_KEYS: [(&str, &str); 2] =
    [("spec.package", "a Crossplane package is an OCI image"), ("spec.imageName", "CloudNativePG names its image so")];

#[test]
fn agrees_with_the_oracle() {
    let Some(root) = corpus() else { return };
    let kubernetes = table::by_id("kubernetes").expect("the format");
    let mut wrong = Vec::new();
    let mut images = 0;
    for (file, expected) in expectations(&root) {
        let bytes = fs::read(root.join(&file)).expect("the file");
        let found = kubernetes.find(&Input::alone("x.yaml", &bytes));
        spans_hold_their_text(&file, &bytes, &found);
        if !expected["error"].is_null() {
            continue;
        }
        let differences = compare(&bytes, &expected, &found);
        if OTHERWISE.iter().any(|(name, _)| file.ends_with(name)) {
            assert!(!differences.is_empty(), "{file} agrees: take it off the table");
            continue;
        }
        images += found.occurrences.len();
        wrong.extend(differences.into_iter().map(|line| format!("{file}: {line}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(images > 2_000, "only {images} images");
}

/// What may be edited stands under its span, byte for byte.
fn spans_hold_their_text(file: &str, bytes: &[u8], found: &Found) {
    for occurrence in found.occurrences.iter().filter(|occurrence| occurrence.uneditable.is_none()) {
        let span = occurrence.span.expect("one place");
        assert_eq!(span.of(bytes), Some(occurrence.text.as_bytes()), "{file} {}", occurrence.path);
    }
}

type Key = (usize, String, String);

fn compare(bytes: &[u8], expected: &Value, found: &Found) -> Vec<String> {
    let mut images: BTreeMap<Key, Option<Place>> = BTreeMap::new();
    let mut other: BTreeSet<Key> = BTreeSet::new();
    for (document, content) in expected["docs"].as_object().expect("documents") {
        let document: usize = document.parse().expect("a number");
        let key = |row: &Value| {
            let text = |name: &str| row[name].as_str().expect("a text").to_owned();
            (document, as_path(&text("pointer")), text("image"))
        };
        for row in content["images"].as_array().expect("a list") {
            let number = |name: &str| row[name].as_u64().and_then(|number| usize::try_from(number).ok());
            let place = number("line").zip(number("col")).map(|(line, column)| Place { line, column });
            images.insert(key(row), place);
        }
        other.extend(content["other"].as_array().into_iter().flatten().map(key));
    }
    let mut lines: Vec<String> = found.unread.iter().map(|unread| format!("{unread:?}")).collect();
    let mut seen = BTreeSet::new();
    for occurrence in &found.occurrences {
        let key = (occurrence.document, occurrence.path.clone(), occurrence.text.clone());
        let known = OTHER_KEYS.iter().any(|(path, _)| occurrence.path == *path);
        // a map in an image's place (`{{ x }}` without quotes is one to PyYAML) is not in the oracle's list
        let scalar = matches!(occurrence.subject, Subject::Image(_))
            || !occurrence.text.is_empty() && !occurrence.text.starts_with("{{");
        match images.get(&key) {
            Some(Some(theirs)) if !agree(bytes, *theirs, occurrence.place) => {
                lines.push(format!("{key:?} at {:?}, not {theirs:?}", occurrence.place));
            }
            None if scalar && !known && !other.contains(&key) => lines.push(format!("extra {key:?}")),
            _ => {}
        }
        seen.insert(key);
    }
    lines.extend(images.keys().filter(|key| !seen.contains(*key)).map(|key| format!("missing {key:?}")));
    lines
}

/// Theirs is where the node starts: at its anchor, tag, quote or block header.
fn agree(bytes: &[u8], theirs: Place, ours: Place) -> bool {
    let line = LineIndex::new(bytes).line(theirs.line);
    match String::from_utf8_lossy(line).trim_start_matches('\u{feff}').chars().nth(theirs.column - 1) {
        Some('"' | '\'') => ours == Place { column: theirs.column + 1, ..theirs },
        Some('|' | '>') => ours.line > theirs.line,
        Some('&' | '!') => ours > theirs,
        _ => ours == theirs,
    }
}

type ByHand = (&'static str, &'static [&'static str], usize);

/// Texts found and documents unread in the files that the oracle could not parse; by hand.
/// The skaffold charts have one shape each: their deployments and ingresses end in an `include` alone on its line.
const BY_HAND: [ByHand; 29] = [
    ("skaffold-helm/templates/configmap.yaml", &[], 0),
    ("subchart/templates/configmap.yaml", &[], 0),
    ("subchart/templates/deployment.yaml", &["{{ .Values.image }}"], 1),
    (
        "helm-render-delete/skaffold-helm/templates/deployment.yaml",
        &["{{ .Values.image.repository}}:{{ .Values.image.tag }}"],
        1,
    ),
    ("skaffold-helm/templates/deployment.yaml", &["{{ .Values.image }}"], 1),
    ("templates/ingress.yaml", &[], 1),
    ("templates/service.yaml", &[], 0),
    (
        "charts/app/templates/deployment.yaml",
        &["{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"],
        1,
    ),
    (".argocd-source-broken.yaml", &[], 1),
    // without any key of a place it is not parsed, so that it is broken is not known
    ("invalid-json/invalid.json", &[], 0),
    ("invalid-manifests-skipped/bad.yaml", &[], 1),
    ("invalid-manifests/bad.yaml", &[], 1),
    ("helm-crd/templates/instance.yaml", &[], 0),
    ("slow-manifest/templates/slow.yaml", &[], 0),
    ("examples/yaml/helm.yaml", &[], 1),
    ("examples/yaml/helm2.yaml", &[], 1),
    ("testdata/trace/deployment.yaml", &["busybox"], 0),
    ("testdata/trace/helmrelease-oci.yaml", &[], 0),
    ("testdata/trace/helmrelease.yaml", &[], 0),
    ("testdata/tree/kustomizations.yaml", &[], 0),
    ("src/mongodb/ratings_data.json", &[], 0),
    ("examples/alertmanager-config-with-template.yaml", &[], 1),
    (
        "yaml/synthetic/helm-template.yaml",
        &["{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}", "busybox:1.36"],
        0,
    ),
    ("yaml/synthetic/tab-indent-invalid.yaml", &[], 1),
    ("yaml/synthetic/tab-separators.yaml", &["httpd:2.4", "busybox"], 0),
    ("templates/mutatingwebhooks.yaml", &[], 1),
    ("templates/shimservice.yaml", &[], 0),
    ("templates/validatingwebhook.yaml", &[], 0),
    // found as YAML 1.2 reads it; unread besides, because readers of 1.1 end the comment in its middle
    ("yaml/synthetic/unicode-breaks.yaml", &["redis:7"], 1),
];

#[test]
fn nothing_vanishes() {
    let Some(root) = corpus() else { return };
    let kubernetes = table::by_id("kubernetes").expect("the format");
    for (file, expected) in expectations(&root) {
        if expected["error"].is_null() {
            continue;
        }
        let mut rows = BY_HAND.iter();
        let Some((_, texts, unread)) = rows.find(|(name, _, _)| file.ends_with(name)) else { panic!("{file} by hand") };
        let found = kubernetes.find(&Input::alone("x.yaml", &fs::read(root.join(&file)).expect("the file")));
        let ours: Vec<&str> = found.occurrences.iter().map(|occurrence| occurrence.text.as_str()).collect();
        assert_eq!((ours.as_slice(), found.unread.len()), (*texts, *unread), "{file}: {:?}", found.unread);
    }
}
