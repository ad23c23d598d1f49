//! The two halves of appending. [`Front`] belongs to the deciding thread: it gives a batch its place in history.
//! [`SegmentWriter`] belongs to whoever does the I/O: it gives it a place on disk, writes, syncs, publishes.
//!
//! Invariant: one batch at a time is written, and the next only after the sync of the one before; the durable sequence
//! in a header is therefore always that of the batch before.

use super::{
    Batch, Error, Options,
    error::Attempt,
    figures::Figures,
    pool::Pool,
    segment::{Mark, Segment, Shared},
};
use crate::{
    format::{BATCH_HEADER_BYTES, BLOCK, BatchHeader, BatchKind, SegmentHeader, SegmentState},
    position::{Leader, Point, Sequence},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// Buffers kept for reuse: one being filled, one in flight.
const SPARE_MAX: usize = 2;
/// A buffer that grew over this for one large batch is not kept.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// A batch with its place in history.
#[derive(Debug)]
pub(super) struct Sealed {
    header: BatchHeader,
    batch: Batch,
    leader_before: Leader,
}

#[derive(Debug)]
pub(super) struct Front {
    partition: u32,
    batch_bytes_max: usize,
    leader: Leader,
    end: Point,
    spare: Vec<Vec<u8>>,
}

impl Front {
    pub(super) fn new(options: &Options, leader: Leader, end: Point) -> Self {
        Self {
            partition: options.partition,
            batch_bytes_max: options.batch_bytes_max,
            leader,
            end,
            spare: Vec::new(),
        }
    }

    pub(super) fn leader(&self) -> Leader {
        self.leader
    }

    pub(super) fn end(&self) -> Point {
        self.end
    }

    pub(super) fn batch_bytes_max(&self) -> usize {
        self.batch_bytes_max
    }

    pub(super) fn batch(&mut self) -> Batch {
        let buffer = self.spare.pop().unwrap_or_default();
        Batch::new(BatchKind::Records, self.end.sequence.next(), buffer)
    }

    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            self.spare.push(buffer);
        }
    }

    /// Whether the batch may be appended. Nothing is changed yet.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), Error> {
        let expected = self.end.sequence.next();
        if batch.first() != expected || batch.is_empty() {
            return Err(Error::Conflict {
                expected,
                found: batch.first(),
            });
        }
        if batch.bytes() > self.batch_bytes_max {
            return Err(Error::TooLarge {
                bytes: batch.bytes(),
                bytes_max: self.batch_bytes_max,
            });
        }
        Ok(())
    }

    pub(super) fn seal(&mut self, batch: Batch) -> Sealed {
        let leader = self.leader;
        self.seal_as(batch, leader)
    }

    /// Seals the fence that makes `leader` the leader.
    pub(super) fn seal_fence(&mut self, note: &[u8], leader: Leader) -> Sealed {
        let mut batch = Batch::new(
            BatchKind::LeaderAnnounced,
            self.end.sequence.next(),
            Vec::new(),
        );
        batch.push(note);
        self.seal_as(batch, leader)
    }

    fn seal_as(&mut self, batch: Batch, leader: Leader) -> Sealed {
        let payload_bytes =
            u32::try_from(batch.bytes()).expect("invariant: batches are limited far below 4 GiB");
        let mut header = BatchHeader {
            kind: batch.kind(),
            payload_bytes,
            count: batch.len(),
            partition: self.partition,
            payload_crc: crc32c::crc32c(batch.payload()),
            // Given by the writer, which knows the segment.
            generation: 0,
            durable: Sequence::START,
            leader,
            first: batch.first(),
            chain_before: self.end.chain,
            chain: self.end.chain,
        };
        header.chain = header.compute_chain();
        let leader_before = std::mem::replace(&mut self.leader, leader);
        self.end = Point {
            sequence: header.last(),
            chain: header.chain,
        };
        Sealed {
            header,
            batch,
            leader_before,
        }
    }
}

#[derive(Debug)]
pub(super) struct SegmentWriter {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    options: Options,
    active: Option<Arc<Segment>>,
    offset: u64,
    /// The generation of the segment for which a spare was asked last.
    spare_asked_in: u64,
    figures: Figures,
}

