//! The machine's clock is set while the server runs, and between two of its lives (design §4, *Time*).

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::crash::powercut::{Control, Knob};
use crate::server::{Server, TempDir};

const HOUR: i64 = 3_600;

/// A server whose clock can be set.
pub(crate) struct Clock {
    dir: TempDir,
    control: Control,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new();
        let control = Control::new(dir.path().join("control"));
        Self { dir, control }
    }

    /// Puts it so many seconds ahead of the machine's.
    pub(crate) fn set(&self, seconds: i64) {
        self.control.set(Knob::ClockOffset, seconds * 1_000_000_000);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn start(&self, config: &str) -> Server {
        Server::start_as(self.dir.path(), &self.data(), config, |mut command| {
            self.control.apply(&mut command);
            command
        })
    }
}

/// A timer of a second is due in a second, however the clock stands; what waits for longer waits.
fn only_the_short_timer_fires(server: &Server, long: &[String]) {
    let short = must_start(&server.rest, "timer", r#"{"wait":"PT1S"}"#);
    let took = eventually("a timer of a second", Duration::from_secs(20), || {
        has_ended(&server.rest, &short)
    });
    assert!(took > Duration::from_millis(700), "fired after {took:?}");
    let waiting = instances(&server.rest, "ACTIVE");
    for key in long {
        assert!(waiting.contains(key), "{key} has fired");
    }
}

#[test]
fn a_clock_that_is_set_while_the_server_runs_moves_no_timer() {
    let clock = Clock::new();
    let server = clock.start("");
    http::must_deploy(&server.rest, "timer.bpmn", &timer("timer"));
    let long = [must_start(&server.rest, "timer", r#"{"wait":"PT1H"}"#)];
    for step in [2 * HOUR, -2 * HOUR, 400 * 24 * HOUR, 0] {
        clock.set(step);
        only_the_short_timer_fires(&server, &long);
    }
}

#[test]
fn a_start_believes_a_clock_that_is_less_than_an_hour_ahead() {
    let clock = Clock::new();
    let server = clock.start("");
    http::must_deploy(&server.rest, "timer.bpmn", &timer("timer"));
    let half = must_start(&server.rest, "timer", r#"{"wait":"PT30M"}"#);
    let long = [must_start(&server.rest, "timer", r#"{"wait":"PT2H"}"#)];
    server.kill();
    clock.set(HOUR * 3 / 4);
    let server = clock.start("");
    eventually("a timer that is overdue", Duration::from_secs(20), || {
        has_ended(&server.rest, &half)
    });
    only_the_short_timer_fires(&server, &long);
}

#[test]
fn a_start_believes_no_clock_that_is_more_than_an_hour_ahead_until_an_operator_does() {
    let clock = Clock::new();
    let server = clock.start("");
    http::must_deploy(&server.rest, "timer.bpmn", &timer("timer"));
    let long = [must_start(&server.rest, "timer", r#"{"wait":"PT2H"}"#)];
    server.kill();
    clock.set(3 * HOUR);
    let server = clock.start("");
    only_the_short_timer_fires(&server, &long);
    let doubted = http::metric(&server.management, "kapelle_clock_doubted");
    assert!(doubted > 0.5, "nobody is told: {doubted}");
    server.kill();
    let server = clock.start("[data]\naccept-clock-jump = true\n");
    eventually("a timer that is overdue", Duration::from_secs(20), || {
        has_ended(&server.rest, &long[0])
    });
}

#[test]
fn time_does_not_go_back_with_the_clock() {
    let clock = Clock::new();
    clock.set(HOUR);
    let server = clock.start("");
    http::must_deploy(&server.rest, "timer.bpmn", &timer("timer"));
    let long = [must_start(&server.rest, "timer", r#"{"wait":"PT1H"}"#)];
    let soon = must_start(&server.rest, "timer", r#"{"wait":"PT3S"}"#);
    server.kill();
    clock.set(-24 * HOUR);
    let server = clock.start("");
    eventually("a timer of three seconds", Duration::from_secs(20), || {
        has_ended(&server.rest, &soon)
    });
    only_the_short_timer_fires(&server, &long);
}
