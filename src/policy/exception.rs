//! Exceptions: one literal image, let through by named rules until a day, with a reason and an owner.
//! Never a pattern, never a built-in, never for longer than a year; past its day it counts no more.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::checks::rule_id;
use super::document::RawException;
use crate::digest::Digest;
use crate::limits;
use crate::reference::{Reference, split_host};
use crate::rule::setting::{At, SettingError};

/// One exception.
#[derive(Clone, Debug)]
pub struct Exception {
    image: Reference,
    rules: Vec<&'static str>,
    reason: String,
    owner: String,
    expires: Date,
    line: usize,
}

/// Whether an exception counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It counts.
    Active,
    /// It counts, and ends in so many days (0 is today).
    Ending {
        /// Whole days that are left after today.
        days: i64,
    },
    /// Its day is past; it counts no more.
    Past,
}

impl State {
    /// Whether it counts.
    pub fn counts(self) -> bool {
        self != Self::Past
    }
}

impl Exception {
    pub(super) fn new(raw: RawException, line: usize, now: Timestamp) -> Result<Self, SettingError> {
        let image = image(&raw.image)?;
        let mut rules = Vec::new();
        for rule in &raw.rules.value {
            let id = rule_id(rule)?;
            if rules.contains(&id) {
                return Err(SettingError::new(rule.span, format!("rule `{id}` stands twice"), "leave it once"));
            }
            rules.push(id);
        }
        if rules.is_empty() {
            return Err(SettingError::new(raw.rules.span, "the exception names no rule", "name the rules it is for"));
        }
        let reason = filled(raw.reason, "reason")?;
        let owner = filled(raw.owner, "owner")?;
        let expires = expires(&raw.expires, now)?;
        Ok(Self { image, rules, reason, owner, expires, line })
    }

    /// Whether it speaks of this reference and rule. `digest` is the one that is judged, where it is known; else the
    /// written one counts. The caller asks for its [`State`] too.
    pub fn fits(&self, reference: &Reference, digest: Option<&Digest>, rule: &str) -> bool {
        self.rules.contains(&rule)
            && self.image.repository() == reference.repository()
            && self.image.written_tag().is_none_or(|tag| reference.tag() == Some(tag))
            && self.image.digest().is_none_or(|wanted| digest.or(reference.digest()) == Some(wanted))
    }

    /// Whether it counts at that time.
    pub fn state(&self, now: Timestamp) -> State {
        match days_left(self.expires, now) {
            days if days < 0 => State::Past,
            days if days <= limits::EXCEPTION_WARNING_DAYS => State::Ending { days },
            _ => State::Active,
        }
    }

    /// The image, as it was written and as it is meant.
    pub fn image(&self) -> &Reference {
        &self.image
    }

    /// The rules it is for.
    pub fn rules(&self) -> &[&'static str] {
        &self.rules
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Who answers for it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The last day on which it counts, UTC.
    pub fn expires(&self) -> Date {
        self.expires
    }

    /// Its line in the policy, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Whether both speak of the same images by some rule in common.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let same = |left: &Reference, right: &Reference| {
            left.repository() == right.repository()
                && left.written_tag() == right.written_tag()
                && left.digest() == right.digest()
        };
        same(&self.image, &other.image) && self.rules.iter().any(|rule| other.rules.contains(rule))
    }
}

/// Days from today (UTC) to `day`; negative when it is past.
fn days_left(day: Date, now: Timestamp) -> i64 {
    let today = now.to_zoned(TimeZone::UTC).date();
    today.until(day).map_or(i64::MIN, |span| i64::from(span.get_days()))
}

fn image(text: &At<String>) -> Result<Reference, SettingError> {
    let refused = |message: String, help: String| SettingError::new(text.span, message, help);
    let example = "write host and repository in full, such as `docker.io/library/postgres:15`";
    if text.value.contains(['*', '?', '!']) {
        return Err(refused(
            format!("`{}` is a pattern; an exception names one image", text.value),
            example.to_owned(),
        ));
    }
    let reference = Reference::parse(&text.value)
        .map_err(|error| refused(format!("`{}`: {error}", text.value), example.to_owned()))?;
    if split_host(&text.value).0.is_none() {
        let message = format!("`{}` names no registry; an exception names its host", text.value);
        return Err(refused(message, format!("write `{}/{}`", reference.repository().host(), text.value)));
    }
    Ok(reference)
}

fn filled(text: At<String>, key: &str) -> Result<String, SettingError> {
    if text.value.trim().is_empty() {
        return Err(SettingError::new(text.span, format!("`{key}` is empty"), format!("say the {key}")));
    }
    Ok(text.value)
}

fn expires(text: &At<String>, now: Timestamp) -> Result<Date, SettingError> {
    let help = "write the last day as 2027-03-01";
    // A date and nothing else: the reader of dates would also take a time and drop it.
    let shaped = text.value.len() == 10
        && text
            .value
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    let date = if shaped { text.value.parse::<Date>().ok() } else { None };
    let Some(date) = date else {
        return Err(SettingError::new(text.span, format!("`{}` is not a day", text.value), help));
    };
    if days_left(date, now) > limits::EXCEPTION_DAYS {
        let message = format!("`{}` is more than {} days ahead", text.value, limits::EXCEPTION_DAYS);
        let last = now.to_zoned(TimeZone::UTC).date().checked_add(limits::EXCEPTION_DAYS.days());
        let help = last.map_or_else(|_| help.to_owned(), |last| format!("the last possible day is {last}"));
        return Err(SettingError::new(text.span, message, help));
    }
    Ok(date)
}
