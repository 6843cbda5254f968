//! `devcontainer.json`: the image of a development container, its Dockerfile and its Compose files (containers.dev,
//! "Dev Container metadata reference"). It is JSON with comments and trailing commas: both are blotted out byte for byte, so
//! that the JSON reader sees the rest at its own place; what does not read so is unread, though the real reader forgives it.
//!
//! Variables count as the reference has them: `${localEnv:NAME:default}` gives its default, up to the next colon; all others
//! are not known. Not found: Features, which are archives of scripts and no container images, caches (`cacheFrom`), build
//! arguments, and commands.

use std::collections::BTreeMap;

use crate::source::page::parse_ignore;
use crate::source::place::{Hit, Path, Shape};
use crate::source::stream::{self, Sheet};
use crate::source::{Format, Found, Ignore, Input, Occurrence, Role, Subject, Unread, select, subject};
use crate::span::{LineIndex, Span};
use crate::yaml::{Budget, NodeId};

/// The format.
pub(crate) struct Devcontainer;

const ID: &str = "devcontainer";

/// The last keys of its places.
const KEYS: [&str; 7] = ["image", "dockerfile", "dockerFile", "dockerComposeFile", "mounts", "runArgs", "options"];

impl Format for Devcontainer {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        matches!(name.as_str(), "devcontainer.json" | ".devcontainer.json")
    }

    fn find(&self, input: &Input<'_>) -> Found {
        let masked = mask(input.bytes);
        let mut found = stream::read(&input.with(&masked.bytes), ID, &KEYS, &mut document);
        let lines = LineIndex::new(input.bytes);
        let ignores = ignores(input.bytes, &masked.comments, &lines);
        for occurrence in &mut found.occurrences {
            occurrence.ignores = ignores.get(&occurrence.place.line).cloned().unwrap_or_default();
        }
        let odd = |span: &&Span| span.of(input.bytes).is_some_and(|bytes| stream::other_line_end(bytes).is_some());
        if let Some(comment) = masked.comments.iter().find(odd) {
            let reason = "a comment with a line end that not all readers take for one: they see different images here";
            let place = lines.place(comment.start);
            found.unread.push(Unread { place, reason: reason.to_owned(), could_hold_reference: true });
        }
        found
    }
}

fn document(sheet: &mut Sheet<'_, '_>) {
    let Some(root) = sheet.tree.root() else { return };
    let mut budget = Budget::new();
    let mut places: Vec<(&str, String, NodeId)> = Vec::new();
    for path in [
        "image",
        "build.dockerfile",
        "dockerFile",
        "dockerComposeFile",
        "dockerComposeFile[]",
        "mounts[]",
        "runArgs[]",
        "build.options[]",
    ] {
        let mut each = |at_path: &Path<'_>, at: NodeId| places.push((path, at_path.to_string(), at));
        if let Err(spent) = select::visit(sheet.tree, root, path, &mut budget, &mut each) {
            sheet.places.spent = Some(spent);
            break;
        }
    }
    for (kind, path, at) in places {
        let hit = Hit { path, node: sheet.tree.resolve(at), at, shape: Shape::Right, role: Role::Build, run_as: None };
        let text = sheet.tree.scalar(at).filter(|scalar| scalar.style != crate::yaml::Style::Plain);
        let text = text.map(|scalar| scalar.value.to_string());
        match (kind, text) {
            ("image", text) => {
                let mut found = sheet.page.occurrence(&hit);
                if let Some(text) = text {
                    put_in(&mut found, &text);
                }
                sheet.push(&hit, found);
            }
            ("mounts[]", None) => mount(sheet, &mut budget, &hit),
            ("mounts[]" | "runArgs[]" | "build.options[]", Some(text)) => argument(sheet, &hit, &text),
            ("build.dockerfile" | "dockerFile", Some(text)) => lead(sheet, &hit, &text, "dockerfile"),
            (_, Some(text)) => lead(sheet, &hit, &text, "compose"),
            (_, None) => {}
        }
    }
    sheet.pointers.sort_by_key(|pointer| pointer.place);
}

/// Puts the variables into an image's text.
fn put_in(found: &mut Occurrence, text: &str) {
    match resolve(text) {
        None => {}
        Some(Err(reason)) => found.subject = Subject::Unresolvable { reason },
        Some(Ok((text, assumes))) => {
            found.subject = subject::string(&text);
            if matches!(found.subject, Subject::Image(_)) {
                found.text = text;
                found.assumes = Some(assumes);
                let reason = "a variable composes it; write the image here";
                found.uneditable = Some(reason.to_owned());
            }
        }
    }
}

