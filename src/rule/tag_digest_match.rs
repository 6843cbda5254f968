//! `tag-digest-match`: the pinned digest is what the tag names now. Needs what the tag names from the registry.
//! A registry that does not say leaves it undecided; only its own answer counts for or against.

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::setting::{self, LevelSetting, SettingError};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::registry::RegistryError;
use crate::span::Span;

const FACTS: Facts =
    Facts { tag: Some("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), ..Facts::NONE };

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "tag-digest-match",
    summary: "a pinned digest is what the tag beside it names now",
    explain: "\
Checks references that carry both a tag and a digest: asks the registry what the tag names now and compares. \
A reference with only one of the two satisfies the rule.

Why: runtimes follow the digest and people read the tag. A stale or planted digest hides behind a good tag.

To satisfy it, run `plimsoll pin --update`, or name the tag that the digest belongs to.",
    settings: &[],
    examples: &[
        Example {
            settings: "{}",
            reference: "nginx:1.25@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            facts: FACTS,
            says: None,
        },
        Example {
            settings: "{}",
            reference: "nginx:1.25@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            facts: FACTS,
            says: Some(
                "tag `1.25` has moved: it names sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa now, pinned is sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            ),
        },
    ],
    schema: schema_of::<Settings>,
};

/// Its settings: none but the level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    #[serde(default)]
    level: LevelSetting,
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, _: Span) -> Result<Box<dyn Rule>, SettingError> {
        Ok(Box::new(TagDigestMatch))
    }
}

#[derive(Debug)]
struct TagDigestMatch;

impl Rule for TagDigestMatch {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs { tag: true, ..Needs::NOTHING }
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let (Some(tag), Some(pinned)) = (case.reference.written_tag(), case.reference.digest()) else {
            return Judgement::Satisfied;
        };
        let update = "run `plimsoll pin --update`, or name the tag that the digest belongs to";
        match case.tag {
            Some(Ok(now)) if now == pinned => Judgement::Satisfied,
            Some(Ok(_)) if matches!(case.tag_children, Some(Ok(children)) if children.contains(pinned)) => {
                Judgement::Satisfied
            }
            Some(Ok(now)) if now.algorithm() != pinned.algorithm() => Judgement::Undecided(Problem::new(
                format!("tag `{tag}` names {now} now, which can't be compared with {pinned}"),
                "pin by the algorithm that the registry uses",
            )),
            Some(Ok(now)) if matches!(case.tag_children, Some(Err(_))) => Judgement::Undecided(Problem::new(
                format!("tag `{tag}` names {now} now, which could not be read to see whether {pinned} is a part of it"),
                "make the registry reachable and run again",
            )),
            Some(Ok(now)) => Judgement::Violated(Problem::new(
                format!("tag `{tag}` has moved: it names {now} now, pinned is {pinned}"),
                update,
            )),
            Some(Err(RegistryError::NotFound { place })) => Judgement::Violated(Problem::new(
                format!("tag `{tag}` is gone: {place} knows no such tag, pinned is {pinned}"),
                "name a tag that exists and run `plimsoll pin --update`",
            )),
            Some(Err(error)) => Judgement::Undecided(Problem::new(
                format!("what tag `{tag}` names now is unknown: {error}"),
                "make the registry reachable and run again",
            )),
            None => Judgement::Undecided(Problem::new(
                format!("what tag `{tag}` names now was not asked for"),
                "run without --no-resolve",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{case, reference, rule};
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn a_pin_to_one_child_of_the_index_has_not_moved() {
        let rule = rule::<Settings>("{}");
        let (index, child, other) = (Digest::sha256(b"i"), Digest::sha256(b"c"), Digest::sha256(b"o"));
        let error = crate::image::ImageError::Unsound { digest: index.clone(), reason: "html".to_owned() };
        let children = [child.clone()];
        for (pinned, children, satisfied) in [
            (&child, Ok(&children[..]), true),
            (&other, Ok(&children[..]), false),
            (&child, Ok(&[][..]), false),
            (&child, Err(&error), false),
        ] {
            let reference = reference(&format!("r.io/x:1@{pinned}"));
            let case = super::Case { tag: Some(Ok(&index)), tag_children: Some(children), ..case(&reference) };
            assert_eq!(rule.check(&case) == Judgement::Satisfied, satisfied);
        }
    }

    #[test]
    fn moved_gone_and_unknown_are_told_apart() {
        let rule = rule::<Settings>("{}");
        let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let long = Digest::hash(crate::digest::Algorithm::Sha512, b"a");
        let gone = RegistryError::NotFound { place: "r.io".to_owned() };
        let slow = RegistryError::RateLimited { host: "r.io".to_owned(), retry_after: None, anonymous: false };
        let text = format!("r.io/x:1@{a}");
        let rows = [
            (text.clone(), Some(Ok(&a)), "satisfied", ""),
            (text.clone(), Some(Ok(&b)), "violated", "has moved"),
            (text.clone(), Some(Ok(&long)), "undecided", "can't be compared"),
            (text.clone(), Some(Err(&gone)), "violated", "is gone"),
            (text.clone(), Some(Err(&slow)), "undecided", "limiting requests"),
            (text, None, "undecided", "not asked for"),
            ("r.io/x:1".to_owned(), Some(Ok(&b)), "satisfied", ""),
            (format!("r.io/x@{a}"), None, "satisfied", ""),
        ];
        for (text, tag, verdict, message) in rows {
            let reference = reference(&text);
            let (found, problem) = match rule.check(&super::Case { tag, ..case(&reference) }) {
                Judgement::Satisfied => ("satisfied", String::new()),
                Judgement::Violated(problem) => ("violated", problem.message),
                Judgement::Undecided(problem) => ("undecided", problem.message),
            };
            assert_eq!(found, verdict, "{text}: {problem}");
            assert!(problem.contains(message), "{problem}");
        }
    }
}
