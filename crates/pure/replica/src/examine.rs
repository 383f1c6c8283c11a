//! Whether a block that somebody else made may follow: its form, the signatures of its entries, and everything that its header says.
//! The same code as an auditor's.

use std::borrow::Cow;

use bytes::Bytes;
use ledger_format::block::{Block, Body};
use ledger_format::digest::EntryId;
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::malformed::Malformed;
use ledger_replay::replay::decode_entry;
use ledger_replay::{Executed, Ledger};
use ledger_verify::block::check_certificate;
use ledger_verify::entry::EntryBatch;
use ledger_verify::finding::{Code, Place, Refuted};

use crate::planted::{self, Bug};
use crate::replica::Decided;

/// Reads a body and executes it as the ledger's next block. Entries whose signatures were checked when they came, and that are the
/// same to the byte (an id is a hash of all bytes), are not checked again.
///
/// # Errors
/// Why it may not follow.
pub(crate) fn examine<'a>(
    ledger: &Ledger,
    bytes: Bytes,
    checked: impl Fn(&EntryId) -> Option<&'a Entry>,
) -> Result<(Body, Executed), Refuted> {
    let body = Body::decode(bytes).map_err(|malformed| broken(ledger, &malformed))?;
    let executed = execute(ledger, &body, checked)?;
    Ok((body, executed))
}

fn execute<'a>(
    ledger: &Ledger,
    body: &Body,
    checked: impl Fn(&EntryId) -> Option<&'a Entry>,
) -> Result<Executed, Refuted> {
    let first = ledger.tree_size().saturating_add(u64::from(ledger.height() > 0));
    let read = |(leaf, bytes): (u64, &Bytes)| match checked(&EntryId(leaf_hash(bytes))) {
        Some(entry) => Ok(Cow::Borrowed(entry)),
        None => decode_entry(body.header.height, leaf, bytes).map(Cow::Owned),
    };
    let entries: Vec<Cow<'_, Entry>> =
        (first..).zip(&body.entries).map(read).collect::<Result<_, _>>()?;
    let mut batch = EntryBatch::new();
    for (number, entry) in entries.iter().enumerate() {
        if matches!(entry, Cow::Owned(_)) && !planted::is(Bug::EntriesUnchecked) {
            batch.push(number, entry, |kid| ledger.public_key(kid));
        }
    }
    if let Some((number, refuted)) = batch.verify().into_iter().next() {
        let id = entries.get(number).map(|entry| entry.id()).unwrap_or_default();
        let leaf = first.saturating_add(u64::try_from(number).unwrap_or_default());
        return Err(refuted.at(Place::entry(body.header.height, leaf, id)));
    }
    ledger.check(body, &entries)
}

/// Bytes that are no block where the ledger's next one should be.
fn broken(ledger: &Ledger, malformed: &Malformed) -> Refuted {
    let place = Place::block(ledger.height().saturating_add(1));
    Refuted::new(Code::BlockForm, place, malformed.to_string())
}

/// Reads a decided block.
///
/// # Errors
/// `V_BLOCK_FORM`, where the ledger's next block should be.
pub(crate) fn read_block(ledger: &Ledger, bytes: Bytes) -> Result<Block, Refuted> {
    Block::decode(bytes).map_err(|malformed| broken(ledger, &malformed))
}

/// Executes a decided block as the ledger's next one: as [`examine`], and before that its height and its certificate.
///
/// # Errors
/// Why it may not follow.
pub(crate) fn examine_decided<'a>(
    ledger: &Ledger,
    block: Block,
    checked: impl Fn(&EntryId) -> Option<&'a Entry>,
) -> Result<Decided, Refuted> {
    let (next, header) = (ledger.height().saturating_add(1), &block.body.header);
    if header.height != next {
        return Err(Refuted::differs(Code::Height, Place::block(next), next, header.height));
    }
    if !planted::is(Bug::CertificatesUnchecked) {
        check_certificate(ledger.validators(), header, &block.certificate)?;
    }
    let executed = execute(ledger, &block.body, checked)?;
    Ok(Decided { block, executed })
}
