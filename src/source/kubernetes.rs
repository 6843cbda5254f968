//! Kubernetes objects in YAML and JSON, rendered or as templates of Helm, and everything else that is pod-shaped.
//! It searches no embedded text (a manifest inside a `ConfigMap`) and no `CustomResourceDefinition`.
//!
//! Longer than most files: half of it is the table of spellings that readers disagree on.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::source::filter::Filter;
use crate::source::page::Page;
use crate::source::place::{self, Hit, Shape};
use crate::source::{Format, Found, Input, Kinds, Occurrence, RunAs, Subject, Unread};
use crate::source::{custom_resource, pod, run_as, stream, template};
use crate::span::{LineIndex, Span};
use crate::yaml::{self, Broken, Budget, Document, Kind, Style, Tree};

/// The format.
pub(crate) struct Kubernetes;

/// The format's id.
pub(crate) const ID: &str = "kubernetes";

impl Format for Kubernetes {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
    }

    fn find(&self, input: &Input<'_>) -> Found {
        let (bytes, kinds) = (input.bytes, input.kinds);
        let own = (!kinds.is_empty()).then(|| Filter::of(kinds.last_keys()));
        let wanted = |bytes: &[u8]| could_hold_reference(bytes) || own.as_ref().is_some_and(|own| own.passes(bytes));
        let mut search = Search { bytes, kinds, lines: LineIndex::new(bytes), found: Found::default() };
        match yaml::documents_where(bytes, &wanted) {
            Ok(documents) => documents.for_each(|document| search.document(&document)),
            Err(error) => search.unread(0, error.to_string(), true),
        }
        search.found
    }
}

struct Search<'a> {
    bytes: &'a [u8],
    kinds: &'a Kinds,
    lines: LineIndex<'a>,
    found: Found,
}

