//! What makes an import count once however often it is run.
//!
//! The ledger takes one entry of an issuer and a `cti`. An import derives the `cti` of whatever the rules would take twice from what it
//! states: a second run signs other bytes, with other times, and still the same `cti`, so that an entry of the first that is under way
//! is no second one. Once that has expired, it can come no more, and what the ledger has shows whether it came.

use std::collections::{BTreeMap, BTreeSet};

use ledger_format::digest::{Hash, sha256};
use ledger_format::id::Subject;

use super::Cti;

/// Rows that say the same and may not have come to the ledger before one that has: each is known for what it is.
const MISSING: usize = 16;

/// A row of history about a subject: what it says, and how many that say the same come before it. Where it stands does not matter: a
/// catalogue that grows moves its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) digest: Hash,
    /// From 1.
    pub(super) number: u64,
}

impl Row {
    pub(super) fn cti(&self, subject: &Subject) -> Cti {
        let (subject, number) = (subject.as_str().as_bytes(), self.number.to_be_bytes());
        cut(&sha256(&[b"ledger/import/claim/v1\0", subject, b"\0", &self.digest, &number]))
    }
}

/// Counts the rows of a source.
#[derive(Default)]
pub(super) struct Rows {
    seen: BTreeMap<Subject, BTreeMap<Hash, u64>>,
}

impl Rows {
    /// The next row of a digest about a subject.
    pub(super) fn next(&mut self, subject: &Subject, digest: Hash) -> Row {
        let rows = self.seen.entry(subject.clone()).or_default();
        let number = rows.entry(digest).or_default();
        *number += 1;
        Row { digest, number: *number }
    }
}

/// Claims that the ledger has about a subject.
#[derive(Debug, Default)]
pub(super) struct Stated {
    ctis: BTreeSet<Cti>,
    /// Of each digest the claims with a `cti` that no import derived, as somebody states them by hand: the first rows need not be stated.
    others: BTreeMap<Hash, u64>,
}

impl Stated {
    /// From the digest and `cti` of each claim.
    pub(super) fn of(subject: &Subject, claims: impl IntoIterator<Item = (Hash, Cti)>) -> Self {
        let mut all: BTreeMap<Hash, Vec<Cti>> = BTreeMap::new();
        for (digest, cti) in claims {
            all.entry(digest).or_default().push(cti);
        }
        let mut stated = Self::default();
        for (digest, ctis) in all {
            let numbers = (1..).take(ctis.len().saturating_add(MISSING));
            let derived = numbers.map(|number| Row { digest, number }.cti(subject));
            let derived: BTreeSet<Cti> = derived.collect();
            let others = ctis.iter().filter(|cti| !derived.contains(*cti));
            stated.others.insert(digest, others.map(|_| 1).sum());
            stated.ctis.extend(ctis);
        }
        stated
    }

    pub(super) fn has(&self, subject: &Subject, row: &Row) -> bool {
        let others = self.others.get(&row.digest).copied().unwrap_or_default();
        row.number <= others || self.ctis.contains(&row.cti(subject))
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
    use ledger_format::id::SubjectKind;

    use super::*;

    fn subject(name: &str) -> Subject {
        Subject::new(SubjectKind::Asset, name).unwrap()
    }

    #[test]
    fn a_claim_is_the_same_in_every_run_and_no_other() {
        let (one, other) = (subject("acme/one"), subject("acme/other"));
        let rows = [(&one, [1; 32]), (&one, [1; 32]), (&one, [2; 32]), (&other, [1; 32])];
        let of = |all: &[(&Subject, Hash)]| -> Vec<Cti> {
            let mut rows = Rows::default();
            all.iter().map(|(subject, digest)| rows.next(subject, *digest).cti(subject)).collect()
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

    #[test]
    fn rows_that_say_the_same_are_as_many_claims_whoever_stated_them() {
        let (one, digest) = (subject("acme/one"), [1; 32]);
        let row = |number| Row { digest, number };
        let has = |ctis: &[Cti]| {
            let stated = Stated::of(&one, ctis.iter().map(|cti| (digest, *cti)));
            [1, 2, 3].map(|number| stated.has(&one, &row(number)))
        };
        assert_eq!(has(&[]), [false, false, false]);
        assert_eq!(has(&[row(1).cti(&one)]), [true, false, false]);
        // The second one has come, and the first may still come.
        assert_eq!(has(&[row(2).cti(&one)]), [false, true, false]);
        // One by hand, which stands for the first, and the import's second.
        assert_eq!(has(&[[7; 16]]), [true, false, false]);
        assert_eq!(has(&[[7; 16], row(2).cti(&one)]), [true, true, false]);
        assert_eq!(has(&[[7; 16], [8; 16]]), [true, true, false]);
    }
}
