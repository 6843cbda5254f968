//! Images in the values of a Helm chart, found by their shape: what a chart's templates compose of them stands nowhere
//! in the values, so only the shapes that charts agree on are claimed, and the others are said to be undecided. Shared by
//! the formats that hold values: a chart's files, a kustomization's `valuesInline`.
//!
//! Longer than most files: one walk, and the table of shapes that it knows.

use crate::limits;
use crate::reference::Reference;
use crate::source::composed::{self, Draft, Field, Plain, Value};
use crate::source::embedded;
use crate::source::place::{Hit, Path, Shape, Step};
use crate::source::stream::{self, Sheet};
use crate::source::{Role, Subject, subject};
use crate::yaml::{Budget, Entry, Exhausted, NodeId, Style, Tree};

/// Parts of keys of which a document must hold one, or it names no image.
pub(crate) const KEYS: [&str; 3] = ["mage", "MAGE", "repo"];

const RENDER: &str = "render it, for example `helm template … | plimsoll check -`";

/// Adds the images of the values at a node, which stands at `path` in its document.
pub(crate) fn find(sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
    let tree = sheet.tree;
    let mut budget = Budget::new();
    let globals = Globals::of(tree, at, &mut budget).unwrap_or_default();
    let mut walk = Walk { tree, budget, globals, path: Path::default(), prefix: path, found: Found::default() };
    let result = walk.node(at, "", 0, false);
    let Found { shapes, hits, texts, crowded } = walk.found;
    if let Err(spent) = result {
        sheet.places.spent = Some(spent);
    }
    for node in crowded {
        sheet.unread_at(node, "too many keys stand twice here to tell which image is meant");
    }
    let mut drafts = Vec::new();
    for shape in shapes {
        drafts.push(shape.draft(sheet));
    }
    for (hit, reason) in hits {
        let mut draft = Draft::whole(tree, sheet.page.occurrence(&hit), hit.at);
        if let Some(reason) = reason
            && matches!(draft.occurrence.subject, Subject::Image(_))
        {
            draft.undecided(&reason);
        }
        drafts.push(draft);
    }
    composed::settle(sheet, drafts);
    for (path, at) in texts {
        embedded::find(sheet, at, &path, &["image"], &mut |tree, page| embedded::hits(tree, page, &deep(tree)));
    }
}

/// Every `image` key with a text, at any depth; image volumes too. For texts that are known to hold containers.
pub(crate) fn deep(tree: &Tree<'_>) -> Vec<Hit> {
    fn node<'t>(
        tree: &'t Tree<'_>,
        at: NodeId,
        path: &mut Path<'t>,
        depth: usize,
        budget: &mut Budget,
        hits: &mut Vec<Hit>,
    ) {
        if depth > limits::YAML_DEPTH || budget.spend(tree.is_alias(at)).is_err() {
            return;
        }
        for (index, item) in tree.items(at).unwrap_or_default().iter().enumerate() {
            path.within(Step::Index(index));
            node(tree, *item, path, depth + 1, budget, hits);
            path.leave();
        }
        let Ok(entries) = tree.fields(at, budget) else { return };
        for entry in entries {
            if entry.key == "metadata" {
                continue;
            }
            let is_image = entry.key == "image" || entry.key == "reference" && path.to_string().ends_with("image");
            path.within(Step::Key(entry.key));
            if is_image && tree.scalar(entry.value).is_some() {
                let (node, at) = (tree.resolve(entry.value), entry.value);
                hits.push(Hit { path: path.to_string(), node, at, shape: Shape::Right, role: Role::Run, run_as: None });
            }
            node(tree, entry.value, path, depth + 1, budget, hits);
            path.leave();
        }
    }
    let mut hits = Vec::new();
    if let Some(root) = tree.root() {
        node(tree, root, &mut Path::default(), 0, &mut Budget::new(), &mut hits);
    }
    hits
}

/// What stands under `global`, as parent charts and charts of Bitnami's kind read it.
#[derive(Debug, Default)]
struct Globals {
    /// `global.imageRegistry`: stands in place of every image's `registry`.
    registry: Vec<Field>,
    /// Another key under `global` that may do so, by its path.
    other: Option<&'static str>,
    /// `global.hub`: stands in front of short names.
    hub: bool,
}

