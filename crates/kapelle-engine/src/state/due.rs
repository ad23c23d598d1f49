//! The queue of what becomes due: one index in the order of time for timers, job deadlines, back-offs, times to live and
//! kept answers. The dedup window's buckets are few and stand in the partition object.

use std::ops::ControlFlow;

use crate::command::Due;
use crate::encode::Record;
use crate::event::DueOwner;
use crate::ids::Timestamp;
use crate::keep::Keep;
use crate::state::{scan_prefix, tables};

/// Whom an entry concerns, if it is still there.
pub(crate) fn owner(keep: &dyn Keep, due: Due) -> Option<DueOwner> {
    let value = keep.get(&tables::due(due))?;
    Some(DueOwner::read(&value).expect("the engine wrote this entry"))
}

/// The oldest entries that are due at `now`.
pub(crate) fn at(keep: &dyn Keep, now: Timestamp, max: usize) -> Vec<Due> {
    let mut due = Vec::new();
    for table in [tables::due_others(), tables::due_jobs()] {
        let until = tables::due_after(table.clone(), now);
        let room = due.len() + max;
        keep.scan(&table, &until, &mut |key, _| {
            if due.len() == room {
                return ControlFlow::Break(());
            }
            due.push(tables::parse_due(key));
            ControlFlow::Continue(())
        });
    }
    due.sort_unstable();
    due.truncate(max);
    due
}

/// When the first entry is due.
pub(crate) fn first(keep: &dyn Keep) -> Option<Timestamp> {
    let mut first: Option<Timestamp> = None;
    for table in [tables::due_others(), tables::due_jobs()] {
        scan_prefix(keep, &table, None, &mut |key, _| {
            let at = tables::parse_due(key).at;
            first = Some(first.map_or(at, |earlier| earlier.min(at)));
            ControlFlow::Break(())
        });
    }
    first
}
