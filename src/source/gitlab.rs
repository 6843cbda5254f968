//! GitLab CI: `image` and `services` of the pipeline, its defaults, its jobs and hidden jobs, with variables, inputs and
//! `!reference`; local includes and child pipelines are handed over. What a script runs is not searched, and what is
//! included from elsewhere is not known. Keys are read as Ruby reads them: `:image` is `image`.
//!
//! Longer than most files: whose variables count at a place is one question, answered in one place.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::limits;
use crate::source::place::{Hit, Shape, under};
use crate::source::stream::{self, Sheet};
use crate::source::{Format, Found, Input, Occurrence, Role, subject};
use crate::source::{Subject, Subject::Unresolvable};
use crate::yaml::{Budget, Entry, Exhausted, NodeId, Style, Tree};

/// The format.
pub(crate) struct Gitlab;

const ID: &str = "gitlab";
const KEYS: [&str; 6] = ["image", "services", "include", "trigger", "spec", "$[["];

/// Keys of the top level that are no jobs; `default`, `workflow` and `spec` are, where they have a `script`.
const RESERVED: [&str; 7] = ["variables", "stages", "types", "cache", "before_script", "after_script", "include"];

impl Format for Gitlab {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        let path = format!("/{}", path.to_ascii_lowercase());
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some(stem) = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")) else { return false };
        stem.ends_with(".gitlab-ci")
            || stem.starts_with(".gitlab-ci")
            || path.contains("/.gitlab-ci/")
            || is_of_folder(&path)
    }

    fn find(&self, input: &Input<'_>) -> Found {
        let folder = is_of_folder(&format!("/{}", input.path.to_ascii_lowercase()));
        let mut inputs = BTreeMap::new();
        stream::read(input, ID, &KEYS, &mut |sheet| look(sheet, folder, &mut inputs))
    }
}

/// `.gitlab/` holds pipelines, and much else.
fn is_of_folder(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path.contains("/.gitlab/") && !name.contains(".gitlab-ci")
}

/// The default of an input: its text, or `None` where it has none that is known.
type Inputs = BTreeMap<String, Option<String>>;

fn look(sheet: &mut Sheet<'_, '_>, folder: bool, inputs: &mut Inputs) {
    let tree = sheet.tree;
    let Some(root) = tree.root() else { return };
    let mut walk = Walk {
        tree,
        root,
        inputs,
        budget: Budget::new(),
        jobs: Vec::new(),
        heirs: HashMap::new(),
        globals: Sets::new(),
        work: WORK,
        rows: Vec::new(),
        includes: Vec::new(),
        unknown_includes: Vec::new(),
    };
    if let Err(spent) = walk.document(folder) {
        sheet.places.spent = Some(spent);
    }
    for (node, path) in walk.includes {
        let glob = path.contains('*');
        sheet.point(node, format!("/{}", path.trim_start_matches('/')), glob, ID);
    }
    for node in walk.unknown_includes {
        sheet.unread_at(node, "an included file whose name is not known from this file");
    }
    for row in walk.rows {
        let mut occurrence = sheet.page.occurrence(&row.hit);
        row.means.tell(&mut occurrence);
        sheet.push(&row.hit, occurrence);
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
    /// Another text, which is known if something holds.
    Text { text: String, assumes: String },
    /// What can't be known; shown as this text where it is no scalar.
    Unknown { text: Option<String>, reason: String },
}

impl Means {
    fn tell(self, occurrence: &mut Occurrence) {
        match self {
            Self::Itself => {}
            Self::Text { text, assumes } => {
                occurrence.subject = subject::string(&text);
                occurrence.uneditable =
                    Some(format!("it is composed ({assumes}); write the digest there, or the image here"));
                occurrence.text = text;
                occurrence.assumes = Some(assumes);
            }
            Self::Unknown { text, reason } => {
                occurrence.subject = Unresolvable { reason };
                occurrence.text = text.unwrap_or_else(|| std::mem::take(&mut occurrence.text));
            }
        }
    }
}

/// Variables with their values; `None` where one is set but its text is not known.
type Sets = BTreeMap<String, Vec<Option<String>>>;

/// A job, hidden or not.
struct Job {
    name: String,
    extends: Vec<String>,
    /// `variables`, which hide those of the jobs it extends and of the pipeline.
    own: Sets,
    /// Of its rules and its matrix, which come on top where they apply.
    more: Sets,
    has_image: bool,
    /// Whether a runner runs it: it is neither hidden nor a trigger.
    runs: bool,
    /// Itself and those that it extends, nearest first, by their place among the jobs.
    lineage: Vec<usize>,
}

/// Whose variables count at a place.
#[derive(Clone, Copy)]
enum Scope<'s> {
    /// Every job that has no image of its own.
    Image,
    /// Every job.
    Services,
    /// A job, and those that extend it.
    Job(&'s str),
}

struct Walk<'t, 'a, 'i> {
    tree: &'t Tree<'a>,
    root: NodeId,
    inputs: &'i mut Inputs,
    budget: Budget,
    jobs: Vec<Job>,
    /// Who runs what stands in a job, by the job's name: itself and those that extend it.
    heirs: HashMap<String, Vec<usize>>,
    globals: Sets,
    /// How many variables may still be put in.
    work: usize,
    rows: Vec<Row>,
    includes: Vec<(NodeId, String)>,
    unknown_includes: Vec<NodeId>,
}

