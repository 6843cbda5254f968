//! Workflows and action metadata of GitHub, as Gitea and Forgejo run them too: containers, services, `docker://` actions.
//! `owner/action@ref` and reusable workflows are no images; scripts and inputs of actions are not searched. The places
//! are those of the runner's own schema, which also takes numbers for names and expressions for keys.
//!
//! Longer than most files: what an expression may stand for (a matrix, an input, a default) belongs to this format alone.

use std::collections::HashSet;
use std::ops::Range;

use crate::source::place::{Hit, Shape, under};
use crate::source::stream::{self, Sheet};
use crate::source::{Format, Found, Input, Occurrence, Role, Subject, subject};
use crate::yaml::{Budget, Entry, Exhausted, NodeId, Style, Tree};

/// The format.
pub(crate) struct Github;

const ID: &str = "github";
const KEYS: [&str; 4] = ["container", "services", "image", "uses"];

impl Format for Github {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        let path = format!("/{}", path.to_ascii_lowercase());
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some(stem) = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")) else { return false };
        let folders = ["/.github/workflows/", "/.gitea/workflows/", "/.forgejo/workflows/"];
        stem == "action" || folders.iter().any(|folder| path.contains(folder))
    }

    fn find(&self, input: &Input<'_>) -> Found {
        stream::read(input, ID, &KEYS, &mut look)
    }
}

fn look(sheet: &mut Sheet<'_, '_>) {
    let tree = sheet.tree;
    let Some(root) = tree.root() else { return };
    let mut walk = Walk {
        tree,
        budget: Budget::new(),
        job: None,
        inputs: Vec::new(),
        in_matrix: false,
        rows: Vec::new(),
        matrices: Vec::new(),
        dockerfiles: Vec::new(),
    };
    if let Err(spent) = walk.document(root) {
        sheet.places.spent = Some(spent);
    }
    walk.fix_matrices();
    for (node, path) in walk.dockerfiles {
        sheet.point(node, path, false, "dockerfile");
    }
    for row in walk.rows {
        let mut occurrence = sheet.page.occurrence(&row.hit);
        row.means.tell(&mut occurrence);
        names_of_numbers(tree, row.hit.node, &mut occurrence);
        sheet.push(&row.hit, occurrence);
    }
}

/// The runner makes a text of a number or a boolean, and pulls it (its `TemplateReader` converts literals).
fn names_of_numbers(tree: &Tree<'_>, node: NodeId, occurrence: &mut Occurrence) {
    let is_null = matches!(occurrence.text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    let is_plain = tree.scalar(node).is_some_and(|scalar| scalar.style == Style::Plain);
    let is_word = matches!(subject::string(&occurrence.text), Subject::Image(_));
    if is_plain && is_word && !is_null && matches!(occurrence.subject, Subject::NotAnImage { .. }) {
        let reason = "a number or a boolean, which the runner takes for a name; quote it".to_owned();
        occurrence.subject = Subject::Unresolvable { reason };
    }
}

type Spent = (NodeId, Exhausted);
type Walked = Result<(), Spent>;

/// A place and what is known of it beyond its text.
struct Row {
    hit: Hit,
    means: Means,
}

enum Means {
    /// What is written.
    Itself,
    /// What is written, which must not be edited.
    Fixed(String),
    /// Another text, which is known.
    Text { text: String, assumes: Option<String>, fixed: String },
    /// Nothing of its own: its images stand elsewhere.
    Elsewhere(String),
    /// What can't be known.
    Unknown(String),
}

impl Means {
    fn tell(self, occurrence: &mut Occurrence) {
        match self {
            Self::Itself => {}
            Self::Fixed(reason) => {
                occurrence.uneditable.get_or_insert(reason);
            }
            Self::Text { text, assumes, fixed } => {
                occurrence.subject = subject::string(&text);
                occurrence.text = text;
                occurrence.assumes = assumes;
                occurrence.uneditable = Some(fixed);
            }
            Self::Elsewhere(reason) => occurrence.subject = Subject::NotAnImage { reason },
            Self::Unknown(reason) => occurrence.subject = Subject::Unresolvable { reason },
        }
    }
}

/// What an expression stands in place of.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Image,
    Container,
    Services,
}

