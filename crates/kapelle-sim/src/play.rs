//! Plays operations: each draws its own choices from its own seed, against what is there when its turn comes.

use std::sync::Arc;

use kapelle_engine::command::*;
use kapelle_engine::document::Document;
use kapelle_engine::ids::*;
use kapelle_feel::{json, msgpack};
use kapelle_model::notation;
use kapelle_runtime::partition::Request;
use kapelle_runtime::streams::StreamSpec;

use crate::clients::{Asked, Slot};
use crate::copies;
use crate::facts::Facts;
use crate::history::living;
use crate::network::{self, Call};
use crate::process::Process;
use crate::process::table::{JOB_TYPES, MESSAGES, START_MESSAGE};
use crate::random::Random;
use crate::receivers::Behaviour;
use crate::script::{Kind, Operation};
use crate::world::{World, alive};

/// Plays one operation.
///
/// # Errors
/// What an oracle found.
// A dispatch table: one arm per kind of operation.
pub(crate) fn play(world: &mut World, operation: Operation) -> Result<(), String> {
    let random = &mut Random::new(operation.seed);
    world.exercised.operations += 1;
    world.say(format!("{:?}", operation.kind));
    match operation.kind {
        Kind::Deploy => deploy(world, random),
        Kind::Create => create(world, random),
        Kind::Cancel => cancel(world, random),
        Kind::SetVariables => set_variables(world, random),
        Kind::Resolve => resolve(world, random),
        Kind::Activate => activate(world, random),
        Kind::Complete | Kind::Fail | Kind::ThrowError => answer_job(world, operation.kind, random),
        Kind::UpdateJob => update_job(world, random),
        Kind::AnswerAgain => answer_again(world, random),
        Kind::OpenStream => open_stream(world, random),
        Kind::CloseStream => close_stream(world, random),
        Kind::HandlePush => handle_push(world, random),
        Kind::Publish => publish(world, random),
        Kind::Correlate => correlate(world, random),
        Kind::Broker => return broker(world, random),
        Kind::Network => network::arrive(world, random),
        Kind::AskAgain => network::ask_again(world, random),
        Kind::Deliver => return deliver(world, Behaviour::Random, random),
        Kind::Subscribe => subscribe(world, random),
        Kind::SettleDead => settle_dead(world, random),
        Kind::Route => return world.route(Behaviour::Random, random),
        Kind::Step => return world.step().map(drop),
        Kind::Sync => return world.sync(),
        Kind::Settle => return world.settle(),
        Kind::Pass => pass(world, random),
        Kind::Checkpoint => alive(&mut world.running).partition.checkpoint(),
        Kind::StoreWorks => {
            let writes = 1 + random.index(4);
            world.store_works(writes);
        }
        Kind::FailIo => fail_io(world, random),
        Kind::FailStore => {
            world.armed = true;
            world.disks.store.fail_write(1 + random.below(6));
        }
        Kind::FailLedger => {
            world.armed = true;
            world
                .ledger
                .fail_write(1 + random.below(4), random.one_in(2));
        }
        Kind::DiskFills => disk_fills(world, random),
        Kind::DiskLow => {
            let low = random.one_in(3);
            alive(&mut world.running).partition.set_disk_low(low);
        }
        Kind::Crash => {
            world.crash(random)?;
            jump(world, random);
            return world.restart();
        }
        Kind::CrashTwice => return crash_twice(world, random),
        Kind::Compare => return world.compare(),
        Kind::SecondProcess => return world.second_process(),
        Kind::Rot => return copies::rot(world, random),
        Kind::LoseStore => return copies::lose_store(world),
        Kind::LoseJournal => return copies::lose_journal(world),
        Kind::OldJournal => return copies::old_journal(world, random),
    }
    Ok(())
}

/// Sends a command over the network.
pub(crate) fn ask(world: &mut World, asked: Asked, command: Command, random: &mut Random) {
    let operation = world.clients.next_operation();
    ask_as(world, operation, asked, command, random);
}

fn ask_as(world: &mut World, operation: u64, asked: Asked, command: Command, random: &mut Random) {
    let end = kapelle_storage::journal::Journal::end(alive(&mut world.running).partition.journal());
    let call = Call::new(operation, asked, command, Sequence(end.sequence.0));
    network::send(world, call, random);
}

pub(crate) fn document(entries: &[(&str, String)]) -> Document {
    let values: Vec<(&str, Vec<u8>)> = entries
        .iter()
        .map(|(name, value)| {
            let value = json::to_msgpack(value.as_bytes()).expect("invariant: the value is JSON");
            (*name, value)
        })
        .collect();
    let entries = values.iter().map(|(name, value)| (*name, value.as_slice()));
    Document(msgpack::map_from(entries).into())
}

