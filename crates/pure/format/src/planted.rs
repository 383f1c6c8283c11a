//! Bugs that can be planted into what a node runs, one at a time, to show that the simulator would catch them. They are compiled in
//! only with the feature `planted`, which no program of the product has: without it `is` is always false. One list for all crates:
//! it is here because all of them have this one.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A vote is sent before it is durable.
    PublishedBeforeFlush,
    /// The log is thrown away at the start.
    VotesForgotten,
    /// A log in which this validator signed nothing is thrown away at the start.
    LeftoversDropped,
    /// The body of another's block is not logged with the vote for it.
    BodyNotLogged,
    /// Its own body is logged after the proposal was sent.
    BodyLoggedLate,
    /// More than a third of the power counts as a quorum.
    WeakQuorum,
    /// The signatures of votes are not checked.
    VotesUnchecked,
    /// A decided block from others is taken without its certificate being checked.
    CertificatesUnchecked,
    /// The entries in a block of others are not checked for their signatures.
    EntriesUnchecked,
    /// The time of a header is never compared with the clock.
    TimeNeverAsked,
    /// Nor is it where a proposer claims that a quorum has prevoted for the block.
    PolkaBelieved,
    /// Nothing is said about the own height when a connection begins.
    NoTipOnConnect,
    /// A block that is one ahead is never asked for.
    OneBehindNeverAsks,
    /// A request for blocks that nobody answers is never given up.
    NeverGivesUp,
    /// Whoever sends blocks that may not follow is asked again and again.
    NeverDistrusts,
    /// Entries that are in a block stay in the pool.
    PoolNotPurged,
    /// Blocks of a height that is over are kept, and proposed again.
    StaleCandidates,
    /// The host cuts damage off the log as if it were a write that a crash cut off.
    DamageCutOff,
    /// A change of the set takes effect one height too early.
    SetTooEarly,
    /// Whether a node votes is not asked again when the set has changed.
    PlaceKept,
    /// A block is made of as many of the first waiting entries as it has room for, whether or not they are refused.
    CrowdedOut,
    /// More than half of the power is a quorum, for votes, certificates and verifiers.
    QuorumOfHalf,
    /// What others prevoted is not read from the log at a start, so that a lock that came of it is forgotten.
    LockForgotten,
    /// Evidence is believed without being judged.
    EvidenceUnjudged,
    /// Evidence is kept and told as of the height after its own.
    EvidenceMisdated,
    /// After a lost memory one report is enough, at once, and not those of a quorum after a block more.
    OneReportEnough,
    /// The exchange that admitted a party is not charged for what the party writes.
    ExchangeUncharged,
    /// An entry is left out of its issuer's timeline in the index.
    IssuerUnlinked,
    /// The second half of a double vote is logged each time that it comes.
    HalfLoggedAgain,
    /// That a validator has said a vote of an earlier round for a block counts as having its vote of the round that decided it on disk.
    VoteOfAnyRound,
    /// What waits is told to be in the block that was just decided.
    WaitingAnswered,
    /// Evidence is kept, and told to nobody.
    EvidenceUntold,
    /// Where a quorum's prevotes are split, more of them are waited for without end.
    SplitAwaited,
    /// The engine counts each validator as one, whatever its power.
    HeadsCounted,
    /// A version of the protocol is in force one height too early.
    VersionTooEarly,
    /// Acts of versions to come are taken.
    ActTooEarly,
    /// On an operator's word a validator votes at once, without the blocks of the others.
    AloneAtOnce,
    /// That an operator has vouched for a validator is not logged.
    WordNotLogged,
    /// Whoever does not vote keeps for itself what another such node passes on.
    NothingHandedOn,
    /// The time of a header may be as far behind the clock as it likes.
    LateTimeTaken,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 40] = [
        Self::PublishedBeforeFlush,
        Self::VotesForgotten,
        Self::LeftoversDropped,
        Self::BodyNotLogged,
        Self::BodyLoggedLate,
        Self::WeakQuorum,
        Self::VotesUnchecked,
        Self::CertificatesUnchecked,
        Self::EntriesUnchecked,
        Self::TimeNeverAsked,
        Self::PolkaBelieved,
        Self::NoTipOnConnect,
        Self::OneBehindNeverAsks,
        Self::NeverGivesUp,
        Self::NeverDistrusts,
        Self::PoolNotPurged,
        Self::StaleCandidates,
        Self::DamageCutOff,
        Self::SetTooEarly,
        Self::PlaceKept,
        Self::CrowdedOut,
        Self::QuorumOfHalf,
        Self::LockForgotten,
        Self::EvidenceUnjudged,
        Self::EvidenceMisdated,
        Self::OneReportEnough,
        Self::ExchangeUncharged,
        Self::IssuerUnlinked,
        Self::HalfLoggedAgain,
        Self::VoteOfAnyRound,
        Self::WaitingAnswered,
        Self::EvidenceUntold,
        Self::SplitAwaited,
        Self::HeadsCounted,
        Self::VersionTooEarly,
        Self::ActTooEarly,
        Self::AloneAtOnce,
        Self::WordNotLogged,
        Self::NothingHandedOn,
        Self::LateTimeTaken,
    ];
}

#[cfg(feature = "planted")]
mod soil {
    extern crate std;

    use core::cell::Cell;

    use super::Bug;

    std::thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug into all that runs on this thread, or takes it out.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is planted.
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub use soil::{is, plant};

/// Whether this bug is planted: there are none in the product.
#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}
