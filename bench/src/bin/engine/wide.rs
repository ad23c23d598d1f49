//! CloudEvents of full size for many processes at once: what they cost the journal, the writer and memory.

use std::sync::Arc;
use std::time::Instant;

use kapelle_bench::{Arguments, resident_mib, say, time};
use kapelle_engine::command::{Arrival, Command, IngestEvents};
use kapelle_events::CloudEvent;
use kapelle_runtime::open::recover;

use crate::{Driver, TENANT, ask, deploy, options, reopen};

pub fn run(arguments: &Arguments) {
    let path = arguments.directory("wide");
    let (processes, events) = (
        arguments.get("processes", 10_u32),
        arguments.get("instances", 20_u64),
    );
    let payload = arguments.get("payload", 4_100_000_usize);
    let recovered = recover(&path, options(arguments)).expect("an empty directory opens");
    let mut driver = Driver::new(recovered.partition);
    for number in 0..processes {
        deploy(
            &mut driver,
            &format!("process wide-{number} ; s:start(message wide) -> work -> end"),
        );
    }
    let metrics = Arc::clone(driver.partition.metrics());
    let before = (metrics.journal_bytes.get(), metrics.decide_ns.get());
    let started = Instant::now();
    let mut longest = std::time::Duration::ZERO;
    for number in 0..events {
        let mut requests = vec![ask(ingest(number, payload))];
        let one = Instant::now();
        driver.step(|| requests.pop());
        driver.finish();
        longest = longest.max(one.elapsed());
    }
    let spent = started.elapsed() / events as u32;
    let grown = metrics.journal_bytes.get() - before.0;
    say(
        "one CloudEvent: mean, longest",
        format!("{}, {}", time(spent), time(longest)),
    );
    say(
        "  of that deciding and writing to memory",
        time(std::time::Duration::from_nanos(
            (metrics.decide_ns.get() - before.1) / events,
        )),
    );
    say(
        "journal for each byte of data",
        format!("{:.3}", grown as f64 / (events as usize * payload) as f64),
    );
    say("resident MiB", resident_mib());
    drop((driver, recovered.directory));
    reopen(&path, options(arguments), "ready again");
    std::fs::remove_dir_all(&path).ok();
}

fn ingest(number: u64, payload: usize) -> Command {
    let mut state = number + 1;
    let text: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    })
    .take(payload)
    .collect();
    let json = format!(r#"{{"text":"{text}"}}"#);
    let event = CloudEvent::builder(number.to_string(), "/bench", "wide")
        .data("application/json", json.as_str())
        .build()
        .expect("a CloudEvent");
    Command::IngestEvents(IngestEvents {
        tenant: TENANT.into(),
        source_name: "bench".into(),
        arrivals: vec![Arrival::Event(Arc::new(event))],
    })
}
