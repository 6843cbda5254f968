//! Listing in MB/s, splicing in MB/s, references parsed a second. `cargo bench` prints them; docs/performance.md
//! holds figures of one machine. With `PLIMSOLL_CORPUS` set, listing runs over its real files too.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plimsoll::edit::{Edit, splice};
use plimsoll::reference::Reference;
use plimsoll::source::{Input, Subject, table};

/// Every file below a folder that a format claims, read.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !table::claiming(&path.to_string_lossy()).is_empty() {
                let bytes = fs::read(&path).expect("a file");
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

fn list(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("list");
    group.sample_size(10);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kubernetes/labelled");
    let mut sets = vec![("labelled fixtures", files(&own))];
    if let Some(corpus) = std::env::var_os("PLIMSOLL_CORPUS") {
        sets.push(("corpus", files(&Path::new(&corpus).join("k8s"))));
    }
    for (name, files) in sets {
        let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                files
                    .iter()
                    .map(|(path, bytes)| {
                        let shown = path.to_string_lossy();
                        let input = Input::alone(&shown, black_box(bytes));
                        table::read(&table::claiming(&shown), &input).occurrences.len()
                    })
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

fn splicing(criterion: &mut Criterion) {
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: web\n      image: nginx:1.25\n---\n";
    let text = pod.repeat(20_000).into_bytes();
    let format = table::by_id("kubernetes").expect("the format");
    let digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let edits: Vec<Edit> = format
        .find(&Input::alone("pods.yaml", &text))
        .occurrences
        .into_iter()
        .filter(|found| matches!(found.subject, Subject::Image(_)))
        .map(|found| Edit {
            span: found.span.expect("one place"),
            new: format!("{}@{digest}", found.text),
            old: found.text,
        })
        .collect();
    let mut group = criterion.benchmark_group("splice");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("20,000 edits", |bencher| bencher.iter(|| splice(black_box(&text), &edits).expect("spliced")));
    group.finish();
}

fn references(criterion: &mut Criterion) {
    let digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let texts = [
        "nginx".to_owned(),
        "ghcr.io/acme/app:v1.2.3".to_owned(),
        "registry.k8s.io/node-problem-detector/node-problem-detector:v0.8.19".to_owned(),
        format!("localhost:5000/team/app:1@{digest}"),
    ];
    let mut group = criterion.benchmark_group("reference");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| texts.iter().filter(|text| Reference::parse(black_box(text)).is_ok()).count());
    });
    group.finish();
}

criterion_group!(benches, list, splicing, references);
criterion_main!(benches);