impl<'t> Walk<'t, '_, '_> {
    fn document(&mut self, folder: bool) -> Walked {
        let root = self.root;
        if folder && !self.is_pipeline()? {
            return Ok(());
        }
        self.header()?;
        self.collect()?;
        for entry in self.entries(root)? {
            let path = under("", &entry.key);
            let key = self.key(&entry.key);
            match key.as_deref() {
                Some("image") => self.image(&path, entry.value, Scope::Image)?,
                Some("services") => self.services(&path, entry.value, Scope::Services)?,
                Some("include") => self.include(entry.value)?,
                Some("default") => self.job(&path, entry.value, None)?,
                Some(key) if RESERVED.contains(&key) => {}
                _ if self.tree.is_mapping(entry.value) => self.job(&path, entry.value, Some(&entry.key))?,
                None if self.tree.scalar(entry.value).is_some() => self.unknown_key(&path, entry.value),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a file of a folder that holds other things too looks like a pipeline.
    fn is_pipeline(&mut self) -> Result<bool, Spent> {
        const TOP: [&str; 7] = ["stages", "default", "include", "workflow", "before_script", "image", "spec"];
        const JOB: [&str; 10] =
            ["script", "extends", "trigger", "run", "stage", "before_script", "rules", "needs", "artifacts", "tags"];
        for entry in self.entries(self.root)? {
            let key = word(&entry.key);
            if TOP.contains(&key) || key.starts_with('.') || key.contains("$[[") {
                return Ok(true);
            }
            if self.entries(entry.value)?.iter().any(|inner| JOB.contains(&word(&inner.key))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `spec.inputs` of a header, which holds for the documents behind it.
    fn header(&mut self) -> Walked {
        for spec in self.under_key(self.root, "spec")? {
            for inputs in self.under_key(spec, "inputs")? {
                for input in self.entries(inputs)? {
                    let defaults = self.under_key(input.value, "default")?;
                    let text = defaults.last().and_then(|node| self.simple(*node)).map(str::to_owned);
                    self.inputs.insert(input.key.to_string(), text);
                }
            }
        }
        Ok(())
    }

    /// Every variable of the file, and who extends whom.
    fn collect(&mut self) -> Walked {
        for entry in self.entries(self.root)? {
            match word(&entry.key) {
                "variables" => {
                    let mut sets = std::mem::take(&mut self.globals);
                    self.variables(entry.value, &mut sets)?;
                    self.globals = sets;
                }
                key if RESERVED.contains(&key) => {}
                _ if self.tree.is_mapping(entry.value) => self.collect_job(&entry)?,
                _ => {}
            }
        }
        self.relate()
    }

    fn collect_job(&mut self, job: &Entry<'t>) -> Walked {
        let name = word(&job.key);
        let mut has = |key| Ok(!self.under_key(job.value, key)?.is_empty());
        let (has_image, has_script) = (has("image")?, has("script")? || has("run")?);
        let is_job = has_script || !has("trigger")? && !["default", "workflow", "spec"].contains(&name);
        let (mut own, mut more, mut extends) = (Sets::new(), Sets::new(), Vec::new());
        if name == "workflow" && !has_script {
            let mut sets = std::mem::take(&mut self.globals);
            self.rules(job.value, &mut sets)?;
            self.globals = sets;
        }
        self.rules(job.value, &mut more)?;
        for variables in self.under_key(job.value, "variables")? {
            self.variables(variables, &mut own)?;
        }
        for names in self.under_key(job.value, "extends")? {
            let items = self.tree.items(names).unwrap_or(std::slice::from_ref(&names));
            extends.extend(items.iter().filter_map(|item| self.raw(*item)).map(str::to_owned));
        }
        for parallel in self.under_key(job.value, "parallel")? {
            for matrix in self.under_key(parallel, "matrix")? {
                for item in self.tree.items(matrix).unwrap_or_default() {
                    for entry in self.entries(*item)? {
                        let values = self.tree.items(entry.value).unwrap_or(std::slice::from_ref(&entry.value));
                        let texts: Vec<_> = values.iter().map(|value| self.simple(*value).map(str::to_owned)).collect();
                        more.entry(entry.key.to_string()).or_default().extend(texts);
                    }
                }
            }
        }
        let runs = is_job && !job.key.starts_with('.');
        let name = job.key.to_string();
        self.jobs.push(Job { name, extends, own, more, has_image, runs, lineage: Vec::new() });
        Ok(())
    }

    /// Who extends whom, and so runs what stands in it.
    fn relate(&mut self) -> Walked {
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, job) in self.jobs.iter().enumerate() {
            named.entry(&job.name).or_default().push(at);
        }
        let mut lineages = Vec::with_capacity(self.jobs.len());
        let mut heirs: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, job) in self.jobs.iter().enumerate() {
            let (mut lineage, mut next) = (vec![at], 0);
            let mut seen: BTreeSet<&str> = BTreeSet::from([job.name.as_str()]);
            while let Some(ancestor) = lineage.get(next).map(|at| &self.jobs[*at]) {
                // the last of several parents wins
                for parent in ancestor.extends.iter().rev() {
                    self.budget.spend(true).map_err(|exhausted| (self.root, exhausted))?;
                    if seen.insert(parent) {
                        lineage.extend(named.get(parent.as_str()).into_iter().flatten());
                    }
                }
                next += 1;
            }
            for ancestor in &lineage {
                heirs.entry(self.jobs[*ancestor].name.clone()).or_default().push(at);
            }
            lineages.push(lineage);
        }
        self.jobs.iter_mut().zip(lineages).for_each(|(job, lineage)| job.lineage = lineage);
        self.heirs = heirs;
        Ok(())
    }

    fn rules(&mut self, of: NodeId, sets: &mut Sets) -> Walked {
        for rules in self.under_key(of, "rules")? {
            for rule in self.tree.items(rules).unwrap_or_default() {
                for variables in self.under_key(*rule, "variables")? {
                    self.variables(variables, sets)?;
                }
            }
        }
        Ok(())
    }

    /// A map of variables: texts, or maps with `value`; a `!reference` to one is followed.
    fn variables(&mut self, map: NodeId, sets: &mut Sets) -> Walked {
        for (_, map) in self.followed("", map)? {
            for entry in self.entries(map)? {
                let mut text = None;
                for (_, value) in self.followed("", entry.value)? {
                    let values =
                        if self.tree.is_mapping(value) { self.under_key(value, "value")? } else { vec![value] };
                    let is_raw = !self.under_key(value, "expand")?.is_empty();
                    let known = values.last().and_then(|value| self.simple(*value));
                    text = known.filter(|text| !(is_raw && text.contains('$')));
                }
                sets.entry(entry.key.to_string()).or_default().push(text.map(str::to_owned));
            }
        }
        Ok(())
    }

    /// A job, hidden or not; without a name `default`.
    fn job(&mut self, path: &str, job: NodeId, name: Option<&str>) -> Walked {
        for entry in self.entries(job)? {
            let path = under(path, &entry.key);
            match self.key(&entry.key).as_deref() {
                Some("image") => self.image(&path, entry.value, name.map_or(Scope::Image, Scope::Job))?,
                Some("services") => self.services(&path, entry.value, name.map_or(Scope::Services, Scope::Job))?,
                Some("trigger") => {
                    for include in self.under_key(entry.value, "include")? {
                        self.include(include)?;
                    }
                }
                Some(_) => {}
                None => self.unknown_key(&path, entry.value),
            }
        }
        Ok(())
    }

    fn image(&mut self, path: &str, node: NodeId, scope: Scope<'_>) -> Walked {
        self.deeper(node, |walk| {
            let nodes = walk.followed(path, node)?;
            if nodes.is_empty() {
                walk.lost(path, node);
            }
            for (path, node) in nodes {
                if walk.tree.is_mapping(node) {
                    walk.named(&path, node, scope, None)?;
                } else {
                    walk.text(&path, node, scope);
                }
            }
            Ok(())
        })
    }

    /// A map with `name`.
    fn named(&mut self, path: &str, map: NodeId, scope: Scope<'_>, wrong: Option<&'static str>) -> Walked {
        for entry in self.entries(map)? {
            let path = under(path, &entry.key);
            match self.key(&entry.key).as_deref() {
                Some("name") => {
                    let nodes = self.followed(&path, entry.value)?;
                    if nodes.is_empty() {
                        self.lost(&path, entry.value);
                    }
                    for (path, node) in nodes {
                        match wrong {
                            Some(reason) => self.push(&path, node, Shape::Wrong(reason), Means::Itself),
                            None => self.text(&path, node, scope),
                        }
                    }
                }
                Some(_) => {}
                None => self.unknown_key(&path, entry.value),
            }
        }
        Ok(())
    }

    fn services(&mut self, path: &str, node: NodeId, scope: Scope<'_>) -> Walked {
        self.deeper(node, |walk| {
            let nodes = walk.followed(path, node)?;
            if nodes.is_empty() {
                walk.lost(path, node);
            }
            for (path, node) in nodes {
                if let Some(items) = walk.tree.items(node) {
                    for (index, item) in items.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        if walk.tree.items(*item).is_some() {
                            walk.services(&path, *item, scope)?;
                        } else {
                            walk.image(&path, *item, scope)?;
                        }
                    }
                } else if walk.tree.is_mapping(node) {
                    walk.named(&path, node, scope, Some("a map in place of the list of services"))?;
                } else if !matches!(walk.raw(node), None | Some("" | "~" | "null" | "Null" | "NULL")) {
                    let reason = "a text in place of the list of services";
                    walk.push(&path, node, Shape::Wrong(reason), Means::Itself);
                }
            }
            Ok(())
        })
    }

    /// What a place holds: the node itself, or what `!reference` names in this file (`[]` where it is not in it).
    fn followed(&mut self, path: &str, node: NodeId) -> Result<Vec<(String, NodeId)>, Spent> {
        let mut found = Vec::new();
        self.follow(path.to_owned(), node, 0, &mut found)?;
        Ok(found)
    }

    fn follow(&mut self, path: String, node: NodeId, depth: usize, found: &mut Vec<(String, NodeId)>) -> Walked {
        const DEPTH: usize = 10;
        self.budget.spend(self.tree.is_alias(node)).map_err(|exhausted| (node, exhausted))?;
        let Some(steps) = self.reference(node) else {
            found.push((path, node));
            return Ok(());
        };
        if depth == DEPTH {
            return Ok(());
        }
        let mut nodes = vec![(String::new(), self.root)];
        for step in steps {
            let mut inner = Vec::new();
            for (path, node) in nodes {
                let entries = self.entries(node)?.into_iter().filter(|entry| word(&entry.key) == word(step));
                inner.extend(entries.map(|entry| (under(&path, &entry.key), entry.value)));
            }
            nodes = inner;
        }
        nodes.into_iter().try_for_each(|(path, node)| self.follow(path, node, depth + 1, found))
    }

    /// The keys of a `!reference [a, b]`.
    fn reference(&self, node: NodeId) -> Option<Vec<&'t str>> {
        let target = self.tree.node(self.tree.resolve(node));
        let items = self.tree.items(node).filter(|_| target.tag.as_deref() == Some("!reference"))?;
        Some(items.iter().filter_map(|item| self.raw(*item)).collect())
    }

    /// A `!reference` to what is not in this file.
    fn lost(&mut self, path: &str, node: NodeId) {
        let steps = self.reference(node).unwrap_or_default();
        let text = Some(format!("!reference [{}]", steps.join(", ")));
        let reason = "a reference to what does not stand in this file".to_owned();
        self.push(path, node, Shape::Right, Means::Unknown { text, reason });
    }

    fn unknown_key(&mut self, path: &str, node: NodeId) {
        let reason = "its key is written by an input, and may be `image`";
        self.push(path, node, Shape::Wrong(reason), Means::Unknown { text: None, reason: reason.to_owned() });
    }

    /// A name, with what its inputs and variables are known to be.
    fn text(&mut self, path: &str, node: NodeId, scope: Scope<'_>) {
        let Some(text) = self.raw(node).filter(|text| text.contains('$') && !self.is_tagged(node)) else {
            self.push(path, node, Shape::Right, Means::Itself);
            return;
        };
        let unknown = |reason: String| Means::Unknown { text: None, reason };
        let (text, given) = match self.with_inputs(text) {
            Ok(known) => known,
            Err(reason) => {
                self.push(path, node, Shape::Right, unknown(reason));
                return;
            }
        };
        let mut texts: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
        let mut gap = None;
        // once the work is spent nothing with a variable is known, and no user needs to be asked
        let users = if self.work == 0 { vec![None] } else { self.users(scope) };
        for user in users {
            if self.work == 0 {
                texts.clear();
                gap = Some(TOO_LONG.to_owned());
                break;
            }
            match self.expand(&text, user, 0) {
                Ok(known) => texts.extend(known),
                Err(reason) => gap = Some(reason),
            }
            if texts.len() > MOST {
                texts.clear();
                gap = Some(format!("variables that write more than {MOST} images"));
                break;
            }
        }
        let mut seen = BTreeSet::new();
        for (text, assumed) in texts {
            let assumes: Vec<String> = given.iter().cloned().chain(assumed).collect();
            if seen.insert(text.clone()) {
                self.push(path, node, Shape::Right, Means::Text { text, assumes: assumes.join(", ") });
            }
        }
        if let Some(reason) = gap {
            self.push(path, node, Shape::Right, unknown(reason));
        }
    }

    /// The text with the defaults of its inputs put in, and what that assumes.
    fn with_inputs(&self, text: &str) -> Result<(String, Vec<String>), String> {
        let (mut known, mut assumes, mut rest) = (String::new(), Vec::new(), text);
        while let Some((before, behind)) = rest.split_once("$[[") {
            let (block, after) = behind.split_once("]]").ok_or("`$[[` without `]]`")?;
            let name = block.trim().strip_prefix("inputs.").unwrap_or_default();
            let Some(Some(value)) = self.inputs.get(name) else {
                return Err(format!("`$[[ {} ]]` has no default that is known from this file", block.trim()));
            };
            assumes.push(format!("inputs.{name}={value}, its default"));
            known.push_str(before);
            known.push_str(value);
            rest = after;
        }
        known.push_str(rest);
        Ok((known, assumes))
    }

    /// The jobs that run what stands at a place; none but the pipeline itself where no job is known to.
    fn users(&self, scope: Scope<'_>) -> Vec<Option<usize>> {
        let has_image = |job: &Job| job.lineage.iter().any(|at| self.jobs[*at].has_image);
        let all = || (0..self.jobs.len()).filter(|at| self.jobs[*at].runs);
        let users: Vec<usize> = match scope {
            Scope::Image => all().filter(|at| !has_image(&self.jobs[*at])).collect(),
            Scope::Services => all().collect(),
            Scope::Job(name) => {
                let heirs = self.heirs.get(name).map(Vec::as_slice).unwrap_or_default();
                let runs: Vec<usize> = heirs.iter().copied().filter(|at| self.jobs[*at].runs).collect();
                if runs.is_empty() { heirs.to_vec() } else { runs }
            }
        };
        if users.is_empty() { vec![None] } else { users.into_iter().map(Some).collect() }
    }

    /// The values of a variable for a job.
    fn values<'s>(&'s self, name: &str, user: Option<usize>) -> Vec<Option<&'s str>> {
        let mut values: Vec<Option<&str>> = Vec::new();
        let mut add = |sets: &'s Sets| {
            let known = sets.get(name).map(Vec::as_slice).unwrap_or_default();
            values.extend(known.iter().map(|value| value.as_deref()));
            !known.is_empty()
        };
        let mut is_set = false;
        for job in user.into_iter().flat_map(|at| &self.jobs[at].lineage).map(|at| &self.jobs[*at]) {
            add(&job.more);
            is_set = is_set || add(&job.own);
        }
        if !is_set {
            add(&self.globals);
        }
        values
    }

    /// The texts that the variables of a job make of a text (the runner's `os.Expand`), each with what it assumes.
    fn expand(&mut self, text: &str, user: Option<usize>, depth: usize) -> Result<Vec<(String, Vec<String>)>, String> {
        const DEPTH: usize = 8;
        let mut texts = vec![(String::new(), Vec::new())];
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            let (name, after) = variable(behind).ok_or("a `$` that is no variable of GitLab's form")?;
            let values: Option<BTreeSet<String>> =
                self.values(name, user).into_iter().map(|value| value.map(str::to_owned)).collect();
            self.work = self.work.checked_sub(1).ok_or(TOO_LONG)?;
            let Some(values) = values.filter(|values| !values.is_empty() && depth < DEPTH) else {
                let of = user.map_or_else(String::new, |at| format!(" for `{}`", self.jobs[at].name));
                return Err(format!("the variable `{name}` is not known from this file{of}"));
            };
            let mut more = Vec::new();
            for value in values {
                for (value, inner) in self.expand(&value, user, depth + 1)? {
                    for (so_far, assumed) in &texts {
                        let mut assumed: Vec<String> = assumed.clone();
                        assumed.push(format!("{name}={value}"));
                        assumed.extend(inner.iter().cloned());
                        more.push((format!("{so_far}{before}{value}"), assumed));
                    }
                }
            }
            let is_long = |known: &(String, Vec<String>)| known.0.len() > limits::REFERENCE_BYTES;
            if more.len() > MOST || more.iter().any(is_long) {
                return Err(format!("variables that write more than {MOST} images, or longer ones than there are"));
            }
            (texts, rest) = (more, after);
        }
        for (text, _) in &mut texts {
            text.push_str(rest);
        }
        Ok(texts)
    }

    /// `include`, at the top or of a child pipeline: a text, a map, or a list of them.
    fn include(&mut self, node: NodeId) -> Walked {
        self.deeper(node, |walk| {
            for (_, node) in walk.followed("", node)? {
                if let Some(items) = walk.tree.items(node) {
                    for item in items {
                        walk.include(*item)?;
                    }
                } else if walk.tree.is_mapping(node) {
                    for local in walk.under_key(node, "local")? {
                        walk.local(local);
                    }
                } else if walk.raw(node).is_some_and(|text| !text.contains("://")) {
                    walk.local(node);
                }
            }
            Ok(())
        })
    }

    fn local(&mut self, node: NodeId) {
        let Some(text) = self.raw(node).filter(|text| !text.is_empty() && *text != "~" && *text != "null") else {
            return;
        };
        match self.with_inputs(text) {
            Ok((text, _)) if !text.contains('$') => self.includes.push((node, text)),
            _ => self.unknown_includes.push(node),
        }
    }

    /// A key as Ruby reads it, with the defaults of inputs put in; `None` where that can't be known.
    fn key(&self, key: &str) -> Option<String> {
        let (text, _) = self.with_inputs(key).ok()?;
        Some(word(&text).to_owned())
    }

    fn push(&mut self, path: &str, at: NodeId, shape: Shape, means: Means) {
        let hit = Hit { path: path.to_owned(), node: self.tree.resolve(at), at, shape, role: Role::Ci, run_as: None };
        self.rows.push(Row { hit, means });
    }

    fn raw(&self, node: NodeId) -> Option<&'t str> {
        self.tree.scalar(node).map(|scalar| scalar.value.as_ref())
    }

    fn is_tagged(&self, node: NodeId) -> bool {
        let tag = self.tree.node(self.tree.resolve(node)).tag.as_deref();
        !matches!(tag, None | Some("!" | "tag:yaml.org,2002:str"))
    }

    /// A scalar whose text is the same to every reader: a string, or a number that is written as it is printed.
    fn simple(&self, node: NodeId) -> Option<&'t str> {
        let scalar = self.tree.scalar(node).filter(|_| !self.is_tagged(node))?;
        let text = scalar.value.as_ref();
        if scalar.style != Style::Plain {
            return Some(text);
        }
        let word = ["yes", "no", "on", "off", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word));
        let number =
            |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'_' | b'-' | b'+' | b'x' | b'o');
        let like_number =
            text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) && text.bytes().all(number);
        if !like_number {
            let is_string = !matches!(subject::plain(text), Subject::NotAnImage { .. });
            return (is_string && !word && !text.starts_with(':')).then_some(text);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "1"));
        let digits = |part: &str| !part.is_empty() && part.len() < 8 && part.bytes().all(|byte| byte.is_ascii_digit());
        let exact = digits(whole)
            && digits(fraction)
            && (whole == "0" || !whole.starts_with('0'))
            && (fraction == "0" || !fraction.ends_with('0'));
        exact.then_some(text)
    }

    fn under_key(&mut self, map: NodeId, key: &str) -> Result<Vec<NodeId>, Spent> {
        let entries = self.entries(map)?.into_iter().filter(|entry| word(&entry.key) == key);
        Ok(entries.map(|entry| entry.value).collect())
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

/// Images that the variables of one place may write.
const MOST: usize = 64;
const TOO_LONG: &str = "variables that take too long to follow";
/// Variables that are put in for one document; beyond that nothing with a variable is known.
const WORK: usize = 200_000;

/// A key as Ruby reads it: a symbol is its name.
fn word(key: &str) -> &str {
    let Some(symbol) = key.strip_prefix(':') else { return key };
    let quoted = |quote: char| symbol.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(symbol)
}

/// The name of the variable at the start of a text behind its `$`, and what follows.
fn variable(text: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| is_name(name));
    }
    let end = text.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    is_name(name).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Vec<String> {
        let found = Gitlab.find(&Input::alone(".gitlab-ci.yml", text.as_bytes()));
        let state = |occurrence: &Occurrence| match &occurrence.subject {
            Subject::Image(_) => format!("image {}", occurrence.assumes.clone().unwrap_or_default()),
            Subject::Unresolvable { reason } => format!("undecided {reason}"),
            Subject::NotAnImage { .. } => "skipped".to_owned(),
        };
        let row = |occurrence: &Occurrence| {
            format!("{} {}: {}", occurrence.path, occurrence.text, state(occurrence)).trim_end().to_owned()
        };
        let unread = found.unread.iter().map(|unread| format!("unread {}", unread.reason));
        found.occurrences.iter().map(row).chain(unread).collect()
    }

    #[test]
    fn claims_by_name_and_folder() {
        for (path, claimed) in [
            (".gitlab-ci.yml", true),
            ("a/.gitlab-ci.yaml", true),
            ("ci/build.gitlab-ci.yml", true),
            (".gitlab-ci-release.yml", true),
            (".gitlab-ci/a/b.yml", true),
            (".gitlab/ci/a.yml", true),
            (".GITLAB-CI.yml", true),
            ("gitlab-ci/a.yml", false),
            (".gitlab/issue_templates/a.md", false),
            ("x.gitlab/a.yml", false),
            (".gitlab-ci.yml.bak", false),
        ] {
            assert_eq!(Gitlab.claims(path), claimed, "{path}");
        }
    }

    #[test]
    fn variables_say_what_they_assume_and_what_they_lack() {
        let rows: [(&str, &[&str]); 11] = [
            (
                ".a: {image: \"x:$V\"}\nj: {extends: .a, variables: {V: j}, script: x}",
                &["[\".a\"].image x:j: image V=j"],
            ),
            (
                ".x: {list: [\"a:1\"]}\nj: {services: [!reference [.x, list]], script: x}",
                &["[\".x\"].list[0] a:1: image"],
            ),
            ("variables: {A: \"$B:1\", B: x}\nj: {image: $A, script: x}", &["j.image x:1: image A=x:1, B=x"]),
            (
                "j: {image: \"$CI_REGISTRY/x\", script: x}",
                &["j.image $CI_REGISTRY/x: undecided the variable `CI_REGISTRY` is not known from this file for `j`"],
            ),
            (
                "variables: {A: $A}\nj: {image: $A, script: x}",
                &["j.image $A: undecided the variable `A` is not known from this file for `j`"],
            ),
            (
                "j: {image: \"a:$$\", script: x}",
                &["j.image a:$$: undecided a `$` that is no variable of GitLab's form"],
            ),
            (
                "variables: {A: {value: \"$B\", expand: false}}\nj: {image: $A, script: x}",
                &["j.image $A: undecided the variable `A` is not known from this file for `j`"],
            ),
            (
                ".a: {variables: {V: one}}\n.b: {variables: {V: two}}\nj: {extends: [.a, .b], image: \"x:$V\", script: x}",
                &["j.image x:two: image V=two"],
            ),
            (
                "variables: {V: all}\n.a: {image: \"x:$V\"}\nj: {extends: .a, variables: {V: j}, script: x}\nk: {extends: .a, script: x}",
                &["[\".a\"].image x:all: image V=all", "[\".a\"].image x:j: image V=j"],
            ),
            (
                ".v: {variables: {V: a}}\nj: {variables: !reference [.v, variables], image: \"x:$V\", script: x}",
                &["j.image x:a: image V=a"],
            ),
            (
                "image: x:$V\nworkflow: {rules: [{variables: {V: a}}]}\nt: {trigger: x}\nj: {script: x}",
                &["image x:a: image V=a"],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn references_go_in_circles_only_so_far() {
        for text in [
            "a: {image: !reference [b, image]}\nb: {image: !reference [a, image]}\n",
            "a: &a {services: [*a, !reference [a]], image: *a, name: *a}\n",
            "a: {extends: b, image: $X}\nb: {extends: a}\n",
        ] {
            assert!(!show(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn variables_that_write_too_much_are_not_followed() {
        let level = |at: usize| format!("  V{at}: \"{}\"\n", format!("$V{}", at + 1).repeat(200));
        let levels: String = (0..6).map(level).collect();
        let jobs = "  V6: \"\"\nj: {image: $V0, script: x}\nk: {image: x:1, script: x}\n";
        let text = format!("variables:\n{levels}{jobs}");
        let found = show(&text);
        assert!(found[0].contains("too long to follow") && found[1].ends_with("image"), "{found:?}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "image: ", "services: ", "a: ", ".b: ", "- ", "\n", "\n  ", "\n    ", "x:1", "$V", "${V}", "variables: ", "V: ",
            "extends: ", "!reference ", "[.b, image]", "[", "]", "{", "}", "&x ", "*x", "<<: ", "include: ", "local: ",
            "$[[ inputs.a ]]", "spec: ", "inputs: ", "default: ", "---\n", "name: ", "\"", "'", ": ", ", ", "parallel: ",
            "matrix: ", "trigger: ", "rules: ", ">-\n", "é", "\u{2028}", "# c\n", "docker://",
        ]), 0..60)) {
            let text = tokens.concat();
            let found = Gitlab.find(&Input::alone(".gitlab/ci/x.yml", text.as_bytes()));
            for occurrence in found.occurrences.iter().filter(|occurrence| occurrence.seat().is_some()) {
                let span = occurrence.span.expect("one place");
                proptest::prop_assert_eq!(span.of(text.as_bytes()), Some(occurrence.text.as_bytes()));
            }
        }
    }
}
