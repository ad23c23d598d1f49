//! Write-back, recovery by the tail, trimming; and what happens when any single write of them fails.

use std::sync::Arc;

use kapelle_engine::command::{Command, SetVariables};
use kapelle_engine::ids::{ElementInstanceKey, Sequence};
use kapelle_engine::keep::Keep;
use kapelle_runtime::reader::ReadError;
use kapelle_runtime::{AwaitedReader, Options, TooFarBehind};
use kapelle_storage::files::Crash;
use kapelle_storage::journal::{self, Journal};
use kapelle_storage::position::Sequence as StoredSequence;
use kapelle_storage::store::{Backend, BlobKey, BlobWrite, Loss};

use crate::world::*;

fn metric(world: &mut World, name: &str) -> u64 {
    let all = world.partition().metrics().snapshot();
    all.into_iter()
        .find(|(other, _)| *other == name)
        .expect("a metric of that name")
        .1
}

/// Asks for a checkpoint of everything and steps until it is there.
fn checkpoint(world: &mut World) {
    world.partition().checkpoint();
    for _ in 0..1_000 {
        world.step(&mut Vec::new()).expect("nothing fails here");
        world.finish().expect("nothing fails here");
        if world.partition().is_checkpointed() {
            return;
        }
    }
    panic!("the checkpoint never ends");
}

#[test]
fn after_a_checkpoint_of_everything_a_restart_replays_almost_nothing() {
    let mut world = World::new(Options::default());
    world.deploy();
    for id in 0..50 {
        world.create(&format!("order-{id}"));
    }
    world.start().expect("it starts again");
    assert!(
        metric(&mut world, "recovery_records") > 500,
        "without a checkpoint everything is replayed"
    );
    checkpoint(&mut world);
    world.start().expect("it starts again");
    assert_eq!(
        metric(&mut world, "recovery_records"),
        0,
        "only the fence of the new leader came after it"
    );
    world.assert_equals_model();
    assert_eq!(world.activate(100).len(), 50);
}

/// Few records, and many bytes: neither the tail's records nor memory ask for write-back.
#[test]
fn large_changes_of_one_instance_do_not_end_intake() {
    let mut world = World::new(Options {
        tail_bytes_max: 200_000,
        ..Options::default()
    });
    world.deploy();
    let instance = world.create("order-1");
    for round in 0..100 {
        let Command::CreateInstance(large) = create_large(10_000 + round) else {
            unreachable!("it creates an instance")
        };
        let change = Command::SetVariables(SetVariables {
            scope: ElementInstanceKey(instance.0),
            variables: large.variables,
            local: true,
        });
        world.ask(change).expect("intake goes on");
    }
    let told =
        ["journal_bytes", "tail_records", "checkpoints"].map(|name| metric(&mut world, name));
    assert!(told[2] > 1, "{told:?}");
    world.assert_equals_model();
}

#[test]
fn instances_leave_memory_and_come_back_when_they_are_needed() {
    let mut world = World::new(small());
    world.deploy();
    for id in 0..60 {
        world.create(&format!("order-{id}"));
    }
    let hot = metric(&mut world, "hot_instances");
    assert!(hot < 40, "{hot} of 60 instances are in memory");
    for job in world.activate(100) {
        world.ask(complete(job)).expect("the job is there");
    }
    for id in 0..60 {
        world
            .ask(publish(&format!("order-{id}")))
            .expect("published");
    }
    assert!(metric(&mut world, "loads") > 40);
    assert!(metric(&mut world, "evictions") > 40);
    assert_eq!(world.model().instances().count(), 0, "all are done");
    world.assert_equals_model();
}

/// As after a start from an older copy of the store, or with a smaller limit than before: intake waits for checkpoints, so
/// they must not wait for it.
#[test]
fn a_start_with_a_tail_far_over_its_limit_comes_to_take_work() {
    let large = Options {
        tail_records_max: 1_000_000,
        overlay_entries_max: 1_000_000,
        cache_bytes_max: 1 << 30,
        ..small()
    };
    let mut world = World::new(large);
    world.deploy();
    for id in 0..3000 {
        world.create(&format!("order-{id}"));
    }
    world.options = small();
    world.start().expect("it starts again");
    world.create("one more");
    world.assert_equals_model();
}

#[test]
fn an_instance_that_ends_soon_never_reaches_the_store() {
    let mut world = World::new(Options {
        tail_records_max: 1_000,
        ..Options::default()
    });
    world.deploy();
    for id in 0..100 {
        let instance = world.create(&format!("order-{id}"));
        let job = world.activate(1)[0];
        world.ask(complete(job)).expect("the job is there");
        world
            .ask(publish(&format!("order-{id}")))
            .expect("published");
        assert!(
            world
                .backend
                .blob(BlobKey::root(instance.0))
                .expect("readable")
                .is_none()
        );
    }
    assert!(metric(&mut world, "checkpoints") > 0);
}

