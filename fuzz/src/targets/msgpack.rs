//! Stored values: bytes that are valid can be read by everything, bytes that are not harm nobody.

use kapelle_feel::{json, msgpack};

use super::{KIB, MIB};
use crate::Target;

pub const MSGPACK: Target = Target {
    name: "msgpack",
    run,
    seeds: |seeds| {
        for text in [
            r#"{"a": 1, "b": [true, false, null, -1, 200, 70000, 5000000000, -40000, 1.5], "c": {"d": "e"}}"#,
            r#"["0123456789012345678901234567890123456789", {"x": {}}, []]"#,
            "null",
            "18446744073709551615",
        ] {
            seeds.add(json::to_msgpack(text.as_bytes()).expect("the seeds are JSON"));
        }
        let long: String = (0..300)
            .map(|number| format!("\"n{number}\":{number},"))
            .collect();
        let long = format!("{{{}}}", long.trim_end_matches(','));
        seeds.add(json::to_msgpack(long.as_bytes()).expect("the seeds are JSON"));
    },
    dictionary: "",
    len_max: 4 * KIB,
    // Each of 200 levels may claim entries that never come; a thousand are believed.
    bytes_max: 16 * MIB,
    cpu_ms_max: 300,
};

fn run(input: &[u8]) {
    let valid = msgpack::validate(input);
    let decoded = msgpack::from_msgpack(input);
    // On what is not valid they answer nothing, but they answer.
    let text = json::from_msgpack(input);
    let pretty = json::pretty(input);
    let entries = msgpack::entries(input).count();
    let items = msgpack::items(input).count();
    assert!(entries <= input.len() && items <= input.len());
    let _ = (
        msgpack::get(input, "a"),
        msgpack::kind(input),
        msgpack::as_str(input),
        msgpack::array_len(input),
    );
    let _ = (
        msgpack::as_bool(input),
        msgpack::as_i64(input),
        msgpack::as_f64(input),
        msgpack::is_nil(input),
    );
    assert!(valid.is_ok() || msgpack::validate_map(input).is_err());
    if valid.is_err() {
        return;
    }
    let value = decoded.unwrap_or_else(|error| panic!("valid and not read: {error}"));
    let shortest = msgpack::to_msgpack(&value);
    assert_eq!(
        msgpack::from_msgpack(&shortest).map(|again| again.to_string()),
        Ok(value.to_string())
    );
    for text in [text, pretty] {
        let again =
            json::to_msgpack(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(json::from_msgpack(&again), json::from_msgpack(&shortest));
    }
    if msgpack::validate_map(input).is_ok() {
        maps(input);
    }
}

fn maps(map: &[u8]) {
    let merged = msgpack::map_merge(map, map);
    assert_eq!(
        json::from_msgpack(&merged),
        json::from_msgpack(map),
        "merging with itself changes nothing"
    );
    let over = msgpack::map_merge(&[0x80], map);
    assert_eq!(json::from_msgpack(&over), json::from_msgpack(map));
    for (name, value) in msgpack::entries(map).take(50) {
        assert_eq!(msgpack::get(map, name), Some(value));
    }
    let again = msgpack::map_from(msgpack::entries(map).collect::<Vec<_>>());
    assert_eq!(json::from_msgpack(&again), json::from_msgpack(map));
}
