//! Which subscription does a message wake?
//!
//! The rules are Zeebe's (camunda8.md §3.1). A message meets each process at most once, over all versions and instances:
//! an instance that waits (the oldest subscription first), else a start event. Where a keyed message has started an
//! instance, the process is locked for that key until the instance ends. What meets nobody stays in the buffer for its
//! time to live; a subscription that opens later takes the oldest message that its process has not met.
//!
//! A message that a CloudEvent became differs in three things: it reaches only the process of its binding, a number and
//! its text never match, and the binding may switch the start lock off.

use std::sync::Arc;

use kapelle_model::graph::ElementIndex;

use crate::ctx::Ctx;
use crate::definitions::Definition;
use crate::document::Document;
use crate::element::process::{self, Start};
use crate::element::{self, At, waiting};
use crate::event::{
    Cause, CloseReason, Event, FromBinding, KeyKind, MessageCorrelated, MessageExpired,
    MessagePublished, MessageStarted,
};
use crate::ids::{MessageKey, ProcessInstanceKey, SubscriptionKey, Timestamp};
use crate::keep::Keep;
use crate::state::definitions;
use crate::state::messages::{self, MessageEntry, StartSubscriptionEntry};
use crate::step::Step;

/// A message to publish.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) tenant: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) correlation_key: Arc<str>,
    pub(crate) message_id: Arc<str>,
    pub(crate) ttl_ms: i64,
    pub(crate) variables: Document,
    pub(crate) cause: Cause,
    pub(crate) binding: Option<FromBinding>,
    pub(crate) thrown: bool,
}

/// An instance that waits.
#[derive(Debug)]
struct Waiting {
    process_id: Arc<str>,
    subscription: SubscriptionKey,
    instance: ProcessInstanceKey,
}

/// Whom a message would wake.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    subscriptions: Vec<Waiting>,
    starts: Vec<StartSubscriptionEntry>,
    /// Who holds the key of a process that it would start otherwise.
    pub(crate) locked: Option<ProcessInstanceKey>,
    /// An instance that waits for the same key written as the other kind.
    pub(crate) other_kind: Option<ProcessInstanceKey>,
}

impl Candidates {
    pub(crate) fn is_empty(&self) -> bool {
        self.subscriptions.is_empty() && self.starts.is_empty()
    }

    /// Whether it wakes that process already.
    fn has(&self, process_id: &str) -> bool {
        let mut waiting = self.subscriptions.iter().map(|waiting| &waiting.process_id);
        let mut starting = self.starts.iter().map(|start| &start.process_id);
        waiting.any(|id| **id == *process_id) || starting.any(|id| **id == *process_id)
    }
}

/// A meeting of a message and a process.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    pub(crate) instance: ProcessInstanceKey,
    pub(crate) started: bool,
}

/// What publishing came to.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) message: MessageKey,
    pub(crate) met: Vec<Met>,
}

/// Looks whom the message would wake, and brings them into memory. Decides nothing.
pub(crate) fn candidates(ctx: &mut Ctx<'_>, publication: &Publication) -> Candidates {
    let mut found = Candidates::default();
    if !publication.correlation_key.is_empty() {
        find_subscriptions(ctx, publication, &mut found);
    }
    let Publication {
        tenant,
        name,
        correlation_key,
        binding,
        ..
    } = publication;
    for start in messages::start_subscriptions(ctx.keep(), tenant, name) {
        if found.has(&start.process_id) || !is_for(binding.as_ref(), &start.process_id) {
            continue;
        }
        let holder = if locks(binding.as_ref(), correlation_key) {
            messages::start_lock(ctx.keep(), tenant, &start.process_id, correlation_key)
        } else {
            None
        };
        match holder {
            Some(holder) => found.locked = Some(holder),
            None => found.starts.push(start),
        }
    }
    found
}

fn find_subscriptions(ctx: &mut Ctx<'_>, publication: &Publication, found: &mut Candidates) {
    let Publication {
        tenant,
        name,
        correlation_key,
        binding,
        ..
    } = publication;
    let max = ctx.limits().subscriptions_per_process_max;
    for (process_id, subscription, entry) in
        messages::subscriptions(ctx.keep(), tenant, name, correlation_key, max)
    {
        let is_wanted = !found.has(&process_id) && is_for(binding.as_ref(), &process_id);
        if !is_wanted || find_waiting(ctx, entry.instance, subscription).is_none() {
            continue;
        }
        if !is_of_kind(binding.as_ref(), entry.key_kind) {
            found.other_kind = Some(entry.instance);
            continue;
        }
        let instance = entry.instance;
        found.subscriptions.push(Waiting {
            process_id,
            subscription,
            instance,
        });
    }
}

