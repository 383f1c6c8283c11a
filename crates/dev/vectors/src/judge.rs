//! What the ledger's own crates say of a vector, from its JSON alone.

use bytes::Bytes;
use ledger_client::chain;
use ledger_client::content::ReadFile;
use ledger_event::proof_file::Statement;
use ledger_event::{RecordProof, StateProof, Timeline};
use ledger_fixtures::messages;
use ledger_format::commitment::Opening;
use ledger_format::digest::{BlockHash, EntryId, Hash, KeyId, LedgerId, hex};
use ledger_format::entry::{Draft, Entry};
use ledger_format::evidence::{Evidence, EvidenceFile};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::malformed::Malformed;
use ledger_format::note::{Checkpoint, Note, NoteKeyKind, cosignature_message, key_id};
use ledger_format::receipt::Receipt;
use ledger_format::vote::{Certificate, VoteStep, proposal_bytes, vote_bytes};
use ledger_merkle::log::{Frontier, verify_consistency, verify_inclusion};
use ledger_merkle::trie::Trie;
use ledger_verify::block::check_certificate;
use ledger_verify::entry::check_signatures;
use ledger_verify::evidence::verify_evidence_file;
use ledger_verify::finding::{Place, Refuted};
use ledger_verify::proof::{check_receipt, check_record, check_timeline, verify_proof_file};
use ledger_verify::signature::{self, PublicKey};
use ledger_verify::verdict::Verdict;
use serde_json::{Value, json};

/// What is said of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `good`, `malformed`, `refuted`, `not determined` or `trust not met`.
    pub result: String,
    /// The stable code; empty for good ones.
    pub code: String,
    /// What a good one decodes or leads to; for a refuted one the place, as far as it is known.
    pub output: Value,
    /// The reason in words, for whoever reads a failed test. It stands in no file: what is frozen are formats, not words.
    pub reason: String,
}

/// Why a vector is not good.
enum Bad {
    Verdict(Verdict),
    /// A check that has no code of its own in reports.
    Wrong(String),
}

impl From<Verdict> for Bad {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl From<Malformed> for Bad {
    fn from(malformed: Malformed) -> Self {
        Self::Verdict(malformed.into())
    }
}

impl From<Refuted> for Bad {
    fn from(refuted: Refuted) -> Self {
        Self::Verdict(refuted.into())
    }
}

fn wrong(error: impl std::fmt::Display) -> Bad {
    Bad::Wrong(error.to_string())
}

type Judged = Result<Value, Bad>;

/// Judges the input of a vector.
pub fn judge(kind: &str, input: &Value) -> Outcome {
    let judged = match kind {
        "certificate" => certificate(input),
        "chain-file" => chain_file(input),
        "checkpoint" => checkpoint(input),
        "commitment" => Ok(commitment(input)),
        "consistency" => consistency(input),
        "delivery" => Ok(delivery(input)),
        "evidence" => evidence(input),
        "enrolment" => enrolment(input),
        "entry" => entry(input),
        "genesis" => genesis(input),
        "header" => header(input),
        "inclusion" => inclusion(input),
        "log-root" => Ok(log_root(input)),
        "message" => message(input),
        "proof-file" => proof_file(input),
        "receipt" => receipt(input),
        "record-proof" => record_proof(input),
        "signature" => signature(input),
        "state-root" => Ok(state_root(input)),
        "timeline" => timeline(input),
        "proposal" => Ok(proposal(input)),
        "vote" => Ok(vote(input)),
        other => panic!("no such kind: {other}"),
    };
    let outcome = |result: &str, code: &str, output, reason| {
        let (result, code) = (result.to_owned(), code.to_owned());
        Outcome { result, code, output, reason }
    };
    match judged {
        Ok(output) => outcome("good", "", output, String::new()),
        Err(Bad::Wrong(reason)) => outcome("refuted", "", json!({}), reason),
        Err(Bad::Verdict(verdict)) => {
            let place = match &verdict {
                Verdict::Refuted(refuted) => place(&refuted.place),
                _ => json!({}),
            };
            outcome(verdict.word(), verdict.code().unwrap_or_default(), place, verdict.reason())
        }
    }
}

/// Where a finding is, without what is not known.
fn place(place: &Place) -> Value {
    let Place { height, entry, leaf, record } = place;
    let mut known = serde_json::Map::new();
    let parts = [
        ("height", height.map(Value::from)),
        ("leaf", leaf.map(Value::from)),
        ("entry", entry.map(|entry| entry.to_string().into())),
        ("record", record.clone().map(Value::from)),
    ];
    known.extend(parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))));
    known.into()
}

// --- reading JSON --------------------------------------------------------------------------------------------------------

