//! What leaves the ledger: receipts, proof files, checkpoints.

use ledger_event::proof_file::Statement;
use ledger_fixtures::Chain;
use ledger_format::digest::{EntryId, LedgerId, hex};
use ledger_format::note::{Checkpoint, Note, NoteSignature, cosignature_message};
use ledger_format::proof_file::encode;
use ledger_format::receipt::Receipt;
use serde_json::{Value, json};

use super::{ABSENT, GOOD, SUBJECT, chain, cut, longer, malformed, refuted, turned};
use crate::{Kind, Vector};

/// The entry of height 2 that proofs here are about.
fn entry_of(chain: &Chain) -> (EntryId, bytes::Bytes) {
    let bytes = chain.blocks[1].body.entries[0].clone();
    (EntryId(ledger_format::entry::leaf_hash(&bytes)), bytes)
}

/// RFC 9942 receipts.
pub(super) fn receipts() -> Kind {
    let chain = chain();
    let (entry, _) = entry_of(&chain);
    let root = chain.header_at(2).tree_root;
    let raw = |leaf: &[u8; 32], root: &[u8; 32], bytes: &[u8]| {
        json!({
            "genesis": hex(chain.world.genesis.bytes()), "leaf": hex(leaf), "tree_root": hex(root),
            "bytes": hex(bytes),
        })
    };
    let input = |receipt: &Receipt| raw(&entry.0, &root, &receipt.encode());
    let good = chain.receipt(2, &entry, 0);
    let changed = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        input(&receipt)
    };
    let bytes = good.encode();
    let other_root = chain.header_at(1).tree_root;
    let mut vectors = vec![
        Vector::new("by the first validator", "", input(&good), GOOD),
        Vector::new("by the last validator", "", input(&chain.receipt(2, &entry, 3)), GOOD),
        Vector::new("another index", "", changed(&|r| r.leaf_index ^= 1), refuted("V_INCLUSION")),
        Vector::new("another size", "", changed(&|r| r.tree_size += 1), refuted("V_INCLUSION")),
        Vector::new(
            "index beyond the tree",
            "",
            changed(&|r| r.leaf_index = r.tree_size),
            refuted("V_INCLUSION"),
        ),
        Vector::new("another path", "", changed(&|r| r.path[0][0] ^= 1), refuted("V_INCLUSION")),
        Vector::new(
            "path too short",
            "",
            changed(&|r| r.path.truncate(r.path.len() - 1)),
            refuted("V_INCLUSION"),
        ),
        Vector::new("another leaf", "", raw(&[7; 32], &root, &bytes), refuted("V_INCLUSION")),
        Vector::new("another root", "", raw(&entry.0, &other_root, &bytes), refuted("V_INCLUSION")),
        Vector::new(
            "a key that is no validator's",
            "",
            changed(&|r| r.kid.0[0] ^= 1),
            refuted("V_RECEIPT_KEY"),
        ),
        Vector::new(
            "another signature",
            "",
            changed(&|r| r.signature[40] ^= 1),
            refuted("V_RECEIPT_SIGNATURE"),
        ),
        Vector::new(
            "another ledger",
            "",
            changed(&|r| r.ledger = LedgerId([1; 32])),
            refuted("V_HEADER_LEDGER"),
        ),
        Vector::new("cut", "", raw(&entry.0, &root, cut(&bytes)), malformed("FMT_TRUNCATED")),
        Vector::new("longer", "", raw(&entry.0, &root, &longer(&bytes)), malformed("FMT_TRAILING")),
    ];
    vectors.extend(super::receipts::wrong());
    Kind {
        name: "receipt",
        description: "Receipts of inclusion (RFC 9942, receipt.md) for a leaf and the tree root of a header, under a genesis document.",
        vectors,
    }
}

