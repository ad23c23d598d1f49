//! The cheap, cloneable front of a partition's thread.
//!
//! **Invariant**: `submit` never blocks and never buffers without bound; what it takes is answered exactly once.

use std::sync::Arc;
use std::time::Duration;

use kapelle_engine::command::{Command, CommandMeta};
use kapelle_engine::ids::Sequence;
use kapelle_engine::keep::Keep;

use crate::metrics::Metrics;
use crate::partition::ReadRequest;
use crate::reader::{ReadError, Readers, RecordReader};
use crate::reply::{Overloaded, ReplyTo};
use crate::streams::StreamRegistry;

/// How a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its announcement as the leader is not durable yet; commands wait.
    Recovering,
    /// Deciding.
    Ready,
    /// Nothing more is decided by this process; restart it to recover.
    Stopped {
        /// Asked to, or what went wrong.
        reason: String,
    },
}

/// What a handle needs of the partition's thread, whatever its journal and store are.
pub(crate) trait Front: Send + Sync {
    fn submit(&self, command: Command, meta: CommandMeta, reply: ReplyTo)
    -> Result<(), Overloaded>;
    fn health(&self) -> Health;
    fn committed(&self) -> Sequence;
    fn wait_committed(&self, at_least: Sequence, timeout: Duration) -> bool;
    fn read(&self, read: ReadRequest) -> Result<(), Overloaded>;
    fn readers(&self) -> &Arc<Readers>;
    fn shutdown(&self);
}

/// A partition, as the gateway and all others outside see it.
#[derive(Clone)]
pub struct PartitionHandle {
    pub(crate) front: Arc<dyn Front>,
    pub(crate) streams: Arc<StreamRegistry>,
    pub(crate) metrics: Arc<Metrics>,
}

impl PartitionHandle {
    /// Asks the engine. The reply comes on the writer's thread once it may leave; `meta.now` is set by the partition.
    ///
    /// # Errors
    /// [`Overloaded`]: not taken, and `reply` will not be called.
    pub fn submit(
        &self,
        command: Command,
        meta: CommandMeta,
        reply: ReplyTo,
    ) -> Result<(), Overloaded> {
        self.front.submit(command, meta, reply)
    }

    /// Looks at state, on the writer's thread: `read` must be short. `then` gets what it found once everything it may
    /// have seen is durable, or `None` if the partition stops before. Dropped without a call if it stopped earlier.
    ///
    /// # Errors
    /// [`Overloaded`]: not taken.
    pub fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Keep) -> T + Send + 'static,
        then: impl FnOnce(Option<T>) + Send + 'static,
    ) -> Result<(), Overloaded> {
        self.front.read(Box::new(move |keep| {
            let seen = read(keep);
            Box::new(move |durable| then(durable.then_some(seen)))
        }))
    }

    /// The open job streams.
    #[must_use]
    pub fn streams(&self) -> &Arc<StreamRegistry> {
        &self.streams
    }

    /// Counters.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// How the partition is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.front.health()
    }

    /// The last durable record: a search that waits until history has passed it reads its own writes.
    #[must_use]
    pub fn committed(&self) -> Sequence {
        self.front.committed()
    }

    /// Blocks until that record is durable; `false` when the time is over or the partition stopped.
    #[must_use]
    pub fn wait_committed(&self, at_least: Sequence, timeout: Duration) -> bool {
        self.front.wait_committed(at_least, timeout)
    }

    /// A reader that is gone for good no longer holds back the trim.
    pub fn forget_reader(&self, name: &str) {
        self.front.readers().forget(name);
    }

    /// Committed records from that sequence on. `name` is the reader's, for ever: its position holds the trim back from the
    /// moment it subscribes, and a second subscription under the same name replaces the first.
    ///
    /// # Errors
    /// [`ReadError::Trimmed`] names the first record that is left.
    pub fn subscribe(&self, name: &str, from: Sequence) -> Result<RecordReader, ReadError> {
        self.front.readers().subscribe(name, from)
    }

    /// Stops taking commands, finishes what was taken, writes a checkpoint, and ends the thread. Blocks until then.
    pub fn shutdown(&self) {
        self.front.shutdown();
    }
}
