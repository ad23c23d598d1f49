//! The other party at the broker: a shop that sends orders and a partner who receives what became of them.
//!
//! **Invariant**: it connects again whenever the broker was away, sends until the broker has confirmed, and acknowledges
//! what it received only after it has noted it. So whatever is missing at the end was lost by somebody else.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use super::broker::Broker;

/// Between two attempts to reach a broker that is away.
const PAUSE: Duration = Duration::from_millis(50);
/// A broker that is going away may leave a question without an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// An order, and how it is sent. A function of its number, so that sent again it is the same.
#[derive(Clone)]
pub(super) struct Fact {
    id: String,
    subject: String,
    /// In headers, or in one JSON document.
    is_binary: bool,
    correlation_id: Option<String>,
    traceparent: Option<String>,
}

impl Fact {
    pub(super) fn new(number: usize) -> Self {
        Self {
            id: format!("id-{number}"),
            subject: format!("order-{number}"),
            is_binary: number.is_multiple_of(2),
            correlation_id: number
                .is_multiple_of(3)
                .then(|| format!("conversation-{number}")),
            traceparent: number
                .is_multiple_of(5)
                .then(|| format!("00-{:032x}-b7ad6b7169203331-01", number + 1)),
        }
    }

    /// One that is told apart by where its answer goes.
    pub(super) fn to(target: &str) -> Self {
        Self {
            id: target.to_owned(),
            subject: target.to_owned(),
            ..Self::new(1)
        }
    }

    pub(super) fn subject(&self) -> String {
        self.subject.clone()
    }

    fn attributes(&self) -> Vec<(&'static str, &str)> {
        let mut attributes = vec![
            ("specversion", "1.0"),
            ("id", &self.id),
            ("source", "/shop"),
            ("type", "order.placed"),
            ("subject", &self.subject),
        ];
        attributes.extend(
            self.correlation_id
                .as_deref()
                .map(|id| ("correlationid", id)),
        );
        attributes.extend(
            self.traceparent
                .as_deref()
                .map(|trace| ("traceparent", trace)),
        );
        attributes
    }

