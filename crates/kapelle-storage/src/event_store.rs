//! Events for people and subscribers: compressed segments with an index, filled from the journal behind the writer.
//!
//! ```text
//! append ─► open segment (blocks of compressed entries, index in memory)
//!               │ full
//!               ▼
//!           sealed segment (blocks packed anew │ sorted index │ directory of blocks), never changed, only replaced
//! ```
//!
//! An entry is a position, a time, some keys (hashes of what it is looked up by) and bytes. Keys find candidates: whoever asks
//! compares what it wanted with the bytes, as two values may have one hash.
//!
//! **Invariants**
//! - Positions and times only grow. What [`EventStore::sync`] returned is on the disk for good, and so is what
//!   [`EventStore::open`] found; what comes later may be lost by a crash and is appended again from the journal.
//! - A failed sync ends the store: only reading goes on. What a later sync would say could be a lie.
//! - A segment is replaced as a whole (rename) when entries are dropped or emptied; readers keep what they have open.
//! - A block is read whole or not at all: its checksum covers all of it.
//!
//! Deliberately absent: what an entry means, when one may go, and any lock (the caller has one).

mod block;
mod open;
mod sealed;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::Files;
use crate::position::Sequence;

use block::Block;
use open::Open;
use sealed::Sealed;

/// When a block and a segment are full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a block before compression. Larger ones compress better, smaller ones are read faster.
    pub block_bytes: usize,
    /// Entries of a segment.
    pub segment_entries: u32,
    /// Bytes of a segment before compression.
    pub segment_bytes: u64,
}

impl Default for Options {
    /// Measured with JSON events of 1 KB: a look-up decodes one block in 50 µs, and the index of an open segment takes 10 MB.
    fn default() -> Self {
        Self {
            block_bytes: 64 << 10,
            segment_entries: 1 << 16,
            segment_bytes: 64 << 20,
        }
    }
}

/// What an entry can be looked up by: which of its attributes, and the hash of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The attribute's number; the caller's.
    pub tag: u8,
    /// Of the value.
    pub hash: u32,
}

impl Key {
    /// The key of a value.
    #[must_use]
    pub fn of(tag: u8, value: &[u8]) -> Self {
        Self {
            tag,
            hash: crc32c::crc32c(value),
        }
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub position: Sequence,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    pub keys: Vec<Key>,
    /// Empty where it was erased.
    pub record: Vec<u8>,
    /// Its bytes and keys were taken away for good.
    pub erased: bool,
}

/// What becomes of an entry when its segment is written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Keep,
    /// Its place stays, its bytes and keys go.
    Erase,
    Drop,
}

/// A sealed segment from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub first: Sequence,
    pub last: Sequence,
    pub first_at_ms: i64,
    pub last_at_ms: i64,
    pub entries: u32,
    /// On the disk, all indexes included.
    pub bytes: u64,
}

/// Whether to look from the oldest or from the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// Why the store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{attempt} {}: {source}", path.display())]
    Io {
        attempt: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "event store is damaged: {} at byte {offset}: {why}; restore the file from a copy, or remove the event store's \
         directory to have it filled again from what the journal still holds", file.display()
    )]
    Damaged {
        file: PathBuf,
        offset: u64,
        why: &'static str,
    },
    #[error("entry {found} does not follow {last}")]
    OutOfOrder { last: Sequence, found: Sequence },
    #[error("sync {}: {source}", path.display())]
    Sync { path: PathBuf, source: io::Error },
    #[error("the event store has ended with an earlier failure: {why}")]
    Poisoned { why: String },
}

impl Error {
    fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            attempt,
            path,
            source,
        }
    }

    fn sync(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Sync { path, source }
    }
}

/// The store of one partition.
#[derive(Debug)]
pub struct EventStore {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: Options,
    /// By position.
    sealed: Vec<Sealed>,
    open: Open,
    /// The sync that failed.
    poison: Option<String>,
}

impl EventStore {
    /// Opens the store in `dir`, which is created if need be. What was not synced may be gone; [`last`](Self::last) says from
    /// where to append again. All that is found is on the disk for good.
    ///
    /// # Errors
    /// A file cannot be read, or a sealed segment is damaged.
    pub fn open(files: Arc<dyn Files>, dir: &Path, options: Options) -> Result<Self, Error> {
        files.create_dir(dir).map_err(Error::io("create", dir))?;
        let names = files.list(dir).map_err(Error::io("list", dir))?;
        let is = |name: &String, suffix| name.ends_with(suffix);
        // Half of a sealing or rewriting that a crash ended.
        for name in names
            .iter()
            .filter(|name| is(name, sealed::TEMPORARY_SUFFIX))
        {
            remove(&*files, &dir.join(name))?;
        }
        let mut segments = Vec::new();
        for name in names.iter().filter(|name| is(name, sealed::SUFFIX)) {
            segments.push(Sealed::open(&*files, dir.join(name))?);
        }
        segments.sort_by_key(|segment: &Sealed| segment.first());
        let last = segments.last().map_or(Sequence::START, Sealed::last);
        let open_names = names.iter().filter(|name| is(name, open::SUFFIX));
        let open = Open::recover(&*files, dir, open_names, last)?;
        // Who made or removed a file that was found (not found) may have been killed before that was durable.
        files.sync_dir(dir).map_err(Error::sync(dir))?;
        Ok(Self {
            files,
            dir: dir.to_owned(),
            options,
            sealed: segments,
            open,
            poison: None,
        })
    }

