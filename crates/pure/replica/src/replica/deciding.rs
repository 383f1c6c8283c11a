//! What others say about a height: when it is opened for it, how proposals and bodies are judged, and what is said in turn.

use std::borrow::Cow;

use bytes::Bytes;
use ledger_event::Clock;
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::entry::Entry;
use ledger_format::header::{HEADER_BYTES, Header};
use ledger_replay::Ledger;
use ledger_verify::block::proposer;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::signature;

use super::{Action, Phase, Replica, log, may_speak, next, said_at};
use crate::bodies::Candidate;
use crate::engine::{EngineStopped, Judged};
use crate::examine::examine;
use crate::log_record::LogRecord;
use crate::message::{Content, Message};
use crate::planted::{self, Bug};
use crate::said::{Said, SaidProposal};

/// Messages of its own that a validator keeps for those who come late.
const SAID: usize = 24;

impl Replica {
    /// Says something to the others. The body of a proposal of its own has gone before it; of one that it says again for somebody else, since
    /// it is locked on that, the body goes with it.
    pub(super) fn publish(&mut self, ledger: &Ledger, said: Said) -> Vec<Action> {
        let height = next(ledger);
        self.remember(height, said.clone());
        let mut actions = Vec::new();
        for statement in said.statements(height, 1) {
            actions.extend(self.observe(ledger, statement, statement.validator == self.id));
        }
        let body = match &said {
            Said::Proposal(proposal) if proposal.proposer != self.id.0 => {
                self.body(height, &BlockHash(proposal.value)).map(Action::Broadcast)
            }
            _ => None,
        };
        actions.extend(body.into_iter().chain([Action::Broadcast(said_at(height, said))]));
        actions
    }

    /// Keeps what this validator said for those who come late.
    pub(super) fn remember(&mut self, height: u64, said: Said) {
        if let Said::Proposal(proposal) = &said {
            self.bodies.propose(proposal);
        }
        if let Said::Vote(_) | Said::Proposal(_) = &said {
            said.statements(height, 1).iter().for_each(|statement| self.signed.add(statement));
        }
        if self.said.len() >= SAID {
            self.said.remove(0);
        }
        self.said.push(said);
    }

    /// Says something again, and what this validator proposed last and what waits here: the engine does not repeat that.
    pub(super) fn repeat(&self, height: u64, said: Said) -> Vec<Action> {
        let proposed = self.said.iter().rfind(|said| matches!(said, Said::Proposal(_)));
        let again = proposed.cloned().into_iter().chain([said]);
        let mut actions: Vec<Action> =
            again.map(|said| Action::Broadcast(said_at(height, said))).collect();
        if !self.pool.is_empty() {
            actions.push(Action::Broadcast(self.waiting()));
        }
        actions
    }

    pub(super) fn body(&self, height: u64, block: &BlockHash) -> Option<Message> {
        Some(Message::body(height, self.bodies.get(block)?.body.encode()))
    }

    /// Something about a height that is being decided, somewhere.
    pub(super) fn about(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        height: u64,
        content: Content,
    ) -> Result<Vec<Action>, EngineStopped> {
        if self.engine.is_none() || !may_speak(ledger, &from, height) {
            return Ok(Vec::new());
        }
        let mut actions = self.notice(ledger, from, &content);
        if height < next(ledger) {
            actions.extend(self.remind(ledger, from));
            return Ok(actions);
        }
        if height == next(ledger) && self.phase == Phase::Deciding {
            if self.is_open() {
                actions.extend(self.about_open(ledger, from, content)?);
            }
            return Ok(actions);
        }
        let counts = height == next(ledger);
        let keeps = !counts || is_sound(ledger, &content);
        let is_new = keeps && self.ahead.keep(next(ledger), height, from, content);
        // Whoever decides a height has all blocks below.
        self.catch_up.note(from, height.saturating_sub(1));
        actions.extend(self.consider_asking(ledger));
        if counts && is_new && self.is_called(ledger) {
            actions.extend(self.open(ledger)?);
        }
        Ok(actions)
    }

    /// What was kept of the next height before its validators were known is judged, once.
    pub(super) fn sift(&mut self, ledger: &Ledger) {
        self.ahead.retain(next(ledger), |content| is_sound(ledger, content));
    }

    /// Whether others have opened the next height: whose turn it is proposed a block, or more than a third of the power speaks of
    /// it, so somebody honest does. One voice alone must not wake everybody.
    pub(super) fn is_called(&self, ledger: &Ledger) -> bool {
        let (height, validators) = (next(ledger), ledger.validators());
        let mut power: u64 = 0;
        for (from, contents) in self.ahead.of(height) {
            // Nobody signs a body, and it comes before its sender has said anything.
            if contents.iter().any(|content| !matches!(content, Content::Body { .. })) {
                power += validators.get(from).map_or(0, |member| u64::from(member.power));
            }
            let bodies: Vec<BlockHash> = contents.iter().filter_map(body_hash).collect();
            let proposed = contents.iter().any(|content| match content {
                Content::Said { said: Said::Proposal(proposal), .. } => {
                    bodies.contains(&BlockHash(proposal.value))
                }
                _ => false,
            });
            if proposed {
                return true;
            }
        }
        power.saturating_mul(3) > validators.total_power()
    }

