//! Exported chains: written from a node, read and verified offline.

use std::io::{Read, Write};

use bytes::Bytes;
use ledger_format::block::Block;
use ledger_format::chain_file::{
    CHAIN_MARK, CHECKSUM_BYTES, End, FRAME_HEAD_BYTES, FrameHead, FrameKind, frame,
};
use ledger_format::digest::LedgerId;
use ledger_format::genesis::GenesisDocument;
use ledger_format::malformed::{Kind, Malformed};
use ledger_replay::{Executed, Replay};
use ledger_verify::block::unknown_version;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::verdict::{Report, Verdict};
use tokio_stream::StreamExt as _;

use crate::error::ClientError;
use crate::node::Node;

/// How far a long piece of work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks so far.
    pub blocks: u64,
    /// Blocks in all, when known.
    pub of: Option<u64>,
    /// Entries so far.
    pub entries: u64,
    /// Bytes so far.
    pub bytes: u64,
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Blocks.
    pub blocks: u64,
    /// Records.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes a node's chain up to its head: genesis, blocks and, unless `records` is false, the whole state.
///
/// # Errors
/// What the node answers, or `CLIENT_FILE`.
pub async fn export(
    node: &mut Node,
    writer: &mut impl Write,
    records: bool,
    mut progress: impl FnMut(Progress),
) -> Result<Exported, ClientError> {
    let genesis = node.genesis().await?;
    let mut state = Vec::new();
    let mut height = node.status().await?.height;
    if records {
        // The state first: it says which height it is of, and blocks can be had of any.
        let mut stream = node.records().await?;
        while let Some(message) =
            stream.next().await.transpose().map_err(ClientError::of_reading)?
        {
            height = message.height;
            state.extend(message.records);
        }
    }
    if height == 0 {
        return Err(ClientError::no_block("height 0"));
    }
    let mut out = Counted { writer, bytes: 0 };
    out.put(CHAIN_MARK)?;
    out.put(&frame(FrameKind::Genesis, genesis.bytes()))?;
    let mut blocks = node.blocks(1, height).await?;
    let mut count = 0;
    while let Some(message) = blocks.next().await.transpose().map_err(ClientError::of_reading)? {
        out.put(&frame(FrameKind::Block, &message.block))?;
        count += 1;
        progress(Progress { blocks: count, of: Some(height), entries: 0, bytes: out.bytes });
    }
    if count != height {
        return Err(ClientError::answer(format!("{count} of {height} blocks came")));
    }
    for record in &state {
        out.put(&frame(FrameKind::Record, record))?;
    }
    let records = u64::try_from(state.len()).unwrap_or(u64::MAX);
    out.put(&frame(FrameKind::End, &End { blocks: count, records }.encode()))?;
    out.writer.flush().map_err(ClientError::io("chain file"))?;
    Ok(Exported { blocks: count, records, bytes: out.bytes })
}

struct Counted<'a, W> {
    writer: &'a mut W,
    bytes: u64,
}

impl<W: Write> Counted<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.bytes += u64::try_from(bytes.len()).unwrap_or_default();
        self.writer.write_all(bytes).map_err(ClientError::io("chain file"))
    }
}

/// Why reading a chain file stopped short of a report.
enum Stop {
    /// A verdict.
    Verdict(Verdict),
    /// The file cannot be read.
    Io(ClientError),
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Self::Verdict(malformed.into())
    }
}

impl From<Refuted> for Stop {
    fn from(refuted: Refuted) -> Self {
        Self::Verdict(refuted.into())
    }
}

/// A chain that was verified, and the ledger that replaying it gave.
#[derive(Debug)]
pub struct VerifiedChain {
    /// What was found.
    pub report: Report,
    /// The replayed ledger, when the chain is sound.
    pub replay: Option<Replay>,
    /// Ledger id of the file, once it was read.
    pub ledger: Option<LedgerId>,
}

