//! What `inspect --tree` prints: the image with everything in it and everything that refers to it, each under what it
//! belongs to. Layers of several places are marked, and weigh once.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;

use super::bases_text::{nearest, reasons, short};
use super::inspect::{Inspection, attested, shares};
use super::inspect_text::in_all;
use super::layers_text::short_digest;
use super::page::{Page, Tone};
use super::sizes::{short_size, stored};
use super::{Style, plural};
use crate::digest::Digest;
use crate::image::Child;
use crate::inspect::{Inside, Inspected, Nested, Opened};
use crate::registry::{Referrers, RegistryError};

/// Letters of a platform's name; real ones have some fifteen.
const LONGEST: usize = 40;

/// One thing with what belongs to it.
struct Node {
    text: String,
    /// Whether the text must not be cut.
    whole: bool,
    tone: Tone,
    below: Vec<Node>,
}

impl Node {
    fn new(text: String) -> Self {
        Self { text, whole: false, tone: Tone::Plain, below: Vec::new() }
    }

    fn loud(text: String, tone: Tone) -> Self {
        Self { whole: true, tone, ..Self::new(text) }
    }
}

/// The whole tree, ending in a newline.
pub fn tree(inspection: &Inspection, style: Style) -> String {
    let found = &inspection.found;
    let mut page = Page::new(style);
    page.title(&inspection.reference.to_string());
    let shares = shares(found);
    let root = match found.platforms.as_slice() {
        [inside] if !found.index => {
            let mut node = platform(inside, found, &shares);
            node.below.extend(referrers(&found.referrers));
            node
        }
        _ => top(found, &shares),
    };
    page.branch(&root, "", true);
    let mark = if shares.values().any(|count| *count > 1) { " (* in several platforms)" } else { "" };
    match found.total() {
        Some(total) => page.line(&format!("{}{mark}", in_all(total))),
        None => page.line(&format!("what all of it weighs is unknown: not every platform could be read{mark}")),
    }
    if !inspection.layouts.is_empty() {
        page.line(&format!("images from layouts on disk: {}", inspection.layouts.join(", ")));
    }
    page.text
}

impl Page {
    /// The node's line and all that is below it, each behind `front`.
    fn branch(&mut self, node: &Node, front: &str, last: bool) {
        let corner = if last { "└─ " } else { "├─ " };
        let used = front.chars().count() + corner.chars().count();
        let text = if node.whole { super::text::visible(&node.text) } else { self.cut(&node.text, used) };
        let lead = self.style.dim(&format!("{front}{corner}"));
        let _ = writeln!(self.text, "{lead}{}", self.style.loud(node.tone, &text));
        let front = format!("{front}{}", if last { "   " } else { "│  " });
        let count = node.below.len();
        node.below.iter().enumerate().for_each(|(at, below)| self.branch(below, &front, at + 1 == count));
    }
}

/// The index around it all.
fn top(found: &Inspected, shares: &HashMap<&Digest, usize>) -> Node {
    let mut node = Node { whole: true, ..Node::new(format!("index {} ({})", found.digest, short_size(found.size))) };
    let mut places =
        Places { found, shares, nested: found.nested.iter().peekable(), platforms: found.platforms.iter().peekable() };
    let all = found.platforms.len() + found.left_out;
    node.below = places.within(0..all, 0);
    let digests: HashSet<&str> = found.platforms.iter().map(|inside| inside.digest.as_str()).collect();
    for child in &found.attestations {
        let of = match attested(child) {
            Some(of) if digests.contains(of) => continue,
            Some(of) => format!("of {of}, which is not in this tree"),
            None => "it does not say of what".to_owned(),
        };
        node.below.push(Node { below: vec![Node::new(of)], ..attestation(child) });
    }
    if found.left_out > 0 {
        node.below.push(Node::new(format!("{} left out", plural(found.left_out, "other platform"))));
    }
    node.below.extend(referrers(&found.referrers));
    node
}

/// What stands in the indexes, taken in its order.
struct Places<'a, N: Iterator<Item = &'a Nested>, P: Iterator<Item = &'a Inside>> {
    found: &'a Inspected,
    shares: &'a HashMap<&'a Digest, usize>,
    nested: std::iter::Peekable<N>,
    platforms: std::iter::Peekable<P>,
}

