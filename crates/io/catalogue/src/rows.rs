//! Rows of a CSV table (RFC 4180), read strictly: what cannot be told apart is reported, not guessed.

use crate::code::Code;
use crate::error::SourceError;
use crate::feed::Feed;
use crate::options::Limits;
use crate::record::{Locator, Place};
use crate::refusal::Refusal;

/// A row, and where it starts.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) number: u64,
    pub(crate) line: u64,
    pub(crate) fields: Result<Vec<String>, Refusal>,
}

pub(crate) struct Rows {
    feed: Feed,
    delimiter: u8,
    record_bytes: u64,
    row: u64,
    line: u64,
}

/// Where in a field the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Bare,
    /// Inside quotes that opened in this line.
    Quoted(u64),
    /// After a quote inside quotes: the end, or one half of a doubled quote.
    Closed(u64),
}

/// A row while it is read.
struct Draft {
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
    bytes: u64,
    refusal: Option<Refusal>,
    quoted: bool,
}

impl Rows {
    /// Starts behind a byte order mark. UTF-16 is refused here, where its mark still tells it.
    pub(crate) fn new(mut feed: Feed, delimiter: u8, limits: &Limits) -> Result<Self, SourceError> {
        if let Some(0xFE | 0xFF) = feed.peek()? {
            return Err(SourceError::NotUtf8 { file: feed.file().to_owned(), offset: 0 });
        }
        if feed.peek()? == Some(0xEF) {
            for expected in [0xEF, 0xBB, 0xBF] {
                if feed.peek()? != Some(expected) {
                    let offset = feed.offset();
                    return Err(SourceError::NotUtf8 { file: feed.file().to_owned(), offset });
                }
                feed.advance();
            }
        }
        Ok(Self { feed, delimiter, record_bytes: limits.record_bytes, row: 0, line: 1 })
    }

    pub(crate) const fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(crate) fn locator(&self, row: &Row) -> Locator {
        Locator {
            file: self.feed.file().to_owned(),
            place: Place::Row { row: row.number, line: row.line },
        }
    }

    /// The next row that is not blank; none at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row>, SourceError> {
        loop {
            if self.feed.peek()?.is_none() {
                return Ok(None);
            }
            let line = self.line;
            let draft = self.read_row()?;
            self.row = self.row.saturating_add(1);
            let blank = draft.fields.len() == 1 && draft.fields.iter().all(Vec::is_empty);
            if !(blank && draft.refusal.is_none() && !draft.quoted) {
                return Ok(Some(Row { number: self.row, line, fields: draft.finish() }));
            }
        }
    }

    fn read_row(&mut self) -> Result<Draft, SourceError> {
        let mut draft =
            Draft { fields: Vec::new(), field: Vec::new(), bytes: 0, refusal: None, quoted: false };
        let mut state = State::Start;
        loop {
            let Some(byte) = self.feed.peek()? else {
                if let State::Quoted(line) = state {
                    return Err(SourceError::CsvUnclosedQuote {
                        file: self.feed.file().to_owned(),
                        line,
                    });
                }
                draft.end_field();
                return Ok(draft);
            };
            self.feed.advance();
            draft.count(self.record_bytes);
            let inside = matches!(state, State::Quoted(_));
            if !inside && matches!(byte, b'\n' | b'\r') {
                if byte == b'\r' && self.feed.peek()? == Some(b'\n') {
                    self.feed.advance();
                }
                self.line = self.line.saturating_add(1);
                draft.end_field();
                return Ok(draft);
            }
            if inside && byte == b'\n' {
                self.line = self.line.saturating_add(1);
            }
            state = self.step(state, byte, &mut draft);
        }
    }

    fn step(&self, state: State, byte: u8, draft: &mut Draft) -> State {
        match (state, byte) {
            (State::Quoted(line), b'"') => State::Closed(line),
            (State::Quoted(line), _) => {
                draft.push(byte);
                State::Quoted(line)
            }
            (State::Closed(line), b'"') => {
                draft.push(b'"');
                State::Quoted(line)
            }
            (_, byte) if byte == self.delimiter => {
                draft.end_field();
                State::Start
            }
            (State::Start, b'"') => {
                draft.quoted = true;
                State::Quoted(self.line)
            }
            (State::Closed(_), _) => {
                draft.refuse(Code::RowQuote, || {
                    "expected a delimiter after a closing quote, found text; double the quotes inside the field"
                        .to_owned()
                });
                State::Bare
            }
            // A quote inside a bare field is text: 5" pipe.
            (State::Start | State::Bare, _) => {
                draft.push(byte);
                State::Bare
            }
        }
    }
}

impl Draft {
    fn count(&mut self, limit: u64) {
        self.bytes = self.bytes.saturating_add(1);
        if self.bytes > limit && self.refusal.is_none() {
            self.refusal = Some(Refusal::too_large(limit));
            self.fields = Vec::new();
            self.field = Vec::new();
        }
    }

    fn refuse(&mut self, code: Code, reason: impl FnOnce() -> String) {
        if self.refusal.is_none() {
            self.refusal = Some(Refusal::new(code, reason()));
        }
    }

    /// A row that is refused is read to its end but not kept.
    fn push(&mut self, byte: u8) {
        if self.refusal.is_none() {
            self.field.push(byte);
        }
    }

    fn end_field(&mut self) {
        if self.refusal.is_none() {
            self.fields.push(std::mem::take(&mut self.field));
        }
    }

    fn finish(self) -> Result<Vec<String>, Refusal> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let mut fields = Vec::with_capacity(self.fields.len());
        for (position, field) in (1_u64..).zip(self.fields) {
            fields.push(String::from_utf8(field).map_err(|error| {
                Refusal::new(
                    Code::RowNotUtf8,
                    format!(
                        "expected UTF-8, field {position} is not at its byte {}; convert the file",
                        error.utf8_error().valid_up_to()
                    ),
                )
            })?);
        }
        Ok(fields)
    }
}
