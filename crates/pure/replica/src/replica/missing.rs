//! Blocks that others have and this node lacks: the way of followers, and of validators that were away.

use std::time::Duration;

use ledger_format::block::Block;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::evidence::Evidence;
use ledger_replay::Ledger;
use ledger_verify::evidence::check_presented;
use ledger_verify::finding::{Code, Place, Refuted};

use super::{Action, Decided, Replica, Timer, Wake, next, placed};
use crate::catch_up::Given;
use crate::examine::{examine_decided, read_block};
use crate::message::{Content, Message, PresentedBlock};
use crate::planted::{self, Bug};

/// How long to wait before a peer that is one block ahead is asked for it: usually the block is about to be decided here as well.
const ALMOST_THERE: Duration = Duration::from_millis(250);
/// How long a peer has to answer before another one is asked.
const ANSWER: Duration = Duration::from_secs(2);

impl Replica {
    pub(super) fn commit(&mut self, decided: Decided) -> Vec<Action> {
        for id in &decided.executed.ids {
            if !planted::is(Bug::PoolNotPurged) {
                self.pool.forget(id);
            }
            self.askers.take(id);
            self.verdicts.settle(id);
        }
        self.recorded.extend(decided.executed.evidence.iter().cloned());
        let answered = u64::try_from(decided.executed.ids.len()).unwrap_or(u64::MAX);
        self.expected = self.pool.added().saturating_add(answered);
        vec![Action::CancelTimers, Action::Commit(Box::new(decided))]
    }

    /// Tells somebody who still decides a height that is over, now and then.
    pub(super) fn remind(&mut self, ledger: &Ledger, peer: KeyId) -> Vec<Action> {
        if self.catch_up.may_remind(peer, self.now_ms) {
            return vec![Action::Send(peer, Message::tip(ledger.height()))];
        }
        Vec::new()
    }

    /// A connection ended: whoever was asked over it will not answer.
    pub(super) fn disconnected(&mut self, ledger: &Ledger, peer: &KeyId) -> Vec<Action> {
        self.present.remove(peer);
        if let Some(recovering) = &mut self.recovering {
            recovering.forget(ledger, peer);
        }
        let is_stranger = stranger(ledger)(peer);
        self.catch_up.forget(peer, is_stranger);
        if is_stranger {
            // It tells its evidence again when it comes again.
            self.put_off.remove(peer);
        }
        self.consider_asking(ledger)
    }

