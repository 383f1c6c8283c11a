//! What one validator that lies, or somebody who is none, can use up: the time of the ledger, memory, and the patience of others.

use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_format::block::{Block, Body};
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::vote::{Certificate, VoteStep, proposal_bytes, vote_bytes};
use ledger_replica::{Action, Event, Message, Replica, Settings, Statement, StatementKind, Timer};
use ledger_story::deed::{Deed, Place};
use ledger_story::{ANNOUNCED, acts, data, validator_key_of};
use ledger_verify::block::proposer;

use crate::network::Network;
use crate::several::{NAMES, at_the_start, four, genesis, prevotes, proposed};

const CENTURY_MS: u64 = 100 * 365 * 86_400_000;
const HOUR_MS: u64 = 3_600_000;

pub(crate) fn key_of(id: KeyId) -> SigningKey {
    let mut keys = NAMES.map(|name| validator_key_of(name, "vote")).into_iter();
    keys.find(|key| KeyId::of(key.verifying_key().as_bytes()) == id).unwrap()
}

fn state(by: KeyId, at: (u64, u32), kind: StatementKind, block: Option<BlockHash>) -> Message {
    let ((height, round), ledger) = (at, genesis().id());
    let bytes = match kind {
        StatementKind::Proposal { valid_round } => {
            proposal_bytes(&ledger, height, round, valid_round, &block.unwrap())
        }
        StatementKind::Prevote => {
            vote_bytes(&ledger, VoteStep::Prevote, height, round, block.as_ref())
        }
        StatementKind::Precommit => {
            vote_bytes(&ledger, VoteStep::Precommit, height, round, block.as_ref())
        }
    };
    let signature = key_of(by).sign(&bytes).to_bytes();
    let statement = Statement { height, round, kind, block, validator: by, signature };
    Message::stating(&statement).unwrap()
}

pub(crate) fn proposal(
    by: KeyId,
    at: (u64, u32),
    valid_round: Option<u32>,
    block: BlockHash,
) -> Message {
    state(by, at, StatementKind::Proposal { valid_round }, Some(block))
}

pub(crate) fn prevote(by: KeyId, at: (u64, u32), block: Option<BlockHash>) -> Message {
    state(by, at, StatementKind::Prevote, block)
}

pub(crate) fn precommit(by: KeyId, at: (u64, u32), block: Option<BlockHash>) -> Message {
    state(by, at, StatementKind::Precommit, block)
}

/// Four validators after the first block, with calendars that wait to be published.
pub(crate) struct Begun {
    pub(crate) network: Network,
    later: Vec<Deed>,
}

impl Begun {
    pub(crate) fn new() -> Self {
        let genesis = genesis();
        let calendars = ANNOUNCED.map(|name| acts::calendar_published(&data::calendar(name)));
        let mut deeds = vec![acts::genesis_published(&genesis)];
        deeds.extend(calendars);
        let later = deeds.split_off(2);
        let keys = NAMES.map(|name| vec![validator_key_of(name, "vote")]);
        let mut network = Network::start(&genesis, &keys);
        for (deed, serial) in deeds.iter().zip(0..) {
            network.submit(&deed.seal(&at_the_start(&genesis, serial)));
        }
        network.reach(1);
        assert!(network.settle(10_000));
        Self { network, later }
    }

    pub(crate) fn turn(&self, round: u32) -> KeyId {
        proposer(self.network.nodes[0].ledger.validators(), 2, round)
    }

    /// A second after the first block.
    pub(crate) fn now_ms(&self) -> u64 {
        self.network.nodes[0].ledger.time_ms() + 1_000
    }

    /// A block of the validator that has the first turn, with its body.
    pub(crate) fn block_of(&self, time_ms: u64) -> (BlockHash, Message) {
        self.block_by(self.turn(0), time_ms)
    }

    /// Gives a node two entries that can both be in the next block.
    pub(crate) fn submit_two(&mut self, number: usize, now_ms: u64) {
        let time_ms = self.network.nodes[number].ledger.time_ms();
        for deed in 0..2 {
            let _actions = self.submit(number, now_ms, deed, time_ms);
        }
    }

