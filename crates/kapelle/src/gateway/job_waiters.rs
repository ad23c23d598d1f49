//! Long polls that wait for jobs of a type, first come first woken.
//!
//! **Invariant**: one hint wakes one poll, so a hundred idle workers do not answer one job with a hundred commands. A
//! poll that goes away between its wake-up and its question passes the wake-up on (`Notify` does).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

type ByType = Mutex<BTreeMap<Arc<str>, Arc<Notify>>>;

/// Who waits for jobs of which type. Tenants are not told apart: there is one until there are several.
#[derive(Debug, Default)]
pub(crate) struct JobWaiters {
    by_type: Arc<ByType>,
}

impl JobWaiters {
    /// Joins those who wait for that type.
    pub(crate) fn waiter(&self, job_type: &Arc<str>) -> Waiter {
        let notify = Arc::clone(lock(&self.by_type).entry(Arc::clone(job_type)).or_default());
        Waiter {
            job_type: Arc::clone(job_type),
            notify,
            by_type: Arc::clone(&self.by_type),
        }
    }

    /// Wakes one poll of that type, if one waits.
    pub(crate) fn wake(&self, job_type: &str) {
        if let Some(notify) = lock(&self.by_type).get(job_type) {
            notify.notify_one();
        }
    }
}

/// One poll's place in line.
#[derive(Debug)]
pub(crate) struct Waiter {
    job_type: Arc<str>,
    notify: Arc<Notify>,
    by_type: Arc<ByType>,
}

impl Waiter {
    /// Resolves at the next wake-up; enlisted once it is enabled or polled.
    pub(crate) fn woken(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// Wakes the next in line.
    pub(crate) fn pass_on(&self) {
        self.notify.notify_one();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut by_type = lock(&self.by_type);
        // The map's and ours: nobody else waits, and types come from clients, so an entry must not outlive its waiters.
        if Arc::strong_count(&self.notify) == 2 {
            by_type.remove(&self.job_type);
        }
    }
}

fn lock(by_type: &ByType) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Arc<Notify>>> {
    by_type.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job_type() -> Arc<str> {
        Arc::from("pay")
    }

    #[tokio::test]
    async fn one_hint_wakes_one_poll_and_a_cancelled_one_passes_it_on() {
        let waiters = JobWaiters::default();
        let (first, second) = (waiters.waiter(&job_type()), waiters.waiter(&job_type()));
        let mut second_woken = Box::pin(second.woken());
        {
            let mut first_woken = Box::pin(first.woken());
            first_woken.as_mut().enable();
            second_woken.as_mut().enable();
            waiters.wake("pay");
        }
        second_woken.await;
    }

    #[tokio::test]
    async fn a_type_is_forgotten_with_its_last_waiter() {
        let waiters = JobWaiters::default();
        let first = waiters.waiter(&job_type());
        let second = waiters.waiter(&job_type());
        drop(first);
        assert_eq!(lock(&waiters.by_type).len(), 1);
        drop(second);
        assert_eq!(lock(&waiters.by_type).len(), 0);
    }
}
