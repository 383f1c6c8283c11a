//! Blocks that were changed after they were signed, and blocks that a validator signed although it should not have: each is
//! found, with the code that says what is wrong and the height, leaf and entry where.

use bytes::Bytes;
use ed25519_dalek::Signer as _;
use ledger_event::Clock;
use ledger_fixtures::World;
use ledger_format::block::Block;
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::header::Header;
use ledger_format::vote::Certificate;
use ledger_replay::Replay;
use ledger_story::cast::signing_key;
use ledger_verify::finding::{Code, Place, Refuted};

use crate::chain::{Chain, certificate, certified, read, told};

/// What a reader has against the chain with one block exchanged.
fn judged(chain: &Chain, number: usize, block: Block) -> Option<Refuted> {
    // One block follows, which may not fit any more.
    let mut blocks = chain.blocks[..chain.blocks.len().min(number + 2)].to_vec();
    blocks[number] = block;
    read(chain.genesis(), &blocks).err()
}

/// The same, where something must be wrong.
fn with(chain: &Chain, number: usize, block: Block) -> Refuted {
    judged(chain, number, block).unwrap()
}

type Change = fn(&mut Header);

/// Every field of a header, changed alone.
const FIELDS: [(Change, Code); 13] = [
    (|header| header.protocol_version += 1, Code::Version),
    (|header| header.ledger.0[31] ^= 1, Code::HeaderLedger),
    (|header| header.height += 1, Code::Height),
    (|header| header.height -= 1, Code::Height),
    (|header| header.previous[0] ^= 1, Code::Previous),
    (|header| header.time_ms = 0, Code::Time),
    (|header| header.proposer.0[7] ^= 1, Code::Proposer),
    (|header| header.tree_size += 1, Code::TreeSize),
    (|header| header.tree_size -= 1, Code::TreeSize),
    (|header| header.tree_root[0] ^= 1, Code::TreeRoot),
    (|header| header.state_root[31] ^= 128, Code::StateRoot),
    (|header| header.validators[1] ^= 1, Code::Validators),
    (|header| header.next_validators[1] ^= 1, Code::Validators),
];

#[test]
fn every_field_of_a_header_is_checked_though_validators_signed_it() {
    for clock in [Clock::Wall, Clock::Declared] {
        let chain = Chain::of(told(clock));
        for (number, block) in chain.blocks.iter().enumerate() {
            for (field, (change, code)) in FIELDS.iter().enumerate() {
                let mut body = block.body.clone();
                change(&mut body.header);
                let height = block.body.header.height;
                let expected = Place::block(height);
                let unsigned = Block { body: body.clone(), certificate: block.certificate.clone() };
                // The height is looked at before all else, since every finding is named by it.
                let first = if *code == Code::Height { *code } else { Code::CertificateBlock };
                assert_eq!(with(&chain, number, unsigned).code, first);
                let found = with(&chain, number, certified(body));
                assert_eq!((found.code, *found.place), (*code, expected), "field {field}");
            }
        }
    }
}

#[test]
fn times_that_are_no_choice_of_the_proposer_are_checked() {
    for clock in [Clock::Wall, Clock::Declared] {
        let chain = Chain::of(told(clock));
        for (number, block) in chain.blocks.iter().enumerate() {
            for move_ms in [-1_i64, 1, 1000] {
                let mut body = block.body.clone();
                let header = &mut body.header;
                header.time_ms = header.time_ms.checked_add_signed(move_ms).unwrap();
                let found = judged(&chain, number, certified(body)).map(|found| found.code);
                if number == 0 || clock == Clock::Declared {
                    assert_eq!(found, Some(Code::Time));
                } else if number + 1 < chain.blocks.len() {
                    // A proposer's choice, but what follows was made for another.
                    let expected = [Code::Time, Code::StateRoot, Code::Previous];
                    assert!(found.is_some_and(|code| expected.contains(&code)), "{found:?}");
                }
            }
        }
    }
}

#[test]
fn a_certificate_counts_only_for_its_block_by_its_validators() {
    let chain = Chain::of(told(Clock::Wall));
    let last = chain.blocks.len() - 1;
    for number in [0, 1, last] {
        let block = &chain.blocks[number];
        let header = &block.body.header;
        let try_on = |change: &dyn Fn(&mut Certificate)| {
            let mut block = block.clone();
            change(&mut block.certificate);
            let found = with(&chain, number, block);
            assert_eq!(*found.place, Place::block(header.height));
            found.code
        };
        assert_eq!(try_on(&|c| c.height += 1), Code::CertificateBlock);
        assert_eq!(try_on(&|c| c.block = BlockHash([1; 32])), Code::CertificateBlock);
        assert_eq!(try_on(&|c| c.round += 1), Code::CertificateSignature);
        assert_eq!(try_on(&|c| c.signatures.clear()), Code::Quorum);
        for byte in 0..64 {
            let code = try_on(&|c| c.signatures[0].1[byte] ^= 4);
            assert_eq!(code, Code::CertificateSignature);
        }
        assert_eq!(try_on(&|c| c.signatures[0].0 = KeyId([3; 32])), Code::CertificateSigner);
        let outsider = signing_key("outsider");
        let id = KeyId::of(&outsider.verifying_key().to_bytes());
        let message = block.certificate.signed_bytes(&header.ledger);
        let signature = outsider.sign(&message).to_bytes();
        // Beside the validator's own signature as well as instead of it.
        assert_eq!(try_on(&|c| c.signatures.push((id, signature))), Code::CertificateSigner);
        assert_eq!(try_on(&|c| c.signatures = vec![(id, signature)]), Code::CertificateSigner);
        // The validator's vote for the same block on another ledger.
        let mut elsewhere = header.clone();
        elsewhere.ledger.0[0] ^= 1;
        let stolen = Certificate { block: header.hash(), ..certificate(&elsewhere) };
        assert_eq!(try_on(&|c| *c = stolen.clone()), Code::CertificateSignature);
    }
}

