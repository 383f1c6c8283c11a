//! What is founded is written aside, and takes its place once it is whole: whoever is broken off can be run again.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use ledger_store::StoreError;

use crate::failure::Failure;

/// Where it is written. What is in it has never been used by anybody.
const STAGE: &str = "founding";
/// Where it is once it is whole, until it has been moved to its place.
const WHOLE: &str = "founded";
/// What is moved last: a directory without a genesis file is no ledger yet, nor is one without a first validator a network.
const LAST: [&str; 2] = ["genesis", "validator-1"];

/// A ledger, or a network, that is being written. Dropped before it is whole, nothing is left of it.
#[derive(Debug)]
pub(crate) struct Founding {
    data_dir: PathBuf,
    /// One at a time: two would mix their keys.
    _lock: File,
}

impl Founding {
    /// Begins anew, unless an earlier one was whole: that takes its place.
    ///
    /// # Errors
    /// `STORE_LOCKED` while another one is under way, or what cannot be written.
    pub(crate) fn begin(data_dir: &Path) -> Result<Self, Failure> {
        let failed = Failure::at(data_dir);
        let opened = fs::create_dir_all(data_dir).and_then(|()| File::open(data_dir));
        let lock = opened.map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked { path: data_dir.to_owned() }.into(),
            TryLockError::Error(error) => Failure::at(data_dir)(error),
        })?;
        finish(data_dir)?;
        let founding = Self { data_dir: data_dir.to_owned(), _lock: lock };
        let stage = founding.stage();
        if stage.exists() {
            fs::remove_dir_all(&stage).map_err(Failure::at(&stage))?;
        }
        fs::create_dir(&stage).map_err(Failure::at(&stage))?;
        Ok(founding)
    }

    /// Where to write it.
    pub(crate) fn stage(&self) -> PathBuf {
        self.data_dir.join(STAGE)
    }

    /// It is whole, and takes its place.
    ///
    /// # Errors
    /// What cannot be moved; the next one that begins goes on with it.
    pub(crate) fn whole(self) -> Result<(), Failure> {
        let whole = self.data_dir.join(WHOLE);
        fs::rename(self.stage(), &whole).map_err(Failure::at(&whole))?;
        finish(&self.data_dir)
    }
}

impl Drop for Founding {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(self.stage());
    }
}

/// Moves what was founded whole to its place, or what was not moved yet when that was broken off.
///
/// # Errors
/// What cannot be moved.
pub(crate) fn finish(data_dir: &Path) -> Result<(), Failure> {
    let whole = data_dir.join(WHOLE);
    if !whole.exists() {
        return Ok(());
    }
    let all = fs::read_dir(&whole).and_then(|all| all.map(|one| Ok(one?.path())).collect());
    let mut all: Vec<PathBuf> = all.map_err(Failure::at(&whole))?;
    all.sort_by_key(|path| LAST.iter().any(|last| path.ends_with(last)));
    for from in all {
        let to = data_dir.join(from.file_name().unwrap_or_default());
        fs::rename(from, &to).map_err(Failure::at(&to))?;
    }
    let synced = File::open(data_dir).and_then(|directory| directory.sync_all());
    synced.and_then(|()| fs::remove_dir(&whole)).map_err(Failure::at(&whole))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use ledger_client::keys::kid;
    use ledger_store::VoteLock;

    use super::*;
    use crate::args::{Cli, Command};
    use crate::open::Layout;
    use crate::recover::tests::{founded, plan};
    use crate::report::Output;
    use crate::setup::{create, founder_keys};
    use crate::testnet::testnet;

    /// The parts of a ledger in the order in which they are moved.
    const PARTS: [&str; 2] = ["keys", "genesis"];

    fn is_a_validators(layout: &Layout) {
        let genesis = layout.read_genesis().unwrap().document;
        let keys = layout.read_keys().unwrap();
        assert_eq!(genesis.validators().members()[0].id, kid(&keys[0].vote));
        let lock = VoteLock::read(&layout.0).unwrap().unwrap();
        assert_eq!(lock.names([kid(&keys[0].vote)]), Ok(()));
    }

    #[test]
    fn a_ledger_that_was_not_whole_is_founded_anew() {
        for written in 0..=PARTS.len() {
            let home = founded();
            let layout = Layout(home.path().to_owned());
            let stage = home.path().join(STAGE);
            fs::create_dir(&stage).unwrap();
            for (number, part) in PARTS.iter().enumerate() {
                fs::rename(home.path().join(part), stage.join(part)).unwrap();
                if number >= written {
                    let _gone = fs::remove_dir_all(stage.join(part));
                    let _gone = fs::remove_file(stage.join(part));
                }
            }
            create(home.path(), &plan(), &founder_keys().unwrap()).unwrap();
            is_a_validators(&layout);
            assert!(!stage.exists());
        }
    }

    #[test]
    fn a_ledger_that_was_whole_takes_its_place_and_is_there() {
        for moved in 0..=PARTS.len() {
            let home = founded();
            let layout = Layout(home.path().to_owned());
            let id = layout.read_genesis().unwrap().document.id();
            let whole = home.path().join(WHOLE);
            fs::create_dir(&whole).unwrap();
            for part in &PARTS[moved..] {
                fs::rename(home.path().join(part), whole.join(part)).unwrap();
            }
            let refused = create(home.path(), &plan(), &founder_keys().unwrap()).unwrap_err();
            assert_eq!(refused.code, "NODE_EXISTS");
            assert_eq!(layout.read_genesis().unwrap().document.id(), id);
            is_a_validators(&layout);
            assert!(!whole.exists());
        }
    }

    #[test]
    fn one_at_a_time_is_founded() {
        let home = tempfile::tempdir().unwrap();
        let first = Founding::begin(home.path()).unwrap();
        assert_eq!(Founding::begin(home.path()).unwrap_err().code, "STORE_LOCKED");
        assert!(first.stage().exists());
        drop(first);
        assert!(!home.path().join(STAGE).exists());
        let _second = Founding::begin(home.path()).unwrap();
    }

    /// Between any two moves of its directories, and before it was whole.
    #[test]
    fn a_network_whose_making_was_broken_off_is_made_all_the_same() {
        let names = ["follower-1", "validator-2", "validator-1"];
        for (place, moved) in [(STAGE, 0), (WHOLE, 0), (WHOLE, 1), (WHOLE, 2), (WHOLE, 3)] {
            let home = tempfile::tempdir().unwrap();
            let data = home.path().to_str().unwrap();
            let line = ["ledger-node", "testnet", "--validators", "2", "--followers", "1"];
            let line = line.into_iter().chain(["--init-only", "--data-dir", data]);
            let Command::Testnet(args) = Cli::parse_from(line).command else { panic!() };
            let made = || crate::blocking(testnet(&args, Output::Json)).unwrap();
            made();
            fs::create_dir(home.path().join(place)).unwrap();
            for name in &names[moved..] {
                fs::rename(home.path().join(name), home.path().join(place).join(name)).unwrap();
            }
            made();
            assert!(names.iter().all(|name| home.path().join(name).join("genesis").exists()));
        }
    }
}
