//! `image-config`: what stands in the config of every platform, and around it. Needs the configs.
//! What it asks for is the builder's word; values of environment variables reach no message, for nothing keeps them.
//!
//! Longer than most files: nine settings, and the rows that show each of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{content, detailed};
use super::port::Ports;
use super::setting::{self, At, LevelSetting, SettingError, present};
use super::wording::{by_platform, cut, list};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::image::{Depth, Details, Image, Value, Variable};
use crate::pattern::Glob;
use crate::span::Span;

/// Names of variables that hold secrets; the case of letters does not count.
const SECRET_NAMES: [&str; 22] = [
    "*PASSWORD*",
    "*PASSWD*",
    "*PASSPHRASE*",
    "PASS",
    "*_PASS",
    "*_PASS_*",
    "*_PWD",
    "PWD_*",
    "*SECRET*",
    "*CREDENTIAL*",
    "*CREDS*",
    "*TOKEN",
    "*TOKEN_*",
    "*TOKENS",
    "*_AUTH",
    "JWT",
    "*APIKEY*",
    "*API_KEY*",
    "*ACCESS_KEY*",
    "KEY",
    "*_KEY",
    "*_KEYS",
];
/// Names that are none of them: keys that everybody may know, and a number of words.
const PLAIN_NAMES: [&str; 3] = ["*PUBLIC_KEY*", "GPG_KEY", "*MAX_*TOKENS"];
/// Names that are none of them where the value begins with `/`: it says where a secret is.
const PATH_NAMES: [&str; 3] = ["*_FILE", "*_PATH", "*_DIR"];

const IMAGE: &[(&str, u64)] = &[("linux/amd64", 70_000_000)];

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "image-config",
    summary: "the image's config and annotations say what the policy asks for, and nothing that it forbids",
    explain: "\
Checks the config of every platform, or of those named with `--platform`.

- `labels` and `annotations` must be there and not be empty; with `=`, the value must fit, where `*` stands for any run \
of characters. An annotation may stand on the manifest, on its entry in the index, or on the index; wherever it stands, \
it must fit.
- `forbid-ports`: ports that the config exposes. A port that can't be read leaves the image undecided.
- `forbid-environment`: names of variables, whatever their value. `secrets: forbidden` looks at names and values. Names: \
`*PASSWORD*`, `*PASSWD*`, `*PASSPHRASE*`, `PASS`, `*_PASS`, `*_PASS_*`, `*_PWD`, `PWD_*`, `*SECRET*`, `*CREDENTIAL*`, `*CREDS*`, `*TOKEN`, `*TOKEN_*`, `*TOKENS`, `*_AUTH`, `JWT`, `*APIKEY*`, `*API_KEY*`, `*ACCESS_KEY*`, `KEY`, `*_KEY`, `*_KEYS`, but not `*PUBLIC_KEY*`, `GPG_KEY`, \
`*MAX_*TOKENS`, nor `*_FILE`, `*_PATH`, `*_DIR` with a value that begins with `/`, and not where \
the value is empty or a word such as `yes` or `false`. Values: private keys, JSON web tokens, URLs and connection \
strings with a password, and tokens of well-known services. No value is ever shown or kept. Upper and lower case are the same in names.
- `healthcheck`: Docker's; Kubernetes takes no notice of it. `NONE` counts as none.
- `entrypoint: required` asks for one; a command alone is none. `volumes: forbidden` asks for no declared volume.

Why: labels say who made an image and from what, a secret in a config is read by everybody who can pull it, and a \
declared port or volume is opened or made wherever the image is run without a word on it.

All of it is the builder's word. A label proves no origin, and a process may open ports that its image does not name.

