//! As whom a pod's containers run: what the `securityContext` of a pod and of a container say, and which of them counts.
//! Nothing is guessed: what readers may see in two ways, or what a cluster refuses, becomes words, which name no user.

use crate::source::{Found, RunAs};
use crate::yaml::{Budget, Entry, Exhausted, NodeId, Style, Tree};

/// The key of a user; Kubernetes takes keys by their exact letters.
pub(crate) const USER: &str = "runAsUser";
const NON_ROOT: &str = "runAsNonRoot";

/// What one level says, the pod or a container: each field as every reader may see it, `None` where it is not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Whether there is a `securityContext` at all.
    stands: bool,
    users: Vec<Option<String>>,
    non_root: Vec<Option<String>>,
    /// The keys of its users.
    pub(crate) keys: Vec<NodeId>,
}

/// An image whose user the file does not settle, in words that say why.
pub(crate) fn unknown(why: &str) -> RunAs {
    RunAs { user: Some(format!("({why})")), non_root: None }
}

/// The same images of a file that runs none of them itself: as whom they run is said elsewhere.
pub(crate) fn decided_elsewhere(mut found: Found, who: &str) -> Found {
    for occurrence in &mut found.occurrences {
        occurrence.run_as = Some(Box::new(unknown(who)));
    }
    found
}

impl Said {
    /// What the map with these entries says, a pod's or a container's.
    pub(crate) fn of(tree: &Tree<'_>, entries: &[Entry<'_>], budget: &mut Budget) -> Result<Self, Exhausted> {
        let mut said = Self::default();
        for context in entries.iter().filter(|entry| entry.key == "securityContext").map(|entry| entry.value) {
            said.stands = true;
            if !tree.is_mapping(context) {
                let text = text(tree, context);
                said.users.push(text.clone());
                said.non_root.push(text.map(|_| "a text in place of a map".to_owned()));
                continue;
            }
            let fields = tree.entries(context, budget)?;
            for (key, values) in [(USER, &mut said.users), (NON_ROOT, &mut said.non_root)] {
                let found = values.len();
                values.extend(fields.iter().filter(|field| field.key == key).map(|field| text(tree, field.value)));
                if values.len() == found {
                    values.push(None);
                }
            }
            said.keys.extend(fields.iter().filter(|field| field.key == USER).map(|field| field.key_node));
        }
        Ok(said)
    }

    /// What counts for a container that says this in a pod that says `pod`: each field by itself (core/v1
    /// `SecurityContext`). `None` where neither has a `securityContext`.
    pub(crate) fn over(&self, pod: &Self) -> Option<Box<RunAs>> {
        if !self.stands && !pod.stands {
            return None;
        }
        let non_root = match counts(&self.non_root, &pod.non_root).as_deref() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        Some(Box::new(RunAs { user: counts(&self.users, &pod.users), non_root }))
    }
}

/// The one value that counts; of several all of them, in words.
fn counts(own: &[Option<String>], above: &[Option<String>]) -> Option<String> {
    let above = if above.is_empty() { &[None] } else { above };
    let own = if own.is_empty() { &[None] } else { own };
    let mut values: Vec<&Option<String>> =
        own.iter().flat_map(|value| if value.is_some() { std::slice::from_ref(value) } else { above }).collect();
    values.sort_unstable();
    values.dedup();
    match values.as_slice() {
        [one] => (*one).clone(),
        several => {
            let texts: Vec<&str> = several.iter().map(|value| value.as_deref().unwrap_or("nothing")).collect();
            Some(format!("({})", texts.join(", or ")))
        }
    }
}

/// A value as written, `None` for null. A text where the API wants a number or a boolean keeps its quotes or its tag, for
/// it is none.
fn text(tree: &Tree<'_>, at: NodeId) -> Option<String> {
    let Some(scalar) = tree.scalar(at) else { return Some("(a map or a list)".to_owned()) };
    let tag = tree.node(tree.resolve(at)).tag.as_deref();
    match (tag, scalar.style, scalar.value.as_ref()) {
        (Some(tag), _, value) => Some(format!("{tag} {value:?}")),
        (None, Style::Plain, "" | "~" | "null" | "Null" | "NULL") => None,
        (None, Style::Plain, value) => Some(value.to_owned()),
        (None, _, value) => Some(format!("{value:?}")),
    }
}
