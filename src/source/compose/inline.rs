//! The images that a Dockerfile written into a Compose file names (`build.dockerfile_inline`). Variables of the Dockerfile
//! are not put in: an image that holds one is not known. Where a line could be read in two ways, it counts.

/// An image in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Where: `syntax`, `stages[0].FROM`, `stages[1].ONBUILD.COPY`.
    pub(super) path: String,
    /// The image as it is written.
    pub(super) text: String,
    /// Its bytes in the text.
    pub(super) at: usize,
    /// Whether it is the FROM of the last stage.
    pub(super) is_base: bool,
}

/// The images that a Dockerfile names; `contexts` are names that stand for something else in it.
pub(super) fn images(text: &str, contexts: &[String]) -> Vec<Named> {
    let mut reader = Reader { text, contexts, stages: Vec::new(), found: Vec::new() };
    let escape = reader.directives();
    let lines: Vec<(usize, &str)> = lines(text);
    let mut at = 0;
    while at < lines.len() {
        let (words, next) = instruction(&lines, at, escape);
        at = next;
        if words.is_empty() {
            continue;
        }
        at += heredocs(&words, &lines[at..]);
        reader.instruction(&words, "");
    }
    let last = reader.stages.len().saturating_sub(1);
    let base = format!("stages[{last}].FROM");
    reader.found.iter_mut().filter(|named| named.path == base).for_each(|named| named.is_base = true);
    reader.found
}

/// The arguments that a Dockerfile declares in front of its first stage, with their defaults as they are written.
pub(super) fn arguments(text: &str) -> Vec<(String, Option<String>)> {
    let mut reader = Reader { text, contexts: &[], stages: Vec::new(), found: Vec::new() };
    let escape = reader.directives();
    let lines: Vec<(usize, &str)> = lines(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let (words, next) = instruction(&lines, at, escape);
        at = next;
        match words.split_first() {
            Some(((_, keyword), _)) if keyword.eq_ignore_ascii_case("from") => break,
            Some(((_, keyword), words)) if keyword.eq_ignore_ascii_case("arg") => {
                found.extend(words.iter().map(|(_, word)| match word.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.trim_matches(['"', '\'']).to_owned())),
                    None => ((*word).to_owned(), None),
                }));
            }
            _ => {}
        }
    }
    found
}

struct Reader<'t> {
    text: &'t str,
    contexts: &'t [String],
    /// The names of the stages so far, in lower case; empty for one without.
    stages: Vec<String>,
    found: Vec<Named>,
}

/// A word of an instruction and where it stands.
type Word<'t> = (usize, &'t str);

