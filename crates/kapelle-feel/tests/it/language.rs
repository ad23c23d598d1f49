//! The language beyond the suite: what it leaves out, and the texts of warnings.

use expect_test::{Expect, expect};
use kapelle_feel::{Env, Expr, Value, Zone};

use crate::{outcome, variables};

fn check(texts: &[&str], expected: Expect) {
    let context = variables(
        r#"{"x": 5, "name": "Ann", "xs": [3, 1, 2], "order": {"id": 7, "lines": [{"p": 2}, {"p": 9}]}}"#,
    );
    let show = |text: &&str| {
        format!(
            "{text}\n  = {}\n",
            outcome(text, &context, &Env::default()).replace('\n', "\n  ")
        )
    };
    expected.assert_eq(&texts.iter().map(show).collect::<String>());
}

#[test]
fn operators_bind_as_in_the_specification() {
    check(
        &[
            "1 + 2 * 3 ** 2",
            "-2 ** 2",
            "2 ** 3 ** 2",
            "10 - 4 - 3",
            "true or false and false",
            "1 < 2 = true",
            "- x",
            "--x",
            "not(x > 3) or x = 5",
        ],
        expect![[r#"
        1 + 2 * 3 ** 2
          = 19
        -2 ** 2
          = 4
        2 ** 3 ** 2
          = 64
        10 - 4 - 3
          = 3
        true or false and false
          = true
        1 < 2 = true
          = true
        - x
          = -5
        --x
          = 5
        not(x > 3) or x = 5
          = true
    "#]],
    );
}

#[test]
fn names_are_seen_where_they_are_bound() {
    check(
        &[
            "for i in xs, j in 1..i return i * j",
            "{a: 1, b: {a: 2, c: a}, d: a}",
            "for x in [1] return (for y in [2] return x + y)[1]",
            "[{x: 1}, {x: 9}][x > 5]",
            "[1, 2, 3][item > count(xs) - 1]",
            "order.lines[p > x].p",
            "for i in 1..5 return if i <= 2 then 1 else partial[-1] + partial[-2]",
            "for i in 3..1 return i",
            "some item in xs satisfies item > 2",
            "{`a b`: 1, \"c d\": 2, e+f: 3}.`e+f`",
        ],
        expect![[r#"
            for i in xs, j in 1..i return i * j
              = [3, 6, 9, 1, 2, 4]
            {a: 1, b: {a: 2, c: a}, d: a}
              = {a:1, b:{a:2, c:2}, d:1}
            for x in [1] return (for y in [2] return x + y)[1]
              = [3]
            [{x: 1}, {x: 9}][x > 5]
              = [{x:9}]
            [1, 2, 3][item > count(xs) - 1]
              = [3]
            order.lines[p > x].p
              = [9]
            for i in 1..5 return if i <= 2 then 1 else partial[-1] + partial[-2]
              = [1, 1, 2, 3, 5]
            for i in 3..1 return i
              = [3, 2, 1]
            some item in xs satisfies item > 2
              = true
            {`a b`: 1, "c d": 2, e+f: 3}.`e+f`
              = 3
        "#]],
    );
}

#[test]
fn functions_take_their_surroundings_along() {
    check(
        &[
            "{f: function(a) a + x, y: f(1)}.y",
            "for f in [function(a) a + 1, function(a) a * 10] return f(5)",
            "{k: 3, f: function(a) function(b) a + b + k, g: f(1), y: g(2)}.y",
            "(function(a, b) a - b)(b: 1, a: 10)",
            "{max: 3, y: max(1, 2)}.y",
            "{f: function(a) a}.f(1, 2)",
            "sort(xs, function(a, b) a < b)",
            "sort(order.lines, function(a, b) a.p > b.p).p",
            "[1, 2, 3][(function(n) n > 1)(item)]",
            "function(a: number, b: list<string>) a",
        ],
        expect![[r#"
            {f: function(a) a + x, y: f(1)}.y
              = 6
            for f in [function(a) a + 1, function(a) a * 10] return f(5)
              = [6, 50]
            {k: 3, f: function(a) function(b) a + b + k, g: f(1), y: g(2)}.y
              = 6
            (function(a, b) a - b)(b: 1, a: 10)
              = 9
            {max: 3, y: max(1, 2)}.y
              = 2
            {f: function(a) a}.f(1, 2)
              = null
                [NO_FUNCTION_FOUND] No function found with name 'f' and 2 parameters
            sort(xs, function(a, b) a < b)
              = [1, 2, 3]
            sort(order.lines, function(a, b) a.p > b.p).p
              = [9, 2]
            [1, 2, 3][(function(n) n > 1)(item)]
              = [2, 3]
            function(a: number, b: list<string>) a
              = function(a, b)
        "#]],
    );
}

#[test]
fn what_fails_is_null_and_says_why() {
    check(
        &[
            "missing",
            "missing + 1",
            "x + name",
            "x - name",
            "name * 2",
            "1 / 0",
            "x < name",
            "-name",
            "order.nothing",
            "order.lines.q",
            "name.length",
            "xs[7]",
            "[1..\"a\"]",
            "for i in x return i",
            "for i in 1..name return i",
            "if name then 1 else 2",
            "x and true",
            "substring(x, 1)",
            "upper case()",
            "unknown(1)",
            "lenght(xs)",
            "sorted(xs)",
            "date(\"2024-02-30\")",
            "number(\"1,5\")",
            "from json(\"{\")",
            "matches(\"a\", \"(?<=a)b\")",
            "replace(\"a\", \"a\", \"b\", \"q\")",
            "order[1].id.x",
        ],
        expect![[r#"
            missing
              = null
                [NO_VARIABLE_FOUND] No variable found with name 'missing'
            missing + 1
              = null
                [NO_VARIABLE_FOUND] No variable found with name 'missing'
                [INVALID_TYPE] Can't add '1' to 'null'
            x + name
              = null
                [INVALID_TYPE] Can't add '"Ann"' to '5'
            x - name
              = null
                [INVALID_TYPE] Can't subtract '"Ann"' from '5'
            name * 2
              = null
                [INVALID_TYPE] Can't multiply '"Ann"' by '2'
            1 / 0
              = null
                [INVALID_TYPE] Can't divide '1' by '0'
            x < name
              = null
                [NOT_COMPARABLE] Can't compare '5' with '"Ann"'
            -name
              = null
                [INVALID_TYPE] Can't negate '"Ann"'
            order.nothing
              = null
                [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'nothing'. Available keys: 'id', 'lines'
            order.lines.q
              = [null, null]
                [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'q'. Available keys: 'p'
                [NO_CONTEXT_ENTRY_FOUND] No context entry found with key 'q'. Available keys: 'p'
            name.length
              = null
                [NO_PROPERTY_FOUND] No property found with name 'length' of value '"Ann"'
            xs[7]
              = null
                [OUT_OF_BOUNDS] Index 7 is out of bound for a list of 3 items
            [1.."a"]
              = null
                [NOT_COMPARABLE] Can't compare '1' with '"a"'
            for i in x return i
              = null
                [INVALID_TYPE] Expected list but found '5'
            for i in 1..name return i
              = null
                [INVALID_TYPE] Can't count from '1' to '"Ann"'
            if name then 1 else 2
              = 2
            x and true
              = null
                [INVALID_TYPE] Expected boolean but found '5'
            substring(x, 1)
              = null
                [FUNCTION_INVOCATION_FAILURE] Failed to invoke function 'substring': Illegal arguments: 5, 1
            upper case()
              = null
                [NO_FUNCTION_FOUND] No function found with name 'upper case' and 0 parameters
            unknown(1)
              = null
                [NO_FUNCTION_FOUND] No function found with name 'unknown' and 1 parameters
            lenght(xs)
              = null
                [NO_FUNCTION_FOUND] No function found with name 'lenght' and 1 parameters
            sorted(xs)
              = null
                [NO_FUNCTION_FOUND] No function found with name 'sorted' and 1 parameters. Did you mean 'sort'?
            date("2024-02-30")
              = null
                [FUNCTION_INVOCATION_FAILURE] Failed to invoke function 'date': Failed to parse date from '2024-02-30'
            number("1,5")
              = null
                [FUNCTION_INVOCATION_FAILURE] Failed to invoke function 'number': Failed to parse number from '1,5'
            from json("{")
              = null
                [FUNCTION_INVOCATION_FAILURE] Failed to invoke function 'from json': Failed to read JSON: expected a name in quotes at line 1 column 2
            matches("a", "(?<=a)b")
              = null
                [FUNCTION_INVOCATION_FAILURE] Failed to invoke function 'matches': Failed to compile the regular expression: look-around, including look-ahead and look-behind, is not supported
            replace("a", "a", "b", "q")
              = null
                [FUNCTION_INVOCATION_FAILURE] Failed to invoke function 'replace': Unknown flag 'q' of a regular expression
            order[1].id.x
              = null
                [NO_PROPERTY_FOUND] No property found with name 'x' of value '7'
        "#]],
    );
}

#[test]
fn temporal_arithmetic_follows_the_calendar() {
    check(
        &[
            "@\"2024-01-31\" + @\"P1M\"",
            "@\"2024-03-01\" - @\"P1D\"",
            "@\"2024-03-01\" - @\"2024-02-01\"",
            "@\"2024-03-30T12:00:00@Europe/Berlin\" + @\"P1D\"",
            "@\"2024-03-31T01:30:00@Europe/Berlin\" + @\"PT1H\"",
            "@\"2024-01-01T00:00:00Z\" = @\"2024-01-01T01:00:00+01:00\"",
            "@\"23:30:00\" + @\"PT1H\"",
            "@\"10:00:00Z\" - @\"09:00:00+01:00\"",
            "@\"2024-01-01T00:00:00\" < @\"2024-01-01T00:00:00Z\"",
            "@\"P1Y\" * 1.5",
            "@\"P1D\" / 2",
            "@\"PT1H\" + @\"P1M\"",
            "date(@\"2024-01-01T10:00:00\")",
            "time(10, 30, 15.5)",
            "time(10, 30, 0, @\"PT2H\")",
            "@\"2024-02-29\".weekday",
            "week of year(@\"2021-01-03\")",
            "day of week(@\"2024-02-29\")",
            "month of year(@\"2024-02-29\")",
            "day of year(@\"2024-12-31\")",
            "cycle(3, @\"PT1H\")",
            "cycle(@\"P1D\")",
            "@\"2024-01-01\" + @\"P999999999Y\"",
        ],
        expect![[r#"
            @"2024-01-31" + @"P1M"
              = 2024-02-29
            @"2024-03-01" - @"P1D"
              = 2024-02-29
            @"2024-03-01" - @"2024-02-01"
              = P29D
            @"2024-03-30T12:00:00@Europe/Berlin" + @"P1D"
              = 2024-03-31T13:00:00@Europe/Berlin
            @"2024-03-31T01:30:00@Europe/Berlin" + @"PT1H"
              = 2024-03-31T03:30:00@Europe/Berlin
            @"2024-01-01T00:00:00Z" = @"2024-01-01T01:00:00+01:00"
              = true
            @"23:30:00" + @"PT1H"
              = 00:30:00
            @"10:00:00Z" - @"09:00:00+01:00"
              = PT2H
            @"2024-01-01T00:00:00" < @"2024-01-01T00:00:00Z"
              = null
                [NOT_COMPARABLE] Can't compare '2024-01-01T00:00:00' with '2024-01-01T00:00:00Z'
            @"P1Y" * 1.5
              = P1Y6M
            @"P1D" / 2
              = PT12H
            @"PT1H" + @"P1M"
              = null
                [INVALID_TYPE] Can't add 'P1M' to 'PT1H'
            date(@"2024-01-01T10:00:00")
              = 2024-01-01
            time(10, 30, 15.5)
              = 10:30:15.5
            time(10, 30, 0, @"PT2H")
              = 10:30:00+02:00
            @"2024-02-29".weekday
              = 4
            week of year(@"2021-01-03")
              = 53
            day of week(@"2024-02-29")
              = "Thursday"
            month of year(@"2024-02-29")
              = "February"
            day of year(@"2024-12-31")
              = 366
            cycle(3, @"PT1H")
              = "R3/PT1H"
            cycle(@"P1D")
              = "R/P1D"
            @"2024-01-01" + @"P999999999Y"
              = null
                [INVALID_TYPE] Can't add 'P999999999Y' to '2024-01-01'
        "#]],
    );
}

#[test]
fn lists_and_texts_have_their_functions() {
    check(
        &[
            "distinct values([1, 1.0, \"1\", @\"2024-01-01T00:00:00Z\", @\"2024-01-01T01:00:00+01:00\", {a: 1, b: 2}, {b: 2, a: 1}])",
            "union([1, 2], [2, 3])",
            "flatten([1, [2, [3, []]]])",
            "partition(xs, 2)",
            "sublist(xs, -2)",
            "insert before(xs, 1, 0)",
            "remove(xs, -1)",
            "mode([6, 3, 9, 6, 6, 3, 3])",
            "median([6, 1, 2, 3])",
            "mean(xs)",
            "stddev([2, 4, 7, 5])",
            "sum([])",
            "substring(\"héllo\", -3, 2)",
            "string length(\"😀\")",
            "split(\"a1b22c\", \"\\d+\")",
            "replace(\"abc\", \"(b)(c)\", \"$2$1\\$\")",
            "replace(\"aBc\", \"b\", \"x\", \"i\")",
            "matches(\"é\", \"\\w\")",
            "to base64(\"Zoë\")",
            "from base64(\"Wm/Dqw==\")",
            "from base64(\"!\")",
            "string join([\"a\", null, \"b\"], \", \", \"<\", \">\")",
            "string([1, {a: \"b\"}, @\"P1D\"])",
            "context put({}, [\"a\", \"b\"], 1)",
            "put all({a: 1}, {b: 2})",
            "get value(order, [\"lines\"])",
            "number(\"1.234,56\", \".\", \",\")",
            "round half up(-1.5, 0)",
            "x in [1..10] and x in (1, 5)",
        ],
        expect![[r#"
            distinct values([1, 1.0, "1", @"2024-01-01T00:00:00Z", @"2024-01-01T01:00:00+01:00", {a: 1, b: 2}, {b: 2, a: 1}])
              = [1, "1", 2024-01-01T00:00:00Z, {a:1, b:2}]
            union([1, 2], [2, 3])
              = [1, 2, 3]
            flatten([1, [2, [3, []]]])
              = [1, 2, 3]
            partition(xs, 2)
              = [[3, 1], [2]]
            sublist(xs, -2)
              = [1, 2]
            insert before(xs, 1, 0)
              = [0, 3, 1, 2]
            remove(xs, -1)
              = [3, 1]
            mode([6, 3, 9, 6, 6, 3, 3])
              = [3, 6]
            median([6, 1, 2, 3])
              = 2.5
            mean(xs)
              = 2
            stddev([2, 4, 7, 5])
              = 2.0816659994661326
            sum([])
              = null
            substring("héllo", -3, 2)
              = "ll"
            string length("😀")
              = 1
            split("a1b22c", "\d+")
              = ["a", "b", "c"]
            replace("abc", "(b)(c)", "$2$1\$")
              = "acb$"
            replace("aBc", "b", "x", "i")
              = "axc"
            matches("é", "\w")
              = false
            to base64("Zoë")
              = "Wm/Dqw=="
            from base64("Wm/Dqw==")
              = "Zoë"
            from base64("!")
              = null
                [FUNCTION_INVOCATION_FAILURE] Failed to invoke function 'from base64': Illegal arguments: "!"
            string join(["a", null, "b"], ", ", "<", ">")
              = "<a, b>"
            string([1, {a: "b"}, @"P1D"])
              = "[1, {a:"b"}, P1D]"
            context put({}, ["a", "b"], 1)
              = {a:{b:1}}
            put all({a: 1}, {b: 2})
              = {a:1, b:2}
            get value(order, ["lines"])
              = [{p:2}, {p:9}]
            number("1.234,56", ".", ",")
              = 1234.56
            round half up(-1.5, 0)
              = -2
            x in [1..10] and x in (1, 5)
              = true
        "#]],
    );
}

#[test]
fn a_pattern_is_kept_for_its_call_only() {
    let text = "for p in [\"a+\", \"b+\", \"a+\"], s in [\"aa\", \"bb\"] return matches(s, p)";
    assert_eq!(
        outcome(text, &(), &Env::default()),
        "[true, false, false, true, true, false]"
    );
    let flags = "for f in [\"\", \"i\", \"\"] return matches(\"A\", \"a\", f)";
    assert_eq!(outcome(flags, &(), &Env::default()), "[false, true, false]");
}

#[test]
fn time_and_chance_come_with_the_record() {
    let env = Env {
        now_ms: 1_711_846_800_123,
        seed: 42,
        ..Env::default()
    };
    let berlin = Env {
        zone: Zone::parse("Europe/Berlin").unwrap(),
        ..env.clone()
    };
    assert_eq!(outcome("now()", &(), &env), "2024-03-31T01:00:00.123Z");
    assert_eq!(
        outcome("now()", &(), &berlin),
        "2024-03-31T03:00:00.123@Europe/Berlin"
    );
    assert_eq!(outcome("today()", &(), &berlin), "2024-03-31");
    let drawn = outcome("[uuid(), random number()]", &(), &env);
    assert_eq!(drawn, outcome("[uuid(), random number()]", &(), &env));
    assert_ne!(
        drawn,
        outcome("[uuid(), random number()]", &(), &Env { seed: 43, ..env })
    );
}

#[test]
fn a_function_is_a_variable_of_another_expression() {
    let made = Expr::parse("{rate: 2, f: function(n) n * rate}.f")
        .unwrap()
        .evaluate(&(), &Env::default())
        .unwrap()
        .value;
    let context = Value::from_iter([("double", made)]);
    assert_eq!(outcome("double(21)", &context, &Env::default()), "42");
}

#[test]
fn unary_tests_answer_for_their_input() {
    let answer = |tests: &str, input: &str| {
        let input = Expr::parse(input)
            .unwrap()
            .evaluate(&(), &Env::default())
            .unwrap()
            .value;
        let tests = Expr::parse_unary_tests(tests).unwrap();
        tests
            .evaluate(&Value::from_iter([("?", input)]), &Env::default())
            .unwrap()
            .value
            .to_string()
    };
    assert_eq!(answer("-", "null"), "true");
    assert_eq!(
        answer("not(contains(?, \"a\")) and ? != \"\"", "\"b\""),
        "true"
    );
    assert_eq!(answer("\"a\", \"b\"", "\"b\""), "true");
    assert_eq!(answer("[1..3], > 10", "11"), "true");
    assert_eq!(answer("= 5", "5"), "true");
    let missing = Expr::parse_unary_tests("< 5")
        .unwrap()
        .evaluate(&(), &Env::default());
    assert_eq!(missing.unwrap_err().to_string(), "no input value found");
}
