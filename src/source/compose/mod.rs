//! Compose files, for Docker Compose, podman-compose and Swarm stacks: the images of services, of their `pre_start` hooks and
//! image volumes, of build contexts (`docker-image://`), of Dockerfiles written into the file and of SBOM generators. The
//! Dockerfiles that services build and the Compose files that are included or extended are handed over.
//!
//! An `image` beside `build` is the build's name and still what Compose pulls first, where it is not there yet (Compose
//! Build Specification, "Using build and image"; Swarm never builds): it is judged and not edited, whatever its
//! `pull_policy`, for a file that extends or overrides this one may say another.
//! Variables get their defaults and what `.env` beside the file sets (see `interpolation`). All profiles count. Where
//! `build.args` make another image of a FROM than the Dockerfile's defaults do, it is found at the argument.
//!
//! Not found: caches (`cache_from`, `cache_to`) and tags, which are not run; models and providers, which are no container
//! images; an include's `env_file`, which may choose another image than a default does; contents of scripts and configs.
//!
//! Longer than most files: one walk over one document, and its tests.

mod dotenv;
mod inline;
mod interpolation;

use std::collections::{BTreeMap, BTreeSet};

use crate::source::place::{Hit, Shape};
use crate::source::select;
use crate::source::stream::{self, Sheet};
use crate::source::{Format, Found, Input, Occurrence, Pointer, Role, RunAs, Subject, run_as, subject};
use crate::span::{self, Span};
use crate::yaml::{Budget, Exhausted, Kind, NodeId, Style, Tree};
use interpolation::{Resolved, Variables};

/// The format.
pub(crate) struct Compose;

const ID: &str = "compose";
const DOCKERFILE: &str = "dockerfile";

/// The last keys of its places.
const KEYS: [&str; 10] = [
    "image",
    "build",
    "source",
    "docker-image",
    "file",
    "include",
    "dockerfile_inline",
    "generator",
    "pull_policy",
    // of a service whose image stands in another document
    "user",
];

/// What a variable's reader may do instead.
const VARIABLE: &str = "variables compose it; pin it where they get their values, or write the image here";

impl Format for Compose {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let Some(stem) = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")) else { return false };
        let workflows = folder == ".github/workflows" || folder.ends_with("/.github/workflows");
        !workflows && (stem.contains("compose") || stem == "stack" || stem.starts_with("docker-stack"))
    }

    fn find(&self, input: &Input<'_>) -> Found {
        let variables = input.beside.read(".env").map_or_else(Variables::default, |bytes| dotenv::parse(&bytes));
        let mut services = Services::new();
        let mut found = stream::read(input, ID, &KEYS, &mut |sheet| {
            let resets = resets(sheet.tree);
            Look { input, variables: &variables, resets }.document(sheet, &mut services);
        });
        in_several_documents(&services, &mut found);
        files_of_environment(input, &variables, &mut found);
        found
    }
}

/// The services of a file by name: the documents that they stand in, and the paths of their images.
type Services = BTreeMap<String, (BTreeSet<usize>, BTreeSet<String>)>;

/// Compose merges the documents of a file: as whom a service of several runs is not known from one.
fn in_several_documents(services: &Services, found: &mut Found) {
    let several = services.values().filter(|(documents, _)| documents.len() > 1);
    let images: BTreeSet<&str> = several.flat_map(|(_, images)| images).map(String::as_str).collect();
    for occurrence in found.occurrences.iter_mut().filter(|found| images.contains(found.path.as_str())) {
        occurrence.run_as = Some(Box::new(run_as::unknown("several documents of the file name the service")));
    }
}

/// `COMPOSE_FILE` in `.env` names the files that Compose reads in place of its own choice.
fn files_of_environment(input: &Input<'_>, variables: &Variables, found: &mut Found) {
    let value = |name: &str| variables.set.get(name).and_then(|value| value.as_ref().ok());
    let Some(files) = value("COMPOSE_FILE") else { return };
    let separator = value("COMPOSE_PATH_SEPARATOR").map_or(":", String::as_str);
    let separator = if separator.is_empty() { ":" } else { separator };
    for file in files.split(separator).filter(|file| !is_elsewhere(file)).map(clean) {
        let known = found.pointers.iter().any(|pointer| pointer.path == file && pointer.format == ID);
        if !known && input.path.rsplit('/').next() != Some(&file) && input.beside.read(&file).is_some() {
            found.pointers.push(Pointer {
                path: file,
                glob: false,
                format: ID,
                place: span::Place { line: 1, column: 1 },
            });
        }
    }
    found.pointers.sort_by_key(|pointer| pointer.place);
}

/// A look at one document.
struct Look<'f> {
    input: &'f Input<'f>,
    variables: &'f Variables,
    /// What stands under `!reset`, in order.
    resets: Vec<Span>,
}

/// A node, where it stands, and the alias where one stands there.
#[derive(Clone, Debug)]
struct Place {
    path: String,
    at: NodeId,
}

/// One argument of a build.
struct Argument {
    name: String,
    /// Its value, or why it is not known.
    value: Result<Resolved, String>,
    place: Place,
}

/// One service.
struct Service {
    place: Place,
    /// What it builds, where it does.
    builds: Vec<Place>,
    images: Vec<Place>,
}

/// Looks for places in one document, under one budget.
struct Search<'s, 't> {
    tree: &'t Tree<'t>,
    budget: Budget,
    spent: &'s mut Option<(NodeId, Exhausted)>,
}

