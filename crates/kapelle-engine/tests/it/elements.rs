//! Elements and how tokens move between them.

use expect_test::expect;

use crate::world::{check, check_all};

#[test]
fn a_service_task_waits_for_its_job() {
    check_all(
        "start -> a -> end",
        "create x=1\nactivate a\ncomplete a y=2",
        expect![[r#"
        > create x=1
        instance created #4 process version 1
        process activating
        variable x = 1 in #4
        process activated
        start activating
        start activated
        start completing
        start completed
        flow start -> a
        a activating
        job #8 a created, retries 3
        a activated
        > activate a
        job #8 a activated by worker until 1001000 ms
        => a {"x":1}
        > complete a y=2
        job #8 a completed
        a completing
        variable y = 2 in #4
        a completed
        flow a -> end
        end activating
        end activated
        end completing
        end completed
        process completing
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn an_exclusive_gateway_takes_the_last_true_flow() {
    check(
        "start -> gate{a: x > 5, b: x > 3, c: default} ; a -> enda ; b -> endb ; c -> endc",
        "create x=9\ncreate x=4\ncreate x=1",
        expect![[r#"
            > create x=9
            instance created #4 process version 1
            variable x = 9 in #4
            start completed
            gate completed
            endb completed
            process completed
            instance completed #4
            > create x=4
            instance created #9 process version 1
            variable x = 4 in #9
            start completed
            gate completed
            endb completed
            process completed
            instance completed #9
            > create x=1
            instance created #14 process version 1
            variable x = 1 in #14
            start completed
            gate completed
            endc completed
            process completed
            instance completed #14
        "#]],
    );
}

#[test]
fn a_gateway_without_a_true_condition_or_default_has_an_incident_that_evaluates_again() {
    check(
        "start -> gate{a: x > 5, b: x > 3} ; a -> enda ; b -> endb",
        "create x=1\nset process x=4\nresolve",
        expect![[r#"
            > create x=1
            instance created #4 process version 1
            variable x = 1 in #4
            start completed
            incident #8 at gate: CONDITION_ERROR Expected at least one condition to evaluate to true, or to have a default flow
            > set process x=4
            variable x = 4 in #4
            > resolve
            incident #8 resolved
            gate completed
            endb completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_condition_that_is_no_boolean_has_an_incident() {
    check(
        "start -> gate{a: x, b: default} ; a -> enda ; b -> endb",
        "create x=\"yes\"\ncreate",
        expect![[r#"
        > create x="yes"
        instance created #4 process version 1
        variable x = "yes" in #4
        start completed
        incident #8 at gate: EXTRACT_VALUE_ERROR Expected result of the expression 'x' to be 'BOOLEAN', but was 'STRING'.
        > create
        instance created #9 process version 1
        start completed
        incident #12 at gate: EXTRACT_VALUE_ERROR Expected result of the expression 'x' to be 'BOOLEAN', but was 'NULL'. The evaluation reported the following warnings:
        [NO_VARIABLE_FOUND] No variable found with name 'x'
    "#]],
    );
}

#[test]
fn a_join_waits_for_every_incoming_flow() {
    check(
        "start -> fork -> a -> join -> end ; fork -> b -> join",
        "create\ncomplete b\ncomplete a",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        fork completed
        job #8 a created, retries 3
        job #10 b created, retries 3
        > complete b
        job #10 b completed
        b completed
        > complete a
        job #8 a completed
        a completed
        join joined
        join completed
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn an_extra_token_waits_at_the_join_for_the_next_round() {
    check_all(
        "start -> fork -> merge{m: default} ; fork -> task1:task -> merge ; m -> join -> end ; fork -> a -> join",
        "create\ncomplete a",
        expect![[r#"
            > create
            instance created #4 process version 1
            process activating
            process activated
            start activating
            start activated
            start completing
            start completed
            flow start -> fork
            fork activating
            fork activated
            fork completing
            fork completed
            flow fork -> merge
            flow fork -> task1
            flow fork -> a
            merge activating
            merge activated
            merge completing
            merge completed
            flow merge -> join
            task1 activating
            task1 activated
            task1 completing
            task1 completed
            flow task1 -> merge
            a activating
            job #10 a created, retries 3
            a activated
            merge activating
            merge activated
            merge completing
            merge completed
            flow merge -> join
            > complete a
            job #10 a completed
            a completing
            a completed
            flow a -> join
            join joined
            join activating
            join activated
            join completing
            join completed
            flow join -> end
            end activating
            end activated
            end completing
            end completed
        "#]],
    );
}

#[test]
fn the_first_event_behind_an_event_based_gateway_wins() {
    check(
        "start -> race -> paid:catch(message paid, key id) -> end1 ; race -> late:catch(duration PT1S) -> end2",
        "create id=\"o1\"\npublish paid o1 amount=5\ncreate id=\"o2\"\nwait 1000\npublish paid o2",
        expect![[r#"
            > create id="o1"
            instance created #4 process version 1
            variable id = "o1" in #4
            start completed
            paid waits for message paid 'o1'
            late waits until 1001000 ms
            > publish paid o1 amount=5
            message paid 'o1' published until 1000000 ms {"amount":5}
            message paid 'o1' met instance #4
            no longer waits for message paid 'o1': met
            paid triggered {"amount":5}
            late no longer waits until 1001000 ms
            race completed
            variable amount = 5 in #4
            paid completed
            message paid 'o1' expired
            end1 completed
            process completed
            instance completed #4
            > create id="o2"
            instance created #14 process version 1
            variable id = "o2" in #14
            start completed
            paid waits for message paid 'o2'
            late waits until 1001000 ms
            > wait 1000
            late is due
            late triggered
            no longer waits for message paid 'o2': left
            race completed
            late completed
            end2 completed
            process completed
            instance completed #14
            > publish paid o2
            message paid 'o2' published until 1001000 ms
            message paid 'o2' expired
        "#]],
    );
}

#[test]
fn an_end_event_that_terminates_ends_its_own_scope_only() {
    check(
        "start -> sub[start2 -> fork -> a -> enda ; fork -> b -> endb:end(terminate)] -> c -> end",
        "create\ncomplete b\ncomplete c",
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
            endb completed
            a terminating
            job #10 a canceled
            a terminated
            sub completed
            job #15 c created, retries 3
            > complete c
            job #15 c completed
            c completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn an_end_event_that_terminates_in_the_root_completes_the_instance() {
    check(
        "start -> fork -> a -> enda ; fork -> b -> endb:end(terminate)",
        "create\ncomplete b",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        fork completed
        job #8 a created, retries 3
        job #10 b created, retries 3
        > complete b
        job #10 b completed
        b completed
        endb completed
        a terminating
        job #8 a canceled
        a terminated
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn a_terminated_subprocess_never_goes_on() {
    check(
        "start -> fork -> sub[start2 -> a -> enda] -> after -> end1 ; fork -> b -> end2:end(terminate)",
        "create\ncomplete b",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            fork completed
            job #9 b created, retries 3
            start2 completed
            job #12 a created, retries 3
            > complete b
            job #9 b completed
            b completed
            end2 completed
            sub terminating
            a terminating
            job #12 a canceled
            a terminated
            sub terminated
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_subprocess_is_done_when_nothing_is_left_in_it() {
    check(
        "start -> sub[start2 -> fork -> a -> enda ; fork -> b -> endb] -> end",
        "create\ncomplete a\ncomplete b",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            start2 completed
            fork completed
            job #10 a created, retries 3
            job #12 b created, retries 3
            > complete a
            job #10 a completed
            a completed
            enda completed
            > complete b
            job #12 b completed
            b completed
            endb completed
            sub completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn tasks_without_work_pass_the_token() {
    check(
        "start -> m:manual -> t:task -> n:throw -> end",
        "create",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        m completed
        t completed
        n completed
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn an_undefined_task_ignores_mappings() {
    check(
        "start -> t:task(in x = 1, out y = 2) -> end",
        "create await",
        expect![[r#"
        > create await
        instance created #4 process version 1
        start completed
        t completed
        end completed
        process completed
        instance completed #4
        => result {}
    "#]],
    );
}

#[test]
fn a_process_that_is_cancelled_ends_from_the_inside() {
    check(
        "start -> sub[start2 -> a -> end2] -> end ; late(duration PT1H) on sub",
        "create\ncancel\ncancel",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            late waits until 4600000 ms
            start2 completed
            job #10 a created, retries 3
            > cancel
            process terminating
            sub terminating
            late no longer waits until 4600000 ms
            a terminating
            job #10 a canceled
            a terminated
            sub terminated
            process terminated
            instance terminated #4
            > cancel
            REFUSED Command 'CANCEL' rejected with code 'NOT_FOUND': Expected to cancel a process instance with key '1', but no such process was found
        "#]],
    );
}

#[test]
fn a_result_that_is_awaited_has_the_variables_of_the_root() {
    check(
        "start -> a -> end",
        "create await x=1\ncomplete a y=2\ncreate await\ncancel",
        expect![[r#"
        > create await x=1
        instance created #4 process version 1
        variable x = 1 in #4
        start completed
        job #8 a created, retries 3
        > complete a y=2
        job #8 a completed
        variable y = 2 in #4
        a completed
        end completed
        process completed
        instance completed #4
        => result {"x":1,"y":2}
        > create await
        instance created #11 process version 1
        start completed
        job #14 a created, retries 3
        > cancel
        process terminating
        a terminating
        job #14 a canceled
        a terminated
        process terminated
        instance terminated #11
        => ended early
    "#]],
    );
}

#[test]
fn a_receive_task_waits_for_its_message() {
    check(
        "start -> r:receive(message paid, key id) -> end ; late(duration PT1S) on r",
        "create id=7\npublish paid 7 ok=true\ncreate id=8\nwait 1000",
        expect![[r#"
            > create id=7
            instance created #4 process version 1
            variable id = 7 in #4
            start completed
            r waits for message paid '7'
            late waits until 1001000 ms
            > publish paid 7 ok=true
            message paid '7' published until 1000000 ms {"ok":true}
            message paid '7' met instance #4
            no longer waits for message paid '7': met
            r triggered {"ok":true}
            variable ok = true in #4
            late no longer waits until 1001000 ms
            r completed
            message paid '7' expired
            end completed
            process completed
            instance completed #4
            > create id=8
            instance created #13 process version 1
            variable id = 8 in #13
            start completed
            r waits for message paid '8'
            late waits until 1001000 ms
            > wait 1000
            late is due
            late triggered
            r terminating
            no longer waits for message paid '8': terminated
            r terminated
            late completed
            process completed
            instance completed #13
        "#]],
    );
}

#[test]
fn a_thrown_message_reaches_who_waits_now() {
    check(
        "start -> fork -> c:catch(message paid, key id) -> end1 ; fork -> a -> t:send(message paid, key =id, in amount = total * 2) -> end2",
        "create id=\"o1\" total=4\ncomplete a",
        expect![[r#"
            > create id="o1" total=4
            instance created #4 process version 1
            variable id = "o1" in #4
            variable total = 4 in #4
            start completed
            fork completed
            c waits for message paid 'o1'
            job #12 a created, retries 3
            > complete a
            job #12 a completed
            a completed
            variable amount = 8 in #13
            t completed
            message paid 'o1' published until 1000000 ms {"amount":8}
            message paid 'o1' met instance #4
            no longer waits for message paid 'o1': met
            c triggered {"amount":8}
            variable amount = 8 in #4
            c completed
            message paid 'o1' expired
            end2 completed
            end1 completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_loop_through_tasks_goes_round() {
    check(
        "start -> merge{m: default} ; m -> a -> gate{again: n < 2, done: default} ; again -> merge ; done -> end",
        "create n=1\ncomplete a n=1\ncomplete a n=2",
        expect![[r#"
            > create n=1
            instance created #4 process version 1
            variable n = 1 in #4
            start completed
            merge completed
            job #9 a created, retries 3
            > complete a n=1
            job #9 a completed
            a completed
            gate completed
            merge completed
            job #13 a created, retries 3
            > complete a n=2
            job #13 a completed
            variable n = 2 in #4
            a completed
            gate completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}
