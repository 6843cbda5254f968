//! Gathers what can be known of one image: its name's digest, its platforms, their configs, and who refers to them.
//! What can't be read is kept as an error in its place; it neither hides the rest nor counts as absent.

use futures_util::StreamExt as _;
use futures_util::future::{self, BoxFuture, FutureExt as _};
use futures_util::stream;

use crate::digest::Digest;
use crate::image::{self, Child, Claims, Config, Content, ImageError, ImageManifest, Platform};
use crate::limits;
use crate::reference::{LATEST, Reference, Repository};
use crate::registry::{KnownBy, Manifest, Named, Referrers, Registry, RegistryError, Target, Want};

/// Media types of the config of an image that runs; what has another is an artifact.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What a name comes to, without a look at the platforms' own content.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Digest of the index or manifest; of a platform's manifest, where one was asked for.
    pub digest: Digest,
    /// How it is known.
    pub known_by: KnownBy,
    /// Where content was read.
    pub content: Option<Described>,
}

/// What content says that was read for an [`Outline`].
#[derive(Clone, Debug)]
pub struct Described {
    /// Media type of what the digest names.
    pub media_type: String,
    /// Its platforms; `None` stands for one that nobody names.
    pub platforms: Vec<Option<Platform>>,
}

/// Why a name came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The registry, or content that is not sound.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image is there, without this platform.
    #[error("it has no {wanted}; it has {has}")]
    NoPlatform {
        /// Those that were asked for.
        wanted: String,
        /// Those that it has.
        has: String,
    },
    /// Several platforms are what was asked for.
    #[error("{wanted} fits {count} platforms of it: {has}")]
    SeveralPlatforms {
        /// What was asked for.
        wanted: Platform,
        /// How many fit.
        count: usize,
        /// Those that it has.
        has: String,
    },
}

impl From<RegistryError> for InspectError {
    fn from(error: RegistryError) -> Self {
        Self::Image(error.into())
    }
}

impl InspectError {
    /// The registry's error, where it was one.
    pub fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::Image(ImageError::Registry(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether it is an answer: no such image, or none for the platform.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoPlatform { .. }) || matches!(self.registry(), Some(RegistryError::NotFound { .. }))
    }
}

/// What `reference` names: its digest alone by one HEAD, or its platforms too. With `platform`, the one child for it.
pub async fn outline(
    registry: &dyn Registry,
    reference: &Reference,
    want: Want,
    platform: Option<&Platform>,
) -> Result<Outline, InspectError> {
    let repository = reference.repository();
    if (want, platform) == (Want::Digest, None) {
        let Named { digest, known_by, .. } = named(registry, reference, Want::Digest).await?;
        return Ok(Outline { digest, known_by, content: None });
    }
    let top = content(registry, reference).await?;
    let found = children(registry, repository, &top).await?;
    let Some(wanted) = platform else {
        let platforms = found.into_iter().map(|found| found.platform).collect();
        let content = Described { media_type: top.media_type().to_owned(), platforms };
        return Ok(Outline { digest: top.digest().clone(), known_by: KnownBy::Bytes, content: Some(content) });
    };
    let has = named_platforms(&found);
    let mut fitting: Vec<Found> = found.into_iter().filter(|found| fits(found, wanted)).collect();
    let found = match (fitting.pop(), fitting.len()) {
        (None, _) => return Err(InspectError::NoPlatform { wanted: wanted.to_string(), has }),
        (Some(found), 0) => found,
        (Some(_), more) => return Err(InspectError::SeveralPlatforms { wanted: wanted.clone(), count: more + 1, has }),
    };
    // The index names it; only its bytes show that it is there.
    let manifest = match found.child {
        Some(child) => image::read_child(registry, repository, &child).await?,
        None => top,
    };
    Content::parse(&manifest)?;
    let content = Described { media_type: manifest.media_type().to_owned(), platforms: vec![found.platform] };
    Ok(Outline { digest: manifest.digest().clone(), known_by: KnownBy::Bytes, content: Some(content) })
}

/// One manifest of an image, before its own content is read.
struct Found {
    platform: Option<Platform>,
    /// `None` for the image itself, where there is no index.
    child: Option<Child>,
}

