//! The demo, run for a few seconds: the real server, the simulators and the plain view.

use std::time::{Duration, Instant};

use crate::program::Place;

#[test]
fn it_lives_and_ends_by_itself_with_a_summary() {
    let place = Place::new();
    let ended = place.run(&[
        "demo", "--port", "auto", "--for", "8s", "--rate", "8", "--keep", "data",
    ]);
    let text = ended.text();
    assert_eq!(ended.code, 0, "{text}");
    for outcome in ["STARTED", "CORRELATED", "DELIVERED"] {
        assert!(
            ended.stdout.lines().any(|line| line.contains(outcome)),
            "{outcome}: {text}"
        );
    }
    for line in ["instances  ", "published  ", "latency    "] {
        assert!(ended.stdout.contains(line), "{line}: {text}");
    }
    assert!(ended.stdout.contains("order.completed"), "{text}");
    assert!(!ended.stderr.contains("simulator:"), "{text}");
    assert!(place.path().join("data").exists(), "--keep keeps the data");
    // On the same data it goes on with new orders: the first would otherwise all be repeats.
    let again = place.run(&[
        "demo", "--port", "auto", "--for", "2s", "--rate", "5", "--keep", "data",
    ]);
    assert!(again.stdout.contains("STARTED"), "{}", again.text());
}

#[test]
fn the_first_event_is_there_within_a_second_and_the_data_goes_away() {
    use std::io::{BufRead as _, BufReader};
    let place = Place::new();
    let began = Instant::now();
    let mut demo = place
        .command(&["demo", "--port", "auto", "--for", "3s"])
        .env("TMPDIR", place.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(demo.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let after = began.elapsed();
    assert!(first.contains("order.placed"), "{first}");
    // The product's promise is 1 s; a debug build on a busy machine gets more.
    assert!(after < Duration::from_secs(5), "{after:?}");
    assert!(demo.wait().is_ok());
    let left: Vec<_> = std::fs::read_dir(place.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn it_speaks_json_to_programs() {
    let ended = Place::new().run(&["demo", "--port", "auto", "--for", "2s", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.text());
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with('{') && line.ends_with('}')),
        "{}",
        ended.text()
    );
    assert!(
        lines
            .last()
            .unwrap()
            .contains("\"instances\":{\"started\":"),
        "{}",
        ended.text()
    );
}

#[test]
fn a_port_in_use_is_told_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Place::new().run(&["demo", "--port", "auto", "--grpc-address", &address]);
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(ended.stderr.contains("--port auto"), "{}", ended.text());
}

#[test]
fn a_rate_that_cannot_be_meant_is_a_usage_error() {
    assert_eq!(Place::new().run(&["demo", "--rate", "0"]).code, 2);
    assert_eq!(Place::new().run(&["demo", "--for", "soon"]).code, 2);
}
