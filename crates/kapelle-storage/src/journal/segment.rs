//! The live segments, shared by the writer and all readers.
//!
//! Invariant: generations of live segments are contiguous; a record belongs to the last segment whose `first` is not
//! after it (recovery may begin a segment before the end of the one before it).

use super::{Error, error::Attempt};
use crate::{
    files::File,
    format::{BLOCK, SEGMENT_HEADER_BYTES, SegmentHeader},
    position::{Chain, Leader, Point, Sequence},
};
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A place is remembered about every this many bytes, so that a reader that starts in the middle of a segment looks at
/// a few hundred headers at most and a segment costs at most 4 KiB of memory.
const MARK_EVERY: u64 = 256 << 10;

/// A file of the journal, live or not.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    pub(super) file: Arc<dyn File>,
    pub(super) path: PathBuf,
    /// Bytes that may be used. The file has this length.
    pub(super) capacity: u64,
}

impl SegmentFile {
    /// Writes block 0. The caller syncs.
    pub(super) fn write_header(&self, header: &SegmentHeader) -> Result<(), Error> {
        let mut block = vec![0; BLOCK as usize];
        block
            .get_mut(..SEGMENT_HEADER_BYTES)
            .expect("invariant: a header is smaller than a block")
            .copy_from_slice(&header.encode());
        self.file.write_at(0, &block).attempt("write", &self.path)
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync().attempt("sync", &self.path)
    }
}

/// A segment that holds records.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) at: SegmentFile,
    pub(super) generation: u64,
    pub(super) first: Sequence,
    pub(super) chain_before: Chain,
    pub(super) leader_before: Leader,
    /// Where the last batch ends; the capacity while that is not known.
    end: AtomicU64,
    marks: Mutex<Vec<Mark>>,
}

/// A batch that begins with `first` lies at `offset`; what a reader needs to go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) first: Sequence,
    pub(super) offset: u64,
    pub(super) chain_before: Chain,
    pub(super) leader_before: Leader,
}

impl Segment {
    pub(super) fn new(at: SegmentFile, header: &SegmentHeader) -> Self {
        Self {
            end: AtomicU64::new(at.capacity),
            at,
            generation: header.generation,
            first: header.first,
            chain_before: header.chain_before,
            leader_before: header.leader_before,
            marks: Mutex::default(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(super) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Remembers a batch if none was remembered nearby.
    pub(super) fn mark(&self, mark: Mark) {
        let mut marks = locked(&self.marks);
        if marks
            .last()
            .is_none_or(|last| mark.offset >= last.offset + MARK_EVERY)
        {
            marks.push(mark);
        }
    }

    /// The last known batch that begins at or before `sequence`.
    pub(super) fn mark_before(&self, sequence: Sequence) -> Mark {
        let marks = locked(&self.marks);
        let after = marks.partition_point(|mark| mark.first <= sequence);
        after
            .checked_sub(1)
            .and_then(|index| marks.get(index))
            .copied()
            .unwrap_or(Mark {
                first: self.first,
                offset: BLOCK,
                chain_before: self.chain_before,
                leader_before: self.leader_before,
            })
    }
}

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    segments: VecDeque<Arc<Segment>>,
    durable: Point,
    /// Where what is durable ends in its segment.
    durable_end: (u64, u64),
    poisoned: Option<String>,
}

impl Shared {
    /// `durable_end` is a generation and an offset in its segment.
    pub(super) fn new(
        segments: VecDeque<Arc<Segment>>,
        durable: Point,
        durable_end: (u64, u64),
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                segments,
                durable,
                durable_end,
                poisoned: None,
            }),
            changed: Condvar::new(),
        })
    }

    pub(super) fn durable(&self) -> Point {
        locked(&self.state).durable
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        poison_of(&locked(&self.state))
    }

    /// Closes the journal; the first reason stays.
    pub(super) fn poison(&self, why: &str) {
        locked(&self.state)
            .poisoned
            .get_or_insert_with(|| why.to_owned());
        self.changed.notify_all();
    }

    pub(super) fn publish(&self, durable: Point, generation: u64, end: u64) {
        let mut state = locked(&self.state);
        debug_assert!(
            durable.sequence >= state.durable.sequence,
            "durable never goes back"
        );
        state.durable = durable;
        state.durable_end = (generation, end);
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn wait_past(&self, seen: Sequence, timeout: Duration) -> Result<Point, Error> {
        let (state, _) = self
            .changed
            .wait_timeout_while(locked(&self.state), timeout, |state| {
                state.durable.sequence <= seen && state.poisoned.is_none()
            })
            .expect("invariant: nobody panics while holding the segments");
        if state.durable.sequence > seen {
            return Ok(state.durable);
        }
        poison_of(&state)?;
        Ok(state.durable)
    }

    pub(super) fn push(&self, segment: Arc<Segment>) {
        let mut state = locked(&self.state);
        if let Some(last) = state.segments.back() {
            assert_eq!(
                last.generation + 1,
                segment.generation,
                "generations are contiguous"
            );
        }
        state.segments.push_back(segment);
    }

    pub(super) fn len(&self) -> usize {
        locked(&self.state).segments.len()
    }

    pub(super) fn first(&self) -> Sequence {
        let state = locked(&self.state);
        state
            .segments
            .front()
            .map_or(state.durable.sequence.next(), |segment| segment.first)
    }

    pub(super) fn first_segment(&self) -> Option<Arc<Segment>> {
        locked(&self.state).segments.front().cloned()
    }

    /// The segment that holds `sequence`, or would.
    pub(super) fn holding(&self, sequence: Sequence) -> Option<Arc<Segment>> {
        let state = locked(&self.state);
        let after = state
            .segments
            .partition_point(|segment| segment.first <= sequence);
        after
            .checked_sub(1)
            .and_then(|index| state.segments.get(index))
            .cloned()
    }

    /// Whether a segment is still part of the journal, and up to which offset it may be read.
    pub(super) fn readable_end(&self, segment: &Segment) -> Option<u64> {
        let state = locked(&self.state);
        let oldest = state.segments.front()?.generation;
        if segment.generation < oldest {
            return None;
        }
        let (generation, offset) = state.durable_end;
        Some(match segment.generation.cmp(&generation) {
            std::cmp::Ordering::Less => segment.end(),
            std::cmp::Ordering::Equal => offset,
            // Begun, but nothing in it is durable yet.
            std::cmp::Ordering::Greater => BLOCK,
        })
    }

    /// Takes out whole segments that hold nothing from `before` on; never the last one.
    pub(super) fn trim(&self, before: Sequence) -> Vec<Arc<Segment>> {
        let mut state = locked(&self.state);
        // What is not durable may yet be lost, and with it the proof that what is before can go.
        let before = before.min(state.durable.sequence.next());
        let mut gone = Vec::new();
        while state
            .segments
            .get(1)
            .is_some_and(|next| next.first <= before)
        {
            gone.extend(state.segments.pop_front());
        }
        gone
    }
}

fn poison_of(state: &State) -> Result<(), Error> {
    match &state.poisoned {
        Some(why) => Err(Error::Poisoned { why: why.clone() }),
        None => Ok(()),
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("invariant: nobody panics while holding a lock of the journal")
}
