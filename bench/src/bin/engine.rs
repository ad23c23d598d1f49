//! The runtime without a network: what one writer can do.
//!
//! `transitions`: instances that each complete a job and get the next one, pushed to a stream, batches of 64, every batch
//! synced. `waiting`: a child process makes instances that wait for a message, is killed, and the time until the partition
//! is ready again is measured. `timers`: how fast timers fire that are all due at once, most of them only on disk.
//! `cold`: messages for instances that are only on disk, alone and between commands that need nothing from there; and what
//! the store's reads alone take on one thread and on many. `wide`: CloudEvents of full size that start ten processes each.

#[path = "engine/cold.rs"]
mod cold;
#[path = "engine/wide.rs"]
mod wide;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kapelle_bench::{Arguments, process_cpu, resident_mib, say, thread_cpu, time};
use kapelle_engine::command::{
    Command, CommandMeta, CreateInstance, Deploy, ProcessSelector, Resource,
};
use kapelle_engine::document::Document;
use kapelle_engine::effect::Effect;
use kapelle_engine::ids::{JobKey, Sequence};
use kapelle_model::notation;
use kapelle_runtime::Options;
use kapelle_runtime::open::{FilePartition, Recovered, recover};
use kapelle_runtime::partition::Request;
use kapelle_runtime::streams::StreamSpec;
use kapelle_storage::journal::Journal;

const USAGE: &str = "engine [--mode transitions|waiting|timers|cold|wide] [--dir DIR]
  transitions: [--instances 100000] [--seconds 10] [--batch 64] [--payload 100]
  waiting:     [--instances 1000000]
  timers:      [--instances 300000]
  cold:        [--instances 500000] [--messages 20000] [--payload 500] [--drop-caches 0|1 (as root)]
  wide:        [--instances 20 CloudEvents] [--processes 10] [--payload 4100000]";

const TENANT: &str = "<default>";

fn main() {
    let known = [
        "mode",
        "dir",
        "instances",
        "seconds",
        "batch",
        "payload",
        "cache-mib",
        "tail",
        "keep",
        "messages",
        "processes",
        "drop-caches",
    ];
    let arguments = Arguments::read(USAGE, &known);
    match arguments.get("mode", "transitions".to_owned()).as_str() {
        "transitions" => transitions(&arguments),
        "waiting" => waiting(&arguments),
        "timers" => timers(&arguments),
        "cold" => cold::run(&arguments),
        "wide" => wide::run(&arguments),
        "fill" => fill(&arguments),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}

fn options(arguments: &Arguments) -> Options {
    let default = Options::default();
    Options {
        batch_commands_max: arguments.get("batch", 64),
        cache_bytes_max: arguments.get("cache-mib", default.cache_bytes_max >> 20) << 20,
        tail_records_max: arguments.get("tail", default.tail_records_max),
        disk_soft_limit_bytes: 0,
        ..default
    }
}

/// Drives a partition on this thread.
struct Driver {
    partition: FilePartition,
    effects: Box<dyn FnMut(Sequence, Effect) + Send>,
    jobs: std::sync::mpsc::Receiver<JobKey>,
    waited: Duration,
}

impl Driver {
    fn new(partition: FilePartition) -> Self {
        let (sender, jobs) = std::sync::mpsc::channel();
        let effects = Box::new(move |_, effect| {
            if let Effect::PushJob { job, .. } = effect {
                sender.send(job.job).unwrap_or(());
            }
        });
        Self {
            partition,
            effects,
            jobs,
            waited: Duration::ZERO,
        }
    }

    /// One step, and if it came to nothing a wait for the disk.
    fn step(&mut self, mut next: impl FnMut() -> Option<Request>) {
        let step = self
            .partition
            .step(&mut next, &mut self.effects)
            .expect("the partition works");
        if !step.progressed && step.in_flight {
            let started = Instant::now();
            let end = self.partition.journal().end().sequence;
            self.partition.journal().wait(end).expect("the disk works");
            self.waited += started.elapsed();
        }
    }

    fn finish(&mut self) {
        self.partition
            .finish(&mut self.effects)
            .expect("the partition works");
    }
}

fn ask(command: Command) -> Request {
    let reply = Box::new(|reply: kapelle_runtime::Reply| drop(reply.expect("accepted")));
    Request::Command {
        command,
        meta: CommandMeta::default(),
        reply,
    }
}

fn deploy(driver: &mut Driver, process: &str) {
    let resource = Resource {
        name: "bench.bpmn".into(),
        bytes: notation::xml(process).into_bytes().into(),
    };
    let mut requests = vec![ask(Command::Deploy(Deploy {
        tenant: TENANT.into(),
        resources: vec![resource],
    }))];
    driver.step(|| requests.pop());
    driver.finish();
}

fn create(number: u64, payload: usize) -> Command {
    Command::CreateInstance(CreateInstance {
        tenant: TENANT.into(),
        process: ProcessSelector::Latest {
            process_id: "process".into(),
        },
        variables: variables(&format!("order-{number}"), payload),
        await_result: None,
        tags: Vec::new(),
        business_id: None,
        idempotency_key: None,
    })
}

/// `{"id": id, "data": "xxx…"}`.
fn variables(id: &str, payload: usize) -> Document {
    let mut bytes = vec![
        0x82,
        0xa2,
        b'i',
        b'd',
        0xd9,
        u8::try_from(id.len()).expect("a short id"),
    ];
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&[0xa4, b'd', b'a', b't', b'a', 0xda]);
    bytes.extend_from_slice(
        &u16::try_from(payload)
            .expect("a small payload")
            .to_be_bytes(),
    );
    bytes.resize(bytes.len() + payload, b'x');
    Document(Arc::from(bytes))
}

