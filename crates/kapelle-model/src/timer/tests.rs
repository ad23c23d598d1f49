//! Timer texts in, canonical text and due times out.

use expect_test::{Expect, expect};

use super::{Schedule, iso};

/// Prints the schedule and its first due times, seen from `now`.
fn check(now: &str, text: &str, expect: Expect) {
    let now = iso::parse_date_time(now).expect("the test's now is a date-time");
    let shown = match Schedule::parse(text) {
        Err(error) => error.to_string(),
        Ok(schedule) => {
            let mut remaining = schedule.repetitions();
            let mut due = Some(schedule.first_due(now));
            let mut out = schedule.to_string();
            for _ in 0..3 {
                let Some(ms) = due else { break };
                out.push_str(&format!("\n{}", Schedule::Date(ms)));
                due = schedule.next_due(ms, remaining);
                remaining = remaining.map(|times| times - 1);
            }
            if due.is_some() {
                out.push_str("\n…");
            }
            out
        }
    };
    expect.assert_eq(&shown);
}

const NOW: &str = "2026-01-31T12:00:00Z";

#[test]
fn dates_with_offset_zone_and_fraction() {
    check(NOW, "2026-02-01T00:00:00Z", expect![[""]]);
    check(NOW, "2026-02-01T00:30:00.1239+02:00[Europe/Berlin]", expect![[""]]);
    check(NOW, "2026-02-01T00:30-05", expect![[""]]);
}

#[test]
fn wrong_dates_say_what_is_wrong() {
    check(NOW, "2026-02-01T00:00:00", expect![[""]]);
    check(NOW, "2026-02-30T00:00:00Z", expect![[""]]);
    check(NOW, "2026-02-01", expect![[""]]);
    check(NOW, "tomorrow", expect![[""]]);
    check(NOW, "2026-02-01T00:00:00Zjunk", expect![[""]]);
    check(NOW, "äöü€-äö", expect![[""]]);
    check(NOW, "", expect![[""]]);
}

#[test]
fn durations_add_calendar_months_and_exact_time() {
    check(NOW, "PT90M", expect![[""]]);
    check(NOW, "P1M", expect![[""]]);
    check(NOW, "P1Y2M3W4DT5H6M7.89S", expect![[""]]);
    check(NOW, "-PT5S", expect![[""]]);
    check(NOW, "P-1DT1H", expect![[""]]);
    check(NOW, "PT0S", expect![[""]]);
}

#[test]
fn wrong_durations_say_what_is_wrong() {
    for (text, expect) in [
        ("P", expect![[""]]),
        ("PT", expect![[""]]),
        ("P1", expect![[""]]),
        ("P1H", expect![[""]]),
        ("P1D2M", expect![[""]]),
        ("P1.5D", expect![[""]]),
        ("P99999999999999999999D", expect![[""]]),
        ("P9999999999999999D", expect![[""]]),
        ("P999999999Y", expect![[""]]),
        ("PT1.0000000001S", expect![[""]]),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn cycles_count_down_and_do_not_drift() {
    check(NOW, "R/PT10S", expect![[""]]);
    check(NOW, "R2/PT10S", expect![[""]]);
    check(NOW, "R-1/P1M", expect![[""]]);
    check(NOW, "R3/2026-03-01T00:00:00Z/P1D", expect![[""]]);
    check(NOW, "R3/2020-03-01T00:00:00Z/P1D", expect![[""]]);
}

#[test]
fn wrong_cycles_say_what_is_wrong() {
    for (text, expect) in [
        ("R", expect![[""]]),
        ("R0/PT1S", expect![[""]]),
        ("Rx/PT1S", expect![[""]]),
        ("R/PT0S", expect![[""]]),
        ("R/-PT1S", expect![[""]]),
        ("R/2026/PT1S", expect![[""]]),
        ("R/2026-01-01T00:00:00Z/PT1S/x", expect![[""]]),
        ("Ä/PT1S", expect![[""]]),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn cron_finds_the_next_times() {
    for (text, expect) in [
        ("0 0 9 * * MON-FRI", expect![[""]]),
        ("*/20 * * * * *", expect![[""]]),
        ("0 0/30 8-9 * * *", expect![[""]]),
        ("0 0 0 L * ?", expect![[""]]),
        ("0 0 0 L-3 * ?", expect![[""]]),
        ("0 0 0 LW * *", expect![[""]]),
        ("0 0 0 1W * *", expect![[""]]),
        ("0 0 0 ? * 5L", expect![[""]]),
        ("0 0 0 ? * FRI#2", expect![[""]]),
        ("0 0 0 29 2 *", expect![[""]]),
        ("0 0 0 29 2 MON", expect![[""]]),
        ("0 0 0 * * 7", expect![[""]]),
        ("@yearly", expect![[""]]),
        ("@hourly", expect![[""]]),
        ("59 59 23 31 12 *", expect![[""]]),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn wrong_cron_says_what_is_wrong() {
    for (text, expect) in [
        ("0 0 9 * *", expect![[""]]),
        ("60 0 9 * * *", expect![[""]]),
        ("0 0 0 30 2 *", expect![[""]]),
        ("0 0 9 * FOO *", expect![[""]]),
        ("0 0 9-8 * * *", expect![[""]]),
        ("0 0/0 9 * * *", expect![[""]]),
        ("@never", expect![[""]]),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    for text in ["R/P100000Y", "P100000Y", "0 0 0 29 2 MON", "2026-01-01T00:00:00Z", "-P100000Y"] {
        let schedule = Schedule::parse(text).expect("a valid timer");
        for now in [i64::MIN, -1, 0, i64::MAX] {
            let due = schedule.first_due(now);
            if now >= 0 && !text.starts_with("2026") && !text.starts_with('-') {
                assert!(due >= now, "{text} from {now} is due at {due}");
            }
        }
    }
}
