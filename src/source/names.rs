//! Which files have a format by their name. It looks at no content.

/// Whether one of `patterns` fits a path (with `/` between components), at any depth: `*` stays inside a component, `**`
/// spans folders, and `.yml` at the end stands for `.yaml` too.
pub(crate) fn claims(patterns: &[&str], path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let yaml = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    patterns.iter().any(|pattern| {
        let (before, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let named = match last.strip_suffix(".yml") {
            Some(stem) => yaml.is_some_and(|name| fits_name(stem, name)),
            None => fits_name(last, name),
        };
        named && (before.is_empty() || stands_in(before, folders))
    })
}

/// Whether a path of folders ends in folders as the pattern has them.
fn stands_in(pattern: &str, folders: &str) -> bool {
    let pattern: Vec<&str> = std::iter::once("**").chain(pattern.split('/')).collect();
    let folders: Vec<&str> = folders.split('/').filter(|folder| !folder.is_empty()).collect();
    fits(&pattern, &folders)
}

fn fits(pattern: &[&str], folders: &[&str]) -> bool {
    match (pattern.split_first(), folders.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), None) => fits(rest, folders),
        (Some((&"**", rest)), Some((_, inner))) => fits(rest, folders) || fits(pattern, inner),
        (Some((first, rest)), Some((name, inner))) => fits_name(first, name) && fits(rest, inner),
        _ => false,
    }
}

fn fits_name(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().any(|(at, _)| fits_name(after, &rest[at..])) || fits_name(after, "")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, path, fits) in [
            (".a/**/*.yml", ".a/x.yml", true),
            (".a/**/*.yml", ".a/b/c/x.yaml", true),
            (".a/**/*.yml", "b/.a/x.yaml", true),
            (".a/**/*.yml", "a/x.yml", false),
            (".a/**/*.yml", ".a", false),
            (".a/**/*.yml", ".a/x.yml/y", false),
            ("x*.yml", "x.yml", true),
            ("x*.yml", "x-y.yaml", true),
            ("x*.yml", "x.json", false),
            ("*x*y.json", "axbxy.json", true),
            ("*x*y.json", "ay.json", false),
            ("x.yml", "X.yml", false),
        ] {
            assert_eq!(claims(&[pattern], path), fits, "{pattern} {path}");
        }
    }
}
