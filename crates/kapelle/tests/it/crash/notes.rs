//! What the clients noted: every request with its ending. The checker believes nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::wire::{Ending, Reason};

/// How an instance came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Task,
    Wait,
    Timer,
    Message,
    Event,
}

/// An instance that was asked for; its id is a variable of it and the subject of the CloudEvent at its end.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) how: How,
    pub(crate) ending: Ending,
    /// As the answer gave it.
    pub(crate) key: Option<i64>,
    /// Answers that said `STARTED`.
    pub(crate) started_answers: u32,
}

/// A job that a worker saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// The value that each completion wanted to write.
    pub(crate) completions: Vec<(String, Ending)>,
    /// With what number of retries it was failed.
    pub(crate) failures: Vec<(i32, Ending)>,
}

/// A message, or a CloudEvent, for a waiting instance.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) token: String,
    pub(crate) ending: Ending,
    /// Sent at the end to whoever still waits.
    pub(crate) is_last: bool,
}

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) starts: BTreeMap<String, Start>,
    pub(crate) jobs: BTreeMap<i64, Job>,
    pub(crate) payments: BTreeMap<String, Vec<Payment>>,
    /// The numbers that `set` was set to, in order.
    pub(crate) settings: BTreeMap<String, Vec<(u64, Ending)>>,
    pub(crate) cancels: BTreeMap<String, Vec<Ending>>,
    /// Incidents of that job resolved.
    pub(crate) resolutions: BTreeMap<i64, u64>,
    /// Completions of jobs whose completion was acknowledged before.
    pub(crate) second_completions: u64,
    pub(crate) vanished_workers: u64,
    /// CloudEvents answered with `DUPLICATE`.
    pub(crate) duplicates: u64,
    /// Publications answered with `ALREADY_EXISTS` after one in doubt.
    pub(crate) already_there: u64,
    /// Starts whose caller was given the result.
    pub(crate) results: u64,
    /// Answers that no correct server gives, as sentences.
    pub(crate) surprises: Vec<String>,
}

impl Notes {
    pub(crate) fn start(&mut self, id: &str, how: How, ending: Ending, key: Option<i64>) {
        let start = Start {
            how,
            ending,
            key,
            started_answers: 0,
        };
        assert!(
            self.starts.insert(id.to_owned(), start).is_none(),
            "{id} is asked for once"
        );
    }

    /// A refusal that this request may not get, is a surprise.
    pub(crate) fn expect(&mut self, what: &str, ending: Ending, allowed: &[Reason]) {
        if let Ending::Refused(reason) = ending
            && reason != Reason::Exhausted
            && !allowed.contains(&reason)
        {
            self.surprises
                .push(format!("{what} was refused: {reason:?}"));
        }
    }

    /// Every ending of every request.
    pub(crate) fn endings(&self) -> impl Iterator<Item = Ending> {
        let jobs = self.jobs.values().flat_map(|job| {
            let completions = job.completions.iter().map(|(_, ending)| *ending);
            completions.chain(job.failures.iter().map(|(_, ending)| *ending))
        });
        self.starts
            .values()
            .map(|start| start.ending)
            .chain(jobs)
            .chain(
                self.payments
                    .values()
                    .flatten()
                    .map(|payment| payment.ending),
            )
            .chain(self.settings.values().flatten().map(|(_, ending)| *ending))
            .chain(self.cancels.values().flatten().copied())
    }
}

/// The notebook that all clients share.
#[derive(Clone, Default)]
pub(crate) struct Notebook(Arc<Mutex<Notes>>);

impl Notebook {
    pub(crate) fn open(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap()
    }
}
