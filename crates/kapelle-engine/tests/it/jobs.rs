//! Jobs: taken, done, failed, timed out, pushed.

use expect_test::expect;
use kapelle_engine::command::Command;
use kapelle_engine::document::Document;
use kapelle_engine::ids::DEFAULT_TENANT;
use kapelle_engine::pending;

use crate::world::{World, check};

#[test]
fn a_job_that_times_out_is_available_again_with_all_its_retries() {
    check(
        "start -> a -> end",
        "create\nactivate a\nwait 1000\nactivate a\ncomplete a",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        job #7 a created, retries 3
        > activate a
        => a {}
        > wait 1000
        job #7 a available: timed out
        > activate a
        => a {}
        > complete a
        job #7 a completed
        a completed
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn an_answer_after_the_deadline_counts_while_nobody_else_has_answered() {
    check(
        "start -> a -> end",
        "create\nactivate a\nwait 2000\ncomplete a",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        job #7 a created, retries 3
        > activate a
        => a {}
        > wait 2000
        job #7 a available: timed out
        > complete a
        job #7 a completed
        a completed
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn a_job_backs_off_before_it_is_available() {
    check(
        "start -> a -> end",
        "create\nactivate a\nfail a 2 backoff 500\nactivate a\ncomplete a\nwait 500\nactivate a",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > activate a
            => a {}
            > fail a 2 backoff 500
            job #7 a failed, retries 2: it failed (backs off until 1000500 ms)
            > activate a
            > complete a
            REFUSED Command 'COMPLETE' rejected with code 'INVALID_STATE': Expected to complete job with key '2251799813685255', but it is in state 'FAILED'
            > wait 500
            job #7 a available: back-off is over
            > activate a
            => a {}
        "#]],
    );
}

#[test]
fn a_failed_job_with_retries_is_available_at_once() {
    check(
        "start -> a -> end",
        "create\nactivate a\nfail a 1 why=\"x\"\nactivate a",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        job #7 a created, retries 3
        > activate a
        => a {}
        > fail a 1 why="x"
        job #7 a failed, retries 1: it failed
        variable why = "x" in #6
        > activate a
        => a {"why":"x"}
    "#]],
    );
}

#[test]
fn a_job_without_retries_has_an_incident_until_it_has_some_again() {
    check(
        "start -> a -> end",
        "create\nactivate a\nfail a 0\ncomplete a\nfail a 1\nresolve\nretries a 0\nretries a 2\nresolve\nactivate a\ncomplete a",
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
            > complete a
            REFUSED Command 'COMPLETE' rejected with code 'INVALID_STATE': Expected to complete job with key '2251799813685255', but it is in state 'FAILED'
            > fail a 1
            REFUSED Command 'FAIL' rejected with code 'INVALID_STATE': Expected to fail job with key '2251799813685255', but it is in state 'FAILED'
            > resolve
            REFUSED Command 'RESOLVE' rejected with code 'INVALID_STATE': Expected to resolve incident with key '2251799813685256', but job with key '2251799813685255' has no retries left; update its retries first
            > retries a 0
            REFUSED Command 'UPDATE_RETRIES' rejected with code 'INVALID_ARGUMENT': Expected to update retries for job with key '2251799813685255' with a positive amount of retries, but the amount given was '0'
            > retries a 2
            job #7 a has retries 2
            > resolve
            incident #8 resolved
            job #7 a available: incident resolved
            > activate a
            => a {}
            > complete a
            job #7 a completed
            a completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn a_stream_gets_jobs_as_they_are_made_and_as_they_come_back() {
    check(
        "start -> a -> end",
        "stream a 2\ncreate x=1\nactivate a\nfail a 1\nwait 5000\nstream a 1\nyield a\nyield a",
        expect![[r#"
            > stream a 2
            > create x=1
            instance created #4 process version 1
            variable x = 1 in #4
            start completed
            job #8 a created, retries 3
            job #8 a pushed to streamer until 1005000 ms
            => push a {"x":1}
            > activate a
            > fail a 1
            job #8 a failed, retries 1: it failed
            job #8 a pushed to streamer until 1005000 ms
            => push a {"x":1}
            > wait 5000
            job #8 a available: timed out
            > stream a 1
            > yield a
            REFUSED Command 'YIELD' rejected with code 'INVALID_STATE': Expected to yield job with key '2251799813685256', but it is in state 'ACTIVATABLE'
            > yield a
            REFUSED Command 'YIELD' rejected with code 'INVALID_STATE': Expected to yield job with key '2251799813685256', but it is in state 'ACTIVATABLE'
        "#]],
    );
}

#[test]
fn a_new_leader_makes_available_what_its_predecessor_pushed() {
    check(
        "start -> a -> end",
        "stream a 1\ncreate\ncreate\nactivate a\nleader 2\nactivate a 5\nwait 1000\nleader 3",
        expect![[r#"
            > stream a 1
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            job #7 a pushed to streamer until 1005000 ms
            => push a {}
            > create
            instance created #8 process version 1
            start completed
            job #11 a created, retries 3
            > activate a
            => a {}
            > leader 2
            leader announced: epoch 2, incarnation 2
            job #7 a available: leader changed
            > activate a 5
            => a {}
            > wait 1000
            job #7 a available: timed out
            job #11 a available: timed out
            > leader 3
            leader announced: epoch 3, incarnation 3
        "#]],
    );
}

/// The deadline that was put off while the instance was set aside says what is no longer so.
#[test]
fn a_new_leader_leaves_a_job_with_the_worker_that_polled_it_meanwhile() {
    check(
        "start -> a -> end",
        "stream a 1\ncreate\nquarantine\nwait 6000\nresolve\nyield a\nactivate a\ntimeout a 500000\nleader 2",
        expect![[r#"
            > stream a 1
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            job #7 a pushed to streamer until 1005000 ms
            => push a {}
            > quarantine
            instance #4 set aside: test
            incident #8 at process: UNKNOWN The engine failed on this process instance and has set it aside: test
            > wait 6000
            JobDeadline #7 of instance #4 put off until 1065000 ms
            > resolve
            incident #8 resolved
            > yield a
            job #7 a available: given back
            > activate a
            => a {}
            > timeout a 500000
            job #7 a may take until 1506000 ms
            > leader 2
            leader announced: epoch 2, incarnation 2
        "#]],
    );
}

#[test]
fn the_time_of_a_job_can_be_changed_while_a_worker_has_it() {
    check(
        "start -> a -> end",
        "create\ntimeout a 100\nactivate a\ntimeout a 5000\nwait 4999\nwait 1",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        job #7 a created, retries 3
        > timeout a 100
        REFUSED Command 'UPDATE_TIMEOUT' rejected with code 'INVALID_STATE': Expected to update the timeout of job with key '2251799813685255', but it is not active
        > activate a
        => a {}
        > timeout a 5000
        job #7 a may take until 1005000 ms
        > wait 4999
        > wait 1
        job #7 a available: timed out
    "#]],
    );
}

#[test]
fn a_second_completion_is_refused() {
    let mut world = World::with_process("start -> a -> b -> end");
    world.run("create");
    let job = *world.jobs.keys().next().unwrap();
    let complete = || Command::CompleteJob {
        job,
        variables: Document::empty(),
    };
    world.submit(complete()).unwrap();
    let refused = world.submit(complete()).unwrap_err();
    assert_eq!(
        refused.reason,
        format!("Expected to complete job with key '{job}', but no such job was found")
    );
}

#[test]
fn jobs_are_taken_in_the_order_in_which_they_were_made() {
    check(
        "start -> a -> end",
        "create n=1\ncreate n=2\ncreate n=3\nactivate a 2\nactivate a 2",
        expect![[r#"
        > create n=1
        instance created #4 process version 1
        variable n = 1 in #4
        start completed
        job #8 a created, retries 3
        > create n=2
        instance created #9 process version 1
        variable n = 2 in #9
        start completed
        job #13 a created, retries 3
        > create n=3
        instance created #14 process version 1
        variable n = 3 in #14
        start completed
        job #18 a created, retries 3
        > activate a 2
        => a {"n":1}
        => a {"n":2}
        > activate a 2
        => a {"n":3}
    "#]],
    );
}

#[test]
fn headers_and_type_of_a_job_may_be_computed() {
    check(
        "start -> a:service(type =\"t\" + kind, retries =tries, header h v) -> u:user(assignee =who) -> end",
        "create kind=\"1\" tries=5 who=\"me\"\nactivate t1\ncomplete t1\nactivate io.camunda.zeebe:userTask",
        expect![[r#"
            > create kind="1" tries=5 who="me"
            instance created #4 process version 1
            variable kind = "1" in #4
            variable tries = 5 in #4
            variable who = "me" in #4
            start completed
            job #10 t1 created, retries 5
            > activate t1
            => t1 {"kind":"1","tries":5,"who":"me"} [h=v]
            > complete t1
            job #10 t1 completed
            a completed
            job #12 io.camunda.zeebe:userTask created, retries 1, io.camunda.zeebe:assignee=me
            > activate io.camunda.zeebe:userTask
            => io.camunda.zeebe:userTask {"kind":"1","tries":5,"who":"me"} [io.camunda.zeebe:assignee=me]
        "#]],
    );
}

#[test]
fn a_job_type_that_is_no_text_has_an_incident_that_tries_again() {
    check(
        "start -> a:service(type =kind) -> end ; late(duration PT1S) on a",
        "create\nset process kind=\"t\"\nresolve\nactivate t",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            incident #7 at a: EXTRACT_VALUE_ERROR Expected result of the expression 'kind' to be 'STRING', but was 'NULL'. The evaluation reported the following warnings:
            [NO_VARIABLE_FOUND] No variable found with name 'kind'
            > set process kind="t"
            variable kind = "t" in #4
            > resolve
            incident #7 resolved
            late waits until 1001000 ms
            job #10 t created, retries 3
            > activate t
            => t {"kind":"t"}
        "#]],
    );
}

#[test]
fn a_job_is_refused_by_name() {
    check(
        "start -> a -> end",
        "complete a\nfail a 1\nthrow a X\nretries a 1\ntimeout a 1\nyield a\ncreate\nactivate a 0\nyield a",
        expect![[r#"
            > complete a
            REFUSED Command 'COMPLETE' rejected with code 'NOT_FOUND': Expected to complete job with key '1', but no such job was found
            > fail a 1
            REFUSED Command 'FAIL' rejected with code 'NOT_FOUND': Expected to fail job with key '1', but no such job was found
            > throw a X
            REFUSED Command 'THROW_ERROR' rejected with code 'NOT_FOUND': Expected to throw an error for job with key '1', but no such job was found
            > retries a 1
            REFUSED Command 'UPDATE_RETRIES' rejected with code 'NOT_FOUND': Expected to update retries for job with key '1', but no such job was found
            > timeout a 1
            REFUSED Command 'UPDATE_TIMEOUT' rejected with code 'NOT_FOUND': Expected to update the timeout of job with key '1', but no such job was found
            > yield a
            REFUSED Command 'YIELD' rejected with code 'NOT_FOUND': Expected to yield job with key '1', but no such job was found
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > activate a 0
            REFUSED Command 'ACTIVATE' rejected with code 'INVALID_ARGUMENT': Expected to activate job batch with max jobs to activate to be greater than zero, but it was '0'
            > yield a
            REFUSED Command 'YIELD' rejected with code 'INVALID_STATE': Expected to yield job with key '2251799813685255', but it is in state 'ACTIVATABLE'
        "#]],
    );
}

#[test]
fn types_of_waiting_jobs_are_found_without_looking_at_every_job() {
    let mut world = World::with_process(
        "start -> gate{a: x = 1, b: x = 2, c: default} ; a -> t1 -> end ; b -> t2 -> end ; c -> t3 -> end",
    );
    world.run("create x=1\ncreate x=1\ncreate x=2\ncreate x=3\nactivate t3");
    let types = |after: Option<(&str, &str)>, max| {
        let found = pending::job_types(&world.state, after, max);
        found
            .iter()
            .map(|(_, job_type)| job_type.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(types(None, 10), ["t1", "t2"]);
    assert_eq!(types(None, 1), ["t1"]);
    assert_eq!(types(Some((DEFAULT_TENANT, "t1")), 10), ["t2"]);
}
