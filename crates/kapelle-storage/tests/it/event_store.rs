//! The event store: what is found, what survives a loss of power, what is taken away, and damage.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use kapelle_storage::event_store::{Direction, Entry, Error, EventStore, Fate, Key, Options};
use kapelle_storage::files::{Crash, Files as _, MemFiles};
use kapelle_storage::position::Sequence;

const SMALL: Options = Options {
    block_bytes: 400,
    segment_entries: 40,
    segment_bytes: 1 << 20,
};

const TYPE: u8 = 1;
const SUBJECT: u8 = 2;

fn dir() -> &'static Path {
    Path::new("/events")
}

fn open(files: &MemFiles) -> EventStore {
    EventStore::open(files.shared(), dir(), SMALL).unwrap()
}

/// Every third position is an event, as there are other records between them in a journal.
fn entry(number: u64) -> Entry {
    let kind = format!("type-{}", number % 3);
    let subject = format!("subject-{number}");
    Entry {
        position: Sequence(number * 3),
        at_ms: 1_000 + number as i64 * 10,
        keys: vec![
            Key::of(TYPE, kind.as_bytes()),
            Key::of(SUBJECT, subject.as_bytes()),
        ],
        record: format!("{kind} {subject} {}", "x".repeat(number as usize % 70)).into_bytes(),
        erased: false,
    }
}

fn fill(store: &mut EventStore, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| store.append(entry(number)).unwrap());
}

