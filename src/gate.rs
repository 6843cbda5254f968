//! The pipeline: what was found, what the policy asks, what the registry says, a verdict for each, and edits.
//! The only way from a reference to `allow`; the command line, a test and a webhook all come through here.
//!
//! Longer than most files: one pipeline, read from top to bottom.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use crate::bases::{self, Book, Candidate, Looking};

use crate::digest::Digest;
use crate::edit::{self, Edit};
use crate::finding::{Finding, Level, PolicyLine, Status};
use crate::image::base::{Bases, Evidence};
use crate::image::{Depth, Image, Platform};
use crate::judge::{self, Applied, Facts, Judging, Setting};
use crate::outcome::{File, Judged, Outcome, Verdict};
use crate::policy::{BuiltInSetting, BuiltIns, Policy};
use crate::reference::{Reference, Repository};
use crate::registry::{KnownBy, Registry, RegistryError};
use crate::resolve::{self, Answers, Questions};
use crate::rule::{BaseSearch, Needs};
use crate::source::{Found, Occurrence, Role, Subject, Unread};

/// One file with what a format found in it.
#[derive(Debug)]
pub struct Scanned {
    /// As it is shown.
    pub path: String,
    /// Relative to the policy's folder, for `where.paths`; as it is shown where it lies outside.
    pub policy_path: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
    /// What was found.
    pub found: Found,
}

/// By what references are judged.
#[derive(Clone, Copy, Debug)]
pub enum Judge<'a> {
    /// By a policy.
    Policy(&'a Policy),
    /// By nothing: `pin --no-policy`. Only what a registry doesn't have, or doesn't say, stands in the way.
    Nothing,
}

/// What is done with what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// References are judged as they stand.
    Check,
    /// Each is judged as it will stand after the edit.
    Pin {
        /// Moves a pinned reference whose tag has moved.
        update: bool,
    },
}

/// One run.
#[derive(Debug)]
pub struct Request<'a> {
    /// The files, in the order of their paths.
    pub files: Vec<Scanned>,
    /// Files that could not be read at all.
    pub unread: Vec<(String, Unread)>,
    /// How many files were read.
    pub files_read: usize,
    /// How many files `ignore:` left out.
    pub files_ignored: usize,
    /// By what.
    pub judge: Judge<'a>,
    /// What for.
    pub mode: Mode,
    /// Platforms that the user named; empty means all. In `pin`, the one child to pin.
    pub platforms: &'a [Platform],
    /// Whether registries may be asked.
    pub resolve: bool,
    /// Whether the run is over everything that the policy speaks of, so that what covered nothing is not needed.
    pub whole: bool,
    /// How many requests may be under way at once.
    pub jobs: usize,
    /// The run's clock.
    pub now: Timestamp,
}

/// A reference on its way through the gate.
struct Work<'a> {
    file: usize,
    occurrence: Occurrence,
    /// Set once nothing more can change it.
    settled: Option<(Verdict, Option<String>)>,
    findings: Vec<Finding>,
    rules: Vec<Applied<'a>>,
    /// What is asked of the registry.
    question: Option<Reference>,
    /// Whether the bytes may be replaced.
    pins: bool,
    digest: Option<Digest>,
    known_by: Option<KnownBy>,
    edit: Option<Edit>,
}

