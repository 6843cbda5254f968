//! Values of Helm charts: the file beside a chart's templates, and those that are given to it. The templates themselves
//! are read as Kubernetes objects and never rewritten; a chart's defaults for what the values leave out are not known
//! here. Left out: the annotation `artifacthub.io/images` of a `Chart.yaml`, which nothing runs from.

use crate::source::{Format, Found, Input, run_as, stream, values};

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
        let found = stream::read(input, ID, &values::KEYS, &mut |sheet| {
            if let Some(root) = sheet.tree.root() {
                values::find(sheet, root, "");
            }
        });
        run_as::decided_elsewhere(found, "the chart's templates decide")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Subject;

    #[test]
    fn claims_values_and_no_templates() {
        for (path, claimed) in [
            ("values.yaml", true),
            ("charts/web/values.yml", true),
            ("charts/web/ci/test-values.yaml", true),
            ("values-prod.yaml", true),
            ("values.prod.yaml", true),
            ("deploy/prod.values.yaml", true),
            ("Values.YAML", true),
            ("helm/values/prod.yaml", true),
            ("charts/web/templates/values.yaml", false),
            ("charts/web/templates/values/x.yaml", false),
            ("values.schema.json", false),
            ("myvalues.yaml", false),
            ("values.yaml.gotmpl", false),
            ("Chart.yaml", false),
        ] {
            assert_eq!(Helm.claims(path), claimed, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(tokens in proptest::collection::vec(proptest::sample::select(vec![
            "image: ", "image:\n", "repository: a/b\n", "registry: r\n", "tag: ", "tag: \"1\"\n", "digest: \"\"\n", "digest:\n",
            "sha: ''\n", "  ", "    ", "\n", "- ", "a:1\n", "&a ", "*a\n", "<<: *a\n", "global:\n", "imageRegistry: x\n",
            "{", "}", "[", "]", ", ", "\"", "'", "---\n", "sidecars: |\n", "extraContainers: |-\n", "fooImage: b:2\n", "fooImageTag: 3\n",
            "name: x\n", "images:\n", "{{ x }}", "\u{2028}", "é", "1.10\n", "!!str ", ">-\n", "\r\n", "useDigest: false\n",
        ]), 0..60)) {
            let text = tokens.concat();
            for occurrence in Helm.find(&Input::alone("values.yaml", text.as_bytes())).occurrences {
                for part in occurrence.parts.iter().flatten() {
                    proptest::prop_assert!(part.span.of(text.as_bytes()).is_some());
                }
                if let (Some(seat), Subject::Image(reference)) = (occurrence.seat(), &occurrence.subject) {
                    proptest::prop_assert_eq!(&text[seat.span.start..seat.span.end], &seat.text);
                    proptest::prop_assert_eq!(reference.text(), &occurrence.text);
                }
            }
        }
    }
}
