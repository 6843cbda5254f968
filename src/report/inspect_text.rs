//! What `inspect` prints for people: the image, then each platform with its base and its layers.
//! Whatever comes from a registry is made visible first, and what is only claimed is said to be.

use std::collections::{BTreeMap, HashMap};

use super::bases_text::{self, lines, nearest};
use super::inspect::{Inspection, age_days, named, shares};
use super::page::{Page, Tone};
use super::sizes::{size, stored};
use super::{Style, plural};
use crate::digest::Digest;
use crate::image::Config;
use crate::image::base::FIRST_BUILD;
use crate::inspect::{Inside, Inspected, Opened, Total};
use crate::registry::{Referrers, ReferrersFrom, RegistryError};

/// The whole page, ending in a newline.
pub fn text(inspection: &Inspection, style: Style) -> String {
    let found = &inspection.found;
    let mut page = Page::new(style);
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
    if found.platforms.len() > 1 {
        page.total(found);
        page.several_bases(found);
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

/// `12.3 MiB (12897484 bytes) compressed, in 7 layers, …`.
pub(super) fn in_all(total: Total) -> String {
    let unpacked = total.unpacked.map_or_else(String::new, |bytes| format!("; {} unpacked", size(bytes)));
    let layers = plural(total.layers, "layer");
    format!("{} compressed, in {layers}, each once{unpacked}", stored(total.stored))
}

impl Page {
    /// None, so many, or not known: the three answers apart.
    fn referrers(&mut self, answer: &Result<Referrers, RegistryError>) {
        match answer {
            Ok(known) => self.row("referrers", &listed(known)),
            Err(error) => self.unknown("referrers", &error.to_string()),
        }
    }

    /// What all platforms weigh together.
    fn total(&mut self, found: &Inspected) {
        match found.total() {
            Some(total) => self.row("all together", &in_all(total)),
            None => self.row("all together", "unknown: not every platform could be read"),
        }
    }

    /// Where platforms are built on different bases, which is easily missed further down.
    fn several_bases(&mut self, found: &Inspected) {
        let bases = found.platforms.iter().filter_map(|inside| Some((named(inside), inside.bases.as_ref()?)));
        let mut by_base: Vec<(String, Vec<String>)> = Vec::new();
        for (platform, bases) in bases {
            let base = bases_text::short(bases);
            match by_base.iter_mut().find(|(known, _)| *known == base) {
                Some((_, platforms)) => platforms.push(platform),
                None => by_base.push((base, vec![platform])),
            }
        }
        if by_base.len() > 1 {
            self.row("bases", "the platforms differ:");
            for (base, platforms) in by_base {
                self.row("", &format!("{}: {base}", platforms.join(", ")));
            }
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
        let total = stored(opened.manifest.layers_size());
        self.row("size", &format!("{total} compressed, in {}", plural(opened.manifest.layers.len(), "layer")));
        self.unpacked(opened);
        match &opened.config {
            Some(Ok(config)) => self.config(inspection, config, inside),
            Some(Err(error)) => self.unknown("config", &error.to_string()),
            None => self.row("config", &format!("none of an image: {}", opened.manifest.config.media_type)),
        }
        self.texts("annotations", &opened.claims.annotations);
        if let Some(bases) = &inside.bases {
            for line in lines(bases, opened, &inspection.looked_for, inspection.now) {
                self.toned(line.name, &line.text, line.tone);
            }
        }
        if let Some(list) = &inside.referrers {
            self.referrers(list);
        }
        let base = inside.bases.as_ref().and_then(nearest).map(|(_, ground)| ground.layers);
        self.layers(opened, base, shares);
    }

    /// What the layers unpack to, as far as that is known, and where the config lies about it.
    fn unpacked(&mut self, opened: &Opened) {
        let contents = &opened.contents;
        let count = contents.sizes.len();
        match (contents.sizes.iter().flatten().count(), opened.total(count).unpacked) {
            (0, _) if !contents.asked => {}
            (_, Some(bytes)) if contents.asked => self.row("unpacked", &format!("{}, every layer read", size(bytes))),
            (_, Some(bytes)) => self.row("unpacked", &format!("{}, as every layer is stored", size(bytes))),
            (known, None) if contents.asked => {
                self.row("unpacked", &format!("unknown: {known} of {count} layers could be read"));
            }
            (known, None) => {
                let text =
                    format!("known of {known} of {count} layers, stored uncompressed; --unpack reads the others");
                self.row("unpacked", &text);
            }
        }
        for lie in &contents.lies {
            self.toned("not so", &format!("{}: {}", lie.claimed, lie.shown), Tone::Alarm);
        }
        for (at, why) in &contents.unread {
            self.toned("not read", &format!("layer {}: {why}", at + 1), Tone::Warning);
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
        (Some(time), _) if time.as_second() < FIRST_BUILD => "not a time of building".to_owned(),
        (Some(_), Some(days)) if days < 0 => "in the future".to_owned(),
        (Some(_), Some(0)) => "today".to_owned(),
        (Some(_), Some(days)) => format!("{} ago", plural(usize::try_from(days).unwrap_or_default(), "day")),
        _ => "no time in RFC 3339".to_owned(),
    };
    Some(format!("{written} ({age})"))
}
