//! `base-image`: the image is built on a base that the policy allows, by evidence that the policy counts.
//! Needs every config, and the bases. What an image says of itself is believed only where the policy says so; what it
//! says against itself always counts.
//!
//! Longer than most files: half of it is what people read about it, and the tables of what counts.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::example::{BaseFact, Example, Facts};
use super::kind::{RuleKind, schema_of};
use super::platform_choice::{chosen, content, name, named_but_lacking};
use super::setting::{
    self, At, Duration, LevelSetting, SettingError, Size, SizeText, candidates, patterns, present, size, size_text,
};
use super::wording::by_platform;
use super::{BaseSearch, Case, Judgement, Needs, Problem, Rule};
use crate::image::base::{Bases, Confidence, Doubt, Evidence, Known, Now};
use crate::image::{Depth, ImageError, PlatformImage};
use crate::pattern::Patterns;
use crate::reference::Reference;
use crate::registry::RegistryError;
use crate::span::Span;

const APP: &str = "ghcr.io/acme/app:1.2";
const DEBIAN: BaseFact = BaseFact {
    name: "docker.io/library/debian:12-slim",
    proved: true,
    layers: 1,
    created: "2026-11-03T00:00:00Z",
    moved: None,
};
const FACTS: Facts =
    Facts { platforms: &[("linux/amd64", 29_000_000)], more_layers: &[8_000_000], base: Some(DEBIAN), ..Facts::NONE };

/// What people read about it.
pub const KIND: RuleKind = RuleKind {
    id: "base-image",
    summary: "images are built on a base that the policy allows, that is small, young and the current one",
    explain: "\
Finds out which image each platform of an image is built on, and judges that base. How it is known matters:

- `proved`: the image's layers begin with the layers of the base, which was read from the repository of that name, on \
the same platform, and the two histories do not contradict each other. Layers are compared by their digests; where a \
copy was recompressed, the layer is read and unpacked, and what it unpacks to is compared. A base with no layers proves \
nothing.
- `verified`: a statement that a trusted builder signed names the base. (No policy can name such builders yet.)
- `claimed`: the image says so, and whoever built or copied it wrote that: the annotations \
`org.opencontainers.image.base.name` and `.digest` (of the index, its entry, or the manifest), labels of that name, the \
label of buildpacks, BuildKit's build info and unsigned provenance. A tag beside a proved digest is a claim too, unless \
the tag names that base now.

Which images are compared: what the image claims, where `allow` fits it (without `allow`: at the image's own registry \
and on Docker Hub); every pattern of `allow` and `deny` that is a name with a tag (at most 50), so that a base is found \
though nobody names it; the last `FROM` of each Dockerfile of the same run. Each is asked for once a run.

Of several bases below an image (an image on yours, which is on Debian) the nearest that `allow` fits and `evidence` \
counts is judged. An image that `allow` itself fits is its own base. `deny` holds for every base that is known, also one \
that is only claimed, or that the histories contradict. A claim with a digest whose layers are not the image's, and a config whose `diff_ids` are not what \
its layers unpack to, violate the rule. A base that is not known violates it; one that could not be read leaves it \
undecided. `FROM scratch` can only be claimed: name it as `scratch` in `allow` with `evidence: claimed`.

`max-size` is of the compressed bytes of the base's layers, as the image has them. `max-age` counts from when the base \
says that it was built; one that does not say so, or says 1970, is undecided. `up-to-date` asks what the base's tag names \
now, and is satisfied where that has the layers that the image begins with.

Why: most of what an image runs comes from its base, and so do most of its vulnerabilities. A rebuilt base helps only \
those who rebuild on it.

To satisfy it, build on an allowed base, rebuild when its tag has moved, and name the base with its tag in `allow`, or \
let the builder record it: `docker buildx build --annotation`, `buildah`, `ko` and `crane` write the annotations.",
    settings: &[
        ("allow", "patterns of bases; one that is a name with a tag is looked for in every image"),
        ("deny", "patterns of bases that no image may be built on, by whatever evidence; looked for as those of `allow` are"),
        ("max-size", "largest compressed size of the base, such as `80MiB`"),
        ("max-layers", "most layers of the base"),
        ("max-age", "longest time since the base was built, such as `60d`"),
        ("up-to-date", "`true`: the base is what its tag names now"),
        ("evidence", "the least that counts: `proved` (default), `verified` or `claimed`"),
    ],
    examples: &[
        Example {
            settings: "{allow: [\"docker.io/library/debian:12-slim\"], max-size: 80MiB, max-age: 60d, up-to-date: true}",
            reference: APP,
            facts: FACTS,
            says: None,
        },
        Example {
            settings: "{allow: [\"gcr.io/distroless/**\"]}",
            reference: APP,
            facts: FACTS,
            says: Some("linux/amd64: its base is docker.io/library/debian:12-slim (proved), which is not allowed"),
        },
        Example {
            settings: "{allow: [docker.io/library/debian], up-to-date: true}",
            reference: APP,
            facts: Facts { base: Some(BaseFact { moved: Some("2026-11-15T00:00:00Z"), ..DEBIAN }), ..FACTS },
            says: Some(
                "linux/amd64: rebuild: base docker.io/library/debian:12-slim moved on 2026-11-15; the image is on \
                 sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, the tag names \
                 sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc now",
            ),
        },
        Example {
            settings: "{allow: [docker.io/library/debian]}",
            reference: APP,
            facts: Facts { base: Some(BaseFact { proved: false, ..DEBIAN }), ..FACTS },
            says: Some(
                "linux/amd64: its base is said to be docker.io/library/debian:12-slim, by an annotation of the \
                 manifest, and no layers prove it",
            ),
        },
        Example {
            settings: "{allow: [\"docker.io/library/debian:12-slim\"]}",
            reference: APP,
            facts: Facts { base: None, ..FACTS },
            says: Some("linux/amd64: its base is not known: it is none of the 1 that were compared, and it names none"),
        },
    ],
    schema: schema_of::<Settings>,
};

/// Its settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    #[serde(default)]
    level: LevelSetting,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    allow: Option<At<Vec<At<String>>>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    deny: Option<At<Vec<At<String>>>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<SizeText>")]
    max_size: Option<At<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>", range(min = 1))]
    max_layers: Option<At<u32>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>", regex(pattern = r"^[0-9]+[hdw]$"))]
    max_age: Option<At<String>>,
    #[serde(default)]
    up_to_date: bool,
    #[serde(default)]
    evidence: Least,
}

