//! Links between nodes: what becomes of a message.

use ledger_fixtures::Rng;

use crate::plan::Weather;

/// What happens to one message: the delays after which copies of it arrive.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// One delay in milliseconds for each copy; none when it is lost.
    pub(crate) arrivals: Vec<u64>,
    /// Faults that happened to it.
    pub(crate) faults: Vec<&'static str>,
    /// A bit of it is flipped.
    pub(crate) damaged: bool,
}

/// All links of a network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) weather: Weather,
    /// Which way from a node to a node nothing gets through.
    cut: Vec<Vec<bool>>,
}

impl Network {
    pub(crate) fn new(nodes: usize, weather: Weather) -> Self {
        Self { weather, cut: vec![vec![false; nodes]; nodes] }
    }

    /// Cuts the way from one node to another, or mends it.
    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from][to] = cut;
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from][to]
    }

    /// From now on everything arrives, soon and in order.
    pub(crate) fn heal(&mut self) {
        self.weather = Weather::calm();
        for row in &mut self.cut {
            row.fill(false);
        }
    }

    pub(crate) fn send(&self, from: usize, to: usize, dice: &mut Rng) -> Fate {
        let (weather, mut fate) = (&self.weather, Fate::default());
        if self.cut[from][to] {
            fate.faults.push("cut");
            return fate;
        }
        if weather.loss > 0 && dice.below(1000) < weather.loss {
            fate.faults.push("loss");
            return fate;
        }
        let mut delay = || {
            let usual = weather.delay_ms.0 + dice.below(weather.delay_ms.1);
            let slow = weather.slow > 0 && dice.below(1000) < weather.slow;
            (u64::try_from(if slow { usual * 20 } else { usual }).unwrap(), slow)
        };
        let (first, slow) = delay();
        fate.arrivals.push(first);
        if slow {
            fate.faults.push("delay");
        }
        if weather.doubled > 0 && dice.below(1000) < weather.doubled {
            fate.arrivals.push(first + u64::try_from(dice.below(400)).unwrap());
            fate.faults.push("duplication");
        }
        if weather.damage > 0 && dice.below(1000) < weather.damage {
            fate.faults.push("damage");
            fate.damaged = true;
        }
        fate
    }
}
