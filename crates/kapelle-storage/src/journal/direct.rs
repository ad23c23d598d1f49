//! The journal on one thread: a submitted batch stays in flight until somebody completes it. For tests, the simulator
//! (which decides when) and tools; the protocol is that of production.

use super::{
    Announced, Batch, Capabilities, Error, Figures, Journal, Read,
    reader::Reader,
    writer::{Front, Sealed, SegmentWriter},
};
use crate::position::{Leader, Point, Sequence};
use std::sync::Arc;

#[derive(Debug)]
pub struct DirectJournal {
    front: Front,
    writer: SegmentWriter,
    partition: u32,
    batch_bytes_max: usize,
    in_flight: Option<Sealed>,
}

impl DirectJournal {
    #[must_use]
    pub fn new(announced: Announced) -> Self {
        Self {
            batch_bytes_max: announced.front.batch_bytes_max(),
            front: announced.front,
            writer: announced.writer,
            partition: announced.partition,
            in_flight: None,
        }
    }

    /// Writes and syncs what is in flight.
    pub fn complete(&mut self) -> Result<Point, Error> {
        if let Some(sealed) = self.in_flight.take() {
            let buffer = self.writer.commit(sealed)?;
            self.front.give_back(buffer);
            if let Some(capacity) = self.writer.wants_spare() {
                // Without a spare the next segment is created when it is needed; if that fails too it is an error.
                self.writer.pool().prepare(capacity).ok();
            }
        }
        self.durable()
    }
}

impl Journal for DirectJournal {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch_bytes_max: self.batch_bytes_max,
            shared: false,
        }
    }

    fn batch(&mut self) -> Batch {
        self.front.batch()
    }

    fn submit(&mut self, batch: Batch) -> Result<Point, Error> {
        self.writer.shared().check()?;
        self.front.check(&batch)?;
        self.complete()?;
        self.in_flight = Some(self.front.seal(batch));
        Ok(self.front.end())
    }

    fn end(&self) -> Point {
        self.front.end()
    }

    fn durable(&mut self) -> Result<Point, Error> {
        self.writer.shared().check()?;
        Ok(self.writer.shared().durable())
    }

    fn in_flight(&mut self) -> bool {
        self.in_flight.is_some()
    }

    fn wait(&mut self, until: Sequence) -> Result<Point, Error> {
        let durable = self.complete()?;
        if durable.sequence < until {
            return Err(Error::BeyondEnd {
                wanted: until,
                end: durable.sequence,
            });
        }
        Ok(durable)
    }

    fn leader(&self) -> Leader {
        self.front.leader()
    }

    fn reader(&self) -> Arc<dyn Read> {
        Arc::new(Reader::new(
            Arc::clone(self.writer.shared()),
            self.partition,
        ))
    }

    fn trim(&mut self, before: Sequence) -> Result<Sequence, Error> {
        let shared = Arc::clone(self.writer.shared());
        shared.check()?;
        for segment in shared.trim(before) {
            self.writer
                .pool()
                .retire(&segment)
                .inspect_err(|error| shared.poison(&error.to_string()))?;
        }
        Ok(shared.first())
    }

    fn figures(&self) -> Figures {
        self.writer.figures()
    }
}
