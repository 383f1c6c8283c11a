//! Versions of the protocol on a running network: what comes with one, and what becomes of nodes that do not know one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_client::act::{Times, Unsigned};
use ledger_client::draft::DraftFile;
use ledger_client::signers::{Holder, assign};
use ledger_client::{ClientError, chain, keys};
use ledger_event::event::Act;
use ledger_event::{ProtocolActivated, Role};
use ledger_format::block::{Block, Body};
use ledger_format::entry::Entry;
use ledger_format::genesis::PROTOCOL_VERSIONS;
use ledger_format::id::{Subject, SubjectKind};
use ledger_format::vote::Certificate;
use ledger_tests::{Exchanges, Exported, Supplier, connect, place};
use ledger_verify::verdict::Verdict;

const FOLLOWER: usize = 4;
/// How long nodes are given to stop.
const GRACE: Duration = Duration::from_secs(10);

struct Activated {
    network: Exchanges,
    supplier: Supplier,
    written: usize,
}

impl Activated {
    fn entry(&mut self) -> Entry {
        self.written += 1;
        self.supplier.describe(&format!("asset-{}", self.written)).unwrap()
    }

    fn submit(&self, node: usize, entry: &Entry) -> Result<(), ClientError> {
        let node = self.network.node(node);
        let answer =
            self.network.runtime.block_on(async { connect(node).await.submit(entry).await });
        answer.map(|outcome| assert!(place(outcome).0 > 0))
    }

    /// Lets the network follow a version, from the third height on.
    fn follow(&mut self, version: u32) -> u64 {
        let height = self.network.agree(2) + 3;
        let signed = self.network.signed_by(&[0, 1, 2]);
        self.network.cli(0, &format!("protocol activate {version} --height {height}{signed}"), 0);
        height
    }

    /// Lets the network follow a version that no `ledger-cli` of today activates: the act of a later one.
    fn follow_unknown(&self) -> u64 {
        let (height, version) = (self.network.agree(2) + 3, PROTOCOL_VERSIONS.end() + 1);
        let line = format!("protocol activate {version} --height {height}");
        let signed = self.network.signed_by(&[0, 1, 2]);
        let refused = self.network.cli(0, &format!("{line}{signed}"), 2);
        assert_eq!(refused["code"], "CLIENT_PROTOCOL", "{refused}");
        let act = Act::ProtocolActivated(ProtocolActivated { version, height });
        let signing: Vec<SigningKey> = (0..3).map(|node| self.founder(node)).collect();
        let holder = |(node, key): (usize, &SigningKey)| Holder {
            kid: keys::kid(key),
            party: format!("exchange-{}", node + 1),
            roles: vec![Role::Exchange, Role::IdentityAuthority, Role::NodeOperator],
            enrolled: true,
        };
        let holders: Vec<Holder> = signing.iter().enumerate().map(holder).collect();
        let subject = Subject::new(SubjectKind::Ledger, "genesis").unwrap();
        let signers = assign(&act, &subject, &holders, &BTreeMap::new()).unwrap();
        let (issuer, kid) = (signers[0].party.clone(), signers[0].kid);
        self.network.runtime.block_on(async {
            let mut node = connect(self.network.node(0)).await;
            let prior = node.record(subject.as_str(), 0, 0, false).await.unwrap().head();
            let ledger = node.ledger_id().await.unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let times = Times::valid_for(now, 600);
            let unsigned = Unsigned { ledger, subject, prior, act, times };
            let mut file = DraftFile::new(unsigned.draft(&issuer, kid, signers).unwrap());
            for key in signing.iter().filter(|key| keys::kid(key) != kid) {
                file.cosign(key).unwrap();
            }
            let first = signing.iter().find(|key| keys::kid(key) == kid).unwrap();
            node.submit(&file.seal(first).unwrap()).await.unwrap();
        });
        height
    }

    fn key(&self, node: usize, file: &str) -> SigningKey {
        let path = self.network.path(node).join(file);
        keys::read(&path, || Err(ClientError::key("it is not encrypted"))).unwrap()
    }

    fn founder(&self, node: usize) -> SigningKey {
        self.key(node, "founder/organisation.pem")
    }

    fn vote(&self, node: usize) -> SigningKey {
        self.key(node, "keys/vote.pem")
    }

    fn write_until(&mut self, height: u64) {
        while self.network.agree(2) < height {
            let entry = self.entry();
            self.submit(0, &entry).unwrap();
        }
    }
}

