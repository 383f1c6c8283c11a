//! Work that keeps a node fast and is nobody's answer: merging the id index, writing snapshots, noting the last block for whoever looks
//! at the directory when the node is gone. On a thread of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ledger_api::{Head, Shared};
use ledger_store::{Noted, StoreError};

use crate::replica_loop::now_ms;
use crate::stored::window_row;

const POLL: Duration = Duration::from_secs(1);
/// How long a note of the last block stands while others come. Each costs two syncs.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// Looks for work after each block, until `stopping`.
///
/// # Errors
/// A read or write that failed: the node must stop, as after one of a block.
pub(crate) fn run(
    shared: &Shared,
    commits: &Receiver<()>,
    stopping: &dyn Fn() -> bool,
) -> Result<(), StoreError> {
    let (mut noted, mut noted_at) = (note(shared, false)?, Instant::now());
    loop {
        let commit = commits.recv_timeout(POLL);
        if noted != shared.head().height && noted_at.elapsed() >= NOTE_EVERY {
            (noted, noted_at) = (note(shared, false)?, Instant::now());
        }
        match commit {
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

/// Notes the last block beside the store once that has it on disk, and gives its height. Nothing depends on the note: one that cannot
/// be written stops nobody.
///
/// # Errors
/// What keeps the store from having the block.
pub(crate) fn note(shared: &Shared, has_ended: bool) -> Result<u64, StoreError> {
    let Head { height, tree_size, time_ms } = shared.head();
    shared.store.flush()?;
    let noted = Noted { height, tree_size, time_ms, noted_ms: now_ms(), has_ended };
    if let Err(error) = noted.write(shared.store.directory().path()) {
        tracing::warn!(code = error.code(), %error, "the last block cannot be noted for `status`");
    }
    Ok(height)
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
        if !ledger.pin(height) {
            return Ok(());
        }
        (height, ledger.window().rows().map(window_row).collect::<Vec<_>>())
    };
    let written = shared.store.write_snapshot(height, &window, |after, count| {
        shared.ledger().records_after(height, after, count)
    });
    shared.ledger_mut().unpin(height);
    let millis = started.elapsed().as_millis();
    if written? {
        tracing::info!(height, millis, "snapshot written");
    } else {
        tracing::warn!(height, millis, "no snapshot written: its height is no longer kept");
    }
    Ok(())
}
