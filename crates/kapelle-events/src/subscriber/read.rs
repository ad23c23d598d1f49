//! A subscriber's document: what it may say, and what is wrong with it otherwise.

use kapelle_feel::{Context, DaysTimeDuration, Expr, Value, json};

use super::{Edge, Message, Order, Retry, Start, Subscriber, Target, Transform};
use crate::Timestamp;
use crate::document::{Read, refuse};
use crate::filter::Filter;

const LOCK_MS: i64 = 30_000;
const TIME_TO_LIVE_MS: i64 = 3_600_000;

impl Subscriber {
    /// Reads a subscriber from the text of its document.
    ///
    /// # Errors
    /// What is wrong, as the end of "expected a valid document, but".
    pub fn from_text(document: &str) -> Result<Self, String> {
        let value = json::to_value(document).map_err(|error| error.to_string())?;
        Self::from_value(&value).map_err(|error| error.to_string())
    }

    /// Reads a subscriber.
    ///
    /// # Errors
    /// The first place that is wrong.
    pub fn from_value(document: &Value) -> Read<Self> {
        let fields = Fields::of(document, "subscriber")?;
        fields.only(&[
            "filter",
            "transform",
            "target",
            "order",
            "start",
            "end",
            "retry",
            "paused",
        ])?;
        let Some(target) = fields.get("target") else {
            return refuse(
                "target",
                "a subscriber needs one: webhook, sink, message or pull",
            );
        };
        Ok(Self {
            filter: fields
                .get("filter")
                .map_or(Ok(Filter::All(Vec::new())), Filter::from_value)?,
            transform: fields
                .get("transform")
                .map(|body| Transform::from_value(body, "transform"))
                .transpose()?,
            target: read_target(target)?,
            order: fields.get("order").map_or(Ok(Order::Key), order)?,
            start: fields.get("start").map_or(Ok(Start::Latest), start)?,
            end: fields
                .get("end")
                .map(|body| edge(body, "end"))
                .transpose()?,
            retry: fields.get("retry").map_or(Ok(Retry::default()), retry)?,
            paused: fields.boolean("paused", false)?,
        })
    }
}

/// The members of an object.
pub(super) struct Fields<'v> {
    context: &'v Context,
    at: String,
}

impl<'v> Fields<'v> {
    pub(super) fn of(document: &'v Value, at: &str) -> Read<Self> {
        match document.as_context() {
            Some(context) => Ok(Self {
                context,
                at: at.to_owned(),
            }),
            None => refuse(
                at,
                format!("an object is needed, found {}", document.type_name()),
            ),
        }
    }

    fn place(&self, name: &str) -> String {
        match self.at.as_str() {
            "subscriber" => name.to_owned(),
            at => format!("{at}.{name}"),
        }
    }

    /// Refuses what is not known: a misspelt option would otherwise be one that has no effect.
    pub(super) fn only(&self, known: &[&str]) -> Read<()> {
        match self.context.iter().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) => refuse(
                &self.place(name),
                format!("unknown; there are {}", known.join(", ")),
            ),
            None => Ok(()),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        self.context.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Read<Option<&'v str>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) if !text.is_empty() => Ok(Some(text)),
                Some(_) => refuse(&self.place(name), "it is empty"),
                None => refuse(
                    &self.place(name),
                    format!("a text is needed, found {}", value.type_name()),
                ),
            },
        }
    }

    fn required_text(&self, name: &str) -> Read<&'v str> {
        match self.text(name)? {
            Some(text) => Ok(text),
            None => refuse(&self.place(name), "it is missing"),
        }
    }

    pub(super) fn expression(&self, name: &str) -> Read<Option<Expr>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        // Models write expressions with a leading `=`; here everything is one, so it may be left out.
        let text = text.strip_prefix('=').unwrap_or(text);
        Expr::parse(text)
            .map(Some)
            .or_else(|error| refuse(&self.place(name), error.to_string()))
    }

    fn boolean(&self, name: &str, default: bool) -> Read<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => refuse(
                &self.place(name),
                format!("true or false is needed, found {}", other.type_name()),
            ),
        }
    }

    fn count(&self, name: &str, default: u32, max: u32) -> Read<u32> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        let number = value.as_number().and_then(|number| number.to_i64());
        match number
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (1..=max).contains(number))
        {
            Some(number) => Ok(number),
            None => refuse(
                &self.place(name),
                format!("a whole number from 1 to {max} is needed, found {value}"),
            ),
        }
    }

    fn duration(&self, name: &str, default_ms: i64) -> Read<i64> {
        let Some(value) = self.get(name) else {
            return Ok(default_ms);
        };
        let millis = value
            .as_str()
            .and_then(|text| text.parse::<DaysTimeDuration>().ok())
            .map(DaysTimeDuration::millis);
        match millis {
            Some(millis) if millis >= 0 => Ok(millis),
            _ => refuse(
                &self.place(name),
                format!("a duration such as \"PT30S\" or \"P1D\" is needed, found {value}"),
            ),
        }
    }
}

