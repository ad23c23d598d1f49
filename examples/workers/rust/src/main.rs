//! A shop's worker with zeebe-rs: charges cards, packs boxes, re-routes trucks of the "fresh food order".

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use zeebe_rs::{ActivatedJob, Client, ClientError};

const LIMIT: f64 = 100.0;

/// What the handlers need of an order's variables.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: String,
    #[serde(default)]
    total: f64,
    #[serde(default)]
    temperature: f64,
}

async fn handle(client: Client, job: ActivatedJob) {
    let Ok(Order { order_id, total, temperature }) = job.data() else {
        return report(&job, fail(&client, &job, "these are no variables of an order").await);
    };
    let done = match job.job_type() {
        // The model has a boundary event for it: no incident, no retry.
        "charge-card" if total > LIMIT => decline(&client, &job, total).await,
        "charge-card" => {
            println!("charged {total} for {order_id}");
            complete(&client, &job, json!({"charge": format!("ch-{order_id}")})).await
        }
        "pack" => {
            println!("packed {order_id}");
            complete(&client, &job, json!({"truck": format!("T-{order_id}")})).await
        }
        _ => {
            println!("re-routed the truck of {order_id}: {temperature} degrees");
            complete(&client, &job, json!({})).await
        }
    };
    report(&job, done);
}

async fn complete(client: &Client, job: &ActivatedJob, variables: Value) -> Result<(), ClientError> {
    client.complete_job().with_job_key(job.key()).with_variables(variables)?.send().await.map(drop)
}

async fn decline(client: &Client, job: &ActivatedJob, total: f64) -> Result<(), ClientError> {
    let throw = client.throw_error().with_job_key(job.key()).with_error_code("card-declined".to_owned());
    throw.with_error_message(format!("{total} is over the limit of {LIMIT}")).send().await.map(drop)
}

async fn fail(client: &Client, job: &ActivatedJob, why: &str) -> Result<(), ClientError> {
    let fail = client.fail_job().with_job_key(job.key()).with_retries(job.retries() - 1);
    fail.with_error_message(why.to_owned()).send().await.map(drop)
}

/// A job that could not be answered comes again when its time is up.
fn report(job: &ActivatedJob, answered: Result<(), ClientError>) {
    if let Err(error) = answered {
        eprintln!("job {}: {error}", job.key());
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("ZEEBE_ADDRESS").unwrap_or_else(|_| "http://localhost:26500".to_owned());
    let (host, port) = address.rsplit_once(':').ok_or("ZEEBE_ADDRESS is http://host:port")?;
    let client = Client::builder().with_address(host, port.parse()?).build().await?;
    let mut workers = Vec::new();
    for job_type in ["charge-card", "pack", "re-route"] {
        let worker = client.worker().with_request_timeout(Duration::from_secs(10)).with_job_timeout(Duration::from_secs(30));
        let worker = worker.with_max_jobs_to_activate(16).with_concurrency_limit(16).with_job_type(job_type.to_owned());
        workers.push(tokio::spawn(worker.with_handler(handle).build().run()));
    }
    for worker in workers {
        worker.await?;
    }
    Ok(())
}