fn unhex(value: &Value) -> Bytes {
    let text = value.as_str().expect("a string of hex digits");
    base16ct::lower::decode_vec(text).expect("lower-case hex digits").into()
}

fn bytes(input: &Value, name: &str) -> Bytes {
    unhex(&input[name])
}

fn fixed<const N: usize>(input: &Value, name: &str) -> [u8; N] {
    bytes(input, name).as_ref().try_into().expect("the right number of bytes")
}

fn number(input: &Value, name: &str) -> u64 {
    input[name].as_u64().expect("a number")
}

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input[name].as_str().expect("a text")
}

fn list<'a>(input: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    input[name].as_array().expect("a list").iter()
}

fn hashes(input: &Value, name: &str) -> Vec<Hash> {
    list(input, name).map(|hash| unhex(hash).as_ref().try_into().expect("32 bytes")).collect()
}

/// A decoder that has read its bytes must write them again.
fn again(written: &[u8], read: &[u8]) {
    assert_eq!(written, read, "what was decoded does not encode to the same bytes");
}

// --- kinds ---------------------------------------------------------------------------------------------------------------

fn entry(input: &Value) -> Judged {
    let bytes = bytes(input, "bytes");
    let entry = Entry::decode(bytes.clone())?;
    again(&sealed_again(&entry), &bytes);
    let keys: Vec<[u8; 32]> =
        list(input, "keys").map(|key| unhex(key).as_ref().try_into().expect("a key")).collect();
    check_signatures(&entry, |kid| keys.iter().find(|key| KeyId::of(key) == *kid).copied())?;
    let claims = entry.claims();
    let signers = claims.signers.iter().map(|signer| {
        json!({
            "party": signer.party, "kid": signer.kid.to_string(),
            "role": i32::from(signer.role), "purpose": i32::from(signer.purpose),
        })
    });
    let signed = entry.signatures().map(|signed| {
        json!({ "kid": signed.kid.to_string(), "message": hex(&signed.message), "signature": hex(&signed.signature) })
    });
    Ok(json!({
        "id": entry.id().to_string(), "kid": entry.kid().to_string(), "issuer": claims.issuer,
        "subject": claims.subject.as_str(), "ledger": claims.ledger.to_string(),
        "expires": claims.expires_s, "issued": claims.issued_s, "cti": hex(&claims.nonce),
        "signers": signers.collect::<Vec<_>>(), "payload": hex(entry.payload()),
        "signatures": signed.collect::<Vec<_>>(),
    }))
}

/// An entry, made once more of what was read of it.
fn sealed_again(entry: &Entry) -> Bytes {
    let draft = Draft::new(entry.kid(), entry.claims().clone(), entry.event());
    let mut signatures: Vec<[u8; 64]> = entry.signatures().map(|signed| signed.signature).collect();
    let outer = signatures.pop().expect("the issuer's signature");
    draft.seal(&signatures, &outer).expect("what was decoded can be sealed").bytes().clone()
}

fn message(input: &Value) -> Judged {
    let (name, bytes) = (text(input, "type"), bytes(input, "bytes"));
    let decode = messages::decoder(name).expect("a message of proto/ledger/v1");
    again(&decode(&bytes)?, &bytes);
    Ok(json!({ "json": messages::json(name, &bytes) }))
}

fn genesis(input: &Value) -> Judged {
    let bytes = bytes(input, "bytes");
    let genesis = GenesisDocument::decode(bytes.clone())?;
    again(&ledger_format::message::encode(genesis.message()), &bytes);
    let members = genesis.validators().members().iter();
    Ok(json!({
        "ledger": genesis.id().to_string(),
        "validators": hex(&genesis.validators().hash()),
        "members": members.map(|member| json!({ "id": member.id.to_string(), "power": member.power })).collect::<Vec<_>>(),
    }))
}

fn header(input: &Value) -> Judged {
    let bytes = bytes(input, "bytes");
    let header = Header::decode(bytes.clone())?;
    again(&header.encode(), &bytes);
    Ok(json!({
        "block": header.hash().to_string(), "leaf": header.leaf().to_string(),
        "protocol_version": header.protocol_version, "ledger": header.ledger.to_string(),
        "height": header.height, "previous": hex(&header.previous), "time_ms": header.time_ms,
        "proposer": header.proposer.to_string(), "tree_size": header.tree_size,
        "tree_root": hex(&header.tree_root), "state_root": hex(&header.state_root),
        "validators": hex(&header.validators), "next_validators": hex(&header.next_validators),
    }))
}

/// A number of 32 bits.
fn small(input: &Value, name: &str) -> u32 {
    u32::try_from(number(input, name)).expect("a number of 32 bits")
}

