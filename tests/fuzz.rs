//! A short seeded run of the fuzz targets that needs nothing but stable Rust: the labelled files of every format, broken in
//! random ways, and inputs that once failed. The long runs are those of `fuzz/`; the properties are the same.

#[path = "support/properties.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "a test program has no outside")]
mod properties;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use plimsoll::source::{Format, table};
use properties::{Outcome, Sample};

/// How many broken files a format has to stand.
const ROUNDS: usize = 1_500;
/// Longer ones are cut: what breaks a reader is short, and short files are more of them.
const LONGEST: usize = 4_096;

/// One labelled file, as `fuzz/seeds.py` writes them.
#[derive(Clone)]
struct Seed {
    path: String,
    bytes: Vec<u8>,
    beside: Option<Vec<u8>>,
}

impl Seed {
    fn sample(&self) -> Sample<'_> {
        Sample { path: &self.path, bytes: &self.bytes, beside: self.beside.as_deref() }
    }
}

/// Numbers that look random and are the same in every run (`splitmix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`; 0 where there is no such number.
    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("fits");
        usize::try_from(self.next() % limit).expect("fits")
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The files of a folder and of those in it; none where it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn seeds(id: &str) -> Vec<Seed> {
    let cases = fixtures().join("formats").join(id);
    let is_input = |path: &Path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("input"));
    let mut seeds = Vec::new();
    for path in files(&cases).into_iter().filter(|path| is_input(path)) {
        let case = path.parent().expect("a folder");
        if case.parent() != Some(&cases) {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let name = fs::read_to_string(case.join("path")).map_or(name, |path| path.trim().to_owned());
        let bytes = fs::read(&path).expect("the input");
        let beside = files(&case.join("beside")).first().map(|path| fs::read(path).expect("the file"));
        seeds.push(Seed { path: name, bytes, beside });
    }
    if id == "kubernetes" {
        seeds.extend(files(&fixtures().join("kubernetes/labelled")).into_iter().map(|path| Seed {
            path: "labelled.yaml".to_owned(),
            bytes: fs::read(path).expect("the file"),
            beside: None,
        }));
    }
    seeds
}

/// The words of the dictionary that the fuzzer uses, too.
fn tokens() -> Vec<Vec<u8>> {
    let text = include_str!("support/tokens.dict");
    let quoted = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let tokens: Vec<Vec<u8>> = quoted.map(unescaped).collect();
    assert!(tokens.len() > 100);
    tokens
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().expect("an escape") {
                b'x' => {
                    let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                    u8::from_str_radix(str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal")
                }
                other => other,
            },
            other => other,
        });
    }
    bytes
}

/// Breaks a file once.
fn mutate(seed: &mut Seed, seeds: &[Seed], tokens: &[Vec<u8>], random: &mut Random) {
    let bytes = if random.below(8) == 0 { seed.beside.as_mut().unwrap_or(&mut seed.bytes) } else { &mut seed.bytes };
    let mut at = random.below(bytes.len() + 1);
    if random.below(2) == 0 {
        // where a line starts, what comes in is more often something that a reader takes
        at = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    }
    let end = |bytes: &[u8], longest: usize, random: &mut Random| at + random.below(longest.min(bytes.len() - at) + 1);
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
        2 => bytes.truncate(at),
        3 => {
            let other = &random.of(seeds).bytes;
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        4 => {
            let end = end(bytes, 40, random);
            bytes.drain(at..end);
        }
        5 => {
            let end = end(bytes, 200, random);
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        6 => {
            let other = &random.of(seeds).bytes;
            let from = random.below(other.len() + 1);
            let to = from + random.below((other.len() - from).min(300) + 1);
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        7 => {
            let token = random.of(tokens);
            let end = end(bytes, token.len(), random);
            bytes.splice(at..end, token.iter().copied());
        }
        _ => drop(bytes.splice(at..at, random.of(tokens).iter().copied())),
    }
    bytes.truncate(LONGEST);
}

/// The properties of one sample; what fails is told with the bytes that fail.
fn hold(format: &'static dyn Format, sample: &Sample<'_>) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| properties::splice(format, sample))).map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let beside = sample.beside.map(|bytes| format!(", beside: {}", bytes.escape_ascii())).unwrap_or_default();
        format!(
            "{} {}: {}\n{}{beside}",
            format.id(),
            sample.path,
            said.unwrap_or_default(),
            sample.bytes.escape_ascii()
        )
    })
}

