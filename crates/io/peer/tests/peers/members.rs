//! Validators that come in, leave and take other keys while their nodes are connected.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_format::digest::KeyId;
use ledger_peer::{Audience, By, Certificate, Code, Identity, Lane, Network, Peer, Role, Why};

use crate::node::{Node, id, knowing, settings, validators};

/// The validators, as one node knows them.
type Known = Arc<Mutex<Vec<SigningKey>>>;

fn known(keys: &[&SigningKey]) -> Known {
    Arc::new(Mutex::new(keys.iter().copied().cloned().collect()))
}

/// A node that is to be a validator, with these keys.
async fn node(keys: &[&SigningKey], set: &Known, peers: &[Peer]) -> Node {
    let keys = keys.iter().copied().cloned().collect();
    let identity =
        Identity { keys, role: Role::Validator, certificate: Certificate::fresh().unwrap() };
    let set = Arc::clone(set);
    let members = move |peer: &KeyId| {
        let set = set.lock().unwrap();
        let key = set.iter().find(|key| id(key) == *peer);
        key.map(|key| *key.verifying_key().as_bytes())
    };
    let settings = knowing(peers);
    let (network, events) = Network::start(settings, identity, members, || 1).await.unwrap();
    Node { network, events, words: Vec::new() }
}

fn change(set: &Known, keys: &[&SigningKey], nodes: &[&Node]) {
    *set.lock().unwrap() = keys.iter().copied().cloned().collect();
    for node in nodes {
        node.network.members_changed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_and_leaves_is_treated_as_what_it_is() {
    let all = validators();
    // Whether the one that knows the other has the smaller identity or the greater one.
    for (old, new) in [(&all[0], &all[1]), (&all[1], &all[0])] {
        let set = known(&[old]);
        let mut one = node(&[old], &set, &[]).await;
        let mut two = node(&[new], &set, &[one.as_peer()]).await;
        assert_eq!(one.connected(&id(new)).await.0, Role::Follower);
        assert_eq!(two.connected(&id(old)).await.0, Role::Validator);
        let vote = Bytes::from_static(b"vote");
        assert_eq!(one.network.broadcast(Audience::Validators, Lane::Consensus, &vote), 0);

        change(&set, &[old, new], &[&one, &two]);
        assert_eq!(one.disconnected(&id(new)).await, Why::Changed);
        assert_eq!(one.connected(&id(new)).await.0, Role::Validator);
        assert_eq!(one.network.broadcast(Audience::Validators, Lane::Consensus, &vote), 1);
        assert_eq!(two.received(&id(old), Lane::Consensus).await, vote);

        change(&set, &[old], &[&one, &two]);
        one.disconnected(&id(new)).await;
        assert_eq!(one.connected(&id(new)).await.0, Role::Follower);
        assert_eq!(one.network.broadcast(Audience::Validators, Lane::Consensus, &vote), 0);
    }
}

/// It was refused as no validator and comes again as a follower, or is behind; the other one knows it by now.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_says_it_is_a_follower_is_taken_for_what_it_is() {
    let all = validators();
    for (old, new) in [(&all[0], &all[1]), (&all[1], &all[0])] {
        let mut one = node(&[old], &known(&[old, new]), &[]).await;
        let mut two = node(&[new], &known(&[old]), &[one.as_peer()]).await;
        assert_eq!(one.connected(&id(new)).await.0, Role::Validator);
        assert_eq!(two.connected(&id(old)).await.0, Role::Validator);
        let vote = Bytes::from_static(b"vote");
        assert_eq!(one.network.broadcast(Audience::Validators, Lane::Consensus, &vote), 1);
        assert_eq!(two.received(&id(old), Lane::Consensus).await, vote);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_goes_on_under_its_other_key() {
    let all = validators();
    let (first, second, other) = (&all[2], &all[5], &all[3]);
    let set = known(&[first, other]);
    let mut one = node(&[other], &set, &[]).await;
    let two = node(&[first, second], &set, &[one.as_peer()]).await;
    assert_eq!(one.connected(&id(first)).await.0, Role::Validator);
    change(&set, &[second, other], &[&one, &two]);
    one.disconnected(&id(first)).await;
    assert_eq!(one.connected(&id(second)).await.0, Role::Validator);
    assert_eq!(two.network.identity(), id(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_yet_that_it_left_comes_as_a_follower() {
    let all = validators();
    let (old, new) = (known(&[&all[0], &all[1]]), known(&[&all[1]]));
    let mut one = node(&[&all[1]], &new, &[]).await;
    let behind = node(&[&all[0]], &old, &[one.as_peer()]).await;
    assert_eq!(one.connected(&id(&all[0])).await.0, Role::Follower);
    one.counted(Code::Unknown, By::Us).await;
    behind.counted(Code::Unknown, By::Them).await;
}

/// A connection that is asked to end is in the registry until its own task takes it out. Whoever dials waits for that, and must not
/// keep the only thread while it does.
#[test]
fn a_change_leaves_a_node_of_one_thread_alive() {
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let alone = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        alone.block_on(async {
            let all = validators();
            let one_backoff = settings().max_backoff * 2;
            let set = known(&[&all[0], &all[1]]);
            // It would dial as well, and waits while the other's connection is there.
            let nowhere = Peer { identity: id(&all[1]), address: "127.0.0.1:1".to_owned() };
            let mut one = node(&[&all[0]], &set, &[nowhere]).await;
            let mut two = node(&[&all[1]], &set, &[one.as_peer()]).await;
            for _ in 0..3 {
                one.connected(&id(&all[1])).await;
                two.connected(&id(&all[0])).await;
                // Something is heard after the one that would dial has begun to wait: then it is the first to hear of the end.
                tokio::time::sleep(one_backoff).await;
                assert!(two.network.send(
                    &id(&all[0]),
                    Lane::Consensus,
                    Bytes::from_static(b"vote")
                ));
                tokio::time::sleep(Duration::from_millis(100)).await;
                // The second one leaves, and comes in again.
                for keys in [&[&all[0]][..], &[&all[0], &all[1]]] {
                    change(&set, keys, &[&one, &two]);
                    assert_eq!(two.disconnected(&id(&all[0])).await, Why::Changed);
                    if keys.len() == 1 {
                        two.connected(&id(&all[0])).await;
                    }
                }
            }
        });
        done.send(()).unwrap();
    });
    waits.recv_timeout(Duration::from_mins(1)).expect("the node does nothing any more");
}
