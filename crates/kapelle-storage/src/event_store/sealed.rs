//! A segment that does not change any more: blocks, then an index, then a directory of both, then a trailer.
//!
//! | bytes | what |
//! |---|---|
//! | … | blocks |
//! | 8 each | index: for each tag, in order of hash, then of number: hash and number of an entry |
//! | 8 + 48 each | directory: offset and fields of each block |
//! | 1 + 8 + 4 each | directory: tag, offset and entries of each index |
//! | 8, 4, 4 | trailer: offset of the directory, number of blocks, number of indexes |
//! | 4, 4 | trailer: CRC-32C of the directory and of the trailer up to here, magic |
//!
//! The index has no checksum of its own: what it finds is looked at, and a hit that it hides would be one damaged page of
//! millions; a scan does not need it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{Block, HEADER_BYTES};
use super::{Entry, Error, Key, Part, Segment};
use crate::files::{File, Files};
use crate::position::Sequence;

pub(super) const SUFFIX: &str = ".events";
pub(super) const TEMPORARY_SUFFIX: &str = ".events.tmp";

const MAGIC: [u8; 4] = *b"KES1";
const TRAILER_BYTES: usize = 24;
const FIELDS_BYTES: usize = HEADER_BYTES - 8;
const INDEX_ENTRY_BYTES: usize = 8;
/// Entries of the index that one read fetches: a page.
const PAGE_ENTRIES: u32 = 512;

#[derive(Debug)]
pub(super) struct Sealed {
    path: PathBuf,
    file: Arc<dyn File>,
    blocks: Vec<Block>,
    indexes: BTreeMap<u8, Index>,
    bytes: u64,
}

/// Where the index of a tag lies.
#[derive(Debug, Clone, Copy)]
struct Index {
    offset: u64,
    entries: u32,
}

impl Index {
    /// Whether it lies before the directory, which begins at `end`.
    fn fits(self, end: u64) -> bool {
        let room = end.checked_sub(self.offset);
        room.is_some_and(|room| room / INDEX_ENTRY_BYTES as u64 >= u64::from(self.entries))
    }
}

