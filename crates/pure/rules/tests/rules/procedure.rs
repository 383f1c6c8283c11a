//! R5 to R16: what a registry does with an application, in which state, and what comes of it (docs/spec/rules.md, registration).

use ledger_event::{
    CertificateIssued, CertificateRecord, Digest, EvidenceRecorded, Finding, NoticeOpened,
    PartyRecord, RegistrationRecord, RegistrationReviewed, RegistrationState,
};
use ledger_rules::Code;
use ledger_story::acts::{self, certificate_issued, digest, registration};
use ledger_story::cast::REGISTRY;
use ledger_story::deed::Deed;
use ledger_story::{NUMBER, RAIN, Stage, Story};

/// The next number of the same registry and month.
const NEXT: &str = "SJ4412026080002";

/// A review that finds something in one place.
fn reviewed(change: impl FnOnce(&mut RegistrationReviewed)) -> Deed {
    acts::registration_reviewed(RAIN).with(change)
}

fn terminated() -> Story {
    let deed = reviewed(|event| event.title = Finding::NotSatisfied.into());
    Story::before(Stage::Reviewed).did(&deed)
}

/// Each thing that is not the digest of something.
fn no_digests() -> [Option<Digest>; 3] {
    let short = digest("something").map(|d| Digest { value: d.value.slice(1..), ..d });
    let other = digest("something").map(|d| Digest { algorithm: 0, ..d });
    [None, short, other]
}

// --- states --------------------------------------------------------------------------------------------------------------

/// Art. 14: application, acceptance, review, notice, evidence, certificate, in this order and each once.
#[test]
fn each_act_has_its_state_and_is_refused_in_every_other() {
    let deeds = [
        acts::registration_accepted(RAIN),
        acts::registration_reviewed(RAIN),
        acts::notice_opened(RAIN),
        acts::evidence_recorded(RAIN),
        certificate_issued(RAIN, NEXT),
    ];
    let at = Story::before;
    let running = at(Stage::Recorded).on("2026-08-13");
    for (state, story, taken) in [
        ("applied", at(Stage::Accepted), Some(0)),
        ("accepted", at(Stage::Reviewed), Some(1)),
        ("reviewed", at(Stage::Noticed), Some(2)),
        ("terminated", terminated(), None),
        ("under notice", running, None),
        ("after the notice", at(Stage::Recorded).on("2026-08-14"), Some(3)),
        ("registered", at(Stage::Certified), Some(4)),
        ("certified", at(Stage::Submitted), None),
        ("expired", at(Stage::Submitted).on("2031-08-14"), None),
    ] {
        for (number, deed) in deeds.iter().enumerate() {
            let expected = match (state, number) {
                _ if taken == Some(number) => None,
                ("under notice", 3) => Some(Code::NoticeRunning),
                _ => Some(Code::WrongState),
            };
            assert_eq!(story.refusal(deed), expected, "{state}: {:?}", deed.act);
        }
    }
}

// --- review --------------------------------------------------------------------------------------------------------------

/// Art. 18.
#[test]
fn a_review_states_three_findings_and_its_report() {
    let story = Story::before(Stage::Reviewed);
    let none = i32::from(Finding::Unspecified);
    for deed in [
        reviewed(|event| event.description = none),
        reviewed(|event| event.source = none),
        reviewed(|event| event.title = none),
    ] {
        assert_eq!(story.refusal(&deed), Some(Code::Field), "{:?}", deed.act);
    }
    for report in no_digests() {
        let deed = reviewed(|event| event.report = report);
        assert_eq!(story.refusal(&deed), Some(Code::Field), "{:?}", deed.act);
    }
}

#[test]
fn one_finding_that_is_not_satisfied_ends_the_procedure() {
    for finding in [Finding::NotSatisfied, Finding::Unverifiable] {
        let finding = i32::from(finding);
        for deed in [
            reviewed(|event| event.description = finding),
            reviewed(|event| event.source = finding),
            reviewed(|event| event.title = finding),
        ] {
            let story = Story::before(Stage::Reviewed).did(&deed);
            let record: RegistrationRecord = story.record(&registration(RAIN));
            assert_eq!(record.state(), RegistrationState::Terminated, "{:?}", deed.act);
        }
    }
}

// --- notice and evidence -------------------------------------------------------------------------------------------------

