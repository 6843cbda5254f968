//! Finds the base of images: asks registries for what images claim and for the candidates that a policy names, each
//! once a run, and compares layers. An image's own word never makes it ask a repository that the caller does not allow.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::OnceCell;

use crate::digest::Digest;
use crate::image::base::{self, Bases, Comparison, Confidence, Contradiction, Doubt, Evidence, Ground, Known, Now};
use crate::image::base_claim::{self, BaseClaim, Place};
use crate::image::{
    self, Child, Claims, Config, Content, Details, Image, ImageError, Platform, PlatformImage, Room, materials,
};
use crate::limits;
use crate::outline::leaves;
use crate::reference::{HUB, LATEST, Reference, Repository};
use crate::registry::{Manifest, Packed, Registry, RegistryError, Target, Want};

/// What the run already knows of a tag; `None` where nobody asked. A tag is resolved once a run.
pub type Tags<'a> = &'a (dyn Fn(&Repository, &str) -> Option<Result<Digest, RegistryError>> + Sync);

/// An image that may be a base, and who named it: [`Evidence::Search`] or [`Evidence::Dockerfile`].
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The image.
    pub reference: Reference,
    /// Who named it.
    pub by: Evidence,
}

/// What is looked for, and where it may be.
#[derive(Clone, Copy)]
pub struct Looking<'a> {
    /// Compared with every image.
    pub candidates: &'a [Candidate],
    /// Whether a base that an image claims may be asked for.
    pub may_ask: &'a (dyn Fn(&Reference) -> bool + Sync),
    /// Whether unsigned provenance is read also where a base is proved without it.
    pub thorough: bool,
    /// Platforms that are looked at; empty means all.
    pub platforms: &'a [Platform],
}

const PLATFORMS_AT_ONCE: usize = 8;
const AIMS_AT_ONCE: usize = 20;

/// All that a run has learnt about bases.
pub struct Book<'a> {
    registry: &'a dyn Registry,
    tags: Tags<'a>,
    tops: Mutex<HashMap<(Repository, Name), Cell<Manifest>>>,
    stacks: Mutex<HashMap<(Repository, Digest, Platform), Cell<Stack>>>,
    /// What tags name; small, and never let go, so that no tag is resolved twice.
    named: Mutex<HashMap<(Repository, String), Cell<Digest>>>,
    /// The bases that images of a repository claim and that were asked for on their word.
    claimed: Mutex<HashMap<Repository, HashSet<(Repository, Name)>>>,
    /// Bytes that were unpacked.
    unpacked: AtomicU64,
    asked: Mutex<BTreeSet<Reference>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Tag(String),
    Digest(Digest),
}

type Cell<T> = Arc<OnceCell<Result<T, ImageError>>>;

/// The images of one platform below a digest: one, or several where its variant is not told.
type Stack = Arc<Vec<PlatformImage>>;

/// One image to compare with.
#[derive(Clone, Debug)]
struct Aim {
    reference: Option<Reference>,
    tag: Option<String>,
    digest: Option<Digest>,
    by: Vec<Evidence>,
    /// Whether the image says that this one is its base, and not only one of those that its build read.
    named: bool,
    scratch: bool,
}

/// The image that is looked at.
#[derive(Clone, Copy)]
struct Subject<'a> {
    repository: &'a Repository,
    image: &'a PlatformImage,
    config: &'a Config,
}

/// What came of one aim.
enum Seen {
    Known(Box<Known>),
    Contradicted(Contradiction),
    /// A candidate that could not be compared.
    Unread(String, ImageError),
    /// A candidate that nobody named, whose layers agree and whose history does not.
    Doubtful(String, String),
    /// A candidate that is not the base.
    No,
}

/// Whether `base` may be asked for on the word of an image alone, where nobody says what may be: it is at the image's
/// own registry, or on Docker Hub.
pub fn near(image: &Repository, base: &Repository) -> bool {
    base.host() == image.host() || base.host() == HUB
}

