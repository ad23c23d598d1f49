//! The byte layout of the journal on disk. **Released formats are for ever**: a change is a new version number, with
//! a reader for every released one and golden bytes for each (`tests/it/golden.rs`).
//!
//! All numbers are little endian. A segment file is a sequence of blocks of 4,096 bytes. Block 0 holds the segment's
//! header, every batch begins at a block and is padded with zeros to one. So a batch that was synced never shares a
//! block with a later one (rewriting a block can tear it), a whole block is written without reading it first, and
//! after damage the next batch is found by looking at block starts only.
//!
//! ```text
//! segment header                              batch header
//!  0  4  magic "KPLS"                          0  4  magic "KPLB"
//!  4  1  format version = 1                    4  1  format version = 1
//!  5  1  state: 1 free, 2 live                 5  1  kind: 1 records, 2 leader announced
//!  6  2  0                                     6  2  0
//!  8  4  partition                             8  4  payload length
//! 12  4  0                                    12  4  record count
//! 16  8  generation                           16  4  partition
//! 24  8  first sequence                       20  4  payload CRC32C
//! 32  8  chain before                         24  8  segment generation
//! 40  8  durable sequence when written        32  8  epoch
//! 48  8  epoch before                         40 16  incarnation
//! 56 16  incarnation before                   56  8  first sequence
//! 72 20  0                                    64  8  chain before
//! 92  4  CRC32C of bytes 0..92                72  8  chain after
//!                                             80  8  durable sequence when written
//!                                             88  4  0
//!                                             92  4  CRC32C of bytes 0..92
//!                                             96  …  records: length (4), bytes
//! ```
//!
//! The **chain** covers kind, partition, leader, sequences, payload and the chain before; not the generation and not
//! the durable sequence, so recovery may move a batch to another segment without changing history.

use crate::position::{Chain, Leader, Sequence};

/// Batches begin at multiples of this. Also the unit in which disks and the page cache write.
pub const BLOCK: u64 = 4096;
pub const SEGMENT_HEADER_BYTES: usize = 96;
pub const BATCH_HEADER_BYTES: usize = 96;
/// What a record costs beside its own bytes.
pub const RECORD_PREFIX_BYTES: usize = 4;
/// The newest format this program writes and reads.
pub const VERSION: u8 = 1;

/// No sequence, generation or epoch comes as far, so whoever counts on from a header never runs into the end of the numbers.
const COUNTED_MAX: u64 = 1 << 62;

const SEGMENT_MAGIC: [u8; 4] = *b"KPLS";
const BATCH_MAGIC: [u8; 4] = *b"KPLB";
const CRC_AT: usize = 92;

/// `bytes` rounded up to whole blocks.
#[must_use]
pub const fn padded(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK) * BLOCK
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BatchKind {
    Records = 1,
    /// The fence: its one record is the application's note about the new leader, opaque here.
    LeaderAnnounced = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SegmentState {
    /// Written with zeros or retired; whatever follows the header is not part of the journal.
    Free = 1,
    Live = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    pub state: SegmentState,
    pub partition: u32,
    /// Counts the segments of a journal in order; a recycled file gets a new one.
    pub generation: u64,
    /// Where in the history this segment begins. It may lie before the end of the segment before it: recovery moved
    /// that segment's tail here.
    pub first: Sequence,
    pub chain_before: Chain,
    pub durable: Sequence,
    pub leader_before: Leader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub kind: BatchKind,
    pub payload_bytes: u32,
    pub count: u32,
    pub partition: u32,
    pub payload_crc: u32,
    pub generation: u64,
    pub leader: Leader,
    pub first: Sequence,
    pub chain_before: Chain,
    pub chain: Chain,
    pub durable: Sequence,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("no header (magic number missing)")]
    Magic,
    #[error("header checksum does not match")]
    Checksum,
    #[error("format version {0}, newer than this program knows ({VERSION})")]
    Newer(u8),
    #[error("header holds impossible values")]
    Impossible,
}

impl BatchHeader {
    /// The sequence of the last record.
    #[must_use]
    pub fn last(&self) -> Sequence {
        self.next().before()
    }

    /// The first sequence of the batch after this one.
    #[must_use]
    pub fn next(&self) -> Sequence {
        self.first.plus(u64::from(self.count))
    }

