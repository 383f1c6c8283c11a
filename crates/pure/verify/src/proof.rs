//! Proofs that left the ledger: receipts, state proofs and proof files (docs/spec/proof.md).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::proof_file::Statement;
use ledger_event::{Anchor, EntryProof, Record, RecordProof, SetChange, StateProof, Timeline};
use ledger_format::digest::{EntryId, Hash, LedgerId, hash_from_slice, sha256};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::id::Subject;
use ledger_format::limits::MAX_STATE_PATH;
use ledger_format::malformed::{Kind, Malformed};
use ledger_format::receipt::Receipt;
use ledger_format::timeline::timeline_step;
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;
use ledger_format::{message, proof_file};
use ledger_merkle::log;
use ledger_merkle::trie::{Outcome, Proof, ProofLeaf, ProofStep};

use crate::block::{check_certificate, check_certified, check_root, unknown_version};
use crate::entry::{check_genesis_keys, check_validator_keys};
use crate::finding::{Code, Place, Refuted};
use crate::signature;
use crate::verdict::{Aspect, Report, Verdict, caveats};

/// Why a proof does not convince: any verdict but proven.
type Doubt = Verdict;

/// A header that a trusted ledger id vouches for.
#[derive(Clone, Debug)]
pub struct Anchored {
    /// The genesis document.
    pub genesis: GenesisDocument,
    /// The header.
    pub header: Header,
    /// The sets that signed, from genesis' on; the last one certified the header.
    pub sets: Vec<Validators>,
    /// Who signed it, in words.
    pub support: String,
}

impl Anchored {
    /// The set that certified the header.
    pub fn validators(&self) -> &Validators {
        self.sets.last().unwrap_or_else(|| self.genesis.validators())
    }
}

/// Checks that a header follows from a trusted ledger id: the genesis has that id, and its validators certified the header, or the
/// set to which they and those after them have certified every change.
///
/// # Errors
/// [`Verdict::TrustNotMet`] for another ledger, [`Verdict::NotDetermined`] when a change of the validators is not shown, else what
/// is malformed or refuted.
pub fn check_anchor(anchor: &Anchor, trust: &LedgerId) -> Result<Anchored, Doubt> {
    let genesis = GenesisDocument::decode(anchor.genesis.clone())?;
    if genesis.id() != *trust {
        let reason =
            format!("the proof is of ledger {}, trust was stated in {trust}", genesis.id());
        return Err(Verdict::TrustNotMet(reason));
    }
    check_genesis_keys(&genesis)?;
    let header = Header::decode(anchor.header.clone())?;
    if header.ledger != *trust {
        let place = Place::block(header.height);
        return Err(Refuted::differs(Code::HeaderLedger, place, trust, header.ledger).into());
    }
    let certificate = Certificate::decode(anchor.certificate.clone())?;
    // Before the set: a header that was changed is no evidence that the set was.
    check_certified(&header, &certificate)?;
    let changed = check_changes(&genesis, &anchor.changes)?;
    let above = changed.last().map_or(0, |(height, _)| *height);
    let first = core::iter::once(genesis.validators().clone());
    let sets: Vec<Validators> = first.chain(changed.into_iter().map(|(_, set)| set)).collect();
    let validators = sets.last().unwrap_or_else(|| genesis.validators());
    if header.validators != validators.hash() {
        let reason = "the header's validators are others than those that the proof leads to: it does not show a change";
        return Err(Verdict::NotDetermined(reason.into()));
    }
    check_above(header.height, above)?;
    let support = check_certificate(validators, &header, &certificate)?;
    check_version(&header)?;
    let support = format!(
        "{} of {} validators, power {} of {}, certified height {}",
        support.signers,
        validators.members().len(),
        support.power,
        support.total,
        header.height
    );
    Ok(Anchored { genesis, header, sets, support })
}

