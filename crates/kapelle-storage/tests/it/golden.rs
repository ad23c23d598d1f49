//! The bytes of released formats. A change of any of these is a new format version, never an edit.

use crate::support::{append, segment, start};
use expect_test::expect;
use kapelle_storage::{
    files::MemFiles,
    format::{BatchHeader, BatchKind, SegmentHeader, SegmentState, Unreadable},
    position::{Chain, Leader, Sequence},
};
use std::fmt::Write as _;

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, line) in bytes.chunks(16).enumerate() {
        write!(out, "{:04x} ", index * 16).unwrap();
        for byte in line {
            write!(out, " {byte:02x}").unwrap();
        }
        out.push('\n');
    }
    out
}

fn batch_header() -> BatchHeader {
    let mut header = BatchHeader {
        kind: BatchKind::Records,
        payload_bytes: 0x0102_0304,
        count: 3,
        partition: 5,
        payload_crc: 0x0a0b_0c0d,
        generation: 6,
        leader: Leader {
            epoch: 7,
            incarnation: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        },
        first: Sequence(8),
        chain_before: Chain(9),
        chain: Chain(0),
        durable: Sequence(4),
    };
    header.chain = header.compute_chain();
    header
}

fn segment_header() -> SegmentHeader {
    SegmentHeader {
        state: SegmentState::Live,
        partition: 5,
        generation: 6,
        first: Sequence(8),
        chain_before: Chain(9),
        durable: Sequence(7),
        leader_before: Leader {
            epoch: 7,
            incarnation: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        },
    }
}

#[test]
fn batch_header_keeps_its_bytes() {
    let header = batch_header();
    expect![[r#"
        0000  4b 50 4c 42 01 01 00 00 04 03 02 01 03 00 00 00
        0010  05 00 00 00 0d 0c 0b 0a 06 00 00 00 00 00 00 00
        0020  07 00 00 00 00 00 00 00 ff ee dd cc bb aa 99 88
        0030  77 66 55 44 33 22 11 00 08 00 00 00 00 00 00 00
        0040  09 00 00 00 00 00 00 00 e5 c4 dc c2 02 a6 f1 db
        0050  04 00 00 00 00 00 00 00 00 00 00 00 72 2b ba c5
    "#]]
    .assert_eq(&hex(&header.encode()));
    assert_eq!(BatchHeader::decode(&header.encode()), Ok(header));
}

#[test]
fn segment_header_keeps_its_bytes() {
    let header = segment_header();
    expect![[r#"
        0000  4b 50 4c 53 01 02 00 00 05 00 00 00 00 00 00 00
        0010  06 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00
        0020  09 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00
        0030  07 00 00 00 00 00 00 00 ff ee dd cc bb aa 99 88
        0040  77 66 55 44 33 22 11 00 00 00 00 00 00 00 00 00
        0050  00 00 00 00 00 00 00 00 00 00 00 00 58 a5 37 5a
    "#]]
    .assert_eq(&hex(&header.encode()));
    assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
}

#[test]
fn a_journal_keeps_its_bytes() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"one", b"", b"three"]);
    drop(journal);
    let mut bytes = Vec::new();
    disk.tamper(&segment(1), |content| bytes.clone_from(content));
    let interesting = |from: usize, count: usize| hex(&bytes[from..from + count]);
    let text = format!(
        "segment\n{}fence\n{}batch\n{}",
        interesting(0, 96),
        interesting(4096, 112),
        interesting(8192, 128)
    );
    expect![[r#"
        segment
        0000  4b 50 4c 53 01 02 00 00 01 00 00 00 00 00 00 00
        0010  01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
        0020  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        0030  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        0040  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        0050  00 00 00 00 00 00 00 00 00 00 00 00 5b 58 b9 73
        fence
        0000  4b 50 4c 42 01 02 00 00 08 00 00 00 01 00 00 00
        0010  01 00 00 00 5b 19 d3 2c 01 00 00 00 00 00 00 00
        0020  01 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00
        0030  00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
        0040  00 00 00 00 00 00 00 00 eb 59 00 b7 97 94 3e 8c
        0050  00 00 00 00 00 00 00 00 00 00 00 00 4b 80 0c d3
        0060  04 00 00 00 6e 6f 74 65 00 00 00 00 00 00 00 00
        batch
        0000  4b 50 4c 42 01 01 00 00 14 00 00 00 03 00 00 00
        0010  01 00 00 00 bf 53 90 6e 01 00 00 00 00 00 00 00
        0020  01 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00
        0030  00 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00
        0040  eb 59 00 b7 97 94 3e 8c b0 1b 3c a4 e9 47 bd 1c
        0050  01 00 00 00 00 00 00 00 00 00 00 00 02 fb bf a9
        0060  03 00 00 00 6f 6e 65 00 00 00 00 05 00 00 00 74
        0070  68 72 65 65 00 00 00 00 00 00 00 00 00 00 00 00
    "#]]
    .assert_eq(&text);
}

#[test]
fn every_changed_bit_of_a_header_is_noticed() {
    let (batch, segment) = (batch_header().encode(), segment_header().encode());
    for bit in 0..96 * 8 {
        let flip = |mut bytes: [u8; 96]| {
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        assert!(
            BatchHeader::decode(&flip(batch)).is_err(),
            "bit {bit} of a batch header"
        );
        assert!(
            SegmentHeader::decode(&flip(segment)).is_err(),
            "bit {bit} of a segment header"
        );
    }
}

#[test]
fn newer_versions_are_told_from_damage() {
    let mut bytes = batch_header().encode();
    bytes[4] = 2;
    assert_eq!(BatchHeader::decode(&bytes), Err(Unreadable::Checksum));
    let crc = crc32c(&bytes[..92]);
    bytes[92..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(BatchHeader::decode(&bytes), Err(Unreadable::Newer(2)));
}

/// Bit by bit, from the definition: the test must not trust the crate it checks.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[test]
fn a_live_segment_begins_with_a_record() {
    let none = SegmentHeader {
        first: Sequence::START,
        ..segment_header()
    };
    assert_eq!(
        SegmentHeader::decode(&none.encode()),
        Err(Unreadable::Impossible)
    );
    let free = SegmentHeader {
        state: SegmentState::Free,
        ..none
    };
    assert_eq!(SegmentHeader::decode(&free.encode()), Ok(free));
}

#[test]
fn numbers_that_no_journal_reaches_are_impossible() {
    let changes: [fn(&mut BatchHeader); 3] = [
        |header| header.first = Sequence(u64::MAX),
        |header| header.generation = u64::MAX - 1,
        |header| header.leader.epoch = 1 << 63,
    ];
    for change in changes {
        let mut header = batch_header();
        change(&mut header);
        header.chain = header.compute_chain();
        assert_eq!(
            BatchHeader::decode(&header.encode()),
            Err(Unreadable::Impossible)
        );
    }
    let changes: [fn(&mut SegmentHeader); 3] = [
        |header| header.first = Sequence(u64::MAX),
        |header| header.generation = u64::MAX,
        |header| header.leader_before.epoch = u64::MAX,
    ];
    for change in changes {
        let mut header = segment_header();
        change(&mut header);
        assert_eq!(
            SegmentHeader::decode(&header.encode()),
            Err(Unreadable::Impossible)
        );
    }
}
