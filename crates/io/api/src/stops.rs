//! The end of streams that have none of their own, when the node stops: who reads or writes them is told, and holds it up no longer.

use tokio::sync::watch;

use crate::problem::Problem;

/// Says that the node stops.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    pub(crate) fn say(&self) {
        self.0.send_replace(true);
    }
}

/// Hears it.
#[derive(Clone, Debug)]
pub(crate) struct Stops(watch::Receiver<bool>);

impl Stops {
    pub(crate) fn new() -> (Stop, Self) {
        let (stop, stops) = watch::channel(false);
        (Stop(stop), Self(stops))
    }

    /// Comes when the node stops, with what a client is told.
    pub(crate) async fn come(&mut self) -> Problem {
        // Who could say so may have gone as well.
        let _said = self.0.wait_for(|said| *said).await;
        Problem::stopping("the node is stopping")
    }
}
