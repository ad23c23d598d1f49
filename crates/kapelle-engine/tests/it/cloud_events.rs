//! CloudEvents in and out.

use std::sync::Arc;

use expect_test::expect;
use kapelle_engine::command::{Arrival, Command, IngestEvents};
use kapelle_engine::encode::{decode_event, encode_event};
use kapelle_engine::event::Event;
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_engine::pending;
use kapelle_engine::response::{EventResult, Outcome, Response};
use kapelle_events::CloudEvent;

use crate::world::{NOON, World, check};

#[test]
fn a_type_that_no_message_is_bound_to_matches_nothing() {
    check(
        "start -> a -> end",
        "event 1 order.placed",
        expect![[r#"
        > event 1 order.placed
        event /test 1 order.placed from http
        event NO_MATCH: no deployed process has a message for type 'order.placed'
        => NO_MATCH
    "#]],
    );
}

#[test]
fn an_event_starts_a_process_by_the_name_of_its_message() {
    check(
        "s:start(message order.placed) -> a -> end",
        "event 1 order.placed subject o1 total=5\nevent 1 order.placed subject o1 total=5\nevent 1 order.placed subject o1 total=6\nevent 2 order.placed subject o1\nevent 3 order.placed\ncomplete a",
        expect![[r#"
            > event 1 order.placed subject o1 total=5
            event /test 1 order.placed from http
            message order.placed 'o1' published until 4600000 ms {"total":5}
            instance created #6 process version 1 locks 'o1'
            s triggered {"total":5}
            message order.placed 'o1' started instance #6
            message order.placed 'o1' expired
            event STARTED: message 'order.placed' of process 'process': started process instance 2251799813685254 with key 'o1'
            variable total = 5 in #6
            s completed
            job #10 a created, retries 3
            => STARTED
            > event 1 order.placed subject o1 total=5
            event /test 1 repeats 10
            => DUPLICATE
            > event 1 order.placed subject o1 total=6
            event /test 1 repeats 10 with other content
            => DUPLICATE
            > event 2 order.placed subject o1
            event /test 2 order.placed from http
            message order.placed 'o1' published until 4600000 ms
            event BUFFERED: message 'order.placed' of process 'process': process instance 2251799813685254 holds the key 'o1'; kept for 3600 s
            => BUFFERED
            > event 3 order.placed
            event /test 3 order.placed from http
            message order.placed '' published until 4600000 ms
            instance created #13 process version 1
            s triggered
            message order.placed '' started instance #13
            message order.placed '' expired
            event STARTED: message 'order.placed' of process 'process': started process instance 2251799813685261
            s completed
            job #16 a created, retries 3
            => STARTED
            > complete a
            job #10 a completed
            a completed
            end completed
            process completed
            instance completed #6
            process process releases 'o1'
            instance created #18 process version 1 locks 'o1'
            s triggered
            message order.placed 'o1' started instance #18
            message order.placed 'o1' expired
            s completed
            job #21 a created, retries 3
        "#]],
    );
}

#[test]
fn an_event_meets_who_waits_for_its_subject() {
    check(
        "start -> c:catch(message paid, key id) -> b -> end",
        "event 1 paid subject o1 amount=1\ncreate id=\"o1\"\ncreate id=\"o2\"\nevent 2 paid subject o2 amount=2\nevent 3 paid\nactivate b 5",
        expect![[r#"
            > event 1 paid subject o1 amount=1
            event /test 1 paid from http
            message paid 'o1' published until 4600000 ms {"amount":1}
            event BUFFERED: message 'paid' of process 'process': nobody waits for key 'o1' yet; kept for 3600 s
            => BUFFERED
            > create id="o1"
            instance created #5 process version 1
            variable id = "o1" in #5
            start completed
            c waits for message paid 'o1'
            message paid 'o1' met instance #5
            no longer waits for message paid 'o1': met
            c triggered {"amount":1}
            variable amount = 1 in #5
            c completed
            message paid 'o1' expired
            job #12 b created, retries 3
            > create id="o2"
            instance created #13 process version 1
            variable id = "o2" in #13
            start completed
            c waits for message paid 'o2'
            > event 2 paid subject o2 amount=2
            event /test 2 paid from http
            message paid 'o2' published until 4600000 ms {"amount":2}
            message paid 'o2' met instance #13
            no longer waits for message paid 'o2': met
            c triggered {"amount":2}
            variable amount = 2 in #13
            c completed
            message paid 'o2' expired
            event CORRELATED: message 'paid' of process 'process': process instance 2251799813685261 waited for key 'o2'
            job #21 b created, retries 3
            => CORRELATED
            > event 3 paid
            event /test 3 paid from http
            event KEY_ERROR: message 'paid' of process 'process': the CloudEvent has no key for it, and the message starts no process
            => KEY_ERROR
            > activate b 5
            => b {"id":"o1","amount":1}
            => b {"id":"o2","amount":2}
        "#]],
    );
}

#[test]
fn a_number_and_its_text_never_match() {
    check(
        "start -> c:catch(message paid, key id, eventkey data.id) -> end",
        "create id=7\nevent 1 paid id=\"7\"\nevent 2 paid id=7\ncreate id=\"8\"\nevent 3 paid id=8\nevent 4 paid id=\"8\"",
        expect![[r#"
            > create id=7
            instance created #4 process version 1
            variable id = 7 in #4
            start completed
            c waits for message paid '7'
            > event 1 paid id="7"
            event /test 1 paid from http
            message paid '7' published until 4600000 ms {"id":"7"}
            event BUFFERED: message 'paid' of process 'process': process instance 2251799813685252 waits for the number 7, but the key is the text "7"; kept for 3600 s
            => BUFFERED
            > event 2 paid id=7
            event /test 2 paid from http
            message paid '7' published until 4600000 ms {"id":7}
            message paid '7' met instance #4
            no longer waits for message paid '7': met
            c triggered {"id":7}
            c completed
            message paid '7' expired
            event CORRELATED: message 'paid' of process 'process': process instance 2251799813685252 waited for key '7'
            end completed
            process completed
            instance completed #4
            => CORRELATED
            > create id="8"
            instance created #12 process version 1
            variable id = "8" in #12
            start completed
            c waits for message paid '8'
            > event 3 paid id=8
            event /test 3 paid from http
            message paid '8' published until 4600000 ms {"id":8}
            event BUFFERED: message 'paid' of process 'process': process instance 2251799813685260 waits for the text "8", but the key is the number 8; kept for 3600 s
            => BUFFERED
            > event 4 paid id="8"
            event /test 4 paid from http
            message paid '8' published until 4600000 ms {"id":"8"}
            message paid '8' met instance #12
            no longer waits for message paid '8': met
            c triggered {"id":"8"}
            c completed
            message paid '8' expired
            event CORRELATED: message 'paid' of process 'process': process instance 2251799813685260 waited for key '8'
            end completed
            process completed
            instance completed #12
            => CORRELATED
        "#]],
    );
}

#[test]
fn a_binding_filters_maps_and_keys() {
    check(
        "start -> c:catch(message paid, key id, event payment.received, filter data.amount > 10, eventkey data.order, variables {total: data.amount}) -> b -> end",
        "create id=\"o1\"\nevent 1 payment.received order=\"o1\" amount=5\nevent 2 payment.received order=true amount=11\nevent 3 payment.received order=\"o1\" amount=11\nevent 4 paid subject o1\nevent 5 payment.received order=\"o1\"\nactivate b",
        expect![[r#"
            > create id="o1"
            instance created #4 process version 1
            variable id = "o1" in #4
            start completed
            c waits for message paid 'o1'
            > event 1 payment.received order="o1" amount=5
            event /test 1 payment.received from http
            event FILTERED: message 'paid' of process 'process': the filter 'data.amount > 10' is false
            => FILTERED
            > event 2 payment.received order=true amount=11
            event /test 2 payment.received from http
            event KEY_ERROR: message 'paid' of process 'process': the key 'data.order' is neither a text nor a number, but 'BOOLEAN'
            => KEY_ERROR
            > event 3 payment.received order="o1" amount=11
            event /test 3 payment.received from http
            message paid 'o1' published until 4600000 ms {"total":11}
            message paid 'o1' met instance #4
            no longer waits for message paid 'o1': met
            c triggered {"total":11}
            variable total = 11 in #4
            c completed
            message paid 'o1' expired
            event CORRELATED: message 'paid' of process 'process': process instance 2251799813685252 waited for key 'o1'
            job #12 b created, retries 3
            => CORRELATED
            > event 4 paid subject o1
            event /test 4 paid from http
            event NO_MATCH: no deployed process has a message for type 'paid'
            => NO_MATCH
            > event 5 payment.received order="o1"
            event /test 5 payment.received from http
            event FILTERED: message 'paid' of process 'process': the filter is not true: Expected result of the expression 'data.amount > 10' to be 'BOOLEAN', but was 'NULL'. The evaluation reported the following warnings:
            [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'amount'. Available keys: 'order'
            [NOT_COMPARABLE] Can't compare 'null' with '10'
            => FILTERED
            > activate b
            => b {"id":"o1","total":11}
        "#]],
    );
}

#[test]
fn a_key_that_is_neither_text_nor_number_is_an_error_of_the_key() {
    check(
        "start -> c:catch(message paid, key id, eventkey data.order) -> end",
        "event 1 paid order=true\nevent 2 paid order=[1]\nevent 3 paid",
        expect![[r#"
            > event 1 paid order=true
            event /test 1 paid from http
            event KEY_ERROR: message 'paid' of process 'process': the key 'data.order' is neither a text nor a number, but 'BOOLEAN'
            => KEY_ERROR
            > event 2 paid order=[1]
            event /test 2 paid from http
            event KEY_ERROR: message 'paid' of process 'process': the key 'data.order' is neither a text nor a number, but 'ARRAY'
            => KEY_ERROR
            > event 3 paid
            event /test 3 paid from http
            event KEY_ERROR: message 'paid' of process 'process': the CloudEvent has no key for it, and the message starts no process
            => KEY_ERROR
        "#]],
    );
}

#[test]
fn an_event_that_has_expired_wakes_nobody() {
    check(
        "start -> c:catch(message paid, key id) -> end",
        "event 1 paid subject o1 expires 0\nevent 2 paid subject o1 expires 500\nwait 500\ncreate id=\"o1\"",
        expect![[r#"
            > event 1 paid subject o1 expires 0
            event /test 1 paid from http
            event EXPIRED: message 'paid' of process 'process': its expirytime 1970-01-01T00:16:40Z is past
            => EXPIRED
            > event 2 paid subject o1 expires 500
            event /test 2 paid from http
            message paid 'o1' published until 1000500 ms
            event BUFFERED: message 'paid' of process 'process': nobody waits for key 'o1' yet; kept for 0.5 s
            => BUFFERED
            > wait 500
            message paid 'o1' expired
            > create id="o1"
            instance created #5 process version 1
            variable id = "o1" in #5
            start completed
            c waits for message paid 'o1'
        "#]],
    );
}

#[test]
fn a_lock_can_be_switched_off() {
    check(
        "s:start(message order, lock false) -> a -> end",
        "event 1 order subject o1\nevent 2 order subject o1",
        expect![[r#"
            > event 1 order subject o1
            event /test 1 order from http
            message order 'o1' published until 4600000 ms
            instance created #6 process version 1
            s triggered
            message order 'o1' started instance #6
            message order 'o1' expired
            event STARTED: message 'order' of process 'process': started process instance 2251799813685254 with key 'o1'
            s completed
            job #9 a created, retries 3
            => STARTED
            > event 2 order subject o1
            event /test 2 order from http
            message order 'o1' published until 4600000 ms
            instance created #11 process version 1
            s triggered
            message order 'o1' started instance #11
            message order 'o1' expired
            event STARTED: message 'order' of process 'process': started process instance 2251799813685259 with key 'o1'
            s completed
            job #14 a created, retries 3
            => STARTED
        "#]],
    );
}

#[test]
fn data_that_is_no_object_becomes_the_variable_data() {
    check(
        "s:start(message order, variables data.list) -> a -> end",
        "event 1 order list=[1,2]\nactivate a",
        expect![[r#"
        > event 1 order list=[1,2]
        event /test 1 order from http
        message order '' published until 4600000 ms {"data":[1,2]}
        instance created #6 process version 1
        s triggered {"data":[1,2]}
        message order '' started instance #6
        message order '' expired
        event STARTED: message 'order' of process 'process': started process instance 2251799813685254
        variable data = [1,2] in #6
        s completed
        job #10 a created, retries 3
        => STARTED
        > activate a
        => a {"data":[1,2]}
    "#]],
    );
}

#[test]
fn an_identity_is_new_again_when_the_window_has_passed() {
    check(
        "s:start(message order) -> end",
        "event 1 order\nevent 1 order\nwait 86400000\nevent 1 order\nwait 3600000\nevent 1 order",
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
            > event 1 order
            event /test 1 repeats 10
            => DUPLICATE
            > wait 86400000
            > event 1 order
            event /test 1 repeats 10
            => DUPLICATE
            > wait 3600000
            bucket 0 of the dedup window dropped
            bucket 0 of the dedup window forgot 1, renewed 0
            > event 1 order
            event /test 1 order from http
            message order '' published until 94600000 ms
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
        "#]],
    );
}

#[test]
fn a_process_publishes_an_event_with_its_cause() {
    check(
        "s:start(message order) -> p:throw(publish order.done, subject =id, data ={id: id}, to hook) -> end:end(publish order.ended)",
        "event 1 order id=\"o1\"\nack\nbury\nack",
        expect![[r#"
            > event 1 order id="o1"
            event /test 1 order from http
            message order '' published until 4600000 ms {"id":"o1"}
            instance created #6 process version 1
            s triggered {"id":"o1"}
            message order '' started instance #6
            message order '' expired
            event STARTED: message 'order' of process 'process': started process instance 2251799813685254
            variable id = "o1" in #6
            s completed
            event out #10 order.done to 'hook' {\"id\":\"o1\"}
            p completed
            event out #12 order.ended to '' {\"id\":\"o1\"}
            end completed
            process completed
            instance completed #6
            => STARTED
            > ack
            event out #10 delivered
            > bury
            event out #12 given up after 3 attempts: unreachable
            > ack
            REFUSED Command 'ACK' rejected with code 'NOT_FOUND': Expected to find outgoing CloudEvent with key '1', but it is not pending
        "#]],
    );
}

#[test]
fn an_event_that_cannot_be_made_is_an_incident() {
    check(
        "start -> p:throw(publish =kind) -> end",
        "create kind=\"\"\nset process kind=\"t\"\nresolve",
        expect![[r#"
            > create kind=""
            instance created #4 process version 1
            variable kind = "" in #4
            start completed
            incident #9 at p: EXTRACT_VALUE_ERROR Failed to make a CloudEvent to publish: attribute "type" is invalid: it is empty
            > set process kind="t"
            variable kind = "t" in #4
            > resolve
            incident #9 resolved
            event out #10 t to '' {\"kind\":\"t\"}
            p completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn what_is_published_names_its_conversation_and_its_cause() {
    let mut world = World::with_process(
        "s:start(message order) -> p:throw(publish one) -> c:catch(message paid, key \"k\") -> q:throw(publish two) -> t:send(message next) -> end",
    );
    world.deploy("process other ; s:start(message next) -> r:throw(publish three) -> end");
    let event = |id: &str, kind: &str, correlation: Option<&str>| {
        let mut builder = CloudEvent::builder(id, "/test", kind).trace_parent(format!("00-{id}"));
        if let Some(correlation) = correlation {
            builder = builder.correlation_id(correlation);
        }
        let event = builder.subject("k").build().unwrap();
        let arrivals = vec![Arrival::Event(Arc::new(event))];
        Command::IngestEvents(IngestEvents {
            tenant: DEFAULT_TENANT.into(),
            source_name: "http".into(),
            arrivals,
        })
    };
    world.submit(event("e1", "order", None)).unwrap();
    world.submit(event("e2", "paid", Some("talk"))).unwrap();
    let mut text = String::new();
    for pending::Waiting { added, .. } in pending::outbox(&world.state, None, 10) {
        let (out, entry) = (&added.event, added.entry);
        assert_eq!(out.id(), entry.to_string());
        let conversation = if out.correlation_id() == Some(&added.instance.to_string()) {
            "own"
        } else {
            out.correlation_id().unwrap()
        };
        let (cause, trace) = (out.causation_id().unwrap(), out.trace_parent().unwrap());
        text.push_str(&format!(
            "{} {} {} {conversation} {cause} {trace}\n",
            out.event_type(),
            out.source(),
            out.time().unwrap().as_str()
        ));
    }
    expect![[r#"
        one /kapelle/default/process 1970-01-01T00:16:40Z own e1 00-e1
        two /kapelle/default/process 1970-01-01T00:16:40Z talk e2 00-e2
        three /kapelle/default/other 1970-01-01T00:16:40Z talk e2 00-e2
    "#]]
    .assert_eq(&text);
    let first = pending::outbox(&world.state, None, 1)[0].added.entry;
    assert_eq!(pending::outbox(&world.state, Some(first), 10).len(), 2);
    let defer = |attempts| Command::DeferOutbox {
        entry: first,
        attempts,
        delay_ms: 500,
        error: "unreachable".into(),
    };
    world.submit(defer(2)).unwrap();
    assert!(
        world.submit(defer(2)).is_err(),
        "an attempt that is noted already"
    );
    let waiting = &pending::outbox(&world.state, None, 1)[0];
    assert_eq!((waiting.attempts, waiting.retry_at.0), (2, NOON + 500));
    world.run("bury");
    assert_eq!(
        pending::dead_letters(&world.state, None, 10)[0].added.entry,
        first
    );
    assert_eq!(pending::outbox(&world.state, None, 10).len(), 2);
}

fn reject(world: &mut World, identity: u128) -> EventResult {
    let raw = Arrival::Malformed {
        raw: b"?".as_slice().into(),
        content_type: None,
        reason: "no CloudEvent".into(),
        identity,
    };
    let ingest = IngestEvents {
        tenant: DEFAULT_TENANT.into(),
        source_name: "rabbit".into(),
        arrivals: vec![raw],
    };
    match world.submit(Command::IngestEvents(ingest)).unwrap() {
        Response::Ingested(mut results) => results.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_that_is_no_event_is_kept_raw_and_once() {
    let mut world = World::with_process("start -> end");
    let first = reject(&mut world, 1);
    let kept = pending::rejected_records(&world.state, None, 10);
    assert_eq!(
        (first.outcome, &*kept[0].raw, kept[0].position),
        (Outcome::Rejected, b"?".as_slice(), first.position)
    );
    assert!(pending::rejected_records(&world.state, Some(kept[0].position), 10).is_empty());
    let again = reject(&mut world, 1);
    assert_eq!(
        (again.outcome, again.duplicate_of),
        (Outcome::Duplicate, Some(first.position))
    );
    assert_eq!(reject(&mut world, 2).outcome, Outcome::Rejected);
    // As long as CloudEvents are known, and no longer.
    world.run("wait 90000000");
    assert_eq!(reject(&mut world, 1).outcome, Outcome::Rejected);
    assert_eq!(pending::rejected_records(&world.state, None, 10).len(), 3);
}

#[test]
fn records_that_are_no_events_are_forgotten_while_nothing_else_is_due() {
    let mut world = World::with_process("start -> end");
    // Now it is known that nothing is due.
    world.run("wait 1000");
    reject(&mut world, 1);
    world.run("wait 90000000");
    for line in [
        "bucket 0 of the dedup window dropped\n",
        "bucket 0 of the dedup window forgot 1, renewed 0\n",
    ] {
        assert!(world.log.contains(line), "{}", world.log);
    }
}

#[test]
fn the_record_that_an_event_was_made_of_is_kept_beside_it() {
    let mut world = World::with_process("start -> end");
    world.keeps_history = true;
    let event = CloudEvent::builder("1", "/old", "t").build().unwrap();
    let made = Arrival::Made {
        event: Arc::new(event),
        raw: b"\xff?".as_slice().into(),
    };
    let ingest = IngestEvents {
        tenant: DEFAULT_TENANT.into(),
        source_name: "rabbit".into(),
        arrivals: vec![made.clone(), made],
    };
    match world.submit(Command::IngestEvents(ingest)).unwrap() {
        Response::Ingested(results) => {
            let outcomes: Vec<_> = results.iter().map(|result| result.outcome).collect();
            assert_eq!(outcomes, [Outcome::NoMatch, Outcome::Duplicate]);
        }
        other => panic!("{other:?}"),
    }
    let mut kept = Vec::new();
    for (event, ..) in &world.history {
        let mut bytes = Vec::new();
        encode_event(event, &mut bytes);
        if let Event::CloudEventReceived { raw, .. } = decode_event(&bytes).unwrap() {
            kept.push(raw);
        }
    }
    assert_eq!(kept, [Some(b"\xff?".as_slice().into())]);
}
