//! Deployments over REST: a multipart form with the files.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use kapelle_engine::command::{Command, Deploy, Resource};
use kapelle_engine::response::{Deployed, DeployedProcess, Response as Answer};

use super::Meta;
use super::body::{self, too_large};
use super::json::{self, Object, array};
use super::problem::Problem;
use crate::gateway::Gateway;
use crate::gateway::failure::Failure;

/// Room for the form's own text around the files.
const FORM_BYTES: usize = 64 * 1024;

struct Form {
    tenant: String,
    resources: Vec<Resource>,
}

fn malformed(error: &MultipartError) -> Problem {
    Problem::http(
        StatusCode::BAD_REQUEST,
        format!("The form could not be read: {}.", error.body_text()),
    )
}

async fn read_form(request: Request, bytes_max: usize) -> Result<Form, Problem> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("none").to_owned();
    if !content_type
        .to_ascii_lowercase()
        .starts_with("multipart/form-data")
    {
        let detail = format!(
            "Content-Type '{content_type}' is not supported. Supported: multipart/form-data."
        );
        return Err(Problem::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    // Read as a whole first: one limit, one answer, and what is thrown away is read to its end.
    let (head, body) = request.into_parts();
    let bytes = body::read(body, bytes_max + FORM_BYTES).await?;
    let mut request = Request::from_parts(head, Body::from(bytes));
    DefaultBodyLimit::disable().apply(&mut request);
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Problem::http(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let mut form = Form {
        tenant: String::new(),
        resources: Vec::new(),
    };
    let mut bytes = 0;
    while let Some(field) = parts
        .next_field()
        .await
        .map_err(|error| malformed(&error))?
    {
        match field.name() {
            Some("resources") => {
                let resource = read_file(field).await?;
                bytes += resource.bytes.len();
                if bytes > bytes_max {
                    return Err(too_large(bytes_max));
                }
                form.resources.push(resource);
            }
            Some("tenantId") => {
                form.tenant = field.text().await.map_err(|error| malformed(&error))?
            }
            name => {
                let name = name.unwrap_or_default();
                let detail =
                    format!("The form has a part '{name}'; known are 'resources' and 'tenantId'.");
                return Err(Problem::http(StatusCode::BAD_REQUEST, detail));
            }
        }
    }
    Ok(form)
}

async fn read_file(field: Field<'_>) -> Result<Resource, Problem> {
    let Some(name) = field
        .file_name()
        .filter(|name| !name.is_empty())
        .map(Arc::from)
    else {
        let detail = "A part 'resources' has no file name; its ending says what it is.".to_owned();
        return Err(Problem::http(StatusCode::BAD_REQUEST, detail));
    };
    let bytes = field.bytes().await.map_err(|error| malformed(&error))?;
    Ok(Resource {
        name,
        bytes: Arc::from(bytes.as_ref()),
    })
}

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Meta(meta): Meta,
    request: Request,
) -> Result<Response, Problem> {
    let form = read_form(request, gateway.message_bytes_max()).await?;
    if form.resources.is_empty() {
        return Err(Problem::invalid("No resources provided.".to_owned()));
    }
    let deploy = Deploy {
        tenant: gateway.tenant(&form.tenant)?,
        resources: form.resources,
    };
    match gateway.ask(Command::Deploy(deploy), meta).await? {
        Answer::Deployed(deployed) => Ok(json::ok(render(&deployed))),
        other => Err(Failure::unexpected(&other).into()),
    }
}

fn render(deployed: &Deployed) -> String {
    let mut answer = Object::new();
    answer
        .text("tenantId", &deployed.tenant)
        .key("deploymentKey", deployed.key.get())
        .raw(
            "deployments",
            &array(
                deployed
                    .processes
                    .iter()
                    .map(|process| render_process(process, &deployed.tenant)),
            ),
        );
    answer.end()
}

fn render_process(process: &DeployedProcess, tenant: &str) -> String {
    let mut definition = Object::new();
    definition
        .text("processDefinitionId", &process.process_id)
        .number("processDefinitionVersion", process.version.into())
        .text("resourceName", &process.resource_name)
        .text("tenantId", tenant)
        .key("processDefinitionKey", process.definition.get());
    let mut metadata = Object::new();
    metadata
        .raw("processDefinition", &definition.end())
        .null("decisionDefinition")
        .null("decisionRequirements")
        .null("form")
        .null("resource");
    metadata.end()
}
