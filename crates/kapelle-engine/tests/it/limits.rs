//! Every limit is reached here, with a small number in its place.

use std::sync::Arc;

use expect_test::expect;
use kapelle_engine::command::{Arrival, Command, IngestEvents};
use kapelle_engine::event::Event;
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_engine::limits::Limits;
use kapelle_engine::{Engine, Settings};
use kapelle_events::CloudEvent;

use crate::world::World;

fn with_limits(change: impl FnOnce(&mut Limits)) -> World {
    let mut limits = Limits::DEFAULT;
    change(&mut limits);
    World::new(Settings {
        limits,
        ..Settings::default()
    })
}

fn limited(process: &str, change: impl FnOnce(&mut Limits), script: &str) -> String {
    let mut world = with_limits(change);
    world.deploy(process);
    world.log.clear();
    world.run(script);
    world.log
}

fn entered(world: &World) -> usize {
    let entering = |event: &Event| matches!(event, Event::ElementActivating { .. });
    let events = world.history.iter();
    events.filter(|(event, ..)| entering(event)).count()
}

/// The model refuses a cycle without an element that waits, so a long path has to do for an endless one.
#[test]
fn a_path_that_never_waits_ends_with_an_incident_and_goes_on_when_it_is_resolved() {
    let log = limited(
        "start -> a:task -> b:task -> c:task -> d:task -> end",
        |limits| limits.run_length_max = 4,
        "create\nresolve",
    );
    expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        a completed
        b completed
        incident #9 at c: RESOURCE_LIMIT_EXCEEDED More than 4 elements were entered without waiting for anything from outside: it looks like an endless loop.
        > resolve
        incident #9 resolved
        c completed
        d completed
        end completed
        process completed
        instance completed #4
    "#]].assert_eq(&log);
}

