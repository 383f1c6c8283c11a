//! Who signs twice is named, once, to everybody; who is slandered is not; and no flood makes a node remember more.

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_event::{Clock, Role};
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::evidence::{Evidence, SignedVote};
use ledger_format::vote::{VoteStep, proposal_bytes, vote_bytes};
use ledger_replica::{Action, Event, Message, Statement, StatementKind};
use ledger_story::cast::EXCHANGE;
use ledger_story::members::{misconduct_recorded, voted};
use ledger_story::{LIMITS, acts, china, genesis_with, validator_key_of};
use ledger_verify::block::proposer;

use crate::network::Network;
use crate::several::{NAMES, One, at_the_start, four, genesis};

/// Evidence that is kept against one key.
const AGAINST_ONE: usize = 16;

/// A choice: most statements name a block.
#[expect(clippy::unnecessary_wraps, reason = "what a statement takes")]
fn block(number: u8) -> Option<BlockHash> {
    Some(BlockHash([number; 32]))
}

fn key_of(id: KeyId) -> SigningKey {
    let mut keys = NAMES.map(|name| validator_key_of(name, "vote")).into_iter();
    keys.find(|key| KeyId::of(key.verifying_key().as_bytes()) == id).unwrap()
}

/// A statement in the name of one validator, signed by another or the same.
fn stated(
    (name, signer): (KeyId, KeyId),
    height: u64,
    round: u32,
    kind: StatementKind,
    block: Option<BlockHash>,
) -> Message {
    let ledger = genesis().id();
    let vote = |step| vote_bytes(&ledger, step, height, round, block.as_ref());
    let bytes = match kind {
        StatementKind::Prevote => vote(VoteStep::Prevote),
        StatementKind::Precommit => vote(VoteStep::Precommit),
        StatementKind::Proposal { valid_round } => {
            proposal_bytes(&ledger, height, round, valid_round, &block.unwrap())
        }
    };
    let signature = key_of(signer).sign(&bytes).to_bytes();
    let statement = Statement { height, round, kind, block, validator: name, signature };
    Message::stating(&statement).unwrap()
}

fn prevote(by: KeyId, height: u64, round: u32, block: Option<BlockHash>) -> Message {
    stated((by, by), height, round, StatementKind::Prevote, block)
}

/// Whom the actions accuse, and what they tell everybody of it.
fn accused(actions: &[Action]) -> Vec<KeyId> {
    let culprits = actions.iter().filter_map(|action| match action {
        Action::Accuse { culprits, .. } => Some(culprits),
        _ => None,
    });
    culprits.flatten().map(|culprit| culprit.key).collect()
}

fn told(actions: &[Action]) -> Vec<Message> {
    let told = actions.iter().filter_map(|action| match action {
        Action::Broadcast(message) if message.kind() == "evidence" => Some(message.clone()),
        _ => None,
    });
    told.collect()
}

fn suspects(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Suspect { .. })).count()
}

/// Two of four validators, of whom the second lies.
fn two() -> (One, KeyId, One) {
    let mut four = four().into_iter();
    let (first, liar) = (four.next().unwrap(), four.next().unwrap());
    (first, liar.id, four.next().unwrap())
}

#[test]
fn who_votes_twice_is_named_once_and_told_to_everybody_once() {
    let (mut first, liar, mut other) = two();
    assert!(accused(&first.hears(liar, &prevote(liar, 1, 0, block(1)))).is_empty());
    assert!(accused(&first.hears(liar, &prevote(liar, 1, 0, block(1)))).is_empty());
    let actions = first.hears(liar, &prevote(liar, 1, 0, None));
    assert_eq!(accused(&actions), [liar]);
    let [message] = told(&actions).try_into().unwrap();
    // Another node takes it in, and passes it on once.
    let from = first.id;
    let actions = other.hears(from, &Message::decode(&message.encode()).unwrap());
    assert_eq!((accused(&actions), told(&actions).len()), (vec![liar], 1));
    let actions = other.hears(from, &message);
    assert_eq!((accused(&actions).len(), told(&actions).len(), suspects(&actions)), (0, 0, 0));
    let actions = first.hears(other.id, &message);
    assert_eq!((accused(&actions).len(), told(&actions).len()), (0, 0));
}

