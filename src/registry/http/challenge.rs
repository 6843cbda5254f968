//! What a registry asks for in a 401, and whether the place it sends us to may have credentials.
//! A realm on a host of the registry's own invention gets nothing, not even a visit.

use url::Url;

use crate::limits;

/// The schemes of one `WWW-Authenticate` header that are understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user name and a password with each request.
    Basic,
    /// A token from `realm`.
    Bearer {
        /// Where tokens are issued, as written.
        realm: String,
        /// The service's name for itself.
        service: Option<String>,
    },
}

/// Why a realm is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RealmError {
    /// No URL, or one of another scheme.
    #[error("its token realm is no http or https address")]
    Form,
    /// A user name or password in the URL.
    #[error("its token realm holds a user name")]
    UserInfo,
    /// Plain http, from a registry that is not declared insecure.
    #[error("its token realm is plain http")]
    Plain,
    /// A place that is neither the registry nor known to be its token service.
    #[error("its token realm is on another host or port")]
    Foreign,
}

impl RealmError {
    /// What the owner of the machine may do about it; `asked` is the realm.
    pub(crate) fn advice(self, asked: &str) -> String {
        match self {
            Self::Foreign if !asked.is_empty() => {
                format!(
                    ": {asked}; if that is its token server, say so in the file that `--config` names: `token-realm: {asked}`"
                )
            }
            Self::Plain if !asked.is_empty() => format!(" ({asked})"),
            _ => String::new(),
        }
    }
}

/// Whose place a realm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The registry itself, at its own port.
    Registry,
    /// The registry's host at the port of https, or its known token service.
    Known,
    /// Declared in the settings: the number of that declaration.
    Declared(usize),
}

/// Registries whose tokens are issued elsewhere, each by its operator's documentation; all others issue their own.
const ELSEWHERE: [(&str, &str); 4] = [
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("registry.digitalocean.com", "api.digitalocean.com"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
];

impl Challenge {
    /// The strongest scheme in the values of `WWW-Authenticate` (RFC 9110, 11.6.1): a token before a password.
    pub(crate) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = false;
        for header in headers {
            for (scheme, parameters) in schemes(header)? {
                let find = |name: &str| {
                    let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.clone())
                };
                if scheme.eq_ignore_ascii_case("bearer") {
                    let (realm, service) = (find("realm")?, find("service"));
                    let short = realm.len() <= limits::REALM_BYTES
                        && service.as_ref().is_none_or(|service| service.len() <= limits::SERVICE_BYTES);
                    return short.then_some(Self::Bearer { realm, service });
                }
                basic |= scheme.eq_ignore_ascii_case("basic");
            }
        }
        basic.then_some(Self::Basic)
    }
}

/// The realm's address and whose it is, when `registry` (as it is dialled) may send us there: to itself, to the port of
/// https on its own host, to a token service that it is known by, or to one of the `declared`.
pub(crate) fn realm<'a>(
    text: &str,
    registry: &Url,
    plain: bool,
    mut declared: impl Iterator<Item = &'a Url>,
) -> Result<(Url, Owner), RealmError> {
    let url = Url::parse(text).map_err(|_| RealmError::Form)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(RealmError::Form);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RealmError::UserInfo);
    }
    // What stands in the settings was judged there, plain http included.
    let says =
        |declared: &Url| declared.origin() == url.origin() && (declared.path() == "/" || declared.path() == url.path());
    if let Some(at) = declared.position(says) {
        return Ok((url, Owner::Declared(at)));
    }
    if url.scheme() == "http" && !plain {
        return Err(RealmError::Plain);
    }
    let (Some(host), Some(own)) = (url.host_str(), registry.host_str()) else { return Err(RealmError::Form) };
    let port = url.port_or_known_default();
    let standard = url.scheme() == "https" && port == Some(443);
    let owner = if host == own && port == registry.port_or_known_default() {
        Owner::Registry
    } else if (host == own || ELSEWHERE.contains(&(own, host))) && standard {
        Owner::Known
    } else {
        return Err(RealmError::Foreign);
    };
    Ok((url, owner))
}

type Parameters = Vec<(String, String)>;