impl Search<'_> {
    fn unread(&mut self, offset: usize, reason: String, could_hold_reference: bool) {
        let place = self.lines.place(offset);
        self.found.unread.push(Unread { place, reason, could_hold_reference });
    }

    fn document(&mut self, document: &Document<'_>) {
        let bytes = document.span.of(self.bytes).unwrap_or_default();
        let text = str::from_utf8(bytes).unwrap_or_default();
        self.other_marker(document, bytes);
        match &document.tree {
            Ok(tree) if reads_as_template(tree, text, document.span.start) => match template::mask(text) {
                Some(masked) => {
                    self.template(document, &masked, Ok(tree));
                    self.other_line_ends(document, tree, text);
                }
                None => self.plain(document, tree, text),
            },
            Ok(tree) => self.plain(document, tree, text),
            Err(broken) => match template::mask(text) {
                Some(masked) => {
                    // a more lenient reader may see what was taken for an action
                    if let Some(action) = masked.masks.iter().find(|action| could_be_content(action.of(bytes))) {
                        let reason = format!("{}, and an action of a template that may hold a key", broken.reason);
                        self.unread(document.span.start + action.start, reason, true);
                    }
                    self.template(document, &masked, Err(broken));
                }
                None => self.unread(broken.offset, broken.reason.clone(), could_hold_reference(bytes)),
            },
        }
    }

    fn plain(&mut self, document: &Document<'_>, tree: &Tree<'_>, text: &str) {
        self.tree(document.index, tree, None);
        self.other_line_ends(document, tree, text);
    }

    /// Adds what a tree holds; tells whether one of its keys is written by a template.
    fn tree(&mut self, document: usize, tree: &Tree<'_>, template: Option<(&template::Masked, usize, bool)>) -> bool {
        let hits = pod::find(tree, self.kinds);
        let mut page = Page::new(ID, document, self.bytes, &self.lines, tree);
        if let Some((masked, base, parses)) = template {
            page = page.of_template(masked, base, parses);
        }
        let nodes: Vec<_> = hits.hits.iter().map(|hit| (hit.node, hit.at)).collect();
        let shared = place::shared(tree, &nodes);
        let mut occurrences: Vec<Occurrence> = hits
            .hits
            .iter()
            .map(|hit| (hit, page.occurrence(hit)))
            .map(|(hit, mut occurrence)| {
                if shared.contains(&hit.node) {
                    let reason = "an alias of it stands where no image does";
                    occurrence.uneditable.get_or_insert_with(|| reason.to_owned());
                }
                (hit, occurrence)
            })
            .filter(|(hit, occurrence)| !is_harmless(hit, occurrence))
            .map(|(_, occurrence)| occurrence)
            .collect();
        stream::sort(&mut occurrences);
        let doubled = stream::doubled(tree);
        for occurrence in &mut occurrences {
            if occurrence.span.is_some_and(|span| stream::is_within(&doubled, span)) {
                occurrence.uneditable.get_or_insert_with(|| stream::DOUBLED.to_owned());
                // readers of JSON may take a part from each of them
                occurrence.run_as = Some(Box::new(run_as::unknown(stream::DOUBLED)));
            }
        }
        let masked_key = template.is_some()
            && tree.ids().any(|id| match &tree.node(id).kind {
                Kind::Mapping(pairs) => pairs.iter().any(|(key, _)| !tree.is_alias(*key) && page.is_masked(*key)),
                _ => false,
            });
        self.found.occurrences.extend(occurrences);
        if let Some(key) = hits.tagged_key {
            let reason = "a key with an explicit tag, which may make another key of it".to_owned();
            self.unread(tree.node(key).span.start, reason, true);
        }
        if let Some((node, exhausted)) = hits.spent {
            self.unread(tree.node(node).span.start, exhausted.to_string(), true);
        }
        masked_key
    }

    /// Adds the images of a document that parses as it stands and that its reading as a template does not show: whoever
    /// renders nothing sees them. `known` is how many occurrences there were before the document.
    fn within_actions(&mut self, document: usize, tree: &Tree<'_>, known: usize) {
        let seen: BTreeSet<Option<Span>> = self.found.occurrences[known..].iter().map(|found| found.span).collect();
        let page = Page::new(ID, document, self.bytes, &self.lines, tree);
        let hits = pod::find(tree, self.kinds).hits;
        let mut more: Vec<Occurrence> = hits
            .iter()
            .map(|hit| page.occurrence(hit))
            .filter(|found| matches!(found.subject, Subject::Image(_)) && !seen.contains(&found.span))
            .collect();
        for found in &mut more {
            found.uneditable = Some("it stands in an action of a template".to_owned());
        }
        self.found.occurrences.extend(more);
        if hits.iter().any(|hit| hit.run_as.is_some()) {
            for found in &mut self.found.occurrences[known..] {
                found.run_as = Some(Box::new(run_as::unknown("what a template makes of it")));
            }
        }
        self.found.occurrences[known..].sort_by(|a, b| (a.span, &a.path).cmp(&(b.span, &b.path)));
        self.found
            .occurrences
            .dedup_by(|a, b| (a.document, a.span, &a.path, &a.run_as) == (b.document, b.span, &b.path, &b.run_as));
    }

    /// A document that does not parse, or only by accident, read without its actions.
    fn template(&mut self, document: &Document<'_>, masked: &template::Masked, read: Result<&Tree<'_>, &Broken>) {
        const RENDER: &str = "render it first, for example `helm template … | plimsoll check -`";
        let start = document.span.start;
        match yaml::parse_text(&masked.text, start) {
            Ok(tree) => {
                let known = self.found.occurrences.len();
                let masked_key = self.tree(document.index, &tree, Some((masked, start, read.is_ok())));
                if let Ok(plain) = read {
                    self.within_actions(document.index, plain, known);
                }
                let texts = read.map_or_else(|_| Vec::new(), quoted);
                let inside = |action: &Span| {
                    let at = texts.partition_point(|text| text.end <= start + action.start);
                    texts.get(at).is_some_and(|text| text.start <= start + action.start)
                };
                let first_key = if masked_key { masked.masks.first() } else { None };
                if let Some(action) = masked.emits.iter().find(|action| !inside(action)).or(first_key) {
                    let reason = format!("a template: an action in it may write any lines or keys; {RENDER}");
                    self.unread(start + action.start, reason, true);
                }
            }
            Err(inner) => {
                let offset = match read {
                    Ok(tree) => {
                        self.tree(document.index, tree, None);
                        inner.offset
                    }
                    Err(broken) => broken.offset,
                };
                let reason =
                    format!("a template that is no YAML even without its actions ({}); {RENDER}", inner.reason);
                self.unread(offset, reason, true);
            }
        }
    }

    /// kubectl splits a stream before it reads YAML, also at `---` and white space beyond ASCII or a comment at once
    /// (apimachinery, `YAMLReader`), Helm at `---` and anything: what YAML takes for one text holds documents to them.
    fn other_marker(&mut self, document: &Document<'_>, bytes: &[u8]) {
        if let Some(at) = false_marker(bytes).filter(|_| could_hold_reference(bytes)) {
            let reason = "a line with `---` in front that some readers take for the end of a document".to_owned();
            self.unread(document.span.start + at, reason, true);
        }
    }

    /// Readers of YAML 1.1, Go's among them, end a line at U+0085, U+2028 and U+2029, readers of 1.2 do not: what one
    /// takes for a comment is content to the other. Where the two readings name different images, the document is unread.
    fn other_line_ends(&mut self, document: &Document<'_>, tree: &Tree<'_>, text: &str) {
        let Some(first) = stream::other_line_end(text.as_bytes()) else { return };
        let other = stream::with_other_line_ends(text);
        // what does not parse so, kubectl may still read: its parser is more lenient, and takes the first of several
        let differs = match yaml::parse_text(&other, document.span.start) {
            Ok(other) => places(tree, self.kinds) != places(&other, self.kinds),
            Err(_) => could_hold_reference(text.as_bytes()),
        };
        if differs {
            let reason = "a line end that readers of YAML 1.1 and 1.2 do not agree on: they see different images here";
            self.unread(document.span.start + first, reason.to_owned(), true);
        }
    }
}

