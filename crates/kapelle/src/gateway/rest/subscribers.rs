//! `/v2/kapelle/subscribers`, `/v2/kapelle/dead-letters`, `/v2/kapelle/stored-events`: who gets which CloudEvents, what could
//! not be delivered, and what is in the store (`docs/reference/subscribers-api.md`).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{FromRef, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use kapelle_engine::command::{Command, PutSubscriber, SettleDeadLetters};
use kapelle_engine::ids::Sequence;
use kapelle_events::CloudEvent;
use kapelle_events::filter::{Filter, Subject};
use kapelle_events::subscriber::Subscriber;
use kapelle_feel::json as feel_json;
use kapelle_storage::event_store::{Direction, Entry, Key as StoreKey};
use kapelle_storage::position;
use tokio::sync::oneshot;

use super::body::JsonText;
use super::json::{self, Object, array};
use super::problem::Problem;
use super::{Meta, no_content};
use crate::backbone::{
    Answer, Ask, Backbone, DeadLetter, Received, Report, Stored, Tag, Token, env,
};
use crate::gateway::Gateway;
use crate::gateway::failure::Failure;
use crate::history::query::time;

/// CloudEvents in one answer.
const ITEMS_MAX: i64 = 1_000;
const ITEMS_DEFAULT: i64 = 100;

/// How long a consumer may wait for something to receive.
const WAIT_MAX_MS: i64 = 60_000;

#[derive(Clone)]
struct Serving {
    gateway: Arc<Gateway>,
    backbone: Arc<Backbone>,
}

impl FromRef<Serving> for Arc<Gateway> {
    fn from_ref(serving: &Serving) -> Self {
        Self::clone(&serving.gateway)
    }
}

pub(crate) fn router(gateway: Arc<Gateway>, backbone: Arc<Backbone>) -> Router {
    Router::new()
        .route("/v2/kapelle/subscribers", get(list))
        .route(
            "/v2/kapelle/subscribers/{name}",
            get(show).put(put).delete(delete),
        )
        .route("/v2/kapelle/subscribers/{name}/try", post(try_filter))
        .route("/v2/kapelle/subscribers/{name}/receive", post(receive))
        .route("/v2/kapelle/subscribers/{name}/{verb}", post(answer))
        .route("/v2/kapelle/dead-letters", get(dead_letters))
        .route("/v2/kapelle/dead-letters/{verb}", post(settle_dead))
        .route("/v2/kapelle/stored-events", get(search))
        .with_state(Serving { gateway, backbone })
}

