//! An exported chain of the main path, changed in every way. No change is accepted; when framing and checksums are made right
//! again, the change is refuted, and its place named.

use std::fs;
use std::sync::OnceLock;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_event::Record;
use ledger_format::block::Block;
use ledger_format::chain_file::{CHAIN_MARK, End, FrameKind, frame};
use ledger_format::digest::{EntryId, LedgerId};
use ledger_format::entry::leaf_hash;
use ledger_format::header::Header;
use ledger_format::message;
use ledger_tests::{CLI, Exported, Market, run, verdict};
use ledger_verify::finding::Code;
use ledger_verify::verdict::Verdict;

/// A block in the middle of the story, with one entry.
const MIDDLE: usize = 12;

/// What the tests change, and what they must not need: the validator's own key, for the operator who lies.
struct Subject {
    chain: Exported,
    other: Exported,
    ledger: LedgerId,
    vote: SigningKey,
}

fn subject() -> &'static Subject {
    static MADE: OnceLock<Subject> = OnceLock::new();
    MADE.get_or_init(|| {
        let (market, other) = (Market::open(), Market::open());
        market.whole_way();
        let never = || Err(ledger_client::ClientError::key("a node's key is not encrypted"));
        let vote = ledger_client::keys::read(&market.data().join("keys/vote.pem"), never).unwrap();
        let chain = Exported::read(&market.exports());
        let ledger = chain.ledger();
        assert_eq!(chain.verdict(&ledger), Verdict::Proven);
        Subject { chain, other: Exported::read(&other.exports()), ledger, vote }
    })
}

/// Flips bits of the bytes at some places, on all cores, one at a time, and wants every file refused.
fn no_bit_counts(
    file: &[u8],
    ledger: &LedgerId,
    places: &(impl Iterator<Item = usize> + Clone + Send + Sync),
    bits: &[usize],
) {
    let cores = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for core in 0..cores {
            let (mut file, places) = (file.to_vec(), places.clone().skip(core).step_by(cores));
            scope.spawn(move || {
                for (place, bit) in
                    places.flat_map(|place| bits.iter().map(move |bit| (place, bit)))
                {
                    let mask = 1 << ((bit + place) % 8);
                    file[place] ^= mask;
                    let found = verdict(&file, ledger);
                    let refused = matches!(found.exit_code(), 10 | 11 | 13);
                    assert!(refused, "byte {place}, mask {mask:#x}: {found:?}");
                    file[place] ^= mask;
                }
            });
        }
    });
}

/// Every byte, one bit of it, and another bit in the next. Each file costs executing all blocks before the change: some 70 seconds
/// of one core for all, so all eight bits are for the shorter chain below.
#[test]
fn no_byte_of_the_main_path_can_be_changed() {
    let Subject { chain, ledger, .. } = subject();
    let file = chain.file();
    no_bit_counts(&file, ledger, &(0..file.len()), &[0]);
}

/// Every bit of every byte.
#[test]
fn no_bit_of_a_short_chain_can_be_changed() {
    let Subject { other, .. } = subject();
    // Genesis, its rules and calendars, and the admission of one party.
    let short = other.changed(|chain| {
        chain.blocks.truncate(2);
        chain.records.clear();
    });
    let (ledger, file) = (short.ledger(), short.file());
    assert_eq!(short.verdict(&ledger), Verdict::Proven);
    no_bit_counts(&file, &ledger, &(0..file.len()), &[0, 1, 2, 3, 4, 5, 6, 7]);
}

