//! Blocks and what is kept of each: its own row and pages, which are the ledger, and derived rows and pages, which are not.

use bincode::{Decode, Encode};
use bytes::Bytes;
use ledger_format::digest::{EntryId, Hash};

use crate::error::StoreError;
use crate::pages::{self, Pages};
use crate::{Store, keys};

/// The fixed part of a stored block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct BlockRow {
    pub(crate) header: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    /// Leaf index of the block's first leaf: the header before, or genesis.
    pub(crate) first_leaf: u64,
    pub(crate) entries: u32,
    /// Number of the first entry of each entry page.
    pub(crate) entry_pages: Vec<u32>,
}

/// The fixed part of what was derived from a block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DerivedRow {
    pub(crate) link_pages: Vec<u32>,
    pub(crate) record_pages: u32,
    pub(crate) window_pages: u32,
    /// Bytes of the record pages, to decide when a snapshot is due.
    pub(crate) record_bytes: u64,
}

/// One timeline that an entry is on, as the index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRow {
    /// First 8 bytes of the state key of the timeline's record.
    pub key: [u8; 8],
    /// Leaf index of the entry before it on that timeline.
    pub previous: Option<u64>,
}

/// An entry that a submission may repeat until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowRow {
    /// First 16 bytes of the hash of issuer and cti.
    pub key: [u8; 16],
    /// First 16 bytes of the entry's id.
    pub entry: [u8; 16],
    /// When it expires, in seconds since 1970.
    pub expires_s: u64,
}

/// A block to be made durable, with everything derived from it.
#[derive(Debug)]
pub struct NewBlock<'a> {
    /// From 1.
    pub height: u64,
    /// Header bytes.
    pub header: &'a [u8],
    /// Certificate bytes.
    pub certificate: &'a [u8],
    /// Leaf index of the block's first leaf.
    pub first_leaf: u64,
    /// Hash of the leaf that is the header before; `None` at height 1.
    pub header_leaf: Option<EntryId>,
    /// Entry bytes.
    pub entries: &'a [Bytes],
    /// Ids of the entries.
    pub ids: &'a [EntryId],
    /// Timelines that each entry is on.
    pub links: &'a [Vec<LinkRow>],
    /// Records that the block changed.
    pub records: &'a [(&'a Hash, &'a [u8])],
    /// What the block adds to the window of known entries.
    pub window: &'a [WindowRow],
}

impl NewBlock<'_> {
    /// Leaf index of the first entry.
    pub fn first_entry(&self) -> u64 {
        self.first_leaf + u64::from(self.header_leaf.is_some())
    }
}

/// A block as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Header bytes.
    pub header: Bytes,
    /// Certificate bytes.
    pub certificate: Bytes,
    /// Leaf index of the block's first leaf.
    pub first_leaf: u64,
    /// Entry bytes.
    pub entries: Vec<Bytes>,
}

/// Where a leaf is and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLeaf {
    /// Height of the block that brought it.
    pub height: u64,
    /// Header bytes of that block.
    pub header: Bytes,
    /// The leaf's bytes: an entry, or the header before the block.
    pub bytes: Bytes,
    /// Whether it is an entry.
    pub is_entry: bool,
}

pub(crate) fn encode<T: Encode>(row: &T) -> Result<Vec<u8>, StoreError> {
    bincode::encode_to_vec(row, configuration())
        .map_err(|error| StoreError::damaged(format!("a row does not encode: {error}")))
}

pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, StoreError> {
    let (row, read) = bincode::decode_from_slice(bytes, configuration())
        .map_err(|error| StoreError::damaged(format!("a row does not decode: {error}")))?;
    if read == bytes.len() {
        return Ok(row);
    }
    Err(StoreError::damaged("bytes follow a row"))
}

