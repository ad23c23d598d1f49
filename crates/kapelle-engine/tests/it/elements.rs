//! Elements and how tokens move between them.

use expect_test::expect;

use crate::world::{check, check_all};

#[test]
fn a_service_task_waits_for_its_job() {
    check_all("start -> a -> end", "create x=1\nactivate a\ncomplete a y=2", expect![[r#"
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
    "#]]);
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
