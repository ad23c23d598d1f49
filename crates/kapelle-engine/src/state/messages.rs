//! Buffered messages, open subscriptions, start locks, and which CloudEvents become which messages.

use std::ops::ControlFlow;
use std::sync::Arc;

use kapelle_model::graph::{ElementIndex, MessageIndex};

use crate::document::Document;
use crate::encode::Record;
use crate::event::{Cause, FromBinding, KeyKind};
use crate::ids::{DefinitionKey, MessageKey, ProcessInstanceKey, SubscriptionKey, Timestamp};
use crate::keep::Keep;
use crate::state::{scan_prefix, tables};

/// A buffered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageEntry {
    pub(crate) tenant: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) correlation_key: Arc<str>,
    pub(crate) message_id: Arc<str>,
    pub(crate) expires: Timestamp,
    pub(crate) variables: Document,
    pub(crate) cause: Cause,
    pub(crate) binding: Option<FromBinding>,
    /// An element threw it: whoever meets it goes on with a run, and begins none.
    pub(crate) thrown: bool,
}

/// An open subscription of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionEntry {
    pub(crate) instance: ProcessInstanceKey,
    pub(crate) key_kind: KeyKind,
}

/// An open subscription of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartSubscriptionEntry {
    pub(crate) subscription: SubscriptionKey,
    pub(crate) definition: DefinitionKey,
    pub(crate) element: ElementIndex,
    pub(crate) process_id: Arc<str>,
}

/// A message of a process that CloudEvents of a type become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindingEntry {
    pub(crate) process_id: Arc<str>,
    pub(crate) message: Arc<str>,
    pub(crate) definition: DefinitionKey,
    pub(crate) index: MessageIndex,
}

pub(crate) fn by_key(keep: &dyn Keep, message: MessageKey) -> Option<MessageEntry> {
    let value = keep.get(&tables::message(message))?;
    Some(MessageEntry::read(&value).expect("the engine wrote this entry"))
}

pub(crate) fn id_is_taken(
    keep: &dyn Keep,
    tenant: &str,
    name: &str,
    correlation_key: &str,
    message_id: &str,
) -> bool {
    keep.get(&tables::message_id(
        tenant,
        name,
        correlation_key,
        message_id,
    ))
    .is_some()
}

/// The oldest buffered message of that name and key that `wanted` takes.
pub(crate) fn oldest_buffered(
    keep: &dyn Keep,
    tenant: &str,
    name: &str,
    correlation_key: &str,
    wanted: &dyn Fn(MessageKey, &MessageEntry) -> bool,
) -> Option<(MessageKey, MessageEntry)> {
    let mut found = None;
    scan_prefix(
        keep,
        &tables::messages_by_name(tenant, name, correlation_key),
        None,
        &mut |key, _| {
            let message = MessageKey(tables::last_number(key));
            let entry = by_key(keep, message).expect("a message in the index of names is there");
            if wanted(message, &entry) {
                found = Some((message, entry));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        },
    );
    found
}

pub(crate) fn met(keep: &dyn Keep, message: MessageKey, process_id: &str) -> bool {
    keep.get(&tables::message_met(message, process_id))
        .is_some()
}

/// Processes that the message met.
pub(crate) fn met_by(keep: &dyn Keep, message: MessageKey) -> Vec<Arc<str>> {
    let mut process_ids = Vec::new();
    let prefix = tables::messages_met(message);
    scan_prefix(keep, &prefix, None, &mut |key, _| {
        // The text behind its length.
        let text = key
            .get(prefix.len() + 2..)
            .and_then(|text| str::from_utf8(text).ok());
        process_ids.push(text.expect("the key ends with a process id").into());
        ControlFlow::Continue(())
    });
    process_ids
}

/// Open subscriptions of that name and key: of each process the oldest `per_process_max`.
///
/// Jumps from process to process: its cost is the number of processes, not of instances that wait.
pub(crate) fn subscriptions(
    keep: &dyn Keep,
    tenant: &str,
    name: &str,
    correlation_key: &str,
    per_process_max: usize,
) -> Vec<(Arc<str>, SubscriptionKey, SubscriptionEntry)> {
    let prefix = tables::subscriptions(tenant, name, correlation_key);
    let mut found: Vec<(Arc<str>, SubscriptionKey, SubscriptionEntry)> = Vec::new();
    let mut from: Option<Vec<u8>> = None;
    loop {
        let begun = found.len();
        scan_prefix(keep, &prefix, from.as_deref(), &mut |key, value| {
            let process_id = tables::process_id_behind(key, &prefix);
            let is_next = found
                .get(begun)
                .is_some_and(|(first, ..)| *first != process_id);
            if is_next || found.len() - begun == per_process_max {
                return ControlFlow::Break(());
            }
            let entry = SubscriptionEntry::read(value).expect("the engine wrote this entry");
            found.push((process_id, SubscriptionKey(tables::last_number(key)), entry));
            ControlFlow::Continue(())
        });
        let Some((process_id, ..)) = found.get(begun) else {
            return found;
        };
        let of_process = tables::subscriptions_of(tenant, name, correlation_key, process_id);
        from = Some(tables::behind_all(of_process));
    }
}

pub(crate) fn start_subscriptions(
    keep: &dyn Keep,
    tenant: &str,
    name: &str,
) -> Vec<StartSubscriptionEntry> {
    let mut entries = Vec::new();
    scan_prefix(
        keep,
        &tables::start_subscriptions(tenant, name),
        None,
        &mut |_, value| {
            entries.push(StartSubscriptionEntry::read(value).expect("the engine wrote this entry"));
            ControlFlow::Continue(())
        },
    );
    entries
}

pub(crate) fn start_subscription(
    keep: &dyn Keep,
    tenant: &str,
    name: &str,
    process_id: &str,
    element: ElementIndex,
) -> Option<StartSubscriptionEntry> {
    let value = keep.get(&tables::start_subscription(
        tenant, name, process_id, element,
    ))?;
    Some(StartSubscriptionEntry::read(&value).expect("the engine wrote this entry"))
}

/// Who holds the start lock of that process and key.
pub(crate) fn start_lock(
    keep: &dyn Keep,
    tenant: &str,
    process_id: &str,
    correlation_key: &str,
) -> Option<ProcessInstanceKey> {
    let value = keep.get(&tables::start_lock(tenant, process_id, correlation_key))?;
    Some(ProcessInstanceKey(tables::value_number(&value)))
}

pub(crate) fn event_bindings(keep: &dyn Keep, tenant: &str, event_type: &str) -> Vec<BindingEntry> {
    let mut entries = Vec::new();
    scan_prefix(
        keep,
        &tables::event_bindings(tenant, event_type),
        None,
        &mut |_, value| {
            entries.push(BindingEntry::read(value).expect("the engine wrote this entry"));
            ControlFlow::Continue(())
        },
    );
    entries
}
