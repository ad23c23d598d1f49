//! The small world a scenario plays in: an engine with its state, a replica that only sees events, a clock, a script.
//!
//! A script is lines of commands. Values are JSON, everything else is words:
//!
//! | line | does |
//! |---|---|
//! | `create [x=1 …]` | starts the process |
//! | `complete TYPE [x=1 …]` · `fail TYPE RETRIES [backoff MS] [x=1 …]` · `throw TYPE CODE [x=1 …]` | answers the oldest job of that type |
//! | `activate TYPE [MAX]` · `retries TYPE N` · `timeout TYPE MS` · `yield TYPE` | jobs |
//! | `stream TYPE N` | a worker's stream has room for that many more jobs |
//! | `publish NAME KEY [ttl MS] [id ID] [x=1 …]` · `correlate NAME KEY [x=1 …]` | messages; `-` is no key |
//! | `event ID TYPE [subject S] [expires MS] [x=1 …]` | a CloudEvent comes in |
//! | `wait MS` | time passes, and what is due is done |
//! | `cancel` · `resolve` · `set ELEMENT x=1 …` · `setlocal ELEMENT x=1 …` · `setkey KEY x=1 …` | the newest instance, the oldest incident |
//! | `deploy TEXT` | another version, in notation |
//! | `subscriber NAME JSON` · `unsubscribe NAME` | who wants CloudEvents |
//! | `redrive NAME POSITION` · `discard …` | what becomes of a dead letter |
//! | `ack` · `defer ATTEMPTS` · `bury` | how the oldest CloudEvent in the outbox fares |
//! | `leader N` | another incarnation leads |
//! | `quarantine` · `interrupt` · `interrupt due` | deciding failed: on the newest instance, on the oldest left-over, on what is due first |
//! | `put off N` · `take` | so many left-overs wait while other commands come in between; the oldest is decided |

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use expect_test::Expect;
use kapelle_engine::command::*;
use kapelle_engine::document::Document;
use kapelle_engine::effect::{Effect, JobStreams, StreamId, StreamTarget};
use kapelle_engine::encode;
use kapelle_engine::event::Event;
use kapelle_engine::ids::*;
use kapelle_engine::keep::Keep;
use kapelle_engine::memory::Memory;
use kapelle_engine::rejection::Rejection;
use kapelle_engine::response::{EventResult, Response};
use kapelle_engine::trace::Trace;
use kapelle_engine::{Decision, Engine, Settings};
use kapelle_events::{CloudEvent, Timestamp as EventTime};
use kapelle_feel::{json, msgpack};
use kapelle_model::notation;

/// Noon of some day, so that times in traces are easy to read.
pub(crate) const NOON: i64 = 1_000_000;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) state: Memory,
    replica_engine: Engine,
    pub(crate) replica: Memory,
    pub(crate) now: i64,
    pub(crate) sequence: u64,
    trace: Trace,
    pub(crate) streams: Streams,
    pub(crate) log: String,
    /// Lines of these kinds are left out of the log.
    hidden: &'static [&'static str],
    /// Jobs that live, and their types.
    pub(crate) jobs: BTreeMap<JobKey, Arc<str>>,
    pub(crate) instances: Vec<ProcessInstanceKey>,
    pub(crate) incidents: Vec<IncidentKey>,
    pub(crate) resting: BTreeMap<ElementInstanceKey, (ProcessInstanceKey, u32)>,
    pub(crate) outbox: Vec<OutboxKey>,
    element_ids: BTreeMap<u32, String>,
    /// All that was decided, for those who ask for it.
    pub(crate) history: Vec<(Event, Sequence, Timestamp)>,
    pub(crate) keeps_history: bool,
    pub(crate) leftovers: VecDeque<Command>,
    /// So many may wait while other commands come in between.
    pub(crate) leftovers_put_off: usize,
}

/// Streams with room, by job type.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) room: BTreeMap<String, u32>,
    pub(crate) given_back: u32,
}

