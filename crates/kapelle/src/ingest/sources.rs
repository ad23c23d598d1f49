//! Configured sources: brokers whose deliveries go through the same door as `POST /events`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kapelle_connectors::{
    CancellationToken, Delivery, Handle, IngestError, Outcome, Secret, Source, State, mqtt, nats,
    rabbitmq,
};
use kapelle_engine::command::{Arrival, CommandMeta};
use kapelle_engine::response::{EventResult, Outcome as EngineOutcome};
use kapelle_events::Limits;
use kapelle_events::rule::Rule;
use kapelle_runtime::{Refusal, door};
use tokio::task::JoinSet;

use super::Ingest;
use super::control::Control;
use crate::config::{
    self, Config, MqttSource, MqttVersion, NatsSource, RabbitmqSource, SourceConfig, Span,
};
use crate::gateway::failure::{Class, Failure};
use crate::telemetry::metrics::Edge;

/// How long a source waits at least before it offers again what was refused for overload.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The code of a source without its broker.
const DISCONNECTED: &str = "KAP-3102";

/// How often a source's state is looked at for the log.
const LOOK: Duration = Duration::from_millis(200);

/// The code in the reason of a delivery that is a CloudEvent and yet was refused by the engine.
const REFUSED: &str = "KAP-3101";

/// How much is kept of a refused delivery that is too large as a whole: enough to see what it was.
const RAW_BYTES_KEPT: usize = 64 * 1024;

/// Starts all configured sources; the future ends when all have ended after `cancel`.
pub(crate) fn start(
    config: &Config,
    ingest: &Arc<Ingest>,
    edge: &Arc<Edge>,
    control: &Control,
    cancel: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let mut running = Running {
        ingest,
        edge,
        control,
        cancel,
        tasks: JoinSet::new(),
    };
    for (name, source) in &config.sources {
        let rule = config.rules.get(name);
        match source {
            SourceConfig::Mqtt(source) => {
                tracing::info!(source = %name, topic = %source.topic, "source started");
                running.start(
                    name,
                    rule,
                    mqtt::Consumer::new(mqtt_config(source, ingest.limits)),
                );
            }
            SourceConfig::Nats(source) => {
                tracing::info!(source = %name, stream = %source.stream, "source started");
                running.start(
                    name,
                    rule,
                    nats::Consumer::new(nats_config(source, ingest.limits)),
                );
            }
            SourceConfig::Rabbitmq(source) => {
                tracing::info!(source = %name, queue = %source.queue, "source started");
                running.start(
                    name,
                    rule,
                    rabbitmq::Consumer::new(rabbitmq_config(source, ingest.limits)),
                );
            }
        }
    }
    let mut tasks = running.tasks;
    async move { while tasks.join_next().await.is_some() {} }
}

/// What starts sources, and what they have in common.
struct Running<'a> {
    ingest: &'a Arc<Ingest>,
    edge: &'a Arc<Edge>,
    control: &'a Control,
    cancel: &'a CancellationToken,
    tasks: JoinSet<()>,
}

impl Running<'_> {
    fn start(&mut self, name: &str, rule: Option<&Rule>, source: impl Source + 'static) {
        let handle = source.handle();
        self.edge.watch_source(name, handle.clone());
        self.control.hold(name, &handle);
        let door = Door {
            ingest: Arc::clone(self.ingest),
            door: door::Door::new(self.ingest.tenant().into(), name.into())
                .with_rule(rule.cloned()),
        };
        let telling = tell(Arc::clone(door.door.source()), handle, self.cancel.clone());
        self.tasks.spawn(telling);
        self.tasks.spawn(source.run(door, self.cancel.clone()));
    }
}

/// Tells the log when a source has lost its broker, why, and when it is back. Each reason once: the source tries for ever.
async fn tell(name: Arc<str>, handle: Handle, cancel: CancellationToken) {
    let mut told = String::new();
    // Cancel-safe: a token and a timer.
    while tokio::select! {
        () = cancel.cancelled() => false,
        () = tokio::time::sleep(LOOK) => true,
    } {
        let status = handle.snapshot();
        match (status.state, status.last_error) {
            (State::Running, _) if !told.is_empty() => {
                told.clear();
                tracing::info!(source = %name, "source is connected again");
            }
            (State::BackingOff, Some(error)) if told != error.message => {
                told = error.message;
                tracing::warn!(code = DISCONNECTED, source = %name, error = %told, "source is not connected; it tries again");
            }
            _ => {}
        }
    }
}

pub(super) fn mqtt_config(source: &MqttSource, limits: Limits) -> mqtt::SourceConfig {
    let url = secret(
        source.url.as_ref(),
        source.url_env.as_deref(),
        source.url_file.as_deref(),
    );
    mqtt::SourceConfig {
        ca_file: source.ca_file.clone(),
        version: mqtt_version(source.version),
        quality: mqtt_quality(source.qos),
        retained: source.retained,
        prefetch: at_once(source.prefetch),
        limits,
        ..mqtt::SourceConfig::new(url, source.topic.clone(), source.client_id.clone())
    }
}

pub(crate) fn mqtt_version(version: MqttVersion) -> mqtt::Version {
    match version {
        MqttVersion::Five => mqtt::Version::V5,
        MqttVersion::Three => mqtt::Version::V3,
    }
}

