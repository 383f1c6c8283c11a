//! Places for connections that have not said who they are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger_proto::address::network_of;

/// All places.
const MAX: usize = 256;
/// Those of one network, so that one machine cannot keep out the others.
const MAX_OF_NETWORK: usize = 32;
/// Those of all strangers' networks together, so that a few machines of theirs cannot keep out the validators.
const MAX_OF_STRANGERS: usize = 192;

/// The places that are taken.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    networks: BTreeMap<IpAddr, usize>,
    by_strangers: usize,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    network: IpAddr,
    is_strangers: bool,
}

impl Places {
    /// A place for a connection from an address, familiar if nodes of the ledger are known to be there.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, is_familiar: bool) -> Option<Place> {
        let network = network_of(address);
        let mut taken = self.taken();
        let all: usize = taken.networks.values().sum();
        let of_network = taken.networks.get(&network).copied().unwrap_or_default();
        let has_room = is_familiar || taken.by_strangers < MAX_OF_STRANGERS;
        if all >= MAX || of_network >= MAX_OF_NETWORK || !has_room {
            return None;
        }
        taken.networks.insert(network, of_network.saturating_add(1));
        taken.by_strangers = taken.by_strangers.saturating_add(usize::from(!is_familiar));
        Some(Place { places: Arc::clone(self), network, is_strangers: !is_familiar })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        // A network may have become familiar meanwhile: the place counts as it did.
        taken.by_strangers = taken.by_strangers.saturating_sub(usize::from(self.is_strangers));
        if let Some(count) = taken.networks.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn one_network_cannot_take_all_places_and_places_come_back() {
        let places = Arc::<Places>::default();
        let mut held: Vec<_> = (0..40).filter_map(|_| places.enter(address(0), true)).collect();
        assert_eq!(held.len(), MAX_OF_NETWORK);
        held.extend((0..=255).filter_map(|n| places.enter(address(n), true)));
        assert_eq!(held.len(), MAX);
        drop(held);
        assert!(places.enter(address(0), true).is_some());
        let address = |n| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        let held: Vec<_> = (0..40).filter_map(|n| places.enter(address(n), true)).collect();
        assert_eq!(held.len(), MAX_OF_NETWORK);
        assert!(places.enter(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]), true).is_some());
        drop(held);
        assert!(places.taken().networks.is_empty());
    }

    #[test]
    fn strangers_leave_places_to_familiar_networks() {
        let places = Arc::<Places>::default();
        let strangers: Vec<_> = (0..=255).filter_map(|n| places.enter(address(n), false)).collect();
        assert_eq!(strangers.len(), MAX_OF_STRANGERS);
        let familiar: Vec<_> = (0..=255).filter_map(|n| places.enter(address(n), true)).collect();
        assert_eq!(familiar.len(), MAX - MAX_OF_STRANGERS);
        drop(familiar);
        assert!(places.enter(address(0), false).is_none());
        drop(strangers);
        let strangers: Vec<_> = (0..=255).filter_map(|n| places.enter(address(n), false)).collect();
        assert_eq!(strangers.len(), MAX_OF_STRANGERS);
    }
}
