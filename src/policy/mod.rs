//! The policy: statements with configured rules, exceptions, and the levels of the built-ins, each with its line.
//! Loading is strict: what can't be read, or reads as set and sets nothing, is an error at its place. A policy
//! reaches no network, no file and no environment variable.

mod checks;
mod config;
mod document;
mod error;
mod exception;
mod globs;
mod load;
mod reader;

pub use config::{GateConfig, RegistrySettings};
pub use error::PolicyError;
pub use exception::{Exception, State};
pub use globs::Globs;
pub use load::{load, load_config};

use self::document::{ConfigDocument, PolicyDocument};
use crate::finding::Level;
use crate::pattern::Patterns;
use crate::reference::Reference;
use crate::rule::{Needs, Rule};
use crate::source::Role;

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

#[cfg(test)]
mod tests;