fn vote(input: &Value) -> Value {
    let step = match text(input, "step") {
        "prevote" => VoteStep::Prevote,
        "precommit" => VoteStep::Precommit,
        other => panic!("no such step: {other}"),
    };
    let block = (!input["block"].is_null()).then(|| BlockHash(fixed(input, "block")));
    let ledger = LedgerId(fixed(input, "ledger"));
    let (height, round) = (number(input, "height"), small(input, "round"));
    json!({ "signed": hex(&vote_bytes(&ledger, step, height, round, block.as_ref())) })
}

fn proposal(input: &Value) -> Value {
    let (ledger, block) = (LedgerId(fixed(input, "ledger")), BlockHash(fixed(input, "block")));
    let (height, round) = (number(input, "height"), small(input, "round"));
    let valid_round = (!input["valid_round"].is_null()).then(|| small(input, "valid_round"));
    json!({ "signed": hex(&proposal_bytes(&ledger, height, round, valid_round, &block)) })
}

fn certificate(input: &Value) -> Judged {
    let genesis = GenesisDocument::decode(bytes(input, "genesis"))?;
    let header = Header::decode(bytes(input, "header"))?;
    let bytes = bytes(input, "bytes");
    let certificate = Certificate::decode(bytes.clone())?;
    again(&certificate.encode(), &bytes);
    let support = check_certificate(genesis.validators(), &header, &certificate)?;
    Ok(json!({
        "height": certificate.height, "round": certificate.round, "block": certificate.block.to_string(),
        "signers": support.signers, "power": support.power, "of": support.total,
    }))
}

fn checkpoint(input: &Value) -> Judged {
    let note = Note::decode(text(input, "note"))?;
    assert_eq!(note.encode(), text(input, "note"));
    let checkpoint = Checkpoint::decode(&note.text)?;
    for key in list(input, "keys") {
        let (name, public) = (text(key, "name"), fixed::<32>(key, "public_key"));
        let kind = match text(key, "kind") {
            "log" => NoteKeyKind::Log,
            _ => NoteKeyKind::Cosigner,
        };
        let id = key_id(name, kind, &public);
        let line = note.signatures.iter().find(|line| line.name == name && line.key_id == id);
        let line = line.ok_or_else(|| wrong(format!("no line by {name}")))?;
        let (message, signature) = match line.cosignature() {
            Some((time_s, signature)) if kind == NoteKeyKind::Cosigner => {
                (cosignature_message(time_s, &note.text), signature)
            }
            _ => {
                let signature = line.signature.as_slice().try_into().map_err(wrong)?;
                (note.text.as_bytes().to_vec(), signature)
            }
        };
        signature::verify(&public, &message, &signature).map_err(wrong)?;
    }
    let Checkpoint { origin, size, root } = checkpoint;
    Ok(json!({ "origin": origin, "size": size, "root": hex(&root) }))
}

fn receipt(input: &Value) -> Judged {
    let genesis = GenesisDocument::decode(bytes(input, "genesis"))?;
    let bytes = bytes(input, "bytes");
    let receipt = Receipt::decode(&bytes)?;
    again(&receipt.encode(), &bytes);
    let (leaf, root) = (EntryId(fixed(input, "leaf")), fixed(input, "tree_root"));
    check_receipt(&receipt, genesis.validators(), &genesis.id(), &leaf, &root)?;
    let signed = Receipt::signed_message(&receipt.ledger, &receipt.kid, &root);
    Ok(json!({
        "ledger": receipt.ledger.to_string(), "kid": receipt.kid.to_string(),
        "leaf_index": receipt.leaf_index, "tree_size": receipt.tree_size, "signed": hex(&signed),
    }))
}

fn log_root(input: &Value) -> Value {
    let mut frontier = Frontier::new();
    for leaf in hashes(input, "leaves") {
        frontier.push(leaf);
    }
    json!({ "root": hex(&frontier.root()) })
}

fn inclusion(input: &Value) -> Judged {
    let (leaf, root) = (fixed(input, "leaf"), fixed(input, "root"));
    let (index, size) = (number(input, "index"), number(input, "size"));
    let checked = verify_inclusion(&leaf, index, size, &hashes(input, "path"), &root);
    checked.map(|()| json!({})).map_err(wrong)
}

fn consistency(input: &Value) -> Judged {
    let (from, to) = (number(input, "from_size"), number(input, "to_size"));
    let (before, after) = (fixed(input, "from_root"), fixed(input, "to_root"));
    let checked = verify_consistency(from, &before, to, &after, &hashes(input, "path"));
    checked.map(|()| json!({})).map_err(wrong)
}

fn state_root(input: &Value) -> Value {
    let record = |record: &Value| {
        let key = ledger_format::id::state_key(text(record, "id"));
        (key, bytes(record, "record").to_vec().into_boxed_slice())
    };
    let mut records: Vec<_> = list(input, "records").map(record).collect();
    records.sort();
    let trie = Trie::from_sorted(records).expect("different ids");
    json!({ "root": hex(&trie.tip().root()) })
}

