//! Frames of the consensus log: the mark `LWAL`, length 4, CRC-32 4 (big-endian), payload. Nothing here reads a file.
//!
//! A write that a crash cut off leaves the beginning of a frame, with nothing after it. Whatever else is not a whole frame was
//! changed after it was written, and may have been relied on: then the node must not go on without it.
//!
//! Payloads hold what strangers sent. So that no entry can be made to look like a frame, which would make a write that was cut off
//! look like damage, a checksum is over the random bytes of the last start before the frame, and then the payload.

use crate::error::StoreError;

const MARK: &[u8; 4] = b"LWAL";
/// Bytes of a frame before its payload.
pub const HEAD_BYTES: usize = 12;
/// Longest payload: a block body and its wrapping.
const MAX_PAYLOAD_BYTES: usize = 20 * 1024 * 1024;
/// What a payload begins with that names a start: 16 random bytes follow. No record of a replica begins so.
const START_MARK: &[u8; 16] = b"ledger/start/1\0\0";

/// The name of a start in a log: random bytes that nobody outside knows.
pub type Start = [u8; 16];

/// The payload that names a start.
pub(crate) fn start_payload(start: &Start) -> Vec<u8> {
    [START_MARK.as_slice(), start].concat()
}

/// The start that a payload names.
pub(crate) fn start_of(payload: &[u8]) -> Option<Start> {
    payload.strip_prefix(START_MARK)?.try_into().ok()
}

/// Adds a frame to a log whose last start is this one.
pub fn append(log: &mut Vec<u8>, start: Option<&Start>, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut hasher = hasher(start);
    hasher.update(payload);
    log.extend_from_slice(MARK);
    log.extend_from_slice(&length.to_be_bytes());
    log.extend_from_slice(&hasher.finalize().to_be_bytes());
    log.extend_from_slice(payload);
}

fn hasher(start: Option<&Start>) -> crc32fast::Hasher {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(start.map_or(&[], Start::as_slice));
    hasher
}

/// The payloads of a log in order, and where they end: what follows is a write that was cut off.
///
/// # Errors
/// [`StoreError::WalDamaged`].
pub fn read(log: &[u8]) -> Result<(Vec<Vec<u8>>, usize), StoreError> {
    let (mut payloads, mut at, mut start) = (Vec::new(), 0, None);
    while let Some(payload) = log.get(at..).and_then(|rest| whole(rest, start.as_ref())) {
        at += HEAD_BYTES + payload.len();
        start = start_of(payload).or(start);
        payloads.push(payload.to_vec());
    }
    let rest = log.get(at..).unwrap_or_default();
    if is_cut_off(rest, start.as_ref()) && !holds_frame(rest, start.as_ref()) {
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
fn whole<'a>(bytes: &'a [u8], start: Option<&Start>) -> Option<&'a [u8]> {
    let (mark, length, crc, rest) = parts(bytes)?;
    let payload = rest.get(..length).filter(|_| mark == MARK && length <= MAX_PAYLOAD_BYTES)?;
    let mut hasher = hasher(start);
    hasher.update(payload);
    (hasher.finalize() == crc).then_some(payload)
}

/// Whether bytes are the beginning of a frame and no more. A frame that is as long as its head says was written to its end; so was
/// one whose checksum is that of fewer bytes than its head says: then the length is not what was written.
fn is_cut_off(rest: &[u8], start: Option<&Start>) -> bool {
    let Some((mark, length, crc, begun)) = parts(rest) else { return true };
    mark == MARK
        && length <= MAX_PAYLOAD_BYTES
        && length > begun.len()
        && !begins_with(begun, hasher(start), crc)
}

/// Whether bytes begin with some of this checksum.
fn begins_with(bytes: &[u8], mut hasher: crc32fast::Hasher, crc: u32) -> bool {
    let mut sums = bytes.iter().map(|byte| {
        hasher.update(std::slice::from_ref(byte));
        hasher.clone().finalize()
    });
    sums.any(|sum| sum == crc)
}

/// Whether a whole frame is somewhere behind the first byte. What strangers sent may be full of what looks like one: the checksum of
/// each is made of those of two beginnings of `rest`, so that the time grows with its length alone.
fn holds_frame(rest: &[u8], start: Option<&Start>) -> bool {
    let marks = rest.windows(MARK.len()).enumerate().skip(1).filter(|(_, w)| *w == MARK);
    let framed = |(offset, _)| {
        let (_, length, crc, payload) = parts(rest.get(offset..)?)?;
        let from = offset + HEAD_BYTES;
        let fits = length <= MAX_PAYLOAD_BYTES && length <= payload.len();
        fits.then_some((from, from + length, crc))
    };
    let candidates: Vec<(usize, usize, u32)> = marks.filter_map(framed).collect();
    let mut ends: Vec<usize> = candidates.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
    ends.sort_unstable();
    ends.dedup();
    let sums = sums_to(rest, &ends);
    let sum_to = |end| ends.binary_search(&end).ok().and_then(|at| sums.get(at).copied());
    let before = hasher(start).finalize();
    candidates.iter().any(|(from, to, crc)| {
        let sum = |first: u32, both: u32| moved_on(before ^ first, to - from) ^ both;
        sum_to(*from).zip(sum_to(*to)).is_some_and(|(first, both)| sum(first, both) == *crc)
    })
}

