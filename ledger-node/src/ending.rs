//! How a node ends: what failed first, and what is not waited for then.
//!
//! When a write has failed, sled 0.34.7 may wait for it for ever: at the next flush, and before it lets go of its files. So the first
//! failure is kept here, threads that do not end are left to the end of the process, and sled is not closed.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ledger_api::Shared;
use ledger_store::VoteLock;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::maintenance;

/// How long threads may take to end once something has failed.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How long a block's write may take. A disk that is slower than that is none to vote from.
const STUCK_AFTER: Duration = Duration::from_mins(2);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What failed first, of all that a node needs.
#[derive(Clone, Debug)]
pub(crate) struct Fault(watch::Sender<Option<Failure>>);

impl Fault {
    pub(crate) fn none() -> Self {
        Self(watch::Sender::new(None))
    }

    /// What comes later is a consequence.
    pub(crate) fn tell(&self, failure: &Failure) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                tracing::error!(code = %failure.code, %failure, "the node has failed");
                *first = Some(failure.clone());
            }
            is_first
        });
    }

    pub(crate) fn told(&self) -> Option<Failure> {
        self.0.borrow().clone()
    }

    /// Completes when something has failed, or a write does not end.
    pub(crate) async fn comes(&self, shared: &Shared) -> Failure {
        let mut told = self.0.subscribe();
        loop {
            let failure = told.borrow_and_update().clone();
            if let Some(failure) = failure {
                return failure;
            }
            if let Some(stuck) = shared.store.is_stuck(STUCK_AFTER) {
                self.tell(&stuck.into());
            }
            // A sender is here as well, so it does not end.
            let _changed_or_time_to_look = tokio::time::timeout(LOOK, told.changed()).await;
        }
    }

    /// Starts a thread whose panic is a failure of the node.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, Failure> {
        let watched = Watched { fault: self.clone(), name: name.to_owned() };
        let run = move || {
            let _watched = watched;
            run()
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(Failure::runtime)
    }
}

/// Tells of a panic.
struct Watched {
    fault: Fault,
    name: String,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fault.tell(&Failure::stopped(format!("thread {} panicked", self.name)));
        }
    }
}

/// The threads of a node.
#[derive(Debug)]
pub(crate) struct Threads(pub(crate) Vec<JoinHandle<()>>);

impl Threads {
    /// Waits for them, and closes the store; no longer than is useful once something has failed.
    ///
    /// # Errors
    /// What failed first.
    pub(crate) async fn end(self, shared: Arc<Shared>, fault: Fault) -> Result<(), Failure> {
        let closing = tokio::task::spawn_blocking({
            let (shared, fault) = (Arc::clone(&shared), fault.clone());
            move || self.close(shared, &fault)
        });
        let overdue = async {
            let failure = fault.comes(&shared).await;
            tokio::time::sleep(ENDS_WITHIN).await;
            failure
        };
        tokio::select! {
            closed = closing => closed.map_err(Failure::stopped)?,
            failure = overdue => {
                keep_open(shared);
                Err(failure)
            }
        }
    }

    fn close(self, shared: Arc<Shared>, fault: &Fault) -> Result<(), Failure> {
        for thread in self.0 {
            // A panic was told by the thread itself.
            let _told = thread.join();
        }
        let closed = fault.told().map_or_else(|| flush(&shared), Err);
        if closed.as_ref().is_err_and(is_of_store) {
            keep_open(shared);
        }
        closed
    }
}

fn flush(shared: &Shared) -> Result<(), Failure> {
    maintenance::note(shared, true)?;
    Ok(VoteLock::close(shared.store.directory().path())?)
}

fn is_of_store(failure: &Failure) -> bool {
    failure.code.starts_with("STORE_")
}

/// Lets the end of the process close the files.
fn keep_open(shared: Arc<Shared>) {
    let _open = std::mem::ManuallyDrop::new(shared);
}
