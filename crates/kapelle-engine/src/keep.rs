//! The one narrow interface through which the engine reaches what it keeps (design §4).
//!
//! Plain memory in tests ([`crate::memory::Memory`]), the checkpointed store in `kapelle-runtime`, a faulty one in the simulator.
//!
//! **Invariant**: an implementation never fails visibly. One that cannot read remembers the error, answers "absent", and
//! throws the whole decision away afterwards (a failed load poisons the partition); so no handler carries an I/O error.

use std::ops::ControlFlow;

use crate::ids::ProcessInstanceKey;
use crate::state::instance::Instance;
use crate::state::partition::Partition;

/// Instances as typed aggregates, indexes as ordered bytes, and the partition object.
pub trait Keep {
    /// Brings the instance into memory if it lives; `false` if there is none. Every command pins what it needs before it decides.
    fn pin(&mut self, key: ProcessInstanceKey) -> bool;
    /// A pinned instance.
    fn instance(&self, key: ProcessInstanceKey) -> Option<&Instance>;
    /// A pinned instance, to apply an event to.
    fn instance_mut(&mut self, key: ProcessInstanceKey) -> Option<&mut Instance>;
    fn insert_instance(&mut self, instance: Instance);
    fn remove_instance(&mut self, key: ProcessInstanceKey);

    /// The value of an index entry.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;
    /// Entries with `from <= key < to`, in order, until the visitor breaks.
    #[expect(
        clippy::type_complexity,
        reason = "a visitor, spelled out where it is defined"
    )]
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>);
    /// Sets an entry.
    fn put(&mut self, key: &[u8], value: &[u8]);
    /// Sets an entry that never was there before, because its key holds a key just allocated: if it is deleted before the
    /// next checkpoint, the disk never hears of it.
    fn insert(&mut self, key: &[u8], value: &[u8]);
    fn delete(&mut self, key: &[u8]);

    fn partition(&self) -> &Partition;
    fn partition_mut(&mut self) -> &mut Partition;
}
