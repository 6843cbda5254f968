//! How much memory a whole run takes at its peak: the same for ten thousand images as for a hundred, or nearly, and
//! never what a registry would like to send.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/registry.rs"]
mod registry;
mod support;

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use plimsoll::digest::Digest;
use plimsoll::limits;
use registry::{Behaviour, Body, OCI_IMAGE, OCI_INDEX, Reply, Request, Server};
use support::Repository;

const SIZES: &str = r#"
apiVersion: plimsoll.dev/v1
kind: ImagePolicy
metadata: {name: test}
spec:
  statements:
    - name: all
      match: ["**"]
      rules:
        image-size: {max: 500MiB}
"#;

/// What a run may take at most, in bytes.
const MOST: u64 = 64 << 20;

/// The exit code of `check` and the most memory that it held at once, in bytes.
fn check(repository: &Repository) -> (i32, u64) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(["check", "--format", "json", "-o", "report.json"]);
    let command = command.current_dir(repository.root()).env_clear().env("HOME", repository.root());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let held = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let held = held.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(held.unwrap_or_default() << 10);
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code().unwrap_or(-1), peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn counts(repository: &Repository) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(&repository.read("report.json")).unwrap()["summary"].clone()
}

fn pods(host: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let name = format!("{host}/team/app{number}:1.{number}");
        write!(text, "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: \"{name}\"}}]}}\n")
            .unwrap();
        text
    })
}

/// The manifest of one platform of the image of that name: eight layers that no other image has.
fn image(name: &str, architecture: &str) -> String {
    let blob = |mark: usize| Digest::sha256(format!("{name} {architecture} {mark}").as_bytes());
    let layer = |mark| {
        let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":1000000}}"#, blob(mark))
    };
    let layers: Vec<String> = (1..9).map(layer).collect();
    let config =
        format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":9}}"#, blob(0));
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_IMAGE}","config":{config},"layers":[{}]}}"#, layers.join(","))
}

fn index(name: &str) -> String {
    let child = |architecture: &str| {
        let body = image(name, architecture);
        let (digest, size) = (Digest::sha256(body.as_bytes()), body.len());
        format!(
            r#"{{"mediaType":"{OCI_IMAGE}","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#
        )
    };
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{},{}]}}"#, child("amd64"), child("arm64"))
}

/// A registry that has every image, each with content of its own.
fn everything(request: &Request, _: &Reply) -> Option<Reply> {
    let (name, target) = request.path.strip_prefix("/v2/")?.split_once("/manifests/")?;
    if !target.starts_with("sha256:") {
        return Some(Reply::ok(OCI_INDEX, index(name)));
    }
    let asked = |body: &String| Digest::sha256(body.as_bytes()).as_str() == target;
    let found = ["amd64", "arm64"].into_iter().map(|architecture| image(name, architecture)).find(asked);
    found.map(|body| Reply::ok(OCI_IMAGE, body))
}

/// The peak of a run over so many images of which all is read.
fn peak_of(count: usize) -> u64 {
    let server = Server::start(Behaviour::lying(everything));
    let repository = Repository::new();
    repository.write("plimsoll.yaml", SIZES);
    repository.write("pods.yaml", pods(&server.host(), count));
    let (code, peak) = check(&repository);
    let counts = counts(&repository);
    assert_eq!((code, counts["allow"].as_u64()), (0, Some(count as u64)), "{counts}");
    assert_eq!(server.requests().len(), count * 3);
    peak
}

#[test]
fn memory_hardly_grows_with_the_number_of_images() {
    // So many that what happens to be under way at the peak, some megabytes, counts for little.
    let (few, many) = (peak_of(100), peak_of(3_000));
    assert!(many < MOST, "{few} bytes for 100 images, {many} for 3,000");
    let each = many.saturating_sub(few) / 2_900;
    assert!(each < 10 << 10, "{few} bytes for 100 images, {many} for 3,000: {each} for each");
}

#[test]
#[ignore = "half a minute or more; run it with --ignored"]
fn ten_thousand_images_take_less_than_64_mib() {
    let (few, many) = (peak_of(100), peak_of(10_000));
    assert!(many < MOST, "{few} bytes for 100 images, {many} for 10,000");
}

#[test]
fn rule_19_a_manifest_of_gigabytes_ends_at_the_limit() {
    // What the program takes in any case, which grows with what it can do, and a manifest at its limit for each image.
    let most = peak_of(1) + 8 * limits::MANIFEST_BYTES as u64 + (8 << 20);
    for body in [Body::Endless, Body::Announced(vec![b' '; 100_000], 1_500_000_000)] {
        let server = Server::start(Behaviour::lying(move |request: &Request, _: &Reply| {
            (request.method == "GET").then(|| Reply::ok(OCI_IMAGE, "").body(body.clone()))
        }));
        let repository = Repository::new();
        repository.write("plimsoll.yaml", SIZES);
        repository.write("pods.yaml", pods(&server.host(), 8));
        let (code, peak) = check(&repository);
        assert_eq!((code, counts(&repository)["undecided"].as_u64()), (3, Some(8)));
        assert!(peak < most, "{peak} bytes, at most {most}");
    }
}

#[test]
fn rule_19_an_image_of_gigabytes_ends_at_the_limit_before_it_is_fetched() {
    let child = |number: usize| {
        let body = image("team/big", &format!("a{number}"));
        body.clone() + &" ".repeat((4 << 20) - body.len())
    };
    let row = |number: usize| {
        let body = child(number);
        let digest = Digest::sha256(body.as_bytes());
        format!(r#"{{"mediaType":"{OCI_IMAGE}","digest":"{digest}","size":{}}}"#, body.len())
    };
    let rows: Vec<String> = (0..12).map(row).collect();
    let index = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, rows.join(","));
    let server = Server::start(Behaviour::default());
    server.push("team/app0", "1.0", index, OCI_INDEX);
    for number in 0..12 {
        server.push_digest("team/app0", child(number), OCI_IMAGE);
    }
    let repository = Repository::new();
    repository.write("plimsoll.yaml", SIZES);
    repository.write("pods.yaml", pods(&server.host(), 1));
    let (code, peak) = check(&repository);
    assert_eq!((code, counts(&repository)["undecided"].as_u64()), (3, Some(1)));
    assert!(peak < MOST, "{peak} bytes");
    let report = repository.read("report.json");
    assert!(report.contains("the limit of 33554432 bytes"), "{report}");
    assert_eq!(server.requests().len(), 1, "{:?}", server.lines());
}
