//! CloudEvents come in: each gets one outcome with its reason (design §7).
//!
//! ```text
//! arrival ─► seen before? ─► bindings of its type ─► filter ─► key ─► variables ─► message ─► who waits?
//!            DUPLICATE       NO_MATCH                FILTERED  KEY_ERROR           STARTED, CORRELATED, BUFFERED, EXPIRED
//! ```
//!
//! Arrivals are taken one after another, each with its follow-ups, so that the second sees what the first has started.

use std::sync::Arc;

use kapelle_events::CloudEvent;
use kapelle_events::context::Context;
use kapelle_events::payload::{Payload, Shape};
use kapelle_feel::{Expr, Value, msgpack};
use kapelle_model::graph::{self as model, EventBinding};

use crate::command::{Arrival, IngestEvents, bucket_ms, check};
use crate::correlation::{self, Candidates, Publication};
use crate::ctx::Ctx;
use crate::document::Document;
use crate::event::{Cause, Event, FromBinding, KeyKind};
use crate::expression::{self, Sight, VariablesDebug};
use crate::ids::Sequence;
use crate::rejection::Rejection;
use crate::response::{EventResult, Match, Outcome, Response};
use crate::state::dedup;
use crate::state::messages::{self, BindingEntry};
use crate::step;

const INGEST: &str = "INGEST";

/// Buckets of the dedup window by age: one is the share by which the window may be longer than asked for.
pub(super) const BUCKETS: i64 = 24;

pub(super) fn ingest(ctx: &mut Ctx<'_>, command: IngestEvents) -> Result<Response, Rejection> {
    let IngestEvents {
        tenant,
        source_name,
        arrivals,
    } = command;
    let max = ctx.limits().arrivals_per_command_max;
    if arrivals.len() > max {
        let reason = format!(
            "Expected at most {max} CloudEvents in one batch, but there are {}",
            arrivals.len()
        );
        return Err(Rejection::invalid_argument(INGEST, reason));
    }
    check::index_text(ctx, INGEST, "tenant id", &tenant)?;
    for arrival in &arrivals {
        if let Arrival::Event(event) | Arrival::Made { event, .. } = arrival {
            check::index_text(ctx, INGEST, "type of a CloudEvent", event.event_type())?;
        }
    }
    let mut results = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        ctx.next_entry();
        results.push(match arrival {
            Arrival::Event(event) => take_in(ctx, &tenant, &source_name, event, None),
            Arrival::Made { event, raw } => take_in(ctx, &tenant, &source_name, event, Some(raw)),
            Arrival::Malformed {
                raw,
                content_type,
                reason,
                identity,
            } => reject(
                ctx,
                &tenant,
                &source_name,
                raw,
                content_type,
                reason,
                identity,
            ),
        });
        step::drain(ctx);
    }
    Ok(Response::Ingested(results))
}

fn reject(
    ctx: &mut Ctx<'_>,
    tenant: &Arc<str>,
    source_name: &Arc<str>,
    raw: Arc<[u8]>,
    content_type: Option<Arc<str>>,
    reason: Arc<str>,
    identity: u128,
) -> EventResult {
    let position = ctx.next_sequence();
    let (source, id): (Arc<str>, Arc<str>) = (Arc::from(""), Arc::from(""));
    if let Some(first) = dedup::find(ctx.keep(), identity) {
        return repeat(
            ctx,
            tenant,
            source_name,
            source,
            id,
            identity,
            identity,
            &first,
        );
    }
    let bucket = bucket(ctx);
    ctx.emit(Event::RecordRejected {
        tenant: tenant.clone(),
        source_name: source_name.clone(),
        raw,
        content_type,
        reason: reason.clone(),
        identity,
        bucket,
    });
    bound_window(ctx);
    EventResult {
        source,
        id,
        position,
        outcome: Outcome::Rejected,
        matches: Vec::new(),
        duplicate_of: None,
        reason,
    }
}

