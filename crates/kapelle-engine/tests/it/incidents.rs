//! Incidents that are resolved and go on, and instances that are set aside.

use expect_test::expect;

use crate::world::check;

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
            Timer #10 of instance #4 dropped
            c is due
            c triggered
            c completed
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
