//! Why a CloudEvent came to its outcome, and what nearly met it (`docs/reference/events-api.md`).
//!
//! **Invariant**: told from what the engine recorded: outcomes with their reasons, subscriptions opened and closed. Nothing
//! is evaluated again.

use kapelle_feel::json::pull::Raw;
use rusqlite::{Connection, Row, params};

use super::Error;
use super::query::events::{self, EventRow};
use super::query::time;
use super::query::words::{CLOSE_REASONS, NO_KEY, word};
use crate::gateway::rest::json::{Object, array, quote};

/// Near misses that are given out.
const SHOWN_MAX: usize = 10;

/// Near misses of which nothing but the message is near: they stand for all that wait with other keys.
const OTHER_KEYS_MAX: usize = 3;

/// Candidates that are looked at for each question: the newest ones.
const LOOKED_AT_MAX: i64 = 500;

/// How long before the event a subscription may have closed, and after it opened, to count as a near miss.
const NEAR_MS: i64 = 15 * 60 * 1000;

/// Letters in which two keys may differ.
const DISTANCE_MAX: usize = 2;

/// Longer keys are not compared letter by letter.
const KEY_CHARS_MAX: usize = 128;

/// How near it was; in the order of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    TooLate,
    NotYet,
    KeyCase,
    KeySpace,
    KeyType,
    KeySimilar,
    OtherTenant,
    OtherMessage,
    OtherKey,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::TooLate => "TOO_LATE",
            Self::NotYet => "NOT_YET",
            Self::KeyCase => "KEY_CASE",
            Self::KeySpace => "KEY_SPACE",
            Self::KeyType => "KEY_TYPE",
            Self::KeySimilar => "KEY_SIMILAR",
            Self::OtherTenant => "OTHER_TENANT",
            Self::OtherMessage => "OTHER_MESSAGE",
            Self::OtherKey => "OTHER_KEY",
        }
    }
}

/// A subscription that might have fitted.
struct Candidate {
    instance: i64,
    tenant: String,
    process_id: String,
    element_id: Option<String>,
    name: String,
    key: String,
    opened: i64,
    opened_ms: i64,
    closed: Option<i64>,
    closed_ms: Option<i64>,
    reason: Option<i64>,
}

impl Candidate {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            instance: row.get(0)?,
            tenant: row.get(1)?,
            process_id: row.get(2)?,
            element_id: row.get(3)?,
            name: row.get(4)?,
            key: row.get(5)?,
            opened: row.get(6)?,
            opened_ms: row.get(7)?,
            closed: row.get(8)?,
            closed_ms: row.get(9)?,
            reason: row.get(10)?,
        })
    }

    fn is_open_at(&self, position: i64) -> bool {
        self.opened < position && self.closed.is_none_or(|closed| closed > position)
    }
}

/// What an event asked for: a message's name and a key.
struct Wanted {
    name: String,
    key: String,
}

/// The whole explanation, if there is such an event.
pub(crate) fn explain(connection: &Connection, position: i64) -> Result<Option<String>, Error> {
    let Some(event) = events::find(connection, position)? else {
        return Ok(None);
    };
    run(connection, &event)
        .map(Some)
        .map_err(Error::sqlite("explain an event"))
}

