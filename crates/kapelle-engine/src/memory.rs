//! State in plain memory: for tests, `feel`-like tools, and as the model of what any other [`Keep`] must do.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::ids::ProcessInstanceKey;
use crate::keep::Keep;
use crate::state::instance::Instance;
use crate::state::partition::Partition;

/// Everything in ordered maps, nothing ever evicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    instances: BTreeMap<ProcessInstanceKey, Instance>,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    partition: Partition,
}

impl Memory {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All instances in the order of their keys.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// All index entries in order.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl Keep for Memory {
    fn pin(&mut self, key: ProcessInstanceKey) -> bool {
        self.instances.contains_key(&key)
    }

    fn instance(&self, key: ProcessInstanceKey) -> Option<&Instance> {
        self.instances.get(&key)
    }

    fn instance_mut(&mut self, key: ProcessInstanceKey) -> Option<&mut Instance> {
        self.instances.get_mut(&key)
    }

    fn insert_instance(&mut self, instance: Instance) {
        let before = self.instances.insert(instance.key(), instance);
        assert!(before.is_none(), "keys of instances are never reused");
    }

    fn remove_instance(&mut self, key: ProcessInstanceKey) {
        self.instances.remove(&key);
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).cloned()
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
        let range = (Bound::Included(from), Bound::Excluded(to));
        for (key, value) in self.entries.range::<[u8], _>(range) {
            if visit(key, value).is_break() {
                return;
            }
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.entries.insert(key.to_vec(), value.to_vec());
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        let before = self.entries.insert(key.to_vec(), value.to_vec());
        assert!(
            before.is_none(),
            "an inserted entry was there before: {key:?}"
        );
    }

    fn delete(&mut self, key: &[u8]) {
        self.entries.remove(key);
    }

    fn partition(&self) -> &Partition {
        &self.partition
    }

    fn partition_mut(&mut self) -> &mut Partition {
        &mut self.partition
    }
}