impl Globals {
    fn of(tree: &Tree<'_>, root: NodeId, budget: &mut Budget) -> Result<Self, Exhausted> {
        let mut globals = Self::default();
        let is_set = |at: NodeId| {
            let field = Field::new(tree, "", at);
            tree.scalar(at).is_some() && field.value != Value::Nothing
        };
        for global in tree.entries(root, budget)?.into_iter().filter(|entry| entry.key == "global") {
            for entry in tree.entries(global.value, budget)? {
                match entry.key.as_ref() {
                    "imageRegistry" if is_set(entry.value) => {
                        globals.registry.push(Field::new(tree, "global.imageRegistry", entry.value));
                    }
                    "registry" if is_set(entry.value) => globals.other = Some("global.registry"),
                    "dockerRegistry" if is_set(entry.value) => globals.other = Some("global.dockerRegistry"),
                    "imageRepository" if is_set(entry.value) => globals.other = Some("global.imageRepository"),
                    "hub" if is_set(entry.value) => globals.hub = true,
                    "image" | "images" => {
                        for inner in tree.entries(entry.value, budget)? {
                            if matches!(inner.key.as_ref(), "registry" | "repository") && is_set(inner.value) {
                                globals.other = Some("global.image.registry");
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(globals)
    }
}

/// The keys of one map that make an image, each with all its values (a key may stand twice).
#[derive(Clone, Debug, Default)]
struct Keys {
    registry: Vec<(String, NodeId)>,
    name: Vec<(String, NodeId)>,
    tag: Vec<(String, NodeId)>,
    digest: Vec<(String, NodeId)>,
    sha: Vec<(String, NodeId)>,
}

/// An image that is composed of fields.
#[derive(Debug)]
struct Composed {
    path: String,
    registry: Option<Field>,
    name: Option<Field>,
    tag: Option<Field>,
    digest: Option<Field>,
    sha: Option<Field>,
    undecided: Option<String>,
    /// Whether one of its keys stands twice.
    doubled: bool,
    /// Whether the name's field may hold the whole image, tag and all.
    whole: bool,
}

impl Composed {
    fn draft(self, sheet: &Sheet<'_, '_>) -> Draft {
        let tree = sheet.tree;
        let some = |field: &Option<Field>| field.clone().filter(|field| field.value != Value::Nothing);
        let (registry, name, tag) = (some(&self.registry), some(&self.name), some(&self.tag));
        let (digest, sha) = (some(&self.digest), some(&self.sha));
        let fields = [("", &registry), ("/", &name), (":", &tag), ("@", &digest), ("@sha256:", &sha)];
        let pieces: Vec<(&str, &Field)> =
            fields.iter().filter_map(|(front, field)| field.as_ref().map(|field| (*front, field))).collect();
        let first = pieces.first().map(|(_, field)| *field);
        let place = name.as_ref().or(tag.as_ref()).or(first).expect("an image of at least one field");
        let mut draft = composed::compose(tree, sheet.page, self.path, place, &pieces);
        if name.is_none() {
            draft.undecided(&format!("only a part of it stands here, the rest is the chart's: {RENDER}"));
        }
        if let Some(reason) = &self.undecided {
            draft.undecided(reason);
        }
        if self.doubled {
            draft.fix(stream::DOUBLED);
        }
        let is_whole = self.whole
            && name.as_ref().is_some_and(|name| Reference::parse(name.text()).is_ok_and(|text| has_end(&text)));
        if tag.is_none() && digest.is_none() && sha.is_none() && !is_whole {
            draft.undecided(&format!(
                "no tag stands here, and what the chart puts there (its appVersion, a default) is not known: {RENDER}"
            ));
        }
        if digest.is_some() && sha.is_some() {
            draft.undecided("a digest and a sha stand side by side; which of them counts is the chart's to say");
        }
        let in_tag = tag.as_ref().is_some_and(|tag| tag.text().contains('@'));
        match (&self.digest, &self.sha, &tag, &name) {
            (Some(digest), _, _, _) if !in_tag => draft.write_digest(tree, digest, false),
            (_, Some(sha), _, _) if !in_tag => draft.write_digest(tree, sha, true),
            (_, _, Some(tag), _) => draft.write_behind(tree, tag),
            (_, _, None, Some(name)) if is_whole => draft.write_behind(tree, name),
            _ => {}
        }
        draft
    }
}

#[derive(Debug, Default)]
struct Found {
    shapes: Vec<Composed>,
    hits: Vec<(Hit, Option<String>)>,
    texts: Vec<(String, NodeId)>,
    crowded: Vec<NodeId>,
}

struct Walk<'t, 'a, 'p> {
    tree: &'t Tree<'a>,
    budget: Budget,
    globals: Globals,
    path: Path<'t>,
    prefix: &'p str,
    found: Found,
}

impl<'t> Walk<'t, '_, '_> {
    fn path(&self) -> String {
        let inner = self.path.to_string();
        let joint = if self.prefix.is_empty() || inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        format!("{}{joint}{inner}", self.prefix)
    }

    fn node(&mut self, at: NodeId, key: &str, depth: usize, followed: bool) -> Result<(), (NodeId, Exhausted)> {
        let followed = followed || self.tree.is_alias(at);
        if depth > limits::YAML_DEPTH {
            return Err((at, Exhausted));
        }
        self.budget.spend(followed).map_err(|exhausted| (at, exhausted))?;
        if let Some(items) = self.tree.items(at) {
            for (index, item) in items.iter().enumerate() {
                self.path.within(Step::Index(index));
                if is_image_key(key) && self.looks_like_image(*item, false) {
                    self.hit(*item);
                }
                self.node(*item, "", depth + 1, followed)?;
                self.path.leave();
            }
            return Ok(());
        }
        let tree = self.tree;
        let entries = tree.fields(at, &mut self.budget).map_err(|exhausted| (at, exhausted))?;
        if !entries.is_empty() {
            self.map(at, &entries, key);
        }
        for entry in entries {
            self.path.within(Step::Key(entry.key.clone()));
            if holds_containers(&entry.key) && self.is_text(entry.value) {
                let path = self.path();
                self.found.texts.push((path, entry.value));
            }
            self.node(entry.value, &entry.key, depth + 1, followed || entry.merged)?;
            self.path.leave();
        }
        Ok(())
    }

    /// A text that is longer than a word.
    fn is_text(&self, at: NodeId) -> bool {
        self.tree.scalar(at).is_some_and(|scalar| scalar.style != Style::Plain && scalar.value.contains(':'))
    }

    fn hit(&mut self, at: NodeId) {
        self.hit_beside(at, None);
    }

    /// A whole image in one text; `beside` is why it may not be all of it.
    fn hit_beside(&mut self, at: NodeId, beside: Option<&str>) {
        let (path, node) = (self.path(), self.tree.resolve(at));
        let text = self.tree.scalar(at).map_or("", |scalar| scalar.value.as_ref());
        let short = self.globals.hub && !text.contains('/');
        let front = beside.or(short.then_some("global.hub"));
        let reason = front.map(|key| format!("`{key}` may stand in front of it: {RENDER}"));
        self.found.hits.push((Hit { path, node, at, shape: Shape::Right, role: Role::Run, run_as: None }, reason));
    }

    /// What the entries of one map make; `key` is the map's own.
    fn map(&mut self, at: NodeId, entries: &[Entry<'t>], key: &str) {
        let tree = self.tree;
        let all = |names: &[&str]| -> Vec<(String, NodeId)> {
            let fits = |entry: &&Entry<'_>| names.contains(&entry.key.as_ref());
            let scalars =
                entries.iter().filter(fits).filter(|entry| tree.items(entry.value).is_none() || names != ["image"]);
            scalars.map(|entry| (entry.key.to_string(), entry.value)).collect()
        };
        let has = |name: &str| entries.iter().any(|entry| entry.key == name);
        let set = |name: &str| all(&[name]).iter().any(|(_, at)| Field::new(tree, "", *at).is_text());
        let imageish = is_image_key(key);
        let mut keys = Keys {
            registry: all(&["registry"]),
            name: Vec::new(),
            tag: all(&["tag"]),
            digest: all(&["digest"]),
            sha: all(&["sha"]),
        };
        let scalar = |name: &str| all(&[name]).iter().any(|(_, at)| tree.scalar(*at).is_some());
        let beside = ["registry", "tag", "digest", "sha", "pullPolicy", "imagePullPolicy"].into_iter().any(scalar);
        let mut own_image = false;
        if scalar("repository") && (imageish || beside) {
            keys.name = all(&["repository"]);
            let other = ["branch", "revision", "targetRevision", "chart", "url", "ref"].into_iter().any(has);
            let source = keys.name.iter().any(|(_, at)| is_source(Field::new(tree, "", *at).text()));
            if source || other && !imageish {
                return;
            }
            if !imageish && keys.name.iter().all(|(_, at)| Field::new(tree, "", *at).value == Value::Nothing) {
                return;
            }
            self.group(at, &keys, key, entries, false);
        } else if imageish && scalar("repo") {
            keys.name = all(&["repo"]);
            self.group(at, &keys, key, entries, false);
        } else if imageish && scalar("name") {
            keys.name = all(&["name"]);
            self.group(at, &keys, key, entries, true);
        } else if scalar("image") {
            own_image = true;
            self.image(at, entries, &keys, imageish);
        } else if imageish && ["registry", "tag", "digest", "sha"].into_iter().any(set) {
            self.group(at, &keys, key, entries, false);
        }
        for entry in entries {
            self.path.within(Step::Key(entry.key.clone()));
            let is_field = FIELDS.contains(&entry.key.as_ref());
            if entry.key == "override" && imageish && Field::new(tree, "", entry.value).is_text() {
                self.hit(entry.value);
            } else if imageish && !is_field && !own_image && self.names_whole_image(entry.value) {
                self.hit_beside(entry.value, set("registry").then_some("registry"));
            } else if let Some(base) = image_base(&entry.key) {
                self.flat(at, entry, &base, entries);
            }
            self.path.leave();
        }
    }

    /// A map with a field for each part.
    fn group(&mut self, at: NodeId, keys: &Keys, key: &str, entries: &[Entry<'t>], whole: bool) {
        let tree = self.tree;
        let unused = entries.iter().any(|entry| {
            entry.key == "useDigest" && tree.scalar(entry.value).is_some_and(|scalar| scalar.value != "true")
        });
        let mut keys = keys.clone();
        let mut undecided = None;
        if key == "images" {
            undecided = Some(format!("what the chart puts behind a name for all its images is not known: {RENDER}"));
        } else if unused && !keys.digest.is_empty() {
            keys.digest.clear();
            undecided = Some(format!("`useDigest` says that its digest is not used: {RENDER}"));
        }
        self.compose(at, &self.path(), &keys, undecided.as_deref(), whole, true);
    }

    /// A map with `image`, and perhaps a tag beside it.
    fn image(&mut self, at: NodeId, entries: &[Entry<'t>], keys: &Keys, imageish: bool) {
        let tree = self.tree;
        let all = |name: &str| -> Vec<(String, NodeId)> {
            let fits = entries.iter().filter(|entry| entry.key == name && tree.scalar(entry.value).is_some());
            fits.map(|entry| (entry.key.to_string(), entry.value)).collect()
        };
        let set = |list: &[(String, NodeId)]| {
            list.iter().any(|(_, at)| Field::new(tree, "", *at).value != Value::Nothing && tree.scalar(*at).is_some())
        };
        let images = all("image");
        let mut tags = all("tag");
        tags.extend(all("imageTag"));
        let mut registries: Vec<_> = keys.registry.clone();
        registries.extend(all("imageRegistry"));
        registries.extend(all("hub"));
        registries.retain(|(_, at)| tree.scalar(*at).is_some());
        let digests: Vec<_> = all("digest").into_iter().chain(all("imageDigest")).collect();
        let versions = [all("version"), all("imageVersion")].concat();
        self.path.within(Step::Key("image".into()));
        let path = self.path();
        if set(&registries) && (imageish || !tags.is_empty()) || !tags.is_empty() || !digests.is_empty() {
            let registry = if imageish || !tags.is_empty() { registries } else { Vec::new() };
            let keys = Keys { registry, name: images, tag: tags, digest: digests, sha: Vec::new() };
            if keys.name.iter().any(|(_, at)| self.looks_like_image(*at, true)) {
                self.compose(at, &path, &keys, None, true, false);
            }
        } else {
            for (_, image) in images {
                if !self.looks_like_image(image, true) {
                    continue;
                }
                let text = Field::new(tree, "", image);
                if set(&versions) && Reference::parse(text.text()).is_ok_and(|text| !has_end(&text)) {
                    let keys = Keys { name: vec![("image".to_owned(), image)], ..Keys::default() };
                    let reason = "a version stands beside it, which the chart may put behind it";
                    self.compose(at, &path, &keys, Some(reason), true, false);
                } else {
                    self.hit(image);
                }
            }
        }
        self.path.leave();
    }

    /// `sidecarImage: a`, and perhaps `sidecarImageTag: "1"`; `imageName`, `imageRepository` with `imageTag`.
    fn flat(&mut self, at: NodeId, entry: &Entry<'t>, base: &Base, entries: &[Entry<'t>]) {
        let tree = self.tree;
        let all = |names: &[String]| -> Vec<(String, NodeId)> {
            let fits =
                |entry: &&Entry<'_>| names.contains(&entry.key.to_string()) && tree.scalar(entry.value).is_some();
            entries.iter().filter(fits).map(|entry| (entry.key.to_string(), entry.value)).collect()
        };
        let with = |ends: &[&str]| -> Vec<String> {
            let stems = [Some(base.image.as_str()), base.stem.as_deref()];
            stems.iter().flatten().flat_map(|stem| ends.iter().map(move |end| format!("{stem}{end}"))).collect()
        };
        let keys = Keys {
            registry: all(&with(&["Registry", "_registry", "-registry"])),
            name: vec![(entry.key.to_string(), entry.value)],
            tag: all(&with(&["Tag", "_tag", "-tag"])),
            digest: all(&with(&["Digest", "_digest", "-digest"])),
            sha: Vec::new(),
        };
        let path = self.path();
        if base.is_name {
            let whole = Reference::parse(Field::new(tree, "", entry.value).text()).is_ok_and(|text| has_end(&text));
            if (!keys.tag.is_empty() || whole) && self.looks_like_image(entry.value, true) {
                self.compose(at, &path, &keys, None, true, true);
            }
        } else if keys.tag.is_empty() && keys.digest.is_empty() {
            if self.looks_like_image(entry.value, false) {
                self.hit(entry.value);
            }
        } else if self.looks_like_image(entry.value, true) {
            self.compose(at, &path, &keys, None, true, false);
        }
    }

    /// Every image that the keys make; `group` where a global registry counts.
    fn compose(&mut self, at: NodeId, path: &str, keys: &Keys, undecided: Option<&str>, whole: bool, group: bool) {
        let tree = self.tree;
        let fields: Vec<Vec<(String, NodeId)>> = [&keys.registry, &keys.name, &keys.tag, &keys.digest, &keys.sha]
            .into_iter()
            .map(|list| {
                list.iter().filter(|(_, at)| tree.scalar(*at).is_some() || !tree.is_mapping(*at)).cloned().collect()
            })
            .collect();
        let odd = [&keys.registry, &keys.tag, &keys.digest, &keys.sha]
            .into_iter()
            .flatten()
            .find(|(_, at)| tree.scalar(*at).is_none());
        let odd = odd.map(|(key, _)| format!("`{key}` is a map or a list in place of a text"));
        let lists: Vec<Vec<NodeId>> = fields.iter().map(|list| list.iter().map(|(_, at)| *at).collect()).collect();
        let Some(choices) = composed::choices(&lists) else {
            self.found.crowded.push(at);
            return;
        };
        for choice in choices {
            let field = |index: usize| {
                let at = choice[index]?;
                let name = fields[index].iter().find(|(_, found)| *found == at).map(|(name, _)| name.clone())?;
                Some(Field::new(tree, name, at)).filter(|field| tree.scalar(field.at).is_some())
            };
            let (mut registry, mut undecided) = (field(0), undecided.map(str::to_owned).or_else(|| odd.clone()));
            if group && let Some(global) = self.globals.registry.last() {
                if keys.registry.is_empty() || self.globals.registry.len() > 1 {
                    undecided
                        .get_or_insert_with(|| format!("`global.imageRegistry` may stand in front of it: {RENDER}"));
                } else {
                    registry = Some(global.clone());
                }
            } else if group && let Some(key) = self.globals.other {
                undecided.get_or_insert_with(|| format!("`{key}` may stand in front of it: {RENDER}"));
            }
            let shape = Composed {
                path: path.to_owned(),
                registry,
                name: field(1),
                tag: field(2),
                digest: field(3),
                sha: field(4),
                undecided,
                doubled: lists.iter().any(|list| list.len() > 1),
                whole,
            };
            let fields = [&shape.registry, &shape.name, &shape.tag, &shape.digest, &shape.sha];
            if fields
                .into_iter()
                .flatten()
                .any(|field| field.value != Value::Nothing && field.name != "global.imageRegistry")
            {
                self.found.shapes.push(shape);
            }
        }
    }

    /// Whether a text may be an image at all: no picture, path or address. `named` where the key says that it is one;
    /// else a name alone is not enough.
    fn looks_like_image(&self, at: NodeId, named: bool) -> bool {
        let Some(scalar) = self.tree.scalar(at) else { return false };
        let text = scalar.value.as_ref();
        if text.is_empty() || scalar.style == Style::Plain && composed::plain(text) != Plain::Text {
            return false;
        }
        if is_picture(text) {
            return false;
        }
        let template = ["{{", "$", "<", "%"].iter().any(|open| text.contains(open));
        if named || template {
            return named || text.contains("{{") || text.contains('$');
        }
        !text.contains(char::is_whitespace) && text.contains(['/', ':', '@'])
    }

    /// Whether a text under `images` is a whole image, with a tag or a digest.
    fn names_whole_image(&self, at: NodeId) -> bool {
        self.looks_like_image(at, false)
            && self.tree.scalar(at).is_some_and(
                |scalar| matches!(subject::string(&scalar.value), Subject::Image(reference) if has_end(&reference)),
            )
    }
}

/// Keys of image maps that hold no whole image.
const FIELDS: [&str; 12] = [
    "registry",
    "repository",
    "repo",
    "name",
    "image",
    "tag",
    "digest",
    "sha",
    "hub",
    "pullPolicy",
    "override",
    "version",
];

fn has_end(reference: &Reference) -> bool {
    reference.written_tag().is_some() || reference.digest().is_some()
}

/// `image`, `images`, `sidecarImage`, `image_override`: not what pulls images.
fn is_image_key(key: &str) -> bool {
    let named = ["image", "Image", "IMAGE"].iter().any(|name| key.contains(name));
    named && !["pull", "Pull", "PULL", "ImageStream", "imageStream"].iter().any(|other| key.contains(other))
}

/// A key that holds an image's name: its stem (`sidecar` of `sidecarImage`) and the name up to `Image`.
struct Base {
    image: String,
    stem: Option<String>,
    is_name: bool,
}

fn image_base(key: &str) -> Option<Base> {
    if key == "image" {
        return None;
    }
    for end in ["Name", "Repository", "Repo", "_name", "_repository", "-name", "-repository"] {
        if let Some(image) = key.strip_suffix(end)
            && (image == "image" || stem(image).is_some())
        {
            return Some(Base { image: image.to_owned(), stem: None, is_name: true });
        }
    }
    stem(key).map(|stem| Base { image: key.to_owned(), stem: Some(stem), is_name: false })
}

fn stem(key: &str) -> Option<String> {
    ["Image", "_image", "-image"]
        .iter()
        .find_map(|end| key.strip_suffix(end))
        .filter(|stem| !stem.is_empty())
        .map(str::to_owned)
}

/// Where git or a chart repository is meant.
fn is_source(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.strip_suffix(".git").is_some()
}

fn is_picture(text: &str) -> bool {
    const ENDS: [&str; 12] =
        [".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp", ".ico", ".bmp", ".avif", ".qcow2", ".iso", ".img"];
    let lower = text.to_ascii_lowercase();
    ENDS.iter().any(|end| lower.ends_with(end))
        || text.starts_with(['/', '.'])
        || text.starts_with("data:")
        || text.contains("://") && !text.starts_with("docker://")
}

/// Keys whose text charts render as a list of containers or as whole objects.
fn holds_containers(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    ["containers", "sidecars", "extradeploy", "extraobjects", "extramanifests"].iter().any(|end| lower.ends_with(end))
}
