//! One validator that never stops talking, sense or nonsense: whoever hears it still takes its turns. In a program of its own, since it
//! takes what the machine has.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use ledger_peer::Code;
use ledger_tests::{Exchanges, Impostor, Signal, connect};

/// How long an entry may take. It is a matter of milliseconds, and of more than a second when it would be the turn of who is down.
const PATIENCE: Duration = Duration::from_secs(20);
/// The validator whose key is in other hands.
const LIAR: usize = 3;

/// Made-up signatures cost more to check than to make up: the queue of whoever hears them is never empty. Where timers wait for that,
/// this takes eight times as long, on a machine without other work.
#[test]
fn one_that_never_stops_talking_keeps_nobody_from_their_turns() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(0);
    let height = network.agree(2);
    network.end(LIAR, Signal::Kill);
    let impostor = Impostor::of(&network, LIAR);
    let flood = impostor.flood(&network, height + 100);
    let heard = impostor.heard().unwrap();
    // The votes of all three others are needed, and each is to propose more than once.
    for number in 0..8 {
        let entry = supplier.describe(&format!("flooded-{number}")).unwrap();
        let node = network.node(number % LIAR);
        let begun = Instant::now();
        let submitted = async { connect(node).await.submit(&entry).await };
        network.runtime.block_on(submitted).unwrap();
        assert!(begun.elapsed() < PATIENCE, "entry {number} took {:?}", begun.elapsed());
    }
    // All the while: a liar that was cut off would show nothing.
    let more = impostor.heard().unwrap() - heard;
    assert!(more >= 8, "{more} frames of the flood were taken");
    flood.abort();
    // Bytes that are no message end the connection, and say so.
    let begun = Instant::now();
    while !impostor.was_refused(Code::Malformed) {
        assert!(begun.elapsed() < PATIENCE, "it was not refused");
        impostor.babble();
        std::thread::sleep(Duration::from_millis(100));
    }
    impostor.leave(&network);
}
