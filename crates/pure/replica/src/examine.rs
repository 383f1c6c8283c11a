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

/// Entries whose signatures are checked together. A batch of more is hardly cheaper.
const CHECKED_TOGETHER: usize = 512;

/// Reads a body and executes it as the ledger's next block. Entries whose signatures were checked when they came, and that are the
/// same to the byte (an id is a hash of all bytes), are not checked again; gives the others.
///
/// # Errors
/// Why it may not follow.
pub(crate) fn examine<'a>(
    ledger: &Ledger,
    bytes: Bytes,
    checked: impl Fn(&EntryId) -> Option<&'a Entry>,
) -> Result<(Body, Executed, Vec<Entry>), Refuted> {
    let body = Body::decode(bytes).map_err(|malformed| broken(ledger, &malformed))?;
    let (executed, new) = execute(ledger, &body, checked)?;
    Ok((body, executed, new))
}

fn execute<'a>(
    ledger: &Ledger,
    body: &Body,
    checked: impl Fn(&EntryId) -> Option<&'a Entry>,
) -> Result<(Executed, Vec<Entry>), Refuted> {
    let first = ledger.tree_size().saturating_add(u64::from(ledger.height() > 0));
    let ids: Vec<EntryId> = body.entries.iter().map(|bytes| EntryId(leaf_hash(bytes))).collect();
    ledger.check_outline(body, &ids)?;
    let mut entries = Vec::with_capacity(body.entries.len());
    for ((leaf, bytes), id) in (first..).zip(&body.entries).zip(&ids) {
        entries.push(match checked(id) {
            Some(entry) => Cow::Borrowed(entry),
            None => Cow::Owned(decode_entry(body.header.height, leaf, bytes)?),
        });
    }
    check_signatures(ledger, body.header.height, first, &entries)?;
    let executed = ledger.check(body, &entries)?;
    let new = entries.into_iter().filter_map(|entry| match entry {
        Cow::Owned(entry) => Some(entry),
        Cow::Borrowed(_) => None,
    });
    Ok((executed, new.collect()))
}

/// Checks the signatures of what is new in a body whose first entry is a leaf: in parts, so that one that is full of bad ones costs
/// no more than the part with the first of them.
fn check_signatures(
    ledger: &Ledger,
    height: u64,
    first: u64,
    entries: &[Cow<'_, Entry>],
) -> Result<(), Refuted> {
    if planted::is(Bug::EntriesUnchecked) {
        return Ok(());
    }
    let new: Vec<(u64, &Entry)> = (first..)
        .zip(entries)
        .filter_map(|(leaf, entry)| match entry {
            Cow::Owned(entry) => Some((leaf, entry)),
            Cow::Borrowed(_) => None,
        })
        .collect();
    for part in new.chunks(CHECKED_TOGETHER) {
        check_part(ledger, height, part)?;
    }
    Ok(())
}

fn check_part(ledger: &Ledger, height: u64, part: &[(u64, &Entry)]) -> Result<(), Refuted> {
    let keys = ledger.public_keys(part.iter().map(|(_, entry)| *entry));
    let mut batch = EntryBatch::new();
    for (number, (_, entry)) in part.iter().enumerate() {
        batch.push(number, entry, |kid| keys.get(kid).copied().flatten());
    }
    let Some((number, refuted)) = batch.verify().into_iter().next() else { return Ok(()) };
    let Some((leaf, entry)) = part.get(number) else { return Err(refuted) };
    Err(refuted.at(Place::entry(height, *leaf, entry.id())))
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
    let (executed, _new) = execute(ledger, &block.body, checked)?;
    Ok(Decided { block, executed, is_with_quorum: false })
}