/// Checks how the sets since genesis follow from each other. Gives each set, with the height above which it signs.
///
/// # Errors
/// As [`check_anchor`] of its changes.
pub(crate) fn check_changes(
    genesis: &GenesisDocument,
    changes: &[SetChange],
) -> Result<Vec<(u64, Validators)>, Doubt> {
    let ledger = genesis.id();
    let mut sets: Vec<(u64, Validators)> = Vec::with_capacity(changes.len());
    for change in changes {
        let (above, before) =
            sets.last().map_or((0, genesis.validators()), |(height, set)| (*height, set));
        sets.push(check_change(change, &ledger, before, above)?);
    }
    Ok(sets)
}

/// Checks one change of the validators: the set before certified a header that names the set after. Gives the header's height and
/// the set after.
fn check_change(
    change: &SetChange,
    trust: &LedgerId,
    before: &Validators,
    above: u64,
) -> Result<(u64, Validators), Doubt> {
    let header = Header::decode(change.header.clone())?;
    let place = || Place::block(header.height);
    if header.ledger != *trust {
        return Err(Refuted::differs(Code::HeaderLedger, place(), trust, header.ledger).into());
    }
    let certificate = Certificate::decode(change.certificate.clone())?;
    check_certified(&header, &certificate)?;
    if before.hash() != header.validators {
        let reason = "the validators of a change are not those that the proof leads to";
        return Err(Verdict::NotDetermined(reason.into()));
    }
    check_above(header.height, above)?;
    check_certificate(before, &header, &certificate)?;
    check_version(&header)?;
    let after = Validators::decode(&change.validators)?;
    check_root(Code::Validators, place(), &header.next_validators, &after.hash())?;
    check_validator_keys(&after, header.height)?;
    Ok((header.height, after))
}

/// What a header of another version says, only a program that knows the version can tell.
fn check_version(header: &Header) -> Result<(), Doubt> {
    let why = unknown_version(header.height, header.protocol_version);
    why.map_or(Ok(()), |why| Err(Verdict::NotDetermined(why)))
}

/// Changes come one after the other, and before what they lead to.
fn check_above(height: u64, above: u64) -> Result<(), Refuted> {
    if height > above {
        return Ok(());
    }
    let place = Place::block(height);
    Err(Refuted::new(Code::Height, place, format!("it does not come after height {above}")))
}

/// Checks one receipt: its path leads from the leaf to `root`, and a validator's receipt key signed that root.
///
/// # Errors
/// What is refuted.
pub fn check_receipt(
    receipt: &Receipt,
    validators: &Validators,
    ledger: &LedgerId,
    entry: &EntryId,
    root: &Hash,
) -> Result<(), Refuted> {
    let place =
        || Place { entry: Some(*entry), leaf: Some(receipt.leaf_index), ..Place::default() };
    if receipt.ledger != *ledger {
        return Err(Refuted::differs(Code::HeaderLedger, place(), ledger, receipt.ledger));
    }
    let found =
        log::root_from_inclusion(&entry.0, receipt.leaf_index, receipt.tree_size, &receipt.path);
    let found =
        found.map_err(|error| Refuted::new(Code::Inclusion, place(), format!("{error}")))?;
    check_root(Code::Inclusion, place(), root, &found)?;
    let mut members = validators.members().iter();
    let member = members
        .find(|member| ledger_format::digest::KeyId::of(&member.receipt_key) == receipt.kid)
        .ok_or_else(|| Refuted::new(Code::ReceiptKey, place(), format!("key {}", receipt.kid)))?;
    let message = Receipt::signed_message(ledger, &receipt.kid, root);
    signature::verify(&member.receipt_key, &message, &receipt.signature)
        .map_err(|error| Refuted::new(Code::ReceiptSignature, place(), format!("{error}")))
}

