//! The policy: statements with configured rules, exceptions, and the levels of the built-ins, each with its line.
//! Loading is strict: what can't be read, or reads as set and sets nothing, is an error at its place. A policy
//! reaches no network, no file and no environment variable.

mod config;
mod document;
mod error;
mod exception;
mod globs;
mod reader;

use jiff::Timestamp;

pub use config::{GateConfig, RegistrySettings};
pub use error::PolicyError;
pub use exception::{Exception, State};
pub use globs::Globs;

use self::config::Standing;
use self::document::{ConfigDocument, DenyOrWarn, PolicyDocument, PolicySpec, RawScope, RawStatement};
use self::error::{Text, suggestion};
use self::reader::{Document, Kind};
use crate::finding::Level;
use crate::pattern::Patterns;
use crate::reference::Reference;
use crate::rule::built_in::built_in;
use crate::rule::setting::{At, SettingError, patterns};
use crate::rule::table::{RULES, kind};
use crate::rule::{Needs, Rule};
use crate::source::Role;
use crate::span::Span;

/// What one file holds.
#[derive(Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Policy,
    /// The config beside it: only layouts and `ignore`.
    pub config: Option<GateConfig>,
}

/// A policy, ready to judge by.
#[derive(Debug)]
pub struct Policy {
    file: String,
    name: Option<String>,
    built_ins: BuiltIns,
    statements: Vec<Statement>,
    exceptions: Vec<Exception>,
    inline_ignores: Vec<&'static str>,
}

/// A built-in's level, and the line that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInSetting {
    /// The level.
    pub level: Level,
    /// Line of the policy, from 1; `None` where it is the default.
    pub line: Option<usize>,
}

/// Levels of the built-ins that may be lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIns {
    /// `unresolvable-reference`.
    pub unresolvable_reference: BuiltInSetting,
    /// `unreadable-source`.
    pub unreadable_source: BuiltInSetting,
}

/// Which references, and what must hold of them.
#[derive(Debug)]
pub struct Statement {
    name: String,
    line: usize,
    matches: Patterns,
    scope: Scope,
    rules: Vec<Configured>,
}

/// A rule with its settings, its level and its line.
#[derive(Debug)]
pub struct Configured {
    /// The rule.
    pub rule: Box<dyn Rule>,
    /// Its level; a rule that is `off` is not kept.
    pub level: Level,
    /// The line of its key, from 1.
    pub line: usize,
}

#[derive(Debug, Default)]
struct Scope {
    paths: Option<Globs>,
    formats: Option<Vec<String>>,
    roles: Option<Vec<Role>>,
}

/// Reads a policy file: exactly one `ImagePolicy`, at most one `GateConfig` that chooses no transport.
/// `file` is the name that errors show, `now` the run's clock, `formats` the ids of every known format.
pub fn load(text: &str, file: &str, now: Timestamp, formats: &[&str]) -> Result<Loaded, PolicyError> {
    let text = Text { file, text };
    let (mut policy, mut config) = (None, None);
    for document in reader::documents(&text)? {
        match document.kind {
            Kind::Policy => policy = Some(read_policy(&text, &document, now, formats)?),
            Kind::Config => config = Some(config::read(&text, &document, Standing::BesidePolicy)?),
        }
    }
    match policy {
        Some(policy) => Ok(Loaded { policy, config }),
        None => Err(text.error(missing("ImagePolicy"))),
    }
}

/// Reads the file that `--config` names: exactly one `GateConfig`, every key allowed.
pub fn load_config(text: &str, file: &str) -> Result<GateConfig, PolicyError> {
    let text = Text { file, text };
    let mut config = None;
    for document in reader::documents(&text)? {
        if document.kind == Kind::Policy {
            let message = "a config holds no policy; name the policy with `--policy`";
            return Err(text.error(SettingError::new(document.span, message, "take the policy out of this file")));
        }
        config = Some(config::read(&text, &document, Standing::Named)?);
    }
    config.ok_or_else(|| text.error(missing("GateConfig")))
}

/// JSON Schema of the policy document, from the types that read it.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(PolicyDocument).into()
}

/// JSON Schema of the config document, from the types that read it.
pub fn config_schema() -> serde_json::Value {
    schemars::schema_for!(ConfigDocument).into()
}

