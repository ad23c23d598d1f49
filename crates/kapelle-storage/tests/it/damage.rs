//! Torn tails are cut, damage stops the start and is named.

use crate::support::{DIR, append, open, segment, small, start, submit, texts};
use expect_test::expect;
use kapelle_storage::{
    files::{Files, MemFiles},
    journal::{self, DirectJournal, Error, Journal},
    position::Sequence,
};
use std::path::Path;

/// Sequence 1 the fence, 2 "a", 3 and 4 one batch, 5 "d"; blocks 1, 2, 3, 4 of segment 1.
fn four_batches() -> MemFiles {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"a"]);
    append(&mut journal, &[b"b", b"c"]);
    append(&mut journal, &[b"d"]);
    disk
}

fn report(error: &Error) -> String {
    format!("{}: {error}", error.code())
}

#[test]
fn a_tail_torn_at_any_byte_is_cut() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"a"]);
    append(&mut journal, &[b"b"]);
    submit(&mut journal, &[&[b'x'; 300], b"y"]);
    let before = disk.fork();
    journal.complete().unwrap();
    drop(journal);
    let whole = {
        let mut bytes = Vec::new();
        disk.tamper(&segment(1), |content| bytes.clone_from(content));
        bytes
    };
    let start_of_last = 4 * 4096;
    let end_of_last = start_of_last + 96 + 304 + 5;
    for torn_at in start_of_last..end_of_last {
        let torn = before.fork();
        torn.tamper(&segment(1), |content| {
            content[..torn_at].copy_from_slice(&whole[..torn_at])
        });
        let opened = open(&torn).unwrap();
        assert_eq!(
            texts(&*opened.reader()),
            ["a", "b"],
            "torn at byte {torn_at}"
        );
        assert_eq!(
            opened.report().cut.is_some(),
            torn_at > start_of_last,
            "torn at byte {torn_at}"
        );
        // And the cut tail stays cut, although it is still in the old segment.
        let mut journal = start(&torn);
        append(&mut journal, &[b"new"]);
        drop(journal);
        assert_eq!(
            texts(&*open(&torn).unwrap().reader()),
            ["a", "b", "new"],
            "torn at byte {torn_at}"
        );
    }
    assert_eq!(texts(&*open(&disk).unwrap().reader()).len(), 4);
}

#[test]
fn a_tail_that_lost_any_of_its_sectors_is_cut() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"a"]);
    let before = disk.fork();
    append(&mut journal, &[&[b'x'; 20_000]]);
    drop(journal);
    let mut whole = Vec::new();
    disk.tamper(&segment(1), |content| whole.clone_from(content));
    for sector in 3 * 8..(3 * 4096 + 96 + 20_004_usize).div_ceil(512) {
        let torn = before.fork();
        torn.tamper(&segment(1), |content| {
            content.clone_from(&whole);
            content[sector * 512..(sector + 1) * 512].fill(0);
        });
        assert_eq!(
            texts(&*open(&torn).unwrap().reader()),
            ["a"],
            "sector {sector}"
        );
    }
}

#[test]
fn damage_to_a_durable_batch_stops_the_start() {
    let disk = four_batches();
    disk.tamper(&segment(1), |content| content[2 * 4096 + 100] ^= 1);
    expect!["KAP-STO-11: journal is damaged: /data/journal/00000001.segment at byte 8192: payload checksum does not match, yet the batch at byte 12288 says that records up to 2 were durable; records up to 1 are intact, later ones were durable. Do not delete the file: restore it, or the whole data directory, from a copy"].assert_eq(&report(&open(&disk).unwrap_err()));
}

#[test]
fn damage_to_any_byte_of_a_durable_batch_is_found() {
    let disk = four_batches();
    // "b" and "c": its successor says that it was durable.
    for at in 3 * 4096..3 * 4096 + 96 + 10 {
        let damaged = disk.fork();
        damaged.tamper(&segment(1), |content| content[at] ^= 0x10);
        assert!(
            matches!(open(&damaged), Err(Error::Corrupt { offset, .. }) if offset == 3 * 4096),
            "byte {at}"
        );
    }
}

