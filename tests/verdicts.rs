//! The table of verdicts, row by row: what the gate says is held to a second reading of the table
//! (`oracle`), which shares no line with the gate. Longer than most files, because table, oracle and cases share one
//! registry in memory.

#![allow(clippy::format_push_string, reason = "a policy is built line by line")]

#[path = "support/memory.rs"]
mod memory;
#[path = "support/registry.rs"]
mod registry;
mod support;

use std::collections::BTreeMap;

use jiff::Timestamp;
use memory::{Memory, Says};
use plimsoll::digest::Digest;
use plimsoll::gate::{self, Judge, Mode, Request, Scanned};
use plimsoll::image::Platform;
use plimsoll::outcome::{Outcome, Verdict};
use plimsoll::policy::{self, Policy};
use plimsoll::registry::KnownBy;
use plimsoll::source::{Input, table};
use support::{Layout, Repository, pod};

const NOW: &str = "2026-11-20T00:00:00Z";
const APP: &str = "docker.io/library/app:1";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn load(text: &str) -> Policy {
    match policy::load(text, "plimsoll.yaml", now(), &["kubernetes"]) {
        Ok(loaded) => loaded.policy,
        Err(error) => panic!("{}:\n{text}", error.message),
    }
}

/// A policy with these lines under `spec`.
fn policy_of(spec: &str) -> Policy {
    load(&format!("apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n{spec}"))
}

/// A policy of one statement for every image.
fn rules(rules: &str) -> Policy {
    policy_of(&format!("  statements: [{{name: all, match: ['**'], rules: {{{rules}}}}}]\n"))
}

fn file(name: &str, text: &str) -> Scanned {
    let format = table::by_id("kubernetes").expect("the format");
    let found = format.find(&Input::alone(name, text.as_bytes()));
    Scanned { path: name.to_owned(), policy_path: name.to_owned(), bytes: text.as_bytes().to_vec(), found }
}

/// One run over these texts; `request` may be changed before it starts.
fn run_with<'a>(judge: Judge<'a>, memory: &Memory, texts: &[&str], change: impl FnOnce(&mut Request<'a>)) -> Outcome {
    let mut request = Request {
        files: texts.iter().enumerate().map(|(at, text)| file(&format!("{at}.yaml"), text)).collect(),
        unread: Vec::new(),
        files_read: texts.len(),
        files_ignored: 0,
        judge,
        mode: Mode::Check,
        platforms: &[],
        resolve: true,
        whole: true,
        jobs: 4,
        now: now(),
    };
    change(&mut request);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let outcome = runtime.block_on(gate::run(request, memory, &|_, _| {}));
    let counts = outcome.counts();
    let sum = counts.allow + counts.deny + counts.undecided + counts.skipped;
    assert_eq!(sum, outcome.references.len(), "the counts add up");
    outcome
}

fn check(policy: &Policy, memory: &Memory, texts: &[&str]) -> Outcome {
    run_with(Judge::Policy(policy), memory, texts, |_| {})
}

fn pin(policy: &Policy, memory: &Memory, texts: &[&str], update: bool) -> Outcome {
    run_with(Judge::Policy(policy), memory, texts, |request| request.mode = Mode::Pin { update })
}

fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
    outcome.references.iter().map(|judged| judged.verdict).collect()
}

fn rule_ids(outcome: &Outcome) -> Vec<&'static str> {
    outcome.findings.iter().map(|finding| finding.rule).collect()
}

/// What the edits put in place of what, in order.
fn edits(outcome: &Outcome) -> Vec<(String, String)> {
    outcome.edits.iter().map(|(_, edit)| (edit.old.clone(), edit.new.clone())).collect()
}

