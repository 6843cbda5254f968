//! Every way of knowing a base against every image of `fixtures/bases`, whose truth stands in `fixtures/bases.json`;
//! that was recomputed from the bytes by a script that shares no code with this program.
//! `docs/bases.md` shows all of it; `PLIMSOLL_BLESS=1 cargo test --test bases` writes its table anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::format_push_string, reason = "a page is built line by line")]

use std::path::Path;

use plimsoll::bases::{Book, Candidate, Looking};
use plimsoll::image::base::{Bases, Confidence, Evidence, Known, Now, split};
use plimsoll::image::base_claim::Place;
use plimsoll::image::{Depth, Image, load};
use plimsoll::reference::Reference;
use plimsoll::registry::layout::Layout;
use plimsoll::registry::{Manifest, Registry, Target, Want};

/// The bases that the truth assumes are looked for.
const CANDIDATES: [&str; 4] =
    ["debian:12-slim", "alpine:3.20", "gcr.io/distroless/static:nonroot", "ghcr.io/acme/base:1"];

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn layout() -> Layout {
    Layout::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bases")).unwrap()
}

fn truth() -> serde_json::Map<String, serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

async fn top(layout: &Layout, reference: &Reference) -> Manifest {
    let target = match reference.digest() {
        Some(digest) => Target::Digest(digest),
        None => Target::Tag(reference.tag().unwrap()),
    };
    layout.name(reference.repository(), target, Want::Content).await.unwrap().manifest.unwrap()
}

async fn image(layout: &Layout, reference: &Reference) -> Image {
    let manifest = top(layout, reference).await;
    load(layout, reference.repository(), &manifest, Depth::Details).await.unwrap()
}

/// The bases of every platform, looked for among those of `candidates` that are not the image itself.
async fn bases(layout: &Layout, name: &str, candidates: &[&str], asks: bool) -> (Image, Vec<Bases>) {
    known_by(layout, name, candidates, &Evidence::Search, asks).await
}

/// The same, with candidates that `by` names.
async fn known_by(layout: &Layout, name: &str, candidates: &[&str], by: &Evidence, asks: bool) -> (Image, Vec<Bases>) {
    let reference = reference(name);
    let image = image(layout, &reference).await;
    let candidates = candidates
        .iter()
        .map(|name| self::reference(name))
        .filter(|candidate| (candidate.repository(), candidate.tag()) != (reference.repository(), reference.tag()));
    let candidates: Vec<Candidate> = candidates.map(|reference| Candidate { reference, by: by.clone() }).collect();
    let nothing = |_: &plimsoll::reference::Repository, _: &str| None;
    let book = Book::new(layout, &nothing);
    let may_ask = |_: &Reference| asks;
    let looking = Looking { candidates: &candidates, may_ask: &may_ask, thorough: true, platforms: &[] };
    let found = book.of_image(&reference, &image, looking).await;
    (image, found)
}

/// As the truth writes it: by the first place that names it, else by search.
fn by(known: &Known) -> Option<&'static str> {
    let claimed = known.by.iter().filter_map(|by| match by {
        Evidence::Claim(place) => Some(*place),
        _ => None,
    });
    let order = [
        Place::Entry,
        Place::Manifest,
        Place::Index,
        Place::Label,
        Place::Buildpacks,
        Place::BuildInfo,
        Place::Provenance,
    ];
    let places: Vec<Place> = claimed.collect();
    let words = ["entry", "manifest", "index", "label", "buildpacks", "buildinfo", "provenance"];
    let first = order.iter().position(|place| places.contains(place)).map(|at| words[at]);
    first.or_else(|| known.by.contains(&Evidence::Search).then_some("search"))
}

fn up_to_date(known: &Known) -> Option<bool> {
    match known.now {
        Some(Now::Same(_)) => Some(true),
        Some(Now::Moved { .. }) => Some(false),
        _ => None,
    }
}

#[tokio::test]
async fn every_fixture_has_the_base_that_it_is_built_on() {
    let (layout, truth) = (layout(), truth());
    let mut wrong = Vec::new();
    let mut platforms = 0;
    for (name, expected) in &truth {
        let (image, found) = bases(&layout, name, &CANDIDATES, true).await;
        assert_eq!(found.len(), expected.as_object().unwrap().len(), "{name}");
        for (bases, platform) in found.iter().zip(image.platforms()) {
            platforms += 1;
            let expected = &expected[&platform.platform.as_ref().unwrap().to_string()];
            let best = bases.best();
            let answer = serde_json::json!({
                "confidence": best.map_or("none", |known| known.confidence.word()),
                "name": best.map(Known::name),
                "by": best.and_then(by),
                "contradicted": !bases.contradicted.is_empty(),
                "up_to_date": best.and_then(up_to_date),
            });
            if answer != expected["expect"] {
                wrong.push(format!(
                    "{name} {}: {answer}, expected {}",
                    platform.platform.as_ref().unwrap(),
                    expected["expect"]
                ));
            }
            assert_eq!(platform.manifest.layers_size(), expected["bytes"].as_u64(), "{name}");
            assert_eq!(platform.manifest.layers.len() as u64, expected["layers"].as_u64().unwrap(), "{name}");
            let proved = best.filter(|known| known.confidence == Confidence::Proved);
            if let Some(ground) = proved.and_then(|known| known.ground.as_ref())
                && expected["built_on"].as_str() == best.map(Known::name).as_deref()
            {
                let parts = split(platform, ground.layers).unwrap();
                assert_eq!(ground.layers as u64, expected["base_layers"].as_u64().unwrap(), "{name}");
                assert_eq!(
                    (Some(parts.base), Some(parts.added)),
                    (expected["base_bytes"].as_u64(), expected["added_bytes"].as_u64()),
                    "{name}"
                );
                assert_eq!(ground.size, Some(parts.base), "{name}");
                assert_eq!(Some(ground.manifest.as_str()), expected["built_on_digest"].as_str(), "{name}");
            }
        }
    }
    assert!(platforms > 50, "{platforms}");
    assert!(wrong.is_empty(), "{} of {platforms}:\n{}", wrong.len(), wrong.join("\n"));
}

