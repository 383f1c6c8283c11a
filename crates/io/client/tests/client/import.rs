//! Imports into a node that has little room, knows no outcome, or asks for smaller messages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_catalogue::Options;
use ledger_client::act::Times;
use ledger_client::import::{Imported, Importer, import};
use ledger_client::{ClientError, Failure, Level};
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{AssetDescription, AssetRecord, Record};
use ledger_format::digest::LedgerId;
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_proto::v1::outcome::Result as Found;

use crate::node::Answers;

/// Records and claims of the catalogue of Statistics Denmark (tests/data/dst-fsv/README.md).
const RECORDS: u64 = 6_675;
const CLAIMS: u64 = 4_572;

/// What a ledger has, as far as an import sees it.
#[derive(Default)]
struct Ledger {
    /// By the bytes of the entry: how often it was sent.
    entries: BTreeMap<Bytes, usize>,
    ctis: BTreeMap<[u8; 16], Bytes>,
    assets: BTreeSet<String>,
    claims: BTreeSet<(String, String)>,
    /// Entries of the claims, by subject.
    stated: BTreeMap<String, Vec<Bytes>>,
    messages: usize,
    sizes: Vec<usize>,
}

impl Ledger {
    /// Takes an entry as the rules would.
    fn take(&mut self, bytes: &Bytes) -> Found {
        let seen = self.entries.entry(bytes.clone()).or_default();
        *seen += 1;
        if *seen > 1 {
            return placed();
        }
        let entry = Entry::decode(bytes.clone()).unwrap();
        let subject = entry.claims().subject.to_string();
        if self.ctis.insert(entry.claims().nonce, bytes.clone()).is_some() {
            self.entries.remove(bytes);
            return refused("ENTRY_CONFLICT");
        }
        let verdict = match &entry.event().act {
            Some(Act::AssetDescribed(_)) if !self.assets.insert(subject.clone()) => {
                Some("SUBJECT_EXISTS")
            }
            Some(Act::AssetRevised(_) | Act::ImportedHistory(_))
                if !self.assets.contains(&subject) =>
            {
                Some("SUBJECT_UNKNOWN")
            }
            Some(Act::ImportedHistory(claim)) => {
                let new = self.claims.insert((subject.clone(), claim.source.clone()));
                assert!(new, "{} is there twice", claim.source);
                self.stated.entry(subject).or_default().push(bytes.clone());
                None
            }
            _ => None,
        };
        let Some(code) = verdict else { return placed() };
        self.entries.remove(bytes);
        self.ctis.remove(&entry.claims().nonce);
        refused(code)
    }

    /// All claims about a subject, as a page.
    fn history(&self, subject: &str) -> v1::GetHistoryResponse {
        let entries = self.stated.get(subject).into_iter().flatten().cloned();
        let leaves = entries.map(|entry| v1::Leaf { entry, ..v1::Leaf::default() }).collect();
        v1::GetHistoryResponse { leaves, ..v1::GetHistoryResponse::default() }
    }
}

fn placed() -> Found {
    Found::Position(v1::Position::default())
}

fn refused(code: &str) -> Found {
    Found::Refused(v1::Refused { code: code.to_owned(), ..v1::Refused::default() })
}

fn response(found: impl Iterator<Item = Found>) -> v1::SubmitStreamResponse {
    let outcome = |result| v1::Outcome { result: Some(result), ..v1::Outcome::default() };
    let outcomes = found.map(outcome).collect();
    v1::SubmitStreamResponse { outcomes, ..v1::SubmitStreamResponse::default() }
}

fn importer(level: Level, patience: Duration) -> Importer {
    let (ledger, key) = (LedgerId([7; 32]), SigningKey::from_bytes(&[1; 32]));
    let times = Times::valid_for(1_785_715_200, 2_700);
    Importer { ledger, party: "acme".to_owned(), key, times, level, patience }
}

async fn imported(
    answers: Answers,
    path: &Path,
    importer: &Importer,
) -> Result<Imported, ClientError> {
    let source = ledger_catalogue::open(path, &Options::default()).unwrap();
    let mut last = 0;
    let progress = |count| {
        assert!(count >= last);
        last = count;
    };
    import(&mut answers.node().await, importer, source, progress).await
}

