//! Which image another one is built on: how sure that is, by what evidence, and what it weighs.
//! Proof is by layers alone; what an image says of itself is kept apart from what its bytes show. It asks nobody.

use std::collections::HashSet;

use jiff::Timestamp;

use super::base_claim::Place;
use super::{Config, Details, History, ImageError, Layer, Platform, PlatformImage};
use crate::digest::{Algorithm, Digest};
use crate::reference::{Reference, Repository};

/// Before this second (2000-01-01) no image was built; builders that want the same bytes each time write 1970 or 1980.
pub const FIRST_BUILD: i64 = 946_684_800;

/// How sure it is that an image is built on a base; a policy asks for the least that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Somebody says so, and nobody vouches for it.
    Claimed,
    /// A trusted builder signed that it is so.
    Verified,
    /// The image's layers begin with the base's.
    Proved,
}

impl Confidence {
    /// As a policy and a report write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Verified => "verified",
            Self::Proved => "proved",
        }
    }
}

/// One reason to take an image for the base.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// It is the image itself.
    Itself,
    /// The layers, by their digests.
    Layers,
    /// The layers, some of them recompressed: read, unpacked, and the same.
    Unpacked,
    /// The image says so, there.
    Claim(Place),
    /// Nobody named it for this image: it is one that the policy or the user had compared.
    Search,
    /// A Dockerfile of this run is built on it, at that file and line.
    Dockerfile(String),
}

/// What an image holds of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Digest of the manifest that was compared, of the image's platform.
    pub manifest: Digest,
    /// How many of the image's layers, from the first, are the base's.
    pub layers: usize,
    /// Compressed bytes of those, each once, as this image has them; `None` where they contradict each other.
    pub size: Option<u64>,
    /// When the base was built, by its own word.
    pub created: Option<Timestamp>,
    /// Whether the image's history begins with all of the base's.
    pub history: bool,
}

/// Why an image is not proved to be the base.
#[derive(Clone, Debug)]
pub enum Doubt {
    /// Nobody asked for it: an image may not choose which registries are asked.
    NotAsked,
    /// It could not be read.
    Unread(ImageError),
    /// What its tag names now has other layers, and no digest says what it named then.
    Differs,
    /// It is there, without an image for this platform.
    NoPlatform(Platform),
    /// The layers agree, but this one (by number) was made in another way by the histories.
    History(usize),
    /// There is nothing to compare: no name, or no base at all.
    Nothing,
}

/// What the base's tag names now, on the image's platform.
#[derive(Clone, Debug)]
pub enum Now {
    /// What the image is built on; its layers, where another digest has the same.
    Same(Digest),
    /// Something else.
    Moved {
        /// What it names now.
        to: Digest,
        /// When that was built, by its own word.
        created: Option<Timestamp>,
    },
    /// Nobody can tell.
    Unknown(ImageError),
}

/// An image that another is built on, or is said to be.
#[derive(Clone, Debug)]
pub struct Known {
    /// Where it is; `None` where a digest is all that is claimed.
    pub repository: Option<Repository>,
    /// The tag that goes with it, by whoever named it.
    pub tag: Option<String>,
    /// The digest that goes with it: claimed, or what the tag names; of an index or a manifest.
    pub digest: Option<Digest>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Why.
    pub by: Vec<Evidence>,
    /// What the image holds of it; `None` unless it is proved.
    pub ground: Option<Ground>,
    /// Why it is not proved; `None` where it is.
    pub doubt: Option<Doubt>,
    /// What its tag names now; `None` where there is no tag, or nobody asked.
    pub now: Option<Now>,
}

impl Known {
    /// Whether it says that there is no base at all.
    pub fn is_scratch(&self) -> bool {
        self.repository.as_ref().is_some_and(|repository| repository.to_string() == "docker.io/library/scratch")
    }