/// Images that a job's matrix holds.
struct Matrix<'t> {
    /// The expression's path behind `matrix`.
    steps: Vec<&'t str>,
    /// The expression, which is all that stands at its place.
    node: NodeId,
    job: NodeId,
    rows: Range<usize>,
}

/// What `matrix.…` may be: the nodes with their paths, and why there may be more.
#[derive(Default)]
struct Values {
    nodes: Vec<(String, NodeId)>,
    gap: Option<&'static str>,
}

struct Walk<'t, 'a> {
    tree: &'t Tree<'a>,
    budget: Budget,
    job: Option<(String, NodeId)>,
    inputs: Vec<(String, NodeId)>,
    in_matrix: bool,
    rows: Vec<Row>,
    matrices: Vec<Matrix<'t>>,
    dockerfiles: Vec<(NodeId, String)>,
}

impl<'t> Walk<'t, '_> {
    fn document(&mut self, root: NodeId) -> Walked {
        for on in self.under_keys("", root, &["on"])? {
            for event in self.under_keys("", on.1, &["workflow_call", "workflow_dispatch"])? {
                for inputs in self.under_keys("", event.1, &["inputs"])? {
                    for input in self.entries(inputs.1)? {
                        let defaults = self.under_keys("", input.value, &["default"])?;
                        self.inputs.extend(defaults.into_iter().map(|(_, node)| (input.key.to_string(), node)));
                    }
                }
            }
        }
        for (path, jobs) in self.under_keys("", root, &["jobs"])? {
            for entry in self.entries(jobs)? {
                self.job(&under(&path, &entry.key), entry.value)?;
            }
        }
        for (path, runs) in self.under_keys("", root, &["runs"])? {
            self.runs(&path, runs)?;
        }
        Ok(())
    }

    fn job(&mut self, path: &str, job: NodeId) -> Walked {
        self.job = Some((path.to_owned(), job));
        for (path, node) in self.under_keys(path, job, &["container"])? {
            self.container(&path, node)?;
        }
        for (path, node) in self.under_keys(path, job, &["services"])? {
            self.services(&path, node)?;
        }
        for (path, node) in self.under_keys(path, job, &["steps"])? {
            self.steps(&path, node)?;
        }
        self.job = None;
        Ok(())
    }

    /// `runs` of an action's metadata.
    fn runs(&mut self, path: &str, runs: NodeId) -> Walked {
        let using = self.under_keys("", runs, &["using"])?;
        let mut words = using.iter().filter_map(|(_, node)| self.tree.scalar(*node)).peekable();
        let is_docker = words.peek().is_none() || words.any(|word| word.value.eq_ignore_ascii_case("docker"));
        if is_docker {
            for (path, node) in self.under_keys(path, runs, &["image"])? {
                self.action_image(&path, node);
            }
        }
        for (path, node) in self.under_keys(path, runs, &["steps"])? {
            self.steps(&path, node)?;
        }
        Ok(())
    }

    /// `docker://` and an image, or the path of a Dockerfile (the runner's `DockerUtil.IsDockerfile`).
    fn action_image(&mut self, path: &str, node: NodeId) {
        let Some(text) = self.text(node) else { return self.push(path, node, Shape::Right, Means::Itself) };
        let name = text.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if is_docker_url(text) || text.is_empty() || self.is_tagged(node) {
            self.push(path, node, Shape::Url, Means::Itself);
        } else if text.contains("${{") {
            self.push(path, node, Shape::Right, Means::Unknown(NO_EXPRESSION.to_owned()));
        } else if name.starts_with("dockerfile.") || name.ends_with("dockerfile") {
            self.dockerfiles.push((node, relative(text)));
        } else {
            let reason = "neither `docker://` and an image nor the path of a Dockerfile; runners refuse it";
            self.push(path, node, Shape::Right, Means::Unknown(reason.to_owned()));
        }
    }

    fn steps(&mut self, path: &str, steps: NodeId) -> Walked {
        self.deeper(steps, |walk| {
            let items = walk.tree.items(steps).unwrap_or_default();
            for (index, step) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                for (path, node) in walk.under_keys(&path, *step, &["uses"])? {
                    walk.uses(&path, node);
                }
                for (path, node) in walk.under_keys(&path, *step, &["parallel"])? {
                    walk.steps(&path, node)?;
                }
            }
            Ok(())
        })
    }

    fn uses(&mut self, path: &str, node: NodeId) {
        let Some(text) = self.text(node) else { return };
        if text.starts_with("${{") {
            self.push(path, node, Shape::Right, Means::Unknown(NO_EXPRESSION.to_owned()));
        } else if is_docker_url(text) && text.contains("${{") {
            self.push(path, node, Shape::Url, Means::Unknown(NO_EXPRESSION.to_owned()));
        } else if is_docker_url(text) || self.is_tagged(node) {
            self.push(path, node, Shape::Url, Means::Itself);
        }
    }

    /// A job's container, or one service.
    fn container(&mut self, path: &str, node: NodeId) -> Walked {
        if !self.tree.is_mapping(node) {
            return self.image(path, node, Place::Container);
        }
        self.deeper(node, |walk| {
            for entry in walk.entries(node)? {
                let path = under(path, &entry.key);
                if entry.key == "image" {
                    walk.image(&path, entry.value, Place::Image)?;
                } else if is_insert(&entry.key) && walk.tree.is_mapping(entry.value) {
                    walk.container(&path, entry.value)?;
                } else if entry.key.contains("${{") {
                    walk.push(&path, entry.value, Shape::Wrong(KEY), Means::Unknown(KEY.to_owned()));
                }
            }
            Ok(())
        })
    }

    fn services(&mut self, path: &str, node: NodeId) -> Walked {
        if !self.tree.is_mapping(node) {
            let Some(text) = self.text(node) else {
                self.push(path, node, Shape::Right, Means::Itself);
                return Ok(());
            };
            return match text {
                "" | "~" | "null" | "Null" | "NULL" => Ok(()),
                _ if text.contains("${{") => self.expression(path, node, text, Place::Services),
                _ => {
                    let reason = "a text in place of the map of services";
                    self.push(path, node, Shape::Wrong(reason), Means::Itself);
                    Ok(())
                }
            };
        }
        self.deeper(node, |walk| {
            for entry in walk.entries(node)? {
                let path = under(path, &entry.key);
                match is_insert(&entry.key) {
                    true if walk.tree.is_mapping(entry.value) => walk.services(&path, entry.value)?,
                    true => walk.push(&path, entry.value, Shape::Wrong(KEY), Means::Unknown(KEY.to_owned())),
                    false => walk.container(&path, entry.value)?,
                }
            }
            Ok(())
        })
    }

    fn image(&mut self, path: &str, node: NodeId, place: Place) -> Walked {
        match self.text(node) {
            Some(text) if text.contains("${{") => self.expression(path, node, text, place),
            _ => {
                self.push(path, node, Shape::Url, Means::Itself);
                Ok(())
            }
        }
    }

    /// A text with `${{ … }}` in it: its images stand in the matrix, or a default is known, or nothing is.
    fn expression(&mut self, path: &str, node: NodeId, text: &'t str, place: Place) -> Walked {
        let inner = sole_expression(text);
        if let Some(steps) = inner.and_then(matrix_steps).filter(|_| !self.in_matrix) {
            return self.matrix(path, node, &steps, place);
        }
        if let Some(known) = inner.and_then(|inner| self.known(inner)).filter(|_| place != Place::Services) {
            self.push(path, node, Shape::Url, known);
            return Ok(());
        }
        if let Some((before, steps, after)) = within_text(text).filter(|_| !self.in_matrix && inner.is_none()) {
            let values = self.values(&steps)?;
            let texts: Option<Vec<&str>> = values.nodes.iter().map(|(_, node)| self.simple(*node)).collect();
            if let (None, Some(texts)) = (values.gap, texts.filter(|texts| !texts.is_empty())) {
                for value in texts {
                    let text = format!("{before}{value}{after}");
                    let text = undocker(&text);
                    let way = format!("write the whole image in `matrix.{}` to have it pinned there", steps.join("."));
                    let fixed = format!("it is composed with a matrix; {way}");
                    self.push(path, node, Shape::Url, Means::Text { text, assumes: None, fixed });
                }
                return Ok(());
            }
        }
        let reason = "an expression; what it becomes is not known from this file".to_owned();
        self.push(path, node, Shape::Url, Means::Unknown(reason));
        Ok(())
    }

    /// An expression that is a value of the matrix: each stands there as an image.
    fn matrix(&mut self, path: &str, node: NodeId, steps: &[&'t str], place: Place) -> Walked {
        let values = self.values(steps)?;
        let from = self.rows.len();
        self.in_matrix = true;
        for (path, node) in &values.nodes {
            match place {
                Place::Image => self.image(path, *node, place)?,
                Place::Container => self.container(path, *node)?,
                Place::Services => self.services(path, *node)?,
            }
        }
        self.in_matrix = false;
        if let Some((_, job)) = self.job {
            self.matrices.push(Matrix {
                steps: steps.to_vec(),
                node: self.tree.resolve(node),
                job,
                rows: from..self.rows.len(),
            });
        }
        let name = steps.join(".");
        let means = match values.gap {
            Some(gap) => Means::Unknown(format!("a value of `matrix.{name}`, and {gap}")),
            None => Means::Elsewhere(format!("a value of `matrix.{name}`; each is judged where it stands")),
        };
        self.push(path, node, Shape::Url, means);
        Ok(())
    }

    /// The values of `matrix.…` in the job's strategy. Keys of contexts are compared without their case.
    fn values(&mut self, steps: &[&str]) -> Result<Values, Spent> {
        let mut values = Values::default();
        let Some((path, job)) = self.job.clone() else {
            values.gap = Some("there is no job here");
            return Ok(values);
        };
        for (path, strategy) in self.under_keys(&path, job, &["strategy"])? {
            for (path, matrix) in self.under_keys(&path, strategy, &["matrix"])? {
                if !self.tree.is_mapping(matrix) {
                    values.gap = Some("the matrix is not written out");
                }
                for entry in self.entries(matrix)? {
                    let path = under(&path, &entry.key);
                    if entry.key.eq_ignore_ascii_case("include") {
                        self.listed(&path, entry.value, steps, &mut values)?;
                    } else if entry.key.eq_ignore_ascii_case(steps[0]) {
                        let Some(items) = self.tree.items(entry.value) else {
                            values.gap = Some("its values are not written out");
                            continue;
                        };
                        for (index, item) in items.iter().enumerate() {
                            self.behind(format!("{path}[{index}]"), *item, &steps[1..], &mut values)?;
                        }
                    } else if entry.key.contains("${{") {
                        values.gap = Some("a key of the matrix is an expression");
                    }
                }
            }
        }
        if values.nodes.is_empty() {
            values.gap.get_or_insert("the job's matrix has none");
        }
        Ok(values)
    }

    /// The items of `include`.
    fn listed(&mut self, path: &str, include: NodeId, steps: &[&str], values: &mut Values) -> Walked {
        let Some(items) = self.tree.items(include) else {
            values.gap = Some("`include` of the matrix is not written out");
            return Ok(());
        };
        for (index, item) in items.iter().enumerate() {
            if !self.tree.is_mapping(*item) || self.entries(*item)?.iter().any(|entry| entry.key.contains("${{")) {
                values.gap = Some("an item of `include` of the matrix is not written out");
            }
            self.behind(format!("{path}[{index}]"), *item, steps, values)?;
        }
        Ok(())
    }

    fn behind(&mut self, path: String, node: NodeId, steps: &[&str], values: &mut Values) -> Walked {
        let Some((step, rest)) = steps.split_first() else {
            values.nodes.push((path, node));
            return Ok(());
        };
        if !self.tree.is_mapping(node) {
            values.gap = Some("a value of the matrix is no map");
        }
        for entry in self.entries(node)?.into_iter().filter(|entry| entry.key.eq_ignore_ascii_case(step)) {
            self.behind(under(&path, &entry.key), entry.value, rest, values)?;
        }
        Ok(())
    }

    /// What an expression is known to be: an input's default, or the text behind `||`.
    fn known(&self, inner: &str) -> Option<Means> {
        let (names, literal) = match inner.rsplit_once("||") {
            Some((names, literal)) => (names, Some(literal.trim())),
            None => (inner, None),
        };
        let names: Vec<&str> = names.split("||").map(str::trim).collect();
        let is_path = |name: &&str| {
            let head = name.split('.').next().unwrap_or_default();
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
                && ["inputs", "vars", "github", "env", "needs"].iter().any(|known| head.eq_ignore_ascii_case(known))
        };
        if !names.iter().all(is_path) {
            return None;
        }
        if let Some(literal) = literal {
            let text = literal.strip_prefix('\'')?.strip_suffix('\'').filter(|text| !text.contains('\''))?;
            let assumes = format!("{} is not set", names.join(" and "));
            let fixed = "it is the default in an expression; write the digest there".to_owned();
            return Some(Means::Text { text: undocker(text), assumes: Some(assumes), fixed });
        }
        let name = ["inputs.", "github.event.inputs."].iter().find_map(|context| {
            let head = inner.get(..context.len())?;
            head.eq_ignore_ascii_case(context).then(|| &inner[context.len()..])
        })?;
        let mut defaults = self.inputs.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let text = self.simple(defaults.next()?.1).filter(|text| !text.is_empty())?;
        if defaults.any(|(_, node)| self.simple(*node) != Some(text)) {
            return None;
        }
        let assumes = Some(format!("inputs.{name}={text}, its default"));
        let fixed = "it is the default of an input; write the digest there".to_owned();
        Some(Means::Text { text: undocker(text), assumes, fixed })
    }

    /// A scalar that every reader writes as it stands: no expression, no null, no number but a plain integer.
    fn simple(&self, node: NodeId) -> Option<&'t str> {
        let text = self.text(node).filter(|text| !text.contains("${{") && !self.is_tagged(node))?;
        let plain = self.tree.scalar(node).is_some_and(|scalar| scalar.style == Style::Plain);
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.len() < 10;
        let is_string = !plain || !matches!(subject::plain(text), Subject::NotAnImage { .. });
        // a plain text that begins like a number may be one: `1.10`, `0x1f`, `1e3`
        let number = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b'x' | b'o' | b'+' | b'-' | b'_');
        let like_number =
            plain && text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) && text.bytes().all(number);
        (!text.is_empty() && (is_integer || is_string && !like_number)).then_some(text)
    }

    /// Marks what stands in a matrix and must not be edited there: another use of the value would change with it.
    fn fix_matrices(&mut self) {
        let tree = self.tree;
        let speaks = |id: &NodeId| {
            let scalar = tree.scalar(*id).filter(|_| !tree.is_alias(*id));
            scalar.is_some_and(|scalar| scalar.value.to_ascii_lowercase().contains(MATRIX))
        };
        let speaking: Vec<NodeId> = tree.ids().filter(speaks).collect();
        let has_aliases = tree.ids().any(|id| tree.is_alias(id));
        let places: HashSet<NodeId> = self.matrices.iter().map(|matrix| matrix.node).collect();
        for matrix in std::mem::take(&mut self.matrices) {
            let job = tree.node(tree.resolve(matrix.job)).span;
            let from = speaking.partition_point(|id| tree.node(*id).span.start < job.start);
            let to = speaking.partition_point(|id| tree.node(*id).span.start < job.end);
            // what an alias stands for may be used anywhere
            let near = if has_aliases { &speaking[..] } else { speaking.get(from..to).unwrap_or_default() };
            let used = near.iter().any(|id| {
                let uses = |text: &str| mentions(text, &matrix.steps) && !places.contains(id);
                self.budget.spend(true).is_err() || tree.scalar(*id).is_some_and(|scalar| uses(&scalar.value))
            });
            let reason = if used {
                "the value is used elsewhere in the job too; write the digest by hand if it may change there"
            } else if self.compared(&matrix) {
                "`include` or `exclude` of the matrix compares it; write the digest by hand, in each place"
            } else {
                continue;
            };
            for row in self.rows.get_mut(matrix.rows).into_iter().flatten() {
                if matches!(row.means, Means::Itself) {
                    row.means = Means::Fixed(reason.to_owned());
                }
            }
        }
    }

    /// Whether combinations of the matrix are compared by the value: `exclude`, or `include` with a value of the list.
    fn compared(&mut self, matrix: &Matrix<'t>) -> bool {
        let name = matrix.steps.first().copied().unwrap_or_default();
        let mut listed = HashSet::new();
        let mut included = Vec::new();
        let (mut has_list, mut has_maps) = (false, false);
        let tree = self.tree;
        let Ok(strategies) = self.under_keys("", matrix.job, &["strategy"]) else { return true };
        for (_, strategy) in strategies {
            let Ok(matrices) = self.under_keys("", strategy, &["matrix"]) else { return true };
            for (_, node) in matrices {
                let Ok(entries) = self.entries(node) else { return true };
                for entry in entries {
                    let items = tree.items(entry.value).unwrap_or_default();
                    let is = |word: &str| entry.key.eq_ignore_ascii_case(word);
                    if is(name) {
                        has_list |= !items.is_empty();
                        listed.extend(items.iter().filter_map(|item| tree.scalar(*item)).map(|item| &item.value));
                    } else if is("exclude") || is("include") {
                        for item in items {
                            let Ok(entries) = self.entries(*item) else { return true };
                            let mut named = entries.iter().filter(|entry| entry.key.eq_ignore_ascii_case(name));
                            if is("exclude") && named.next().is_some() {
                                return true;
                            }
                            for entry in named {
                                match tree.scalar(entry.value) {
                                    Some(scalar) => included.push(&scalar.value),
                                    None => has_maps = true,
                                }
                            }
                        }
                    }
                }
            }
        }
        has_list && has_maps || included.into_iter().any(|value| listed.contains(value))
    }

    fn push(&mut self, path: &str, at: NodeId, shape: Shape, means: Means) {
        let hit = Hit { path: path.to_owned(), node: self.tree.resolve(at), at, shape, role: Role::Ci, run_as: None };
        self.rows.push(Row { hit, means });
    }

    fn text(&self, node: NodeId) -> Option<&'t str> {
        self.tree.scalar(node).map(|scalar| scalar.value.as_ref())
    }

    /// Whether a tag may make another text of a scalar.
    fn is_tagged(&self, node: NodeId) -> bool {
        let tag = self.tree.node(self.tree.resolve(node)).tag.as_deref();
        !matches!(tag, None | Some("!" | "tag:yaml.org,2002:str"))
    }

    /// The values under some keys of a map, with their paths.
    fn under_keys(&mut self, path: &str, map: NodeId, keys: &[&str]) -> Result<Vec<(String, NodeId)>, Spent> {
        let entries = self.entries(map)?.into_iter().filter(|entry| keys.contains(&entry.key.as_ref()));
        Ok(entries.map(|entry| (under(path, &entry.key), entry.value)).collect())
    }

    fn entries(&mut self, map: NodeId) -> Result<Vec<Entry<'t>>, Spent> {
        let tree = self.tree;
        self.budget.spend(tree.is_alias(map)).map_err(|exhausted| (map, exhausted))?;
        tree.fields(map, &mut self.budget).map_err(|exhausted| (map, exhausted))
    }

    fn deeper(&mut self, at: NodeId, then: impl FnOnce(&mut Self) -> Walked) -> Walked {
        self.budget.enter(self.tree.is_alias(at)).map_err(|exhausted| (at, exhausted))?;
        then(self)?;
        self.budget.leave();
        Ok(())
    }
}

