//! A batch under construction, and the records of one that was read.

use crate::{
    format::{
        BATCH_HEADER_BYTES, BatchHeader, BatchKind, RECORD_PREFIX_BYTES, padded, put, records,
    },
    position::Sequence,
};

/// Records on their way into the journal. Made by [`super::Journal::batch`].
///
/// The buffer begins with room for the header, so that sealing and writing copy nothing.
#[derive(Debug)]
pub struct Batch {
    buffer: Vec<u8>,
    first: Sequence,
    count: u32,
    kind: BatchKind,
}

impl Batch {
    pub(crate) fn new(kind: BatchKind, first: Sequence, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(BATCH_HEADER_BYTES, 0);
        Self {
            buffer,
            first,
            count: 0,
            kind,
        }
    }

    /// Adds a record and returns its sequence.
    pub fn push(&mut self, record: &[u8]) -> Sequence {
        self.push_with(|buffer| buffer.extend_from_slice(record))
    }

    /// Adds the record that `encode` appends to the buffer, which holds other bytes already.
    ///
    /// # Panics
    /// If a record reaches 4 GiB: limits hold long before that.
    pub fn push_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Sequence {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; RECORD_PREFIX_BYTES]);
        encode(&mut self.buffer);
        let len = self.buffer.len() - start - RECORD_PREFIX_BYTES;
        let len = u32::try_from(len).expect("invariant: records are limited far below 4 GiB");
        put(&mut self.buffer, start, len.to_le_bytes());
        let sequence = self.next();
        self.count += 1;
        sequence
    }

    #[must_use]
    pub fn first(&self) -> Sequence {
        self.first
    }

    /// The sequence that the next record will have.
    #[must_use]
    pub fn next(&self) -> Sequence {
        self.first.plus(u64::from(self.count))
    }

    /// Takes back the newest records, so that it holds `count` of them in `bytes` as it did before.
    ///
    /// # Panics
    /// If it never did: then it would hold half a record.
    pub fn rewind(&mut self, count: u32, bytes: usize) {
        assert!(
            bytes <= self.bytes() && well_formed(&self.payload()[..bytes], count),
            "invariant: a batch is rewound to where it was"
        );
        self.buffer.truncate(BATCH_HEADER_BYTES + bytes);
        self.count = count;
    }

    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of records with their prefixes: what `batch_bytes_max` limits.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len() - BATCH_HEADER_BYTES
    }

    pub(crate) fn kind(&self) -> BatchKind {
        self.kind
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.buffer[BATCH_HEADER_BYTES..]
    }

    /// Makes the bytes that go to disk: header in front, padded to whole blocks.
    pub(crate) fn seal(mut self, header: &BatchHeader) -> Vec<u8> {
        put(&mut self.buffer, 0, header.encode());
        let len = usize::try_from(padded(self.buffer.len() as u64))
            .expect("invariant: a batch fits into memory");
        self.buffer.resize(len, 0);
        self.buffer
    }
}

/// The records of a batch with their sequences.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    next: Sequence,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(first: Sequence, payload: &'a [u8]) -> Self {
        Self {
            next: first,
            rest: payload,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (Sequence, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The cursor has checked that the payload is whole records; see `well_formed`.
        let record = records(self.rest).next()??;
        self.rest = &self.rest[RECORD_PREFIX_BYTES + record.len()..];
        let sequence = self.next;
        self.next = sequence.next();
        Some((sequence, record))
    }
}

/// Whether a payload is exactly `count` records.
pub(crate) fn well_formed(payload: &[u8], count: u32) -> bool {
    let mut seen = 0_u64;
    for record in records(payload) {
        if record.is_none() {
            return false;
        }
        seen += 1;
    }
    seen == u64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewound_batch_is_as_it_was_and_goes_on() {
        let mut batch = Batch::new(BatchKind::Records, Sequence(7), Vec::new());
        batch.push(b"one");
        let (count, bytes) = (batch.len(), batch.bytes());
        let before = batch.payload().to_vec();
        batch.push(b"two");
        batch.push(b"three");
        batch.rewind(count, bytes);
        assert_eq!((batch.payload(), batch.next()), (&before[..], Sequence(8)));
        assert_eq!(batch.push(b"four"), Sequence(8));
        assert!(well_formed(batch.payload(), 2));
    }

    #[test]
    #[should_panic(expected = "rewound to where it was")]
    fn a_batch_is_not_rewound_into_the_middle_of_a_record() {
        let mut batch = Batch::new(BatchKind::Records, Sequence(1), Vec::new());
        batch.push(b"one");
        batch.rewind(1, batch.bytes() - 1);
    }
}
