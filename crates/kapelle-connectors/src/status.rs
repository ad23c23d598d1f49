//! What a connector tells while it runs, and how it is paused.
//!
//! **Invariant**: counters only grow. Reading never waits for the connector. Rates are the reader's: they are the
//! difference of two snapshots.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::sink::SinkError;

/// What a connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Not started, or no connection was needed yet.
    Idle = 0,
    /// Making a connection.
    Connecting = 1,
    /// Connected.
    Running = 2,
    /// Waiting to try again; the last error says why.
    BackingOff = 3,
    /// Paused by somebody.
    Paused = 4,
    /// Ended.
    Stopped = 5,
}

impl State {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Connecting => "CONNECTING",
            Self::Running => "RUNNING",
            Self::BackingOff => "BACKING_OFF",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }
}

/// The shared counters of one connector.
#[derive(Debug, Default)]
pub struct Status {
    state: AtomicU8,
    pub(crate) received: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) ingest_retries: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) publish_failures: AtomicU64,
    pub(crate) connects: AtomicU64,
    /// One more than the lag, because 0 stands for "not known".
    lag: AtomicU64,
    last_error: Mutex<Option<LastError>>,
    last_success: Mutex<Option<SystemTime>>,
}

/// The latest failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: SystemTime,
    /// What, without secrets.
    pub message: String,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSnapshot {
    /// What it is doing.
    pub state: State,
    /// Deliveries from the broker, repeats included.
    pub received: u64,
    /// Bytes of their bodies.
    pub received_bytes: u64,
    /// Deliveries that the engine took.
    pub accepted: u64,
    /// Deliveries that the engine had seen before.
    pub duplicates: u64,
    /// Deliveries that are no CloudEvents or that the engine refused.
    pub rejected: u64,
    /// Batches that had to be offered again.
    pub ingest_retries: u64,
    /// CloudEvents that arrived.
    pub published: u64,
    /// Attempts that failed.
    pub publish_failures: u64,
    /// Connections made; more than one means that some broke.
    pub connects: u64,
    /// What waits at the broker, if that is known.
    pub lag: Option<u64>,
    /// The latest failure, also after it was overcome.
    pub last_error: Option<LastError>,
    /// When something last went through.
    pub last_success: Option<SystemTime>,
}

/// Sees and steers a connector from outside. Clones steer the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    status: Arc<Status>,
    paused: watch::Sender<bool>,
}

impl Status {
    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Relaxed);
    }

    #[cfg(any(feature = "nats", feature = "rabbitmq"))]
    pub(crate) fn set_lag(&self, lag: u64) {
        self.lag.store(lag.saturating_add(1), Relaxed);
    }

    pub(crate) fn forget_lag(&self) {
        self.lag.store(0, Relaxed);
    }

    pub(crate) fn failed(&self, message: impl Into<String>) {
        let error = LastError {
            at: SystemTime::now(),
            message: message.into(),
        };
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn succeeded(&self) {
        *self
            .last_success
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
    }

    /// Notes how an attempt to deliver ended.
    pub(crate) fn attempted(&self, result: &Result<(), SinkError>) {
        match result {
            Ok(()) => {
                count(&self.published, 1);
                self.succeeded();
            }
            Err(error) => {
                count(&self.publish_failures, 1);
                self.failed(error.to_string());
            }
        }
    }

    fn snapshot(&self) -> StatusSnapshot {
        StatusSnapshot {
            state: match self.state.load(Relaxed) {
                1 => State::Connecting,
                2 => State::Running,
                3 => State::BackingOff,
                4 => State::Paused,
                5 => State::Stopped,
                _ => State::Idle,
            },
            received: self.received.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            ingest_retries: self.ingest_retries.load(Relaxed),
            published: self.published.load(Relaxed),
            publish_failures: self.publish_failures.load(Relaxed),
            connects: self.connects.load(Relaxed),
            lag: self.lag.load(Relaxed).checked_sub(1),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            last_success: *self
                .last_success
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Relaxed);
}

/// Waits until the connector is paused, or no longer. The sender lives in the connector's own handle, so there is always
/// somebody to wait for.
pub(crate) async fn paused_is(wanted: bool, paused: &mut watch::Receiver<bool>) {
    drop(paused.wait_for(|paused| *paused == wanted).await);
}

impl Handle {
    pub(crate) fn new() -> Self {
        Self {
            status: Arc::default(),
            paused: watch::Sender::new(false),
        }
    }

    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    pub(crate) fn paused(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }

    /// The counters now.
    pub fn snapshot(&self) -> StatusSnapshot {
        self.status.snapshot()
    }

    /// Stops receiving; what was received but not accepted goes back to the broker. Sinks take no notice: not to publish
    /// is the caller's to decide.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }
}

impl StatusSnapshot {
    /// Whether it does what it is there for, or is meant not to.
    pub fn healthy(&self) -> bool {
        match self.state {
            State::Idle | State::Running | State::Paused => true,
            State::Connecting | State::BackingOff | State::Stopped => false,
        }
    }
}
