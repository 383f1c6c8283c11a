//! Sends bytes that are no messages: changed, cut off, claiming a length that they have not.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Babbler;

impl Liar for Babbler {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, dice: &mut Rng) -> Vec<Saying> {
        let truth = Saying::Message(message.clone());
        if !dice.once_in(4) {
            return vec![truth];
        }
        let mut bytes = message.encode();
        match dice.below(3) {
            0 => dice.mutate(&mut bytes, 8),
            1 => bytes.truncate(dice.below(bytes.len() + 1)),
            _ => {
                // A list of 2^63 blocks.
                bytes = [5_u32.to_be_bytes().as_slice(), &(1_u64 << 63).to_be_bytes()].concat();
            }
        }
        vec![truth, Saying::Bytes(bytes)]
    }
}