    /// The last entry; appending goes on behind it.
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.open
            .last()
            .unwrap_or_else(|| self.sealed.last().map_or(Sequence::START, Sealed::last))
    }

    /// The sealed segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment> {
        self.sealed.iter().map(Sealed::summary).collect()
    }

    /// Bytes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sealed
            .iter()
            .map(|segment| segment.summary().bytes)
            .sum::<u64>()
            + self.open.bytes()
    }

    /// Appends an entry. It can be read at once, and survives a crash after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// The position does not follow, or the disk refuses.
    pub fn append(&mut self, entry: Entry) -> Result<(), Error> {
        if entry.position <= self.last() {
            return Err(Error::OutOfOrder {
                last: self.last(),
                found: entry.position,
            });
        }
        self.change(|store| {
            store
                .open
                .append(&*store.files, &store.dir, entry, store.options.block_bytes)?;
            if store.open.is_full(&store.options) {
                store.seal_open()?;
            }
            Ok(())
        })
    }

    /// Makes everything durable and says up to where that is.
    ///
    /// # Errors
    /// The disk refuses; nothing is known then of what was appended since the last sync, and the store has ended.
    pub fn sync(&mut self) -> Result<Sequence, Error> {
        self.change(|store| store.open.sync(&*store.files, &store.dir))?;
        Ok(self.last())
    }

    /// Whatever writes goes through here. After a failed sync the system takes what was not written for clean, so that the next
    /// one succeeds.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(why) = &self.poison {
            return Err(Error::Poisoned { why: why.clone() });
        }
        let changed = change(self);
        if let Err(error @ Error::Sync { .. }) = &changed {
            self.poison = Some(error.to_string());
        }
        changed
    }

    /// Shows the entries from `from` on until `look` has seen enough.
    ///
    /// # Errors
    /// A block cannot be read.
    pub fn scan(
        &self,
        from: Sequence,
        direction: Direction,
        look: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let wanted = |block: &Block| match direction {
            Direction::Forward => block.last >= from,
            Direction::Backward => block.first <= from,
        };
        let is_in = |entry: &Entry| match direction {
            Direction::Forward => entry.position >= from,
            Direction::Backward => entry.position <= from,
        };
        for part in self.parts(direction) {
            for block in ordered(
                part.blocks().iter().filter(|block| wanted(block)).collect(),
                direction,
            ) {
                let entries = part.read(block)?;
                for entry in ordered(
                    entries.into_iter().filter(|entry| is_in(entry)).collect(),
                    direction,
                ) {
                    if look(entry).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Shows the entries with a key, which may be others with the same hash, until `look` has seen enough.
    ///
    /// # Errors
    /// A block or an index cannot be read.
    pub fn find(
        &self,
        key: Key,
        direction: Direction,
        look: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        for part in self.parts(direction) {
            let ordinals = part.ordinals(key)?;
            let mut at_hand: Option<(u32, Vec<Entry>)> = None;
            for ordinal in ordered(ordinals, direction) {
                let Some(block) = block_of(part.blocks(), ordinal) else {
                    continue;
                };
                if at_hand
                    .as_ref()
                    .is_none_or(|(first, _)| *first != block.first_ordinal)
                {
                    at_hand = Some((block.first_ordinal, part.read(block)?));
                }
                let entry = at_hand
                    .as_ref()
                    .and_then(|(first, entries)| entries.get((ordinal - first) as usize))
                    .filter(|entry| entry.keys.contains(&key));
                if let Some(entry) = entry
                    && look(entry.clone()).is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The entry at a position.
    ///
    /// # Errors
    /// Its block cannot be read.
    pub fn get(&self, position: Sequence) -> Result<Option<Entry>, Error> {
        let mut found = None;
        self.scan(position, Direction::Forward, &mut |entry| {
            found = (entry.position == position).then_some(entry);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The first position that was stored at or after that time; the next one to come if there is none.
    ///
    /// # Errors
    /// A block cannot be read.
    pub fn position_at(&self, at_ms: i64) -> Result<Sequence, Error> {
        for part in self.parts(Direction::Forward) {
            for block in part
                .blocks()
                .iter()
                .filter(|block| block.last_at_ms >= at_ms)
            {
                if let Some(entry) = part.read(block)?.iter().find(|entry| entry.at_ms >= at_ms) {
                    return Ok(entry.position);
                }
            }
        }
        Ok(self.last().next())
    }

    /// Removes sealed segments all of whose entries are before a position. Durable when it returns.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn drop_before(&mut self, position: Sequence) -> Result<(), Error> {
        self.change(|store| store.drop_segments(position))
    }

    fn drop_segments(&mut self, position: Sequence) -> Result<(), Error> {
        let gone = self
            .sealed
            .iter()
            .take_while(|segment| segment.last() < position)
            .count();
        for segment in self.sealed.drain(..gone) {
            remove(&*self.files, segment.path())?;
        }
        match gone {
            0 => Ok(()),
            _ => self
                .files
                .sync_dir(&self.dir)
                .map_err(Error::sync(&self.dir)),
        }
    }

    /// Writes the sealed segment that begins at `first` anew, without what `fate` takes away. Says how many entries that were.
    /// Durable when it returns.
    ///
    /// # Errors
    /// The disk refuses, or a block cannot be read; the segment is as it was then.
    pub fn rewrite(
        &mut self,
        first: Sequence,
        fate: &mut dyn FnMut(&Entry) -> Fate,
    ) -> Result<u32, Error> {
        self.change(|store| store.rewrite_segment(first, fate))
    }

    fn rewrite_segment(
        &mut self,
        first: Sequence,
        fate: &mut dyn FnMut(&Entry) -> Fate,
    ) -> Result<u32, Error> {
        let Some(place) = self
            .sealed
            .iter()
            .position(|segment| segment.first() == first)
        else {
            return Ok(0);
        };
        let segment = &self.sealed[place];
        let mut kept = Vec::new();
        let mut changed = 0;
        for block in segment.blocks() {
            for entry in segment.read(block)? {
                match fate(&entry) {
                    Fate::Keep => kept.push(entry),
                    Fate::Erase if entry.erased => kept.push(entry),
                    Fate::Erase => {
                        changed += 1;
                        kept.push(Entry {
                            keys: Vec::new(),
                            record: Vec::new(),
                            erased: true,
                            ..entry
                        });
                    }
                    Fate::Drop => changed += 1,
                }
            }
        }
        if changed == 0 {
            return Ok(0);
        }
        let path = segment.path().to_owned();
        if kept.is_empty() {
            remove(&*self.files, &path)?;
            self.files
                .sync_dir(&self.dir)
                .map_err(Error::sync(&self.dir))?;
            self.sealed.remove(place);
        } else {
            // The name stays, whatever the first entry is now.
            self.sealed[place] = Sealed::create(
                &*self.files,
                &self.dir,
                path,
                kept,
                self.options.block_bytes,
            )?;
        }
        Ok(changed)
    }

    /// Seals what is open, however little it is, so that it can be rewritten.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn seal(&mut self) -> Result<(), Error> {
        self.change(Self::seal_open)
    }

    fn seal_open(&mut self) -> Result<(), Error> {
        self.open.flush(&*self.files, &self.dir)?;
        let Some(first) = self.open.first() else {
            return Ok(());
        };
        let mut entries = Vec::new();
        for block in self.open.blocks() {
            entries.extend(self.open.read(block)?);
        }
        let path = self.dir.join(format!("{:020}{}", first.0, sealed::SUFFIX));
        let segment = Sealed::create(
            &*self.files,
            &self.dir,
            path,
            entries,
            self.options.block_bytes,
        )?;
        let open = std::mem::take(&mut self.open);
        self.sealed.push(segment);
        open.remove(&*self.files)
    }

    fn parts(&self, direction: Direction) -> Vec<&dyn Part> {
        let parts = self.sealed.iter().map(|segment| segment as &dyn Part);
        ordered(parts.chain([&self.open as &dyn Part]).collect(), direction)
    }
}

/// What the open segment and the sealed ones have in common: the set is closed, the trait only spares a match a call.
trait Part {
    /// In order.
    fn blocks(&self) -> &[Block];
    fn read(&self, block: &Block) -> Result<Vec<Entry>, Error>;
    /// The numbers of the entries with that key, in order.
    fn ordinals(&self, key: Key) -> Result<Vec<u32>, Error>;
}

fn ordered<T>(mut items: Vec<T>, direction: Direction) -> Vec<T> {
    if direction == Direction::Backward {
        items.reverse();
    }
    items
}

fn block_of(blocks: &[Block], ordinal: u32) -> Option<&Block> {
    let behind = blocks.partition_point(|block| block.first_ordinal <= ordinal);
    behind.checked_sub(1).map(|place| &blocks[place])
}

fn remove(files: &dyn Files, path: &Path) -> Result<(), Error> {
    files.remove(path).map_err(Error::io("remove", path))
}