impl SegmentWriter {
    /// `active` is the segment to append to at `offset`; `None` in a journal without segments.
    pub(super) fn new(
        shared: Arc<Shared>,
        pool: Arc<Pool>,
        options: Options,
        active: Option<Arc<Segment>>,
        offset: u64,
    ) -> Self {
        Self {
            shared,
            pool,
            options,
            active,
            offset,
            spare_asked_in: 0,
            figures: Figures::default(),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            segments_created: self.pool.created.load(Ordering::Relaxed),
            segments_recycled: self.pool.recycled.load(Ordering::Relaxed),
            segments_live: self.shared.len() as u64,
            ..self.figures
        }
    }

    /// Writes and syncs a batch and tells the readers; gives the buffer back. The first error is the last call that
    /// does anything.
    pub(super) fn commit(&mut self, sealed: Sealed) -> Result<Vec<u8>, Error> {
        self.shared.check()?;
        self.try_commit(sealed)
            .inspect_err(|error| self.shared.poison(&error.to_string()))
    }

    fn try_commit(&mut self, sealed: Sealed) -> Result<Vec<u8>, Error> {
        let started = Instant::now();
        let Sealed {
            mut header,
            batch,
            leader_before,
        } = sealed;
        header.durable = self.shared.durable().sequence;
        let segment = self.place(&header, leader_before)?;
        header.generation = segment.generation;
        let bytes = batch.seal(&header);
        segment.mark(Mark {
            first: header.first,
            offset: self.offset,
            chain_before: header.chain_before,
            leader_before,
        });
        segment
            .at
            .file
            .write_at(self.offset, &bytes)
            .attempt("write", &segment.at.path)?;
        segment.at.sync()?;
        self.offset += bytes.len() as u64;
        let durable = Point {
            sequence: header.last(),
            chain: header.chain,
        };
        self.shared
            .publish(durable, segment.generation, self.offset);
        self.figures.batches += 1;
        self.figures.records += u64::from(header.count);
        self.figures.bytes += bytes.len() as u64;
        self.figures.syncs += 1;
        self.figures.sync_time.observe(started.elapsed());
        Ok(bytes)
    }

    /// The segment for a batch: the active one, or a new one if it is full.
    fn place(
        &mut self,
        header: &BatchHeader,
        leader_before: Leader,
    ) -> Result<Arc<Segment>, Error> {
        let bytes = header.disk_bytes();
        if let Some(active) = &self.active
            && self.offset + bytes <= active.at.capacity
        {
            return Ok(Arc::clone(active));
        }
        let generation = self
            .active
            .as_ref()
            .map_or(1, |active| active.generation + 1);
        let file = self.pool.take(BLOCK + bytes)?;
        let header = SegmentHeader {
            state: SegmentState::Live,
            partition: self.options.partition,
            generation,
            first: header.first,
            chain_before: header.chain_before,
            durable: header.durable,
            leader_before,
        };
        // Synced together with the first batch: until then nothing in this segment counts.
        file.write_header(&header)?;
        if let Some(full) = &self.active {
            full.set_end(self.offset);
        }
        let segment = Arc::new(Segment::new(file, &header));
        self.shared.push(Arc::clone(&segment));
        self.active = Some(Arc::clone(&segment));
        self.offset = BLOCK;
        Ok(segment)
    }

    /// The capacity in use, if the next segment should be made ready now: half of this one is full. Said once for each
    /// segment: if it cannot be made, trying at every batch would only keep a full disk busy.
    pub(super) fn wants_spare(&mut self) -> Option<u64> {
        let active = self.active.as_ref()?;
        let due = self.offset * 2 >= active.at.capacity && self.spare_asked_in < active.generation;
        if !due || !self.pool.is_empty() {
            return None;
        }
        self.spare_asked_in = active.generation;
        Some(active.at.capacity)
    }

    /// The largest batch that any segment takes, header included, must fit: options are checked once.
    pub(super) fn batch_bytes_max(options: &Options) -> usize {
        let room = options
            .segment_bytes
            .saturating_sub(BLOCK + BATCH_HEADER_BYTES as u64);
        options
            .batch_bytes_max
            .min(usize::try_from(room).unwrap_or(usize::MAX))
    }
}
