//! `kapelle events`: CloudEvents in, and what they came to (`docs/reference/events-api.md`).

mod explain;
mod line;
mod trace;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Method;

use super::args::{EventsCommand, Format, OneEvent, Send, Tail};
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output, cell};
use crate::client::{Body, Client, Object};

const SENT: Columns = &[
    ("POSITION", "position"),
    ("OUTCOME", "outcome"),
    ("SOURCE", "source"),
    ("ID", "id"),
];

pub(crate) use explain::text as explanation;
pub(crate) use line::{brief, clock, line, subject};

/// How often `--follow` looks for more.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn run(command: EventsCommand, output: Output) -> Result<(), Failure> {
    match command {
        EventsCommand::Send(args) => send(args, output).await,
        EventsCommand::Tail(args) => tail(args, output).await,
        EventsCommand::Show(args) => show(args, output).await,
        EventsCommand::Explain(args) => explain(args, output).await,
        EventsCommand::Trace(args) => trace(args, output).await,
    }
}

async fn send(args: Send, output: Output) -> Result<(), Failure> {
    let body = match &args.file {
        Some(path) => from_file(input::read(path)?),
        None => Body {
            content_type: ONE.to_owned(),
            bytes: composed(&args)?.into(),
        },
    };
    let answer = args
        .remote
        .client()?
        .call(Method::POST, "/events", Some(body))
        .await?;
    output.items(&answer.list("results"), SENT)
}

const ONE: &str = "application/cloudevents+json; charset=UTF-8";
const BATCH: &str = "application/cloudevents-batch+json; charset=UTF-8";

/// Sent as it stands: the server judges it, and data is never re-serialised.
fn from_file(bytes: Vec<u8>) -> Body {
    let is_list = bytes.trim_ascii_start().first() == Some(&b'[');
    Body {
        content_type: (if is_list { BATCH } else { ONE }).to_owned(),
        bytes: bytes.into(),
    }
}

fn composed(args: &Send) -> Result<String, Failure> {
    let event_type = args.event_type.as_deref().unwrap_or_default();
    let id = args.id.clone().unwrap_or_else(fresh_id);
    let mut event = Object::new()
        .text("specversion", "1.0")
        .text("id", &id)
        .text("source", args.source.as_deref().unwrap_or("/kapelle/cli"))
        .text("type", event_type);
    if let Some(subject) = &args.subject {
        event = event.text("subject", subject);
    }
    for extension in &args.extensions {
        let (name, value) = extension.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--ext {extension:?} has no ="))
                .hint("write --ext partitionkey=A-1")
        })?;
        event = event.text(name, value);
    }
    if let Some(data) = &args.data {
        let data = input::json(data, "--data")?;
        event = event
            .text("datacontenttype", "application/json")
            .raw("data", &data.to_json());
    }
    Ok(event.into_text())
}

/// Unique enough for a person at a keyboard: the time in nanoseconds and the process.
fn fresh_id() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("cli-{:x}-{:x}", now.as_nanos(), std::process::id())
}

async fn tail(args: Tail, output: Output) -> Result<(), Failure> {
    let client = args.remote.client()?;
    let mut since = args.since.map(|position| position.to_string());
    loop {
        let page = client.get(&query(&args, since.as_deref())).await?;
        for event in page.list("items") {
            output.data(&match output.format {
                // One a line, so that a program can read it while it grows.
                Format::Json => event.to_json(),
                Format::Name => event.text("position").unwrap_or_default().to_owned(),
                Format::Table => line(&event, output.style),
            })?;
        }
        if !args.follow {
            return Ok(());
        }
        let end = page
            .child("page")
            .and_then(|page| page.text("endPosition").map(str::to_owned));
        since = end.or(since).or_else(|| Some("0".to_owned()));
        tokio::time::sleep(PAUSE).await;
    }
}

fn query(args: &Tail, since: Option<&str>) -> String {
    let members = [
        ("type", args.event_type.as_deref()),
        ("source", args.source.as_deref()),
        ("subject", args.subject.as_deref()),
        ("outcome", args.outcome.as_deref()),
        ("direction", args.direction.as_deref()),
        ("after", since),
    ];
    let mut path = format!("/v2/kapelle/events?limit={}", args.limit);
    for (name, value) in members {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", input::encode(value)));
        }
    }
    path
}

async fn show(args: OneEvent, output: Output) -> Result<(), Failure> {
    let client = args.remote.client()?;
    let position = position(&client, &args).await?;
    let event = client
        .get(&format!("/v2/kapelle/events/{position}"))
        .await?;
    output.item(&event, &[("POSITION", "position")])
}

async fn explain(args: OneEvent, output: Output) -> Result<(), Failure> {
    let client = args.remote.client()?;
    let position = position(&client, &args).await?;
    let explanation = client
        .get(&format!("/v2/kapelle/events/{position}/explain"))
        .await?;
    output.data(&match output.format {
        Format::Json => explanation.pretty(),
        Format::Name => position,
        Format::Table => explain::text(&explanation, output.style),
    })
}

async fn trace(args: OneEvent, output: Output) -> Result<(), Failure> {
    let client = args.remote.client()?;
    let position = position(&client, &args).await?;
    let trace = client
        .get(&format!("/v2/kapelle/events/{position}/trace"))
        .await?;
    let positions = || {
        let events = trace.list("items").into_iter();
        let events = events.filter_map(|item| item.object("event"));
        events
            .map(|event| cell(&event, "position") + "\n")
            .collect::<String>()
    };
    output.data(&match output.format {
        Format::Json => trace.pretty(),
        Format::Name => positions(),
        Format::Table => trace::text(&trace, output.style),
    })
}

/// A position as it is; an id is looked up, the latest one counts.
async fn position(client: &Client, args: &OneEvent) -> Result<String, Failure> {
    if args.source.is_none() && input::key(&args.event).is_ok() {
        return Ok(args.event.clone());
    }
    let mut path = format!(
        "/v2/kapelle/events?limit=1&id={}",
        input::encode(&args.event)
    );
    if let Some(source) = &args.source {
        path.push_str(&format!("&source={}", input::encode(source)));
    }
    let found = client.get(&path).await?.list("items").pop();
    let position = found.as_ref().and_then(|event| event.text("position"));
    position.map(str::to_owned).ok_or_else(|| {
        Failure::not_found(format!("no event with id {:?} is known", args.event))
            .hint("`kapelle events tail` shows the latest; older ones leave with the retention")
    })
}
