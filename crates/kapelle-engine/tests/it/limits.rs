//! Every limit is reached here, with a small number in its place.

use expect_test::expect;
use kapelle_engine::Settings;
use kapelle_engine::command::{Arrival, Command, IngestEvents};
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_engine::limits::Limits;

use crate::world::World;

fn limited(process: &str, change: impl FnOnce(&mut Limits), script: &str) -> String {
    let mut limits = Limits::DEFAULT;
    change(&mut limits);
    let mut world = World::new(Settings {
        limits,
        ..Settings::default()
    });
    world.deploy(process);
    world.log.clear();
    world.run(script);
    world.log
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
        incident #9 at c: RESOURCE_LIMIT_EXCEEDED The process instance entered more than 4 elements without waiting for anything: it looks like an endless loop.
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
