//! The status, for whoever asks all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger_proto::v1::GetStatusRequest;
use tokio::runtime::Runtime;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::node::{Node, begun};

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
