//! Reading behind the writer.
//!
//! Invariant: only bytes that were durable when they were read are looked at, so the writer can never be seen half way;
//! every batch is checked against the chain. Readers do not hold segments: one that is trimmed away below a reader makes
//! it fail with `Trimmed`, never with damage.

use super::{
    Cursor, Error, Read, ReadBatch,
    batch::well_formed,
    error::Attempt,
    segment::{Segment, Shared},
};
use crate::{
    format::{BATCH_HEADER_BYTES, BatchHeader, BatchKind, Unreadable},
    position::{Chain, Leader, Point, Sequence},
};
use std::{sync::Arc, time::Duration};

/// Read at once: few calls in a long replay, little waste behind the tail (never more than what is durable).
const CHUNK: u64 = 256 << 10;

#[derive(Debug, Clone)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    partition: u32,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, partition: u32) -> Self {
        Self { shared, partition }
    }

    pub(super) fn cursor(&self, from: Sequence) -> Result<SegmentCursor, Error> {
        let from = from.max(Sequence(1));
        let end = self.shared.durable().sequence;
        if from > end.next() {
            return Err(Error::BeyondEnd { wanted: from, end });
        }
        let segment = self.shared.holding(from);
        if segment.is_none() && from <= end {
            return Err(Error::Trimmed {
                wanted: from,
                oldest: self.shared.first(),
            });
        }
        let mut cursor = SegmentCursor {
            shared: Arc::clone(&self.shared),
            partition: self.partition,
            place: None,
            next: from,
            buffer: Vec::new(),
            buffer_at: 0,
        };
        if let Some(segment) = segment {
            cursor.seek(segment, from)?;
        }
        Ok(cursor)
    }
}

impl Read for Reader {
    fn read_from(&self, from: Sequence) -> Result<Box<dyn Cursor>, Error> {
        Ok(Box::new(self.cursor(from)?))
    }

    fn first(&self) -> Sequence {
        self.shared.first()
    }

    fn durable(&self) -> Point {
        self.shared.durable()
    }

    fn wait_past(&self, seen: Sequence, timeout: Duration) -> Result<Point, Error> {
        self.shared.wait_past(seen, timeout)
    }
}

pub(super) struct SegmentCursor {
    shared: Arc<Shared>,
    partition: u32,
    /// `None` in a journal without segments.
    place: Option<Place>,
    next: Sequence,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte in the segment.
    buffer_at: u64,
}

struct Place {
    segment: Arc<Segment>,
    offset: u64,
    chain: Chain,
    leader: Leader,
}

