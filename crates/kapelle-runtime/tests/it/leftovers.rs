//! Follow-ups that do not fit into one command are commands of their own, and survive whatever happens in between.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use kapelle_engine::command::{Command, SetVariables};
use kapelle_engine::document::Document;
use kapelle_engine::event::Event;
use kapelle_engine::ids::{IncidentKey, ProcessInstanceKey};
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

/// Each instance starts two more, and never waits.
const DOUBLING: &str = r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
  <bpmn:message id="paid-message" name="paid" />
  <bpmn:process id="order" isExecutable="true">
    <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="m" messageRef="paid-message" /></bpmn:startEvent>
    <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="one" />
    <bpmn:sendTask id="one" messageRef="paid-message">
      <bpmn:extensionElements><zeebe:publishMessage /></bpmn:extensionElements>
    </bpmn:sendTask>
    <bpmn:sequenceFlow id="f2" sourceRef="one" targetRef="two" />
    <bpmn:sendTask id="two" messageRef="paid-message">
      <bpmn:extensionElements><zeebe:publishMessage /></bpmn:extensionElements>
    </bpmn:sendTask>
    <bpmn:sequenceFlow id="f3" sourceRef="two" targetRef="done" />
    <bpmn:endEvent id="done" />
  </bpmn:process>
</bpmn:definitions>"#;

#[test]
fn a_process_that_starts_itself_comes_to_rest_whatever_happens_in_between() {
    const ENTERED_MAX: u32 = 400;
    let mut options = small();
    options.limits.steps_per_command_max = 5;
    options.limits.run_length_max = ENTERED_MAX;
    let mut world = World::new(options);
    world.deploy_xml(DOUBLING);
    world.start().expect("it starts again");
    let (request, slot) = request(publish(""));
    let mut requests = vec![request];
    let mut rounds = 0;
    while world.step(&mut requests).expect("nothing fails here") {
        world
            .partition()
            .journal()
            .complete()
            .expect("nothing fails here");
        rounds += 1;
        assert!(rounds < 1_000, "it never comes to rest");
        if rounds == 3 {
            world.start_without_finishing().expect("it starts again");
        }
    }
    world.finish().expect("nothing fails here");
    assert!(slot.get().is_some_and(|reply| reply.is_ok()));
    let entered = count(&mut world, |event| {
        matches!(event, Event::ElementActivating { .. })
    });
    let max = ENTERED_MAX as usize;
    assert!((max..3 * max).contains(&entered), "{entered} elements");
    let raised = count(&mut world, |event| {
        matches!(event, Event::IncidentRaised(_))
    });
    assert!(raised > 10, "{raised} incidents");
    assert_each_done_once(&mut world);
    world.assert_equals_model();
}

/// One step a command, and batches in which three texts of [`LARGE`] bytes are too many.
fn narrow() -> World {
    let mut options = small();
    options.limits.steps_per_command_max = 1;
    options.batch_bytes_max = 4 * 1024;
    // What is the same in several records counts as often as it is there.
    options.repeat_bytes_min = usize::MAX;
    let mut world = World::new(options);
    world.journal_options.batch_bytes_max = 72 * 1024;
    world
}

const LARGE: u16 = 24_000;

/// A fork into `branch`, whose element `tell` sees the variable twice, and a catch event.
fn fork_with(branch: &str) -> String {
    format!(
        r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:kapelle="urn:kapelle:bpmn:1" id="d" targetNamespace="t">
  <bpmn:message id="told" name="told">
    <bpmn:extensionElements><zeebe:subscription correlationKey="=&quot;key&quot;" /></bpmn:extensionElements>
  </bpmn:message>
  <bpmn:process id="order" isExecutable="true">
    <bpmn:startEvent id="start" />
    <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="fork" />
    <bpmn:parallelGateway id="fork" />
    <bpmn:sequenceFlow id="f2" sourceRef="fork" targetRef="heard" />
    <bpmn:intermediateCatchEvent id="heard"><bpmn:messageEventDefinition id="m" messageRef="told" /></bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="f3" sourceRef="heard" targetRef="done1" />
    <bpmn:endEvent id="done1" />
    <bpmn:sequenceFlow id="f4" sourceRef="fork" targetRef="tell" />
    {branch}
    <bpmn:sequenceFlow id="f5" sourceRef="tell" targetRef="done2" />
    <bpmn:endEvent id="done2" />
  </bpmn:process>
</bpmn:definitions>"#
    )
}

/// The instance, and the incident with which it was set aside.
fn set_aside(world: &mut World) -> (ProcessInstanceKey, IncidentKey) {
    let set_aside = world
        .events()
        .into_iter()
        .find_map(|(_, _, event)| match event {
            Event::InstanceQuarantined {
                instance, incident, ..
            } => Some((instance, incident)),
            _ => None,
        });
    set_aside.expect("an instance was set aside")
}

#[test]
fn a_follow_up_that_was_too_large_is_taken_when_its_incident_is_resolved() {
    let mut world = narrow();
    world.deploy_xml(&fork_with(
        r#"<bpmn:intermediateThrowEvent id="tell">
      <bpmn:extensionElements>
        <kapelle:publish type="told" />
        <zeebe:ioMapping><zeebe:input source="=x" target="y" /></zeebe:ioMapping>
      </bpmn:extensionElements>
      <bpmn:messageEventDefinition id="m2" />
    </bpmn:intermediateThrowEvent>"#,
    ));
    world.start().expect("it starts again");
    world.ask(create_large(LARGE)).expect("once it fits");
    let (instance, incident) = set_aside(&mut world);
    world.assert_equals_model();
    world.start().expect("it starts again");
    world.assert_equals_model();

    // A map of one: `x` is 1.
    let variables = Document(Arc::from([0x81, 0xa1, b'x', 1]));
    world
        .ask(Command::SetVariables(SetVariables {
            scope: instance.root(),
            variables,
            local: false,
        }))
        .expect("an operator may mend it");
    world
        .ask(Command::ResolveIncident { incident })
        .expect("it is mended");
    let told = count(&mut world, |event| matches!(event, Event::OutboxAdded(_)));
    assert_eq!(told, 1, "the token is not lost, and not doubled");
    assert_each_done_once(&mut world);
    world.assert_equals_model();
}

#[test]
fn a_message_that_could_not_be_published_is_published_when_the_incident_is_resolved() {
    let mut world = narrow();
    world.deploy_xml(&fork_with(
        r#"<bpmn:sendTask id="tell" messageRef="told">
      <bpmn:extensionElements>
        <zeebe:publishMessage correlationKey="=&quot;key&quot;" />
        <zeebe:ioMapping><zeebe:input source="=x" target="y" /></zeebe:ioMapping>
      </bpmn:extensionElements>
    </bpmn:sendTask>"#,
    ));
    world.start().expect("it starts again");
    world.ask(create_large(LARGE)).expect("once it fits");
    let (_, incident) = set_aside(&mut world);
    let refused = world.ask(Command::ResolveIncident { incident });
    let published = |event: &Event| matches!(event, Event::MessagePublished(_));
    assert_eq!(count(&mut world, published), 0, "{refused:?}");
    world.assert_equals_model();

    world.journal_options.batch_bytes_max = 256 * 1024;
    world.start().expect("it starts again");
    world
        .ask(Command::ResolveIncident { incident })
        .expect("now there is room");
    assert_eq!(count(&mut world, published), 1);
    let ended = |event: &Event| matches!(event, Event::InstanceEnded(_));
    assert_eq!(count(&mut world, ended), 1, "it met whoever waited");
    assert_each_done_once(&mut world);
    world.assert_equals_model();
}
