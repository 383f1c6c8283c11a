//! Where processor time goes: what threads of processes have used, by the name of the thread.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use ledger_tests::processor_time;
use serde_json::{Value, json};

/// Time by name of thread, without the number of those that there are several of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent(BTreeMap<String, Duration>);

impl Spent {
    /// What the threads of processes have used since they began. Threads that ended meanwhile are not in it.
    pub fn by(processes: impl IntoIterator<Item = u32>) -> Self {
        let mut spent = Self::default();
        for process in processes {
            let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
            for task in tasks.flatten() {
                // A thread may end while it is looked at.
                let Ok(line) = fs::read_to_string(task.path().join("stat")) else { continue };
                if let Some((name, time)) = processor_time(&line) {
                    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
                    *spent.0.entry(name.to_owned()).or_default() += time;
                }
            }
        }
        spent
    }

    /// What was used after another moment.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let used = |(name, time): (&String, &Duration)| {
            let earlier = before.0.get(name).copied().unwrap_or_default();
            (name.clone(), time.saturating_sub(earlier))
        };
        Self(self.0.iter().map(used).filter(|(_, time)| !time.is_zero()).collect())
    }

    /// Microseconds for each of so many things, the most first.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn each(&self, things: usize) -> Vec<(&str, f64)> {
        let each = |time: &Duration| time.as_secs_f64() * 1e6 / things.max(1) as f64;
        let mut all: Vec<_> =
            self.0.iter().map(|(name, time)| (name.as_str(), each(time))).collect();
        all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        all
    }

    /// The same as one line.
    pub fn text(&self, things: usize) -> String {
        let each = self.each(things);
        let whole: f64 = each.iter().map(|(_, time)| time).sum();
        let parts: Vec<String> =
            each.iter().map(|(name, time)| format!("{name} {time:.0}")).collect();
        format!("{whole:.0} us ({})", parts.join(", "))
    }

    /// The same as JSON.
    pub fn json(&self, things: usize) -> Value {
        self.each(things).into_iter().map(|(name, time)| (name.to_owned(), json!(time))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_read_with_its_name_and_time() {
        let stat = "7 (check-1) S 1 7 7 0 -1 4194304 10 0 0 0 25 5 0 0 20 0 16 0 100 0 0";
        assert_eq!(processor_time(stat), Some(("check-1", Duration::from_millis(300))));
        assert_eq!(processor_time("7 (a) b) S 1 1 1 1 1 1 1 1 1 1 1 x"), None);
    }

    #[test]
    fn this_process_spends_time_and_it_is_told_for_each_thing() {
        let before = Spent::by([std::process::id()]);
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(80) {
            std::hint::black_box(before.each(1));
        }
        let spent = Spent::by([std::process::id()]).since(&before);
        let whole: f64 = spent.each(10).iter().map(|(_, time)| time).sum();
        assert!((1_000.0..100_000.0).contains(&whole), "{}", spent.text(10));
        assert!(spent.json(1).as_object().unwrap().len() == spent.each(1).len());
    }
}
