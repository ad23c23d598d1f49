use super::*;
use crate::json;
use crate::value::Value;

fn stored(text: &str) -> Vec<u8> {
    json::to_msgpack(text.as_bytes()).unwrap()
}

#[test]
fn a_value_comes_back_as_it_was_stored() {
    for text in [
        "null",
        "true",
        "0",
        "-1",
        "127",
        "128",
        "-32",
        "-33",
        "-128",
        "-129",
        "65535",
        "65536",
        "-32769",
        "4294967296",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "1.5",
        "\"\"",
        "\"äöü\"",
        "[]",
        "{}",
        "[1,[2,{\"a\":null}]]",
        "{\"b\":1,\"a\":{\"x\":[true,false]}}",
    ] {
        let bytes = stored(text);
        validate(&bytes).unwrap();
        assert_eq!(to_msgpack(&from_msgpack(&bytes).unwrap()), bytes, "{text}");
        assert_eq!(json::from_msgpack(&bytes), text);
    }
}

#[test]
fn long_texts_and_containers_take_their_longer_headers() {
    for len in [31, 32, 255, 256, 65_535, 65_536] {
        let text = Value::from("x".repeat(len));
        let list = Value::from(vec![Value::Null; len]);
        let context: Value = (0..len)
            .map(|n| (format!("k{n}"), Value::from(n)))
            .collect();
        for value in [text, list, context] {
            let bytes = to_msgpack(&value);
            validate(&bytes).unwrap();
            assert_eq!(from_msgpack(&bytes).unwrap(), value);
            assert_eq!(
                json::to_msgpack(json::from_msgpack(&bytes).as_bytes()).unwrap(),
                bytes
            );
        }
    }
}

#[test]
fn what_is_not_stored_is_refused() {
    let cases: [(&[u8], &str); 9] = [
        (&[], "the stored value ends at byte 0, inside of a value"),
        (
            &[0x92, 0x01],
            "the stored value ends at byte 2, inside of a value",
        ),
        (&[0xc1], "byte 0xc1 at 0 begins no type that is stored"),
        (
            &[0xca, 0, 0, 0, 0],
            "byte 0xca at 0 begins no type that is stored",
        ),
        (&[0xa1, 0xff], "the text at byte 0 is not UTF-8"),
        (
            &[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
            "the number at byte 0 is not finite",
        ),
        (&[0x81, 0x01, 0x01], "the key at byte 1 is not a text"),
        (
            &[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2],
            "the map that ends at byte 7 has a key twice",
        ),
        (
            &[0x01, 0x01],
            "the value ends at byte 1 but more bytes follow",
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(validate(bytes).unwrap_err().to_string(), message);
    }
    assert_eq!(
        validate_map(&[0x01]).unwrap_err().to_string(),
        "the value is not a map"
    );
}

#[test]
fn depth_is_limited_by_reader_and_validator_alike() {
    let nested = |depth: usize| [vec![0x91; depth], vec![0x01]].concat();
    assert_eq!(validate(&nested(DEPTH_MAX)), Ok(()));
    assert!(from_msgpack(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(
        validate(&nested(DEPTH_MAX + 1)),
        Err(Error::TooDeep(DEPTH_MAX))
    );
    assert_eq!(
        from_msgpack(&nested(DEPTH_MAX + 1)),
        Err(Error::TooDeep(DEPTH_MAX))
    );
}

#[test]
fn a_header_that_claims_too_much_reserves_nothing() {
    let huge = [0xdd, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(from_msgpack(&huge), Err(Error::Truncated(5)));
    assert_eq!(validate(&huge), Err(Error::Truncated(5)));
    assert_eq!(items(&huge).count(), 0);
}

#[test]
fn headers_inside_each_other_reserve_little() {
    // Each of two hundred levels may claim all the bytes that follow.
    let long = vec![0xc0; 1 << 20];
    assert_eq!(Cursor::new(&long).capacity(7), 7);
    assert!(Cursor::new(&long).capacity(u32::MAX) <= 1_024);
}

#[test]
fn entries_are_read_without_decoding() {
    let document =
        stored(r#"{"id":"A-1","total":99.5,"lines":[1,2,3],"customer":{"tier":"gold"}}"#);
    assert_eq!(get(&document, "id").and_then(as_str), Some("A-1"));
    assert_eq!(get(&document, "total").and_then(as_f64), Some(99.5));
    assert_eq!(
        get(&document, "customer")
            .and_then(|c| get(c, "tier"))
            .and_then(as_str),
        Some("gold")
    );
    assert_eq!(get(&document, "none"), None);
    let lines = get(&document, "lines").unwrap();
    assert_eq!(array_len(lines), Some(3));
    assert_eq!(
        items(lines).filter_map(as_i64).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let names: Vec<&str> = entries(&document).map(|(name, _)| name).collect();
    assert_eq!(names, ["id", "total", "lines", "customer"]);
}

#[test]
fn merging_keeps_places_and_takes_the_newer_values() {
    let merged = map_merge(&stored(r#"{"a":1,"b":2}"#), &stored(r#"{"c":3,"a":9}"#));
    assert_eq!(json::from_msgpack(&merged), r#"{"a":9,"b":2,"c":3}"#);
}

#[test]
fn numbers_lose_what_64_bits_cannot_hold() {
    let store = |text: &str| json::from_msgpack(&to_msgpack(&Value::Number(text.parse().unwrap())));
    assert_eq!(store("1.00"), "1");
    assert_eq!(store("0.1"), "0.1");
    assert_eq!(store("18446744073709551615"), "18446744073709551615");
    assert_eq!(store("18446744073709551616"), "1.8446744073709552e19");
    assert_eq!(
        store("0.3333333333333333333333333333333333"),
        "0.3333333333333333"
    );
}
