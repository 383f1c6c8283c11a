//! What other nodes asked for and has not been answered yet. Answers are read from disk and signed, which takes longer than to ask for
//! them: each node has a place for one request for blocks and a few for signatures, and validators and others take turns, so that
//! nobody who asks without end keeps another from being answered.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledger_format::digest::KeyId;

/// Requests of nodes that are no validators that wait at one time. Who is turned away asks again, or somebody else.
const OF_OTHERS: usize = 512;
/// Requests of one node for signatures that wait at one time, each of another height, beside one for blocks.
const SEALS_OF_ONE: usize = 31;

/// What another node asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Blocks from a height on.
    Blocks {
        /// Who asked.
        to: KeyId,
        /// The first height.
        from: u64,
    },
    /// A validator's signatures of a block: this node's own, or of one of which it has got them.
    Seal {
        /// Who asked.
        to: KeyId,
        /// The block's height.
        height: u64,
    },
}

impl Wanted {
    pub(crate) const fn to(&self) -> KeyId {
        match self {
            Self::Blocks { to, .. } | Self::Seal { to, .. } => *to,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.to() == other.to()
            && match self {
                Self::Blocks { .. } => matches!(other, Self::Blocks { .. }),
                // A node asks for the signatures of many heights at once, each for a client that waits.
                Self::Seal { .. } => self == other,
            }
    }
}

/// Requests that wait.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    validators: VecDeque<Wanted>,
    others: VecDeque<Wanted>,
    /// Whether one of the others has the next turn.
    others_turn: bool,
}

impl Requests {
    /// Notes a request. One that waits already gives its place to the new one of its kind.
    pub(crate) fn ask(&self, wanted: Wanted, is_validator: bool) {
        let mut waiting = self.lock();
        let (queue, most) = if is_validator {
            (&mut waiting.validators, usize::MAX)
        } else {
            (&mut waiting.others, OF_OTHERS)
        };
        if let Some(same) = queue.iter_mut().find(|other| other.is_like(&wanted)) {
            *same = wanted;
        } else if queue.len() < most && has_place(queue, &wanted) {
            queue.push_back(wanted);
            self.arrived.notify_one();
        }
    }

    /// The next request, if one comes within a time, and whether a validator asked.
    pub(crate) fn next(&self, within: Duration) -> Option<(Wanted, bool)> {
        let waiting = self.lock();
        let is_empty =
            |waiting: &mut Waiting| waiting.validators.is_empty() && waiting.others.is_empty();
        let waited = self.arrived.wait_timeout_while(waiting, within, is_empty);
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_place(queue: &VecDeque<Wanted>, wanted: &Wanted) -> bool {
    let is_seal = |other: &&Wanted| matches!(other, Wanted::Seal { .. });
    let seals = queue.iter().filter(is_seal).filter(|other| other.to() == wanted.to()).count();
    matches!(wanted, Wanted::Blocks { .. }) || seals < SEALS_OF_ONE
}

impl Waiting {
    fn take(&mut self) -> Option<(Wanted, bool)> {
        let of_others = self.others_turn && !self.others.is_empty() || self.validators.is_empty();
        let queue = if of_others { &mut self.others } else { &mut self.validators };
        let wanted = queue.pop_front()?;
        self.others_turn = !of_others;
        Some((wanted, !of_others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn blocks(by: u8, from: u64) -> Wanted {
        Wanted::Blocks { to: KeyId([by; 32]), from }
    }

    fn all(requests: &Requests) -> Vec<Wanted> {
        std::iter::from_fn(|| requests.next(Duration::ZERO)).map(|(wanted, _)| wanted).collect()
    }

    #[test]
    fn who_asks_without_end_takes_one_turn_of_each_round() {
        let requests = Requests::default();
        for from in 1..1_000 {
            requests.ask(blocks(9, from), false);
            requests.ask(blocks(8, from), false);
        }
        requests.ask(blocks(1, 5), true);
        requests.ask(blocks(7, 5), false);
        requests.ask(blocks(2, 5), true);
        let expected = [blocks(1, 5), blocks(9, 999), blocks(2, 5), blocks(8, 999), blocks(7, 5)];
        assert_eq!(all(&requests), expected);
    }

    #[test]
    fn however_many_others_ask_a_validator_has_its_place() {
        let requests = Requests::default();
        let seal = |by, height| Wanted::Seal { to: KeyId([by; 32]), height };
        for by in 0..=255 {
            for height in 0..100 {
                requests.ask(seal(by, height), false);
            }
        }
        for height in 0..100 {
            requests.ask(seal(3, height), true);
        }
        requests.ask(blocks(3, 1), true);
        let asked = all(&requests);
        assert_eq!(asked.len(), OF_OTHERS + SEALS_OF_ONE + 1);
        let early =
            asked.iter().take(2 * SEALS_OF_ONE + 2).filter(|wanted| wanted.to() == KeyId([3; 32]));
        assert_eq!(early.count(), SEALS_OF_ONE + 1, "they take turns with the others");
    }

    #[test]
    fn signatures_of_several_heights_are_several_requests() {
        let requests = Requests::default();
        let seal = |height| Wanted::Seal { to: KeyId([1; 32]), height };
        for height in [4, 5, 4] {
            requests.ask(seal(height), true);
        }
        assert_eq!(all(&requests), [seal(4), seal(5)]);
        assert_eq!(requests.next(Duration::from_millis(1)), None);
    }
}
