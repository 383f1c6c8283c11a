//! The command line.

use clap::{Parser, Subcommand};

use crate::session::Common;
use crate::{
    acts, commitment, draft, evidence, explain, export, import, keys, network, pages, prove,
    reading, verify,
};

const EXIT_CODES: &str = "Exit codes:
  0   done; for verify: every check passed under the stated trust
  1   other failure, or the ledger refuses the act    2   usage
  10  refuted: evidence contradicts the claim         11  malformed or truncated input
  12  not determined: something needed is missing     13  right in itself, the stated trust is not met
  20  no connection      22  not allowed              23  not found
  24  conflict           25  too much at once         26  outcome unknown
  27  a signature is missing

Codes in messages: ledger-cli explain CODE";

/// Participants' and auditors' tool of the provenance ledger
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ledger-cli",
    version,
    about,
    after_long_help = EXIT_CODES,
    after_help = "Exit codes and more: --help",
    arg_required_else_help = true,
    subcommand_required = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do. Nouns for the acts of the ledger, verbs for asking and checking.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, list and show your keys; enrol and revoke keys on the ledger
    #[command(subcommand)]
    Key(keys::Command),
    /// Admit parties
    #[command(subcommand)]
    Party(acts::identity::Party),
    /// Describe and revise data assets, state claims about their past
    #[command(subcommand)]
    Asset(acts::asset::Command),
    /// Register property rights: apply, accept, review, notice, evidence, certify
    #[command(subcommand)]
    Registration(acts::registration::Command),
    /// Compliance reviews: submit, decide
    #[command(subcommand)]
    Review(acts::review::Command),
    /// Listings: apply, publish
    #[command(subcommand)]
    Listing(acts::listing::Command),
    /// Contracts between seller and buyer
    #[command(subcommand)]
    Contract(acts::contract::Command),
    /// Deliveries: plan, send, ack, complete
    #[command(subcommand)]
    Delivery(acts::delivery::Command),
    /// Publish rule sets
    #[command(subcommand, name = "ruleset")]
    RuleSet(acts::governance::RuleSets),
    /// Publish calendars of working days
    #[command(subcommand)]
    Calendar(acts::governance::Calendars),
    /// Show, add, remove and renew validators
    #[command(subcommand)]
    Validator(acts::validators::Validators),
    /// Activate a version of the protocol
    #[command(subcommand)]
    Protocol(acts::validators::Protocol),
    /// Set, lift and show how much parties may write
    #[command(subcommand)]
    Budget(acts::budgets::Budget),
    /// Found a network: the ceremony in which every founder signs one genesis
    #[command(subcommand)]
    Network(network::Command),
    /// Acts that several must sign: show, sign, submit
    #[command(subcommand)]
    Draft(draft::Command),
    /// Commit to a value that stays off the ledger, and open the commitment
    #[command(subcommand)]
    Commitment(commitment::Command),
    /// Submit a saved entry (again); it counts once
    Submit(draft::SubmitEntry),
    /// Import a catalogue: datapackage.json, CSV, CKAN or DCAT JSON. Can be broken off and run again
    Import(import::Import),

    /// Show a record (asset:…, contract:…, …), an entry (its id) or the entry at leaf:N
    Show(reading::Show),
    /// List all entries about a subject, oldest first, and check that none is missing
    History(reading::History),
    /// Show what something came from and what came of it
    Trace(reading::Trace),
    /// Follow entries as they become final
    Watch(reading::Watch),
    /// Show how a node and its ledger are
    Status,
    /// Print the tree head after a block, as a signed note
    Checkpoint(reading::Checkpoint),

    /// Write the chain to a file that verifies offline
    #[command(subcommand)]
    Export(export::Command),
    /// Write a proof that verifies offline
    #[command(subcommand)]
    Prove(prove::Command),
    /// List and fetch what proves that validators lied, and record it on the ledger
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Check evidence: chains, entries, receipts, records, checkpoints, delivered files, lies of validators
    #[command(subcommand)]
    Verify(verify::Command),

    /// Explain a code
    Explain(explain::Explain),
    /// Print completions for a shell
    Completion(pages::Completion),
    /// Write the manual pages to a directory
    Man(pages::Man),
}
