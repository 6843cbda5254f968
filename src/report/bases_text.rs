//! What people read of the base of one platform: the nearest that is proved, those below it, what is only claimed, and
//! what is not so. A claim is never written like a proof.

use jiff::Timestamp;

use super::bases::{days_between, doubt};
use super::page::Tone;
use super::plural;
use super::sizes::{short_size, stored};
use crate::image::base::{Bases, Confidence, Contradiction, Doubt, Evidence, Ground, Known, Now};
use crate::inspect::Opened;
use crate::reference::Reference;

/// One line of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) tone: Tone,
}

fn line(name: &'static str, text: String) -> Line {
    Line { name, text, tone: Tone::Plain }
}

/// The nearest base that is proved, with what the image holds of it. An image is no base of itself.
pub(super) fn nearest(bases: &Bases) -> Option<(&Known, &Ground)> {
    bases.known.iter().filter(|known| !itself(known)).find_map(|known| Some((known, known.ground.as_ref()?)))
}

fn itself(known: &Known) -> bool {
    known.by.contains(&Evidence::Itself)
}

/// All that is known, in the order in which it matters.
pub(super) fn lines(bases: &Bases, opened: &Opened, looked_for: &[String], now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    let nearest = nearest(bases);
    for known in bases.known.iter().filter(|known| itself(known)) {
        lines.push(line("base", format!("{} is this image itself{}", told_apart(bases, known), named_by(known))));
        lines.extend(news(known));
    }
    if let Some((known, ground)) = nearest {
        lines.push(line("base", sentence(bases, known)));
        lines.push(line("", weight(ground, opened)));
        lines.push(line("", age(ground, now)));
        lines.extend(news(known));
    }
    let others = |known: &&Known| !itself(known) && nearest.is_none_or(|(nearest, _)| !std::ptr::eq(*known, nearest));
    for known in bases.known.iter().filter(others) {
        lines.extend(further(bases, known, nearest.map(|(_, ground)| ground.layers), now));
    }
    if bases.known.is_empty() {
        lines.push(line("base", nothing(bases, looked_for)));
    }
    lines.extend(contradicted(bases, opened));
    lines.extend(open_questions(bases));
    if !looked_for.is_empty() && !bases.known.is_empty() {
        lines.push(line("looked for", looked_for.join(", ")));
    }
    lines
}

/// What leaves the base open.
fn open_questions(bases: &Bases) -> Vec<Line> {
    let loud = |name: &'static str, text: String| Line { name, text, tone: Tone::Warning };
    let doubtful = bases.doubtful.iter().map(|(_, why)| loud("doubtful", why.clone()));
    let unread = bases.unread.iter();
    let unread = unread.map(|(name, error)| loud("not compared", format!("{name}, which may be the base: {error}")));
    doubtful.chain(unread).collect()
}

/// All that is not so and all that leaves the base open, for where the rest is one line.
pub(super) fn reasons(bases: &Bases, opened: &Opened) -> Vec<Line> {
    contradicted(bases, opened).into_iter().chain(open_questions(bases)).collect()
}

/// What the image says and is not so; what was found by reading the layers is said with them.
fn contradicted(bases: &Bases, opened: &Opened) -> Vec<Line> {
    let found = bases.contradicted.iter().filter(|found| !opened.contents.lies.contains(found));
    let text = |found: &Contradiction| format!("{}: {}", found.claimed, found.shown);
    found.map(|found| Line { name: "not so", text: text(found), tone: Tone::Alarm }).collect()
}

/// The base in a few words, for where there is one line.
pub(super) fn short(bases: &Bases) -> String {
    let best = nearest(bases).map(|(known, _)| known).or_else(|| bases.best());
    let stale = |known: &Known| if matches!(known.now, Some(Now::Moved { .. })) { ", which moved on" } else { "" };
    let not_so = if bases.contradicted.is_empty() { "" } else { "; what it says of itself is not so" };
    let base = match best {
        Some(known) if itself(known) => format!("{} is this image itself", known.name()),
        Some(known) => {
            let (name, said) = match by_digest_alone(known) {
                Some(proved) => (proved.to_string(), format!("; said to be {}", known.name())),
                None => (known.name(), String::new()),
            };
            format!("{name}, {}{said}{}", known.confidence.word(), stale(known))
        }
        None => "not known".to_owned(),
    };
    base + not_so
}

