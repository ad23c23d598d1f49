//! Everything that hangs together with one CloudEvent, found link by link.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rusqlite::Connection;

use super::rows::{self, By, EventLink, InstanceRow, JobRow};

/// CloudEvents, instances and jobs each: more than a person can read.
const MOST: usize = 1_000;

/// Causes that are looked at for one CloudEvent: an id alone may stand for many.
const CAUSES_MAX: usize = 50;

#[derive(Default)]
pub(super) struct Collected {
    /// By position.
    pub(super) events: BTreeMap<i64, EventLink>,
    pub(super) instances: BTreeMap<i64, InstanceRow>,
    pub(super) jobs: BTreeMap<i64, JobRow>,
    /// Which instances a CloudEvent started or met.
    pub(super) met: BTreeMap<i64, Vec<i64>>,
    /// The CloudEvent that a `causationid` stands for.
    pub(super) causes: BTreeMap<i64, i64>,
    pub(super) correlation_ids: BTreeSet<String>,
    pub(super) trace_ids: BTreeSet<String>,
    /// There is more.
    pub(super) is_truncated: bool,
}

impl Collected {
    /// `None` where there is no CloudEvent at that position. A repeat stands for the first one.
    pub(super) fn around(connection: &Connection, position: i64) -> rusqlite::Result<Option<Self>> {
        let Some(asked) = rows::event(connection, position)? else {
            return Ok(None);
        };
        let mut search = Search {
            connection,
            found: Self::default(),
            queue: VecDeque::new(),
            seen: BTreeSet::new(),
        };
        search.visit([asked.row.duplicate_of.unwrap_or(position)]);
        while let Some(position) = search.queue.pop_front() {
            search.look(position)?;
        }
        Ok(Some(search.found))
    }

    /// Whether the CloudEvent, the first that an instance met, is what started it.
    pub(super) fn is_started_by(&self, instance: i64, position: i64) -> bool {
        let (Some(event), Some(row)) = (self.events.get(&position), self.instances.get(&instance))
        else {
            return false;
        };
        match event.row.outcome_for(instance).as_deref() {
            Some("STARTED") => true,
            Some("CORRELATED") => false,
            // It was buffered before.
            _ => row.started_ms >= event.row.time_ms,
        }
    }
}

struct Search<'c> {
    connection: &'c Connection,
    found: Collected,
    queue: VecDeque<i64>,
    seen: BTreeSet<i64>,
}

impl Search<'_> {
    fn visit(&mut self, positions: impl IntoIterator<Item = i64>) {
        for position in positions {
            if self.seen.contains(&position) {
                continue;
            }
            if self.seen.len() == MOST {
                self.found.is_truncated = true;
                return;
            }
            self.seen.insert(position);
            self.queue.push_back(position);
        }
    }

    fn all(&self, by: By<'_>) -> rusqlite::Result<Vec<i64>> {
        // One more than is taken, so that it shows.
        rows::positions(self.connection, by, MOST + 1)
    }

    fn look(&mut self, position: i64) -> rusqlite::Result<()> {
        let Some(event) = rows::event(self.connection, position)? else {
            return Ok(());
        };
        if let Some(id) = &event.correlation_id
            && self.found.correlation_ids.insert(id.clone())
        {
            self.visit(self.all(By::CorrelationId(id))?);
        }
        if let Some(id) = &event.trace_id
            && self.found.trace_ids.insert(id.clone())
        {
            self.visit(self.all(By::TraceId(id))?);
        }
        if let Some(cause) = self.cause(position, &event)? {
            self.found.causes.insert(position, cause);
            self.visit([cause]);
        }
        if let Some(id) = event.row.id.clone() {
            self.look_at_effects(position, &id)?;
            self.look_at_the_same(&event, &id)?;
        }
        if event.row.is_out {
            self.look_at_instances(event.row.instance)?;
        } else {
            let met = rows::instances_of(self.connection, position, MOST)?;
            self.look_at_instances(met.iter().copied())?;
            self.found.met.insert(position, met);
        }
        self.found.events.insert(position, event);
        Ok(())
    }

    /// The CloudEvent whose id is an event's `causationid`: one of the same conversation, else of
    /// the same source, else the last before it.
    fn cause(&self, position: i64, event: &EventLink) -> rusqlite::Result<Option<i64>> {
        let Some(id) = &event.causation_id else {
            return Ok(None);
        };
        let mut best = None;
        for candidate in rows::positions(self.connection, By::Id(id), CAUSES_MAX)? {
            let Some(cause) = rows::event(self.connection, candidate)? else {
                continue;
            };
            let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
            let is_related = same(&cause.correlation_id, &event.correlation_id)
                || same(&cause.trace_id, &event.trace_id);
            let rank = (
                is_related,
                cause.row.source == event.row.source,
                candidate < position,
                !cause.row.is_out,
                candidate,
            );
            if candidate != position && best.is_none_or(|best| rank > best) {
                best = Some(rank);
            }
        }
        Ok(best.map(|(.., candidate)| candidate))
    }

    fn look_at_effects(&mut self, position: i64, id: &str) -> rusqlite::Result<()> {
        for effect in self.all(By::CausationId(id))? {
            if self.seen.contains(&effect) {
                continue;
            }
            // Another one may have the same id.
            let Some(event) = rows::event(self.connection, effect)? else {
                continue;
            };
            if self.cause(effect, &event)? == Some(position) {
                self.visit([effect]);
            }
        }
        Ok(())
    }

    /// What a process published comes in again where somebody sends it back.
    fn look_at_the_same(&mut self, event: &EventLink, id: &str) -> rusqlite::Result<()> {
        for other in rows::positions(self.connection, By::Id(id), CAUSES_MAX)? {
            let same = rows::event(self.connection, other)?
                .filter(|other| other.row.source == event.row.source);
            self.visit(same.map(|same| same.row.position));
        }
        Ok(())
    }

    fn look_at_instances(&mut self, keys: impl IntoIterator<Item = i64>) -> rusqlite::Result<()> {
        for key in keys {
            if self.found.instances.contains_key(&key) {
                continue;
            }
            if self.found.instances.len() == MOST {
                self.found.is_truncated = true;
                return Ok(());
            }
            let Some(instance) = rows::instance(self.connection, key)? else {
                continue;
            };
            self.found.instances.insert(key, instance);
            self.visit(self.all(By::Instance(key))?);
            let room = MOST - self.found.jobs.len();
            let mut jobs = rows::jobs_of(self.connection, key, room + 1)?;
            self.found.is_truncated |= jobs.len() > room;
            jobs.truncate(room);
            self.found
                .jobs
                .extend(jobs.into_iter().map(|job| (job.key, job)));
        }
        Ok(())
    }
}