    fn message(&self) -> (BasicProperties, Vec<u8>) {
        let data = format!(r#"{{"order":"{}"}}"#, self.subject);
        let attributes = self.attributes();
        if self.is_binary {
            let mut headers = FieldTable::default();
            for (name, value) in attributes {
                let value = AMQPValue::LongString(value.into());
                headers.insert(format!("cloudEvents_{name}").into(), value);
            }
            let properties = BasicProperties::default()
                .with_content_type("application/json".into())
                .with_headers(headers);
            return (properties, data.into_bytes());
        }
        let members: Vec<String> = attributes
            .iter()
            .map(|(name, value)| format!(r#""{name}":"{value}""#))
            .collect();
        let body = format!(r#"{{{},"data":{data}}}"#, members.join(","));
        let properties =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        (properties, body.into_bytes())
    }
}

/// A CloudEvent that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrived {
    attributes: BTreeMap<String, String>,
    body: String,
}

pub(super) struct Partner {
    broker: Broker,
    link: Option<(Connection, Channel)>,
    /// How often the broker had to be found again.
    pub(super) reconnects: usize,
    source: String,
    target: String,
    sent: BTreeMap<String, Fact>,
    /// What arrived, by its id.
    arrived: BTreeMap<String, Arrived>,
}

impl Partner {
    /// With both queues made.
    pub(super) async fn new(broker: &Broker, source: &str, target: &str) -> Self {
        let peer = broker.connect().await;
        peer.quorum_queue(source).await;
        peer.quorum_queue(target).await;
        // What an earlier test did not wait for.
        while peer.get(target).await.is_some() {}
        peer.exchange("out", target, "order.completed").await;
        Self {
            broker: broker.clone(),
            link: None,
            reconnects: 0,
            source: source.to_owned(),
            target: target.to_owned(),
            sent: BTreeMap::new(),
            arrived: BTreeMap::new(),
        }
    }

    /// Sends an order until the broker has confirmed it, and notes it.
    pub(super) async fn send(&mut self, fact: &Fact) {
        let (properties, body) = fact.message();
        self.publish(properties, &body).await;
        self.sent.insert(fact.id.clone(), fact.clone());
    }

    /// Sends something that need not be a CloudEvent.
    pub(super) async fn raw(&mut self, content_type: Option<&str>, body: &[u8]) {
        let properties = BasicProperties::default();
        let properties = match content_type {
            Some(content_type) => properties.with_content_type(content_type.into()),
            None => properties,
        };
        self.publish(properties, body).await;
    }

    pub(super) async fn publish(&mut self, properties: BasicProperties, body: &[u8]) {
        let properties = properties.with_delivery_mode(2);
        loop {
            let queue = self.source.clone();
            let channel = self.channel().await;
            let publishing = async {
                let confirm = channel
                    .basic_publish(
                        "".into(),
                        queue.into(),
                        Default::default(),
                        body,
                        properties.clone(),
                    )
                    .await?;
                confirm.await
            };
            match tokio::time::timeout(ANSWER, publishing).await {
                Ok(Ok(confirmation)) if confirmation.is_ack() => return,
                _ => self.link = None,
            }
        }
    }

    /// Notes what has arrived by now.
    pub(super) async fn receive(&mut self) {
        loop {
            let target = self.target.clone();
            let channel = self.channel().await;
            let getting = channel.basic_get(target.into(), BasicGetOptions::default());
            let message = match tokio::time::timeout(ANSWER, getting).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return,
                _ => {
                    self.link = None;
                    continue;
                }
            };
            let delivery = message.delivery;
            let arrived = arrived(&delivery.properties, &delivery.data);
            let id = arrived.attributes["id"].clone();
            let first = self.arrived.entry(id).or_insert_with(|| arrived.clone());
            assert_eq!(*first, arrived, "it came again as another");
            // Refused by a broker that goes away: it comes again.
            delivery.acker.ack(BasicAckOptions::default()).await.ok();
        }
    }

    async fn channel(&mut self) -> Channel {
        if let Some((_, channel)) = self
            .link
            .as_ref()
            .filter(|(_, channel)| channel.status().connected())
        {
            return channel.clone();
        }
        self.reconnects += 1;
        loop {
            let url = self.broker.url_of("guest", "guest");
            let connecting = async {
                let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
                let channel = connection.create_channel().await?;
                channel
                    .confirm_select(ConfirmSelectOptions::default())
                    .await?;
                Ok::<_, lapin::Error>((connection, channel))
            };
            if let Ok(Ok((connection, channel))) = tokio::time::timeout(ANSWER, connecting).await {
                self.link = Some((connection, channel.clone()));
                return channel;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Distinct orders whose completion has arrived.
    pub(super) fn completed(&self) -> usize {
        let subjects = self
            .arrived
            .values()
            .map(|arrived| &arrived.attributes["subject"]);
        subjects.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Messages that nobody has taken from a queue.
    pub(super) async fn waiting(&self, queue: &str) -> u32 {
        self.broker.connect().await.ready(queue).await
    }

    /// Every order has one completion that says what it came from.
    pub(super) fn check(&self) {
        assert_eq!(self.arrived.len(), self.sent.len(), "ids are not stable");
        let (mut inherited, mut own, mut traced, mut binary) = (0, 0, 0, 0);
        for Arrived { attributes, body } in self.arrived.values() {
            let cause = &self.sent[&attributes["causationid"]];
            assert_eq!(attributes["subject"], cause.subject);
            assert_eq!(attributes["type"], "order.completed");
            assert!(attributes["source"].ends_with("/order"), "{attributes:?}");
            assert_eq!(*body, format!(r#"{{"order":"{}"}}"#, cause.subject));
            assert_eq!(attributes.get("traceparent"), cause.traceparent.as_ref());
            match &cause.correlation_id {
                Some(id) => assert_eq!(attributes["correlationid"], *id),
                // The instance begins the conversation.
                None => assert!(
                    attributes["correlationid"].parse::<u64>().is_ok(),
                    "{attributes:?}"
                ),
            }
            inherited += usize::from(cause.correlation_id.is_some());
            own += usize::from(cause.correlation_id.is_none());
            traced += usize::from(cause.traceparent.is_some());
            binary += usize::from(cause.is_binary);
        }
        let least = self.sent.len() / 6;
        let exercised = [inherited, own, traced, binary, self.sent.len() - binary];
        assert!(
            exercised.iter().all(|count| *count >= least),
            "too little of something: {exercised:?}"
        );
    }
}

fn arrived(properties: &BasicProperties, data: &[u8]) -> Arrived {
    let headers = properties.headers().as_ref().map(FieldTable::inner);
    let attributes = headers
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("cloudEvents_")?;
            match value {
                AMQPValue::LongString(text) => Some((
                    name.to_owned(),
                    String::from_utf8_lossy(text.as_bytes()).into_owned(),
                )),
                other => panic!("{name} is {other:?}"),
            }
        })
        .collect();
    Arrived {
        attributes,
        body: String::from_utf8_lossy(data).into_owned(),
    }
}
