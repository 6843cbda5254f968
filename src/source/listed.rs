//! Formats that a table says: pipelines of many systems, and other files with documented places for images. A row is an
//! id, file names, places and their role; what a path can't say (a plugin's name as a key, a substitution, a Dockerfile
//! relative to a context) is a small function beside its row.
//! It runs no expression of a pipeline: a parameter's default is one of the values it may have, so it is not believed.
//!
//! Longer than most files: most of it is the table.

use crate::source::place::{Hit, Shape};
use crate::source::select::{self, Selector, Takes};
use crate::source::stream::{self, Sheet};
use crate::source::{Format, Found, Input, Role, Subject, names, subject};
use crate::yaml::{Budget, NodeId, Tree};

/// A row: one format.
pub(crate) struct Listed {
    id: &'static str,
    /// The names of its files, as [`names::claims`] reads them.
    files: &'static [&'static str],
    /// The last keys of all places, and of the names of Dockerfiles.
    keys: &'static [&'static str],
    places: &'static [Selector],
    /// What the places can't say; runs after them, so that it can change what they found.
    also: fn(&mut Sheet<'_, '_>, &Input<'_>),
}

impl Format for Listed {
    fn id(&self) -> &'static str {
        self.id
    }

    fn claims(&self, path: &str) -> bool {
        names::claims(self.files, path)
    }

    fn find(&self, input: &Input<'_>) -> Found {
        stream::read(input, self.id, self.keys, &mut |sheet| {
            sheet.select(self.places);
            (self.also)(sheet, input);
        })
    }
}

const fn ci(path: &'static str) -> Selector {
    Selector { path, role: Role::Ci, takes: Takes::Text }
}

const fn build(path: &'static str) -> Selector {
    Selector { path, role: Role::Build, takes: Takes::Text }
}

const fn run(path: &'static str) -> Selector {
    Selector { path, role: Role::Run, takes: Takes::Text }
}

/// Only `docker://` names an image there.
const fn docker(path: &'static str, role: Role) -> Selector {
    Selector { path, role, takes: Takes::Docker }
}