impl Search<'_, '_> {
    /// The nodes that a path names below a place.
    fn at(&mut self, from: &Place, path: &str) -> Vec<Place> {
        let mut found = Vec::new();
        let visited = select::visit(self.tree, from.at, path, &mut self.budget, &mut |path, at| {
            found.push(Place { path: join(&from.path, &path.to_string()), at });
        });
        if let Err(spent) = visited {
            self.spent.get_or_insert(spent);
        }
        found
    }
}

/// The last key of a path.
fn last_key(path: &str) -> &str {
    let quoted = path.strip_suffix("\"]").and_then(|path| path.rsplit_once("[\"")).map(|(_, key)| key);
    quoted.unwrap_or_else(|| path.rsplit('.').next().unwrap_or_default())
}

fn join(outer: &str, inner: &str) -> String {
    if outer.is_empty() || inner.is_empty() || inner.starts_with('[') {
        format!("{outer}{inner}")
    } else {
        format!("{outer}.{inner}")
    }
}

impl Look<'_> {
    fn document(&self, sheet: &mut Sheet<'_, '_>, known: &mut Services) {
        let tree = sheet.tree;
        let Some(root) = tree.root() else { return };
        let mut spent = None;
        let mut search = Search { tree, budget: Budget::new(), spent: &mut spent };
        let root = Place { path: String::new(), at: root };
        let services = Self::services(&mut search, &root);
        let names: BTreeSet<&str> = services.iter().map(|service| last_key(&service.place.path)).collect();
        let built: BTreeSet<String> = services
            .iter()
            .filter(|service| !service.builds.is_empty())
            .flat_map(|service| &service.images)
            .filter_map(|image| self.text(tree, image))
            .collect();
        let document = self.image(sheet, &root, Role::Run).document;
        for service in &services {
            let (documents, images) = known.entry(last_key(&service.place.path).to_owned()).or_default();
            documents.insert(document);
            images.extend(service.images.iter().map(|image| image.path.clone()));
            let run_as = self.run_as(&mut search, &service.place);
            for image in &service.images {
                let mut found = self.image(sheet, image, Role::Run);
                found.run_as.clone_from(&run_as);
                if self.text(tree, image).is_some_and(|text| built.contains(&text)) {
                    mark_built(&mut found);
                }
                push(sheet, image, found);
            }
            for hook in search.at(&service.place, "pre_start[]") {
                let run_as = self.run_as(&mut search, &hook);
                for image in search.at(&hook, "image") {
                    let mut found = self.image(sheet, &image, Role::Run);
                    found.run_as.clone_from(&run_as);
                    push(sheet, &image, found);
                }
            }
            for volume in search.at(&service.place, "volumes[]") {
                self.volume(sheet, &mut search, &volume, &names);
            }
            for extends in search.at(&service.place, "extends.file") {
                self.compose_file(sheet, &extends);
            }
            for build in &service.builds {
                self.build(sheet, &mut search, build);
            }
        }
        self.wrong_shapes(sheet, &mut search, &root);
        for path in ["include", "include[]", "include[].path", "include[].path[]", "include.path"] {
            for place in search.at(&root, path) {
                self.compose_file(sheet, &place);
            }
        }
        sheet.pointers.sort_by_key(|pointer| pointer.place);
        let mut known = BTreeSet::new();
        sheet.pointers.retain(|pointer| known.insert((pointer.path.clone(), pointer.format)));
        if let Some(spent) = spent {
            sheet.places.spent = Some(spent);
        }
    }

    /// The services; without `services` those of the first version of the format, which stand at the top.
    fn services(search: &mut Search<'_, '_>, root: &Place) -> Vec<Service> {
        const TOP: [&str; 9] =
            ["version", "name", "networks", "volumes", "secrets", "configs", "include", "models", "services"];
        let has_services = !search.at(root, "services").is_empty();
        let places = if has_services {
            search.at(root, "services.*")
        } else {
            let top = search.at(root, "*");
            top.into_iter()
                .filter(|place| !TOP.contains(&place.path.as_str()) && !place.path.starts_with("x-"))
                .collect()
        };
        let tree = search.tree;
        let mut services = Vec::new();
        for place in places {
            let builds: Vec<Place> =
                search.at(&place, "build").into_iter().filter(|build| is_something(tree, build.at)).collect();
            let images = search.at(&place, "image");
            services.push(Service { place, builds, images });
        }
        services
    }

    /// As whom a service or a hook runs: `user`, where it is set and not empty. What a variable's default makes of it, and
    /// what a service takes from another that it extends, is not known; nor is it where a hook runs in it as another user.
    fn run_as(&self, search: &mut Search<'_, '_>, of: &Place) -> Option<Box<RunAs>> {
        let tree = search.tree;
        let mut users: Vec<Option<String>> =
            search.at(of, "user").into_iter().map(|place| self.user(tree, place.at)).collect();
        let hooks = ["post_start[].user", "pre_stop[].user"].iter().any(|path| !search.at(of, path).is_empty());
        if hooks {
            return Some(Box::new(run_as::unknown("a hook names a user of its own")));
        }
        let extends = !search.at(of, "extends").is_empty();
        users.sort_unstable();
        users.dedup();
        match users.as_slice() {
            [] | [None] if extends => Some(Box::new(run_as::unknown("what it extends decides"))),
            [] | [None] => None,
            [Some(user)] => Some(Box::new(RunAs { user: Some(user.clone()), non_root: None })),
            _ => Some(Box::new(run_as::unknown("`user` stands there in several ways"))),
        }
    }

    /// A user as written; `None` where that is the image's own.
    fn user(&self, tree: &Tree<'_>, at: NodeId) -> Option<String> {
        let Some(scalar) = tree.scalar(at) else { return Some("(a map or a list)".to_owned()) };
        let node = tree.resolve(at);
        let tagged = tree.node(node).tag.is_some() || stream::is_within(&self.resets, tree.node(node).span);
        let text = scalar.value.as_ref();
        if tagged {
            return Some(format!("(`{text}` with a tag)"));
        }
        if !is_something(tree, at) || text.is_empty() {
            return None;
        }
        match self.variables.resolve(text) {
            Ok(resolved) if resolved.assumes.is_empty() => Some(resolved.text),
            _ => Some(format!("({text})")),
        }
    }

    /// The text at a place with its variables put in, where it is known.
    fn text(&self, tree: &Tree<'_>, place: &Place) -> Option<String> {
        let scalar = tree.scalar(place.at)?;
        self.variables.resolve(&scalar.value).ok().map(|resolved| resolved.text)
    }

    /// The occurrence of an image's place.
    fn image(&self, sheet: &Sheet<'_, '_>, place: &Place, role: Role) -> Occurrence {
        let tree = sheet.tree;
        let node = tree.resolve(place.at);
        let hit = Hit { path: place.path.clone(), node, at: place.at, shape: Shape::Right, role, run_as: None };
        let mut found = sheet.page.occurrence(&hit);
        if let Some(scalar) = tree.scalar(node) {
            let tag = tree.node(node).tag.as_deref();
            if tag == Some("!override") {
                let plain = scalar.style == Style::Plain;
                found.subject = if plain { subject::plain(&scalar.value) } else { subject::string(&scalar.value) };
            }
            if matches!(tag, None | Some("!" | "!override" | "tag:yaml.org,2002:str")) {
                self.put_in(&mut found);
            }
        }
        self.reset(sheet, node, &mut found);
        found
    }

    /// Puts the variables into an occurrence's text.
    fn put_in(&self, found: &mut Occurrence) {
        let plain = !found.text.contains('$') || found.text.contains("{{");
        if plain {
            return;
        }
        match self.variables.resolve(&found.text) {
            Ok(resolved) => {
                if resolved.text.is_empty() {
                    found.subject = unresolvable("variables, which are empty by default".to_owned());
                    return;
                }
                let subject = match subject::string(&resolved.text) {
                    Subject::Unresolvable { .. } if resolved.text.contains('$') => {
                        unresolvable("not a reference: a `$`, as `$$` stands for".to_owned())
                    }
                    subject => subject,
                };
                if matches!(subject, Subject::Image(_)) {
                    found.assumes = resolved.assumption();
                    found.text = resolved.text;
                    found.uneditable = Some(VARIABLE.to_owned());
                }
                found.subject = subject;
            }
            Err(reason) => found.subject = unresolvable(reason),
        }
    }

    /// `volumes[]` of the type `image`: its source is an image, or another service's.
    fn volume(
        &self,
        sheet: &mut Sheet<'_, '_>,
        search: &mut Search<'_, '_>,
        volume: &Place,
        services: &BTreeSet<&str>,
    ) {
        let tree = sheet.tree;
        let kinds: Vec<Result<Resolved, String>> = search
            .at(volume, "type")
            .iter()
            .filter_map(|kind| tree.scalar(kind.at))
            .map(|kind| self.variables.resolve(&kind.value))
            .collect();
        let is_image = |kind: &Result<Resolved, String>| kind.as_ref().map_or(true, |kind| kind.text == "image");
        if !kinds.iter().any(is_image) {
            return;
        }
        for source in search.at(volume, "source") {
            let mut found = self.image(sheet, &source, Role::Run);
            if kinds.iter().any(Result::is_err) && matches!(found.subject, Subject::Image(_)) {
                found.subject = unresolvable("a variable decides whether it is an image".to_owned());
            } else if services.contains(found.text.as_str()) {
                let reason = "a service of this file has that name too, and its image may be meant";
                found.uneditable.get_or_insert_with(|| reason.to_owned());
            }
            push(sheet, &source, found);
        }
    }

    /// What is built, and from what.
    fn build(&self, sheet: &mut Sheet<'_, '_>, search: &mut Search<'_, '_>, build: &Place) {
        let tree = sheet.tree;
        if tree.scalar(build.at).is_some() {
            self.dockerfile(sheet, Some(build), None, &[], &[]);
            return;
        }
        if !tree.is_mapping(build.at) {
            return;
        }
        let is_text = |place: &Place| tree.scalar(place.at).is_some() && is_something(tree, place.at);
        let texts = |search: &mut Search<'_, '_>, path: &str| -> Vec<Place> {
            search.at(build, path).into_iter().filter(is_text).collect()
        };
        let names = self.contexts(sheet, search, build);
        let inlines = texts(search, "dockerfile_inline");
        let contexts = texts(search, "context");
        let files = texts(search, "dockerfile");
        let arguments = self.arguments(search, build);
        for inline in &inlines {
            self.inline(sheet, inline, &names);
            if let Some(text) = self.text(tree, inline).filter(|_| !arguments.is_empty()) {
                self.with_arguments(sheet, &text, &arguments, &names);
            }
        }
        for sbom in texts(search, "sbom") {
            self.field(sheet, &sbom, "generator=");
        }
        let some = |places: &'_ [Place]| -> Vec<Option<Place>> {
            if places.is_empty() { vec![None] } else { places.iter().cloned().map(Some).collect() }
        };
        if inlines.is_empty() || !files.is_empty() {
            for context in some(&contexts) {
                for file in some(&files) {
                    self.dockerfile(sheet, context.as_ref().or(Some(build)), file.as_ref(), &arguments, &names);
                }
            }
        }
    }

    /// The images among named contexts; the names of all of them, which stand for something else in a Dockerfile.
    fn contexts(&self, sheet: &mut Sheet<'_, '_>, search: &mut Search<'_, '_>, build: &Place) -> Vec<String> {
        const SCHEME: &str = "docker-image://";
        let tree = sheet.tree;
        let mut names = Vec::new();
        for (path, listed) in
            [("additional_contexts.*", false), ("additional_contexts[]", true), ("x-bake.contexts.*", false)]
        {
            for place in search.at(build, path) {
                let Some(scalar) = tree.scalar(place.at) else { continue };
                let text = scalar.value.as_ref();
                let resolved = self.variables.resolve_known(text).map_or_else(|_| text.to_owned(), |found| found.text);
                let (name, value) = match resolved.split_once('=') {
                    Some((name, value)) if listed => (name, value),
                    _ if listed => continue,
                    _ => (last_key(&place.path), resolved.as_str()),
                };
                names.push(name.to_owned());
                if let Some(image) = value.strip_prefix(SCHEME) {
                    self.within(sheet, &place, &resolved, image);
                } else if value.starts_with('$')
                    || SCHEME.starts_with(value.split('$').next().unwrap_or_default()) && value.contains('$')
                {
                    let reason = "a build context that a variable names; it may be an image";
                    self.unknown(sheet, &place, reason.to_owned());
                }
            }
        }
        names
    }

    /// The image in a field of a text of `key=value,…`.
    fn field(&self, sheet: &mut Sheet<'_, '_>, place: &Place, key: &str) {
        let Some(scalar) = sheet.tree.scalar(place.at) else { return };
        let text = scalar.value.as_ref();
        let resolved = self.variables.resolve_known(text).map_or_else(|_| text.to_owned(), |found| found.text);
        let fields = resolved.split(',').map(|field| field.trim().trim_matches('"'));
        for image in fields.filter_map(|field| field.strip_prefix(key)) {
            self.within(sheet, place, &resolved, image);
        }
    }

    /// An image that is a part of the text at a place; `image` is a part of `resolved`, that text with its variables put in.
    fn within(&self, sheet: &mut Sheet<'_, '_>, place: &Place, resolved: &str, image: &str) {
        let at = image.as_ptr() as usize - resolved.as_ptr() as usize;
        let tree = sheet.tree;
        let node = tree.resolve(place.at);
        let mut found = self.image(sheet, place, Role::Build);
        let Some(scalar) = tree.scalar(node) else { return };
        let tagged = tree.node(node).tag.is_some() && !matches!(found.subject, Subject::Image(_));
        found.subject = subject::string(image);
        if scalar.value.contains('$') {
            match self.variables.resolve(&scalar.value) {
                Ok(resolved) if matches!(found.subject, Subject::Image(_)) => {
                    found.assumes = resolved.assumption();
                    image.clone_into(&mut found.text);
                    found.uneditable = Some(VARIABLE.to_owned());
                }
                Ok(_) => {}
                Err(reason) => found.subject = unresolvable(reason),
            }
        } else {
            image.clone_into(&mut found.text);
            if let (true, Some(span)) = (scalar.exact, found.span) {
                let span = Span::new(span.start + at, span.start + at + image.len());
                (found.span, found.place) = (Some(span), sheet.lines.place(span.start));
            }
        }
        if tagged {
            found.subject = unresolvable("an explicit tag, which may make another text of it".to_owned());
        }
        self.reset(sheet, node, &mut found);
        push(sheet, place, found);
    }

    /// The Dockerfile of a build: `context` is a text, or the build itself where it names none.
    fn dockerfile(
        &self,
        sheet: &mut Sheet<'_, '_>,
        context: Option<&Place>,
        file: Option<&Place>,
        arguments: &[Argument],
        names: &[String],
    ) {
        const OUTSIDE: &str =
            "a build context that is not in this repository; the images that its Dockerfile names are not known";
        let tree = sheet.tree;
        let Some(place) = context else { return };
        let folder = match tree.scalar(place.at) {
            None => ".".to_owned(),
            Some(scalar) => match self.variables.resolve(&scalar.value) {
                Ok(resolved) => resolved.text,
                Err(reason) => {
                    return self.unknown(sheet, place, format!("a build context that is not known: {reason}"));
                }
            },
        };
        if is_elsewhere(&folder) {
            return self.unknown(sheet, place, OUTSIDE.to_owned());
        }
        let name = match file.and_then(|file| Some((file, tree.scalar(file.at)?))) {
            None => "Dockerfile".to_owned(),
            Some((file, scalar)) => match self.variables.resolve(&scalar.value) {
                Ok(resolved) if is_elsewhere(&resolved.text) => {
                    return self.unknown(sheet, file, "a Dockerfile outside of this repository".to_owned());
                }
                Ok(resolved) => resolved.text,
                Err(reason) => return self.unknown(sheet, file, format!("a Dockerfile that is not known: {reason}")),
            },
        };
        let path = clean(&format!("{folder}/{name}"));
        let path = self.as_it_is_called(path);
        let text = if arguments.is_empty() { None } else { self.input.beside.read(&path) };
        sheet.point(file.unwrap_or(place).at, path, false, DOCKERFILE);
        if let Some(text) = text.as_deref().and_then(|bytes| str::from_utf8(bytes).ok()) {
            self.with_arguments(sheet, text, arguments, names);
        }
    }

    /// The images that a Dockerfile names only because the build passes arguments to it.
    fn with_arguments(&self, sheet: &mut Sheet<'_, '_>, text: &str, arguments: &[Argument], names: &[String]) {
        const COMPOSED: &str = "a Dockerfile composes it of this argument; write the image there, with its digest";
        let declared = inline::arguments(text);
        let value = |argument: &Argument| argument.value.as_ref().map(|value| value.text.clone()).map_err(Clone::clone);
        let mut defaults = Variables::default();
        let mut passed = Variables::default();
        for (name, default) in &declared {
            let written =
                |variables: &Variables| default.as_ref().map(|text| variables.resolve(text).map(|found| found.text));
            let (default, other) = (written(&defaults), written(&passed));
            defaults.set.extend(default.map(|value| (name.clone(), value)));
            let argument = arguments.iter().rev().find(|argument| argument.name == *name);
            passed.set.extend(argument.map(value).or(other).map(|value| (name.clone(), value)));
        }
        for image in inline::images(text, names).iter().filter(|image| image.path.rsplit('.').next() == Some("FROM")) {
            let (before, after) = (defaults.resolve(&image.text), passed.resolve(&image.text));
            let text_of = |found: &Result<Resolved, String>| found.as_ref().ok().map(|found| found.text.clone());
            let differs = text_of(&before) != text_of(&after) || after.is_err() && !arguments.is_empty();
            let Some(argument) = first_of(arguments, &declared, &image.text).filter(|_| differs) else { continue };
            let mut found = self.image(sheet, &argument.place, if image.is_base { Role::Base } else { Role::Build });
            found.path = format!("{}.{}", argument.place.path, image.path);
            found.assumes = argument.value.as_ref().ok().and_then(Resolved::assumption);
            found.subject = match after {
                Ok(after) => {
                    let subject = subject::string(&after.text);
                    if matches!(subject, Subject::Image(_)) {
                        found.text = after.text;
                    }
                    subject
                }
                Err(reason) => unresolvable(format!("a Dockerfile composes an image of this argument: {reason}")),
            };
            found.uneditable = Some(COMPOSED.to_owned());
            self.reset(sheet, sheet.tree.resolve(argument.place.at), &mut found);
            push(sheet, &argument.place, found);
        }
    }

    /// What a build passes to its Dockerfile.
    fn arguments(&self, search: &mut Search<'_, '_>, build: &Place) -> Vec<Argument> {
        let tree = search.tree;
        let mut arguments = Vec::new();
        for place in search.at(build, "args.*") {
            let Some(scalar) = tree.scalar(place.at) else { continue };
            let value = if is_something(tree, place.at) {
                self.variables.resolve(&scalar.value)
            } else {
                Err("the environment sets it".to_owned())
            };
            arguments.push(Argument { name: last_key(&place.path).to_owned(), value, place });
        }
        for place in search.at(build, "args[]") {
            let Some(scalar) = tree.scalar(place.at) else { continue };
            let value = match self.variables.resolve(&scalar.value) {
                Ok(found) if !found.text.contains('=') => Err("the environment sets it".to_owned()),
                Ok(found) => {
                    let text = found.text.split_once('=').map(|(_, value)| value.to_owned()).unwrap_or_default();
                    Ok(Resolved { text, ..found })
                }
                Err(reason) => Err(reason),
            };
            let name = scalar.value.split_once('=').map_or(scalar.value.as_ref(), |(name, _)| name).to_owned();
            arguments.push(Argument { name, value, place });
        }
        arguments
    }

    /// BuildKit takes `dockerfile` where there is no `Dockerfile`, podman a `Containerfile`.
    fn as_it_is_called(&self, path: String) -> String {
        let Some(folder) = path.strip_suffix("Dockerfile").filter(|folder| folder.is_empty() || folder.ends_with('/'))
        else {
            return path;
        };
        if self.input.beside.read(&path).is_some() {
            return path;
        }
        let others = ["dockerfile", "Containerfile"].map(|name| format!("{folder}{name}"));
        others.into_iter().find(|other| self.input.beside.read(other).is_some()).unwrap_or(path)
    }

    /// A Dockerfile that is written into the file.
    fn inline(&self, sheet: &mut Sheet<'_, '_>, place: &Place, contexts: &[String]) {
        let tree = sheet.tree;
        let node = tree.resolve(place.at);
        let Some(scalar) = tree.scalar(node) else { return };
        let written = scalar.value.as_ref();
        let resolved = match self.variables.resolve_known(written) {
            Ok(resolved) => resolved,
            Err(reason) => return self.unknown(sheet, place, reason),
        };
        if resolved.text.trim_start().starts_with('{') {
            let reason = "a Dockerfile of another syntax; the images that it names are not known";
            return self.unknown(sheet, place, reason.to_owned());
        }
        let named = inline::images(&resolved.text, contexts);
        let as_written = inline::images(written, contexts);
        let lines = line_starts(sheet, node);
        let mut paths = BTreeSet::new();
        for (index, image) in named.iter().enumerate() {
            // the same image in the written text, where its place in the file is known
            let same = as_written.get(index).filter(|same| as_written.len() == named.len() && same.path == image.path);
            let place_of = |same: &inline::Named| {
                let before = &written[..same.at];
                let start = lines.as_ref()?.get(before.matches('\n').count())?;
                Some(start + (same.at - before.rfind('\n').map_or(0, |end| end + 1)))
            };
            let start = same.and_then(place_of);
            let role = if image.is_base { Role::Base } else { Role::Build };
            let mut path = format!("{}.{}", place.path, image.path);
            if start.is_none() {
                let count = (1..).map(|count| format!("{path}[{count}]"));
                let first = std::iter::once(path.clone()).chain(count).find(|path| !paths.contains(path));
                path = first.unwrap_or(path);
            }
            paths.insert(path.clone());
            let hit = Hit { path, node, at: place.at, shape: Shape::Right, role, run_as: None };
            let mut found = sheet.page.occurrence(&hit);
            found.uneditable = None;
            found.text.clone_from(&image.text);
            found.subject = match subject::string(&image.text) {
                Subject::Unresolvable { .. } if image.text.contains('$') => {
                    unresolvable("a variable of the Dockerfile, or one that is not set".to_owned())
                }
                subject => subject,
            };
            if let (Some(start), Some(same)) = (start, same) {
                let span = Span::new(start, start + same.text.len());
                (found.span, found.place) = (Some(span), sheet.lines.place(start));
                found.ignores = sheet.page.ignores_at(found.place.line);
                if same.text != image.text && matches!(found.subject, Subject::Image(_)) {
                    found.assumes = resolved.assumption();
                    found.uneditable = Some(VARIABLE.to_owned());
                }
            } else {
                let reason = "it stands in a text that is not written line by line; write the Dockerfile behind `|`";
                found.uneditable = Some(reason.to_owned());
                found.assumes = resolved.assumption();
            }
            self.reset(sheet, node, &mut found);
            push(sheet, place, found);
        }
    }

    /// Another Compose file.
    fn compose_file(&self, sheet: &mut Sheet<'_, '_>, place: &Place) {
        const OUTSIDE: &str = "a Compose file that is not in this repository; the images that it names are not known";
        if !is_something(sheet.tree, place.at) {
            return;
        }
        let Some(scalar) = sheet.tree.scalar(place.at) else { return };
        match self.variables.resolve(&scalar.value) {
            Ok(resolved) if is_elsewhere(&resolved.text) => {
                self.unknown_as(sheet, place, Role::Run, OUTSIDE.to_owned());
            }
            Ok(resolved) => {
                sheet.point(place.at, clean(&resolved.text), false, ID);
            }
            Err(reason) => {
                self.unknown_as(sheet, place, Role::Run, format!("a Compose file that is not known: {reason}"));
            }
        }
    }

    /// Shapes that Compose refuses: what they hold is found, whether it runs is not known.
    fn wrong_shapes(&self, sheet: &mut Sheet<'_, '_>, search: &mut Search<'_, '_>, root: &Place) {
        for path in ["services[].image", "services.*[].image"] {
            for place in search.at(root, path) {
                let mut found = self.image(sheet, &place, Role::Run);
                if matches!(found.subject, Subject::Image(_)) {
                    found.subject = unresolvable("a list in place of a map; Compose refuses it".to_owned());
                }
                push(sheet, &place, found);
            }
        }
    }

    /// `!reset` on a node or around it takes it away in Compose, and means nothing to Swarm.
    fn reset(&self, sheet: &Sheet<'_, '_>, node: NodeId, found: &mut Occurrence) {
        const RESET: &str = "`!reset` takes it away, to readers that know the tag";
        if !stream::is_within(&self.resets, sheet.tree.node(node).span) {
            return;
        }
        let nothing = sheet.tree.scalar(node).is_some_and(|scalar| {
            scalar.style == Style::Plain && matches!(subject::plain(&scalar.value), Subject::NotAnImage { .. })
        });
        found.subject =
            if nothing { Subject::NotAnImage { reason: RESET.to_owned() } } else { unresolvable(RESET.to_owned()) };
    }

    /// Something at a place that may name images, and can't be known.
    fn unknown(&self, sheet: &mut Sheet<'_, '_>, place: &Place, reason: String) {
        self.unknown_as(sheet, place, Role::Build, reason);
    }

    fn unknown_as(&self, sheet: &mut Sheet<'_, '_>, place: &Place, role: Role, reason: String) {
        let mut found = self.image(sheet, place, role);
        if let Some(scalar) = sheet.tree.scalar(place.at) {
            found.text = scalar.value.to_string();
        }
        found.subject = unresolvable(reason);
        found.assumes = None;
        push(sheet, place, found);
    }
}

