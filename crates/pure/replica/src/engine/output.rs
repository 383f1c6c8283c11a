//! What the engine wants done, and when it wants to be called back.

use std::time::Duration;

use consensus_types::{Timeout, TimeoutKind};
use ledger_format::vote::Certificate;

use crate::log_record::LogInput;
use crate::message::Statement;
use crate::said::Said;

/// What the engine wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Append to the log.
    Log(LogInput),
    /// Make the log durable before going on.
    Flush,
    /// Tell all validators; what was logged before is durable then.
    Publish(Said),
    /// Tell all validators again what this one said last, in case it was lost.
    Repeat(Said),
    /// Call back after a while.
    SetTimer(RoundTimer, Duration),
    /// Forget one timer.
    CancelTimer(RoundTimer),
    /// Forget all timers.
    CancelTimers,
    /// A block is wanted for this round.
    GetValue { round: u32 },
    /// The height is decided.
    Decided(Certificate),
    /// Validators made two statements where one is allowed.
    Misbehaved(Vec<[Statement; 2]>),
}

/// A timeout with its height, which the engine's own timeouts lack: one that fires late must not hit the next height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoundTimer {
    pub(crate) height: u64,
    pub(crate) timeout: Timeout,
}

impl RoundTimer {
    /// The round whose proposal the timer waits for, if it waits for one.
    pub(crate) fn proposal_round(&self) -> Option<u32> {
        let proposal = self.timeout.kind == TimeoutKind::Propose;
        self.timeout.round.as_u32().filter(|_| proposal)
    }

    /// Whether it waits for more prevotes than a quorum's that are split.
    pub(crate) fn is_of_prevotes(&self) -> bool {
        self.timeout.kind == TimeoutKind::Prevote
    }
}
