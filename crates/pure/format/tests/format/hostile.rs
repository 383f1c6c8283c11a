//! Every decoder against random content, spoiled bytes and noise: what it reads, it writes again as the same bytes.

use bytes::Bytes;
use ledger_event::{Event, Purpose, Role};
use ledger_fixtures::messages::descriptors;
use ledger_fixtures::{Key, Rng, World};
use ledger_format::block::{Block, Body};
use ledger_format::chain_file::{End, FrameHead, FrameKind, frame};
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::entry::{Claims, Draft, Entry, Signer};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::id::{Subject, SubjectKind};
use ledger_format::malformed::Malformed;
use ledger_format::note::{Checkpoint, Note, NoteSignature};
use ledger_format::receipt::Receipt;
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;
use ledger_format::{message, proof_file};
use proptest::prelude::*;

use crate::generate;

/// A format: any content of it, and its decoder followed by its encoder.
struct Format {
    name: &'static str,
    make: fn(&mut Rng) -> Vec<u8>,
    again: fn(&Bytes) -> Result<Vec<u8>, Malformed>,
}

const FORMATS: &[Format] = &[
    Format { name: "entry", make: entry, again: entry_again },
    Format { name: "draft", make: draft, again: draft_again },
    Format {
        name: "header",
        make: |rng| header(rng).encode(),
        again: |b| Ok(Header::decode(b.clone())?.encode()),
    },
    Format {
        name: "certificate",
        make: |rng| certificate(rng).encode(),
        again: |b| Ok(Certificate::decode(b.clone())?.encode()),
    },
    Format {
        name: "body",
        make: |rng| body(rng).encode(),
        again: |b| Ok(Body::decode(b.clone())?.encode()),
    },
    Format {
        name: "block",
        make: |rng| block(rng).encode(),
        again: |b| Ok(Block::decode(b.clone())?.encode()),
    },
    Format {
        name: "genesis",
        make: genesis,
        again: |b| Ok(message::encode(GenesisDocument::decode(b.clone())?.message())),
    },
    Format {
        name: "validators",
        make: validators,
        again: |b| Ok(message::encode(Validators::decode(b)?.message())),
    },
    Format {
        name: "note",
        make: |rng| note(rng).encode().into_bytes(),
        again: |b| Ok(Note::decode(&text(b))?.encode().into_bytes()),
    },
    Format {
        name: "checkpoint",
        make: |rng| checkpoint(rng).text().into_bytes(),
        again: |b| Ok(Checkpoint::decode(&text(b))?.text().into_bytes()),
    },
    Format {
        name: "receipt",
        make: |rng| receipt(rng).encode(),
        again: |b| Ok(Receipt::decode(b)?.encode()),
    },
    Format { name: "frame", make: some_frame, again: frame_again },
    Format {
        name: "end of a chain file",
        make: |rng| End { blocks: rng.number(), records: rng.number() }.encode(),
        again: |b| Ok(End::decode(b.clone())?.encode()),
    },
    Format { name: "proof file", make: proof, again: proof_again },
];

// --- Any content ---------------------------------------------------------------------------------------------------------

fn party(rng: &mut Rng) -> String {
    let ends = b"abcxyz0189";
    let inner = b"abcxyz0189.-";
    let length = rng.below(64);
    let mut id: Vec<u8> = (0..length).map(|_| *rng.pick(inner)).collect();
    id.push(*rng.pick(ends));
    id[0] = *rng.pick(ends);
    String::from_utf8(id).unwrap()
}

fn subject(rng: &mut Rng) -> Subject {
    let kind = *rng.pick(SubjectKind::ALL);
    let letters = b"abcXYZ019._~-";
    let rest: Vec<u8> = (0..=rng.below(60)).map(|_| *rng.pick(letters)).collect();
    let name = format!("{}/{}", party(rng), String::from_utf8(rest).unwrap());
    Subject::new(kind, &name).unwrap()
}

fn signer(rng: &mut Rng, key: &Key) -> Signer {
    let role = Role::try_from(1 + i32::try_from(rng.below(19)).unwrap()).unwrap();
    let purpose = Purpose::try_from(2 + i32::try_from(rng.below(4)).unwrap()).unwrap();
    Signer { party: party(rng), kid: key.id(), role, purpose }
}

fn claims(rng: &mut Rng, issuer: &Key) -> Claims {
    let mut claims = Claims {
        issuer: party(rng),
        subject: subject(rng),
        ledger: LedgerId(rng.bytes()),
        expires_s: rng.number(),
        issued_s: rng.number(),
        nonce: rng.bytes(),
        signers: Vec::new(),
    };
    if rng.once_in(2) {
        let mut own = signer(rng, issuer);
        (own.party, own.purpose) = (claims.issuer.clone(), Purpose::Issue);
        claims.signers = vec![own];
        for number in 0..=rng.below(15) {
            let other = signer(rng, &Key::named(&format!("hostile {number}")));
            claims.signers.push(other);
        }
    }
    claims
}

