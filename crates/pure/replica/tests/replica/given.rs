//! Blocks that others give away as decided: what makes one count, and what one that does not says of this node's own keys.

use bytes::Bytes;
use ed25519_dalek::Signer as _;
use ledger_format::block::{Block, Body};
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::entry::Entry;
use ledger_format::vote::{Certificate, VoteStep, vote_bytes};
use ledger_replica::{Action, Message};

use crate::abuse::{Begun, key_of, proposal};
use crate::several::{NAMES, genesis, prevotes};

/// What the node of the first identity does about a block that the second one gives it.
struct Given {
    ids: Vec<KeyId>,
    begun: Begun,
}

impl Given {
    fn new() -> Self {
        let begun = Begun::new();
        let ids = (0..NAMES.len()).map(|number| begun.network.identity(number)).collect();
        Self { ids, begun }
    }

    /// The next block, with precommits for this hash by these nodes.
    fn block(&self, named: Option<BlockHash>, signers: &[usize]) -> Block {
        let (block, message) = self.begun.block_of(self.begun.now_ms());
        let bytes = Bytes::copy_from_slice(message.as_body().unwrap().1);
        let (body, block) = (Body::decode(bytes).unwrap(), named.unwrap_or(block));
        let vote = vote_bytes(&genesis().id(), VoteStep::Precommit, 2, 0, Some(&block));
        let signature = |number: &usize| {
            let by = self.ids[*number];
            (by, key_of(by).sign(&vote).to_bytes())
        };
        let mut signatures: Vec<_> = signers.iter().map(signature).collect();
        signatures.sort_unstable_by_key(|(by, _)| *by);
        Block { body, certificate: Certificate { height: 2, round: 0, block, signatures } }
    }

    fn answer(&mut self, blocks: Message) -> Vec<Action> {
        let (giver, now_ms) = (self.ids[1], self.begun.now_ms());
        // Well ahead, so that it is asked at once.
        self.begun.hears(0, now_ms, &[(giver, Message::tip(5)), (giver, blocks)])
    }
}

fn is_committed(actions: &[Action]) -> bool {
    let given = actions.iter().find_map(|action| match action {
        Action::Commit(decided) => Some(decided),
        _ => None,
    });
    // It is in no log here, so that nobody may be answered before the store has it.
    assert!(given.is_none_or(|decided| !decided.is_with_quorum));
    given.is_some()
}

fn is_ended(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Twin { .. }))
}

fn is_suspected(actions: &[Action], id: KeyId) -> bool {
    actions.iter().any(|action| matches!(action, Action::Suspect { peer, .. } if *peer == id))
}

#[test]
fn a_block_counts_with_a_quorum_and_whoever_gives_it_signs_for_it() {
    // One of the validators, a quorum of the others, and who signs for the block.
    for (signers, by, counts) in [
        ([1, 2, 3].as_slice(), Some(1), true),
        (&[1, 2], Some(1), false),
        (&[1, 2, 3], None, false),
        (&[1, 2, 3], Some(2), false),
    ] {
        let mut given = Given::new();
        let block = given.block(None, signers);
        let key = by.map(|by: usize| key_of(given.ids[by]));
        let actions = given.answer(Message::blocks(&[block], key.as_ref()));
        assert_eq!(is_committed(&actions), counts, "{signers:?} {by:?}");
        assert_eq!(is_suspected(&actions, given.ids[1]), !counts, "{signers:?} {by:?}");
        // Its signature for a certificate that is none proves the lie, and no other one does.
        let is_proven = actions.iter().any(|action| matches!(action, Action::Accuse { .. }));
        assert_eq!(is_proven, signers.len() == 2, "{signers:?} {by:?}");
    }
}

/// It precommitted the block that others still decide, and whoever gives it away too early has no quorum yet: nobody else has its key.
#[test]
fn its_own_signature_on_the_block_that_is_being_decided_ends_nothing() {
    let mut given = Given::new();
    let block = given.block(None, &[0]);
    let giver = key_of(given.ids[1]);
    let actions = given.answer(Message::blocks(&[block], Some(&giver)));
    assert!(!is_committed(&actions) && !is_ended(&actions), "{actions:?}");
}

/// What it signed was the one block, and a header of another history was put beside it: it has not signed that.
#[test]
fn its_own_signature_beside_a_header_that_it_is_not_for_ends_nothing() {
    let mut given = Given::new();
    let mut block = given.block(None, &[0]);
    block.body.header.previous = [7; 32];
    let giver = key_of(given.ids[1]);
    let actions = given.answer(Message::blocks(&[block], Some(&giver)));
    assert!(!is_committed(&actions) && !is_ended(&actions), "{actions:?}");
}

#[test]
fn nobody_votes_for_a_block_with_an_entry_that_its_issuer_did_not_sign() {
    for is_signed in [true, false] {
        let mut given = Given::new();
        let (turn, now_ms) = (given.begun.turn(0), given.begun.now_ms());
        let mut bytes = given.block(None, &[]).body.entries[0].to_vec();
        if !is_signed {
            *bytes.last_mut().unwrap() ^= 1;
        }
        let entry = Entry::decode(Bytes::from(bytes)).unwrap();
        let made = given.begun.network.nodes[0].ledger.propose(turn, now_ms, &[&entry]);
        let header = made.block.unwrap().header;
        let block = header.hash();
        let body = Body { header, entries: vec![entry.bytes().clone()] };
        let said =
            [(turn, Message::body(2, body.encode())), (turn, proposal(turn, (2, 0), None, block))];
        let listener = given.ids.iter().position(|id| *id != turn).unwrap();
        let actions = given.begun.hears(listener, now_ms, &said);
        assert_eq!(prevotes(&actions), [is_signed.then_some(block)]);
        assert_eq!(is_suspected(&actions, turn), !is_signed);
    }
}
