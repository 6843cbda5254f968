//! `run-as-user`: a container does not run as root, as far as can be known. Needs every platform's config.
//! A name is never taken for a user other than root: which uid it has stands in the image's own files.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{chosen, content, name, named_but_lacking};
use super::setting::{self, At, LevelSetting, SettingError, present};
use super::wording::{by_platform, cut};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::image::{Depth, PlatformImage};
use crate::source::RunAs;
use crate::span::Span;

const ONE: &[(&str, u64)] = &[("linux/amd64", 20_000_000)];

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "run-as-user",
    summary: "containers do not run as root, on any platform, as far as can be known",
    explain: "\
Checks the user that counts when the container runs: the one that the workload names (`runAsUser` of the container, else \
of the pod; `user` of a Compose service), else the one in the config of each platform of the image, where none means root. \
A number is known. A name is not, for the image's own files say which uid it has: it is `undecided`, except `root`. So is a \
number that runtimes read in other ways than as a uid from 0 to 2147483647 (CVE-2026-46680), a template, a variable, a user \
of Windows, and a value that readers of the file see in two ways.

With `runAsNonRoot: true` the kubelet refuses to start a container as root, and one whose image names its user: a name \
satisfies the rule then, though the container will not start without `runAsUser`, and an image that runs as root is a \
violation, since it will not start at all. With `allow` a name is `undecided` there too.

What the image says is its builder's word, and the runtime follows it. What is said elsewhere is not seen: an override \
file of Compose, a patch, a user in the `options` of a container of GitHub Actions or in GitLab's \
`image: docker: user`, \
the `containerUser` of a devcontainer, a hook of a cluster. Images in a chart's values and in a \
kustomization are `undecided`, as templates and manifests decide about them: check what is rendered. An image of a \
Dockerfile or a pipeline is judged by its own user; as most bases run as root, `where: {roles: [run]}` leaves them out.

Why: who breaks out of a container, or writes to what is mounted, does so as its user.

To satisfy it, write `USER 1000` in the Dockerfile or `runAsUser: 1000` in the workload: a number, without quotes.",
    settings: &[(
        "allow",
        "the only uids that may run it, as `1000` or `1000-65535`; without it every known one other than 0",
    )],
    examples: &[
        Example {
            settings: "{}",
            reference: "registry.k8s.io/pause:3.10",
            facts: Facts { platforms: ONE, config: Some(r#"{"config":{"User":"65535:65535"}}"#), ..Facts::NONE },
            says: None,
        },
        Example {
            settings: "{}",
            reference: "nginx:1.25",
            facts: Facts { platforms: ONE, run_as_user: Some("1000"), ..Facts::NONE },
            says: None,
        },
        Example {
            settings: "{}",
            reference: "nginx:1.25",
            facts: Facts { platforms: ONE, config: Some("{}"), ..Facts::NONE },
            says: Some("linux/amd64: runs as root, its config names no user"),
        },
        Example {
            settings: "{allow: [1000-65535]}",
            reference: "nginx:1.25",
            facts: Facts { platforms: ONE, config: Some(r#"{"config":{"User":"101"}}"#), ..Facts::NONE },
            says: Some("linux/amd64: runs as `101`, which `allow` does not hold"),
        },
        Example {
            settings: "{}",
            reference: "nginx:1.25",
            facts: Facts { platforms: ONE, run_as_user: Some("0"), ..Facts::NONE },
            says: Some("the workload runs it as root (`0`)"),
        },
    ],
    schema: schema_of::<Settings>,
};

/// Its settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    #[serde(default)]
    level: LevelSetting,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<UidText>")]
    allow: Option<At<Vec<At<String>>>>,
}

/// A uid or a range of them in the schema.
struct UidText;

impl JsonSchema for UidText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Uids".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "minimum": 1,
            "maximum": LARGEST,
            "pattern": "^[1-9][0-9]*(-[1-9][0-9]*)?$"
        })
    }
}

