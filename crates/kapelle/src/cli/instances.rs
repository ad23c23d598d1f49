//! `kapelle run` and `kapelle cancel`.

use std::time::Duration;

use super::args::{Format, Keys, Run};
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output};
use crate::client::Object;

const COLUMNS: Columns = &[
    ("INSTANCE", "processInstanceKey"),
    ("PROCESS", "processDefinitionId"),
    ("VERSION", "processDefinitionVersion"),
    ("DEFINITION", "processDefinitionKey"),
];

/// So that the server's answer "timed out" comes before we give up ourselves.
const MARGIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Run, output: Output) -> Result<(), Failure> {
    let variables = input::variables(args.variables.as_deref())?;
    let timeout = input::span(&args.timeout, "--timeout")?;
    let mut request = if input::key(&args.process).is_ok() {
        Object::new().text("processDefinitionKey", &args.process)
    } else {
        Object::new().text("processDefinitionId", &args.process)
    };
    if let Some(version) = args.version {
        request = request.number("processDefinitionVersion", version);
    }
    request = request.raw("variables", &variables.to_json());
    if args.wait {
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        request = request
            .flag("awaitCompletion", true)
            .number("requestTimeout", millis);
    }
    let client = args.remote.client()?;
    let client = if args.wait {
        client.within(timeout + MARGIN)
    } else {
        client
    };
    let created = client.post("/v2/process-instances", request).await?;
    match output.format {
        Format::Table if args.wait => {
            let key = created.text("processInstanceKey").unwrap_or_default();
            output.message(&format!("instance {key} has completed"));
            output.data(&created.child("variables").unwrap_or(created).pretty())
        }
        Format::Table => output.items(&[created], COLUMNS),
        Format::Json | Format::Name => output.item(&created, COLUMNS),
    }
}

pub(crate) async fn cancel(args: Keys, output: Output) -> Result<(), Failure> {
    let client = args.remote.client()?;
    for key in input::keys(
        args.keys,
        &["pi", "process-instance", "process-instances", "instance"],
    )? {
        client
            .post(
                &format!("/v2/process-instances/{key}/cancellation"),
                Object::new(),
            )
            .await?;
        let what = Object::new()
            .text("processInstanceKey", &key)
            .text("state", "TERMINATED");
        output.done(&key, what, &format!("instance {key} is cancelled"))?;
    }
    Ok(())
}
