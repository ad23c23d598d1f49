//! Random processes on random paths. After every command a second engine that has seen only the encoded events holds the
//! same bytes (`World` checks that); here are the generators, and what must hold beyond a single command:
//!
//! - replay over targets that are ahead of each other, as they lie on disk after a crash, comes to the same state;
//! - no instance lives that nothing could ever move;
//! - when all instances have ended and time has passed, no index remembers any of them.
//!
//! A campaign fails if it exercised too little.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use kapelle_engine::Engine;
use kapelle_engine::Settings;
use kapelle_engine::command::Command;
use kapelle_engine::event::{Event, Targets};
use kapelle_engine::ids::{ProcessInstanceKey, Sequence};
use kapelle_engine::keep::Keep;
use kapelle_engine::limits::Limits;
use kapelle_engine::memory::Memory;

use crate::world::{World, difference};

/// A generator that is a function of its seed (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Writes a random process in notation: blocks in a row, some of them with blocks inside.
struct Writer<'r> {
    random: &'r mut Random,
    names: u32,
    room: u32,
}

const MESSAGES: [&str; 3] = ["red", "green", "blue"];

impl Writer<'_> {
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    fn process(&mut self) -> String {
        let start = match self.random.below(6) {
            0 => "s:start(message red)",
            1 => "s:start(message order, event order.placed, eventkey data.k)",
            _ => "start",
        };
        // A process that only messages start is also created by command: it has a second start then.
        let mut statements = Vec::new();
        let mut last = start.to_owned();
        if start != "start" {
            statements.push("start -> merge0{all: default}".to_owned());
            statements.push(format!("{start} -> merge0"));
            last = "all".to_owned();
        }
        self.scope(last, &mut statements, 0);
        statements.join(" ; ")
    }

    /// A row of blocks behind `last`, then an end.
    fn scope(&mut self, mut last: String, statements: &mut Vec<String>, depth: u32) {
        for _ in 0..=self.random.below(3) {
            last = self.block(last, statements, depth);
        }
        let end = self.name("end");
        let end = match self.random.below(8) {
            0 => format!("{end}:end(terminate)"),
            1 if depth > 0 => format!("{end}:end(error E1)"),
            2 => format!("{end}:end(publish done)"),
            _ => end,
        };
        statements.push(format!("{last} -> {end}"));
    }

    fn block(&mut self, last: String, statements: &mut Vec<String>, depth: u32) -> String {
        self.room = self.room.saturating_sub(1);
        let simple = depth >= 3 || self.room == 0;
        match self.random.below(if simple { 6 } else { 10 }) {
            0..=2 => self.task(last, statements),
            3 => self.catch(last, statements),
            4 => self.throw(last, statements),
            5 => {
                let name = self.name("pass");
                statements.push(format!("{last} -> {name}:manual"));
                name
            }
            6 => self.exclusive(last, statements, depth),
            7 => self.parallel(last, statements, depth),
            8 => self.race(last, statements),
            _ => self.sub_process(last, statements, depth),
        }
    }

    fn task(&mut self, last: String, statements: &mut Vec<String>) -> String {
        let name = self.name("task");
        let job = ["t1", "t2", "t3"][self.random.below(3) as usize];
        let mapped = *self.random.pick(&[
            "",
            ", in local = n",
            ", in a.b = n, out c.d = n",
            ", out n = n",
            ", in x = assert(n, n != 13)",
            ", header h v",
        ]);
        let kind = if self.random.one_in(8) {
            format!("type =kind, retries 2{mapped}")
        } else {
            format!("type {job}, retries 2{mapped}")
        };
        statements.push(format!("{last} -> {name}:service({kind})"));
        self.boundary(&name, statements);
        name
    }

    fn boundary(&mut self, host: &str, statements: &mut Vec<String>) {
        let mut messages = BTreeSet::new();
        let mut codes = BTreeSet::new();
        for _ in 0..self.random.below(3) {
            let (name, end) = (self.name("bound"), self.name("end"));
            let message = *self.random.pick(&MESSAGES);
            let code = *self.random.pick(&["error", "error E1", "error E2"]);
            let event = match self.random.below(5) {
                0 => format!("{name}(duration PT{}S) on {host}", 1 + self.random.below(5)),
                1 => format!("{name}(cycle R2/PT2S) beside {host}"),
                2 if messages.insert(message) => {
                    format!("{name}(message {message}, key k) on {host}")
                }
                3 if messages.insert(message) => {
                    format!("{name}(message {message}, key k, out got = n) beside {host}")
                }
                4 if codes.insert(code) => format!("{name}({code}) on {host}"),
                _ => continue,
            };
            let (follow, task) = (self.random.one_in(2), self.name("task"));
            let tail = if follow {
                format!(" -> {task}:service(type t1)")
            } else {
                String::new()
            };
            statements.push(format!("{event}{tail} -> {end}"));
        }
    }

    fn catch(&mut self, last: String, statements: &mut Vec<String>) -> String {
        let name = self.name("catch");
        let message = *self.random.pick(&MESSAGES);
        let what = match self.random.below(4) {
            0 => format!("{name}:catch(duration PT{}S)", self.random.below(4)),
            1 => format!("{name}:receive(message {message}, key k)"),
            2 => format!(
                "{name}:catch(message bound{message}, key k, event some.{message}, filter data.n != 5, eventkey data.k)"
            ),
            _ => format!("{name}:catch(message {message}, key k, out m = n)"),
        };
        statements.push(format!("{last} -> {what}"));
        name
    }

    fn throw(&mut self, last: String, statements: &mut Vec<String>) -> String {
        let name = self.name("throw");
        let message = *self.random.pick(&MESSAGES);
        let what = match self.random.below(3) {
            0 => format!("{name}:throw(publish happened, subject =string(k))"),
            // Not the message that starts the process: it would never end.
            1 if message != "red" => {
                format!("{name}:send(message {message}, key =k, ttl PT2S, in n = n)")
            }
            _ => format!("{name}:throw"),
        };
        statements.push(format!("{last} -> {what}"));
        name
    }

    fn exclusive(&mut self, last: String, statements: &mut Vec<String>, depth: u32) -> String {
        let (gate, a, b, merge, out) = (
            self.name("gate"),
            self.name("f"),
            self.name("f"),
            self.name("merge"),
            self.name("f"),
        );
        let second = *self.random.pick(&["default", "n < 4", "n = 7"]);
        statements.push(format!("{last} -> {gate}{{{a}: n > 3, {b}: {second}}}"));
        let left = self.block(a, statements, depth + 1);
        statements.push(format!("{left} -> {merge}{{{out}: default}}"));
        let right = self.block(b, statements, depth + 1);
        statements.push(format!("{right} -> {merge}"));
        out
    }

    fn parallel(&mut self, last: String, statements: &mut Vec<String>, depth: u32) -> String {
        let (fork, join) = (self.name("fork"), self.name("join"));
        statements.push(format!("{last} -> {fork}"));
        for _ in 0..2 + self.random.below(2) {
            let exit = self.block(fork.clone(), statements, depth + 1);
            statements.push(format!("{exit} -> {join}"));
        }
        join
    }

    fn race(&mut self, last: String, statements: &mut Vec<String>) -> String {
        let (race, merge, out) = (self.name("race"), self.name("merge"), self.name("f"));
        let (message, timer) = (self.name("catch"), self.name("catch"));
        statements.push(format!("{last} -> {race}"));
        statements.push(format!(
            "{race} -> {message}:catch(message {}, key k) -> {merge}{{{out}: default}}",
            self.random.pick(&MESSAGES)
        ));
        statements.push(format!(
            "{race} -> {timer}:catch(duration PT{}S) -> {merge}",
            1 + self.random.below(4)
        ));
        out
    }

    fn sub_process(&mut self, last: String, statements: &mut Vec<String>, depth: u32) -> String {
        let (sub, start) = (self.name("sub"), self.name("start"));
        let mut inner = Vec::new();
        self.scope(start, &mut inner, depth + 1);
        let mapped = *self.random.pick(&["", "(in inner = n, out outer = inner)"]);
        statements.push(format!(
            "{last} -> {sub}:sub{mapped}[{}]",
            inner.join(" ; ")
        ));
        self.boundary(&sub, statements);
        sub
    }
}

