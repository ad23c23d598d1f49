//! The sections: what can be configured, with its manual entry.

use std::path::PathBuf;

use super::section::{Reader, Section as _, section};
use super::setting::{Address, Bytes, Secret, Span, words};
use super::tree::{Node, Raw};

section! {
    /// Where the server listens. Only loopback addresses are accepted until authentication can be configured.
    pub(crate) struct Server in "server" {
        /// The REST API, `POST /events` and, later, the web UI. Since 0.1.
        rest_address: Address = Address::loopback(8080),
        /// The Zeebe gRPC gateway. Since 0.1.
        grpc_address: Address = Address::loopback(26500),
        /// Probes and metrics. Since 0.1.
        management_address: Address = Address::loopback(9600),
        /// Threads that serve the network; 0 = one for each core, at most 4. The partition has threads of its own. Since 0.1.
        network_threads: u64 = 0; 0..=256,
        /// How long a stopping server waits for requests in flight. Since 0.1.
        shutdown_timeout: Span = Span::seconds(10),
    }
}

section! {
    /// What is kept on disk, and how.
    pub(crate) struct Data in "data" {
        /// The data directory: journal, checkpoints, history. One process at a time. Since 0.1.
        dir: PathBuf = PathBuf::from("kapelle-data"),
        /// Size of a journal segment; the largest request and all that it leads to must fit into one. Since 0.1.
        segment_size: Bytes = Bytes::mib(64); Bytes::mib(32)..=Bytes::mib(1024),
        /// Memory for blocks of the checkpoint store. Since 0.1.
        store_cache: Bytes = Bytes::mib(64); Bytes::mib(1)..=Bytes::TIB,
        /// New work is refused when less than this is free on the disk; what runs goes on. Since 0.1.
        disk_reserve: Bytes = Bytes::mib(512); Bytes::mib(64)..=Bytes::TIB,
        /// A start replays at most about so many records; fewer mean more frequent checkpoints. Since 0.1.
        replay_records: u64 = 4_000_000; 1_000..=100_000_000,
        /// Journal between two copies of the checkpoint store to go back to if it does not open; the journal is kept for two
        /// of them, so it takes up to three times as much disk. Since 0.1.
        copy_interval: Bytes = Bytes::mib(256); Bytes::mib(1)..=Bytes::TIB,
        /// Takes over a clock that jumped by more than an hour, once, at this start. Since 0.1.
        accept_clock_jump: bool = false,
    }
}

section! {
    /// What may be in memory or on the way at once. Reaching a limit is a normal answer: RESOURCE_EXHAUSTED or 503.
    pub(crate) struct Limits in "limits" {
        /// Memory for instances; idle ones beyond it wait on disk. Since 0.1.
        instance_cache: Bytes = Bytes::mib(256); Bytes::mib(16)..=Bytes::TIB,
        /// Commands accepted and not yet answered. Since 0.1.
        commands_in_flight: u64 = 4096; 16..=1 << 20,
        /// Largest request body and gRPC message. Since 0.1.
        message_size: Bytes = Bytes::mib(4); Bytes::mib(1)..=Bytes::mib(16),
        /// Largest request of `POST /events`. Since 0.1.
        event_batch_size: Bytes = Bytes::mib(4); Bytes::mib(1)..=Bytes::mib(16),
        /// CloudEvents in one request of `POST /events`. Since 0.1.
        event_batch_count: u64 = 1000; 1..=10_000,
    }
}

section! {
    /// How arriving CloudEvents are recognised and kept for a late receiver.
    pub(crate) struct Events in "events" {
        /// How long a CloudEvent with the same source and id counts as a repeat. Since 0.1.
        dedup_window: Span = Span::hours(24); Span::seconds(60)..=Span::hours(24 * 366),
        /// How many identities are remembered at most; the window ends with whichever comes first. Since 0.1.
        dedup_count: u64 = 10_000_000; 1_000..=1_000_000_000,
        /// How long a CloudEvent waits for a receiver where its binding does not say. Since 0.1.
        time_to_live: Span = Span::hours(1); Span::seconds(0)..=Span::hours(24 * 366),
    }
}

