//! Vote locks that vouch for what they should not, as a snapshot of a whole machine brings them about.

use std::path::Path;

use ledger_client::ClientError;
use ledger_client::keys::{kid, read};
use ledger_store::{VoteLock, VoteMode};

/// Writes the vote lock of a directory for the key that is there, as if no other place had ever had either.
pub fn vouch(directory: &Path) {
    let plain = || Err(ClientError::usage("a node's key is not encrypted"));
    let key = read(&directory.join("keys/vote.pem"), plain).expect("a vote key");
    let lock = VoteLock { mode: VoteMode::Votes, keys: [kid(&key)].into() };
    lock.write(directory).expect("a directory");
}
