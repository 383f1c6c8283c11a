//! Whether a node reaches others, and a validator enough of them to decide anything, for its operator.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger_format::digest::KeyId;
use ledger_format::malformed::Explanation;
use ledger_format::validators::{Member, Validators};
use ledger_proto::v1;

use crate::seals::RefusedPeer;
use crate::sets::NodeRole;
use crate::shared::Shared;

/// Heights that the ledger has to be past what a validator had when it reported, for its word to count (docs/adr/0025).
const AHEAD: u64 = 2;

impl Shared {
    /// What there is to tell if this node reaches nobody who decides, or not enough of them.
    pub fn out_of_reach(&self) -> Vec<String> {
        let validators = self.ledger().validators().clone();
        out_of_reach(self, &validators, &self.seals.connected())
    }

    /// Whether an entry that comes to this node can get into a block, as far as its connections tell: a validator is a quorum with
    /// those that it is connected with; any other node is connected with somebody who can pass on what it has.
    pub(crate) fn reaches_who_decides(&self) -> bool {
        let connected = self.seals.connected();
        if self.role() != NodeRole::Validator || self.is_recovering() {
            return !connected.is_empty();
        }
        notice(self.ledger().validators(), &self.vote_keys, &connected).is_none()
    }
}

/// As [`Shared::out_of_reach`], of a set and those that the node is connected with.
pub(crate) fn out_of_reach(shared: &Shared, set: &Validators, connected: &[KeyId]) -> Vec<String> {
    let told = if shared.role() == NodeRole::Validator {
        notice(set, &shared.vote_keys, connected)
    } else {
        of_others(set, connected)
    };
    let refused = shared.seals.refused();
    told.into_iter().chain(refused.iter().map(|peer| refusal(set, peer))).collect()
}

/// The validators as a node with these identities sees them, which is connected with some, and has heard from some up to which height
/// all is durable with them.
pub(crate) fn seen(
    set: &Validators,
    own: &[KeyId],
    connected: &[KeyId],
    reported: &BTreeMap<KeyId, u64>,
) -> Vec<v1::SeenValidator> {
    let seen = |member: &Member| v1::SeenValidator {
        key_id: Bytes::copy_from_slice(member.id.as_bytes()),
        name: member.name.clone(),
        power: member.power.into(),
        own: own.contains(&member.id),
        connected: connected.contains(&member.id),
        durable_height: reported.get(&member.id).copied().unwrap_or_default(),
    };
    set.members().iter().map(seen).collect()
}

/// What there is to tell of a node with which there is no connection, since one of the two refuses the other.
pub(crate) fn refusal(set: &Validators, refused: &RefusedPeer) -> String {
    let RefusedPeer { peer, by_us, why: Explanation { code, text, help, .. } } = refused;
    let name = set.get(peer).map_or_else(|| peer.to_string(), |member| member.name.clone());
    let (who, whom) = if *by_us { ("this node", &*name) } else { (&*name, "this node") };
    format!("{who} refuses {whom}: {code}: {text} {help}")
}

/// What there is to tell a validator with these identities, if it and those that it is connected with are no quorum.
pub(crate) fn notice(set: &Validators, own: &[KeyId], connected: &[KeyId]) -> Option<String> {
    let is_near = |member: &Member| own.contains(&member.id) || connected.contains(&member.id);
    let (power, far) = short_of_quorum(set, &|_| true, &is_near)?;
    let total = set.total_power();
    Some(format!(
        "validators with power {power} of {total} are within reach, and more than two thirds decide: not connected are {far}"
    ))
}

