//! What other nodes say, and what they are told when they come.

use ledger_format::digest::{BlockHash, EntryId, KeyId};
use ledger_replay::Ledger;

use super::{Action, Phase, Replica, next, placed, said_at};
use crate::engine::EngineStopped;
use crate::message::{Content, Message};
use crate::planted::{self, Bug};
use crate::said::Said;

impl Replica {
    pub(super) fn connected(&mut self, ledger: &Ledger, peer: KeyId) -> Vec<Action> {
        self.present.insert(peer);
        let tip = Action::Send(peer, Message::tip(ledger.height()));
        let mut actions = if planted::is(Bug::NoTipOnConnect) { Vec::new() } else { vec![tip] };
        actions.extend(self.report(ledger, peer));
        if !self.pool.is_empty() {
            actions.push(Action::Send(peer, self.waiting()));
        }
        actions.extend(self.all_evidence().into_iter().map(|message| Action::Send(peer, message)));
        // What is being decided is of no use to others than those who decide.
        if self.phase != Phase::Deciding || placed(ledger, &peer).is_none() {
            return actions;
        }
        let height = next(ledger);
        for said in &self.said {
            if let Said::Proposal(proposal) = said {
                let body = self.body(height, &BlockHash(proposal.value));
                actions.extend(body.map(|body| Action::Send(peer, body)));
            }
            actions.push(Action::Send(peer, said_at(height, said.clone())));
        }
        actions
    }

    pub(super) fn received(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        content: Content,
    ) -> Result<Vec<Action>, EngineStopped> {
        // What they say who have no say is not even checked: anybody may be a follower, and signatures cost more to check than to make up.
        let has_say = placed(ledger, &from).is_some();
        if !has_say && content.is_for_deciding() {
            return Ok(Vec::new());
        }
        if has_say && let Some(actions) = self.meet_twin(ledger, from, &content) {
            return Ok(actions);
        }
        self.overhear(ledger, from, &content);
        match content {
            Content::Said { height, .. } | Content::Body { height, .. } => {
                self.about(ledger, from, height, content)
            }
            Content::Report { height: tip, heard } => self.reported(ledger, from, tip, heard),
            Content::WantReport => Ok(self.report(ledger, from).into_iter().collect()),
            Content::Evidence { evidence } => Ok(self.told(ledger, from, evidence)),
            Content::WantBody { height, block } => {
                let body = (height == next(ledger)).then(|| self.body(height, &BlockHash(block)));
                Ok(body.flatten().map(|body| Action::Send(from, body)).into_iter().collect())
            }
            Content::Tip { height } => {
                self.catch_up.correct(from, height, next(ledger));
                self.catch_up.note(from, height);
                let mut actions = self.told_tip(ledger, from, height)?;
                actions.extend(self.consider_asking(ledger));
                Ok(actions)
            }
            Content::WantBlocks { from: first } => {
                let has = first >= 1 && first <= ledger.height();
                let tip = Message::tip(ledger.height());
                // Whoever asks for more was told of more, and must not ask for ever.
                let send = Action::SendBlocks { to: from, from: first };
                Ok(vec![if has { send } else { Action::Send(from, tip) }])
            }
            Content::Refused { height, entry, .. } => {
                Ok(self.hear_refusal(ledger, from, EntryId(entry), height))
            }
            // The host takes these: it checks entries as it checks a client's, and signs for whoever asks.
            Content::Entries { .. }
            | Content::PassedOn { .. }
            | Content::WantSeal { .. }
            | Content::Seal { .. } => Ok(Vec::new()),
            Content::Blocks { blocks } => Ok(self.answered(ledger, from, blocks)),
        }
    }
}