section! {
    /// Delivery of the CloudEvents that processes publish.
    pub(crate) struct Outbox in "outbox" {
        /// Attempts before a CloudEvent goes to the dead letters. Since 0.1.
        attempts: u64 = 12; 1..=1_000,
        /// Wait after the first failure; doubles with each further one. Since 0.1.
        backoff: Span = Span::millis(500); Span::millis(1)..=Span::hours(24),
        /// Longest wait between two attempts. Since 0.1.
        backoff_limit: Span = Span::seconds(300); Span::millis(1)..=Span::hours(24 * 7),
        /// Deliveries on the way at once, over all sinks. Since 0.1.
        concurrency: u64 = 64; 1..=4_096,
    }
}

section! {
    /// What can be searched.
    pub(crate) struct History in "history" {
        /// Keeps a searchable copy of instances, jobs, incidents, variables and events. Since 0.1.
        enabled: bool = true,
        /// How long ended instances and routed events stay searchable. Since 0.1.
        retention: Span = Span::hours(24 * 7); Span::seconds(60)..=Span::hours(24 * 3_660),
        /// How long a search waits until it sees what was committed when it began. Since 0.1.
        read_your_writes_timeout: Span = Span::seconds(5),
    }
}

section! {
    /// The store of all CloudEvents, which subscribers, look-ups and replay read.
    pub(crate) struct EventStore in "event-store" {
        /// How long CloudEvents stay. Since 0.1.
        retention: Span = Span::hours(24 * 30); Span::seconds(60)..=Span::hours(24 * 36_600),
        /// What it may take on the disk; then the oldest go. Since 0.1.
        size: Bytes = Bytes::mib(10 * 1024); Bytes::mib(64)..=Bytes::TIB,
    }
}

words! {
    /// How much is told.
    LogLevel: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"" {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
        Trace = "trace",
    }
}

section! {
    /// What the server tells about itself, on standard error.
    pub(crate) struct Log in "log" {
        /// How much. Since 0.1.
        level: LogLevel = LogLevel::Info,
    }
}

words! {
    /// How a CloudEvent is laid out in a message or request.
    DeliveryMode: "\"binary\" or \"structured\"" {
        Binary = "binary",
        Structured = "structured",
    }
}

words! {
    /// The versions of MQTT.
    MqttVersion: "\"5\" or \"3.1.1\"" {
        Five = "5",
        Three = "3.1.1",
    }
}

section! {
    /// Topics of an MQTT broker that CloudEvents come from: `[sources.NAME]`.
    pub(crate) struct MqttSource in "mqtt" {
        /// The kind of the source: "mqtt". Since 0.1.
        kind: String = String::from("mqtt"),
        /// `mqtt://user:password@host:port` or `mqtts://…`. One of url, url-env and url-file is needed. Since 0.1.
        url: Option<Secret> = None,
        /// The environment variable that holds the URL. Since 0.1.
        url_env: Option<String> = None,
        /// The file that holds the URL. Since 0.1.
        url_file: Option<PathBuf> = None,
        /// Certificates of a private authority (PEM) that are trusted beside the system's, for `mqtts`. Since 0.1.
        ca_file: Option<PathBuf> = None,
        /// The version of the protocol. With 3.1.1, CloudEvents come as JSON documents alone. Since 0.1.
        version: MqttVersion = MqttVersion::Five,
        /// The topic filter, also with wildcards; `$share/GROUP/FILTER` shares the subscription with others. Since 0.1.
        topic: String = String::new(),
        /// By which the broker knows the session again and what is in it; no other client may have it. Since 0.1.
        client_id: String = String::new(),
        /// The quality of service to ask for; what was published with less comes with less. Since 0.1.
        qos: u64 = 1; 1..=2,
        /// Takes also what was retained before the subscription was made. Since 0.1.
        retained: bool = true,
        /// Deliveries on the way at once; the broker holds back the rest. Since 0.1.
        prefetch: u64 = 256; 1..=65_535,
    }
}

