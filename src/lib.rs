//! plimsoll: a policy gate for container images.
//!
//! What is checked is what is pinned is what runs.

pub mod digest;
pub mod finding;
pub mod limits;
pub mod reference;
pub mod registry;
pub mod source;
pub mod span;
pub mod yaml;