#[test]
fn a_notice_and_the_evidence_are_stated_as_digests() {
    let (noticed, recorded) = (Story::before(Stage::Noticed), Story::before(Stage::Recorded));
    let recorded = recorded.on("2026-08-14");
    for digest in no_digests() {
        let notice = digest.clone();
        let notice = acts::notice_opened(RAIN).with(|event: &mut NoticeOpened| {
            event.notice = notice;
        });
        assert_eq!(noticed.refusal(&notice), Some(Code::Field), "{digest:?}");
        let evidence = digest.clone();
        let evidence = acts::evidence_recorded(RAIN).with(|event: &mut EvidenceRecorded| {
            event.evidence = evidence;
        });
        assert_eq!(recorded.refusal(&evidence), Some(Code::Field), "{digest:?}");
    }
}

// --- certificate ---------------------------------------------------------------------------------------------------------

/// Art. 27 and the annex: SJ, region and digit of the registry, year and month of the evidence, a serial from 0001.
#[test]
fn a_certificate_has_the_number_of_its_registry_and_month() {
    let story = Story::before(Stage::Certified);
    for number in [NUMBER, "SJ4412026089999"] {
        assert_eq!(story.refusal(&certificate_issued(RAIN, number)), None, "{number}");
    }
    for number in [
        "",
        "SJ441202608",
        "SJ441202608001",
        "SJ44120260800001",
        "SJ4412026080000",
        "SJ441202608000A",
        "SJ441202608٠٠",
        "ZJ4412026080001",
        "sj4412026080001",
        "SJ4512026080001",
        "SJ4422026080001",
        "SJ4412026070001",
        "SJ4412025080001",
    ] {
        let refusal = story.refusal(&certificate_issued(RAIN, number));
        assert_eq!(refusal, Some(Code::CertificateFormat), "{number:?}");
    }
}

/// The month of a number is that of the evidence in China, on whatever day the certificate is issued.
#[test]
fn the_month_of_a_number_is_that_of_the_evidence() {
    for (recorded, month, other) in
        [("2026-08-31T23:59:59.999", "202608", "202609"), ("2026-09-01T00:00", "202609", "202608")]
    {
        let story = Story::before(Stage::Recorded).on(recorded).recorded().on("2026-09-02");
        let issued = |month: &str| certificate_issued(RAIN, &format!("SJ441{month}0001"));
        assert_eq!(story.refusal(&issued(month)), None, "{recorded}");
        let refusal = story.refusal(&issued(other));
        assert_eq!(refusal, Some(Code::CertificateFormat), "{recorded}");
    }
}

/// Without region and digit of its own a registry has no numbers: a longer serial does not stand for them.
#[test]
fn a_registry_without_region_or_digit_issues_nothing() {
    for (region, digit, number) in
        [("", "1", "SJ1202608000001"), ("44", "", "SJ4420260800001"), ("", "", "SJ2026080000001")]
    {
        let story = Story::before(Stage::Certified);
        let story = story.altered(&format!("party:{REGISTRY}"), |party: &mut PartyRecord| {
            let profile = party.profile.as_mut().unwrap();
            (profile.certificate_region, profile.certificate_digit) = (region.into(), digit.into());
        });
        let refusal = story.refusal(&certificate_issued(RAIN, number));
        assert_eq!(refusal, Some(Code::CertificateFormat), "{number}");
    }
}

/// Two registrations of one registry, evidence of both on one day.
#[test]
fn no_two_certificates_have_one_number() {
    let names = [RAIN, "snow"];
    let both = |story: Story, act: fn(&str) -> Deed| {
        names.iter().fold(story, |story, name| story.did(&act(name)))
    };
    let story = both(Story::opened(), acts::asset_described);
    let story = both(story, acts::registration_applied);
    let story = both(story, acts::registration_accepted);
    let story = both(story, acts::registration_reviewed);
    let story = both(story, acts::notice_opened);
    let story = both(story.on("2026-08-14"), acts::evidence_recorded);
    let story = story.did(&certificate_issued(RAIN, NUMBER));
    let taken = story.refusal(&certificate_issued("snow", NUMBER));
    assert_eq!(taken, Some(Code::SubjectExists));
    let story = story.did(&certificate_issued("snow", NEXT));
    let of = |number: &str| {
        story.record::<CertificateRecord>(&format!("certificate:{number}")).registration
    };
    assert_eq!([of(NUMBER), of(NEXT)], names.map(registration));
}

#[test]
fn the_body_of_a_certificate_is_a_digest_or_left_out() {
    let story = Story::before(Stage::Certified);
    let with = |body: Option<Digest>| {
        certificate_issued(RAIN, NUMBER).with(|event: &mut CertificateIssued| event.body = body)
    };
    let [absent, short, other] = no_digests();
    assert_eq!(story.refusal(&with(absent)), None);
    assert_eq!(story.refusal(&with(short)), Some(Code::Field));
    assert_eq!(story.refusal(&with(other)), Some(Code::Field));
}