impl Seen {
    fn known(known: Known) -> Self {
        Self::Known(Box::new(known))
    }
}

impl<'a> Book<'a> {
    /// Nothing is asked yet.
    pub fn new(registry: &'a dyn Registry, tags: Tags<'a>) -> Self {
        Self {
            registry,
            tags,
            tops: Mutex::default(),
            stacks: Mutex::default(),
            named: Mutex::default(),
            claimed: Mutex::default(),
            unpacked: AtomicU64::new(0),
            asked: Mutex::default(),
        }
    }

    /// The names that were asked for, so that a copy of what a run needs can hold them.
    pub fn asked(&self) -> BTreeSet<Reference> {
        lock(&self.asked).clone()
    }

    /// The bases of every platform of an image that was read with its details.
    pub async fn of_image(&self, reference: &Reference, image: &Image, looking: Looking<'_>) -> Vec<Bases> {
        let wanted = |found: &&PlatformImage| {
            looking.platforms.is_empty()
                || found.platform.as_ref().is_none_or(|own| looking.platforms.iter().any(|wanted| own.is(wanted)))
        };
        let own = (looking.may_ask)(reference);
        let each = image.platforms().iter().filter(wanted).map(|platform| async move {
            let (index, attestations) = (image.annotations(), image.attestations());
            let mut bases = self.of_platform(reference.repository(), index, attestations, platform, looking).await;
            if own {
                bases.itself = Some(self.itself(reference, image, platform).await);
            }
            bases
        });
        stream::iter(each.collect::<Vec<_>>()).buffered(PLATFORMS_AT_ONCE).collect().await
    }

    /// The bases of one platform of an image; `index` and `attestations` are those of the index around it.
    pub async fn of_platform(
        &self,
        repository: &Repository,
        index: &BTreeMap<String, String>,
        attestations: &[Child],
        image: &PlatformImage,
        looking: Looking<'_>,
    ) -> Bases {
        let mut bases = Bases {
            digest: image.digest.clone(),
            platform: image.platform.clone(),
            itself: None,
            known: Vec::new(),
            contradicted: Vec::new(),
            unread: Vec::new(),
            doubtful: Vec::new(),
            muddle: None,
            hidden: None,
            searched: 0,
        };
        let Some(details) = image.details.as_deref() else { return bases };
        let subject = Subject { repository, image, config: &details.config };
        let claims = base_claim::claims(index, details).into_iter().take(limits::BASE_CLAIMS).map(Aim::of_claim);
        if let Some(muddle) = base::muddle(image) {
            bases.muddle = Some(muddle);
            bases.known = aims(claims).iter().filter(|aim| aim.named).map(|aim| aim.known(Doubt::Nothing)).collect();
            return bases;
        }
        let wanted = aims(claims.chain(looking.candidates.iter().map(Aim::of_candidate)));
        self.look(subject, wanted, looking, &mut bases).await;
        if looking.thorough || !bases.known.iter().any(|known| known.confidence == Confidence::Proved) {
            match self.provenance(repository, &image.digest, attestations).await {
                Ok(claims) => {
                    self.look(subject, aims(claims.into_iter().map(Aim::of_claim)), looking, &mut bases).await;
                }
                Err(error) => bases.hidden = Some(error),
            }
        }
        base::rank(&mut bases.known);
        bases
    }

    /// Follows `aims` and notes what comes of them.
    async fn look(&self, subject: Subject<'_>, aims: Vec<Aim>, looking: Looking<'_>, bases: &mut Bases) {
        bases.searched += aims.iter().filter(|aim| aim.by == [Evidence::Search]).count();
        let seen = aims.into_iter().map(|aim| self.follow(subject, aim, looking));
        let seen: Vec<Seen> = stream::iter(seen.collect::<Vec<_>>()).buffered(AIMS_AT_ONCE).collect().await;
        for seen in seen {
            match seen {
                Seen::Known(known) => merge(&mut bases.known, *known),
                Seen::Contradicted(found) => {
                    if !bases.contradicted.contains(&found) {
                        bases.contradicted.push(found);
                    }
                }
                Seen::Unread(name, error) => bases.unread.push((name, error)),
                Seen::Doubtful(name, why) => bases.doubtful.push((name, why)),
                Seen::No => {}
            }
        }
    }

