//! What the run counts. Shared by all tasks; a mutex, because two threads hardly meet in it.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::histogram::Histogram;

const PAUSE_WHEN_REFUSED: Duration = Duration::from_millis(5);

/// Instances on the way and those done.
pub struct Tally {
    /// Whether a start that is refused is given up.
    pub gives_up: bool,
    /// Whether the window is open: what ends outside is not counted.
    pub(crate) measuring: AtomicBool,
    /// Requests refused as overload and tried again.
    pub(crate) refused: AtomicU64,
    /// Starts that were refused and not tried again.
    pub(crate) turned_away: AtomicU64,
    /// Requests that failed otherwise.
    pub(crate) failed: AtomicU64,
    /// The first failure's text: the rest says the same.
    pub(crate) first_failure: Mutex<Option<String>>,
    pub(crate) latencies: Mutex<Histogram>,
    /// Closed loop: one permit an instance.
    pub(crate) room: Semaphore,
    /// Of instances whose start is answered but whose end is not seen yet, and the other way round: a pushed job can be
    /// done before the start's answer is read.
    halves: Mutex<HashMap<i64, Half>>,
}

enum Half {
    Started(Instant),
    Ended(Instant),
}

impl Tally {
    pub(crate) fn new(in_flight: usize, gives_up: bool) -> Self {
        Self {
            gives_up,
            measuring: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first_failure: Mutex::new(None),
            latencies: Mutex::new(Histogram::default()),
            room: Semaphore::new(in_flight),
            halves: Mutex::new(HashMap::new()),
        }
    }

    /// The start of an instance is answered; `planned` is when it should have begun.
    pub fn started(&self, instance: i64, planned: Instant) {
        let other = {
            let mut halves = self.halves.lock().expect("no task panics while it counts");
            match halves.remove(&instance) {
                None => {
                    halves.insert(instance, Half::Started(planned));
                    return;
                }
                other => other,
            }
        };
        if let Some(Half::Ended(ended)) = other {
            self.done(planned, ended);
        }
    }

    /// An instance has ended.
    pub fn ended(&self, instance: i64) {
        let now = Instant::now();
        let other = {
            let mut halves = self.halves.lock().expect("no task panics while it counts");
            match halves.remove(&instance) {
                None => {
                    halves.insert(instance, Half::Ended(now));
                    return;
                }
                other => other,
            }
        };
        if let Some(Half::Started(planned)) = other {
            self.done(planned, now);
        }
    }

    /// Both are known.
    pub fn done(&self, planned: Instant, ended: Instant) {
        self.room.add_permits(1);
        if self.measuring.load(Ordering::Relaxed) {
            self.latencies
                .lock()
                .expect("no task panics while it counts")
                .record(ended.saturating_duration_since(planned));
        }
    }

    /// A request failed for good: its instance is given up.
    pub fn give_up(&self, why: &dyn Display) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.first_failure
            .lock()
            .expect("no task panics while it counts")
            .get_or_insert_with(|| why.to_string());
        self.room.add_permits(1);
    }

    /// A request was refused as overload: it may be sent again after a pause.
    pub async fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE_WHEN_REFUSED).await;
    }

    /// A start was refused as overload, and that was it.
    pub fn turned_away(&self) {
        if self.measuring.load(Ordering::Relaxed) {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn on_the_way(&self) -> usize {
        let halves = self.halves.lock().expect("no task panics while it counts");
        // An end without a start is of an instance that an earlier run left.
        let started = halves
            .values()
            .filter(|half| matches!(half, Half::Started(_)));
        started.count()
    }
}
