//! The config of an image of one platform, parsed from bytes that were hashed (image-spec 1.1, config.md).
//! All of it is what the builder wrote; where history and layers do not agree, no layer is given a command.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::secret::Value;
use super::strict::{self, FREE, Shape};
use super::{ImageError, Platform};
use crate::digest::Digest;
use crate::limits;

static SHAPE: Shape = Shape {
    known: &[
        "created",
        "author",
        "architecture",
        "os",
        "variant",
        "config",
        "rootfs",
        "history",
        "moby.buildkit.buildinfo.v1",
    ],
    below: &[("config", &SETTINGS), ("rootfs", &ROOTFS), ("history", &ENTRY)],
    rest: &FREE,
};

static SETTINGS: Shape = Shape {
    known: &[
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Volumes",
        "WorkingDir",
        "Labels",
        "StopSignal",
        "Healthcheck",
    ],
    below: &[],
    rest: &FREE,
};

static ROOTFS: Shape = Shape { known: &["type", "diff_ids"], below: &[], rest: &FREE };

static ENTRY: Shape =
    Shape { known: &["created", "created_by", "author", "comment", "empty_layer"], below: &[], rest: &FREE };

/// What an image runs, as whom, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The platform, by the config's word.
    pub platform: Platform,
    /// When it was built, as written; builders that want the same bytes each time write 1970.
    pub created: Option<String>,
    /// `User` as written; `None` where it is not set, which runtimes take for root.
    pub user: Option<String>,
    /// The environment variables; their values may be secrets, so nothing here keeps them.
    pub environment: Vec<Variable>,
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub command: Vec<String>,
    /// `WorkingDir`, where it is set.
    pub working_dir: Option<String>,
    /// `ExposedPorts`: `80/tcp`.
    pub ports: Vec<String>,
    /// `Volumes`.
    pub volumes: Vec<String>,
    /// `Labels`.
    pub labels: BTreeMap<String, String>,
    /// The `Test` of a `Healthcheck`.
    pub healthcheck: Vec<String>,
    /// Digests of the unpacked layers, base first.
    pub diff_ids: Vec<Digest>,
    /// How it came about, base first.
    pub history: Vec<History>,
    /// `moby.buildkit.buildinfo.v1`: the sources of the build, as BuildKit 0.10 and 0.11 recorded them.
    pub build_info: Option<String>,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name; empty where it is written without one, or where all that is written looks like a secret.
    pub name: String,
    /// What its value looks like.
    pub value: Value,
}

impl Variable {
    /// Reads `NAME=value`, and forgets the value.
    fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, value)) => Self { name: name.to_owned(), value: Value::of(value) },
            None => match Value::of(text) {
                secret @ Value::Secret(_) => Self { name: String::new(), value: secret },
                _ => Self { name: text.to_owned(), value: Value::Blank },
            },
        }
    }
}

/// One step of a build.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct History {
    /// When, as written.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// Whether it made no layer.
    #[serde(default)]
    pub empty_layer: bool,
}

