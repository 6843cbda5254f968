//! `image-age`: when the image was built, on every platform, by its own word. Needs the configs.
//! A config that names no day, or one that no build was made on, leaves the image undecided.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{content, detailed};
use super::setting::{self, At, Duration, LevelSetting, SettingError, present};
use super::wording::{by_platform, cut};
use super::{Case, Judgement, Needs, Problem, Rule};
use crate::image::{Config, Depth};
use crate::span::Span;

const BUILT: Facts = Facts {
    platforms: &[("linux/amd64", 70_000_000)],
    config: Some(r#"{"created": "2026-09-20T06:00:00Z"}"#),
    ..Facts::NONE
};
const BUILT_JUST_NOW: Facts = Facts { config: Some(r#"{"created": "2026-11-19T18:00:00Z"}"#), ..BUILT };

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "image-age",
    summary: "images were built neither too long ago nor just now",
    explain: "\
Compares `created` of every platform's config, or of those named with `--platform`, with the clock of the run.

Why: an image that nobody rebuilt for months lacks the fixes of its base and its packages (`max`). What was built \
within the last days may be the work of somebody who took over an account or a dependency; most of that is found out \
and taken down soon (`min`).

`created` is the builder's word and no proof: a build can write any time. So `min` holds off what a usual build \
publishes, harmful code in it included, and not an attacker who writes an older time. Builds that make the same bytes \
each time often write a fixed day, 1970 or 1980 or the year 1, as distroless images and those of Bazel, ko and Nix do; \
others write the day of the commit. A time before 2000, after the clock of the run, or none at all leaves the image \
undecided.

To satisfy it, rebuild the image on a fresh base, or wait. Where images never say when they were built, let them fit a \
statement of their own without `image-age`, or give them an exception.",
    settings: &[
        ("max", "greatest age, in hours, days or weeks: `48h`, `90d`, `12w`"),
        ("min", "least age, written as `max` is; one of the two is required"),
    ],
    examples: &[
        Example { settings: "{max: 90d, min: 1d}", reference: "nginx:1.25", facts: BUILT, says: None },
        Example {
            settings: "{max: 30d}",
            reference: "nginx:1.25",
            facts: BUILT,
            says: Some("linux/amd64: built at 2026-09-20T06:00:00Z, 60 days ago, which is more than 30d"),
        },
        Example {
            settings: "{min: 1d}",
            reference: "nginx:1.25",
            facts: BUILT_JUST_NOW,
            says: Some("linux/amd64: built at 2026-11-19T18:00:00Z, 6 hours ago, which is less than 1d"),
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
    #[schemars(with = "Option<DurationText>")]
    max: Option<At<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<DurationText>")]
    min: Option<At<String>>,
}

/// A length of time in the schema.
struct DurationText;

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+[hdw]$" })
    }
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError> {
        if self.max.is_none() && self.min.is_none() {
            return Err(SettingError::new(at, "image-age needs `max` or `min`", "write `max: 90d`"));
        }
        let (max, min) = (self.max.as_ref().map(duration).transpose()?, self.min.as_ref().map(duration).transpose()?);
        if let (Some(max), Some(min), Some(written)) = (&max, &min, &self.min)
            && min.seconds >= max.seconds
        {
            let message = format!("no image is at least {min} and at most {max} old");
            return Err(SettingError::new(written.span, message, "make `min` shorter than `max`"));
        }
        Ok(Box::new(ImageAge { max, min }))
    }
}

/// A length of time of the policy that is no zero.
fn duration(written: &At<String>) -> Result<Duration, SettingError> {
    let At { value, span } = written;
    let help = "write a whole number of hours, days or weeks, such as `48h`, `90d` or `12w`";
    match Duration::parse(value) {
        None => Err(SettingError::new(*span, format!("`{value}` is not a length of time"), help)),
        Some(duration) if duration.seconds == 0 => {
            Err(SettingError::new(*span, format!("an age of {duration} decides nothing"), help))
        }
        Some(duration) => Ok(duration),
    }
}

#[derive(Debug)]
struct ImageAge {
    max: Option<Duration>,
    min: Option<Duration>,
}

impl Rule for ImageAge {
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
            match built(&details.config, case.now) {
                Ok((built, age)) => broken.extend(self.fault(built, age).map(|fault| (platform, fault))),
                Err(reason) => unknown.push((platform, reason)),
            }
        }
        if !broken.is_empty() {
            let help = "use an image of the age that the policy asks for: rebuild an old one, wait for a new one";
            return Judgement::Violated(Problem::new(by_platform(broken), help));
        }
        if !unknown.is_empty() {
            let message = format!("the image does not say when it was built: {}", by_platform(unknown));
            let help = "give it a statement without image-age, or an exception, or build it with its time";
            return Judgement::Undecided(Problem::new(message, help));
        }
        known.open.map_or(Judgement::Satisfied, Judgement::Undecided)
    }
}