To satisfy it, set what is missing in the Dockerfile or the builder's settings; give secrets to a build as secret \
mounts and to a container when it runs, and renew each one that was in an image.",
    settings: &[
        ("labels", "labels that must be there: `name`, or `name=pattern` for its value"),
        ("annotations", "annotations that must be there, written as `labels` are"),
        ("forbid-ports", "ports that must not be exposed: `22`, `1-1023/tcp`, `53/udp`; without a protocol, of any"),
        ("forbid-environment", "names of variables that must not be set, with `*` for any run of characters"),
        ("secrets", "`forbidden`: no variable looks like a secret, by its name or its value"),
        ("allow-environment", "names of variables that `forbid-environment` and `secrets` pass over, with `*`"),
        ("healthcheck", "`required` or `forbidden`"),
        ("entrypoint", "`required`"),
        ("volumes", "`forbidden`; at least one setting is required"),
    ],
    examples: &[
        Example {
            settings: "{labels: [\"org.opencontainers.image.source=https://github.com/acme/*\"], secrets: forbidden}",
            reference: "ghcr.io/acme/app:1.2",
            facts: Facts {
                platforms: IMAGE,
                config: Some(
                    r#"{"config": {"Labels": {"org.opencontainers.image.source": "https://github.com/acme/app"}, "Env": ["DB_PASSWORD_FILE=/run/db"]}}"#,
                ),
                ..Facts::NONE
            },
            says: None,
        },
        Example {
            settings: "{labels: [org.opencontainers.image.source], secrets: forbidden, forbid-ports: [22, \"1-1023/udp\"]}",
            reference: "ghcr.io/acme/app:1.2",
            facts: Facts {
                platforms: IMAGE,
                config: Some(r#"{"config": {"Env": ["DB_PASSWORD=hunter2"], "ExposedPorts": {"22/tcp": {}}}}"#),
                ..Facts::NONE
            },
            says: Some(
                "linux/amd64: no label `org.opencontainers.image.source`, port `22/tcp` is exposed, \
                 variable `DB_PASSWORD` looks like a secret by its name",
            ),
        },
        Example {
            settings: "{annotations: [\"com.acme.team=payments\"], healthcheck: required, volumes: forbidden}",
            reference: "ghcr.io/acme/app:1.2",
            facts: Facts {
                platforms: IMAGE,
                config: Some(r#"{"config": {"Healthcheck": {"Test": ["NONE"]}, "Volumes": {"/data": {}}}}"#),
                annotations: Some(r#"{"com.acme.team": "shop"}"#),
                ..Facts::NONE
            },
            says: Some(
                "linux/amd64: annotation `com.acme.team` is `shop`, not `payments`, no healthcheck, volume `/data` is declared",
            ),
        },
    ],
    schema: schema_of::<Settings>,
};

type Texts = At<Vec<At<String>>>;

/// Its settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    #[serde(default)]
    level: LevelSetting,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    labels: Option<Texts>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    annotations: Option<Texts>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<PortText>>")]
    forbid_ports: Option<Texts>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    forbid_environment: Option<Texts>,
    #[serde(default, deserialize_with = "present")]
    secrets: Option<Forbidden>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    allow_environment: Option<Texts>,
    #[serde(default, deserialize_with = "present")]
    healthcheck: Option<Presence>,
    #[serde(default, deserialize_with = "present")]
    entrypoint: Option<Required>,
    #[serde(default, deserialize_with = "present")]
    volumes: Option<Forbidden>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Presence {
    Required,
    Forbidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Required {
    Required,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Forbidden {
    Forbidden,
}

/// A port, or several, in the schema.
struct PortText;

impl JsonSchema for PortText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "minimum": 1,
            "maximum": 65_535,
            "pattern": "^[0-9]+(-[0-9]+)?(/([tT][cC][pP]|[uU][dD][pP]|[sS][cC][tT][pP]))?$"
        })
    }
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError> {
        let rule = ImageConfig {
            labels: read(self.labels.as_ref(), "labels", Text::parse, |text| text.name.clone())?,
            annotations: read(self.annotations.as_ref(), "annotations", Text::parse, |text| text.name.clone())?,
            forbid_ports: read(self.forbid_ports.as_ref(), "forbid-ports", ports, |(text, _)| text.clone())?,
            forbid_environment: read(
                self.forbid_environment.as_ref(),
                "forbid-environment",
                name,
                ToString::to_string,
            )?,
            secrets: self.secrets,
            allow_environment: read(self.allow_environment.as_ref(), "allow-environment", name, ToString::to_string)?,
            healthcheck: self.healthcheck,
            entrypoint: self.entrypoint,
            volumes: self.volumes,
        };
        if let Some(allow) =
            self.allow_environment.filter(|_| rule.forbid_environment.is_empty() && rule.secrets.is_none())
        {
            let message = "`allow-environment` takes out of `forbid-environment` and `secrets`, and neither is set";
            return Err(SettingError::new(allow.span, message, "add `secrets: forbidden`, or leave it out"));
        }
        if rule.says_nothing() {
            let message = "image-config needs at least one setting";
            return Err(SettingError::new(at, message, "write `secrets: forbidden`, or what else it should check"));
        }
        if let Some(both) = rule.forbid_environment.iter().find(|forbidden| rule.allow_environment.contains(forbidden))
        {
            let written = self.forbid_environment.iter().flat_map(|list| &list.value);
            let span =
                written.into_iter().find(|text| name(&text.value).as_ref() == Ok(both)).map_or(at, |text| text.span);
            let message = format!("`{both}` stands in both `forbid-environment` and `allow-environment`");
            return Err(SettingError::new(span, message, "leave it in one of the two"));
        }
        Ok(Box::new(rule))
    }
}

