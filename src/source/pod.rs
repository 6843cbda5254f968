//! Pod-shaped places at any depth of a document, whatever its kind, and the places of known custom resources.
//! It finds nodes and says what shape they have; what their text means is not its business. A wrong shape (a map in
//! place of a list) never hides an image: it is found and marked.
//!
//! Longer than most files: one walk over one tree, and its tests.

use std::collections::HashSet;

use crate::limits;
use crate::source::custom_resource::Kinds;
use crate::source::place::{Hit, Path, Places, Shape, Step};
use crate::source::run_as::{self, Said};
use crate::source::{Role, RunAs, custom_resource};
use crate::yaml::{Budget, Entry, Exhausted, NodeId, Tree};

/// The lists of containers in a pod's specification (core/v1 `PodSpec`).
pub(crate) const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Finds every pod-shaped place below the root.
/// `kinds` are places of custom resources beside the known ones.
pub(crate) fn find(tree: &Tree<'_>, kinds: &Kinds) -> Places {
    let mut walk = Walk {
        tree,
        kinds,
        budget: Budget::new(),
        path: Path::default(),
        role: Role::Run,
        pod: Said::default(),
        run_as: None,
        users: Vec::new(),
        pods: HashSet::new(),
        found: Places::default(),
    };
    if let Some(root) = tree.root()
        && let Err((node, exhausted)) = walk.node(root, 0, false)
    {
        walk.found.spent = Some((node, exhausted));
    }
    walk.other_users();
    walk.found
}

type Walked = Result<(), (NodeId, Exhausted)>;

struct Walk<'t, 'a> {
    tree: &'t Tree<'a>,
    kinds: &'t Kinds,
    budget: Budget,
    path: Path<'t>,
    /// What the images of the custom resource that is walked are used for.
    role: Role,
    /// What the pod that is walked says of its containers' user.
    pod: Said,
    /// As whom the container that is walked is run.
    run_as: Option<Box<RunAs>>,
    /// Every key that names a user, wherever it stands.
    users: Vec<NodeId>,
    /// Those that stand in a pod's or a container's `securityContext`.
    pods: HashSet<NodeId>,
    found: Places,
}