#[test]
fn broken_files_of_every_format() {
    let tokens = tokens();
    let run = |format: &'static dyn Format| {
        let seeds = seeds(format.id());
        assert!(!seeds.is_empty(), "{} has no fixtures", format.id());
        let mut random = Random(0);
        let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
        let mut wrong = Vec::new();
        for _ in 0..ROUNDS {
            let mut seed = random.of(&seeds).clone();
            for _ in 0..=random.below(3) {
                mutate(&mut seed, &seeds, &tokens, &mut random);
            }
            match hold(format, &seed.sample()) {
                Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
                Err(message) => wrong.push(message),
            }
        }
        // a run in which nothing was pinned would have shown nothing
        let pinned = outcomes.get(&Outcome::Pinned).copied().unwrap_or(0);
        assert!(!wrong.is_empty() || pinned > ROUNDS / 100, "{}: {outcomes:?}", format.id());
        eprintln!("{}: {outcomes:?}", format.id());
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = table::formats().iter().map(|format| scope.spawn(|| run(*format))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    });
    assert!(wrong.is_empty(), "{} inputs fail; the first:\n{}", wrong.len(), wrong[..wrong.len().min(3)].join("\n\n"));
}

/// Labelled files as they are: none of them may be refused.
#[test]
fn whole_files_of_every_format() {
    let mut wrong = Vec::new();
    for format in table::formats() {
        for seed in seeds(format.id()) {
            match hold(*format, &seed.sample()) {
                Ok(Outcome::Refused) => wrong.push(format!("{} refuses:\n{}", format.id(), seed.bytes.escape_ascii())),
                Ok(_) => {}
                Err(message) => wrong.push(message),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

/// `fixtures/fuzz/<format>/…`: inputs that a fuzzer found, as it found them.
#[test]
fn inputs_that_once_failed() {
    let mut wrong = Vec::new();
    for path in files(&fixtures().join("fuzz")) {
        let id = path.parent().and_then(Path::file_name).expect("a format").to_string_lossy().into_owned();
        let format = table::by_id(&id).unwrap_or_else(|| panic!("{} is no format's", path.display()));
        let data = fs::read(&path).expect("the file");
        wrong.extend(hold(format, &Sample::parse(&data)).err());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

/// Properties that no format can break show nothing: a format that lies is caught.
#[test]
fn a_lie_is_caught() {
    struct Liar;
    impl Format for Liar {
        fn id(&self) -> &'static str {
            "liar"
        }
        fn claims(&self, _: &str) -> bool {
            true
        }
        fn find(&self, input: &plimsoll::source::Input<'_>) -> plimsoll::source::Found {
            let mut found = table::by_id("kubernetes").expect("the format").find(input);
            for span in found.occurrences.iter_mut().filter_map(|occurrence| occurrence.span.as_mut()) {
                (span.start, span.end) = (span.start + 1, span.end + 1);
            }
            found
        }
    }
    let bytes = b"kind: Pod\napiVersion: v1\nspec: {containers: [{image: a:1}]}\n";
    let sample = Sample { path: "x.yaml", bytes, beside: None };
    assert_eq!(hold(table::by_id("kubernetes").expect("the format"), &sample), Ok(Outcome::Pinned));
    let said = hold(&Liar, &sample).expect_err("caught");
    assert!(said.contains("holds something else"), "{said}");
}
