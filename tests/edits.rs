//! Edits: whatever the document looks like, only the bytes of the image change, a second pin changes nothing, and
//! `unpin` gives back what stood there. A format that lies is refused. Longer than most files, because the generator of
//! documents stands in it.

#![allow(clippy::format_push_string, reason = "a document is built line by line")]

#[path = "support/registry.rs"]
mod registry;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use plimsoll::digest::Digest;
use plimsoll::edit::{self, Edit, EditError};
use plimsoll::source::{Format, Found, Input, Occurrence, Subject, Unread, table};
use plimsoll::span::{Place, Span};
use proptest::prelude::*;
use registry::{Behaviour, OCI_IMAGE, Reply, Server};
use support::Repository;

fn read(bytes: &[u8]) -> Found {
    table::by_id("kubernetes").expect("the format").find(&Input::alone("x.yaml", bytes))
}

/// What a pin may touch, by span: several places share one where an alias leads to it.
fn editable(found: &Found) -> BTreeMap<Span, plimsoll::reference::Reference> {
    let one = |occurrence: &Occurrence| match &occurrence.subject {
        Subject::Image(reference) if occurrence.uneditable.is_none() => Some((occurrence.span?, reference.clone())),
        _ => None,
    };
    found.occurrences.iter().filter_map(one).collect()
}

fn digest(mark: usize) -> Digest {
    Digest::sha256(&mark.to_le_bytes())
}

/// Pins of those whose turn it is in `chosen` and that have no digest yet.
fn pins(bytes: &[u8], found: &Found, chosen: &[bool]) -> Vec<Edit> {
    let turn = |at: usize| chosen.is_empty() || chosen[at % chosen.len()];
    editable(found)
        .into_iter()
        .enumerate()
        .filter(|(at, (_, reference))| turn(*at) && reference.digest().is_none())
        .map(|(at, (span, reference))| {
            let old = String::from_utf8(span.of(bytes).expect("a span of the file").to_vec()).expect("UTF-8");
            Edit { span, old, new: edit::pinned_text(&reference, &digest(at)) }
        })
        .collect()
}

/// Where the edits put their new bytes, and that all else is the same; written apart from `edit::splice`.
fn only_the_spans_changed(before: &[u8], after: &[u8], edits: &[Edit]) -> bool {
    let grown: usize = edits.iter().map(|edit| edit.new.len() - edit.old.len()).sum();
    let mut shift = 0;
    let mut rest = 0;
    let mut same = after.len() == before.len() + grown;
    for edit in edits {
        same &= before[rest..edit.span.start] == after[rest + shift..edit.span.start + shift];
        same &= after[edit.span.start + shift..].starts_with(edit.new.as_bytes());
        shift += edit.new.len() - edit.old.len();
        rest = edit.span.end;
    }
    same && before[rest..] == after[rest + shift..]
}

fn image() -> impl Strategy<Value = String> {
    let hex = "a".repeat(64);
    let images = [
        "nginx".to_owned(),
        "nginx:1.25".to_owned(),
        "x:5".to_owned(),
        "ghcr.io/acme/app:2".to_owned(),
        "localhost:5000".to_owned(),
        "localhost:5000/x".to_owned(),
        "Index.Docker.io/a/b-c_d:T.1-x_y".to_owned(),
        format!("nginx@sha256:{hex}"),
        format!("nginx:1.25@sha256:{hex}"),
    ];
    let others = ["${X}", "a/$(X):1", "reg.io/*", "5", "true", "Bad/Name"].map(str::to_owned);
    prop_oneof![
        9 => proptest::sample::select(images.to_vec()),
        2 => proptest::sample::select(others.to_vec()),
    ]
}

/// The value as YAML writes it behind `image:` in a block map indented by `indent`.
fn scalar(style: usize, text: &str, indent: usize, mark: usize) -> String {
    let deep = " ".repeat(indent + 2);
    match style {
        0 => format!(" {text}"),
        1 => format!(" '{text}'"),
        2 => format!(" \"{text}\""),
        3 => format!(" |-\n{deep}{text}"),
        4 => format!(" >-\n{deep}{text}"),
        5 => format!("\n{deep}{text}"),
        6 => format!(" \"\\u00{:02x}{}\"", text.as_bytes()[0], &text[1..]),
        7 => format!(" !!str {text}"),
        8 => format!("   \"{text}\"   # é comment: \"nginx:1.25\" # plimsoll: ignore[pinned-digest] x"),
        9 => format!(" &a{mark} {text}"),
        10 => format!(" &a{mark} \"{text}\" # anchored"),
        _ => format!(" \"{}\\\n{deep}{}\"", &text[..1], &text[1..]),
    }
}

