//! Which platforms of an image a rule looks at: all of them, or those that the user named.
//! A platform that was named and is not there is said so; what can't be told apart is looked at.

use super::wording::cut;
use super::{Case, Problem};
use crate::image::{Details, Image, Platform, PlatformImage};

/// The content, or why it can't be judged.
pub fn content<'a>(case: &Case<'a>) -> Result<&'a Image, Problem> {
    match case.image {
        Some(Ok(image)) => Ok(image),
        Some(Err(error)) => {
            let message = format!("the content of {} could not be read: {error}", case.reference);
            Err(Problem::new(message, "make the registry reachable, or its content sound, and run again"))
        }
        None => {
            let message = format!("the content of {} was not asked for", case.reference);
            Err(Problem::new(message, "run without --no-resolve"))
        }
    }
}

/// The platforms to look at; one whose name is not known counts as each of those that were named.
pub fn chosen<'a>(image: &'a Image, named: &[Platform]) -> Vec<&'a PlatformImage> {
    let fits = |found: &PlatformImage| {
        found.platform.as_ref().is_none_or(|platform| named.iter().any(|wanted| platform.is(wanted)))
    };
    image.platforms().iter().filter(|found| named.is_empty() || fits(found)).collect()
}

/// The platforms to look at with what is said of each, and why not all that should be judged can be.
#[derive(Debug)]
pub struct Known<'a> {
    /// A platform by its name, and what its config and annotations say.
    pub platforms: Vec<(String, &'a Details)>,
    /// What leaves an image undecided that breaks no rule.
    pub open: Option<Problem>,
}

/// The platforms to look at, for rules that judge configs; a platform whose config was not read leaves them open.
pub fn detailed<'a>(image: &'a Image, named: &[Platform]) -> Known<'a> {
    let mut known = Known { platforms: Vec::new(), open: named_but_lacking(image, named) };
    for found in chosen(image, named) {
        let Some(details) = &found.details else {
            let message = format!("the config of {} was not read", name(found));
            known.open = Some(Problem::new(message, "run without --no-resolve"));
            continue;
        };
        known.platforms.push((name(found), details));
    }
    known
}

/// What a message calls the platform.
pub fn name(found: &PlatformImage) -> String {
    found.platform.as_ref().map_or_else(|| "the image".to_owned(), |platform| cut(&platform.to_string()))
}

/// Those of `wanted` that the image surely lacks or is not known to have.
pub fn lacking<'a>(image: &Image, wanted: &'a [Platform]) -> Vec<&'a Platform> {
    let has = |wanted: &Platform| {
        image.platforms().iter().any(|found| found.platform.as_ref().is_some_and(|platform| platform.is(wanted)))
    };
    wanted.iter().filter(|wanted| !has(wanted)).collect()
}

/// Why a named platform leaves the rule undecided, where one is lacking.
pub fn named_but_lacking(image: &Image, named: &[Platform]) -> Option<Problem> {
    let lacking = lacking(image, named);
    (!lacking.is_empty()).then(|| {
        let message = format!("the image has no {}, which was named; it has {}", list(lacking), list(known(image)));
        Problem::new(message, "name a platform that the image has")
    })
}

/// The platforms whose names are known.
pub fn known(image: &Image) -> Vec<&Platform> {
    image.platforms().iter().filter_map(|found| found.platform.as_ref()).collect()
}

/// `linux/amd64, linux/arm64`; `none that is known` for an empty list.
pub fn list(platforms: Vec<&Platform>) -> String {
    if platforms.is_empty() {
        return "none that is known".to_owned();
    }
    platforms.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
