//! A node without a loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ed25519_dalek::Signer as _;
use hyper_util::rt::TokioIo;
use ledger_api::admission::{self, Checked};
use ledger_api::outcomes::{Outcome, Position, RefusedAt};
use ledger_api::{Head, NodeKeys, Serving, Shared, serve};
use ledger_event::Clock;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::validators::{Member, Validators};
use ledger_format::vote::Certificate;
use ledger_proto::v1::audit_service_client::AuditServiceClient;
use ledger_proto::v1::node_service_client::NodeServiceClient;
use ledger_proto::v1::query_service_client::QueryServiceClient;
use ledger_proto::v1::submit_service_client::SubmitServiceClient;
use ledger_replay::Ledger;
use ledger_store::{DataDirectory, LinkRow, NewBlock, Store, WindowRow};
use ledger_story::deed::Deed;
use ledger_story::{Story, validator, validator_key_of};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The vote key's id of a validator, and what it signs with.
pub(crate) fn keys_of(name: &str) -> (KeyId, NodeKeys) {
    let key = |purpose: &str| validator_key_of(name, purpose);
    let keys = NodeKeys { log: key("log"), cosign: key("cosign"), receipt: key("receipt") };
    (KeyId::of(key("vote").verifying_key().as_bytes()), keys)
}

/// A node that serves until it is dropped.
pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    /// Entries whose signatures were checked, on their way to the pool.
    checked: Receiver<Checked>,
    channel: Channel,
    pub(crate) address: SocketAddr,
    stopping: Arc<AtomicBool>,
    stop: Arc<Notify>,
    // Removed last.
    _directory: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Node {
    /// A node before its first block, which checks signatures.
    pub(crate) async fn new(genesis: GenesisDocument) -> Self {
        Self::start(genesis, true).await
    }

    /// A node with keys of these validators or none, with every block of a story.
    pub(crate) async fn following(story: &Story, validators: &[&str]) -> Self {
        Self::bounded(story, validators, |_| {}).await
    }

    /// The same with other bounds.
    pub(crate) async fn bounded(
        story: &Story,
        validators: &[&str],
        bounded: impl FnOnce(&mut Serving),
    ) -> Self {
        let keys = validators.iter().map(|name| keys_of(name)).collect();
        let node = Self::serve(story.genesis.clone(), true, bounded, keys).await;
        node.tell(story);
        node
    }

    /// `checking`: whether anybody takes entries from the intake.
    pub(crate) async fn start(genesis: GenesisDocument, checking: bool) -> Self {
        Self::serve(genesis, checking, |_| {}, vec![keys_of("")]).await
    }

    /// A node with every block of a story that has other bounds.
    pub(crate) async fn holding(story: &Story, bounded: impl FnOnce(&mut Serving)) -> Self {
        Self::bounded(story, &[""], bounded).await
    }

    async fn serve(
        genesis: GenesisDocument,
        checking: bool,
        bounded: impl FnOnce(&mut Serving),
        keys: Vec<(KeyId, NodeKeys)>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open_or_create(directory.path(), &genesis.id()).unwrap();
        let store = Store::open(data).unwrap();
        let shared = Shared::new(Ledger::new(genesis).unwrap(), store, keys);
        let stopping = Arc::new(AtomicBool::new(false));
        let (forward, checked) = std::sync::mpsc::sync_channel(64);
        if checking {
            let (shared, stopping) = (Arc::clone(&shared), Arc::clone(&stopping));
            std::thread::spawn(move || {
                // No clock: it is the time of the last block.
                let forward = |entries| forward.send(entries).is_ok();
                admission::run(&shared, || 0, &forward, &|| stopping.load(Ordering::Relaxed));
            });
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut serving = Serving::new("test", 16);
        bounded(&mut serving);
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop).notified_owned();
        tokio::spawn(serve(Arc::clone(&shared), listener, serving, stopped));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { shared, checked, channel, address, stopping, stop, _directory: directory }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// A connection to all services.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A node with every block of a story.
    pub(crate) async fn telling(story: &Story) -> Self {
        let node = Self::new(story.genesis.clone()).await;
        node.tell(story);
        node
    }

    /// Takes the blocks of a story that it has not.
    pub(crate) fn tell(&self, story: &Story) {
        for height in self.shared.head().height + 1..=story.height {
            let logged = || story.log.iter().filter(|logged| logged.height == height);
            let entries: Vec<&Entry> = logged().map(|logged| &logged.entry).collect();
            let time_ms = logged().map(|logged| logged.time_ms).max().unwrap();
            assert!(self.commit(time_ms, &entries).is_empty());
        }
    }

    /// A connection from another address of this machine, 127.0.0.`last`, that takes little of what it does not read.
    pub(crate) async fn elsewhere(&self, last: u8) -> Channel {
        let address = self.address;
        let connect = move |_: Uri| async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
            socket.connect(address).await.map(TokioIo::new)
        };
        let endpoint = Endpoint::from_static("http://node").initial_stream_window_size(256);
        endpoint.connect_with_connector(tower::service_fn(connect)).await.unwrap()
    }

    pub(crate) fn submit(&self) -> SubmitServiceClient<Channel> {
        SubmitServiceClient::new(self.channel.clone())
    }

    pub(crate) fn own(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.channel.clone())
    }

    pub(crate) fn query(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::new(self.channel.clone())
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone())
    }

    /// The next entries that were checked.
    pub(crate) fn arrived(&self) -> Vec<EntryId> {
        let entries = self.checked.recv_timeout(Duration::from_secs(20)).unwrap();
        entries.iter().map(|checked| checked.entry.id()).collect()
    }

    /// Whether nothing more was checked.
    pub(crate) fn nothing_arrived(&self) -> bool {
        self.checked.recv_timeout(Duration::from_millis(50)).is_err()
    }

    /// Makes a block of what may enter one, durable before it is shown, and tells who waits. Gives those that were refused.
    pub(crate) fn commit(&self, now_ms: u64, entries: &[&Entry]) -> Vec<EntryId> {
        let proposal = self.shared.ledger().propose(validator(), now_ms, entries);
        let height = self.shared.ledger().height() + 1;
        let refused: Vec<_> = proposal
            .refused
            .into_iter()
            .map(|(number, refusal)| {
                let problem = refusal.into();
                (entries[number].id(), Outcome::Refused(RefusedAt { problem, height }))
            })
            .collect();
        let ids = refused.iter().map(|(id, _)| *id).collect();
        self.shared.outcomes.announce(refused);
        let Some(executed) = proposal.block else { return ids };
        let header = executed.header.clone();
        let certificate = certificate(&header, self.shared.ledger().validators()).encode();
        let bytes: Vec<_> =
            proposal.included.iter().map(|number| entries[*number].bytes().clone()).collect();
        let link = |link: &ledger_rules::Link| LinkRow {
            key: *link.key.first_chunk().unwrap(),
            previous: link.previous,
        };
        let links: Vec<Vec<LinkRow>> =
            executed.links.iter().map(|links| links.iter().map(link).collect()).collect();
        let window = |row: &ledger_replay::Known| WindowRow {
            key: row.key,
            entry: row.entry,
            expires_s: row.expires_s,
        };
        let window: Vec<WindowRow> = executed.window.iter().map(window).collect();
        let stored = self.shared.store.commit(&NewBlock {
            height,
            header: &header.encode(),
            certificate: &certificate,
            first_leaf: executed.first_entry - u64::from(executed.header_leaf.is_some()),
            header_leaf: executed.header_leaf,
            entries: &bytes,
            ids: &executed.ids,
            links: &links,
            records: &executed.records(),
            window: &window,
        });
        stored.unwrap();
        let (first, placed) = (executed.first_entry, executed.ids.clone());
        self.shared.ledger_mut().commit(executed).unwrap();
        let (tree_size, time_ms) = (header.tree_size, header.time_ms);
        self.shared.set_head(Head { height, tree_size, time_ms });
        let place =
            |(leaf_index, id)| (id, Outcome::Placed(Position { height, leaf_index, time_ms }));
        self.shared.outcomes.announce((first..).zip(placed).map(place));
        ids
    }
}

