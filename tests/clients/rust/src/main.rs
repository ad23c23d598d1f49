//! Drives Kapelle with the unmodified zeebe-rs client.
//!
//! zeebe-rs has workers only (no single activation) and no search, so job steps are decided inside one handler by the
//! instance's own variables, and what gRPC cannot tell is asked over REST.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use zeebe_rs::{ActivatedJob, Client};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn environment(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run this by `cargo xtask clients rust`"))
}

/// One HTTP/1.1 exchange; the answer's body as JSON.
fn rest(method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
    let address = environment("KAPELLE_REST")
        .trim_start_matches("http://")
        .to_owned();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = TcpStream::connect(&address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, text) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    if !head.starts_with("HTTP/1.1 2") {
        return Err(format!("{method} {path}: {answer}").into());
    }
    Ok(if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(text)?
    })
}

/// zeebe-rs asks for jobs every 15 s only, however long the server would let it wait.
async fn eventually(
    what: &str,
    probe: impl Fn() -> Result<Option<Value>, Failure>,
) -> Result<Value, Failure> {
    for _ in 0..800 {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{what}: not within 40 s").into())
}

async fn ends_as(instance: i64, state: &str) -> Result<(), Failure> {
    let found = eventually(&format!("end of {instance}"), || {
        let found = rest(
            "GET",
            &format!("/v2/process-instances/{instance}"),
            &Value::Null,
        )?;
        Ok((found["state"] != "ACTIVE").then_some(found))
    })
    .await?;
    if found["state"] == state {
        Ok(())
    } else {
        Err(format!("{found}").into())
    }
}

/// Does what the job's variables say: complete, fail for good while `broken`, or throw an error.
async fn handle(client: Client, job: ActivatedJob) {
    let variables: Value = job.data().unwrap_or_default();
    let answered = match variables["do"].as_str() {
        Some("fail") if job.retries() == 3 => {
            let fail = client.fail_job().with_job_key(job.key()).with_retries(0);
            fail.with_error_message("broken on purpose".to_owned())
                .send()
                .await
                .map(|_| ())
        }
        Some("throw") => {
            let throw = client
                .throw_error()
                .with_job_key(job.key())
                .with_error_code("REFUSED".to_owned());
            throw.send().await.map(|_| ())
        }
        _ => {
            let doubled = variables["number"].as_i64().unwrap_or_default() * 2;
            match client
                .complete_job()
                .with_job_key(job.key())
                .with_variables(json!({"doubled": doubled}))
            {
                Ok(complete) => complete.send().await.map(|_| ()),
                Err(error) => Err(error),
            }
        }
    };
    if let Err(error) = answered {
        println!("# job {}: {error}", job.key());
    }
}

async fn create(client: &Client, process: &str, variables: Value) -> Result<i64, Failure> {
    let request = client
        .create_process_instance()
        .with_bpmn_process_id(process.to_owned())
        .with_variables(variables)?;
    Ok(request.send().await?.process_instance_key())
}

async fn topology_names_one_leader(client: Client) -> Result<(), Failure> {
    let topology = client.topology().send().await?;
    if topology.cluster_size() == 1 && topology.brokers().len() == 1 {
        Ok(())
    } else {
        Err(format!("{topology:?}").into())
    }
}

async fn files_are_deployed(client: Client) -> Result<(), Failure> {
    let models = PathBuf::from(environment("KAPELLE_MODELS"));
    for file in ["client-work.bpmn", "client-risky.bpmn", "client-wait.bpmn"] {
        let deployed = client
            .deploy_resource()
            .with_resource_file(models.join(file))
            .read_resource_files()?
            .send()
            .await?;
        if deployed.deployments().len() != 1 {
            return Err(format!("{deployed:?}").into());
        }
    }
    Ok(())
}

async fn result_comes_back(client: Client) -> Result<(), Failure> {
    let request = client
        .create_process_instance()
        .with_bpmn_process_id("client-work".to_owned());
    let request = request
        .with_variables(json!({"number": 21}))?
        .with_result(None);
    let result = request.send_with_result::<Value>().await?;
    if result.data()["doubled"] == 42 {
        Ok(())
    } else {
        Err(result.data().to_string().into())
    }
}

async fn failing_leads_to_an_incident_that_can_be_resolved(client: Client) -> Result<(), Failure> {
    let instance = create(&client, "client-work", json!({"do": "fail", "number": 1})).await?;
    let incident = eventually("incident", || {
        let filter =
            json!({"filter": {"processInstanceKey": instance.to_string(), "state": "ACTIVE"}});
        let found = rest("POST", "/v2/incidents/search", &filter)?;
        Ok(found["items"].get(0).cloned())
    })
    .await?;
    let key = |name: &str| -> Result<i64, Failure> {
        Ok(incident[name].as_str().ok_or("no key")?.parse()?)
    };
    client
        .update_job_retries()
        .with_job_key(key("jobKey")?)
        .with_retries(1)
        .send()
        .await?;
    client
        .resolve_incident()
        .with_incident_key(key("incidentKey")?)
        .send()
        .await?;
    ends_as(instance, "COMPLETED").await
}

async fn thrown_error_takes_the_boundary_event(client: Client) -> Result<(), Failure> {
    let instance = create(&client, "client-risky", json!({"do": "throw"})).await?;
    ends_as(instance, "COMPLETED").await
}

async fn published_message_is_correlated(client: Client) -> Result<(), Failure> {
    let key = format!("rust-{}", std::process::id());
    let instance = create(&client, "client-wait", json!({"orderId": key})).await?;
    let publish = client
        .publish_message()
        .with_name("client-paid".to_owned())
        .with_correlation_key(key);
    publish
        .with_time_to_live(Duration::from_secs(5))
        .with_variables(json!({"amount": 7}))?
        .send()
        .await?;
    ends_as(instance, "COMPLETED").await
}

async fn variables_are_set_and_the_instance_cancelled(client: Client) -> Result<(), Failure> {
    let instance = create(&client, "client-wait", json!({"orderId": "never"})).await?;
    let set = client
        .set_variables()
        .with_element_instance_key(instance)
        .with_variable(json!({"colour": "blue"}))?;
    set.send().await?;
    client
        .cancel_process_instance()
        .with_process_instance_key(instance)
        .send()
        .await?;
    ends_as(instance, "TERMINATED").await
}

/// Runs the scenarios one after another and counts; one must not hide the next.
macro_rules! run_all {
    ($client:ident: $($scenario:ident),+ $(,)?) => {{
        let (mut passed, mut failed) = (0, 0);
        $(
            let ended = tokio::time::timeout(Duration::from_secs(60), $scenario($client.clone())).await;
            match ended.unwrap_or_else(|_| Err("60 s are over".into())) {
                Ok(()) => { passed += 1; println!("ok - zeebe-rs {}", stringify!($scenario)); }
                Err(error) => { failed += 1; println!("not ok - zeebe-rs {}: {error}", stringify!($scenario)); }
            }
        )+
        println!("{passed} passed, {failed} failed");
        failed
    }};
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let grpc = environment("KAPELLE_GRPC");
    let (host, port) = grpc.rsplit_once(':').ok_or("KAPELLE_GRPC is host:port")?;
    let client = Client::builder()
        .with_address(&format!("http://{host}"), port.parse()?)
        .build()
        .await?;
    for job_type in ["client-work", "client-risky"] {
        let worker = client.worker().with_request_timeout(Duration::from_secs(5));
        let worker = worker
            .with_job_timeout(Duration::from_secs(30))
            .with_max_jobs_to_activate(4);
        let worker = worker
            .with_concurrency_limit(4)
            .with_job_type(job_type.to_owned())
            .with_handler(handle)
            .build();
        tokio::spawn(worker.run());
    }
    let failed = run_all!(client:
        topology_names_one_leader,
        files_are_deployed,
        result_comes_back,
        failing_leads_to_an_incident_that_can_be_resolved,
        thrown_error_takes_the_boundary_event,
        published_message_is_correlated,
        variables_are_set_and_the_instance_cancelled,
    );
    std::process::exit(i32::from(failed > 0));
}
