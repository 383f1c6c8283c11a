//! Checkpoints by themselves: whether validators of a ledger signed a tree head (docs/spec/checkpoint.md).

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ledger_format::digest::{KeyId, hex};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::malformed::{Kind, Malformed};
use ledger_format::note::{
    Checkpoint, Note, NoteKeyKind, NoteSignature, cosignature_message, key_id,
};
use ledger_format::validators::{Member, Validators};

use crate::block::check_root;
use crate::finding::{Code, Place, Refuted};
use crate::proof::changes_shown;
use crate::signature::verify;
use crate::verdict::{Aspect, Report, Verdict, caveats};

/// What a checkpoint is held against.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The genesis document of the trusted ledger, whose keys are sound.
    pub genesis: &'a GenesisDocument,
    /// The sets of validators since genesis, genesis' own first.
    pub sets: &'a [Validators],
    /// The certified header of the block after which the log has as many leaves as the checkpoint, if it is known.
    pub head: Option<&'a Header>,
}

/// A validator that signed a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Key id of its vote key.
    pub id: KeyId,
    /// The party that runs it.
    pub party: String,
    /// Its name in notes.
    pub name: String,
    /// Whether its log key signed.
    pub log: bool,
    /// The time that its cosigner key signed, in seconds since 1970.
    pub cosigned_s: Option<u64>,
}

/// Reads a note whose text is a checkpoint.
///
/// # Errors
/// What the format refuses.
pub fn read(bytes: &[u8]) -> Result<(Note, Checkpoint), Malformed> {
    let text = core::str::from_utf8(bytes)
        .map_err(|error| Malformed::new(Kind::Value, "note", format!("{error}")))?;
    let note = Note::decode(text)?;
    let checkpoint = Checkpoint::decode(&note.text)?;
    Ok((note, checkpoint))
}

/// The members of sets that signed a note. Lines of strangers prove nothing, and are left out.
///
/// # Errors
/// [`Code::Signature`] for a line that names a member's key and is not signed by it.
pub fn signers(note: &Note, origin: &str, sets: &[Validators]) -> Result<Vec<Signed>, Refuted> {
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    // The newest set first: a validator that changed its keys is known as it is now, and keys that it gave up are a stranger's.
    for member in sets.iter().rev().flat_map(Validators::members) {
        if !known.insert(member.id) {
            continue;
        }
        let log = line_of(note, origin, NoteKeyKind::Log, &member.log_key);
        let cosigner = format!("{}/cosigner", member.name);
        let cosigned = line_of(note, &cosigner, NoteKeyKind::Cosigner, &member.cosign_key);
        if let Some(line) = log {
            let signature = line.signature.as_slice().try_into().ok();
            check_line(member, "log", &member.log_key, note.text.as_bytes(), signature)?;
        }
        let cosigned_s = match cosigned {
            Some(line) => {
                let (time_s, signature) = line.cosignature().unzip();
                let message = cosignature_message(time_s.unwrap_or_default(), &note.text);
                check_line(member, "cosigner", &member.cosign_key, &message, signature)?;
                time_s
            }
            None => None,
        };
        if log.is_some() || cosigned_s.is_some() {
            found.push(Signed {
                id: member.id,
                party: member.party.clone(),
                name: member.name.clone(),
                log: log.is_some(),
                cosigned_s,
            });
        }
    }
    Ok(found)
}

/// The line of a key: name and key id are the key's.
fn line_of<'a>(
    note: &'a Note,
    name: &str,
    kind: NoteKeyKind,
    public_key: &[u8; 32],
) -> Option<&'a NoteSignature> {
    let id = key_id(name, kind, public_key);
    note.signatures.iter().find(|line| line.name == name && line.key_id == id)
}

fn check_line(
    member: &Member,
    key: &str,
    public_key: &[u8; 32],
    message: &[u8],
    signature: Option<[u8; 64]>,
) -> Result<(), Refuted> {
    let refuted = |why: &dyn core::fmt::Display| {
        let detail = format!("the {key} key of {} ({}): {why}", member.name, member.party);
        Refuted::new(Code::Signature, Place::default(), detail)
    };
    let signature = signature.ok_or_else(|| refuted(&"the line has another length"))?;
    verify(public_key, message, &signature).map_err(|error| refuted(&error))
}

