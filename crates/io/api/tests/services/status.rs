//! The status, for whoever asks all the time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ledger_api::seals::{AskValidators, Refusals, RefusedPeer};
use ledger_event::Clock;
use ledger_format::digest::KeyId;
use ledger_format::validators::Validators;
use ledger_proto::v1::GetStatusRequest;
use ledger_story::{LIMITS, Story, china, members};
use tokio::runtime::Runtime;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::node::{Node, begun, keys_of};

/// Calls beside commits: enough that a status which waits for a writer that waits for it is met within the first hundreds.
const CALLS: usize = 5_000;
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn a_status_that_is_asked_for_beside_commits_holds_nobody_up() {
    let runtime = Runtime::new().unwrap();
    let asked = runtime.block_on(async {
        let node = Node::telling(&begun()).await;
        let (shared, done) = (Arc::clone(&node.shared), Arc::new(AtomicBool::new(false)));
        let writing = Arc::clone(&done);
        // Never joined: where a status holds it up it never ends.
        std::thread::spawn(move || {
            while !writing.load(Ordering::Relaxed) {
                drop(shared.ledger_mut());
            }
        });
        let asking = async {
            let mut client = node.own();
            for _ in 0..CALLS {
                client.get_status(GetStatusRequest {}).await.unwrap();
            }
        };
        let asked = tokio::time::timeout(PATIENCE, asking).await;
        done.store(true, Ordering::Relaxed);
        asked
    });
    // The thread of a call that waits for ever is not waited for.
    runtime.shutdown_background();
    assert!(asked.is_ok(), "a status and a commit wait for each other");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_from_the_first_block_on() {
    let story = begun();
    let node = Node::new(story.genesis.clone()).await;
    let mut health = HealthClient::new(node.channel());
    let mut watches = Vec::new();
    for service in ["", "Submit", "Query", "Audit"] {
        let service =
            if service.is_empty() { String::new() } else { format!("ledger.v1.{service}Service") };
        watches.push(health.watch(HealthCheckRequest { service }).await.unwrap().into_inner());
    }
    for says in &mut watches {
        assert_eq!(says.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    }
    node.tell(&story);
    for says in &mut watches {
        assert_eq!(says.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    }
}

/// Those that a node is connected with, who give it nothing.
#[derive(Clone, Debug, Default)]
struct Connected(Arc<Mutex<Vec<KeyId>>>);

impl AskValidators for Connected {
    fn ask_for_seal(&self, _: u64, _: &Validators, _: u32, _: &BTreeSet<KeyId>) {}

    fn connected(&self) -> Vec<KeyId> {
        self.0.lock().unwrap().clone()
    }

    fn refused(&self) -> Vec<RefusedPeer> {
        Vec::new()
    }

    fn refusals(&self) -> Vec<Refusals> {
        Vec::new()
    }
}

/// Who is connected, and whether writes are served then.
type Step<'a> = (&'a [KeyId], bool);

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_served_while_those_who_decide_are_within_reach() {
    const SERVICE: &str = "ledger.v1.SubmitService";
    let genesis = members::genesis(Clock::Wall, china("2026-08-03"), LIMITS);
    let story = Story::of(genesis).in_earnest().begun();
    let validators = story.genesis.validators().members();
    let ids: Vec<KeyId> = validators.iter().map(|member| member.id).collect();
    let others = |own: KeyId| ids.iter().copied().filter(move |id| *id != own);
    let own = keys_of("a-").0;
    let quorum: Vec<KeyId> = others(own).take(2).collect();
    let stranger = vec![KeyId([9; 32])];
    // Who is connected with a node, and whether it takes writes: with each list in turn, from nobody on.
    let steps: [(&[&str], bool, [Step<'_>; 3]); 3] = [
        (&["a-"], false, [(&quorum, true), (&quorum[..1], false), (&quorum, true)]),
        // It votes for nothing, and what others pass on may get into a block all the same.
        (&["a-"], true, [(&quorum[..1], true), (&[], false), (&quorum[..1], true)]),
        (&[], false, [(&stranger, true), (&[], false), (&quorum[..1], true)]),
    ];
    for (names, recovers, steps) in steps {
        let patience = Duration::from_millis(100);
        let node = Node::bounded(&story, names, |serving| serving.patience = patience).await;
        node.shared.set_recovering(recovers);
        let connected = Connected::default();
        node.shared.seals.ask_with(connected.clone());
        let mut health = HealthClient::new(node.channel());
        let request = |service: &str| HealthCheckRequest { service: service.to_owned() };
        let mut says = health.watch(request(SERVICE)).await.unwrap().into_inner();
        let mut said = ServingStatus::NotServing;
        assert_eq!(says.message().await.unwrap().unwrap().status(), said, "{names:?}");
        for (near, serves) in steps {
            *connected.0.lock().unwrap() = near.to_vec();
            let expected = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
            if expected != said {
                let change = tokio::time::timeout(PATIENCE, says.message()).await;
                said = change.expect("nothing is said").unwrap().unwrap().status();
            }
            assert_eq!(said, expected, "{names:?}, {recovers}, {near:?}");
            let whole = health.check(request("")).await.unwrap().into_inner();
            assert_eq!(whole.status(), ServingStatus::Serving, "reads are served all the same");
        }
    }
}
