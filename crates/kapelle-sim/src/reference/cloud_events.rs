//! CloudEvents come in: each once inside of the window, to each message that it becomes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kapelle_engine::command::{Arrival, IngestEvents};
use kapelle_engine::event::{Event, KeyKind};
use kapelle_engine::response::Outcome;
use kapelle_events::CloudEvent;
use kapelle_feel::json;

use super::Reference;
use super::answers::Answer;
use super::messages::{Only, Publication};
use super::said::{Match, Name, Said};
use crate::process::Binding;
use crate::value::{Value, Values, read_values};

/// What was here before.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    taken: BTreeMap<Name, Taken>,
    /// By bucket: how many were admitted, and when the last one.
    buckets: BTreeMap<u64, (u64, i64)>,
}

#[derive(Clone, Debug)]
struct Taken {
    /// Nothing for a record that is none.
    event: Option<Arc<CloudEvent>>,
    outcome: Outcome,
    bucket: u64,
}

/// What the journal tells of the window, in its order.
pub(super) enum Told {
    Admitted(u64),
    Dropped(u64),
}

/// The variables in its data.
pub(super) fn data_of(event: &CloudEvent) -> Values {
    let data = event.data().map(|data| data.as_bytes());
    let stored = data.and_then(|data| json::to_msgpack(data).ok());
    read_values(&stored.unwrap_or_default())
}

pub(super) fn told(events: &[(kapelle_engine::ids::Sequence, Event)]) -> VecDeque<Told> {
    let told = events.iter().filter_map(|(_, event)| match event {
        Event::CloudEventRouted { bucket, .. } | Event::RecordRejected { bucket, .. } => {
            Some(Told::Admitted(*bucket))
        }
        Event::DedupBucketDropped { bucket } => Some(Told::Dropped(*bucket)),
        _ => None,
    });
    told.collect()
}

impl Reference {
    pub(super) fn ingest(
        &mut self,
        command: &IngestEvents,
        mut told: VecDeque<Told>,
    ) -> Result<Answer, String> {
        let mut results = Vec::new();
        for arrival in &command.arrivals {
            // Each has a share of follow-ups of its own.
            self.steps_taken = 0;
            results.push(match arrival {
                Arrival::Event(event) | Arrival::Made { event, .. } => {
                    self.take_in(event, &mut told)?
                }
                Arrival::Malformed { identity, .. } => {
                    (self.reject(*identity, &mut told)?, Vec::new())
                }
            });
            self.drain();
        }
        Ok(Answer::Ingested(results))
    }

    /// What is no CloudEvent is known again by what it is made of.
    fn reject(&mut self, identity: u128, told: &mut VecDeque<Told>) -> Result<Outcome, String> {
        let id = Name::from(format!("record {identity:x}"));
        if self.window.taken.contains_key(&id) {
            self.say(Said::Repeated {
                id: "".into(),
                first: Outcome::Rejected,
                same_content: true,
            });
            return Ok(Outcome::Duplicate);
        }
        self.say(Said::Rejected);
        self.admit(id, None, Outcome::Rejected, told)?;
        Ok(Outcome::Rejected)
    }

    fn take_in(
        &mut self,
        event: &Arc<CloudEvent>,
        told: &mut VecDeque<Told>,
    ) -> Result<(Outcome, Vec<Match>), String> {
        let id = Name::from(event.id());
        if let Some(first) = self.window.taken.get(&id) {
            let same_content = first.event.as_ref() == Some(event);
            self.say(Said::Repeated {
                id,
                first: first.outcome,
                same_content,
            });
            return Ok((Outcome::Duplicate, Vec::new()));
        }
        self.say(Said::Received { id: id.clone() });
        let event_type = Name::from(event.event_type());
        let bound: Vec<(Name, Name, Option<Binding>)> = self
            .bound
            .iter()
            .filter(|((bound_type, ..), _)| *bound_type == event_type)
            .map(|((_, process, message), binding)| (process.clone(), message.clone(), *binding))
            .collect();
        let mut matches = Vec::new();
        for (process, message, binding) in bound {
            matches.push(self.route(event, process, message, binding));
        }
        let outcomes = matches.iter().map(|found: &Match| found.outcome);
        let outcome = outcomes.min().unwrap_or(Outcome::NoMatch);
        self.say(Said::Routed {
            outcome,
            matches: matches.clone(),
        });
        self.admit(id, Some(Arc::clone(event)), outcome, told)?;
        Ok((outcome, matches))
    }