/// Runs the gate. `progress` is told how many of how many names have been answered.
pub async fn run(request: Request<'_>, registry: &dyn Registry, progress: &(dyn Fn(usize, usize) + Sync)) -> Outcome {
    let Request { files, unread, files_read, files_ignored, judge, mode, platforms, resolve, whole, jobs, now } =
        request;
    let judging = match judge {
        Judge::Policy(policy) => Some(Judging { policy, now, used: BTreeSet::new() }),
        Judge::Nothing => None,
    };
    let mut gate = Gate { judging, mode, platforms, resolve, not_evaluated: BTreeSet::new() };
    let mut outcome = Outcome { files_read, files_ignored, ..Outcome::default() };
    let mut works = Vec::new();
    for (at, scanned) in files.into_iter().enumerate() {
        let broken = !scanned.found.unread.is_empty();
        for occurrence in scanned.found.occurrences {
            works.push(gate.plan(at, &scanned.policy_path, occurrence, broken));
        }
        outcome.unread.extend(scanned.found.unread.into_iter().map(|unread| (scanned.path.clone(), unread)));
        outcome.files.push(File { path: scanned.path, bytes: scanned.bytes });
    }
    outcome.unread.extend(unread);
    outcome.unread.sort_by(|a, b| (&a.0, a.1.place).cmp(&(&b.0, b.1.place)));

    let questions = gate.questions(&works);
    let total = questions.len();
    let progress = |done| progress(done, total);
    let bases = gate.need_bases(&works);
    if bases || matches!(mode, Mode::Pin { update: true }) {
        // What moved, and what images are built on, is asked about a second time, so that the first answers are kept
        // until the second ones are there; of repositories that need no second one, only what their names came to.
        let questions = questions.more_follow(true);
        let update = matches!(mode, Mode::Pin { update: true });
        let mut places = places(&works);
        let (mut answers, nothing) = (Answers::default(), Answers::default());
        let mut hand_over = |repository: &Repository, found: Answers| {
            let here = places.remove(repository).unwrap_or_default();
            if update || here.iter().any(|at| gate.needs(&works[*at]).base) {
                return answers.extend(found);
            }
            for at in here {
                gate.judge(&mut works[at], &found, &nothing, None);
            }
            answers.extend(found.names_only());
        };
        resolve::each(registry, &questions, jobs, &progress, &mut hand_over).await;
        let further = Gate::further_questions(&works, &answers);
        let more = resolve::resolve(registry, &further, jobs, &|_| {}).await;
        let tags = |repository: &Repository, tag: &str| {
            let named = answers.tag_of(repository, tag)?;
            Some(named.map(|resolved| resolved.digest.clone()).map_err(Clone::clone))
        };
        let book = Book::new(registry, &tags);
        let dockerfiles = dockerfiles(&works, &outcome.files);
        let asking: Vec<_> = (0..works.len())
            .filter(|at| works[*at].settled.is_none())
            .map(|at| {
                let (question, searches) = (works[at].question.clone(), Gate::searches(&works[at]));
                let platforms = if works[at].pins { &[] } else { platforms };
                let (book, answers, dockerfiles) = (&book, &answers, &dockerfiles);
                async move {
                    let image = question.as_ref().and_then(|question| {
                        answers.image(question.repository(), &answers.named(question)?.ok()?.digest)?.ok()
                    });
                    let bases = match (question, image) {
                        (Some(question), Some(image)) if !searches.is_empty() => {
                            Some(find_bases(book, &question, image, &searches, dockerfiles, platforms).await)
                        }
                        _ => None,
                    };
                    (at, bases)
                }
            })
            .collect();
        let mut found = stream::iter(asking).buffer_unordered(jobs.max(1));
        while let Some((at, bases)) = found.next().await {
            gate.judge(&mut works[at], &answers, &more, bases.as_deref());
        }
        drop(found);
        outcome.bases = book.asked();
    } else {
        // What is known of a repository is let go as soon as its references are judged.
        let mut places = places(&works);
        let more = Answers::default();
        let mut judge = |repository: &Repository, answers: Answers| {
            for at in places.remove(repository).unwrap_or_default() {
                gate.judge(&mut works[at], &answers, &more, None);
            }
        };
        resolve::each(registry, &questions, jobs, &progress, &mut judge).await;
    }
    Gate::collect(works, &mut outcome);
    // Places that share an anchor share its edit.
    outcome.edits.sort();
    outcome.edits.dedup();
    gate.source_findings(&mut outcome);
    if let Some(judging) = &gate.judging {
        outcome.findings.extend(judge::policy_findings(judging, whole));
    }
    outcome.not_evaluated = gate.not_evaluated.into_iter().collect();
    outcome
}

struct Gate<'a> {
    /// `None` under `--no-policy`.
    judging: Option<Judging<'a>>,
    mode: Mode,
    platforms: &'a [Platform],
    resolve: bool,
    not_evaluated: BTreeSet<&'static str>,
}