/// The largest uid that runtimes take for one; Kubernetes refuses more.
const LARGEST: u32 = 2_147_483_647;

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, _: Span) -> Result<Box<dyn Rule>, SettingError> {
        const HELP: &str = "write uids such as `allow: [101, 1000-65535]`";
        let Some(list) = self.allow else { return Ok(Box::new(RunAsUser { allow: None })) };
        if list.value.is_empty() {
            return Err(SettingError::new(list.span, "`allow` names no uid, so nothing would pass", HELP));
        }
        let mut allow: Vec<RangeInclusive<u32>> = Vec::new();
        for text in &list.value {
            let error = |message: String| SettingError::new(text.span, message, HELP);
            let range = range(&text.value).ok_or_else(|| error(format!("`{}` is no uid and no range", text.value)))?;
            if *range.start() == 0 {
                return Err(error("uid 0 is root, which this rule never lets pass".to_owned()));
            }
            if allow.iter().any(|other| other.start() <= range.end() && range.start() <= other.end()) {
                return Err(error(format!("`{}` overlaps with another uid of the list", text.value)));
            }
            allow.push(range);
        }
        Ok(Box::new(RunAsUser { allow: Some(allow) }))
    }
}

/// `1000` or `1000-65535`; `None` for anything else, and for a range that holds nothing.
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = uid(first)?..=uid(last)?;
    (!range.is_empty()).then_some(range)
}

/// A uid, written in the one way that every reader takes for the same number.
fn uid(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|uid| plain && *uid <= LARGEST)
}

/// What a runtime makes of a user, as the OCI config and Compose write it: `USER[:GROUP]`, each a number or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Root,
    /// Never 0.
    Uid(u32),
    /// Surely no number to anyone.
    Name,
    /// Runtimes differ on it, or refuse it.
    Odd,
}

impl User {
    fn read(text: &str) -> Self {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let digits = user.strip_prefix(['+', '-']).unwrap_or(user);
        // without a user, and for whatever Go's `Atoi` makes 0 of, runtimes take root
        let is_zero = !digits.is_empty() && digits.bytes().all(|byte| byte == b'0');
        if matches!(user, "" | "root") || is_zero {
            return Self::Root;
        }
        let is_word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        };
        if group.is_some_and(|group| !is_word(group)) {
            return Self::Odd;
        }
        match uid(user) {
            Some(uid) => Self::Uid(uid),
            None if is_word(user) && user.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') => {
                Self::Name
            }
            None => Self::Odd,
        }
    }
}

#[derive(Debug)]
struct RunAsUser {
    /// `None`: every uid but 0.
    allow: Option<Vec<RangeInclusive<u32>>>,
}

/// What keeps a platform from passing.
enum Trouble {
    Violated(String),
    Undecided(String),
}

const HELP: &str = "name a uid in the workload (`runAsUser: 1000`) or in the image (`USER 1000`)";

impl Rule for RunAsUser {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs { content: Some(Depth::Details), ..Needs::NOTHING }
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let named = case.run_as.and_then(|run_as| run_as.user.as_deref());
        match named.and_then(|user| self.of_workload(user)) {
            Some(Trouble::Violated(message)) => return Judgement::Violated(Problem::new(message, HELP)),
            Some(Trouble::Undecided(message)) => return Judgement::Undecided(Problem::new(message, HELP)),
            None => {}
        }
        let image = match content(case) {
            Ok(image) => image,
            Err(problem) => return Judgement::Undecided(problem),
        };
        let (mut violated, mut undecided) = (Vec::new(), Vec::new());
        for found in chosen(image, case.platforms) {
            match self.of_platform(found, case.run_as, named.is_some()) {
                Some(Trouble::Violated(message)) => violated.push((name(found), message)),
                Some(Trouble::Undecided(message)) => undecided.push((name(found), message)),
                None => {}
            }
        }
        if !violated.is_empty() {
            return Judgement::Violated(Problem::new(by_platform(violated), HELP));
        }
        if !undecided.is_empty() {
            return Judgement::Undecided(Problem::new(by_platform(undecided), HELP));
        }
        named_but_lacking(image, case.platforms).map_or(Judgement::Satisfied, Judgement::Undecided)
    }
}

