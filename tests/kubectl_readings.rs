//! What kubectl 1.x runs, and what this tool sees: inputs where readers of YAML differ, each with the image that
//! `kubectl label --local -o jsonpath` printed for it. Whatever kubectl reads is found, or the document is undecided.

use plimsoll::source::{Input, Subject, table};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n";

/// Behind the pod's head: the input, the images that kubectl read, and whether we leave the document unread.
const READINGS: [(&str, &[&str], bool); 20] = [
    ("x: &x {image: evil}\nspec:\n  containers:\n  - image: good\n    <<: *x\n", &["evil"], false),
    ("x: &x {image: evil}\nspec:\n  containers:\n  - <<: *x\n    image: good\n", &["good"], false),
    ("x: &x {image: evil}\nspec:\n  containers:\n  - \"<<\": *x\n    image: good\n", &["good"], false),
    ("x: &x {image: one}\ny: &y {image: two}\nspec:\n  containers:\n  - <<: [*x, *y]\n", &["one"], false),
    ("x: &x {image: one}\ny: &y {image: two}\nspec:\n  containers:\n  - <<: *x\n    <<: *y\n", &["two"], false),
    ("spec:\n  containers:\n  - image: a\n    image: b\n", &["b"], false),
    ("spec:\n  containers:\n  - name: c # \u{2028}    image: evil\n", &["evil"], true),
    ("spec:\n  containers:\n  - name: c # \u{85}    image: evil\n", &["evil"], true),
    ("\u{feff}spec: {containers: [{image: evil}]}\n", &["evil"], true),
    ("spec:\n  containers:\n  - !!binary aW1hZ2U=: evil\n", &["evil"], true),
    ("spec:\n  containers:\n  - !foo image: evil\n", &["evil"], true),
    ("spec:\n  containers:\n  - image:\tevil\t# x\n", &["evil"], false),
    ("spec:\r  containers:\r  - name: c # x\r    image: evil\r", &["evil"], false),
    ("x: |\n---\nspec: {containers: [{image: evil}]}\n", &["evil"], false),
    ("x: 'y\n---\nspec: {containers: [{image: evil}]}\n", &["evil"], false),
    ("x: [\n...\nspec: {containers: [{image: evil}]}\n", &[], false),
    ("spec: {containers: [{image: a}]}\n-----\nspec: {containers: [{image: evil}]}\n", &[], true),
    ("spec: {containers: [{\"\\u0069mage\": evil}]}\n", &["evil"], false),
    ("k: &k image\nspec: {containers: [{*k : evil}]}\n", &["evil"], false),
    ("spec:\n  containers:\n  - Image: evil\n", &[], false),
];

#[test]
fn what_kubectl_reads_is_found_or_undecided() {
    let kubernetes = table::by_id("kubernetes").expect("the format");
    for (text, read, unread) in READINGS {
        let found = kubernetes.find(&Input::alone("x.yaml", format!("{POD}{text}").as_bytes()));
        let image = |subject: &Subject| matches!(subject, Subject::Image(_));
        let texts: Vec<&str> =
            found.occurrences.iter().filter(|it| image(&it.subject)).map(|it| it.text.as_str()).collect();
        let undecided = found.unread.iter().any(|unread| unread.could_hold_reference);
        assert_eq!(undecided, unread, "{text}");
        assert!(unread || read.iter().all(|image| texts.contains(image)), "{text}: {texts:?}");
    }
}

/// kubectl decodes it to `evil`; we don't, and say so at its place.
#[test]
fn a_value_with_a_tag_is_undecided() {
    let text = format!("{POD}spec:\n  containers:\n  - image: !!binary ZXZpbA==\n");
    let found = table::by_id("kubernetes").expect("the format").find(&Input::alone("x.yaml", text.as_bytes()));
    assert!(matches!(found.occurrences[0].subject, Subject::Unresolvable { .. }));
}