fn fits(found: &Found, wanted: &Platform) -> bool {
    found.platform.as_ref().is_some_and(|platform| platform.is(wanted))
}

fn named_platforms(found: &[Found]) -> String {
    let known: Vec<String> = found.iter().filter_map(|found| Some(found.platform.as_ref()?.to_string())).collect();
    if known.is_empty() { "none that is known".to_owned() } else { known.join(", ") }
}

/// The manifests of an image, those of nested indexes too, attestations left out.
async fn children(registry: &dyn Registry, repository: &Repository, top: &Manifest) -> Result<Vec<Found>, ImageError> {
    match Content::parse(top)? {
        Content::Image(manifest) => {
            let platform = match is_config(&manifest) {
                true => Some(image::read_config(registry, repository, &manifest).await?.platform),
                false => None,
            };
            Ok(vec![Found { platform, child: None }])
        }
        Content::Index(children) => {
            let (_, images) = leaves(registry, repository, children, 0).await?;
            settled(registry, repository, images).await
        }
    }
}

/// The platform of each, by its config where the index does not say.
async fn settled(
    registry: &dyn Registry,
    repository: &Repository,
    images: Vec<Child>,
) -> Result<Vec<Found>, ImageError> {
    let mut found = Vec::with_capacity(images.len());
    for child in images {
        let mut platform = child.platform.clone();
        if platform.is_none() {
            let manifest = image::read_child(registry, repository, &child).await?;
            platform = configured(&open(registry, repository, &manifest).await);
        }
        found.push(Found { platform, child: Some(child) });
    }
    Ok(found)
}

/// The attestations and the images below an index.
type Leaves = (Vec<Child>, Vec<Child>);

/// Follows indexes in an index, as deep and as many as `limits` allow.
fn leaves<'a>(
    registry: &'a dyn Registry,
    repository: &'a Repository,
    children: Vec<Child>,
    level: usize,
) -> BoxFuture<'a, Result<Leaves, ImageError>> {
    async move {
        let (mut attestations, mut images) = (Vec::new(), Vec::new());
        for child in children {
            if child.attestation {
                attestations.push(child);
            } else if !child.media_type.contains("index") && !child.media_type.contains("manifest.list") {
                images.push(child);
            } else {
                let unsound = |reason| ImageError::Unsound { digest: child.digest.clone(), reason };
                if level + 1 >= limits::INDEX_DEPTH {
                    return Err(unsound(format!("indexes nest deeper than {}", limits::INDEX_DEPTH)));
                }
                let manifest = image::read_child(registry, repository, &child).await?;
                let Content::Index(below) = Content::parse(&manifest)? else {
                    return Err(unsound("an index that is none".to_owned()));
                };
                let (more_attestations, more_images) = leaves(registry, repository, below, level + 1).await?;
                attestations.extend(more_attestations);
                images.extend(more_images);
            }
            if images.len() + attestations.len() > limits::INDEX_CHILDREN {
                let reason = format!("indexes of more than {} children", limits::INDEX_CHILDREN);
                return Err(ImageError::Unsound { digest: images.swap_remove(0).digest, reason });
            }
        }
        Ok((attestations, images))
    }
    .boxed()
}

fn is_config(manifest: &ImageManifest) -> bool {
    CONFIGS.contains(&&*manifest.config.media_type)
}

async fn named(registry: &dyn Registry, reference: &Reference, want: Want) -> Result<Named, RegistryError> {
    let target = match reference.digest() {
        Some(digest) => Target::Digest(digest),
        None => Target::Tag(reference.tag().unwrap_or(LATEST)),
    };
    let named = registry.name(reference.repository(), target, want).await?;
    match reference.digest() {
        Some(asked) if *asked != named.digest => Err(RegistryError::WrongBytes {
            place: reference.repository().host().to_owned(),
            expected: asked.clone(),
            found: named.digest,
        }),
        _ => Ok(named),
    }
}

async fn content(registry: &dyn Registry, reference: &Reference) -> Result<Manifest, ImageError> {
    let named = named(registry, reference, Want::Content).await?;
    let reason = "the registry named it but gave no content of that digest".to_owned();
    let unsound = ImageError::Unsound { digest: named.digest.clone(), reason };
    named.manifest.filter(|manifest| *manifest.digest() == named.digest).ok_or(unsound)
}

