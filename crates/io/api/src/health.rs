//! What the health service says of the node (`grpc.health.v1.Health`; docs/API.md).
//!
//! Who reads is served from the first block on. Who writes is served while what comes can get into a block: a load balancer takes
//! writers elsewhere, where a call would only wait until its time is over.

use std::future::Future;
use std::time::{Duration, Instant};

use ledger_proto::v1::audit_service_server::AuditServiceServer;
use ledger_proto::v1::query_service_server::QueryServiceServer;
use ledger_proto::v1::submit_service_server::SubmitServiceServer;
use tokio::sync::watch;
use tonic::server::NamedService as _;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::audit::Audit;
use crate::query::Query;
use crate::shared::{Head, Shared};
use crate::submit::Submit;

/// How often the node looks whether it reaches those who decide.
const LOOKS: Duration = Duration::from_secs(1);
/// How long it must not have reached them before it says so: a connection may break and come again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The service that takes writes.
const WRITES: &str = SubmitServiceServer::<Submit>::NAME;
/// The node as a whole, and the services that only read.
const READS: [&str; 3] = ["", QueryServiceServer::<Query>::NAME, AuditServiceServer::<Audit>::NAME];

/// Says how the node is until `stop` is done, and then that it serves nothing.
pub(crate) async fn say_until(
    stop: impl Future<Output = ()> + Send,
    shared: &Shared,
    reporter: &HealthReporter,
    patience: Duration,
) {
    tokio::select! {
        () = stop => {}
        () = say_as_it_is(shared, reporter, patience) => {}
    }
    say_not_serving(reporter).await;
}

/// Says that nothing is served: at the begin and at the end.
pub(crate) async fn say_not_serving(reporter: &HealthReporter) {
    for service in READS.into_iter().chain([WRITES]) {
        reporter.set_service_status(service, ServingStatus::NotServing).await;
    }
}

/// Says that the node serves, from the first block on, before which there is nothing to ask or to write to; and of writes, whenever
/// that changes. Never ends.
async fn say_as_it_is(shared: &Shared, reporter: &HealthReporter, patience: Duration) {
    begins(shared.watch_head()).await;
    for service in READS {
        reporter.set_service_status(service, ServingStatus::Serving).await;
    }
    let mut said = ServingStatus::NotServing;
    let mut reached: Option<Instant> = None;
    let mut looks = tokio::time::interval(LOOKS.min(patience));
    loop {
        looks.tick().await;
        if shared.reaches_who_decides() {
            reached = Some(Instant::now());
        }
        let is_lately = reached.is_some_and(|reached| reached.elapsed() < patience);
        let says = if is_lately { ServingStatus::Serving } else { ServingStatus::NotServing };
        if says != said {
            reporter.set_service_status(WRITES, says).await;
            said = says;
        }
    }
}

/// Comes with the first block.
async fn begins(mut heads: watch::Receiver<Head>) {
    // Whoever tells of blocks is there as long as what is shared.
    let _first = heads.wait_for(|head| head.height > 0).await;
}
