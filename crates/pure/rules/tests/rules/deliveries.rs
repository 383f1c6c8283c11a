//! D1 to D9: files in batches, planned, sent, acknowledged, completed (docs/spec/rules.md, delivery).

use ledger_event::{
    AssetDescription, AssetRecord, BatchAcknowledged, BatchSent, ContractRecord, DeliveryMode,
    DeliveryPlanned, DeliveryRecord, Digest, FileManifest, Grade, PartyRecord, PersonalInformation,
    Purpose, Role,
};
use ledger_rules::Code;
use ledger_story::acts::{self, CHUNK_BYTES, FILE_BYTES, asset, contract, delivery, digest};
use ledger_story::cast::{BUYER, Label, OMNI, SUPPLIER};
use ledger_story::deed::{Deed, alone, sign};
use ledger_story::{RAIN, Stage, Story};

// --- D1: the plan --------------------------------------------------------------------------------------------------------

fn plan(change: impl FnOnce(&mut DeliveryPlanned)) -> Deed {
    acts::delivery_planned(RAIN).with(change)
}

/// A plan with another file.
fn plan_of(change: impl FnOnce(&mut FileManifest)) -> Deed {
    plan(|event| change(event.file.as_mut().unwrap()))
}

fn refusal_of(deed: &Deed) -> Option<Code> {
    Story::before(Stage::Planned).refusal(deed)
}

/// Everything before the plan, with another description of the asset.
fn described(change: impl FnOnce(&mut AssetDescription)) -> Story {
    Story::before(Stage::Planned).altered(&asset(RAIN), |record: &mut AssetRecord| {
        change(record.description.as_mut().unwrap());
    })
}

/// A plan for a buyer elsewhere.
fn abroad() -> Deed {
    plan(|event| event.endpoint_jurisdiction = "SG".into())
}

/// The buyer signs a plan, and does not open it.
#[test]
fn the_seller_opens_a_delivery() {
    let by_buyer = plan(|_| {}).about(format!("delivery:{BUYER}/{RAIN}")).signed_by(vec![
        sign(BUYER, Label::Seal, Role::Buyer, Purpose::Issue),
        sign(SUPPLIER, Label::Seal, Role::Supplier, Purpose::Counterparty),
    ]);
    assert_eq!(refusal_of(&by_buyer), Some(Code::SubjectNotOwn));
    let unknown = plan(|event| event.contract = contract("snow"));
    assert_eq!(refusal_of(&unknown), Some(Code::SubjectUnknown));
}

#[test]
fn only_contracts_over_files_are_delivered_in_batches() {
    let modes = [DeliveryMode::Api, DeliveryMode::Stream, DeliveryMode::OnSite];
    for mode in modes {
        let story = Story::before(Stage::Planned).altered(
            &contract(RAIN),
            |record: &mut ContractRecord| {
                record.delivery_mode = mode.into();
            },
        );
        assert_eq!(story.refusal(&plan(|_| {})), Some(Code::ModeNotAllowed), "{mode:?}");
    }
}

#[test]
fn a_plan_says_where_the_buyer_receives() {
    for place in ["", "C", "cn", "CHN", "C1", "中国"] {
        let deed = plan(|event| event.endpoint_jurisdiction = place.into());
        assert_eq!(refusal_of(&deed), Some(Code::JurisdictionMissing), "{place:?}");
    }
}

/// Provisions of March 2024, Art. 3: what is general and of nobody may leave; everything else stays.
#[test]
fn data_leaves_its_jurisdiction_only_if_it_is_general() {
    for (grade, leaves) in [
        (Grade::General1, true),
        (Grade::General2, true),
        (Grade::General3, true),
        (Grade::General4, true),
        (Grade::Important, false),
        (Grade::Core, false),
        (Grade::Unspecified, false),
    ] {
        let story = described(|d| d.grade = grade.into());
        let refusal = (!leaves).then_some(Code::CrossBorderNoBasis);
        assert_eq!(story.refusal(&abroad()), refusal, "{grade:?}");
        assert_eq!(story.refusal(&plan(|_| {})), None, "{grade:?} at home");
    }
}

