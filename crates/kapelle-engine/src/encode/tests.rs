//! The bytes of single fields; whole records are pinned by the golden file of the integration tests.

use std::sync::Arc;

use super::DecodeError;
use super::wire::{Field, Raw, Record, put_varint, record, take_varint};

#[derive(Debug, Default, PartialEq)]
struct Sample {
    number: i64,
    large: u64,
    text: Option<Arc<str>>,
    list: Vec<Arc<str>>,
    perhaps: Option<Arc<[Arc<str>]>>,
    inner: Option<Box<Inner>>,
}

#[derive(Debug, PartialEq)]
struct Inner {
    hash: u128,
    flag: bool,
}

record! { Sample { 1 number, 2 large, 3 text, 4 list, 5 perhaps, 6 inner } }
record! { Inner { 1 hash, 2 flag } }

fn round_trip(sample: &Sample) -> usize {
    let bytes = sample.to_bytes();
    assert_eq!(Sample::read(&bytes).as_ref(), Ok(sample));
    bytes.len()
}

#[test]
fn what_is_absent_takes_no_bytes() {
    assert_eq!(round_trip(&Sample::default()), 0);
}

#[test]
fn numbers_at_their_edges_come_back() {
    for number in [i64::MIN, -64, -1, 1, 63, 64, i64::MAX] {
        round_trip(&Sample {
            number,
            ..Sample::default()
        });
    }
    for large in [1, 127, 128, 1 << 51, u64::MAX] {
        round_trip(&Sample {
            large,
            ..Sample::default()
        });
        let mut bytes = Vec::new();
        put_varint(large, &mut bytes);
        assert_eq!(take_varint(&mut bytes.as_slice()), Ok(large));
    }
}

#[test]
fn an_empty_list_is_not_an_absent_one() {
    let empty = Sample {
        perhaps: Some(Arc::from([])),
        ..Sample::default()
    };
    assert!(round_trip(&empty) > 0);
    let texts: Arc<[Arc<str>]> = Arc::from(["a".into(), "".into()]);
    round_trip(&Sample {
        perhaps: Some(texts),
        ..Sample::default()
    });
}

#[test]
fn a_field_longer_than_its_short_length_moves_up() {
    for length in [126, 127, 128, 129, 20_000] {
        let texts: Arc<[Arc<str>]> = Arc::from(["x".repeat(length).into()]);
        let list = vec!["y".repeat(length).into(), "".into()];
        round_trip(&Sample {
            perhaps: Some(texts),
            list,
            ..Sample::default()
        });
    }
}

#[test]
fn what_must_be_there_is_missed_by_name() {
    let inner = Sample::read(&[6 << 1 | 1, 2, 2 << 1, 1]);
    assert_eq!(
        inner,
        Err(DecodeError::Missing {
            record: "Inner",
            field: 1
        })
    );
    round_trip(&Sample {
        inner: Some(Box::new(Inner {
            hash: 7,
            flag: true,
        })),
        ..Sample::default()
    });
}

#[test]
fn damage_has_a_name() {
    assert_eq!(Sample::read(&[1 << 1]), Err(DecodeError::Truncated));
    assert_eq!(
        Sample::read(&[3 << 1 | 1, 5, b'a']),
        Err(DecodeError::Truncated)
    );
    assert_eq!(
        Sample::read(&[3 << 1 | 1, 1, 0xff]),
        Err(DecodeError::NotUtf8)
    );
    assert_eq!(
        Sample::read(&[3 << 1, 1]),
        Err(DecodeError::WrongType("text"))
    );
    assert_eq!(Sample::read(&[0xff; 11]), Err(DecodeError::Overlong));
    assert_eq!(
        u64::take(Raw::Bytes(b""), &mut None),
        Err(DecodeError::WrongType("u64"))
    );
}