/// The least confidence that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Least {
    /// Layers.
    #[default]
    Proved,
    /// Layers, or a signed statement.
    Verified,
    /// Also what the image says of itself.
    Claimed,
}

impl Least {
    fn confidence(self) -> Confidence {
        match self {
            Self::Proved => Confidence::Proved,
            Self::Verified => Confidence::Verified,
            Self::Claimed => Confidence::Claimed,
        }
    }
}

impl setting::Settings for Settings {
    fn level(&self) -> LevelSetting {
        self.level
    }

    fn rule(self, at: Span) -> Result<Box<dyn Rule>, SettingError> {
        let limited = self.max_size.is_some() || self.max_layers.is_some() || self.max_age.is_some() || self.up_to_date;
        if self.allow.is_none() && self.deny.is_none() && !limited {
            let help = "write `allow: [docker.io/library/debian:12-slim]`, or a limit such as `max-size: 80MiB`";
            return Err(SettingError::new(at, "base-image asks for nothing", help));
        }
        let parsed =
            |list: &Option<At<Vec<At<String>>>>| list.as_ref().map(|list| patterns(&list.value, list.span)).transpose();
        let (allow, deny) = (parsed(&self.allow)?, parsed(&self.deny)?);
        if let (Some(allow), Some(deny)) = (&allow, &deny)
            && let Some(both) = deny.shared(allow)
        {
            let written = self.deny.iter().flat_map(|list| &list.value).find(|found| found.value == both.to_string());
            let span = written.map_or(at, |found| found.span);
            let message = format!("`{both}` stands in both `allow` and `deny`");
            return Err(SettingError::new(span, message, "leave it in one of the two"));
        }
        if let Some(text) = self.allow.iter().flat_map(|list| &list.value).find(|text| takes_out_a_tag(&text.value)) {
            let message = format!("`{}` takes out a tag, which nobody can prove that a base does not have", text.value);
            return Err(SettingError::new(text.span, message, "write it into `deny`, without `!`"));
        }
        let candidates = candidates(self.allow.iter().chain(&self.deny))?;
        let max_size = self.max_size.as_ref().map(size).transpose()?;
        if let Some(most) = self.max_layers.filter(|most| most.value == 0) {
            let help = "write how many layers a base may have, such as 5";
            return Err(SettingError::new(most.span, "a maximum of 0 layers lets no base pass", help));
        }
        let max_age = self.max_age.as_ref().map(age).transpose()?;
        Ok(Box::new(BaseImage {
            search: BaseSearch { allow, candidates, thorough: deny.is_some() },
            deny,
            max_size,
            max_layers: self.max_layers.map(|most| most.value),
            max_age,
            up_to_date: self.up_to_date,
            evidence: self.evidence.confidence(),
        }))
    }
}

