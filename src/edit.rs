//! Edits of image references: planned against exact old bytes, spliced by span, proved by a second reading.
//! It never writes a file; what it can't prove, it refuses.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::reference::{LATEST, Reference};
use crate::source::{Found, Holds, Occurrence, Slot, Subject};
use crate::span::Span;

/// One replacement in one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    /// The bytes that go.
    pub span: Span,
    /// What stands there now.
    pub old: String,
    /// What will stand there.
    pub new: String,
}

/// Why edits can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The bytes under a span are not what the plan expects.
    #[error("the bytes at {}..{} are not `{}`", .0.span.start, .0.span.end, .0.old)]
    Stale(Edit),
    /// Two edits touch the same bytes.
    #[error("two edits overlap at byte {0}")]
    Overlap(usize),
    /// The second reading found something else than was intended; the file is left alone.
    #[error("the edited file does not read as intended: {0}")]
    Unproved(String),
}

/// The text of `reference` with `digest`: name and tag as written, `:latest` where neither tag nor digest stood.
pub fn pinned_text(reference: &Reference, digest: &Digest) -> String {
    let name = reference.text_without_digest();
    match (reference.written_tag(), reference.digest()) {
        (None, None) => format!("{name}:{LATEST}@{digest}"),
        _ => format!("{name}@{digest}"),
    }
}

/// The text of `reference` without its digest, where a tag stands beside it.
pub fn unpinned_text(reference: &Reference) -> Option<String> {
    (reference.digest().is_some() && reference.written_tag().is_some())
        .then(|| reference.text_without_digest().to_owned())
}

/// The edit that gives an image `digest`; `None` where nothing would change, or nothing may.
pub fn pin(occurrence: &Occurrence, digest: &Digest) -> Option<Edit> {
    let Subject::Image(reference) = &occurrence.subject else { return None };
    let slot = occurrence.seat()?;
    let new = match slot.holds {
        Holds::Tail => tail(reference, &slot, &pinned_text(reference, digest))?,
        Holds::Digest { .. } => digest.to_string(),
        Holds::Hex { .. } => digest.to_string().strip_prefix("sha256:")?.to_owned(),
    };
    (new != slot.text).then_some(Edit { span: slot.span, old: slot.text, new })
}

/// The edit that takes an image's digest off, where a tag stands beside it.
pub fn unpin(occurrence: &Occurrence) -> Option<Edit> {
    let Subject::Image(reference) = &occurrence.subject else { return None };
    let text = unpinned_text(reference)?;
    let slot = occurrence.seat()?;
    let new = match slot.holds {
        Holds::Tail => tail(reference, &slot, &text)?,
        Holds::Digest { empty } | Holds::Hex { empty } => empty.to_owned(),
    };
    (new != slot.text).then_some(Edit { span: slot.span, old: slot.text, new })
}

/// What stands in the slot once the image's text is `text`, which differs only behind the name and tag.
fn tail(reference: &Reference, slot: &Slot, text: &str) -> Option<String> {
    let name = reference.text_without_digest();
    let own = slot.text.split_once('@').map_or(slot.text.as_str(), |(own, _)| own);
    // what is written stands in the slot up to its end, or nothing is known of what an edit there does
    let rest = text.strip_prefix(name.strip_suffix(own)?)?;
    reference.text().ends_with(&slot.text).then(|| rest.to_owned())
}

/// The text of an image once `edit` was made to its slot.
fn text_after(occurrence: &Occurrence, slot: &Slot, edit: &Edit) -> String {
    let text = &occurrence.text;
    let name = text.split_once('@').map_or(text.as_str(), |(name, _)| name);
    match slot.holds {
        Holds::Tail => format!("{}{}", text.strip_suffix(slot.text.as_str()).unwrap_or(text), edit.new),
        Holds::Digest { empty } | Holds::Hex { empty } if edit.new == empty => name.to_owned(),
        Holds::Digest { .. } => format!("{name}@{}", edit.new),
        Holds::Hex { .. } => format!("{name}@sha256:{}", edit.new),
    }
}

/// Applies `edits` (in any order, doubles allowed) to `bytes`.
pub fn splice(bytes: &[u8], edits: &[Edit]) -> Result<Vec<u8>, EditError> {
    let mut ordered: Vec<&Edit> = edits.iter().collect();
    ordered.sort();
    ordered.dedup();
    let mut spliced = Vec::with_capacity(bytes.len() + ordered.len() * 80);
    let mut at = 0;
    for edit in ordered {
        if edit.span.start < at {
            return Err(EditError::Overlap(edit.span.start));
        }
        if edit.span.of(bytes) != Some(edit.old.as_bytes()) {
            return Err(EditError::Stale(edit.clone()));
        }
        spliced.extend_from_slice(&bytes[at..edit.span.start]);
        spliced.extend_from_slice(edit.new.as_bytes());
        at = edit.span.end;
    }
    spliced.extend_from_slice(&bytes[at..]);
    Ok(spliced)
}

/// Splices and proves: read again by `read`, exactly the intended references changed, and nothing else did.
pub fn apply(read: &dyn Fn(&[u8]) -> Found, bytes: &[u8], edits: &[Edit]) -> Result<Vec<u8>, EditError> {
    let spliced = splice(bytes, edits)?;
    prove(&read(bytes), &read(&spliced), edits)?;
    Ok(spliced)
}