/// One random line of the script.
fn line(random: &mut Random, world: &World) -> String {
    let jobs: Vec<String> = world
        .jobs
        .values()
        .map(|job_type| job_type.to_string())
        .collect();
    let job = if jobs.is_empty() {
        "t1".to_owned()
    } else {
        random.pick(&jobs).clone()
    };
    let (n, key) = (random.below(9), random.below(3));
    let (message, id) = (*random.pick(&MESSAGES), random.below(40));
    match random.below(31) {
        0..=3 => format!("create n={n} k={key} kind=\"t2\""),
        4 => format!("create n=13 k={key}"),
        5 => format!("create await n={n} k=\"{key}\" request {}", random.below(4)),
        6..=10 => format!("complete {job} n={n}"),
        11 => format!(
            "fail {job} {} backoff {}",
            random.below(2),
            random.below(2) * 700
        ),
        12 => format!("throw {job} E{} n={n}", random.below(3)),
        13 => format!("activate {job} {}", 1 + random.below(3)),
        14 => format!("stream {job} {}", 1 + random.below(2)),
        15 => format!("yield {job}"),
        16 => format!("retries {job} {}", random.below(3)),
        17 => format!("timeout {job} {}", random.below(3000)),
        18..=19 => format!(
            "publish {message} {key} ttl {} n={n}",
            random.below(3) * 900
        ),
        20 => format!(
            "publish {message} {key} ttl 900 id m{} n={n}",
            random.below(2)
        ),
        21 => format!("correlate {message} {key} n={n}"),
        22 => format!("event {id} some.{message} k={key} n={n}"),
        23 => format!(
            "event {id} {} subject {key} n={n}",
            random.pick(&["red", "order.placed", "unknown"])
        ),
        24..=25 => format!("wait {}", random.below(4000)),
        26 => (*random.pick(&["cancel", "ack"])).to_owned(),
        27 => "resolve".to_owned(),
        28 if !world.resting.is_empty() => {
            let keys: Vec<_> = world.resting.keys().collect();
            format!("setkey {} n={n}", random.pick(&keys))
        }
        29 if !world.instances.is_empty() => format!("set process n={n} kind=\"t1\""),
        _ => match random.below(11) {
            0 => format!("leader {}", 2 + id),
            1 if !world.instances.is_empty() => "quarantine".to_owned(),
            7 => (*random.pick(&["interrupt", "interrupt", "interrupt due"])).to_owned(),
            2 if !world.outbox.is_empty() => "bury".to_owned(),
            3 if !world.outbox.is_empty() => format!("defer {}", 1 + random.below(4)),
            4 => "subscriber s {\"target\":{\"pull\":{}}}".to_owned(),
            5 => "unsubscribe s".to_owned(),
            6 => format!("redrive s {id}"),
            _ => "resolve".to_owned(),
        },
    }
}

