//! The node's command line. Everything it does is in the library.

use std::process::ExitCode;

/// Blocks are allocated in one thread and freed in another, which the system's allocator is slow at (docs/performance).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ledger_node::main(std::env::args_os())
}
