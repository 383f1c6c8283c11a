//! Places for streams that keep something of the node for as long as they last.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::{Stream, StreamExt as _};

use crate::problem::Problem;

/// How long a client is asked to wait for a place.
const RETRY: Duration = Duration::from_secs(1);

/// So many streams of one kind at a time.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    what: &'static str,
    count: usize,
    free: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(what: &'static str, count: usize) -> Self {
        Self { what, count, free: Arc::new(Semaphore::new(count)) }
    }

    /// A place, until it is dropped.
    ///
    /// # Errors
    /// `API_TOO_MANY` when all are taken: nobody waits for one.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let Self { what, count, free } = self;
        let full = |_taken| Problem::too_many(format!("{count} {what} are under way")).retry(RETRY);
        Arc::clone(free).try_acquire_owned().map_err(full)
    }
}

/// A stream that keeps its place until it is dropped. What is made for it and not read yet waits for as long, so that whoever asks for
/// little and never reads it has a place too.
pub(crate) fn kept<T>(
    place: OwnedSemaphorePermit,
    stream: impl Stream<Item = T>,
) -> impl Stream<Item = T> {
    stream.map(move |item| {
        let _kept = &place;
        item
    })
}
