//! Large data stands in the journal once, however many records of a command hold it, and comes back whole from everywhere.

use std::sync::Arc;

use kapelle_engine::command::{Arrival, Command, Deploy, IngestEvents, Resource};
use kapelle_engine::event::Event;
use kapelle_engine::ids::ProcessInstanceKey;
use kapelle_engine::response::{Outcome, Response};
use kapelle_events::CloudEvent;
use kapelle_runtime::Options;
use kapelle_storage::files::Crash;
use kapelle_storage::journal;
use kapelle_storage::store::Loss;

use crate::world::*;

const PROCESSES: usize = 10;

/// What a CloudEvent may have at most (4 MiB), but for its attributes.
const DATA_BYTES: usize = (4 << 20) - 1_000;

/// Starts with the message, then a task holds the instance.
fn process(number: usize) -> String {
    format!(
        r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
  <bpmn:message id="m" name="wide" />
  <bpmn:process id="wide-{number}" isExecutable="true">
    <bpmn:startEvent id="start"><bpmn:messageEventDefinition id="e" messageRef="m" /></bpmn:startEvent>
    <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="work" />
    <bpmn:serviceTask id="work">
      <bpmn:extensionElements><zeebe:taskDefinition type="work" /></bpmn:extensionElements>
    </bpmn:serviceTask>
  </bpmn:process>
</bpmn:definitions>"#
    )
}

fn large_world(options: Options) -> World {
    let mut world = World::new(options);
    world.journal_options.segment_bytes = 64 << 20;
    world.journal_options.batch_bytes_max = journal::Options::default().batch_bytes_max;
    world.start().expect("it starts again");
    let resources = (0..PROCESSES)
        .map(|number| Resource {
            name: format!("wide-{number}.bpmn").into(),
            bytes: process(number).into_bytes().into(),
        })
        .collect();
    let tenant = Arc::from(TENANT);
    world
        .ask(Command::Deploy(Deploy { tenant, resources }))
        .expect("the processes are accepted");
    world
}

/// Random, so that nothing of it repeats by itself.
fn text(length: usize) -> String {
    let mut random = Random(7);
    (0..length)
        .map(|_| char::from(b'a' + u8::try_from(random.below(26)).expect("a letter")))
        .collect()
}

