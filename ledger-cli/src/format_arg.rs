//! `-o`: on every command the form of the answer, except on those that write a file, where it is the file.

use clap::{Arg, ArgMatches, Command, ValueEnum as _, builder::EnumValueParser};

use crate::report::Format;

const ID: &str = "answer-format";

/// Adds the option to a command and all below it. Commands with a `-o` of their own have only the long form.
pub(crate) fn with_format(command: Command) -> Command {
    let writes_file = command.get_arguments().any(|argument| argument.get_short() == Some('o'));
    let option = Arg::new(ID)
        .long("output")
        .value_name("FORMAT")
        .value_parser(EnumValueParser::<Format>::new())
        .help("Form of the answer [default: table]")
        .display_order(900);
    let option = if writes_file { option } else { option.short('o') };
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.arg(option);
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_format))
}

/// The format that was asked for, on the command itself or on one above it.
pub(crate) fn format(matches: &ArgMatches) -> Format {
    let below = matches.subcommand().and_then(|(_, below)| given(below));
    below.or_else(|| matches.get_one(ID).copied()).unwrap_or_default()
}

fn given(matches: &ArgMatches) -> Option<Format> {
    let below = matches.subcommand().and_then(|(_, below)| given(below));
    below.or_else(|| matches.get_one(ID).copied())
}

/// The format that a command line asks for that could not be parsed, so that scripts get errors in their form.
pub(crate) fn guess(arguments: &[std::ffi::OsString]) -> Format {
    let words = arguments.iter().filter_map(|argument| argument.to_str());
    let asked = words.clone().zip(words.skip(1)).find_map(|(option, value)| {
        matches!(option, "-o" | "--output").then(|| Format::from_str(value, false).ok()).flatten()
    });
    asked.unwrap_or_default()
}