/// Proof files.
pub(super) fn files() -> Kind {
    let chain = chain();
    let trust = chain.world.genesis.id();
    let (entry, entry_bytes) = entry_of(&chain);
    let input = |bytes: &[u8], entry: Option<&[u8]>, trust: &LedgerId| json!({ "bytes": hex(bytes), "entry": entry.map(hex), "trust": trust.to_string() });
    let file = chain.entry_file(2, &entry);
    let (present, absent) = (chain.record_file(2, SUBJECT), chain.record_file(2, ABSENT));
    let mut anchor = chain.anchor(2);
    anchor.certificate = chain.anchor(1).certificate;
    let statement = || Statement::Entry(chain.entry_proof(2, &entry, &[0]));
    let spliced = encode(anchor, statement());
    let bare = encode(chain.anchor(2), Statement::Entry(chain.entry_proof(2, &entry, &[])));
    let older = encode(chain.anchor(1), statement());
    let given = Some(entry_bytes.as_ref());
    let header = chain.header_at(1);
    let header_leaf = chain.entry_file(2, &header.leaf());
    let header_bytes = header.encode();
    let other = chain.blocks[0].body.entries[0].clone();
    let mut vectors = vec![
        Vector::new("of an entry", "", input(&file, given, &trust), GOOD),
        Vector::new("of an entry's id alone", "", input(&file, None, &trust), GOOD),
        Vector::new("of a record", "", input(&present, None, &trust), GOOD),
        Vector::new("of an absence", "", input(&absent, None, &trust), GOOD),
        Vector::new(
            "for another entry",
            "",
            input(&file, Some(&other), &trust),
            refuted("V_OTHER_ENTRY"),
        ),
        Vector::new(
            "of a header",
            "the first leaf of a block is the header before, and no entry",
            input(&header_leaf, Some(&header_bytes), &trust),
            malformed("FMT_CBOR"),
        ),
        Vector::new(
            "another trust",
            "",
            input(&file, given, &LedgerId([1; 32])),
            ("trust not met", ""),
        ),
        Vector::new("no receipt", "", input(&bare, given, &trust), ("not determined", "")),
        Vector::new(
            "certificate of another block",
            "",
            input(&spliced, given, &trust),
            refuted("V_CERTIFICATE_BLOCK"),
        ),
        Vector::new(
            "anchor of an older block",
            "",
            input(&older, given, &trust),
            refuted("V_TREE_SIZE"),
        ),
        Vector::new("cut", "", input(cut(&file), given, &trust), malformed("FMT_PROTOBUF")),
        Vector::new(
            "other format",
            "",
            input(&turned(&file, 20), given, &trust),
            malformed("FMT_MAGIC"),
        ),
    ];
    vectors.extend(super::proof_files::wrong());
    vectors.extend(super::set_changes::files());
    Kind {
        name: "proof-file",
        description: "Proof files (proof.md): an anchor and a statement, under a trusted ledger id. `entry` is the entry's own bytes, or null.",
        vectors,
    }
}

/// C2SP checkpoints.
pub(super) fn checkpoints() -> Kind {
    let chain = chain();
    let (header, member) = (chain.header_at(2), chain.world.member(0));
    let keys = &chain.world.validators[0];
    let origin = chain.world.genesis.message().origin.clone();
    let (size, root) = (header.tree_size, header.tree_root);
    let text = Checkpoint { origin: origin.clone(), size, root }.text();
    let time_s = header.time_ms / 1000;
    let cosigner = format!("{}/cosigner", member.name);
    let cosigned = keys.cosign.sign(&cosignature_message(time_s, &text));
    let note = |text: &str, log: &[u8; 64], cosigned: &[u8; 64]| {
        let signatures = vec![
            NoteSignature::log(&origin, &member.log_key, log),
            NoteSignature::cosigner(&cosigner, &member.cosign_key, time_s, cosigned),
        ];
        Note { text: text.to_owned(), signatures }
    };
    let log = keys.log.sign(text.as_bytes());
    let input = |note: &str| -> Value {
        json!({
            "note": note,
            "keys": [
                { "name": origin, "kind": "log", "public_key": hex(&member.log_key) },
                { "name": cosigner, "kind": "cosigner", "public_key": hex(&member.cosign_key) },
            ],
        })
    };
    let good_note = note(&text, &log, &cosigned);
    let good = good_note.encode();
    let mut forged = log;
    forged[40] ^= 1;
    let mut forged_cosignature = cosigned;
    forged_cosignature[40] ^= 1;
    let mut vectors = vec![
        Vector::new("log and cosigner", "", input(&good), GOOD),
        Vector::new(
            "another log signature",
            "",
            input(&note(&text, &forged, &cosigned).encode()),
            refuted(""),
        ),
        Vector::new(
            "another cosignature",
            "",
            input(&note(&text, &log, &forged_cosignature).encode()),
            refuted(""),
        ),
        Vector::new("another size", "", input(&good.replacen("\n4\n", "\n5\n", 1)), refuted("")),
        Vector::new("without end of line", "", input(good.trim_end()), malformed("FMT_VALUE")),
        Vector::new("no signature", "", input(&text), malformed("FMT_VALUE")),
    ];
    vectors.extend(super::checkpoints::wrong(&good_note, &input));
    Kind {
        name: "checkpoint",
        description: "Checkpoints as signed notes (checkpoint.md; C2SP signed-note, tlog-checkpoint, tlog-cosignature). Every key listed must have signed.",
        vectors,
    }
}