/// Reads the path of a state proof.
///
/// # Errors
/// `FMT_VALUE` when its fields do not fit together.
pub fn decode_state_proof(proof: &StateProof) -> Result<Proof, Malformed> {
    let wrong = |detail: &str| Malformed::new(Kind::Value, "state proof", detail);
    let hashes = proof.siblings.chunks_exact(32);
    if proof.bits.len() > MAX_STATE_PATH
        || !hashes.remainder().is_empty()
        || hashes.len() != proof.bits.len()
    {
        return Err(wrong("bits and siblings do not fit together"));
    }
    let steps =
        proof.bits.iter().zip(hashes).map(|(bit, hash)| {
            Ok(ProofStep { bit: *bit, sibling: hash_from_slice("sibling", hash)? })
        });
    let path = steps.collect::<Result<Vec<_>, Malformed>>()?;
    let leaf = match (proof.leaf_key.len(), proof.leaf_record.len()) {
        (0, 0) if path.is_empty() => None,
        (32, 32) => Some(ProofLeaf {
            key: hash_from_slice("leaf key", &proof.leaf_key)?,
            record_hash: hash_from_slice("leaf record", &proof.leaf_record)?,
        }),
        _ => return Err(wrong("the leaf is incomplete")),
    };
    Ok(Proof { leaf, path })
}

/// Writes the path of a state proof.
pub fn encode_state_proof(proof: &Proof) -> StateProof {
    let part = |part: fn(&ProofLeaf) -> &Hash| {
        proof.leaf.as_ref().map_or_else(Bytes::new, |leaf| Bytes::copy_from_slice(part(leaf)))
    };
    StateProof {
        leaf_key: part(|leaf| &leaf.key),
        leaf_record: part(|leaf| &leaf.record_hash),
        bits: proof.path.iter().map(|step| step.bit).collect::<Vec<u8>>().into(),
        siblings: proof.path.iter().flat_map(|step| step.sibling).collect::<Vec<u8>>().into(),
    }
}

/// Checks that a record, or the absence of one, is what a state root commits to.
///
/// # Errors
/// What is malformed or refuted.
pub fn check_record(proof: &RecordProof, height: u64, state_root: &Hash) -> Result<(), Doubt> {
    let id = Subject::parse("record", &proof.id)?;
    let place = || Place::record(height, id.as_str());
    let path = decode_state_proof(&proof.proof.clone().unwrap_or_default())?;
    let outcome = path
        .verify(state_root, &id.state_key())
        .map_err(|error| Refuted::new(Code::StateProof, place(), format!("{error}")))?;
    match outcome {
        Outcome::Absent if proof.record.is_empty() => Ok(()),
        Outcome::Present { record_hash } if record_hash == sha256(&[&proof.record]) => {
            let record: Record = message::decode("record", &proof.record)?;
            if record.id == proof.id {
                return Ok(());
            }
            Err(Refuted::differs(Code::Record, place(), &proof.id, record.id).into())
        }
        Outcome::Absent => {
            Err(Refuted::new(Code::Record, place(), "the state has no such record").into())
        }
        Outcome::Present { .. } if proof.record.is_empty() => {
            Err(Refuted::new(Code::Record, place(), "the state has such a record").into())
        }
        Outcome::Present { .. } => {
            Err(Refuted::new(Code::Record, place(), "the state has another record of that id")
                .into())
        }
    }
}

/// Checks that entries, oldest first, are all that a record's timeline commits to.
///
/// # Errors
/// [`Code::Timeline`].
pub fn check_timeline(
    record: &str,
    timeline: &Timeline,
    entries: impl ExactSizeIterator<Item = EntryId>,
) -> Result<(), Refuted> {
    let place = || Place { record: Some(record.into()), ..Place::default() };
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    if count != timeline.count {
        return Err(Refuted::differs(Code::Timeline, place(), timeline.count, count));
    }
    let head = entries.fold([0; 32], |head, entry| timeline_step(&head, &entry));
    // Of no entries the head may be left out.
    let expected = match &timeline.head[..] {
        [] if count == 0 => [0; 32],
        stated => hash_from_slice("timeline head", stated)
            .map_err(|error| Refuted::new(Code::Timeline, place(), format!("{error}")))?,
    };
    check_root(Code::Timeline, place(), &expected, &head)
}

/// Verifies a proof file under a trusted ledger id. For the proof of an entry, `entry` is the entry's own bytes.
pub fn verify_proof_file(bytes: &Bytes, entry: Option<&Bytes>, trust: &LedgerId) -> Report {
    match try_verify(bytes, entry, trust) {
        Ok(report) => report,
        Err(doubt) => Report::bare(doubt),
    }
}

