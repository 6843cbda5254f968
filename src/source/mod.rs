//! What a format finds in a file: occurrences of image references, documents it could not read, and other files that it
//! names. A format sees the file and what lies beside it; it never asks a registry, a clock or the environment.

mod azure_pipelines;
pub mod beside;
mod compose;
mod composed;
mod custom_resource;
mod devcontainer;
mod dockerfile;
mod embedded;
mod filter;
pub mod git;
mod github;
mod gitlab;
mod helm;
mod kubernetes;
mod kustomize;
mod listed;
mod names;
mod page;
mod place;
mod pod;
mod run_as;
mod select;
mod stream;
mod subject;
pub mod table;
mod template;
mod values;
pub mod walk;
pub mod wildcard;

use std::borrow::Cow;

use serde::Serialize;

pub use custom_resource::Kinds;

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

/// A file as a format reads it.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Its path as it is shown, with `/` between components; `-` for a stream.
    pub path: &'a str,
    /// The bytes on disk.
    pub bytes: &'a [u8],
    /// The files around it.
    pub beside: &'a dyn Beside,
    /// Custom resources that the run's configs name.
    pub kinds: &'a Kinds,
}

impl<'a> Input<'a> {
    /// Bytes alone: nothing beside them, no kinds of one's own.
    pub fn alone(path: &'a str, bytes: &'a [u8]) -> Self {
        static NO_KINDS: Kinds = Kinds::none();
        Self { path, bytes, beside: &Alone, kinds: &NO_KINDS }
    }

    /// The same file with other bytes.
    #[must_use]
    pub fn with(self, bytes: &'a [u8]) -> Self {
        Self { bytes, ..self }
    }
}

/// The files around a file, as formats may look at them.
pub trait Beside: Sync {
    /// The bytes of a file by its path relative to the folder of the file that is read, or to the root of the
    /// repository where it begins with `/`; `None` where there is no such regular file inside the repository.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
}

/// Nothing lies beside it: a stream.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Beside for Alone {
    fn read(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
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
    /// The field: `registry`, `repository`, `tag`, `digest`, the name of a variable.
    pub field: Cow<'static, str>,
    /// Where its text stands.
    pub span: Span,
}

/// The one place that `pin` and `unpin` write to, of an image that is composed from several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its bytes; may be empty.
    pub span: Span,
    /// Exactly what stands there.
    pub text: String,
    /// What it is to the image.
    pub holds: Holds,
}

/// What stands in a [`Slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The end of the image's text: a tag, a name, or all of it. A digest goes behind it.
    Tail,
    /// The digest alone, `sha256:…`. `empty` is what is written there for no digest: nothing inside quotes, else `""`.
    Digest {
        /// What stands for nothing.
        empty: &'static str,
    },
    /// The hexadecimal digits of a sha256 digest alone.
    Hex {
        /// What stands for nothing.
        empty: &'static str,
    },
}

/// `# plimsoll: ignore[rule] reason`, on the reference's own line or the line above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// The rule's id.
    pub rule: String,
    /// The reason given; may be empty.
    pub reason: String,
}

/// As whom a workload runs an image, where its file says so: what counts in place of the image's own user.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunAs {
    /// The user, as written: `1000`, `1000:1000`, a name; in words where the file does not settle it.
    pub user: Option<String>,
    /// Whether the runtime is told to refuse root (`runAsNonRoot`).
    pub non_root: Option<bool>,
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
    /// Which of them an edit writes to; only beside `parts`.
    pub slot: Option<Slot>,
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
    /// What the image holds only if it is so, in lower case: "TAG=1.25, its default"; else `None`.
    pub assumes: Option<String>,
    /// `None` where the bytes under `span`, or those of `slot`, may be replaced; else why not, in lower case.
    pub uneditable: Option<String>,
    /// As whom its workload runs it; `None` where the file says nothing of that.
    pub run_as: Option<Box<RunAs>>,
    /// Inline ignores that stand beside it; they count only where the policy lets them.
    pub ignores: Vec<Ignore>,
}

impl Occurrence {
    /// The place that an edit writes to, where there is one and it may be edited.
    pub fn seat(&self) -> Option<Slot> {
        if self.uneditable.is_some() || !matches!(self.subject, Subject::Image(_)) {
            return None;
        }
        let whole = || Some(Slot { span: self.span?, text: self.text.clone(), holds: Holds::Tail });
        self.slot.clone().or_else(whole)
    }
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

/// Another file that a file hands over to a format: a Dockerfile that compose builds, a file that a pipeline includes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// Relative to the folder of the file that names it, or to the root of the repository where it begins with `/`;
    /// `/` between components, `*` and `**` only where `glob` says so.
    pub path: String,
    /// Whether `path` is a glob: `*` stays inside a component, `**` spans them.
    pub glob: bool,
    /// The id of the format that it is read as.
    pub format: &'static str,
    /// Where it is named.
    pub place: Place,
}

/// All that a format found in one file, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The references, and what stands in a reference's place.
    pub occurrences: Vec<Occurrence>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// Other files that it names.
    pub pointers: Vec<Pointer>,
}

/// A kind of file that names images.
pub trait Format: Sync {
    /// Its id: the file's name, the fixture folder, the report's `format`, the value of `--as`.
    fn id(&self) -> &'static str;

    /// Whether it reads files of this name (path with `/` between components), found by walking.
    fn claims(&self, path: &str) -> bool;

    /// Finds every reference. Must not panic, hang or lose a document, whatever the bytes are.
    fn find(&self, input: &Input<'_>) -> Found;
}
