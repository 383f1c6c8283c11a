//! Diallers that a node refuses: each gets the code, each is counted, and nobody else notices.

use std::collections::BTreeSet;

use bytes::Bytes;
use ledger_format::digest::{KeyId, LedgerId};
use ledger_peer::{By, Code, Event, Neighbours, Role, Settings};
use ledger_proto::peer::exchange_request::Content;
use ledger_proto::peer::{self as v1, Hello};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::node::{
    Node, PATIENCE, follower, id, knowing, pair, settings, still_exchange, validators,
};
use crate::stranger::{Card, Dialled, code, dial, hello, message, tls};

/// Says a Hello to a node of a pair that exchanges, and expects to be refused.
async fn refused(expected: Code, make: impl Fn(&Dialled) -> Hello) {
    let (mut one, mut other) = pair().await;
    let stranger = dial(other.address(), &Card::new()).await;
    let Err(status) = stranger.greet(make(&stranger)).await else { panic!("{expected} is let in") };
    assert_eq!(code(&status), expected.as_str());
    other.counted(expected, By::Us).await;
    assert_eq!(other.network.refusals().len(), 1);
    still_exchange(&mut one, &mut other).await;
    assert_eq!(other.network.peers().len(), 1);
}

fn validator(stranger: &Dialled) -> Hello {
    stranger.hello(&validators()[2], v1::Role::Validator)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_hello_is_let_in() {
    let (mut one, mut other) = pair().await;
    let stranger = dial(other.address(), &Card::new()).await;
    let call = stranger.enter(&validators()[2], v1::Role::Validator).await;
    assert_eq!(other.connected(&id(&validators()[2])).await, (Role::Validator, 3));
    call.frame(v1::Lane::Consensus, "vote");
    let vote = other.received(&id(&validators()[2]), ledger_peer::Lane::Consensus).await;
    assert_eq!(vote, "vote");
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version() {
    refused(Code::Version, |s| Hello { protocol_version: 2, ..validator(s) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ledger() {
    let ledger_id = Bytes::from_static(&[8; 32]);
    refused(Code::OtherLedger, |s| Hello { ledger_id: ledger_id.clone(), ..validator(s) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_limits() {
    let limits_hash = Bytes::from_static(&[8; 32]);
    refused(Code::Limits, |s| Hello { limits_hash: limits_hash.clone(), ..validator(s) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_validator_that_says_it_is_one() {
    refused(Code::Unknown, |s| s.hello(&follower(1), v1::Role::Validator)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_own_identity() {
    refused(Code::OtherIdentity, |s| s.hello(&validators()[1], v1::Role::Validator)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_by_another_key() {
    let wrong = validators()[3].clone();
    let signature = |s: &Dialled| s.hello(&wrong, v1::Role::Validator).signature;
    refused(Code::Identity, |s| Hello { signature: signature(s), ..validator(s) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_of_another_certificate() {
    // A relay has a certificate of its own, and the Hello of a validator that took it for somebody else.
    let (key, victim) = (validators()[2].clone(), Card::new());
    refused(Code::Identity, |s| hello(&key, v1::Role::Validator, 1, &victim.spki, &s.their_spki))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_to_another_certificate() {
    let (key, relay) = (validators()[2].clone(), Card::new());
    refused(Code::Identity, |s| hello(&key, v1::Role::Validator, 1, &s.own_spki, &relay.spki))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_of_the_other_direction() {
    let key = validators()[2].clone();
    refused(Code::Identity, |s| hello(&key, v1::Role::Validator, 2, &s.own_spki, &s.their_spki))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_exist() {
    for role in [0, 3] {
        refused(Code::Malformed, |s| Hello { role, ..validator(s) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_another_length() {
    let short = Bytes::from_static(&[7; 31]);
    refused(Code::Malformed, |s| Hello { ledger_id: short.clone(), ..validator(s) }).await;
    refused(Code::Malformed, |s| Hello { limits_hash: short.clone(), ..validator(s) }).await;
    refused(Code::Malformed, |s| Hello { identity_key: short.clone(), ..validator(s) }).await;
    refused(Code::Malformed, |s| Hello { signature: short.clone(), ..validator(s) }).await;
}

/// Sends raw bytes as the first message, and expects to be refused.
async fn first_message(expected: Code, first: Bytes) {
    let (mut one, mut other) = pair().await;
    let stranger = dial(other.address(), &Card::new()).await;
    let Err(status) = stranger.call(Some(first)).await else { panic!("{expected} is let in") };
    if expected != Code::TooLarge {
        assert_eq!(code(&status), expected.as_str());
    }
    other.counted(expected, By::Us).await;
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_messages_that_are_none() {
    let frame = v1::Frame { lane: 1, payload: Bytes::from_static(b"vote") };
    first_message(Code::Malformed, message(Content::Frame(frame))).await;
    first_message(Code::Malformed, Bytes::from_static(b"\xff\xff\xff")).await;
    first_message(Code::Malformed, Bytes::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_that_is_long() {
    // Far below the limit of frames: nobody may send as much before it said who it is. The connection breaks under the call, so
    // that there is no status to read.
    first_message(Code::TooLarge, Bytes::from(vec![0; 1_000_000])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_call_on_one_connection() {
    let (_one, mut other) = pair().await;
    let stranger = dial(other.address(), &Card::new()).await;
    let mut call = stranger.enter(&validators()[2], v1::Role::Validator).await;
    other.connected(&id(&validators()[2])).await;
    // HTTP/2 allows one stream at a time, so that the second waits for the first to end.
    let second = stranger.greet(validator(&stranger));
    let end = async {
        call.sender = tokio::sync::mpsc::unbounded_channel().0;
        call.end().await
    };
    let (second, _) = tokio::join!(second, end);
    assert!(second.is_err());
    other.disconnected(&id(&validators()[2])).await;
}

type MakeBytes<'a> = dyn Fn(&Dialled) -> Bytes + 'a;

#[tokio::test(flavor = "multi_thread")]
async fn messages_after_the_hello_that_are_none() {
    let refusal = v1::Refusal { code: Code::Limits.as_str().to_owned() };
    let unknown_lane = v1::Frame { lane: 4, payload: Bytes::new() };
    let again = |stranger: &Dialled| message(Content::Hello(validator(stranger)));
    let cases: [(&str, Code, By, &MakeBytes<'_>); 6] = [
        ("garbage", Code::Malformed, By::Us, &|_| Bytes::from_static(b"\xff\xff")),
        ("nothing", Code::Malformed, By::Us, &|_| Bytes::new()),
        ("Hello", Code::Malformed, By::Us, &again),
        ("lane", Code::Malformed, By::Us, &|_| message(Content::Frame(unknown_lane.clone()))),
        ("long", Code::TooLarge, By::Us, &|_| Bytes::from(vec![0; 25 * 1024 * 1024])),
        ("refusal", Code::Limits, By::Them, &|_| message(Content::Refusal(refusal.clone()))),
    ];
    for (name, expected, by, bytes) in cases {
        let (mut one, mut other) = pair().await;
        let peer = id(&validators()[2]);
        let stranger = dial(other.address(), &Card::new()).await;
        let mut call = stranger.enter(&validators()[2], v1::Role::Validator).await;
        other.connected(&peer).await;
        call.sender.send(bytes(&stranger)).unwrap();
        let end = timeout(PATIENCE, call.end()).await.expect(name);
        if by == By::Us {
            assert_eq!(code(&end.unwrap_err()), expected.as_str(), "{name}");
        }
        let why = other.disconnected(&peer).await;
        assert_eq!(why, ledger_peer::Why::Refused { code: expected, by }, "{name}");
        other.counted(expected, by).await;
        still_exchange(&mut one, &mut other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_above_the_limit_in_a_message_below_it() {
    let bound = ledger_peer::Bound { frames: 8, bytes: 1_000 };
    let queues = ledger_peer::Lanes { consensus: bound, blocks: bound, entries: bound };
    let small = Settings { max_frame_bytes: 1_000, queues, ..settings() };
    let mut node = Node::start(&validators()[1], Role::Validator, small).await;
    let stranger = dial(node.address(), &Card::new()).await;
    let mut call = stranger.enter(&validators()[2], v1::Role::Validator).await;
    node.connected(&id(&validators()[2])).await;
    call.frame(v1::Lane::Entries, vec![0; 1_010]);
    let end = timeout(PATIENCE, call.end()).await.unwrap();
    assert_eq!(code(&end.unwrap_err()), "PEER_TOO_LARGE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_before_admitted() {
    let (mut one, mut other) = pair().await;
    let stranger = dial(other.address(), &Card::new()).await;
    let mut call = stranger.greet(validator(&stranger)).await.unwrap();
    call.next().await.unwrap().unwrap();
    call.frame(v1::Lane::Consensus, "vote");
    let end = timeout(PATIENCE, call.end()).await.unwrap();
    assert_eq!(code(&end.unwrap_err()), "PEER_MALFORMED");
    other.counted(Code::Malformed, By::Us).await;
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_long_for_a_follower() {
    let mut node = Node::validator(&validators()[1], &[]).await;
    let peer = id(&follower(1));
    let stranger = dial(node.address(), &Card::new()).await;
    let mut call = stranger.enter(&follower(1), v1::Role::Follower).await;
    node.connected(&peer).await;
    call.frame(v1::Lane::Blocks, vec![0; 64 * 1024]);
    assert_eq!(node.received(&peer, ledger_peer::Lane::Blocks).await.len(), 64 * 1024);
    call.frame(v1::Lane::Blocks, vec![0; 64 * 1024 + 1]);
    let end = timeout(PATIENCE, call.end()).await.unwrap();
    assert_eq!(code(&end.unwrap_err()), "PEER_TOO_LARGE");
    node.counted(Code::TooLarge, By::Us).await;
}

fn letting_in(max_followers: usize, allowed_followers: Option<BTreeSet<KeyId>>) -> Settings {
    let neighbours = Neighbours { peers: Vec::new(), max_followers, allowed_followers };
    Settings { neighbours, ..settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_followers_than_allowed() {
    let few = letting_in(2, None);
    let mut node = Node::start(&validators()[1], Role::Validator, few).await;
    let mut calls = Vec::new();
    for number in 1..=2 {
        let stranger = dial(node.address(), &Card::new()).await;
        calls.push(stranger.enter(&follower(number), v1::Role::Follower).await);
        node.connected(&id(&follower(number))).await;
    }
    let third = dial(node.address(), &Card::new()).await;
    let Err(status) = third.greet(third.hello(&follower(3), v1::Role::Follower)).await else {
        panic!("a third follower is let in")
    };
    assert_eq!(code(&status), "PEER_FOLLOWERS");
    node.counted(Code::Followers, By::Us).await;
    // One that comes again has its own place, and validators have theirs.
    let again = dial(node.address(), &Card::new()).await;
    calls.push(again.enter(&follower(2), v1::Role::Follower).await);
    node.connected(&id(&follower(2))).await;
    let validator = dial(node.address(), &Card::new()).await;
    calls.push(validator.enter(&validators()[2], v1::Role::Validator).await);
    node.connected(&id(&validators()[2])).await;
    // A place that was left is given away.
    drop(calls.remove(0));
    node.disconnected(&id(&follower(1))).await;
    let third = dial(node.address(), &Card::new()).await;
    calls.push(third.enter(&follower(3), v1::Role::Follower).await);
    node.connected(&id(&follower(3))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_not_listed() {
    let private = letting_in(16, Some([id(&follower(1))].into()));
    let mut node = Node::start(&validators()[1], Role::Validator, private).await;
    let stranger = dial(node.address(), &Card::new()).await;
    let Err(status) = stranger.greet(stranger.hello(&follower(2), v1::Role::Follower)).await else {
        panic!("a follower that is not listed is let in")
    };
    assert_eq!(code(&status), "PEER_NOT_ALLOWED");
    node.counted(Code::NotAllowed, By::Us).await;
    // The one that is, and validators, have their places.
    let listed = dial(node.address(), &Card::new()).await;
    let _call = listed.enter(&follower(1), v1::Role::Follower).await;
    node.connected(&id(&follower(1))).await;
    let validator = dial(node.address(), &Card::new()).await;
    let _call = validator.enter(&validators()[2], v1::Role::Validator).await;
    node.connected(&id(&validators()[2])).await;
}

/// Two followers whose Hellos are both answered while there is one place.
#[tokio::test(flavor = "multi_thread")]
async fn two_followers_at_once_for_one_place() {
    let few = letting_in(1, None);
    let node = Node::start(&validators()[1], Role::Validator, few).await;
    let mut calls = Vec::new();
    for number in 1..=2 {
        let stranger = dial(node.address(), &Card::new()).await;
        let hello = stranger.hello(&follower(number), v1::Role::Follower);
        let mut call = stranger.greet(hello).await.unwrap();
        call.next().await.unwrap().unwrap();
        calls.push((stranger, call));
    }
    for (_, call) in &calls {
        call.say(Content::Admitted(v1::Admitted {}));
    }
    node.counted(Code::Followers, By::Us).await;
    assert_eq!(node.network.peers().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_say_nothing() {
    let cards = [
        ("none", None),
        ("expired", Some(Card::expired())),
        ("not yet valid", Some(Card::not_yet_valid())),
        ("somebody else's", Some(Card::stolen_from(&Card::new()))),
    ];
    for (name, card) in cards {
        let (mut one, mut other) = pair().await;
        // In TLS 1.3 the client is done before the server has looked: the alert is the first thing to read.
        let (mut stream, _) = tls(other.address(), card.as_ref()).await;
        // A dialler sends at once, and what nobody reads must not cost it the alert.
        stream.write_all(&[0; 16_000]).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let read = timeout(PATIENCE, stream.read(&mut [0; 64])).await.unwrap();
        let error = read.expect_err(name).to_string();
        assert!(error.contains("alert"), "{name}: {error}");
        other.counted(Code::Certificate, By::Us).await;
        still_exchange(&mut one, &mut other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_instead_of_tls_and_inside_of_it() {
    let (mut one, mut other) = pair().await;
    let mut garbage = TcpStream::connect(other.address()).await.unwrap();
    garbage.write_all(&[0x5a; 4096]).await.unwrap();
    other.counted(Code::Malformed, By::Us).await;
    let (mut stream, _) = tls(other.address(), Some(&Card::new())).await;
    stream.write_all(&[0x5a; 4096]).await.unwrap();
    let mut rest = Vec::new();
    // Closed by the node, in whatever way.
    drop(timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap());
    let counts = || other.network.refusals()[&(Code::Malformed, By::Us)];
    let counted = async {
        while counts() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    still_exchange(&mut one, &mut other).await;
}

/// Both sides are nodes: the one that is refused is told, counts it, and tries again.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_ledger() {
    let (mut one, mut other) = pair().await;
    let elsewhere = Settings { ledger: LedgerId([1; 32]), ..knowing(&[other.as_peer()]) };
    let mut stranger = Node::start(&follower(1), Role::Follower, elsewhere).await;
    other.counted(Code::OtherLedger, By::Us).await;
    stranger.counted(Code::OtherLedger, By::Them).await;
    let status = &stranger.network.peers()[0];
    assert_eq!(status.last_refusal, Some((Code::OtherLedger, By::Them)));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let times = stranger.network.refusals()[&(Code::OtherLedger, By::Them)];
    assert!((2..=30).contains(&times), "{times} attempts in a second");
    still_exchange(&mut one, &mut other).await;
    assert!(!matches!(stranger.events.try_recv(), Ok(Event::Connected { .. })));
}