    /// Its name as it is claimed: with its tag, else with its digest.
    pub fn reference(&self) -> Option<Reference> {
        let repository = self.repository.as_ref()?;
        let text = match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{repository}:{tag}"),
            (None, Some(digest)) => format!("{repository}@{digest}"),
            (None, None) => repository.to_string(),
        };
        Reference::parse(&text).ok()
    }

    /// Its name as far as the layers prove it: a tag counts only where it names this base now.
    pub fn proved(&self) -> Option<Reference> {
        let ground = self.ground.as_ref()?;
        let repository = self.repository.as_ref()?;
        let text = match (&self.tag, &self.now) {
            (Some(tag), Some(Now::Same(_))) => format!("{repository}:{tag}"),
            _ => format!("{repository}@{}", self.digest.as_ref().unwrap_or(&ground.manifest)),
        };
        Reference::parse(&text).ok()
    }

    /// What people call it: `docker.io/library/debian:12`, a digest where that is all there is.
    pub fn name(&self) -> String {
        match (self.is_scratch(), self.reference()) {
            (true, _) => "scratch".to_owned(),
            (false, Some(reference)) => reference.to_string(),
            (false, None) => self.digest.as_ref().map_or_else(|| "not named".to_owned(), ToString::to_string),
        }
    }
}

/// Something that an image says of its base or its layers, and that is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What is said, and where; a clause in lower case.
    pub claimed: String,
    /// What shows that it is not so; a clause in lower case.
    pub shown: String,
}

/// What is known of the base of one platform of an image.
#[derive(Clone, Debug)]
pub struct Bases {
    /// Digest of the platform's manifest.
    pub digest: Digest,
    /// Its platform.
    pub platform: Option<Platform>,
    /// The image itself, where it may count as a base.
    pub itself: Option<Known>,
    /// The best first: proof before signatures before claims, more layers before fewer.
    pub known: Vec<Known>,
    /// Claims that the layers contradict.
    pub contradicted: Vec<Contradiction>,
    /// Candidates that could not be compared, by name.
    pub unread: Vec<(String, ImageError)>,
    /// Candidates whose layers the image begins with, by name, and why they are not proved all the same; whole clauses.
    pub doubtful: Vec<(String, String)>,
    /// Why its layers prove nothing, where runtimes would not unpack what the manifest lists; then nothing was compared.
    pub muddle: Option<Contradiction>,
    /// Why claims that it may hold could not be read.
    pub hidden: Option<ImageError>,
    /// How many candidates were compared that nobody had named for this image.
    pub searched: usize,
}

impl Bases {
    /// The best that is known, where anything is.
    pub fn best(&self) -> Option<&Known> {
        self.known.first()
    }
}

/// Puts the best first: what is proved, by the number of layers, then as the history has it; then claims.
pub fn rank(known: &mut [Known]) {
    let key = |known: &Known| {
        let ground = known.ground.as_ref();
        let own = known.by.contains(&Evidence::Itself);
        let named = known.by.iter().any(|by| matches!(by, Evidence::Claim(_)));
        (known.confidence, ground.map_or(0, |ground| ground.layers), ground.is_some_and(|g| g.history), own, named)
    };
    known.sort_by_key(|known| std::cmp::Reverse(key(known)));
}

/// What a comparison of layers comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The image's layers begin with the base's.
    Begins {
        /// Those of the image's layers, by number, that are stored otherwise, so that only the configs say that they
        /// unpack to the same. They count once they were unpacked.
        repacked: Vec<usize>,
        /// Whether the image's history begins with all of the base's.
        history: bool,
    },
    /// They do, but for this one (by number).
    Differs {
        /// The first that differs, or that the image lacks.
        at: usize,
    },
    /// They do, but by the histories this one (by number) was made in another way.
    HistoryDiffers {
        /// The first of them.
        at: usize,
    },
    /// What the image says of a layer that the base has too is not what the base says of the same bytes.
    Lies(Contradiction),
    /// A base without layers is under every image, and says nothing of one.
    Nothing,
}

