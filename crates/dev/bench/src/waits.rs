//! How long clients waited for answers.

use std::time::Duration;

/// Waits of a run, shortest first.
#[derive(Clone, Debug)]
pub struct Waits {
    sorted: Vec<Duration>,
    /// How long the run took.
    pub took: Duration,
}

impl Waits {
    /// The waits of all clients of a run.
    pub fn new(mut waits: Vec<Duration>, took: Duration) -> Self {
        waits.sort_unstable();
        Self { sorted: waits, took }
    }

    /// Answers.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Answers a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    /// So many of 100 waits were no longer.
    pub fn percentile(&self, part: usize) -> Duration {
        let at = self.count().saturating_sub(1) * part / 100;
        self.sorted.get(at).copied().unwrap_or_default()
    }
}
