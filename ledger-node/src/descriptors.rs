//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for the store's files, the log, evidence and other nodes.
const KEPT: u64 = 256;
/// Connections of clients at most, however many descriptors there are.
const MOST: u64 = 65_536;

/// Takes as many descriptors as the system allows the process, and gives how many of them clients may have.
pub(crate) fn for_clients() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Refused, the limit is what it was.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let all = if raised.is_ok() { maximum } else { current };
    usize::try_from(left(all.unwrap_or(u64::MAX))).unwrap_or(usize::MAX)
}

/// What is left of so many for clients: half of them at least.
fn left(all: u64) -> u64 {
    (all - KEPT.min(all / 2)).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_kept_and_clients_have_half_at_least() {
        let all = [0, 1, 128, 512, 1_024, 524_288, u64::MAX];
        assert_eq!(all.map(left), [1, 1, 64, 256, 768, MOST, MOST]);
    }
}
