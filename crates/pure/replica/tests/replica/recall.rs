//! What a node's keys have said before: who has forgotten it does not say another thing, and who hears of it stops.

use ed25519_dalek::SigningKey;
use ledger_event::Clock;
use ledger_replica::{Action, Event, Message, Replica, Settings, Statement};
use ledger_story::cast::{AUTHORITY, EXCHANGE, OMNI, REGISTRY};
use ledger_story::members::{MEMBERS, set};
use ledger_story::{ANNOUNCED, LIMITS, acts, china, data, genesis_of, validator_key_of};

use crate::abuse::prevote;
use crate::membership::{FOUR, Told, id, prevote_of_nothing, vote};
use crate::network::Network;
use crate::several::{four, proposed};

/// Heights at which a node has said something since, and whether it said before that it remembers again.
fn said(network: &Network, node: usize) -> Vec<Option<u64>> {
    let own = network.said.iter().filter(|(by, _)| *by == node);
    own.map(|(_, said)| said.map(|said| said.height)).collect()
}

fn height(told: &Told) -> u64 {
    told.network.nodes[1].ledger.height()
}

/// The node comes back without its memory, and meets some of the others.
fn forgets(told: &mut Told, node: usize, blocks: u64, others: &[usize]) {
    told.network.said.clear();
    let blocks = usize::try_from(blocks).unwrap();
    told.network.start_without_memory(node, blocks, false);
    for other in others {
        told.network.meet(node, *other);
    }
}

/// The first height at which a node votes again, if it does: before it says anything, it says that it remembers.
fn first_vote(network: &Network, node: usize) -> Option<u64> {
    let said = said(network, node);
    assert_eq!(said.iter().position(Option::is_none), (!said.is_empty()).then_some(0), "{said:?}");
    said.into_iter().flatten().min()
}

#[test]
fn who_has_forgotten_votes_only_above_every_height_at_which_it_may_have() {
    for forgetful in 0..4 {
        for is_whole in [true, false] {
            let mut told = Told::begun(&FOUR);
            let reported = height(&told);
            let others = told.network.others(forgetful);
            forgets(&mut told, forgetful, if is_whole { reported } else { 0 }, &others);
            told.goes_on(5);
            // It may have voted at two heights above what it is told.
            let first = first_vote(&told.network, forgetful);
            assert_eq!(first, Some(reported + 3), "validator {forgetful}, blocks: {is_whole}");
            assert!(told.votes(forgetful) && told.network.twins.is_empty());
        }
    }
}

#[test]
fn two_reports_of_three_are_not_enough_and_the_third_ends_it() {
    let mut told = Told::begun(&FOUR);
    let reported = height(&told);
    forgets(&mut told, 0, reported, &[1, 2]);
    told.goes_on(4);
    assert!(said(&told.network, 0).is_empty());
    let reported = height(&told);
    told.network.meet(0, 3);
    told.goes_on(4);
    assert_eq!(first_vote(&told.network, 0), Some(reported + 3));
}

#[test]
fn whoever_waits_at_a_validator_without_its_memory_hears_what_the_others_refuse() {
    let mut told = Told::begun(&FOUR);
    told.goes_on(1);
    let reported = height(&told);
    // Two reports of three: it will not vote again here.
    forgets(&mut told, 2, reported, &[0, 1]);
    let entry = told.story.seal(&acts::asset_described("asset-1"));
    told.network.submit_to(2, &entry);
    told.goes_on(1);
    assert!(told.network.settle(10_000), "silence");
    assert!(!told.votes(2), "it still has no memory");
    assert!(!told.network.nodes[2].replica.is_waiting(&entry.id()));
    assert_eq!(told.network.nodes[2].refused, [entry.id()]);
}

const SEVEN: [&str; 7] = ["a-", "b-", "c-", "d-", "e-", "f-", "g-"];

/// A network of some of seven names, whose first entries are decided.
struct Plain {
    network: Network,
    serial: u64,
}

impl Plain {
    fn of(names: &[&str]) -> Self {
        let genesis = genesis_of(names, Clock::Wall, china("2026-08-03"), LIMITS);
        let keys: Vec<Vec<SigningKey>> = names.iter().map(|name| vec![vote(name)]).collect();
        Self { network: Network::start(&genesis, &keys), serial: 0 }
    }

    /// Genesis, and then a calendar or a rule set at each height.
    fn submit(&mut self) {
        let genesis = self.network.nodes[1].ledger.genesis().clone();
        let number = usize::try_from(self.serial).unwrap();
        let deed = match number.checked_sub(1) {
            None => acts::genesis_published(&genesis),
            Some(number) if number < ANNOUNCED.len() => {
                acts::calendar_published(&data::calendar(ANNOUNCED[number]))
            }
            Some(_) => acts::rule_set_published(&data::cn_nda_2026()),
        };
        let (ledger, time_ms) = (genesis.id(), genesis.message().start_ms);
        let (head, serial) = (Vec::new(), self.serial);
        let place = ledger_story::deed::Place { ledger, time_ms, head, serial, signed: true };
        self.network.submit(&deed.seal(&place));
        self.serial += 1;
    }

