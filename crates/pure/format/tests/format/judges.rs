//! Other people's readers judge our bytes, and theirs come to us.
//!
//! `coset` reads COSE and CWT, `signed_note` and `tlog_tiles` read C2SP notes, checkpoints and inclusion proofs. What a public tool
//! checks of an entry is its outer signature; of the co-signatures none of them knows.

use base64ct::{Base64, Encoding as _};
use coset::cbor::Value;
use coset::cwt::{ClaimName, ClaimsSet, Timestamp};
use coset::iana::{Algorithm, EnumI64 as _};
use coset::{
    AsCborValue as _, CborSerializable as _, ContentType, CoseSign1, Label,
    RegisteredLabelWithPrivate, TaggedCborSerializable as _,
};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use ledger_fixtures::Key;
use ledger_format::entry::{CONTENT_TYPE_V1, Draft, Entry};
use ledger_format::note::{
    Checkpoint, Note, NoteKeyKind, NoteSignature, cosignature_message, key_id, verifier_key,
};
use ledger_format::receipt::Receipt;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::tlog;

use crate::samples::{chain, cosigners, issuer, joint, single};

fn dalek(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let signature = Signature::from_slice(signature).unwrap();
    VerifyingKey::from_bytes(key).unwrap().verify(message, &signature).is_ok()
}

mod cose {
    use super::*;

    fn read(bytes: &[u8]) -> CoseSign1 {
        let read = CoseSign1::from_tagged_slice(bytes).unwrap();
        assert_eq!(read.clone().to_tagged_vec().unwrap(), bytes, "written again");
        assert!(read.unprotected.is_empty() || read.payload.is_none(), "only receipts have one");
        read
    }

    fn label(read: &CoseSign1, label: i64) -> &Value {
        let header = &read.protected.header.rest;
        header
            .iter()
            .find(|(found, _)| *found == Label::Int(label))
            .map(|(_, value)| value)
            .unwrap()
    }

    /// The same bytes under the outer signature, and a signature that an ordinary verifier accepts.
    #[test]
    fn an_entry_is_a_cose_sign1() {
        for entry in [single(), joint()] {
            let read = read(entry.bytes());
            let header = &read.protected.header;
            assert_eq!(header.alg, Some(RegisteredLabelWithPrivate::Assigned(Algorithm::EdDSA)));
            assert_eq!(header.content_type, Some(ContentType::Text(CONTENT_TYPE_V1.into())));
            assert_eq!(header.key_id, entry.kid().as_bytes());
            assert!(header.crit.is_empty());
            assert_eq!(read.payload.as_deref(), Some(&entry.payload()[..]));

            let outer = entry.signatures().last().unwrap();
            assert_eq!(read.tbs_data(b""), outer.message);
            read.verify_signature(b"", |signature, message| {
                assert!(dalek(&issuer().public(), message, signature));
                Ok::<_, ()>(())
            })
            .unwrap();
        }
    }

    #[test]
    fn its_claims_are_a_cwt() {
        for entry in [single(), joint()] {
            let claims =
                ClaimsSet::from_cbor_value(label(&read(entry.bytes()), 15).clone()).unwrap();
            let own = entry.claims();
            assert_eq!(claims.issuer.as_deref(), Some(own.issuer.as_str()));
            assert_eq!(claims.subject.as_deref(), Some(own.subject.as_str()));
            assert_eq!(claims.audience, Some(own.ledger.to_string()));
            let seconds = |s: u64| Some(Timestamp::WholeSeconds(i64::try_from(s).unwrap()));
            assert_eq!(claims.expiration_time, seconds(own.expires_s));
            assert_eq!(claims.issued_at, seconds(own.issued_s));
            assert_eq!(claims.not_before, None);
            assert_eq!(claims.cwt_id.as_deref(), Some(&own.nonce[..]));
            let private: Vec<_> = claims.rest.iter().map(|(name, _)| name.clone()).collect();
            let expected =
                if own.signers.is_empty() { vec![] } else { vec![ClaimName::PrivateUse(-65_537)] };
            assert_eq!(private, expected);
        }
    }