/// All that is known of one image.
#[derive(Debug)]
pub struct Inspected {
    /// Digest of the index or manifest; its bytes were hashed.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is an index.
    pub index: bool,
    /// What it says of itself.
    pub claims: Claims,
    /// Attestation manifests of the index.
    pub attestations: Vec<Child>,
    /// Platforms that were not asked for.
    pub left_out: usize,
    /// Every platform, or those asked for, in the index's order.
    pub platforms: Vec<Inside>,
    /// Who refers to the digest. For an image without an index, these are its platform's.
    pub referrers: Result<Referrers, RegistryError>,
}

/// What one platform of an image is.
#[derive(Debug)]
pub struct Inside {
    /// The index's word, else the config's.
    pub platform: Option<Platform>,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Length of its manifest in bytes.
    pub size: u64,
    /// Its manifest and config.
    pub content: Result<Opened, ImageError>,
    /// Who refers to it; `None` for an image without an index, where they stand with the image.
    pub referrers: Option<Result<Referrers, RegistryError>>,
}

/// The manifest of a platform with what it leads to.
#[derive(Debug)]
pub struct Opened {
    /// The manifest.
    pub manifest: ImageManifest,
    /// What it says of itself.
    pub claims: Claims,
    /// Its config; `None` for an artifact, whose config is not an image's.
    pub config: Option<Result<Config, ImageError>>,
}

impl Opened {
    /// The command that made each layer, base first, where the config's history accounts for exactly these layers.
    /// Values of build arguments are left out: secrets are given to builds in them.
    pub fn commands(&self) -> Vec<Option<String>> {
        let layers = self.manifest.layers.len();
        match &self.config {
            Some(Ok(config)) => {
                config.commands(layers).into_iter().map(|command| command.map(without_arguments)).collect()
            }
            _ => vec![None; layers],
        }
    }
}

/// `|2 A=… B=… /bin/sh -c make`, as builders write a command that was given arguments, without them.
fn without_arguments(command: &str) -> String {
    let whole = || command.to_owned();
    let (before, rest) = match command.strip_prefix("RUN |") {
        Some(rest) => ("RUN ", rest),
        None => match command.strip_prefix('|') {
            Some(rest) => ("", rest),
            None => return whole(),
        },
    };
    let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let (count, rest) = rest.split_at(digits);
    if count.is_empty() || !rest.starts_with(' ') {
        return whole();
    }
    // A value may hold anything, the shell's name too: what follows its last one is surely no argument.
    match rest.rfind(" /bin/sh -c ") {
        Some(at) => format!("{before}|{count} …{}", &rest[at..]),
        None => format!("{before}|{count} …"),
    }
}

impl Inspected {
    /// Whether everything that was asked for is known.
    pub fn is_whole(&self) -> bool {
        let known = |inside: &Inside| {
            let content = inside.content.as_ref().is_ok_and(|opened| !matches!(opened.config, Some(Err(_))));
            content && !matches!(inside.referrers, Some(Err(_)))
        };
        self.referrers.is_ok() && self.platforms.iter().all(known)
    }
}

/// Reads the image that `reference` names; with `platforms`, only those of it. At most `jobs` platforms at once.
pub async fn inspect(
    registry: &dyn Registry,
    reference: &Reference,
    platforms: &[Platform],
    jobs: usize,
) -> Result<Inspected, InspectError> {
    let repository = reference.repository();
    let top = content(registry, reference).await?;
    let claims = Claims::parse(&top)?;
    let (referrers, read) = future::join(
        registry.referrers(repository, top.digest(), None),
        insides(registry, repository, &top, platforms, jobs),
    )
    .await;
    let Insides { index, attestations, left_out, platforms } = read?;
    Ok(Inspected {
        digest: top.digest().clone(),
        media_type: top.media_type().to_owned(),
        size: top.bytes().len() as u64,
        index,
        claims,
        attestations,
        left_out,
        platforms,
        referrers,
    })
}

struct Insides {
    index: bool,
    attestations: Vec<Child>,
    left_out: usize,
    platforms: Vec<Inside>,
}