/// Segments so small that what may be trimmed is.
fn trimming(options: Options) -> World {
    let mut world = World::new(options);
    world.keep_all = false;
    world.journal_options = journal::Options {
        segment_bytes: 1 << 16,
        first_segment_bytes: 1 << 16,
        ..world.journal_options
    };
    world.start().expect("it starts again");
    world
}

fn first(world: &mut World) -> u64 {
    world.partition().journal().reader().first().0
}

#[test]
fn the_journal_is_trimmed_behind_two_checkpoints_and_every_reader() {
    let mut world = trimming(small());
    world.partition().readers().forget("model");
    let slow = world
        .partition()
        .readers()
        .subscribe("slow", Sequence(1))
        .expect("nothing was trimmed");
    world.deploy();
    work(&mut world, 0..150);
    assert_eq!(first(&mut world), 1, "the reader holds it");
    slow.release(Sequence(100_000));
    work(&mut world, 150..300);
    assert!(
        first(&mut world) > 1_000,
        "the journal begins at {}",
        first(&mut world)
    );
    let late = world
        .partition()
        .readers()
        .subscribe("late", Sequence(1))
        .map(drop);
    assert!(
        matches!(late, Err(ReadError::Trimmed { wanted: Sequence(1), first }) if first.0 > 1_000),
        "{late:?}"
    );
    world.start().expect("what is left is enough");
    work(&mut world, 300..310);
}

#[test]
fn nothing_is_trimmed_before_every_awaited_reader_has_come() {
    let mut world = trimming(Options {
        readers: ["history", "gone"].map(may_be_cut_loose).to_vec(),
        reader_lag_records_max: 500,
        ..small()
    });
    let readers = Arc::clone(world.partition().readers());
    readers.forget("model");
    world.deploy();
    work(&mut world, 0..150);
    assert_eq!(first(&mut world), 1, "nobody has come");
    readers
        .subscribe("history", Sequence(1))
        .expect("nothing was trimmed")
        .release(Sequence(100_000));
    work(&mut world, 150..300);
    assert_eq!(first(&mut world), 1, "one is still to come");
    readers.forget("gone");
    work(&mut world, 300..450);
    assert!(
        first(&mut world) > 1_000,
        "the journal begins at {}",
        first(&mut world)
    );
}

#[test]
fn a_reader_too_far_behind_is_cut_loose() {
    let mut world = trimming(Options {
        reader_lag_records_max: 500,
        ..small()
    });
    world.deploy();
    let mut reader = world
        .partition()
        .readers()
        .subscribe("slow", Sequence(1))
        .expect("nothing was trimmed");
    work(&mut world, 0..300);
    let read = reader.poll(usize::MAX);
    assert!(
        matches!(read, Err(ReadError::Trimmed { .. })),
        "{:?}",
        read.map(|records| records.len())
    );
}

fn may_be_cut_loose(name: &str) -> AwaitedReader {
    AwaitedReader {
        name: name.to_owned(),
        too_far_behind: TooFarBehind::CutLoose,
    }
}

#[test]
fn intake_waits_for_a_reader_in_whose_output_nothing_may_be_missing() {
    let mut world = trimming(Options {
        readers: vec![AwaitedReader {
            too_far_behind: TooFarBehind::SlowIntake,
            ..may_be_cut_loose("events")
        }],
        reader_lag_records_max: 500,
        ..small()
    });
    world.deploy();
    let readers = Arc::clone(world.partition().readers());
    let mut reader = readers
        .subscribe("events", Sequence(1))
        .expect("nothing was trimmed");
    let mut requests: Vec<_> = (0..300)
        .map(|id| request(create(&format!("order-{id}"))).0)
        .collect();
    for _ in 0..300 {
        world.step(&mut requests).expect("nothing fails here");
        world.finish().expect("nothing fails here");
    }
    let committed = readers.committed().0;
    assert!((500..600).contains(&committed), "{committed} records");
    assert!(!requests.is_empty());
    let read = reader.poll(usize::MAX).expect("nothing was trimmed");
    let last = read.last().expect("there are records").sequence;
    reader.release(last);
    let left = requests.len();
    world.step(&mut requests).expect("nothing fails here");
    assert!(requests.len() < left, "it has caught up");
}