impl<'a, N: Iterator<Item = &'a Nested>, P: Iterator<Item = &'a Inside>> Places<'a, N, P> {
    /// The images at these places, with the indexes of that level around them.
    fn within(&mut self, places: Range<usize>, level: usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut at = places.start;
        loop {
            if let Some(nested) = self.nested.next_if(|nested| nested.level == level && nested.images.start <= at) {
                let text = format!("index {} ({})", nested.digest, short_size(nested.size));
                let below = self.within(nested.images.clone(), level + 1);
                nodes.push(Node { whole: true, below, ..Node::new(text) });
                at = at.max(nested.images.end);
            } else if at >= places.end {
                return nodes;
            } else {
                if let Some(inside) = self.platforms.next_if(|inside| inside.place == at) {
                    nodes.push(platform(inside, self.found, self.shares));
                }
                at += 1;
            }
        }
    }
}

fn platform(inside: &Inside, found: &Inspected, shares: &HashMap<&Digest, usize>) -> Node {
    let mut text = format!("{} {} ({})", short_name(inside), inside.digest, short_size(inside.size));
    let mut below = Vec::new();
    match &inside.content {
        Err(error) => below.push(Node::loud(format!("content can't be known: {error}"), Tone::Warning)),
        Ok(opened) => {
            let layers = plural(opened.manifest.layers.len(), "layer");
            let _ = write!(text, ", {} compressed in {layers}", stored(opened.manifest.layers_size()));
            below = inner(inside, opened, shares);
        }
    }
    let of_it = |child: &&Child| attested(child) == Some(inside.digest.as_str());
    below.extend(found.attestations.iter().filter(of_it).map(attestation));
    if let Some(list) = &inside.referrers {
        below.extend(referrers(list));
    }
    Node { whole: true, below, ..Node::new(text) }
}

/// The platform's name, which a hostile config can make as long as it likes, in front of a digest that must be seen.
fn short_name(inside: &Inside) -> String {
    let Some(platform) = &inside.platform else { return "a platform that is not named".to_owned() };
    let name = super::text::visible(&platform.to_string());
    match name.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name,
    }
}

/// Base, config and layers.
fn inner(inside: &Inside, opened: &Opened, shares: &HashMap<&Digest, usize>) -> Vec<Node> {
    let mut nodes = Vec::new();
    if let Some(bases) = &inside.bases {
        let tone = if bases.contradicted.is_empty() { Tone::Plain } else { Tone::Alarm };
        let below = reasons(bases, opened);
        let below = below.into_iter().map(|line| Node::loud(format!("{}: {}", line.name, line.text), line.tone));
        nodes.push(Node { below: below.collect(), ..Node::loud(format!("base {}", short(bases)), tone) });
    }
    if let Some(Err(error)) = &opened.config {
        nodes.push(Node::loud(format!("config can't be known: {error}"), Tone::Warning));
    }
    let base = inside.bases.as_ref().and_then(nearest).map(|(_, ground)| ground.layers);
    for (at, layer) in opened.manifest.layers.iter().enumerate() {
        let part = match base {
            Some(base) if at < base => ", base",
            Some(_) => ", added",
            None => "",
        };
        let unpacked =
            opened.contents.sizes[at].map_or_else(String::new, |size| format!(", {} unpacked", short_size(size)));
        let mark = if shares[&layer.digest] > 1 { " *" } else { "" };
        let size = short_size(layer.size);
        nodes.push(Node::new(format!("layer {}{mark} {size}{unpacked}{part}", short_digest(&layer.digest))));
    }
    let lies = opened.contents.lies.iter();
    nodes.extend(lies.map(|lie| Node::loud(format!("not so: {}: {}", lie.claimed, lie.shown), Tone::Alarm)));
    let unread = opened.contents.unread.iter();
    nodes.extend(unread.map(|(at, why)| Node::loud(format!("layer {} not read: {why}", at + 1), Tone::Warning)));
    nodes
}

fn attestation(child: &Child) -> Node {
    let text = format!("attestation manifest {} ({}), not verified", child.digest, short_size(child.size));
    Node { whole: true, ..Node::new(text) }
}

/// Those that are listed; the answer that there are none takes no line.
fn referrers(answer: &Result<Referrers, RegistryError>) -> Vec<Node> {
    let found = match answer {
        Ok(known) => &known.found,
        Err(error) => return vec![Node::loud(format!("referrers can't be known: {error}"), Tone::Warning)],
    };
    let text = |referrer: &crate::registry::Referrer| {
        let kind = referrer.artifact_type.as_deref().unwrap_or("of a type not stated");
        format!("referrer {} ({}), not verified: {kind}", referrer.digest, short_size(referrer.size))
    };
    found.iter().map(|referrer| Node::new(text(referrer))).collect()
}
