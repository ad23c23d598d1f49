//! A random workload whose process dies at random moments, with whatever loss the disks allow. What was acknowledged must be
//! there exactly once afterwards, and the state must be what the committed events say.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_engine::command::Command;
use kapelle_engine::event::Event;
use kapelle_engine::ids::{JobKey, ProcessInstanceKey};
use kapelle_engine::response::Response;
use kapelle_runtime::Options;
use kapelle_storage::files::Crash;
use kapelle_storage::store::Loss;

use crate::world::*;

/// What the clients wrote down when they got their answers.
#[derive(Default)]
struct Notes {
    created: BTreeSet<ProcessInstanceKey>,
    completed: BTreeSet<JobKey>,
    activated: Vec<JobKey>,
    waiting: Vec<(Asked, Slot)>,
    ids: u32,
    unknown: u32,
}

#[derive(Clone, Copy)]
enum Asked {
    Create,
    Activate,
    Complete(JobKey),
    Other,
}

impl Notes {
    fn take_answers(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for (asked, slot) in waiting {
            match (asked, slot.get()) {
                (_, None) => self.waiting.push((asked, slot)),
                (Asked::Create, Some(Ok(Response::InstanceCreated(created)))) => {
                    assert!(self.created.insert(created.instance), "a key is given once");
                }
                (Asked::Activate, Some(Ok(Response::JobsActivated(jobs)))) => {
                    self.activated.extend(jobs.iter().map(|job| job.job));
                }
                (Asked::Complete(job), Some(Ok(_))) => {
                    assert!(self.completed.insert(job), "job {job} was completed twice");
                }
                (_, Some(_)) => {}
            }
        }
    }

    fn forget_unanswered(&mut self) {
        self.unknown += u32::try_from(self.waiting.len()).expect("few");
        self.waiting.clear();
    }

    fn next_command(&mut self, random: &mut Random) -> (Asked, Command) {
        match random.below(10) {
            0..=3 => {
                self.ids += 1;
                (Asked::Create, create(&format!("order-{}", self.ids)))
            }
            4..=5 => (Asked::Activate, activate(3)),
            6..=7 if !self.activated.is_empty() => {
                let at = random.below(self.activated.len());
                let job = self.activated.swap_remove(at);
                if random.below(5) == 0 {
                    (Asked::Other, fail(job, 1))
                } else {
                    (Asked::Complete(job), complete(job))
                }
            }
            8 if !self.created.is_empty() => {
                let all: Vec<_> = self.created.iter().copied().collect();
                (
                    Asked::Other,
                    Command::CancelInstance {
                        instance: all[random.below(all.len())],
                    },
                )
            }
            _ => {
                let id = random.below(self.ids as usize + 2);
                (Asked::Other, publish(&format!("order-{id}")))
            }
        }
    }
}

/// What the run came to; a run that exercised nothing proves nothing.
#[derive(Debug, Default)]
struct Exercised {
    crashes: u64,
    acknowledged: u64,
    unknown: u64,
    checkpoints: u64,
    loads: u64,
    evictions: u64,
    replayed: u64,
}

fn run(seed: u64) -> Exercised {
    let mut random = Random(seed);
    // Half of the runs are short of memory, so that everything is written back at once; in the others instances are dirty for
    // long, and the tail begins before the cut.
    let cache_bytes_max = if seed.is_multiple_of(2) {
        12_000
    } else {
        200_000
    };
    let mut world = World::new(Options {
        cache_bytes_max,
        ..small()
    });
    world.deploy();
    let mut notes = Notes::default();
    let mut exercised = Exercised::default();
    for _ in 0..12 {
        live(&mut world, &mut notes, &mut random);
        exercised.add(&mut world);
        notes.take_answers();
        notes.forget_unanswered();
        let crash = match random.below(3) {
            0 => Crash::Keep,
            1 => Crash::Lose,
            _ => Crash::Tear(random.next()),
        };
        let loss = Loss {
            blobs_kept: random.below(4),
            payloads_kept: 0,
            cuts_kept: random.below(2),
        };
        world.lose_power(crash, loss);
        exercised.crashes += 1;
        world
            .start()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        exercised.replayed += world.partition().metrics().recovery_records.get();
        assert_nothing_lost(&mut world, &notes, seed);
    }
    exercised.acknowledged = (notes.created.len() + notes.completed.len()) as u64;
    exercised.unknown = u64::from(notes.unknown);
    exercised
}

/// Up to a few hundred random things, some of them only half done when it ends.
fn live(world: &mut World, notes: &mut Notes, random: &mut Random) {
    let mut requests = Vec::new();
    for _ in 0..40 + random.below(200) {
        for _ in 0..random.below(4) {
            let (asked, command) = notes.next_command(random);
            let (request, slot) = request(command);
            notes.waiting.push((asked, slot));
            requests.push(request);
        }
        world.step(&mut requests).expect("nothing fails here");
        if random.below(3) > 0 {
            world
                .partition()
                .journal()
                .complete()
                .expect("nothing fails here");
        }
        if random.below(20) == 0 {
            world
                .clock
                .advance(i64::try_from(random.below(40_000)).expect("small"));
        }
        notes.take_answers();
    }
}

fn assert_nothing_lost(world: &mut World, notes: &Notes, seed: u64) {
    let mut created: BTreeMap<ProcessInstanceKey, u32> = BTreeMap::new();
    let mut completed: BTreeMap<JobKey, u32> = BTreeMap::new();
    for (_, _, event) in world.events() {
        match event {
            Event::InstanceCreated(event) => *created.entry(event.instance).or_default() += 1,
            Event::JobCompleted { job, .. } => *completed.entry(job.job).or_default() += 1,
            _ => {}
        }
    }
    for key in &notes.created {
        assert_eq!(
            created.get(key),
            Some(&1),
            "seed {seed}: acknowledged instance {key}"
        );
    }
    for key in &notes.completed {
        assert_eq!(
            completed.get(key),
            Some(&1),
            "seed {seed}: acknowledged completion of {key}"
        );
    }
    world.assert_equals_model();
}

impl Exercised {
    fn add(&mut self, world: &mut World) {
        let metrics = world.partition().metrics();
        self.checkpoints += metrics.checkpoints.get();
        self.loads += metrics.loads.get();
        self.evictions += metrics.evictions.get();
    }
}

/// A quick look each time, a campaign when the expensive assertions are on.
const SEEDS: u64 = if cfg!(feature = "verify") { 100 } else { 6 };

#[test]
fn what_was_acknowledged_survives_every_crash_exactly_once() {
    let mut total = Exercised::default();
    for seed in 0..SEEDS {
        let run = run(seed);
        total.crashes += run.crashes;
        total.acknowledged += run.acknowledged;
        total.unknown += run.unknown;
        total.checkpoints += run.checkpoints;
        total.loads += run.loads;
        total.evictions += run.evictions;
        total.replayed += run.replayed;
    }
    println!("{total:?}");
    let each = |count: u64| count / SEEDS;
    let enough = each(total.crashes) >= 10
        && each(total.acknowledged) >= 100
        && each(total.unknown) >= 5
        && each(total.checkpoints) >= 10
        && each(total.loads) >= 10
        && each(total.evictions) >= 10
        && each(total.replayed) >= 100;
    assert!(enough, "too little was exercised: {total:?}");
}
