//! Validators of which none is left: who signs what, and who counts, is a matter of the height.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::Signer as _;
use ledger_api::seals::{AskValidators, Refusals, RefusedPeer, Seal};
use ledger_api::{NodeKeys, Shared};
use ledger_event::Clock;
use ledger_format::block::{Block, Body};
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::evidence::EvidenceFile;
use ledger_format::header::Header;
use ledger_format::note::{Checkpoint, cosignature_message};
use ledger_format::receipt::Receipt;
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;
use ledger_proto::v1;
use ledger_story::cast::{EXCHANGE, OMNI, REGISTRY};
use ledger_story::members::{genesis, set, validators_changed, voted};
use ledger_story::{LIMITS, Story, acts, china, validator_key_of};
use ledger_verify::evidence::verify_evidence_file;
use ledger_verify::verdict::Verdict;

use crate::node::{Node, code, keys_of};

const BEFORE: [&str; 4] = ["a-", "b-", "c-", "d-"];
const AFTER: [&str; 4] = ["e-", "f-", "g-", "h-"];

fn id(name: &str) -> KeyId {
    keys_of(name).0
}

/// A story up to the block in which the validators agree on others.
fn changed() -> Story {
    let story = Story::of(genesis(Clock::Wall, china("2026-08-03"), LIMITS)).in_earnest().begun();
    let renewed: Vec<(&str, &str)> =
        AFTER.into_iter().zip([EXCHANGE, OMNI, OMNI, EXCHANGE]).collect();
    story.did(&validators_changed(set(&renewed), &[EXCHANGE, REGISTRY, OMNI]))
}

/// And some blocks more.
fn gone_on(mut story: Story, blocks: u64) -> Story {
    for _ in 0..blocks {
        let name = format!("asset-{}", story.height);
        story.take(&acts::asset_described(&name));
    }
    story
}

fn first_of(story: &Story, height: u64) -> EntryId {
    story.log.iter().find(|logged| logged.height == height).unwrap().entry.id()
}

/// What the keys of a name sign of a block, whether or not they are a validator's of that height.
fn seal_by(name: &str, shared: &Shared, height: u64) -> Seal {
    let NodeKeys { log, cosign, receipt } = keys_of(name).1;
    let header = Header::decode(shared.store.header(height).unwrap().unwrap().0).unwrap();
    let origin = shared.genesis.message().origin.clone();
    let text = Checkpoint { origin, size: header.tree_size, root: header.tree_root }.text();
    let kid = KeyId::of(receipt.verifying_key().as_bytes());
    let root = Receipt::signed_message(&shared.genesis.id(), &kid, &header.tree_root);
    Seal {
        log: log.sign(text.as_bytes()).to_bytes(),
        cosignature: cosign.sign(&cosignature_message(header.time_ms / 1000, &text)).to_bytes(),
        receipt: receipt.sign(&root).to_bytes(),
    }
}

/// Whoever is asked gives what the keys of all names sign, those of another set first; and what of it was taken is noted.
#[derive(Debug)]
struct Everybody {
    follower: Arc<Shared>,
    /// Those who can be asked.
    connected: Vec<KeyId>,
    taken: Arc<Mutex<Vec<(&'static str, bool)>>>,
}

impl AskValidators for Everybody {
    fn ask_for_seal(&self, height: u64, validators: &Validators, _: u32, _: &BTreeSet<KeyId>) {
        let of_the_set = |name: &&str| validators.get(&id(name)).is_some();
        let (members, others): (Vec<&str>, Vec<&str>) =
            BEFORE.into_iter().chain(AFTER).partition(of_the_set);
        for name in others.into_iter().chain(members.into_iter().take(1)) {
            let seal = seal_by(name, &self.follower, height);
            let taken = self.follower.take_seal(height, id(name), &seal).unwrap();
            self.taken.lock().unwrap().push((name, taken));
        }
    }

    fn connected(&self) -> Vec<KeyId> {
        self.connected.clone()
    }

    fn refused(&self) -> Vec<RefusedPeer> {
        Vec::new()
    }

