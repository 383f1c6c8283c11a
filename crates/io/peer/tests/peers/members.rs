//! Validators that come in, leave and take other keys while their nodes are connected.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_format::digest::KeyId;
use ledger_peer::{
    Audience, By, Certificate, Code, Identity, Lane, Network, Peer, Role, Settings, Why,
};

use crate::node::{Node, id, settings, validators};

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
    let settings = Settings { peers: peers.to_vec(), ..settings() };
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
