//! The referrers of a manifest over HTTP: by the API, page after page, else by the tag that stands in for it.
//! It never gives a shorter list: what was cut off, limited or denied is an error, and so is a page that leads away.
//!
//! Every place is asked, and the answer is all that they list together. A mirror does not vouch for the registry: the
//! registry itself must answer (its word is then whole, whatever a mirror could not say), or, where only mirrors may
//! be asked, each of them.
//!
//! Source: OCI distribution-spec 1.1, "Listing Referrers"; RFC 8288 (`Link`).

use futures_util::future::join_all;
use oci_distribution::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use reqwest::Method;
use url::form_urlencoded;

use crate::digest::Digest;
use crate::limits;
use crate::reference::Repository;
use crate::registry::content::malformed;
use crate::registry::http::auth::Read;
use crate::registry::http::client::{Failure, Response};
use crate::registry::http::endpoint::Endpoint;
use crate::registry::http::registry::{Http, Passed, success};
use crate::registry::referrers::{List, fallback_tag};
use crate::registry::{Referrer, Referrers, ReferrersFrom, RegistryError, Target};

/// All that is listed for `subject`, at every place of the repository.
pub(super) async fn list(
    http: &Http,
    repository: &Repository,
    subject: &Digest,
    kind: Option<&str>,
) -> Result<Referrers, RegistryError> {
    let endpoints = Endpoint::all(&http.settings, repository);
    let answers = join_all(endpoints.iter().map(|endpoint| at(http, endpoint, subject, kind))).await;
    let name = repository.to_string();
    let mut list = List::new(&name, kind);
    let (mut from, mut passed, mut itself) = (None, None::<Passed>, false);
    for (endpoint, answer) in endpoints.iter().zip(answers) {
        match answer {
            Ok(answer) => {
                itself |= !endpoint.mirror;
                if from.is_none() || !answer.found.is_empty() {
                    from = Some(answer.from);
                }
                answer.found.into_iter().try_for_each(|referrer| list.add(referrer))?;
            }
            Err(error) if endpoint.mirror => passed.get_or_insert_default().by(error)?,
            Err(error) => return Err(error),
        }
    }
    match (from, passed) {
        (Some(from), None) => Ok(Referrers { found: list.found, from }),
        (Some(from), Some(_)) if itself => Ok(Referrers { found: list.found, from }),
        (_, passed) => Err(passed.unwrap_or_default().last_word(repository)),
    }
}

/// What one place lists.
async fn at(
    http: &Http,
    endpoint: &Endpoint,
    subject: &Digest,
    kind: Option<&str>,
) -> Result<Referrers, RegistryError> {
    if let Some(found) = by_api(http, endpoint, subject, kind).await? {
        return Ok(Referrers { found, from: ReferrersFrom::Api });
    }
    let found = by_tag(http, endpoint, subject, kind).await?;
    Ok(Referrers { found, from: ReferrersFrom::FallbackTag })
}

/// The pages of the API; `None` where the registry has no such API.
async fn by_api(
    http: &Http,
    endpoint: &Endpoint,
    subject: &Digest,
    kind: Option<&str>,
) -> Result<Option<Vec<Referrer>>, RegistryError> {
    let path = endpoint.referrers(subject);
    let mut list = List::new(&endpoint.host, kind);
    let mut address = match kind {
        Some(kind) => {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("artifactType", kind).finish();
            format!("{path}?{query}")
        }
        None => path.clone(),
    };
    let mut asked = Vec::new();
    while asked.len() < limits::REFERRER_PAGES {
        let page = match http.again(|| page(http, endpoint, &path, &address)).await {
            Ok(page) => page,
            Err(error) if asked.is_empty() && has_no_api(&error) => return Ok(None),
            Err(RegistryError::NotFound { .. }) => {
                return Err(malformed(&endpoint.host, "a list of referrers whose next page is not there"));
            }
            Err(error) => return Err(error),
        };
        // The header `OCI-Filters-Applied` need not be asked: who filtered may have filtered badly.
        list.add_index(&page.body).map_err(|error| http.auth.cleanse(error))?;
        asked.push(address);
        match page.next {
            None => return Ok(Some(list.found)),
            Some(next) if asked.contains(&next) => {
                return Err(malformed(&endpoint.host, "a list of referrers whose pages go in a circle"));
            }
            Some(next) => address = next,
        }
    }
    let place = endpoint.host.clone();
    Err(RegistryError::TooMany { place, what: "pages of referrers", limit: limits::REFERRER_PAGES })
}

/// 404 is what the specification asks of a registry without the API; some say it in other ways.
fn has_no_api(error: &RegistryError) -> bool {
    matches!(error, RegistryError::NotFound { .. } | RegistryError::Status { status: 400 | 405 | 406 | 501, .. })
}

/// One page and the address of the next one.
struct Page {
    body: bytes::Bytes,
    next: Option<String>,
}