#[derive(Clone, Debug)]
enum Piece {
    /// A container in block style, with an alias to its anchor where it has one.
    Block { style: usize, image: String, alias: bool },
    /// The same image twice on one line.
    FlowTwice { first: String, quote: &'static str },
    /// A container that takes its image from a merged map.
    Merge { image: String },
    /// The key twice.
    Double { first: String, second: String },
    /// Lines that hold no image.
    Noise(&'static str),
}

fn piece() -> impl Strategy<Value = Piece> {
    const NOISE: [&str; 4] = [
        "    - name: e\n      env: [{name: IMAGE, value: \"nginx:1.25\"}]\n",
        "    # image: nginx:1.25\n",
        "    - name: s\n      args:\n        - |\n          image: nginx:1.25\n          kubectl run x --image=y:1\n",
        "    - name: \"ü – 日本\"\n",
    ];
    prop_oneof![
        6 => (0..12_usize, image(), any::<bool>()).prop_map(|(style, image, alias)| Piece::Block { style, image, alias }),
        2 => (image(), proptest::sample::select(vec!["", "'", "\""]))
            .prop_map(|(first, quote)| Piece::FlowTwice { first, quote }),
        1 => image().prop_map(|image| Piece::Merge { image }),
        1 => (image(), image()).prop_map(|(first, second)| Piece::Double { first, second }),
        2 => proptest::sample::select(NOISE.to_vec()).prop_map(Piece::Noise),
    ]
}

impl Piece {
    fn text(&self, mark: usize) -> String {
        match self {
            Self::Block { style, image, alias } => {
                let mut text = format!("    - name: c{mark}\n      image:{}\n", scalar(*style, image, 6, mark));
                if *alias && matches!(style, 9 | 10) {
                    text +=
                        &format!("    - name: d{mark}\n      image: *a{mark}\n    - {{name: e, image: *a{mark} }}\n");
                }
                text
            }
            Self::FlowTwice { first, quote } => {
                // Plain texts with flow indicators would be other YAML.
                let quote = if quote.is_empty() && first.contains(['{', '}', ',', '*']) { "'" } else { quote };
                let one = format!("{quote}{first}{quote}");
                format!("    - {{name: f{mark}, image: {one} , spec: {{containers: [{{image: {one} }}]}}}}\n")
            }
            Self::Merge { image } => {
                format!("    - &m{mark} {{name: m{mark}, image: '{image}'}}\n    - {{<<: *m{mark}, name: n{mark}}}\n")
            }
            Self::Double { first, second } => {
                format!("    - name: g{mark}\n      image: '{first}'\n      image: \"{second}\"\n")
            }
            Self::Noise(text) => (*text).to_owned(),
        }
    }
}

fn yaml() -> impl Strategy<Value = Vec<u8>> {
    const STARTS: [&str; 4] = ["---\n", "--- # next\n", "...\n---\n", "---\n# only a comment\n---\n"];
    let document = proptest::collection::vec(piece(), 0..5);
    (
        proptest::collection::vec((document, proptest::sample::select(STARTS.to_vec())), 1..4),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|(documents, (crlf, mark, start, no_end))| {
            let mut text = String::new();
            for (at, (pieces, separator)) in documents.iter().enumerate() {
                if at > 0 || start {
                    text.push_str(separator);
                }
                text.push_str("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: none\n");
                pieces.iter().enumerate().for_each(|(mark, piece)| text.push_str(&piece.text(mark)));
            }
            if no_end {
                text.pop();
            }
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            if mark {
                text.insert(0, '\u{feff}');
            }
            text.into_bytes()
        })
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec((image(), 0..3_usize), 0..5), any::<bool>()).prop_map(|(images, wide)| {
        let one = |(image, shape): &(String, usize)| match shape {
            0 => format!(r#"{{"name":"c","image":"{image}"}}"#),
            1 => format!("{{ \"image\" :\t\"{image}\",\n\t\"env\": [{{\"value\": \"{image}\"}}] }}"),
            _ => format!(r#"{{"image":"\u00{:02x}{}"}}"#, image.as_bytes()[0], &image[1..]),
        };
        let containers: Vec<String> = images.iter().map(one).collect();
        let between = if wide { ",\n    " } else { "," };
        format!(r#"{{"kind":"Pod","spec":{{"containers":[{}]}}}}"#, containers.join(between)).into_bytes()
    })
}

fn document() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => yaml(), 1 => json()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_bytes_of_the_chosen_images_change(
        bytes in document(),
        chosen in proptest::collection::vec(any::<bool>(), 1..6),
    ) {
        let found = read(&bytes);
        prop_assert_eq!(&found.unread, &vec![]);
        let edits = pins(&bytes, &found, &chosen);
        let after = edit::apply(&read, &bytes, &edits)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{}", String::from_utf8_lossy(&bytes))))?;
        prop_assert!(only_the_spans_changed(&bytes, &after, &edits), "{}", String::from_utf8_lossy(&after));
        let now = read(&after);
        prop_assert_eq!(now.occurrences.len(), found.occurrences.len());
        for (old, new) in found.occurrences.iter().zip(&now.occurrences) {
            let wanted = edits.iter().find(|edit| Some(edit.span) == old.span).map_or(&old.text, |edit| &edit.new);
            prop_assert_eq!(wanted, &new.text);
        }
    }

    #[test]
    fn pinning_twice_changes_nothing_and_unpinning_gives_the_original(bytes in document()) {
        let found = read(&bytes);
        let edits = pins(&bytes, &found, &[]);
        let pinned = edit::apply(&read, &bytes, &edits).expect("applied");
        let now = read(&pinned);
        prop_assert_eq!(pins(&pinned, &now, &[]), vec![]);
        for reference in editable(&now).values() {
            let digest = reference.digest().expect("all that can be pinned is");
            prop_assert_eq!(edit::pinned_text(reference, digest), reference.text());
        }
        // Back, where a tag stood and no digest did; the others keep what the pin gave them.
        let before: Vec<_> = editable(&found).into_values().collect();
        let back: Vec<Edit> = editable(&now).into_iter().zip(&before)
            .filter(|(_, old)| old.digest().is_none())
            .map(|((span, reference), _)| Edit {
                span,
                old: reference.text().to_owned(),
                new: edit::unpinned_text(&reference).expect("a tag stands beside it"),
            })
            .collect();
        let unpinned = edit::apply(&read, &pinned, &back).expect("applied");
        let tagged: Vec<Edit> = editable(&found).into_iter()
            .filter(|(_, reference)| reference.written_tag().is_none() && reference.digest().is_none())
            .map(|(span, reference)| {
                let old = reference.text().to_owned();
                Edit { span, new: format!("{old}:latest"), old }
            })
            .collect();
        let expected = edit::splice(&bytes, &tagged).expect("spliced");
        prop_assert_eq!(String::from_utf8_lossy(&unpinned), String::from_utf8_lossy(&expected));
    }
}

/// The generator is worth its name only if it makes what it says.
#[test]
fn the_generator_makes_what_can_and_what_cannot_be_edited() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut can, mut can_not, mut shared, mut twice) = (0, 0, 0, 0);
    for _ in 0..200 {
        let bytes = document().new_tree(&mut runner).expect("a document").current();
        let found = read(&bytes);
        let spans = editable(&found);
        can += spans.len();
        let fixed = |occurrence: &&Occurrence| occurrence.uneditable.is_some();
        can_not += found.occurrences.iter().filter(fixed).count();
        let places: Vec<_> = found.occurrences.iter().filter_map(|occurrence| occurrence.span).collect();
        shared += places.len() - places.iter().collect::<std::collections::BTreeSet<_>>().len();
        let lines: Vec<_> = spans.keys().map(|span| bytes[..span.start].rsplit(|b| *b == b'\n').count()).collect();
        twice += lines.windows(2).filter(|pair| pair[0] == pair[1]).count();
    }
    assert!(can > 200 && can_not > 50 && shared > 20 && twice > 20, "{can} {can_not} {shared} {twice}");
}

/// Tells the truth the first time, and then what it is told to.
struct Liar<F: Fn(&mut Found) + Sync> {
    asked: AtomicUsize,
    lie: F,
    /// Lies from the first reading on.
    always: bool,
}

impl<F: Fn(&mut Found) + Sync> Format for Liar<F> {
    fn id(&self) -> &'static str {
        "kubernetes"
    }

