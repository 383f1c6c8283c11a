//! Acceptors that a node refuses: each gets the code, each is counted, and nobody else notices.

use std::collections::HashMap;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_format::digest::{Hash, KeyId};
use ledger_peer::{By, Certificate, Code, Identity, Network, Peer, Role};
use ledger_proto::peer::exchange_response::Content as Answer;
use ledger_proto::peer::{self as v1, Hello};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::impostor::Impostor;
use crate::node::{Node, follower, id, knowing, still_exchange, validators};
use crate::stranger::{Card, hello};

/// A validator that exchanges with another, and dials an impostor as well.
async fn pair_and(impostor: Peer) -> (Node, Node) {
    let mut other = Node::validator(&validators()[1], &[]).await;
    let mut one = Node::validator(&validators()[0], &[other.as_peer(), impostor]).await;
    one.connected(&other.id()).await;
    other.connected(&one.id()).await;
    (one, other)
}

/// Whom the impostors play.
fn played() -> SigningKey {
    validators()[2].clone()
}

async fn refused(
    expected: Code,
    card: Card,
    answer: impl Fn(&Hash, &Hash) -> Hello + Send + Sync + 'static,
) {
    let own = card.spki;
    let reply = move |dialler: &Hash| vec![Answer::Hello(answer(&own, dialler))];
    let mut impostor = Impostor::start(&card, reply).await;
    let (mut one, mut other) = pair_and(impostor.as_peer(id(&played()))).await;
    assert_eq!(impostor.refusal().await, expected.as_str());
    one.counted(expected, By::Us).await;
    still_exchange(&mut one, &mut other).await;
    let status = one.network.peers();
    let status = status.iter().find(|status| status.identity == id(&played())).unwrap();
    assert_eq!((status.last_refusal, status.role), (Some((expected, By::Us)), None));
}

fn good(own: &Hash, dialler: &Hash) -> Hello {
    hello(&played(), v1::Role::Validator, 2, own, dialler)
}