#[derive(Deserialize)]
struct Raw {
    os: String,
    architecture: String,
    variant: Option<String>,
    created: Option<String>,
    config: Option<Settings>,
    rootfs: Option<Rootfs>,
    #[serde(default, deserialize_with = "strict::at_most::<{ limits::HISTORY_ENTRIES }, _, _>")]
    history: Vec<History>,
    #[serde(rename = "moby.buildkit.buildinfo.v1", default, deserialize_with = "strict::text_if_any")]
    build_info: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    user: Option<String>,
    #[serde(deserialize_with = "strict::list")]
    env: Vec<String>,
    #[serde(deserialize_with = "strict::list")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "strict::list")]
    cmd: Vec<String>,
    working_dir: Option<String>,
    #[serde(deserialize_with = "strict::set")]
    exposed_ports: Vec<String>,
    #[serde(deserialize_with = "strict::set")]
    volumes: Vec<String>,
    #[serde(deserialize_with = "strict::texts")]
    labels: BTreeMap<String, String>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck {
    #[serde(default, deserialize_with = "strict::list")]
    test: Vec<String>,
}

#[derive(Deserialize)]
struct Rootfs {
    #[serde(default, deserialize_with = "strict::list")]
    diff_ids: Vec<String>,
}

impl Config {
    /// Parses a config of that digest.
    pub fn parse(digest: &Digest, bytes: &[u8]) -> Result<Self, ImageError> {
        let unsound = |reason: String| ImageError::Unsound { digest: digest.clone(), reason };
        strict::top_keys(bytes, &SHAPE).map_err(|error| unsound(error.to_string()))?;
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| unsound(strict::fault("the config", &error)))?;
        let diff_ids = raw.rootfs.map(|rootfs| rootfs.diff_ids).unwrap_or_default();
        let diff_ids =
            diff_ids.iter().map(|text| Digest::parse(text).map_err(|_| unsound("a diff_id is no digest".to_owned())));
        let settings = raw.config.unwrap_or_default();
        let written = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            platform: Platform { os: raw.os, architecture: raw.architecture, variant: written(raw.variant) },
            created: written(raw.created),
            user: written(settings.user),
            environment: settings.env.iter().map(|text| Variable::parse(text)).collect(),
            entrypoint: settings.entrypoint,
            command: settings.cmd,
            working_dir: written(settings.working_dir),
            ports: settings.exposed_ports,
            volumes: settings.volumes,
            labels: settings.labels,
            healthcheck: settings.healthcheck.map(|check| check.test).unwrap_or_default(),
            diff_ids: diff_ids.collect::<Result<_, _>>()?,
            history: raw.history,
            build_info: raw.build_info,
        })
    }

    /// When it was built; `None` where it does not say so in RFC 3339.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.created.as_deref()?.parse().ok()
    }

    /// The command that made each of `layers` layers, base first. Where the history does not account for exactly so
    /// many layers, which is whose can't be known, and none has a command. Values of build arguments and
    /// of variables are left out: secrets are given in them.
    pub fn commands(&self, layers: usize) -> Vec<Option<String>> {
        let steps: Vec<&History> = self.history.iter().filter(|step| !step.empty_layer).collect();
        if steps.len() != layers {
            return vec![None; layers];
        }
        let command = |step: &History| step.created_by.as_deref().filter(|text| !text.is_empty()).map(without_values);
        steps.into_iter().map(command).collect()
    }
}

/// A command without the values that it was given.
fn without_values(command: &str) -> String {
    without_settings(&without_arguments(command))
}

/// `ENV A=…` and `ARG A=…` without the value, as BuildKit writes them, or the older builders behind `#(nop)`. What
/// follows the first name is left out as well: values are written without quotes, so that none is surely a name.
fn without_settings(command: &str) -> String {
    const OLD: &str = "#(nop)";
    let start = command.find(OLD).map_or(0, |at| at + OLD.len());
    let (before, rest) = command.split_at(start);
    let instruction = rest.trim_start();
    let Some((word, settings)) = instruction.split_once(char::is_whitespace) else { return command.to_owned() };
    if !["ENV", "ARG"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
        return command.to_owned();
    }
    let settings = settings.trim();
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    let (name, value) = settings.split_at(settings.find(|letter| !is_letter(letter)).unwrap_or(settings.len()));
    let gap = &rest[..rest.len() - instruction.len()];
    let end = match value.chars().next() {
        None => "",
        Some('=') => "=…",
        Some(_) => " …",
    };
    format!("{before}{gap}{word} {name}{end}")
}

