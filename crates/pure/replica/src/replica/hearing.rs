//! What other nodes say, and which part of the replica it concerns.

use ledger_format::digest::{BlockHash, EntryId, KeyId};
use ledger_replay::Ledger;

use super::{Action, Replica, next};
use crate::engine::EngineStopped;
use crate::message::Content;

impl Replica {
    pub(super) fn received(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        content: Content,
    ) -> Result<Vec<Action>, EngineStopped> {
        match content {
            Content::Said { height, .. } | Content::Body { height, .. } => {
                self.about(ledger, from, height, content)
            }
            Content::Evidence { evidence } => Ok(self.told(ledger, from, evidence)),
            Content::WantBody { height, block } => {
                let body = (height == next(ledger)).then(|| self.body(height, &BlockHash(block)));
                Ok(body.flatten().map(|body| Action::Send(from, body)).into_iter().collect())
            }
            Content::Tip { height } => {
                // A validator takes blocks from validators: followers may be strangers, and many.
                if self.engine.is_none() || ledger.validators().get(&from).is_some() {
                    self.catch_up.note(from, height);
                }
                Ok(self.consider_asking(ledger))
            }
            Content::WantBlocks { from: first } => {
                let has = first >= 1 && first <= ledger.height();
                let send = Action::SendBlocks { to: from, from: first };
                Ok(has.then_some(send).into_iter().collect())
            }
            Content::Refused { height, entry, .. } => {
                Ok(self.hear_refusal(ledger, from, EntryId(entry), height))
            }
            // The host takes these: it checks entries as it checks a client's, and signs for whoever asks.
            Content::Entries { .. } | Content::WantSeal { .. } | Content::Seal { .. } => {
                Ok(Vec::new())
            }
            Content::Blocks { blocks } => Ok(self.answered(ledger, from, blocks)),
        }
    }
}