/// A base that is proved by a digest alone has no tag that such a pattern could fit.
fn takes_out_a_tag(pattern: &str) -> bool {
    pattern.strip_prefix('!').is_some_and(|name| name.rsplit('/').next().is_some_and(|last| last.contains(':')))
}

fn age(written: &At<String>) -> Result<Duration, SettingError> {
    let help = "write a whole number of hours, days or weeks, such as `60d`";
    match Duration::parse(&written.value) {
        Some(age) if age.seconds > 0 => Ok(age),
        Some(_) => Err(SettingError::new(written.span, "a maximum of 0 lets no base pass", help)),
        None => Err(SettingError::new(written.span, format!("`{}` is no length of time", written.value), help)),
    }
}

#[derive(Debug)]
struct BaseImage {
    search: BaseSearch,
    deny: Option<Patterns>,
    max_size: Option<Size>,
    max_layers: Option<u32>,
    max_age: Option<Duration>,
    up_to_date: bool,
    evidence: Confidence,
}

/// What is wrong with one platform, or open.
enum Fault {
    Broken(String),
    Open(String),
}

impl Rule for BaseImage {
    fn id(&self) -> &'static str {
        KIND.id
    }

    fn needs(&self) -> Needs {
        Needs { content: Some(Depth::Details), base: true, ..Needs::NOTHING }
    }

    fn search(&self) -> Option<&BaseSearch> {
        Some(&self.search)
    }

    fn check(&self, case: &Case<'_>) -> Judgement {
        let image = match content(case) {
            Ok(image) => image,
            Err(problem) => return Judgement::Undecided(problem),
        };
        let (mut broken, mut open) = (Vec::new(), Vec::new());
        for platform in chosen(image, case.platforms) {
            match self.platform(case, platform) {
                Ok(()) => {}
                Err(Fault::Broken(what)) => broken.push((name(platform), what)),
                Err(Fault::Open(what)) => open.push((name(platform), what)),
            }
        }
        if !broken.is_empty() {
            let stale = broken.iter().any(|(_, what)| what.starts_with("rebuild"));
            let help = if stale {
                "build the image again on what the tag names now, push it, and use that"
            } else {
                "build on an allowed base, name the base with its tag in `allow`, or see `plimsoll explain base-image`"
            };
            return Judgement::Violated(Problem::new(by_platform(broken), help));
        }
        if !open.is_empty() {
            let help = "make the base readable and run again; `plimsoll inspect` shows what is known of it";
            return Judgement::Undecided(Problem::new(by_platform(open), help));
        }
        named_but_lacking(image, case.platforms).map_or(Judgement::Satisfied, Judgement::Undecided)
    }
}

impl BaseImage {
    fn platform(&self, case: &Case<'_>, platform: &PlatformImage) -> Result<(), Fault> {
        let found = case.bases.and_then(|all| all.iter().find(|bases| bases.digest == platform.digest));
        let Some(bases) = found else { return Err(Fault::Open("what it is built on was not looked for".to_owned())) };
        self.denied(case, bases)?;
        if let Some(found) = bases.contradicted.first() {
            return Err(Fault::Broken(format!("{}, and that is not so: {}", found.claimed, found.shown)));
        }
        match bases.itself.iter().chain(&bases.known).find(|known| self.counts(known) && self.allows(case, known)) {
            Some(base) => {
                // What could not be read might be denied.
                if let Some((name, error)) = bases.unread.iter().find(|(name, _)| self.denies(name)) {
                    let message =
                        format!("{name}, which is denied, may be below it and could not be compared: {error}");
                    return Err(Fault::Open(message));
                }
                self.limits(base, case.now)
            }
            None => Err(self.unfit(bases)),
        }
    }

