//! NATS messages to and from CloudEvents.

use async_nats::{HeaderMap, Message, header};
use bytes::Bytes;
use kapelle_events::{Limits, nats};

use super::config::Mode;
use crate::sink::{ATTEMPT_HEADER, Publication};
use crate::source::{Delivery, Rejected};

/// What rules know of where a message lay.
pub const PLACE: [&str; 2] = ["stream", "subject"];

/// A delivery as the engine's door wants it. The `sequence` in the stream tells records apart that are alike.
pub(super) fn received(
    stream: &str,
    sequence: u64,
    message: &Message,
    limits: &Limits,
) -> Delivery {
    let headers = sorted(message.headers.as_ref());
    let bytes = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()));
    match nats::decode(bytes, &message.payload, limits) {
        Ok(event) => Delivery::Event(event),
        Err(why) => {
            let kept = message.payload.len().min(limits.event_bytes_max);
            let mut told = vec![
                ("subject".to_owned(), message.subject.to_string()),
                ("sequence".to_owned(), sequence.to_string()),
            ];
            told.extend(
                headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            );
            Delivery::Rejected(Rejected {
                place: PLACE
                    .into_iter()
                    .zip([stream.to_owned(), message.subject.to_string()])
                    .collect(),
                body: message.payload.slice(..kept).to_vec(),
                body_bytes: message.payload.len(),
                headers: told,
                why,
            })
        }
    }
}

/// The client library has headers in an order that changes from one delivery to the next.
fn sorted(headers: Option<&HeaderMap>) -> Vec<(&str, &str)> {
    let mut sorted: Vec<(&str, &str)> = headers
        .into_iter()
        .flat_map(HeaderMap::iter)
        .flat_map(|(name, values)| values.iter().map(|value| (name.as_ref(), value.as_str())))
        .collect();
    // Stable: several values of one name keep their order.
    sorted.sort_by_key(|(name, _)| *name);
    sorted
}

/// The headers and body of an outgoing message.
pub(super) fn outgoing(
    publication: &Publication<'_>,
    subject: &str,
    mode: Mode,
) -> (HeaderMap, Bytes) {
    let event = publication.event;
    let message = match mode {
        Mode::Binary => nats::encode_binary(event),
        Mode::Structured => nats::encode_structured(event),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        headers.insert(name.as_str(), value.as_str());
    }
    headers.insert(header::NATS_MESSAGE_ID, message_id(publication, subject));
    if publication.attempt > 1 {
        headers.insert(ATTEMPT_HEADER, publication.attempt.to_string());
    }
    (headers, message.body.into())
}

/// By which a stream knows a repeat. The subject is part of it: a stream has one window for all of its subjects, and the
/// same CloudEvent may go to two of them.
fn message_id(publication: &Publication<'_>, subject: &str) -> String {
    publication.event.identity_hash(subject).to_string()
}