impl RunAsUser {
    fn allows(&self, uid: u32) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.iter().any(|range| range.contains(&uid)))
    }

    /// What is wrong with the user that a workload names.
    fn of_workload(&self, user: &str) -> Option<Trouble> {
        let text = cut(user);
        match User::read(user) {
            User::Root => Some(Trouble::Violated(format!("the workload runs it as root (`{text}`)"))),
            User::Uid(uid) if self.allows(uid) => None,
            User::Uid(_) => {
                Some(Trouble::Violated(format!("the workload runs it as `{text}`, which `allow` does not hold")))
            }
            User::Name => Some(Trouble::Undecided(format!(
                "the workload runs it as `{text}`, a name; which uid that is stands in the image's own files"
            ))),
            User::Odd => {
                Some(Trouble::Undecided(format!("as whom the workload runs it is not known from the file: {text}")))
            }
        }
    }

    /// What is wrong with one platform; where the workload names a uid, only Windows, which does not know them.
    fn of_platform(&self, found: &PlatformImage, run_as: Option<&RunAs>, named: bool) -> Option<Trouble> {
        let Some(details) = &found.details else {
            return Some(Trouble::Undecided("its config was not read".to_owned()));
        };
        let config = &details.config;
        let is_windows = |os: &str| os.eq_ignore_ascii_case("windows");
        if is_windows(&config.platform.os) || found.platform.as_ref().is_some_and(|platform| is_windows(&platform.os)) {
            return Some(Trouble::Undecided("as whom it runs is not known, for users of Windows are names".to_owned()));
        }
        if named {
            return None;
        }
        let refused = run_as.and_then(|run_as| run_as.non_root) == Some(true);
        let user = config.user.as_deref().unwrap_or_default();
        let text = cut(user);
        match User::read(user) {
            User::Root => {
                let why = if text.is_empty() { "names no user".to_owned() } else { format!("says `{text}`") };
                let end =
                    if refused { ", so the kubelet will not start it: the workload says `runAsNonRoot`" } else { "" };
                Some(Trouble::Violated(format!("runs as root, its config {why}{end}")))
            }
            User::Uid(uid) if self.allows(uid) => None,
            User::Uid(_) => Some(Trouble::Violated(format!("runs as `{text}`, which `allow` does not hold"))),
            User::Name if refused && self.allow.is_none() => None,
            User::Name => Some(Trouble::Undecided(format!(
                "runs as `{text}`, a name; which uid that is stands in the image's own files"
            ))),
            User::Odd => {
                Some(Trouble::Undecided(format!("runs as {text:?}, which runtimes do not all take for the same uid")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{Made, case, index_of, reference, refused, rule, says, single_of};
    use super::*;
    use crate::image::{Image, ImageError};
    use crate::registry::RegistryError;

    fn with_user(user: &str) -> Image {
        let config = serde_json::json!({"config": {"User": user}}).to_string();
        single_of(&Made { config: &config, ..Made::PLAIN }, Depth::Details)
    }

    fn judge(settings: &str, image: &Image, run_as: Option<&RunAs>) -> (char, String) {
        let reference = reference("nginx:1");
        match rule::<Settings>(settings).check(&Case { image: Some(Ok(image)), run_as, ..case(&reference) }) {
            Judgement::Satisfied => ('+', String::new()),
            Judgement::Violated(problem) => ('-', problem.message),
            Judgement::Undecided(problem) => ('?', problem.message),
        }
    }

    fn run_as(user: Option<&str>, non_root: Option<bool>) -> RunAs {
        RunAs { user: user.map(str::to_owned), non_root }
    }

    #[test]
    fn a_user_is_what_every_runtime_takes_it_for() {
        let rows = [
            ("+", &["1", "1000", "1000:1000", "1000:0", "1000:web", "2147483647", "65535:65535"][..]),
            ("-", &["", "0", "0:0", "0:1000", "root", "root:web", "00", "000:5", "+0", "-0", ":1000", "root:a:b"]),
            ("?", &["web", "Root", "_apt", "www-data", "nonroot:nonroot", "a.b", "root2"]),
            (
                "?",
                &[
                    "-1",
                    "+1000",
                    "01000",
                    "4294967296",
                    "4294967295",
                    "2147483648",
                    "99999999999999999999",
                    "1000 ",
                    " 1000",
                    "1000\n",
                    "1000:",
                    "1000:5:6",
                    "1000:a b",
                    "1e3",
                    "1000.0",
                    "0x3e8",
                    "1_000",
                    "root ",
                    "\u{661}",
                    "1000\0",
                    "$UID",
                    "{{ x }}",
                    "+",
                    "-",
                ],
            ),
        ];
        for (expected, users) in rows {
            for user in users {
                let (found, message) = judge("{}", &with_user(user), None);
                assert_eq!(found.to_string(), expected, "{user:?} in the image: {message}");
                // and the same where the workload says so, of an image that would pass by itself
                if !user.is_empty() {
                    let said = run_as(Some(user), None);
                    let (found, message) = judge("{}", &with_user("1000"), Some(&said));
                    assert_eq!(found.to_string(), expected, "{user:?} in the workload: {message}");
                }
            }
        }
    }

    #[test]
    fn the_workloads_user_counts_before_the_images() {
        for (user, non_root, image, expected) in [
            (Some("1000"), None, "", '+'),
            (Some("1000"), Some(false), "root", '+'),
            (Some("1000"), Some(true), "4294967296", '+'),
            (Some("0"), None, "1000", '-'),
            (Some("0"), Some(true), "1000", '-'),
            (Some("web"), Some(true), "1000", '?'),
            (Some("${UID}"), Some(true), "1000", '?'),
            (None, Some(true), "1000", '+'),
            (None, Some(true), "web", '+'),
            (None, Some(true), "web:web", '+'),
            (None, Some(false), "web", '?'),
            (None, Some(true), "", '-'),
            (None, Some(true), "root", '-'),
            // the kubelet takes these for numbers other than 0, containerd looked them up as names
            (None, Some(true), "4294967296", '?'),
            (None, Some(true), "-1", '?'),
            (None, Some(true), "1000 ", '?'),
        ] {
            let said = run_as(user, non_root);
            let (found, message) = judge("{}", &with_user(image), Some(&said));
            assert_eq!(found, expected, "{said:?} over {image:?}: {message}");
        }
        let (_, message) = judge("{}", &with_user(""), Some(&run_as(None, Some(true))));
        assert!(message.contains("the kubelet will not start it"), "{message}");
    }

    #[test]
    fn only_uids_of_the_list_pass() {
        let only = "{allow: [101, 1000-1002]}";
        for (user, expected) in [
            ("101", '+'),
            ("100", '-'),
            ("999", '-'),
            ("1000:5", '+'),
            ("1002", '+'),
            ("1003", '-'),
            ("0", '-'),
            ("web", '?'),
        ] {
            assert_eq!(judge(only, &with_user(user), None).0, expected, "{user}");
            assert_eq!(judge(only, &with_user("101"), Some(&run_as(Some(user), None))).0, expected, "{user}");
        }
        assert_eq!(judge(only, &with_user("web"), Some(&run_as(None, Some(true)))).0, '?');
    }

    #[test]
    fn every_platform_is_held_to_it() {
        let user = |user: &str| format!(r#"{{"config":{{"User":"{user}"}}}}"#);
        let (good, bad, name) = (user("1000"), user("0"), user("web"));
        let made = |platform, config| Made { platform, config, ..Made::PLAIN };
        let image = index_of(&[made("linux/amd64", &good), made("linux/arm64", &bad), made("linux/arm", &name)], "{}");
        assert_eq!(judge("{}", &image, None), ('-', "linux/arm64: runs as root, its config says `0`".to_owned()));
        assert_eq!(judge("{}", &image, Some(&run_as(Some("7"), None))).0, '+');
        let reference = reference("nginx:1");
        for (platform, satisfied) in [("linux/amd64", true), ("linux/arm", false), ("linux/s390x", false)] {
            let platforms = [platform.parse().expect("a platform")];
            let case = Case { image: Some(Ok(&image)), platforms: &platforms, ..case(&reference) };
            assert_eq!(rule::<Settings>("{}").check(&case) == Judgement::Satisfied, satisfied, "{platform}");
        }
        // Windows has no uids, whatever the workload says
        let windows = index_of(&[made("linux/amd64", &good), made("windows/amd64", &good)], "{}");
        for said in [None, Some(&run_as(Some("1000"), None))] {
            let (found, message) = judge("{}", &windows, said);
            assert!(found == '?' && message.contains("windows/amd64"), "{found} {message}");
        }
    }

    #[test]
    fn no_image_makes_a_long_message() {
        for long in
            ["z".repeat(1 << 20), "0".repeat(1 << 20), "1".repeat(1 << 20), format!("0:{}", "\u{1b}".repeat(1 << 20))]
        {
            let said = run_as(Some(&long), None);
            for (image, said) in [(with_user(&long), None), (with_user("1000"), Some(&said))] {
                let (found, message) = judge("{}", &image, said);
                assert!(found != '+' && message.len() < 1_000, "{found}: {} bytes", message.len());
            }
        }
        let users: Vec<String> = (0..300).map(|number| format!(r#"{{"config":{{"User":"u{number}"}}}}"#)).collect();
        let made: Vec<Made<'_>> = users.iter().map(|config| Made { config, ..Made::PLAIN }).collect();
        let (found, message) = judge("{}", &index_of(&made, "{}"), None);
        assert!(found == '?' && message.len() < 1_000, "{found}: {} bytes", message.len());
        assert!(message.contains("and 295 more"), "{message}");
    }

    #[test]
    fn what_was_not_read_is_undecided() {
        let shallow = single_of(&Made { config: r#"{"config":{"User":"1000"}}"#, ..Made::PLAIN }, Depth::Configs);
        assert_eq!(judge("{}", &shallow, None).0, '?');
        let rule = rule::<Settings>("{}");
        assert!(matches!(says(&*rule, "nginx"), Judgement::Undecided(_)));
        let reference = reference("nginx");
        let error = ImageError::Registry(RegistryError::NotFound { place: "r.io".to_owned() });
        for (user, root) in [("1000", false), ("0", true)] {
            let said = run_as(Some(user), None);
            let found = rule.check(&Case { image: Some(Err(&error)), run_as: Some(&said), ..case(&reference) });
            assert_eq!(matches!(found, Judgement::Violated(_)), root, "{found:?}");
            assert_ne!(found, Judgement::Satisfied);
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        for (settings, expected) in [
            ("{allow: []}", "names no uid"),
            ("{allow: [0]}", "never lets pass"),
            ("{allow: [0-5]}", "never lets pass"),
            ("{allow: [web]}", "no uid and no range"),
            ("{allow: [-1]}", "no uid and no range"),
            ("{allow: [01]}", "no uid and no range"),
            ("{allow: [5-4]}", "no uid and no range"),
            ("{allow: [1000-]}", "no uid and no range"),
            ("{allow: [2147483648]}", "no uid and no range"),
            ("{allow: [5-9, 9-10]}", "overlaps"),
            ("{allow: 5}", "sequence"),
            ("{non-root: true}", "unknown field"),
        ] {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
