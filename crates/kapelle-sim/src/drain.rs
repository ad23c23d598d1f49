//! The end of a run: the faults stop, everyone does their duty, and everything has to end.
//!
//! Workers complete every job, operators set the variables that were missing and resolve every incident, messages come for
//! whoever waits for one, time passes, receivers take everything. An instance whose incident comes back again and again
//! (an error that nobody catches) is cancelled.

use std::collections::BTreeMap;

use kapelle_engine::command::*;
use kapelle_engine::document::Document;
use kapelle_engine::ids::*;
use kapelle_storage::journal::Journal as _;

use crate::clients::{Asked, Slot};
use crate::disk::JOURNAL;
use crate::history;
use crate::network;
use crate::play::{ask, deliver, document};
use crate::random::Random;
use crate::receivers::Behaviour;
use crate::subscribers::Subscribers;
use crate::world::{World, alive};

/// Rounds after which what has not ended never will: the longest random process has a dozen steps in a row.
const ROUNDS_MAX: u32 = 120;
/// Turns of the backbone in a round: of a key each delivers one CloudEvent.
const ROUTES: u32 = 20;
const HOUR_MS: i64 = 3_600_000;
/// How often an instance's incidents are resolved before it is cancelled.
const RESOLVED_MAX: u32 = 4;

pub(crate) fn drain(world: &mut World, random: &mut Random) -> Result<(), String> {
    world.say("Drain");
    world.network.becomes_calm();
    heal(world, random)?;
    network::calm(world, random);
    world.compare()?;
    let living = world.history.facts.instances.len() as u64;
    let mut resolved: BTreeMap<ProcessInstanceKey, u32> = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        if is_over(world) {
            break;
        }
        round(world, &mut resolved, random);
        for _ in 0..4 {
            deliver(world, Behaviour::Honest, random)?;
            world.route(Behaviour::Honest, random)?;
            world.settle()?;
        }
        // Short steps, so that what is due is done one after the other.
        world.clock.pass(2_500);
        world.settle()?;
        world.exercised.operations += 1;
    }
    world.exercised.drained += living;
    world.compare()?;
    ended(world)?;
    routed(world, random)?;
    forgotten(world)?;
    world.account();
    world.subscribers.account(&mut world.exercised);
    Ok(())
}

/// No fault is armed any more, and whatever was taken fits into a batch.
fn heal(world: &mut World, random: &mut Random) -> Result<(), String> {
    world.crash(random)?;
    world.restart()?;
    if world.setup.is_tight(world.starts) {
        world.crash(random)?;
        world.restart()?;
    }
    world.settle()
}

fn is_over(world: &World) -> bool {
    let facts = &world.history.facts;
    facts.instances.is_empty() && facts.outbox.len() == facts.left.len() && !facts.will_start()
}

fn round(world: &mut World, resolved: &mut BTreeMap<ProcessInstanceKey, u32>, random: &mut Random) {
    let cure = document(&[
        ("n", "5".to_owned()),
        ("k", "1".to_owned()),
        ("kind", "\"t1\"".to_owned()),
        // What was too large is not any more.
        ("room", "\"\"".to_owned()),
    ]);
    let incidents: Vec<_> = world
        .history
        .facts
        .incidents
        .iter()
        .map(|(key, open)| (*key, *open))
        .collect();
    for (incident, open) in incidents {
        let times = resolved.entry(open.instance).or_default();
        *times += 1;
        if *times > RESOLVED_MAX {
            let command = Command::CancelInstance {
                instance: open.instance,
            };
            world.exercised.canceled += 1;
            ask(world, Asked::Cancel(open.instance), command, random);
            continue;
        }
        let set = SetVariables {
            scope: open.element,
            variables: cure.clone(),
            local: false,
        };
        ask(world, Asked::Other, Command::SetVariables(set), random);
        if let Some(job) = open.job {
            let command = Command::UpdateJob {
                job,
                retries: Some(3),
                timeout_ms: None,
            };
            ask(world, Asked::Other, command, random);
        }
        let command = Command::ResolveIncident { incident };
        ask(world, Asked::Other, command, random);
    }
    let jobs: Vec<JobKey> = world
        .history
        .facts
        .jobs
        .iter()
        .filter(|(_, job)| !job.stuck)
        .map(|(key, _)| *key)
        .collect();
    for job in jobs {
        let command = Command::CompleteJob {
            job,
            variables: Document::empty(),
        };
        ask(world, Asked::Other, command, random);
    }
    let wanted: Vec<_> = world
        .history
        .facts
        .subscriptions
        .values()
        .cloned()
        .collect();
    for open in wanted {
        let command = Command::PublishMessage(PublishMessage {
            tenant: DEFAULT_TENANT.into(),
            name: open.name,
            correlation_key: open.key,
            message_id: "".into(),
            ttl_ms: 0,
            variables: cure.clone(),
        });
        ask(world, Asked::Other, command, random);
    }
}

