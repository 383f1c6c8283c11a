//! Work that keeps a node fast and is nobody's answer: merging the id index, writing snapshots. On a thread of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ledger_api::Shared;
use ledger_store::StoreError;

use crate::stored::window_row;

const POLL: Duration = Duration::from_secs(1);

/// Looks for work after each block, until `stopping`.
///
/// # Errors
/// A read or write that failed: the node must stop, as after one of a block.
pub(crate) fn run(
    shared: &Shared,
    commits: &Receiver<()>,
    stopping: &dyn Fn() -> bool,
) -> Result<(), StoreError> {
    loop {
        match commits.recv_timeout(POLL) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) if stopping() => return Ok(()),
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        match work(shared) {
            Ok(()) => {}
            Err(error @ StoreError::Io { .. }) => return Err(error),
            // Nothing is lost: indexes and snapshots only save time.
            Err(error) => tracing::error!(code = error.code(), %error, "maintenance failed"),
        }
    }
}

fn work(shared: &Shared) -> Result<(), StoreError> {
    while shared.store.merge_ids()? {
        tracing::debug!("merged runs of the id index");
    }
    if shared.store.snapshot_is_due()? {
        snapshot(shared)?;
    }
    Ok(())
}

/// Writes the state of one height while later blocks go on.
pub(crate) fn snapshot(shared: &Shared) -> Result<(), StoreError> {
    let started = Instant::now();
    let (height, window) = {
        let mut ledger = shared.ledger_mut();
        let height = ledger.height();
        ledger.pin(height);
        (height, ledger.window().rows().map(window_row).collect::<Vec<_>>())
    };
    let written = shared.store.write_snapshot(height, &window, |after, count| {
        shared.ledger().records_after(height, after, count).unwrap_or_default()
    });
    shared.ledger_mut().unpin(height);
    written?;
    tracing::info!(height, millis = started.elapsed().as_millis(), "snapshot written");
    Ok(())
}
