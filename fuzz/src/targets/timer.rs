//! Timers as models and expressions have them: ISO 8601 dates, durations, cycles, and cron.

use kapelle_model::graph::TimerKind;
use kapelle_model::timer::{Period, Schedule};

use super::{KIB, MIB};
use crate::Target;

pub const TIMER: Target = Target {
    name: "timer",
    run,
    seeds: |seeds| seeds.lines(EXAMPLES),
    dictionary: "R/\nR5/\nP1Y2M3W4D\nPT1H2M3.5S\n@daily\n@hourly\nMON-FRI\n*/5\nL\nW\n#2\n2024-02-29T10:00:00\n+02:00\nZ\n[Europe/Berlin]\n-P",
    len_max: KIB,
    bytes_max: 4 * MIB,
    cpu_ms_max: 300,
};

/// Times at which something ends.
const MOMENTS: [i64; 6] = [
    i64::MIN,
    -62_135_596_800_000,
    0,
    1_709_164_799_999,
    253_402_300_799_999,
    i64::MAX,
];

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for kind in [TimerKind::Date, TimerKind::Duration, TimerKind::Cycle] {
        match kind.parse(text) {
            Ok(schedule) => check(&schedule, kind),
            Err(error) => assert!(error.to_string().len() < 1_000 + 2 * text.len(), "{error}"),
        }
    }
    if let Ok(schedule) = Schedule::parse(text) {
        assert!(!schedule.to_string().is_empty());
    }
    if let Ok(period) = Period::parse(text) {
        let _ = MOMENTS.map(|moment| period.after(moment));
    }
}

fn check(schedule: &Schedule, kind: TimerKind) {
    let printed = schedule.to_string();
    let again = kind
        .parse(&printed)
        .unwrap_or_else(|error| panic!("{printed} is printed and not read: {error}"));
    assert_eq!(&again, schedule, "{printed}");
    for moment in MOMENTS {
        let mut due = schedule.first_due(moment);
        let mut remaining = schedule.repetitions();
        for _ in 0..20 {
            let Some(next) = schedule.next_due(due, remaining) else {
                break;
            };
            assert!(
                next >= due || matches!(schedule, Schedule::Duration(_)),
                "time goes on: {due} then {next}"
            );
            remaining = remaining.map(|remaining| remaining.saturating_sub(1));
            due = next;
        }
    }
}

const EXAMPLES: &str = "2024-02-29T10:00:00Z
2024-03-31T02:30:00+01:00
2024-03-31T02:30:00.123456789[Europe/Berlin]
P1Y2M3W4DT5H6M7.5S
PT0S
-P1D
PT-1H
R/PT5M
R3/PT10S
R5/2024-02-29T10:00:00Z/P1M
R0/PT1S
0 0 12 * * ?
0 */5 9-17 * * MON-FRI
0 0 0 L * *
0 0 0 1W * *
0 0 0 ? * 5#3
@daily
@every_minute
59 59 23 31 12 *";
