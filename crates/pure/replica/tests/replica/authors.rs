//! Under whose name blocks are proposed: a validator signs for no other's block, and what liars propose spoils nobody's.

use ledger_format::digest::{BlockHash, KeyId};
use ledger_replica::{Action, Message, Statement, StatementKind};

use crate::abuse::{Begun, prevote, proposal};
use crate::several::{NAMES, prevotes};

/// A validator whose turn is in none of these rounds.
fn bystander(begun: &Begun, rounds: &[u32]) -> usize {
    let turns: Vec<KeyId> = rounds.iter().map(|round| begun.turn(*round)).collect();
    let is_other = |number: &usize| !turns.contains(&begun.network.identity(*number));
    (0..NAMES.len()).find(is_other).unwrap()
}

/// Which blocks a validator proposes.
fn proposals(actions: &[Action], by: KeyId) -> Vec<BlockHash> {
    let proposed = actions.iter().filter_map(|action| match action {
        Action::Broadcast(message) => message.statement(),
        _ => None,
    });
    let own = proposed
        .filter(|said| said.validator == by && matches!(said.kind, StatementKind::Proposal { .. }));
    own.filter_map(|said| said.block).collect()
}

fn accused(actions: &[Action]) -> Vec<KeyId> {
    let culprits = actions.iter().filter_map(|action| match action {
        Action::Accuse { culprits, .. } => Some(culprits.iter().map(|culprit| culprit.key)),
        _ => None,
    });
    culprits.flatten().collect()
}

#[test]
fn nobody_proposes_a_block_under_anothers_name() {
    for is_claimed in [false, true] {
        let mut begun = Begun::new();
        let (named, liar, now_ms) = (begun.turn(0), begun.turn(1), begun.now_ms());
        // Who is named has made it, and told it to the liar alone.
        let (block, body) = begun.block_of(now_ms);
        let mut said = vec![(liar, body)];
        if is_claimed {
            said.push((liar, proposal(liar, (2, 5), Some(0), block)));
        }
        let victim = (0..NAMES.len()).find(|number| {
            let id = begun.network.identity(*number);
            id != named && id != liar
        });
        let victim = victim.unwrap();
        let others = begun.all_but(victim);
        // The first round is over.
        said.extend(others.iter().take(2).map(|by| (*by, prevote(*by, (2, 1), None))));
        said.push((liar, proposal(liar, (2, 1), None, block)));
        let actions = begun.hears(victim, now_ms, &said);
        assert_eq!(prevotes(&actions), [None], "claimed: {is_claimed}");
    }
}

/// In a process that goes on, whatever another one made is named by a proposal. So it has to be after a restart.
#[test]
fn what_a_liar_made_under_its_name_is_not_its_own_after_a_restart() {
    let mut begun = Begun::new();
    let (liar, named, now_ms) = (begun.turn(0), begun.turn(1), begun.now_ms());
    let number = begun.network.number_of(&named).unwrap();
    let (block, body) = begun.block_by(named, now_ms);
    let said = [(liar, body), (liar, proposal(liar, (2, 0), None, block))];
    let before = begun.hears(number, now_ms, &said);
    assert_eq!(prevotes(&before), [None]);
    let mut actions = begun.starts_again(number, before);
    // Its turn comes, with the entry of the liar's block in its pool.
    let others = begun.all_but(number);
    let skip: Vec<_> = others.iter().map(|by| (*by, prevote(*by, (2, 1), None))).collect();
    actions.extend(begun.hears(number, now_ms + 5, &skip[..2]));
    let made = proposals(&actions, named);
    assert!(!made.is_empty() && !made.contains(&block), "{made:?}");
}

#[test]
fn a_liar_that_proposes_a_block_again_keeps_nobody_from_voting_for_it_in_the_next_round() {
    let mut begun = Begun::new();
    let now_ms = begun.now_ms();
    let (liar, honest) = (begun.turn(1), begun.turn(2));
    let victim = bystander(&begun, &[0, 1, 2]);
    let others = begun.all_but(victim);
    let all = |round: u32, block: Option<BlockHash>| {
        others.iter().map(move |by| (*by, prevote(*by, (2, round), block)))
    };
    let (block, body) = begun.block_of(now_ms);
    let mut said: Vec<_> = all(1, None).take(2).collect();
    said.extend([(liar, body), (liar, proposal(liar, (2, 1), None, block))]);
    said.extend(all(2, None).take(2).chain(all(0, Some(block))));
    said.push((honest, proposal(honest, (2, 2), Some(0), block)));
    assert_eq!(prevotes(&begun.hears(victim, now_ms, &said)), [None, Some(block)]);
}

