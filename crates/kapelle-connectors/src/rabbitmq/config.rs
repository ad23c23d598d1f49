//! What a RabbitMQ source and sink need to know. Plain data: the binary reads files.

use std::path::PathBuf;
use std::time::Duration;

use kapelle_events::Limits;

use crate::backoff::Bounds;
use crate::secret::Secret;

/// A queue that CloudEvents come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub url: Secret,
    /// Certificates of a private authority (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The queue.
    pub queue: String,
    /// Makes the queue as a durable quorum queue where it does not exist. Off: a missing queue is an error.
    pub declare: bool,
    /// Deliveries on the way at once; the broker holds back the rest.
    pub prefetch: u16,
    /// Waits between connection attempts, and between offers to an engine that is overloaded.
    pub backoff: Bounds,
    /// How long making a connection may take, and any answer of the broker.
    pub timeout: Duration,
    /// How often the length of the queue is asked for.
    pub lag_interval: Duration,
    /// What a CloudEvent may have.
    pub limits: Limits,
}

/// An exchange that CloudEvents go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub url: Secret,
    /// Certificates of a private authority (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The exchange; it must exist. Empty: the default exchange, where the routing key is the name of a queue.
    pub exchange: String,
    /// The routing key where the publication names none. Absent: the CloudEvent's type.
    pub routing_key: Option<String>,
    /// How the CloudEvent is laid out.
    pub mode: Mode,
    /// How long to wait for the broker's confirmation, and for a connection.
    pub timeout: Duration,
    /// CloudEvents on the way at once.
    pub concurrency: u16,
    /// How long to leave a broker alone after a failed connection attempt.
    pub backoff: Bounds,
}

/// How a CloudEvent is laid out in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Attributes in headers, data in the body.
    #[default]
    Binary,
    /// All in one JSON document.
    Structured,
}

impl SourceConfig {
    /// The defaults for all but the address.
    pub fn new(url: Secret, queue: impl Into<String>) -> Self {
        Self {
            url,
            ca_file: None,
            queue: queue.into(),
            declare: false,
            // Some batches of what the engine writes with one sync: enough to keep it busy over a round trip.
            prefetch: 256,
            backoff: Bounds::BROKER,
            timeout: Duration::from_secs(10),
            lag_interval: Duration::from_secs(5),
            limits: Limits::DEFAULT,
        }
    }
}

impl SinkConfig {
    /// The defaults for all but the address.
    pub fn new(url: Secret, exchange: impl Into<String>) -> Self {
        Self {
            url,
            ca_file: None,
            exchange: exchange.into(),
            routing_key: None,
            mode: Mode::Binary,
            timeout: Duration::from_secs(10),
            // One channel each; brokers allow some 2,000 channels a connection.
            concurrency: 64,
            backoff: Bounds::BROKER,
        }
    }
}