    fn claims(&self, _: &str) -> bool {
        true
    }

    fn find(&self, input: &Input<'_>) -> Found {
        let mut found = read(input.bytes);
        if self.always || self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
            (self.lie)(&mut found);
        }
        found
    }
}

const TWO: &[u8] = b"spec:\n  containers: # a:1\n    - image: a:1\n    - image: b:1\n";

fn pin_first() -> Vec<Edit> {
    pins(TWO, &read(TWO), &[true, false])
}

#[test]
fn a_format_that_lies_about_the_second_reading_is_refused() {
    fn refused(lie: impl Fn(&mut Found) + Sync) {
        let liar = Liar { asked: AtomicUsize::new(0), lie, always: false };
        let result = edit::apply(&|bytes| liar.find(&Input::alone("x.yaml", bytes)), TWO, &pin_first());
        assert!(matches!(result, Err(EditError::Unproved(_))), "{result:?}");
    }
    assert!(edit::apply(&read, TWO, &pin_first()).is_ok());
    refused(|found| drop(found.occurrences.pop()));
    refused(|found| found.occurrences.push(found.occurrences[0].clone()));
    refused(|found| found.occurrences.swap(0, 1));
    refused(|found| found.occurrences[0].text = "a:1".to_owned());
    refused(|found| found.occurrences[1].text = "evil:1".to_owned());
    refused(|found| found.occurrences[1].path = "elsewhere".to_owned());
    refused(|found| found.occurrences[0].place.line += 1);
    refused(|found| found.occurrences[1].document += 1);
    refused(|found| found.occurrences[1].role = plimsoll::source::Role::Ci);
    refused(|found| found.occurrences[0].uneditable = Some("now".to_owned()));
    refused(|found| found.occurrences[1].subject = Subject::NotAnImage { reason: "now".to_owned() });
    refused(|found| {
        let place = Place { line: 1, column: 1 };
        found.unread.push(Unread { place, reason: "now".to_owned(), could_hold_reference: true });
    });
}

