//! Creators that wait for the end of their instance.
//!
//! **Invariant**: bounded by the instances whose creator still listens: abandoned entries are swept out whenever as many
//! were added as had been left by the sweep before.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kapelle_engine::ids::ProcessInstanceKey;
use kapelle_engine::rejection::RejectionCode;
use kapelle_engine::response::InstanceResult;
use tokio::sync::oneshot;

use super::failure::Failure;

type Answer = oneshot::Sender<Result<InstanceResult, Failure>>;

/// Sweeping fewer entries than this is not worth it.
const SWEEP_MIN: usize = 256;

#[derive(Debug, Default)]
struct Waiting {
    by_instance: BTreeMap<ProcessInstanceKey, Answer>,
    sweep_at: usize,
}

/// Who waits for which instance.
#[derive(Debug, Default)]
pub(crate) struct ResultWaiters {
    waiting: Mutex<Waiting>,
}

impl ResultWaiters {
    pub(crate) fn enlist(&self, instance: ProcessInstanceKey, answer: Answer) {
        let mut waiting = self.lock();
        if waiting.by_instance.len() >= waiting.sweep_at {
            waiting.by_instance.retain(|_, answer| !answer.is_closed());
            waiting.sweep_at = (2 * waiting.by_instance.len()).max(SWEEP_MIN);
        }
        waiting.by_instance.insert(instance, answer);
    }

    /// The instance has completed.
    pub(crate) fn finish(&self, result: InstanceResult) {
        if let Some(answer) = self.take(result.created.instance) {
            drop(answer.send(Ok(result)));
        }
    }

    /// The instance was cancelled or set aside: there will be no result.
    pub(crate) fn abandon(&self, instance: ProcessInstanceKey) {
        if let Some(answer) = self.take(instance) {
            let reason = format!(
                "Expected process instance with key '{instance}' to complete, but it was cancelled or set aside before"
            );
            drop(answer.send(Err(Failure::rejected(
                "CREATE_WITH_AWAITING_RESULT",
                RejectionCode::InvalidState,
                reason,
            ))));
        }
    }

    fn take(&self, instance: ProcessInstanceKey) -> Option<Answer> {
        self.lock().by_instance.remove(&instance)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abandoned_waiters_are_swept_out() {
        let waiters = ResultWaiters::default();
        for key in 0..10_000 {
            let (sender, receiver) = oneshot::channel();
            waiters.enlist(ProcessInstanceKey(key), sender);
            drop(receiver);
        }
        assert!(waiters.lock().by_instance.len() <= SWEEP_MIN + 1);
    }

    #[test]
    fn an_instance_that_ends_early_is_told_as_a_wrong_state() {
        let waiters = ResultWaiters::default();
        let (sender, mut receiver) = oneshot::channel();
        waiters.enlist(ProcessInstanceKey(7), sender);
        waiters.abandon(ProcessInstanceKey(7));
        let failure = receiver.try_recv().unwrap().unwrap_err();
        assert_eq!(failure.class(), super::super::failure::Class::InvalidState);
        assert!(failure.to_string().contains("'7'"), "{failure}");
    }
}
