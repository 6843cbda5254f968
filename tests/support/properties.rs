//! What must hold of any bytes that a format reads, edits and reads again: for `tests/fuzz.rs` and the targets in `fuzz/`.
//! Written apart from the code that it watches: it splices and compares by itself.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll::digest::Digest;
use plimsoll::edit::{self, Edit, EditError};
use plimsoll::source::{Beside, Format, Found, Holds, Input, Kinds, Occurrence, Slot, Subject, table};
use plimsoll::span::{LineIndex, Place, Span};

/// What stands between a file and the one that lies beside it.
const BESIDE: &[u8] = b"\0beside\0";

/// A file, its path, and what every other path beside it holds.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    pub path: &'a str,
    pub bytes: &'a [u8],
    pub beside: Option<&'a [u8]>,
}

impl Beside for Sample<'_> {
    fn read(&self, _: &str) -> Option<Vec<u8>> {
        self.beside.map(<[u8]>::to_vec)
    }
}

impl<'a> Sample<'a> {
    /// As seeds and saved inputs are written: a line with the path, the file, and what lies beside it behind [`BESIDE`].
    pub fn parse(data: &'a [u8]) -> Self {
        let (path, rest) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
        let rest = rest.get(1..).unwrap_or_default();
        let path = str::from_utf8(path).ok().filter(|path| !path.is_empty()).unwrap_or("-");
        match rest.windows(BESIDE.len()).position(|window| window == BESIDE) {
            Some(at) => Self { path, bytes: &rest[..at], beside: Some(&rest[at + BESIDE.len()..]) },
            None => Self { path, bytes: rest, beside: None },
        }
    }

    fn read(&self, format: &'static dyn Format, bytes: &[u8]) -> Found {
        let kinds = Kinds::none();
        table::read(&[format], &Input { path: self.path, bytes, beside: self, kinds: &kinds })
    }
}

/// What became of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Something could not be read, so nothing is edited.
    Unread,
    /// Nothing is there to pin.
    Nothing,
    /// The edits could not be proved; the file stays as it is.
    Refused,
    /// Pinned, and all of this file holds.
    Pinned,
}

/// Reads a sample; what was found is true of its bytes.
pub fn find(format: &'static dyn Format, sample: &Sample<'_>) -> Found {
    found_in(format, sample, sample.bytes)
}

fn found_in(format: &'static dyn Format, sample: &Sample<'_>, bytes: &[u8]) -> Found {
    let found = sample.read(format, bytes);
    let lines = LineIndex::new(bytes);
    let end = lines.place(bytes.len());
    let stands = |place: Place| place.line >= 1 && place.column >= 1 && place.line <= end.line;
    for occurrence in &found.occurrences {
        let Occurrence { path, text, place, .. } = occurrence;
        assert!(stands(*place), "{path}: no such place {place:?}");
        let spans = occurrence.parts.iter().flatten().map(|part| part.span).chain(occurrence.span);
        for span in spans.chain(occurrence.slot.as_ref().map(|slot| slot.span)) {
            assert!(span.start <= span.end && span.of(bytes).is_some(), "{path}: {span:?} is outside the file");
        }
        if let Subject::Image(reference) = &occurrence.subject {
            assert_eq!(reference.text(), text, "{path}: the reference is of another text");
        }
        assert!(occurrence.slot.is_none() || occurrence.parts.is_some(), "{path}: a slot without parts");
        if let Some(slot) = occurrence.seat() {
            assert_eq!(slot.span.of(bytes), Some(slot.text.as_bytes()), "{path}: the slot holds something else");
            if occurrence.slot.is_none() {
                assert_eq!(slot.text, *text, "{path}: the span is of another text");
                assert_eq!(*place, lines.place(slot.span.start), "{path}: the place is not where the text starts");
            }
        }
    }
    let places: Vec<Place> = found.occurrences.iter().map(|occurrence| occurrence.place).collect();
    assert!(places.is_sorted(), "not in the order of the file: {places:?}");
    for unread in &found.unread {
        assert!(stands(unread.place) && !unread.reason.is_empty(), "{unread:?}");
    }
    for pointer in &found.pointers {
        assert!(stands(pointer.place) && !pointer.path.is_empty(), "{pointer:?}");
        assert!(table::by_id(pointer.format).is_some(), "{pointer:?} to no format");
    }
    found
}