fn create_all(driver: &mut Driver, instances: u64, payload: usize) {
    let made = Rc::new(RefCell::new(0));
    while *made.borrow() < instances {
        let counter = Rc::clone(&made);
        driver.step(move || {
            let mut made = counter.borrow_mut();
            (*made < instances).then(|| {
                *made += 1;
                ask(create(*made, payload))
            })
        });
    }
    driver.finish();
}

fn transitions(arguments: &Arguments) {
    let path = arguments.directory("engine");
    let (instances, payload) = (
        arguments.get("instances", 100_000_u64),
        arguments.get("payload", 100),
    );
    let length = Duration::from_secs_f64(arguments.get("seconds", 10.0));
    let recovered = recover(&path, options(arguments)).expect("an empty directory opens");
    let mut driver = Driver::new(recovered.partition);
    driver.partition.streams().register(StreamSpec {
        tenants: vec![TENANT.into()],
        job_type: "work".into(),
        worker: "bench".into(),
        timeout_ms: 3_600_000,
        fetch_variables: Vec::new(),
        capacity: u32::MAX,
    });
    deploy(&mut driver, "start -> merge -> work -> merge");
    let started = Instant::now();
    create_all(&mut driver, instances, payload);
    say(
        "instances created/s",
        format!("{:.0}", instances as f64 / started.elapsed().as_secs_f64()),
    );

    let mut jobs: VecDeque<JobKey> = driver.jobs.try_iter().collect();
    say("live instances", jobs.len());
    let metrics = Arc::clone(driver.partition.metrics());
    let before: Vec<_> = metrics.snapshot();
    driver.waited = Duration::ZERO;
    let (started, cpu) = (Instant::now(), [thread_cpu(), process_cpu()]);
    while started.elapsed() < length {
        jobs.extend(driver.jobs.try_iter());
        driver.step(|| {
            let job = jobs.pop_front()?;
            Some(ask(Command::CompleteJob {
                job,
                variables: Document::empty(),
            }))
        });
    }
    let spent = started.elapsed();
    let cpu = [thread_cpu() - cpu[0], process_cpu() - cpu[1]];
    driver.finish();
    report(&mut driver, &before, spent, cpu);
    drop(driver);
    std::fs::remove_dir_all(&path).ok();
}

