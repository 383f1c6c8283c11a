//! A whole small chain that the rules allow, and what becomes of its file in bad hands.

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, Clock, Factor, GenesisPublished, KeyGrant,
    PartyAdmitted, PartyKind, PartyProfile, Purpose, Role,
};
use ledger_fixtures::{Key, Signing, World, certificate, claims, event, joint_claims, sign};
use ledger_format::block::{Block, Body};
use ledger_format::chain_file::{CHAIN_MARK, End, FrameKind, frame};
use ledger_format::digest::hex;
use ledger_format::entry::Entry;
use ledger_format::header::Header;
use ledger_replay::{Executed, Ledger};
use serde_json::{Value, json};

use super::{GOOD, cut, longer, malformed, refuted, turned};
use crate::{Kind, Vector};

const FOUNDER: &str = "exchange-00";
const SUPPLIER: &str = "supplier-one";

/// A ledger of one validator in the making.
struct Story {
    world: World,
    ledger: Ledger,
    blocks: Vec<Block>,
}

impl Story {
    /// Genesis and a supplier: a block each.
    fn begun() -> Self {
        let world = World::new("vectors-chain", &[1], Clock::Wall);
        let ledger = Ledger::new(world.genesis.clone()).unwrap();
        let mut story = Self { world, ledger, blocks: Vec::new() };
        for entry in [story.genesis(), story.admission()] {
            story.push(&entry);
        }
        story
    }

    /// Genesis, a supplier, an asset: a block each.
    fn told() -> Self {
        let mut story = Self::begun();
        let description = story.description();
        story.push(&description);
        story
    }

    fn genesis(&self) -> Entry {
        let document = self.world.genesis.bytes().clone();
        let act = Act::GenesisPublished(GenesisPublished { document });
        let claims = claims(self.world.genesis.id(), FOUNDER, "ledger:genesis", "genesis");
        sign(&founder("organisation"), &[], at_start(claims), &event(act))
    }

    fn admission(&self) -> Entry {
        let (organisation, officer) = (founder("organisation"), founder("officer"));
        let key = Key::named("vectors chain supplier");
        let act = Act::PartyAdmitted(PartyAdmitted {
            profile: Some(PartyProfile {
                kind: PartyKind::Legal.into(),
                name_en: "A supplier".into(),
                jurisdiction: "CN".into(),
                ..PartyProfile::default()
            }),
            roles: vec![Role::Supplier.into()],
            keys: vec![KeyGrant { ..key.grant(Factor::OrgHsm) }],
        });
        let others = [
            Signing {
                party: FOUNDER,
                key: &officer,
                role: Role::IdentityAuthority,
                purpose: Purpose::Approve,
            },
            Signing {
                party: SUPPLIER,
                key: &key,
                role: Role::Supplier,
                purpose: Purpose::Possession,
            },
        ];
        let subject = format!("party:{SUPPLIER}");
        let claims = claims(self.world.genesis.id(), FOUNDER, &subject, "admission");
        let claims = joint_claims(at_start(claims), (&organisation, Role::Exchange), &others);
        sign(&organisation, &[&officer, &key], claims, &event(act))
    }

    fn description(&self) -> Entry {
        self.described_by(SUPPLIER, &Key::named("vectors chain supplier"))
    }

    /// The description of an asset of the supplier's.
    fn described_by(&self, party: &str, key: &Key) -> Entry {
        let description = AssetDescription {
            kind: AssetKind::Open.into(),
            name_en: "Readings of a station".into(),
            ..AssetDescription::default()
        };
        let act = Act::AssetDescribed(AssetDescribed { description: Some(description) });
        let subject = format!("asset:{SUPPLIER}/readings");
        let claims = claims(self.world.genesis.id(), party, &subject, "description");
        sign(key, &[], at_start(claims), &event(act))
    }

    /// Adds a block with one entry.
    fn push(&mut self, entry: &Entry) {
        let executed = self.executed(entry);
        self.blocks.push(self.block(executed.header.clone(), &[entry]));
        self.ledger.commit(executed).unwrap();
    }