#[test]
fn who_connects_is_told_what_is_known_and_so_is_a_node_that_starts_again() {
    let (mut first, liar, mut other) = two();
    let _first = first.hears(liar, &prevote(liar, 1, 0, block(1)));
    let actions = first.hears(liar, &prevote(liar, 1, 0, block(2)));
    let evidence = actions.iter().find_map(|action| match action {
        Action::Accuse { evidence, .. } => Some(evidence.as_ref().clone()),
        _ => None,
    });
    let evidence = evidence.unwrap();
    let sent = first.tell(Event::Connected(other.id));
    let is_evidence = |action: &Action| match action {
        Action::Send(to, message) => *to == other.id && message.kind() == "evidence",
        _ => false,
    };
    assert_eq!(sent.iter().filter(|action| is_evidence(action)).count(), 1);
    // What was kept is known after a start, and what proves nothing is not taken.
    let mut forged = evidence.clone();
    forged.height = 2;
    assert_eq!(other.replica.recall(&other.ledger, &[forged, evidence]), 1);
    let message = told(&actions).remove(0);
    assert!(accused(&other.hears(first.id, &message)).is_empty());
}

#[test]
fn nobody_is_named_for_what_others_say_in_its_name() {
    let (mut first, liar, victim) = two();
    let victim = victim.id;
    for number in 1..200 {
        let slander = stated((victim, liar), 1, 0, StatementKind::Prevote, block(number));
        // From the liar itself, and as if it came from the victim.
        for from in [liar, victim] {
            assert!(accused(&first.hears(from, &slander)).is_empty());
        }
    }
    // The slander has not taken the place of what the victim says.
    assert!(accused(&first.hears(victim, &prevote(victim, 1, 0, block(201)))).is_empty());
    assert!(accused(&first.hears(victim, &prevote(victim, 1, 0, block(201)))).is_empty());
    let actions = first.hears(victim, &prevote(victim, 1, 0, block(202)));
    assert_eq!(accused(&actions), [victim]);
}

#[test]
fn one_statement_of_each_kind_and_round_and_height_is_no_offence() {
    let (mut first, honest, _) = two();
    for height in 1..8 {
        for round in 0..20 {
            let number = u8::try_from(height * 20 + u64::from(round)).unwrap();
            for kind in [StatementKind::Prevote, StatementKind::Precommit] {
                let message = stated((honest, honest), height, round, kind, block(number));
                for _ in 0..2 {
                    assert!(accused(&first.hears(honest, &message)).is_empty());
                }
            }
        }
    }
}

#[test]
fn a_flood_of_contradictions_is_a_few_pieces_of_evidence() {
    let (mut first, liar, _) = two();
    let mut named = 0;
    for height in (0..40).chain([u64::MAX - 1, u64::MAX]) {
        for round in [0, 1, 7, u32::MAX - 1] {
            for number in 1..20 {
                let message = prevote(liar, height, round, block(number));
                named += accused(&first.hears(liar, &message)).len();
            }
        }
    }
    // One of each height that is near enough.
    assert_eq!(named, 9);
    // And of evidence that others tell, as many as are kept.
    let ledger = genesis().id();
    let evidence = |height: u64| {
        let vote = |number| {
            let bytes = vote_bytes(&ledger, VoteStep::Prevote, height, 0, block(number).as_ref());
            let signature = key_of(liar).sign(&bytes).to_bytes();
            SignedVote { block: block(number), signature }
        };
        Evidence::double_vote(ledger, height, (0, VoteStep::Prevote, liar), [vote(1), vote(2)])
    };
    let all = (1_000..1_100).map(|height| evidence(height).encode()).collect();
    let actions = first.hears(liar, &Message::evidence(all));
    assert_eq!(accused(&actions).len() + named, AGAINST_ONE);
}

#[test]
fn evidence_that_proves_nothing_names_who_tells_it_and_goes_no_further() {
    let (mut first, liar, victim) = two();
    let ledger = genesis().id();
    let vote = |number| {
        let bytes = vote_bytes(&ledger, VoteStep::Precommit, 1, 0, block(number).as_ref());
        SignedVote { block: block(number), signature: key_of(liar).sign(&bytes).to_bytes() }
    };
    let about = (0, VoteStep::Precommit, victim.id);
    let slander = Evidence::double_vote(ledger, 1, about, [vote(1), vote(2)]);
    for bytes in [slander.encode(), vec![1, 2, 3], Vec::new()] {
        let actions = first.hears(liar, &Message::evidence(vec![bytes; 3]));
        assert_eq!((suspects(&actions), told(&actions).len()), (1, 0));
        assert!(accused(&actions).is_empty());
    }
    assert!(Evidence::decode(Bytes::from(slander.encode())).is_ok());
}

