//! Appending, reading behind the writer, segments and their recycling, fencing.

use crate::support::{
    DIR, append, open, read_all, read_from, segment, small, start, submit, texts,
};
use kapelle_storage::{
    files::{Crash, Files, MemFiles},
    journal::{self, DirectJournal, Error, Journal},
    position::{Chain, Point, Sequence},
};
use std::{path::Path, time::Duration};

#[test]
fn records_come_back_in_order_with_their_sequences() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    // Sequence 1 is the fence.
    assert_eq!(append(&mut journal, &[b"a", b""]), Sequence(3));
    assert_eq!(append(&mut journal, &[b"c"]), Sequence(4));
    let expected = vec![(2, b"a".to_vec()), (3, Vec::new()), (4, b"c".to_vec())];
    assert_eq!(read_all(&*journal.reader()).unwrap(), expected);
    drop(journal);
    assert_eq!(read_all(&*open(&disk).unwrap().reader()).unwrap(), expected);
}

#[test]
fn nothing_is_durable_or_readable_before_it_is_completed() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    let before = journal.durable().unwrap();
    let end = submit(&mut journal, &[b"a"]);
    assert!(journal.in_flight());
    assert_eq!(journal.durable().unwrap(), before);
    assert_eq!(journal.end().sequence, end);
    assert_eq!(texts(&*journal.reader()), Vec::<String>::new());
    journal.complete().unwrap();
    assert!(!journal.in_flight());
    assert_eq!(journal.durable().unwrap(), journal.end());
    assert_eq!(texts(&*journal.reader()), ["a"]);
}

#[test]
fn a_second_batch_waits_for_the_first() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    let first = submit(&mut journal, &[b"a"]);
    let second = submit(&mut journal, &[b"b"]);
    assert_eq!(journal.durable().unwrap().sequence, first);
    assert_eq!(journal.wait(second).unwrap().sequence, second);
}

#[test]
fn a_batch_out_of_place_is_refused_and_changes_nothing() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    let mut late = journal.batch();
    late.push(b"late");
    append(&mut journal, &[b"a"]);
    assert!(matches!(
        journal.submit(late),
        Err(Error::Conflict {
            expected: Sequence(3),
            found: Sequence(2)
        })
    ));
    let empty = journal.batch();
    assert!(matches!(journal.submit(empty), Err(Error::Conflict { .. })));
    append(&mut journal, &[b"b"]);
    assert_eq!(texts(&*journal.reader()), ["a", "b"]);
}

#[test]
fn the_largest_batch_fits_and_one_byte_more_is_refused() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    let max = journal.capabilities().batch_bytes_max;
    let mut too_large = journal.batch();
    too_large.push(&vec![1; max - 3]);
    assert!(matches!(
        journal.submit(too_large),
        Err(Error::TooLarge { .. })
    ));
    append(&mut journal, &[&vec![1; max - 4]]);
    append(&mut journal, &[&vec![2; max - 4]]);
    let records = read_all(&*journal.reader()).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].1, vec![2; max - 4]);
}

#[test]
fn a_journal_spreads_over_segments_and_is_read_from_anywhere() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    for n in 0..200_u32 {
        append(&mut journal, &[&n.to_le_bytes(), &n.to_be_bytes()]);
    }
    assert!(journal.figures().segments_live > 10);
    let reader = journal.reader();
    let all = read_all(&*reader).unwrap();
    assert_eq!(all.len(), 400);
    for (index, (sequence, _)) in all.iter().enumerate() {
        let rest = read_from(&*reader, Sequence(*sequence)).unwrap();
        // The first batch is the one that holds the sequence.
        assert_eq!(rest, all[index / 2 * 2..]);
    }
    let end = reader.durable().sequence;
    assert!(read_from(&*reader, end.next()).unwrap().is_empty());
    assert!(matches!(
        reader.read_from(end.next().next()),
        Err(Error::BeyondEnd { .. })
    ));
}

#[test]
fn a_cursor_follows_the_tail() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    let reader = journal.reader();
    let mut cursor = reader.read_from(reader.durable().sequence.next()).unwrap();
    let mut seen = Vec::new();
    for n in 0..100_u8 {
        assert!(cursor.next_batch().unwrap().is_none());
        let end = append(&mut journal, &[&[n]]);
        assert_eq!(
            reader
                .wait_past(end.before(), Duration::ZERO)
                .unwrap()
                .sequence,
            end
        );
        let batch = cursor
            .next_batch()
            .unwrap()
            .expect("the batch just written");
        seen.extend(batch.records().map(|(_, record)| record[0]));
    }
    assert_eq!(seen, (0..100).collect::<Vec<u8>>());
}