/// Names of cases that are not refuted as they should be, so that one run shows all.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    /// Wants a refutation with one of the codes at a height.
    fn refuted(&mut self, name: &str, chain: &Exported, height: usize, codes: &[Code]) {
        let found = chain.refuted(&subject().ledger);
        let height = u64::try_from(height).unwrap();
        if found.place.height != Some(height) || !codes.contains(&found.code) {
            self.0.push(format!("{name}: expected {codes:?} at {height}, found {found}"));
        }
    }

    /// The same, with the changed entry named by its leaf and the id of its bytes.
    fn entry_named(&mut self, name: &str, chain: &Exported, height: usize, codes: &[Code]) {
        self.refuted(name, chain, height, codes);
        let found = chain.refuted(&subject().ledger);
        let named = found.place.entry.zip(found.place.leaf);
        let entries = chain.block(height).body.entries;
        let is_there = |(id, _): (EntryId, u64)| entries.iter().any(|e| leaf_hash(e) == id.0);
        if !named.is_some_and(is_there) {
            self.0.push(format!("{name}: the entry is not named: {found}"));
        }
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        assert!(self.0.is_empty() || std::thread::panicking(), "{}", self.0.join("\n"));
    }
}

#[test]
fn a_changed_entry_is_named() {
    let chain = &subject().chain;
    let mut complaints = Complaints::default();
    // Every byte of an entry that four keys signed: header, claims, signers, payload, co-signatures, signature.
    let last = chain.blocks.len();
    for (height, step) in [(2, 1), (MIDDLE, 7), (last, 13)] {
        let length = chain.block(height).body.entries[0].len();
        for place in (0..length).step_by(step) {
            let changed = chain.with(height, |block| flip(&mut block.body.entries[0], place));
            let codes = [Code::EntryForm, Code::Signature, Code::WeakKey];
            complaints.entry_named(&format!("byte {place}"), &changed, height, &codes);
        }
        let signed_by_another = chain.with(height, |block| {
            let end = block.body.entries[0].len();
            let signature = chain.block(last - 1).body.entries[0].slice(..);
            let signature = signature[signature.len() - 64..].to_vec();
            let mut entry = block.body.entries[0].to_vec();
            entry[end - 64..].copy_from_slice(&signature);
            block.body.entries[0] = entry.into();
        });
        complaints.entry_named(
            "another's signature",
            &signed_by_another,
            height,
            &[Code::Signature],
        );
    }
}

fn flip(bytes: &mut Bytes, place: usize) {
    let mut changed = bytes.to_vec();
    changed[place] ^= 1 << (place % 8);
    *bytes = changed.into();
}

#[test]
fn entries_can_neither_be_left_out_nor_added_nor_moved() {
    let chain = &subject().chain;
    let mut complaints = Complaints::default();
    let sizes = [Code::TreeSize, Code::TreeRoot];
    let dropped = chain.with(1, |block| drop(block.body.entries.pop()));
    complaints.refuted("the last entry left out", &dropped, 1, &sizes);
    let dropped = chain.with(1, |block| drop(block.body.entries.remove(2)));
    complaints.refuted("an entry left out", &dropped, 1, &sizes);
    let first = chain.with(1, |block| drop(block.body.entries.remove(0)));
    complaints.refuted("genesis left out", &first, 1, &[Code::Genesis]);
    let reordered = chain.with(1, |block| block.body.entries.swap(3, 4));
    complaints.refuted("entries in another order", &reordered, 1, &[Code::TreeRoot]);
    let empty = chain.with(MIDDLE, |block| block.body.entries.clear());
    complaints.refuted("no entry", &empty, MIDDLE, &[Code::Time, Code::BlockLimits]);
    let again = chain.block(MIDDLE - 1).body.entries[0].clone();
    let twice = chain.with(MIDDLE, |block| block.body.entries.push(again.clone()));
    complaints.entry_named("an entry of before", &twice, MIDDLE, &[Code::Duplicate]);
    let early = chain.block(MIDDLE + 1).body.entries[0].clone();
    let both = chain.with(MIDDLE, |block| block.body.entries.push(early.clone()));
    complaints.refuted("an entry of after", &both, MIDDLE, &[Code::Time, Code::TreeSize]);
    let exchanged = chain.with(MIDDLE, |block| block.body.entries = vec![early]);
    complaints.refuted(
        "another entry",
        &exchanged,
        MIDDLE,
        &[Code::Time, Code::Refused, Code::TreeRoot],
    );
    let foreign = subject().other.block(2).body.entries[0].clone();
    let foreign = chain.with(MIDDLE, |block| block.body.entries.push(foreign));
    complaints.entry_named("another ledger's entry", &foreign, MIDDLE, &[Code::Signature]);
}

