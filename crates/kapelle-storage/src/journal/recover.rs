//! Opening a journal after whatever ended the process before.
//!
//! [`open`] only reads: it finds the live segments, follows the chain through the last one and tells a torn tail (cut)
//! from damage (stop). [`Opened::announce`] then makes the journal writable: what may be in the page cache alone is
//! rewritten into a fresh segment and synced, and the new leader is announced behind it.
//!
//! Invariant: until the header of the fresh segment is synced, the old one stands as it is, so a crash at any point of
//! the announcement loses nothing. Earlier segments are checked by whoever reads them, so a start depends on the last
//! segment and on the tail that is replayed, not on the size of the journal.

use super::{
    Cursor as _, Error, Options, Read,
    error::Attempt,
    pool::Pool,
    reader::Reader,
    scan::{Scan, Window, read_header},
    segment::{Mark, Segment, SegmentFile, Shared},
    writer::{Front, SegmentWriter},
};
use crate::{
    dir::Room,
    files::Files,
    format::{BLOCK, BatchHeader, SegmentHeader, SegmentState, Unreadable, put},
    position::{Leader, Point, Sequence},
};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What opening found, for the log of the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub segments: usize,
    pub first: Sequence,
    pub end: Point,
    /// The torn tail that was cut: file, offset, why it is no batch.
    pub cut: Option<(PathBuf, u64, String)>,
    /// Records that may have been in the page cache alone and are rewritten by [`Opened::announce`].
    pub unsure: u64,
    /// Files whose header is damaged but which hold records, none of them known to be missing. They are left alone.
    pub damaged: Vec<PathBuf>,
}

/// A journal that can be read to its end but not written yet.
#[derive(Debug)]
pub struct Opened {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    options: Options,
    leader: Leader,
    tail: Option<Tail>,
    /// Files that hold nothing of value, in the order in which they are to be made free.
    unused: Vec<SegmentFile>,
    report: Report,
}

/// The end of the last segment from the first batch that is not known to be synced.
#[derive(Debug)]
struct Tail {
    segment: Arc<Segment>,
    /// As it was read.
    header: SegmentHeader,
    start: Mark,
    end: u64,
    durable: Sequence,
}

/// A journal that this process leads. Make a [`super::DirectJournal`] or [`super::ThreadedJournal`] of it.
#[derive(Debug)]
pub struct Announced {
    pub(super) front: Front,
    pub(super) writer: SegmentWriter,
    pub(super) partition: u32,
}

/// Opens the journal in `dir`, creating the directory but nothing in it. Without `room` nothing is given up when the
/// disk is full.
pub fn open(
    files: Arc<dyn Files>,
    dir: &Path,
    mut options: Options,
    room: Option<Arc<Room>>,
) -> Result<Opened, Error> {
    options.batch_bytes_max = SegmentWriter::batch_bytes_max(&options);
    files.create_dir(dir).attempt("create directory", dir)?;
    let mut found = Found::list(&*files, dir, options.partition)?;
    let scan = match found.live.back() {
        Some(last) => Scan::run(last, options.partition)?,
        None => Scan::default(),
    };
    found.refuse_if_durable_was_lost(&scan, options.partition)?;
    let damaged = found.set_damaged_aside(options.partition)?;
    let first = found
        .live
        .front()
        .map_or(scan.end.sequence.next(), |segment| segment.first);
    let report = Report {
        segments: found.live.len(),
        first,
        end: scan.end,
        cut: scan
            .cut
            .clone()
            .zip(found.live.back())
            .map(|(why, last)| (last.at.path.clone(), scan.offset, why)),
        unsure: scan
            .unsure
            .front()
            .map_or(0, |mark| scan.end.sequence.0 + 1 - mark.first.0),
        damaged,
    };
    let generation = found.live.back().map_or(0, |segment| segment.generation);
    let tail = found
        .live
        .back()
        .zip(scan.header)
        .map(|(segment, header)| Tail {
            segment: Arc::clone(segment),
            header,
            start: scan.unsure.front().copied().unwrap_or(Mark {
                first: scan.end.sequence.next(),
                offset: scan.offset,
                chain_before: scan.end.chain,
                leader_before: scan.leader,
            }),
            end: scan.offset,
            durable: scan.durable,
        });
    let pool = Pool::new(files, dir, options, room, found.next_number);
    let shared = Shared::new(found.live.clone(), scan.end, (generation, scan.offset));
    found.refuse_if_empty_and_unconnected(&shared, scan.end, options.partition)?;
    Ok(Opened {
        shared,
        pool: Arc::new(pool),
        options,
        leader: scan.leader,
        tail,
        unused: found.unused(),
        report,
    })
}

