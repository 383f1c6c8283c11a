//! Signatures of the open height that are good: a vote is looked at when it comes, and again in the certificate that it becomes part of.

use std::collections::BTreeSet;

use ledger_verify::signature;

/// Signatures that are remembered. An honest height has a few of each validator; what liars add to that is verified each time.
const REMEMBERED: usize = 4_096;

/// Key, message and signature: what is remembered is the same to the byte.
type Signed = ([u8; 32], [u8; 96], [u8; 64]);

/// The good signatures.
#[derive(Debug, Default)]
pub(crate) struct Verified(BTreeSet<Signed>);

impl Verified {
    /// Whether a signature is good.
    pub(crate) fn check(
        &mut self,
        key: &[u8; 32],
        message: &[u8; 96],
        signature: &[u8; 64],
    ) -> bool {
        if self.0.contains(&(*key, *message, *signature)) {
            return true;
        }
        let is_good = signature::verify(key, message, signature).is_ok();
        if is_good {
            self.made(key, message, signature);
        }
        is_good
    }

    /// Remembers a good signature, such as this node's own.
    pub(crate) fn made(&mut self, key: &[u8; 32], message: &[u8; 96], signature: &[u8; 64]) {
        if self.0.len() < REMEMBERED {
            self.0.insert((*key, *message, *signature));
        }
    }

    /// Forgets all: a height begins.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    #[test]
    fn only_the_same_to_the_byte_is_good_again() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let (public, message) = (key.verifying_key().to_bytes(), [1; 96]);
        let signature = key.sign(&message).to_bytes();
        let mut verified = Verified::default();
        assert!(verified.check(&public, &message, &signature));
        assert!(verified.check(&public, &message, &signature));
        let other_key = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        assert!(!verified.check(&other_key, &message, &signature));
        assert!(!verified.check(&public, &[2; 96], &signature));
        for byte in 0..signature.len() {
            let mut changed = signature;
            changed[byte] ^= 1;
            assert!(!verified.check(&public, &message, &changed), "byte {byte}");
        }
        assert_eq!(verified.0.len(), 1, "what is bad is not remembered");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut verified = Verified::default();
        for number in 0..=REMEMBERED {
            let mut message = [0; 96];
            message[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
            verified.made(&[0; 32], &message, &[0; 64]);
        }
        assert_eq!(verified.0.len(), REMEMBERED);
    }
}
