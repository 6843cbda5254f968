//! Bytes as people read them: in words, and as the bar of a share.

use super::plural;

/// Cells of the bar that shows a layer's share.
pub(super) const BAR: usize = 10;

/// `12.3 MiB (12897484 bytes)`.
pub(super) fn size(bytes: u64) -> String {
    let short = short_size(bytes);
    if short.ends_with(" B") {
        plural(usize::try_from(bytes).unwrap_or(usize::MAX), "byte")
    } else {
        format!("{short} ({bytes} bytes)")
    }
}

/// `12.3 MiB`.
pub(super) fn short_size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        if bytes >> shift > 0 {
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// The size as stored, or why there is none.
pub(super) fn stored(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown: the layers contradict each other".to_owned(), size)
}

/// The share of `total` in eighths of a cell; empty where the total is not known.
pub(super) fn bar(size: u64, total: Option<u64>) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let Some(total) = total.filter(|total| *total > 0) else { return " ".repeat(BAR) };
    let cells = u128::from(size.min(total)) * (BAR as u128) * 8 / u128::from(total);
    let eighths = usize::try_from(cells).unwrap_or(BAR * 8);
    let mut bar = "█".repeat(eighths / 8);
    if eighths / 8 < BAR {
        bar.push(EIGHTHS[eighths % 8]);
    }
    let used = bar.chars().count();
    bar + &" ".repeat(BAR - used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_fill_the_bar_and_never_more() {
        let rows = [
            (0, Some(100), "          "),
            (100, Some(100), "██████████"),
            (50, Some(100), "█████     "),
            (1, Some(100), "          "),
            (2, Some(100), "▏         "),
            (5, Some(4), "██████████"),
            (u64::MAX, Some(u64::MAX), "██████████"),
            (7, Some(0), "          "),
            (7, None, "          "),
        ];
        for (size, total, expected) in rows {
            assert_eq!(bar(size, total), expected, "{size} of {total:?}");
        }
    }

    #[test]
    fn sizes_as_people_write_them() {
        let rows = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(short_size(bytes), expected);
        }
        assert_eq!((size(1), size(2_048)), ("1 byte".to_owned(), "2.0 KiB (2048 bytes)".to_owned()));
    }
}