impl<'t> Walk<'t, '_> {
    fn node(&mut self, id: NodeId, depth: usize, followed: bool) -> Walked {
        let followed = followed || self.tree.is_alias(id);
        self.spend(id, depth, followed)?;
        let id = self.tree.resolve(id);
        if let Some(items) = self.tree.items(id) {
            for (index, item) in items.iter().enumerate() {
                self.path.within(Step::Index(index));
                self.node(*item, depth + 1, followed)?;
                self.path.leave();
            }
            return Ok(());
        }
        let entries = self.entries(id)?;
        let definition = self.path.is_object() && is_definition(self.tree, &entries);
        for (steps, role) in custom_places(self.tree, &entries, self.kinds) {
            self.role = role;
            self.select(id, &steps, depth, followed)?;
            self.role = Role::Run;
        }
        if entries.iter().any(|entry| CONTAINERS.contains(&entry.key.as_ref())) {
            self.pod = self.said(id, &entries)?;
            self.pods.extend(self.pod.keys.iter().copied());
        }
        for entry in &entries {
            self.note_tag(entry);
            if entry.key == run_as::USER {
                self.users.push(entry.key_node);
            }
            if entry.is_merge_key() {
                continue; // its entries stand among ours
            }
            if definition && entry.key == "spec" {
                continue;
            }
            self.path.within(Step::Key(entry.key.clone()));
            if CONTAINERS.contains(&entry.key.as_ref()) {
                self.containers(entry.value, None, depth + 1, followed || entry.merged)?;
            } else if entry.key == "volumes" {
                self.volumes(entry.value, depth + 1, followed || entry.merged)?;
            }
            self.node(entry.value, depth + 1, followed || entry.merged)?;
            self.path.leave();
        }
        Ok(())
    }

    fn spend(&mut self, id: NodeId, depth: usize, followed: bool) -> Walked {
        if depth > limits::YAML_DEPTH {
            return Err((id, Exhausted));
        }
        self.budget.spend(followed).map_err(|exhausted| (id, exhausted))
    }

    fn entries(&mut self, id: NodeId) -> Result<Vec<Entry<'t>>, (NodeId, Exhausted)> {
        self.tree.entries(id, &mut self.budget).map_err(|exhausted| (id, exhausted))
    }

    fn note_tag(&mut self, entry: &Entry<'_>) {
        let node = self.tree.resolve(entry.key_node);
        let tag = self.tree.node(node).tag.as_deref();
        if !matches!(tag, None | Some("!" | "tag:yaml.org,2002:str" | "tag:yaml.org,2002:merge")) {
            self.found.tagged_key.get_or_insert(node);
        }
    }

    fn said(&mut self, id: NodeId, entries: &[Entry<'_>]) -> Result<Said, (NodeId, Exhausted)> {
        Said::of(self.tree, entries, &mut self.budget).map_err(|exhausted| (id, exhausted))
    }

    /// Where the document names a user anywhere else than beside a pod's containers, only a controller knows whose it is:
    /// of an image without a user of its own nothing is known.
    fn other_users(&mut self) {
        let elsewhere = |key: &NodeId| !self.pods.contains(key);
        if !self.users.iter().any(elsewhere) {
            return;
        }
        for hit in self.found.hits.iter_mut().filter(|hit| hit.run_as.as_ref().is_none_or(|said| said.user.is_none())) {
            hit.run_as = Some(Box::new(run_as::unknown("what `runAsUser` elsewhere in the document comes to")));
        }
    }

    fn hit(&mut self, node: NodeId, shape: Shape) {
        self.found.hits.push(Hit {
            path: self.path.to_string(),
            node: self.tree.resolve(node),
            at: node,
            shape,
            role: self.role,
            run_as: self.run_as.clone(),
        });
    }

    /// What stands under `containers`; `wrong` where the shape is already off.
    fn containers(&mut self, id: NodeId, wrong: Option<&'static str>, depth: usize, followed: bool) -> Walked {
        let followed = followed || self.tree.is_alias(id);
        self.spend(id, depth, followed)?;
        if let Some(items) = self.tree.items(id) {
            for (index, item) in items.iter().enumerate() {
                self.path.within(Step::Index(index));
                if self.tree.is_mapping(*item) {
                    self.container(*item, wrong, depth + 1, followed)?;
                } else if self.tree.items(*item).is_some() {
                    self.containers(*item, Some("a list in the list of containers"), depth + 1, followed)?;
                } else {
                    self.word(*item, "a text in place of a container");
                }
                self.path.leave();
            }
        } else if self.tree.is_mapping(id) {
            const MAP: &str = "a map in place of the list of containers";
            self.container(id, Some(MAP), depth, followed)?;
            for entry in self.entries(self.tree.resolve(id))? {
                self.path.within(Step::Key(entry.key));
                if self.tree.is_mapping(entry.value) {
                    self.container(entry.value, Some(MAP), depth + 1, followed)?;
                }
                self.path.leave();
            }
        } else {
            self.word(id, "a text in place of the list of containers");
        }
        Ok(())
    }

    fn container(&mut self, id: NodeId, wrong: Option<&'static str>, depth: usize, followed: bool) -> Walked {
        self.spend(id, depth, followed || self.tree.is_alias(id))?;
        let entries = self.entries(self.tree.resolve(id))?;
        let said = self.said(id, &entries)?;
        self.run_as = said.over(&self.pod);
        self.pods.extend(said.keys);
        for entry in entries.into_iter().filter(|entry| entry.key == "image") {
            self.path.within(Step::Key(entry.key));
            if wrong.is_none() || self.tree.scalar(entry.value).is_some() {
                self.hit(entry.value, wrong.map_or(Shape::Right, Shape::Wrong));
            }
            self.path.leave();
        }
        self.run_as = None;
        Ok(())
    }

    /// A text where a container or a list of them belongs: a template may stand there. Numbers and nothing hide none.
    fn word(&mut self, id: NodeId, wrong: &'static str) {
        if self.tree.scalar(id).is_some() {
            self.hit(id, Shape::Wrong(wrong));
        }
    }

    /// Image volumes (KEP-4639): `volumes[].image.reference`.
    fn volumes(&mut self, id: NodeId, depth: usize, followed: bool) -> Walked {
        let followed = followed || self.tree.is_alias(id);
        self.spend(id, depth, followed)?;
        if let Some(items) = self.tree.items(id) {
            for (index, item) in items.iter().enumerate() {
                self.path.within(Step::Index(index));
                self.volume(*item, None, depth + 1, followed)?;
                self.path.leave();
            }
        } else if self.tree.is_mapping(id) {
            const MAP: &str = "a map in place of the list of volumes";
            self.volume(id, Some(MAP), depth, followed)?;
            for entry in self.entries(self.tree.resolve(id))? {
                self.path.within(Step::Key(entry.key));
                self.volume(entry.value, Some(MAP), depth + 1, followed)?;
                self.path.leave();
            }
        }
        Ok(())
    }

    fn volume(&mut self, id: NodeId, wrong: Option<&'static str>, depth: usize, followed: bool) -> Walked {
        self.spend(id, depth, followed || self.tree.is_alias(id))?;
        let image = self.entries(self.tree.resolve(id))?.into_iter().filter(|entry| entry.key == "image");
        for entry in image {
            self.path.within(Step::Key(entry.key));
            self.spend(id, depth, followed || entry.merged || self.tree.is_alias(entry.value))?;
            let reference = self.entries(self.tree.resolve(entry.value))?;
            for entry in reference.into_iter().filter(|entry| entry.key == "reference") {
                self.path.within(Step::Key(entry.key));
                self.hit(entry.value, wrong.map_or(Shape::Right, Shape::Wrong));
                self.path.leave();
            }
            self.path.leave();
        }
        Ok(())
    }

    /// Follows a custom resource's path from its object.
    fn select(&mut self, id: NodeId, steps: &[&str], depth: usize, followed: bool) -> Walked {
        let followed = followed || self.tree.is_alias(id);
        self.spend(id, depth, followed)?;
        let id = self.tree.resolve(id);
        let Some((step, rest)) = steps.split_first() else {
            self.hit(id, Shape::Right);
            return Ok(());
        };
        if *step == "**" {
            self.select(id, rest, depth, followed)?;
            for (index, item) in self.tree.items(id).unwrap_or_default().iter().enumerate() {
                self.path.within(Step::Index(index));
                self.select(*item, steps, depth + 1, followed)?;
                self.path.leave();
            }
            for entry in self.entries(id)? {
                self.path.within(Step::Key(entry.key));
                self.select(entry.value, steps, depth + 1, followed || entry.merged)?;
                self.path.leave();
            }
            return Ok(());
        }
        let (key, list) = step.strip_suffix("[]").map_or((*step, false), |key| (key, true));
        for entry in self.entries(id)?.into_iter().filter(|entry| entry.key == key) {
            self.path.within(Step::Key(entry.key));
            let followed = followed || entry.merged;
            if list {
                self.select_items(entry.value, rest, depth + 1, followed)?;
            } else if rest.is_empty() {
                self.hit(entry.value, if key == "url" { Shape::Url } else { Shape::Right });
            } else {
                self.select(entry.value, rest, depth + 1, followed)?;
            }
            self.path.leave();
        }
        Ok(())
    }

    fn select_items(&mut self, id: NodeId, rest: &[&str], depth: usize, followed: bool) -> Walked {
        let followed = followed || self.tree.is_alias(id);
        match self.tree.items(id) {
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.within(Step::Index(index));
                    self.select(*item, rest, depth + 1, followed)?;
                    self.path.leave();
                }
            }
            None if self.tree.is_mapping(id) => {
                for entry in self.entries(self.tree.resolve(id))? {
                    self.path.within(Step::Key(entry.key));
                    self.select(entry.value, rest, depth + 1, followed || entry.merged)?;
                    self.path.leave();
                }
            }
            None => self.word(id, "a text in place of a list"),
        }
        Ok(())
    }
}

