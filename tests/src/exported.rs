//! Exported chains taken apart and put together again, with framing and checksums right.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use ledger_client::chain::verify;
use ledger_format::block::Block;
use ledger_format::chain_file::{
    CHAIN_MARK, CHECKSUM_BYTES, End, FRAME_HEAD_BYTES, FrameHead, FrameKind, frame,
};
use ledger_format::digest::LedgerId;
use ledger_format::genesis::GenesisDocument;
use ledger_verify::finding::Refuted;
use ledger_verify::verdict::Verdict;

/// The parts of an exported chain.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The genesis document.
    pub genesis: Bytes,
    /// The blocks, height 1 first.
    pub blocks: Vec<Bytes>,
    /// The records.
    pub records: Vec<Bytes>,
}

impl Exported {
    /// Takes a file apart.
    pub fn read(path: &Path) -> Self {
        let bytes = Bytes::from(fs::read(path).expect("an exported chain"));
        let mut chain = Self { genesis: Bytes::new(), blocks: Vec::new(), records: Vec::new() };
        let mut rest = bytes.slice(CHAIN_MARK.len()..);
        while !rest.is_empty() {
            let head = rest.split_to(FRAME_HEAD_BYTES);
            let head = FrameHead::decode(head.as_ref().try_into().expect("a head"));
            let head = head.expect("a frame");
            let payload = rest.split_to(head.length);
            let _checksum = rest.split_to(CHECKSUM_BYTES);
            match head.kind {
                FrameKind::Genesis => chain.genesis = payload,
                FrameKind::Block => chain.blocks.push(payload),
                FrameKind::Record => chain.records.push(payload),
                FrameKind::End => {}
            }
        }
        chain
    }

    /// The file, with framing, checksums and counts as they should be.
    pub fn file(&self) -> Vec<u8> {
        let count = |parts: &[Bytes]| u64::try_from(parts.len()).expect("few parts");
        let end = End { blocks: count(&self.blocks), records: count(&self.records) }.encode();
        let mut file = CHAIN_MARK.to_vec();
        file.extend(frame(FrameKind::Genesis, &self.genesis));
        file.extend(self.blocks.iter().flat_map(|block| frame(FrameKind::Block, block)));
        file.extend(self.records.iter().flat_map(|record| frame(FrameKind::Record, record)));
        file.extend(frame(FrameKind::End, &end));
        file
    }

    /// The id of its ledger.
    pub fn ledger(&self) -> LedgerId {
        GenesisDocument::decode(self.genesis.clone()).expect("a genesis document").id()
    }

    /// The block of a height.
    pub fn block(&self, height: usize) -> Block {
        Block::decode(self.blocks[height - 1].clone()).expect("a block")
    }

    /// The same chain with a change to one block.
    #[must_use]
    pub fn with(&self, height: usize, change: impl FnOnce(&mut Block)) -> Self {
        let (mut chain, mut block) = (self.clone(), self.block(height));
        change(&mut block);
        chain.blocks[height - 1] = block.encode().into();
        chain
    }

    /// The same chain after any change to its parts.
    #[must_use]
    pub fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut chain = self.clone();
        change(&mut chain);
        chain
    }

    /// What the verifier says of the file under trust in a ledger.
    pub fn verdict(&self, trust: &LedgerId) -> Verdict {
        verdict(&self.file(), trust)
    }

    /// What refutes the file under trust in a ledger.
    pub fn refuted(&self, trust: &LedgerId) -> Refuted {
        match self.verdict(trust) {
            Verdict::Refuted(refuted) => refuted,
            other => panic!("expected a refutation, found {other:?}"),
        }
    }
}

/// What the verifier says of the bytes of a chain file under trust in a ledger.
pub fn verdict(mut file: &[u8], trust: &LedgerId) -> Verdict {
    let verified = verify(&mut file, Some(trust), |_| {}, |_| {});
    verified.expect("bytes in memory can be read").report.verdict
}