    /// From docs/spec/signature.md alone: the header without its last label, under a context of its own.
    #[test]
    fn a_cosignature_is_over_the_header_without_cosignatures() {
        let entry = joint();
        let mut without = read(entry.bytes()).protected.header;
        without.rest.retain(|(label, _)| *label != Label::Int(-65_537));
        let body = without.to_vec().unwrap();
        let to_be_signed = Value::Array(vec![
            Value::Text("LedgerCosignature1".into()),
            Value::Bytes(body.clone()),
            Value::Bytes(entry.payload().to_vec()),
        ]);
        let to_be_signed = to_be_signed.to_vec().unwrap();
        let draft = Draft::new(entry.kid(), entry.claims().clone(), entry.event());
        assert_eq!((draft.body(), draft.cosign_message()), (body, to_be_signed.clone()));
        let signatures: Vec<_> = entry.signatures().collect();
        for (key, signed) in cosigners().iter().zip(&signatures) {
            assert_eq!(signed.message, to_be_signed);
            assert!(dalek(&key.public(), &to_be_signed, &signed.signature));
        }
        assert_eq!(signatures.len(), 3);
    }

    /// COSE that another library wrote is an entry, when it writes what docs/spec/entry.md says.
    #[test]
    fn an_entry_by_another_library_is_read() {
        let ours = joint();
        let protected = read(ours.bytes()).protected.header;
        let theirs = coset::CoseSign1Builder::new()
            .protected(protected)
            .payload(ours.payload().to_vec())
            .create_signature(b"", |message| issuer().sign(message).to_vec())
            .build()
            .to_tagged_vec()
            .unwrap();
        assert_eq!(Entry::decode(theirs.into()), Ok(ours));
    }

    #[test]
    fn a_receipt_is_a_cose_sign1_with_a_detached_root() {
        let chain = chain();
        let entry = Entry::decode(chain.blocks[1].body.entries[1].clone()).unwrap();
        let root = chain.header_at(2).tree_root;
        for (number, keys) in chain.world.validators.iter().enumerate() {
            let receipt = chain.receipt(2, &entry.id(), number);
            let read = read(&receipt.encode());
            assert_eq!(read.payload, None);
            let to_be_signed = read.tbs_detached_data(&root, b"");
            let own = Receipt::signed_message(&receipt.ledger, &receipt.kid, &root);
            assert_eq!(to_be_signed, own);
            assert!(dalek(&keys.receipt.public(), &to_be_signed, &read.signature));
            assert_eq!(label(&read, 395), &Value::from(1));
            let issuer = ClaimsSet::from_cbor_value(label(&read, 15).clone()).unwrap().issuer;
            assert_eq!(issuer, Some(chain.world.genesis.id().to_string()));
            assert_proof(&read, &receipt, &entry, root);
        }
    }

    /// The proof in the unprotected header, verified by `tlog_tiles`.
    fn assert_proof(read: &CoseSign1, receipt: &Receipt, entry: &Entry, root: [u8; 32]) {
        let [(Label::Int(396), Value::Map(proofs))] = read.unprotected.rest.as_slice() else {
            panic!("{:?}", read.unprotected)
        };
        let [(kind, Value::Array(inclusions))] = proofs.as_slice() else { panic!("{proofs:?}") };
        assert_eq!(kind, &Value::from(-1));
        let [Value::Bytes(proof)] = inclusions.as_slice() else { panic!("{inclusions:?}") };
        let Value::Array(parts) = Value::from_slice(proof).unwrap() else { panic!("{proof:?}") };
        let number = |value: &Value| u64::try_from(value.as_integer().unwrap()).unwrap();
        assert_eq!(number(&parts[0]), receipt.tree_size);
        assert_eq!(number(&parts[1]), receipt.leaf_index);
        let hash =
            |value: &Value| tlog::Hash(value.as_bytes().unwrap().as_slice().try_into().unwrap());
        let path: Vec<_> = parts[2].as_array().unwrap().iter().map(hash).collect();
        let leaf = tlog::record_hash(entry.bytes());
        assert_eq!(leaf.0, entry.id().0);
        let check = |index: u64| {
            tlog::check_record(&path, receipt.tree_size, tlog::Hash(root), index, leaf).is_ok()
        };
        assert!(check(receipt.leaf_index));
        assert!(!check(receipt.leaf_index ^ 1));
    }