impl Policy {
    /// The file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its name, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Levels of the built-ins that may be lowered.
    pub fn built_ins(&self) -> BuiltIns {
        self.built_ins
    }

    /// Every statement, in the order of the file.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Every exception, also those whose day is past.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// Rules that a comment in a file may silence.
    pub fn inline_ignores(&self) -> &[&'static str] {
        &self.inline_ignores
    }

    /// The statements that fit a reference at its place.
    pub fn fitting<'a>(
        &'a self,
        reference: &'a Reference,
        path: &'a str,
        format: &'a str,
        role: Role,
    ) -> impl Iterator<Item = &'a Statement> {
        self.statements.iter().filter(move |statement| statement.fits(reference, path, format, role))
    }
}

impl Statement {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its line in the policy, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Its rules, those that are `off` left out, in the order of the file.
    pub fn rules(&self) -> &[Configured] {
        &self.rules
    }

    /// Whether some rule of it can deny; one that can't does not count as a match.
    pub fn can_deny(&self) -> bool {
        self.rules.iter().any(|configured| configured.level == Level::Deny)
    }

    /// What its rules need to know.
    pub fn needs(&self) -> Needs {
        self.rules.iter().fold(Needs::NOTHING, |needs, configured| needs.and(configured.rule.needs()))
    }

    /// Whether it speaks of this reference: by pattern, path (relative to the policy's folder, with `/`), format
    /// id and role.
    pub fn fits(&self, reference: &Reference, path: &str, format: &str, role: Role) -> bool {
        let scope = &self.scope;
        self.matches.fits(reference)
            && scope.paths.as_ref().is_none_or(|paths| paths.fit(path))
            && scope.formats.as_ref().is_none_or(|formats| formats.iter().any(|known| known == format))
            && scope.roles.as_ref().is_none_or(|roles| roles.contains(&role))
    }
}

fn missing(kind: &str) -> SettingError {
    let help = format!("begin with `apiVersion: {}` and `kind: {kind}`", reader::API_VERSION);
    SettingError::new(Span::new(0, 0), format!("no {kind} in this file"), help)
}

fn not_empty(text: &At<String>, key: &str) -> Result<(), SettingError> {
    if text.value.trim().is_empty() {
        return Err(SettingError::new(text.span, format!("`{key}` is empty"), "write a text, or leave the key away"));
    }
    Ok(())
}

/// The id of a rule that may be excepted or ignored: known, and no built-in.
fn rule_id(text: &At<String>) -> Result<&'static str, SettingError> {
    if built_in(&text.value).is_some() {
        let message = format!("`{}` is built in; it can't be excepted or ignored", text.value);
        return Err(SettingError::new(text.span, message, "mend the reference, or see `spec.built-in`"));
    }
    kind(&text.value).map(|kind| kind.id).ok_or_else(|| {
        let ids: Vec<&str> = RULES.iter().map(|kind| kind.id).collect();
        SettingError::new(text.span, format!("no rule `{}`", text.value), suggestion(&text.value, &ids))
    })
}

fn read_policy(text: &Text<'_>, document: &Document, now: Timestamp, formats: &[&str]) -> Result<Policy, PolicyError> {
    let raw: PolicyDocument = document.read(text)?;
    let name = raw.metadata.map(|metadata| metadata.name);
    if let Some(name) = &name {
        not_empty(name, "metadata.name").map_err(|error| text.error(error))?;
    }
    let spec = raw.spec;
    let built_ins = built_ins(text, &spec);
    let mut statements: Vec<Statement> = Vec::new();
    for raw in spec.statements {
        let at = raw.name.span;
        let statement = statement(text, raw, formats).map_err(|error| text.error(error))?;
        if statements.iter().any(|other| other.name == statement.name) {
            let message = format!("a second statement named `{}`", statement.name);
            return Err(text.error(SettingError::new(at, message, "give each its own name")));
        }
        statements.push(statement);
    }
    let mut exceptions: Vec<Exception> = Vec::new();
    for raw in spec.exceptions {
        let (at, line) = (raw.value.image.span, text.line(raw.span));
        let exception = Exception::new(raw.value, line, now).map_err(|error| text.error(error))?;
        if let Some(other) = exceptions.iter().find(|other| other.repeats(&exception)) {
            let message = format!("the same exception stands on line {}", other.line());
            return Err(text.error(SettingError::new(at, message, "keep one of them")));
        }
        exceptions.push(exception);
    }
    let mut inline_ignores = Vec::new();
    for rule in &spec.inline_ignores {
        let id = rule_id(rule).map_err(|error| text.error(error))?;
        if inline_ignores.contains(&id) {
            let twice = SettingError::new(rule.span, format!("rule `{id}` stands twice"), "leave it once");
            return Err(text.error(twice));
        }
        inline_ignores.push(id);
    }
    let (file, name) = (text.file.to_owned(), name.map(|name| name.value));
    Ok(Policy { file, name, built_ins, statements, exceptions, inline_ignores })
}

