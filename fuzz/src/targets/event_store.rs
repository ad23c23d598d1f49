//! Files of the event store: opened, read both ways and by key, appended to, rewritten, and opened again.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use kapelle_storage::event_store::{Direction, Entry, Error, EventStore, Fate, Key, Options};
use kapelle_storage::files::{File, Files, MemFiles};
use kapelle_storage::position::Sequence;

use super::{KIB, MIB};
use crate::Target;
use crate::seeds::{Seeds, pieces, put_piece};

/// An input is pieces. What no mutation would ever hit, compression and checksums, is put in by [`write`].
pub const EVENT_STORE: Target = Target {
    name: "event_store",
    run,
    seeds,
    dictionary: "KEV1\nKES1",
    len_max: 8 * KIB,
    bytes_max: 64 * MIB,
    cpu_ms_max: 1_000,
};

const DIR: &str = "/data/events";

/// Begins the file of an open segment.
const OPEN: u8 = 0;
/// Begins the file of a sealed segment.
const SEALED: u8 = 1;
/// A block: the fields of its header, and its entries, which are compressed here.
const BLOCK: u8 = 2;
/// The directory at the end of a sealed segment, without checksum and magic.
const DIRECTORY: u8 = 3;
/// Bytes as they are.
const RAW: u8 = 4;
const KINDS: u8 = 5;

/// Bytes of a block's header, and of those what its fields take.
const HEADER: usize = 56;
const FIELDS: usize = 48;
/// Checksum and magic of a directory.
const SIGNATURE: usize = 8;

const OPTIONS: Options = Options {
    block_bytes: 256,
    segment_entries: 12,
    segment_bytes: 2 << 10,
};

fn run(input: &[u8]) {
    let disk = MemFiles::new();
    write(&disk, input);
    let Ok(mut store) = open(&disk) else {
        return;
    };
    let before = check_reading(&store);
    let last = store.last();
    let entry = Entry {
        position: last.next(),
        at_ms: i64::MAX,
        keys: vec![Key::of(1, b"a")],
        record: b"written behind what was found".to_vec(),
        erased: false,
    };
    if store.append(entry.clone()).is_err() || store.sync().is_err() {
        return;
    }
    let store = open(&disk)
        .unwrap_or_else(|error| panic!("what was appended to is not opened again: {error}"));
    assert_eq!(store.last(), entry.position);
    if let Some(mut entries) = before {
        entries.push(entry);
        assert_eq!(scan(&store, Direction::Forward).ok(), Some(entries));
    }
    rewrite(store);
}

fn open(disk: &MemFiles) -> Result<EventStore, Error> {
    EventStore::open(disk.shared(), Path::new(DIR), OPTIONS)
}

/// All ways to an entry lead to the same. `None` where a block is damaged, or where segments overlap, which only a forged
/// checksum does.
fn check_reading(store: &EventStore) -> Option<Vec<Entry>> {
    let forward = scan(store, Direction::Forward).ok()?;
    let mut backward = scan(store, Direction::Backward).ok()?;
    backward.reverse();
    assert_eq!(forward, backward);
    assert!(store.segments().len() <= forward.len() && store.bytes() > 0 || forward.is_empty());
    if !forward.is_sorted_by(|one, next| one.position < next.position && one.at_ms <= next.at_ms) {
        return None;
    }
    for entry in forward.iter().take(30) {
        let got = store.get(entry.position).expect("it was read before");
        assert_eq!(got.as_ref(), Some(entry));
        let at = store.position_at(entry.at_ms).expect("it was read before");
        assert!(at <= entry.position);
        for key in &entry.keys {
            check_key(store, *key, &forward);
        }
    }
    Some(forward)
}

/// The index has no checksum: it may hide an entry, but shows none that has not the key, and none twice.
fn check_key(store: &EventStore, key: Key, entries: &[Entry]) {
    let mut found = Vec::new();
    let result = store.find(key, Direction::Forward, &mut |entry| {
        found.push(entry);
        ControlFlow::Continue(())
    });
    result.expect("its blocks were read before");
    for entry in found {
        assert!(entry.keys.contains(&key) && entries.contains(&entry));
    }
}

