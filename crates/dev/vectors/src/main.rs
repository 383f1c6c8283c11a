//! `cargo run --release -p ledger-vectors` writes docs/spec/vectors. Doing so approves a change of the formats.
#![allow(clippy::print_stdout, reason = "this program says what it wrote")]

use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/spec/vectors"));
    std::fs::create_dir_all(directory)?;
    for (name, text) in ledger_vectors::files() {
        std::fs::write(directory.join(&name), &text)?;
        println!("{name}: {} bytes", text.len());
    }
    Ok(())
}