fn image(text: &str) -> String {
    pod(&format!("image: {text}"))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Holds {
    Satisfied,
    Violated,
    Undecided,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Exception {
    None,
    Active,
    Expired,
    OtherRule,
    OtherImage,
    OtherTag,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Second {
    None,
    Satisfied,
    Violated,
    WarnOnly,
    NotFitting,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lookup {
    Found,
    NotFound,
    Forbidden,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Nothing,
    Unresolvable(&'static str),
    Unreadable(&'static str),
}

#[derive(Clone, Copy, Debug)]
struct Row {
    says: Holds,
    level: &'static str,
    exception: Exception,
    second: Second,
    lookup: Lookup,
    beside: Beside,
}

/// The contract's words: verdict of the app, verdict of what stands beside it, exit code.
fn oracle(row: &Row) -> (Verdict, Option<Verdict>, u8) {
    let of_app = {
        // Deny-level rules of statements that fit: (what it says, excepted).
        let mut deny = Vec::new();
        if row.level == "deny" {
            deny.push((row.says, row.exception == Exception::Active));
        }
        match row.second {
            Second::Satisfied => deny.push((Holds::Satisfied, false)),
            // `OtherRule` names the rule of the second statement.
            Second::Violated => deny.push((Holds::Violated, row.exception == Exception::OtherRule)),
            Second::None | Second::WarnOnly | Second::NotFitting => {}
        }
        // "Rules that need nothing from a registry run first; a reference that they deny is not asked for."
        let text_denies = row.second == Second::Violated && row.exception != Exception::OtherRule;
        let broken = |(says, excepted): &(Holds, bool)| *says == Holds::Violated && !excepted;
        let open = |(says, excepted): &(Holds, bool)| *says == Holds::Undecided && !excepted;
        if deny.is_empty() || text_denies {
            Verdict::Deny // unmatched, or by text
        } else {
            match row.lookup {
                Lookup::NotFound => Verdict::Deny,
                Lookup::Forbidden => Verdict::Undecided,
                Lookup::Found if deny.iter().any(broken) => Verdict::Deny,
                Lookup::Found if deny.iter().any(open) => Verdict::Undecided,
                Lookup::Found => Verdict::Allow,
            }
        }
    };
    let of_other = match row.beside {
        Beside::Unresolvable("deny") => Some(Verdict::Undecided),
        Beside::Unresolvable(_) => Some(Verdict::Skipped),
        Beside::Nothing | Beside::Unreadable(_) => None,
    };
    let beside_undecided = matches!(row.beside, Beside::Unresolvable("deny") | Beside::Unreadable("deny"));
    let code = match of_app {
        Verdict::Deny => 1,
        Verdict::Undecided => 3,
        _ if beside_undecided => 3,
        _ => 0,
    };
    (of_app, of_other, code)
}

impl Row {
    fn policy(&self) -> String {
        let mut spec = String::new();
        match self.beside {
            Beside::Nothing => {}
            Beside::Unresolvable(level) => {
                spec += &format!("  built-in: {{unresolvable-reference: {{level: {level}}}}}\n");
            }
            Beside::Unreadable(level) => spec += &format!("  built-in: {{unreadable-source: {{level: {level}}}}}\n"),
        }
        spec += "  statements:\n    - {name: first, match: ['docker.io/library/app'], ";
        spec += &format!("rules: {{image-size: {{max: 1000, level: {}}}}}}}\n", self.level);
        let second = match self.second {
            Second::None => None,
            Second::Satisfied => Some(("app", "mutable-tag: {deny: [latest]}")),
            Second::Violated => Some(("app", "mutable-tag: {deny: ['1']}")),
            Second::WarnOnly => Some(("app", "pinned-digest: {level: warn}")),
            Second::NotFitting => Some(("other", "mutable-tag: {deny: ['1']}")),
        };
        if let Some((name, rules)) = second {
            spec += &format!("    - {{name: second, match: ['docker.io/library/{name}'], rules: {{{rules}}}}}\n");
        }
        let exception = match self.exception {
            Exception::None => None,
            Exception::Active => Some(("app:1", "image-size", "2026-11-20")),
            Exception::Expired => Some(("app:1", "image-size", "2026-11-19")),
            Exception::OtherRule => Some(("app", "mutable-tag", "2027-03-01")),
            Exception::OtherImage => Some(("apple", "image-size", "2027-03-01")),
            Exception::OtherTag => Some(("app:1.0", "image-size", "2027-03-01")),
        };
        if let Some((name, rule, expires)) = exception {
            spec += &format!(
                "  exceptions: [{{image: docker.io/library/{name}, rules: [{rule}], reason: r, owner: o, expires: {expires}}}]\n"
            );
        }
        spec
    }

    fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        let digest = match self.says {
            Holds::Satisfied => memory.image("amd64", 10),
            Holds::Violated => memory.image("amd64", 10_000),
            Holds::Undecided => memory.put(memory::IMAGE, "{}"),
        };
        let says = match self.lookup {
            Lookup::Found => Says::Names(vec![digest]),
            Lookup::NotFound => Says::NotFound,
            Lookup::Forbidden => Says::Forbidden,
        };
        memory.says(APP, says);
        memory
    }

    fn texts(&self) -> Vec<String> {
        let mut texts = vec![image("app:1")];
        match self.beside {
            Beside::Nothing => {}
            Beside::Unresolvable(_) => texts.push(image("${X}")),
            Beside::Unreadable(_) => texts.push("image: [\n".to_owned()),
        }
        texts
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for says in [Holds::Satisfied, Holds::Violated, Holds::Undecided] {
        for level in ["deny", "warn", "off"] {
            for exception in [
                Exception::None,
                Exception::Active,
                Exception::Expired,
                Exception::OtherRule,
                Exception::OtherImage,
                Exception::OtherTag,
            ] {
                for second in [Second::None, Second::Satisfied, Second::Violated, Second::WarnOnly, Second::NotFitting]
                {
                    for lookup in [Lookup::Found, Lookup::NotFound, Lookup::Forbidden] {
                        for beside in [
                            Beside::Nothing,
                            Beside::Unresolvable("deny"),
                            Beside::Unresolvable("warn"),
                            Beside::Unreadable("deny"),
                            Beside::Unreadable("warn"),
                        ] {
                            rows.push(Row { says, level, exception, second, lookup, beside });
                        }
                    }
                }
            }
        }
    }
    rows
}

#[test]
fn the_truth_table_through_the_library() {
    let rows = rows();
    assert_eq!(rows.len(), 3 * 3 * 6 * 5 * 3 * 5);
    let mut seen = [0; 3];
    let mut policies: BTreeMap<String, Policy> = BTreeMap::new();
    for row in &rows {
        let text = row.policy();
        let policy = policies.entry(text).or_insert_with_key(|text| policy_of(text));
        let texts = row.texts();
        let outcome = check(policy, &row.memory(), &texts.iter().map(String::as_str).collect::<Vec<_>>());
        let found = verdicts(&outcome);
        let (app, other, code) = oracle(row);
        assert_eq!((found.first(), found.get(1)), (Some(&app), other.as_ref()), "{row:?}\n{:#?}", outcome.findings);
        assert_eq!(outcome.exit().code(), code, "{row:?}\n{:#?}", outcome.findings);
        let allowed_for_nothing = app == Verdict::Allow && row.level != "deny" && row.second == Second::None;
        assert!(!allowed_for_nothing, "the oracle itself lets something through: {row:?}");
        seen[match app {
            Verdict::Allow => 0,
            Verdict::Deny => 1,
            _ => 2,
        }] += 1;
    }
    assert!(seen.iter().all(|count| *count > 100), "the table says only one thing: {seen:?}");
}

/// Some rows of the table through the whole program, over a layout on disk (which can't say 403).
#[test]
fn rows_through_the_program() {
    let rows = rows();
    let chosen: Vec<&Row> = rows
        .iter()
        .filter(|row| row.lookup != Lookup::Forbidden && row.says != Holds::Undecided)
        .filter(|row| matches!(row.exception, Exception::None | Exception::Active | Exception::Expired))
        .enumerate()
        .filter(|(at, _)| at % 11 == 0)
        .map(|(_, row)| row)
        .collect();
    let mut codes = std::collections::BTreeSet::new();
    for row in chosen {
        let policy = format!("apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n{}", row.policy());
        let repository = Repository::with(&policy, &[], &[]);
        let mut layout = Layout::new(&repository.path("registry"));
        if row.lookup == Lookup::Found {
            let size = if row.says == Holds::Violated { 10_000 } else { 10 };
            let written = layout.image(("linux", "amd64"), size, "app");
            layout.name(APP, &written);
        }
        layout.finish();
        for (at, text) in row.texts().iter().enumerate() {
            repository.write(&format!("{at}.yaml"), text);
        }
        let answer = repository.run(&["check", "--format", "json", "--now", NOW]);
        let (app, _, code) = oracle(row);
        assert_eq!(answer.verdict("app:1"), app.word(), "{row:?}\n{}", answer.stdout);
        assert_eq!(answer.code, i32::from(code), "{row:?}\n{}", answer.stdout);
        let summary = &answer.json()["summary"];
        let sum: u64 =
            ["allow", "deny", "undecided", "skipped"].iter().map(|key| summary[key].as_u64().expect("a count")).sum();
        assert_eq!(summary["references"].as_u64(), Some(sum));
        codes.insert(answer.code);
    }
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), [0, 1, 3], "the rows reach every exit code");
}

#[test]
fn exit_codes_follow_precedence_over_many_references() {
    let policy = rules("trusted-registry: {allow: ['docker.io/library/*']}");
    let mut memory = Memory::default();
    let digest = memory.image("amd64", 1);
    memory.tag(APP, &digest);
    memory.says("docker.io/library/locked:1", Says::Forbidden);
    let (good, bad, open, none) = (image("app:1"), image("evil.example/x:1"), image("locked:1"), image("'*'"));
    for (texts, code) in [
        (vec![&good], 0),
        (vec![&good, &none], 0),
        (vec![&good, &open], 3),
        (vec![&open, &good, &bad], 1),
        (vec![&bad, &open], 1),
    ] {
        let texts: Vec<&str> = texts.into_iter().map(String::as_str).collect();
        assert_eq!(check(&policy, &memory, &texts).exit().code(), code, "{texts:?}");
    }
}

#[test]
fn what_text_denies_is_never_asked_for() {
    let policy = rules("trusted-registry: {allow: ['docker.io/library/*']}, image-size: {max: 1000}");
    let mut memory = Memory::default();
    let digest = memory.image("amd64", 1);
    memory.tag(APP, &digest);
    memory.tag("evil.example/x:1", &digest);
    let texts = [image("evil.example/x:1"), image("${X}"), image("'*'"), image("5")];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(check(&policy, &memory, &texts).exit().code(), 1);
    pin(&policy, &memory, &texts, true);
    assert_eq!(memory.asked(), Vec::<String>::new());
    // A violated rule at `warn` denies nothing, so the reference is asked for.
    let policy = rules("trusted-registry: {allow: ['docker.io/library/*'], level: warn}, image-size: {max: 1000}");
    assert_eq!(verdicts(&check(&policy, &memory, &[&image("evil.example/x:1")])), [Verdict::Allow]);
    assert_eq!(memory.asked(), ["evil.example/x:1"]);
    // So is one whose violation is excepted.
    let policy = policy_of(
        "  statements: [{name: all, match: ['**'], rules: {trusted-registry: {allow: ['docker.io/library/*']}}}]\n  exceptions: [{image: evil.example/x, rules: [trusted-registry], reason: r, owner: o, expires: 2027-01-01}]\n",
    );
    assert_eq!(verdicts(&check(&policy, &memory, &[&image("evil.example/x:1")])), [Verdict::Allow]);
    assert_eq!(memory.asked().len(), 2);
}

#[test]
fn a_tag_is_asked_once_and_one_digest_holds_for_the_run() {
    let mut memory = Memory::default();
    let small = memory.image("amd64", 1);
    let large = memory.image("amd64", 9_000);
    memory.says(APP, Says::Names(vec![small.clone(), large]));
    let text = [image("app:1"), image("docker.io/library/app:1"), image("'index.docker.io/app:1'")].join("---\n");
    let policy = rules("image-size: {max: 1000}, tag-digest-match: {}");
    let checked = check(&policy, &memory, &[&text, &text]);
    assert_eq!(checked.exit().code(), 0, "{:#?}", checked.findings);
    assert_eq!(checked.references.len(), 6);
    assert!(checked.references.iter().all(|judged| judged.digest.as_ref() == Some(&small)));
    assert_eq!(memory.asked(), [APP]);
    // The second run sees what the tag names by then.
    assert_eq!(check(&policy, &memory, &[&text]).exit().code(), 1);

    // Pinned is what was judged, also where a stale pin of the same tag stands beside it.
    let mut memory = Memory::default();
    let (first, second) = (memory.image("amd64", 1), memory.image("amd64", 2));
    let old = memory.image("amd64", 3);
    memory.says(APP, Says::Names(vec![first.clone(), second]));
    let text = [image("app:1"), image(&format!("app:1@{old}"))].join("---\n");
    let pinned = pin(&policy, &memory, &[&text], true);
    let wanted = format!("app:1@{first}");
    assert_eq!(
        edits(&pinned),
        [("app:1".to_owned(), wanted.clone()), (format!("app:1@{old}"), wanted)],
        "{:#?}",
        pinned.findings
    );
    assert_eq!(memory.asked().iter().filter(|line| *line == APP).count(), 1);
}

#[test]
fn known_by_says_what_was_read() {
    let mut memory = Memory::default();
    let digest = memory.image("amd64", 1);
    memory.tag(APP, &digest);
    let known = |policy: &Policy, text: &str| check(policy, &memory, &[&image(text)]).references[0].known_by;
    let header = rules("trusted-registry: {allow: ['docker.io/library/*']}");
    assert_eq!(known(&header, "app:1"), Some(KnownBy::Header));
    assert_eq!(known(&rules("image-size: {max: 1000}"), "app:1"), Some(KnownBy::Bytes));
    assert_eq!(known(&header, "evil.example/x:1"), None);
    assert_eq!(known(&header, "gone:1"), None);
    // What was read for one that is named by tag is known by bytes for one that is named by digest.
    let policy = rules("image-size: {max: 1000}");
    let outcome = check(&policy, &memory, &[&image("app:1"), &image(&format!("app@{digest}"))]);
    assert!(outcome.references.iter().all(|judged| judged.known_by == Some(KnownBy::Bytes)));
    // One question for both: where content is wanted for one, the other is known by bytes too.
    let both = policy_of(
        "  statements:\n    - {name: a, match: ['**'], rules: {mutable-tag: {}}}\n    - {name: b, match: ['**'], where: {paths: ['1.yaml']}, rules: {image-size: {max: 1000}}}\n",
    );
    let outcome = check(&both, &memory, &[&image("app:1"), &image("app:1")]);
    assert!(outcome.references.iter().all(|judged| judged.known_by == Some(KnownBy::Bytes)));
}

#[test]
fn known_by_through_the_program() {
    let server = registry::Server::start(registry::Behaviour::default());
    let manifest = r#"{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
    let digest = server.push("app", "1", manifest, registry::OCI_IMAGE);
    let repository = Repository::new();
    let name = format!("{}/app:1", server.host());
    repository.write("a.yaml", image(&name));
    for (rule, known, line) in [
        ("mutable-tag: {}", "header", "HEAD /v2/app/manifests/1"),
        ("image-size: {max: 1000}", "bytes", "GET /v2/app/manifests/1"),
    ] {
        let before = server.requests().len();
        repository.write(
            "plimsoll.yaml",
            format!("apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n  statements: [{{name: all, match: ['**'], rules: {{{rule}}}}}]\n"),
        );
        let config = format!(
            "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: '{}', insecure: true}}]}}\n",
            server.host()
        );
        repository.write("machine.conf", config);
        let answer = repository.run(&["check", "--format", "json", "--config", "machine.conf"]);
        assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
        let row = &answer.json()["references"][0];
        assert_eq!((row["known_by"].as_str(), row["digest"].as_str()), (Some(known), Some(digest.as_str())));
        assert!(server.lines()[before..].iter().any(|asked| asked == line), "{:?}", server.lines());
    }
}

#[test]
fn pin_judges_what_will_stand() {
    let policy = rules("pinned-digest: {}, trusted-registry: {allow: ['docker.io/library/*']}");
    let mut memory = Memory::default();
    let digest = memory.image("amd64", 1);
    memory.tag(APP, &digest);
    memory.tag("docker.io/library/app:latest", &digest);
    let text = image("app:1");
    assert_eq!(verdicts(&check(&policy, &memory, &[&text])), [Verdict::Deny], "as it stands");
    let outcome = pin(&policy, &memory, &[&text], false);
    assert_eq!((verdicts(&outcome), outcome.exit().code()), (vec![Verdict::Allow], 0));
    assert_eq!(edits(&outcome), [("app:1".to_owned(), format!("app:1@{digest}"))]);
    assert_eq!(edits(&pin(&policy, &memory, &[&image("app")], false))[0].1, format!("app:latest@{digest}"));

    // What can't be edited stands as it is, and is denied for it.
    let folded = image("\"ap\\\n        p:1\"");
    let outcome = pin(&policy, &memory, &[&folded], false);
    assert_eq!((verdicts(&outcome), edits(&outcome)), (vec![Verdict::Deny], vec![]));
    assert_eq!(rule_ids(&outcome), ["pinned-digest"]);
    assert!(outcome.references[0].occurrence.uneditable.is_some());

    // So does all of a file with a broken document.
    let outcome = pin(&policy, &memory, &[&format!("{text}---\nimage: [\n")], false);
    assert_eq!((verdicts(&outcome), edits(&outcome)), (vec![Verdict::Deny], vec![]));
}

#[test]
fn pin_leaves_what_is_denied_or_undecided() {
    use Verdict::{Allow, Deny, Skipped, Undecided};
    let policy = rules("trusted-registry: {allow: ['docker.io/library/*']}, image-size: {max: 1000}");
    let mut memory = Memory::default();
    let (good, large) = (memory.image("amd64", 1), memory.image("amd64", 9_000));
    let broken = memory.put(memory::IMAGE, "{}");
    memory.tag(APP, &good);
    memory.tag("docker.io/library/large:1", &large);
    memory.tag("docker.io/library/broken:1", &broken);
    memory.says("docker.io/library/locked:1", Says::Forbidden);
    let text = ["app:1", "large:1", "broken:1", "locked:1", "gone:1", "evil.example/x:1", "${X}", "'*'"]
        .map(image)
        .join("---\n");
    let outcome = pin(&policy, &memory, &[&text], false);
    assert_eq!(verdicts(&outcome), [Allow, Deny, Undecided, Undecided, Deny, Deny, Undecided, Skipped]);
    assert_eq!(edits(&outcome), [("app:1".to_owned(), format!("app:1@{good}"))]);
    assert_eq!(outcome.exit().code(), 1);

    // Without a policy only what a registry does not have, or does not say, stands in the way.
    let outcome = run_with(Judge::Nothing, &memory, &[&text], |request| request.mode = Mode::Pin { update: false });
    assert_eq!(verdicts(&outcome), [Allow, Allow, Allow, Undecided, Deny, Deny, Skipped, Skipped]);
    assert_eq!(outcome.edits.len(), 3);
    let outcome =
        run_with(Judge::Nothing, &memory, &[&image("${X}")], |request| request.mode = Mode::Pin { update: false });
    assert_eq!(outcome.exit().code(), 0, "what can't be known from the file is reported and left");
}

/// An index of two platforms under `app:1`, then another one that the tag moves to.
struct Moved {
    memory: Memory,
    old: [Digest; 3],
    new: [Digest; 3],
}

fn moved() -> Moved {
    let mut memory = Memory::default();
    let index = |memory: &mut Memory, size: u64| {
        let (amd64, arm64) = (memory.image("amd64", size), memory.image("arm64", size));
        let index = memory.index(&[("amd64", &amd64), ("arm64", &arm64)]);
        [index, amd64, arm64]
    };
    let (old, new) = (index(&mut memory, 1), index(&mut memory, 2));
    memory.tag(APP, &new[0]);
    Moved { memory, old, new }
}

fn platform(text: &str) -> Platform {
    text.parse().expect("a platform")
}

#[test]
fn an_index_is_pinned_by_its_own_digest_or_by_the_child_that_was_named() {
    let Moved { memory, new: [index, amd64, arm64], .. } = moved();
    // `tag-digest-match` would fail if the child of what the tag names counted as something else.
    let policy = rules("pinned-digest: {}, image-size: {max: 1000}, tag-digest-match: {}");
    assert_eq!(edits(&pin(&policy, &memory, &[&image("app:1")], false))[0].1, format!("app:1@{index}"));
    for (name, child) in [("linux/amd64", amd64), ("linux/arm64", arm64)] {
        let wanted = [platform(name)];
        let outcome = run_with(Judge::Policy(&policy), &memory, &[&image("app:1")], |request| {
            request.mode = Mode::Pin { update: false };
            request.platforms = &wanted;
        });
        assert_eq!(outcome.exit().code(), 0, "{:#?}", outcome.findings);
        assert_eq!(edits(&outcome)[0].1, format!("app:1@{child}"));
        assert_eq!(outcome.references[0].digest, Some(child.clone()));
        // What was pinned is what `check` lets pass.
        let after = check(&policy, &memory, &[&image(&format!("app:1@{child}"))]);
        assert_eq!(after.exit().code(), 0, "{:#?}", after.findings);
    }
    for (names, why) in [(&["linux/s390x"][..], "none such"), (&["linux/amd64", "linux/arm64"], "two of them")] {
        let wanted: Vec<Platform> = names.iter().map(|name| platform(name)).collect();
        let outcome = run_with(Judge::Policy(&policy), &memory, &[&image("app:1")], |request| {
            request.mode = Mode::Pin { update: false };
            request.platforms = &wanted;
        });
        assert_eq!((verdicts(&outcome), edits(&outcome)), (vec![Verdict::Undecided], vec![]), "{why}");
    }
}

#[test]
fn a_pin_stays_where_what_the_tag_names_now_lacks_a_platform() {
    let kept = rules("platforms: {not-shrunk: true}");
    let mut memory = Memory::default();
    let [amd64, arm64, new] = [memory.image("amd64", 1), memory.image("arm64", 1), memory.image("amd64", 2)];
    let old = memory.index(&[("amd64", &amd64), ("arm64", &arm64)]);
    let shrunk = memory.index(&[("amd64", &new)]);
    let grown_children = [memory.image("amd64", 3), memory.image("arm64", 3), memory.image("s390x", 3)];
    let grown =
        memory.index(&[("amd64", &grown_children[0]), ("arm64", &grown_children[1]), ("s390x", &grown_children[2])]);
    for (tag, pinned, verdict, moved_to) in [
        (&shrunk, &old, Verdict::Deny, None),
        (&new, &old, Verdict::Deny, None),
        (&grown, &old, Verdict::Allow, Some(&grown)),
        (&old, &old, Verdict::Allow, None),
        // of a pin to one child, that child's platform is all there was
        (&shrunk, &amd64, Verdict::Allow, Some(&new)),
        (&shrunk, &arm64, Verdict::Undecided, None),
    ] {
        memory.tag(APP, tag);
        let text = image(&format!("app:1@{pinned}"));
        let outcome = pin(&kept, &memory, &[&text], true);
        assert_eq!(verdicts(&outcome), [verdict], "{pinned} to {tag}: {:#?}", outcome.findings);
        let written: Vec<String> = edits(&outcome).into_iter().map(|(_, new)| new).collect();
        assert_eq!(written, moved_to.map(|digest| format!("app:1@{digest}")).into_iter().collect::<Vec<_>>());
        // Where nothing moves nothing is compared.
        assert_eq!(verdicts(&check(&kept, &memory, &[&text])), [Verdict::Allow]);
        assert_eq!(verdicts(&pin(&kept, &memory, &[&text], false)), [Verdict::Allow]);
    }
    memory.tag(APP, &shrunk);
    let outcome = pin(&rules("platforms: {require: [linux/amd64]}"), &memory, &[&image(&format!("app:1@{old}"))], true);
    assert_eq!((verdicts(&outcome), edits(&outcome).len()), (vec![Verdict::Allow], 1), "without the setting it moves");
}

#[test]
fn a_child_is_judged_as_the_child_it_is() {
    let mut memory = Memory::default();
    let (small, large) = (memory.image("amd64", 1), memory.image("arm64", 9_000));
    let index = memory.index(&[("amd64", &small), ("arm64", &large)]);
    memory.tag(APP, &index);
    let policy = rules("image-size: {max: 1000}");
    let pinned_for = |names: &[&str]| {
        let wanted: Vec<Platform> = names.iter().map(|name| platform(name)).collect();
        let outcome = run_with(Judge::Policy(&policy), &memory, &[&image("app:1")], |request| {
            request.mode = Mode::Pin { update: false };
            request.platforms = &wanted;
        });
        verdicts(&outcome)[0]
    };
    assert_eq!(pinned_for(&[]), Verdict::Deny, "an index is judged with all its children");
    assert_eq!(pinned_for(&["linux/amd64"]), Verdict::Allow);
    assert_eq!(pinned_for(&["linux/arm64"]), Verdict::Deny);
}

#[test]
fn update_moves_what_has_moved_and_a_child_stays_that_child() {
    let Moved { memory, old, new } = moved();
    let policy = rules("pinned-digest: {}, image-size: {max: 1000}, tag-digest-match: {}");
    for at in 0..3 {
        let text = image(&format!("app:1@{}", old[at]));
        let outcome = pin(&policy, &memory, &[&text], true);
        assert_eq!(outcome.exit().code(), 0, "{:#?}", outcome.findings);
        assert_eq!(edits(&outcome)[0].1, format!("app:1@{}", new[at]));
        // Without --update the pin stays, and is said to be stale.
        let outcome = pin(&policy, &memory, &[&text], false);
        assert_eq!((edits(&outcome), rule_ids(&outcome)), (vec![], vec!["tag-digest-match"]));
    }
    // What has not moved is left byte for byte; so is what has no tag.
    for text in [format!("app:1@{}", new[0]), format!("app@{}", old[0])] {
        assert_eq!(edits(&pin(&rules("image-size: {max: 1000}"), &memory, &[&image(&text)], true)), vec![], "{text}");
    }
}

#[test]
fn update_of_a_child_of_the_same_index_stays_that_child() {
    let Moved { memory, new: [_, amd64, _], .. } = moved();
    let outcome = pin(&rules("image-size: {max: 1000}"), &memory, &[&image(&format!("app:1@{amd64}"))], true);
    assert_eq!((outcome.exit().code(), edits(&outcome)), (0, vec![]), "{:#?}", outcome.findings);
}

/// Where it can't be known whether the old pin was a child, nothing is widened in silence.
#[test]
fn update_of_a_pin_that_cannot_be_read_is_undecided() {
    let Moved { mut memory, old, .. } = moved();
    memory.forbid(&old[1]);
    let outcome = pin(&rules("pinned-digest: {}"), &memory, &[&image(&format!("app:1@{}", old[1]))], true);
    assert_eq!((verdicts(&outcome), edits(&outcome)), (vec![Verdict::Undecided], vec![]), "{:#?}", outcome.findings);
}

#[test]
fn without_resolving_nothing_that_was_not_judged_is_allowed() {
    let mut memory = Memory::default();
    let digest = memory.image("amd64", 9_000);
    memory.tag(APP, &digest);
    let run = |policy: &Policy, text: &str| {
        let outcome = run_with(Judge::Policy(policy), &memory, &[&image(text)], |request| request.resolve = false);
        (verdicts(&outcome)[0], outcome.not_evaluated.clone(), outcome.exit().code())
    };
    let network = rules("image-size: {max: 1000}, tag-digest-match: {}");
    assert_eq!(run(&network, "app:1"), (Verdict::Undecided, vec!["exists", "image-size", "tag-digest-match"], 3));
    let both = rules("image-size: {max: 1000}, trusted-registry: {allow: ['docker.io/library/*']}");
    assert_eq!(run(&both, "app:1"), (Verdict::Allow, vec!["exists", "image-size"], 0));
    assert_eq!(run(&both, "evil.example/x:1"), (Verdict::Deny, vec![], 1));
    let warn = rules("image-size: {max: 1000}, trusted-registry: {allow: ['docker.io/library/*'], level: warn}");
    assert_eq!(run(&warn, "app:1"), (Verdict::Undecided, vec!["exists", "image-size"], 3));
    let unmatched = policy_of("  statements: []\n");
    assert_eq!(run(&unmatched, "app:1"), (Verdict::Deny, vec![], 1));
    assert_eq!(memory.asked(), Vec::<String>::new(), "nothing was asked");
}

#[test]
fn exceptions_are_counted_and_shown() {
    let with = |name: &str, expires: &str| {
        policy_of(&format!(
            "  statements: [{{name: all, match: ['**'], rules: {{image-size: {{max: 1000}}}}}}]\n  exceptions: [{{image: docker.io/library/{name}, rules: [image-size], reason: r, owner: o, expires: {expires}}}]\n"
        ))
    };
    let mut memory = Memory::default();
    let digest = memory.image("amd64", 9_000);
    memory.tag(APP, &digest);
    for (name, expires, ids, code) in [
        ("app:1", "2027-03-01", vec!["image-size"], 0),
        ("app:1", "2026-12-04", vec!["image-size", "exception-expiring"], 0),
        ("app:1", "2026-11-19", vec!["image-size", "exception-expired"], 1),
        ("other", "2027-03-01", vec!["image-size", "exception-unused"], 1),
        (&format!("app@{digest}"), "2027-03-01", vec!["image-size"], 0),
        (&format!("app:1@{}", Digest::sha256(b"")), "2027-03-01", vec!["image-size", "exception-unused"], 1),
    ] {
        let outcome = check(&with(name, expires), &memory, &[&image("app:1")]);
        assert_eq!((rule_ids(&outcome), outcome.exit().code()), (ids, code), "{name} {expires}");
    }
}
