//! Generates the services without protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 3] =
    ["ledger/v1/submit.proto", "ledger/v1/query.proto", "ledger/v1/audit.proto"];
/// Compiled apart: reflection of the public services does not show what only nodes say to each other.
const PEER_FILES: [&str; 1] = ["ledger/peer/v1/peer.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let descriptors = protox::compile(FILES, [&root])?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    let peer = protox::compile(PEER_FILES, [&root])?;
    tonic_prost_build::configure().bytes(".").compile_fds(peer)?;
    Ok(())
}
