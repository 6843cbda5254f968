//! Kustomizations and components: `images`, patches inside the file, images set by `replacements` and transformers, and
//! the values of charts. What an entry leaves to the manifests can't be known here; what stands behind a URL neither.
//! Left out: generators, `vars`, and the charts and repositories that `helmCharts` names.
//!
//! kustomize reads keys in any case, as Go's JSON does, and refuses numbers where it wants a text.
//!
//! Longer than most files: a kustomization names images in six ways, and the tests of each stand below.

use crate::source::composed::{self, Draft, Field, Value};
use crate::source::page::Page;
use crate::source::place::{Hit, Path, Shape, Step};
use crate::source::stream::{self, Sheet};
use crate::source::{Format, Found, Input, Kinds, Occurrence, Role, Subject, embedded, pod, run_as, values};
use crate::span::LineIndex;
use crate::yaml::{self, Budget, Entry, NodeId, Tree};

/// The format.
pub(crate) struct Kustomize;

const ID: &str = "kustomize";

impl Format for Kustomize {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        // kustomize knows exactly three names; a file system that ignores case knows more
        matches!(name.to_ascii_lowercase().as_str(), "kustomization.yaml" | "kustomization.yml" | "kustomization")
    }

    fn find(&self, input: &Input<'_>) -> Found {
        // its keys may be written in any case: every broken document could hold one
        let found = stream::read(input, ID, &[""], &mut |sheet| {
            let Some(root) = sheet.tree.root() else { return };
            let mut look = Search { kinds: input.kinds, budget: Budget::new() };
            if sheet.tree.items(root).is_some() {
                let hits = patch_hits(sheet.tree, &mut look.budget);
                sheet.places.hits.extend(hits);
            } else if is_other_object(sheet.tree, root, &mut look.budget) {
                let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| input.path.ends_with(end));
                if !is_manifest || !has_key(sheet.tree, root, "apiVersion", &mut look.budget) {
                    sheet.places = pod::find(sheet.tree, input.kinds);
                }
            } else {
                look.kustomization(sheet, root);
            }
        });
        run_as::decided_elsewhere(found, "the manifests that it changes decide")
    }
}

/// An object of another kind: a patch in a file of its own.
fn is_other_object(tree: &Tree<'_>, root: NodeId, budget: &mut Budget) -> bool {
    let entries = tree.entries(root, budget).unwrap_or_default();
    let mut kinds = entries.iter().filter(|entry| fold(&entry.key) == "kind").peekable();
    let known = |at: NodeId| {
        tree.scalar(at).is_none_or(|scalar| ["", "Kustomization", "Component"].contains(&scalar.value.as_ref()))
    };
    kinds.peek().is_some() && kinds.all(|entry| !known(entry.value))
}

fn has_key(tree: &Tree<'_>, root: NodeId, key: &str, budget: &mut Budget) -> bool {
    tree.entries(root, budget).unwrap_or_default().iter().any(|entry| entry.key == key)
}

/// A key as Go's JSON compares it: without case, with two letters beyond ASCII that fold to ASCII ones.
fn fold(key: &str) -> String {
    key.chars()
        .map(|found| match found {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            _ => found.to_ascii_lowercase(),
        })
        .collect()
}

/// Patches' last keys: a broken text that holds none of them sets no image.
const PATCH_KEYS: [&str; 3] = ["image", "ontainers", "reference"];

struct Search<'k> {
    kinds: &'k Kinds,
    budget: Budget,
}