/// Hands over a file that is named relative to this one.
fn lead(sheet: &mut Sheet<'_, '_>, hit: &Hit, text: &str, format: &'static str) {
    let unknown = |sheet: &mut Sheet<'_, '_>, reason: String| {
        let mut found = sheet.page.occurrence(hit);
        found.subject = Subject::Unresolvable { reason };
        sheet.push(hit, found);
    };
    let path = match resolve(text) {
        None => text.to_owned(),
        Some(Ok((text, _))) => text,
        Some(Err(reason)) => return unknown(sheet, format!("a file that is not known: {reason}")),
    };
    let drive = path.as_bytes().get(1) == Some(&b':');
    if drive || path.starts_with(['/', '\\', '~']) || path.contains("{{") {
        return unknown(
            sheet,
            "a file that is not in this repository; the images that it names are not known".to_owned(),
        );
    }
    let path = path.strip_prefix("./").map_or(path.as_str(), |rest| rest.trim_start_matches('/'));
    sheet.point(hit.at, path, false, format);
}

/// A mount that is written as a map.
fn mount(sheet: &mut Sheet<'_, '_>, budget: &mut Budget, hit: &Hit) {
    let text = |at: NodeId| sheet.tree.scalar(at).map(|scalar| scalar.value.as_ref());
    let Ok(entries) = sheet.tree.entries(hit.node, budget) else {
        sheet.places.spent.get_or_insert((hit.node, crate::yaml::Exhausted));
        return;
    };
    if !entries.iter().any(|entry| entry.key == "type" && text(entry.value) == Some("image")) {
        return;
    }
    for source in entries.iter().filter(|entry| entry.key == "source" && text(entry.value).is_some()) {
        let path = format!("{}.source", hit.path);
        let node = sheet.tree.resolve(source.value);
        let source = Hit { path, node, at: source.value, shape: Shape::Right, role: hit.role, run_as: None };
        let mut found = sheet.page.occurrence(&source);
        let text = found.text.clone();
        put_in(&mut found, &text);
        sheet.push(&source, found);
    }
}

/// An argument for `docker run` or `docker build` that names an image: `type=image,source=…`, `name=docker-image://…`.
fn argument(sheet: &mut Sheet<'_, '_>, hit: &Hit, text: &str) {
    const SCHEME: &str = "docker-image://";
    let mount = text.strip_prefix("--mount=").unwrap_or(text);
    let field = |name: &str| {
        let mut fields = mount.split(',').map(|field| field.trim_matches('"'));
        fields.find_map(|field| {
            let (key, value) = field.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then_some(value)
        })
    };
    let image = match text.find(SCHEME) {
        Some(at) => Some(&text[at + SCHEME.len()..]),
        None if field("type") == Some("image") => field("source").or_else(|| field("src")),
        None => None,
    };
    let Some(image) = image else { return };
    let mut found = sheet.page.occurrence(hit);
    found.subject = subject::string(image);
    image.clone_into(&mut found.text);
    if image.contains('$') {
        let image = image.to_owned();
        put_in(&mut found, &image);
    } else if let (None, Some(span)) = (&found.uneditable, found.span) {
        let start = span.start + (image.as_ptr() as usize - text.as_ptr() as usize);
        found.span = Some(Span::new(start, start + image.len()));
        found.place = sheet.lines.place(start);
    }
    sheet.push(hit, found);
}

/// A text with its variables put in and what that assumes, or why it is not known; `None` where it holds none.
fn resolve(text: &str) -> Option<Result<(String, String), String>> {
    let (mut resolved, mut assumes, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, inside)) = rest.split_once("${") {
        let Some((variable, after)) = inside.split_once('}').filter(|(variable, _)| !variable.contains('\n')) else {
            break;
        };
        resolved.push_str(before);
        let mut parts = variable.split(':');
        let kind = parts.next().unwrap_or_default();
        match (kind, parts.next(), parts.next()) {
            ("localEnv" | "env", Some(name), Some(default)) => {
                resolved.push_str(default);
                assumes.push(format!("{name}={default}, its default"));
            }
            ("localEnv" | "env", Some(name), None) => {
                return Some(Err(format!("the variable {name} has no default")));
            }
            ("templateOption", Some(name), _) => {
                return Some(Err(format!("the option {name} of a template; whoever applies it chooses")));
            }
            _ => return Some(Err(format!("the variable {kind}, which is not known from this file"))),
        }
        rest = after;
    }
    resolved.push_str(rest);
    (!assumes.is_empty()).then(|| Ok((resolved, assumes.join("; "))))
}

/// A text with blanks in place of comments and trailing commas.
struct Masked {
    bytes: Vec<u8>,
    comments: Vec<Span>,
}

fn mask(bytes: &[u8]) -> Masked {
    let mut masked = bytes.to_vec();
    let mut comments = Vec::new();
    // a comma that nothing followed yet
    let mut comma = None;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match (bytes[at], bytes.get(at + 1)) {
            (b'"', _) => {
                comma = None;
                at += 1;
                while at < bytes.len() && !matches!(bytes[at], b'"' | b'\n' | b'\r') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                continue;
            }
            (b'/', Some(b'/')) => {
                at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len() - at);
            }
            (b'/', Some(b'*')) => {
                let inner = &bytes[at + 2..];
                at = inner.windows(2).position(|pair| pair == b"*/").map_or(bytes.len(), |end| at + 2 + end + 2);
            }
            (byte, _) => {
                match byte {
                    b',' => comma = Some(at),
                    b'}' | b']' => {
                        if let Some(comma) = comma.take() {
                            masked[comma] = b' ';
                        }
                    }
                    b' ' | b'\t' | b'\n' | b'\r' => {}
                    _ => comma = None,
                }
                at += 1;
                continue;
            }
        }
        comments.push(Span::new(start, at));
        masked[start..at].iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
    Masked { bytes: masked, comments }
}

