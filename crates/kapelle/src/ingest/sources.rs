//! Configured sources: brokers whose deliveries go through the same door as `POST /events`.

use std::sync::Arc;
use std::time::Duration;

use kapelle_connectors::rabbitmq::{self, Consumer};
use kapelle_connectors::{CancellationToken, Delivery, IngestError, Outcome, Secret, Source as _};
use kapelle_engine::command::{Arrival, CommandMeta};
use kapelle_engine::response::{EventResult, Outcome as EngineOutcome};
use tokio::task::JoinSet;

use super::Ingest;
use crate::config::{self, Config, RabbitmqSource, SourceConfig};
use crate::gateway::failure::{Class, Failure};
use crate::telemetry::metrics::Edge;

/// How long a source waits at least before it offers again what was refused for overload.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Starts all configured sources; the future ends when all have ended after `cancel`.
pub(crate) fn start(
    config: &Config,
    ingest: &Arc<Ingest>,
    edge: &Arc<Edge>,
    cancel: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let mut running = JoinSet::new();
    for (name, source) in &config.sources {
        let SourceConfig::Rabbitmq(source) = source;
        let consumer = Consumer::new(consumer_config(source, ingest));
        edge.watch_source(name, consumer.handle());
        let door = Door {
            ingest: Arc::clone(ingest),
            name: Arc::from(name.as_str()),
        };
        tracing::info!(source = %name, queue = %source.queue, "source started");
        running.spawn(consumer.run(door, cancel.clone()));
    }
    async move { while running.join_next().await.is_some() {} }
}

fn consumer_config(source: &RabbitmqSource, ingest: &Ingest) -> rabbitmq::SourceConfig {
    let url = secret(
        source.url.as_ref(),
        source.url_env.as_deref(),
        source.url_file.as_deref(),
    );
    rabbitmq::SourceConfig {
        prefetch: u16::try_from(source.prefetch).unwrap_or(u16::MAX).max(1),
        limits: ingest.limits,
        ..rabbitmq::SourceConfig::new(url, source.queue.clone())
    }
}

/// Where the URL is; the configuration has exactly one of the three.
pub(crate) fn secret(
    url: Option<&config::Secret>,
    env: Option<&str>,
    file: Option<&std::path::Path>,
) -> Secret {
    match (url, env, file) {
        (Some(url), _, _) => Secret::Plain(url.expose().to_owned()),
        (None, Some(env), _) => Secret::Env(env.to_owned()),
        (None, None, Some(file)) => Secret::File(file.to_owned()),
        (None, None, None) => Secret::Plain(String::new()),
    }
}

/// The door as a source sees it.
struct Door {
    ingest: Arc<Ingest>,
    name: Arc<str>,
}

impl kapelle_connectors::Ingest for Door {
    async fn submit(&self, batch: Vec<Delivery>) -> Result<Vec<Outcome>, IngestError> {
        let arrivals = batch.into_iter().map(arrival).collect();
        match self
            .ingest
            .submit(&self.name, arrivals, CommandMeta::default())
            .await
        {
            Ok(results) => Ok(results.iter().map(outcome).collect()),
            Err(failure) => Err(refusal(&failure)),
        }
    }
}

fn arrival(delivery: Delivery) -> Arrival {
    match delivery {
        Delivery::Event(event) => Arrival::Event(Arc::new(event)),
        Delivery::Rejected(rejected) => {
            let content_type = rejected
                .headers
                .iter()
                .find(|(name, _)| {
                    name.eq_ignore_ascii_case("content-type") || name == "content_type"
                })
                .map(|(_, value)| Arc::from(value.as_str()));
            let reason = format!("{}: {}", rejected.why.code(), rejected.why);
            Arrival::Malformed {
                raw: Arc::from(rejected.body),
                content_type,
                reason: Arc::from(reason),
            }
        }
    }
}

fn outcome(result: &EventResult) -> Outcome {
    match result.outcome {
        EngineOutcome::Duplicate => Outcome::Duplicate,
        EngineOutcome::Rejected | EngineOutcome::SchemaInvalid => Outcome::Rejected,
        _ => Outcome::Accepted,
    }
}

/// Nothing was taken; the source keeps its deliveries and tries again, whatever the reason.
fn refusal(failure: &Failure) -> IngestError {
    match failure.class() {
        Class::ResourceExhausted => IngestError::Overloaded {
            retry_after: Some(RETRY_AFTER),
        },
        _ => IngestError::Unavailable {
            why: failure.to_string(),
        },
    }
}