/// Whoever is refused for its budget has lost nothing: the entry is good when there is a budget again.
fn budgets_hold(all: &mut Activated) {
    let set = "budget set --window 24h --party-entries 2 --exchange-entries 1000";
    let early = all.network.cli(1, &format!("{set}{}", all.network.signed_by(&[0, 1, 2])), 1);
    assert_eq!(early["code"], "PROTOCOL_NOT_ACTIVE", "{early}");
    let height = all.follow(3);
    all.write_until(height);
    let few = all.network.cli(1, &format!("{set}{}", all.network.signed_by(&[0, 1])), 22);
    assert_eq!(few["code"], "VALIDATORS_QUORUM", "{few}");
    all.network.cli(1, &format!("{set}{}", all.network.signed_by(&[0, 1, 2])), 0);
    all.network.agree(2);
    let entries = [all.entry(), all.entry(), all.entry()];
    all.submit(0, &entries[0]).unwrap();
    all.submit(FOLLOWER, &entries[1]).unwrap();
    all.network.agree(2);
    for node in [1, FOLLOWER] {
        let beyond = all.submit(node, &entries[2]).unwrap_err();
        assert_eq!(beyond.code, "BUDGET_SPENT", "{beyond}");
        assert!(beyond.message.contains("has spent 2 of 2 entries,"), "{beyond}");
        // A window of a day ends at midnight.
        assert!(beyond.message.contains("begins at 20"), "{beyond}");
        assert!(beyond.message.contains("T00:00:00Z"), "{beyond}");
    }
    let shown = all.network.cli(FOLLOWER, "budget show supplier", 0);
    assert_eq!(shown["spent"]["own"]["entries"], 2, "{shown}");
    assert_eq!(shown["budgets"]["party"]["entries"], 2, "{shown}");
    let nobody = all.network.cli(FOLLOWER, "budget show nobody", 23);
    assert_eq!(nobody["code"], "CLIENT_ABSENT", "{nobody}");
    // The exchange that admitted it is not in the way of others, and those who set a budget can lift it.
    all.network.cli(2, &format!("budget lift{}", all.network.signed_by(&[0, 1, 2])), 0);
    all.network.agree(2);
    all.submit(FOLLOWER, &entries[2]).unwrap();
    // An auditor counts as the nodes did.
    let places = all.network.proven(FOLLOWER);
    assert!(entries.iter().all(|entry| places.contains_key(&entry.id())));
}

/// The set that a change puts out of force stays in the state, by its hash and its last height.
fn past_sets_stay(all: &mut Activated) {
    let height = all.follow(4);
    all.write_until(height);
    let before = all.network.cli(0, "validator show", 0)["validators"].clone();
    let last = before.as_array().unwrap().iter().find(|one| one["party"] == "exchange-4").unwrap();
    let remove = format!("validator remove {}", last["identity"].as_str().unwrap());
    all.network.cli(0, &format!("{remove}{}", all.network.signed_by(&[0, 1, 2])), 0);
    let changed = all.network.agree(height);
    let past = all.network.cli(FOLLOWER, "show validators:past", 0);
    let [set] = past["record"]["past_sets"]["sets"].as_array().unwrap().as_slice() else {
        panic!("{past}")
    };
    assert_eq!(set["until"], changed + 1, "{past}");
    let set =
        all.network.cli(FOLLOWER, &format!("show validators:{}", set["set"].as_str().unwrap()), 0);
    assert_eq!(set["record"]["validators"]["validators"].as_array().unwrap().len(), 4, "{set}");
}

/// An exchange that is an authority does not take another one its keys; the members do.
fn keys_are_guarded(all: &mut Activated) {
    let height = all.follow(5);
    all.write_until(height);
    let founder = |node: usize, file: &str| {
        all.network.path(node).join("founder").join(file).display().to_string()
    };
    let revoke = format!("key revoke exchange-4 {} --reason lost", founder(3, "officer-1.pub"));
    let officers = ["officer-1.pem", "officer-2.pem"].map(|file| founder(0, file));
    let alone = format!("{revoke} --key {} --key {}", officers[0], officers[1]);
    let refused = all.network.cli(0, &alone, 22);
    assert_eq!(refused["code"], "VALIDATORS_QUORUM", "{refused}");
    all.network.cli(0, &format!("{revoke}{}", all.network.signed_by(&[0, 1, 2])), 0);
}

