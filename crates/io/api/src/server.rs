//! The server: services, health, reflection, limits.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_event::Clock;
use ledger_format::digest::KeyId;
use ledger_format::genesis::PROTOCOL_VERSIONS;
use ledger_format::limits::{
    MAX_BLOCK_BYTES, MAX_BLOCK_ENTRIES, MAX_CHANGES_BYTES, MAX_EVIDENCE_BYTES, MAX_GENESIS_BYTES,
    MAX_VALIDATORS,
};
use ledger_format::validators::Validators;
use ledger_proto::v1;
use ledger_proto::v1::audit_service_server::AuditServiceServer;
use ledger_proto::v1::node_service_server::{NodeService, NodeServiceServer};
use ledger_proto::v1::query_service_server::QueryServiceServer;
use ledger_proto::v1::submit_service_server::SubmitServiceServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower::util::MapRequestLayer;

use crate::audit::Audit;
use crate::connections::connections;
use crate::health;
use crate::held::Bounds;
use crate::query::{self, Query};
use crate::reach;
use crate::reads::{self, Reads};
use crate::seals::Refusals;
use crate::shared::Shared;
use crate::stops::Stops;
use crate::submit::{self, Submit};
use crate::suspects::Suspect;
use crate::unfinished::{CountRequests, Unfinished};
use crate::unread::CountAnswers;

/// Longest message that is read: a stream message of entries.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;
/// Longest message of services that read no entries: none of their requests has more than ids, names, numbers and a page token.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// Longest message that is written: a block, or an evidence file.
const MAX_RESPONSE_BYTES: usize = 20 * 1024 * 1024;

const _: () = {
    let file = MAX_GENESIS_BYTES + MAX_CHANGES_BYTES + MAX_EVIDENCE_BYTES;
    let certificate = 128 * MAX_VALIDATORS;
    let block = MAX_BLOCK_BYTES + 8 * MAX_BLOCK_ENTRIES + certificate;
    assert!(block + 1_024 <= MAX_RESPONSE_BYTES, "a block is too long for an answer");
    assert!(file + 1_024 <= MAX_RESPONSE_BYTES, "an evidence file is too long for an answer");
};

/// Calls that one connection may have open.
const MAX_CALLS_PER_CONNECTION: u32 = 1_024;
/// How long a stream waits for its client to take something of it.
const STALLED: Duration = Duration::from_mins(1);
/// Entries after which a height is kept no longer for whoever reads its records: some kilobytes each.
const KEPT_FOR: u64 = 100_000;
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] tonic::transport::Error),
    /// The service descriptions cannot be read.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// The node's own service.
#[derive(Debug, Clone)]
struct Node {
    shared: Arc<Shared>,
    version: &'static str,
}

#[tonic::async_trait]
impl NodeService for Node {
    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let genesis = &self.shared.genesis;
        let connected = self.shared.seals.connected();
        let head = self.shared.head();
        // Once, and let go: whoever holds the ledger and reads it again waits for a writer that waits for it.
        let (validators, protocol, records) = {
            let ledger = self.shared.ledger();
            (ledger.validators().clone(), ledger.protocol(), ledger.record_count())
        };
        let (pool_entries, pool_bytes) = self.shared.pool();
        let (planned_version, planned_height) = protocol.planned.unwrap_or_default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let clock = match genesis.clock() {
            Clock::Declared => "declared",
            Clock::Wall | Clock::Unspecified => "wall",
        };
        Ok(Response::new(v1::GetStatusResponse {
            version: self.version.to_owned(),
            ledger_name: genesis.message().name.clone(),
            ledger_id: Bytes::copy_from_slice(genesis.id().as_bytes()),
            height: head.height,
            tree_size: head.tree_size,
            time_ms: head.time_ms,
            clock: clock.to_owned(),
            validators: count(validators.members().len()),
            tolerated_faults: count(validators.tolerated_faults()),
            records,
            pool_entries: wide(pool_entries),
            pool_bytes: wide(pool_bytes),
            uptime_s: self.shared.uptime_s(),
            notices: notices(&self.shared, &validators, &connected),
            role: self.shared.role().word().to_owned(),
            protocol_version: protocol.version,
            known_protocol_version: *PROTOCOL_VERSIONS.end(),
            planned_protocol_version: planned_version,
            planned_protocol_height: planned_height,
            evidence: count(self.shared.evidence.count()),
            recovering: self.shared.is_recovering(),
            suspects: suspects(&self.shared),
            refusals: refusals(&self.shared),
            seen: reach::seen(
                &validators,
                &self.shared.vote_keys,
                &connected,
                &self.shared.outcomes.replication.reported(),
            ),
        }))
    }
}

