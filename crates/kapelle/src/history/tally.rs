//! Counts of what happened, by process and by job type, from the committed records that search reads anyway: nothing is
//! counted on the writer's way, and nothing that is not durable.
//!
//! What is read again after a start without an orderly end is counted again; the counters begin at 0 there in any case.

use std::collections::BTreeMap;
use std::sync::Arc;

use kapelle_engine::event::Event;
use rusqlite::{Connection, OptionalExtension as _};

use super::definitions::signed;
use crate::telemetry::counts::Counts;

/// What processes and jobs did.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    /// By process id and what became of its instances.
    pub(crate) instances: Counts<&'static str>,
    /// Incidents by process id.
    pub(crate) incidents: Counts<()>,
    /// By job type and what became of the jobs.
    pub(crate) jobs: Counts<&'static str>,
}

/// The feeder's pencil.
pub(super) struct Tally {
    counted: Arc<Tallies>,
    /// Process ids by the key of their definition: events name the key alone.
    processes: BTreeMap<u64, Arc<str>>,
}

impl Tally {
    pub(super) fn new(counted: Arc<Tallies>) -> Self {
        Self {
            counted,
            processes: BTreeMap::new(),
        }
    }

    /// `connection` knows the definitions of records before these.
    pub(super) fn count(&mut self, event: &Event, connection: &Connection) {
        match event {
            Event::ProcessDeployed(deployed) => {
                let process = Arc::clone(&deployed.process_id);
                self.processes.insert(deployed.definition.0, process);
            }
            Event::InstanceCreated(created) => {
                self.counted.instances.add(&created.process_id, "STARTED");
            }
            Event::InstanceEnded(ended) => {
                let state = if ended.completed {
                    "COMPLETED"
                } else {
                    "TERMINATED"
                };
                let process = self.process(ended.definition.0, connection);
                self.counted.instances.add(&process, state);
            }
            Event::IncidentRaised(raised) => {
                let process = self.process(raised.definition.0, connection);
                self.counted.incidents.add(&process, ());
            }
            Event::JobCreated(created) => self.job(&created.job.job_type, "CREATED"),
            Event::JobCompleted { job, .. } => self.job(&job.job_type, "COMPLETED"),
            Event::JobFailed(failed) => self.job(&failed.job.job_type, "FAILED"),
            Event::JobErrorThrown { job, .. } => self.job(&job.job_type, "ERROR_THROWN"),
            Event::JobCanceled { job, .. } => self.job(&job.job_type, "CANCELED"),
            _ => {}
        }
    }

    fn job(&self, job_type: &str, what: &'static str) {
        self.counted.jobs.add(job_type, what);
    }

    fn process(&mut self, definition: u64, connection: &Connection) -> Arc<str> {
        if let Some(known) = self.processes.get(&definition) {
            return Arc::clone(known);
        }
        let found: Option<String> = connection
            .query_row(
                "SELECT process_id FROM definition WHERE key = ?1",
                [signed(definition)],
                |row| row.get(0),
            )
            .optional()
            // A metric is not worth a stop; a damaged file is found by whoever writes to it next.
            .unwrap_or_default();
        let process: Arc<str> = found.unwrap_or_default().into();
        self.processes.insert(definition, Arc::clone(&process));
        process
    }
}
