//! What is no expression is refused with its place and what was expected there.

use expect_test::{Expect, expect};
use kapelle_feel::Expr;

fn check(texts: &[&str], expected: Expect) {
    let show = |text: &&str| match Expr::parse(text) {
        Ok(_) => format!("{text:?} is an expression\n"),
        Err(error) => format!("{text:?}: {error}\n"),
    };
    expected.assert_eq(&texts.iter().map(show).collect::<String>());
}

#[test]
fn what_is_missing_is_named() {
    check(
        &[
            "",
            "1 +",
            "(1",
            "[1, 2",
            "[1 2]",
            "{a: 1",
            "{a 1}",
            "{: 1}",
            "f(1",
            "f(1 2)",
            "a.",
            "a.1",
            "x[1",
            "if a then b",
            "if a else b",
            "for x return 1",
            "for x in xs",
            "some x in xs",
            "some in xs satisfies 1",
            "1 between 2",
            "1 between 2 or 3",
            "x instance number",
            "x instance of thing",
            "function(a b) 1",
            "function(1) 1",
            "[1..",
            "[1..2",
            "]1, 2]",
            "1 in (",
            "f(a: 1, 2)",
            "f(1, a: 2)",
            "a b",
            "1 2",
            "then",
            "and",
        ],
        expect![[r#"
            "": expected an expression, found the end at line 1 column 1
            "1 +": expected an expression, found the end at line 1 column 4
            "(1": expected `)`, found the end at line 1 column 3
            "[1, 2": expected `,` or `]`, found the end at line 1 column 6
            "[1 2]": expected `,` or `]`, found `2` at line 1 column 4
            "{a: 1": expected `,` or `}`, found the end at line 1 column 6
            "{a 1}": expected `:` after the key `a 1` at line 1 column 5
            "{: 1}": expected a key at line 1 column 2
            "f(1": expected `,` or `)`, found the end at line 1 column 4
            "f(1 2)": expected `,` or `)`, found `2` at line 1 column 5
            "a.": expected a name after the point, found the end at line 1 column 3
            "a.1": expected an operator or the end, found `.1` at line 1 column 2
            "x[1": expected `]`, found the end at line 1 column 4
            "if a then b": expected `else`, found the end at line 1 column 12
            "if a else b": expected `then`, found `else` at line 1 column 6
            "for x return 1": expected `in`, found `return` at line 1 column 7
            "for x in xs": expected `return`, found the end at line 1 column 12
            "some x in xs": expected `satisfies`, found the end at line 1 column 13
            "some in xs satisfies 1": expected a name, found `in` at line 1 column 6
            "1 between 2": expected `and`, found the end at line 1 column 12
            "1 between 2 or 3": expected `and`, found `or` at line 1 column 13
            "x instance number": expected `of`, found `number` at line 1 column 12
            "x instance of thing": expected the name of a type, found `thing` at line 1 column 15
            "function(a b) 1": expected `)`, found `b` at line 1 column 12
            "function(1) 1": expected a name, found `1` at line 1 column 10
            "[1..": expected an expression, found the end at line 1 column 5
            "[1..2": expected the end of the range: `]`, `)` or `[`, found the end at line 1 column 6
            "]1, 2]": expected `..`, found `,` at line 1 column 3
            "1 in (": expected an expression, found the end at line 1 column 7
            "f(a: 1, 2)": expected arguments that are all named or all positional, found `2` at line 1 column 9
            "f(1, a: 2)": expected arguments that are all named or all positional, found `2` at line 1 column 9
            "a b": expected an operator or the end, found `b` at line 1 column 3
            "1 2": expected an operator or the end, found `2` at line 1 column 3
            "then": expected an expression, found `then` at line 1 column 1
            "and": expected an expression, found `and` at line 1 column 1
        "#]],
    );
}

#[test]
fn what_cannot_be_read_is_shown() {
    check(
        &[
            "\"abc",
            "`abc",
            "``",
            "@\"2024",
            "/* no end",
            "a # b",
            "a ; b",
            "1e99999",
            "1\n+\n  )",
            "\"ä\" \"ö\"",
            "function(a) external {}",
            "{null: 1}",
            "a = = b",
            "a | b",
            "=1",
        ],
        expect![[r#"
            "\"abc": the text has no end at line 1 column 1
            "`abc": the name in backticks has no end at line 1 column 1
            "``": the name in backticks is empty at line 1 column 1
            "@\"2024": the text has no end at line 1 column 2
            "/* no end": the comment has no end at line 1 column 1
            "a # b": unexpected character `#` at line 1 column 3
            "a ; b": expected an operator or the end, found `;` at line 1 column 3
            "1e99999": expected a number of the decimal128 range, found `1e99999` at line 1 column 1
            "1\n+\n  )": expected an expression, found `)` at line 3 column 3
            "\"ä\" \"ö\"": expected an operator or the end, found `"ö"` at line 1 column 5
            "function(a) external {}": external functions are not supported at line 1 column 13
            "{null: 1}": `null` is a keyword; as a key it needs quotes at line 1 column 2
            "a = = b": expected an expression, found `=` at line 1 column 5
            "a | b": expected an operator or the end, found `|` at line 1 column 3
            "=1": expected an expression, found `=` at line 1 column 1
        "#]],
    );
}
