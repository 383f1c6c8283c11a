//! What makes an import count once however often it is run.
//!
//! The ledger takes one entry of an issuer and a `cti`. An import derives the `cti` of whatever the rules would take twice from what it
//! states: a second run signs other bytes, with other times, and still the same `cti`, so that an entry of the first that is under way
//! is no second one. Once that has expired, it can come no more, and what the ledger has shows whether it came.

use std::collections::BTreeMap;

use ledger_format::digest::{Hash, sha256};
use ledger_format::id::Subject;

use super::Cti;

/// Claims of a source, told apart by what their rows say, and rows that say the same by how many came before. Where a row stands does
/// not matter: a catalogue that grows moves its rows.
#[derive(Default)]
pub(super) struct Claims {
    seen: BTreeMap<(Subject, Hash), u64>,
}

impl Claims {
    /// The next row of a digest about a subject.
    pub(super) fn next(&mut self, subject: &Subject, row: &Hash) -> Cti {
        let number = self.seen.entry((subject.clone(), *row)).or_default();
        *number += 1;
        let number = number.to_be_bytes();
        cut(&sha256(&[
            b"ledger/import/claim/v1\0",
            subject.as_str().as_bytes(),
            b"\0",
            row,
            &number,
        ]))
    }
}

/// The revision that follows a version of an asset: of two that saw the same version, the second has to look again.
pub(super) fn revision(subject: &Subject, version: u32) -> Cti {
    let version = version.to_be_bytes();
    cut(&sha256(&[b"ledger/import/revision/v1\0", subject.as_str().as_bytes(), b"\0", &version]))
}

fn cut(hash: &Hash) -> Cti {
    let mut half = [0; 16];
    for (place, byte) in half.iter_mut().zip(hash) {
        *place = *byte;
    }
    half
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ledger_format::id::SubjectKind;

    use super::*;

    #[test]
    fn a_claim_is_the_same_in_every_run_and_no_other() {
        let subject = |name| Subject::new(SubjectKind::Asset, name).unwrap();
        let (one, other) = (subject("acme/one"), subject("acme/other"));
        let rows = [(&one, [1; 32]), (&one, [1; 32]), (&one, [2; 32]), (&other, [1; 32])];
        let of = |rows: &[(&Subject, Hash)]| -> Vec<Cti> {
            let mut claims = Claims::default();
            rows.iter().map(|(subject, row)| claims.next(subject, row)).collect()
        };
        let first = of(&rows);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), rows.len());
        // A row before them, and another order.
        let [a, b, c, d] = rows;
        let grown = of(&[(&one, [9; 32]), c, a, d, b]);
        assert_eq!(grown[1..], [first[2], first[0], first[3], first[1]]);
        assert_ne!(revision(&one, 1), revision(&one, 2));
        assert_ne!(revision(&one, 1), revision(&other, 1));
    }
}