#[test]
fn two_nodes_that_were_shown_different_proposals_find_out() {
    for is_covered in [false, true] {
        let (mut first, _, mut other) = two();
        let proposing = StatementKind::Proposal { valid_round: None };
        let set = first.ledger.validators();
        let ids = set.members().iter().map(|member| member.id);
        let mut liars: Vec<KeyId> = ids.filter(|id| ![first.id, other.id].contains(id)).collect();
        liars.sort_unstable();
        let [helper, turn] = liars[..] else { panic!("{liars:?}") };
        let round = (0..4).find(|round| proposer(set, 1, *round) == turn).unwrap();
        let [one, two] =
            [1, 2].map(|number| stated((turn, turn), 1, round, proposing, block(number)));
        if is_covered {
            // Another one proposes as well, out of turn.
            let _no_turn =
                first.hears(helper, &stated((helper, helper), 1, round, proposing, block(2)));
        }
        let _shown = first.hears(turn, &one);
        let _shown = other.hears(turn, &two);
        // The other one votes for what it was shown.
        let actions = first.hears(other.id, &prevote(other.id, 1, round, block(2)));
        let shown = actions.iter().find_map(|action| match action {
            Action::Send(to, message) if *to == other.id && message.statement().is_some() => {
                Some(message.clone())
            }
            _ => None,
        });
        let actions = other.hears(first.id, &shown.unwrap());
        assert_eq!(accused(&actions), [turn], "covered: {is_covered}");
    }
}

#[test]
fn of_much_that_cannot_be_judged_little_is_looked_at() {
    let ledger = genesis().id();
    let evidence = |by: KeyId, height| {
        let vote = |number| {
            let bytes = vote_bytes(&ledger, VoteStep::Prevote, height, 0, block(number).as_ref());
            let signature = key_of(two().1).sign(&bytes).to_bytes();
            SignedVote { block: block(number), signature }
        };
        Evidence::double_vote(ledger, height, (0, VoteStep::Prevote, by), [vote(1), vote(2)])
    };
    for (strangers, named) in [(7, 1), (8, 0), (4_000, 0)] {
        let (mut first, liar, other) = two();
        let unknown = (0..strangers).map(|height| evidence(KeyId([9; 32]), height).encode());
        let mut all: Vec<Vec<u8>> = unknown.collect();
        all.push(evidence(liar, 1).encode());
        let actions = first.hears(other.id, &Message::evidence(all));
        assert_eq!((accused(&actions).len(), suspects(&actions)), (named, 0), "{strangers}");
        // What is new in a later message is looked at.
        let actions = first.hears(other.id, &Message::evidence(vec![evidence(liar, 1).encode()]));
        assert_eq!(accused(&actions).len(), 1 - named);
    }
}

/// Whoever was told by an entry knows as much as whoever was told by a node: what is on the ledger is on the node's list as well.
#[test]
fn evidence_that_a_block_records_is_kept_and_told() {
    let set = genesis().message().validators.clone().unwrap();
    let genesis = genesis_with(set, 5, Clock::Wall, china("2026-08-03"), LIMITS);
    let mut network =
        Network::start(&genesis, &NAMES.map(|name| vec![validator_key_of(name, "vote")]));
    let liar = key_of_name(NAMES[1]);
    let evidence = voted(genesis.id(), NAMES[1], 1, [1, 2]);
    network.liars.insert(liar);
    let deeds = [
        acts::genesis_published(&genesis),
        misconduct_recorded(&evidence, EXCHANGE, Role::Exchange),
    ];
    for (height, deed) in (1..).zip(&deeds) {
        network.submit(&deed.seal(&at_the_start(&genesis, height)));
        network.reach(height);
    }
    assert!(network.settle(10_000));
    let mut accusers = network.accused.clone();
    accusers.sort_unstable();
    assert_eq!(accusers, [0, 1, 2, 3].map(|number| (number, liar)));
}

fn key_of_name(name: &str) -> KeyId {
    KeyId::of(validator_key_of(name, "vote").verifying_key().as_bytes())
}
