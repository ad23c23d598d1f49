//! The segment that is being filled: blocks on the disk, the youngest entries and the index in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::Block;
use super::{Entry, Error, Key, Options, Part, remove};
use crate::files::{File, Files};
use crate::position::Sequence;

pub(super) const SUFFIX: &str = ".open";

/// The offset of the block that is only in memory.
const PENDING: u64 = u64::MAX;

/// Empty until the first entry comes.
#[derive(Debug, Default)]
pub(super) struct Open {
    file: Option<(PathBuf, Arc<dyn File>)>,
    /// Its name is not durable yet.
    is_new: bool,
    /// Those on the disk, and as the last one [`PENDING`] if there is something pending.
    blocks: Vec<Block>,
    /// Where the next block goes.
    end: u64,
    /// Entries that are in no block on the disk yet, and their bytes.
    pending: Vec<Entry>,
    pending_bytes: usize,
    /// The numbers of the entries by key.
    index: BTreeMap<Key, Vec<u32>>,
    entries: u32,
    raw_bytes: u64,
}

impl Open {
    /// Reads what a crash has left, up to the first block that is not whole, and cuts the rest: behind a new block an old one
    /// would look as if it belonged there. What is left is written once more, as it may be in the page cache alone: after a
    /// failed sync the system takes it for clean, and no sync would reach it.
    pub(super) fn recover<'n>(
        files: &dyn Files,
        dir: &Path,
        names: impl Iterator<Item = &'n String>,
        sealed: Sequence,
    ) -> Result<Self, Error> {
        let mut recovered = Self::default();
        for name in names {
            let path = dir.join(name);
            let file = files.open(&path).map_err(Error::io("open", &path))?;
            let mut open = Self::default();
            let mut end = 0;
            while let Some((block, entries)) = Block::probe(&*file, &path, end)? {
                let follows = block.first > open.last().unwrap_or(sealed)
                    && block.first_ordinal == open.entries;
                if !follows {
                    break;
                }
                write_again(&*file, &path, &block)?;
                end = block.end();
                open.end = end;
                open.blocks.push(block);
                entries.iter().for_each(|entry| open.count(entry));
            }
            // Empty, or sealed already when a crash kept it from being removed.
            if open.entries == 0 {
                remove(files, &path)?;
                continue;
            }
            file.set_len(end).map_err(Error::io("cut", &path))?;
            file.sync().map_err(Error::sync(&path))?;
            open.file = Some((path, file));
            open.is_new = true;
            recovered = open;
        }
        Ok(recovered)
    }

    pub(super) fn first(&self) -> Option<Sequence> {
        self.blocks.first().map(|block| block.first)
    }

    pub(super) fn last(&self) -> Option<Sequence> {
        self.blocks.last().map(|block| block.last)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.end + self.pending_bytes as u64
    }

    pub(super) fn is_full(&self, options: &Options) -> bool {
        self.entries >= options.segment_entries || self.raw_bytes >= options.segment_bytes
    }

    pub(super) fn append(
        &mut self,
        files: &dyn Files,
        dir: &Path,
        mut entry: Entry,
        block_bytes: usize,
    ) -> Result<(), Error> {
        if let Some(before) = self.blocks.last() {
            entry.at_ms = entry.at_ms.max(before.last_at_ms);
        }
        match self
            .blocks
            .last_mut()
            .filter(|block| block.offset == PENDING)
        {
            Some(block) => {
                block.count += 1;
                block.last = entry.position;
                block.last_at_ms = entry.at_ms;
            }
            None => self
                .blocks
                .push(Block::pending(&entry, PENDING, self.entries)),
        }
        self.count(&entry);
        self.pending_bytes += entry.record.len();
        self.pending.push(entry);
        match self.pending_bytes >= block_bytes {
            true => self.flush(files, dir),
            false => Ok(()),
        }
    }

    fn count(&mut self, entry: &Entry) {
        for key in &entry.keys {
            self.index.entry(*key).or_default().push(self.entries);
        }
        self.entries += 1;
        self.raw_bytes += entry.record.len() as u64;
    }

    /// Writes what is pending as a block.
    pub(super) fn flush(&mut self, files: &dyn Files, dir: &Path) -> Result<(), Error> {
        let Some(first) = self.pending.first().map(|entry| entry.position) else {
            return Ok(());
        };
        if self.file.is_none() {
            let path = dir.join(format!("{:020}{SUFFIX}", first.0));
            let file = files.create(&path).map_err(Error::io("create", &path))?;
            self.file = Some((path, file));
            self.is_new = true;
        }
        let (path, file) = self.file.as_ref().expect("invariant: it was made above");
        let in_memory = self
            .blocks
            .last_mut()
            .expect("invariant: what is pending has a block");
        let (block, bytes) = Block::pack(&self.pending, self.end, in_memory.first_ordinal);
        file.write_at(self.end, &bytes)
            .map_err(Error::io("write", path))?;
        self.end = block.end();
        *in_memory = block;
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    pub(super) fn sync(&mut self, files: &dyn Files, dir: &Path) -> Result<(), Error> {
        self.flush(files, dir)?;
        let Some((path, file)) = &self.file else {
            return Ok(());
        };
        file.sync().map_err(Error::sync(path))?;
        if self.is_new {
            files.sync_dir(dir).map_err(Error::sync(dir))?;
            self.is_new = false;
        }
        Ok(())
    }

    /// Its entries are in a sealed segment now.
    pub(super) fn remove(self, files: &dyn Files) -> Result<(), Error> {
        self.file.map_or(Ok(()), |(path, _)| remove(files, &path))
    }
}

impl Part for Open {
    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn read(&self, block: &Block) -> Result<Vec<Entry>, Error> {
        if block.offset == PENDING {
            return Ok(self.pending.clone());
        }
        let (path, file) = self
            .file
            .as_ref()
            .expect("invariant: a block on the disk has a file");
        block.read(&**file, path)
    }

    fn ordinals(&self, key: Key) -> Result<Vec<u32>, Error> {
        Ok(self.index.get(&key).cloned().unwrap_or_default())
    }
}

fn write_again(file: &dyn File, path: &Path, block: &Block) -> Result<(), Error> {
    let length = block.end() - block.offset;
    let mut bytes = vec![0; usize::try_from(length).expect("invariant: a block fits into memory")];
    let read = file
        .read_at(block.offset, &mut bytes)
        .map_err(Error::io("read", path))?;
    bytes.truncate(read);
    file.write_at(block.offset, &bytes)
        .map_err(Error::io("write", path))
}