    #[test]
    fn numbers_of_the_registries() {
        assert_eq!(Algorithm::EdDSA.to_i64(), -8);
        assert_eq!(coset::iana::CwtClaimName::Cti.to_i64(), 7);
    }
}

mod c2sp {
    use super::*;

    /// The example of C2SP signed-note.
    const SPEC_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const SPEC_NOTE: &str = "This is an example message.\n\n\
        — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    /// The example of golang.org/x/mod/sumdb/note, by two keys.
    const GO_KEYS: [&str; 2] = [
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
    ];
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n\
        — EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    /// A checkpoint that a public log of Certificate Transparency signed and its witnesses cosigned, with the log's key and that
    /// of one witness. The first line is a signature of another kind by the same name.
    const REAL_LOG: &str = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
    const REAL_WITNESS: &str =
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
    const REAL_NOTE: &str = "arche2025h1.staging.ct.transparency.dev\n\
        1432088532\n\
        U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n\
        — arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
        — arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
        — transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==\n\
        — witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==\n\
        — remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
        — witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n";

    /// Name, kind and key of an encoded verifier key.
    fn parse(vkey: &str) -> (&str, NoteKeyKind, [u8; 32]) {
        let mut parts = vkey.splitn(3, '+');
        let (name, _, key) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let typed = Base64::decode_vec(key).unwrap();
        let kind = match typed[0] {
            1 => NoteKeyKind::Log,
            4 => NoteKeyKind::Cosigner,
            other => panic!("kind {other}"),
        };
        (name, kind, typed[1..].try_into().unwrap())
    }

    /// The one line of a note that is by a key, and whether its signature is valid.
    fn verified(note: &Note, vkey: &str) -> bool {
        let (name, kind, key) = parse(vkey);
        let id = key_id(name, kind, &key);
        let by = |line: &&NoteSignature| line.name == name && line.key_id == id;
        let lines: Vec<_> = note.signatures.iter().filter(by).collect();
        let [line] = lines.as_slice() else { panic!("{} lines", lines.len()) };
        match kind {
            NoteKeyKind::Log => dalek(&key, note.text.as_bytes(), &line.signature),
            NoteKeyKind::Cosigner => {
                let (time, signature) = line.cosignature().unwrap();
                dalek(&key, &cosignature_message(time, &note.text), &signature)
            }
        }
    }

    #[test]
    fn published_notes_are_read_and_verified() {
        let published = [
            (SPEC_NOTE, vec![SPEC_KEY]),
            (GO_NOTE, GO_KEYS.to_vec()),
            (REAL_NOTE, vec![REAL_LOG, REAL_WITNESS]),
        ];
        for (text, keys) in published {
            let note = Note::decode(text).unwrap();
            assert_eq!(note.encode(), text);
            for vkey in keys {
                assert!(verified(&note, vkey), "{vkey}");
                let (name, kind, key) = parse(vkey);
                assert_eq!(verifier_key(name, kind, &key), vkey);
                let other = Note { text: format!("{}x\n", note.text), ..note.clone() };
                assert!(!verified(&other, vkey), "{vkey}");
            }
        }
        let checkpoint = Checkpoint::decode(&Note::decode(REAL_NOTE).unwrap().text).unwrap();
        assert_eq!(checkpoint.size, 1_432_088_532);
        assert_eq!(checkpoint.origin, "arche2025h1.staging.ct.transparency.dev");
    }