fn ingest(id: &str, data: &str) -> Command {
    let json = format!(r#"{{"order":7,"text":"{data}"}}"#);
    let event = CloudEvent::builder(id, "/tests", "wide")
        .data("application/json", json.as_str())
        .build()
        .expect("a CloudEvent");
    Command::IngestEvents(IngestEvents {
        tenant: Arc::from(TENANT),
        source_name: Arc::from("http"),
        arrivals: vec![Arrival::Event(Arc::new(event))],
    })
}

fn started(world: &mut World, command: Command) -> Vec<ProcessInstanceKey> {
    match world.ask(command) {
        Ok(Response::Ingested(results)) => {
            assert_eq!(
                results[0].outcome,
                Outcome::Started,
                "{}",
                results[0].reason
            );
            results[0]
                .matches
                .iter()
                .filter_map(|found| found.instance)
                .collect()
        }
        other => panic!("not taken in: {other:?}"),
    }
}

/// Every instance got the text as it came, and state is what the committed events say.
fn assert_delivered(world: &mut World, instances: &[ProcessInstanceKey], data: &str) {
    let text_of = |key, event: &Event| match event {
        Event::VariableSet {
            instance,
            name,
            value,
            ..
        } if *instance == key && &**name == "text" => Some(value.0.clone()),
        _ => None,
    };
    let events = world.events();
    for key in instances {
        let value = events.iter().find_map(|(.., event)| text_of(*key, event));
        let value = value.expect("it got the text");
        let is_whole = value.ends_with(data.as_bytes());
        assert!(is_whole, "instance {key}: the text came whole");
        assert!(value.len() <= data.len() + 5, "… and nothing else");
    }
    world.assert_equals_model();
}

fn journal_bytes(world: &mut World) -> u64 {
    world.partition().metrics().journal_bytes.get()
}

#[test]
fn a_cloud_event_of_full_size_reaches_ten_processes_and_is_in_the_journal_once() {
    let mut world = large_world(Options::default());
    let data = text(DATA_BYTES);
    let before = journal_bytes(&mut world);
    let instances = started(&mut world, ingest("1", &data));
    assert_eq!(instances.len(), PROCESSES);
    let written = journal_bytes(&mut world) - before;
    assert!(
        written < DATA_BYTES as u64 * 21 / 20,
        "{written} bytes are in the journal for {DATA_BYTES}"
    );
    assert_delivered(&mut world, &instances, &data);

    world.lose_power(Crash::Lose, Loss::default());
    world.start().expect("it starts again");
    assert_delivered(&mut world, &instances, &data);

    // From the store alone.
    world.partition().checkpoint();
    while !world.partition().is_checkpointed() {
        world.finish().expect("nothing fails here");
    }
    world.options.cache_bytes_max = 1;
    world.start().expect("it starts again");
    assert_delivered(&mut world, &instances, &data);
}

#[test]
fn readers_get_whole_records_wherever_they_begin() {
    let mut world = large_world(Options {
        repeat_bytes_min: 64,
        ..small()
    });
    let data = text(2_000);
    started(&mut world, ingest("1", &data));
    let all = world.events();
    let large = |event: &Event| format!("{event:?}").len() > 2_000;
    assert!(
        all.iter().filter(|(.., event)| large(event)).count() > 2 * PROCESSES,
        "the records are large when read"
    );
    for (at, (sequence, ..)) in all.iter().enumerate() {
        let mut reader = world
            .partition()
            .readers()
            .subscribe("from-there", *sequence)
            .expect("nothing was trimmed");
        let read = reader.poll(usize::MAX).expect("the journal can be read");
        let expected = all[at..].iter().map(|(.., event)| event);
        assert!(read.iter().map(|record| &record.event).eq(expected));
    }
}

#[test]
fn a_journal_written_without_looking_for_repeats_goes_on_with_it() {
    let mut world = large_world(Options {
        repeat_bytes_min: usize::MAX,
        ..small()
    });
    let data = text(20_000);
    let mut instances = started(&mut world, ingest("1", &data));
    let before = journal_bytes(&mut world);
    world.options.repeat_bytes_min = Options::default().repeat_bytes_min;
    world.lose_power(Crash::Lose, Loss::default());
    world.start().expect("it starts again");
    assert!(before > 20 * data.len() as u64, "{before}");
    let before = journal_bytes(&mut world);
    instances.extend(started(&mut world, ingest("2", &data)));
    let written = journal_bytes(&mut world) - before;
    assert!(written < 2 * data.len() as u64, "{written}");
    world.start().expect("it starts again");
    assert_delivered(&mut world, &instances, &data);
}

#[test]
fn what_is_too_large_still_leaves_no_trace_and_spoils_nothing() {
    let mut world = large_world(small());
    world.journal_options.batch_bytes_max = 64 * 1024;
    world.options.batch_bytes_max = 16 * 1024;
    world.start().expect("it starts again");
    let data = text(20_000);
    let ((first, first_slot), (large, large_slot), (last, last_slot)) = (
        request(ingest("1", &data)),
        request(ingest("2", &text(60_000))),
        request(ingest("3", &data)),
    );
    world
        .offer(vec![first, large, last])
        .expect("the partition lives on");
    assert!(first_slot.get().is_some_and(|reply| reply.is_ok()));
    assert!(large_slot.get().is_some_and(|reply| reply.is_err()));
    assert!(last_slot.get().is_some_and(|reply| reply.is_ok()));
    world.assert_equals_model();
    world.start().expect("it starts again");
    world.assert_equals_model();
}