/// Marks an image that a service of the file builds under that name: judged as it stands, never edited. A `pull_policy`
/// that never pulls is no reason to skip it: a file that extends or overrides this one may say another.
fn mark_built(found: &mut Occurrence) {
    const PULLED: &str =
        "a build of this file makes an image of that name, and Compose may pull it where it is not there";
    if matches!(found.subject, Subject::Image(_)) {
        found.uneditable = Some(PULLED.to_owned());
    }
}

fn push(sheet: &mut Sheet<'_, '_>, place: &Place, found: Occurrence) {
    let node = sheet.tree.resolve(place.at);
    let hit = Hit { path: found.path.clone(), node, at: place.at, shape: Shape::Right, role: found.role, run_as: None };
    sheet.push(&hit, found);
}

fn unresolvable(reason: String) -> Subject {
    Subject::Unresolvable { reason }
}

/// The spans of what stands under `!reset`, in order and none inside another.
fn resets(tree: &Tree<'_>) -> Vec<Span> {
    let is_reset = tree.ids().map(|id| tree.node(id)).filter(|node| node.tag.as_deref() == Some("!reset"));
    let mut spans: Vec<Span> = is_reset.map(|node| node.span).collect();
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut end = 0;
    spans.retain(|span| {
        let is_outermost = span.end > end;
        end = end.max(span.end);
        is_outermost
    });
    spans
}

