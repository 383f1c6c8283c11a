//! Blocks of this validator's own: when it is its turn, when nobody else takes theirs, and of which entries.

use std::borrow::Cow;
use std::time::Duration;

use ledger_format::block::Body;
use ledger_format::digest::EntryId;
use ledger_format::entry::Entry;
use ledger_replay::Ledger;
use ledger_rules::Refusal;
use ledger_verify::block::proposer;

use super::{Action, Phase, Replica, Timer, Wake, log, next};
use crate::bodies::Candidate;
use crate::engine::{EngineStopped, RoundTimer};
use crate::log_record::LogRecord;
use crate::message::Message;
use crate::planted::{self, Bug};

/// Waiting entries that a node is told of when it may lack them, and their bytes.
pub(super) const RELAYED: usize = 512;
pub(super) const RELAYED_BYTES: usize = 512 * 1024;

/// Rounds of a height after the first in which blocks are as full as they can be.
const FULL_ROUNDS: u32 = 3;

impl Replica {
    /// Entries wait: for company when it is this validator's turn, else for whose turn it is.
    pub(super) fn wait(&mut self, ledger: &Ledger) -> Vec<Action> {
        self.phase = Phase::Waiting;
        if self.has_turn(ledger) {
            return vec![Action::Gather(self.left(ledger).unwrap_or(self.settings.gather))];
        }
        let timer = Timer(Wake::Patience { height: next(ledger) });
        let patience = self.settings.patience;
        let absence = self.settings.absence;
        let wait = if self.is_away(ledger, 0) { patience.min(absence) } else { patience };
        vec![Action::SetTimer(timer, wait)]
    }

    /// What is left of the time after a block in which those whom it answered are waited for. A validator alone waits for nobody: no
    /// votes are to be saved.
    fn left(&self, ledger: &Ledger) -> Option<Duration> {
        let since = Duration::from_millis(self.now_ms.saturating_sub(self.committed_ms));
        let left = self.settings.pace.checked_sub(since).filter(|left| !left.is_zero());
        left.filter(|_| ledger.validators().members().len() > 1)
    }

    /// Whether a block has just been committed and the next one is to wait for entries: some whom it answered have not sent another
    /// one, and there is room.
    pub(super) fn expects_more(&self, ledger: &Ledger) -> bool {
        let limits = ledger.genesis().limits();
        let is_below = |value: usize, cap: u32| usize::try_from(cap).is_ok_and(|cap| value < cap);
        self.left(ledger).is_some()
            && self.pool.added() < self.expected
            && is_below(self.pool.len(), limits.block_entries)
            && is_below(self.pool.bytes(), limits.block_bytes)
    }

    /// Whether it is this validator's turn, and all that a block just committed let expect has come.
    pub(super) fn has_all(&self, ledger: &Ledger) -> bool {
        self.left(ledger).is_some() && !self.expects_more(ledger) && self.has_turn(ledger)
    }

    /// Whether it is the turn of a validator in a round that is not connected. A validator without a way to it cannot hear its
    /// proposal, and how long a round waits is never a matter of safety.
    fn is_away(&self, ledger: &Ledger, round: u32) -> bool {
        let turn = proposer(ledger.validators(), next(ledger), round);
        turn != self.id && !self.present.contains(&turn)
    }

    /// How long a round's timer runs: nobody waits long for the proposal of a validator that is away.
    pub(super) fn no_longer_than_useful(
        &self,
        ledger: &Ledger,
        timer: RoundTimer,
        after: Duration,
    ) -> Duration {
        let round = timer.proposal_round();
        if round.is_some_and(|round| self.is_away(ledger, round)) {
            return after.min(self.settings.absence);
        }
        after
    }

    pub(super) fn has_turn(&self, ledger: &Ledger) -> bool {
        self.engine.is_some() && proposer(ledger.validators(), next(ledger), 0) == self.id
    }

