//! Errors of the client: a stable code, the cause, the next step, and what kind of failure it is.

use std::io;

use ledger_catalogue::SourceError;
use ledger_format::malformed::{Explanation, Malformed};
use ledger_rules::code::Refusal;
use ledger_verify::finding::Refuted;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What kind of failure, for exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Anything else.
    Other,
    /// The call itself is wrong.
    Usage,
    /// The node cannot be reached, or does not answer.
    Connect,
    /// Not allowed: keys, roles, signatures.
    Denied,
    /// No such thing.
    NotFound,
    /// It exists already, or has changed.
    Conflict,
    /// Too much at once.
    Busy,
    /// What became of it is not known.
    Unknown,
    /// Input is not what it should be.
    Malformed,
    /// The rules refuse the act.
    Refused,
    /// Somebody has yet to sign.
    Unsigned,
}

impl Failure {
    /// The exit code of a program that ends with this failure (docs/CLI.md).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Other | Self::Refused => 1,
            Self::Usage => 2,
            Self::Malformed => 11,
            Self::Connect => 20,
            Self::Denied => 22,
            Self::NotFound => 23,
            Self::Conflict => 24,
            Self::Busy => 25,
            Self::Unknown => 26,
            Self::Unsigned => 27,
        }
    }
}

/// Why something did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ClientError {
    /// What kind of failure.
    pub failure: Failure,
    /// Stable code.
    pub code: String,
    /// Cause, expected and found.
    pub message: String,
    /// The next step.
    pub help: String,
}

macro_rules! codes {
    ($($name:ident: $failure:ident = $code:literal, $text:literal, $help:literal;)*) => {
        impl ClientError {
            $(#[doc = $text] pub fn $name(detail: impl std::fmt::Display) -> Self {
                Self {
                    failure: Failure::$failure,
                    code: $code.to_owned(),
                    message: format!("{} ({detail})", $text),
                    help: $help.to_owned(),
                }
            })*
        }

        /// The codes of this crate.
        pub const CODES: &[Explanation] = &[
            $(Explanation { code: $code, text: $text, source: "docs/CLI.md", help: $help },)*
        ];
    };
}

