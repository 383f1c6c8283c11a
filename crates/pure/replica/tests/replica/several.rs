//! A validator among others that may lie: what one of them can make it believe, and what not.

use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_event::Clock;
use ledger_format::block::Body;
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::genesis::GenesisDocument;
use ledger_replay::Ledger;
use ledger_replica::{Action, Event, Message, Replica, Settings, Statement, StatementKind, Timer};
use ledger_story::deed::Place;
use ledger_story::{ANNOUNCED, LIMITS, acts, china, data, genesis_of, validator_key_of};
use ledger_verify::block::proposer;

use crate::abuse::{precommit, prevote, proposal};

pub(crate) const NAMES: [&str; 4] = ["a-", "b-", "c-", "d-"];

/// One of four validators before the first block.
pub(crate) struct One {
    pub(crate) id: KeyId,
    pub(crate) ledger: Ledger,
    pub(crate) replica: Replica,
}

impl One {
    pub(crate) fn tell(&mut self, event: Event) -> Vec<Action> {
        self.replica.step(&self.ledger, china("2026-08-03"), event).unwrap()
    }

    pub(crate) fn hears(&mut self, from: KeyId, message: &Message) -> Vec<Action> {
        self.tell(Event::Received { from, message: message.clone() })
    }
}

/// Where an entry of a ledger that has just begun stands.
pub(crate) fn at_the_start(genesis: &GenesisDocument, serial: u64) -> Place {
    let (ledger, time_ms) = (genesis.id(), genesis.message().start_ms);
    Place { ledger, time_ms, head: Vec::new(), serial, signed: true }
}

pub(crate) fn genesis() -> GenesisDocument {
    genesis_of(&NAMES, Clock::Wall, china("2026-08-03"), LIMITS)
}

/// Four validators in the order of their ids.
pub(crate) fn four() -> Vec<One> {
    let genesis = genesis();
    let one = |key: SigningKey| {
        let ledger = Ledger::new(genesis.clone()).unwrap();
        let id = KeyId::of(key.verifying_key().as_bytes());
        let (replica, _) = Replica::start(&ledger, vec![key], Settings::default(), &[]).unwrap();
        One { id, ledger, replica }
    };
    let mut four: Vec<One> = NAMES.map(|name| one(validator_key_of(name, "vote"))).into();
    four.sort_by_key(|one| one.id);
    four
}

fn said(actions: &[Action]) -> Vec<Message> {
    let message = |action: &Action| match action {
        Action::Broadcast(message) => Some(message.clone()),
        _ => None,
    };
    actions.iter().filter_map(message).collect()
}

/// What the proposer of the first height does when it has gathered.
fn proposes(proposer: &mut One) -> Vec<Action> {
    let genesis = genesis();
    let mut deeds = vec![acts::genesis_published(&genesis)];
    deeds.extend(ANNOUNCED.map(|name| acts::calendar_published(&data::calendar(name))));
    deeds.push(acts::rule_set_published(&data::cn_nda_2026()));
    for (deed, serial) in deeds.iter().zip(0..) {
        let entry = deed.seal(&at_the_start(&genesis, serial));
        let _actions = proposer.tell(Event::Submitted(Box::new(entry)));
    }
    proposer.tell(Event::Gathered)
}

/// What the proposer of the first height says: body and proposal.
pub(crate) fn proposed(proposer: &mut One) -> (Message, Message, BlockHash) {
    let said = said(&proposes(proposer));
    let body = said.iter().find(|message| message.as_body().is_some()).unwrap().clone();
    let is_proposal = |message: &&Message| {
        let kind = message.statement().map(|statement| statement.kind);
        matches!(kind, Some(StatementKind::Proposal { .. }))
    };
    let proposal = said.iter().find(is_proposal).unwrap().clone();
    let block = proposal.statement().unwrap().block.unwrap();
    (body, proposal, block)
}

/// The same header over fewer entries: the same hash.
fn spoiled(body: &Message) -> Message {
    let (height, bytes) = body.as_body().unwrap();
    let mut body = Body::decode(Bytes::copy_from_slice(bytes)).unwrap();
    body.entries.pop().unwrap();
    Message::body(height, body.encode())
}

pub(crate) fn prevotes(actions: &[Action]) -> Vec<Option<BlockHash>> {
    let prevote = |message: Message| {
        let Statement { kind, block, .. } = message.statement()?;
        (kind == StatementKind::Prevote).then_some(block)
    };
    said(actions).into_iter().filter_map(prevote).collect()
}

