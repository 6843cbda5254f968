//! The report for people: each reference that needs attention with its line and a caret, then one summary.
//! Whatever comes from a file or a registry is made visible first; nothing in it reaches the terminal as a command.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level as Mark, Origin, Renderer, Snippet};

use super::{Run, Style, plural};
use crate::finding::{Finding, Level, Status};
use crate::outcome::{Judged, Outcome, Verdict};
use crate::registry::KnownBy;
use crate::rule::built_in::EXISTS;
use crate::span::LineIndex;

/// Longest piece of a source line that is shown, in bytes, on each side of the image.
const AROUND: usize = 80;

/// The whole report, ending in a newline.
pub(super) fn render(run: &Run, outcome: &Outcome, style: Style) -> String {
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(style.width);
    let mut text = String::new();
    let indexes: Vec<LineIndex<'_>> = outcome.files.iter().map(|file| LineIndex::new(&file.bytes)).collect();
    let mut by_reference: Vec<Vec<&Finding>> = vec![Vec::new(); outcome.references.len()];
    for finding in &outcome.findings {
        if let Some(list) = finding.reference.and_then(|at| by_reference.get_mut(at)) {
            list.push(finding);
        }
    }
    let mut notes: Notes<'_> = BTreeMap::new();
    let mut silent: BTreeMap<&str, Vec<(&Judged, &Finding)>> = BTreeMap::new();
    for (judged, findings) in outcome.references.iter().zip(&mut by_reference) {
        findings.sort_by_key(|finding| weight(finding));
        if let (false, [finding, ..], Some(cause)) = (style.verbose, findings.as_slice(), cause(judged, findings)) {
            silent.entry(cause).or_default().push((judged, finding));
            continue;
        }
        if style.verbose || matches!(judged.verdict, Verdict::Deny | Verdict::Undecided) {
            let path = visible(&outcome.files[judged.file].path);
            let group = group(judged, findings, path, &indexes[judged.file], run, style.verbose);
            text.push_str(&renderer.render(&[group]));
            text.push_str("\n\n");
            continue;
        }
        for finding in findings.iter() {
            let key = (finding.status == Status::Excepted, finding.rule, finding.help.as_str());
            notes.entry(key).or_default().push((judged, finding));
        }
    }
    for (cause, rows) in silent {
        text.push_str(&renderer.render(&[unanswered(outcome, cause, &rows)]));
        text.push_str("\n\n");
    }
    for finding in outcome.findings.iter().filter(|finding| finding.reference.is_none()) {
        text.push_str(&renderer.render(&[loose(finding)]));
        text.push_str("\n\n");
    }
    for ((excepted, rule, help), rows) in notes {
        text.push_str(&renderer.render(&[note(outcome, excepted, rule, help, &rows)]));
        text.push_str("\n\n");
    }
    for (file, unread) in outcome.unread.iter().filter(|_| style.verbose) {
        let place = format!("{file}:{}:{}", unread.place.line, unread.place.column);
        let _ = writeln!(text, "unread {}: {}", visible(&place), visible(&unread.reason));
    }
    summary(&mut text, run, outcome);
    text
}

/// What stands in no verdict's way, by kind: excepted or not, rule, help.
type Notes<'a> = BTreeMap<(bool, &'static str, &'a str), Vec<(&'a Judged, &'a Finding)>>;

/// Why a reference is undecided, where nothing but the registry's silence is the reason: many may share it.
fn cause<'a>(judged: &Judged, findings: &[&'a Finding]) -> Option<&'a str> {
    let deciding: Vec<&&Finding> = findings.iter().filter(|finding| weight(finding) < 2).collect();
    match (judged.verdict, deciding.as_slice()) {
        (Verdict::Undecided, [only]) if only.rule == EXISTS.id => Some(only.message.split_once(": ")?.1),
        _ => None,
    }
}

/// References that share one reason for being undecided.
fn unanswered<'a>(outcome: &Outcome, cause: &str, rows: &[(&'a Judged, &'a Finding)]) -> Group<'a> {
    let title = format!("{}, for the same reason", plural(rows.len(), "reference"));
    let title = if rows.len() == 1 { one_line(&rows[0].0.occurrence.text) } else { title };
    let mut group = Group::with_title(Mark::ERROR.with_name(Some("undecided")).primary_title(title));
    for (judged, _) in rows {
        let place = judged.occurrence.place;
        let path = visible(&outcome.files[judged.file].path);
        let row = format!("{path}:{}:{}  {}", place.line, place.column, one_line(&judged.occurrence.text));
        group = group.element(Mark::NOTE.no_name().message(row));
    }
    group = group.element(Mark::NOTE.with_name(Some("exists (undecided)")).message(visible(cause)));
    group.element(Mark::HELP.message(rows.first().map_or_else(String::new, |(_, finding)| visible(&finding.help))))
}

/// What decides comes first.
fn weight(finding: &Finding) -> u8 {
    match (finding.level, finding.status) {
        (Level::Deny, Status::Violated) => 0,
        (Level::Deny, Status::Undecided) => 1,
        (Level::Warn, Status::Violated | Status::Undecided) => 2,
        (_, Status::Excepted) => 3,
    }
}