async fn page(http: &Http, endpoint: &Endpoint, path: &str, address: &str) -> Result<Page, Failure> {
    let read = Read { method: Method::GET, path: address, accept: OCI_IMAGE_INDEX_MEDIA_TYPE };
    let response = success(http.auth.send(endpoint, &read).await?).await?;
    let essence = response.header("content-type")?.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(OCI_IMAGE_INDEX_MEDIA_TYPE) {
        return Err(malformed(&endpoint.host, &format!("a list of referrers of the media type {essence:?}")).into());
    }
    if let Some(encoding) = response.header("content-encoding")?.filter(|value| *value != "identity") {
        return Err(malformed(&endpoint.host, &format!("a list of referrers in the encoding {encoding:?}")).into());
    }
    let next = next_page(endpoint, path, &response)?;
    let body = response.read(limits::MANIFEST_BYTES).await?;
    http.auth.check_echo(endpoint, &body)?;
    Ok(Page { body, next })
}

/// The address that `Link` names as the next page. It may differ in its query alone: with another path or host, a
/// registry would choose what we ask, with credentials that are not meant for it.
fn next_page(endpoint: &Endpoint, path: &str, response: &Response) -> Result<Option<String>, RegistryError> {
    let wrong = |what: &str| malformed(&endpoint.host, &format!("a list of referrers whose next page {what}"));
    let mut next = None;
    for value in response.headers().get_all(reqwest::header::LINK) {
        let text = value.to_str().map_err(|_| wrong("is no text"))?;
        for target in next_targets(text).ok_or_else(|| wrong("can't be read from its Link header"))? {
            if next.replace(target).is_some_and(|other| other != target) {
                return Err(wrong("is named twice"));
            }
        }
    }
    let Some(target) = next else { return Ok(None) };
    let base = response.url();
    let url = base.join(target).map_err(|_| wrong("is no address"))?;
    if response.left || url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("is on another host"));
    }
    if url.path().replace("%3A", ":").replace("%3a", ":") != path {
        return Err(wrong("is another list"));
    }
    let query = url.query().filter(|query| !query.is_empty());
    Ok(Some(query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))))
}

/// The targets of the links with the relation `next`; `None` where the text is no list of links.
fn next_targets(text: &str) -> Option<Vec<&str>> {
    let mut targets = Vec::new();
    let mut rest = text.trim_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        rest = after.trim_start();
        let mut next = false;
        while let Some(parameter) = rest.strip_prefix(';') {
            let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
            let name = parameter[..end].trim();
            rest = &parameter[end..];
            let mut value = "";
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_start();
                (value, rest) = match after.strip_prefix('"') {
                    Some(quoted) => quoted.split_once('"')?,
                    None => after.split_at(after.find([';', ',']).unwrap_or(after.len())),
                };
            }
            rest = rest.trim_start();
            next |= name.eq_ignore_ascii_case("rel")
                && value.split_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"));
        }
        if next {
            targets.push(target);
        }
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start_matches([' ', '\t', ',']);
        }
    }
    Some(targets)
}

/// The index under the fallback tag; where there is no such tag, there are no referrers.
async fn by_tag(
    http: &Http,
    endpoint: &Endpoint,
    subject: &Digest,
    kind: Option<&str>,
) -> Result<Vec<Referrer>, RegistryError> {
    let tag = fallback_tag(subject);
    let manifest = match http.again(|| http.get(endpoint, Target::Tag(&tag))).await {
        Err(RegistryError::NotFound { .. }) => return Ok(Vec::new()),
        answer => answer?,
    };
    if manifest.media_type() != OCI_IMAGE_INDEX_MEDIA_TYPE {
        let detail = format!("under the tag of referrers a manifest of the media type {:?}", manifest.media_type());
        return Err(malformed(&endpoint.host, &detail));
    }
    let mut list = List::new(&endpoint.host, kind);
    list.add_index(manifest.bytes()).map_err(|error| http.auth.cleanse(error))?;
    Ok(list.found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_written() {
        let rows: [(&str, Option<&[&str]>); 16] = [
            ("", Some(&[])),
            ("</a?b>; rel=\"next\"", Some(&["/a?b"])),
            ("</a?b>;rel=next", Some(&["/a?b"])),
            ("</a,b;c>; rel=next", Some(&["/a,b;c"])),
            ("</a>; REL=\"prev NEXT\"", Some(&["/a"])),
            ("</a>; title=\"x; rel=next, \"; rel=prev", Some(&[])),
            ("</a>; rel=prev, </b>; rel=next", Some(&["/b"])),
            ("</a>; rel=next, </b>; rel=next", Some(&["/a", "/b"])),
            ("</a>", Some(&[])),
            ("</a>; next", Some(&[])),
            ("</a>; rel=nextt", Some(&[])),
            ("/a; rel=next", None),
            ("</a; rel=next", None),
            ("</a> </b>; rel=next", None),
            ("</a>; rel=\"next", None),
            ("garbage", None),
        ];
        for (text, expected) in rows {
            assert_eq!(next_targets(text).as_deref(), expected, "{text}");
        }
    }
}