codes! {
    connect: Connect = "CLIENT_CONNECT",
        "The node cannot be reached.",
        "Check --node and that the node runs: `ledger-node status`.";
    file: Other = "CLIENT_FILE",
        "A file cannot be read or written.",
        "See the message: path and cause.";
    file_exists: Conflict = "CLIENT_FILE_EXISTS",
        "A file of that name exists, and is not overwritten.",
        "Choose another name, or move that file away.";
    key: Denied = "CLIENT_KEY",
        "A key file cannot be used.",
        "Check the path and the passphrase; `ledger-cli key list` shows the keys that are there.";
    key_exists: Conflict = "CLIENT_KEY_EXISTS",
        "A key of that name exists, and keys are never overwritten.",
        "Choose another name. If it is a node's key: keys that wait already are shown by `ledger-node keys show`, and `ledger-node keys promote` lets them take the place of the node's.";
    key_readable: Denied = "CLIENT_KEY_READABLE",
        "A key file can be read by others.",
        "Restrict it: chmod 600 FILE. If it was read, revoke the key: `ledger-cli key revoke`.";
    signers: Usage = "CLIENT_SIGNERS",
        "The signatures given do not fit the signers of the act.",
        "Give one key for each signer; `ledger-cli draft show FILE` lists those of a draft.";
    unsigned: Unsigned = "CLIENT_UNSIGNED",
        "Somebody has yet to sign.",
        "Send them the file: `ledger-cli draft sign FILE --key KEY`, or of a ceremony `ledger-cli network genesis sign FILE --key KEY`.";
    cosignature: Denied = "CLIENT_COSIGNATURE",
        "A signature in the draft is not one of the draft as it is.",
        "Do not sign or submit it: it was changed after that signature. Ask whoever sent it, and have that co-signer sign it as it is now, or go on from an earlier copy.";
    founder_taken: Conflict = "CLIENT_FOUNDER_TAKEN",
        "A party, key or validator's name is in the ceremony already.",
        "Every founder is added once, and every key has one place: `ledger-cli network genesis show FILE`. To add a part anew, take it out first: `ledger-cli network genesis remove-member FILE PARTY`.";
    founder_absent: NotFound = "CLIENT_FOUNDER_ABSENT",
        "No founder of that id is in the ceremony.",
        "`ledger-cli network genesis show FILE` names those who are.";
    genesis_signed: Conflict = "CLIENT_GENESIS_SIGNED",
        "Founders have signed the genesis as it is, and a change would void their signatures.",
        "Go on from the file as it was before the first signature; then all sign again.";
    genesis_hash: Denied = "CLIENT_GENESIS_HASH",
        "The genesis in the file is not the one that was agreed on.",
        "Do not sign it. Compare `ledger-cli network genesis show FILE` with the other founders.";
    genesis_signature: Denied = "CLIENT_GENESIS_SIGNATURE",
        "A founder's signature is missing, or is not one of this genesis.",
        "Get the file as that founder signed it. Whoever changed it afterwards has to say why.";
    protocol: Usage = "CLIENT_PROTOCOL",
        "This program does not know that version of the protocol.",
        "Install the version of both programs that knows it, at every node first: a node that does not know the version in force stops.";
    usage: Usage = "CLIENT_USAGE",
        "The command line is not right.",
        "See --help of the command.";
    name_taken: Conflict = "CLIENT_NAME_TAKEN",
        "An asset of that name exists and did not come from that record of the catalogue.",
        "Import under another party, or revise the asset yourself: `ledger-cli asset revise`. If it is the same catalogue under another name, such as one with its version: `--catalogue` with the name that the ledger has.";
    absent: NotFound = "CLIENT_ABSENT",
        "The ledger has nothing of that id.",
        "Check the id; that nothing is there can be proven: `ledger-cli prove record ID`.";
    no_block: NotFound = "CLIENT_NO_BLOCK",
        "The node has no block yet, so nothing can be read from it.",
        "Ask another node, or wait: `ledger-node status` of that node says what it waits for.";
    document: Malformed = "CLIENT_DOCUMENT",
        "A document is not the JSON form of its message.",
        "See proto/ledger/v1 for its fields; names are in lowerCamelCase.";
    answer: Other = "CLIENT_ANSWER",
        "The node's answer lacks what it must hold.",
        "Check that node and client have versions that fit.";
    interrupted: Unknown = "CLIENT_INTERRUPTED",
        "The connection broke before the answer came.",
        "Run the command again when the node answers: an entry or import that is there already counts once.";
    unanswered: Connect = "CLIENT_UNANSWERED",
        "The node did not answer in time, or the connection broke, while something was read from it.",
        "Run the command again, with a longer --timeout, or ask another node with --node: reading changes nothing.";
    random: Other = "CLIENT_RANDOM",
        "The operating system gives no random bytes.",
        "Nothing was signed; see the message.";
    verification: Denied = "CLIENT_VERIFY",
        "The node's answer does not verify.",
        "Do not use it; compare with another node: `ledger-cli verify`.";
}

impl ClientError {
    /// What the rules refuse of a subject: their code, and their next step.
    pub fn refused(subject: impl std::fmt::Display, refusal: &Refusal) -> Self {
        let Explanation { code, text, help, .. } = refusal.code.explanation();
        Self {
            failure: Failure::Refused,
            code: code.to_owned(),
            message: format!("{text} ({subject}: {})", refusal.detail),
            help: help.to_owned(),
        }
    }

    /// The status of a call that only reads: nothing was submitted whose outcome could be unknown.
    pub fn of_reading(status: Status) -> Self {
        let said = status.message().to_owned();
        let error = Self::from(status);
        match (error.failure, error.code.as_str()) {
            (Failure::Unknown, "CLIENT_INTERRUPTED") => Self::unanswered(said),
            // A deadline of the transport; one of the node's own codes says itself what ended.
            (Failure::Unknown, code) if code.starts_with("GRPC_") => {
                Self { failure: Failure::Connect, ..error }
            }
            _ => error,
        }
    }

