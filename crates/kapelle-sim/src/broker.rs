//! Brokers that offer CloudEvents again and again: what was not acknowledged, what was acknowledged but whose answer was
//! lost, and now and then what was acknowledged long ago; sometimes with other content under the same id.

use std::sync::Arc;

use kapelle_engine::command::{Arrival, IngestEvents};
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_events::{CloudEvent, IdentityHash, Timestamp};

use crate::exercised::Exercised;
use crate::random::Random;

const SOURCE_NAME: &str = "queue";

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

/// CloudEvents that a broker keeps for those who come late.
const KEPT_MAX: usize = 40;

/// One broker with one queue.
#[derive(Default)]
pub(crate) struct Broker {
    made: u64,
    kept: Vec<Arc<CloudEvent>>,
}

impl Broker {
    /// What it offers next, and the ids in it (empty for what is no CloudEvent).
    pub(crate) fn offer(
        &mut self,
        random: &mut Random,
        now_ms: i64,
        taken_in: &std::collections::BTreeSet<Box<str>>,
        exercised: &mut Exercised,
    ) -> (IngestEvents, Vec<Box<str>>) {
        for _ in 0..random.below(3) {
            self.made += 1;
            let event = self.event(&format!("ce-{}", self.made), random, now_ms);
            self.kept.push(Arc::new(event));
        }
        if self.kept.len() > KEPT_MAX {
            self.kept.remove(0);
        }
        let batch_max = 1 + random.index(5);
        let mut events: Vec<Arc<CloudEvent>> = self
            .kept
            .iter()
            .filter(|event| !taken_in.contains(event.id()) || random.one_in(12))
            .take(batch_max)
            .cloned()
            .collect();
        if random.one_in(10)
            && let Some(first) = events.first().cloned()
        {
            // Twice in one batch, or another content under the same id.
            events.push(if random.one_in(2) {
                first
            } else {
                Arc::new(self.event(first.id(), random, now_ms))
            });
        }
        exercised.arrivals += events.len() as u64;
        exercised.repeated += events
            .iter()
            .filter(|event| taken_in.contains(event.id()))
            .count() as u64;
        let mut ids: Vec<Box<str>> = events.iter().map(|event| event.id().into()).collect();
        let mut arrivals: Vec<Arrival> = events.into_iter().map(Arrival::Event).collect();
        if random.one_in(15) {
            ids.push("".into());
            // Few different ones, so that they come again.
            let raw = format!("not a CloudEvent {}", self.made % 3);
            let identity = IdentityHash::of_record(DEFAULT_TENANT, SOURCE_NAME, [], raw.as_bytes());
            arrivals.push(Arrival::Malformed {
                raw: raw.into_bytes().into(),
                content_type: None,
                reason: "no CloudEvent".into(),
                identity: u128::from_be_bytes(identity.0),
            });
        }
        let command = IngestEvents {
            tenant: DEFAULT_TENANT.into(),
            source_name: SOURCE_NAME.into(),
            arrivals,
        };
        (command, ids)
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