    /// Opens the next height with a block of its own, if any waiting entry may enter one. A height is never opened without a block
    /// to propose, so a ledger that nobody writes to is silent.
    pub(super) fn take_turn(&mut self, ledger: &Ledger) -> Result<Vec<Action>, EngineStopped> {
        self.phase = Phase::Silent;
        let mut actions = Vec::new();
        if let Some(candidate) = self.build(ledger, &mut actions)? {
            // The engine asks for it when the round begins.
            self.bodies.add(candidate);
            actions.extend(self.open(ledger)?);
        }
        Ok(actions)
    }

    /// An entry has come to an open height, whose rounds may wait for one. An entry that no block of now may have is not it; what it
    /// depends on may be on its way, so that it is dropped later.
    pub(super) fn consider(
        &mut self,
        ledger: &Ledger,
        id: &EntryId,
    ) -> Result<Vec<Action>, EngineStopped> {
        let Some(entry) = self.pool.get(id).filter(|_| !self.dozing.is_empty()) else {
            return Ok(Vec::new());
        };
        if self.refusal_of(ledger, entry).is_none() {
            return self.wake_up(ledger);
        }
        // Rounds begin to wait when no entry does, so that the timer of the first one is that of all.
        let is_first = self.pool.len() == 1;
        let timer = Timer(Wake::Patience { height: next(ledger) });
        Ok(is_first.then(|| Action::SetTimer(timer, self.settings.patience)).into_iter().collect())
    }

