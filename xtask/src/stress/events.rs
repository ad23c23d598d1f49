//! Traffic of its own beside `kapelle-load`: CloudEvents that start processes with timers which publish CloudEvents to a
//! webhook here, searches, and deployments.
//!
//! **Invariant**: every CloudEvent has a number, so at the end it is known of each whether its process ended, and how
//! often that was told under different ids.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::figures::{Spread, Times};
use super::http;

/// Between two batches of CloudEvents.
const TICK: Duration = Duration::from_millis(100);

/// Between two searches.
const SEARCH_EVERY: Duration = Duration::from_millis(500);

/// Between two deployments, each of which makes a new version.
const DEPLOY_EVERY: Duration = Duration::from_secs(60);

/// Of so many batches one is sent a second time.
const REPEATED: u64 = 20;

/// Of so many CloudEvents one waits long.
const PATIENT: u64 = 50;

const PROCESS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:kapelle="urn:kapelle:bpmn:1" id="soak" targetNamespace="urn:kapelle:stress">
  <bpmn:message id="m-order" name="soak-order" />
  <bpmn:message id="m-done" name="soak-done" />
  <bpmn:process id="soak-order" isExecutable="true">
    <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="start-message" messageRef="m-order" /></bpmn:startEvent>
    <bpmn:sequenceFlow id="flow-1" sourceRef="start" targetRef="timer" />
    <bpmn:intermediateCatchEvent id="timer">
      <bpmn:timerEventDefinition id="timer-definition"><bpmn:timeDuration xsi:type="bpmn:tFormalExpression">=wait</bpmn:timeDuration></bpmn:timerEventDefinition>
    </bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="flow-2" sourceRef="timer" targetRef="end" />
    <bpmn:endEvent id="end">
      <bpmn:extensionElements>
        <kapelle:publish type="soak.done" subject="=id" data="={id: id}" to="receiver" />
      </bpmn:extensionElements>
      <bpmn:messageEventDefinition id="end-message" messageRef="m-done" />
    </bpmn:endEvent>
  </bpmn:process>
</bpmn:definitions>"#;

/// A CloudEvent that was sent.
struct Order {
    sent: Instant,
    /// What its process waits for.
    wait: Duration,
    acknowledged: bool,
    /// The ids under which its end was told.
    ends: Vec<String>,
}

#[derive(Default)]
struct Books {
    orders: Vec<Order>,
    duplicates: u64,
    refused: u64,
    deployments: u64,
    posted: Times,
    late: Times,
    searched: Times,
    /// What no correct server answers.
    surprises: Vec<String>,
}

impl Books {
    fn surprise(&mut self, what: String) {
        // The first few say it all; two hours of them would fill the memory.
        if self.surprises.len() < 20 {
            self.surprises.push(what);
        }
    }

    fn told(&mut self, head: &str) {
        let (Some(id), Some(subject)) = (
            http::header(head, "ce-id"),
            http::header(head, "ce-subject"),
        ) else {
            return self.surprise(format!("a delivery without attributes: {head}"));
        };
        let order = subject
            .parse::<usize>()
            .ok()
            .and_then(|number| self.orders.get_mut(number));
        let Some(order) = order else {
            return self.surprise(format!(
                "the end of {subject} was told, which was never sent"
            ));
        };
        if order.ends.iter().any(|known| known == id) {
            return;
        }
        order.ends.push(id.to_owned());
        let late = order.sent.elapsed().saturating_sub(order.wait);
        self.late.add(late);
    }
}

/// Figures since they were asked for last.
pub(crate) struct Window {
    pub(crate) posted: Spread,
    pub(crate) late: Spread,
    pub(crate) searched: Spread,
    pub(crate) refused: u64,
}

/// What came of all of it.
pub(crate) struct Total {
    pub(crate) sent: usize,
    pub(crate) duplicates: u64,
    pub(crate) deployments: u64,
    /// Acknowledged, and no end was told.
    pub(crate) lost: usize,
    /// Told of more than one end.
    pub(crate) doubled: usize,
    pub(crate) surprises: Vec<String>,
}

