//! Reaching a limit is an ordinary answer.

use std::sync::Arc;

use kapelle_engine::effect::Effect;
use kapelle_engine::event::Event;
use kapelle_engine::rejection::RejectionCode;
use kapelle_runtime::streams::StreamSpec;
use kapelle_runtime::{Options, Refusal};

use crate::world::*;

#[test]
fn on_a_nearly_full_disk_new_work_is_refused_and_old_work_ends() {
    let mut world = World::new(small());
    world.deploy();
    world.create("order-1");
    let job = world.activate(1)[0];
    world.partition().set_disk_low(true);
    assert_eq!(world.ask(create("order-2")), Err(Refusal::DiskFull));
    assert_eq!(world.ask(publish("order-1")), Err(Refusal::DiskFull));
    world.ask(complete(job)).expect("completions go on");
    world.clock.advance(120_000);
    world.finish().expect("timers go on");
    world.partition().set_disk_low(false);
    world.create("order-2");
}

#[test]
fn a_batch_takes_no_more_commands_than_it_may() {
    let mut world = World::new(Options {
        batch_commands_max: 3,
        ..Options::default()
    });
    world.deploy();
    let (mut requests, slots): (Vec<_>, Vec<_>) = (0..10)
        .map(|id| request(create(&format!("order-{id}"))))
        .unzip();
    // The first batch goes to the journal; the second one is decided while that is in flight.
    world.step(&mut requests).expect("nothing fails here");
    world.step(&mut requests).expect("nothing fails here");
    world.step(&mut requests).expect("nothing fails here");
    assert_eq!(requests.len(), 4, "two batches of three were taken");
    assert!(
        slots.iter().all(|slot| slot.get().is_none()),
        "nothing leaves before it is durable"
    );
    world
        .partition()
        .journal()
        .complete()
        .expect("nothing fails here");
    world.step(&mut requests).expect("nothing fails here");
    let answered = slots.iter().filter(|slot| slot.get().is_some()).count();
    assert_eq!(answered, 3, "the first batch is durable");
}

#[test]
fn a_refusal_waits_for_what_it_rests_on() {
    let mut world = World::new(small());
    world.deploy();
    let instance = world.create("order-1");
    let job = world.activate(1)[0];
    let (first, first_slot) = request(complete(job));
    let (second, second_slot) = request(complete(job));
    world
        .step(&mut vec![first, second])
        .expect("nothing fails here");
    assert_eq!(
        (first_slot.get(), second_slot.get()),
        (None, None),
        "instance {instance}"
    );
    world.finish().expect("nothing fails here");
    assert!(first_slot.get().is_some_and(|reply| reply.is_ok()));
    assert!(
        matches!(second_slot.get(), Some(Err(Refusal::Rejected(_)))),
        "{:?}",
        second_slot.get()
    );
}

#[test]
fn intake_waits_while_memory_is_full_of_what_is_not_stored() {
    let mut world = World::new(Options {
        batch_commands_max: 1_000,
        tail_records_max: 1_000_000,
        ..small()
    });
    world.deploy();
    let mut requests: Vec<_> = (0..500)
        .map(|id| request(create(&format!("order-{id}"))).0)
        .collect();
    world.step(&mut requests).expect("nothing fails here");
    let left = requests.len();
    assert!(left > 400, "{left} of 500 had to wait");
    for _ in 0..10 {
        world.step(&mut requests).expect("nothing fails here");
    }
    assert_eq!(
        requests.len(),
        left,
        "nothing may leave memory before the journal is durable"
    );
    for _ in 0..1_000 {
        world.step(&mut requests).expect("nothing fails here");
        world.finish().expect("nothing fails here");
    }
    assert_eq!(requests.len(), 0, "write-back makes room");
}

#[test]
fn a_decision_larger_than_a_batch_is_refused_and_leaves_no_trace() {
    let mut world = World::new(small());
    world.deploy();
    world.journal_options.batch_bytes_max = 24 * 1024;
    world.options.batch_bytes_max = 4 * 1024;
    world.start().expect("it starts again");
    let ((before, before_slot), (large, large_slot), (after, after_slot)) = (
        request(create("order-1")),
        request(create_large(20_000)),
        request(create_large(5_000)),
    );
    world
        .offer(vec![before, large, after])
        .expect("the partition lives on");
    assert!(before_slot.get().is_some_and(|reply| reply.is_ok()));
    assert!(after_slot.get().is_some_and(|reply| reply.is_ok()));
    match large_slot.get() {
        Some(Err(Refusal::Rejected(rejection))) => {
            assert_eq!(rejection.code, RejectionCode::InvalidArgument);
            assert!(
                rejection.reason.contains("may write 12288 bytes"),
                "{rejection}"
            );
        }
        other => panic!("not refused: {other:?}"),
    }
    let made = |event: &Event| matches!(event, Event::InstanceCreated(_));
    let created = world
        .events()
        .iter()
        .filter(|(.., event)| made(event))
        .count();
    assert_eq!(created, 2, "nothing of the large one is on record");
    world.assert_equals_model();
    world.start().expect("it starts again");
    world.assert_equals_model();
}

/// A timer of a minute, then twenty paths at once.
fn timer_then_many() -> String {
    let mut xml = String::from(
        r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
  <bpmn:process id="order" isExecutable="true">
    <bpmn:startEvent id="start" />
    <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="wait" />
    <bpmn:intermediateCatchEvent id="wait">
      <bpmn:timerEventDefinition id="t"><bpmn:timeDuration>PT1M</bpmn:timeDuration></bpmn:timerEventDefinition>
    </bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="f2" sourceRef="wait" targetRef="fork" />
    <bpmn:parallelGateway id="fork" />
    <bpmn:endEvent id="done" />"#,
    );
    for path in 0..20 {
        xml.push_str(&format!(
            r#"<bpmn:sequenceFlow id="p{path}" sourceRef="fork" targetRef="done" />"#
        ));
    }
    xml.push_str("</bpmn:process></bpmn:definitions>");
    xml
}

#[test]
fn an_instance_whose_timer_leads_to_too_much_is_set_aside() {
    let mut world = World::new(small());
    world.deploy_xml(&timer_then_many());
    let instance = world.create("order-1");
    // Enough to set something aside, too little for what the timer does.
    world.journal_options.batch_bytes_max = 8 * 1024 + 300;
    world.options.batch_bytes_max = 64;
    world.start().expect("it starts again");
    world.clock.advance(120_000);
    world.finish().expect("the partition lives on");
    let aside = world.events().into_iter().any(|(_, _, event)| {
        matches!(event, Event::InstanceQuarantined { instance: key, .. } if key == instance)
    });
    assert!(aside);
    world.assert_equals_model();
}

#[test]
fn a_stream_has_its_credit_again_when_what_took_it_is_undone() {
    let mut world = World::new(small());
    world.deploy();
    world.journal_options.batch_bytes_max = 30 * 1024;
    world.start().expect("it starts again");
    world.partition().streams().register(StreamSpec {
        tenants: vec![Arc::from(TENANT)],
        job_type: Arc::from("work"),
        worker: Arc::from("tester"),
        timeout_ms: 30_000,
        fetch_variables: Vec::new(),
        capacity: 1,
    });
    world
        .ask(create_large(24_000))
        .expect_err("more than a batch takes");
    world.create("order-1");
    let effects = world.effects.lock().expect("no panic under this lock");
    let pushed = |effect: &Effect| matches!(effect, Effect::PushJob { .. });
    assert_eq!(effects.iter().filter(|effect| pushed(effect)).count(), 1);
}
