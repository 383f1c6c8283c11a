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
    let words: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let format = |value: &str| Format::from_str(value, false).ok();
    let joined = |word: &str| {
        ["--output=", "-o=", "-o"].iter().find_map(|option| format(word.strip_prefix(option)?))
    };
    let apart = |pair: &[&str]| match pair {
        ["-o" | "--output", value] => format(value),
        _ => None,
    };
    let apart = words.windows(2).find_map(apart);
    apart.or_else(|| words.iter().find_map(|word| joined(word))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_command_line_has_the_form_that_it_asks_for_however_it_is_written() {
        for (line, expected) in [
            ("bogus -o json", Format::Json),
            ("bogus -ojson", Format::Json),
            ("bogus -o=json", Format::Json),
            ("--output json bogus", Format::Json),
            ("--output=jsonl bogus", Format::Jsonl),
            ("export chain -o chain.ledger", Format::Table),
            ("bogus json", Format::Table),
        ] {
            let words: Vec<_> = line.split(' ').map(std::ffi::OsString::from).collect();
            assert_eq!(guess(&words), expected, "{line}");
        }
    }
}