impl Reader<'_> {
    /// The directives in front: notes the frontend's image, returns the escape character.
    fn directives(&mut self) -> char {
        let mut escape = '\\';
        for (start, line) in lines(self.text) {
            let trimmed = line.trim_start();
            if start == 0 && line.starts_with("#!") {
                continue;
            }
            let Some(inner) = trimmed.strip_prefix('#').or_else(|| trimmed.strip_prefix("//")) else { break };
            let Some((key, value)) = inner.split_once('=') else { break };
            match key.trim().to_ascii_lowercase().as_str() {
                "syntax" => {
                    // a frontend may be followed by what is passed to it
                    let image = value.trim_start();
                    let image = image.split_whitespace().next().unwrap_or_default();
                    let at = start + (line.len() - value.trim_start().len());
                    self.found.push(Named { path: "syntax".to_owned(), text: image.to_owned(), at, is_base: false });
                }
                "escape" => escape = value.trim().chars().next().unwrap_or('\\'),
                _ => {}
            }
        }
        escape
    }

    fn instruction(&mut self, words: &[Word<'_>], prefix: &str) {
        let Some(((_, keyword), words)) = words.split_first() else { return };
        let keyword = keyword.to_ascii_uppercase();
        let stage = self.stages.len().saturating_sub(1);
        let flags = words.iter().take_while(|(_, word)| word.starts_with("--"));
        match keyword.as_str() {
            "ONBUILD" => self.instruction(words, "ONBUILD."),
            "FROM" => {
                let count = flags.count();
                let Some(&(at, image)) = words.get(count) else { return };
                let stage = if prefix.is_empty() {
                    let name = words
                        .get(count + 2)
                        .filter(|_| words.get(count + 1).is_some_and(|(_, word)| word.eq_ignore_ascii_case("as")));
                    let known = self.stages.len();
                    self.image(at, image, format!("stages[{known}].FROM"));
                    self.stages.push(name.map_or_else(String::new, |(_, name)| name.to_ascii_lowercase()));
                    return;
                } else {
                    stage
                };
                self.image(at, image, format!("stages[{stage}].{prefix}FROM"));
            }
            "COPY" | "ADD" => {
                for (at, flag) in flags {
                    if let Some(image) = flag.strip_prefix("--from=") {
                        self.image(at + "--from=".len(), image, format!("stages[{stage}].{prefix}{keyword}"));
                    }
                }
            }
            "RUN" => {
                for (at, flag) in flags {
                    let Some(mount) = flag.strip_prefix("--mount=") else { continue };
                    let mut start = at + "--mount=".len();
                    for field in mount.split(',') {
                        let bare = field.trim_start_matches(['"', '\'']);
                        if let Some(image) = bare.strip_prefix("from=") {
                            let skipped = field.len() - image.len();
                            let image = image.trim_end_matches(['"', '\'']);
                            self.image(start + skipped, image, format!("stages[{stage}].{prefix}RUN"));
                        }
                        start += field.len() + 1;
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes an image, unless the text names a stage, a context or nothing.
    fn image(&mut self, at: usize, text: &str, path: String) {
        let bare = text.trim_matches(['"', '\'']);
        let at = at + (text.len() - text.trim_start_matches(['"', '\'']).len());
        let lower = bare.to_ascii_lowercase();
        let is_from = path.ends_with("FROM");
        let is_stage = self.stages.contains(&lower)
            || !is_from && bare.parse::<usize>().is_ok_and(|number| number < self.stages.len());
        if bare.is_empty() || lower == "scratch" || is_stage || self.contexts.iter().any(|name| name == bare) {
            return;
        }
        self.found.push(Named { path, text: bare.to_owned(), at, is_base: false });
    }
}

/// The lines with where they start, without their ends.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut start = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let found = (start, line.trim_end_matches(['\n', '\r']));
        start += line.len();
        found
    });
    lines.collect()
}

/// The words of the instruction that begins at a line, and the line behind it: comments and empty lines inside are left out.
fn instruction<'t>(lines: &[(usize, &'t str)], from: usize, escape: char) -> (Vec<Word<'t>>, usize) {
    let mut words: Vec<Word<'t>> = Vec::new();
    let mut at = from;
    while let Some((start, line)) = lines.get(at) {
        at += 1;
        let trimmed = line.trim();
        if trimmed.starts_with('#') || trimmed.is_empty() {
            if words.is_empty() {
                return (words, at);
            }
            continue;
        }
        let body = line.trim_end();
        let continued = body.strip_suffix(escape);
        let body = continued.unwrap_or(body);
        let base = line.as_ptr() as usize;
        words.extend(body.split_whitespace().map(|word| (start + (word.as_ptr() as usize - base), word)));
        if continued.is_none() {
            break;
        }
    }
    (words, at)
}