/// Variables that processes look at, and one that only takes room: mostly little, sometimes more than a batch has.
fn variables(world: &World, random: &mut Random) -> Vec<(&'static str, String)> {
    let key = random.below(3);
    let mut all = vec![
        ("n", random.below(14).to_string()),
        (
            "k",
            if random.one_in(3) {
                format!("\"{key}\"")
            } else {
                key.to_string()
            },
        ),
        ("kind", "\"t2\"".to_owned()),
    ];
    if random.one_in(3) {
        let length = usize::try_from(random.spread(world.setup.variable_digits)).unwrap_or(0);
        all.push(("room", format!("\"{}\"", "r".repeat(length))));
    }
    if random.one_in(20) {
        all.truncate(1);
    }
    all
}

fn tenant() -> Arc<str> {
    DEFAULT_TENANT.into()
}

fn deploy(world: &mut World, random: &mut Random) {
    let id = format!("p{}", random.below(3));
    // Few texts for each process, so that the same one is also deployed again.
    let text_seed = random.below(4) + 10 * world.setup.seed;
    let process = Process::random(&id, Random::stream(text_seed, &id));
    let text = process.text();
    let bytes: Arc<[u8]> = notation::xml(&text).into_bytes().into();
    let resource = Resource {
        name: format!("{id}.bpmn").into(),
        bytes: Arc::clone(&bytes),
    };
    world.reference.knows(bytes, process);
    world.say(format!("  {text}"));
    let command = Command::Deploy(Deploy {
        tenant: tenant(),
        resources: vec![resource],
    });
    ask(world, Asked::Deploy, command, random);
}

fn create(world: &mut World, random: &mut Random) {
    let operation = world.clients.next_operation();
    let request: Option<Arc<str>> = random
        .one_in(4)
        .then(|| Arc::from(format!("request-{}", random.below(12))));
    let command = Command::CreateInstance(CreateInstance {
        tenant: tenant(),
        process: ProcessSelector::Latest {
            process_id: format!("p{}", random.below(3)).into(),
        },
        variables: document(&variables(world, random)),
        await_result: (request.is_none() && random.one_in(4)).then(Vec::new),
        tags: vec![Facts::name_of(operation)],
        business_id: None,
        idempotency_key: request.clone(),
    });
    ask_as(world, operation, Asked::Create { request }, command, random);
}

fn cancel(world: &mut World, random: &mut Random) {
    if let Some(instance) = random.pick(&living(&world.history)).copied() {
        let command = Command::CancelInstance { instance };
        ask(world, Asked::Cancel(instance), command, random);
    }
}

fn set_variables(world: &mut World, random: &mut Random) {
    let operation = world.clients.next_operation();
    if let Some(instance) = random.pick(&living(&world.history)).copied() {
        let mut values = variables(world, random);
        values.push(("mark", operation.to_string()));
        let command = Command::SetVariables(SetVariables {
            scope: instance.root(),
            variables: document(&values),
            local: random.one_in(2),
        });
        ask_as(world, operation, Asked::SetVariables, command, random);
    }
}

fn resolve(world: &mut World, random: &mut Random) {
    let Some((key, open)) = random.nth(world.history.facts.incidents.iter()) else {
        return;
    };
    let (key, open) = (*key, *open);
    if let Some(job) = open.job.filter(|_| random.one_in(2)) {
        let command = Command::UpdateJob {
            job,
            retries: Some(2),
            timeout_ms: None,
        };
        ask(world, Asked::Other, command, random);
    }
    let command = Command::ResolveIncident { incident: key };
    ask(world, Asked::Resolve(key), command, random);
}

fn activate(world: &mut World, random: &mut Random) {
    let operation = world.clients.next_operation();
    let job_type = random.pick(&JOB_TYPES).copied().unwrap_or("t1");
    let command = Command::ActivateJobs(ActivateJobs {
        tenants: vec![tenant()],
        job_type: job_type.into(),
        worker: Facts::name_of(operation),
        timeout_ms: 500 + i64::try_from(random.below(5_000)).unwrap_or(0),
        max_jobs: 1 + u32::try_from(random.below(4)).unwrap_or(0),
        fetch_variables: Vec::new(),
    });
    ask_as(world, operation, Asked::Activate, command, random);
}

/// A worker answers one of its jobs, or forgets about it.
fn answer_job(world: &mut World, kind: Kind, random: &mut Random) {
    if world.clients.held.is_empty() {
        return;
    }
    let at = random.index(world.clients.held.len());
    let job = world.clients.held.swap_remove(at);
    world.clients.done.push(job);
    if random.one_in(10) {
        // The worker has vanished.
        return;
    }
    answer(world, kind, job, random);
}

