//! Places for streams that keep something of the node for as long as they last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_stream::{Stream, StreamExt as _};

use crate::held::{Bounds, Held, Share};
use crate::problem::Problem;

/// How long a client is asked to wait for a place.
const RETRY: Duration = Duration::from_secs(1);

/// So many streams of one kind at a time, and half as many of one address: one caller leaves others room.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Held>);

impl Places {
    pub(crate) fn new(what: &'static str, count: usize) -> Self {
        let share = count / 2;
        let bounds = Bounds { server: count, address: share, connection: share, assured: 0 };
        Self(Held::new(what, bounds))
    }

    /// A place, until it is dropped.
    ///
    /// # Errors
    /// `API_BUSY` when all that the caller may have are taken: nobody waits for one.
    pub(crate) fn take(&self, source: Option<SocketAddr>) -> Result<Share, Problem> {
        let mut place = self.0.share(source);
        place.hold(1).map_err(|detail| Problem::busy(detail).retry(RETRY))?;
        Ok(place)
    }
}

/// A stream that keeps its place until it is dropped. What is made for it and not read yet waits for as long, so that whoever asks for
/// little and never reads it has a place too.
pub(crate) fn kept<T>(place: Share, stream: impl Stream<Item = T>) -> impl Stream<Item = T> {
    stream.map(move |item| {
        let _kept = &place;
        item
    })
}