    fn refusals(&self) -> Vec<Refusals> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_signed_by_validators_of_its_own_height() {
    let story = gone_on(changed(), 3);
    let follower = Node::following(&story, &[]).await;
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (shared, noted) = (Arc::clone(&follower.shared), Arc::clone(&taken));
    let connected = AFTER.map(id).to_vec();
    follower.shared.seals.ask_with(Everybody { follower: shared, connected, taken: noted });
    let last = story.height;
    for (height, signed, others) in [(4, BEFORE, AFTER), (5, AFTER, BEFORE), (last, AFTER, BEFORE)]
    {
        taken.lock().unwrap().clear();
        let asked = v1::GetCheckpointRequest { height };
        let given = follower.audit().get_checkpoint(asked).await.unwrap().into_inner();
        let expected: Vec<(&str, bool)> =
            others.map(|name| (name, false)).into_iter().chain([(signed[0], true)]).collect();
        assert_eq!(*taken.lock().unwrap(), expected, "height {height}");
        // It is what the validator itself gives.
        let validator = Node::following(&story, &[signed[0]]).await;
        assert_eq!(validator.audit().get_checkpoint(asked).await.unwrap().into_inner(), given);
        // One of the other set signs nothing of that height, and says so to others.
        let other = Node::following(&story, &[others[0]]).await;
        assert_eq!(other.shared.seal_for_others(height).unwrap(), None);
        let status = other.audit().get_checkpoint(asked).await.unwrap_err();
        assert_eq!(code(&status).1, "API_UNSIGNED");
    }
}

fn stored(node: &Node, height: u64) -> Block {
    let stored = node.shared.store.block(height).unwrap().unwrap();
    let header = Header::decode(stored.header).unwrap();
    let certificate = Certificate::decode(stored.certificate).unwrap();
    Block { body: Body { header, entries: stored.entries }, certificate }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_certificate_is_checked_by_the_validators_of_its_own_height() {
    let story = gone_on(changed(), 3);
    let node = Node::following(&story, &[]).await;
    let checked = |block: &Block, known: &mut _| {
        node.shared.check_certified(block, known).map_err(|problem| problem.code)
    };
    // One after the other, and each by itself.
    let mut known = None;
    for height in 1..=story.height {
        let block = stored(&node, height);
        assert_eq!(checked(&block, &mut known), Ok(()), "height {height}");
        assert_eq!(checked(&block, &mut None), Ok(()), "height {height}");
        let mut damaged = block.clone();
        damaged.certificate.signatures[1].1[40] ^= 1;
        let refused = Err("V_CERTIFICATE_SIGNATURE");
        assert_eq!(checked(&damaged, &mut known.clone()), refused, "height {height}");
        assert_eq!(checked(&damaged, &mut None), refused, "height {height}");
    }
    // Signed as it should be, by those of another height.
    let (old, new) = (stored(&node, 4), stored(&node, 5));
    for (block, other) in [(&old, &new), (&new, &old)] {
        let mut moved = block.clone();
        moved.body.header.validators = other.body.header.validators;
        let signers = if block == &old { AFTER } else { BEFORE };
        moved.certificate.block = moved.body.header.hash();
        let message = moved.certificate.signed_bytes(&story.genesis.id());
        let mut signatures = signers
            .map(|name| (id(name), validator_key_of(name, "vote").sign(&message).to_bytes()));
        signatures.sort_unstable_by_key(|(id, _)| *id);
        moved.certificate.signatures = signatures.to_vec();
        // Also when the other set was the last one that was used.
        let mut known = None;
        checked(other, &mut known).unwrap();
        assert_eq!(checked(&moved, &mut known), Err("V_VALIDATORS"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_validators_are_gone_is_proven_at_the_last_block() {
    let story = gone_on(changed(), 3);
    let follower = Node::following(&story, &[]).await;
    let all = AFTER.map(id).to_vec();
    // Where those are in force who signed it, and are not there, others may reach them, if anybody is there.
    let cases = [
        (2, all.clone(), story.height),
        (2, vec![KeyId([9; 32])], story.height),
        (5, Vec::new(), story.height),
        (5, vec![KeyId([9; 32])], 5),
        (5, all, 5),
    ];
    for (height, connected, proven_at) in cases {
        let (shared, taken) = (Arc::clone(&follower.shared), Arc::default());
        follower.shared.seals.ask_with(Everybody { follower: shared, connected, taken });
        let entry_id = first_of(&story, height).as_bytes().to_vec().into();
        let asked = v1::GetReceiptRequest { entry_id };
        let given = follower.audit().get_receipt(asked.clone()).await.unwrap().into_inner();
        assert_eq!(given.height, proven_at);
        if proven_at == height || height == 2 {
            let validator = Node::following(&story, &[AFTER[0]]).await;
            assert_eq!(validator.audit().get_receipt(asked).await.unwrap().into_inner(), given);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_the_next_block_counts_and_nobody_else() {
    let story = changed();
    let node = Node::following(&story, &[]).await;
    let shared = &node.shared;
    let replicas = |height| shared.outcomes.replication.replicas(height);
    // The old set signs one more height. Those who come in are heard already.
    for (name, height) in [("a-", 3), ("e-", 3), ("f-", 2), ("x-", 3)] {
        shared.is_durable_at(id(name), height);
    }
    assert_eq!((replicas(1), replicas(3)), (1, 1));
    let entry_id = first_of(&story, 2).as_bytes().to_vec().into();
    let asked = v1::WaitForRequest {
        entry_id,
        wait_for: v1::Finality::Replicated.into(),
        replicas: 2,
        timeout_ms: 60_000,
    };
    let mut submit = node.submit();
    let waiting = tokio::spawn(async move { submit.wait_for(asked).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    node.tell(&gone_on(story, 1));
    let answered = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    let outcome = answered.unwrap().unwrap().into_inner().outcome.unwrap();
    assert_eq!(outcome.replicas, 2, "{outcome:?}");
    assert_eq!((replicas(2), replicas(3)), (2, 1));
    // Who has left answers for nothing, and who has lost its disk says so.
    shared.is_durable_at(id("a-"), 9);
    assert_eq!(replicas(3), 1);
    shared.is_durable_at(id("e-"), 1);
    assert_eq!((replicas(2), replicas(3)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_shows_whose_key_it_is_whoever_came_in_since_genesis() {
    let story = gone_on(changed(), 3);
    let node = Node::following(&story, &[]).await;
    let trust = story.genesis.id();
    for (name, party) in [("f-", OMNI), ("b-", REGISTRY)] {
        let evidence = voted(trust, name, story.height + 1, [1, 2]);
        let asked = Bytes::copy_from_slice(&evidence.id().0);
        node.shared.evidence.add(evidence, vec![]);
        let asked = node.audit().get_evidence(v1::GetEvidenceRequest { id: asked }).await;
        let file = EvidenceFile::decode(asked.unwrap().into_inner().file).unwrap();
        let (report, culprits) = verify_evidence_file(&file, None, &trust);
        assert_eq!(report.verdict, Verdict::Proven);
        assert_eq!((culprits[0].key, culprits[0].party.as_str()), (id(name), party));
    }
}