/// A node ends itself when enough peers refuse it so: nobody on the way to them may say it in their names.
#[tokio::test(flavor = "multi_thread")]
async fn that_another_process_runs_is_believed_of_nobody_who_has_not_said_who_it_is() {
    for is_introduced in [false, true] {
        let card = Card::new();
        let own = card.spki;
        let reply = move |dialler: &Hash| {
            let mut details = ErrorDetails::new();
            details.set_error_info("PEER_TWIN", "ledger.peer.v1", HashMap::new());
            let code = tonic::Code::AlreadyExists;
            let twin = Err(Status::with_error_details(code, "two processes", details));
            let hello = is_introduced.then(|| Ok(Answer::Hello(good(&own, dialler))));
            hello.into_iter().chain([twin]).collect()
        };
        let impostor = Impostor::ending(&card, reply).await;
        let (one, _other) = pair_and(impostor.as_peer(id(&played()))).await;
        one.counted(Code::Twin, By::Them).await;
        let status = one.network.peers();
        let status = status.iter().find(|status| status.identity == id(&played())).unwrap();
        let believed = status.last_refusal == Some((Code::Twin, By::Them));
        // It is dialled again meanwhile, and taken anew.
        assert!(is_introduced || !believed);
        assert!(is_introduced == believed || status.connected_since.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_hello_is_believed() {
    let card = Card::new();
    let own = card.spki;
    let mut impostor =
        Impostor::start(&card, move |dialler| vec![Answer::Hello(good(&own, dialler))]).await;
    // Alone with it: of two that connect at once, either may be the first.
    let mut one = Node::validator(&validators()[0], &[impostor.as_peer(id(&played()))]).await;
    assert_eq!(one.connected(&id(&played())).await, (Role::Validator, 3));
    impostor.admitted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_could_say_wrongly() {
    let other = Bytes::from_static(&[8; 32]);
    let (ledger_id, limits_hash) = (other.clone(), other);
    refused(Code::Version, Card::new(), |a, b| Hello { protocol_version: 0, ..good(a, b) }).await;
    refused(Code::OtherLedger, Card::new(), move |a, b| Hello {
        ledger_id: ledger_id.clone(),
        ..good(a, b)
    })
    .await;
    refused(Code::Limits, Card::new(), move |a, b| Hello {
        limits_hash: limits_hash.clone(),
        ..good(a, b)
    })
    .await;
    refused(Code::Malformed, Card::new(), |a, b| Hello { role: 0, ..good(a, b) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_was_not_dialled() {
    let key = validators()[3].clone();
    refused(Code::OtherIdentity, Card::new(), move |own, dialler| {
        hello(&key, v1::Role::Validator, 2, own, dialler)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hellos_of_other_connections() {
    let (elsewhere, victim) = (Card::new().spki, Card::new().spki);
    refused(Code::Identity, Card::new(), move |_, dialler| good(&elsewhere, dialler)).await;
    refused(Code::Identity, Card::new(), move |own, _| good(own, &victim)).await;
    refused(Code::Identity, Card::new(), |own, dialler| {
        hello(&played(), v1::Role::Validator, 1, own, dialler)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_validator_here_and_says_it_is_one_has_no_say() {
    let card = Card::new();
    let own = card.spki;
    let reply = move |dialler: &Hash| {
        vec![Answer::Hello(hello(&follower(5), v1::Role::Validator, 2, &own, dialler))]
    };
    let mut impostor = Impostor::start(&card, reply).await;
    let peers = vec![impostor.as_peer(id(&follower(5)))];
    let node = Node::start(&follower(1), Role::Follower, knowing(&peers)).await;
    impostor.admitted().await;
    // It may be ahead of this node, which named it.
    let mut node = node;
    assert_eq!(node.connected(&id(&follower(5))).await, (Role::Follower, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_before_the_hello() {
    let frame = || v1::Frame { lane: 1, payload: Bytes::from_static(b"vote") };
    let mut impostor = Impostor::start(&Card::new(), move |_| vec![Answer::Frame(frame())]).await;
    let (mut one, mut other) = pair_and(impostor.as_peer(id(&played()))).await;
    assert_eq!(impostor.refusal().await, "PEER_MALFORMED");
    one.counted(Code::Malformed, By::Us).await;
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_after_the_hello_that_are_none() {
    let card = Card::new();
    let own = card.spki;
    let frame = || v1::Frame { lane: 9, payload: Bytes::new() };
    let reply =
        move |dialler: &Hash| vec![Answer::Hello(good(&own, dialler)), Answer::Frame(frame())];
    let mut impostor = Impostor::start(&card, reply).await;
    let (mut one, mut other) = pair_and(impostor.as_peer(id(&played()))).await;
    assert_eq!(impostor.refusal().await, "PEER_MALFORMED");
    one.counted(Code::Malformed, By::Us).await;
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_is_long() {
    let long = || v1::Frame { lane: 1, payload: Bytes::from(vec![0; 1_000_000]) };
    let impostor = Impostor::start(&Card::new(), move |_| vec![Answer::Frame(long())]).await;
    let (mut one, mut other) = pair_and(impostor.as_peer(id(&played()))).await;
    one.counted(Code::TooLarge, By::Us).await;
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_say_nothing() {
    let cards = [Card::expired(), Card::not_yet_valid(), Card::stolen_from(&Card::new())];
    for card in cards {
        let own = card.spki;
        let reply = move |dialler: &Hash| vec![Answer::Hello(good(&own, dialler))];
        let mut impostor = Impostor::start(&card, reply).await;
        let (mut one, mut other) = pair_and(impostor.as_peer(id(&played()))).await;
        one.counted(Code::Certificate, By::Us).await;
        let alert = impostor.until(|heard| heard.as_ref().err().cloned()).await;
        assert!(alert.contains("alert"), "{alert}");
        still_exchange(&mut one, &mut other).await;
    }
}

/// A node whose certificate has expired is told so by the other one, although TLS has no words for it above an alert.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_expired_certificate_learns_it() {
    let mut node = Node::validator(&validators()[1], &[]).await;
    let day = std::time::Duration::from_hours(24);
    let now = std::time::SystemTime::now();
    let certificate = Certificate::valid(now - 2 * day, now - day).unwrap();
    let identity =
        Identity { keys: vec![validators()[0].clone()], role: Role::Validator, certificate };
    let settings = knowing(&[node.as_peer()]);
    let all = |peer: &KeyId| {
        let keys = validators();
        Some(*keys.iter().find(|key| id(key) == *peer)?.verifying_key().as_bytes())
    };
    let (network, events) = Network::start(settings, identity, all, || 0).await.unwrap();
    let expired = Node { network, events, words: Vec::new() };
    expired.counted(Code::Certificate, By::Them).await;
    node.counted(Code::Certificate, By::Us).await;
    assert!(node.events.try_recv().is_err() && node.network.peers().is_empty());
}