    /// It is remembered; where there are more than the window may hold, the oldest are forgotten.
    fn admit(
        &mut self,
        id: Name,
        event: Option<Arc<CloudEvent>>,
        outcome: Outcome,
        told: &mut VecDeque<Told>,
    ) -> Result<(), String> {
        let Some(Told::Admitted(bucket)) = told.pop_front() else {
            return Err(format!("CloudEvent {id} is not admitted to the window"));
        };
        self.window.taken.insert(
            id,
            Taken {
                event,
                outcome,
                bucket,
            },
        );
        let admitted = self.window.buckets.entry(bucket).or_default();
        (admitted.0, admitted.1) = (admitted.0 + 1, self.now);
        let held: u64 = self.window.buckets.values().map(|(count, _)| count).sum();
        let is_over = held > self.limits.dedup_ids_max;
        match told.front() {
            Some(Told::Dropped(bucket)) if is_over => {
                let bucket = *bucket;
                told.pop_front();
                if self.window.buckets.keys().next() != Some(&bucket) {
                    return Err(format!("bucket {bucket} is dropped and is not the oldest"));
                }
                self.window.forget(bucket);
                Ok(())
            }
            Some(Told::Dropped(_)) => Err(format!(
                "{held} ids are in the window, and some are dropped"
            )),
            _ if is_over => Err(format!("{held} ids are in the window, and none is dropped")),
            _ => Ok(()),
        }
    }

    /// A bucket is over when everything in it is older than the window.
    pub(super) fn bucket_is_over(&mut self, bucket: u64) -> Result<(), String> {
        let newest = self.window.buckets.get(&bucket).map(|(_, newest)| *newest);
        if newest.is_none_or(|newest| newest + self.limits.dedup_window_ms > self.now) {
            return Err(format!("bucket {bucket} is dropped before its time"));
        }
        self.window.forget(bucket);
        Ok(())
    }

    fn route(
        &mut self,
        event: &CloudEvent,
        process: Name,
        message: Name,
        binding: Option<Binding>,
    ) -> Match {
        let mut found = Match {
            process: process.clone(),
            message: message.clone(),
            key: "".into(),
            outcome: Outcome::KeyError,
            case: None,
        };
        let data = data_of(event);
        let mut ttl_ms = self.limits.binding_ttl_ms;
        if let Some(expires) = event.expiry_time() {
            let left = expires.unix_ms() - self.now;
            if left <= 0 {
                found.outcome = Outcome::Expired;
                return found;
            }
            ttl_ms = ttl_ms.min(left);
        }
        let wrong = binding
            .and_then(|binding| binding.filter_out)
            .map(Value::Number);
        if wrong.is_some() && wrong.as_ref() == data.get("n") {
            found.outcome = Outcome::Filtered;
            return found;
        }
        let (key, kind) = match (binding, data.get("k")) {
            (None, _) => (event.subject().unwrap_or_default().into(), KeyKind::Text),
            (Some(_), Some(Value::Number(key))) => (Name::from(key.to_string()), KeyKind::Number),
            (Some(_), key) => {
                let key = key.and_then(Value::as_text);
                (key.unwrap_or_else(|| "".into()), KeyKind::Text)
            }
        };
        found.key = key.clone();
        if key.is_empty() && self.start_message(&process) != Some(&*message) {
            return found;
        }
        let lock = binding.is_none_or(|binding| binding.lock);
        let publication = Publication {
            name: message,
            key,
            id: "".into(),
            ttl_ms,
            variables: data,
            only: Some(Only {
                process,
                kind,
                lock,
            }),
        };
        let candidates = self.candidates(&publication);
        let (_, met) = self.publish(publication, candidates);
        found.case = met.first().map(|met| met.case);
        found.outcome = match met.first() {
            Some(met) if met.started => Outcome::Started,
            Some(_) => Outcome::Correlated,
            None if ttl_ms <= 0 => Outcome::Expired,
            None => Outcome::Buffered,
        };
        found
    }
}

impl Window {
    fn forget(&mut self, bucket: u64) {
        self.taken.retain(|_, taken| taken.bucket > bucket);
        self.buckets.retain(|number, _| *number > bucket);
    }
}
