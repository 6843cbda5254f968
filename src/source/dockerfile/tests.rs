//! What fixtures do not show: names, ignores, reasons and assumptions, hostile sizes, and any text at all.

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::source::{Part, Slot};

fn find(text: &str) -> Found {
    Dockerfile.find(&Input::alone("Dockerfile", text.as_bytes()))
}

#[test]
fn names_of_files() {
    for name in [
        "Dockerfile",
        "dockerfile",
        "a/b/DOCKERFILE",
        "Dockerfile.dev",
        "Dockerfile.go",
        "Dockerfile-alpine",
        "dockerfile_test",
        "api.Dockerfile",
        "api-dockerfile",
        "Containerfile",
        "Containerfile.dev",
        "containerfile42",
        "x.containerfile",
        "Dockerfile.j2",
        "Dockerfile.md",
    ] {
        assert!(Dockerfile.claims(name), "{name}");
    }
    for name in [
        "Dockerfile.dockerignore",
        "Dockerfiles",
        "mydockerfile",
        "Dockerfile/readme",
        "dockerfiles.md",
        ".dockerignore",
    ] {
        assert!(!Dockerfile.claims(name), "{name}");
    }
    assert!(is_named_otherwise("x/Dockerfile.RS") && !is_named_otherwise("Dockerfile.j2"));
}

#[test]
fn a_name_of_another_language_counts_only_where_builders_read_it() {
    let read = |path: &str, text: &str| Dockerfile.find(&Input::alone(path, text.as_bytes()));
    for text in
        ["FROM x import y\n", "FROM x\nlet a = 1;\n", "RUN x\nFROM x\n", "FROM --a=b x\n", "FROM x\nRUN <<E\n", "# x\n"]
    {
        let found = read("dockerfile.py", text);
        assert!(found.occurrences.is_empty() && found.unread.is_empty(), "{text}");
    }
    assert_eq!(read("Dockerfile.py", "ARG V=3\nFROM python:$V\n").occurrences.len(), 1);
    assert_eq!(read("Dockerfile.py", "# syntax=a/b\nFROM x\nINCLUDE y\n").occurrences.len(), 2);
    assert_eq!(read("Dockerfile", "FROM x import y\n").occurrences.len(), 1);
    assert_eq!(read("named.py", "FROM x import y\n").occurrences.len(), 1);
}

#[test]
fn ignores_stand_above_the_image_or_its_instruction() {
    let text = "# plimsoll: ignore[a] one\nFROM \\\n  # plimsoll: ignore[b] two\n  x:1\n# plimsoll: ignore[c] no\n# more\n\
                FROM y:1\nRUN <<E\n# plimsoll: ignore[d] no\nE\nCOPY --from=z:1 /a /b\n";
    let found = find(text);
    let rules: Vec<Vec<&str>> = found
        .occurrences
        .iter()
        .map(|found| found.ignores.iter().map(|ignore| ignore.rule.as_str()).collect())
        .collect();
    assert_eq!(rules, [vec!["a", "b"], vec![], vec![]]);
    assert_eq!(found.occurrences[0].ignores[1].reason, "two");
}

/// The reason why the last image is not edited, or not known.
fn reason(text: &str) -> String {
    let found = find(text).occurrences.pop().expect("an image");
    match found.subject {
        Subject::Image(_) => found.uneditable.unwrap_or_default(),
        Subject::Unresolvable { reason } | Subject::NotAnImage { reason } => reason,
    }
}

