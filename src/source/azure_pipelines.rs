//! Azure Pipelines (<https://learn.microsoft.com/azure/devops/pipelines/yaml-schema>): a `container` is an image, or the
//! alias of one in `resources`. Jobs and resources stand in lists into which template expressions (`${{ if … }}:`) may
//! insert others. It evaluates no expression; `pool.vmImage` is a machine, `target` an alias.

use crate::limits;
use crate::source::place::{Hit, Path, Shape, Step};
use crate::source::stream::{self, Sheet};
use crate::source::{Format, Found, Input, Role, Subject, names};
use crate::yaml::{Budget, Exhausted, NodeId, Tree};

/// The format.
pub(crate) struct AzurePipelines;

const ID: &str = "azure-pipelines";

const FILES: [&str; 9] = [
    "*azure-pipeline*.yml",
    ".azure-pipelines/**/*.yml",
    "azure-pipelines/**/*.yml",
    ".azuredevops/**/*.yml",
    ".azure-devops/**/*.yml",
    ".pipelines/**/*.yml",
    "eng/pipelines/**/*.yml",
    ".vsts*.yml",
    ".ado/**/*.yml",
];

const KEYS: [&str; 4] = ["image", "container", "services", "repository"];

impl Format for AzurePipelines {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        names::claims(&FILES, path)
    }

    fn find(&self, input: &Input<'_>) -> Found {
        stream::read(input, ID, &KEYS, &mut look)
    }
}

/// Finds every container, and says which of them are images.
fn look(sheet: &mut Sheet<'_, '_>) {
    let mut walk =
        Walk { tree: sheet.tree, budget: Budget::new(), path: Path::default(), found: Containers::default() };
    if let Some(root) = sheet.tree.root()
        && let Err(spent) = walk.node(root, Where::Job, 0)
    {
        sheet.places.spent = Some(spent);
    }
    let Containers { aliases, images, named, registries } = walk.found;
    for (path, at) in images {
        hit(sheet, path, at, Shape::Right);
    }
    for (path, at) in registries {
        hit(sheet, path, at, Shape::Wrong("an image of an Azure registry; its tag is chosen by the run"));
    }
    for (path, at) in named {
        let Some(name) = text(sheet.tree, at).map(str::to_owned) else { continue };
        if aliases.contains(&name) {
            continue;
        }
        let node = sheet.tree.resolve(at);
        let found = Hit { path, node, at, shape: Shape::Right, role: Role::Ci, run_as: None };
        let mut occurrence = sheet.page.occurrence(&found);
        if matches!(occurrence.subject, Subject::Image(_)) && is_alias(&name) {
            let reason = "the alias of a container that another file declares, or an image without a tag: which is not \
                          known from this file; with a tag it is an image";
            occurrence.subject = Subject::Unresolvable { reason: reason.to_owned() };
        }
        sheet.push(&found, occurrence);
    }
}

/// Whether a name can be an alias: what holds more than these characters is an image.
fn is_alias(name: &str) -> bool {
    name.chars().all(|found| found.is_ascii_alphanumeric() || matches!(found, '-' | '_'))
}

/// What a map is to Azure Pipelines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// The top of a file, a job, or another item of a list.
    Job,
    /// `resources`.
    Resources,
    /// A container resource.
    Resource,
    /// A `container` or a service.
    Container,
    /// `services`: containers under their names.
    Services,
    /// Something else, in which lists of jobs may stand.
    Other,
}

#[derive(Default)]
struct Containers {
    aliases: Vec<String>,
    /// Places of images alone.
    images: Vec<(String, NodeId)>,
    /// Places of images or aliases.
    named: Vec<(String, NodeId)>,
    /// Resources of a registry, that name no tag.
    registries: Vec<(String, NodeId)>,
}

struct Walk<'t, 'a> {
    tree: &'t Tree<'a>,
    budget: Budget,
    path: Path<'t>,
    found: Containers,
}

impl Walk<'_, '_> {
    fn node(&mut self, at: NodeId, is: Where, depth: usize) -> Result<(), (NodeId, Exhausted)> {
        if depth > limits::YAML_DEPTH {
            return Err((at, Exhausted));
        }
        self.budget.spend(self.tree.is_alias(at)).map_err(|exhausted| (at, exhausted))?;
        if let Some(items) = self.tree.items(at) {
            let item = match is {
                Where::Resources | Where::Resource => Where::Resource,
                _ => Where::Job,
            };
            for (index, item_at) in items.iter().enumerate() {
                self.path.within(Step::Index(index));
                self.node(*item_at, item, depth + 1)?;
                self.path.leave();
            }
            return Ok(());
        }
        let tree = self.tree;
        if tree.scalar(at).is_some() {
            if is == Where::Container {
                self.found.named.push((self.path.to_string(), at));
            }
            return Ok(());
        }
        let entries = tree.fields(at, &mut self.budget).map_err(|exhausted| (at, exhausted))?;
        let has = |key: &str| entries.iter().any(|entry| entry.key == key);
        let item = is == Where::Job && depth > 0;
        let is_resource = item && has("container") && has("image") && !has("job") && !has("deployment");
        let is = if is_resource { Where::Resource } else { is };
        let has_image = has("image");
        for entry in entries {
            let inner = match (is, entry.key.as_ref()) {
                (_, key) if key.trim_start().starts_with("${{") => is,
                (Where::Job, "container") | (Where::Services, _) => Where::Container,
                (Where::Job, "services") => Where::Services,
                (Where::Job | Where::Other, "resources") => Where::Resources,
                (Where::Resources, "containers") => Where::Resource,
                (Where::Job | Where::Other, "inputs" | "env" | "variables" | "target") => continue,
                (Where::Job | Where::Other, _) => Where::Other,
                (Where::Resources | Where::Resource | Where::Container, key) => {
                    let key = key.to_owned();
                    self.path.within(Step::Key(entry.key));
                    self.field(is, &key, entry.value, has_image);
                    self.path.leave();
                    continue;
                }
            };
            self.path.within(Step::Key(entry.key));
            self.node(entry.value, inner, depth + 1)?;
            self.path.leave();
        }
        Ok(())
    }

