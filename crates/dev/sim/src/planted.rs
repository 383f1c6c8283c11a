//! Whether the checks would catch a bug: each is planted into the replica, and run until something is found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use ledger_replica::planted::Bug;
use ledger_replica::planted::plant;

use crate::checks::Violation;
use crate::liars::LiarKind;
use crate::plan::{Flood, Plan, TROUBLES, Trouble, Weather};
use crate::world::run;

/// Faults last no longer than this: a network that a bug has stopped is found stopped soon enough.
const STORM_MS: u64 = 10 * 60 * 1000;
/// Heights of a run, and of one whose end matters.
const HEIGHTS: u64 = 25;
const FEW_HEIGHTS: u64 = 6;
const MANY_HEIGHTS: u64 = 60;

/// The weather that shows most of them.
const STORMY: Weather = Weather { loss: 30, doubled: 20, slow: 30, damage: 0, delay_ms: (1, 30) };

/// What became of a bug.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The bug.
    pub bug: Bug,
    /// The seed that showed it, and what was seen of it: the first thing, or what has to show this bug.
    pub caught: Option<(u64, String)>,
    /// Whether that seed shows nothing when the bug is not there.
    pub is_clean_without: bool,
}

impl Hunt {
    /// Whether the bug was found, and nothing else.
    pub const fn is_caught(&self) -> bool {
        self.caught.is_some() && self.is_clean_without
    }
}

/// Plants each bug in turn, and tries up to so many seeds each.
pub fn hunt_all(budget: u64, progress: impl Fn(usize) + Sync) -> Vec<Hunt> {
    // A bug that makes the engine panic is caught by that, and need not be read about.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (next, hunts) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let hunt = hunt(*bug, budget);
                    let mut hunts = hunts.lock().unwrap();
                    hunts.push(hunt);
                    progress(hunts.len());
                }
            });
        }
    });
    std::panic::set_hook(hook);
    let mut hunts = hunts.into_inner().unwrap();
    hunts.sort_by_key(|hunt| hunt.bug);
    hunts
}

/// Plants a bug, and tries seeds from 1 until one shows it.
pub fn hunt(bug: Bug, budget: u64) -> Hunt {
    for seed in 1..=budget {
        plant(Some(bug));
        let result = run(plan(bug, seed));
        plant(None);
        let violations = result.err().map(|failure| failure.violations).unwrap_or_default();
        if let Some(shown) = violations.iter().find(|violation| is_shown_by(bug, violation)) {
            let caught = Some((seed, format!("{shown:?}")));
            let is_clean_without = run(plan(bug, seed)).is_ok();
            return Hunt { bug, caught, is_clean_without };
        }
    }
    Hunt { bug, caught: None, is_clean_without: true }
}

/// Whether a violation shows a bug: any does, but for bugs that are there to show that a certain check can be red.
const fn is_shown_by(bug: Bug, violation: &Violation) -> bool {
    match bug {
        Bug::QuorumOfHalf => matches!(violation, Violation::Fork { .. }),
        Bug::WeakQuorum | Bug::HeadsCounted => matches!(violation, Violation::NoPolka { .. }),
        Bug::VotesForgotten => matches!(violation, Violation::DoubleVote { .. }),
        Bug::SetTooEarly => matches!(violation, Violation::Outsider { .. }),
        Bug::LockForgotten => matches!(violation, Violation::LockBroken { .. }),
        Bug::EvidenceUnjudged => matches!(violation, Violation::Framed { validator: Some(_), .. }),
        Bug::EvidenceMisdated => matches!(violation, Violation::Framed { validator: None, .. }),
        Bug::ExchangeUncharged => matches!(violation, Violation::Overspent(_)),
        Bug::IssuerUnlinked => matches!(violation, Violation::Index(_)),
        Bug::HalfLoggedAgain => matches!(violation, Violation::Overlogged { .. }),
        Bug::VoteOfAnyRound => matches!(violation, Violation::NotKept { .. }),
        Bug::PublishedBeforeFlush => matches!(violation, Violation::NotDurable { .. }),
        Bug::DamageCutOff => matches!(violation, Violation::DamageBelieved { .. }),
        Bug::OneReportEnough | Bug::AloneAtOnce => {
            matches!(violation, Violation::VotesTooSoon { .. })
        }
        Bug::WordNotLogged => matches!(violation, Violation::Stopped { .. }),
        Bug::WaitingAnswered => matches!(violation, Violation::LostAcknowledgement { .. }),
        Bug::EvidenceUntold => matches!(violation, Violation::Untold { .. }),
        Bug::LateTimeTaken => matches!(violation, Violation::LateTime { .. }),
        Bug::NothingHandedOn => matches!(violation, Violation::Unrest(_)),
        Bug::SplitAwaited => matches!(violation, Violation::Standstill { .. }),
        Bug::VersionTooEarly | Bug::ActTooEarly => matches!(violation, Violation::OutOfVersion(_)),
        _ => true,
    }
}

