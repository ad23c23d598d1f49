//! `kapelle list` and `kapelle get`: searches of the REST API, laid out.

use super::args::{Get, Kind, List};
use super::failure::Failure;
use super::input;
use super::output::{Columns, Output};
use crate::client::{Client, Document, Object};

/// What the API calls a kind, and what of it fits on a line.
struct Resource {
    path: &'static str,
    key: &'static str,
    /// Newest first, except where order has a meaning of its own.
    sort: (&'static str, &'static str),
    columns: Columns,
    /// Whether there is `GET path/key`; else a search for the key stands in.
    has_get: bool,
}

const fn resource(kind: Kind) -> Resource {
    match kind {
        Kind::ProcessInstances => Resource {
            path: "/v2/process-instances",
            key: "processInstanceKey",
            sort: ("processInstanceKey", "DESC"),
            columns: &[
                ("KEY", "processInstanceKey"),
                ("PROCESS", "processDefinitionId"),
                ("VERSION", "processDefinitionVersion"),
                ("STATE", "state"),
                ("INCIDENT", "hasIncident"),
                ("STARTED", "startDate"),
                ("ENDED", "endDate"),
            ],
            has_get: true,
        },
        Kind::ProcessDefinitions => Resource {
            path: "/v2/process-definitions",
            key: "processDefinitionKey",
            sort: ("processDefinitionId", "ASC"),
            columns: &[
                ("KEY", "processDefinitionKey"),
                ("PROCESS", "processDefinitionId"),
                ("VERSION", "version"),
                ("NAME", "name"),
                ("RESOURCE", "resourceName"),
            ],
            has_get: true,
        },
        Kind::Jobs => Resource {
            path: "/v2/jobs",
            key: "jobKey",
            sort: ("jobKey", "DESC"),
            columns: &[
                ("KEY", "jobKey"),
                ("TYPE", "type"),
                ("STATE", "state"),
                ("RETRIES", "retries"),
                ("WORKER", "worker"),
                ("ELEMENT", "elementId"),
                ("INSTANCE", "processInstanceKey"),
                ("ERROR", "errorMessage"),
            ],
            has_get: false,
        },
        Kind::Incidents => Resource {
            path: "/v2/incidents",
            key: "incidentKey",
            sort: ("incidentKey", "DESC"),
            columns: &[
                ("KEY", "incidentKey"),
                ("TYPE", "errorType"),
                ("STATE", "state"),
                ("ELEMENT", "elementId"),
                ("INSTANCE", "processInstanceKey"),
                ("CREATED", "creationTime"),
                ("MESSAGE", "errorMessage"),
            ],
            has_get: true,
        },
        Kind::Variables => Resource {
            path: "/v2/variables",
            key: "variableKey",
            sort: ("name", "ASC"),
            columns: &[
                ("KEY", "variableKey"),
                ("NAME", "name"),
                ("SCOPE", "scopeKey"),
                ("INSTANCE", "processInstanceKey"),
                ("VALUE", "value"),
            ],
            has_get: true,
        },
        Kind::Elements => Resource {
            path: "/v2/element-instances",
            key: "elementInstanceKey",
            sort: ("elementInstanceKey", "ASC"),
            columns: &[
                ("KEY", "elementInstanceKey"),
                ("ELEMENT", "elementId"),
                ("TYPE", "type"),
                ("STATE", "state"),
                ("INCIDENT", "hasIncident"),
                ("STARTED", "startDate"),
                ("ENDED", "endDate"),
            ],
            has_get: true,
        },
    }
}

pub(crate) async fn list(args: List, output: Output) -> Result<(), Failure> {
    let filter = filter(&args)?;
    let found = search(&args.remote.client()?, args.kind, filter, args.limit).await?;
    let items = found.list("items");
    output.items(&items, resource(args.kind).columns)?;
    let total = found
        .child("page")
        .and_then(|page| page.number("totalItems"))
        .unwrap_or_default();
    if usize::try_from(total).is_ok_and(|total| total > items.len()) {
        output.message(&format!(
            "{} of {total} shown; --limit shows more",
            items.len()
        ));
    }
    Ok(())
}

pub(crate) async fn get(args: Get, output: Output) -> Result<(), Failure> {
    input::key(&args.key)?;
    let client = args.remote.client()?;
    let Resource {
        path,
        key,
        columns,
        has_get,
        ..
    } = resource(args.kind);
    let item = if has_get {
        client.get(&format!("{path}/{}", args.key)).await?
    } else {
        let found = search(&client, args.kind, Object::new().text(key, &args.key), 1).await?;
        let item = found.list("items").into_iter().next();
        item.ok_or_else(|| {
            Failure::not_found(format!(
                "there is no resource of that kind with key {}",
                args.key
            ))
        })?
    };
    output.item(&item, columns)
}

/// One page of a search.
pub(crate) async fn search(
    client: &Client,
    kind: Kind,
    filter: Object,
    limit: u32,
) -> Result<Document, crate::client::Error> {
    let Resource {
        path,
        sort: (field, order),
        ..
    } = resource(kind);
    let sort = Object::new()
        .text("field", field)
        .text("order", order)
        .into_text();
    let query = Object::new()
        .object("filter", filter)
        .raw("sort", &format!("[{sort}]"))
        .object("page", Object::new().number("limit", i64::from(limit)));
    client.post(&format!("{path}/search"), query).await
}

fn filter(args: &List) -> Result<Object, Failure> {
    let mut filter = Object::new();
    if let Some(process) = &args.process {
        match args.kind {
            Kind::Variables => {
                return Err(Failure::usage(
                    "variables cannot be listed by process; use --instance",
                ));
            }
            _ => filter = filter.text("processDefinitionId", process),
        }
    }
    if let Some(key) = &args.instance {
        input::key(key)?;
        match args.kind {
            Kind::ProcessDefinitions => {
                return Err(Failure::usage("process definitions have no --instance"));
            }
            _ => filter = filter.text("processInstanceKey", key),
        }
    }
    if let Some(state) = &args.state {
        match args.kind {
            Kind::Variables | Kind::ProcessDefinitions => {
                return Err(Failure::usage("they have no --state"));
            }
            _ => filter = filter.text("state", &state.to_ascii_uppercase()),
        }
    }
    if let Some(job_type) = &args.job_type {
        match args.kind {
            Kind::Jobs | Kind::Elements => filter = filter.text("type", job_type),
            _ => return Err(Failure::usage("only jobs and elements have a --type")),
        }
    }
    for member in &args.filters {
        let (name, value) = member.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--filter {member:?} has no ="))
                .hint("write --filter elementId=pack")
        })?;
        filter = match value {
            "true" | "false" => filter.raw(name, value),
            _ if NUMBERS.contains(&name) && value.parse::<i64>().is_ok() => filter.raw(name, value),
            _ => filter.text(name, value),
        };
    }
    Ok(filter)
}

/// Members of filters that are numbers; keys are not, they are text of digits.
const NUMBERS: [&str; 4] = ["version", "processDefinitionVersion", "retries", "priority"];
