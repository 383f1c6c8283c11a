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
    assets: BTreeSet<String>,
    claims: BTreeSet<(String, String)>,
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
                let new = self.claims.insert((subject, claim.source.clone()));
                assert!(new, "{} is there twice", claim.source);
                None
            }
            _ => None,
        };
        let Some(code) = verdict else { return placed() };
        self.entries.remove(bytes);
        refused(code)
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