    fn goes_on(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.submit();
            self.network.reach(self.serial);
        }
    }
}

#[test]
fn what_liars_report_neither_holds_it_back_nor_is_counted() {
    let genesis = genesis_of(&SEVEN, Clock::Wall, china("2026-08-03"), LIMITS);
    let mut plain = Plain::of(&SEVEN);
    plain.goes_on(1);
    plain.network.said.clear();
    plain.network.start_without_memory(0, 1, false);
    // Five of seven are a quorum. One of the six others claims a height that there is not, and a vote that nobody signed.
    let (height, round, kind) = (u64::MAX - 1, 0, ledger_replica::StatementKind::Precommit);
    let (block, validator, signature) = (None, id("a-"), [7; 64]);
    let invented = Statement { height, round, kind, block, validator, signature };
    let lie = Message::report(u64::MAX, Some(&invented));
    plain.network.hear(0, id("g-"), &lie);
    for other in 1..5 {
        plain.network.meet(0, other);
    }
    let low = Message::report(1, Some(&invented));
    plain.network.hear(0, id("f-"), &low);
    plain.goes_on(3);
    assert_eq!(genesis.id(), plain.network.nodes[0].ledger.genesis().id());
    assert_eq!(first_vote(&plain.network, 0), Some(4), "five of six are enough");
    // And with two that claim too much it is not a quorum that counts.
    let mut plain = Plain::of(&SEVEN);
    plain.goes_on(1);
    plain.network.said.clear();
    plain.network.start_without_memory(0, 1, false);
    for liar in ["g-", "f-"] {
        plain.network.hear(0, id(liar), &lie);
    }
    for other in 1..5 {
        plain.network.meet(0, other);
    }
    plain.goes_on(4);
    assert!(said(&plain.network, 0).is_empty());
}

#[test]
fn what_its_key_did_sign_holds_it_back_whoever_tells() {
    let mut plain = Plain::of(&SEVEN);
    plain.goes_on(1);
    plain.network.said.clear();
    plain.network.start_without_memory(0, 1, false);
    let ledger = plain.network.nodes[1].ledger.genesis().id();
    let heard = prevote_of_nothing(&ledger, 4, "a-").statement().unwrap();
    plain.network.hear(0, id("g-"), &Message::report(u64::MAX, Some(&heard)));
    // Nor does it help that whoever told it has forgotten it.
    plain.network.hear(0, id("g-"), &Message::report(u64::MAX, None));
    for other in 1..6 {
        plain.network.meet(0, other);
    }
    plain.goes_on(4);
    assert_eq!(first_vote(&plain.network, 0), Some(5), "above what it signed");
}

#[test]
fn a_report_that_is_lost_is_asked_for_with_the_next_block() {
    let mut told = Told::begun(&FOUR);
    let before = height(&told);
    forgets(&mut told, 0, before, &[]);
    // The others do not see the connection begin, and tell nothing by themselves.
    for other in 1..4 {
        let other = told.network.identity(other);
        told.network.post(0, Event::Connected(other));
    }
    told.goes_on(6);
    // Asked with the first block after, they had that one or the next.
    let first = first_vote(&told.network, 0).unwrap();
    assert!((before + 4..=before + 5).contains(&first), "{first} after {before}");
}

#[test]
fn who_has_forgotten_something_itself_does_not_count() {
    let mut plain = Plain::of(&SEVEN);
    plain.goes_on(1);
    plain.network.said.clear();
    for (forgetful, others) in [(0, [1, 2, 3, 4].as_slice()), (6, &[0, 1, 2])] {
        plain.network.start_without_memory(forgetful, 1, false);
        for other in others {
            plain.network.meet(forgetful, *other);
        }
    }
    // Four of seven have told the one, and three the other.
    plain.goes_on(4);
    assert!(said(&plain.network, 0).is_empty() && said(&plain.network, 6).is_empty());
}

