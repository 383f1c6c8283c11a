//! Answers those who ask for blocks with blocks that nobody but itself certified.

use bytes::Bytes;
use ledger_fixtures::Rng;
use ledger_format::block::Block;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Forger;

impl Liar for Forger {
    fn says(&mut self, voice: &Voice<'_>, _: usize, message: &Message, _: &mut Rng) -> Vec<Saying> {
        let truth = vec![Saying::Message(message.clone())];
        let Some(blocks) = message.as_blocks() else { return truth };
        let mut forged = Vec::new();
        for bytes in blocks {
            let Ok(mut block) = Block::decode(Bytes::copy_from_slice(bytes)) else { return truth };
            block.certificate.signatures.retain(|(validator, _)| *validator == voice.id);
            forged.push(block);
        }
        // Without its signature nobody would look at them.
        vec![Saying::Message(Message::blocks(&forged, Some(voice.key)))]
    }
}
