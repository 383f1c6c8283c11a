//! What clients did and were told while a network was in trouble, and whether the chains that the nodes have agree with it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger_format::digest::EntryId;

use crate::places::{Place, Places};

/// What a client was told about an entry in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is in the log.
    Placed(Place),
    /// It never will be.
    Refused,
    /// The client gave up.
    Unknown,
}

/// One entry, from the first attempt to the answer.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Which entry.
    pub entry: EntryId,
    /// When it was sent first.
    pub begun: Instant,
    /// When the answer was there.
    pub ended: Instant,
    /// The answer.
    pub answer: Answer,
}

/// What a node said about its height, to one client over one connection.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Which connection; two of them may differ.
    pub connection: u64,
    /// The height.
    pub height: u64,
}

/// What clients recorded.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Entries that were sent, in the order of their answers.
    pub operations: Vec<Operation>,
    /// What nodes said about their heights, in the order of the answers of each connection.
    pub sights: Vec<Sight>,
}

/// A record that several clients write.
#[derive(Clone, Debug, Default)]
pub struct SharedRecord(Arc<Mutex<Record>>);

impl SharedRecord {
    /// Changes or reads the record.
    pub fn with<T>(&self, f: impl FnOnce(&mut Record) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Entries that were placed so far.
    pub fn placed(&self) -> usize {
        self.with(|record| record.placed().count())
    }
}

/// What a record that holds amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Entries that have a place.
    pub placed: usize,
    /// Entries that were refused.
    pub refused: usize,
    /// Entries whose client gave up.
    pub unknown: usize,
    /// Of those, how many are in the log all the same.
    pub unknown_placed: usize,
    /// The longest time in which nobody was given a place.
    pub standstill: Duration,
}

impl Record {
    fn placed(&self) -> impl Iterator<Item = (&Operation, Place)> {
        self.operations.iter().filter_map(|operation| match operation.answer {
            Answer::Placed(place) => Some((operation, place)),
            _ => None,
        })
    }

    /// Compares the record with the proven places of every node's chain. `before` are the entries that were there already.
    ///
    /// # Errors
    /// The first thing that does not agree.
    pub fn check(&self, before: &Places, chains: &[Places]) -> Result<Summary, String> {
        let first = chains.first().ok_or("no chain")?;
        if let Some(other) = chains.iter().position(|chain| chain != first) {
            return Err(format!("node {other} has another chain than node 0"));
        }
        let lost = before.iter().find(|(entry, place)| first.get(entry) != Some(*place));
        if let Some((entry, place)) = lost {
            return Err(format!("{entry}: was at {place:?} before, found {:?}", first.get(entry)));
        }
        self.check_answers(first)?;
        self.check_nothing_else(before, first)?;
        self.check_order()?;
        self.check_sights()?;
        let with = |answer| self.operations.iter().filter(move |o| o.answer == answer);
        let unknown = || with(Answer::Unknown);
        Ok(Summary {
            placed: self.placed().count(),
            refused: with(Answer::Refused).count(),
            unknown: unknown().count(),
            unknown_placed: unknown().filter(|o| first.contains_key(&o.entry)).count(),
            standstill: self.standstill(),
        })
    }

