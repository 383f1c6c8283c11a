//! Log lines on standard error, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use crate::config::LogFormat;

/// The engine tells of every step at `info`, and at `warn` of whatever anybody says that is of no use, whole; its driver logs what an
/// operator needs. What it says of a block that this node found invalid is rare, and may be the only sign of a wrong clock.
const ENGINE: [&str; 4] = [
    "arc_malachitebft_core_consensus=error",
    "arc_malachitebft_core_consensus::state=warn",
    "arc_malachitebft_core_driver=error",
    "arc_malachitebft_core_votekeeper=error",
];

/// Which lines are logged.
#[derive(Debug)]
pub(crate) struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Takes another one for the lines from now on.
    pub(crate) fn change(&self, filter: EnvFilter) {
        // Where somebody else logs, there is nothing to filter.
        drop(self.0.reload(with_engine(filter)));
    }
}

/// Starts logging. A second call has no effect.
pub(crate) fn start(format: LogFormat, filter: EnvFilter) -> Filter {
    let (filter, handle) = reload::Layer::new(with_engine(filter));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_timer(SystemTime);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Where somebody else logs already, as in tests, theirs will do.
    drop(tracing_subscriber::registry().with(filter).with(lines).try_init());
    Filter(handle)
}

fn with_engine(filter: EnvFilter) -> EnvFilter {
    let quiet = ENGINE.iter().filter_map(|directive| directive.parse().ok());
    quiet.fold(filter, EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Sources of a program, one after the other.
    fn sources(directory: &Path) -> String {
        let mut all = String::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all += &sources(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all += &fs::read_to_string(path).unwrap();
            }
        }
        all
    }

    /// Whoever sets an alarm on a line that nobody logs is never woken.
    #[test]
    fn every_line_that_is_worth_an_alarm_is_logged() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let logging =
            ["ledger-node/src", "crates/io/api/src", "crates/io/peer/src", "crates/io/store/src"];
        let sources: String = logging.iter().map(|part| sources(&root.join(part))).collect();
        let document = include_str!("../../docs/OPERATING.md");
        let table = document.split("Log lines worth an alarm:").nth(1).unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with('|'));
        let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
        let mut lines = 0;
        for row in rows {
            // What stands with it is the name of a field and its value.
            let cell = row.split('|').nth(1).unwrap();
            let named = cell.split(" with ").next().unwrap().split('`').skip(1).step_by(2);
            for line in named {
                assert!(sources.contains(&format!("\"{line}\"")), "nobody logs {line:?}");
                lines += 1;
            }
        }
        assert!(lines > 10, "{lines} lines were found");
    }
}
