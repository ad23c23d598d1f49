//! Which workers take jobs as they are made: the registry that the gateway fills and the writer asks.
//!
//! **Invariant**: `take` never hands out more jobs on a stream than it has credit for, and never waits for I/O: it holds one
//! uncontended lock for a lookup by (type, tenant). Volatile on purpose: streams die with the process, and the next
//! incarnation makes their undelivered jobs available again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kapelle_engine::effect::{JobStreams, StreamId, StreamTarget};

/// What a worker asked for when it opened its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSpec {
    /// Whose jobs it may have.
    pub tenants: Vec<Arc<str>>,
    pub job_type: Arc<str>,
    pub worker: Arc<str>,
    pub timeout_ms: i64,
    /// Empty = all variables that the element sees.
    pub fetch_variables: Vec<Arc<str>>,
    /// How many jobs may be on their way to it at once; the gateway gives credit back when it has sent one.
    pub capacity: u32,
}

/// A stream's place in the registry.
#[derive(Debug)]
struct Stream {
    spec: StreamSpec,
    fetch_variables: Arc<[Arc<str>]>,
    credit: u32,
    /// A job was made that this stream would have taken, had it had credit.
    missed: bool,
}

#[derive(Debug, Default)]
struct Streams {
    next_id: u64,
    by_id: BTreeMap<StreamId, Stream>,
    /// Type, then tenant: the streams that want it and whose turn it is.
    wanted: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Turn>>,
}

#[derive(Debug, Default)]
struct Turn {
    streams: Vec<StreamId>,
    next: usize,
}

/// The open job streams of a partition; shared between gateway and writer.
#[derive(Debug, Default)]
pub struct StreamRegistry {
    streams: Mutex<Streams>,
}

impl StreamRegistry {
    /// No streams yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a stream with its whole capacity as credit. Jobs that were available before are not pushed: who opens a
    /// stream polls once for them.
    pub fn register(&self, spec: StreamSpec) -> StreamId {
        let mut streams = self.lock();
        streams.next_id += 1;
        let id = StreamId(streams.next_id);
        let by_tenant = streams
            .wanted
            .entry(Arc::clone(&spec.job_type))
            .or_default();
        for tenant in &spec.tenants {
            by_tenant
                .entry(Arc::clone(tenant))
                .or_default()
                .streams
                .push(id);
        }
        let fetch_variables = Arc::from(spec.fetch_variables.as_slice());
        streams.by_id.insert(
            id,
            Stream {
                credit: spec.capacity,
                spec,
                fetch_variables,
                missed: false,
            },
        );
        id
    }

    /// Closes a stream. Jobs on their way to it are the gateway's to yield.
    pub fn deregister(&self, id: StreamId) {
        let mut guard = self.lock();
        let streams = &mut *guard;
        let Some(stream) = streams.by_id.remove(&id) else {
            return;
        };
        let Some(by_tenant) = streams.wanted.get_mut(&stream.spec.job_type) else {
            return;
        };
        by_tenant.retain(|_, turn| {
            turn.streams.retain(|other| *other != id);
            !turn.streams.is_empty()
        });
        if by_tenant.is_empty() {
            streams.wanted.remove(&stream.spec.job_type);
        }
    }

    /// Gives credit back for jobs that were sent on. `true` if the stream missed jobs meanwhile: they are available, and
    /// the caller fetches them with an `ActivateJobs` of the stream's own parameters.
    pub fn release(&self, id: StreamId, credit: u32) -> bool {
        let mut streams = self.lock();
        let Some(stream) = streams.by_id.get_mut(&id) else {
            return false;
        };
        stream.credit = stream
            .credit
            .saturating_add(credit)
            .min(stream.spec.capacity);
        std::mem::take(&mut stream.missed)
    }

    /// Gives credit back for jobs that never were: what was decided about them was undone.
    pub(crate) fn give_back(&self, taken: &[StreamId]) {
        let mut streams = self.lock();
        for id in taken {
            if let Some(stream) = streams.by_id.get_mut(id) {
                stream.credit = stream.credit.saturating_add(1).min(stream.spec.capacity);
            }
        }
    }

    /// What a stream asked for, while it is open.
    #[must_use]
    pub fn spec(&self, id: StreamId) -> Option<StreamSpec> {
        self.lock().by_id.get(&id).map(|stream| stream.spec.clone())
    }

