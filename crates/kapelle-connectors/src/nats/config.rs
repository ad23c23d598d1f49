//! What a NATS source and sink need to know. Plain data: the binary reads files.

use std::path::PathBuf;
use std::time::Duration;

use kapelle_events::Limits;

use crate::backoff::Bounds;
use crate::secret::Secret;

/// A consumer of a JetStream stream that CloudEvents come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// `nats://user:password@host:port`, `nats://token@host`, or `tls://`; several servers of a cluster by commas.
    pub url: Secret,
    /// Certificates of a private authority (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The stream; it must exist.
    pub stream: String,
    /// The name of the durable consumer, which remembers what was acknowledged.
    pub consumer: String,
    /// Makes the consumer where it does not exist, from the beginning of the stream. Off: a missing consumer is an error.
    pub declare: bool,
    /// Which subjects a consumer that is made here gets; all without.
    pub subject: Option<String>,
    /// After how long without acknowledgement a consumer that is made here delivers again.
    pub ack_wait: Duration,
    /// Deliveries on the way at once; the server holds back the rest.
    pub prefetch: u16,
    /// Waits between connection attempts, and between offers to an engine that is overloaded.
    pub backoff: Bounds,
    /// How long making a connection may take, and any answer of the server.
    pub timeout: Duration,
    /// How often it is asked what waits in the stream.
    pub lag_interval: Duration,
    /// What a CloudEvent may have.
    pub limits: Limits,
}

/// Subjects that CloudEvents go to; a stream must take them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// `nats://user:password@host:port`, `nats://token@host`, or `tls://`; several servers of a cluster by commas.
    pub url: Secret,
    /// Certificates of a private authority (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The subject where the publication names none. Absent: the CloudEvent's type.
    pub subject: Option<String>,
    /// How the CloudEvent is laid out.
    pub mode: Mode,
    /// How long to wait for the server's confirmation, and for a connection.
    pub timeout: Duration,
    /// CloudEvents on the way at once.
    pub concurrency: u16,
    /// How long to leave a server alone after a failed connection attempt.
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
    pub fn new(url: Secret, stream: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self {
            url,
            ca_file: None,
            stream: stream.into(),
            consumer: consumer.into(),
            declare: false,
            subject: None,
            // The server's own default.
            ack_wait: Duration::from_secs(30),
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
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            ca_file: None,
            subject: None,
            mode: Mode::Binary,
            timeout: Duration::from_secs(10),
            concurrency: 64,
            backoff: Bounds::BROKER,
        }
    }
}
