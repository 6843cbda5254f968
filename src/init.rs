//! A first policy for a repository: what it already uses is allowed, what is doubtful warns.
//! It writes text from what was found and asks no registry.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::reference::{HUB, LATEST, Reference};

/// The text of a policy that fits `references`, for the repository called `name`.
pub fn policy<'a>(name: &str, references: impl IntoIterator<Item = &'a Reference>) -> String {
    let references: Vec<&Reference> = references.into_iter().collect();
    let patterns: BTreeSet<String> = references.iter().map(|reference| pattern(reference)).collect();
    let moving = references.iter().any(|reference| reference.tag() == Some(LATEST));
    let mut text = String::new();
    let _ = write!(
        text,
        "# What may run. `plimsoll explain` says what each rule checks; `plimsoll check` judges by this file.\n\
         apiVersion: plimsoll.dev/v1\n\
         kind: ImagePolicy\n\
         metadata: {{name: {}}}\n\
         spec:\n  \
           statements:\n    \
             - name: everything that runs\n      \
               match: [\"**\"]\n      \
               rules:\n",
        quoted(name)
    );
    if patterns.is_empty() {
        text.push_str("        # No image was found; name here what you trust.\n");
        text.push_str("        trusted-registry: {allow: [\"docker.io/library/*\", \"registry.k8s.io/**\"]}\n");
    } else {
        text.push_str("        # In use when this was written; take out what you do not trust.\n");
        text.push_str("        trusted-registry:\n          allow:\n");
        for pattern in patterns {
            let _ = writeln!(text, "            - {}", quoted(&pattern));
        }
    }
    if moving {
        text.push_str("        # Some references use `latest`; name versions, then take `level: warn` away.\n");
        text.push_str("        mutable-tag: {deny: [latest], level: warn}\n");
    } else {
        text.push_str("        mutable-tag: {deny: [latest]}\n");
    }
    text.push_str("        # `plimsoll pin` writes the digests; then take `level: warn` away.\n");
    text.push_str("        pinned-digest: {level: warn}\n");
    text.push_str("        tag-digest-match: {level: warn}\n");
    text
}

/// The repository's neighbourhood: all official images, an organisation on the Hub, a path on another host.
fn pattern(reference: &Reference) -> String {
    let repository = reference.repository();
    let (host, path) = (repository.host(), repository.path());
    match path.split_once('/') {
        Some((first, _)) if host == HUB => format!("{HUB}/{first}/*"),
        Some((first, _)) => format!("{host}/{first}/**"),
        None => format!("{host}/{path}"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_policy_allows_what_is_in_use() {
        let texts = ["nginx:1", "acme/app:2", "ghcr.io/acme/deep/app:1", "registry.k8s.io/pause:3.9", "redis"];
        let references: Vec<Reference> =
            texts.iter().map(|text| Reference::parse(text).expect("a reference")).collect();
        let text = policy("shop", &references);
        for pattern in ["docker.io/library/*", "docker.io/acme/*", "ghcr.io/acme/**", "registry.k8s.io/pause"] {
            assert!(text.contains(&format!("- \"{pattern}\"\n")), "{pattern} in {text}");
        }
        assert!(text.contains("level: warn"));
    }
}