/// The places of the kinds that a mapping says it is; duplicates of `kind` and `apiVersion` all count.
fn custom_places<'k>(tree: &Tree<'_>, entries: &[Entry<'_>], kinds: &'k Kinds) -> Vec<(Vec<&'k str>, Role)> {
    let versions = texts(tree, entries, "apiVersion");
    let groups: Vec<&str> =
        versions.iter().filter_map(|version| version.split_once('/')).map(|(group, _)| group).collect();
    let names = texts(tree, entries, "kind");
    let role = custom_resource::role(&groups);
    let known = custom_resource::places(&groups, &names).into_iter().map(|place| (place.split('.').collect(), role));
    known.chain(kinds.places(&versions, &names).into_iter().map(|place| (place, Role::Run))).collect()
}

/// A `CustomResourceDefinition` describes fields in its `spec` and runs nothing; one with a second kind beside it is not
/// believed. Whatever its kind, kubectl takes an object with `items` for a list and applies each of them.
fn is_definition(tree: &Tree<'_>, entries: &[Entry<'_>]) -> bool {
    let all = |key: &str, holds: &dyn Fn(&str) -> bool| {
        let texts = texts(tree, entries, key);
        !texts.is_empty() && texts.into_iter().all(holds)
    };
    all("kind", &|kind| kind == "CustomResourceDefinition")
        && all("apiVersion", &|version| version.starts_with("apiextensions.k8s.io/"))
}

