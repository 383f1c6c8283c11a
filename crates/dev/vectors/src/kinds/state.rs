//! The state trie: roots, records, absences; timelines.

use ledger_event::{RecordProof, StateProof};
use ledger_fixtures::record;
use ledger_format::digest::{EntryId, hex};
use ledger_format::message;
use ledger_format::timeline::timeline_step;
use serde_json::{Value, json};

use super::{ABSENT, GOOD, SUBJECT, chain, malformed, refuted, turned};
use crate::{Kind, Vector};

/// Roots over few records.
pub(super) fn roots() -> Kind {
    let record = |number: usize| {
        let id = format!("asset:exchange-00/item-{number}");
        json!({ "id": id, "record": hex(&message::encode(&record(&id, &[]))) })
    };
    let vector = |count: usize| {
        let records: Vec<Value> = (0..count).map(record).collect();
        Vector::new(format!("{count} records"), "", json!({ "records": records }), GOOD)
    };
    Kind {
        name: "state-root",
        description: "Roots of the state trie over records by id (state.md).",
        vectors: [0, 1, 2, 3, 5, 8, 16].into_iter().map(vector).collect(),
    }
}

fn input(proof: &RecordProof) -> Value {
    let chain = chain();
    let StateProof { leaf_key, leaf_record, bits, siblings } = proof.proof.clone().unwrap();
    json!({
        "id": proof.id, "record": hex(&proof.record), "height": 2,
        "state_root": hex(&chain.header_at(2).state_root),
        "proof": {
            "leaf_key": hex(&leaf_key), "leaf_record": hex(&leaf_record), "bits": hex(&bits),
            "siblings": hex(&siblings),
        },
    })
}

/// Proofs of records and of absence.
pub(super) fn records() -> Kind {
    let chain = chain();
    let (present, absent) = (chain.record_proof(2, SUBJECT), chain.record_proof(2, ABSENT));
    let old = chain.record_proof(1, SUBJECT);
    let bad = |name: &str, code, change: &dyn Fn(&mut RecordProof)| {
        let mut proof = present.clone();
        change(&mut proof);
        Vector::new(name, "", input(&proof), refuted(code))
    };
    let path = |proof: &mut RecordProof, change: &dyn Fn(&mut StateProof)| {
        change(proof.proof.as_mut().unwrap());
    };
    let mut absent_claimed = absent.clone();
    absent_claimed.record = present.record.clone();
    let mut uneven = present.clone();
    path(&mut uneven, &|path| path.bits = path.bits.slice(1..));
    Kind {
        name: "record-proof",
        description: "Proofs that a record, or nothing of an id, is what a state root commits to (state.md, proof.md).",
        vectors: vec![
            Vector::new("present", "", input(&present), GOOD),
            Vector::new("absent", "the path ends at another key", input(&absent), GOOD),
            bad("another record", "V_RECORD", &|proof| {
                proof.record = turned(&proof.record, 20).into();
            }),
            bad("record withheld", "V_RECORD", &|proof| proof.record = bytes::Bytes::new()),
            Vector::new("record of an absent id", "", input(&absent_claimed), refuted("V_RECORD")),
            Vector::new("of an older state", "", input(&old), refuted("V_STATE_PROOF")),
            bad("another sibling", "V_STATE_PROOF", &|proof| {
                path(proof, &|path| path.siblings = turned(&path.siblings, 3).into());
            }),
            bad("another leaf", "V_STATE_PROOF", &|proof| {
                path(proof, &|path| path.leaf_record = turned(&path.leaf_record, 3).into());
            }),
            bad("another bit", "V_STATE_PROOF", &|proof| {
                path(proof, &|path| path.bits = turned(&path.bits, 0).into());
            }),
            Vector::new("bits and siblings do not fit", "", input(&uneven), malformed("FMT_VALUE")),
        ],
    }
}

/// Timelines.
pub(super) fn timelines() -> Kind {
    let entries: Vec<EntryId> = (1..=5).map(|n| EntryId([n; 32])).collect();
    let head =
        |entries: &[EntryId]| entries.iter().fold([0; 32], |head, e| timeline_step(&head, e));
    let input = |entries: &[EntryId], count: usize, head: &[u8]| {
        let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
        json!({ "id": SUBJECT, "entries": entries, "count": count, "head": hex(head) })
    };
    let full = head(&entries);
    let mut exchanged = entries.clone();
    exchanged.swap(1, 2);
    Kind {
        name: "timeline",
        description: "Whether entries, oldest first, are all that a record's timeline commits to (state.md, timelines).",
        vectors: vec![
            Vector::new("one entry", "", input(&entries[..1], 1, &head(&entries[..1])), GOOD),
            Vector::new("five entries", "", input(&entries, 5, &full), GOOD),
            Vector::new("one left out", "", input(&entries[..4], 5, &full), refuted("V_TIMELINE")),
            Vector::new(
                "one left out, count adjusted",
                "",
                input(&entries[..4], 4, &full),
                refuted("V_TIMELINE"),
            ),
            Vector::new("two exchanged", "", input(&exchanged, 5, &full), refuted("V_TIMELINE")),
        ],
    }
}