impl SegmentCursor {
    pub(super) fn advance(&mut self) -> Result<Option<ReadBatch<'_>>, Error> {
        let Some((header, at)) = self.next_header()? else {
            return Ok(None);
        };
        let payload_at = at + BATCH_HEADER_BYTES as u64;
        let payload_bytes = header.payload_bytes as usize;
        self.fill(payload_at, payload_bytes)?;
        let payload = self.buffered(payload_at, payload_bytes);
        if crc32c::crc32c(payload) != header.payload_crc {
            return Err(self.broken(at, "payload checksum does not match"));
        }
        if !well_formed(payload, header.count) {
            return Err(self.broken(at, "payload is not the announced number of records"));
        }
        self.pass(&header);
        Ok(Some(ReadBatch {
            kind: header.kind,
            leader: header.leader,
            first: header.first,
            count: header.count,
            chain: header.chain,
            payload: self.buffered(payload_at, payload_bytes),
        }))
    }

    /// The header of the next durable batch and its offset; switches segments on the way.
    fn next_header(&mut self) -> Result<Option<(BatchHeader, u64)>, Error> {
        if self.next > self.shared.durable().sequence {
            return Ok(None);
        }
        let holding = self
            .shared
            .holding(self.next)
            .ok_or_else(|| self.trimmed())?;
        let stays = self
            .place
            .as_ref()
            .is_some_and(|place| place.segment.generation == holding.generation);
        if !stays {
            let chain = self.place.as_ref().map(|place| place.chain);
            let next = self.next;
            self.seek(holding, next)?;
            let place = self.place.as_ref().expect("invariant: seek sets the place");
            if chain.is_some_and(|chain| chain != place.chain) {
                return Err(self.broken(0, "segment does not continue the one before"));
            }
        }
        let header = self.header()?;
        let at = self.place.as_ref().map_or(0, |place| place.offset);
        Ok(Some((header, at)))
    }

    /// Goes to the batch that holds `sequence`, by headers alone.
    fn seek(&mut self, segment: Arc<Segment>, sequence: Sequence) -> Result<(), Error> {
        let mark = segment.mark_before(sequence);
        self.buffer.clear();
        self.next = mark.first;
        self.place = Some(Place {
            segment,
            offset: mark.offset,
            chain: mark.chain_before,
            leader: mark.leader_before,
        });
        while self.next < sequence {
            let header = self.header()?;
            if header.last() >= sequence {
                break;
            }
            self.pass(&header);
        }
        Ok(())
    }

    /// Reads and checks the header at the present offset.
    fn header(&mut self) -> Result<BatchHeader, Error> {
        let at = self.place.as_ref().map_or(0, |place| place.offset);
        self.fill(at, BATCH_HEADER_BYTES)?;
        let decoded = BatchHeader::decode(self.buffered(at, BATCH_HEADER_BYTES));
        let header = match decoded {
            Ok(header) => header,
            Err(why) => return Err(self.unreadable(at, why)),
        };
        let place = self
            .place
            .as_ref()
            .expect("invariant: headers are read at a place");
        let expected = Continuation {
            partition: self.partition,
            generation: place.segment.generation,
            next: self.next,
            chain: place.chain,
            leader: place.leader,
        };
        match expected.check(&header) {
            Ok(()) => Ok(header),
            Err(why) => Err(self.broken(at, why)),
        }
    }

    fn pass(&mut self, header: &BatchHeader) {
        self.next = header.next();
        if let Some(place) = &mut self.place {
            place.offset += header.disk_bytes();
            place.chain = header.chain;
            place.leader = header.leader;
        }
    }

    /// Makes `bytes` at `at` of the present segment available in the buffer.
    fn fill(&mut self, at: u64, bytes: usize) -> Result<(), Error> {
        let wanted_end = at + bytes as u64;
        if at >= self.buffer_at && wanted_end <= self.buffer_at + self.buffer.len() as u64 {
            return Ok(());
        }
        let place = self
            .place
            .as_ref()
            .expect("invariant: only a place is read from");
        let end = self
            .shared
            .readable_end(&place.segment)
            .ok_or_else(|| self.trimmed())?;
        if wanted_end > end {
            return Err(self.broken(at, "batch reaches beyond the end of its segment"));
        }
        let count = (end - at).min(CHUNK.max(bytes as u64));
        let count = usize::try_from(count).expect("invariant: a chunk or a batch fits into memory");
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(count, 0);
        let read = place
            .segment
            .at
            .file
            .read_at(at, &mut buffer)
            .attempt("read", &place.segment.at.path)?;
        buffer.truncate(read);
        self.buffer = buffer;
        self.buffer_at = at;
        if read < bytes {
            return Err(self.broken(at, "file ends inside a batch"));
        }
        Ok(())
    }

    fn buffered(&self, at: u64, bytes: usize) -> &[u8] {
        let start = usize::try_from(at - self.buffer_at).expect("invariant: inside the buffer");
        self.buffer
            .get(start..start + bytes)
            .expect("invariant: `fill` came before")
    }

    /// Damage, unless the segment was taken away meanwhile.
    fn broken(&self, offset: u64, why: &str) -> Error {
        self.explain(|place| Error::Corrupt {
            file: place.segment.at.path.clone(),
            offset,
            intact: self.next.before(),
            why: why.to_owned(),
        })
    }

    fn unreadable(&self, offset: u64, why: Unreadable) -> Error {
        self.explain(|place| {
            Error::unreadable(&place.segment.at.path, offset, self.next.before(), why)
        })
    }

    fn explain(&self, error: impl FnOnce(&Place) -> Error) -> Error {
        match &self.place {
            Some(place) if self.shared.readable_end(&place.segment).is_some() => error(place),
            _ => self.trimmed(),
        }
    }

    fn trimmed(&self) -> Error {
        Error::Trimmed {
            wanted: self.next,
            oldest: self.shared.first(),
        }
    }
}

impl Cursor for SegmentCursor {
    fn next_batch(&mut self) -> Result<Option<ReadBatch<'_>>, Error> {
        self.advance()
    }

    fn position(&self) -> Sequence {
        self.next
    }
}

/// What a batch has to fit to.
pub(super) struct Continuation {
    pub(super) partition: u32,
    pub(super) generation: u64,
    pub(super) next: Sequence,
    pub(super) chain: Chain,
    pub(super) leader: Leader,
}

impl Continuation {
    /// The fencing rule: the chain goes on, and its author is the leader or announces itself with a higher epoch.
    pub(super) fn check(&self, header: &BatchHeader) -> Result<(), &'static str> {
        if header.partition != self.partition {
            return Err("batch belongs to another partition");
        }
        if header.generation != self.generation {
            return Err("batch belongs to an earlier use of the file");
        }
        if header.first != self.next || header.chain_before != self.chain {
            return Err("batch does not continue the chain");
        }
        let announced = match header.kind {
            BatchKind::Records => header.leader == self.leader,
            BatchKind::LeaderAnnounced => header.leader.epoch > self.leader.epoch,
        };
        if announced {
            Ok(())
        } else {
            Err("batch is not by the announced leader")
        }
    }
}
