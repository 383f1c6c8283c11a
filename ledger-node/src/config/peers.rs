//! Settings about other nodes, as they are written.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::str::FromStr;

use ledger_format::digest::KeyId;
use ledger_peer::{Neighbours, Peer};

/// An address that may be left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listen(pub(super) Option<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(|error| format!("{error}"))
    }
}

/// Known peers.
#[derive(Clone, Debug)]
pub(super) struct Known(pub(super) Vec<Peer>);

impl FromStr for Known {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let peers = text.split(',').map(str::trim).filter(|peer| !peer.is_empty());
        let peer = |text: &str| {
            let wrong = || format!("expected ID@HOST:PORT, found {text:?}");
            let (id, address) = text.split_once('@').ok_or_else(wrong)?;
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            let identity = KeyId::from_hex(id).map_err(|error| format!("{text:?}: {error}"))?;
            port.map(|_| Peer { identity, address: address.to_owned() }).ok_or_else(wrong)
        };
        let known = Neighbours::knowing(all(peers.map(peer))?);
        known.check().map_err(|error| error.to_string())?;
        Ok(Self(known.peers))
    }
}

/// All entries of a list, or what is wrong with each that is wrong.
fn all<T>(entries: impl Iterator<Item = Result<T, String>>) -> Result<Vec<T>, String> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Ok(entry) => good.push(entry),
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong.join(", and ")) }
}

/// Identities that are listed; none listed is no list.
#[derive(Clone, Debug)]
pub(super) struct Allowed(pub(super) Option<BTreeSet<KeyId>>);

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
        let id = |text| KeyId::from_hex(text).map_err(|error| format!("{text:?}: {error}"));
        let listed: BTreeSet<KeyId> = all(ids.map(id))?.into_iter().collect();
        Ok(Self(Some(listed).filter(|listed| !listed.is_empty())))
    }
}