/// Traffic that goes on until it is stopped.
pub(crate) struct Traffic {
    books: Arc<Mutex<Books>>,
    going: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The webhook that the server has to know before it starts, and the books that it fills.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    books: Arc<Mutex<Books>>,
}

pub(crate) fn receiver() -> anyhow::Result<Receiver> {
    let books = Arc::new(Mutex::new(Books::default()));
    let shared = Arc::clone(&books);
    let address = http::webhook(move |head| locked(&shared).told(head))?;
    Ok(Receiver { address, books })
}

fn locked(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().expect("no thread panics over its books")
}

impl Traffic {
    /// Deploys what is needed and begins: so many CloudEvents a second.
    pub(crate) fn begin(
        receiver: Receiver,
        rest: &str,
        events_per_second: f64,
    ) -> anyhow::Result<Self> {
        let answer = http::deploy(rest, "soak.bpmn", PROCESS)?;
        anyhow::ensure!(answer.status == 200, "deployed: {}", answer.body);
        let going = Arc::new(AtomicBool::new(true));
        let books = receiver.books;
        let sender = Sender {
            rest: rest.to_owned(),
            books: Arc::clone(&books),
            going: Arc::clone(&going),
        };
        let office = sender.clone();
        let per_tick = events_per_second * TICK.as_secs_f64();
        let threads = vec![
            std::thread::spawn(move || sender.send_all(per_tick)),
            std::thread::spawn(move || office.search_and_deploy()),
        ];
        Ok(Self {
            books,
            going,
            threads,
        })
    }

    /// Takes the figures since the last time.
    pub(crate) fn window(&self) -> Window {
        let mut books = locked(&self.books);
        Window {
            posted: std::mem::take(&mut books.posted).spread(),
            late: std::mem::take(&mut books.late).spread(),
            searched: std::mem::take(&mut books.searched).spread(),
            refused: std::mem::take(&mut books.refused),
        }
    }

    /// Stops and waits so long for the ends of what was sent.
    pub(crate) fn end(self, patience: Duration) -> anyhow::Result<Total> {
        self.going.store(false, Ordering::Relaxed);
        for thread in self.threads {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread of the traffic panicked"))?;
        }
        let until = Instant::now() + patience;
        let is_open = |order: &Order| order.acknowledged && order.ends.is_empty();
        while Instant::now() < until && locked(&self.books).orders.iter().any(is_open) {
            std::thread::sleep(TICK);
        }
        let mut books = locked(&self.books);
        Ok(Total {
            sent: books.orders.len(),
            duplicates: books.duplicates,
            deployments: books.deployments,
            lost: books.orders.iter().filter(|order| is_open(order)).count(),
            doubled: books
                .orders
                .iter()
                .filter(|order| order.ends.len() > 1)
                .count(),
            surprises: std::mem::take(&mut books.surprises),
        })
    }
}

#[derive(Clone)]
struct Sender {
    rest: String,
    books: Arc<Mutex<Books>>,
    going: Arc<AtomicBool>,
}

impl Sender {
    fn is_going(&self) -> bool {
        self.going.load(Ordering::Relaxed)
    }

    fn send_all(&self, per_tick: f64) {
        let begun = Instant::now();
        let (mut ticks, mut sent) = (0_u32, 0.0);
        while self.is_going() {
            ticks += 1;
            let planned = begun + TICK * ticks;
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            let count = (f64::from(ticks) * per_tick - sent).floor();
            sent += count;
            if count >= 1.0 {
                self.send(count as usize, u64::from(ticks).is_multiple_of(REPEATED));
            }
        }
    }

    /// Sends a batch until it is acknowledged, and perhaps once more.
    fn send(&self, count: usize, again: bool) {
        let (first, batch) = self.enter(count);
        let begun = Instant::now();
        let outcomes = loop {
            match self.post(&batch) {
                Ok(Some(outcomes)) => break outcomes,
                Ok(None) => {
                    locked(&self.books).refused += 1;
                    std::thread::sleep(TICK);
                }
                Err(error) => return locked(&self.books).surprise(format!("{error:#}")),
            }
        };
        {
            let mut books = locked(&self.books);
            books.posted.add(begun.elapsed());
            for (number, outcome) in (first..).zip(&outcomes) {
                books.orders[number].acknowledged = true;
                if outcome != "STARTED" {
                    books.surprise(format!("CloudEvent {number} had the outcome {outcome}"));
                }
            }
        }
        if again && let Ok(Some(outcomes)) = self.post(&batch) {
            let mut books = locked(&self.books);
            books.duplicates += outcomes.iter().filter(|o| *o == "DUPLICATE").count() as u64;
            if outcomes.iter().any(|outcome| outcome != "DUPLICATE") {
                books.surprise(format!("a repeated batch had the outcomes {outcomes:?}"));
            }
        }
    }