#[test]
fn trimmed_segments_are_recycled_and_their_old_content_never_returns() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    for n in 0..300 {
        let end = append(&mut journal, &[format!("record {n}").as_bytes()]);
        let first = journal.trim(end.before()).unwrap();
        assert!(first <= end);
        // Whatever is found after a crash at this point is the end of this history and nothing older.
        if n % 7 == 0 {
            let fork = disk.fork();
            let found = texts(&*open(&fork).unwrap().reader());
            let last = found.last().expect("something is there");
            assert_eq!(*last, format!("record {n}"));
            assert!(found.len() <= 32, "{} records in two segments", found.len());
        }
    }
    let figures = journal.figures();
    assert!(figures.segments_recycled > 10, "{figures:?}");
    assert!(figures.segments_created < 5, "{figures:?}");
    assert!(journal.figures().segments_live <= 2);
}

#[test]
fn a_reader_that_is_overtaken_by_trimming_is_told_so() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"old"]);
    let reader = journal.reader();
    let mut cursor = reader.read_from(Sequence(1)).unwrap();
    for _ in 0..100 {
        let end = append(&mut journal, &[b"new"]);
        journal.trim(end).unwrap();
    }
    assert!(matches!(
        cursor.next_batch(),
        Err(Error::Trimmed {
            wanted: Sequence(1),
            ..
        })
    ));
    assert!(matches!(
        reader.read_from(Sequence(2)),
        Err(Error::Trimmed { .. })
    ));
    assert!(reader.first() > Sequence(50));
}

#[test]
fn trim_keeps_what_was_asked_for() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    for n in 0..100_u8 {
        append(&mut journal, &[&[n]]);
    }
    let first = journal.trim(Sequence(50)).unwrap();
    assert!(first <= Sequence(50) && first > Sequence(30), "{first}");
    assert_eq!(
        read_from(&*journal.reader(), Sequence(50)).unwrap()[0],
        (50, vec![48])
    );
    // Beyond the end: as far as possible, and the journal goes on.
    journal.trim(Sequence(10_000)).unwrap();
    let end = append(&mut journal, &[b"x"]);
    assert_eq!(
        read_from(&*journal.reader(), end).unwrap(),
        [(end.0, b"x".to_vec())]
    );
}

#[test]
fn each_start_announces_a_higher_epoch() {
    let disk = MemFiles::new();
    for epoch in 1..=20 {
        let journal = start(&disk);
        assert_eq!(journal.leader().epoch, epoch);
        assert_eq!(journal.leader().incarnation, 7);
    }
    let opened = open(&disk).unwrap();
    assert_eq!(opened.leader().epoch, 20);
    assert_eq!(opened.end().sequence, Sequence(20));
}

#[test]
fn the_chain_survives_the_move_of_the_tail() {
    let disk = MemFiles::new();
    let mut points = Vec::new();
    for _ in 0..10 {
        let mut journal = start(&disk);
        for n in 0..5_u8 {
            append(&mut journal, &[&[n]]);
            points.push(journal.end());
        }
        drop(journal);
        disk.crash(Crash::Lose);
    }
    let opened = open(&disk).unwrap();
    for point in points {
        opened.check(point).unwrap();
        let other = Point {
            chain: Chain(point.chain.0 ^ 1),
            ..point
        };
        assert!(matches!(
            opened.check(other),
            Err(Error::OtherHistory { .. })
        ));
    }
    let beyond = Point {
        sequence: opened.end().sequence.next(),
        chain: Chain(0),
    };
    assert!(matches!(
        opened.check(beyond),
        Err(Error::OtherHistory { .. })
    ));
}

#[test]
fn a_checkpoint_is_checked_at_the_edge_of_the_trimmed_part() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    let mut points = Vec::new();
    for n in 0..60_u8 {
        append(&mut journal, &[&[n]]);
        points.push(journal.end());
    }
    let first = journal.trim(Sequence(40)).unwrap();
    drop(journal);
    let opened = open(&disk).unwrap();
    for point in points {
        let found = opened.check(point);
        if point.sequence >= first.before() {
            found.unwrap();
        } else {
            assert!(matches!(found, Err(Error::OtherHistory { .. })));
        }
    }
}

