//! A registry in memory for tests of the gate itself: it counts what it is asked and tells what it is told to tell.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, missing_docs, reason = "a test program has no outside")]
#![allow(clippy::must_use_candidate, reason = "a test's support")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use plimsoll::digest::Digest;
use plimsoll::reference::Repository;
use plimsoll::registry::{
    Answer, KnownBy, Manifest, Named, Packed, Referrers, ReferrersFrom, Registry, RegistryError, Target, Unpacked, Want,
};
use serde_json::json;

pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a tag names.
#[derive(Clone, Debug)]
pub enum Says {
    /// These digests, one after the other at each request; the last one from then on.
    Names(Vec<Digest>),
    /// 404.
    NotFound,
    /// 403.
    Forbidden,
}

/// The registry; it answers for every repository from the same content.
#[derive(Debug, Default)]
pub struct Memory {
    /// By `HOST/PATH:TAG`.
    tags: BTreeMap<String, Says>,
    content: BTreeMap<Digest, (&'static str, Bytes)>,
    /// Digests that are answered with 403.
    forbidden: Vec<Digest>,
    log: Mutex<Vec<String>>,
}

impl Memory {
    pub fn tag(&mut self, name: &str, digest: &Digest) {
        self.says(name, Says::Names(vec![digest.clone()]));
    }

    pub fn says(&mut self, name: &str, says: Says) {
        self.tags.insert(name.to_owned(), says);
    }

    pub fn forbid(&mut self, digest: &Digest) {
        self.forbidden.push(digest.clone());
    }

    pub fn put(&mut self, media_type: &'static str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.content.insert(digest.clone(), (media_type, bytes));
        digest
    }

    /// An image of one layer that claims `size` bytes; `architecture` is in its config.
    pub fn image(&mut self, architecture: &str, size: u64) -> Digest {
        let config = json!({"os": "linux", "architecture": architecture}).to_string();
        let config_size = config.len();
        let config = self.put("config", config);
        let layer = Digest::sha256(format!("{architecture} {size}").as_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": IMAGE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": size}]});
        self.put(IMAGE, manifest.to_string())
    }

    /// An index of these images, by architecture.
    pub fn index(&mut self, children: &[(&str, &Digest)]) -> Digest {
        let row = |(architecture, digest): &(&str, &Digest)| {
            json!({"mediaType": IMAGE, "digest": digest, "size": self.content[*digest].1.len(),
                "platform": {"os": "linux", "architecture": architecture}})
        };
        let rows: Vec<_> = children.iter().map(row).collect();
        self.put(INDEX, json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}).to_string())
    }

    /// Everything it was asked, in order: `HOST/PATH:TAG`, `HOST/PATH@DIGEST`, `blob DIGEST`.
    pub fn asked(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a line to the log and tells how often it stood there before.
    fn note(&self, line: String) -> usize {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let before = log.iter().filter(|other| **other == line).count();
        log.push(line);
        before
    }

    fn digest(&self, repository: &Repository, target: Target<'_>) -> Result<Digest, RegistryError> {
        let not_found = || RegistryError::NotFound { place: "memory".to_owned() };
        let forbidden = || RegistryError::Forbidden { host: "memory".to_owned(), detail: "no".to_owned() };
        match target {
            Target::Tag(tag) => {
                let name = format!("{repository}:{tag}");
                let before = self.note(name.clone());
                match self.tags.get(&name) {
                    Some(Says::Names(digests)) => Ok(digests[before.min(digests.len() - 1)].clone()),
                    Some(Says::Forbidden) => Err(forbidden()),
                    Some(Says::NotFound) | None => Err(not_found()),
                }
            }
            Target::Digest(digest) => {
                self.note(format!("{repository}@{digest}"));
                match self.content.contains_key(digest) {
                    _ if self.forbidden.contains(digest) => Err(forbidden()),
                    true => Ok(digest.clone()),
                    false => Err(not_found()),
                }
            }
        }
    }
}

impl Registry for Memory {
    fn name<'a>(&'a self, repository: &'a Repository, target: Target<'a>, want: Want) -> Answer<'a, Named> {
        Box::pin(async move {
            let digest = self.digest(repository, target)?;
            if want == Want::Digest {
                return Ok(Named { digest, known_by: KnownBy::Header, manifest: None });
            }
            let (media_type, bytes) = &self.content[&digest];
            let manifest = Manifest::hashed(digest.algorithm(), *media_type, bytes.clone());
            Ok(Named { digest, known_by: KnownBy::Bytes, manifest: Some(manifest) })
        })
    }

    fn blob<'a>(&'a self, _: &'a Repository, digest: &'a Digest, _: usize) -> Answer<'a, Bytes> {
        Box::pin(async move {
            self.note(format!("blob {digest}"));
            let found = self.content.get(digest).map(|(_, bytes)| bytes.clone());
            found.ok_or_else(|| RegistryError::NotFound { place: "memory".to_owned() })
        })
    }

    fn unpacked<'a>(&'a self, _: &'a Repository, layer: Packed<'a>) -> Answer<'a, Unpacked> {
        Box::pin(async move {
            self.note(format!("unpacked {}", layer.digest));
            Err(RegistryError::NotFound { place: "memory".to_owned() })
        })
    }

    fn referrers<'a>(&'a self, _: &'a Repository, subject: &'a Digest, _: Option<&'a str>) -> Answer<'a, Referrers> {
        Box::pin(async move {
            self.note(format!("referrers {subject}"));
            Ok(Referrers { found: Vec::new(), from: ReferrersFrom::Api })
        })
    }
}
