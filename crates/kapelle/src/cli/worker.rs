//! `kapelle worker`: any program as a job worker.
//!
//! Variables as JSON on its standard input; what it prints, a JSON object or nothing, completes the job; another exit
//! code than 0 fails it, with the last line of its standard error as the message. What else there is to know about the
//! job is in its environment (`KAPELLE_JOB_KEY`, …).

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kapelle_feel::msgpack;
use tokio::task::JoinSet;

use super::args::Worker;
use super::failure::Failure;
use super::input;
use super::output::{Output, cell};
use crate::client::{Client, Document, Object};

/// Long enough to spare the server idle polls, short enough for proxies that cut silent requests.
const POLL: Duration = Duration::from_secs(20);
const MARGIN: Duration = Duration::from_secs(10);
/// A server that is away or busy is asked again after this time.
const PAUSE: Duration = Duration::from_secs(1);

struct Work {
    client: Client,
    args: Worker,
    timeout: Duration,
    backoff: Duration,
    /// Jobs that may still be taken.
    left: AtomicU64,
    output: Output,
}

pub(crate) async fn work(args: Worker, output: Output) -> Result<(), Failure> {
    let timeout = input::span(&args.timeout, "--timeout")?;
    let backoff = input::span(&args.backoff, "--backoff")?;
    let client = args.remote.client()?.within(POLL + MARGIN);
    // A wrong address or a server without this API should be said at once, not tried for ever.
    client.get("/v2/topology").await?;
    output.message(&format!(
        "working on {} at {}; Ctrl-C ends it",
        args.job_type,
        client.address()
    ));
    let left = AtomicU64::new(args.max.unwrap_or(u64::MAX));
    let work = Arc::new(Work {
        client,
        timeout,
        backoff,
        left,
        output,
        args,
    });
    let mut hands = JoinSet::new();
    for _ in 0..work.args.concurrency {
        hands.spawn(Arc::clone(&work).one_after_the_other());
    }
    while let Some(hand) = hands.join_next().await {
        hand.map_err(|error| {
            Failure::failed("KAP-2005", "the worker stopped").why(error.to_string())
        })??;
    }
    Ok(())
}

impl Work {
    async fn one_after_the_other(self: Arc<Self>) -> Result<(), Failure> {
        while self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            let job = loop {
                match self.activate().await {
                    Ok(Some(job)) => break job,
                    Ok(None) => {}
                    Err(error) if error.is_unreachable() || error.is_overload() => {
                        self.output.message(&format!("{error}; trying again"));
                        tokio::time::sleep(PAUSE).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            };
            self.handle(job).await?;
        }
        Ok(())
    }

    async fn activate(&self) -> Result<Option<Document>, crate::client::Error> {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let mut request = Object::new()
            .text("type", &self.args.job_type)
            .text("worker", &self.args.name)
            .number("timeout", millis(self.timeout))
            .number("maxJobsToActivate", 1)
            .number("requestTimeout", millis(POLL));
        if !self.args.fetch.is_empty() {
            request = request.texts("fetchVariable", self.args.fetch.iter().map(String::as_str));
        }
        Ok(self
            .client
            .post("/v2/jobs/activation", request)
            .await?
            .list("jobs")
            .into_iter()
            .next())
    }

    async fn handle(&self, job: Document) -> Result<(), Failure> {
        let key = cell(&job, "jobKey");
        let program = self.args.program.clone();
        let retries = job.number("retries").unwrap_or(1);
        let ended = tokio::task::spawn_blocking(move || run(&program, &job))
            .await
            .map_err(|error| {
                Failure::failed("KAP-2005", "the worker stopped").why(error.to_string())
            })?;
        let answer = match ended {
            Ok(variables) => {
                self.output.message(&format!("job {key} completed"));
                let request = Object::new().raw("variables", &variables.to_json());
                self.client
                    .post(&format!("/v2/jobs/{key}/completion"), request)
                    .await
            }
            Err(why) => {
                self.output.message(&format!("job {key} failed: {why}"));
                let request = Object::new()
                    .number("retries", (retries - 1).max(0))
                    .text("errorMessage", &why)
                    .number(
                        "retryBackOff",
                        i64::try_from(self.backoff.as_millis()).unwrap_or(i64::MAX),
                    );
                self.client
                    .post(&format!("/v2/jobs/{key}/failure"), request)
                    .await
            }
        };
        // The job may have been cancelled or given to another worker meanwhile; that is no reason to stop.
        if let Err(error) = answer {
            self.output.message(&format!("job {key}: {error}"));
        }
        Ok(())
    }
}

/// Runs the program on a job: its result, or why it failed.
fn run(program: &[String], job: &Document) -> Result<Document, String> {
    let (name, arguments) = program.split_first().ok_or("no program is given")?;
    let variables = job
        .child("variables")
        .map_or_else(|| "{}".to_owned(), |variables| variables.to_json());
    let mut child = Command::new(name)
        .args(arguments)
        .envs(surroundings(job))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let mut stdin = child
        .stdin
        .take()
        .ok_or("the program has no standard input")?;
    // A thread, because a program may print before it has read all; one that does not read at all is fine too.
    let writer = std::thread::spawn(move || _ = stdin.write_all(variables.as_bytes()));
    let ended = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    _ = writer.join();
    _ = std::io::stderr().write_all(&ended.stderr);
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        return Err(last.map_or_else(
            || format!("{name} ended with {}", ended.status),
            |line| line.trim().to_owned(),
        ));
    }
    let printed = ended.stdout.trim_ascii();
    let printed = if printed.is_empty() { b"{}" } else { printed };
    let result =
        Document::parse(printed).map_err(|error| format!("{name} printed no JSON: {error}"))?;
    match msgpack::kind(result.stored()) {
        Some(msgpack::Kind::Map) => Ok(result),
        _ => Err(format!("{name} printed JSON that is no object")),
    }
}

fn surroundings(job: &Document) -> Vec<(&'static str, String)> {
    vec![
        ("KAPELLE_JOB_KEY", cell(job, "jobKey")),
        ("KAPELLE_JOB_TYPE", cell(job, "type")),
        ("KAPELLE_JOB_RETRIES", cell(job, "retries")),
        ("KAPELLE_JOB_HEADERS", cell(job, "customHeaders")),
        ("KAPELLE_PROCESS_ID", cell(job, "processDefinitionId")),
        (
            "KAPELLE_PROCESS_INSTANCE_KEY",
            cell(job, "processInstanceKey"),
        ),
        ("KAPELLE_ELEMENT_ID", cell(job, "elementId")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, expected: Result<&str, &str>) {
        let job = Document::parse(br#"{"jobKey":"7","variables":{"n":1}}"#).unwrap();
        let program = ["sh", "-c", script].map(str::to_owned);
        let shown = run(&program, &job).map(|document| document.to_json());
        assert_eq!(shown.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn variables_go_in_and_the_printed_object_comes_out() {
        check("cat", Ok(r#"{"n":1}"#));
        check(
            "printf '{\"key\":\"%s\"}' $KAPELLE_JOB_KEY",
            Ok(r#"{"key":"7"}"#),
        );
    }

    #[test]
    fn a_program_that_prints_nothing_completes_with_nothing() {
        check("true", Ok("{}"));
    }

    #[test]
    fn another_exit_code_fails_with_the_last_line_of_standard_error() {
        check("echo one >&2; echo two >&2; exit 3", Err("two"));
        check("exit 3", Err("sh ended with exit status: 3"));
    }

    #[test]
    fn what_is_no_object_fails() {
        check("echo 1", Err("sh printed JSON that is no object"));
    }
}