    /// The next block as its proposer executes it, who is trusted to have checked signatures.
    fn executed(&self, entry: &Entry) -> Executed {
        let now = self.ledger.time_ms() + 1_000;
        let proposal = self.ledger.propose(self.world.member(0).id, now, &[entry]);
        proposal.block.unwrap_or_else(|| panic!("{:?}", proposal.refused))
    }

    /// A block that the validators agreed on, whatever it says.
    fn block(&self, header: Header, entries: &[&Entry]) -> Block {
        let certificate = certificate(&header, 0, [&self.world.validators[0].vote]);
        let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
        Block { body: Body { header, entries }, certificate }
    }

    fn records(&self) -> Vec<Bytes> {
        let records = self.ledger.records_after(self.ledger.height(), None, usize::MAX).unwrap();
        records.into_iter().map(|(_, record)| record.into()).collect()
    }

    fn parts(&self) -> Parts {
        let blocks = self.blocks.iter().map(|block| block.encode().into()).collect();
        Parts { genesis: self.world.genesis.bytes().clone(), blocks, records: self.records() }
    }
}

fn founder(key: &str) -> Key {
    Key::named(&format!("vectors-chain {FOUNDER} {key}"))
}

/// Claims at the beginning of the ledger, where its first blocks are.
fn at_start(mut claims: ledger_format::entry::Claims) -> ledger_format::entry::Claims {
    claims.issued_s = ledger_fixtures::START_S;
    claims
}

/// What a chain file frames.
#[derive(Clone)]
struct Parts {
    genesis: Bytes,
    blocks: Vec<Bytes>,
    records: Vec<Bytes>,
}

impl Parts {
    fn file(&self) -> Vec<u8> {
        let count = |list: &[Bytes]| u64::try_from(list.len()).unwrap();
        let end = End { blocks: count(&self.blocks), records: count(&self.records) };
        let mut file = CHAIN_MARK.to_vec();
        file.extend(frame(FrameKind::Genesis, &self.genesis));
        file.extend(self.blocks.iter().flat_map(|block| frame(FrameKind::Block, block)));
        file.extend(self.records.iter().flat_map(|record| frame(FrameKind::Record, record)));
        file.extend(frame(FrameKind::End, &end.encode()));
        file
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut parts = self.clone();
        change(&mut parts);
        parts.file()
    }
}

fn input(bytes: &[u8]) -> Value {
    json!({ "bytes": hex(bytes), "trust": Story::begun().world.genesis.id().to_string() })
}

fn vector(
    name: &str,
    comment: &str,
    bytes: &[u8],
    expected: (&'static str, &'static str),
) -> Vector {
    Vector::new(name, comment, input(bytes), expected)
}

/// Chain files.
pub(super) fn files() -> Kind {
    let story = Story::told();
    let parts = story.parts();
    Kind {
        name: "chain-file",
        description: "Exported chains (chain-file.md), executed again under a trusted ledger id. Of those that are refuted all frames and checksums are right, unless the name says otherwise.",
        vectors: [whole(&parts), damaged(&parts), tampered(&story, &parts), agreed(&story)]
            .concat(),
    }
}

fn whole(parts: &Parts) -> Vec<Vector> {
    let file = parts.file();
    vec![
        vector("three blocks", "genesis, a supplier, an asset", &file, GOOD),
        vector(
            "without records",
            "either all or none",
            &parts.changed(|parts| parts.records.clear()),
            GOOD,
        ),
        vector(
            "a shorter chain without records",
            "nothing shows that there is more",
            &parts.changed(|parts| {
                parts.blocks.pop();
                parts.records.clear();
            }),
            GOOD,
        ),
        Vector::new(
            "another ledger's",
            "",
            json!({ "bytes": hex(&file), "trust": "00".repeat(32) }),
            ("trust not met", ""),
        ),
    ]
}

