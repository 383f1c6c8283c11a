//! The benchmark measures what it says: every entry placed, blocks made, bytes on disk. Not how fast.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "tests")]

use ledger_bench::ingest::{Load, run};

#[test]
fn a_small_load_is_placed_and_measured() {
    let base = tempfile::tempdir().unwrap();
    let load = Load { entries: 3_000, signers: 10, clients: 2 };
    let measured = run(base.path(), load);
    assert_eq!(measured.waits.count(), 2 * 6, "1,500 entries a client, 256 a message");
    assert!(measured.blocks > 0 && measured.disk_bytes > 3_000 * 100);
    assert!(measured.ratio() > 0.0 && measured.ratio() < 1.0);
    assert_eq!(measured.json()["entries"], 3_000);
}