impl Sealed {
    /// Writes a segment of these entries, of which there is one at least, under a temporary name, and puts it in its place when
    /// it is whole.
    pub(super) fn create(
        files: &dyn Files,
        dir: &Path,
        path: PathBuf,
        entries: Vec<Entry>,
        block_bytes: usize,
    ) -> Result<Self, Error> {
        let temporary = path.with_extension("events.tmp");
        // Left by an attempt that the disk refused.
        match files.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &temporary)(error));
            }
            _ => {}
        }
        let file = files
            .create(&temporary)
            .map_err(Error::io("create", &temporary))?;
        let writer = Writer {
            file: &*file,
            path: &temporary,
            offset: 0,
            blocks: Vec::new(),
            keys: BTreeMap::new(),
        };
        writer.write(&entries, block_bytes)?;
        file.sync().map_err(Error::sync(&temporary))?;
        files
            .rename(&temporary, &path)
            .map_err(Error::io("rename", &temporary))?;
        files.sync_dir(dir).map_err(Error::sync(dir))?;
        Self::open(files, path)
    }

    pub(super) fn open(files: &dyn Files, path: PathBuf) -> Result<Self, Error> {
        let file = files.open(&path).map_err(Error::io("open", &path))?;
        let bytes = file.len().map_err(Error::io("read the length of", &path))?;
        let directory = read_directory(&*file, &path, bytes)?;
        let (blocks, indexes) = directory.ok_or_else(|| Error::Damaged {
            file: path.clone(),
            offset: bytes,
            why: "the directory at its end does not have its checksum",
        })?;
        Ok(Self {
            path,
            file,
            blocks,
            indexes,
            bytes,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn first(&self) -> Sequence {
        self.blocks[0].first
    }

    pub(super) fn last(&self) -> Sequence {
        self.blocks[self.blocks.len() - 1].last
    }

    pub(super) fn summary(&self) -> Segment {
        let last = &self.blocks[self.blocks.len() - 1];
        Segment {
            first: self.first(),
            last: self.last(),
            first_at_ms: self.blocks[0].first_at_ms,
            last_at_ms: last.last_at_ms,
            entries: last.first_ordinal + last.count,
            bytes: self.bytes,
        }
    }

    /// Up to a page of the index, from one entry on.
    fn page(&self, index: Index, from: u32) -> Result<Vec<(u32, u32)>, Error> {
        let count = PAGE_ENTRIES.min(index.entries - from) as usize;
        let mut bytes = vec![0; count * INDEX_ENTRY_BYTES];
        let offset = index.offset + u64::from(from) * INDEX_ENTRY_BYTES as u64;
        self.file
            .read_at(offset, &mut bytes)
            .map_err(Error::io("read", &self.path))?;
        let number = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Ok(bytes
            .chunks_exact(INDEX_ENTRY_BYTES)
            .map(|entry| (number(entry), number(&entry[4..])))
            .collect())
    }

    /// The first entry of the index whose hash is not smaller.
    fn lower_bound(&self, index: Index, hash: u32) -> Result<u32, Error> {
        let (mut low, mut high) = (0, index.entries);
        while high - low > PAGE_ENTRIES {
            let middle = low + (high - low) / 2;
            let mut entry = [0; 4];
            let offset = index.offset + u64::from(middle) * INDEX_ENTRY_BYTES as u64;
            self.file
                .read_at(offset, &mut entry)
                .map_err(Error::io("read", &self.path))?;
            match u32::from_le_bytes(entry) < hash {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        if low == index.entries {
            return Ok(low);
        }
        let page = self.page(index, low)?;
        let smaller = page
            .iter()
            .take((high - low) as usize)
            .take_while(|(found, _)| *found < hash)
            .count();
        Ok(low + u32::try_from(smaller).expect("invariant: a page is small"))
    }
}

impl Part for Sealed {
    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn read(&self, block: &Block) -> Result<Vec<Entry>, Error> {
        block.read(&*self.file, &self.path)
    }

    fn ordinals(&self, key: Key) -> Result<Vec<u32>, Error> {
        let mut ordinals = Vec::new();
        let Some(index) = self.indexes.get(&key.tag).copied() else {
            return Ok(ordinals);
        };
        let mut at = self.lower_bound(index, key.hash)?;
        while at < index.entries {
            let page = self.page(index, at)?;
            let hits = page.iter().take_while(|(hash, _)| *hash == key.hash);
            let before = ordinals.len();
            ordinals.extend(hits.map(|(_, ordinal)| *ordinal));
            if ordinals.len() - before < page.len() {
                break;
            }
            at += u32::try_from(page.len()).expect("invariant: a page is small");
        }
        Ok(ordinals)
    }
}

struct Writer<'f> {
    file: &'f dyn File,
    path: &'f Path,
    offset: u64,
    blocks: Vec<Block>,
    keys: BTreeMap<u8, Vec<(u32, u32)>>,
}

impl Writer<'_> {
    fn write(mut self, entries: &[Entry], block_bytes: usize) -> Result<(), Error> {
        let mut begin = 0;
        let mut bytes = 0;
        for (place, entry) in entries.iter().enumerate() {
            let ordinal =
                u32::try_from(place).expect("invariant: a segment has 2^32 entries at most");
            for key in &entry.keys {
                self.keys
                    .entry(key.tag)
                    .or_default()
                    .push((key.hash, ordinal));
            }
            bytes += entry.record.len();
            if bytes >= block_bytes || place + 1 == entries.len() {
                let first_ordinal = self
                    .blocks
                    .last()
                    .map_or(0, |block| block.first_ordinal + block.count);
                let (block, packed) =
                    Block::pack(&entries[begin..=place], self.offset, first_ordinal);
                self.put(&packed)?;
                self.blocks.push(block);
                (begin, bytes) = (place + 1, 0);
            }
        }
        let indexes = self.write_indexes()?;
        self.write_directory(&indexes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_at(self.offset, bytes)
            .map_err(Error::io("write", self.path))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn write_indexes(&mut self) -> Result<Vec<(u8, Index)>, Error> {
        let mut indexes = Vec::new();
        for (tag, mut keys) in std::mem::take(&mut self.keys) {
            keys.sort_unstable();
            keys.dedup();
            let entries =
                u32::try_from(keys.len()).expect("invariant: a segment has 2^32 keys at most");
            indexes.push((
                tag,
                Index {
                    offset: self.offset,
                    entries,
                },
            ));
            let bytes: Vec<u8> = keys
                .iter()
                .flat_map(|(hash, ordinal)| [hash.to_le_bytes(), ordinal.to_le_bytes()].concat())
                .collect();
            self.put(&bytes)?;
        }
        Ok(indexes)
    }

    fn write_directory(&mut self, indexes: &[(u8, Index)]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for block in &self.blocks {
            bytes.extend(block.offset.to_le_bytes());
            block.write_fields(&mut bytes);
        }
        for (tag, index) in indexes {
            bytes.push(*tag);
            bytes.extend(index.offset.to_le_bytes());
            bytes.extend(index.entries.to_le_bytes());
        }
        let count = |count: usize| {
            u32::try_from(count).expect("invariant: a segment has fewer blocks than entries")
        };
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(count(self.blocks.len()).to_le_bytes());
        bytes.extend(count(indexes.len()).to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.extend(MAGIC);
        self.put(&bytes)
    }
}

type Directory = (Vec<Block>, BTreeMap<u8, Index>);

/// `None`: there is none, or it is damaged.
fn read_directory(file: &dyn File, path: &Path, len: u64) -> Result<Option<Directory>, Error> {
    let Some(trailer_at) = len.checked_sub(TRAILER_BYTES as u64) else {
        return Ok(None);
    };
    let mut trailer = [0; TRAILER_BYTES];
    file.read_at(trailer_at, &mut trailer)
        .map_err(Error::io("read", path))?;
    let mut directory_at = [0; 8];
    directory_at.copy_from_slice(&trailer[..8]);
    let directory_at = u64::from_le_bytes(directory_at);
    let Some(directory_bytes) = trailer_at
        .checked_sub(directory_at)
        .and_then(|bytes| usize::try_from(bytes).ok())
    else {
        return Ok(None);
    };
    let mut bytes = vec![0; directory_bytes + TRAILER_BYTES];
    file.read_at(directory_at, &mut bytes)
        .map_err(Error::io("read", path))?;
    Ok(parse_directory(&bytes))
}

fn parse_directory(bytes: &[u8]) -> Option<Directory> {
    let (checked, end) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    if end[4..] != MAGIC || end[..4] != crc32c::crc32c(checked).to_le_bytes() {
        return None;
    }
    let (directory, trailer) =
        checked.split_at_checked(checked.len().checked_sub(TRAILER_BYTES - 8)?)?;
    let number =
        |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    let (blocks, indexes) = (number(&trailer[8..]), number(&trailer[12..]));
    let (blocks, indexes) = (
        blocks.checked_mul(8 + FIELDS_BYTES)?,
        indexes.checked_mul(13)?,
    );
    let (blocks, rest) = directory.split_at_checked(blocks)?;
    if rest.len() != indexes || blocks.is_empty() {
        return None;
    }
    let long = |bytes: &[u8]| bytes.first_chunk::<8>().copied().map(u64::from_le_bytes);
    let blocks = blocks
        .chunks_exact(8 + FIELDS_BYTES)
        .map(|block| Some(Block::read_fields(block[8..].first_chunk()?, long(block)?)))
        .collect::<Option<Vec<_>>>()?;
    let indexes = rest
        .chunks_exact(13)
        .map(|index| {
            let entries = u32::from_le_bytes([index[9], index[10], index[11], index[12]]);
            Some((
                index[0],
                Index {
                    offset: long(&index[1..])?,
                    entries,
                },
            ))
        })
        .collect::<Option<BTreeMap<_, _>>>()?;
    let end = long(trailer)?;
    (are_in_order(&blocks, end) && indexes.values().all(|index| index.fits(end)))
        .then_some((blocks, indexes))
}

/// Whether blocks follow each other, in a file whose directory begins at `end`.
fn are_in_order(blocks: &[Block], end: u64) -> bool {
    let mut entries = Some(0_u32);
    blocks.iter().all(|block| {
        let follows = entries == Some(block.first_ordinal) && block.fits(end);
        entries = block.first_ordinal.checked_add(block.count);
        follows && entries.is_some()
    })
}