/// One that is not the nearest.
fn further(bases: &Bases, known: &Known, above: Option<usize>, now: Timestamp) -> Vec<Line> {
    let mut lines = match (&known.ground, above) {
        (Some(ground), Some(above)) if ground.layers < above => {
            let size = ground.size.map_or_else(|| "an unknown size".to_owned(), short_size);
            let holds = format!("{}, {size}, {}", plural(ground.layers, "layer"), age(ground, now));
            vec![line("below it", format!("on {}, too: {holds}; {}", told_apart(bases, known), how(known)))]
        }
        (Some(_), _) => vec![line("same layers", sentence(bases, known))],
        (None, Some(_)) => vec![line("said, too", sentence(bases, known))],
        (None, None) => vec![line("base", sentence(bases, known))],
    };
    lines.extend(news(known));
    lines
}

fn sentence(bases: &Bases, known: &Known) -> String {
    format!("{}, {}", told_apart(bases, known), how(known))
}

/// What is proved of a base that is named by a tag which is not known to name it now.
fn by_digest_alone(known: &Known) -> Option<Reference> {
    known.tag.as_ref()?;
    known.proved().filter(|proved| proved.tag().is_none())
}

/// What is proved of it, else its name, with its digest where another one has the same name.
fn told_apart(bases: &Bases, known: &Known) -> String {
    if let Some(proved) = by_digest_alone(known).filter(|_| !itself(known)) {
        return proved.to_string();
    }
    let name = known.name();
    let twins = bases.known.iter().filter(|other| other.name() == name).count() > 1;
    match &known.digest {
        Some(digest) if twins && known.tag.is_some() => format!("{name}@{digest}"),
        _ => name,
    }
}

/// How sure it is, and why.
fn how(known: &Known) -> String {
    let why = match &known.doubt {
        Some(_) if known.is_scratch() => ": layers can't show that there is no base".to_owned(),
        Some(Doubt::NotAsked) => format!(": {}; --base {} has it compared", doubt(&Doubt::NotAsked), known.name()),
        Some(why) => format!(": {}", doubt(why)),
        None => String::new(),
    };
    match known.confidence {
        Confidence::Proved if known.is_scratch() => "proved: it has no layers".to_owned(),
        Confidence::Proved if known.by.contains(&Evidence::Unpacked) => {
            format!("proved by its layers, unpacked to compare them{}", named_by(known))
        }
        Confidence::Proved => format!("proved by its layers{}", named_by(known)),
        Confidence::Verified => format!("verified, not proved{why}"),
        Confidence::Claimed => match namers(known, false) {
            namers if namers.is_empty() => format!("not proved{why}"),
            namers => format!("claimed by {}, not verified{why}", listed(&namers)),
        },
    }
}

fn named_by(known: &Known) -> String {
    let namers = namers(known, true);
    if by_digest_alone(known).is_some() && !itself(known) {
        let by = if namers.is_empty() { String::new() } else { format!(" by {}", listed(&namers)) };
        return format!("; said to be {}{by}", known.name());
    }
    match namers {
        namers if namers.is_empty() => String::new(),
        namers => format!("; named by {}", listed(&namers)),
    }
}

/// `a, b and c`.
fn listed(texts: &[String]) -> String {
    match texts {
        [first @ .., second, last] => [first.join(", "), format!("{second} and {last}")]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", "),
        _ => texts.concat(),
    }
}

/// Who names it; `asked` counts in whoever runs us, who claims nothing.
fn namers(known: &Known, asked: bool) -> Vec<String> {
    let namer = |by: &Evidence| match by {
        Evidence::Claim(place) => Some(place.words().to_owned()),
        Evidence::Search => asked.then(|| "--base".to_owned()),
        Evidence::Dockerfile(place) => Some(format!("the Dockerfile at {place}")),
        Evidence::Itself | Evidence::Layers | Evidence::Unpacked => None,
    };
    known.by.iter().filter_map(namer).collect()
}

