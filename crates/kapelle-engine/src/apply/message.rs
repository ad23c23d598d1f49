//! Buffered messages, and subscriptions of instances.

use crate::command::{Due, DueKind};
use crate::encode::Record;
use crate::event::{
    DueOwner, Event, MessageExpired, MessagePublished, SubscriptionClosed, SubscriptionOpened,
};
use crate::ids::{MessageKey, Timestamp};
use crate::keep::Keep;
use crate::state::instance::{Instance, Subscription};
use crate::state::messages::{MessageEntry, SubscriptionEntry};
use crate::state::tables;

pub(super) fn to_instance(target: &mut Instance, event: &Event) {
    match event {
        Event::SubscriptionOpened(opened) => target.subscriptions.push(Subscription {
            key: opened.subscription,
            waiting: opened.element_instance,
            element: opened.element,
            name: opened.name.clone(),
            correlation_key: opened.correlation_key.clone(),
            key_kind: opened.key_kind,
            once: opened.once,
        }),
        Event::SubscriptionClosed(closed) => target
            .subscriptions
            .retain(|open| open.key != closed.subscription),
        _ => unreachable!("dispatched by family"),
    }
}

pub(super) fn to_indexes(keep: &mut dyn Keep, event: &Event) {
    match event {
        Event::MessagePublished(published) => publish(keep, published),
        Event::MessageCorrelated(met) => {
            keep.put(&tables::message_met(met.message, &met.process_id), &[])
        }
        Event::MessageStarted(started) => keep.put(
            &tables::message_met(started.message, &started.process_id),
            &[],
        ),
        Event::MessageExpired(expired) => expire(keep, expired),
        Event::SubscriptionOpened(opened) => {
            let SubscriptionOpened {
                tenant,
                name,
                correlation_key,
                process_id,
                subscription,
                ..
            } = &**opened;
            let key =
                tables::subscription(tenant, name, correlation_key, process_id, *subscription);
            let entry = SubscriptionEntry {
                instance: opened.instance,
                key_kind: opened.key_kind,
            };
            keep.insert(&key, &entry.to_bytes());
        }
        Event::SubscriptionClosed(closed) => {
            let SubscriptionClosed {
                tenant,
                name,
                correlation_key,
                process_id,
                subscription,
                ..
            } = &**closed;
            keep.delete(&tables::subscription(
                tenant,
                name,
                correlation_key,
                process_id,
                *subscription,
            ));
        }
        _ => unreachable!("dispatched by family"),
    }
}

fn publish(keep: &mut dyn Keep, published: &MessagePublished) {
    let MessagePublished {
        message,
        tenant,
        name,
        correlation_key,
        message_id,
        expires,
        ..
    } = published;
    let entry = MessageEntry {
        tenant: tenant.clone(),
        name: name.clone(),
        correlation_key: correlation_key.clone(),
        message_id: message_id.clone(),
        expires: *expires,
        variables: published.variables.clone(),
        cause: published.cause.clone(),
        binding: published.binding.clone(),
        thrown: published.thrown,
    };
    keep.insert(&tables::message(*message), &entry.to_bytes());
    keep.insert(
        &tables::message_by_name(tenant, name, correlation_key, *message),
        &[],
    );
    keep.insert(
        &tables::due(expiry(*message, *expires)),
        &DueOwner::Partition {}.to_bytes(),
    );
    if !message_id.is_empty() {
        keep.put(
            &tables::message_id(tenant, name, correlation_key, message_id),
            &tables::number_value(message.0),
        );
    }
}

fn expire(keep: &mut dyn Keep, expired: &MessageExpired) {
    let MessageExpired {
        message,
        tenant,
        name,
        correlation_key,
        message_id,
        expires,
        process_ids,
    } = expired;
    keep.delete(&tables::message(*message));
    keep.delete(&tables::message_by_name(
        tenant,
        name,
        correlation_key,
        *message,
    ));
    keep.delete(&tables::due(expiry(*message, *expires)));
    if !message_id.is_empty() {
        keep.delete(&tables::message_id(
            tenant,
            name,
            correlation_key,
            message_id,
        ));
    }
    for process_id in process_ids {
        keep.delete(&tables::message_met(*message, process_id));
    }
}

fn expiry(message: MessageKey, at: Timestamp) -> Due {
    Due {
        at,
        what: DueKind::MessageExpiry,
        key: message.0,
    }
}
