//! The engine's state as the runtime keeps it: hot in memory as typed values, cold in the store as bytes.
//!
//! **Invariants**
//! - A read sees what memory says, else what the store says; the store's own queue is part of the store.
//! - The store is only ever given what is durable in the journal (the caller hands over; see `checkpoint`).
//! - A failed load never shows as "absent" to anyone outside: it is remembered, and the partition stops before anything
//!   that was decided on it can leave ([`StoreKeep::failure`]).

mod bytes;
mod cache;
mod low_water;
mod overlay;
mod tables;

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::{Bound, ControlFlow};

use kapelle_engine::encode;
use kapelle_engine::ids::{ProcessInstanceKey, Sequence, Timestamp};
use kapelle_engine::keep::Keep;
use kapelle_engine::state::instance::Instance;
use kapelle_engine::state::partition::Partition;
use kapelle_storage::position::Sequence as StoredSequence;
use kapelle_storage::store::{self, BlobKey, BlobWrite, Cut, Store};

use bytes::Bytes;
use cache::{Cache, Lookup, Sweep};
use low_water::LowWater;
use overlay::{Merge, Overlay};
use tables::Tables;

/// Where the partition object is, behind the time of the last record (8 bytes, little endian): it goes with the indexes, in
/// the same cut. The engine's own keys begin with a table's number, which is never 0.
const PARTITION_KEY: &[u8] = &[0];

/// Gets entries until it breaks.
type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Implements [`Keep`] over a store.
#[derive(Debug)]
pub(crate) struct StoreKeep<S> {
    store: S,
    cache: Cache,
    overlay: Overlay,
    tables: Tables,
    low_water: LowWater,
    partition: Partition,
    last_record: Option<Timestamp>,
    /// Header of the command that is being decided or replayed.
    at: Sequence,
    /// The instance that the current decision reached for last: whom to set aside if it panics.
    reached: Option<ProcessInstanceKey>,
    /// The newest boundary that a blob can be of: the end of the journal when it was opened, later the last write-back.
    boundary: Sequence,
    loads: u64,
    failure: RefCell<Option<String>>,
}