/// Compares an image with what may be its base, both of one platform and read with their details.
pub fn compare(image: &PlatformImage, base: &PlatformImage) -> Comparison {
    let (own, below) = (&image.manifest.layers, &base.manifest.layers);
    if below.is_empty() {
        return Comparison::Nothing;
    }
    let (Some(config), Some(base_config)) = (config(image), config(base)) else {
        return Comparison::Differs { at: 0 };
    };
    let mut repacked = Vec::new();
    for (at, layer) in below.iter().enumerate() {
        match own.get(at) {
            Some(found) if found.digest == layer.digest => {
                if let Some(lie) = lie(at, (found, config), (layer, base_config), below.len()) {
                    return Comparison::Lies(lie);
                }
            }
            Some(_) if same_unpacked(at, (own, config), (below, base_config)) => repacked.push(at),
            _ => return Comparison::Differs { at },
        }
    }
    let (steps, base_steps) = (steps(config, own.len()), steps(base_config, below.len()));
    if let (Some(steps), Some(base_steps)) = (&steps, &base_steps) {
        let differs =
            |(step, below): (&&History, &&History)| matches!((text(step), text(below)), (Some(a), Some(b)) if a != b);
        if let Some(at) = steps.iter().zip(base_steps).position(|pair| differs((pair.0, pair.1))) {
            return Comparison::HistoryDiffers { at };
        }
    }
    let history = !base_config.history.is_empty()
        && config.history.len() >= base_config.history.len()
        && config
            .history
            .iter()
            .zip(&base_config.history)
            .all(|(own, below)| own.created_by == below.created_by && own.empty_layer == below.empty_layer);
    Comparison::Begins { repacked, history }
}

/// What is said otherwise of the same bytes: their number, or what they unpack to.
fn lie(at: usize, own: (&Layer, &Config), below: (&Layer, &Config), layers: usize) -> Option<Contradiction> {
    let number = at + 1;
    if own.0.size != below.0.size {
        let claimed = format!("the manifest says that layer {number} has {} bytes", own.0.size);
        return Some(Contradiction { claimed, shown: format!("the base has the same layer with {}", below.0.size) });
    }
    let accounts = below.1.diff_ids.len() == layers;
    let (diff_id, expected) = (own.1.diff_ids.get(at), below.1.diff_ids.get(at).filter(|_| accounts)?);
    if diff_id == Some(expected) {
        return None;
    }
    let claimed = match diff_id {
        Some(diff_id) => format!("the config says that layer {number} unpacks to {diff_id}"),
        None => format!("the config says nothing of layer {number}"),
    };
    Some(Contradiction { claimed, shown: format!("by the base, the same bytes unpack to {expected}") })
}

/// What makes a runtime unpack other layers than the manifest lists, or for another platform than the index says: of such
/// an image no layers prove anything.
pub fn muddle(image: &PlatformImage) -> Option<Contradiction> {
    let config = config(image)?;
    let layers = &image.manifest.layers;
    if let Some(other) = layers.iter().position(|layer| !is_layer(&layer.media_type)) {
        let claimed = format!("the manifest lists {} layers", layers.len());
        let shown = format!("number {} is no layer by its media type, and runtimes leave it out", other + 1);
        return Some(Contradiction { claimed, shown });
    }
    if config.diff_ids.len() != layers.len() {
        let claimed = format!("the manifest lists {} layers", layers.len());
        return Some(Contradiction { claimed, shown: format!("the config accounts for {}", config.diff_ids.len()) });
    }
    let told = image.platform.as_ref().filter(|_| config.platform.is_told())?;
    let bare = Platform { variant: None, ..told.clone() };
    (!config.platform.is(&bare)).then(|| Contradiction {
        claimed: format!("the index says that it is for {told}"),
        shown: format!("its config says {}", config.platform),
    })
}

/// What runtimes take for a layer (containerd, `images/mediatypes.go`).
fn is_layer(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.")
}

fn config(image: &PlatformImage) -> Option<&Config> {
    image.details.as_deref().map(|details: &Details| &details.config)
}

/// By both configs; only where these account for every layer.
fn same_unpacked(at: usize, own: (&[Layer], &Config), below: (&[Layer], &Config)) -> bool {
    own.1.diff_ids.len() == own.0.len()
        && below.1.diff_ids.len() == below.0.len()
        && own.1.diff_ids[at] == below.1.diff_ids[at]
        // What is read to verify it is hashed so.
        && own.1.diff_ids[at].algorithm() == Algorithm::Sha256
}

/// The steps that made the layers; `None` where the history does not account for exactly so many.
fn steps(config: &Config, layers: usize) -> Option<Vec<&History>> {
    let steps: Vec<&History> = config.history.iter().filter(|step| !step.empty_layer).collect();
    (steps.len() == layers).then_some(steps)
}

fn text(step: &History) -> Option<&str> {
    step.created_by.as_deref().filter(|text| !text.trim().is_empty())
}

/// When a config says that its image was built; `None` where that is no time at which one can have been.
pub fn built(config: &Config) -> Option<Timestamp> {
    config.created_at().filter(|time| time.as_second() >= FIRST_BUILD)
}

