//! What a code means.

use clap::Args;
use ledger_client::ClientError;
use ledger_client::explain::{all, explain};
use ledger_rules::table::rows;
use serde_json::{Value, json};

use crate::report::Answer;

/// Options of `explain`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ledger-cli explain PRIOR_STALE
  ledger-cli explain --all -o jsonl")]
pub(crate) struct Explain {
    /// The code
    #[arg(required_unless_present = "all")]
    code: Option<String>,
    /// List all codes
    #[arg(long, conflicts_with = "code")]
    all: bool,
}

pub(crate) fn run(args: &Explain) -> Result<Answer, ClientError> {
    let Some(code) = &args.code else { return Ok(list()) };
    let code = code.to_uppercase();
    let unknown =
        || ClientError::usage(format!("no code {code}: ledger-cli explain --all lists the codes"));
    let found = explain(&code).ok_or_else(unknown)?;
    let guarded: Vec<&str> = rows()
        .into_iter()
        .filter(|row| row.guards.iter().any(|guard| guard.as_str() == code))
        .map(|row| row.row)
        .collect();
    let value = json!({
        "code": found.code, "text": found.text, "source": found.source, "help": found.help, "acts": guarded,
    });
    let mut text = format!(
        "{}\n{}\n\nsource  {}\nhelp    {}",
        found.code, found.text, found.source, found.help
    );
    if !guarded.is_empty() {
        text = format!("{text}\nacts    {}", guarded.join(", "));
    }
    Ok(Answer::new("explanation", value, text))
}

fn list() -> Answer {
    let all = all();
    let lines: Vec<String> = all.iter().map(|e| format!("{:<28} {}", e.code, e.text)).collect();
    let codes: Vec<Value> = all
        .iter()
        .map(|e| json!({ "code": e.code, "text": e.text, "source": e.source, "help": e.help }))
        .collect();
    Answer::list("explanations", "codes", json!({ "codes": codes }), lines.join("\n"))
}