fn scan(store: &EventStore, direction: Direction) -> Result<Vec<Entry>, Error> {
    let from = match direction {
        Direction::Forward => Sequence::START,
        Direction::Backward => Sequence(u64::MAX),
    };
    let mut entries = Vec::new();
    store.scan(from, direction, &mut |entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

fn rewrite(mut store: EventStore) {
    if store.seal().is_err() {
        return;
    }
    for segment in store.segments() {
        let mut number = 0;
        let fates = store.rewrite(segment.first, &mut |_| {
            number += 1;
            [Fate::Erase, Fate::Keep, Fate::Drop][number % 3]
        });
        if fates.is_err() {
            return;
        }
    }
    check_reading(&store);
    drop(store.drop_before(store.last()));
}

/// Makes the files that an input describes.
fn write(disk: &MemFiles, input: &[u8]) {
    let files = disk.shared();
    files
        .create_dir(Path::new(DIR))
        .expect("a disk in memory has room");
    let mut file: Option<(Arc<dyn File>, u64)> = None;
    for (number, (kind, bytes)) in pieces(input).enumerate() {
        let kind = kind % KINDS;
        if kind == OPEN || kind == SEALED {
            let suffix = if kind == OPEN { "open" } else { "events" };
            let path = Path::new(DIR).join(format!("{number:020}.{suffix}"));
            let created = files.create(&path).expect("a disk in memory has room");
            file = Some((created, 0));
        } else if let Some((file, end)) = &mut file {
            let bytes = match kind {
                BLOCK => block(bytes),
                DIRECTORY => directory(bytes),
                _ => bytes.to_vec(),
            };
            file.write_at(*end, &bytes)
                .expect("a disk in memory has room");
            *end += bytes.len() as u64;
        }
    }
}

fn block(bytes: &[u8]) -> Vec<u8> {
    let (fields, entries) = bytes.split_at(bytes.len().min(FIELDS));
    let packed = lz4_flex::block::compress(entries);
    let mut block = vec![0; HEADER];
    block[8..8 + fields.len()].copy_from_slice(fields);
    for (at, length) in [(8, entries.len()), (12, packed.len())] {
        let length = u32::try_from(length).expect("pieces are small");
        block[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    block.extend(packed);
    block[..4].copy_from_slice(b"KEV1");
    let crc = crc32c::crc32c(&block[8..]);
    block[4..8].copy_from_slice(&crc.to_le_bytes());
    block
}

fn directory(bytes: &[u8]) -> Vec<u8> {
    [bytes, &crc32c::crc32c(bytes).to_le_bytes(), b"KES1"].concat()
}

/// Real stores, taken apart.
fn seeds(seeds: &mut Seeds) {
    for count in [1, 5, 30_u64] {
        let disk = MemFiles::new();
        let mut store = open(&disk).expect("a store in memory opens");
        for number in 1..=count {
            let entry = Entry {
                position: Sequence(3 * number),
                at_ms: 1_700_000_000_000 + 10 * number.cast_signed(),
                keys: vec![
                    Key::of(1, &[(number % 3) as u8]),
                    Key::of(2, &number.to_le_bytes()),
                ],
                record: format!("record {number} ").repeat(3).into_bytes(),
                erased: number % 7 == 0,
            };
            store.append(entry).expect("there is room");
        }
        store.sync().expect("there is room");
        seeds.add(describe(&*disk.shared()));
    }
}

fn describe(files: &dyn Files) -> Vec<u8> {
    let mut input = Vec::new();
    for name in files.list(Path::new(DIR)).expect("the directory is there") {
        let is_open = name.ends_with(".open");
        put_piece(&mut input, if is_open { OPEN } else { SEALED }, &[]);
        let bytes = contents(files, &Path::new(DIR).join(&name));
        let mut rest = &bytes[..];
        while let Some(after) = rest.strip_prefix(b"KEV1") {
            let number = |at: usize| {
                let bytes = after[at..at + 4].try_into().expect("four bytes");
                u32::from_le_bytes(bytes) as usize
            };
            let (raw, packed) = (number(4), number(8));
            let (block, behind) = rest.split_at(HEADER + packed);
            let entries = lz4_flex::block::decompress(&block[HEADER..], raw);
            let entries = entries.expect("a block of our own");
            put_piece(
                &mut input,
                BLOCK,
                &[&block[HEADER - FIELDS..HEADER], &entries].concat(),
            );
            rest = behind;
        }
        if let Some((signed, _)) = rest.split_last_chunk::<SIGNATURE>() {
            let at = signed.len() - 16;
            let begin = u64::from_le_bytes(signed[at..at + 8].try_into().expect("eight bytes"));
            let begin = usize::try_from(begin).expect("it is small") - (bytes.len() - rest.len());
            put_piece(&mut input, RAW, &signed[..begin]);
            put_piece(&mut input, DIRECTORY, &signed[begin..]);
        }
    }
    input
}

fn contents(files: &dyn Files, path: &Path) -> Vec<u8> {
    let file = files.open(path).expect("it was listed");
    let length = usize::try_from(file.len().expect("it is open")).expect("it is small");
    let mut bytes = vec![0; length];
    file.read_at(0, &mut bytes).expect("it is open");
    bytes
}