fn report(
    driver: &mut Driver,
    before: &[(&'static str, u64)],
    spent: Duration,
    cpu: [Duration; 2],
) {
    let after = driver.partition.metrics().snapshot();
    let grown = |name: &str| {
        let of = |all: &[(&'static str, u64)]| {
            all.iter()
                .find(|(other, _)| *other == name)
                .map_or(0, |(_, value)| *value)
        };
        of(&after) - of(before)
    };
    let rate = |name: &str| grown(name) as f64 / spent.as_secs_f64();
    say("transitions/s", format!("{:.0}", rate("commands")));
    let [writer, all] = cpu.map(|cpu| cpu.as_secs_f64() / grown("commands").max(1) as f64);
    say(
        "writer's CPU a transition",
        format!(
            "{:.1} µs: {:.0}/s on a core of its own",
            writer * 1e6,
            1.0 / writer
        ),
    );
    say(
        "all threads' CPU a transition",
        format!("{:.1} µs: {:.0}/s on two cores", all * 1e6, 2.0 / all),
    );
    say("events/s", format!("{:.0}", rate("events")));
    say(
        "journal MiB/s",
        format!("{:.1}", rate("journal_bytes") / 1_048_576.0),
    );
    say(
        "commands a batch",
        format!(
            "{:.0}",
            grown("commands") as f64 / grown("batches").max(1) as f64
        ),
    );
    say(
        "share of time waiting for the disk",
        format!(
            "{:.0} %",
            100.0 * driver.waited.as_secs_f64() / spent.as_secs_f64()
        ),
    );
    let deciding = Duration::from_nanos(grown("decide_ns")).as_secs_f64() / spent.as_secs_f64();
    say(
        "share of time deciding",
        format!("{:.0} %", 100.0 * deciding),
    );
    let figures = driver.partition.journal().figures();
    let syncs = figures.sync_time;
    say(
        "write and sync: p50, p99, max",
        [syncs.quantile(0.5), syncs.quantile(0.99), syncs.max]
            .map(time)
            .join(", "),
    );
    say("resident MiB", resident_mib());
    for name in [
        "checkpoints",
        "evictions",
        "loads",
        "tail_records",
        "hot_instances",
        "overlay_entries",
    ] {
        let value = after
            .iter()
            .find(|(other, _)| *other == name)
            .map_or(0, |(_, value)| *value);
        say(&format!("  {name}"), value);
    }
}

fn timers(arguments: &Arguments) {
    let path = arguments.directory("timers");
    let instances = arguments.get("instances", 300_000_u64);
    let Recovered {
        partition,
        directory,
        ..
    } = recover(&path, options(arguments)).expect("an empty directory opens");
    let mut driver = Driver::new(partition);
    deploy(&mut driver, "start -> wait:catch(duration PT1M) -> end");
    create_all(&mut driver, instances, arguments.get("payload", 100));
    driver.partition.checkpoint();
    while !driver.partition.is_checkpointed() {
        driver.step(|| None);
    }
    drop((driver, directory));

    // All are due: the clock of the next process is a minute and more ahead.
    std::thread::sleep(Duration::from_secs(61));
    let recovered = recover(&path, options(arguments)).expect("it opens again");
    let mut driver = Driver::new(recovered.partition);
    let started = Instant::now();
    let commands = Arc::clone(driver.partition.metrics());
    while commands.commands.get() < instances {
        driver.step(|| None);
    }
    driver.finish();
    say(
        "timers fired/s",
        format!("{:.0}", instances as f64 / started.elapsed().as_secs_f64()),
    );
    say(
        "writer's CPU a timer",
        format!(
            "{:.1} µs",
            1e6 * thread_cpu().as_secs_f64() / instances as f64
        ),
    );
    drop(driver);
    std::fs::remove_dir_all(&path).ok();
}

const WAITING: &str = "start -> wait:catch(message paid, key id) -> end";

/// Makes instances until it is killed.
fn fill(arguments: &Arguments) {
    let path: std::path::PathBuf = arguments.get("keep", std::path::PathBuf::new());
    let instances = arguments.get("instances", 1_000_000_u64);
    let recovered = recover(&path, options(arguments)).expect("an empty directory opens");
    let mut driver = Driver::new(recovered.partition);
    deploy(&mut driver, WAITING);
    let started = Instant::now();
    create_all(&mut driver, instances, arguments.get("payload", 100));
    say(
        "waiting instances created/s",
        format!("{:.0}", instances as f64 / started.elapsed().as_secs_f64()),
    );
    say("resident MiB with all of them", resident_mib());
    for (name, value) in driver.partition.metrics().snapshot() {
        if [
            "checkpoints",
            "evictions",
            "tail_records",
            "hot_instances",
            "hot_bytes",
            "dirty_instances",
        ]
        .contains(&name)
        {
            say(&format!("  {name}"), value);
        }
    }
    println!("filled");
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}

fn waiting(arguments: &Arguments) {
    let path = arguments.directory("waiting");
    let program = std::env::current_exe().expect("this program is a file");
    let mut child = Process::new(program)
        .args(["--mode", "fill", "--keep"])
        .arg(&path)
        .args([
            "--instances",
            &arguments.get("instances", 1_000_000_u64).to_string(),
        ])
        .args([
            "--cache-mib",
            &(options(arguments).cache_bytes_max >> 20).to_string(),
        ])
        .args(["--tail", &options(arguments).tail_records_max.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = BufReader::new(child.stdout.take().expect("its output is piped"));
    for line in output.lines().map_while(Result::ok) {
        if line == "filled" {
            break;
        }
        println!("{line}");
    }
    child.kill().expect("the child lives");
    child.wait().expect("the child was killed");
    reopen(&path, options(arguments), "ready after kill -9");
    reopen(&path, options(arguments), "ready once more");
    std::fs::remove_dir_all(&path).ok();
}

fn reopen(path: &Path, options: Options, what: &str) {
    let started = Instant::now();
    let recovered = recover(path, options).expect("it opens again");
    let mut driver = Driver::new(recovered.partition);
    driver.finish();
    say(what, time(started.elapsed()));
    say(
        "  records replayed",
        driver.partition.metrics().recovery_records.get(),
    );
    say(
        "  of that, replay",
        time(Duration::from_nanos(
            driver.partition.metrics().recovery_ns.get(),
        )),
    );
    say("  resident MiB", resident_mib());
}