/// What is not even a chain file: nobody is accused.
fn damaged(parts: &Parts) -> Vec<Vector> {
    let file = parts.file();
    let short = parts.changed(|parts| parts.records.clear());
    let last = short.len() - frame(FrameKind::End, &[0; 16]).len();
    let (before, end) = short.split_at(last);
    let first = CHAIN_MARK.len();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = short.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let announced = frame(FrameKind::End, &End { blocks: 4, records: 0 }.encode());
    let vector = |name: &str, comment: &str, bytes: &[u8], code| {
        vector(name, comment, bytes, malformed(code))
    };
    vec![
        vector("other mark", "", &turned(&file, 0), "FMT_MAGIC"),
        vector(
            "a bit of genesis",
            "checksum as it was",
            &turned(&file, 8 * (first + 40)),
            "FMT_CHECKSUM",
        ),
        vector(
            "a bit of a block",
            "checksum as it was",
            &turned(&file, 8 * (first + parts.genesis.len() + 40)),
            "FMT_CHECKSUM",
        ),
        vector("a bit of a checksum", "", &turned(&short, 8 * (last - 1)), "FMT_CHECKSUM"),
        vector("cut within a frame", "", cut(&file), "FMT_TRUNCATED"),
        vector("cut between frames", "no end frame", before, "FMT_TRUNCATED"),
        vector(
            "blocks announced that do not come",
            "",
            &[before, &announced].concat(),
            "FMT_TRUNCATED",
        ),
        vector("longer", "", &longer(&file), "FMT_TRAILING"),
        vector("two end frames", "", &[&short, end].concat(), "FMT_TRAILING"),
        vector("frame of an unknown kind", "", &with(first, &[9]), "FMT_UNKNOWN_VALUE"),
        vector("frame too long", "4 GiB", &with(first + 1, &[0xff; 4]), "FMT_TOO_LARGE"),
        vector(
            "genesis twice",
            "once, first",
            &[before, &frame(FrameKind::Genesis, &parts.genesis), end].concat(),
            "FMT_VALUE",
        ),
        vector(
            "a block behind a record",
            "",
            &[
                before,
                &frame(FrameKind::Record, &parts.records[0]),
                &frame(FrameKind::Block, &parts.blocks[2]),
                end,
            ]
            .concat(),
            "FMT_VALUE",
        ),
    ]
}

/// Changes by whoever holds the file and can make its checksums right again.
fn tampered(story: &Story, parts: &Parts) -> Vec<Vector> {
    let vector = |name: &str, comment: &str, code, change: &dyn Fn(&mut Parts)| {
        vector(name, comment, &parts.changed(|parts| change(parts)), refuted(code))
    };
    let swap = |parts: &mut Parts, block: usize, change: &dyn Fn(&mut Block)| {
        let mut changed = story.blocks[block].clone();
        change(&mut changed);
        parts.blocks[block] = changed.encode().into();
    };
    vec![
        vector("entry changed", "a bit of its signature", "V_SIGNATURE", &|parts| {
            swap(parts, 2, &|block| {
                let entry = &mut block.body.entries[0];
                *entry = turned(entry, 8 * (entry.len() - 10)).into();
            });
        }),
        vector("header changed", "its time", "V_CERTIFICATE_BLOCK", &|parts| {
            swap(parts, 1, &|block| block.body.header.time_ms += 1);
        }),
        vector("certificate forged", "", "V_CERTIFICATE_SIGNATURE", &|parts| {
            swap(parts, 1, &|block| block.certificate.signatures[0].1[40] ^= 1);
        }),
        vector("certificate emptied", "", "V_QUORUM", &|parts| {
            swap(parts, 1, &|block| block.certificate.signatures.clear());
        }),
        vector("certificate by a stranger", "", "V_CERTIFICATE_SIGNER", &|parts| {
            swap(parts, 1, &|block| {
                let stranger = Key::named("vectors stranger");
                block.certificate = certificate(&block.body.header, 0, [&stranger]);
            });
        }),
        vector("no block in a block frame", "", "V_BLOCK_FORM", &|parts| {
            parts.blocks[1] = cut(&parts.blocks[1]).to_vec().into();
        }),
        vector("record changed", "", "V_RECORD", &|parts| {
            let record = &mut parts.records[2];
            *record = turned(record, 8 * (record.len() - 1)).into();
        }),
        vector("record left out", "", "V_RECORD", &|parts| drop(parts.records.remove(1))),
        vector("records exchanged", "ascending by state key", "V_RECORD", &|parts| {
            parts.records.swap(1, 2);
        }),
        vector("block left out", "", "V_HEIGHT", &|parts| drop(parts.blocks.remove(1))),
        vector("block twice", "", "V_HEIGHT", &|parts| {
            parts.blocks.insert(1, parts.blocks[1].clone());
        }),
        vector("last block left out", "the records are a later state's", "V_RECORD", &|parts| {
            drop(parts.blocks.pop());
        }),
        vector("no block at all", "nobody signed this genesis", "V_GENESIS", &|parts| {
            parts.blocks.clear();
            parts.records.clear();
        }),
    ]
}

