//! Its clock is half an hour ahead or behind. What it says is as its clock has it; and before half of its proposals it claims that a quorum has
//! prevoted for the block already, by a proposal for its next turn.

use ledger_fixtures::Rng;
use ledger_replica::{Message, Statement, StatementKind};

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct TimeShifter;

impl Liar for TimeShifter {
    fn says(&mut self, voice: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        let own = voice.own(message).filter(|own| own.height.is_multiple_of(2));
        let claim = own.and_then(|own| claim(voice, own)).map(Saying::Message);
        claim.into_iter().chain([Saying::Message(message.clone())]).collect()
    }

    fn is_at_it(&self, _: &Voice<'_>, message: &Message) -> bool {
        message.as_body().is_some()
    }
}

/// The same block, proposed at this validator's next turn as one that a quorum has prevoted for in this round.
fn claim(voice: &Voice<'_>, own: Statement) -> Option<Message> {
    let StatementKind::Proposal { valid_round: None } = own.kind else { return None };
    let turns = u32::try_from(voice.others.len() + 1).ok()?;
    let kind = StatementKind::Proposal { valid_round: Some(own.round) };
    voice.state(&Statement { round: own.round + turns, kind, ..own }, own.block)
}