impl Search<'_> {
    fn entries<'t>(&mut self, sheet: &mut Sheet<'t, '_>, at: NodeId) -> Vec<Entry<'t>> {
        let tree = sheet.tree;
        match tree.fields(at, &mut self.budget) {
            Ok(entries) => entries,
            Err(exhausted) => {
                sheet.places.spent = Some((at, exhausted));
                Vec::new()
            }
        }
    }

    fn kustomization(&mut self, sheet: &mut Sheet<'_, '_>, root: NodeId) {
        let entries = self.entries(sheet, root);
        let mut drafts = Vec::new();
        for entry in &entries {
            let key = fold(&entry.key);
            let path = step("", &entry.key);
            let twice = entries.iter().filter(|other| fold(&other.key) == key).count() > 1;
            match key.as_str() {
                "images" | "imagetags" => self.images(sheet, entry.value, &path, twice, &mut drafts),
                "patches" | "patchesjson6902" | "patchesstrategicmerge" => self.patches(sheet, entry.value, &path),
                "replacements" => self.replacements(sheet, entry.value, &path),
                "transformers" | "generators" => self.transformers(sheet, entry.value, &path),
                "helmcharts" | "helmchartinflationgenerator" => self.charts(sheet, entry.value, &path),
                "resources" | "bases" | "components" => remote(sheet, entry.value, &path),
                _ => {}
            }
        }
        composed::settle(sheet, drafts);
    }

    fn images(&mut self, sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str, twice: bool, drafts: &mut Vec<Draft>) {
        const LIST: &str = "a map in place of the list of images, which kustomize refuses";
        let Some(items) = sheet.tree.items(at) else {
            if sheet.tree.is_mapping(at) {
                self.image(sheet, at, path, Some(LIST), twice, drafts);
            }
            return;
        };
        for (index, item) in items.iter().copied().enumerate() {
            let path = format!("{path}[{index}]");
            if sheet.tree.is_mapping(item) {
                self.image(sheet, item, &path, None, twice, drafts);
            } else if sheet.tree.scalar(item).is_some() {
                let shape = Shape::Wrong("a text in place of an entry, which kustomize refuses");
                push_word(sheet, item, path, shape);
            }
        }
    }

    /// One entry: `name[:newTag][@digest]` with `newName` in the name's place (kustomize, api/filters/imagetag).
    fn image(
        &mut self,
        sheet: &mut Sheet<'_, '_>,
        at: NodeId,
        path: &str,
        wrong: Option<&str>,
        twice: bool,
        drafts: &mut Vec<Draft>,
    ) {
        let entries = self.entries(sheet, at);
        for mut draft in entry(sheet.tree, sheet.page, &entries, path).unwrap_or_else(|| {
            sheet.unread_at(at, "too many keys stand twice here to tell which image is meant");
            Vec::new()
        }) {
            if let Some(reason) = wrong {
                draft.undecided(reason);
            }
            if twice {
                draft.fix(stream::DOUBLED);
            }
            drafts.push(draft);
        }
    }

    fn patches(&mut self, sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
        for (index, item) in sheet.tree.items(at).unwrap_or_default().iter().enumerate() {
            let path = format!("{path}[{index}]");
            if sheet.tree.scalar(*item).is_some() {
                self.patch_or_file(sheet, *item, &path);
            }
            for entry in self.entries(sheet, *item) {
                match fold(&entry.key).as_str() {
                    "patch" => self.patch(sheet, entry.value, &step(&path, &entry.key)),
                    "path" => file(sheet, entry.value, ID),
                    _ => {}
                }
            }
        }
    }

    /// `patchesStrategicMerge` takes the names of files, and patches.
    fn patch_or_file(&mut self, sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
        let is_patch = sheet.tree.scalar(at).is_some_and(|scalar| scalar.value.contains(['\n', '{', ':']));
        if is_patch { self.patch(sheet, at, path) } else { file(sheet, at, ID) }
    }

    fn patch(&mut self, sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
        let kinds = self.kinds;
        embedded::find(sheet, at, path, &PATCH_KEYS, &mut |tree, page| {
            let is_list = tree.root().is_some_and(|root| tree.items(root).is_some());
            let hits = if is_list { patch_hits(tree, &mut Budget::new()) } else { pod::find(tree, kinds).hits };
            embedded::hits(tree, page, &hits)
        });
    }

    /// `sourceValue` that goes to an `image` field. Sources elsewhere are left to the manifests that hold them.
    fn replacements(&mut self, sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
        for (index, item) in sheet.tree.items(at).unwrap_or_default().iter().enumerate() {
            let entries = self.entries(sheet, *item);
            let path = format!("{path}[{index}]");
            let targets = entries.iter().filter(|entry| fold(&entry.key) == "targets").map(|entry| entry.value);
            let mut to_image = false;
            for target in targets.collect::<Vec<_>>() {
                for target in sheet.tree.items(target).unwrap_or_default() {
                    for entry in self.entries(sheet, *target).iter().filter(|entry| fold(&entry.key) == "fieldpaths") {
                        let paths = sheet.tree.items(entry.value).unwrap_or_default().iter();
                        let mut texts = paths.filter_map(|path| sheet.tree.scalar(*path));
                        to_image |=
                            texts.any(|text| text.value.ends_with(".image") || text.value.ends_with("reference"));
                    }
                }
            }
            for entry in entries.iter().filter(|entry| to_image && fold(&entry.key) == "sourcevalue") {
                push_word(sheet, entry.value, step(&path, &entry.key), Shape::Right);
            }
        }
    }

    /// Transformers of kustomize's own that are written in the list; the others are files.
    fn transformers(&mut self, sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
        let kinds = self.kinds;
        for (index, item) in sheet.tree.items(at).unwrap_or_default().iter().enumerate() {
            let is_text = |text: &str| text.contains('\n') || text.contains(": ");
            if !sheet.tree.scalar(*item).is_some_and(|scalar| is_text(&scalar.value)) {
                continue;
            }
            let path = format!("{path}[{index}]");
            embedded::find(sheet, *item, &path, &PATCH_KEYS, &mut |tree, page| {
                let mut budget = Budget::new();
                let mut found = embedded::hits(tree, page, &pod::find(tree, kinds).hits);
                for entry_of in
                    tree.root().map(|root| tree.entries(root, &mut budget).unwrap_or_default()).unwrap_or_default()
                {
                    let path = step("", &entry_of.key);
                    match fold(&entry_of.key).as_str() {
                        "imagetag" => {
                            let entries = tree.entries(entry_of.value, &mut budget).unwrap_or_default();
                            for mut draft in entry(tree, page, &entries, &path).unwrap_or_default() {
                                draft.fix("it stands in a text inside the file: move it to `images`");
                                found.push(draft.occurrence);
                            }
                        }
                        "patch" | "patches" | "jsonop" => {
                            if let Some(scalar) = tree.scalar(entry_of.value) {
                                let place = tree.node(tree.resolve(entry_of.value)).span;
                                found.extend(nested(page, place.start, &path, &scalar.value, kinds));
                            }
                        }
                        _ => {}
                    }
                }
                found
            });
        }
    }

    fn charts(&mut self, sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
        for (index, item) in sheet.tree.items(at).unwrap_or_default().iter().enumerate() {
            let path = format!("{path}[{index}]");
            for entry in self.entries(sheet, *item) {
                match fold(&entry.key).as_str() {
                    "valuesinline" | "valueslocal" => values::find(sheet, entry.value, &step(&path, &entry.key)),
                    "valuesfile" | "values" => file(sheet, entry.value, "helm"),
                    "additionalvaluesfiles" => {
                        for item in sheet.tree.items(entry.value).unwrap_or_default() {
                            file(sheet, *item, "helm");
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// What one entry of `images` makes: nothing where it sets nothing, several where keys stand twice; `None` where too
/// many do.
fn entry(tree: &Tree<'_>, page: &Page<'_, '_>, entries: &[Entry<'_>], path: &str) -> Option<Vec<Draft>> {
    const NAMES: [(&str, &str); 5] = [
        ("name", "name"),
        ("newname", "newName"),
        ("newtag", "newTag"),
        ("digest", "digest"),
        ("tagsuffix", "tagSuffix"),
    ];
    let all = |name: &str| -> Vec<NodeId> {
        entries.iter().filter(|entry| fold(&entry.key) == name).map(|entry| entry.value).collect()
    };
    let lists: Vec<Vec<NodeId>> = NAMES.iter().map(|(folded, _)| all(folded)).collect();
    let doubled = lists.iter().any(|list| list.len() > 1);
    let mut drafts = Vec::new();
    for choice in composed::choices(&lists)? {
        let field = |index: usize| {
            let at: NodeId = choice[index]?;
            Some(Field::new(tree, NAMES[index].1, at)).filter(|field| field.value != Value::Nothing)
        };
        let (name, new_name, tag, digest, suffix) = (field(0), field(1), field(2), field(3), field(4));
        let Some(shown) = new_name.as_ref().or(name.as_ref()) else { continue };
        let ends = tag.is_some() || digest.is_some();
        if !ends && new_name.is_none() && suffix.is_none() {
            continue;
        }
        let pieces: Vec<(&str, &Field)> =
            [Some(("", shown)), tag.as_ref().map(|tag| (":", tag)), digest.as_ref().map(|digest| ("@", digest))]
                .into_iter()
                .flatten()
                .collect();
        let mut draft = composed::compose(tree, page, path.to_owned(), shown, &pieces);
        if !ends {
            draft.undecided("its tag is that of the manifests, which is not known from this file: set `newTag`, or render it with `kustomize build … | plimsoll check -`");
        }
        if new_name.is_none() {
            let text = shown.text();
            if text.contains(['*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '\\']) {
                draft.occurrence.subject = Subject::Unresolvable {
                    reason: "its name is a pattern, and fits more images than one: set `newName`".to_owned(),
                };
            } else if text.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) {
                draft.occurrence.subject = Subject::Unresolvable {
                    reason: "its name holds a tag or a digest, which is not part of a name: leave it out".to_owned(),
                };
            }
        }
        match (&digest, &tag) {
            (Some(digest), _) => draft.write_digest(tree, digest, false),
            (None, Some(tag)) => draft.write_behind(tree, tag),
            (None, None) => {}
        }
        if doubled {
            draft.fix(stream::DOUBLED);
        }
        drafts.push(draft);
    }
    Some(drafts)
}

/// A patch in a text that stands in a text itself: found at the place of the inner one, never edited.
fn nested(page: &Page<'_, '_>, at: usize, path: &str, text: &str, kinds: &Kinds) -> Vec<Occurrence> {
    let lines = LineIndex::new(text.as_bytes());
    let mut found = Vec::new();
    for document in yaml::documents(text.as_bytes()).into_iter().flatten() {
        let Ok(tree) = document.tree else { continue };
        let is_list = tree.root().is_some_and(|root| tree.items(root).is_some());
        let hits = if is_list { patch_hits(&tree, &mut Budget::new()) } else { pod::find(&tree, kinds).hits };
        let inner = page.within(text.as_bytes(), &lines, &tree);
        for mut occurrence in embedded::hits(&tree, &inner, &hits) {
            occurrence.place = page.lines().place(at);
            occurrence.span = None;
            occurrence.parts = Some(Vec::new());
            occurrence.uneditable = Some("it stands in a text inside a text: move it to `patches`".to_owned());
            let joint = if occurrence.path.starts_with('[') { "" } else { "." };
            occurrence.path = format!("{path}{joint}{}", occurrence.path);
            found.push(occurrence);
        }
    }
    found
}

/// The images that a JSON patch (RFC 6902) writes: what goes to a path that ends in `image`, and every `image` in what
/// goes elsewhere.
fn patch_hits(tree: &Tree<'_>, budget: &mut Budget) -> Vec<Hit> {
    let Some(items) = tree.root().and_then(|root| tree.items(root)) else { return Vec::new() };
    let mut hits = Vec::new();
    let deep = values::deep(tree);
    for (index, item) in items.iter().enumerate() {
        let entries = tree.entries(*item, budget).unwrap_or_default();
        let texts = |name: &str| -> Vec<String> {
            let of = entries.iter().filter(|entry| entry.key == name).filter_map(|entry| tree.scalar(entry.value));
            of.map(|scalar| scalar.value.to_string()).collect()
        };
        let operations = texts("op");
        if !operations.is_empty() && operations.iter().all(|op| op == "test" || op == "remove") {
            continue;
        }
        let to_image = texts("path").iter().any(|path| names_image(path));
        for entry in &entries {
            let path = format!("[{index}].{}", entry.key);
            let hit = |shape| Hit {
                path: path.clone(),
                node: tree.resolve(entry.value),
                at: entry.value,
                shape,
                role: Role::Run,
                run_as: None,
            };
            if entry.key == "value" {
                if to_image && tree.scalar(entry.value).is_some() {
                    hits.push(hit(Shape::Right));
                }
                let inside =
                    |found: &&Hit| found.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with(['.', '[']));
                hits.extend(deep.iter().filter(inside).cloned());
            } else if entry.key == "from" && to_image {
                hits.push(hit(Shape::Wrong("a copy of another field, whose value is not known from this file")));
            }
        }
    }
    hits
}

/// Whether a JSON pointer ends in an image's field, not in metadata.
fn names_image(pointer: &str) -> bool {
    let steps: Vec<String> = pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let (last, above) = match steps.as_slice() {
        [.., above, last] => (last.as_str(), above.as_str()),
        _ => return false,
    };
    let is_image = last == "image" || last == "reference" && above == "image";
    is_image && !["annotations", "labels", "matchLabels", "data", "stringData"].contains(&above)
}

/// Bases that lie elsewhere: what they bring runs, and is not in this repository.
fn remote(sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
    for (index, item) in sheet.tree.items(at).unwrap_or_default().iter().copied().enumerate() {
        let Some(scalar) = sheet.tree.scalar(item) else { continue };
        if !is_remote(&scalar.value) {
            continue;
        }
        let (path, node) = (format!("{path}[{index}]"), sheet.tree.resolve(item));
        let hit = Hit { path, node, at: item, shape: Shape::Right, role: Role::Run, run_as: None };
        let mut occurrence = sheet.page.occurrence(&hit);
        occurrence.subject = Subject::Unresolvable {
            reason: "a remote base: which images it brings is not known from this repository; render it with `kustomize build … | plimsoll check -`".to_owned(),
        };
        sheet.push(&hit, occurrence);
    }
}

/// As kustomize tells them apart: a URL, a host that it knows, or a repository with a query or a path inside.
fn is_remote(text: &str) -> bool {
    text.contains("://")
        || text.contains("?ref=")
        || text.contains(".git//")
        || ["git::", "git@", "github.com/", "github.com:", "gh:"].iter().any(|start| text.starts_with(start))
}

/// Hands a file over that a field names, where it is one of the repository.
fn file(sheet: &mut Sheet<'_, '_>, at: NodeId, format: &'static str) {
    let Some(path) = sheet.tree.scalar(at).map(|scalar| scalar.value.to_string()) else { return };
    if !path.is_empty() && !is_remote(&path) && !path.starts_with('/') && !path.contains(['{', '$', '\n']) {
        sheet.point(at, path, false, format);
    }
}

fn push_word(sheet: &mut Sheet<'_, '_>, at: NodeId, path: String, shape: Shape) {
    let hit = Hit { path, node: sheet.tree.resolve(at), at, shape, role: Role::Run, run_as: None };
    let occurrence = sheet.page.occurrence(&hit);
    sheet.push(&hit, occurrence);
}

/// A path with a key behind it.
fn step(path: &str, key: &str) -> String {
    let mut last = Path::default();
    last.within(Step::Key(key.into()));
    let key = last.to_string();
    let joint = if path.is_empty() || key.starts_with('[') { "" } else { "." };
    format!("{path}{joint}{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_the_names_that_kustomize_knows() {
        for (path, claimed) in [
            ("kustomization.yaml", true),
            ("overlays/prod/kustomization.yml", true),
            ("base/Kustomization", true),
            ("kustomization.json", false),
            ("my-kustomization.yaml", false),
            ("kustomization.yaml.bak", false),
        ] {
            assert_eq!(Kustomize.claims(path), claimed, "{path}");
        }
    }

    #[test]
    fn remote_bases() {
        for text in [
            "https://example.com/a.yaml",
            "github.com/acme/infra",
            "git@github.com:acme/infra.git",
            "git::https://example.com/x",
            "ssh://git@example.com/x",
            "example.com/acme/infra//deploy?ref=v1",
            "example.com/acme/infra.git//deploy",
        ] {
            assert!(is_remote(text), "{text}");
        }
        for text in ["../base", "deployment.yaml", "./github.com/x", "a/b.git", "github.company/x"] {
            assert!(!is_remote(text), "{text}");
        }
    }

    #[test]
    fn pointers_that_name_an_image() {
        for (pointer, names) in [
            ("/spec/template/spec/containers/0/image", true),
            ("/spec/image", true),
            ("/spec/volumes/0/image/reference", true),
            ("/metadata/annotations/image", false),
            ("/data/image", false),
            ("/spec/template/metadata/labels/image", false),
            ("/spec/template/spec/containers/0/im~1age", false),
            ("/spec/replicas", false),
            ("image", false),
        ] {
            assert_eq!(names_image(pointer), names, "{pointer}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "images:\n", "- name: a\n", "  newName: b/c\n", "  newTag: \"1\"\n", "  newTag: 1.10\n", "  digest: ''\n", "NewTag: ",
            "patches:\n", "- patch: |-\n", "    ", "  ", "- op: add\n", "path: /spec/containers/0/image\n", "value: x:1\n",
            "containers: [{image: y}]\n", "\n", "---\n", "    ---\n", "&a ", "*a\n", "<<: *a\n", "{", "}", "[", "]", ", ", "\"", "'",
            "helmCharts:\n- valuesInline: {image: a:1}\n", "transformers:\n- |\n", "  kind: X\n", "  imageTag: {name: a, newTag: b}\n",
            "  jsonOp: '[{op: add, path: /a/image, value: b}]'\n", "resources: [https://x]\n", "\u{2028}", "é", "\r\n", "\t", "\u{feff}",
            "replacements:\n- sourceValue: a\n", "  targets: [{fieldPaths: [a.image]}]\n", "kind: Pod\n", "# plimsoll: ignore[a] b\n",
        ]), 0..60)) {
            let text = tokens.concat();
            for occurrence in Kustomize.find(&Input::alone("kustomization.yaml", text.as_bytes())).occurrences {
                for span in stream::spans(&occurrence) {
                    proptest::prop_assert!(span.of(text.as_bytes()).is_some());
                }
                if let Some(seat) = occurrence.seat() {
                    proptest::prop_assert_eq!(&text[seat.span.start..seat.span.end], &seat.text);
                    proptest::prop_assert!(occurrence.text.ends_with(&seat.text));
                }
            }
        }
    }
}
