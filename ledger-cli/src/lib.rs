//! The command line of the provenance ledger: participants act, auditors verify, everybody asks.
//!
//! **Invariants.** `verify` needs no network, and never says "proven" without a stated trust. Every answer has a form for people and
//! one for programs. Only `report` prints. What is proven, allowed or true is decided in the library crates, never here.

mod acts;
mod args;
mod commitment;
mod draft;
mod evidence;
#[cfg(test)]
mod examples;
mod explain;
mod export;
mod format_arg;
mod import;
mod keys;
mod network;
mod pages;
mod prove;
mod reading;
mod report;
mod session;
mod signing;
mod text;
mod values;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use ledger_client::ClientError;

use crate::args::{Cli, Command};
use crate::report::{Answer, Format};
use crate::session::Common;

/// The whole command line, for completions and manual pages.
pub(crate) fn command() -> clap::Command {
    format_arg::with_format(Cli::command())
}

/// Runs a command line and gives the exit code of the process.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let parsed = command().try_get_matches_from(&arguments).and_then(|matches| {
        let format = format_arg::format(&matches);
        Cli::from_arg_matches(&matches).map(|cli| (cli, format))
    });
    match parsed {
        Ok((cli, format)) => ExitCode::from(run(cli, format)),
        Err(error) => usage(&error, format_arg::guess(&arguments)),
    }
}

fn usage(error: &clap::Error, format: Format) -> ExitCode {
    if format == Format::Table || !error.use_stderr() {
        let _closed = error.print();
    } else {
        report::failure(format, &ClientError::usage(error.render()));
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn run(cli: Cli, format: Format) -> u8 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime
        .map_err(ClientError::io("runtime"))
        .and_then(|runtime| runtime.block_on(carry_out(cli, format)));
    match result {
        Ok(answer) => {
            let unwritten = report::answer(format, &answer).err();
            let unwritten = unwritten.map(|error| failed(format, &error));
            // A verdict stays one where nobody can read it.
            if answer.exit == 0 { unwritten.unwrap_or(0) } else { answer.exit }
        }
        Err(error) => failed(format, &error),
    }
}

fn failed(format: Format, error: &ClientError) -> u8 {
    report::failure(format, error);
    error.failure.exit_code()
}

#[expect(clippy::cognitive_complexity, reason = "one line a command")]
async fn carry_out(cli: Cli, format: Format) -> Result<Answer, ClientError> {
    let common: &Common = &cli.common;
    match cli.command {
        Command::Key(command) => keys::run(common, command).await,
        Command::Party(command) => acts::identity::party(common, command).await,
        Command::Asset(command) => acts::asset::run(common, command).await,
        Command::Registration(command) => acts::registration::run(common, command).await,
        Command::Review(command) => acts::review::run(common, command).await,
        Command::Listing(command) => acts::listing::run(common, command).await,
        Command::Contract(command) => acts::contract::run(common, command).await,
        Command::Delivery(command) => acts::delivery::run(common, command).await,
        Command::RuleSet(command) => acts::governance::rule_set(common, command).await,
        Command::Calendar(command) => acts::governance::calendar(common, command).await,
        Command::Validator(command) => acts::validators::validators(common, command).await,
        Command::Protocol(command) => acts::validators::protocol(common, command).await,
        Command::Budget(command) => acts::budgets::run(common, command).await,
        Command::Network(command) => network::run(common, command),
        Command::Draft(command) => draft::run(common, command).await,
        Command::Submit(submit) => draft::submit_entry(common, &submit).await,
        Command::Commitment(command) => commitment::run(&command),
        Command::Import(import) => import::run(common, &import).await,
        Command::Show(show) => reading::show(common, &show).await,
        Command::History(history) => reading::history(common, &history).await,
        Command::Trace(trace) => reading::trace(common, &trace).await,
        Command::Watch(watch) => reading::watch(common, &watch, format).await,
        Command::Status => reading::status(common).await,
        Command::Checkpoint(checkpoint) => reading::checkpoint(common, &checkpoint).await,
        Command::Export(command) => export::run(common, &command).await,
        Command::Prove(command) => prove::run(common, &command).await,
        Command::Evidence(command) => evidence::run(common, &command).await,
        Command::Verify(command) => verify::run(common, command).await,
        Command::Explain(explain) => explain::run(&explain),
        Command::Completion(completion) => pages::completion(&completion),
        Command::Man(man) => pages::man(&man),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An option of a command and one of all commands must not share an identifier: reading one as the other would panic.
    #[test]
    fn options_of_commands_are_none_of_the_common_ones() {
        fn check(command: &clap::Command, common: &[String]) {
            for below in command.get_subcommands() {
                let mut own = below.get_arguments().map(|argument| argument.get_id().to_string());
                let clash = own.find(|id| common.contains(id));
                assert_eq!(clash, None, "in {}", below.get_name());
                check(below, common);
            }
        }
        let all = command();
        let common = all.get_arguments().filter(|argument| argument.is_global_set());
        let common: Vec<String> = common.map(|argument| argument.get_id().to_string()).collect();
        assert!(common.iter().any(|id| id == "keys"), "{common:?}");
        check(&all, &common);
        all.debug_assert();
    }
}
