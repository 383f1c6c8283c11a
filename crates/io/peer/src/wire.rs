//! Messages between protobuf and what they mean here, and refusals as statuses of gRPC.

use std::collections::HashMap;
use std::error::Error as _;

use bytes::Bytes;
use ledger_proto::peer as v1;
use prost::Message as _;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::code::{By, CODES, Code, Refusal};
use crate::link::Link;
use crate::session::Why;
use crate::settings::Lane;

/// Domain of the codes in ErrorInfo.
pub const ERROR_DOMAIN: &str = "ledger.peer.v1";
/// What a frame has around its payload, and room to spare: two tags, two lengths and the number of a lane.
pub(crate) const FRAME_OVERHEAD: usize = 64;

/// What the other side said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Who it is.
    Hello(v1::Hello),
    /// That it takes this side for what it says it is.
    Admitted,
    /// Something for the layer above.
    Frame(Lane, Bytes),
    /// That it refuses this side, with a code if that is a known one.
    Refused(Option<Code>),
}

/// A message of the stream in one of its directions.
pub(crate) trait Incoming: Sized {
    fn said(self) -> Result<Said, Refusal>;
}

impl Incoming for v1::ExchangeRequest {
    fn said(self) -> Result<Said, Refusal> {
        use v1::exchange_request::Content;
        match self.content {
            Some(Content::Hello(hello)) => Ok(Said::Hello(hello)),
            Some(Content::Admitted(v1::Admitted {})) => Ok(Said::Admitted),
            Some(Content::Frame(frame)) => frame_said(frame),
            Some(Content::Refusal(refusal)) => Ok(Said::Refused(Code::from_name(&refusal.code))),
            None => Err(Refusal::new(Code::Malformed, "a message without content")),
        }
    }
}

impl Incoming for v1::ExchangeResponse {
    fn said(self) -> Result<Said, Refusal> {
        use v1::exchange_response::Content;
        match self.content {
            Some(Content::Hello(hello)) => Ok(Said::Hello(hello)),
            Some(Content::Frame(frame)) => frame_said(frame),
            None => Err(Refusal::new(Code::Malformed, "a message without content")),
        }
    }
}

fn frame_said(frame: v1::Frame) -> Result<Said, Refusal> {
    let lane = match v1::Lane::try_from(frame.lane) {
        Ok(v1::Lane::Consensus) => Lane::Consensus,
        Ok(v1::Lane::Blocks) => Lane::Blocks,
        Ok(v1::Lane::Entries) => Lane::Entries,
        Ok(v1::Lane::Unspecified) | Err(_) => {
            return Err(Refusal::new(Code::Malformed, format!("lane {}", frame.lane)));
        }
    };
    Ok(Said::Frame(lane, frame.payload))
}

/// Reads a message from the dialler.
///
/// # Errors
/// `PEER_MALFORMED`.
pub fn from_dialler(bytes: Bytes) -> Result<Said, Refusal> {
    v1::ExchangeRequest::decode(bytes).map_err(malformed)?.said()
}

/// Reads a message from the acceptor.
///
/// # Errors
/// `PEER_MALFORMED`.
pub fn from_acceptor(bytes: Bytes) -> Result<Said, Refusal> {
    v1::ExchangeResponse::decode(bytes).map_err(malformed)?.said()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn malformed(error: prost::DecodeError) -> Refusal {
    Refusal::new(Code::Malformed, error.to_string())
}

/// A frame as protobuf.
pub(crate) fn frame(lane: Lane, payload: Bytes) -> v1::Frame {
    let lane = match lane {
        Lane::Consensus => v1::Lane::Consensus,
        Lane::Blocks => v1::Lane::Blocks,
        Lane::Entries => v1::Lane::Entries,
    };
    v1::Frame { lane: lane.into(), payload }
}

/// How the acceptor tells the dialler why it refuses. What was found stays in this node's log.
pub(crate) fn status(code: Code) -> Status {
    let explanation = CODES.iter().find(|explanation| explanation.code == code.as_str());
    let (text, help) = explanation.map_or(("", ""), |found| (found.text, found.help));
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([("help".to_owned(), help.to_owned())]);
    details.set_error_info(code.as_str(), ERROR_DOMAIN, metadata);
    let grpc = match code {
        Code::Timeout => tonic::Code::DeadlineExceeded,
        Code::Followers | Code::Places => tonic::Code::ResourceExhausted,
        Code::Twin => tonic::Code::AlreadyExists,
        Code::TooLarge => tonic::Code::OutOfRange,
        Code::Malformed => tonic::Code::InvalidArgument,
        Code::Identity | Code::Certificate => tonic::Code::Unauthenticated,
        Code::Unknown | Code::OtherIdentity | Code::NotAllowed => tonic::Code::PermissionDenied,
        _ => tonic::Code::FailedPrecondition,
    };
    Status::with_error_details(grpc, format!("{code}: {text}"), details)
}

/// Why a stream ended with a status: a refusal by the other side, or one by this side, of what it sent.
pub(crate) fn why(status: &Status, link: &Link) -> Why {
    if let Some((code, by)) = link.fault() {
        return Why::Refused { code, by };
    }
    if let Some(info) = status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN) {
        let code = Code::from_name(&info.reason);
        return code.map_or(Why::Closed, |code| Why::Refused { code, by: By::Them });
    }
    // What tonic finds wrong with a message has no source; a broken connection is the source of its status.
    match status.code() {
        tonic::Code::OutOfRange if status.source().is_none() => {
            Why::Refused { code: Code::TooLarge, by: By::Us }
        }
        tonic::Code::Internal if status.source().is_none() => {
            Why::Refused { code: Code::Malformed, by: By::Us }
        }
        _ => Why::Closed,
    }
}
