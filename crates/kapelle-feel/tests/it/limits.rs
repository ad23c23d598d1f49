//! Every limit is an ordinary answer with a text, on a small stack and in a debug build.

use std::fmt::Write as _;

use kapelle_feel::{Env, Expr, Limits, Value};

use crate::{on_a_small_stack, outcome};

fn shown(text: &str) -> String {
    outcome(text, &(), &Env::default())
}

#[test]
fn brackets_and_keywords_nest_200_deep_and_no_deeper() {
    on_a_small_stack(|| {
        let shapes = [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{a:", "1", "}"),
            ("not(", "true", ")"),
            ("f(", "1", ")"),
            ("- (", "1", ")"),
            ("x[", "1", "]"),
            ("if true then ", "1", " else 2"),
            ("if ", "true", " then true else false"),
            ("for x in [1] return ", "1", ""),
            ("some x in [1] satisfies ", "true", ""),
            ("function() ", "1", ""),
            ("1 in (", "1", ")"),
            ("1 in ", "1", ""),
            ("[1..", "2", "]"),
            ("1 + (2 * (", "3", "))"),
            ("1 or 1 and 1 = 1 + 1 * 1 ** (", "1", ")"),
            ("1 between (", "1", ") and 2"),
        ];
        for (open, core, close) in shapes {
            let nested = |count: usize| [&open.repeat(count), core, &close.repeat(count)].concat();
            let refused = Expr::parse(&nested(2_500)).unwrap_err();
            assert!(
                refused.message.contains("nested more than 200 deep"),
                "{open}: {refused}"
            );
            // As deep as is allowed: whatever the answer is, there is one.
            for count in [66, 99, 198, 199] {
                if let Ok(expr) = Expr::parse(&nested(count)) {
                    let _ = expr.evaluate(&(), &Env::default());
                }
            }
        }
        let refused = Expr::parse(&format!(
            "1 instance of {}number{}",
            "list<".repeat(10_000),
            ">".repeat(10_000)
        ));
        assert!(
            refused
                .unwrap_err()
                .message
                .contains("nested more than 200 deep")
        );
    });
}

#[test]
fn chains_are_flat_or_refused() {
    on_a_small_stack(|| {
        let chain = |first: &str, rest: &str| [first, &rest.repeat(5_000)].concat();
        assert_eq!(shown(&chain("1", "+1")), "5001");
        assert_eq!(shown(&chain("1", "*1")), "1");
        assert_eq!(shown(&chain("1", "**1")), "1");
        assert_eq!(shown(&chain("true", " and true")), "true");
        assert_eq!(shown(&chain("false", " or false")), "false");
        assert_eq!(shown(&format!("{}1", "-".repeat(5_000))), "1");
        assert_eq!(shown(&format!("[{}1][-1]", "1,".repeat(5_000))), "1");
        let refused = |text: &str| Expr::parse(text).unwrap_err().message;
        assert_eq!(
            refused(&chain("a", ".b")),
            "more than 200 paths, filters and calls in a row"
        );
        assert_eq!(
            refused(&chain("a", "[1]")),
            "more than 200 paths, filters and calls in a row"
        );
        assert_eq!(refused(&chain("1", "=1")), "too many comparisons in a row");
        assert_eq!(
            refused(&chain("true", " in true")),
            "the expression is nested more than 200 deep"
        );
    });
}

#[test]
fn a_long_text_is_refused() {
    let text = format!("\"{}\"", "x".repeat(200_000));
    let error = Expr::parse(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the expression is longer than 131072 bytes at line 1 column 1"
    );
}

#[test]
fn endless_work_ends_with_the_steps() {
    let few = Env {
        limits: Limits {
            steps: 1_000,
            ..Limits::default()
        },
        ..Env::default()
    };
    let message = "failed: the expression was given up after 1000 steps";
    for text in [
        "some x in 1..1000000000000 satisfies x < 0",
        "every x in 1..1000, y in 1..1000 satisfies x + y > 0",
        "count(for x in 1..100000 return x)",
        "sum((for x in 1..2000 return x)[item > 5])",
        "matches(\"x\", \"y\")",
        "count(for x in 1..500 return string join([\"\", \"\", \"\", \"\"]))",
    ] {
        assert_eq!(outcome(text, &(), &few), message, "{text}");
    }
}

#[test]
fn what_grows_ends_with_the_bytes() {
    let message = "failed: the expression was given up: it made values of more than 1000000 bytes";
    let small = Env {
        limits: Limits {
            bytes: 1_000_000,
            ..Limits::default()
        },
        ..Env::default()
    };
    let double = "for i in 1..100 return if i = 1 then \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" else partial[-1] + partial[-1]";
    for text in [
        "for x in 1..1e18 return x",
        double,
        // Shared parts take no memory here, but two to the hundredth when they are written out.
        "for i in 1..100 return [partial[-1], partial[-1]]",
        "for i in 1..100 return concatenate(partial, partial)",
        "for i in 1..100000 return {a: i, b: \"some text that takes place\"}",
        "string join(for i in 1..1000 return \"a\", string join(for i in 1..1000 return \"delimiter\"))",
        "replace(string join(for i in 1..1000 return \"a\"), \"a\", string join(for i in 1..1000 return \"abcd\"))",
        "flatten(for i in 1..30 return [partial, partial])",
        "for i in 1..10000 return partial",
    ] {
        assert_eq!(outcome(text, &(), &small), message, "{text}");
    }
}

