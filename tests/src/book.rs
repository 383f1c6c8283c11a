//! Load with a memory: what was sent to a node, and what it answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledger_client::{ClientError, Node};
use ledger_format::digest::EntryId;
use ledger_format::entry::Entry;
use ledger_proto::v1;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::load::Supplier;
use crate::places::{Places, place};
use crate::running::Running;

/// Clients that send one entry at a time, and entries of each message of the one that streams.
const UNARY_CLIENTS: u64 = 4;
const MESSAGE_ENTRIES: u64 = 8;
/// Between messages of the stream, so that 200 rounds make a ledger of tens of thousands of entries and not of millions.
const MESSAGE_PAUSE: Duration = Duration::from_millis(2);
/// Answers that are looked up one by one; all are checked by sending everything again, in messages of so many.
const SAMPLE: usize = 40;
const AGAIN_ENTRIES: usize = 512;

/// What was sent, and what was answered.
#[derive(Debug, Default)]
pub struct Book {
    /// Every entry, before it was sent.
    pub sent: Vec<Entry>,
    /// Where the node said that entries are.
    pub acknowledged: Places,
    /// Calls that failed.
    pub failed: Vec<ClientError>,
    /// Outcomes on a stream that are no places.
    pub otherwise: Vec<v1::Outcome>,
}

/// A book that several clients write.
#[derive(Clone, Debug, Default)]
pub struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The book as it is now.
    pub fn take(&self) -> Book {
        std::mem::take(&mut *self.lock())
    }

    /// Begins to load a node: several clients that wait for each answer, and one that streams. They end with the node.
    pub async fn load(&self, node: &Running, supplier: &Supplier, name: &str) {
        for client in 0..UNARY_CLIENTS {
            let (book, who) = (self.clone(), supplier.clone());
            let (node, name) = (connect(node).await, format!("unary-{name}-{client}"));
            tokio::spawn(async move { book.write_one_by_one(node, who, name).await });
        }
        let (book, who) = (self.clone(), supplier.clone());
        let (node, name) = (connect(node).await, format!("stream-{name}"));
        tokio::spawn(async move { book.stream(node, who, name).await });
    }

    /// One client that waits for each answer before it goes on: an asset, then claims about it and revisions.
    async fn write_one_by_one(&self, mut node: Node, who: Supplier, name: String) {
        for number in 0_u64.. {
            let entry = match number {
                0 => who.describe(&name),
                _ if number.is_multiple_of(8) => who.revise(&name, number),
                _ => who.claim(&name, number),
            };
            let entry = entry.unwrap();
            self.lock().sent.push(entry.clone());
            match node.submit(&entry).await {
                Ok(position) => self.lock().acknowledged.insert(entry.id(), place(position)),
                Err(error) => return self.lock().failed.push(error),
            };
        }
    }

    /// One client that sends messages of many entries without waiting.
    async fn stream(&self, mut node: Node, who: Supplier, name: String) {
        let (requests, receiver) = tokio::sync::mpsc::channel(4);
        let sent = self.clone();
        tokio::spawn(async move {
            for message in 0_u64.. {
                let entry = |n| who.describe(&format!("{name}-{message}-{n}")).unwrap();
                let entries: Vec<Entry> = (0..MESSAGE_ENTRIES).map(entry).collect();
                sent.lock().sent.extend(entries.iter().cloned());
                let request = message_of(message, &entries);
                if requests.send(request).await.is_err() {
                    return;
                }
                tokio::time::sleep(MESSAGE_PAUSE).await;
            }
        });
        let mut answers = match node.submit_stream(ReceiverStream::new(receiver)).await {
            Ok(answers) => answers,
            Err(error) => return self.lock().failed.push(error),
        };
        loop {
            match answers.next().await {
                Some(Ok(answer)) => self.lock().note(answer),
                Some(Err(status)) => return self.lock().failed.push(status.into()),
                None => return,
            }
        }
    }
}

impl Book {
    fn note(&mut self, answer: v1::SubmitStreamResponse) {
        for outcome in answer.outcomes {
            match outcome.result {
                Some(v1::outcome::Result::Position(position)) => {
                    let id = EntryId::from_slice(&outcome.entry_id).unwrap();
                    self.acknowledged.insert(id, place(position));
                }
                _ => self.otherwise.push(outcome),
            }
        }
    }

    /// Whether nothing is outstanding.
    pub fn is_answered(&self) -> bool {
        self.sent.iter().all(|entry| self.acknowledged.contains_key(&entry.id()))
    }

    /// Asserts that everything that was answered is where the answer said, and that everything sent again gets one place, the same
    /// if it had one. All of it is acknowledged then.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn check(&mut self, node: &mut Node) -> Result<(), ClientError> {
        let step = self.acknowledged.len().div_ceil(SAMPLE).max(1);
        for (id, place) in self.acknowledged.iter().step_by(step) {
            let leaf = node.entry(id).await?;
            assert_eq!((leaf.height, leaf.leaf_index), *place, "entry {id}");
        }
        let messages = (0_u64..).zip(self.sent.chunks(AGAIN_ENTRIES));
        let messages: Vec<_> = messages.map(|(number, all)| message_of(number, all)).collect();
        let mut answers = node.submit_stream(tokio_stream::iter(messages)).await?;
        let mut again = Self::default();
        while let Some(answer) = answers.next().await.transpose()? {
            again.note(answer);
        }
        assert_eq!(again.otherwise, [], "every entry is good");
        for (id, place) in &self.acknowledged {
            assert_eq!(again.acknowledged.get(id), Some(place), "entry {id} sent again");
        }
        self.acknowledged = again.acknowledged;
        assert!(self.is_answered());
        Ok(())
    }
}

fn message_of(sequence: u64, entries: &[Entry]) -> v1::SubmitStreamRequest {
    let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
    v1::SubmitStreamRequest { sequence, entries, wait_for: 0, replicas: 0 }
}

/// A client of a running node.
pub async fn connect(node: &Running) -> Node {
    Node::connect(&node.url, Duration::from_secs(20)).await.unwrap()
}