    async fn follow(&self, subject: Subject<'_>, aim: Aim, looking: Looking<'_>) -> Seen {
        if aim.scratch {
            let known = aim.known(Doubt::Nothing);
            let proved = subject.image.manifest.layers.is_empty();
            let confidence = if proved { Confidence::Proved } else { Confidence::Claimed };
            return Seen::known(Known { confidence, ..known });
        }
        let Some(reference) = &aim.reference else { return Seen::known(aim.known(Doubt::Nothing)) };
        let ours = aim.by.iter().any(|by| !matches!(by, Evidence::Claim(_)));
        let repository = reference.repository();
        if !ours && (!(looking.may_ask)(reference) || is_inside(repository, subject.repository)) {
            return if aim.named { Seen::known(aim.known(Doubt::NotAsked)) } else { Seen::No };
        }
        if !ours && !self.may_follow(subject.repository, repository, &aim) {
            let reason = format!("its repository's images name more than {} bases", limits::BASES_CLAIMED);
            return aim.unread(ImageError::Unsound { digest: subject.image.digest.clone(), reason });
        }
        let top = match &aim.digest {
            Some(digest) => Ok(digest.clone()),
            None => self.tag(repository, aim.tag.as_deref().unwrap_or(LATEST)).await,
        };
        let stack = match &top {
            Ok(top) => self.stack(repository, top, &subject.config.platform).await,
            Err(error) => Err(error.clone()),
        };
        let (top, stack) = match (top, stack) {
            (Ok(top), Ok(stack)) => (top, stack),
            (Err(error), _) | (_, Err(error)) => return aim.unread(error),
        };
        match self.compared(subject, &stack).await {
            Verdict::Begins { ground, unpacked, itself } => {
                let mut known = aim.known(Doubt::Nothing);
                known.by.push(if unpacked { Evidence::Unpacked } else { Evidence::Layers });
                if itself {
                    known.by.push(Evidence::Itself);
                }
                let now = self.now(subject, &aim, &top).await;
                let (confidence, digest) = (Confidence::Proved, Some(top));
                Seen::known(Known { confidence, digest, ground: Some(ground), doubt: None, now, ..known })
            }
            Verdict::Liar(found) => Seen::Contradicted(found),
            Verdict::Unread(error) => aim.unread(error),
            Verdict::History(at) if !aim.named => {
                let (name, layer) = (aim.label(), at + 1);
                let why = format!(
                    "its layers begin with those of {name}, but its history says that layer {layer} was made otherwise"
                );
                Seen::Doubtful(name, why)
            }
            Verdict::History(at) => {
                let now = self.now(subject, &aim, &top).await;
                Seen::known(Known { now, digest: Some(top), ..aim.known(Doubt::History(at)) })
            }
            Verdict::None if aim.named => Seen::known(aim.known(Doubt::NoPlatform(subject.config.platform.clone()))),
            Verdict::Differs(shown) if aim.named && aim.digest.is_some() && aim.says_base() => {
                let places: Vec<&str> = aim.by.iter().filter_map(words).collect();
                let claimed = format!("{} claims the base {}@{top}", places.join(" and "), aim.label());
                Seen::Contradicted(Contradiction { claimed, shown })
            }
            Verdict::Differs(_) if aim.named && aim.says_base() => Seen::known(aim.known(Doubt::Differs)),
            Verdict::Differs(_) | Verdict::None => Seen::No,
        }
    }

