//! Writes that are under way, and since when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Since when each of them is under way.
#[derive(Debug, Default)]
pub(crate) struct Writes(Mutex<Vec<Instant>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'a> {
    all: &'a Writes,
    since: Instant,
}

impl Writes {
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        let since = Instant::now();
        self.lock().push(since);
        UnderWay { all: self, since }
    }

    /// How long the oldest has been under way.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.lock().iter().min().map(Instant::elapsed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(number) = all.iter().position(|since| *since == self.since) {
            all.swap_remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_has_not_ended_counts() {
        let writes = Writes::default();
        assert_eq!(writes.longest(), None);
        let first = writes.begin();
        std::thread::sleep(Duration::from_millis(20));
        let second = writes.begin();
        assert!(writes.longest().unwrap() >= Duration::from_millis(20));
        drop(first);
        assert!(writes.longest().unwrap() <= second.since.elapsed());
        drop(second);
        assert_eq!(writes.longest(), None);
    }
}
