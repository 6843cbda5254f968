//! What a format finds in a file: occurrences of image references, and documents it could not read.
//! A format sees bytes and nothing else; it never asks a registry, a clock or the environment.

mod custom_resource;
pub mod git;
mod kubernetes;
mod page;
mod pod;
mod subject;
pub mod table;
mod template;
pub mod walk;

use serde::Serialize;

use crate::reference::Reference;
use crate::span::{Place, Span};

/// A file's path, as it is shown, and its exact bytes.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// As it is shown and reported: relative to where the run started, with `/` between components.
    pub path: String,
    /// The bytes on disk, a byte order mark included.
    pub bytes: Vec<u8>,
}

/// What an image is used for; `where.roles` of a policy statement selects by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A workload's container.
    Run,
    /// FROM of a Dockerfile's last stage.
    Base,
    /// Other stages, `COPY --from`, mounts, `# syntax`.
    Build,
    /// A pipeline's container or service.
    Ci,
}

/// What stands at an image's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A reference that the grammar accepts.
    Image(Reference),
    /// An image that can't be known from the file: a template, a variable, a text the grammar refuses. Undecided.
    Unresolvable {
        /// Why, in lower case: "a template; what it becomes is not known from this file".
        reason: String,
    },
    /// No image at all: a pattern, a number, a null. Skipped.
    NotAnImage {
        /// Why, in lower case.
        reason: String,
    },
}

/// One field of an image that is composed from several places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The field: `registry`, `repository`, `tag`, `digest`.
    pub field: &'static str,
    /// Where its text stands.
    pub span: Span,
}

/// `# plimsoll: ignore[rule] reason`, on the reference's own line or the line above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// The rule's id.
    pub rule: String,
    /// The reason given; may be empty.
    pub reason: String,
}

/// One image reference at one place of a document.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// The format that found it.
    pub format: &'static str,
    /// Line and column of the image text itself.
    pub place: Place,
    /// Bytes of the image text itself in the file, without quotes; `None` where it is composed of several places.
    pub span: Option<Span>,
    /// The places it is composed of, where it is.
    pub parts: Option<Vec<Part>>,
    /// Which document of the stream, from 0.
    pub document: usize,
    /// Path in the document: `spec.template.spec.containers[0].image`.
    pub path: String,
    /// What it is used for.
    pub role: Role,
    /// The text as the format reads it (escapes resolved); what a person would call the image.
    pub text: String,
    /// What it is.
    pub subject: Subject,
    /// `None` where the bytes under `span` may be replaced; else why not, in lower case.
    pub uneditable: Option<String>,
    /// Inline ignores that stand beside it; they count only where the policy lets them.
    pub ignores: Vec<Ignore>,
}

/// A document, or a whole file, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Where reading failed.
    pub place: Place,
    /// Why, in lower case.
    pub reason: String,
    /// Whether its bytes could hold a reference: then it is undecided by `unreadable-source`.
    pub could_hold_reference: bool,
}

/// All that a format found in one file, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The references, and what stands in a reference's place.
    pub occurrences: Vec<Occurrence>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

/// A kind of file that names images.
pub trait Format: Sync {
    /// Its id: the file's name, the fixture folder, the report's `format`, the value of `--as`.
    fn id(&self) -> &'static str;

    /// Whether it reads files of this name (path with `/` between components), found by walking.
    fn claims(&self, path: &str) -> bool;

    /// Finds every reference. Must not panic, hang or lose a document, whatever the bytes are.
    fn find(&self, bytes: &[u8]) -> Found;
}
