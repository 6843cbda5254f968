//! The seam to where images come from: one trait, served over HTTP, from a layout on disk, or by the router over both
//! with the memory of the run and the disk cache.
//! Whatever comes out of it by digest has been hashed; a header is believed for a tag's digest only.

mod blobs;
pub mod cache;
pub mod certificates;
pub mod content;
pub mod credentials;
pub mod http;
pub mod layout;
pub mod layout_writer;
mod memo;
mod referrers;
pub mod registries_conf;
pub mod router;
pub mod settings;
mod unpack;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::digest::{Algorithm, Digest};
use crate::reference::Repository;

/// A future that a registry hands out.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RegistryError>> + Send + 'a>>;

/// How a tag's digest is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KnownBy {
    /// Bytes were read and hashed.
    Bytes,
    /// The registry's header said so, strictly parsed.
    Header,
}

/// Manifest or index bytes with the digest that they hash to; there is no other way to make one than by hashing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    digest: Digest,
    media_type: String,
    bytes: Bytes,
}

impl Manifest {
    /// Hashes `bytes` by `algorithm`; `media_type` is what they were served as, without parameters.
    pub fn hashed(algorithm: Algorithm, media_type: impl Into<String>, bytes: Bytes) -> Self {
        Self { digest: Digest::hash(algorithm, &bytes), media_type: media_type.into(), bytes }
    }

    /// Digest of the bytes, computed here.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The media type of the answer.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// What a tag, or a digest, names.
#[derive(Clone, Debug)]
pub struct Named {
    /// The digest.
    pub digest: Digest,
    /// How it is known.
    pub known_by: KnownBy,
    /// The content, where it was read to know the digest.
    pub manifest: Option<Manifest>,
}

/// What is asked for in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// A tag.
    Tag(&'a str),
    /// A digest.
    Digest(&'a Digest),
}

/// How much of the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// Only the digest: a HEAD serves.
    Digest,
    /// The manifest too: one GET.
    Content,
}

/// The manifests that say they belong to one manifest.
///
/// None of it was verified: a list is the registry's word, what it says of each entry is whoever pushed it. A claim
/// of a referrer holds only once its manifest was fetched by digest and names the subject itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrers {
    /// Without doubles, in the order in which they were listed; never more than `limits::REFERRERS`.
    pub found: Vec<Referrer>,
    /// Who listed them.
    pub from: ReferrersFrom,
}

impl Referrers {
    /// About how many bytes of memory the list takes.
    pub(crate) fn weight(&self) -> usize {
        let texts = |referrer: &Referrer| {
            let annotations = referrer.annotations.iter().map(|(key, value)| key.len() + value.len() + 64);
            let kind = referrer.artifact_type.as_ref().map_or(0, String::len);
            size_of::<Referrer>() + referrer.media_type.len() + kind + annotations.sum::<usize>()
        };
        self.found.iter().map(texts).sum()
    }
}

/// Who lists the referrers of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferrersFrom {
    /// The referrers API of distribution-spec 1.1.
    Api,
    /// The index under the tag `sha256-…`, where a registry has no such API.
    FallbackTag,
    /// A layout on disk.
    Layout,
}

/// The descriptor of a referrer; a claim, save that its content is served under the digest alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Media type of its manifest.
    pub media_type: String,
    /// Size of its manifest in bytes.
    pub size: u64,
    /// What it is said to be; not every registry says.
    pub artifact_type: Option<String>,
    /// Annotations of the descriptor.
    pub annotations: BTreeMap<String, String>,
}

/// A layer as its manifest describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packed<'a> {
    /// Digest of the bytes as they are stored, mostly compressed.
    pub digest: &'a Digest,
    /// Their number.
    pub size: u64,
    /// Their media type, which says how they are compressed.
    pub media_type: &'a str,
}

impl Packed<'_> {
    /// Whether it is stored as it unpacks, by its media type; what it unpacks to is then as long as what is stored.
    pub fn is_plain(self) -> bool {
        unpack::is_plain(self.media_type)
    }
}

/// What a layer unpacks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// SHA-256 of the tar; what an image's config calls the layer's `diff_id`, found by hashing.
    pub diff_id: Digest,
    /// Bytes of the tar.
    pub size: u64,
}

