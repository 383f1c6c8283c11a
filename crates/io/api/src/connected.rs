//! Which nodes are connected, for the operator of a validator: whether enough of the others are within reach to decide anything.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ledger_format::digest::KeyId;
use ledger_format::validators::Validators;

/// The nodes that are connected now.
#[derive(Debug, Default)]
pub struct Connected(Mutex<BTreeSet<KeyId>>);

impl Connected {
    /// A node is connected, or is not any more.
    pub fn note(&self, peer: KeyId, is_connected: bool) {
        let mut connected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_connected {
            connected.insert(peer)
        } else {
            connected.remove(&peer)
        };
    }

    /// What there is to tell a validator with these identities, if too few of the others are connected.
    pub(crate) fn notice(&self, set: &Validators, own: &[KeyId]) -> Option<String> {
        let connected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |id: &KeyId| connected.contains(id) || own.contains(id);
        let members: Vec<KeyId> = set.members().iter().map(|member| member.id).collect();
        let (near, far): (Vec<KeyId>, Vec<KeyId>) = members.into_iter().partition(within);
        let names = far.iter().filter_map(|id| set.get(id)).map(|member| member.name.as_str());
        let (power, total) = (set.power_of(&near), set.total_power());
        (!set.is_quorum(power)).then(|| {
            let names = names.collect::<Vec<&str>>().join(", ");
            format!("validators with power {power} of {total} are within reach, and more than two thirds decide: not connected are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use ledger_story::members::{MEMBERS, set};

    use super::*;

    #[test]
    fn a_validator_that_reaches_no_quorum_is_told_whom_it_lacks() {
        let set = Validators::new(set(&MEMBERS)).unwrap();
        let ids: Vec<KeyId> = set.members().iter().map(|member| member.id).collect();
        let connected = Connected::default();
        let notice = || connected.notice(&set, &ids[..1]);
        connected.note(ids[1], true);
        let told = notice().unwrap();
        assert!(told.starts_with("validators with power 2 of 4 are within reach"), "{told}");
        for absent in &ids[2..] {
            assert!(told.contains(&set.get(absent).unwrap().name), "{told}");
        }
        connected.note(ids[2], true);
        assert_eq!(notice(), None);
        connected.note(ids[1], false);
        assert!(notice().is_some());
    }
}