#[test]
fn damage_to_the_last_batch_alone_is_a_torn_tail() {
    let disk = four_batches();
    disk.tamper(&segment(1), |content| content[4 * 4096 + 100] ^= 1);
    let opened = open(&disk).unwrap();
    assert_eq!(texts(&*opened.reader()), ["a", "b", "c"]);
    let (file, offset, why) = opened.report().cut.clone().expect("a cut");
    assert_eq!(
        (file, offset, why.as_str()),
        (segment(1), 4 * 4096, "payload checksum does not match")
    );
}

#[test]
fn damage_in_an_earlier_segment_is_found_by_who_reads_it() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    for _ in 0..50 {
        append(&mut journal, &[b"x"]);
    }
    drop(journal);
    disk.tamper(&segment(2), |content| content[5 * 4096 + 98] ^= 1);
    let opened = open(&disk).unwrap();
    let reader = opened.reader();
    let mut cursor = reader.read_from(reader.first()).unwrap();
    let error = loop {
        match cursor.next_batch() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the damage was not seen"),
            Err(error) => break error,
        }
    };
    expect!["KAP-STO-11: journal is damaged: /data/journal/00000002.segment at byte 20480: payload checksum does not match; records up to 19 are intact, later ones were durable. Do not delete the file: restore it, or the whole data directory, from a copy"].assert_eq(&report(&error));
}

#[test]
fn a_missing_segment_is_named() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    for _ in 0..50 {
        append(&mut journal, &[b"x"]);
    }
    drop(journal);
    disk.remove(&segment(2)).unwrap();
    expect!["KAP-STO-12: journal segment 2 is missing in /data/journal between 1 and 3; restore the file from a copy"].assert_eq(&report(&open(&disk).unwrap_err()));
}

#[test]
fn a_damaged_header_of_the_last_segment_is_no_torn_tail() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    for _ in 0..20 {
        append(&mut journal, &[b"x"]);
    }
    drop(journal);
    disk.tamper(&segment(2), |content| content[20] ^= 1);
    expect!["KAP-STO-11: journal is damaged: /data/journal/00000002.segment at byte 0: segment header is unreadable, yet the batch at byte 8192 says that records up to 16 were durable; records up to 15 are intact, later ones were durable. Do not delete the file: restore it, or the whole data directory, from a copy"].assert_eq(&report(&open(&disk).unwrap_err()));
}

#[test]
fn a_lost_tail_that_the_segment_header_knows_is_damage() {
    let disk = four_batches();
    // The second start moves the last batch to the fresh segment 2 and syncs it before its header.
    drop(start(&disk));
    disk.tamper(&segment(2), |content| content[4096..].fill(0));
    assert!(matches!(open(&disk), Err(Error::Corrupt { .. })));
}

#[test]
fn a_segment_of_a_newer_version_or_another_partition_is_refused_as_such() {
    let disk = four_batches();
    let other = journal::Options {
        partition: 2,
        ..small()
    };
    let error = journal::open(disk.shared(), Path::new(DIR), other, None).unwrap_err();
    expect!["KAP-STO-14: /data/journal/00000001.segment belongs to partition 1, not 2"]
        .assert_eq(&report(&error));
    disk.tamper(&segment(1), |content| {
        content[4] = 9;
        let crc = crc32c::crc32c(&content[..92]);
        content[92..96].copy_from_slice(&crc.to_le_bytes());
    });
    expect!["KAP-STO-13: /data/journal/00000001.segment was written by a newer version (journal format 9, this program knows up to 1); start the newer version"].assert_eq(&report(&open(&disk).unwrap_err()));
}

#[test]
fn opening_changes_nothing() {
    let disk = four_batches();
    disk.tamper(&segment(1), |content| content[4 * 4096 + 100] ^= 1);
    let before = disk.operations();
    let opened = open(&disk).unwrap();
    texts(&*opened.reader());
    assert_eq!(disk.operations(), before);
}

#[test]
fn files_that_are_none_of_ours_are_left_alone() {
    let disk = four_batches();
    let stray = Path::new(DIR).join("notes.txt");
    disk.create(&stray).unwrap().write_at(0, b"hello").unwrap();
    let mut journal = start(&disk);
    append(&mut journal, &[b"e"]);
    assert_eq!(texts(&*journal.reader()), ["a", "b", "c", "d", "e"]);
    assert_eq!(disk.open(&stray).unwrap().len().unwrap(), 5);
    assert_eq!(journal.leader().epoch, 2);
}

