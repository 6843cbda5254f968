//! What the layers of an inspected image unpack to: each is read once, whole, and compared with what its config says.
//! Where nobody reads, the size is known only of a layer that is stored as it unpacks; none is guessed.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{Inside, Inspected, Opened};
use crate::digest::{Algorithm, Digest};
use crate::image::base::Contradiction;
use crate::image::{Config, Layer};
use crate::limits;
use crate::reference::Repository;
use crate::registry::{Packed, Registry, RegistryError, Unpacked};

/// What is known of the unpacked layers of one platform.
#[derive(Debug, Default)]
pub struct Contents {
    /// Whether the layers were to be read.
    pub asked: bool,
    /// Bytes that each layer unpacks to, base first; `None` where that is not known.
    pub sizes: Vec<Option<u64>>,
    /// What the config says of the layers, and they show not to be so.
    pub lies: Vec<Contradiction>,
    /// Layers that nothing can be said of, by number, and why.
    pub unread: Vec<(usize, String)>,
}

impl Contents {
    /// Without reading.
    pub(super) fn stored(layers: &[Layer]) -> Self {
        let sizes = layers.iter().map(|layer| packed(layer).is_plain().then_some(layer.size)).collect();
        Self { sizes, ..Self::default() }
    }

    /// Whether nothing was asked for that is not known or not so.
    pub(super) fn is_whole(&self) -> bool {
        self.lies.is_empty() && self.unread.is_empty()
    }
}

/// Bytes of all layers of an image, or of some of its platforms, each distinct layer once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// How many there are.
    pub layers: usize,
    /// Bytes as they are stored; `None` where a layer is given two sizes, or the sum does not fit.
    pub stored: Option<u64>,
    /// Bytes that they unpack to; `None` where that is not known of every one.
    pub unpacked: Option<u64>,
}

impl Total {
    fn of<'a>(layers: impl Iterator<Item = (&'a Layer, Option<u64>)>) -> Self {
        let mut seen: HashMap<&Digest, (u64, Option<u64>)> = HashMap::new();
        let mut total = Self { layers: 0, stored: Some(0), unpacked: Some(0) };
        for (layer, unpacked) in layers {
            if let Some(known) = seen.insert(&layer.digest, (layer.size, unpacked)) {
                if known != (layer.size, unpacked) {
                    total.stored = total.stored.filter(|_| known.0 == layer.size);
                    total.unpacked = None;
                }
                continue;
            }
            let add = |sum: Option<u64>, size: Option<u64>| sum?.checked_add(size?);
            total.layers += 1;
            total.stored = add(total.stored, Some(layer.size));
            total.unpacked = add(total.unpacked, unpacked);
        }
        total
    }
}

impl Opened {
    /// Of its first `count` layers.
    pub fn total(&self, count: usize) -> Total {
        Total::of(self.manifest.layers.iter().zip(self.contents.sizes.iter().copied()).take(count))
    }

    /// Of the layers after the first `count` that are not among these, each once.
    pub fn added(&self, count: usize) -> Total {
        let below: HashSet<&Digest> = self.manifest.layers.iter().take(count).map(|layer| &layer.digest).collect();
        let all = self.manifest.layers.iter().zip(self.contents.sizes.iter().copied()).skip(count);
        Total::of(all.filter(|(layer, _)| !below.contains(&layer.digest)))
    }
}

impl Inspected {
    /// Of every platform that was looked at; `None` where one of them could not be read.
    pub fn total(&self) -> Option<Total> {
        let opened: Vec<&Opened> =
            self.platforms.iter().map(|inside| inside.content.as_ref().ok()).collect::<Option<_>>()?;
        Some(Total::of(
            opened.iter().flat_map(|opened| opened.manifest.layers.iter().zip(opened.contents.sizes.iter().copied())),
        ))
    }
}

fn packed(layer: &Layer) -> Packed<'_> {
    Packed { digest: &layer.digest, size: layer.size, media_type: &layer.media_type }
}

/// As a layer is described; another manifest may describe the same bytes in another way, and one of them is wrong.
type Described = (Digest, u64, String);

fn described(layer: &Layer) -> Described {
    (layer.digest.clone(), layer.size, layer.media_type.to_string())
}