/// One kind of warning or exception, a line for each reference.
fn note<'a>(
    outcome: &Outcome,
    excepted: bool,
    rule: &'static str,
    help: &str,
    rows: &[(&'a Judged, &'a Finding)],
) -> Group<'a> {
    let what = format!("{rule}: {}", plural(rows.len(), "reference"));
    let mut group = if excepted {
        Group::with_title(Mark::NOTE.with_name(Some("excepted")).primary_title(what))
    } else {
        Group::with_title(Mark::WARNING.primary_title(what))
    };
    for (judged, finding) in rows {
        let place = judged.occurrence.place;
        let path = visible(&outcome.files[judged.file].path);
        let row = format!("{path}:{}:{}  {}", place.line, place.column, said(finding));
        group = group.element(Mark::NOTE.no_name().message(row));
    }
    if excepted || help.is_empty() { group } else { group.element(Mark::HELP.message(visible(help))) }
}

/// One reference with its findings: a title, the source line with a caret, what each rule says, what to do.
fn group<'a>(
    judged: &'a Judged,
    findings: &[&'a Finding],
    path: String,
    index: &LineIndex<'a>,
    run: &Run,
    verbose: bool,
) -> Group<'a> {
    let (mark, word) = match judged.verdict {
        Verdict::Deny => (Mark::ERROR, "deny"),
        Verdict::Undecided => (Mark::ERROR, "undecided"),
        Verdict::Allow => (Mark::NOTE, "allow"),
        Verdict::Skipped => (Mark::NOTE, "skipped"),
    };
    let title = mark.with_name(Some(word)).primary_title(one_line(&judged.occurrence.text));
    let place = judged.occurrence.place;
    let excerpt = excerpt(judged, index);
    let label = findings.first().map_or("", |finding| finding.rule);
    let snippet = Snippet::source(excerpt.text)
        .line_start(place.line)
        .annotation(AnnotationKind::Primary.span(excerpt.image).label(label));
    let mut group = if excerpt.whole_before {
        title.element(snippet.path(path))
    } else {
        title.element(Origin::path(path).line(place.line).char_column(place.column)).element(snippet)
    };
    for finding in findings {
        group = group.element(Mark::NOTE.with_name(Some(finding_name(finding))).message(said(finding)));
    }
    let mut helps: Vec<&str> = Vec::new();
    for finding in findings.iter().filter(|finding| weight(finding) < 2) {
        if !helps.contains(&finding.help.as_str()) {
            helps.push(&finding.help);
        }
    }
    for help in helps.into_iter().filter(|help| !help.is_empty()) {
        group = group.element(Mark::HELP.message(visible(help)));
    }
    if let (true, Some(digest), Some(known)) = (verbose, &judged.digest, judged.known_by) {
        let how = match known {
            KnownBy::Bytes => "hashed",
            KnownBy::Header => "by the registry's word",
        };
        group = group.element(Mark::NOTE.message(format!("names {digest} ({how})")));
    }
    if let Some(reason) = judged.reason.as_deref().filter(|_| findings.is_empty()) {
        group = group.element(Mark::NOTE.message(visible(reason)));
    } else if let Some(what) = &judged.occurrence.assumes {
        group = group.element(Mark::NOTE.message(visible(&format!("assumes {what}"))));
    }
    if let (Some(reason), "pin") = (&judged.occurrence.uneditable, run.command) {
        group = group.element(Mark::NOTE.message(format!("left as it is: {}", visible(reason))));
    }
    group
}

fn finding_name(finding: &Finding) -> String {
    let how = match (finding.level, finding.status) {
        (Level::Deny, Status::Violated) => "",
        (Level::Warn, Status::Violated) => " (warning)",
        (Level::Deny, Status::Undecided) => " (undecided)",
        (Level::Warn, Status::Undecided) => " (warning, undecided)",
        (_, Status::Excepted) => " (excepted)",
    };
    format!("{}{how}", finding.rule)
}

fn said(finding: &Finding) -> String {
    match &finding.policy {
        Some(policy) => format!("{} [{}:{}]", visible(&finding.message), visible(&policy.file), policy.line),
        None => visible(&finding.message),
    }
}

/// A finding about a file or the policy.
fn loose(finding: &Finding) -> Group<'_> {
    let mark = if finding.level == Level::Deny { Mark::ERROR } else { Mark::WARNING };
    let word = match (finding.level, finding.status) {
        (Level::Deny, Status::Undecided) => "undecided",
        (Level::Deny, _) => "deny",
        (Level::Warn, _) => "warning",
    };
    let place = match &finding.place {
        Some((file, place)) => format!("{}:{}:{}", visible(file), place.line, place.column),
        None => finding.policy.as_ref().map_or(String::new(), |line| format!("{}:{}", visible(&line.file), line.line)),
    };
    let title = mark.with_name(Some(word)).primary_title(place);
    title
        .element(Mark::NOTE.with_name(Some(finding.rule)).message(visible(&finding.message)))
        .element(Mark::HELP.message(visible(&finding.help)))
}

