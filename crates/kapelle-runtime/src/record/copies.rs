//! Large data stands in the journal once for each command (design §4).
//!
//! One CloudEvent becomes ten messages, each message a trigger, each trigger variables: written out, that is thirty times
//! the same bytes, and more than a batch may hold. So a record that repeats what an earlier record of its command holds
//! names the place instead. The engine knows nothing of it: its events are whole before they are written and after they
//! are read.
//!
//! ```text
//! literal  0, length (4), bytes
//! copy     1, how many records before this one (4), where in its bytes as they stand in the journal (4), length (4)
//! ```
//!
//! Repeats are found by content, as variables are cut out of documents and documents out of CloudEvents, and nobody hands
//! down where from. Blocks of what was written are known by a hash; a hash that rolls over a new record finds them wherever
//! they begin (as rsync does).
//!
//! **Invariants**
//! - A copy is of bytes that stand in the journal literally, so reading follows one step and never a chain.
//! - It is of the same command, thus of the same batch: wherever a record can be read, what it names can be.
//! - A repeat that is not found costs room, never correctness.
//!
//! Deliberately absent: references to earlier commands. Those may be trimmed, while the record that would name them is not.

use std::collections::BTreeMap;

use kapelle_engine::ids::Sequence;

use super::{Malformed, SHORTENED, take};

const LITERAL: u8 = 0;
const COPY: u8 = 1;

/// A repeat of so many bytes is found for certain if it holds three whole blocks of what it repeats.
const BLOCKS_IN_MIN: usize = 4;
const BLOCK_BYTES_MIN: usize = 8;
const BLOCK_BYTES_MAX: usize = 4096;

/// Odd, with bits all over: what a byte is multiplied by for each that follows it in its block.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes that were right while the block was not, after which a command's records are no longer searched: somebody has
/// made them so.
const FALSE_HITS_MAX: usize = 1_000;

/// What the records of one command hold literally, while it is written.
#[derive(Debug)]
pub(crate) struct Copies {
    /// Records below this size are neither shortened nor remembered.
    bytes_min: usize,
    block: Block,
    /// Places in the batch's buffer, which only grows while a command is written.
    literals: Vec<Literal>,
    /// Of these, so many are in `known`.
    indexed: usize,
    known: BTreeMap<u64, Place>,
    seen: Seen,
    false_hits: usize,
}

/// Bytes of a record that stand in the buffer as they are.
#[derive(Clone, Copy, Debug)]
struct Literal {
    record: Sequence,
    record_at: usize,
    at: usize,
    end: usize,
}

/// Where a known block begins.
#[derive(Clone, Copy, Debug)]
struct Place {
    literal: usize,
    at: usize,
}

/// A stretch of the record that is being shortened: `at..at + length`.
#[derive(Clone, Copy, Debug)]
struct Repeat {
    at: usize,
    length: usize,
    literal: usize,
    from: usize,
}

impl Copies {
    pub(crate) fn new(bytes_min: usize) -> Self {
        let block = (bytes_min / BLOCKS_IN_MIN).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        Self {
            bytes_min: bytes_min.max(block),
            block: Block::new(block),
            literals: Vec::new(),
            indexed: 0,
            known: BTreeMap::new(),
            seen: Seen::default(),
            false_hits: 0,
        }
    }

    /// The record `sequence` is `out[start..]`; afterwards it is there in its shorter form, if it has one.
    pub(crate) fn shorten(&mut self, sequence: Sequence, start: usize, out: &mut Vec<u8>) -> bool {
        if out.len() - start < self.bytes_min {
            return false;
        }
        let repeats = self.find(out, start);
        let whole = Literal {
            record: sequence,
            record_at: start,
            at: start,
            end: out.len(),
        };
        if repeats.is_empty() {
            self.literals.push(whole);
            return false;
        }
        let record = out.split_off(start);
        self.write(&record, &repeats, whole, out);
        true
    }

