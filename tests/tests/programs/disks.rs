//! Disks that are full or broken while a node writes: it ends, with a code, and what it has answered is there.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ledger_tests::{Running, assert_refused, new_ledger, node_on, places_in, write_until_it_ends};
use tokio::runtime::Runtime;

/// A command that runs another one under a shell's limits.
fn limited(limits: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{limits}; exec \"$@\""), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

#[test]
fn a_full_disk_ends_the_node_and_loses_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = new_ledger(directory.path());
    let runtime = Runtime::new().unwrap();
    // A file may not grow beyond this, in blocks of 512 bytes. The signal that comes with it would kill the process.
    let limits = "trap '' XFSZ; ulimit -f 2400";
    let node = Running::spawn(limited(limits, &node_on(directory.path()))).unwrap();
    let answered =
        runtime.block_on(write_until_it_ends(&node, directory.path(), "supplier", || ()));
    assert!(answered.len() > 50, "{} answers", answered.len());
    let ended = node.wait();
    assert_refused(&ended, "STORE_IO", 32, "Check space");
    // Nothing is mended by trying again.
    let again = Running::spawn(limited(limits, &node_on(directory.path())));
    if let Ok(node) = again {
        let more = runtime.block_on(write_until_it_ends(&node, directory.path(), "another", || ()));
        assert_refused(&node.wait(), "STORE_IO", 32, "Check space");
        assert!(more.len() < answered.len());
    }
    // With room again, everything that was answered is there.
    let places = places_in(directory.path(), &directory.path().join("chain.ledger"));
    for (id, place) in &answered {
        assert_eq!(places.get(id), Some(place), "{id}");
    }
}

/// What cannot be written may leave sled waiting for it without end, and it waits as well before it lets go of its files.
#[test]
fn a_file_that_cannot_be_made_ends_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = new_ledger(directory.path());
    let runtime = Runtime::new().unwrap();
    let mut node = Running::spawn(node_on(directory.path())).unwrap();
    let (blobs, aside) = (directory.path().join("store/blobs"), directory.path().join("aside"));
    let swap = || {
        fs::rename(&blobs, &aside).unwrap();
        fs::write(&blobs, "").unwrap();
    };
    let answered = write_until_it_ends(&node, directory.path(), "supplier", swap);
    let answered = runtime.block_on(answered);
    let begun = Instant::now();
    while !node.has_ended() && begun.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(node.has_ended(), "after {} answers", answered.len());
    assert_refused(&node.wait(), "STORE_IO", 1, "Check space");
    fs::remove_file(&blobs).unwrap();
    fs::rename(&aside, &blobs).unwrap();
    let places = places_in(directory.path(), &directory.path().join("chain.ledger"));
    for (id, place) in &answered {
        assert_eq!(places.get(id), Some(place), "{id}");
    }
}
