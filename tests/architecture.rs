//! Holds the floors: a file imports only what stands before it in the house's order.
//! Reads the `crate::` paths of every file; a test of its own shows that a violation is caught.

use std::fs;
use std::path::{Path, PathBuf};

/// The order, from the ground up. An entry that ends in `/` is a folder; [`SHARED`] orders its files.
const HOUSE: [&str; 28] = [
    // ground
    "span.rs",
    "digest.rs",
    "limits.rs",
    "reference.rs",
    "pattern.rs",
    "finding.rs",
    "yaml/",
    "trust.rs",
    // files, network, facts
    "source/",
    "registry/",
    "image/",
    "resolve.rs",
    "outline.rs",
    "bases.rs",
    "inspect/",
    "evidence/",
    // verdict
    "rule/",
    "policy/",
    "edit.rs",
    "judge.rs",
    "outcome.rs",
    "gate.rs",
    "vendor.rs",
    // out
    "init.rs",
    "report/",
    "lib.rs",
    // binary
    "main.rs",
    "cli/",
];

/// Shared parts of a folder, in order; what is not named is an item. Items never import each other.
/// `*` stands for a folder that holds one idea, whose files may import each other.
const SHARED: [(&str, &[&str]); 9] = [
    ("yaml/", &["*"]),
    (
        "source/",
        &[
            "mod.rs",
            "custom_resource.rs",
            "git.rs",
            "wildcard.rs",
            "beside.rs",
            "filter.rs",
            "names.rs",
            "subject.rs",
            "template.rs",
            "place.rs",
            "select.rs",
            "run_as.rs",
            "pod.rs",
            "page.rs",
            "stream.rs",
            "composed.rs",
            "embedded.rs",
            "values.rs",
        ],
    ),
    (
        "registry/",
        &[
            "mod.rs",
            "settings/",
            "credentials/",
            "content.rs",
            "referrers.rs",
            "unpack.rs",
            "memo.rs",
            "blobs.rs",
            "cache/",
            "layout.rs",
            "layout_writer.rs",
            "http/",
        ],
    ),
    ("image/", &["*"]),
    ("inspect/", &["*"]),
    (
        "rule/",
        &[
            "mod.rs",
            "setting.rs",
            "example.rs",
            "kind.rs",
            "wording.rs",
            "platform_choice.rs",
            "port.rs",
            "built_in.rs",
        ],
    ),
    ("policy/", &["*"]),
    ("report/", &["*"]),
    ("cli/", &["*"]),
];

/// The files of a folder that may name every other one in it.
const TABLES: [&str; 3] = ["table.rs", "walk.rs", "router.rs"];

/// The imports of `file` that stand above it, or beside it where that is not allowed.
fn violations(file: &str, text: &str, files: &[String]) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut wrong = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        for path in paths(&code[at + found.len()..]) {
            let parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
            let Some(target) = file_of(&parts, files) else { continue };
            if !may_import(file, &target) {
                wrong.push(format!("{file} imports crate::{path} ({target})"));
            }
        }
    }
    wrong
}

/// The paths that start here; a group in braces gives one for each of its names.
fn paths(text: &str) -> Vec<String> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | ':')).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let Some(group) = rest.strip_prefix('{') else { return vec![path.to_owned()] };
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        let ends = depth == 0 && matches!(letter, ',' | '}');
        if ends && !group[start..at].trim().is_empty() {
            found.extend(paths(group[start..at].trim()).into_iter().map(|inner| format!("{path}{inner}")));
        }
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
        if ends {
            start = at + 1;
        }
    }
    found
}

fn file_of(parts: &[&str], files: &[String]) -> Option<String> {
    (1..=parts.len())
        .rev()
        .map(|count| parts[..count].join("/"))
        .flat_map(|path| [format!("{path}.rs"), format!("{path}/mod.rs")])
        .find(|candidate| files.contains(candidate))
}

fn floor(file: &str) -> Option<usize> {
    HOUSE.iter().position(|entry| if entry.ends_with('/') { file.starts_with(entry) } else { file == *entry })
}

fn may_import(file: &str, target: &str) -> bool {
    let (Some(from), Some(to)) = (floor(file), floor(target)) else { return false };
    if from != to || !HOUSE[from].ends_with('/') {
        return to <= from;
    }
    let folder = HOUSE[from];
    let shared = SHARED.iter().find(|(name, _)| *name == folder).map_or(&["mod.rs"][..], |(_, shared)| shared);
    let (inner, inner_target) = (&file[folder.len()..], &target[folder.len()..]);
    if file == target || TABLES.contains(&inner) || shared.contains(&"*") {
        return true;
    }
    if let (Some((own, _)), Some((other, _))) = (inner.split_once('/'), inner_target.split_once('/'))
        && own == other
    {
        return true;
    }
    let rank = |name: &str| {
        shared.iter().position(|entry| name == *entry || (entry.ends_with('/') && name.starts_with(entry)))
    };
    match (rank(inner), rank(inner_target)) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(from), Some(to)) => to <= from,
    }
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("inside").to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn imports_go_down_the_floors_only() {
    let sources = sources();
    let files: Vec<String> = sources.iter().map(|(name, _)| name.clone()).collect();
    let wrong: Vec<String> = sources.iter().flat_map(|(name, text)| violations(name, text, &files)).collect();
    assert!(wrong.is_empty(), "imports that go up:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_has_its_floor_and_says_what_it_is_for() {
    for (name, text) in sources() {
        assert!(floor(&name).is_some(), "{name} stands on no floor; give it one in HOUSE");
        assert!(text.starts_with("//!"), "{name} does not open with what it is for");
    }
}

#[test]
fn an_injected_violation_is_caught() {
    let files = [
        "span.rs",
        "gate.rs",
        "registry/mod.rs",
        "registry/http/mod.rs",
        "registry/layout.rs",
        "source/mod.rs",
        "source/kubernetes.rs",
        "source/compose.rs",
        "source/table.rs",
        "rule/mod.rs",
        "rule/image_size.rs",
        "rule/platforms.rs",
    ]
    .map(str::to_owned);
    let caught = |file: &str, text: &str| !violations(file, text, &files).is_empty();
    assert!(caught("span.rs", "use crate::gate::run;"));
    assert!(caught("source/mod.rs", "use crate::registry::Registry;"));
    assert!(caught("source/kubernetes.rs", "use crate::source::compose::x;"));
    assert!(caught("source/kubernetes.rs", "use crate::source::table::x;"));
    assert!(caught("registry/layout.rs", "use crate::registry::http::x;"));
    assert!(caught("rule/image_size.rs", "fn f() { crate::rule::platforms::g() }"));
    assert!(caught("rule/mod.rs", "use crate::rule::image_size::x;"));
    assert!(caught("source/kubernetes.rs", "use crate::{span::Span, source::{Format, compose}};"));
    assert!(!caught("source/kubernetes.rs", "use crate::{span::Span, source::{Format, self}};"));
    assert!(!caught("gate.rs", "use crate::span::Span;"));
    assert!(!caught("source/table.rs", "use crate::source::kubernetes::x;"));
    assert!(!caught("source/kubernetes.rs", "use crate::source::Occurrence;"));
    assert!(!caught("span.rs", "// crate::gate::run\n#[cfg(test)]\nmod tests { use crate::gate::run; }"));
}
