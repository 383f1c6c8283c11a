//! Files that come from elsewhere: drafts, JSON documents, keys, genesis files, chains. Each is read or refused with its code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_client::draft::DraftFile;
use ledger_client::error::ClientError;
use ledger_client::{chain, genesis, json, keys};
use ledger_event::{Calendar, Clock, Purpose, Role, RuleSet};
use ledger_fixtures::messages::MESSAGES;
use ledger_fixtures::{
    Chain, Key, Rng, Signing, World, claims, every_act, joint_claims, record, sign, summary,
};
use ledger_format::chain_file::{CHAIN_MARK, End, FrameKind, frame};
use ledger_format::digest::LedgerId;
use ledger_format::entry::Draft;
use ledger_format::genesis_file::GenesisFile;
use ledger_format::message;
use ledger_verify::verdict::Verdict;
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoOwned, LineEnding, SecretDocument};
use zeroize::Zeroizing;

/// Text that was spoiled where it is text.
fn spoiled(text: &str, rng: &mut Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    rng.mutate(&mut bytes, 4);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// JSON that nests as deep as its length allows.
fn deep() -> Vec<String> {
    let depth = 200_000;
    vec!["[".repeat(depth), "{\"a\":".repeat(depth), format!("{{\"id\":{}", "[".repeat(depth))]
}

#[test]
fn drafts() {
    let (seller, buyer) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let (own, other) = (Key::named("hostile seller"), Key::named("hostile buyer"));
    let signing =
        Signing { party: "b", key: &other, role: Role::Buyer, purpose: Purpose::Counterparty };
    let claims = claims(LedgerId([7; 32]), "s", "delivery:s/d", "hostile");
    let claims = joint_claims(claims, (&own, Role::Supplier), &[signing]);
    let draft = Draft::new(own.id(), claims, &summary());
    let good = DraftFile::new(draft.clone()).to_json();
    assert_eq!(DraftFile::from_json(&good).unwrap().draft, draft);
    let mut rng = Rng(1);
    let mut read = 0;
    let texts = (0..6_000).map(|_| spoiled(&good, &mut rng)).chain(deep());
    for text in texts.collect::<Vec<_>>() {
        match DraftFile::from_json(&text) {
            Ok(mut file) => {
                read += 1;
                // What was read is whole, and signing it is refused or gives an entry.
                assert_eq!(DraftFile::from_json(&file.to_json()).unwrap(), file);
                let _missing = file.missing().len();
                let _cosigned = file.cosign(&buyer).is_ok();
                let _sealed = file.seal(&seller).is_ok();
            }
            Err(error) => {
                let known = error.code == "CLIENT_DOCUMENT" || error.code.starts_with("FMT_");
                assert!(known, "{error}");
            }
        }
    }
    assert!(read > 20, "{read}");
}

#[test]
fn messages_as_json() {
    let mut rng = Rng(2);
    let event = |(_, act)| message::encode(&ledger_fixtures::event(act));
    let events: Vec<Vec<u8>> = every_act().into_iter().map(event).collect();
    for (name, _) in MESSAGES {
        let short = name.strip_prefix("ledger.v1.").unwrap();
        for _ in 0..200 {
            let noise = rng.some_bytes(120);
            let mut event = rng.pick(&events).clone();
            rng.mutate(&mut event, 4);
            for bytes in [noise, event] {
                if let Err(error) = json::to_json(short, &bytes) {
                    assert_eq!(error.code, "CLIENT_DOCUMENT");
                }
            }
        }
        // A message within a message within a message, in whatever field.
        for field in 1..16_u8 {
            let nested = (0..500).fold(Vec::new(), |inner, _| wrapped(field, &inner));
            let _json = json::to_json(short, &nested).is_ok();
        }
    }
    assert_eq!(json::to_json("Nothing", &[]).unwrap_err().code, "CLIENT_DOCUMENT");
}

/// Bytes as a field of a message: key, length as a varint, bytes.
fn wrapped(field: u8, inner: &[u8]) -> Vec<u8> {
    let mut outer = vec![field << 3 | 2];
    let mut length = inner.len();
    while length > 127 {
        outer.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    outer.push(u8::try_from(length).unwrap());
    outer.extend_from_slice(inner);
    outer
}

#[test]
fn documents_from_json() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ledger-node/data");
    let shipped = |path: &str| fs::read_to_string(data.join(path)).unwrap();
    let rules = shipped("rulesets/CN-NDA-2026.json");
    let calendar = shipped("calendars/CN-2026.json");
    json::from_json::<RuleSet>("RuleSet", &rules).unwrap();
    json::from_json::<Calendar>("Calendar", &calendar).unwrap();
    let mut rng = Rng(3);
    let mut read = 0;
    let texts: Vec<_> = (0..2_000).map(|_| spoiled(&calendar, &mut rng)).chain(deep()).collect();
    for text in texts {
        match json::from_json::<Calendar>("Calendar", &text) {
            Ok(_) => read += 1,
            Err(error) => assert_eq!(error.code, "CLIENT_DOCUMENT"),
        }
    }
    assert!(read > 20, "{read}");
    for _ in 0..500 {
        let _rules = json::from_json::<RuleSet>("RuleSet", &spoiled(&rules, &mut rng)).is_ok();
    }
    // Fields that no message has, values of another kind, numbers that do not fit, and something behind the end.
    for wrong in ["{\"a\":1}", "[]", "{\"year\":-1}", "{\"year\":1e99}", "{\"id\":7}", "{} {}", ""]
    {
        let error = json::from_json::<Calendar>("Calendar", wrong).unwrap_err();
        assert_eq!(error.code, "CLIENT_DOCUMENT", "{wrong}");
    }
}

#[expect(clippy::unnecessary_wraps, reason = "whoever asks for a passphrase may not get one")]
fn passphrase() -> Result<Zeroizing<String>, ClientError> {
    Ok(Zeroizing::new("correct horse".to_owned()))
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn key_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let key = SigningKey::from_bytes(&[7; 32]);
    keys::write(&path("plain.pem"), &key, None).unwrap();
    let plain = fs::read_to_string(path("plain.pem")).unwrap();
    let public = fs::read_to_string(path("plain.pub")).unwrap();
    let (other, mut rng) = (path("other.pem"), Rng(4));
    for _ in 0..1_500 {
        put(&other, &spoiled(&plain, &mut rng));
        put(&path("other.pub"), &spoiled(&public, &mut rng));
        for error in [
            keys::read(&other, passphrase).map(drop).err(),
            keys::read_public(&path("other.pub")).map(drop).err(),
            keys::info(&other).map(drop).err(),
            keys::list(directory.path()).map(drop).err(),
        ] {
            assert!(error.is_none_or(|error| error.code == "CLIENT_KEY"));
        }
    }
    // Bytes that are no text.
    fs::write(&other, [0xff, 0xfe, 0]).unwrap();
    assert_eq!(keys::read(&other, passphrase).map(drop).unwrap_err().code, "CLIENT_FILE");
}

/// An encrypted key whose costs are others than those that it was made with.
fn costing(pem: &str, change: impl Fn(&mut Kdf)) -> String {
    let (_, document) = SecretDocument::from_pem(pem).unwrap();
    let mut key = EncryptedPrivateKeyInfoOwned::from_der(document.as_bytes()).unwrap();
    let EncryptionScheme::Pbes2(parameters) = &mut key.encryption_algorithm else {
        panic!("PBES1")
    };
    change(&mut parameters.kdf);
    let document = SecretDocument::try_from(key.to_der().unwrap().as_slice()).unwrap();
    document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
}

#[test]
fn keys_that_cost_too_much_to_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let key = SigningKey::from_bytes(&[7; 32]);
    keys::write(&path, &key, Some("correct horse")).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    assert_eq!(keys::read(&path, passphrase).unwrap().to_bytes(), key.to_bytes());
    assert_eq!(costing(&good, |_| ()), good);
    let costs = [(1_u64 << 40, 8, 1), (1 << 62, 8, 1), (1 << 20, 60_000, 1), (1 << 17, 8, 60_000)];
    for (n, r, p) in costs {
        let costly = costing(&good, |kdf| {
            let Kdf::Scrypt(scrypt) = kdf else { panic!("no scrypt") };
            (scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization) = (n, r, p);
        });
        put(&path, &costly);
        // Nobody is even asked for its passphrase.
        let asked = || panic!("asked");
        let error = keys::read(&path, asked).map(drop).unwrap_err();
        assert!(error.code == "CLIENT_KEY" && error.message.contains("costs"), "{error}");
    }
    let mut rng = Rng(5);
    for _ in 0..60 {
        put(&path, &spoiled(&good, &mut rng));
        match keys::read(&path, passphrase) {
            Ok(read) => assert_eq!(read.to_bytes(), key.to_bytes()),
            Err(error) => assert_eq!(error.code, "CLIENT_KEY"),
        }
    }
}