fn run(connection: &Connection, event: &EventRow) -> rusqlite::Result<String> {
    let wanted = wanted(event);
    let mut misses: Vec<(Kind, Candidate, String)> = Vec::new();
    if !event.is_out
        && !matches!(
            event.outcome,
            "STARTED" | "CORRELATED" | "DUPLICATE" | "REJECTED"
        )
    {
        for wanted in &wanted {
            for candidate in candidates(connection, wanted)? {
                if let Some(kind) = judge(event, wanted, &candidate) {
                    misses.push((kind, candidate, wanted.key.clone()));
                }
            }
        }
    }
    // Keys that only look alike are noise beside one that is the same but for its writing or the moment: numbered keys
    // all look alike. Keys of which not even that is true are shown where there is nothing else.
    let is_close = |kind: Kind| {
        !matches!(
            kind,
            Kind::KeySimilar | Kind::OtherMessage | Kind::OtherTenant | Kind::OtherKey
        )
    };
    if misses.iter().any(|(kind, ..)| is_close(*kind)) {
        misses.retain(|(kind, ..)| *kind != Kind::KeySimilar);
    }
    if misses.iter().any(|(kind, ..)| *kind != Kind::OtherKey) {
        misses.retain(|(kind, ..)| *kind != Kind::OtherKey);
    }
    misses.sort_by_key(|(kind, candidate, _)| (*kind, (candidate.opened - event.position).abs()));
    misses.dedup_by_key(|(_, candidate, _)| (candidate.opened, candidate.instance));
    let shown_max = match misses.first() {
        Some((Kind::OtherKey, ..)) => OTHER_KEYS_MAX,
        _ => SHOWN_MAX,
    };
    misses.truncate(shown_max);
    let mut answer = Object::new();
    answer
        .raw("event", &event.json())
        .text("summary", &summary(event, &wanted))
        .raw(
            "nearMisses",
            &array(
                misses
                    .iter()
                    .map(|(kind, candidate, _)| miss_json(event, *kind, candidate)),
            ),
        )
        .raw("later", &array(later(connection, event)?))
        .raw(
            "hints",
            &array(hints(event, &misses).iter().map(|hint| quote(hint))),
        );
    Ok(answer.end())
}

/// From the bindings that looked at it; without one, its type and subject by the default rule.
fn wanted(event: &EventRow) -> Vec<Wanted> {
    let matches = event
        .matches
        .as_deref()
        .and_then(|text| Raw::parse(text).ok());
    let mut wanted: Vec<Wanted> = matches
        .iter()
        .flat_map(|list| list.elements())
        .filter_map(|found| {
            let member = |name: &str| {
                let value = found
                    .members()
                    .find(|(n, _)| n.as_str().as_deref() == Some(name))?
                    .1;
                value.as_str().map(std::borrow::Cow::into_owned)
            };
            Some(Wanted {
                name: member("message")?,
                key: member("correlationKey").unwrap_or_default(),
            })
        })
        .collect();
    if wanted.is_empty() {
        let key = event.subject.clone().unwrap_or_default();
        wanted.extend(event.event_type.clone().map(|name| Wanted { name, key }));
    }
    wanted
}