/// `|2 A=… B=… /bin/sh -c make`, as builders write a command that was given arguments, without them.
fn without_arguments(command: &str) -> String {
    let whole = || command.to_owned();
    let (before, rest) = match command.strip_prefix("RUN |") {
        Some(rest) => ("RUN ", rest),
        None => match command.strip_prefix('|') {
            Some(rest) => ("", rest),
            None => return whole(),
        },
    };
    let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let (count, rest) = rest.split_at(digits);
    if count.is_empty() || !rest.starts_with(' ') {
        return whole();
    }
    // A value may hold anything, the shell's name too: what follows its last one is surely no argument.
    match rest.rfind(" /bin/sh -c ") {
        Some(at) => format!("{before}|{count} …{}", &rest[at..]),
        None => format!("{before}|{count} …"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ImageError> {
        Config::parse(&Digest::sha256(text.as_bytes()), text.as_bytes())
    }

    fn with(more: &str) -> String {
        format!(r#"{{"os":"linux","architecture":"amd64"{more}}}"#)
    }

    #[test]
    fn what_is_written_is_read() {
        let hex = "a".repeat(64);
        let config = parse(&with(&format!(
            r#","variant":"v2","created":"2026-01-02T03:04:05.678Z","author":"x",
            "config":{{"User":"nobody","Env":["A=1=2","B=","C"],"Entrypoint":["/e"],"Cmd":["c","d"],"WorkingDir":"/w",
            "ExposedPorts":{{"80/tcp":{{}},"443/tcp":{{}}}},"Volumes":{{"/v":{{}}}},"Labels":{{"size":"1","Size":"2"}},
            "Healthcheck":{{"Test":["CMD","true"],"Interval":3}},"OnBuild":null}},
            "rootfs":{{"type":"layers","diff_ids":["sha256:{hex}"]}},
            "history":[{{"created_by":"one"}},{{"created_by":"two","empty_layer":true}}]"#
        )))
        .expect("a config");
        assert_eq!(config.platform.to_string(), "linux/amd64/v2");
        assert_eq!(config.created_at().expect("a time").to_string(), "2026-01-02T03:04:05.678Z");
        assert_eq!((config.user.as_deref(), config.working_dir.as_deref()), (Some("nobody"), Some("/w")));
        let environment: Vec<_> = config.environment.iter().map(|found| (found.name.as_str(), found.value)).collect();
        assert_eq!(environment, [("A", Value::Other), ("B", Value::Blank), ("C", Value::Blank)]);
        assert_eq!((config.entrypoint.join(" "), config.command.join(" ")), ("/e".to_owned(), "c d".to_owned()));
        assert_eq!((config.ports, config.volumes), (vec!["443/tcp".into(), "80/tcp".into()], vec!["/v".into()]));
        assert_eq!((config.labels.len(), config.healthcheck.len(), config.diff_ids.len()), (2, 2, 1));
    }

    #[test]
    fn no_value_of_the_environment_is_kept() {
        let token = format!("ghp_{}", "a1".repeat(20));
        let environment =
            format!(r#","config":{{"Env":["A={token}","B=hunter2","{token}","={token}","C=x={token}"]}}"#);
        let config = parse(&with(&environment)).expect("a config");
        let secret = Value::Secret("a GitHub token");
        let found: Vec<_> = config.environment.iter().map(|found| (found.name.as_str(), found.value)).collect();
        assert_eq!(found, [("A", secret), ("B", Value::Other), ("", secret), ("", secret), ("C", secret)]);
        let shown = format!("{config:?}");
        assert!(!shown.contains(&token) && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_is_not_written_is_not_made_up() {
        let nulls = r#","created":"","config":{"User":"","Env":null,"Entrypoint":null,"Cmd":null,"Labels":null,
            "ExposedPorts":null,"Volumes":null,"WorkingDir":"","Healthcheck":null},"rootfs":{},"history":null"#;
        for more in ["", r#","config":null,"rootfs":null"#, nulls] {
            let config = parse(&with(more)).expect("a config");
            assert_eq!((config.user, config.created, config.working_dir), (None, None, None), "{more}");
            assert!(config.environment.is_empty() && config.history.is_empty() && config.labels.is_empty());
        }
        let config = parse(&with(r#","created":"yesterday""#)).expect("a config");
        assert_eq!((config.created_at(), config.created.as_deref()), (None, Some("yesterday")));
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        let rows = [
            ("doubled user", r#","config":{"User":"nobody","User":"root"}"#.to_owned()),
            ("user in other letters", r#","config":{"User":"nobody","user":"root"}"#.to_owned()),
            ("folded user", r#","config":{"U\u017fer":"root"}"#.to_owned()),
            ("doubled label", r#","config":{"Labels":{"a":"1","a":"2"}}"#.to_owned()),
            ("doubled config", r#","config":{},"config":{}"#.to_owned()),
            ("config in other letters", r#","Config":{}"#.to_owned()),
            ("os in other letters", r#","OS":"windows""#.to_owned()),
            ("history in other letters", r#","history":[{"Created_By":"x"}]"#.to_owned()),
            ("a number for a user", r#","config":{"User":0}"#.to_owned()),
            ("a number for a label", r#","config":{"Labels":{"a":1}}"#.to_owned()),
            ("a text for a list", r#","config":{"Cmd":"sh"}"#.to_owned()),
            ("a short digest", r#","rootfs":{"diff_ids":["sha256:aa"]}"#.to_owned()),
            ("a text for a flag", r#","history":[{"empty_layer":"true"}]"#.to_owned()),
            ("a number for the environment", r#","config":{"Env":5}"#.to_owned()),
            ("a list for labels", r#","config":{"Labels":[]}"#.to_owned()),
            ("too much history", format!(r#","history":[{}{{}}]"#, "{},".repeat(limits::HISTORY_ENTRIES))),
            ("a million entries", format!(r#","history":[{}{{}}]"#, "{},".repeat(1_000_000))),
            ("deep", format!(r#","x":{}"#, "[".repeat(100_000))),
        ];
        for (name, more) in rows {
            assert!(matches!(parse(&with(&more)), Err(ImageError::Unsound { .. })), "{name}");
        }
        for text in ["", "{}", "[]", "null", r#"{"os":"linux"}"#, "<html>", r#"{"os":"linux","architecture":"a"} x"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_error_repeats_a_value() {
        let rows = [
            r#","config":{"Env":"DB_PASSWORD=hunter2leak"}"#,
            r#","config":{"Env":["A=b",7771777]}"#,
            r#","config":{"Env":7771777}"#,
            r#","config":{"Env":{"DB_PASSWORD=hunter2leak":1,"DB_PASSWORD=hunter2leak":1}}"#,
            r#","config":{"Env":[{"DB_PASSWORD":"hunter2leak"}]}"#,
            r#","config":{"Labels":{"a":7771777}}"#,
            r#","config":{"Labels":"hunter2leak"}"#,
            r#","config":{"Volumes":"hunter2leak"}"#,
            r#","config":{"User":7771777}"#,
            r#","config":"hunter2leak""#,
            r#","history":"hunter2leak""#,
            r#","history":[{"empty_layer":"hunter2leak"}]"#,
            r#","rootfs":{"diff_ids":["hunter2leak"]}"#,
            r#","created":7771777"#,
            r#","x":hunter2leak"#,
        ];
        for more in rows {
            let found = parse(&with(more)).expect_err("a fault").to_string();
            assert!(!found.contains("hunter2") && !found.contains("7771777"), "{more}: {found}");
        }
        let found = parse(&with(r#","config":{"Env":"A=hunter2leak"}"#)).expect_err("a fault").to_string();
        assert!(found.contains("the config can't be read at line 1 column "), "{found}");
        assert!(parse("{}").expect_err("a fault").to_string().contains("missing field `os`"));
        let long = format!(r#","{0}":1,"{0}":1"#, "k".repeat(1_000_000));
        let found = parse(&with(&long)).expect_err("a fault").to_string();
        assert!(found.contains("stands twice") && found.len() < 500, "{} bytes", found.len());
    }

    #[test]
    fn a_list_may_be_long_and_not_endless() {
        let most = limits::CONFIG_ENTRIES;
        let list = |count: usize| format!("[{}]", vec![r#""A=b""#; count].join(","));
        let map = |count: usize, value: &str| {
            let rows: Vec<String> = (0..count).map(|number| format!(r#""{number}":{value}"#)).collect();
            format!("{{{}}}", rows.join(","))
        };
        for (key, fits, over) in [
            ("Env", list(most), list(most + 1)),
            ("Entrypoint", list(most), list(most + 1)),
            ("Cmd", list(most), list(most + 1)),
            ("Labels", map(most, r#""x""#), map(most + 1, r#""x""#)),
            ("ExposedPorts", map(most, "{}"), map(most + 1, "{}")),
            ("Volumes", map(most, "{}"), map(most + 1, "{}")),
        ] {
            let settings = |value: String| with(&format!(r#","config":{{"{key}":{value}}}"#));
            assert!(parse(&settings(fits)).is_ok(), "{key}");
            let found = parse(&settings(over)).expect_err("too many").to_string();
            assert!(found.contains(&format!("more than {most} entries")), "{key}: {found}");
        }
    }

    #[test]
    fn build_info_is_a_text_or_nothing() {
        for (value, expected) in [(r#""eyJ""#, Some("eyJ")), ("null", None), ("[1,[2]]", None), (r#"{"a":{}}"#, None)] {
            let config = parse(&with(&format!(r#","moby.buildkit.buildinfo.v1":{value}"#))).expect("a config");
            assert_eq!(config.build_info.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_history_that_does_not_account_for_the_layers_gives_no_command() {
        let layer = r#"{"created_by":"made"}"#;
        let empty = r#"{"created_by":"ENV X=1","empty_layer":true}"#;
        let rows = [
            (format!("{empty},{layer},{empty},{layer}"), 2, [Some("made"), Some("made")]),
            (format!("{layer},{empty}"), 2, [None, None]),
            (format!("{layer},{layer},{layer}"), 2, [None, None]),
            (String::new(), 2, [None, None]),
            (format!("{layer},{{}}"), 2, [Some("made"), None]),
            (format!("{layer},{{\"created_by\":\"\"}}"), 2, [Some("made"), None]),
        ];
        for (history, layers, expected) in rows {
            let config = parse(&with(&format!(r#","history":[{history}]"#))).expect("a config");
            let found = config.commands(layers);
            assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{history}");
        }
        assert_eq!(parse(&with("")).expect("a config").commands(0), Vec::<Option<String>>::new());
    }

    #[test]
    fn arguments_of_a_build_are_left_out_of_its_commands() {
        let rows = [
            ("RUN /bin/sh -c make # buildkit", "RUN /bin/sh -c make # buildkit"),
            ("RUN |1 TOKEN=abc /bin/sh -c make # buildkit", "RUN |1 … /bin/sh -c make # buildkit"),
            ("|2 A=1 B=x y /bin/sh -c make", "|2 … /bin/sh -c make"),
            ("|1 A= /bin/sh -c secret /bin/sh -c make", "|1 … /bin/sh -c make"),
            ("|1 A=secret powershell make", "|1 …"),
            ("|1", "|1"),
            ("|x A=1 /bin/sh -c y", "|x A=1 /bin/sh -c y"),
        ];
        for (command, expected) in rows {
            assert_eq!(without_arguments(command), expected);
        }
    }

    #[test]
    fn values_of_variables_are_left_out_of_commands() {
        let rows = [
            ("ENV DB_PASSWORD=hunter2", "ENV DB_PASSWORD=…"),
            ("ENV A=b DB_PASSWORD=hunter2", "ENV A=…"),
            ("ENV A=correct horse=x", "ENV A=…"),
            ("ENV A=\"x\ny\"", "ENV A=…"),
            ("ENV DB_PASSWORD hunter2", "ENV DB_PASSWORD …"),
            ("env\tA=b", "env A=…"),
            ("ENV =x", "ENV =…"),
            ("ENV $x", "ENV  …"),
            ("ARG TOKEN=abc", "ARG TOKEN=…"),
            ("ARG TOKEN", "ARG TOKEN"),
            ("/bin/sh -c #(nop)  ENV A=b c", "/bin/sh -c #(nop)  ENV A=…"),
            ("/bin/sh -c #(nop) ARG A=b", "/bin/sh -c #(nop) ARG A=…"),
            ("|1 T=s /bin/sh -c #(nop)  ENV A=b", "|1 … /bin/sh -c #(nop)  ENV A=…"),
            ("RUN /bin/sh -c make A=b # buildkit", "RUN /bin/sh -c make A=b # buildkit"),
            ("/bin/sh -c #(nop)  CMD [\"x\"]", "/bin/sh -c #(nop)  CMD [\"x\"]"),
            ("ENVIRON A=b", "ENVIRON A=b"),
            ("ENV", "ENV"),
        ];
        for (command, expected) in rows {
            assert_eq!(without_values(command), expected);
            let history = serde_json::json!([{"created_by": command}]);
            let config = parse(&with(&format!(r#","history":{history}"#))).expect("a config");
            assert_eq!(config.commands(1), [Some(expected.to_owned())]);
        }
    }
}
