//! Scopes, propagation and mappings.

use expect_test::expect;

use crate::world::check;

#[test]
fn a_result_goes_to_the_nearest_scope_that_has_the_name() {
    check(
        "start -> sub:sub[start2 -> a:service(in mine = 1) -> end2] -> b -> end",
        "create outer=1\ncomplete a mine=2 outer=3 fresh=4\nactivate b",
        expect![[r#"
            > create outer=1
            instance created #4 process version 1
            variable outer = 1 in #4
            start completed
            start2 completed
            variable mine = 1 in #9
            job #11 a created, retries 3
            > complete a mine=2 outer=3 fresh=4
            job #11 a completed
            variable mine = 2 in #9
            variable outer = 3 in #4
            variable fresh = 4 in #4
            a completed
            end2 completed
            sub completed
            job #15 b created, retries 3
            > activate b
            => b {"outer":3,"fresh":4}
        "#]],
    );
}

#[test]
fn with_output_mappings_only_what_is_mapped_leaves() {
    check(
        "start -> a:service(in given = x + 1, out result = given * 10 + y) -> b -> end",
        "create x=1\nactivate a\ncomplete a y=3\nactivate b",
        expect![[r#"
            > create x=1
            instance created #4 process version 1
            variable x = 1 in #4
            start completed
            variable given = 2 in #7
            job #9 a created, retries 3
            > activate a
            => a {"given":2,"x":1}
            > complete a y=3
            job #9 a completed
            variable y = 3 in #7
            variable result = 23 in #4
            a completed
            job #13 b created, retries 3
            > activate b
            => b {"x":1,"result":23}
        "#]],
    );
}

#[test]
fn nested_targets_build_inputs_and_merge_outputs() {
    check(
        "start -> a:service(in order.id = 1, in order.tags.first = order.id + 1, out order.state = \"done\", out order.deep.x = 1) -> b -> end",
        "create order={\"kept\":true,\"state\":\"new\"}\nactivate a\ncomplete a\nactivate b",
        expect![[r#"
            > create order={"kept":true,"state":"new"}
            instance created #4 process version 1
            variable order = {"kept":true,"state":"new"} in #4
            start completed
            variable order = {"id":1,"tags":{"first":2}} in #7
            job #9 a created, retries 3
            > activate a
            => a {"order":{"id":1,"tags":{"first":2}}}
            > complete a
            job #9 a completed
            variable order = {"kept":true,"state":"done","deep":{"x":1}} in #4
            a completed
            job #11 b created, retries 3
            > activate b
            => b {"order":{"kept":true,"state":"done","deep":{"x":1}}}
        "#]],
    );
}

#[test]
fn a_mapping_of_nothing_is_null() {
    check(
        "start -> a:service(in x = missing.path) -> end",
        "create\nactivate a",
        expect![[r#"
        > create
        instance created #4 process version 1
        start completed
        variable x = null in #6
        job #8 a created, retries 3
        > activate a
        => a {"x":null}
    "#]],
    );
}

#[test]
fn a_mapping_that_fails_has_an_incident_and_leaves_nothing_behind() {
    check(
        "start -> a:service(in ok = 1, in x = assert(given, given != null)) -> end",
        "create\nset process given=2\nresolve\nactivate a",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            incident #7 at a: IO_MAPPING_ERROR Failed to evaluate expression 'assert(given, given != null)': the condition is not fulfilled
            > set process given=2
            variable given = 2 in #4
            > resolve
            incident #7 resolved
            variable ok = 1 in #6
            variable x = 2 in #6
            job #11 a created, retries 3
            > activate a
            => a {"ok":1,"x":2,"given":2}
        "#]],
    );
    check(
        "start -> a:service(out x = assert(y, y != null)) -> end",
        "create\ncomplete a z=1\nset process y=2\nresolve",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            job #7 a created, retries 3
            > complete a z=1
            job #7 a completed
            variable z = 1 in #6
            incident #9 at a: IO_MAPPING_ERROR Failed to evaluate expression 'assert(y, y != null)': the condition is not fulfilled
            > set process y=2
            variable y = 2 in #4
            > resolve
            incident #9 resolved
            variable x = 2 in #4
            a completed
            end completed
            process completed
            instance completed #4
        "#]],
    );
}

#[test]
fn variables_of_a_subprocess_die_with_it_unless_they_are_mapped() {
    check(
        "start -> sub:sub(in local1 = 1, out kept = local1)[start2 -> a -> end2] -> b -> end",
        "create\ncomplete a local1=5\nactivate b",
        expect![[r#"
            > create
            instance created #4 process version 1
            start completed
            variable local1 = 1 in #6
            start2 completed
            job #10 a created, retries 3
            > complete a local1=5
            job #10 a completed
            variable local1 = 5 in #6
            a completed
            end2 completed
            variable kept = 5 in #4
            sub completed
            job #14 b created, retries 3
            > activate b
            => b {"kept":5}
        "#]],
    );
}

#[test]
fn variables_are_set_from_outside_by_the_same_rules() {
    check(
        "start -> a:service(in mine = 1) -> end",
        "create outer=1\nset a mine=2 outer=2 fresh=2\nsetlocal a outer=3\nactivate a\nset nobody x=1\nsetlocal process mine=9",
        expect![[r#"
            > create outer=1
            instance created #4 process version 1
            variable outer = 1 in #4
            start completed
            variable mine = 1 in #7
            job #9 a created, retries 3
            > set a mine=2 outer=2 fresh=2
            variable mine = 2 in #7
            variable outer = 2 in #4
            variable fresh = 2 in #4
            > setlocal a outer=3
            variable outer = 3 in #7
            > activate a
            => a {"mine":2,"outer":3,"fresh":2}
            > set nobody x=1
            REFUSED Command 'UPDATE' rejected with code 'NOT_FOUND': Expected to update variables for element with key '1', but no such element was found
            > setlocal process mine=9
            variable mine = 9 in #4
        "#]],
    );
}

#[test]
fn what_a_variable_already_is_is_not_said_again() {
    check(
        "start -> a -> end",
        "create x=1\nset process x=1\nset process x=2",
        expect![[r#"
        > create x=1
        instance created #4 process version 1
        variable x = 1 in #4
        start completed
        job #8 a created, retries 3
        > set process x=1
        > set process x=2
        variable x = 2 in #4
    "#]],
    );
}

#[test]
fn a_message_brings_variables_through_the_catch_event() {
    check(
        "start -> c:catch(message paid, key id, out total = amount) -> b -> end",
        "create id=\"o1\"\npublish paid o1 amount=5 secret=1\nactivate b",
        expect![[r#"
            > create id="o1"
            instance created #4 process version 1
            variable id = "o1" in #4
            start completed
            c waits for message paid 'o1'
            > publish paid o1 amount=5 secret=1
            message paid 'o1' published until 1000000 ms {"amount":5,"secret":1}
            message paid 'o1' met instance #4
            no longer waits for message paid 'o1': met
            c triggered {"amount":5,"secret":1}
            variable amount = 5 in #7
            variable secret = 1 in #7
            variable total = 5 in #4
            c completed
            message paid 'o1' expired
            job #14 b created, retries 3
            > activate b
            => b {"id":"o1","total":5}
        "#]],
    );
}
