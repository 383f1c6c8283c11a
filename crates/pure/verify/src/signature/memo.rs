//! Verdicts that were given before. In the product each signature that comes is checked. In the simulator's own build (feature `memo`)
//! one thread plays all nodes of a network, each of which asks for the same verdicts: there the good ones are remembered.

use super::SignatureError;

/// What a check of these bytes gives, which is carried out unless it is known to be good.
#[cfg(not(feature = "memo"))]
pub(super) fn once(
    _: &[u8; 32],
    _: &[u8],
    _: &[u8; 64],
    check: impl FnOnce() -> Result<(), SignatureError>,
) -> Result<(), SignatureError> {
    check()
}

#[cfg(feature = "memo")]
mod remembered {
    extern crate std;

    use alloc::collections::BTreeSet;
    use core::cell::RefCell;

    use sha2::{Digest as _, Sha256};

    use super::SignatureError;

    /// How many are remembered; beyond that all are forgotten.
    const MOST: usize = 1 << 20;

    std::thread_local! {
        static GOOD: RefCell<BTreeSet<[u8; 32]>> = RefCell::default();
    }

    /// What a check of these bytes gives, which is carried out unless it is known to be good.
    pub(in super::super) fn once(
        key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
        check: impl FnOnce() -> Result<(), SignatureError>,
    ) -> Result<(), SignatureError> {
        // Two fixed lengths before the one that varies: the sum says where each begins.
        let hash = Sha256::new().chain_update(key).chain_update(signature).chain_update(message);
        let asked: [u8; 32] = hash.finalize().into();
        if GOOD.with_borrow(|good| good.contains(&asked)) {
            return Ok(());
        }
        check()?;
        GOOD.with_borrow_mut(|good| {
            if good.len() >= MOST {
                good.clear();
            }
            good.insert(asked);
        });
        Ok(())
    }
}

#[cfg(feature = "memo")]
pub(super) use remembered::once;