/// Compressed bytes of a base's layers and of what an image adds, each distinct layer once, and once only in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Of the first layers.
    pub base: u64,
    /// Of the others.
    pub added: u64,
}

/// Splits an image's layers after the first `count`; `None` where a sum does not fit or a layer is given two sizes.
pub fn split(image: &PlatformImage, count: usize) -> Option<Split> {
    let whole = image.manifest.layers_size()?;
    let mut seen = HashSet::new();
    let base = image.manifest.layers.iter().take(count).filter(|layer| seen.insert(&layer.digest));
    let base: u64 = base.map(|layer| layer.size).sum();
    Some(Split { base, added: whole - base })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::image::ImageManifest;

    /// An image of these layers, `name` or `name/content` where the content is packed otherwise, made by those steps;
    /// a step that begins with `-` makes no layer.
    fn image(layers: &[&str], steps: &[&str]) -> PlatformImage {
        let content = |name: &&str| name.split_once('/').map_or(*name, |(_, content)| content).to_owned();
        let layer = |name: &&str| Layer {
            digest: Digest::sha256(name.as_bytes()),
            size: name.len() as u64,
            media_type: "application/vnd.oci.image.layer.v1.tar".into(),
        };
        let diff_ids: Vec<String> =
            layers.iter().map(|name| format!("\"{}\"", Digest::sha256(content(name).as_bytes()))).collect();
        let history: Vec<String> = steps
            .iter()
            .map(|step| {
                let bare = step.trim_start_matches('-');
                format!(r#"{{"created_by":"{bare}","empty_layer":{}}}"#, bare != *step)
            })
            .collect();
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":[{}]}},"history":[{}]}}"#,
            diff_ids.join(","),
            history.join(",")
        );
        let digest = Digest::sha256(config.as_bytes());
        let config = Config::parse(&digest, config.as_bytes()).expect("a config");
        let manifest = ImageManifest {
            config: Layer { digest: digest.clone(), size: 0, media_type: "x/y".into() },
            layers: layers.iter().map(layer).collect(),
        };
        let details = Details { config, manifest: BTreeMap::new(), entry: BTreeMap::new() };
        let details = Some(Arc::new(details));
        PlatformImage { platform: None, digest, media_type: String::new(), manifest, details }
    }

    fn begins(repacked: &[usize], history: bool) -> Comparison {
        Comparison::Begins { repacked: repacked.to_vec(), history }
    }

    #[test]
    fn only_layers_prove() {
        let base = image(&["a", "b"], &["A", "B", "-CMD"]);
        let rows = [
            ("on it", image(&["a", "b", "c"], &["A", "B", "-CMD", "C"]), begins(&[], true)),
            ("nothing added", image(&["a", "b"], &["A", "B", "-CMD", "-ENV"]), begins(&[], true)),
            ("other settings", image(&["a", "b", "c"], &["A", "B", "-ENV", "C"]), begins(&[], false)),
            ("no history", image(&["a", "b", "c"], &[]), begins(&[], false)),
            ("emptied history", image(&["a", "b", "c"], &["", "", ""]), begins(&[], false)),
            ("another layer", image(&["a", "x", "c"], &["A", "B", "C"]), Comparison::Differs { at: 1 }),
            ("another order", image(&["b", "a", "c"], &[]), Comparison::Differs { at: 0 }),
            ("too few", image(&["a"], &["A"]), Comparison::Differs { at: 1 }),
            ("another story", image(&["a", "b", "c"], &["A", "X", "C"]), Comparison::HistoryDiffers { at: 1 }),
            ("recompressed", image(&["zstd/a", "b", "c"], &["A", "B", "-CMD", "C"]), begins(&[0], true)),
            ("recompressed other", image(&["zstd/x", "b", "c"], &[]), Comparison::Differs { at: 0 }),
        ];
        for (name, image, expected) in rows {
            assert_eq!(compare(&image, &base), expected, "{name}");
        }
        let scratch = image(&[], &[]);
        assert_eq!(compare(&base, &scratch), Comparison::Nothing);
        assert_eq!(compare(&scratch, &base), Comparison::Differs { at: 0 });
    }

    #[test]
    fn configs_that_do_not_account_for_the_layers_prove_nothing() {
        let base = image(&["a"], &[]);
        let mut lying = image(&["zstd/a", "b"], &[]);
        lying.manifest.layers.pop();
        assert_eq!(compare(&lying, &base), Comparison::Differs { at: 0 });
        let mut unread = image(&["a", "b"], &[]);
        unread.details = None;
        assert_eq!(compare(&unread, &base), Comparison::Differs { at: 0 });
    }

    #[test]
    fn what_runtimes_would_not_unpack_is_told() {
        let whole = image(&["a", "b"], &[]);
        assert_eq!(muddle(&whole), None);
        let mut other = whole.clone();
        other.manifest.layers[1].media_type = "application/vnd.acme.thing.v1".into();
        assert!(muddle(&other).is_some_and(|found| found.shown.contains("number 2 is no layer")));
        let mut fewer = whole.clone();
        fewer.manifest.layers.pop();
        assert!(muddle(&fewer).is_some_and(|found| found.shown.contains("accounts for 2")));
        let on = |platform: &str| PlatformImage { platform: platform.parse().ok(), ..whole.clone() };
        assert_eq!(muddle(&on("linux/amd64/v2")), None);
        assert!(muddle(&on("linux/mips64le")).is_some_and(|found| found.shown.contains("linux/amd64")));
    }

    #[test]
    fn the_same_bytes_have_one_size_and_unpack_to_one_thing() {
        let base = image(&["a"], &[]);
        let mut small = image(&["a", "b"], &[]);
        small.manifest.layers[0].size = 0;
        assert!(matches!(compare(&small, &base), Comparison::Lies(_)));
        let mut swapped = image(&["a", "b"], &[]);
        swapped.details = image(&["b", "a"], &[]).details;
        assert!(matches!(compare(&swapped, &base), Comparison::Lies(_)));
        swapped.details = image(&[], &[]).details;
        assert!(matches!(compare(&swapped, &base), Comparison::Lies(_)));
    }

    #[test]
    fn a_layer_in_both_parts_weighs_once() {
        let twice = image(&["aa", "bbb", "aa", "cccc"], &[]);
        assert_eq!(split(&twice, 2), Some(Split { base: 5, added: 4 }));
        assert_eq!(split(&twice, 0), Some(Split { base: 0, added: 9 }));
        assert_eq!(split(&twice, 4), Some(Split { base: 9, added: 0 }));
        let mut contradicting = twice;
        contradicting.manifest.layers[2].size = 7;
        assert_eq!(split(&contradicting, 1), None);
    }

    fn known(repository: &str, layers: usize, history: bool) -> Known {
        let reference = Reference::parse(repository).expect("a reference");
        let digest = Digest::sha256(repository.as_bytes());
        let ground = Ground { manifest: digest.clone(), layers, size: None, created: None, history };
        Known {
            repository: Some(reference.repository().clone()),
            tag: reference.written_tag().map(str::to_owned),
            digest: Some(digest),
            confidence: if layers == 0 { Confidence::Claimed } else { Confidence::Proved },
            by: Vec::new(),
            ground: (layers > 0).then_some(ground),
            doubt: None,
            now: None,
        }
    }

    #[test]
    fn the_nearest_proof_comes_first_and_a_claim_last() {
        let mut all = vec![
            known("claimed:1", 0, false),
            known("far:1", 1, true),
            known("near:1", 3, false),
            known("near:2", 3, true),
        ];
        rank(&mut all);
        let names: Vec<String> = all.iter().map(Known::name).collect();
        let expected = ["near:2", "near:1", "far:1", "claimed:1"].map(|name| format!("docker.io/library/{name}"));
        assert_eq!(names, expected);
    }

    #[test]
    fn a_tag_is_proved_only_where_it_names_the_base_now() {
        let mut base = known("debian:12", 1, true);
        let digest = base.digest.clone().expect("a digest");
        let pinned = Some(format!("docker.io/library/debian@{digest}"));
        let proved = |base: &Known| base.proved().map(|reference| reference.to_string());
        assert_eq!(proved(&base), pinned);
        base.now = Some(Now::Moved { to: Digest::sha256(b"other"), created: None });
        assert_eq!(proved(&base), pinned);
        base.now = Some(Now::Same(digest));
        assert_eq!(proved(&base).as_deref(), Some("docker.io/library/debian:12"));
        assert_eq!(proved(&known("debian:12", 0, false)), None);
    }
}
