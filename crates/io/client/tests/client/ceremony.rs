//! What a ceremony refuses when it is given, and what can be taken back.

use std::path::Path;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_client::ceremony::Ceremony;
use ledger_client::error::{ClientError, Failure};
use ledger_client::genesis::{GenesisPlan, NEWEST, default_limits};
use ledger_client::json;
use ledger_client::standing::Standing;
use ledger_event::{
    Calendar, Clock, Factor, Founder, KeyGrant, PartyProfile, Role, RuleSet, Validator,
    ValidatorSet,
};
use ledger_format::digest::{LedgerId, hex};
use ledger_format::message;

fn shipped<M: prost::Message + Default>(kind: &str, path: &str) -> M {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ledger-node/data");
    json::from_json(kind, &std::fs::read_to_string(data.join(path)).unwrap()).unwrap()
}

fn plan() -> GenesisPlan {
    let calendars = ["calendars/CN-2026.json", "calendars/HK-2026.json"];
    GenesisPlan {
        name: "A ledger".into(),
        origin: "ledger.invalid/test".into(),
        protocol_version: NEWEST,
        clock: Clock::Wall,
        start_ms: 1_780_000_000_000,
        founders: Vec::new(),
        governance_threshold: 0,
        validators: ValidatorSet::default(),
        rule_sets: vec![shipped::<RuleSet>("RuleSet", "rulesets/CN-NDA-2026.json")],
        calendars: calendars.map(|path| shipped::<Calendar>("Calendar", path)).to_vec(),
        limits: default_limits(),
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(number: u8) -> Bytes {
    Bytes::copy_from_slice(key(number).verifying_key().as_bytes())
}

/// A founder with two keys and a validator; all keys are made of numbers from `first` on.
fn part(party: &str, first: u8) -> (Founder, Validator) {
    let grant = |number, factor: Factor| KeyGrant {
        public_key: public(number),
        factor: factor.into(),
        ..KeyGrant::default()
    };
    let founder = Founder {
        party: party.into(),
        profile: Some(PartyProfile { jurisdiction: "HK".into(), ..PartyProfile::default() }),
        roles: vec![Role::Exchange.into()],
        keys: vec![
            grant(first, Factor::OrgHsm),
            KeyGrant { officer: vec![first; 32].into(), ..grant(first + 1, Factor::OfficerToken) },
        ],
    };
    let validator = Validator {
        party: party.into(),
        name: format!("ledger.invalid/test/{party}"),
        power: 1,
        vote_key: public(first + 2),
        log_key: public(first + 3),
        cosign_key: public(first + 4),
        receipt_key: public(first + 5),
    };
    (founder, validator)
}

fn joined(parties: &[(&str, u8)]) -> Ceremony {
    let mut ceremony = Ceremony::begin(plan()).unwrap();
    for (party, first) in parties {
        let (founder, validator) = part(party, *first);
        ceremony.add(founder, Some(validator)).unwrap();
    }
    ceremony
}

#[track_caller]
fn assert_refused<T>(result: Result<T, ClientError>, code: &str, naming: &str) {
    let error = result.map(|_taken| ()).unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(naming), "{error}");
    assert!(!error.help.is_empty(), "{error} has no next step");
}

/// A ceremony as a version made it that judged nothing before the seal: the plan is in the file, whatever it says.
fn unjudged(plan: &GenesisPlan, parties: &[(&str, u8)]) -> Ceremony {
    let mut file: serde_json::Value = serde_json::from_str(&joined(parties).to_json()).unwrap();
    let sets = plan.rule_sets.iter().map(|set| hex(&message::encode(set)));
    file["rule_sets"] = sets.collect::<Vec<_>>().into();
    let calendars = plan.calendars.iter();
    let calendars = calendars.map(|calendar| hex(&message::encode(calendar)));
    file["calendars"] = calendars.collect::<Vec<_>>().into();
    Ceremony::from_json(&file.to_string()).unwrap()
}

#[test]
fn tokens_that_count_for_no_officer_or_for_one_together_are_refused_when_they_are_given() {
    let mut ceremony = joined(&[("a", 1)]);
    let (founder, validator) = part("b", 11);
    let mut bare = founder.clone();
    bare.keys[1].officer = Bytes::new();
    assert_refused(ceremony.add(bare, Some(validator.clone())), "FMT_VALUE", "key 2 of b");
    let mut twice = founder.clone();
    twice.keys.push(KeyGrant { public_key: public(19), ..founder.keys[1].clone() });
    let taken = ceremony.add(twice.clone(), Some(validator.clone()));
    assert_refused(taken, "CLIENT_FOUNDER_TAKEN", "key 3 of b");
    twice.keys[2] = founder.keys[1].clone();
    assert!(ceremony.add(twice, Some(validator.clone())).is_err());
    ceremony.add(founder, Some(validator)).unwrap();
}

#[test]
fn documents_are_judged_when_the_ceremony_begins_as_they_are_at_the_seal() {
    let changed = |change: &dyn Fn(&mut GenesisPlan)| {
        let mut plan = plan();
        change(&mut plan);
        plan
    };
    let documents = [
        (changed(&|plan| plan.rule_sets[0].title.clear()), "FIELD_VALUE", "ruleset:CN-NDA-2026/1"),
        (changed(&|plan| plan.rule_sets[0].registration = None), "FIELD_VALUE", "registration"),
        (changed(&|plan| plan.rule_sets[0].id = "CN NDA".into()), "FMT_IDENTIFIER", "CN NDA"),
        (changed(&|plan| plan.calendars[1].year = 0), "FIELD_VALUE", "calendar:HK/0"),
        (
            changed(&|plan| plan.calendars.push(plan.calendars[0].clone())),
            "FMT_VALUE",
            "not strictly ascending",
        ),
        (
            changed(&|plan| {
                let mut other = plan.calendars[0].clone();
                other.source.push('.');
                plan.calendars.push(other);
            }),
            "SUBJECT_EXISTS",
            "calendar:CN/2026",
        ),
    ];
    for (plan, code, naming) in documents {
        assert_refused(Ceremony::begin(plan.clone()), code, naming);
        let mut late = unjudged(&plan, &[("a", 10), ("b", 20)]);
        let hash =
            late.document().map_or_else(|_error| LedgerId::default(), |genesis| genesis.id());
        // Nobody signs what cannot be sealed, and who is alone is told the same by the seal.
        assert_refused(late.sign(&key(20), &hash), code, naming);
        let alone = unjudged(&plan, &[("a", 10)]);
        let hash =
            alone.document().map_or_else(|_error| LedgerId::default(), |genesis| genesis.id());
        assert_refused(alone.seal(&key(10), &hash), code, naming);
    }
    let rest = [
        (changed(&|plan| plan.limits.block_bytes = 1), "FMT_VALUE", "genesis limits"),
        (changed(&|plan| plan.limits.entry_window_s = u32::MAX), "FMT_VALUE", "genesis limits"),
        (changed(&|plan| plan.name.clear()), "FMT_VALUE", "name"),
        (changed(&|plan| plan.origin = "a b".into()), "FMT_IDENTIFIER", "a b"),
        (changed(&|plan| plan.origin = "https://a".into()), "CLIENT_USAGE", "without scheme"),
        (changed(&|plan| plan.start_ms = 0), "FMT_VALUE", "start_ms"),
        (changed(&|plan| plan.protocol_version = NEWEST + 1), "FMT_VALUE", "protocol version"),
    ];
    for (plan, code, naming) in rest {
        assert_refused(Ceremony::begin(plan), code, naming);
    }
}

#[test]
fn what_the_rules_refuse_has_their_code_and_next_step() {
    let mut plan = plan();
    plan.rule_sets[0].jurisdiction = "China".into();
    let error = Ceremony::begin(plan).unwrap_err();
    assert_eq!((error.failure, error.failure.exit_code()), (Failure::Refused, 1));
    assert!(error.help.contains("names the field"), "{error:?}");
}

#[test]
fn a_part_that_does_not_fit_is_refused_when_it_is_given() {
    let before = joined(&[("a", 10)]);
    let mut refused = Vec::new();
    let mut give = |change: &dyn Fn(&mut Founder, &mut Validator), code, naming| {
        let (mut founder, mut validator) = part("b", 20);
        change(&mut founder, &mut validator);
        refused.push((founder, validator, code, naming));
    };
    let taken = "CLIENT_FOUNDER_TAKEN";
    // A key in two places: of another's, and of its own.
    give(
        &|founder, _| founder.keys[1].public_key = public(10),
        taken,
        "key 2 of b: it is key 1 of a",
    );
    give(&|founder, _| founder.keys[1].public_key = public(20), taken, "it is key 1 of b");
    give(&|_, validator| validator.vote_key = public(21), taken, "it is key 2 of b");
    give(&|_, validator| validator.log_key = public(22), taken, "log key of the validator of b");
    give(&|_, validator| validator.cosign_key = public(22), taken, "it is the vote key");
    give(&|_, validator| validator.receipt_key = public(22), taken, "it is the vote key");
    give(&|_, validator| validator.vote_key = public(12), taken, "validator of a");
    give(&|_, validator| validator.vote_key = public(10), taken, "it is key 1 of a");
    // Names.
    give(&|founder, _| founder.party = "a".into(), taken, "the party a");
    give(&|_, validator| validator.name = "ledger.invalid/test/a".into(), taken, "test/a");
    give(&|founder, _| founder.party = "B".into(), "FMT_IDENTIFIER", "\"B\"");
    give(&|_, validator| validator.name = "a b".into(), "FMT_IDENTIFIER", "a b");
    give(&|_, validator| validator.party = "c".into(), "FMT_VALUE", "not a founder");
    // Form.
    give(&|_, validator| validator.power = 0, "FMT_VALUE", "power 0");
    give(&|founder, _| founder.roles.clear(), "FMT_VALUE", "roles");
    give(&|founder, _| founder.keys[0].officer = Bytes::from_static(b"x"), "FMT_VALUE", "officer");
    give(&|founder, _| founder.profile = None, "CLIENT_USAGE", "jurisdiction");
    give(&|_, validator| validator.log_key.truncate(31), "FMT_VALUE", "log key");
    give(&|_, validator| validator.log_key = vec![0; 32].into(), "V_WEAK_KEY", "test/b");
    let system = |founder: &mut Founder, _: &mut Validator| {
        founder.keys.iter_mut().for_each(|key| key.factor = Factor::System.into());
    };
    give(&system, "CLIENT_SIGNERS", "b");
    for (founder, validator, code, naming) in refused {
        let mut ceremony = before.clone();
        assert_refused(ceremony.add(founder, Some(validator)), code, naming);
        assert_eq!(ceremony.to_json(), before.to_json(), "a part that was refused is in the file");
    }
}

#[test]
fn who_runs_no_validator_is_judged_before_anybody_brings_one() {
    let mut ceremony = Ceremony::begin(plan()).unwrap();
    let (mut founder, _) = part("a", 10);
    founder.roles.clear();
    assert_refused(ceremony.add(founder, None), "FMT_VALUE", "roles");
    let (mut founder, _) = part("a", 10);
    founder.keys[1].public_key = vec![0; 32].into();
    assert_refused(ceremony.add(founder, None), "V_WEAK_KEY", "party:a");
    ceremony.add(part("a", 10).0, None).unwrap();
    assert_refused(ceremony.document(), "FMT_VALUE", "validators");
}

#[test]
fn a_part_is_taken_out_until_somebody_has_signed() {
    let mut ceremony = joined(&[("a", 10), ("b", 20), ("c", 30)]);
    assert_refused(ceremony.remove("d"), "CLIENT_FOUNDER_ABSENT", "[a, b, c]");
    let whole = ceremony.to_json();
    ceremony.remove("c").unwrap();
    assert_eq!(ceremony.to_json(), joined(&[("a", 10), ("b", 20)]).to_json());
    let (founder, validator) = part("c", 30);
    ceremony.add(founder, Some(validator)).unwrap();
    assert_eq!(ceremony.to_json(), whole, "its keys are free again");
    // Who came next issues genesis, and signs last.
    ceremony.remove("a").unwrap();
    let seals: Vec<_> = ceremony.standings().unwrap();
    assert_eq!((seals[0].0.as_str(), seals[0].2), ("b", Standing::Seals));
    let hash = ceremony.document().unwrap().id();
    ceremony.sign(&key(30), &hash).unwrap();
    assert_refused(ceremony.remove("b"), "CLIENT_GENESIS_SIGNED", "signed by c");
    ceremony.seal(&key(20), &hash).unwrap();
    let mut ceremony = Ceremony::begin(plan()).unwrap();
    assert_refused(ceremony.remove("a"), "CLIENT_FOUNDER_ABSENT", "[]");
}