fn take_in(
    ctx: &mut Ctx<'_>,
    tenant: &Arc<str>,
    source_name: &Arc<str>,
    event: Arc<CloudEvent>,
    raw: Option<Arc<[u8]>>,
) -> EventResult {
    let position = ctx.next_sequence();
    let identity = u128::from_be_bytes(event.identity_hash(tenant).0);
    let content = u128::from_be_bytes(event.content_hash().0);
    let (source, id): (Arc<str>, Arc<str>) = (event.source().into(), event.id().into());
    if let Some(first) = dedup::find(ctx.keep(), identity) {
        return repeat(
            ctx,
            tenant,
            source_name,
            source,
            id,
            identity,
            content,
            &first,
        );
    }
    ctx.emit(Event::CloudEventReceived {
        tenant: tenant.clone(),
        source_name: source_name.clone(),
        identity,
        content,
        event: event.clone(),
        raw,
    });
    let matches = route(ctx, tenant, &event);
    let (outcome, reason) = whole(&event, &matches);
    let bucket = bucket(ctx);
    let reason: Arc<str> = reason.into();
    ctx.emit(Event::CloudEventRouted {
        position,
        outcome,
        matches: matches.clone(),
        reason: reason.clone(),
        identity,
        content,
        bucket,
    });
    bound_window(ctx);
    EventResult {
        source,
        id,
        position,
        outcome,
        matches,
        duplicate_of: None,
        reason,
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "an event's fields, each used once"
)]
fn repeat(
    ctx: &mut Ctx<'_>,
    tenant: &Arc<str>,
    source_name: &Arc<str>,
    source: Arc<str>,
    id: Arc<str>,
    identity: u128,
    content: u128,
    first: &dedup::DedupEntry,
) -> EventResult {
    let position = ctx.next_sequence();
    let same_content = first.content == content;
    let reason = format!(
        "the same {} was taken in at position {} with outcome {}{}",
        if id.is_empty() {
            "record"
        } else {
            "source and id"
        },
        first.first.0,
        first.outcome.as_str(),
        if same_content {
            ""
        } else {
            "; this one's content differs"
        }
    );
    ctx.emit(Event::CloudEventRepeated {
        tenant: tenant.clone(),
        source_name: source_name.clone(),
        source: source.clone(),
        id: id.clone(),
        identity,
        first: first.first,
        first_outcome: first.outcome,
        same_content,
    });
    let duplicate_of: Option<Sequence> = Some(first.first);
    EventResult {
        source,
        id,
        position,
        outcome: Outcome::Duplicate,
        matches: Vec::new(),
        duplicate_of,
        reason: reason.into(),
    }
}

/// The outcome of the CloudEvent as a whole: the first that applies to any binding.
fn whole(event: &CloudEvent, matches: &[Match]) -> (Outcome, String) {
    match matches.iter().min_by_key(|found| found.outcome) {
        Some(first) => (
            first.outcome,
            format!(
                "message '{}' of process '{}': {}",
                first.message, first.process_id, first.reason
            ),
        ),
        None => (
            Outcome::NoMatch,
            format!(
                "no deployed process has a message for type '{}'",
                event.event_type()
            ),
        ),
    }
}

/// The bucket that takes in the next identity: a new one when the last is full by age or by count.
fn bucket(ctx: &Ctx<'_>) -> u64 {
    let (window, limits) = (&ctx.keep().partition().dedup, ctx.limits());
    let Some(last) = window.buckets.last() else {
        return window.lower;
    };
    let is_old = last.started.plus_ms(bucket_ms(limits)) <= ctx.now();
    let is_full = last.count >= (limits.dedup_ids_max / BUCKETS.unsigned_abs()).max(1);
    if is_old || is_full {
        last.number + 1
    } else {
        last.number
    }
}

/// More identities than the window may hold: its oldest bucket goes, whatever its age.
fn bound_window(ctx: &mut Ctx<'_>) {
    let window = &ctx.keep().partition().dedup;
    let count: u64 = window.buckets.iter().map(|bucket| bucket.count).sum();
    if count > ctx.limits().dedup_ids_max
        && let Some(oldest) = window.buckets.first()
    {
        let bucket = oldest.number;
        ctx.emit(Event::DedupBucketDropped { bucket });
    }
}