fn limits(random: &mut Random) -> Limits {
    let mut limits = Limits::DEFAULT;
    // Small numbers now and then, so that left-overs, sweeps and full windows are part of the play.
    if random.one_in(3) {
        limits.steps_per_command_max = 1 + random.below(5) as usize;
    }
    if random.one_in(3) {
        limits.dedup_ids_max = 5;
        limits.sweep_max = 2;
    }
    limits.dedup_window_ms = 24_000;
    limits.request_window_ms = 10_000;
    limits
}

/// Plays one seed; returns the world as it stands.
fn play(seed: u64, lines: u32, keeps_history: bool, after_each: &mut dyn FnMut(&World)) -> World {
    let mut random = Random::new(seed);
    let limits = limits(&mut random);
    let mut world = World::new(Settings {
        limits,
        ..Settings::default()
    });
    world.keeps_history = keeps_history;
    world.leftovers_put_off = random.below(4) as usize;
    after_each(&world);
    for _ in 0..=random.below(2) {
        let process = Writer {
            random: &mut random,
            names: 0,
            room: 14,
        }
        .process();
        world.log.push_str(&format!("> deploy {process}\n"));
        world.deploy(&process);
        after_each(&world);
        for _ in 0..lines {
            let line = line(&mut random, &world);
            world.run(&line);
            after_each(&world);
        }
    }
    world
}

/// All instances are cancelled, and time passes.
fn end(world: &mut World) {
    world.leftovers_put_off = 0;
    for _ in 0..10_000 {
        // A start lock that is released may start the next; so do messages that were kept.
        let Some(instance) = world.instances.last().copied() else {
            break;
        };
        world.submit(Command::CancelInstance { instance }).unwrap();
    }
    world.wait(4_000_000);
    world.wait(4_000_000);
    while let Some(instance) = world.instances.last().copied() {
        world.submit(Command::CancelInstance { instance }).unwrap();
    }
}

/// Tables whose entries belong to instances, messages or the window: see `state/tables.rs`.
const OF_THE_LIVING: [u8; 15] = [10, 11, 20, 21, 30, 31, 32, 33, 34, 36, 40, 41, 50, 51, 70];