fn work(world: &mut World, ids: std::ops::Range<u32>) {
    for id in ids {
        world.create(&format!("order-{id}"));
        for job in world.activate(1) {
            world.ask(complete(job)).expect("the job is there");
        }
        world
            .ask(publish(&format!("order-{id}")))
            .expect("published");
    }
}

#[test]
fn a_lost_blob_of_a_living_instance_stops_the_start() {
    let mut world = World::new(small());
    world.deploy();
    let instance = world.create("order-1");
    checkpoint(&mut world);
    let lost = BlobWrite {
        key: BlobKey::root(instance.0),
        position: StoredSequence(1),
        bytes: None,
    };
    // It changes once more, so that the tail speaks of it.
    let job = world.activate(1)[0];
    world.partition = None;
    world.backend.write_blobs(&[lost]).expect("written");
    let started = world.start();
    assert_eq!(
        started,
        Err(format!(
            "the checkpoint has lost instance {instance}; restore the data directory from a copy"
        )),
        "job {job}"
    );
}

#[test]
fn a_store_that_is_ahead_of_its_journal_is_refused() {
    let mut world = World::new(small());
    world.deploy();
    work(&mut world, 0..30);
    assert!(metric(&mut world, "checkpoints") > 0);
    world.files = kapelle_storage::files::MemFiles::new();
    let refused = world.start().expect_err("the journal is empty");
    assert!(refused.contains("do not belong together"), "{refused}");
}

/// Lets the n-th write (or sync) of a disk fail, for every n until none fails, and starts again on what is left.
fn fails_everywhere(arm: impl Fn(&World, u64), what: &str) {
    for n in 1.. {
        let mut world = World::new(small());
        world.deploy();
        arm(&world, n);
        let stopped = busy(&mut world);
        if stopped.is_none() {
            assert!(n > 10, "only {n} failures of {what} were seen");
            return;
        }
        let kept = usize::try_from(n % 3).expect("small");
        world.lose_power(
            Crash::Tear(n),
            Loss {
                blobs_kept: kept,
                payloads_kept: 0,
                cuts_kept: kept / 2,
            },
        );
        world
            .start()
            .unwrap_or_else(|error| panic!("after failure {n} of {what}: {error}"));
        world.assert_equals_model();
        assert!(
            busy(&mut world).is_none(),
            "after failure {n} of {what} it works again"
        );
    }
}

/// Works for a while; why it stopped, if it did. Whoever waits then is told that the outcome is unknown.
fn busy(world: &mut World) -> Option<String> {
    for round in 0..60 {
        let (request, slot) = request(create(&format!("order-{round}")));
        let stopped = world.offer(vec![request]).err();
        if let Some(stopped) = stopped {
            if let Some(reply) = slot.get() {
                let unknown = matches!(&reply, Err(kapelle_runtime::Refusal::Unavailable { .. }));
                assert!(unknown || reply.is_ok(), "{reply:?}");
            }
            return Some(stopped.reason);
        }
        assert!(matches!(slot.get(), Some(Ok(_))), "{:?}", slot.get());
    }
    None
}

#[test]
fn any_failed_write_of_the_store_stops_and_is_recovered() {
    fails_everywhere(|world, n| world.backend.fail_write(n), "the store's writes");
}

#[test]
fn any_failed_write_of_the_journal_stops_and_is_recovered() {
    fails_everywhere(|world, n| world.files.fail_write(n), "the journal's writes");
}

#[test]
fn any_failed_sync_stops_and_is_recovered() {
    fails_everywhere(|world, n| world.files.fail_sync(n), "the journal's syncs");
}

#[test]
fn state_is_read_through_the_partition() {
    let mut world = World::new(small());
    world.deploy();
    let instance = world.create("order-1");
    let state: &mut dyn Keep = world.partition().state();
    assert!(state.pin(instance));
    assert_eq!(
        state
            .instance(instance)
            .map(kapelle_engine::state::instance::Instance::key),
        Some(instance)
    );
}

#[test]
fn what_comes_back_to_the_beginning_of_a_queue_on_disk_is_found_there() {
    let mut world = World::new(Options::default());
    world.deploy();
    for id in 0..20 {
        world.create(&format!("order-{id}"));
    }
    checkpoint(&mut world);
    let first = world.activate(3);
    for _ in 0..3 {
        world.activate(2);
    }
    world.ask(fail(first[1], 2)).expect("the job is there");
    assert_eq!(
        world.activate(1),
        [first[1]],
        "older than all that never left"
    );
    assert_eq!(world.activate(100).len(), 11);
    assert_eq!(world.activate(100), []);
    world.ask(fail(first[0], 2)).expect("the job is there");
    assert_eq!(world.activate(100), [first[0]]);
}