    /// Gives a node one of the later deeds, sealed at a time.
    pub(crate) fn submit(
        &mut self,
        number: usize,
        now_ms: u64,
        deed: u8,
        time_ms: u64,
    ) -> Vec<Action> {
        let (ledger, node) = (genesis().id(), &mut self.network.nodes[number]);
        let (head, serial) = (Vec::new(), 77 + u64::from(deed));
        let place = Place { ledger, time_ms, head, serial, signed: true };
        let entry = self.later[usize::from(deed) % self.later.len()].seal(&place);
        let event = Event::Submitted(Box::new(entry));
        node.replica.step(&node.ledger, now_ms, event).unwrap()
    }

    /// A block that names this validator as its proposer, with its body.
    pub(crate) fn block_by(&self, named: KeyId, time_ms: u64) -> (BlockHash, Message) {
        let (ledger, head) = (genesis().id(), Vec::new());
        let place = Place { ledger, time_ms, head, serial: 77, signed: true };
        let entry = self.later[0].seal(&place);
        let made = self.network.nodes[0].ledger.propose(named, time_ms, &[&entry]);
        let header = made.block.unwrap().header;
        let block = header.hash();
        let body = Body { header, entries: vec![entry.bytes().clone()] };
        (block, Message::body(2, body.encode()))
    }

    pub(crate) fn hears(
        &mut self,
        number: usize,
        now_ms: u64,
        said: &[(KeyId, Message)],
    ) -> Vec<Action> {
        let node = &mut self.network.nodes[number];
        let mut actions = Vec::new();
        for (from, message) in said {
            let event = Event::Received { from: *from, message: message.clone() };
            actions.extend(node.replica.step(&node.ledger, now_ms, event).unwrap());
        }
        actions
    }

    /// A node's process dies and is started again with what these actions logged. What it does at once.
    pub(crate) fn starts_again(&mut self, number: usize, before: Vec<Action>) -> Vec<Action> {
        let node = &mut self.network.nodes[number];
        let (keys, log) = (node.keys.clone(), logged(before));
        let started = Replica::start(&node.ledger, keys, Settings::default(), &log).unwrap();
        node.replica = started.0;
        started.1
    }

    /// The validators but one.
    pub(crate) fn all_but(&self, number: usize) -> Vec<KeyId> {
        self.network.others(number).iter().map(|other| self.network.identity(*other)).collect()
    }
}

#[test]
fn no_claim_brings_a_block_from_the_future_into_the_ledger() {
    for is_claimed in [false, true] {
        let mut begun = Begun::new();
        let (liar, now_ms) = (begun.turn(0), begun.now_ms());
        let (block, body) = begun.block_of(now_ms + CENTURY_MS);
        let mut said = vec![(liar, body)];
        if is_claimed {
            // Its next turn: as if a quorum had prevoted for the block in the first round.
            said.push((liar, proposal(liar, (2, 4), Some(0), block)));
        }
        said.push((liar, proposal(liar, (2, 0), None, block)));
        for number in begun.network.others(begun.network.number_of(&liar).unwrap()) {
            let actions = begun.hears(number, now_ms, &said);
            assert_eq!(prevotes(&actions), [None], "claimed: {is_claimed}");
            let apart = actions.iter().filter_map(|action| match action {
                Action::Apart { peer, height, ahead_ms } => Some((*peer, *height, *ahead_ms)),
                _ => None,
            });
            let told: Vec<_> = apart.collect();
            assert_eq!(told, [(liar, 2, CENTURY_MS)]);
        }
    }
}

#[test]
fn a_proposal_that_waited_says_nothing_of_a_clock() {
    let mut begun = Begun::new();
    let (by, made_ms) = (begun.turn(0), begun.now_ms());
    let (block, body) = begun.block_of(made_ms);
    let said = [(by, body), (by, proposal(by, (2, 0), None, block))];
    for number in begun.network.others(begun.network.number_of(&by).unwrap()) {
        let actions = begun.hears(number, made_ms + HOUR_MS, &said);
        assert_eq!(prevotes(&actions), [None]);
        assert!(!actions.iter().any(|action| matches!(action, Action::Apart { .. })));
    }
}

