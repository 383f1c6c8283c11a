//! Entries that wait for a block, in order of arrival, each at most once, within bounds.

use std::collections::BTreeMap;

use ledger_format::digest::EntryId;
use ledger_format::entry::Entry;

/// Bounds of the pool. Beyond them entries are turned away, not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most entries.
    pub entries: usize,
    /// Most bytes of entries.
    pub bytes: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { entries: 65_536, bytes: 64 * 1024 * 1024 }
    }
}

/// The pool was full, or had the entry already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// The pool is full.
    Full,
    /// The pool has the entry.
    Known,
}

/// The waiting entries. Their signatures have been checked.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    waiting: BTreeMap<u64, Box<Entry>>,
    ids: BTreeMap<EntryId, u64>,
    bytes: usize,
    next: u64,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        Self { limits, waiting: BTreeMap::new(), ids: BTreeMap::new(), bytes: 0, next: 0 }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`Turned`]: the pool is unchanged.
    pub fn add(&mut self, entry: Box<Entry>) -> Result<(), Turned> {
        if self.ids.contains_key(&entry.id()) {
            return Err(Turned::Known);
        }
        if !self.has_room(entry.bytes().len()) {
            return Err(Turned::Full);
        }
        self.bytes += entry.bytes().len();
        self.ids.insert(entry.id(), self.next);
        self.waiting.insert(self.next, entry);
        self.next += 1;
        Ok(())
    }

    /// Whether one more entry of so many bytes fits.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < self.limits.entries
            && self.bytes.saturating_add(bytes) <= self.limits.bytes
    }

    /// A waiting entry.
    pub fn get(&self, id: &EntryId) -> Option<&Entry> {
        self.waiting.get(self.ids.get(id)?).map(|entry| &**entry)
    }

    /// The waiting entries of which something holds.
    pub fn ids_where(&self, holds: impl Fn(&Entry) -> bool) -> Vec<EntryId> {
        self.waiting.values().filter(|entry| holds(entry)).map(|entry| entry.id()).collect()
    }

    /// The entry that has waited longest, with the ticket to remove it by.
    pub fn oldest(&self) -> Option<(u64, &Entry)> {
        self.waiting.first_key_value().map(|(ticket, entry)| (*ticket, &**entry))
    }

    /// All entries in order of arrival, with the tickets to remove them by.
    pub fn all(&self) -> (Vec<u64>, Vec<&Entry>) {
        self.waiting.iter().map(|(ticket, entry)| (*ticket, &**entry)).unzip()
    }

    /// The first entries in order of arrival that together have at most `bytes`, with the tickets to remove them by.
    pub fn first(&self, count: usize, bytes: usize) -> (Vec<u64>, Vec<&Entry>) {
        self.since(0, count, bytes)
    }

    /// The same, of those that came with a ticket or later.
    pub fn since(&self, ticket: u64, count: usize, bytes: usize) -> (Vec<u64>, Vec<&Entry>) {
        let mut left = bytes;
        let fitting = self.waiting.range(ticket..).take(count).take_while(|(_, entry)| {
            let fits = entry.bytes().len() <= left;
            left = left.saturating_sub(entry.bytes().len());
            fits
        });
        fitting.map(|(ticket, entry)| (*ticket, &**entry)).unzip()
    }

    /// Removes an entry by its ticket.
    pub fn remove(&mut self, ticket: u64) -> Option<Box<Entry>> {
        let entry = self.waiting.remove(&ticket)?;
        self.ids.remove(&entry.id());
        self.bytes = self.bytes.saturating_sub(entry.bytes().len());
        Some(entry)
    }

    /// Removes an entry that is in a block now, if it was waiting.
    pub fn forget(&mut self, id: &EntryId) {
        if let Some(ticket) = self.ids.get(id).copied() {
            self.remove(ticket);
        }
    }

    /// Whether an entry is waiting.
    pub fn contains(&self, id: &EntryId) -> bool {
        self.ids.contains_key(id)
    }

    /// Waiting entries.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Entries that were ever added.
    pub const fn added(&self) -> u64 {
        self.next
    }

    /// Bytes of waiting entries.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}