/// The items of a list that is not empty, none of them twice; an error says its message and its way out.
fn read<T>(
    written: Option<&Texts>,
    setting: &str,
    parse: impl Fn(&str) -> Result<T, (String, &'static str)>,
    key: impl Fn(&T) -> String,
) -> Result<Vec<T>, SettingError> {
    let Some(written) = written else { return Ok(Vec::new()) };
    if written.value.is_empty() {
        return Err(SettingError::new(
            written.span,
            format!("`{setting}` is empty"),
            "name something, or leave it out",
        ));
    }
    let mut seen = HashSet::new();
    let item = |text: &At<String>| {
        let item = parse(&text.value).map_err(|(message, help)| SettingError::new(text.span, message, help))?;
        if !seen.insert(key(&item)) {
            return Err(SettingError::new(text.span, format!("`{}` stands twice", key(&item)), "leave one away"));
        }
        Ok(item)
    };
    written.value.iter().map(item).collect()
}

/// A label or annotation that must be there.
#[derive(Debug)]
struct Text {
    name: String,
    value: Option<Glob>,
}

impl Text {
    fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        let help = "write `org.opencontainers.image.source` or `org.opencontainers.image.vendor=Acme*`";
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if name.is_empty() || name.contains('*') || name.contains(char::is_whitespace) {
            return Err((format!("`{name}` is not the name of a label or an annotation"), help));
        }
        if value.is_some_and(str::is_empty) {
            return Err((format!("`{text}` asks for no value"), "write the name alone, or a value behind the `=`"));
        }
        Ok(Self { name: name.to_owned(), value: value.map(Glob::text) })
    }

    /// What is wrong with it, where it may stand in any of `places`, and must fit in all where it stands.
    fn fault(&self, what: &str, places: &[&BTreeMap<String, String>]) -> Option<String> {
        let Self { name, value } = self;
        let found: Vec<&String> = places.iter().filter_map(|place| place.get(name)).collect();
        if found.is_empty() {
            return Some(format!("no {what} `{name}`"));
        }
        if found.iter().any(|found| found.trim().is_empty()) {
            return Some(format!("{what} `{name}` is empty"));
        }
        let value = value.as_ref()?;
        let other = found.into_iter().find(|found| !value.fits(found))?;
        Some(format!("{what} `{name}` is `{}`, not `{value}`", cut(other)))
    }
}

fn ports(text: &str) -> Result<(String, Ports), (String, &'static str)> {
    let help = "write a port from 1 to 65535, or `1-1023`, with `/tcp`, `/udp` or `/sctp` where one is meant";
    let ports = Ports::forbidden(text).ok_or_else(|| (format!("`{text}` is not a port"), help))?;
    Ok((text.to_owned(), ports))
}

/// A pattern over names of variables; the case of letters does not count.
fn name(text: &str) -> Result<Glob, (String, &'static str)> {
    if text.is_empty() || text.contains(|letter: char| letter == '=' || letter == '!' || letter.is_whitespace()) {
        return Err((format!("`{text}` is not the name of a variable"), "write `LD_PRELOAD` or `*_DSN`"));
    }
    Ok(Glob::text(&text.to_uppercase()))
}

#[derive(Debug)]
struct ImageConfig {
    labels: Vec<Text>,
    annotations: Vec<Text>,
    forbid_ports: Vec<(String, Ports)>,
    forbid_environment: Vec<Glob>,
    secrets: Option<Forbidden>,
    allow_environment: Vec<Glob>,
    healthcheck: Option<Presence>,
    entrypoint: Option<Required>,
    volumes: Option<Forbidden>,
}