#[test]
fn a_replica_is_equal_and_nothing_is_left_behind() {
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    for seed in 0..160 {
        let mut world = play(seed, 60, true, &mut |_| {});
        world.leftovers_put_off = 0;
        world.wait(0);
        world.run("resolve");
        let stuck = world.state.instances().find(|instance| instance.is_stuck());
        assert!(
            stuck.is_none(),
            "seed {seed}: {stuck:?} is stuck after\n{}",
            world.log
        );
        end(&mut world);
        for (event, ..) in &world.history {
            *seen.entry(event.name()).or_default() += 1;
        }
        let mut left = Vec::new();
        world.state.scan(&[0], &[u8::MAX], &mut |key, _| {
            if OF_THE_LIVING.contains(&key[0]) {
                left.push(key.escape_ascii().to_string());
            }
            ControlFlow::Continue(())
        });
        assert!(
            left.is_empty(),
            "seed {seed} left {left:?}\nafter\n{}",
            world.log
        );
        assert_eq!(world.state.instances().count(), 0, "seed {seed}");
    }
    let missing: Vec<&str> = EVENTS
        .iter()
        .copied()
        .filter(|name| seen.get(name).is_none_or(|count| *count < 3))
        .collect();
    assert!(
        missing.is_empty(),
        "hardly exercised: {missing:?}\nof {seen:?}"
    );
}

/// What a campaign must have seen a few times. Not here: records that are rejected, which the door makes.
const EVENTS: [&str; 58] = [
    "LeaderAnnounced",
    "ResourceStored",
    "DeploymentCreated",
    "ProcessDeployed",
    "InstanceCreated",
    "InstanceEnded",
    "ElementActivating",
    "ElementActivated",
    "ElementCompleting",
    "ElementCompleted",
    "ElementTerminating",
    "ElementTerminated",
    "FlowTaken",
    "JoinConsumed",
    "TokensDiscarded",
    "BpmnEventTriggered",
    "VariableSet",
    "JobCreated",
    "JobActivated",
    "JobMadeAvailable",
    "JobCompleted",
    "JobFailed",
    "JobErrorThrown",
    "JobCanceled",
    "JobRetriesUpdated",
    "JobTimeoutUpdated",
    "MessagePublished",
    "MessageCorrelated",
    "MessageStarted",
    "MessageExpired",
    "SubscriptionOpened",
    "SubscriptionClosed",
    "StartSubscriptionOpened",
    "StartSubscriptionClosed",
    "StartLockReleased",
    "EventBindingOpened",
    "TimerScheduled",
    "TimerTriggered",
    "TimerCanceled",
    "IncidentRaised",
    "IncidentResolved",
    "InstanceQuarantined",
    "StepInterrupted",
    "CloudEventReceived",
    "CloudEventRouted",
    "CloudEventRepeated",
    "DedupBucketDropped",
    "DedupForgotten",
    "OutboxAdded",
    "OutboxAcked",
    "OutboxDeferred",
    "OutboxBuried",
    "RequestRemembered",
    "RequestForgotten",
    "DueMoved",
    "SubscriberPut",
    "SubscriberDeleted",
    "DeadLettersSettled",
];

#[test]
fn targets_that_are_ahead_of_each_other_replay_to_the_same_state() {
    let (mut skipped, mut applied) = (0_u64, 0_u64);
    for seed in 1_000..1_040 {
        let mut snapshots: Vec<(Sequence, Memory)> = Vec::new();
        let world = play(seed, 40, true, &mut |world| {
            snapshots.push((Sequence(world.sequence), world.state.clone()))
        });
        let mut random = Random::new(seed ^ 0xdead);
        // Each target was written back at a moment of its own.
        let indexes = random.pick(&snapshots);
        let mut disk = Memory::new();
        indexes.1.scan(&[0], &[u8::MAX], &mut |key, value| {
            disk.put(key, value);
            ControlFlow::Continue(())
        });
        *disk.partition_mut() = indexes.1.partition().clone();
        let mut positions: BTreeMap<ProcessInstanceKey, Sequence> = BTreeMap::new();
        for (event, ..) in &world.history {
            if let Event::InstanceCreated(created) = event {
                let (position, state) = random.pick(&snapshots);
                positions.insert(created.instance, *position);
                if let Some(instance) = state.instance(created.instance) {
                    disk.insert_instance(instance.clone());
                }
            }
        }
        let mut engine = Engine::new(Settings::default());
        for (event, sequence, at) in &world.history {
            let targets = event.targets();
            let behind = Targets {
                instance: targets.instance.filter(|instance| {
                    positions
                        .get(instance)
                        .is_some_and(|position| sequence > position)
                }),
                indexes: targets.indexes && *sequence > indexes.0,
            };
            skipped += u64::from(behind != targets);
            applied += u64::from(behind.indexes || behind.instance.is_some());
            engine.replay(&mut disk, event, *sequence, *at, behind);
        }
        assert_eq!(
            difference(&world.state, &disk),
            None,
            "seed {seed}\n{}",
            world.log
        );
    }
    assert!(
        skipped > 5_000 && applied > 5_000,
        "skipped {skipped}, applied {applied}"
    );
}
