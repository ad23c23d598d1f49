//! Removes what is past its time, in steps small enough to go between two batches.
//!
//! Instances are looked through in the order of their keys, which is that of their starts: what began after the cutoff
//! cannot have ended before it. So no index on the end is needed, which every instance would pay for.

use std::time::Duration;

use rusqlite::{Connection, Transaction};

/// Instances looked at in one step.
const LOOKED_AT_MAX: i64 = 1_000;

/// Events removed in one step.
const EVENTS_MAX: i64 = 1_000;

pub(super) struct Pruning {
    retention: Duration,
    /// The last instance that was looked at in this round.
    at: i64,
}

impl Pruning {
    pub(super) fn new(retention: Duration) -> Self {
        Self { retention, at: 0 }
    }

    /// Removes some of what is older than `now_ms` less the retention. `true`: that was all for now.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        now_ms: i64,
    ) -> rusqlite::Result<bool> {
        let cutoff =
            now_ms.saturating_sub(i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX));
        let transaction = connection.transaction()?;
        let instances_done = self.instances(&transaction, cutoff)?;
        let events_done = events(&transaction, cutoff)?;
        transaction.commit()?;
        Ok(instances_done && events_done)
    }

    fn instances(&mut self, transaction: &Transaction<'_>, cutoff: i64) -> rusqlite::Result<bool> {
        let rows: Vec<(i64, i64, Option<i64>)> = transaction
            .prepare_cached(
                "SELECT key, started, ended FROM instance WHERE key > ?1 ORDER BY key LIMIT ?2",
            )?
            .query_map([self.at, LOOKED_AT_MAX], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut done = rows.len() < usize::try_from(LOOKED_AT_MAX).unwrap_or(usize::MAX);
        for (key, started, ended) in rows {
            if started >= cutoff {
                done = true;
                break;
            }
            self.at = key;
            if ended.is_some_and(|ended| ended < cutoff) {
                remove(transaction, key)?;
            }
        }
        if done {
            self.at = 0;
        }
        Ok(done)
    }
}

fn remove(transaction: &Transaction<'_>, instance: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM element WHERE instance = ?1",
        "DELETE FROM job WHERE instance = ?1",
        "DELETE FROM incident WHERE instance = ?1",
        "DELETE FROM variable WHERE instance = ?1",
        "DELETE FROM subscription WHERE instance = ?1",
        "DELETE FROM event_instance WHERE instance = ?1",
        "DELETE FROM instance WHERE key = ?1",
    ] {
        transaction.prepare_cached(sql)?.execute([instance])?;
    }
    Ok(())
}

/// Positions grow with time, so the oldest events are the first rows.
fn events(transaction: &Transaction<'_>, cutoff: i64) -> rusqlite::Result<bool> {
    let mut removed = 0;
    for sql in [
        "DELETE FROM event_in WHERE position IN (SELECT position FROM event_in ORDER BY position LIMIT ?2) AND time < ?1",
        // 1 is PENDING: what is still to be delivered stays, however old.
        "DELETE FROM event_out WHERE position IN (SELECT position FROM event_out WHERE state <> 1 ORDER BY position LIMIT ?2)
         AND time < ?1",
    ] {
        removed += transaction.prepare_cached(sql)?.execute([cutoff, EVENTS_MAX])?;
    }
    if removed > 0 {
        for table in ["event_later", "event_message", "event_instance"] {
            let sql = format!(
                "DELETE FROM {table} WHERE position < (SELECT COALESCE(MIN(position), {}) FROM event_in)",
                i64::MAX
            );
            transaction.prepare_cached(&sql)?.execute([])?;
        }
    }
    Ok(removed < usize::try_from(EVENTS_MAX).unwrap_or(usize::MAX))
}