/// A question to the backbone's thread.
async fn ask<T>(
    serving: &Serving,
    ask: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Result<T, Problem> {
    let (sender, receiver) = oneshot::channel();
    serving.backbone.inbox().put(ask(sender));
    receiver.await.map_err(|_| Failure::stopped().into())
}

fn no_subscriber(name: &str) -> Problem {
    Problem::not_found(format!(
        "Expected to find subscriber with name '{name}', but there is none"
    ))
}

async fn list(State(serving): State<Serving>) -> Result<Response, Problem> {
    let reports = ask(&serving, Ask::Reports).await?;
    let mut answer = Object::new();
    answer.raw(
        "items",
        &array(reports.iter().map(|(name, report)| render(name, report))),
    );
    Ok(json::ok(answer.end()))
}

async fn show(
    State(serving): State<Serving>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let reports = ask(&serving, Ask::Reports).await?;
    match reports.get(name.as_str()) {
        Some(report) => Ok(json::ok(render(&name, report))),
        None => Err(no_subscriber(&name)),
    }
}

fn render(name: &str, report: &Report) -> String {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut answer = Object::new();
    answer
        .text("name", name)
        .raw("subscriber", &report.document)
        .bool("paused", report.paused)
        .key("position", report.cursor)
        .number("waiting", count(report.waiting))
        .number("inFlight", count(report.in_flight))
        .number("dead", count(report.dead))
        .number("matched", count(report.matched))
        .number("filtered", count(report.filtered))
        .number("delivered", count(report.delivered))
        .number("failed", count(report.failed))
        .text_or_null("lastError", report.last_error.as_deref());
    answer.end()
}

async fn put(
    State(serving): State<Serving>,
    Path(name): Path<String>,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let command = Command::PutSubscriber(PutSubscriber {
        tenant: serving.gateway.tenant("")?,
        name: name.into(),
        document: text.text().into(),
    });
    serving.gateway.ask(command, meta).await?;
    Ok(no_content())
}

async fn delete(
    State(serving): State<Serving>,
    Path(name): Path<String>,
    Meta(meta): Meta,
) -> Result<Response, Problem> {
    let tenant = serving.gateway.tenant("")?;
    let name = name.into();
    serving
        .gateway
        .ask(Command::DeleteSubscriber { tenant, name }, meta)
        .await?;
    Ok(no_content())
}

/// What a filter would pass of the last CloudEvents, and why it would not pass the others. The name is not looked at when the
/// request brings a filter; else it is the subscriber's own.
async fn try_filter(
    State(serving): State<Serving>,
    Path(name): Path<String>,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object_or_empty()?;
    let filter = request.raw("filter").map(|raw| raw.text().to_owned());
    let last = request.i64("last")?.unwrap_or(ITEMS_DEFAULT);
    request.finish()?;
    if !(1..=ITEMS_MAX).contains(&last) {
        return Err(Problem::invalid(format!(
            "The value for last is '{last}' but must be between 1 and {ITEMS_MAX}."
        )));
    }
    let filter = match filter {
        Some(text) => parse_filter(&text)?,
        None => {
            let reports = ask(&serving, Ask::Reports).await?;
            let report = reports
                .get(name.as_str())
                .ok_or_else(|| no_subscriber(&name))?;
            own_filter(&report.document)?
        }
    };
    let last = usize::try_from(last).unwrap_or(1);
    let entries = read_store(&serving, Scan::Backward(last)).await?;
    let mut matched = 0;
    let items: Vec<_> = entries
        .iter()
        .map(Stored::read)
        .filter_map(|stored| {
            let event = stored.event.clone()?;
            let verdict = filter.explain(&Subject::new(&event), &env(stored.at));
            matched += i64::from(verdict.passed);
            let mut item = Object::new();
            item.key("position", stored.position.0)
                .text("type", event.event_type())
                .text("source", event.source())
                .text("id", event.id())
                .bool("passed", verdict.passed)
                .text("explanation", &verdict.to_string());
            Some(item.end())
        })
        .collect();
    let mut answer = Object::new();
    answer
        .number("looked", i64::try_from(items.len()).unwrap_or(i64::MAX))
        .number("matched", matched)
        .raw("items", &array(items));
    Ok(json::ok(answer.end()))
}

fn parse_filter(text: &str) -> Result<Filter, Problem> {
    let value = feel_json::to_value(text).map_err(|error| Problem::invalid(error.to_string()))?;
    Filter::from_value(&value).map_err(|error| Problem::invalid(error.to_string()))
}

/// Of a document that the engine took.
fn own_filter(document: &str) -> Result<Filter, Problem> {
    let value =
        feel_json::to_value(document).map_err(|error| Problem::invalid(error.to_string()))?;
    Subscriber::from_value(&value)
        .map(|subscriber| subscriber.filter)
        .map_err(|error| Problem::invalid(error.to_string()))
}

async fn receive(
    State(serving): State<Serving>,
    Path(name): Path<String>,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object_or_empty()?;
    let most = request.i64("maxEvents")?.unwrap_or(1);
    let wait_ms = request.i64("waitTime")?.unwrap_or(0);
    request.finish()?;
    if !(1..=ITEMS_MAX).contains(&most) {
        return Err(Problem::invalid(format!(
            "The value for maxEvents is '{most}' but must be between 1 and {ITEMS_MAX}."
        )));
    }
    if !(0..=WAIT_MAX_MS).contains(&wait_ms) {
        return Err(Problem::invalid(format!(
            "The value for waitTime is '{wait_ms}' but must be between 0 and {WAIT_MAX_MS} milliseconds."
        )));
    }
    let subscriber: Arc<str> = name.as_str().into();
    let until = Instant::now() + Duration::from_millis(wait_ms.unsigned_abs());
    let received = ask(&serving, |reply| Ask::Receive {
        subscriber,
        most: usize::try_from(most).unwrap_or(1),
        until,
        reply,
    })
    .await?
    .ok_or_else(|| not_pulled(&name))?;
    let mut answer = Object::new();
    answer.raw("items", &array(received.iter().map(render_received)));
    Ok(json::ok(answer.end()))
}

fn not_pulled(name: &str) -> Problem {
    Problem::not_found(format!(
        "Expected to find subscriber with name '{name}' and the target 'pull', but there is none"
    ))
}

fn render_received(received: &Received) -> String {
    let mut item = Object::new();
    item.text("lockToken", &write_token(&received.token))
        .number("deliveryCount", received.token.number.into())
        .key("position", received.stored.position.0)
        .raw("event", &render_event(received.stored.event.as_deref()));
    item.end()
}

fn render_event(event: Option<&CloudEvent>) -> String {
    event.map_or_else(
        || "null".to_owned(),
        |event| String::from_utf8_lossy(&kapelle_events::json::encode(event)).into_owned(),
    )
}

fn write_token(token: &Token) -> String {
    format!("{}.{}", token.position.0, token.number)
}

fn read_token(text: &str) -> Option<Token> {
    let (position, number) = text.split_once('.')?;
    Some(Token {
        position: Sequence(position.parse().ok()?),
        number: number.parse().ok()?,
    })
}

/// `acknowledge`, `release`, `reject`, `renew`.
async fn answer(
    State(serving): State<Serving>,
    Path((name, verb)): Path<(String, String)>,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object()?;
    let tokens = request.texts("lockTokens")?;
    let answer = match verb.as_str() {
        "acknowledge" => Answer::Acknowledge,
        "release" => Answer::Release {
            delay: Duration::from_millis(
                request
                    .i64("delay")?
                    .unwrap_or(0)
                    .clamp(0, 86_400_000)
                    .unsigned_abs(),
            ),
        },
        "reject" => Answer::Reject {
            reason: request
                .text("reason")?
                .unwrap_or("rejected by its consumer".into())
                .into_owned(),
        },
        "renew" => Answer::Renew,
        _ => {
            let detail = format!(
                "There is no operation '{verb}'; there are receive, acknowledge, release, reject, renew, try."
            );
            return Err(Problem::not_found(detail));
        }
    };
    request.finish()?;
    let parsed = tokens
        .iter()
        .map(|token| {
            read_token(token).ok_or_else(|| {
                Problem::invalid(format!(
                    "The value for lockTokens is '{token}' but must be a lockToken of a receive."
                ))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let subscriber: Arc<str> = name.as_str().into();
    let held = ask(&serving, |reply| Ask::Answer {
        subscriber,
        tokens: parsed,
        answer,
        reply,
    })
    .await?
    .ok_or_else(|| not_pulled(&name))?;
    let texts = |wanted: bool| {
        let tokens = tokens
            .iter()
            .zip(&held)
            .filter(|(_, held)| **held == wanted);
        array(tokens.map(|(token, _)| json::quote(token)))
    };
    let mut answer = Object::new();
    // Those whose lock ran out, so that others may have them.
    answer
        .raw("succeeded", &texts(true))
        .raw("failed", &texts(false));
    Ok(json::ok(answer.end()))
}

async fn dead_letters(
    State(serving): State<Serving>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let mut page = Page::default();
    let mut subscriber = None;
    for (name, value) in parameters {
        match name.as_str() {
            "subscriber" => subscriber = Some(Arc::from(value)),
            _ => page.take(&name, &value, "subscriber, after, limit")?,
        }
    }
    let letters = ask(&serving, |reply| Ask::DeadLetters {
        subscriber,
        after: Sequence(page.after),
        most: page.limit,
        reply,
    })
    .await?;
    let mut answer = Object::new();
    answer.raw("items", &array(letters.iter().map(render_dead)));
    Ok(json::ok(answer.end()))
}

fn render_dead(letter: &DeadLetter) -> String {
    let mut item = Object::new();
    item.text("subscriber", &letter.subscriber)
        .key("position", letter.wanted.position.0)
        .number("attempts", letter.attempts.into())
        .text("lastError", &letter.error)
        .text_or_null("storedAt", time(letter.wanted.stored_at.0).as_deref())
        .text_or_null("diedAt", time(letter.died_at.0).as_deref())
        .raw("event", &render_event(letter.event.as_deref()));
    item.end()
}

/// `redrive`, `discard`.
async fn settle_dead(
    State(serving): State<Serving>,
    Path(verb): Path<String>,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let redrive = match verb.as_str() {
        "redrive" => true,
        "discard" => false,
        _ => {
            return Err(Problem::not_found(format!(
                "There is no operation '{verb}'; there are redrive and discard."
            )));
        }
    };
    let mut request = text.object()?;
    let subscriber = request.text("subscriber")?.unwrap_or_default().into_owned();
    let positions = request.texts("positions")?;
    let reason = request.text("reason")?.unwrap_or_default().into_owned();
    request.finish()?;
    if !redrive && reason.is_empty() {
        return Err(Problem::invalid(
            "No reason provided: say why the dead letters are discarded.".to_owned(),
        ));
    }
    let positions = positions
        .iter()
        .map(|position| {
            position.parse().map(Sequence).map_err(|_| {
                Problem::invalid(format!(
                    "The value for positions is '{position}' but must be digits."
                ))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let command = Command::SettleDeadLetters(SettleDeadLetters {
        tenant: serving.gateway.tenant("")?,
        subscriber: subscriber.into(),
        positions,
        redrive,
        reason: reason.into(),
    });
    serving.gateway.ask(command, meta).await?;
    Ok(no_content())
}

/// Where a list begins and how long it is.
struct Page {
    after: u64,
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: 0,
            limit: usize::try_from(ITEMS_DEFAULT).unwrap_or(1),
        }
    }
}

impl Page {
    fn take(&mut self, name: &str, value: &str, known: &str) -> Result<(), Problem> {
        let number: Option<u64> = value.parse().ok();
        match (name, number) {
            ("after", Some(number)) => self.after = number,
            ("limit", Some(number @ 1..=1_000)) => {
                self.limit = usize::try_from(number).unwrap_or(1)
            }
            ("after" | "limit", _) => {
                let range = if name == "limit" {
                    "between 1 and 1000"
                } else {
                    "digits"
                };
                return Err(Problem::invalid(format!(
                    "The value for {name} is '{value}' but must be {range}."
                )));
            }
            _ => {
                return Err(Problem::invalid(format!(
                    "There is no parameter '{name}'; there are {known}."
                )));
            }
        }
        Ok(())
    }
}

/// CloudEvents of the store by one of their attributes, the newest first.
async fn search(
    State(serving): State<Serving>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    const KNOWN: &str = "id, type, source, subject, key, correlationid, limit";
    let mut page = Page::default();
    let mut wanted: Vec<(Tag, String)> = Vec::new();
    for (name, value) in parameters {
        let tag = match name.as_str() {
            "id" => Tag::Id,
            "type" => Tag::Type,
            "source" => Tag::Source,
            "subject" => Tag::Subject,
            "key" => Tag::Key,
            "correlationid" => Tag::CorrelationId,
            _ => {
                page.take(&name, &value, KNOWN)?;
                continue;
            }
        };
        wanted.push((tag, value));
    }
    let limit = page.limit;
    let scan = if wanted.is_empty() {
        Scan::Backward(limit)
    } else {
        Scan::Find(wanted, limit)
    };
    let entries = read_store(&serving, scan).await?;
    let mut answer = Object::new();
    answer.raw(
        "items",
        &array(
            entries
                .iter()
                .map(Stored::read)
                .map(|stored| render_stored(&stored)),
        ),
    );
    Ok(json::ok(answer.end()))
}

fn render_stored(stored: &Stored) -> String {
    let mut item = Object::new();
    item.key("position", stored.position.0)
        .text_or_null("storedAt", time(stored.at.0).as_deref())
        .text("outcome", stored.outcome)
        .raw("event", &render_event(stored.event.as_deref()));
    item.end()
}

/// How the store is gone through.
enum Scan {
    /// The last so many.
    Backward(usize),
    /// Those with all of these attributes, the newest so many.
    Find(Vec<(Tag, String)>, usize),
}

/// Reads the store beside the network's threads.
async fn read_store(serving: &Serving, scan: Scan) -> Result<Vec<Entry>, Problem> {
    let store = Arc::clone(serving.backbone.store());
    let read = tokio::task::spawn_blocking(move || {
        let store = store.read();
        let mut entries = Vec::new();
        let mut take = |entry: Entry, most: usize| {
            entries.push(entry);
            if entries.len() < most {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        match scan {
            Scan::Backward(most) => {
                store.scan(
                    position::Sequence(u64::MAX),
                    Direction::Backward,
                    &mut |entry| take(entry, most),
                )?;
            }
            Scan::Find(wanted, most) => {
                let (tag, value) = &wanted[0];
                let key = StoreKey::of(*tag as u8, value.as_bytes());
                store.find(key, Direction::Backward, &mut |entry| {
                    let stored = Stored::read(&entry);
                    let is_wanted = stored.event.as_ref().is_some_and(|event| {
                        wanted
                            .iter()
                            .all(|(tag, value)| tag.of(event) == Some(value))
                    });
                    if is_wanted {
                        take(entry, most)
                    } else {
                        ControlFlow::Continue(())
                    }
                })?;
            }
        }
        Ok::<_, kapelle_storage::event_store::Error>(entries)
    });
    match read.await {
        Ok(Ok(entries)) => Ok(entries),
        Ok(Err(error)) => Err(Failure::Internal(error.to_string()).into()),
        Err(panic) => Err(Failure::Internal(panic.to_string()).into()),
    }
}