impl ImageAge {
    fn fault(&self, built: Timestamp, age: SignedDuration) -> Option<String> {
        let ago = |what: String| format!("built at {built}, {} ago, which is {what}", age_text(age.as_secs()));
        match (&self.max, &self.min) {
            (Some(max), _) if age > SignedDuration::from_secs(max.seconds) => Some(ago(format!("more than {max}"))),
            (_, Some(min)) if age < SignedDuration::from_secs(min.seconds) => Some(ago(format!("less than {min}"))),
            _ => None,
        }
    }
}

/// When the config says it was built, and how long ago that is; else why that says nothing.
fn built(config: &Config, now: Timestamp) -> Result<(Timestamp, SignedDuration), String> {
    let Some(written) = &config.created else { return Err("`created` is not set".to_owned()) };
    let Some(built) = config.created_at() else {
        return Err(format!("`created` is `{}`, which is no time", cut(written)));
    };
    if built < YEAR_2000 {
        return Err(format!("`created` is {built}, as builds write that leave out the time"));
    }
    if built > now {
        return Err(format!("`created` is {built}, which is yet to come"));
    }
    Ok((built, now.duration_since(built)))
}

/// 2000-01-01T00:00:00Z: no image is older, and the fixed times that builds write are.
const YEAR_2000: Timestamp = Timestamp::constant(946_684_800, 0);

