//! Claims blocks that it has not, and sends others than those that were asked for.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct HeightLiar;

impl Liar for HeightLiar {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, dice: &mut Rng) -> Vec<Saying> {
        match message.kind() {
            "tip" => vec![Saying::Message(Message::tip(dice.word() >> dice.below(63)))],
            "blocks" => {
                let mut bytes = message.encode();
                let at = 24 + dice.below(bytes.len().saturating_sub(24).max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
                vec![Saying::Bytes(bytes)]
            }
            _ => vec![Saying::Message(message.clone())],
        }
    }
}