impl<'a> Gate<'a> {
    /// Judges what can be judged without a registry, and says what has to be asked.
    fn plan(&mut self, file: usize, policy_path: &str, occurrence: Occurrence, broken: bool) -> Work<'a> {
        let mut work = Work {
            file,
            occurrence,
            settled: None,
            findings: Vec::new(),
            rules: Vec::new(),
            question: None,
            pins: false,
            digest: None,
            known_by: None,
            edit: None,
        };
        if broken && work.occurrence.uneditable.is_none() {
            work.occurrence.uneditable = Some("another document of this file could not be read".to_owned());
        }
        let reference = match &work.occurrence.subject {
            Subject::Image(reference) => reference.clone(),
            Subject::NotAnImage { reason } => {
                work.settled = Some((Verdict::Skipped, Some(reason.clone())));
                return work;
            }
            Subject::Unresolvable { reason } => {
                let reason = reason.clone();
                self.unresolvable(&mut work, reason);
                return work;
            }
        };
        work.pins = work.occurrence.uneditable.is_none()
            && edit::pin(&work.occurrence, &Digest::sha256(b"")).is_some()
            && match self.mode {
                Mode::Check => false,
                Mode::Pin { update } => reference.digest().is_none() || (update && reference.written_tag().is_some()),
            };
        // In `pin`, a reference is judged as it will stand; until its digest is known, any digest stands for it.
        let standing = if work.pins { with_digest(&reference, &Digest::sha256(b"")) } else { reference.clone() };
        if let Some(judging) = &mut self.judging {
            let policy = judging.policy;
            work.rules = judge::applied(policy, &standing, policy_path, &work.occurrence);
            if !work.rules.iter().any(|applied| applied.configured.level == Level::Deny) {
                work.findings.push(judge::unmatched(policy, &standing));
            }
            let (text, network): (Vec<_>, Vec<_>) =
                work.rules.iter().copied().partition(|applied| applied.configured.rule.needs().is_nothing());
            let setting = Setting { occurrence: &work.occurrence, platforms: self.platforms, now: judging.now };
            let case = judge::text_case(&standing, setting);
            work.findings.extend(judge::check(judging, &text, &case, &work.occurrence));
            work.rules = network;
            if Verdict::of(&work.findings) == Verdict::Deny {
                work.settled = Some((Verdict::Deny, None));
                return work;
            }
            if !self.resolve {
                let judged = text.iter().any(|applied| applied.configured.level == Level::Deny);
                self.leave_unresolved(&mut work, judged);
                return work;
            }
        }
        work.question = Some(if work.pins { without_digest(&reference) } else { reference });
        work
    }

    /// The level of a built-in and the line that set it; without a policy a warning.
    fn built_in(&self, which: impl Fn(BuiltIns) -> BuiltInSetting) -> (Level, Option<PolicyLine>) {
        self.judging.as_ref().map_or((Level::Warn, None), |judging| {
            let setting = which(judging.policy.built_ins());
            let line = setting.line.map(|line| PolicyLine { file: judging.policy.file().to_owned(), line });
            (setting.level, line)
        })
    }

    fn unresolvable(&self, work: &mut Work<'_>, reason: String) {
        let (level, policy) = self.built_in(|built_ins| built_ins.unresolvable_reference);
        let verdict = if level == Level::Deny { Verdict::Undecided } else { Verdict::Skipped };
        work.findings.push(Finding {
            rule: "unresolvable-reference",
            level,
            status: Status::Undecided,
            reference: None,
            place: None,
            message: format!("`{}` can't be judged: {reason}", work.occurrence.text),
            help: if reason.starts_with(NOT_A_REFERENCE) {
                "correct the name: REGISTRY/REPOSITORY:TAG in lower case, a digest in full".to_owned()
            } else {
                way_out(work.occurrence.format).to_owned()
            },
            policy,
        });
        work.settled = Some((verdict, Some(reason)));
    }

    /// `--no-resolve`: the rules that need a registry are named, not judged. Without any judged rule nothing is allowed.
    fn leave_unresolved(&mut self, work: &mut Work<'_>, judged: bool) {
        self.not_evaluated.insert("exists");
        self.not_evaluated.extend(work.rules.iter().map(|applied| applied.configured.rule.id()));
        if !judged {
            work.findings.push(judge::exists(
                Status::Undecided,
                "no rule that applies can be judged without asking a registry".to_owned(),
                "run without --no-resolve",
            ));
        }
        work.settled = Some((Verdict::of(&work.findings), None));
    }

    fn needs(&self, work: &Work<'_>) -> Needs {
        let needs = work.rules.iter().fold(Needs::NOTHING, |needs, applied| needs.and(applied.configured.rule.needs()));
        // A platform that the user named is looked for by name, also where no index names it.
        // To pin one child of an index, the index has to be read.
        let reads = needs.content.is_some() || work.pins;
        let named = Needs { content: Some(Depth::Configs), ..Needs::NOTHING };
        if reads && !self.platforms.is_empty() { needs.and(named) } else { needs }
    }

    /// Whether some rule judges the base of an image that is not settled yet.
    fn need_bases(&self, works: &[Work<'_>]) -> bool {
        works.iter().any(|work| work.settled.is_none() && self.needs(work).base)
    }

    /// Where the rules that apply look for bases.
    fn searches(work: &Work<'a>) -> Vec<&'a BaseSearch> {
        work.rules.iter().filter_map(|applied| applied.configured.rule.search()).collect()
    }

    fn questions(&self, works: &[Work<'_>]) -> Questions {
        let mut questions = Questions::new();
        for work in works.iter().filter(|work| work.settled.is_none()) {
            if let Some(question) = &work.question {
                questions.ask(question, self.needs(work));
            }
        }
        questions
    }

    /// What can be asked only once tags are known: what a moved pin was, and what moves in.
    fn further_questions(works: &[Work<'_>], answers: &Answers) -> Questions {
        let mut questions = Questions::new();
        for work in works.iter().filter(|work| work.settled.is_none() && work.pins) {
            let (Some(question), Subject::Image(written)) = (&work.question, &work.occurrence.subject) else {
                continue;
            };
            let Some(Ok(resolved)) = answers.named(question) else { continue };
            if let Some(old) = written.digest().filter(|old| **old != resolved.digest) {
                let content = Needs { content: Some(Depth::Configs), ..Needs::NOTHING };
                questions.ask(&with_digest(question, old), content);
                questions.ask(&with_digest(question, &resolved.digest), content);
            }
        }
        questions
    }

    fn judge(&mut self, work: &mut Work<'a>, answers: &Answers, more: &Answers, bases: Option<&[Bases]>) {
        if work.settled.is_some() {
            return;
        }
        let (Some(question), Subject::Image(written)) = (work.question.clone(), work.occurrence.subject.clone()) else {
            return;
        };
        let named = answers.named(&question).unwrap_or(Err(&NOT_ASKED));
        let resolved = match named {
            Ok(resolved) => resolved.clone(),
            Err(error) => {
                let (status, help) = judge::absence(error);
                work.findings.push(judge::exists(status, format!("{question}: {error}"), help));
                work.settled = Some((Verdict::of(&work.findings), None));
                return;
            }
        };
        let target = if work.pins {
            match target(&question, &written, &resolved.digest, self.platforms, answers, more) {
                Ok(target) => target,
                Err(reason) => {
                    work.findings.push(judge::exists(
                        Status::Undecided,
                        format!("{question}: {reason}"),
                        "name the platform that the index has",
                    ));
                    work.settled = Some((Verdict::of(&work.findings), Some(reason)));
                    return;
                }
            }
        } else {
            resolved.digest.clone()
        };
        let standing = if work.pins { with_digest(&question, &target) } else { question.clone() };
        if let Some(judging) = &mut self.judging {
            let child = [answers, more]
                .iter()
                .find_map(|answers| answers.image(question.repository(), &resolved.digest)?.ok()?.only(&target));
            let facts = Facts {
                digest: &target,
                tag: answers.tag(&question).map(|tag| tag.map(|resolved| &resolved.digest)),
                child: child.as_ref(),
                answers,
                more,
                bases,
                previous: written
                    .digest()
                    .filter(|old| work.pins && **old != target)
                    .and_then(|old| more.image(question.repository(), old)),
            };
            let platforms = if work.pins { &[] } else { self.platforms };
            let setting = Setting { occurrence: &work.occurrence, platforms, now: judging.now };
            let case = judge::full_case(&standing, &facts, setting);
            work.findings.extend(judge::check(judging, &work.rules, &case, &work.occurrence));
        }
        let verdict = Verdict::of(&work.findings);
        if verdict == Verdict::Allow && work.pins {
            work.edit = edit::pin(&work.occurrence, &target);
        }
        work.digest = Some(target);
        work.known_by = Some(resolved.known_by);
        work.settled = Some((verdict, None));
    }

    fn collect(mut works: Vec<Work<'_>>, outcome: &mut Outcome) {
        keep_what_is_not_allowed(&mut works);
        for work in works {
            let reference = outcome.references.len();
            let (verdict, reason) = work.settled.unwrap_or((Verdict::Undecided, Some("not judged".to_owned())));
            let reason = reason.or_else(|| {
                let assumes = work.occurrence.assumes.as_ref().map(|what| format!("assumes {what}"));
                let fixed = work.occurrence.uneditable.as_ref().map(|why| format!("not editable: {why}"));
                let both: Vec<String> = assumes.into_iter().chain(fixed).collect();
                (!both.is_empty()).then(|| both.join("; "))
            });
            outcome
                .findings
                .extend(work.findings.into_iter().map(|finding| Finding { reference: Some(reference), ..finding }));
            outcome.edits.extend(work.edit.map(|edit| (work.file, edit)));
            outcome.references.push(Judged {
                file: work.file,
                occurrence: work.occurrence,
                verdict,
                reason,
                digest: work.digest,
                known_by: work.known_by,
            });
        }
    }

    /// A finding for each thing that could not be read and could hold a reference.
    fn source_findings(&self, outcome: &mut Outcome) {
        let (level, policy) = self.built_in(|built_ins| built_ins.unreadable_source);
        let findings =
            outcome.unread.iter().filter(|(_, unread)| unread.could_hold_reference).map(|(file, unread)| Finding {
                rule: "unreadable-source",
                level,
                status: Status::Undecided,
                reference: None,
                place: Some((file.clone(), unread.place)),
                message: format!("could hold an image and can't be read: {}", unread.reason),
                help: "mend or render the file, or leave it out with `ignore:` in a GateConfig beside the policy"
                    .to_owned(),
                policy: policy.clone(),
            });
        let findings: Vec<Finding> = findings.collect();
        outcome.findings.extend(findings);
    }
}

/// The references that are not settled, by repository.
fn places(works: &[Work<'_>]) -> BTreeMap<Repository, Vec<usize>> {
    let mut places: BTreeMap<Repository, Vec<usize>> = BTreeMap::new();
    for (at, work) in works.iter().enumerate().filter(|(_, work)| work.settled.is_none()) {
        if let Some(question) = &work.question {
            places.entry(question.repository().clone()).or_default().push(at);
        }
    }
    places
}

/// The images that Dockerfiles of this run are built on, each once.
fn dockerfiles(works: &[Work<'_>], files: &[File]) -> Vec<Candidate> {
    let mut found: BTreeMap<&Reference, Candidate> = BTreeMap::new();
    for work in works.iter().filter(|work| work.occurrence.role == Role::Base) {
        if let Subject::Image(reference) = &work.occurrence.subject {
            let place = format!("{}:{}", files[work.file].path, work.occurrence.place.line);
            let candidate = || Candidate { reference: reference.clone(), by: Evidence::Dockerfile(place) };
            found.entry(reference).or_insert_with(candidate);
        }
    }
    found.into_values().collect()
}

/// The bases of one image, looked for where the rules that judge it allow.
async fn find_bases(
    book: &Book<'_>,
    reference: &Reference,
    image: &Image,
    searches: &[&BaseSearch],
    dockerfiles: &[Candidate],
    platforms: &[Platform],
) -> Vec<Bases> {
    let may_ask = |base: &Reference| {
        searches.iter().any(|search| match &search.allow {
            Some(allow) => allow.fits(base),
            None => bases::near(reference.repository(), base.repository()),
        })
    };
    let named = searches.iter().flat_map(|search| &search.candidates);
    let named = named.map(|reference| Candidate { reference: reference.clone(), by: Evidence::Search });
    let candidates = named.chain(dockerfiles.iter().filter(|found| may_ask(&found.reference)).cloned());
    let candidates: Vec<Candidate> = candidates.collect();
    let thorough = searches.iter().any(|search| search.thorough);
    book.of_image(reference, image, Looking { candidates: &candidates, may_ask: &may_ask, thorough, platforms }).await
}

/// Takes back the edits of bytes that also belong to a reference that is not allowed: an anchor, a variable.
fn keep_what_is_not_allowed(works: &mut [Work<'_>]) {
    let is_left = |work: &&Work<'_>| !matches!(work.settled, Some((Verdict::Allow | Verdict::Skipped, _)));
    let left: BTreeSet<_> =
        works.iter().filter(is_left).filter_map(|work| Some((work.file, work.occurrence.seat()?.span))).collect();
    for work in works {
        if work.edit.as_ref().is_some_and(|edit| left.contains(&(work.file, edit.span))) {
            work.edit = None;
            let reason = "it shares its text with an image that is not allowed";
            work.occurrence.uneditable.get_or_insert_with(|| reason.to_owned());
        }
    }
}

/// What to do about an image that can't be known from a file of that format.
fn way_out(format: &str) -> &'static str {
    match format {
        "dockerfile" => "write the image out, or give its ARG a default",
        "compose" => "write the image out, or give its variable a default, in place or in `.env`",
        "kubernetes" | "helm" | "kustomize" => "write the image out, or check what is rendered: `… | plimsoll check -`",
        _ => "write the image out",
    }
}

/// How the reason begins where a text is written out and the grammar refuses it.
const NOT_A_REFERENCE: &str = "not a reference";

static NOT_ASKED: RegistryError = RegistryError::Refused { reason: String::new() };

/// The reference with another digest, its name and tag as written.
fn with_digest(reference: &Reference, digest: &Digest) -> Reference {
    Reference::parse(&edit::pinned_text(reference, digest)).expect("a reference with a digest is a reference")
}

fn without_digest(reference: &Reference) -> Reference {
    Reference::parse(reference.text_without_digest()).expect("a reference without its digest is a reference")
}

/// The digest to pin: what the tag names, or the one child of it that is wanted.
fn target(
    question: &Reference,
    written: &Reference,
    named: &Digest,
    platforms: &[Platform],
    answers: &Answers,
    more: &Answers,
) -> Result<Digest, String> {
    let repository = question.repository();
    if !platforms.is_empty() {
        let image = answers
            .image(repository, named)
            .ok_or_else(|| "the index was not read".to_owned())?
            .map_err(ToString::to_string)?;
        return Ok(child_for(image, platforms)?.unwrap_or_else(|| named.clone()));
    }
    let Some(old) = written.digest().filter(|old| *old != named) else { return Ok(named.clone()) };
    // What was pinned to one child of an index stays that child.
    let new = more
        .image(repository, named)
        .ok_or_else(|| "what the tag names was not read".to_owned())?
        .map_err(ToString::to_string)?;
    if matches!(more.named(&with_digest(question, old)), Some(Err(RegistryError::NotFound { .. }))) {
        // Nobody can tell what it was: the tag's digest is what moves in.
        return Ok(named.clone());
    }
    let unknown = |why: String| format!("whether {old} is one platform of an image can't be known: {why}");
    let old = match (more.image(repository, old), more.named(&with_digest(question, old))) {
        (Some(image), _) => image.map_err(|error| unknown(error.to_string()))?,
        (None, Some(Err(error))) => return Err(unknown(error.to_string())),
        (None, _) => return Err(unknown("it was not read".to_owned())),
    };
    if old.is_index() || !new.is_index() {
        return Ok(named.clone());
    }
    let platform = old.platforms().first().and_then(|only| only.platform.clone());
    let platform = platform.ok_or_else(|| "the platform that was pinned is not known".to_owned())?;
    child_for(new, &[platform])?.ok_or_else(|| "the platform that was pinned is gone".to_owned())
}

/// The one child of an index for the one platform named; `None` where there is no index to choose from.
fn child_for(image: &Image, platforms: &[Platform]) -> Result<Option<Digest>, String> {
    let [wanted] = platforms else {
        return if platforms.is_empty() {
            Ok(None)
        } else {
            Err("one --platform can be pinned, not several".to_owned())
        };
    };
    let mut fitting = image.platforms().iter().filter(|child| child.platform.as_ref().is_some_and(|p| p.is(wanted)));
    match (fitting.next(), fitting.next()) {
        (Some(child), None) => Ok(image.is_index().then(|| child.digest.clone())),
        (Some(_), Some(_)) => Err(format!("more than one image for {wanted}; name its variant")),
        (None, _) => Err(format!("no image for {wanted}")),
    }
}