/// How many of the lines behind an instruction are its here-documents: none where quotes or escapes in front of one leave
/// a doubt, or where one has no end.
fn heredocs(words: &[Word<'_>], lines: &[(usize, &str)]) -> usize {
    let takes = |word: &str| ["RUN", "COPY", "ADD", "ONBUILD"].iter().any(|name| word.eq_ignore_ascii_case(name));
    if !words.first().is_some_and(|(_, word)| takes(word)) {
        return 0;
    }
    let mut at = 0;
    for (_, word) in &words[1..] {
        let start = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
        if let Some(name) = start.strip_prefix("<<") {
            let (tabs, name) = name.strip_prefix('-').map_or((false, name), |name| (true, name));
            let bare = ['"', '\''].iter().find_map(|quote| name.strip_prefix(*quote)?.strip_suffix(*quote));
            let name = bare.unwrap_or(name);
            if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
                return 0;
            }
            let ends = |line: &str| (if tabs { line.trim_start_matches('\t') } else { line }) == name;
            let Some(end) = lines[at..].iter().position(|(_, line)| ends(line)) else { return 0 };
            at += end + 1;
        } else if word.contains(['"', '\'', '\\', '`']) {
            return at;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Vec<String> {
        let found = images(text, &["ctx".to_owned()]);
        found
            .iter()
            .map(|named| {
                assert_eq!(text.get(named.at..named.at + named.text.len()), Some(named.text.as_str()));
                format!("{} {}{}", named.path, named.text, if named.is_base { " base" } else { "" })
            })
            .collect()
    }

    #[test]
    fn arguments_in_front_of_the_first_stage() {
        let found = arguments("# c\nARG A=1 B \\\n  C=\"x\"\nFROM a\nARG D=2\n");
        let names: Vec<(&str, Option<&str>)> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        assert_eq!(names, [("A", Some("1")), ("B", None), ("C", Some("x"))]);
    }

    #[test]
    fn what_is_named() {
        let rows: [(&str, &[&str]); 18] = [
            ("FROM a:1", &["stages[0].FROM a:1 base"]),
            ("from --platform=$X a:1 as B\nFROM b\n", &["stages[0].FROM a:1"]),
            ("FROM \\\n# c\n\n  a:1\n", &["stages[0].FROM a:1 base"]),
            ("# escape=`\nFROM `\n a:1\n", &["stages[0].FROM a:1 base"]),
            ("# syntax = d/f:1 x\nFROM scratch\nFROM ctx", &["syntax d/f:1"]),
            ("//syntax=d/f:1\nx", &["syntax d/f:1"]),
            ("#!/x\n# syntax=d/f:1\n", &["syntax d/f:1"]),
            ("FROM a\n# syntax=d/f:1\nENV FROM=b", &["stages[0].FROM a base"]),
            ("FROM a AS b\nCOPY --chown=1 --from=c:1 --from=b /x /y", &["stages[0].FROM a base", "stages[0].COPY c:1"]),
            ("FROM a\nADD --from=0 x y\nCOPY --from=1 x y", &["stages[0].FROM a base", "stages[0].COPY 1"]),
            (
                "FROM a\nRUN --mount=type=cache,target=/x --mount=\"from=b,target=/b\" FROM --mount=from=c",
                &["stages[0].FROM a base", "stages[0].RUN b"],
            ),
            (
                "FROM a\nONBUILD FROM b\nonbuild RUN --mount=from=c x",
                &["stages[0].FROM a base", "stages[0].ONBUILD.FROM b", "stages[0].ONBUILD.RUN c"],
            ),
            (
                "FROM a\nRUN <<E cat <<-'F'\nFROM x\nE\nFROM y\n\tF\nFROM b",
                &["stages[0].FROM a", "stages[1].FROM b base"],
            ),
            ("FROM a\nRUN echo \"x <<E y\"\nFROM b\nE\n", &["stages[0].FROM a", "stages[1].FROM b base"]),
            ("FROM a\nRUN <<E\nFROM b\n", &["stages[0].FROM a", "stages[1].FROM b base"]),
            ("FROM a\nENV x <<E\nFROM b\nE\n", &["stages[0].FROM a", "stages[1].FROM b base"]),
            ("FROM \"a:1\"\r\nCOPY --from='b' x y", &["stages[0].FROM a:1 base", "stages[0].COPY b"]),
            ("FROM", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(show(text), expected, "{text}");
        }
    }
}
