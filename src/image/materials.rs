//! The images that a build's provenance names as its materials (SLSA v0.2 and v1, in-toto statements).
//! It reads what is written and verifies nothing: who trusts it must have verified the statement first.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::digest::Digest;
use crate::image::base_claim::{self, BaseClaim, Place};

/// Images that builders run and never build on: frontends and scanners.
const TOOLS: [&str; 3] =
    ["docker.io/docker/dockerfile", "docker.io/docker/dockerfile-upstream", "docker.io/docker/buildkit-syft-scanner"];
/// The annotation of a statement's descriptor.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The types of build that BuildKit gives, in SLSA v0.2 and v1.
const BUILDKIT: [&str; 2] = [
    "https://mobyproject.org/buildkit@v1",
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
];
/// What a predicate of provenance calls itself.
const PROVENANCE: &str = "https://slsa.dev/provenance/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
    #[serde(default)]
    subject: Vec<Subject>,
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: Sha256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    #[serde(default)]
    build_type: String,
    #[serde(default)]
    materials: Vec<Material>,
    #[serde(default)]
    build_definition: BuildDefinition,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    #[serde(default)]
    build_type: String,
    #[serde(default)]
    resolved_dependencies: Vec<Material>,
}

#[derive(Deserialize)]
struct Material {
    #[serde(default)]
    uri: String,
    #[serde(default)]
    digest: Sha256,
}

#[derive(Default, Deserialize)]
struct Sha256 {
    sha256: Option<String>,
}

/// The descriptors of provenance in an attestation manifest of BuildKit: digest and size, by the manifest's word.
pub fn statements(manifest: &[u8]) -> Vec<(Digest, u64)> {
    #[derive(Deserialize)]
    struct Attestation {
        layers: Vec<Layer>,
    }
    #[derive(Deserialize)]
    struct Layer {
        digest: String,
        size: u64,
        #[serde(default)]
        annotations: BTreeMap<String, String>,
    }
    let layers = serde_json::from_slice::<Attestation>(manifest).map(|found| found.layers).unwrap_or_default();
    let provenance = layers.into_iter().filter(|layer| {
        layer.annotations.get(PREDICATE_TYPE).is_some_and(|predicate| predicate.starts_with(PROVENANCE))
    });
    provenance.filter_map(|layer| Some((Digest::parse(&layer.digest).ok()?, layer.size))).collect()
}

/// The images that a statement names as materials of `subject`; `None` where it is no provenance of it.
///
/// One by BuildKit that names none claims that there is no base: it names every image that a build read.
pub fn images(statement: &[u8], subject: &Digest) -> Option<Vec<BaseClaim>> {
    let statement: Statement = serde_json::from_slice(statement).ok()?;
    let about = |found: &Subject| found.digest.sha256.as_deref() == Some(subject.hex());
    if !statement.predicate_type.starts_with(PROVENANCE) || !statement.subject.iter().any(about) {
        return None;
    }
    let Predicate { build_type, materials, build_definition } = statement.predicate;
    let complete = [build_type, build_definition.build_type].iter().any(|kind| BUILDKIT.contains(&kind.as_str()));
    let all = materials.into_iter().chain(build_definition.resolved_dependencies);
    let named: Vec<(String, Option<String>)> = all.filter_map(image).collect();
    let scratch = || BaseClaim::new(Place::Provenance, Some("scratch"), None).into_iter().collect();
    Some(if named.is_empty() && complete { scratch() } else { base_claim::several(Place::Provenance, named) })
}

