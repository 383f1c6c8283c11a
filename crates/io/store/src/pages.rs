//! Packing many small things into few values of at most 64 KiB.
//!
//! sled pays per key, and dearly for random ones (docs/adr/0006), so everything that a block brings goes in as a few pages. A
//! page is zstd over items of a 4-byte length and their bytes.

use std::cell::RefCell;
use std::io;

use zstd::bulk::Compressor;

use crate::error::StoreError;

/// Raw bytes after which a page is closed. One item may exceed it, by which items are at most 96 KiB.
const PAGE_BYTES: usize = 64 * 1024 - 512;
/// Most raw bytes that a page may claim when it is read.
const MAX_RAW_BYTES: usize = 256 * 1024;
const LEVEL: i32 = 1;

/// Pages, and the number of the first item of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) pages: Vec<Vec<u8>>,
    pub(crate) first_items: Vec<u32>,
}

/// Packs items in order. They are asked for one by one, so that whoever makes them on the way holds one at a time.
pub(crate) fn pack<T: AsRef<[u8]>>(items: impl Iterator<Item = T>) -> Result<Pages, StoreError> {
    let mut packed = Pages::default();
    let mut raw: Vec<u8> = Vec::with_capacity(PAGE_BYTES);
    let mut first = 0;
    for (number, item) in (0_u32..).zip(items) {
        let item = item.as_ref();
        if !raw.is_empty() && raw.len() + item.len() + 4 > PAGE_BYTES {
            packed.close(&mut raw, first)?;
            first = number;
        }
        let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
        raw.extend_from_slice(&length.to_be_bytes());
        raw.extend_from_slice(item);
    }
    if !raw.is_empty() {
        packed.close(&mut raw, first)?;
    }
    Ok(packed)
}

impl Pages {
    fn close(&mut self, raw: &mut Vec<u8>, first: u32) -> Result<(), StoreError> {
        let page = compress(raw).map_err(StoreError::io("compress a page"))?;
        self.pages.push(page);
        self.first_items.push(first);
        raw.clear();
        Ok(())
    }
}

thread_local! {
    /// The compressor's tables are larger than most pages: a thread makes them once.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn compress(raw: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| match compressor {
        Some(compressor) => compressor.compress(raw),
        None => compressor.insert(Compressor::new(LEVEL)?).compress(raw),
    })
}

/// The raw bytes of a page.
pub(crate) fn unpack(page: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::decompress(page, MAX_RAW_BYTES)
        .map_err(|error| StoreError::damaged(format!("a page does not decompress: {error}")))
}

/// The items of a page's raw bytes.
pub(crate) fn items(raw: &[u8]) -> Result<Vec<&[u8]>, StoreError> {
    let mut items = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let cut = || StoreError::damaged("a page ends within an item");
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_too_long| cut())?;
        let (item, after) = after.split_at_checked(length).ok_or_else(cut)?;
        items.push(item);
        rest = after;
    }
    Ok(items)
}

/// Which page holds an item, and the item's place in it.
pub(crate) fn locate(first_items: &[u32], item: u32) -> Option<(u32, usize)> {
    let page = first_items.partition_point(|first| *first <= item).checked_sub(1)?;
    let within = item.checked_sub(*first_items.get(page)?)?;
    Some((u32::try_from(page).ok()?, usize::try_from(within).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_from_where_locate_says() {
        let items: Vec<Vec<u8>> = (0_u32..3000)
            .map(|n| n.to_be_bytes().repeat(usize::try_from(n % 40).unwrap()))
            .collect();
        let packed = pack(items.iter().map(Vec::as_slice)).unwrap();
        assert!(packed.pages.len() > 2);
        for (number, item) in items.iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            let (page, within) = locate(&packed.first_items, number).unwrap();
            let raw = unpack(&packed.pages[usize::try_from(page).unwrap()]).unwrap();
            assert_eq!(super::items(&raw).unwrap()[within], item);
        }
    }

    #[test]
    fn random_bytes_never_exceed_a_value() {
        let entry: Vec<u8> =
            (0..65_535_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let packed = pack([entry.as_slice(), &entry].into_iter()).unwrap();
        assert!(packed.pages.iter().all(|page| page.len() < 100 * 1024));
        assert_eq!(packed.pages.len(), 2);
    }
}