    /// A field of a container, or of a resource.
    fn field(&mut self, is: Where, key: &str, value: NodeId, has_image: bool) {
        let place = || (self.path.to_string(), value);
        let text = text(self.tree, value);
        match key {
            "image" if is != Where::Resources && text.is_some() => self.found.images.push(place()),
            "container" if is == Where::Resource => match text {
                // an alias can't be spelled like an image
                Some(alias) if is_alias(alias) => self.found.aliases.push(alias.to_owned()),
                _ => self.found.named.push(place()),
            },
            "repository" if is == Where::Resource && !has_image => self.found.registries.push(place()),
            _ => {}
        }
    }
}

fn hit(sheet: &mut Sheet<'_, '_>, path: String, at: NodeId, shape: Shape) {
    let node = sheet.tree.resolve(at);
    sheet.places.hits.push(Hit { path, node, at, shape, role: Role::Ci, run_as: None });
}

/// The text of a scalar.
fn text<'t>(tree: &'t Tree<'_>, at: NodeId) -> Option<&'t str> {
    tree.scalar(at).map(|scalar| scalar.value.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Vec<String> {
        let found = AzurePipelines.find(&Input::alone("x.yml", text.as_bytes()));
        let mut lines: Vec<String> = Vec::new();
        for occurrence in found.occurrences {
            let state = match occurrence.subject {
                Subject::Image(_) => "image",
                Subject::Unresolvable { .. } => "undecided",
                Subject::NotAnImage { .. } => "skipped",
            };
            lines.push(format!("{} {state} {}", occurrence.path, occurrence.text));
        }
        lines.extend(found.unread.iter().map(|unread| format!("unread {}:{}", unread.place.line, unread.place.column)));
        lines
    }

    #[test]
    fn aliases_of_azure_are_no_images_and_images_no_aliases() {
        let rows: [(&str, &[&str]); 9] = [
            (
                "resources: {containers: [{container: a, image: b:1}]}\ncontainer: a\n",
                &["resources.containers[0].image image b:1"],
            ),
            // an alias can't be spelled as an image
            (
                "resources: {containers: [{container: e/x:1, image: b:1}]}\ncontainer: e/x:1\n",
                &[
                    "resources.containers[0].container image e/x:1",
                    "resources.containers[0].image image b:1",
                    "container image e/x:1",
                ],
            ),
            ("container: a\n", &["container undecided a"]),
            ("container: 5\n", &["container skipped 5"]),
            ("container: {alias: a}\n", &[]),
            ("jobs: [{job: a, container: {${{ if x }}: {image: b:1}}}]\n", &["unread 1:30"]),
            (
                "jobs:\n- job: a\n  container:\n    ${{ if x }}:\n      image: b:1\n",
                &["jobs[0].container[\"${{ if x }}\"].image image b:1"],
            ),
            ("steps: [{task: a, inputs: {jobs: [{container: b:1}]}}]\n", &[]),
            (
                "jobs: [{job: a, services: {b: c:1, d: {image: e:1}}}]",
                &["jobs[0].services.b image c:1", "jobs[0].services.d.image image e:1"],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(show(text), expected, "{text}");
        }
        let deep = format!("{}{{container: a:1}}{}", "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(show(&deep).len(), 1);
        let bomb = "a: &a [*a, *a]\ncontainer: x:1\n";
        assert!(show(bomb).iter().any(|line| line.starts_with("unread")));
    }

    #[test]
    fn files_by_name() {
        for (path, claimed) in [
            ("azure-pipelines.yaml", true),
            ("ci/azure-pipelines-nightly.yml", true),
            (".azure-pipelines/a/b/c.yml", true),
            (".vsts-ci.yml", true),
            ("pipelines/ci.yml", false),
            ("azure-pipelines.md", false),
        ] {
            assert_eq!(AzurePipelines.claims(path), claimed, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "jobs:\n", "- job: a\n", "container: ", "image: ", "a:1", "\n", "  ", "- ", "resources:\n", "containers:\n",
            "services:\n", "repository: ", "${{ if x }}:\n", "&a ", "*a", "<<: *a\n", "{", "}", "[", "]", ",", "\"", "---\n",
            "stages:\n", "x", "\u{2028}", "é", "\r\n", ">-\n",
        ]), 0..50)) {
            let text = tokens.concat();
            for occurrence in AzurePipelines.find(&Input::alone("x.yml", text.as_bytes())).occurrences {
                if let Some(slot) = occurrence.seat() {
                    proptest::prop_assert_eq!(&text[slot.span.start..slot.span.end], slot.text);
                }
            }
        }
    }
}