    /// Enters new orders; the number of the first, and all as a batch.
    fn enter(&self, count: usize) -> (usize, String) {
        let mut books = locked(&self.books);
        let first = books.orders.len();
        let events: Vec<String> = (first..first + count)
            .map(|number| {
                let seconds = match number as u64 {
                    number if number.is_multiple_of(PATIENT) => 90,
                    number => 1 + number % 5,
                };
                books.orders.push(Order {
                    sent: Instant::now(),
                    wait: Duration::from_secs(seconds),
                    acknowledged: false,
                    ends: Vec::new(),
                });
                format!(
                    r#"{{"specversion":"1.0","type":"soak-order","source":"/stress","id":"{number}","subject":"{number}","datacontenttype":"application/json","data":{{"id":"{number}","wait":"PT{seconds}S","note":"{}"}}}}"#,
                    "x".repeat(300)
                )
            })
            .collect();
        (first, format!("[{}]", events.join(",")))
    }

    /// The outcomes, or `None` if the server asks to come again.
    fn post(&self, batch: &str) -> anyhow::Result<Option<Vec<String>>> {
        let media = "application/cloudevents-batch+json";
        let answer = http::send(&self.rest, "POST", "/events", media, batch)?;
        if answer.status == 503 {
            return Ok(None);
        }
        anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        let body: serde_json::Value = serde_json::from_str(&answer.body)?;
        let results = body["results"].as_array().context("no results")?;
        let outcome =
            |result: &serde_json::Value| result["outcome"].as_str().unwrap_or_default().to_owned();
        Ok(Some(results.iter().map(outcome).collect()))
    }

    fn search_and_deploy(&self) {
        let mut deployed = Instant::now();
        while self.is_going() {
            std::thread::sleep(SEARCH_EVERY);
            if let Err(error) = self.search() {
                locked(&self.books).surprise(format!("a search failed: {error:#}"));
            }
            if deployed.elapsed() >= DEPLOY_EVERY {
                deployed = Instant::now();
                if let Err(error) = self.deploy_and_start() {
                    locked(&self.books).surprise(format!("a deployment failed: {error:#}"));
                }
            }
        }
    }

    fn search(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let filter = r#"{"filter":{"state":"ACTIVE","processDefinitionId":"soak-order"},"page":{"limit":20}}"#;
        let answer = http::post_json(&self.rest, "/v2/process-instances/search", filter)?;
        anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        locked(&self.books).searched.add(begun.elapsed());
        Ok(())
    }

    /// A new version, and one instance of it.
    fn deploy_and_start(&self) -> anyhow::Result<()> {
        let number = {
            let mut books = locked(&self.books);
            books.deployments += 1;
            books.deployments
        };
        let process = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" id="versions" targetNamespace="urn:kapelle:stress">
  <bpmn:process id="soak-version" name="the {number}th" isExecutable="true">
    <bpmn:startEvent id="start" /><bpmn:sequenceFlow id="flow" sourceRef="start" targetRef="end" /><bpmn:endEvent id="end" />
  </bpmn:process>
</bpmn:definitions>"#
        );
        let answer = http::deploy(&self.rest, "versions.bpmn", &process)?;
        anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        let body: serde_json::Value = serde_json::from_str(&answer.body)?;
        let version =
            body["deployments"][0]["processDefinition"]["processDefinitionVersion"].as_u64();
        anyhow::ensure!(
            version == Some(number),
            "not version {number}: {}",
            answer.body
        );
        let start = r#"{"processDefinitionId":"soak-version"}"#;
        let answer = http::post_json(&self.rest, "/v2/process-instances", start)?;
        anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        Ok(())
    }
}