impl Opened {
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    #[must_use]
    pub fn end(&self) -> Point {
        self.report.end
    }

    /// Who led last.
    #[must_use]
    pub fn leader(&self) -> Leader {
        self.leader
    }

    /// For replay. What it reads is what there is; it becomes durable with [`announce`](Self::announce).
    #[must_use]
    pub fn reader(&self) -> Arc<dyn Read> {
        Arc::new(Reader::new(
            Arc::clone(&self.shared),
            self.options.partition,
        ))
    }

    /// Checks that replay can begin at `from`: ask before [`announce`](Self::announce), so that a journal that lost its
    /// beginning is left as it is.
    pub fn check_reaches(&self, from: Sequence) -> Result<(), Error> {
        let reached = Reader::new(Arc::clone(&self.shared), self.options.partition)
            .cursor(from)
            .map(drop);
        match reached {
            Err(Error::Trimmed { wanted, oldest }) => Err(self
                .damaged_beginning(from)
                .unwrap_or(Error::Trimmed { wanted, oldest })),
            reached => reached,
        }
    }

    /// What is missing from `from` on was perhaps not trimmed: it lies in a file whose header nobody can read any more.
    fn damaged_beginning(&self, from: Sequence) -> Option<Error> {
        Some(Error::Corrupt {
            file: self.report.damaged.first()?.clone(),
            offset: 0,
            intact: from.before(),
            why: "the segment's header is damaged".to_owned(),
        })
    }

    /// Checks that this history goes through `point`: the newest that a checkpoint reflects.
    pub fn check(&self, point: Point) -> Result<(), Error> {
        let found = |found: String| Error::OtherHistory {
            expected: point,
            found,
        };
        if point.sequence == Sequence::START {
            return Ok(());
        }
        if point.sequence > self.end().sequence {
            return Err(found(format!("ends at {}", self.end())));
        }
        if let Some(first) = self.shared.first_segment()
            && point.sequence.next() <= first.first
        {
            // Trimmed up to here; only where the first segment begins exactly here can the chain be compared.
            return if point.sequence.next() == first.first && first.chain_before == point.chain {
                Ok(())
            } else {
                Err(self
                    .damaged_beginning(point.sequence)
                    .unwrap_or_else(|| found(format!("begins after {}", first.first.before()))))
            };
        }
        let reader = Reader::new(Arc::clone(&self.shared), self.options.partition);
        let mut cursor = reader.cursor(point.sequence)?;
        match cursor.next_batch()?.map(|batch| batch.point()) {
            Some(there) if there == point => Ok(()),
            Some(there) => Err(found(format!("has {there}"))),
            None => Err(found("has nothing there".to_owned())),
        }
    }