fn try_verify(bytes: &Bytes, entry: Option<&Bytes>, trust: &LedgerId) -> Result<Report, Doubt> {
    let (anchor, statement) = proof_file::decode(bytes)?;
    if let (Statement::Entry(_), Some(entry)) = (&statement, entry) {
        // What is no entry at all is the wrong file, and contradicts nothing.
        Entry::decode(entry.clone())?;
    }
    let anchored = check_anchor(&anchor, trust)?;
    let mut report = Report::bare(Verdict::Proven);
    match &statement {
        Statement::Entry(proof) => verify_entry(proof, entry, &anchored, &mut report)?,
        Statement::Record(proof) => verify_record(proof, &anchored, &mut report)?,
    }
    changes_shown(&mut report, anchor.changes.len());
    report.checked(Aspect::Quorum, anchored.support.clone());
    report.claimed_time("the block's header says", anchored.header.time_ms);
    caveats(&anchored.genesis, &anchored.sets, &mut report);
    Ok(report)
}

/// What a report says of changes of the validators that were checked.
pub(crate) fn changes_shown(report: &mut Report, changes: usize) {
    if changes > 0 {
        report.checked(
            Aspect::Quorum,
            format!("{changes} change(s) of the validators since genesis, each certified by the set before"),
        );
    }
}

fn verify_entry(
    proof: &EntryProof,
    entry: Option<&Bytes>,
    anchored: &Anchored,
    report: &mut Report,
) -> Result<(), Doubt> {
    let id = EntryId::from_slice(&proof.entry_id)?;
    if let Some(entry) = entry {
        let found = EntryId(leaf_hash(entry));
        if found != id {
            return Err(Refuted::differs(Code::OtherEntry, Place::default(), id, found).into());
        }
        report.checked(Aspect::Integrity, "the entry's bytes have the proven id");
    } else {
        let text = "only the id was proven: no entry was given to compare (--entry)";
        report.unchecked(Aspect::Scope, text);
    }
    if proof.receipts.is_empty() {
        return Err(Verdict::NotDetermined("the proof holds no receipt".into()));
    }
    let (header, validators) = (&anchored.header, anchored.validators());
    for receipt in &proof.receipts {
        let receipt = Receipt::decode(receipt)?;
        if receipt.tree_size != header.tree_size {
            let place = Place { entry: Some(id), ..Place::default() };
            let (expected, found) = (header.tree_size, receipt.tree_size);
            return Err(Refuted::differs(Code::TreeSize, place, expected, found).into());
        }
        check_receipt(&receipt, validators, &header.ledger, &id, &header.tree_root)?;
        let (leaf, size) = (receipt.leaf_index, receipt.tree_size);
        report.checked(Aspect::Integrity, format!("entry {id} is leaf {leaf} of {size}"));
    }
    let count = proof.receipts.len();
    report.checked(
        Aspect::Identity,
        format!("{count} receipt(s) signed by validators' receipt keys"),
    );
    let text = "REPLICATED with those who certified the header: to precommit a block is to say that its body is on one's disk";
    report.checked(Aspect::Quorum, text);
    let text = "whether the entry was allowed: a block with a refused entry gets no honest vote, and only replay shows it";
    report.unchecked(Aspect::Scope, text);
    Ok(())
}

fn verify_record(
    proof: &RecordProof,
    anchored: &Anchored,
    report: &mut Report,
) -> Result<(), Doubt> {
    let height = anchored.header.height;
    check_record(proof, height, &anchored.header.state_root)?;
    if proof.record.is_empty() {
        let text =
            format!("nothing of id {} exists in this ledger up to height {height}", proof.id);
        report.checked(Aspect::Integrity, text);
        return Ok(());
    }
    report.checked(
        Aspect::Integrity,
        format!("record {} is in the state after height {height}", proof.id),
    );
    let record: Record = message::decode("record", &proof.record)?;
    let count = record.timeline.map_or(0, |timeline| timeline.count);
    let text = format!(
        "its history is {count} entries: a list of them is complete if their chain ends in its head"
    );
    report.checked(Aspect::Scope, text);
    Ok(())
}
