//! What the targets share: the properties that the tests hold formats to, and which format a run is for.

#[path = "../../tests/support/properties.rs"]
pub mod properties;

use std::sync::OnceLock;

use plimsoll::source::{Format, table};

use properties::Sample;

/// The format that PLIMSOLL_FORMAT names; without it the first byte of the input chooses one.
pub fn format_and_sample(data: &[u8]) -> Option<(&'static dyn Format, Sample<'_>)> {
    static NAMED: OnceLock<Option<&'static dyn Format>> = OnceLock::new();
    let named = NAMED.get_or_init(|| {
        let id = std::env::var("PLIMSOLL_FORMAT").ok()?;
        Some(table::by_id(&id).unwrap_or_else(|| panic!("there is no format {id}")))
    });
    if let Some(format) = named {
        return Some((*format, Sample::parse(data)));
    }
    let (first, data) = data.split_first()?;
    let formats = table::formats();
    Some((formats[usize::from(*first) % formats.len()], Sample::parse(data)))
}
