//! Instances in memory: typed, hot, bounded.
//!
//! **Invariants**
//! - Only an instance whose stored position is its own may leave memory: nothing decided is ever only in what was dropped.
//! - A removed instance that the store may still have keeps its place, marked removed, until the deletion is handed over;
//!   one that the store never had leaves nothing.
//! - `dirt` holds every dirty instance at the position that first dirtied it, oldest first (with stale entries between, which
//!   are passed over).
//!
//! Eviction is a clock (second chance) over the slots rather than a list in order of use: a use costs one flag.
//! The map is only ever asked for one key, so its order reaches nothing.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use kapelle_engine::ids::{ProcessInstanceKey, Sequence};
use kapelle_engine::state::instance::Instance;

/// What a slot costs beside its instance: itself, its place in the map and in `dirt`.
const SLOT_BYTES: usize = 160;

/// Slots looked at by one call of `evict`: bounds what one turn of the writer spends on it.
const SWEEP_MAX: usize = 4_096;

/// What memory knows of a key.
pub(super) enum Lookup {
    Live,
    /// It ended; the store may not know yet.
    Removed,
    /// Ask the store.
    Unknown,
}

#[derive(Debug)]
struct Slot {
    key: ProcessInstanceKey,
    /// `None` = removed.
    instance: Option<Box<Instance>>,
    /// What the store's blob reflects, if it has one (perhaps still in its queue or waiting for durability).
    stored: Option<Sequence>,
    /// The record that made it differ from `stored`.
    dirty_since: Option<Sequence>,
    /// Encoded at this boundary and not yet given to the store: it must not be loaded from there.
    parked: Option<Sequence>,
    referenced: bool,
    touched: bool,
    bytes: usize,
}

/// An instance on its way to the store.
#[derive(Debug)]
pub(crate) struct Parked<'a> {
    pub(crate) key: ProcessInstanceKey,
    /// `None` = delete the blob.
    pub(crate) instance: Option<&'a Instance>,
}

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    pub(crate) evicted: usize,
    /// Another sweep at once would find something to evict.
    pub(crate) progressed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    places: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    hand: usize,
    dirt: VecDeque<(ProcessInstanceKey, Sequence)>,
    dirty: usize,
    touched: Vec<u32>,
    bytes: usize,
}

impl Cache {
    pub(super) fn lookup(&self, key: ProcessInstanceKey) -> Lookup {
        match self.slot(key) {
            Some(slot) if slot.instance.is_some() => Lookup::Live,
            Some(_) => Lookup::Removed,
            None => Lookup::Unknown,
        }
    }

    pub(super) fn get(&self, key: ProcessInstanceKey) -> Option<&Instance> {
        self.slot(key)?.instance.as_deref()
    }

    /// The position that the store has of it.
    pub(super) fn stored(&self, key: ProcessInstanceKey) -> Option<Sequence> {
        self.slot(key)?.stored
    }

    /// To apply an event that belongs to the command whose header is `at`.
    pub(super) fn get_mut(
        &mut self,
        key: ProcessInstanceKey,
        at: Sequence,
    ) -> Option<&mut Instance> {
        let place = *self.places.get(&key.0)?;
        self.touch(place, at);
        self.slot_at(place).instance.as_deref_mut()
    }

    pub(super) fn insert(&mut self, instance: Instance, at: Sequence) {
        let key = instance.key();
        let place = self.place(Slot::new(key, instance));
        self.touch(place, at);
    }

    /// Brings in what the store has.
    pub(super) fn load(&mut self, instance: Instance, stored: Sequence) {
        let key = instance.key();
        let bytes = instance.approximate_bytes();
        let place = self.place(Slot {
            stored: Some(stored),
            bytes,
            ..Slot::new(key, instance)
        });
        debug_assert!(self.slot_at(place).dirty_since.is_none());
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, key: ProcessInstanceKey, at: Sequence) {
        let Some(&place) = self.places.get(&key.0) else {
            return;
        };
        self.touch(place, at);
        let slot = self.slot_at(place);
        slot.instance = None;
        if slot.stored.is_none() {
            self.clear(place);
        }
    }

