//! From documents as written to a policy that can judge: each value is checked once, here, and trusted from then on.

use std::collections::HashSet;

use jiff::Timestamp;

use super::checks::{not_empty, rule_id};
use super::config::{self, GateConfig, Standing};
use super::document::{BuiltInLevel, DenyOrWarn, PolicyDocument, PolicySpec, RawScope, RawStatement};
use super::error::{PolicyError, Text, suggestion};
use super::exception::Exception;
use super::globs::Globs;
use super::reader::{self, Document, Kind};
use super::{BuiltInSetting, BuiltIns, Configured, Loaded, Policy, Scope, Statement};
use crate::finding::Level;
use crate::rule::setting::{At, SettingError, patterns};
use crate::span::Span;

/// Reads a policy file: exactly one `ImagePolicy`, at most one `GateConfig` that chooses no transport.
/// `file` is the name that errors show, `now` the run's clock, `formats` the ids of every known format.
pub fn load(text: &str, file: &str, now: Timestamp, formats: &[&str]) -> Result<Loaded, PolicyError> {
    let text = Text::new(text, file);
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
    let text = Text::new(text, file);
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

fn missing(kind: &str) -> SettingError {
    let help = format!("begin with `apiVersion: {}` and `kind: {kind}`", reader::API_VERSION);
    SettingError::new(Span::new(0, 0), format!("no {kind} in this file"), help)
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
    let mut names = HashSet::new();
    for raw in spec.statements {
        let at = raw.name.span;
        let statement = statement(text, raw, formats).map_err(|error| text.error(error))?;
        if !names.insert(statement.name.clone()) {
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
    let setting = |raw: &Option<At<BuiltInLevel>>| match raw {
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
