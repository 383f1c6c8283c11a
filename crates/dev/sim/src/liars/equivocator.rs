//! Proposes different blocks to different nodes, two at half of all heights and up to one for each validator at others, and votes
//! before each for the one that it was shown: those after the first are the first, some milliseconds later.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger_fixtures::Rng;
use ledger_format::block::Body;
use ledger_format::digest::{BlockHash, KeyId};
use ledger_replica::{Message, Statement, StatementKind};

use super::{Liar, Saying, Voice};

/// Blocks of others that it remembers, and votes that it holds.
const REMEMBERED: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Equivocator {
    /// The other blocks of each of its own, by how much later they are.
    others: BTreeMap<(BlockHash, u64), BlockHash>,
    /// Blocks that somebody else proposed.
    foreign: Vec<BlockHash>,
    /// Votes for a block of its own that was not shown to a node yet: an engine votes before it proposes.
    held: Vec<(usize, Statement)>,
}

impl Liar for Equivocator {
    fn says(
        &mut self,
        voice: &Voice<'_>,
        to: usize,
        message: &Message,
        _: &mut Rng,
    ) -> Vec<Saying> {
        let truth = vec![Saying::Message(message.clone())];
        if let Some((height, bytes)) = message.as_body() {
            let Ok(body) = Body::decode(Bytes::copy_from_slice(bytes)) else { return truth };
            let later = later(voice, height, to);
            if body.header.proposer != voice.id || later == 0 {
                return truth;
            }
            return self.shows(voice, (to, later), body);
        }
        let Some(own) = voice.own(message) else { return truth };
        let (Some(block), later) = (own.block, later(voice, own.height, to)) else { return truth };
        if later == 0 || self.foreign.contains(&block) {
            return truth;
        }
        if let Some(other) = self.others.get(&(block, later)) {
            return voice.state(&own, Some(*other)).map(Saying::Message).into_iter().collect();
        }
        if self.held.len() >= REMEMBERED {
            self.held.remove(0);
        }
        self.held.push((to, own));
        Vec::new()
    }

    fn hears(&mut self, _: KeyId, message: &Message) {
        let said = message.statement();
        let proposal = said.filter(|said| matches!(said.kind, StatementKind::Proposal { .. }));
        let Some(block) = proposal.and_then(|said| said.block) else { return };
        let is_own = self.others.iter().any(|((own, _), other)| *own == block || *other == block);
        if is_own || self.foreign.contains(&block) {
            return;
        }
        if self.foreign.len() >= REMEMBERED {
            self.foreign.remove(0);
        }
        self.foreign.push(block);
    }
}

impl Equivocator {
    /// Shows a node its block, and the votes for it that were held.
    fn shows(
        &mut self,
        voice: &Voice<'_>,
        (to, later): (usize, u64),
        mut body: Body,
    ) -> Vec<Saying> {
        let (height, first) = (body.header.height, body.header.hash());
        body.header.time_ms += later;
        let other = body.header.hash();
        self.others.insert((first, later), other);
        let held =
            self.held.extract_if(.., |(node, vote)| *node == to && vote.block == Some(first));
        let votes = held.filter_map(|(_, vote)| voice.state(&vote, Some(other)));
        let body = Message::body(height, body.encode());
        std::iter::once(body).chain(votes).map(Saying::Message).collect()
    }
}

/// Which of its blocks of a height a node is shown.
fn later(voice: &Voice<'_>, height: u64, to: usize) -> u64 {
    let others = u64::try_from(voice.others.len()).unwrap().max(1);
    let blocks = if height.is_multiple_of(2) { 2 } else { 2 + height / 2 % others };
    u64::try_from(to).unwrap() % blocks
}