    /// Whether the image begins with one of `stack`, which are all of one platform.
    async fn compared(&self, subject: Subject<'_>, stack: &[PlatformImage]) -> Verdict {
        let mut worst = Verdict::None;
        for below in stack {
            let found = match base::compare(subject.image, below) {
                Comparison::Begins { repacked, history } => {
                    let unpacked = !repacked.is_empty();
                    match self.unpack(subject, repacked).await {
                        Ok(None) => {
                            let layers = below.manifest.layers.len();
                            let created = below.details.as_deref().and_then(|details| base::built(&details.config));
                            let size = base::split(subject.image, layers).map(|split| split.base);
                            let ground = Ground { manifest: below.digest.clone(), layers, size, created, history };
                            let itself = below.digest == subject.image.digest;
                            return Verdict::Begins { ground, unpacked, itself };
                        }
                        Ok(Some(liar)) => Verdict::Liar(liar),
                        Err(error) => Verdict::Unread(error),
                    }
                }
                Comparison::Lies(lie) => Verdict::Liar(lie),
                Comparison::HistoryDiffers { at } => Verdict::History(at),
                Comparison::Differs { at } => {
                    Verdict::Differs(format!("layer {} of the image is not that of {}", at + 1, below.digest))
                }
                Comparison::Nothing => Verdict::Differs(format!("{} has no layers", below.digest)),
            };
            if found.weight() > worst.weight() {
                worst = found;
            }
        }
        worst
    }

    /// Whether one more base may be asked for on the word of images of `own`.
    fn may_follow(&self, own: &Repository, base: &Repository, aim: &Aim) -> bool {
        let name = match &aim.digest {
            Some(digest) => Name::Digest(digest.clone()),
            None => Name::Tag(aim.tag.clone().unwrap_or_default()),
        };
        let mut claimed = lock(&self.claimed);
        let claimed = claimed.entry(own.clone()).or_default();
        let key = (base.clone(), name);
        if claimed.len() >= limits::BASES_CLAIMED && !claimed.contains(&key) {
            return false;
        }
        claimed.insert(key);
        true
    }

    /// Reads those layers of the image and hashes what they unpack to: what is not as the config says, if anything.
    async fn unpack(&self, subject: Subject<'_>, numbers: Vec<usize>) -> Result<Option<Contradiction>, ImageError> {
        let layers = &subject.image.manifest.layers;
        let whole = numbers.iter().fold(0, |sum: u64, at| sum.saturating_add(layers[*at].size));
        if numbers.len() > limits::BASE_UNPACKED_LAYERS {
            return Err(unpack_limit(subject, &format!("{} layers an image", limits::BASE_UNPACKED_LAYERS)));
        }
        if whole > limits::BASE_UNPACKED_BYTES as u64 {
            return Err(unpack_limit(subject, &format!("{} stored bytes an image", limits::BASE_UNPACKED_BYTES)));
        }
        for at in numbers {
            let layer = &layers[at];
            let claimed = &subject.config.diff_ids[at];
            if self.unpacked.load(Ordering::Relaxed) >= limits::BASES_UNPACKED_BYTES {
                return Err(unpack_limit(subject, &format!("{} bytes a run", limits::BASES_UNPACKED_BYTES)));
            }
            let packed = Packed { digest: &layer.digest, size: layer.size, media_type: &layer.media_type };
            let unpacked = self.registry.unpacked(subject.repository, packed).await;
            let unpacked = unpacked.map_err(|error| absent_layer(error, at))?;
            self.unpacked.fetch_add(unpacked.size, Ordering::Relaxed);
            let found = unpacked.diff_id;
            if found != *claimed {
                let claimed = format!("the config says that layer {} unpacks to {claimed}", at + 1);
                return Ok(Some(Contradiction { claimed, shown: format!("it unpacks to {found}") }));
            }
        }
        Ok(None)
    }