    /// The same error, of what was read from a file.
    #[must_use]
    pub fn at(self, path: impl std::fmt::Display) -> Self {
        Self { message: format!("{path}: {}", self.message), ..self }
    }

    /// A failed file operation.
    pub fn io(path: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::file(format!("{path}: {error}"))
    }
}

impl From<Malformed> for ClientError {
    fn from(malformed: Malformed) -> Self {
        let all = ledger_format::malformed::CODES;
        let help = all.iter().find(|e| e.code == malformed.code()).map_or("", |e| e.help);
        Self {
            failure: Failure::Malformed,
            code: malformed.code().to_owned(),
            message: malformed.to_string(),
            help: help.to_owned(),
        }
    }
}

impl From<Refuted> for ClientError {
    fn from(refuted: Refuted) -> Self {
        let Explanation { code, text, help, .. } = refuted.code.explanation();
        Self {
            failure: Failure::Denied,
            code: code.to_owned(),
            message: format!("{text} ({}: {})", refuted.place, refuted.detail),
            help: help.to_owned(),
        }
    }
}

impl From<SourceError> for ClientError {
    fn from(error: SourceError) -> Self {
        let code = error.code();
        let all = ledger_catalogue::CODES;
        let help = all.iter().find(|text| text.code == code).map_or("", |text| text.remedy);
        // What cannot be read says nothing of what is in it.
        let unread = matches!(error, SourceError::NotFound { .. } | SourceError::Io { .. });
        Self {
            failure: if unread { Failure::Other } else { Failure::Malformed },
            code: code.to_string(),
            message: error.to_string(),
            help: help.to_owned(),
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let lost = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled);
        if info.is_none() && lost && std::error::Error::source(&status).is_some() {
            // Not an answer: the transport's own words about what it lost.
            return Self::interrupted(status.message());
        }
        let code =
            info.map_or_else(|| format!("GRPC_{:?}", status.code()), |info| info.reason.clone());
        let help = match info {
            Some(info) => info.metadata.get("help").cloned().unwrap_or_default(),
            None => transport_help(status.code()).to_owned(),
        };
        let message = status.message();
        let message = message.strip_prefix(&format!("{code}: ")).unwrap_or(message).to_owned();
        Self { failure: failure(status.code()), code, message, help }
    }
}

/// The next step for a status that came without one of our codes: of the transport, or of what is between.
const fn transport_help(code: Code) -> &'static str {
    match code {
        Code::Unavailable | Code::Cancelled => {
            "Check --node and that the node runs; then run the command again: an entry that is there already counts once."
        }
        Code::DeadlineExceeded => {
            "Run the command again, with a longer --timeout: an entry that is there already counts once."
        }
        Code::OutOfRange => {
            "A message is longer than its reader takes: ask for smaller pieces, or send fewer entries at once. Check that client and node have versions that fit."
        }
        Code::ResourceExhausted => "Try again later, with fewer calls at once.",
        Code::Unimplemented => {
            "Check that client and node have versions that fit, and that --node is the address of its gRPC services."
        }
        Code::PermissionDenied | Code::Unauthenticated => {
            "A node asks nobody who calls: the refusal is of what is between, such as a proxy."
        }
        _ => {
            "Try another node. The operator finds the cause in the log of the node, or of a proxy before it."
        }
    }
}

fn failure(code: Code) -> Failure {
    match code {
        Code::Unavailable | Code::Cancelled => Failure::Connect,
        Code::PermissionDenied | Code::Unauthenticated => Failure::Denied,
        Code::NotFound => Failure::NotFound,
        Code::AlreadyExists | Code::Aborted => Failure::Conflict,
        Code::ResourceExhausted => Failure::Busy,
        Code::DeadlineExceeded => Failure::Unknown,
        Code::InvalidArgument => Failure::Malformed,
        Code::FailedPrecondition | Code::OutOfRange => Failure::Refused,
        Code::Ok | Code::Unknown | Code::Internal | Code::Unimplemented | Code::DataLoss => {
            Failure::Other
        }
    }
}
