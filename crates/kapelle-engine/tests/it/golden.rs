//! The stored form of everything, pinned: what the first release wrote is read for ever.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use expect_test::expect_file;
use kapelle_engine::command::{Arrival, Command, IngestEvents};
use kapelle_engine::encode;
use kapelle_engine::event::{Event, JobRef};
use kapelle_engine::ids::{DEFAULT_TENANT, ElementInstanceKey, JobKey, ProcessInstanceKey};
use kapelle_engine::keep::Keep;

use crate::world::World;

/// A story in which as many kinds of events happen as one process can have.
const PROCESS: &str = "s:start(message order, event order.placed, eventkey data.id) -> merge0{all: default} ; start -> merge0 ; \
    all -> fork -> a:service(type t1, header h v, in local = n, out got.it = n) -> join -> sub[start2 -> b:service(type t2) -> end2] -> end ; \
    fork -> u:user(assignee =who) -> join ; \
    late(duration PT9S) on a -> end3 ; tick(cycle R/PT5S) beside a -> end4 ; stop(message stop, key id) on sub -> p:throw(publish stopped) -> e:end(terminate)";

const SCRIPT: &str = "stream t1 1
create id=\"o1\" n=1 who=\"me\" request r1
yield t1
activate t1
timeout t1 4000
fail t1 2 backoff 500
wait 500
activate t1
fail t1 0 why=\"x\"
retries t1 1
resolve
wait 5000
complete t1 n=2
complete io.camunda.zeebe:userTask
throw t2 NOBODY
publish stop o1 ttl 1000 id m1 why=\"late\"
event 1 order.placed id=\"o2\" n=2 who=\"me\"
event 1 order.placed id=\"o2\" n=2 who=\"me\"
event 2 order.placed id=\"o2\" n=2
cancel
quarantine
defer 1
bury
subscriber s {\"target\":{\"pull\":{}}}
redrive s 7
event 3 unknown
subscriber t {\"target\":{\"pull\":{}}}
unsubscribe t
leader 2";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn story() -> World {
    let mut world = World::with_process(PROCESS);
    world.keeps_history = true;
    world.run(SCRIPT);
    let raw = Arrival::Malformed {
        raw: b"?".as_slice().into(),
        content_type: Some("text/plain".into()),
        reason: "no CloudEvent".into(),
        identity: 1,
    };
    let ingest = IngestEvents {
        tenant: DEFAULT_TENANT.into(),
        source_name: "rabbit".into(),
        arrivals: vec![raw],
    };
    world.submit(Command::IngestEvents(ingest)).unwrap();
    world
}

/// It takes a job of four mebibytes to happen.
fn withheld() -> Event {
    let job = JobRef {
        job: JobKey(8),
        instance: ProcessInstanceKey(4),
        element: ElementInstanceKey(7),
        tenant: DEFAULT_TENANT.into(),
        job_type: "t1".into(),
    };
    Event::JobWithheld { job }
}

#[test]
fn the_first_release_writes_these_bytes() {
    let world = story();
    let mut first: BTreeMap<(u64, &str), String> = BTreeMap::new();
    let events = world.history.iter().map(|(event, ..)| event);
    for event in events.chain([&withheld()]) {
        let mut bytes = Vec::new();
        encode::encode_event(event, &mut bytes);
        first
            .entry((event.code(), event.name()))
            .or_insert_with(|| hex(&bytes));
    }
    let mut text = String::new();
    for ((code, name), bytes) in first {
        text.push_str(&format!("event {code} {name} {bytes}\n"));
    }
    for instance in world.state.instances() {
        let mut bytes = Vec::new();
        encode::encode_instance(instance, &mut bytes);
        text.push_str(&format!("instance {}\n", hex(&bytes)));
    }
    world.state.scan(&[0], &[u8::MAX], &mut |key, value| {
        // Deployed files are long and say nothing here.
        if value.len() < 1_000 {
            text.push_str(&format!("entry {} {}\n", hex(key), hex(value)));
        }
        ControlFlow::Continue(())
    });
    let mut bytes = Vec::new();
    encode::encode_partition(world.state.partition(), &mut bytes);
    text.push_str(&format!("partition {}\n", hex(&bytes)));
    expect_file!["testdata/format-1.txt"].assert_eq(&text);
}

#[test]
fn what_the_first_release_wrote_is_read_and_written_again_alike() {
    let mut lines = 0;
    for line in include_str!("testdata/format-1.txt").lines() {
        let bytes = unhex(line.rsplit(' ').next().unwrap());
        let mut again = Vec::new();
        match line.split(' ').next() {
            Some("event") => {
                encode::encode_event(&encode::decode_event(&bytes).unwrap(), &mut again)
            }
            Some("instance") => {
                encode::encode_instance(&encode::decode_instance(&bytes).unwrap(), &mut again)
            }
            Some("partition") => {
                encode::encode_partition(&encode::decode_partition(&bytes).unwrap(), &mut again)
            }
            _ => continue,
        }
        assert_eq!(hex(&again), hex(&bytes));
        lines += 1;
    }
    assert!(lines > 40, "only {lines}");
}

#[test]
fn a_field_of_a_later_release_is_passed_over() {
    let world = story();
    for (event, ..) in &world.history {
        let mut bytes = Vec::new();
        encode::encode_event(event, &mut bytes);
        // Number 1,000 as a number, 1,001 as bytes.
        bytes.extend_from_slice(&[0xd0, 0x0f, 0x07, 0xd3, 0x0f, 0x02, 0xff, 0xfe]);
        assert_eq!(encode::decode_event(&bytes).unwrap(), *event);
    }
}

#[test]
fn damaged_bytes_are_an_error_and_never_a_panic() {
    let world = story();
    let mut refused = 0;
    for (event, ..) in &world.history {
        let mut bytes = Vec::new();
        encode::encode_event(event, &mut bytes);
        for at in 0..bytes.len().min(400) {
            refused += u32::from(encode::decode_event(&bytes[..at]).is_err());
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xa5;
            refused += u32::from(encode::decode_event(&damaged).is_err());
        }
    }
    assert!(refused > 1_000, "only {refused}");
}