    /// What the tag of a base names now, seen from the image.
    async fn now(&self, subject: Subject<'_>, aim: &Aim, top: &Digest) -> Option<Now> {
        let (reference, tag) = (aim.reference.as_ref()?, aim.tag.as_deref()?);
        let repository = reference.repository();
        let to = match self.tag(repository, tag).await {
            Ok(to) => to,
            Err(error) => return Some(Now::Unknown(error)),
        };
        if to == *top {
            return Some(Now::Same(to));
        }
        let stack = match self.stack(repository, &to, &subject.config.platform).await {
            Ok(stack) => stack,
            Err(error) => return Some(Now::Unknown(error)),
        };
        Some(match self.compared(subject, &stack).await {
            Verdict::Begins { .. } => Now::Same(to),
            Verdict::Unread(error) => Now::Unknown(error),
            _ => {
                let config = stack.first().and_then(|below| below.details.as_deref());
                Now::Moved { to, created: config.and_then(|details| base::built(&details.config)) }
            }
        })
    }

    /// The image as its own base.
    async fn itself(&self, reference: &Reference, image: &Image, platform: &PlatformImage) -> Known {
        let layers = platform.manifest.layers.len();
        let ground = Ground {
            manifest: platform.digest.clone(),
            layers,
            size: platform.manifest.layers_size(),
            created: platform.details.as_deref().and_then(|details| base::built(&details.config)),
            history: true,
        };
        let tag = match reference.digest() {
            Some(_) => reference.written_tag(),
            None => Some(reference.tag().unwrap_or(LATEST)),
        };
        let now = match (tag, reference.digest()) {
            (Some(tag), Some(_)) => Some(match self.tag(reference.repository(), tag).await {
                Ok(to) if to == *image.digest() => Now::Same(to),
                Ok(to) => self.child_of(reference.repository(), to, platform).await,
                Err(error) => Now::Unknown(error),
            }),
            (Some(_), None) => Some(Now::Same(image.digest().clone())),
            (None, _) => None,
        };
        Known {
            repository: Some(reference.repository().clone()),
            tag: tag.map(str::to_owned),
            digest: Some(image.digest().clone()),
            confidence: Confidence::Proved,
            by: vec![Evidence::Itself],
            ground: Some(ground),
            doubt: None,
            now,
        }
    }

    /// Whether what a tag names now is, on its platform, the image.
    async fn child_of(&self, repository: &Repository, to: Digest, platform: &PlatformImage) -> Now {
        let Some(details) = platform.details.as_deref() else { return Now::Moved { to, created: None } };
        match self.stack(repository, &to, &details.config.platform).await {
            Ok(stack) if stack.iter().any(|found| found.digest == platform.digest) => Now::Same(to),
            Ok(stack) => {
                let details = stack.first().and_then(|found| found.details.as_deref());
                Now::Moved { to, created: details.and_then(|details| base::built(&details.config)) }
            }
            Err(error) => Now::Unknown(error),
        }
    }

    /// What the unsigned provenance of `subject` in its index names.
    async fn provenance(
        &self,
        repository: &Repository,
        subject: &Digest,
        attestations: &[Child],
    ) -> Result<Vec<BaseClaim>, ImageError> {
        let about = |child: &&Child| {
            child.annotations.get("vnd.docker.reference.digest").is_some_and(|digest| digest == subject.as_str())
        };
        let Some(child) = attestations.iter().find(about) else { return Ok(Vec::new()) };
        let room = Room::default();
        let manifest = image::read_child(self.registry, repository, child, &room).await?;
        let mut claims = Vec::new();
        let statements = materials::statements(manifest.bytes());
        let unsound =
            |digest: &Digest, reason: &str| ImageError::Unsound { digest: digest.clone(), reason: reason.to_owned() };
        if statements.len() > limits::BASE_STATEMENTS {
            return Err(unsound(manifest.digest(), "it has more statements of provenance than are read"));
        }
        for (digest, size) in statements {
            if size > limits::CONFIG_BYTES as u64 {
                return Err(unsound(&digest, "the provenance is larger than what is read"));
            }
            room.take(&digest, size)?;
            let bytes = self.registry.blob(repository, &digest, limits::CONFIG_BYTES).await?;
            if !digest.fits(&bytes) {
                return Err(unsound(&digest, "its bytes do not hash to it"));
            }
            claims.extend(materials::images(&bytes, subject).unwrap_or_default());
        }
        claims.truncate(limits::BASE_CLAIMS);
        Ok(claims)
    }

