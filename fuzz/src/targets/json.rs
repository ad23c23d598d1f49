//! JSON text, read in three ways that have to agree.

use kapelle_feel::json::pull::{Kind, Raw};
use kapelle_feel::{json, msgpack};

use super::{KIB, MIB};
use crate::Target;

pub const JSON: Target = Target {
    name: "json",
    run,
    seeds: |seeds| {
        seeds.lines(EXAMPLES);
        seeds.files("crates/kapelle-events/tests/golden", "");
    },
    dictionary: "{\"a\":\n[]\n{}\nnull\ntrue\nfalse\n\\u0000\n\\ud83d\\ude00\n\\ud800\n1e308\n1e-400\n-0\n-0.0\n18446744073709551615\n18446744073709551616\n-9223372036854775808\n9007199254740993\n0.1",
    len_max: 8 * KIB,
    bytes_max: 8 * MIB,
    cpu_ms_max: 300,
};

fn run(input: &[u8]) {
    let stored = json::to_msgpack(input);
    if let Ok(stored) = &stored {
        msgpack::validate(stored)
            .unwrap_or_else(|error| panic!("what is read cannot be stored: {error}"));
        for text in [json::from_msgpack(stored), json::pretty(stored)] {
            assert_eq!(
                json::to_msgpack(text.as_bytes()).as_ref(),
                Ok(stored),
                "{text}"
            );
        }
    }
    let Ok(text) = std::str::from_utf8(input) else {
        assert!(stored.is_err(), "bytes that are no UTF-8 are no JSON");
        return;
    };
    let value = json::to_value(text);
    assert_eq!(value.is_ok(), stored.is_ok(), "{value:?} {stored:?}");
    if let Ok(value) = value {
        let written = json::from_value(&value);
        assert!(json::to_value(&written).is_ok(), "{written}");
    }
    match Raw::parse(text) {
        Ok(raw) => {
            let mut seen = 0;
            walk(raw, &mut seen);
            assert!(seen <= text.len());
        }
        Err(error) => assert!(stored.is_err(), "read at once but not bit by bit: {error}"),
    }
}

/// Everything in it once. The reader has a limit on nesting, so this has one.
fn walk(raw: Raw<'_>, seen: &mut usize) {
    *seen += 1;
    match raw.kind() {
        Kind::Object => {
            for (name, value) in raw.members() {
                drop(name.as_str());
                walk(value, seen);
            }
        }
        Kind::Array => raw.elements().for_each(|element| walk(element, seen)),
        Kind::String => drop(raw.as_str()),
        _ => assert!(!raw.text().is_empty()),
    }
}

const EXAMPLES: &str = r#"{"a": 1, "b": [true, false, null], "c": {"d": "e\n\u00e4\ud83d\ude00"}}
[1, -2, 3.5, 1e10, 1E-5, -0, 9223372036854775807, 18446744073709551615, 1e308]
{"a": 1, "a": 2, "": "", "nested": [[[[[[[[]]]]]]]]}
"text"
 { "name" : "x" , "list" : [ ] , "map" : { } } "#;
