//! Evidence on disk: one file each, which verifies offline as it is.

use std::fs;
use std::path::{Path, PathBuf};

use ledger_api::Shared;
use ledger_format::evidence::{Evidence, EvidenceFile};
use ledger_format::genesis::GenesisDocument;
use ledger_replay::Ledger;
use ledger_store::write_durably;
use ledger_verify::evidence::{Culprit, judge};

use crate::failure::Failure;

/// What names of evidence files end with.
const ENDING: &str = "evidence";
/// Files that are read at most: more than a node ever writes.
const MOST: usize = 8_192;

/// Evidence, and whom it proves guilty.
pub(crate) type Found = (Evidence, Vec<Culprit>);

/// The directory of a node's evidence.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceDirectory {
    path: PathBuf,
    genesis: GenesisDocument,
}

impl EvidenceDirectory {
    /// Opens the directory, and makes it if it is not there.
    ///
    /// # Errors
    /// `NODE_EVIDENCE`.
    pub(crate) fn open(path: PathBuf, genesis: &GenesisDocument) -> Result<Self, Failure> {
        fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        Ok(Self { path, genesis: genesis.clone() })
    }

    /// Everything that is there and proves something, by the validators of genesis or those in force. What does not is left where
    /// it is, and the operator is told.
    ///
    /// # Errors
    /// `NODE_EVIDENCE` when the directory cannot be read.
    pub(crate) fn read(&self, ledger: &Ledger) -> Result<Vec<Found>, Failure> {
        let mut all = Vec::new();
        for file in fs::read_dir(&self.path).map_err(|error| failed(&self.path, error))?.take(MOST)
        {
            let path = file.map_err(|error| failed(&self.path, error))?.path();
            if path.extension().is_none_or(|ending| ending != ENDING) {
                continue;
            }
            match read_one(ledger, &path) {
                Ok(found) => all.push(found),
                Err(failure) => {
                    tracing::warn!(code = %failure.code, error = %failure, "a file of evidence is not used");
                }
            }
        }
        Ok(all)
    }

    /// Makes evidence durable.
    ///
    /// # Errors
    /// `NODE_EVIDENCE`.
    pub(crate) fn keep(&self, evidence: &Evidence) -> Result<(), Failure> {
        let path = self.path.join(format!("{}.{ENDING}", evidence.id()));
        let bytes = EvidenceFile::encode(Some(&self.genesis), evidence);
        write_durably(&path, &bytes).map_err(|error| failed(&path, error))
    }
}

fn read_one(ledger: &Ledger, path: &Path) -> Result<Found, Failure> {
    let bytes = fs::read(path).map_err(|error| failed(path, error))?;
    let file = EvidenceFile::decode(bytes.into()).map_err(|error| failed(path, error))?;
    let by = |set| judge(&ledger.genesis().id(), set, &file.evidence);
    let judged = by(ledger.validators()).or_else(|_| by(ledger.genesis().validators()));
    let culprits = judged.map_err(|verdict| failed(path, verdict.reason()))?;
    Ok((file.evidence, culprits))
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::evidence(format!("{}: {error}", path.display()))
}

/// Makes evidence durable, shows it to whoever asks, and tells the operator whom it names.
///
/// # Errors
/// `NODE_EVIDENCE`: the node must stop, as with everything that cannot be made durable.
pub(crate) fn accuse(
    directory: &EvidenceDirectory,
    shared: &Shared,
    evidence: Evidence,
    culprits: Vec<Culprit>,
) -> Result<(), Failure> {
    directory.keep(&evidence)?;
    for Culprit { key, name, party } in &culprits {
        let told = Failure::misconduct(format!("{} by {name} of {party}", evidence.offence.name()));
        tracing::error!(
            code = %told.code, party, validator = name, %key, height = evidence.height,
            round = evidence.offence.round(), evidence = %evidence.id(), "{}", told.message
        );
    }
    shared.evidence.add(evidence, culprits);
    Ok(())
}
