//! How a command asks registries: the one runtime, with a bar, and warnings of what will not be granted much longer.

use std::future::Future;

use anyhow::Context as _;
use plimsoll::gate::Request;
use plimsoll::reference::Reference;
use plimsoll::source::Subject;

use super::print;
use super::quota::Watch;

/// Runs what asks registries.
pub(crate) fn wait<F: Future>(asked: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("can't start the network runtime")?;
    Ok(runtime.block_on(asked))
}

/// Runs what asks registries, to its end, and warns on the way of what they will not grant much longer.
pub(crate) fn watched<T>(
    watch: &Watch<'_>,
    quiet: bool,
    verbose: bool,
    asking: impl AsyncFnOnce(&(dyn Fn(usize, usize) + Sync)) -> T,
) -> anyhow::Result<T> {
    let bar = print::progress(quiet);
    let outcome = wait(asking(&|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        watch.look(&bar);
    }))?;
    watch.look(&bar);
    bar.finish_and_clear();
    if verbose {
        watch.all();
    }
    Ok(outcome)
}

/// The images that a run may ask for.
pub(crate) fn references<'a>(request: &'a Request<'_>) -> impl Iterator<Item = &'a Reference> {
    let occurrences = request.files.iter().flat_map(|file| &file.found.occurrences);
    occurrences.filter_map(|occurrence| match &occurrence.subject {
        Subject::Image(reference) => Some(reference),
        _ => None,
    })
}