    /// Executes the next block that came from somebody who has it.
    pub(super) fn take_blocks(&mut self, ledger: &Ledger) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(Given { from, block, signature }) = self.catch_up.next() {
            let block = read_block(ledger, block);
            if block.as_ref().is_ok_and(|block| block.body.header.height < next(ledger)) {
                // It was decided here while it was on its way.
                continue;
            }
            let known = |id: &EntryId| self.pool.get(id);
            let block = block.and_then(|block| {
                check_giver(ledger, &from, &block, signature.as_ref()).map(|()| block)
            });
            let given = block.as_ref().ok().map(|block| {
                let Block { body, certificate } = block;
                (body.header.clone(), certificate.clone())
            });
            match block.and_then(|block| examine_decided(ledger, block, known)) {
                Ok(decided) => {
                    let certificate = &decided.block.certificate;
                    actions.extend(self.read_certificate(ledger, from, certificate));
                    if matches!(actions.last(), Some(Action::Twin { .. })) {
                        return actions;
                    }
                    if let Some(engine) = &mut self.engine {
                        engine.abandon();
                    }
                    actions.extend(self.commit(decided));
                    return actions;
                }
                Err(why) => {
                    self.catch_up.distrust(from);
                    actions.push(Action::suspect(from, next(ledger), why));
                    if let Some((header, certificate)) = &given
                        && let Some(foreign) = self.own_in(ledger, header, certificate)
                    {
                        actions.extend(self.meet(ledger, from, foreign));
                        return actions;
                    }
                    if let (Some((header, certificate)), Some(signature)) = (given, signature) {
                        let lie =
                            Evidence::forged_certificate(from, header, certificate, signature);
                        actions.extend(self.accuse(ledger, lie));
                    }
                }
            }
        }
        actions
    }

    /// Somebody answered a request for blocks.
    pub(super) fn answered(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        blocks: Vec<PresentedBlock>,
    ) -> Vec<Action> {
        let is_empty = blocks.is_empty();
        if !self.catch_up.take(from, blocks, self.settings.answer) {
            return Vec::new();
        }
        let mut actions = Vec::new();
        if is_empty {
            let height = next(ledger);
            let found = "nothing, from who said to have it";
            let why = Refuted::differs(Code::Height, Place::block(height), height, found);
            self.catch_up.distrust(from);
            actions.push(Action::suspect(from, height, why));
        }
        actions.extend(self.take_blocks(ledger));
        if !actions.is_empty() {
            if !actions.iter().any(|action| matches!(action, Action::Commit(_))) {
                actions.extend(self.ask(ledger));
            }
            return actions;
        }
        // Nothing new: it was decided here meanwhile, or somebody answers with what nobody asked for. No hurry to ask again.
        self.catch_up.disappoint(from);
        self.ask_soon(ledger)
    }

    /// Asks for missing blocks in a moment, once however many say that they have some.
    fn ask_soon(&mut self, ledger: &Ledger) -> Vec<Action> {
        let next = next(ledger);
        if !self.catch_up.plan_to_ask(next) {
            return Vec::new();
        }
        vec![Action::SetTimer(Timer(Wake::AlmostThere { next }), ALMOST_THERE)]
    }

    /// Asks for missing blocks: at once when a peer is well ahead, a little later when the block is about to be decided here, or only
    /// a stranger claims to have it.
    pub(super) fn consider_asking(&mut self, ledger: &Ledger) -> Vec<Action> {
        let height = next(ledger);
        if self.catch_up.highest(|_| true) < height {
            return Vec::new();
        }
        let is_stranger = stranger(ledger);
        let known = self.catch_up.highest(|peer| !is_stranger(peer));
        if known <= height && self.engine.is_some() {
            if planted::is(Bug::OneBehindNeverAsks) {
                return Vec::new();
            }
            return self.ask_soon(ledger);
        }
        self.ask(ledger)
    }

    pub(super) fn ask(&mut self, ledger: &Ledger) -> Vec<Action> {
        let from = next(ledger);
        let Some((request, peer)) = self.catch_up.ask(from, stranger(ledger)) else {
            return Vec::new();
        };
        let again = Action::SetTimer(Timer(Wake::Unanswered { request }), ANSWER);
        vec![Action::Send(peer, Message(Content::WantBlocks { from })), again]
    }
}

/// Whom a node asks for blocks last: whoever is no validator. Followers may be anybody, and many. Yet one may have what nobody else
/// gives: a validator that is ahead, and speaks with a key that is unknown here.
fn stranger(ledger: &Ledger) -> impl Fn(&KeyId) -> bool {
    |peer| placed(ledger, peer).is_none()
}

/// A validator answers for the blocks that it gives away: it signs that. Followers may be anybody, and answer for nothing.
///
/// # Errors
/// Why the block is not looked at.
fn check_giver(
    ledger: &Ledger,
    from: &KeyId,
    block: &Block,
    signature: Option<&[u8; 64]>,
) -> Result<(), Refuted> {
    let Some(member) = placed(ledger, from) else { return Ok(()) };
    let (header, place) = (&block.body.header, Place::block(next(ledger)));
    let unsigned = "a validator did not sign for a block that it gave away";
    let signature = signature.ok_or_else(|| Refuted::new(Code::Signature, place, unsigned))?;
    check_presented(member, header, &block.certificate, signature)
}
