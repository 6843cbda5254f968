//! Values of Helm charts: the file beside a chart's templates, and those that are given to it. The templates themselves
//! are read as Kubernetes objects and never rewritten; a chart's defaults for what the values leave out are not known
//! here. Left out: the annotation `artifacthub.io/images` of a `Chart.yaml`, which nothing runs from.

use crate::source::{Format, Found, Input, stream, values};

/// The format.
pub(crate) struct Helm;

const ID: &str = "helm";

impl Format for Helm {
    fn id(&self) -> &'static str {
        ID
    }

    fn claims(&self, path: &str) -> bool {
        let lower = path.to_ascii_lowercase();
        let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
        let mut folders = folders.split('/');
        let Some(stem) = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")) else { return false };
        let named = stem == "values"
            || ["values-", "values.", "values_"].iter().any(|start| stem.starts_with(start))
            || ["-values", ".values", "_values"].iter().any(|end| stem.ends_with(end));
        let last = folders.clone().next_back();
        (named || matches!(last, Some("values" | "helm-values"))) && folders.all(|folder| folder != "templates")
    }

    fn find(&self, input: &Input<'_>) -> Found {
        stream::read(input, ID, &values::KEYS, &mut |sheet| {
            if let Some(root) = sheet.tree.root() {
                values::find(sheet, root, "");
            }
        })
    }
}
