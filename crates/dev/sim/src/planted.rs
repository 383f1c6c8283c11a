//! Whether the checks would catch a bug: each is planted into the replica, and run until something is found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use ledger_replica::planted::Bug;
use ledger_replica::planted::plant;

use crate::liars::LiarKind;
use crate::plan::{Plan, TROUBLES, Trouble, Weather};
use crate::world::run;

/// Faults last no longer than this: a network that a bug has stopped is found stopped soon enough.
const STORM_MS: u64 = 10 * 60 * 1000;
/// Heights of a run, and of one whose end matters.
const HEIGHTS: u64 = 25;
const FEW_HEIGHTS: u64 = 6;
const MANY_HEIGHTS: u64 = 60;

/// What became of a bug.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The bug.
    pub bug: Bug,
    /// The seed that showed it, and the first thing that was seen.
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
        if let Err(failure) = result {
            let first = failure.violations.first().map(|violation| format!("{violation:?}"));
            let is_clean_without = run(plan(bug, seed)).is_ok();
            return Hunt { bug, caught: first.map(|first| (seed, first)), is_clean_without };
        }
    }
    Hunt { bug, caught: None, is_clean_without: true }
}

/// The plan that shows a bug best: some need a certain liar, and some that there is none.
fn plan(bug: Bug, seed: u64) -> Plan {
    let mut plan = Plan::of(seed, 4, HEIGHTS);
    plan.storm_ms = STORM_MS;
    plan.forgets = false;
    plan.changes = false;
    let stormy = Weather { loss: 30, doubled: 20, slow: 30, damage: 0, delay_ms: (1, 30) };
    let deaths = vec![Trouble::Crash, Trouble::FlushError, Trouble::CrashAtAction];
    match bug {
        Bug::CertificatesUnchecked => plan.liar = Some(LiarKind::Forger),
        Bug::VotesUnchecked => plan.liar = Some(LiarKind::Impersonator),
        Bug::EntriesUnchecked => plan.liar = Some(LiarKind::Careless),
        Bug::TimeNeverAsked | Bug::PolkaBelieved => plan.liar = Some(LiarKind::TimeShifter),
        // Whoever was away has to ask.
        Bug::NeverDistrusts => {
            plan.liar = Some(LiarKind::HeightLiar);
            plan.troubles = vec![Trouble::Crash, Trouble::Blackout, Trouble::Partition];
            plan.trouble_ms = 1_500;
        }
        Bug::PublishedBeforeFlush
        | Bug::VotesForgotten
        | Bug::LeftoversDropped
        | Bug::BodyNotLogged
        | Bug::BodyLoggedLate => {
            plan.liar = None;
            plan.troubles = deaths;
            plan.trouble_ms = 700;
            plan.weather = stormy;
        }
        Bug::DamageCutOff => {
            plan.liar = None;
            plan.troubles = vec![Trouble::BitFlipLog, Trouble::Crash];
            plan.trouble_ms = 700;
            plan.weather = stormy;
        }
        Bug::SetTooEarly | Bug::PlaceKept => {
            plan.liar = None;
            plan.changes = true;
            plan.followers = 1;
            plan.skew_ms.push(0);
            plan.weather = stormy;
        }
        // Heights that take long, so that much comes until it is a node's turn.
        Bug::CrowdedOut => {
            plan.liar = None;
            plan.troubles = Vec::new();
            plan.floods = true;
            plan.heights = MANY_HEIGHTS;
            plan.weather = Weather { loss: 200, delay_ms: (5, 150), ..stormy };
        }
        // What shows only at the end, when nobody says anything that helps.
        Bug::NoTipOnConnect => {
            plan.liar = None;
            plan.heights = FEW_HEIGHTS;
            plan.troubles =
                vec![Trouble::Crash, Trouble::CrashAtAction, Trouble::Blackout, Trouble::Partition];
            plan.trouble_ms = 3_000;
            plan.weather = Weather { loss: 100, ..stormy };
        }
        _ => {
            plan.liar = None;
            plan.troubles = TROUBLES.into();
            plan.trouble_ms = 2_000;
            plan.weather = stormy;
        }
    }
    plan
}