fn nothing_else(_: &mut Sheet<'_, '_>, _: &Input<'_>) {}

/// <https://circleci.com/docs/configuration-reference>; `machine.image` and `macos.xcode` are machines, no containers.
pub(crate) static CIRCLECI: Listed = Listed {
    id: "circleci",
    files: &[".circleci/**/*.yml", "src/executors/*.yml", "src/jobs/*.yml", "src/@orb.yml"],
    keys: &["image"],
    places: &[
        ci("jobs.*.docker[].image"),
        ci("executors.*.docker[].image"),
        ci("orbs.**.jobs.*.docker[].image"),
        ci("orbs.**.executors.*.docker[].image"),
        // a file of an orb that is not packed yet is the job or the executor itself
        ci("docker[].image"),
    ],
    also: nothing_else,
};

/// <https://support.atlassian.com/bitbucket-cloud/docs/bitbucket-pipelines-configuration-reference>; a pipe by its
/// repository (`atlassian/x:1`) names no image: that stands in the repository.
pub(crate) static BITBUCKET: Listed = Listed {
    id: "bitbucket",
    files: &["bitbucket-pipelines.yml"],
    keys: &["image", "name", "pipe"],
    places: &[
        ci("image"),
        ci("image.name"),
        ci("definitions.services.*.image"),
        ci("definitions.services.*.image.name"),
        ci("pipelines.**.step.image"),
        ci("pipelines.**.step.image.name"),
        ci("definitions.pipelines.**.step.image"),
        ci("definitions.pipelines.**.step.image.name"),
        docker("pipelines.**.step.script[].pipe", Role::Ci),
        docker("pipelines.**.step.after-script[].pipe", Role::Ci),
        docker("definitions.pipelines.**.step.script[].pipe", Role::Ci),
        docker("definitions.pipelines.**.step.after-script[].pipe", Role::Ci),
    ],
    also: nothing_else,
};

/// <https://docs.drone.io/pipeline/docker/syntax>, and the keys of version 0.8.
pub(crate) static DRONE: Listed = Listed {
    id: "drone",
    files: &[".drone.yml", ".drone.*.yml", ".drone/*.yml"],
    keys: &["image"],
    places: &[
        ci("steps[].image"),
        ci("services[].image"),
        ci("pipeline.*.image"),
        ci("services.*.image"),
        ci("clone.*.image"),
    ],
    also: nothing_else,
};

/// <https://woodpecker-ci.org/docs/usage/workflow-syntax>: lists and maps alike; `pipeline` is the old name of `steps`.
pub(crate) static WOODPECKER: Listed = Listed {
    id: "woodpecker",
    files: &[".woodpecker.yml", ".woodpecker/**/*.yml"],
    keys: &["image"],
    places: &[
        ci("steps[].image"),
        ci("steps.*.image"),
        ci("services[].image"),
        ci("services.*.image"),
        ci("clone[].image"),
        ci("clone.*.image"),
        ci("pipeline[].image"),
        ci("pipeline.*.image"),
    ],
    also: nothing_else,
};

/// <https://buildkite.com/docs/pipelines/configure/step-types/command-step>, and the plugins `docker` and `kubernetes`;
/// what an `image` of another plugin is, its own documentation says: often what it builds.
pub(crate) static BUILDKITE: Listed = Listed {
    id: "buildkite",
    files: &[".buildkite/**/*.yml", ".buildkite/**/*.json", "buildkite*.yml", "buildkite*.json"],
    keys: &["image", "chown-image", "reference"],
    places: &[
        ci("image"),
        ci("[].image"),
        ci("[].steps[].image"),
        ci("steps[].image"),
        ci("steps[].steps[].image"),
        ci("steps[].command.image"),
        ci("steps[].steps[].command.image"),
    ],
    also: buildkite,
};

/// <https://skaffold.dev/docs/references/yaml>; `artifacts[].image` is what is built.
pub(crate) static SKAFFOLD: Listed = Listed {
    id: "skaffold",
    files: &["skaffold*.yml", "*.skaffold.yml"],
    keys: &["image", "Image", "builder", "dockerfile", "buildpacks", "path"],
    places: &[
        build("**.artifacts[].buildpacks.builder"),
        build("**.artifacts[].buildpacks.runImage"),
        docker("**.artifacts[].buildpacks.buildpacks[]", Role::Build),
        build("**.artifacts[].buildpack.builder"),
        build("**.artifacts[].buildpack.runImage"),
        build("**.artifacts[].kaniko.image"),
        build("**.artifacts[].kaniko.initImage"),
        build("**.artifacts[].jib.fromImage"),
        build("**.artifacts[].ko.fromImage"),
        build("**.googleCloudBuild.dockerImage"),
        build("**.googleCloudBuild.kanikoImage"),
        build("**.googleCloudBuild.mavenImage"),
        build("**.googleCloudBuild.gradleImage"),
        build("**.googleCloudBuild.packImage"),
        build("**.googleCloudBuild.koImage"),
        build("**.googleCloudBuild.platformEmulatorInstallStep.image"),
        ci("**.verify[].container.image"),
        ci("**.customActions[].containers[].image"),
    ],
    also: skaffold,
};

/// <https://cloud.google.com/build/docs/build-config-file-schema>; `images` are what is pushed.
pub(crate) static CLOUDBUILD: Listed = Listed {
    id: "cloudbuild",
    files: &["*cloudbuild*.yml", "*cloudbuild*.json", ".cloudbuild/**/*.yml"],
    keys: &["name"],
    places: &[ci("steps[].name"), ci("build.steps[].name")],
    also: cloudbuild,
};

/// <https://cirrus-ci.org/guide/writing-tasks>; images of virtual machines are none of containers.
pub(crate) static CIRRUS: Listed = Listed {
    id: "cirrus",
    files: &[".cirrus.yml"],
    keys: &["image", "dockerfile", "matrix"],
    places: &[
        ci("**.container.image"),
        ci("**.container.matrix.image"),
        ci("**.container.matrix[].image"),
        ci("**.container.image.matrix[]"),
        ci("**.arm_container.image"),
        ci("**.arm_container.matrix.image"),
        ci("**.arm_container.matrix[].image"),
        ci("**.arm_container.image.matrix[]"),
        ci("**.windows_container.image"),
        ci("**.windows_container.matrix[].image"),
        ci("**.gke_container.image"),
        ci("**.gke_container.matrix[].image"),
        ci("**.eks_container.image"),
        ci("**.eks_container.matrix[].image"),
        ci("**.aks_container.image"),
        ci("**.aks_container.matrix[].image"),
        ci("**.additional_containers[].image"),
        ci("*.steps[].image"),
        ci("*.matrix[].steps[].image"),
    ],
    also: |sheet, _| {
        for path in ["**.container", "**.arm_container", "**.windows_container"] {
            each(sheet, path, &mut |sheet, _, node| dockerfiles(sheet, node, "dockerfile"));
        }
    },
};

/// <https://docs.semaphore.io/reference/pipeline-yaml>; `os_image` is a machine.
pub(crate) static SEMAPHORE: Listed = Listed {
    id: "semaphore",
    files: &[".semaphore/**/*.yml"],
    keys: &["image"],
    places: &[ci("**.agent.containers[].image")],
    also: nothing_else,
};

/// <https://go-vela.github.io/docs/reference/yaml>
pub(crate) static VELA: Listed = Listed {
    id: "vela",
    files: &[".vela.yml"],
    keys: &["image"],
    places: &[ci("steps[].image"), ci("services[].image"), ci("stages.*.steps[].image"), ci("secrets[].origin.image")],
    also: nothing_else,
};

/// <https://codefresh.io/docs/docs/pipelines/steps>; `image_name` is what a step builds.
pub(crate) static CODEFRESH: Listed = Listed {
    id: "codefresh",
    files: &["codefresh*.yml", ".codefresh/**/*.yml"],
    keys: &["image"],
    places: &[
        ci("steps.**.steps.*.image"),
        ci("steps.*.image"),
        ci("**.composition.*.image"),
        ci("**.composition.services.*.image"),
        ci("**.composition_candidates.*.image"),
    ],
    also: nothing_else,
};

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>, and Elastic
/// Beanstalk's `Dockerrun.aws.json`.
pub(crate) static ECS: Listed = Listed {
    id: "ecs",
    files: &["*task-def*.json", "*taskdef*.json", "*task_def*.json", "*taskDef*.json", "Dockerrun.aws.json"],
    keys: &["image", "Name"],
    places: &[
        run("containerDefinitions[].image"),
        run("taskDefinition.containerDefinitions[].image"),
        run("Image.Name"),
    ],
    also: nothing_else,
};

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide>; images of `CodeBuild` are left out, most of which no
/// registry has.
pub(crate) static CLOUDFORMATION: Listed = Listed {
    id: "cloudformation",
    files: &[
        "template.yml",
        "template.json",
        "*cloudformation*.yml",
        "*cloudformation*.json",
        "*.cfn.yml",
        "*.cfn.json",
    ],
    keys: &["Image", "ImageUri"],
    places: &[],
    also: |sheet, _| {
        for path in [
            // conditions and loops of the template may stand between
            "Resources.**.ContainerDefinitions.**.Image",
            "Resources.**.ContainerProperties.**.Image",
            "Resources.**.ImageUri",
        ] {
            each(sheet, path, &mut |sheet, path, at| {
                let function = sheet.tree.scalar(at).is_none();
                let shape = if function { Shape::Wrong("a function of the template") } else { Shape::Right };
                hit(sheet, path, at, shape, Role::Run);
            });
        }
    },
};

/// <https://devfile.io/docs/2.3.0/devfile-schema>, and version 1; `image.imageName` is what is built.
pub(crate) static DEVFILE: Listed = Listed {
    id: "devfile",
    files: &["devfile.yml", ".devfile.yml", "*.devfile.yml"],
    keys: &["image", "uri"],
    places: &[
        build("components[].container.image"),
        build("components[].image"),
        build("parent.components[].container.image"),
        build("components[].plugin.components[].container.image"),
    ],
    also: |sheet, _| each(sheet, "components[].image", &mut |sheet, _, at| dockerfiles(sheet, at, "dockerfile.uri")),
};

/// <https://www.gitpod.io/docs/references/gitpod-yml>
pub(crate) static GITPOD: Listed = Listed {
    id: "gitpod",
    files: &[".gitpod.yml"],
    keys: &["image", "file"],
    places: &[build("image")],
    also: |sheet, _| each(sheet, "image", &mut |sheet, _, at| dockerfiles(sheet, at, "file")),
};

/// Shows the sheet every node of a path, with its path in the document.
fn each(sheet: &mut Sheet<'_, '_>, path: &str, then: &mut dyn FnMut(&mut Sheet<'_, '_>, String, NodeId)) {
    let Some(root) = sheet.tree.root() else { return };
    below(sheet, root, "", path, then);
}

/// As [`each`], from a node that stands at `base`.
fn below(
    sheet: &mut Sheet<'_, '_>,
    from: NodeId,
    base: &str,
    path: &str,
    then: &mut dyn FnMut(&mut Sheet<'_, '_>, String, NodeId),
) {
    let mut nodes = Vec::new();
    let visited = select::visit(sheet.tree, from, path, &mut Budget::new(), &mut |path, at| {
        let path = path.to_string();
        let dot = if base.is_empty() || path.is_empty() || path.starts_with('[') { "" } else { "." };
        nodes.push((format!("{base}{dot}{path}"), at));
    });
    if let Err(spent) = visited {
        sheet.places.spent = Some(spent);
    }
    for (path, at) in nodes {
        then(sheet, path, at);
    }
}

fn hit(sheet: &mut Sheet<'_, '_>, path: String, at: NodeId, shape: Shape, role: Role) {
    let node = sheet.tree.resolve(at);
    sheet.places.hits.push(Hit { path, node, at, shape, role, run_as: None });
}

/// The text of a scalar.
fn text<'t>(tree: &'t Tree<'_>, at: NodeId) -> Option<&'t str> {
    tree.scalar(at).map(|scalar| scalar.value.as_ref())
}

/// Hands over the Dockerfiles that `path` names below a node, relative to the file.
fn dockerfiles(sheet: &mut Sheet<'_, '_>, from: NodeId, path: &str) {
    below(sheet, from, "", path, &mut |sheet, _, at| {
        if let Some(text) = text(sheet.tree, at).map(str::to_owned).filter(|text| !text.contains("://")) {
            dockerfile(sheet, at, &text);
        }
    });
}

/// Hands over one Dockerfile; a path that can't be known is said to be unread, for an image may stand behind it.
fn dockerfile(sheet: &mut Sheet<'_, '_>, at: NodeId, path: &str) {
    if path.contains(['$', '{', '<', '\\']) || path.starts_with('/') || path.starts_with('~') {
        sheet.unread_at(at, format!("a Dockerfile whose place is not known from this file: `{path}`"));
    } else if !path.is_empty() {
        let path = path.strip_prefix("./").map_or(path, |rest| rest.trim_start_matches('/'));
        sheet.point(at, path, false, "dockerfile");
    }
}

/// Plugins stand under their own names: `docker#v5.11.0`, a repository's URL.
fn buildkite(sheet: &mut Sheet<'_, '_>, _: &Input<'_>) {
    for path in ["**.plugins[].*", "**.plugins.*"] {
        each(sheet, path, &mut |sheet, path, at| {
            let key = path.strip_suffix("\"]").and_then(|path| path.rsplit_once("[\"")).map(|(_, key)| key);
            let key = key.or_else(|| path.rsplit_once('.').map(|(_, key)| key)).unwrap_or_default();
            let name = key.split('#').next().unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or_default();
            let name = name.strip_suffix(".git").unwrap_or(name);
            let places: &[&str] = match name.strip_suffix("-buildkite-plugin").unwrap_or(name) {
                _ if key.contains('$') => &["image", "chown-image"],
                "docker" => &["image", "chown-image"],
                "kubernetes" => &[
                    "**.containers[].image",
                    "**.initContainers[].image",
                    "**.ephemeralContainers[].image",
                    "**.volumes[].image.reference",
                    "sidecars[].image",
                ],
                _ => &[],
            };
            for place in places {
                below(sheet, at, &path, place, &mut |sheet, path, at| {
                    if sheet.tree.scalar(at).is_some() {
                        let variable = Shape::Wrong("of a plugin whose name is a variable");
                        hit(sheet, path, at, if key.contains('$') { variable } else { Shape::Right }, Role::Ci);
                    }
                });
            }
        });
    }
}

/// What runs under an artifact's name is what was built, or, where it was not, what a registry has; an artifact's
/// Dockerfile lies in its context or, failing that, beside the file.
fn skaffold(sheet: &mut Sheet<'_, '_>, input: &Input<'_>) {
    let mut built = Vec::new();
    each(sheet, "**.artifacts[].image", &mut |sheet, _, at| built.extend(text(sheet.tree, at).map(str::to_owned)));
    for hit in sheet.take() {
        let mut occurrence = sheet.page.occurrence(&hit);
        if hit.role == Role::Ci && built.contains(&occurrence.text) {
            let reason = "the name of an artifact that this file builds; what is built is not known from it";
            occurrence.subject = Subject::Unresolvable { reason: reason.to_owned() };
        }
        sheet.push(&hit, occurrence);
    }
    each(sheet, "**.artifacts[]", &mut |sheet, path, artifact| {
        let mut context = String::new();
        below(sheet, artifact, &path, "context", &mut |sheet, _, at| {
            let folder = text(sheet.tree, at).unwrap_or_default();
            context = folder.trim_end_matches('/').into();
        });
        for place in ["docker.dockerfile", "kaniko.dockerfile", "custom.dependencies.dockerfile.path"] {
            below(sheet, artifact, &path, place, &mut |sheet, _, at| {
                let Some(file) = text(sheet.tree, at).map(str::to_owned) else { return };
                let inside = match context.as_str() {
                    "" | "." => file.clone(),
                    context => format!("{context}/{file}"),
                };
                let beside = !inside.starts_with('/') && input.beside.read(&inside).is_none();
                let beside = beside && !file.starts_with('/') && input.beside.read(&file).is_some();
                dockerfile(sheet, at, if beside { &file } else { &inside });
            });
        }
    });
}

/// Puts the defaults of `substitutions` into the names of steps.
fn cloudbuild(sheet: &mut Sheet<'_, '_>, _: &Input<'_>) {
    let mut defaults: Vec<(String, Option<String>)> = Vec::new();
    for path in ["substitutions.*", "build.substitutions.*"] {
        each(sheet, path, &mut |sheet, path, at| {
            let name = path.rsplit('.').next().unwrap_or_default().to_owned();
            let tagged = sheet.tree.node(sheet.tree.resolve(at)).tag.is_some();
            let value = text(sheet.tree, at).filter(|value| !tagged && !value.contains('$')).map(str::to_owned);
            match defaults.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) if *known != value => *known = None,
                Some(_) => {}
                None => defaults.push((name, value)),
            }
        });
    }
    for hit in sheet.take() {
        let mut occurrence = sheet.page.occurrence(&hit);
        let unknown = matches!(occurrence.subject, Subject::Unresolvable { .. });
        if unknown && let Some((text, used)) = substituted(&occurrence.text, &defaults) {
            occurrence.subject = subject::string(&text);
            occurrence.text = text;
            occurrence.assumes = Some(format!("{used}, its default in `substitutions`"));
            let reason = format!("it is made with {used}; write the image out to pin it");
            occurrence.uneditable.get_or_insert(reason);
        }
        sheet.push(&hit, occurrence);
    }
}

