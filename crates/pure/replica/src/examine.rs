//! Whether a block that somebody else made may follow: its form, the signatures of its entries, and everything that its header says.
//! The same code as an auditor's.

use bytes::Bytes;
use ledger_format::block::{Block, Body};
use ledger_format::digest::EntryId;
use ledger_replay::replay::decode_entries;
use ledger_replay::{Executed, Ledger};
use ledger_verify::block::check_certificate;
use ledger_verify::entry::EntryBatch;

use crate::planted::{self, Bug};
use crate::replica::Decided;

/// Reads a body and executes it as the ledger's next block. Entries whose signatures were checked when they came, and that are the
/// same to the byte (an id is a hash of all bytes), are not checked again.
///
/// # Errors
/// Why it may not follow.
pub(crate) fn examine(
    ledger: &Ledger,
    bytes: Bytes,
    is_checked: impl Fn(&EntryId) -> bool,
) -> Result<(Body, Executed), String> {
    let body = Body::decode(bytes).map_err(|error| error.to_string())?;
    let executed = execute(ledger, &body, is_checked)?;
    Ok((body, executed))
}

fn execute(
    ledger: &Ledger,
    body: &Body,
    is_checked: impl Fn(&EntryId) -> bool,
) -> Result<Executed, String> {
    let first = ledger.tree_size().saturating_add(u64::from(ledger.height() > 0));
    let entries = decode_entries(body.header.height, first, &body.entries);
    let entries = entries.map_err(|error| error.to_string())?;
    let mut batch = EntryBatch::new();
    for (number, entry) in entries.iter().enumerate() {
        if !is_checked(&entry.id()) && !planted::is(Bug::EntriesUnchecked) {
            batch.push(number, entry, |kid| ledger.public_key(kid));
        }
    }
    if let Some((_, refuted)) = batch.verify().into_iter().next() {
        return Err(refuted.to_string());
    }
    ledger.check(body, &entries).map_err(|error| error.to_string())
}

/// Executes a decided block as the ledger's next one: as [`examine`], and its certificate.
///
/// # Errors
/// Why it may not follow.
pub(crate) fn examine_decided(
    ledger: &Ledger,
    block: Block,
    is_checked: impl Fn(&EntryId) -> bool,
) -> Result<Decided, String> {
    if !planted::is(Bug::CertificatesUnchecked) {
        check_certificate(ledger.validators(), &block.body.header, &block.certificate)
            .map_err(|error| error.to_string())?;
    }
    let executed = execute(ledger, &block.body, is_checked)?;
    Ok(Decided { block, executed })
}
