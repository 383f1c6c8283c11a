//! Every value of the store against spoiled bytes: what is read is an error or something, never a panic, and a number that lies asks
//! for no memory.

use bytes::Bytes;
use ledger_fixtures::Rng;
use ledger_format::digest::{EntryId, LedgerId};

use crate::blocks::{BlockRow, DerivedRow, decode, encode, read_window};
use crate::*;

const BLOCKS: u64 = 6;

fn entry(number: u64) -> Bytes {
    Bytes::from(format!("entry {number} ").repeat(20))
}

/// A store with some of everything: blocks, tiles, links, records, a window, a snapshot, and two runs of ids.
fn written(path: &std::path::Path) -> Store {
    let directory = DataDirectory::open_or_create(path, &LedgerId::default()).unwrap();
    let store = Store::open(directory).unwrap();
    let (mut leaf, mut number) = (0_u64, 0_u64);
    for height in 1..=BLOCKS {
        let entries: Vec<Bytes> = (number..number + 60).map(entry).collect();
        number += 60;
        let ids: Vec<EntryId> = entries.iter().map(tiles::id_of).collect();
        let links = vec![vec![LinkRow { key: [1; 8], previous: leaf.checked_sub(1) }]; 60];
        let record = (height.to_be_bytes().repeat(4).try_into().unwrap(), vec![7; 100]);
        let window = WindowRow { key: [2; 16], entry: [3; 16], expires_s: height };
        if height % 2 == 0 {
            // As if so many had come before.
            let mut all = lock(&store.ids);
            (0..16_384_u64).for_each(|id| all.insert(&EntryId(spread(id + height)), 0));
        }
        let header_leaf = (height > 1).then(|| tiles::id_of(&Bytes::from_static(b"header")));
        let block = NewBlock {
            height,
            header: b"header",
            certificate: b"certificate",
            first_leaf: leaf,
            header_leaf,
            entries: &entries,
            ids: &ids,
            links: &links,
            records: &[(&record.0, &record.1)],
            window: &[window],
        };
        store.commit(&block).unwrap();
        leaf += 60 + u64::from(height > 1);
        if height == 3 {
            let mut state = store.load_state().unwrap().records.into_iter();
            let next = |_: Option<&_>, count| {
                let records = state.by_ref().take(count);
                Some(records.map(|(key, record)| (key, record.into())).collect())
            };
            assert!(store.write_snapshot(height, &[window], next).unwrap());
        }
    }
    store
}

fn spread(number: u64) -> [u8; 32] {
    Rng(number).bytes()
}

/// Reads everything in every way; whatever it says.
fn read_all(store: &Store) -> usize {
    let mut errors = usize::from(store.load_indexes().is_err());
    errors += usize::from(store.load_state().is_err());
    errors += usize::from(store.snapshot_is_due().is_err());
    for height in (0..=BLOCKS + 1).chain([u64::MAX]) {
        errors +=
            usize::from(store.block(height).is_err()) + usize::from(store.header(height).is_err());
    }
    for leaf in [0, 59, 60, 61, 200, 256, 364, 365, 366, u64::MAX] {
        errors += usize::from(store.leaf(leaf).is_err()) + usize::from(store.links(leaf).is_err());
        errors += usize::from(store.inclusion_path(leaf, 365).is_err());
        errors += usize::from(store.consistency_path(leaf, 365).is_err());
    }
    for number in [0, 100, 359, 400] {
        errors += usize::from(store.find(&tiles::id_of(&entry(number))).is_err());
    }
    errors + usize::from(store.find(&EntryId(spread(3))).is_err())
}

/// What damage can make of a value.
fn spoiled(value: &[u8], rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(), vec![0xff; value.len()], value[..value.len() / 2].to_vec()];
    all.push([value, &[0]].concat());
    // Numbers at their greatest, wherever they stand.
    for at in (0..value.len().saturating_sub(3)).step_by(4).take(24) {
        for width in [4, 8] {
            let mut greatest = value.to_vec();
            let end = (at + width).min(value.len());
            greatest[at..end].fill(0xff);
            all.push(greatest);
        }
    }
    for _ in 0..8 {
        let mut random = value.to_vec();
        rng.mutate(&mut random, 3);
        all.push(random);
    }
    all
}