/// Where a line begins with `---` that is no marker to YAML.
fn false_marker(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        if line.strip_prefix(b"---").is_some_and(|rest| !matches!(rest, [] | [b' ' | b'\t' | b'\n' | b'\r', ..])) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// Whether what was taken for an action could hold a key of a place, or what could hide one, for a reader that renders
/// nothing. A colon in an action stands before `=` or in a text.
fn could_be_content(action: Option<&[u8]>) -> bool {
    const KEYS: [&str; 3] = ["image", "ontainers", "reference"];
    const HIDING: [&str; 6] = ["\\x", "\\u", "\\U", "!!", "!<", "*"];
    let text = action.map_or(Cow::Borrowed(""), String::from_utf8_lossy);
    let is_key = |rest: &str| {
        let rest = rest.trim_start_matches(|found: char| found.is_whitespace() || matches!(found, '"' | '\''));
        rest.starts_with(':') && !rest.starts_with(":=")
    };
    let key = |name: &&str| text.match_indices(*name).any(|(at, _)| is_key(&text[at + name.len()..]));
    let bare = text.replace("/*", "").replace("*/", "");
    KEYS.iter().any(key) || HIDING.iter().any(|hiding| bare.contains(hiding))
}

/// What a reading of a document comes down to: the places, their texts, and their users.
fn places(tree: &Tree<'_>, kinds: &Kinds) -> BTreeSet<(String, String, Option<Box<RunAs>>)> {
    let text = |hit: &Hit| tree.scalar(hit.node).map_or_else(String::new, |scalar| scalar.value.to_string());
    pod::find(tree, kinds).hits.iter().map(|hit| (hit.path.clone(), text(hit), hit.run_as.clone())).collect()
}

/// A number or nothing where a container belongs hides no image.
fn is_harmless(hit: &Hit, occurrence: &Occurrence) -> bool {
    matches!(hit.shape, Shape::Wrong(_)) && matches!(occurrence.subject, Subject::NotAnImage { .. })
}

/// `{{ x }}` without quotes is a map in a map to YAML, and in a line below a text a part of it: such a document parses,
/// and means something else once it is rendered. In quotes and in blocks an action is text; in a comment it is not, for
/// what it writes may go on behind the comment's line.
fn reads_as_template(tree: &Tree<'_>, text: &str, base: usize) -> bool {
    if !text.contains("{{") {
        return false;
    }
    let texts = quoted(tree);
    text.match_indices("{{").any(|(at, _)| {
        let next = texts.partition_point(|span| span.end <= base + at);
        texts.get(next).is_none_or(|span| span.start > base + at)
    })
}

/// The spans of scalars in quotes and blocks, in order.
fn quoted(tree: &Tree<'_>) -> Vec<Span> {
    let is_text = |kind: &Kind<'_>| matches!(kind, Kind::Scalar(scalar) if scalar.style != Style::Plain);
    tree.ids().map(|id| tree.node(id)).filter(|node| is_text(&node.kind)).map(|node| node.span).collect()
}

/// Whether the bytes could hold an object of Kubernetes, which has a `kind` and an `apiVersion`, as text or hidden.
fn could_hold_object(bytes: &[u8]) -> bool {
    let holds = |name: &str| memchr::memmem::find(bytes, name.as_bytes()).is_some();
    // an escape for a letter: `"\x6bind"`, `"\u006bind"`
    let letter = |escape: &str| {
        memchr::memmem::find_iter(bytes, escape.as_bytes())
            .any(|at| matches!(bytes.get(at + escape.len()), Some(b'4'..=b'7')))
    };
    let hidden = letter("\\x") || letter("\\u00") || letter("\\U000000") || holds("!!") || holds("!<") || holds("%TAG");
    (holds("kind") && holds("apiVersion")) || hidden || str::from_utf8(bytes).is_err()
}

/// Whether a document of the file is an object of Kubernetes, as far as any reader may see one: `kind` and `apiVersion`
/// at its top. Values of a chart hold objects deeper down, which no cluster takes for its own.
pub(crate) fn holds_object(bytes: &[u8]) -> bool {
    if !could_hold_object(bytes) {
        return false;
    }
    // what YAML takes for one document may be several to others
    if false_marker(bytes).is_some() || stream::other_line_end(bytes).is_some() {
        return true;
    }
    let is_object = |document: Document<'_>| {
        let Ok(tree) = document.tree else { return true };
        let Some(root) = tree.root() else { return false };
        let Ok(entries) = tree.entries(root, &mut Budget::new()) else { return true };
        let has = |name: &str| entries.iter().any(|entry| entry.key == name);
        let tagged = entries.iter().any(|entry| tree.node(tree.resolve(entry.key_node)).tag.is_some());
        tagged || has("kind") && has("apiVersion")
    };
    yaml::documents(bytes).map_or(true, |mut documents| documents.any(is_object))
}

