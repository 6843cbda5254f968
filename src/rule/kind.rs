//! What one kind of rule is, apart from any settings: its id, what people read about it, its examples, its schema.
//! Config key, docs page, `explain`, report metadata and example tests all come from this value.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::example::{Example, Facts, NOW};
use super::setting::size_text;

/// One kind of rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleKind {
    /// Its key in the policy, its file's name (with `_`), its anchor in the docs.
    pub id: &'static str,
    /// What it asks for, in one line.
    pub summary: &'static str,
    /// What it checks, why, and how to satisfy it; Markdown.
    pub explain: &'static str,
    /// Its settings beside `level`: name and meaning.
    pub settings: &'static [(&'static str, &'static str)],
    /// At least one that passes and one that fails.
    pub examples: &'static [Example],
    /// JSON Schema of its settings.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The schema of one settings struct, written where it stands.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

impl RuleKind {
    /// The whole page, as Markdown: what `explain` prints and the docs hold.
    pub fn page(&self) -> String {
        let mut page = format!("# {}\n\n{}\n\n{}\n\n## Settings\n\n", self.id, self.summary, self.explain.trim());
        for (name, meaning) in self.settings {
            let _ = writeln!(page, "- `{name}`: {meaning}");
        }
        page.push_str("- `level`: `deny` (default), `warn` or `off`\n");
        for example in self.examples {
            let verdict = if example.says.is_some() { "Fails" } else { "Passes" };
            let _ = write!(
                page,
                "\n## {verdict}\n\n```yaml\n{}: {}\n```\n\n`{}`",
                self.id, example.settings, example.reference
            );
            page.push_str(&known(&example.facts));
            match example.says {
                Some(says) => {
                    let _ = write!(page, "\n\n> {says}\n");
                }
                None => page.push('\n'),
            }
        }
        page
    }
}

/// What an example says of its image: what the tag names, then a list.
fn known(facts: &Facts) -> String {
    let mut text = String::new();
    if let Some(tag) = facts.tag {
        let _ = write!(text, ", where the tag names `{tag}` now");
    }
    for (platform, bytes) in facts.platforms {
        let _ = write!(text, "\n- {platform}: {} of layers", size_text(bytes + facts.more_layers.iter().sum::<u64>()));
        if !facts.more_layers.is_empty() {
            let layers = std::iter::once(bytes).chain(facts.more_layers).map(|bytes| size_text(*bytes));
            let _ = write!(text, " ({})", layers.collect::<Vec<_>>().join(", "));
        }
    }
    for (platform, _) in facts.previous {
        let _ = write!(text, "\n- pinned before: {platform}");
    }
    if let Some(config) = facts.config {
        let _ = write!(text, "\n- config: `{config}`");
        if config.contains("\"created\"") {
            let _ = write!(text, "\n- judged on {}", &NOW[..10]);
        }
    }
    if let Some(base) = facts.base {
        let how = if base.proved { "proved by its layers" } else { "claimed by an annotation" };
        let _ = write!(text, "\n- built on `{}` of {}, {how}", base.name, &base.created[..10]);
        if let Some(moved) = base.moved {
            let _ = write!(text, "; its tag names one of {} now", &moved[..10]);
        }
        let _ = write!(text, "\n- judged on {}", &NOW[..10]);
    }
    if let Some(annotations) = facts.annotations {
        let _ = write!(text, "\n- annotations: `{annotations}`");
    }
    if let Some(user) = facts.run_as_user {
        let _ = write!(text, "\n- its workload runs it as `{user}`");
    }
    if let Some(non_root) = facts.run_as_non_root {
        let _ = write!(text, "\n- its workload says `runAsNonRoot: {non_root}`");
    }
    text
}
