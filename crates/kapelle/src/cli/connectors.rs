//! `kapelle sources` and `kapelle sinks`: what connectors do, and whether they could (`docs/reference/connectors-api.md`).

use super::args::{Format, OneConnector, SinksCommand, SourcesCommand};
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output};
use crate::client::{Document, Object};

const SOURCES: Columns = &[
    ("NAME", "name"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("LAG", "lag"),
    ("A SECOND", "perSecond"),
    ("ACCEPTED", "accepted"),
    ("DUPLICATES", "duplicates"),
    ("REJECTED", "rejected"),
    ("LAST ERROR", "lastError"),
];

const SINKS: Columns = &[
    ("NAME", "name"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("A SECOND", "perSecond"),
    ("PUBLISHED", "published"),
    ("FAILED", "failed"),
    ("LAST ERROR", "lastError"),
];

pub(crate) async fn sources(command: SourcesCommand, output: Output) -> Result<(), Failure> {
    match command {
        SourcesCommand::List(args) => {
            let answer = args.remote.client()?.get("/v2/kapelle/sources").await?;
            output.items(&answer.list("items"), SOURCES)
        }
        SourcesCommand::Test(args) => test("sources", &args, output).await,
        SourcesCommand::Pause(args) => {
            steer(&args, "pause", output, |source| {
                if source.text("state") == Some("PAUSED") {
                    "is paused and takes nothing in, also after a restart".to_owned()
                } else {
                    let state = source.text("state").unwrap_or_default();
                    format!(
                        "will be paused as soon as what is on its way is done; now it is {state}"
                    )
                }
            })
            .await
        }
        SourcesCommand::Resume(args) => {
            steer(&args, "resume", output, |_| "goes on".to_owned()).await
        }
    }
}

pub(crate) async fn sinks(command: SinksCommand, output: Output) -> Result<(), Failure> {
    match command {
        SinksCommand::List(args) => {
            let answer = args.remote.client()?.get("/v2/kapelle/sinks").await?;
            output.items(&answer.list("items"), SINKS)
        }
        SinksCommand::Test(args) => test("sinks", &args, output).await,
    }
}

async fn call(what: &str, args: &OneConnector, verb: &str) -> Result<Document, Failure> {
    let path = format!("/v2/kapelle/{what}/{}/{verb}", input::encode(&args.name));
    let client = args.remote.client()?;
    Ok(client.post(&path, Object::new()).await?)
}

async fn steer(
    args: &OneConnector,
    verb: &str,
    output: Output,
    said: impl FnOnce(&Document) -> String,
) -> Result<(), Failure> {
    let source = call("sources", args, verb).await?;
    let state = source.text("state").unwrap_or_default();
    output.done(
        &args.name,
        Object::new()
            .text("name", &args.name)
            .text("state", state)
            .flag("paused", source.flag("paused").unwrap_or_default()),
        &format!("source {} {}", args.name, said(&source)),
    )
}

async fn test(what: &str, args: &OneConnector, output: Output) -> Result<(), Failure> {
    let answer = call(what, args, "test").await?;
    match output.format {
        Format::Json => output.data(&answer.pretty())?,
        Format::Name => output.data(&args.name)?,
        // Not as a table, which would cut what is wrong.
        Format::Table => {
            for check in answer.list("checks") {
                let good = check.flag("good") == Some(true);
                let word = if good {
                    output.style.good("good")
                } else {
                    output.style.error("bad ")
                };
                let text = |name: &str| check.text(name).unwrap_or_default().to_owned();
                output.data(&format!("{word}  {}: {}", text("check"), text("text")))?;
            }
        }
    }
    if answer.flag("good") == Some(true) {
        return Ok(());
    }
    let one = what.trim_end_matches('s');
    Err(
        Failure::failed("KAP-2109", format!("{one} {} cannot work now", args.name)).hint(
            "what is wrong is said above; the configuration and the other side have to agree",
        ),
    )
}