section! {
    /// Topics of an MQTT broker that CloudEvents go to: `[sinks.NAME]`.
    pub(crate) struct MqttSink in "mqtt" {
        /// The kind of the sink: "mqtt". Since 0.1.
        kind: String = String::from("mqtt"),
        /// `mqtt://user:password@host:port` or `mqtts://…`. One of url, url-env and url-file is needed. Since 0.1.
        url: Option<Secret> = None,
        /// The environment variable that holds the URL. Since 0.1.
        url_env: Option<String> = None,
        /// The file that holds the URL. Since 0.1.
        url_file: Option<PathBuf> = None,
        /// Certificates of a private authority (PEM) that are trusted beside the system's, for `mqtts`. Since 0.1.
        ca_file: Option<PathBuf> = None,
        /// The version of the protocol. 3.1.1 has no properties, so all is in one JSON document then. Since 0.1.
        version: MqttVersion = MqttVersion::Five,
        /// The topic to publish to; the CloudEvent's type where there is none. Since 0.1.
        topic: Option<String> = None,
        /// The quality of service. Since 0.1.
        qos: u64 = 1; 1..=2,
        /// Has the broker keep the last CloudEvent of a topic for those who subscribe later. Since 0.1.
        retain: bool = false,
        /// Attributes as user properties, or all in one JSON document. Since 0.1.
        mode: DeliveryMode = DeliveryMode::Binary,
        /// How long to wait for the broker's confirmation. Since 0.1.
        timeout: Span = Span::seconds(10),
    }
}

section! {
    /// A NATS JetStream stream that CloudEvents come from: `[sources.NAME]`.
    pub(crate) struct NatsSource in "nats" {
        /// The kind of the source: "nats". Since 0.1.
        kind: String = String::from("nats"),
        /// `nats://user:password@host:port`, `nats://token@host` or `tls://…`; the servers of a cluster with commas between
        /// them. One of url, url-env and url-file is needed. Since 0.1.
        url: Option<Secret> = None,
        /// The environment variable that holds the URL. Since 0.1.
        url_env: Option<String> = None,
        /// The file that holds the URL. Since 0.1.
        url_file: Option<PathBuf> = None,
        /// Certificates of a private authority (PEM) that are trusted beside the system's, for TLS. Since 0.1.
        ca_file: Option<PathBuf> = None,
        /// The stream to read; it must exist. Since 0.1.
        stream: String = String::new(),
        /// The durable pull consumer, which remembers what was acknowledged; it must exist unless `declare` is on. Since 0.1.
        consumer: String = String::from("kapelle"),
        /// Makes the consumer where it does not exist; it begins with the first message of the stream. Since 0.1.
        declare: bool = false,
        /// The subject, also with wildcards, of which a consumer that is made here gets messages; all without. Since 0.1.
        subject: Option<String> = None,
        /// How long a consumer that is made here waits for an acknowledgement until it delivers again. Since 0.1.
        ack_wait: Span = Span::seconds(30); Span::seconds(1)..=Span::hours(24),
        /// Deliveries on the way at once; the server holds back the rest. Since 0.1.
        prefetch: u64 = 256; 1..=65_535,
    }
}

section! {
    /// Subjects of NATS JetStream streams that CloudEvents go to: `[sinks.NAME]`.
    pub(crate) struct NatsSink in "nats" {
        /// The kind of the sink: "nats". Since 0.1.
        kind: String = String::from("nats"),
        /// `nats://user:password@host:port`, `nats://token@host` or `tls://…`; the servers of a cluster with commas between
        /// them. One of url, url-env and url-file is needed. Since 0.1.
        url: Option<Secret> = None,
        /// The environment variable that holds the URL. Since 0.1.
        url_env: Option<String> = None,
        /// The file that holds the URL. Since 0.1.
        url_file: Option<PathBuf> = None,
        /// Certificates of a private authority (PEM) that are trusted beside the system's, for TLS. Since 0.1.
        ca_file: Option<PathBuf> = None,
        /// The subject to publish to, which a stream must take; the CloudEvent's type where there is none. Since 0.1.
        subject: Option<String> = None,
        /// Attributes as headers, or all in one JSON document. Since 0.1.
        mode: DeliveryMode = DeliveryMode::Binary,
        /// How long to wait for the stream's confirmation. Since 0.1.
        timeout: Span = Span::seconds(10),
    }
}

