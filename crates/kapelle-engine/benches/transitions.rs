//! How long the engine alone takes for a transition, with its state in plain memory: `cargo bench -p kapelle-engine`.
//!
//! One transition is a job completed up to the next one created, or an instance created up to its first job: about
//! twelve events. The runtime's own benchmark (`bench/`) adds journal and store.

#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark measures time and says so; nothing is decided by it"
)]

use std::sync::Arc;
use std::time::Instant;

use kapelle_engine::command::{
    Command, CommandMeta, CreateInstance, Deploy, ProcessSelector, Resource,
};
use kapelle_engine::document::Document;
use kapelle_engine::effect::{JobStreams, NoStreams, StreamId, StreamTarget};
use kapelle_engine::encode;
use kapelle_engine::event::Event;
use kapelle_engine::ids::{DEFAULT_TENANT, JobKey, Sequence, Timestamp};
use kapelle_engine::memory::Memory;
use kapelle_engine::{Decision, Engine, Settings};
use kapelle_feel::json;
use kapelle_model::notation;

/// A worker that always has room.
struct Eager {
    worker: Arc<str>,
    fetch: Arc<[Arc<str>]>,
}

impl JobStreams for Eager {
    fn take(&mut self, _tenant: &str, _job_type: &str) -> Option<StreamTarget> {
        let (worker, fetch_variables) = (self.worker.clone(), self.fetch.clone());
        Some(StreamTarget {
            stream: StreamId(1),
            worker,
            timeout_ms: 60_000,
            fetch_variables,
        })
    }

    fn give_back(&mut self, _stream: StreamId) {}
}

struct Bench {
    engine: Engine,
    state: Memory,
    sequence: u64,
    bytes: Vec<u8>,
    events: u64,
    jobs: Vec<JobKey>,
}

impl Bench {
    fn submit(&mut self, command: Command, streams: &mut dyn JobStreams) {
        let meta = CommandMeta {
            now: Timestamp(1_700_000_000_000 + self.sequence as i64 / 100),
            traceparent: None,
        };
        let Decision { answer, events, .. } = self.engine.process(
            &mut self.state,
            command,
            &meta,
            Sequence(self.sequence),
            streams,
        );
        answer.expect("a benchmark's commands are accepted");
        self.sequence += 1 + events.len() as u64;
        self.events += events.len() as u64;
        for event in &events {
            encode::encode_event(event, &mut self.bytes);
            if let Event::JobCreated(created) = event {
                self.jobs.push(created.job.job);
            }
        }
        if self.bytes.len() > 1 << 20 {
            self.bytes.clear();
        }
    }
}

fn create() -> Command {
    Command::CreateInstance(CreateInstance {
        tenant: DEFAULT_TENANT.into(),
        process: ProcessSelector::Latest {
            process_id: "process".into(),
        },
        variables: Document(
            json::to_msgpack(br#"{"orderId":"o-123456","amount":99,"customer":"someone"}"#)
                .expect("JSON")
                .into(),
        ),
        await_result: None,
        tags: Vec::new(),
        business_id: None,
        idempotency_key: None,
    })
}

fn run(name: &str, process: &str, live: usize, pushed: bool) {
    let state = Memory::new();
    let mut bench = Bench {
        engine: Engine::new(Settings::default()),
        state,
        sequence: 1,
        bytes: Vec::new(),
        events: 0,
        jobs: Vec::new(),
    };
    let resource = Resource {
        name: "process.bpmn".into(),
        bytes: notation::xml(process).into_bytes().into(),
    };
    bench.submit(
        Command::Deploy(Deploy {
            tenant: DEFAULT_TENANT.into(),
            resources: vec![resource],
        }),
        &mut NoStreams,
    );
    let eager = Eager {
        worker: "worker".into(),
        fetch: Arc::from([]),
    };
    let mut streams: Box<dyn JobStreams> = if pushed {
        Box::new(eager)
    } else {
        Box::new(NoStreams)
    };
    for _ in 0..live {
        bench.submit(create(), &mut *streams);
    }
    let (events, start) = (bench.events, Instant::now());
    let mut transitions = 0_u32;
    while transitions < 300_000 {
        let jobs = std::mem::take(&mut bench.jobs);
        for job in jobs {
            bench.submit(
                Command::CompleteJob {
                    job,
                    variables: Document::empty(),
                },
                &mut *streams,
            );
            transitions += 1;
        }
        while bench.jobs.len() < live {
            bench.submit(create(), &mut *streams);
            transitions += 1;
        }
    }
    let each = start.elapsed() / transitions;
    let per = (bench.events - events) as f64 / f64::from(transitions);
    println!("{name:40} {each:>10.1?} a transition, {per:.1} events");
}

fn main() {
    run("one task, 1,000 live", "start -> a -> end", 1_000, false);
    run(
        "one task, pushed, 1,000 live",
        "start -> a -> end",
        1_000,
        true,
    );
    run(
        "one task, pushed, 100,000 live",
        "start -> a -> end",
        100_000,
        true,
    );
    run(
        "ten tasks, pushed, 100,000 live",
        "start -> a -> b -> c -> d -> e -> f -> g -> h -> i -> j -> end",
        100_000,
        true,
    );
    let gate = "start -> a -> gate{big: amount > 50, small: default} ; big -> b:service(in total = amount * 2) -> end ; small -> end2";
    run("task, gateway, mapping, pushed", gate, 100_000, true);
}