#[test]
fn a_process_that_starts_itself_ends_with_an_incident_and_goes_on_when_it_is_resolved() {
    let log = limited(
        "s:start(message again) -> t:send(message again) -> end",
        |limits| limits.run_length_max = 9,
        "publish again -\nresolve",
    );
    expect![[r#"
        > publish again -
        message again '' published until 1000000 ms
        instance created #6 process version 1
        s triggered
        message again '' started instance #6
        message again '' expired
        s completed
        t completed
        message again '' published until 1000000 ms
        instance created #10 process version 1
        s triggered
        message again '' started instance #10
        message again '' expired
        end completed
        s completed
        process completed
        instance completed #6
        t completed
        message again '' published until 1000000 ms
        instance created #15 process version 1
        s triggered
        message again '' started instance #15
        message again '' expired
        end completed
        incident #18 at s: RESOURCE_LIMIT_EXCEEDED More than 9 elements were entered without waiting for anything from outside: it looks like an endless loop.
        process completed
        instance completed #10
        > resolve
        incident #18 resolved
        s completed
        t completed
        message again '' published until 1000000 ms
        instance created #21 process version 1
        s triggered
        message again '' started instance #21
        message again '' expired
        end completed
        s completed
        process completed
        instance completed #15
        t completed
        message again '' published until 1000000 ms
        instance created #26 process version 1
        s triggered
        message again '' started instance #26
        message again '' expired
        end completed
        s completed
        process completed
        instance completed #21
        t completed
        message again '' published until 1000000 ms
        instance created #31 process version 1
        s triggered
        message again '' started instance #31
        message again '' expired
        incident #33 at end: RESOURCE_LIMIT_EXCEEDED More than 9 elements were entered without waiting for anything from outside: it looks like an endless loop.
        incident #35 at s: RESOURCE_LIMIT_EXCEEDED More than 9 elements were entered without waiting for anything from outside: it looks like an endless loop.
    "#]].assert_eq(&log);
}

#[test]
fn two_instances_that_call_each_other_for_ever_end_with_an_incident() {
    let mut world = with_limits(|limits| limits.run_length_max = 50);
    world.deploy("process one ; start -> merge -> ping:send(message ping, key k) -> c:catch(message pong, key \"k\") -> merge");
    world.deploy("process two ; start -> merge -> c:catch(message ping, key \"k\") -> pong:send(message pong, key k) -> merge");
    world.run("create process two\ncreate process one");
    let held_up = world.incidents.clone();
    assert!((1..=2).contains(&held_up.len()), "{}", world.log);
    // Resolved, it goes on as far again.
    let before = world.sequence;
    for incident in held_up {
        world.submit(Command::ResolveIncident { incident }).unwrap();
    }
    assert!(world.sequence > before + 100, "{}", world.log);
    assert!(!world.incidents.is_empty(), "{}", world.log);
}

/// Each instance starts two more.
const DOUBLING: &str =
    "s:start(message again) -> t:send(message again) -> u:send(message again) -> end";

#[test]
fn what_one_command_causes_is_counted_over_all_instances_and_follow_ups() {
    for steps in [1, 3, 1_000] {
        let mut world = with_limits(|limits| {
            limits.run_length_max = 500;
            limits.steps_per_command_max = steps;
        });
        world.keeps_history = true;
        world.deploy(DOUBLING);
        world.run("publish again -");
        let entered = entered(&world);
        // Who had been told to go on before the limit was reached enters one more element, or begins and does so.
        assert!(
            (500..1_100).contains(&entered),
            "{entered} elements, {steps} steps"
        );
        let waits = world.instances.len();
        assert!(
            waits > 10 && world.incidents.len() >= waits,
            "{waits} instances"
        );
        assert!(world.state.instances().all(|instance| !instance.is_stuck()));
    }
}

#[test]
fn an_engine_that_begins_in_the_middle_goes_on_counting() {
    let limits = Limits {
        run_length_max: 50,
        steps_per_command_max: 1,
        ..Limits::DEFAULT
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let mut world = World::new(settings.clone());
    world.deploy("s:start(message again) -> t:send(message again) -> end");
    world.leftovers_put_off = 1;
    world.run("publish again -");
    for _ in 0..1_000 {
        world.engine = Engine::new(settings.clone());
        if world.leftovers.is_empty() {
            break;
        }
        world.run("take");
    }
    assert_eq!(world.incidents.len(), 1, "{}", world.log);
}

#[test]
fn every_message_from_outside_may_cause_as_much() {
    let process = "s:start(message order) -> gate{wait: n = 0, go: default} ; wait -> a -> e1:end ; go -> e2:end";
    let script = "publish order k n=0\npublish order k ttl 9000 n=1\npublish order k ttl 9000 n=2\npublish order k ttl 9000 n=3\ncomplete a";
    let log = limited(process, |limits| limits.run_length_max = 6, script);
    assert_eq!(log.matches("instance completed").count(), 4, "{log}");
    assert!(!log.contains("incident"), "{log}");
}

#[test]
fn a_message_of_its_own_that_waited_for_a_process_is_part_of_what_caused_it() {
    let log = limited(
        "s:start(message again) -> t:send(message again, key k, ttl PT1H) -> end",
        |limits| limits.run_length_max = 30,
        "publish again k",
    );
    assert_eq!(log.matches("incident").count(), 1, "{log}");
    assert!(log.matches("instance completed").count() > 5, "{log}");
}

#[test]
fn every_event_of_a_batch_may_cause_as_much() {
    let mut world = with_limits(|limits| limits.run_length_max = 6);
    world.deploy("s:start(message order) -> a:task -> end");
    let event = |id: &str| {
        let event = CloudEvent::builder(id, "/test", "order").build().unwrap();
        Arrival::Event(Arc::new(event))
    };
    let ingest = IngestEvents {
        tenant: DEFAULT_TENANT.into(),
        source_name: "http".into(),
        arrivals: ["1", "2", "3"].map(event).to_vec(),
    };
    world.submit(Command::IngestEvents(ingest)).unwrap();
    assert_eq!(
        world.log.matches("instance completed").count(),
        3,
        "{}",
        world.log
    );
    assert!(world.incidents.is_empty(), "{}", world.log);
}

#[test]
fn what_one_command_does_not_finish_is_left_over() {
    let process = "start -> fork -> a -> end1 ; fork -> b -> end2 ; fork -> c -> end3";
    for steps in 1..8 {
        let log = limited(
            process,
            |limits| limits.steps_per_command_max = steps,
            "create\ncomplete a\ncancel",
        );
        let all = limited(process, |_| {}, "create\ncomplete a\ncancel");
        assert_eq!(log, all, "with {steps} steps a command");
    }
}

#[test]
fn an_instance_has_room_for_so_many_elements() {
    let process = "start -> fork -> a -> end1 ; fork -> b -> end2 ; fork -> c -> end3";
    let log = limited(
        process,
        |limits| limits.elements_per_instance_max = 3,
        "create\ncomplete a\nresolve",
    );
    expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        fork completed
        job #8 a created, retries 3
        job #10 b created, retries 3
        incident #12 at c: RESOURCE_LIMIT_EXCEEDED The process instance has more than 3 active element instances.
        > complete a
        job #8 a completed
        a completed
        incident #14 at end1: RESOURCE_LIMIT_EXCEEDED The process instance has more than 3 active element instances.
        > resolve
        incident #12 resolved
        incident #15 at c: RESOURCE_LIMIT_EXCEEDED The process instance has more than 3 active element instances.
    "#]].assert_eq(&log);
}

#[test]
fn variables_have_room_for_so_many_bytes() {
    let process = "start -> a:service(in big = text + text) -> b -> end";
    let log = limited(
        process,
        |limits| {
            limits.instance_bytes_max = 40;
            limits.document_bytes_max = 30;
        },
        "create text=\"1234567890123456789012345678901\"\ncreate text=\"12345678901234567890\"\nset process text=\"1\"\nresolve\ncomplete a x=\"12345678901234567890123\"\nset process y=\"1234567890123456789012345678\"",
    );
    expect![[r#"
        > create text="1234567890123456789012345678901"
        REFUSED Command 'CREATE' rejected with code 'RESOURCE_EXHAUSTED': Expected the variables to have at most 30 bytes, but they have 38
        > create text="12345678901234567890"
        instance created #4 process version 1
        variable text = "12345678901234567890" in #4
        start completed
        incident #8 at a: RESOURCE_LIMIT_EXCEEDED Expected the variables of the process instance to have at most 40 bytes, but with 42 more they would have 67.
        > set process text="1"
        variable text = "1" in #4
        > resolve
        incident #8 resolved
        variable big = "11" in #7
        job #10 a created, retries 3
        > complete a x="12345678901234567890123"
        job #10 a completed
        variable x = "12345678901234567890123" in #4
        a completed
        job #13 b created, retries 3
        > set process y="1234567890123456789012345678"
        REFUSED Command 'UPDATE' rejected with code 'RESOURCE_EXHAUSTED': Expected the variables to have at most 30 bytes, but they have 32
    "#]].assert_eq(&log);
}

#[test]
fn a_message_that_an_element_throws_has_room_for_so_many_bytes() {
    let log = limited(
        "start -> t:send(message told, in big = text + text) -> end",
        |limits| limits.document_bytes_max = 30,
        "create text=\"12345678901234567890\"\nset process text=\"1\"\nresolve",
    );
    expect![[r#"
        > create text="12345678901234567890"
        instance created #4 process version 1
        variable text = "12345678901234567890" in #4
        start completed
        variable big = "1234567890123456789012345678901234567890" in #7
        incident #9 at t: MESSAGE_SIZE_EXCEEDED Expected the variables of the message 'told' to have at most 30 bytes, but they have 47.
        > set process text="1"
        variable text = "1" in #4
        > resolve
        incident #9 resolved
        variable big = "11" in #7
        t completed
        message told '' published until 1000000 ms {"big":"11"}
        message told '' expired
        end completed
        process completed
        instance completed #4
    "#]].assert_eq(&log);
}

#[test]
fn names_and_keys_have_room_for_so_many_bytes() {
    let process = "start -> c:catch(message paid, key id) -> end";
    let log = limited(
        process,
        |limits| limits.index_text_bytes_max = 12,
        "create id=\"1234567890123\"\npublish paid 1234567890123\nevent 1 a.type.that.is.too.long\nevent 2 paid subject 1234567890123\npublish paid 1 id 1234567890123",
    );
    expect![[r#"
        > create id="1234567890123"
        instance created #4 process version 1
        variable id = "1234567890123" in #4
        start completed
        incident #8 at c: RESOURCE_LIMIT_EXCEEDED Expected the correlation key to have at most 12 bytes, but it has 13.
        > publish paid 1234567890123
        REFUSED Command 'PUBLISH' rejected with code 'INVALID_ARGUMENT': Expected the correlation key to have at most 12 bytes, but it has 13
        > event 1 a.type.that.is.too.long
        REFUSED Command 'INGEST' rejected with code 'INVALID_ARGUMENT': Expected the type of a CloudEvent to have at most 12 bytes, but it has 23
        > event 2 paid subject 1234567890123
        event /test 2 paid from http
        event KEY_ERROR: message 'paid' of process 'process': the key has 13 bytes, which is too many
        => KEY_ERROR
        > publish paid 1 id 1234567890123
        REFUSED Command 'PUBLISH' rejected with code 'INVALID_ARGUMENT': Expected the message id to have at most 12 bytes, but it has 13
    "#]].assert_eq(&log);
}

#[test]
fn the_dedup_window_holds_so_many_identities() {
    let log = limited(
        "s:start(message order) -> end",
        |limits| limits.dedup_ids_max = 2,
        "event 1 order\nevent 2 order\nevent 3 order\nwait 0\nevent 1 order\nevent 3 order\nwait 0",
    );
    expect![[r#"
        > event 1 order
        event /test 1 order from http
        message order '' published until 4600000 ms
        instance created #6 process version 1
        s triggered
        message order '' started instance #6
        message order '' expired
        event STARTED: message 'order' of process 'process': started process instance 2251799813685254
        s completed
        end completed
        process completed
        instance completed #6
        => STARTED
        > event 2 order
        event /test 2 order from http
        message order '' published until 4600000 ms
        instance created #10 process version 1
        s triggered
        message order '' started instance #10
        message order '' expired
        event STARTED: message 'order' of process 'process': started process instance 2251799813685258
        s completed
        end completed
        process completed
        instance completed #10
        => STARTED
        > event 3 order
        event /test 3 order from http
        message order '' published until 4600000 ms
        instance created #14 process version 1
        s triggered
        message order '' started instance #14
        message order '' expired
        event STARTED: message 'order' of process 'process': started process instance 2251799813685262
        bucket 0 of the dedup window dropped
        s completed
        end completed
        process completed
        instance completed #14
        => STARTED
        > wait 0
        bucket 0 of the dedup window forgot 1, renewed 0
        > event 1 order
        event /test 1 order from http
        message order '' published until 4600000 ms
        instance created #18 process version 1
        s triggered
        message order '' started instance #18
        message order '' expired
        event STARTED: message 'order' of process 'process': started process instance 2251799813685266
        bucket 1 of the dedup window dropped
        s completed
        end completed
        process completed
        instance completed #18
        => STARTED
        > event 3 order
        event /test 3 repeats 54
        => DUPLICATE
        > wait 0
        bucket 1 of the dedup window forgot 1, renewed 0
    "#]].assert_eq(&log);
}

#[test]
fn an_activation_has_room_for_so_many_bytes() {
    let log = limited(
        "start -> a -> end",
        |limits| limits.activation_bytes_max = 1_200,
        "create n=1\ncreate n=2\ncreate n=3\nactivate a 3\nactivate a 3",
    );
    expect![[r#"
        > create n=1
        instance created #4 process version 1
        variable n = 1 in #4
        start completed
        job #8 a created, retries 3
        > create n=2
        instance created #9 process version 1
        variable n = 2 in #9
        start completed
        job #13 a created, retries 3
        > create n=3
        instance created #14 process version 1
        variable n = 3 in #14
        start completed
        job #18 a created, retries 3
        > activate a 3
        => a {"n":1}
        => a {"n":2}
        > activate a 3
        => a {"n":3}
    "#]]
    .assert_eq(&log);
}

#[test]
fn a_job_that_is_larger_than_an_activation_has_an_incident_and_holds_up_no_other() {
    let log = limited(
        "start -> a -> end",
        |limits| limits.activation_bytes_max = 600,
        &format!(
            "create big=\"{}\"\ncreate n=2\nactivate a 2\nactivate a\ncomplete a\nresolve\nactivate a\nsetkey 2251799813685252 big=1\nresolve\nactivate a\ncomplete a",
            "x".repeat(100)
        ),
    );
    expect![[r#"
        > create big="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        instance created #4 process version 1
        variable big = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" in #4
        start completed
        job #8 a created, retries 3
        > create n=2
        instance created #9 process version 1
        variable n = 2 in #9
        start completed
        job #13 a created, retries 3
        > activate a 2
        job #8 a withheld
        incident #14 at a: MESSAGE_SIZE_EXCEEDED The job with key '2251799813685256' can not be handed out, because with the variables that the worker asks for it is larger than 600 bytes, as much as an answer may have. Try to reduce the size by reducing the number of fetched variables or modifying the variable values.
        => a {"n":2}
        > activate a
        > complete a
        REFUSED Command 'COMPLETE' rejected with code 'INVALID_STATE': Expected to complete job with key '2251799813685256', but it is in state 'FAILED'
        > resolve
        incident #14 resolved
        job #8 a available: incident resolved
        > activate a
        job #8 a withheld
        incident #15 at a: MESSAGE_SIZE_EXCEEDED The job with key '2251799813685256' can not be handed out, because with the variables that the worker asks for it is larger than 600 bytes, as much as an answer may have. Try to reduce the size by reducing the number of fetched variables or modifying the variable values.
        > setkey 2251799813685252 big=1
        variable big = 1 in #4
        > resolve
        incident #15 resolved
        job #8 a available: incident resolved
        > activate a
        => a {"big":1}
        > complete a
        job #8 a completed
        a completed
        end completed
        process completed
        instance completed #4
    "#]].assert_eq(&log);
}

#[test]
fn a_job_that_is_larger_than_an_activation_goes_down_no_stream() {
    let mut world = with_limits(|limits| limits.activation_bytes_max = 600);
    world.deploy("start -> a -> end");
    world.log.clear();
    let big = "x".repeat(100);
    world.run(&format!(
        "stream a 3\ncreate big=\"{big}\"\ncreate n=2\nresolve\nsetkey 2251799813685252 big=1\nresolve"
    ));
    expect![[r#"
        > stream a 3
        > create big="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        instance created #4 process version 1
        variable big = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" in #4
        start completed
        job #8 a created, retries 3
        job #8 a withheld
        incident #9 at a: MESSAGE_SIZE_EXCEEDED The job with key '2251799813685256' can not be handed out, because with the variables that the worker asks for it is larger than 600 bytes, as much as an answer may have. Try to reduce the size by reducing the number of fetched variables or modifying the variable values.
        > create n=2
        instance created #10 process version 1
        variable n = 2 in #10
        start completed
        job #14 a created, retries 3
        job #14 a pushed to streamer until 1005000 ms
        => push a {"n":2}
        > resolve
        incident #9 resolved
        job #8 a available: incident resolved
        job #8 a withheld
        incident #15 at a: MESSAGE_SIZE_EXCEEDED The job with key '2251799813685256' can not be handed out, because with the variables that the worker asks for it is larger than 600 bytes, as much as an answer may have. Try to reduce the size by reducing the number of fetched variables or modifying the variable values.
        > setkey 2251799813685252 big=1
        variable big = 1 in #4
        > resolve
        incident #15 resolved
        job #8 a available: incident resolved
    "#]].assert_eq(&world.log);
    assert_eq!(world.streams.given_back, 2, "nothing went down it");
}

#[test]
fn what_an_earlier_leader_pushed_is_released_some_at_a_time() {
    let log = limited(
        "start -> a -> end",
        |limits| limits.sweep_max = 2,
        "stream a 5\ncreate\ncreate\ncreate\ncreate\ncreate\nleader 2",
    );
    let released = log
        .lines()
        .filter(|line| line.contains("leader changed"))
        .count();
    assert_eq!(released, 5, "{log}");
}

#[test]
fn an_expression_has_room_for_so_many_steps() {
    let log = limited(
        "start -> gate{a: every x in 1..limit satisfies x > 0, b: default} ; a -> enda ; b -> endb",
        |limits| limits.expression_steps_max = 1_000,
        "create limit=10000\nset process limit=10\nresolve",
    );
    expect![[r#"
        > create limit=10000
        instance created #4 process version 1
        variable limit = 10000 in #4
        start completed
        incident #8 at gate: EXTRACT_VALUE_ERROR Failed to evaluate expression 'every x in 1..limit satisfies x > 0': the expression was given up after 1000 steps
        > set process limit=10
        variable limit = 10 in #4
        > resolve
        incident #8 resolved
        gate completed
        enda completed
        process completed
        instance completed #4
    "#]].assert_eq(&log);
}

#[test]
fn an_old_waiting_instance_that_cannot_be_met_is_passed_over() {
    let process = "start -> c:catch(message paid, key \"k\") -> end";
    let script = "create\nquarantine\ncreate\npublish paid k";
    let met = limited(
        process,
        |limits| limits.subscriptions_per_process_max = 2,
        script,
    );
    assert!(met.contains("met instance"), "{met}");
    let not = limited(
        process,
        |limits| limits.subscriptions_per_process_max = 1,
        script,
    );
    assert!(!not.contains("met instance"), "{not}");
}

#[test]
fn a_batch_of_events_has_room_for_so_many() {
    let mut world = World::new(Settings {
        limits: Limits {
            arrivals_per_command_max: 1,
            ..Limits::DEFAULT
        },
        ..Settings::default()
    });
    let raw = || Arrival::Malformed {
        raw: b"?".as_slice().into(),
        content_type: None,
        reason: "?".into(),
        identity: 1,
    };
    let ingest = |arrivals| {
        Command::IngestEvents(IngestEvents {
            tenant: DEFAULT_TENANT.into(),
            source_name: "s".into(),
            arrivals,
        })
    };
    world.submit(ingest(vec![raw()])).unwrap();
    let refused = world.submit(ingest(vec![raw(), raw()])).unwrap_err();
    expect!["Command 'INGEST' rejected with code 'INVALID_ARGUMENT': Expected at most 1 CloudEvents in one batch, but there are 2"].assert_eq(&refused.to_string());
}