    /// What a tag names.
    async fn tag(&self, repository: &Repository, tag: &str) -> Result<Digest, ImageError> {
        self.note(repository, &Name::Tag(tag.to_owned()));
        if let Some(known) = (self.tags)(repository, tag) {
            return known.map_err(ImageError::from);
        }
        let cell = Arc::clone(lock(&self.named).entry((repository.clone(), tag.to_owned())).or_default());
        let read = || async { Ok(self.top(repository, Name::Tag(tag.to_owned())).await?.digest().clone()) };
        cell.get_or_init(read).await.clone()
    }

    /// The manifest or index of that name.
    async fn top(&self, repository: &Repository, name: Name) -> Result<Manifest, ImageError> {
        self.note(repository, &name);
        let cell = cell(&self.tops, (repository.clone(), name.clone()));
        let read = || async {
            let target = match &name {
                Name::Tag(tag) => Target::Tag(tag),
                Name::Digest(digest) => Target::Digest(digest),
            };
            let named = self.registry.name(repository, target, Want::Content).await?;
            let unsound =
                |reason: &str| ImageError::Unsound { digest: named.digest.clone(), reason: reason.to_owned() };
            let manifest = named.manifest.as_ref().filter(|manifest| *manifest.digest() == named.digest);
            let manifest =
                manifest.ok_or_else(|| unsound("the registry named it but gave no content of that digest"))?;
            match &name {
                Name::Digest(asked) if !asked.fits(manifest.bytes()) => Err(unsound("its bytes do not hash to it")),
                _ => Ok(manifest.clone()),
            }
        };
        let manifest = cell.get_or_init(read).await.clone()?;
        if let Name::Tag(_) = name {
            // Whoever asks for what the tag names has it.
            let by_digest = (repository.clone(), Name::Digest(manifest.digest().clone()));
            let _ = self::cell(&self.tops, by_digest).set(Ok(manifest.clone()));
        }
        Ok(manifest)
    }

    /// The images of one platform below a digest, with their details.
    ///
    /// All variants of it: builders write them in many ways, and the same layers are the same base.
    async fn stack(&self, repository: &Repository, top: &Digest, platform: &Platform) -> Result<Stack, ImageError> {
        let platform = &Platform { variant: None, ..platform.clone() };
        let cell = cell(&self.stacks, (repository.clone(), top.clone(), platform.clone()));
        cell.get_or_init(|| async {
            let manifest = self.top(repository, Name::Digest(top.clone())).await?;
            self.read_stack(repository, &manifest, platform).await.map(Arc::new)
        })
        .await
        .clone()
    }

    async fn read_stack(
        &self,
        repository: &Repository,
        top: &Manifest,
        platform: &Platform,
    ) -> Result<Vec<PlatformImage>, ImageError> {
        let room = Room::default();
        let children = match Content::parse(top)? {
            Content::Image(_) => {
                let image = self.read_image(repository, top, None, BTreeMap::new(), &room).await?;
                return Ok(of_platform(vec![image], platform));
            }
            Content::Index(children) => children,
        };
        let (_, images) = leaves(self.registry, repository, top.digest(), children, &room).await?;
        let mut found = Vec::new();
        for child in images {
            if child.platform.as_ref().is_some_and(|own| !own.is(platform)) {
                continue;
            }
            let manifest = image::read_child(self.registry, repository, &child, &room).await?;
            found.push(self.read_image(repository, &manifest, child.platform, child.annotations, &room).await?);
        }
        Ok(of_platform(found, platform))
    }

    async fn read_image(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        platform: Option<Platform>,
        entry: BTreeMap<String, String>,
        room: &Room,
    ) -> Result<PlatformImage, ImageError> {
        let digest = manifest.digest().clone();
        let Content::Image(parsed) = Content::parse(manifest)? else {
            let reason = "an index where an image was named".to_owned();
            return Err(ImageError::Unsound { digest, reason });
        };
        let config = image::read_config(self.registry, repository, &parsed, room).await?;
        let platform = platform.or_else(|| Some(config.platform.clone()));
        let details = Details { config, manifest: Claims::parse(manifest)?.annotations, entry };
        let media_type = manifest.media_type().to_owned();
        Ok(PlatformImage { platform, digest, media_type, manifest: parsed, details: Some(Arc::new(details)) })
    }

