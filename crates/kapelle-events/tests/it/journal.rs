//! The stored form: golden bytes of the first release, round trips, unknown fields, damage.

use expect_test::expect;
use kapelle_events::{Value, encode};

use crate::show::{show_error, show_result};
use crate::{full, minimal, varied};

fn encoded(event: &kapelle_events::CloudEvent) -> Vec<u8> {
    let mut out = Vec::new();
    encode::encode(event, &mut out);
    out
}

/// What the first release wrote. The file never changes: it stands for what is in journals.
const GOLDEN_V1: &str = include_str!("../golden/cloud-event-v1.hex");

#[test]
fn golden_bytes_of_the_first_release() {
    let digits: Vec<_> = GOLDEN_V1
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let golden: Vec<u8> = digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect();
    assert_eq!(encode::decode(&golden).unwrap(), full());
    assert_eq!(encoded(&full()), golden);
}

#[test]
fn what_is_stored_is_read_back() {
    let uri = minimal()
        .to_builder()
        .extension("x", Value::Uri("urn:x".into()))
        .build()
        .unwrap();
    for event in varied().into_iter().chain([uri]) {
        assert_eq!(encode::decode(&encoded(&event)).unwrap(), event);
    }
}

#[test]
fn fields_of_later_releases_are_skipped() {
    let mut bytes = encoded(&minimal());
    bytes.extend_from_slice(&[99 << 3 & 0x7f | 0x80, 6, 5]); // Field 99, varint 5.
    bytes.extend_from_slice(&[15 << 3 | 2, 3, b'n', b'e', b'w']);
    assert_eq!(encode::decode(&bytes).unwrap(), minimal());
}

#[test]
fn damage_is_told_with_its_place() {
    let extension = |content: &[u8]| {
        [
            &encoded(&minimal()),
            &[8 << 3 | 2, content.len() as u8][..],
            content,
        ]
        .concat()
    };
    let seen = [
        encode::decode(b""),
        encode::decode(&encoded(&minimal())[..3]),
        encode::decode(&[1 << 3 | 2, 200]),
        encode::decode(&[1 << 3 | 2, 5, b'x']),
        encode::decode(&[1 << 3 | 5, 0, 0, 0, 0]),
        encode::decode(&[0xff; 11]),
        encode::decode(&[1 << 3 | 2, 1, 0xff]),
        encode::decode(&[5 << 3 | 2, 1, b'x']),
        encode::decode(&extension(b"")),
        encode::decode(&extension(&[1 << 3 | 2, 1, b'a'])),
        encode::decode(&extension(&[1 << 3 | 2, 1, b'a', 2 << 3, 9])),
        encode::decode(&extension(&[
            1 << 3 | 2,
            1,
            b'a',
            2 << 3,
            2,
            3 << 3 | 2,
            1,
            b'x',
        ])),
    ]
    .map(|result| match result {
        Err(error) => show_error(&error),
        ok => show_result(ok),
    })
    .concat();
    expect![[r#"
        KAP-CE-004: required attribute "id" is missing
        KAP-CE-004: required attribute "source" is missing
        KAP-CE-016: stored CloudEvent is damaged at byte 2: number is cut off
        KAP-CE-016: stored CloudEvent is damaged at byte 2: field is cut off
        KAP-CE-016: stored CloudEvent is damaged at byte 1: unknown wire type
        KAP-CE-016: stored CloudEvent is damaged at byte 10: number is too long
        KAP-CE-016: stored CloudEvent is damaged at byte 1: text is not UTF-8
        KAP-CE-016: stored CloudEvent is damaged at byte 1: broken timestamp
        KAP-CE-016: stored CloudEvent is damaged at byte 11: extension without a name
        KAP-CE-016: stored CloudEvent is damaged at byte 11: extension without a value
        KAP-CE-016: stored CloudEvent is damaged at byte 15: unknown type of an extension
        KAP-CE-016: stored CloudEvent is damaged at byte 11: it is no 32-bit integer
    "#]]
    .assert_eq(&seen);
}