fn route(ctx: &mut Ctx<'_>, tenant: &Arc<str>, event: &CloudEvent) -> Vec<Match> {
    let bindings = messages::event_bindings(ctx.keep(), tenant, event.event_type());
    if bindings.is_empty() {
        return Vec::new();
    }
    let mut views = Views {
        event,
        context: event.as_context(),
        payloads: Vec::new(),
    };
    bindings
        .into_iter()
        .map(|bound| meet_binding(ctx, tenant, &mut views, bound))
        .collect()
}

/// What the expressions of bindings see of a CloudEvent. Its data is converted for each view, so each is made once.
struct Views<'e> {
    event: &'e CloudEvent,
    context: Context<'e>,
    payloads: Vec<(Shape, Payload<'e>)>,
}

impl Views<'_> {
    fn of(&mut self, binding: Option<&EventBinding>) -> &dyn VariablesDebug {
        let Some(shape) = binding.and_then(|binding| shape(binding.payload)) else {
            return &self.context;
        };
        let made = self.payloads.iter().position(|(made, _)| *made == shape);
        let at = made.unwrap_or_else(|| {
            self.payloads.push((shape, self.event.as_payload(shape)));
            self.payloads.len() - 1
        });
        &self.payloads[at].1
    }
}

/// Why a binding does not publish its message.
struct Refused {
    outcome: Outcome,
    reason: String,
}

fn refuse<T>(outcome: Outcome, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused {
        outcome,
        reason: reason.into(),
    })
}

fn meet_binding(
    ctx: &mut Ctx<'_>,
    tenant: &Arc<str>,
    views: &mut Views<'_>,
    bound: BindingEntry,
) -> Match {
    let definition = ctx.definition(bound.definition);
    let binding = definition.process.message(bound.index).binding.as_ref();
    let mut found = Match {
        message: bound.message.clone(),
        process_id: bound.process_id.clone(),
        correlation_key: Arc::from(""),
        outcome: Outcome::KeyError,
        instance: None,
        reason: Arc::from(""),
    };
    let event = views.event;
    let context = views.of(binding);
    let publication = prepare(ctx, tenant, event, context, &bound, binding, &mut found);
    match publication {
        Ok(publication) => publish(ctx, publication, &mut found),
        Err(Refused { outcome, reason }) => {
            found.outcome = outcome;
            found.reason = reason.into();
        }
    }
    found
}

/// What a binding's expressions see before the CloudEvent itself.
const fn shape(payload: model::Payload) -> Option<Shape> {
    match payload {
        model::Payload::CloudEvent => None,
        model::Payload::Webhook => Some(Shape::Webhook),
        model::Payload::Kafka => Some(Shape::Kafka),
        model::Payload::Rabbitmq => Some(Shape::Rabbitmq),
        model::Payload::Body => Some(Shape::Body),
    }
}