/// Whether a node is more than null.
fn is_something(tree: &Tree<'_>, at: NodeId) -> bool {
    let node = tree.resolve(at);
    match &tree.node(node).kind {
        Kind::Scalar(scalar) => {
            scalar.style != Style::Plain || !matches!(scalar.value.as_ref(), "" | "~" | "null" | "Null" | "NULL")
        }
        _ => true,
    }
}

/// The first argument that an image's text uses, by itself or through the defaults of others.
fn first_of<'f>(arguments: &'f [Argument], declared: &[(String, Option<String>)], text: &str) -> Option<&'f Argument> {
    let uses = |text: &str, name: &str| {
        let after = |start: &str| {
            text.match_indices(start).any(|(at, _)| {
                let rest = &text[at + start.len()..];
                rest.strip_prefix(name)
                    .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_'))
            })
        };
        after("$") || after("${")
    };
    let mut texts = vec![text];
    // a default may only use what is declared before it
    for (name, default) in declared.iter().rev() {
        if texts.iter().any(|text| uses(text, name)) {
            texts.extend(default.as_deref());
        }
    }
    arguments.iter().find(|argument| {
        declared.iter().any(|(name, _)| *name == argument.name) && texts.iter().any(|text| uses(text, &argument.name))
    })
}

/// Whether a path leads out of the repository: a URL, a git address, an absolute path, somebody's home.
fn is_elsewhere(path: &str) -> bool {
    const REMOTE: [&str; 5] = ["github.com/", "git@", "/", "~", "service:"];
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    drive
        || path.contains("://")
        || path.contains("{{")
        || path.starts_with('\\')
        || REMOTE.iter().any(|start| path.starts_with(start))
}

