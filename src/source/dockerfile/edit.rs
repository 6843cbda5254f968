//! Where a digest is written for the image of a FROM: into FROM itself, or into the default of the ARG that its text
//! ends with, and only where nothing else changes with it. What may not be edited says why, and the way out.

use std::borrow::Cow;

use crate::source::dockerfile::SCATTERED;
use crate::source::dockerfile::arg::{self, Scope};
use crate::source::dockerfile::shell::{Expansion, Letter, Origin};
use crate::source::{Holds, Occurrence, Part, Slot};
use crate::span::{LineIndex, Span};

/// The image of a FROM, and what its text is made of.
#[derive(Debug)]
pub(super) struct Composed {
    /// Its number among the occurrences.
    pub(super) occurrence: usize,
    /// The word in FROM, without the quotes around it.
    pub(super) span: Span,
    /// Where its instruction stands.
    pub(super) at: usize,
    /// What the word comes to.
    pub(super) expansion: Expansion,
}

/// Gives each image of a FROM its place to edit, or the reason why it has none.
pub(super) fn place(occurrences: &mut [Occurrence], scope: &mut Scope, composed: &[Composed], lines: &LineIndex<'_>) {
    let ends: Vec<Result<End, String>> =
        composed.iter().map(|image| end(image, &occurrences[image.occurrence].text, scope)).collect();
    // every image that a default composes, by the default
    let mut uses: Vec<Vec<usize>> = vec![Vec::new(); scope.defaults.len()];
    for (at, image) in composed.iter().enumerate() {
        for number in image.expansion.reads.iter().filter_map(|read| read.default) {
            if uses[number].last() != Some(&at) {
                uses[number].push(at);
            }
        }
    }
    let line = |offset: usize| lines.line_at(offset);
    let reasons: Vec<Option<String>> = scope
        .defaults
        .iter()
        .zip(&uses)
        .enumerate()
        .map(|(number, (default, uses))| {
            let name = &default.name;
            let text = |at: &usize| &occurrences[composed[*at].occurrence].text;
            let first = uses.first()?;
            if let Some(spread) = &default.spread {
                return Some(format!(
                    "ARG `{name}` reaches more than this image ({}, line {}), where a digest would do harm; give FROM \
                     an ARG of its own, or write the image out",
                    spread.what,
                    line(spread.at)
                ));
            }
            if let Some(other) = uses.iter().find(|at| text(at) != text(first)) {
                let (first, other) = (line(composed[*first].at), line(composed[*other].at));
                return Some(format!(
                    "ARG `{name}` composes several images (lines {first} and {other}); give each an ARG of its own, or \
                     write it out"
                ));
            }
            if let Some(other) = uses.iter().find(|at| !is_end(&ends[**at], number)) {
                let other = line(composed[*other].at);
                return Some(format!(
                    "the image in line {other} holds ARG `{name}` too, but not at its end; write the image out there"
                ));
            }
            default.span.is_none().then(|| format!("the default of ARG `{name}` is composed itself, or {SCATTERED}"))
        })
        .collect();
    for (image, end) in composed.iter().zip(ends) {
        let occurrence = &mut occurrences[image.occurrence];
        match end {
            // an escape before the first letter is no part of the text
            Ok(End::Whole(span)) => (occurrence.span, occurrence.place) = (Some(span), lines.place(span.start)),
            Ok(End::Here(slot)) => compose(occurrence, image, scope, Some(slot)),
            Ok(End::Default(number)) => {
                occurrence.uneditable.clone_from(&reasons[number]);
                let default = &scope.defaults[number];
                let slot = default.span.zip(default.value.as_ref().ok());
                let slot = slot.map(|(span, text)| Slot { span, text: text.clone(), holds: Holds::Tail });
                compose(occurrence, image, scope, slot);
            }
            Err(reason) => {
                occurrence.uneditable = Some(reason);
                if !image.expansion.reads.is_empty() {
                    compose(occurrence, image, scope, None);
                }
            }
        }
    }
}

fn is_end(end: &Result<End, String>, number: usize) -> bool {
    matches!(end, Ok(End::Default(own)) if *own == number)
}

