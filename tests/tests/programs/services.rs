//! What every gRPC service of a node has beside its own calls: health, reflection, and errors that machines can read.

use ledger_proto::v1;
use ledger_tests::{Running, Signal, Supplier, connect, new_ledger};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

fn new() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = new_ledger(directory.path());
    directory
}

async fn channel(node: &Running) -> Channel {
    Endpoint::from_shared(node.url.clone()).unwrap().connect().await.unwrap()
}

#[test]
fn health_says_serving_and_then_not() {
    let directory = new();
    let node = Running::start(directory.path()).unwrap();
    Runtime::new().unwrap().block_on(async {
        let mut health = HealthClient::new(channel(&node).await);
        let services =
            ["", "ledger.v1.SubmitService", "ledger.v1.QueryService", "ledger.v1.AuditService"];
        let mut watches = Vec::new();
        for service in services {
            let request = HealthCheckRequest { service: service.to_owned() };
            let checked = health.check(request.clone()).await.unwrap().into_inner();
            assert_eq!(checked.status(), ServingStatus::Serving, "{service:?}");
            watches.push(health.watch(request).await.unwrap().into_inner());
        }
        let unknown = HealthCheckRequest { service: "ledger.v1.NoService".into() };
        assert_eq!(health.check(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
        let stopped = tokio::task::spawn_blocking(move || node.end(Signal::Terminate));
        for (service, watch) in services.into_iter().zip(watches) {
            let seen: Vec<ServingStatus> =
                watch.map_while(|answer| Some(answer.ok()?.status())).collect().await;
            assert_eq!(seen, [ServingStatus::Serving, ServingStatus::NotServing], "{service:?}");
        }
        assert_eq!(stopped.await.unwrap(), 0);
    });
}

/// The names of services that a version of the reflection service lists.
macro_rules! reflected {
    ($version:ident, $node:expr) => {{
        use tonic_reflection::pb::$version as pb;
        let request = pb::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(pb::server_reflection_request::MessageRequest::ListServices(
                String::new(),
            )),
        };
        let channel = channel($node).await;
        let mut client = pb::server_reflection_client::ServerReflectionClient::new(channel);
        let answers = client.server_reflection_info(tokio_stream::once(request)).await;
        let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
        match answer.message_response {
            Some(pb::server_reflection_response::MessageResponse::ListServicesResponse(list)) => {
                let mut names: Vec<String> = list.service.into_iter().map(|s| s.name).collect();
                names.sort();
                names
            }
            other => panic!("{other:?}"),
        }
    }};
}

#[test]
fn reflection_is_served_in_both_versions() {
    let directory = new();
    let node = Running::start(directory.path()).unwrap();
    Runtime::new().unwrap().block_on(async {
        let (v1, v1alpha) = (reflected!(v1, &node), reflected!(v1alpha, &node));
        // Each lists itself, by its own name.
        let alpha = v1.iter().map(|name| name.replace("reflection.v1.", "reflection.v1alpha."));
        assert_eq!(v1alpha, alpha.collect::<Vec<_>>());
        for service in ["Audit", "Node", "Query", "Submit"] {
            assert!(v1.contains(&format!("ledger.v1.{service}Service")), "{v1:?}");
        }
        assert!(v1.contains(&"grpc.health.v1.Health".to_owned()), "{v1:?}");
    });
}

/// The stable code in a status, which must have all that a caller needs.
fn code_of(status: &tonic::Status) -> String {
    use tonic_types::StatusExt as _;
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "ledger.v1");
    assert!(status.message().starts_with(&format!("{}: ", info.reason)), "{status:?}");
    let explained = ledger_client::explain::explain(&info.reason);
    let explained = explained.unwrap_or_else(|| panic!("nobody explains {}", info.reason));
    assert_eq!(info.metadata.get("help").map(String::as_str), Some(explained.help));
    info.reason.clone()
}

#[test]
fn errors_are_statuses_with_stable_codes() {
    use v1::audit_service_client::AuditServiceClient;
    use v1::query_service_client::QueryServiceClient;
    use v1::submit_service_client::SubmitServiceClient;
    let (directory, elsewhere) = (new(), new());
    let node = Running::start(directory.path()).unwrap();
    let other = Running::start(elsewhere.path()).unwrap();
    Runtime::new().unwrap().block_on(async {
        let mut submit = SubmitServiceClient::connect(node.url.clone()).await.unwrap();
        let mut query = QueryServiceClient::connect(node.url.clone()).await.unwrap();
        let mut audit = AuditServiceClient::connect(node.url.clone()).await.unwrap();
        let mut there = connect(&other).await;
        let stranger = Supplier::admit(&mut there, elsewhere.path(), "supplier").await.unwrap();
        let of = |entry: &[u8]| v1::SubmitRequest {
            entry: entry.to_vec().into(),
            ..v1::SubmitRequest::default()
        };
        let foreign = stranger.describe("asset").unwrap();
        let record = |id: &str| v1::GetRecordRequest { id: id.to_owned(), ..Default::default() };
        let nobody = v1::WaitForRequest { entry_id: vec![7; 32].into(), ..Default::default() };
        let statuses = [
            (
                submit.submit(of(b"no entry")).await.unwrap_err(),
                tonic::Code::InvalidArgument,
                "FMT_",
            ),
            (
                submit.submit(of(foreign.bytes())).await.unwrap_err(),
                tonic::Code::InvalidArgument,
                "ENTRY_OTHER_LEDGER",
            ),
            (submit.wait_for(nobody).await.unwrap_err(), tonic::Code::NotFound, "API_NOT_FOUND"),
            (
                query.get_record(record("no id")).await.unwrap_err(),
                tonic::Code::InvalidArgument,
                "",
            ),
            (
                query.get_entry(v1::GetEntryRequest { by: None }).await.unwrap_err(),
                tonic::Code::InvalidArgument,
                "API_BAD_REQUEST",
            ),
            (
                audit.get_checkpoint(v1::GetCheckpointRequest { height: 9 }).await.unwrap_err(),
                tonic::Code::NotFound,
                "API_NOT_FOUND",
            ),
        ];
        for (status, code, stable) in statuses {
            assert!(code_of(&status).starts_with(stable), "{status:?}");
            assert_eq!(status.code(), code, "{status:?}");
        }
    });
}
