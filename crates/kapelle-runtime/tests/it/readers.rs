//! Reading behind the writer.

use std::time::Duration;

use kapelle_engine::ids::Sequence;

use crate::world::*;

#[test]
fn a_reader_sees_durable_records_only_in_order_each_once() {
    let mut world = World::new(small());
    world.deploy();
    let mut reader = world
        .partition()
        .readers()
        .subscribe("history", Sequence(1))
        .expect("nothing was trimmed");
    let mut seen = reader.poll(usize::MAX).expect("readable");
    let (command, slot) = request(create("order-1"));
    world.step(&mut vec![command]).expect("nothing fails here");
    assert_eq!(
        reader.poll(usize::MAX).expect("readable"),
        [],
        "in flight is not committed"
    );
    assert!(!reader.wait(Duration::ZERO));
    world.finish().expect("nothing fails here");
    assert!(reader.wait(Duration::ZERO));
    while let more = reader.poll(1).expect("readable")
        && !more.is_empty()
    {
        seen.extend(more);
    }
    assert!(slot.get().is_some());
    let all: Vec<_> = world
        .events()
        .into_iter()
        .map(|(sequence, _, _)| sequence)
        .collect();
    assert_eq!(
        seen.iter()
            .map(|record| record.sequence)
            .collect::<Vec<_>>(),
        all
    );
    assert!(all.is_sorted());
    assert!(
        seen.iter()
            .all(|record| record.command.sequence < record.sequence)
    );
}

#[test]
fn a_reader_may_begin_in_the_middle_of_a_command() {
    let mut world = World::new(small());
    world.deploy();
    world.create("order-1");
    let all = world.events();
    let (from, _, event) = all[all.len() - 2].clone();
    let mut reader = world
        .partition()
        .readers()
        .subscribe("late", from)
        .expect("nothing was trimmed");
    let seen = reader.poll(usize::MAX).expect("readable");
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].sequence, &seen[0].event), (from, &event));
}

#[test]
fn committed_is_what_a_restart_finds() {
    let mut world = World::new(small());
    world.deploy();
    let committed = world.partition().readers().committed();
    assert!(
        world
            .partition()
            .readers()
            .wait_committed(committed, Duration::ZERO)
    );
    assert!(
        !world
            .partition()
            .readers()
            .wait_committed(Sequence(committed.0 + 1), Duration::ZERO)
    );
    world.start().expect("it starts again");
    assert!(
        world.partition().readers().committed() > committed,
        "the new leader's announcement follows"
    );
}
