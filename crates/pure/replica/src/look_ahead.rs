//! Messages about heights that are not open here yet. A quorum may be faster than this validator; what it said must not be lost, or
//! the others would have to say it again. Bounded by sender, so that nobody can fill it for others.

use std::collections::BTreeMap;

use ledger_format::digest::KeyId;

use crate::message::Content;

/// Heights that are kept, from the next one on; and of which bodies are kept, which may be megabytes.
const HEIGHTS: u64 = 8;
const HEIGHTS_WITH_BODIES: u64 = 2;
/// Messages that are kept of one sender and height, and bodies among them.
const MESSAGES: usize = 48;
const BODIES: usize = 2;

/// What was said by one sender.
type Kept = Vec<Content>;

/// Kept messages by height and sender.
#[derive(Debug, Default)]
pub(crate) struct LookAhead {
    heights: BTreeMap<u64, BTreeMap<KeyId, Kept>>,
}

impl LookAhead {
    /// Keeps a message about a height at or above `next`; drops what is too far ahead or too much. Whether it was kept.
    pub(crate) fn keep(&mut self, next: u64, height: u64, from: KeyId, content: Content) -> bool {
        if height < next || height >= next.saturating_add(HEIGHTS) {
            return false;
        }
        let kept = self.heights.entry(height).or_default().entry(from).or_default();
        let bodies = kept.iter().filter(|kept| matches!(kept, Content::Body { .. })).count();
        let is_body = matches!(content, Content::Body { .. });
        if is_body && height >= next.saturating_add(HEIGHTS_WITH_BODIES) {
            return false;
        }
        if kept.contains(&content) {
            return false;
        }
        // Whoever died with a body sent and nothing signed sends another one when it is back: the newer one counts.
        if is_body && bodies >= BODIES {
            let is_body = |kept: &Content| matches!(kept, Content::Body { .. });
            kept.iter().position(is_body).map(|oldest| kept.remove(oldest));
        }
        let keeps = kept.len() < MESSAGES;
        if keeps {
            kept.push(content);
        }
        keeps
    }

    /// Forgets of a height what does not hold, once it can be judged.
    pub(crate) fn retain(&mut self, height: u64, holds: impl Fn(&Content) -> bool) {
        for kept in self.heights.get_mut(&height).into_iter().flat_map(BTreeMap::values_mut) {
            kept.retain(&holds);
        }
    }

    /// What each sender said about a height.
    pub(crate) fn of(&self, height: u64) -> impl Iterator<Item = (&KeyId, &Kept)> {
        self.heights.get(&height).into_iter().flatten()
    }

    /// Forgets heights below the next one.
    pub(crate) fn forget_below(&mut self, next: u64) {
        self.heights = self.heights.split_off(&next);
    }

    /// Takes everything about a height out.
    pub(crate) fn take(&mut self, height: u64) -> Vec<(KeyId, Content)> {
        let taken = self.heights.remove(&height).unwrap_or_default();
        let each =
            |(from, kept): (KeyId, Kept)| kept.into_iter().map(move |content| (from, content));
        taken.into_iter().flat_map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(number: u8) -> Content {
        Content::Body { height: 2, body: vec![number] }
    }

    #[test]
    fn of_bodies_the_newest_are_kept_and_of_all_else_the_first() {
        let (mut ahead, from) = (LookAhead::default(), KeyId::default());
        let tip = |height| Content::Tip { height };
        assert!(ahead.keep(2, 2, from, tip(0)));
        for number in 1..=3 {
            assert!(ahead.keep(2, 2, from, body(number)));
            assert!(!ahead.keep(2, 2, from, body(number)), "the same again");
        }
        for height in 1..=u64::try_from(MESSAGES).unwrap() {
            let has_room = ahead.heights[&2][&from].len() < MESSAGES;
            assert_eq!(ahead.keep(2, 2, from, tip(height)), has_room);
        }
        // There is room for a body as long as an older one gives way.
        assert!(ahead.keep(2, 2, from, body(4)));
        let other = KeyId::of(&[1; 32]);
        assert!(ahead.keep(2, 2, other, body(1)));
        let kept: Vec<(KeyId, Content)> = ahead.take(2);
        let of = |sender: KeyId| {
            let bodies = kept.iter().filter(move |(from, _)| *from == sender);
            let bodies = bodies.filter_map(|(_, content)| match content {
                Content::Body { body, .. } => Some(body[0]),
                _ => None,
            });
            bodies.collect::<Vec<u8>>()
        };
        assert_eq!((of(from), of(other)), (vec![3, 4], vec![1]));
        assert_eq!(kept[usize::from(kept[0].0 != from)].1, tip(0));
    }
}
