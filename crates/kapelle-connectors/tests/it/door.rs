//! An engine's door for tests: notes what it took, and can be shut.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use kapelle_connectors::{
    CancellationToken, Delivery, Handle, Ingest, IngestError, Outcome, Source,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

struct Inner {
    taken: Mutex<Vec<Delivery>>,
    batches: Mutex<Vec<usize>>,
    /// How many of the next batches are refused.
    refuse: Mutex<usize>,
    /// A batch takes one permit before it is durable.
    open: Semaphore,
}

impl Door {
    pub(crate) fn open() -> Self {
        Self::with_permits(Semaphore::MAX_PERMITS)
    }

    /// Batches wait in front of it for ever.
    pub(crate) fn shut() -> Self {
        Self::with_permits(0)
    }

    fn with_permits(permits: usize) -> Self {
        Self(Arc::new(Inner {
            taken: Mutex::default(),
            batches: Mutex::default(),
            refuse: Mutex::new(0),
            open: Semaphore::new(permits),
        }))
    }

    pub(crate) fn refuse_next(&self, batches: usize) {
        *self.0.refuse.lock().unwrap() = batches;
    }

    pub(crate) fn let_through(&self) {
        self.0.open.add_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn taken(&self) -> Vec<Delivery> {
        self.0.taken.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.taken.lock().unwrap().len()
    }

    /// How many deliveries came in each batch that was taken.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.0.batches.lock().unwrap().clone()
    }

    /// The ids of the CloudEvents in the order they were taken.
    pub(crate) fn ids(&self) -> Vec<String> {
        let id = |delivery: &Delivery| match delivery {
            Delivery::Event(event) => event.id().to_owned(),
            Delivery::Rejected(rejected) => format!("rejected: {}", rejected.why),
        };
        self.0.taken.lock().unwrap().iter().map(id).collect()
    }

    pub(crate) fn distinct(&self) -> BTreeSet<String> {
        self.ids().into_iter().collect()
    }
}

impl Ingest for Door {
    async fn submit(&self, batch: Vec<Delivery>) -> Result<Vec<Outcome>, IngestError> {
        {
            let mut refuse = self.0.refuse.lock().unwrap();
            if *refuse > 0 {
                *refuse -= 1;
                return Err(IngestError::Overloaded { retry_after: None });
            }
        }
        self.0.open.acquire().await.unwrap().forget();
        let outcome = |delivery: &Delivery| match delivery {
            Delivery::Event(_) => Outcome::Accepted,
            Delivery::Rejected(_) => Outcome::Rejected,
        };
        let outcomes = batch.iter().map(outcome).collect();
        self.0.batches.lock().unwrap().push(batch.len());
        self.0.taken.lock().unwrap().extend(batch);
        Ok(outcomes)
    }
}

/// A source that runs in a task.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(source: impl Source + 'static, door: &Door) -> Self {
        let (handle, shutdown) = (source.handle(), CancellationToken::new());
        let task = tokio::spawn(source.run(door.clone(), shutdown.clone()));
        Self {
            handle,
            shutdown,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(crate::PATIENCE, self.task)
            .await
            .expect("shutdown ends the source")
            .unwrap();
        assert_eq!(
            self.handle.snapshot().state,
            kapelle_connectors::State::Stopped
        );
    }

    /// Ends it in the middle of whatever it does, as a crash would.
    pub(crate) fn abort(self) {
        self.task.abort();
    }
}
