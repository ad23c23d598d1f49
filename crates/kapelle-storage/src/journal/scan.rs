//! Following the chain through one segment, and looking at what lies behind its end.
//!
//! Invariant: reads only, and believes nothing that no checksum covers, lengths least of all.

use super::{
    Error,
    batch::well_formed,
    error::Attempt,
    reader::Continuation,
    segment::{Mark, Segment, SegmentFile},
};
use crate::{
    dir::CHUNK,
    files::File,
    format::{
        BATCH_HEADER_BYTES, BLOCK, BatchHeader, SEGMENT_HEADER_BYTES, SegmentHeader, Unreadable,
    },
    position::{Leader, Point, Sequence},
};
use std::{collections::VecDeque, path::Path};

/// What following the chain through a segment has found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Of the segment that was scanned.
    pub(super) header: Option<SegmentHeader>,
    pub(super) end: Point,
    pub(super) leader: Leader,
    /// Behind the last batch of the chain.
    pub(super) offset: u64,
    pub(super) durable: Sequence,
    /// The batches that are not known to be durable.
    pub(super) unsure: VecDeque<Mark>,
    /// Why what follows is no batch; `None` where there is nothing.
    pub(super) cut: Option<String>,
}

impl Scan {
    pub(super) fn run(segment: &Segment, partition: u32) -> Result<Self, Error> {
        let header = read_header(&segment.at)?
            .map_err(|why| Error::unreadable(&segment.at.path, 0, segment.first.before(), why))?;
        let mut scan = Self {
            header: Some(header),
            end: Point {
                sequence: header.first.before(),
                chain: header.chain_before,
            },
            leader: header.leader_before,
            offset: BLOCK,
            durable: header.durable,
            unsure: VecDeque::new(),
            cut: None,
        };
        let mut window = Window::new(&*segment.at.file);
        while scan.step(segment, partition, &mut window)? {}
        segment.set_end(scan.offset);
        Ok(scan)
    }

    /// Takes one more batch; false at the end of the chain.
    fn step(
        &mut self,
        segment: &Segment,
        partition: u32,
        window: &mut Window<'_>,
    ) -> Result<bool, Error> {
        let path = &segment.at.path;
        let at = self.offset;
        let bytes = window.get(at, BATCH_HEADER_BYTES, path)?;
        let header = match bytes.map(BatchHeader::decode) {
            None => return Ok(false),
            Some(Ok(header)) => header,
            Some(Err(Unreadable::Newer(version))) => {
                return Err(Error::unreadable(
                    path,
                    at,
                    self.end.sequence,
                    Unreadable::Newer(version),
                ));
            }
            Some(Err(why)) => {
                // Zeros are where nothing was ever written; anything else is worth telling.
                let blank = bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
                self.cut = (!blank).then(|| why.to_string());
                return Ok(false);
            }
        };
        let fits = Continuation {
            partition,
            generation: segment.generation,
            next: self.end.sequence.next(),
            chain: self.end.chain,
            leader: self.leader,
        }
        .check(&header);
        if let Err(why) = fits {
            // The ordinary end in a recycled file: not even worth telling.
            self.cut = (header.generation == segment.generation).then(|| why.to_owned());
            return Ok(false);
        }
        if !window.is_whole(&header, at, path)? {
            self.cut = Some("payload checksum does not match".to_owned());
            return Ok(false);
        }
        self.take(segment, &header);
        Ok(true)
    }

    fn take(&mut self, segment: &Segment, header: &BatchHeader) {
        let mark = Mark {
            first: header.first,
            offset: self.offset,
            chain_before: header.chain_before,
            leader_before: self.leader,
        };
        segment.mark(mark);
        self.durable = self.durable.max(header.durable);
        // A batch is durable as a whole, so one that begins at or before the mark is.
        while self
            .unsure
            .front()
            .is_some_and(|earlier| earlier.first <= self.durable)
        {
            self.unsure.pop_front();
        }
        if header.last() > self.durable {
            self.unsure.push_back(mark);
        }
        self.offset += header.disk_bytes();
        self.leader = header.leader;
        self.end = Point {
            sequence: header.last(),
            chain: header.chain,
        };
    }
}

pub(super) fn read_header(at: &SegmentFile) -> Result<Result<SegmentHeader, Unreadable>, Error> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let read = at.file.read_at(0, &mut bytes).attempt("read", &at.path)?;
    Ok(SegmentHeader::decode(bytes.get(..read).unwrap_or_default()))
}

/// A file read forward in large pieces.
pub(super) struct Window<'a> {
    file: &'a dyn File,
    buffer: Vec<u8>,
    at: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn File) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// `None` where the file ends before.
    fn get(&mut self, at: u64, bytes: usize, path: &Path) -> Result<Option<&[u8]>, Error> {
        let inside = at >= self.at && at + bytes as u64 <= self.at + self.buffer.len() as u64;
        if !inside {
            self.buffer.resize(bytes.max(CHUNK), 0);
            let read = self
                .file
                .read_at(at, &mut self.buffer)
                .attempt("read", path)?;
            self.buffer.truncate(read);
            self.at = at;
        }
        let start = usize::try_from(at - self.at).expect("invariant: inside the buffer");
        Ok(self.buffer.get(start..start + bytes))
    }

    fn header(&mut self, at: u64, path: &Path) -> Result<Option<BatchHeader>, Error> {
        let bytes = self.get(at, BATCH_HEADER_BYTES, path)?;
        Ok(bytes.and_then(|bytes| BatchHeader::decode(bytes).ok()))
    }

    /// The first whole batch from `from` on whose header is wanted, and where it is.
    pub(super) fn find(
        &mut self,
        from: u64,
        file: &SegmentFile,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> Result<Option<(BatchHeader, u64)>, Error> {
        let mut at = from;
        while at + BATCH_HEADER_BYTES as u64 <= file.capacity {
            if let Some(header) = self.header(at, &file.path)?
                && wanted(&header)
                && self.is_whole(&header, at, &file.path)?
            {
                return Ok(Some((header, at)));
            }
            at += BLOCK;
        }
        Ok(None)
    }

    pub(super) fn is_whole(
        &mut self,
        header: &BatchHeader,
        at: u64,
        path: &Path,
    ) -> Result<bool, Error> {
        let payload_at = at + BATCH_HEADER_BYTES as u64;
        // A length is only believed as far as there is a file to hold it.
        if payload_at + u64::from(header.payload_bytes)
            > self.file.len().attempt("read the length of", path)?
        {
            return Ok(false);
        }
        let payload = self.get(payload_at, header.payload_bytes as usize, path)?;
        Ok(payload.is_some_and(|payload| {
            crc32c::crc32c(payload) == header.payload_crc && well_formed(payload, header.count)
        }))
    }
}
