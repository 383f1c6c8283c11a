//! Executed blocks in the form in which the store keeps them.

use ledger_format::block::Block;
use ledger_replay::{Executed, Known};
use ledger_rules::Link;
use ledger_store::{LinkRow, NewBlock, WindowRow};

/// Hands a block to the store, with all that its execution gave.
pub(crate) fn put<T>(
    block: &Block,
    executed: &Executed,
    store: impl FnOnce(&NewBlock<'_>) -> T,
) -> T {
    let links: Vec<Vec<LinkRow>> = executed.links.iter().map(|links| link_rows(links)).collect();
    let window: Vec<WindowRow> = executed.window.iter().map(window_row).collect();
    store(&NewBlock {
        height: executed.header.height,
        header: &executed.header.encode(),
        certificate: &block.certificate.encode(),
        first_leaf: executed.first_entry - u64::from(executed.header_leaf.is_some()),
        header_leaf: executed.header_leaf,
        entries: &block.body.entries,
        ids: &executed.ids,
        links: &links,
        records: &executed.records(),
        window: &window,
    })
}

/// The index rows of an entry's timelines.
fn link_rows(links: &[Link]) -> Vec<LinkRow> {
    let row = |link: &Link| {
        let key = link.key.first_chunk().copied().unwrap_or_default();
        LinkRow { key, previous: link.previous }
    };
    links.iter().map(row).collect()
}

/// The stored form of a window row.
pub(crate) fn window_row(known: &Known) -> WindowRow {
    WindowRow { key: known.key, entry: known.entry, expires_s: known.expires_s }
}