/// The ignores by the line that they speak of: their own, and the next where the comment stands alone.
fn ignores(bytes: &[u8], comments: &[Span], lines: &LineIndex<'_>) -> BTreeMap<usize, Vec<Ignore>> {
    let mut found: BTreeMap<usize, Vec<Ignore>> = BTreeMap::new();
    for comment in comments {
        let text = comment.of(bytes).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default();
        let inner = text.get(2..).unwrap_or_default();
        let inner = if text.starts_with("/*") { inner.strip_suffix("*/").unwrap_or(inner) } else { inner };
        let rules = parse_ignore(inner);
        if rules.is_empty() || inner.contains(['\n', '\r']) {
            continue;
        }
        let line = lines.place(comment.start).line;
        let alone = lines.line(line).trim_ascii_start().starts_with(b"/");
        found.entry(if alone { line + 1 } else { line }).or_default().extend(rules);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_commas_are_blotted_out() {
        let rows = [
            ("{\"a\": 1, // x\n}", "{\"a\": 1      \n}"),
            ("[1, /* , */ ]", "[1          ]"),
            ("[1,,]", "[1, ]"),
            ("{\"a//b\": \"/* \\\" */\",}", "{\"a//b\": \"/* \\\" */\" }"),
            ("/* é\n*/{}", "     \n  {}"),
            ("/* open", "       "),
            ("\"open // x\n// y", "\"open // x\n    "),
            ("[1, 2]", "[1, 2]"),
        ];
        for (text, expected) in rows {
            let masked = mask(text.as_bytes()).bytes;
            assert_eq!(masked.len(), text.len());
            assert_eq!(String::from_utf8_lossy(&masked), expected, "{text}");
        }
    }

    #[test]
    fn variables_as_the_reference_has_them() {
        let text = |text: &str| resolve(text).map(|found| found.map(|found| found.0).ok());
        for (written, expected) in [
            ("a:1", None),
            ("a:$B", None),
            ("a:${", None),
            ("${localEnv:A:b}", Some(Some("b"))),
            ("x${env:A:}y${localEnv:B:c:d}z", Some(Some("xycz"))),
            ("${localEnv:A}", Some(None)),
            ("${localEnv}", Some(None)),
            ("${templateOption:a}", Some(None)),
            ("${localWorkspaceFolderBasename}", Some(None)),
        ] {
            assert_eq!(text(written), expected.map(|found| found.map(str::to_owned)), "{written}");
        }
    }

    #[test]
    fn ignores_in_comments() {
        let text = "{\n// plimsoll: ignore[a] b\n\"image\": \"x\",\n\"mounts\": [\"type=image,src=y\"] /* plimsoll: ignore[c] */}";
        let found = Devcontainer.find(&Input::alone("devcontainer.json", text.as_bytes()));
        let rules: Vec<&str> =
            found.occurrences.iter().flat_map(|found| &found.ignores).map(|ignore| ignore.rule.as_str()).collect();
        assert_eq!(rules, ["a", "c"]);
        let text = "{// \u{2028}\n\"image\": \"x\"}";
        assert_eq!(Devcontainer.find(&Input::alone("devcontainer.json", text.as_bytes())).unread.len(), 1);
    }

    #[test]
    fn claims_by_name() {
        for (path, claimed) in [
            (".devcontainer/devcontainer.json", true),
            (".devcontainer/go/devcontainer.json", true),
            (".devcontainer.json", true),
            ("devcontainer.json", true),
            (".devcontainer/devcontainer-lock.json", false),
            ("devcontainer-template.json", false),
        ] {
            assert_eq!(Devcontainer.claims(path), claimed, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"image\"", "\"x:1\"", "\"", "\\", "//", "/*", "*/", "\n", " ", "\"mounts\"", "é",
            "\"type=image,source=a\"", "\"${localEnv:A:b}\"", "\"build\"", "\"options\"", "docker-image://a", "\"dockerFile\"",
            "plimsoll: ignore[a] b", "\u{2028}", "\r\n", "{\"image\": \"a\"", "--- ",
        ]), 0..40)) {
            let text = tokens.concat();
            let found = Devcontainer.find(&Input::alone("devcontainer.json", text.as_bytes()));
            for occurrence in found.occurrences {
                let span = occurrence.span.expect("one place");
                if occurrence.seat().is_some() {
                    proptest::prop_assert_eq!(&text[span.start..span.end], occurrence.text);
                }
            }
        }
    }
}