fn compose(occurrence: &mut Occurrence, image: &Composed, scope: &Scope, slot: Option<Slot>) {
    let mut parts = vec![Part { field: Cow::Borrowed("image"), span: image.span }];
    for number in image.expansion.reads.iter().filter(|read| read.counts).filter_map(|read| read.default) {
        let default = &scope.defaults[number];
        let span = default.span.unwrap_or(default.written);
        if parts.iter().all(|part| part.span != span) {
            parts.push(Part { field: Cow::Owned(default.name.clone()), span });
        }
    }
    occurrence.span = None;
    occurrence.parts = Some(parts);
    occurrence.slot = slot.filter(|_| occurrence.uneditable.is_none());
}

/// What the text of an image ends with.
enum End {
    /// All of it stands in FROM, in one piece.
    Whole(Span),
    /// A piece that stands in FROM and holds the name's last component and what follows it.
    Here(Slot),
    /// The default of that number.
    Default(usize),
}

fn end(image: &Composed, text: &str, scope: &Scope) -> Result<End, String> {
    let letters = &image.expansion.letters;
    if image.expansion.reads.is_empty() {
        return arg::contiguous(letters).map(End::Whole).ok_or_else(|| SCATTERED.to_owned());
    }
    let names = names(image);
    match letters.last().map(|(_, origin)| *origin) {
        Some(Origin::Here(_, end)) if end == image.span.end => {
            let start = (0..letters.len()).rev().take_while(|at| arg::contiguous(&letters[*at..]).is_some()).last();
            let piece = &letters[start.unwrap_or(letters.len())..];
            let own = text_of(piece);
            let front = text_of(&letters[..letters.len() - piece.len()]);
            let name = own.split('@').next().unwrap_or_default();
            if !(front.is_empty() || front.ends_with('/') || name.contains('/')) {
                if front.rsplit('/').next().is_some_and(|component| component.contains(':')) {
                    return Err(several(&names));
                }
                return Err(format!(
                    "the name in front of its tag comes from {names}; write the image out, or put name and tag into one ARG"
                ));
            }
            let span = arg::contiguous(piece).ok_or_else(|| SCATTERED.to_owned())?;
            Ok(End::Here(Slot { span, text: own, holds: Holds::Tail }))
        }
        Some(Origin::Default(number, end)) if end == image.span.end => {
            let own = scope.defaults[number].value.as_deref().unwrap_or_default();
            let reads = image.expansion.reads.iter().filter(|read| read.default == Some(number)).count();
            let pure = image.expansion.reads.iter().all(|read| read.default != Some(number) || read.whole);
            if reads != 1 || !pure {
                return Err(format!(
                    "ARG `{}` stands in it more than once; write the image out",
                    scope.defaults[number].name
                ));
            }
            if text.contains('@') && !own.contains('@') {
                return Err(
                    "its digest stands in an ARG of its own; write the image out, or put it into one ARG".to_owned()
                );
            }
            // a digest fits one tag: what another value could change in the tag must lie in the same default
            let name = text.split('@').next().unwrap_or_default();
            let component = name.rfind('/').map_or(0, |at| at + 1);
            let tag = name[component..].find(':').map_or(name.len(), |at| component + at);
            let mut at = 0;
            let fixed = letters.iter().all(|(letter, origin)| {
                let inside = at >= tag;
                at += letter.len_utf8();
                !inside
                    || matches!(origin, Origin::Here(..))
                    || matches!(origin, Origin::Default(of, _) if *of == number)
            });
            let conditions = image.expansion.reads.iter().any(|read| !read.whole && read.open);
            if fixed && !conditions { Ok(End::Default(number)) } else { Err(several(&names)) }
        }
        _ => Err(several(&names)),
    }
}

fn several(names: &str) -> String {
    format!(
        "its tag or name is composed of several parts ({names}); put name and tag into one ARG, or write the image out"
    )
}

/// The ARGs that an image is composed of: "ARG `A`, `B`".
fn names(image: &Composed) -> String {
    let mut names: Vec<String> = Vec::new();
    for read in image.expansion.reads.iter().filter(|read| read.counts) {
        let name = format!("`{}`", read.name.escape_debug());
        if !names.contains(&name) && names.len() < 8 {
            names.push(name);
        }
    }
    format!("ARG {}", names.join(", "))
}

fn text_of(letters: &[Letter]) -> String {
    letters.iter().map(|(letter, _)| letter).collect()
}