/// Whether the message may reach that process at all.
fn is_for(binding: Option<&FromBinding>, process_id: &str) -> bool {
    binding.is_none_or(|binding| *binding.process_id == *process_id)
}

fn is_of_kind(binding: Option<&FromBinding>, kind: KeyKind) -> bool {
    binding.is_none_or(|binding| binding.key_kind == kind)
}

/// Whether an instance that the message starts holds its key.
fn locks(binding: Option<&FromBinding>, correlation_key: &str) -> bool {
    !correlation_key.is_empty() && binding.is_none_or(|binding| binding.lock)
}

/// The element instance behind a subscription, if it can be met now.
fn find_waiting(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    subscription: SubscriptionKey,
) -> Option<(At, ElementIndex, bool)> {
    if !ctx.pin(instance) {
        return None;
    }
    let aggregate = ctx.instance(instance);
    if aggregate.quarantined.is_some() {
        return None;
    }
    let open = aggregate
        .subscriptions
        .iter()
        .find(|open| open.key == subscription)?;
    let (waiting, element, once) = (open.waiting, open.element, open.once);
    let at = At::find(ctx, instance, waiting)?;
    at.is_live(ctx).then_some((at, element, once))
}

/// Publishes the message to `candidates`, and keeps it for its time to live.
pub(crate) fn publish(
    ctx: &mut Ctx<'_>,
    publication: Publication,
    candidates: Candidates,
) -> Published {
    let message = MessageKey(ctx.new_key());
    let Publication {
        tenant,
        name,
        correlation_key,
        message_id,
        ttl_ms,
        variables,
        cause,
        binding,
        thrown,
    } = publication;
    let expires = ctx.now().plus_ms(ttl_ms.max(0));
    ctx.emit(Event::MessagePublished(Box::new(MessagePublished {
        message,
        tenant: tenant.clone(),
        name: name.clone(),
        correlation_key: correlation_key.clone(),
        message_id: message_id.clone(),
        expires,
        variables: variables.clone(),
        cause: cause.clone(),
        binding: binding.clone(),
        thrown,
    })));
    let entry = MessageEntry {
        tenant,
        name,
        correlation_key,
        message_id,
        expires,
        variables,
        cause,
        binding,
        thrown,
    };
    let mut met = Vec::new();
    for Waiting {
        subscription,
        instance,
        ..
    } in candidates.subscriptions
    {
        if meet(ctx, message, &entry, instance, subscription) {
            met.push(Met {
                instance,
                started: false,
            });
        }
    }
    for start in candidates.starts {
        let instance = start_instance(ctx, message, &entry, &start);
        met.push(Met {
            instance,
            started: true,
        });
    }
    if ttl_ms <= 0 || (!met.is_empty() && is_spent(&entry)) {
        expire(ctx, message, &entry);
    }
    Published { message, met }
}

/// Whether the message, having met a process, can meet none any more: a CloudEvent's reaches only one.
fn is_spent(entry: &MessageEntry) -> bool {
    entry.binding.is_some()
}

/// The message leaves the buffer.
pub(crate) fn expire(ctx: &mut Ctx<'_>, message: MessageKey, entry: &MessageEntry) {
    let process_ids = messages::met_by(ctx.keep(), message);
    ctx.emit(Event::MessageExpired(Box::new(MessageExpired {
        message,
        tenant: entry.tenant.clone(),
        name: entry.name.clone(),
        correlation_key: entry.correlation_key.clone(),
        message_id: entry.message_id.clone(),
        expires: entry.expires,
        process_ids,
    })));
}

/// The message meets that subscription, if it still can.
fn meet(
    ctx: &mut Ctx<'_>,
    message: MessageKey,
    entry: &MessageEntry,
    instance: ProcessInstanceKey,
    subscription: SubscriptionKey,
) -> bool {
    let Some((at, element, once)) = find_waiting(ctx, instance, subscription) else {
        return false;
    };
    ctx.emit(Event::MessageCorrelated(Box::new(MessageCorrelated {
        message,
        tenant: entry.tenant.clone(),
        name: entry.name.clone(),
        correlation_key: entry.correlation_key.clone(),
        process_id: at.definition.process.id.clone(),
        subscription,
        instance,
        element_instance: at.key,
    })));
    if once {
        waiting::close(ctx, &at, subscription, CloseReason::Correlated);
    }
    element::trigger(
        ctx,
        &at,
        element,
        entry.variables.clone(),
        entry.cause.clone(),
    );
    true
}