pub(crate) fn mqtt_quality(qos: u64) -> mqtt::Quality {
    match qos {
        2 => mqtt::Quality::ExactlyOnce,
        _ => mqtt::Quality::AtLeastOnce,
    }
}

pub(super) fn nats_config(source: &NatsSource, limits: Limits) -> nats::SourceConfig {
    let url = secret(
        source.url.as_ref(),
        source.url_env.as_deref(),
        source.url_file.as_deref(),
    );
    nats::SourceConfig {
        ca_file: source.ca_file.clone(),
        declare: source.declare,
        subject: source.subject.clone(),
        ack_wait: source.ack_wait.0,
        prefetch: at_once(source.prefetch),
        limits,
        ..nats::SourceConfig::new(url, source.stream.clone(), source.consumer.clone())
    }
}

pub(super) fn rabbitmq_config(source: &RabbitmqSource, limits: Limits) -> rabbitmq::SourceConfig {
    let url = secret(
        source.url.as_ref(),
        source.url_env.as_deref(),
        source.url_file.as_deref(),
    );
    rabbitmq::SourceConfig {
        ca_file: source.ca_file.clone(),
        declare: source.declare,
        prefetch: at_once(source.prefetch),
        limits,
        ..rabbitmq::SourceConfig::new(url, source.queue.clone())
    }
}

fn at_once(prefetch: u64) -> u16 {
    u16::try_from(prefetch).unwrap_or(u16::MAX).max(1)
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
///
/// **Invariant**: an error means "later". What the engine refuses for good is put on record as rejected, alone and with
/// the reason, so that its broker can forget it: offered again and again it would keep its queue from moving.
struct Door {
    ingest: Arc<Ingest>,
    door: door::Door,
}

impl kapelle_connectors::Ingest for Door {
    async fn submit(&self, batch: Vec<Delivery>) -> Result<Vec<Outcome>, IngestError> {
        let arrivals: Vec<Arrival> = batch
            .into_iter()
            .map(|delivery| self.arrival(delivery))
            .collect();
        match self.offer(arrivals.clone()).await? {
            Ok(outcomes) => Ok(outcomes),
            Err(refusal) if arrivals.len() == 1 => self.keep_refused(arrivals, &refusal).await,
            Err(_) => self.one_by_one(arrivals).await,
        }
    }
}

/// The engine's word that the same arrivals will never be taken.
struct Final(String);

impl Door {
    async fn offer(
        &self,
        arrivals: Vec<Arrival>,
    ) -> Result<Result<Vec<Outcome>, Final>, IngestError> {
        let submitted = self
            .ingest
            .submit(self.door.source(), arrivals, CommandMeta::default());
        match submitted.await {
            Ok(results) => Ok(Ok(results.iter().map(outcome).collect())),
            Err(Failure::Refused(Refusal::Rejected(rejection))) => Ok(Err(Final(rejection.reason))),
            Err(failure) => Err(later(&failure)),
        }
    }

    /// A batch is taken as a whole or not at all, so one that can never be taken would stop the others. An error on the
    /// way has the batch offered again; what was taken is then a duplicate.
    async fn one_by_one(&self, arrivals: Vec<Arrival>) -> Result<Vec<Outcome>, IngestError> {
        let mut outcomes = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let alone = vec![arrival];
            outcomes.extend(match self.offer(alone.clone()).await? {
                Ok(outcomes) => outcomes,
                Err(refusal) => self.keep_refused(alone, &refusal).await?,
            });
        }
        Ok(outcomes)
    }

    async fn keep_refused(
        &self,
        arrivals: Vec<Arrival>,
        Final(why): &Final,
    ) -> Result<Vec<Outcome>, IngestError> {
        let reason: Arc<str> = format!("{REFUSED}: {why}").into();
        tracing::warn!(source = %self.door.source(), %reason, "a delivery was rejected");
        let mut refused = String::new();
        // What is too large even raw is kept in part.
        for bytes_max in [usize::MAX, RAW_BYTES_KEPT] {
            let kept = arrivals
                .iter()
                .map(|arrival| self.door.refused(arrival, &reason, bytes_max))
                .collect();
            match self.offer(kept).await? {
                Ok(outcomes) => return Ok(outcomes),
                Err(Final(why)) => refused = why,
            }
        }
        Err(IngestError::Unavailable { why: refused })
    }

    fn arrival(&self, delivery: Delivery) -> Arrival {
        match delivery {
            Delivery::Event(event) => Arrival::Event(Arc::new(event)),
            Delivery::Rejected(rejected) => {
                let came = door::Unreadable {
                    place: rejected.place,
                    headers: rejected.headers,
                    body: rejected.body,
                    body_bytes: rejected.body_bytes,
                    why: rejected.why,
                };
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
                let now_ms = Span(since_1970.unwrap_or_default()).as_millis();
                self.door.unreadable(came, now_ms, &self.ingest.limits)
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

/// Nothing was taken; the source keeps its deliveries and tries again.
fn later(failure: &Failure) -> IngestError {
    match failure.class() {
        Class::ResourceExhausted => IngestError::Overloaded {
            retry_after: Some(RETRY_AFTER),
        },
        _ => IngestError::Unavailable {
            why: failure.to_string(),
        },
    }
}
