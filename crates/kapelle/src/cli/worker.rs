//! `kapelle worker`: any program as a job worker.
//!
//! Variables as JSON on its standard input; what else there is to know about the job is in its environment
//! (`KAPELLE_JOB_KEY`, …). What it ends with and prints decides (`docs/reference/exit-codes.md`):
//!
//! | exit code | job | standard output |
//! |---|---|---|
//! | 0 | is completed | variables, a JSON object; or nothing |
//! | 100 | throws a BPMN error | `{"errorCode": …, "errorMessage": …, "variables": …}` |
//! | any other | has failed | nothing, or `{"retries": …, "retryBackOff": …, "errorMessage": …, "variables": …}` |

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
/// The exit code by which a program says that what it prints is a BPMN error. Not one of those that shells, `timeout` or
/// sysexits.h give.
const BPMN_ERROR: i32 = 100;
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
        let (said, operation, request) = match ended {
            Ended::Completed { variables } => {
                let request = Object::new().raw("variables", &variables.to_json());
                ("completed".to_owned(), "completion", request)
            }
            Ended::Error {
                code,
                message,
                variables,
            } => {
                let request = Object::new()
                    .text("errorCode", &code)
                    .text("errorMessage", &message)
                    .raw("variables", &variables.to_json());
                (format!("threw the error {code}"), "error", request)
            }
            Ended::Failed {
                why,
                retries: asked,
                backoff_ms,
                variables,
            } => {
                let backoff_ms = backoff_ms
                    .unwrap_or_else(|| i64::try_from(self.backoff.as_millis()).unwrap_or(i64::MAX));
                let request = Object::new()
                    .number("retries", asked.unwrap_or(retries - 1).max(0))
                    .text("errorMessage", &why)
                    .number("retryBackOff", backoff_ms)
                    .raw("variables", &variables.to_json());
                (format!("failed: {why}"), "failure", request)
            }
        };
        self.output.message(&format!("job {key} {said}"));
        let answer = self
            .client
            .post(&format!("/v2/jobs/{key}/{operation}"), request)
            .await;
        // The job may have been cancelled or given to another worker meanwhile; that is no reason to stop.
        if let Err(error) = answer {
            self.output.message(&format!("job {key}: {error}"));
        }
        Ok(())
    }
}

/// What a program made of a job.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Completed {
        variables: Document,
    },
    /// The model is to know it.
    Error {
        code: String,
        message: String,
        variables: Document,
    },
    Failed {
        why: String,
        /// What it said itself; else one less than before.
        retries: Option<i64>,
        backoff_ms: Option<i64>,
        variables: Document,
    },
}

impl Ended {
    fn failed(why: String) -> Self {
        Self::Failed {
            why,
            retries: None,
            backoff_ms: None,
            variables: Document::empty_object(),
        }
    }
}

