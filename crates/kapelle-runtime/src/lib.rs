//! Engine and storage as one durable partition: the synchronous single writer.
//!
//! ```text
//! commands ─► decide ─► append ─► commit (synced) ─► release_effects ─► replies, effects, readers
//!               │                    while one batch is synced, the next one is decided
//!               └─ keep: hot instances, index overlay ─► checkpoints ─► store
//! ```
//!
//! **Invariants**
//! - Nothing leaves before everything decided earlier is durable.
//! - Whatever goes wrong with the disk ends alike: the partition stops and recovers from what is on disk.
//! - Synchronous and generic over journal, store and clock: the simulator runs exactly this code. No tokio, no logging;
//!   what is noteworthy is in [`metrics::Metrics`] and in the effects.

pub mod backbone;
pub mod clock;
pub mod delivery;
pub mod door;
pub mod effects;
pub mod handle;
#[cfg(feature = "inline")]
pub mod inline;
mod keep;
mod limiter;
pub mod metrics;
pub mod open;
pub mod options;
pub mod partition;
pub mod reader;
pub mod record;
pub mod reply;
pub mod shell;
pub mod streams;
pub mod subscription;

pub use handle::{Health, PartitionHandle};
pub use open::{Open, OpenError, open};
pub use options::{AwaitedReader, Options, TooFarBehind};
pub use reply::{Overloaded, Refusal, Reply, ReplyTo};
