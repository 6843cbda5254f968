//! What `inspect` prints for people: the image, then each platform with its layers, cut to the terminal's width.
//! Whatever comes from a registry is made visible first, and what is only claimed is said to be.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::bases::doubt;
use super::inspect::{Inspection, age_days, named, shares};
use super::text::visible;
use super::{Style, plural};
use crate::digest::Digest;
use crate::image::Config;
use crate::image::base::{Bases, Now};
use crate::inspect::{Inside, Opened};
use crate::registry::{Referrers, ReferrersFrom, RegistryError};

/// Columns of a name in front of its value.
const NAMES: usize = 13;
/// Cells of the bar that shows a layer's share.
const BAR: usize = 10;
/// Before this second (2000-01-01) no image was built; builders that want the same bytes each time write 1970.
const FIRST: i64 = 946_684_800;

/// The whole page, ending in a newline.
pub fn text(inspection: &Inspection, style: Style) -> String {
    let found = &inspection.found;
    let mut page = Page { text: String::new(), style };
    page.title(&inspection.reference.to_string());
    page.whole("digest", &format!("{} (known by bytes)", found.digest));
    page.row("media type", &found.media_type);
    page.maybe("artifact type", found.claims.artifact_type.as_deref());
    page.maybe("refers to", found.claims.subject.as_ref().map(|subject| subject.digest.as_str()));
    let platforms: Vec<String> = found.platforms.iter().map(named).collect();
    let left_out = match found.left_out {
        0 => String::new(),
        count => format!("; {} left out", plural(count, "other")),
    };
    if found.index {
        page.row("platforms", &format!("{}{left_out}", platforms.join(", ")));
        if !found.attestations.is_empty() {
            let count = plural(found.attestations.len(), "attestation manifest");
            page.row("attestations", &format!("{count} in the index, not verified"));
        }
        page.texts("annotations", &found.claims.annotations);
    }
    page.referrers(&found.referrers);
    let shares = shares(found);
    for inside in &found.platforms {
        page.text.push('\n');
        page.platform(inspection, inside, &shares);
    }
    if !inspection.layouts.is_empty() {
        page.text.push('\n');
        page.line(&format!("images from layouts on disk: {}", inspection.layouts.join(", ")));
    }
    page.text
}

struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn title(&mut self, text: &str) {
        let shown = self.style.bold(&self.cut(text, 0));
        let _ = writeln!(self.text, "{shown}");
    }

    fn line(&mut self, text: &str) {
        let shown = self.cut(text, 0);
        let _ = writeln!(self.text, "{shown}");
    }

    fn row(&mut self, name: &str, value: &str) {
        let name = format!("{name:<NAMES$}");
        let shown = self.cut(value, NAMES + 3);
        let _ = writeln!(self.text, "  {} {shown}", self.style.dim(&name));
    }

    /// A digest is of no use in part.
    fn whole(&mut self, name: &str, value: &str) {
        let name = format!("{name:<NAMES$}");
        let _ = writeln!(self.text, "  {} {}", self.style.dim(&name), visible(value));
    }

    /// Why something can't be known, whole: the reason often stands at the end.
    fn unknown(&mut self, name: &str, why: &str) {
        let name = format!("{name:<NAMES$}");
        let _ = writeln!(self.text, "  {} can't be known: {}", self.style.dim(&name), visible(why));
    }

    /// None, so many, or not known: the three answers apart.
    fn referrers(&mut self, answer: &Result<Referrers, RegistryError>) {
        match answer {
            Ok(known) => self.row("referrers", &listed(known)),
            Err(error) => self.unknown("referrers", &error.to_string()),
        }
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.row(name, value);
        }
    }

    fn list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            self.row(name, &values.join(", "));
        }
    }

    /// Words as a list, so that one with a space in it does not look like two.
    fn words(&mut self, name: &str, words: &[String]) {
        if !words.is_empty() {
            self.row(name, &serde_json::to_string(words).expect("texts serialise"));
        }
    }

    fn texts(&mut self, name: &str, texts: &BTreeMap<String, String>) {
        for (at, (key, value)) in texts.iter().enumerate() {
            self.row(if at == 0 { name } else { "" }, &format!("{key} = {value}"));
        }
    }

    fn platform(&mut self, inspection: &Inspection, inside: &Inside, shares: &HashMap<&Digest, usize>) {
        self.title(&named(inside));
        self.whole("manifest", inside.digest.as_str());
        let opened = match &inside.content {
            Ok(opened) => opened,
            Err(error) => return self.unknown("content", &error.to_string()),
        };
        self.maybe("artifact type", opened.claims.artifact_type.as_deref());
        self.maybe("refers to", opened.claims.subject.as_ref().map(|subject| subject.digest.as_str()));
        let total = opened.manifest.layers_size();
        let size = total.map_or_else(|| "unknown: the layers contradict each other".to_owned(), size);
        self.row("size", &format!("{size} compressed, in {}", plural(opened.manifest.layers.len(), "layer")));
        match &opened.config {
            Some(Ok(config)) => self.config(inspection, config, inside),
            Some(Err(error)) => self.unknown("config", &error.to_string()),
            None => self.row("config", &format!("none of an image: {}", opened.manifest.config.media_type)),
        }
        self.texts("annotations", &opened.claims.annotations);
        if let Some(bases) = &inside.bases {
            self.bases(bases);
        }
        if let Some(list) = &inside.referrers {
            self.referrers(list);
        }
        self.layers(opened, total, shares);
    }

    /// What it is built on, the best first, and what it says that is not so.
    fn bases(&mut self, bases: &Bases) {
        for known in &bases.known {
            let how = known.doubt.as_ref().map_or_else(String::new, |why| format!(": {}", doubt(why)));
            self.row("base", &format!("{}, {}{how}", known.name(), known.confidence.word()));
            match &known.now {
                Some(Now::Moved { to, created }) => {
                    let on = created.map_or_else(String::new, |on| format!(" on {}", on.strftime("%Y-%m-%d")));
                    self.row("", &format!("rebuild: it moved{on}, its tag names {to} now"));
                }
                Some(Now::Unknown(error)) => self.row("", &format!("what its tag names now is unknown: {error}")),
                Some(Now::Same(_)) | None => {}
            }
        }
        for found in &bases.contradicted {
            self.row("not so", &format!("{}: {}", found.claimed, found.shown));
        }
    }

    fn config(&mut self, inspection: &Inspection, config: &Config, inside: &Inside) {
        if inside.platform.as_ref().is_some_and(|platform| !config.platform.is(platform)) {
            self.row("platform", &format!("{}, by its config", config.platform));
        }
        self.maybe("created", created(config, inspection).as_deref());
        self.row("user", config.user.as_deref().unwrap_or("not set"));
        self.words("entrypoint", &config.entrypoint);
        self.words("command", &config.command);
        self.maybe("working dir", config.working_dir.as_deref());
        self.list("ports", &config.ports);
        self.list("volumes", &config.volumes);
        self.words("healthcheck", &config.healthcheck);
        if !config.environment.is_empty() {
            let names: Vec<&str> = config.environment.iter().map(|variable| variable.name.as_str()).collect();
            self.row("environment", &format!("{} (values are not shown)", names.join(", ")));
        }
        self.texts("labels", &config.labels);
    }

    fn layers(&mut self, opened: &Opened, total: Option<u64>, shares: &HashMap<&Digest, usize>) {
        let count = opened.manifest.layers.len().to_string().len();
        let mut marked = false;
        for (at, (layer, command)) in opened.manifest.layers.iter().zip(opened.commands()).enumerate() {
            let mark = if shares[&layer.digest] > 1 { '*' } else { ' ' };
            marked |= mark == '*';
            let digest = format!("{}:{}", layer.digest.algorithm().name(), &layer.digest.hex()[..12]);
            let bar = bar(layer.size, total);
            let front = format!("  {:>count$}{mark} {digest} {:>11} ", at + 1, short_size(layer.size));
            let command = command.map_or_else(|| "unknown command".to_owned(), |command| shown_command(&command));
            let command = self.cut(&command, front.chars().count() + BAR + 1);
            let _ = writeln!(self.text, "{front}{} {command}", self.style.bar(&bar));
        }
        if marked {
            self.line("  * in another platform too");
        }
    }

    /// Visible, on one line, and no longer than the line has room for; whole with `-v`.
    fn cut(&self, text: &str, used: usize) -> String {
        let text = visible(text);
        let room = self.style.width.saturating_sub(used).max(20);
        if self.style.verbose || text.chars().count() <= room {
            return text;
        }
        let cut: String = text.chars().take(room - 1).collect();
        format!("{cut}…")
    }
}