section! {
    /// A RabbitMQ queue that CloudEvents come from: `[sources.NAME]`.
    pub(crate) struct RabbitmqSource in "rabbitmq" {
        /// The kind of the source: "rabbitmq". Since 0.1.
        kind: String = String::from("rabbitmq"),
        /// `amqp://user:password@host:port/vhost`. One of url, url-env and url-file is needed. Since 0.1.
        url: Option<Secret> = None,
        /// The environment variable that holds the URL. Since 0.1.
        url_env: Option<String> = None,
        /// The file that holds the URL. Since 0.1.
        url_file: Option<PathBuf> = None,
        /// Certificates of a private authority (PEM) that are trusted beside the system's, for `amqps`. Since 0.1.
        ca_file: Option<PathBuf> = None,
        /// The queue to read; it must exist unless `declare` is on, and be a quorum queue to survive the loss of a broker.
        /// Since 0.1.
        queue: String = String::new(),
        /// Makes the queue where it does not exist: durable, a quorum queue. Since 0.1.
        declare: bool = false,
        /// Deliveries on the way at once; the broker holds back the rest. Since 0.1.
        prefetch: u64 = 256; 1..=65_535,
    }
}

section! {
    /// A RabbitMQ exchange that CloudEvents go to: `[sinks.NAME]`.
    pub(crate) struct RabbitmqSink in "rabbitmq" {
        /// The kind of the sink: "rabbitmq". Since 0.1.
        kind: String = String::from("rabbitmq"),
        /// `amqp://user:password@host:port/vhost`. One of url, url-env and url-file is needed. Since 0.1.
        url: Option<Secret> = None,
        /// The environment variable that holds the URL. Since 0.1.
        url_env: Option<String> = None,
        /// The file that holds the URL. Since 0.1.
        url_file: Option<PathBuf> = None,
        /// Certificates of a private authority (PEM) that are trusted beside the system's, for `amqps`. Since 0.1.
        ca_file: Option<PathBuf> = None,
        /// The exchange to publish to; it must exist. Since 0.1.
        exchange: String = String::new(),
        /// The routing key; the CloudEvent's type where there is none. Since 0.1.
        routing_key: Option<String> = None,
        /// How long to wait for the broker's confirmation. Since 0.1.
        timeout: Span = Span::seconds(10),
    }
}

section! {
    /// A webhook that CloudEvents go to: `[sinks.NAME]`.
    pub(crate) struct WebhookSink in "webhook" {
        /// The kind of the sink: "webhook". Since 0.1.
        kind: String = String::from("webhook"),
        /// Where to POST. One of url, url-env and url-file is needed. Since 0.1.
        url: Option<Secret> = None,
        /// The environment variable that holds the URL. Since 0.1.
        url_env: Option<String> = None,
        /// The file that holds the URL. Since 0.1.
        url_file: Option<PathBuf> = None,
        /// Certificates of a private authority (PEM) that are trusted beside the system's, for `https`. Since 0.1.
        ca_file: Option<PathBuf> = None,
        /// The environment variable that holds the value of the `authorization` header, such as `Bearer …`. Since 0.1.
        authorization_env: Option<String> = None,
        /// The file that holds it; at most one of the two. It is never written in the configuration itself. Since 0.1.
        authorization_file: Option<PathBuf> = None,
        /// Attributes as headers, or all in one JSON document. Since 0.1.
        mode: DeliveryMode = DeliveryMode::Binary,
        /// How long to wait for the answer. Since 0.1.
        timeout: Span = Span::seconds(10),
    }
}

/// Where CloudEvents come from.
#[derive(Clone, Debug)]
pub(crate) enum SourceConfig {
    Mqtt(MqttSource),
    Nats(NatsSource),
    Rabbitmq(RabbitmqSource),
}

impl SourceConfig {
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Mqtt(source) => &source.kind,
            Self::Nats(source) => &source.kind,
            Self::Rabbitmq(source) => &source.kind,
        }
    }

    /// What rules know of where a record lay.
    pub(super) const fn place(&self) -> &'static [&'static str] {
        match self {
            Self::Mqtt(_) => &kapelle_connectors::mqtt::PLACE,
            Self::Nats(_) => &kapelle_connectors::nats::PLACE,
            Self::Rabbitmq(_) => &kapelle_connectors::rabbitmq::PLACE,
        }
    }

    pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match kind(node, reader, &["mqtt", "nats", "rabbitmq"])? {
            "mqtt" => {
                let mut source = MqttSource::default();
                source.take(node, reader);
                required(reader, node, "topic", &source.topic);
                required(reader, node, "client-id", &source.client_id);
                one_url(
                    reader,
                    node,
                    source.url.is_some(),
                    source.url_env.is_some(),
                    source.url_file.is_some(),
                );
                Some(Self::Mqtt(source))
            }
            "nats" => {
                let mut source = NatsSource::default();
                source.take(node, reader);
                required(reader, node, "stream", &source.stream);
                required(reader, node, "consumer", &source.consumer);
                one_url(
                    reader,
                    node,
                    source.url.is_some(),
                    source.url_env.is_some(),
                    source.url_file.is_some(),
                );
                Some(Self::Nats(source))
            }
            "rabbitmq" => {
                let mut source = RabbitmqSource::default();
                source.take(node, reader);
                required(reader, node, "queue", &source.queue);
                one_url(
                    reader,
                    node,
                    source.url.is_some(),
                    source.url_env.is_some(),
                    source.url_file.is_some(),
                );
                Some(Self::Rabbitmq(source))
            }
            _ => None,
        }
    }
}