/// Signed by all validators.
fn certificate(header: &Header, validators: &Validators) -> Certificate {
    let (height, block) = (header.height, header.hash());
    let mut certificate = Certificate { height, round: 0, block, signatures: Vec::new() };
    let message = certificate.signed_bytes(&header.ledger);
    let signature = |member: &Member| {
        let name = member.name.strip_suffix("validator.example").unwrap();
        (member.id, validator_key_of(name, "vote").sign(&message).to_bytes())
    };
    certificate.signatures = validators.members().iter().map(signature).collect();
    certificate
}

/// A story on the wall clock with genesis and everybody's admission, in earnest.
pub(crate) fn begun() -> Story {
    Story::before_genesis(Clock::Wall, "2026-08-03").in_earnest().begun()
}

pub(crate) fn sealed(story: &mut Story, deed: &Deed) -> Entry {
    let entry = story.seal(deed);
    story.serial += 1;
    entry
}

/// The stable code of an error, which must be whole: the code in front of the message too, the domain, and what to do next.
pub(crate) fn code(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "ledger.v1");
    assert!(status.message().starts_with(&format!("{}: ", info.reason)), "{status:?}");
    assert!(info.metadata.get("help").is_some_and(|help| !help.is_empty()), "{status:?}");
    (status.code(), info.reason.clone())
}

/// The error of a call, by its stable code.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    code(&answer.unwrap_err())
}