#[test]
fn reasons_name_what_is_in_the_way() {
    let rows = [
        ("ARG V=1\nFROM a:$V\nFROM b:$V\n", "ARG `V` composes several images (lines 2 and 3)"),
        ("ARG V=1\nFROM a:$V\nARG V\nRUN $V\n", "(a stage takes it over, line 3)"),
        ("ARG V=1\nARG W=$V\nFROM a:$V\n", "(the default of another ARG holds it, line 2)"),
        ("ARG V=1\nFROM a:${V#x}\n", "composed of several parts (ARG `V`)"),
        ("ARG V=1\nARG W=2\nFROM a:$V-$W\n", "composed of several parts (ARG `V`, `W`)"),
        ("ARG V=1\"2\"\nFROM a:$V\n", "the default of ARG `V` is composed itself"),
        ("ARG V=1\nFROM a:$V-b\n", "composed of several parts (ARG `V`)"),
        ("ARG V=1\nFROM a:$V\nFROM a:${V%x}\n", "the image in line 3 holds ARG `V` too"),
        ("ARG N=a\nFROM $N:1\n", "the name in front of its tag comes from ARG `N`"),
        ("FROM a\\:1\n", "written with quotes or escapes inside"),
        ("ARG V\nFROM a:$V\n", "ARG `V` has no default"),
        ("FROM a:$V\n", "V empty, for no ARG before the first FROM declares it"),
        ("FROM a-$TARGETARCH\n", "the platform of the build decides"),
        ("FROM a b c\n", "FROM takes one image and, after AS, a name"),
        ("FROM a AS b\nFROM B\n", "the stage `b`"),
        ("FROM a\nCOPY --from=$V a b\n", "name a stage with FROM, and that stage here"),
        ("FROM a\nONBUILD COPY --from=v a b\n", "a trigger runs in another build"),
        ("FROM a\nCOPY --from=v a b\nFROM x AS v\n", "the stage `v` is not built yet here"),
    ];
    for (text, expected) in rows {
        let found = find(text)
            .occurrences
            .iter()
            .map(|found| match &found.subject {
                Subject::Image(_) => found.uneditable.clone().unwrap_or_default(),
                Subject::Unresolvable { reason } | Subject::NotAnImage { reason } => reason.clone(),
            })
            .find(|reason| reason.contains(expected));
        assert!(found.is_some(), "{text}: {}", reason(text));
    }
}

