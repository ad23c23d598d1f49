//! A block: some entries, compressed, with a checksum. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic |
//! | 4 | CRC-32C of all that follows |
//! | 4, 4 | bytes of the entries, and of them compressed |
//! | 4, 4 | number of the first entry in its segment, and how many there are |
//! | 8, 8 | first and last position |
//! | 8, 8 | time of the first and of the last entry |
//! | … | entries, compressed (LZ4 block) |
//!
//! An entry is: position and time as differences to the one before, flags, keys, length, bytes.

use std::path::Path;

use super::{Entry, Error, Key};
use crate::files::File;
use crate::position::Sequence;

const MAGIC: [u8; 4] = *b"KEV1";
pub(super) const HEADER_BYTES: usize = 56;

/// The largest block: one entry of the largest size that a journal batch can carry, and some.
const RAW_BYTES_MAX: u32 = 256 << 20;

const ERASED: u8 = 1;

/// Where a block lies and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) offset: u64,
    pub(super) raw_bytes: u32,
    pub(super) packed_bytes: u32,
    pub(super) first_ordinal: u32,
    pub(super) count: u32,
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    pub(super) first_at_ms: i64,
    pub(super) last_at_ms: i64,
}

impl Block {
    /// Where the next one begins.
    pub(super) fn end(&self) -> u64 {
        self.offset + HEADER_BYTES as u64 + u64::from(self.packed_bytes)
    }

    /// Whether a file whose blocks end at `end` at the latest could have it.
    pub(super) fn fits(&self, end: u64) -> bool {
        let room = end.saturating_sub(HEADER_BYTES as u64);
        let packed = u64::from(self.packed_bytes);
        self.count > 0
            && self.raw_bytes <= RAW_BYTES_MAX
            && packed <= room
            && self.offset <= room - packed
    }

    /// A block of one entry that is only in memory.
    pub(super) fn pending(entry: &Entry, offset: u64, first_ordinal: u32) -> Self {
        Self {
            offset,
            raw_bytes: 0,
            packed_bytes: 0,
            first_ordinal,
            count: 1,
            first: entry.position,
            last: entry.position,
            first_at_ms: entry.at_ms,
            last_at_ms: entry.at_ms,
        }
    }