fn answer(world: &mut World, kind: Kind, job: JobKey, random: &mut Random) {
    let operation = world.clients.next_operation();
    let named = Facts::name_of(operation);
    let values = document(&[("n", random.below(9).to_string())]);
    let (asked, command) = match kind {
        Kind::Fail => (
            Asked::Fail,
            Command::FailJob(FailJob {
                job,
                retries: i32::try_from(random.below(3)).unwrap_or(0),
                message: named,
                backoff_ms: 400 * i64::try_from(random.below(3)).unwrap_or(0),
                variables: Document::empty(),
            }),
        ),
        Kind::ThrowError => (
            Asked::ThrowError,
            Command::ThrowJobError(ThrowJobError {
                job,
                code: format!("E{}", random.below(3)).into(),
                message: named,
                variables: values,
            }),
        ),
        _ => (
            Asked::Complete(job),
            Command::CompleteJob {
                job,
                variables: values,
            },
        ),
    };
    ask_as(world, operation, asked, command, random);
}

/// Late or twice: about a job that the worker had before.
fn answer_again(world: &mut World, random: &mut Random) {
    let Some(job) = random.pick(&world.clients.done).copied() else {
        return;
    };
    let kind = if random.one_in(4) {
        Kind::Fail
    } else {
        Kind::Complete
    };
    answer(world, kind, job, random);
}

fn update_job(world: &mut World, random: &mut Random) {
    let Some(job) = random.nth(world.history.facts.jobs.keys()).copied() else {
        return;
    };
    let operation = world.clients.next_operation();
    let (asked, retries, timeout_ms) = if random.one_in(2) {
        let retries = i32::try_from(operation).unwrap_or(i32::MAX);
        (Asked::Retries, Some(retries), None)
    } else {
        let timeout = i64::try_from(random.below(3_000)).unwrap_or(0);
        (Asked::Other, None, Some(timeout))
    };
    let command = Command::UpdateJob {
        job,
        retries,
        timeout_ms,
    };
    ask_as(world, operation, asked, command, random);
}

fn open_stream(world: &mut World, random: &mut Random) {
    let spec = StreamSpec {
        tenants: vec![tenant()],
        job_type: random.pick(&JOB_TYPES).copied().unwrap_or("t1").into(),
        worker: "streaming".into(),
        timeout_ms: 1_000 + i64::try_from(random.below(3_000)).unwrap_or(0),
        fetch_variables: Vec::new(),
        capacity: 1 + u32::try_from(random.below(4)).unwrap_or(0),
    };
    let stream = alive(&mut world.running).streams.register(spec);
    world.clients.streams.push(stream);
}

fn close_stream(world: &mut World, random: &mut Random) {
    if world.clients.streams.is_empty() {
        return;
    }
    let at = random.index(world.clients.streams.len());
    let stream = world.clients.streams.swap_remove(at);
    alive(&mut world.running).streams.deregister(stream);
}

fn handle_push(world: &mut World, random: &mut Random) {
    if world.clients.pushed.is_empty() {
        return;
    }
    let at = random.index(world.clients.pushed.len());
    let (stream, job) = world.clients.pushed.swap_remove(at);
    alive(&mut world.running).streams.release(stream, 1);
    if random.one_in(4) {
        // It did not get through.
        ask(world, Asked::Other, Command::YieldJob { job }, random);
    } else {
        world.clients.held.push(job);
    }
}

fn publish(world: &mut World, random: &mut Random) {
    let operation = world.clients.next_operation();
    let name = if random.one_in(4) {
        START_MESSAGE
    } else {
        random.pick(&MESSAGES).copied().unwrap_or(START_MESSAGE)
    };
    let mut values = variables(world, random);
    values.push(("published", operation.to_string()));
    let command = Command::PublishMessage(PublishMessage {
        tenant: tenant(),
        name: name.into(),
        correlation_key: random.below(4).to_string().replace('3', "").into(),
        message_id: if random.one_in(4) {
            format!("id-{}", random.below(3)).into()
        } else {
            "".into()
        },
        ttl_ms: 900 * i64::try_from(random.below(4)).unwrap_or(0),
        variables: document(&values),
    });
    ask_as(world, operation, Asked::Message, command, random);
}

