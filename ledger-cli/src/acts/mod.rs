//! One command for each act of the main path: options become an event, `signing` does the rest.

pub(crate) mod asset;
pub(crate) mod budgets;
pub(crate) mod contract;
pub(crate) mod delivery;
pub(crate) mod governance;
pub(crate) mod identity;
pub(crate) mod listing;
pub(crate) mod registration;
pub(crate) mod review;
pub(crate) mod set_change;
pub(crate) mod validators;

use ledger_client::{ClientError, Node};
use ledger_event::AssetRecord;
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_format::id::{Subject, SubjectKind};

use crate::report::Answer;
use crate::session::Common;
use crate::signing::{Planned, SignArgs, perform};
use crate::values::subject;

/// Connects, signs and submits an act on a subject that a command names.
pub(crate) async fn act(
    common: &Common,
    sign: &SignArgs,
    kind: SubjectKind,
    name: &str,
    act: Act,
) -> Result<Answer, ClientError> {
    let planned = Planned { subject: subject(kind, name)?, act };
    perform(common, &mut common.connect().await?, sign, planned).await
}

/// An asset as the ledger has it.
async fn asset(node: &mut Node, id: &Subject) -> Result<AssetRecord, ClientError> {
    let found = node.record(id.as_str(), 0, 0, false).await?;
    match found.record.and_then(|record| record.body) {
        Some(Body::Asset(asset)) => Ok(asset),
        _ => Err(ClientError::absent(id)),
    }
}

/// The version that was asked for, or the asset's latest.
async fn version(node: &mut Node, id: &Subject, asked: Option<u32>) -> Result<u32, ClientError> {
    match asked {
        Some(version) => Ok(version),
        None => Ok(asset(node, id).await?.version),
    }
}