#[test]
fn a_cursor_opened_for_replay_goes_on_after_the_announcement() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"a"]);
    append(&mut journal, &[b"b"]);
    drop(journal);
    let opened = open(&disk).unwrap();
    let reader = opened.reader();
    let mut cursor = reader.read_from(Sequence(1)).unwrap();
    while cursor.next_batch().unwrap().is_some() {}
    let mut journal = DirectJournal::new(opened.announce(8, b"").unwrap());
    append(&mut journal, &[b"c"]);
    let fence = cursor.next_batch().unwrap().expect("the fence");
    assert_eq!(
        (fence.kind, fence.leader.incarnation),
        (journal::BatchKind::LeaderAnnounced, 8)
    );
    let batch = cursor.next_batch().unwrap().expect("the batch behind it");
    assert_eq!(
        batch.records().collect::<Vec<_>>(),
        [(Sequence(5), b"c".as_slice())]
    );
}

#[test]
fn a_failed_sync_closes_the_journal_until_it_is_recovered() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"safe"]);
    submit(&mut journal, &[b"lost"]);
    disk.fail_sync(1);
    assert!(matches!(journal.complete(), Err(Error::Io { .. })));
    // The disk is well again, which changes nothing: its pages may be clean and lost.
    assert!(matches!(journal.durable(), Err(Error::Poisoned { .. })));
    let batch = journal.batch();
    assert!(matches!(journal.submit(batch), Err(Error::Poisoned { .. })));
    assert!(matches!(
        journal.trim(Sequence(1)),
        Err(Error::Poisoned { .. })
    ));
    assert!(matches!(
        journal.wait(Sequence(1)),
        Err(Error::Poisoned { .. })
    ));
    let reader = journal.reader();
    assert_eq!(texts(&*reader), ["safe"]);
    assert!(
        reader
            .wait_past(reader.durable().sequence, Duration::from_secs(60))
            .is_err()
    );
    drop(journal);
    // What is read from the page cache is rewritten and synced before anybody may rely on it.
    let journal = start(&disk);
    let seen = texts(&*journal.reader());
    drop(journal);
    disk.crash(Crash::Lose);
    assert_eq!(texts(&*open(&disk).unwrap().reader()), seen);
}

#[test]
fn a_failed_write_closes_the_journal_and_leaves_a_torn_tail() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    append(&mut journal, &[b"safe"]);
    submit(&mut journal, &[&[1; 9000]]);
    disk.fail_write(1);
    assert!(journal.complete().is_err());
    assert!(matches!(journal.durable(), Err(Error::Poisoned { .. })));
    drop(journal);
    let opened = open(&disk).unwrap();
    assert!(opened.report().cut.is_some());
    assert_eq!(texts(&*opened.reader()), ["safe"]);
}

#[test]
fn a_full_disk_is_an_error_and_the_journal_opens_again() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    disk.limit_space(Some(100 << 10));
    let mut written = Vec::new();
    let error = loop {
        let text = format!("record {}", written.len());
        submit(&mut journal, &[text.as_bytes()]);
        match journal.complete() {
            Ok(_) => written.push(text),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("segment"), "{error}");
    assert!(written.len() > 10);
    drop(journal);
    assert_eq!(texts(&*open(&disk).unwrap().reader()), written);
    // With room again the server starts and goes on.
    disk.limit_space(None);
    let mut journal = start(&disk);
    append(&mut journal, &[b"on"]);
    assert_eq!(texts(&*journal.reader()).len(), written.len() + 1);
}

#[test]
fn small_first_segments_grow_to_the_full_size() {
    let disk = MemFiles::new();
    let options = journal::Options {
        segment_bytes: 256 << 10,
        first_segment_bytes: 16 << 10,
        ..small()
    };
    let opened = journal::open(disk.shared(), Path::new(DIR), options, None).unwrap();
    let mut journal = DirectJournal::new(opened.announce(1, b"").unwrap());
    for _ in 0..200 {
        append(&mut journal, &[b"x"]);
    }
    let length = |number: u64| disk.open(&segment(number)).unwrap().len().unwrap() >> 10;
    let lengths: Vec<u64> = (1..=6).map(length).collect();
    assert_eq!(lengths, [16, 32, 64, 128, 256, 256]);
    // A batch that is larger than the first segments gets one that holds it.
    let fresh = MemFiles::new();
    let opened = journal::open(fresh.shared(), Path::new(DIR), options, None).unwrap();
    let mut journal = DirectJournal::new(opened.announce(1, b"").unwrap());
    append(&mut journal, &[&vec![3; 40_000]]);
    assert_eq!(
        read_all(&*journal.reader()).unwrap(),
        [(2, vec![3; 40_000])]
    );
}
