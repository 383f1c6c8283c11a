//! etcd beside the ledger: members as processes on the loopback, and clients that wait for each answer before they go on.
//!
//! Only the two messages of its protocol that a put takes are here (etcd 3.4, `etcdserverpb.KV`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::processor::Spent;
use crate::waits::Waits;

/// How long members may take to elect a leader.
const PATIENCE: Duration = Duration::from_secs(30);
/// First of the ports that members use, two each.
const PORTS: u16 = 23_790;

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Its header is not of interest.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PutResponse {}

/// Members that run; they are killed when this is dropped.
struct Etcd {
    members: Vec<Child>,
    urls: Vec<String>,
    directory: TempDir,
}

impl Etcd {
    fn start(program: &Path, members: u16) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let port = |member: u16, second: u16| PORTS + member * 2 + second;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let cluster: Vec<String> =
            (0..members).map(|m| format!("m{m}={}", url(port(m, 1)))).collect();
        let cluster = cluster.join(",");
        let mut etcd = Self { members: Vec::new(), urls: Vec::new(), directory };
        for member in 0..members {
            let (clients, peers) = (url(port(member, 0)), url(port(member, 1)));
            let mut command = Command::new(program);
            command.args(["--name", &format!("m{member}"), "--initial-cluster", &cluster]);
            command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
            command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
            command.args(["--initial-cluster-state", "new", "--logger", "zap"]);
            command.arg("--data-dir").arg(etcd.directory.path().join(format!("m{member}")));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let started = command.spawn();
            let told =
                |error| format!("{}: {error} (Debian's package is etcd-server)", program.display());
            etcd.members.push(started.map_err(told)?);
            etcd.urls.push(clients);
        }
        Ok(etcd)
    }

    /// Whether all members run: on a port that another etcd has, it would be measured instead of them.
    fn all_run(&mut self) -> Result<(), String> {
        for member in &mut self.members {
            if let Some(status) = member.try_wait().map_err(|error| error.to_string())? {
                return Err(format!(
                    "a member of etcd has ended, {status}: another program may have its ports, from {PORTS} on"
                ));
            }
        }
        Ok(())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            // It may have ended already.
            let _ended = member.kill();
            let _status = member.wait();
        }
    }
}

async fn connect(url: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| error.to_string())?;
    let endpoint = endpoint.timeout(PATIENCE);
    let begun = Instant::now();
    loop {
        match endpoint.connect_with_connector(ledger_gather::connector(PATIENCE)).await {
            Ok(channel) => return Ok(channel),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.to_string()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn put(channel: &Channel, key: Vec<u8>, value: Vec<u8>) -> Result<(), String> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| error.to_string())?;
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
    let codec: ProstCodec<PutRequest, PutResponse> = ProstCodec::default();
    let request = tonic::Request::new(PutRequest { key, value });
    let answer = client.unary(request, path, codec).await;
    answer.map(|_| ()).map_err(|status| status.to_string())
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct EtcdMeasured {
    /// Waits for each answer.
    pub waits: Waits,
    /// Processor time that the members took meanwhile.
    pub spent: Spent,
}

/// Clients spread over the members put values of so many bytes under keys of their own, for so long.
///
/// # Errors
/// That etcd does not start or answer.
pub fn run_etcd(
    program: &Path,
    members: u16,
    clients: usize,
    value_bytes: usize,
    time: Duration,
) -> Result<EtcdMeasured, String> {
    let mut etcd = Etcd::start(program, members)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut channels = Vec::new();
        for number in 0..clients {
            let url = &etcd.urls[number % etcd.urls.len()];
            let channel = connect(url).await?;
            // The first put waits until there is a leader.
            put(&channel, format!("first-{number}").into_bytes(), vec![0; value_bytes]).await?;
            channels.push(channel);
        }
        etcd.all_run()?;
        let members = || Spent::by(etcd.members.iter().map(Child::id));
        let (begun, earlier) = (Instant::now(), members());
        let until = begun + time;
        let mut tasks = tokio::task::JoinSet::new();
        for (number, channel) in channels.into_iter().enumerate() {
            tasks.spawn(write(channel, number, value_bytes, until));
        }
        let mut waits = Vec::new();
        while let Some(written) = tasks.join_next().await {
            waits.extend(written.map_err(|error| error.to_string())??);
        }
        let waits = Waits::new(waits, begun.elapsed());
        Ok(EtcdMeasured { waits, spent: members().since(&earlier) })
    })
}

async fn write(
    channel: Channel,
    client: usize,
    value_bytes: usize,
    until: Instant,
) -> Result<Vec<Duration>, String> {
    let mut waits = Vec::new();
    while Instant::now() < until {
        let key = format!("bench-{client}-{}", waits.len()).into_bytes();
        let begun = Instant::now();
        put(&channel, key, vec![0x5a; value_bytes]).await?;
        waits.push(begun.elapsed());
    }
    Ok(waits)
}