    fn denies(&self, name: &str) -> bool {
        let Some(deny) = &self.deny else { return false };
        Reference::parse(name).is_ok_and(|name| deny.fits(&name))
    }

    /// No base that is known, however little, is denied.
    fn denied(&self, case: &Case<'_>, bases: &Bases) -> Result<(), Fault> {
        let Some(deny) = &self.deny else { return Ok(()) };
        if deny.fits(case.reference) {
            return Err(Fault::Broken(format!("it is itself a denied base: {deny}")));
        }
        let fits = |known: &&Known| known.reference().iter().chain(&known.proved()).any(|name| deny.fits(name));
        if let Some(known) = bases.known.iter().find(fits) {
            let how = known.confidence.word();
            return Err(Fault::Broken(format!("its base is {} ({how}), which is denied: {deny}", known.name())));
        }
        match bases.doubtful.iter().find(|(name, _)| self.denies(name)) {
            Some((_, why)) => Err(Fault::Broken(format!("{why}; that base is denied: {deny}"))),
            None => Ok(()),
        }
    }

    fn counts(&self, known: &Known) -> bool {
        known.confidence >= self.evidence
    }

    fn allows(&self, case: &Case<'_>, known: &Known) -> bool {
        let Some(allow) = &self.search.allow else {
            // Nobody said that the image is a base; its own word does not make it one.
            let own = known.repository.as_ref() == Some(case.reference.repository());
            return !(own && known.by.contains(&Evidence::Itself));
        };
        // A tag that is only claimed counts only where claims do.
        let claimed = known.reference().filter(|_| self.evidence == Confidence::Claimed);
        known.proved().iter().chain(&claimed).any(|name| allow.fits(name))
    }

    fn limits(&self, base: &Known, now: Timestamp) -> Result<(), Fault> {
        if base.is_scratch() {
            return Ok(());
        }
        let label = base.name();
        let broken = |what: String| Err(Fault::Broken(what));
        let open = |what: &str| Err(Fault::Open(format!("{what} of base {label} can't be known")));
        if let Some(max) = &self.max_size {
            match base.ground.as_ref().map(|ground| ground.size) {
                Some(Some(bytes)) if bytes <= max.bytes => {}
                Some(Some(bytes)) => {
                    let size = size_text(bytes);
                    return broken(format!(
                        "base {label} has {size} ({bytes} bytes) of compressed layers, more than the maximum of {max}"
                    ));
                }
                Some(None) => return broken(format!("base {label} has more bytes of layers than can be counted")),
                None => return open("the size"),
            }
        }
        if let Some(max) = self.max_layers {
            match base.ground.as_ref().map(|ground| ground.layers) {
                Some(layers) if layers as u64 <= u64::from(max) => {}
                Some(layers) => {
                    return broken(format!("base {label} has {layers} layers, more than the maximum of {max}"));
                }
                None => return open("the number of layers"),
            }
        }
        if let Some(max) = &self.max_age {
            match base.ground.as_ref().and_then(|ground| ground.created) {
                Some(created) if created > now => return open("the age"),
                Some(created) if now.as_second() - created.as_second() <= max.seconds => {}
                Some(created) => {
                    let days = (now.as_second() - created.as_second()) / 86_400;
                    return broken(format!(
                        "base {label} was built {days} days ago, on {}; at most {max} is allowed",
                        day(created)
                    ));
                }
                None => return open("the age"),
            }
        }
        if self.up_to_date { Self::current(base, &label) } else { Ok(()) }
    }

    fn current(base: &Known, label: &str) -> Result<(), Fault> {
        match &base.now {
            Some(Now::Same(_)) => Ok(()),
            Some(Now::Moved { to, created }) => {
                let on = created.map_or_else(String::new, |created| format!(" on {}", day(created)));
                let from = base.digest.as_ref().map_or_else(|| "another".to_owned(), ToString::to_string);
                Err(Fault::Broken(format!(
                    "rebuild: base {label} moved{on}; the image is on {from}, the tag names {to} now"
                )))
            }
            Some(Now::Unknown(ImageError::Registry(RegistryError::NotFound { place }))) => {
                Err(Fault::Broken(format!("the tag of base {label} is gone: {place} knows it no more")))
            }
            Some(Now::Unknown(error)) => Err(Fault::Open(format!("what base {label} is now is unknown: {error}"))),
            None => Err(Fault::Open(format!("whether base {label} is the current one can't be known without its tag"))),
        }
    }

