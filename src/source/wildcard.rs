//! Wildcards in paths that files name: `*` stays inside a component, `**` spans them, everything else is itself.
//! Formats differ in what more they know; a format that knows less asks for nothing that this would widen wrongly.

/// A path with wildcards, from a root that whoever asks knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wildcard {
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    Byte(u8),
    /// `*`
    Inside,
    /// `**`
    Across,
    /// `**/` at the start of a component: no folder at all, or any.
    Folders,
}

impl Wildcard {
    /// `folder` as it is, then `pattern` relative to it; `None` where `..` leads out of the root or stands behind a wildcard.
    pub fn new(folder: &[u8], pattern: &str) -> Option<Self> {
        let mut parts: Vec<Vec<Step>> = folder
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
            .map(|part| part.iter().map(|byte| Step::Byte(*byte)).collect())
            .collect();
        for part in pattern.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    let left = parts.pop()?;
                    if left.iter().any(|step| !matches!(step, Step::Byte(_))) {
                        return None;
                    }
                }
                part => parts.push(steps(part.as_bytes())),
            }
        }
        let mut steps = Vec::new();
        let count = parts.len();
        for (at, part) in parts.into_iter().enumerate() {
            let last = at + 1 == count;
            if part == [Step::Across] && !last {
                steps.push(Step::Folders);
                continue;
            }
            steps.extend(part);
            steps.extend((!last).then_some(Step::Byte(b'/')));
        }
        Some(Self { steps })
    }

    /// Whether a path, `/` between components, fits; in time that grows with both lengths and no faster.
    pub fn fits(&self, path: &[u8]) -> bool {
        let fixed = |step: &Step| match step {
            Step::Byte(byte) => Some(*byte),
            _ => None,
        };
        let differs = |(step, byte): (u8, &u8)| step != *byte;
        if self.steps.iter().map_while(fixed).zip(path).any(differs)
            || self.steps.iter().rev().map_while(fixed).zip(path.iter().rev()).any(differs)
        {
            return false;
        }
        let mut at = vec![false; self.steps.len() + 1];
        let mut next = at.clone();
        at[0] = true;
        self.pass(&mut at, true);
        for byte in path {
            next.fill(false);
            for (step, _) in at.iter().enumerate().filter(|(_, here)| **here) {
                match self.steps.get(step) {
                    Some(Step::Byte(wanted)) if wanted == byte => next[step + 1] = true,
                    Some(Step::Inside) if *byte != b'/' => next[step] = true,
                    Some(Step::Across | Step::Folders) => next[step] = true,
                    _ => {}
                }
            }
            self.pass(&mut next, *byte == b'/');
            std::mem::swap(&mut at, &mut next);
        }
        at[self.steps.len()]
    }

    /// Steps over the wildcards that may stand for nothing: `**/` only where a component starts.
    fn pass(&self, at: &mut [bool], starts: bool) {
        for (index, step) in self.steps.iter().enumerate() {
            let nothing = match step {
                Step::Byte(_) => false,
                Step::Inside | Step::Across => true,
                Step::Folders => starts,
            };
            if at[index] && nothing {
                at[index + 1] = true;
            }
        }
    }
}

fn steps(part: &[u8]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(part.len());
    let mut at = 0;
    while at < part.len() {
        let stars = part[at..].iter().take_while(|byte| **byte == b'*').count();
        steps.push(match stars {
            0 => Step::Byte(part[at]),
            1 => Step::Inside,
            _ => Step::Across,
        });
        at += stars.max(1);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_fit_what_they_say() {
        let rows = [
            ("", "ci/*.yml", "ci/a.yml", true),
            ("", "ci/*.yml", "ci/.yml", true),
            ("", "ci/*.yml", "ci/x/a.yml", false),
            ("", "ci/**.yml", "ci/x/a.yml", true),
            ("", "ci/**/*.yml", "ci/a.yml", true),
            ("", "ci/**/*.yml", "ci/x/y/a.yml", true),
            ("", "ci/**/a.yml", "ci/xa.yml", false),
            ("", "ci/**/a.yml", "ci/x/a.yml", true),
            ("", "**/a.yml", "a.yml", true),
            ("", "**/**/a.yml", "b/a.yml", true),
            ("", "ci/**", "ci/x/y", true),
            ("", "ci/**", "cix", false),
            ("", "ci/*/*", "ci/a", false),
            ("", "./ci//*.yml", "ci/a.yml", true),
            ("a*b", "*.yml", "a*b/x.yml", true),
            ("a*b", "*.yml", "aXb/x.yml", false),
            ("a/b", "../*.yml", "a/x.yml", true),
            ("", "[a]?.{x}", "[a]?.{x}", true),
            ("", "[a].yml", "a.yml", false),
            ("", "*", "", true),
            ("", "a*a*a*b", "aaaaaaaa", false),
        ];
        for (folder, pattern, path, expected) in rows {
            let wildcard = Wildcard::new(folder.as_bytes(), pattern).expect("inside");
            assert_eq!(wildcard.fits(path.as_bytes()), expected, "{folder} {pattern} {path}");
        }
        for (folder, pattern) in [("", "../*.yml"), ("a", "../../*"), ("", "*/../b")] {
            assert_eq!(Wildcard::new(folder.as_bytes(), pattern), None, "{folder} {pattern}");
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        let wildcard = Wildcard::new(b"", &"*a**".repeat(200)).expect("inside");
        assert!(!wildcard.fits("a".repeat(150).as_bytes()));
    }
}
