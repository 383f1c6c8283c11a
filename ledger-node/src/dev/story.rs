//! The story: open data files become registered data products that are reviewed, listed, contracted and delivered, on dates of
//! August to October 2026 over which working-day periods really pass.

use std::fs::File;

use ledger_client::ClientError;
use ledger_client::act::{Signatory, digest_of};
use ledger_client::content::ReadFile;
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, AssetRevised, Basis, BatchAcknowledged, BatchSent,
    CertificateIssued, ContractSigned, ContractType, DataClass, DeliveryCompleted, DeliveryMode,
    DeliveryPlanned, DeliveryProperty, DeliveryState, Derivation, DerivationKind, EvidenceRecorded,
    Finding, Grade, ListingApplied, ListingPublished, ListingState, NoticeOpened, Origin,
    PersonalInformation, Purpose, RegistrationAccepted, RegistrationApplied, RegistrationReviewed,
    RegistrationState, ReviewDecided, ReviewOutcome, ReviewState, ReviewSubmitted, Right,
    RightClaim, Role, TradeMode,
};
use ledger_format::commitment::Opening;
use ledger_format::id::{Subject, SubjectKind};

use crate::dev::cast::{Actor, Cast};
use crate::dev::data::Data;
use crate::dev::stage::{Scene, Stage, subject};

const RULE_SET: &str = "CN-NDA-2026/1";
/// Small, so that files of a few kilobytes make several batches.
const CHUNK_BYTES: u32 = 4_096;

