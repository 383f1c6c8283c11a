//! What becomes of an answer that cannot be written.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::{self, File, OpenOptions};
use std::process::{Command, Output, Stdio};

fn run(words: &[&str], out: impl Into<Stdio>) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ledger-cli"));
    let child = program.args(words).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    child.wait_with_output().unwrap()
}

/// A device that is full.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn an_answer_that_is_not_written_is_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().to_str().unwrap();
    for words in [
        &["explain", "--all"][..],
        &["explain", "--all", "-o", "jsonl"],
        &["explain", "--all", "-o", "json"],
        &["completion", "bash"],
        &["key", "list", "--keys", keys],
    ] {
        let ended = run(words, full());
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{words:?}: {told}");
        assert!(told.contains("CLIENT_FILE") && told.contains("standard output"), "{told}");
        assert!(told.contains("was carried out"), "{told}");
    }
}

#[test]
fn a_verdict_stays_one_where_nobody_can_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chain.ledger");
    fs::write(&path, "no chain").unwrap();
    let ended = run(&["verify", "chain", path.to_str().unwrap()], full());
    assert_eq!(ended.status.code(), Some(11));
}

#[test]
fn whoever_has_read_enough_is_told_of_no_error() {
    for words in [&["explain", "--all"][..], &["completion", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run(words, writer);
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), told.as_str()), (Some(0), ""), "{words:?}");
    }
}
