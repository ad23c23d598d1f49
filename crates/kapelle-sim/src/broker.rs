//! Those who bring CloudEvents: brokers that offer again and again what was not acknowledged, what was acknowledged but whose
//! answer was lost, and now and then what was acknowledged long ago, sometimes with other content under the same id; and
//! clients that post. Both as bytes on the wire, through the codecs and the door that ship.
//!
//! **Invariants that are asked for**
//! - What was written as a CloudEvent is read as the same one.
//! - What is none is kept as it came, once, if a broker brought it; of a post it refuses everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use kapelle_engine::command::{Arrival, IngestEvents};
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_events::amqp::{self, Property};
use kapelle_events::{CloudEvent, Limits, Timestamp, Value, http, json};
use kapelle_runtime::door::{Door, Unreadable};

use crate::exercised::Exercised;
use crate::random::Random;

const SOURCE_NAME: &str = "queue";
const POSTED: &str = "http";

const TYPES: [&str; 8] = [
    "some.red",
    "some.green",
    "some.blue",
    "order.placed",
    "order.placed",
    "order.free",
    "red",
    "unknown",
];

/// Messages that a broker keeps for those who come late.
const KEPT_MAX: usize = 40;

/// What was offered, in the words of whoever waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// By its id.
    Event(Box<str>),
    /// What is no CloudEvent: a name of ours, and what is to be kept of it.
    Record { name: Box<str>, raw: Arc<[u8]> },
}

impl Offered {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Event(name) | Self::Record { name, .. } => name,
        }
    }
}

/// A message in a queue.
#[derive(Clone)]
struct Message {
    wire: amqp::Message,
    offered: Offered,
    /// What it was made of.
    event: Option<Arc<CloudEvent>>,
}

/// One broker with one queue.
#[derive(Default)]
pub(crate) struct Broker {
    made: u64,
    kept: Vec<Message>,
}

impl Broker {
    /// What it offers next.
    pub(crate) fn offer(
        &mut self,
        random: &mut Random,
        now_ms: i64,
        taken_in: &BTreeSet<Box<str>>,
        exercised: &mut Exercised,
    ) -> Result<(IngestEvents, Vec<Offered>), String> {
        for _ in 0..random.below(3) {
            let message = if random.one_in(12) {
                self.broken(random)
            } else {
                self.made += 1;
                let event = self.event(&format!("ce-{}", self.made), random, now_ms);
                message(event, random)
            };
            self.kept.push(message);
        }
        if self.kept.len() > KEPT_MAX {
            self.kept.remove(0);
        }
        let batch_max = 1 + random.index(5);
        let mut messages: Vec<Message> = self
            .kept
            .iter()
            .filter(|message| !taken_in.contains(message.offered.name()) || random.one_in(12))
            .take(batch_max)
            .cloned()
            .collect();
        if random.one_in(10)
            && let Some(first) = messages.first().cloned()
        {
            // Twice in one batch, or another content under the same id.
            messages.push(match first.event.clone().filter(|_| random.one_in(2)) {
                Some(event) => message(self.event(event.id(), random, now_ms), random),
                None => first,
            });
        }
        exercised.arrivals += messages.len() as u64;
        let is_repeat = |message: &&Message| taken_in.contains(message.offered.name());
        exercised.repeated += messages.iter().filter(is_repeat).count() as u64;
        let door = Door::new(DEFAULT_TENANT.into(), SOURCE_NAME.into());
        let arrivals: Result<Vec<Arrival>, String> = messages
            .iter()
            .map(|message| {
                exercised.unreadable += u64::from(message.event.is_none());
                read(message, &door)
            })
            .collect();
        let command = IngestEvents {
            tenant: DEFAULT_TENANT.into(),
            source_name: SOURCE_NAME.into(),
            arrivals: arrivals?,
        };
        let offered = messages.into_iter().map(|message| message.offered);
        Ok((command, offered.collect()))
    }

    /// A client posts some CloudEvents. Nothing if it is refused for what it sent.
    pub(crate) fn post(
        &mut self,
        random: &mut Random,
        now_ms: i64,
        exercised: &mut Exercised,
    ) -> Result<Option<(IngestEvents, Vec<Offered>)>, String> {
        let events: Vec<CloudEvent> = (0..1 + random.below(3))
            .map(|_| {
                self.made += 1;
                self.event(&format!("ce-{}", self.made), random, now_ms)
            })
            .collect();
        let mut wire = match (events.as_slice(), random.below(3)) {
            ([event], 0) => http::encode_binary(event),
            ([event], 1) => http::encode_structured(event),
            (events, _) => http::Message {
                headers: vec![("content-type".to_owned(), json::BATCH_MEDIA_TYPE.to_owned())],
                body: json::encode_batch(events),
            },
        };
        let is_broken = random.one_in(5);
        if is_broken {
            match wire.headers.iter().position(|(name, _)| name == "ce-id") {
                Some(at) => drop(wire.headers.remove(at)),
                None => wire.body.truncate(wire.body.len() / 2),
            }
        }
        let headers: Vec<(&str, &[u8])> = wire
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let decoded = http::decode(headers.iter().copied(), &wire.body, &Limits::DEFAULT);
        exercised.posts += 1;
        exercised.unreadable += u64::from(is_broken);
        match decoded {
            Err(_) if is_broken => Ok(None),
            Err(why) => Err(format!("a post cannot be read: {why}")),
            Ok(_) if is_broken => Err("half a post was read".to_owned()),
            Ok((_, read)) if read != events => {
                Err(format!("posted were {events:?}, and read is {read:?}"))
            }
            Ok((_, read)) => {
                exercised.arrivals += read.len() as u64;
                let offered = events.iter().map(|event| Offered::Event(event.id().into()));
                let arrivals = read
                    .into_iter()
                    .map(|event| Arrival::Event(Arc::new(event)));
                let command = IngestEvents {
                    tenant: DEFAULT_TENANT.into(),
                    source_name: POSTED.into(),
                    arrivals: arrivals.collect(),
                };
                Ok(Some((command, offered.collect())))
            }
        }
    }

