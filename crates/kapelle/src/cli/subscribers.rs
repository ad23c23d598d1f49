//! `kapelle subscribers`: who gets which CloudEvents (`docs/reference/subscribers-api.md`).

use hyper::Method;

use super::args::{PutSubscriber, SubscribersCommand, TryFilter};
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output};
use crate::cli::args::Format;
use crate::client::{Body, Client, Document, Object};

const COLUMNS: Columns = &[
    ("NAME", "name"),
    ("PAUSED", "paused"),
    ("POSITION", "position"),
    ("WAITING", "waiting"),
    ("DEAD", "dead"),
    ("MATCHED", "matched"),
    ("FILTERED", "filtered"),
    ("DELIVERED", "delivered"),
    ("FAILED", "failed"),
    ("LAST ERROR", "lastError"),
];

pub(crate) async fn run(command: SubscribersCommand, output: Output) -> Result<(), Failure> {
    match command {
        SubscribersCommand::List(args) => {
            let answer = args.remote.client()?.get("/v2/kapelle/subscribers").await?;
            output.items(&answer.list("items"), COLUMNS)
        }
        SubscribersCommand::Show(args) => {
            let found = args.remote.client()?.get(&path(&args.name)).await?;
            match output.format {
                Format::Table => output.data(&found.pretty()),
                Format::Json | Format::Name => output.item(&found, COLUMNS),
            }
        }
        SubscribersCommand::Put(args) => put(args, output).await,
        SubscribersCommand::Delete(args) => {
            args.remote
                .client()?
                .call(Method::DELETE, &path(&args.name), None)
                .await?;
            done(&args.name, "DELETED", "is deleted", output)
        }
        SubscribersCommand::Pause(args) => {
            set_paused(&args.remote.client()?, &args.name, true, output).await
        }
        SubscribersCommand::Resume(args) => {
            set_paused(&args.remote.client()?, &args.name, false, output).await
        }
        SubscribersCommand::Try(args) => try_filter(args, output).await,
    }
}

fn path(name: &str) -> String {
    format!("/v2/kapelle/subscribers/{}", input::encode(name))
}

async fn put(args: PutSubscriber, output: Output) -> Result<(), Failure> {
    let text = String::from_utf8(input::read(&args.file)?)
        .map_err(|_| Failure::usage(format!("{} is not UTF-8", args.file.display())))?;
    args.remote
        .client()?
        .call(Method::PUT, &path(&args.name), Some(Body::json(text)))
        .await?;
    done(&args.name, "IN_PLACE", "is in place", output)
}

fn done(name: &str, state: &str, what: &str, output: Output) -> Result<(), Failure> {
    output.done(
        name,
        Object::new().text("name", name).text("state", state),
        &format!("subscriber {name} {what}"),
    )
}

/// Its own document again, with one member changed.
async fn set_paused(
    client: &Client,
    name: &str,
    paused: bool,
    output: Output,
) -> Result<(), Failure> {
    let found = client.get(&path(name)).await?;
    let document = found.child("subscriber").unwrap_or_else(Document::null);
    let mut changed = Object::new();
    for (member, value) in document.members() {
        if member != "paused" {
            changed = changed.raw(member, &kapelle_feel::json::from_msgpack(value));
        }
    }
    let changed = changed.flag("paused", paused).into_text();
    client
        .call(Method::PUT, &path(name), Some(Body::json(changed)))
        .await?;
    if paused {
        done(name, "PAUSED", "is paused", output)
    } else {
        done(name, "RESUMED", "is resumed", output)
    }
}

async fn try_filter(args: TryFilter, output: Output) -> Result<(), Failure> {
    let mut request = Object::new().number("last", args.last.into());
    if let Some(filter) = &args.filter {
        request = request.raw("filter", &input::json(filter, "--filter")?.to_json());
    }
    let answer = args
        .remote
        .client()?
        .post(&format!("{}/try", path(&args.name)), request)
        .await?;
    if output.format != Format::Table {
        return output.data(&answer.to_json());
    }
    for item in answer.list("items") {
        let text = |member: &str| item.text(member).unwrap_or_default().to_owned();
        output.data(&format!(
            "{} {} {}",
            text("position"),
            text("type"),
            text("id")
        ))?;
        output.data(text("explanation").trim_end())?;
    }
    let number = |member: &str| answer.number(member).unwrap_or_default();
    output.message(&format!(
        "{} of {} would pass",
        number("matched"),
        number("looked")
    ));
    Ok(())
}