    /// Bytes on disk with padding.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        padded(BATCH_HEADER_BYTES as u64 + u64::from(self.payload_bytes))
    }

    /// What `chain` has to be. Each word is mixed in by the finaliser of splitmix64, a bijection, so any one changed
    /// word changes the result.
    #[must_use]
    pub fn compute_chain(&self) -> Chain {
        let incarnation = self.leader.incarnation.to_le_bytes();
        let words = [
            (u64::from(self.kind as u8) << 32) | u64::from(self.partition),
            (u64::from(self.payload_bytes) << 32) | u64::from(self.count),
            u64::from(self.payload_crc),
            self.leader.epoch,
            u64_at(&incarnation, 0),
            u64_at(&incarnation, 8),
            self.first.0,
        ];
        Chain(
            words
                .iter()
                .fold(self.chain_before.0, |hash, word| mix(hash ^ word)),
        )
    }

    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut out = [0; BATCH_HEADER_BYTES];
        put(&mut out, 0, BATCH_MAGIC);
        put(&mut out, 4, [VERSION, self.kind as u8]);
        put(&mut out, 8, self.payload_bytes.to_le_bytes());
        put(&mut out, 12, self.count.to_le_bytes());
        put(&mut out, 16, self.partition.to_le_bytes());
        put(&mut out, 20, self.payload_crc.to_le_bytes());
        put(&mut out, 24, self.generation.to_le_bytes());
        put(&mut out, 32, self.leader.epoch.to_le_bytes());
        put(&mut out, 40, self.leader.incarnation.to_le_bytes());
        put(&mut out, 56, self.first.0.to_le_bytes());
        put(&mut out, 64, self.chain_before.0.to_le_bytes());
        put(&mut out, 72, self.chain.0.to_le_bytes());
        put(&mut out, 80, self.durable.0.to_le_bytes());
        sign(&mut out);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let bytes = checked(bytes, BATCH_MAGIC)?;
        let kind = match bytes[5] {
            1 => BatchKind::Records,
            2 => BatchKind::LeaderAnnounced,
            _ => return Err(Unreadable::Impossible),
        };
        let header = Self {
            kind,
            payload_bytes: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            partition: u32_at(bytes, 16),
            payload_crc: u32_at(bytes, 20),
            generation: u64_at(bytes, 24),
            leader: Leader {
                epoch: u64_at(bytes, 32),
                incarnation: u128_at(bytes, 40),
            },
            first: Sequence(u64_at(bytes, 56)),
            chain_before: Chain(u64_at(bytes, 64)),
            chain: Chain(u64_at(bytes, 72)),
            durable: Sequence(u64_at(bytes, 80)),
        };
        // A batch without a record would share its sequence with the next one, and a batch cannot know itself durable.
        let possible = header.count > 0
            && header.first > Sequence::START
            && is_countable([header.first.0, header.generation, header.leader.epoch])
            && header.chain == header.compute_chain();
        if possible {
            Ok(header)
        } else {
            Err(Unreadable::Impossible)
        }
    }
}

impl SegmentHeader {
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        put(&mut out, 0, SEGMENT_MAGIC);
        put(&mut out, 4, [VERSION, self.state as u8]);
        put(&mut out, 8, self.partition.to_le_bytes());
        put(&mut out, 16, self.generation.to_le_bytes());
        put(&mut out, 24, self.first.0.to_le_bytes());
        put(&mut out, 32, self.chain_before.0.to_le_bytes());
        put(&mut out, 40, self.durable.0.to_le_bytes());
        put(&mut out, 48, self.leader_before.epoch.to_le_bytes());
        put(&mut out, 56, self.leader_before.incarnation.to_le_bytes());
        sign(&mut out);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let bytes = checked(bytes, SEGMENT_MAGIC)?;
        let state = match bytes[5] {
            1 => SegmentState::Free,
            2 => SegmentState::Live,
            _ => return Err(Unreadable::Impossible),
        };
        let header = Self {
            state,
            partition: u32_at(bytes, 8),
            generation: u64_at(bytes, 16),
            first: Sequence(u64_at(bytes, 24)),
            chain_before: Chain(u64_at(bytes, 32)),
            durable: Sequence(u64_at(bytes, 40)),
            leader_before: Leader {
                epoch: u64_at(bytes, 48),
                incarnation: u128_at(bytes, 56),
            },
        };
        let counted = [
            header.first.0,
            header.generation,
            header.leader_before.epoch,
        ];
        let begins = state == SegmentState::Free || header.first > Sequence::START;
        if begins && is_countable(counted) {
            Ok(header)
        } else {
            Err(Unreadable::Impossible)
        }
    }
}

/// Splits a payload into records. Stops with `None` as an item at bytes that are no record.
pub(crate) fn records(payload: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = rest
            .split_first_chunk::<4>()
            .and_then(|(prefix, tail)| tail.split_at_checked(u32::from_le_bytes(*prefix) as usize));
        match record {
            Some((record, tail)) => {
                rest = tail;
                Some(Some(record))
            }
            None => {
                rest = &[];
                Some(None)
            }
        }
    })
}

/// Checks magic, checksum and version, in this order: a newer version keeps the first six bytes and the checksum's
/// place, so "newer" is never guessed from damage.
fn checked(bytes: &[u8], magic: [u8; 4]) -> Result<&[u8; 96], Unreadable> {
    let header = bytes.first_chunk::<96>().ok_or(Unreadable::Magic)?;
    if !header.starts_with(&magic) {
        return Err(Unreadable::Magic);
    }
    if crc32c::crc32c(&header[..CRC_AT]) != u32_at(header, CRC_AT) {
        return Err(Unreadable::Checksum);
    }
    match header[4] {
        VERSION => Ok(header),
        newer if newer > VERSION => Err(Unreadable::Newer(newer)),
        _ => Err(Unreadable::Impossible),
    }
}

fn is_countable(numbers: [u64; 3]) -> bool {
    numbers.iter().all(|number| *number <= COUNTED_MAX)
}

fn sign(header: &mut [u8; 96]) {
    let crc = crc32c::crc32c(&header[..CRC_AT]);
    put(header, CRC_AT, crc.to_le_bytes());
}

const fn mix(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

pub(crate) fn put<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    out[at..at + N].copy_from_slice(&bytes);
}

pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..]
        .first_chunk()
        .expect("invariant: offsets lie inside the checked header")
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(array_at(bytes, at))
}