    /// Takes over: rewrites what may not have been synced, syncs it, announces the new leader, syncs that.
    /// `incarnation` are 128 random bits; `note` is kept with the fence and means nothing here.
    pub fn announce(mut self, incarnation: u128, note: &[u8]) -> Result<Announced, Error> {
        // Who made a file that was found may have been killed before its name was durable.
        self.pool.sync_names()?;
        for file in std::mem::take(&mut self.unused) {
            self.pool.reclaim(file)?;
        }
        let leader = Leader {
            epoch: self.leader.epoch + 1,
            incarnation,
        };
        let mut front = Front::new(&self.options, self.leader, self.report.end);
        let fence = front.seal_fence(note, leader);
        let (active, offset) = match self.tail.take() {
            Some(tail) => {
                let (segment, offset) = self.move_tail(&tail)?;
                (Some(segment), offset)
            }
            None => (None, 0),
        };
        let mut writer = SegmentWriter::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.pool),
            self.options,
            active,
            offset,
        );
        writer.commit(fence)?;
        Ok(Announced {
            front,
            writer,
            partition: self.options.partition,
        })
    }

    /// Returns the fresh segment and where its batches end. Always a fresh one: behind the cut of the old one may lie
    /// what must never be taken for its continuation.
    fn move_tail(&self, tail: &Tail) -> Result<(Arc<Segment>, u64), Error> {
        let bytes = tail.end - tail.start.offset;
        let generation = tail.segment.generation + 1;
        let file = self.pool.take(BLOCK + bytes + BLOCK)?;
        let mut moved = copy_of(tail, bytes)?;
        let mut marks = Vec::new();
        let mut at = 0;
        while at < moved.len() {
            let batch = moved.get_mut(at..).unwrap_or_default();
            let mut header = BatchHeader::decode(batch).map_err(|why| {
                Error::unreadable(
                    &tail.segment.at.path,
                    tail.start.offset + at as u64,
                    tail.durable,
                    why,
                )
            })?;
            header.generation = generation;
            header.durable = tail.durable;
            put(batch, 0, header.encode());
            marks.push((header, BLOCK + at as u64));
            at += usize::try_from(header.disk_bytes()).expect("invariant: the tail is in memory");
        }
        file.file
            .write_at(BLOCK, &moved)
            .attempt("write", &file.path)?;
        file.sync()?;
        // Read after `kill -9`, the old segment's header may be in the page cache alone, or have been lost by a failed
        // sync. If power took it away from under its successor, there would be a gap.
        tail.segment.at.write_header(&tail.header)?;
        tail.segment.at.sync()?;
        let header = SegmentHeader {
            state: SegmentState::Live,
            partition: self.options.partition,
            generation,
            first: tail.start.first,
            chain_before: tail.start.chain_before,
            durable: self.report.end.sequence,
            leader_before: tail.start.leader_before,
        };
        file.write_header(&header)?;
        file.sync()?;
        let segment = Arc::new(Segment::new(file, &header));
        let mut leader = header.leader_before;
        for (batch, offset) in marks {
            segment.mark(Mark {
                first: batch.first,
                offset,
                chain_before: batch.chain_before,
                leader_before: leader,
            });
            leader = batch.leader;
        }
        let end = BLOCK + bytes;
        self.shared.push(Arc::clone(&segment));
        self.shared.publish(self.report.end, generation, end);
        Ok((segment, end))
    }
}

fn copy_of(tail: &Tail, bytes: u64) -> Result<Vec<u8>, Error> {
    let len = usize::try_from(bytes).expect("invariant: a tail is a few batches");
    let mut copy = vec![0; len];
    let path = &tail.segment.at.path;
    let read = tail
        .segment
        .at
        .file
        .read_at(tail.start.offset, &mut copy)
        .attempt("read", path)?;
    if read == len {
        Ok(copy)
    } else {
        Err(Error::Corrupt {
            file: path.clone(),
            offset: tail.start.offset + read as u64,
            intact: tail.durable,
            why: "file became shorter while it was read".to_owned(),
        })
    }
}

/// The files of a journal, sorted out by their headers.
struct Found {
    live: VecDeque<Arc<Segment>>,
    free: Vec<(u64, SegmentFile)>,
    /// Files whose header says nothing.
    blank: Vec<SegmentFile>,
    next_number: u64,
}

impl Found {
    fn list(files: &dyn Files, dir: &Path, partition: u32) -> Result<Self, Error> {
        let mut live = Vec::new();
        let mut found = Self {
            live: VecDeque::new(),
            free: Vec::new(),
            blank: Vec::new(),
            next_number: 1,
        };
        for name in files.list(dir).attempt("list", dir)? {
            let Some(number) = Pool::number_of(&name) else {
                continue;
            };
            found.next_number = found.next_number.max(number + 1);
            let path = dir.join(name);
            let file = files.open(&path).attempt("open", &path)?;
            let capacity = file.len().attempt("read the length of", &path)?;
            let at = SegmentFile {
                file,
                path,
                capacity,
            };
            match read_header(&at)? {
                Ok(header) if header.partition != partition => {
                    return Err(Error::OtherPartition {
                        file: at.path,
                        found: header.partition,
                        expected: partition,
                    });
                }
                Ok(header) if header.state == SegmentState::Live => live.push((header, at)),
                Ok(header) => found.free.push((header.generation, at)),
                Err(Unreadable::Newer(version)) => {
                    return Err(Error::unreadable(
                        &at.path,
                        0,
                        Sequence::START,
                        Unreadable::Newer(version),
                    ));
                }
                Err(_) => found.blank.push(at),
            }
        }
        live.sort_by_key(|(header, _)| header.generation);
        for (header, at) in live {
            found.add_live(dir, &header, at)?;
        }
        Ok(found)
    }

