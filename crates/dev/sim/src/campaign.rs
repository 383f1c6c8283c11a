//! Many runs, and what they showed together.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::checks::Violation;
use crate::plan::Plan;
use crate::world::{Failure, run};

/// What a campaign is.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Validators of each run.
    pub validators: usize,
    /// Heights of each run.
    pub heights: u64,
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
    /// Messages that were delivered.
    pub messages: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Runs that failed.
    pub failures: Vec<Failure>,
}

impl Findings {
    /// How many violations of a kind there were.
    pub fn count(&self, is: impl Fn(&Violation) -> bool) -> usize {
        let violations = self.failures.iter().flat_map(|failure| &failure.violations);
        violations.filter(|violation| is(violation)).count()
    }
}

impl Campaign {
    /// Goes through all seeds, on all processors.
    pub fn go(&self) -> Findings {
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
                        let plan = Plan::of(self.first + number, self.validators, self.heights);
                        let result = run(plan);
                        findings.lock().unwrap().add(result);
                    }
                });
            }
        });
        let mut findings = findings.into_inner().unwrap();
        findings.failures.sort_by_key(|failure| failure.report.seed);
        findings.wall_ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
        findings
    }
}

impl Findings {
    fn add(&mut self, result: Result<crate::Report, Box<Failure>>) {
        let (report, failure) = match result {
            Ok(report) => (report, None),
            Err(failure) => (failure.report.clone(), Some(*failure)),
        };
        self.fewest_heights = match self.seeds {
            0 => report.heights,
            _ => self.fewest_heights.min(report.heights),
        };
        self.seeds += 1;
        self.heights += report.heights;
        self.simulated_ms += report.simulated_ms;
        self.acknowledged += report.acknowledged;
        self.messages += report.messages;
        for (kind, count) in report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.failures.extend(failure);
    }
}