#[test]
fn no_value_makes_it_panic() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path());
    let sound = read_all(&store);
    let mut rng = Rng(1);
    let mut letters = std::collections::BTreeMap::<u8, (usize, usize)>::new();
    let rows: Vec<_> = store.tree.iter().map(|row| row.unwrap()).collect();
    for (key, value) in &rows {
        // Some values of each kind are enough.
        let (seen, noticed) = letters.entry(key[0]).or_default();
        if *seen >= 4 {
            continue;
        }
        *seen += 1;
        let removed = std::iter::once(None);
        for bytes in removed.chain(spoiled(value, &mut rng).into_iter().map(Some)) {
            match bytes {
                None => drop(store.tree.remove(key).unwrap()),
                Some(bytes) => drop(store.tree.insert(key, bytes).unwrap()),
            }
            *noticed += usize::from(read_all(&store) > sound);
            // A start may remove what it takes for left over.
            for (key, value) in &rows {
                store.tree.insert(key, value).unwrap();
            }
        }
        assert_eq!(read_all(&store), sound);
    }
    let kinds: Vec<u8> = letters.keys().copied().collect();
    assert_eq!(kinds, b"BDFHIJLMRSTVW");
    // Damage to whatever start-up reads is noticed, apart from what only look-ups would see.
    for letter in b"BDFHM" {
        assert!(letters[letter].1 > 10, "{}: {letters:?}", char::from(*letter));
    }
}

#[test]
fn rows_and_pages_against_noise() {
    let mut rng = Rng(2);
    let row = BlockRow {
        header: vec![1; 40],
        certificate: vec![2; 40],
        first_leaf: 3,
        entries: 4,
        entry_pages: vec![0, 2],
    };
    let good = encode(&row).unwrap();
    assert_eq!(decode::<BlockRow>(&good).unwrap(), row);
    // Claimed lengths: of the header, and of the list of pages.
    for at in [0, 48, good.len() - 16] {
        let mut claimed = good.clone();
        claimed[at..at + 8].copy_from_slice(&(1_u64 << 40).to_be_bytes());
        assert!(decode::<BlockRow>(&claimed).is_err());
    }
    let packed = pages::pack([b"one".as_slice(), b"", b"three"].into_iter()).unwrap();
    let raw = pages::unpack(&packed.pages[0]).unwrap();
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        rng.mutate(&mut bytes, 4);
        if let Ok(row) = decode::<BlockRow>(&bytes) {
            assert_eq!(encode(&row).unwrap(), bytes);
        }
        let noise = rng.some_bytes(80);
        for bytes in [&bytes, &noise] {
            let _derived = decode::<DerivedRow>(bytes).is_ok();
            assert_eq!(read_window(bytes).is_ok(), bytes.len() == 40);
            let _items = pages::items(bytes).is_ok();
        }
        let mut page = packed.pages[0].clone();
        rng.mutate(&mut page, 3);
        let _raw = pages::unpack(&page).and_then(|raw| pages::items(&raw).map(|items| items.len()));
        let mut items = raw.clone();
        rng.mutate(&mut items, 3);
        if let Ok(found) = pages::items(&items) {
            // Nothing is made up: lengths and items are all there is.
            assert_eq!(found.iter().map(|item| item.len() + 4).sum::<usize>(), items.len());
        }
        let first: Vec<u32> =
            (0..rng.below(5)).map(|_| u32::try_from(rng.below(9)).unwrap()).collect();
        let _place = pages::locate(&first, u32::try_from(rng.below(12)).unwrap());
    }
    // A page that claims to be larger than any is not unpacked.
    let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 1).unwrap();
    assert!(bomb.len() < 10_000 && pages::unpack(&bomb).is_err());
}

#[test]
fn a_log_of_noise_is_cut_or_refused() {
    let mut rng = Rng(3);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("consensus.wal");
    let mut good = Vec::new();
    for payload in [&b"first"[..], &[5; 300], b"", b"last"] {
        good.extend_from_slice(b"LWAL");
        good.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        good.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
        good.extend_from_slice(payload);
    }
    let (mut whole, mut refused) = (0, 0);
    for round in 0..3_000 {
        let mut bytes = good.clone();
        match round % 4 {
            0 => rng.mutate(&mut bytes, 4),
            1 => bytes.truncate(rng.below(bytes.len() + 1)),
            2 => bytes = rng.some_bytes(200),
            _ => {
                // A length that claims more than there is.
                bytes[4..8].copy_from_slice(&rng.bytes::<4>());
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        match Wal::open(directory.path()) {
            Ok((_, payloads)) => {
                whole += 1;
                // What is left is whole, and is found again.
                assert_eq!(Wal::open(directory.path()).unwrap().1, payloads);
            }
            Err(StoreError::WalDamaged { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(whole > 500 && refused > 500, "{whole} {refused}");
}