impl Rule for ImageConfig {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs { content: Some(Depth::Details), ..Needs::NOTHING }
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let image = match content(case) {
            Ok(image) => image,
            Err(problem) => return Judgement::Undecided(problem),
        };
        let known = detailed(image, case.platforms);
        let (mut broken, mut unknown) = (Vec::new(), Vec::new());
        for (platform, details) in known.platforms {
            let faults = self.faults(image, details);
            let unreadable = self.unreadable_ports(details);
            if !faults.is_empty() {
                broken.push((platform, faults.join(", ")));
            } else if let Some(unreadable) = unreadable {
                unknown.push((platform, unreadable));
            }
        }
        if !broken.is_empty() {
            let help = "build the image with what the policy asks for, or use another";
            return Judgement::Violated(Problem::new(by_platform(broken), help));
        }
        if !unknown.is_empty() {
            let help = "build the image with ports that are written `80/tcp`";
            return Judgement::Undecided(Problem::new(by_platform(unknown), help));
        }
        known.open.map_or(Judgement::Satisfied, Judgement::Undecided)
    }
}

impl ImageConfig {
    fn says_nothing(&self) -> bool {
        let lists = [self.labels.len(), self.annotations.len(), self.forbid_ports.len(), self.forbid_environment.len()];
        let words =
            [self.secrets.is_some(), self.healthcheck.is_some(), self.entrypoint.is_some(), self.volumes.is_some()];
        lists == [0; 4] && words == [false; 4]
    }

    /// What is wrong with one platform.
    fn faults(&self, image: &Image, details: &Details) -> Vec<String> {
        let config = &details.config;
        let mut faults: Vec<String> =
            self.labels.iter().filter_map(|label| label.fault("label", &[&config.labels])).collect();
        let places = [&details.manifest, &details.entry, image.annotations()];
        faults.extend(self.annotations.iter().filter_map(|annotation| annotation.fault("annotation", &places)));
        let exposed = config.ports.iter().filter(|port| self.forbids(port)).map(|port| quoted(port));
        faults.extend(counted(exposed, ["port", "ports"], ["is exposed", "are exposed"]));
        let set = config
            .environment
            .iter()
            .filter(|variable| self.forbid_environment.iter().any(|name| fits(name, variable)));
        let set = set.filter(|variable| !self.allows(variable)).map(|variable| quoted(&variable.name));
        faults.extend(counted(set, ["variable", "variables"], ["is set", "are set"]));
        faults.extend(self.secrets.and_then(|_| self.secret(&config.environment)));
        match self.healthcheck {
            Some(Presence::Required) if !checks(&config.healthcheck) => faults.push("no healthcheck".to_owned()),
            Some(Presence::Forbidden) if !is_none(&config.healthcheck) => faults.push("a healthcheck".to_owned()),
            _ => {}
        }
        if self.entrypoint.is_some() && config.entrypoint.first().is_none_or(String::is_empty) {
            faults.push("no entrypoint".to_owned());
        }
        let volumes = config.volumes.iter().filter(|_| self.volumes.is_some()).map(|volume| quoted(volume));
        faults.extend(counted(volumes, ["volume", "volumes"], ["is declared", "are declared"]));
        faults
    }

    fn forbids(&self, exposed: &str) -> bool {
        let exposed = Ports::exposed(exposed);
        exposed.is_some_and(|exposed| self.forbid_ports.iter().any(|(_, forbidden)| forbidden.meets(&exposed)))
    }

    fn unreadable_ports(&self, details: &Details) -> Option<String> {
        if self.forbid_ports.is_empty() {
            return None;
        }
        let unreadable = details.config.ports.iter().filter(|port| Ports::exposed(port).is_none());
        counted(unreadable.map(|port| quoted(port)), ["port", "ports"], ["can't be read", "can't be read"])
    }

    fn allows(&self, variable: &Variable) -> bool {
        self.allow_environment.iter().any(|name| fits(name, variable))
    }

    /// The variables that look like secrets.
    fn secret(&self, environment: &[Variable]) -> Option<String> {
        let (secret, plain) = (SECRET_NAMES.map(Glob::text), PLAIN_NAMES.map(Glob::text));
        let path = PATH_NAMES.map(Glob::text);
        let named = |names: &[Glob], variable: &Variable| names.iter().any(|name| fits(name, variable));
        let looks = |variable: &&Variable| match variable.value {
            Value::Secret(_) => true,
            Value::Blank => false,
            Value::Path if named(&path, variable) => false,
            Value::Path | Value::Other => named(&secret, variable) && !named(&plain, variable),
        };
        let why = |variable: &Variable| match variable.value {
            Value::Secret(what) => format!("variable {} looks like {what}", quoted(&variable.name)),
            _ => format!("variable {} looks like a secret by its name", quoted(&variable.name)),
        };
        let found = environment.iter().filter(looks).filter(|variable| !self.allows(variable)).map(why);
        Some(list(found)).filter(|found| !found.is_empty())
    }
}

