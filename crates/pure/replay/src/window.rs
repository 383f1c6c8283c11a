//! The window of entries that may still be submitted again: (issuer, cti) counts once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use ledger_format::digest::sha256;
use ledger_format::entry::Entry;
use ledger_rules::{Code, Refusal};

/// One entry of the window. Hashes are cut to 16 bytes: a collision would cost an issuer one entry of its own, since its
/// id is in the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// First 16 bytes of SHA-256 of issuer, a zero byte, and cti.
    pub key: [u8; 16],
    /// First 16 bytes of the entry's id.
    pub entry: [u8; 16],
    /// When it expires, in seconds since 1970.
    pub expires_s: u64,
}

impl Known {
    /// The row of an entry.
    pub fn of(entry: &Entry) -> Self {
        let claims = entry.claims();
        let key = sha256(&[claims.issuer.as_bytes(), &[0], &claims.nonce]);
        Self { key: cut(&key), entry: cut(&entry.id().0), expires_s: claims.expires_s }
    }
}

fn cut(hash: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (place, byte) in half.iter_mut().zip(hash) {
        *place = *byte;
    }
    half
}

/// The key of a row as a number, which has the order of the bytes and is compared without a call.
const fn place(key: &[u8; 16]) -> u128 {
    u128::from_be_bytes(*key)
}

/// Entries of the past that have not expired. Older ones cannot come again: they are expired themselves.
#[derive(Clone, Debug, Default)]
pub struct Window {
    known: BTreeMap<u128, Known>,
    by_expiry: BTreeSet<(u64, u128)>,
}

impl Window {
    /// What the window says against an entry: [`Code::Duplicate`] when it has the very entry, [`Code::Conflict`] when it has
    /// another of the same issuer and cti.
    pub fn knows(&self, entry: &Entry) -> Option<Code> {
        self.seen(&Known::of(entry))
    }

    fn seen(&self, known: &Known) -> Option<Code> {
        self.known.get(&place(&known.key)).map(|before| verdict(before, known))
    }

    /// Adds rows in the order of their blocks. A cti that was used again after its first entry had expired is known by the later
    /// one: stored rows still hold both.
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Known>) {
        for row in rows {
            let place = place(&row.key);
            if let Some(before) = self.known.insert(place, row) {
                self.by_expiry.remove(&(before.expires_s, place));
            }
            self.by_expiry.insert((row.expires_s, place));
        }
    }

    /// Forgets what has expired at a header time.
    pub fn expire(&mut self, time_ms: u64) {
        while let Some(&(expires_s, place)) = self.by_expiry.first() {
            if expires_s.saturating_mul(1000) > time_ms {
                break;
            }
            self.by_expiry.pop_first();
            self.known.remove(&place);
        }
    }

    /// All rows, earliest expiry first.
    pub fn rows(&self) -> impl Iterator<Item = &Known> {
        self.by_expiry.iter().filter_map(|(_, place)| self.known.get(place))
    }
}

fn verdict(before: &Known, now: &Known) -> Code {
    if before.entry == now.entry { Code::Duplicate } else { Code::Conflict }
}

/// The window as a block sees it.
#[derive(Debug)]
pub(crate) struct BlockWindow<'a> {
    base: &'a Window,
    added: BTreeMap<u128, Known>,
    rows: Vec<Known>,
}

impl<'a> BlockWindow<'a> {
    pub(crate) fn new(base: &'a Window) -> Self {
        Self { base, added: BTreeMap::new(), rows: Vec::new() }
    }

    /// The row of an entry. Refuses one that is known.
    pub(crate) fn check(&self, entry: &Entry) -> Result<Known, Refusal> {
        let known = Known::of(entry);
        let added = self.added.get(&place(&known.key)).map(|before| verdict(before, &known));
        match added.or_else(|| self.base.seen(&known)) {
            None => Ok(known),
            Some(code) => Err(Refusal::new(
                code,
                format!("issuer {}, entry {}", entry.claims().issuer, entry.id()),
            )),
        }
    }

    pub(crate) fn add(&mut self, known: Known) {
        self.added.insert(place(&known.key), known);
        self.rows.push(known);
    }

    pub(crate) fn into_rows(self) -> Vec<Known> {
        self.rows
    }
}
