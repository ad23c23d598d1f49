//! What clients do while the server dies under them: each lane tells one story after another and notes every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kapelle_feel::json::pull::Raw;

use super::notes::{How, Notebook, Payment};
use super::random::Random;
use super::search;
use super::victim::Addresses;
use super::wire::{self, Answer, Ending, Line, Reason};
use crate::grpc::proto::*;

/// Long enough to be there at any end of the test.
const TTL_MS: i64 = 3_600_000;

/// Instances of a lane that wait for a payment at once; more than that are paid before others start.
const WAITING_MAX: usize = 40;

/// One client with a connection and choices of its own.
pub(crate) struct Lane {
    name: String,
    line: Line,
    notes: Notebook,
    random: Random,
    count: u64,
    /// Acknowledged instances that wait, with the last number that `set` was set to.
    waiting: Vec<(String, i64, u64)>,
    /// Whether somebody can resolve incidents.
    incidents: bool,
}

impl Lane {
    pub(crate) fn new(
        name: String,
        addresses: &Addresses,
        notes: Notebook,
        random: Random,
        incidents: bool,
    ) -> Self {
        Self {
            name,
            line: Line::new(addresses),
            notes,
            random,
            count: 0,
            waiting: Vec::new(),
            incidents,
        }
    }

    /// Until the load ends; a story is always told to its end.
    pub(crate) async fn run(mut self, loading: Arc<AtomicBool>) {
        while loading.load(Ordering::Relaxed) {
            match self.random.below(100) {
                0..26 => self.task().await,
                26..34 => self.task_over_rest().await,
                34..38 => self.task_with_result().await,
                38..52 if self.waiting.len() < WAITING_MAX => self.wait().await,
                38..70 => self.touch().await,
                70..75 => self.message_once().await,
                75..80 => self.message_with_id().await,
                80..92 => self.events().await,
                _ => self.timer().await,
            }
            tokio::time::sleep(Duration::from_millis(self.random.below(8))).await;
        }
    }

    fn next_id(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }

    /// Of all sizes, now and then above the 16 KiB from which values are stored apart.
    fn ballast(&mut self) -> String {
        let length = if self.random.percent(2) {
            40_000
        } else {
            self.random.below(1_500)
        };
        "x".repeat(usize::try_from(length).unwrap())
    }

    fn task_variables(&mut self, id: &str) -> String {
        let flaky = self.incidents && self.random.percent(12);
        format!(
            r#"{{"id":"{id}","flaky":{flaky},"ballast":"{}"}}"#,
            self.ballast()
        )
    }

    async fn create(
        &mut self,
        process: &str,
        how: How,
        id: &str,
        variables: String,
    ) -> Answer<i64> {
        let mut client = self.line.client().await;
        let result = client
            .create_process_instance(crate::grpc::create(process, &variables))
            .await;
        let answer = self
            .line
            .ended(result)
            .map(|created| created.process_instance_key);
        let mut notes = self.notes.open();
        notes.expect(&format!("the start of {id}"), wire::ending(&answer), &[]);
        notes.start(id, how, wire::ending(&answer), answer.ok());
        answer
    }

    async fn task(&mut self) {
        let id = self.next_id();
        let variables = self.task_variables(&id);
        self.create("crash-task", How::Task, &id, variables)
            .await
            .ok();
    }