/// Everything about the message that this binding makes of the CloudEvent.
fn prepare(
    ctx: &Ctx<'_>,
    tenant: &Arc<str>,
    event: &CloudEvent,
    context: &dyn VariablesDebug,
    bound: &BindingEntry,
    binding: Option<&EventBinding>,
    found: &mut Match,
) -> Result<Publication, Refused> {
    let ttl_ms = time_to_live(ctx, event, binding)?;
    check_filter(ctx, context, binding)?;
    let key = key(ctx, event, context, binding)?;
    let (correlation_key, key_kind) = key.unwrap_or_else(|| (Arc::from(""), KeyKind::Text));
    check_length(ctx, "key", &correlation_key)?;
    found.correlation_key = correlation_key.clone();
    let starts = || messages::start_subscriptions(ctx.keep(), tenant, &bound.message);
    if correlation_key.is_empty()
        && !starts()
            .iter()
            .any(|start| start.process_id == bound.process_id)
    {
        return refuse(
            Outcome::KeyError,
            "the CloudEvent has no key for it, and the message starts no process",
        );
    }
    let variables = variables(ctx, event, context, binding)?;
    let message_id = message_id(ctx, context, binding)?;
    let name = &bound.message;
    if !message_id.is_empty()
        && messages::id_is_taken(ctx.keep(), tenant, name, &correlation_key, &message_id)
    {
        return refuse(
            Outcome::Duplicate,
            format!("a message with the id '{message_id}' is kept already"),
        );
    }
    let lock = binding.is_none_or(|binding| binding.lock);
    Ok(Publication {
        tenant: tenant.clone(),
        name: bound.message.clone(),
        correlation_key,
        message_id,
        ttl_ms,
        variables,
        cause: Cause {
            event_id: Some(event.id().into()),
            correlation_id: event.correlation_id().map(Arc::from),
            traceparent: event
                .trace_parent()
                .map(Arc::from)
                .or_else(|| ctx.meta().traceparent.clone()),
        },
        binding: Some(FromBinding {
            process_id: bound.process_id.clone(),
            key_kind,
            lock,
        }),
        thrown: false,
    })
}

/// How long the message may wait in the buffer; never past the CloudEvent's `expirytime`.
fn time_to_live(
    ctx: &Ctx<'_>,
    event: &CloudEvent,
    binding: Option<&EventBinding>,
) -> Result<i64, Refused> {
    let asked = binding
        .and_then(|binding| binding.ttl_ms)
        .map(|ttl_ms| i64::try_from(ttl_ms).unwrap_or(i64::MAX));
    let ttl_ms = asked.unwrap_or(ctx.limits().binding_ttl_ms);
    let Some(expires) = event.expiry_time() else {
        return Ok(ttl_ms);
    };
    let left = expires.unix_ms().saturating_sub(ctx.now().0);
    if left <= 0 {
        return refuse(
            Outcome::Expired,
            format!("its expirytime {} is past", expires.as_str()),
        );
    }
    Ok(ttl_ms.min(left))
}

fn check_filter(
    ctx: &Ctx<'_>,
    context: &dyn VariablesDebug,
    binding: Option<&EventBinding>,
) -> Result<(), Refused> {
    let Some(filter) = binding.and_then(|binding| binding.filter.as_ref()) else {
        return Ok(());
    };
    match expression::boolean(ctx, filter, Sight::Other(context)) {
        Ok(true) => Ok(()),
        Ok(false) => refuse(
            Outcome::Filtered,
            format!("the filter '{}' is false", filter.text()),
        ),
        Err(problem) => refuse(
            Outcome::Filtered,
            format!("the filter is not true: {}", problem.message),
        ),
    }
}

/// The binding's key, else the subject; none where that is null.
fn key(
    ctx: &Ctx<'_>,
    event: &CloudEvent,
    context: &dyn VariablesDebug,
    binding: Option<&EventBinding>,
) -> Result<Option<(Arc<str>, KeyKind)>, Refused> {
    let Some(expr) = binding.and_then(|binding| binding.key.as_ref()) else {
        return Ok(event
            .subject()
            .map(|subject| (subject.into(), KeyKind::Text)));
    };
    text_or_number(ctx, context, "key", expr)
}

/// Empty where the binding has none, or it is null.
fn message_id(
    ctx: &Ctx<'_>,
    context: &dyn VariablesDebug,
    binding: Option<&EventBinding>,
) -> Result<Arc<str>, Refused> {
    let Some(expr) = binding.and_then(|binding| binding.message_id.as_ref()) else {
        return Ok(Arc::from(""));
    };
    let id = text_or_number(ctx, context, "message id", expr)?;
    let id = id.map_or_else(|| Arc::from(""), |(id, _)| id);
    check_length(ctx, "message id", &id)?;
    Ok(id)
}