/// Reads every layer of `platforms` once, at most `jobs` and [`limits::UNPACKING`] at a time, and compares.
pub(super) async fn unpack(registry: &dyn Registry, repository: &Repository, platforms: &mut [Inside], jobs: usize) {
    let layers = platforms.iter().filter_map(|inside| inside.content.as_ref().ok());
    let layers: BTreeMap<Described, &Layer> =
        layers.flat_map(|opened| &opened.manifest.layers).map(|layer| (described(layer), layer)).collect();
    let reading =
        layers.into_iter().map(|(key, layer)| async move { (key, registry.unpacked(repository, packed(layer)).await) });
    let read: HashMap<Described, Result<Unpacked, RegistryError>> =
        stream::iter(reading.collect::<Vec<_>>()).buffer_unordered(jobs.clamp(1, limits::UNPACKING)).collect().await;
    for opened in platforms.iter_mut().filter_map(|inside| inside.content.as_mut().ok()) {
        opened.contents = compared(opened, &read);
    }
}

fn compared(opened: &Opened, read: &HashMap<Described, Result<Unpacked, RegistryError>>) -> Contents {
    let layers = &opened.manifest.layers;
    let mut contents = Contents { asked: true, ..Contents::default() };
    let config = opened.config.as_ref().and_then(|config| config.as_ref().ok());
    let diff_ids = config.and_then(|config| accounted(config, layers.len(), &mut contents.lies));
    for (at, layer) in layers.iter().enumerate() {
        let answer = &read[&described(layer)];
        contents.sizes.push(answer.as_ref().ok().map(|unpacked| unpacked.size));
        match (answer, diff_ids.map(|all| &all[at])) {
            (Err(error), _) => contents.unread.push((at, error.to_string())),
            (Ok(_), Some(claimed)) if claimed.algorithm() != Algorithm::Sha256 => {
                let why = format!("it unpacks, but is compared by sha256 alone, and the config says {claimed}");
                contents.unread.push((at, why));
            }
            (Ok(found), Some(claimed)) if found.diff_id != *claimed => contents.lies.push(Contradiction {
                claimed: format!("the config says that layer {} unpacks to {claimed}", at + 1),
                shown: format!("it unpacks to {}", found.diff_id),
            }),
            (Ok(_), _) => {}
        }
    }
    contents
}

/// What the config says of each layer, where it speaks of so many.
fn accounted<'a>(config: &'a Config, layers: usize, lies: &mut Vec<Contradiction>) -> Option<&'a [Digest]> {
    if config.diff_ids.len() == layers {
        return Some(&config.diff_ids);
    }
    let claimed = format!("the config says that the number of layers is {}", config.diff_ids.len());
    lies.push(Contradiction { claimed, shown: format!("the manifest has {layers}") });
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, size: u64, media_type: &'static str) -> Layer {
        Layer { digest: Digest::sha256(name.as_bytes()), size, media_type: media_type.into() }
    }

    /// Layers with what they unpack to, and how many there are, as stored and unpacked.
    type Row<'a> = (Vec<(&'a Layer, Option<u64>)>, (usize, Option<u64>, Option<u64>));

    #[test]
    fn each_distinct_layer_counts_once_and_what_does_not_fit_is_not_known() {
        let (a, b) = (layer("a", 1, "x/y"), layer("b", 2, "x/y"));
        let (other, huge) = (layer("a", 9, "x/y"), layer("c", u64::MAX, "x/y"));
        let rows: [Row<'_>; 6] = [
            (vec![], (0, Some(0), Some(0))),
            (vec![(&a, Some(10)), (&b, Some(20)), (&a, Some(10))], (2, Some(3), Some(30))),
            (vec![(&a, Some(10)), (&b, None)], (2, Some(3), None)),
            (vec![(&a, Some(10)), (&other, Some(10))], (1, None, None)),
            (vec![(&a, Some(10)), (&a, None)], (1, Some(1), None)),
            (vec![(&b, Some(u64::MAX)), (&huge, Some(1))], (2, None, None)),
        ];
        for (at, (layers, (count, stored, unpacked))) in rows.into_iter().enumerate() {
            assert_eq!(Total::of(layers.into_iter()), Total { layers: count, stored, unpacked }, "row {at}");
        }
    }

    #[test]
    fn without_reading_only_what_is_stored_plain_has_a_size() {
        let rows = [
            ("application/vnd.oci.image.layer.v1.tar", Some(7)),
            ("application/vnd.docker.image.rootfs.diff.tar", Some(7)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", None),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", None),
            ("application/vnd.oci.image.layer.v1.tar+zstd", None),
            ("application/x-tar", None),
            ("", None),
        ];
        for (media_type, size) in rows {
            assert_eq!(Contents::stored(&[layer("a", 7, media_type)]).sizes, [size], "{media_type}");
        }
    }
}
