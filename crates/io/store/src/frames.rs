//! Frames of the consensus log: the mark `LWAL`, length 4, CRC-32 4 (big-endian), payload. Nothing here reads a file.
//!
//! A write that a crash cut off leaves the beginning of a frame, with nothing after it. Whatever else is not a whole frame was
//! changed after it was written, and may have been relied on: then the node must not go on without it.

use crate::error::StoreError;

const MARK: &[u8; 4] = b"LWAL";
/// Bytes of a frame before its payload.
pub const HEAD_BYTES: usize = 12;
/// Longest payload: a block body and its wrapping.
const MAX_PAYLOAD_BYTES: usize = 20 * 1024 * 1024;

/// Adds a frame to a log.
pub fn append(log: &mut Vec<u8>, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    log.extend_from_slice(MARK);
    log.extend_from_slice(&length.to_be_bytes());
    log.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
    log.extend_from_slice(payload);
}

/// The payloads of a log in order, and where they end: what follows is a write that was cut off.
///
/// # Errors
/// [`StoreError::WalDamaged`].
pub fn read(log: &[u8]) -> Result<(Vec<Vec<u8>>, usize), StoreError> {
    let mut payloads = Vec::new();
    let mut at = 0;
    while let Some(payload) = log.get(at..).and_then(whole) {
        at += HEAD_BYTES + payload.len();
        payloads.push(payload.to_vec());
    }
    let rest = log.get(at..).unwrap_or_default();
    if is_cut_off(rest) && !holds_frame(rest) {
        return Ok((payloads, at));
    }
    Err(StoreError::WalDamaged { offset: u64::try_from(at).unwrap_or(u64::MAX) })
}

/// Mark, length, checksum, and whatever follows.
fn parts(bytes: &[u8]) -> Option<(&[u8], usize, u32, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (mark, numbers) = head.split_first_chunk::<4>()?;
    let (length, crc) = numbers.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some((mark, length, u32::from_be_bytes(crc.try_into().ok()?), rest))
}

/// The payload of the whole frame that `bytes` begins with.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (mark, length, crc, rest) = parts(bytes)?;
    let payload = rest.get(..length).filter(|_| mark == MARK && length <= MAX_PAYLOAD_BYTES)?;
    (crc32fast::hash(payload) == crc).then_some(payload)
}

/// Whether bytes are the beginning of a frame and no more. A frame that is as long as its head says was written to its end; so was
/// one whose checksum is that of fewer bytes than its head says: then the length is not what was written.
fn is_cut_off(rest: &[u8]) -> bool {
    let Some((mark, length, crc, begun)) = parts(rest) else { return true };
    mark == MARK && length <= MAX_PAYLOAD_BYTES && length > begun.len() && !begins_with(begun, crc)
}

/// Whether bytes begin with some of this checksum.
fn begins_with(bytes: &[u8], crc: u32) -> bool {
    let mut hasher = crc32fast::Hasher::new();
    let mut sums = bytes.iter().map(|byte| {
        hasher.update(std::slice::from_ref(byte));
        hasher.clone().finalize()
    });
    sums.any(|sum| sum == crc)
}

/// Whether a whole frame is somewhere behind the first byte.
fn holds_frame(rest: &[u8]) -> bool {
    let marks = rest.windows(MARK.len()).enumerate().skip(1).filter(|(_, w)| *w == MARK);
    let mut later = marks.filter_map(|(offset, _)| rest.get(offset..));
    later.any(|tail| whole(tail).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(payloads: &[&[u8]]) -> Vec<u8> {
        let mut log = Vec::new();
        for payload in payloads {
            append(&mut log, payload);
        }
        log
    }

    #[test]
    fn a_torn_tail_of_any_length_is_cut() {
        let (kept, both) = (log(&[b"one"]), log(&[b"one", b"two"]));
        for length in kept.len()..both.len() {
            assert_eq!(read(&both[..length]).unwrap(), (vec![b"one".to_vec()], kept.len()));
        }
    }

    #[test]
    fn every_flipped_bit_of_every_frame_is_damage_whatever_was_torn_after_it() {
        let written = log(&[b"one", &[7; 40]]);
        let first = HEAD_BYTES + 3;
        let next = log(&[b"a write that was cut off"]);
        for torn in 0..next.len() {
            let bytes = [written.as_slice(), &next[..torn]].concat();
            assert_eq!(read(&bytes).unwrap().1, written.len());
            for bit in 0..written.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let offset = if bit / 8 < first { 0 } else { first };
                let found = read(&flipped);
                let is_found = matches!(found, Err(StoreError::WalDamaged { offset: at }) if at == u64::try_from(offset).unwrap());
                assert!(is_found, "bit {bit}, {torn} bytes torn: {found:?}");
            }
        }
    }
}
