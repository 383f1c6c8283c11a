//! Claims blocks that it has not, and sends others than those that were asked for. To who has lost its memory it reports a height that
//! it has not, and that it has heard nothing, or what somebody else said.

use ledger_fixtures::Rng;
use ledger_format::digest::KeyId;
use ledger_replica::{Message, Statement};

use super::{Liar, Saying, Voice};

#[derive(Debug, Default)]
pub(super) struct HeightLiar {
    /// What somebody said last.
    heard: Option<Statement>,
}

impl Liar for HeightLiar {
    fn says(&mut self, _: &Voice<'_>, _: usize, message: &Message, dice: &mut Rng) -> Vec<Saying> {
        match message.kind() {
            "tip" => vec![Saying::Message(Message::tip(dice.word() >> dice.below(63)))],
            "report" => {
                // Low ones count as those of who knows that nothing was decided meanwhile.
                let height = if dice.once_in(2) { 0 } else { dice.word() >> dice.below(63) };
                let heard = self.heard.as_ref().filter(|_| dice.once_in(2));
                vec![Saying::Message(Message::report(height, heard))]
            }
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

    fn hears(&mut self, _: KeyId, message: &Message) {
        self.heard = message.statement().or(self.heard);
    }
}