/// A data product of the story.
struct Product {
    name: &'static str,
    name_zh: &'static str,
    name_en: &'static str,
    summary: &'static str,
    licence: &'static str,
    publisher: &'static str,
    /// The open data that it is made from, and its version.
    source: (&'static str, u32),
    file: &'static str,
    media_type: &'static str,
    scenario: &'static str,
    serial: u32,
    batches: u32,
    buyer: fn(&Cast) -> &Actor,
    dates: Dates,
}

/// When each step happens. Times are China's.
struct Dates {
    applied: &'static str,
    /// `None`: the registry does not answer, and silence accepts.
    accepted: Option<&'static str>,
    reviewed: &'static str,
    notice: &'static str,
    evidence: &'static str,
    month: &'static str,
    compliance: [&'static str; 2],
    listing: [&'static str; 2],
    contract: &'static str,
    delivery: [&'static str; 3],
}

/// An ordinary course: five working days of notice from Friday 7 August end on Friday 14 August.
const ORDINARY: Dates = Dates {
    applied: "2026-08-03T10:00:00+08:00",
    accepted: Some("2026-08-05T09:30:00+08:00"),
    reviewed: "2026-08-06T15:00:00+08:00",
    notice: "2026-08-07T09:00:00+08:00",
    evidence: "2026-08-17T09:30:00+08:00",
    month: "202608",
    compliance: ["2026-08-18T10:00:00+08:00", "2026-08-20T11:00:00+08:00"],
    listing: ["2026-08-21T09:00:00+08:00", "2026-08-21T14:00:00+08:00"],
    contract: "2026-08-24T10:00:00+08:00",
    delivery: [
        "2026-08-25T09:00:00+08:00",
        "2026-08-25T10:00:00+08:00",
        "2026-08-26T16:00:00+08:00",
    ],
};

/// The registry is silent for three working days: on the fourth, Monday 31 August, the application counts as accepted (Art. 17).
const SILENT: Dates = Dates {
    applied: "2026-08-25T17:00:00+08:00",
    accepted: None,
    reviewed: "2026-09-01T10:00:00+08:00",
    notice: "2026-09-02T09:00:00+08:00",
    evidence: "2026-09-10T09:30:00+08:00",
    month: "202609",
    compliance: ["2026-09-11T10:00:00+08:00", "2026-09-14T11:00:00+08:00"],
    listing: ["2026-09-15T09:00:00+08:00", "2026-09-15T14:00:00+08:00"],
    contract: "2026-09-16T10:00:00+08:00",
    delivery: [
        "2026-09-17T09:00:00+08:00",
        "2026-09-17T10:00:00+08:00",
        "2026-09-18T16:00:00+08:00",
    ],
};

/// A notice over the National Day holiday: five working days from 30 September, the working Saturday among them, end on 13 October.
const HOLIDAY: Dates = Dates {
    applied: "2026-09-21T10:00:00+08:00",
    accepted: Some("2026-09-22T09:30:00+08:00"),
    reviewed: "2026-09-24T15:00:00+08:00",
    notice: "2026-09-30T09:00:00+08:00",
    evidence: "2026-10-14T09:30:00+08:00",
    month: "202610",
    compliance: ["2026-10-15T10:00:00+08:00", "2026-10-16T11:00:00+08:00"],
    listing: ["2026-10-19T09:00:00+08:00", "2026-10-19T14:00:00+08:00"],
    contract: "2026-10-20T10:00:00+08:00",
    delivery: [
        "2026-10-21T09:00:00+08:00",
        "2026-10-21T10:00:00+08:00",
        "2026-10-22T16:00:00+08:00",
    ],
};

const PRODUCTS: [Product; 3] = [
    Product {
        name: "seattle-weather-2012-2015",
        name_zh: "2012—2015年西雅图逐日气象观测数据集",
        name_en: "Daily weather observations, Seattle, 2012 to 2015",
        summary: "西雅图2012年至2015年逐日降水量、最高与最低气温、风速和天气类型，CSV格式。",
        licence: "U.S. Government work",
        publisher: "NOAA National Climatic Data Center",
        source: ("seattle_weather", 2),
        file: "seattle-weather.csv",
        media_type: "text/csv",
        scenario: "weather index insurance",
        serial: 1,
        batches: 3,
        buyer: |cast| &cast.insurer,
        dates: ORDINARY,
    },
    Product {
        name: "us-flights-2001-sample",
        name_zh: "2001年美国国内航班准点抽样数据集",
        name_en: "On-time performance of U.S. domestic flights, 2001, a sample of 5,000",
        summary: "2001年美国国内航班抽样五千条：日期、延误分钟数、距离、起飞与到达机场，JSON格式。",
        licence: "U.S. Government work",
        publisher: "U.S. Bureau of Transportation Statistics",
        source: ("flights_5k", 1),
        file: "flights-5k.json",
        media_type: "application/json",
        scenario: "delay risk pricing",
        serial: 1,
        batches: 10,
        buyer: |cast| &cast.insurer,
        dates: SILENT,
    },
    Product {
        name: "mauna-loa-co2-monthly",
        name_zh: "1958年以来莫纳罗亚大气二氧化碳月均浓度数据集",
        name_en: "Monthly atmospheric CO2 at Mauna Loa since 1958",
        summary: "斯克里普斯海洋研究所莫纳罗亚站1958年以来大气二氧化碳月均浓度及去季节化值，CSV格式。",
        licence: "CC-BY-4.0",
        publisher: "Scripps CO2 Program",
        source: ("co2_concentration", 1),
        file: "co2-concentration.csv",
        media_type: "text/csv",
        scenario: "green finance reporting",
        serial: 1,
        batches: 2,
        buyer: |cast| &cast.bank,
        dates: HOLIDAY,
    },
];

/// Open data that was made from other open data of the same import.
const LINEAGE: [(&str, &str, DerivationKind, &str); 3] = [
    ("seattle_weather", "weather", DerivationKind::Subset, "the Seattle rows of the weather file"),
    ("flights_2k", "flights_5k", DerivationKind::Subset, "2,000 of the 5,000 flights"),
    (
        "london_centroids",
        "london_boroughs",
        DerivationKind::Aggregate,
        "the centre of each borough",
    ),
];

/// Reviews of open data: two without any licence fail, one with the terms of its source passes on conditions.
const OPEN_REVIEWS: [(&str, ReviewOutcome, &str); 3] = [
    ("driving", ReviewOutcome::Failed, "no licence is stated"),
    ("stocks", ReviewOutcome::Failed, "neither source nor licence is stated"),
    (
        "disasters",
        ReviewOutcome::Conditional,
        "EM-DAT terms of use: not for commercial use without agreement",
    ),
];

/// Plays everything that has not happened. Returns the deliveries.
pub(crate) async fn play(
    stage: &mut Stage,
    cast: &Cast,
    data: &Data,
) -> Result<Vec<Subject>, ClientError> {
    lineage(stage, cast).await?;
    open_reviews(stage, cast).await?;
    let mut deliveries = Vec::new();
    for product in &PRODUCTS {
        let play = Play { stage: &mut *stage, cast, product };
        deliveries.push(play.whole_way(data).await?);
    }
    Ok(deliveries)
}

async fn lineage(stage: &mut Stage, cast: &Cast) -> Result<(), ClientError> {
    for (name, input, kind, reason) in LINEAGE {
        let asset = subject(SubjectKind::Asset, &format!("{}/{name}", cast.files.id))?;
        let found = stage.node.record(asset.as_str(), 0, 0, false).await?.record;
        let Some(Body::Asset(record)) = found.and_then(|record| record.body) else { continue };
        let mut description = record.description.unwrap_or_default();
        let input = format!("asset:{}/{input}", cast.files.id);
        description.derived_from = vec![Derivation { asset: input, version: 1, kind: kind.into() }];
        let scene = Scene {
            at: "2026-08-03T09:45:00+08:00",
            subject: &asset,
            act: Act::AssetRevised(AssetRevised {
                description: Some(description),
                reason: reason.into(),
            }),
            signers: cast.files.alone(Role::Supplier, Purpose::Issue),
            binding: true,
        };
        stage.play(scene, |body| matches!(body, Body::Asset(asset) if asset.version > 1)).await?;
    }
    Ok(())
}

async fn open_reviews(stage: &mut Stage, cast: &Cast) -> Result<(), ClientError> {
    for (name, outcome, remarks) in OPEN_REVIEWS {
        let review = subject(SubjectKind::Review, &format!("{}/{name}", cast.files.id))?;
        let submitted = ReviewSubmitted {
            asset: format!("asset:{}/{name}", cast.files.id),
            version: 1,
            reviewer: cast.reviewer.id.into(),
            materials: None,
        };
        let scene = Scene {
            at: "2026-08-03T09:50:00+08:00",
            subject: &review,
            act: Act::ReviewSubmitted(submitted),
            signers: cast.files.alone(Role::Supplier, Purpose::Issue),
            binding: false,
        };
        stage.open(scene).await?;
        decide(stage, cast, &review, "2026-08-03T09:55:00+08:00", outcome, remarks).await?;
    }
    Ok(())
}

async fn decide(
    stage: &mut Stage,
    cast: &Cast,
    review: &Subject,
    at: &str,
    outcome: ReviewOutcome,
    remarks: &str,
) -> Result<(), ClientError> {
    let valid_to = if outcome == ReviewOutcome::Failed { 0 } else { 20_270_731 };
    let decided = ReviewDecided {
        outcome: outcome.into(),
        opinion: Some(digest_of(format!("opinion on {review}: {remarks}").as_bytes())),
        valid_to,
        remarks: remarks.into(),
    };
    let scene = Scene {
        at,
        subject: review,
        act: Act::ReviewDecided(decided),
        signers: cast.reviewer.two_officers(Role::Reviewer),
        binding: true,
    };
    let decided =
        |body: &Body| matches!(body, Body::Review(r) if r.state() != ReviewState::Submitted);
    stage.play(scene, decided).await
}

/// The price is never on the ledger: a commitment with a fresh salt is, and the salt stays with the parties. Here it is thrown
/// away, since there is no price.
fn price(path: &str) -> Result<Opening, ClientError> {
    let (first, second) = (ledger_client::keys::nonce()?, ledger_client::keys::nonce()?);
    let mut salt = [0; 32];
    for (place, byte) in salt.iter_mut().zip(first.into_iter().chain(second)) {
        *place = byte;
    }
    Ok(Opening { salt, path: path.into(), value: "0.00 CNY".into() })
}

/// One product on its way.
struct Play<'a> {
    stage: &'a mut Stage,
    cast: &'a Cast,
    product: &'a Product,
}

impl Play<'_> {
    fn subject(&self, kind: SubjectKind) -> Result<Subject, ClientError> {
        subject(kind, &format!("{}/{}", self.cast.supplier.id, self.product.name))
    }

    fn certificate(&self) -> String {
        format!("SJ441{}{:04}", self.product.dates.month, self.product.serial)
    }

    fn buyer(&self) -> &Actor {
        (self.product.buyer)(self.cast)
    }

    async fn whole_way(mut self, data: &Data) -> Result<Subject, ClientError> {
        let path = data.files.join(self.product.file);
        let mut file = File::open(&path).map_err(ClientError::io(path.display()))?;
        let content = ReadFile::read(&mut file, CHUNK_BYTES)?;
        self.describe(&content).await?;
        self.register().await?;
        self.certify().await?;
        self.review().await?;
        self.list().await?;
        self.contract().await?;
        self.deliver(&content).await?;
        self.subject(SubjectKind::Delivery)
    }

    async fn describe(&mut self, content: &ReadFile) -> Result<(), ClientError> {
        let product = self.product;
        let (source, version) = product.source;
        let description = AssetDescription {
            kind: AssetKind::Product.into(),
            name_zh: product.name_zh.into(),
            name_en: product.name_en.into(),
            summary: product.summary.into(),
            industry: "I65".into(),
            origin: Origin::ScrapedPublic.into(),
            data_class: DataClass::Enterprise.into(),
            grade: Grade::General1.into(),
            personal_information: PersonalInformation::None.into(),
            licence: product.licence.into(),
            publisher: product.publisher.into(),
            content: content.manifest().content,
            content_bytes: content.bytes,
            media_type: product.media_type.into(),
            derived_from: vec![Derivation {
                asset: format!("asset:{}/{source}", self.cast.files.id),
                version,
                kind: DerivationKind::Copy.into(),
            }],
            ..AssetDescription::default()
        };
        let asset = self.subject(SubjectKind::Asset)?;
        let scene = Scene {
            at: product.dates.applied,
            subject: &asset,
            act: Act::AssetDescribed(AssetDescribed { description: Some(description) }),
            signers: self.cast.supplier.alone(Role::Supplier, Purpose::Issue),
            binding: false,
        };
        self.stage.open(scene).await
    }

    async fn register(&mut self) -> Result<(), ClientError> {
        let dates = &self.product.dates;
        let registration = self.subject(SubjectKind::Registration)?;
        let right =
            |right: Right| RightClaim { right: right.into(), basis: Basis::PublicScrape.into() };
        let applied = RegistrationApplied {
            asset: self.subject(SubjectKind::Asset)?.to_string(),
            version: 1,
            registry: self.cast.registry.id.into(),
            rule_set: RULE_SET.into(),
            rights: [Right::Hold, Right::Use, Right::Operate].map(right).into(),
            scenarios: vec![self.product.scenario.into()],
            materials: Some(digest_of(format!("source and title of {registration}").as_bytes())),
            validity_years: 5,
        };
        let scene = Scene {
            at: dates.applied,
            subject: &registration,
            act: Act::RegistrationApplied(applied),
            signers: self.cast.supplier.two_factors(Role::Supplier, Purpose::Issue),
            binding: false,
        };
        self.stage.open(scene).await?;
        let (registry, role) = (&self.cast.registry, Role::Registry);
        if let Some(at) = dates.accepted {
            let act = Act::RegistrationAccepted(RegistrationAccepted {});
            let signers = registry.alone(role, Purpose::Issue);
            self.procedure(at, act, signers, RegistrationState::Accepted).await?;
        }
        let satisfied = Finding::Satisfied.into();
        let report = Some(digest_of(format!("examination of {registration}").as_bytes()));
        let reviewed = RegistrationReviewed {
            description: satisfied,
            source: satisfied,
            title: satisfied,
            report,
        };
        let (act, signers) = (Act::RegistrationReviewed(reviewed), registry.two_officers(role));
        self.procedure(dates.reviewed, act, signers, RegistrationState::Reviewed).await?;
        let notice = Some(digest_of(format!("notice of {registration}").as_bytes()));
        let (act, signers) =
            (Act::NoticeOpened(NoticeOpened { notice }), registry.alone(role, Purpose::Issue));
        self.procedure(dates.notice, act, signers, RegistrationState::Notice).await
    }

    async fn certify(&mut self) -> Result<(), ClientError> {
        let at = self.product.dates.evidence;
        let registration = self.subject(SubjectKind::Registration)?;
        let evidence = Some(digest_of(format!("registered facts of {registration}").as_bytes()));
        let signers = || self.cast.registry.two_factors(Role::Registry, Purpose::Issue);
        let (record, issue) = (signers(), signers());
        let act = Act::EvidenceRecorded(EvidenceRecorded { evidence });
        self.procedure(at, act, record, RegistrationState::Registered).await?;
        let body = Some(digest_of(format!("sealed certificate of {registration}").as_bytes()));
        let act = Act::CertificateIssued(CertificateIssued { number: self.certificate(), body });
        self.procedure(at, act, issue, RegistrationState::Certified).await
    }

    async fn procedure(
        &mut self,
        at: &str,
        act: Act,
        signers: Vec<Signatory>,
        state: RegistrationState,
    ) -> Result<(), ClientError> {
        let registration = self.subject(SubjectKind::Registration)?;
        let scene = Scene { at, subject: &registration, act, signers, binding: true };
        let reached =
            |body: &Body| matches!(body, Body::Registration(r) if r.state >= i32::from(state));
        self.stage.play(scene, reached).await
    }

    async fn review(&mut self) -> Result<(), ClientError> {
        let [submitted, decided] = self.product.dates.compliance;
        let review = self.subject(SubjectKind::Review)?;
        let act = Act::ReviewSubmitted(ReviewSubmitted {
            asset: self.subject(SubjectKind::Asset)?.to_string(),
            version: 1,
            reviewer: self.cast.reviewer.id.into(),
            materials: None,
        });
        let signers = self.cast.supplier.alone(Role::Supplier, Purpose::Issue);
        let scene = Scene { at: submitted, subject: &review, act, signers, binding: false };
        self.stage.open(scene).await?;
        let outcome = ReviewOutcome::Passed;
        decide(self.stage, self.cast, &review, decided, outcome, "").await
    }

    async fn list(&mut self) -> Result<(), ClientError> {
        let [applied, published] = self.product.dates.listing;
        let listing = self.subject(SubjectKind::Listing)?;
        let act = Act::ListingApplied(ListingApplied {
            asset: self.subject(SubjectKind::Asset)?.to_string(),
            version: 1,
            venue: self.cast.exchange.id.into(),
            certificate: self.certificate(),
            review: self.subject(SubjectKind::Review)?.to_string(),
            mode: TradeMode::Listing.into(),
            price_commitment: price("listing_applied.price")?.commitment().to_vec().into(),
            terms: Some(digest_of(format!("terms of {listing}").as_bytes())),
            scenarios: vec![self.product.scenario.into()],
            rule_set: RULE_SET.into(),
        });
        let signers = self.cast.supplier.two_factors(Role::Supplier, Purpose::Issue);
        let scene = Scene { at: applied, subject: &listing, act, signers, binding: false };
        self.stage.open(scene).await?;
        let scene = Scene {
            at: published,
            subject: &listing,
            act: Act::ListingPublished(ListingPublished {}),
            signers: self.cast.exchange.alone(Role::Exchange, Purpose::Issue),
            binding: true,
        };
        let listed =
            |body: &Body| matches!(body, Body::Listing(l) if l.state() == ListingState::Listed);
        self.stage.play(scene, listed).await
    }

    async fn contract(&mut self) -> Result<(), ClientError> {
        let contract = self.subject(SubjectKind::Contract)?;
        let buyer = self.buyer();
        let mut signers = self.cast.supplier.two_factors(Role::Supplier, Purpose::Issue);
        signers.extend(buyer.two_factors(Role::Buyer, Purpose::Counterparty));
        let act = Act::ContractSigned(ContractSigned {
            listing: self.subject(SubjectKind::Listing)?.to_string(),
            buyer: buyer.id.into(),
            contract_type: ContractType::Provision.into(),
            terms: Some(digest_of(format!("terms of {contract}").as_bytes())),
            price_commitment: price("contract_signed.price")?.commitment().to_vec().into(),
            delivery_mode: DeliveryMode::File.into(),
            delivery_property: DeliveryProperty::Both.into(),
            purposes: vec![self.product.scenario.into()],
            valid_to: 20_270_731,
        });
        let at = self.product.dates.contract;
        self.stage.open(Scene { at, subject: &contract, act, signers, binding: false }).await
    }

    async fn deliver(&mut self, content: &ReadFile) -> Result<(), ClientError> {
        let [planned, sent, completed] = self.product.dates.delivery;
        let delivery = self.subject(SubjectKind::Delivery)?;
        let batches = content.batches(self.product.batches);
        let both = |play: &Self| {
            let mut signers = play.cast.supplier.alone(Role::Supplier, Purpose::Issue);
            signers.extend(play.buyer().alone(Role::Buyer, Purpose::Counterparty));
            signers
        };
        let act = Act::DeliveryPlanned(DeliveryPlanned {
            contract: self.subject(SubjectKind::Contract)?.to_string(),
            file: Some(content.manifest()),
            batches: u32::try_from(batches.len()).unwrap_or(u32::MAX),
            endpoint_jurisdiction: "CN".into(),
            window_to: 20_261_231,
        });
        let signers = both(self);
        self.stage
            .open(Scene { at: planned, subject: &delivery, act, signers, binding: false })
            .await?;
        for (number, batch) in (1_u32..).zip(batches) {
            let root = batch.root.to_vec();
            let act = Act::BatchSent(BatchSent {
                number,
                first_chunk: batch.first_chunk,
                chunks: batch.chunks,
                bytes: batch.bytes,
                root: root.clone().into(),
            });
            let signers = self.cast.supplier.alone(Role::Supplier, Purpose::Issue);
            let scene = Scene { at: sent, subject: &delivery, act, signers, binding: false };
            let was_sent = |body: &Body| matches!(body, Body::Delivery(d) if d.sent >= number);
            self.stage.play(scene, was_sent).await?;
            // The buyer computes the root from what arrived; here both read the same file.
            let act = Act::BatchAcknowledged(BatchAcknowledged { number, root: root.into() });
            let signers = self.buyer().alone(Role::Buyer, Purpose::Issue);
            let scene = Scene { at: sent, subject: &delivery, act, signers, binding: false };
            let acked = |body: &Body| matches!(body, Body::Delivery(d) if d.acknowledged >= number);
            self.stage.play(scene, acked).await?;
        }
        let act = Act::DeliveryCompleted(DeliveryCompleted {});
        let scene =
            Scene { at: completed, subject: &delivery, act, signers: both(self), binding: true };
        let done = |body: &Body| matches!(body, Body::Delivery(d) if d.state() == DeliveryState::Completed);
        self.stage.play(scene, done).await
    }
}
