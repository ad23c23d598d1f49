//! The way in for CloudEvents: over HTTP and from brokers, through one door.
//!
//! **Invariant**: an answer or an acknowledgement is given only after the records are durable. What was refused for
//! overload is never lost: HTTP clients are told to come again, sources keep their deliveries.

pub(crate) mod control;
pub(crate) mod http;
pub(crate) mod sources;

use std::sync::Arc;

use kapelle_engine::command::{Arrival, Command, CommandMeta, IngestEvents};
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_engine::response::{EventResult, Response};
use kapelle_events::Limits;

use crate::config::Config;
use crate::gateway::Gateway;
use crate::gateway::failure::Failure;
use crate::telemetry::metrics::Edge;

/// The door.
pub(crate) struct Ingest {
    gateway: Arc<Gateway>,
    limits: Limits,
    edge: Arc<Edge>,
    tenant: Arc<str>,
}

/// What a CloudEvent and a request may have, by the configuration.
pub(crate) fn limits(config: &Config) -> Limits {
    let batch_bytes_max = usize::try_from(config.limits.event_batch_size.0).unwrap_or(usize::MAX);
    Limits {
        event_bytes_max: batch_bytes_max,
        batch_bytes_max,
        batch_events_max: usize::try_from(config.limits.event_batch_count).unwrap_or(usize::MAX),
        ..Limits::DEFAULT
    }
}

impl Ingest {
    pub(crate) fn new(gateway: Arc<Gateway>, config: &Config, edge: Arc<Edge>) -> Self {
        Self {
            gateway,
            limits: limits(config),
            edge,
            tenant: Arc::from(DEFAULT_TENANT),
        }
    }

    /// Whose events come in here.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Takes arrivals as one journal batch and answers when they are durable, one result for each.
    pub(crate) async fn submit(
        &self,
        source_name: &Arc<str>,
        arrivals: Vec<Arrival>,
        meta: CommandMeta,
    ) -> Result<Vec<EventResult>, Failure> {
        let command = Command::IngestEvents(IngestEvents {
            tenant: Arc::clone(&self.tenant),
            source_name: Arc::clone(source_name),
            arrivals,
        });
        match self.gateway.ask(command, meta).await? {
            Response::Ingested(results) => {
                for result in &results {
                    self.edge
                        .count_event_in(source_name, &result.source, result.outcome);
                }
                Ok(results)
            }
            other => Err(Failure::unexpected(&other)),
        }
    }
}