fn candidates(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<Candidate>> {
    const COLUMNS: &str = "SELECT s.instance, s.tenant, s.process_id, x.id, s.name, s.correlation_key, s.opened, s.opened_at, s.closed,
        s.closed_at, s.reason FROM subscription s LEFT JOIN instance i ON i.key = s.instance
        LEFT JOIN definition_element x ON x.definition = i.definition AND x.idx = s.idx";
    let mut found = Vec::new();
    for condition in [
        // However many wait for that message.
        "s.name = ?1 AND s.correlation_key = ?2",
        "s.name = ?1 AND s.correlation_key <> ?2",
        "s.correlation_key = ?2 AND s.name <> ?1 AND s.closed IS NULL",
    ] {
        let sql = format!("{COLUMNS} WHERE {condition} ORDER BY s.key DESC LIMIT ?3");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            params![wanted.name, wanted.key, LOOKED_AT_MAX],
            Candidate::read,
        )?;
        found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(found)
}

fn judge(event: &EventRow, wanted: &Wanted, candidate: &Candidate) -> Option<Kind> {
    if candidate.name != wanted.name {
        let open = candidate.is_open_at(event.position)
            && !wanted.key.is_empty()
            && candidate.tenant == event.tenant;
        return open.then_some(Kind::OtherMessage);
    }
    if candidate.key == wanted.key {
        if candidate.tenant != event.tenant {
            return candidate
                .is_open_at(event.position)
                .then_some(Kind::OtherTenant);
        }
        if candidate.opened > event.position {
            return (candidate.opened_ms - event.time_ms <= NEAR_MS).then_some(Kind::NotYet);
        }
        return match candidate.closed_ms {
            Some(closed) if candidate.closed < Some(event.position) => {
                (event.time_ms - closed <= NEAR_MS).then_some(Kind::TooLate)
            }
            // Same name, same key, open, and not met: only the kind of the key is left.
            _ => Some(Kind::KeyType),
        };
    }
    if !candidate.is_open_at(event.position) || candidate.tenant != event.tenant {
        return None;
    }
    Some(compare(&wanted.key, &candidate.key).unwrap_or(Kind::OtherKey))
}

/// How two different keys are alike.
fn compare(sent: &str, awaited: &str) -> Option<Kind> {
    if sent.trim() == awaited.trim() {
        return Some(Kind::KeySpace);
    }
    if sent.to_lowercase() == awaited.to_lowercase() {
        return Some(Kind::KeyCase);
    }
    let number = |text: &str| text.parse::<f64>().ok().map(f64::to_bits);
    if number(sent).is_some() && number(sent) == number(awaited) {
        return Some(Kind::KeyType);
    }
    // Of very short keys every other one is "similar".
    let long_enough =
        sent.chars().count() > 2 * DISTANCE_MAX && awaited.chars().count() > 2 * DISTANCE_MAX;
    (long_enough && distance(sent, awaited)? <= DISTANCE_MAX).then_some(Kind::KeySimilar)
}

/// Letters to change, add or leave out to make one of the other (Levenshtein); `None` for very long texts.
fn distance(a: &str, b: &str) -> Option<usize> {
    let (chars_a, chars_b) = (a.chars().count(), b.chars().count());
    if chars_a.max(chars_b) > KEY_CHARS_MAX || chars_a.abs_diff(chars_b) > DISTANCE_MAX {
        return None;
    }
    Some(strsim::levenshtein(a, b))
}

fn seconds(ms: i64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn miss_text(event: &EventRow, kind: Kind, candidate: &Candidate) -> String {
    let Candidate {
        process_id,
        name,
        key,
        ..
    } = candidate;
    let waits = format!("an instance of {process_id} waits for {name} with key \"{key}\"");
    match kind {
        Kind::KeyCase => format!("{waits}: the case differs"),
        Kind::KeySpace => format!("{waits}: white space around the key differs"),
        Kind::KeyType => format!("{waits}: one key is a number and the other one a text"),
        Kind::KeySimilar => format!("{waits}: only a letter or two differ"),
        Kind::OtherMessage => format!("{waits}: the same key, but another message"),
        Kind::OtherKey => format!("{waits}: another key"),
        Kind::OtherTenant => format!("{waits}, in the tenant {}", candidate.tenant),
        Kind::TooLate => {
            let late = seconds(event.time_ms - candidate.closed_ms.unwrap_or(event.time_ms));
            let reason = candidate
                .reason
                .and_then(|reason| word(CLOSE_REASONS, reason))
                .unwrap_or("CLOSED");
            format!(
                "an instance of {process_id} waited for {name} with key \"{key}\" until {late} before the event came ({reason})"
            )
        }
        Kind::NotYet => {
            let early = seconds(candidate.opened_ms - event.time_ms);
            format!(
                "an instance of {process_id} began to wait for {name} with key \"{key}\" {early} after the event came"
            )
        }
    }
}

fn miss_json(event: &EventRow, kind: Kind, candidate: &Candidate) -> String {
    let mut object = Object::new();
    object
        .text("kind", kind.as_str())
        .text("text", &miss_text(event, kind, candidate))
        .text("processDefinitionId", &candidate.process_id)
        .key("processInstanceKey", candidate.instance.unsigned_abs())
        .text_or_null("elementId", candidate.element_id.as_deref())
        .text("message", &candidate.name)
        .text("correlationKey", &candidate.key)
        .text_or_null("openedAt", time(candidate.opened_ms).as_deref())
        .text_or_null("closedAt", candidate.closed_ms.and_then(time).as_deref())
        .text_or_null(
            "closeReason",
            candidate
                .reason
                .and_then(|reason| word(CLOSE_REASONS, reason)),
        );
    object.end()
}

fn later(connection: &Connection, event: &EventRow) -> rusqlite::Result<Vec<String>> {
    if event.is_out {
        return Ok(Vec::new());
    }
    // That one leaves the buffer after it was met is no news.
    let mut statement = connection.prepare_cached(
        "SELECT time, what, process_id, instance FROM event_later l WHERE position = ?1
         AND (what <> 'EXPIRED' OR NOT EXISTS (SELECT 1 FROM event_later o WHERE o.position = l.position AND o.what <> 'EXPIRED'))
         ORDER BY rowid LIMIT 100",
    )?;
    let rows = statement.query_map([event.position], |row| {
        let (at, what, process_id, instance): (i64, String, String, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let after = seconds(at - event.time_ms);
        let text = match &*what {
            "EXPIRED" => {
                format!("nobody came for it within its time to live: expired {after} later")
            }
            "STARTED" => format!("started {process_id} {after} later"),
            _ => format!("met {process_id} {after} later"),
        };
        let instance = (instance != NO_KEY).then(|| instance.to_string());
        let mut object = Object::new();
        object
            .text_or_null("time", time(at).as_deref())
            .text("what", &what)
            .text_or_null("processInstanceKey", instance.as_deref())
            .text("text", &text);
        Ok(object.end())
    })?;
    rows.collect()
}

/// How the delivery stands.
fn delivery(event: &EventRow) -> String {
    let failed = match event.attempts {
        None | Some(0) => return event.outcome.to_lowercase(),
        Some(1) => "1 attempt".to_owned(),
        Some(attempts) => format!("{attempts} attempts"),
    };
    let error = event.reason.as_deref().unwrap_or_default();
    let next = event.retry_at.and_then(time).unwrap_or_default();
    match event.outcome {
        "DEAD" => format!("given up after {failed}, the last one: {error}"),
        "DELIVERED" => format!("delivered after {failed} had failed, the last one: {error}"),
        _ => format!("{failed} failed, the last one: {error}; the next one is due at {next}"),
    }
}

fn summary(event: &EventRow, wanted: &[Wanted]) -> String {
    if event.is_out {
        return delivery(event);
    }
    let reason = event.reason.clone().unwrap_or_default();
    match event.outcome {
        "NO_MATCH" => {
            let event_type = event.event_type.as_deref().unwrap_or_default();
            if reason.is_empty() {
                format!("no deployed process is bound to events of type {event_type}")
            } else {
                reason
            }
        }
        "BUFFERED" | "EXPIRED" => match wanted.first() {
            Some(Wanted { name, key }) if reason.is_empty() => {
                format!("nobody waits for {name} with key \"{key}\"")
            }
            _ => reason,
        },
        outcome if reason.is_empty() => outcome.to_lowercase(),
        _ => reason,
    }
}

fn hints(event: &EventRow, misses: &[(Kind, Candidate, String)]) -> Vec<String> {
    let mut hints = Vec::new();
    let mut add = |hint: String| {
        if hints.len() < 3 && !hints.contains(&hint) {
            hints.push(hint);
        }
    };
    for (kind, candidate, sent) in misses {
        match kind {
            Kind::KeyCase | Kind::KeySpace | Kind::KeySimilar => {
                add(format!("send the event again with the key \"{}\" instead of \"{sent}\" (its subject, unless the binding names another)", candidate.key));
            }
            Kind::KeyType => add("make both keys numbers or both texts: string(…) in the subscription's or the binding's expression".to_owned()),
            Kind::OtherMessage => add(format!("the instance waits for {}: is the event's type right?", candidate.name)),
            Kind::TooLate => add("the event came after its receiver had left: a longer timer, or an event that is sent earlier".to_owned()),
            Kind::NotYet => add("let the event wait for its receiver: a longer ttl on the binding (kapelle:event ttl=…)".to_owned()),
            Kind::OtherKey => add("compare the event's key with what the process takes as its correlation key".to_owned()),
            Kind::OtherTenant => add(format!("send the event to the tenant {}", candidate.tenant)),
        }
    }
    if misses.is_empty() && event.outcome == "NO_MATCH" {
        add("deploy a process with a message whose name is the event's type, or with <kapelle:event type=…> on its message".to_owned());
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::{Kind, compare, distance};

    #[test]
    fn keys_are_alike_in_different_ways() {
        assert_eq!(compare("a-1001", "A-1001"), Some(Kind::KeyCase));
        assert_eq!(compare("A-1001 ", "A-1001"), Some(Kind::KeySpace));
        assert_eq!(compare("42", "42.0"), Some(Kind::KeyType));
        assert_eq!(compare("A-1001", "A-1010"), Some(Kind::KeySimilar));
        assert_eq!(compare("A-1001", "B-2002"), None);
        assert_eq!(compare("ab", "cd"), None);
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("kitten", "kitten"), Some(0));
        assert_eq!(distance("kitten", "sitten"), Some(1));
        assert_eq!(distance("kitten", "kittens"), Some(1));
        assert_eq!(distance("ab", "ba"), Some(2));
        assert_eq!(distance("short", "much longer"), None);
    }
}
