//! The main path: each act on the day on which it is due, or later.

use std::sync::LazyLock;

use crate::{NUMBER, RAIN, Story, acts, china};

impl Story {
    fn not_before(mut self, at: &str) -> Self {
        self.time_ms = self.time_ms.max(china(at));
        self
    }

    /// Up to the description of the asset.
    #[must_use]
    pub fn described(self) -> Self {
        self.did(&acts::asset_described(RAIN))
    }

    /// The application for registration.
    #[must_use]
    pub fn applied(self) -> Self {
        self.did(&acts::registration_applied(RAIN))
    }

    /// Accepted on the second day.
    #[must_use]
    pub fn accepted(self) -> Self {
        self.not_before("2026-08-04").did(&acts::registration_accepted(RAIN))
    }

    /// Reviewed on the third.
    #[must_use]
    pub fn reviewed(self) -> Self {
        self.not_before("2026-08-05").did(&acts::registration_reviewed(RAIN))
    }

    /// The notice opened on the fourth.
    #[must_use]
    pub fn noticed(self) -> Self {
        self.not_before("2026-08-06").did(&acts::notice_opened(RAIN))
    }

    /// The evidence recorded once the notice is over.
    #[must_use]
    pub fn recorded(self) -> Self {
        self.not_before("2026-08-14").did(&acts::evidence_recorded(RAIN))
    }

    /// The certificate on the same day.
    #[must_use]
    pub fn certified(self) -> Self {
        self.not_before("2026-08-14").did(&acts::certificate_issued(RAIN, NUMBER))
    }

    /// Given to the reviewer.
    #[must_use]
    pub fn submitted(self) -> Self {
        self.not_before("2026-08-17").did(&acts::review_submitted(RAIN))
    }

    /// Passed by the reviewer.
    #[must_use]
    pub fn decided(self) -> Self {
        self.not_before("2026-08-18").did(&acts::review_decided(RAIN))
    }

    /// The listing applied for.
    #[must_use]
    pub fn offered(self) -> Self {
        self.not_before("2026-08-19").did(&acts::listing_applied(RAIN, NUMBER))
    }

    /// The listing published.
    #[must_use]
    pub fn listed(self) -> Self {
        self.not_before("2026-08-20").did(&acts::listing_published(RAIN))
    }

    /// The contract signed.
    #[must_use]
    pub fn contracted(self) -> Self {
        self.not_before("2026-08-21").did(&acts::contract_signed(RAIN))
    }

    /// The delivery planned.
    #[must_use]
    pub fn planned(self) -> Self {
        self.not_before("2026-08-24").did(&acts::delivery_planned(RAIN))
    }

    /// A batch sent.
    #[must_use]
    pub fn sent(self, number: u32) -> Self {
        self.not_before("2026-08-24").did(&acts::batch_sent(RAIN, number))
    }

    /// A batch acknowledged.
    #[must_use]
    pub fn acknowledged(self, number: u32) -> Self {
        self.not_before("2026-08-25").did(&acts::batch_acknowledged(RAIN, number))
    }

    /// The delivery completed.
    #[must_use]
    pub fn completed(self) -> Self {
        self.not_before("2026-08-26").did(&acts::delivery_completed(RAIN))
    }

    /// The whole main path.
    #[must_use]
    pub fn told(self) -> Self {
        PATH.iter().fold(self, |story, (_, step)| step(story))
    }

    /// The main path up to the stage before `end`, for instance everything before `Stage::Accepted`.
    pub fn before(end: Stage) -> Self {
        static STORIES: LazyLock<Vec<Story>> = LazyLock::new(|| {
            let mut story = Story::opened();
            let mut stories = vec![story.clone()];
            for (_, step) in PATH {
                story = step(story);
                stories.push(story.clone());
            }
            stories
        });
        let number = PATH.iter().position(|(stage, _)| *stage == end).unwrap_or(PATH.len());
        STORIES[number].clone()
    }
}

/// The stages of the main path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The asset is described.
    Described,
    /// Registration is applied for.
    Applied,
    /// And accepted.
    Accepted,
    /// And reviewed.
    Reviewed,
    /// The notice opens.
    Noticed,
    /// Evidence is recorded.
    Recorded,
    /// The certificate is issued.
    Certified,
    /// A compliance review is asked for.
    Submitted,
    /// And passed.
    Decided,
    /// A listing is applied for.
    Offered,
    /// And published.
    Listed,
    /// The contract is signed.
    Contracted,
    /// The delivery is planned.
    Planned,
    /// The first batch is sent.
    Sent,
    /// And acknowledged.
    Acknowledged,
    /// The second batch is sent.
    SentAll,
    /// And acknowledged.
    AcknowledgedAll,
    /// The delivery is complete.
    Completed,
    /// Nothing more.
    End,
}

type Step = fn(Story) -> Story;

const PATH: [(Stage, Step); 18] = [
    (Stage::Described, Story::described),
    (Stage::Applied, Story::applied),
    (Stage::Accepted, Story::accepted),
    (Stage::Reviewed, Story::reviewed),
    (Stage::Noticed, Story::noticed),
    (Stage::Recorded, Story::recorded),
    (Stage::Certified, Story::certified),
    (Stage::Submitted, Story::submitted),
    (Stage::Decided, Story::decided),
    (Stage::Offered, Story::offered),
    (Stage::Listed, Story::listed),
    (Stage::Contracted, Story::contracted),
    (Stage::Planned, Story::planned),
    (Stage::Sent, |story| story.sent(1)),
    (Stage::Acknowledged, |story| story.acknowledged(1)),
    (Stage::SentAll, |story| story.sent(2)),
    (Stage::AcknowledgedAll, |story| story.acknowledged(2)),
    (Stage::Completed, Story::completed),
];