    /// What was answered is so.
    fn check_answers(&self, chain: &Places) -> Result<(), String> {
        for Operation { entry, answer, .. } in &self.operations {
            let found = chain.get(entry);
            match answer {
                Answer::Placed(place) if found != Some(place) => {
                    return Err(format!("{entry}: acknowledged at {place:?}, found {found:?}"));
                }
                Answer::Refused if found.is_some() => {
                    return Err(format!("{entry}: refused, and found {found:?}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nobody but these clients wrote.
    fn check_nothing_else(&self, before: &Places, chain: &Places) -> Result<(), String> {
        let sent: BTreeSet<&EntryId> = self.operations.iter().map(|o| &o.entry).collect();
        let stranger = |id: &&EntryId| !sent.contains(id) && !before.contains_key(id);
        match chain.keys().find(stranger) {
            Some(id) => Err(format!("{id}: nobody sent it")),
            None => Ok(()),
        }
    }

    /// What was answered before something else was sent has the earlier place: one order, and that of real time.
    fn check_order(&self) -> Result<(), String> {
        let mut begun: Vec<(&Operation, Place)> = self.placed().collect();
        let mut ended = begun.clone();
        begun.sort_by_key(|(operation, _)| operation.begun);
        ended.sort_by_key(|(operation, _)| operation.ended);
        let (mut ended, mut latest) = (ended.into_iter().peekable(), None);
        for (operation, place) in begun {
            while let Some((earlier, at)) = ended.next_if(|(o, _)| o.ended < operation.begun) {
                latest = latest.max(Some((at.1, earlier.entry)));
            }
            if let Some((leaf, earlier)) = latest.filter(|(leaf, _)| *leaf >= place.1) {
                let id = operation.entry;
                return Err(format!(
                    "{id}: at leaf {}, though {earlier} was answered at {leaf} before it was sent",
                    place.1
                ));
            }
        }
        Ok(())
    }

    /// Nobody saw a node go back.
    fn check_sights(&self) -> Result<(), String> {
        let mut heights = std::collections::BTreeMap::new();
        for Sight { connection, height } in &self.sights {
            let last = heights.insert(connection, height);
            if let Some(last) = last.filter(|last| *last > height) {
                return Err(format!("connection {connection}: height {last}, and then {height}"));
            }
        }
        Ok(())
    }

    fn standstill(&self) -> Duration {
        let mut answers: Vec<Instant> = self.placed().map(|(o, _)| o.ended).collect();
        answers.sort();
        let gaps = answers.iter().zip(answers.iter().skip(1)).map(|(a, b)| b.duration_since(*a));
        gaps.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> EntryId {
        EntryId(ledger_format::entry::leaf_hash(&[number]))
    }

    /// Three entries sent one after another, and the chain that has them.
    fn told() -> (Record, Places) {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let operation = |number: u8| {
            let begun = at(u64::from(number) * 10);
            let place = (u64::from(number), u64::from(number) * 2);
            let ended = begun + Duration::from_millis(5);
            Operation { entry: id(number), begun, ended, answer: Answer::Placed(place) }
        };
        let operations: Vec<Operation> = (1..=3).map(operation).collect();
        let sights = [1, 1, 2].map(|height| Sight { connection: 0, height }).to_vec();
        let chain = (1..=3).map(|n| (id(n), (u64::from(n), u64::from(n) * 2))).collect();
        (Record { operations, sights }, chain)
    }

    fn refuted(change: impl FnOnce(&mut Record, &mut Places)) -> String {
        let (mut record, mut chain) = told();
        change(&mut record, &mut chain);
        record.check(&Places::new(), &[chain]).unwrap_err()
    }

    #[test]
    fn what_agrees_is_summed_up() {
        let (mut record, chain) = told();
        record.operations[1].answer = Answer::Unknown;
        let summary = record.check(&Places::new(), &[chain.clone(), chain]).unwrap();
        let standstill = Duration::from_millis(20);
        let expected = Summary { placed: 2, refused: 0, unknown: 1, unknown_placed: 1, standstill };
        assert_eq!(summary, expected);
        let (mut record, mut chain) = told();
        record.operations[2].answer = Answer::Refused;
        chain.remove(&id(3));
        assert_eq!(record.check(&Places::new(), &[chain]).unwrap().refused, 1);
    }

    #[test]
    fn what_does_not_agree_is_named() {
        let lost = refuted(|_, chain| {
            chain.remove(&id(2));
        });
        assert!(lost.contains("acknowledged at (2, 4), found None"), "{lost}");
        let moved = refuted(|_, chain| {
            chain.insert(id(2), (2, 5));
        });
        assert!(moved.contains("found Some((2, 5))"), "{moved}");
        let refused = refuted(|record, _| record.operations[0].answer = Answer::Refused);
        assert!(refused.contains("refused, and found"), "{refused}");
        let stranger = refuted(|_, chain| {
            chain.insert(id(9), (4, 8));
        });
        assert!(stranger.contains("nobody sent it"), "{stranger}");
        let overtaken = refuted(|record, chain| {
            for (number, other) in [(1_u8, 2_u64), (2, 1)] {
                let place = (other, other * 2);
                record.operations[usize::from(number) - 1].answer = Answer::Placed(place);
                chain.insert(id(number), place);
            }
        });
        assert!(overtaken.contains("was answered at 4 before it was sent"), "{overtaken}");
        let back = refuted(|record, _| record.sights[2].height = 0);
        assert!(back.contains("height 1, and then 0"), "{back}");
        let (record, chain) = told();
        let before = Places::from([(id(9), (0, 0))]);
        let gone = record.check(&before, &[chain]).unwrap_err();
        assert!(gone.contains("was at (0, 0) before, found None"), "{gone}");
        let (record, chain) = told();
        let forked = record.check(&Places::new(), &[chain, Places::new()]).unwrap_err();
        assert!(forked.contains("node 1 has another chain"), "{forked}");
    }
}