fn suspects(shared: &Shared) -> Vec<v1::Suspect> {
    let all = shared.suspects.all().into_iter();
    let suspect = |(peer, suspect): (KeyId, Suspect)| v1::Suspect {
        peer: Bytes::copy_from_slice(peer.as_bytes()),
        count: suspect.count,
        height: suspect.height,
        code: suspect.why.code.as_str().to_owned(),
        detail: suspect.why.detail,
    };
    all.map(suspect).collect()
}

fn refusals(shared: &Shared) -> Vec<v1::Refusals> {
    let entries = shared.outcomes.refusals().into_iter();
    let entries = entries.map(|(code, count)| Refusals { code, count, by_others: false });
    let all = shared.seals.refusals().into_iter().chain(entries);
    let told = |Refusals { code, count, by_others }| v1::Refusals {
        code: code.to_owned(),
        count,
        by_others,
    };
    all.map(told).collect()
}

fn notices(shared: &Shared, validators: &Validators, connected: &[KeyId]) -> Vec<String> {
    let mut notices = shared.membership_notices();
    if shared.is_recovering() {
        let height = shared.head().height;
        notices.extend(reach::of_memory(validators, &shared.vote_keys, &shared.reports(), height));
        notices.extend(reach::of_reports(validators, &shared.vote_keys, connected));
    }
    notices.extend(shared.clocks.notice(validators, Instant::now()));
    notices.extend(reach::out_of_reach(shared, validators, connected));
    notices.extend(intolerant(validators));
    if shared.genesis.clock() == Clock::Declared {
        notices.push(
            "the clock is declared: times follow what entries claim, and prove nothing".to_owned(),
        );
    }
    let evidence = shared.evidence.count();
    if evidence > 0 {
        notices.push(format!(
            "{evidence} proof(s) that validators lied: `ledger-cli evidence list` names them"
        ));
    }
    notices
}

/// What it means that a set tolerates no fault. Where a block needs everybody's signature, as with two or three of equal power, a second
/// history needs every honest one's as well (docs/adr/0025): then the ledger only stops. Who signs alone can rewrite it, and so may one
/// with whom others are a quorum in two ways.
fn intolerant(validators: &Validators) -> Option<String> {
    if validators.tolerated_faults() > 0 {
        return None;
    }
    let count = validators.members().len();
    let least = validators.members().iter().map(|member| u64::from(member.power)).min()?;
    let needs_all = !validators.is_quorum(validators.total_power().saturating_sub(least));
    Some(if count == 1 {
        "1 validator: the ledger stops with its failure, and its operator alone can rewrite it"
            .to_owned()
    } else {
        let rewritten = if needs_all { "" } else { ", or can be rewritten," };
        format!("{count} validators: the ledger stops{rewritten} with the failure of one")
    })
}

