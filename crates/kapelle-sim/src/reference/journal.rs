//! The journal as commands with what they came to: what a reader of events does not show (who asked, what was left over).

use std::sync::Arc;

use kapelle_engine::encode;
use kapelle_engine::event::Event;
use kapelle_engine::ids::Sequence;
use kapelle_runtime::record::{self, Header, Record, Whole};
use kapelle_storage::journal::{BatchKind, Cursor, Read};
use kapelle_storage::position::Sequence as StoredSequence;

/// One decided command.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) sequence: Sequence,
    pub(crate) header: Header,
    pub(crate) events: Vec<(Sequence, Event)>,
    /// Where its left-over follow-ups are.
    pub(crate) leftovers: Vec<Sequence>,
}

impl Decided {
    /// Its last record.
    pub(super) fn last(&self) -> Sequence {
        Sequence(self.sequence.0 + self.header.records() - 1)
    }
}

/// A place in the durable journal.
pub(crate) struct Commands {
    cursor: Box<dyn Cursor>,
    /// Commands up to here have been seen.
    seen: Sequence,
}

impl Commands {
    /// Everything behind `seen`.
    pub(crate) fn behind(journal: &Arc<dyn Read>, seen: Sequence) -> Result<Self, String> {
        let from = StoredSequence(seen.0 + 1);
        let cursor = journal.read_from(from).map_err(|error| error.to_string())?;
        Ok(Self { cursor, seen })
    }

    /// Shows every command that is durable by now and was not seen.
    pub(crate) fn each(
        &mut self,
        visit: &mut dyn FnMut(Decided) -> Result<(), String>,
    ) -> Result<(), String> {
        while let Some(batch) = self
            .cursor
            .next_batch()
            .map_err(|error| format!("the journal cannot be read: {error}"))?
        {
            if batch.kind == BatchKind::LeaderAnnounced {
                continue;
            }
            let mut open: Option<Decided> = None;
            let mut whole = Whole::default();
            for (sequence, bytes) in batch.records() {
                let sequence = Sequence(sequence.0);
                let bytes = whole
                    .next(bytes)
                    .map_err(|error| format!("record {} cannot be read: {error}", sequence.0))?;
                take(&mut open, sequence, bytes)?;
                if let Some(decided) = open.take_if(|open| open.last() == sequence)
                    && decided.sequence > self.seen
                {
                    self.seen = decided.last();
                    visit(decided)?;
                }
            }
        }
        Ok(())
    }
}

fn take(open: &mut Option<Decided>, sequence: Sequence, bytes: &[u8]) -> Result<(), String> {
    let unreadable = |why: String| format!("record {} cannot be read: {why}", sequence.0);
    let orphan = || unreadable("it follows no header".to_owned());
    match record::read(bytes).map_err(|error| unreadable(error.to_string()))? {
        Record::Header(header) => {
            *open = Some(Decided {
                sequence,
                header,
                events: Vec::new(),
                leftovers: Vec::new(),
            });
        }
        Record::Event(bytes) => {
            let event =
                encode::decode_event(bytes).map_err(|error| unreadable(error.to_string()))?;
            open.as_mut()
                .ok_or_else(orphan)?
                .events
                .push((sequence, event));
        }
        Record::Leftover(_) => open.as_mut().ok_or_else(orphan)?.leftovers.push(sequence),
    }
    Ok(())
}