    /// Why none of what is known will do.
    fn unfit(&self, bases: &Bases) -> Fault {
        let allowed_name = |known: &Known| {
            let allow = self.search.allow.as_ref();
            known.reference().is_some_and(|name| allow.is_none_or(|allow| allow.fits(&name)))
        };
        // What could not be read might have been the base.
        for known in bases.known.iter().filter(|known| allowed_name(known)) {
            if let Some(Doubt::Unread(error)) = &known.doubt
                && !matches!(error, ImageError::Registry(RegistryError::NotFound { .. }))
            {
                return Fault::Open(format!("its base may be {}, which could not be read: {error}", known.name()));
            }
        }
        if let Some((name, error)) = bases.unread.iter().find(|(name, _)| !self.denies(name)) {
            return Fault::Open(format!("its base may be {name}, which could not be compared: {error}"));
        }
        Fault::Broken(match bases.best() {
            Some(known) if known.confidence == Confidence::Proved && allowed_name(known) => {
                let (name, pinned) = (known.name(), known.proved().map_or_else(String::new, |name| name.to_string()));
                match &known.now {
                    Some(Now::Moved { to, .. }) => format!(
                        "rebuild: its base is {pinned} (proved), which is said to be {name}; that names {to} now"
                    ),
                    _ => format!("its base is {pinned} (proved); that it is {name} is only claimed"),
                }
            }
            Some(known) if known.reference().is_none() && known.digest.is_none() => {
                format!("its base is not known: what is said of it{} is no image's name", places(known))
            }
            Some(known) if self.counts(known) => {
                format!("its base is {} ({}), which is not allowed", known.name(), known.confidence.word())
            }
            Some(known) => claimed_only(known),
            None if !bases.doubtful.is_empty() => {
                let whys: Vec<&str> = bases.doubtful.iter().map(|(_, why)| why.as_str()).collect();
                format!("its base is not known: {}", whys.join("; "))
            }
            None => {
                let compared = match bases.searched {
                    0 => String::new(),
                    count => format!("it is none of the {count} that were compared, and "),
                };
                format!("its base is not known: {compared}it names none")
            }
        })
    }
}

/// By whom a claim is, as a sentence goes on with it.
fn places(known: &Known) -> String {
    let places = known.by.iter().filter_map(|by| match by {
        Evidence::Claim(place) => Some(place.words()),
        _ => None,
    });
    let places = places.collect::<Vec<_>>().join(" and ");
    if places.is_empty() { String::new() } else { format!(", by {places},") }
}

