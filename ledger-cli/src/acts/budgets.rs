//! Budgets: how much parties and exchanges may write in a window of time.

use clap::{Args, Subcommand};
use ledger_client::{ClientError, Node};
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{ActivityRecord, Budget as Limit, Budgets, BudgetsSet, LedgerRecord, Spending};
use ledger_format::id::SubjectKind;
use ledger_rules::genesis::LEDGER;
use serde_json::{Value, json};

use super::act;
use crate::report::Answer;
use crate::session::Common;
use crate::signing::SignArgs;
use crate::text;
use crate::values::{seconds, subject};

/// Budgets. What a party writes is charged to the exchange that admitted it
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Budget {
    /// Set the budgets. Signed by parties of more than two thirds of the validators' power. Needs protocol version 3
    #[command(after_help = "Example:
  ledger-cli budget set --window 1h --party-entries 1000 \\
      --exchange-entries 100000 --key szdex-org --with gzdex-org.pub \\
      --draft b.draft")]
    Set(Box<Set>),
    /// Lift all budgets. Signed as they are set
    #[command(after_help = "Example:
  ledger-cli budget lift --key szdex-org --with gzdex-org.pub \\
      --draft lift.draft")]
    Lift {
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Show the budgets, and what a party has spent
    #[command(after_help = "Example:
  ledger-cli budget show szdex")]
    Show {
        /// A party
        party: Option<String>,
    },
}

/// Options of `budget set`. What is left out is not limited.
#[derive(Clone, Debug, Args)]
pub(crate) struct Set {
    /// Length of a window, up to a day
    #[arg(long, value_name = "LENGTH", value_parser = seconds)]
    window: u64,
    /// Entries of a party in a window
    #[arg(long, value_name = "N", default_value_t = 0)]
    party_entries: u64,
    /// Bytes of a party's entries in a window
    #[arg(long, value_name = "N", default_value_t = 0)]
    party_bytes: u64,
    /// Entries of an exchange in a window, with those of the parties that it admitted
    #[arg(long, value_name = "N", default_value_t = 0)]
    exchange_entries: u64,
    /// Bytes of these
    #[arg(long, value_name = "N", default_value_t = 0)]
    exchange_bytes: u64,
    #[command(flatten)]
    sign: SignArgs,
}

pub(crate) async fn run(common: &Common, command: Budget) -> Result<Answer, ClientError> {
    let (budgets, sign) = match command {
        Budget::Show { party } => return show(common, party.as_deref()).await,
        Budget::Set(set) => (Some(budgets(&set)?), set.sign),
        Budget::Lift { sign } => (None, *sign),
    };
    let event = Act::BudgetsSet(BudgetsSet { budgets });
    act(common, &sign, SubjectKind::Ledger, "genesis", event).await
}

fn budgets(set: &Set) -> Result<Budgets, ClientError> {
    let window_s = u32::try_from(set.window)
        .map_err(|error| ClientError::usage(format!("--window: {error}")))?;
    let limit = |entries, bytes| Some(Limit { entries, bytes });
    Ok(Budgets {
        window_s,
        party: limit(set.party_entries, set.party_bytes),
        exchange: limit(set.exchange_entries, set.exchange_bytes),
    })
}

async fn show(common: &Common, party: Option<&str>) -> Result<Answer, ClientError> {
    let mut node = common.connect().await?;
    let Some(Body::Ledger(ledger)) = body(&mut node, LEDGER).await? else {
        return Err(ClientError::absent(LEDGER));
    };
    let LedgerRecord { budgets, .. } = ledger;
    let mut value = json!({ "budgets": budgets.as_ref().map(limits) });
    if let Some(party) = party {
        let subject = subject(SubjectKind::Party, party)?;
        if body(&mut node, subject.as_str()).await?.is_none() {
            return Err(ClientError::absent(subject));
        }
        let party = subject.name();
        let id = format!("activity:party/{party}");
        let activity = match body(&mut node, &id).await? {
            Some(Body::Activity(activity)) => activity,
            _ => ActivityRecord::default(),
        };
        value["party"] = json!(party);
        value["spent"] = json!({
            "own": activity.own.as_ref().map(spent),
            "with_those_it_admitted": activity.charged.as_ref().map(spent),
        });
    }
    let text = text::render(&value);
    Ok(Answer::new("budgets", value, text))
}

async fn body(node: &mut Node, id: &str) -> Result<Option<Body>, ClientError> {
    Ok(node.record(id, 0, 0, false).await?.record.and_then(|record| record.body))
}

fn limits(budgets: &Budgets) -> Value {
    let limit = |limit: Option<Limit>| {
        let Limit { entries, bytes } = limit.unwrap_or_default();
        let most = |value: u64| (value > 0).then_some(value);
        json!({ "entries": most(entries), "bytes": most(bytes) })
    };
    json!({
        "window_s": budgets.window_s,
        "party": limit(budgets.party),
        "exchange": limit(budgets.exchange),
    })
}

/// What was spent in the latest window in which anything was.
fn spent(spending: &Spending) -> Value {
    let Spending { since_s, entries, bytes } = spending;
    json!({ "since": text::time_s(*since_s), "entries": entries, "bytes": bytes })
}