impl JobStreams for Streams {
    fn take(&mut self, _tenant: &str, job_type: &str) -> Option<StreamTarget> {
        let room = self.room.get_mut(job_type).filter(|room| **room > 0)?;
        *room -= 1;
        Some(StreamTarget {
            stream: StreamId(7),
            worker: Arc::from("streamer"),
            timeout_ms: 5_000,
            fetch_variables: Arc::from([]),
        })
    }

    fn give_back(&mut self, _stream: StreamId) {
        self.given_back += 1;
    }
}

const USUALLY_HIDDEN: &[&str] = &[
    " activating",
    " activated",
    " completing",
    "flow ",
    "resource stored",
    "process deployed",
    "deployment created",
    "process process starts",
    "event_becomes",
];

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut world = Self {
            engine: Engine::new(settings.clone()),
            state: Memory::new(),
            replica_engine: Engine::new(settings),
            replica: Memory::new(),
            now: NOON,
            sequence: 0,
            trace: Trace::new(),
            streams: Streams::default(),
            log: String::new(),
            hidden: USUALLY_HIDDEN,
            jobs: BTreeMap::new(),
            instances: Vec::new(),
            incidents: Vec::new(),
            resting: BTreeMap::new(),
            outbox: Vec::new(),
            element_ids: BTreeMap::new(),
            history: Vec::new(),
            keeps_history: false,
            leftovers: VecDeque::new(),
            leftovers_put_off: 0,
        };
        world
            .submit(Command::AnnounceLeader {
                epoch: 1,
                incarnation: 1,
            })
            .unwrap();
        world.log.clear();
        world
    }

    pub(crate) fn with_process(process: &str) -> Self {
        let mut world = Self::new(Settings::default());
        world.deploy(process);
        world.log.clear();
        world
    }

    pub(crate) fn deploy(&mut self, process: &str) {
        self.deploy_file("process.bpmn", notation::xml(process))
            .unwrap();
        let compiled = notation::process(process);
        self.element_ids = compiled
            .indexes()
            .map(|index| (index.0, compiled.element(index).id.to_string()))
            .collect();
    }

    pub(crate) fn deploy_file(&mut self, name: &str, xml: String) -> Result<Response, Rejection> {
        let resource = Resource {
            name: name.into(),
            bytes: xml.into_bytes().into(),
        };
        self.submit(Command::Deploy(Deploy {
            tenant: DEFAULT_TENANT.into(),
            resources: vec![resource],
        }))
    }

    /// Decides a command and what was left over, as far as that is not put off; logs and replays.
    pub(crate) fn submit(&mut self, command: Command) -> Result<Response, Rejection> {
        let answer = self.decide(command);
        self.drain_leftovers();
        self.assert_replica_is_equal();
        answer
    }

    fn drain_leftovers(&mut self) {
        while self.leftovers.len() > self.leftovers_put_off {
            let command = self.leftovers.pop_front().unwrap();
            self.decide(command).unwrap();
            assert!(self.sequence < 500_000, "a command never ends");
        }
    }

    fn decide(&mut self, command: Command) -> Result<Response, Rejection> {
        let meta = CommandMeta {
            now: Timestamp(self.now),
            traceparent: None,
        };
        let first = Sequence(self.sequence + 2);
        let Decision {
            answer,
            events,
            effects,
            leftover,
        } = self
            .engine
            .process(&mut self.state, command, &meta, first, &mut self.streams);
        self.sequence += 1;
        for event in &events {
            self.sequence += 1;
            self.follow(event);
        }
        for effect in &effects {
            self.log_effect(effect);
        }
        for command in leftover {
            let mut bytes = Vec::new();
            encode::encode_command(&command, &mut bytes);
            assert_eq!(encode::decode_command(&bytes).unwrap(), command);
            self.leftovers.push_back(command);
        }
        answer
    }

    fn follow(&mut self, event: &Event) {
        let mut bytes = Vec::new();
        encode::encode_event(event, &mut bytes);
        let decoded = encode::decode_event(&bytes).unwrap();
        assert_eq!(decoded, *event);
        let (sequence, at) = (Sequence(self.sequence), Timestamp(self.now));
        self.replica_engine
            .replay(&mut self.replica, &decoded, sequence, at, decoded.targets());
        let line = self.trace.line(event);
        if !self.hidden.iter().any(|hidden| line.contains(hidden)) {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        self.notice(event);
        if self.keeps_history {
            self.history.push((decoded, sequence, at));
        }
    }

    fn notice(&mut self, event: &Event) {
        match event {
            Event::JobCreated(created) => {
                self.jobs
                    .insert(created.job.job, created.job.job_type.clone());
            }
            Event::JobCompleted { job, .. }
            | Event::JobCanceled { job, .. }
            | Event::JobErrorThrown {
                job, caught: true, ..
            } => {
                self.jobs.remove(&job.job);
            }
            Event::InstanceCreated(created) => self.instances.push(created.instance),
            Event::InstanceEnded(ended) => self
                .instances
                .retain(|instance| *instance != ended.instance),
            Event::IncidentRaised(raised) => self.incidents.push(raised.incident),
            Event::IncidentResolved { incident, .. } => {
                self.incidents.retain(|open| open != incident)
            }
            Event::ElementActivated {
                instance,
                key,
                element,
                ..
            } => {
                self.resting.insert(*key, (*instance, element.0));
            }
            Event::ElementCompleted { key, .. } | Event::ElementTerminated { key, .. } => {
                self.resting.remove(key);
            }
            Event::OutboxAdded(added) => self.outbox.push(added.entry),
            Event::OutboxAcked { entry } | Event::OutboxBuried { entry, .. } => {
                self.outbox.retain(|open| open != entry)
            }
            _ => {}
        }
    }

    fn log_effect(&mut self, effect: &Effect) {
        let line = match effect {
            Effect::PushJob { job, .. } => format!(
                "=> push {} {}\n",
                job.job_type,
                json::from_msgpack(&job.variables.0)
            ),
            Effect::InstanceResult(result) => {
                format!("=> result {}\n", json::from_msgpack(&result.variables.0))
            }
            Effect::InstanceEndedEarly { .. } => "=> ended early\n".to_owned(),
            Effect::JobsAvailable { .. } | Effect::OutboxReady { .. } => return,
        };
        self.log.push_str(&line);
    }

    pub(crate) fn assert_replica_is_equal(&self) {
        let difference = difference(&self.state, &self.replica);
        assert_eq!(difference, None, "\nafter:\n{}", self.log);
    }

    /// Time passes; what is due meanwhile is done in its order.
    pub(crate) fn wait(&mut self, ms: i64) {
        let until = self.now + ms;
        for _ in 0..10_000 {
            let next = self
                .engine
                .next_due(&self.state)
                .map_or(until, |at| at.0.clamp(self.now, until));
            self.now = next;
            let due = self.engine.due(&self.state, Timestamp(self.now), 10);
            if due.is_empty() && self.now == until {
                return;
            }
            for command in due {
                // What was due may be gone by the time its turn comes.
                let _ = self.submit(command);
            }
        }
        panic!("something is due without end");
    }

    pub(crate) fn run(&mut self, script: &str) {
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            self.log.push_str(&format!("> {line}\n"));
            self.step(line);
        }
    }

    // A dispatch table: one arm per verb of the script.
    pub(crate) fn step(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        if verb == "deploy" {
            return self.deploy(rest);
        }
        let words = split(rest);
        let values = variables(&words);
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| !is_value(word))
            .collect();
        let word = |at: usize| {
            words
                .get(at)
                .copied()
                .unwrap_or_else(|| panic!("{line}: word {at} is missing"))
        };
        let number = |at: usize| {
            word(at)
                .parse::<i64>()
                .unwrap_or_else(|_| panic!("{line}: word {at} is no number"))
        };
        let option = |name: &str| {
            words
                .iter()
                .position(|word| *word == name)
                .and_then(|at| words.get(at + 1))
                .copied()
        };
        let command = match verb {
            "create" => Command::CreateInstance(CreateInstance {
                tenant: DEFAULT_TENANT.into(),
                process: ProcessSelector::Latest {
                    process_id: option("process").unwrap_or("process").into(),
                },
                variables: values,
                await_result: words.contains(&"await").then(Vec::new),
                tags: Vec::new(),
                business_id: None,
                idempotency_key: option("request").map(Arc::from),
            }),
            "cancel" => Command::CancelInstance {
                instance: *self.instances.last().unwrap_or(&ProcessInstanceKey(1)),
            },
            "complete" => Command::CompleteJob {
                job: self.job(word(0)),
                variables: values,
            },
            "fail" => Command::FailJob(FailJob {
                job: self.job(word(0)),
                retries: number(1) as i32,
                message: "it failed".into(),
                backoff_ms: option("backoff").map_or(0, |ms| ms.parse().unwrap()),
                variables: values,
            }),
            "throw" => Command::ThrowJobError(ThrowJobError {
                job: self.job(word(0)),
                code: word(1).into(),
                message: "it threw".into(),
                variables: values,
            }),
            "activate" => Command::ActivateJobs(ActivateJobs {
                tenants: vec![DEFAULT_TENANT.into()],
                job_type: word(0).into(),
                worker: "worker".into(),
                timeout_ms: 1_000,
                max_jobs: words.get(1).map_or(1, |max| max.parse().unwrap()),
                fetch_variables: Vec::new(),
            }),
            "retries" => Command::UpdateJob {
                job: self.job(word(0)),
                retries: Some(number(1) as i32),
                timeout_ms: None,
            },
            "timeout" => Command::UpdateJob {
                job: self.job(word(0)),
                retries: None,
                timeout_ms: Some(number(1)),
            },
            "yield" => Command::YieldJob {
                job: self.job(word(0)),
            },
            "publish" => Command::PublishMessage(PublishMessage {
                tenant: DEFAULT_TENANT.into(),
                name: key(word(0)),
                correlation_key: key(word(1)),
                message_id: option("id").unwrap_or("").into(),
                ttl_ms: option("ttl").map_or(0, |ms| ms.parse().unwrap()),
                variables: values,
            }),
            "correlate" => Command::CorrelateMessage(CorrelateMessage {
                tenant: DEFAULT_TENANT.into(),
                name: word(0).into(),
                correlation_key: key(word(1)),
                variables: values,
            }),
            "event" => self.ingest(
                word(0),
                word(1),
                option("subject"),
                option("expires"),
                &values,
            ),
            "resolve" => Command::ResolveIncident {
                incident: self.incidents.first().copied().unwrap_or(IncidentKey(1)),
            },
            "set" | "setlocal" => Command::SetVariables(SetVariables {
                scope: self.scope(word(0)),
                variables: values,
                local: verb == "setlocal",
            }),
            "setkey" => {
                let (scope, local) = (ElementInstanceKey(number(0) as u64), true);
                let answer = self.submit(Command::SetVariables(SetVariables {
                    scope,
                    variables: values,
                    local,
                }));
                assert!(
                    answer.is_ok(),
                    "{scope} is alive, but {answer:?} after\n{}",
                    self.log
                );
                return;
            }
            "leader" => Command::AnnounceLeader {
                epoch: number(0) as u64,
                incarnation: number(0) as u64,
            },
            "quarantine" => Command::SetAside(SetAside {
                reason: "test".into(),
                reached: self.instances.last().copied(),
                interrupted: None,
            }),
            "interrupt" => match self.interrupted(words.first() == Some(&"due")) {
                Some(interrupted) => Command::SetAside(SetAside {
                    reason: "test".into(),
                    reached: None,
                    interrupted: Some(interrupted),
                }),
                None => return,
            },
            "put" => {
                self.leftovers_put_off = number(1) as usize;
                return self.drain_leftovers();
            }
            "take" => {
                let command = self.leftovers.pop_front().unwrap();
                self.decide(command).unwrap();
                return;
            }
            "ack" => Command::AckOutbox {
                entry: self.outbox.first().copied().unwrap_or(OutboxKey(1)),
            },
            "defer" => Command::DeferOutbox {
                entry: *self.outbox.first().unwrap(),
                attempts: number(0) as u32,
                delay_ms: 500,
                error: "unreachable".into(),
            },
            "bury" => Command::BuryOutbox {
                entry: *self.outbox.first().unwrap(),
                attempts: 3,
                error: "unreachable".into(),
            },
            "subscriber" => Command::PutSubscriber(PutSubscriber {
                tenant: DEFAULT_TENANT.into(),
                name: word(0).into(),
                document: word(1).into(),
            }),
            "unsubscribe" => Command::DeleteSubscriber {
                tenant: DEFAULT_TENANT.into(),
                name: word(0).into(),
            },
            "redrive" | "discard" => Command::SettleDeadLetters(SettleDeadLetters {
                tenant: DEFAULT_TENANT.into(),
                subscriber: word(0).into(),
                positions: vec![Sequence(number(1) as u64)],
                redrive: verb == "redrive",
                reason: "test".into(),
            }),
            "stream" => {
                *self.streams.room.entry(word(0).to_owned()).or_default() += number(1) as u32;
                return;
            }
            "wait" => return self.wait(number(0)),
            _ => panic!("unknown line: {line}"),
        };
        let answer = self.submit(command);
        self.log_answer(answer);
    }

    fn log_answer(&mut self, answer: Result<Response, Rejection>) {
        match answer {
            Err(rejection) => self.log.push_str(&format!("REFUSED {rejection}\n")),
            Ok(Response::JobsActivated(jobs)) => {
                for job in jobs {
                    let variables = json::from_msgpack(&job.variables.0);
                    let headers: Vec<String> = job
                        .headers
                        .iter()
                        .map(|(key, value)| format!("{key}={value}"))
                        .collect();
                    let headers = if headers.is_empty() {
                        String::new()
                    } else {
                        format!(" [{}]", headers.join(", "))
                    };
                    self.log
                        .push_str(&format!("=> {} {variables}{headers}\n", job.job_type));
                }
            }
            Ok(Response::Ingested(results)) => {
                for EventResult {
                    outcome, matches, ..
                } in results
                {
                    self.log.push_str(&format!("=> {}\n", outcome.as_str()));
                    for found in matches.iter().skip(1) {
                        self.log.push_str(&format!(
                            "   {} {}: {}\n",
                            found.process_id,
                            found.outcome.as_str(),
                            found.reason
                        ));
                    }
                }
            }
            Ok(_) => {}
        }
    }

    fn ingest(
        &self,
        id: &str,
        event_type: &str,
        subject: Option<&str>,
        expires: Option<&str>,
        values: &Document,
    ) -> Command {
        let mut builder = CloudEvent::builder(id, "/test", event_type);
        if let Some(subject) = subject {
            builder = builder.subject(subject);
        }
        if let Some(ms) = expires {
            let at = EventTime::from_unix_ms(self.now + ms.parse::<i64>().unwrap()).unwrap();
            builder = builder.extension("expirytime", at.as_str());
        }
        if !values.is_empty() {
            builder = builder.data("application/json", json::from_msgpack(&values.0).as_str());
        }
        let event = Arc::new(builder.build().unwrap());
        let arrivals = vec![Arrival::Event(event)];
        Command::IngestEvents(IngestEvents {
            tenant: DEFAULT_TENANT.into(),
            source_name: "http".into(),
            arrivals,
        })
    }

    /// What deciding fails on: the oldest left-over, which is then done with, or what is due first.
    fn interrupted(&mut self, due: bool) -> Option<Interrupted> {
        if due {
            let due = self.engine.due(&self.state, Timestamp(i64::MAX), 1).pop()?;
            let Command::Due(due) = due else {
                panic!("{due:?} is due");
            };
            return Some(Interrupted::Due(due));
        }
        match self.leftovers.pop_front()? {
            Command::Continue(follow_up) => Some(Interrupted::Step(follow_up)),
            other => panic!("left over: {other:?}"),
        }
    }

    fn job(&self, job_type: &str) -> JobKey {
        let found = self.jobs.iter().find(|(_, own)| &***own == job_type);
        found.map_or(JobKey(1), |(key, _)| *key)
    }

    /// An element that rests, by its id; `process` is the newest instance's root.
    fn scope(&self, id: &str) -> ElementInstanceKey {
        if id == "process" {
            return self
                .instances
                .last()
                .unwrap_or_else(|| panic!("no instance lives after\n{}", self.log))
                .root();
        }
        let found = self
            .resting
            .iter()
            .find(|(_, (_, element))| self.element_ids.get(element).is_some_and(|own| own == id));
        found.map_or(ElementInstanceKey(1), |(key, _)| *key)
    }
}