fn correlate(world: &mut World, random: &mut Random) {
    let operation = world.clients.next_operation();
    let mut values = variables(world, random);
    values.push(("published", operation.to_string()));
    let command = Command::CorrelateMessage(CorrelateMessage {
        tenant: tenant(),
        name: random
            .pick(&MESSAGES)
            .copied()
            .unwrap_or(START_MESSAGE)
            .into(),
        correlation_key: random.below(3).to_string().into(),
        variables: document(&values),
    });
    ask_as(world, operation, Asked::Message, command, random);
}

fn broker(world: &mut World, random: &mut Random) -> Result<(), String> {
    let now = alive(&mut world.running).partition.now().0;
    let offered = if random.one_in(4) {
        world.broker.post(random, now, &mut world.exercised)?
    } else {
        let taken_in = &world.clients.taken_in;
        Some(
            world
                .broker
                .offer(random, now, taken_in, &mut world.exercised)?,
        )
    };
    if let Some((command, offered)) = offered.filter(|(_, offered)| !offered.is_empty()) {
        let command = Command::IngestEvents(command);
        ask(world, Asked::Ingest(offered), command, random);
    }
    Ok(())
}

/// The carrier of deliveries takes a turn.
pub(crate) fn deliver(
    world: &mut World,
    behaviour: Behaviour,
    random: &mut Random,
) -> Result<(), String> {
    let now = Timestamp(world.clock.monotonic_ms());
    let requests = alive(&mut world.running).carrier.turn(
        now,
        behaviour,
        random,
        &mut world.receivers,
        &world.history.facts,
        &mut world.exercised,
    )?;
    for request in requests {
        let is_read = matches!(request, Request::Read(_));
        // The delivery itself says again what became of an entry; a question is asked again here.
        if !world.submit(request) && is_read {
            alive(&mut world.running).carrier.read_refused();
        }
    }
    Ok(())
}

fn subscribe(world: &mut World, random: &mut Random) {
    let command = world.subscribers.change(&world.history.facts, random);
    world.say(format!("  {command:?}"));
    world.submit(Slot::default().request(command, None));
}

fn settle_dead(world: &mut World, random: &mut Random) {
    let is_redrive = !random.one_in(3);
    let (facts, ledger) = (&world.history.facts, &world.ledger);
    let settle = world.subscribers.settle(facts, ledger, is_redrive, random);
    if let Some(command) = settle {
        world.say(format!("  {command:?}"));
        world.submit(Slot::default().request(command, None));
    }
}

fn pass(world: &mut World, random: &mut Random) {
    let ms = match random.below(8) {
        0..=3 => random.below(500),
        4..=6 => random.below(5_000),
        _ => random.below(40_000),
    };
    world.say(format!("  {ms} ms pass"));
    world.clock.pass(i64::try_from(ms).unwrap_or(0));
}

/// The wall clock between two processes.
fn jump(world: &mut World, random: &mut Random) {
    const HOUR_MS: i64 = 3_600_000;
    let ms = i64::try_from(random.below(10_000)).unwrap_or(0);
    match random.below(10) {
        0 => world.clock.jump(ms),
        1 => world.clock.jump(-ms),
        2 => world.clock.jump(2 * HOUR_MS),
        3 => world.clock.jump(-2 * HOUR_MS),
        _ => {}
    }
}

fn fail_io(world: &mut World, random: &mut Random) {
    world.armed = true;
    let n = 1 + random.below(8);
    if random.one_in(2) {
        world.disks.files.fail_write(n);
    } else {
        world.disks.files.fail_sync(n);
    }
}

/// Little room is left; the reserve may be there or not.
fn disk_fills(world: &mut World, random: &mut Random) {
    if random.one_in(2) {
        // Where there is no room for a reserve a full disk hurts earlier, that is all.
        world.room().keep_reserve().ok();
    }
    world.armed = true;
    let bytes = random.below(3 * world.setup.journal.segment_bytes);
    world.disks.files.limit_space(Some(bytes));
}

/// A crash, and others in the middle of recovering from it.
fn crash_twice(world: &mut World, random: &mut Random) -> Result<(), String> {
    world.crash(random)?;
    for _ in 0..1 + random.below(3) {
        let n = 1 + random.below(6);
        match random.below(4) {
            0 => world.disks.files.fail_write(n),
            1 => world.disks.files.fail_sync(n),
            // Full before it begins.
            2 => world.disks.files.limit_space(Some(random.below(1 << 16))),
            // It starts and dies before it has done anything.
            _ => {}
        }
        world.armed = true;
        match world.try_restart()? {
            Ok(()) => world.crash(random)?,
            Err(why) => {
                world.say(format!("  start fails: {why}"));
                world.exercised.failed_starts += 1;
                world.disks.crash(random);
                world.armed = false;
            }
        }
    }
    jump(world, random);
    world.restart()
}
