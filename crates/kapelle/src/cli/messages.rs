//! `kapelle publish`.

use super::args::Publish;
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output};
use crate::client::Object;

const COLUMNS: Columns = &[("MESSAGE", "messageKey"), ("TENANT", "tenantId")];

pub(crate) async fn publish(args: Publish, output: Output) -> Result<(), Failure> {
    let variables = input::variables(args.variables.as_deref())?;
    let time_to_live = input::span(&args.ttl, "--ttl")?;
    let mut request = Object::new()
        .text("name", &args.name)
        .text("correlationKey", &args.key)
        .number(
            "timeToLive",
            i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX),
        )
        .raw("variables", &variables.to_json());
    if let Some(id) = &args.id {
        request = request.text("messageId", id);
    }
    let published = args
        .remote
        .client()?
        .post("/v2/messages/publication", request)
        .await?;
    output.items(&[published], COLUMNS)
}
