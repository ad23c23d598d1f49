//! The configured sinks by name, and webhooks that a model names by URL.

use std::collections::BTreeMap;
use std::sync::Arc;

use kapelle_connectors::webhook::{self, Poster};
use kapelle_connectors::{
    Check, Publication, Secret, Sink as _, SinkError, SinkErrorKind, mqtt, nats, rabbitmq,
};
use kapelle_events::CloudEvent;

use crate::config::{
    Config, DeliveryMode, MqttSink, NatsSink, RabbitmqSink, SinkConfig, WebhookSink,
};
use crate::ingest::sources::{mqtt_quality, mqtt_version, secret};
use crate::telemetry::metrics::Edge;

/// Where CloudEvents can go.
pub(crate) struct Sinks {
    by_name: BTreeMap<String, Sink>,
    /// For targets that are URLs.
    any_url: Poster,
    edge: Arc<Edge>,
}

/// As what a target that is a URL is counted: URLs are made up by models and subscribers.
const ANY_URL: &str = "url";

/// A closed set: each kind of the configuration has its connector.
enum Sink {
    Mqtt(Box<mqtt::Publisher>),
    Nats(Box<nats::Publisher>),
    Rabbitmq(Box<rabbitmq::Publisher>),
    Webhook(Box<Poster>),
}

impl Sinks {
    pub(crate) fn new(config: &Config, edge: &Arc<Edge>) -> Self {
        let by_name = config
            .sinks
            .iter()
            .map(|(name, sink)| {
                let sink = match sink {
                    SinkConfig::Mqtt(sink) => {
                        Sink::Mqtt(Box::new(mqtt::Publisher::new(mqtt_config(sink))))
                    }
                    SinkConfig::Nats(sink) => {
                        Sink::Nats(Box::new(nats::Publisher::new(nats_config(sink))))
                    }
                    SinkConfig::Rabbitmq(sink) => {
                        let publisher = rabbitmq::Publisher::new(rabbitmq_config(sink));
                        Sink::Rabbitmq(Box::new(publisher))
                    }
                    SinkConfig::Webhook(sink) => {
                        Sink::Webhook(Box::new(Poster::new(poster_config(sink))))
                    }
                };
                edge.watch_sink(name, sink.handle());
                (name.clone(), sink)
            })
            .collect();
        Self {
            by_name,
            any_url: Poster::new(webhook::Config::default()),
            edge: Arc::clone(edge),
        }
    }

    /// One attempt to deliver to a configured sink or a URL. `within` says where to within the sink, such as a routing key, a subject or a topic.
    pub(crate) async fn publish(
        &self,
        to: &str,
        within: Option<&str>,
        event: &CloudEvent,
        attempt: u32,
    ) -> Result<(), SinkError> {
        let result = self.try_publish(to, within, event, attempt).await;
        let sink = if is_url(to) { ANY_URL } else { to };
        let ended = if result.is_ok() {
            "DELIVERED"
        } else {
            "FAILED"
        };
        self.edge.count_delivery(sink, ended);
        result
    }

    /// Looks whether a sink could deliver now; `None` where none has that name.
    pub(crate) async fn probe(&self, name: &str) -> Option<Vec<Check>> {
        Some(match self.by_name.get(name)? {
            Sink::Mqtt(publisher) => publisher.probe().await,
            Sink::Nats(publisher) => publisher.probe().await,
            Sink::Rabbitmq(publisher) => publisher.probe().await,
            Sink::Webhook(poster) => poster.probe().await,
        })
    }

    async fn try_publish(
        &self,
        to: &str,
        within: Option<&str>,
        event: &CloudEvent,
        attempt: u32,
    ) -> Result<(), SinkError> {
        let publication = |target| Publication {
            event,
            target,
            attempt,
        };
        match self.by_name.get(to) {
            Some(Sink::Mqtt(publisher)) => publisher.publish(publication(within)).await,
            Some(Sink::Nats(publisher)) => publisher.publish(publication(within)).await,
            Some(Sink::Rabbitmq(publisher)) => publisher.publish(publication(within)).await,
            Some(Sink::Webhook(poster)) => poster.publish(publication(within)).await,
            None if is_url(to) => self.any_url.publish(publication(Some(to))).await,
            // Retried like a receiver that is away: the sink may be configured at the next start, and giving up at once
            // would bury everything for a forgotten line.
            None => Err(SinkError {
                kind: SinkErrorKind::Unroutable,
                message: format!("no sink is named \"{to}\" in the configuration"),
                retry_after: None,
            }),
        }
    }
}

/// Whether a target is an address and no sink's name.
fn is_url(to: &str) -> bool {
    to.starts_with("http://") || to.starts_with("https://")
}

impl Sink {
    fn handle(&self) -> kapelle_connectors::Handle {
        match self {
            Self::Mqtt(publisher) => publisher.handle(),
            Self::Nats(publisher) => publisher.handle(),
            Self::Rabbitmq(publisher) => publisher.handle(),
            Self::Webhook(poster) => poster.handle(),
        }
    }
}

fn mqtt_config(sink: &MqttSink) -> mqtt::SinkConfig {
    let url = secret(
        sink.url.as_ref(),
        sink.url_env.as_deref(),
        sink.url_file.as_deref(),
    );
    mqtt::SinkConfig {
        ca_file: sink.ca_file.clone(),
        version: mqtt_version(sink.version),
        topic: sink.topic.clone(),
        quality: mqtt_quality(sink.qos),
        retain: sink.retain,
        mode: match sink.mode {
            DeliveryMode::Binary => mqtt::Mode::Binary,
            DeliveryMode::Structured => mqtt::Mode::Structured,
        },
        timeout: sink.timeout.0,
        ..mqtt::SinkConfig::new(url)
    }
}

fn nats_config(sink: &NatsSink) -> nats::SinkConfig {
    let url = secret(
        sink.url.as_ref(),
        sink.url_env.as_deref(),
        sink.url_file.as_deref(),
    );
    nats::SinkConfig {
        ca_file: sink.ca_file.clone(),
        subject: sink.subject.clone(),
        mode: match sink.mode {
            DeliveryMode::Binary => nats::Mode::Binary,
            DeliveryMode::Structured => nats::Mode::Structured,
        },
        timeout: sink.timeout.0,
        ..nats::SinkConfig::new(url)
    }
}

fn rabbitmq_config(sink: &RabbitmqSink) -> rabbitmq::SinkConfig {
    let url = secret(
        sink.url.as_ref(),
        sink.url_env.as_deref(),
        sink.url_file.as_deref(),
    );
    rabbitmq::SinkConfig {
        ca_file: sink.ca_file.clone(),
        routing_key: sink.routing_key.clone(),
        timeout: sink.timeout.0,
        ..rabbitmq::SinkConfig::new(url, sink.exchange.clone())
    }
}

fn poster_config(sink: &WebhookSink) -> webhook::Config {
    webhook::Config {
        url: Some(secret(
            sink.url.as_ref(),
            sink.url_env.as_deref(),
            sink.url_file.as_deref(),
        )),
        ca_file: sink.ca_file.clone(),
        mode: match sink.mode {
            DeliveryMode::Binary => webhook::Mode::Binary,
            DeliveryMode::Structured => webhook::Mode::Structured,
        },
        timeout: sink.timeout.0,
        authorization: authorization(sink),
    }
}

/// The configuration has at most one of the two.
fn authorization(sink: &WebhookSink) -> Option<Secret> {
    let env = sink.authorization_env.clone().map(Secret::Env);
    env.or_else(|| sink.authorization_file.clone().map(Secret::File))
}