fn suspects(actions: &[Action]) -> Vec<KeyId> {
    let suspect = |action: &Action| match action {
        Action::Suspect { peer, .. } => Some(*peer),
        _ => None,
    };
    actions.iter().filter_map(suspect).collect()
}

#[test]
fn a_body_that_does_not_fit_its_header_speaks_against_its_sender_alone() {
    for spoiled_first in [true, false] {
        let mut four = four();
        let (body, proposal, block) = proposed(&mut four[1]);
        let (proposer, liar) = (four[1].id, four[2].id);
        let victim = &mut four[3];
        let bad = spoiled(&body);
        let order = if spoiled_first {
            [(liar, &bad), (proposer, &proposal), (proposer, &body)]
        } else {
            [(proposer, &proposal), (liar, &bad), (proposer, &body)]
        };
        let mut actions = Vec::new();
        // Voices of others open the height, so that what is said is judged as it comes.
        for (from, message) in order {
            actions.extend(victim.hears(from, message));
        }
        assert_eq!(prevotes(&actions), [Some(block)], "spoiled first: {spoiled_first}");
        assert!(suspects(&actions).iter().all(|peer| *peer == liar), "{actions:?}");
    }
}

/// What somebody puts under the header of another is refuted before its entries are read, and that once for each sender.
#[test]
fn bodies_under_a_header_of_somebody_else_cost_little() {
    let mut four = four();
    let (body, proposal, block) = proposed(&mut four[1]);
    let (other, proposer, liar) = (four[0].id, four[1].id, four[2].id);
    let victim = &mut four[3];
    let (height, bytes) = body.as_body().unwrap();
    let honest = Body::decode(Bytes::copy_from_slice(bytes)).unwrap();
    // No entry at all, as many as there are, and more than fit.
    let more = usize::try_from(LIMITS.block_entries).unwrap() + 1;
    let mut actions = victim.hears(proposer, &proposal);
    // Two of four speak of the height, so it is open.
    actions.extend(victim.hears(other, &prevote(other, (1, 0), None)));
    for count in [honest.entries.len(), more] {
        let entries = vec![Bytes::from_static(b"no entry"); count];
        let bad = Body { header: honest.header.clone(), entries };
        actions.extend(victim.hears(liar, &Message::body(height, bad.encode())));
    }
    let codes = actions.iter().filter_map(|action| match action {
        Action::Suspect { why, .. } => Some(why.code.as_str()),
        _ => None,
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["V_TREE_ROOT"]);
    assert_eq!(prevotes(&victim.hears(proposer, &body)), [Some(block)]);
}

#[test]
fn what_the_proposer_itself_spoils_is_voted_against() {
    let mut four = four();
    let (body, proposal, _) = proposed(&mut four[1]);
    let proposer = four[1].id;
    let victim = &mut four[3];
    let mut actions = victim.hears(proposer, &spoiled(&body));
    actions.extend(victim.hears(proposer, &proposal));
    assert_eq!(prevotes(&actions), [None]);
    assert_eq!(suspects(&actions), [proposer]);
}

/// Whom a node asks for blocks, and the call that it wants when no answer comes.
fn asked(actions: &[Action]) -> Option<(KeyId, Timer)> {
    let to = actions.iter().find_map(|action| match action {
        Action::Send(to, message) if message.kind() == "want_blocks" => Some(*to),
        _ => None,
    })?;
    let timer = actions.iter().find_map(|action| match action {
        Action::SetTimer(timer, _) => Some(*timer),
        _ => None,
    })?;
    Some((to, timer))
}

#[test]
fn several_that_claim_much_and_answer_nothing_keep_nobody_from_being_asked() {
    let ledger = Ledger::new(genesis()).unwrap();
    let stranger = |number: u8| KeyId([number; 32]);
    let mut one =
        One { id: stranger(0), ledger, replica: Replica::follow(stranger(0), Settings::default()) };
    let mut waiting = None;
    for (peer, tip) in [(1, u64::MAX), (2, u64::MAX - 1), (3, u64::MAX - 2), (4, 9)] {
        let actions = one.hears(stranger(peer), &Message::tip(tip));
        waiting = waiting.or(asked(&actions));
    }
    let mut order = Vec::new();
    while let Some((peer, timer)) = waiting.filter(|_| order.len() < 4) {
        order.push(peer);
        waiting = asked(&one.tell(Event::TimerFired(timer)));
    }
    assert_eq!(order, [1, 2, 3, 4].map(stranger));
    // Who is gone is not asked, and what it claimed is forgotten.
    let (peer, _) = waiting.unwrap();
    let next = asked(&one.tell(Event::Disconnected(peer))).unwrap().0;
    assert_ne!(next, peer);
}

/// The longest that a validator which is not the first to propose waits, after an entry came, before it opens the height, and then
/// for the proposal.
fn waits(one: &mut One) -> [Duration; 2] {
    let genesis = genesis();
    let (ledger, time_ms) = (genesis.id(), genesis.message().start_ms);
    let place = Place { ledger, time_ms, head: Vec::new(), serial: 0, signed: true };
    let entry = acts::genesis_published(&genesis).seal(&place);
    let shortest = |actions: Vec<Action>| {
        let timers = actions.into_iter().filter_map(|action| match action {
            Action::SetTimer(timer, after) => Some((timer, after)),
            _ => None,
        });
        timers.min_by_key(|(_, after)| *after).unwrap()
    };
    let (patience, before) = shortest(one.tell(Event::Submitted(Box::new(entry))));
    let (_, then) = shortest(one.tell(Event::TimerFired(patience)));
    [before, then]
}

#[test]
fn whoever_is_away_is_not_waited_for() {
    let settings = Settings::default();
    let first = proposer(Ledger::new(genesis()).unwrap().validators(), 1, 0);
    let others = || four().into_iter().filter(|one| one.id != first);
    for mut one in others() {
        assert_eq!(waits(&mut one), [settings.absence; 2]);
    }
    for mut one in others() {
        let _tip = one.tell(Event::Connected(first));
        assert_eq!(waits(&mut one), [settings.patience, settings.timeouts.propose]);
    }
    for mut one in others() {
        let _tip = one.tell(Event::Connected(first));
        let _none = one.tell(Event::Disconnected(first));
        assert_eq!(waits(&mut one), [settings.absence; 2]);
    }
}

/// What one of four does about a proposal and two prevotes for it, beside its own a quorum if they are signed; and who it is.
fn hears_a_polka(is_signed: bool) -> (KeyId, Vec<Action>) {
    let mut four = four();
    let (body, made, block) = proposed(&mut four[1]);
    let (turn, other) = (four[1].id, four[2].id);
    let voter = &mut four[3];
    let mut actions = voter.hears(turn, &body);
    actions.extend(voter.hears(turn, &made));
    for by in [turn, other] {
        let mut vote = prevote(by, (1, 0), Some(block)).statement().unwrap();
        if !is_signed {
            vote.signature[0] ^= 1;
        }
        actions.extend(voter.hears(by, &Message::stating(&vote).unwrap()));
    }
    (voter.id, actions)
}

/// Who hears of a vote may build on it: all that it was concluded from is durable by then.
#[test]
fn nothing_is_said_of_which_the_log_is_not_durable() {
    let (voter, actions) = hears_a_polka(true);
    let (mut logged, mut kinds) = (0, Vec::new());
    for action in &actions {
        match action {
            Action::Log(_) => logged += 1,
            Action::FlushLog => logged = 0,
            Action::Broadcast(message) => {
                let own = message.statement().filter(|said| said.validator == voter);
                assert!(own.is_none() || logged == 0, "{message:?}");
                kinds.extend(own.map(|said| said.kind));
            }
            _ => {}
        }
    }
    assert_eq!(kinds, [StatementKind::Prevote, StatementKind::Precommit]);
}

/// Nobody signs a body, so it may be on its way while the proposal waits for the log. That must not overtake it: who hears of a block
/// without a body asks for it, and is sent it again.
#[test]
fn a_body_goes_before_the_log_is_durable_and_its_proposal_after_both() {
    let actions = proposes(&mut four()[1]);
    let at = |wanted: &dyn Fn(&Action) -> bool| actions.iter().position(wanted).unwrap();
    let message = |at: usize| match &actions[at] {
        Action::Broadcast(message) => message,
        other => panic!("{other:?}"),
    };
    let body =
        at(&|action| matches!(action, Action::Broadcast(message) if message.as_body().is_some()));
    let proposal =
        at(&|action| matches!(action, Action::Broadcast(message) if message.kind() == "proposal"));
    let flush = at(&|action| matches!(action, Action::FlushLog));
    assert!(body < flush && flush < proposal);
    assert_eq!(message(body).lane(), message(proposal).lane());
}

/// The votes of others are kept by those who gave them; what this validator has to keep before a block counts is the block's body. Its
/// own vote for it shows that it does.
#[test]
fn a_block_is_kept_before_it_is_decided() {
    for votes in [true, false] {
        let (body, made, block) = {
            let mut turn = four().remove(1);
            proposed(&mut turn)
        };
        let mut four = four();
        let others = [0, 1, 2].map(|number: usize| four[number].id);
        let voter = &mut four[3];
        let mut actions = voter.hears(others[1], &body);
        actions.extend(voter.hears(others[1], &made));
        let at = (1, 0);
        if votes {
            for by in [others[0], others[1]] {
                actions.extend(voter.hears(by, &prevote(by, at, Some(block))));
            }
        }
        for by in others {
            actions.extend(voter.hears(by, &precommit(by, at, Some(block))));
        }
        let unflushed = unflushed_at_commit(&actions);
        assert_eq!(unflushed > 0, votes, "{unflushed} records, own vote {votes}");
        let is_with_quorum =
            |action: &Action| matches!(action, Action::Commit(decided) if decided.is_with_quorum);
        assert!(actions.iter().any(is_with_quorum));
    }
}

/// Records that are logged and not durable when a block is decided.
fn unflushed_at_commit(actions: &[Action]) -> usize {
    let is_commit = |action: &Action| matches!(action, Action::Commit(_));
    let commit = actions.iter().position(is_commit).unwrap();
    let is_record = |action: &&Action| matches!(action, Action::Log(_));
    let since = actions[..commit].iter().rev().take_while(|a| !matches!(a, Action::FlushLog));
    since.filter(is_record).count()
}

/// A validator may sign the vote that decides a block and act on the decision in one go, before it has said the vote. That it has said one
/// for the same block in an earlier round does not make this one durable.
#[test]
fn a_vote_of_its_own_that_decides_a_block_is_durable_before_that() {
    let (body, made, block) = proposed(&mut four()[1]);
    let mut four = four();
    let [other, turn, next] = [0, 1, 2].map(|number: usize| four[number].id);
    let voter = &mut four[3];
    let _actions = voter.hears(turn, &body);
    let _actions = voter.hears(turn, &made);
    let mut said_first = Vec::new();
    for by in [other, turn] {
        said_first.extend(said(&voter.hears(by, &prevote(by, (1, 0), Some(block)))));
    }
    let own = |message: &Message| {
        let statement = message.statement().unwrap();
        (statement.kind == StatementKind::Precommit).then_some(statement.round)
    };
    assert_eq!(said_first.iter().filter_map(own).collect::<Vec<_>>(), [0]);
    let second = (1, 1);
    let mut actions = Vec::new();
    for by in [other, turn] {
        actions.extend(voter.hears(by, &precommit(by, second, Some(block))));
    }
    actions.extend(voter.hears(turn, &prevote(turn, second, Some(block))));
    actions.extend(voter.hears(next, &proposal(next, second, Some(0), block)));
    assert!(actions.iter().all(|action| !matches!(action, Action::Commit(_))));
    let last = voter.hears(other, &prevote(other, second, Some(block)));
    let Some(Action::Commit(decided)) = last.iter().find(|a| matches!(a, Action::Commit(_))) else {
        panic!("its own vote decides: {last:?}")
    };
    let signers = &decided.block.certificate.signatures;
    assert!(decided.block.certificate.round == 1 && signers.iter().any(|(by, _)| *by == voter.id));
    assert_eq!(unflushed_at_commit(&last), 0);
}

/// It comes before its sender has signed anything, and binds nobody.
#[test]
fn a_body_alone_is_no_voice() {
    let (body, made, block) = proposed(&mut four()[1]);
    let mut four = four();
    let (other, turn) = (four[0].id, four[1].id);
    let voter = &mut four[3];
    let mut actions = voter.hears(turn, &body);
    actions.extend(voter.hears(other, &prevote(other, (1, 0), None)));
    assert!(voter.replica.is_at_rest(), "{actions:?}");
    assert_eq!(prevotes(&voter.hears(turn, &made)), [Some(block)]);
}

#[test]
fn votes_that_nobody_signed_count_for_nothing() {
    for is_signed in [true, false] {
        let (_, actions) = hears_a_polka(is_signed);
        let own = said(&actions).into_iter().filter_map(|message| message.statement());
        let precommits = own.filter(|said| said.kind == StatementKind::Precommit).count();
        assert_eq!(precommits, usize::from(is_signed));
    }
}