const MATRIX: &str = "matrix";
const NO_EXPRESSION: &str = "an expression where the runner allows none; what it becomes is not known from this file";
const KEY: &str = "a key that is an expression, which may be `image`";

/// The runner takes the scheme in any case in actions.
fn is_docker_url(text: &str) -> bool {
    text.get(.."docker://".len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case("docker://"))
}

/// A path without `./` in front, and never one from the root of the repository.
fn relative(path: &str) -> String {
    path.strip_prefix("./").map_or(path, |rest| rest.trim_start_matches('/')).to_owned()
}

fn undocker(text: &str) -> String {
    if is_docker_url(text) { text["docker://".len()..].to_owned() } else { text.to_owned() }
}

/// `${{ insert }}`, whose value's entries stand in its place.
fn is_insert(key: &str) -> bool {
    sole_expression(key) == Some("insert")
}

/// What stands in `${{ … }}`, where the whole text is one expression.
fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${{")?.strip_suffix("}}")?;
    (!inner.contains("${{") && !inner.contains("}}")).then(|| inner.trim())
}

/// `matrix.a.b` as its keys behind `matrix`.
fn matrix_steps(inner: &str) -> Option<Vec<&str>> {
    let mut steps = inner.split('.');
    if !steps.next()?.eq_ignore_ascii_case("matrix") {
        return None;
    }
    let is_name = |step: &&str| {
        !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let steps: Vec<&str> = steps.collect();
    (!steps.is_empty() && steps.iter().all(is_name)).then_some(steps)
}

/// The text before and behind the one `${{ matrix.… }}` in it, and its keys.
fn within_text(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let (before, rest) = text.split_once("${{")?;
    let (inner, after) = rest.split_once("}}")?;
    if after.contains("${{") {
        return None;
    }
    Some((before, matrix_steps(inner.trim())?, after))
}

/// Whether a text may use `matrix.…` of these keys, or all of `matrix`.
fn mentions(text: &str, steps: &[&str]) -> bool {
    let lower = text.to_ascii_lowercase();
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    lower.match_indices(MATRIX).any(|(at, _)| {
        if lower[..at].bytes().next_back().is_some_and(|byte| name(byte) || byte == b'.') {
            return false;
        }
        let rest = &lower[at + MATRIX.len()..];
        let Some(path) = rest.strip_prefix('.') else {
            return rest.trim_start().starts_with(['[', ')', '}', ',']);
        };
        let end = path.bytes().position(|byte| !name(byte) && !matches!(byte, b'.' | b'*')).unwrap_or(path.len());
        let mut pairs = path[..end].split('.').zip(steps);
        pairs.all(|(used, step)| used == "*" || used.eq_ignore_ascii_case(step))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Vec<String> {
        let found = Github.find(&Input::alone(".github/workflows/x.yml", text.as_bytes()));
        let state = |occurrence: &Occurrence| match (&occurrence.subject, occurrence.seat()) {
            (Subject::Image(_), Some(_)) => "image".to_owned(),
            (Subject::Image(_), None) => format!("fixed {}", occurrence.assumes.clone().unwrap_or_default()),
            (Subject::Unresolvable { reason }, _) => format!("undecided {reason}"),
            (Subject::NotAnImage { .. }, _) => "skipped".to_owned(),
        };
        let row = |occurrence: &Occurrence| {
            format!("{} {}: {}", occurrence.path, occurrence.text, state(occurrence)).trim_end().to_owned()
        };
        found.occurrences.iter().map(row).collect()
    }

    #[test]
    fn claims_by_folder_and_name() {
        for (path, claimed) in [
            (".github/workflows/ci.yml", true),
            ("a/.github/workflows/ci.YAML", true),
            (".gitea/workflows/x/ci.yml", true),
            (".forgejo/workflows/ci.yaml", true),
            ("action.yml", true),
            ("tools/x/action.yaml", true),
            (".github/dependabot.yml", false),
            (".github/workflows/ci.json", false),
            ("my-action.yml", false),
            ("github/workflows/ci.yml", false),
        ] {
            assert_eq!(Github.claims(path), claimed, "{path}");
        }
    }

    #[test]
    fn what_speaks_of_a_value_of_the_matrix() {
        let rows = [
            ("${{ matrix.image }}", true),
            ("${{ MATRIX.Image }}", true),
            ("matrix.image == 'x'", true),
            ("${{ toJSON(matrix) }}", true),
            ("${{ matrix['image'] }}", true),
            ("${{ matrix.* }}", true),
            ("${{ matrix }}", true),
            ("${{ matrix.image.tag }}", true),
            ("${{ matrix.images }}", false),
            ("${{ matrix.os }}", false),
            ("the matrix of images", false),
            ("${{ env.matrix.image }}", false),
            ("my-matrix.image", false),
        ];
        for (text, expected) in rows {
            assert_eq!(mentions(text, &["image"]), expected, "{text}");
        }
        assert!(mentions("${{ matrix.os }}", &["os", "image"]) && !mentions("${{ matrix.os.name }}", &["os", "image"]));
    }

    #[test]
    fn matrices_in_part() {
        let job = |matrix: &str, rest: &str| format!("jobs: {{j: {{strategy: {{matrix: {matrix}}}, {rest}}}}}");
        let rows: [(String, &[&str]); 9] = [
            (
                job("{o: [{image: a}], exclude: [{o: {image: a}, x: 1}]}", "container: \"${{ matrix.o }}\""),
                &["jobs.j.strategy.matrix.o[0].image a: fixed", "jobs.j.container ${{ matrix.o }}: skipped"],
            ),
            (
                job("{o: [{image: a}], include: [{o: {image: a}, x: 1}]}", "container: \"${{ matrix.o.image }}\""),
                &[
                    "jobs.j.strategy.matrix.o[0].image a: fixed",
                    "jobs.j.strategy.matrix.include[0].o.image a: fixed",
                    "jobs.j.container ${{ matrix.o.image }}: skipped",
                ],
            ),
            (
                job("{include: [{i: a, I: b}]}", "container: \"${{ Matrix.i }}\""),
                &[
                    "jobs.j.strategy.matrix.include[0].i a: image",
                    "jobs.j.strategy.matrix.include[0].I b: image",
                    "jobs.j.container ${{ Matrix.i }}: skipped",
                ],
            ),
            (
                job("{i: [a], include: [{i: a, x: 1}]}", "container: \"${{ matrix.i }}\""),
                &[
                    "jobs.j.strategy.matrix.i[0] a: fixed",
                    "jobs.j.strategy.matrix.include[0].i a: fixed",
                    "jobs.j.container ${{ matrix.i }}: skipped",
                ],
            ),
            (
                job("{i: [a]}", "container: \"${{ matrix.i }}\", services: {s: \"x/${{ matrix.i }}\"}"),
                &[
                    "jobs.j.strategy.matrix.i[0] a: fixed",
                    "jobs.j.container ${{ matrix.i }}: skipped",
                    "jobs.j.services.s x/a: fixed",
                ],
            ),
            (
                job("{\"${{ 'i' }}\": [a]}", "container: \"${{ matrix.i }}\""),
                &[
                    "jobs.j.container ${{ matrix.i }}: undecided a value of `matrix.i`, and a key of the matrix is an expression",
                ],
            ),
            (
                job("{i: [\"${{ matrix.i }}\"]}", "container: \"${{ matrix.i }}\""),
                &[
                    "jobs.j.strategy.matrix.i[0] ${{ matrix.i }}: undecided an expression; what it becomes is not known from this file",
                    "jobs.j.container ${{ matrix.i }}: skipped",
                ],
            ),
            (
                job("{i: [a]}", "container: \" ${{ matrix.i }}\""),
                &[
                    "jobs.j.container  a: undecided not a reference: a reference holds no white space or control characters",
                ],
            ),
            (
                job("{s: [{db: {image: a}}]}", "services: \"${{ matrix.s }}\""),
                &["jobs.j.strategy.matrix.s[0].db.image a: image", "jobs.j.services ${{ matrix.s }}: skipped"],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(show(&text), expected, "{text}");
        }
    }

    #[test]
    fn circles_end() {
        for text in [
            "jobs: {j: {steps: &s [{parallel: *s}, {uses: docker://x}]}}",
            "jobs: {j: {container: &c {\"${{ insert }}\": *c, image: x}}}",
            "jobs: {j: {services: &c {\"${{ insert }}\": *c, s: *c}}}",
        ] {
            assert!(Github.find(&Input::alone("x.yml", text.as_bytes())).unread.len() == 1, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "jobs: ", "a: ", "container: ", "services: ", "image: ", "steps: ", "- uses: ", "docker://x:1", "x:1", "\n", "\n  ",
            "\n    ", "\n      ", "strategy: ", "matrix: ", "include: ", "i: ", "${{ matrix.i }}", "${{", "}}", "[", "]", "{", "}",
            ", ", "&x ", "*x", "<<: ", "runs: ", "using: docker", "Dockerfile", "on: ", "inputs: ", "\"", "'", "---\n", ">-\n",
            "é", "\u{85}", "# c\n", "!!str ", "? ", "${{ insert }}: ", "parallel: ",
        ]), 0..60)) {
            let text = tokens.concat();
            let found = Github.find(&Input::alone("action.yml", text.as_bytes()));
            for occurrence in found.occurrences.iter().filter(|occurrence| occurrence.seat().is_some()) {
                let span = occurrence.span.expect("one place");
                proptest::prop_assert_eq!(span.of(text.as_bytes()), Some(occurrence.text.as_bytes()));
            }
        }
    }
}
