//! T8: what seller and buyer sign, over which listing (docs/spec/rules.md, trade and delivery modes).

use ledger_event::{
    AssetRecord, ContractRecord, ContractSigned, ContractType, DeliveryMode, DeliveryProperty,
    Digest, Grade, PartyRecord, Purpose, Role,
};
use ledger_rules::Code;
use ledger_story::acts::{self, asset, contract, counterparty, digest, listing};
use ledger_story::cast::{BUYER, Label, OMNI, SUPPLIER};
use ledger_story::deed::{Deed, sign, two_factors};
use ledger_story::{RAIN, Stage, Story};

fn signing(change: impl FnOnce(&mut ContractSigned)) -> Deed {
    acts::contract_signed(RAIN).with(change)
}

fn refusal_with(change: impl FnOnce(&mut ContractSigned)) -> Option<Code> {
    Story::before(Stage::Contracted).refusal(&signing(change))
}

// --- between whom --------------------------------------------------------------------------------------------------------

#[test]
fn a_contract_is_over_something_listed() {
    let story = Story::before(Stage::Listed);
    assert_eq!(story.refusal(&signing(|_| {})), Some(Code::WrongState));
    let unknown = refusal_with(|event| event.listing = listing("snow"));
    assert_eq!(unknown, Some(Code::SubjectUnknown));
}

/// The buyer signs, and does not open the contract.
#[test]
fn the_seller_opens_a_contract() {
    let mut signers = two_factors(BUYER, Role::Buyer);
    signers.extend(counterparty(SUPPLIER, Role::Supplier));
    let deed = signing(|_| {}).about(format!("contract:{BUYER}/{RAIN}")).signed_by(signers);
    let story = Story::before(Stage::Contracted);
    assert_eq!(story.refusal(&deed), Some(Code::SubjectNotOwn));
}

#[test]
fn nobody_buys_from_itself() {
    let story = Story::before(Stage::Contracted).altered(
        &format!("party:{SUPPLIER}"),
        |party: &mut PartyRecord| {
            party.roles.push(Role::Buyer.into());
        },
    );
    let mut signers = two_factors(SUPPLIER, Role::Supplier);
    signers.extend(
        [Label::SpareSeal, Label::Wang]
            .map(|label| sign(SUPPLIER, label, Role::Buyer, Purpose::Counterparty)),
    );
    let deed = signing(|event| event.buyer = SUPPLIER.into()).signed_by(signers);
    assert_eq!(story.refusal(&deed), Some(Code::SelfDealing));
}

/// Who is named signs, and who signs is named.
#[test]
fn the_named_buyer_signs() {
    let named = |party: &str| refusal_with(|event| event.buyer = party.into());
    assert_eq!(named(OMNI), Some(Code::SigMissingRole));
    assert_eq!(named(""), Some(Code::SigMissingRole));
    let mut signers = two_factors(SUPPLIER, Role::Supplier);
    signers.extend(counterparty(OMNI, Role::Buyer));
    let deed = signing(|event| event.buyer = OMNI.into()).signed_by(signers.clone());
    let story = Story::before(Stage::Contracted).did(&deed);
    assert_eq!(story.record::<ContractRecord>(&contract(RAIN)).buyer, OMNI);
    let other = signing(|_| {}).signed_by(signers);
    let refusal = Story::before(Stage::Contracted).refusal(&other);
    assert_eq!(refusal, Some(Code::SigMissingRole));
}

// --- about what ----------------------------------------------------------------------------------------------------------

#[test]
fn a_contract_states_its_kind_mode_and_property() {
    let changes: [fn(&mut ContractSigned); 3] = [
        |event| event.contract_type = ContractType::Unspecified.into(),
        |event| event.delivery_mode = DeliveryMode::Unspecified.into(),
        |event| event.delivery_property = DeliveryProperty::Unspecified.into(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(refusal_with(change), Some(Code::Field), "change {number}");
    }
}

#[test]
fn a_contract_has_terms_and_purposes_and_maybe_a_price_and_an_end() {
    let short = digest("terms").map(|d| Digest { value: d.value.slice(1..), ..d });
    for terms in [None, short] {
        assert_eq!(refusal_with(|event| event.terms = terms), Some(Code::Field));
    }
    for (bytes, refusal) in
        [(0, None), (31, Some(Code::Field)), (32, None), (33, Some(Code::Field))]
    {
        let found = refusal_with(|event| event.price_commitment = vec![7; bytes].into());
        assert_eq!(found, refusal, "{bytes} bytes");
    }
    for (day, refusal) in [(0, None), (20_280_229, None), (20_270_229, Some(Code::Field))] {
        assert_eq!(refusal_with(|event| event.valid_to = day), refusal, "{day}");
    }
    let purposes = |purposes: Vec<String>| refusal_with(|event| event.purposes = purposes);
    assert_eq!(purposes(vec![]), Some(Code::Field));
    assert_eq!(purposes(vec!["险".repeat(100); 32]), None);
    assert_eq!(purposes(vec!["险".into(); 33]), Some(Code::Field));
    assert_eq!(purposes(vec!["险".into(), String::new()]), Some(Code::Field));
    assert_eq!(purposes(vec!["险".into(), "险".repeat(101)]), Some(Code::Field));
}

/// A contract without an end is in force on any day.
#[test]
fn a_contract_without_an_end_does_not_end() {
    let story = Story::before(Stage::Contracted).did(&signing(|event| event.valid_to = 0));
    assert_eq!(story.on("2099-01-01").refusal(&acts::delivery_planned(RAIN)), None);
}

// --- how it is delivered -------------------------------------------------------------------------------------------------

/// All modes; in which of them data can be used unseen, and in which important data is delivered.
const MODES: [(DeliveryMode, bool, bool); 10] = [
    (DeliveryMode::File, false, false),
    (DeliveryMode::Api, false, false),
    (DeliveryMode::Stream, false, false),
    (DeliveryMode::Sandbox, true, true),
    (DeliveryMode::Mpc, true, true),
    (DeliveryMode::Federated, true, true),
    (DeliveryMode::Tee, true, true),
    (DeliveryMode::EncryptedCompute, true, false),
    (DeliveryMode::OfflineMedia, false, true),
    (DeliveryMode::OnSite, false, true),
];

#[test]
fn what_is_used_unseen_is_delivered_where_it_can_be() {
    for (mode, unseen, _) in MODES {
        let with = |property: DeliveryProperty| {
            refusal_with(|event| {
                event.delivery_mode = mode.into();
                event.delivery_property = property.into();
            })
        };
        let refusal = (!unseen).then_some(Code::PropertyModeMismatch);
        assert_eq!(with(DeliveryProperty::UsableNotVisible), refusal, "{mode:?}");
        for property in [DeliveryProperty::VisibleNotUsable, DeliveryProperty::Both] {
            assert_eq!(with(property), None, "{mode:?}, {property:?}");
        }
    }
}

#[test]
fn important_data_is_delivered_in_the_modes_that_the_rule_set_allows() {
    let graded = |grade: Grade| {
        Story::before(Stage::Contracted).altered(&asset(RAIN), |record: &mut AssetRecord| {
            record.description.as_mut().unwrap().grade = grade.into();
        })
    };
    let (important, general) = (graded(Grade::Important), graded(Grade::General4));
    for (mode, _, allowed) in MODES {
        let deed = signing(|event| event.delivery_mode = mode.into());
        let refusal = (!allowed).then_some(Code::ModeNotAllowed);
        assert_eq!(important.refusal(&deed), refusal, "{mode:?}");
        assert_eq!(general.refusal(&deed), None, "{mode:?}");
    }
}
