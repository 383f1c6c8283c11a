//! Many runs, and what they showed together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::checks::Violation;
use crate::plan::Plan;
use crate::world::{Failure, Report, run};

/// Runs from which on every kind of fault that is planned must happen.
const MANY: u64 = 50;

/// What a campaign is.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many runs.
    pub seeds: u64,
    /// Validators of the runs, in turn.
    pub validators: Vec<usize>,
    /// Heights of each run.
    pub heights: u64,
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// How many validators it had.
    pub validators: usize,
    /// What it showed.
    pub failure: Failure,
}

/// What it showed.
#[derive(Debug, Default)]
pub struct Findings {
    /// Runs.
    pub seeds: u64,
    /// Heights of all runs.
    pub heights: u64,
    /// Fewest heights of a run.
    pub fewest_heights: u64,
    /// Virtual time of all runs.
    pub simulated_ms: u64,
    /// Time that it took, of this machine.
    pub wall_ms: u64,
    /// Entries that were acknowledged.
    pub acknowledged: usize,
    /// The most heights that an entry waited which a quorum had in its pools.
    pub waited: u64,
    /// Messages that were delivered.
    pub messages: u64,
    /// Kinds of fault that were meant to happen.
    pub planned: BTreeSet<&'static str>,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// The trace of the run, where there was but one: the same seed twice gives the same.
    pub trace: Option<[u8; 32]>,
    /// Runs that failed.
    pub failures: Vec<Failed>,
}

impl Campaign {
    /// Goes through all seeds, on all processors. Tells how many are done.
    pub fn go(&self, progress: impl Fn(u64) + Sync) -> Findings {
        let begun = Instant::now();
        let (next, findings) = (AtomicU64::new(0), Mutex::new(Findings::default()));
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.seeds {
                            break;
                        }
                        let plan = self.plan(number);
                        let (validators, result) = (plan.validators, run(plan));
                        let mut findings = findings.lock().unwrap();
                        findings.add(validators, result);
                        progress(findings.seeds);
                    }
                });
            }
        });
        let mut findings = findings.into_inner().unwrap();
        findings.failures.sort_by_key(|failed| failed.failure.report.seed);
        findings.wall_ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
        findings
    }

    /// The plan of a run.
    fn plan(&self, number: u64) -> Plan {
        let kinds = u64::try_from(self.validators.len()).unwrap();
        let validators = self.validators[usize::try_from(number % kinds).unwrap()];
        Plan::of(self.first + number / kinds, validators, self.heights)
    }
}

impl Findings {
    /// How many violations of a kind there were.
    pub fn count(&self, is: impl Fn(&Violation) -> bool) -> usize {
        let violations = self.failures.iter().flat_map(|failed| &failed.failure.violations);
        violations.filter(|violation| is(violation)).count()
    }

    /// Kinds of fault that were planned, and never happened; of a few runs that says nothing.
    pub fn never(&self) -> Vec<&'static str> {
        if self.seeds < MANY {
            return Vec::new();
        }
        let kinds = self.planned.iter().copied();
        kinds.filter(|kind| !self.faults.contains_key(kind)).collect()
    }

    /// Whether everything held, and everything that was meant to go wrong did.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty() && self.never().is_empty()
    }

    fn add(&mut self, validators: usize, result: Result<Report, Box<Failure>>) {
        let (report, failure) = match result {
            Ok(report) => (report, None),
            Err(failure) => (failure.report.clone(), Some(*failure)),
        };
        self.fewest_heights = match self.seeds {
            0 => report.heights,
            _ => self.fewest_heights.min(report.heights),
        };
        self.seeds += 1;
        self.trace = (self.seeds == 1).then_some(report.trace);
        self.heights += report.heights;
        self.simulated_ms += report.simulated_ms;
        self.acknowledged += report.acknowledged;
        self.waited = self.waited.max(report.waited);
        self.messages += report.messages;
        self.planned.extend(report.planned);
        for (kind, count) in report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.failures.extend(failure.map(|failure| Failed { validators, failure }));
    }
}