#[test]
fn recursion_ends_with_the_depth() {
    on_a_small_stack(|| {
        assert_eq!(
            shown("(function(f) f(f))(function(f) f(f))"),
            "failed: the expression was given up: calls and expressions are nested more than 400 deep"
        );
        assert_eq!(
            shown("(function(f) 1 + [f(f)][1])(function(f) 1 + [f(f)][1])"),
            "failed: the expression was given up: calls and expressions are nested more than 400 deep"
        );
    });
}

#[test]
fn values_nest_as_deep_as_they_can_be_stored() {
    on_a_small_stack(|| {
        assert_eq!(
            shown("for i in 1..300 return [partial[-1]]"),
            "failed: the expression was given up: it made a value nested more than 200 deep"
        );
        assert_eq!(
            shown("for i in 1..300 return {a: partial[-1]}"),
            "failed: the expression was given up: it made a value nested more than 200 deep"
        );
        assert_eq!(
            shown("for i in 1..300 return (function(p) function() p)(partial[-1])"),
            "failed: the expression was given up: it made a value nested more than 200 deep"
        );
    });
}

#[test]
fn a_pattern_cannot_take_exponential_time_or_space() {
    let text = format!("matches(\"{}\", \"(a*)*b\")", "a".repeat(10_000));
    assert_eq!(shown(&text), "false");
    let large = shown("matches(\"a\", \"((a{1,1000}){1,1000}){1,1000}\")");
    assert!(
        large.starts_with("null\n  [FUNCTION_INVOCATION_FAILURE]"),
        "{large}"
    );
    let deep = shown(&format!("matches(\"a\", \"{}\")", "(".repeat(50_000)));
    assert!(
        deep.starts_with("null\n  [FUNCTION_INVOCATION_FAILURE]"),
        "{deep}"
    );
}

#[test]
fn warnings_are_kept_to_a_few_dozen() {
    let evaluation = Expr::parse("for i in 1..1000 return nothing + i")
        .unwrap()
        .evaluate(&(), &Env::default())
        .unwrap();
    assert_eq!(evaluation.warnings.len(), 50);
}

#[test]
fn many_names_are_resolved_in_reasonable_time() {
    let mut text = String::from("{a0: 0");
    for n in 1..6_000 {
        write!(text, ", a{n}: a{}", n - 1).unwrap();
    }
    text.push_str("}.a5999");
    assert_eq!(shown(&text), "0");
}

#[test]
fn a_deep_variable_is_only_read_where_it_is_needed() {
    on_a_small_stack(|| {
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(199), "]".repeat(199));
        let deep: Value = crate::variables(&deep);
        assert_eq!(outcome("x = x", &deep, &Env::default()), "true");
        assert_eq!(outcome("flatten(x)", &deep, &Env::default()), "[1]");
        let message =
            "failed: the expression was given up: it made a value nested more than 200 deep";
        assert_eq!(outcome("[[x]]", &deep, &Env::default()), message);
    });
}

#[test]
fn long_texts_and_lists_are_paid_for_wherever_they_are_read() {
    let text = "x".repeat(100_000);
    let variables = Value::from_iter([
        ("a", Value::from(text.clone())),
        ("b", Value::from(text)),
        ("xs", (0..5_000i64).map(Value::from).collect()),
    ]);
    let few = Env {
        limits: Limits {
            steps: 100_000,
            ..Limits::default()
        },
        ..Env::default()
    };
    let bodies = [
        "a = b",
        "a < b",
        "is blank(a)",
        "string length(a)",
        "contains(a, \"y\")",
        "number(a)",
        "[a] = [b]",
        "date(a)",
        "median(xs)",
        "max(xs)",
        "list contains(xs, -1)",
        "any(xs)",
    ];
    for body in bodies {
        let once = format!("({body}) != 5 or true");
        assert_eq!(
            outcome(&once, &variables, &few).lines().next(),
            Some("true"),
            "{body}"
        );
        let often = format!("count(for i in 1..1000 return {body})");
        let message = "failed: the expression was given up after 100000 steps";
        assert_eq!(outcome(&often, &variables, &few), message, "{body}");
    }
}

#[test]
fn a_large_variable_is_decoded_once_in_a_loop_and_not_at_all_in_a_condition() {
    let lines: String = (0..2_000)
        .map(|n| format!("{{\"n\":{n},\"text\":\"some text that is long enough\"}},"))
        .collect();
    let document = format!(
        "{{\"order\":{{\"lines\":[{}],\"total\":7}}}}",
        lines.trim_end_matches(',')
    );
    let stored = kapelle_feel::json::to_msgpack(document.as_bytes()).unwrap();
    let env = Env {
        limits: Limits {
            steps: 400_000,
            bytes: 4_000_000,
            ..Limits::default()
        },
        ..Env::default()
    };
    let shown = |text: &str| outcome(text, &kapelle_feel::StoredMap(&stored), &env);
    assert_eq!(
        shown("order.total > 5 and order.total < 9 and order.lines[1].n = 0"),
        "true"
    );
    assert_eq!(shown("sum(for i in 1..2000 return order.total)"), "14000");
    assert_eq!(
        shown("count(for i in 1..2000 return order.lines[i].text)"),
        "2000"
    );
}