#[test]
fn an_edit_that_is_not_of_an_image_is_refused() {
    let comment = TWO.windows(3).position(|window| window == b"a:1").expect("the comment");
    let edit = |start: usize, old: &str, new: &str| {
        vec![Edit { span: Span::new(start, start + old.len()), old: old.to_owned(), new: new.to_owned() }]
    };
    for edits in [
        edit(comment, "a:1", "a:2"),          // not where an image stands
        edit(comment, "a:", "a\n#"),          // lines move
        edit(0, "spec", "spex"),              // the images are gone
        edit(TWO.len() - 4, "b:1", "b:1, c"), // other YAML, same line
        edit(TWO.len() - 4, "b:1", "b:1\n    - image: c:1"),
        edit(TWO.len() - 4, "b:1", "b:1 # x"), // reads as what it was
        edit(TWO.len() - 4, "b:1", "'b:2"),
        edit(TWO.len() - 4, "b:1", "b:1@sha256:ff"),
    ] {
        let result = edit::apply(&read, TWO, &edits);
        assert!(matches!(result, Err(EditError::Unproved(_))), "{edits:?}: {result:?}");
    }
    // A format that points elsewhere is stopped by the bytes that stand there.
    let liar = Liar {
        asked: AtomicUsize::new(0),
        lie: |found: &mut Found| found.occurrences[0].span = Some(Span::new(0, 3)),
        always: true,
    };
    let mut wrong = pin_first();
    wrong[0].span = Span::new(0, 3);
    assert_eq!(
        edit::apply(&|bytes| liar.find(&Input::alone("x.yaml", bytes)), TWO, &wrong),
        Err(EditError::Stale(wrong[0].clone()))
    );
}