/// What a server is told beside what it serves.
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    /// The program's version.
    pub version: &'static str,
    /// Connections of clients at one time; who comes then waits until one ends.
    pub connections: usize,
    /// What is read for them at a time.
    pub reads: usize,
    /// What is held of their requests that are not whole.
    pub unfinished: Unfinished,
    /// What is held of answers that they do not read.
    pub unread: Bounds,
    /// How long a stream waits for its client to take something of it.
    pub stalled: Duration,
    /// Entries that streams have brought, and that are under way or whose answers wait to be read.
    pub under_way: Bounds,
    /// Bytes of entries of a block that a watch takes at once.
    pub watched: usize,
    /// Entries after which the state of a height is kept no longer for whoever reads its records.
    pub kept_for: u64,
    /// How long the node must not have reached those who decide before health says so.
    pub patience: Duration,
}

impl Serving {
    /// With the bounds that docs/API.md states.
    pub fn new(version: &'static str, connections: usize) -> Self {
        Self {
            version,
            connections,
            reads: reads::most(),
            unfinished: Unfinished::default(),
            unread: Bounds::default(),
            stalled: STALLED,
            under_way: submit::UNDER_WAY,
            watched: query::WATCHED_BYTES,
            kept_for: KEPT_FOR,
            patience: health::PATIENCE,
        }
    }
}

/// Serves until `stop` is done; then health says so, calls under way end, and the function returns.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    Serving {
        version,
        connections: most,
        reads,
        unfinished,
        unread,
        stalled,
        under_way,
        watched,
        kept_for,
        patience,
    }: Serving,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    health::say_not_serving(&reporter).await;
    let (stop_streams, stops) = Stops::new();
    let told_of = Arc::clone(&shared);
    let reads = Reads::new(Arc::clone(&shared), reads);
    let submit = SubmitServiceServer::new(Submit::new(reads.clone(), under_way, stops.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    let query = QueryServiceServer::new(Query::new(reads.clone(), watched, stops))
        .max_decoding_message_size(MAX_QUESTION_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    let audit = AuditServiceServer::new(Audit::new(reads, kept_for))
        .max_decoding_message_size(MAX_QUESTION_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES);
    let node = NodeServiceServer::new(Node { shared, version })
        .max_decoding_message_size(MAX_QUESTION_BYTES);
    let requests = CountRequests::new(unfinished);
    let stopping = async move {
        health::say_until(stop, &told_of, &reporter, patience).await;
        // Streams without an end are ended, the rest is drained.
        stop_streams.say();
    };
    Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(4 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_concurrent_streams(MAX_CALLS_PER_CONNECTION)
        .layer(MapRequestLayer::new(move |request| requests.counting(request)))
        .layer(CountAnswers::new(unread, stalled))
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(submit)
        .add_service(query)
        .add_service(audit)
        .add_service(node)
        .serve_with_incoming_shutdown(connections(listener, most), stopping)
        .await?;
    Ok(())
}

/// Both versions are served: grpcurl and older tools still ask for v1alpha.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(ledger_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

#[cfg(test)]
mod tests {
    use ledger_story::members::{MEMBERS, set};

    use super::*;

    #[test]
    fn only_a_ledger_that_one_can_fork_is_said_to_be_rewritten_by_one() {
        let told = |powers: &[u32]| {
            let mut set = set(&MEMBERS);
            set.validators.truncate(powers.len());
            for (member, power) in set.validators.iter_mut().zip(powers) {
                member.power = *power;
            }
            assert_eq!(set.validators.len(), powers.len());
            intolerant(&Validators::new(set).unwrap())
        };
        let rewritten = |powers: &[u32]| told(powers).unwrap().contains("can be rewritten");
        assert!(told(&[1]).unwrap().ends_with("its operator alone can rewrite it"));
        for all_sign in [&[1, 1][..], &[1, 1, 1]] {
            let text = told(all_sign).unwrap();
            assert!(text.ends_with("the ledger stops with the failure of one"), "{text}");
        }
        // The first with either of the others is a quorum; the first is one alone.
        assert!(rewritten(&[40, 30, 30]) && rewritten(&[9, 1]));
        assert_eq!(told(&[1, 1, 1, 1]), None);
    }
}
