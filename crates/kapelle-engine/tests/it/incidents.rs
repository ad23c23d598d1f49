//! Incidents that are resolved and go on, and instances that are set aside.

use expect_test::{Expect, expect};
use kapelle_engine::Settings;
use kapelle_engine::limits::Limits;

use crate::world::{World, check};

#[test]
fn an_incident_that_is_not_there_cannot_be_resolved() {
    check(
        "start -> a -> end",
        "resolve",
        expect![[r#"
        > resolve
        REFUSED Command 'RESOLVE' rejected with code 'NOT_FOUND': Expected to resolve incident with key '1', but no such incident was found
    "#]],
    );
}

#[test]
fn an_incident_whose_cause_is_still_there_comes_again() {
    check(
        "start -> gate{a: x > 5, b: x > 9} ; a -> enda ; b -> endb",
        "create x=1\nresolve\nset process x=6\nresolve",
        expect![[r#"
        > create x=1
        instance created #4 process version 1
        variable x = 1 in #4
        start completed
        incident #8 at gate: CONDITION_ERROR Expected at least one condition to evaluate to true, or to have a default flow
        > resolve
        incident #8 resolved
        incident #9 at gate: CONDITION_ERROR Expected at least one condition to evaluate to true, or to have a default flow
        > set process x=6
        variable x = 6 in #4
        > resolve
        incident #9 resolved
        gate completed
        enda completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn an_instance_with_an_incident_can_be_cancelled() {
    check(
        "start -> a -> end",
        "create\nactivate a\nfail a 0\ncancel",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        job #7 a created, retries 3
        > activate a
        => a {}
        > fail a 0
        job #7 a failed, retries 0: it failed
        incident #8 at a: JOB_NO_RETRIES it failed
        > cancel
        process terminating
        a terminating
        job #7 a canceled
        incident #8 resolved
        a terminated
        process terminated
        instance terminated #4
    "#]],
    );
}

#[test]
fn an_instance_that_is_set_aside_is_left_alone_until_it_is_resolved() {
    check(
        "start -> fork -> a -> enda ; fork -> c:catch(duration PT1S) -> endc ; fork -> d:catch(message m, key \"k\") -> endd",
        "create\nquarantine\ncomplete a\nactivate a\npublish m k\nwait 1000\nresolve\nwait 60000\npublish m k\ncomplete a",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            fork completed
            job #8 a created, retries 3
            c waits until 1001000 ms
            d waits for message m 'k'
            > quarantine
            instance #4 set aside: test
            incident #13 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            > complete a
            REFUSED Command 'COMPLETE' rejected with code 'INVALID_STATE': The process instance with key '2251799813685252' was set aside: test; resolve its incident first
            > activate a
            > publish m k
            message m 'k' published until 1000000 ms
            message m 'k' expired
            > wait 1000
            Timer #10 of instance #4 put off until 1061000 ms
            > resolve
            incident #13 resolved
            > wait 60000
            c is due
            c triggered
            c completed
            Timer #10 of instance #4 dropped
            endc completed
            > publish m k
            message m 'k' published until 1061000 ms
            message m 'k' met instance #4
            no longer waits for message m 'k': met
            d triggered
            d completed
            message m 'k' expired
            endd completed
            > complete a
            job #8 a completed
            a completed
            enda completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn what_came_while_an_instance_was_set_aside_is_not_lost() {
    check(
        "start -> fork -> a -> enda ; fork -> d:catch(message m, key \"k\") -> endd",
        "create\nquarantine\npublish m k ttl 1000 x=1\nstream a 1\nresolve",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            fork completed
            job #8 a created, retries 3
            d waits for message m 'k'
            > quarantine
            instance #4 set aside: test
            incident #11 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            > publish m k ttl 1000 x=1
            message m 'k' published until 1001000 ms {"x":1}
            > stream a 1
            > resolve
            incident #11 resolved
            job #8 a pushed to streamer until 1005000 ms
            message m 'k' met instance #4
            no longer waits for message m 'k': met
            d triggered {"x":1}
            variable x = 1 in #4
            d completed
            endd completed
            => push a {}
        "#]],
    );
}

#[test]
fn other_incidents_wait_while_an_instance_is_set_aside() {
    check(
        "start -> gate{a: x = 1, b: x = 2} ; a -> end ; b -> end2",
        "create x=3\nquarantine\nset process x=1\nresolve",
        expect![[r#"
            > create x=3
            instance created #4 process version 1
            variable x = 3 in #4
            start completed
            incident #8 at gate: CONDITION_ERROR Expected at least one condition to evaluate to true, or to have a default flow
            > quarantine
            instance #4 set aside: test
            incident #9 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            > set process x=1
            variable x = 1 in #4
            > resolve
            REFUSED Command 'RESOLVE' rejected with code 'INVALID_STATE': The process instance with key '2251799813685252' was set aside: test; resolve its incident first
        "#]],
    );
}

/// Plays a script with one step a command, so that a follow-up can fail.
fn check_step_by_step(process: &str, script: &str, expected: Expect) {
    let mut world = World::new(Settings {
        limits: Limits {
            steps_per_command_max: 1,
            ..Limits::DEFAULT
        },
        ..Settings::default()
    });
    world.deploy(process);
    world.log.clear();
    world.run(script);
    expected.assert_eq(&world.log);
}

#[test]
fn an_interrupted_step_is_taken_when_the_incident_is_resolved() {
    check_step_by_step(
        "start -> t:task -> u:task -> end",
        "put off 9\ncreate\ninterrupt\nput off 0\nresolve",
        expect![[r#"
            > put off 9
            > create
            instance created #4 process version 1
            start completed
            > interrupt
            instance #4 set aside: test
            incident #6 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            incident #6 holds up Activate
            > put off 0
            > resolve
            incident #6 resolved
            t completed
            u completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn other_steps_of_an_instance_that_is_set_aside_wait_with_it() {
    check_step_by_step(
        "start -> fork -> a:task -> end1 ; fork -> b:task -> end2",
        "put off 9\ncreate\ntake\ninterrupt\nput off 0\nresolve",
        expect![[r#"
            > put off 9
            > create
            instance created #4 process version 1
            start completed
            > take
            fork completed
            > interrupt
            instance #4 set aside: test
            incident #7 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            incident #7 holds up Activate
            > put off 0
            incident #7 holds up Activate
            > resolve
            incident #7 resolved
            a completed
            b completed
            end1 completed
            end2 completed
            process completed
            instance completed #4
        "#]],
    );
}

/// Raised when the process was ending already: it is over with the process.
#[test]
fn an_instance_that_is_set_aside_while_it_ends_leaves_no_incident_behind() {
    check_step_by_step(
        "start -> sub[start2 -> a:task -> end2] -> end",
        "put off 9\ncreate\ntake\ncancel\ninterrupt\nput off 0",
        expect![[r#"
            > put off 9
            > create
            instance created #4 process version 1
            start completed
            > take
            > cancel
            process terminating
            sub terminating
            sub terminated
            > interrupt
            instance #4 set aside: test
            incident #7 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            incident #7 holds up Activate
            > put off 0
            incident #7 resolved
            process terminated
            instance terminated #4
        "#]],
    );
}

#[test]
fn a_step_of_nobody_that_fails_is_taken_later() {
    check_step_by_step(
        "start -> s:send(message m, key =\"k\") -> end",
        "put off 9\ncreate\ntake\ninterrupt\nput off 0\nwait 3600000",
        expect![[r#"
            > put off 9
            > create
            instance created #4 process version 1
            start completed
            > take
            s completed
            > interrupt
            PostponedStep #23 Publish put off until 4600000 ms
            > put off 0
            end completed
            process completed
            instance completed #4
            > wait 3600000
            PostponedStep #23 Publish dropped
            message m 'k' published until 4600000 ms
            message m 'k' expired
        "#]],
    );
}

#[test]
fn what_is_due_and_fails_is_due_again_later() {
    check(
        "start -> c:catch(duration PT1S) -> end",
        "create\ninterrupt due\nwait 1000\nresolve\nwait 60000",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            c waits until 1001000 ms
            > interrupt due
            instance #4 set aside: test
            incident #8 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            Timer #7 of instance #4 put off until 1060000 ms
            > wait 1000
            > resolve
            incident #8 resolved
            > wait 60000
            c is due
            c triggered
            c completed
            Timer #7 of instance #4 dropped
            end completed
            process completed
            instance completed #4
        "#]],
    );
    check(
        "s:start(cycle R2/PT1S) -> end",
        "interrupt due\nwait 1000\nwait 3600000",
        expect![[r#"
            > interrupt due
            Timer #4 of definition #3 put off until 4600000 ms
            > wait 1000
            > wait 3600000
            s is due
            s waits until 1002000 ms
            instance created #6 process version 1
            Timer #4 of definition #3 dropped
            s completed
            end completed
            process completed
            instance completed #6
            s is due
            instance created #9 process version 1
            s completed
            end completed
            process completed
            instance completed #9
        "#]],
    );
    check(
        "start -> end",
        "publish m k ttl 1000\ninterrupt due\nwait 3600000\ncreate request r\ninterrupt due\nwait 90000000",
        expect![[r#"
            > publish m k ttl 1000
            message m 'k' published until 1001000 ms
            > interrupt due
            MessageExpiry #4 put off until 4600000 ms
            > wait 3600000
            message m 'k' expired
            MessageExpiry #4 dropped
            > create request r
            instance created #5 process version 1
            request 'r' made instance #5
            start completed
            end completed
            process completed
            instance completed #5
            > interrupt due
            IdempotencyExpiry #5 of request 'r' put off until 8200000 ms
            > wait 90000000
            request 'r' forgotten
            IdempotencyExpiry #5 of request 'r' dropped
        "#]],
    );
}

#[test]
fn cancelling_an_instance_that_is_set_aside_takes_up_its_endings() {
    check_step_by_step(
        "start -> sub[start2 -> fork -> a -> end2 ; fork -> b -> end3] -> end ; late(duration PT1S) on sub -> end4",
        "create\nput off 9\nwait 1000\ninterrupt\nput off 0\ncancel",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            late waits until 1001000 ms
            start2 completed
            fork completed
            job #11 a created, retries 3
            job #13 b created, retries 3
            > put off 9
            > wait 1000
            late is due
            late triggered
            sub terminating
            a terminating
            job #11 a canceled
            a terminated
            > interrupt
            instance #4 set aside: test
            incident #14 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            incident #14 holds up Terminate
            > put off 0
            > cancel
            process terminating
            incident #14 resolved
            tokens discarded
            b terminating
            job #13 b canceled
            b terminated
            sub terminated
            process terminated
            instance terminated #4
        "#]],
    );
}
