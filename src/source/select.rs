//! Nodes by their path: `services.*.image`, `jobs.*.steps[].uses`, `**.step.image`. For formats whose places a table says.
//! Aliases and merge keys are followed under a budget; duplicate keys all count.

use crate::limits;
use crate::source::Role;
use crate::source::place::{Hit, Path, Places, Shape, Step};
use crate::yaml::{Budget, Exhausted, NodeId, Tree};

/// Where a table says that images stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selector {
    /// Keys with `.` between them: `*` is any key, `[]` behind a key (or alone) every item of its list, `**` any number
    /// of levels of maps and lists.
    pub(crate) path: &'static str,
    /// What the images are used for.
    pub(crate) role: Role,
    /// What counts there.
    pub(crate) takes: Takes,
}

/// What counts as an image in a selected place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A scalar; maps and lists have places of their own.
    Text,
    /// A scalar that begins with `docker://`; another names something else.
    Docker,
}

/// Adds what the selectors find below the root.
pub(crate) fn select(tree: &Tree<'_>, selectors: &[Selector], places: &mut Places) {
    let mut budget = Budget::new();
    let Some(root) = tree.root() else { return };
    for selector in selectors {
        let visited = visit(tree, root, selector.path, &mut budget, &mut |path, at| {
            let text = tree.scalar(at).map(|scalar| scalar.value.as_ref());
            let shape = match (selector.takes, text) {
                (Takes::Text, Some(_)) => Shape::Right,
                (Takes::Docker, Some(text)) if text.starts_with("docker://") => Shape::Url,
                _ => return,
            };
            let node = tree.resolve(at);
            places.hits.push(Hit { path: path.to_string(), node, at, shape, role: selector.role, run_as: None });
        });
        if let Err(spent) = visited {
            places.spent = Some(spent);
            return;
        }
    }
}

/// Shows every node below `from` that a path (as in [`Selector::path`]) names, with where it stands from `from`; where
/// an alias stands there, the alias.
///
/// # Errors
/// The node at which the budget was spent.
pub(crate) fn visit<'t>(
    tree: &'t Tree<'_>,
    from: NodeId,
    path: &str,
    budget: &mut Budget,
    each: &mut dyn FnMut(&Path<'t>, NodeId),
) -> Result<(), (NodeId, Exhausted)> {
    let steps: Vec<&str> = path
        .split('.')
        .flat_map(|step| match step.strip_suffix("[]") {
            Some("") | None => [Some(step), None],
            Some(key) => [Some(key), Some("[]")],
        })
        .flatten()
        .collect();
    let mut walk = Walk { tree, budget, path: Path::default(), each };
    walk.node(from, &steps, 0, false)
}

struct Walk<'w, 't, 'a> {
    tree: &'t Tree<'a>,
    budget: &'w mut Budget,
    path: Path<'t>,
    each: &'w mut dyn FnMut(&Path<'t>, NodeId),
}

impl Walk<'_, '_, '_> {
    fn node(&mut self, at: NodeId, steps: &[&str], depth: usize, followed: bool) -> Result<(), (NodeId, Exhausted)> {
        let followed = followed || self.tree.is_alias(at);
        if depth > limits::YAML_DEPTH {
            return Err((at, Exhausted));
        }
        self.budget.spend(followed).map_err(|exhausted| (at, exhausted))?;
        let Some((step, rest)) = steps.split_first() else {
            (self.each)(&self.path, at);
            return Ok(());
        };
        let deep = *step == "**";
        if deep {
            self.node(at, rest, depth + 1, followed)?;
        }
        let inner = if deep { steps } else { rest };
        if deep || *step == "[]" {
            for (index, item) in self.tree.items(at).unwrap_or_default().iter().enumerate() {
                self.path.within(Step::Index(index));
                self.node(*item, inner, depth + 1, followed)?;
                self.path.leave();
            }
        }
        if *step == "[]" {
            return Ok(());
        }
        let entries = self.tree.fields(at, self.budget).map_err(|exhausted| (at, exhausted))?;
        for entry in entries {
            if !(deep || *step == "*" || entry.key == *step) {
                continue;
            }
            self.path.within(Step::Key(entry.key));
            self.node(entry.value, inner, depth + 1, followed || entry.merged)?;
            self.path.leave();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_text;

    fn selected(text: &str, path: &'static str, takes: Takes) -> Vec<String> {
        let tree = parse_text(text, 0).expect("YAML");
        let mut places = Places::default();
        select(&tree, &[Selector { path, role: Role::Ci, takes }], &mut places);
        assert!(places.spent.is_none());
        places.hits.into_iter().map(|hit| hit.path).collect()
    }

    #[test]
    fn paths() {
        let rows: [(&str, &'static str, Takes, &[&str]); 7] = [
            ("s: {a: {image: x}, b: {image: {}}}", "s.*.image", Takes::Text, &["s.a.image"]),
            ("j: [{u: docker://x}, {u: y}]", "j[].u", Takes::Docker, &["j[0].u"]),
            ("- a: x\n- a: y", "[].a", Takes::Text, &["[0].a", "[1].a"]),
            ("p: {q: [{s: {i: x}}], s: {i: y}}", "p.**.s.i", Takes::Text, &["p.q[0].s.i", "p.s.i"]),
            ("b: &b {i: x}\ns: {a: {<<: *b}}", "s.*.i", Takes::Text, &["s.a.i"]),
            ("s: {i: x, i: y}", "s.i", Takes::Text, &["s.i", "s.i"]),
            ("s: 1", "s.i", Takes::Text, &[]),
        ];
        for (text, path, takes, expected) in rows {
            let mut found = selected(text, path, takes);
            found.sort();
            assert_eq!(found, expected, "{text} {path}");
        }
    }
}
