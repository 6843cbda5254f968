//! Every way of knowing a base against every image of `fixtures/bases`, whose truth stands in `fixtures/bases.json`;
//! that was recomputed from the bytes by a script that shares no code with this program.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

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
    let reference = reference(name);
    let image = image(layout, &reference).await;
    let candidates = candidates
        .iter()
        .map(|name| self::reference(name))
        .filter(|candidate| (candidate.repository(), candidate.tag()) != (reference.repository(), reference.tag()));
    let candidates: Vec<Candidate> =
        candidates.map(|reference| Candidate { reference, by: Evidence::Search }).collect();
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
