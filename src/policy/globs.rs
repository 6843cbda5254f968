//! Globs over file paths, as `where.paths` and `ignore` write them: `*` stays inside a folder, `**` spans folders.
//! A glob that could never fit is an error, for a policy that reads as set must be set.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::rule::setting::{At, SettingError};
use crate::span::Span;

/// A checked list of globs.
#[derive(Clone, Debug)]
pub struct Globs {
    texts: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Checks a list from the policy; `at` is where the list stands.
    pub(super) fn parse(list: &[At<String>], at: Span) -> Result<Self, SettingError> {
        if list.is_empty() {
            return Err(SettingError::new(at, "the list of globs is empty", "write a glob such as `deploy/**`"));
        }
        let mut builder = GlobSetBuilder::new();
        for glob in list {
            if let Some(reason) = unfit(&glob.value) {
                let message = format!("glob `{}` {reason}", glob.value);
                let help = "write paths relative to this file, with `/`, such as `deploy/**`";
                return Err(SettingError::new(glob.span, message, help));
            }
            let built = GlobBuilder::new(&glob.value).literal_separator(true).backslash_escape(true).build();
            builder.add(built.map_err(|error| {
                let message = format!("glob `{}` can't be read: {}", glob.value, error.kind());
                SettingError::new(glob.span, message, "write a glob such as `deploy/**` or `*.yaml`")
            })?);
        }
        let set = builder.build().map_err(|error| {
            SettingError::new(at, format!("the globs are too large: {error}"), "use fewer and shorter globs")
        })?;
        Ok(Self { texts: list.iter().map(|glob| glob.value.clone()).collect(), set })
    }

    /// Whether a path (relative to the policy's folder, with `/`) fits one of them.
    pub fn fit(&self, path: &str) -> bool {
        self.set.is_match(path)
    }

    /// As they were written.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// Why a glob could never fit a relative path.
fn unfit(glob: &str) -> Option<&'static str> {
    let mut components = glob.split('/');
    if glob.is_empty() {
        Some("is empty")
    } else if glob.starts_with('/') {
        Some("begins at the root of the disk")
    } else if glob.ends_with('/') {
        Some("ends with `/`; add `**` for what is below")
    } else if components.any(|part| matches!(part, "" | "." | "..")) {
        Some("has a component that no path has")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Globs, SettingError> {
        let at = Span::new(0, 0);
        Globs::parse(&texts.iter().map(|text| At { value: (*text).to_owned(), span: at }).collect::<Vec<_>>(), at)
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        let rows = [
            ("deploy/**", "deploy/a/b.yaml", true),
            ("deploy/**", "deploy.yaml", false),
            ("deploy/*", "deploy/a/b.yaml", false),
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "x/a.yaml", false),
            ("**/*.yaml", "a.yaml", true),
            ("**/*.yaml", "x/y/a.yaml", true),
            ("{a,b}/x", "b/x", true),
            ("deploy/**", "Deploy/a", false),
        ];
        for (glob, path, expected) in rows {
            assert_eq!(parse(&[glob]).expect("a glob").fit(path), expected, "{glob} {path}");
        }
    }

    #[test]
    fn what_never_fits_is_refused() {
        for glob in ["", "/a", "a/", "./a", "../a", "a//b", "a/../b", "[", "{a", "**a["] {
            assert!(parse(&[glob]).is_err(), "{glob}");
        }
        assert!(parse(&[]).is_err());
    }
}