fn event(rng: &mut Rng) -> Event {
    let descriptor = descriptors().get_message_by_name("ledger.v1.Event").unwrap();
    let bytes = generate::bytes(&descriptor, rng);
    let mut event: Event = message::decode("event", &bytes.into()).unwrap();
    event.prior = if rng.once_in(2) { Bytes::new() } else { rng.bytes::<32>().to_vec().into() };
    if event.act.is_none() { ledger_fixtures::summary() } else { event }
}

fn some_draft(rng: &mut Rng) -> Draft {
    let issuer = Key::named("hostile issuer");
    Draft::new(issuer.id(), claims(rng, &issuer), &event(rng))
}

fn entry(rng: &mut Rng) -> Vec<u8> {
    let draft = some_draft(rng);
    let cosignatures: Vec<_> = draft.cosigners().map(|_| rng.bytes()).collect();
    draft.seal(&cosignatures, &rng.bytes()).unwrap().bytes().to_vec()
}

/// From what the decoder understood, never from the bytes that it kept.
fn entry_again(bytes: &Bytes) -> Result<Vec<u8>, Malformed> {
    let entry = Entry::decode(bytes.clone())?;
    let mut signatures: Vec<[u8; 64]> = entry.signatures().map(|signed| signed.signature).collect();
    let outer = signatures.pop().unwrap();
    let draft = Draft::new(entry.kid(), entry.claims().clone(), entry.event());
    let again = draft.seal(&signatures, &outer).unwrap();
    assert_eq!(again.id(), entry.id());
    assert!(again.signatures().eq(entry.signatures()));
    Ok(again.bytes().to_vec())
}

/// The two parts of a draft, the first behind its length.
fn draft(rng: &mut Rng) -> Vec<u8> {
    joined(&some_draft(rng))
}

fn joined(draft: &Draft) -> Vec<u8> {
    let body = draft.body();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&length, body.as_slice(), draft.payload()].concat()
}

fn draft_again(bytes: &Bytes) -> Result<Vec<u8>, Malformed> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(bytes.to_vec()) };
    let body = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (body, payload) = rest.split_at(body);
    let read = Draft::from_parts(body, payload.to_vec())?;
    assert_eq!(read.body(), body);
    assert_eq!(read.payload(), payload);
    let mut again = joined(&read);
    again.splice(..2, *length);
    Ok(again)
}

fn header(rng: &mut Rng) -> Header {
    Header {
        protocol_version: rng.bytes::<4>().into_iter().fold(0, |n, b| n << 8 | u32::from(b)),
        ledger: LedgerId(rng.bytes()),
        height: rng.number(),
        previous: rng.bytes(),
        time_ms: rng.number(),
        proposer: KeyId(rng.bytes()),
        tree_size: rng.number(),
        tree_root: rng.bytes(),
        state_root: rng.bytes(),
        validators: rng.bytes(),
        next_validators: rng.bytes(),
    }
}

fn certificate(rng: &mut Rng) -> Certificate {
    let mut signatures: Vec<_> =
        (0..rng.below(6)).map(|_| (KeyId(rng.bytes()), rng.bytes())).collect();
    signatures.sort_unstable();
    let (height, block) = (rng.number(), BlockHash(rng.bytes()));
    Certificate { height, round: rng.bytes::<1>()[0].into(), block, signatures }
}

fn body(rng: &mut Rng) -> Body {
    let entries = (0..rng.below(5)).map(|_| rng.some_bytes(300).into()).collect();
    Body { header: header(rng), entries }
}

fn block(rng: &mut Rng) -> Block {
    Block { body: body(rng), certificate: certificate(rng) }
}

fn genesis(rng: &mut Rng) -> Vec<u8> {
    let powers: Vec<u32> = (0..=rng.below(4)).map(|_| 1 + u32::from(rng.bytes::<1>()[0])).collect();
    let (genesis, _) = World::message("hostile", &powers, |genesis| {
        genesis.name = format!("{} 数据", rng.word());
        genesis.start_ms = rng.word().max(1);
        genesis.documents = vec![rng.bytes::<32>().to_vec().into()];
    });
    message::encode(&genesis)
}

fn validators(rng: &mut Rng) -> Vec<u8> {
    let powers: Vec<u32> = (0..=rng.below(5)).map(|_| 1 + u32::from(rng.bytes::<1>()[0])).collect();
    message::encode(&World::message("hostile", &powers, |_| {}).0.validators.unwrap())
}

fn checkpoint(rng: &mut Rng) -> Checkpoint {
    Checkpoint {
        origin: format!("log.example/{}", rng.word()),
        size: rng.number(),
        root: rng.bytes(),
    }
}

