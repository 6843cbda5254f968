//! Images made of layers that are there, for tests of bases: pushed to a registry in the same process.
//! Include it beside `support/registry.rs`.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, missing_docs, reason = "a test program has no outside")]

use plimsoll::digest::Digest;
use serde_json::{Value, json};

use super::registry::{OCI_IMAGE, OCI_INDEX, Server};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// One layer as it is stored, and what its image says that it unpacks to.
#[derive(Clone)]
pub struct Layer {
    pub stored: Vec<u8>,
    pub media_type: &'static str,
    pub diff_id: Digest,
    /// As the manifest has it.
    pub size: usize,
}

/// A layer that is stored as it is.
pub fn layer(content: &str) -> Layer {
    let stored = content.as_bytes().to_vec();
    Layer { diff_id: Digest::sha256(&stored), size: stored.len(), media_type: TAR, stored }
}

/// The same layer, packed otherwise.
pub fn packed(content: &str) -> Layer {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content.as_bytes()).expect("packed");
    let stored = encoder.finish().expect("packed");
    Layer { size: stored.len(), media_type: GZIP, stored, ..layer(content) }
}

/// An image to be pushed.
pub struct Stack {
    pub layers: Vec<Layer>,
    pub architecture: &'static str,
    pub created: &'static str,
    pub annotations: Value,
    pub labels: Value,
}

/// An image of these layers for linux/amd64 that says nothing of itself.
pub fn stack(layers: &[Layer]) -> Stack {
    Stack {
        layers: layers.to_vec(),
        architecture: "amd64",
        created: "2026-11-10T00:00:00Z",
        annotations: json!({}),
        labels: json!({}),
    }
}

impl Stack {
    /// With the annotations that name a base.
    pub fn claiming(mut self, name: &str, digest: Option<&str>) -> Self {
        self.annotations = base_annotations(name, digest);
        self
    }

    pub fn of(mut self, architecture: &'static str) -> Self {
        self.architecture = architecture;
        self
    }

    /// Pushes it with its layers under its digest, and gives its descriptor.
    pub fn push(&self, server: &Server, repository: &str) -> Value {
        let diff_ids: Vec<&str> = self.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = json!({"os": "linux", "architecture": self.architecture, "created": self.created,
            "config": {"Labels": self.labels}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        self.push_with(server, repository, &config.to_string())
    }

    /// The same with the bytes of a config.
    pub fn push_with(&self, server: &Server, repository: &str, config: &str) -> Value {
        let size = config.len();
        let config = server.push_blob(repository, config);
        let row = |layer: &Layer| {
            let digest = server.push_blob(repository, layer.stored.clone());
            json!({"mediaType": layer.media_type, "digest": digest, "size": layer.size})
        };
        let layers: Vec<Value> = self.layers.iter().map(row).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE, "annotations": self.annotations,
            "config": {"mediaType": CONFIG, "digest": config, "size": size}, "layers": layers});
        described(server, repository, OCI_IMAGE, &manifest)
    }

    /// Pushes it under a tag, and gives its digest.
    pub fn tag(&self, server: &Server, repository: &str, tag: &str) -> String {
        let descriptor = self.push(server, repository);
        name(server, repository, tag, &descriptor)
    }
}

/// The annotations that name a base.
pub fn base_annotations(name: &str, digest: Option<&str>) -> Value {
    let mut annotations = json!({"org.opencontainers.image.base.name": name});
    if let Some(digest) = digest {
        annotations["org.opencontainers.image.base.digest"] = digest.into();
    }
    annotations
}

/// Lets a tag name what was pushed, and gives its digest.
pub fn name(server: &Server, repository: &str, tag: &str, descriptor: &Value) -> String {
    let digest = descriptor["digest"].as_str().expect("a digest").to_owned();
    let bytes = server.content(&format!("/v2/{repository}/manifests/{digest}")).expect("pushed before");
    server.push(repository, tag, bytes, descriptor["mediaType"].as_str().expect("a media type"));
    digest
}

/// Pushes a manifest or an index, and gives its descriptor.
pub fn described(server: &Server, repository: &str, media_type: &str, body: &Value) -> Value {
    let text = body.to_string();
    let size = text.len();
    let digest = server.push_digest(repository, text, media_type);
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

/// Pushes an index of these children, each with its architecture, and gives its descriptor.
pub fn index(server: &Server, repository: &str, children: &[(Value, &str)], annotations: &Value) -> Value {
    let rows = children.iter().map(|(child, architecture)| {
        let mut row = child.clone();
        row["platform"] = json!({"os": "linux", "architecture": architecture});
        row
    });
    let rows: Vec<Value> = rows.collect();
    indexed(server, repository, &rows, annotations)
}

/// Pushes an index of these rows as they are.
pub fn indexed(server: &Server, repository: &str, rows: &[Value], annotations: &Value) -> Value {
    let body = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows, "annotations": annotations});
    described(server, repository, OCI_INDEX, &body)
}

/// The row of an attestation about `image` whose one layer is `statement`, of provenance by its annotation.
pub fn attestation(server: &Server, repository: &str, image: &Value, statement: &str) -> Value {
    let digest = server.push_blob(repository, statement);
    let config = server.push_blob(repository, "{}");
    let layer = json!({"mediaType": "application/vnd.in-toto+json", "digest": digest, "size": statement.len(),
        "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}});
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE,
        "config": {"mediaType": CONFIG, "digest": config, "size": 2}, "layers": [layer]});
    let mut row = described(server, repository, OCI_IMAGE, &manifest);
    row["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    row["annotations"] =
        json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"]});
    row
}

/// Provenance of `image` whose materials are these images.
pub fn provenance(image: &Value, materials: &[String]) -> String {
    let hex = image["digest"].as_str().expect("a digest").trim_start_matches("sha256:");
    let rows: Vec<Value> = materials.iter().map(|name| json!({"uri": format!("docker-image://{name}")})).collect();
    json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": "_", "digest": {"sha256": hex}}],
        "predicate": {"buildDefinition": {"resolvedDependencies": rows}}})
    .to_string()
}