/// A text with its substitutions replaced, and which they were; `None` where one is not known, or none is there.
fn substituted(text: &str, defaults: &[(String, Option<String>)]) -> Option<(String, String)> {
    let (mut made, mut used) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        made.push_str(before);
        let braced = after.strip_prefix('{');
        let name = braced.unwrap_or(after);
        let is_name = |found: char| found.is_ascii_uppercase() || found.is_ascii_digit() || found == '_';
        let (name, after) = name.split_at(name.find(|found| !is_name(found)).unwrap_or(name.len()));
        rest = if braced.is_some() { after.strip_prefix('}')? } else { after };
        let value = defaults.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_ref())?;
        made.push_str(value);
        used.push(format!("{name}={value}"));
    }
    made.push_str(rest);
    (!used.is_empty()).then(|| (made, used.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Occurrence;

    const ALL: [&Listed; 15] = [
        &CIRCLECI,
        &BITBUCKET,
        &DRONE,
        &WOODPECKER,
        &BUILDKITE,
        &SKAFFOLD,
        &CLOUDBUILD,
        &CIRRUS,
        &SEMAPHORE,
        &VELA,
        &CODEFRESH,
        &ECS,
        &CLOUDFORMATION,
        &DEVFILE,
        &GITPOD,
    ];

    fn show(format: &Listed, text: &str) -> Vec<String> {
        let found = format.find(&Input::alone("x.yml", text.as_bytes()));
        let state = |occurrence: &Occurrence| match occurrence.subject {
            Subject::Image(_) => "image",
            Subject::Unresolvable { .. } => "undecided",
            Subject::NotAnImage { .. } => "skipped",
        };
        let mut lines: Vec<String> =
            found.occurrences.iter().map(|found| format!("{} {} {}", found.path, state(found), found.text)).collect();
        lines.extend(found.unread.iter().map(|unread| format!("unread {}:{}", unread.place.line, unread.place.column)));
        lines.extend(found.pointers.iter().map(|pointer| format!("-> {}", pointer.path)));
        lines
    }

    #[test]
    fn rows_are_well_formed() {
        for format in ALL {
            assert!(!format.files.is_empty() && !format.keys.is_empty(), "{}", format.id);
            for place in format.places {
                let last = place.path.rsplit('.').next().expect("a key").trim_end_matches("[]");
                assert!(format.keys.iter().any(|key| last.contains(key)), "{}: {last} is no key", format.id);
            }
            for file in format.files {
                let file = file.replace("**", "a/b").replace('*', "c");
                assert!(format.claims(&file), "{}: {file}", format.id);
                assert!(format.claims(&format!("x/{file}")), "{}: x/{file}", format.id);
                assert!(!format.claims(&format!("{file}.bak")), "{}: {file}.bak", format.id);
                assert!(!format.claims(&format!("{file}/x")), "{}: {file}/x", format.id);
            }
        }
    }

    #[test]
    fn files_by_name() {
        for (path, id) in [
            (".circleci/config.yml", "circleci"),
            ("a/.circleci/continue_config.yaml", "circleci"),
            (".circleci/deep/er.yml", "circleci"),
            (".drone.yaml", "drone"),
            (".woodpecker/a.yml", "woodpecker"),
            (".buildkite/pipeline.release.yml", "buildkite"),
            ("app/skaffold-dev.yaml", "skaffold"),
            ("cloudbuild.json", "cloudbuild"),
            ("deploy/app-cloudbuild.yaml", "cloudbuild"),
            ("ecs/web-task-definition.json", "ecs"),
            ("devfile.yaml", "devfile"),
            (".gitpod.yml", "gitpod"),
            ("config.yml", ""),
            ("circleci/config.yml", ""),
            (".drone.star", ""),
            ("bitbucket-pipelines.yml.md", ""),
            ("skaffold.go", ""),
        ] {
            let claiming: Vec<&str> = ALL.iter().filter(|format| format.claims(path)).map(|format| format.id).collect();
            assert_eq!(claiming.join(" "), id, "{path}");
        }
    }

    #[test]
    fn substitutions_of_cloud_build() {
        let known = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let defaults = [known("_A", "x"), known("_AB", "y"), ("_C".to_owned(), None)];
        for (text, made) in [
            ("a:$_A", Some("a:x")),
            ("a:${_A}z", Some("a:xz")),
            ("a:$_AB", Some("a:y")),
            ("$_A/$_AB", Some("x/y")),
            ("a:$_C", None),
            ("a:$_D", None),
            ("a:$$_A", None),
            ("a:${_A:0:1}", None),
            ("a:${_A", None),
            ("a:$PROJECT_ID", None),
            ("a:1", None),
        ] {
            assert_eq!(substituted(text, &defaults).map(|(text, _)| text).as_deref(), made, "{text}");
        }
        let twice = "steps: [{name: \"a:$_V\"}]\nsubstitutions: {_V: 1, _V: 2}\n";
        assert_eq!(show(&CLOUDBUILD, twice), ["steps[0].name undecided a:$_V"]);
    }

    #[test]
    fn dockerfiles_that_are_named() {
        let skaffold = |artifact: &str| show(&SKAFFOLD, &format!("build: {{artifacts: [{{image: a, {artifact}}}]}}\n"));
        assert_eq!(skaffold("docker: {dockerfile: D}"), ["-> D"]);
        assert_eq!(skaffold("context: ./b/, docker: {dockerfile: D}"), ["-> b/D"]);
        for unknown in ["'{{.X}}'", "/abs", "'~/x'", "$X"] {
            assert_eq!(skaffold(&format!("docker: {{dockerfile: {unknown}}}")).len(), 1, "{unknown}");
            assert!(skaffold(&format!("docker: {{dockerfile: {unknown}}}"))[0].starts_with("unread"), "{unknown}");
        }
        assert_eq!(show(&GITPOD, "image: {file: x.Dockerfile}"), ["-> x.Dockerfile"]);
        assert_eq!(show(&DEVFILE, "components: [{image: {dockerfile: {uri: 'https://x/D'}}}]"), [""; 0]);
    }

    #[test]
    fn plugins_by_any_of_their_names() {
        for name in [
            "docker#v1",
            "docker",
            "a/docker#v1",
            "https://x/buildkite-plugins/docker-buildkite-plugin.git#v1",
            "./x/docker",
        ] {
            let text = format!("steps: [{{plugins: [{{\"{name}\": {{image: a:1}}}}]}}]\n");
            assert_eq!(show(&BUILDKITE, &text).len(), 1, "{name}");
        }
        for name in ["docker-compose#v1", "ecr#v1", "dockerx"] {
            let text = format!("steps: [{{plugins: [{{\"{name}\": {{image: a:1}}}}]}}]\n");
            assert_eq!(show(&BUILDKITE, &text).len(), 0, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "jobs:\n", "container: ", "image: ", "a:1", "\n", "\n  ", "- ", "  ", "docker:\n", "steps:\n", "services:\n",
            "plugins:\n", "docker#v1:\n", "resources:\n", "containers:\n", "${{ if x }}:\n", "name: ", "$_A", "substitutions:\n",
            "_A: ", "&a ", "*a", "<<: *a\n", "{", "}", "[", "]", ",", "\"", "'", "---\n", "artifacts:\n", "dockerfile: ", "x",
            "pipelines:\n", "step:\n", "pipe: docker://", "\u{2028}", "é", "\r\n", "\t", "!Sub ", "Resources:\n", ">-\n",
        ]), 0..50), which in 0..ALL.len()) {
            let text = tokens.concat();
            let found = ALL[which].find(&Input::alone("x.yml", text.as_bytes()));
            for occurrence in found.occurrences {
                if let Some(slot) = occurrence.seat() {
                    proptest::prop_assert_eq!(&text[slot.span.start..slot.span.end], slot.text);
                }
            }
        }
    }
}