fn scan(store: &EventStore, from: u64, direction: Direction, most: usize) -> Vec<Entry> {
    let mut found = Vec::new();
    store
        .scan(Sequence(from), direction, &mut |entry| {
            found.push(entry);
            if found.len() < most {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .unwrap();
    found
}

fn find(store: &EventStore, tag: u8, value: &str, direction: Direction) -> Vec<u64> {
    let mut found = Vec::new();
    store
        .find(Key::of(tag, value.as_bytes()), direction, &mut |entry| {
            found.push(entry.position.0 / 3);
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn everything_appended_is_read_in_both_directions_before_and_after_opening_again() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..150);
    let expected: Vec<_> = (1..150).map(entry).collect();
    assert!(store.segments().len() >= 3, "{:?}", store.segments());
    for again in [false, true] {
        if again {
            store.sync().unwrap();
            store = open(&files);
        }
        assert_eq!(scan(&store, 0, Direction::Forward, 1_000), expected);
        let backward: Vec<_> = expected.iter().rev().cloned().collect();
        assert_eq!(scan(&store, u64::MAX, Direction::Backward, 1_000), backward);
        assert_eq!(scan(&store, 100, Direction::Forward, 2), expected[33..35]);
        assert_eq!(
            scan(&store, 100, Direction::Backward, 2),
            [expected[32].clone(), expected[31].clone()]
        );
        assert_eq!(store.get(Sequence(300)).unwrap(), Some(entry(100)));
        assert_eq!(store.get(Sequence(301)).unwrap(), None);
        assert_eq!(store.position_at(1_505).unwrap(), Sequence(51 * 3));
        assert_eq!(store.position_at(0).unwrap(), Sequence(3));
        assert_eq!(store.position_at(i64::MAX).unwrap(), store.last().next());
    }
}

#[test]
fn keys_find_their_entries_in_sealed_and_open_segments() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..150);
    assert_eq!(find(&store, SUBJECT, "subject-7", Direction::Forward), [7]);
    assert_eq!(
        find(&store, SUBJECT, "subject-149", Direction::Forward),
        [149]
    );
    assert_eq!(find(&store, SUBJECT, "subject-150", Direction::Forward), []);
    let every_third: Vec<_> = (1..150).filter(|number| number % 3 == 1).collect();
    assert_eq!(
        find(&store, TYPE, "type-1", Direction::Forward),
        every_third
    );
    assert_eq!(
        find(&store, TYPE, "type-1", Direction::Backward),
        every_third.iter().rev().copied().collect::<Vec<_>>()
    );
}

#[test]
fn a_common_key_fills_many_pages_of_the_index() {
    let files = MemFiles::new();
    let options = Options {
        segment_entries: 5_000,
        ..SMALL
    };
    let mut store = EventStore::open(files.shared(), dir(), options).unwrap();
    fill(&mut store, 1..5_001);
    assert_eq!(store.segments().len(), 1);
    let every_third: Vec<_> = (1..5_001).filter(|number| number % 3 == 1).collect();
    assert_eq!(
        find(&store, TYPE, "type-1", Direction::Forward),
        every_third
    );
    for number in [1, 2, 500, 511, 512, 513, 4_999, 5_000] {
        assert_eq!(
            find(
                &store,
                SUBJECT,
                &format!("subject-{number}"),
                Direction::Forward
            ),
            [number]
        );
    }
}

#[test]
fn what_was_synced_survives_and_what_follows_is_appended_again() {
    let mut torn = 0;
    for seed in 0..300 {
        let files = MemFiles::new();
        let mut durable = Sequence::START;
        let mut next = 1;
        for round in 0..6 {
            let mut store = open(&files);
            assert!(
                store.last() >= durable,
                "seed {seed}: {:?} is not the durable {durable:?}",
                store.last()
            );
            torn += usize::from(store.last() > durable);
            // As the projection does: it goes on where the store ends.
            let from = store.last().0 / 3 + 1;
            assert_eq!(
                scan(&store, 0, Direction::Forward, 1_000),
                (1..from).map(entry).collect::<Vec<_>>(),
                "seed {seed}"
            );
            next = from + 1 + (seed * 7 + round * 13) % 60;
            fill(&mut store, from..next);
            if (seed + round) % 3 != 0 {
                durable = store.sync().unwrap();
                let end = next + (seed + round) % 25;
                fill(&mut store, next..end);
                next = end;
            }
            files.crash(Crash::Tear(seed * 100 + round));
        }
        assert!(next > 1);
    }
    assert!(
        torn > 50,
        "only {torn} crashes left more than was durable: the test exercised too little"
    );
}

/// Its process was killed between putting a sealed segment in its place and making that durable.
#[test]
fn a_segment_whose_sealer_was_killed_is_durable_once_it_is_said_to_be() {
    for seed in 0..64 {
        let files = MemFiles::new();
        let mut store = open(&files);
        fill(&mut store, 1..20);
        store.sync().unwrap();
        drop(store);
        // What sealing writes, without the last step.
        let elsewhere = MemFiles::new();
        let mut sealed = open(&elsewhere);
        fill(&mut sealed, 1..20);
        sealed.seal().unwrap();
        let name = elsewhere.list(dir()).unwrap().remove(0);
        let from = elsewhere.open(&dir().join(&name)).unwrap();
        let mut bytes = vec![0; usize::try_from(from.len().unwrap()).unwrap()];
        from.read_at(0, &mut bytes).unwrap();
        let to = files.create(&dir().join(&name)).unwrap();
        to.write_at(0, &bytes).unwrap();
        to.sync().unwrap();
        files.crash(Crash::Keep);
        let durable = open(&files).sync().unwrap();
        files.crash(Crash::Tear(seed));
        assert!(open(&files).last() >= durable, "seed {seed}");
    }
}

/// After it the disk takes what was not written for clean, as Linux does, so that the next sync says what is not true.
#[test]
fn a_failed_sync_ends_the_store() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..20);
    let durable = store.sync().unwrap();
    fill(&mut store, 20..25);
    files.fail_sync(1);
    store.sync().unwrap_err();
    assert!(matches!(store.sync(), Err(Error::Poisoned { .. })));
    assert!(matches!(
        store.append(entry(25)),
        Err(Error::Poisoned { .. })
    ));
    assert!(matches!(store.seal(), Err(Error::Poisoned { .. })));
    assert!(matches!(
        store.drop_before(Sequence(30)),
        Err(Error::Poisoned { .. })
    ));
    assert_eq!(store.get(Sequence(30)).unwrap(), Some(entry(10)));
    files.crash(Crash::Lose);
    assert_eq!(open(&files).last(), durable);
}