    /// Drops the first waiting entries that no block of now may have, up to one that may, while no block is known that could fill the
    /// open height. Whoever sends such entries again and again would keep its rounds going, each longer than the last, and what comes
    /// then would wait for the next one of somebody honest.
    pub(super) fn drop_useless(&mut self, ledger: &Ledger) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.phase != Phase::Deciding || self.has_block() {
            return actions;
        }
        while let Some((ticket, entry)) = self.pool.oldest() {
            let Some(refusal) = self.refusal_of(ledger, entry) else { break };
            actions.extend(self.drop_refused(ledger, ticket, refusal));
        }
        actions
    }

    /// Why no block of now may have an entry.
    pub(super) fn refusal_of(&self, ledger: &Ledger, entry: &Entry) -> Option<Refusal> {
        let refused = ledger.propose(self.id, self.now_ms, &[entry]).refused;
        refused.into_iter().next().map(|(_, refusal)| refusal)
    }

    /// Whose turn it is has not proposed anything. The height is opened all the same if any waiting entry may enter a block.
    pub(super) fn lose_patience(
        &mut self,
        ledger: &Ledger,
        height: u64,
    ) -> Result<Vec<Action>, EngineStopped> {
        if height != next(ledger) || self.engine.is_none() {
            return Ok(Vec::new());
        }
        if !self.dozing.is_empty() {
            let mut actions = self.drop_useless(ledger);
            actions.extend(self.wake_up(ledger)?);
            return Ok(actions);
        }
        if self.phase != Phase::Waiting {
            return Ok(Vec::new());
        }
        self.phase = Phase::Silent;
        let mut actions = Vec::new();
        if self.build(ledger, &mut actions)?.is_some() {
            // The others may not have heard of these entries.
            actions.push(Action::Broadcast(self.waiting()));
            actions.extend(self.open(ledger)?);
        }
        Ok(actions)
    }

    /// The first waiting entries, for whoever may lack them.
    pub(super) fn waiting(&self) -> Message {
        let (_, entries) = self.pool.first(RELAYED, RELAYED_BYTES);
        self.relay(entries.into_iter().map(|entry| entry.bytes().to_vec()).collect())
    }

    /// Gives the engine the block that it waits for.
    pub(super) fn pay(&mut self, ledger: &Ledger) -> Result<Vec<Action>, EngineStopped> {
        let Some(round) = self.owed else { return Ok(Vec::new()) };
        let mut actions = Vec::new();
        if let Some(candidate) = self.build(ledger, &mut actions)? {
            self.owed = None;
            actions.extend(self.propose(ledger, round, candidate)?);
        }
        Ok(actions)
    }

    /// Builds a block from waiting entries, and drops those that are refused, until there is a block or no entry.
    pub(super) fn build(
        &mut self,
        ledger: &Ledger,
        actions: &mut Vec<Action>,
    ) -> Result<Option<Candidate>, EngineStopped> {
        while !self.pool.is_empty() {
            let (candidate, refused) = self.try_build(ledger);
            let none_refused = refused.is_empty();
            actions.extend(refused);
            if candidate.is_some() {
                return Ok(candidate);
            }
            if none_refused {
                // Genesis cannot ask for blocks that the longest entry does not fit.
                let why = "no block can be made of the waiting entries, and none is refused";
                return Err(EngineStopped(why.into()));
            }
        }
        Ok(None)
    }

    /// Of all that waits, until the block is full: who sends what is refused does not stand in front of others.
    pub(super) fn try_build(&mut self, ledger: &Ledger) -> (Option<Candidate>, Vec<Action>) {
        let (tickets, entries) = if planted::is(Bug::CrowdedOut) {
            let room = usize::try_from(ledger.genesis().limits().block_entries);
            self.pool.first(room.unwrap_or(usize::MAX), usize::MAX)
        } else {
            self.pool.all()
        };
        let propose = |entries: &[&Entry]| ledger.propose(self.id, self.now_ms, entries);
        let entry_of = |number: &usize| entries.get(*number).copied();
        let mut proposal = propose(&entries);
        let mut included: Vec<&Entry> = proposal.included.iter().filter_map(entry_of).collect();
        let useful = useful(included.len(), self.owed.unwrap_or(0));
        if useful < included.len() {
            included.truncate(useful);
            proposal.block = propose(&included).block;
        }
        let candidate = proposal.block.map(|executed| {
            let entries = included.iter().map(|entry| entry.bytes().clone()).collect();
            let body = Body { header: executed.header.clone(), entries };
            Candidate { hash: executed.header.hash(), body, executed }
        });
        let refused: Vec<(u64, Refusal)> = proposal
            .refused
            .into_iter()
            .filter_map(|(number, refusal)| Some((tickets.get(number).copied()?, refusal)))
            .collect();
        let drop = |(ticket, refusal)| self.drop_refused(ledger, ticket, refusal);
        (candidate, refused.into_iter().flat_map(drop).collect())
    }

    pub(super) fn propose(
        &mut self,
        ledger: &Ledger,
        round: u32,
        candidate: Candidate,
    ) -> Result<Vec<Action>, EngineStopped> {
        let Some(engine) = &mut self.engine else { return Ok(Vec::new()) };
        let hash = candidate.hash;
        // The body first: the engine's records hold only its hash.
        let (height, body) = (engine.height(), candidate.body.encode());
        let mut actions = vec![log(&LogRecord::Body { height, body: Cow::Borrowed(&body) })];
        self.unflushed = true;
        if ledger.validators().members().len() > 1 {
            // Nobody signs a body, so that it need not wait for the log as the proposal does.
            actions.push(Action::Broadcast(Message::body(height, body)));
        }
        self.bodies.add(candidate);
        let outputs = engine.propose(engine.height(), round, hash)?;
        actions.extend(self.carry_out(ledger, outputs)?);
        if planted::is(Bug::BodyLoggedLate) {
            actions.rotate_left(1);
        }
        Ok(actions)
    }

    /// The engine wants a block. One that was built for this height and not proposed yet is taken first.
    pub(super) fn asked_for(
        &mut self,
        ledger: &Ledger,
        round: u32,
    ) -> Result<Vec<Action>, EngineStopped> {
        if let Some(candidate) = self.bodies.take_unproposed(&self.id) {
            return self.propose(ledger, round, candidate);
        }
        self.owed = Some(round);
        self.pay(ledger)
    }
}

/// How many of the entries that a block could have are worth proposing in a round. Whoever is not agreed with in many rounds, since
/// clocks are too far apart, say, would fill everybody's log with ever more blocks of a height: from a round on each has half as many.
fn useful(fitting: usize, round: u32) -> usize {
    let halvings = round.saturating_sub(FULL_ROUNDS);
    fitting.checked_shr(halvings).unwrap_or(0).max(1)
}
