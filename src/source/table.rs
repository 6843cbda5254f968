//! The formats there are, and which one a file is.

use crate::source::Format;
use crate::source::kubernetes::Kubernetes;

const FORMATS: &[&dyn Format] = &[&Kubernetes];

/// Every format, in the order in which they are asked whether they claim a file.
pub fn formats() -> &'static [&'static dyn Format] {
    FORMATS
}

/// The format of that id, as `--as` names it.
pub fn by_id(id: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.id() == id)
}

/// The first format that claims a path (with `/` between components).
pub fn claiming(path: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.claims(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_found() {
        for format in formats() {
            let found = by_id(format.id()).expect("its own id");
            assert!(std::ptr::addr_eq(found, *format));
        }
        assert!(by_id("no such format").is_none());
        assert_eq!(claiming("k8s/app.yaml").map(Format::id), Some("kubernetes"));
        assert!(claiming("README.md").is_none());
    }
}
