//! `kapelle complete`, `fail` and `resolve`: what a person does in place of a worker.

use hyper::Method;

use super::args::{Complete, Fail, Resolve};
use super::failure::Failure;
use super::input;
use super::output::Output;
use crate::client::{Body, Client, Object};

const JOB_NOUNS: [&str; 2] = ["job", "jobs"];

pub(crate) async fn complete(args: Complete, output: Output) -> Result<(), Failure> {
    let variables = input::variables(args.variables.as_deref())?;
    let client = args.remote.client()?;
    for key in input::keys(args.keys, &JOB_NOUNS)? {
        let request = Object::new().raw("variables", &variables.to_json());
        client
            .post(&format!("/v2/jobs/{key}/completion"), request)
            .await?;
        let what = Object::new()
            .text("jobKey", &key)
            .text("state", "COMPLETED");
        output.done(&key, what, &format!("job {key} is completed"))?;
    }
    Ok(())
}

pub(crate) async fn fail(args: Fail, output: Output) -> Result<(), Failure> {
    let backoff = input::span(&args.backoff, "--backoff")?;
    let client = args.remote.client()?;
    for key in input::keys(args.keys, &JOB_NOUNS)? {
        let request = Object::new()
            .number("retries", i64::from(args.retries))
            .text("errorMessage", &args.message)
            .number(
                "retryBackOff",
                i64::try_from(backoff.as_millis()).unwrap_or(i64::MAX),
            );
        client
            .post(&format!("/v2/jobs/{key}/failure"), request)
            .await?;
        let what = Object::new()
            .text("jobKey", &key)
            .text("state", "FAILED")
            .number("retries", i64::from(args.retries));
        let message = match args.retries {
            0 => format!("job {key} has failed and raised an incident"),
            left => format!("job {key} has failed, {left} retries are left"),
        };
        output.done(&key, what, &message)?;
    }
    Ok(())
}

pub(crate) async fn resolve(args: Resolve, output: Output) -> Result<(), Failure> {
    let client = args.remote.client()?;
    for key in input::keys(args.keys, &["inc", "incident", "incidents"])? {
        if let Some(retries) = args.retries {
            give_retries(&client, &key, retries).await?;
        }
        client
            .post(&format!("/v2/incidents/{key}/resolution"), Object::new())
            .await?;
        let what = Object::new()
            .text("incidentKey", &key)
            .text("state", "RESOLVED");
        output.done(&key, what, &format!("incident {key} is resolved"))?;
    }
    Ok(())
}

/// A job without retries would fail again at once.
async fn give_retries(client: &Client, incident: &str, retries: i32) -> Result<(), Failure> {
    let found = client.get(&format!("/v2/incidents/{incident}")).await?;
    let job = found.text("jobKey").ok_or_else(|| {
        Failure::usage(format!(
            "incident {incident} has no job, so --retries means nothing"
        ))
        .hint("leave --retries away; set the missing variable or deploy a better model first")
    })?;
    let changes = Object::new().object(
        "changeset",
        Object::new().number("retries", i64::from(retries)),
    );
    client
        .call(
            Method::PATCH,
            &format!("/v2/jobs/{job}"),
            Some(Body::json(changes.into_text())),
        )
        .await?;
    Ok(())
}