/// Splits a header into its schemes; `None` when it is not well formed, so that nothing is guessed.
fn schemes(header: &str) -> Option<Vec<(String, Parameters)>> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_matches([' ', '\t']);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let (word, after) = token(rest)?;
        match after.trim_start().strip_prefix('=') {
            // A parameter of the scheme before it.
            Some(value) if !found.is_empty() && !value.starts_with('=') => {
                let (value, after) = value_of(value.trim_start())?;
                found.last_mut()?.1.push((word.to_owned(), value));
                rest = after.trim_start();
                if !(rest.is_empty() || rest.starts_with(',')) {
                    return None;
                }
            }
            None if after.is_empty() || after.starts_with([' ', '\t', ',']) => {
                found.push((word.to_owned(), Vec::new()));
                rest = after.trim_start();
            }
            Some(_) | None => return None,
        }
    }
    Some(found)
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_parse_with_quotes_and_commas() {
        let rows = [
            (
                r#"Bearer realm="https://a.io/token",service="a.io",scope="repository:x:pull,push""#,
                Some(bearer("https://a.io/token", Some("a.io"))),
            ),
            (r#"bearer scope="a,b", realm = "https://a.io/t?x=\"1\"" "#, Some(bearer("https://a.io/t?x=\"1\"", None))),
            ("Bearer realm=https", Some(bearer("https", None))),
            (r#"Basic realm="x", Bearer realm="https://a.io/t""#, Some(bearer("https://a.io/t", None))),
            (r#"Bearer realm="https://a.io/t", Basic realm="x""#, Some(bearer("https://a.io/t", None))),
            (r#"Basic realm="a \"b\", c""#, Some(Challenge::Basic)),
            ("BASIC", Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            ("Bearer", None),
            (r#"Bearer service="x""#, None),
            (r#"Bearer realm="https://a.io/t"#, None),
            (r#"Bearer realm="a"b"#, None),
            (r#"realm="https://a.io""#, None),
            ("Negotiate", None),
            ("Negotiate abc==", None),
            ("", None),
            ("ü", None),
        ];
        for (header, expected) in rows {
            assert_eq!(Challenge::parse([header].into_iter()), expected, "{header}");
        }
        let (realm, service) = ("x".repeat(limits::REALM_BYTES), "x".repeat(limits::SERVICE_BYTES));
        for (extra, kept) in [("", true), ("x", false)] {
            let long = format!(r#"Bearer realm="{realm}{extra}""#);
            assert_eq!(Challenge::parse([long.as_str()].into_iter()).is_some(), kept);
            let long = format!(r#"Bearer realm="x",service="{service}{extra}""#);
            assert_eq!(Challenge::parse([long.as_str()].into_iter()).is_some(), kept);
        }
        let two = ["Basic realm=\"x\"", "Bearer realm=\"https://a.io/t\""];
        assert_eq!(Challenge::parse(two.into_iter()), Some(bearer("https://a.io/t", None)));
        assert_eq!(Challenge::parse([].into_iter()), None);
    }

    #[test]
    fn realms_stay_with_their_registry() {
        use RealmError as E;
        let declared = ["https://auth.corp/token", "http://plain.corp:5001"].map(|text| Url::parse(text).unwrap());
        let rows = [
            ("ghcr.io", "https://ghcr.io/token", false, Ok(())),
            ("ghcr.io", "https://GHCR.io/token?x=1", false, Ok(())),
            ("ghcr.io", "https://ghcr.io:8443/token", false, Err(E::Foreign)),
            ("git.corp:5050", "https://git.corp/jwt/auth", false, Ok(())),
            ("git.corp:5050", "https://git.corp:5050/jwt/auth", false, Ok(())),
            ("git.corp:5050", "https://git.corp:5051/jwt/auth", false, Err(E::Foreign)),
            ("reg.corp:5000", "http://reg.corp/token", true, Err(E::Foreign)),
            ("reg.corp", "http://reg.corp:9200/token", true, Err(E::Foreign)),
            ("reg.corp", "https://auth.corp/token", false, Ok(())),
            ("reg.corp", "https://auth.corp/token?service=x", false, Ok(())),
            ("reg.corp", "https://auth.corp/other", false, Err(E::Foreign)),
            ("reg.corp", "https://auth.corp:444/token", false, Err(E::Foreign)),
            ("reg.corp", "https://auth.corp.evil.com/token", false, Err(E::Foreign)),
            ("reg.corp", "https://bob@auth.corp/token", false, Err(E::UserInfo)),
            ("reg.corp", "http://auth.corp/token", false, Err(E::Plain)),
            ("reg.corp", "http://plain.corp:5001/anything", false, Ok(())),
            ("reg.corp", "https://plain.corp:5001/anything", false, Err(E::Foreign)),
            ("registry-1.docker.io", "https://auth.docker.io/token", false, Ok(())),
            ("registry-1.docker.io", "https://auth.docker.io:8443/token", false, Err(E::Foreign)),
            ("registry-1.docker.io", "http://auth.docker.io/token", false, Err(E::Plain)),
            ("ghcr.io", "https://auth.docker.io/token", false, Err(E::Foreign)),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth", false, Ok(())),
            ("gitlab.com", "https://registry.gitlab.com/jwt/auth", false, Err(E::Foreign)),
            ("ghcr.io", "https://ghcr.io.evil.com/token", false, Err(E::Foreign)),
            ("ghcr.io", "https://evil.com/ghcr.io", false, Err(E::Foreign)),
            ("ghcr.io", "https://ghcr.io@evil.com/token", false, Err(E::UserInfo)),
            ("ghcr.io", "https://u:p@ghcr.io/token", false, Err(E::UserInfo)),
            ("ghcr.io", "http://ghcr.io/token", false, Err(E::Plain)),
            ("reg.corp", "http://reg.corp/token", true, Ok(())),
            ("reg.corp", "https://reg.corp/token", true, Ok(())),
            ("reg.corp", "http://169.254.169.254/token", true, Err(E::Foreign)),
            ("ghcr.io", "file:///etc/passwd", true, Err(E::Form)),
            ("ghcr.io", "/token", false, Err(E::Form)),
            ("ghcr.io", "", false, Err(E::Form)),
        ];
        for (registry, text, plain, expected) in rows {
            let scheme = if plain { "http" } else { "https" };
            let registry = Url::parse(&format!("{scheme}://{registry}/v2/")).unwrap();
            assert_eq!(realm(text, &registry, plain, declared.iter()).map(drop), expected, "{text}");
        }
    }
}
