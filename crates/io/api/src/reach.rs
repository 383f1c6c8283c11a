//! Whether a validator reaches enough of the others to decide anything, for its operator.

use ledger_format::digest::KeyId;
use ledger_format::validators::{Member, Validators};

/// What there is to tell a validator with these identities, if it and those that it is connected with are no quorum.
pub(crate) fn notice(set: &Validators, own: &[KeyId], connected: &[KeyId]) -> Option<String> {
    let is_near = |member: &&Member| own.contains(&member.id) || connected.contains(&member.id);
    let (near, far): (Vec<&Member>, Vec<&Member>) = set.members().iter().partition(is_near);
    let (power, total) = (set.power_of(near.iter().map(|near| &near.id)), set.total_power());
    if set.is_quorum(power) {
        return None;
    }
    let names: Vec<&str> = far.iter().map(|member| member.name.as_str()).collect();
    let names = names.join(", ");
    Some(format!(
        "validators with power {power} of {total} are within reach, and more than two thirds decide: not connected are {names}"
    ))
}

#[cfg(test)]
mod tests {
    use ledger_story::members::{MEMBERS, set};

    use super::*;

    #[test]
    fn a_validator_that_reaches_no_quorum_is_told_whom_it_lacks() {
        let set = Validators::new(set(&MEMBERS)).unwrap();
        let ids: Vec<KeyId> = set.members().iter().map(|member| member.id).collect();
        let told = notice(&set, &ids[..1], &ids[1..2]).unwrap();
        assert!(told.starts_with("validators with power 2 of 4 are within reach"), "{told}");
        for (number, member) in set.members().iter().enumerate() {
            assert_eq!(told.contains(&member.name), number >= 2, "{told}");
        }
        assert_eq!(notice(&set, &ids[..1], &ids[1..3]), None);
    }
}