/// Verifies a checkpoint against what is known of a trusted ledger, and names who signed it.
pub fn verify_checkpoint(bytes: &[u8], known: &Known<'_>) -> (Report, Vec<Signed>) {
    match judged(bytes, known) {
        Ok(judged) => judged,
        Err(doubt) => (Report::bare(doubt), Vec::new()),
    }
}

fn judged(bytes: &[u8], known: &Known<'_>) -> Result<(Report, Vec<Signed>), Verdict> {
    let (note, checkpoint) = read(bytes)?;
    let origin = &known.genesis.message().origin;
    if checkpoint.origin != *origin {
        let found = &checkpoint.origin;
        let reason = format!("the checkpoint is of log {found}, the trusted ledger's is {origin}");
        return Err(Verdict::TrustNotMet(reason));
    }
    let signed = signers(&note, origin, known.sets)?;
    if let Some(head) = known.head {
        // Whoever signed it: no block of the ledger ends with it.
        check_root(Code::TreeRoot, Place::block(head.height), &head.tree_root, &checkpoint.root)?;
    }
    if signed.is_empty() {
        let reason = "no validator that is known signed the checkpoint: if the validators have changed, a proof file of its height or a chain shows whose keys these are";
        return Err(Verdict::NotDetermined(reason.to_owned()));
    }
    let mut report = Report::bare(Verdict::Proven);
    for by in &signed {
        signer_lines(by, &mut report);
    }
    report.checked(
        Aspect::Integrity,
        format!(
            "the signed tree has {} leaves and the root {}",
            checkpoint.size,
            hex(&checkpoint.root)
        ),
    );
    if let Some(head) = known.head {
        let text = format!("it is the log after block {}, which a quorum certified", head.height);
        report.checked(Aspect::Quorum, text);
        report.claimed_time("the block's header says", head.time_ms);
    } else {
        one_word(&signed, known, &mut report);
        if power_of(&signed, known) == 0 {
            let reason = "only validators signed it that were removed, or gave up these keys, since: a chain, or a proof file of that height, shows whether there was such a tree";
            report.verdict = Verdict::NotDetermined(reason.to_owned());
        }
    }
    changes_shown(&mut report, known.sets.len().saturating_sub(1));
    let text = "what is in the tree, and that it extends an earlier one";
    report.unchecked(Aspect::Scope, text);
    caveats(known.genesis, known.sets, &mut report);
    Ok((report, signed))
}

fn signer_lines(by: &Signed, report: &mut Report) {
    let whose = format!("{} ({})", by.name, by.party);
    if by.log {
        report.checked(Aspect::Identity, format!("signed by the log key of {whose}"));
    }
    if let Some(time_s) = by.cosigned_s {
        report.checked(Aspect::Identity, format!("cosigned by {whose}"));
        report.claimed_time(
            format!("the cosignature of {} says", by.name),
            time_s.saturating_mul(1000),
        );
    }
}

/// Of the newest set that is known.
fn power_of(signed: &[Signed], known: &Known<'_>) -> u64 {
    known.sets.last().map_or(0, |set| set.power_of(signed.iter().map(|by| &by.id)))
}

/// What signatures of a checkpoint are worth where no certified header stands beside them.
fn one_word(signed: &[Signed], known: &Known<'_>, report: &mut Report) {
    if let Some(set) = known.sets.last() {
        let text = format!(
            "validators with power {} of {} signed it: it is their word, and no certificate of a quorum",
            power_of(signed, known),
            set.total_power()
        );
        report.unchecked(Aspect::Quorum, text);
    }
    let text =
        "whether a block ends with this tree: a chain, or a proof file of that height, shows it";
    report.unchecked(Aspect::Scope, text);
    if known.sets.len() == 1 {
        let text = "whether the validators have changed since genesis";
        report.unchecked(Aspect::Identity, text);
    }
}
