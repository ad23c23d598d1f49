//! Incidents over REST.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kapelle_engine::command::Command;
use kapelle_engine::ids::IncidentKey;

use super::body::JsonText;
use super::problem::Problem;
use super::{Key, Meta, no_content};
use crate::gateway::{Gateway, checks};

pub(super) async fn resolve(
    State(gateway): State<Arc<Gateway>>,
    Key(key): Key,
    Meta(meta): Meta,
    text: JsonText,
) -> Result<Response, Problem> {
    let mut request = text.object_or_empty()?;
    request.ignore("operationReference");
    request.finish()?;
    let incident = IncidentKey(checks::key(key, checks::RESOLVE_INCIDENT)?);
    gateway
        .tell(Command::ResolveIncident { incident }, meta)
        .await?;
    Ok(no_content())
}