/// What there is to tell a node that has lost its memory: what it waits for, by what validators have reported to it so far, with the
/// heights that they had. Where no key has a place, nobody may have said yet that the memory is lost.
pub(crate) fn of_memory(
    set: &Validators,
    own: &[KeyId],
    reports: &BTreeMap<KeyId, u64>,
    height: u64,
) -> Vec<String> {
    let silent =
        "recovering: no vote key of this node votes, since it may have forgotten what they signed";
    if !own.iter().any(|own| set.get(own).is_some()) {
        return vec![format!("{silent} (`ledger-node recover`)")];
    }
    let others = || set.members().iter().filter(|member| !own.contains(&member.id));
    if others().next().is_none() {
        let waits = "it is the only validator by the blocks that are here, and waits for those of the nodes in peer.known";
        return vec![silent.to_owned(), format!("recovering: {waits}")];
    }
    let mut told: Vec<(u64, &Member)> =
        others().filter_map(|member| Some((*reports.get(&member.id)?, member))).collect();
    told.sort_unstable_by_key(|(had, _)| *had);
    let enough = (1..=told.len()).find(|count| {
        set.is_quorum(set.power_of(told.iter().take(*count).map(|(_, member)| &member.id)))
    });
    let waits = if let Some((had, _)) = enough.and_then(|count| told.get(count - 1)) {
        let counts = had.saturating_add(AHEAD);
        let late = told.iter().filter(|(had, _)| had.saturating_add(AHEAD) > height);
        let late: Vec<String> =
            late.map(|(had, member)| format!("{} (had {had})", member.name)).collect();
        let late = if late.is_empty() { "none".to_owned() } else { late.join(", ") };
        format!(
            "enough validators have reported, and it votes above height {counts}, or above one at which another node has heard it: the \
             ledger is at {height}. Not counting yet: {late}"
        )
    } else {
        let lacking = others().filter(|member| !reports.contains_key(&member.id));
        let lacking: Vec<&str> = lacking.map(|member| member.name.as_str()).collect();
        format!(
            "no report has come yet from {}, and one that recovers itself gives none",
            lacking.join(", ")
        )
    };
    vec![silent.to_owned(), format!("recovering, unless it was told --alone: {waits}")]
}

/// What there is to tell a node that has lost its memory, if those who could say what it has voted are not all within reach: others with
/// the power of a quorum, beside this node.
pub(crate) fn of_reports(set: &Validators, own: &[KeyId], connected: &[KeyId]) -> Option<String> {
    if !own.iter().any(|own| set.get(own).is_some()) {
        return None;
    }
    let is_other = |member: &Member| !own.contains(&member.id);
    let is_near = |member: &Member| connected.contains(&member.id);
    let (power, far) = short_of_quorum(set, &is_other, &is_near)?;
    let total = set.total_power();
    Some(format!(
        "to vote again, unless it was told --alone, this node must hear from other validators with more than two thirds of the power, and those connected have {power} of {total}: not connected are {far}"
    ))
}

/// The power of those who count and are near, and the names of those who are far, where that is no quorum and somebody is far.
fn short_of_quorum(
    set: &Validators,
    counts: &dyn Fn(&Member) -> bool,
    is_near: &dyn Fn(&Member) -> bool,
) -> Option<(u64, String)> {
    let counted = set.members().iter().filter(|member| counts(member));
    let (near, far): (Vec<&Member>, Vec<&Member>) = counted.partition(|member| is_near(member));
    let power = set.power_of(near.iter().map(|near| &near.id));
    let names: Vec<&str> = far.iter().map(|member| member.name.as_str()).collect();
    (!set.is_quorum(power) && !names.is_empty()).then(|| (power, names.join(", ")))
}

