//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// Kept for the store's files, the log, evidence and other nodes.
const KEPT: u64 = 256;
/// Connections of clients at most, however many descriptors there are.
const MOST: u64 = 65_536;

/// Takes as many descriptors as the system allows the process, and gives how many of them clients may have.
///
/// # Errors
/// `NODE_CONFIG` when more are stated than are left for them: where clients take all, the store and other nodes have none.
pub(crate) fn for_clients(stated: usize) -> Result<usize, Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Refused, the limit is what it was.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let all = if raised.is_ok() { maximum } else { current };
    given(stated, all.unwrap_or(u64::MAX))
}

/// What clients are given of so many: what is stated, or with zero what is left.
fn given(stated: usize, all: u64) -> Result<usize, Failure> {
    let left = usize::try_from(left(all)).unwrap_or(usize::MAX);
    match stated {
        0 => Ok(left),
        stated if stated <= left => Ok(stated),
        stated => Err(Failure::config(format!(
            "`client.connections` = {stated}: of {all} descriptors (`ulimit -Hn`) {left} are left for clients"
        ))),
    }
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

    #[test]
    fn no_more_is_given_than_is_left() {
        assert_eq!(given(0, 1_024).unwrap(), 768);
        assert_eq!(given(768, 1_024).unwrap(), 768);
        let refused = given(5_000, 1_024).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.exit), ("NODE_CONFIG", 2));
        for part in ["`client.connections` = 5000", "of 1024 descriptors", "768 are left"] {
            assert!(refused.message.contains(part), "{}", refused.message);
        }
    }

    #[test]
    fn the_limit_is_raised_whatever_is_stated() {
        let all = getrlimit(Resource::Nofile);
        let some = all.maximum.unwrap_or(MOST).min(MOST) / 2;
        for stated in [0, 1] {
            let lowered = Rlimit { current: Some(some), maximum: all.maximum };
            setrlimit(Resource::Nofile, lowered).unwrap();
            for_clients(stated).unwrap();
            let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
            assert_eq!((current, maximum), (all.maximum, all.maximum), "{stated}");
        }
    }
}