/// Whether a document with these bytes could name an image: it holds a key of a place, or what could hide one. What can
/// not is not parsed.
fn could_hold_reference(bytes: &[u8]) -> bool {
    static FILTER: LazyLock<Filter> = LazyLock::new(|| {
        // an action of a template writes what it likes; a byte order mark inside a text ends it for some readers
        let keys = ["image", "ontainers", "{{", "{%", "<%", "\u{feff}"];
        Filter::of(keys.into_iter().chain(custom_resource::last_keys()))
    });
    FILTER.passes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each occurrence and each unread document.
    fn show(text: &[u8]) -> Vec<String> {
        let found = Kubernetes.find(&Input::alone("x.yaml", text));
        let mut lines: Vec<String> = found
            .occurrences
            .iter()
            .map(|occurrence| {
                let state = match occurrence.subject {
                    Subject::Image(_) => "image",
                    Subject::Unresolvable { .. } => "undecided",
                    Subject::NotAnImage { .. } => "skipped",
                };
                let edit = if occurrence.uneditable.is_some() { " fixed" } else { "" };
                let span = occurrence.span.expect("one place");
                if edit.is_empty() && matches!(occurrence.subject, Subject::Image(_)) {
                    assert_eq!(span.of(text), Some(occurrence.text.as_bytes()));
                }
                format!("{} {} {state} {}{edit}", occurrence.document, occurrence.path, occurrence.text)
            })
            .collect();
        lines.extend(found.unread.iter().map(|unread| {
            let could = if unread.could_hold_reference { "undecided" } else { "fine" };
            format!("unread {}:{} {could}", unread.place.line, unread.place.column)
        }));
        lines
    }

    #[test]
    fn what_is_found() {
        let rows: [(&str, &[&str]); 35] = [
            ("d: |\n \u{2028} x\ncontainers: [{image:\u{2029} a}]\n", &["unread 2:2 undecided"]),
            ("spec:\n  a: b\n    {{- toYaml .c | nindent 2 }}\n", &["unread 3:5 undecided"]),
            ("a: echo {{ b }}\nc: |\n  {{ d }}\n  e\n", &[]),
            ("a: |\n  {{ b }}\ncontainers: [{image: c}]\n", &["0 containers[0].image image c"]),
            ("a: {{ it's }}\ncontainers: [{image: c}]\n", &["0 containers[0].image image c"]),
            ("a: x{{ b }}\ncontainers:\n- image: c\n", &["0 containers[0].image image c"]),
            ("a: {{{ b }}}\ncontainers: [{image: c:{{ d }}}]\n", &["0 containers[0].image undecided c:{{ d }} fixed"]),
            ("containers: [{image: a}]", &["0 containers[0].image image a"]),
            ("\u{feff}containers: [{image: \"a:1\"}]\r\n", &["0 containers[0].image image a:1"]),
            ("a: 1\n---\ncontainers: [{image: a}]", &["1 containers[0].image image a"]),
            ("image: [\n---\ncontainers: [{image: a}]", &["1 containers[0].image image a", "unread 1:8 undecided"]),
            ("a: [\n---\ncontainers: [{image: a}]", &["1 containers[0].image image a"]),
            ("containers: [{image: \"a\\x3a1\"}]", &["0 containers[0].image image a:1 fixed"]),
            ("containers: [{image: {a: b}}]", &["0 containers[0].image skipped  fixed"]),
            ("containers: [{image: !!binary YQ==}]", &["0 containers[0].image undecided YQ=="]),
            ("containers: [{image: !!str 5}]", &["0 containers[0].image image 5"]),
            ("containers: [{image: yes}]", &["0 containers[0].image image yes"]),
            ("containers: [{image: 0777}]", &["0 containers[0].image image 0777"]),
            ("containers: 3\ninitContainers:\nephemeralContainers: ''", &[]),
            ("containers: ${C}", &["0 containers undecided ${C}"]),
            ("!!binary aW1hZ2U= : a", &["unread 1:10 undecided"]),
            ("containers: [{image: '{{ .a }}'}]", &["0 containers[0].image undecided {{ .a }}"]),
            ("containers: [{image: {{ .a }}}]", &["0 containers[0].image undecided {{ .a }}"]),
            (
                "{{ if .a }}\ncontainers:\n- image: a:{{ .b }}\n- image: c\n{{ end }}\n",
                &["0 containers[0].image undecided a:{{ .b }} fixed", "0 containers[1].image image c fixed"],
            ),
            ("spec: {{ toYaml .a | nindent 2 }}\n", &["unread 1:7 undecided"]),
            ("spec:\n  {{ include \"x\" . }}\n", &["unread 2:3 undecided"]),
            ("{{ .k }}: a\n", &["unread 1:1 undecided"]),
            ("containers:\n- image: {{ if .a }}b{{ end }}\n", &["0 containers[0].image image b fixed"]),
            ("containers:\n- image: {{ if .a }}{{ end }}\n", &["0 containers[0].image undecided  fixed"]),
            ("{{ if }}\na: [\n{{ end }}", &["unread 2:1 undecided"]),
            ("# \u{2028}containers: [{image: a}]\nb: 1\n", &["unread 1:3 undecided"]),
            ("# \u{2028} # x\ncontainers: [{image: a}]\n", &["0 containers[0].image image a"]),
            ("# \u{2028} x\ncontainers: [{image: a}]\n", &["0 containers[0].image image a", "unread 1:3 undecided"]),
            (
                "x: &x {image: a}\ncontainers: [{image: b, <<: *x}]\n",
                &["0 containers[0].image image a", "0 containers[0].image image b"],
            ),
            (
                "{\n\t\"containers\": [{\"image\": \"a\"}]}\n{\"containers\": [{\"image\": \"b\"}]}",
                &["0 containers[0].image image a", "1 containers[0].image image b"],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(show(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_never_nothing() {
        for text in [
            &b"\xff\xfei\0m\0"[..],
            b"a: \xe9 image",
            b"image\0: x",
            b"a: b\n\xef\xbb\xbfimage: c",
            format!("{}image", "[".repeat(1_000)).as_bytes(),
        ] {
            let found = Kubernetes.find(&Input::alone("x.yaml", text));
            assert_eq!(found.unread.len(), 1, "{text:?}");
            assert!(found.unread[0].could_hold_reference, "{text:?}");
        }
    }

    /// As whom each image is run: `user`, with `!` behind it where root is refused and `?` where that is switched off.
    fn users(text: &str) -> Vec<String> {
        let found = Kubernetes.find(&Input::alone("x.yaml", text.as_bytes()));
        let said = found.occurrences.iter().map(|occurrence| match occurrence.run_as.as_deref() {
            None => "-".to_owned(),
            Some(RunAs { user, non_root }) => {
                let mark = non_root.map_or("", |refused| if refused { "!" } else { "?" });
                format!("{}{mark}", user.as_deref().unwrap_or_default())
            }
        });
        said.collect()
    }

    /// A pod whose `securityContext`s say this, as flow maps.
    fn pod_of(pod: &str, container: &str) -> String {
        format!("kind: Pod\nspec:\n  {pod}\n  containers:\n  - image: a\n    {container}\n")
    }

    #[test]
    fn what_counts_for_a_container_is_its_own_word_and_then_its_pods() {
        let context = |inner: &str| format!("securityContext: {{{inner}}}");
        for (pod, container, expected) in [
            ("", "", "-"),
            ("runAsUser: 1000", "", "1000"),
            ("", "runAsUser: 0", "0"),
            ("runAsUser: 1000", "runAsUser: 0", "0"),
            ("runAsUser: 0", "runAsUser: 1000", "1000"),
            ("runAsUser: 0, runAsNonRoot: true", "runAsUser: 1000", "1000!"),
            ("runAsUser: 1000, runAsNonRoot: true", "runAsNonRoot: false", "1000?"),
            ("runAsNonRoot: true", "", "!"),
            ("runAsUser: 1000", "runAsUser: null", "1000"),
            ("runAsUser: 1000", "runAsUser:", "1000"),
            ("windowsOptions: {runAsUserName: x}", "seLinuxOptions: {user: y}", "-"),
            ("runAsGroup: 5", "runasuser: 0", "-"),
            // what a cluster refuses, or readers see in two ways, is no user
            ("", "runAsUser: '1000'", "\"1000\""),
            ("", "runAsUser: \"1000\"", "\"1000\""),
            ("", "runAsUser: !!str 1000", "tag:yaml.org,2002:str \"1000\""),
            ("", "runAsUser: 1000.0", "1000.0"),
            ("", "runAsUser: 1e3", "1e3"),
            ("", "runAsUser: 0x0", "0x0"),
            ("", "runAsUser: 0000", "0000"),
            ("", "runAsUser: {a: 1}", "(a map or a list)"),
            ("", "runAsUser: [1000]", "(a map or a list)"),
            ("", "runAsUser: $UID", "$UID"),
            ("", "runAsUser: '{{ .Values.uid }}'", "\"{{ .Values.uid }}\""),
            ("", "runAsUser: 1000, runAsUser: 0", "(0, or 1000)"),
            ("", "runAsUser: 0, runAsUser: 1000", "(0, or 1000)"),
            ("", "runAsUser: 1000, runAsUser: 1000", "1000"),
            ("runAsUser: 0", "runAsUser: 1000, runAsUser:", "(0, or 1000)"),
            ("runAsNonRoot: true, runAsNonRoot: false", "", "-"),
            ("runAsNonRoot: 'true'", "", "-"),
            ("runAsNonRoot: yes", "", "-"),
            ("runAsNonRoot: true", "runAsNonRoot: $X", "-"),
        ] {
            assert_eq!(users(&pod_of(&context(pod), &context(container))), [expected], "{pod} | {container}");
        }
    }

    #[test]
    fn users_are_found_wherever_containers_are() {
        let twice = "securityContext: {runAsUser: 1000}, securityContext: {runAsNonRoot: true}";
        for (text, expected) in [
            (pod_of("securityContext:", "securityContext: ~"), vec!["-"]),
            (pod_of("securityContext: x", ""), vec!["x"]),
            (pod_of("securityContext: 'x'", "securityContext: {runAsUser: 5}"), vec!["5"]),
            (pod_of("securityContext: [x]", ""), vec!["(a map or a list)"]),
            (format!("spec: {{{twice}, containers: [{{image: a}}]}}"), vec!["(nothing, or 1000)"]),
            (
                "spec: {securityContext: {runAsUser: 7}, initContainers: [{image: a}], containers: [{image: b}], \
                 ephemeralContainers: [{image: c, securityContext: {runAsUser: 0}}], \
                 volumes: [{image: {reference: d}}]}"
                    .to_owned(),
                vec!["7", "7", "0", "-"],
            ),
            (
                "items: [{spec: {template: {spec: {securityContext: {runAsUser: 7}, containers: [{image: a}]}}}}, \
                 {spec: {containers: [{image: b}]}}]"
                    .to_owned(),
                vec!["7", "-"],
            ),
            (
                "x: &x {runAsUser: 7}\nspec: {securityContext: *x, containers: [{image: a}, \
                 {image: b, securityContext: {<<: *x, runAsUser: 8}}, {image: c, securityContext: {runAsUser: 8, <<: *x}}]}"
                    .to_owned(),
                vec!["7", "8", "(7, or 8)"],
            ),
            (
                "x: &x {securityContext: {runAsUser: 7}}\nspec: {<<: *x, containers: [{image: a}, {image: b, <<: *x}]}"
                    .to_owned(),
                vec!["7", "7"],
            ),
            // several pods share a list of containers, and run it as different users
            (
                "x: &x [{image: a}]\nspec: {containers: *x, securityContext: {runAsUser: 7}}\n\
                 spec: {containers: *x, securityContext: {runAsUser: 0}}"
                    .to_owned(),
                vec!["0", "7"],
            ),
        ] {
            assert_eq!(users(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_user_that_stands_elsewhere_is_not_known_to_be_an_images() {
        const ELSEWHERE: &str = "(what `runAsUser` elsewhere in the document comes to)";
        let task = "apiVersion: tekton.dev/v1\nkind: Task\n";
        let workflow = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n";
        for (text, expected) in [
            (format!("{task}spec: {{steps: [{{image: a}}]}}"), vec!["-"]),
            (format!("{task}spec: {{steps: [{{image: a, securityContext: {{runAsUser: 1000}}}}]}}"), vec![ELSEWHERE]),
            (
                format!("{task}spec: {{stepTemplate: {{securityContext: {{runAsUser: 0}}}}, steps: [{{image: a}}]}}"),
                vec![ELSEWHERE],
            ),
            (
                format!(
                    "{workflow}spec: {{securityContext: {{runAsUser: 0}}, templates: [{{initContainers: [{{image: a}}, \
                         {{image: b, securityContext: {{runAsUser: 5}}}}], container: {{image: c}}}}]}}"
                ),
                vec![ELSEWHERE, "5", ELSEWHERE],
            ),
        ] {
            assert_eq!(users(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_user_that_readers_see_in_two_ways_is_not_known() {
        const TEMPLATE: &str = "(what a template makes of it)";
        let doubled = format!("({})", stream::DOUBLED);
        for (text, expected) in [
            (
                r#"{"spec": {"containers": [{"image": "a"}], "securityContext": {"runAsUser": 1000}}, "spec": {}}"#,
                doubled.as_str(),
            ),
            ("{{ if .a }}\nsecurityContext: {runAsUser: 1000}\n{{ end }}\ncontainers: [{image: a}]\n", TEMPLATE),
            ("securityContext: {runAsUser: 1000}\n{{ if .a }}\ncontainers: [{image: a}]\n{{ end }}\n", TEMPLATE),
            ("securityContext: {runAsUser: {{ .a }}}\ncontainers: [{image: a}]\n", TEMPLATE),
            ("securityContext: {{ .a | toJson }}\ncontainers: [{image: a}]\n", TEMPLATE),
            ("securityContext:\n  {{- toYaml .a | nindent 2 }}\ncontainers: [{image: a}]\n", TEMPLATE),
            ("containers:\n- image: a\n  # {{ \"\n  securityContext: {runAsUser: 0}\n  # \" }}\n", TEMPLATE),
            ("{{ if .a }}\ncontainers: [{image: a}]\n{{ end }}\n", "-"),
        ] {
            assert_eq!(users(text), [expected], "{text}");
        }
        let hidden = "containers: [{image: a}]\n# \u{2028}securityContext: {runAsUser: 0}\n";
        assert_eq!(show(hidden.as_bytes()), ["0 containers[0].image image a", "unread 2:3 undecided"]);
    }

    #[test]
    fn urls_of_registries_lose_their_scheme() {
        let text =
            "apiVersion: cdi.kubevirt.io/v1\nkind: DataVolume\nspec: {source: {registry: {url: \"docker://a/b:1\"}}}\n";
        assert_eq!(show(text.as_bytes()), ["0 spec.source.registry.url image a/b:1"]);
    }

    #[test]
    fn ignores_stand_on_the_line_or_alone_above_it() {
        let text =
            "containers:\n# plimsoll: ignore[a, b] why\n- image: x\n- image: y # plimsoll: ignore[c]\n- image: z\n";
        let ignores: Vec<Vec<String>> = Kubernetes
            .find(&Input::alone("x.yaml", text.as_bytes()))
            .occurrences
            .iter()
            .map(|occurrence| occurrence.ignores.iter().map(|ignore| ignore.rule.clone()).collect())
            .collect();
        assert_eq!(ignores, [vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()], vec![]]);
    }

    #[test]
    fn objects_stand_at_the_top_of_a_document() {
        for (text, holds) in [
            ("kind: Pod\napiVersion: v1\n", true),
            ("a: 1\n---\n{kind: Pod, apiVersion: v1}\n", true),
            ("x: &x {kind: Pod}\n<<: *x\napiVersion: v1\n", true),
            ("\"\\x6bind\": Pod\napiVersion: v1\n", true),
            ("!!binary a2luZA==: Pod\napiVersion: v1\n", true),
            ("extra: [{kind: Pod, apiVersion: v1}]\n# {{ x }}\n", false),
            ("kind: a\nb: {apiVersion: v1}\n", false),
            ("a: |\n  x\n---#\nkind: Pod\napiVersion: v1\n", true),
            ("kind: [\napiVersion: v1\n", true),
            ("a: 1\n", false),
        ] {
            assert_eq!(holds_object(text.as_bytes()), holds, "{text}");
        }
    }

    #[test]
    fn claims_by_ending() {
        for (path, claimed) in
            [("a/b.yaml", true), ("b.YML", true), ("x.json", true), ("x.yaml.tpl", false), ("yaml", false)]
        {
            assert_eq!(Kubernetes.claims(path), claimed, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "containers:\n", "- image: a\n", "  ", "{{ x }}", "{{ if }}", "{{", "}}", "image: ", "- ", "&a ", "*a", "<<: ",
            "\n", "---\n", "{", "}", "[", "]", ",", "\"", "'", "volumes: ", "reference: ", "\u{2028}", "é", "spec: ", "x", "\r\n",
            "apiVersion: tekton.dev/v1\n", "kind: Task\n", "# plimsoll: ignore[a] b\n", ">-\n",
        ]), 0..60)) {
            let text = tokens.concat();
            let found = Kubernetes.find(&Input::alone("x.yaml", text.as_bytes()));
            for occurrence in found.occurrences {
                let span = occurrence.span.expect("one place");
                proptest::prop_assert!(span.of(text.as_bytes()).is_some());
                if occurrence.uneditable.is_none() {
                    proptest::prop_assert_eq!(&text[span.start..span.end], occurrence.text);
                }
            }
        }
    }
}
