//! MQTT messages to and from CloudEvents.

use kapelle_events::{Limits, mqtt};

use super::config::{Mode, Quality, SinkConfig, Version};
use super::packet::Publish;
use crate::sink::{ATTEMPT_HEADER, Publication};
use crate::source::{Delivery, Rejected};

/// What rules know of where a message lay.
pub const PLACE: [&str; 2] = ["filter", "topic"];

/// A delivery as the engine's door wants it.
pub(super) fn received(filter: &str, publish: &Publish, limits: &Limits) -> Delivery {
    let properties = publish
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let content_type = publish.content_type.as_deref();
    match mqtt::decode(content_type, properties, &publish.payload, limits) {
        Ok(event) => Delivery::Event(event),
        Err(why) => {
            let kept = publish.payload.len().min(limits.event_bytes_max);
            let mut headers = vec![("topic".to_owned(), publish.topic.clone())];
            headers.extend(
                content_type.map(|content_type| ("content-type".into(), content_type.into())),
            );
            headers.extend(publish.properties.iter().cloned());
            Delivery::Rejected(Rejected {
                place: PLACE
                    .into_iter()
                    .zip([filter.to_owned(), publish.topic.clone()])
                    .collect(),
                body: publish.payload.slice(..kept).to_vec(),
                body_bytes: publish.payload.len(),
                headers,
                why,
            })
        }
    }
}

/// An outgoing message; the connection numbers it.
pub(super) fn outgoing(publication: &Publication<'_>, topic: &str, config: &SinkConfig) -> Publish {
    let event = publication.event;
    let mut message = match (config.version, config.mode) {
        (Version::V5, Mode::Binary) => mqtt::encode_binary(event),
        (Version::V5, Mode::Structured) | (Version::V3, _) => mqtt::encode_structured(event),
    };
    if publication.attempt > 1 {
        let attempt = publication.attempt.to_string();
        message
            .properties
            .push((ATTEMPT_HEADER.to_owned(), attempt));
    }
    Publish {
        topic: topic.to_owned(),
        qos: match config.quality {
            Quality::AtLeastOnce => 1,
            Quality::ExactlyOnce => 2,
        },
        retain: config.retain,
        id: 0,
        content_type: message.content_type,
        properties: message.properties,
        payload: message.body.into(),
    }
}