/// The block of a batch, from behind everybody's back.
fn block(disk: &MemFiles, number: u64, index: usize) -> Vec<u8> {
    let mut block = Vec::new();
    disk.tamper(&segment(number), |content| {
        block.extend_from_slice(&content[index * 4096..(index + 1) * 4096]);
    });
    block
}

fn replace_block(disk: &MemFiles, number: u64, index: usize, block: &[u8]) {
    disk.tamper(&segment(number), |content| {
        content[index * 4096..(index + 1) * 4096].copy_from_slice(block);
    });
}

#[test]
fn a_batch_of_another_history_is_not_taken_for_the_next_one() {
    let (ours, theirs) = (MemFiles::new(), MemFiles::new());
    for (disk, word) in [(&ours, b"a"), (&theirs, b"x")] {
        let mut journal = start(disk);
        append(&mut journal, &[word]);
        append(&mut journal, &[word]);
    }
    // The same place, sequence, generation and leader; another batch before it.
    replace_block(&ours, 1, 3, &block(&theirs, 1, 3));
    let opened = open(&ours).unwrap();
    assert_eq!(texts(&*opened.reader()), ["a"]);
    let (_, _, why) = opened.report().cut.clone().expect("a cut");
    assert_eq!(why, "batch does not continue the chain");
}

#[test]
fn an_empty_segment_of_another_history_stops_the_start() {
    // Segment 1 has room for the fence and 14 batches; the next batch begins segment 2.
    let (ours, theirs) = (MemFiles::new(), MemFiles::new());
    for (disk, word) in [(&ours, b"a"), (&theirs, b"x")] {
        let mut journal = start(disk);
        for _ in 0..15 {
            append(&mut journal, &[word]);
        }
        drop(journal);
        disk.tamper(&segment(2), |content| content[4096..].fill(0));
    }
    assert_eq!(texts(&*open(&ours).unwrap().reader()), ["a"; 14]);
    // No batch is there that would say so: whoever appended behind it could never be read again.
    replace_block(&ours, 2, 0, &block(&theirs, 2, 0));
    expect!["KAP-STO-11: journal is damaged: /data/journal/00000002.segment at byte 0: segment does not continue the one before; records up to 15 are intact, later ones were durable. Do not delete the file: restore it, or the whole data directory, from a copy"].assert_eq(&report(&open(&ours).unwrap_err()));
}

#[test]
fn a_batch_of_an_earlier_use_of_the_file_is_not_taken_for_the_next_one() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"a"]);
    drop(journal);
    // The start moves "a", which may not have been synced, to segment 2: the same history in another place.
    drop(start(&disk));
    let (old, moved) = (block(&disk, 1, 2), block(&disk, 2, 1));
    assert_ne!(old, moved);
    replace_block(&disk, 2, 1, &old);
    // Segment 2 knows that its first record was durable, so this is damage.
    assert!(matches!(
        open(&disk),
        Err(Error::Corrupt { offset: 4096, .. })
    ));
    replace_block(&disk, 2, 1, &moved);
    assert_eq!(texts(&*open(&disk).unwrap().reader()), ["a"]);
}

#[test]
fn a_damaged_header_of_the_oldest_segment_is_reported_and_the_file_left_alone() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    for _ in 0..50 {
        append(&mut journal, &[b"x"]);
    }
    drop(journal);
    disk.tamper(&segment(1), |content| content[20] ^= 1);
    let before = block(&disk, 1, 0);
    let opened = open(&disk).unwrap();
    assert_eq!(opened.report().damaged, [segment(1)]);
    // Whoever needs what is in it is told before anything is changed, and that it is damage, not trimming.
    let missing = opened.check_reaches(Sequence(3)).unwrap_err();
    assert!(
        matches!(&missing, Error::Corrupt { file, offset: 0, intact: Sequence(2), .. } if *file == segment(1)),
        "{missing}"
    );
    opened.check_reaches(Sequence(40)).unwrap();
    let mut journal = DirectJournal::new(opened.announce(9, b"").unwrap());
    for _ in 0..50 {
        let end = append(&mut journal, &[b"y"]);
        journal.trim(end).unwrap();
    }
    assert_eq!(block(&disk, 1, 0), before);
}