#[test]
fn a_failed_sync_of_a_sealed_segment_ends_the_store() {
    for failing in [1, 2] {
        let files = MemFiles::new();
        let mut store = open(&files);
        fill(&mut store, 1..20);
        let durable = store.sync().unwrap();
        files.fail_sync(failing);
        store.seal().unwrap_err();
        assert!(matches!(store.seal(), Err(Error::Poisoned { .. })));
        files.crash(Crash::Lose);
        assert_eq!(open(&files).last(), durable);
    }
}

/// The position behind which the journal is let go: what a start finds may be in the page cache alone.
#[test]
fn what_is_found_after_a_failed_sync_is_on_the_disk_once_the_store_is_open() {
    for seed in 0..64 {
        let files = MemFiles::new();
        let mut store = open(&files);
        fill(&mut store, 1..10);
        if seed % 2 == 0 {
            store.sync().unwrap();
            fill(&mut store, 10..30);
        }
        files.fail_sync(1);
        store.sync().unwrap_err();
        drop(store);
        files.crash(Crash::Keep);
        let told = open(&files).last();
        assert!(told > Sequence(9 * 2), "what was written is still read");
        files.crash(match seed % 3 {
            0 => Crash::Lose,
            _ => Crash::Tear(seed),
        });
        assert!(open(&files).last() >= told, "seed {seed}");
    }
}

#[test]
fn entries_are_erased_and_dropped_for_good() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..100);
    let first = store.segments()[0].first;
    let changed = store
        .rewrite(first, &mut |entry| match entry.position.0 / 3 {
            5 => Fate::Erase,
            6 => Fate::Drop,
            _ => Fate::Keep,
        })
        .unwrap();
    assert_eq!(changed, 2);
    files.crash(Crash::Lose);
    let store = open(&files);
    let five = store.get(Sequence(15)).unwrap().unwrap();
    assert!(
        five.erased && five.record.is_empty() && five.keys.is_empty(),
        "{five:?}"
    );
    assert_eq!(store.get(Sequence(18)).unwrap(), None);
    assert_eq!(find(&store, SUBJECT, "subject-5", Direction::Forward), []);
    assert_eq!(find(&store, SUBJECT, "subject-7", Direction::Forward), [7]);
    let names = files.list(dir()).unwrap();
    assert!(
        names.iter().all(|name| !name.ends_with(".tmp")),
        "{names:?}"
    );
}

#[test]
fn old_segments_go_and_the_rest_stays() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..100);
    store.sync().unwrap();
    let second = store.segments()[1].first;
    store.drop_before(second).unwrap();
    files.crash(Crash::Lose);
    let mut store = open(&files);
    assert_eq!(scan(&store, 0, Direction::Forward, 1)[0].position, second);
    store.seal().unwrap();
    let segments = store.segments();
    store.drop_before(Sequence(u64::MAX)).unwrap();
    assert_eq!(store.segments(), []);
    assert!(segments.len() >= 2);
}

#[test]
fn a_position_that_does_not_follow_is_refused() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 5..6);
    assert!(matches!(
        store.append(entry(5)),
        Err(Error::OutOfOrder { .. })
    ));
    assert!(matches!(
        store.append(entry(4)),
        Err(Error::OutOfOrder { .. })
    ));
}

#[test]
fn damage_in_a_sealed_segment_is_told_with_file_and_offset() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..60);
    store.sync().unwrap();
    drop(store);
    let name = files
        .list(dir())
        .unwrap()
        .into_iter()
        .find(|name| name.ends_with(".events"))
        .unwrap();
    let file = files.open(&dir().join(&name)).unwrap();
    let mut byte = [0];
    file.read_at(80, &mut byte).unwrap();
    file.write_at(80, &[!byte[0]]).unwrap();
    let store = open(&files);
    let error = store
        .scan(Sequence::START, Direction::Forward, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "event store is damaged: /events/00000000000000000003.events at byte 0: a block does not have its checksum; restore \
         the file from a copy, or remove the event store's directory to have it filled again from what the journal still holds"
    );
    let len = file.len().unwrap();
    file.write_at(len - 30, &[0xff; 4]).unwrap();
    let error = EventStore::open(files.shared(), dir(), SMALL).unwrap_err();
    assert!(
        error.to_string().contains("the directory at its end"),
        "{error}"
    );
}