/// bincode without a limit would allocate whatever a damaged length claims.
fn configuration() -> impl bincode::config::Config {
    const LIMIT: usize = 4 * 1024 * 1024;
    bincode::config::standard().with_big_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

/// Adds the rows and pages that are the ledger itself.
pub(crate) fn put_block(batch: &mut sled::Batch, block: &NewBlock<'_>) -> Result<(), StoreError> {
    let Pages { pages, first_items } = pages::pack(block.entries.iter())?;
    let row = BlockRow {
        header: block.header.to_vec(),
        certificate: block.certificate.to_vec(),
        first_leaf: block.first_leaf,
        entries: u32::try_from(block.entries.len()).unwrap_or(u32::MAX),
        entry_pages: first_items,
    };
    put_pages(batch, b'B', block.height, pages);
    batch.insert(&keys::one(b'H', block.height), encode(&row)?);
    batch.insert(&keys::one(b'F', block.first_leaf), &block.height.to_be_bytes());
    Ok(())
}

/// Adds the rows and pages that are derived from the block, tiles and ids apart.
pub(crate) fn put_derived(
    batch: &mut sled::Batch,
    block: &NewBlock<'_>,
) -> Result<u64, StoreError> {
    let links = pages::pack(block.links.iter().map(|links| link_item(links)))?;
    let records = block.records.iter().map(|(key, record)| [key.as_slice(), record].concat());
    let records = pages::pack(records)?;
    let window = window_pages(block.window)?;
    let bytes: usize = records.pages.iter().map(Vec::len).sum();
    let row = DerivedRow {
        link_pages: links.first_items,
        record_pages: u32::try_from(records.pages.len()).unwrap_or(u32::MAX),
        window_pages: u32::try_from(window.pages.len()).unwrap_or(u32::MAX),
        record_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
    };
    batch.insert(&keys::one(b'D', block.height), encode(&row)?);
    put_pages(batch, b'L', block.height, links.pages);
    put_pages(batch, b'R', block.height, records.pages);
    put_pages(batch, b'W', block.height, window.pages);
    Ok(row.record_bytes)
}

pub(crate) fn put_pages(batch: &mut sled::Batch, letter: u8, number: u64, pages: Vec<Vec<u8>>) {
    for (page, bytes) in (0_u32..).zip(pages) {
        batch.insert(&keys::two(letter, number, page), bytes);
    }
}

fn link_item(links: &[LinkRow]) -> Vec<u8> {
    let row = |link: &LinkRow| [link.key, link.previous.unwrap_or(u64::MAX).to_be_bytes()];
    let rows: Vec<[[u8; 8]; 2]> = links.iter().map(row).collect();
    rows.into_flattened().into_flattened()
}

fn read_links(item: &[u8]) -> Vec<LinkRow> {
    let row = |chunk: &[u8]| {
        let (key, previous) = chunk.split_first_chunk::<8>()?;
        let previous = u64::from_be_bytes(previous.try_into().ok()?);
        Some(LinkRow { key: *key, previous: (previous != u64::MAX).then_some(previous) })
    };
    item.chunks_exact(16).filter_map(row).collect()
}

pub(crate) fn window_pages(rows: &[WindowRow]) -> Result<Pages, StoreError> {
    let item =
        |row: &WindowRow| [row.key.as_slice(), &row.entry, &row.expires_s.to_be_bytes()].concat();
    pages::pack(rows.iter().map(item))
}

pub(crate) fn read_window(item: &[u8]) -> Result<WindowRow, StoreError> {
    let cut = || StoreError::damaged("a window row has another length");
    let (key, rest) = item.split_first_chunk::<16>().ok_or_else(cut)?;
    let (entry, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
    let expires = rest.try_into().map_err(|_other_length| cut())?;
    Ok(WindowRow { key: *key, entry: *entry, expires_s: u64::from_be_bytes(expires) })
}

impl Store {
    /// Height of the last block that sled holds, flushed or not.
    pub(crate) fn last_height(&self) -> Result<Option<u64>, StoreError> {
        let last = self.tree.scan_prefix(b"H").next_back().transpose()?;
        Ok(last.and_then(|(key, _)| keys::number(&key)))
    }

    pub(crate) fn block_row(&self, height: u64) -> Result<Option<BlockRow>, StoreError> {
        if self.height().is_none_or(|durable| height > durable) {
            return Ok(None);
        }
        let Some(row) = self.tree.get(keys::one(b'H', height))? else { return Ok(None) };
        let row: BlockRow = decode(&row)?;
        // So that leaf indices can be added up without a look.
        if row.first_leaf.checked_add(u64::from(row.entries) + 1).is_none() {
            return Err(StoreError::damaged(format!("block {height} has too many leaves")));
        }
        Ok(Some(row))
    }

    /// A block.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        let Some(row) = self.block_row(height)? else { return Ok(None) };
        let mut entries = Vec::new();
        for (page, _) in (0_u32..).zip(&row.entry_pages) {
            let raw = Bytes::from(self.page(b'B', height, page)?);
            entries.extend(pages::items(&raw)?.into_iter().map(|item| raw.slice_ref(item)));
        }
        if u32::try_from(entries.len()) != Ok(row.entries) {
            return Err(StoreError::damaged(format!("block {height} lacks entries")));
        }
        Ok(Some(StoredBlock {
            header: row.header.into(),
            certificate: row.certificate.into(),
            first_leaf: row.first_leaf,
            entries,
        }))
    }

    /// Header and certificate bytes of a block.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn header(&self, height: u64) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let row = self.block_row(height)?;
        Ok(row.map(|row| (row.header.into(), row.certificate.into())))
    }

    /// Height of the block that brought a leaf, and that block's row.
    fn block_of_leaf(&self, leaf: u64) -> Result<Option<(u64, BlockRow)>, StoreError> {
        let upto = keys::one(b'F', leaf);
        let Some(found) = self.tree.range([b'F'].as_slice()..=upto.as_slice()).next_back() else {
            return Ok(None);
        };
        let (_, value) = found?;
        let height = value.as_ref().try_into().map(u64::from_be_bytes);
        let height = height.map_err(|_other_length| StoreError::damaged("a leaf index row"))?;
        let Some(row) = self.block_row(height)? else { return Ok(None) };
        let leaves = u64::from(row.entries) + u64::from(height > 1);
        Ok((leaf < row.first_leaf + leaves).then_some((height, row)))
    }

    /// A leaf by its index.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn leaf(&self, leaf: u64) -> Result<Option<StoredLeaf>, StoreError> {
        let Some((height, row)) = self.block_of_leaf(leaf)? else { return Ok(None) };
        let header = Bytes::from(row.header.clone());
        let Some(number) = entry_number(height, &row, leaf) else {
            let before = self.block_row(height - 1)?;
            let before = before.ok_or_else(|| StoreError::damaged("a block is missing"))?;
            let bytes = before.header.into();
            return Ok(Some(StoredLeaf { height, header, bytes, is_entry: false }));
        };
        let (page, within) = pages::locate(&row.entry_pages, number)
            .ok_or_else(|| StoreError::damaged(format!("leaf {leaf} is on no page")))?;
        let raw = Bytes::from(self.page(b'B', height, page)?);
        let item = pages::items(&raw)?.get(within).copied();
        let item = item.ok_or_else(|| StoreError::damaged(format!("leaf {leaf} is missing")))?;
        Ok(Some(StoredLeaf { height, header, bytes: raw.slice_ref(item), is_entry: true }))
    }

    /// The timelines that the entry at a leaf is on.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn links(&self, leaf: u64) -> Result<Vec<LinkRow>, StoreError> {
        let Some((height, row)) = self.block_of_leaf(leaf)? else { return Ok(Vec::new()) };
        let Some(number) = entry_number(height, &row, leaf) else { return Ok(Vec::new()) };
        let missing = || StoreError::damaged(format!("links of leaf {leaf} are missing"));
        let derived = self.derived_row(height)?.ok_or_else(missing)?;
        let (page, within) = pages::locate(&derived.link_pages, number).ok_or_else(missing)?;
        let raw = self.page(b'L', height, page)?;
        let items = pages::items(&raw)?;
        Ok(read_links(items.get(within).ok_or_else(missing)?))
    }

    pub(crate) fn derived_row(&self, height: u64) -> Result<Option<DerivedRow>, StoreError> {
        self.tree.get(keys::one(b'D', height))?.map(|row| decode(&row)).transpose()
    }

    /// The raw bytes of one page.
    pub(crate) fn page(&self, letter: u8, number: u64, page: u32) -> Result<Vec<u8>, StoreError> {
        let value = self.tree.get(keys::two(letter, number, page))?;
        let missing = || {
            StoreError::damaged(format!("page {}/{number}/{page} is missing", char::from(letter)))
        };
        pages::unpack(&value.ok_or_else(missing)?)
    }
}

/// The number of the entry at a leaf within its block; `None` for the header leaf.
fn entry_number(height: u64, row: &BlockRow, leaf: u64) -> Option<u32> {
    let first = row.first_leaf + u64::from(height > 1);
    u32::try_from(leaf.checked_sub(first)?).ok()
}
