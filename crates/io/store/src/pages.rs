//! Packing many small things into few values of at most 64 KiB.
//!
//! sled pays per key, and dearly for random ones (docs/adr/0006), so everything that a block brings goes in as a few pages. A
//! page is zstd over items of a 4-byte length and their bytes. An item that no page can hold is cut into parts, each on a page of its
//! own: the record of a party grows with each key, without end, while a page that is read has a bound.

use std::cell::RefCell;
use std::io;

use zstd::bulk::Compressor;

use crate::error::StoreError;

/// Raw bytes after which a page is closed. One item may exceed it, up to [`MAX_RAW_BYTES`].
const PAGE_BYTES: usize = 64 * 1024 - 512;
/// Most raw bytes of a page, written or read: a damaged one may claim any length.
const MAX_RAW_BYTES: usize = 256 * 1024;
/// Bytes of an item's length.
const LENGTH_BYTES: usize = size_of::<u32>();
/// Longest item that is not cut. Entries are never, whose place on a page is looked up.
const MAX_WHOLE_BYTES: usize = MAX_RAW_BYTES - LENGTH_BYTES;
/// Bytes of a part after which more of the item comes: a page full.
const PART_BYTES: usize = PAGE_BYTES - LENGTH_BYTES;
/// Stands in a length when more of the item comes on the next page.
const GOES_ON: u32 = 1 << 31;
const LEVEL: i32 = 1;

const _: () = {
    assert!(MAX_WHOLE_BYTES >= ledger_format::limits::MAX_ENTRY_BYTES);
    assert!(MAX_WHOLE_BYTES < 1 << 31);
};

/// Pages, and the number of the first item of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) pages: Vec<Vec<u8>>,
    pub(crate) first_items: Vec<u32>,
}

/// Packs items in order. They are asked for one by one, so that whoever makes them on the way holds one at a time.
pub(crate) fn pack<T: AsRef<[u8]>>(items: impl Iterator<Item = T>) -> Result<Pages, StoreError> {
    let mut open = Open { packed: Pages::default(), raw: Vec::with_capacity(PAGE_BYTES), first: 0 };
    for (number, item) in (0_u32..).zip(items) {
        let mut rest = item.as_ref();
        while rest.len() > MAX_WHOLE_BYTES {
            let (part, after) = rest.split_at(PART_BYTES);
            open.put(number, part, GOES_ON)?;
            rest = after;
        }
        open.put(number, rest, 0)?;
    }
    open.close()?;
    Ok(open.packed)
}

/// A page that is being filled, after those that are full.
struct Open {
    packed: Pages,
    raw: Vec<u8>,
    first: u32,
}

impl Open {
    fn put(&mut self, number: u32, part: &[u8], mark: u32) -> Result<(), StoreError> {
        if self.raw.len() + part.len() + LENGTH_BYTES > PAGE_BYTES {
            self.close()?;
        }
        if self.raw.is_empty() {
            self.first = number;
        }
        let too_long = |_| StoreError::damaged("a part of an item is longer than any");
        let length = u32::try_from(part.len()).map_err(too_long)?;
        self.raw.extend_from_slice(&(length | mark).to_be_bytes());
        self.raw.extend_from_slice(part);
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if !self.raw.is_empty() {
            let page = compress(&self.raw).map_err(StoreError::io("compress a page"))?;
            self.packed.pages.push(page);
            self.packed.first_items.push(self.first);
            self.raw.clear();
        }
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

/// The items of a page's raw bytes, all of them whole.
pub(crate) fn items(raw: &[u8]) -> Result<Vec<&[u8]>, StoreError> {
    let whole = |(part, goes_on): (_, bool)| {
        if goes_on { Err(StoreError::damaged("an item is cut that never is")) } else { Ok(part) }
    };
    parts(raw)?.into_iter().map(whole).collect()
}

/// Hands over the items of pages in order. Those that were cut are put together again, in no more memory than their pages take.
pub(crate) fn each_item(
    pages: impl Iterator<Item = Result<Vec<u8>, StoreError>>,
    mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut begun: Vec<u8> = Vec::new();
    for raw in pages {
        for (part, goes_on) in parts(&raw?)? {
            if begun.is_empty() && !goes_on {
                take(part)?;
                continue;
            }
            begun.extend_from_slice(part);
            if !goes_on {
                take(&std::mem::take(&mut begun))?;
            }
        }
    }
    if begun.is_empty() {
        Ok(())
    } else {
        Err(StoreError::damaged("the end of an item is missing"))
    }
}

/// What is on a page, and of each whether more of it comes on the next one.
fn parts(raw: &[u8]) -> Result<Vec<(&[u8], bool)>, StoreError> {
    let mut parts = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let cut = || StoreError::damaged("a page ends within an item");
        let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(cut)?;
        let length = u32::from_be_bytes(*length);
        let goes_on = length & GOES_ON != 0;
        let length = usize::try_from(length & !GOES_ON).map_err(|_too_long| cut())?;
        let (part, after) = after.split_at_checked(length).ok_or_else(cut)?;
        if goes_on && (part.len() != PART_BYTES || !after.is_empty()) {
            return Err(StoreError::damaged("a part of an item does not fill its page"));
        }
        parts.push((part, goes_on));
        rest = after;
    }
    Ok(parts)
}

/// Which page holds an item that is never cut, and the item's place in it.
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

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 32));
        numbers.map(|n| n.to_be_bytes()[1]).take(length).collect()
    }

    fn read(pages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut items = Vec::new();
        each_item(pages.iter().map(|page| unpack(page)), |item| {
            items.push(item.to_vec());
            Ok(())
        })?;
        Ok(items)
    }

    #[test]
    fn items_of_any_length_come_back() {
        let lengths = [0, 1, PART_BYTES, PART_BYTES + 1, MAX_WHOLE_BYTES, MAX_WHOLE_BYTES + 1];
        let lengths = lengths.into_iter().chain([3, 1024 * 1024, 5_000_000, 0, 7]);
        let items: Vec<Vec<u8>> = lengths.map(noise).collect();
        let packed = pack(items.iter()).unwrap();
        assert_eq!(read(&packed.pages).unwrap(), items);
        assert!(packed.pages.iter().all(|page| unpack(page).unwrap().len() <= MAX_RAW_BYTES));
        assert_eq!(packed.pages.len(), packed.first_items.len());
    }

    /// What a store has written before items were cut stays as it was, on the disk and for older programs.
    #[test]
    fn what_a_page_can_hold_is_not_cut() {
        let packed = pack([noise(MAX_WHOLE_BYTES)].iter()).unwrap();
        assert_eq!(packed.pages.len(), 1);
        assert_eq!(items(&unpack(&packed.pages[0]).unwrap()).unwrap().len(), 1);
        let packed = pack([noise(MAX_WHOLE_BYTES + 1)].iter()).unwrap();
        assert!(items(&unpack(&packed.pages[0]).unwrap()).is_err());
    }

    #[test]
    fn an_item_without_its_end_or_its_middle_is_damage() {
        let packed = pack([noise(1024 * 1024)].iter()).unwrap();
        let (_, first) = packed.pages.split_last().unwrap();
        assert!(read(first).is_err());
        let raw = unpack(&packed.pages[0]).unwrap();
        assert!(parts(&[raw.as_slice(), &[0; 4]].concat()).is_err());
        let mut shorter = raw;
        shorter.pop();
        shorter[3] -= 1;
        assert!(parts(&shorter).is_err());
    }
}
