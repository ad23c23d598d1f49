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
    check(
        NOW,
        "2026-02-01T00:00:00Z",
        expect![[r#"
        2026-02-01T00:00:00Z
        2026-02-01T00:00:00Z"#]],
    );
    check(
        NOW,
        "2026-02-01T00:30:00.1239+02:00[Europe/Berlin]",
        expect![[r#"
        2026-01-31T22:30:00.123Z
        2026-01-31T22:30:00.123Z"#]],
    );
    check(
        NOW,
        "2026-02-01T00:30-05",
        expect![[r#"
        2026-02-01T05:30:00Z
        2026-02-01T05:30:00Z"#]],
    );
}

#[test]
fn wrong_dates_say_what_is_wrong() {
    check(
        NOW,
        "2026-02-01T00:00:00",
        expect![
            "'2026-02-01T00:00:00' is not a date-time such as 2027-05-01T12:00:00Z: it needs Z or an offset such as +02:00 at the end"
        ],
    );
    check(
        NOW,
        "2026-02-30T00:00:00Z",
        expect![
            "'2026-02-30T00:00:00Z' is not a date-time such as 2027-05-01T12:00:00Z: there is no such day"
        ],
    );
    check(
        NOW,
        "2026-02-01",
        expect![
            "'2026-02-01' is not a date-time such as 2027-05-01T12:00:00Z: the time after T is missing"
        ],
    );
    check(
        NOW,
        "tomorrow",
        expect![
            "'tomorrow' is not a date-time such as 2027-05-01T12:00:00Z: expected year-month-dayThour:minute:second"
        ],
    );
    check(
        NOW,
        "2026-02-01T00:00:00Zjunk",
        expect![
            "'2026-02-01T00:00:00Zjunk' is not a date-time such as 2027-05-01T12:00:00Z: there is text after its end"
        ],
    );
    check(
        NOW,
        "äöü€-äö",
        expect![
            "'äöü€-äö' is not a date-time such as 2027-05-01T12:00:00Z: expected year-month-dayThour:minute:second"
        ],
    );
    check(
        NOW,
        "",
        expect![
            "'' is not a date-time such as 2027-05-01T12:00:00Z: expected year-month-dayThour:minute:second"
        ],
    );
}

#[test]
fn durations_add_calendar_months_and_exact_time() {
    check(
        NOW,
        "PT90M",
        expect![[r#"
        PT1H30M
        2026-01-31T13:30:00Z"#]],
    );
    check(
        NOW,
        "P1M",
        expect![[r#"
        P1M
        2026-02-28T12:00:00Z"#]],
    );
    check(
        NOW,
        "P1Y2M3W4DT5H6M7.89S",
        expect![[r#"
        P1Y2M25DT5H6M7.890S
        2027-04-25T17:06:07.890Z"#]],
    );
    check(
        NOW,
        "-PT5S",
        expect![[r#"
        PT-5S
        2026-01-31T11:59:55Z"#]],
    );
    check(
        NOW,
        "P-1DT1H",
        expect![[r#"
        PT-23H
        2026-01-30T13:00:00Z"#]],
    );
    check(
        NOW,
        "PT0S",
        expect![[r#"
        PT0S
        2026-01-31T12:00:00Z"#]],
    );
}

#[test]
fn wrong_durations_say_what_is_wrong() {
    for (text, expect) in [
        (
            "P",
            expect!["'P' is not a duration such as PT30S or P1DT12H: there is no number in it"],
        ),
        (
            "PT",
            expect!["'PT' is not a duration such as PT30S or P1DT12H: there is no number in it"],
        ),
        (
            "P1",
            expect![
                "'P1' is not a duration such as PT30S or P1DT12H: a unit is missing after the number"
            ],
        ),
        (
            "P1H",
            expect![
                "'P1H' is not a duration such as PT30S or P1DT12H: units are Y M W D, then T, then H M S, in this order and once each"
            ],
        ),
        (
            "P1D2M",
            expect![
                "'P1D2M' is not a duration such as PT30S or P1DT12H: units are Y M W D, then T, then H M S, in this order and once each"
            ],
        ),
        (
            "P1.5D",
            expect![
                "'P1.5D' is not a duration such as PT30S or P1DT12H: only seconds may have a fraction"
            ],
        ),
        (
            "P99999999999999999999D",
            expect![
                "'P99999999999999999999D' is not a duration such as PT30S or P1DT12H: the number is too large"
            ],
        ),
        (
            "P9999999999999999D",
            expect![
                "'P9999999999999999D' is not a duration such as PT30S or P1DT12H: the number is too large"
            ],
        ),
        (
            "P999999999Y",
            expect![
                "'P999999999Y' is not a duration such as PT30S or P1DT12H: it is longer than a hundred thousand years"
            ],
        ),
        (
            "PT1.0000000001S",
            expect![
                "'PT1.0000000001S' is not a duration such as PT30S or P1DT12H: a fraction of a second has 1 to 9 digits"
            ],
        ),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn cycles_count_down_and_do_not_drift() {
    check(
        NOW,
        "R/PT10S",
        expect![[r#"
        R/PT10S
        2026-01-31T12:00:10Z
        2026-01-31T12:00:20Z
        2026-01-31T12:00:30Z
        …"#]],
    );
    check(
        NOW,
        "R2/PT10S",
        expect![[r#"
        R2/PT10S
        2026-01-31T12:00:10Z
        2026-01-31T12:00:20Z"#]],
    );
    check(
        NOW,
        "R-1/P1M",
        expect![[r#"
        R/P1M
        2026-02-28T12:00:00Z
        2026-03-28T12:00:00Z
        2026-04-28T12:00:00Z
        …"#]],
    );
    check(
        NOW,
        "R3/2026-03-01T00:00:00Z/P1D",
        expect![[r#"
        R3/2026-03-01T00:00:00Z/P1D
        2026-03-01T00:00:00Z
        2026-03-02T00:00:00Z
        2026-03-03T00:00:00Z"#]],
    );
    check(
        NOW,
        "R3/2020-03-01T00:00:00Z/P1D",
        expect![[r#"
        R3/2020-03-01T00:00:00Z/P1D
        2026-02-01T12:00:00Z
        2026-02-02T12:00:00Z
        2026-02-03T12:00:00Z"#]],
    );
}

#[test]
fn wrong_cycles_say_what_is_wrong() {
    for (text, expect) in [
        (
            "R",
            expect![
                "'R' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: expected R[n]/duration or R[n]/start/duration"
            ],
        ),
        (
            "R0/PT1S",
            expect![
                "'R0/PT1S' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: it must fire at least once"
            ],
        ),
        (
            "Rx/PT1S",
            expect![
                "'Rx/PT1S' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: the number after R is not a whole number"
            ],
        ),
        (
            "R/PT0S",
            expect![
                "'R/PT0S' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: the interval must be greater than zero"
            ],
        ),
        (
            "R/-PT1S",
            expect![
                "'R/-PT1S' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: the interval must be greater than zero"
            ],
        ),
        (
            "R/2026/PT1S",
            expect![
                "'R/2026/PT1S' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: expected year-month-dayThour:minute:second"
            ],
        ),
        (
            "R/2026-01-01T00:00:00Z/PT1S/x",
            expect![
                "'R/2026-01-01T00:00:00Z/PT1S/x' is not a cycle such as R3/PT10S or a cron expression such as 0 0 9 * * MON-FRI: expected R[n]/duration or R[n]/start/duration"
            ],
        ),
        (
            "Ä/PT1S",
            expect![
                "'Ä/PT1S' is not a date-time such as 2027-05-01T12:00:00Z: expected year-month-dayThour:minute:second"
            ],
        ),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn cron_finds_the_next_times() {
    for (text, expect) in [
        (
            "0 0 9 * * MON-FRI",
            expect![[r#"
            0 0 9 * * MON-FRI
            2026-02-02T09:00:00Z
            2026-02-03T09:00:00Z
            2026-02-04T09:00:00Z
            …"#]],
        ),
        (
            "*/20 * * * * *",
            expect![[r#"
            */20 * * * * *
            2026-01-31T12:00:20Z
            2026-01-31T12:00:40Z
            2026-01-31T12:01:00Z
            …"#]],
        ),
        (
            "0 0/30 8-9 * * *",
            expect![[r#"
            0 0/30 8-9 * * *
            2026-02-01T08:00:00Z
            2026-02-01T08:30:00Z
            2026-02-01T09:00:00Z
            …"#]],
        ),
        (
            "0 0 0 L * ?",
            expect![[r#"
            0 0 0 L * ?
            2026-02-28T00:00:00Z
            2026-03-31T00:00:00Z
            2026-04-30T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 L-3 * ?",
            expect![[r#"
            0 0 0 L-3 * ?
            2026-02-25T00:00:00Z
            2026-03-28T00:00:00Z
            2026-04-27T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 LW * *",
            expect![[r#"
            0 0 0 LW * *
            2026-02-27T00:00:00Z
            2026-03-31T00:00:00Z
            2026-04-30T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 1W * *",
            expect![[r#"
            0 0 0 1W * *
            2026-02-02T00:00:00Z
            2026-03-02T00:00:00Z
            2026-04-01T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 ? * 5L",
            expect![[r#"
            0 0 0 ? * 5L
            2026-02-27T00:00:00Z
            2026-03-27T00:00:00Z
            2026-04-24T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 ? * FRI#2",
            expect![[r#"
            0 0 0 ? * FRI#2
            2026-02-13T00:00:00Z
            2026-03-13T00:00:00Z
            2026-04-10T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 29 2 *",
            expect![[r#"
            0 0 0 29 2 *
            2028-02-29T00:00:00Z
            2032-02-29T00:00:00Z
            2036-02-29T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 29 2 MON",
            expect![[r#"
            0 0 0 29 2 MON
            2044-02-29T00:00:00Z
            2072-02-29T00:00:00Z
            2112-02-29T00:00:00Z
            …"#]],
        ),
        (
            "0 0 0 * * 7",
            expect![[r#"
            0 0 0 * * 7
            2026-02-01T00:00:00Z
            2026-02-08T00:00:00Z
            2026-02-15T00:00:00Z
            …"#]],
        ),
        (
            "@yearly",
            expect![[r#"
            @yearly
            2027-01-01T00:00:00Z
            2028-01-01T00:00:00Z
            2029-01-01T00:00:00Z
            …"#]],
        ),
        (
            "@hourly",
            expect![[r#"
            @hourly
            2026-01-31T13:00:00Z
            2026-01-31T14:00:00Z
            2026-01-31T15:00:00Z
            …"#]],
        ),
        (
            "59 59 23 31 12 *",
            expect![[r#"
            59 59 23 31 12 *
            2026-12-31T23:59:59Z
            2027-12-31T23:59:59Z
            2028-12-31T23:59:59Z
            …"#]],
        ),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn wrong_cron_says_what_is_wrong() {
    for (text, expect) in [
        (
            "0 0 9 * *",
            expect![
                "'0 0 9 * *' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 5"
            ],
        ),
        (
            "60 0 9 * * *",
            expect![
                "'60 0 9 * * *' is not a cron expression such as 0 0 9 * * MON-FRI: '60' is not a second from 0 to 59"
            ],
        ),
        (
            "0 0 0 30 2 *",
            expect![
                "'0 0 0 30 2 *' is not a cron expression such as 0 0 9 * * MON-FRI: it never comes true"
            ],
        ),
        (
            "0 0 9 * FOO *",
            expect![
                "'0 0 9 * FOO *' is not a cron expression such as 0 0 9 * * MON-FRI: 'FOO' is not a month from 1 to 12"
            ],
        ),
        (
            "0 0 9-8 * * *",
            expect![
                "'0 0 9-8 * * *' is not a cron expression such as 0 0 9 * * MON-FRI: the hour range '9-8' runs backwards"
            ],
        ),
        (
            "0 0/0 9 * * *",
            expect![
                "'0 0/0 9 * * *' is not a cron expression such as 0 0 9 * * MON-FRI: '0' is not a step from 1 to 60"
            ],
        ),
        (
            "@never",
            expect![
                "'@never' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 1"
            ],
        ),
    ] {
        check(NOW, text, expect);
    }
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    for text in [
        "R/P100000Y",
        "P100000Y",
        "0 0 0 29 2 MON",
        "2026-01-01T00:00:00Z",
        "-P100000Y",
    ] {
        let schedule = Schedule::parse(text).expect("a valid timer");
        for now in [i64::MIN, -1, 0, i64::MAX] {
            let due = schedule.first_due(now);
            if now >= 0 && !text.starts_with("2026") && !text.starts_with('-') {
                assert!(due >= now, "{text} from {now} is due at {due}");
            }
        }
    }
}