#[test]
fn data_leaves_its_jurisdiction_only_if_it_is_of_nobody() {
    use PersonalInformation::{Anonymised, Deidentified, Present, Sensitive, Unspecified};
    for held in [Unspecified, Present, Sensitive, Anonymised, Deidentified] {
        let story = described(|d| d.personal_information = held.into());
        assert_eq!(story.refusal(&abroad()), Some(Code::CrossBorderNoBasis), "{held:?}");
        assert_eq!(story.refusal(&plan(|_| {})), None, "{held:?} at home");
    }
}

/// Home is where the seller is.
#[test]
fn a_buyer_elsewhere_does_not_make_its_place_the_datas_home() {
    let important = described(|d| d.grade = Grade::Important.into());
    for (party, place, refusal) in [
        (BUYER, "CN", None),
        (BUYER, "SG", Some(Code::CrossBorderNoBasis)),
        (SUPPLIER, "CN", Some(Code::CrossBorderNoBasis)),
        (SUPPLIER, "SG", None),
    ] {
        let story =
            important.clone().altered(&format!("party:{party}"), |record: &mut PartyRecord| {
                record.profile.as_mut().unwrap().jurisdiction = "SG".into();
            });
        let deed = plan(|event| event.endpoint_jurisdiction = place.into());
        assert_eq!(story.refusal(&deed), refusal, "{party} in SG, delivered to {place}");
    }
}

#[test]
fn a_file_is_cut_into_chunks_of_a_fit_size() {
    for (bytes, refusal) in [
        (0, Some(Code::Field)),
        (512, Some(Code::Field)),
        (1_023, Some(Code::Field)),
        (1_024, None),
        (3_072, Some(Code::Field)),
        (16_777_216, None),
        (33_554_432, Some(Code::Field)),
    ] {
        let deed = plan_of(|file| file.chunk_bytes = bytes)
            .with(|event: &mut DeliveryPlanned| event.batches = 1);
        assert_eq!(refusal_of(&deed), refusal, "chunks of {bytes}");
    }
}

#[test]
fn a_file_has_bytes_a_root_and_a_digest() {
    assert_eq!(refusal_of(&plan(|event| event.file = None)), Some(Code::Field));
    assert_eq!(refusal_of(&plan_of(|file| file.bytes = 0)), Some(Code::Field));
    for bytes in [0, 31, 33] {
        let deed = plan_of(|file| file.root = vec![7; bytes].into());
        assert_eq!(refusal_of(&deed), Some(Code::Field), "a root of {bytes} bytes");
    }
    let short = digest("rain.csv").map(|d| Digest { value: d.value.slice(1..), ..d });
    for content in [None, short] {
        let deed = plan_of(|file| file.content = content);
        assert_eq!(refusal_of(&deed), Some(Code::Field), "{:?}", deed.act);
    }
}

/// The story's file has five chunks, the last one not full.
#[test]
fn there_are_no_more_batches_than_chunks_and_at_most_a_million() {
    for (batches, refusal) in [(0, Some(Code::Field)), (1, None), (5, None), (6, Some(Code::Field))]
    {
        let deed = plan(|event| event.batches = batches);
        assert_eq!(refusal_of(&deed), refusal, "{batches} batches");
    }
    for (batches, refusal) in [(1_000_000, None), (1_000_001, Some(Code::Field))] {
        let deed = plan_of(|file| file.bytes = 1_024 * 1_000_001)
            .with(|event: &mut DeliveryPlanned| event.batches = batches);
        assert_eq!(refusal_of(&deed), refusal, "{batches} batches");
    }
}

#[test]
fn a_window_ends_on_a_day() {
    for day in [0, 20_260_931, 1] {
        let deed = plan(|event| event.window_to = day);
        assert_eq!(refusal_of(&deed), Some(Code::Field), "{day}");
    }
}

#[test]
fn the_file_is_what_the_asset_was_described_as() {
    let other = plan_of(|file| file.content = digest("snow.csv"));
    assert_eq!(refusal_of(&other), Some(Code::ContentMismatch));
    let story = described(|d| d.content = None);
    assert_eq!(story.refusal(&other), None);
}

