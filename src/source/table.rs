//! The formats there are, and which one a file is.

use std::collections::HashSet;

use crate::source::azure_pipelines::AzurePipelines;
use crate::source::compose::Compose;
use crate::source::devcontainer::Devcontainer;
use crate::source::dockerfile::Dockerfile;
use crate::source::github::Github;
use crate::source::gitlab::Gitlab;
use crate::source::helm::Helm;
use crate::source::kubernetes::{self, Kubernetes};
use crate::source::kustomize::Kustomize;
use crate::source::{Format, Found, Input, Occurrence, Subject, listed, stream};
use crate::span::Span;

const FORMATS: &[&dyn Format] = &[
    &Dockerfile,
    &Compose,
    &Devcontainer,
    &Github,
    &Gitlab,
    &Kustomize,
    &Helm,
    &AzurePipelines,
    &listed::CIRCLECI,
    &listed::BITBUCKET,
    &listed::DRONE,
    &listed::WOODPECKER,
    &listed::BUILDKITE,
    &listed::SKAFFOLD,
    &listed::CLOUDBUILD,
    &listed::CIRRUS,
    &listed::SEMAPHORE,
    &listed::VELA,
    &listed::CODEFRESH,
    &listed::ECS,
    &listed::CLOUDFORMATION,
    &listed::DEVFILE,
    &listed::GITPOD,
    &Kubernetes,
];

/// Every format, in the order in which they are asked whether they claim a file.
pub fn formats() -> &'static [&'static dyn Format] {
    FORMATS
}

/// The format of that id, as `--as` names it.
pub fn by_id(id: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.id() == id)
}

/// The formats that claim a path (with `/` between components).
pub fn claiming(path: &str) -> Vec<&'static dyn Format> {
    FORMATS.iter().copied().filter(|format| format.claims(path)).collect()
}

/// Whether any format claims a path (with `/` between components).
pub fn claims(path: &str) -> bool {
    FORMATS.iter().any(|format| format.claims(path))
}

/// Reads a file by every format that it has, each place once.
///
/// A file that another format claims is read as Kubernetes too where it could hold an object: a cluster asks nobody for a
/// file's name. One that holds none (no `kind`, no `apiVersion`) is not, though its name would allow it.
pub fn read(formats: &[&'static dyn Format], input: &Input<'_>) -> Found {
    let specific: Vec<&&dyn Format> = formats.iter().filter(|format| format.id() != kubernetes::ID).collect();
    let Some((first, others)) = specific.split_first() else {
        return if formats.is_empty() { Found::default() } else { Kubernetes.find(input) };
    };
    let mut found = first.find(input);
    for format in others {
        merge(&mut found, format.find(input));
    }
    if Kubernetes.claims(input.path) && kubernetes::holds_object(input.bytes) {
        merge(&mut found, Kubernetes.find(input));
    }
    found
}

/// Adds what a second reading of the same file found and the first did not.
fn merge(found: &mut Found, second: Found) {
    // the same bytes may be another thing to another reader: what the first took for no image, or found at another place
    let key = |occurrence: &Occurrence, span| (span, occurrence.path.clone(), occurrence.text.clone());
    let strict = found.occurrences.iter().filter(|known| !matches!(known.subject, Subject::NotAnImage { .. }));
    let known: HashSet<(Span, String, String)> =
        strict.flat_map(|known| stream::spans(known).map(|span| key(known, span))).collect();
    let places: HashSet<Option<Span>> = found.occurrences.iter().map(|known| known.span).collect();
    let is_new = |occurrence: &Occurrence| {
        let mut spans = stream::spans(occurrence).map(|span| key(occurrence, span));
        let is_image = !matches!(occurrence.subject, Subject::NotAnImage { .. });
        spans.all(|span| !known.contains(&span)) && (is_image || !places.contains(&occurrence.span))
    };
    let more: Vec<_> = second.occurrences.into_iter().filter(is_new).collect();
    found.occurrences.extend(more);
    found.occurrences.sort_by_key(|occurrence| occurrence.place);
    let unread = second.unread.into_iter();
    let unread: Vec<_> = unread.filter(|unread| found.unread.iter().all(|known| known.place != unread.place)).collect();
    found.unread.extend(unread);
    found.unread.sort_by_key(|unread| unread.place);
    let pointers = second.pointers.into_iter().filter(|pointer| !found.pointers.contains(pointer));
    let pointers: Vec<_> = pointers.collect();
    found.pointers.extend(pointers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_found() {
        for format in formats() {
            let found = by_id(format.id()).expect("its own id");
            assert!(std::ptr::addr_eq(found, *format));
        }
        assert!(by_id("no such format").is_none());
        assert_eq!(claiming("k8s/app.yaml").iter().map(|format| format.id()).collect::<Vec<_>>(), ["kubernetes"]);
        assert!(claiming("README.md").is_empty());
    }

    #[test]
    fn what_another_reading_sees_elsewhere_is_kept() {
        let text = "apiVersion: v1\nkind: Pod\nservices: {a: {image: &i a/b:1}}\nspec: {containers: [{image: *i}]}\n";
        let found = read(&claiming("compose.yaml"), &Input::alone("compose.yaml", text.as_bytes()));
        let mut paths: Vec<&str> = found.occurrences.iter().map(|occurrence| occurrence.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["services.a.image", "spec.containers[0].image"]);
    }
}