/// The checksums of the beginnings of `bytes` with these ends, ascending.
fn sums_to(bytes: &[u8], ends: &[usize]) -> Vec<u32> {
    let (mut hasher, mut at) = (crc32fast::Hasher::new(), 0);
    let sums = ends.iter().map(|end| {
        hasher.update(bytes.get(at..*end).unwrap_or_default());
        at = *end;
        hasher.clone().finalize()
    });
    sums.collect()
}

/// What a checksum adds to that of what follows it, of this length: the checksum of `a` and then `b` is that of `a`, moved on by the
/// length of `b`, and that of `b`, added without carry.
fn moved_on(sum: u32, length: usize) -> u32 {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let mut hasher = crc32fast::Hasher::new_with_initial(sum);
    hasher.combine(&crc32fast::Hasher::new_with_initial_len(0, length));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(payloads: &[&[u8]]) -> Vec<u8> {
        log_after(None, payloads)
    }

    fn log_after(start: Option<&Start>, payloads: &[&[u8]]) -> Vec<u8> {
        let mut log = Vec::new();
        for payload in payloads {
            append(&mut log, start, payload);
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

    /// Each byte of a frame's head and payload matters, and where it is in the rest does not.
    #[test]
    fn a_frame_is_found_wherever_it_is_and_nothing_else() {
        for start in [None, Some([7; 16])] {
            for payload in [b"".as_slice(), b"1", b"a payload", &[0xa5; 300]] {
                for before in [1, 3, 12, 100] {
                    let frame = log_after(start.as_ref(), &[payload]);
                    let rest = [&vec![b'L'; before], frame.as_slice(), b"LWAL and more"].concat();
                    assert!(holds_frame(&rest, start.as_ref()));
                    for at in before..before + frame.len() {
                        let mut other = rest.clone();
                        other[at] ^= 1;
                        assert!(!holds_frame(&other, start.as_ref()), "byte {at} of {payload:?}");
                    }
                }
            }
        }
    }

    /// A body full of heads that claim all that follows: two million bytes took 5.6 s when each was summed by itself.
    #[test]
    fn what_is_full_of_heads_is_looked_through_in_little_time() {
        let heads = 1 << 17;
        let mut sent = Vec::new();
        for number in (0..heads).rev() {
            let length = u32::try_from(number * HEAD_BYTES).unwrap();
            sent.extend_from_slice(MARK);
            sent.extend_from_slice(&length.to_be_bytes());
            sent.extend_from_slice(&[0xff; 4]);
        }
        let hashed = std::time::Instant::now();
        for _ in 0..2_000 {
            assert_ne!(crc32fast::hash(&sent), 0);
        }
        let (hashed, looked) = (hashed.elapsed(), std::time::Instant::now());
        assert!(!holds_frame(&sent, Some(&[7; 16])));
        // Each by itself would take as long as 65,536 times the whole: more than thirty times as long as all this.
        assert!(looked.elapsed() < hashed * 10, "{:?} beside {hashed:?}", looked.elapsed());
    }

    #[test]
    fn bytes_that_somebody_sent_are_no_frame() {
        // What looks like one to whoever does not know the start.
        let sent = log(&[b"sent", &start_payload(&[9; 16])]);
        let started = log(&[&start_payload(&[7; 16])]);
        let body =
            log_after(Some(&[7; 16]), &[&[b"a body with ", sent.as_slice(), b" in it"].concat()]);
        let written = [started.as_slice(), &body].concat();
        for torn in started.len()..written.len() {
            assert_eq!(read(&written[..torn]).unwrap().1, started.len(), "{torn}");
        }
        assert_eq!(read(&written).unwrap().0.len(), 2);
        // A frame of the log itself is noticed behind a broken one.
        let next = log_after(Some(&[7; 16]), &[b"next"]);
        let mut broken = [written.as_slice(), &next].concat();
        broken[started.len() + 4..started.len() + HEAD_BYTES]
            .copy_from_slice(&[0, 0, 9, 9, 9, 9, 9, 9]);
        assert!(matches!(read(&broken), Err(StoreError::WalDamaged { .. })));
    }
}