    fn add_live(
        &mut self,
        dir: &Path,
        header: &SegmentHeader,
        at: SegmentFile,
    ) -> Result<(), Error> {
        if let Some(before) = self.live.back()
            && before.generation + 1 != header.generation
        {
            return Err(Error::SegmentMissing {
                dir: dir.to_owned(),
                missing: before.generation + 1,
                before: before.generation,
                after: header.generation,
            });
        }
        self.live.push_back(Arc::new(Segment::new(at, header)));
        Ok(())
    }

    /// Oldest first: a free header that was read may be in the page cache alone, and if power were lost after a younger
    /// segment was made free for good, there would be a gap. A header that is no header was on its way to be free, or
    /// is younger than all.
    fn unused(mut self) -> Vec<SegmentFile> {
        self.free.sort_by_key(|(generation, _)| *generation);
        let free = self.free.into_iter().map(|(_, file)| file);
        self.blank.into_iter().chain(free).collect()
    }

    /// Sets aside files without a readable header that hold whole batches. Headers lie in one sector, which is written
    /// whole or not at all, so no crash makes such a file, only damage; it may be what somebody will look for.
    fn set_damaged_aside(&mut self, partition: u32) -> Result<Vec<PathBuf>, Error> {
        let mut damaged = Vec::new();
        for file in std::mem::take(&mut self.blank) {
            let mut window = Window::new(&*file.file);
            let of_us = |header: &BatchHeader| header.partition == partition;
            if window.find(0, &file, of_us)?.is_some() {
                damaged.push(file.path);
            } else {
                self.blank.push(file);
            }
        }
        Ok(damaged)
    }

    /// Readers compare a segment with the one before at its first batch. If it has none yet, only its header says what would
    /// be continued: nobody could read past it any more if that were another history.
    fn refuse_if_empty_and_unconnected(
        &self,
        shared: &Arc<Shared>,
        end: Point,
        partition: u32,
    ) -> Result<(), Error> {
        let Some(last) = self.live.back() else {
            return Ok(());
        };
        if last.first <= end.sequence || shared.first() > end.sequence {
            return Ok(());
        }
        let mut cursor = Reader::new(Arc::clone(shared), partition).cursor(end.sequence)?;
        match cursor.next_batch()?.map(|batch| batch.point()) {
            Some(there) if there == end => Ok(()),
            _ => Err(Error::Corrupt {
                file: last.at.path.clone(),
                offset: 0,
                intact: end.sequence,
                why: "segment does not continue the one before".to_owned(),
            }),
        }
    }

    /// The rule that tells damage from a torn tail, over everything that is not part of the chain: if some valid batch
    /// there says that what should come next was durable, then something is lost.
    fn refuse_if_durable_was_lost(&self, scan: &Scan, partition: u32) -> Result<(), Error> {
        let end = scan.end.sequence;
        let corrupt = |file: &Path, offset: u64, why: String| Error::Corrupt {
            file: file.to_owned(),
            offset,
            intact: end,
            why,
        };
        let says = |header: &BatchHeader| header.partition == partition && header.durable > end;
        let mut generation = 0;
        if let Some(last) = self.live.back() {
            generation = last.generation;
            let why = scan.cut.as_deref().unwrap_or("there is no batch");
            if scan.durable > end {
                let durable = scan.durable;
                let why = format!(
                    "{why}, yet the segment's header says that records up to {durable} were durable"
                );
                return Err(corrupt(&last.at.path, scan.offset, why));
            }
            let of_this_use =
                |header: &BatchHeader| header.generation == generation && says(header);
            let found = Window::new(&*last.at.file).find(scan.offset, &last.at, of_this_use)?;
            if let Some((header, at)) = found {
                let durable = header.durable;
                let why = format!(
                    "{why}, yet the batch at byte {at} says that records up to {durable} were durable"
                );
                return Err(corrupt(&last.at.path, scan.offset, why));
            }
        }
        let newer = |header: &BatchHeader| header.generation > generation && says(header);
        for file in &self.blank {
            if let Some((header, at)) = Window::new(&*file.file).find(0, file, newer)? {
                let durable = header.durable;
                let why = format!(
                    "segment header is unreadable, yet the batch at byte {at} says that records up to {durable} were durable"
                );
                return Err(corrupt(&file.path, 0, why));
            }
        }
        Ok(())
    }
}