#[test]
fn below_a_key_that_stands_twice_nothing_is_edited() {
    let rows: [(&[u8], usize); 5] = [
        (b"spec: {containers: [{image: 'a:1', image: 'b:1'}, {image: 'c:1'}]}\n", 1),
        (b"spec: {containers: [{image: 'a:1'}], containers: [{image: 'b:1'}]}\n", 0),
        (b"spec: {containers: [{image: 'a:1'}]}\nspec: {containers: [{image: 'b:1'}]}\n", 0),
        (b"x: 1\nx: 2\nspec: {containers: [{image: 'a:1'}]}\n", 1),
        // An alias leads to it.
        (b"spec: {containers: [{image: &a 'a:1', \"im\\u0061ge\": 'b:1'}, {image: *a}]}\n", 0),
    ];
    for (text, expected) in rows {
        let found = read(text);
        assert!(found.occurrences.len() > expected || expected == 1, "{}", String::from_utf8_lossy(text));
        assert_eq!(editable(&found).len(), expected, "{}", String::from_utf8_lossy(text));
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// A registry where every tag names 1111…, and every digest is there.
fn ones() -> Server {
    Server::start(Behaviour::lying(|request, _| {
        let (_, wanted) = request.path.split_once("/manifests/")?;
        let ones = format!("sha256:{}", "1".repeat(64));
        let digest = if wanted.contains(':') { wanted } else { &ones };
        Some(Reply::ok(OCI_IMAGE, "").header("Docker-Content-Digest", digest))
    }))
}

/// A fixture in its folder: what it was, and what it must be once pinned, where that was written by hand.
struct Case {
    name: String,
    input: Vec<u8>,
    pinned: Option<Vec<u8>>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in sorted(&fixtures().join("formats/kubernetes")) {
        let of =
            |stem: &str| sorted(&folder).into_iter().find(|path| path.file_stem().is_some_and(|name| name == stem));
        let input = of("input").expect("an input");
        let ending = input.extension().expect("an ending").to_string_lossy().into_owned();
        let name = format!("{}.{ending}", folder.file_name().expect("a name").to_string_lossy());
        let pinned = of("pinned").map(|path| fs::read(path).expect("read"));
        cases.push(Case { name, input: fs::read(input).expect("read"), pinned });
    }
    for path in sorted(&fixtures().join("kubernetes/labelled")) {
        let name = format!("labelled-{}", path.file_name().expect("a name").to_string_lossy());
        cases.push(Case { name, input: fs::read(path).expect("read"), pinned: None });
    }
    cases
}

/// What `unpin` must leave of a pinned file: no digest where a tag stands beside it, `:latest` where the pin wrote it.
fn expected_unpinned(case: &Case) -> Vec<u8> {
    let found = read(&case.input);
    if !found.unread.is_empty() {
        return case.input.clone();
    }
    let edits: Vec<Edit> = editable(&found)
        .into_iter()
        .map(|(span, reference)| {
            let old = reference.text().to_owned();
            let new = match (reference.written_tag(), reference.digest()) {
                (None, None) => format!("{old}:latest"),
                (None, Some(_)) => old.clone(),
                (Some(_), _) => old.split('@').next().expect("a part").to_owned(),
            };
            Edit { span, old, new }
        })
        .collect();
    edit::splice(&case.input, &edits).expect("spliced")
}

#[test]
fn every_fixture_pinned_twice_and_unpinned_through_the_program() {
    let server = ones();
    let repository = Repository::new();
    let cases = cases();
    assert!(cases.len() > 80, "{} fixtures", cases.len());
    for case in &cases {
        repository.write(&format!("f/{}", case.name), &case.input);
    }
    repository.write(
        "machine.conf",
        format!(
            "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '*', mirrors: ['http://{}'], only-mirrors: true}}]}}\n",
            server.host()
        ),
    );
    let pin = || repository.run(&["pin", "f", "--no-policy", "--config", "machine.conf", "--format", "json"]);
    let read = || -> Vec<Vec<u8>> {
        cases.iter().map(|case| fs::read(repository.path(&format!("f/{}", case.name))).expect("read")).collect()
    };
    let first = pin();
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    let pinned = read();
    let mut compared = 0;
    for (case, now) in cases.iter().zip(&pinned) {
        if let Some(expected) = &case.pinned {
            let (now, expected) = (String::from_utf8_lossy(now), String::from_utf8_lossy(expected));
            assert_eq!(now, expected, "{}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared} files to compare with");
    assert!(first.json()["edits"].as_array().is_some_and(|edits| edits.len() > 100), "{}", first.stdout);
    let second = pin();
    assert_eq!((second.code, second.json()["edits"].as_array().map(Vec::len)), (0, Some(0)), "{}", second.stderr);
    assert!(read() == pinned, "a second pin changes nothing");
    let unpinned = repository.run(&["unpin", "f"]);
    assert_eq!(unpinned.code, 0, "{}", unpinned.stderr);
    for (case, now) in cases.iter().zip(read()) {
        let expected = expected_unpinned(case);
        assert_eq!(String::from_utf8_lossy(&now), String::from_utf8_lossy(&expected), "{}", case.name);
    }
}
