//! A running node is told whom to dial and which followers to let in.

use std::net::TcpListener;

use bytes::Bytes;
use ledger_peer::{By, Code, Lane, Neighbours, Peer, Role, Settings, Why};

use crate::node::{Node, follower, id, knowing, settings, still_exchange, validators};

fn met(node: &Node, peers: &[Peer]) {
    node.network.meet(Neighbours::knowing(peers.to_vec())).unwrap();
}

/// Identities and addresses of the configured peers.
fn known(node: &Node) -> Vec<Peer> {
    let peers = node.network.peers().into_iter();
    peers.map(|peer| Peer { identity: peer.identity, address: peer.address }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_named_later_is_dialled() {
    let keys = validators();
    let mut greater = Node::validator(&keys[1], &[]).await;
    let mut smaller = Node::validator(&keys[0], &[]).await;
    met(&smaller, &[greater.as_peer()]);
    smaller.connected(&greater.id()).await;
    greater.connected(&smaller.id()).await;
    // Once more, and without it: who is connected stays so.
    met(&smaller, &[greater.as_peer()]);
    met(&smaller, &[]);
    still_exchange(&mut smaller, &mut greater).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_moves_is_dialled_where_it_is_and_no_more_where_it_was() {
    let keys = validators();
    let mut greater = Node::validator(&keys[1], &[]).await;
    let former = TcpListener::bind("127.0.0.1:0").unwrap();
    former.set_nonblocking(true).unwrap();
    let address = former.local_addr().unwrap().to_string();
    let there = Peer { identity: greater.id(), address };
    let mut smaller = Node::validator(&keys[0], std::slice::from_ref(&there)).await;
    assert_eq!(known(&smaller), [there]);
    met(&smaller, &[greater.as_peer()]);
    assert_eq!(known(&smaller), [greater.as_peer()]);
    smaller.connected(&greater.id()).await;
    greater.connected(&smaller.id()).await;
    still_exchange(&mut smaller, &mut greater).await;
    greater.network.stop().await;
    smaller.disconnected(&id(&keys[1])).await;
    // One attempt may have been under way.
    tokio::time::sleep(settings().max_backoff * 2).await;
    while former.accept().is_ok() {}
    tokio::time::sleep(settings().max_backoff * 2).await;
    assert!(former.accept().is_err(), "it is dialled where it was");
}

/// As after the rotation of a key: nobody answers under the former identity, which an operator takes out.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_forgotten_is_not_dialled_any_more() {
    let keys = validators();
    let other = Node::validator(&keys[2], &[]).await;
    let former = Peer { identity: id(&keys[1]), address: other.address().to_string() };
    let node = Node::validator(&keys[0], &[former]).await;
    node.counted(Code::OtherIdentity, By::Us).await;
    met(&node, &[]);
    assert_eq!(known(&node), []);
    let attempts = || node.network.refusals()[&(Code::OtherIdentity, By::Us)];
    // One attempt may be under way.
    tokio::time::sleep(settings().max_backoff * 2).await;
    let before = attempts();
    tokio::time::sleep(settings().max_backoff * 2).await;
    assert_eq!(attempts(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_no_longer_listed_is_sent_away() {
    let mut node = Node::validator(&validators()[0], &[]).await;
    let mut followers = Vec::new();
    for number in 1..=2 {
        let settings = knowing(&[node.as_peer()]);
        followers.push(Node::start(&follower(number), Role::Follower, settings).await);
        node.connected(&id(&follower(number))).await;
    }
    let allowed_followers = Some([id(&follower(2))].into());
    let listed = Neighbours { allowed_followers, ..Neighbours::knowing(Vec::new()) };
    node.network.meet(listed).unwrap();
    let sent_away = Why::Refused { code: Code::NotAllowed, by: By::Us };
    assert_eq!(node.disconnected(&id(&follower(1))).await, sent_away);
    followers[0].counted(Code::NotAllowed, By::Them).await;
    still_exchange(&mut node, &mut followers[1]).await;
    // Anybody again.
    met(&node, &[]);
    node.connected(&id(&follower(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_changes_nothing() {
    let node = Node::validator(&validators()[0], &[]).await;
    let peer = Peer { identity: id(&validators()[1]), address: "127.0.0.1:1".to_owned() };
    met(&node, std::slice::from_ref(&peer));
    let twice = Neighbours::knowing(vec![peer.clone(), peer.clone()]);
    assert_eq!(node.network.meet(twice).unwrap_err().code(), Code::Settings);
    assert_eq!(known(&node), [peer]);
}

/// As when all validators have other keys than this node knows: to each other they are followers, and one has what the other lacks.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_named_has_its_place_and_sends_what_a_stranger_may_not() {
    let mut node = Node::validator(&validators()[0], &[]).await;
    let named = Node::start(&follower(1), Role::Follower, knowing(&[node.as_peer()])).await;
    node.connected(&named.id()).await;
    let answer = Bytes::from(vec![7; 1024 * 1024]);
    assert!(named.network.send(&node.id(), Lane::Blocks, answer.clone()));
    let refused = Why::Refused { code: Code::TooLarge, by: By::Us };
    assert_eq!(node.disconnected(&named.id()).await, refused);

    named.network.stop().await;

    let peer = Peer { identity: id(&follower(1)), address: "127.0.0.1:1".to_owned() };
    let allowed_followers = Some([].into());
    let neighbours = Neighbours { peers: vec![peer], max_followers: 0, allowed_followers };
    let settings = Settings { neighbours, ..settings() };
    let mut node = Node::start(&validators()[1], Role::Validator, settings).await;
    let mut named = Node::start(&follower(1), Role::Follower, knowing(&[node.as_peer()])).await;
    node.connected(&id(&follower(1))).await;
    named.connected(&node.id()).await;
    assert!(named.network.send(&node.id(), Lane::Blocks, answer.clone()));
    assert_eq!(node.received(&named.id(), Lane::Blocks).await, answer);
    let stranger = Node::start(&follower(2), Role::Follower, knowing(&[node.as_peer()])).await;
    stranger.counted(Code::NotAllowed, By::Them).await;
    still_exchange(&mut node, &mut named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_named_takes_no_strangers_place_and_begins_anew_when_that_changes() {
    let peer = |number| Peer { identity: id(&follower(number)), address: "127.0.0.1:1".to_owned() };
    let neighbours = Neighbours { max_followers: 1, ..Neighbours::knowing(vec![peer(1)]) };
    let settings = Settings { neighbours: neighbours.clone(), ..settings() };
    let mut node = Node::start(&validators()[0], Role::Validator, settings).await;
    let mut followers = Vec::new();
    for number in 1..=3 {
        let settings = knowing(&[node.as_peer()]);
        followers.push(Node::start(&follower(number), Role::Follower, settings).await);
        if number < 3 {
            node.connected(&id(&follower(number))).await;
        }
    }
    followers[2].counted(Code::Followers, By::Them).await;
    node.network.meet(Neighbours { peers: vec![peer(2)], ..neighbours }).unwrap();
    // The second makes room for one of the others.
    assert_eq!(node.disconnected(&id(&follower(2))).await, Why::Changed);
    node.connected(&id(&follower(2))).await;
    still_exchange(&mut node, &mut followers[1]).await;
}