#[test]
fn blocks_follow_each_other_without_gap_or_repetition() {
    let chain = Chain::of(told(Clock::Wall));
    let code = |blocks: &[Block]| read(chain.genesis(), blocks).err().unwrap().code;
    let blocks = &chain.blocks;
    for number in 0..blocks.len() - 1 {
        let mut gap = blocks.clone();
        gap.remove(number);
        assert_eq!(code(&gap), Code::Height);
        let mut twice = blocks.clone();
        twice.insert(number, blocks[number].clone());
        assert_eq!(code(&twice), Code::Height);
        let mut swapped = blocks.clone();
        swapped.swap(number, number + 1);
        assert_eq!(code(&swapped), Code::Height);
    }
    assert_eq!(code(&[]), Code::Genesis);
    // Of another ledger with the same founders and the same validator.
    let other = Chain::of(told(Clock::Declared));
    assert_eq!(code(&other.blocks), Code::HeaderLedger);
}

#[test]
fn entries_cannot_be_dropped_moved_or_cut() {
    let chain = Chain::of(told(Clock::Wall));
    for number in [0, 1] {
        let body = &chain.blocks[number].body;
        let height = Some(body.header.height);
        let try_on = |change: &dyn Fn(&mut Vec<Bytes>)| {
            let mut body = body.clone();
            change(&mut body.entries);
            let found = with(&chain, number, certified(body));
            assert_eq!(found.place.height, height);
            found.code
        };
        let last = body.entries.len() - 1;
        assert_eq!(try_on(&|entries| drop(entries.pop())), Code::TreeSize);
        assert_eq!(try_on(&|entries| entries.swap(last, last - 1)), Code::TreeRoot);
        assert_eq!(try_on(&|entries| entries.push(entries[last].clone())), Code::Duplicate);
        assert_eq!(try_on(&Vec::clear), Code::BlockLimits);
        for cut in [0, 1, 100] {
            let shorten = |entries: &mut Vec<Bytes>| entries[last].truncate(cut);
            assert_eq!(try_on(&shorten), Code::EntryForm);
        }
    }
}

#[test]
fn records_beside_the_chain_are_the_whole_state_in_order() {
    let chain = Chain::of(told(Clock::Wall));
    let stored = chain.stored(chain.ledger.height());
    let code = |records: &[Vec<u8>]| {
        let mut replay = Replay::resume(stored.restore().unwrap());
        let checked =
            records.iter().try_for_each(|record| replay.check_record(&record.clone().into()));
        let found = checked.and_then(|()| replay.finish().map(drop)).err();
        found.map(|found| {
            assert_eq!(found.place.height, Some(chain.ledger.height()));
            (found.code, found.place.record.is_some())
        })
    };
    let good: Vec<Vec<u8>> = stored.records.iter().map(|(_, record)| record.clone()).collect();
    assert_eq!(code(&good), None);
    for number in 0..good.len() {
        let mut missing = good.clone();
        missing.remove(number);
        assert_eq!(code(&missing), Some((Code::Record, false)));
        let mut twice = good.clone();
        twice.insert(number, good[number].clone());
        assert_eq!(code(&twice), Some((Code::Record, true)));
        if number > 0 {
            let mut swapped = good.clone();
            swapped.swap(number, number - 1);
            assert_eq!(code(&swapped), Some((Code::Record, true)));
        }
        for byte in (0..good[number].len()).step_by(7) {
            let mut altered = good.clone();
            altered[number][byte] ^= 1;
            assert!(code(&altered).is_some_and(|(code, _)| code == Code::Record));
        }
    }
}

/// Its hash may be trusted: nobody asked whether its keys are sound.
#[test]
fn no_chain_begins_with_a_weak_key() {
    let weak = || Bytes::from_static(&[0; 32]);
    let founder =
        World::with("weak", &[1], |genesis| genesis.founders[0].keys[0].public_key = weak());
    let validator = World::with("weak", &[1], |genesis| {
        genesis.validators.as_mut().unwrap().validators[0].vote_key = weak();
    });
    for world in [founder, validator] {
        assert_eq!(Replay::new(world.genesis).unwrap_err().code, Code::WeakKey);
    }
}