    /// A message that is no CloudEvent. Few different ones, so that the same record comes again as another message.
    fn broken(&mut self, random: &mut Random) -> Message {
        self.made += 1;
        let number = random.below(3);
        let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        let (content_type, properties, body) = match random.below(4) {
            0 => ("text/plain", Vec::new(), format!("no CloudEvent {number}")),
            1 => (
                json::MEDIA_TYPE,
                Vec::new(),
                format!("{{\"specversion\":\"1.0\",\"id\":\"{number}"),
            ),
            2 => (
                "application/json",
                vec![text("cloudEvents_specversion", "1.0")],
                format!("{{\"number\":{number}}}"),
            ),
            _ => (json::BATCH_MEDIA_TYPE, Vec::new(), format!("[{number}]")),
        };
        Message {
            offered: Offered::Record {
                name: format!("record-{}", self.made).into(),
                raw: body.as_bytes().into(),
            },
            wire: amqp::Message {
                content_type: Some(content_type.to_owned()),
                properties,
                body: body.into_bytes(),
            },
            event: None,
        }
    }

    fn event(&self, id: &str, random: &mut Random, now_ms: i64) -> CloudEvent {
        let (n, k) = (random.below(9), random.below(3));
        // A number and its text are different keys.
        let key = if random.one_in(4) {
            format!("\"{k}\"")
        } else {
            k.to_string()
        };
        let padding = "x".repeat(usize::try_from(random.spread(3)).unwrap_or(0));
        let event_type = random.pick(&TYPES).copied().unwrap_or("unknown");
        let mut builder = CloudEvent::builder(id, "/broker", event_type).data(
            "application/json",
            format!("{{\"k\":{key},\"n\":{n},\"padding\":\"{padding}\"}}").as_str(),
        );
        if random.one_in(3) {
            builder = builder.subject(k.to_string());
        }
        if random.one_in(8)
            && let Some(at) = Timestamp::from_unix_ms(
                now_ms + 1_000 - 500 * i64::try_from(random.below(4)).unwrap_or(0),
            )
        {
            builder = builder.extension("expirytime", at.as_str());
        }
        builder
            .build()
            .expect("invariant: the simulator makes valid CloudEvents")
    }
}

fn message(event: CloudEvent, random: &mut Random) -> Message {
    let wire = if random.one_in(2) {
        amqp::encode_binary(&event)
    } else {
        amqp::encode_structured(&event)
    };
    Message {
        wire,
        offered: Offered::Event(event.id().into()),
        event: Some(Arc::new(event)),
    }
}

/// What the source makes of a message.
fn read(message: &Message, door: &Door) -> Result<Arrival, String> {
    let wire = &message.wire;
    let properties = wire
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), property(value)));
    let decoded = amqp::decode(
        wire.content_type.as_deref(),
        properties,
        &wire.body,
        &Limits::DEFAULT,
    );
    match (decoded, &message.event) {
        (Ok(read), Some(event)) if read == **event => Ok(Arrival::Event(Arc::new(read))),
        (Err(why), None) => {
            let mut headers: Vec<(String, String)> = wire
                .properties
                .iter()
                .map(|(name, value)| (name.clone(), value.to_text().into_owned()))
                .collect();
            headers.extend(
                wire.content_type
                    .iter()
                    .map(|value| ("content_type".to_owned(), value.clone())),
            );
            let came = Unreadable {
                place: Vec::new(),
                headers,
                body: wire.body.clone(),
                body_bytes: wire.body.len(),
                why,
            };
            Ok(door.unreadable(came, 0, &Limits::DEFAULT))
        }
        (read, event) => Err(format!("a broker had {event:?}, and read is {read:?}")),
    }
}

fn property(value: &Value) -> Property<'_> {
    match value {
        Value::Boolean(value) => Property::Boolean(*value),
        Value::Integer(value) => Property::Integer((*value).into()),
        Value::Binary(value) => Property::Binary(value),
        other => Property::Text(other.as_str().unwrap_or_default().as_bytes()),
    }
}