#[test]
fn a_default_is_said_to_be_one() {
    let assumes = |text: &str| find(text).occurrences.pop().expect("an image").assumes;
    let rows = [
        ("FROM a:1\n", None),
        ("ARG V=1\nFROM a:$V\n", Some("V=1 (its default)")),
        ("ARG V=1\nARG W=$V\nFROM a:$W\n", Some("V=1, W=1 (their defaults)")),
        ("ARG V\nFROM a:${V:-2}\n", Some("V not given")),
        ("FROM a:${V:-2}\n", None),
        ("ARG V=1\nFROM a:${V:-$W}\n", Some("V=1 (its default)")),
        ("ARG V=b\nFROM a AS b\nFROM $V\n", Some("V=b (its default)")),
    ];
    for (text, expected) in rows {
        assert_eq!(assumes(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn defaults_that_double_come_to_an_end() {
    let doubled = (1..200).map(|at| format!("ARG A{at}=$A{}$A{}\n", at - 1, at - 1));
    let text = "ARG A0=aaaaaaaa\n".to_owned() + &doubled.collect::<String>() + "FROM $A199\n";
    assert!(reason(&text).contains("too long for an image"), "{}", reason(&text));
}

#[test]
fn an_endless_line_is_unread_and_hides_no_other() {
    let found = find(&("FROM a\nRUN ".to_owned() + &"x \\\n".repeat(600_000) + "y\nFROM b\n"));
    assert_eq!(found.occurrences.len(), 2);
    assert_eq!((found.unread.len(), found.unread[0].place.line), (1, 2));
}

#[test]
fn many_stages_take_no_square_time() {
    let text = "ARG V=1\n".to_owned() + &"FROM a:$V AS x\nCOPY --from=x a b\nRUN <<E\nE\n".repeat(20_000);
    assert_eq!(find(&text).occurrences.len(), 40_000);
}

/// Texts that are nearly Dockerfiles.
fn dockerfiles() -> impl Strategy<Value = String> {
    const PIECES: [&str; 54] = [
        "FROM ",
        "from\t",
        "FROM \\\n",
        "ARG ",
        "V=1",
        "W=$V",
        "V",
        " ",
        "\n",
        "\r\n",
        "\\\n",
        "`\n",
        "a:1",
        "$V",
        "${V:-x}",
        "${V%.*}",
        "${V//a/b}",
        "${",
        "}",
        "\"",
        "'",
        "\\",
        "`",
        "AS b",
        "b",
        "scratch",
        "COPY --from=",
        "RUN --mount=from=",
        ",target=/x",
        "<<E",
        "E\n",
        "<<-\"A\"",
        "# syntax=a/b:1\n",
        "# escape=`\n",
        "# plimsoll: ignore[x] y\n",
        "#",
        "//syntax=c\n",
        "ONBUILD ",
        "{{ x }}",
        "{% if %}",
        "\u{feff}",
        "\u{a0}",
        "é",
        "à--from=q",
        "@sha256:",
        "--platform=$V ",
        "[\"a\"]",
        "{\"syntax\":\"j\"}",
        "\u{2028}",
        "\u{85}",
        "$TARGETARCH",
        "/",
        "\0",
        "İ",
    ];
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
}

fn holds(bytes: &[u8]) {
    let found = Dockerfile.find(&Input::alone("Dockerfile", bytes));
    let text = |span: Span| span.of(bytes).map(String::from_utf8_lossy);
    for occurrence in &found.occurrences {
        let editable = occurrence.seat();
        match (&occurrence.parts, occurrence.span) {
            (Some(parts), None) => {
                for Part { span, .. } in parts {
                    assert!(text(*span).is_some(), "{occurrence:?}");
                }
            }
            (None, Some(span)) => assert!(text(span).is_some(), "{occurrence:?}"),
            _ => panic!("{occurrence:?}"),
        }
        if let Some(Slot { span, text: own, .. }) = editable {
            assert_eq!(text(span).as_deref(), Some(own.as_str()), "{occurrence:?}");
            assert!(occurrence.text.ends_with(&own), "{occurrence:?}");
        }
    }
    let ones = Digest::sha256(b"x");
    let read = |bytes: &[u8]| Dockerfile.find(&Input::alone("Dockerfile", bytes));
    let edits: Vec<_> = found.occurrences.iter().filter_map(|found| pin(found, &ones)).collect();
    let pinned = splice(bytes, edits);
    let after = read(&pinned);
    assert_eq!(after.occurrences.len(), found.occurrences.len(), "{:?}", String::from_utf8_lossy(&pinned));
    for (before, after) in found.occurrences.iter().zip(&after.occurrences) {
        let text = if before.seat().is_some() {
            format!("{}@{ones}", before.text.split('@').next().unwrap_or_default())
        } else {
            before.text.clone()
        };
        assert!(after.text == text || before.seat().is_some_and(|seat| seat.text.is_empty()), "{before:?} {after:?}");
    }
}

/// A digest behind what stands in an image's place; tags are left out, for they change nothing here.
fn pin(found: &Occurrence, digest: &Digest) -> Option<(Span, String)> {
    let seat = found.seat()?;
    let own = seat.text.split('@').next().unwrap_or_default();
    (!own.is_empty()).then(|| (seat.span, format!("{own}@{digest}")))
}

fn splice(bytes: &[u8], mut edits: Vec<(Span, String)>) -> Vec<u8> {
    edits.sort();
    edits.dedup();
    let mut result = Vec::new();
    let mut at = 0;
    for (span, text) in edits {
        result.extend_from_slice(&bytes[at..span.start]);
        result.extend_from_slice(text.as_bytes());
        at = span.end;
    }
    result.extend_from_slice(&bytes[at..]);
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn near_dockerfiles_are_read_and_pinned(text in dockerfiles()) {
        holds(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&bytes);
    }
}