/// How many there are, of what types, and who says so.
fn listed(known: &Referrers) -> String {
    let by = match known.from {
        ReferrersFrom::Api => "by the registry's referrers API",
        ReferrersFrom::FallbackTag => "by the fallback tag",
        ReferrersFrom::Layout => "by the layout",
    };
    if known.found.is_empty() {
        return format!("none, {by}");
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for referrer in &known.found {
        *kinds.entry(referrer.artifact_type.as_deref().unwrap_or("of a type not stated")).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    format!("{} {by}, not verified: {}", known.found.len(), kinds.join(", "))
}

fn created(config: &Config, inspection: &Inspection) -> Option<String> {
    let written = config.created.as_deref()?;
    let age = match (config.created_at(), age_days(config, inspection.now)) {
        (Some(time), _) if time.as_second() < FIRST => "not a time of building".to_owned(),
        (Some(_), Some(days)) if days < 0 => "in the future".to_owned(),
        (Some(_), Some(0)) => "today".to_owned(),
        (Some(_), Some(days)) => format!("{} ago", plural(usize::try_from(days).unwrap_or_default(), "day")),
        _ => "no time in RFC 3339".to_owned(),
    };
    Some(format!("{written} ({age})"))
}

/// A command as a Dockerfile would have it.
fn shown_command(command: &str) -> String {
    let command = command.strip_suffix(" # buildkit").unwrap_or(command);
    if let Some(instruction) = command.strip_prefix("/bin/sh -c #(nop) ") {
        return instruction.trim_start().to_owned();
    }
    match command.strip_prefix("RUN /bin/sh -c ").or_else(|| command.strip_prefix("/bin/sh -c ")) {
        Some(shell) => format!("RUN {shell}"),
        None => command.to_owned(),
    }
}

/// `12.3 MiB (12897484 bytes)`.
fn size(bytes: u64) -> String {
    let short = short_size(bytes);
    if short.ends_with(" B") {
        plural(usize::try_from(bytes).unwrap_or(usize::MAX), "byte")
    } else {
        format!("{short} ({bytes} bytes)")
    }
}

/// `12.3 MiB`.
fn short_size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        if bytes >> shift > 0 {
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// The share of `total` in eighths of a cell; empty where the total is not known.
fn bar(size: u64, total: Option<u64>) -> String {
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
    fn sizes_and_commands_as_people_write_them() {
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
        let rows = [
            ("/bin/sh -c #(nop)  CMD [\"sh\"]", "CMD [\"sh\"]"),
            ("/bin/sh -c apt-get update", "RUN apt-get update"),
            ("RUN /bin/sh -c make # buildkit", "RUN make"),
            ("COPY / / # buildkit", "COPY / /"),
            ("bazel build ...", "bazel build ..."),
        ];
        for (command, expected) in rows {
            assert_eq!(shown_command(command), expected);
        }
    }
}