/// A change to one field of a header, and what refutes it when its validator signs the changed header.
type HeaderCase = (&'static str, fn(&mut Header), Code);

const HEADER: [HeaderCase; 10] = [
    ("version", |h| h.protocol_version += 1, Code::Version),
    ("ledger", |h| h.ledger.0[0] ^= 1, Code::HeaderLedger),
    ("previous", |h| h.previous[31] ^= 1, Code::Previous),
    ("time", |h| h.time_ms += 1, Code::Time),
    ("proposer", |h| h.proposer.0[0] ^= 1, Code::Proposer),
    ("tree size", |h| h.tree_size += 1, Code::TreeSize),
    ("tree root", |h| h.tree_root[0] ^= 1, Code::TreeRoot),
    ("state root", |h| h.state_root[0] ^= 1, Code::StateRoot),
    ("validators", |h| h.validators[0] ^= 1, Code::Validators),
    ("next validators", |h| h.next_validators[0] ^= 1, Code::Validators),
];

#[test]
fn a_changed_header_is_refuted_even_when_its_validator_signs_it() {
    let Subject { chain, vote, .. } = subject();
    let mut complaints = Complaints::default();
    for height in [1, MIDDLE, chain.blocks.len()] {
        let higher = chain.with(height, |block| block.body.header.height += 1);
        complaints.refuted("height", &higher, height, &[Code::Height]);
        let lower = chain.with(height, |block| {
            block.body.header.height -= 1;
            resign(block, vote);
        });
        complaints.refuted("height, signed", &lower, height, &[Code::Height]);
        for (name, change, code) in HEADER {
            let changed = chain.with(height, |block| change(&mut block.body.header));
            complaints.refuted(name, &changed, height, &[Code::CertificateBlock]);
            let signed = chain.with(height, |block| {
                change(&mut block.body.header);
                resign(block, vote);
            });
            complaints.refuted(&format!("{name}, signed"), &signed, height, &[code]);
        }
    }
}

/// A new certificate of a block by its validator.
fn resign(block: &mut Block, vote: &SigningKey) {
    let (header, certificate) = (&block.body.header, &mut block.certificate);
    (certificate.height, certificate.block) = (header.height, header.hash());
    let message = certificate.signed_bytes(&header.ledger);
    certificate.signatures[0].1 = vote.sign(&message).to_bytes();
}

#[test]
fn a_certificate_counts_for_its_block_and_validators_only() {
    let Subject { chain, other, .. } = subject();
    let mut complaints = Complaints::default();
    let mut case = |name: &str, codes: &[Code], change: &dyn Fn(&mut Block)| {
        let changed = chain.with(MIDDLE, |block| change(block));
        complaints.refuted(name, &changed, MIDDLE, codes);
    };
    case("signature", &[Code::CertificateSignature], &|b| b.certificate.signatures[0].1[5] ^= 4);
    case("scalar", &[Code::CertificateSignature], &|b| b.certificate.signatures[0].1[63] ^= 0x80);
    case("round", &[Code::CertificateSignature], &|b| b.certificate.round += 1);
    case("signer", &[Code::CertificateSigner], &|b| b.certificate.signatures[0].0.0[0] ^= 1);
    case("height", &[Code::CertificateBlock], &|b| b.certificate.height += 1);
    case("block", &[Code::CertificateBlock], &|b| b.certificate.block.0[0] ^= 1);
    case("nobody", &[Code::Quorum], &|b| b.certificate.signatures.clear());
    let before = chain.block(MIDDLE - 1).certificate;
    case("of the block before", &[Code::CertificateBlock], &|b| b.certificate = before.clone());
    let stranger = other.block(2).certificate.signatures;
    case("by a stranger", &[Code::CertificateSigner], &|b| {
        b.certificate.signatures.clone_from(&stranger);
    });
}

#[test]
fn blocks_are_all_there_once_and_in_order() {
    let Subject { chain, other, ledger, .. } = subject();
    let mut complaints = Complaints::default();
    let mut case = |name: &str, height, code, change: &dyn Fn(&mut Exported)| {
        complaints.refuted(name, &chain.changed(|chain| change(chain)), height, &[code]);
    };
    let middle = MIDDLE - 1;
    case("left out", MIDDLE, Code::Height, &|c| drop(c.blocks.remove(middle)));
    case("swapped", MIDDLE, Code::Height, &|c| c.blocks.swap(middle, middle + 1));
    case("twice", MIDDLE + 1, Code::Height, &|c| c.blocks.insert(middle, c.blocks[middle].clone()));
    case("the first left out", 1, Code::Height, &|c| drop(c.blocks.remove(0)));
    case("of another ledger", 1, Code::CertificateSigner, &|c| {
        c.blocks[0] = other.blocks[0].clone();
    });
    case("empty", MIDDLE, Code::BlockForm, &|c| c.blocks[middle] = Bytes::new());
    case("cut", MIDDLE, Code::BlockForm, &|c| drop(c.blocks[middle].split_off(300)));
    case("a record", MIDDLE, Code::BlockForm, &|c| c.blocks[middle] = c.records[0].clone());
    // A chain that ends earlier is the chain as it was then; records of later are refuted.
    let shorter = |c: &mut Exported| c.blocks.truncate(20);
    case("records of later", 20, Code::Record, &shorter);
    let earlier = chain.changed(|c| {
        shorter(c);
        c.records.clear();
    });
    assert_eq!(earlier.verdict(ledger), Verdict::Proven);
    let none = chain.changed(|c| c.blocks.clear()).refuted(ledger);
    assert_eq!(none.code, Code::Record, "records of no block: {none}");
    let none = chain.changed(|c| {
        c.blocks.clear();
        c.records.clear();
    });
    assert_eq!(none.refuted(ledger).code, Code::Genesis);
}

#[test]
fn records_are_the_whole_state_and_nothing_else() {
    let Subject { chain, ledger, .. } = subject();
    let mut complaints = Complaints::default();
    let (head, middle) = (chain.blocks.len(), chain.records.len() / 2);
    let id = |number: usize| -> String {
        message::decode::<Record>("record", &chain.records[number]).unwrap().id
    };
    let mut case = |name: &str, record: Option<String>, change: &dyn Fn(&mut Exported)| {
        let changed = chain.changed(|chain| change(chain));
        complaints.refuted(name, &changed, head, &[Code::Record]);
        assert_eq!(changed.refuted(ledger).place.record, record, "{name}");
    };
    case("left out", None, &|c| drop(c.records.remove(middle)));
    case("the last left out", None, &|c| drop(c.records.pop()));
    case("twice", Some(id(middle)), &|c| c.records.insert(middle, c.records[middle].clone()));
    case("swapped", Some(id(middle)), &|c| c.records.swap(middle, middle + 1));
    case("no record", None, &|c| c.records[middle] = Bytes::from_static(b"no record"));
    case("made up", Some("asset:acme/gold".into()), &|c| {
        c.records[middle] = made_up(&c.records[middle], "asset:acme/gold");
    });
    case("one more", Some("asset:acme/gold".into()), &|c| {
        c.records.push(made_up(&c.records[middle], "asset:acme/gold"));
    });
    for number in [0, middle, chain.records.len() - 1] {
        for place in 0..chain.records[number].len() {
            let changed = chain.changed(|c| flip(&mut c.records[number], place));
            complaints.refuted(
                &format!("record {number}, byte {place}"),
                &changed,
                head,
                &[Code::Record],
            );
        }
    }
}

/// A record under another id.
fn made_up(record: &Bytes, id: &str) -> Bytes {
    let mut record: Record = message::decode("record", record).unwrap();
    id.clone_into(&mut record.id);
    message::encode(&record).into()
}

#[test]
fn another_genesis_is_another_ledger() {
    let Subject { chain, other, ledger, .. } = subject();
    let mixed = chain.changed(|chain| chain.genesis = other.genesis.clone());
    assert_eq!(mixed.verdict(ledger).exit_code(), 13);
    let trusted = mixed.refuted(&other.ledger());
    assert_eq!((trusted.code, trusted.place.height), (Code::CertificateSigner, Some(1)));
    assert_eq!(chain.verdict(&other.ledger()).exit_code(), 13);
}

#[test]
fn a_file_that_is_no_chain_accuses_nobody() {
    let Subject { chain, ledger, .. } = subject();
    let file = chain.file();
    let end = End { blocks: 0, records: 0 }.encode();
    let body = &file[..file.len() - frame(FrameKind::End, &end).len()];
    let with = |bytes: &[u8]| [body, bytes].concat();
    let cases = [
        ("nothing", Vec::new()),
        ("the mark alone", CHAIN_MARK.to_vec()),
        ("no end", body.to_vec()),
        ("other counts", with(&frame(FrameKind::End, &end))),
        ("an end that is too long", with(&frame(FrameKind::End, &[0; 17]))),
        ("a second genesis", with(&frame(FrameKind::Genesis, &chain.genesis))),
        ("a block after the records", with(&frame(FrameKind::Block, &chain.blocks[0]))),
        ("an unknown frame", with(&[9, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("a length beyond any block", with(&[2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
        ("more than the end", [&file[..], b"\n"].concat()),
        ("half of it", file[..file.len() / 2].to_vec()),
    ];
    for (name, bytes) in cases {
        let found = verdict(&bytes, ledger);
        assert_eq!(found.exit_code(), 11, "{name}: {found:?}");
    }
}

#[test]
fn the_command_line_says_so_with_its_exit_code() {
    let Subject { chain, other, ledger, .. } = subject();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chain.ledger");
    let (path, trust) = (path.to_str().unwrap(), ledger.to_string());
    let verify = |file: &[u8], trust: &str, code: i32| {
        fs::write(path, file).unwrap();
        run(CLI, ["verify", "chain", path, "--trust", trust, "-o", "json"]).expect(code).json()
    };
    assert_eq!(verify(&chain.file(), &trust, 0)["verdict"], "proven");
    assert_eq!(verify(&chain.file(), &other.ledger().to_string(), 13)["verdict"], "trust not met");
    let entry = chain.with(MIDDLE, |block| flip(&mut block.body.entries[0], 400));
    let told = verify(&entry.file(), &trust, 10);
    assert_eq!(told["place"]["height"], MIDDLE);
    assert_eq!(told["place"]["entry"].as_str().unwrap().len(), 64);
    assert_eq!(told["code"], "V_SIGNATURE");
    let record = chain.changed(|chain| drop(chain.records.pop()));
    assert_eq!(verify(&record.file(), &trust, 10)["code"], "V_RECORD");
    let header = chain.with(MIDDLE, |block| block.body.header.time_ms += 1);
    let told = verify(&header.file(), &trust, 10);
    assert_eq!(
        (&told["code"], &told["place"]["height"]),
        (&"V_CERTIFICATE_BLOCK".into(), &MIDDLE.into())
    );
    let before = chain.changed(|chain| {
        chain.blocks.truncate(MIDDLE - 1);
        chain.records.clear();
    });
    let begins = before.file().len() - frame(FrameKind::End, &[0; 16]).len();
    let mut damaged = chain.file();
    damaged[begins + 100] ^= 1;
    let cut = chain.file()[..begins + 100].to_vec();
    for (file, code) in [(damaged, "FMT_CHECKSUM"), (cut, "FMT_TRUNCATED")] {
        let told = verify(&file, &trust, 11);
        assert_eq!((&told["code"], &told["place"]["height"]), (&code.into(), &MIDDLE.into()));
        assert!(told["reason"].as_str().unwrap().ends_with("after block 11"), "{told}");
    }
    assert_eq!(verify(b"not a chain", &trust, 11)["verdict"], "malformed");
}
