//! Rule sets and calendars: documents that the founders publish.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ledger_client::{ClientError, json};
use ledger_event::event::Act;
use ledger_event::{Calendar, CalendarPublished, RuleSet, RuleSetPublished};
use ledger_format::id::SubjectKind;

use super::act;
use crate::report::Answer;
use crate::session::{Common, read_text};
use crate::signing::SignArgs;

/// Rule sets.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RuleSets {
    /// Publish a rule set: JSON of ledger.v1.RuleSet. Signed by as many founders as genesis asks for
    #[command(after_help = "Example:
  ledger-cli ruleset publish CN-NDA-2026-2.json --key founder-org")]
    Publish {
        /// The rule set
        file: PathBuf,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

/// Calendars.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Calendars {
    /// Publish a year of working days: JSON of ledger.v1.Calendar. Signed by as many founders as genesis asks for
    #[command(after_help = "Example:
  ledger-cli calendar publish CN-2027.json --key founder-org")]
    Publish {
        /// The calendar
        file: PathBuf,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

pub(crate) async fn rule_set(common: &Common, command: RuleSets) -> Result<Answer, ClientError> {
    let RuleSets::Publish { file, sign } = command;
    let rules: RuleSet = document("RuleSet", &file)?;
    let name = format!("{}/{}", rules.id, rules.version);
    let event = Act::RuleSetPublished(RuleSetPublished { rule_set: Some(rules) });
    act(common, &sign, SubjectKind::RuleSet, &name, event).await
}

pub(crate) async fn calendar(common: &Common, command: Calendars) -> Result<Answer, ClientError> {
    let Calendars::Publish { file, sign } = command;
    let calendar: Calendar = document("Calendar", &file)?;
    let name = format!("{}/{}", calendar.id, calendar.year);
    let event = Act::CalendarPublished(CalendarPublished { calendar: Some(calendar) });
    act(common, &sign, SubjectKind::Calendar, &name, event).await
}

/// A document from its JSON file, which an error names.
pub(crate) fn document<M: prost::Message + Default>(
    name: &str,
    path: &Path,
) -> Result<M, ClientError> {
    json::from_json(name, &read_text(path)?).map_err(|error| error.at(path.display()))
}
