//! How many requests a registry still grants, by its own headers; the last word of each host counts.
//! A value that makes no sense is as good as none: nothing is decided by it, and none of it is printed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;

/// Longest value that is looked at, in bytes; real ones have a dozen.
const LONGEST: usize = 256;
/// Most digits of a number; more is no count of requests.
const DIGITS: usize = 12;

/// What one host last said that it grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The host, as in messages.
    pub host: String,
    /// Requests that are left.
    pub remaining: u64,
    /// Requests in a window.
    pub limit: u64,
    /// The window, where the host names it.
    pub window: Option<Duration>,
    /// Whether the host counts by address, as the Hub does for who is not logged in.
    pub by_address: bool,
    /// How many of its answers told of a quota.
    pub answers: u64,
    /// Whether the last of them was to a GET: the Hub counts no HEAD.
    pub counted: bool,
}

impl Quota {
    /// Whether a tenth or less is left.
    pub fn is_low(&self) -> bool {
        self.remaining.saturating_mul(10) <= self.limit
    }
}

/// The quotas of a run.
#[derive(Default)]
pub(crate) struct Quotas(Mutex<BTreeMap<String, Quota>>);

impl Quotas {
    /// Takes note of what an answer to `method` says.
    pub(crate) fn note(&self, host: &str, method: &Method, headers: &HeaderMap) {
        let Some((remaining, limit, window)) = told(headers) else { return };
        let by_address = value(headers, "docker-ratelimit-source").is_some_and(|text| text.parse::<IpAddr>().is_ok());
        let mut quotas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = quotas.get(host).map_or(0, |quota| quota.answers) + 1;
        let counted = *method == Method::GET;
        let quota = Quota { host: host.to_owned(), remaining, limit, window, by_address, answers, counted };
        quotas.insert(host.to_owned(), quota);
    }

    /// All of them, by host.
    pub(crate) fn all(&self) -> Vec<Quota> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Remaining, limit and window, in one of two spellings: one field for each (Docker Hub, GitLab, drafts 00 to 06 of
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>), or a field and its policy (08 on).
fn told(headers: &HeaderMap) -> Option<(u64, u64, Option<Duration>)> {
    let (remaining, limit, window) = apart(headers).or_else(|| by_policy(headers))?;
    (limit > 0 && remaining <= limit).then(|| (remaining, limit, window.map(Duration::from_secs)))
}

/// `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`.
fn apart(headers: &HeaderMap) -> Option<(u64, u64, Option<u64>)> {
    let limit = value(headers, "ratelimit-limit")?;
    let first = |text: &str| number(text.split([',', ';']).next()?);
    let first_item = limit.split(',').next()?;
    Some((first(value(headers, "ratelimit-remaining")?)?, first(limit)?, parameter(first_item, "w")))
}

/// `ratelimit: "default";r=50;t=30`, `ratelimit-policy: "default";q=100;w=60`.
fn by_policy(headers: &HeaderMap) -> Option<(u64, u64, Option<u64>)> {
    let item = value(headers, "ratelimit")?.split(',').next()?;
    let name = |item: &str| item.split(';').next().unwrap_or_default().trim().to_owned();
    let policy = value(headers, "ratelimit-policy")?.split(',').find(|policy| name(policy) == name(item))?;
    Some((parameter(item, "r")?, parameter(policy, "q")?, parameter(policy, "w")))
}

/// The one value of a header, if it is a short text.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|value| value.len() <= LONGEST)?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// `;key=NUMBER` of an item.
fn parameter(item: &str, key: &str) -> Option<u64> {
    item.split(';').skip(1).find_map(|pair| pair.trim().strip_prefix(key)?.strip_prefix('=')).and_then(number)
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = (1..=DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn quota(rows: &[(&'static str, &str)]) -> Option<Quota> {
        let quotas = Quotas::default();
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"));
        }
        quotas.note("docker.io", &Method::GET, &headers);
        quotas.all().pop()
    }

    #[test]
    fn both_spellings_are_read() {
        let hub = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")];
        let found = quota(&[hub[0], hub[1], ("docker-ratelimit-source", "192.0.2.1")]).expect("a quota");
        assert_eq!((found.remaining, found.limit, found.window), (76, 100, Some(Duration::from_secs(21_600))));
        assert!(found.by_address && !found.is_low());
        let account = ("docker-ratelimit-source", "4b96ab5e-8e5a-4e7c-b0c5-6f2d3c1c6c0e");
        assert!(!quota(&[hub[0], hub[1], account]).expect("a quota").by_address);
        let plain =
            quota(&[("ratelimit-limit", "10, 10;w=1, 50;w=60"), ("ratelimit-remaining", "1")]).expect("a quota");
        assert_eq!((plain.remaining, plain.limit, plain.window, plain.is_low()), (1, 10, None, true));
        let policy = [("ratelimit-policy", "\"a\";q=5;w=1, \"b\";q=100;w=60"), ("ratelimit", "\"b\";r=50;t=30")];
        let found = quota(&policy).expect("a quota");
        assert_eq!((found.remaining, found.limit, found.window), (50, 100, Some(Duration::from_secs(60))));
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        let megabytes = format!("{}100", "0".repeat(4 << 20));
        let values = ["", "-1", "1e3", "100 100", "+5", "0x10", "99999999999999999999999", "é", "a;w=1", &megabytes];
        for value in values {
            assert_eq!(quota(&[("ratelimit-limit", value), ("ratelimit-remaining", "1")]), None, "{value:.40}");
            assert_eq!(quota(&[("ratelimit-limit", "100"), ("ratelimit-remaining", value)]), None, "{value:.40}");
            assert_eq!(quota(&[("ratelimit", "\"a\";r=1"), ("ratelimit-policy", value)]), None, "{value:.40}");
        }
        let rows: [&[(&str, &str)]; 5] = [
            &[("ratelimit-limit", "0"), ("ratelimit-remaining", "0")],
            &[("ratelimit-limit", "10"), ("ratelimit-remaining", "11")],
            &[("ratelimit-limit", "10"), ("ratelimit-limit", "10"), ("ratelimit-remaining", "1")],
            &[("ratelimit-remaining", "1")],
            &[("ratelimit", "\"a\";r=1"), ("ratelimit-policy", "\"b\";q=10")],
        ];
        for row in rows {
            assert_eq!(quota(row), None, "{row:?}");
        }
        let odd = quota(&[("ratelimit-limit", "100;w=-5"), ("ratelimit-remaining", "1;w=x")]).expect("a quota");
        assert_eq!(odd.window, None);
    }

    #[test]
    fn the_last_word_of_a_host_counts() {
        let quotas = Quotas::default();
        for (remaining, method) in [("9", Method::GET), ("8", Method::HEAD)] {
            let mut headers = HeaderMap::new();
            headers.insert("ratelimit-limit", HeaderValue::from_static("10"));
            headers.insert("ratelimit-remaining", HeaderValue::from_static(remaining));
            quotas.note("docker.io", &method, &headers);
        }
        quotas.note("docker.io", &Method::GET, &HeaderMap::new());
        let all = quotas.all();
        assert_eq!((all.len(), all[0].remaining, all[0].answers, all[0].counted), (1, 8, 2, false));
    }
}
