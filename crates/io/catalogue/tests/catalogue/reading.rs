//! Reading a source to its end, and places for files.
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ledger_catalogue::{
    CatalogueRecord, Code, Finding, HistoryClaim, Item, Options, Skipped, SourceError, Summary,
    open,
};

/// All that a source yields.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) items: Vec<Item>,
    pub(crate) notices: Vec<Finding>,
    pub(crate) summary: Option<Summary>,
    pub(crate) error: Option<SourceError>,
}

impl Outcome {
    pub(crate) fn records(&self) -> Vec<&CatalogueRecord> {
        self.items
            .iter()
            .filter_map(|item| if let Item::Record(record) = item { Some(&**record) } else { None })
            .collect()
    }

    pub(crate) fn claims(&self) -> Vec<&HistoryClaim> {
        self.items
            .iter()
            .filter_map(|item| if let Item::Claim(claim) = item { Some(&**claim) } else { None })
            .collect()
    }

    pub(crate) fn skipped(&self) -> Vec<&Skipped> {
        self.items
            .iter()
            .filter_map(|item| if let Item::Skipped(skipped) = item { Some(skipped) } else { None })
            .collect()
    }

    /// The record of that identifier.
    pub(crate) fn record(&self, id: &str) -> &CatalogueRecord {
        self.records().into_iter().find(|record| record.record_id == id).expect(id)
    }

    /// Every code that was reported, in the order of reporting.
    pub(crate) fn codes(&self) -> Vec<Code> {
        let mut codes: Vec<Code> = self.notices.iter().map(|finding| finding.code).collect();
        for item in &self.items {
            match item {
                Item::Record(record) => codes.extend(record.findings.iter().map(|one| one.code)),
                Item::Claim(_) => {}
                Item::Skipped(skipped) => codes.push(skipped.code),
            }
        }
        codes.extend(self.error.as_ref().map(SourceError::code));
        codes
    }
}

pub(crate) fn read(path: &Path, options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    match open(path, options) {
        Ok(mut source) => {
            outcome.notices = source.notices().to_vec();
            for item in &mut source {
                match item {
                    Ok(item) => outcome.items.push(item),
                    Err(error) => outcome.error = Some(error),
                }
            }
            assert!(source.next().is_none(), "a source that has ended stays so");
            outcome.summary = Some(source.summary());
        }
        Err(error) => outcome.error = Some(error),
    }
    outcome
}

/// A directory of the data that the repository ships.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/data").join(name)
}

/// A hand-written file of this crate.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(digit).collect()
}

/// An empty directory of its own.
pub(crate) fn scratch() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("catalogue-{}-{number}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Reads bytes as a file of that name.
pub(crate) fn read_bytes(name: &str, bytes: impl AsRef<[u8]>, options: &Options) -> Outcome {
    let directory = scratch();
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    let outcome = read(&path, options);
    fs::remove_dir_all(&directory).unwrap();
    outcome
}
