//! Follow-ups that do not fit into one command are commands of their own, and survive whatever happens in between.

use std::collections::BTreeSet;
use std::fmt::Write;

use kapelle_engine::event::Event;
use kapelle_runtime::Options;
use kapelle_runtime::record::{self, Record, Source};
use kapelle_storage::files::Crash;
use kapelle_storage::journal::{BatchKind, Journal};
use kapelle_storage::position::Sequence as StoredSequence;
use kapelle_storage::store::Loss;

use crate::world::*;

/// Far more paths at once than the engine takes steps in one command.
const PATHS: u32 = 1_500;

/// A fork into many paths that do not wait.
fn wide() -> String {
    let mut xml = String::from(
        r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
  <bpmn:process id="order" isExecutable="true">
    <bpmn:startEvent id="start" />
    <bpmn:sequenceFlow id="f" sourceRef="start" targetRef="fork" />
    <bpmn:parallelGateway id="fork" />
    <bpmn:endEvent id="done" />
"#,
    );
    for path in 0..PATHS {
        writeln!(
            xml,
            r#"<bpmn:manualTask id="t{path}" />
               <bpmn:sequenceFlow id="a{path}" sourceRef="fork" targetRef="t{path}" />
               <bpmn:sequenceFlow id="b{path}" sourceRef="t{path}" targetRef="done" />"#
        )
        .expect("a string takes everything");
    }
    xml.push_str("</bpmn:process></bpmn:definitions>");
    xml
}

fn count(world: &mut World, is: impl Fn(&Event) -> bool) -> usize {
    world
        .events()
        .iter()
        .filter(|(_, _, event)| is(event))
        .count()
}

#[test]
fn a_wide_process_goes_on_after_every_crash_and_ends_once() {
    let options = Options {
        tail_records_max: 4_000,
        overlay_entries_max: 500,
        ..small()
    };
    let mut world = World::new(options);
    world.deploy_xml(&wide());
    let (request, slot) = request(create("order-1"));
    let mut requests = vec![request];
    let (mut crashes, mut most) = (0, 0);
    for round in 0_u64.. {
        world.step(&mut requests).expect("nothing fails here");
        world
            .partition()
            .journal()
            .complete()
            .expect("nothing fails here");
        most = most.max(world.partition().metrics().leftovers.get());
        if round % 4 == 3 {
            if count(&mut world, |event| matches!(event, Event::InstanceEnded(_))) > 0 {
                break;
            }
            let crash = if round % 8 == 3 {
                Crash::Lose
            } else {
                Crash::Keep
            };
            world.lose_power(
                crash,
                Loss {
                    blobs_kept: 1,
                    payloads_kept: 0,
                    cuts_kept: 0,
                },
            );
            world.start_without_finishing().expect("it starts again");
            crashes += 1;
        }
    }
    assert!(
        slot.get().is_some_and(|reply| reply.is_ok()),
        "answered when the first part was durable"
    );
    assert!(
        crashes >= 3 && most > 500,
        "{crashes} crashes, {most} follow-ups at once"
    );
    world.finish().expect("nothing fails here");
    assert_eq!(
        count(&mut world, |event| matches!(event, Event::InstanceEnded(_))),
        1
    );
    let paths = count(&mut world, |event| matches!(event, Event::FlowTaken { .. }));
    assert_eq!(paths, 1 + 2 * PATHS as usize, "each flow was taken once");
    assert_each_done_once(&mut world);
    world.assert_equals_model();
}

/// The engine would notice most follow-ups that come a second time; that is no reason to let them.
fn assert_each_done_once(world: &mut World) {
    let (mut left, mut done) = (BTreeSet::new(), BTreeSet::new());
    let reader = world.partition().journal().reader();
    let mut cursor = reader
        .read_from(StoredSequence(1))
        .expect("nothing was trimmed");
    while let Some(batch) = cursor.next_batch().expect("readable") {
        for (sequence, bytes) in batch.records().filter(|_| batch.kind == BatchKind::Records) {
            match record::read(bytes).expect("a record") {
                Record::Leftover(_) => assert!(left.insert(sequence.0)),
                Record::Header(header) => {
                    if let Source::Leftover(of) = header.source {
                        assert!(
                            done.insert(of.0),
                            "the follow-up of record {} was decided twice",
                            of.0
                        );
                    }
                }
                Record::Event(_) => {}
            }
        }
    }
    assert_eq!(left, done);
}