/// Runs the program on a job.
fn run(program: &[String], job: &Document) -> Ended {
    let ended = match execute(program, job) {
        Ok(ended) => ended,
        Err(why) => return Ended::failed(why),
    };
    let name = program.first().map_or("", String::as_str);
    let printed = ended.stdout.trim_ascii();
    if ended.status.success() {
        let printed = if printed.is_empty() { b"{}" } else { printed };
        return match object(printed) {
            Ok(variables) => Ended::Completed { variables },
            Err(what) => Ended::failed(format!("{name} printed {what}")),
        };
    }
    if ended.status.code() == Some(BPMN_ERROR) {
        return match object(printed).and_then(bpmn_error) {
            Ok(error) => error,
            Err(what) => Ended::failed(format!(
                "{name} ended with {BPMN_ERROR}, a BPMN error, but printed {what}"
            )),
        };
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    let why = last.map_or_else(
        || format!("{name} ended with {}", ended.status),
        |line| line.trim().to_owned(),
    );
    // What it printed may be half a result; only what it says about the failure counts.
    let told = object(printed).unwrap_or_else(|_| Document::empty_object());
    Ended::Failed {
        why: told.text("errorMessage").map_or(why, str::to_owned),
        retries: told.number("retries"),
        backoff_ms: told.number("retryBackOff"),
        variables: told
            .object("variables")
            .unwrap_or_else(Document::empty_object),
    }
}

fn object(printed: &[u8]) -> Result<Document, String> {
    let document = Document::parse(printed).map_err(|error| format!("no JSON: {error}"))?;
    match msgpack::kind(document.stored()) {
        Some(msgpack::Kind::Map) => Ok(document),
        _ => Err("JSON that is no object".to_owned()),
    }
}

fn bpmn_error(told: Document) -> Result<Ended, String> {
    let code = told.text("errorCode").filter(|code| !code.is_empty());
    Ok(Ended::Error {
        code: code.ok_or("no errorCode")?.to_owned(),
        message: told.text("errorMessage").unwrap_or_default().to_owned(),
        variables: told
            .object("variables")
            .unwrap_or_else(Document::empty_object),
    })
}

fn execute(program: &[String], job: &Document) -> Result<std::process::Output, String> {
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
    Ok(ended)
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
    use expect_test::{Expect, expect};

    use super::*;

    fn check(scripts: &[&str], expected: Expect) {
        let job = Document::parse(br#"{"jobKey":"7","variables":{"n":1}}"#).unwrap();
        let mut seen = String::new();
        for script in scripts {
            let program = ["sh", "-c", script].map(str::to_owned);
            let shown = match run(&program, &job) {
                Ended::Completed { variables } => format!("completed {}", variables.to_json()),
                Ended::Error {
                    code,
                    message,
                    variables,
                } => format!("error {code} {message:?} {}", variables.to_json()),
                Ended::Failed {
                    why,
                    retries,
                    backoff_ms,
                    variables,
                } => format!(
                    "failed {why:?} retries {retries:?} backoff {backoff_ms:?} {}",
                    variables.to_json()
                ),
            };
            seen.push_str(&format!("{script}\n  {shown}\n"));
        }
        expected.assert_eq(&seen);
    }

    #[test]
    fn variables_go_in_and_the_printed_object_comes_out() {
        check(
            &["cat", "printf '{\"key\":\"%s\"}' $KAPELLE_JOB_KEY", "true"],
            expect![[r#"
                cat
                  completed {"n":1}
                printf '{"key":"%s"}' $KAPELLE_JOB_KEY
                  completed {"key":"7"}
                true
                  completed {}
            "#]],
        );
    }

    #[test]
    fn another_exit_code_fails_as_the_program_says() {
        check(
            &[
                "echo one >&2; echo two >&2; exit 3",
                "exit 3",
                "kill -9 $$",
                r#"echo '{"retries": 5, "retryBackOff": 60000, "variables": {"tried": true}}'; echo busy >&2; exit 1"#,
                r#"echo '{"retries": "many", "errorMessage": "no paper"}'; exit 1"#,
                r#"echo '{"half": "a resu'; exit 1"#,
                "echo 1",
                "echo {",
            ],
            expect![[r#"
                echo one >&2; echo two >&2; exit 3
                  failed "two" retries None backoff None {}
                exit 3
                  failed "sh ended with exit status: 3" retries None backoff None {}
                kill -9 $$
                  failed "sh ended with signal: 9 (SIGKILL)" retries None backoff None {}
                echo '{"retries": 5, "retryBackOff": 60000, "variables": {"tried": true}}'; echo busy >&2; exit 1
                  failed "busy" retries Some(5) backoff Some(60000) {"tried":true}
                echo '{"retries": "many", "errorMessage": "no paper"}'; exit 1
                  failed "no paper" retries None backoff None {}
                echo '{"half": "a resu'; exit 1
                  failed "sh ended with exit status: 1" retries None backoff None {}
                echo 1
                  failed "sh printed JSON that is no object" retries None backoff None {}
                echo {
                  failed "sh printed no JSON: expected a name in quotes at line 1 column 2" retries None backoff None {}
            "#]],
        );
    }

    #[test]
    fn one_exit_code_throws_the_printed_error() {
        check(
            &[
                r#"echo '{"errorCode": "DECLINED", "errorMessage": "card expired", "variables": {"card": "4711"}}'; exit 100"#,
                r#"echo '{"errorCode": "DECLINED"}'; exit 100"#,
                r#"echo '{"errorMessage": "card expired"}'; exit 100"#,
                "exit 100",
            ],
            expect![[r#"
                echo '{"errorCode": "DECLINED", "errorMessage": "card expired", "variables": {"card": "4711"}}'; exit 100
                  error DECLINED "card expired" {"card":"4711"}
                echo '{"errorCode": "DECLINED"}'; exit 100
                  error DECLINED "" {}
                echo '{"errorMessage": "card expired"}'; exit 100
                  failed "sh ended with 100, a BPMN error, but printed no errorCode" retries None backoff None {}
                exit 100
                  failed "sh ended with 100, a BPMN error, but printed no JSON: expected a value, found the end at line 1 column 1" retries None backoff None {}
            "#]],
        );
    }
}
