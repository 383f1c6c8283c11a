//! Keeps the bodies of its proposals to itself, or gives them to some: at each height to another number of nodes, and to others.

use ledger_fixtures::Rng;
use ledger_replica::Message;

use super::{Liar, Saying, Voice};

#[derive(Debug)]
pub(super) struct Withholder;

impl Liar for Withholder {
    fn says(
        &mut self,
        voice: &Voice<'_>,
        to: usize,
        message: &Message,
        _: &mut Rng,
    ) -> Vec<Saying> {
        if let Some((height, _)) = message.as_body() {
            let all = u64::try_from(voice.others.len() + 1).unwrap();
            // None at some heights, all but one at others.
            let given = height % all;
            if (u64::try_from(to).unwrap() + height / all) % all >= given {
                return Vec::new();
            }
        }
        vec![Saying::Message(message.clone())]
    }
}
