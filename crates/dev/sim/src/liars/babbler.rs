//! Sends bytes that are no messages: changed, cut off, claiming a length that they have not; and once one that is longer than any may be.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

/// Longer than the longest message.
const TOO_LONG: usize = 24 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Babbler {
    has_shouted: bool,
}

impl Liar for Babbler {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, dice: &mut Rng) -> Vec<Saying> {
        let truth = Saying::Message(message.clone());
        if !dice.once_in(4) {
            return vec![truth];
        }
        if !std::mem::replace(&mut self.has_shouted, true) {
            return vec![truth, Saying::Bytes(shout())];
        }
        let mut bytes = message.encode();
        match dice.below(3) {
            0 => dice.mutate(&mut bytes, 8),
            1 => bytes.truncate(dice.below(bytes.len() + 1)),
            _ => {
                // A list of 2^63 blocks.
                bytes = [6_u32.to_be_bytes().as_slice(), &(1_u64 << 63).to_be_bytes()].concat();
            }
        }
        vec![truth, Saying::Bytes(bytes)]
    }
}

/// The body of a block at height 1, all zeros, of more bytes than a message may have.
fn shout() -> Vec<u8> {
    let length = u64::try_from(TOO_LONG).unwrap();
    let head = [&1_u32.to_be_bytes()[..], &1_u64.to_be_bytes(), &length.to_be_bytes()].concat();
    [head, vec![0; TOO_LONG]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is wrong with it but its length.
    #[test]
    fn what_is_too_long_is_no_message_and_the_same_of_less_is_one() {
        let shouted = shout();
        assert!(Message::decode(&shouted).is_err());
        let length = 1_000_usize;
        let mut fewer = shouted[..20 + length].to_vec();
        fewer[12..20].copy_from_slice(&u64::try_from(length).unwrap().to_be_bytes());
        assert!(Message::decode(&fewer).is_ok());
    }
}