/// Verifies a chain file by executing all of it again. Without `trust` the verdict is at best "not determined".
///
/// `keep` sees every block that was verified, with its height.
///
/// # Errors
/// `CLIENT_FILE` when the file cannot be read; everything else is a verdict.
pub fn verify(
    reader: &mut impl Read,
    trust: Option<&LedgerId>,
    mut keep: impl FnMut(&Block),
    progress: impl FnMut(Progress),
) -> Result<VerifiedChain, ClientError> {
    verify_executed(reader, trust, |block, _| keep(block), progress)
}

/// The same; `keep` sees what executing each block gave as well. The signatures of its entries are checked by the time of the verdict.
///
/// # Errors
/// As [`verify`].
pub fn verify_executed(
    reader: &mut impl Read,
    trust: Option<&LedgerId>,
    mut keep: impl FnMut(&Block, &Executed),
    mut progress: impl FnMut(Progress),
) -> Result<VerifiedChain, ClientError> {
    let mut frames = Frames { reader, bytes: 0, kind: None };
    let mut ledger = None;
    let mut replay = None;
    let result = run(&mut frames, trust, &mut ledger, &mut replay, &mut keep, &mut progress);
    match result {
        Ok(report) => {
            let report = match (trust, &ledger) {
                (None, Some(ledger)) => report.without_trust(ledger),
                _ => report,
            };
            Ok(VerifiedChain { report, replay, ledger })
        }
        Err(Stop::Verdict(verdict)) => {
            let verdict = before_damage(verdict, replay.as_mut());
            let report = placed(verdict, frames.kind, replay.as_ref());
            Ok(VerifiedChain { report, replay: None, ledger })
        }
        Err(Stop::Io(error)) => Err(error),
    }
}

fn run<R: Read>(
    frames: &mut Frames<'_, R>,
    trust: Option<&LedgerId>,
    ledger: &mut Option<LedgerId>,
    replay: &mut Option<Replay>,
    keep: &mut dyn FnMut(&Block, &Executed),
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Stop> {
    frames.mark()?;
    let genesis = match frames.next()? {
        (FrameKind::Genesis, payload) => GenesisDocument::decode(payload)?,
        (other, _) => return Err(out_of_order(other).into()),
    };
    let id = *ledger.insert(genesis.id());
    if let Some(trust) = trust
        && *trust != id
    {
        let reason = format!("the file is of ledger {id}, trust was stated in {trust}");
        return Err(Stop::Verdict(Verdict::TrustNotMet(reason)));
    }
    let replay = replay.insert(Replay::new(genesis)?);
    loop {
        match frames.next()? {
            (FrameKind::Block, payload) if replay.counts().records == 0 => {
                check_version(replay)?;
                let height = replay.ledger().height() + 1;
                // Whole frame, broken block: somebody made it so.
                let block = Block::decode(payload).map_err(|malformed| {
                    Refuted::new(Code::BlockForm, Place::block(height), malformed.to_string())
                })?;
                replay.push(&block, |executed| keep(&block, executed))?;
                let counts = replay.counts();
                progress(Progress {
                    blocks: counts.blocks,
                    of: None,
                    entries: counts.entries,
                    bytes: frames.bytes,
                });
            }
            (FrameKind::Record, payload) => {
                replay.settle()?;
                replay.check_record(&payload)?;
            }
            (FrameKind::End, payload) => {
                let end = End::decode(payload)?;
                let report = replay.finish()?;
                let counts = replay.counts();
                if (end.blocks, end.records) != (counts.blocks, counts.records) {
                    let detail = format!(
                        "the file ends after {} blocks and {} records, it announces {} and {}",
                        counts.blocks, counts.records, end.blocks, end.records
                    );
                    return Err(Malformed::new(Kind::Truncated, "chain file", detail).into());
                }
                frames.finish()?;
                return Ok(report);
            }
            (other, _) => return Err(out_of_order(other).into()),
        }
    }
}

/// What a version that this program does not know makes of a block, and of its bytes, cannot be told here: nobody is accused of it.
fn check_version(replay: &mut Replay) -> Result<(), Stop> {
    let (held, version) = (replay.ledger().height(), replay.ledger().protocol().version);
    let Some(why) = unknown_version(held + 1, version) else { return Ok(()) };
    replay.settle()?;
    let reason = format!(
        "{why}; the blocks up to {held} hold: verify with a program that knows the version"
    );
    Err(Stop::Verdict(Verdict::NotDetermined(reason)))
}

/// Damage accuses nobody, and must not hide who is to blame for what came whole before it: signatures that were still to be checked are.
fn before_damage(verdict: Verdict, replay: Option<&mut Replay>) -> Verdict {
    match (verdict, replay) {
        (Verdict::Malformed(malformed), Some(replay)) => match replay.settle() {
            Ok(()) => malformed.into(),
            Err(refuted) => refuted.into(),
        },
        (verdict, _) => verdict,
    }
}

/// A verdict that ended the reading. Damaged bytes do not say where they stand: what came before them does, so that somebody knows what
/// is left of the chain, and which block to fetch.
fn placed(verdict: Verdict, kind: Option<FrameKind>, replay: Option<&Replay>) -> Report {
    let (Verdict::Malformed(malformed), Some(replay)) = (&verdict, replay) else {
        return Report::bare(verdict);
    };
    let after = replay.ledger().height();
    let is_block = match kind {
        Some(kind) => kind == FrameKind::Block,
        None => replay.counts().records == 0,
    };
    let detail = format!("{}, after block {after}", malformed.detail);
    let height = Some(if is_block { after + 1 } else { after });
    Report { height, ..Report::bare(Malformed::new(malformed.kind, malformed.at, detail)) }
}

fn out_of_order(kind: FrameKind) -> Malformed {
    Malformed::new(Kind::Value, "chain file", format!("a {kind:?} frame out of order"))
}

struct Frames<'a, R> {
    reader: &'a mut R,
    bytes: u64,
    /// Of the frame that is read, once its head was.
    kind: Option<FrameKind>,
}

