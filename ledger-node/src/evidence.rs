//! Evidence on disk: one file each, which verifies offline as it is.

use std::fs;
use std::path::{Path, PathBuf};

use ledger_api::Shared;
use ledger_format::evidence::{Evidence, EvidenceFile, EvidenceId};
use ledger_replay::Ledger;
use ledger_store::write_durably;
use ledger_verify::evidence::{Culprit, verify_evidence_file};

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
}

impl EvidenceDirectory {
    /// Opens the directory, and makes it if it is not there.
    ///
    /// # Errors
    /// `NODE_EVIDENCE`.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Failure> {
        fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        Ok(Self { path })
    }

    /// Everything that is there and proves something, by the validators that a file shows or those in force. What does not is left where
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

    /// Makes evidence durable, as a file that shows whose keys these are.
    ///
    /// # Errors
    /// `STORE_IO`, as for everything that cannot be made durable.
    fn keep(&self, id: &EvidenceId, file: &[u8]) -> Result<(), Failure> {
        Ok(write_durably(&self.path.join(format!("{id}.{ENDING}")), file)?)
    }
}

fn read_one(ledger: &Ledger, path: &Path) -> Result<Found, Failure> {
    let bytes = fs::read(path).map_err(|error| failed(path, error))?;
    let file = EvidenceFile::decode(bytes.into()).map_err(|error| failed(path, error))?;
    let genesis = ledger.genesis();
    let (report, culprits) = verify_evidence_file(&file, Some(genesis), &genesis.id());
    if !culprits.is_empty() {
        return Ok((file.evidence, culprits));
    }
    // A file may not show the change with which a validator came in.
    let culprits =
        ledger.judge(&file.evidence).map_err(|_unknown| failed(path, report.verdict.reason()))?;
    Ok((file.evidence, culprits))
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::evidence(format!("{}: {error}", path.display()))
}

/// Makes evidence durable, shows it to whoever asks, and tells the operator whom it names.
///
/// # Errors
/// `STORE_IO` or `NODE_EVIDENCE`: the node must stop, as with everything that cannot be made durable.
pub(crate) fn accuse(
    directory: &EvidenceDirectory,
    shared: &Shared,
    evidence: Evidence,
    culprits: Vec<Culprit>,
) -> Result<(), Failure> {
    let file = shared.evidence_file(&evidence).map_err(|problem| {
        Failure::evidence(format!("{}: {}: {}", evidence.id(), problem.code, problem.message))
    })?;
    directory.keep(&evidence.id(), &file)?;
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