fn prove(before: &Found, after: &Found, edits: &[Edit]) -> Result<(), EditError> {
    let unproved = |text: String| Err(EditError::Unproved(text));
    if before.occurrences.len() != after.occurrences.len() {
        let (before, after) = (before.occurrences.len(), after.occurrences.len());
        return unproved(format!("{before} references before, {after} after"));
    }
    if before.unread != after.unread {
        return unproved("what could not be read changed".to_owned());
    }
    let edits: BTreeMap<Span, &Edit> = edits.iter().map(|edit| (edit.span, edit)).collect();
    if before.pointers.len() != after.pointers.len() {
        return unproved("the files that it names changed".to_owned());
    }
    let known: BTreeSet<Span> = before.occurrences.iter().filter_map(written).collect();
    if let Some(span) = edits.keys().find(|span| !known.contains(span)) {
        return unproved(format!("no image stands at {}..{}", span.start, span.end));
    }
    for (old, new) in before.occurrences.iter().zip(&after.occurrences) {
        let edit = written(old).and_then(|span| edits.get(&span));
        let slot =
            old.slot.clone().or_else(|| Some(Slot { span: old.span?, text: old.text.clone(), holds: Holds::Tail }));
        let text = match (edit, &slot) {
            (Some(edit), Some(slot)) => text_after(old, slot, edit),
            _ => old.text.clone(),
        };
        if new.text != text || !same_place(old, new) {
            return unproved(format!("`{}` at {} reads `{}`", text, old.path, new.text));
        }
        let means = match edit {
            Some(_) => {
                matches!((&old.subject, &new.subject), (Subject::Image(_), Subject::Image(now)) if now.text() == text)
            }
            None => old.subject == new.subject,
        };
        if !means {
            return unproved(format!("`{text}` at {} means something else", old.path));
        }
    }
    Ok(())
}

/// The bytes that an edit of this image would replace, whether it may be edited or not.
fn written(occurrence: &Occurrence) -> Option<Span> {
    occurrence.slot.as_ref().map(|slot| slot.span).or(occurrence.span)
}

/// Same document, path, line, role and kind of place; the column may move when an edit stands before it on the line.
fn same_place(old: &Occurrence, new: &Occurrence) -> bool {
    old.document == new.document
        && old.path == new.path
        && old.place.line == new.place.line
        && old.role == new.role
        && old.format == new.format
        && old.uneditable == new.uneditable
        && old.ignores == new.ignores
        && old.parts.is_none() == new.parts.is_none()
        && old.slot.is_none() == new.slot.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(start: usize, old: &str, new: &str) -> Edit {
        Edit { span: Span::new(start, start + old.len()), old: old.to_owned(), new: new.to_owned() }
    }

    #[test]
    fn splicing_touches_only_its_spans() {
        let edits = [edit(5, "cd", "XYZ"), edit(0, "a", ""), edit(5, "cd", "XYZ")];
        assert_eq!(splice(b"a b  cd e", &edits), Ok(b" b  XYZ e".to_vec()));
        assert_eq!(splice(b"abc", &[]), Ok(b"abc".to_vec()));
    }

    #[test]
    fn stale_and_overlapping_edits_are_refused() {
        let stale = edit(0, "b", "c");
        assert_eq!(splice(b"abc", std::slice::from_ref(&stale)), Err(EditError::Stale(stale)));
        let beyond = edit(9, "b", "c");
        assert_eq!(splice(b"abc", std::slice::from_ref(&beyond)), Err(EditError::Stale(beyond)));
        assert_eq!(splice(b"abc", &[edit(0, "ab", "x"), edit(1, "bc", "y")]), Err(EditError::Overlap(1)));
        assert_eq!(splice(b"abc", &[edit(0, "ab", "x"), edit(0, "ab", "y")]), Err(EditError::Overlap(0)));
    }

    #[test]
    fn names_and_tags_stay_as_written() {
        let digest = Digest::sha256(b"");
        let rows = [
            ("nginx", format!("nginx:latest@{digest}")),
            ("Index.docker.io/nginx:1", format!("Index.docker.io/nginx:1@{digest}")),
            ("localhost:5000", format!("localhost:5000@{digest}")),
            ("localhost:5000/x", format!("localhost:5000/x:latest@{digest}")),
        ];
        for (text, pinned) in rows {
            let reference = Reference::parse(text).expect("a reference");
            assert_eq!(pinned_text(&reference, &digest), pinned);
            let again = Reference::parse(&pinned).expect("a reference");
            assert_eq!(pinned_text(&again, &digest), pinned);
            assert!(unpinned_text(&reference).is_none());
            let unpinned = unpinned_text(&again).expect("a tag stands beside the digest");
            assert_eq!(again.repository(), Reference::parse(&unpinned).expect("a reference").repository());
        }
        let bare = Reference::parse(&format!("nginx@{digest}")).expect("a reference");
        assert_eq!(unpinned_text(&bare), None);
        assert_eq!(pinned_text(&bare, &Digest::sha256(b"x")), format!("nginx@{}", Digest::sha256(b"x")));
    }
}
