//! plimsoll: a policy gate for container images.
//!
//! What is checked is what is pinned is what runs. The story, floor by floor (see ARCHITECTURE.md):
//!
//! 1. A [`source::Format`] finds every image reference in a file's bytes, each with its exact span.
//! 2. [`resolve`] asks a [`registry::Registry`] what each distinct reference names, once a run.
//! 3. [`image`] reads what the policy's rules need, from bytes that were hashed.
//!    [`bases`] finds out which image each of them is built on, and how sure that is.
//! 4. [`gate::run`] judges each reference by a [`policy::Policy`] and gives an [`outcome::Outcome`].
//! 5. [`edit`] proves the edits of what was allowed; [`report`] says what was found and why.
//!
//! [`vendor`] copies what such a run asked for, so that it can be repeated without a network.

pub mod bases;
pub mod digest;
pub mod edit;
pub mod finding;
pub mod gate;
pub mod image;
pub mod init;
pub mod inspect;
pub mod judge;
pub mod limits;
pub mod outcome;
pub mod outline;
pub mod pattern;
pub mod policy;
pub mod reference;
pub mod registry;
pub mod report;
pub mod resolve;
pub mod rule;
pub mod source;
pub mod span;
pub mod vendor;
pub mod yaml;
