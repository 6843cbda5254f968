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
    self, At, Duration, LevelSetting, SettingError, Size, SizeText, candidates, no_tag_taken_out, patterns, present,
    size, size_text,
};
use super::wording::{by_platform, list};
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
nothing. A tag in `allow` counts as proved only while it names the base now, so it asks for `up-to-date` by itself.
- `verified`: a statement that a trusted builder signed names the base. (No policy can name such builders yet.)
- `claimed`: the image says so, and whoever built or copied it wrote that: the annotations \
`org.opencontainers.image.base.name` and `.digest` (of the index, its entry, or the manifest), labels of that name, the \
label of buildpacks, BuildKit's build info and unsigned provenance. An empty name, as `buildah` writes it for `scratch`, \
is no claim. A tag beside a proved digest is a claim too, unless \
the tag names that base now.

Which images are compared: what the image claims, where `allow` fits it (without `allow`: at the image's own registry \
and on Docker Hub); every pattern of `allow` and `deny` that is a name with a tag (at most 50), so that a base is found \
though nobody names it; the last `FROM` of each Dockerfile of the same run, where `allow` fits it. Each is asked for once a run. A \
pattern without a tag, or with a `*`, is not looked for: the image has to name such a base.

Of several bases below an image (an image on yours, which is on Debian) the nearest that `allow` fits and `evidence` \
counts is judged. An image that `allow` itself fits is its own base. `deny` holds for every base that is known, also one \
that is only claimed, or that the histories contradict. A claim with a digest whose layers are not the image's, and a config whose `diff_ids` are not what \
its layers unpack to, violate the rule. A base that is not known violates it; one that could not be read leaves it \
undecided. `FROM scratch` can only be claimed: name it as `scratch` in `allow` with `evidence: claimed`, and say it by \
`crane mutate --annotation org.opencontainers.image.base.name=scratch`.

`max-size` is of the compressed bytes of the base's layers, as the image has them. `max-age` counts from when the base \
says that it was built; one that does not say so, or says 1970 as `gcr.io/distroless` does, is undecided: judge such bases in \
a statement of their own, without `max-age`. `up-to-date` asks what the base's tag names \
now, and is satisfied where that has the layers that the image begins with.

Why: most of what an image runs comes from its base, and so do most of its vulnerabilities. A rebuilt base helps only \
those who rebuild on it.

To satisfy it, build on an allowed base, rebuild when its tag has moved, and name the base with its tag in `allow`, or \
let the builder record it: `crane append --set-base-image-annotations`, `ko`, and `buildah` in the OCI format write the \
annotations; for `docker buildx build`, give both by hand with `--annotation`.",
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
            says: Some(
                "linux/amd64: its base is not known: it names none, and none of docker.io/library/debian:12-slim begins it \
                 as their tags stand now; if it was built on an earlier one of these, rebuild it",
            ),
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
        no_tag_taken_out(self.allow.as_ref(), "write it into `deny`, without `!`")?;
        let candidates = candidates(self.allow.iter().chain(&self.deny))?;
        let max_size = self.max_size.as_ref().map(size).transpose()?;
        if let Some(most) = self.max_layers.filter(|most| most.value == 0) {
            let help = "write how many layers a base may have, such as 5";
            return Err(SettingError::new(most.span, "a maximum of 0 layers lets no base pass", help));
        }
        let max_age = self.max_age.as_ref().map(age).transpose()?;
        let written = self.allow.iter().flat_map(|list| &list.value).map(|text| text.value.clone());
        let unsought = written.filter(|text| !sought(text)).collect();
        Ok(Box::new(BaseImage {
            unsought,
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

/// Whether nothing is to be said of it where no base is found: it is compared, takes out, or can't be compared at all.
fn sought(pattern: &str) -> bool {
    let tagged = Reference::parse(pattern).is_ok_and(|name| name.written_tag().is_some());
    tagged || pattern.starts_with('!') || pattern == "scratch"
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
    /// Those patterns of `allow` that are no name with a tag.
    unsought: Vec<String>,
    deny: Option<Patterns>,
    max_size: Option<Size>,
    max_layers: Option<u32>,
    max_age: Option<Duration>,
    up_to_date: bool,
    evidence: Confidence,
}

/// What is wrong with one platform, or open, and the way out.
struct Fault {
    broken: bool,
    what: String,
    help: String,
}

impl Fault {
    fn broken(what: String, help: &str) -> Self {
        Self { broken: true, what, help: help.to_owned() }
    }

    fn open(what: String, help: &str) -> Self {
        Self { broken: false, what, help: help.to_owned() }
    }
}

const STALE: &str = "build the image again on what the tag names now, push it, and use that";
const DENIED: &str = "build on another base";
const CONTRADICTED: &str = "record the base that it is built on (squashing and rebasing leave old annotations behind), or \
                            take the annotation away; where the config is wrong, build the image again";
const NOT_ALLOWED: &str = "build on an allowed base, or add it to `allow`";
const NOT_KNOWN: &str = "rebuild on what an allowed tag names now, or let the builder record the base (annotations \
                         org.opencontainers.image.base.name and org.opencontainers.image.base.digest); see `plimsoll \
                         explain base-image`";
const UNPROVED: &str = "let the builder record the base's digest too (annotation org.opencontainers.image.base.digest), or \
                        let claims count with `evidence: claimed`; see `plimsoll explain base-image`";
const OTHERWISE_MADE: &str = "build again on the base as it is, or let claims count with `evidence: claimed`";
const NO_TAG: &str = "rebuild on what an allowed tag names now, or allow the base without a tag";
const UNREAD: &str = "make the base readable and run again; `plimsoll inspect` shows what is known of it";
const UNPROVED_LIMIT: &str =
    "a limit needs a base that is proved: let its digest be recorded, or name it with its tag in `allow`";
const UNTOLD: &str = "let the builder record name, tag and digest of the base, or name it with its tag in `allow`";
const UNDATED: &str = "judge such bases in a statement of their own, without `max-age`, or by an exception";

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
        let faults = chosen(image, case.platforms).into_iter();
        let faults = faults.filter_map(|found| Some((name(found), self.platform(case, found).err()?)));
        let (broken, open): (Vec<_>, Vec<_>) = faults.partition(|(_, fault)| fault.broken);
        let problem = |faults: Vec<(String, Fault)>| {
            let help = faults.first()?.1.help.clone();
            let found = faults.into_iter().map(|(platform, fault)| (platform, fault.what)).collect();
            Some(Problem::new(by_platform(found), help))
        };
        if let Some(problem) = problem(broken) {
            return Judgement::Violated(problem);
        }
        if let Some(problem) = problem(open) {
            return Judgement::Undecided(problem);
        }
        named_but_lacking(image, case.platforms).map_or(Judgement::Satisfied, Judgement::Undecided)
    }
}

impl BaseImage {
    fn platform(&self, case: &Case<'_>, platform: &PlatformImage) -> Result<(), Fault> {
        let found = case.bases.and_then(|all| all.iter().find(|bases| bases.digest == platform.digest));
        let Some(bases) = found else {
            return Err(Fault::open("what it is built on was not looked for".to_owned(), UNREAD));
        };
        self.denied(case, bases)?;
        if let Some(found) = bases.muddle.as_ref().or_else(|| bases.contradicted.first()) {
            let what = format!("{}, and that is not so: {}", found.claimed, found.shown);
            return Err(Fault::broken(what, CONTRADICTED));
        }
        match bases.itself.iter().chain(&bases.known).find(|known| self.counts(known) && self.allows(case, known)) {
            Some(base) => {
                // What could not be read might be denied.
                if let Some((name, error)) = bases.unread.iter().find(|(name, _)| self.denies(name)) {
                    let message =
                        format!("{name}, which is denied, may be below it and could not be compared: {error}");
                    return Err(Fault::open(message, UNREAD));
                }
                if let Some(error) = bases.hidden.as_ref().filter(|_| self.deny.is_some()) {
                    let message =
                        format!("a denied base may be named by its provenance, which could not be read: {error}");
                    return Err(Fault::open(message, UNREAD));
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
            return Err(Fault::broken(format!("it is itself a denied base: {deny}"), "use another image"));
        }
        let fits = |known: &&Known| known.reference().iter().chain(&known.proved()).any(|name| deny.fits(name));
        if let Some(known) = bases.known.iter().find(fits) {
            let said = known.name();
            let what = match known.proved() {
                Some(name) if !deny.fits(&name) => {
                    format!("its base is {name} (proved), which is said to be {said}, and that is denied: {deny}")
                }
                _ => format!("its base is {}, which is denied: {deny}", sure(known)),
            };
            return Err(Fault::broken(what, DENIED));
        }
        match bases.doubtful.iter().find(|(name, _)| self.denies(name)) {
            Some((_, why)) => Err(Fault::broken(format!("{why}; that base is denied: {deny}"), DENIED)),
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

    /// All limits that are broken, else all that can't be known.
    fn limits(&self, base: &Known, now: Timestamp) -> Result<(), Fault> {
        if base.is_scratch() {
            return Ok(());
        }
        let label = base.name();
        let checks = [
            self.size(base, &label),
            self.layers(base, &label),
            self.age(base, &label, now),
            if self.up_to_date { Self::current(base, &label) } else { Ok(()) },
        ];
        let faults: Vec<Fault> = checks.into_iter().filter_map(Result::err).collect();
        let broken = faults.iter().any(|fault| fault.broken);
        let (mut what, mut help) = (Vec::new(), Vec::new());
        for fault in faults.into_iter().filter(|fault| fault.broken == broken) {
            what.push(fault.what);
            if !help.contains(&fault.help) {
                help.push(fault.help);
            }
        }
        if what.is_empty() { Ok(()) } else { Err(Fault { broken, what: what.join("; "), help: help.join("; ") }) }
    }

    fn size(&self, base: &Known, label: &str) -> Result<(), Fault> {
        let Some(max) = &self.max_size else { return Ok(()) };
        let what = match base.ground.as_ref().map(|ground| ground.size) {
            Some(Some(bytes)) if bytes <= max.bytes => return Ok(()),
            Some(Some(bytes)) => {
                let size = size_text(bytes);
                format!("base {label} has {size} ({bytes} bytes) of compressed layers, more than the maximum of {max}")
            }
            Some(None) => format!("base {label} has more bytes of layers than can be counted"),
            None => return Err(Fault::open(format!("the size of base {label} can't be known"), UNPROVED_LIMIT)),
        };
        Err(Fault::broken(what, "build on a smaller base, or raise `max-size`"))
    }

    fn layers(&self, base: &Known, label: &str) -> Result<(), Fault> {
        let Some(max) = self.max_layers else { return Ok(()) };
        match base.ground.as_ref().map(|ground| ground.layers) {
            Some(layers) if layers as u64 <= u64::from(max) => Ok(()),
            Some(layers) => {
                let what = format!("base {label} has {layers} layers, more than the maximum of {max}");
                Err(Fault::broken(what, "build on a base of fewer layers, or raise `max-layers`"))
            }
            None => Err(Fault::open(format!("the number of layers of base {label} can't be known"), UNPROVED_LIMIT)),
        }
    }

    fn age(&self, base: &Known, label: &str, now: Timestamp) -> Result<(), Fault> {
        let Some(max) = &self.max_age else { return Ok(()) };
        let Some(ground) = &base.ground else {
            return Err(Fault::open(format!("the age of base {label} can't be known"), UNPROVED_LIMIT));
        };
        match ground.created {
            None => Err(Fault::open(format!("base {label} does not say when it was built"), UNDATED)),
            Some(created) if created > now => {
                let on = day(created);
                let what =
                    format!("the age of base {label} can't be known: it says that it was built on {on}, after now");
                Err(Fault::open(what, UNDATED))
            }
            Some(created) if now.as_second() - created.as_second() <= max.seconds => Ok(()),
            Some(created) => {
                let days = match (now.as_second() - created.as_second()) / 86_400 {
                    1 => "1 day".to_owned(),
                    days => format!("{days} days"),
                };
                let what = format!("base {label} was built {days} ago, on {}; at most {max} is allowed", day(created));
                Err(Fault::broken(what, "build on a newer base, or raise `max-age`"))
            }
        }
    }

    fn current(base: &Known, label: &str) -> Result<(), Fault> {
        match &base.now {
            Some(Now::Same(_)) => Ok(()),
            Some(Now::Moved { to, created }) => {
                let on = created.map_or_else(String::new, |created| format!(" on {}", day(created)));
                let from = base.digest.as_ref().map_or_else(|| "another".to_owned(), ToString::to_string);
                let what = format!("rebuild: base {label} moved{on}; the image is on {from}, the tag names {to} now");
                Err(Fault::broken(what, STALE))
            }
            Some(Now::Unknown(ImageError::Registry(RegistryError::NotFound { place }))) => {
                let what = format!("the tag of base {label} is gone: {place} knows it no more");
                Err(Fault::broken(what, "build on a base whose tag is still there"))
            }
            Some(Now::Unknown(error)) => {
                Err(Fault::open(format!("what base {label} is now is unknown: {error}"), UNREAD))
            }
            None => {
                let why = match (&base.tag, &base.digest) {
                    (Some(_), None) => ": it does not say which one of that tag it is built on",
                    _ => " without its tag",
                };
                let what = format!("whether base {label} is the current one can't be known{why}");
                Err(Fault::open(what, UNTOLD))
            }
        }
    }

    /// Why none of what is known will do.
    fn unfit(&self, bases: &Bases) -> Fault {
        let allow = self.search.allow.as_ref();
        let allowed = |name: &Reference| allow.is_none_or(|allow| allow.fits(name));
        let allowed_name = |known: &Known| known.reference().is_some_and(|name| allowed(&name));
        // What could not be read might have been the base.
        for known in bases.known.iter().filter(|known| allowed_name(known)) {
            if let Some(Doubt::Unread(error)) = &known.doubt
                && !matches!(error, ImageError::Registry(RegistryError::NotFound { .. }))
            {
                let what = format!("its base may be {}, which could not be read: {error}", known.name());
                return Fault::open(what, UNREAD);
            }
        }
        // Other rules look for bases, too, which would not do here.
        let may_be = |name: &str| !self.denies(name) && Reference::parse(name).map_or(true, |name| allowed(&name));
        if let Some((name, error)) = bases.unread.iter().find(|(name, _)| may_be(name)) {
            return Fault::open(format!("its base may be {name}, which could not be compared: {error}"), UNREAD);
        }
        let (what, help) = match bases.best() {
            Some(known) if known.confidence == Confidence::Proved && allowed_name(known) => {
                let (name, sure) = (known.name(), sure(known));
                match &known.now {
                    Some(Now::Moved { to, .. }) => {
                        (format!("rebuild: its base is {sure}, which is said to be {name}; that names {to} now"), STALE)
                    }
                    _ => (format!("its base is {sure}; that it is {name} is only claimed"), NO_TAG),
                }
            }
            Some(known) if known.reference().is_none() && known.digest.is_none() => {
                (format!("its base is not known: what is said of it{} is no image's name", places(known)), NOT_KNOWN)
            }
            Some(known) if self.counts(known) => {
                (format!("its base is {}, which is not allowed", sure(known)), NOT_ALLOWED)
            }
            Some(known) if allowed_name(known) => (claimed_only(known), to_prove(known)),
            Some(known) => (claimed_only(known), NOT_ALLOWED),
            None if !bases.doubtful.is_empty() => {
                let whys: Vec<&str> = bases.doubtful.iter().map(|(_, why)| why.as_str()).collect();
                (format!("its base is not known: {}", whys.join("; ")), NOT_KNOWN)
            }
            None => (self.unknown(), NOT_KNOWN),
        };
        Fault::broken(what, help)
    }

    /// What was looked for, and what was not.
    fn unknown(&self) -> String {
        let allow = self.search.allow.as_ref();
        let compared = self.search.candidates.iter().filter(|name| allow.is_some_and(|allow| allow.fits(name)));
        let compared = match list(compared.map(ToString::to_string)) {
            none if none.is_empty() => none,
            names => format!(
                ", and none of {names} begins it as their tags stand now; if it was built on an earlier one of these, \
                 rebuild it"
            ),
        };
        let unsought = match list(self.unsought.iter().cloned()) {
            none if none.is_empty() => none,
            patterns => format!("; not looked for, since no single tag is named: {patterns}"),
        };
        format!("its base is not known: it names none{compared}{unsought}")
    }
}

/// What is known for sure of its name, and how sure: a tag beside a proved digest is only claimed.
fn sure(known: &Known) -> String {
    let name = known.proved().map_or_else(|| known.name(), |name| name.to_string());
    format!("{name} ({})", known.confidence.word())
}

/// The way out for an allowed base that nothing proves.
fn to_prove(known: &Known) -> &'static str {
    match &known.doubt {
        Some(Doubt::NotAsked) => NOT_ALLOWED,
        Some(Doubt::Unread(_) | Doubt::NoPlatform(_)) => "build on a base that is there, for every platform",
        Some(Doubt::History(_)) => OTHERWISE_MADE,
        Some(Doubt::Differs) => NOT_KNOWN,
        Some(Doubt::Nothing) | None => UNPROVED,
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
        Some(Doubt::NoPlatform(platform)) => format!("which has no image for {platform}"),
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
        match judgement(settings, known, change) {
            Judgement::Satisfied => ("satisfied", String::new()),
            Judgement::Violated(problem) => ("violated", problem.message),
            Judgement::Undecided(problem) => ("undecided", problem.message),
        }
    }

    fn judgement(settings: &str, known: Vec<Known>, change: impl Fn(&mut Bases)) -> Judgement {
        let (image, app) = (index(&[("linux/amd64", 10)]), reference("ghcr.io/acme/app:1"));
        let mut bases = Bases {
            digest: image.platforms()[0].digest.clone(),
            platform: None,
            itself: None,
            known,
            contradicted: Vec::new(),
            unread: Vec::new(),
            doubtful: Vec::new(),
            muddle: None,
            hidden: None,
            searched: 3,
        };
        change(&mut bases);
        let all = [bases];
        let case = Case { image: Some(Ok(&image)), bases: Some(&all), ..case(&app) };
        rule::<Settings>(settings).check(&case)
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
            (
                "nothing",
                debian,
                vec![],
                "violated",
                "not known: it names none; not looked for, since no single tag is named: docker.io/library/debian",
            ),
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
    fn every_fault_has_its_own_way_out() {
        let moved =
            || Known { now: Some(Now::Moved { to: Digest::sha256(b"x"), created: None }), ..proved("debian:12") };
        let debian = "{allow: [\"docker.io/library/debian:12\"]}";
        let undated = || {
            let mut known = proved("debian:12");
            known.ground.as_mut().expect("proved").created = None;
            known
        };
        let lie = Contradiction { claimed: "a label claims x".to_owned(), shown: "it is y".to_owned() };
        let rows: Vec<(&str, Vec<Known>, &str)> = vec![
            ("{up-to-date: true}", vec![moved()], STALE),
            (debian, vec![moved()], STALE),
            ("{deny: [docker.io/library/debian]}", vec![proved("debian:12")], DENIED),
            (debian, vec![proved("alpine:3")], NOT_ALLOWED),
            (debian, vec![claimed("alpine:3")], NOT_ALLOWED),
            (debian, vec![], NOT_KNOWN),
            (debian, vec![claimed("debian:12")], NOT_KNOWN),
            (debian, vec![Known { doubt: Some(Doubt::Nothing), ..claimed("debian:12") }], UNPROVED),
            (debian, vec![unread("debian:12", slow())], UNREAD),
            ("{max-size: 1}", vec![proved("debian:12")], "build on a smaller base, or raise `max-size`"),
            ("{max-age: 1d}", vec![proved("debian:12")], "build on a newer base, or raise `max-age`"),
            ("{max-age: 1d}", vec![undated()], UNDATED),
        ];
        let help = |found| match found {
            Judgement::Satisfied => String::new(),
            Judgement::Violated(problem) | Judgement::Undecided(problem) => problem.help,
        };
        for (settings, known, expected) in rows {
            assert_eq!(help(judgement(settings, known, |_| {})), expected, "{settings}");
        }
        let found = judgement(debian, vec![proved("debian:12")], |bases| bases.contradicted.push(lie.clone()));
        assert_eq!(help(found), CONTRADICTED);
    }

    #[test]
    fn what_is_proved_is_named_and_not_what_is_said_beside_it() {
        let moved =
            || Known { now: Some(Now::Moved { to: Digest::sha256(b"x"), created: None }), ..proved("debian:12") };
        let pinned = format!("its base is docker.io/library/debian@sha256:{HEX} (proved), which is");
        let said = judged("{allow: [docker.io/library/alpine]}", vec![moved()], |_| {}).1;
        assert!(said.contains(&format!("{pinned} not allowed")), "{said}");
        let said = judged("{deny: [docker.io/library/debian]}", vec![moved()], |_| {}).1;
        assert!(said.contains(&format!("{pinned} denied")), "{said}");
        let said = judged("{deny: [\"docker.io/library/debian:12\"]}", vec![moved()], |_| {}).1;
        assert!(
            said.contains(&format!("{pinned} said to be docker.io/library/debian:12, and that is denied")),
            "{said}"
        );
    }

    #[test]
    fn a_base_that_another_rule_looks_for_opens_nothing() {
        let settings = "{allow: [\"docker.io/library/debian:12\"]}";
        for (name, verdict) in [("docker.io/library/debian:12", "undecided"), ("r.io/other:1", "violated")] {
            let (found, said) = judged(settings, vec![], |bases| bases.unread = vec![(name.to_owned(), slow().into())]);
            assert_eq!(found, verdict, "{name}: {said}");
        }
    }

    #[test]
    fn where_nothing_is_found_it_is_said_what_was_looked_for() {
        let found =
            judged("{allow: [\"debian:12\", \"alpine:3\", \"r.io/x/**\", \"!r.io/x/y\", scratch]}", vec![], |_| {});
        let expected = "its base is not known: it names none, and none of docker.io/library/debian:12, \
                        docker.io/library/alpine:3 begins it as their tags stand now; if it was built on an earlier one of \
                        these, rebuild it; not looked for, since no single tag is named: r.io/x/**";
        assert_eq!(found, ("violated", format!("linux/amd64: {expected}")));
        let said = judged("{max-layers: 1}", vec![], |_| {}).1;
        assert_eq!(said, "linux/amd64: its base is not known: it names none");
    }

    #[test]
    fn all_broken_limits_are_said_at_once() {
        let (verdict, said) = judged("{max-size: 1, max-layers: 1, max-age: 1d}", vec![proved("debian:12")], |_| {});
        assert_eq!(verdict, "violated");
        for part in ["maximum of 1; base", "has 2 layers", "; base docker.io/library/debian:12 was built 10 days ago"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // What is broken is not hidden by what is open.
        let mut undated = proved("debian:12");
        undated.ground.as_mut().expect("proved").created = None;
        let (verdict, said) = judged("{max-age: 1d, max-layers: 1}", vec![undated], |_| {});
        assert_eq!((verdict, said.contains("does not say")), ("violated", false), "{said}");
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
            (
                "{max-age: 12h}",
                with(|ground| ground.created = "2026-11-18T23:00:00Z".parse().ok()),
                "violated",
                "was built 1 day ago",
            ),
            ("{max-age: 9d}", with(|ground| ground.created = None), "undecided", "does not say when it was built"),
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
            (
                "{up-to-date: true}",
                vec![Known { tag: None, now: None, ..proved("debian") }],
                "undecided",
                "without its tag",
            ),
            (
                "{up-to-date: true, evidence: claimed}",
                vec![Known { digest: None, now: None, ..claimed("debian:12") }],
                "undecided",
                "can't be known: it does not say which one of that tag it is built on",
            ),
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
        assert_eq!(judged("{allow: [\"r.io:5000/**\", \"!r.io:5000/x\"]}", vec![], itself).0, "violated");
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