/// `pkg:docker/debian@12-slim?platform=linux%2Famd64`, or `docker-image://docker.io/library/debian:12@sha256:…`, as a
/// name and a digest; `None` for a material that is no image to build on.
fn image(material: Material) -> Option<(String, Option<String>)> {
    let digest = material.digest.sha256.map(|hex| format!("sha256:{hex}"));
    let (name, tag, inside) = match (material.uri.strip_prefix("pkg:docker/"), &material.uri) {
        (Some(purl), _) => {
            let (path, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
            let inside = qualifiers.split('&').find_map(|part| Some(decoded(part.strip_prefix("digest=")?)));
            let (name, version) = path.rsplit_once('@').map_or((path, None), |(name, version)| (name, Some(version)));
            (decoded(name), version.map(decoded), inside)
        }
        (None, uri) => (uri.strip_prefix("docker-image://")?.to_owned(), None, None),
    };
    let name = match tag {
        // A purl without a tag has the digest as its version.
        Some(version) if version.starts_with("sha256:") => format!("{name}@{version}"),
        Some(version) => format!("{name}:{version}"),
        None => name,
    };
    let meant = BaseClaim::new(Place::Provenance, Some(&name), None)?.reference;
    let tool = meant.is_some_and(|meant| TOOLS.contains(&meant.repository().to_string().as_str()));
    (!tool).then_some((name, digest.or(inside)))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(version: &str, predicate: &str, subject: &Digest) -> String {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://slsa.dev/provenance/{version}","subject":[{{"name":"x","digest":{{"sha256":"{}"}}}}],"predicate":{predicate}}}"#,
            subject.hex()
        )
    }

    fn material(uri: &str) -> String {
        format!(r#"{{"uri":"{uri}","digest":{{"sha256":"{}"}}}}"#, "a".repeat(64))
    }

    fn names(text: &str, subject: &Digest) -> Option<Vec<(String, bool, bool)>> {
        let shown = |claim: BaseClaim| {
            (claim.reference.map(|r| r.to_string()).unwrap_or_default(), claim.digest.is_some(), claim.alone)
        };
        Some(images(text.as_bytes(), subject)?.into_iter().map(shown).collect())
    }

    #[test]
    fn materials_of_both_versions_are_read() {
        let subject = Digest::sha256(b"x");
        let debian = material("pkg:docker/debian@12-slim?platform=linux%2Famd64");
        let go = material("pkg:docker/ghcr.io/acme/go@1.24?digest=sha256:00&platform=linux%2Famd64");
        let tool = material("pkg:docker/docker/dockerfile@1");
        let git = material("https://git.test/x.git#refs/heads/main");
        let one = vec![("docker.io/library/debian:12-slim".to_owned(), true, true)];
        let old = format!(r#"{{"materials":[{tool},{debian},{git}]}}"#);
        assert_eq!(names(&statement("v0.2", &old, &subject), &subject), Some(one));
        let new = format!(r#"{{"buildDefinition":{{"resolvedDependencies":[{debian},{go}]}}}}"#);
        let two = vec![
            ("docker.io/library/debian:12-slim".to_owned(), true, false),
            ("ghcr.io/acme/go:1.24".to_owned(), true, false),
        ];
        assert_eq!(names(&statement("v1", &new, &subject), &subject), Some(two));
        let image = material("docker-image://docker.io/library/alpine:3.20");
        let pinned = format!(r#"{{"uri":"pkg:docker/alpine@sha256%3A{}"}}"#, "b".repeat(64));
        let alpine = |tag: &str| format!("docker.io/library/alpine{tag}");
        for (material, tag) in [(image, ":3.20"), (pinned, ":latest")] {
            let text = statement("v1", &format!(r#"{{"materials":[{material}]}}"#), &subject);
            assert_eq!(names(&text, &subject), Some(vec![(alpine(tag), true, true)]), "{material}");
        }
    }

    #[test]
    fn provenance_of_something_else_is_none() {
        let subject = Digest::sha256(b"x");
        let nothing = statement("v1", "{}", &subject);
        assert_eq!(names(&nothing, &subject), Some(Vec::new()));
        let kit = statement("v0.2", r#"{"buildType":"https://mobyproject.org/buildkit@v1"}"#, &subject);
        assert!(images(kit.as_bytes(), &subject).expect("provenance")[0].is_scratch());
        assert_eq!(images(nothing.as_bytes(), &Digest::sha256(b"y")), None);
        let sbom = nothing.replace("slsa.dev/provenance/v1", "spdx.dev/Document");
        assert_eq!(images(sbom.as_bytes(), &subject), None);
        for broken in ["", "[]", "{}", &nothing.replace("\"predicate\":{}", "\"predicate\":7")] {
            assert_eq!(images(broken.as_bytes(), &subject), None, "{broken}");
        }
    }
}