    /// The worked example of C2SP tlog-cosignature, whose keys are not published: its form alone.
    #[test]
    fn the_example_of_a_cosigned_checkpoint_is_read() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let note = Note::decode(text).unwrap();
        assert_eq!(note.encode(), text);
        assert_eq!(note.signatures[0].cosignature(), None);
        let (time, _) = note.signatures[1].cosignature().unwrap();
        assert_eq!(time, 1_679_315_147);
        let message = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
            CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(cosignature_message(time, &note.text), message.as_bytes());
    }

    fn checkpoint() -> (Checkpoint, Note, Key, Key) {
        let root = *chain().leaves().last().unwrap();
        let checkpoint = Checkpoint { origin: "ledger.example/log".into(), size: 5, root };
        let (log, witness) = (Key::named("log"), Key::named("witness"));
        let text = checkpoint.text();
        let cosigned = witness.sign(&cosignature_message(1_782_864_000, &text));
        let signatures = vec![
            NoteSignature::log(&checkpoint.origin, &log.public(), &log.sign(text.as_bytes())),
            NoteSignature::cosigner("witness.example", &witness.public(), 1_782_864_000, &cosigned),
        ];
        (checkpoint, Note { text, signatures }, log, witness)
    }

    /// A whole checkpoint of ours under `signed_note` and `tlog_tiles`.
    #[test]
    fn our_checkpoints_are_read_and_verified_by_others() {
        let (checkpoint, note, log, witness) = checkpoint();
        let encoded = note.encode();
        let theirs = signed_note::Note::from_bytes(encoded.as_bytes()).unwrap();
        assert_eq!(theirs.to_bytes(), encoded.as_bytes());
        let vkey = verifier_key(&checkpoint.origin, NoteKeyKind::Log, &log.public());
        let verifier = StandardVerifier::new(&vkey).unwrap();
        let (good, unknown) = theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        assert_eq!((good.len(), unknown.len()), (1, 1));
        assert_eq!(unknown[0].name(), "witness.example");
        let vkey = verifier_key("witness.example", NoteKeyKind::Cosigner, &witness.public());
        assert!(verified(&Note::decode(&encoded).unwrap(), &vkey));

        let head = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        assert_eq!((head.origin(), head.size()), (checkpoint.origin.as_str(), checkpoint.size));
        assert_eq!((head.hash().0, head.extension()), (checkpoint.root, ""));
        assert_eq!(head.to_bytes(), note.text.as_bytes());
    }

    /// Every single-byte change to a checkpoint: whoever still reads it, nobody accepts its signature.
    #[test]
    fn no_changed_checkpoint_is_verified() {
        let (checkpoint, note, log, _) = checkpoint();
        let encoded = note.encode().into_bytes();
        let vkey = verifier_key(&checkpoint.origin, NoteKeyKind::Log, &log.public());
        // The witness's line is not covered by the log's signature.
        let covered = encoded.windows(4).rposition(|w| w == "\n—".as_bytes()).unwrap();
        for at in 0..covered {
            let mut changed = encoded.clone();
            changed[at] ^= 1;
            let (name, kind, key) = parse(&vkey);
            let id = key_id(name, kind, &key);
            let ours = std::str::from_utf8(&changed).ok().and_then(|text| Note::decode(text).ok());
            let accepted = ours.is_some_and(|note| {
                let mut lines = note.signatures.iter();
                lines.any(|line| {
                    let known =
                        line.name == name && line.key_id == id && line.signature.len() == 64;
                    known && dalek(&key, note.text.as_bytes(), &line.signature)
                })
            });
            assert!(!accepted, "byte {at}");
        }
    }

    /// What `signed_note` reads we read, and the other way round, on spoiled notes.
    #[test]
    fn readers_agree_on_what_a_note_is() {
        let mut rng = ledger_fixtures::Rng(31);
        let (_, note, _, _) = checkpoint();
        let (mut read, mut refused) = (0, 0);
        for base in [note.encode(), GO_NOTE.to_owned(), REAL_NOTE.to_owned()] {
            for _ in 0..4_000 {
                let mut bytes = base.clone().into_bytes();
                rng.mutate(&mut bytes, 3);
                let theirs = signed_note::Note::from_bytes(&bytes).is_ok();
                let ours = std::str::from_utf8(&bytes).is_ok_and(|text| Note::decode(text).is_ok());
                assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&bytes));
                if ours { read += 1 } else { refused += 1 }
            }
        }
        assert!(read > 1_000 && refused > 1_000, "{read} and {refused}");
    }
}
