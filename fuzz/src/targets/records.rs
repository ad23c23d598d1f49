//! What the engine stores: whatever is read is written and read again as the same.

use std::fmt::Debug;

use kapelle_engine::encode;
use kapelle_runtime::record::{self, Record};

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::Seeds;

pub const RECORDS: Target = Target {
    name: "records",
    run,
    seeds,
    dictionary: "",
    len_max: 4 * KIB,
    bytes_max: 4 * MIB,
    cpu_ms_max: 300,
};

fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 6 {
        0 => check(bytes, encode::decode_event, encode::encode_event),
        1 => check(bytes, encode::decode_command, encode::encode_command),
        2 => check(bytes, encode::decode_instance, encode::encode_instance),
        3 => check(bytes, encode::decode_partition, encode::encode_partition),
        4 => check(
            bytes,
            kapelle_events::encode::decode,
            kapelle_events::encode::encode,
        ),
        _ => header(bytes),
    }
}

fn check<T: Debug + PartialEq, E: Debug>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<T, E>,
    encode: fn(&T, &mut Vec<u8>),
) {
    let Ok(value) = decode(bytes) else {
        return;
    };
    let mut written = Vec::new();
    encode(&value, &mut written);
    let again = decode(&written)
        .unwrap_or_else(|error| panic!("written and not read: {error:?}: {value:?}"));
    assert_eq!(again, value);
    let mut twice = Vec::new();
    encode(&again, &mut twice);
    assert_eq!(twice, written);
}

fn header(bytes: &[u8]) {
    let Ok(Record::Header(header)) = record::read(bytes) else {
        return;
    };
    assert!(header.records() >= 1);
    let mut written = Vec::new();
    record::put_header(&header, &mut written);
    assert_eq!(record::read(&written), Ok(Record::Header(header)));
}

/// The golden bytes of the engine: lines of a kind, words, and hexadecimal digits.
fn seeds(seeds: &mut Seeds) {
    let folder = crate::seeds::repository().join("crates/kapelle-engine/tests/it/testdata");
    let golden =
        std::fs::read_to_string(folder.join("format-1.txt")).expect("the golden bytes are there");
    for line in golden.lines() {
        let kind: u8 = match line.split(' ').next() {
            Some("event") => 0,
            Some("command") => 1,
            Some("instance") => 2,
            Some("partition") => 3,
            _ => continue,
        };
        if let Some(bytes) = line.rsplit(' ').next().and_then(unhex) {
            seeds.add([vec![kind], bytes].concat());
        }
    }
    for event in super::events::examples() {
        let mut bytes = vec![4];
        kapelle_events::encode::encode(&event, &mut bytes);
        seeds.add(bytes);
    }
    let mut bytes = vec![5];
    let header = record::Header {
        at: kapelle_engine::ids::Timestamp(1_700_000_000_000),
        kind: 7,
        source: record::Source::External,
        events: 3,
        leftovers: 1,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    };
    record::put_header(&header, &mut bytes);
    seeds.add(bytes);
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}