    /// Something about the open height. It may be what its rounds waited for.
    pub(super) fn about_open(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        content: Content,
    ) -> Result<Vec<Action>, EngineStopped> {
        let mut actions = self.hear_open(ledger, from, content)?;
        if self.is_open() {
            actions.extend(self.wake_up(ledger)?);
        }
        Ok(actions)
    }

    fn hear_open(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        content: Content,
    ) -> Result<Vec<Action>, EngineStopped> {
        match content {
            Content::Said { height, said: Said::Proposal(proposal) } => {
                self.proposed(ledger, from, height, proposal)
            }
            Content::Said { said, .. } => {
                let Some(engine) = &mut self.engine else { return Ok(Vec::new()) };
                let outputs = engine.hear(said)?;
                let mut actions = self.carry_out(ledger, outputs)?;
                // It may be the last of a quorum for a block that waits for one.
                for block in self.bodies.claimed() {
                    if self.is_open() {
                        actions.extend(self.tell(ledger, block)?);
                    }
                }
                Ok(actions)
            }
            Content::Body { body, .. } => {
                let content = Bytes::from(body);
                let Some(block) = hash_of(&content) else {
                    let place = Place::block(next(ledger));
                    let why = Refuted::new(Code::BlockForm, place, "a body without a header");
                    return Ok(vec![Action::suspect(from, next(ledger), why)]);
                };
                if self.bodies.get(&block).is_some() || self.bodies.is_spoiler(&from) {
                    return Ok(Vec::new());
                }
                if self.bodies.proposals_of(&block).is_empty() {
                    self.bodies.stray(from, block, content);
                    return Ok(Vec::new());
                }
                self.judge(ledger, from, block, &content)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A proposal for the open height: its body is judged once it is here.
    pub(super) fn proposed(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        height: u64,
        proposal: SaidProposal,
    ) -> Result<Vec<Action>, EngineStopped> {
        let (Some(engine), true) = (&self.engine, is_proposed(ledger, height, &proposal)) else {
            let detail = "a proposal that its proposer did not sign";
            let why = Refuted::new(Code::Signature, Place::block(height), detail);
            return Ok(vec![Action::suspect(from, height, why)]);
        };
        let block = BlockHash(proposal.value);
        let mut actions = Vec::new();
        // What the engine would drop must not be taken for heard.
        if !proposal.round.is_some_and(|round| engine.is_within_reach(round)) {
            return Ok(actions);
        }
        if self.bodies.propose(&proposal) {
            actions.extend(self.put_right(ledger, block)?);
            let Some(engine) = &mut self.engine else { return Ok(actions) };
            let outputs = engine.hear(Said::Proposal(proposal))?;
            actions.extend(self.carry_out(ledger, outputs)?);
        }
        if !self.is_open() || self.bodies.proposals_of(&block).is_empty() {
            return Ok(actions);
        }
        for (sender, body) in self.bodies.take_strays(&block) {
            if self.is_open() && self.bodies.get(&block).is_none() {
                actions.extend(self.judge(ledger, sender, block, &body)?);
            }
        }
        if self.is_open() && self.bodies.is_judged(&block) {
            actions.extend(self.tell(ledger, block)?);
        }
        if self.is_open() && self.bodies.get(&block).is_none() {
            actions.push(Action::Send(from, Message::want_body(height, &block)));
        }
        Ok(actions)
    }

    /// Of a block that is proposed again: a verdict that a quorum's prevotes have changed comes before the proposal, which the engine
    /// would vote against with the one that it has.
    fn put_right(
        &mut self,
        ledger: &Ledger,
        block: BlockHash,
    ) -> Result<Vec<Action>, EngineStopped> {
        if self.bodies.is_told_bad(&block) { self.tell(ledger, block) } else { Ok(Vec::new()) }
    }

    /// Executes a body that was proposed, logs it, and tells the engine what it is.
    pub(super) fn judge(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        block: BlockHash,
        bytes: &Bytes,
    ) -> Result<Vec<Action>, EngineStopped> {
        let mut actions = Vec::new();
        match examine(ledger, bytes.clone(), |id| self.pool.get(id)) {
            Ok((body, executed, new)) => {
                if !planted::is(Bug::BodyNotLogged) {
                    let (height, body_bytes) = (next(ledger), Cow::Borrowed(&**bytes));
                    actions.push(log(&LogRecord::Body { height, body: body_bytes }));
                }
                self.unflushed = true;
                self.keep_entries(new);
                self.bodies.add(Candidate { hash: block, body, executed });
            }
            Err(why) => {
                actions.push(Action::suspect(from, next(ledger), why));
                self.bodies.spoil(from, block);
            }
        }
        if self.bodies.is_judged(&block) {
            actions.extend(self.tell(ledger, block)?);
        }
        Ok(actions)
    }

    /// Keeps the entries of a body that did not wait here, and were checked with it: whoever proposes next can propose them if this body
    /// is not decided.
    pub(super) fn keep_entries(&mut self, new: Vec<Entry>) {
        for entry in new {
            // A full pool has enough to propose.
            let _turned = self.pool.add(Box::new(entry));
        }
    }

    /// What the engine may be told of a body, if there is anything to tell yet. How far its time may be from this validator's clock,
    /// and whether who proposes it is whom its header names, is not asked of a block that a quorum has accepted already. That it has
    /// is believed of nobody: the engine takes a verdict for every round, so a claim alone would bring a block of any time, or under
    /// another's name, into the first one.
    fn verdict(&self, ledger: &Ledger, block: &BlockHash, proposal: &SaidProposal) -> Option<bool> {
        let Some(candidate) = self.bodies.get(block) else { return Some(false) };
        let header = &candidate.body.header;
        let is_its_own = header.proposer.0 == proposal.proposer;
        if is_its_own && self.is_timely(ledger, header.time_ms) {
            return Some(true);
        }
        let Some(round) = proposal.valid_round else { return Some(false) };
        let has_polka = self.engine.as_ref().is_some_and(|engine| engine.has_polka(round, block));
        (has_polka || planted::is(Bug::PolkaBelieved)).then_some(true)
    }

    /// Tells the engine the verdict on a body.
    pub(super) fn tell(
        &mut self,
        ledger: &Ledger,
        block: BlockHash,
    ) -> Result<Vec<Action>, EngineStopped> {
        let mut actions = Vec::new();
        for proposal in self.bodies.proposals_of(&block) {
            let Some(valid) = self.verdict(ledger, &block, &proposal) else { continue };
            let (Some(round), true) = (proposal.round, self.bodies.is_news(&block, valid)) else {
                continue;
            };
            let (valid_round, proposer) = (proposal.valid_round, KeyId(proposal.proposer));
            if !valid && let Some(candidate) = self.bodies.get(&block) {
                let time_ms = candidate.body.header.time_ms;
                let ahead_ms = time_ms.saturating_sub(self.now_ms);
                if ahead_ms > 0 && proposer != self.id && !self.is_timely(ledger, time_ms) {
                    let height = next(ledger);
                    actions.push(Action::Apart { peer: proposer, height, ahead_ms });
                }
            }
            let Some(engine) = &mut self.engine else { break };
            let outputs = engine.judged(Judged { round, valid_round, proposer, block, valid })?;
            // Of a round that had two blocks before a restart it keeps no third, and is told again with the next proposal of it.
            if engine.keeps(&block) {
                self.bodies.told(block, valid);
            }
            actions.extend(self.carry_out(ledger, outputs)?);
            if !self.is_open() {
                break;
            }
        }
        Ok(actions)
    }

    /// Whether a header's time is within the ledger's skew of this validator's clock. After a header that is itself ahead of the
    /// clock, the next millisecond is as good as it gets.
    fn is_timely(&self, ledger: &Ledger, time_ms: u64) -> bool {
        let genesis = ledger.genesis();
        let has_no_choice = ledger.height() == 0 || genesis.clock() == Clock::Declared;
        if has_no_choice || planted::is(Bug::TimeNeverAsked) {
            return true;
        }
        let skew = u64::from(genesis.limits().skew_ms);
        let latest = self.now_ms.saturating_add(skew).max(ledger.time_ms().saturating_add(1));
        let is_late = time_ms < self.now_ms.saturating_sub(skew);
        (!is_late || planted::is(Bug::LateTimeTaken)) && time_ms <= latest
    }
}

/// Whether something about the next height is worth keeping: of proposals, one that was signed by whose turn it is.
fn is_sound(ledger: &Ledger, content: &Content) -> bool {
    match content {
        Content::Said { height, said: Said::Proposal(proposal) } => {
            is_proposed(ledger, *height, proposal)
        }
        _ => true,
    }
}

fn body_hash(content: &Content) -> Option<BlockHash> {
    match content {
        Content::Body { body, .. } => hash_of(body),
        _ => None,
    }
}

/// The hash of the block that a body claims to be of: its header comes first.
fn hash_of(body: &[u8]) -> Option<BlockHash> {
    let header = Bytes::copy_from_slice(body.get(..HEADER_BYTES)?);
    Header::decode(header).ok().map(|header| header.hash())
}

/// Whether whose turn it is signed a proposal.
pub(super) fn is_proposed(ledger: &Ledger, height: u64, proposal: &SaidProposal) -> bool {
    let (validators, by) = (ledger.validators(), KeyId(proposal.proposer));
    let turn = proposal.round.map(|round| proposer(validators, height, round));
    let Some(member) = validators.get(&by).filter(|_| turn == Some(by)) else { return false };
    let signed = proposal.clone().at(height);
    let bytes = signed.message.signed_bytes(&ledger.genesis().id());
    signature::verify(&member.vote_key, &bytes, &signed.signature.0).is_ok()
}