    /// Packs entries, of which there is one at least.
    pub(super) fn pack(entries: &[Entry], offset: u64, first_ordinal: u32) -> (Self, Vec<u8>) {
        let raw = write_entries(entries);
        let packed = lz4_flex::block::compress(&raw);
        let (first, last) = (&entries[0], &entries[entries.len() - 1]);
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len()).expect("invariant: a block is smaller than 4 GiB")
        };
        let block = Self {
            offset,
            raw_bytes: length(&raw),
            packed_bytes: length(&packed),
            first_ordinal,
            count: u32::try_from(entries.len())
                .expect("invariant: a segment has 2^32 entries at most"),
            first: first.position,
            last: last.position,
            first_at_ms: first.at_ms,
            last_at_ms: last.at_ms,
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + packed.len());
        bytes.extend(MAGIC);
        bytes.extend([0; 4]);
        block.write_fields(&mut bytes);
        bytes.extend(packed);
        let crc = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        (block, bytes)
    }

    /// Everything but magic, checksum and offset.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>) {
        for number in [
            self.raw_bytes,
            self.packed_bytes,
            self.first_ordinal,
            self.count,
        ] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.first.0.to_le_bytes());
        out.extend(self.last.0.to_le_bytes());
        out.extend(self.first_at_ms.to_le_bytes());
        out.extend(self.last_at_ms.to_le_bytes());
    }

    /// The counterpart of [`write_fields`](Self::write_fields): 48 bytes.
    pub(super) fn read_fields(bytes: &[u8; HEADER_BYTES - 8], offset: u64) -> Self {
        let short = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            number
        };
        Self {
            offset,
            raw_bytes: short(0),
            packed_bytes: short(4),
            first_ordinal: short(8),
            count: short(12),
            first: Sequence(u64::from_le_bytes(long(16))),
            last: Sequence(u64::from_le_bytes(long(24))),
            first_at_ms: i64::from_le_bytes(long(32)),
            last_at_ms: i64::from_le_bytes(long(40)),
        }
    }

    /// The block at `offset` with its entries; `None` if there is no whole one.
    pub(super) fn probe(
        file: &dyn File,
        path: &Path,
        offset: u64,
    ) -> Result<Option<(Self, Vec<Entry>)>, Error> {
        let mut header = [0; HEADER_BYTES];
        let read = file
            .read_at(offset, &mut header)
            .map_err(Error::io("read", path))?;
        if read < HEADER_BYTES || header[..4] != MAGIC {
            return Ok(None);
        }
        let mut fields = [0; HEADER_BYTES - 8];
        fields.copy_from_slice(&header[8..]);
        let block = Self::read_fields(&fields, offset);
        let len = file.len().map_err(Error::io("read the length of", path))?;
        if !block.fits(len) {
            return Ok(None);
        }
        match block.read(file, path) {
            Ok(entries) => Ok(Some((block, entries))),
            Err(Error::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The entries.
    pub(super) fn read(&self, file: &dyn File, path: &Path) -> Result<Vec<Entry>, Error> {
        let damaged = |why| Error::Damaged {
            file: path.to_owned(),
            offset: self.offset,
            why,
        };
        let mut bytes = vec![0; HEADER_BYTES + self.packed_bytes as usize];
        let read = file
            .read_at(self.offset, &mut bytes)
            .map_err(Error::io("read", path))?;
        if read < bytes.len() {
            return Err(damaged("the file ends inside of a block"));
        }
        if bytes[..4] != MAGIC || bytes[4..8] != crc32c::crc32c(&bytes[8..]).to_le_bytes() {
            return Err(damaged("a block does not have its checksum"));
        }
        let raw = lz4_flex::block::decompress(&bytes[HEADER_BYTES..], self.raw_bytes as usize)
            .map_err(|_| damaged("a block cannot be decompressed"))?;
        let entries = read_entries(&raw, self.first, self.first_at_ms, self.count)
            .ok_or_else(|| damaged("a block has broken entries"))?;
        match self.describes(&entries) {
            true => Ok(entries),
            false => Err(damaged("a block's entries are not those of its header")),
        }
    }

    /// What is looked for by position or time is looked for in headers alone.
    fn describes(&self, entries: &[Entry]) -> bool {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return false;
        };
        (first.position, first.at_ms) == (self.first, self.first_at_ms)
            && (last.position, last.at_ms) == (self.last, self.last_at_ms)
    }
}

fn write_entries(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut position, mut at) = (entries[0].position.0, entries[0].at_ms);
    for entry in entries {
        write_number(&mut out, entry.position.0 - position);
        write_number(&mut out, entry.at_ms.abs_diff(at));
        out.push(if entry.erased { ERASED } else { 0 });
        out.push(u8::try_from(entry.keys.len()).expect("invariant: an entry has 255 keys at most"));
        for key in &entry.keys {
            out.push(key.tag);
            out.extend(key.hash.to_le_bytes());
        }
        write_number(&mut out, entry.record.len() as u64);
        out.extend(&entry.record);
        (position, at) = (entry.position.0, entry.at_ms);
    }
    out
}

fn read_entries(raw: &[u8], first: Sequence, first_at: i64, count: u32) -> Option<Vec<Entry>> {
    let mut rest = raw;
    let (mut position, mut at) = (first.0, first_at);
    let mut entries = Vec::new();
    for _ in 0..count {
        position = position.checked_add(read_number(&mut rest)?)?;
        at = at.checked_add_unsigned(read_number(&mut rest)?)?;
        let [flags, keys] = *rest.split_off(..2)? else {
            return None;
        };
        let keys = rest
            .split_off(..usize::from(keys) * 5)?
            .chunks_exact(5)
            .map(|key| Key {
                tag: key[0],
                hash: u32::from_le_bytes([key[1], key[2], key[3], key[4]]),
            })
            .collect();
        let length = usize::try_from(read_number(&mut rest)?).ok()?;
        entries.push(Entry {
            position: Sequence(position),
            at_ms: at,
            keys,
            record: rest.split_off(..length)?.to_vec(),
            erased: flags & ERASED != 0,
        });
    }
    rest.is_empty().then_some(entries)
}

/// LEB128.
fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