/// What an expression says for an index; none where that is null.
fn text_or_number(
    ctx: &Ctx<'_>,
    context: &dyn VariablesDebug,
    what: &str,
    expr: &Expr,
) -> Result<Option<(Arc<str>, KeyKind)>, Refused> {
    let evaluation = expression::evaluate(ctx, expr, Sight::Other(context))
        .or_else(|error| refuse(Outcome::KeyError, error))?;
    if evaluation.value.is_null() {
        return Ok(None);
    }
    match expression::key_of(&evaluation.value) {
        Some(found) => Ok(Some(found)),
        None => {
            let found = expression::type_name(&evaluation.value);
            let reason = format!(
                "the {what} '{}' is neither a text nor a number, but '{found}'",
                expr.text()
            );
            refuse(Outcome::KeyError, reason)
        }
    }
}

fn check_length(ctx: &Ctx<'_>, what: &str, text: &str) -> Result<(), Refused> {
    if text.len() <= ctx.limits().index_text_bytes_max {
        return Ok(());
    }
    let reason = format!("the {what} has {} bytes, which is too many", text.len());
    refuse(Outcome::KeyError, reason)
}

/// A JSON object's members are the variables; anything else becomes the variable `data`.
fn variables(
    ctx: &Ctx<'_>,
    event: &CloudEvent,
    context: &dyn VariablesDebug,
    binding: Option<&EventBinding>,
) -> Result<Document, Refused> {
    let stored = match binding.and_then(|binding| binding.variables.as_ref()) {
        None => event.stored_data(),
        Some(expr) => {
            let evaluation = expression::evaluate(ctx, expr, Sight::Other(context))
                .or_else(|error| refuse(Outcome::KeyError, error))?;
            let value: Value = evaluation.value;
            msgpack::to_msgpack(&value)
        }
    };
    Ok(match msgpack::kind(&stored) {
        Some(msgpack::Kind::Map) => Document(stored.into()),
        None | Some(msgpack::Kind::Nil) => Document::empty(),
        Some(_) => Document(msgpack::map_from([("data", stored.as_slice())]).into()),
    })
}

fn publish(ctx: &mut Ctx<'_>, publication: Publication, found: &mut Match) {
    let (key, ttl_ms) = (publication.correlation_key.clone(), publication.ttl_ms);
    let candidates = correlation::candidates(ctx, &publication);
    let nobody = why_nobody(&publication, &candidates);
    let published = correlation::publish(ctx, publication, candidates);
    let (outcome, reason) = match published.met.first() {
        Some(met) => {
            found.instance = Some(met.instance);
            match (met.started, key.is_empty()) {
                (true, true) => (
                    Outcome::Started,
                    format!("started process instance {}", met.instance),
                ),
                (true, false) => (
                    Outcome::Started,
                    format!("started process instance {} with key '{key}'", met.instance),
                ),
                (false, _) => (
                    Outcome::Correlated,
                    format!("process instance {} waited for key '{key}'", met.instance),
                ),
            }
        }
        None if ttl_ms <= 0 => (
            Outcome::Expired,
            format!("{nobody}, and the message is not kept"),
        ),
        None => (
            Outcome::Buffered,
            format!("{nobody}; kept for {} s", ttl_ms as f64 / 1000.0),
        ),
    };
    found.outcome = outcome;
    found.reason = reason.into();
}

/// What stands between the message and whoever it is for.
fn why_nobody(publication: &Publication, candidates: &Candidates) -> String {
    let key = &publication.correlation_key;
    let kind = publication.binding.as_ref().map(|binding| binding.key_kind);
    match (candidates.locked, candidates.other_kind, kind) {
        (Some(holder), ..) => format!("process instance {holder} holds the key '{key}'"),
        (None, Some(instance), Some(KeyKind::Text)) => {
            format!(
                "process instance {instance} waits for the number {key}, but the key is the text \"{key}\""
            )
        }
        (None, Some(instance), _) => {
            format!(
                "process instance {instance} waits for the text \"{key}\", but the key is the number {key}"
            )
        }
        (None, None, _) => format!("nobody waits for key '{key}' yet"),
    }
}
