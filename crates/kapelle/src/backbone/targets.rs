//! Deliveries to what a subscriber names: the I/O of one attempt.

use std::sync::Arc;
use std::time::Duration;

use kapelle_connectors::{SinkError, SinkErrorKind};
use kapelle_engine::command::{Command, CommandMeta, PublishMessage};
use kapelle_engine::document::Document;
use kapelle_engine::ids::{DEFAULT_TENANT, Timestamp};
use kapelle_engine::rejection::RejectionCode;
use kapelle_events::CloudEvent;
use kapelle_events::subscriber::{Message, Target};
use kapelle_feel::{Expr, Value, msgpack};
use kapelle_runtime::backbone::{Delivery, env};
use kapelle_runtime::{PartitionHandle, Refusal, Reply};
use tokio::sync::oneshot;

use super::inbox::{Ask, Inbox};
use crate::delivery::Sinks;

/// Where attempts run.
pub(super) struct Targets {
    sinks: Arc<Sinks>,
    partition: PartitionHandle,
    inbox: Inbox,
    network: tokio::runtime::Handle,
}

impl Targets {
    pub(super) fn new(sinks: Arc<Sinks>, partition: PartitionHandle, inbox: Inbox) -> Self {
        Self {
            sinks,
            partition,
            inbox,
            network: tokio::runtime::Handle::current(),
        }
    }

    /// Makes the attempt on the network's threads; its end comes through the inbox.
    pub(super) fn begin(&self, delivery: Delivery) {
        let (sinks, partition, inbox) = (
            Arc::clone(&self.sinks),
            self.partition.clone(),
            self.inbox.clone(),
        );
        self.network.spawn(async move {
            let result = deliver(&sinks, &partition, &delivery).await;
            inbox.put(Ask::Attempted {
                subscriber: delivery.subscriber,
                attempt: delivery.attempt,
                result,
            });
        });
    }
}

async fn deliver(
    sinks: &Sinks,
    partition: &PartitionHandle,
    delivery: &Delivery,
) -> Result<(), SinkError> {
    let number = delivery.attempt.number;
    match &delivery.target {
        Target::Webhook { url } => sinks.publish(url, None, &delivery.event, number).await,
        Target::Sink { name, to } => {
            sinks
                .publish(name, to.as_deref(), &delivery.event, number)
                .await
        }
        Target::Message(message) => publish(partition, message, delivery).await,
        // Nobody pushes what is pulled.
        Target::Pull { .. } => Ok(()),
    }
}

async fn publish(
    partition: &PartitionHandle,
    message: &Message,
    delivery: &Delivery,
) -> Result<(), SinkError> {
    let command = message_of(message, &delivery.event, delivery.stored_at)?;
    let (sender, receiver) = oneshot::channel();
    let reply = Box::new(move |reply: Reply| drop(sender.send(reply)));
    let overloaded = |why: String| SinkError {
        kind: SinkErrorKind::Throttled,
        message: why,
        retry_after: Some(Duration::from_millis(100)),
    };
    partition
        .submit(command, CommandMeta::default(), reply)
        .map_err(|error| overloaded(error.to_string()))?;
    match receiver.await {
        Ok(Ok(_)) => Ok(()),
        // The message was published by an attempt that nobody heard the end of.
        Ok(Err(Refusal::Rejected(rejection))) if rejection.code == RejectionCode::AlreadyExists => {
            Ok(())
        }
        Ok(Err(refusal)) if refusal.is_retryable() => Err(overloaded(refusal.to_string())),
        Ok(Err(refusal)) => Err(refused(refusal.to_string())),
        Err(_) => Err(overloaded("the partition has stopped".to_owned())),
    }
}

fn refused(message: String) -> SinkError {
    SinkError {
        kind: SinkErrorKind::Refused,
        message,
        retry_after: None,
    }
}

fn message_of(
    message: &Message,
    event: &CloudEvent,
    stored_at: Timestamp,
) -> Result<Command, SinkError> {
    let env = env(stored_at);
    let context = event.as_context();
    let evaluate = |what: &str, expr: &Expr| {
        let evaluation = expr.evaluate(&context, &env);
        evaluation
            .map(|evaluation| evaluation.value)
            .map_err(|error| refused(format!("{what}: {error}")))
    };
    let key = match &message.key {
        None => event.subject().unwrap_or_default().to_owned(),
        Some(expr) => match evaluate("key", expr)? {
            Value::String(text) => text.to_string(),
            number @ Value::Number(_) => number.to_string(),
            other => {
                return Err(refused(format!(
                    "key: a text or a number is needed, found {}",
                    other.type_name()
                )));
            }
        },
    };
    let variables = match &message.variables {
        None => event.stored_data(),
        Some(expr) => msgpack::to_msgpack(&evaluate("variables", expr)?),
    };
    // What is no object becomes the variable `data`, as with a binding.
    let variables = match msgpack::validate_map(&variables) {
        Ok(()) => variables,
        Err(_) => msgpack::map_from([("data", variables.as_slice())]),
    };
    Ok(Command::PublishMessage(PublishMessage {
        tenant: DEFAULT_TENANT.into(),
        name: Arc::from(&*message.name),
        correlation_key: key.into(),
        message_id: format!("{} {}", event.source(), event.id()).into(),
        ttl_ms: message.time_to_live_ms,
        variables: Document(variables.into()),
    }))
}
