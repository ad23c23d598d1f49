//! The journal of production: the same promises with a sync thread.

use crate::support::{DIR, open, read_all, small, texts};
use kapelle_storage::{
    files::{Crash, MemFiles, OsFiles},
    journal::{self, Error, Journal, Read, ThreadedJournal},
    position::Sequence,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

fn start(disk: &MemFiles) -> ThreadedJournal {
    let announced = open(disk).unwrap().announce(1, b"").unwrap();
    ThreadedJournal::start(announced, Box::new(|| {})).unwrap()
}

fn submit(journal: &mut dyn Journal, text: &str) -> Result<Sequence, Error> {
    let mut batch = journal.batch();
    batch.push(text.as_bytes());
    journal.submit(batch).map(|point| point.sequence)
}

#[test]
fn batches_are_written_in_order_and_notified() {
    let disk = MemFiles::new();
    let announced = open(&disk).unwrap().announce(1, b"").unwrap();
    let notified = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&notified);
    let notify = Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let mut journal = ThreadedJournal::start(announced, notify).unwrap();
    let mut last = Sequence::START;
    for n in 0..500 {
        last = submit(&mut journal, &format!("record {n}")).unwrap();
    }
    let durable = journal.wait(last).unwrap();
    assert_eq!(durable, journal.end());
    assert!(!journal.in_flight());
    let figures = journal.figures();
    assert_eq!(
        (figures.batches, figures.records, figures.syncs),
        (501, 501, 501)
    );
    assert_eq!(figures.sync_time.count(), 501);
    let reader = journal.reader();
    drop(journal);
    assert_eq!(notified.load(Ordering::SeqCst), 500);
    assert_eq!(texts(&*reader).len(), 500);
    disk.crash(Crash::Lose);
    assert_eq!(texts(&*open(&disk).unwrap().reader())[499], "record 499");
}

#[test]
fn a_failed_sync_reaches_the_writer_and_those_who_wait() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    let reader = journal.reader();
    let seen = reader.durable().sequence;
    disk.fail_sync(1);
    let lost = submit(&mut journal, "lost").unwrap();
    assert!(matches!(
        reader.wait_past(seen, Duration::from_secs(60)),
        Err(Error::Poisoned { .. })
    ));
    assert!(matches!(journal.wait(lost), Err(Error::Poisoned { .. })));
    assert!(matches!(
        submit(&mut journal, "more"),
        Err(Error::Poisoned { .. })
    ));
    assert!(matches!(journal.durable(), Err(Error::Poisoned { .. })));
    assert!(matches!(
        journal.trim(Sequence(1)),
        Err(Error::Poisoned { .. })
    ));
}

#[test]
fn a_batch_handed_over_is_written_before_the_journal_ends() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    submit(&mut journal, "last words").unwrap();
    drop(journal);
    disk.crash(Crash::Lose);
    assert_eq!(texts(&*open(&disk).unwrap().reader()), ["last words"]);
}

#[test]
fn waiting_for_what_was_never_submitted_is_refused() {
    let disk = MemFiles::new();
    let mut journal = start(&disk);
    assert!(matches!(
        journal.wait(Sequence(99)),
        Err(Error::BeyondEnd { .. })
    ));
}

/// Writer, trimming and two followers at once, on the real disk.
#[test]
fn followers_see_every_record_once_while_segments_are_recycled() {
    const COUNT: u32 = 3000;
    let dir = crate::support::TempDir::new("followers");
    let options = journal::Options {
        segment_bytes: 256 << 10,
        ..small()
    };
    let opened = journal::open(OsFiles::shared(), dir.path(), options, None).unwrap();
    let announced = opened.announce(1, b"").unwrap();
    let mut journal = ThreadedJournal::start(announced, Box::new(|| {})).unwrap();
    let (positions, reported) = mpsc::channel();
    let followers: Vec<_> = (0..2_usize)
        .map(|index| {
            let (reader, positions) = (journal.reader(), positions.clone());
            std::thread::spawn(move || {
                follow(
                    &*reader,
                    |position| positions.send((index, position)).unwrap(),
                    COUNT,
                )
            })
        })
        .collect();
    let mut reached = [Sequence::START; 2];
    for n in 0..COUNT {
        submit(&mut journal, &n.to_string()).unwrap();
        while let Ok((index, position)) = reported.try_recv() {
            reached[index] = position;
        }
        // As the runtime does: never behind a reader's own position.
        journal.trim(reached[0].min(reached[1])).unwrap();
    }
    let end = journal.end().sequence;
    journal.wait(end).unwrap();
    for follower in followers {
        let seen = follower.join().expect("the follower lives");
        assert_eq!(seen, (0..COUNT).collect::<Vec<_>>());
    }
    journal.trim(end).unwrap();
    let figures = journal.figures();
    assert!(figures.segments_live <= 2, "{figures:?}");
    drop(journal);
    let reopened = journal::open(OsFiles::shared(), dir.path(), options, None).unwrap();
    assert_eq!(
        read_all(&*reopened.reader()).unwrap().last().unwrap().1,
        (COUNT - 1).to_string().as_bytes()
    );
}

fn follow(reader: &dyn Read, report: impl Fn(Sequence), count: u32) -> Vec<u32> {
    let mut cursor = reader.read_from(Sequence(1)).unwrap();
    let mut seen = Vec::new();
    while seen.len() < count as usize {
        let durable = reader.durable().sequence;
        while let Some(batch) = cursor.next_batch().unwrap() {
            if batch.kind == journal::BatchKind::Records {
                seen.extend(batch.records().map(|(_, record)| {
                    std::str::from_utf8(record).unwrap().parse::<u32>().unwrap()
                }));
            }
        }
        report(cursor.position());
        if seen.len() < count as usize {
            // Poisoned: the journal ended, and all it had is readable.
            reader.wait_past(durable, Duration::from_secs(60)).ok();
        }
    }
    seen
}

#[test]
fn the_directory_of_a_journal_is_where_it_was_asked_for() {
    let disk = MemFiles::new();
    drop(start(&disk));
    let names = kapelle_storage::files::Files::list(&disk, std::path::Path::new(DIR)).unwrap();
    assert_eq!(names.first().map(String::as_str), Some("00000001.segment"));
}