/// What a claim lacks.
fn claimed_only(known: &Known) -> String {
    let why = match &known.doubt {
        Some(Doubt::NotAsked) => "which was not compared".to_owned(),
        Some(Doubt::Unread(error @ ImageError::Registry(RegistryError::NotFound { .. }))) => {
            let digest = known.digest.as_ref().map_or_else(String::new, |digest| format!(" ({digest})"));
            format!("which can't be compared: {error}{digest}")
        }
        Some(Doubt::Unread(error)) => format!("which can't be compared: {error}"),
        Some(Doubt::History(at)) => format!("and its history says that layer {} was made otherwise", at + 1),
        Some(Doubt::Differs) => "and what the tag names now has other layers".to_owned(),
        Some(Doubt::Nothing) | None => "and no layers prove it".to_owned(),
    };
    let by = places(known);
    format!("its base is said to be {}{} {why}", known.name(), if by.is_empty() { "," } else { &by })
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::super::example::testing::{case, index, reference, refused, rule, says};
    use super::*;
    use crate::digest::Digest;
    use crate::image::base::{Contradiction, Ground};
    use crate::image::base_claim::Place;
    use crate::limits;

    const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn digest() -> Digest {
        Digest::parse(&format!("sha256:{HEX}")).expect("a digest")
    }

    fn base(name: &str, confidence: Confidence) -> Known {
        let reference = reference(name);
        let ground = Ground {
            manifest: digest(),
            layers: 2,
            size: Some(1_000),
            created: "2026-11-10T00:00:00Z".parse().ok(),
            history: true,
        };
        let proved = confidence == Confidence::Proved;
        Known {
            repository: Some(reference.repository().clone()),
            tag: reference.written_tag().map(str::to_owned),
            digest: Some(digest()),
            confidence,
            by: vec![if proved { Evidence::Layers } else { Evidence::Claim(Place::Label) }],
            ground: proved.then_some(ground),
            doubt: (!proved).then_some(Doubt::Differs),
            now: Some(Now::Same(digest())),
        }
    }

    fn proved(name: &str) -> Known {
        base(name, Confidence::Proved)
    }

    fn claimed(name: &str) -> Known {
        base(name, Confidence::Claimed)
    }

    fn unread(name: &str, error: RegistryError) -> Known {
        Known { doubt: Some(Doubt::Unread(error.into())), ..claimed(name) }
    }

    /// What the rule says of an image of one platform with these bases.
    fn judged(settings: &str, known: Vec<Known>, change: impl Fn(&mut Bases)) -> (&'static str, String) {
        let (image, app) = (index(&[("linux/amd64", 10)]), reference("ghcr.io/acme/app:1"));
        let mut bases = Bases {
            digest: image.platforms()[0].digest.clone(),
            platform: None,
            itself: None,
            known,
            contradicted: Vec::new(),
            unread: Vec::new(),
            doubtful: Vec::new(),
            hidden: None,
            searched: 3,
        };
        change(&mut bases);
        let all = [bases];
        let case = Case { image: Some(Ok(&image)), bases: Some(&all), ..case(&app) };
        match rule::<Settings>(settings).check(&case) {
            Judgement::Satisfied => ("satisfied", String::new()),
            Judgement::Violated(problem) => ("violated", problem.message),
            Judgement::Undecided(problem) => ("undecided", problem.message),
        }
    }

    fn slow() -> RegistryError {
        RegistryError::TimedOut { host: "docker.io".to_owned(), after: limits::REQUEST }
    }

    fn gone() -> RegistryError {
        RegistryError::NotFound { place: "docker.io".to_owned() }
    }

    #[test]
    fn which_bases_count() {
        let debian = "{allow: [docker.io/library/debian]}";
        let tagged = "{allow: [\"docker.io/library/debian:12\"]}";
        let lax = "{allow: [\"docker.io/library/debian:12\", scratch], evidence: claimed}";
        let moved =
            || Known { now: Some(Now::Moved { to: Digest::sha256(b"x"), created: None }), ..proved("debian:12") };
        let rows: Vec<(&str, &str, Vec<Known>, &str, &str)> = vec![
            ("proved", debian, vec![proved("debian:12")], "satisfied", ""),
            (
                "proved, another",
                debian,
                vec![proved("alpine:3")],
                "violated",
                "alpine:3 (proved), which is not allowed",
            ),
            (
                "the allowed one further down",
                debian,
                vec![proved("ghcr.io/acme/base:1"), proved("debian:12")],
                "satisfied",
                "",
            ),
            ("claimed", debian, vec![claimed("debian:12")], "violated", "is said to be docker.io/library/debian:12"),
            ("claimed, where that counts", lax, vec![claimed("debian:12")], "satisfied", ""),
            (
                "claimed another",
                lax,
                vec![claimed("debian:11")],
                "violated",
                "debian:11 (claimed), which is not allowed",
            ),
            ("scratch is claimed", lax, vec![claimed("scratch")], "satisfied", ""),
            (
                "verified is not proved",
                debian,
                vec![base("debian:12", Confidence::Verified)],
                "violated",
                "is said to be",
            ),
            ("a tag that is the base's", tagged, vec![proved("debian:12")], "satisfied", ""),
            ("a tag that has moved", tagged, vec![moved()], "violated", "rebuild"),
            ("a moved tag, where claims count", lax, vec![moved()], "satisfied", ""),
            (
                "a proved name in another repository",
                tagged,
                vec![proved("evil.test/library/debian:12")],
                "violated",
                "not allowed",
            ),
            ("nothing", debian, vec![], "violated", "not known: it is none of the 3"),
            (
                "could be it",
                debian,
                vec![unread("debian:12", slow())],
                "undecided",
                "may be docker.io/library/debian:12",
            ),
            (
                "could be it, and one is",
                debian,
                vec![proved("debian:12"), unread("debian:11", slow())],
                "satisfied",
                "",
            ),
            ("could be another", debian, vec![unread("alpine:3", slow())], "violated", "is said to be"),
            ("gone", debian, vec![unread("debian:12", gone())], "violated", "has no such image (sha256:"),
        ];
        for (name, settings, known, verdict, message) in rows {
            let (found, said) = judged(settings, known, |_| {});
            assert_eq!(found, verdict, "{name}: {said}");
            assert!(said.contains(message), "{name}: {said}");
        }
        let error = || vec![("debian:12".to_owned(), slow().into())];
        let (found, said) = judged(debian, vec![], |bases| bases.unread = error());
        assert_eq!(found, "undecided", "{said}");
        let (found, _) = judged(debian, vec![proved("debian:12")], |bases| bases.unread = error());
        assert_eq!(found, "satisfied");
    }

    #[test]
    fn a_text_that_names_no_image_is_not_said_to_be_one() {
        let nameless = || Known { repository: None, tag: None, digest: None, ..claimed("x") };
        for settings in ["{allow: [\"**\"]}", "{allow: [\"**\"], evidence: claimed}"] {
            let expected = "its base is not known: what is said of it, by a label of the config, is no image's name";
            let (verdict, said) = judged(settings, vec![nameless()], |_| {});
            assert!(verdict == "violated" && said.contains(expected), "{said}");
        }
    }

    #[test]
    fn what_an_image_says_against_itself_counts() {
        let settings = "{allow: [\"**\"], deny: [docker.io/library/debian], evidence: claimed}";
        for known in [claimed("debian:12"), proved("debian"), unread("debian:7", slow())] {
            let (found, said) = judged(settings, vec![proved("alpine:3"), known], |_| {});
            assert_eq!(found, "violated", "{said}");
            assert!(said.contains("which is denied"), "{said}");
        }
        let lie = Contradiction { claimed: "a label claims x".to_owned(), shown: "it is y".to_owned() };
        let (found, said) =
            judged("{allow: [\"**\"]}", vec![proved("alpine:3")], |bases| bases.contradicted.push(lie.clone()));
        assert_eq!((found, said.contains("that is not so: it is y")), ("violated", true), "{said}");
    }

    #[test]
    fn a_denied_base_that_nobody_names_is_looked_for() {
        let settings = "{allow: [\"ghcr.io/acme/base:1\"], deny: [\"docker.io/library/debian:7\"]}";
        let made = rule::<Settings>(settings);
        let named: Vec<String> = made.search().expect("a search").candidates.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["ghcr.io/acme/base:1", "docker.io/library/debian:7"]);
        let base = || vec![proved("ghcr.io/acme/base:1")];
        let other = |name: &str| vec![(name.to_owned(), "its layers are those".to_owned())];
        let unread = |name: &str| vec![(name.to_owned(), slow().into())];
        assert_eq!(judged(settings, base(), |_| {}).0, "satisfied");
        let denied = "docker.io/library/debian:7";
        for (name, doubtful, open) in [(denied, "violated", "undecided"), ("r.io/other:1", "satisfied", "satisfied")] {
            assert_eq!(judged(settings, base(), |bases| bases.doubtful = other(name)).0, doubtful, "{name}");
            assert_eq!(judged(settings, base(), |bases| bases.unread = unread(name)).0, open, "{name}");
        }
        // Where nothing is allowed, that something denied can't be read opens nothing.
        assert_eq!(judged(settings, vec![], |bases| bases.unread = unread(denied)).0, "violated");
    }

    #[test]
    fn limits_of_the_base() {
        let with = |change: fn(&mut Ground)| {
            let mut known = proved("debian:12");
            change(known.ground.as_mut().expect("proved"));
            vec![known]
        };
        let now = |now: Option<Now>| vec![Known { now, ..proved("debian:12") }];
        let moved = || Now::Moved { to: Digest::sha256(b"x"), created: "2026-11-15T10:00:00Z".parse().ok() };
        let scratch = || vec![Known { digest: None, now: None, ..claimed("scratch") }];
        let rows: Vec<(&str, Vec<Known>, &str, &str)> = vec![
            ("{max-size: 1000}", with(|_| {}), "satisfied", ""),
            (
                "{max-size: 999}",
                with(|_| {}),
                "violated",
                "(1000 bytes) of compressed layers, more than the maximum of 999",
            ),
            ("{max-size: 999}", with(|ground| ground.size = None), "violated", "than can be counted"),
            ("{max-layers: 2}", with(|_| {}), "satisfied", ""),
            ("{max-layers: 1}", with(|_| {}), "violated", "has 2 layers"),
            ("{max-age: 10d}", with(|_| {}), "satisfied", ""),
            ("{max-age: 9d}", with(|_| {}), "violated", "was built 10 days ago, on 2026-11-10"),
            ("{max-age: 9d}", with(|ground| ground.created = None), "undecided", "the age"),
            (
                "{max-age: 9d}",
                with(|ground| ground.created = "2027-01-01T00:00:00Z".parse().ok()),
                "undecided",
                "the age",
            ),
            ("{up-to-date: true}", with(|_| {}), "satisfied", ""),
            (
                "{up-to-date: true}",
                now(Some(moved())),
                "violated",
                "rebuild: base docker.io/library/debian:12 moved on 2026-11-15; the image is on sha256:aaaa",
            ),
            ("{up-to-date: true}", now(None), "undecided", "without its tag"),
            ("{up-to-date: true}", now(Some(Now::Unknown(slow().into()))), "undecided", "is unknown"),
            ("{up-to-date: true}", now(Some(Now::Unknown(gone().into()))), "violated", "is gone"),
            ("{up-to-date: false, max-size: 1000}", now(Some(moved())), "satisfied", ""),
            ("{max-size: 1000, evidence: claimed}", vec![claimed("debian:12")], "undecided", "the size"),
            (
                "{max-size: 1, max-layers: 1, max-age: 1d, up-to-date: true, evidence: claimed}",
                scratch(),
                "satisfied",
                "",
            ),
        ];
        for (settings, known, verdict, message) in rows {
            let (found, said) = judged(settings, known, |_| {});
            assert_eq!(found, verdict, "{settings}: {said}");
            assert!(said.contains(message), "{settings}: {said}");
        }
    }

    #[test]
    fn an_image_that_is_allowed_is_its_own_base() {
        let own = || Known { by: vec![Evidence::Itself], ..proved("ghcr.io/acme/app:1") };
        let itself = |bases: &mut Bases| bases.itself = Some(own());
        assert_eq!(judged("{allow: [ghcr.io/acme/app]}", vec![], itself).0, "satisfied");
        assert_eq!(judged("{allow: [docker.io/library/debian]}", vec![], itself).0, "violated");
        assert_ne!(judged("{allow: [\"r.io:5000/**\", \"!r.io:5000/x\"]}", vec![], itself).0, "refused");
        let says_so =
            Known { by: vec![Evidence::Itself, Evidence::Claim(Place::Label)], ..proved("ghcr.io/acme/app:1") };
        assert_eq!(judged("{max-size: 1000}", vec![says_so], |_| {}).0, "violated");
        // Where no base is named, none is the image itself.
        assert_eq!(judged("{max-size: 1000}", vec![], itself).0, "violated");
        let denied = judged("{deny: [ghcr.io/acme/app]}", vec![proved("debian:12")], |_| {});
        assert!(denied.1.contains("itself a denied base"), "{}", denied.1);
    }

    #[test]
    fn a_platform_whose_bases_are_not_known_is_open() {
        let settings = "{allow: [\"**\"]}";
        assert!(matches!(says(&*rule::<Settings>(settings), "nginx"), Judgement::Undecided(_)));
        let other = |bases: &mut Bases| bases.digest = Digest::sha256(b"another platform");
        assert_eq!(judged(settings, vec![proved("debian:12")], other).0, "undecided");
    }

    #[test]
    fn impossible_settings_are_refused() {
        let many = (0..=limits::BASE_CANDIDATES).map(|number| format!("r.io/x:{number}")).collect::<Vec<_>>();
        let many = format!("{{allow: [\"{}\"]}}", many.join("\",\""));
        let rows = [
            ("{allow: [debian, \"!debian:7\"]}", "takes out a tag"),
            ("{allow: [\"r.io:5000/**\", \"!r.io:5000/x:*\"]}", "takes out a tag"),
            ("{}", "asks for nothing"),
            ("{evidence: claimed}", "asks for nothing"),
            ("{evidence: sworn, max-layers: 1}", "sworn"),
            ("{max-layers: 0}", "no base pass"),
            ("{max-size: 0}", "lets no image"),
            ("{max-age: 0d}", "no base pass"),
            ("{max-age: 60}", "no length of time"),
            ("{allow: [\"debian\"], deny: [\"debian\"]}", "both"),
            (many.as_str(), "more than 50"),
        ];
        for (settings, expected) in rows {
            let found = refused::<Settings>(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        }
    }
}
