//! Proofs that somebody else made: whatever their bytes are, the answer is a verdict, and spoiled ones are never proven.

use bytes::Bytes;
use ledger_event::{Clock, Genesis, ProofFile, RecordProof, StateProof, Timeline};
use ledger_fixtures::{Chain, Key, Rng, World, claims, record, sign, summary};
use ledger_format::digest::{EntryId, LedgerId};
use ledger_format::entry::Entry;
use ledger_format::id::state_key;
use ledger_format::limits::MAX_PROOF_BYTES;
use ledger_format::message;
use ledger_merkle::trie::Trie;
use ledger_verify::finding::Code;
use ledger_verify::proof::{
    check_record, check_timeline, decode_state_proof, encode_state_proof, verify_proof_file,
};
use ledger_verify::verdict::Verdict;

/// A chain of one validator with an entry, and a state of some records.
fn chain() -> (Chain, Entry) {
    let world = World::new("hostile", &[1], Clock::Wall);
    let mut chain = Chain::new(world);
    let ledger = chain.world.genesis.id();
    let key = Key::named("hostile issuer");
    let claims = claims(ledger, "supplier", "asset:supplier/rain", "hostile");
    let entry = sign(&key, &[], claims, &summary());
    let records: Vec<_> =
        (0..20).map(|number| record(&format!("asset:supplier/a{number}"), &[entry.id()])).collect();
    chain.push(&[&entry], &records);
    (chain, entry)
}

fn proven(bytes: &Bytes, entry: Option<&Bytes>, trust: &LedgerId) -> bool {
    verify_proof_file(bytes, entry, trust).verdict == Verdict::Proven
}

#[test]
fn no_spoiled_proof_file_is_proven() {
    let (chain, entry) = chain();
    let trust = chain.world.genesis.id();
    let files = [
        (chain.entry_file(1, &entry.id()), Some(entry.bytes())),
        (chain.record_file(1, "asset:supplier/a7"), None),
        (chain.record_file(1, "asset:supplier/none"), None),
    ];
    let mut rng = Rng(1);
    for (file, entry) in files {
        assert!(proven(&file, entry, &trust));
        for byte in 0..file.len() {
            let mut flipped = file.to_vec();
            flipped[byte] ^= 1 << rng.below(8);
            assert!(!proven(&flipped.into(), entry, &trust), "byte {byte}");
        }
        for length in 0..file.len() {
            assert!(!proven(&file.slice(..length), entry, &trust));
        }
        for _ in 0..3_000 {
            let mut spoiled = file.to_vec();
            rng.mutate(&mut spoiled, 5);
            let same = spoiled == file;
            assert!(same || !proven(&spoiled.into(), entry, &trust));
        }
    }
    for _ in 0..3_000 {
        assert!(!proven(&rng.some_bytes(400).into(), None, &trust));
    }
    let long = Bytes::from(vec![0; MAX_PROOF_BYTES + 1]);
    assert!(!proven(&long, None, &trust));
}

/// A path of any shape.
fn some_path(rng: &mut Rng) -> StateProof {
    let steps = rng.below(300);
    let length = |rng: &mut Rng| *rng.pick(&[0, 0, 31, 32, 32, 32, 33, 64]);
    let mut bits: Vec<u8> = (0..steps).map(|_| rng.bytes::<1>()[0]).collect();
    if rng.once_in(2) {
        bits.sort_unstable();
        bits.dedup();
    }
    let siblings = if rng.once_in(3) { rng.below(10_000) } else { bits.len() * 32 };
    StateProof {
        leaf_key: vec![rng.bytes::<1>()[0]; length(rng)].into(),
        leaf_record: vec![3; length(rng)].into(),
        bits: bits.into(),
        siblings: vec![7; siblings].into(),
    }
}

#[test]
fn paths_of_any_shape_are_refused_or_come_back() {
    let mut rng = Rng(2);
    let mut read = 0;
    for _ in 0..20_000 {
        let path = some_path(&mut rng);
        match decode_state_proof(&path) {
            Ok(proof) => {
                read += 1;
                assert_eq!(encode_state_proof(&proof), path);
                assert!(proof.path.len() <= 256);
                assert!(proof.verify(&rng.bytes(), &rng.bytes()).is_err());
            }
            Err(malformed) => assert_eq!(malformed.code(), "FMT_VALUE"),
        }
        let id = "asset:supplier/rain".to_owned();
        let proof = RecordProof { id, record: rng.some_bytes(50).into(), proof: Some(path) };
        assert!(check_record(&proof, 1, &rng.bytes()).is_err());
    }
    assert!(read > 1_000, "{read}");
    for id in ["", "rain", "asset:", ":", "asset:Rain"] {
        let proof = RecordProof { id: id.into(), ..RecordProof::default() };
        assert!(check_record(&proof, 1, &[0; 32]).is_err(), "{id}");
    }
}