/// Bytes are never trusted: any cut and any flipped bit of an open segment is survived.
#[test]
fn a_broken_tail_of_the_open_segment_is_cut() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..30);
    store.sync().unwrap();
    drop(store);
    let name = files.list(dir()).unwrap().remove(0);
    let len = files.open(&dir().join(&name)).unwrap().len().unwrap();
    for at in (0..len).step_by(7) {
        let broken = MemFiles::new();
        let shared: Arc<dyn kapelle_storage::files::Files> = broken.shared();
        shared.create_dir(dir()).unwrap();
        let copy = shared.create(&dir().join(&name)).unwrap();
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        files
            .open(&dir().join(&name))
            .unwrap()
            .read_at(0, &mut bytes)
            .unwrap();
        bytes[usize::try_from(at).unwrap()] ^= 0x10;
        copy.write_at(0, &bytes).unwrap();
        let mut store = EventStore::open(shared, dir(), SMALL).unwrap();
        // Nothing is left behind the break that could look like a continuation of what is appended next.
        let left = files_len(&broken, &name);
        assert!(
            left <= at,
            "{left} bytes are left, the flipped bit is at {at}"
        );
        let from = store.last().0 / 3 + 1;
        assert!(from < 30, "the flipped bit at {at} was not noticed");
        fill(&mut store, from..30);
        assert_eq!(
            scan(&store, 0, Direction::Forward, 1_000),
            (1..30).map(entry).collect::<Vec<_>>()
        );
    }
}

/// 0 for a file that is gone.
fn files_len(files: &MemFiles, name: &str) -> u64 {
    files
        .open(&dir().join(name))
        .map_or(0, |file| file.len().unwrap())
}

/// Changes a file from behind, and puts the checksum of its first block right.
fn forge(files: &MemFiles, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    files.tamper(&dir().join(name), |content| {
        change(content);
        let end = 56 + u32::from_le_bytes(content[12..16].try_into().unwrap()) as usize;
        let crc = crc32c::crc32c(&content[8..end]);
        content[4..8].copy_from_slice(&crc.to_le_bytes());
    });
}

#[test]
fn a_block_whose_header_does_not_describe_its_entries_is_not_whole() {
    // First and last position, time of the first and of the last entry.
    for at in [24, 32, 40, 48] {
        let files = MemFiles::new();
        let mut store = open(&files);
        fill(&mut store, 1..4);
        store.sync().unwrap();
        forge(&files, &format!("{:020}.open", 3), |content| {
            content[at] += 1;
        });
        assert_eq!(open(&files).last(), Sequence::START, "byte {at}");
    }
}

#[test]
fn a_directory_that_claims_what_the_file_has_not_is_damage() {
    let files = MemFiles::new();
    let mut store = open(&files);
    fill(&mut store, 1..41);
    let name = dir().join(format!("{:020}.events", 3));
    let mut whole = Vec::new();
    files.tamper(&name, |content| whole.clone_from(content));
    let end = whole.len();
    let begin = u64::from_le_bytes(whole[end - 24..end - 16].try_into().unwrap()) as usize;
    // Of the first block: offset, bytes of its entries, compressed bytes, first number, count. Of the last index: offset, entries.
    for (at, width) in [
        (begin, 8),
        (begin + 8, 4),
        (begin + 12, 4),
        (begin + 16, 4),
        (begin + 20, 4),
        (end - 36, 8),
        (end - 28, 4),
    ] {
        files.tamper(&name, |content| {
            content.clone_from(&whole);
            content[at..at + width].fill(0xff);
            let crc = crc32c::crc32c(&content[begin..end - 8]);
            content[end - 8..end - 4].copy_from_slice(&crc.to_le_bytes());
        });
        let opened = EventStore::open(files.shared(), dir(), SMALL);
        assert!(matches!(opened, Err(Error::Damaged { .. })), "byte {at}");
    }
}
