//! Is this the file that was delivered? What the ledger records of a delivery, held against bytes (docs/spec/delivery.md).

use ledger_event::event::Act;
use ledger_event::{BatchSent, DeliveryRecord, FileManifest};
use ledger_format::digest::{Hash, hex};
use ledger_format::entry::Entry;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::verdict::{Aspect, Report, Verdict};

use crate::content::ReadFile;

/// What the ledger holds of one delivery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Id of the delivery.
    pub id: String,
    /// Its record.
    pub delivery: DeliveryRecord,
    /// Batches that were sent.
    pub sent: Vec<BatchSent>,
    /// Numbers of the batches that the buyer acknowledged.
    pub acknowledged: Vec<u32>,
}

impl Recorded {
    /// Adds an entry about the delivery.
    pub fn add(&mut self, entry: &Entry) {
        match &entry.event().act {
            Some(Act::BatchSent(sent)) => self.sent.push(sent.clone()),
            Some(Act::BatchAcknowledged(acknowledged)) => {
                self.acknowledged.push(acknowledged.number);
            }
            _ => {}
        }
    }

    /// The file as seller and buyer agreed on it.
    pub fn manifest(&self) -> FileManifest {
        self.delivery.file.clone().unwrap_or_default()
    }

    /// Compares a file with the agreed one and with every batch. The file must have been read in the manifest's chunks.
    pub fn compare(&self, file: &ReadFile) -> Report {
        match self.find_difference(file) {
            Some(detail) => {
                let place = Place { record: Some(self.id.clone()), ..Place::default() };
                Report::bare(Refuted::new(Code::Content, place, detail))
            }
            None => self.agreement(file),
        }
    }

    /// The first difference: a batch where one can be named, else the whole.
    fn find_difference(&self, file: &ReadFile) -> Option<String> {
        let manifest = self.manifest();
        let differs = |batch: &&BatchSent| {
            file.range_root(batch.first_chunk, batch.chunks)
                .is_none_or(|root| batch.root != root[..])
        };
        if let Some(batch) = self.sent.iter().find(differs) {
            // A node that lies may have recorded any numbers: their range is outside of every file.
            let last = batch.first_chunk.saturating_add(batch.chunks).saturating_sub(1);
            let from = batch.first_chunk.saturating_mul(manifest.chunk_bytes.into());
            return Some(format!(
                "batch {}, chunks {} to {last}, bytes {from} to {}: the file has other bytes there, or none",
                batch.number,
                batch.first_chunk,
                from.saturating_add(batch.bytes)
            ));
        }
        let whole = crate::content::root(&file.chunks);
        if file.bytes != manifest.bytes {
            return Some(format!("expected {} bytes, found {}", manifest.bytes, file.bytes));
        }
        let content = manifest.content.unwrap_or_default().value;
        let same = manifest.root == whole[..] && content == file.sha256[..];
        (!same).then(|| difference(&manifest.root, &whole))
    }

    fn agreement(&self, file: &ReadFile) -> Report {
        let mut report = Report::bare(Verdict::Proven);
        let (bytes, digest) = (file.bytes, hex(&file.sha256));
        let text = format!(
            "the {bytes} bytes with SHA-256 {digest} are those that seller and buyer agreed on"
        );
        report.checked(Aspect::Integrity, text);
        for batch in &self.sent {
            let number = batch.number;
            if self.acknowledged.contains(&number) {
                let text = format!(
                    "batch {number} of {} was sent and acknowledged",
                    self.delivery.batches
                );
                report.checked(Aspect::Integrity, text);
            } else {
                let text =
                    format!("batch {number} was sent, and the buyer has not acknowledged it");
                report.unchecked(Aspect::Scope, text);
            }
        }
        let missing = self.delivery.batches.saturating_sub(self.delivery.sent);
        if missing > 0 {
            report.unchecked(Aspect::Scope, format!("{missing} batches have not been sent"));
        }
        report
    }
}

fn difference(expected: &[u8], found: &Hash) -> String {
    format!("expected the tree hash {}, found {}", hex(expected), hex(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::ReadFile;

    fn read(bytes: &[u8]) -> ReadFile {
        ReadFile::read(&mut &bytes[..], 1024).unwrap()
    }

    fn recorded(bytes: &[u8], batches: u32) -> Recorded {
        let file = read(bytes);
        let sent = (1..).zip(file.batches(batches)).map(|(number, batch)| BatchSent {
            number,
            first_chunk: batch.first_chunk,
            chunks: batch.chunks,
            bytes: batch.bytes,
            root: batch.root.to_vec().into(),
        });
        Recorded {
            id: "delivery:s/d".into(),
            delivery: DeliveryRecord {
                file: Some(file.manifest()),
                batches,
                sent: batches,
                ..DeliveryRecord::default()
            },
            sent: sent.collect(),
            acknowledged: (1..=batches).collect(),
        }
    }

    #[test]
    fn every_changed_byte_is_found_in_its_batch() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let recorded = recorded(&bytes, 3);
        assert_eq!(recorded.compare(&read(&bytes)).verdict, Verdict::Proven);
        for place in [0, 1_023, 1_024, 5_000, 9_999] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let report = recorded.compare(&read(&changed));
            let chunk = u64::try_from(place / 1024).unwrap();
            let batch = recorded.sent.iter().find(|b| chunk < b.first_chunk + b.chunks).unwrap();
            assert_eq!(report.verdict.code(), Some("V_CONTENT"));
            assert!(report.verdict.reason().contains(&format!("batch {},", batch.number)));
        }
    }

    #[test]
    fn a_batch_of_impossible_numbers_is_outside_of_the_file() {
        let bytes = vec![7; 4_000];
        let changes: [fn(&mut BatchSent); 4] = [
            |batch| batch.first_chunk = u64::MAX,
            |batch| batch.chunks = u64::MAX,
            |batch| (batch.first_chunk, batch.bytes) = (u64::MAX / 1024, u64::MAX),
            |batch| (batch.first_chunk, batch.chunks) = (u64::MAX, u64::MAX),
        ];
        for change in changes {
            let mut recorded = recorded(&bytes, 2);
            change(&mut recorded.sent[1]);
            let report = recorded.compare(&read(&bytes));
            assert_eq!(report.verdict.code(), Some("V_CONTENT"));
            assert!(report.verdict.reason().contains("batch 2,"), "{}", report.verdict.reason());
        }
    }

    #[test]
    fn a_cut_or_longer_file_is_refuted_with_and_without_batches() {
        let bytes = vec![7; 4_000];
        for mut recorded in [recorded(&bytes, 2), recorded(&bytes, 1)] {
            for other in [&bytes[..3_999], &[bytes.as_slice(), &[7]].concat()] {
                assert_eq!(recorded.compare(&read(other)).verdict.code(), Some("V_CONTENT"));
            }
            recorded.sent.clear();
            for other in [&bytes[..3_999], &[bytes.as_slice(), &[7]].concat(), &[8; 4_000]] {
                assert_eq!(recorded.compare(&read(other)).verdict.code(), Some("V_CONTENT"));
            }
            recorded.acknowledged.clear();
            let report = recorded.compare(&read(&bytes));
            assert_eq!(report.verdict, Verdict::Proven);
        }
    }
}