fn start_instance(
    ctx: &mut Ctx<'_>,
    message: MessageKey,
    entry: &MessageEntry,
    start: &StartSubscriptionEntry,
) -> ProcessInstanceKey {
    let definition = ctx.definition(start.definition);
    let locks = locks(entry.binding.as_ref(), &entry.correlation_key);
    let instance = process::activate(
        ctx,
        &definition,
        Start {
            trigger: Some(entry.variables.clone()),
            start_lock: locks.then(|| entry.correlation_key.clone()),
            ..Start::at(start.element, entry.cause.clone())
        },
    );
    ctx.emit(Event::MessageStarted(Box::new(MessageStarted {
        message,
        tenant: entry.tenant.clone(),
        name: entry.name.clone(),
        correlation_key: entry.correlation_key.clone(),
        process_id: start.process_id.clone(),
        subscription: start.subscription,
        instance,
    })));
    instance
}

/// A subscription has opened: the oldest message in the buffer that its process has not met meets it.
pub(crate) fn meet_buffered(
    ctx: &mut Ctx<'_>,
    instance: ProcessInstanceKey,
    subscription: SubscriptionKey,
) {
    let Some((at, _, once)) = find_waiting(ctx, instance, subscription) else {
        return;
    };
    let open = ctx
        .instance(instance)
        .subscriptions
        .iter()
        .find(|open| open.key == subscription);
    let Some(open) = open.cloned() else { return };
    let (now, keep, definition) = (ctx.now(), ctx.keep(), &at.definition);
    let (tenant, name, key) = (&definition.tenant, &open.name, &open.correlation_key);
    let found = messages::oldest_buffered(keep, tenant, name, key, &|message, entry| {
        is_of_kind(entry.binding.as_ref(), open.key_kind)
            && may_meet(keep, now, message, entry, &definition.process.id)
    });
    let Some((message, entry)) = found else {
        return;
    };
    begin_run_from_outside(ctx, &entry);
    if meet(ctx, message, &entry, instance, subscription) && is_spent(&entry) {
        expire(ctx, message, &entry);
    }
    if !once {
        // A subscription that stays open takes all there are, one by one.
        ctx.push(Step::MeetBuffered {
            instance,
            subscription,
        });
    }
}

/// A buffered message comes from outside as well as one that comes now, unless an element threw it.
fn begin_run_from_outside(ctx: &mut Ctx<'_>, entry: &MessageEntry) {
    if !entry.thrown {
        ctx.begin_run();
    }
}

/// Whether a buffered message may still meet that process.
fn may_meet(
    keep: &dyn Keep,
    now: Timestamp,
    message: MessageKey,
    entry: &MessageEntry,
    process_id: &str,
) -> bool {
    let is_fresh = entry.expires > now && is_for(entry.binding.as_ref(), process_id);
    is_fresh && !messages::met(keep, message, process_id)
}

/// A start lock is free: the oldest message in the buffer that starts this process with this key does.
pub(crate) fn start_buffered(
    ctx: &mut Ctx<'_>,
    tenant: &str,
    process_id: &str,
    correlation_key: &str,
) {
    if messages::start_lock(ctx.keep(), tenant, process_id, correlation_key).is_some() {
        return;
    }
    let Some(latest) = definitions::latest(ctx.keep(), tenant, process_id) else {
        return;
    };
    let definition = ctx.definition(latest.definition);
    let (now, keep) = (ctx.now(), ctx.keep());
    let mut oldest: Option<(MessageKey, MessageEntry, StartSubscriptionEntry)> = None;
    for &element in &definition.process.message_starts {
        let Some(name) = start_message_name(&definition, element) else {
            continue;
        };
        let Some(start) = messages::start_subscription(keep, tenant, &name, process_id, element)
        else {
            continue;
        };
        let may_start = |message, entry: &_| may_meet(keep, now, message, entry, process_id);
        let found = messages::oldest_buffered(keep, tenant, &name, correlation_key, &may_start);
        if let Some((message, entry)) = found
            && oldest.as_ref().is_none_or(|(older, ..)| message < *older)
        {
            oldest = Some((message, entry, start));
        }
    }
    if let Some((message, entry, start)) = oldest {
        begin_run_from_outside(ctx, &entry);
        start_instance(ctx, message, &entry, &start);
        if is_spent(&entry) {
            expire(ctx, message, &entry);
        }
    }
}

/// The name that a message start event listens to; the model made sure that it is static.
pub(crate) fn start_message_name(
    definition: &Definition,
    element: ElementIndex,
) -> Option<Arc<str>> {
    let message = definition.element(element).kind.awaited_message()?;
    definition
        .process
        .message(message)
        .name
        .as_static()
        .cloned()
}
