//! Agreement of `github` and `gitlab` with an independent reading (`PyYAML`; the oracle beside the corpus) of real files.
//! Runs where `PLIMSOLL_CORPUS` names the corpus folder and `python3` has `PyYAML`; elsewhere it says so and passes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use plimsoll::source::{Input, Subject, table};
use serde_json::Value;

/// What differs from the oracle in the corpus, and why.
const OTHERWISE: [(&str, &str, &str); 7] = [
    ("workflows/synthetic/shapes.yml", "extra jobs.b.strategy.matrix.image[0] debian:12", MATRIX),
    ("workflows/synthetic/shapes.yml", "extra jobs.b.strategy.matrix.image[1] fedora:41", MATRIX),
    ("workflows/synthetic/shapes.yml", "extra jobs.b.strategy.matrix.include[0].image alpine:3", MATRIX),
    ("gitlab-ci/synthetic/shapes.gitlab-ci.yml", "missing override.image $BUILD_IMAGE", KNOWN),
    ("gitlab-ci/synthetic/shapes.gitlab-ci.yml", "extra override.image golang:1.22", KNOWN),
    ("gitlab-ci/synthetic/shapes.gitlab-ci.yml", "missing ref.image $[[ inputs.runner_image ]]", KNOWN),
    ("gitlab-ci/synthetic/shapes.gitlab-ci.yml", "extra ref.image alpine:3.20", KNOWN),
];
const MATRIX: &str = "an expression is a value of the matrix, whose images are judged where they stand";
const KNOWN: &str = "the variable or the input's default stands in the file and is put in";

#[expect(clippy::print_stderr, reason = "a test that compares nothing must say so")]
fn oracle(root: &Path) -> Option<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("expected.json");
    let script = root.join("expected/other_images_oracle.py");
    let done = Command::new("python3").arg(&script).arg(root).arg(&out).output();
    match done {
        Ok(done) if done.status.success() => Some(serde_json::from_slice(&fs::read(&out).ok()?).expect("JSON")),
        _ => {
            eprintln!("{} can't be run: nothing is compared", script.display());
            None
        }
    }
}

/// `/jobs/a/steps/0/uses` as `jobs.a.steps[0].uses`; keys that are not plain stay as they are.
fn as_path(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        let plain = step.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        match (plain, step.parse::<usize>(), path.is_empty()) {
            (_, Ok(index), _) => path += &format!("[{index}]"),
            (true, _, true) => path += step,
            (true, _, false) => path += &format!(".{step}"),
            (false, ..) => path += &format!("[{step:?}]"),
        }
    }
    path
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that compares nothing must say so")]
fn agrees_with_the_oracle() {
    let Some(root) = env::var_os("PLIMSOLL_CORPUS").map(PathBuf::from) else {
        eprintln!("PLIMSOLL_CORPUS is not set: nothing is compared");
        return;
    };
    let Some(expected) = oracle(&root) else { return };
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (file, expected) in expected["files"].as_object().expect("files") {
        let id = if file.starts_with("workflows/") { "github" } else { "gitlab" };
        let Some(images) = expected["images"].as_array().filter(|_| !file.starts_with("compose/")) else { continue };
        let bytes = fs::read(root.join(file)).expect("the file");
        let found = table::by_id(id).expect("the format").find(&Input::alone(file, &bytes));
        let key = |image: &Value| {
            let text = image["image"].as_str().expect("a text");
            let path = as_path(image["pointer"].as_str().expect("a pointer"));
            format!("{path} {}", text.strip_prefix("docker://").unwrap_or(text))
        };
        let theirs: BTreeSet<String> = images.iter().map(key).collect();
        let is_empty = |subject: &Subject| matches!(subject, Subject::NotAnImage { .. });
        let row = |path: &str, text: &str| format!("{path} {text}");
        let all = found.occurrences.iter();
        let ours: BTreeSet<String> = all.clone().map(|found| row(&found.path, &found.text)).collect();
        let images = all.filter(|found| !is_empty(&found.subject)).map(|found| row(&found.path, &found.text));
        let extra = images.filter(|row| !theirs.contains(row)).map(|row| format!("extra {row}"));
        let missing = theirs.iter().filter(|row| !ours.contains(*row)).map(|row| format!("missing {row}"));
        compared += theirs.len();
        let known = |line: &String| OTHERWISE.iter().any(|(name, known, _)| file == name && line == known);
        wrong.extend(extra.chain(missing).filter(|line| !known(line)).map(|line| format!("{file}: {line}")));
        wrong.extend(found.unread.iter().map(|unread| format!("{file}: {unread:?}")));
        for occurrence in found.occurrences.iter().filter(|occurrence| occurrence.seat().is_some()) {
            let span = occurrence.span.expect("one place");
            assert_eq!(span.of(&bytes), Some(occurrence.text.as_bytes()), "{file} {}", occurrence.path);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(compared > 20, "only {compared} images");
}