fn record_proof(input: &Value) -> Judged {
    let path = &input["proof"];
    let proof = RecordProof {
        id: text(input, "id").to_owned(),
        record: bytes(input, "record"),
        proof: Some(StateProof {
            leaf_key: bytes(path, "leaf_key"),
            leaf_record: bytes(path, "leaf_record"),
            bits: bytes(path, "bits"),
            siblings: bytes(path, "siblings"),
        }),
    };
    check_record(&proof, number(input, "height"), &fixed(input, "state_root"))?;
    Ok(json!({ "present": !proof.record.is_empty() }))
}

fn timeline(input: &Value) -> Judged {
    let entries: Vec<EntryId> = hashes(input, "entries").into_iter().map(EntryId).collect();
    let (count, head) = (number(input, "count"), bytes(input, "head"));
    let timeline = Timeline { count, head, last: 0 };
    check_timeline(text(input, "id"), &timeline, entries.into_iter())?;
    Ok(json!({}))
}

fn signature(input: &Value) -> Judged {
    let (key, signature) = (fixed(input, "key"), fixed(input, "signature"));
    let checked = signature::verify(&key, &bytes(input, "message"), &signature);
    checked.map(|()| json!({})).map_err(wrong)
}

fn enrolment(input: &Value) -> Judged {
    PublicKey::enrol(&fixed(input, "key")).map(|_key| json!({})).map_err(wrong)
}

fn proof_file(input: &Value) -> Judged {
    let entry = (!input["entry"].is_null()).then(|| bytes(input, "entry"));
    let trust = LedgerId(fixed(input, "trust"));
    let file = bytes(input, "bytes");
    let report = verify_proof_file(&file, entry.as_ref(), &trust);
    if report.verdict != Verdict::Proven {
        return Err(report.verdict.into());
    }
    let (anchor, statement) = ledger_format::proof_file::decode(&file)?;
    again(&ledger_format::proof_file::encode(anchor, statement.clone()), &file);
    Ok(match statement {
        Statement::Entry(proof) => json!({ "entry": hex(&proof.entry_id) }),
        Statement::Record(proof) => {
            json!({ "record": proof.id, "present": !proof.record.is_empty() })
        }
    })
}

fn evidence(input: &Value) -> Judged {
    let trust = LedgerId(fixed(input, "trust"));
    let bytes = bytes(input, "bytes");
    let file = EvidenceFile::decode(bytes.clone())?;
    again(&EvidenceFile::encode(file.genesis.as_ref(), &file.changes, &file.evidence), &bytes);
    let (report, culprits) = verify_evidence_file(&file, None, &trust);
    if report.verdict != Verdict::Proven {
        return Err(report.verdict.into());
    }
    let Evidence { height, offence, .. } = &file.evidence;
    let accused: Vec<String> = culprits.iter().map(|culprit| culprit.key.to_string()).collect();
    Ok(json!({
        "id": file.evidence.id().to_string(), "offence": offence.name(), "height": height,
        "round": offence.round(), "accused": accused,
    }))
}

fn commitment(input: &Value) -> Value {
    let (path, value) = (text(input, "path").to_owned(), text(input, "value").to_owned());
    let opening = Opening { salt: fixed(input, "salt"), path, value };
    json!({ "commitment": hex(&opening.commitment()) })
}

fn delivery(input: &Value) -> Value {
    let content = bytes(input, "content");
    let chunk = small(input, "chunk_bytes");
    let file = ReadFile::read(&mut content.as_ref(), chunk).expect("bytes in memory");
    let batches = small(input, "batches");
    let batch = |batch: &ledger_client::content::Batch| {
        json!({
            "first_chunk": batch.first_chunk, "chunks": batch.chunks, "bytes": batch.bytes,
            "root": hex(&batch.root),
        })
    };
    json!({
        "root": hex(&ledger_client::content::root(&file.chunks)), "sha256": hex(&file.sha256),
        "batches": file.batches(batches).iter().map(batch).collect::<Vec<_>>(),
    })
}

fn chain_file(input: &Value) -> Judged {
    let trust = LedgerId(fixed(input, "trust"));
    let file = bytes(input, "bytes");
    let verified = chain::verify(&mut file.as_ref(), Some(&trust), |_| {}, |_| {});
    let verified = verified.expect("bytes in memory can be read");
    if verified.report.verdict != Verdict::Proven {
        return Err(verified.report.verdict.into());
    }
    let counts = *verified.replay.expect("a proven chain").counts();
    Ok(json!({ "blocks": counts.blocks, "entries": counts.entries, "records": counts.records }))
}
