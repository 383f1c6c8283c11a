//! Log lines on standard error, as text or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::LogFormat;

/// The engine tells of every step at `info`, and at `warn` of whatever anybody says that is of no use, whole; its driver logs what an
/// operator needs. What it says of a block that this node found invalid is rare, and may be the only sign of a wrong clock.
const ENGINE: [&str; 4] = [
    "arc_malachitebft_core_consensus=error",
    "arc_malachitebft_core_consensus::state=warn",
    "arc_malachitebft_core_driver=error",
    "arc_malachitebft_core_votekeeper=error",
];

/// Starts logging. A second call has no effect.
pub(crate) fn start(format: LogFormat, filter: EnvFilter) {
    let quiet = ENGINE.iter().filter_map(|directive| directive.parse().ok());
    let filter = quiet.fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .with_timer(SystemTime)
        .with_target(true);
    let started = match format {
        LogFormat::Text => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // Somebody else logs already, as in tests: theirs will do.
    drop(started);
}
