//! A follower answers with signatures of validators, and with nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ledger_api::Shared;
use ledger_api::seals::{AskValidators, Refusals, RefusedPeer, Seal};
use ledger_format::digest::KeyId;
use ledger_format::validators::Validators;
use ledger_proto::v1;
use ledger_story::validator;

use crate::node::{Node, begun, code};

/// A way to validators that answers by a script: the attempt's number says what is wrong with the answer.
#[derive(Debug)]
struct Script {
    validator: Arc<Shared>,
    follower: Arc<Shared>,
    taken: Arc<Mutex<Vec<bool>>>,
}

impl AskValidators for Script {
    fn ask_for_seal(
        &self,
        height: u64,
        validators: &Validators,
        attempt: u32,
        _: &BTreeSet<KeyId>,
    ) {
        assert!(validators.get(&validator()).is_some());
        let (by, good) = self.validator.seal_for_others(height).unwrap().unwrap();
        assert_eq!(by, validator());
        let answers: &[(KeyId, Seal)] = match attempt {
            0 => &[(validator(), Seal { log: flipped(good.log), ..good }), (KeyId([1; 32]), good)],
            1 => &[(validator(), Seal { cosignature: flipped(good.cosignature), ..good })],
            2 => &[(validator(), Seal { receipt: flipped(good.receipt), ..good })],
            _ => &[(validator(), good)],
        };
        for (from, seal) in answers {
            let taken = self.follower.take_seal(height, *from, seal).unwrap();
            self.taken.lock().unwrap().push(taken);
        }
    }

    fn connected(&self) -> Vec<KeyId> {
        Vec::new()
    }

    fn refused(&self) -> Vec<RefusedPeer> {
        Vec::new()
    }

    fn refusals(&self) -> Vec<Refusals> {
        Vec::new()
    }
}

fn flipped(mut signature: [u8; 64]) -> [u8; 64] {
    signature[40] ^= 1;
    signature
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_that_are_not_a_validators_for_that_block_are_not_given_to_anybody() {
    let story = begun();
    let (validator, follower) = (Node::telling(&story).await, Node::following(&story, &[]).await);
    let latest = v1::GetCheckpointRequest { height: story.height };
    let status = follower.audit().get_checkpoint(latest).await.unwrap_err();
    assert_eq!(code(&status).1, "API_UNSIGNED");

    let taken = Arc::new(Mutex::new(Vec::new()));
    follower.shared.seals.ask_with(Script {
        validator: Arc::clone(&validator.shared),
        follower: Arc::clone(&follower.shared),
        taken: Arc::clone(&taken),
    });
    let expected = validator.audit().get_checkpoint(latest).await.unwrap().into_inner();
    let found = follower.audit().get_checkpoint(latest).await.unwrap().into_inner();
    assert_eq!(found, expected);
    assert_eq!(*taken.lock().unwrap(), [false, false, false, false, true]);
    // It is remembered: nobody is asked for the receipts of that block.
    follower.shared.seals.ask_nobody();
    let entry = story.log.iter().find(|logged| logged.height == story.height).unwrap();
    let id = entry.entry.id();
    let request = v1::GetReceiptRequest { entry_id: id.as_bytes().to_vec().into() };
    let expected = validator.audit().get_receipt(request.clone()).await.unwrap().into_inner();
    assert_eq!(follower.audit().get_receipt(request).await.unwrap().into_inner(), expected);
}

/// A node's way to one other node. What comes there is told to those who asked for it, as the node's thread for that does it.
#[derive(Debug)]
struct Neighbour {
    own: (KeyId, Arc<Shared>),
    next: Arc<Shared>,
    asked: Arc<Mutex<Vec<KeyId>>>,
}

impl AskValidators for Neighbour {
    fn ask_for_seal(&self, height: u64, _: &Validators, _: u32, askers: &BTreeSet<KeyId>) {
        let (id, own) = &self.own;
        assert!(!askers.contains(id));
        self.asked.lock().unwrap().push(*id);
        if self.next.seal_for_others(height).unwrap().is_none() {
            self.next.ask_for_others(*id, height).unwrap();
            assert!(self.next.seals.take_askers(height).contains(id));
        }
        let (by, seal) = self.next.seal_for_others(height).unwrap().unwrap();
        assert!(own.take_seal(height, by, &seal).unwrap());
    }

    fn connected(&self) -> Vec<KeyId> {
        vec![KeyId([9; 32])]
    }

    fn refused(&self) -> Vec<RefusedPeer> {
        Vec::new()
    }

    fn refusals(&self) -> Vec<Refusals> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_come_over_followers_and_each_remembers_them() {
    let story = begun();
    let validator = Node::telling(&story).await;
    let (near, far) = (Node::following(&story, &[]).await, Node::following(&story, &[]).await);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let way = |id: u8, own: &Node, next: &Node| Neighbour {
        own: (KeyId([id; 32]), Arc::clone(&own.shared)),
        next: Arc::clone(&next.shared),
        asked: Arc::clone(&asked),
    };
    near.shared.seals.ask_with(way(1, &near, &validator));
    far.shared.seals.ask_with(way(2, &far, &near));
    let latest = v1::GetCheckpointRequest { height: story.height };
    let expected = validator.audit().get_checkpoint(latest).await.unwrap().into_inner();
    for follower in [&far, &far, &near] {
        let found = follower.audit().get_checkpoint(latest).await.unwrap().into_inner();
        assert_eq!(found, expected);
    }
    assert_eq!(*asked.lock().unwrap(), [2, 1].map(|id| KeyId([id; 32])));
}
