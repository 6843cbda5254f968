//! The built-ins: what holds under every policy. They have an id and a page like rules, and no settings of their own.

use crate::finding::Level;

/// One built-in.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its id in findings.
    pub id: &'static str,
    /// What it says, in one line.
    pub summary: &'static str,
    /// What it means, why, and what to do; Markdown.
    pub explain: &'static str,
    /// The level of its findings, unless the policy lowers it.
    pub level: Level,
    /// Whether `spec.built-in` may lower it to `warn`.
    pub adjustable: bool,
}

impl BuiltIn {
    /// The whole page, as Markdown.
    pub fn page(&self) -> String {
        let level = match (self.level, self.adjustable) {
            (_, true) => format!("`spec.built-in: {{{}: {{level: warn}}}}` lowers it to a warning.", self.id),
            (Level::Deny, false) => "It can't be lowered, excepted or ignored.".to_owned(),
            (Level::Warn, false) => "It warns and decides nothing.".to_owned(),
        };
        format!("# {}\n\n{}\n\n{}\n\n{level}\n", self.id, self.summary, self.explain)
    }
}

/// A reference that no statement with a deny-level rule fits.
pub const UNMATCHED: BuiltIn = BuiltIn {
    id: "unmatched",
    summary: "no statement of the policy speaks of this image",
    explain: "\
A reference is allowed only where some statement with at least one rule at `deny` fits it and holds. An empty policy \
allows nothing.

To satisfy it, add a statement whose `match` and `where` fit the reference, or use an image that one fits.",
    level: Level::Deny,
    adjustable: false,
};

/// The registry says that there is no such manifest.
pub const EXISTS: BuiltIn = BuiltIn {
    id: "exists",
    summary: "the registry has no such image",
    explain: "\
The registry answered that there is no manifest by that name (404). Any other failure leaves the reference undecided.

To satisfy it, correct the name, the tag or the digest, or push the image.",
    level: Level::Deny,
    adjustable: false,
};

/// An image that can't be known from the file.
pub const UNRESOLVABLE_REFERENCE: BuiltIn = BuiltIn {
    id: "unresolvable-reference",
    summary: "which image this is can't be known from the file",
    explain: "\
The image is a template, a variable, or a text that no runtime takes for a reference. What can't be \
known can't be judged, so it is undecided.

To satisfy it, write the image itself, or check the rendered file: `helm template … | plimsoll check -`.",
    level: Level::Deny,
    adjustable: true,
};

/// A file that claims a format and can't be parsed.
pub const UNREADABLE_SOURCE: BuiltIn = BuiltIn {
    id: "unreadable-source",
    summary: "a file, or a document of it, could not be read, and could name an image",
    explain: "\
The file claims a format and does not parse, so an image in it would be missed. The other documents of the file are \
read all the same.

To satisfy it, mend the document, or leave the file out with `ignore` in the config.",
    level: Level::Deny,
    adjustable: true,
};

/// An exception whose day is past.
pub const EXCEPTION_EXPIRED: BuiltIn = BuiltIn {
    id: "exception-expired",
    summary: "an exception of the policy is past its day and counts no more",
    explain: "\
The rules that it let through hold again from the day after `expires` (UTC).

To satisfy it, take the exception out of the policy, or give it a new day and a reason that still holds.",
    level: Level::Warn,
    adjustable: false,
};

/// An exception that ends soon.
pub const EXCEPTION_EXPIRING: BuiltIn = BuiltIn {
    id: "exception-expiring",
    summary: "an exception of the policy ends within 14 days",
    explain: "\
It still counts, through its last day (UTC). After it the rules that it let through hold again.

To satisfy it, mend what it excuses, or agree on a new day with its owner.",
    level: Level::Warn,
    adjustable: false,
};

/// An exception that nothing needed.
pub const EXCEPTION_UNUSED: BuiltIn = BuiltIn {
    id: "exception-unused",
    summary: "an exception of the policy was not needed by anything in this run",
    explain: "\
No reference that was judged broke a rule that the exception names. What nobody needs only hides the next mistake.

To satisfy it, take the exception out of the policy.",
    level: Level::Warn,
    adjustable: false,
};

/// A policy file that is not the run's.
pub const NESTED_POLICY: BuiltIn = BuiltIn {
    id: "nested-policy",
    summary: "a plimsoll.yaml that this run does not use",
    explain: "\
One policy holds for a run: the one that `--policy` names, else the one at the root of the git work tree. A second one \
in a folder below would let a part of a repository judge itself.

To satisfy it, move its statements into the policy at the root, with `where: {paths: [...]}`.",
    level: Level::Warn,
    adjustable: false,
};

/// Every built-in.
pub const BUILT_INS: [BuiltIn; 8] = [
    UNMATCHED,
    EXISTS,
    UNRESOLVABLE_REFERENCE,
    UNREADABLE_SOURCE,
    EXCEPTION_EXPIRED,
    EXCEPTION_EXPIRING,
    EXCEPTION_UNUSED,
    NESTED_POLICY,
];

/// The built-in of that id.
pub fn built_in(id: &str) -> Option<&'static BuiltIn> {
    BUILT_INS.iter().find(|built_in| built_in.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_concerns_reading_may_be_lowered() {
        let adjustable: Vec<_> = BUILT_INS.iter().filter(|b| b.adjustable).map(|b| b.id).collect();
        assert_eq!(adjustable, ["unresolvable-reference", "unreadable-source"]);
        assert!(built_in("exists").expect("a built-in").page().contains("can't be lowered"));
        assert!(
            BUILT_INS.iter().all(|b| b.page().contains("To satisfy it") && (b.level == Level::Deny || !b.adjustable))
        );
    }
}