    fn note(&self, repository: &Repository, name: &Name) {
        let text = match name {
            Name::Tag(tag) => format!("{repository}:{tag}"),
            Name::Digest(digest) => format!("{repository}@{digest}"),
        };
        if let Ok(reference) = Reference::parse(&text) {
            lock(&self.asked).insert(reference);
        }
    }
}

/// That a layer of the image is not there says nothing of whether its base is.
fn absent_layer(error: RegistryError, at: usize) -> RegistryError {
    match error {
        RegistryError::NotFound { place } => {
            RegistryError::Malformed { detail: format!("layer {} of the image is not there", at + 1), place }
        }
        other => other,
    }
}

enum Verdict {
    Begins {
        ground: Ground,
        unpacked: bool,
        itself: bool,
    },
    Liar(Contradiction),
    Unread(ImageError),
    History(usize),
    Differs(String),
    /// It has no image of the platform.
    None,
}

impl Verdict {
    /// Of several answers the one that is furthest from "no" counts.
    fn weight(&self) -> u8 {
        match self {
            Self::Begins { .. } => 5,
            Self::Liar(_) => 4,
            Self::Unread(_) => 3,
            Self::History(_) => 2,
            Self::Differs(_) => 1,
            Self::None => 0,
        }
    }
}

/// Whether a claim leads to this machine, or to a bare address, from an image that does not come from there.
fn is_inside(base: &Repository, image: &Repository) -> bool {
    let name = |repository: &Repository| {
        let host = repository.host();
        let name =
            host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(n, _)| n);
        name.trim_matches(['[', ']']).to_owned()
    };
    let own = name(base);
    (own == "localhost" || own.parse::<IpAddr>().is_ok()) && own != name(image)
}

fn unpack_limit(subject: Subject<'_>, limit: &str) -> ImageError {
    let reason = format!("its layers were recompressed, and to unpack them takes more than the limit of {limit}");
    ImageError::Unsound { digest: subject.image.digest.clone(), reason }
}

/// Those that are surely of that platform by their own config, too.
fn of_platform(images: Vec<PlatformImage>, platform: &Platform) -> Vec<PlatformImage> {
    let fits = |image: &PlatformImage| image.details.as_deref().is_some_and(|found| found.config.platform.is(platform));
    images.into_iter().filter(fits).collect()
}

impl Aim {
    fn of_claim(claim: BaseClaim) -> Self {
        let scratch = claim.is_scratch();
        let BaseClaim { by, reference, digest, alone, .. } = claim;
        let tag = reference.as_ref().and_then(|reference| match (reference.written_tag(), &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(LATEST.to_owned()),
        });
        Self { reference, tag, digest, by: vec![Evidence::Claim(by)], named: alone, scratch }
    }

    fn of_candidate(candidate: &Candidate) -> Self {
        let reference = &candidate.reference;
        let digest = reference.digest().cloned();
        let tag = match (reference.written_tag(), &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(LATEST.to_owned()),
        };
        Self {
            reference: Some(reference.clone()),
            tag,
            digest,
            by: vec![candidate.by.clone()],
            named: false,
            scratch: false,
        }
    }

    /// Whether some place of the image calls it the base, and not only a source of its build.
    fn says_base(&self) -> bool {
        self.by
            .iter()
            .any(|by| matches!(by, Evidence::Claim(place) if !matches!(place, Place::Provenance | Place::BuildInfo)))
    }

    fn label(&self) -> String {
        match (&self.reference, &self.tag) {
            (Some(reference), Some(tag)) => format!("{}:{tag}", reference.repository()),
            (Some(reference), None) => reference.repository().to_string(),
            (None, _) => "not named".to_owned(),
        }
    }

