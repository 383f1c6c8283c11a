//! What the node holds for clients, which decide for how long: bytes, calls or streams; of whom, and how much of it may be.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ledger_proto::address::network_of;

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of all connections, beside a little that each may always have.
    pub server: usize,
    /// Of all connections of one address, or of one network of IPv6, beside the same.
    pub address: usize,
    /// Of one connection.
    pub connection: usize,
    /// Of each connection, however much others have: a flood does not keep out who asks or sends a little at a time.
    pub assured: usize,
}

impl Default for Bounds {
    /// Of bytes.
    fn default() -> Self {
        let mib = 1024 * 1024;
        Self { server: 256 * mib, address: 128 * mib, connection: 64 * mib, assured: mib / 8 }
    }
}

/// What is held now.
#[derive(Debug)]
pub(crate) struct Held {
    what: &'static str,
    bounds: Bounds,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    addresses: BTreeMap<IpAddr, usize>,
    connections: BTreeMap<SocketAddr, usize>,
}

impl Held {
    /// Nothing yet of what is called so.
    pub(crate) fn new(what: &'static str, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { what, bounds, counts: Mutex::default() })
    }

    /// A share of it, of nothing yet, for something of a connection.
    pub(crate) fn share(self: &Arc<Self>, source: Option<SocketAddr>) -> Share {
        // Whoever cannot be told from others shares what one connection may have with them.
        let source = source.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        Share { held: Arc::clone(self), source, amount: 0 }
    }
}

/// What is held of one thing; nothing any more when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    held: Arc<Held>,
    source: SocketAddr,
    amount: usize,
}

impl Share {
    /// Bytes that are held until nobody has them any more. HTTP/2 takes what it is given whole, and keeps it until it is written, whatever
    /// it asks for meanwhile: only the bytes themselves know when that is.
    ///
    /// # Errors
    /// The bound that does not let it.
    pub(crate) fn over(&self, bytes: Bytes) -> Result<Bytes, String> {
        let mut share = self.held.share(Some(self.source));
        share.hold(bytes.len())?;
        Ok(Bytes::from_owner(Counted { bytes, _share: share }))
    }

    pub(crate) const fn amount(&self) -> usize {
        self.amount
    }

    /// Holds so much of it. Less than before is never refused.
    ///
    /// # Errors
    /// The bound that does not let it; then as much is held as before.
    pub(crate) fn hold(&mut self, amount: usize) -> Result<(), String> {
        let Held { what, bounds, counts } = &*self.held;
        let Bounds { server, address, connection, assured } = *bounds;
        let network = network_of(self.source.ip());
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let with = |count: usize| count.saturating_sub(self.amount).saturating_add(amount);
        let all = with(counts.all);
        let of_address = with(counts.addresses.get(&network).copied().unwrap_or_default());
        let own = with(counts.connections.get(&self.source).copied().unwrap_or_default());
        if amount > self.amount {
            if own > connection {
                return Err(format!("{connection} {what} of this connection"));
            }
            if of_address > address && own > assured {
                return Err(format!("{address} {what} of all connections from {network}"));
            }
            if all > server && own > assured {
                return Err(format!("{server} {what} in all"));
            }
        }
        counts.all = all;
        set(&mut counts.addresses, network, of_address);
        set(&mut counts.connections, self.source, own);
        drop(counts);
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount > 0 {
            // Less is never refused.
            let _held = self.hold(0);
        }
    }
}

/// Bytes that count for as long as they are there.
struct Counted {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn set<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, count: usize) {
    if count == 0 {
        counts.remove(&key);
    } else {
        counts.insert(key, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn held() -> Arc<Held> {
        let (server, address, connection) = (1_000 * KIB, 600 * KIB, 400 * KIB);
        Held::new("bytes", Bounds { server, address, connection, ..Bounds::default() })
    }

    fn share(held: &Arc<Held>, source: &str) -> Share {
        held.share(Some(source.parse().unwrap()))
    }

    #[test]
    fn a_connection_an_address_and_all_have_their_bounds() {
        let held = held();
        let (mut a, mut b) = (share(&held, "10.0.0.1:1"), share(&held, "10.0.0.1:2"));
        assert_eq!(a.hold(401 * KIB).unwrap_err(), "409600 bytes of this connection");
        a.hold(400 * KIB).unwrap();
        assert!(share(&held, "10.0.0.1:1").hold(1).is_err(), "of all that it sends together");
        assert_eq!(b.hold(201 * KIB).unwrap_err(), "614400 bytes of all connections from 10.0.0.1");
        b.hold(200 * KIB).unwrap();
        // Another address has room still, and a little whatever others hold.
        let (mut c, mut d) = (share(&held, "10.0.0.2:1"), share(&held, "10.0.0.2:2"));
        c.hold(400 * KIB).unwrap();
        assert_eq!(d.hold(129 * KIB).unwrap_err(), "1024000 bytes in all");
        d.hold(128 * KIB).unwrap();
        // So has another connection of an address that has all of its own.
        share(&held, "10.0.0.1:3").hold(128 * KIB).unwrap();
        // Less is never refused, and what is let go is held no more.
        b.hold(KIB).unwrap();
        drop(a);
        share(&held, "10.0.0.1:2").hold(300 * KIB).unwrap();
        drop((b, c, d));
        let counts = held.counts.lock().unwrap();
        assert_eq!((counts.all, counts.addresses.len(), counts.connections.len()), (0, 0, 0));
    }

    #[test]
    fn bytes_count_until_the_last_of_them_is_gone() {
        let held = held();
        let share = share(&held, "10.0.0.1:1");
        let mut bytes = share.over(Bytes::from(vec![7; 400 * KIB])).unwrap();
        assert!(share.over(Bytes::from_static(b"7")).is_err());
        let rest = bytes.split_off(KIB);
        drop((bytes, share));
        assert_eq!(held.counts.lock().unwrap().all, 400 * KIB);
        assert!(rest.iter().all(|byte| *byte == 7));
        drop(rest);
        assert_eq!(held.counts.lock().unwrap().all, 0);
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let held = held();
        share(&held, "[2001:db8::1]:1").hold(400 * KIB).unwrap();
        let mut first = share(&held, "[2001:db8::1]:1");
        first.hold(400 * KIB).unwrap();
        let mut second = share(&held, "[2001:db8::2]:1");
        let why = second.hold(400 * KIB).unwrap_err();
        assert_eq!(why, "614400 bytes of all connections from 2001:db8::");
        share(&held, "[2001:db8:0:1::2]:1").hold(400 * KIB).unwrap();
    }
}