/// The liar that a bug is shown beside, as far as it needs one.
const fn liar(bug: Bug) -> Option<LiarKind> {
    match bug {
        Bug::CertificatesUnchecked => Some(LiarKind::Forger),
        Bug::VotesUnchecked => Some(LiarKind::Impersonator),
        Bug::EntriesUnchecked => Some(LiarKind::Careless),
        Bug::TimeNeverAsked | Bug::PolkaBelieved | Bug::LateTimeTaken => {
            Some(LiarKind::TimeShifter)
        }
        Bug::NeverDistrusts | Bug::OneReportEnough => Some(LiarKind::HeightLiar),
        Bug::QuorumOfHalf | Bug::SplitAwaited => Some(LiarKind::Equivocator),
        Bug::EvidenceUnjudged => Some(LiarKind::Framer),
        Bug::EvidenceMisdated | Bug::EvidenceUntold | Bug::HalfLoggedAgain => {
            Some(LiarKind::DoubleVoter)
        }
        _ => None,
    }
}

/// The plan that shows a bug best: some need a certain liar, and some that there is none.
fn plan(bug: Bug, seed: u64) -> Plan {
    let validators = match bug {
        // One that lies beside one that has lost its memory, or a quorum of half that is not one of two thirds too.
        Bug::QuorumOfHalf | Bug::OneReportEnough => 7,
        Bug::AloneAtOnce | Bug::WordNotLogged => 3,
        _ => 4,
    };
    let mut plan = Plan::of(seed, validators, HEIGHTS);
    plan.storm_ms = STORM_MS;
    plan.forgets = false;
    plan.changes = false;
    plan.is_weighted = bug == Bug::HeadsCounted;
    plan.activates = matches!(bug, Bug::VersionTooEarly | Bug::ActTooEarly);
    plan.has_remote = bug == Bug::NothingHandedOn;
    (plan.liar, plan.second_liar) = (liar(bug), None);
    match bug {
        // What their liars do is enough.
        Bug::CertificatesUnchecked
        | Bug::VotesUnchecked
        | Bug::EntriesUnchecked
        | Bug::TimeNeverAsked
        | Bug::PolkaBelieved
        | Bug::EvidenceUnjudged
        | Bug::EvidenceMisdated
        | Bug::HalfLoggedAgain
        | Bug::SplitAwaited => {}
        // Ended before an entry in a block tells all of it.
        Bug::EvidenceUntold => plan.heights = FEW_HEIGHTS,
        Bug::SetTooEarly | Bug::PlaceKept => {
            plan.changes = true;
            plan.followers = 1;
            plan.skew_ms.push(0);
            plan.weather = STORMY;
        }
        Bug::NothingHandedOn => {
            plan.followers = 2;
            plan.skew_ms.extend([0, 0]);
            plan.floods = None;
            plan.heights = FEW_HEIGHTS;
        }
        // Heights that take long, so that the time of the one before is long past.
        Bug::LateTimeTaken => {
            plan.heights = MANY_HEIGHTS;
            plan.weather = Weather { loss: 200, delay_ms: (5, 150), ..STORMY };
        }
        Bug::ExchangeUncharged => {
            plan.troubles = Vec::new();
            plan.floods = Some(Flood::ExchangeEntries);
        }
        // Each of its blocks in time for those who are shown it.
        Bug::QuorumOfHalf => {
            plan.troubles = Vec::new();
            plan.weather = Weather { delay_ms: (1, 30), ..Weather::calm() };
        }
        // Heights that take long, so that much comes until it is a node's turn.
        Bug::CrowdedOut => {
            plan.troubles = Vec::new();
            plan.floods = Some(Flood::PartyEntries);
            plan.heights = MANY_HEIGHTS;
            plan.weather = Weather { loss: 200, delay_ms: (5, 150), ..STORMY };
        }
        _ => trouble(&mut plan, bug),
    }
    plan
}

/// Bugs that trouble shows: which, how often, and in which weather.
fn trouble(plan: &mut Plan, bug: Bug) {
    (plan.troubles, plan.trouble_ms, plan.weather) = match bug {
        // Whoever was away has to ask.
        Bug::NeverDistrusts => {
            let troubles = vec![Trouble::Crash, Trouble::Blackout, Trouble::Partition];
            let swift = Weather { doubled: 0, slow: 0, delay_ms: (1, 3), ..STORMY };
            (troubles, 1_500, swift)
        }
        // Heights that take long, so that one is still open when the validator is back.
        Bug::OneReportEnough | Bug::AloneAtOnce | Bug::WordNotLogged => {
            plan.forgets = true;
            let slow = Weather { loss: 100, delay_ms: (5, 150), ..STORMY };
            (vec![Trouble::Crash], 1_500, slow)
        }
        Bug::PublishedBeforeFlush
        | Bug::VotesForgotten
        | Bug::LockForgotten
        | Bug::LeftoversDropped
        | Bug::BodyNotLogged
        | Bug::BodyLoggedLate => {
            let deaths = vec![Trouble::Crash, Trouble::FlushError, Trouble::CrashAtAction];
            (deaths, 700, STORMY)
        }
        Bug::DamageCutOff => (vec![Trouble::BitFlipLog, Trouble::Crash], 700, STORMY),
        // What shows only at the end, when nobody says anything that helps.
        Bug::NoTipOnConnect => {
            plan.heights = FEW_HEIGHTS;
            let troubles =
                vec![Trouble::Crash, Trouble::CrashAtAction, Trouble::Blackout, Trouble::Partition];
            (troubles, 3_000, Weather { loss: 100, ..STORMY })
        }
        _ => (TROUBLES.into(), 2_000, STORMY),
    };
}