    fn write(&mut self, record: &[u8], repeats: &[Repeat], whole: Literal, out: &mut Vec<u8>) {
        out.push(SHORTENED);
        let mut done = 0;
        for repeat in repeats {
            self.write_literal(&record[done..repeat.at], whole, out);
            let literal = &self.literals[repeat.literal];
            out.push(COPY);
            put_count(whole.record.0 - literal.record.0, out);
            put_count((repeat.from - literal.record_at) as u64, out);
            put_count(repeat.length as u64, out);
            done = repeat.at + repeat.length;
        }
        self.write_literal(&record[done..], whole, out);
    }

    fn write_literal(&mut self, bytes: &[u8], whole: Literal, out: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        out.push(LITERAL);
        put_count(bytes.len() as u64, out);
        let at = out.len();
        out.extend_from_slice(bytes);
        if bytes.len() >= self.bytes_min {
            let end = out.len();
            self.literals.push(Literal { at, end, ..whole });
        }
    }

    /// What of `out[start..]` stands before it, in order and without overlaps.
    fn find(&mut self, out: &[u8], start: usize) -> Vec<Repeat> {
        self.index(out);
        let (record, block) = (&out[start..], self.block.bytes);
        let mut repeats = Vec::new();
        let (mut done, mut at) = (0, 0);
        let mut hash = None;
        while at + block <= record.len() && self.false_hits < FALSE_HITS_MAX {
            let here = hash.unwrap_or_else(|| self.block.hash(&record[at..at + block]));
            match self.repeat_at(out, record, done, at, here) {
                Some(repeat) => {
                    done = repeat.at + repeat.length;
                    at = done;
                    hash = None;
                    repeats.push(repeat);
                }
                None => {
                    hash = record
                        .get(at + block)
                        .map(|next| self.block.roll(here, record[at], *next));
                    at += 1;
                }
            }
        }
        repeats
    }

    /// The longest repeat around a known block that is at `at`, going back to `done` at most.
    fn repeat_at(
        &mut self,
        out: &[u8],
        record: &[u8],
        done: usize,
        at: usize,
        hash: u64,
    ) -> Option<Repeat> {
        if !self.seen.has(hash) {
            return None;
        }
        let place = *self.known.get(&hash)?;
        let literal = self.literals[place.literal];
        let ahead = common(&record[at..], &out[place.at..literal.end]);
        if ahead < self.block.bytes {
            self.false_hits += 1;
            return None;
        }
        let behind = record[done..at]
            .iter()
            .rev()
            .zip(out[literal.at..place.at].iter().rev())
            .take_while(|(one, other)| one == other)
            .count();
        Some(Repeat {
            at: at - behind,
            length: behind + ahead,
            literal: place.literal,
            from: place.at - behind,
        })
    }

    /// Learns the blocks of what was written since; nothing, for nearly all commands, as they have one large record at most.
    fn index(&mut self, out: &[u8]) {
        for (number, literal) in self.literals.iter().enumerate().skip(self.indexed) {
            let blocks = out[literal.at..literal.end].chunks_exact(self.block.bytes);
            for (index, block) in blocks.enumerate() {
                let hash = self.block.hash(block);
                self.seen.add(hash);
                self.known.entry(hash).or_insert(Place {
                    literal: number,
                    at: literal.at + index * self.block.bytes,
                });
            }
        }
        self.indexed = self.literals.len();
    }
}

/// How many bytes are the same from the beginning.
fn common(one: &[u8], other: &[u8]) -> usize {
    const AT_ONCE: usize = 256;
    let long = one
        .chunks_exact(AT_ONCE)
        .zip(other.chunks_exact(AT_ONCE))
        .take_while(|(one, other)| one == other)
        .count()
        * AT_ONCE;
    let rest = one[long..].iter().zip(&other[long..]);
    long + rest.take_while(|(one, other)| one == other).count()
}