impl<S: Store> StoreKeep<S> {
    /// Empty until [`Self::reset`].
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            cache: Cache::default(),
            overlay: Overlay::default(),
            tables: Tables::new(),
            low_water: LowWater::new(),
            partition: Partition::default(),
            last_record: None,
            at: Sequence(0),
            reached: None,
            boundary: Sequence(0),
            loads: 0,
            failure: RefCell::new(None),
        }
    }

    /// Drops all memory: state is that of the store's last cut, and what came later is to be replayed.
    pub(crate) fn reset(&mut self, journal_end: Sequence) -> Result<(), String> {
        self.cache = Cache::default();
        self.overlay = Overlay::default();
        self.tables = Tables::new();
        self.low_water = LowWater::new();
        self.reached = None;
        self.boundary = journal_end;
        self.failure.replace(None);
        self.partition = Partition::default();
        self.last_record = None;
        let Some(stored) = self
            .store
            .index_get(PARTITION_KEY)
            .map_err(|error| error.to_string())?
        else {
            return Ok(());
        };
        let (time, partition) = stored
            .split_first_chunk()
            .ok_or("the partition object is cut short")?;
        self.last_record = Some(Timestamp(i64::from_le_bytes(*time)));
        self.partition = encode::decode_partition(partition)
            .map_err(|why| format!("the partition object is damaged: {why}"))?;
        Ok(())
    }

    /// The time of the last record before the store's cut; `None` if there was none.
    pub(crate) fn last_record(&self) -> Option<Timestamp> {
        self.last_record
    }

    pub(crate) fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// A command begins whose header is `at`.
    pub(crate) fn begin(&mut self, at: Sequence) {
        self.at = at;
        self.reached = None;
    }

    /// A command ended.
    pub(crate) fn settle(&mut self) {
        self.cache.settle();
    }

    /// Whom the current decision reached for last.
    pub(crate) fn reached(&self) -> Option<ProcessInstanceKey> {
        self.reached
    }

    /// The first failed read, if one failed.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// The position that the store's blob of a pinned instance reflects.
    pub(crate) fn stored(&self, key: ProcessInstanceKey) -> Option<Sequence> {
        self.cache.stored(key)
    }

    /// Takes up to `max` instances that are dirty since before `before`, encoded as of the boundary `position`.
    pub(crate) fn park(
        &mut self,
        before: Sequence,
        position: Sequence,
        max: usize,
    ) -> Vec<BlobWrite> {
        self.boundary = self.boundary.max(position);
        let mut writes = Vec::new();
        while writes.len() < max {
            let more = self.cache.park_oldest(before, position, |parked| {
                let bytes = parked.instance.map(|instance| {
                    let mut bytes = Vec::with_capacity(512);
                    encode::encode_instance(instance, &mut bytes);
                    #[cfg(feature = "verify")]
                    assert_eq!(
                        encode::decode_instance(&bytes).as_ref(),
                        Ok(instance),
                        "an instance is what it is stored as"
                    );
                    bytes
                });
                writes.push(BlobWrite {
                    key: BlobKey::root(parked.key.0),
                    position: StoredSequence(position.0),
                    bytes,
                });
            });
            if !more {
                break;
            }
        }
        writes
    }

    /// The store has been given these; they may be loaded from it again.
    pub(crate) fn handed_over(&mut self, keys: &[ProcessInstanceKey], position: Sequence) {
        for key in keys {
            self.cache.handed_over(*key, position);
        }
    }

    pub(crate) fn oldest_dirt(&mut self) -> Option<Sequence> {
        self.cache.oldest_dirt()
    }

    /// Freezes the indexes and the partition object at a batch boundary, where time is `last_record`.
    pub(crate) fn freeze(&mut self, last_record: Timestamp) {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&last_record.0.to_le_bytes());
        encode::encode_partition(&self.partition, &mut bytes);
        self.overlay.put(PARTITION_KEY, &bytes);
        self.overlay.freeze();
    }

    /// What was frozen, as the store takes it; from here on the store answers for it.
    pub(crate) fn thaw(&mut self, position: Sequence) -> Cut {
        let frozen = self.overlay.hand_over();
        self.tables.put_all(&*frozen);
        Cut::of(StoredSequence(position.0), frozen)
    }

    pub(crate) fn overlay_len(&self) -> usize {
        self.overlay.len()
    }

    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.cache.dirty_bytes()
    }

    pub(crate) fn evict(&mut self, bytes_max: usize) -> Sweep {
        self.cache.evict(bytes_max)
    }

    /// (in memory, of these not yet stored, loaded since the start)
    pub(crate) fn counts(&self) -> (usize, usize, u64) {
        (self.cache.len(), self.cache.dirty(), self.loads)
    }

    fn load(&mut self, key: ProcessInstanceKey) -> Result<Option<(Instance, Sequence)>, String> {
        let Some(blob) = self
            .store
            .blob(BlobKey::root(key.0))
            .map_err(|error| error.to_string())?
        else {
            return Ok(None);
        };
        let position = Sequence(blob.position.0);
        if position > self.boundary {
            return Err(format!(
                "instance {key} is stored as of record {}, which the journal has lost",
                position.0
            ));
        }
        let instance = encode::decode_instance(&blob.bytes)
            .map_err(|why| format!("instance {key} is damaged: {why}"))?;
        Ok(Some((instance, position)))
    }

    fn stored_entry(&self, key: &[u8]) -> Result<Option<Vec<u8>>, store::Error> {
        if self.may_be_stored(key)? {
            self.store.index_get(key)
        } else {
            Ok(None)
        }
    }

    /// Whether the store has anything of the table that this key is of.
    fn may_be_stored(&self, key: &[u8]) -> Result<bool, store::Error> {
        self.tables.may_have(key, |table| {
            let (from, to) = ([table], [table.saturating_add(1)]);
            let first = self
                .store
                .index_scan(Bound::Included(&from), Bound::Excluded(&to))?
                .next();
            first.transpose().map(|entry| entry.is_some())
        })
    }

    fn fail(&self, why: String) {
        self.failure.borrow_mut().get_or_insert(why);
    }

    fn scan_all(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut Visitor<'_>,
    ) -> Result<(), store::Error> {
        if !is_within_one_table(from, to) {
            return self.scan_between(from, to, true, visit);
        }
        let deep = self.may_be_stored(from)?;
        let mark = self.low_water.begin(from);
        let mut first = None;
        self.scan_between(
            mark.as_deref().unwrap_or(from),
            to,
            deep,
            &mut |key, value| {
                if first.is_none() {
                    first = Some(Bytes::from(key));
                }
                visit(key, value)
            },
        )?;
        match first {
            Some(first) => self.low_water.found(from, &first, deep),
            // A name that nobody has is looked up once; only what was a queue before is worth a mark at its end.
            None => self.low_water.found(from, to, false),
        }
        Ok(())
    }

    /// What lives there, merged from memory and, if `deep`, the store.
    fn scan_between(
        &self,
        from: &[u8],
        to: &[u8],
        deep: bool,
        visit: &mut Visitor<'_>,
    ) -> Result<(), store::Error> {
        if from >= to {
            return Ok(());
        }
        let mut failed = None;
        let stored = deep
            .then(|| {
                self.store
                    .index_scan(Bound::Included(from), Bound::Excluded(to))
            })
            .transpose()?;
        let stored = stored.into_iter().flatten().map_while(|entry| match entry {
            Ok((key, value)) => Some((Cow::Owned(key), Some(Cow::Owned(value)))),
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        let fresh = self
            .overlay
            .range(from, to)
            .map(|(key, value)| (Cow::Borrowed(key), value.map(Cow::Borrowed)));
        for (key, value) in Merge::new(fresh, stored) {
            if let Some(value) = value
                && visit(&key, &value).is_break()
            {
                break;
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// All of the engine's scans are; a tool that looks at everything is not.
fn is_within_one_table(from: &[u8], to: &[u8]) -> bool {
    let Some(table) = from.first() else {
        return false;
    };
    to.first() == Some(table) || (to.len() == 1 && to.first() == table.checked_add(1).as_ref())
}

impl<S: Store> Keep for StoreKeep<S> {
    fn pin(&mut self, key: ProcessInstanceKey) -> bool {
        self.reached = Some(key);
        match self.cache.lookup(key) {
            Lookup::Live => return true,
            Lookup::Removed => return false,
            Lookup::Unknown => {}
        }
        match self.load(key) {
            Ok(Some((instance, position))) => {
                self.loads += 1;
                self.cache.load(instance, position);
                true
            }
            Ok(None) => false,
            Err(why) => {
                self.fail(why);
                false
            }
        }
    }

    fn instance(&self, key: ProcessInstanceKey) -> Option<&Instance> {
        self.cache.get(key)
    }

    fn instance_mut(&mut self, key: ProcessInstanceKey) -> Option<&mut Instance> {
        self.cache.get_mut(key, self.at)
    }

    fn insert_instance(&mut self, instance: Instance) {
        self.reached = Some(instance.key());
        self.cache.insert(instance, self.at);
    }

    fn remove_instance(&mut self, key: ProcessInstanceKey) {
        self.cache.remove(key, self.at);
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(word) = self.overlay.get(key) {
            return word.map(<[u8]>::to_vec);
        }
        self.stored_entry(key).unwrap_or_else(|error| {
            self.fail(error.to_string());
            None
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
        if let Err(error) = self.scan_all(from, to, visit) {
            self.fail(error.to_string());
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.low_water.put(key);
        self.overlay.put(key, value);
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        #[cfg(feature = "verify")]
        assert!(
            self.get(key).is_none(),
            "an inserted entry was there before: {key:?}"
        );
        self.low_water.put(key);
        self.overlay.insert(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.overlay.delete(key);
    }

    fn partition(&self) -> &Partition {
        &self.partition
    }

    fn partition_mut(&mut self) -> &mut Partition {
        &mut self.partition
    }
}
