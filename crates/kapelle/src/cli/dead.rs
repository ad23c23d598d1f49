//! `kapelle dead`: CloudEvents that a subscriber could not be given.

use super::args::{DeadCommand, SettleDead};
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output};
use crate::client::Object;

const COLUMNS: Columns = &[
    ("SUBSCRIBER", "subscriber"),
    ("POSITION", "position"),
    ("ATTEMPTS", "attempts"),
    ("DIED", "diedAt"),
    ("LAST ERROR", "lastError"),
];

pub(crate) async fn run(command: DeadCommand, output: Output) -> Result<(), Failure> {
    match command {
        DeadCommand::List(args) => {
            let path = match &args.subscriber {
                Some(name) => format!(
                    "/v2/kapelle/dead-letters?limit=1000&subscriber={}",
                    input::encode(name)
                ),
                None => "/v2/kapelle/dead-letters?limit=1000".to_owned(),
            };
            let answer = args.remote.client()?.get(&path).await?;
            output.items(&answer.list("items"), COLUMNS)
        }
        DeadCommand::Redrive(args) => settle(&args, "redrive", None, output).await,
        DeadCommand::Discard(args) => {
            settle(&args.which, "discard", Some(&args.reason), output).await
        }
    }
}

async fn settle(
    args: &SettleDead,
    verb: &str,
    reason: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let which = || {
        let positions = args.positions.iter().map(String::as_str);
        Object::new()
            .text("subscriber", &args.subscriber)
            .texts("positions", positions)
    };
    let mut request = which();
    if let Some(reason) = reason {
        request = request.text("reason", reason);
    }
    args.remote
        .client()?
        .post(&format!("/v2/kapelle/dead-letters/{verb}"), request)
        .await?;
    let (state, what) = if reason.is_some() {
        ("DISCARDED", "discarded")
    } else {
        ("REDRIVEN", "tried again")
    };
    output.done(
        &args.positions.join("\n"),
        which().text("state", state),
        &format!(
            "{} dead letters of {} are {what}",
            args.positions.len(),
            args.subscriber
        ),
    )
}