fn key(word: &str) -> Arc<str> {
    if word == "-" { "".into() } else { word.into() }
}

fn is_value(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| !name.is_empty())
}

/// Words, where a JSON value may hold spaces between quotes or brackets.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    for char in text.chars() {
        match char {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth -= 1,
            ' ' if !quoted && depth == 0 => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(char);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn variables(words: &[String]) -> Document {
    let values: Vec<(&str, Vec<u8>)> = words
        .iter()
        .filter(|word| is_value(word))
        .map(|word| {
            let (name, value) = word.split_once('=').unwrap();
            (
                name,
                json::to_msgpack(value.as_bytes())
                    .unwrap_or_else(|error| panic!("{word}: {error}")),
            )
        })
        .collect();
    let entries = values.iter().map(|(name, value)| (*name, value.as_slice()));
    Document(msgpack::map_from(entries).into())
}

/// Where two states differ first; they are compared as they would lie on disk.
pub(crate) fn difference(left: &Memory, right: &Memory) -> Option<String> {
    let entries = |state: &Memory| {
        let mut all: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        state.scan(&[0], &[u8::MAX], &mut |key, value| {
            all.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        });
        for instance in state.instances() {
            let mut bytes = Vec::new();
            encode::encode_instance(instance, &mut bytes);
            assert_eq!(encode::decode_instance(&bytes).unwrap(), *instance);
            let mut key = b"instance ".to_vec();
            key.extend_from_slice(instance.key().to_string().as_bytes());
            all.insert(key, bytes);
        }
        let mut bytes = Vec::new();
        encode::encode_partition(state.partition(), &mut bytes);
        assert_eq!(
            encode::decode_partition(&bytes).unwrap(),
            *state.partition()
        );
        all.insert(b"partition".to_vec(), bytes);
        all
    };
    let (left, right) = (entries(left), entries(right));
    let keys = left.keys().chain(right.keys());
    let different = keys
        .into_iter()
        .find(|key| left.get(*key) != right.get(*key))?;
    Some(format!(
        "{}: {:?} and {:?}",
        different.escape_ascii(),
        left.get(different)
            .map(|bytes| bytes.escape_ascii().to_string()),
        right
            .get(different)
            .map(|bytes| bytes.escape_ascii().to_string())
    ))
}

/// Plays a script in a process, and compares what happened.
pub(crate) fn check(process: &str, script: &str, expected: Expect) {
    let mut world = World::with_process(process);
    world.run(script);
    expected.assert_eq(&world.log);
}

/// The same, with every event.
pub(crate) fn check_all(process: &str, script: &str, expected: Expect) {
    let mut world = World::with_process(process);
    world.hidden = &[];
    world.run(script);
    expected.assert_eq(&world.log);
}