/// Pins all that can be pinned, reads it again, pins again, unpins: only slots change, and in the way that they say.
pub fn splice(format: &'static dyn Format, sample: &Sample<'_>) -> Outcome {
    let found = find(format, sample);
    if !found.unread.is_empty() {
        return Outcome::Unread;
    }
    let digest = Digest::parse(&format!("sha256:{}", "1".repeat(64))).expect("a digest");
    let (chosen, edits) = pins(&found, &digest);
    if edits.is_empty() {
        return Outcome::Nothing;
    }
    let read = |bytes: &[u8]| sample.read(format, bytes);
    let after = match edit::apply(&read, sample.bytes, &edits) {
        Ok(after) => after,
        Err(EditError::Unproved(_)) => return Outcome::Refused,
        Err(error) => panic!("edits of what was found can't be made: {error}"),
    };
    assert_eq!(after, replaced(sample.bytes, &edits), "bytes outside of the slots changed");

    let again = found_in(format, sample, &after);
    assert_eq!(again.occurrences.len(), found.occurrences.len(), "pinning made or lost references");
    for (at, (old, new)) in found.occurrences.iter().zip(&again.occurrences).enumerate() {
        match &new.subject {
            Subject::Image(reference) if chosen.contains(&at) => {
                assert_eq!(reference.digest(), Some(&digest), "{}: not pinned", new.path);
                assert_eq!(edit::pin(new, &digest), None, "{}: a second pin makes an edit", new.path);
            }
            subject => assert_eq!(*subject, old.subject, "{}: another reference changed", new.path),
        }
    }
    assert!(pins(&again, &digest).1.is_empty(), "a second pin makes edits");

    let unpins: BTreeSet<Edit> = chosen.iter().filter_map(|at| edit::unpin(&again.occurrences[*at])).collect();
    let unpins: Vec<Edit> = unpins.into_iter().collect();
    let back = edit::apply(&read, &after, &unpins).unwrap_or_else(|error| panic!("unpin: {error}"));
    let tagged: Vec<Edit> = chosen.iter().filter_map(|at| unpinned(&found.occurrences[*at], &edits)).collect();
    assert_eq!(back, replaced(sample.bytes, &tagged), "unpin does not give back what stood there");
    Outcome::Pinned
}

/// Which occurrences to pin, and their edits: those that share bytes with one that is not to be pinned are left.
fn pins(found: &Found, digest: &Digest) -> (BTreeSet<usize>, Vec<Edit>) {
    let unpinned = |occurrence: &Occurrence| match &occurrence.subject {
        Subject::Image(reference) => reference.digest().is_none(),
        _ => false,
    };
    let mut edits: BTreeMap<usize, Edit> = BTreeMap::new();
    let mut left: BTreeSet<Span> = BTreeSet::new();
    for (at, occurrence) in found.occurrences.iter().enumerate() {
        match edit::pin(occurrence, digest).filter(|_| unpinned(occurrence)) {
            Some(edit) => drop(edits.insert(at, edit)),
            None => left.extend(occurrence.slot.as_ref().map(|slot| slot.span).or(occurrence.span)),
        }
    }
    edits.retain(|_, edit| !left.contains(&edit.span));
    let distinct: BTreeSet<Edit> = edits.values().cloned().collect();
    (edits.into_keys().collect(), distinct.into_iter().collect())
}

/// What a pin and an unpin together do to an image, as an edit of the file that there was first.
fn unpinned(occurrence: &Occurrence, pins: &[Edit]) -> Option<Edit> {
    let Subject::Image(reference) = &occurrence.subject else { return None };
    let Slot { span, text: old, holds } = occurrence.seat()?;
    let pinned = || pins.iter().find(|edit| edit.span == span).map(|edit| edit.new.clone());
    let new = match (holds, reference.written_tag()) {
        (Holds::Tail, Some(_)) => old.clone(),
        (Holds::Tail, None) => format!("{old}:latest"),
        (Holds::Digest { empty } | Holds::Hex { empty }, Some(_)) => empty.to_owned(),
        (Holds::Digest { .. } | Holds::Hex { .. }, None) => pinned()?,
    };
    Some(Edit { span, old, new })
}

/// The bytes with each edit made; equal edits count once.
fn replaced(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let edits: BTreeMap<Span, &Edit> = edits.iter().map(|edit| (edit.span, edit)).collect();
    let (mut new, mut at) = (Vec::new(), 0);
    for (span, edit) in edits {
        new.extend_from_slice(&bytes[at..span.start]);
        new.extend_from_slice(edit.new.as_bytes());
        at = span.end;
    }
    new.extend_from_slice(&bytes[at..]);
    new
}
