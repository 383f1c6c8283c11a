//! How a replica behaves. None of it is agreed on with others, except how much an answer holds.

use std::time::Duration;

use consensus_types::LinearTimeouts;

use crate::pool::PoolLimits;

/// Settings of a replica.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long to gather entries before the first block after a quiet time.
    pub gather: Duration,
    /// How long after a block at most, with several validators, to wait for those whom it answered to send their next entries. The
    /// votes on a block cost the same for few entries as for many.
    pub pace: Duration,
    /// How long entries wait for whose turn it is before the height is opened without it.
    pub patience: Duration,
    /// How long to wait for the turn and the proposal of a validator that is not connected. Not nothing: it may have just come back.
    pub absence: Duration,
    /// How long a round waits for others.
    pub timeouts: Timeouts,
    /// Bounds of the pool.
    pub pool: PoolLimits,
    /// How much an answer to a request for blocks holds.
    pub answer: Answer,
}

/// How much an answer to a request for blocks holds: it ends with the last block that there is, or once it has reached either bound. An
/// answer that ends before is one of somebody who keeps something back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Blocks.
    pub blocks: usize,
    /// Bytes of the blocks as they are encoded, certificates included.
    pub bytes: usize,
}

impl Default for Answer {
    fn default() -> Self {
        Self { blocks: 1_024, bytes: 4 * 1024 * 1024 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(2),
            pace: Duration::from_millis(15),
            patience: Duration::from_millis(250),
            absence: Duration::from_millis(50),
            timeouts: Timeouts::default(),
            pool: PoolLimits::default(),
            answer: Answer::default(),
        }
    }
}

/// How long a round waits for others. Every further round of a height waits half as long again, so that slow networks get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a proposal and its body.
    pub propose: Duration,
    /// For the votes of the others, after a quorum has voted for different things.
    pub vote: Duration,
}

/// No round waits longer.
const LONGEST: Duration = Duration::from_secs(20);

impl Default for Timeouts {
    fn default() -> Self {
        Self { propose: Duration::from_millis(800), vote: Duration::from_millis(300) }
    }
}

impl Timeouts {
    pub(crate) fn linear(self) -> LinearTimeouts {
        let Self { propose, vote } = self;
        LinearTimeouts {
            propose,
            propose_delta: propose / 2,
            prevote: vote,
            prevote_delta: vote / 2,
            precommit: vote,
            precommit_delta: vote / 2,
            rebroadcast: propose,
            max_timeout: LONGEST,
        }
    }
}