/// Where manifests and blobs come from. Implementations hash all that they hand out.
pub trait Registry: Send + Sync {
    /// What `target` names in `repository`. `Want::Content` always brings the manifest.
    fn name<'a>(&'a self, repository: &'a Repository, target: Target<'a>, want: Want) -> Answer<'a, Named>;

    /// The blob of that digest, at most `limit` bytes long.
    fn blob<'a>(&'a self, repository: &'a Repository, digest: &'a Digest, limit: usize) -> Answer<'a, Bytes>;

    /// What `layer` unpacks to, by reading it once, whole, without keeping it.
    ///
    /// There is an answer only if the stored bytes have the digest and the size that `layer` says, and are compressed
    /// as its media type says and in no other way.
    fn unpacked<'a>(&'a self, repository: &'a Repository, layer: Packed<'a>) -> Answer<'a, Unpacked>;

    /// The manifests that are listed as referring to `subject`; with `kind`, without those of another artifact type
    /// (one that states none stays, since its manifest may).
    ///
    /// An empty list is an answer: there is none. What can't be known, for whichever reason, is an error.
    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
        kind: Option<&'a str>,
    ) -> Answer<'a, Referrers>;

    /// Says that nothing more will be asked of `repository` in this run, so that nothing need be kept of it.
    fn done_with(&self, _repository: &Repository) {}
}

/// Why a registry gave no answer. Only `NotFound` is an answer about the image; all else leaves it undecided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// 404: the registry says that there is no such manifest or blob.
    #[error("{place} says it has no such image")]
    NotFound {
        /// Who said so: a host, or a layout's path.
        place: String,
    },
    /// 401 after all that could be tried.
    #[error("{host} asks for credentials: {detail}")]
    Unauthorized {
        /// The registry.
        host: String,
        /// What was tried.
        detail: String,
    },
    /// 403.
    #[error("{host} denies access: {detail}")]
    Forbidden {
        /// The registry.
        host: String,
        /// Its message.
        detail: String,
    },
    /// 429, or a wait longer than the run allows.
    #[error("{host} is limiting requests{}{}", retry_text(.retry_after.as_ref()), if *.anonymous { "; these were anonymous" } else { "" })]
    RateLimited {
        /// The registry.
        host: String,
        /// What it asked for.
        retry_after: Option<Duration>,
        /// Whether nothing was stored that one could have logged in with.
        anonymous: bool,
    },
    /// Another status.
    #[error("{host} answered {status}: {detail}")]
    Status {
        /// The registry.
        host: String,
        /// The HTTP status.
        status: u16,
        /// Its message.
        detail: String,
    },
    /// No answer in time.
    #[error("{host} did not answer in {} seconds", .after.as_secs())]
    TimedOut {
        /// The registry.
        host: String,
        /// The deadline.
        after: Duration,
    },
    /// No connection, a reset, bad TLS.
    #[error("{host} can't be reached: {detail}")]
    Unreachable {
        /// The registry.
        host: String,
        /// What failed.
        detail: String,
    },
    /// The bytes do not hash to the digest that was asked for or announced.
    #[error("{place} served bytes that hash to {found} in place of {expected}")]
    WrongBytes {
        /// Who served them.
        place: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// An answer that is none: HTML, a bad header, a schema 1 manifest.
    #[error("{place} gave an answer that can't be used: {detail}")]
    Malformed {
        /// Who gave it.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Longer than the limit.
    #[error("{place} sent more than the limit of {limit} bytes")]
    TooLarge {
        /// Who sent it.
        place: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// More of something than the limit; a shorter list would hide the rest.
    #[error("{place} lists more than the limit of {limit} {what}")]
    TooMany {
        /// Who listed them.
        place: String,
        /// Of what, in the plural.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A rule of ours forbids the request: a foreign realm, plain http, a metadata address, a blocked registry.
    #[error("not asked: {reason}")]
    Refused {
        /// Which rule, in lower case.
        reason: String,
    },
    /// `--offline`, and no layout or cache has it.
    #[error("offline, and {name} is in no layout; the cache answers digests alone, and only those it holds")]
    Offline {
        /// What was asked for.
        name: String,
    },
    /// A file on this machine: a layout, a certificate, a credential helper.
    #[error("{path}: {detail}")]
    Local {
        /// The file or command.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// Why a file of this machine can't be used, in words.
pub(crate) fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        kind => kind.to_string(),
    }
}

fn retry_text(after: Option<&Duration>) -> String {
    after.map_or_else(String::new, |after| format!(" (try again in {} seconds)", after.as_secs()))
}
