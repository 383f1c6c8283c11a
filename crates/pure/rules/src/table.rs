//! The tables of all acts as data: what docs/spec/rules.md prints, what `explain` shows, and what tests hold themselves against.

use alloc::vec::Vec;

use ledger_format::id::SubjectKind;

use crate::act::Rule;
use crate::code::Code;
pub use crate::signers::{Keys, Need, Who};
use crate::{
    asset, budget, contract, delivery, governance, identity, listing, membership, misconduct,
    protocol, registration, review,
};

/// One row of the state machine.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number and act, for example `R1 RegistrationApplied`.
    pub row: &'static str,
    /// The act as its protobuf field is called.
    pub act: &'static str,
    /// What the subject must be.
    pub subject: SubjectKind,
    /// Whether the act opens the subject.
    pub opens: bool,
    /// Whether `prior` must be stated.
    pub binding: bool,
    /// Who signs.
    pub signers: &'static [Need],
    /// The code of each guard, in the order in which they are checked.
    pub guards: Vec<Code>,
}

/// A rule as a row.
pub(crate) fn row<G>(act: &'static str, rule: &Rule<G>) -> Row {
    let Rule { row, subject, opens, binding, signers, guards } = rule;
    let guards = guards.iter().map(|(code, _)| *code).collect();
    Row { row, act, subject: *subject, opens: *opens, binding: *binding, signers, guards }
}

/// All rows, stage by stage.
pub fn rows() -> Vec<Row> {
    let stages = [
        governance::rows(),
        membership::rows(),
        protocol::rows(),
        misconduct::rows(),
        budget::rows(),
        identity::rows(),
        asset::rows(),
        registration::rows(),
        review::rows(),
        listing::rows(),
        contract::rows(),
        delivery::rows(),
    ];
    stages.into_iter().flatten().collect()
}