fn ended(world: &World) -> Result<(), String> {
    let facts = &world.history.facts;
    if let Some(instance) = facts.instances.keys().next() {
        let waits = |what: &str, is: bool| {
            if is {
                format!(" {what}")
            } else {
                String::new()
            }
        };
        return Err(format!(
            "instance {instance} never ends; there are{}{}{} in the world",
            waits("jobs", !facts.jobs.is_empty()),
            waits("subscriptions", !facts.subscriptions.is_empty()),
            waits("incidents", !facts.incidents.is_empty()),
        ));
    }
    match facts
        .outbox
        .keys()
        .find(|key| !facts.left.contains_key(key))
    {
        None => Ok(()),
        Some(entry) => Err(format!("entry {entry} never leaves the outbox")),
    }
}

/// Everything that subscribers are owed reaches them; dead letters are redriven, and reach them too.
fn routed(world: &mut World, random: &mut Random) -> Result<(), String> {
    for command in Subscribers::resume(&world.history.facts, random) {
        world.submit(Slot::default().request(command, None));
    }
    for round in 0..ROUNDS_MAX {
        let redrive = world
            .subscribers
            .settle(&world.history.facts, &world.ledger, true, random);
        let is_over = redrive.is_none() && world.subscribers.owes(&world.history.facts).is_none();
        if let Some(command) = redrive {
            world.submit(Slot::default().request(command, None));
        }
        world.settle()?;
        for _ in 0..ROUTES {
            world.route(Behaviour::Honest, random)?;
        }
        if is_over {
            break;
        }
        // What was to be tried again before the wall clock was set back by hours waits for that long.
        let is_patient = round >= ROUNDS_MAX / 2;
        world.clock.pass(if is_patient { HOUR_MS } else { 1_000 });
    }
    world
        .subscribers
        .owes(&world.history.facts)
        .map_or(Ok(()), Err)
}

/// Time passes until no window is open any more: nothing remembers the dead, and disk and memory are small again.
fn forgotten(world: &mut World) -> Result<(), String> {
    let limits = &world.setup.options.limits;
    let window = limits
        .dedup_window_ms
        .max(limits.request_window_ms)
        .max(limits.binding_ttl_ms);
    for _ in 0..3 {
        world.clock.pass(window + window / 4);
        world.settle()?;
    }
    world.history.look_back_less();
    for _ in 0..3 {
        world.route(Behaviour::Honest, &mut Random::new(1))?;
        // A new start's announcement makes each of the checkpoints have something new.
        alive(&mut world.running).partition.checkpoint();
        for _ in 0..50 {
            world.settle()?;
            if alive(&mut world.running).partition.is_checkpointed() {
                break;
            }
        }
        if !alive(&mut world.running).partition.is_checkpointed() {
            return Err("a checkpoint is never done".to_owned());
        }
        let mut random = Random::new(1);
        world.crash(&mut random)?;
        world.restart()?;
        world.compare()?;
    }
    if let Some(left) = history::left_behind(&world.history.memory) {
        return Err(format!("everything is over, but an index remembers {left}"));
    }
    let journal = alive(&mut world.running).partition.journal();
    let first = journal.reader().first().0;
    let segments = world.disks.segments().len();
    if world.setup.releases && segments > 6 {
        return Err(format!(
            "the journal is never trimmed: {segments} segments in {JOURNAL}, from record {first}"
        ));
    }
    Ok(())
}
