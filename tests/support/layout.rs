//! Writes small OCI image layouts for tests: images, indexes, and whatever a liar would put there.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::digest::Digest;
use serde_json::{Value, json};

/// A layout under construction.
pub struct Layout {
    folder: PathBuf,
    descriptors: Vec<Value>,
}

/// A manifest that has been written: its descriptor without a name.
#[derive(Clone)]
pub struct Written {
    pub descriptor: Value,
}

impl Written {
    pub fn digest(&self) -> String {
        self.descriptor["digest"].as_str().expect("a digest").to_owned()
    }
}

pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Layout {
    /// An empty layout at `folder`.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder");
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
        Self { folder: folder.to_owned(), descriptors: Vec::new() }
    }

    /// Writes bytes as a blob.
    pub fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        fs::write(self.folder.join("blobs/sha256").join(digest.hex()), bytes).expect("written");
        digest
    }

    /// Writes a manifest or index of any content.
    pub fn manifest(&self, media_type: &str, body: &Value) -> Written {
        let bytes = body.to_string().into_bytes();
        let digest = self.blob(&bytes);
        Written { descriptor: json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()}) }
    }

    /// Writes an image of one platform whose layers claim `size` bytes; `mark` makes it differ from others.
    pub fn image(&self, platform: (&str, &str), size: u64, mark: &str) -> Written {
        let config = json!({"os": platform.0, "architecture": platform.1, "mark": mark,
            "rootfs": {"type": "layers", "diff_ids": []}});
        let config_bytes = config.to_string().into_bytes();
        let config_digest = self.blob(&config_bytes);
        let layer = Digest::sha256(format!("{mark}{size}").as_bytes());
        self.manifest(IMAGE, &json!({"schemaVersion": 2, "mediaType": IMAGE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest.to_string(), "size": config_bytes.len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer.to_string(), "size": size}]}))
    }

    /// Writes an index of `children`, each with its platform.
    pub fn index(&self, children: &[(&Written, (&str, &str))]) -> Written {
        let manifests: Vec<Value> = children
            .iter()
            .map(|(child, (os, architecture))| {
                let mut descriptor = child.descriptor.clone();
                descriptor["platform"] = json!({"os": os, "architecture": architecture});
                descriptor
            })
            .collect();
        self.manifest(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
    }

    /// Gives a manifest a whole name: `docker.io/library/nginx:1`.
    pub fn name(&mut self, name: &str, written: &Written) {
        let mut descriptor = written.descriptor.clone();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.descriptors.push(descriptor);
    }

    /// Lists a manifest in `index.json` without a name.
    pub fn nameless(&mut self, written: &Written) {
        self.descriptors.push(written.descriptor.clone());
    }

    /// Writes and names a small image for linux/amd64.
    pub fn add(&mut self, name: &str) -> Written {
        let written = self.image(("linux", "amd64"), 1_000, name);
        self.name(name, &written);
        written
    }

    /// Writes `index.json`.
    pub fn finish(&self) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.descriptors});
        fs::write(self.folder.join("index.json"), index.to_string()).expect("written");
    }
}
