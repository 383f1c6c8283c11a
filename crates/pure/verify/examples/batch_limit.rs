//! What a signature costs, by four ways to verify it.
//!
//! ```text
//! cargo run --release -p ledger-verify --example batch_limit
//! ```
//!
//! Measured for 400-byte messages on one core of a shared virtual machine (AMD EPYC with AVX-512
//! and SHA-NI, Rust 1.95), best of 101 repeats, which six runs agreed on within 3 %:
//!
//! | way | us a signature |
//! | --- | --- |
//! | ed25519-zebra, batch | 7.9 to 8.0 |
//! | this crate, batch | 8.4 to 8.6 |
//! | this crate, one by one | 23.9 to 24.5 |
//! | ed25519-dalek, `verify_strict`, with decoding the key | 28.4 to 28.8 |
//!
//! Other programs were running: medians were a sixth to two thirds above the best, and those of
//! the two batches 4 to 14 % apart. The generator that zebra's batch gets here costs nothing; one
//! that asks the operating system for every coefficient, measured apart, added 0.3 to 0.5 us, as
//! much as the transcript of this crate does, and left the two within 1 % of each other by the best
//! times and within 3 % by the medians.
//! Without AVX-512 everything is slower.
#![expect(clippy::disallowed_types, reason = "a measurement needs a clock")]
#![expect(clippy::print_stdout, reason = "a measurement is printed")]
#![expect(clippy::unwrap_used, reason = "every input is made here")]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use ed25519_zebra::{VerificationKeyBytes, batch};
use ledger_verify::signature::{Batch, verify};

const SIGNATURES: usize = 1024;
const SIGNERS: usize = 100;
const REPEATS: usize = 101;

struct Signed {
    key: [u8; 32],
    message: Vec<u8>,
    signature: [u8; 64],
}

type Way = (&'static str, fn(&[Signed]));

const WAYS: [Way; 4] = [
    ("ed25519-zebra batch", zebra_batch),
    ("this crate, batch", our_batch),
    ("this crate, one by one", our_single),
    ("ed25519-dalek verify_strict", dalek_strict),
];

fn main() {
    for message_bytes in [100, 400, 2000] {
        let signed = sign(message_bytes);
        let mut times = WAYS.map(|_| Vec::with_capacity(REPEATS));
        // Interleaved, so that a change of clock or a busy neighbour falls on all alike.
        for _ in 0..REPEATS {
            for ((_, run), times) in WAYS.iter().zip(&mut times) {
                let start = Instant::now();
                run(&signed);
                times.push(start.elapsed());
            }
        }
        println!("{SIGNATURES} signatures by {SIGNERS} keys, messages of {message_bytes} bytes");
        for ((name, _), times) in WAYS.iter().zip(&mut times) {
            times.sort_unstable();
            let (best, median) = (each(times[0]), each(times[REPEATS / 2]));
            println!("  {name:28} median {median} us, best {best} us a signature");
        }
    }
}

fn sign(message_bytes: usize) -> Vec<Signed> {
    let keys: Vec<_> =
        (0u8..).take(SIGNERS).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    (0u64..)
        .zip(keys.iter().cycle())
        .take(SIGNATURES)
        .map(|(number, key)| {
            let mut message = vec![0; message_bytes];
            message[..8].copy_from_slice(&number.to_be_bytes());
            let signature = key.sign(&message).to_bytes();
            Signed { key: key.verifying_key().to_bytes(), message, signature }
        })
        .collect()
}

/// Microseconds a signature, with three decimals.
fn each(all: Duration) -> String {
    let nanoseconds = all.as_nanos() / u128::try_from(SIGNATURES).unwrap();
    format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000)
}

fn zebra_batch(signed: &[Signed]) {
    let mut batch = batch::Verifier::new();
    for Signed { key, message, signature } in signed {
        let signature = Signature::from_bytes(signature);
        batch.queue((VerificationKeyBytes::from(*key), signature, message));
    }
    batch.verify(SplitMix(1)).unwrap();
}

fn our_batch(signed: &[Signed]) {
    let mut batch = Batch::with_capacity(signed.len());
    for Signed { key, message, signature } in signed {
        batch.push(key, message, signature);
    }
    batch.verify().unwrap();
}

fn our_single(signed: &[Signed]) {
    for Signed { key, message, signature } in signed {
        verify(key, message, signature).unwrap();
    }
}

fn dalek_strict(signed: &[Signed]) {
    for Signed { key, message, signature } in signed {
        let key = VerifyingKey::from_bytes(key).unwrap();
        key.verify_strict(message, &Signature::from_bytes(signature)).unwrap();
    }
}

/// Seeded, and cheaper than any generator that would be safe: what zebra's batch costs at the
/// least.
struct SplitMix(u64);

impl rand_core::TryRng for SplitMix {
    type Error = Infallible;

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.try_next_u64()?.to_be_bytes();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.try_next_u64()?.to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for SplitMix {}