// --- D3: sending ---------------------------------------------------------------------------------------------------------

/// A batch of chunks of the story's file, with the bytes that they have.
fn batch(number: u32, first_chunk: u64, chunks: u64) -> Deed {
    let chunk = u64::from(CHUNK_BYTES);
    let end = ((first_chunk + chunks) * chunk).min(FILE_BYTES);
    acts::batch_sent(RAIN, number).with(|event: &mut BatchSent| {
        (event.first_chunk, event.chunks) = (first_chunk, chunks);
        event.bytes = end.saturating_sub(first_chunk * chunk);
    })
}

/// Numbers from 1 on, chunks one after the other, one at least for each batch, and all of them with the last.
#[test]
fn a_batch_follows_the_one_before() {
    let first = Story::before(Stage::Sent);
    for (number, first_chunk, chunks, refusal) in [
        (1, 0, 1, None),
        (1, 0, 4, None),
        // Nothing would be left for the second.
        (1, 0, 5, Some(Code::BatchGap)),
        (1, 0, 6, Some(Code::BatchGap)),
        (1, 0, 0, Some(Code::BatchGap)),
        (1, 1, 2, Some(Code::BatchGap)),
        (0, 0, 3, Some(Code::BatchGap)),
        (2, 0, 5, Some(Code::BatchGap)),
        (3, 0, 3, Some(Code::BatchGap)),
        (1, 0, u64::MAX, Some(Code::BatchGap)),
    ] {
        let mut deed = batch(number, first_chunk, chunks.min(6));
        deed = deed.with(|event: &mut BatchSent| event.chunks = chunks);
        let found = first.refusal(&deed);
        assert_eq!(found, refusal, "batch {number}, {chunks} from {first_chunk}");
    }
    let second = Story::before(Stage::SentAll);
    for (number, first_chunk, chunks, refusal) in [
        (2, 3, 2, None),
        // Not to the end, past the end, over the first batch, and with a gap after it.
        (2, 3, 1, Some(Code::BatchGap)),
        (2, 3, 3, Some(Code::BatchGap)),
        (2, 2, 3, Some(Code::BatchGap)),
        (2, 4, 1, Some(Code::BatchGap)),
        (1, 3, 1, Some(Code::BatchGap)),
        (1, 0, 3, Some(Code::BatchGap)),
        (3, 3, 2, Some(Code::BatchGap)),
    ] {
        let found = second.refusal(&batch(number, first_chunk, chunks));
        assert_eq!(found, refusal, "batch {number}, {chunks} from {first_chunk}");
    }
    // All are sent.
    let third = Story::before(Stage::AcknowledgedAll);
    assert_eq!(third.refusal(&batch(3, 5, 1)), Some(Code::BatchGap));
    assert_eq!(third.refusal(&batch(3, 5, 0)), Some(Code::BatchGap));
}

/// All chunks are full but the file's last.
#[test]
fn a_batch_has_the_bytes_of_its_chunks_and_a_root() {
    for (stage, number, bytes) in
        [(Stage::Sent, 1, 3 * 1_024), (Stage::SentAll, 2, 2 * 1_024 - 100)]
    {
        let story = Story::before(stage);
        for (stated, refusal) in [
            (bytes, None),
            (bytes - 1, Some(Code::Field)),
            (bytes + 1, Some(Code::Field)),
            (bytes + 100, Some(Code::Field)),
            (0, Some(Code::Field)),
        ] {
            let deed =
                acts::batch_sent(RAIN, number).with(|event: &mut BatchSent| event.bytes = stated);
            assert_eq!(story.refusal(&deed), refusal, "batch {number} of {stated} bytes");
        }
        for length in [0, 31, 33] {
            let deed = acts::batch_sent(RAIN, number)
                .with(|event: &mut BatchSent| event.root = vec![7; length].into());
            assert_eq!(story.refusal(&deed), Some(Code::Field), "a root of {length} bytes");
        }
    }
}

