//! A follower answers with signatures of validators, and with nothing else.

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
    fn ask_for_seal(&self, height: u64, validators: &Validators, attempt: u32) {
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