    /// What comes of one that can't be read. Where nobody but us had named it, it is not there to be a base.
    fn unread(&self, error: ImageError) -> Seen {
        let absent = matches!(error, ImageError::Registry(RegistryError::NotFound { .. }));
        let ours = self.by.iter().any(|by| !matches!(by, Evidence::Claim(_)));
        match (self.named, ours && !absent) {
            (true, _) => Seen::known(self.known(Doubt::Unread(error))),
            (false, true) => Seen::Unread(self.label(), error),
            (false, false) => Seen::No,
        }
    }

    /// What is known by the claim alone.
    fn known(&self, doubt: Doubt) -> Known {
        Known {
            repository: self.reference.as_ref().map(|reference| reference.repository().clone()),
            tag: self.tag.clone(),
            digest: self.digest.clone(),
            confidence: Confidence::Claimed,
            by: self.by.clone(),
            ground: None,
            doubt: Some(doubt),
            now: None,
        }
    }
}

fn words(evidence: &Evidence) -> Option<&'static str> {
    match evidence {
        Evidence::Claim(place) => Some(place.words()),
        _ => None,
    }
}

/// Each image once, with the evidence of all that name it.
fn aims(all: impl Iterator<Item = Aim>) -> Vec<Aim> {
    let mut aims: Vec<Aim> = Vec::new();
    let mut places: HashMap<_, usize> = HashMap::new();
    for aim in all {
        let repository = aim.reference.as_ref().map(|reference| reference.repository().clone());
        let at = *places.entry((repository, aim.tag.clone(), aim.digest.clone(), aim.scratch)).or_insert(aims.len());
        match aims.get_mut(at) {
            Some(other) => {
                let new = aim.by.into_iter().filter(|by| !other.by.contains(by)).collect::<Vec<_>>();
                other.by.extend(new);
                other.named |= aim.named;
            }
            None => aims.push(aim),
        }
    }
    aims
}

/// Adds a base, or its evidence to the same one that is known already.
fn merge(all: &mut Vec<Known>, known: Known) {
    match all.iter_mut().find(|other| same(other, &known)) {
        Some(other) => {
            let (mut better, worse) =
                if known.confidence > other.confidence { (known, other.clone()) } else { (other.clone(), known) };
            let new = worse.by.into_iter().filter(|by| !better.by.contains(by)).collect::<Vec<_>>();
            better.by.extend(new);
            better.by.sort();
            if better.tag.is_none() {
                (better.tag, better.now) = (worse.tag, worse.now);
            }
            *other = better;
        }
        None => all.push(known),
    }
}

/// Whether a claim that nobody followed names just what is proved.
fn agrees(proved: &Known, ground: &Ground, claim: &Known) -> bool {
    let digest = claim.digest.as_ref();
    proved.tag == claim.tag
        && digest.is_some_and(|digest| *digest == ground.manifest || proved.digest.as_ref() == Some(digest))
}

/// Whether two are one base: by name and digest, or proved by the same manifest, where one of them may lack the tag.
fn same(one: &Known, other: &Known) -> bool {
    if one.repository != other.repository {
        return false;
    }
    match (&one.ground, &other.ground) {
        (Some(a), Some(b)) => {
            a.manifest == b.manifest && (one.tag == other.tag || one.tag.is_none() || other.tag.is_none())
        }
        (Some(ground), None) => agrees(one, ground, other),
        (None, Some(ground)) => agrees(other, ground, one),
        (None, None) => one.tag == other.tag && one.digest == other.digest,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cell of a question; what is beyond the limit is asked again.
fn cell<K: Eq + Hash, T>(table: &Mutex<HashMap<K, Cell<T>>>, key: K) -> Cell<T> {
    let mut table = lock(table);
    if table.len() >= limits::BASES_REMEMBERED && !table.contains_key(&key) {
        table.clear();
    }
    Arc::clone(table.entry(key).or_default())
}