#[test]
fn a_block_that_a_quorum_has_prevoted_for_is_taken_however_late() {
    for is_known_before in [true, false] {
        let mut begun = Begun::new();
        let made_ms = begun.now_ms();
        let (first, second) = (begun.turn(0), begun.turn(1));
        let (block, body) = begun.block_of(made_ms);
        let late = |number: &usize| {
            let id = begun.network.identity(*number);
            id != first && id != second
        };
        let late = (0..NAMES.len()).find(late).unwrap();
        let others: Vec<KeyId> =
            begun.network.others(late).iter().map(|n| begun.network.identity(*n)).collect();
        let polka = others.iter().map(|by| (*by, prevote(*by, (2, 0), Some(block)))).collect();
        let skip = others.iter().take(2).map(|by| (*by, prevote(*by, (2, 1), None))).collect();
        let again = vec![(second, body), (second, proposal(second, (2, 1), Some(0), block))];
        let all = if is_known_before { [polka, skip, again] } else { [skip, again, polka] };
        let actions = begun.hears(late, made_ms + HOUR_MS, &all.concat());
        assert_eq!(prevotes(&actions), [Some(block)], "known before: {is_known_before}");
    }
}

#[test]
fn one_that_proposes_for_many_rounds_keeps_out_nobody_else() {
    let mut four = four();
    let (body, made, block) = proposed(&mut four[1]);
    let (turn, liar, other) = (four[1].id, four[2].id, four[0].id);
    let late = &mut four[3];
    for by in [other, liar] {
        late.hears(by, &prevote(by, (1, 0), None));
    }
    for round in (1..).step_by(NAMES.len()).take(512) {
        for value in [1, 2] {
            late.hears(liar, &proposal(liar, (1, round), None, BlockHash([value; 32])));
        }
    }
    let mut actions = late.hears(turn, &body);
    actions.extend(late.hears(turn, &made));
    assert_eq!(prevotes(&actions), [Some(block)]);
}

/// A certificate of so many prevotes, as bytes: the product makes none with more than there are validators.
fn certificate(signatures: u64) -> Vec<u8> {
    let (said, polka, round) = (0_u32, 2_u32, 0_u32);
    let mut bytes = said.to_be_bytes().to_vec();
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(polka.to_be_bytes());
    bytes.push(1);
    bytes.extend(round.to_be_bytes());
    bytes.extend([7; 32]);
    bytes.extend(signatures.to_be_bytes());
    for _ in 0..signatures {
        bytes.extend([9; 32 + 64]);
    }
    bytes
}

#[test]
fn a_certificate_of_more_votes_than_there_can_be_is_no_message() {
    assert!(Message::decode(&certificate(512)).is_ok());
    assert!(Message::decode(&certificate(513)).is_err());
}

#[test]
fn what_a_stranger_says_of_a_height_is_not_even_checked() {
    let mut four = four();
    let (other, stranger) = (four[0].id, KeyId([5; 32]));
    let one = &mut four[3];
    // Signed with this validator's key: from another one it would end the process.
    let foreign = prevote(one.id, (1, 0), None);
    assert!(one.hears(stranger, &foreign).is_empty());
    let actions = one.hears(other, &foreign);
    assert!(actions.iter().any(|action| matches!(action, Action::Twin { .. })));
}

#[test]
fn a_block_of_another_history_with_its_own_signature_ends_the_process() {
    for is_own in [true, false] {
        let mut begun = Begun::new();
        let number = 0;
        let own = begun.network.identity(number);
        let giver = begun.network.identity(1);
        let (_, body) = begun.block_of(begun.now_ms());
        let mut body = Body::decode(Bytes::copy_from_slice(body.as_body().unwrap().1)).unwrap();
        body.header.previous = [7; 32];
        let block = body.header.hash();
        let signer = if is_own { own } else { giver };
        let vote = vote_bytes(&genesis().id(), VoteStep::Precommit, 2, 0, Some(&block));
        let signatures = vec![(signer, key_of(signer).sign(&vote).to_bytes())];
        let certificate = Certificate { height: 2, round: 0, block, signatures };
        let given = Message::blocks(&[Block { body, certificate }], Some(&key_of(giver)));
        let said = [(giver, Message::tip(5)), (giver, given)];
        let actions = begun.hears(number, begun.now_ms(), &said);
        let twins = actions.iter().filter(|action| matches!(action, Action::Twin { .. })).count();
        assert_eq!(twins, usize::from(is_own));
    }
}