/// Where CloudEvents go.
#[derive(Clone, Debug)]
pub(crate) enum SinkConfig {
    Mqtt(MqttSink),
    Nats(NatsSink),
    Rabbitmq(RabbitmqSink),
    Webhook(WebhookSink),
}

impl SinkConfig {
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Mqtt(sink) => &sink.kind,
            Self::Nats(sink) => &sink.kind,
            Self::Rabbitmq(sink) => &sink.kind,
            Self::Webhook(sink) => &sink.kind,
        }
    }

    pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match kind(node, reader, &["mqtt", "nats", "rabbitmq", "webhook"])? {
            "mqtt" => {
                let mut sink = MqttSink::default();
                sink.take(node, reader);
                one_url(
                    reader,
                    node,
                    sink.url.is_some(),
                    sink.url_env.is_some(),
                    sink.url_file.is_some(),
                );
                Some(Self::Mqtt(sink))
            }
            "nats" => {
                let mut sink = NatsSink::default();
                sink.take(node, reader);
                one_url(
                    reader,
                    node,
                    sink.url.is_some(),
                    sink.url_env.is_some(),
                    sink.url_file.is_some(),
                );
                Some(Self::Nats(sink))
            }
            "rabbitmq" => {
                let mut sink = RabbitmqSink::default();
                sink.take(node, reader);
                required(reader, node, "exchange", &sink.exchange);
                one_url(
                    reader,
                    node,
                    sink.url.is_some(),
                    sink.url_env.is_some(),
                    sink.url_file.is_some(),
                );
                Some(Self::Rabbitmq(sink))
            }
            "webhook" => {
                let mut sink = WebhookSink::default();
                sink.take(node, reader);
                one_url(
                    reader,
                    node,
                    sink.url.is_some(),
                    sink.url_env.is_some(),
                    sink.url_file.is_some(),
                );
                if sink.authorization_env.is_some() && sink.authorization_file.is_some() {
                    let both = "has both `authorization-env` and `authorization-file`; give one";
                    reader.wrong(node, both.to_owned());
                }
                Some(Self::Webhook(sink))
            }
            _ => None,
        }
    }
}

fn kind<'a>(node: &'a Node, reader: &mut Reader, known: &[&str]) -> Option<&'a str> {
    let Raw::Table(table) = &node.raw else {
        reader.wrong(node, format!("must be a table, not {}", node.raw.kind()));
        return None;
    };
    match table.find(&["kind"]).map(|node| &node.raw) {
        Some(Raw::Text(kind)) if known.contains(&kind.as_str()) => Some(kind),
        Some(Raw::Text(kind)) => {
            reader.wrong(
                node,
                format!(
                    "has the unknown kind {kind:?}; known are {}",
                    known.join(", ")
                ),
            );
            None
        }
        _ => {
            reader.wrong(
                node,
                format!("needs `kind`; known are {}", known.join(", ")),
            );
            None
        }
    }
}

fn required(reader: &mut Reader, node: &Node, key: &str, value: &str) {
    if value.is_empty() {
        reader.wrong(node, format!("needs `{key}`"));
    }
}

fn one_url(reader: &mut Reader, node: &Node, url: bool, env: bool, file: bool) {
    if [url, env, file].into_iter().filter(|given| *given).count() != 1 {
        reader.wrong(
            node,
            "needs exactly one of `url`, `url-env` and `url-file`".to_owned(),
        );
    }
}