    async fn task_over_rest(&mut self) {
        let id = self.next_id();
        let variables = self.task_variables(&id);
        let body = format!(r#"{{"processDefinitionId":"crash-task","variables":{variables}}}"#);
        let answer = wire::json(&self.line.addresses, "/v2/process-instances", &body).await;
        let key = answer.as_deref().ok().map(|answer| {
            search::text(Raw::parse(answer).unwrap(), "processInstanceKey")
                .unwrap()
                .parse()
                .unwrap()
        });
        let mut notes = self.notes.open();
        notes.expect(&format!("the start of {id}"), wire::ending(&answer), &[]);
        notes.start(&id, How::Task, wire::ending(&answer), key);
    }

    async fn task_with_result(&mut self) {
        let id = self.next_id();
        let variables = format!(r#"{{"id":"{id}"}}"#);
        let request = CreateProcessInstanceWithResultRequest {
            request: Some(crate::grpc::create("crash-task", &variables)),
            request_timeout: 60_000,
            fetch_variables: vec!["by".to_owned()],
        };
        let mut client = self.line.client().await;
        let result = client.create_process_instance_with_result(request).await;
        let answer = self.line.ended(result);
        let mut notes = self.notes.open();
        notes.expect(&format!("the start of {id}"), wire::ending(&answer), &[]);
        notes.start(
            &id,
            How::Task,
            wire::ending(&answer),
            answer.as_ref().ok().map(|a| a.process_instance_key),
        );
        if let Ok(answer) = answer {
            notes.results += 1;
            if !answer.variables.contains("\"by\":\"") {
                notes.surprises.push(format!(
                    "the result of {id} lacks what its job wrote: {}",
                    answer.variables
                ));
            }
        }
    }

    async fn timer(&mut self) {
        let id = self.next_id();
        let milliseconds = self.random.below(3_000);
        let variables = format!(
            r#"{{"id":"{id}","duration":"PT{}.{:03}S"}}"#,
            milliseconds / 1_000,
            milliseconds % 1_000
        );
        self.create("crash-timer", How::Timer, &id, variables)
            .await
            .ok();
    }

    async fn wait(&mut self) {
        let id = self.next_id();
        // Some messages are there before who waits for them.
        let early = self.random.percent(20);
        if early {
            self.pay(&id).await;
        }
        let variables = format!(r#"{{"id":"{id}","ballast":"{}"}}"#, self.ballast());
        let created = self.create("crash-wait", How::Wait, &id, variables).await;
        if let (Ok(key), false) = (created, early) {
            self.waiting.push((id, key, 0));
        }
    }

    /// Does something to an instance that waits.
    async fn touch(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let chosen = usize::try_from(self.random.below(self.waiting.len() as u64)).unwrap();
        match self.random.below(100) {
            0..55 => self.set(chosen).await,
            55..85 => {
                let (id, _, _) = self.waiting.swap_remove(chosen);
                if self.random.percent(50) {
                    self.pay(&id).await
                } else {
                    self.pay_by_event(&id).await
                }
            }
            85..95 => {
                let (id, key, _) = self.waiting.swap_remove(chosen);
                self.cancel(&id, key).await;
            }
            // Left alone: it waits until the end.
            _ => drop(self.waiting.swap_remove(chosen)),
        }
    }

    async fn set(&mut self, chosen: usize) {
        let (id, key, number) = &mut self.waiting[chosen];
        *number += 1;
        let request = SetVariablesRequest {
            element_instance_key: *key,
            variables: format!(r#"{{"set":{number}}}"#),
            ..Default::default()
        };
        let mut client = self.line.client().await;
        let result = client.set_variables(request).await;
        let ending = wire::ending(&self.line.ended(result));
        let mut notes = self.notes.open();
        notes.expect(&format!("setting a variable of {id}"), ending, &[]);
        notes
            .settings
            .entry(id.clone())
            .or_default()
            .push((*number, ending));
    }

    fn token(&mut self, id: &str) -> String {
        self.count += 1;
        format!("{id}-{}", self.count)
    }

    /// Publishes once. In doubt it stays.
    async fn pay(&mut self, id: &str) {
        let token = self.token(id);
        let request = payment(id, &token);
        let mut client = self.line.client().await;
        let result = client.publish_message(request).await;
        let ending = wire::ending(&self.line.ended(result));
        let mut notes = self.notes.open();
        notes.expect(&format!("the payment of {id}"), ending, &[]);
        notes
            .payments
            .entry(id.to_owned())
            .or_default()
            .push(Payment {
                token,
                ending,
                is_last: false,
            });
    }

    /// Sends one CloudEvent until it is acknowledged.
    async fn pay_by_event(&mut self, id: &str) {
        let token = self.token(id);
        let event = event(
            "crash-paid",
            &token,
            id,
            &format!(r#"{{"paid":"{token}"}}"#),
        );
        self.send(&[event]).await;
        let payment = Payment {
            token,
            ending: Ending::Acknowledged,
            is_last: false,
        };
        self.notes
            .open()
            .payments
            .entry(id.to_owned())
            .or_default()
            .push(payment);
    }

    /// Cancels until it is known to be cancelled.
    async fn cancel(&mut self, id: &str, key: i64) {
        loop {
            let mut client = self.line.client().await;
            let request = CancelProcessInstanceRequest {
                process_instance_key: key,
                operation_reference: None,
            };
            let result = client.cancel_process_instance(request).await;
            let ending = wire::ending(&self.line.ended(result));
            let mut notes = self.notes.open();
            let before = notes.cancels.entry(id.to_owned()).or_default();
            // Gone already is right only if one before may have done it.
            let allowed: &[Reason] = if before.contains(&Ending::InDoubt) {
                &[Reason::NotFound]
            } else {
                &[]
            };
            before.push(ending);
            notes.expect(&format!("the cancellation of {id}"), ending, allowed);
            if !matches!(ending, Ending::InDoubt | Ending::Refused(Reason::Exhausted)) {
                return;
            }
        }
    }

    /// A message that starts an instance, sent once: in doubt there is one instance or none.
    async fn message_once(&mut self) {
        let id = self.next_id();
        let mut client = self.line.client().await;
        let result = client.publish_message(order(&id, "", 0)).await;
        let answer = self.line.ended(result);
        let mut notes = self.notes.open();
        notes.expect(&format!("the message of {id}"), wire::ending(&answer), &[]);
        notes.start(&id, How::Message, wire::ending(&answer), None);
    }

    /// A message with an id, sent until it is known to be there: exactly one instance.
    async fn message_with_id(&mut self) {
        let id = self.next_id();
        let mut doubts = 0;
        loop {
            let mut client = self.line.client().await;
            let result = client.publish_message(order(&id, &id, TTL_MS)).await;
            match wire::ending(&self.line.ended(result)) {
                Ending::InDoubt => doubts += 1,
                Ending::Refused(Reason::Exhausted) => {}
                ending => {
                    let mut notes = self.notes.open();
                    let allowed: &[Reason] = if doubts > 0 {
                        &[Reason::AlreadyExists]
                    } else {
                        &[]
                    };
                    notes.expect(&format!("the message of {id}"), ending, allowed);
                    notes.already_there += u64::from(ending != Ending::Acknowledged);
                    return notes.start(&id, How::Message, Ending::Acknowledged, None);
                }
            }
        }
    }

    /// A batch of CloudEvents that start instances, sent until it is acknowledged and at times once more.
    async fn events(&mut self) {
        let ids: Vec<String> = (0..self.random.between(1, 5))
            .map(|_| self.next_id())
            .collect();
        let events: Vec<String> = ids
            .iter()
            .map(|id| event("crash-placed", id, id, &format!(r#"{{"id":"{id}"}}"#)))
            .collect();
        {
            let mut notes = self.notes.open();
            ids.iter()
                .for_each(|id| notes.start(id, How::Event, Ending::InDoubt, None));
        }
        let times = if self.random.percent(10) { 2 } else { 1 };
        for _ in 0..times {
            let outcomes = self.send(&events).await;
            let mut notes = self.notes.open();
            for (id, outcome) in ids.iter().zip(&outcomes) {
                let start = notes.starts.get_mut(id).unwrap();
                let is_repeat = start.ending == Ending::Acknowledged;
                start.ending = Ending::Acknowledged;
                start.started_answers += u32::from(outcome == "STARTED");
                let is_right = outcome == "DUPLICATE" || (outcome == "STARTED" && !is_repeat);
                if !is_right {
                    notes
                        .surprises
                        .push(format!("CloudEvent {id} had the outcome {outcome}"));
                }
            }
        }
    }

    /// Sends a batch until it is acknowledged; the outcomes.
    async fn send(&mut self, events: &[String]) -> Vec<String> {
        let body = format!("[{}]", events.join(","));
        loop {
            let answer = wire::rest(
                &self.line.addresses,
                "POST",
                "/events",
                "application/cloudevents-batch+json",
                &body,
            )
            .await;
            let mut notes = self.notes.open();
            notes.expect(&format!("the batch {body}"), wire::ending(&answer), &[]);
            let Ok(answer) = answer else { continue };
            let results = search::member(Raw::parse(&answer).unwrap(), "results").unwrap();
            let outcomes: Vec<String> = results
                .elements()
                .map(|result| search::text(result, "outcome").unwrap())
                .collect();
            assert_eq!(
                outcomes.len(),
                events.len(),
                "one result for each: {answer}"
            );
            notes.duplicates += outcomes
                .iter()
                .filter(|outcome| *outcome == "DUPLICATE")
                .count() as u64;
            return outcomes;
        }
    }
}

/// The message for an instance that waits.
pub(crate) fn payment(id: &str, token: &str) -> PublishMessageRequest {
    PublishMessageRequest {
        name: "crash-paid".to_owned(),
        correlation_key: id.to_owned(),
        time_to_live: TTL_MS,
        variables: format!(r#"{{"paid":"{token}"}}"#),
        ..Default::default()
    }
}

fn order(id: &str, message_id: &str, ttl_ms: i64) -> PublishMessageRequest {
    PublishMessageRequest {
        name: "crash-ordered".to_owned(),
        correlation_key: id.to_owned(),
        time_to_live: ttl_ms,
        message_id: message_id.to_owned(),
        variables: format!(r#"{{"id":"{id}"}}"#),
        ..Default::default()
    }
}

fn event(kind: &str, id: &str, subject: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","source":"/crash","type":"{kind}","id":"{id}","subject":"{subject}","datacontenttype":"application/json","data":{data}}}"#
    )
}
