//! What an MQTT source and sink need to know. Plain data: the binary reads files.

use std::path::PathBuf;
use std::time::Duration;

use kapelle_events::Limits;

use crate::backoff::Bounds;
use crate::secret::Secret;

/// A topic filter that CloudEvents come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// `mqtt://user:password@host:port` or `mqtts://`.
    pub url: Secret,
    /// Certificates of a private authority (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The version of the protocol.
    pub version: Version,
    /// The topic filter, with wildcards; `$share/GROUP/FILTER` shares it with others.
    pub topic: String,
    /// By which the broker knows the session again; no other client may have it.
    pub client_id: String,
    /// The quality of service that is asked for. One that was published with less comes with less.
    pub quality: Quality,
    /// Whether to take what was retained before the subscription was made.
    pub retained: bool,
    /// Deliveries on the way at once; the broker holds back the rest.
    pub prefetch: u16,
    /// Waits between connection attempts, and between offers to an engine that is overloaded.
    pub backoff: Bounds,
    /// How long making a connection may take, and any answer of the broker.
    pub timeout: Duration,
    /// What a CloudEvent may have.
    pub limits: Limits,
}

/// Topics that CloudEvents go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// `mqtt://user:password@host:port` or `mqtts://`.
    pub url: Secret,
    /// Certificates of a private authority (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The version of the protocol. 3.1.1 has structured mode alone.
    pub version: Version,
    /// The topic where the publication names none. Absent: the CloudEvent's type.
    pub topic: Option<String>,
    /// The quality of service.
    pub quality: Quality,
    /// Whether the broker keeps the last CloudEvent of a topic for later subscribers.
    pub retain: bool,
    /// How the CloudEvent is laid out.
    pub mode: Mode,
    /// How long to wait for the broker's confirmation, and for a connection.
    pub timeout: Duration,
    /// CloudEvents on the way at once.
    pub concurrency: u16,
    /// How long to leave a broker alone after a failed connection attempt.
    pub backoff: Bounds,
}

/// A version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// 3.1.1
    V3,
    /// 5
    #[default]
    V5,
}

/// The qualities of service that confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Quality {
    /// QoS 1
    #[default]
    AtLeastOnce,
    /// QoS 2
    ExactlyOnce,
}

/// How a CloudEvent is laid out in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Attributes in user properties, data in the payload.
    #[default]
    Binary,
    /// All in one JSON document.
    Structured,
}

impl SourceConfig {
    /// The defaults for all but the address.
    pub fn new(url: Secret, topic: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            url,
            ca_file: None,
            version: Version::V5,
            topic: topic.into(),
            client_id: client_id.into(),
            quality: Quality::AtLeastOnce,
            retained: true,
            // Some batches of what the engine writes with one sync: enough to keep it busy over a round trip.
            prefetch: 256,
            backoff: Bounds::BROKER,
            timeout: Duration::from_secs(10),
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
            version: Version::V5,
            topic: None,
            quality: Quality::AtLeastOnce,
            retain: false,
            mode: Mode::Binary,
            timeout: Duration::from_secs(10),
            concurrency: 64,
            backoff: Bounds::BROKER,
        }
    }
}
