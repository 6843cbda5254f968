//! plimsoll: a policy gate for container images.
//!
//! What is checked is what is pinned is what runs.

pub mod digest;
pub mod finding;
pub mod image;
pub mod limits;
pub mod pattern;
pub mod policy;
pub mod reference;
pub mod registry;
pub mod rule;
pub mod source;
pub mod span;
pub mod yaml;