/// The block at height 2 of whose turn it is, certified by these, as somebody gives it to who lacks it.
fn given(begun: &Begun, giver: KeyId, signers: &[KeyId]) -> [(KeyId, Message); 2] {
    let (block, body) = begun.block_of(begun.now_ms());
    let body = Body::decode(Bytes::copy_from_slice(body.as_body().unwrap().1)).unwrap();
    let vote = vote_bytes(&genesis().id(), VoteStep::Precommit, 2, 0, Some(&block));
    let mut signatures: Vec<_> =
        signers.iter().map(|by| (*by, key_of(*by).sign(&vote).to_bytes())).collect();
    signatures.sort_unstable_by_key(|(by, _)| *by);
    let certificate = Certificate { height: 2, round: 0, block, signatures };
    let blocks = Message::blocks(&[Block { body, certificate }], Some(&key_of(giver)));
    // Well ahead, so that it is asked at once.
    [(giver, Message::tip(5)), (giver, blocks)]
}

#[test]
fn its_own_signature_on_a_good_block_that_it_did_not_sign_ends_the_process() {
    for is_own in [true, false] {
        let mut begun = Begun::new();
        let ids: Vec<KeyId> = (0..NAMES.len()).map(|n| begun.network.identity(n)).collect();
        let signers = if is_own { &ids[..3] } else { &ids[1..] };
        let said = given(&begun, ids[1], signers);
        let actions = begun.hears(0, begun.now_ms(), &said);
        let has = |wanted: fn(&Action) -> bool| actions.iter().any(wanted);
        assert_eq!(has(|action| matches!(action, Action::Twin { height: 2, .. })), is_own);
        assert_eq!(has(|action| matches!(action, Action::Commit(_))), !is_own);
    }
}

#[test]
fn a_certificate_shows_who_said_something_else_before() {
    let mut begun = Begun::new();
    let ids: Vec<KeyId> = (0..NAMES.len()).map(|n| begun.network.identity(n)).collect();
    let liar = ids[2];
    let nothing = (liar, state(liar, (2, 0), StatementKind::Precommit, None));
    let [tip, blocks] = given(&begun, ids[1], &ids[1..]);
    let actions = begun.hears(0, begun.now_ms(), &[nothing, tip, blocks]);
    let accused = actions.iter().filter_map(|action| match action {
        Action::Accuse { culprits, .. } => Some(culprits.iter().map(|culprit| culprit.key)),
        _ => None,
    });
    let accused: Vec<KeyId> = accused.flatten().collect();
    assert_eq!(accused, [liar]);
    assert!(actions.iter().any(|action| matches!(action, Action::Commit(_))));
}

fn logged(actions: Vec<Action>) -> Vec<Vec<u8>> {
    let record = |action| match action {
        Action::Log(record) => Some(record),
        _ => None,
    };
    actions.into_iter().filter_map(record).collect()
}

/// Whose turn it is makes three blocks. The engine keeps two of them, and has lost its vote for neither of them.
#[test]
fn a_block_that_came_third_before_a_restart_is_accepted_when_a_quorum_wants_it() {
    let mut begun = Begun::new();
    let made_ms = begun.now_ms();
    let (liar, second) = (begun.turn(0), begun.turn(1));
    let is_other = |number: &usize| ![liar, second].contains(&begun.network.identity(*number));
    let number = (0..NAMES.len()).find(is_other).unwrap();
    let made = [0, 1, 2].map(|later| begun.block_of(made_ms + later));
    let shown = made
        .each_ref()
        .map(|(block, body)| [(liar, body.clone()), (liar, proposal(liar, (2, 0), None, *block))]);
    let before = begun.hears(number, made_ms, &shown[..2].concat());
    assert_eq!(prevotes(&before), [Some(made[0].0)]);
    let _again = begun.starts_again(number, before);

    let third = made[2].0;
    let others = begun.all_but(number);
    let mut said = shown[2].to_vec();
    said.extend(others.iter().map(|by| (*by, prevote(*by, (2, 0), Some(third)))));
    said.extend(others.iter().take(2).map(|by| (*by, prevote(*by, (2, 1), None))));
    said.push((second, proposal(second, (2, 1), Some(0), third)));
    assert_eq!(prevotes(&begun.hears(number, made_ms, &said)), [Some(third)]);
}

