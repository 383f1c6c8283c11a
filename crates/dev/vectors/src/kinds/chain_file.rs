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
use ledger_replay::Ledger;
use serde_json::json;

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
    /// Genesis, a supplier, an asset: a block each.
    fn told() -> Self {
        let world = World::new("vectors-chain", &[1], Clock::Wall);
        let ledger = Ledger::new(world.genesis.clone()).unwrap();
        let mut story = Self { world, ledger, blocks: Vec::new() };
        let genesis = story.genesis();
        story.push(&genesis);
        let admission = story.admission();
        story.push(&admission);
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
        let description = AssetDescription {
            kind: AssetKind::Open.into(),
            name_en: "Readings of a station".into(),
            ..AssetDescription::default()
        };
        let act = Act::AssetDescribed(AssetDescribed { description: Some(description) });
        let subject = format!("asset:{SUPPLIER}/readings");
        let claims = claims(self.world.genesis.id(), SUPPLIER, &subject, "description");
        sign(&Key::named("vectors chain supplier"), &[], at_start(claims), &event(act))
    }

    /// Adds a block with one entry.
    fn push(&mut self, entry: &Entry) {
        let proposer = self.world.member(0).id;
        let now = self.ledger.time_ms() + 1_000;
        let proposal = self.ledger.propose(proposer, now, &[entry]);
        let executed = proposal.block.unwrap_or_else(|| panic!("{:?}", proposal.refused));
        let header = executed.header.clone();
        let certificate = certificate(&header, 0, [&self.world.validators[0].vote]);
        let body = Body { header, entries: vec![entry.bytes().clone()] };
        self.ledger.commit(executed).unwrap();
        self.blocks.push(Block { body, certificate });
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

/// Chain files.
pub(super) fn files() -> Kind {
    let story = Story::told();
    let trust = story.world.genesis.id().to_string();
    let parts = story.parts();
    let file = parts.file();
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes), "trust": trust });
    let swap = |parts: &mut Parts, block: usize, change: &dyn Fn(&mut Block)| {
        let mut changed = story.blocks[block].clone();
        change(&mut changed);
        parts.blocks[block] = changed.encode().into();
    };
    let entry_changed = parts.changed(|parts| {
        swap(parts, 2, &|block| {
            let entry = &mut block.body.entries[0];
            *entry = turned(entry, 8 * (entry.len() - 10)).into();
        });
    });
    let header_changed =
        parts.changed(|parts| swap(parts, 1, &|block| block.body.header.time_ms += 1));
    let forged =
        parts.changed(|parts| swap(parts, 1, &|block| block.certificate.signatures[0].1[40] ^= 1));
    let record_changed = parts.changed(|parts| {
        let record = &mut parts.records[2];
        *record = turned(record, 8 * (record.len() - 1)).into();
    });
    let vector = |name: &str, comment: &str, bytes: &[u8], expected| {
        Vector::new(name, comment, input(bytes), expected)
    };
    Kind {
        name: "chain-file",
        description: "Exported chains (chain-file.md), executed again under a trusted ledger id. In all but the first four bad ones the frames and their checksums are right.",
        vectors: vec![
            vector("three blocks", "genesis, a supplier, an asset", &file, GOOD),
            vector(
                "without records",
                "either all or none",
                &parts.changed(|parts| parts.records.clear()),
                GOOD,
            ),
            vector(
                "a shorter chain",
                "a prefix is a chain; its records are another state's",
                &parts.changed(|parts| drop(parts.blocks.pop())),
                refuted("V_RECORD"),
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
            vector("other mark", "", &turned(&file, 0), malformed("FMT_MAGIC")),
            vector(
                "damaged",
                "a bit of a block, checksum as it was",
                &turned(&file, 8 * (CHAIN_MARK.len() + parts.genesis.len() + 40)),
                malformed("FMT_CHECKSUM"),
            ),
            vector("cut", "", cut(&file), malformed("FMT_TRUNCATED")),
            vector("longer", "", &longer(&file), malformed("FMT_TRAILING")),
            vector(
                "entry changed",
                "a bit of its signature",
                &entry_changed,
                refuted("V_SIGNATURE"),
            ),
            vector("header changed", "its time", &header_changed, refuted("V_CERTIFICATE_BLOCK")),
            vector("certificate forged", "", &forged, refuted("V_CERTIFICATE_SIGNATURE")),
            vector("record changed", "", &record_changed, refuted("V_RECORD")),
            vector(
                "record left out",
                "",
                &parts.changed(|parts| drop(parts.records.remove(1))),
                refuted("V_RECORD"),
            ),
            vector(
                "block left out",
                "",
                &parts.changed(|parts| drop(parts.blocks.remove(1))),
                refuted("V_HEIGHT"),
            ),
            vector(
                "block twice",
                "",
                &parts.changed(|parts| parts.blocks.insert(1, parts.blocks[1].clone())),
                refuted("V_HEIGHT"),
            ),
            Vector::new(
                "another ledger's",
                "",
                json!({ "bytes": hex(&file), "trust": "00".repeat(32) }),
                ("trust not met", ""),
            ),
        ],
    }
}