impl<R: Read> Frames<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Stop> {
        self.bytes += u64::try_from(buffer.len()).unwrap_or_default();
        self.reader.read_exact(buffer).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                let detail = "the file ends before its end frame";
                Malformed::new(Kind::Truncated, "chain file", detail).into()
            }
            _ => Stop::Io(ClientError::file(error)),
        })
    }

    fn mark(&mut self) -> Result<(), Stop> {
        let mut mark = [0; CHAIN_MARK.len()];
        self.read(&mut mark)?;
        if &mark == CHAIN_MARK {
            return Ok(());
        }
        Err(Malformed::new(Kind::Magic, "chain file", "not an exported chain").into())
    }

    fn next(&mut self) -> Result<(FrameKind, Bytes), Stop> {
        let mut head = [0; FRAME_HEAD_BYTES];
        self.kind = None;
        self.read(&mut head)?;
        let head = FrameHead::decode(head)?;
        self.kind = Some(head.kind);
        // Read as it comes: a damaged length must not ask for memory that the file does not fill.
        let mut payload = Vec::new();
        let length = u64::try_from(head.length).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(length).read_to_end(&mut payload);
        let read = read.map_err(|error| Stop::Io(ClientError::file(error)))?;
        self.bytes += length;
        if read != head.length {
            let detail = "the file ends within a frame";
            return Err(Malformed::new(Kind::Truncated, "chain file", detail).into());
        }
        let mut checksum = [0; CHECKSUM_BYTES];
        self.read(&mut checksum)?;
        head.check(&payload, checksum)?;
        Ok((head.kind, payload.into()))
    }

    fn finish(&mut self) -> Result<(), Stop> {
        let mut rest = [0; 1];
        match self.reader.read(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => {
                Err(Malformed::new(Kind::Trailing, "chain file", "bytes follow the end frame")
                    .into())
            }
            Err(error) => Err(Stop::Io(ClientError::file(error))),
        }
    }
}