/// Whole days, or hours below two days, minutes below two hours.
fn age_text(seconds: i64) -> String {
    match (seconds / 86_400, seconds / 3_600, seconds / 60) {
        (days, ..) if days >= 2 => format!("{days} days"),
        (_, hours, _) if hours >= 2 => format!("{hours} hours"),
        (.., minutes) => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{Made, case, index_of, reference, refused, rule, says, single};
    use super::*;
    use crate::image::{Image, ImageError};
    use crate::registry::RegistryError;

    fn judge(settings: &str, image: &Image, platforms: &[&str]) -> Judgement {
        let reference = reference("nginx:1");
        let platforms: Vec<_> = platforms.iter().map(|text| text.parse().expect("a platform")).collect();
        rule::<Settings>(settings).check(&Case { image: Some(Ok(image)), platforms: &platforms, ..case(&reference) })
    }

    /// An index of `linux/amd64` and `linux/arm64`, built then.
    fn built_at(amd64: &str, arm64: &str) -> Image {
        let config = |created: &str| serde_json::json!({ "created": created }).to_string();
        let (amd64, arm64) = (config(amd64), config(arm64));
        index_of(
            &[Made { config: &amd64, ..Made::PLAIN }, Made { platform: "linux/arm64", config: &arm64, ..Made::PLAIN }],
            "{}",
        )
    }

    fn word(judgement: &Judgement) -> &'static str {
        match judgement {
            Judgement::Satisfied => "satisfied",
            Judgement::Violated(_) => "violated",
            Judgement::Undecided(_) => "undecided",
        }
    }

    #[test]
    fn ages_are_counted_to_the_clock_of_the_run() {
        let rows = [
            ("{max: 10d}", "2026-11-10T00:00:00Z", "satisfied"),
            ("{max: 10d}", "2026-11-09T23:59:59Z", "violated"),
            ("{max: 240h}", "2026-11-10T02:00:00+02:00", "satisfied"),
            ("{max: 240h}", "2026-11-10T01:59:59+02:00", "violated"),
            ("{max: 2w}", "2026-11-06T00:00:00Z", "satisfied"),
            ("{max: 2w}", "2026-11-05T00:00:00Z", "violated"),
            ("{min: 1d}", "2026-11-19T00:00:00Z", "satisfied"),
            ("{min: 1d}", "2026-11-19T00:00:00.5Z", "violated"),
            ("{min: 1d}", "2026-11-19T00:00:01Z", "violated"),
            ("{min: 1d}", "2026-11-20T00:00:00Z", "violated"),
            ("{min: 1d, max: 2d}", "2026-11-18T12:00:00Z", "satisfied"),
            ("{min: 1d, max: 2d}", "2026-11-17T12:00:00Z", "violated"),
            ("{min: 1d, max: 2d}", "2026-11-19T12:00:00Z", "violated"),
            ("{max: 5200w}", "2000-01-01T00:00:00Z", "satisfied"),
        ];
        for (settings, created, expected) in rows {
            assert_eq!(word(&judge(settings, &built_at(created, created), &[])), expected, "{settings} {created}");
        }
    }

    #[test]
    fn a_time_that_says_nothing_never_satisfies() {
        let rows = [
            ("", "not set"),
            ("yesterday", "`yesterday`, which is no time"),
            ("2026-11-10", "no time"),
            ("2026-11-10T00:00:00", "no time"),
            ("1760000000", "no time"),
            ("0001-01-01T00:00:00Z", "leave out the time"),
            ("-000100-01-01T00:00:00Z", "leave out the time"),
            ("1970-01-01T00:00:00Z", "leave out the time"),
            ("1980-01-01T00:00:01Z", "leave out the time"),
            ("1999-12-31T23:59:59.999Z", "leave out the time"),
            ("2026-11-20T00:00:00.000000001Z", "yet to come"),
            ("2026-11-20T00:00:01Z", "yet to come"),
            ("2262-04-12T00:00:00Z", "yet to come"),
            ("99999-01-01T00:00:00Z", "no time"),
        ];
        for (created, expected) in rows {
            for settings in ["{max: 36500d}", "{min: 1h}"] {
                let found = judge(settings, &built_at(created, created), &[]);
                let Judgement::Undecided(problem) = found else { panic!("{created}: {found:?}") };
                assert!(problem.message.contains(expected), "{created}: {}", problem.message);
                assert!(
                    problem.message.starts_with("the image does not say when it was built: linux/amd64, linux/arm64: ")
                );
            }
        }
    }

    #[test]
    fn every_platform_is_held_to_it() {
        let image = built_at("2026-11-10T00:00:00Z", "2026-01-01T00:00:00Z");
        let Judgement::Violated(problem) = judge("{max: 30d}", &image, &[]) else { panic!("not violated") };
        assert!(
            problem.message.starts_with("linux/arm64: built at 2026-01-01T00:00:00Z, 323 days"),
            "{}",
            problem.message
        );
        assert_eq!(judge("{max: 30d}", &image, &["linux/amd64"]), Judgement::Satisfied);
        assert_eq!(word(&judge("{max: 30d}", &image, &["linux/s390x"])), "undecided");
        let half = built_at("2026-11-10T00:00:00Z", "1970-01-01T00:00:00Z");
        assert_eq!(word(&judge("{max: 30d}", &half, &[])), "undecided");
        assert_eq!(word(&judge("{max: 30d}", &half, &["linux/amd64"])), "satisfied");
        // What is surely wrong is said, whatever else is not known.
        assert_eq!(word(&judge("{max: 1d}", &half, &[])), "violated");
    }

    #[test]
    fn a_hostile_time_makes_no_long_message() {
        let image = built_at(&"9".repeat(100_000), "\u{1b}[2J\n2026-11-10T00:00:00Z");
        let Judgement::Undecided(problem) = judge("{max: 30d}", &image, &[]) else { panic!("decided") };
        assert!(problem.message.len() < 600, "{}", problem.message);
    }

    #[test]
    fn configs_that_were_not_read_are_undecided() {
        let rule = rule::<Settings>("{max: 30d}");
        assert!(matches!(says(&*rule, "nginx"), Judgement::Undecided(_)));
        let reference = reference("nginx");
        let error = ImageError::Registry(RegistryError::NotFound { place: "r.io".to_owned() });
        assert_eq!(word(&rule.check(&Case { image: Some(Err(&error)), ..case(&reference) })), "undecided");
        for depth in [Depth::Manifests, Depth::Configs] {
            let image = single("linux/amd64", 1, depth);
            let Judgement::Undecided(problem) = judge("{max: 30d}", &image, &[]) else { panic!("decided") };
            assert!(problem.message.contains("was not read"), "{}", problem.message);
        }
        assert_eq!(rule.needs().content, Some(Depth::Details));
    }

    #[test]
    fn impossible_settings_are_refused() {
        let rows = [
            ("{}", "needs `max` or `min`"),
            ("{level: warn}", "needs `max` or `min`"),
            ("{max: 0d}", "decides nothing"),
            ("{min: 0h}", "decides nothing"),
            ("{max: 90}", "`90` is not a length of time"),
            ("{max: 3 months}", "not a length of time"),
            ("{max: P90D}", "not a length of time"),
            ("{max: 1d, min: 24h}", "no image is at least 24h and at most 1d old"),
            ("{max: 1d, min: 1w}", "no image is at least 1w"),
            ("{unknown: allow}", "unknown"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
