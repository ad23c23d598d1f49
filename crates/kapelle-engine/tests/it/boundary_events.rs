//! Boundary events and errors.

use expect_test::expect;

use crate::world::{check, check_all};

#[test]
fn an_interrupting_timer_ends_its_host_and_goes_on() {
    check_all(
        "start -> a -> end ; late(duration PT1S) on a -> b -> end2",
        "create\nwait 1000\ncomplete b",
        expect![[r#"
        > create
        instance created #4 process version 1
        process activating
        process activated
        start activating
        start activated
        start completing
        start completed
        flow start -> a
        a activating
        late waits until 1001000 ms
        job #8 a created, retries 3
        a activated
        > wait 1000
        late is due
        late triggered
        a terminating
        job #8 a canceled
        a terminated
        late activating
        late activated
        late completing
        late completed
        flow late -> b
        b activating
        job #11 b created, retries 3
        b activated
        > complete b
        job #11 b completed
        b completing
        b completed
        flow b -> end2
        end2 activating
        end2 activated
        end2 completing
        end2 completed
        process completing
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn a_timer_beside_its_host_fires_as_often_as_it_says() {
    check(
        "start -> a -> end ; tick(cycle R2/PT1S) beside a -> b -> end2",
        "create\nwait 5000\ncomplete a\ncomplete b\ncomplete b",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            tick waits until 1001000 ms
            job #8 a created, retries 3
            > wait 5000
            tick is due
            tick waits until 1002000 ms
            tick triggered
            tick completed
            job #12 b created, retries 3
            tick is due
            tick triggered
            tick completed
            job #15 b created, retries 3
            > complete a
            job #8 a completed
            a completed
            end completed
            > complete b
            job #12 b completed
            b completed
            end2 completed
            > complete b
            job #15 b completed
            b completed
            end2 completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_message_interrupts_a_subprocess_with_all_that_is_in_it() {
    check(
        "start -> sub[start2 -> fork -> a -> end2 ; fork -> c:catch(message other, key id) -> end3] -> end ; stop(message stop, key id) on sub -> end4",
        "create id=\"o1\"\npublish stop o1 why=\"late\"",
        expect![[r#"
            > create id="o1"
            instance created #4 process version 1
            variable id = "o1" in #4
            start completed
            stop waits for message stop 'o1'
            start2 completed
            fork completed
            job #12 a created, retries 3
            c waits for message other 'o1'
            > publish stop o1 why="late"
            message stop 'o1' published until 1000000 ms {"why":"late"}
            message stop 'o1' met instance #4
            no longer waits for message stop 'o1': met
            stop triggered {"why":"late"}
            sub terminating
            message stop 'o1' expired
            a terminating
            job #12 a canceled
            a terminated
            c terminating
            no longer waits for message other 'o1': terminated
            c terminated
            sub terminated
            variable why = "late" in #4
            stop completed
            end4 completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_message_beside_its_host_is_met_again_and_again() {
    check(
        "start -> a -> end ; note(message note, key id) beside a -> end2",
        "publish note o1 ttl 1000 n=1\npublish note o1 ttl 1000 n=2\ncreate id=\"o1\"\npublish note o1 n=3\ncomplete a\npublish note o1 n=4",
        expect![[r#"
            > publish note o1 ttl 1000 n=1
            message note 'o1' published until 1001000 ms {"n":1}
            > publish note o1 ttl 1000 n=2
            message note 'o1' published until 1001000 ms {"n":2}
            > create id="o1"
            instance created #6 process version 1
            variable id = "o1" in #6
            start completed
            note waits for message note 'o1'
            job #11 a created, retries 3
            message note 'o1' met instance #6
            note triggered {"n":1}
            variable n = 1 in #6
            note completed
            end2 completed
            message note 'o1' met instance #6
            note triggered {"n":2}
            variable n = 2 in #6
            note completed
            end2 completed
            > publish note o1 n=3
            message note 'o1' published until 1000000 ms {"n":3}
            message note 'o1' met instance #6
            note triggered {"n":3}
            variable n = 3 in #6
            note completed
            message note 'o1' expired
            end2 completed
            > complete a
            job #11 a completed
            no longer waits for message note 'o1': left
            a completed
            end completed
            process completed
            instance completed #6
            > publish note o1 n=4
            message note 'o1' published until 1000000 ms {"n":4}
            message note 'o1' expired
        "#]],
    );
}

#[test]
fn a_specific_error_code_beats_the_one_that_catches_all() {
    check(
        "start -> a -> end ; any(error) on a -> end2 ; oops(error OOPS) on a -> end3",
        "create\nthrow a OOPS\ncreate\nthrow a OTHER",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > throw a OOPS
            job #7 a threw error OOPS, caught
            oops triggered
            a terminating
            a terminated
            oops completed
            end3 completed
            process completed
            instance completed #4
            > create
            instance created #10 process version 1
            start completed
            job #13 a created, retries 3
            > throw a OTHER
            job #13 a threw error OTHER, caught
            any triggered
            a terminating
            a terminated
            any completed
            end2 completed
            process completed
            instance completed #10
        "#]],
    );
}

#[test]
fn an_error_is_searched_for_outward() {
    check(
        "start -> sub[start2 -> a -> end2 ; other(error OTHER) on a -> end3] -> end ; oops(error OOPS) on sub -> end4",
        "create\nthrow a OOPS x=1",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            start2 completed
            job #9 a created, retries 3
            > throw a OOPS x=1
            job #9 a threw error OOPS, caught
            oops triggered {"x":1}
            sub terminating
            a terminating
            a terminated
            sub terminated
            variable x = 1 in #10
            oops completed
            end4 completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn an_error_end_event_ends_its_subprocess() {
    check(
        "start -> sub[start2 -> fork -> a -> end2 ; fork -> b -> e:end(error OOPS)] -> end ; oops(error OOPS) on sub -> end4",
        "create\ncomplete b",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            start2 completed
            fork completed
            job #10 a created, retries 3
            job #12 b created, retries 3
            > complete b
            job #12 b completed
            b completed
            oops triggered
            sub terminating
            a terminating
            job #10 a canceled
            a terminated
            e terminating
            e terminated
            sub terminated
            oops completed
            end4 completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn an_error_that_nobody_catches_is_an_incident_and_the_job_can_be_tried_again() {
    check(
        "start -> a -> end ; oops(error OOPS) on a -> end2",
        "create\nactivate a\nthrow a OTHER\ncomplete a\nresolve\nactivate a\nthrow a OOPS",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > activate a
            => a {}
            > throw a OTHER
            job #7 a threw error OTHER, not caught
            incident #8 at a: UNHANDLED_ERROR_EVENT Expected to throw an error event with the code 'OTHER' with message 'it threw', but it was not caught. Available error events are [OOPS]
            > complete a
            REFUSED Command 'COMPLETE' rejected with code 'INVALID_STATE': Expected to complete job with key '2251799813685255', but it is in state 'ERROR_THROWN'
            > resolve
            incident #8 resolved
            job #7 a available: incident resolved
            > activate a
            => a {}
            > throw a OOPS
            job #7 a threw error OOPS, caught
            oops triggered
            a terminating
            a terminated
            oops completed
            end2 completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn an_error_end_event_that_nobody_catches_is_an_incident() {
    check(
        "start -> e:end(error OOPS)",
        "create\nresolve\ncancel",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        incident #7 at e: UNHANDLED_ERROR_EVENT Expected to throw an error event with the code 'OOPS', but it was not caught. No error events are available in the scope.
        > resolve
        incident #7 resolved
        incident #8 at e: UNHANDLED_ERROR_EVENT Expected to throw an error event with the code 'OOPS', but it was not caught. No error events are available in the scope.
        > cancel
        process terminating
        e terminating
        incident #8 resolved
        e terminated
        process terminated
        instance terminated #4
    "#]],
    );
}

#[test]
fn variables_of_an_error_stay_unless_they_are_mapped() {
    check(
        "start -> a -> end ; oops(error OOPS, out seen = why) on a -> b -> end2",
        "create\nthrow a OOPS why=\"x\"\nactivate b",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > throw a OOPS why="x"
            job #7 a threw error OOPS, caught
            oops triggered {"why":"x"}
            a terminating
            a terminated
            variable why = "x" in #8
            variable seen = "x" in #4
            oops completed
            job #12 b created, retries 3
            > activate b
            => b {"seen":"x"}
        "#]],
    );
    check(
        "start -> a -> end ; oops(error OOPS) on a -> b -> end2",
        "create\nthrow a OOPS why=\"x\"\nactivate b",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > throw a OOPS why="x"
            job #7 a threw error OOPS, caught
            oops triggered {"why":"x"}
            a terminating
            a terminated
            variable why = "x" in #8
            oops completed
            job #11 b created, retries 3
            > activate b
            => b {}
        "#]],
    );
}

#[test]
fn a_boundary_event_on_a_terminated_scope_never_goes_on() {
    check(
        "start -> fork -> sub[start2 -> a -> end2] -> end ; late(duration PT1S) on sub -> z -> end3 ; fork -> b -> end4:end(terminate)",
        "create\ncomplete b\nwait 2000",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            fork completed
            late waits until 1001000 ms
            job #10 b created, retries 3
            start2 completed
            job #13 a created, retries 3
            > complete b
            job #10 b completed
            b completed
            end4 completed
            sub terminating
            late no longer waits until 1001000 ms
            a terminating
            job #13 a canceled
            a terminated
            sub terminated
            process completed
            instance completed #4
            > wait 2000
        "#]],
    );
}

#[test]
fn boundary_events_are_open_only_once_the_host_is_entered() {
    check(
        "start -> a:service(type =kind) -> end ; stop(message stop, key id) on a -> end2",
        "create id=\"o1\"\npublish stop o1\nset process kind=\"t\"\nresolve\npublish stop o1",
        expect![[r#"
            > create id="o1"
            instance created #4 process version 1
            variable id = "o1" in #4
            start completed
            incident #8 at a: EXTRACT_VALUE_ERROR Expected result of the expression 'kind' to be 'STRING', but was 'NULL'. The evaluation reported the following warnings:
            [NO_VARIABLE_FOUND] No variable found with name 'kind'
            > publish stop o1
            message stop 'o1' published until 1000000 ms
            message stop 'o1' expired
            > set process kind="t"
            variable kind = "t" in #4
            > resolve
            incident #8 resolved
            stop waits for message stop 'o1'
            job #12 t created, retries 3
            > publish stop o1
            message stop 'o1' published until 1000000 ms
            message stop 'o1' met instance #4
            no longer waits for message stop 'o1': met
            stop triggered
            a terminating
            job #12 t canceled
            a terminated
            stop completed
            message stop 'o1' expired
            end2 completed
            process completed
            instance completed #4
        "#]],
    );
}