#[test]
fn reports_count_by_the_set_that_certified_the_last_block_and_by_the_next_one() {
    let next = || set(&[MEMBERS[0], MEMBERS[1], MEMBERS[2], ("e-", OMNI)]);
    let begun = || Told::begun(&[FOUR.as_slice(), &[&["e-"]]].concat());
    // The fourth, whom the set is about to lose, is not met. The fifth, who comes in for it, reports too early.
    let mut told = begun();
    let before = height(&told);
    forgets(&mut told, 0, before, &[1, 2]);
    told.network.hear(0, id("e-"), &Message::report(1, None));
    told.changes_to(next(), &[EXCHANGE, REGISTRY, OMNI]);
    told.goes_on(4);
    // The new set signs from before + 3 on: its quorum has reported, that of the old set has not.
    assert_eq!(first_vote(&told.network, 0), Some(before + 4));
    // The fourth is met, and of the new set the fifth says nothing before it votes.
    let mut told = begun();
    let before = height(&told);
    forgets(&mut told, 0, before, &[1, 2, 3, 4]);
    told.changes_to(next(), &[EXCHANGE, REGISTRY, OMNI]);
    told.goes_on(5);
    // Its report says before + 2, and the first vote is above that by three.
    assert_eq!(first_vote(&told.network, 0), Some(before + 5));
}

#[test]
fn a_node_that_changes_its_keys_while_it_recovers_is_silent_with_both() {
    let mut told = Told::begun(&[&["a-", "a2-"], &["b-"], &["c-"], &["d-"]]);
    let before = height(&told);
    forgets(&mut told, 0, before, &[1, 2]);
    told.goes_on(2);
    let renewed = set(&[("a2-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]]);
    told.changes_to(renewed, &[EXCHANGE, REGISTRY]);
    told.goes_on(3);
    assert!(said(&told.network, 0).is_empty(), "neither the former nor the new one");
    let reported = height(&told);
    for other in 1..4 {
        told.network.meet(0, other);
    }
    told.goes_on(4);
    assert_eq!(first_vote(&told.network, 0), Some(reported + 3));
    let by = told.network.said.iter().filter(|(by, _)| *by == 0).filter_map(|(_, said)| *said);
    assert!(by.into_iter().all(|said| said.validator == id("a2-")));
}

#[test]
fn a_standby_recovers_before_it_is_called() {
    let mut told = Told::begun(&[FOUR.as_slice(), &[&["e-"]]].concat());
    let before = height(&told);
    forgets(&mut told, 4, before, &[0, 1, 2, 3]);
    told.goes_on(2);
    assert_eq!(said(&told.network, 4), [None], "it has its memory back, and no place");
    told.changes_to(
        set(&[MEMBERS.as_slice(), &[("e-", OMNI)]].concat()),
        &[EXCHANGE, REGISTRY, OMNI],
    );
    told.goes_on(2);
    assert!(told.votes(4));
}

#[test]
fn where_the_others_wait_for_it_the_operators_word_lets_it_vote_once_it_has_their_blocks() {
    let ids = [id("a-"), id("b-")];
    for blocks in [0, 1, 2] {
        let mut plain = Plain::of(&["a-", "b-"]);
        plain.goes_on(2);
        assert!(!Replica::can_recover(&plain.network.nodes[0].ledger, &ids[..1]));
        assert!(!Replica::is_sole(&plain.network.nodes[0].ledger, &ids[..1]));
        assert!(Replica::is_sole(&plain.network.nodes[0].ledger, &ids));
        // It dies in the middle of a height, at which the other knows what it said.
        plain.submit();
        let _busy = plain.network.settle(30);
        plain.network.said.clear();
        plain.network.start_without_memory(0, blocks, true);
        assert!(plain.network.settle(50) || said(&plain.network, 0).is_empty(), "it waits");
        plain.network.meet(0, 1);
        plain.network.reach(3);
        plain.goes_on(2);
        assert!(first_vote(&plain.network, 0) >= Some(3));
        assert!(plain.network.twins.is_empty());
    }
}

#[test]
fn what_was_said_before_the_operators_word_stops_nobody_and_what_is_said_after_it_does() {
    for is_started_again in [false, true] {
        let mut plain = Plain::of(&["a-", "b-"]);
        plain.goes_on(2);
        plain.network.start_without_memory(0, 2, true);
        plain.network.meet(0, 1);
        assert!(plain.network.settle(50));
        assert!(plain.network.nodes[0].replica.is_voting());
        if is_started_again {
            plain.network.stop(0);
            plain.network.start_again(0);
        }
        let ledger = plain.network.nodes[0].ledger.genesis().id();
        for (height, twins) in [(3, [].as_slice()), (4, &[]), (5, &[0])] {
            plain.network.hear(0, id("b-"), &prevote_of_nothing(&ledger, height, "a-"));
            let _busy = plain.network.settle(200);
            assert_eq!(plain.network.twins, twins, "height {height}, again: {is_started_again}");
        }
    }
}

/// The log is emptied when it has become long, and the word is in it.
#[test]
fn the_operators_word_outlives_the_log_that_it_was_noted_in_for_as_long_as_it_is_in_force() {
    let mut plain = Plain::of(&["a-", "b-"]);
    plain.goes_on(2);
    plain.network.start_without_memory(0, 2, true);
    plain.network.meet(0, 1);
    plain.goes_on(1);
    plain.network.empty_log(0);
    plain.network.stop(0);
    plain.network.start_again(0);
    let ledger = plain.network.nodes[0].ledger.genesis().id();
    for (height, twins) in [(4, [].as_slice()), (5, &[0])] {
        plain.network.hear(0, id("b-"), &prevote_of_nothing(&ledger, height, "a-"));
        let _busy = plain.network.settle(200);
        assert_eq!(plain.network.twins, twins, "height {height}");
    }
    let replica = &plain.network.nodes[0].replica;
    assert_eq!([3, 4].map(|done| replica.marks(done).len()), [2, 1], "no longer than that");
}

#[test]
fn the_key_that_speaks_elsewhere_ends_the_process_and_an_echo_does_not() {
    let mut four = four();
    let (_, proposal, _) = proposed(&mut four[1]);
    let (proposer, other) = (four[1].id, four[2].id);
    let twin = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::Twin { height: 1, .. }))
    };
    // Its own words, repeated by somebody.
    assert!(!twin(&four[1].hears(other, &proposal)));
    let key = ["a-", "b-", "c-", "d-"].map(|name| validator_key_of(name, "vote"));
    let own = |key: &&SigningKey| {
        ledger_format::digest::KeyId::of(key.verifying_key().as_bytes()) == proposer
    };
    let key = key.iter().find(own).unwrap().clone();
    let ledger = &four[1].ledger;
    // Also a key that has no place now is one that it has.
    let keys = vec![vote("a2-"), key];
    let (replica, _) = Replica::start(ledger, keys, Settings::default(), &[]).unwrap();
    four[1].replica = replica;
    // Words that nobody signed prove nothing.
    let statement = proposal.statement().unwrap();
    let forged = Statement { signature: [7; 64], ..statement };
    assert!(!twin(&four[1].hears(other, &Message::stating(&forged).unwrap())));
    assert!(twin(&four[1].hears(other, &proposal)));
    // Whoever connects is told what its key has said, by whoever heard it.
    let _heard = four[3].hears(proposer, &proposal);
    let told = four[3].tell(Event::Connected(proposer));
    let report = told.into_iter().find_map(|action| match action {
        Action::Send(_, message) if message.kind() == "report" => Some(message),
        _ => None,
    });
    let heard = four[3].id;
    assert!(twin(&four[1].hears(heard, &report.unwrap())));
}

