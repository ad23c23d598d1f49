use std::iter::repeat_n;

use expect_test::{Expect, expect};

use super::*;

/// Writes records as one command and reads them again; how many bytes each had and has.
fn write_and_read(bytes_min: usize, records: &[Vec<u8>]) -> Vec<(usize, usize)> {
    let mut copies = Copies::new(bytes_min);
    // What stands before the command is none of its business.
    let mut out = b"of another command".to_vec();
    let mut ends = vec![out.len()];
    for (number, record) in records.iter().enumerate() {
        let start = out.len();
        out.extend_from_slice(record);
        copies.shorten(Sequence(70 + number as u64), start, &mut out);
        ends.push(out.len());
    }
    let stored: Vec<&[u8]> = ends.windows(2).map(|pair| &out[pair[0]..pair[1]]).collect();
    let mut whole = Whole::default();
    for (record, stored) in records.iter().zip(&stored) {
        assert_eq!(whole.next(stored), Ok(&record[..]));
    }
    let lengths = records.iter().map(Vec::len);
    lengths.zip(stored.iter().map(|one| one.len())).collect()
}

fn check(bytes_min: usize, records: &[Vec<u8>], expected: Expect) {
    let lengths = write_and_read(bytes_min, records);
    let lines: Vec<_> = lengths
        .iter()
        .map(|(before, after)| format!("{before} → {after}"))
        .collect();
    expected.assert_eq(&lines.join(", "));
}

/// Bytes without repeats, as far as blocks can tell; never 0 in front, where a record has its kind.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    repeat_n((), length)
        .map(|()| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8 | 1
        })
        .collect()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn what_is_repeated_stands_there_once() {
    let data = noise(1, 100_000);
    check(
        16_384,
        &[
            joined(&[b"\x02event ", &data]),
            joined(&[b"\x02message ", &data, b" for the first"]),
            joined(&[b"\x02variable ", &data[5_000..60_000]]),
            joined(&[b"\x02two of them ", &data[70_000..], &data[..30_000]]),
            joined(&[b"\x03later ", &data]),
        ],
        expect!["100007 → 100007, 100023 → 46, 55010 → 29, 60013 → 45, 100007 → 25"],
    );
}

#[test]
fn new_data_in_a_shortened_record_can_be_repeated_too() {
    let (first, second) = (noise(1, 40_000), noise(2, 40_000));
    check(
        16_384,
        &[
            joined(&[b"\x02", &first]),
            joined(&[b"\x02", &first, &second]),
            joined(&[b"\x02", &second, &first]),
        ],
        expect!["40001 → 40001, 80001 → 40019, 80001 → 33"],
    );
}

#[test]
fn small_records_and_new_data_stay_as_they_are() {
    let small = noise(1, 16_000);
    check(
        16_384,
        &[
            joined(&[b"\x02", &small]),
            joined(&[b"\x02", &small]),
            joined(&[b"\x02", &noise(2, 50_000)]),
            joined(&[b"\x02", &noise(3, 50_000)]),
        ],
        expect!["16001 → 16001, 16001 → 16001, 50001 → 50001, 50001 → 50001"],
    );
}

#[test]
fn a_run_of_one_byte_finds_itself() {
    check(
        16_384,
        &[
            joined(&[b"\x02a", &[b'x'; 200_000], b"b"]),
            joined(&[b"\x02message", &[b'x'; 200_000], b"end"]),
            joined(&[b"\x02longer", &[b'x'; 300_000], b"end"]),
        ],
        expect!["200003 → 200003, 200011 → 4129, 300010 → 47"],
    );
}

#[test]
fn the_bytes_of_a_shortened_record_are_for_ever() {
    let mut copies = Copies::new(8);
    let mut out = b"\x02 some data that comes twice".to_vec();
    copies.shorten(Sequence(1), 0, &mut out);
    let start = out.len();
    out.extend_from_slice(b"\x02: some data that comes twice!");
    copies.shorten(Sequence(3), start, &mut out);
    let text: Vec<_> = out[start..]
        .chunks(16)
        .map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect::<Vec<String>>();
    expect![[r#"
        050002000000023a0102000000010000
        001b000000000100000021"#]]
    .assert_eq(&text.join("\n"));
}

#[test]
fn random_records_come_back() {
    let mut random = 1_u64;
    let mut below = move |max: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % max
    };
    let mut shortened = 0;
    for round in 0..400 {
        let pool = noise(round, 600);
        let records: Vec<Vec<u8>> = repeat_n((), 1 + below(8))
            .map(|()| {
                let mut record = vec![2];
                for _ in 0..below(6) {
                    let from = below(pool.len());
                    let to = from + below(pool.len() - from + 1);
                    record.extend_from_slice(&pool[from..to]);
                    record.extend(repeat_n(7, below(40)));
                }
                record
            })
            .collect();
        let lengths = write_and_read(1 + below(64), &records);
        shortened += lengths
            .iter()
            .filter(|(before, after)| after < before)
            .count();
    }
    assert!(shortened > 300, "{shortened}");
}

#[test]
fn what_names_nothing_that_is_there_is_malformed() {
    let first: &[u8] = b"\x02abcdefgh";
    let copy = |back: u32, from: u32, length: u32| {
        let mut bytes = vec![SHORTENED, COPY];
        for count in [back, from, length] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes
    };
    let check = |record: &[u8], expected: Result<&[u8], Malformed>| {
        let mut whole = Whole::default();
        whole.next(first).expect("a whole record");
        assert_eq!(whole.next(record), expected, "{record:?}");
    };
    check(&copy(1, 1, 4), Ok(b"abcd"));
    for wrong in [
        copy(0, 1, 4),
        copy(2, 1, 4),
        copy(1, 1, 9),
        copy(1, 10, 0),
        copy(1, u32::MAX, u32::MAX),
        copy(1, 1, 4)[..13].to_vec(),
        vec![SHORTENED, LITERAL, 1, 0, 0, 0],
        vec![SHORTENED, 9],
    ] {
        check(&wrong, Err(Malformed::Content));
    }
}

#[test]
fn a_hash_rolls_to_what_it_is_of_the_next_block() {
    let bytes = noise(5, 300);
    let block = Block::new(64);
    let mut hash = block.hash(&bytes[..64]);
    for at in 0..bytes.len() - 64 {
        hash = block.roll(hash, bytes[at], bytes[at + 64]);
        assert_eq!(hash, block.hash(&bytes[at + 1..at + 65]));
    }
}