/// An auditor whose program does not know a version accuses nobody, whatever stands in the place of the first block that follows it. No
/// node of today makes the block before it either, for then it stops: it is made here with the validators' keys.
fn unknown_version_is_not_judged(all: &Activated, height: u64, entry: &Entry) {
    let file = all.network.path(0).join("../chain-before.ledger");
    all.network.node(0).export(&file);
    let mut chain = Exported::read(&file);
    let trust = chain.ledger();
    let verified = chain::verify(&mut &*chain.file(), Some(&trust), |_| {}, |_| {}).unwrap();
    let ledger = verified.replay.unwrap().into_ledger();
    assert_eq!(ledger.height() + 2, height);
    let proposer = ledger.validators().members()[0].id;
    let header = ledger.propose(proposer, ledger.time_ms() + 1_000, &[entry]).block.unwrap().header;
    let keys: Vec<SigningKey> = (0..3).map(|node| all.vote(node)).collect();
    let block = header.hash();
    let mut certificate =
        Certificate { height: header.height, round: 0, block, signatures: Vec::new() };
    let signed = certificate.signed_bytes(&trust);
    let sign = |key: &SigningKey| (keys::kid(key), key.sign(&signed).to_bytes());
    certificate.signatures = keys.iter().map(sign).collect();
    certificate.signatures.sort_unstable_by_key(|(by, _)| *by);
    let body = Body { header, entries: vec![entry.bytes().clone()] };
    chain.records.clear();
    chain.blocks.push(Block { body, certificate }.encode().into());
    assert_eq!(chain.verdict(&trust), Verdict::Proven);
    let cut = chain.blocks.len() - 1;
    for after in [chain.blocks[cut].clone(), Bytes::from_static(b"of a later version")] {
        let later = chain.changed(|chain| chain.blocks.push(after));
        let found = later.verdict(&trust);
        let Verdict::NotDetermined(why) = found else { panic!("{found:?}") };
        let says = format!("block {height} follows protocol version");
        assert!(why.starts_with(&says), "{why}");
    }
    // What is wrong before it is refuted all the same.
    let forged =
        chain.with(cut, |block| *block.certificate.signatures[0].1.last_mut().unwrap() ^= 1);
    let forged = forged.changed(|chain| chain.blocks.push(Bytes::from_static(b"anything")));
    assert!(matches!(forged.verdict(&trust), Verdict::Refuted(_)));
}

/// Whoever has the block before the height stops, and says so again at a start. Whoever has not got it from the others before they
/// stopped waits for them, and has nothing of the height either.
fn unknown_version_stops(all: &mut Activated) {
    let height = all.follow_unknown();
    all.write_until(height - 2);
    // Whoever submitted the entry of that block may see its node go.
    let last = all.entry();
    unknown_version_is_not_judged(all, height, &last);
    let _gone = all.submit(0, &last);
    let ended = |network: &mut Exchanges| {
        let running = network.nodes.iter_mut().flatten();
        running.map(|node| usize::from(node.has_ended())).sum::<usize>()
    };
    let begun = Instant::now();
    while ended(&mut all.network) <= FOLLOWER && begun.elapsed() < GRACE {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut stopped = 0;
    for node in 0..=FOLLOWER {
        if !all.network.nodes[node].as_mut().unwrap().has_ended() {
            assert!(all.network.height(node) < height - 1, "node {node} goes on");
            continue;
        }
        stopped += 1;
        let ended = all.network.nodes[node].take().unwrap().wait();
        assert_eq!((ended.code, ended.error_code()), (33, "NODE_PROTOCOL".to_owned()), "{ended:?}");
        let again = all.network.start_node(node).unwrap_err();
        assert_eq!((again.code, again.error_code()), (33, "NODE_PROTOCOL".to_owned()), "{again:?}");
    }
    assert!(stopped > 0, "all nodes go on");
}

#[test]
fn what_a_version_brings_holds_and_what_nobody_knows_stops_all() {
    let network = Exchanges::start_with(4, 1, 1);
    let supplier = network.supplier(0);
    let mut all = Activated { network, supplier, written: 0 };
    let height = all.follow(2);
    all.write_until(height);
    budgets_hold(&mut all);
    past_sets_stay(&mut all);
    keys_are_guarded(&mut all);
    unknown_version_stops(&mut all);
}