fn built_ins(text: &Text<'_>, spec: &PolicySpec) -> BuiltIns {
    let setting = |raw: &Option<At<document::BuiltInLevel>>| match raw {
        Some(raw) => {
            let level = match raw.value.level {
                DenyOrWarn::Deny => Level::Deny,
                DenyOrWarn::Warn => Level::Warn,
            };
            BuiltInSetting { level, line: Some(text.line(raw.span)) }
        }
        None => BuiltInSetting { level: Level::Deny, line: None },
    };
    BuiltIns {
        unresolvable_reference: setting(&spec.built_in.unresolvable_reference),
        unreadable_source: setting(&spec.built_in.unreadable_source),
    }
}

fn statement(text: &Text<'_>, raw: RawStatement, formats: &[&str]) -> Result<Statement, SettingError> {
    not_empty(&raw.name, "name")?;
    let matches = patterns(&raw.matches.value, raw.matches.span)?;
    let scope = raw.scope.map(|scope| self::scope(scope, formats)).transpose()?.unwrap_or_default();
    if raw.rules.value.0.is_empty() {
        let help = "add a rule, such as `pinned-digest: {}`";
        return Err(SettingError::new(raw.rules.span, "the statement has no rule", help));
    }
    let mut rules = Vec::new();
    for entry in raw.rules.value.0 {
        let rule = entry.rule?;
        if let Some(level) = entry.level.level() {
            rules.push(Configured { rule, level, line: text.line(entry.span) });
        }
    }
    Ok(Statement { line: text.line(raw.name.span), name: raw.name.value, matches, scope, rules })
}

fn scope(raw: At<RawScope>, formats: &[&str]) -> Result<Scope, SettingError> {
    let At { value: raw, span } = raw;
    if raw.paths.is_none() && raw.formats.is_none() && raw.roles.is_none() {
        return Err(SettingError::new(span, "`where` says nothing", "add `paths`, `formats` or `roles`"));
    }
    let empty = |span, key: &str| {
        SettingError::new(span, format!("`{key}` is empty, so nothing would fit"), "name one, or leave the key away")
    };
    let paths = raw.paths.map(|list| Globs::parse(&list.value, list.span)).transpose()?;
    if let Some(list) = &raw.formats {
        if list.value.is_empty() {
            return Err(empty(list.span, "formats"));
        }
        if let Some(unknown) = list.value.iter().find(|format| !formats.contains(&format.value.as_str())) {
            let message = format!("no format `{}`", unknown.value);
            return Err(SettingError::new(unknown.span, message, suggestion(&unknown.value, formats)));
        }
    }
    if let Some(list) = raw.roles.as_ref().filter(|list| list.value.is_empty()) {
        return Err(empty(list.span, "roles"));
    }
    let formats = raw.formats.map(|list| list.value.into_iter().map(|format| format.value).collect());
    let roles = raw.roles.map(|list| list.value.into_iter().map(|role| role.value.into()).collect());
    Ok(Scope { paths, formats, roles })
}

/// The findings' id of an exception whose day is past.
pub const EXCEPTION_EXPIRED: &str = "exception-expired";
/// The findings' id of an exception that ends soon.
pub const EXCEPTION_EXPIRING: &str = "exception-expiring";
/// The findings' id of an exception that nothing needed.
pub const EXCEPTION_UNUSED: &str = "exception-unused";

#[cfg(test)]
mod tests;