/// A record stays small: who sends waits for the buyer.
#[test]
fn at_most_64_batches_await_acknowledgement() {
    let deed = plan_of(|file| file.bytes = 70 * 1_024)
        .with(|event: &mut DeliveryPlanned| event.batches = 70);
    let one = |number: u32| {
        acts::batch_sent(RAIN, number).with(|event: &mut BatchSent| {
            (event.first_chunk, event.chunks) = (u64::from(number - 1), 1);
            event.bytes = 1_024;
        })
    };
    let planned = Story::before(Stage::Planned).did(&deed);
    let story = (1..=64).fold(planned, |story, number| story.did(&one(number)));
    let record: DeliveryRecord = story.record(&delivery(RAIN));
    assert_eq!(record.outstanding.len(), 64);
    assert_eq!(story.refusal(&one(65)), Some(Code::BatchWindow));
    // Any of them will do.
    let story = story.acknowledged(40);
    assert_eq!(story.refusal(&one(65)), None);
}

// --- D4: acknowledging ---------------------------------------------------------------------------------------------------

#[test]
fn the_buyer_of_the_contract_acknowledges() {
    let story = Story::before(Stage::Acknowledged);
    for (party, role) in [(OMNI, Role::Buyer), (SUPPLIER, Role::Supplier)] {
        let deed = acts::batch_acknowledged(RAIN, 1).signed_by(alone(party, role));
        assert_eq!(story.refusal(&deed), Some(Code::AckWrongParty), "{party}");
    }
}

/// Each once, and with the root that was sent.
#[test]
fn a_batch_is_acknowledged_when_it_was_sent_and_as_it_was_sent() {
    let ack = |number: u32| acts::batch_acknowledged(RAIN, number);
    let planned = Story::before(Stage::Sent);
    assert_eq!(planned.refusal(&ack(1)), Some(Code::BatchNotSent));
    let sent = planned.sent(1);
    for number in [0, 2] {
        assert_eq!(sent.refusal(&ack(number)), Some(Code::BatchNotSent), "batch {number}");
    }
    let other = ack(1).with(|event: &mut BatchAcknowledged| event.root = acts::batch_root(2));
    assert_eq!(sent.refusal(&other), Some(Code::AckWrongRoot));
    let none = ack(1).with(|event: &mut BatchAcknowledged| event.root.clear());
    assert_eq!(sent.refusal(&none), Some(Code::AckWrongRoot));
    let acknowledged = sent.acknowledged(1);
    assert_eq!(acknowledged.refusal(&ack(1)), Some(Code::BatchNotSent));
    // Of two batches each has its own root.
    let both = acknowledged.sent(2);
    let swapped = ack(2).with(|event: &mut BatchAcknowledged| event.root = acts::batch_root(1));
    assert_eq!(both.refusal(&swapped), Some(Code::AckWrongRoot));
}

// --- D9: the end ---------------------------------------------------------------------------------------------------------

#[test]
fn a_delivery_is_complete_when_every_batch_is_acknowledged() {
    let complete = acts::delivery_completed(RAIN);
    for stage in [Stage::Sent, Stage::Acknowledged, Stage::SentAll, Stage::AcknowledgedAll] {
        let refusal = Story::before(stage).refusal(&complete);
        assert_eq!(refusal, Some(Code::DeliveryIncomplete), "before {stage:?}");
    }
    // The second, and not the first.
    let story = Story::before(Stage::Sent).sent(1).sent(2).acknowledged(2);
    assert_eq!(story.refusal(&complete), Some(Code::DeliveryIncomplete));
    assert_eq!(Story::before(Stage::Completed).refusal(&complete), None);
}

#[test]
fn nothing_follows_completion() {
    let story = Story::before(Stage::End);
    let send = batch(3, 5, 1);
    assert_eq!(story.refusal(&send), Some(Code::WrongState));
    assert_eq!(story.refusal(&acts::delivery_completed(RAIN)), Some(Code::WrongState));
    assert_eq!(story.refusal(&acts::batch_acknowledged(RAIN, 2)), Some(Code::BatchNotSent));
}
