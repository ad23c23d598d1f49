//! Timers of elements and of definitions.

use expect_test::expect;
use kapelle_engine::event::Event;

use crate::world::{World, check};

#[test]
fn a_timer_is_never_early() {
    check(
        "start -> c:catch(duration PT1S) -> end",
        "create\nwait 999\nwait 1",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        c waits until 1001000 ms
        > wait 999
        > wait 1
        c is due
        c triggered
        c completed
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn a_timer_in_the_past_is_due_after_a_pause() {
    check(
        "start -> c:catch(date =when) -> end",
        "create when=\"1970-01-01T00:00:01Z\"\nwait 100\ncreate when=\"tomorrow\"\nset process when=\"1970-01-01T00:20:00Z\"\nresolve\nwait 1000000",
        expect![[r#"
            > create when="1970-01-01T00:00:01Z"
            instance created #4 process version 1
            variable when = "1970-01-01T00:00:01Z" in #4
            start completed
            c waits until 1000100 ms
            > wait 100
            c is due
            c triggered
            c completed
            end completed
            process completed
            instance completed #4
            > create when="tomorrow"
            instance created #10 process version 1
            variable when = "tomorrow" in #10
            start completed
            incident #14 at c: EXTRACT_VALUE_ERROR Failed to read the timer 'tomorrow' that the expression 'when' gave: 'tomorrow' is not a date-time such as 2027-05-01T12:00:00Z: expected year-month-dayThour:minute:second
            > set process when="1970-01-01T00:20:00Z"
            variable when = "1970-01-01T00:20:00Z" in #10
            > resolve
            incident #14 resolved
            c waits until 1200000 ms
            > wait 1000000
            c is due
            c triggered
            c completed
            end completed
            process completed
            instance completed #10
        "#]],
    );
}

/// Time has to pass between two laps, so others have their turn and the journal does not fill by one loop alone.
#[test]
fn a_loop_over_a_timer_that_is_due_at_once_takes_a_pause_each_time() {
    for timer in [
        "duration PT0S",
        "duration PT-5S",
        "date 1970-01-01T00:00:01Z",
    ] {
        let mut world = World::with_process(&format!(
            "start -> merge{{m: default}} ; m -> c:catch({timer}) -> merge"
        ));
        world.keeps_history = true;
        world.run("create\nwait 1000");
        let laps = |event: &&Event| matches!(event, Event::TimerTriggered(_));
        let events = world.history.iter().map(|(event, ..)| event);
        assert_eq!(
            events.filter(laps).count(),
            10,
            "laps of {timer} in a second"
        );
    }
}

#[test]
fn a_timer_may_be_computed() {
    check(
        "start -> c:catch(duration =duration(\"PT\" + string(n) + \"S\")) -> end",
        "create n=2\nwait 1999\nwait 1",
        expect![[r#"
        > create n=2
        instance created #4 process version 1
        variable n = 2 in #4
        start completed
        c waits until 1002000 ms
        > wait 1999
        > wait 1
        c is due
        c triggered
        c completed
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn a_start_timer_counts_from_when_it_was_due() {
    check(
        "s:start(cycle R3/PT10S) -> end",
        "wait 35000\nwait 100000",
        expect![[r#"
        > wait 35000
        s is due
        s waits until 1020000 ms
        instance created #6 process version 1
        s completed
        end completed
        process completed
        instance completed #6
        s is due
        s waits until 1030000 ms
        instance created #10 process version 1
        s completed
        end completed
        process completed
        instance completed #10
        s is due
        instance created #13 process version 1
        s completed
        end completed
        process completed
        instance completed #13
        > wait 100000
    "#]],
    );
}

#[test]
fn a_newer_version_replaces_the_start_timer() {
    check(
        "s:start(cycle R/PT10S) -> a -> end",
        "deploy s:start(cycle R1/PT5S) -> b -> end\nwait 30000",
        expect![[r#"
        > deploy s:start(cycle R1/PT5S) -> b -> end
        s no longer waits until 1010000 ms
        s waits until 1005000 ms
        > wait 30000
        s is due
        instance created #9 process version 2
        s completed
        job #12 b created, retries 3
    "#]],
    );
}

#[test]
fn a_timer_of_an_element_that_left_is_never_due() {
    check(
        "start -> a -> end ; late(duration PT1S) on a -> end2",
        "create\ncomplete a\nwait 5000",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        late waits until 1001000 ms
        job #8 a created, retries 3
        > complete a
        job #8 a completed
        late no longer waits until 1001000 ms
        a completed
        end completed
        process completed
        instance completed #4
        > wait 5000
    "#]],
    );
}

#[test]
fn a_recurring_timer_that_can_no_longer_be_read_has_an_incident_and_its_host_goes_on() {
    check(
        "start -> a -> end ; tick(cycle =often) beside a -> end2",
        "create often=\"R/PT1S\"\nset process often=\"never\"\nwait 2000\ncomplete a",
        expect![[r#"
            > create often="R/PT1S"
            instance created #4 process version 1
            variable often = "R/PT1S" in #4
            start completed
            tick waits until 1001000 ms
            job #9 a created, retries 3
            > set process often="never"
            variable often = "never" in #4
            > wait 2000
            tick is due
            incident #10 at a: EXTRACT_VALUE_ERROR Failed to read the timer 'never' that the expression 'often' gave: 'never' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 1
            incident #10 holds up Reschedule
            tick triggered
            tick completed
            end2 completed
            > complete a
            job #9 a completed
            incident #10 resolved
            a completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_recurring_timer_goes_on_when_the_incident_about_it_is_resolved() {
    check(
        "start -> a -> end ; tick(cycle =often) beside a -> end2",
        "create often=\"R4/PT1S\"\nset process often=\"never\"\nwait 1000\nresolve\nwait 9000\nset process often=\"R4/PT2S\"\nresolve\nwait 2000\nwait 60000\ncomplete a",
        expect![[r#"
            > create often="R4/PT1S"
            instance created #4 process version 1
            variable often = "R4/PT1S" in #4
            start completed
            tick waits until 1001000 ms
            job #9 a created, retries 3
            > set process often="never"
            variable often = "never" in #4
            > wait 1000
            tick is due
            incident #10 at a: EXTRACT_VALUE_ERROR Failed to read the timer 'never' that the expression 'often' gave: 'never' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 1
            incident #10 holds up Reschedule
            tick triggered
            tick completed
            end2 completed
            > resolve
            incident #10 resolved
            incident #13 at a: EXTRACT_VALUE_ERROR Failed to read the timer 'never' that the expression 'often' gave: 'never' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 1
            incident #13 holds up Reschedule
            > wait 9000
            > set process often="R4/PT2S"
            variable often = "R4/PT2S" in #4
            > resolve
            incident #13 resolved
            tick waits until 1012000 ms
            > wait 2000
            tick is due
            tick waits until 1014000 ms
            tick triggered
            tick completed
            end2 completed
            > wait 60000
            tick is due
            tick waits until 1016000 ms
            tick triggered
            tick completed
            end2 completed
            tick is due
            tick triggered
            tick completed
            end2 completed
            > complete a
            job #9 a completed
            a completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_timer_start_event_goes_on_when_it_can_be_read_again() {
    // The clock of these tests begins at 1970-01-01T00:16:40Z.
    check(
        "s:start(cycle =if now() < date and time(\"1970-01-01T00:16:43Z\") or now() > date and time(\"1970-01-01T01:00:00Z\") then \"R/PT2S\" else \"?\") -> end",
        "wait 5000\nwait 3600000\nwait 2000\nwait 2000",
        expect![[r#"
            > wait 5000
            s is due
            s waits until 1004000 ms
            instance created #6 process version 1
            s completed
            end completed
            process completed
            instance completed #6
            s is due
            PostponedStep #28 Reschedule put off until 4604000 ms
            instance created #9 process version 1
            incident #10 at process: EXTRACT_VALUE_ERROR The timer start event 's' cannot be scheduled again; it is tried every 60 minutes. Failed to read the timer '?' that the expression 'if now() < date and time("1970-01-01T00:16:43Z") or now() > date and time("1970-01-01T01:00:00Z") then "R/PT2S" else "?"' gave: '?' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 1
            s completed
            end completed
            incident #10 resolved
            process completed
            instance completed #9
            > wait 3600000
            PostponedStep #28 Reschedule dropped
            s waits until 4606000 ms
            > wait 2000
            s is due
            s waits until 4608000 ms
            instance created #15 process version 1
            s completed
            end completed
            process completed
            instance completed #15
            > wait 2000
            s is due
            s waits until 4610000 ms
            instance created #19 process version 1
            s completed
            end completed
            process completed
            instance completed #19
        "#]],
    );
}

#[test]
fn a_timer_start_event_that_cannot_be_read_ends_with_its_version() {
    check(
        "s:start(cycle =if now() < date and time(\"1970-01-01T00:16:43Z\") or now() > date and time(\"1970-01-01T01:00:00Z\") then \"R/PT2S\" else \"?\") -> end",
        "wait 5000\ndeploy start -> end\nwait 8000000",
        expect![[r#"
            > wait 5000
            s is due
            s waits until 1004000 ms
            instance created #6 process version 1
            s completed
            end completed
            process completed
            instance completed #6
            s is due
            PostponedStep #28 Reschedule put off until 4604000 ms
            instance created #9 process version 1
            incident #10 at process: EXTRACT_VALUE_ERROR The timer start event 's' cannot be scheduled again; it is tried every 60 minutes. Failed to read the timer '?' that the expression 'if now() < date and time("1970-01-01T00:16:43Z") or now() > date and time("1970-01-01T01:00:00Z") then "R/PT2S" else "?"' gave: '?' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 1
            s completed
            end completed
            incident #10 resolved
            process completed
            instance completed #9
            > deploy start -> end
            > wait 8000000
            PostponedStep #28 Reschedule dropped
        "#]],
    );
}

#[test]
fn a_timer_start_event_that_breaks_has_an_incident_on_the_instance_that_it_started_last() {
    check(
        "s:start(cycle =if now() < date and time(\"1970-01-01T00:16:43Z\") then \"R/PT2S\" else \"?\") -> a -> end",
        "wait 5000\nresolve\ncomplete a\ncomplete a",
        expect![[r#"
            > wait 5000
            s is due
            s waits until 1004000 ms
            instance created #6 process version 1
            s completed
            job #9 a created, retries 3
            s is due
            PostponedStep #24 Reschedule put off until 4604000 ms
            instance created #10 process version 1
            incident #11 at process: EXTRACT_VALUE_ERROR The timer start event 's' cannot be scheduled again; it is tried every 60 minutes. Failed to read the timer '?' that the expression 'if now() < date and time("1970-01-01T00:16:43Z") then "R/PT2S" else "?"' gave: '?' is not a cron expression such as 0 0 9 * * MON-FRI: expected 6 fields (second minute hour day month weekday), found 1
            s completed
            job #14 a created, retries 3
            > resolve
            incident #11 resolved
            > complete a
            job #9 a completed
            a completed
            end completed
            process completed
            instance completed #6
            > complete a
            job #14 a completed
            a completed
            end completed
            process completed
            instance completed #10
        "#]],
    );
}
