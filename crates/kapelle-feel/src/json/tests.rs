use super::*;

fn round(text: &str) -> String {
    match to_msgpack(text.as_bytes()) {
        Ok(bytes) => {
            crate::msgpack::validate(&bytes).unwrap();
            from_msgpack(&bytes)
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn documents_come_back_compact_and_in_order() {
    assert_eq!(
        round(" { \"b\" : [ 1 , 2.50 , -0.0, 1e3 ] , \"a\" : { } } "),
        r#"{"b":[1,2.5,-0.0,1000.0],"a":{}}"#
    );
    assert_eq!(
        round(r#""a\u00e9\n\"\\\/\ud83d\ude00\u0001""#),
        r#""aé\n\"\\/😀\u0001""#
    );
    assert_eq!(round("1.0"), "1.0");
    assert_eq!(round("-9223372036854775809"), "-9.223372036854776e18");
}

#[test]
fn of_a_repeated_name_the_last_value_counts() {
    assert_eq!(
        round(r#"{"a":1,"b":{"x":1,"x":2},"a":[3],"c":4,"a":5}"#),
        r#"{"a":5,"b":{"x":2},"c":4}"#
    );
}

#[test]
fn bad_documents_are_refused_with_their_place() {
    let cases = [
        ("", "expected a value, found the end at line 1 column 1"),
        ("{\n  \"ä\": }", "expected a value at line 2 column 8"),
        ("[1,]", "expected a value at line 1 column 4"),
        (
            "[1 2]",
            "expected a comma or a closing bracket at line 1 column 4",
        ),
        (
            "{\"a\":1 \"b\"",
            "expected a comma or a closing brace at line 1 column 8",
        ),
        ("{a:1}", "expected a name in quotes at line 1 column 2"),
        (
            "{\"a\" 1}",
            "expected a colon after the name at line 1 column 6",
        ),
        (
            "01",
            "a number does not begin with a zero at line 1 column 3",
        ),
        ("1.", "expected a digit at line 1 column 3"),
        ("1e999", "the number is out of range at line 1 column 6"),
        ("\"a", "the text has no end at line 1 column 3"),
        ("\"\\x\"", "unknown escape at line 1 column 4"),
        ("\"\\ud800\"", "half of a surrogate pair at line 1 column 8"),
        (
            "\"\t\"",
            "a control character must be escaped at line 1 column 2",
        ),
        ("nul", "expected a value at line 1 column 1"),
        ("1 1", "expected the end of the document at line 1 column 3"),
    ];
    for (text, message) in cases {
        assert_eq!(round(text), message, "{text}");
    }
    assert_eq!(
        to_msgpack(b"\"\xff\"").unwrap_err().to_string(),
        "the text is not UTF-8 at line 1 column 3"
    );
    let deep = "[".repeat(201);
    assert_eq!(
        round(&deep),
        "nested too deep (more than 200 levels) at line 1 column 201"
    );
}

#[test]
fn pretty_text_has_one_entry_a_line() {
    let bytes = to_msgpack(br#"{"a":[1,{"b":[]}],"c":{}}"#).unwrap();
    assert_eq!(
        pretty(&bytes),
        "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}"
    );
}

#[test]
fn values_keep_their_decimals() {
    let value = to_value(r#"{"a":0.1,"b":[1e2,"x"]}"#).unwrap();
    assert_eq!(from_value(&value), r#"{"a":0.1,"b":[100,"x"]}"#);
}
