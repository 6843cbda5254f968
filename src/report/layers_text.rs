//! The layers of one platform as lines with a bar each: which are the base's, which the image adds, and what each weighs.
//! The two parts differ by a word, and by colour where there is one.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::page::Page;
use super::plural;
use super::sizes::{BAR, bar, short_size, stored};
use crate::digest::Digest;
use crate::image::Layer;
use crate::inspect::Opened;

/// From so many layers on, the largest are named.
const MANY: usize = 8;
/// How many of the largest are named.
const LARGEST: usize = 3;

/// Which part of an image a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Base,
    Added,
    /// There is no base that is proved.
    Whole,
}

impl Part {
    fn of(at: usize, base: Option<usize>) -> Self {
        match base {
            Some(base) if at < base => Self::Base,
            Some(_) => Self::Added,
            None => Self::Whole,
        }
    }

    /// With the space in front of it; nothing where there are no parts.
    fn column(self) -> &'static str {
        match self {
            Self::Base => " base ",
            Self::Added => " added",
            Self::Whole => "",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Base | Self::Whole => "36",
            Self::Added => "33",
        }
    }
}

/// `sha256:32a9cdcd1f80`.
pub(super) fn short_digest(digest: &Digest) -> String {
    format!("{}:{}", digest.algorithm().name(), &digest.hex()[..12])
}

impl Page {
    /// A line for each layer; the first `base` are those of a base, where one is proved.
    pub(super) fn layers(&mut self, opened: &Opened, base: Option<usize>, shares: &HashMap<&Digest, usize>) {
        let layers = &opened.manifest.layers;
        let (total, count) = (opened.manifest.layers_size(), layers.len().to_string().len());
        let unpacked = opened.contents.sizes.iter().any(Option::is_some);
        if layers.len() > MANY {
            self.row("largest", &largest(layers));
        }
        if unpacked {
            let left = count + 4 + Part::of(0, base).column().len() + "sha256:".len() + 12;
            let head = format!("{:left$} {:>11} {:>11}", "", "stored", "unpacked");
            let _ = writeln!(self.text, "{}", self.style.dim(&head));
        }
        let mut marked = false;
        for (at, (layer, command)) in layers.iter().zip(opened.commands()).enumerate() {
            let mark = if shares[&layer.digest] > 1 { '*' } else { ' ' };
            marked |= mark == '*';
            let part = Part::of(at, base);
            let unpacked = match (unpacked, opened.contents.sizes[at]) {
                (false, _) => String::new(),
                (true, size) => format!("{:>11} ", size.map_or_else(|| "unknown".to_owned(), short_size)),
            };
            let (digest, size) = (short_digest(&layer.digest), short_size(layer.size));
            let front = format!("  {:>count$}{mark}{} {digest} {size:>11} {unpacked}", at + 1, part.column());
            let command = command.map_or_else(|| "unknown command".to_owned(), |command| shown_command(&command));
            let command = self.cut(&command, front.chars().count() + BAR + 1);
            let bar = self.style.painted(part.colour(), &bar(layer.size, total));
            let _ = writeln!(self.text, "{front}{bar} {command}");
        }
        if let Some(base) = base {
            self.part(opened, Part::Base, base, base);
            self.part(opened, Part::Added, base, layers.len() - base);
        }
        if marked {
            self.line("  * in another platform too");
        }
    }

    /// What a part weighs, its layers that stand in both but once.
    fn part(&mut self, opened: &Opened, part: Part, base: usize, layers: usize) {
        let total = if part == Part::Base { opened.total(base) } else { opened.added(base) };
        let whole = opened.manifest.layers_size();
        let unpacked =
            total.unpacked.map_or_else(String::new, |size| format!(", {} unpacked", super::sizes::size(size)));
        let share = bar(total.stored.unwrap_or_default(), whole.and(total.stored).and(whole));
        let name = self.style.painted(part.colour(), part.column().trim());
        let gap = " ".repeat(part.column().len() - part.column().trim().len() - 1);
        let stored = stored(whole.and(total.stored));
        let share = self.style.painted(part.colour(), &share);
        let _ = writeln!(self.text, "  {name}{gap} {share} {stored} in {}{unpacked}", plural(layers, "layer"));
    }
}

/// The numbers and sizes of the largest, the largest first.
fn largest(layers: &[Layer]) -> String {
    let mut order: Vec<usize> = (0..layers.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(layers[*at].size));
    let named = order.iter().take(LARGEST).map(|at| format!("layer {} ({})", at + 1, short_size(layers[*at].size)));
    named.collect::<Vec<_>>().join(", ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_as_a_dockerfile_has_them() {
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

    #[test]
    fn the_largest_come_first_and_equals_in_their_order() {
        let layer = |size: u64| Layer { digest: Digest::sha256(b"x"), size, media_type: "x/y".into() };
        let layers = [1, 5, u64::MAX, 5, 2].map(layer);
        assert_eq!(largest(&layers), "layer 3 (16777215.9 TiB), layer 2 (5 B), layer 4 (5 B)");
    }
}