fn put_count(count: u64, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("invariant: a batch is limited far below 4 GiB");
    out.extend_from_slice(&count.to_le_bytes());
}

/// The hash of a block, which can be had of the next one from that of the one before.
#[derive(Debug)]
struct Block {
    bytes: usize,
    /// What the first byte of a block has been multiplied by.
    first: u64,
}

impl Block {
    fn new(bytes: usize) -> Self {
        let exponent = u32::try_from(bytes - 1).expect("invariant: blocks are short");
        let first = FACTOR.wrapping_pow(exponent);
        Self { bytes, first }
    }

    fn hash(&self, block: &[u8]) -> u64 {
        block.iter().fold(0, |hash, byte| add(hash, *byte))
    }

    /// A byte further: `gone` was its first, `next` is its last.
    fn roll(&self, hash: u64, gone: u8, next: u8) -> u64 {
        add(
            hash.wrapping_sub(weight(gone).wrapping_mul(self.first)),
            next,
        )
    }
}

fn add(hash: u64, byte: u8) -> u64 {
    hash.wrapping_mul(FACTOR).wrapping_add(weight(byte))
}

/// No byte weighs nothing, or zeros of any number would be alike.
fn weight(byte: u8) -> u64 {
    u64::from(byte) + 1
}

/// Which hashes may be known: looking here first spares nearly every byte the search in the tree.
struct Seen(Vec<u64>);

impl Seen {
    const BITS: u32 = 16;

    fn place(hash: u64) -> (usize, u64) {
        // The high bits depend on every byte of the block.
        let bit = hash >> (u64::BITS - Self::BITS);
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn add(&mut self, hash: u64) {
        if self.0.is_empty() {
            self.0.resize((1 << Self::BITS) / 64, 0);
        }
        let (word, bit) = Self::place(hash);
        self.0[word] |= bit;
    }

    fn has(&self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

impl Default for Seen {
    /// Made when the first is added: most commands add none.
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

/// The records of one batch, read in order and whole again.
#[derive(Debug, Default)]
pub struct Whole<'a> {
    before: Vec<&'a [u8]>,
    /// The last one that was shortened.
    buffer: Vec<u8>,
}

impl<'a> Whole<'a> {
    /// The next record as it was before it was shortened.
    ///
    /// # Errors
    /// [`Malformed`] if what it names is not there.
    pub fn next(&mut self, record: &'a [u8]) -> Result<&[u8], Malformed> {
        let whole = match record.split_first() {
            Some((&SHORTENED, parts)) => {
                self.buffer.clear();
                lengthen(parts, &self.before, &mut self.buffer)?;
                &self.buffer
            }
            _ => record,
        };
        self.before.push(record);
        Ok(whole)
    }
}

fn lengthen(mut parts: &[u8], before: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Malformed> {
    while !parts.is_empty() {
        let [part] = take(&mut parts)?;
        match part {
            LITERAL => {
                let length = take_count(&mut parts)?;
                let (bytes, rest) = parts.split_at_checked(length).ok_or(Malformed::Content)?;
                parts = rest;
                out.extend_from_slice(bytes);
            }
            COPY => {
                let [back, from, length] = [
                    take_count(&mut parts)?,
                    take_count(&mut parts)?,
                    take_count(&mut parts)?,
                ];
                let record = before
                    .len()
                    .checked_sub(back)
                    .and_then(|index| before.get(index));
                let bytes = record
                    .and_then(|record| record.get(from..)?.get(..length))
                    .ok_or(Malformed::Content)?;
                out.extend_from_slice(bytes);
            }
            _ => return Err(Malformed::Content),
        }
    }
    Ok(())
}

fn take_count(bytes: &mut &[u8]) -> Result<usize, Malformed> {
    take(bytes).map(|count| u32::from_le_bytes(count) as usize)
}

#[cfg(test)]
mod tests;