// ---- the page

const BEGIN: &str = "<!-- What follows is written by `PLIMSOLL_BLESS=1 cargo test --test bases`. -->\n";

/// As the page has it: names of Docker Hub's own images without their beginning.
fn short(name: &str) -> String {
    name.trim_start_matches("docker.io/library/").to_owned()
}

fn cell(bases: &Bases) -> String {
    let mut parts = vec![match bases.best() {
        Some(known) => format!("{} {}", known.confidence.word(), short(&known.name())),
        None => "not known".to_owned(),
    }];
    if bases.best().and_then(up_to_date) == Some(false) {
        parts.push("moved".to_owned());
    }
    if !bases.contradicted.is_empty() {
        parts.push("contradicted".to_owned());
    }
    parts.join(", ")
}

/// What is truly below one platform of an image, the nearest first.
fn below(truth: &serde_json::Value) -> Vec<&str> {
    let further = truth["below"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str);
    truth["built_on"].as_str().into_iter().chain(further).collect()
}

/// The five cells of one platform: the truth, and what each way of knowing says.
type Cells = [String; 5];

#[tokio::test]
async fn the_page_shows_what_each_way_of_knowing_says_and_none_proves_what_is_not_so() {
    let (layout, truth) = (layout(), truth());
    let mut rows = String::new();
    let mut proofs = 0;
    for (name, expected) in &truth {
        let mut platforms: Vec<(String, Cells)> = Vec::new();
        for (platform, expected) in expected.as_object().unwrap() {
            let dockerfile: Vec<&str> = expected["built_on"].as_str().into_iter().collect();
            let from = Evidence::Dockerfile("Dockerfile:1".to_owned());
            let answers = [
                known_by(&layout, name, &[], &Evidence::Search, true).await,
                known_by(&layout, name, &CANDIDATES, &Evidence::Search, false).await,
                known_by(&layout, name, &dockerfile, &from, false).await,
                known_by(&layout, name, &CANDIDATES, &Evidence::Search, true).await,
            ];
            let below = below(expected);
            let mut cells = vec![if below.is_empty() {
                "nothing".to_owned()
            } else {
                below.iter().map(|name| short(name)).collect::<Vec<_>>().join(", on ")
            }];
            for (image, found) in &answers {
                let at =
                    image.platforms().iter().position(|own| own.platform.as_ref().unwrap().to_string() == *platform);
                let bases = &found[at.unwrap()];
                for known in bases.known.iter().filter(|known| known.confidence == Confidence::Proved) {
                    proofs += 1;
                    assert!(below.contains(&known.name().as_str()), "{name} {platform} is not on {}", known.name());
                    assert!(known.ground.as_ref().unwrap().layers > 0, "{name}: nothing proves nothing");
                }
                cells.push(cell(bases));
            }
            platforms.push((platform.clone(), cells.try_into().unwrap()));
        }
        let same = platforms.iter().all(|(_, cells)| *cells == platforms[0].1);
        for (platform, cells) in platforms.iter().take(if same { 1 } else { platforms.len() }) {
            let shown = name.split_once("@sha256:").map_or(name.as_str(), |(name, _)| name);
            let old = if name.contains('@') { " (before it moved)" } else { "" };
            let of = if same { String::new() } else { format!(", {platform}") };
            let shown = short(shown.trim_start_matches("ghcr.io/acme/").trim_end_matches(":1"));
            rows.push_str(&format!("| {shown}{old}{of} | {} |\n", cells.join(" | ")));
        }
    }
    assert!(proofs > 100, "{proofs}");
    let table = format!(
        "| Image | Built on | What it says, compared | Searched among four | Its Dockerfile | All |\n|---|---|---|---|---|---|\n{rows}"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bases.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (prose, written) = page.split_once(BEGIN).unwrap();
    if std::env::var_os("PLIMSOLL_BLESS").is_some() {
        std::fs::write(&path, format!("{prose}{BEGIN}\n{table}")).unwrap();
    } else {
        assert!(written == format!("\n{table}"), "docs/bases.md is not what the code does; see the top of this file");
    }
}