/// Good parts of different proofs, put together in one file.
#[test]
fn parts_of_different_proofs_do_not_make_one() {
    let (chain, entry) = chain();
    let (trust, genesis) = (chain.world.genesis.id(), chain.world.genesis.clone());
    let other = World::new("other", &[1], Clock::Wall);
    let read = |file: &Bytes| message::decode::<ProofFile>("proof file", file).unwrap();
    let one = read(&chain.entry_file(1, &entry.id()));
    let two = read(&chain.record_file(1, "asset:supplier/a7"));
    let three = read(&chain.record_file(1, "asset:supplier/a8"));
    // The anchor is the same for all: what is stated about it may be exchanged.
    let mixed = ProofFile { anchor: one.anchor.clone(), ..two.clone() };
    assert!(proven(&message::encode(&mixed).into(), None, &trust));
    // The anchor of another ledger, or no anchor, or no statement.
    let mut foreign = two.clone();
    foreign.anchor.as_mut().unwrap().genesis = other.genesis.bytes().clone();
    assert!(!proven(&message::encode(&foreign).into(), None, &trust));
    assert!(!proven(&message::encode(&foreign).into(), None, &other.genesis.id()));
    for bare in
        [ProofFile { anchor: None, ..two.clone() }, ProofFile { statement: None, ..two.clone() }]
    {
        assert!(!proven(&message::encode(&bare).into(), None, &genesis.id()));
    }
    // The path of one record with the id or the bytes of another.
    let part = |file: &ProofFile| match &file.statement {
        Some(ledger_event::proof_file::Statement::Record(proof)) => proof.clone(),
        _ => RecordProof::default(),
    };
    let (a7, a8) = (part(&two), part(&three));
    for mixed in [
        RecordProof { id: a8.id.clone(), ..a7.clone() },
        RecordProof { record: a8.record.clone(), ..a7.clone() },
        RecordProof { proof: a8.proof.clone(), ..a7.clone() },
        RecordProof { record: Bytes::new(), ..a7 },
    ] {
        let statement = Some(ledger_event::proof_file::Statement::Record(mixed));
        let file = ProofFile { statement, ..two.clone() };
        assert!(!proven(&message::encode(&file).into(), None, &trust));
    }
}

fn code(bytes: &Bytes, trust: &LedgerId) -> Code {
    match verify_proof_file(bytes, None, trust).verdict {
        Verdict::Refuted(refuted) => refuted.code,
        other => panic!("{other:?}"),
    }
}

/// Trust is in a hash, and that of a genesis document with an unsound key is as good as any other.
#[test]
fn a_genesis_with_a_weak_key_anchors_nothing() {
    let weak = Bytes::from_static(&[0; 32]);
    let of_founder = |genesis: &mut Genesis| genesis.founders[0].keys[1].public_key = weak.clone();
    let of_validator = |genesis: &mut Genesis| {
        genesis.validators.as_mut().unwrap().validators[0].receipt_key = weak.clone();
    };
    let changes: [&dyn Fn(&mut Genesis); 2] = [&of_founder, &of_validator];
    for change in changes {
        let mut chain = Chain::new(World::with("weak", &[1], change));
        chain.push(&[], &[record("asset:supplier/rain", &[])]);
        let file = chain.record_file(1, "asset:supplier/rain");
        assert_eq!(code(&file, &chain.world.genesis.id()), Code::WeakKey);
    }
}

/// What a state holds under an id is the record of that id, whoever certified the root.
#[test]
fn a_record_of_another_id_in_its_place_is_refused() {
    let (id, other) = ("asset:supplier/rain", message::encode(&record("asset:supplier/snow", &[])));
    let trie = Trie::from_sorted([(state_key(id), other.clone().into_boxed_slice())]).unwrap();
    let path = trie.prove(trie.tip(), &state_key(id)).unwrap();
    let proof = Some(encode_state_proof(&path));
    let proof = RecordProof { id: id.to_owned(), record: other.into(), proof };
    let verdict = check_record(&proof, 1, &trie.tip().root()).unwrap_err();
    assert_eq!(verdict.code(), Some("V_RECORD"));
}

#[test]
fn a_timeline_of_another_length_is_refused_whatever_its_head() {
    let entries = [EntryId([1; 32]), EntryId([2; 32])];
    let timeline = record("asset:supplier/rain", &entries).timeline.unwrap();
    let code = |timeline: &Timeline| {
        let checked = check_timeline("asset:supplier/rain", timeline, entries.into_iter());
        checked.map_err(|refuted| refuted.code)
    };
    assert_eq!(code(&timeline), Ok(()));
    let longer = Timeline { count: 3, ..timeline };
    assert_eq!(code(&longer), Err(Code::Timeline));
}

#[test]
fn the_head_of_a_timeline_has_32_bytes_and_of_no_entries_may_be_left_out() {
    for (bytes, expected) in
        [(0, Ok(())), (32, Ok(())), (31, Err(Code::Timeline)), (33, Err(Code::Timeline))]
    {
        let timeline = Timeline { head: vec![0; bytes].into(), ..Timeline::default() };
        let checked = check_timeline("validators:current", &timeline, [].into_iter());
        assert_eq!(checked.map_err(|refuted| refuted.code), expected, "{bytes} bytes");
    }
}