/// A path without `.`, doubled slashes and the folders that a `..` leaves.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." && parts.last().is_some_and(|last| *last != "..") {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// Where each line of a block scalar after `|` begins in the file behind its indentation; `None` for another scalar.
fn line_starts(sheet: &Sheet<'_, '_>, node: NodeId) -> Option<Vec<usize>> {
    let scalar = sheet.tree.scalar(node).filter(|scalar| scalar.style == Style::Literal)?;
    let span = sheet.tree.node(node).span;
    let mut starts = Vec::new();
    let mut values = scalar.value.split('\n');
    let mut at = span.start;
    let raw = sheet.page.bytes_of(span)?;
    for raw in str::from_utf8(raw).ok()?.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\n', '\r']);
        let value = values.next()?;
        // white space at the end of the last line is not in the span
        let shown = if line.len() < value.len() { value.trim_end() } else { value };
        starts.push(at + line.strip_suffix(shown)?.len());
        at += raw.len();
    }
    Some(starts)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// One line for each occurrence, unread document and pointer.
    fn show(text: &str) -> Vec<String> {
        let found = Compose.find(&Input::alone("compose.yaml", text.as_bytes()));
        let state = |found: &Occurrence| match found.subject {
            Subject::Image(_) if found.seat().is_some() => "image",
            Subject::Image(_) => "fixed",
            Subject::Unresolvable { .. } => "undecided",
            Subject::NotAnImage { .. } => "skipped",
        };
        let mut lines: Vec<String> =
            found.occurrences.iter().map(|found| format!("{} {} {}", found.path, state(found), found.text)).collect();
        lines.extend(found.unread.iter().map(|unread| format!("unread {}", unread.could_hold_reference)));
        lines.extend(found.pointers.iter().map(|pointer| format!("{} {}", pointer.format, pointer.path)));
        lines
    }

    #[test]
    fn what_is_found() {
        let rows: [(&str, &[&str]); 16] = [
            ("services: {a: {image: x:1}}", &["services.a.image image x:1"]),
            ("services: {a: {image: x:1, pull_policy: build}}", &["services.a.image image x:1"]),
            ("services: {a: {image: x:1, build: ''}}", &["services.a.image fixed x:1", "dockerfile Dockerfile"]),
            ("services: {a: {image: x:1, build: ~}}", &["services.a.image image x:1"]),
            (
                "services: {a: {image: x:1, build: ., pull_policy: build, pull_policy: always}}",
                &["services.a.image fixed x:1", "dockerfile Dockerfile"],
            ),
            (
                "services: {a: {image: x:1, build: ., pull_policy: '${P:-build}'}}",
                &["services.a.image fixed x:1", "dockerfile Dockerfile"],
            ),
            (
                "services: {a: {image: x:1, build: ., pull_policy: never}}\n---\nservices: {a: {pull_policy: always}}",
                &["services.a.image fixed x:1", "dockerfile Dockerfile"],
            ),
            ("a: {image: x:1}\nnetworks: {b: {image: y}}", &["a.image image x:1"]),
            ("services: {}\na: {image: x:1}", &[]),
            (
                "services: {a: {build: {dockerfile: /x/Dockerfile}}}",
                &["services.a.build.dockerfile undecided /x/Dockerfile"],
            ),
            ("services: {a: {build: '{{ x }}'}}", &["services.a.build undecided {{ x }}"]),
            ("services: {a: {build: a/./../b//c/}}", &["dockerfile b/c/Dockerfile"]),
            ("services: {a: {build: ../../x}}", &["dockerfile ../../x/Dockerfile"]),
            ("include: a.yml", &["compose a.yml"]),
            (
                "services: {a: {build: {additional_contexts: [a=docker-image://a, 'docker-image=docker-image://a']}}}",
                &[
                    "services.a.build.additional_contexts[0] image a",
                    "services.a.build.additional_contexts[1] image a",
                    "dockerfile Dockerfile",
                ],
            ),
            (
                "services: {a: {build: {dockerfile_inline: \"FROM a\\nCOPY --from=b x y\\nCOPY --from=c x y\"}}}",
                &[
                    "services.a.build.dockerfile_inline.stages[0].COPY fixed b",
                    "services.a.build.dockerfile_inline.stages[0].COPY[1] fixed c",
                    "services.a.build.dockerfile_inline.stages[0].FROM fixed a",
                ],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn a_service_runs_as_its_user() {
        let elsewhere = Some("(what it extends decides)");
        let hook = Some("(a hook names a user of its own)");
        let several = Some("(`user` stands there in several ways)");
        for (service, expected) in [
            ("image: x", None),
            ("image: x, user: '1000'", Some("1000")),
            ("image: x, user: 1000", Some("1000")),
            ("image: x, user: '1000:1000'", Some("1000:1000")),
            ("image: x, user: web", Some("web")),
            ("image: x, user: root", Some("root")),
            ("image: x, user: ''", None),
            ("image: x, user: ~", None),
            ("image: x, user: '${UID:-1000}'", Some("(${UID:-1000})")),
            ("image: x, user: '$UID'", Some("($UID)")),
            ("image: x, user: '1000:${GID:-5}'", Some("(1000:${GID:-5})")),
            ("image: x, user: {a: b}", Some("(a map or a list)")),
            ("image: x, user: !reset '0'", Some("(`0` with a tag)")),
            ("image: x, user: '1000', user: '0'", several),
            ("image: x, user: '1000', user: ''", several),
            ("image: x, user: '1000', <<: {user: '0'}", several),
            ("image: x, <<: {user: '5'}", Some("5")),
            ("image: x, extends: {service: b}", elsewhere),
            ("image: x, extends: {service: b}, user: ''", elsewhere),
            ("image: x, extends: {service: b}, user: '5'", Some("5")),
            ("image: x, user: '5', post_start: [{command: a}]", Some("5")),
            ("image: x, user: '5', post_start: [{command: a, user: root}]", hook),
            ("image: x, pre_stop: [{command: a, user: root}]", hook),
            ("user: '5', pre_start: [{image: x}]", None),
            ("user: '5', pre_start: [{image: x, user: '0'}]", Some("0")),
            ("user: '5', volumes: [{type: image, source: x}]", None),
            ("user: '5', build: {dockerfile_inline: FROM x}", None),
        ] {
            let text = format!("services: {{a: {{{service}}}}}");
            let found = Compose.find(&Input::alone("compose.yaml", text.as_bytes()));
            let users: Vec<_> = found.occurrences.iter().map(|found| found.run_as.as_deref()).collect();
            assert_eq!(users.len(), 1, "{text}");
            assert_eq!(users[0].and_then(|said| said.user.as_deref()), expected, "{text}");
        }
    }

    #[test]
    fn the_user_of_a_service_in_several_documents_is_not_known() {
        let several = Some("(several documents of the file name the service)");
        for (text, expected) in [
            ("services: {a: {image: x, user: '5'}}\n---\nservices: {a: {user: '0'}}\n", several),
            ("services: {a: {user: '5'}}\n---\nservices: {a: {image: x}}\n", several),
            ("a: {image: x, user: '5'}\n---\nservices: {a: {user: '0'}}\n", several),
            ("services: {a: {image: x, user: '5'}}\n---\nservices: {b: {user: '0'}}\n", Some("5")),
            ("services: {a: {image: x, user: '5'}} # \u{2028}\n", Some("5")),
        ] {
            let found = Compose.find(&Input::alone("compose.yaml", text.as_bytes()));
            let users: Vec<_> = found.occurrences.iter().map(|found| found.run_as.as_deref()).collect();
            assert_eq!(users.len(), 1, "{text}");
            assert_eq!(users[0].and_then(|said| said.user.as_deref()), expected, "{text}");
        }
    }

    #[test]
    fn bombs_are_spent_at_their_place() {
        let mut bomb = "x0: &a0 {image: x}\n".to_owned();
        for level in 1..40 {
            let source = format!("*a{}", level - 1);
            writeln!(bomb, "x{level}: &a{level} {{<<: [{source}, {source}, {source}]}}").expect("a string takes it");
        }
        bomb += "services: {a: *a39}\n";
        assert_eq!(show(&bomb), ["unread true"]);
    }

    #[test]
    fn claims_by_name() {
        for (path, claimed) in [
            ("compose.yaml", true),
            ("deploy/docker-compose.prod.yml", true),
            ("compose.override.yaml", true),
            ("app-Compose.YML", true),
            ("stack.yml", true),
            ("docker-stack.prod.yml", true),
            (".github/workflows/docker-compose.yml", false),
            ("a/.github/workflows/compose.yaml", false),
            ("compose/values.yaml", false),
            ("compose.json", false),
            ("haystack.yml", false),
        ] {
            assert_eq!(Compose.claims(path), claimed, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "services:\n", "  a:\n", "    image: x\n", "    build:\n", "      dockerfile_inline: |\n", "        FROM a\n",
            "        RUN <<E\n", "        E\n", "        COPY --from=é x\n", "      additional_contexts: [a=docker-image://b]\n",
            "    image: ${A:-b}\n", "    volumes: [{type: image, source: c}]\n", "    pull_policy: build\n", "include: [",
            "]\n", "{", "}", ": ", "&a ", "*a", "<<: ", "!reset ", "!override ", "\"", "'", ">-\n", "|\n", "\r\n", "\n", "  ",
            "$", "${", "\t", "é", "\u{2028}", "---\n", "      sbom: generator=d\n", "# plimsoll: ignore[a] b\n", "x-a: ", "\\",
        ]), 0..50)) {
            let text = tokens.concat();
            let found = Compose.find(&Input::alone("compose.yaml", text.as_bytes()));
            for occurrence in found.occurrences {
                let span = occurrence.span.expect("one place");
                proptest::prop_assert!(span.of(text.as_bytes()).is_some());
                if occurrence.seat().is_some() {
                    proptest::prop_assert_eq!(&text[span.start..span.end], occurrence.text);
                }
            }
        }
    }
}
