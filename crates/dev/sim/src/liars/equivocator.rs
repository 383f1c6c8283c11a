//! Proposes different blocks to different nodes: the second is the first, one millisecond later.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger_fixtures::Rng;
use ledger_format::block::Body;
use ledger_format::digest::BlockHash;
use ledger_replica::{Message, StatementKind};

use super::{Liar, Saying, Voice};

#[derive(Debug, Default)]
pub(super) struct Equivocator {
    /// The other block of each of its own.
    others: BTreeMap<BlockHash, BlockHash>,
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
        if to.is_multiple_of(2) {
            return truth;
        }
        if let Some((height, bytes)) = message.as_body() {
            let Ok(mut body) = Body::decode(Bytes::copy_from_slice(bytes)) else { return truth };
            if body.header.proposer != voice.id {
                return truth;
            }
            let first = body.header.hash();
            body.header.time_ms += 1;
            self.others.insert(first, body.header.hash());
            return vec![Saying::Message(Message::body(height, body.encode()))];
        }
        let own = voice.own(message);
        let other = own.and_then(|statement| {
            let other = self.others.get(&statement.block?)?;
            matches!(statement.kind, StatementKind::Proposal { .. })
                .then(|| voice.state(&statement, Some(*other)))?
        });
        other.map_or(truth, |other| vec![Saying::Message(other)])
    }
}
