//! Completions and manual pages.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use ledger_client::ClientError;
use serde_json::json;

use crate::command;
use crate::report::{self, Answer};

/// Options of `completion`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:
  ledger-cli completion bash \\
      > /usr/share/bash-completion/completions/ledger-cli")]
pub(crate) struct Completion {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Options of `man`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:
  ledger-cli man /usr/share/man/man1")]
pub(crate) struct Man {
    /// Directory to write to
    directory: PathBuf,
}

pub(crate) fn completion(args: &Completion) -> Result<Answer, ClientError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "ledger-cli", &mut script);
    report::bytes(&script)?;
    Ok(Answer::printed())
}

pub(crate) fn man(args: &Man) -> Result<Answer, ClientError> {
    let failed = || ClientError::io(args.directory.display());
    fs::create_dir_all(&args.directory).map_err(failed())?;
    clap_mangen::generate_to(command(), &args.directory).map_err(failed())?;
    let directory = args.directory.display().to_string();
    let text = format!("manual pages written to {directory}; man -l {directory}/ledger-cli.1");
    Ok(Answer::new("man", json!({ "directory": directory }), text))
}