/// What base and image weigh.
fn weight(ground: &Ground, opened: &Opened) -> String {
    let count = opened.manifest.layers.len();
    let added = opened.added(ground.layers);
    let layers = |count: usize| plural(count, "layer");
    let mut text = format!(
        "{} in {}; added {} in {}; whole {} in {}",
        stored(opened.total(ground.layers).stored),
        layers(ground.layers),
        stored(added.stored),
        layers(count - ground.layers),
        stored(opened.manifest.layers_size()),
        layers(count),
    );
    if ground.size.is_none() {
        text = stored(None);
    }
    text
}

fn age(ground: &Ground, now: Timestamp) -> String {
    let Some(created) = ground.created else { return "it does not say when it was built".to_owned() };
    let day = created.strftime("%Y-%m-%d");
    match days_between(created, now) {
        days if days < 0 => format!("built in the future, by its own word ({day})"),
        0 => format!("built today ({day})"),
        days => format!("built {} ago ({day})", plural(usize::try_from(days).unwrap_or_default(), "day")),
    }
}

/// What its tag names now.
fn news(known: &Known) -> Option<Line> {
    let proved = known.confidence == Confidence::Proved;
    Some(match known.now.as_ref()? {
        Now::Moved { to, created } => {
            let on = created.map_or_else(String::new, |on| format!(" on {}", on.strftime("%Y-%m-%d")));
            let digest = known.digest.as_ref().map_or_else(|| "another digest".to_owned(), ToString::to_string);
            let rebuild = if proved { "rebuild" } else { "rebuild, if that is its base" };
            let text = format!("{rebuild}: {} moved{on}: on {digest}, now {to}", known.name());
            Line { name: "", text, tone: Tone::Warning }
        }
        Now::Unknown(error) => {
            let text = format!("whether there is a newer one can't be known: {error}");
            Line { name: "", text, tone: Tone::Warning }
        }
        Now::Same(digest) if proved => line("", format!("it is the current one: {digest}")),
        Now::Same(_) => return None,
    })
}

/// Where nothing is known: why, and what to do.
fn nothing(bases: &Bases, looked_for: &[String]) -> String {
    let claims = if bases.contradicted.is_empty() { "the image names none" } else { "what the image says is not so" };
    match looked_for {
        [] => format!("not known: {claims}; name what it may be built on: --base NAME:TAG"),
        names => format!("not known: {claims}; looked for: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(created: Option<&str>) -> Ground {
        let digest = crate::digest::Digest::sha256(b"x");
        let created = created.map(|text| text.parse().expect("a time"));
        Ground { manifest: digest, layers: 1, size: Some(1), created, history: true }
    }

    #[test]
    fn texts_are_listed_as_in_a_sentence() {
        let list = |texts: &[&str]| listed(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!((list(&[]), list(&["a"])), (String::new(), "a".to_owned()));
        assert_eq!((list(&["a", "b"]), list(&["a", "b", "c"])), ("a and b".to_owned(), "a, b and c".to_owned()));
    }

    #[test]
    fn ages_are_counted_in_whole_days_and_none_is_made_up() {
        let now = "2026-11-20T12:00:00Z".parse().expect("a time");
        let rows = [
            (Some("2026-11-08T12:00:00Z"), "built 12 days ago (2026-11-08)"),
            (Some("2026-11-19T11:59:59Z"), "built 1 day ago (2026-11-19)"),
            (Some("2026-11-20T00:00:00Z"), "built today (2026-11-20)"),
            (Some("2026-11-20T12:00:01Z"), "built in the future, by its own word (2026-11-20)"),
            (None, "it does not say when it was built"),
        ];
        for (created, expected) in rows {
            assert_eq!(age(&ground(created), now), expected);
        }
    }
}