/// Who votes twice is proven guilty by it. What it says again and again fills nobody's log.
#[test]
fn half_of_a_double_vote_that_comes_again_and_again_is_logged_once() {
    let mut begun = Begun::new();
    let (liar, made_ms) = (begun.turn(0), begun.now_ms());
    let number = (0..NAMES.len()).find(|one| begun.network.identity(*one) != liar).unwrap();
    let (block, body) = begun.block_of(made_ms);
    let opened = [(liar, body), (liar, proposal(liar, (2, 0), None, block))];
    let _voted = begun.hears(number, made_ms, &opened);
    let halves = [Some(block), None].map(|of| (liar, prevote(liar, (2, 0), of)));
    assert_eq!(logged(begun.hears(number, made_ms, &halves)).len(), 2);
    for _ in 0..100 {
        assert!(logged(begun.hears(number, made_ms, &halves)).is_empty());
    }
}

fn timers(actions: &[Action]) -> Vec<(Timer, Duration)> {
    let timer = |action: &Action| match action {
        Action::SetTimer(timer, after) => Some((*timer, *after)),
        _ => None,
    };
    actions.iter().filter_map(timer).collect()
}

#[test]
fn however_many_claim_a_block_there_is_one_timer_to_ask_for_it() {
    let mut four = four();
    let other = four[0].id;
    let one = &mut four[3];
    let mut set = Vec::new();
    for _ in 0..100 {
        set.extend(timers(&one.hears(other, &Message::tip(1))));
    }
    let [(timer, _)] = set[..] else { panic!("{set:?}") };
    let fired = one.tell(Event::TimerFired(timer));
    assert!(fired.iter().any(|action| matches!(action, Action::Send(to, _) if *to == other)));
    assert_eq!(timers(&one.hears(other, &Message::tip(1))).len(), 1);
}

#[test]
fn a_process_that_was_started_again_does_not_wait_as_long_as_the_last_one() {
    let mut four = four();
    let others = [four[0].id, four[1].id];
    let one = &mut four[3];
    let place = Place {
        ledger: genesis().id(),
        time_ms: genesis().message().start_ms,
        head: Vec::new(),
        serial: 0,
        signed: true,
    };
    let entry = acts::genesis_published(&genesis()).seal(&place);
    let mut actions = one.tell(Event::Submitted(Box::new(entry)));
    for by in others {
        actions.extend(one.hears(by, &prevote(by, (1, 8), None)));
    }
    let longest = |set: Vec<(Timer, Duration)>| set.into_iter().map(|(_, after)| after).max();
    let base = Settings::default().timeouts.propose;
    // The ninth round says again what it said eight times as late as the first one.
    assert_eq!(longest(timers(&actions)), Some(base * 8));
    // The last one set waits for the proposal of that round.
    let (timer, _) = timers(&actions).pop().unwrap();
    actions.extend(one.tell(Event::TimerFired(timer)));
    assert_eq!(prevotes(&actions), [None]);
    let log = logged(actions);
    let (_, first) =
        Replica::start(&one.ledger, vec![key_of(one.id)], Settings::default(), &log).unwrap();
    assert_eq!(longest(timers(&first)), Some(base));
}

#[test]
fn more_entries_than_anybody_passes_on_at_a_time_are_no_message() {
    for of in [Message::entries, Message::passed_on] {
        let message = |count| of(vec![vec![0xd2; 300]; count]).encode();
        assert!(Message::decode(&message(1_024)).is_ok());
        assert!(Message::decode(&message(1_025)).is_err());
    }
}