    /// Ends a decision: what it touched is weighed.
    pub(super) fn settle(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for place in touched.drain(..) {
            let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::as_mut) else {
                continue;
            };
            if !std::mem::take(&mut slot.touched) {
                continue;
            }
            let bytes = slot
                .instance
                .as_ref()
                .map_or(0, |instance| instance.approximate_bytes());
            self.bytes = self.bytes - slot.bytes + bytes;
            slot.bytes = bytes;
        }
        self.touched = touched;
    }

    /// The record that first dirtied the instance that has been dirty for longest.
    pub(super) fn oldest_dirt(&mut self) -> Option<Sequence> {
        while let Some(&(key, since)) = self.dirt.front() {
            if self
                .slot(key)
                .is_some_and(|slot| slot.dirty_since == Some(since))
            {
                return Some(since);
            }
            self.dirt.pop_front();
        }
        None
    }

    /// Takes the oldest dirty instance if it is dirty since before `before`: it counts as clean at the boundary `position`,
    /// and `park` gets what the store is to have.
    pub(super) fn park_oldest(
        &mut self,
        before: Sequence,
        position: Sequence,
        park: impl FnOnce(Parked<'_>),
    ) -> bool {
        if self.oldest_dirt().is_none_or(|since| since >= before) {
            return false;
        }
        let (key, _) = self
            .dirt
            .pop_front()
            .expect("invariant: oldest_dirt left it in front");
        let place = *self
            .places
            .get(&key.0)
            .expect("invariant: dirt in front has a slot");
        let slot = self.slot_at(place);
        slot.dirty_since = None;
        slot.stored = Some(position);
        slot.parked = Some(position);
        park(Parked {
            key,
            instance: slot.instance.as_deref(),
        });
        self.dirty -= 1;
        true
    }

    /// The store was given what was parked at `position`.
    pub(super) fn handed_over(&mut self, key: ProcessInstanceKey, position: Sequence) {
        let Some(&place) = self.places.get(&key.0) else {
            return;
        };
        let slot = self.slot_at(place);
        if slot.parked == Some(position) {
            slot.parked = None;
            if slot.instance.is_none() && slot.dirty_since.is_none() {
                self.clear(place);
            }
        }
    }

    /// Drops instances that were not used for longest, until `bytes_max` is kept or the sweep is over.
    pub(super) fn evict(&mut self, bytes_max: usize) -> Sweep {
        let mut sweep = Sweep::default();
        let steps = self.slots.len().saturating_mul(2).min(SWEEP_MAX);
        for _ in 0..steps {
            if self.bytes() <= bytes_max {
                break;
            }
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(slot) = self.slots.get_mut(place).and_then(Option::as_mut) else {
                continue;
            };
            let own = slot.stored.is_some() && slot.dirty_since.is_none() && slot.parked.is_none();
            if !own {
                continue;
            }
            sweep.progressed = true;
            if !std::mem::take(&mut slot.referenced) {
                self.clear(u32::try_from(place).expect("invariant: places are u32"));
                sweep.evicted += 1;
            }
        }
        sweep
    }

    /// About how many bytes cannot leave, because the store does not have them.
    pub(super) fn dirty_bytes(&self) -> usize {
        // By the mean: a sum of its own would have to be kept right at every change, and this only paces write-back.
        self.bytes() / self.len().max(1) * self.dirty
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.places.len() * SLOT_BYTES
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn dirty(&self) -> usize {
        self.dirty
    }

    fn slot(&self, key: ProcessInstanceKey) -> Option<&Slot> {
        let place = *self.places.get(&key.0)?;
        self.slots.get(place as usize)?.as_ref()
    }

    fn slot_at(&mut self, place: u32) -> &mut Slot {
        self.slots
            .get_mut(place as usize)
            .and_then(Option::as_mut)
            .expect("invariant: the map names occupied slots only")
    }

    fn touch(&mut self, place: u32, at: Sequence) {
        let slot = self.slot_at(place);
        slot.referenced = true;
        let newly_touched = !std::mem::replace(&mut slot.touched, true);
        if slot.dirty_since.is_none() {
            slot.dirty_since = Some(at);
            let key = slot.key;
            self.dirt.push_back((key, at));
            self.dirty += 1;
        }
        if newly_touched {
            self.touched.push(place);
        }
    }

    fn place(&mut self, slot: Slot) -> u32 {
        let key = slot.key.0;
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("invariant: memory ends before u32 places")
        });
        let before = self.places.insert(key, place);
        assert!(before.is_none(), "instance {key} is in memory already");
        if let Some(free) = self.slots.get_mut(place as usize) {
            *free = Some(slot);
        }
        place
    }

    fn clear(&mut self, place: u32) {
        let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::take) else {
            return;
        };
        self.bytes -= slot.bytes;
        self.dirty -= usize::from(slot.dirty_since.is_some());
        self.places.remove(&slot.key.0);
        self.free.push(place);
    }
}

impl Slot {
    fn new(key: ProcessInstanceKey, instance: Instance) -> Self {
        Self {
            key,
            instance: Some(Box::new(instance)),
            stored: None,
            dirty_since: None,
            parked: None,
            referenced: true,
            touched: false,
            bytes: 0,
        }
    }
}

/// Keys are a counter: one multiplication spreads them over both ends of the hash, which is all that the map needs.
/// Nobody outside chooses a key, so flooding is no concern; SipHash would be a tenth of a transition.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte) ^ self.0);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
    }
}
