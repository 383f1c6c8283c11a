//! What can happen to a replica, and what it wants done.

use std::time::Duration;

use bytes::Bytes;
use ledger_format::block::Block;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_replay::Executed;
use ledger_rules::Refusal;
use ledger_verify::evidence::Culprit;
use ledger_verify::finding::Refuted;

use crate::engine::RoundTimer;
use crate::message::Message;
use crate::pool::Turned;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// An entry came whose form and signatures were checked.
    Submitted(Box<Entry>),
    /// A node that does not vote passed on an entry, whose form and signatures were checked, and wants to hear if it is refused.
    PassedOn {
        /// The node.
        from: KeyId,
        /// What it passed on.
        entry: Box<Entry>,
    },
    /// The time to gather entries is over.
    Gathered,
    /// A timer has fired.
    TimerFired(Timer),
    /// The block of the last [`Action::Commit`] is durable, and the ledger has taken it.
    Committed,
    /// A connection with another node began. What was said on the one before may be lost.
    Connected(KeyId),
    /// A connection with another node ended.
    Disconnected(KeyId),
    /// Another node said something.
    Received {
        /// Who sent it, as the transport knows.
        from: KeyId,
        /// What it said.
        message: Message,
    },
}

/// Something to do, in order. An error while doing it must stop the process.
#[derive(Debug)]
pub enum Action {
    /// Append to the consensus log.
    Log(Vec<u8>),
    /// Make the consensus log durable.
    FlushLog,
    /// Call back with [`Event::Gathered`] after a while.
    Gather(Duration),
    /// Call back with [`Event::TimerFired`] after a while, counted anew if the timer runs already: the engine sets its timer for
    /// repeating itself with each vote.
    SetTimer(Timer, Duration),
    /// Forget one timer.
    CancelTimer(Timer),
    /// Forget all timers that [`Timer::is_of_a_round`].
    CancelTimers,
    /// Make a block durable, let the ledger take it, then come back with [`Event::Committed`]. Whoever waits for one that
    /// [`Decided::is_with_quorum`] may be answered before the store has it on disk.
    Commit(Box<Decided>),
    /// Tell whoever waits that an entry was refused.
    Refused(EntryId, Refusal),
    /// Tell the submitter that the entry was not taken into the pool.
    Turned(EntryId, Turned),
    /// Pass on what another node passed on that does not vote either, in messages of [`crate::Replica::relay_all`].
    PassOn(Bytes),
    /// Send to every node that is connected.
    Broadcast(Message),
    /// Send to one node.
    Send(KeyId, Message),
    /// Send decided blocks to one node, from a height on, as many as one message should hold ([`Message::blocks`]).
    SendBlocks {
        /// Who asked.
        to: KeyId,
        /// The first height.
        from: u64,
    },
    /// Make evidence durable and tell the operator: a validator has signed what no honest one signs together.
    Accuse {
        /// The evidence.
        evidence: Box<Evidence>,
        /// Whom it proves guilty.
        culprits: Vec<Culprit>,
    },
    /// Make it durable that this node's keys vote again, before anything else: the memory of what they say begins here.
    Recovered,
    /// Stop the process at once, so that it does not vote again by itself: one of its keys has signed what this node did not sign.
    Twin {
        /// Who showed it.
        peer: KeyId,
        /// The height of what was signed.
        height: u64,
    },
    /// Tell the operator that a node sent something that may not follow. It was dropped.
    Suspect {
        /// Who sent it.
        peer: KeyId,
        /// The height that it is about.
        height: u64,
        /// What is wrong with it.
        why: Box<Refuted>,
    },
    /// Tell the operator that a validator's clock is further ahead of this node's than the ledger allows. Which of the two is wrong is not
    /// known; meanwhile its proposal gets no vote of this node. One that is behind says nothing of a clock: it may have waited.
    Apart {
        /// Who made the proposal.
        peer: KeyId,
        /// The height that it is for.
        height: u64,
        /// How far its time is ahead of this node's clock, in milliseconds.
        ahead_ms: u64,
    },
}

/// When to call back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer(pub(crate) Wake);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A step of a round takes too long.
    Round(RoundTimer),
    /// Entries wait, and whose turn it is proposes nothing.
    Patience { height: u64 },
    /// Others have one block that is missing here, and was about to be decided.
    AlmostThere { next: u64 },
    /// Whoever was asked for blocks has had time enough.
    Unanswered { request: u64 },
    /// What a follower's clients submitted may still wait.
    PassOn,
}

impl Timer {
    /// Whether the timer ends with the height.
    pub const fn is_of_a_round(&self) -> bool {
        matches!(self.0, Wake::Round(_))
    }
}

/// A decided block, executed.
#[derive(Debug)]
pub struct Decided {
    /// The block with its certificate.
    pub block: Block,
    /// What executing it gave.
    pub executed: Executed,
    /// Whether it was decided here, by votes of several validators of which this one alone is no quorum. Then the log of each of a quorum has the body and its own vote on disk,
    /// and this node's has the body, and its own vote for it or everybody's.
    pub is_with_quorum: bool,
}

impl Action {
    pub(super) fn suspect(peer: KeyId, height: u64, why: Refuted) -> Self {
        Self::Suspect { peer, height, why: Box::new(why) }
    }
}