fn fits(name: &Glob, variable: &Variable) -> bool {
    name.fits(&variable.name.to_uppercase())
}

/// Whether it is a healthcheck that runs something.
fn checks(test: &[String]) -> bool {
    matches!(test, [kind, command, ..] if (kind == "CMD" || kind == "CMD-SHELL") && !command.is_empty())
}

/// Whether it is surely none: none is set, or it is switched off.
fn is_none(test: &[String]) -> bool {
    test.first().is_none_or(|kind| kind == "NONE")
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "without a name".to_owned() } else { format!("`{}`", cut(text)) }
}

/// ``port `22/tcp` is exposed``, ``ports `22/tcp`, `23/tcp` are exposed``; `None` where there is none.
fn counted(found: impl Iterator<Item = String>, nouns: [&str; 2], verbs: [&str; 2]) -> Option<String> {
    let found: Vec<String> = found.collect();
    let which = usize::from(found.len() > 1);
    let (noun, verb) = (nouns[which], verbs[which]);
    (!found.is_empty()).then(|| format!("{noun} {} {verb}", list(found)))
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{Made, case, index_of, reference, refused, rule, says, single, single_of};
    use super::*;
    use crate::image::ImageError;
    use crate::registry::RegistryError;

    fn judge(settings: &str, image: &Image, platforms: &[&str]) -> Judgement {
        let reference = reference("nginx:1");
        let platforms: Vec<_> = platforms.iter().map(|text| text.parse().expect("a platform")).collect();
        rule::<Settings>(settings).check(&Case { image: Some(Ok(image)), platforms: &platforms, ..case(&reference) })
    }

    /// What the rule says of one platform whose config has these settings: "" where it is satisfied, `? …` where it is
    /// undecided.
    fn said(settings: &str, config: &str) -> String {
        let config = format!(r#"{{"config":{config}}}"#);
        let image = single_of(&Made { config: &config, ..Made::PLAIN }, Depth::Details);
        match judge(settings, &image, &[]) {
            Judgement::Satisfied => String::new(),
            Judgement::Violated(problem) => problem.message.trim_start_matches("linux/amd64: ").to_owned(),
            Judgement::Undecided(problem) => format!("? {}", problem.message.trim_start_matches("linux/amd64: ")),
        }
    }

    #[test]
    fn each_setting_is_held() {
        let rows = [
            ("{labels: [a]}", r#"{"Labels":{"a":"1"}}"#, ""),
            ("{labels: [a]}", r#"{"Labels":{"A":"1"}}"#, "no label `a`"),
            ("{labels: [a]}", r#"{"Labels":{"a":""}}"#, "label `a` is empty"),
            ("{labels: [a]}", r#"{"Labels":{"a":" \n"}}"#, "label `a` is empty"),
            ("{labels: [a]}", "{}", "no label `a`"),
            ("{labels: [\"a=x*\"]}", r#"{"Labels":{"a":"xy"}}"#, ""),
            ("{labels: [\"a=x*\"]}", r#"{"Labels":{"a":"yx"}}"#, "label `a` is `yx`, not `x*`"),
            ("{labels: [\"a=x\"]}", r#"{"Labels":{"a":"xx"}}"#, "label `a` is `xx`, not `x`"),
            ("{labels: [\"a=*\"]}", r#"{"Labels":{"a":""}}"#, "label `a` is empty"),
            ("{labels: [\"a=b=c\"]}", r#"{"Labels":{"a":"b=c"}}"#, ""),
            ("{labels: [a, b]}", r#"{"Labels":{"c":"1"}}"#, "no label `a`, no label `b`"),
            ("{forbid-ports: [22]}", r#"{"ExposedPorts":{"80/tcp":{}}}"#, ""),
            ("{forbid-ports: [22]}", r#"{"ExposedPorts":{"22/tcp":{}}}"#, "port `22/tcp` is exposed"),
            ("{forbid-ports: [22]}", r#"{"ExposedPorts":{"20-25":{}}}"#, "port `20-25` is exposed"),
            ("{forbid-ports: [53/udp]}", r#"{"ExposedPorts":{"53/tcp":{}}}"#, ""),
            (
                "{forbid-ports: [\"1-1023\"]}",
                r#"{"ExposedPorts":{"80/tcp":{},"443/udp":{},"8080":{}}}"#,
                "ports `443/udp`, `80/tcp` are exposed",
            ),
            ("{forbid-ports: [22]}", r#"{"ExposedPorts":{"$PORT":{}}}"#, "? port `$PORT` can't be read"),
            ("{forbid-ports: [22]}", r#"{"ExposedPorts":{"$PORT":{},"22":{}}}"#, "port `22` is exposed"),
            ("{volumes: forbidden}", r#"{"ExposedPorts":{"$PORT":{}}}"#, ""),
            ("{volumes: forbidden}", r#"{"Volumes":{"/a":{}}}"#, "volume `/a` is declared"),
            ("{volumes: forbidden}", r#"{"Volumes":{}}"#, ""),
            ("{entrypoint: required}", r#"{"Entrypoint":["/app"]}"#, ""),
            ("{entrypoint: required}", r#"{"Entrypoint":[""],"Cmd":["/app"]}"#, "no entrypoint"),
            ("{entrypoint: required}", r#"{"Cmd":["/app"]}"#, "no entrypoint"),
            ("{healthcheck: required}", r#"{"Healthcheck":{"Test":["CMD","true"]}}"#, ""),
            ("{healthcheck: required}", r#"{"Healthcheck":{"Test":["CMD-SHELL","true"]}}"#, ""),
            ("{healthcheck: required}", r#"{"Healthcheck":{"Test":["CMD"]}}"#, "no healthcheck"),
            ("{healthcheck: required}", r#"{"Healthcheck":{"Test":["NONE"]}}"#, "no healthcheck"),
            ("{healthcheck: required}", r#"{"Healthcheck":{"Test":["none","x"]}}"#, "no healthcheck"),
            ("{healthcheck: required}", r#"{"Healthcheck":{}}"#, "no healthcheck"),
            ("{healthcheck: required}", "{}", "no healthcheck"),
            ("{healthcheck: forbidden}", "{}", ""),
            ("{healthcheck: forbidden}", r#"{"Healthcheck":{"Test":["NONE"]}}"#, ""),
            ("{healthcheck: forbidden}", r#"{"Healthcheck":{"Test":["CMD","true"]}}"#, "a healthcheck"),
            ("{healthcheck: forbidden}", r#"{"Healthcheck":{"Test":["other"]}}"#, "a healthcheck"),
            ("{forbid-environment: [LD_PRELOAD]}", r#"{"Env":["PATH=/bin"]}"#, ""),
            ("{forbid-environment: [ld_*]}", r#"{"Env":["LD_PRELOAD="]}"#, "variable `LD_PRELOAD` is set"),
            ("{forbid-environment: [\"*\"]}", r#"{"Env":["a=1","b"]}"#, "variables `a`, `b` are set"),
            ("{forbid-environment: [\"*\"], allow-environment: [\"A*\"]}", r#"{"Env":["a=1"]}"#, ""),
        ];
        for (settings, config, expected) in rows {
            assert_eq!(said(settings, config), expected, "{settings} {config}");
        }
    }

    #[test]
    fn secrets_are_known_by_name_and_by_value() {
        let by_name = |name: &str| format!("variable `{name}` looks like a secret by its name");
        for name in ["DB_PASSWORD", "db_password", "MYSQL_PASSWD", "KEY_PASSPHRASE", "DB_PWD", "CLIENT_SECRET_2"] {
            assert_eq!(said("{secrets: forbidden}", &format!(r#"{{"Env":["{name}=x"]}}"#)), by_name(name));
        }
        for name in ["AWS_SECRET_ACCESS_KEY", "CREDENTIALS", "GITHUB_TOKEN", "NPM_TOKEN_CI", "MyApiKey", "SSH_KEY"] {
            assert_eq!(said("{secrets: forbidden}", &format!(r#"{{"Env":["{name}=x"]}}"#)), by_name(name));
        }
        for name in
            ["DB_PASS", "pass", "DB_PASS_2", "AWS_CREDS", "NPM_AUTH", "JWT", "KEY", "SIGNING_KEYS", "API_TOKENS"]
        {
            assert_eq!(said("{secrets: forbidden}", &format!(r#"{{"Env":["{name}=x"]}}"#)), by_name(name));
        }
        for name in ["PWD_ROOT", "DB_PASSWORD_FILE", "CLIENT_SECRET_PATH", "TOKEN_DIR"] {
            assert_eq!(said("{secrets: forbidden}", &format!(r#"{{"Env":["{name}=hunter2"]}}"#)), by_name(name));
        }
        let path = r#"{"Env":["DB_PASSWORD=/hunter2"]}"#;
        assert_eq!(said("{secrets: forbidden}", path), by_name("DB_PASSWORD"));
        let plain =
            ["PATH=/bin", "PWD=/", "GPG_KEY=A035", "DB_PASSWORD_FILE=/run/x", "SSH_KEY_PATH=/x", "MAX_TOKENS=4096"];
        for text in plain.into_iter().chain(["DB_PASSWORD=", "DB_PASSWORD", "ALLOW_EMPTY_PASSWORD=yes", "KEYS=x"]) {
            assert_eq!(said("{secrets: forbidden}", &format!(r#"{{"Env":["{text}"]}}"#)), "", "{text}");
        }
        let token = format!("ghp_{}", "a1".repeat(20));
        let rows = [
            (format!("X={token}"), "variable `X` looks like a GitHub token"),
            (format!("DB_PASSWORD_FILE={token}"), "variable `DB_PASSWORD_FILE` looks like a GitHub token"),
            (format!("={token}"), "variable without a name looks like a GitHub token"),
            (token.clone(), "variable without a name looks like a GitHub token"),
            ("URL=redis://:x@h".to_owned(), "variable `URL` looks like a URL with a password"),
        ];
        for (text, expected) in rows {
            assert_eq!(said("{secrets: forbidden}", &format!(r#"{{"Env":["{text}"]}}"#)), expected);
        }
        let allowed = "{secrets: forbidden, allow-environment: [x, \"*_public\"]}";
        assert_eq!(said(allowed, &format!(r#"{{"Env":["X={token}","TOKEN_PUBLIC=1"]}}"#)), "");
        assert_eq!(said(allowed, r#"{"Env":["TOKEN=1"]}"#), by_name("TOKEN"));
        // A variable that stands twice is judged twice.
        assert_eq!(said("{secrets: forbidden}", r#"{"Env":["TOKEN=x","TOKEN="]}"#), by_name("TOKEN"));
    }

    #[test]
    fn the_page_names_what_the_code_looks_for() {
        for name in SECRET_NAMES.iter().chain(&PLAIN_NAMES).chain(&PATH_NAMES) {
            assert!(KIND.explain.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn an_annotation_fits_wherever_it_stands() {
        let rows = [
            (r#"{"a":"x"}"#, "{}", "{}", true),
            ("{}", r#"{"a":"x"}"#, "{}", true),
            ("{}", "{}", r#"{"a":"x"}"#, true),
            ("{}", "{}", "{}", false),
            (r#"{"a":"x"}"#, r#"{"a":"y"}"#, "{}", false),
            (r#"{"a":"x"}"#, "{}", r#"{"a":"y"}"#, false),
            (r#"{"a":"y"}"#, r#"{"a":"x"}"#, "{}", false),
            (r#"{"a":"x"}"#, r#"{"a":""}"#, "{}", false),
        ];
        for (manifest, entry, index, expected) in rows {
            let image = index_of(&[Made { manifest, entry, ..Made::PLAIN }], index);
            let found = judge("{annotations: [a=x]}", &image, &[]);
            assert_eq!(found == Judgement::Satisfied, expected, "{manifest} {entry} {index}: {found:?}");
            assert_eq!(matches!(found, Judgement::Violated(_)), !expected);
        }
        // A label is no annotation.
        assert_eq!(said("{annotations: [a]}", r#"{"Labels":{"a":"1"}}"#), "no annotation `a`");
    }

    #[test]
    fn every_platform_is_held_to_it() {
        let labelled = Made { config: r#"{"config":{"Labels":{"a":"1"}}}"#, ..Made::PLAIN };
        let on = |platform| Made { platform, ..Made::PLAIN };
        let image = index_of(&[labelled, on("linux/arm64"), on("linux/arm/v7")], "{}");
        let Judgement::Violated(problem) = judge("{labels: [a]}", &image, &[]) else { panic!("not violated") };
        assert_eq!(problem.message, "linux/arm64, linux/arm/v7: no label `a`");
        assert_eq!(judge("{labels: [a]}", &image, &["linux/amd64"]), Judgement::Satisfied);
        assert!(matches!(judge("{labels: [a]}", &image, &["linux/s390x"]), Judgement::Undecided(_)));
        assert!(matches!(judge("{labels: [a]}", &image, &["linux/amd64", "linux/s390x"]), Judgement::Undecided(_)));
    }

    #[test]
    fn a_hostile_config_makes_no_long_message() {
        let many = |item: &dyn Fn(usize) -> String| (0..10_000).map(item).collect::<Vec<_>>().join(",");
        let map = many(&|at| format!(r#""{at}/tcp{at}":{{}}"#));
        let env = many(&|at| format!(r#""TOKEN_{at}_{}=x""#, "y".repeat(20)));
        let labels = many(&|at| format!(r#""{at}":"\u001b[2J""#));
        let long = "z".repeat(200_000);
        let rows = [
            ("{volumes: forbidden}", format!(r#"{{"Volumes":{{{map}}}}}"#)),
            ("{forbid-ports: [1-65535]}", format!(r#"{{"ExposedPorts":{{{map}}}}}"#)),
            ("{forbid-environment: [\"*\"]}", format!(r#"{{"Env":[{env}]}}"#)),
            ("{secrets: forbidden}", format!(r#"{{"Env":[{env}]}}"#)),
            ("{labels: [a]}", format!(r#"{{"Labels":{{{labels}}}}}"#)),
            ("{labels: [a=b]}", format!(r#"{{"Labels":{{"a":"{long}"}}}}"#)),
            ("{secrets: forbidden}", format!(r#"{{"Env":["{long}_TOKEN=x"]}}"#)),
            ("{volumes: forbidden}", format!(r#"{{"Volumes":{{"{long}":{{}}}}}}"#)),
        ];
        for (settings, config) in rows {
            let found = said(settings, &config);
            assert!(!found.is_empty() && found.len() < 1_000, "{settings}: {} bytes", found.len());
        }
    }

    #[test]
    fn configs_that_were_not_read_are_undecided() {
        let rule = rule::<Settings>("{volumes: forbidden}");
        assert!(matches!(says(&*rule, "nginx"), Judgement::Undecided(_)));
        let reference = reference("nginx");
        let error = ImageError::Registry(RegistryError::NotFound { place: "r.io".to_owned() });
        let found = rule.check(&Case { image: Some(Err(&error)), ..case(&reference) });
        assert!(matches!(found, Judgement::Undecided(_)), "{found:?}");
        for depth in [Depth::Manifests, Depth::Configs] {
            let found = judge("{volumes: forbidden}", &single("linux/amd64", 1, depth), &[]);
            assert!(matches!(found, Judgement::Undecided(_)), "{found:?}");
        }
        assert_eq!(rule.needs().content, Some(Depth::Details));
    }

    #[test]
    fn impossible_settings_are_refused() {
        let rows = [
            ("{}", "at least one setting"),
            ("{level: warn}", "at least one setting"),
            ("{labels: []}", "`labels` is empty"),
            ("{labels: [\"\"]}", "not the name"),
            ("{labels: [\"=x\"]}", "not the name"),
            ("{labels: [\"a b\"]}", "not the name"),
            ("{labels: [\"a*\"]}", "not the name"),
            ("{labels: [\"a=\"]}", "asks for no value"),
            ("{labels: [a, \"a=x\"]}", "`a` stands twice"),
            ("{labels: a}", "sequence"),
            ("{annotations: []}", "`annotations` is empty"),
            ("{forbid-ports: []}", "`forbid-ports` is empty"),
            ("{forbid-ports: [0]}", "`0` is not a port"),
            ("{forbid-ports: [-1]}", "`-1` is not a port"),
            ("{forbid-ports: [65536]}", "not a port"),
            ("{forbid-ports: [80-22]}", "not a port"),
            ("{forbid-ports: [ssh]}", "not a port"),
            ("{forbid-ports: [22/icmp]}", "not a port"),
            ("{forbid-ports: [22, 22]}", "`22` stands twice"),
            ("{forbid-environment: []}", "`forbid-environment` is empty"),
            ("{forbid-environment: [\"A=b\"]}", "not the name of a variable"),
            ("{forbid-environment: [\"!A\"]}", "not the name of a variable"),
            ("{forbid-environment: [a, A]}", "`A` stands twice"),
            ("{forbid-environment: [a], allow-environment: [A]}", "stands in both"),
            ("{allow-environment: [A]}", "neither is set"),
            ("{labels: [a], allow-environment: [A]}", "neither is set"),
            ("{secrets: allowed}", "allowed"),
            ("{healthcheck: yes}", "yes"),
            ("{entrypoint: forbidden}", "forbidden"),
            ("{volumes: required}", "required"),
            ("{user: root}", "user"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