/// What comes last need not be what was said last, and nobody speaks for another.
#[test]
fn a_report_tells_the_latest_that_its_receiver_has_said_itself() {
    let mut four = four();
    let (from, other) = (four[1].id, four[2].id);
    let latest = prevote(from, (1, 2), None);
    let listener = &mut four[3];
    for said in [&latest, &prevote(from, (1, 1), None), &prevote(other, (1, 3), None)] {
        let _heard = listener.hears(from, said);
    }
    let told = listener.tell(Event::Connected(from));
    let report = Message::report(0, latest.statement().as_ref());
    let is_it = |action: &Action| matches!(action, Action::Send(to, said) if *to == from && *said == report);
    assert!(told.iter().any(is_it), "{told:?}");
}

/// Of the two sets that a node may vote in next, the others must be a quorum of both to tell it what it has said.
#[test]
fn where_the_others_are_about_to_be_no_quorum_a_node_cannot_recover() {
    let three = || set(&[MEMBERS[0], MEMBERS[1], MEMBERS[2]]);
    let all = [EXCHANGE, REGISTRY, AUTHORITY];
    let mut told = Told::begun(&FOUR);
    let can = |told: &Told| Replica::can_recover(&told.network.nodes[1].ledger, &[id("a-")]);
    assert!(can(&told), "three of four are a quorum");
    told.changes_to(three(), &all);
    assert!(!can(&told), "the set after the next block has three");
    told.goes_on(1);
    assert!(!can(&told), "so has the next one");
    told.changes_to(set(&MEMBERS), &all);
    assert!(!can(&told), "the fourth comes in only after that");
    told.goes_on(1);
    assert!(can(&told));
}

/// Who votes again by its operator's word and dies must find the word, or it is asked for another one.
#[test]
fn the_operators_word_is_durable_before_the_keys_vote_again() {
    let mut plain = Plain::of(&["a-", "b-"]);
    plain.goes_on(2);
    let node = &plain.network.nodes[1];
    let mut replica = Replica::recover(&node.ledger, vec![vote("a-")], Settings::default(), true);
    let told = Event::Received { from: id("b-"), message: Message::tip(node.ledger.height()) };
    let actions = replica.step(&node.ledger, node.ledger.time_ms(), told).unwrap();
    assert!(
        matches!(actions.as_slice(), [Action::Log(_), Action::FlushLog, Action::Recovered, ..]),
        "{actions:?}"
    );
}