/// A piece of the source line around the image.
struct Excerpt {
    text: String,
    /// The image's bytes in it.
    image: Range<usize>,
    /// Whether it begins where the line begins, so that its columns are the line's.
    whole_before: bool,
}

fn excerpt(judged: &Judged, index: &LineIndex<'_>) -> Excerpt {
    let place = judged.occurrence.place;
    // a file of one line with a hundred thousand images must not be looked at whole for each of them
    let whole = index.line(place.line);
    let start = index.start(place.line);
    // of an image that is composed from several places, the one that it is shown at
    let parts = judged.occurrence.parts.iter().flatten().map(|part| part.span);
    let span = judged.occurrence.span.or_else(|| {
        parts
            .into_iter()
            .find(|part| (start..=start + whole.len()).contains(&part.start) && index.place(part.start) == place)
    });
    let offset = span.map_or_else(|| column_start(whole, place.column), |span| span.start.saturating_sub(start));
    let width = span.map_or(1, crate::span::Span::len);
    let cut = if offset > 4 * AROUND { offset - 3 * AROUND } else { 0 };
    let cut = (cut..offset).find(|at| whole.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80)).unwrap_or(cut);
    let to = (offset + width + 4 * AROUND).min(whole.len());
    let line = String::from_utf8_lossy(whole.get(cut..to).unwrap_or_default()).into_owned();
    let at = floor(&line, (offset - cut).min(line.len()));
    let end = floor(&line, (at + width).min(line.len()));
    let from = if at > 2 * AROUND { floor(&line, at - AROUND) } else { 0 };
    let to = floor(&line, end.saturating_add(AROUND).min(line.len()));
    let piece = |from: usize, to: usize| plain(&line[from..to]);
    let (before, image, after) = (piece(from, at), piece(at, end), piece(end, to));
    Excerpt {
        image: before.len()..before.len() + image.len(),
        text: format!("{before}{image}{after}"),
        whole_before: from == 0 && cut == 0,
    }
}

/// The byte of a line at which a column, counted in characters from 1, begins.
fn column_start(line: &[u8], column: usize) -> usize {
    let text = str::from_utf8(line).unwrap_or_default();
    text.char_indices().nth(column.saturating_sub(1)).map_or(0, |(at, _)| at)
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Control characters but the tab become a mark: the excerpt keeps its columns.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter != '\t' && hidden(letter) { '\u{fffd}' } else { letter }).collect()
}

fn one_line(text: &str) -> String {
    let text = visible(text);
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The text with everything that a terminal obeys, or that turns text around, written out.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if hidden(letter) {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Whether a terminal may obey the letter, turn text around by it, or show nothing for it.
pub(super) fn hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn summary(text: &mut String, run: &Run, outcome: &Outcome) {
    let counts = outcome.counts();
    let excepted = outcome.findings.iter().filter(|finding| finding.status == Status::Excepted).count();
    let warnings = outcome.findings.iter().filter(|f| f.level == Level::Warn && f.status != Status::Excepted).count();
    let _ = writeln!(
        text,
        "{} in {}: {} allowed, {} denied, {} undecided, {} skipped",
        plural(outcome.references.len(), "reference"),
        plural(outcome.files_read, "file"),
        counts.allow,
        counts.deny,
        counts.undecided,
        counts.skipped
    );
    let mut more = Vec::new();
    if warnings > 0 {
        more.push(plural(warnings, "warning"));
    }
    if excepted > 0 {
        more.push(format!("{} excepted", plural(excepted, "finding")));
    }
    if !outcome.unread.is_empty() {
        more.push(format!("{} unread", plural(outcome.unread.len(), "document")));
    }
    if outcome.files_ignored > 0 {
        more.push(format!("{} ignored", plural(outcome.files_ignored, "file")));
    }
    if !more.is_empty() {
        let _ = writeln!(text, "{}", more.join(", "));
    }
    if !outcome.not_evaluated.is_empty() {
        let _ = writeln!(text, "not evaluated without asking a registry: {}", outcome.not_evaluated.join(", "));
    }
    let policy =
        run.policy.as_deref().map_or("no policy: nothing was judged but that the registry has it".to_owned(), |file| {
            format!("policy: {}", visible(file))
        });
    let layouts = if run.layouts.is_empty() {
        String::new()
    } else {
        format!("; images from layouts on disk: {}", visible(&run.layouts.join(", ")))
    };
    let _ = writeln!(text, "{policy}{layouts}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_file_reaches_the_terminal_as_a_command() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(plain("a\u{1b}b\tc"), "a\u{fffd}b\tc");
        for hidden in ['\u{9b}', '\u{ad}', '\u{61c}', '\u{180e}', '\u{200f}', '\u{2066}', '\u{e0041}'] {
            assert_eq!(visible(&hidden.to_string()), hidden.escape_unicode().to_string());
        }
    }
}
