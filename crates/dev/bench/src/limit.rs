//! The machine's own limit: signatures that it can check in a second and do nothing else.

use std::thread;
use std::time::{Duration, Instant};

use ed25519_dalek::{Signer as _, SigningKey};
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use getrandom::SysRng;
use rand_core::UnwrapErr;

/// Signatures of one batch.
pub const BATCH: usize = 1_024;
/// Keys that signed them.
pub const SIGNERS: u8 = 100;
/// Bytes of a message, about what an entry's signature is over.
const MESSAGE_BYTES: usize = 400;

/// Signatures a second that ed25519-zebra's batch of 1,024 by 100 signers checks, on all cores together.
pub fn batch_verify(during: Duration) -> f64 {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let batch = signed();
    let checked: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| check(&batch, during))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread of its own")).sum()
    });
    let checked = u32::try_from(checked).expect("fewer than four billion signatures");
    f64::from(checked) / during.as_secs_f64()
}

type Signed = (VerificationKeyBytes, Signature, Vec<u8>);

fn signed() -> Vec<Signed> {
    let keys: Vec<_> = (0..SIGNERS).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    let messages = (0_u64..).map(|number| number.to_be_bytes().repeat(MESSAGE_BYTES / 8));
    let sign = |(key, message): (&SigningKey, Vec<u8>)| {
        let signature = Signature::from(key.sign(&message).to_bytes());
        (VerificationKeyBytes::from(key.verifying_key().to_bytes()), signature, message)
    };
    keys.iter().cycle().zip(messages).take(BATCH).map(sign).collect()
}

fn check(signed: &[Signed], during: Duration) -> usize {
    let begun = Instant::now();
    let mut checked = 0;
    while begun.elapsed() < during {
        let mut all = batch::Verifier::new();
        for (key, signature, message) in signed {
            all.queue((*key, *signature, message));
        }
        all.verify(UnwrapErr(SysRng)).expect("good signatures");
        checked += signed.len();
    }
    checked
}
