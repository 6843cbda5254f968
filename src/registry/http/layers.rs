//! A layer over HTTP: pieces of an answer on their way to a thread that unpacks and hashes them.
//! Nothing is kept; an answer that breaks off is asked for again from its beginning.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use reqwest::Method;
use tokio::sync::mpsc;

use crate::reference::Repository;
use crate::registry::content::malformed;
use crate::registry::http::auth::Read as Asked;
use crate::registry::http::client::Failure;
use crate::registry::http::endpoint::Endpoint;
use crate::registry::http::registry::{Http, Passed, success};
use crate::registry::unpack::Unpacking;
use crate::registry::{Packed, RegistryError, Target, Unpacked};

/// Pieces that may wait for the thread.
const WAITING: usize = 2;

/// What `layer` unpacks to, from the first place that has it.
pub(super) async fn unpacked(
    http: &Http,
    repository: &Repository,
    layer: Packed<'_>,
) -> Result<Unpacked, RegistryError> {
    let mut passed = Passed::default();
    for endpoint in Endpoint::all(&http.settings, repository) {
        if !endpoint.serves(Target::Digest(layer.digest)) {
            continue;
        }
        let unpacking = Unpacking::new(&endpoint.host, layer)?;
        match http.again(|| once(http, &endpoint, layer, unpacking.clone())).await {
            Err(error) if endpoint.mirror => passed.by(error)?,
            answer => return answer,
        }
    }
    Err(passed.last_word(repository))
}

async fn once(http: &Http, endpoint: &Endpoint, layer: Packed<'_>, unpacking: Unpacking) -> Result<Unpacked, Failure> {
    let path = endpoint.blob(layer.digest);
    let response = http.auth.send(endpoint, &Asked { method: Method::GET, path: &path, accept: "*/*" }).await?;
    let response = success(response).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || unpacking.read(Pieces { receiver, piece: Bytes::new() }));
    let poured = response.pour(&sender).await;
    // The end of all pieces, or the end of the thread's work where there are no more.
    drop(sender);
    let unpacked = reading.await;
    poured?;
    Ok(unpacked.map_err(|_| malformed(&endpoint.host, &format!("the layer {} can't be unpacked", layer.digest)))??)
}

/// Pieces as they come in; the end is where nobody sends any more.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