async fn insides(
    registry: &dyn Registry,
    repository: &Repository,
    top: &Manifest,
    wanted: &[Platform],
    jobs: usize,
) -> Result<Insides, InspectError> {
    let children = match Content::parse(top)? {
        Content::Index(children) => children,
        Content::Image(_) => {
            let opened = open(registry, repository, top).await;
            let inside = Inside {
                platform: configured(&opened),
                digest: top.digest().clone(),
                media_type: top.media_type().to_owned(),
                size: top.bytes().len() as u64,
                content: opened,
                referrers: None,
            };
            let lacks = |wanted: &Platform| !inside.platform.as_ref().is_some_and(|platform| platform.is(wanted));
            if !wanted.is_empty() && inside.platform.is_some() && wanted.iter().all(lacks) {
                let has = inside.platform.iter().map(ToString::to_string).collect();
                return Err(InspectError::NoPlatform { wanted: listed(wanted.iter()), has });
            }
            return Ok(Insides { index: false, attestations: Vec::new(), left_out: 0, platforms: vec![inside] });
        }
    };
    let (attestations, images) = leaves(registry, repository, children, 0).await?;
    let found = match wanted {
        [] => images.into_iter().map(|child| Found { platform: child.platform.clone(), child: Some(child) }).collect(),
        _ => settled(registry, repository, images).await?,
    };
    let lacking: Vec<&Platform> =
        wanted.iter().filter(|wanted| !found.iter().any(|found| fits(found, wanted))).collect();
    if !lacking.is_empty() {
        return Err(InspectError::NoPlatform { wanted: listed(lacking.into_iter()), has: named_platforms(&found) });
    }
    let all = found.len();
    let chosen = found.into_iter().filter(|found| wanted.is_empty() || wanted.iter().any(|wanted| fits(found, wanted)));
    let reading = chosen.filter_map(|found| found.child).map(|child| inside(registry, repository, child));
    let platforms: Vec<Inside> = stream::iter(reading).buffered(jobs.max(1)).collect().await;
    Ok(Insides { index: true, attestations, left_out: all - platforms.len(), platforms })
}

fn listed<'a>(platforms: impl Iterator<Item = &'a Platform>) -> String {
    platforms.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

async fn inside(registry: &dyn Registry, repository: &Repository, child: Child) -> Inside {
    let content = async {
        let manifest = image::read_child(registry, repository, &child).await?;
        open(registry, repository, &manifest).await
    };
    let (content, referrers) = future::join(content, registry.referrers(repository, &child.digest, None)).await;
    Inside {
        platform: child.platform.or_else(|| configured(&content)),
        digest: child.digest,
        media_type: child.media_type,
        size: child.size,
        content,
        referrers: Some(referrers),
    }
}

fn configured(content: &Result<Opened, ImageError>) -> Option<Platform> {
    Some(content.as_ref().ok()?.config.as_ref()?.as_ref().ok()?.platform.clone())
}

async fn open(registry: &dyn Registry, repository: &Repository, top: &Manifest) -> Result<Opened, ImageError> {
    let Content::Image(manifest) = Content::parse(top)? else {
        let reason = "an index where an image was named".to_owned();
        return Err(ImageError::Unsound { digest: top.digest().clone(), reason });
    };
    let config = match is_config(&manifest) {
        true => Some(image::read_config(registry, repository, &manifest).await),
        false => None,
    };
    Ok(Opened { claims: Claims::parse(top)?, manifest, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_a_build_are_left_out_of_its_commands() {
        let rows = [
            ("RUN /bin/sh -c make # buildkit", "RUN /bin/sh -c make # buildkit"),
            ("RUN |1 TOKEN=abc /bin/sh -c make # buildkit", "RUN |1 … /bin/sh -c make # buildkit"),
            ("|2 A=1 B=x y /bin/sh -c make", "|2 … /bin/sh -c make"),
            ("|1 A= /bin/sh -c secret /bin/sh -c make", "|1 … /bin/sh -c make"),
            ("|1 A=secret powershell make", "|1 …"),
            ("|1", "|1"),
            ("|x A=1 /bin/sh -c y", "|x A=1 /bin/sh -c y"),
        ];
        for (command, expected) in rows {
            assert_eq!(without_arguments(command), expected);
        }
    }
}