/// What there is to tell a node that does not vote, if none of those who do is connected.
pub(crate) fn of_others(set: &Validators, connected: &[KeyId]) -> Option<String> {
    let is_within_reach = connected.iter().any(|peer| set.get(peer).is_some());
    (!is_within_reach).then(|| {
        "no validator is connected: blocks, entries and signatures go by way of other followers at best, and nobody is told of a refusal; name a validator in peer.known".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use ledger_story::members::{MEMBERS, set};

    use super::*;

    #[test]
    fn a_refusal_names_who_refuses_whom_and_why() {
        const CODE: &str = "PEER_TWIN";
        let set = Validators::new(set(&MEMBERS)).unwrap();
        let member = set.members().first().unwrap();
        let why = &Explanation {
            code: CODE,
            text: "Two processes connect.",
            source: "docs/spec/peer.md",
            help: "Find the other.",
        };
        let by = |peer, by_us| refusal(&set, &RefusedPeer { peer, by_us, why });
        let told = by(member.id, false);
        let whole = "refuses this node: PEER_TWIN: Two processes connect. Find the other.";
        assert_eq!(told, format!("{} {whole}", member.name));
        let stranger = KeyId([9; 32]);
        let told = by(stranger, true);
        assert!(told.starts_with(&format!("this node refuses {stranger}: PEER_TWIN")), "{told}");
    }

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

    #[test]
    fn a_node_without_memory_is_told_whose_word_it_lacks() {
        let set = Validators::new(set(&MEMBERS)).unwrap();
        let ids: Vec<KeyId> = set.members().iter().map(|member| member.id).collect();
        // With this node they would be a quorum; their word alone is none.
        let told = of_reports(&set, &ids[..1], &ids[1..3]).unwrap();
        assert!(told.contains("have 2 of 4: not connected are"), "{told}");
        for (number, member) in set.members().iter().enumerate() {
            assert_eq!(told.contains(&member.name), number == 3, "{told}");
        }
        assert_eq!(of_reports(&set, &ids[..1], &ids[1..]), None);
        assert_eq!(
            of_reports(&set, &[KeyId([9; 32])], &[]),
            None,
            "it has no vote to come back to"
        );
    }

    #[test]
    fn a_node_without_memory_is_told_what_it_waits_for() {
        let set = Validators::new(set(&MEMBERS)).unwrap();
        let ids: Vec<KeyId> = set.members().iter().map(|member| member.id).collect();
        let name = |number: usize| set.members()[number].name.as_str();
        let told = |heights: &[u64], height| {
            let reports = ids[1..].iter().copied().zip(heights.iter().copied()).collect();
            of_memory(&set, &ids[..1], &reports, height).pop().unwrap()
        };
        let lacking = told(&[5, 7], 9);
        assert!(lacking.contains(name(3)) && !lacking.contains(name(2)), "{lacking}");
        let waits = told(&[7, 9, 5], 9);
        assert!(waits.contains("votes above height 11,") && waits.contains("is at 9."), "{waits}");
        assert!(waits.ends_with(&format!("Not counting yet: {} (had 9)", name(2))), "{waits}");
        let mut one = set.message().clone();
        one.validators.truncate(1);
        let sole = of_memory(&Validators::new(one).unwrap(), &ids[..1], &BTreeMap::new(), 9);
        assert!(sole[1].contains("peer.known"), "{sole:?}");
        // A standby may have to be told first.
        let standby = of_memory(&set, &[KeyId([9; 32])], &BTreeMap::new(), 9);
        assert!(standby.len() == 1 && standby[0].contains("`ledger-node recover`"), "{standby:?}");
    }

    #[test]
    fn of_each_validator_is_said_where_it_is_and_how_far() {
        let set = Validators::new(set(&MEMBERS)).unwrap();
        let ids: Vec<KeyId> = set.members().iter().map(|member| member.id).collect();
        let reported = BTreeMap::from([(ids[0], 9), (ids[2], 7)]);
        let seen = seen(&set, &ids[..1], &ids[1..2], &reported);
        let told = |seen: &v1::SeenValidator| (seen.own, seen.connected, seen.durable_height);
        let told: Vec<_> = seen.iter().map(told).collect();
        assert_eq!(told[..3], [(true, false, 9), (false, true, 0), (false, false, 7)]);
        assert_eq!(seen.len(), set.members().len());
        assert!(seen.iter().zip(&ids).all(|(seen, id)| seen.key_id[..] == id.as_bytes()[..]));
    }

    #[test]
    fn a_follower_without_a_validator_is_told() {
        let set = Validators::new(set(&MEMBERS)).unwrap();
        let member = set.members().first().unwrap().id;
        assert!(of_others(&set, &[KeyId([9; 32])]).is_some() && of_others(&set, &[]).is_some());
        assert_eq!(of_others(&set, &[KeyId([9; 32]), member]), None);
    }
}
