//! Messages: buffering, once per process, start locks, uniqueness.

use expect_test::expect;

use crate::world::check;

const CATCH: &str = "start -> c:catch(message paid, key id) -> end";
const START: &str = "s:start(message order) -> a -> end";

#[test]
fn a_message_without_time_to_live_meets_only_who_waits_now() {
    check(
        CATCH,
        "publish paid o1\ncreate id=\"o1\"\npublish paid o1 x=1",
        expect![[r#"
        > publish paid o1
        message paid 'o1' published until 1000000 ms
        message paid 'o1' expired
        > create id="o1"
        instance created #5 process version 1
        variable id = "o1" in #5
        start completed
        c waits for message paid 'o1'
        > publish paid o1 x=1
        message paid 'o1' published until 1000000 ms {"x":1}
        message paid 'o1' met instance #5
        no longer waits for message paid 'o1': met
        c triggered {"x":1}
        variable x = 1 in #5
        c completed
        message paid 'o1' expired
        end completed
        process completed
        instance completed #5
    "#]],
    );
}

#[test]
fn a_buffered_message_meets_who_comes_later_the_oldest_first() {
    check(
        CATCH,
        "publish paid o1 ttl 1000 n=1\npublish paid o1 ttl 1000 n=2\ncreate id=\"o1\"\ncreate id=\"o1\"\nwait 1000\ncreate id=\"o1\"",
        expect![[r#"
            > publish paid o1 ttl 1000 n=1
            message paid 'o1' published until 1001000 ms {"n":1}
            > publish paid o1 ttl 1000 n=2
            message paid 'o1' published until 1001000 ms {"n":2}
            > create id="o1"
            instance created #6 process version 1
            variable id = "o1" in #6
            start completed
            c waits for message paid 'o1'
            message paid 'o1' met instance #6
            no longer waits for message paid 'o1': met
            c triggered {"n":1}
            variable n = 1 in #6
            c completed
            end completed
            process completed
            instance completed #6
            > create id="o1"
            instance created #13 process version 1
            variable id = "o1" in #13
            start completed
            c waits for message paid 'o1'
            message paid 'o1' met instance #13
            no longer waits for message paid 'o1': met
            c triggered {"n":2}
            variable n = 2 in #13
            c completed
            end completed
            process completed
            instance completed #13
            > wait 1000
            message paid 'o1' expired
            message paid 'o1' expired
            > create id="o1"
            instance created #20 process version 1
            variable id = "o1" in #20
            start completed
            c waits for message paid 'o1'
        "#]],
    );
}

#[test]
fn a_message_meets_a_process_once_and_its_oldest_waiting_instance() {
    check(
        CATCH,
        "create id=\"o1\" n=1\ncreate id=\"o1\" n=2\npublish paid o1 ttl 1000\npublish paid o1",
        expect![[r#"
        > create id="o1" n=1
        instance created #4 process version 1
        variable id = "o1" in #4
        variable n = 1 in #4
        start completed
        c waits for message paid 'o1'
        > create id="o1" n=2
        instance created #10 process version 1
        variable id = "o1" in #10
        variable n = 2 in #10
        start completed
        c waits for message paid 'o1'
        > publish paid o1 ttl 1000
        message paid 'o1' published until 1001000 ms
        message paid 'o1' met instance #4
        no longer waits for message paid 'o1': met
        c triggered
        c completed
        end completed
        process completed
        instance completed #4
        > publish paid o1
        message paid 'o1' published until 1000000 ms
        message paid 'o1' met instance #10
        no longer waits for message paid 'o1': met
        c triggered
        c completed
        message paid 'o1' expired
        end completed
        process completed
        instance completed #10
    "#]],
    );
}

#[test]
fn a_number_and_its_text_are_one_key_for_clients() {
    check(
        CATCH,
        "create id=7\npublish paid 7",
        expect![[r#"
        > create id=7
        instance created #4 process version 1
        variable id = 7 in #4
        start completed
        c waits for message paid '7'
        > publish paid 7
        message paid '7' published until 1000000 ms
        message paid '7' met instance #4
        no longer waits for message paid '7': met
        c triggered
        c completed
        message paid '7' expired
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn a_key_that_is_neither_text_nor_number_has_an_incident() {
    check(
        CATCH,
        "create id=true\nset process id=\"o1\"\nresolve\npublish paid o1",
        expect![[r#"
        > create id=true
        instance created #4 process version 1
        variable id = true in #4
        start completed
        incident #8 at c: EXTRACT_VALUE_ERROR Failed to extract the correlation key for 'id': The value must be either a string or a number, but was 'BOOLEAN'.
        > set process id="o1"
        variable id = "o1" in #4
        > resolve
        incident #8 resolved
        c waits for message paid 'o1'
        > publish paid o1
        message paid 'o1' published until 1000000 ms
        message paid 'o1' met instance #4
        no longer waits for message paid 'o1': met
        c triggered
        c completed
        message paid 'o1' expired
        end completed
        process completed
        instance completed #4
    "#]],
    );
}

#[test]
fn an_id_is_taken_while_its_message_is_buffered() {
    check(
        CATCH,
        "publish paid o1 ttl 1000 id m1\npublish paid o1 ttl 1000 id m1\npublish paid o2 ttl 1000 id m1\nwait 1000\npublish paid o1 ttl 1000 id m1",
        expect![[r#"
            > publish paid o1 ttl 1000 id m1
            message paid 'o1' published until 1001000 ms
            > publish paid o1 ttl 1000 id m1
            REFUSED Command 'PUBLISH' rejected with code 'ALREADY_EXISTS': Expected to publish a new message with id 'm1', but a message with that id was already published
            > publish paid o2 ttl 1000 id m1
            message paid 'o2' published until 1001000 ms
            > wait 1000
            message paid 'o1' expired
            message paid 'o2' expired
            > publish paid o1 ttl 1000 id m1
            message paid 'o1' published until 1002000 ms
        "#]],
    );
}

#[test]
fn a_message_starts_an_instance_that_locks_its_key() {
    check(
        START,
        "publish order o1 ttl 9000 n=1\npublish order o1 ttl 9000 n=2\npublish order o1 ttl 9000 n=3\npublish order o2 n=4\ncomplete a\ncancel\ncomplete a",
        expect![[r#"
            > publish order o1 ttl 9000 n=1
            message order 'o1' published until 1009000 ms {"n":1}
            instance created #6 process version 1 locks 'o1'
            s triggered {"n":1}
            message order 'o1' started instance #6
            variable n = 1 in #6
            s completed
            job #10 a created, retries 3
            > publish order o1 ttl 9000 n=2
            message order 'o1' published until 1009000 ms {"n":2}
            > publish order o1 ttl 9000 n=3
            message order 'o1' published until 1009000 ms {"n":3}
            > publish order o2 n=4
            message order 'o2' published until 1000000 ms {"n":4}
            instance created #14 process version 1 locks 'o2'
            s triggered {"n":4}
            message order 'o2' started instance #14
            message order 'o2' expired
            variable n = 4 in #14
            s completed
            job #18 a created, retries 3
            > complete a
            job #10 a completed
            a completed
            end completed
            process completed
            instance completed #6
            process process releases 'o1'
            instance created #20 process version 1 locks 'o1'
            s triggered {"n":2}
            message order 'o1' started instance #20
            variable n = 2 in #20
            s completed
            job #24 a created, retries 3
            > cancel
            process terminating
            a terminating
            job #24 a canceled
            a terminated
            process terminated
            instance terminated #20
            process process releases 'o1'
            instance created #25 process version 1 locks 'o1'
            s triggered {"n":3}
            message order 'o1' started instance #25
            variable n = 3 in #25
            s completed
            job #29 a created, retries 3
            > complete a
            job #18 a completed
            a completed
            end completed
            process completed
            instance completed #14
            process process releases 'o2'
        "#]],
    );
}

#[test]
fn a_message_without_a_key_always_starts_anew() {
    check(
        START,
        "publish order -\npublish order -",
        expect![[r#"
        > publish order -
        message order '' published until 1000000 ms
        instance created #6 process version 1
        s triggered
        message order '' started instance #6
        message order '' expired
        s completed
        job #9 a created, retries 3
        > publish order -
        message order '' published until 1000000 ms
        instance created #11 process version 1
        s triggered
        message order '' started instance #11
        message order '' expired
        s completed
        job #14 a created, retries 3
    "#]],
    );
}

#[test]
fn a_waiting_instance_comes_before_a_start() {
    check(
        "s:start(message order) -> c:catch(message order, key id) -> end",
        "publish order o1 id=\"o1\"\npublish order o1 ttl 1000 n=2\npublish order o1 id=\"o1\"",
        expect![[r#"
            > publish order o1 id="o1"
            message order 'o1' published until 1000000 ms {"id":"o1"}
            instance created #6 process version 1 locks 'o1'
            s triggered {"id":"o1"}
            message order 'o1' started instance #6
            message order 'o1' expired
            variable id = "o1" in #6
            s completed
            c waits for message order 'o1'
            > publish order o1 ttl 1000 n=2
            message order 'o1' published until 1001000 ms {"n":2}
            message order 'o1' met instance #6
            no longer waits for message order 'o1': met
            c triggered {"n":2}
            variable n = 2 in #6
            c completed
            end completed
            process completed
            instance completed #6
            process process releases 'o1'
            > publish order o1 id="o1"
            message order 'o1' published until 1000000 ms {"id":"o1"}
            instance created #15 process version 1 locks 'o1'
            s triggered {"id":"o1"}
            message order 'o1' started instance #15
            message order 'o1' expired
            variable id = "o1" in #15
            s completed
            c waits for message order 'o1'
        "#]],
    );
}

#[test]
fn to_correlate_is_at_once_or_not_at_all() {
    check(
        CATCH,
        "correlate paid o1\ncreate id=\"o1\"\ncorrelate paid o1 x=1\ncreate id=\"o1\"",
        expect![[r#"
            > correlate paid o1
            REFUSED Command 'CORRELATE' rejected with code 'NOT_FOUND': Expected to find subscription for message with name 'paid' and correlation key 'o1', but none was found.
            > create id="o1"
            instance created #4 process version 1
            variable id = "o1" in #4
            start completed
            c waits for message paid 'o1'
            > correlate paid o1 x=1
            message paid 'o1' published until 1000000 ms {"x":1}
            message paid 'o1' met instance #4
            no longer waits for message paid 'o1': met
            c triggered {"x":1}
            variable x = 1 in #4
            c completed
            message paid 'o1' expired
            end completed
            process completed
            instance completed #4
            > create id="o1"
            instance created #12 process version 1
            variable id = "o1" in #12
            start completed
            c waits for message paid 'o1'
        "#]],
    );
}

#[test]
fn a_newer_version_listens_in_place_of_the_older() {
    check(
        START,
        "deploy s:start(message order) -> b -> end\npublish order -\ndeploy s:start(message other) -> b -> end\npublish order -\npublish other -",
        expect![[r#"
            > deploy s:start(message order) -> b -> end
            process process no longer starts with message order
            event order becomes message order of process
            > publish order -
            message order '' published until 1000000 ms
            instance created #10 process version 2
            s triggered
            message order '' started instance #10
            message order '' expired
            s completed
            job #13 b created, retries 3
            > deploy s:start(message other) -> b -> end
            process process no longer starts with message order
            event other becomes message other of process
            > publish order -
            message order '' published until 1000000 ms
            message order '' expired
            > publish other -
            message other '' published until 1000000 ms
            instance created #20 process version 3
            s triggered
            message other '' started instance #20
            message other '' expired
            s completed
            job #23 b created, retries 3
        "#]],
    );
}

#[test]
fn a_thrown_message_may_be_buffered() {
    check(
        "start -> t:send(message paid, key =id, ttl PT1H, id =\"m\" + id) -> c:catch(message paid, key id) -> end",
        "create id=\"1\"\ncreate id=\"2\"",
        expect![[r#"
            > create id="1"
            instance created #4 process version 1
            variable id = "1" in #4
            start completed
            t completed
            message paid '1' published until 4600000 ms
            c waits for message paid '1'
            message paid '1' met instance #4
            no longer waits for message paid '1': met
            c triggered
            c completed
            end completed
            process completed
            instance completed #4
            > create id="2"
            instance created #12 process version 1
            variable id = "2" in #12
            start completed
            t completed
            message paid '2' published until 4600000 ms
            c waits for message paid '2'
            message paid '2' met instance #12
            no longer waits for message paid '2': met
            c triggered
            c completed
            end completed
            process completed
            instance completed #12
        "#]],
    );
}

#[test]
fn a_message_needs_a_name() {
    check(
        CATCH,
        "publish - o1",
        expect![[r#"
        > publish - o1
        REFUSED Command 'PUBLISH' rejected with code 'INVALID_ARGUMENT': Expected the message name to be present, but it was blank
    "#]],
    );
}

#[test]
fn a_message_meets_each_process_once() {
    check(
        CATCH,
        "create id=\"o1\"\ncreate id=\"o1\"\ndeploy process other ; start -> d:catch(message paid, key id) -> end\ncreate process other id=\"o1\"\npublish paid o1",
        expect![[r#"
            > create id="o1"
            instance created #4 process version 1
            variable id = "o1" in #4
            start completed
            c waits for message paid 'o1'
            > create id="o1"
            instance created #9 process version 1
            variable id = "o1" in #9
            start completed
            c waits for message paid 'o1'
            > deploy process other ; start -> d:catch(message paid, key id) -> end
            event paid becomes message paid of other
            > create process other id="o1"
            instance created #17 other version 1
            variable id = "o1" in #17
            start completed
            d waits for message paid 'o1'
            > publish paid o1
            message paid 'o1' published until 1000000 ms
            message paid 'o1' met instance #17
            no longer waits for message paid 'o1': met
            d triggered
            d completed
            message paid 'o1' met instance #4
            no longer waits for message paid 'o1': met
            c triggered
            c completed
            message paid 'o1' expired
            end completed
            end completed
            other completed
            instance completed #17
            process completed
            instance completed #4
        "#]],
    );
}
