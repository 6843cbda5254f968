//! Positions: byte ranges in a file, and the lines and columns that people read.
//! Knows nothing of any format; a column counts Unicode scalars, as editors do.

use std::ops::Range;

use serde::{Serialize, Serializer};

/// A half-open range of bytes, counted from the start of the file on disk (a byte order mark included).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span from `start` up to but not including `end`.
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end, "a span runs forward");
        Self { start, end }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it holds no byte at all.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes it covers, or `None` where it does not fit.
    pub fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.start..self.end)
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

/// As the JSON report writes it: `[start, end]`.
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.start, self.end].serialize(serializer)
    }
}

/// A place as people read it: both counted from 1, the column in Unicode scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in Unicode scalars, from 1; a byte order mark is not counted.
    pub column: usize,
}

/// Turns byte offsets of one file into places; built once a file, each look-up is a binary search.
#[derive(Debug)]
pub struct LineIndex<'a> {
    bytes: &'a [u8],
    starts: Vec<usize>,
    /// Continuation bytes in front of every block of [`BLOCK`] bytes, so that a file of one line costs no more.
    continuations: Vec<usize>,
}

const BLOCK: usize = 1_024;

const BOM: &[u8] = b"\xef\xbb\xbf";

impl<'a> LineIndex<'a> {
    /// Reads the line ends (LF, CRLF, and a CR alone) of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut starts = vec![if bytes.starts_with(BOM) { BOM.len() } else { 0 }];
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' => starts.push(at + 1),
                b'\r' if bytes.get(at + 1) != Some(&b'\n') => starts.push(at + 1),
                _ => {}
            }
        }
        let continuations = bytes
            .chunks(BLOCK)
            .scan(0, |sum, block| {
                let before = *sum;
                *sum += count_continuations(block);
                Some(before)
            })
            .collect();
        Self { bytes, starts, continuations }
    }

    /// The place of a byte offset; an offset past the end is taken as the end.
    pub fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.bytes.len());
        let line = self.line_at(offset);
        let start = self.starts[line - 1].min(offset);
        let column = offset - start - (self.continuations_before(offset) - self.continuations_before(start)) + 1;
        Place { line, column }
    }

    fn continuations_before(&self, offset: usize) -> usize {
        let block = (offset / BLOCK).min(self.continuations.len().saturating_sub(1));
        self.continuations
            .get(block)
            .map_or(0, |before| before + count_continuations(&self.bytes[block * BLOCK..offset]))
    }

    /// The line of a byte offset, from 1, without the work of counting columns.
    pub fn line_at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }

    /// Where a line (from 1) starts.
    pub fn start(&self, line: usize) -> usize {
        line.checked_sub(1).and_then(|at| self.starts.get(at)).copied().unwrap_or(self.bytes.len())
    }

    /// The bytes of a line (from 1) without its line end; empty where there is no such line.
    pub fn line(&self, line: usize) -> &'a [u8] {
        let Some(start) = line.checked_sub(1).and_then(|at| self.starts.get(at)) else { return &[] };
        let end = self.starts.get(line).copied().unwrap_or(self.bytes.len());
        let mut text = &self.bytes[*start..end];
        while let [rest @ .., b'\n' | b'\r'] = text {
            text = rest;
        }
        text
    }
}

fn count_continuations(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_continuation(**byte)).count()
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_scalars_and_skip_the_byte_order_mark() {
        let text = "\u{feff}a: é\r\nb: ü x\rc\n".as_bytes();
        let index = LineIndex::new(text);
        let at = |needle: &str| text.windows(needle.len()).position(|w| w == needle.as_bytes()).expect("present");
        assert_eq!(index.place(at("a:")), Place { line: 1, column: 1 });
        assert_eq!(index.place(at("é")), Place { line: 1, column: 4 });
        assert_eq!(index.place(at("x")), Place { line: 2, column: 6 });
        assert_eq!(index.place(at("c\n")), Place { line: 3, column: 1 });
        assert_eq!(index.place(usize::MAX), Place { line: 4, column: 1 });
        assert_eq!((index.line_at(0), index.line_at(at("x")), index.line_at(usize::MAX)), (1, 2, 4));
    }

    #[test]
    fn columns_of_a_long_line() {
        let text = "aé".repeat(2_000) + "\n" + &"é".repeat(1_536) + "x";
        let index = LineIndex::new(text.as_bytes());
        assert_eq!(index.place(3 * 1_999 + 1), Place { line: 1, column: 4_000 });
        assert_eq!(index.place(text.len() - 1), Place { line: 2, column: 1_537 });
        assert_eq!(index.place(text.len()), Place { line: 2, column: 1_538 });
        assert_eq!(LineIndex::new(b"").place(0), Place { line: 1, column: 1 });
        assert_eq!(LineIndex::new(&[b'a'; 1_024]).place(1_024), Place { line: 1, column: 1_025 });
    }

    #[test]
    fn a_line_comes_without_its_end() {
        let index = LineIndex::new(b"one\r\ntwo\nthree");
        assert_eq!(index.line(1), b"one");
        assert_eq!(index.line(2), b"two");
        assert_eq!(index.line(3), b"three");
        assert_eq!(index.line(4), b"");
        assert_eq!(index.line(0), b"");
    }
}