/// Blocks that all validators signed although they should not have: whoever stops at certificates takes them.
fn agreed(story: &Story) -> Vec<Vector> {
    let begun = Story::begun();
    let good = story.blocks[2].body.header.clone();
    let entry = begun.description();
    let file = |block: &Block| {
        let mut parts = begun.parts();
        parts.records.clear();
        parts.blocks.push(block.encode().into());
        parts.file()
    };
    let vector = |name: &str, comment: &str, code, block: &Block| {
        vector(&format!("all signed: {name}"), comment, &file(block), refuted(code))
    };
    let header = |name: &str, code, change: &dyn Fn(&mut Header)| {
        let mut header = good.clone();
        change(&mut header);
        vector(name, "", code, &begun.block(header, &[&entry]))
    };
    let mut no_entry = begun.block(good.clone(), &[&entry]);
    no_entry.body.entries[0] = longer(&no_entry.body.entries[0]).into();
    let forged = forged(&entry);
    let forged_block = begun.block(begun.executed(&forged).header, &[&forged]);
    let not_allowed = begun.described_by(FOUNDER, &founder("organisation"));
    vec![
        header("another height", "V_HEIGHT", &|header| header.height += 1),
        header("another ledger", "V_HEADER_LEDGER", &|header| header.ledger.0[0] ^= 1),
        header("another protocol version", "V_PROTOCOL_VERSION", &|header| {
            header.protocol_version = 2;
        }),
        header("another block before", "V_PREVIOUS", &|header| header.previous[0] ^= 1),
        header("time stands still", "V_TIME", &|header| {
            header.time_ms = story.blocks[1].body.header.time_ms;
        }),
        header("proposed by a stranger", "V_PROPOSER", &|header| header.proposer.0[0] ^= 1),
        header("another tree size", "V_TREE_SIZE", &|header| header.tree_size += 1),
        header("another tree root", "V_TREE_ROOT", &|header| header.tree_root[0] ^= 1),
        header("another state root", "V_STATE_ROOT", &|header| header.state_root[0] ^= 1),
        header("other validators", "V_VALIDATORS", &|header| header.validators[0] ^= 1),
        header("other next validators", "V_VALIDATORS", &|header| header.next_validators[0] ^= 1),
        vector("no entries", "", "V_BLOCK_LIMITS", &begun.block(good.clone(), &[])),
        vector("bytes that are no entry", "", "V_ENTRY_FORM", &no_entry),
        vector(
            "an entry twice",
            "",
            "V_ENTRY_DUPLICATE",
            &begun.block(good.clone(), &[&entry, &entry]),
        ),
        vector(
            "an entry that the rules refuse",
            "an asset in another party's name",
            "V_ENTRY_REFUSED",
            &begun.block(good.clone(), &[&not_allowed]),
        ),
        vector("a forged entry", "with all roots right", "V_SIGNATURE", &forged_block),
        self::vector(
            "all signed: a forged entry, cut off behind it",
            "damage does not hide what came whole before it",
            cut(&file(&forged_block)),
            refuted("V_SIGNATURE"),
        ),
    ]
}

/// The entry with another signature.
fn forged(entry: &Entry) -> Entry {
    let bytes = entry.bytes();
    Entry::decode(turned(bytes, 8 * (bytes.len() - 10)).into()).unwrap()
}
