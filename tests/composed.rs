//! Images that are composed of several fields, in kustomizations and the values of charts: whatever stands there, pinning
//! every one that may be edited is proved by the second reading, changes no other byte, and a second pin changes nothing.

use plimsoll::digest::Digest;
use plimsoll::edit::{self, Edit};
use plimsoll::source::{Found, Input, Subject, table};
use proptest::prelude::*;

/// A digest for each name, so that two images that share a place would want different bytes there.
fn pins(found: &Found) -> Vec<Edit> {
    let pin = |occurrence| {
        let Subject::Image(reference) = &plimsoll::source::Occurrence::clone(occurrence).subject else { return None };
        if reference.digest().is_some() {
            return None;
        }
        edit::pin(occurrence, &Digest::sha256(reference.text().as_bytes()))
    };
    found.occurrences.iter().filter_map(pin).collect()
}

fn check(format: &str, path: &str, text: &str) -> Result<(), TestCaseError> {
    let format = table::by_id(format).expect("a format");
    let read = |bytes: &[u8]| table::read(&[format], &Input::alone(path, bytes));
    let found = read(text.as_bytes());
    if !found.unread.is_empty() {
        return Ok(());
    }
    let edits = pins(&found);
    let after = edit::apply(&read, text.as_bytes(), &edits);
    prop_assert!(after.is_ok(), "{after:?} of\n{text}");
    let after = after.expect("checked");
    let (mut ordered, mut at, mut kept) = (edits.clone(), 0, Vec::new());
    ordered.sort();
    ordered.dedup();
    for edit in &ordered {
        kept.extend_from_slice(&text.as_bytes()[at..edit.span.start]);
        kept.extend_from_slice(edit.new.as_bytes());
        at = edit.span.end;
    }
    kept.extend_from_slice(&text.as_bytes()[at..]);
    prop_assert_eq!(&kept, &after);
    let second = pins(&read(&after));
    prop_assert!(second.is_empty(), "{second:?} of\n{text}");
    Ok(())
}

/// Entries of a map below `image:`, in block style.
fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "repository: a/b",
        "repository: 'c'",
        "repository: *r",
        "repository: &r d/e",
        "registry: r.io",
        "registry: ''",
        "tag: \"1\"",
        "tag: '2.0'",
        "tag: v3",
        "tag: 1.10",
        "tag: \"\"",
        "tag:",
        "tag: *t",
        "tag: &t \"4\"",
        "tag: \"\\x35\"",
        "tag: >-\n      6",
        "digest: \"\"",
        "digest: ''",
        "digest:",
        "sha: \"\"",
        "sha: *t",
        "name: f/g",
        "image: h/i",
        "image: h/i:1",
        "imageTag: '7'",
        "<<: *m",
        "pullPolicy: Always",
        "useDigest: false",
        "override: j:1",
        "# comment",
        "version: '1'",
        "hub: x.io",
    ])
    .prop_map(str::to_owned)
}

fn values() -> impl Strategy<Value = String> {
    let map =
        (prop::sample::select(vec!["image", "images", "a", "sidecarImage"]), prop::collection::vec(field(), 1..6));
    let global = prop::sample::select(vec![
        "",
        "global: {imageRegistry: g.io}\n",
        "global: {registry: g.io}\n",
        "global: {hub: g}\n",
    ]);
    let anchors =
        "x: &m {repository: m/n, tag: \"9\", digest: \"\"}\ny: {image: {tag: &t \"8\", repository: &r o/p}}\n";
    (global, prop::collection::vec(map, 1..5)).prop_map(move |(global, maps)| {
        let maps = maps.iter().enumerate().map(|(at, (key, fields))| {
            let fields: String = fields.iter().flat_map(|field| ["    ", field, "\n"]).collect();
            format!("k{at}:\n  {key}:\n{fields}")
        });
        format!("{global}{anchors}{}", maps.collect::<String>())
    })
}

fn kustomization() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "name: a",
        "name: b/c",
        "newName: d/e",
        "newName: *n",
        "newName: &n f/g",
        "newTag: \"1\"",
        "newTag: *t",
        "newTag: &t '2'",
        "newTag: v3",
        "newTag: 1.5",
        "NewTag: \"4\"",
        "digest:",
        "digest: ''",
        "tagSuffix: -x",
        "<<: *m",
        "# comment",
    ]);
    let entry = prop::collection::vec(field, 1..5);
    let patch = prop::sample::select(vec![
        "patches: []\n",
        "patches:\n- patch: |-\n    - {op: add, path: /spec/containers/0/image, value: p:1}\n    - op: add\n      path: /x/image\n      value: q\n",
        "patches:\n- patch: |\n    containers: [{image: r:1}]\n    ---\n    initContainers:\n    - image: 's'\n",
        "patches: [{patch: '{containers: [{image: t}]}'}]\n",
        "helmCharts:\n- valuesInline: {image: {repository: u/v, tag: \"1\", digest: \"\"}, sidecars: \"- image: w\"}\n",
    ]);
    (patch, prop::collection::vec(entry, 1..5)).prop_map(|(patch, entries)| {
        let entries = entries.iter().map(|fields| {
            let fields: String = fields.iter().flat_map(|field| ["  ", field, "\n"]).collect();
            format!("-\n{fields}")
        });
        format!(
            "{patch}images:\n- &m {{name: m/n, newTag: &t \"9\"}}\n- {{newName: &n o/p, newTag: '1', name: z}}\n{}",
            entries.collect::<String>()
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_are_pinned_in_their_own_fields(text in values()) {
        check("helm", "values.yaml", &text)?;
    }

    #[test]
    fn kustomizations_are_pinned_in_their_own_fields(text in kustomization()) {
        check("kustomize", "kustomization.yaml", &text)?;
    }
}