fn note(rng: &mut Rng) -> Note {
    let signatures = (0..=rng.below(4)).map(|_| {
        let (key, time) = (rng.bytes(), rng.number());
        match rng.below(3) {
            0 => NoteSignature::log("log.example", &key, &rng.bytes()),
            1 => NoteSignature::cosigner("w.example", &key, time, &rng.bytes()),
            _ => NoteSignature {
                name: "陌生人".to_owned(),
                key_id: rng.bytes(),
                signature: [vec![1], rng.some_bytes(80)].concat(),
            },
        }
    });
    let signatures = signatures.collect();
    let text = ["\n".repeat(rng.below(3)), checkpoint(rng).text(), "é\n".repeat(rng.below(2))];
    Note { text: text.concat(), signatures }
}

/// Notes are text: bytes that are not are replaced, which nobody needs to write again.
fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn receipt(rng: &mut Rng) -> Receipt {
    Receipt {
        ledger: LedgerId(rng.bytes()),
        kid: KeyId(rng.bytes()),
        tree_size: rng.number(),
        leaf_index: rng.number(),
        path: (0..rng.below(64)).map(|_| rng.bytes()).collect(),
        signature: rng.bytes(),
    }
}

fn some_frame(rng: &mut Rng) -> Vec<u8> {
    let kinds = [FrameKind::Genesis, FrameKind::Block, FrameKind::Record, FrameKind::End];
    frame(*rng.pick(&kinds), &rng.some_bytes(300))
}

fn frame_again(bytes: &Bytes) -> Result<Vec<u8>, Malformed> {
    let short = || Malformed::new(ledger_format::malformed::Kind::Truncated, "frame", "");
    let (head, rest) = bytes.split_first_chunk().ok_or_else(short)?;
    let (payload, checksum) = rest.split_last_chunk().ok_or_else(short)?;
    let head = FrameHead::decode(*head)?;
    if head.length != payload.len() {
        return Err(short());
    }
    head.check(payload, *checksum)?;
    Ok(frame(head.kind, payload))
}

fn proof(rng: &mut Rng) -> Vec<u8> {
    let descriptor = descriptors().get_message_by_name("ledger.v1.ProofFile").unwrap();
    loop {
        let bytes = generate::bytes(&descriptor, rng).into();
        let file: ledger_event::ProofFile = message::decode("proof file", &bytes).unwrap();
        if let (Some(anchor), Some(statement)) = (file.anchor, file.statement) {
            return proof_file::encode(anchor, statement);
        }
    }
}

fn proof_again(bytes: &Bytes) -> Result<Vec<u8>, Malformed> {
    let (anchor, statement) = proof_file::decode(bytes)?;
    Ok(proof_file::encode(anchor, statement))
}

// --- Properties ----------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(seed: u64) {
        let mut rng = Rng(seed);
        for format in FORMATS {
            let bytes = (format.make)(&mut rng);
            let again = (format.again)(&bytes.clone().into());
            prop_assert_eq!(again, Ok(bytes), "{}", format.name);
        }
    }

    /// Spoiled in up to four places: refused, or the one encoding of other content.
    #[test]
    fn what_is_read_is_canonical(seed: u64) {
        let mut rng = Rng(seed);
        for format in FORMATS {
            let made = (format.make)(&mut rng);
            for _ in 0..20 {
                let mut bytes = made.clone();
                rng.mutate(&mut bytes, 4);
                assert_same_or_refused(format, &bytes);
            }
        }
    }

    #[test]
    fn noise_is_read_or_refused(noise: Vec<u8>) {
        for format in FORMATS {
            assert_same_or_refused(format, &noise);
        }
    }

    /// Noise behind a good beginning, which gets further.
    #[test]
    fn noise_behind_a_good_beginning(seed: u64, noise: Vec<u8>) {
        let mut rng = Rng(seed);
        for format in FORMATS {
            let mut bytes = (format.make)(&mut rng);
            bytes.truncate(rng.below(bytes.len() + 1));
            bytes.extend(&noise);
            assert_same_or_refused(format, &bytes);
        }
    }
}

#[track_caller]
fn assert_same_or_refused(format: &Format, bytes: &[u8]) {
    let utf8 = std::str::from_utf8(bytes).is_ok() || !matches!(format.name, "note" | "checkpoint");
    if let Ok(again) = (format.again)(&Bytes::copy_from_slice(bytes))
        && utf8
    {
        assert_eq!(again, bytes, "{}", format.name);
    }
}

/// One valid sample of each format, every single bit of it.
#[test]
fn every_flipped_bit_is_refused_or_other_content() {
    for format in FORMATS {
        let made = (format.make)(&mut Rng(7));
        for bit in 0..made.len() * 8 {
            let mut bytes = made.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_same_or_refused(format, &bytes);
        }
    }
}