#[test]
fn what_was_heard_before_a_restart_still_proves() {
    let mut begun = Begun::new();
    let now_ms = begun.now_ms();
    let (liar, number) = (begun.turn(1), bystander(&begun, &[0, 1]));
    let proposer = begun.turn(0);
    let (block, body) = begun.block_of(now_ms);
    let open = [(proposer, body), (proposer, proposal(proposer, (2, 0), None, block))];
    let mut before = begun.hears(number, now_ms, &open);
    before.extend(begun.hears(number, now_ms, &[(liar, prevote(liar, (2, 0), Some(block)))]));
    let _again = begun.starts_again(number, before);
    let other = [(liar, prevote(liar, (2, 0), None))];
    assert_eq!(accused(&begun.hears(number, now_ms, &other)), [liar]);
}

/// Kept unchecked, a statement that nobody signed must not stand in the way of the one that was.
#[test]
fn a_statement_that_its_sender_did_not_sign_hides_none_that_it_did() {
    let mut begun = Begun::new();
    let now_ms = begun.now_ms();
    let (liar, number) = (begun.turn(1), bystander(&begun, &[0, 1]));
    let (block, _) = begun.block_of(now_ms);
    let mut unsigned = prevote(liar, (2, 0), Some(block)).statement().unwrap();
    unsigned.signature[0] ^= 1;
    let said = [Message::stating(&unsigned).unwrap(), prevote(liar, (2, 0), Some(block))];
    for message in said {
        assert!(accused(&begun.hears(number, now_ms, &[(liar, message)])).is_empty());
    }
    let other = [(liar, prevote(liar, (2, 0), None))];
    assert_eq!(accused(&begun.hears(number, now_ms, &other)), [liar]);
}

/// Proposals of the next height that its turn does not stand behind, from somebody else, with the body that they name.
fn unfounded(begun: &Begun) -> [[(KeyId, Message); 2]; 2] {
    let (turn, liar) = (begun.turn(0), begun.turn(1));
    let (block, body) = begun.block_of(begun.now_ms());
    let good = proposal(turn, (2, 0), None, block).statement().unwrap();
    let forged = Message::stating(&Statement { signature: [7; 64], ..good }).unwrap();
    [proposal(liar, (2, 0), None, block), forged]
        .map(|proposal| [(liar, body.clone()), (liar, proposal)])
}

#[test]
fn a_proposal_that_its_turn_did_not_sign_opens_no_height() {
    for number in [0, 1] {
        let mut begun = Begun::new();
        let said = unfounded(&begun)[number].clone();
        let listener = begun.network.number_of(&begun.turn(2)).unwrap();
        let now_ms = begun.now_ms();
        assert!(begun.hears(listener, now_ms, &said).is_empty());
    }
}

#[test]
fn a_proposal_that_its_turn_did_not_sign_speaks_against_its_sender_and_for_no_block() {
    for number in [0, 1] {
        let mut begun = Begun::new();
        let (turn, liar, now_ms) = (begun.turn(0), begun.turn(1), begun.now_ms());
        let listener = begun.network.number_of(&begun.turn(2)).unwrap();
        // More than a third of the power has opened the height.
        let open = [liar, begun.turn(3)].map(|by| (by, prevote(by, (2, 0), None)));
        assert!(!begun.hears(listener, now_ms, &open).is_empty());
        let said = unfounded(&begun)[number].clone();
        let actions = begun.hears(listener, now_ms, &said);
        let is_suspect =
            |action: &Action| matches!(action, Action::Suspect { peer, .. } if *peer == liar);
        assert!(actions.iter().any(is_suspect) && prevotes(&actions).is_empty(), "{actions:?}");
        // And takes nothing from the one that it did sign.
        let (block, body) = begun.block_of(now_ms);
        let good = [(turn, body), (turn, proposal(turn, (2, 0), None, block))];
        assert_eq!(prevotes(&begun.hears(listener, now_ms, &good)), [Some(block)]);
    }
}
