//! `plimsoll explain` and `plimsoll policy`: pages of rules, and a policy looked at on its own.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use plimsoll::outcome::Exit;
use plimsoll::policy;
use plimsoll::report::plural;
use plimsoll::rule::built_in::{BUILT_INS, built_in};
use plimsoll::rule::setting::nearest;
use plimsoll::rule::table::{RULES, kind};
use plimsoll::source::table::formats;

use super::args::PolicyCommand;
use super::{Failure, print};

/// One rule's page, or a line for each.
pub(crate) fn explain(rule: Option<&str>) -> Result<Exit, Failure> {
    let text = match rule {
        None => overview(),
        Some(id) => match (kind(id), built_in(id)) {
            (Some(kind), _) => kind.page(),
            (None, Some(built_in)) => built_in.page(),
            (None, None) => return Err(unknown(id).into()),
        },
    };
    print::out(text.as_bytes())?;
    Ok(Exit::Clean)
}

fn overview() -> String {
    let mut text = String::from("Rules:\n");
    for kind in RULES {
        let _ = writeln!(text, "  {:24} {}", kind.id, kind.summary);
    }
    text.push_str("\nBuilt in, under every policy:\n");
    for built_in in BUILT_INS {
        let _ = writeln!(text, "  {:24} {}", built_in.id, built_in.summary);
    }
    text.push_str("\n`plimsoll explain RULE` says more.\n");
    text
}

fn unknown(id: &str) -> anyhow::Error {
    let ids = RULES.iter().map(|kind| kind.id).chain(BUILT_INS.iter().map(|built_in| built_in.id));
    match nearest(id, ids) {
        Some(near) => anyhow!("no rule `{id}`; did you mean `{near}`?"),
        None => anyhow!("no rule `{id}`; `plimsoll explain` names them all"),
    }
}

/// `plimsoll policy check` and `plimsoll policy schema`.
pub(crate) fn policy(command: &PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Check { file } => check(file),
        PolicyCommand::Schema => {
            let text = serde_json::to_string_pretty(&policy::schema()).context("the schema")?;
            print::out(format!("{text}\n").as_bytes())?;
            Ok(Exit::Clean)
        }
    }
}

fn check(file: &Path) -> Result<Exit, Failure> {
    let shown = file.display().to_string();
    let text = fs::read_to_string(file).with_context(|| format!("can't read {shown}"))?;
    let ids: Vec<&str> = formats().iter().map(|format| format.id()).collect();
    let policy = policy::load(&text, &shown, Timestamp::now(), &ids)?.policy;
    let (statements, exceptions) = (policy.statements().len(), policy.exceptions().len());
    let mut said = format!("{shown}: a policy with {}", plural(statements, "statement"));
    let idle: Vec<&str> =
        policy.statements().iter().filter(|statement| !statement.can_deny()).map(policy::Statement::name).collect();
    let _ = writeln!(said, " and {}", plural(exceptions, "exception"));
    if statements == 0 {
        said.push_str("note: without a statement nothing is allowed\n");
    }
    for name in idle {
        let _ = writeln!(said, "note: statement `{name}` has no rule at deny, so nothing is allowed by it alone");
    }
    print::out(said.as_bytes())?;
    Ok(Exit::Clean)
}
