//! Walking timelines: the entries about a subject, newest first, along the links that the store keeps.

use bytes::Bytes;
use ledger_event::{Record, Timeline};
use ledger_format::digest::{EntryId, Hash};
use ledger_format::entry::leaf_hash;
use ledger_format::header::Header;
use ledger_format::id::{Subject, state_key};
use ledger_format::message;
use ledger_proto::v1;
use ledger_rules::View as _;
use prost::Message as _;

use crate::problem::Problem;
use crate::reads::ANSWER_BYTES;
use crate::shared::Shared;

const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;

impl Shared {
    /// The record of an id at a kept height, and the height. Zero: the latest.
    pub(crate) fn record(
        &self,
        id: &Subject,
        height: u64,
    ) -> Result<(Option<Bytes>, u64), Problem> {
        let ledger = self.ledger();
        let height = if height == 0 { ledger.height() } else { height };
        let state = ledger.state_at(height);
        let state = state.ok_or_else(|| Problem::height_not_kept(format!("height {height}")))?;
        let record = state.record(&id.state_key()).map(Bytes::copy_from_slice);
        Ok((record, height))
    }

    /// The decoded record of an id at the latest height.
    pub(crate) fn latest(&self, id: &str) -> Result<Option<Record>, Problem> {
        let (record, _) = self.record(&Subject::parse("id", id)?, 0)?;
        record.map(|bytes| message::decode("record", &bytes).map_err(Problem::from)).transpose()
    }

    /// A leaf with its bytes as the services return it. Header leaves are no entries.
    pub(crate) fn entry_leaf(
        &self,
        index: u64,
        with_bytes: bool,
    ) -> Result<Option<v1::Leaf>, Problem> {
        let Some(leaf) = self.store.leaf(index)?.filter(|leaf| leaf.is_entry) else {
            return Ok(None);
        };
        let header = Header::decode(leaf.header)?;
        Ok(Some(v1::Leaf {
            entry_id: Bytes::copy_from_slice(&leaf_hash(&leaf.bytes)),
            leaf_index: index,
            height: leaf.height,
            time_ms: header.time_ms,
            entry: if with_bytes { leaf.bytes } else { Bytes::new() },
        }))
    }

    /// The leaf before `index` on the timeline of a record.
    pub(crate) fn previous(&self, key: &Hash, index: u64) -> Result<Option<u64>, Problem> {
        let links = self.store.links(index)?;
        let link = links.iter().find(|link| key.starts_with(&link.key));
        Ok(link.and_then(|link| link.previous))
    }
}

/// A walk along a timeline, newest first.
#[derive(Debug)]
pub(crate) struct Walk {
    key: Hash,
    next: Option<u64>,
}

impl Walk {
    /// From the latest entry of a timeline.
    pub(crate) fn of(id: &str, timeline: &Timeline) -> Self {
        let next = (timeline.count > 0).then_some(timeline.last);
        Self { key: state_key(id), next }
    }

    /// From a leaf on, which must be of an entry on the timeline of that id.
    pub(crate) fn from(shared: &Shared, id: &str, next: u64) -> Result<Self, Problem> {
        let key = state_key(id);
        let links = shared.store.links(next)?;
        if links.iter().any(|link| key.starts_with(&link.key)) {
            return Ok(Self { key, next: Some(next) });
        }
        Err(Problem::bad_request(format!("page_token: no list of {id} goes on at leaf {next}")))
    }

    /// The leaf that comes next, without going there.
    pub(crate) const fn peek(&self) -> Option<u64> {
        self.next
    }

    /// The next leaf.
    pub(crate) fn step(
        &mut self,
        shared: &Shared,
        with_bytes: bool,
    ) -> Result<Option<v1::Leaf>, Problem> {
        let Some(index) = self.next else { return Ok(None) };
        let leaf = shared.entry_leaf(index, with_bytes)?;
        let leaf = leaf.ok_or_else(|| Problem::internal(format!("leaf {index} is not stored")))?;
        self.next = shared.previous(&self.key, index)?;
        Ok(Some(leaf))
    }
}

/// A page of a history, as far as it has been read.
#[derive(Debug)]
pub(crate) struct Page {
    token: PageToken,
    walk: Walk,
    size: usize,
    with_entries: bool,
    leaves: Vec<v1::Leaf>,
    bytes: usize,
}

impl Page {
    /// The page that is asked for, of which nothing has been read.
    pub(crate) fn begin(shared: &Shared, request: &v1::GetHistoryRequest) -> Result<Self, Problem> {
        let size = match request.page_size {
            0 => DEFAULT_PAGE,
            size if size <= MAX_PAGE => size,
            size => return Err(Problem::too_many(format!("a page of {size}, at most {MAX_PAGE}"))),
        };
        let (token, walk) = if request.page_token.is_empty() {
            let id = Subject::parse("id", &request.id)?;
            let (record, height) = shared.record(&id, 0)?;
            let record = record.ok_or_else(|| Problem::not_found(request.id.clone()))?;
            let record: Record = message::decode("record", &record)?;
            let timeline = record.timeline.unwrap_or_default();
            let walk = Walk::of(&request.id, &timeline);
            (PageToken { height, count: timeline.count, head: timeline.head, next: 0 }, walk)
        } else {
            let token = PageToken::decode(&request.page_token)?;
            let walk = Walk::from(shared, &request.id, token.next)?;
            (token, walk)
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let with_entries = request.with_entries;
        Ok(Self { token, walk, size, with_entries, leaves: Vec::new(), bytes: 0 })
    }

    /// Reads one entry more; whether there is none on this page.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<bool, Problem> {
        if self.leaves.len() >= self.size || self.bytes >= ANSWER_BYTES {
            return Ok(true);
        }
        let Some(leaf) = self.walk.step(shared, self.with_entries)? else { return Ok(true) };
        self.bytes += leaf.encoded_len();
        self.leaves.push(leaf);
        Ok(false)
    }

    /// The answer, when all of it has been read.
    pub(crate) fn answer(self) -> v1::GetHistoryResponse {
        let Self { mut token, walk, leaves, .. } = self;
        let next_page_token = walk.peek().map_or_else(String::new, |next| {
            token.next = next;
            token.encode()
        });
        let PageToken { height, count, head, .. } = token;
        v1::GetHistoryResponse { leaves, next_page_token, height, count, head }
    }
}

/// Where a list goes on: pinned to the height, count and head of its first page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageToken {
    pub(crate) height: u64,
    pub(crate) count: u64,
    pub(crate) head: Bytes,
    pub(crate) next: u64,
}

impl PageToken {
    pub(crate) fn encode(&self) -> String {
        let head = ledger_format::digest::hex(&self.head);
        format!("1.{}.{}.{}.{head}", self.height, self.count, self.next)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::bad_request(format!("page_token {text:?}"));
        let parts: Vec<&str> = text.split('.').collect();
        let [version, height, count, next, head] = parts.as_slice() else { return Err(wrong()) };
        if *version != "1" {
            return Err(wrong());
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_not_a_number| wrong());
        let head = EntryId::from_hex(head).map_err(|_not_a_hash| wrong())?;
        Ok(Self {
            height: number(height)?,
            count: number(count)?,
            next: number(next)?,
            head: Bytes::copy_from_slice(head.as_bytes()),
        })
    }
}
