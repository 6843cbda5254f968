//! The YAML test suite (github.com/yaml/yaml-test-suite) through our trees: same documents, structure, tags, styles and
//! values, and every span that claims to be the value is. Runs where `PLIMSOLL_CORPUS` names the corpus folder.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::yaml::{Kind, NodeId, Style, Tree, documents};

/// Inputs that the suite calls errors and the parser lets pass; none of them hides or moves a value.
const LENIENT: [(&str, &str); 1] =
    [("9C9N", "a flow sequence that goes on at its parent's indentation; PyYAML and Go's readers take it too")];

#[expect(clippy::print_stderr, reason = "a test that compares nothing must say so")]
fn suite() -> Option<PathBuf> {
    let root = std::env::var_os("PLIMSOLL_CORPUS").map(|root| PathBuf::from(root).join("yaml/yaml+yaml-test-suite"));
    if root.is_none() {
        eprintln!("PLIMSOLL_CORPUS is not set: nothing is compared");
    }
    root
}

fn cases(folder: &Path, found: &mut Vec<PathBuf>) {
    if folder.join("in.yaml").exists() {
        found.push(folder.to_owned());
        return;
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it").path()).collect();
    entries.sort();
    entries.iter().filter(|path| path.is_dir()).for_each(|path| cases(path, found));
}

#[test]
fn agrees_with_the_yaml_test_suite() {
    let Some(root) = suite() else { return };
    let mut folders = Vec::new();
    cases(&root, &mut folders);
    assert!(folders.len() > 230);
    let mut wrong = Vec::new();
    for folder in folders {
        let name = folder.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
        let bytes = fs::read(folder.join("in.yaml")).expect("the input");
        let ours = events(&bytes);
        let lenient = LENIENT.iter().any(|(case, _)| *case == name);
        let line = match (folder.join("error").exists(), ours) {
            (true, Err(_)) => None,
            (true, Ok(_)) => (!lenient).then(|| "should be refused".to_owned()),
            (false, Err(reason)) => Some(format!("refused: {reason}")),
            (false, Ok(ours)) => {
                let theirs = fs::read_to_string(folder.join("test.event")).expect("the events");
                let theirs: Vec<String> = theirs.lines().filter_map(normal).collect();
                (ours != theirs).then(|| format!("\n  ours   {ours:?}\n  theirs {theirs:?}"))
            }
        };
        wrong.extend(line.map(|line| format!("{name}: {line}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The events of a stream as the suite writes them, or why a document was refused.
fn events(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for document in documents(bytes).map_err(|error| error.to_string())? {
        let tree = document.tree.map_err(|broken| broken.reason)?;
        lines.push("+DOC".to_owned());
        if let Some(root) = tree.root() {
            node(&tree, root, bytes, &mut lines);
        }
        lines.push("-DOC".to_owned());
    }
    Ok(lines)
}

fn node(tree: &Tree<'_>, id: NodeId, bytes: &[u8], lines: &mut Vec<String>) {
    let found = tree.node(id);
    let tag = found.tag.as_ref().map_or_else(String::new, |tag| format!(" <{tag}>"));
    match &found.kind {
        Kind::Alias(_) => lines.push("=ALI".to_owned()),
        Kind::Scalar(scalar) => {
            if scalar.exact {
                assert_eq!(found.span.of(bytes), Some(scalar.value.as_bytes()));
            }
            let style = match scalar.style {
                Style::Plain => ':',
                Style::Single => '\'',
                Style::Double => '"',
                Style::Literal => '|',
                Style::Folded => '>',
            };
            lines.push(format!("=VAL{tag} {style}{}", scalar.value));
        }
        Kind::Sequence(items) => {
            lines.push(format!("+SEQ{tag}"));
            for item in items {
                node(tree, *item, bytes, lines);
            }
            lines.push("-SEQ".to_owned());
        }
        Kind::Mapping(pairs) => {
            lines.push(format!("+MAP{tag}"));
            for (key, value) in pairs {
                node(tree, *key, bytes, lines);
                node(tree, *value, bytes, lines);
            }
            lines.push("-MAP".to_owned());
        }
    }
}

/// One of the suite's lines without what a tree does not keep: markers, flow style, anchors.
fn normal(line: &str) -> Option<String> {
    let (kind, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "+STR" | "-STR" => return None,
        "+DOC" | "-DOC" | "-MAP" | "-SEQ" | "=ALI" => return Some(kind.to_owned()),
        _ => {}
    }
    let mut normal = kind.to_owned();
    if let Some(after) = rest.strip_prefix("{}").or_else(|| rest.strip_prefix("[]")) {
        rest = after.trim_start();
    }
    if rest.starts_with('&') {
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
    }
    if rest.starts_with('<') {
        let (tag, after) = rest.split_once('>').expect("a closed tag");
        normal = format!("{normal} {tag}>");
        rest = after.trim_start_matches(' ');
    }
    if kind == "=VAL" {
        normal += " ";
        let mut chars = rest.chars();
        while let Some(found) = chars.next() {
            normal.push(match (found, found == '\\') {
                (_, true) => match chars.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('b') => '\u{8}',
                    Some(other) => other,
                    None => '\\',
                },
                (other, false) => other,
            });
        }
    }
    Some(normal)
}
