//! Errors of the services: a google.rpc.Status whose ErrorInfo carries the stable code, the same one as in the CLI and the documents.

use std::collections::HashMap;
use std::time::Duration;

use ledger_format::malformed::{Explanation, Malformed};
use ledger_proto::codes;
use ledger_rules::{Code as Rule, Refusal};
use ledger_store::{ProofError, StoreError};
use ledger_verify::finding::Refuted;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Domain of the codes in ErrorInfo.
pub const ERROR_DOMAIN: &str = "ledger.v1";

/// Bytes of an error's text at most. It travels in HTTP headers, and a client that gets more of them than it takes gives up its
/// connection; what a caller sent may be part of the text.
const MAX_TEXT_BYTES: usize = 1_024;

/// Why a call is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The gRPC code.
    pub grpc: Code,
    /// The stable code.
    pub code: &'static str,
    /// Cause, expected and found.
    pub message: String,
    /// The next step.
    pub help: &'static str,
    /// When to try again, for problems that pass.
    pub retry_after: Option<Duration>,
}

macro_rules! problems {
    ($($name:ident: $grpc:ident = $explanation:ident;)*) => {
        impl Problem {
            $(#[doc = concat!("[`codes::", stringify!($explanation), "`].")]
            pub fn $name(detail: impl Into<String>) -> Self {
                let Explanation { code, text, help, .. } = codes::$explanation;
                let message = format!("{text} ({})", detail.into());
                Self { grpc: Code::$grpc, code, message, help, retry_after: None }
            })*
        }
    };
}

problems! {
    bad_request: InvalidArgument = BAD_REQUEST;
    not_found: NotFound = NOT_FOUND;
    pool_full: ResourceExhausted = POOL_FULL;
    unfinished: ResourceExhausted = UNFINISHED;
    unread: ResourceExhausted = UNREAD;
    busy: ResourceExhausted = BUSY;
    slow: DeadlineExceeded = SLOW;
    stalled: DeadlineExceeded = STALLED;
    too_many: ResourceExhausted = TOO_MANY;
    timed_out: DeadlineExceeded = TIMED_OUT;
    height_not_kept: OutOfRange = HEIGHT_NOT_KEPT;
    stopping: Unavailable = STOPPING;
    unsigned: Unavailable = UNSIGNED;
    replicas: InvalidArgument = REPLICAS;
    internal: Internal = INTERNAL;
}

impl Problem {
    /// With a time to wait.
    #[must_use]
    pub fn retry(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let all = ledger_format::malformed::CODES;
        let help = all.iter().find(|e| e.code == malformed.code()).map_or("", |e| e.help);
        let (code, message) = (malformed.code(), malformed.to_string());
        Self { grpc: Code::InvalidArgument, code, message, help, retry_after: None }
    }
}

impl From<Refuted> for Problem {
    fn from(refuted: Refuted) -> Self {
        let explanation = refuted.code.explanation();
        let message = format!("{} ({})", explanation.text, refuted.detail);
        let (code, help) = (explanation.code, explanation.help);
        Self { grpc: Code::PermissionDenied, code, message, help, retry_after: None }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let explanation = refusal.code.explanation();
        let message = format!("{} ({})", explanation.text, refusal.detail);
        let (code, help) = (explanation.code, explanation.help);
        Self { grpc: grpc_code(refusal.code), code, message, help, retry_after: None }
    }
}

fn grpc_code(code: Rule) -> Code {
    match code {
        Rule::Conflict | Rule::Duplicate | Rule::SubjectExists | Rule::KeyDuplicate => {
            Code::AlreadyExists
        }
        Rule::SubjectUnknown => Code::NotFound,
        Rule::PriorStale => Code::Aborted,
        Rule::BudgetSpent => Code::ResourceExhausted,
        Rule::OtherLedger | Rule::WindowTooLong | Rule::SubjectKind | Rule::Field => {
            Code::InvalidArgument
        }
        Rule::KeyUnknown
        | Rule::KeyInactive
        | Rule::KeyOfOtherParty
        | Rule::RoleNotGranted
        | Rule::SigMissingRole
        | Rule::SigSameFactor
        | Rule::SigSameOfficer
        | Rule::SigWeakFactor
        | Rule::SigUncalledFor
        | Rule::ValidatorsQuorum
        | Rule::ValidatorsNewQuorum
        | Rule::ValidatorConsent
        | Rule::AckWrongParty => Code::PermissionDenied,
        _ => Code::FailedPrecondition,
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(code = error.code(), %error, "a read failed");
        Self::internal(error.code())
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Arguments(detail) => Self::bad_request(detail),
            ProofError::Store(error) => error.into(),
        }
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut details = ErrorDetails::new();
        let metadata = HashMap::from([("help".to_owned(), problem.help.to_owned())]);
        details.set_error_info(problem.code, ERROR_DOMAIN, metadata);
        if let Some(after) = problem.retry_after {
            details.set_retry_info(Some(after));
        }
        let text = shortened(format!("{}: {}", problem.code, problem.message));
        Self::with_error_details(problem.grpc, text, details)
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push_str(" ...");
    }
    text
}