#[test]
fn genesis_files() {
    let world = World::new("hostile", &[1], Clock::Wall);
    let key = Key::named("hostile issuer");
    let act = ledger_event::event::Act::GenesisPublished(ledger_event::GenesisPublished {
        document: world.genesis.bytes().clone(),
    });
    let claims = claims(world.genesis.id(), "exchange-00", "ledger:genesis", "hostile");
    let entry = sign(&key, &[], claims, &ledger_fixtures::event(act));
    let good = GenesisFile::encode(&[entry]);
    assert_eq!(genesis::read_file(good.clone()).unwrap().0.id(), world.genesis.id());
    for length in 0..good.len() {
        let error = genesis::read_file(good[..length].to_vec()).map(drop).unwrap_err();
        assert!(["FMT_MAGIC", "FMT_TRUNCATED"].contains(&error.code.as_str()), "{error}");
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(genesis::read_file(longer).map(drop).unwrap_err().code, "FMT_TRAILING");
    let mut rng = Rng(6);
    for _ in 0..3_000 {
        let mut bytes = good.clone();
        rng.mutate(&mut bytes, 4);
        for bytes in [bytes, rng.some_bytes(200)] {
            if let Err(error) = genesis::read_file(bytes) {
                assert!(error.code.starts_with("FMT_"), "{error}");
            }
        }
    }
}

type Parts = Vec<(FrameKind, Vec<u8>)>;

/// The frames of a chain whose form is good.
fn frames(made: &Chain) -> Parts {
    let mut parts = vec![(FrameKind::Genesis, made.world.genesis.bytes().to_vec())];
    parts.extend(made.blocks.iter().map(|block| (FrameKind::Block, block.encode())));
    parts.extend(made.records(3).map(|(_, record)| (FrameKind::Record, record.clone())));
    parts.push((FrameKind::End, End { blocks: 3, records: 1 }.encode()));
    parts
}

fn file(parts: &Parts) -> Vec<u8> {
    let frames = parts.iter().flat_map(|(kind, payload)| frame(*kind, payload));
    CHAIN_MARK.iter().copied().chain(frames).collect()
}

/// Noise, spoiled bytes, spoiled contents in whole frames, and frames in another order: a checksum is no defence.
fn damaged(parts: &Parts, way: usize, rng: &mut Rng) -> Vec<u8> {
    let mut parts = parts.clone();
    match way {
        0 => return rng.some_bytes(300),
        1 => {
            let mut bytes = file(&parts);
            rng.mutate(&mut bytes, 4);
            return bytes;
        }
        2 => {
            let number = rng.below(parts.len());
            rng.mutate(&mut parts[number].1, 3);
        }
        _ => {
            let (one, other) = (rng.below(parts.len()), rng.below(parts.len()));
            parts.swap(one, other);
            parts.truncate(1 + rng.below(parts.len()));
        }
    }
    file(&parts)
}

#[test]
fn chains() {
    let world = World::new("hostile", &[1], Clock::Wall);
    let trust = world.genesis.id();
    let key = Key::named("hostile issuer");
    let claims = claims(trust, "supplier", "asset:supplier/rain", "one");
    let entry = sign(&key, &[], claims, &summary());
    let mut made = Chain::new(world);
    for _ in 0..3 {
        made.push(&[&entry], &[record("asset:supplier/rain", &[entry.id()])]);
    }
    let parts = frames(&made);
    let verdict = |bytes: &[u8]| {
        let mut reader = bytes;
        chain::verify(&mut reader, Some(&trust), |_| {}, |_| {}).unwrap().report.verdict
    };
    let mut rng = Rng(7);
    for round in 0..3_000 {
        assert_ne!(verdict(&damaged(&parts, round % 4, &mut rng)), Verdict::Proven);
    }
    // A frame that claims more than there is.
    let mut claimed = file(&vec![(FrameKind::Genesis, vec![0; 64])]);
    let length = CHAIN_MARK.len() + 1;
    claimed[length..length + 4].copy_from_slice(&0x00ff_ffff_u32.to_be_bytes());
    assert!(matches!(verdict(&claimed), Verdict::Malformed(_)));
    claimed[length..length + 4].fill(0xff);
    assert!(matches!(verdict(&claimed), Verdict::Malformed(_)));
    assert!(matches!(verdict(&Bytes::new()), Verdict::Malformed(_)));
}

/// A chain of the vectors.
fn chain_named(name: &str) -> Vec<u8> {
    let vectors = include_str!("../../../../../docs/spec/vectors/chain-file.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let mut all = vectors["vectors"].as_array().unwrap().iter();
    let vector = all.find(|vector| vector["name"] == name).unwrap();
    base16ct::lower::decode_vec(vector["input"]["bytes"].as_str().unwrap()).unwrap()
}

#[test]
fn damage_of_a_chain_has_a_height() {
    let good = chain_named("three blocks");
    let (mut at, mut ends) = (CHAIN_MARK.len(), Vec::new());
    while at < good.len() {
        let length: [u8; 4] = good[at + 1..at + 5].try_into().unwrap();
        at += 9 + usize::try_from(u32::from_be_bytes(length)).unwrap();
        ends.push(at);
    }
    let placed = |mut bytes: &[u8]| {
        let report = chain::verify(&mut bytes, None, |_| {}, |_| {}).unwrap().report;
        assert!(matches!(report.verdict, Verdict::Malformed(_)), "{report:?}");
        (report.height, report.verdict.reason())
    };
    // Genesis, blocks 1 to 3, records, the end.
    for height in 1..=3 {
        let (begins, after) = (ends[height - 1], format!(", after block {}", height - 1));
        for cut in [begins, begins + 3, begins + 20, ends[height] - 1] {
            let (place, reason) = placed(&good[..cut]);
            assert_eq!(place, Some(u64::try_from(height).unwrap()), "{reason}");
            assert!(reason.ends_with(&after), "{reason}");
        }
        let mut flipped = good.clone();
        flipped[begins + 20] ^= 1;
        let (place, reason) = placed(&flipped);
        assert_eq!(place, Some(u64::try_from(height).unwrap()), "{reason}");
        assert!(reason.starts_with("FMT_CHECKSUM") && reason.ends_with(&after), "{reason}");
    }
    // What follows the last block is of its height.
    for cut in [ends[3] + 20, good.len() - 1] {
        assert_eq!(placed(&good[..cut]).0, Some(3));
    }
    assert_eq!(placed(&good[..ends[0] - 1]).0, None);
}

#[test]
fn damage_of_a_chain_does_not_hide_what_came_before_it() {
    let forged = chain_named("all signed: a forged entry");
    let end = forged.len() - 9 - 16;
    let code = |mut bytes: &[u8]| {
        let report = chain::verify(&mut bytes, None, |_| {}, |_| {}).unwrap().report;
        (report.verdict.code(), report.verdict.exit_code())
    };
    // The whole file, without its end, within it, with a checksum that does not fit, and with a frame of no kind.
    let mut flipped = forged.clone();
    flipped[end + 10] ^= 1;
    let other = [&forged[..end], &[9; 9]].concat();
    for bytes in [&forged[..], &forged[..end], &forged[..end + 5], &flipped, &other] {
        assert_eq!(code(bytes), (Some("V_SIGNATURE"), 10));
    }
    // Within the forged block itself nothing is whole.
    assert_eq!(code(&forged[..end - 1]).1, 11);
}