    /// How many streams are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Whether no stream is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Streams> {
        // Nothing in here panics half-way through a change; a poisoned lock only says that some holder's thread died.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn take(&mut self, tenant: &str, job_type: &str) -> Option<StreamTarget> {
        let turn = self.wanted.get_mut(job_type)?.get_mut(tenant)?;
        let count = turn.streams.len();
        for offset in 0..count {
            let place = (turn.next + offset) % count;
            let id = *turn.streams.get(place)?;
            let stream = self.by_id.get_mut(&id)?;
            if stream.credit == 0 {
                stream.missed = true;
                continue;
            }
            stream.credit -= 1;
            turn.next = (place + 1) % count;
            return Some(StreamTarget {
                stream: id,
                worker: Arc::clone(&stream.spec.worker),
                timeout_ms: stream.spec.timeout_ms,
                fetch_variables: Arc::clone(&stream.fetch_variables),
            });
        }
        None
    }
}

/// The writer's side.
impl JobStreams for &StreamRegistry {
    fn take(&mut self, tenant: &str, job_type: &str) -> Option<StreamTarget> {
        self.lock().take(tenant, job_type)
    }

    fn give_back(&mut self, stream: StreamId) {
        StreamRegistry::give_back(self, &[stream]);
    }
}

/// The streams in one decision, and what it took of them.
pub(crate) struct Taking<'a> {
    registry: &'a StreamRegistry,
    pub(crate) taken: Vec<StreamId>,
}

impl<'a> Taking<'a> {
    pub(crate) fn new(registry: &'a StreamRegistry) -> Self {
        let taken = Vec::new();
        Self { registry, taken }
    }
}

impl JobStreams for Taking<'_> {
    fn take(&mut self, tenant: &str, job_type: &str) -> Option<StreamTarget> {
        let target = self.registry.lock().take(tenant, job_type)?;
        self.taken.push(target.stream);
        Some(target)
    }

    fn give_back(&mut self, stream: StreamId) {
        if let Some(at) = self.taken.iter().rposition(|taken| *taken == stream) {
            self.taken.remove(at);
            self.registry.give_back(&[stream]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(worker: &str, capacity: u32) -> StreamSpec {
        StreamSpec {
            tenants: vec![Arc::from("<default>")],
            job_type: Arc::from("pay"),
            worker: Arc::from(worker),
            timeout_ms: 1_000,
            fetch_variables: Vec::new(),
            capacity,
        }
    }

    fn take(registry: &StreamRegistry) -> Option<String> {
        let mut streams = registry;
        streams
            .take("<default>", "pay")
            .map(|target| target.worker.to_string())
    }

    #[test]
    fn jobs_go_round_in_turn_while_there_is_credit() {
        let registry = StreamRegistry::new();
        registry.register(spec("a", 2));
        registry.register(spec("b", 1));
        let taken: Vec<_> = std::iter::repeat_with(|| take(&registry)).take(4).collect();
        assert_eq!(
            taken,
            [Some("a".into()), Some("b".into()), Some("a".into()), None]
        );
    }

    #[test]
    fn a_stream_that_missed_a_job_is_told_once_when_it_has_credit_again() {
        let registry = StreamRegistry::new();
        let id = registry.register(spec("a", 1));
        assert_eq!(take(&registry).as_deref(), Some("a"));
        assert_eq!(take(&registry), None);
        assert!(registry.release(id, 1));
        assert!(!registry.release(id, 1), "told already");
        assert_eq!(take(&registry).as_deref(), Some("a"));
        assert_eq!(take(&registry), None, "credit never exceeds the capacity");
    }

    #[test]
    fn what_is_not_sent_after_all_gives_its_credit_back_once() {
        let registry = StreamRegistry::new();
        let id = registry.register(spec("a", 1));
        let mut taking = Taking::new(&registry);
        assert!(taking.take("<default>", "pay").is_some());
        taking.give_back(id);
        assert!(
            taking.taken.is_empty(),
            "it is not given back again when the decision is undone"
        );
        assert!(taking.take("<default>", "pay").is_some());
        assert!(taking.take("<default>", "pay").is_none());
    }

    #[test]
    fn other_tenants_and_types_and_closed_streams_take_nothing() {
        let registry = StreamRegistry::new();
        let id = registry.register(spec("a", 1));
        let mut streams = &registry;
        assert!(streams.take("other", "pay").is_none());
        assert!(streams.take("<default>", "ship").is_none());
        registry.deregister(id);
        assert!(take(&registry).is_none());
        assert!(registry.is_empty());
    }
}
