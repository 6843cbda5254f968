//! A rule as a value: what it needs to know, and what it says of one case.
//! A rule reaches no network, clock or environment; all that it may know is in the [`Case`].

pub mod base_image;
pub mod built_in;
pub mod example;
pub mod image_age;
pub mod image_config;
pub mod image_size;
pub mod kind;
pub mod mutable_tag;
pub mod pinned_digest;
pub mod platform_choice;
pub mod platforms;
pub mod port;
pub mod run_as_user;
pub mod setting;
pub mod table;
pub mod tag_digest_match;
pub mod trusted_registry;
pub mod wording;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::image::base::Bases;
use crate::image::{Image, ImageError, Platform};
use crate::pattern::Patterns;
use crate::reference::Reference;
use crate::registry::RegistryError;
use crate::source::RunAs;

pub use crate::resolve::Needs;

/// What one rule sees of one reference. A fact is `None` unless the rule's [`Needs`] asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The reference, as it stands (in `pin`: as it will stand after the edit).
    pub reference: &'a Reference,
    /// The digest that is judged.
    pub digest: Option<&'a Digest>,
    /// What the tag names now; an error where the registry did not say.
    pub tag: Option<Result<&'a Digest, &'a RegistryError>>,
    /// For a pinned reference whose tag names another digest: the children of the index that the tag names
    /// (empty where it names no index). A pin to one of them has not moved.
    pub tag_children: Option<Result<&'a [Digest], &'a ImageError>>,
    /// The image's content.
    pub image: Option<Result<&'a Image, &'a ImageError>>,
    /// What each platform is built on, by the digests of their manifests.
    pub bases: Option<&'a [Bases]>,
    /// In `pin --update`, where a reference moves: what was pinned before, with the configs.
    pub previous: Option<Result<&'a Image, &'a ImageError>>,
    /// As whom the workload runs the image, where its file says so.
    pub run_as: Option<&'a RunAs>,
    /// The run's clock, which ages are counted to.
    pub now: Timestamp,
    /// The platforms that the user named; empty means every platform of the image.
    pub platforms: &'a [Platform],
}

/// One thing that is wrong, or that could not be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was looked for and what was found; lower case, one sentence.
    pub message: String,
    /// What to do next.
    pub help: String,
}

impl Problem {
    /// A problem with its way out.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Satisfied,
    /// It is broken.
    Violated(Problem),
    /// It could not be decided.
    Undecided(Problem),
}

/// Which images a rule wants to have compared with those that it judges.
#[derive(Clone, Debug, Default)]
pub struct BaseSearch {
    /// The bases that may be asked for; `None` leaves it to where the image comes from.
    pub allow: Option<Patterns>,
    /// Those that are compared with every image.
    pub candidates: Vec<Reference>,
    /// Whether all claims are wanted, also those of provenance where a base is proved without it.
    pub thorough: bool,
}

/// A rule with its settings.
pub trait Rule: Send + Sync + std::fmt::Debug {
    /// The key in the policy, the file's name, the anchor in the docs.
    fn id(&self) -> &'static str;

    /// What it needs to know.
    fn needs(&self) -> Needs;

    /// Where it looks for bases, where it needs them.
    fn search(&self) -> Option<&BaseSearch> {
        None
    }

    /// What it says of `case`.
    fn check(&self, case: &Case<'_>) -> Judgement;
}