/// A table of so many records, with so long a summary each.
fn table(directory: &Path, records: usize, summary: usize) -> PathBuf {
    let mut text = "id,title,summary\n".to_owned();
    for number in 1..=records {
        let [title, summary] = [summary / 20, summary].map(|length| "\u{20000}".repeat(length));
        writeln!(text, "{number},{title} {number},{summary}").unwrap();
    }
    let path = directory.join("table.csv");
    fs::write(&path, text).unwrap();
    path
}

/// Answers with what a ledger makes of each message; `found` may turn an entry away first, by the numbers of message and entry.
fn ledger(
    found: impl Fn(usize, usize) -> Option<Found> + Send + Sync + 'static,
) -> (Answers, Arc<Mutex<Ledger>>) {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let shared = Arc::clone(&ledger);
    let take = move |request: &v1::SubmitStreamRequest| {
        let mut ledger = shared.lock().unwrap();
        ledger.messages += 1;
        ledger.sizes.push(request.entries.len());
        let number = ledger.messages;
        let judge = |(index, bytes)| found(number, index).unwrap_or_else(|| ledger.take(bytes));
        Ok(response(request.entries.iter().enumerate().map(judge)))
    };
    (Answers { take: Arc::new(take), ..Answers::default() }, ledger)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_turned_away_for_the_moment_is_sent_again_until_it_is_there() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/data/dst-fsv");
    // Now and then there is room for five entries of a message.
    let (answers, ledger) =
        ledger(|message, index| (message % 7 == 1 && index >= 5).then(|| refused("API_POOL_FULL")));
    let done = imported(answers, &path, &importer(Level::default(), Duration::from_secs(20))).await;
    let done = done.unwrap();
    let ledger = ledger.lock().unwrap();
    assert_eq!(done.skipped, []);
    assert_eq!((done.claims, ledger.claims.len() as u64), (CLAIMS, CLAIMS));
    assert_eq!(done.described, ledger.assets.len() as u64);
    assert!(done.described > RECORDS);
    // Less at once after it, and as much as before once all of it is taken.
    assert!(ledger.sizes.contains(&128), "{:?}", ledger.sizes);
    assert!(ledger.sizes.iter().rev().take(10).any(|size| *size == 256), "{:?}", ledger.sizes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_asked_for_with_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = table(directory.path(), 600, 1);
    let (answers, ledger) = ledger(|_, _| None);
    let taken = Arc::clone(&answers.take);
    // The ledger takes the first message and does not say so.
    let take = move |request: &v1::SubmitStreamRequest| {
        let response = taken(request)?;
        if request.sequence > 1 {
            return Ok(response);
        }
        let pending = |_| Found::Pending(v1::Pending {});
        Ok(self::response(request.entries.iter().map(pending)))
    };
    let answers = Answers { take: Arc::new(take), ..answers };
    let done = imported(answers, &path, &importer(Level::default(), Duration::from_secs(20))).await;
    assert_eq!(done.unwrap(), Imported { described: 600, ..Imported::default() });
    let ledger = ledger.lock().unwrap();
    assert_eq!((ledger.entries.len(), ledger.assets.len()), (600, 600));
    assert_eq!(ledger.entries.values().filter(|times| **times == 2).count(), 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_does_not_get_on_says_how_much_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = table(directory.path(), 20, 1);
    let pending = || Found::Pending(v1::Pending {});
    let full = || refused("API_POOL_FULL");
    for (last, failure, code, left) in [
        (full as fn() -> Found, Failure::Busy, "API_POOL_FULL", "5 entries turned away, 0 of"),
        (pending, Failure::Unknown, "API_TIMEOUT", "0 entries turned away, 5 of unknown"),
    ] {
        // One message is taken but for five entries, and then nothing.
        let (answers, _) = ledger(move |message, index| (message > 1 || index >= 15).then(last));
        let importer = importer(Level::default(), Duration::from_millis(500));
        let error = imported(answers, &path, &importer).await.unwrap_err();
        assert_eq!((error.failure, error.code.as_str()), (failure, code));
        assert!(error.message.contains(left), "{error}");
        assert!(error.message.contains("15 records and claims are on the ledger"), "{error}");
        assert!(error.help.contains("Run the import again"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_come_to_nothing_for_all_further_entries_ends_the_import() {
    let directory = tempfile::tempdir().unwrap();
    let path = table(directory.path(), 20, 1);
    let importer = importer(Level::default(), Duration::from_secs(20));
    for (code, failure) in [
        ("BUDGET_SPENT", Failure::Busy),
        ("ENTRY_EXPIRED", Failure::Busy),
        ("API_STOPPING", Failure::Connect),
        ("API_INTERNAL", Failure::Other),
    ] {
        let (answers, _) = ledger(move |_, _| Some(refused(code)));
        let error = imported(answers, &path, &importer).await.unwrap_err();
        assert_eq!((error.failure, error.code.as_str()), (failure, code));
        assert!(!error.help.is_empty());
    }
    // Others are of one record.
    let (answers, _) = ledger(|_, index| (index == 3).then(|| refused("FIELD_VALUE")));
    let done = imported(answers, &path, &importer).await.unwrap();
    assert_eq!((done.described, done.skipped.len()), (19, 1));
    assert_eq!(done.skipped[0].code, "FIELD_VALUE");
    // Fewer answers than entries are none.
    let take = |_: &v1::SubmitStreamRequest| Ok(response([placed()].into_iter()));
    let answers = Answers { take: Arc::new(take), ..Answers::default() };
    assert_eq!(imported(answers, &path, &importer).await.unwrap_err().code, "CLIENT_ANSWER");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_as_long_as_a_node_takes() {
    // Within all limits of a record, and more than a message takes of as many as are usually in one.
    let directory = tempfile::tempdir().unwrap();
    let path = table(directory.path(), 600, 5_000);
    let (answers, ledger) = ledger(|_, _| None);
    let done = imported(answers, &path, &importer(Level::default(), Duration::from_secs(20))).await;
    assert_eq!(done.unwrap().described, 600);
    let ledger = ledger.lock().unwrap();
    let bytes: usize = ledger.entries.keys().map(Bytes::len).sum();
    assert!(bytes / 600 * 256 > 4 * 1024 * 1024 + 64 * 1024, "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_that_is_asked_for_is_passed_on_and_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = table(directory.path(), 3, 1);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let take = move |request: &v1::SubmitStreamRequest| {
        let mut seen = seen.lock().unwrap();
        seen.push((request.wait_for, request.replicas));
        // The first time at one validator only.
        let mut response = response(request.entries.iter().map(|_| placed()));
        let replicas = if seen.len() == 1 { 1 } else { 2 };
        response.outcomes.iter_mut().for_each(|outcome| outcome.replicas = replicas);
        Ok(response)
    };
    let answers = Answers { take: Arc::new(take), ..Answers::default() };
    let level: Level = "replicated:2".parse().unwrap();
    let done = imported(answers, &path, &importer(level, Duration::from_secs(20))).await.unwrap();
    assert_eq!(done.described, 3);
    let wanted = (v1::Finality::Replicated.into(), 2);
    assert_eq!(asked.lock().unwrap().first(), Some(&wanted));
    assert!(asked.lock().unwrap().len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_states_nothing_twice_while_the_first_one_is_under_way() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/data/dst-fsv");
    let (answers, ledger) = ledger(|_, _| None);
    let taken = Arc::clone(&answers.take);
    // The ledger takes all that it is sent, and the first run never hears of its claims.
    let take = move |request: &v1::SubmitStreamRequest| {
        let mut response = taken(request)?;
        for (bytes, outcome) in request.entries.iter().zip(&mut response.outcomes) {
            let entry = Entry::decode(bytes.clone()).unwrap();
            if matches!(entry.event().act, Some(Act::ImportedHistory(_))) {
                outcome.result = Some(Found::Pending(v1::Pending {}));
            }
        }
        Ok(response)
    };
    let first = importer(Level::default(), Duration::from_millis(1));
    let deaf = Answers { take: Arc::new(take), ..answers.clone() };
    let unknown = imported(deaf, &path, &first).await.unwrap_err();
    assert_eq!(unknown.failure, Failure::Unknown, "{unknown}");
    let stated = ledger.lock().unwrap().claims.len();
    assert!(stated > 0);
    // A node that shows nothing of it yet.
    let second = Importer { times: Times::valid_for(1_785_715_260, 2_700), ..first };
    let done = imported(answers.clone(), &path, &second).await.unwrap();
    assert_eq!(done.claims_unchanged, stated as u64);
    assert_eq!(done.claims + done.claims_unchanged, CLAIMS);
    assert_eq!(ledger.lock().unwrap().claims.len() as u64, CLAIMS);
    // One that shows all: nothing is sent of it.
    let (record, shared) = (asset(&AssetRecord::default()), Arc::clone(&ledger));
    let page =
        move |request: &v1::GetHistoryRequest| Ok(shared.lock().unwrap().history(&request.id));
    let open = Answers { record, page: Arc::new(page), ..answers };
    let sent = ledger.lock().unwrap().entries.len();
    let done = imported(open, &path, &second).await.unwrap();
    assert_eq!((done.claims, done.claims_unchanged), (0, CLAIMS));
    assert_eq!(ledger.lock().unwrap().entries.len(), sent);
}

fn asset(asset: &AssetRecord) -> v1::GetRecordResponse {
    let record = Record { body: Some(Body::Asset(asset.clone())), ..Record::default() };
    v1::GetRecordResponse {
        record: ledger_format::message::encode(&record).into(),
        ..v1::GetRecordResponse::default()
    }
}

/// What an import of a package with one file finds on a ledger that has its asset.
async fn again(directory: &Path, there: &AssetRecord) -> (Imported, Vec<Act>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let take = move |request: &v1::SubmitStreamRequest| {
        let entry = Entry::decode(request.entries[0].clone()).unwrap();
        let act = entry.event().act.clone().unwrap();
        let found = match act {
            Act::AssetDescribed(_) => refused("SUBJECT_EXISTS"),
            _ => placed(),
        };
        seen.lock().unwrap().push(act);
        Ok(response([found].into_iter()))
    };
    let answers = Answers { take: Arc::new(take), record: asset(there), ..Answers::default() };
    let importer = importer(Level::default(), Duration::from_secs(20));
    let done = imported(answers, directory, &importer).await.unwrap();
    let sent = sent.lock().unwrap().clone();
    (done, sent)
}

/// The description that an import sends of the package's one asset.
fn described(sent: &[Act]) -> AssetDescription {
    match sent.first() {
        Some(Act::AssetDescribed(event)) => event.description.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_beside_an_unchanged_record_is_a_new_version() {
    let directory = tempfile::tempdir().unwrap();
    let package = r#"{"name": "p", "resources": [{"name": "a", "path": "a.csv"}]}"#;
    fs::write(directory.path().join("datapackage.json"), package).unwrap();
    fs::write(directory.path().join("a.csv"), "1").unwrap();
    let (skipped, sent) = again(directory.path(), &AssetRecord::default()).await;
    assert_eq!(skipped.skipped[0].code, "CLIENT_NAME_TAKEN");
    let reason = &skipped.skipped[0].reason;
    assert!(reason.contains("no record, and this is record \"a\" of \"p\""), "{reason}");
    let there = AssetRecord { description: Some(described(&sent)), ..AssetRecord::default() };
    assert_eq!(again(directory.path(), &there).await.0.unchanged, 1);
    fs::write(directory.path().join("a.csv"), "2").unwrap();
    let (done, sent) = again(directory.path(), &there).await;
    assert_eq!((done.revised, done.unchanged), (1, 0));
    assert!(matches!(sent.last(), Some(Act::AssetRevised(_))), "{sent:?}");
    // Without the file nothing is known of it.
    fs::remove_file(directory.path().join("a.csv")).unwrap();
    assert_eq!(again(directory.path(), &there).await.0.unchanged, 1);
}