fn read_target(body: &Value) -> Read<Target> {
    let targets = Fields::of(body, "target")?;
    targets.only(&["webhook", "sink", "message", "pull"])?;
    let [(kind, body)] = targets.context.entries() else {
        return refuse(
            "target",
            "exactly one is needed: webhook, sink, message or pull",
        );
    };
    let at = format!("target.{kind}");
    let fields = Fields::of(body, &at)?;
    match kind.as_str() {
        "webhook" => webhook(&fields),
        "sink" => {
            fields.only(&["name", "to"])?;
            let name = fields.required_text("name")?.into();
            let to = fields.text("to")?.map(Into::into);
            Ok(Target::Sink { name, to })
        }
        "message" => {
            fields.only(&["name", "key", "variables", "ttl"])?;
            Ok(Target::Message(Message {
                name: fields.required_text("name")?.into(),
                key: fields.expression("key")?,
                variables: fields.expression("variables")?,
                time_to_live_ms: fields.duration("ttl", TIME_TO_LIVE_MS)?,
            }))
        }
        _ => {
            fields.only(&["lock"])?;
            let lock_ms = fields.duration("lock", LOCK_MS)?;
            Ok(Target::Pull { lock_ms })
        }
    }
}

fn webhook(fields: &Fields<'_>) -> Read<Target> {
    fields.only(&["url"])?;
    let url = fields.required_text("url")?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return refuse(
            &fields.place("url"),
            format!("\"{url}\" is no http or https URL"),
        );
    }
    Ok(Target::Webhook { url: url.into() })
}

fn order(body: &Value) -> Read<Order> {
    match body.as_str() {
        Some("key") => Ok(Order::Key),
        Some("parallel") => Ok(Order::Parallel),
        _ => refuse(
            "order",
            format!("\"key\" or \"parallel\" is needed, found {body}"),
        ),
    }
}

fn start(body: &Value) -> Read<Start> {
    match body.as_str() {
        Some("latest") => Ok(Start::Latest),
        Some("earliest") => Ok(Start::Earliest),
        Some(other) => refuse(
            "start",
            format!("\"latest\", \"earliest\", a time or a position is needed, found \"{other}\""),
        ),
        None => edge(body, "start").map(Start::At),
    }
}

fn edge(body: &Value, at: &str) -> Read<Edge> {
    let fields = Fields::of(body, at)?;
    fields.only(&["time", "position"])?;
    match (fields.text("time")?, fields.get("position")) {
        (Some(text), None) => match Timestamp::parse(text) {
            Some(time) => Ok(Edge::Time(time)),
            None => refuse(
                &fields.place("time"),
                format!("\"{text}\" is no RFC 3339 timestamp"),
            ),
        },
        (None, Some(position)) => {
            let number = position.as_number().and_then(|number| number.to_i64());
            match number.and_then(|number| u64::try_from(number).ok()) {
                Some(number) => Ok(Edge::Position(number)),
                None => refuse(
                    &fields.place("position"),
                    format!("a whole number is needed, found {position}"),
                ),
            }
        }
        _ => refuse(at, "either time or position is needed"),
    }
}

fn retry(body: &Value) -> Read<Retry> {
    let fields = Fields::of(body, "retry")?;
    fields.only(&["attempts", "age", "first", "limit"])?;
    let default = Retry::default();
    Ok(Retry {
        attempts: fields.count("attempts", default.attempts, 1_000)?,
        age_ms: fields.duration("age", default.age_ms)?,
        first_ms: fields.duration("first", default.first_ms)?,
        limit_ms: fields.duration("limit", default.limit_ms)?,
    })
}