fn texts<'t>(tree: &'t Tree<'_>, entries: &[Entry<'_>], key: &str) -> Vec<&'t str> {
    let values = entries.iter().filter(|entry| entry.key == key);
    values.filter_map(|entry| tree.scalar(entry.value)).map(|scalar| scalar.value.as_ref()).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::yaml::parse_text;

    fn paths(text: &str) -> Vec<(String, String)> {
        let tree = parse_text(text, 0).unwrap_or_else(|broken| panic!("{text}: {broken:?}"));
        let found = find(&tree, &Kinds::none());
        assert!(found.spent.is_none(), "{text}");
        found
            .hits
            .into_iter()
            .map(|hit| {
                let shape = match hit.shape {
                    Shape::Right => String::new(),
                    Shape::Url => "url ".to_owned(),
                    Shape::Wrong(_) => "wrong ".to_owned(),
                };
                (format!("{shape}{}", hit.path), tree.scalar(hit.node).map_or("", |scalar| &scalar.value).to_owned())
            })
            .collect()
    }

    #[test]
    fn places_at_any_depth() {
        let rows: [(&str, &[(&str, &str)]); 20] = [
            (
                "containers: [{image: a}, {name: x}, {image: b}]",
                &[("containers[0].image", "a"), ("containers[2].image", "b")],
            ),
            ("a: [{b.c/d: {initContainers: [{image: x}]}}]", &[("a[0][\"b.c/d\"].initContainers[0].image", "x")]),
            ("- ephemeralContainers:\n  - image: x\n", &[("[0].ephemeralContainers[0].image", "x")]),
            ("volumes: [{image: {reference: x}}]", &[("volumes[0].image.reference", "x")]),
            ("image: x", &[]),
            ("data: |\n  containers: [{image: x}]\n", &[]),
            ("containers: {image: x}", &[("wrong containers.image", "x")]),
            ("containers: {main: {image: x}}", &[("wrong containers.main.image", "x")]),
            ("containers: [[{image: x}]]", &[("wrong containers[0][0].image", "x")]),
            ("containers: x", &[("wrong containers", "x")]),
            ("containers: [x]", &[("wrong containers[0]", "x")]),
            ("volumes: {image: {reference: x}}", &[("wrong volumes.image.reference", "x")]),
            ("containers: [{image: a, image: b}]", &[("containers[0].image", "a"), ("containers[0].image", "b")]),
            (
                "x: &x {image: a}\ncontainers: [*x, {<<: *x}]",
                &[("containers[0].image", "a"), ("containers[1].image", "a")],
            ),
            ("k: &k image\ncontainers: [{*k : x}]", &[("containers[0].image", "x")]),
            ("containers: [{\"\\u0069mage\": x}]", &[("containers[0].image", "x")]),
            ("containers: [{? image : x}]", &[("containers[0].image", "x")]),
            ("? {a: b}\n: containers: [{image: x}]\n", &[("[\"?\"].containers[0].image", "x")]),
            (
                "kind: CustomResourceDefinition\napiVersion: apiextensions.k8s.io/v1\nspec: {containers: [{image: x}]}",
                &[],
            ),
            (
                "kind: CustomResourceDefinition\nkind: Pod\napiVersion: apiextensions.k8s.io/v1\nspec: {containers: [{image: x}]}",
                &[("spec.containers[0].image", "x")],
            ),
        ];
        for (text, expected) in rows {
            let expected: Vec<_> =
                expected.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
            assert_eq!(paths(text), expected, "{text}");
        }
    }

    #[test]
    fn places_of_custom_resources() {
        let rows = [
            (
                "{apiVersion: ceph.rook.io/v1, kind: CephCluster, spec: {cephVersion: {image: x}}}",
                "spec.cephVersion.image",
            ),
            (
                "{items: [{apiVersion: rabbitmq.com/v1, kind: RabbitmqCluster, spec: {image: x}}]}",
                "items[0].spec.image",
            ),
            ("{apiVersion: tekton.dev/v1, kind: Task, spec: {steps: [{image: x}]}}", "spec.steps[0].image"),
            (
                "{apiVersion: cdi.kubevirt.io/v1, kind: DataVolume, spec: {source: {registry: {url: x}}}}",
                "url spec.source.registry.url",
            ),
            (
                "{apiVersion: argoproj.io/v1, kind: Workflow, spec: {templates: [{steps: [[{inline: {script: {image: x}}}]]}]}}",
                "spec.templates[0].steps[0][0].inline.script.image",
            ),
        ];
        for (text, path) in rows {
            assert_eq!(paths(text), [(path.to_owned(), "x".to_owned())], "{text}");
        }
    }

    #[test]
    fn bombs_are_spent_at_their_place() {
        let mut bomb = "a0: &a0 {containers: [{image: x}]}\n".to_owned();
        for level in 1..40 {
            let source = format!("*a{}", level - 1);
            writeln!(bomb, "a{level}: &a{level} [{source}, {source}, {source}]").expect("a string takes it");
        }
        for text in [bomb.as_str(), "a: &a [*a, *a]\n", "a: &a {containers: *a, b: *a}\n"] {
            let tree = parse_text(text, 0).expect("a document");
            assert!(find(&tree, &Kinds::none()).spent.is_some(), "{text}");
        }
    }

    #[test]
    fn a_tagged_key_is_noted() {
        let tree = parse_text("!!binary aW1hZ2U= : x", 0).expect("a document");
        assert!(find(&tree, &Kinds::none()).tagged_key.is_some());
        let tree = parse_text("!!str a: x\n! b: y", 0).expect("a document");
        assert!(find(&tree, &Kinds::none()).tagged_key.is_none());
    }
}
